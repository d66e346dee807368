//! Owns [`Ask`] and [`ApprovalDecision`]: the records of a share that waits for approval and of what was decided, and their
//! texts. They give the right to make the share, so they count only with their message authentication codes.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime, UtcOffset};

use super::{
    Mac, Schedule,
    expiry::{at, parse_at},
};
use crate::{
    domain::{AskName, DecisionName, ImageId, Requester, Target},
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

/// So long before its time a decision may have sent its last hint.
const LAST_HINT: Duration = Duration::minutes(15);

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
    /// The ask that it is about. Another one may have the same name later.
    pub ask: DecidedAsk,
    /// What was decided.
    pub answer: ApprovalAnswer,
    /// The ID of the request or hint that decided it.
    pub request_id: String,
    /// The reason, in the words of who decided.
    pub reason: Option<String>,
    /// How long it is continued, in whole seconds.
    pub until: OffsetDateTime,
    /// Its message authentication code; none if nobody has made it yet.
    pub mac: Option<Mac>,
}

/// The ask that a decision is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidedAsk {
    /// The ID of the request that was the first to ask.
    pub request_id: String,
    /// How long it waits.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
    /// The images.
    pub image_ids: Vec<ImageId>,
}

/// What was decided about a share that waits for approval. Who decided is named with the groups that the token had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum ApprovalAnswer {
    /// It is made.
    Approved {
        /// Who decided so.
        by: Requester,
    },
    /// It is not made.
    Rejected {
        /// Who decided so.
        by: Requester,
    },
    /// Nobody answered in time.
    Lapsed,
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
    ask: DecidedAsk,
    #[serde(flatten)]
    answer: ApprovalAnswer,
    request_id: String,
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
        expires_at: request.expires_at.map(|at| at.to_offset(UtcOffset::UTC)),
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

impl From<&Ask> for DecidedAsk {
    fn from(ask: &Ask) -> Self {
        let (request_id, image_ids) = (ask.request_id.clone(), ask.request.image_ids.clone());
        Self { request_id, until: ask.until, image_ids }
    }
}

impl ApprovalDecision {
    /// What is decided now about an ask, by the request or hint with this ID.
    pub fn new(
        ask: &Ask,
        answer: ApprovalAnswer,
        request_id: &str,
        reason: Option<String>,
        now: OffsetDateTime,
    ) -> Self {
        let (name, until) = (ask.name.decision(), whole_seconds(now).saturating_add(LAST));
        Self { name, ask: ask.into(), answer, request_id: request_id.to_owned(), reason, until, mac: None }
    }

    /// Whether it is about this ask, and not about an earlier one of the same name.
    pub fn is_about(&self, ask: &Ask) -> bool {
        self.ask == DecidedAsk::from(ask)
    }

    /// Whether the same request has decided the same. Two requests of one person are two: only the first carries it out, so
    /// that none deletes what is asked for when the other is done.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.ask, &self.answer, &self.request_id) == (&other.ask, &other.answer, &other.request_id)
    }

    /// Whether its time is over: then it gives no right any more, whatever its schedule does.
    pub fn is_over(&self, now: OffsetDateTime) -> bool {
        now >= self.until
    }

    /// Whether it may send no more hints.
    pub fn is_ending(&self, now: OffsetDateTime) -> bool {
        now.saturating_add(LAST_HINT) >= self.until
    }

    /// What its message authentication code is made of.
    pub(super) fn digest(&self) -> [u8; 32] {
        Mac::digest(self.name.as_str(), &self.text(None))
    }

    fn text(&self, mac: Option<Mac>) -> String {
        let Self { name: schedule, ask, answer, request_id, reason, until, mac: _ } = self.clone();
        let (version, action) = (None, "expire".to_owned());
        json!(DecisionInput { version, action, schedule, ask, answer, request_id, reason, until, mac }).to_string()
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
        let DecisionInput { version, action, schedule: named, ask, answer, request_id, reason, until, mac } = input;
        check_kind(version.as_deref(), &action, named == *name)?;
        if schedule.expression != EXPRESSION || schedule.ends_at != Some(until) {
            return Err("its times and input disagree");
        }
        schedule.check(bus_arn)?;
        Ok(Self { name: name.clone(), ask, answer, request_id, reason, until, mac })
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

#[cfg(test)]
mod tests {
    use key_policy::json::Json;
    use serde_json::Value;
    use time::macros::datetime;

    use super::*;
    use crate::records::{Record, RecordName};

    const BUS: &str = "arn:aws:events:us-east-1:999988887777:event-bus/ami-share";
    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00:00.5 UTC);
    const MAC: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

    fn request(text: &str) -> Request {
        Request::parse(&Json::parse(text).unwrap(), NOW).unwrap()
    }

    fn share(more: &str) -> Request {
        request(&format!(
            r#"{{"action": "share", "imageIds": ["ami-0000000b", "ami-0000000a"], "accountIds": ["222233334444", "111122223333"]{more}}}"#
        ))
    }

    fn person(name: &str) -> Requester {
        Requester::new(format!("jwt:https://issuer.example#{name}")).with_groups(vec!["web".to_owned()])
    }

    fn ask_of(request: &Request) -> Ask {
        let ask = Ask::new(request, &person("bob"), "r-1", vec!["asked".to_owned()], NOW);
        Ask { mac: Some(MAC.parse().unwrap()), ..ask }
    }

    fn ask() -> Ask {
        ask_of(&share(""))
    }

    fn decision() -> ApprovalDecision {
        let answer = ApprovalAnswer::Approved { by: person("ada") };
        let decision = ApprovalDecision::new(&ask(), answer, "r-9", Some("fine".to_owned()), NOW);
        ApprovalDecision { mac: Some(MAC.parse().unwrap()), ..decision }
    }

    fn read_ask(schedule: &Schedule) -> Result<Record, &'static str> {
        Record::read(&RecordName::Ask(ask().name), schedule, BUS)
    }

    fn read_decision(schedule: &Schedule) -> Result<Record, &'static str> {
        Record::read(&RecordName::Decision(decision().name), schedule, BUS)
    }

    #[test]
    fn an_ask_is_read_as_it_was_written() {
        let schedule = ask().schedule(BUS);
        assert_eq!((schedule.expression.as_str(), schedule.is_deleted_after), ("at(2026-11-29T12:00:00)", false));
        assert_eq!((schedule.starts_at, schedule.ends_at), (None, None));
        let Ok(Record::Ask(read)) = read_ask(&schedule) else { panic!("no ask") };
        assert_eq!(*read, ask());
        assert_eq!((read.requester.groups(), read.until), (&["web".to_owned()][..], datetime!(2026-11-29 12:00 UTC)));
        assert_eq!(read.digest(), ask().digest());
        assert!(read.name.as_str().starts_with("ask-"));
        assert!(!read.is_lapsed(datetime!(2026-11-29 11:59:59 UTC)) && read.is_lapsed(read.until));
    }

    #[test]
    fn the_same_request_of_the_same_requester_has_the_same_ask() {
        let of = |text: &str| ask_of(&request(text)).name;
        let whole = r#"{"version": "1", "action": "share", "imageIds": ["ami-0000000a", "ami-0000000b"], "access": "launch",
            "accountIds": ["111122223333", "222233334444"], "dryRun": true}"#;
        assert_eq!(of(whole), ask().name, "order, defaults and dry runs make no difference");
        let expires = |at: &str| ask_of(&share(&format!(r#", "expiresAt": "{at}""#))).name;
        assert_eq!(expires("2026-12-24T12:00:00Z"), expires("2026-12-24T14:00:00+02:00"), "it is the same time");
        for more in [
            r#", "reason": "why""#,
            r#", "access": "copy""#,
            r#", "serviceLinkedRoles": ["spot"]"#,
            r#", "copyFrom": "eu-west-2""#,
            r#", "expiresAt": "2026-12-24T12:00:00Z""#,
        ] {
            assert_ne!(ask_of(&share(more)).name, ask().name, "{more}");
        }
        let name = |who: &Requester| Ask::new(&share(""), who, "r-2", Vec::new(), NOW).name;
        assert_eq!(name(&person("bob").with_groups(Vec::new())), ask().name, "groups say nothing of who asks");
        assert_ne!(name(&person("eve")), ask().name);
    }

    #[test]
    fn a_decision_is_read_as_it_was_written() {
        let by = || person("ada");
        for (answer, words) in [
            (ApprovalAnswer::Approved { by: by() }, "approved"),
            (ApprovalAnswer::Rejected { by: by() }, "rejected"),
            (ApprovalAnswer::Lapsed, "lapsed"),
        ] {
            let decision = ApprovalDecision { answer, ..decision() };
            let schedule = decision.schedule(BUS, NOW);
            assert_eq!((schedule.expression.as_str(), schedule.is_deleted_after), ("rate(10 minutes)", true));
            assert_eq!(schedule.starts_at, Some(datetime!(2026-11-22 12:10 UTC)));
            assert_eq!(schedule.ends_at, Some(datetime!(2026-11-23 12:00 UTC)));
            let Ok(Record::Decision(read)) = read_decision(&schedule) else { panic!("no decision") };
            assert_eq!(*read, decision);
            let input: Value = serde_json::from_str(&schedule.input).unwrap();
            assert_eq!((&input["answer"], &input["ask"]["requestId"]), (&json!(words), &json!("r-1")));
        }
        assert!(
            !decision().is_ending(NOW + Duration::hours(23)) && decision().is_ending(NOW + Duration::minutes(1_430))
        );
        assert!(!decision().is_over(NOW + Duration::minutes(1_439)) && decision().is_over(NOW + Duration::days(1)));
    }

    #[test]
    fn a_decision_is_about_one_ask_and_not_about_the_next_of_the_same_name() {
        assert!(decision().is_about(&ask()));
        for other in
            [Ask { request_id: "r-2".to_owned(), ..ask() }, Ask { until: ask().until + Duration::seconds(1), ..ask() }]
        {
            assert_eq!(other.name, ask().name);
            assert!(!decision().is_about(&other), "{other:?}");
        }
        let of = |answer| ApprovalDecision::new(&ask(), answer, "r-9", None, NOW + Duration::hours(1));
        assert!(decision().is_same(&of(ApprovalAnswer::Approved { by: person("ada") })));
        assert!(!decision().is_same(&of(ApprovalAnswer::Approved { by: person("eve") })));
        assert!(!decision().is_same(&of(ApprovalAnswer::Rejected { by: person("ada") })));
        assert!(!decision().is_same(&of(ApprovalAnswer::Lapsed)));
        assert!(!decision().is_same(&ApprovalDecision { request_id: "r-8".to_owned(), ..decision() }));
    }

    /// Checks that a schedule whose input has this field is nobody's record, and why.
    #[track_caller]
    fn nobodys(
        schedule: &Schedule,
        read: fn(&Schedule) -> Result<Record, &'static str>,
        field: &str,
        value: Value,
        why: &str,
    ) {
        let mut input: Value = serde_json::from_str(&schedule.input).unwrap();
        input[field] = value;
        let error = read(&Schedule { input: input.to_string(), ..schedule.clone() }).unwrap_err();
        assert!(error.contains(why), "{field}: {error} should say {why}");
    }

    #[test]
    fn a_schedule_that_says_anything_else_is_nobodys_record() {
        let (asked, decided) = (ask().schedule(BUS), decision().schedule(BUS, NOW));
        let other = "ask-aeb221660ff09134bb3a46b295554820";
        for (field, value, why) in [
            ("version", json!("2"), "another version"),
            ("action", json!("share"), "another record"),
            ("schedule", json!(other), "another record"),
            ("requester", json!("lambda:invoke"), "name and input disagree"),
            ("request", json!(share(r#", "reason": "x""#)), "name and input disagree"),
            ("until", json!("2026-11-30T12:00:00Z"), "expression and input disagree"),
            ("rules", json!("asked"), "input is not that of a record"),
            ("mac", json!("00"), "input is not that of a record"),
        ] {
            nobodys(&asked, read_ask, field, value, why);
        }
        for (field, value, why) in [
            ("version", json!("2"), "another version"),
            ("action", json!("share"), "another record"),
            ("schedule", json!(other.replace("ask", "did")), "another record"),
            ("answer", json!("perhaps"), "input is not that of a record"),
            ("by", Value::Null, "input is not that of a record"),
            ("until", json!("2026-11-30T12:00:00Z"), "times and input disagree"),
        ] {
            nobodys(&decided, read_decision, field, value, why);
        }
        let changes: [fn(&mut Schedule); 4] = [
            |it| it.is_enabled = false,
            |it| it.bus_arn.push('2'),
            |it| it.expression = "rate(1 minute)".to_owned(),
            |it| it.timezone = Some("Europe/Berlin".to_owned()),
        ];
        for change in changes {
            for (schedule, read) in [(&asked, read_ask as fn(&_) -> _), (&decided, read_decision)] {
                let mut schedule = schedule.clone();
                change(&mut schedule);
                assert!(read(&schedule).is_err(), "{schedule:?}");
            }
        }
    }

    #[test]
    fn the_authentication_code_is_over_everything() {
        for other in [
            Ask { request_id: "r-2".to_owned(), ..ask() },
            Ask { rules: vec!["other".to_owned()], ..ask() },
            Ask { until: ask().until + Duration::days(1), ..ask() },
            Ask { requester: person("bob").with_groups(vec!["owners".to_owned()]), ..ask() },
            Ask { name: AskName::new("another"), ..ask() },
        ] {
            assert_ne!(other.digest(), ask().digest(), "{other:?}");
        }
        assert_eq!(Ask { mac: None, ..ask() }.digest(), ask().digest());
        let with_groups = person("ada").with_groups(vec!["owners".to_owned()]);
        for other in [
            ApprovalDecision { answer: ApprovalAnswer::Rejected { by: person("ada") }, ..decision() },
            ApprovalDecision { answer: ApprovalAnswer::Approved { by: with_groups }, ..decision() },
            ApprovalDecision { reason: None, ..decision() },
            ApprovalDecision { request_id: "r-8".to_owned(), ..decision() },
            ApprovalDecision { until: decision().until + Duration::days(1), ..decision() },
            ApprovalDecision { ask: DecidedAsk { request_id: "r-2".to_owned(), ..decision().ask }, ..decision() },
            ApprovalDecision { name: AskName::new("another").decision(), ..decision() },
        ] {
            assert_ne!(other.digest(), decision().digest(), "{other:?}");
        }
        assert_eq!(ApprovalDecision { mac: None, ..decision() }.digest(), decision().digest());
    }
}
