"""Made from openapi.bundle.yaml by make bundle. Edit openapi.yaml and schemas/."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

# launch (default): launch permission. copy: also create volume permission on every backing snapshot; accounts only.
Access: TypeAlias = Literal["launch", "copy"]
AccountId: TypeAlias = str
# Absent where the request could not be read.
Action: TypeAlias = Literal["share", "revoke", "reset", "list", "check", "usage", "audit", "repair", "images", "approvals", "approve", "reject"]
ActionVerdict: TypeAlias = Literal["allowed", "conditional", "implicit-deny", "denied"]
# What waits for approval: the ID in the answer to the share, or to approvals.
ApprovalId: TypeAlias = str
# The Region that the images are in, where their copies in the function's own Region are meant. Sent to the deployment of the Region that the copies are in.
CopyFrom: TypeAlias = str
Effect: TypeAlias = Literal["Allow", "Deny", "Unreadable"]
ErrorCode: TypeAlias = Literal["AllowlistUnavailable", "Denied", "NotFound", "LimitExceeded", "Throttled", "Unavailable", "OutOfTime", "ExpiryLost", "TargetNotKnown", "CopyFailed", "CopyOverdue", "NotPublished", "Unexpected"]
# When the share expires; 5 minutes to 10 years ahead. A share that is sent again may be nearer to the expiry that it has recorded.
ExpiresAt: TypeAlias = str
# Of a MalformedRequest. unknown-field: there is no such field or parameter. missing: it must be there. wrong-type: a value of another JSON type belongs there. bad-format: it is not written as it must be, or is none of the words that are known. too-many: there are more than are taken. duplicate: it is there twice. out-of-range: it is too small or too large. no-meaning: it says nothing in this request.
FaultKind: TypeAlias = Literal["unknown-field", "missing", "wrong-type", "bad-format", "too-many", "duplicate", "out-of-range", "no-meaning"]
FindingCode: TypeAlias = Literal["SharedOutsideAllowlist", "PublicImage", "SnapshotPermissionLeft", "GrantLeft", "KeyAccessLost", "RuleNotApplied", "ShareOverdue", "ExpiryMissing", "CopyOrphaned", "CopyFailedLeft", "ParameterStale", "ApprovalLeft"]
# present: a grant that is there plays a part. planned: the image's own grant is not there, and sharing makes it. Left out where no grant plays a part. The verdict of a target that is shared with counts only what is there.
GrantState: TypeAlias = Literal["present", "planned"]
# unknown: an entry of a kind that this version of the function does not know.
GranteeType: TypeAlias = Literal["account", "organization", "organizational-unit", "public", "unknown"]
ImageId: TypeAlias = str
# For check, and after share: whether the target can launch the image as things are now, by launch permission and every key. really: it can; where a key has limits, with those. not: there is no launch permission, or a key lets it not in. unknown: it can't be said.
Launch: TypeAlias = Literal["really", "not", "unknown"]
# The most access that a share may ask for.
MayAccess: TypeAlias = Literal["launch", "copy"]
MayActionsItem: TypeAlias = Literal["share", "revoke", "reset", "list", "check", "usage", "audit", "repair"]
# For images: what the name of an image must match, with IAM's wildcards: * for any characters, ? for one. Case counts.
Name: TypeAlias = str
# Where an audit, a repair, a list by account, the catalogue or a list of approvals continues: the nextToken of the answer before, as it is.
NextToken: TypeAlias = str
# completed: everything asked for is so. planned: a dry run. accepted: nothing failed, and something continues by itself; ask again later. refused: nothing was changed, refusals says why. incomplete: some steps were done and some were not. failed: nothing was changed, errors says why.
OutcomeResult: TypeAlias = Literal["completed", "planned", "accepted", "refused", "incomplete", "failed"]
PolicyStatement: TypeAlias = dict[str, Any]
# Why; kept in the log and in the outcome. No control, private-use or invisible format characters: zero-width characters, direction marks, tags, byte order marks. The pattern has those up to U+FFFF, as not every implementation takes others.
Reason: TypeAlias = str
# MalformedRequest: The request is not in order. Values: given, allowed, suggestion, expected, count, most, earliest, latest, action. Unauthenticated: The caller could not be identified. RequesterNotAllowed: No rule of the allowlist names the requester. Values: requester. ActionNotAllowed: No rule allows the requester this action. Values: requester, action, rule. ImageNotAllowed: No rule allows the requester this action on this image. Values: requester, action. TargetNotAllowed: No rule allows the requester to share this image with this target. Values: requester, action. AccessNotAllowed: No rule allows more than launch access here. Values: requester, rule, access. RoleNotAllowed: No rule allows a grant for this service-linked role. Values: requester, rule, roles, allowed. ExpiryRequired: The rule only allows shares that expire. Values: requester, rule, maxDuration. ExpiryNotAllowed: The rule does not allow a share to last that long. Values: requester, rule, maxDuration, given, expiresAt. ApprovalNotAllowed: The requester may not approve this, or not through this trigger. Values: requester, rule, decidedBy. CopyNotAllowed: No rule makes copies of images in that Region. Values: requester, rule, copyFrom. RouteNotFound: There is no such route. Values: path. ImageNotFound: There is no such image in this account and Region. TargetNotFound: Nothing that is known has the organization's or organizational unit's id. Values: id. ApprovalNotFound: Nothing waits for approval under this ID. MethodNotAllowed: The route does not take this method. Values: method, allowed. ImageNotOwned: Another account owns the image. ImageNotAvailable: The image is not in the state available. Values: state. TargetIsOwner: The target owns the image. CopyNotPossible: The image cannot be copied, or not by this target. Values: snapshotId, owner, variables, keys. ExpiryNotPossible: Shares that expire are not set up. Values: variables. NotSetUp: This deployment lacks what the request needs, or has it switched off. Values: parameter, role. PublishNotPossible: The image can't be published where the rule says. Values: rule, parameter, tag, given. ShareEnding: The share is about to expire. Values: expiresAt, deadline. ApprovalLapsed: Nobody approved the share in time. Values: until. ApprovalRejected: The share was rejected. Values: decidedBy. QuotaExceeded: The image would be shared with more entities than the quota allows. Values: count, new, quota. StaleRequest: The event is too old, too new or a replay. Values: age, maxAge. DefaultKey: A snapshot is encrypted with an AWS managed key, which can't be shared. KeyNotUsable: A key is disabled, pending deletion or not a symmetric encryption key. Values: state. CopyKeyNotUsable: The key of the rule can't encrypt a copy. Values: state. KeyAccessMissing: A key does not let the target in. Values: missing. KeyAccessConditional: Whether a key lets the target in depends on conditions that are not known. Values: dependsOn. KeyAccessDenied: A key's policy denies the target. Values: because. KeyAccessUnknown: Whether a key lets the target in could not be found out. Values: call.
RefusalCode: TypeAlias = Literal["MalformedRequest", "Unauthenticated", "RequesterNotAllowed", "ActionNotAllowed", "ImageNotAllowed", "TargetNotAllowed", "AccessNotAllowed", "RoleNotAllowed", "ExpiryRequired", "ExpiryNotAllowed", "ApprovalNotAllowed", "CopyNotAllowed", "RouteNotFound", "ImageNotFound", "TargetNotFound", "ApprovalNotFound", "MethodNotAllowed", "ImageNotOwned", "ImageNotAvailable", "TargetIsOwner", "CopyNotPossible", "ExpiryNotPossible", "NotSetUp", "PublishNotPossible", "ShareEnding", "ApprovalLapsed", "ApprovalRejected", "QuotaExceeded", "StaleRequest", "DefaultKey", "KeyNotUsable", "CopyKeyNotUsable", "KeyAccessMissing", "KeyAccessConditional", "KeyAccessDenied", "KeyAccessUnknown"]
# The kind of launch permission. unknown: of a kind that this version does not know.
RowHow: TypeAlias = Literal["account", "organization", "organizational-unit", "public", "unknown"]
# Whether the target can launch the image as things are now, by the image's state and every key. unknown: it can't be said, or a key lets it in under conditions.
RowLaunch: TypeAlias = Literal["really", "not", "unknown"]
ServiceLinkedRole: TypeAlias = str
SnapshotId: TypeAlias = str
StepState: TypeAlias = Literal["done", "planned", "failed", "skipped"]
# An account id, or the ARN of an organization or organizational unit.
Target: TypeAlias = str
# The state after the request; in a dry run, the state that the request would lead to. still-reachable: its own launch permission is removed and another entry surely covers it. maybe-reachable: its own is gone, an organization has one, and whether the target is a member is not known. waiting: the share is made when the copy of the image is available.
TargetState: TypeAlias = Literal["shared", "already-shared", "revoked", "not-shared", "still-reachable", "maybe-reachable", "waiting", "failed"]
Verdict: TypeAlias = Literal["allowed", "conditional", "missing", "denied", "unknown"]


class ApprovalsRequest(TypedDict):
    """The document of a request to approvals."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["approvals"]
    nextToken: NotRequired[str]
    """Where an audit, a repair, a list by account, the catalogue or a list of approvals continues: the nextToken of the answer before, as it is."""
    dryRun: NotRequired[bool]
    """Decide and plan, change nothing."""
    reason: NotRequired[Reason]


class ApproveRequest(TypedDict):
    """The document of a request to approve."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["approve"]
    approvalId: ApprovalId
    dryRun: NotRequired[bool]
    """Decide and plan, change nothing."""
    reason: NotRequired[Reason]


class AuditRequest(TypedDict):
    """The document of a request to audit."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["audit"]
    rows: NotRequired[bool]
    """For audit: whether the answer also says of each launch permission whether its target can launch the image."""
    nextToken: NotRequired[str]
    """Where an audit, a repair, a list by account, the catalogue or a list of approvals continues: the nextToken of the answer before, as it is."""
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


class Decision(TypedDict):
    version: NotRequired[Literal["1"]]
    """The version of this document."""
    dryRun: NotRequired[bool]
    """Decide and plan, change nothing."""
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
    """What an API Gateway says that was not deployed by this project's template."""

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
    created: NotRequired[str | None]
    """For images: when the image was created; null where EC2 does not say so."""
    architecture: NotRequired[str | None]
    """For images: the kind of machine the image is for, in EC2's word; null where EC2 does not say so."""
    encrypted: NotRequired[bool]
    """For images: whether a snapshot behind the image is encrypted, so that a target needs its key."""
    state: NotRequired[str]
    """For images: the state of the image, in EC2's word. Only an available image can be shared."""
    may: NotRequired[list[May]]
    """For images: the rules of the requester that cover the image, in the order of the allowlist."""
    usage: NotRequired[Usage]


class ImageRowCopy(TypedDict):
    """With copyFrom: how the copy is."""

    state: str
    """EC2's word for the state of the copy, such as pending or available; none where there is no copy yet."""
    keyArn: NotRequired[str]
    """The key that the copy is encrypted with, which the rule names."""
    until: NotRequired[str]
    """How long shares wait for the copy, where any do."""


class ImageRowCopyOf(TypedDict):
    """With copyFrom: the image that the request names, which this one is a copy of."""

    region: str
    imageId: ImageId


class ImageRowScan(TypedDict):
    """The latest scan of the image by Amazon Inspector, which EC2 also shows to the accounts it is shared with. Absent where it was not scanned."""

    severity: str | None
    """The highest severity among the findings, in EC2's word; null where there are none."""
    at: str | None
    """null where EC2 does not say when it was."""


class ImagesRequest(TypedDict):
    """The document of a request to images."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["images"]
    name: NotRequired[Name]
    nextToken: NotRequired[str]
    """Where an audit, a repair, a list by account, the catalogue or a list of approvals continues: the nextToken of the answer before, as it is."""
    dryRun: NotRequired[bool]
    """Decide and plan, change nothing."""
    reason: NotRequired[Reason]


class KeyRow(TypedDict):
    keyArn: str
    target: Target
    grant: NotRequired[GrantState]
    verdict: Verdict
    because: list[Because]
    """The key policy statements and grants that decided."""
    perAction: dict[str, ActionVerdict]
    """The verdict on each KMS action that is needed."""
    missing: list[str]
    """The needed actions that nothing allows."""
    dependsOn: list[str]
    """The condition keys that a conditional verdict depends on."""
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


class May(TypedDict):
    """What one rule lets the requester do with an image."""

    rule: str
    """The name of the rule."""
    actions: list[MayActionsItem]
    targets: list[MayTarget]
    """The targets that the rule names."""
    access: MayAccess
    maxDuration: str | None
    """How long a share lasts at most: then expiresAt is required. null where a share may last forever."""
    approval: bool
    """Whether a share waits for an approval."""


class MayTarget(TypedDict):
    id: Target
    name: str | None
    """The account's name in the allowlist's directory; null where it has none."""


class Outcome(TypedDict):
    """The answer to one request: the HTTP body, the result of a direct invocation and the detail of an outcome event. Ignore fields you don't know: a later version may have more."""

    version: Literal["1"]
    requestId: str
    """The id that the caller, the log and this document share."""
    action: NotRequired[Action]
    requester: NotRequired[str]
    """Who asked, as the allowlist names them. Absent where the caller could not be identified."""
    approvedBy: NotRequired[str]
    """Who approved the share, where a rule with approvers decided. requester is who asked."""
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
    rows: NotRequired[list[Row]]
    """For an audit with rows: the launch permissions of the images that the requester's rules cover. One that only rules of others cover is left out."""
    approval: NotRequired[OutcomeApproval]
    approvals: NotRequired[list[OutcomeApprovalsItem]]
    """For approvals: the shares that wait for approval and that the requester may decide, and the requester's own."""
    nextToken: NotRequired[str]
    """For audit, repair, list by account, approvals and images, where images are left to look at: send the request again with it."""
    imageCount: NotRequired[int]
    """In an outcome event about one image: how many images the request was about, where there are others. The event doesn't name them."""
    stoppedBy: NotRequired[list[StoppedBy]]
    """In an outcome event about a refused request, where nothing was wrong with this image: what stopped the request. Which image and target it was about is not said."""


class OutcomeApproval(TypedDict):
    """The approval that the share waits for: its ID, how long it waits, and the rules that want it."""

    id: str
    until: str
    rules: list[str]


class OutcomeApprovalsItem(TypedDict):
    id: str
    requester: str
    until: str
    rules: list[str]
    request: dict[str, Any]
    """What was asked for: a request document."""
    reason: str | None


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
    approvedBy: NotRequired[str]
    """Who approved the share, where a rule with approvers decided. requester is who asked."""
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
    rows: NotRequired[list[Row]]
    """For an audit with rows: the launch permissions of the images that the requester's rules cover. One that only rules of others cover is left out."""
    approval: NotRequired[OutcomeApproval]
    approvals: NotRequired[list[OutcomeApprovalsItem]]
    """For approvals: the shares that wait for approval and that the requester may decide, and the requester's own."""
    nextToken: NotRequired[str]
    """For audit, repair, list by account, approvals and images, where images are left to look at: send the request again with it."""
    imageCount: NotRequired[int]
    """In an outcome event about one image: how many images the request was about, where there are others. The event doesn't name them."""
    stoppedBy: NotRequired[list[StoppedBy]]
    """In an outcome event about a refused request, where nothing was wrong with this image: what stopped the request. Which image and target it was about is not said."""


class Refusal(TypedDict):
    code: RefusalCode
    imageId: NotRequired[ImageId]
    target: NotRequired[Target]
    pointer: NotRequired[str]
    """The field at fault of the request document, also one that should have been there: a JSON Pointer, empty for the document as a whole."""
    parameter: NotRequired[str]
    """In place of pointer: the parameter of path or query at fault, also one that should have been there."""
    fault: NotRequired[FaultKind]
    keyArn: NotRequired[str]
    """The key at fault."""
    statements: NotRequired[list[dict[str, Any]]]
    """The statements of the remedy, ready to be added to the policy of the key."""
    values: NotRequired[RefusalValues]
    message: str
    remedy: NotRequired[str]


class RefusalValues(TypedDict):
    """What the message says, as data: what is under Values of its code, each where it applies."""

    given: NotRequired[str]
    """What was given, shortened."""
    allowed: NotRequired[list[str]]
    """What would be taken."""
    suggestion: NotRequired[str]
    """The field that was probably meant."""
    expected: NotRequired[str]
    """The JSON type that belongs there."""
    count: NotRequired[int]
    """How many there are."""
    most: NotRequired[int]
    """How many are taken at most."""
    earliest: NotRequired[str]
    """The first time that is taken."""
    latest: NotRequired[str]
    """The last time that is taken."""
    action: NotRequired[str]
    """The action that was asked for."""
    requester: NotRequired[str]
    """Who asked, as the allowlist names them."""
    rule: NotRequired[str]
    """The rule of the allowlist that comes nearest."""
    access: NotRequired[str]
    """The access that the rule gives."""
    roles: NotRequired[list[str]]
    """The service-linked roles that the rule doesn't have."""
    maxDuration: NotRequired[str]
    """How long the rule lets a share last: m, h or d, as the allowlist writes it."""
    expiresAt: NotRequired[str]
    """When the share expires that is there, or would."""
    path: NotRequired[str]
    """The path that was asked for, shortened."""
    id: NotRequired[str]
    """The ID of the organization or organizational unit."""
    method: NotRequired[str]
    """The method that was used, shortened."""
    state: NotRequired[str]
    """The state of the image or key, in AWS's word."""
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
    """The parameter of the stack that switches it on, or the one that the rule publishes to."""
    tag: NotRequired[str]
    """The key of the image's tag whose value can't be part of a parameter's name."""
    role: NotRequired[str]
    """The service-linked role that needs the grant."""
    decidedBy: NotRequired[str]
    """Who approved or rejected the share."""
    until: NotRequired[str]
    """Until when the share waited for approval."""
    deadline: NotRequired[str]
    """Until when the invocation may last."""
    new: NotRequired[int]
    """How many the share would add."""
    quota: NotRequired[int]
    """How many there may be."""
    age: NotRequired[int]
    """How many seconds ago the share was asked for."""
    maxAge: NotRequired[int]
    """How many seconds ago it may be."""
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
    """Decide and plan, change nothing."""
    reason: NotRequired[Reason]


class RepairRequest(TypedDict):
    """The document of a request to repair."""

    version: NotRequired[Literal["1"]]
    """The version of this document."""
    action: Literal["repair"]
    nextToken: NotRequired[str]
    """Where an audit, a repair, a list by account, the catalogue or a list of approvals continues: the nextToken of the answer before, as it is."""
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


class Row(TypedDict):
    """A launch permission of an image."""

    imageId: ImageId
    name: str | None
    """The image's name; null where it has none."""
    target: str
    """An account ID, or the ARN of an organization or organizational unit, whose members are not guessed; all for a public image."""
    how: RowHow
    launch: RowLaunch
    why: str
    copy: bool | None
    """Whether the target may also create volumes from every snapshot of the image; null where that is not known."""
    until: str | None
    """When the share expires; null where it does not."""
    rule: str | None
    """The rule of the requester that covers it; null where no rule lets anybody share the image with the target."""


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
    detail: NotRequired[str]
    """More about the state: of a parameter that was put, that Parameter Store validates it afterwards."""


class StoppedBy(TypedDict):
    code: RefusalCode


class TargetRow(TypedDict):
    target: Target
    name: NotRequired[str]
    """The account's name in the allowlist's directory, where it has one."""
    state: TargetState
    launch: NotRequired[Launch]
    accepted: NotRequired[bool]
    """For check: whether a share would be accepted as asked, by the rules for share. A share that is there and satisfies its rule is. Where that could not be found out it is false."""
    expiresAt: NotRequired[str]
    rule: NotRequired[str]
    """The allowlist rule that decided for this target."""
    detail: NotRequired[str]


class Usage(TypedDict):
    """For usage, and in the dry run of a revoke: which other accounts use the image, by the newest report on all accounts and all types of resources. Absent where there is none."""

    asOf: str
    """When the report was asked for."""
    entries: list[UsageEntriesItem]
    """The accounts that use the image and that the requester's rules name together with it; and for each type of resource the sum of all others, whose accountId is null."""
    missing: list[str]
    """What such a report can't know yet."""


class UsageEntriesItem(TypedDict):
    accountId: str | None
    resourceType: str
    """The type of the resources that use the image, in EC2's word, such as ec2:Instance or ec2:LaunchTemplate."""
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
    """Decide and plan, change nothing."""
    reason: NotRequired[Reason]


Because: TypeAlias = BecauseStatement | BecauseGrant
# The request document, whichever trigger it comes through. The function also refuses repeated fields, more than 200 targets or 1,000 image x target pairs, and an expiresAt that is not between 5 minutes and 10 years ahead: no schema can say that.
RequestDocument: TypeAlias = ShareRequest | RevokeRequest | ResetRequest | ListRequest | CheckRequest | UsageRequest | AuditRequest | RepairRequest | ImagesRequest | ApprovalsRequest | ApproveRequest | RejectRequest
