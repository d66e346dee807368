//! Owns what must hold of everything that comes out: who asked, how long it is, its schema, and that it is read back as it was
//! written.

use std::collections::BTreeMap;

use ami_share_testing::schemas;
use key_policy::json::Json;
use serde::Deserialize;
use serde_json::{Value, json};
use sharing::{
    allowlist::{Allowlist, Ask, Criterion, Terms},
    domain::{Requester, Target},
    log_record::LogRecord,
    outcome::{Outcome, Status},
    records::{Record, RecordName, Schedule},
    request::{Access, Action, Request},
};
use time::OffsetDateTime;
use triggers::{Envelope, Event, Incoming, Invocation, open, reply};

use crate::{fields::PLANTED, records::BUS};

/// Now.
pub const NOW: OffsetDateTime = time::macros::datetime!(2026-11-22 12:00 UTC);
const INVOCATION: Invocation<'static> = Invocation { request_id: "lambda-id", now: NOW, groups_claim: "groups" };
/// No answer is longer, whatever was sent.
const MAX_ANSWER: usize = 1_000_000;

/// Who may be the requester of an event.
#[derive(Debug, Clone, Copy)]
pub enum Vouched<'a> {
    /// It can be anybody.
    Unknown,
    /// This one, however broken the rest is.
    For(&'a str),
    /// Nobody, or one whose name begins with one of these.
    Beginning(&'a [&'a str]),
}

/// Opens an event, and checks what is made of it.
pub fn arrive(bytes: &[u8], vouched: Vouched<'_>) {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let event = Event::deserialize(&mut reader).expect("an event can always be read");
    match open(&event, &INVOCATION) {
        Incoming::One(envelope) => answer(*envelope, vouched),
        Incoming::Batch(batch) => batch.messages().for_each(|message| answer(message.envelope, vouched)),
        Incoming::Image(event) => assert!(event.requester.as_str().starts_with("events:")),
        Incoming::Record(hint) => assert_eq!(hint.record.as_str().parse(), Ok(hint.record)),
        Incoming::Page(visit) => assert!(visit.no_page.asked.is_err()),
    }
}

fn answer(envelope: Envelope, vouched: Vouched<'_>) {
    assert!(envelope.request_id.bytes().all(|byte| byte.is_ascii_graphic()));
    let requester = envelope.requester.as_ref().map(|requester| requester.as_str());
    assert!(!requester.is_some_and(|requester| requester.chars().any(char::is_control)));
    match vouched {
        Vouched::Unknown => {}
        Vouched::For(one) => assert_eq!(requester, Some(one)),
        Vouched::Beginning(ways) => {
            let is_one = requester.is_none_or(|requester| ways.iter().any(|way| requester.starts_with(way)));
            assert!(is_one && requester != Some(PLANTED), "{requester:?}");
        }
    }
    let trigger = envelope.trigger.as_str();
    let session = envelope.requester_session;
    let outcome = Outcome {
        requester: envelope.requester,
        requester_session: session,
        ..Outcome::new(&envelope.request_id, Status::Refused)
    };
    let outcome = match envelope.asked {
        Ok(request) => {
            assert!(outcome.requester.is_some(), "nobody asked, and yet there is a request");
            asked(&request);
            Outcome { action: Some(request.action), reason: request.reason, ..outcome }
        }
        Err(turned_away) => {
            assert!((1..=50).contains(&turned_away.refusals.len()));
            for refusal in &turned_away.refusals {
                assert!(!refusal.message.chars().any(char::is_control), "{:?}", refusal.message);
                assert!(refusal.message.len() < 2_000, "{:?}", refusal.message);
            }
            turned_away.into_outcome(outcome)
        }
    };
    assert!(!outcome.reason.iter().any(|reason| reason.chars().any(char::is_control)));
    let lines = LogRecord { outcome: &outcome, trigger, lambda_request_id: "lambda-id", at: NOW }.lines();
    for line in &lines {
        assert!(line.len() < schemas::LONGEST_LINE && !line.contains('\n'), "a line of {} bytes", line.len());
    }
    let answer = match reply(envelope.trigger, outcome) {
        Ok(reply) => Ok(json!(reply)),
        Err(error) => Err(json!({"errorType": error.error_type, "errorMessage": error.error_message})),
    };
    let (Ok(value) | Err(value)) = &answer;
    let length = value.to_string().len();
    assert!(length < MAX_ANSWER, "an answer of {length} bytes");
    schemas::check_answer(&answer);
    schemas::check_log(&lines.join("\n"));
}

/// What holds of a request that was read.
fn asked(request: &Request) {
    assert!(request.image_ids.len() <= 50 && request.targets.len() <= 200);
    assert!(request.image_ids.len() * request.targets.len() <= 1_000);
    let written = serde_json::to_string(request).expect("a request is JSON");
    let read: Request = serde_json::from_str(&written).expect("what is written is read");
    assert_eq!(read.action, request.action);
    assert_eq!(serde_json::to_string(&read).expect("a request is JSON"), written, "it is read back as it was written");
}

/// Reads text as a request document: what is taken is as the schema says.
pub fn document(text: &str) {
    let Ok(json) = Json::parse(text) else { return };
    if let Ok(request) = Request::parse(&json, NOW) {
        asked(&request);
        let value: Value = serde_json::from_str(text).expect("it is JSON");
        assert_eq!(schemas::REQUEST.faults(&value), None, "{text}");
    }
}

/// Reads a schedule as a record: what is read is written back as the same, and says no more than what was written under the same
/// authentication code. Returns whether it was read.
pub fn recorded(written: Option<&Record>, name: &RecordName, schedule: &Schedule) -> bool {
    let Ok(read) = Record::read(name, schedule, BUS) else { return false };
    assert_eq!(read.name(), *name);
    let again = read.schedule(BUS, NOW);
    assert_eq!(Record::read(name, &again, BUS).as_ref(), Ok(&read), "it is read back as it was written");
    assert!(again.input.len() < 1 << 20);
    if let Some(written) = written
        && read.name() == written.name()
        && read.digest().is_some()
        && read.digest() == written.digest()
    {
        // Where in a document a target stood is not kept.
        let text = |record: &Record| record.schedule(BUS, NOW).input;
        assert!(
            read.mac() != written.mac() || text(&read) == text(written),
            "one authentication code for two contents"
        );
    }
    true
}

/// Reads text as an allowlist: what is accepted names nobody and nothing by accident, and is as the schema says.
pub fn allowlist(text: &str) {
    let allowlist = match Allowlist::parse(text) {
        Ok(allowlist) => allowlist,
        Err(invalid) => {
            let faults = invalid.to_string();
            assert!(!faults.is_empty() && faults.len() < MAX_ANSWER, "{} bytes of faults", faults.len());
            return;
        }
    };
    assert!(!allowlist.rules.is_empty());
    for rule in &allowlist.rules {
        assert!(!rule.requesters.is_empty() && !rule.actions.is_empty());
        assert!(rule.requesters.iter().all(|pattern| !pattern.as_str().starts_with(['*', '?'])));
        assert!(!rule.targets.is_empty() || !rule.actions.iter().any(|action| action.takes_targets()));
    }
    assert!(allowlist.warnings().iter().all(|warning| !warning.is_empty()));
    // YAML that is JSON means the same to the schema.
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        assert_eq!(schemas::ALLOWLIST.faults(&value), None, "{text}");
    }
    asks(&allowlist, text);
}

/// Asks an allowlist about requesters that it names, and about a stranger.
fn asks(allowlist: &Allowlist, text: &str) {
    let tags = BTreeMap::from([("Tier".to_owned(), "golden-1".to_owned())]);
    let known = ["arn:aws:iam::999988887777:role/portal", "lambda:invoke", "events:999988887777:aws.ec2"];
    let with_group = Requester::new("jwt:https://issuer.example#ada".to_owned()).with_groups(vec!["web".to_owned()]);
    let requesters = known.map(|name| Requester::new(name.to_owned())).into_iter().chain([with_group]);
    // An account that no document spells out is nobody to it.
    let stranger = Requester::new("events:918273645546:x".to_owned());
    let strange_target: Target = "918273645546".parse().expect("a target");
    let is_strange = !text.contains("918273645546");
    for requester in requesters.chain(is_strange.then_some(stranger.clone())) {
        for target in ["111122223333", "918273645546"] {
            let target: Target = target.parse().expect("a target");
            for action in [Action::Share, Action::Revoke, Action::List, Action::Audit] {
                let terms = Terms {
                    access: Access::Launch,
                    service_linked_roles: &[],
                    expires_at: None,
                    copy_from: None,
                    now: NOW,
                };
                let image = Some((Some("golden-1"), &tags));
                let ask = Ask {
                    requester: &requester,
                    action,
                    image,
                    provenance: None,
                    target: Some(&target),
                    terms: Some(terms),
                };
                match allowlist.cover(&ask) {
                    Ok(rule) => {
                        assert!(rule.names(&requester) && rule.actions.contains(&action));
                        assert!(rule.images.include(Some("golden-1"), &tags));
                        assert!(rule.targets.contains(&target) || action == Action::Revoke);
                        assert!(!is_strange || requester != stranger);
                    }
                    Err(criterion) => assert!(requester != stranger || criterion == Criterion::Requester),
                }
            }
        }
    }
    assert!(!is_strange || !allowlist.names_target(&strange_target));
}
