"""The stage: an account with images on keys of every sort, and the template deployed there."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ami_share_tools.document import Document
from ami_share_tools.local_aws.client import Aws, LocalAws
from ami_share_tools.local_aws.deploy import deploy
from ami_share_tools.repository import ALLOWLIST

PROD, STAGING, BATCH = "111122223333", "444455556666", "222233334444"
OFF_LIST, PARTNER = "777788889999", "555566667777"
AWAY = "eu-central-1"
COPY_KEY = "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"  # the allowlist names it
UNIT = "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111"


@dataclass
class Stage:
    """A local AWS with the demo's images, and the outputs of the stack that is deployed there."""

    aws: Aws
    stack: dict[str, str]
    images: dict[str, str]


@contextmanager
def deployed(binary: Path, switched_on: bool = False) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory() as folder, LocalAws(Path(folder) / "local-aws.log") as aws:
        stack = deploy(aws, binary, ALLOWLIST, **switches(aws) if switched_on else {})
        yield Stage(aws, stack, seed(aws))


def switches(aws: Aws) -> dict[str, str]:
    """The parameters by which the function makes grants and copies, and waits for approvals."""
    return {
        "EnableKeyGrants": "true",
        "KeyArns": f"arn:aws:kms:{aws.region}:{aws.account}:key/*",  # made after the stack; name yours
        "EnableApprovals": "true",
        "EnableCopies": "true",
        "CopySourceRegions": f"{aws.region},{AWAY}",
        "CopyKeyArns": COPY_KEY,
    }


def address(aws: Aws, url: str) -> str:
    """Where the local AWS answers what AWS answers at the output `ApiUrl`. Not every system knows that names below
    localhost are this machine, so it has none but the loopback address in it."""
    parts = urlsplit(url)
    return f"{aws.endpoint}/_aws/execute-api/{parts.netloc.split('.')[0]}{parts.path}"


def seed(aws: Aws) -> dict[str, str]:
    """Name → image ID."""

    def golden(name: str, *keys: str, **more: Any) -> Document:
        """An image with a volume on each key; without a key one volume that is not encrypted."""
        volumes = [
            {"device": f"/dev/sd{letter}", "snapshot": {"key": key} if key else {}}
            for letter, key in zip("abc", keys or [None])
        ]
        return {"ref": name, "name": name, "tags": {"Tier": "gold"}, "mappings": volumes} | more

    made = aws.seed(
        keys=[
            {"ref": "welcoming", "alias": "alias/golden", "policy": key_policy(aws, PROD)},
            {"ref": "closed", "alias": "alias/vault", "policy": key_policy(aws)},
            {"ref": "managed", "alias": "alias/aws/ebs", "manager": "AWS", "policy": aws_ebs_policy(aws)},
            *(
                {"ref": name, "alias": f"alias/{name}", "policy": key_policy(aws)}
                for name in ("analytics-root", "analytics-data", "analytics-mixed")
            ),
            {"id": COPY_KEY.rpartition("/")[2], "alias": "alias/copies", "policy": key_policy(aws, PROD)},
            {"ref": "fleet", "alias": "alias/fleet", "policy": unit_policy(aws)},
        ],
        images=[
            golden("golden-web", usage=usage()),
            golden("golden-db", "welcoming"),
            golden("golden-vault", "closed"),
            golden("golden-legacy", "managed"),
            golden("analytics-node", "analytics-root", "analytics-data"),
            golden("analytics-mixed", "analytics-mixed", "managed"),
            golden("fleet-node", "fleet"),
            golden("trial-app"),
            golden("licensed-app"),
            golden("golden-away", region=AWAY),
            golden("golden-partner", account=PARTNER, launchPermissions=[aws.account]),
        ],
    )
    return {image["ref"]: image["imageId"] for image in made["images"]}


def usage() -> list[Document]:
    """Who uses an image: what EC2 finds out when a report is asked for."""
    return [
        {"account": PROD, "resourceType": "ec2:Instance", "count": 3},
        {"account": PROD, "resourceType": "ec2:LaunchTemplate", "count": 1},
        {"account": PARTNER, "resourceType": "ec2:Instance", "count": 2},
    ]


def key_policy(aws: Aws, *accounts: str) -> Document:
    """A customer managed key's policy; the statements for other accounts are those of the EBS User Guide, "Share the
    KMS key used to encrypt a shared Amazon EBS snapshot"."""
    statements = [
        {
            "Sid": "Owner",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ]
    for account in accounts:
        principal = {"AWS": f"arn:aws:iam::{account}:root"}
        statements += [
            {
                "Sid": "AllowUse",
                "Effect": "Allow",
                "Principal": principal,
                "Resource": "*",
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            },
            {
                "Sid": "AllowAttachment",
                "Effect": "Allow",
                "Principal": principal,
                "Resource": "*",
                "Action": ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"],
                "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
            },
        ]
    return {"Version": "2012-10-17", "Statement": statements}


def unit_policy(aws: Aws) -> Document:
    """A key policy with the sample statement that the EC2 User Guide gave in 2023 for organizational units, "Allow
    organizations and OUs to use a KMS key"."""
    policy = key_policy(aws)
    policy["Statement"].append(
        {
            "Sid": "Allow access for a unit",
            "Effect": "Allow",
            "Principal": "*",
            "Resource": "*",
            "Action": [
                "kms:Describe*",
                "kms:List*",
                "kms:Get*",
                "kms:Encrypt",
                "kms:Decrypt",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
            ],
            "Condition": {
                "StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"},
                "ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"},
            },
        }
    )
    return policy


def aws_ebs_policy(aws: Aws) -> Document:
    """The policy AWS gives its own key for EBS; nobody can change it."""
    return {
        "Version": "2012-10-17",
        "Id": "auto-ebs-2",
        "Statement": [
            {
                "Sid": "Allow access through EBS for all principals in the account that are authorized to use EBS",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Resource": "*",
                "Action": [
                    "kms:Encrypt",
                    "kms:Decrypt",
                    "kms:ReEncrypt*",
                    "kms:GenerateDataKey*",
                    "kms:CreateGrant",
                    "kms:DescribeKey",
                ],
                "Condition": {
                    "StringEquals": {
                        "kms:ViaService": f"ec2.{aws.region}.amazonaws.com",
                        "kms:CallerAccount": aws.account,
                    }
                },
            },
            {
                "Sid": "Allow direct access to key metadata to the account",
                "Effect": "Allow",
                "Resource": "*",
                "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"},
                "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
            },
        ],
    }
