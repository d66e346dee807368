//! Owns the event bus door: `AMI Share Request` events.
//!
//! The envelope is EventBridge's; a sender can choose `source`, `detail-type` and `detail` but not `account`:
//! <https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html>

use super::{Door, Invocation, Opened, TurnedAway};
use crate::{
    domain::{AccountId, Requester},
    json::Json,
    outcome::Code,
    request::{Malformed, Request},
};

/// The detail-type of a request.
pub(super) const DETAIL_TYPE: &str = "AMI Share Request";

pub(super) fn open(envelope: &Json, invocation: &Invocation<'_>) -> Opened {
    let id = envelope.get("id").and_then(Json::as_str).filter(|id| !id.is_empty() && id.len() <= 128);
    let opened = |requester, asked| Opened {
        door: Door::EventBridge,
        request_id: id.unwrap_or(invocation.request_id).to_owned(),
        requester,
        asked,
    };
    let Some(requester) = requester(envelope) else {
        let message = "the event has no `account` of twelve digits and no `source`, so nobody asked";
        return opened(None, Err(TurnedAway::new(Code::Unauthenticated, message)));
    };
    let asked = match envelope.get("detail") {
        Some(detail) => Request::parse(detail, invocation.now).map_err(Into::into),
        None => Err(Malformed::document("the event has no `detail`").into()),
    };
    opened(Some(requester), asked)
}

fn requester(envelope: &Json) -> Option<Requester> {
    let account: AccountId = envelope.get("account")?.as_str()?.parse().ok()?;
    let source = envelope.get("source")?.as_str()?;
    let is_plain = (1..=256).contains(&source.len()) && source.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain.then(|| Requester::new(format!("events:{account}:{source}")))
}
