//! Owns the event bus door: `AMI Share Request` events.
//!
//! The envelope is EventBridge's; a sender can choose `source`, `detail-type` and `detail` but not `account`:
//! <https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html>

use time::OffsetDateTime;

use super::{Door, Invocation, Opened, Sent, TurnedAway, request_id};
use crate::{
    domain::{AccountId, Requester, quoted},
    json::Json,
    outcome::Code,
    request::{Malformed, Request},
};

/// The detail-type of a request.
pub const DETAIL_TYPE: &str = "AMI Share Request";

pub(super) fn open(envelope: &Json, invocation: &Invocation<'_>) -> Opened {
    let id = request_id(envelope.get("id"));
    let opened = |requester, asked| Opened {
        door: Door::EventBridge,
        request_id: id.unwrap_or(invocation.request_id).to_owned(),
        requester,
        sent: sent(envelope),
        asked,
    };
    let Some(requester) = requester(envelope) else {
        let message = "the event has no `account` of twelve digits and no `source`, so nobody asked";
        return opened(None, Err(TurnedAway::new(Code::Unauthenticated, message)));
    };
    opened(Some(requester), asked(envelope, invocation.now))
}

/// What an envelope asks.
pub(super) fn asked(envelope: &Json, now: OffsetDateTime) -> Result<Request, TurnedAway> {
    match envelope.get("detail") {
        Some(detail) => Request::parse(detail, now).map_err(Into::into),
        None => Err(Malformed::document("the event has no `detail`").into()),
    }
}

/// Why an envelope of another detail-type is no request.
pub(super) fn other(detail_type: &Json) -> Malformed {
    let shown = detail_type.as_str().map_or_else(|| detail_type.kind().to_owned(), quoted);
    Malformed::document(format!("an event with the detail-type {shown}; this function takes `{DETAIL_TYPE}`"))
}

/// Whether an archive sent the event once more, whatever name the replay has.
pub(super) fn is_replay(envelope: &Json) -> bool {
    envelope.get("replay-name").is_some()
}

/// When EventBridge was given the event, or that an archive sent it once more.
pub(super) fn sent(envelope: &Json) -> Sent {
    if is_replay(envelope) { Sent::Again } else { Sent::at_rfc3339(envelope.get("time").and_then(Json::as_str)) }
}

fn requester(envelope: &Json) -> Option<Requester> {
    let account: AccountId = envelope.get("account")?.as_str()?.parse().ok()?;
    let source = envelope.get("source")?.as_str()?;
    let is_plain = (1..=256).contains(&source.len()) && source.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain.then(|| Requester::new(format!("events:{account}:{source}")))
}
