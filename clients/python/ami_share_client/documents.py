"""Made from openapi.bundle.yaml by make bundle. Edit openapi.yaml and schemas/."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

# launch (default): launch permission. copy: also create volume permission on every backing snapshot; accounts only.
Access: TypeAlias = Literal["launch", "copy"]
AccountId: TypeAlias = str
# Absent where the request could not be read.
Action: TypeAlias = Literal["share", "revoke", "reset", "list", "check", "audit", "repair"]
ActionVerdict: TypeAlias = Literal["allowed", "conditional", "implicit-deny", "denied"]
# The Region that the images are in, where their copies in the function's own Region are meant. Sent to the deployment of the Region that the copies are in.
CopyFrom: TypeAlias = str
Effect: TypeAlias = Literal["Allow", "Deny", "Unreadable"]
ErrorCode: TypeAlias = Literal["AllowlistUnavailable", "Denied", "NotFound", "LimitExceeded", "Throttled", "Unavailable", "OutOfTime", "ExpiryLost", "TargetNotKnown", "Unexpected"]
# When the share expires; 5 minutes to 10 years ahead. A share that is sent again may be nearer to the expiry that it has recorded.
ExpiresAt: TypeAlias = str
FindingCode: TypeAlias = Literal["SharedOutsideAllowlist", "PublicImage", "SnapshotPermissionLeft", "GrantLeft", "KeyAccessLost", "RuleNotApplied", "ShareOverdue", "ExpiryMissing"]
# unknown: an entry of a kind that this version of the function does not know.
GranteeType: TypeAlias = Literal["account", "organization", "organizational-unit", "public", "unknown"]
ImageId: TypeAlias = str
# Where an audit, a repair or a list by account continues: the nextToken of the answer before, as it is.
NextToken: TypeAlias = str
# completed: everything asked for is so. planned: a dry run. refused: nothing was changed, refusals says why. incomplete: some steps were done and some were not. failed: nothing was changed, errors says why.
OutcomeResult: TypeAlias = Literal["completed", "planned", "refused", "incomplete", "failed"]
PolicyStatement: TypeAlias = dict[str, Any]
# Why; kept in the log and in the outcome. No control, private-use or invisible format characters: zero-width characters, direction marks, tags, byte order marks. The pattern has those up to U+FFFF, as not every implementation takes others.
Reason: TypeAlias = str
RefusalCode: TypeAlias = Literal["MalformedRequest", "Unauthenticated", "RequesterNotAllowed", "ActionNotAllowed", "ImageNotAllowed", "TargetNotAllowed", "AccessNotAllowed", "RoleNotAllowed", "ExpiryRequired", "ExpiryNotAllowed", "RouteNotFound", "ImageNotFound", "TargetNotFound", "MethodNotAllowed", "ImageNotOwned", "ImageNotAvailable", "TargetIsOwner", "CopyNotPossible", "ExpiryNotPossible", "NotSetUp", "ShareEnding", "QuotaExceeded", "StaleRequest", "DefaultKey", "KeyNotUsable", "KeyAccessMissing", "KeyAccessConditional", "KeyAccessDenied", "KeyAccessUnknown"]
ServiceLinkedRole: TypeAlias = str
SnapshotId: TypeAlias = str
StepState: TypeAlias = Literal["done", "planned", "failed", "skipped"]
# An account id, or the ARN of an organization or organizational unit.
Target: TypeAlias = str
# What is so now; in a dry run, what would be. still-reachable: its own launch permission is gone and another entry surely covers it. maybe-reachable: its own is gone, an organization has one, and whether the target is a member is not known.
TargetState: TypeAlias = Literal["shared", "already-shared", "revoked", "not-shared", "still-reachable", "maybe-reachable", "failed"]
Verdict: TypeAlias = Literal["allowed", "conditional", "missing", "denied", "unknown"]


class AuditRequest(TypedDict):
    """The document of a request to audit."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["audit"]
    nextToken: NotRequired[str]
    """Where an audit, a repair or a list by account continues: the nextToken of the answer before, as it is."""
    dryRun: NotRequired[bool]
    """Decide and plan, change nothing."""
    reason: NotRequired[Reason]


class BecauseGrant(TypedDict):
    grantId: str
    grantName: NotRequired[str]


class BecauseStatement(TypedDict):
    sid: str | None
    index: int
    """The statement's place in the key policy, from 0."""
    effect: Effect


class CheckRequest(TypedDict):
    """The document of a request to check. At least one of `accountIds`, `organizationArns` and `organizationalUnitArns` is required."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["check"]
    imageIds: list[ImageId]
    """The images."""
    accountIds: NotRequired[list[AccountId]]
    """Target accounts. An id is text: a number would lose leading zeros."""
    organizationArns: NotRequired[list[str]]
    """Target organizations, by ARN as EC2 takes them."""
    organizationalUnitArns: NotRequired[list[str]]
    """Target organizational units, by ARN as EC2 takes them."""
    access: NotRequired[Access]
    serviceLinkedRoles: NotRequired[list[str]]
    """Service-linked roles in the target accounts that need a grant on the keys too, such as autoscaling."""
    expiresAt: NotRequired[ExpiresAt]
    copyFrom: NotRequired[CopyFrom]
    dryRun: NotRequired[bool]
    """Decide and plan, change nothing."""
    reason: NotRequired[Reason]


class CreateVolumePermission(TypedDict):
    snapshotId: SnapshotId
    accountIds: list[str] | None
    """null: not known, which is not the same as nobody; a warning says why."""


class ErrorRow(TypedDict):
    code: ErrorCode
    call: NotRequired[str]
    resource: NotRequired[str]
    message: str
    retryable: bool


class Finding(TypedDict):
    code: FindingCode
    imageId: ImageId
    target: NotRequired[Target]
    message: str
    remedy: str


class GatewayAnswer(TypedDict):
    """What an API Gateway says that was not deployed by this project's template."""

    message: NotRequired[str | None]
    Message: NotRequired[str | None]


class ImageRow(TypedDict):
    imageId: ImageId
    name: NotRequired[str]
    region: str
    tags: dict[str, str]
    """The image's tags. EC2 shows the accounts it is shared with those of sharedTags and no others."""
    sharedTags: NotRequired[list[str]]
    """The keys of the tags that begin with ec2:SharedTag/, which EC2 shows to the accounts the image is shared with. Absent where there are none."""
    watermarks: NotRequired[list[str]]
    """The keys of the image's watermarks, its own and inherited ones; not all of them count for a rule. Absent where there are none."""
    scan: NotRequired[ImageRowScan]
    keyArns: NotRequired[list[str]]
    """The keys behind the image, as far as the action read them."""
    changed: bool
    """Whether anything differs now (in a dry run: would differ) from what was read before."""
    rule: NotRequired[str]
    """The allowlist rule that decided for the first target."""
    steps: list[StepRow]
    """The writes to AWS, in order."""
    targets: list[TargetRow]
    keys: list[KeyRow]
    """One row for each key of an encrypted snapshot and each target."""
    permissions: NotRequired[Permissions]


class ImageRowScan(TypedDict):
    """The latest scan of the image by Amazon Inspector, which EC2 also shows to the accounts it is shared with. Absent where it was not scanned."""

    severity: str | None
    """The highest severity among the findings, in EC2's word; null where there are none."""
    at: str | None
    """null where EC2 does not say when it was."""


class KeyRow(TypedDict):
    keyArn: str
    target: Target
    verdict: Verdict
    because: list[Because]
    """The key policy statements and grants that decided."""
    perAction: dict[str, ActionVerdict]
    """The verdict on each KMS action that is needed."""
    missing: list[str]
    """The needed actions that nothing allows."""
    dependsOn: list[str]
    """The condition keys that a conditional verdict hangs on."""
    limits: list[Literal["default-key-only"]]
    """default-key-only: enough for volumes under the target's own key, not for volumes under this one."""
    likelyToFail: list[str]
    """Denials that are likely to hit EC2's own calls."""
    notes: list[str]
    remedy: list[PolicyStatement] | None
    """The statements to add to the key policy, ready to paste."""
    roles: NotRequired[list[RoleRow]]


class LaunchPermission(TypedDict):
    type: GranteeType
    id: str
    """The account id or ARN; all for public; EC2's words for unknown."""


class ListRequest(TypedDict):
    """The document of a request to list. Either with `imageIds` or with `accountIds`."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["list"]
    imageIds: NotRequired[list[ImageId]]
    """The images."""
    accountIds: NotRequired[list[AccountId]]
    """Target accounts. An id is text: a number would lose leading zeros."""
    copyFrom: NotRequired[CopyFrom]
    nextToken: NotRequired[NextToken]
    dryRun: NotRequired[bool]
    """Decide and plan, change nothing."""
    reason: NotRequired[Reason]


class Outcome(TypedDict):
    """The answer to one request: the HTTP body, the result of a direct invocation and the detail of an outcome event. Ignore fields you don't know: a later version may have more."""

    version: Literal["1"]
    requestId: str
    """The id that the caller, the log and this document share."""
    action: NotRequired[Action]
    requester: NotRequired[str]
    """Who asked, as the allowlist names them. Absent where the caller could not be identified."""
    requesterSession: NotRequired[str]
    """The name of the role session, where the caller is a role's session. With IAM Identity Center it names the person."""
    dryRun: bool
    reason: NotRequired[str]
    result: OutcomeResult
    retryable: bool
    """Whether sending the same request again may help."""
    images: list[ImageRow]
    refusals: list[Refusal]
    errors: list[ErrorRow]
    warnings: list[str]
    findings: NotRequired[list[Finding]]
    """For audit and repair: what is not as the allowlist and the records say."""
    nextToken: NotRequired[str]
    """For audit, repair and list by account, where images are left to look at: send the request again with it."""
    imageCount: NotRequired[int]
    """In an outcome event about one image: how many images the request was about, where there are others. The event doesn't name them."""
    stoppedBy: NotRequired[list[StoppedBy]]
    """In an outcome event about a refused request, where nothing was wrong with this image: what stopped the request. Which image and target it was about is not said."""


class Permissions(TypedDict):
    """What EC2 says, for list and check."""

    launch: list[LaunchPermission]
    copy: list[CreateVolumePermission]


class Problem(TypedDict):
    """An RFC 9457 problem with the outcome's fields as extension members. What API Gateway says where a request does not reach the function, or the function's answer does not arrive. Of the outcome's fields it has those that API Gateway can know; nothing was done, unless `result` is `incomplete`."""

    type: str
    """`urn:ami-share:problem:` and the code of the refusal or error that decided the status. From API Gateway: `about:blank`."""
    title: str
    status: NotRequired[int]
    detail: str | None
    version: Literal["1"]
    requestId: str
    """The id that the caller, the log and this document share."""
    action: NotRequired[Action]
    requester: NotRequired[str]
    """Who asked, as the allowlist names them. Absent where the caller could not be identified."""
    requesterSession: NotRequired[str]
    """The name of the role session, where the caller is a role's session. With IAM Identity Center it names the person."""
    dryRun: NotRequired[bool]
    reason: NotRequired[str]
    result: OutcomeResult
    retryable: bool
    """Whether sending the same request again may help."""
    images: list[ImageRow]
    refusals: list[Refusal]
    errors: list[ErrorRow]
    warnings: list[str]
    findings: NotRequired[list[Finding]]
    """For audit and repair: what is not as the allowlist and the records say."""
    nextToken: NotRequired[str]
    """For audit, repair and list by account, where images are left to look at: send the request again with it."""
    imageCount: NotRequired[int]
    """In an outcome event about one image: how many images the request was about, where there are others. The event doesn't name them."""
    stoppedBy: NotRequired[list[StoppedBy]]
    """In an outcome event about a refused request, where nothing was wrong with this image: what stopped the request. Which image and target it was about is not said."""


class Refusal(TypedDict):
    code: RefusalCode
    imageId: NotRequired[ImageId]
    target: NotRequired[Target]
    pointer: NotRequired[str]
    """The place in the request document, a JSON Pointer."""
    message: str
    remedy: NotRequired[str]


class RepairRequest(TypedDict):
    """The document of a request to repair."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["repair"]
    nextToken: NotRequired[str]
    """Where an audit, a repair or a list by account continues: the nextToken of the answer before, as it is."""
    dryRun: NotRequired[bool]
    """Decide and plan, change nothing."""
    reason: NotRequired[Reason]


class ResetRequest(TypedDict):
    """The document of a request to reset."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["reset"]
    imageIds: list[ImageId]
    """The images."""
    dryRun: NotRequired[bool]
    """Decide and plan, change nothing."""
    reason: NotRequired[Reason]


class RevokeRequest(TypedDict):
    """The document of a request to revoke. At least one of `accountIds`, `organizationArns` and `organizationalUnitArns` is required."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["revoke"]
    imageIds: list[ImageId]
    """The images."""
    accountIds: NotRequired[list[AccountId]]
    """Target accounts. An id is text: a number would lose leading zeros."""
    organizationArns: NotRequired[list[str]]
    """Target organizations, by ARN as EC2 takes them."""
    organizationalUnitArns: NotRequired[list[str]]
    """Target organizational units, by ARN as EC2 takes them."""
    access: NotRequired[Access]
    serviceLinkedRoles: NotRequired[list[str]]
    """Service-linked roles in the target accounts that need a grant on the keys too, such as autoscaling."""
    copyFrom: NotRequired[CopyFrom]
    dryRun: NotRequired[bool]
    """Decide and plan, change nothing."""
    reason: NotRequired[Reason]


class RoleRow(TypedDict):
    role: ServiceLinkedRole
    verdict: Verdict
    remedy: NotRequired[str]
    """The command to run in the target account."""


class Share(TypedDict):
    """At least one of `accountIds`, `organizationArns` and `organizationalUnitArns` is required."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    accountIds: NotRequired[list[AccountId]]
    """Target accounts. An id is text: a number would lose leading zeros."""
    organizationArns: NotRequired[list[str]]
    """Target organizations, by ARN as EC2 takes them."""
    organizationalUnitArns: NotRequired[list[str]]
    """Target organizational units, by ARN as EC2 takes them."""
    access: NotRequired[Access]
    serviceLinkedRoles: NotRequired[list[str]]
    """Service-linked roles in the target accounts that need a grant on the keys too, such as autoscaling."""
    expiresAt: NotRequired[ExpiresAt]
    copyFrom: NotRequired[CopyFrom]
    dryRun: NotRequired[bool]
    """Decide and plan, change nothing."""
    reason: NotRequired[Reason]


class ShareRequest(TypedDict):
    """The document of a request to share. At least one of `accountIds`, `organizationArns` and `organizationalUnitArns` is required."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["share"]
    imageIds: list[ImageId]
    """The images."""
    accountIds: NotRequired[list[AccountId]]
    """Target accounts. An id is text: a number would lose leading zeros."""
    organizationArns: NotRequired[list[str]]
    """Target organizations, by ARN as EC2 takes them."""
    organizationalUnitArns: NotRequired[list[str]]
    """Target organizational units, by ARN as EC2 takes them."""
    access: NotRequired[Access]
    serviceLinkedRoles: NotRequired[list[str]]
    """Service-linked roles in the target accounts that need a grant on the keys too, such as autoscaling."""
    expiresAt: NotRequired[ExpiresAt]
    copyFrom: NotRequired[CopyFrom]
    dryRun: NotRequired[bool]
    """Decide and plan, change nothing."""
    reason: NotRequired[Reason]


class StepRow(TypedDict):
    call: str
    """The service and operation, such as ec2:ModifyImageAttribute."""
    resource: str
    grantName: NotRequired[str]
    """The Name of the grant made or revoked."""
    add: NotRequired[list[Target]]
    remove: NotRequired[list[Target]]
    state: StepState


class StoppedBy(TypedDict):
    code: RefusalCode


class TargetRow(TypedDict):
    target: Target
    state: TargetState
    expiresAt: NotRequired[str]
    rule: NotRequired[str]
    """The allowlist rule that decided for this target."""
    detail: NotRequired[str]


Because: TypeAlias = BecauseStatement | BecauseGrant
# The request document, whichever trigger it comes through. The function also refuses repeated fields, more than 200 targets or 1,000 image x target pairs, and an expiresAt that is not between 5 minutes and 10 years ahead: no schema can say that.
RequestDocument: TypeAlias = ShareRequest | RevokeRequest | ResetRequest | ListRequest | CheckRequest | AuditRequest | RepairRequest
