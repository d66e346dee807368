"""Made from openapi.bundle.yaml by make bundle. Edit openapi.yaml and schemas/."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

# launch (default): launch permission. copy: also create volume permission on every backing snapshot; accounts only.
Access: TypeAlias = Literal["launch", "copy"]
AccountId: TypeAlias = str
# Absent if the request could not be read.
Action: TypeAlias = Literal["share", "revoke", "reset", "list", "check", "usage", "audit", "repair", "images", "approvals", "approve", "reject"]
ActionVerdict: TypeAlias = Literal["allowed", "conditional", "implicit-deny", "denied"]
# The ID of the share that waits for approval. The answers to the share and to approvals contain it.
ApprovalId: TypeAlias = str
# The Region of the images. The request is then about their copies in the Region of the deployment that it is sent to.
CopyFrom: TypeAlias = str
Effect: TypeAlias = Literal["Allow", "Deny", "Unreadable"]
ErrorCode: TypeAlias = Literal["AllowlistUnavailable", "Denied", "NotFound", "LimitExceeded", "Throttled", "Unavailable", "OutOfTime", "ExpiryLost", "TargetNotKnown", "CopyFailed", "CopyOverdue", "NotPublished", "Unexpected"]
# When the share expires: 5 minutes to 10 years ahead. If the same request is sent again, the expiry that it has recorded may be nearer.
ExpiresAt: TypeAlias = str
# Of a MalformedRequest. unknown-field: there is no such field or parameter. missing: it must be there. wrong-type: the value must have another JSON type. bad-format: the value does not have the right form, or is none of the allowed words. too-many: there are more than are allowed. duplicate: it is there twice. out-of-range: it is too small or too large. no-meaning: it says nothing in this request.
FaultKind: TypeAlias = Literal["unknown-field", "missing", "wrong-type", "bad-format", "too-many", "duplicate", "out-of-range", "no-meaning"]
FindingCode: TypeAlias = Literal["SharedOutsideAllowlist", "PublicImage", "SnapshotPermissionLeft", "GrantLeft", "KeyAccessLost", "RuleNotApplied", "ShareOverdue", "ExpiryMissing", "CopyOrphaned", "CopyFailedLeft", "ParameterStale", "ApprovalLeft"]
# present: the verdict depends on a grant that exists. planned: the image's own grant does not exist, and a share creates it. Absent if no grant matters. If the image is shared with the target, the verdict counts only grants that exist.
GrantState: TypeAlias = Literal["present", "planned"]
# unknown: this version of the function does not know the kind of the entry.
GranteeType: TypeAlias = Literal["account", "organization", "organizational-unit", "public", "unknown"]
ImageId: TypeAlias = str
# For check, and after share: whether the target can launch the image now, by launch permission and every key. really: it can, with the limits of the keys. not: there is no launch permission, or a key does not let it in. unknown: this is not known.
Launch: TypeAlias = Literal["really", "not", "unknown"]
# The highest access that a share may ask for.
MayAccess: TypeAlias = Literal["launch", "copy"]
MayActionsItem: TypeAlias = Literal["share", "revoke", "reset", "list", "check", "usage", "audit", "repair"]
# For images: what the name of an image must match, with IAM's wildcards: * for any characters, ? for one. Case counts.
Name: TypeAlias = str
# Where an audit, a repair, a list by account, the catalogue or a list of approvals continues: the nextToken of the previous answer, unchanged.
NextToken: TypeAlias = str
# completed: the request is done. planned: it was a dry run. accepted: nothing failed, and something continues by itself; ask again later. refused: nothing was changed; refusals says why. incomplete: some steps were done and some were not. failed: nothing was changed; errors says why.
OutcomeResult: TypeAlias = Literal["completed", "planned", "accepted", "refused", "incomplete", "failed"]
PolicyStatement: TypeAlias = dict[str, Any]
# The reason for the request, which the log and the outcome show. It must not contain control, private-use or invisible format characters, such as zero-width characters, direction marks, tags and byte order marks. The pattern excludes those up to U+FFFF, because not every implementation supports others.
Reason: TypeAlias = str
# MalformedRequest: The request is not in order. Values: given, allowed, suggestion, expected, count, most, earliest, latest, action. Unauthenticated: The caller could not be identified. RequesterNotAllowed: No rule of the allowlist names the requester. Values: requester. ActionNotAllowed: No rule allows the requester this action. Values: requester, action, rule. ImageNotAllowed: No rule allows the requester this action on this image. Values: requester, action. TargetNotAllowed: No rule allows the requester to share this image with this target. Values: requester, action. AccessNotAllowed: No rule allows more than launch access here. Values: requester, rule, access. RoleNotAllowed: No rule allows a grant for this service-linked role. Values: requester, rule, roles, allowed. ExpiryRequired: The rule only allows shares that expire. Values: requester, rule, maxDuration. ExpiryNotAllowed: The rule does not allow a share to last that long. Values: requester, rule, maxDuration, given, expiresAt. ApprovalNotAllowed: The requester may not approve this, or not through this trigger. Values: requester, rule, decidedBy. CopyNotAllowed: No rule makes copies of images in that Region. Values: requester, rule, copyFrom. RouteNotFound: There is no such route. Values: path. ImageNotFound: There is no such image in this account and Region. TargetNotFound: Nothing that is known has the organization's or organizational unit's id. Values: id. ApprovalNotFound: Nothing waits for approval under this ID. MethodNotAllowed: The route does not take this method. Values: method, allowed. ImageNotOwned: Another account owns the image. ImageNotAvailable: The image is not in the state available. Values: state. TargetIsOwner: The target owns the image. CopyNotPossible: The image cannot be copied, or not by this target. Values: snapshotId, owner, variables, parameter, keys. ExpiryNotPossible: Shares that expire are not set up. Values: variables. NotSetUp: This deployment lacks what the request needs, or has it switched off. Values: parameter, role. PublishNotPossible: The image can't be published where the rule says. Values: rule, parameter, tag, given. ShareEnding: The share is about to expire. Values: expiresAt, deadline. ApprovalLapsed: Nobody approved the share in time. Values: until. ApprovalRejected: The share was rejected. Values: decidedBy. QuotaExceeded: The image would be shared with more entities than the quota allows. Values: count, new, quota. StaleRequest: The event is too old, too new or a replay. Values: age, maxAge. DefaultKey: A snapshot is encrypted with an AWS managed key, which can't be shared. Values: rule, copyFrom. KeyNotUsable: A key is disabled, pending deletion or not a symmetric encryption key. Values: state. CopyKeyNotUsable: The key of the rule can't encrypt a copy. Values: state. KeyAccessMissing: A key does not let the target in. Values: missing. KeyAccessConditional: Whether a key lets the target in depends on conditions that are not known. Values: dependsOn. KeyAccessDenied: A key's policy denies the target. Values: because. KeyAccessUnknown: Whether a key lets the target in could not be found out. Values: call.
RefusalCode: TypeAlias = Literal["MalformedRequest", "Unauthenticated", "RequesterNotAllowed", "ActionNotAllowed", "ImageNotAllowed", "TargetNotAllowed", "AccessNotAllowed", "RoleNotAllowed", "ExpiryRequired", "ExpiryNotAllowed", "ApprovalNotAllowed", "CopyNotAllowed", "RouteNotFound", "ImageNotFound", "TargetNotFound", "ApprovalNotFound", "MethodNotAllowed", "ImageNotOwned", "ImageNotAvailable", "TargetIsOwner", "CopyNotPossible", "ExpiryNotPossible", "NotSetUp", "PublishNotPossible", "ShareEnding", "ApprovalLapsed", "ApprovalRejected", "QuotaExceeded", "StaleRequest", "DefaultKey", "KeyNotUsable", "CopyKeyNotUsable", "KeyAccessMissing", "KeyAccessConditional", "KeyAccessDenied", "KeyAccessUnknown"]
# The kind of launch permission. unknown: this version does not know the kind.
RowHow: TypeAlias = Literal["account", "organization", "organizational-unit", "public", "unknown"]
# Whether the target can launch the image now, by the image's state and every key. unknown: this is not known, or a key lets the target in only under conditions.
RowLaunch: TypeAlias = Literal["really", "not", "unknown"]
ServiceLinkedRole: TypeAlias = str
SnapshotId: TypeAlias = str
StepState: TypeAlias = Literal["done", "planned", "failed", "skipped"]
# An account ID, or the ARN of an organization or organizational unit.
Target: TypeAlias = str
# The state after the request; in a dry run, the state that the request would lead to. still-reachable: its own launch permission was removed, and another entry certainly covers the target. maybe-reachable: its own was removed, and it is not known whether another entry covers the target. waiting: the image is shared with the target when its copy is available.
TargetState: TypeAlias = Literal["shared", "already-shared", "revoked", "not-shared", "still-reachable", "maybe-reachable", "waiting", "failed"]
Verdict: TypeAlias = Literal["allowed", "conditional", "missing", "denied", "unknown"]


class ApprovalsRequest(TypedDict):
    """The document of a request to approvals."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["approvals"]
    nextToken: NotRequired[str]
    """Where an audit, a repair, a list by account, the catalogue or a list of approvals continues: the nextToken of the previous answer, unchanged."""
    dryRun: NotRequired[bool]
    """Decide and plan, but change nothing."""
    reason: NotRequired[Reason]


class ApproveRequest(TypedDict):
    """The document of a request to approve."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["approve"]
    approvalId: ApprovalId
    dryRun: NotRequired[bool]
    """Decide and plan, but change nothing."""
    reason: NotRequired[Reason]


class AuditRequest(TypedDict):
    """The document of a request to audit."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["audit"]
    rows: NotRequired[bool]
    """For audit: whether the answer also has a row for each launch permission, which says whether its target can launch the image."""
    nextToken: NotRequired[str]
    """Where an audit, a repair, a list by account, the catalogue or a list of approvals continues: the nextToken of the previous answer, unchanged."""
    dryRun: NotRequired[bool]
    """Decide and plan, but change nothing."""
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
    """Target accounts. Each ID is a string, because a number would lose leading zeros."""
    organizationArns: NotRequired[list[str]]
    """Target organizations, as the ARNs that EC2 accepts."""
    organizationalUnitArns: NotRequired[list[str]]
    """Target organizational units, as the ARNs that EC2 accepts."""
    access: NotRequired[Access]
    serviceLinkedRoles: NotRequired[list[str]]
    """Service-linked roles in the target accounts that also need a grant on the keys, such as autoscaling."""
    expiresAt: NotRequired[ExpiresAt]
    copyFrom: NotRequired[CopyFrom]
    dryRun: NotRequired[bool]
    """Decide and plan, but change nothing."""
    reason: NotRequired[Reason]


class CreateVolumePermission(TypedDict):
    snapshotId: SnapshotId
    accountIds: list[str] | None
    """null if it is not known who may copy the snapshot; a warning says why. An empty list means that nobody may."""


class Decision(TypedDict):
    version: NotRequired[Literal["1"]]
    """The version of this document."""
    dryRun: NotRequired[bool]
    """Decide and plan, but change nothing."""
    reason: NotRequired[Reason]


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
    """The answer of an API Gateway that was not deployed by this project's template."""

    message: NotRequired[str | None]
    Message: NotRequired[str | None]


class ImageRow(TypedDict):
    imageId: str | None
    """The image. With copyFrom, the copy in this Region; null until EC2 gives it an ID."""
    copyOf: NotRequired[ImageRowCopyOf]
    copy: NotRequired[ImageRowCopy]
    name: NotRequired[str]
    region: str
    tags: dict[str, str]
    """The image's tags. EC2 shows only those in sharedTags to the accounts that the image is shared with."""
    sharedTags: NotRequired[list[str]]
    """The keys of the tags that begin with ec2:SharedTag/, which EC2 shows to the accounts that the image is shared with. Absent if there are none."""
    watermarks: NotRequired[list[str]]
    """The keys of the image's watermarks, its own and inherited ones. Rules don't accept all of them. Absent if there are none."""
    scan: NotRequired[ImageRowScan]
    keyArns: NotRequired[list[str]]
    """The keys behind the image, as far as the action read them."""
    changed: bool
    """Whether the request changed anything (in a dry run: would change anything)."""
    rule: NotRequired[str]
    """The allowlist rule that decided for the first target."""
    steps: list[StepRow]
    """The writes to AWS, in order."""
    targets: list[TargetRow]
    keys: list[KeyRow]
    """One row for each key of an encrypted snapshot and each target."""
    permissions: NotRequired[Permissions]
    created: NotRequired[str | None]
    """For images: when the image was created; null if EC2 does not return it."""
    architecture: NotRequired[str | None]
    """For images: the architecture of the image, as EC2 names it; null if EC2 does not return it."""
    encrypted: NotRequired[bool]
    """For images: whether a snapshot behind the image is encrypted, so that a target needs its key."""
    state: NotRequired[str]
    """For images: the state of the image, as EC2 names it. Only an available image can be shared."""
    may: NotRequired[list[May]]
    """For images: the rules of the requester that cover the image, in the order of the allowlist."""
    usage: NotRequired[Usage]


class ImageRowCopy(TypedDict):
    """With copyFrom: the state of the copy."""

    state: str
    """The state of the copy in EC2, such as pending or available; none if there is no copy yet."""
    keyArn: NotRequired[str]
    """The key that encrypts the copy, which the rule names."""
    until: NotRequired[str]
    """How long shares wait for the copy, if any do."""


class ImageRowCopyOf(TypedDict):
    """With copyFrom: the image that the request names. This image is its copy."""

    region: str
    imageId: ImageId


class ImageRowScan(TypedDict):
    """The latest scan of the image by Amazon Inspector, which EC2 also shows to the accounts that the image is shared with. Absent if it was not scanned."""

    severity: str | None
    """The highest severity among the findings, as EC2 names it; null if there are none."""
    at: str | None
    """The time of the scan; null if EC2 does not return it."""


class ImagesRequest(TypedDict):
    """The document of a request to images."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["images"]
    name: NotRequired[Name]
    nextToken: NotRequired[str]
    """Where an audit, a repair, a list by account, the catalogue or a list of approvals continues: the nextToken of the previous answer, unchanged."""
    dryRun: NotRequired[bool]
    """Decide and plan, but change nothing."""
    reason: NotRequired[Reason]


class KeyRow(TypedDict):
    keyArn: str
    target: Target
    grant: NotRequired[GrantState]
    verdict: Verdict
    because: list[Because]
    """The key policy statements and grants that decided."""
    perAction: dict[str, ActionVerdict]
    """The verdict for each KMS action that is needed."""
    missing: list[str]
    """The needed actions that nothing allows."""
    dependsOn: list[str]
    """The condition keys that a conditional verdict depends on."""
    limits: list[Literal["default-key-only"]]
    """default-key-only: enough for volumes that are encrypted with the target's own key, but not with this one."""
    likelyToFail: list[str]
    """Deny statements that are likely to apply to EC2's own calls."""
    notes: list[str]
    remedy: list[PolicyStatement] | None
    """The statements to add to the key policy, ready to paste."""
    roles: NotRequired[list[RoleRow]]


class LaunchPermission(TypedDict):
    type: GranteeType
    id: str
    """The account ID or ARN; all for public; EC2's text for unknown."""


class ListRequest(TypedDict):
    """The document of a request to list. Either with `imageIds` or with `accountIds`."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["list"]
    imageIds: NotRequired[list[ImageId]]
    """The images."""
    accountIds: NotRequired[list[AccountId]]
    """Target accounts. Each ID is a string, because a number would lose leading zeros."""
    copyFrom: NotRequired[CopyFrom]
    nextToken: NotRequired[NextToken]
    dryRun: NotRequired[bool]
    """Decide and plan, but change nothing."""
    reason: NotRequired[Reason]


class May(TypedDict):
    """What one rule lets the requester do with an image."""

    rule: str
    """The name of the rule."""
    actions: list[MayActionsItem]
    targets: list[MayTarget]
    """The targets that the rule names."""
    access: MayAccess
    maxDuration: str | None
    """How long a share may last; expiresAt is then required. null if a share may last forever."""
    approval: bool
    """Whether a share waits for an approval."""


class MayTarget(TypedDict):
    id: Target
    name: str | None
    """The account's name in the allowlist's directory; null if it has none."""


class Outcome(TypedDict):
    """The answer to one request: the HTTP body, the result of a direct invocation and the detail of an outcome event. Ignore fields you don't know: a later version may have more."""

    version: Literal["1"]
    requestId: str
    """The ID of the request. The caller, the log and this document have the same one."""
    action: NotRequired[Action]
    requester: NotRequired[str]
    """The requester, as the allowlist names it. Absent if the caller could not be identified."""
    approvedBy: NotRequired[str]
    """Who approved the share, if a rule with approvers decided. requester is who asked for the share."""
    approvalReason: NotRequired[str]
    """The reason of the approval, in the words of who gave it."""
    requesterSession: NotRequired[str]
    """The name of the role session, if the caller is a role session. With IAM Identity Center it names the person."""
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
    """For audit and repair: what differs from the allowlist and the records."""
    rows: NotRequired[list[Row]]
    """For an audit with rows: the launch permissions of the images that the requester's rules cover. A launch permission that only rules of other requesters cover is left out."""
    approval: NotRequired[OutcomeApproval]
    approvals: NotRequired[list[OutcomeApprovalsItem]]
    """For approvals: the shares that wait for approval and that the requester may approve or reject, and the requester's own."""
    nextToken: NotRequired[str]
    """For audit, repair, list by account, approvals and images: present if there is more. Send the request again with it."""
    imageCount: NotRequired[int]
    """In an outcome event about one image: the number of images in the request, if there are others. The event doesn't name them."""
    stoppedBy: NotRequired[list[StoppedBy]]
    """In an outcome event of a refused request, if nothing was wrong with this image: the codes that stopped the request. The event doesn't say for which image and target."""


class OutcomeApproval(TypedDict):
    """The approval that the share waits for: its ID, how long the share waits, and the rules that require the approval."""

    id: str
    until: str
    rules: list[str]


class OutcomeApprovalsItem(TypedDict):
    id: str
    requester: str
    until: str
    rules: list[str]
    request: dict[str, Any]
    """The request document of the share."""
    reason: str | None


class Permissions(TypedDict):
    """For list and check: the permissions that EC2 returns."""

    launch: list[LaunchPermission]
    copy: list[CreateVolumePermission]


class Problem(TypedDict):
    """An RFC 9457 problem with the outcome's fields as extension members. The answer of API Gateway if a request does not reach the function, or the function's answer does not arrive. It has only those fields of the outcome that API Gateway can know. Nothing was done, unless `result` is `incomplete`."""

    type: str
    """`urn:ami-share:problem:` and the code of the refusal or error that decided the status. From API Gateway: `about:blank`."""
    title: str
    status: NotRequired[int]
    detail: str | None
    version: Literal["1"]
    requestId: str
    """The ID of the request. The caller, the log and this document have the same one."""
    action: NotRequired[Action]
    requester: NotRequired[str]
    """The requester, as the allowlist names it. Absent if the caller could not be identified."""
    approvedBy: NotRequired[str]
    """Who approved the share, if a rule with approvers decided. requester is who asked for the share."""
    approvalReason: NotRequired[str]
    """The reason of the approval, in the words of who gave it."""
    requesterSession: NotRequired[str]
    """The name of the role session, if the caller is a role session. With IAM Identity Center it names the person."""
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
    """For audit and repair: what differs from the allowlist and the records."""
    rows: NotRequired[list[Row]]
    """For an audit with rows: the launch permissions of the images that the requester's rules cover. A launch permission that only rules of other requesters cover is left out."""
    approval: NotRequired[OutcomeApproval]
    approvals: NotRequired[list[OutcomeApprovalsItem]]
    """For approvals: the shares that wait for approval and that the requester may approve or reject, and the requester's own."""
    nextToken: NotRequired[str]
    """For audit, repair, list by account, approvals and images: present if there is more. Send the request again with it."""
    imageCount: NotRequired[int]
    """In an outcome event about one image: the number of images in the request, if there are others. The event doesn't name them."""
    stoppedBy: NotRequired[list[StoppedBy]]
    """In an outcome event of a refused request, if nothing was wrong with this image: the codes that stopped the request. The event doesn't say for which image and target."""


class Refusal(TypedDict):
    code: RefusalCode
    imageId: NotRequired[ImageId]
    target: NotRequired[Target]
    pointer: NotRequired[str]
    """The field at fault in the request document, or the field that is missing: a JSON Pointer, which is empty for the whole document."""
    parameter: NotRequired[str]
    """In place of pointer: the path or query parameter at fault, or the one that is missing."""
    fault: NotRequired[FaultKind]
    keyArn: NotRequired[str]
    """The key at fault."""
    statements: NotRequired[list[dict[str, Any]]]
    """The statements of the remedy, ready to be added to the policy of the key."""
    values: NotRequired[RefusalValues]
    message: str
    remedy: NotRequired[str]


class RefusalValues(TypedDict):
    """What the message says, as data: the values that the code lists, each if it applies."""

    given: NotRequired[str]
    """The value that was given, shortened."""
    allowed: NotRequired[list[str]]
    """The values that are allowed."""
    suggestion: NotRequired[str]
    """The field that was probably meant."""
    expected: NotRequired[str]
    """The JSON type that the value must have."""
    count: NotRequired[int]
    """The number of items that there are."""
    most: NotRequired[int]
    """The highest number that is allowed."""
    earliest: NotRequired[str]
    """The earliest time that is allowed."""
    latest: NotRequired[str]
    """The latest time that is allowed."""
    action: NotRequired[str]
    """The action of the request."""
    requester: NotRequired[str]
    """The requester, as the allowlist names it."""
    rule: NotRequired[str]
    """The rule of the allowlist that comes closest to the request."""
    access: NotRequired[str]
    """The access that the rule allows."""
    roles: NotRequired[list[str]]
    """The service-linked roles that the rule doesn't have."""
    maxDuration: NotRequired[str]
    """How long the rule allows a share to last, in the form of the allowlist, such as 30d."""
    expiresAt: NotRequired[str]
    """When the share expires, or would expire."""
    path: NotRequired[str]
    """The path of the request, shortened."""
    id: NotRequired[str]
    """The ID of the organization or organizational unit."""
    method: NotRequired[str]
    """The method of the request, shortened."""
    state: NotRequired[str]
    """The state of the image or key, as AWS names it."""
    snapshotId: NotRequired[SnapshotId]
    owner: NotRequired[str]
    """The account that owns the snapshot."""
    variables: NotRequired[list[str]]
    """The environment variables that are not set."""
    keys: NotRequired[list[str]]
    """The keys that rules have for copies of the same image."""
    copyFrom: NotRequired[str]
    """The Region that no rule makes copies from."""
    parameter: NotRequired[str]
    """The parameter of the stack that turns the feature on, or the Parameter Store parameter that the rule publishes to."""
    tag: NotRequired[str]
    """The key of the image's tag whose value can't be part of a parameter's name."""
    role: NotRequired[str]
    """The service-linked role that needs the grant."""
    decidedBy: NotRequired[str]
    """Who approved or rejected the share."""
    until: NotRequired[str]
    """The time until which the share waited for approval."""
    deadline: NotRequired[str]
    """The time until which the invocation may last."""
    new: NotRequired[int]
    """The number of entities that the share would add."""
    quota: NotRequired[int]
    """The quota."""
    age: NotRequired[int]
    """The age of the request for the share, in seconds."""
    maxAge: NotRequired[int]
    """The highest age that is allowed, in seconds."""
    missing: NotRequired[list[str]]
    """The actions that the key doesn't allow."""
    dependsOn: NotRequired[list[str]]
    """The condition keys that it depends on."""
    because: NotRequired[list[Because]]
    """The statements that deny."""
    call: NotRequired[str]
    """The call to AWS that was not answered."""


class RejectRequest(TypedDict):
    """The document of a request to reject."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["reject"]
    approvalId: ApprovalId
    dryRun: NotRequired[bool]
    """Decide and plan, but change nothing."""
    reason: NotRequired[Reason]


class RepairRequest(TypedDict):
    """The document of a request to repair."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["repair"]
    nextToken: NotRequired[str]
    """Where an audit, a repair, a list by account, the catalogue or a list of approvals continues: the nextToken of the previous answer, unchanged."""
    dryRun: NotRequired[bool]
    """Decide and plan, but change nothing."""
    reason: NotRequired[Reason]


class ResetRequest(TypedDict):
    """The document of a request to reset."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["reset"]
    imageIds: list[ImageId]
    """The images."""
    dryRun: NotRequired[bool]
    """Decide and plan, but change nothing."""
    reason: NotRequired[Reason]


class RevokeRequest(TypedDict):
    """The document of a request to revoke. At least one of `accountIds`, `organizationArns` and `organizationalUnitArns` is required."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["revoke"]
    imageIds: list[ImageId]
    """The images."""
    accountIds: NotRequired[list[AccountId]]
    """Target accounts. Each ID is a string, because a number would lose leading zeros."""
    organizationArns: NotRequired[list[str]]
    """Target organizations, as the ARNs that EC2 accepts."""
    organizationalUnitArns: NotRequired[list[str]]
    """Target organizational units, as the ARNs that EC2 accepts."""
    access: NotRequired[Access]
    serviceLinkedRoles: NotRequired[list[str]]
    """Service-linked roles in the target accounts that also need a grant on the keys, such as autoscaling."""
    copyFrom: NotRequired[CopyFrom]
    dryRun: NotRequired[bool]
    """Decide and plan, but change nothing."""
    reason: NotRequired[Reason]


class RoleRow(TypedDict):
    role: ServiceLinkedRole
    verdict: Verdict
    remedy: NotRequired[str]
    """The command to run in the target account."""


class Row(TypedDict):
    """A launch permission of an image."""

    imageId: ImageId
    name: str | None
    """The image's name; null if it has none."""
    target: str
    """An account ID, or the ARN of an organization or organizational unit, whose members have no rows of their own; all for a public image."""
    how: RowHow
    launch: RowLaunch
    why: str
    copy: bool | None
    """Whether the target may also create volumes from every snapshot of the image; null if that is not known."""
    until: str | None
    """When the share expires; null if it does not."""
    rule: str | None
    """The rule of the requester that covers the launch permission; null if no rule lets anybody share the image with the target."""


class Share(TypedDict):
    """At least one of `accountIds`, `organizationArns` and `organizationalUnitArns` is required."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    accountIds: NotRequired[list[AccountId]]
    """Target accounts. Each ID is a string, because a number would lose leading zeros."""
    organizationArns: NotRequired[list[str]]
    """Target organizations, as the ARNs that EC2 accepts."""
    organizationalUnitArns: NotRequired[list[str]]
    """Target organizational units, as the ARNs that EC2 accepts."""
    access: NotRequired[Access]
    serviceLinkedRoles: NotRequired[list[str]]
    """Service-linked roles in the target accounts that also need a grant on the keys, such as autoscaling."""
    expiresAt: NotRequired[ExpiresAt]
    copyFrom: NotRequired[CopyFrom]
    dryRun: NotRequired[bool]
    """Decide and plan, but change nothing."""
    reason: NotRequired[Reason]


class ShareRequest(TypedDict):
    """The document of a request to share. At least one of `accountIds`, `organizationArns` and `organizationalUnitArns` is required."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["share"]
    imageIds: list[ImageId]
    """The images."""
    accountIds: NotRequired[list[AccountId]]
    """Target accounts. Each ID is a string, because a number would lose leading zeros."""
    organizationArns: NotRequired[list[str]]
    """Target organizations, as the ARNs that EC2 accepts."""
    organizationalUnitArns: NotRequired[list[str]]
    """Target organizational units, as the ARNs that EC2 accepts."""
    access: NotRequired[Access]
    serviceLinkedRoles: NotRequired[list[str]]
    """Service-linked roles in the target accounts that also need a grant on the keys, such as autoscaling."""
    expiresAt: NotRequired[ExpiresAt]
    copyFrom: NotRequired[CopyFrom]
    dryRun: NotRequired[bool]
    """Decide and plan, but change nothing."""
    reason: NotRequired[Reason]


class StepRow(TypedDict):
    call: str
    """The AWS service and operation, such as ec2:ModifyImageAttribute."""
    resource: str
    grantName: NotRequired[str]
    """The Name of the grant that was created or revoked."""
    add: NotRequired[list[Target]]
    remove: NotRequired[list[Target]]
    state: StepState
    detail: NotRequired[str]
    """More about the state. For a parameter: that Parameter Store validates it afterwards."""


class StoppedBy(TypedDict):
    code: RefusalCode


class TargetRow(TypedDict):
    target: Target
    name: NotRequired[str]
    """The account's name in the allowlist's directory, if it has one."""
    state: TargetState
    launch: NotRequired[Launch]
    accepted: NotRequired[bool]
    """For check: whether the rules would accept this request as a share. true for a share that exists and satisfies its rule. false if it could not be determined."""
    expiresAt: NotRequired[str]
    rule: NotRequired[str]
    """The allowlist rule that decided for this target."""
    detail: NotRequired[str]


class Usage(TypedDict):
    """For usage, and in the dry run of a revoke: which other accounts use the image, by the newest report about all accounts and all types of resources. Absent if there is none."""

    asOf: str
    """When the report was requested."""
    entries: list[UsageEntriesItem]
    """An entry for each account that uses the image and that the requester's rules name together with it. For each type of resource, one more entry has the sum of all other accounts; its accountId is null."""
    missing: list[str]
    """Sentences that say what the report may not include yet."""


class UsageEntriesItem(TypedDict):
    accountId: str | None
    resourceType: str
    """The type of the resources that use the image, as EC2 names it, such as ec2:Instance or ec2:LaunchTemplate."""
    count: int
    """The number of these resources."""


class UsageRequest(TypedDict):
    """The document of a request to usage."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["usage"]
    imageIds: list[ImageId]
    """The images."""
    dryRun: NotRequired[bool]
    """Decide and plan, but change nothing."""
    reason: NotRequired[Reason]


Because: TypeAlias = BecauseStatement | BecauseGrant
# The request document, which is the same for every trigger. The function also refuses what a schema can't express: repeated fields, more than 200 targets or 1,000 image x target pairs, and an expiresAt that is not between 5 minutes and 10 years ahead.
RequestDocument: TypeAlias = ShareRequest | RevokeRequest | ResetRequest | ListRequest | CheckRequest | UsageRequest | AuditRequest | RepairRequest | ImagesRequest | ApprovalsRequest | ApproveRequest | RejectRequest
