"""A launch as questions to an evaluator: what EC2 asks of the key, for a target as a whole.

EBS guide, "Requirements for Amazon EBS encryption" and "How Amazon EBS encryption works": there are two callers.
Somebody in the target account calls EC2, which calls KMS with a forward access session. And EC2's identity-only role
in the target account decrypts when the volume is attached, under EC2's own grant, so that only a Deny of the key
policy can stop it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ami_share_tools.differential.request import Question
from ami_share_tools.document import Document

ACTIONS = (
    "kms:DescribeKey",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptTo",
)
ALLOW_ALL = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
WORST_FIRST = ("denied", "implicit-deny", "conditional", "allowed")


def principal_of(case: Document) -> Document:
    target = case["target"]
    organization = case.get("organizationId", "unknown")
    paths = case.get("organizationPaths", "unknown")
    if not target.startswith("arn:"):
        return {"account": target, "arn": None, "org_id": organization, "org_paths": paths}
    organization = target.rsplit(":", 1)[1].split("/")[1]
    return {"account": None, "arn": None, "org_id": organization, "org_paths": paths}


def questions(case: Document) -> Iterator[Question]:
    """One question for each action of the first caller, and one for the second."""
    key, principal = case["keyArn"], principal_of(case)
    region, owner = key.split(":")[3:5]
    always = {"aws:SecureTransport": "true", "aws:RequestedRegion": region, "aws:ResourceAccount": owner}
    session = always | {
        "kms:ViaService": f"ec2.{region}.amazonaws.com",
        "aws:ViaAWSService": "true",
        "aws:PrincipalIsAWSService": "false",
    }
    asked = {"policy": case["policy"], "grants": case.get("grants", []), "resource": key, "context_mode": "open"}
    for action in ACTIONS:
        context = session
        if action != "kms:DescribeKey":
            context = context | {"kms:EncryptionContextKeys": ["aws:ebs:id"]}
        if action == "kms:CreateGrant":
            context = context | {
                "kms:GrantIsForAWSResource": "true",
                "kms:GrantConstraintType": "EncryptionContextSubset",
            }
        yield asked | {"principal": principal, "action": action, "context": context}
    role = f"arn:aws:iam::{principal['account']}:role/aws:ec2-infrastructure" if principal["account"] else None
    statements = case["policy"]["Statement"]
    denies = [s for s in (statements if isinstance(statements, list) else [statements]) if s.get("Effect") == "Deny"]
    yield asked | {
        "principal": principal | {"arn": role},
        "action": "kms:Decrypt",
        "context": always,
        "policy": case["policy"] | {"Statement": [*denies, ALLOW_ALL]},
    }


def worst(verdicts: Iterable[str]) -> str:
    return min(verdicts, key=WORST_FIRST.index)


def expected(case: Document) -> str:
    """The verdict of a case from the field in the evaluator's words."""
    verdict: str = case["expected"]
    return "implicit-deny" if verdict == "missing" else verdict
