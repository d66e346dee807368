"""The stage: the built binary, and an account with images on keys of every sort."""

import json
import subprocess
from urllib.parse import urlsplit

from ami_share_tools.local_aws.deploy import ROOT

PROD, STAGING, BATCH = "111122223333", "444455556666", "222233334444"
OFF_LIST, PARTNER = "777788889999", "555566667777"
UNIT = "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111"


def build():
    """The dev binary's path, from cargo itself (it knows CARGO_TARGET_DIR); its progress goes to the screen."""
    command = ["cargo", "build", "--locked", "--bin", "bootstrap", "--message-format", "json-render-diagnostics"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as cargo:
        messages = [json.loads(line) for line in cargo.stdout]
    if cargo.returncode:
        raise SystemExit("The build failed; cargo says why above.")
    return next(m["executable"] for m in messages if m["reason"] == "compiler-artifact" and m.get("executable"))


def address(aws, url):
    """Where the local AWS answers what AWS answers at the output `ApiUrl`. Not every system knows that names below
    localhost are this machine, so it has none but the loopback address in it."""
    parts = urlsplit(url)
    return f"{aws.endpoint}/_aws/execute-api/{parts.hostname.split('.')[0]}{parts.path}"


def seed(aws):
    """Name → image ID."""

    def golden(name, *keys, **more):
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
            {"ref": "fleet", "alias": "alias/fleet", "policy": unit_policy(aws)},
        ],
        images=[
            golden("golden-web"),
            golden("golden-db", "welcoming"),
            golden("golden-vault", "closed"),
            golden("golden-legacy", "managed"),
            golden("analytics-node", "analytics-root", "analytics-data"),
            golden("analytics-mixed", "analytics-mixed", "managed"),
            golden("fleet-node", "fleet"),
            golden("trial-app"),
            golden("golden-partner", account=PARTNER, launchPermissions=[aws.account]),
        ],
    )
    return {image["ref"]: image["imageId"] for image in made["images"]}


def key_policy(aws, *accounts):
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


def unit_policy(aws):
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


def aws_ebs_policy(aws):
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
