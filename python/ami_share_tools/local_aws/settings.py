"""What a test may set for the whole of the local AWS, and its defaults."""

from typing import Any

DEFAULTS: dict[str, Any] = {
    # "AMI sharing: 1,000 entities" (EC2 User Guide, "AMI quotas").
    "entityQuota": 1000,
    # Block public access for AMIs is on in new accounts (EC2 User Guide, "Block public access to your AMIs").
    "blockPublicAccess": True,
    # Accounts that were closed or never were; EC2 finds that out when they are named in a modification.
    "unknownAccounts": [],
    # Whether EC2 says which of the accounts it does not know.
    "namesUnknown": True,
    # The most items one page of a paginated Describe call holds.
    "pageSize": 1000,
    # "Destination Regions are limited to 300 concurrent AMI copy operations" (EC2 User Guide, "How Amazon EC2 AMI copy
    # works").
    "copyQuota": 300,
    # When pending copies and usage reports end by themselves; with None, only when a test says so.
    "copySeconds": None,
    "reportSeconds": None,
    # Whether parameters of the data type aws:ec2:image wait with their validation until a test asks for it.
    "parametersWait": False,
}

CURRENT = dict(DEFAULTS)
