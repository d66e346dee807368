"""IAM for EC2 images and snapshots, KMS grants and events: their ARNs and condition keys, so that a role's policies decide
as on AWS."""

import contextvars
import json
import re

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_region
from ministack.core.router import extract_access_key_id
from ministack.services import ec2

from local_aws.wire import Refusal

# Whose request it is, for what an action asks beside the permission to call it.
_ACCESS_KEY = contextvars.ContextVar("access_key", default="")

_arn, _context = iam_actions.extract_resource_arn, iam_actions.request_tag_context


def install():
    iam_actions.extract_resource_arn = resource_arn
    iam_actions.request_tag_context = context
    # Calls on loopback stand for calls over TLS, which the public endpoints of AWS take ("aws:SecureTransport").
    app.pin_request_origin = lambda source_ip, _secure: iam_evaluator.pin_request_origin(source_ip, True)


def resource_arn(service, method, path, headers, body, params, region, account):
    """Service Authorization Reference, resource types: images and snapshots have no account in their ARN; a schedule's
    ARN names its group, which is in the body or in the query."""
    _ACCESS_KEY.set(extract_access_key_id(headers, params))
    arn = _arn(service, method, path, headers, body, params, region, account)
    if service == "ec2" and ec2._p(params, "Action") == "CopyImage":  # the source image, in its Region
        return f"arn:aws:ec2:{ec2._p(params, 'SourceRegion')}::image/{ec2._p(params, 'SourceImageId')}"
    if service == "ec2" and ec2._p(params, "ReportId"):
        return f"arn:aws:ec2:{region}:{account}:image-usage-report/{ec2._p(params, 'ReportId')}"
    if service == "ssm" and re.search(r":parameter/[^:]+:[^:]+$", arn):  # a version or a label of the parameter
        return arn.rpartition(":")[0]
    if service == "scheduler" and ":schedule/default/" in arn:
        group = json.loads(body or b"{}").get("GroupName") or ec2._p(params, "groupName") or "default"
        return arn.replace(":schedule/default/", f":schedule/{group}/")
    return re.sub(r"^(arn:aws:ec2:[^:]*:)\d{12}(:(?:image|snapshot)/)", r"\1\2", arn)


def context(service, action, body, params):
    """Service Authorization Reference, condition keys: ec2:Owner, ec2:Attribute, ec2:Add/…, ec2:Remove/…, kms:Grant…, events:source,
    events:detail-type."""
    keys = dict(_context(service, action, body, params))
    if action == "kms:CreateGrant":
        asked = json.loads(body)
        return keys | {"kms:GranteePrincipal": asked.get("GranteePrincipal", ""), "kms:GrantOperations": asked.get("Operations", [])}
    if action == "ssm:PutParameter":
        return keys | {"ssm:Overwrite": "true" if json.loads(body).get("Overwrite") else "false"}
    if action == "events:PutEvents":
        # ArrayOfString: the values of all entries of the call.
        entries = json.loads(body).get("Entries", [])
        return keys | {key: sorted({entry[field] for entry in entries if field in entry})
                       for key, field in (("events:source", "Source"), ("events:detail-type", "DetailType"))
                       if any(field in entry for entry in entries)}
    if service != "ec2":
        return keys
    if action == "ec2:ModifySnapshotAttribute":
        keys |= snapshot_keys(params)
    wanted = ec2._p(params, "ImageId") or ec2._p(params, "SnapshotId")
    where = get_region()
    if action == "ec2:CopyImage":
        wanted, where = ec2._p(params, "SourceImageId"), ec2._p(params, "SourceRegion")
        keys = {"ec2:ImageID": wanted}  # the tags are those of the new image
    for store in (ec2._images, ec2._snapshots):
        for (owner, region, key), _ in store.all_items():
            if key == wanted and region == where:
                keys["ec2:Owner"] = owner
    # EC2 User Guide, "Identity-based policies for Amazon EC2": the attribute's name, for attributes that are one value.
    named = [name for name in ("Description", "ImdsSupport") if ec2._p(params, f"{name}.Value")]
    if attribute := (named[0] if named else ec2._p(params, "Attribute")):
        keys["ec2:Attribute"] = attribute
    return keys


def is_allowed(action, arn, keys):
    """Whether the caller of this request may also do that."""
    service = action.partition(":")[0]
    return not iam_evaluator.enforce(_ACCESS_KEY.get(), action, service, get_region(), resource_arn=arn, service_context=keys)


def refuse_unless_allowed(action, arn, keys):
    if not is_allowed(action, arn, keys):
        raise Refusal("UnauthorizedOperation", f"You are not authorized to perform this operation. User:"
                      f" {iam_evaluator.caller_arn()} is not authorized to perform: {action} on resource: {arn}", 403)


def tag_keys(tags):
    """The condition keys of tags that a request sets."""
    keys = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
    return keys | ({"aws:TagKeys": [tag["Key"] for tag in tags]} if tags else {})


def snapshot_keys(params):
    """Who is added to or removed from a snapshot, in the flat and in the structured form of the call."""
    keys = {}
    for name, values in params.items():
        value = values[0] if isinstance(values, list) else values
        flat = re.fullmatch(r"User(Id|Group)\.\d+", name)
        structured = re.fullmatch(r"CreateVolumePermission\.(Add|Remove)\.\d+\.(UserId|Group)", name)
        if flat:
            verb, kind = ec2._p(params, "OperationType").capitalize(), flat[1]
        elif structured:
            verb, kind = structured[1], structured[2].removeprefix("User")
        else:
            continue
        if kind == "Group":
            keys[f"ec2:{verb}/group"] = value  # one value: there is only the group "all"
        else:
            keys.setdefault(f"ec2:{verb}/userId", []).append(value)
    return keys
