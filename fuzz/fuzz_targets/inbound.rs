//! Any bytes as an event, and any text as what each door carries: nothing panics, nobody becomes a requester by what a
//! body says, and no message could forge a log line.

#![no_main]

use ami_share::{
    inbound::{Arrival, Event, Invocation, Opened, open, reply},
    outcome::{Outcome, ResultKind},
};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::json;

const INVOCATION: Invocation<'static> =
    Invocation { request_id: "lambda-id", now: time::macros::datetime!(2026-11-22 12:00 UTC) };
const ROLE: &str = "arn:aws:sts::999988887777:assumed-role/portal/session";
const QUEUE: &str = "arn:aws:sqs:eu-west-1:999988887777:requests";

fn arrive(bytes: &[u8]) -> Arrival {
    let event = Event::deserialize(&mut serde_json::Deserializer::from_slice(bytes)).expect("an event can always be read");
    open(&event, &INVOCATION)
}

fn check(opened: &Opened) {
    assert!(opened.request_id.bytes().all(|byte| byte.is_ascii_graphic()));
    if let Some(requester) = &opened.requester {
        assert!(!requester.as_str().chars().any(char::is_control));
    }
    let outcome = match &opened.asked {
        Ok(request) => {
            assert!(opened.requester.is_some(), "nobody asked, and yet there is a request");
            assert!(request.image_ids.len() <= 50 && request.targets.len() <= 200);
            Outcome { reason: request.reason.clone(), ..Outcome::new(&opened.request_id, ResultKind::Completed) }
        }
        Err(turned_away) => {
            assert!(!turned_away.refusals.is_empty());
            for refusal in &turned_away.refusals {
                assert!(!refusal.message.chars().any(char::is_control), "{:?}", refusal.message);
            }
            Outcome::refused(&opened.request_id, turned_away.refusals.clone())
        }
    };
    assert!(!outcome.reason.iter().any(|reason| reason.chars().any(char::is_control)));
    let _ = reply(opened.door, outcome);
}

fn through(event: &serde_json::Value, requester: Option<&str>) {
    match arrive(event.to_string().as_bytes()) {
        Arrival::One(opened) => {
            assert_eq!(opened.requester.as_ref().map(|requester| requester.as_str()), requester);
            check(&opened);
        }
        Arrival::Batch(batch) => {
            for message in batch.messages {
                assert_eq!(message.opened.requester.as_ref().map(|requester| requester.as_str()), requester);
                check(&message.opened);
            }
        }
        Arrival::Available(_) | Arrival::Expiry(_) => unreachable!("a door's own fields decide which door it is"),
    }
}

fuzz_target!(|data: &[u8]| {
    match arrive(data) {
        Arrival::One(opened) => check(&opened),
        Arrival::Batch(batch) => batch.messages.iter().for_each(|message| check(&message.opened)),
        Arrival::Available(available) => assert!(available.requester.as_str().starts_with("events:")),
        Arrival::Expiry(_) => {}
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let role = Some("arn:aws:iam::999988887777:role/portal");
    let rest = |method: &str, resource: &str, identity: Option<&str>| {
        json!({"httpMethod": method, "resource": resource, "path": text, "body": text,
            "pathParameters": {"imageId": text, "target": text, "proxy": text},
            "multiValueQueryStringParameters": {"dryRun": [text]}, "headers": {"x-user": text},
            "requestContext": {"requestId": text, "identity": {"userArn": identity}}})
    };
    for (method, resource) in [
        ("POST", "/requests"),
        ("GET", "/images/{imageId}/shares"),
        ("POST", "/images/{imageId}/shares"),
        ("GET", "/images/{imageId}/shares/{target}"),
        ("DELETE", "/{proxy+}"),
    ] {
        through(&rest(method, resource, Some(ROLE)), role);
        through(&rest(method, resource, None), None);
    }
    let http_api = json!({"version": "2.0", "routeKey": "$default", "rawPath": text, "rawQueryString": text, "body": text,
        "requestContext": {"stage": "$default", "http": {"method": "POST", "path": text}, "authorizer": {"iam": {"userArn": ROLE}}}});
    through(&http_api, role);
    let message = json!({"Records": [{"messageId": "m", "eventSource": "aws:sqs", "eventSourceARN": QUEUE, "body": text,
        "attributes": {"SentTimestamp": text}}]});
    through(&message, Some("sqs:arn:aws:sqs:eu-west-1:999988887777:requests"));
    if let Ok(detail) = serde_json::from_str::<serde_json::Value>(text) {
        let event = json!({"detail-type": "AMI Share Request", "source": "com.example", "account": "999988887777",
            "id": text, "time": text, "detail": detail});
        through(&event, Some("events:999988887777:com.example"));
    }
});
