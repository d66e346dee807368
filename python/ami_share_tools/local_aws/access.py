"""IAM for EC2 images and snapshots, KMS grants and events: their ARNs and condition keys, so that a role's policies decide
as on AWS."""

import contextvars
import json
import re
from collections.abc import Mapping
from typing import Any

from ami_share_tools.document import Document
from ami_share_tools.local_aws import adapter
from ami_share_tools.local_aws.adapter import Params, ec2_param, get_region
from ami_share_tools.local_aws.wire import Refusal, Tags

# Whose request it is, for what an action asks beside the permission to call it.
ACCESS_KEY = contextvars.ContextVar("access_key", default="")


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
    ACCESS_KEY.set(adapter.extract_access_key_id(headers, params))
    arn = adapter.extract_resource_arn(service, method, path, headers, body, params, region, account)
    if service == "ec2" and ec2_param(params, "Action") == "CopyImage":  # the source image, in its Region
        return f"arn:aws:ec2:{ec2_param(params, 'SourceRegion')}::image/{ec2_param(params, 'SourceImageId')}"
    if service == "ec2" and ec2_param(params, "ReportId"):
        return f"arn:aws:ec2:{region}:{account}:image-usage-report/{ec2_param(params, 'ReportId')}"
    if service == "ssm" and re.search(r":parameter/[^:]+:[^:]+$", arn):  # a version or a label of the parameter
        return arn.rpartition(":")[0]
    if service == "scheduler" and ":schedule/default/" in arn:
        group = json.loads(body or b"{}").get("GroupName") or ec2_param(params, "groupName") or "default"
        return arn.replace(":schedule/default/", f":schedule/{group}/")
    return re.sub(r"^(arn:aws:ec2:[^:]*:)\d{12}(:(?:image|snapshot)/)", r"\1\2", arn)


def context(service: str, action: str, body: bytes, params: Params) -> Document:
    """Service Authorization Reference, condition keys: ec2:Owner, ec2:Attribute, ec2:Add/…, ec2:Remove/…, kms:Grant…, kms:MacAlgorithm,
    events:source, events:detail-type."""
    keys = dict(adapter.request_tag_context(service, action, body, params))
    if action == "kms:CreateGrant":
        asked = json.loads(body)
        return keys | {
            "kms:GranteePrincipal": asked.get("GranteePrincipal", ""),
            "kms:GrantOperations": asked.get("Operations", []),
        }
    if action == "kms:GenerateMac":
        return keys | {"kms:MacAlgorithm": json.loads(body).get("MacAlgorithm", "")}
    if action == "ssm:PutParameter":
        return keys | {"ssm:Overwrite": "true" if json.loads(body).get("Overwrite") else "false"}
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
    wanted, where = ec2_param(params, "ImageId") or ec2_param(params, "SnapshotId"), get_region()
    if action == "ec2:CopyImage":
        wanted, where = ec2_param(params, "SourceImageId"), ec2_param(params, "SourceRegion")
        keys = {"ec2:ImageID": wanted}  # the tags are those of the new image
    for store in (adapter.images, adapter.snapshots):
        for (owner, region, key), _ in store.everywhere():
            if key == wanted and region == where:
                keys["ec2:Owner"] = owner
    # EC2 User Guide, "Identity-based policies for Amazon EC2": the attribute's name, for attributes that are one value.
    named = [name for name in ("Description", "ImdsSupport") if ec2_param(params, f"{name}.Value")]
    if attribute := (named[0] if named else ec2_param(params, "Attribute")):
        keys["ec2:Attribute"] = attribute
    return keys


def is_allowed(action: str, arn: str, keys: Mapping[str, Any]) -> bool:
    """Whether the caller of this request may also do that."""
    service = action.partition(":")[0]
    return not adapter.enforce(
        ACCESS_KEY.get(), action, service, get_region(), resource_arn=arn, service_context=dict(keys)
    )


def refuse_unless_allowed(action: str, arn: str, keys: Mapping[str, Any]) -> None:
    if not is_allowed(action, arn, keys):
        raise Refusal(
            "UnauthorizedOperation",
            f"You are not authorized to perform this operation. User:"
            f" {adapter.caller_arn()} is not authorized to perform: {action} on resource: {arn}",
            403,
        )


def tag_keys(tags: Tags) -> Document:
    """The condition keys of tags that a request sets."""
    keys: Document = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
    return keys | ({"aws:TagKeys": [tag["Key"] for tag in tags]} if tags else {})


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
