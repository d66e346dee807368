//! Owns the triggers: which one an event came through, who asks, what is asked, and how each trigger is answered.
//!
//! Everything here is told from the event's own shape. The requester is read only from what the trigger's AWS
//! service vouches for, never from a body, a header or `requestContext.accountId`.

mod age;
mod automation;
mod direct;
mod event;
mod eventbridge;
mod http;
mod http_api;
mod identity;
mod problem;
mod rest_api;
pub mod sqs;

pub use age::SentAt;
pub use automation::{Available, EXPIRY_DETAIL_TYPE, EXPIRY_SOURCE, ExpiryHint};
pub use event::Event;
pub use eventbridge::DETAIL_TYPE as REQUEST_DETAIL_TYPE;
use key_policy::json::{FaultKind, Json, NotJson};
use serde::Serialize;
use sharing::{
    domain::Requester,
    outcome::{ErrorCode, Outcome, Refusal, RefusalCode, Status},
    request::{Action, Malformed, Request},
};
use time::OffsetDateTime;

/// What the Lambda runtime says of the invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invocation<'a> {
    /// Lambda's own id of the invocation.
    pub request_id: &'a str,
    /// Now.
    pub now: OffsetDateTime,
}

/// What arrived in one invocation.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming<'a> {
    /// One request, which has one answer.
    One(Box<Envelope>),
    /// An image became available.
    Available(Available),
    /// The expiry of a share may be due.
    Expiry(ExpiryHint),
    /// Messages of a queue, which are each carried out and then together answered by those that must come again.
    Batch(sqs::Batch<'a>),
}

/// A request that has been understood as far as its trigger.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// How to answer.
    pub trigger: Trigger,
    /// The id that outcome, log and caller share.
    pub request_id: String,
    /// Who asks, where that is known.
    pub requester: Option<Requester>,
    /// When it was sent.
    pub sent: SentAt,
    /// What is asked, or why that is no question.
    pub asked: Result<Request, TurnedAway>,
}

/// The triggers that can be answered, each in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The caller waits for the outcome document: direct invocation.
    Direct,
    /// Nobody waits: EventBridge, through Lambda's asynchronous queue.
    EventBridge,
    /// A message of an SQS queue: the batch is answered, not the message.
    Queue,
    /// API Gateway or a function URL, which want a status, headers and a body.
    Http {
        /// The methods of the route, where the request had another.
        allow: Option<&'static str>,
    },
}

impl Trigger {
    /// The trigger's name in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::EventBridge => "eventbridge",
            Self::Queue => "sqs",
            Self::Http { .. } => "http",
        }
    }

    /// Whether somebody waits for the outcome who can act on it, such as ask for the rest of an audit.
    pub fn is_synchronous(self) -> bool {
        match self {
            Self::Direct | Self::Http { .. } => true,
            Self::EventBridge | Self::Queue => false,
        }
    }
}

/// Why an event never became a question to the allowlist.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnedAway {
    /// The action, where it was readable.
    pub action: Option<Action>,
    /// Whether a dry run was asked for.
    pub dry_run: bool,
    /// The reason for the request, where it was readable.
    pub reason: Option<String>,
    /// The reasons why not; never empty.
    pub refusals: Vec<Refusal>,
    /// How many more faults the request has.
    pub left_out: usize,
}

impl TurnedAway {
    fn new(refusal: Refusal) -> Self {
        Self { action: None, dry_run: false, reason: None, refusals: vec![refusal], left_out: 0 }
    }

    /// Nobody asked: what of the caller's identity is missing or can't be used.
    fn nobody(why: &str) -> Self {
        Self::new(Refusal::new(RefusalCode::Unauthenticated, format!("the caller could not be identified: {why}")))
    }

    /// The outcome of a request that ends here.
    pub fn into_outcome(self, outcome: Outcome) -> Outcome {
        let Self { action, dry_run, reason, refusals, left_out } = self;
        let more = (left_out > 0).then(|| format!("the request has {left_out} more faults, which are left out here"));
        Outcome { action, dry_run, reason, refusals, warnings: more.into_iter().collect(), ..outcome }
    }
}

impl From<Malformed> for TurnedAway {
    fn from(malformed: Malformed) -> Self {
        let Malformed { action, dry_run, reason, faults } = malformed;
        let refusal = |fault: key_policy::json::Fault| Refusal {
            fault: Some(fault.kind),
            pointer: fault.parameter.is_none().then_some(fault.pointer),
            parameter: fault.parameter,
            values: fault.values,
            ..Refusal::new(RefusalCode::MalformedRequest, fault.message)
        };
        let refusals = faults.named.into_iter().map(refusal).collect();
        Self { action, dry_run, reason, refusals, left_out: faults.left_out }
    }
}

/// Finds out which trigger an event came through, who asks and what.
pub fn open<'a>(event: &'a Event, invocation: &Invocation<'a>) -> Incoming<'a> {
    match event.json() {
        Ok(json) => of_json(json, invocation),
        Err(not_json) => Incoming::One(Box::new(of_no_json(not_json, invocation))),
    }
}

fn of_json<'a>(json: &'a Json, invocation: &Invocation<'a>) -> Incoming<'a> {
    let envelope = match identify(json) {
        Shape::Batch(records) => return Incoming::Batch(sqs::open(records, invocation)),
        Shape::RestApi => rest_api::open(json, invocation),
        Shape::HttpApi => http_api::open(json, invocation),
        Shape::ShareRequest => eventbridge::open(json, invocation),
        Shape::Direct => direct::open(json, invocation),
        Shape::ImageState => match automation::available(json, invocation) {
            Ok(available) => return Incoming::Available(available),
            Err(malformed) => eventbridge::turned_away(json, malformed.into(), invocation),
        },
        Shape::ExpiryEvent => match automation::expiry_event(json, invocation) {
            Ok(hint) => return Incoming::Expiry(hint),
            Err(malformed) => eventbridge::turned_away(json, malformed.into(), invocation),
        },
        Shape::Expiry => match automation::expiry(json, invocation) {
            Ok(hint) => return Incoming::Expiry(hint),
            Err(malformed) => eventbridge::turned_away(json, malformed.into(), invocation),
        },
        Shape::OtherEvent(detail_type) => {
            eventbridge::turned_away(json, eventbridge::other(detail_type).into(), invocation)
        }
        Shape::OtherRecords(records) => eventbridge::turned_away(json, sqs::other(records).into(), invocation),
    };
    Incoming::One(Box::new(envelope))
}

/// What is known of an event that can't be read to its end: what its envelope said before that. A bare document has no
/// envelope, and so nobody asked.
fn of_no_json(not_json: &NotJson, invocation: &Invocation<'_>) -> Envelope {
    let read = &not_json.read;
    let why = TurnedAway::from(Malformed::document(FaultKind::BadFormat, format!("not JSON: {}", not_json.error)));
    match identify(read) {
        Shape::RestApi => Envelope { asked: Err(why), ..rest_api::open(read, invocation) },
        Shape::HttpApi => Envelope { asked: Err(why), ..http_api::open(read, invocation) },
        Shape::ShareRequest | Shape::ImageState | Shape::ExpiryEvent | Shape::OtherEvent(_) => {
            eventbridge::turned_away(read, why, invocation)
        }
        Shape::Batch(_) | Shape::OtherRecords(_) | Shape::Expiry | Shape::Direct => {
            Envelope { asked: Err(why), requester: None, ..direct::open(read, invocation) }
        }
    }
}

/// An id that a service gave a request, as far as it is fit for a log line.
fn request_id(id: Option<&Json>) -> Option<&str> {
    let is_plain = |id: &&str| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    id.and_then(Json::as_str).filter(is_plain)
}

enum Shape<'a> {
    RestApi,
    HttpApi,
    Batch(&'a Json),
    ShareRequest,
    Direct,
    ImageState,
    ExpiryEvent,
    Expiry,
    OtherEvent(&'a Json),
    OtherRecords(&'a Json),
}

/// Tells the triggers apart by what only their service sends.
fn identify(json: &Json) -> Shape<'_> {
    if let Some(context) = json.get("requestContext") {
        if context.get("http").is_some() { Shape::HttpApi } else { Shape::RestApi }
    } else if let Some(records) = json.get("Records") {
        if sqs::is_batch(records) { Shape::Batch(records) } else { Shape::OtherRecords(records) }
    } else if let Some(detail_type) = json.get("detail-type") {
        match detail_type.as_str() {
            Some(eventbridge::DETAIL_TYPE) => Shape::ShareRequest,
            Some(automation::IMAGE_STATE) => Shape::ImageState,
            Some(EXPIRY_DETAIL_TYPE) => Shape::ExpiryEvent,
            Some(_) | None => Shape::OtherEvent(detail_type),
        }
    } else if automation::is_expire(json) {
        Shape::Expiry
    } else {
        Shape::Direct
    }
}

/// An invocation that Lambda must see as failed, so that it retries and then tells the on-failure destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvocationError {
    /// The code of what went wrong first.
    pub error_type: String,
    /// The outcome document, as JSON text.
    pub error_message: String,
}

/// What Lambda is answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// The outcome as it is, its fields in the documented order.
    Outcome(Box<Outcome>),
    /// What an API or a queue wants to read.
    Document(serde_json::Value),
}

/// No answer has more bytes than this and what is around it: an HTTP answer is JSON text inside of JSON text, and counts
/// as such. API Gateway takes 10 MB, Lambda 6, but nobody reads them.
pub const LONGEST_ANSWER: usize = 900_000;

/// Nor has the error of an invocation: on its way to an on-failure destination it is a message beside the event that
/// failed, and SNS takes 256 KB. <https://docs.aws.amazon.com/sns/latest/dg/sns-large-message-payload.html>
const LONGEST_ERROR: usize = 100_000;

/// Puts the outcome into the form the trigger wants.
pub fn reply(trigger: Trigger, outcome: Outcome) -> Result<Reply, InvocationError> {
    match trigger {
        Trigger::Http { allow } => Ok(Reply::Document(http::reply(&outcome, allow))),
        Trigger::Direct | Trigger::EventBridge | Trigger::Queue => match outcome.result {
            // A refusal that passes by itself: Lambda sends the event again, until it is too old.
            Status::Refused if outcome.retryable && trigger == Trigger::EventBridge => Err(invocation_error(outcome)),
            Status::Completed | Status::Planned | Status::Refused => Ok(Reply::Outcome(Box::new(outcome))),
            // The rest of a survey is on its way; Lambda's retry would send it once more and mend nothing.
            Status::Incomplete | Status::Failed if outcome.continues => Ok(Reply::Outcome(Box::new(outcome))),
            Status::Incomplete | Status::Failed => Err(invocation_error(outcome)),
        },
    }
}

fn invocation_error(mut outcome: Outcome) -> InvocationError {
    outcome.cut_to(LONGEST_ERROR);
    InvocationError { error_type: leading_code(&outcome).to_owned(), error_message: outcome.to_text() }
}

/// The code that says best why the outcome is not what was asked for.
fn leading_code(outcome: &Outcome) -> &'static str {
    let error = outcome.errors.first().map(|error| error.code.as_str());
    error
        .or_else(|| deciding_refusal(outcome).map(|refusal| refusal.code.as_str()))
        .unwrap_or(ErrorCode::Unexpected.as_str())
}

/// The refusal that decides the status: who may not ask learns that before what is not there, and that before
/// what stands in the way.
fn deciding_refusal(outcome: &Outcome) -> Option<&Refusal> {
    outcome.deciding_refusal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_for_lambda_unless_the_rest_is_on_its_way() {
        let failed = Outcome::new("id", Status::Incomplete);
        assert!(reply(Trigger::EventBridge, failed.clone()).is_err());
        assert!(reply(Trigger::EventBridge, Outcome { continues: true, ..failed }).is_ok());
    }

    /// Who is said to have asked, under which ID, with an event that breaks off.
    #[track_caller]
    fn check(event: &str, requester: Option<&str>, request_id: &str) {
        let broken: Event = serde::Deserialize::deserialize(&mut serde_json::Deserializer::from_str(event)).unwrap();
        let now = time::macros::datetime!(2026-11-22 12:00 UTC);
        let Incoming::One(envelope) = open(&broken, &Invocation { request_id: "lambda-id", now }) else {
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
        // A bare document has no envelope, and what would follow could be one.
        check(r#"{"action": "share", "imageIds": ["#, None, "lambda-id");
        check("", None, "lambda-id");
    }
}
