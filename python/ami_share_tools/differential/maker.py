"""Parts of a question, made up such that they nearly fit each other."""

import base64
import copy
import json
import random
from collections.abc import Sequence
from typing import Any, TypeVar

from ami_share_tools.differential.request import Question
from ami_share_tools.differential.vocabulary import (
    ACTIONS,
    CHILD,
    DERIVED,
    FAMILIES,
    FEDERATED,
    IN_CONTEXT,
    INFRASTRUCTURE,
    INSTANCE,
    KEY,
    KEY_NAMES,
    KEYS,
    LAUNCH,
    LISTED,
    NAMES,
    OPERATIONS,
    ORGANIZATION,
    OTHER,
    OWNER,
    PATH_ROLE,
    PATH_SESSION,
    RARE_ACTIONS,
    REGION,
    ROLE,
    SENT_BY_EC2,
    SERVICES,
    SESSION,
    TARGET,
    TYPED,
    UNIT,
    USER,
)
from ami_share_tools.document import Document

Choice = TypeVar("Choice")


class Maker:
    """Everything comes from one seeded random source."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, choices: Sequence[Choice]) -> Choice:
        return choices[int(self.random.random() * len(choices))]

    def few(self, choices: Sequence[Choice], most: int = 3) -> Choice | list[Choice]:
        """A list of one or more, or, as the grammar lets it, the one alone."""
        if self.chance(0.6):
            value = self.pick(choices)
            return value if self.chance(0.6) else [value]
        return [self.pick(choices) for _ in range(self.random.randint(2, most))]

    def made(self) -> Question:
        question: Question = {"resource": KEY}
        self.other_principal(question)
        if self.chance(0.1):
            question["needed_actions"] = list(LAUNCH[: self.pick((4, 6))])
        else:
            question["action"] = self.pick(RARE_ACTIONS if self.chance(0.08) else ACTIONS)
        question["context_mode"] = self.pick(("open", "closed"))
        question["context"] = self.context()
        question["policy"] = self.policy(question)
        if self.chance(0.5):
            question["context"] = self.context(question["policy"])
        if self.chance(0.3):
            question["grants"] = [self.grant() for _ in range(self.random.randint(1, 2))]
        return question

    def principal(self) -> Document:
        organization, paths = self.pick(
            (
                (None, []),
                ("unknown", "unknown"),
                (ORGANIZATION, [CHILD]),
                (ORGANIZATION, [UNIT]),
                (ORGANIZATION, "unknown"),
            )
        )
        if self.chance(0.12):
            return {"account": None, "arn": None, "org_id": ORGANIZATION, "org_paths": "unknown"}
        if self.chance(0.02):
            return {"account": None, "arn": self.pick(SERVICES), "org_id": None, "org_paths": []}
        arn = self.pick(
            (
                None,
                None,
                None,
                ROLE,
                ROLE,
                PATH_ROLE,
                SESSION,
                PATH_SESSION,
                USER,
                FEDERATED,
                INFRASTRUCTURE,
                f"arn:aws:iam::{TARGET}:root",
            )
        )
        if self.chance(0.04):
            return {
                "account": OWNER,
                "arn": self.pick((None, f"arn:aws:iam::{OWNER}:role/Admin")),
                "org_id": organization,
                "org_paths": paths,
            }
        return {"account": TARGET, "arn": arn, "org_id": organization, "org_paths": paths}

    def context(self, policy: Document | None = None) -> Document:
        """Some keys, and of those that the policy's conditions name about half."""
        context: Document = {}
        named = [key for key in NAMES if key in json.dumps(policy).lower()] if policy else []
        keys = [self.pick(IN_CONTEXT) for _ in range(self.pick((0, 0, 1, 2, 3, 6)))]
        for key in keys + [NAMES[name] for name in named if self.chance(0.5)]:
            context[self.spelled(key)] = None if self.chance(0.2) else copy.copy(self.pick(KEYS[key][1]))
        if self.chance(0.3):
            sent = dict(list(SENT_BY_EC2.items())[: self.pick((2, 2, len(SENT_BY_EC2)))])
            context = {key: value for key, value in context.items() if key.lower() not in map(str.lower, sent)} | sent
        spellings: dict[str, str] = {}
        for key in context:
            spellings.setdefault(key.lower(), key)
        return {key: context[key] for key in spellings.values()}

    def spelled(self, key: str) -> str:
        return self.pick((key.lower(), key.upper(), key.swapcase())) if self.chance(0.05) else key

    def policy(self, question: Question) -> Document:
        statements = [self.statement(question) for _ in range(self.pick((1, 1, 2, 2, 3, 4)))]
        if self.chance(0.3):
            # The statement that nearly every key has: it delegates to the owner's account.
            statements.insert(
                0,
                {
                    "Sid": "Enable IAM policies",
                    "Effect": "Allow",
                    "Action": "kms:*",
                    "Resource": "*",
                    "Principal": {"AWS": f"arn:aws:iam::{OWNER}:root"},
                },
            )
        if not any(s.get("Effect") == "Allow" for s in statements) or self.chance(0.25):
            statements.insert(
                0,
                {"Effect": "Allow", "Principal": self.pick(("*", {"AWS": TARGET})), "Action": "kms:*", "Resource": "*"},
            )
        policy: Document = {"Statement": statements if len(statements) > 1 or self.chance(0.9) else statements[0]}
        version = self.pick(("2012-10-17",) * 6 + ("2008-10-17", None))
        if version:
            policy["Version"] = version
        return policy

    def statement(self, question: Question) -> Document:
        action = question.get("action") or self.pick(question["needed_actions"])
        statement: Document = {"Effect": self.pick(("Allow", "Allow", "Allow", "Deny", "Deny"))}
        if self.chance(0.01):
            statement["Effect"] = self.pick(("allow", "DENY", "Permit"))
        if (statement["Effect"] == "Deny" and self.chance(0.25)) or self.chance(0.01):
            statement["NotPrincipal"] = self.principals(False)
        elif self.chance(0.99):
            statement["Principal"] = self.principals(True)
        if self.chance(0.1):
            statement["NotAction"] = self.actions(action)
        elif self.chance(0.99):
            statement["Action"] = self.actions(action)
        if self.chance(0.04):
            statement["NotResource"] = self.resources()
        elif self.chance(0.98):
            statement["Resource"] = "*" if self.chance(0.8) else self.resources()
        if self.chance(0.65):
            statement["Condition"] = self.conditions(question)
        return statement

    def principals(self, may_be_all: bool) -> Any:
        if may_be_all and self.chance(0.35):
            return self.pick(("*", {"AWS": "*"}, {"AWS": ["*"]}))
        if self.chance(0.3):
            return {"AWS": self.pick((TARGET, f"arn:aws:iam::{TARGET}:root"))}
        if not may_be_all and self.chance(0.4):
            return {
                "AWS": [
                    self.pick((ROLE, PATH_ROLE, USER, SESSION, INFRASTRUCTURE)),
                    self.pick((f"arn:aws:iam::{TARGET}:root", TARGET)),
                ]
            }
        kinds: Document = {}
        if self.chance(0.9):
            kinds["AWS"] = self.few(LISTED, 4)
        if self.chance(0.2):
            kinds["Service"] = self.few(SERVICES)
        if self.chance(0.05):
            kinds["Federated"] = "cognito-identity.amazonaws.com"
        return kinds or {"AWS": TARGET}

    def actions(self, action: str) -> Any:
        near = (
            action,
            action,
            action,
            action.lower(),
            action.upper(),
            "kms:*",
            "kms:*",
            "*",
            action[:-2] + "*",
            action[:7] + "*",
            action + "?",
            action[:-1] + "?",
            action[:-1],
            action + "*",
            "kms:ReEncrypt*",
            "kms:ReEncrypt",
            "kms:GenerateDataKey*",
            "kms:Describe*",
            "kms:?ecrypt",
            "kms:*Key",
            "ec2:*",
            "kms:CreateGrant",
            "kms:*t*",
        )
        return self.few(near, 5)

    def resources(self) -> Any:
        return self.few(
            (
                "*",
                KEY,
                KEY[:-1] + "?",
                "arn:aws:kms:*:*:key/*",
                "arn:aws:kms:*:*:alias/*",
                f"arn:aws:kms:eu-west-1:{OWNER}:key/*",
                f"arn:aws:kms:{REGION}:{OWNER}:key/9999*",
                KEY.upper(),
                "arn:aws:kms:*",
                "arn:aws:kms:*:key/*",
                f"arn:aws:kms:{REGION[:2]}*{REGION[-1]}:{OWNER}:key/*",
                f"arn:aws:kms:{REGION[:2]}*{OWNER[-1]}:key/*",
                f"arn:aws:kms:{REGION}:{OWNER}:key/${{aws:PrincipalTag/team}}",
                f"arn:aws:kms:{REGION}:{OWNER}:*",
                "1234abcd-12ab-34cd-56ef-1234567890ab",
            )
        )

    def conditions(self, question: Question) -> Document:
        condition: Document = {}
        for _ in range(self.pick((1, 1, 1, 2, 2, 3))):
            operator, key, values = self.condition(question)
            condition.setdefault(operator, {})[self.spelled(key)] = values
        return condition

    def condition(self, question: Question) -> tuple[str, str, Any]:
        given = list(question["context"]) + list(DERIVED)
        key = self.pick(given) if self.chance(0.5) else self.pick(KEY_NAMES) if self.chance(0.7) else self.pick(TYPED)
        kind, values = next((entry for name, entry in KEYS.items() if name.lower() == key.lower()), ("string", ()))
        if self.chance(0.07):
            return "Null", key, self.pick(("true", "false", True, False, ["true", "false"]))
        operator = self.pick(FAMILIES[kind])
        # A set operator on a key with one value is allowed. Of the types that are not text there are few keys.
        if (kind == "strings" and self.chance(0.97)) or self.chance(0.04 if kind == "string" else 0.15):
            operator = self.pick(("ForAllValues:", "ForAnyValue:")) + operator
        if self.chance(0.25):
            operator += "IfExists"
        if self.chance(0.01):
            operator = self.pick(
                ("StringEqual", "NullIfExists", "Regex", "StringEqualsIfExistsIfExists", "ForAll:StringEquals")
            )
        actual = next((value for name, value in question["context"].items() if name.lower() == key.lower()), None)
        pool = [
            item
            for value in (values + ((actual,) if actual else ()))
            for item in (value if isinstance(value, list) else [value])
        ]
        wanted = [self.wanted(kind, self.pick(pool) if pool else "x") for _ in range(self.pick((1, 1, 1, 2, 3)))]
        return operator, key, wanted[0] if len(wanted) == 1 and self.chance(0.6) else wanted

    def wanted(self, kind: str, value: Any) -> Any:
        """The value itself, or one that is nearly it."""
        if kind == "bool":
            return (
                self.pick((value, value, "true", "false", value == "true", "false" if value == "true" else "true"))
                if self.chance(0.97)
                else self.pick(("True", "1", 1))
            )
        if kind == "number":
            return (
                self.pick((value, "60", 60, 61, 59.5, "59", "3600.0", "-1"))
                if self.chance(0.97)
                else self.pick(("sixty", ""))
            )
        if kind == "date":
            return (
                self.pick(
                    (
                        value,
                        "2026-01-01T00:00:00Z",
                        "2026-01-01T00:00:01Z",
                        "2025-12-31T23:59:59Z",
                        "1767225600",
                        1767225600,
                        "2026-01-01T01:00:00+01:00",
                        "2026-01-01T00:00:00.000Z",
                        "2030-01-01T00:00Z",
                    )
                )
                if self.chance(0.97)
                else self.pick(("yesterday", "2026-13-01T00:00:00Z"))
            )
        if kind == "ip":
            return (
                self.pick(
                    (
                        value,
                        "203.0.113.0/24",
                        "203.0.113.7/32",
                        "198.51.100.0/25",
                        "0.0.0.0/0",
                        "2001:db8::/32",
                        "10.0.0.0/8",
                        "::/0",
                    )
                )
                if self.chance(0.97)
                else self.pick(("203.0.113.0/33", "everywhere"))
            )
        if kind == "binary":
            return self.pick((value, base64.b64encode(b"other").decode()))
        if self.chance(0.12):
            return self.pick(
                (
                    "${aws:PrincipalAccount}",
                    "${aws:PrincipalTag/team}",
                    "${aws:PrincipalTag/team, 'blue'}",
                    "${kms:ViaService}",
                    "${aws:principalorgid}",
                    "${aws:PrincipalTag/home}*",
                    "x${*}y",
                    "${custom:thing}",
                    value[:3] + "${?}",
                    "arn:aws:iam::${aws:PrincipalAccount}:role/App",
                )
            )
        near = (
            value,
            value,
            value,
            value,
            value + "*",
            value[:-1] + "*",
            value[:-1] + "?",
            value + "?",
            value[:4] + "*",
            "*" + value[-4:],
            "*",
            value.upper(),
            value.swapcase(),
            value + "x",
            value[:-1],
            value[1:],
            value.replace(".", "?"),
            value.replace("-", "*"),
            "other",
        )
        if kind == "arn":
            parts = value.split(":", 5)
            parts[self.random.randint(1, 5)] = self.pick(("*", "?", "", "a*"))
            wild = ":".join(parts)
            return self.pick((value, value, wild, wild, value[:-2] + "*", value[:-1] + "?", value.upper(), value + "x"))
        return self.pick(near)

    def grant(self) -> Document:
        grant: Document = {
            "KeyId": KEY,
            "GrantId": "g" + "0" * 63,
            "IssuingAccount": f"arn:aws:iam::{OWNER}:root",
            "Operations": sorted({self.pick(OPERATIONS) for _ in range(self.pick((1, 2, 4, 12)))}),
        }
        if self.chance(0.05):
            grant["GranteeServicePrincipal"] = "ec2.amazonaws.com"
        else:
            grant["GranteePrincipal"] = self.pick(
                (
                    f"arn:aws:iam::{TARGET}:root",
                    f"arn:aws:iam::{TARGET}:root",
                    ROLE,
                    PATH_ROLE,
                    USER,
                    SESSION,
                    FEDERATED,
                    f"arn:aws:iam::{OTHER}:root",
                    f"arn:aws:iam::{TARGET}:role/app",
                    "ec2.us-east-1.amazonaws.com",
                    "AROAEXAMPLEEXAMPLE123",
                )
            )
        if self.chance(0.4):
            pairs = self.pick(
                (
                    {"aws:ebs:id": "vol-1"},
                    {"aws:ebs:id": "VOL-1"},
                    {"Department": "IT"},
                    {"aws:ebs:id": "vol-1", "Department": "IT"},
                )
            )
            name = self.pick(("EncryptionContextSubset", "EncryptionContextSubset", "EncryptionContextEquals"))
            grant["Constraints"] = {name: pairs}
        if self.chance(0.05):
            grant.setdefault("Constraints", {})["SourceArn"] = INSTANCE
        return grant

    def other_principal(self, case: Question) -> None:
        case["principal"] = self.principal()
        case.pop("principal_role_arn", None)
        if case["principal"]["arn"] in (SESSION, PATH_SESSION) and self.chance(0.7):
            case["principal_role_arn"] = ROLE if case["principal"]["arn"] == SESSION else PATH_ROLE
