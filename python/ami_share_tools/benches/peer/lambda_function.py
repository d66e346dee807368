"""The peer: the share of the benches as one would write it in Python with boto3, the function's usual companion.

It does what the benches' share needs and no more: an allowlist, the key policies' plain Allow statements, one write.
Reads that take many ids are asked once, each key once, the clients live as long as the process.
"""

import fnmatch
import json
import os
from typing import Any

import boto3

ec2 = boto3.client("ec2")
kms = boto3.client("kms")

with open(os.environ["AMI_SHARE_ALLOWLIST"].removeprefix("file:")) as file:
    RULES = json.load(file)["rules"]

NEEDED = ("kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncryptFrom")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    image_ids, targets = event["imageIds"], event["accountIds"]
    images = ec2.describe_images(Filters=[{"Name": "image-id", "Values": image_ids}])["Images"]
    shared = {image["ImageId"]: shared_with(image["ImageId"]) for image in images}
    snapshot_ids = [
        mapping["Ebs"]["SnapshotId"]
        for image in images
        for mapping in image["BlockDeviceMappings"]
        if "SnapshotId" in mapping.get("Ebs", {})
    ]
    snapshots = []
    for first in range(0, len(snapshot_ids), 200):
        values = snapshot_ids[first : first + 200]
        snapshots += ec2.describe_snapshots(Filters=[{"Name": "snapshot-id", "Values": values}])["Snapshots"]
    policies = {
        key: policy(key) for key in sorted({snapshot["KmsKeyId"] for snapshot in snapshots if snapshot["Encrypted"]})
    }

    refusals = [f"{image_id} does not exist" for image_id in image_ids if image_id not in shared]
    for image in images:
        refusals += [
            f"{image['Name']} with {target}: no rule" for target in targets if not allowed(image["Name"], target)
        ]
    for key, statements in policies.items():
        refusals += [f"{key} does not let {target} in" for target in targets if not lets_in(statements, target)]
    if refusals:
        return {"result": "refused", "refusals": refusals}
    for image_id, already in shared.items():
        missing = [{"UserId": target} for target in targets if target not in already]
        if missing:
            ec2.modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": missing})
    return {"result": "completed", "images": image_ids}


def shared_with(image_id: str) -> set[str | None]:
    attribute = ec2.describe_image_attribute(ImageId=image_id, Attribute="launchPermission")
    return {permission.get("UserId") for permission in attribute["LaunchPermissions"]}


def policy(key: str) -> list[dict[str, Any]]:
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    if metadata["KeyState"] != "Enabled" or metadata["KeyManager"] != "CUSTOMER":
        return []
    return json.loads(kms.get_key_policy(KeyId=key)["Policy"])["Statement"]


def allowed(name: str, target: str) -> bool:
    return any(
        "share" in rule["actions"]
        and target in rule["targets"]
        and any(fnmatch.fnmatchcase(name, pattern) for pattern in rule["images"]["names"])
        for rule in RULES
    )


def lets_in(statements: list[dict[str, Any]], target: str) -> bool:
    root = f"arn:aws:iam::{target}:root"
    for_target = [
        statement["Action"]
        for statement in statements
        if statement["Effect"] == "Allow" and root in listed(statement["Principal"]["AWS"])
    ]
    return all(
        any(fnmatch.fnmatchcase(action, pattern) for patterns in for_target for pattern in listed(patterns))
        for action in NEEDED
    )


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
