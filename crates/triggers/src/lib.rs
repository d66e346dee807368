//! Owns the triggers: which one an event came through, who asks for what, and how each trigger is answered.
//!
//! The shape of the event alone says which trigger it is. The requester is read only from what the trigger's AWS
//! service has verified, never from a body, a header or `requestContext.accountId`.

mod automation;
mod direct;
mod envelope;
mod event;
mod eventbridge;
mod http;
mod http_api;
mod identity;
mod page;
mod problem;
mod reply;
mod rest_api;
pub mod sqs;

pub use automation::{ImageEvent, RecordHint, StateInEvent};
pub use envelope::{Envelope, Invocation, Trigger, TurnedAway};
pub use event::Event;
pub use eventbridge::DETAIL_TYPE as REQUEST_DETAIL_TYPE;
use key_policy::json::{Json, NotJson};
pub use page::{ClientId, Issuer, Origin, Page, PageSettings, PageVisit};
pub use problem::refusal_status;
pub use reply::{InvocationError, LONGEST_ANSWER, Reply, reply};
pub use sharing::decide::SentAt;
use sharing::{
    records,
    request::{FaultKind, Malformed},
};

/// What arrived in one invocation.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming<'a> {
    /// One request, which has one answer.
    One(Box<Envelope>),
    /// The state of an image changed.
    Image(ImageEvent),
    /// A hint to read a record.
    Record(RecordHint),
    /// Messages of a queue. Each is carried out, and the answer names those that must be sent again.
    Batch(sqs::Batch<'a>),
    /// A request for the page, which anyone can get.
    Page(Box<PageVisit>),
}

/// Finds out which trigger an event came through, and who asks for what.
pub fn open<'a>(event: &'a Event, invocation: &Invocation<'a>) -> Incoming<'a> {
    match event.json() {
        Ok(json) => of_json(json, invocation),
        Err(not_json) => Incoming::One(Box::new(of_no_json(not_json, invocation))),
    }
}

fn of_json<'a>(json: &'a Json, invocation: &Invocation<'a>) -> Incoming<'a> {
    let envelope = match identify(json) {
        Shape::Batch(records) => return Incoming::Batch(sqs::open(records, invocation)),
        Shape::RestApi if rest_api::is_page(json) => return page_visit(json, invocation),
        Shape::HttpApi if http_api::is_page(json) => return page_visit(json, invocation),
        Shape::RestApi => rest_api::open(json, invocation),
        Shape::HttpApi => http_api::open(json, invocation),
        Shape::ShareRequest => eventbridge::open(json, invocation),
        Shape::Direct => direct::open(json, invocation),
        Shape::ImageState => match automation::image_event(json, invocation) {
            Ok(event) => return Incoming::Image(event),
            Err(malformed) => eventbridge::turned_away(json, malformed.into(), invocation),
        },
        Shape::RecordEvent => match automation::record_event(json, invocation) {
            Ok(hint) => return Incoming::Record(hint),
            Err(malformed) => eventbridge::turned_away(json, malformed.into(), invocation),
        },
        Shape::Record => match automation::record_hint(json, invocation) {
            Ok(hint) => return Incoming::Record(hint),
            Err(malformed) => eventbridge::turned_away(json, malformed.into(), invocation),
        },
        Shape::OtherEvent(detail_type) => {
            eventbridge::turned_away(json, eventbridge::other(detail_type).into(), invocation)
        }
        Shape::OtherRecords(records) => eventbridge::turned_away(json, sqs::other(records).into(), invocation),
    };
    Incoming::One(Box::new(envelope))
}

fn page_visit<'a>(json: &Json, invocation: &Invocation<'_>) -> Incoming<'a> {
    let (reads_gzip, no_page) = (page::reads_gzip(json), http::no_page(json, invocation));
    Incoming::Page(Box::new(PageVisit { reads_gzip, no_page }))
}

/// The envelope of an event that can't be read to its end, as far as it could be read. A document without an envelope
/// does not identify a caller.
fn of_no_json(not_json: &NotJson, invocation: &Invocation<'_>) -> Envelope {
    let read = &not_json.read;
    let why = TurnedAway::from(Malformed::document(FaultKind::BadFormat, format!("not JSON: {}", not_json.error)));
    match identify(read) {
        Shape::RestApi => Envelope { asked: Err(why), ..rest_api::open(read, invocation) },
        Shape::HttpApi => Envelope { asked: Err(why), ..http_api::open(read, invocation) },
        Shape::ShareRequest | Shape::ImageState | Shape::RecordEvent | Shape::OtherEvent(_) => {
            eventbridge::turned_away(read, why, invocation)
        }
        Shape::Batch(_) | Shape::OtherRecords(_) | Shape::Record | Shape::Direct => {
            Envelope { asked: Err(why), requester: None, ..direct::open(read, invocation) }
        }
    }
}

enum Shape<'a> {
    RestApi,
    HttpApi,
    Batch(&'a Json),
    ShareRequest,
    Direct,
    ImageState,
    RecordEvent,
    Record,
    OtherEvent(&'a Json),
    OtherRecords(&'a Json),
}

/// Identifies the trigger by fields that only its service sends.
fn identify(json: &Json) -> Shape<'_> {
    if let Some(context) = json.get("requestContext") {
        if context.get("http").is_some() { Shape::HttpApi } else { Shape::RestApi }
    } else if let Some(records) = json.get("Records") {
        if sqs::is_batch(records) { Shape::Batch(records) } else { Shape::OtherRecords(records) }
    } else if let Some(detail_type) = json.get("detail-type") {
        match detail_type.as_str() {
            Some(eventbridge::DETAIL_TYPE) => Shape::ShareRequest,
            Some(automation::IMAGE_STATE) => Shape::ImageState,
            Some(records::DETAIL_TYPE) => Shape::RecordEvent,
            Some(_) | None => Shape::OtherEvent(detail_type),
        }
    } else if automation::is_expire(json) {
        Shape::Record
    } else {
        Shape::Direct
    }
}

#[cfg(test)]
mod tests {
    use sharing::domain::Requester;

    use super::*;

    /// Who is said to have asked, under which ID, with an event that breaks off.
    #[track_caller]
    fn check(event: &str, requester: Option<&str>, request_id: &str) {
        let broken: Event = serde::Deserialize::deserialize(&mut serde_json::Deserializer::from_str(event)).unwrap();
        let now = time::macros::datetime!(2026-11-22 12:00 UTC);
        let Incoming::One(envelope) =
            open(&broken, &Invocation { request_id: "lambda-id", now, groups_claim: "groups" })
        else {
            panic!("{event}")
        };
        assert_eq!(envelope.requester.as_ref().map(Requester::as_str), requester, "{event}");
        assert_eq!(envelope.request_id, request_id, "{event}");
        let refusals = envelope.asked.unwrap_err().refusals;
        assert!(refusals[0].message.starts_with("not JSON"), "{refusals:?}");
    }

    #[test]
    fn an_event_that_breaks_off_keeps_what_its_envelope_has_said() {
        let envelope = |detail_type: &str, source: &str, detail: &str| {
            format!(
                r#"{{"id": "e-1", "detail-type": "{detail_type}", "source": "{source}", "account": "999988887777", "detail": {detail}}}"#
            )
        };
        for detail in [r#"{"reason": "\ud800"}"#, "{\"imageIds\": [1e999]}", "{", "nonsense"] {
            let sender = Some("events:999988887777:com.example");
            check(&envelope("AMI Share Request", "com.example", detail), sender, "e-1");
            check(&envelope("AMI Share Demand", "com.example", detail), sender, "e-1");
            check(&envelope("EC2 AMI State Change", "aws.ec2", detail), Some("events:999988887777:aws.ec2"), "e-1");
        }
        let http = r#"{"requestContext": {"requestId": "r-1", "identity": {"userArn": "arn:aws:iam::999988887777:user/ada"}}, "body": nonsense"#;
        check(http, Some("arn:aws:iam::999988887777:user/ada"), "r-1");
        let http_api = r#"{"version": "2.0", "requestContext": {"requestId": "r-2", "http": {"method": "GET", "path": "/images"},
            "authorizer": {"iam": {"userArn": "arn:aws:iam::999988887777:user/ada"}}}, "body": nonsense"#;
        check(http_api, Some("arn:aws:iam::999988887777:user/ada"), "r-2");
        // A bare document has no envelope, and what would follow could be one.
        check(r#"{"action": "share", "imageIds": ["#, None, "lambda-id");
        check("", None, "lambda-id");
    }
}
