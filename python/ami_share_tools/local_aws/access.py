"""IAM for EC2 images and snapshots, KMS grants and events: their ARNs and condition keys, so that a role's policies decide
as on AWS."""

import json
import re

from ami_share_tools.document import Document
from ami_share_tools.local_aws import adapter
from ami_share_tools.local_aws.adapter import Params, ec2_param, get_region


def install() -> None:
    adapter.extract_resource_arn.replace(resource_arn)
    adapter.request_tag_context.replace(context)
    # Calls on loopback stand for calls over TLS, which the public endpoints of AWS take ("aws:SecureTransport").
    adapter.pin_request_origin.replace(lambda source_ip, _secure: adapter.pin_request_origin(source_ip, True))


def resource_arn(
    service: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    params: Params,
    region: str,
    account: str,
) -> str:
    """Service Authorization Reference, resource types: images and snapshots have no account in their ARN; a schedule's
    ARN names its group, which is in the body or in the query."""
    arn = adapter.extract_resource_arn(service, method, path, headers, body, params, region, account)
    if service == "scheduler" and ":schedule/default/" in arn:
        group = json.loads(body or b"{}").get("GroupName") or ec2_param(params, "groupName") or "default"
        return arn.replace(":schedule/default/", f":schedule/{group}/")
    return re.sub(r"^(arn:aws:ec2:[^:]*:)\d{12}(:(?:image|snapshot)/)", r"\1\2", arn)


def context(service: str, action: str, body: bytes, params: Params) -> Document:
    """Service Authorization Reference, condition keys: ec2:Owner, ec2:Attribute, ec2:Add/…, ec2:Remove/…, kms:Grant…, events:source,
    events:detail-type."""
    keys = dict(adapter.request_tag_context(service, action, body, params))
    if action == "kms:CreateGrant":
        asked = json.loads(body)
        return keys | {
            "kms:GranteePrincipal": asked.get("GranteePrincipal", ""),
            "kms:GrantOperations": asked.get("Operations", []),
        }
    if action == "events:PutEvents":
        # ArrayOfString: the values of all entries of the call.
        entries = json.loads(body).get("Entries", [])
        return keys | {
            key: sorted({entry[field] for entry in entries if field in entry})
            for key, field in (("events:source", "Source"), ("events:detail-type", "DetailType"))
            if any(field in entry for entry in entries)
        }
    if service != "ec2":
        return keys
    if action == "ec2:ModifySnapshotAttribute":
        keys |= snapshot_keys(params)
    wanted = ec2_param(params, "ImageId") or ec2_param(params, "SnapshotId")
    for store in (adapter.images, adapter.snapshots):
        for (owner, region, key), _ in store.everywhere():
            if key == wanted and region == get_region():
                keys["ec2:Owner"] = owner
    # EC2 User Guide, "Identity-based policies for Amazon EC2": the attribute's name, for attributes that are one value.
    named = [name for name in ("Description", "ImdsSupport") if ec2_param(params, f"{name}.Value")]
    if attribute := (named[0] if named else ec2_param(params, "Attribute")):
        keys["ec2:Attribute"] = attribute
    return keys


def snapshot_keys(params: Params) -> Document:
    """Who is added to or removed from a snapshot, in the flat and in the structured form of the call."""
    keys = {}
    for name, values in params.items():
        value = values[0] if isinstance(values, list) else values
        flat = re.fullmatch(r"User(Id|Group)\.\d+", name)
        structured = re.fullmatch(r"CreateVolumePermission\.(Add|Remove)\.\d+\.(UserId|Group)", name)
        if flat:
            verb, kind = ec2_param(params, "OperationType").capitalize(), flat[1]
        elif structured:
            verb, kind = structured[1], structured[2].removeprefix("User")
        else:
            continue
        if kind == "Group":
            keys[f"ec2:{verb}/group"] = value  # one value: there is only the group "all"
        else:
            keys.setdefault(f"ec2:{verb}/userId", []).append(value)
    return keys
