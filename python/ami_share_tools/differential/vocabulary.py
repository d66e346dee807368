"""The words that made-up questions are made of: accounts, identities, actions, context keys and operators."""

import base64

TARGET, OWNER, OTHER = "444455556666", "111122223333", "777788889999"
REGION = "us-east-1"
KEY = f"arn:aws:kms:{REGION}:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ORGANIZATION, UNIT = "o-a1b2c3d4e5", "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"
CHILD = UNIT + "ou-ab12-22222222/"
ROLE = f"arn:aws:iam::{TARGET}:role/App"
PATH_ROLE = f"arn:aws:iam::{TARGET}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
SESSION = f"arn:aws:sts::{TARGET}:assumed-role/App/deploy"
PATH_SESSION = f"arn:aws:sts::{TARGET}:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling"
USER = f"arn:aws:iam::{TARGET}:user/Bob"
FEDERATED = f"arn:aws:sts::{TARGET}:federated-user/Eve"
INSTANCE = f"arn:aws:ec2:{REGION}:{TARGET}:instance/i-0abc"
INFRASTRUCTURE = f"arn:aws:iam::{TARGET}:role/aws:ec2-infrastructure"
ACTIONS = (
    "kms:Decrypt",
    "kms:CreateGrant",
    "kms:DescribeKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GenerateDataKey",
    "kms:Encrypt",
)
RARE_ACTIONS = (
    "kms:ListGrants",
    "kms:RevokeGrant",
    "kms:GetPublicKey",
    "kms:Sign",
    "kms:ScheduleKeyDeletion",
    "kms:PutKeyPolicy",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
)
LAUNCH = (
    "kms:DescribeKey",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptTo",
)
OPERATIONS = (
    "Encrypt",
    "Decrypt",
    "ReEncryptFrom",
    "ReEncryptTo",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "DescribeKey",
    "CreateGrant",
)
# Key -> type, values as requests carry them.
KEYS = {
    "kms:ViaService": ("string", ("ec2.us-east-1.amazonaws.com", "rds.us-east-1.amazonaws.com")),
    "kms:GrantConstraintType": ("string", ("EncryptionContextSubset", "EncryptionContextEquals")),
    "kms:EncryptionContext:aws:ebs:id": ("string", ("vol-1", "snap-069a655b568de654f")),
    "kms:EncryptionAlgorithm": ("string", ("SYMMETRIC_DEFAULT",)),
    "kms:RequestAlias": ("string", ("alias/images",)),
    "kms:KeySpec": ("string", ("SYMMETRIC_DEFAULT",)),
    "aws:RequestedRegion": ("string", (REGION,)),
    "aws:PrincipalTag/team": ("string", ("blue", TARGET)),
    "aws:PrincipalTag/home": ("string", ("blue", "")),
    "aws:RequestTag/owner": ("string", ("blue",)),
    "aws:ResourceTag/env": ("string", ("prod", "test")),
    "aws:SourceVpce": ("string", ("vpce-1",)),
    "aws:SourceAccount": ("string", (TARGET,)),
    "aws:ResourceAccount": ("string", (OWNER,)),
    "custom:thing": ("string", ("x",)),
    "kms:GranteePrincipal": ("arn", (PATH_ROLE, USER)),
    "aws:SourceArn": ("arn", (INSTANCE, f"arn:aws:rds:{REGION}:{TARGET}:db:a:b")),
    "kms:GrantIsForAWSResource": ("bool", ("true", "false")),
    "aws:SecureTransport": ("bool", ("true",)),
    "aws:MultiFactorAuthPresent": ("bool", ("true", "false")),
    "aws:PrincipalIsAWSService": ("bool", ("false",)),
    "aws:ViaAWSService": ("bool", ("true", "false")),
    "kms:ReEncryptOnSameKey": ("bool", ("true", "false")),
    "aws:MultiFactorAuthAge": ("number", ("60", "3600", "59.5")),
    "custom:count": ("number", ("60", "61", "0")),
    "aws:CurrentTime": ("date", ("2026-01-01T00:00:00Z", "2026-06-01T12:30:00Z")),
    "aws:TokenIssueTime": ("date", ("2026-01-01T00:00:00Z",)),
    "aws:EpochTime": ("date", ("1767225600",)),
    "aws:SourceIp": ("ip", ("203.0.113.7", "198.51.100.7", "2001:db8::1")),
    "custom:blob": ("binary", (base64.b64encode(b"blob").decode(),)),
    "kms:GrantOperations": ("strings", (["Decrypt", "Encrypt"], ["Decrypt"], ["CreateGrant", "Decrypt"], [])),
    "kms:EncryptionContextKeys": ("strings", (["aws:ebs:id"], ["aws:ebs:id", "Purpose"], [])),
    "aws:CalledVia": ("strings", (["ec2.amazonaws.com"], ["cloudformation.amazonaws.com", "ec2.amazonaws.com"])),
    "aws:TagKeys": ("strings", (["owner"],)),
    "kms:ResourceAliases": ("strings", (["alias/images"], ["alias/images", "alias/old"])),
    # Derived from who asks; never in a context.
    "kms:CallerAccount": ("string", (TARGET, OWNER)),
    "aws:PrincipalAccount": ("string", (TARGET, OTHER)),
    "aws:PrincipalArn": ("arn", (ROLE, PATH_ROLE, USER, INFRASTRUCTURE, f"arn:aws:iam::{OTHER}:role/App")),
    "aws:PrincipalOrgID": ("string", (ORGANIZATION, "o-zzzzzzzzzz")),
    "aws:PrincipalOrgPaths": ("strings", ([UNIT], [CHILD], ["o-a1b2c3d4e5/r-ab12/"])),
}
DERIVED = (
    "kms:CallerAccount",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
)
IN_CONTEXT = tuple(key for key in KEYS if key not in DERIVED)
NAMES = {key.lower(): key for key in IN_CONTEXT}
# Of few types there are many keys; these are the others.
TYPED = tuple(key for key, (kind, _) in KEYS.items() if kind in ("number", "date", "ip", "binary", "arn"))
KEY_NAMES = (
    tuple(KEYS)
    + DERIVED
    + (
        "kms:ViaService",
        "kms:GrantIsForAWSResource",
        "aws:PrincipalOrgID",
        "aws:PrincipalOrgPaths",
        "aws:PrincipalArn",
        "kms:EncryptionContext:aws:ebs:id",
    )
)
# What EC2 sends when somebody launches an instance; so that usual statements are met often.
SENT_BY_EC2 = {
    "kms:ViaService": f"ec2.{REGION}.amazonaws.com",
    "kms:GrantIsForAWSResource": "true",
    "aws:ViaAWSService": "true",
    "aws:PrincipalIsAWSService": "false",
    "aws:SecureTransport": "true",
    "aws:RequestedRegion": REGION,
    "aws:ResourceAccount": OWNER,
    "kms:GrantConstraintType": "EncryptionContextSubset",
    "kms:EncryptionContextKeys": ["aws:ebs:id"],
}
STRINGS = (
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
)
FAMILIES = {
    "string": STRINGS,
    "strings": STRINGS,
    "arn": ("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "StringEquals", "StringLike", "StringNotLike"),
    "bool": ("Bool", "Bool", "Bool", "StringEquals", "StringNotEquals"),
    "number": (
        "NumericEquals",
        "NumericNotEquals",
        "NumericLessThan",
        "NumericLessThanEquals",
        "NumericGreaterThan",
        "NumericGreaterThanEquals",
    ),
    "date": (
        "DateEquals",
        "DateNotEquals",
        "DateLessThan",
        "DateLessThanEquals",
        "DateGreaterThan",
        "DateGreaterThanEquals",
    ),
    "ip": ("IpAddress", "NotIpAddress"),
    "binary": ("BinaryEquals",),
}
LISTED = (
    TARGET,
    f"arn:aws:iam::{TARGET}:root",
    OWNER,
    f"arn:aws:iam::{OWNER}:root",
    f"arn:aws:iam::{OTHER}:root",
    ROLE,
    PATH_ROLE,
    f"arn:aws:iam::{TARGET}:role/app",
    f"arn:aws:iam::{TARGET}:role/team/App",
    f"arn:aws:iam::{OTHER}:role/App",
    USER,
    f"arn:aws:iam::{TARGET}:user/bob",
    SESSION,
    f"arn:aws:sts::{TARGET}:assumed-role/App/other",
    PATH_SESSION,
    FEDERATED,
    INFRASTRUCTURE,
    f"arn:aws:iam::{TARGET}:role/*",
    f"arn:aws:iam::{TARGET}:*",
    f"arn:aws:iam::{TARGET}:group/Ops",
    "AROAEXAMPLEEXAMPLE123",
    "AIDAEXAMPLEEXAMPLE123",
    f"arn:aws:iam::{OWNER}:role/Admin",
)
SERVICES = ("ec2.amazonaws.com", "autoscaling.amazonaws.com")
