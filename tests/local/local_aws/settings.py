"""What a test may set for the whole of the local AWS, and its defaults."""

DEFAULTS = {
    # "AMI sharing: 1,000 entities" (EC2 User Guide, "AMI quotas").
    "entityQuota": 1000,
    # Block public access for AMIs is on in new accounts (EC2 User Guide, "Block public access to your AMIs").
    "blockPublicAccess": True,
    # The most items one page of a paginated Describe call holds.
    "pageSize": 1000,
}

CURRENT = dict(DEFAULTS)
