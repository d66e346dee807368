"""IAM for EC2 images and snapshots: their ARNs and condition keys, so that a role's policies decide as on AWS."""

import re

from ministack.core import iam_actions
from ministack.core.responses import get_region
from ministack.services import ec2

_arn, _context = iam_actions.extract_resource_arn, iam_actions.request_tag_context


def install():
    iam_actions.extract_resource_arn = resource_arn
    iam_actions.request_tag_context = context


def resource_arn(*request):
    """Service Authorization Reference, Amazon EC2, resource types: images and snapshots have no account in their ARN."""
    return re.sub(r"^(arn:aws:ec2:[^:]*:)\d{12}(:(?:image|snapshot)/)", r"\1\2", _arn(*request))


def context(service, action, body, params):
    """Service Authorization Reference, Amazon EC2, condition keys: ec2:Owner and ec2:Attribute."""
    keys = dict(_context(service, action, body, params))
    if service != "ec2":
        return keys
    wanted = ec2._p(params, "ImageId") or ec2._p(params, "SnapshotId")
    for store in (ec2._images, ec2._snapshots):
        for (owner, region, key), _ in store.all_items():
            if key == wanted and region == get_region():
                keys["ec2:Owner"] = owner
    # EC2 User Guide, "Identity-based policies for Amazon EC2": the attribute's name, for attributes that are one value.
    named = [name for name in ("Description", "ImdsSupport") if ec2._p(params, f"{name}.Value")]
    if attribute := (named[0] if named else ec2._p(params, "Attribute")):
        keys["ec2:Attribute"] = attribute
    return keys
