"""Questions about key policies: made up from parts that nearly fit each other, or mutated from published cases.

Everything comes from one seeded random source, so that a seed and a number name a question.
"""

from __future__ import annotations

import base64
import copy
import json
import random

from .evaluator import is_carried

TARGET, OWNER, OTHER = "444455556666", "111122223333", "777788889999"
REGION = "us-east-1"
KEY = f"arn:aws:kms:{REGION}:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ORGANIZATION, UNIT = "o-a1b2c3d4e5", "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"
CHILD = UNIT + "ou-ab12-22222222/"
ROLE = f"arn:aws:iam::{TARGET}:role/App"
PATH_ROLE = f"arn:aws:iam::{TARGET}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
SESSION = f"arn:aws:sts::{TARGET}:assumed-role/App/deploy"
PATH_SESSION = f"arn:aws:sts::{TARGET}:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling"
USER = f"arn:aws:iam::{TARGET}:user/Bob"
FEDERATED = f"arn:aws:sts::{TARGET}:federated-user/Eve"
INSTANCE = f"arn:aws:ec2:{REGION}:{TARGET}:instance/i-0abc"
INFRASTRUCTURE = f"arn:aws:iam::{TARGET}:role/aws:ec2-infrastructure"

ACTIONS = (
    "kms:Decrypt",
    "kms:CreateGrant",
    "kms:DescribeKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GenerateDataKey",
    "kms:Encrypt",
)
RARE_ACTIONS = (
    "kms:ListGrants",
    "kms:RevokeGrant",
    "kms:GetPublicKey",
    "kms:Sign",
    "kms:ScheduleKeyDeletion",
    "kms:PutKeyPolicy",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
)
LAUNCH = (
    "kms:DescribeKey",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptTo",
)
OPERATIONS = (
    "Encrypt",
    "Decrypt",
    "ReEncryptFrom",
    "ReEncryptTo",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "DescribeKey",
    "CreateGrant",
)

# Key -> type, values as requests carry them.
KEYS = {
    "kms:ViaService": ("string", ("ec2.us-east-1.amazonaws.com", "rds.us-east-1.amazonaws.com")),
    "kms:GrantConstraintType": ("string", ("EncryptionContextSubset", "EncryptionContextEquals")),
    "kms:EncryptionContext:aws:ebs:id": ("string", ("vol-1", "snap-069a655b568de654f")),
    "kms:EncryptionAlgorithm": ("string", ("SYMMETRIC_DEFAULT",)),
    "kms:RequestAlias": ("string", ("alias/images",)),
    "kms:KeySpec": ("string", ("SYMMETRIC_DEFAULT",)),
    "aws:RequestedRegion": ("string", (REGION,)),
    "aws:PrincipalTag/team": ("string", ("blue", TARGET)),
    "aws:PrincipalTag/home": ("string", ("blue", "")),
    "aws:RequestTag/owner": ("string", ("blue",)),
    "aws:ResourceTag/env": ("string", ("prod", "test")),
    "aws:SourceVpce": ("string", ("vpce-1",)),
    "aws:SourceAccount": ("string", (TARGET,)),
    "aws:ResourceAccount": ("string", (OWNER,)),
    "custom:thing": ("string", ("x",)),
    "kms:GranteePrincipal": ("arn", (PATH_ROLE, USER)),
    "aws:SourceArn": ("arn", (INSTANCE, f"arn:aws:rds:{REGION}:{TARGET}:db:a:b")),
    "kms:GrantIsForAWSResource": ("bool", ("true", "false")),
    "aws:SecureTransport": ("bool", ("true",)),
    "aws:MultiFactorAuthPresent": ("bool", ("true", "false")),
    "aws:PrincipalIsAWSService": ("bool", ("false",)),
    "aws:ViaAWSService": ("bool", ("true", "false")),
    "kms:ReEncryptOnSameKey": ("bool", ("true", "false")),
    "aws:MultiFactorAuthAge": ("number", ("60", "3600", "59.5")),
    "custom:count": ("number", ("60", "61", "0")),
    "aws:CurrentTime": ("date", ("2026-01-01T00:00:00Z", "2026-06-01T12:30:00Z")),
    "aws:TokenIssueTime": ("date", ("2026-01-01T00:00:00Z",)),
    "aws:EpochTime": ("date", ("1767225600",)),
    "aws:SourceIp": ("ip", ("203.0.113.7", "198.51.100.7", "2001:db8::1")),
    "custom:blob": ("binary", (base64.b64encode(b"blob").decode(),)),
    "kms:GrantOperations": ("strings", (["Decrypt", "Encrypt"], ["Decrypt"], ["CreateGrant", "Decrypt"], [])),
    "kms:EncryptionContextKeys": ("strings", (["aws:ebs:id"], ["aws:ebs:id", "Purpose"], [])),
    "aws:CalledVia": ("strings", (["ec2.amazonaws.com"], ["cloudformation.amazonaws.com", "ec2.amazonaws.com"])),
    "aws:TagKeys": ("strings", (["owner"],)),
    "kms:ResourceAliases": ("strings", (["alias/images"], ["alias/images", "alias/old"])),
    # Derived from who asks; never in a context.
    "kms:CallerAccount": ("string", (TARGET, OWNER)),
    "aws:PrincipalAccount": ("string", (TARGET, OTHER)),
    "aws:PrincipalArn": ("arn", (ROLE, PATH_ROLE, USER, INFRASTRUCTURE, f"arn:aws:iam::{OTHER}:role/App")),
    "aws:PrincipalOrgID": ("string", (ORGANIZATION, "o-zzzzzzzzzz")),
    "aws:PrincipalOrgPaths": ("strings", ([UNIT], [CHILD], ["o-a1b2c3d4e5/r-ab12/"])),
}
DERIVED = (
    "kms:CallerAccount",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
)
IN_CONTEXT = tuple(key for key in KEYS if key not in DERIVED)
NAMES = {key.lower(): key for key in IN_CONTEXT}
# Of few types there are many keys; these are the others.
TYPED = tuple(key for key, (kind, _) in KEYS.items() if kind in ("number", "date", "ip", "binary", "arn"))
KEY_NAMES = (
    tuple(KEYS)
    + DERIVED
    + (
        "kms:ViaService",
        "kms:GrantIsForAWSResource",
        "aws:PrincipalOrgID",
        "aws:PrincipalOrgPaths",
        "aws:PrincipalArn",
        "kms:EncryptionContext:aws:ebs:id",
    )
)

# What EC2 sends when somebody launches an instance; so that usual statements are met often.
SENT_BY_EC2 = {
    "kms:ViaService": f"ec2.{REGION}.amazonaws.com",
    "kms:GrantIsForAWSResource": "true",
    "aws:ViaAWSService": "true",
    "aws:PrincipalIsAWSService": "false",
    "aws:SecureTransport": "true",
    "aws:RequestedRegion": REGION,
    "aws:ResourceAccount": OWNER,
    "kms:GrantConstraintType": "EncryptionContextSubset",
    "kms:EncryptionContextKeys": ["aws:ebs:id"],
}

STRINGS = (
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
)
FAMILIES = {
    "string": STRINGS,
    "strings": STRINGS,
    "arn": ("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "StringEquals", "StringLike", "StringNotLike"),
    "bool": ("Bool", "Bool", "Bool", "StringEquals", "StringNotEquals"),
    "number": (
        "NumericEquals",
        "NumericNotEquals",
        "NumericLessThan",
        "NumericLessThanEquals",
        "NumericGreaterThan",
        "NumericGreaterThanEquals",
    ),
    "date": (
        "DateEquals",
        "DateNotEquals",
        "DateLessThan",
        "DateLessThanEquals",
        "DateGreaterThan",
        "DateGreaterThanEquals",
    ),
    "ip": ("IpAddress", "NotIpAddress"),
    "binary": ("BinaryEquals",),
}
LISTED = (
    TARGET,
    f"arn:aws:iam::{TARGET}:root",
    OWNER,
    f"arn:aws:iam::{OWNER}:root",
    f"arn:aws:iam::{OTHER}:root",
    ROLE,
    PATH_ROLE,
    f"arn:aws:iam::{TARGET}:role/app",
    f"arn:aws:iam::{TARGET}:role/team/App",
    f"arn:aws:iam::{OTHER}:role/App",
    USER,
    f"arn:aws:iam::{TARGET}:user/bob",
    SESSION,
    f"arn:aws:sts::{TARGET}:assumed-role/App/other",
    PATH_SESSION,
    FEDERATED,
    INFRASTRUCTURE,
    f"arn:aws:iam::{TARGET}:role/*",
    f"arn:aws:iam::{TARGET}:*",
    f"arn:aws:iam::{TARGET}:group/Ops",
    "AROAEXAMPLEEXAMPLE123",
    "AIDAEXAMPLEEXAMPLE123",
    f"arn:aws:iam::{OWNER}:role/Admin",
)
SERVICES = ("ec2.amazonaws.com", "autoscaling.amazonaws.com")


class Generator:
    def __init__(self, seed, cases=()):
        self.random = random.Random(seed)
        self.cases = cases

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, choices):
        return choices[int(self.random.random() * len(choices))]

    def few(self, choices, most=3):
        """A list of one or more, or, as the grammar lets it, the one alone."""
        if self.chance(0.6):
            value = self.pick(choices)
            return value if self.chance(0.6) else [value]
        return [self.pick(choices) for _ in range(self.random.randint(2, most))]

    def questions(self):
        """A few questions about one policy, as `explain_key_policy` reads them."""
        question = self.mutated() if self.cases and self.chance(0.25) else self.made()
        yield self.possible(question)
        for _ in range(7):
            other = question | {"context_mode": self.pick(("open", "closed"))}
            if self.chance(0.3):
                other["needed_actions"] = list(self.pick((LAUNCH, ACTIONS)))
                other.pop("action", None)
            elif self.chance(0.6) and "action" in other:
                other["action"] = self.pick(ACTIONS)
            if self.chance(0.6):
                self.other_principal(other)
            if self.chance(0.5):
                other["context"] = self.context(other["policy"])
            yield self.possible(other)

    def possible(self, question):
        """Without what no request of the action carries. What only CreateGrant carries stays beside other actions."""
        actions = question.get("needed_actions") or [question["action"]]
        context = {
            key: value
            for key, value in question["context"].items()
            if all(is_carried(key.lower(), action[4:]) for action in actions)
            or "kms:CreateGrant" in actions
            and is_carried(key.lower(), "CreateGrant")
        }
        return question | {"context": context}

    def made(self):
        question = {"resource": KEY}
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

    def principal(self):
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

    def context(self, policy=None):
        """Some keys, and of those that the policy's conditions name about half."""
        context = {}
        named = [key for key in NAMES if key in json.dumps(policy).lower()] if policy else []
        keys = [self.pick(IN_CONTEXT) for _ in range(self.pick((0, 0, 1, 2, 3, 6)))]
        for key in keys + [NAMES[name] for name in named if self.chance(0.5)]:
            context[self.spelled(key)] = None if self.chance(0.2) else copy.copy(self.pick(KEYS[key][1]))
        if self.chance(0.3):
            sent = dict(list(SENT_BY_EC2.items())[: self.pick((2, 2, len(SENT_BY_EC2)))])
            context = {key: value for key, value in context.items() if key.lower() not in map(str.lower, sent)} | sent
        seen = set()
        return {key: value for key, value in context.items() if not (key.lower() in seen or seen.add(key.lower()))}

    def spelled(self, key):
        return self.pick((key.lower(), key.upper(), key.swapcase())) if self.chance(0.05) else key

    def policy(self, question):
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
        policy = {"Statement": statements if len(statements) > 1 or self.chance(0.9) else statements[0]}
        version = self.pick(("2012-10-17",) * 6 + ("2008-10-17", None))
        if version:
            policy["Version"] = version
        return policy

    def statement(self, question):
        action = question.get("action") or self.pick(question["needed_actions"])
        statement = {"Effect": self.pick(("Allow", "Allow", "Allow", "Deny", "Deny"))}
        if self.chance(0.01):
            statement["Effect"] = self.pick(("allow", "DENY", "Permit"))
        if statement["Effect"] == "Deny" and self.chance(0.25) or self.chance(0.01):
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

    def principals(self, may_be_all):
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
        kinds = {}
        if self.chance(0.9):
            kinds["AWS"] = self.few(LISTED, 4)
        if self.chance(0.2):
            kinds["Service"] = self.few(SERVICES)
        if self.chance(0.05):
            kinds["Federated"] = "cognito-identity.amazonaws.com"
        return kinds or {"AWS": TARGET}

    def actions(self, action):
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

    def resources(self):
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
                f"arn:aws:kms:{REGION}:{OWNER}:key/${{aws:PrincipalTag/team}}",
                f"arn:aws:kms:{REGION}:{OWNER}:*",
                "1234abcd-12ab-34cd-56ef-1234567890ab",
            )
        )

    def conditions(self, question):
        condition = {}
        for _ in range(self.pick((1, 1, 1, 2, 2, 3))):
            operator, key, values = self.condition(question)
            condition.setdefault(operator, {})[self.spelled(key)] = values
        return condition

    def condition(self, question):
        given = [key for key in question["context"]] + list(DERIVED)
        key = self.pick(given) if self.chance(0.5) else self.pick(KEY_NAMES) if self.chance(0.7) else self.pick(TYPED)
        kind, values = next((entry for name, entry in KEYS.items() if name.lower() == key.lower()), ("string", ()))
        if self.chance(0.07):
            return "Null", key, self.pick(("true", "false", True, False, ["true", "false"]))
        operator = self.pick(FAMILIES[kind])
        if kind == "strings" and self.chance(0.97) or self.chance(0.04):
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

    def wanted(self, kind, value):
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
                    f"arn:aws:iam::${{aws:PrincipalAccount}}:role/App",
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

    def grant(self):
        grant = {
            "KeyId": KEY,
            "GrantId": "g" + "0" * 63,
            "IssuingAccount": f"arn:aws:iam::{OWNER}:root",
            "Operations": sorted(set(self.pick(OPERATIONS) for _ in range(self.pick((1, 2, 4, 12))))),
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

    # ------------------------------------------------------------------------------------- mutations of published cases

    def mutated(self):
        case = json.loads(self.pick(self.cases))
        for _ in range(self.pick((1, 1, 2, 3))):
            self.pick(
                (
                    self.other_mode,
                    self.other_principal,
                    self.other_action,
                    self.other_context,
                    self.another_statement,
                    self.without_statement,
                    self.flipped,
                    self.other_condition,
                    self.without_condition,
                    self.other_version,
                    self.a_grant,
                    self.other_element,
                    self.respelled,
                )
            )(case)
        return case

    def statements(self, case):
        statements = case["policy"].get("Statement") or []
        return statements if isinstance(statements, list) else [statements]

    def other_mode(self, case):
        case["context_mode"] = self.pick(("open", "closed"))

    def other_principal(self, case):
        case["principal"] = self.principal()
        case.pop("principal_role_arn", None)
        if case["principal"]["arn"] in (SESSION, PATH_SESSION) and self.chance(0.7):
            case["principal_role_arn"] = ROLE if case["principal"]["arn"] == SESSION else PATH_ROLE

    def other_action(self, case):
        case.pop("needed_actions", None)
        case["action"] = self.pick(ACTIONS)

    def other_context(self, case):
        given = {key.lower() for key in case["context"]}
        if case["context"] and self.chance(0.5):
            del case["context"][self.pick(list(case["context"]))]
        else:
            case["context"].update({key: value for key, value in self.context().items() if key.lower() not in given})

    def another_statement(self, case):
        case["policy"]["Statement"] = self.statements(case) + [self.statement(case)]

    def without_statement(self, case):
        statements = self.statements(case)
        if len(statements) > 1:
            del statements[self.random.randrange(len(statements))]

    def flipped(self, case):
        for statement in self.statements(case)[:1]:
            statement["Effect"] = "Deny" if statement.get("Effect") == "Allow" else "Allow"

    def other_condition(self, case):
        for statement in self.statements(case):
            if self.chance(0.5):
                operator, key, values = self.condition(case)
                statement.setdefault("Condition", {}).setdefault(operator, {})[key] = values

    def without_condition(self, case):
        for statement in self.statements(case):
            statement.pop("Condition", None)

    def other_version(self, case):
        case["policy"]["Version"] = self.pick(("2012-10-17", "2008-10-17"))

    def a_grant(self, case):
        case["grants"] = (case.get("grants") or []) + [self.grant()]

    def other_element(self, case):
        for statement in self.statements(case)[-1:]:
            name = self.pick(("Principal", "Action", "Resource"))
            for element in (name, "Not" + name):
                statement.pop(element, None)
            made = self.statement(case)
            statement.update({element: made[element] for element in (name, "Not" + name) if element in made})

    def respelled(self, case):
        """IfExists and set operators where there were none, and the other way round."""
        for statement in self.statements(case):
            for operator in list(statement.get("Condition") or ()):
                keys = statement["Condition"].pop(operator)
                plain = operator.rpartition(":")[2]
                other = self.pick(
                    (
                        operator.removesuffix("IfExists"),
                        operator if "IfExists" in operator or operator == "Null" else operator + "IfExists",
                        "ForAnyValue:" + plain,
                        "ForAllValues:" + plain,
                        operator.replace("Equals", "NotEquals") if "Not" not in operator else operator,
                    )
                )
                statement["Condition"].setdefault(other, {}).update(keys)
