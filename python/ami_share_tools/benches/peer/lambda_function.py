"""The peer: the share of the benches as one would write it in Python with boto3, the function's usual companion.

It does what the benches' share needs and no more: an allowlist, the key policies' plain Allow statements, one write.
Reads that take many ids are asked once, each key once. The clients, their connections and the threads live as long as the
process, and calls that need no other's answer are made at the same time.
"""

import fnmatch
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

AT_ONCE = 32
ec2 = boto3.client("ec2", config=Config(max_pool_connections=AT_ONCE))
kms = boto3.client("kms", config=Config(max_pool_connections=AT_ONCE))
threads = ThreadPoolExecutor(AT_ONCE)

with open(os.environ["AMI_SHARE_ALLOWLIST"].removeprefix("file:")) as file:
    RULES = json.load(file)["rules"]

NEEDED = ("kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncryptFrom")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    image_ids, targets = event["imageIds"], event["accountIds"]
    images = ec2.describe_images(Filters=[{"Name": "image-id", "Values": image_ids}])["Images"]
    described = [image["ImageId"] for image in images]
    permissions = {image_id: threads.submit(shared_with, image_id) for image_id in described}
    snapshot_ids = [
        mapping["Ebs"]["SnapshotId"]
        for image in images
        for mapping in image["BlockDeviceMappings"]
        if "SnapshotId" in mapping.get("Ebs", {})
    ]
    pages = threads.map(snapshots_of, [snapshot_ids[first : first + 200] for first in range(0, len(snapshot_ids), 200)])
    snapshots = [snapshot for page in pages for snapshot in page]
    keys = sorted({snapshot["KmsKeyId"] for snapshot in snapshots if snapshot["Encrypted"]})
    asked = {key: (threads.submit(state, key), threads.submit(policy, key)) for key in keys}
    policies = {
        key: statements.result() if metadata.result() == ("Enabled", "CUSTOMER") else []
        for key, (metadata, statements) in asked.items()
    }
    shared = {image_id: permission.result() for image_id, permission in permissions.items()}

    refusals = [f"{image_id} does not exist" for image_id in image_ids if image_id not in shared]
    for image in images:
        refusals += [
            f"{image['Name']} with {target}: no rule" for target in targets if not allowed(image["Name"], target)
        ]
    for key, statements in policies.items():
        refusals += [f"{key} does not let {target} in" for target in targets if not lets_in(statements, target)]
    if refusals:
        return {"result": "refused", "refusals": refusals}
    missing = {
        image_id: [target for target in targets if target not in already] for image_id, already in shared.items()
    }
    writes = [threads.submit(add, image_id, targets) for image_id, targets in missing.items() if targets]
    for write in writes:
        write.result()
    return {"result": "completed", "images": image_ids}


def shared_with(image_id: str) -> set[str | None]:
    attribute = ec2.describe_image_attribute(ImageId=image_id, Attribute="launchPermission")
    return {permission.get("UserId") for permission in attribute["LaunchPermissions"]}


def add(image_id: str, targets: list[str]) -> None:
    ec2.modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": [{"UserId": target} for target in targets]})


def snapshots_of(ids: list[str]) -> list[dict[str, Any]]:
    return ec2.describe_snapshots(Filters=[{"Name": "snapshot-id", "Values": ids}])["Snapshots"]


def state(key: str) -> tuple[str, str]:
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    return metadata["KeyState"], metadata["KeyManager"]


def policy(key: str) -> list[dict[str, Any]]:
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
