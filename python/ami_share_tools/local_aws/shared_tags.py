"""Which tags of an image an account sees: those that it attached itself, and those of the owner whose keys begin with
`ec2:SharedTag/` (EC2 User Guide, "Tag your Amazon EC2 resources", Sharing tags)."""

from ami_share_tools.document import Document
from ami_share_tools.local_aws import adapter
from ami_share_tools.local_aws.adapter import get_account_id, get_region
from ami_share_tools.local_aws.wire import Tags

PREFIX = "ec2:SharedTag/"


def visible(image: Document) -> Tags:
    own = adapter.tags.get(image["ImageId"], [])
    if image["OwnerId"] == get_account_id():
        return own
    keys = {tag["Key"] for tag in own}
    theirs = adapter.tags.of((image["OwnerId"], get_region(), image["ImageId"])) or []
    return own + [tag for tag in theirs if tag["Key"].startswith(PREFIX) and tag["Key"] not in keys]
