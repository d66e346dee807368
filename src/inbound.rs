//! Owns the doors: which one an event came through, who asks, what is asked, and how each door is answered.
//!
//! Everything here is told from the event's own shape. The requester is read only from what the door's AWS
//! service vouches for, never from a body, a header or `requestContext.accountId`.

mod direct;
mod event;
mod eventbridge;
mod http;
mod identity;
mod problem;
mod rest_api;

use time::OffsetDateTime;

use crate::{
    domain::Requester,
    json::Json,
    outcome::{Code, ErrorCode, Outcome, Refusal, ResultKind},
    request::{Action, Malformed, Request},
};
pub use event::Event;

/// What the Lambda runtime says of the invocation.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// Lambda's own id of the invocation.
    pub request_id: &'a str,
    /// Now.
    pub now: OffsetDateTime,
}

/// An event that has been understood as far as its door.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// How to answer.
    pub door: Door,
    /// The id that outcome, log and caller share.
    pub request_id: String,
    /// Who asks, where that is known.
    pub requester: Option<Requester>,
    /// What is asked, or why that is no question.
    pub asked: Result<Request, TurnedAway>,
}

/// The doors that can be answered, each in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The caller waits for the outcome document: direct invocation.
    Direct,
    /// Nobody waits: EventBridge, through Lambda's asynchronous queue.
    EventBridge,
    /// API Gateway, which wants a status, headers and a body.
    Http {
        /// The methods of the route, where the request had another.
        allow: Option<&'static str>,
    },
}

impl Door {
    /// The door's name in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::EventBridge => "eventbridge",
            Self::Http { .. } => "http",
        }
    }
}

/// Why an event never became a question to the allowlist.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnedAway {
    /// The action, where it was readable.
    pub action: Option<Action>,
    /// The reasons; never empty.
    pub refusals: Vec<Refusal>,
}

impl TurnedAway {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { action: None, refusals: vec![Refusal::new(code, message)] }
    }
}

impl From<Malformed> for TurnedAway {
    fn from(malformed: Malformed) -> Self {
        let refusal = |fault: crate::json::Fault| Refusal {
            pointer: Some(fault.pointer),
            ..Refusal::new(Code::MalformedRequest, fault.message)
        };
        Self { action: malformed.action, refusals: malformed.faults.into_iter().map(refusal).collect() }
    }
}

/// Finds out which door an event came through, who asks and what.
pub fn open(event: &Event, invocation: &Invocation<'_>) -> Opened {
    let json = match event.json() {
        Ok(json) => json,
        Err(error) => return direct::not_json(error, invocation),
    };
    match identify(json) {
        Shape::RestApi => rest_api::open(json, invocation),
        Shape::ShareRequest => eventbridge::open(json, invocation),
        Shape::Direct => direct::open(json, invocation),
        Shape::NotBuilt(door, what) => Opened {
            door,
            request_id: invocation.request_id.to_owned(),
            requester: None,
            asked: Err(TurnedAway::new(Code::NotSupportedYet, format!("{what} is not built yet"))),
        },
        Shape::OtherEvent(detail_type) => Opened {
            door: Door::EventBridge,
            request_id: invocation.request_id.to_owned(),
            requester: None,
            asked: Err(Malformed::document(format!(
                "an event with the detail-type {}; this function takes `{}`",
                crate::domain::quoted(&detail_type),
                eventbridge::DETAIL_TYPE
            ))
            .into()),
        },
    }
}

enum Shape {
    RestApi,
    ShareRequest,
    Direct,
    NotBuilt(Door, &'static str),
    OtherEvent(String),
}

/// Tells the doors apart by what only their service sends.
fn identify(json: &Json) -> Shape {
    if json.get("requestContext").is_some() {
        let is_payload_2 = json.at(&["requestContext", "http"]).is_some();
        if is_payload_2 {
            Shape::NotBuilt(Door::Http { allow: None }, "the HTTP API and function URL door")
        } else {
            Shape::RestApi
        }
    } else if json.get("Records").is_some() {
        Shape::NotBuilt(Door::EventBridge, "the SQS door")
    } else if let Some(detail_type) = json.get("detail-type") {
        match detail_type.as_str() {
            Some(eventbridge::DETAIL_TYPE) => Shape::ShareRequest,
            Some("EC2 AMI State Change") => {
                Shape::NotBuilt(Door::EventBridge, "sharing an image when it becomes available")
            }
            Some(other) => Shape::OtherEvent(other.to_owned()),
            None => Shape::OtherEvent(detail_type.kind().to_owned()),
        }
    } else if json.get("action").and_then(Json::as_str) == Some("expire") {
        Shape::NotBuilt(Door::EventBridge, "ending a share when it is due")
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

/// Puts the outcome into the form the door wants.
pub fn reply(door: Door, outcome: &Outcome) -> Result<serde_json::Value, InvocationError> {
    match door {
        Door::Http { allow } => Ok(http::reply(outcome, allow)),
        Door::Direct | Door::EventBridge => match outcome.result {
            ResultKind::Completed | ResultKind::Planned | ResultKind::Refused => Ok(serde_json::json!(outcome)),
            ResultKind::Incomplete | ResultKind::Failed => Err(InvocationError {
                error_type: leading_code(outcome).to_owned(),
                error_message: serde_json::json!(outcome).to_string(),
            }),
        },
    }
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
    outcome.refusals.iter().min_by_key(|refusal| refusal.code.status())
}
