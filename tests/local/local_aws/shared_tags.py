"""Which tags of an image an account sees: those that it attached itself, and those of the owner whose keys begin with
`ec2:SharedTag/` (EC2 User Guide, "Tag your Amazon EC2 resources", Sharing tags)."""

from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import ec2

PREFIX = "ec2:SharedTag/"
Tags = list[dict[str, str]]


def visible(image: dict[str, Any]) -> Tags:
    own: Tags = ec2._tags.get(image["ImageId"], [])
    if image["OwnerId"] == get_account_id():
        return own
    keys = {tag["Key"] for tag in own}
    theirs: Tags = ec2._tags.get_scoped(image["OwnerId"], get_region(), image["ImageId"], [])
    return own + [tag for tag in theirs if tag["Key"].startswith(PREFIX) and tag["Key"] not in keys]
