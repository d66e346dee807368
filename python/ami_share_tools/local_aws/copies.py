"""Copies of images: EC2 API Reference, CopyImage; EC2 User Guide, "Copy an Amazon EC2 AMI", "How Amazon EC2 AMI copy works"
and "Use encryption with EBS-backed AMIs".

CopyImage is called in the destination Region. It answers with a pending image, which becomes available or fails when a test
says so, or after the setting `copySeconds`.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from ami_share_tools.document import Document
from ami_share_tools.local_aws import (
    access,
    adapter,
    client_tokens,
    ebs_encryption,
    image_events,
    images,
    key_use,
    later,
    settings,
    shared_tags,
    snapshots,
)
from ami_share_tools.local_aws.adapter import Params, Place, get_account_id, get_region, request_scope
from ami_share_tools.local_aws.wire import (
    Refusal,
    Tags,
    action,
    element,
    param,
    refuse_dry_run,
    required,
    tag_specifications,
)

# The reasons are EC2's own words for a key that doesn't exist and for one that isn't to be used, as people met them
# (github.com/hashicorp/packer/issues/6599, github.com/aws-samples/aws-backup-automation/issues/2). The code isn't documented.
REASON_CODE = "Client.InternalError"
NO_SUCH_KEY = "Copy image failed with an internal error."
KEY_NOT_ACCESSIBLE = (
    "AMI snapshot copy failed with error: Given key ID is not accessible. You must have DescribeKey"
    " permissions on the default CMK"
)

KEPT = ("Architecture", "RootDeviceType", "RootDeviceName", "VirtualizationType")
NOT_HERE = (
    "DestinationAvailabilityZone",
    "DestinationAvailabilityZoneId",
    "DestinationOutpostArn",
    "SnapshotCopyCompletionDurationMinutes",
)


@dataclass
class Volume:
    """One mapping of the source; with a snapshot if it has one, and the key of that snapshot's copy."""

    mapping: Document
    source: Document | None = None
    key: str | None = None


@dataclass
class Work:
    """What is still to be done for a pending copy."""

    volumes: list[Volume]
    snapshot_tags: Tags
    failure: str | None = field(default=None)


# By the copy's ID, pending ones only; the source's ID by the copy's, of every copy that ever was; how many copies of an image
# there ever were, by account, destination and source.
_WORK: dict[str, Work] = {}
_SOURCES: dict[str, str] = {}
_MADE: dict[tuple[str, str, str, str], int] = {}


def install() -> None:
    adapter.ec2_actions["CopyImage"] = action(copy_image)


def clear() -> None:
    for store in (_WORK, _SOURCES, _MADE):
        store.clear()


def forget(parts: Iterable[str]) -> None:
    """Forget every copy, also deregistered ones, whose ID or whose source's ID contains one of these."""
    gone = {copy: source for copy, source in _SOURCES.items() if any(part in copy or part in source for part in parts)}
    client_tokens.forget(gone)
    for copy in gone:
        _WORK.pop(copy, None)
        del _SOURCES[copy]
    for key in [key for key in _MADE if key[-1] in gone.values()]:
        del _MADE[key]


# The call.


def copy_image(params: Params) -> str:
    region, source_id, name = (required(params, field) for field in ("SourceRegion", "SourceImageId", "Name"))
    check_parameters(params, region, name)
    tags = tag_specifications(params, {"image", "snapshot"})
    refuse_unless_allowed(params, tags)
    refuse_dry_run(params)
    before = client_tokens.earlier(params)
    if before:
        return element("imageId", before)
    with request_scope(get_account_id(), region):
        source = readable(source_id)
        stored = {snapshot["SnapshotId"]: snapshot for snapshot in images.snapshots(source)}
        copied_tags = [tag for tag in shared_tags.visible(source) if not tag["Key"].startswith("aws:")]
    refuse_taken(name)
    refuse_too_many()
    made = pending(params, region, source)
    volumes = [volume(mapping, stored, params, source, region) for mapping in source.get("BlockDeviceMappings") or []]
    work = _WORK[made["ImageId"]] = Work(volumes, tags.get("snapshot", []), refused_key(volumes))
    _SOURCES[made["ImageId"]] = source_id
    adapter.images[made["ImageId"]] = made
    new = {tag["Key"]: tag for tag in (copied_tags if flag(params, "CopyImageTags") else []) + tags.get("image", [])}
    adapter.tags[made["ImageId"]] = list(new.values())
    client_tokens.keep(params, made["ImageId"])
    owner, destination = get_account_id(), get_region()
    # An image of this ID may be made anew in the meantime.
    later.after(
        settings.CURRENT["copySeconds"],
        lambda: finish(owner, destination, made["ImageId"]) if _WORK.get(made["ImageId"]) is work else None,
    )
    return element("imageId", made["ImageId"])


def flag(params: Params, name: str) -> bool:
    return param(params, name).lower() == "true"


def check_parameters(params: Params, region: str, name: str) -> None:
    for given in NOT_HERE:
        if param(params, given):
            raise Refusal("UnsupportedOperation", f"The local AWS knows no {given}")
    if not adapter.ami_name.match(name):
        raise Refusal(
            "InvalidAMIName.Malformed",
            "AMI names must be between 3 and 128 characters long, and may only contain"
            " letters, numbers, and the following special characters: ( ) [ ] . / - ' @ _",
        )
    if len(param(params, "Description")) > 255:
        raise Refusal("InvalidParameterValue", "A description has at most 255 characters")
    if param(params, "KmsKeyId") and not flag(params, "Encrypted"):
        # "If you specify a KMS key, you must also set the encrypted state to true." Error codes: InvalidParameterDependency.
        raise Refusal(
            "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set."
        )
    if partition(region) != partition(
        get_region()
    ):  # "Cross-partition copies" are not supported; which error isn't said
        raise Refusal("InvalidParameterValue", f"Value ({region}) for parameter sourceRegion is invalid.")


def partition(region: str) -> str:
    """AWS General Reference, "Amazon Resource Names": aws, aws-cn, aws-us-gov."""
    return next((p for start, p in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")) if region.startswith(start)), "aws")


def refuse_unless_allowed(params: Params, tags: dict[str, Tags]) -> None:
    """EC2 User Guide, "Grant permissions to copy Amazon EC2 AMIs" and "Grant permission to tag Amazon EC2 resources during
    creation"; Service Authorization Reference, CopyImage: image and snapshot. MiniStack has asked for the source image; the
    new image has neither an owner nor an ID yet."""
    new = {kind: f"arn:aws:ec2:{get_region()}::{kind}/*" for kind in ("image", "snapshot")}
    for kind, arn in new.items():
        access.refuse_unless_allowed("ec2:CopyImage", arn, access.tag_keys(tags.get(kind, [])))
    tagged = set(tags) | ({"image"} if flag(params, "CopyImageTags") else set())
    for kind in sorted(tagged):
        access.refuse_unless_allowed(
            "ec2:CreateTags", new[kind], {"ec2:CreateAction": "CopyImage"} | access.tag_keys(tags.get(kind, []))
        )


def readable(source_id: str) -> Document:
    """The source, which the caller sees, can use, and whose storage it may read ("Cross-account copying", Resource
    permissions). What EC2 says otherwise is in its own words (github.com/awslabs/amazon-eks-ami/issues/52; the code isn't
    documented). Error codes: InvalidAMIID.NotFound, InvalidAMIID.Unavailable."""
    _, source = images.find(source_id)
    if not images.visible(source):
        raise Refusal("InvalidAMIID.NotFound", f"The image id '[{source_id}]' does not exist")
    if images.state(source) != "available":
        raise Refusal(
            "InvalidAMIID.Unavailable",
            f"The AMI ID '{source_id}' is currently {images.state(source)} and may not be used for this operation",
        )
    if any(not snapshots.visible(snapshot) for snapshot in images.snapshots(source)):
        raise Refusal("InvalidRequest", "You do not have permission to access the storage of this ami")
    return source


def refuse_taken(name: str) -> None:
    """Error codes: InvalidAMIName.Duplicate. Whether a failed image keeps its name isn't documented; here it does."""
    for image_id, image in adapter.images.mine():
        if image["Name"] == name:
            raise Refusal("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image_id}")


def refuse_too_many() -> None:
    """ "Destination Regions are limited to 300 concurrent AMI copy operations." Error codes: ResourceLimitExceeded."""
    waiting = sum(image_id in _WORK for image_id, _ in adapter.images.mine())
    if waiting >= settings.CURRENT["copyQuota"]:
        raise Refusal(
            "ResourceLimitExceeded",
            f"Too many AMI copies in progress. The limit is {settings.CURRENT['copyQuota']}"
            " for this destination region.",
        )


def pending(params: Params, region: str, source: Document) -> Document:
    """The new image: the caller's own, private, without an instance it came from and without a deprecation time. What a
    pending image says of its snapshots isn't documented; here it says nothing. EC2 API Reference, Image: SourceImageId,
    SourceImageRegion; AttachImageWatermark: watermarks go along."""
    return {name: source[name] for name in KEPT} | {
        "ImageId": new_id(region, source["ImageId"]),
        "Name": required(params, "Name"),
        "ImageLocation": "",
        "Description": param(params, "Description"),
        "OwnerId": get_account_id(),
        "State": "pending",
        "CreationDate": adapter.ec2_now(),
        "BlockDeviceMappings": [],
        "ProductCodes": list(source.get("ProductCodes") or []),
        "LaunchPermissions": [],
        "SourceImageId": source["ImageId"],
        "SourceImageRegion": region,
        "Watermarks": [dict(mark) for mark in source.get("Watermarks") or []],
    }


def new_id(source_region: str, source_id: str) -> str:
    """The same for the same copy in another run of a test, so that runs can be compared."""
    key = (get_account_id(), get_region(), source_region, source_id)
    _MADE[key] = _MADE.get(key, 0) + 1
    return "ami-" + digest(*key, str(_MADE[key]))


def digest(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:17]


def volume(mapping: Document, stored: dict[str, Document], params: Params, source: Document, region: str) -> Volume:
    source_snapshot = (mapping.get("Ebs") or {}).get("SnapshotId")
    if source_snapshot is None:
        return Volume(mapping)
    snapshot = stored.get(source_snapshot)
    return Volume(mapping, snapshot, new_key(snapshot, params, source, region) if snapshot else None)


def new_key(snapshot: Document, params: Params, source: Document, region: str) -> str | None:
    """ "Use encryption with EBS-backed AMIs", Image-copying scenarios."""
    if param(params, "KmsKeyId"):
        return param(params, "KmsKeyId")
    if not snapshot["Encrypted"]:
        return ebs_encryption.default_key() if flag(params, "Encrypted") or ebs_encryption.by_default() else None
    if source["OwnerId"] == get_account_id() and region == get_region():
        return snapshot["KmsKeyId"]
    # "An encrypted snapshot that you do not own … is encrypted by your AWS account's default KMS key." The key of an own one
    # in another Region isn't there; which key then encrypts the copy isn't documented.
    return ebs_encryption.default_key()


def refused_key(volumes: list[Volume]) -> str | None:
    """Whether the caller may use the keys is asked now, in the caller's name, and told when the copy fails."""
    for one in volumes:
        written = key_use.find(one.key) if one.key else None
        if written and not key_use.is_allowed(written, key_use.WRITE):
            return KEY_NOT_ACCESSIBLE
        read = source_key(one)
        if read and not key_use.is_allowed(read, key_use.READ):
            return KEY_NOT_ACCESSIBLE
    return None


def source_key(one: Volume) -> Document | None:
    arn = (one.source or {}).get("KmsKeyId")
    if not arn:
        return None
    with request_scope(get_account_id(), arn.split(":")[3]):
        return key_use.find(arn)


# What comes of it.


def waiting(ids: Iterable[str]) -> list[Place]:
    """(owner, Region, ID) of the pending copies whose ID or whose source's ID contains one of these."""
    return [
        (owner, region, image_id)
        for (owner, region, image_id), image in adapter.images.everywhere()
        if image_id in _WORK and any(part in image_id or part in image["SourceImageId"] for part in ids)
    ]


def finish(owner: str, region: str, image_id: str, failure: str | None = None, event: bool = True) -> Document | None:
    """End the work: the copy fails for this reason or for what is wrong with a key ("authenticates the KMS key
    asynchronously"), or it is available."""
    with request_scope(owner, region):
        image, work = adapter.images.get(image_id), _WORK.pop(image_id, None)
        if image is None or work is None:
            return None  # deregistered, which stops the copy ("Stop a pending AMI copy operation")
        reason = failure or wrong_key(work) or work.failure
        if reason:
            image.update(State="failed", StateReason={"Code": REASON_CODE, "Message": reason})
        else:
            image.update(State="available", BlockDeviceMappings=[copied(image, work, v) for v in work.volumes])
        if event:
            image_events.announce(image_id, image["State"], reason or "")
        return {"imageId": image_id, "region": region, "state": image["State"], "reason": reason}


def wrong_key(work: Work) -> str | None:
    for one in work.volumes:
        key = key_use.find(one.key) if one.key else None
        if one.key and key is None:
            return NO_SUCH_KEY
        read = source_key(one)
        if (key and not key_use.is_usable(key)) or (read and not key_use.is_usable(read)):
            return KEY_NOT_ACCESSIBLE
        if "SnapshotId" in (one.mapping.get("Ebs") or {}) and one.source is None:
            return NO_SUCH_KEY  # the snapshot is gone: an internal error too
    return None


def copied(image: Document, work: Work, one: Volume) -> Document:
    """The mapping with the snapshot's copy, which is the caller's own and private."""
    if one.source is None:
        return dict(one.mapping)
    snapshot_id = "snap-" + digest(image["ImageId"], one.mapping["DeviceName"])
    key = key_use.find(one.key) if one.key else None
    adapter.snapshots[snapshot_id] = {
        "SnapshotId": snapshot_id,
        "VolumeId": "vol-ffffffffffffffffa",
        "VolumeSize": one.source["VolumeSize"],
        "Description": f"Copied for DestinationAmi {image['ImageId']} from SourceAmi {image['SourceImageId']} for"
        f" SourceSnapshot {one.source['SnapshotId']}.",
        "State": "completed",
        "StartTime": adapter.ec2_now(),
        "Progress": "100%",
        "OwnerId": image["OwnerId"],
        "Encrypted": key is not None,
        "StorageTier": "standard",
        "CreateVolumePermissions": [],
    } | ({"KmsKeyId": key["Arn"]} if key else {})
    adapter.tags[snapshot_id] = list(work.snapshot_tags)
    return one.mapping | {"Ebs": one.mapping["Ebs"] | {"SnapshotId": snapshot_id}}
