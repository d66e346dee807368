//! Owns [`Outcome`] and its rows: the answer to a request. It has the same form for every trigger.

mod approval;
mod audit_row;
mod bounds;
mod catalogue;
mod code;
mod copy;
mod finding;
mod key_rows;
mod one_image;
mod provenance;
mod usage;

use std::{collections::BTreeMap, sync::Arc};

pub use approval::{ApprovalRow, Waiting};
pub use audit_row::AuditRow;
pub use bounds::WrittenOutcome;
pub use catalogue::{CatalogueRow, MayRow, MayTarget};
pub use code::{RefusalCode, RefusalKind};
pub use copy::{CopyState, Source};
pub use finding::{Finding, FindingCode};
use key_policy::{KeyAccess, Verdict};
pub use one_image::ByImage;
pub use provenance::{ScanRow, shared_tags};
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
pub use usage::{UsageEntryRow, UsageRow};

use crate::{
    domain::{ImageId, KeyArn, Requester, ServiceLinkedRole, SnapshotId, Target},
    records::RecordName,
    request::{Action, Asked, FaultKind, NextToken, PageToken, Parameters, Values},
};

/// The answer to one request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Always `1`.
    pub version: &'static str,
    /// The ID of the request: that of the event, of the API, of the message or of Lambda.
    pub request_id: String,
    /// The action; absent if the request could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The requester; absent if the caller could not be identified.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "name")]
    pub requester: Option<Requester>,
    /// Who approved the share, if a rule wanted that.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "name")]
    pub approved_by: Option<Requester>,
    /// The reason of the approval, in the words of who gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_reason: Option<String>,
    /// The role session's name, if the caller is a role session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requester_session: Option<String>,
    /// Whether it is a dry run.
    pub dry_run: bool,
    /// The reason, in the caller's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The result of the request.
    pub result: Status,
    /// Whether sending the request again may help.
    pub retryable: bool,
    /// One row per image.
    pub images: Vec<ImageRow>,
    /// The approval that the share waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Waiting>,
    /// The shares that wait for approval, for `approvals`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Vec<ApprovalRow>>,
    /// The findings of an audit or repair; absent for other actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<Finding>>,
    /// The launch permissions of the images of an audit, if they are requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<AuditRow>>,
    /// Where an audit or repair continues, if it has not covered every image yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<NextToken>,
    /// The next page of `images` or of a `list` by account, if there is one.
    #[serde(rename = "nextToken", skip_serializing_if = "Option::is_none")]
    pub next_page: Option<PageToken>,
    /// In an event about one image: the number of images of the request, if there are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_count: Option<usize>,
    /// In an event about an image without a refusal: the refusals of other images, because of which the request was
    /// refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stopped_by: Vec<StoppedBy>,
    /// What the request asked for, for the log.
    #[serde(skip)]
    pub asked: Asked,
    /// Whether the rest, from `next_token` on, continues without the caller.
    #[serde(skip)]
    pub continues: bool,
    /// The outcomes of other requests that this one rejected, or whose waiting it ended: their time was over. They are
    /// published and logged beside this one.
    #[serde(skip)]
    pub decided: Vec<Self>,
    /// Whether it is published.
    #[serde(skip)]
    pub announcement: Announcement,
    /// Whether the outcome could not be published.
    #[serde(skip)]
    pub is_unpublished: bool,
    /// The schedules that have the name of a record but are not one, and why: for the log and the metrics.
    #[serde(skip)]
    pub nobodys_records: BTreeMap<RecordName, String>,
    /// All refusals.
    pub refusals: Vec<Refusal>,
    /// What could not be read or done.
    pub errors: Vec<ErrorRow>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// Whether an outcome is published, if there is a bus for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Announcement {
    /// It is published, unless no rule names the requester.
    #[default]
    IfKnown,
    /// It is published: a requester that a rule named waits for it.
    Always,
    /// It is not published: nothing was changed, and nobody waits.
    Never,
}

/// The result of a request, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything that was requested is done, or was already so.
    Completed,
    /// A dry run: this would be done.
    Planned,
    /// Nothing failed, and something continues by itself: send the same request later to get the result.
    Accepted,
    /// Nothing was changed, for the reasons in `refusals`.
    Refused,
    /// Nothing was changed: something could not be read, or the first write failed.
    Failed,
    /// Some steps were done and some were not.
    Incomplete,
}

/// What was read and done for one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageRow {
    /// The image; none if it is a copy that EC2 has not begun to make.
    pub image_id: Option<ImageId>,
    /// What it is a copy of, if the request names that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<Source>,
    /// The state of the copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyState>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The Region it is in.
    pub region: String,
    /// Its tags. The accounts with which it is shared see only some of them.
    pub tags: BTreeMap<String, String>,
    /// The keys of the tags that these accounts see.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared_tags: Vec<String>,
    /// The keys of its watermarks, its own and inherited ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub watermarks: Vec<String>,
    /// The latest scan of Amazon Inspector; absent if it was not scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanRow>,
    /// Whether anything differs now (in a dry run: would differ) from what was read before.
    pub changed: bool,
    /// The keys of its snapshots, as far as the action read them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_arns: Vec<KeyArn>,
    /// The allowlist rule that decided for the first target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The writes, in order.
    pub steps: Vec<StepRow>,
    /// One row per target.
    pub targets: Vec<TargetRow>,
    /// One row per key and target.
    #[serde(serialize_with = "key_rows::write")]
    pub keys: Vec<KeyRow>,
    /// Who has access, as EC2 reports it; for `list` and `check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
    /// What the catalogue says about it.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub catalogue: Option<CatalogueRow>,
    /// Which accounts use it, by the newest report; for `usage`, and in the dry run of a revoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageRow>,
}

impl ImageRow {
    /// The image that the row is about, as refusals name it: itself, or the source of a copy that is not there yet.
    pub fn subject(&self) -> Option<&ImageId> {
        let source = self.copy_of.as_ref().map(|source| &source.image_id);
        let is_awaited = self.copy.as_ref().is_some_and(CopyState::is_awaited);
        if is_awaited { source } else { self.image_id.as_ref().or(source) }
    }

    /// Adds what was done for the image later in the same request.
    fn absorb(&mut self, later: Self) {
        self.changed |= later.changed;
        self.steps.extend(later.steps);
        for key in later.key_arns {
            if !self.key_arns.contains(&key) {
                self.key_arns.push(key);
            }
        }
        for row in later.keys {
            if !self.keys.contains(&row) {
                self.keys.push(row);
            }
        }
        for row in later.targets {
            match self.targets.iter_mut().find(|own| own.target == row.target) {
                None => self.targets.push(row),
                Some(own) if own.state == TargetState::Failed => *own = row,
                Some(own) => own.expires_at = row.expires_at.or(own.expires_at),
            }
        }
    }
}

/// One write to AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepRow {
    /// The service and operation, such as `ec2:ModifyImageAttribute`.
    pub call: &'static str,
    /// What it changes.
    pub resource: String,
    /// The Name of the grant that is created or revoked.
    #[serde(rename = "grantName", skip_serializing_if = "Option::is_none")]
    pub grant_name: Option<String>,
    /// The targets added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Target>,
    /// The targets removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<Target>,
    /// Its state.
    pub state: StepState,
    /// More about the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The state of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// AWS carried it out.
    Done,
    /// It would be done (dry run).
    Planned,
    /// AWS refused it, or did not answer.
    Failed,
    /// A step before it failed, or time ran out.
    Skipped,
}

/// The state of one target of an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetRow {
    /// The target.
    pub target: Target,
    /// Its name in the allowlist's directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The state after the request; in a dry run, the state that the request would lead to.
    pub state: TargetState,
    /// Whether it can launch the image now; for a check, and after a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch: Option<Launch>,
    /// For a check: whether the requested share would be accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
    /// When the share expires.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// The allowlist rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// More about the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What is so for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetState {
    /// It has a launch permission of its own.
    Shared,
    /// It had one before.
    AlreadyShared,
    /// Its launch permission was removed.
    Revoked,
    /// It has none.
    NotShared,
    /// It has none of its own now, but another launch permission certainly covers it.
    StillReachable,
    /// It has none of its own now, but another launch permission may cover it: whether it is a member of that
    /// organization or unit is not known.
    MaybeReachable,
    /// It waits for a copy of the image.
    Waiting,
    /// The write failed.
    Failed,
}

/// Whether a target can launch an image, which depends on the launch permissions and every key. From the best to the
/// worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Launch {
    /// It can.
    Really,
    /// It is not known.
    Unknown,
    /// It can't.
    Not,
}

impl From<Verdict> for Launch {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allowed => Self::Really,
            Verdict::Conditional | Verdict::Unknown => Self::Unknown,
            Verdict::Missing | Verdict::Denied => Self::Not,
        }
    }
}

/// A grant on a key for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantState {
    /// A grant that exists lets the target use the key, or is needed for it.
    Present,
    /// The image's own grant does not exist, and a share creates it.
    Planned,
}

/// Whether a key lets a target use it.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyRow {
    /// The key of an encrypted snapshot of the image.
    pub key_arn: KeyArn,
    /// The target.
    pub target: Target,
    /// The state of the grant that matters, if there is one.
    pub grant: Option<GrantState>,
    /// The answer of the key evaluator, whose fields are those of the row. Targets that the policy treats alike share it.
    pub access: Arc<KeyAccess>,
    /// Whether the service-linked roles of the target account can use the key.
    pub roles: Vec<RoleRow>,
}

/// Whether a key lets a service-linked role of a target account use it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleRow {
    /// The role, as requests name it.
    pub role: ServiceLinkedRole,
    /// Whether it can use the key.
    pub verdict: Verdict,
    /// The command to run in the target account if it can't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Who has access, as EC2 reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Permissions {
    /// The launch permissions.
    pub launch: Vec<LaunchRow>,
    /// The create volume permissions of the backing snapshots.
    pub copy: Vec<CopyRow>,
}

/// One launch permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaunchRow {
    /// `account`, `organization`, `organizational-unit`, `public`, or `unknown` for a kind that this version does not
    /// know.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The account ID or ARN; `all` for `public`; for `unknown`, what EC2 writes.
    pub id: String,
}

/// The create volume permissions of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyRow {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// The accounts that may create volumes from it; `null` if that is not known.
    pub account_ids: Option<Vec<crate::domain::AccountId>>,
}

/// A reason for which the request or a part of it is refused, and what to do about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// Its code.
    pub code: RefusalCode,
    /// The image it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<ImageId>,
    /// The target it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The field of the request document at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The parameter of path or query at fault, in place of a field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// For a malformed request: the kind of fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultKind>,
    /// The key at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_arn: Option<KeyArn>,
    /// The statements to add to the key policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statements: Option<serde_json::Value>,
    /// The values in the message, as data.
    #[serde(skip_serializing_if = "Values::is_empty")]
    pub values: Values,
    /// The reason in a sentence.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Whether the same request may be accepted later.
    #[serde(skip)]
    pub lasts: Lasts,
}

/// How long the reason of a refusal lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lasts {
    /// Until somebody changes something.
    #[default]
    UntilChanged,
    /// Until somebody lets the function read what it could not read. That may be no reason at all.
    UntilRead,
    /// It passes by itself, so sending the request again later may help.
    ForAWhile,
}

impl Refusal {
    /// Whether a share that waits for a copy is given up for it. What could not be found out may be found out the next
    /// time, as long as the share waits at all.
    pub fn ends_waiting(&self, is_overdue: bool) -> bool {
        match self.lasts {
            Lasts::UntilChanged => true,
            Lasts::UntilRead => is_overdue,
            Lasts::ForAWhile => false,
        }
    }

    /// Whether the reason passes by itself.
    pub fn may_pass(&self) -> bool {
        self.lasts == Lasts::ForAWhile
    }

    /// A refusal of the request as a whole; the other fields can be set on it.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self {
            code,
            image_id: None,
            target: None,
            pointer: None,
            parameter: None,
            fault: None,
            key_arn: None,
            statements: None,
            values: Values::new(),
            message: message.into(),
            remedy: None,
            lasts: Lasts::UntilChanged,
        }
    }

    /// The same refusal at this field.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// Names the parameter in place of the field, if the field came from a URL.
    fn place(&mut self, parameters: &Parameters) {
        if let Some(parameter) = self.pointer.as_ref().and_then(|pointer| parameters.said(pointer)) {
            self.pointer = None;
            self.parameter = parameter.map(str::to_owned);
        }
    }

    /// The same refusal because of this key.
    #[must_use]
    pub fn key(mut self, key: &KeyArn) -> Self {
        self.key_arn = Some(key.clone());
        self
    }

    /// The same refusal with a value of its message.
    #[must_use]
    pub fn value(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.values.insert(name, value.into());
        self
    }

    /// The same refusal with a remedy.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// The refusal of another image of the same request, without its ID, because an event names only its own image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StoppedBy {
    /// Its code.
    pub code: RefusalCode,
}

/// Something that could not be read or done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorRow {
    /// The kind of failure.
    pub code: ErrorCode,
    /// The call that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<&'static str>,
    /// The resource of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// What the caller may know about it.
    pub message: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum ErrorCode {
    /// The allowlist could not be read or does not parse.
    AllowlistUnavailable,
    /// The function's own role may not make the call.
    Denied,
    /// The resource was deleted between two calls.
    NotFound,
    /// A quota or limit of AWS is reached.
    LimitExceeded,
    /// AWS throttled the call.
    Throttled,
    /// AWS had a fault, or the answer did not arrive.
    Unavailable,
    /// The invocation's time ran out.
    OutOfTime,
    /// AWS does not know a target, such as a closed account.
    TargetNotKnown,
    /// The record of the expiry was deleted during the share, so the share was undone.
    ExpiryLost,
    /// The image is shared, and a parameter can't name it, or it is not known whether it names the newest image.
    NotPublished,
    /// EC2 could not make the copy that a share waited for.
    CopyFailed,
    /// The copy that a share waited for was not there in time.
    CopyOverdue,
    /// AWS answered something that the function does not understand.
    Unexpected,
}

impl Status {
    /// The result as documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Planned => "planned",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }
}

impl ErrorCode {
    /// Whether such a failure may pass by itself, so that the same call or request may succeed later.
    pub fn may_pass(self) -> bool {
        match self {
            Self::AllowlistUnavailable
            | Self::Throttled
            | Self::Unavailable
            | Self::OutOfTime
            | Self::ExpiryLost
            | Self::CopyOverdue => true,
            Self::Denied
            | Self::NotFound
            | Self::LimitExceeded
            | Self::TargetNotKnown
            | Self::NotPublished
            | Self::CopyFailed
            | Self::Unexpected => false,
        }
    }

    /// Whether a share that waited for a copy waits no longer because of it.
    pub fn ends_waiting(self) -> bool {
        matches!(self, Self::CopyFailed | Self::CopyOverdue)
    }

    /// The code as documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllowlistUnavailable => "AllowlistUnavailable",
            Self::Denied => "Denied",
            Self::NotFound => "NotFound",
            Self::LimitExceeded => "LimitExceeded",
            Self::Throttled => "Throttled",
            Self::Unavailable => "Unavailable",
            Self::OutOfTime => "OutOfTime",
            Self::TargetNotKnown => "TargetNotKnown",
            Self::ExpiryLost => "ExpiryLost",
            Self::NotPublished => "NotPublished",
            Self::CopyFailed => "CopyFailed",
            Self::CopyOverdue => "CopyOverdue",
            Self::Unexpected => "Unexpected",
        }
    }
}

impl Outcome {
    /// An outcome without rows.
    pub fn new(request_id: impl Into<String>, result: Status) -> Self {
        Self {
            version: "1",
            request_id: request_id.into(),
            action: None,
            requester: None,
            approved_by: None,
            approval_reason: None,
            requester_session: None,
            dry_run: false,
            reason: None,
            result,
            retryable: false,
            images: Vec::new(),
            approval: None,
            approvals: None,
            findings: None,
            rows: None,
            next_token: None,
            next_page: None,
            image_count: None,
            stopped_by: Vec::new(),
            asked: Asked::default(),
            continues: false,
            decided: Vec::new(),
            announcement: Announcement::default(),
            is_unpublished: false,
            nobodys_records: BTreeMap::new(),
            refusals: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Adds the outcome of another part of the same request. The worse result counts.
    pub fn absorb(&mut self, part: Self) {
        self.result = match (self.result, part.result) {
            (Status::Completed | Status::Accepted, Status::Refused | Status::Failed)
                if self.images.iter().any(|row| row.changed) =>
            {
                Status::Incomplete
            }
            (Status::Refused | Status::Failed, Status::Completed | Status::Accepted)
                if part.images.iter().any(|row| row.changed) =>
            {
                Status::Incomplete
            }
            (one, other) => one.max(other),
        };
        for row in part.images {
            match self.images.iter_mut().find(|earlier| earlier.subject() == row.subject()) {
                Some(own) => own.absorb(row),
                None => self.images.push(row),
            }
        }
        if let Some(found) = part.findings {
            self.findings.get_or_insert_default().extend(found);
        }
        if let Some(rows) = part.rows {
            self.rows.get_or_insert_default().extend(rows);
        }
        self.nobodys_records.extend(part.nobodys_records);
        self.refusals.extend(part.refusals);
        self.errors.extend(part.errors);
        self.warnings.extend(part.warnings);
        self.retryable = match self.result {
            Status::Refused => self.is_refused_for_now(),
            Status::Completed | Status::Planned | Status::Accepted | Status::Failed | Status::Incomplete => {
                self.retryable || part.retryable
            }
        };
    }

    /// Whether the request was a no-op without a requester: an image became available that no rule covers, or an event
    /// announced an expiry that is not due. A `list` or a page of `images` that
    /// has nothing is not a no-op, because somebody requested it.
    pub fn is_no_op(&self) -> bool {
        let is_list = matches!(self.action, Some(Action::List | Action::Images | Action::Approvals | Action::Reject));
        self.result == Status::Completed && self.images.is_empty() && self.findings.is_none() && !is_list
    }

    /// The same outcome. A refusal of a field that came from a URL names the parameter.
    #[must_use]
    pub fn placed(mut self, parameters: &Parameters) -> Self {
        self.refusals.iter_mut().for_each(|refusal| refusal.place(parameters));
        self
    }

    /// The refusal that determines the answer: the first of the most important [`RefusalKind`].
    pub fn deciding_refusal(&self) -> Option<&Refusal> {
        self.refusals.iter().min_by_key(|refusal| refusal.code.kind())
    }

    /// Whether every refusal passes by itself.
    fn is_refused_for_now(&self) -> bool {
        !self.refusals.is_empty() && self.refusals.iter().all(Refusal::may_pass)
    }

    /// The document as JSON text, its fields in the documented order.
    pub fn to_text(&self) -> String {
        to_text(self)
    }

    /// The outcome of a request that is refused before anything is read.
    pub fn refused(request_id: impl Into<String>, refusals: Vec<Refusal>) -> Self {
        Self { refusals, ..Self::new(request_id, Status::Refused) }
    }
}

/// The requester as outcomes show it. Only the log has its groups.
fn name<S: Serializer>(requester: &Option<Requester>, serializer: S) -> Result<S::Ok, S::Error> {
    requester.as_ref().map(Requester::as_str).serialize(serializer)
}

/// A document as JSON text, with its fields in the order of their declaration. A [`serde_json::Value`] would sort them.
pub fn to_text(document: &impl Serialize) -> String {
    // Writing fails only for maps whose keys are not text, and for types that report an error. Outcomes have neither.
    serde_json::to_string(document).unwrap_or_default()
}
