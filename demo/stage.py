"""The stage: the built binary, and an account with images on keys of every sort."""

import json
import subprocess

from local_aws.deploy import ROOT

PROD, STAGING, OFF_LIST, PARTNER = "111122223333", "444455556666", "777788889999", "555566667777"


def build():
    """The dev binary's path, from cargo itself (it knows CARGO_TARGET_DIR); its progress goes to the screen."""
    command = ["cargo", "build", "--locked", "--bin", "bootstrap", "--message-format", "json-render-diagnostics"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as cargo:
        messages = [json.loads(line) for line in cargo.stdout]
    if cargo.returncode:
        raise SystemExit("The build failed; cargo says why above.")
    return next(m["executable"] for m in messages if m["reason"] == "compiler-artifact" and m.get("executable"))


def seed(aws):
    """Name → image ID."""
    def golden(name, key=None, **more):
        volume = {"device": "/dev/xvda", "snapshot": {"key": key} if key else {}}
        return {"ref": name, "name": name, "tags": {"Tier": "gold"}, "mappings": [volume]} | more

    made = aws.seed(
        keys=[
            {"ref": "welcoming", "alias": "alias/golden", "policy": key_policy(aws, PROD)},
            {"ref": "closed", "alias": "alias/vault", "policy": key_policy(aws)},
            {"ref": "managed", "alias": "alias/aws/ebs", "manager": "AWS", "policy": aws_ebs_policy(aws)},
        ],
        images=[
            golden("golden-web"),
            golden("golden-db", "welcoming"),
            golden("golden-vault", "closed"),
            golden("golden-legacy", "managed"),
            golden("golden-partner", account=PARTNER, launchPermissions=[aws.account]),
        ])
    return {image["ref"]: image["imageId"] for image in made["images"]}


def key_policy(aws, *accounts):
    """A customer managed key's policy; the statements for other accounts are those of the EBS User Guide, "Share the
    KMS key used to encrypt a shared Amazon EBS snapshot"."""
    statements = [{"Sid": "Owner", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"},
                   "Action": "kms:*", "Resource": "*"}]
    for account in accounts:
        principal = {"AWS": f"arn:aws:iam::{account}:root"}
        statements += [
            {"Sid": "AllowUse", "Effect": "Allow", "Principal": principal, "Resource": "*",
             "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]},
            {"Sid": "AllowAttachment", "Effect": "Allow", "Principal": principal, "Resource": "*",
             "Action": ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"],
             "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}},
        ]
    return {"Version": "2012-10-17", "Statement": statements}


def aws_ebs_policy(aws):
    """The policy AWS gives its own key for EBS; nobody can change it."""
    return {"Version": "2012-10-17", "Id": "auto-ebs-2", "Statement": [
        {"Sid": "Allow access through EBS for all principals in the account that are authorized to use EBS",
         "Effect": "Allow", "Principal": {"AWS": "*"}, "Resource": "*",
         "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey"],
         "Condition": {"StringEquals": {"kms:ViaService": f"ec2.{aws.region}.amazonaws.com",
                                        "kms:CallerAccount": aws.account}}},
        {"Sid": "Allow direct access to key metadata to the account", "Effect": "Allow", "Resource": "*",
         "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"},
         "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"]},
    ]}
