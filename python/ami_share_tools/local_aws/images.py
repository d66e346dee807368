"""EC2 images: states, encrypted mappings, launch permissions of every kind, and EC2's own refusals."""

import re
from collections.abc import Iterable

from ami_share_tools.document import Document
from ami_share_tools.local_aws import adapter, image_fields, keys, settings, shared_tags
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

IMAGE_ID = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")
FILTERS = {
    "architecture",
    "block-device-mapping.encrypted",
    "block-device-mapping.snapshot-id",
    "description",
    "image-id",
    "image-type",
    "is-public",
    "name",
    "owner-alias",
    "owner-id",
    "root-device-type",
    "state",
    "tag-key",
    "virtualization-type",
} | image_fields.FILTERS
PERMISSION_FIELDS = ("UserId", "Group", "OrganizationArn", "OrganizationalUnitArn")


def install() -> None:
    adapter.ec2_actions.update(
        {
            "DescribeImages": action(describe_images),
            "DescribeImageAttribute": action(describe_image_attribute),
            "ModifyImageAttribute": action(modify_image_attribute),
            "ResetImageAttribute": action(reset_image_attribute),
            "DisableImage": action(disable_image),
            "EnableImage": action(enable_image),
            "GetImageBlockPublicAccessState": action(block_public_access_state),
            "EnableImageBlockPublicAccess": action(enable_block_public_access),
        }
    )


def state(image: Document) -> str:
    return image.get("State", "available")


def permissions(image: Document) -> list[Document]:
    return image.setdefault("LaunchPermissions", [])


def is_public(image: Document) -> bool:
    return {"Group": "all"} in permissions(image)


def all_images() -> list[tuple[str, Document]]:
    """(owner, image) for every image in the caller's Region."""
    return [(owner, image) for (owner, region, _), image in adapter.images.everywhere() if region == get_region()]


def find(image_id: str) -> tuple[str, Document]:
    """(owner, image). EC2 API Reference, Error codes: InvalidAMIID.Malformed, InvalidAMIID.NotFound."""
    if not IMAGE_ID.fullmatch(image_id):
        raise Refusal("InvalidAMIID.Malformed", f'Invalid id: "{image_id}"')
    for owner, image in all_images():
        if image["ImageId"] == image_id:
            return owner, image
    raise Refusal("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")


def own(params: Params) -> Document:
    """The image, which only its owner may ask about or change (EC2 API Reference, Error codes: AuthFailure)."""
    owner, image = find(required(params, "ImageId"))
    if owner != get_account_id():
        raise Refusal("AuthFailure", f"Not authorized for image:{image['ImageId']}")
    return image


def changeable(params: Params) -> Document:
    """EC2 API Reference, Error codes, InvalidAMIID.Unavailable: "deregistered and is no longer available, or is
    not in a state from which you can launch an instance or modify attributes"."""
    image = own(params)
    if state(image) != "available":
        raise Refusal("InvalidAMIID.Unavailable", f"The image ID '{image['ImageId']}' is no longer available")
    return image


def snapshots(image: Document) -> list[Document]:
    """Every snapshot behind the image; ephemeral and snapshot-less mappings have none."""
    ids = [(m.get("Ebs") or {}).get("SnapshotId") for m in image.get("BlockDeviceMappings") or []]
    stored = {key: snapshot for (_, region, key), snapshot in adapter.snapshots.everywhere() if region == get_region()}
    return [stored[i] for i in ids if i in stored]


# DescribeImages: EC2 API Reference, DescribeImages; EC2 User Guide, "Disable an Amazon EC2 AMI".


def describe_images(params: Params) -> str:
    ids = members(params, "ImageId")
    wanted = filters(params, FILTERS)
    for image_id in ids:
        _, image = find(image_id)
        if not visible(image):
            raise Refusal("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    disabled_too = bool(ids) or param(params, "IncludeDisabled").lower() == "true"
    found = [
        image
        for _, image in all_images()
        if visible(image)
        and (not ids or image["ImageId"] in ids)
        and (disabled_too or state(image) != "disabled")
        and owned_by(image, members(params, "Owner"))
        and executable_by(image, members(params, "ExecutableBy"))
        and matches(wanted, facts(image), shared_tags.visible(image))
    ]
    items, next_token = page(params, found, "ImageId")
    return f"<imagesSet>{''.join(f'<item>{image_xml(i)}</item>' for i in items)}</imagesSet>{next_token}"


def visible(image: Document) -> bool:
    """An account sees its own images, public ones, and those shared with it by account ID. Sharing by organization
    is stored and returned; who belongs to one is not looked up."""
    return (
        image["OwnerId"] == get_account_id() or is_public(image) or {"UserId": get_account_id()} in permissions(image)
    )


def owned_by(image: Document, owners: list[str]) -> bool:
    return not owners or image["OwnerId"] in owners or ("self" in owners and image["OwnerId"] == get_account_id())


def executable_by(image: Document, users: list[str]) -> bool:
    """ "does not return AMIs shared through an organization or OU" (DescribeImages, ExecutableBy)."""
    accounts = [get_account_id() if u == "self" else u for u in users]
    return (
        not users or ("all" in users and is_public(image)) or any({"UserId": a} in permissions(image) for a in accounts)
    )


def facts(image: Document) -> dict[str, list[str]]:
    volumes = [m["Ebs"] for m in image.get("BlockDeviceMappings") or [] if m.get("Ebs")]
    return image_fields.facts(image) | {
        "architecture": [image["Architecture"]],
        "block-device-mapping.encrypted": ["true" if is_encrypted(v) else "false" for v in volumes],
        "block-device-mapping.snapshot-id": [v["SnapshotId"] for v in volumes if "SnapshotId" in v],
        "description": [image["Description"]],
        "image-id": [image["ImageId"]],
        "image-type": ["machine"],
        "is-public": ["true" if is_public(image) else "false"],
        "name": [image["Name"]],
        "owner-alias": [],
        "owner-id": [image["OwnerId"]],
        "root-device-type": [image["RootDeviceType"]],
        "state": [state(image)],
        "virtualization-type": [image["VirtualizationType"]],
    }


def is_encrypted(volume: Document) -> bool:
    """A volume made from an encrypted snapshot is encrypted (EBS User Guide, "Encryption outcomes")."""
    stored = adapter.snapshots.everywhere()
    from_snapshot = any(s["Encrypted"] for (_, _, key), s in stored if key == volume.get("SnapshotId"))
    return from_snapshot or volume.get("Encrypted") in (True, "true")


def image_xml(image: Document) -> str:
    codes = "".join(
        f"<item>{element('productCode', c['id'])}{element('type', c['type'])}</item>"
        for c in image.get("ProductCodes", [])
    )
    mappings = "".join(f"<item>{mapping_xml(m)}</item>" for m in image.get("BlockDeviceMappings") or [])
    return (
        element("imageId", image["ImageId"])
        + element("imageLocation", f"{image['OwnerId']}/{image['Name']}")
        + element("imageState", state(image))
        + element("imageOwnerId", image["OwnerId"])
        + element("creationDate", image["CreationDate"])
        + element("isPublic", is_public(image))
        + (f"<productCodes>{codes}</productCodes>" if codes else "")
        + element("architecture", image["Architecture"])
        + element("imageType", "machine")
        + element("name", image["Name"])
        + element("description", image["Description"])
        + element("rootDeviceType", image["RootDeviceType"])
        + element("rootDeviceName", image["RootDeviceName"])
        + f"<blockDeviceMapping>{mappings}</blockDeviceMapping>"
        + element("virtualizationType", image["VirtualizationType"])
        + element("hypervisor", "xen")
        + element("deprecationTime", image.get("DeprecationTime"))
        + image_fields.xml(image)
        + tag_set(image["ImageId"], shared_tags.visible(image))
    )


def mapping_xml(mapping: Document) -> str:
    """EC2 API Reference, EbsBlockDevice: Encrypted is answered; KmsKeyId is a request parameter only."""
    xml = element("deviceName", mapping["DeviceName"]) + element("virtualName", mapping.get("VirtualName"))
    if mapping.get("NoDevice"):
        return xml + "<noDevice></noDevice>"
    volume = mapping.get("Ebs")
    if volume is None:
        return xml
    return xml + (
        "<ebs>"
        + element("snapshotId", volume.get("SnapshotId"))
        + element("volumeSize", volume.get("VolumeSize", "8"))
        + element("volumeType", volume.get("VolumeType", "gp3"))
        + element("deleteOnTermination", volume.get("DeleteOnTermination", "true"))
        + element("encrypted", is_encrypted(volume))
        + "</ebs>"
    )


# Attributes: EC2 API Reference, DescribeImageAttribute, ModifyImageAttribute, ResetImageAttribute.


def describe_image_attribute(params: Params) -> str:
    image, attribute = own(params), required(params, "Attribute")
    refuse_dry_run(params)
    head = element("imageId", image["ImageId"])
    if attribute == "launchPermission":
        return head + f"<launchPermission>{permission_set(permissions(image))}</launchPermission>"
    if attribute == "description":
        return head + f"<description>{element('value', image['Description'])}</description>"
    if attribute == "blockDeviceMapping":  # "This attribute is deprecated … returns Client.AuthFailure"
        raise Refusal("AuthFailure", f"Not authorized for image:{image['ImageId']}")
    raise Refusal("InvalidParameterValue", f"Value ({attribute}) for parameter attribute is invalid.")


def modify_image_attribute(params: Params) -> str:
    required(params, "ImageId")
    add, remove = launch_permission_changes(params)
    description = param(params, "Description.Value")
    if bool(description) == bool(add or remove):  # one attribute a call, and at least one
        raise Refusal("InvalidParameterCombination", "The request must contain exactly one attribute to modify")
    for entry in add + remove:
        check_permission(entry)
    image = changeable(params)
    refuse_unknown(entry["UserId"] for entry in add + remove if "UserId" in entry)
    if add:
        refuse_what_cannot_be_shared(image, add)
    refuse_dry_run(params)
    if description:
        image["Description"] = description
        return done()
    after = applied(permissions(image), add, remove)
    # EC2 User Guide, "AMI quotas": accounts, organizations and OUs count. The documentation names no error for it;
    # ResourceLimitExceeded is what the public AMI quota answers with.
    if add and len([e for e in after if "Group" not in e]) > settings.CURRENT["entityQuota"]:
        raise Refusal("ResourceLimitExceeded", "You have reached the quota of entities this AMI can be shared with")
    image["LaunchPermissions"] = after
    return done()


def refuse_unknown(accounts: Iterable[str]) -> None:
    """EC2 API Reference, Error codes, InvalidAMIAttributeItemValue: "The value of an item added to, or removed from, an
    image attribute is not valid." The wording is that of EC2's answers; it names one account, or with the setting
    `namesUnknown` off none."""
    for account in accounts:
        if account in settings.CURRENT["unknownAccounts"]:
            named = f'"{account}"' if settings.CURRENT["namesUnknown"] else "given"
            raise Refusal("InvalidAMIAttributeItemValue", f"Invalid attribute item value {named} for userId item type.")


def launch_permission_changes(params: Params) -> tuple[list[Document], list[Document]]:
    """(add, remove), from the structured form or, with Attribute=launchPermission, from the flat one."""
    add = permission_items(params, "LaunchPermission.Add", PERMISSION_FIELDS)
    remove = permission_items(params, "LaunchPermission.Remove", PERMISSION_FIELDS)
    flat = [
        {field: value}
        for field, wire in zip(PERMISSION_FIELDS, ("UserId", "UserGroup", "OrganizationArn", "OrganizationalUnitArn"))
        for value in members(params, wire)
    ]
    if not flat:
        return add, remove
    if add or remove or param(params, "Attribute") != "launchPermission":
        raise Refusal("InvalidParameterCombination", "Specify either LaunchPermission or Attribute with OperationType")
    direction = required(params, "OperationType")
    if direction not in ("add", "remove"):
        raise Refusal("InvalidParameterValue", f"Value ({direction}) for parameter operationType is invalid.")
    return (flat, []) if direction == "add" else ([], flat)


def refuse_what_cannot_be_shared(image: Document, add: list[Document]) -> None:
    behind = snapshots(image)
    # EC2 User Guide, "Share an AMI with specific AWS accounts": an AMI on the AWS managed key can't be shared.
    if any(keys.is_aws_managed(s.get("KmsKeyId")) for s in behind):
        raise Refusal(
            "InvalidParameter",
            "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.",
        )
    if {"Group": "all"} not in add:
        return
    # EC2 User Guide, "Make your AMI publicly available", considerations.
    if any(s["Encrypted"] for s in behind):
        raise Refusal("UnsupportedOperation", "Encrypted snapshots can't be shared publicly")
    if any(c["type"] == "marketplace" for c in image.get("ProductCodes", [])):
        raise Refusal("OperationNotPermitted", "An AMI with an AWS Marketplace product code can't be made public")
    # EC2 API Reference, AttachImageWatermark: only of "a non-public AMI".
    if image.get("Watermarks"):
        raise Refusal("OperationNotPermitted", "An AMI with a watermark can't be made public")
    # EC2 User Guide, "Block public access to your AMIs".
    if settings.CURRENT["blockPublicAccess"]:
        raise Refusal(
            "OperationNotPermitted",
            "You can’t publicly share this image because block public access for AMIs is enabled for this Region.",
        )


def reset_image_attribute(params: Params) -> str:
    required(params, "ImageId")
    attribute = required(params, "Attribute")
    if attribute != "launchPermission":  # "Currently, you can only reset the launch permission attribute"
        raise Refusal("InvalidParameterValue", f"Value ({attribute}) for parameter attribute is invalid.")
    image = changeable(params)
    refuse_dry_run(params)
    image["LaunchPermissions"] = []
    return done()


def enable_block_public_access(params: Params) -> str:
    """EC2 API Reference, EnableImageBlockPublicAccess. Here it takes effect at once."""
    settings.CURRENT["blockPublicAccess"] = True
    return "<imageBlockPublicAccessState>block-new-sharing</imageBlockPublicAccessState>"


def block_public_access_state(params: Params) -> str:
    """EC2 API Reference, GetImageBlockPublicAccessState."""
    refuse_dry_run(params)
    on = settings.CURRENT["blockPublicAccess"]
    return f"<imageBlockPublicAccessState>{'block-new-sharing' if on else 'unblocked'}</imageBlockPublicAccessState>"


# States: EC2 User Guide, "Disable an Amazon EC2 AMI"; enabling does not bring the permissions back.


def disable_image(params: Params) -> str:
    image = changeable(params)
    refuse_dry_run(params)
    image.update(State="disabled", LaunchPermissions=[])
    return done()


def enable_image(params: Params) -> str:
    image = own(params)
    if state(image) != "disabled":
        raise Refusal("InvalidAMIID.Unavailable", f"The image ID '{image['ImageId']}' is not disabled")
    refuse_dry_run(params)
    image["State"] = "available"
    return done()
