//! Owns [`Ask`] and [`ApprovalDecision`]: the records of a share that waits for approval and of what was decided, and their
//! texts. They give the right to make the share, so they count only with their message authentication codes.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{
    Mac, Schedule,
    expiry::{at, parse_at},
};
use crate::{
    domain::{AskName, DecisionName, Requester, Target},
    request::{AskedTarget, Parameters, Request},
};

/// The version of the texts. The texts leave it out, as a request may.
const VERSION: &str = "1";

/// How long a share waits for approval.
const PATIENCE: Duration = Duration::days(7);

/// How often an interrupted decision is continued, when it is continued first, and for how long.
const EXPRESSION: &str = "rate(10 minutes)";
const FIRST: Duration = Duration::minutes(10);
const LAST: Duration = Duration::days(1);

/// A share that waits for approval: the content of a record, which never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The record's name.
    pub name: AskName,
    /// The request for the share.
    pub request: Request,
    /// Who asked, with the groups that the token had.
    pub requester: Requester,
    /// The ID of the request that was the first to ask.
    pub request_id: String,
    /// The allowlist rules that decided then and that have approvers.
    pub rules: Vec<String>,
    /// How long it waits, in whole seconds.
    pub until: OffsetDateTime,
    /// Its message authentication code; none if nobody has made it yet.
    pub mac: Option<Mac>,
}

/// What was decided about a share that waits for approval: the content of a record, which never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalDecision {
    /// The record's name.
    pub name: DecisionName,
    /// Whether the share is approved; otherwise it is rejected.
    pub is_approved: bool,
    /// Who decided, with the groups that the token had.
    pub by: Requester,
    /// The reason, in the words of who decided.
    pub reason: Option<String>,
    /// How long it is continued, in whole seconds.
    pub until: OffsetDateTime,
    /// Its message authentication code; none if nobody has made it yet.
    pub mac: Option<Mac>,
}

/// The text of an ask, which is also the detail of its hint.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AskInput {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    action: String,
    schedule: AskName,
    request: Request,
    requester: Requester,
    request_id: String,
    rules: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<Mac>,
}

/// The text of a decision, which is also the detail of its hints.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DecisionInput {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    action: String,
    schedule: DecisionName,
    is_approved: bool,
    by: Requester,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<Mac>,
}

/// The request in the form of a record: in a fixed order, and without a dry run or a URL.
fn canonical(request: &Request) -> Request {
    let mut image_ids = request.image_ids.clone();
    image_ids.sort_unstable();
    let mut targets: Vec<Target> = request.targets.iter().map(|asked| asked.target.clone()).collect();
    targets.sort_unstable();
    let mut service_linked_roles = request.service_linked_roles.clone();
    service_linked_roles.sort_unstable_by_key(ToString::to_string);
    Request {
        image_ids,
        targets: targets.into_iter().map(|target| AskedTarget { target, pointer: String::new() }).collect(),
        service_linked_roles,
        group: None,
        dry_run: false,
        parameters: Parameters::default(),
        ..request.clone()
    }
}

fn name_of(request: &Request, requester: &Requester) -> AskName {
    AskName::new(&json!([requester.as_str(), request]).to_string())
}

fn whole_seconds(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(0).unwrap_or(time)
}

impl Ask {
    /// The record of a share that is requested now. `rules` are those that have approvers.
    pub fn new(
        request: &Request,
        requester: &Requester,
        request_id: &str,
        rules: Vec<String>,
        now: OffsetDateTime,
    ) -> Self {
        let request = canonical(request);
        Self {
            name: name_of(&request, requester),
            request,
            requester: requester.clone(),
            request_id: request_id.to_owned(),
            rules,
            until: whole_seconds(now).saturating_add(PATIENCE),
            mac: None,
        }
    }

    /// Whether its time is over, whatever its schedule has done.
    pub fn is_lapsed(&self, now: OffsetDateTime) -> bool {
        now >= self.until
    }

    /// What its message authentication code is made of.
    pub(super) fn digest(&self) -> [u8; 32] {
        Mac::digest(self.name.as_str(), &self.text(None))
    }

    fn text(&self, mac: Option<Mac>) -> String {
        let Self { name: schedule, request, requester, request_id, rules, until, mac: _ } = self.clone();
        let (version, action) = (None, "expire".to_owned());
        json!(AskInput { version, action, schedule, request, requester, request_id, rules, until, mac }).to_string()
    }

    pub(super) fn schedule(&self, bus_arn: &str) -> Schedule {
        Schedule::new(at(self.until), self.text(self.mac.clone()), bus_arn)
    }

    pub(super) fn read(name: &AskName, schedule: &Schedule, bus_arn: &str) -> Result<Self, &'static str> {
        let input: AskInput = serde_json::from_str(&schedule.input).map_err(|_| "its input is not that of a record")?;
        let AskInput { version, action, schedule: named, request, requester, request_id, rules, until, mac } = input;
        check_kind(version.as_deref(), &action, named == *name)?;
        let request = canonical(&request);
        if name_of(&request, &requester) != *name {
            return Err("its name and input disagree");
        }
        if parse_at(&schedule.expression) != Some(until) {
            return Err("its expression and input disagree");
        }
        schedule.check(bus_arn)?;
        Ok(Self { name: name.clone(), request, requester, request_id, rules, until, mac })
    }
}

impl ApprovalDecision {
    /// What is decided now about an ask.
    pub fn new(ask: &AskName, is_approved: bool, by: &Requester, reason: Option<String>, now: OffsetDateTime) -> Self {
        let until = whole_seconds(now).saturating_add(LAST);
        Self { name: ask.decision(), is_approved, by: by.clone(), reason, until, mac: None }
    }

    /// Whether the same person has decided the same.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.name, self.is_approved, &self.by) == (&other.name, other.is_approved, &other.by)
    }

    /// What its message authentication code is made of.
    pub(super) fn digest(&self) -> [u8; 32] {
        Mac::digest(self.name.as_str(), &self.text(None))
    }

    fn text(&self, mac: Option<Mac>) -> String {
        let Self { name: schedule, is_approved, by, reason, until, mac: _ } = self.clone();
        let (version, action) = (None, "expire".to_owned());
        json!(DecisionInput { version, action, schedule, is_approved, by, reason, until, mac }).to_string()
    }

    pub(super) fn schedule(&self, bus_arn: &str, now: OffsetDateTime) -> Schedule {
        Schedule {
            starts_at: whole_seconds(now).checked_add(FIRST),
            ends_at: Some(self.until),
            is_deleted_after: true,
            ..Schedule::new(EXPRESSION.to_owned(), self.text(self.mac.clone()), bus_arn)
        }
    }

    pub(super) fn read(name: &DecisionName, schedule: &Schedule, bus_arn: &str) -> Result<Self, &'static str> {
        let input: DecisionInput =
            serde_json::from_str(&schedule.input).map_err(|_| "its input is not that of a record")?;
        let DecisionInput { version, action, schedule: named, is_approved, by, reason, until, mac } = input;
        check_kind(version.as_deref(), &action, named == *name)?;
        if schedule.expression != EXPRESSION || schedule.ends_at != Some(until) {
            return Err("its times and input disagree");
        }
        schedule.check(bus_arn)?;
        Ok(Self { name: name.clone(), is_approved, by, reason, until, mac })
    }
}

fn check_kind(version: Option<&str>, action: &str, is_named: bool) -> Result<(), &'static str> {
    if version.is_some_and(|version| version != VERSION) {
        return Err("its input has another version than this function reads");
    }
    if action != "expire" || !is_named {
        return Err("its input is that of another record");
    }
    Ok(())
}
