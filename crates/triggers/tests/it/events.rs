//! Every file of `events/` through the trigger it belongs to: who asks what, or why it is no question.
//!
//! The same files serve the documentation, so each must be read here, and each summary is reviewed by hand.

use std::{fmt::Write, path::Path};

use sharing::request::Access;
use triggers::{Envelope, Event, Incoming, Invocation, StateInEvent, Trigger, TurnedAway, open};

const NOW: time::OffsetDateTime = time::macros::datetime!(2026-11-22 12:00 UTC);
const MAX_AGE: std::time::Duration = std::time::Duration::from_secs(900);

fn summary(text: &str) -> String {
    let event: Event = serde_json::from_str(text).unwrap();
    let groups_claim = if text.contains("cognito:groups") { "cognito:groups" } else { "groups" };
    match open(&event, &Invocation { request_id: "lambda-id", now: NOW, groups_claim }) {
        Incoming::One(envelope) => of_request(*envelope),
        Incoming::Image(event) => match event.state {
            StateInEvent::Available => format!("{} is available, {}", event.image_id, event.requester),
            StateInEvent::Failed => format!("{} failed, {}", event.image_id, event.requester),
            StateInEvent::Other => format!("an image is not available, {}", event.requester),
        },
        Incoming::Record(hint) => format!("{} may be due, {}", hint.record, hint.request_id),
        Incoming::Page(visit) => {
            let gzip = if visit.reads_gzip { ", gzip" } else { "" };
            format!("the page{gzip}; without one: {}", of_request(visit.no_page))
        }
        Incoming::Batch(batch) => {
            let mut summary = if batch.is_fifo { "FIFO batch" } else { "batch" }.to_owned();
            for message in batch.messages() {
                write!(summary, "\n  {}: ", message.id.as_deref().unwrap_or("no id")).unwrap();
                summary.push_str(&of_request(message.envelope).replace('\n', "\n  "));
            }
            summary
        }
    }
}

fn of_request(envelope: Envelope) -> String {
    let Envelope { trigger, requester, requester_session, sent, asked, request_id } = envelope;
    let mut summary = match trigger {
        Trigger::Http { allow: Some(allow) } => format!("http (allow: {allow})"),
        Trigger::Http { allow: None } | Trigger::Direct | Trigger::EventBridge | Trigger::Queue => {
            trigger.as_str().to_owned()
        }
    };
    let who = requester.as_ref().map_or("nobody", |requester| requester.as_str());
    write!(summary, ", {who}, {request_id}").unwrap();
    let groups = requester.as_ref().map(|requester| requester.groups()).unwrap_or_default();
    if !groups.is_empty() {
        write!(summary, ", in {}", groups.join(" and ")).unwrap();
    }
    if let Some(session) = requester_session {
        write!(summary, ", session {session}").unwrap();
    }
    match asked {
        Ok(request) => {
            write!(summary, "\n  {} {} image(s)", request.action, request.image_ids.len()).unwrap();
            for asked in &request.targets {
                write!(summary, ", {} at {}", asked.target, asked.pointer).unwrap();
            }
            if let Some(group) = &request.group {
                write!(summary, ", whichever target has the id {group}").unwrap();
            }
            if let Some(account) = request.shared_with {
                write!(summary, ", whatever is shared with {account}").unwrap();
            }
            if let Some(name) = &request.name {
                write!(summary, ", whatever is named {name}").unwrap();
            }
            if let Some(id) = &request.approval_id {
                write!(summary, ", what waits as {id}").unwrap();
                write!(summary, ", reason {:?}", request.reason).unwrap();
            }
            if request.access != Access::default() {
                write!(summary, ", {:?} access", request.access).unwrap();
            }
            for role in &request.service_linked_roles {
                write!(summary, ", {role}").unwrap();
            }
            if let Some(end) = request.expires_at {
                write!(summary, ", until {end}").unwrap();
            }
            if let Some(region) = &request.copy_from {
                write!(summary, ", copied from {region}").unwrap();
            }
            if request.dry_run {
                summary.push_str(", dry run");
            }
            if let Some(stale) = sent.refusal(request.action, NOW, MAX_AGE) {
                write!(summary, "\n  {}: {}", stale.code, stale.message).unwrap();
            }
        }
        Err(TurnedAway { action, refusals, .. }) => {
            write!(summary, ", action {}", action.map_or("unknown", |action| action.as_str())).unwrap();
            for refusal in refusals {
                let pointer = refusal.pointer.map(|pointer| format!(" at {pointer:?}"));
                let parameter = refusal.parameter.map(|parameter| format!(" at the parameter {parameter}"));
                let place = pointer.or(parameter).unwrap_or_default();
                let fault = refusal.fault.map(|fault| format!(" ({})", serde_json::json!(fault).as_str().unwrap()));
                let fault = fault.unwrap_or_default();
                write!(summary, "\n  {}{place}{fault}: {}", refusal.code, refusal.message).unwrap();
            }
        }
    }
    summary
}

#[test]
fn every_event_is_understood_as_written_down() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("events");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 60, "the folder has lost files");
    let mut all = String::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        writeln!(all, "{}: {}", path.file_stem().unwrap().display(), summary(&text)).unwrap();
    }
    insta::assert_snapshot!(all);
}

/// Also where only the decision refuses it.
#[test]
fn what_a_url_has_said_is_named_by_its_parameter() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("events");
    for (file, pointer, expect) in [
        ("http-api-check-terms", "/expiresAt", Some("expiresAt")),
        ("http-api-check-terms", "/imageIds/0", Some("imageId")),
        ("http-api-share", "/expiresAt", None),
    ] {
        let text = std::fs::read_to_string(folder.join(format!("{file}.json"))).unwrap();
        let event: Event = serde_json::from_str(&text).unwrap();
        let invocation = Invocation { request_id: "lambda-id", now: NOW, groups_claim: "groups" };
        let Incoming::One(envelope) = open(&event, &invocation) else { panic!("{file}") };
        assert_eq!(envelope.asked.unwrap().parameters.of(pointer), expect, "{file} {pointer}");
    }
}

#[test]
fn bytes_that_are_not_json_are_a_malformed_request() {
    for bytes in [&b""[..], b"{", b"\xff\xfe", b"action=share", b"{\"action\":"] {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let event: Event = serde::Deserialize::deserialize(&mut reader).unwrap();
        let Incoming::One(envelope) =
            open(&event, &Invocation { request_id: "lambda-id", now: NOW, groups_claim: "groups" })
        else {
            panic!()
        };
        let refusals = envelope.asked.unwrap_err().refusals;
        assert_eq!(refusals.len(), 1);
        assert!(refusals[0].message.starts_with("not JSON"), "{}", refusals[0].message);
    }
}
