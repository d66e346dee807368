//! Owns [`Outcome`] and its rows: what is answered, serialised once for every trigger.

mod bounds;
mod code;
mod copy;
mod finding;
mod one_image;
mod provenance;

use std::collections::BTreeMap;

pub use code::{RefusalCode, RefusalKind};
pub use copy::{CopyState, Source};
pub use finding::{Finding, FindingCode};
use key_policy::{KeyAccess, Verdict};
pub use one_image::ByImage;
pub use provenance::{ScanRow, shared_tags};
use serde::{Serialize, Serializer};
use time::OffsetDateTime;

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
    /// The envelope's, the API's, the message's or Lambda's id of the request.
    pub request_id: String,
    /// Absent where the request could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Absent where the caller could not be identified.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "name")]
    pub requester: Option<Requester>,
    /// The role session's name, where the caller is a role's session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requester_session: Option<String>,
    /// Whether only a plan was asked for.
    pub dry_run: bool,
    /// The caller's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What became of the request.
    pub result: Status,
    /// Whether sending the request again may help.
    pub retryable: bool,
    /// One row per image.
    pub images: Vec<ImageRow>,
    /// The findings of an audit or repair; absent for other actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<Finding>>,
    /// Where an audit or repair goes on that has not looked at every image yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<NextToken>,
    /// The next page of a list by account, where there is one.
    #[serde(rename = "nextToken", skip_serializing_if = "Option::is_none")]
    pub next_page: Option<PageToken>,
    /// In an event about one image: how many images the request was about, where there are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_count: Option<usize>,
    /// In an event about an image with no refusal of its own: what stopped the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stopped_by: Vec<StoppedBy>,
    /// What was asked for, for the log.
    #[serde(skip)]
    pub asked: Asked,
    /// Whether the rest, from `next_token` on, is on its way without the caller.
    #[serde(skip)]
    pub continues: bool,
    /// Whether it is published.
    #[serde(skip)]
    pub publication: Publication,
    /// Whether the outcome could not be published.
    #[serde(skip)]
    pub is_unpublished: bool,
    /// The schedules that bear the name of a record and are none, and why: for the log and the metrics.
    #[serde(skip)]
    pub nobodys_records: BTreeMap<RecordName, String>,
    /// Every reason why not.
    pub refusals: Vec<Refusal>,
    /// What could not be found out or done.
    pub errors: Vec<ErrorRow>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// Whether an outcome is published, where there is a bus for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Publication {
    /// It is, unless no rule names the requester.
    #[default]
    IfKnown,
    /// It is: somebody waits for it who was named by a rule before.
    Always,
    /// It is not: nothing was changed, and nobody asked now.
    Never,
}

/// What became of a request, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything asked for is so.
    Completed,
    /// A dry run: this would be done.
    Planned,
    /// Nothing failed, and something continues by itself: the same request, sent later, tells its result.
    Accepted,
    /// Nothing was changed, for the reasons in `refusals`.
    Refused,
    /// Nothing was changed: something could not be found out, or the first write failed.
    Failed,
    /// Some steps were done and some were not.
    Incomplete,
}

/// What was found and done for one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageRow {
    /// The image; none while it is a copy that EC2 has not begun to make.
    pub image_id: Option<ImageId>,
    /// What it is a copy of, where the request names that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<Source>,
    /// How the copy is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyState>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The Region it is in.
    pub region: String,
    /// Its tags; of most of them EC2 tells the accounts nothing that it is shared with.
    pub tags: BTreeMap<String, String>,
    /// The keys of the tags that these accounts see.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared_tags: Vec<String>,
    /// The keys of its watermarks, its own and inherited ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub watermarks: Vec<String>,
    /// What Amazon Inspector found in it; absent where it was not scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanRow>,
    /// Whether anything differs now (in a dry run: would differ) from what was read before.
    pub changed: bool,
    /// The keys behind it, as far as the action read them.
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
    pub keys: Vec<KeyRow>,
    /// What EC2 says; for `list` and `check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
}

impl ImageRow {
    /// The image that the row is about, as refusals name it: itself, or the source of a copy that is not there yet.
    pub fn subject(&self) -> Option<&ImageId> {
        let source = self.copy_of.as_ref().map(|source| &source.image_id);
        let is_awaited = self.copy.as_ref().is_some_and(CopyState::is_awaited);
        if is_awaited { source } else { self.image_id.as_ref().or(source) }
    }

    /// Takes in what was done for the image later in the same request.
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
            match self.targets.iter_mut().find(|told| told.target == row.target) {
                None => self.targets.push(row),
                Some(told) if told.state == TargetState::Failed => *told = row,
                Some(told) => told.expires_at = row.expires_at.or(told.expires_at),
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
    /// The Name of the grant made or revoked.
    #[serde(rename = "grantName", skip_serializing_if = "Option::is_none")]
    pub grant_name: Option<String>,
    /// The targets added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Target>,
    /// The targets removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<Target>,
    /// How far it got.
    pub state: StepState,
}

/// How far a step got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// AWS accepted it.
    Done,
    /// It would be done (dry run).
    Planned,
    /// AWS refused it, or did not answer.
    Failed,
    /// A step before it failed, or time ran out.
    Skipped,
}

/// What is so for one target of an image.
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
    /// Whether it can launch the image, as things are now; for a check, and after a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch: Option<Launch>,
    /// Of a check: whether a share would be accepted as asked.
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
    /// Its own is removed, yet another entry surely still covers it.
    StillReachable,
    /// Its own is removed; an organization has one, and whether it is a member is not known.
    MaybeReachable,
    /// It waits for a copy of the image.
    Waiting,
    /// The write failed.
    Failed,
}

/// Whether a target can launch an image: launch permission and every key. From the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Launch {
    /// It can.
    Really,
    /// Nobody knows.
    Unknown,
    /// It can't.
    Not,
}

/// A grant on a key for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantState {
    /// A grant that is there plays a part.
    Present,
    /// The image's own is not there, and sharing makes it.
    Planned,
}

/// Whether one key lets one target in.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRow {
    /// The key of an encrypted snapshot behind the image.
    pub key_arn: KeyArn,
    /// Whom it was asked for.
    pub target: Target,
    /// The grant that plays a part, or that sharing makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantState>,
    /// The evaluator's answer, flattened into the row.
    #[serde(flatten)]
    pub access: KeyAccess,
    /// Whether the service-linked roles of the target account have a path to the key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleRow>,
}

/// Whether one key lets one service-linked role of a target account in.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleRow {
    /// The role, as requests name it.
    pub role: ServiceLinkedRole,
    /// Whether it has a path to the key.
    pub verdict: Verdict,
    /// The command to run in the target account where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Who has access, as EC2 says.
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
    /// `account`, `organization`, `organizational-unit`, `public` or, of a kind that this version does not know, `unknown`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The account id or ARN; `all` for `public`; EC2's words for `unknown`.
    pub id: String,
}

/// The create volume permissions of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyRow {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// The accounts that may create volumes from it; `null` where that is not known, which is not the same as nobody.
    pub account_ids: Option<Vec<crate::domain::AccountId>>,
}

/// One reason why not, and what to do about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The reason's name.
    pub code: RefusalCode,
    /// The image it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<ImageId>,
    /// The target it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The field at fault of the request document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The parameter at fault of path or query, in place of a field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Of a malformed request: the fault in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultKind>,
    /// The key at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_arn: Option<KeyArn>,
    /// The statements of the remedy, to be added to the key's policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statements: Option<serde_json::Value>,
    /// What the message says, as data.
    #[serde(skip_serializing_if = "Values::is_empty")]
    pub values: Values,
    /// The reason in a sentence.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Whether it passes by itself, so that sending the request again later may help.
    #[serde(skip)]
    pub may_pass: bool,
}

impl Refusal {
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
            may_pass: false,
        }
    }

    /// The same refusal at this field.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// Names the parameter in place of the field of a document that nobody wrote.
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

    /// The same refusal with something that its message says.
    #[must_use]
    pub fn value(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.values.insert(name, value.into());
        self
    }

    /// The same refusal with what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// A refusal about another image of the same request, without saying which: an event is about its own image alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StoppedBy {
    /// The reason's name.
    pub code: RefusalCode,
}

/// Something that could not be found out or done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorRow {
    /// The kind of failure.
    pub code: ErrorCode,
    /// The call that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<&'static str>,
    /// What it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// What the caller may know.
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
    /// The resource vanished between two calls.
    NotFound,
    /// A quota or limit of AWS is reached.
    LimitExceeded,
    /// AWS asked to slow down.
    Throttled,
    /// AWS had a fault, or the answer did not arrive.
    Unavailable,
    /// The invocation's time ran out.
    OutOfTime,
    /// A target that AWS does not know, such as an account that was closed.
    TargetNotKnown,
    /// The record of an expiry was deleted while the share was under way, so the share was taken back.
    ExpiryLost,
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
            Self::CopyFailed => "CopyFailed",
            Self::CopyOverdue => "CopyOverdue",
            Self::Unexpected => "Unexpected",
        }
    }
}

impl Outcome {
    /// An answer that nothing has been filled into yet.
    pub fn new(request_id: impl Into<String>, result: Status) -> Self {
        Self {
            version: "1",
            request_id: request_id.into(),
            action: None,
            requester: None,
            requester_session: None,
            dry_run: false,
            reason: None,
            result,
            retryable: false,
            images: Vec::new(),
            findings: None,
            next_token: None,
            next_page: None,
            image_count: None,
            stopped_by: Vec::new(),
            asked: Asked::default(),
            continues: false,
            publication: Publication::default(),
            is_unpublished: false,
            nobodys_records: BTreeMap::new(),
            refusals: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Takes in the outcome of another part of the same request; the worse result counts.
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
            match self.images.iter_mut().find(|told| told.subject() == row.subject()) {
                Some(told) => told.absorb(row),
                None => self.images.push(row),
            }
        }
        if let Some(found) = part.findings {
            self.findings.get_or_insert_default().extend(found);
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

    /// Whether nothing was to be done and nobody asked for it: an image became available that no rule is about, or a
    /// share was said to expire that doesn't. A list may find nothing, and somebody asked for it.
    pub fn is_no_op(&self) -> bool {
        let is_list = self.action == Some(Action::List);
        self.result == Status::Completed && self.images.is_empty() && self.findings.is_none() && !is_list
    }

    /// The same outcome with refusals that name the parameters of a URL where one said what is refused.
    #[must_use]
    pub fn placed(mut self, parameters: &Parameters) -> Self {
        self.refusals.iter_mut().for_each(|refusal| refusal.place(parameters));
        self
    }

    /// The refusal that decides how the whole is answered: the first of its [`RefusalKind`].
    pub fn deciding_refusal(&self) -> Option<&Refusal> {
        self.refusals.iter().min_by_key(|refusal| refusal.code.kind())
    }

    /// Whether every refusal passes by itself.
    pub fn is_refused_for_now(&self) -> bool {
        !self.refusals.is_empty() && self.refusals.iter().all(|refusal| refusal.may_pass)
    }

    /// The document as JSON text, its fields in the documented order.
    pub fn to_text(&self) -> String {
        to_text(self)
    }

    /// A refusal before anything was looked at.
    pub fn refused(request_id: impl Into<String>, refusals: Vec<Refusal>) -> Self {
        Self { refusals, ..Self::new(request_id, Status::Refused) }
    }
}

/// What is shown of a requester: its groups are nobody's business but the log's.
fn name<S: Serializer>(requester: &Option<Requester>, serializer: S) -> Result<S::Ok, S::Error> {
    requester.as_ref().map(Requester::as_str).serialize(serializer)
}

/// A document as JSON text, its fields in the order they are declared in: a [`serde_json::Value`] would sort them.
pub fn to_text(document: &impl Serialize) -> String {
    // Only maps whose keys are no text and types that say so can fail to be written; outcomes have neither.
    serde_json::to_string(document).unwrap_or_default()
}
