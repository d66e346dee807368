"""Who asks for what, and what is known of a request's context: one value, several, absent or unknown."""

from enum import Enum
from functools import lru_cache
from typing import Any

from ami_share_tools.document import Document

Question = Document


class Marker(Enum):
    """What takes the place of a value that is not there or not known."""

    ABSENT = "absent"
    UNKNOWN = "unknown"


ABSENT, UNKNOWN = Marker.ABSENT, Marker.UNKNOWN
VARIABLES_SINCE = "2012-10-17"
# What a request has of a key.
Known = list[str] | Marker
# external: what an identity of another account can do with a key. The cryptographic operations are those of
# the KMS guide's page kms-cryptography.
ENCRYPTION_CONTEXT_OPERATIONS = frozenset(
    "Decrypt Encrypt GenerateDataKey GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext "
    "GenerateDataKeyWithoutPlaintext ReEncryptFrom ReEncryptTo".split()
)
CRYPTOGRAPHIC = ENCRYPTION_CONTEXT_OPERATIONS | frozenset(
    "DeriveSharedSecret GenerateMac Sign Verify VerifyMac".split()
)
CROSS_ACCOUNT = CRYPTOGRAPHIC | frozenset(
    "CreateGrant DescribeKey GetKeyRotationStatus GetPublicKey ListGrants RetireGrant RevokeGrant".split()
)
# kmskeys and reference: the operations that carry a key. A key of KMS that is not here is on every operation on a key.
CREATE_GRANT = frozenset(["CreateGrant"])
ATTESTED = frozenset("Decrypt DeriveSharedSecret GenerateDataKey GenerateDataKeyPair".split())
TAGGING = frozenset("CreateKey TagResource".split())
CARRIED_BY = {
    "kms:bypasspolicylockoutsafetycheck": frozenset(["CreateKey", "PutKeyPolicy"]),
    "kms:datakeypairspec": frozenset(["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"]),
    "kms:encryptionalgorithm": ENCRYPTION_CONTEXT_OPERATIONS,
    "kms:encryptioncontextkeys": ENCRYPTION_CONTEXT_OPERATIONS | {"CreateGrant", "RetireGrant"},
    "kms:expirationmodel": frozenset(["ImportKeyMaterial"]),
    "kms:grantconstraintsourcearn": CREATE_GRANT,
    "kms:grantconstrainttype": CREATE_GRANT,
    "kms:grantisforawsresource": frozenset(["CreateGrant", "ListGrants", "RevokeGrant"]),
    "kms:grantoperations": CREATE_GRANT,
    "kms:granteeprincipal": CREATE_GRANT,
    "kms:granteeserviceprincipal": CREATE_GRANT,
    "kms:keyagreementalgorithm": frozenset(["DeriveSharedSecret"]),
    "kms:macalgorithm": frozenset(["GenerateMac", "VerifyMac"]),
    "kms:messagetype": frozenset(["Sign", "Verify"]),
    "kms:primaryregion": frozenset(["UpdatePrimaryRegion"]),
    "kms:reencryptonsamekey": frozenset(["ReEncryptFrom", "ReEncryptTo"]),
    "kms:replicaregion": frozenset(["ReplicateKey"]),
    "kms:requestalias": CRYPTOGRAPHIC | {"DescribeKey", "GetPublicKey"},
    "kms:retiringprincipal": CREATE_GRANT,
    "kms:retiringserviceprincipal": CREATE_GRANT,
    "kms:rotationperiodindays": frozenset(["EnableKeyRotation"]),
    "kms:schedulekeydeletionpendingwindowindays": frozenset(["ScheduleKeyDeletion"]),
    "kms:signingalgorithm": frozenset(["Sign", "Verify"]),
    "kms:trailingdayswithoutkeyusage": frozenset(["DisableKey", "ScheduleKeyDeletion"]),
    "kms:validto": frozenset(["ImportKeyMaterial"]),
    "kms:wrappingalgorithm": frozenset(["GetParametersForImport"]),
    "kms:wrappingkeyspec": frozenset(["GetParametersForImport"]),
    "aws:tagkeys": TAGGING | {"UntagResource"},
}
CARRIED_BY_PREFIX = (
    ("kms:encryptioncontext:", ENCRYPTION_CONTEXT_OPERATIONS | {"CreateGrant", "RetireGrant"}),
    ("kms:recipientattestation:", ATTESTED),
    ("aws:requesttag/", TAGGING),
)
# reference and global: the keys that hold a set. Each of the others holds one value.
MULTI_VALUED = frozenset(
    "kms:grantoperations kms:encryptioncontextkeys kms:resourcealiases aws:principalorgpaths aws:calledvia "
    "aws:tagkeys aws:principalservicenameslist aws:resourceorgpaths aws:sourceorgpaths".split()
)


@lru_cache(maxsize=4096)
def is_carried(key: str, operation: str) -> bool:
    """Whether a request of this operation can have the key at all."""
    operations = CARRIED_BY.get(key)
    if operations is None:
        for prefix, of_prefix in CARRIED_BY_PREFIX:
            if key.startswith(prefix):
                operations = of_prefix
    return operations is None or operation in operations


class Request:
    """Who asks for what, and what is known of the request's context."""

    def __init__(self, question: Question, action: str) -> None:
        who = question["principal"]
        self.operation = action.partition(":")[2]
        self.action = action.lower()
        self.resource = question["resource"]
        self.owner = self.resource.split(":")[4]
        self.account, self.arn = who.get("account"), who.get("arn")
        self.role_arn = question.get("principal_role_arn")
        self.service = self.arn if self.account is None and self.arn and not self.arn.startswith("arn:") else None
        if self.account == "unknown":
            self.account = None
        self.is_closed = question.get("context_mode", "closed") == "closed"
        self.context: dict[str, Known] = {
            key.lower(): ABSENT if value is None else texts(value) for key, value in question["context"].items()
        }
        self.context.update(self.of_principal(who))
        self.notes: set[str] = set()
        self.unknown_variables: set[str] = set()
        # variables: only policies of a version since VARIABLES_SINCE have them
        self.has_variables = question["policy"].get("Version") == VARIABLES_SINCE

    def of_principal(self, who: Document) -> dict[str, Known]:
        """global: the keys that follow from who asks."""
        account = ABSENT if self.service else [self.account] if self.account else UNKNOWN
        organization, paths = who.get("org_id"), who.get("org_paths")
        return {
            "aws:principalaccount": account,
            "kms:calleraccount": account,
            "aws:principalarn": self.principal_arn(),
            "aws:principalorgid": ABSENT
            if organization is None
            else UNKNOWN
            if organization == "unknown"
            else [organization],
            "aws:principalorgpaths": UNKNOWN if paths == "unknown" else paths if paths else ABSENT,
        }

    def principal_arn(self) -> Known:
        """global, aws:PrincipalArn: for a session it is its role's ARN; the session's own ARN lacks the role's path."""
        if self.service:
            return ABSENT
        if self.arn and ":assumed-role/" in self.arn:
            return [self.role_arn] if self.role_arn else UNKNOWN
        return [self.arn] if self.arn else UNKNOWN

    def value_of(self, key: str) -> Known:
        """ABSENT, UNKNOWN or the list of values. operators: key names ignore case."""
        if not is_carried(key, self.operation):
            return ABSENT  # whatever the context says: it is that of a launch, which makes several calls
        value = self.context.get(key)
        if value is not None:
            return value
        if self.is_closed:
            return ABSENT
        if key in ("aws:sourcearn", "aws:sourceaccount"):
            self.notes.add("whether a request of an account's principal can carry " + key)
        return UNKNOWN


def text(value: Any) -> str | None:
    """grammar: quotation marks are optional for numeric and Boolean values."""
    if isinstance(value, str):
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    return None if value is None or isinstance(value, (dict, list)) else str(value)


def texts(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [value]
    return [text(item) for item in value] if isinstance(value, list) else [text(value)]
