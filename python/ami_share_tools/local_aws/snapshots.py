"""EC2 snapshots: their KMS key, create volume permissions, and EC2's own refusals."""

import re

from ami_share_tools.document import Document
from ami_share_tools.local_aws import adapter, images, keys
from ami_share_tools.local_aws.adapter import Params, get_account_id, get_region
from ami_share_tools.local_aws.wire import (
    Refusal,
    action,
    applied,
    check_permission,
    done,
    element,
    filters,
    matches,
    members,
    page,
    param,
    permission_items,
    permission_set,
    refuse_dry_run,
    required,
    tag_set,
)

SNAPSHOT_ID = re.compile(r"snap-(?:[0-9a-f]{8}|[0-9a-f]{17})")
FILTERS = {
    "description",
    "encrypted",
    "owner-id",
    "snapshot-id",
    "status",
    "storage-tier",
    "tag-key",
    "volume-id",
    "volume-size",
}


def install() -> None:
    adapter.ec2_actions.update(
        {
            "DescribeSnapshots": action(describe_snapshots),
            "DescribeSnapshotAttribute": action(describe_snapshot_attribute),
            "ModifySnapshotAttribute": action(modify_snapshot_attribute),
            "ResetSnapshotAttribute": action(reset_snapshot_attribute),
        }
    )


def permissions(snapshot: Document) -> list[Document]:
    return snapshot.setdefault("CreateVolumePermissions", [])


def visible(snapshot: Document) -> bool:
    """EC2 API Reference, DescribeSnapshots: public, explicit (named account) and implicit (owner) permissions."""
    account = get_account_id()
    return snapshot["OwnerId"] == account or any(
        e in permissions(snapshot) for e in ({"UserId": account}, {"Group": "all"})
    )


def all_snapshots() -> list[Document]:
    return [s for (_, region, _), s in adapter.snapshots.everywhere() if region == get_region()]


def find(snapshot_id: str) -> Document:
    """EC2 API Reference, Error codes: InvalidSnapshotID.Malformed, InvalidSnapshot.NotFound."""
    if not SNAPSHOT_ID.fullmatch(snapshot_id):
        raise Refusal("InvalidSnapshotID.Malformed", f'Invalid id: "{snapshot_id}"')
    for snapshot in all_snapshots():
        if snapshot["SnapshotId"] == snapshot_id and visible(snapshot):
            return snapshot
    raise Refusal("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")


def own(params: Params) -> Document:
    snapshot = find(required(params, "SnapshotId"))
    if snapshot["OwnerId"] != get_account_id():
        raise Refusal("AuthFailure", f"Not authorized for snapshot:{snapshot['SnapshotId']}")
    return snapshot


# EC2 API Reference, DescribeSnapshots; Snapshot: kmsKeyId is the ARN of the key.


def describe_snapshots(params: Params) -> str:
    ids, wanted = members(params, "SnapshotId"), filters(params, FILTERS)
    for snapshot_id in ids:
        find(snapshot_id)
    owners, restorers = members(params, "Owner"), members(params, "RestorableBy")
    found = [
        s
        for s in all_snapshots()
        if visible(s)
        and (not ids or s["SnapshotId"] in ids)
        and (not owners or s["OwnerId"] in owners or ("self" in owners and s["OwnerId"] == get_account_id()))
        and (not restorers or restorable_by(s, restorers))
        and matches(wanted, facts(s), adapter.tags.get(s["SnapshotId"], []))
    ]
    items, next_token = page(params, found, "SnapshotId")
    return f"<snapshotSet>{''.join(f'<item>{snapshot_xml(s)}</item>' for s in items)}</snapshotSet>{next_token}"


def restorable_by(snapshot: Document, users: list[str]) -> bool:
    accounts = [get_account_id() if u == "self" else u for u in users]
    return ("all" in users and {"Group": "all"} in permissions(snapshot)) or any(
        a == snapshot["OwnerId"] or {"UserId": a} in permissions(snapshot) for a in accounts
    )


def facts(snapshot: Document) -> dict[str, list[str]]:
    return {
        "description": [snapshot["Description"]],
        "encrypted": ["true" if snapshot["Encrypted"] else "false"],
        "owner-id": [snapshot["OwnerId"]],
        "snapshot-id": [snapshot["SnapshotId"]],
        "status": [snapshot["State"]],
        "storage-tier": [snapshot["StorageTier"]],
        "volume-id": [snapshot["VolumeId"]],
        "volume-size": [str(snapshot["VolumeSize"])],
    }


def snapshot_xml(snapshot: Document) -> str:
    return (
        element("snapshotId", snapshot["SnapshotId"])
        + element("volumeId", snapshot["VolumeId"])
        + element("status", snapshot["State"])
        + element("startTime", snapshot["StartTime"])
        + element("progress", snapshot["Progress"])
        + element("ownerId", snapshot["OwnerId"])
        + element("volumeSize", snapshot["VolumeSize"])
        + element("description", snapshot["Description"])
        + element("encrypted", snapshot["Encrypted"])
        + element("kmsKeyId", snapshot.get("KmsKeyId"))
        + element("storageTier", snapshot["StorageTier"])
        + tag_set(snapshot["SnapshotId"])
    )


# Attributes: EC2 API Reference, DescribeSnapshotAttribute, ModifySnapshotAttribute, ResetSnapshotAttribute.


def describe_snapshot_attribute(params: Params) -> str:
    snapshot, attribute = own(params), required(params, "Attribute")
    refuse_dry_run(params)
    head = element("snapshotId", snapshot["SnapshotId"])
    if attribute == "createVolumePermission":
        return head + f"<createVolumePermission>{permission_set(permissions(snapshot))}</createVolumePermission>"
    if attribute == "productCodes":
        return head + "<productCodes/>"
    raise Refusal("InvalidParameterValue", f"Value ({attribute}) for parameter attribute is invalid.")


def modify_snapshot_attribute(params: Params) -> str:
    required(params, "SnapshotId")
    add, remove = create_volume_permission_changes(params)
    if not add and not remove:
        raise Refusal("MissingParameter", "The request must contain create volume permissions to add or remove")
    if add and remove:  # "You cannot do both in a single operation"
        raise Refusal("InvalidParameterCombination", "Create volume permissions can't be added and removed in one call")
    if len(add + remove) > 500:  # "up to 500 modifications to a snapshot in a single operation"
        raise Refusal("ResourceCountExceeded", "A snapshot takes at most 500 modifications in a single operation")
    for entry in add + remove:
        check_permission(entry)
    snapshot = own(params)
    images.refuse_unknown(entry["UserId"] for entry in add + remove if "UserId" in entry)
    if add:
        refuse_what_cannot_be_shared(snapshot, add)
    refuse_dry_run(params)
    snapshot["CreateVolumePermissions"] = applied(permissions(snapshot), add, remove)
    return done()


def create_volume_permission_changes(params: Params) -> tuple[list[Document], list[Document]]:
    """(add, remove), from the structured form or, with Attribute=createVolumePermission, from the flat one."""
    add = permission_items(params, "CreateVolumePermission.Add", ("UserId", "Group"))
    remove = permission_items(params, "CreateVolumePermission.Remove", ("UserId", "Group"))
    flat = [{"UserId": u} for u in members(params, "UserId")] + [{"Group": g} for g in members(params, "UserGroup")]
    if not flat:
        return add, remove
    if add or remove or param(params, "Attribute") != "createVolumePermission":
        raise Refusal(
            "InvalidParameterCombination", "Specify either CreateVolumePermission or Attribute with OperationType"
        )
    direction = required(params, "OperationType")
    if direction not in ("add", "remove"):
        raise Refusal("InvalidParameterValue", f"Value ({direction}) for parameter operationType is invalid.")
    return (flat, []) if direction == "add" else ([], flat)


def refuse_what_cannot_be_shared(snapshot: Document, add: list[Document]) -> None:
    """EBS User Guide, "Share an Amazon EBS snapshot": not on the default key; encrypted ones not publicly."""
    if keys.is_aws_managed(snapshot.get("KmsKeyId")):
        raise Refusal("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
    if snapshot["Encrypted"] and {"Group": "all"} in add:
        raise Refusal("OperationNotPermitted", "Encrypted snapshots can't be shared publicly")


def reset_snapshot_attribute(params: Params) -> str:
    attribute = required(params, "Attribute")
    if attribute != "createVolumePermission":
        raise Refusal("InvalidParameterValue", f"Value ({attribute}) for parameter attribute is invalid.")
    snapshot = own(params)
    refuse_dry_run(params)
    snapshot["CreateVolumePermissions"] = []
    return done()
