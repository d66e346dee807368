"""What could be where a question leaves something open: "conditional" and a surer verdict can both be right."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ami_share_tools.differential import evaluator
from ami_share_tools.differential.request import UNKNOWN, Question, Request, texts
from ami_share_tools.document import Document


def is_sure(question: Question, action: str, own: str, verdict: str) -> bool:
    """Whether the product knows more than three-valued logic does, and is right."""
    if own not in ("conditional", "implicit-deny"):
        return False
    verdicts = entailed(question, action)
    # With no Allow that could apply, whether a Deny does as well makes no difference.
    alike = {"implicit-deny", "denied"} if verdict == "implicit-deny" else {verdict}
    return bool(verdicts) and verdicts <= alike


def entailed(question: Question, action: str, most: int = 100_000) -> set[str]:
    """The verdicts over every way to fill in what isn't known: if it is one, that is as right as "conditional"."""
    keys = unknown_keys(question, action)
    choices = [candidates(key, question) for key in keys]
    principals = list(who_it_could_be(question))
    size = len(principals)
    for values in choices:
        size *= len(values)
    if size > most:
        return set()
    verdicts = set()
    for principal in principals:
        for filled in itertools.product(*choices):
            context = question["context"] | dict(zip(keys, filled))
            complete = question | principal | {"context_mode": "closed", "context": context}
            verdicts.add(evaluator.judge_action(complete, action).verdict)
    return verdicts


def conditions(question: Question) -> Iterator[tuple[str, list[str | None]]]:
    statements = question["policy"]["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        for by_key in statement.get("Condition", {}).values():
            for key, values in by_key.items():
                yield key.lower(), texts(values)


FROM_PRINCIPAL = (
    "aws:principalarn",
    "aws:principalaccount",
    "kms:calleraccount",
    "aws:principalorgid",
    "aws:principalorgpaths",
)


def unknown_keys(question: Question, action: str) -> list[str]:
    request = Request(question, action)
    keys = {name.lower() for name in re.findall(r"\$\{([a-zA-Z0-9.:/-]+)", json.dumps(question["policy"]))}
    keys.update(key for key, _ in conditions(question))
    for grant in question.get("grants") or ():
        for name, pairs in (grant.get("Constraints") or {}).items():
            keys.update(
                ["aws:sourcearn"] if name == "SourceArn" else ["kms:encryptioncontext:" + key.lower() for key in pairs]
            )
    return sorted(key for key in keys if request.value_of(key) is UNKNOWN and key not in FROM_PRINCIPAL)


BOOLEANS = (
    "aws:multifactorauthpresent",
    "aws:principalisawsservice",
    "aws:viaawsservice",
    "aws:securetransport",
    "kms:grantisforawsresource",
    "kms:reencryptonsamekey",
)


def candidates(key: str, question: Question) -> list[str | None]:
    """Absent, something that nothing matches, and whatever the policy compares with."""
    if key in BOOLEANS:
        return [None, "true", "false"]
    found = [None, "zz-nothing"]
    for name, values in conditions(question):
        if name == key:
            found += [plain(value) for value in values if value is not None]
    for grant in question.get("grants") or ():
        for name, pairs in (grant.get("Constraints") or {}).items():
            if name != "SourceArn":
                found += [value for wanted, value in pairs.items() if key == "kms:encryptioncontext:" + wanted.lower()]
    return list(dict.fromkeys(found))


def plain(value: str) -> str:
    return value.replace("*", "").replace("?", "q")


def who_it_could_be(question: Question) -> Iterator[Question]:
    """The principals that fit what is known of the one who asks, each with what differs from the question."""
    who, text = question["principal"], json.dumps([question["policy"], question.get("grants") or []])
    if who.get("account") is None and who.get("arn"):
        yield {"principal": who}  # a service, which has no account
        return
    accounts = (
        [who["account"]]
        if who.get("account") not in (None, "unknown")
        else list(dict.fromkeys(["999900001111", *re.findall(r"(?<![\w])\d{12}(?![\w])", text)]))
    )
    for account in accounts:
        named = re.findall(
            rf"arn:aws:(?:iam|sts)::{account}:(?:role|user|assumed-role|federated-user)/[\w+=,.@/:-]+", text
        )
        for organization, paths in organizations(who, text):
            for arn in (
                [who["arn"]]
                if who.get("arn")
                else [f"arn:aws:iam::{account}:{name}" for name in ("role/q/Qq", "user/Qq", "root")] + named
            ):
                whole = {"principal": {"account": account, "arn": arn, "org_id": organization, "org_paths": paths}}
                if ":assumed-role/" not in arn or "principal_role_arn" in question:
                    yield whole
                    continue
                for role in roles_of_that_name(arn.split("/")[1], account, named, question):
                    yield whole | {"principal_role_arn": role}


def roles_of_that_name(name: str, account: str, named: list[str], question: Question) -> Iterable[str]:
    """IAM guide, reference_identifiers: a name is an account's only once. A role that is a principal's exists."""
    statements = question["policy"]["Statement"]
    statements = statements if isinstance(statements, list) else [statements]
    principals = json.dumps(
        [[s.get("Principal"), s.get("NotPrincipal")] for s in statements]
        + [grant.get("GranteePrincipal") for grant in question.get("grants") or ()]
    )
    fitting = [arn for arn in named if ":role/" in arn and arn.endswith("/" + name)]
    return [arn for arn in fitting if f'"{arn}"' in principals][:1] or {
        f"arn:aws:iam::{account}:role/{name}",
        f"arn:aws:iam::{account}:role/q/{name}",
        *fitting,
    }


def organizations(who: Document, text: str) -> Iterator[tuple[str | None, Any]]:
    known, paths = who.get("org_id"), who.get("org_paths")
    could_be = [None, "o-qqqqqqqqqq", *re.findall(r"o-[a-z0-9]{10,32}", text)] if known == "unknown" else [known]
    for organization in could_be:
        if organization is None or isinstance(paths, list):
            yield organization, paths if organization else []
            continue
        yield organization, [organization + "/r-qq12/"]
        yield organization, [organization + "/r-qq12/ou-qq12-qqqqqqqq/"]
        for path in re.findall(r"o-[a-z0-9]+/[^\"]*", text):
            path = re.sub("/+", "/", path.replace("*", "ou-qq12-qqqqqqqq/").replace("?", "q").rstrip("/") + "/")
            if path.startswith(organization + "/"):
                yield organization, [path]
