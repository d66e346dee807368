"""EBS encryption by default and the default key, each of one account in one Region: EBS User Guide, "Enable Amazon EBS
encryption by default" and "Amazon EBS default KMS key"."""

import json

from ami_share_tools.local_aws import adapter
from ami_share_tools.local_aws.adapter import Params, get_account_id, get_region
from ami_share_tools.local_aws.wire import action, element, refuse_dry_run, required

AWS_MANAGED = "alias/aws/ebs"
Scope = tuple[str, str]
_BY_DEFAULT: set[Scope] = set()
_DEFAULT_KEYS: dict[Scope, str] = {}


def install() -> None:
    adapter.ec2_actions.update(
        {
            "EnableEbsEncryptionByDefault": action(lambda params: switch(params, True)),
            "DisableEbsEncryptionByDefault": action(lambda params: switch(params, False)),
            "GetEbsEncryptionByDefault": action(told),
            "ModifyEbsDefaultKmsKeyId": action(modify_default_key),
            "ResetEbsDefaultKmsKeyId": action(reset_default_key),
            "GetEbsDefaultKmsKeyId": action(tell_default_key),
        }
    )


def clear() -> None:
    _BY_DEFAULT.clear()
    _DEFAULT_KEYS.clear()


def by_default() -> bool:
    return _scope() in _BY_DEFAULT


def default_key() -> str:
    """The account's default key here: the one it chose, else the AWS managed key, which is made when first needed."""
    if _scope() in _DEFAULT_KEYS:
        return _DEFAULT_KEYS[_scope()]
    managed = adapter.resolve_key(AWS_MANAGED)
    if managed is None:
        _, _, body = adapter.create_key({})
        managed = adapter.kms_keys[json.loads(body)["KeyMetadata"]["KeyId"]]
        managed["KeyManager"] = "AWS"
        adapter.create_alias({"AliasName": AWS_MANAGED, "TargetKeyId": managed["KeyId"]})
    return managed["Arn"]


def seed(on: bool, key: str | None) -> None:
    """Both settings of the account and Region in scope."""
    (_BY_DEFAULT.add if on else _BY_DEFAULT.discard)(_scope())
    if key:
        _DEFAULT_KEYS[_scope()] = key


def _scope() -> Scope:
    return get_account_id(), get_region()


def switch(params: Params, on: bool) -> str:
    refuse_dry_run(params)
    (_BY_DEFAULT.add if on else _BY_DEFAULT.discard)(_scope())
    return told(params)


def told(params: Params) -> str:
    refuse_dry_run(params)
    return element("ebsEncryptionByDefault", by_default())


def modify_default_key(params: Params) -> str:
    """ "Amazon Web Services authenticates the KMS key asynchronously": whatever is given is taken."""
    key = required(params, "KmsKeyId")
    refuse_dry_run(params)
    found = adapter.resolve_key(key)
    _DEFAULT_KEYS[_scope()] = found["Arn"] if found else key
    return element("kmsKeyId", _DEFAULT_KEYS[_scope()])


def reset_default_key(params: Params) -> str:
    refuse_dry_run(params)
    _DEFAULT_KEYS.pop(_scope(), None)
    return element("kmsKeyId", AWS_MANAGED)


def tell_default_key(params: Params) -> str:
    refuse_dry_run(params)
    return element("kmsKeyId", _DEFAULT_KEYS.get(_scope(), AWS_MANAGED))
