"""KMS keys: who manages them, calls from other accounts, and what GetKeyPolicy and CreateGrant refuse."""

import json
import re

from ami_share_tools.document import Document
from ami_share_tools.local_aws import adapter
from ami_share_tools.local_aws.adapter import (
    Answer,
    Params,
    error_response_json,
    get_account_id,
    get_region,
    request_scope,
)

# "Cross-account use: Yes" on the operations' pages of the KMS API Reference, as far as grants and checks need them.
CROSS_ACCOUNT = {"DescribeKey", "CreateGrant", "ListGrants", "RevokeGrant", "RetireGrant"}
# KMS API Reference, CreateGrant: an account, user, role, federated user or assumed-role user; Name's pattern.
GRANTEE = re.compile(r"arn:aws[a-z-]*:(iam|sts)::\d{12}:(root|user/.+|role/.+|federated-user/.+|assumed-role/.+/.+)")
GRANT_NAME = re.compile(r"[a-zA-Z0-9:/_-]{1,256}")


def install() -> None:
    adapter.key_metadata.replace(metadata)
    adapter.get_key_policy.replace(get_key_policy)
    adapter.create_grant.replace(create_grant)
    adapter.handle_kms_request.replace(handle)


def by_arn(arn: str | None) -> tuple[str, Document] | None:
    """(owner, key) of any account, or None."""
    return next(((owner, key) for (owner, _, _), key in adapter.kms_keys.everywhere() if key["Arn"] == arn), None)


def is_aws_managed(arn: str | None) -> bool:
    found = by_arn(arn)
    return found is not None and found[1].get("KeyManager") == "AWS"


def metadata(key: Document) -> Document:
    """KMS API Reference, KeyMetadata: AWSAccountId; KeyManager is AWS or CUSTOMER; Enabled only in state Enabled."""
    return adapter.key_metadata(key) | {
        "AWSAccountId": key["Arn"].split(":")[4],
        "KeyManager": key.get("KeyManager", "CUSTOMER"),
        "Enabled": key["KeyState"] == "Enabled",
    }


def get_key_policy(request: Document) -> Answer:
    """KMS API Reference, GetKeyPolicy: key ID or key ARN, no alias; NotFoundException for a policy that isn't there."""
    if "alias/" in request.get("KeyId", ""):
        return error_response_json("NotFoundException", f"Invalid keyId '{request['KeyId']}'", 400)
    name = request.get("PolicyName", "default")
    if name != "default":
        return error_response_json("NotFoundException", f"No such policy exists: {name}", 400)
    return adapter.get_key_policy(request)


def create_grant(request: Document) -> Answer:
    """KMS API Reference, CreateGrant, GranteePrincipal and Name."""
    if not GRANTEE.fullmatch(request.get("GranteePrincipal", "")):
        return error_response_json("InvalidArnException", "ARN does not refer to a valid principal.", 400)
    if "Name" in request and not GRANT_NAME.fullmatch(request["Name"]):
        return error_response_json(
            "ValidationException",
            "Value at 'name' failed to satisfy constraint: Member must"
            " satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
            400,
        )
    return adapter.create_grant(request)


async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query_params: Params) -> Answer:
    """KMS Developer Guide, "Allowing users in other accounts to use a KMS key": by key ARN, for the operations that
    allow it, and only if the key policy lets the calling account in."""
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    try:
        arn = json.loads(body or b"{}").get("KeyId", "")
    except (ValueError, AttributeError):
        arn = ""
    caller, found = get_account_id(), by_arn(arn)
    if not found or found[0] == caller:
        return await adapter.handle_kms_request(method, path, headers, body, query_params)
    owner, key = found
    if operation not in CROSS_ACCOUNT or not lets_in(key, caller, operation):
        return error_response_json(
            "AccessDeniedException",
            f"User: arn:aws:iam::{caller}:root is not authorized to perform: kms:{operation}"
            f" on resource: {arn} because no resource-based policy allows the kms:{operation} action",
            400,
        )
    with request_scope(owner, get_region()):
        answer = await adapter.handle_kms_request(method, path, headers, body, query_params)
        if operation == "CreateGrant" and answer[0] == 200:  # GrantListEntry: IssuingAccount is who made the grant
            adapter.kms_grants[json.loads(answer[2])["GrantId"]]["IssuingAccount"] = f"arn:aws:iam::{caller}:root"
        return answer


def lets_in(key: Document, account: str, operation: str) -> bool:
    principal = f"arn:aws:iam::{account}:root"
    context = adapter.EvalContext(
        principal_arn=principal,
        principal_type="Root",
        principal_account=account,
        action=f"kms:{operation}",
        resource_arn=key["Arn"],
        region=get_region(),
    )
    return adapter.evaluate_resource_policy(key["Policy"], context).decision == "Allow"
