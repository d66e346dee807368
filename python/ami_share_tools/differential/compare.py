"""Compares verdicts, decides which differences count, and makes each as small as it goes."""

from __future__ import annotations

import collections
import copy
import itertools
import json
import pathlib
import re

from . import evaluator, faults

BATCH = 1200
CASES = pathlib.Path(__file__).parents[3] / "tests" / "data" / "key-policy-cases.json"
ASKED = (
    "policy",
    "grants",
    "principal",
    "principal_role_arn",
    "action",
    "needed_actions",
    "resource",
    "context_mode",
    "context",
)


def published_cases():
    """The worked cases of the documentation, each as the JSON of its question."""
    return [
        json.dumps({name: case[name] for name in ASKED if name in case})
        for cases in json.loads(CASES.read_text()).values()
        for case in cases
        if not case.get("ambiguous")
    ]


class Kind:
    """One kind of difference: its smallest question and how often it came up."""

    def __init__(self, question, product, own):
        self.question, self.product, self.evaluator, self.times = question, product, own, 1

    def described(self):
        return json.dumps({"times": self.times, "product": self.product, "evaluator": self.evaluator} | self.question)


class Comparison:
    def __init__(self, product, most=40, is_wanted=None, known_faults=frozenset()):
        self.product, self.most, self.is_wanted, self.known_faults = product, most, is_wanted, known_faults
        self.counts, self.agreed = collections.Counter(), collections.Counter()
        self.unsettled = collections.defaultdict(lambda: [0, 0])
        self.kinds, self.seen, self.rough = {}, collections.Counter(), []

    def run(self, generator, count):
        made = (question for _ in itertools.count() for question in generator.questions())
        made = itertools.islice(filter(self.is_wanted, made) if self.is_wanted else made, count)
        waiting = None
        while batch := list(itertools.islice(made, BATCH)):
            started = self.product.start([json.dumps(question) for question in batch])
            if waiting:
                self.compare(*waiting)
            own = [judged(question) for question in batch]
            waiting = batch, own, self.product.finish(started)
        if waiting:
            self.compare(*waiting)
        for found in self.rough:  # only now: the product answers in order, and the batches come first
            self.shrink(*found)

    def compare(self, batch, own, answers):
        for question, mine, answer in zip(batch, own, answers):
            if "error" in answer:
                self.counts["could not be read"] += 1
                self.kinds.setdefault(("error", str(answer["error"])), Kind(question, str(answer), ""))
                continue
            for action, one in mine.items():
                self.compare_action(question, action, one, answer["per_action"][action])
            if (
                "action" in question
                and depends_otherwise(question, one, answer)
                and not (self.known_faults and faults.categories(question, action) & self.known_faults)
            ):
                self.counts["differ in what it depends on"] += 1
                self.differ(question, action, one.verdict, answer["verdict"])

    def compare_action(self, question, action, own, verdict):
        if own.notes:
            self.counts["not settled by a page"] += 1
            for note in own.notes:
                self.unsettled[note][0] += 1
                self.unsettled[note][1] += verdict != own.verdict
        elif verdict == own.verdict:
            self.counts["agree"] += 1
            self.agreed[verdict] += 1
        elif is_sure(question, action, own.verdict, verdict):
            self.counts["agree: surely so whatever the unknown keys are"] += 1
        elif self.known_faults and faults.categories(question, action) & self.known_faults:
            self.counts["differ as settled cases do: a known fault"] += 1
        else:
            self.counts["differ"] += 1
            self.differ(question, action, own.verdict, verdict)

    def differ(self, question, action, own, verdict):
        rough = (own, verdict, shape(question))
        self.seen[rough] += 1
        if self.seen[rough] == 1 and len(self.rough) < 20 * self.most:
            self.rough.append((question, action, own, verdict))

    def shrink(self, question, action, own, verdict):
        if len(self.kinds) >= self.most:
            return
        small = self.smallest(one_action(question, action), own, verdict)
        kind = (own, verdict, shape(small))
        if kind in self.kinds:
            self.kinds[kind].times += 1
        else:
            self.kinds[kind] = Kind(small, verdict, own)

    def still_differs(self, question, own, verdict):
        mine = evaluator.judge_action(question, question["action"])
        if mine.notes or mine.verdict != own:
            return False
        if own == verdict:
            return depends_otherwise(question, mine, self.product.ask(question))
        if is_sure(question, question["action"], own, verdict):
            return False
        return self.product.ask(question).get("verdict") == verdict

    def smallest(self, question, own, verdict):
        shrinking = True
        while shrinking:
            shrinking = False
            for smaller in reductions(question):
                if self.still_differs(smaller, own, verdict):
                    question, shrinking = smaller, True
                    break
        return question


def is_plain(question):
    """Whether nothing about the request is unknown, one identity asks, and no grant plays a part."""
    who = question["principal"]
    return (
        question["context_mode"] == "closed"
        and not question.get("grants")
        and "action" in question
        and who["arn"] is not None
        and who["arn"].startswith("arn:")
        and "unknown" not in (who["org_id"], who["org_paths"])
        and (":assumed-role/" not in who["arn"] or "principal_role_arn" in question)
    )


def depends_otherwise(question, own, answer):
    """Whether both say "conditional", but on other keys."""
    if own.notes or not own.verdict == answer.get("verdict") == "conditional":
        return False
    if not question["principal"].get("account"):
        return False  # of an organization's accounts the product knows more than the logic does
    if "${" in json.dumps(question["policy"]) or "session" in faults.categories(question, question["action"]):
        return False  # where key and variable are both unknown, either will do; of a session's role much is known
    return own.depends_on != {key.lower() for key in answer["depends_on"]}


def judged(question):
    actions = question.get("needed_actions") or [question["action"]]
    return {action: evaluator.judge_action(question, action) for action in actions}


def one_action(question, action):
    question = copy.deepcopy(question)
    question.pop("needed_actions", None)
    return question | {"action": action}


def shape(question):
    """What makes two differences the same kind: the operators and keys, and how a principal is named."""
    statements = question["policy"]["Statement"]
    parts = set()
    for statement in statements if isinstance(statements, list) else [statements]:
        for operator, keys in statement.get("Condition", {}).items():
            parts.update((operator, key.lower()) for key in keys)
        parts.update(element for element in ("NotPrincipal", "NotAction", "NotResource") if element in statement)
        parts.update(
            re.findall(
                r":(role|user|assumed-role|federated-user|group)/",
                json.dumps(statement.get("Principal") or statement.get("NotPrincipal") or ""),
            )
        )
    return tuple(sorted(map(str, parts))), bool(question.get("grants"))


# ------------------------------------------------------------------------------------------------------ completions


def is_sure(question, action, own, verdict):
    """Whether the product knows more than three-valued logic does, and is right."""
    if own not in ("conditional", "implicit-deny"):
        return False
    verdicts = entailed(question, action)
    # With no Allow that could apply, whether a Deny does as well makes no difference.
    return verdicts == {verdict} or verdict == "implicit-deny" and verdicts == {"implicit-deny", "denied"}


def entailed(question, action, most=4000):
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


def conditions(question):
    statements = question["policy"]["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        for by_key in statement.get("Condition", {}).values():
            for key, values in by_key.items():
                yield key.lower(), evaluator.texts(values)


def unknown_keys(question, action):
    request = evaluator.Request(question, action)
    keys = {name.lower() for name in re.findall(r"\$\{([a-zA-Z0-9.:/-]+)", json.dumps(question["policy"]))}
    keys.update(key for key, _ in conditions(question))
    for grant in question.get("grants") or ():
        for name, pairs in (grant.get("Constraints") or {}).items():
            keys.update(
                ["aws:sourcearn"] if name == "SourceArn" else ["kms:encryptioncontext:" + key.lower() for key in pairs]
            )
    return sorted(key for key in keys if request.value_of(key) is evaluator.UNKNOWN and key not in FROM_PRINCIPAL)


FROM_PRINCIPAL = (
    "aws:principalarn",
    "aws:principalaccount",
    "kms:calleraccount",
    "aws:principalorgid",
    "aws:principalorgpaths",
)
BOOLEANS = (
    "aws:multifactorauthpresent",
    "aws:principalisawsservice",
    "aws:viaawsservice",
    "aws:securetransport",
    "kms:grantisforawsresource",
    "kms:reencryptonsamekey",
)


def candidates(key, question):
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


def plain(value):
    return value.replace("*", "").replace("?", "q")


def who_it_could_be(question):
    """The principals that fit what is known of the one who asks, each with what differs from the question."""
    who, text = question["principal"], json.dumps([question["policy"], question.get("grants") or []])
    accounts = (
        [who["account"]]
        if who.get("account") not in (None, "unknown")
        else list(dict.fromkeys(["999900001111"] + re.findall(r"(?<![\w])\d{12}(?![\w])", text)))
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


def roles_of_that_name(name, account, named, question):
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


def organizations(who, text):
    known, paths = who.get("org_id"), who.get("org_paths")
    could_be = [None, "o-qqqqqqqqqq"] + re.findall(r"o-[a-z0-9]{10,32}", text) if known == "unknown" else [known]
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


# ------------------------------------------------------------------------------------------------------- reductions


def reductions(question):
    """Every question that is one part smaller."""
    statements = question["policy"]["Statement"]
    if isinstance(statements, dict):
        yield changed(question, lambda q: q["policy"].update(Statement=[statements]))
        return
    for at in range(len(statements)):
        yield changed(question, lambda q: q["policy"]["Statement"].pop(at))
    for at in range(len(question.get("grants") or ())):
        yield changed(question, lambda q: q["grants"].pop(at))
    if not question.get("grants") and "grants" in question:
        yield changed(question, lambda q: q.pop("grants"))
    for key in question["context"]:
        yield changed(question, lambda q: q["context"].pop(key))
    if question["policy"].get("Version") != "2012-10-17":
        yield changed(question, lambda q: q["policy"].update(Version="2012-10-17"))
    for at in range(len(statements)):
        for smaller in smaller_statements(statements[at]):
            yield changed(question, lambda q: q["policy"]["Statement"].__setitem__(at, smaller))
    who = question["principal"]
    if who.get("account") and (who["org_id"], who["org_paths"]) != (None, []):
        yield changed(question, lambda q: q["principal"].update(org_id=None, org_paths=[]))
    for at, grant in enumerate(question.get("grants") or ()):
        if "Constraints" in grant:
            yield changed(question, lambda q: q["grants"][at].pop("Constraints"))
        if len(grant["Operations"]) > 1:
            yield changed(question, lambda q: q["grants"][at].update(Operations=[q["action"][4:]]))


def smaller_statements(statement):
    condition = statement.get("Condition", {})
    for operator, keys in condition.items():
        yield statement | {"Condition": without(condition, operator)}
        for key in keys if len(keys) > 1 else ():
            yield statement | {"Condition": condition | {operator: without(keys, key)}}
        for key, values in keys.items():
            for item in values if isinstance(values, list) else ():
                yield statement | {"Condition": condition | {operator: keys | {key: item}}}
    if "Condition" in statement and not condition:
        yield without(statement, "Condition")
    for element, simple in (("Principal", "*"), ("Action", "kms:*"), ("Resource", "*")):
        if statement.get(element) != simple:
            yield without(statement, "Not" + element) | {element: simple}
    for element in ("Action", "NotAction", "Resource", "NotResource"):
        for item in statement[element] if isinstance(statement.get(element), list) else ():
            yield statement | {element: item}
    for element in ("Principal", "NotPrincipal"):
        listed = statement.get(element)
        for kind, items in listed.items() if isinstance(listed, dict) else ():
            if len(listed) > 1:
                yield statement | {element: {kind: items}}
            for item in items if isinstance(items, list) else ():
                less = [other for other in items if other != item] or [item]
                yield statement | {element: listed | {kind: less[0] if len(less) == 1 else less}}


def without(mapping, key):
    return {other: value for other, value in mapping.items() if other != key}


def changed(question, change):
    question = copy.deepcopy(question)
    change(question)
    return question
