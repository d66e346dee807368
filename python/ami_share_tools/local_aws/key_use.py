"""KMS keys as EC2 uses them for a caller: whether there is such a key, whether it can encrypt, whether the caller may use it.

EBS User Guide, "Requirements for Amazon EBS encryption", Permissions for users; "How Amazon EBS encryption works". The calls
to KMS are EC2's in the caller's name, so they carry `kms:ViaService` and `kms:GrantIsForAWSResource` (KMS Developer Guide,
"AWS KMS condition keys").
"""

from ami_share_tools.document import Document
from ami_share_tools.local_aws import access, adapter
from ami_share_tools.local_aws.adapter import caller_arn, get_account_id, get_region, request_scope

# What that page names, on the key that is read from and on the key that is written with.
READ = ("DescribeKey", "CreateGrant", "Decrypt", "ReEncryptFrom")
WRITE = ("DescribeKey", "CreateGrant", "Decrypt", "GenerateDataKeyWithoutPlaintext", "ReEncryptTo")


def find(identifier: str) -> Document | None:
    """CopyImage, KmsKeyId: key ID, key alias, key ARN or alias ARN; "must exist in the destination Region"."""
    parts = identifier.split(":")
    is_arn = parts[0] == "arn" and len(parts) > 5
    owner, region = (parts[4], parts[3]) if is_arn else (get_account_id(), get_region())
    if region != get_region():
        return None
    with request_scope(owner, region):
        return adapter.resolve_key(identifier)


def is_usable(key: Document | None) -> bool:
    """KMS Developer Guide, "Key states of AWS KMS keys"; "Amazon EBS does not support asymmetric KMS keys"."""
    return (
        key is not None
        and key["KeyState"] == "Enabled"
        and key["KeySpec"] == "SYMMETRIC_DEFAULT"
        and key["KeyUsage"] == "ENCRYPT_DECRYPT"
    )


def is_allowed(key: Document, actions: tuple[str, ...]) -> bool:
    """Whether the caller may use the key through EC2 in the key's Region. Which Region `kms:ViaService` names for the key
    of a snapshot in another Region isn't documented."""
    arn, account = key["Arn"], get_account_id()
    _, _, _, region, owner, _ = arn.split(":", 5)
    if key.get("KeyManager") == "AWS" and owner == account:
        return True  # its key policy lets in everybody in the account who may use EBS
    context = {
        "kms:viaservice": f"ec2.{region}.amazonaws.com",
        "kms:calleraccount": account,
        "kms:grantisforawsresource": "true",
    }
    with request_scope(account, region):
        return all(
            access.is_allowed(f"kms:{name}", arn, context)
            and ((owner == account and not is_root()) or policy_allows(key, name, context))
            for name in actions
        )


def is_root() -> bool:
    """Of the root of an account no policies are asked but the key policy ("Default key policy")."""
    return caller_arn().endswith(":root")


def policy_allows(key: Document, action: str, context: dict[str, str]) -> bool:
    asked = adapter.EvalContext(
        principal_arn=caller_arn(),
        principal_type="Root" if is_root() else "AssumedRole",
        principal_account=get_account_id(),
        action=f"kms:{action}",
        resource_arn=key["Arn"],
        region=get_region(),
        service_context=dict(context),
    )
    return adapter.evaluate_resource_policy(key["Policy"], asked).decision == "Allow"
