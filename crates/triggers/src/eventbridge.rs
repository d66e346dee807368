//! Owns the event bus trigger: `AMI Share Request` events.
//!
//! EventBridge makes the event. A sender can choose `source`, `detail-type` and `detail`, but not `account`:
//! <https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html>

use key_policy::json::Json;
use sharing::{
    decide::SentAt,
    domain::{AccountId, Requester, code_point, invisible, quoted},
    request::{FaultKind, Malformed, Request},
};
use time::OffsetDateTime;

use super::envelope::{Envelope, Invocation, Trigger, TurnedAway, request_id};

/// The detail-type of a request.
pub const DETAIL_TYPE: &str = "AMI Share Request";

pub(super) fn open(event: &Json, invocation: &Invocation<'_>) -> Envelope {
    let (requester, asked) = match requester(event) {
        Ok(requester) => (Some(requester), asked(event, invocation.now)),
        Err(why) => (None, Err(TurnedAway::nobody(&why))),
    };
    Envelope {
        trigger: Trigger::EventBridge,
        request_id: id(event).unwrap_or(invocation.request_id).to_owned(),
        requester,
        requester_session: None,
        sent: sent(event),
        asked,
    }
}

/// An event that is not a request, with what it says about its sender.
pub(super) fn turned_away(event: &Json, why: TurnedAway, invocation: &Invocation<'_>) -> Envelope {
    Envelope {
        trigger: Trigger::EventBridge,
        request_id: id(event).unwrap_or(invocation.request_id).to_owned(),
        requester: requester(event).ok(),
        requester_session: None,
        sent: sent(event),
        asked: Err(why),
    }
}

/// The event's own ID.
pub(super) fn id(event: &Json) -> Option<&str> {
    request_id(event.get("id"))
}

/// The request in an event.
pub(super) fn asked(event: &Json, now: OffsetDateTime) -> Result<Request, TurnedAway> {
    match event.get("detail") {
        Some(detail) => Request::parse(detail, now).map_err(Into::into),
        None => Err(Malformed::document(FaultKind::Missing, "the event has no `detail`").into()),
    }
}

/// Why an event with another detail-type is not a request.
pub(super) fn other(detail_type: &Json) -> Malformed {
    let shown = detail_type.as_str().map_or_else(|| detail_type.kind().to_owned(), quoted);
    Malformed::document(
        FaultKind::BadFormat,
        format!("an event with the detail-type {shown}; this function takes `{DETAIL_TYPE}`"),
    )
}

/// Whether an archive sent the event again, whatever the name of the replay is.
pub(super) fn is_replay(event: &Json) -> bool {
    event.get("replay-name").is_some()
}

/// When EventBridge received the event, or that an archive sent it again.
pub(super) fn sent(event: &Json) -> SentAt {
    if is_replay(event) { SentAt::Again } else { SentAt::at_rfc3339(event.get("time").and_then(Json::as_str)) }
}

/// Longer than any source in use, and short enough for a log line. EventBridge sets no limit of its own.
const MAX_SOURCE: usize = 256;

/// The sender, or why the event does not identify one.
///
/// A source may have spaces: EventBridge Pipes send `Pipe <name>`.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-event-target.html>
fn requester(event: &Json) -> Result<Requester, String> {
    let text = |name: &str| match event.get(name) {
        None | Some(Json::Null) => Err(format!("the event has no `{name}`")),
        Some(value) => value.as_str().ok_or_else(|| format!("the event's `{name}` is {}", value.kind())),
    };
    let account: AccountId = text("account")?.parse().map_err(|error| format!("the event's `account`: {error}"))?;
    let source = text("source")?;
    if source.is_empty() {
        return Err("the event's `source` is empty".to_owned());
    }
    if source.chars().nth(MAX_SOURCE).is_some() {
        return Err(format!("the event's `source` is longer than {MAX_SOURCE} characters"));
    }
    match invisible(source) {
        Some((_, character)) => {
            Err(format!("the event's `source` holds {}, which can't be seen", code_point(character)))
        }
        None => Ok(Requester::new(format!("events:{account}:{source}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: &str, expect: Result<&str, &str>) {
        let requester = requester(&Json::parse(event).unwrap());
        assert_eq!(requester.as_ref().map(Requester::as_str).map_err(String::as_str), expect, "{event}");
    }

    #[test]
    fn the_sender_is_account_and_source_whatever_source_aws_takes() {
        for source in ["com.example", "Pipe share-requests", "x y/z", "bücher.example", "aws.ec2", &"s".repeat(256)] {
            let event = format!(r#"{{"account": "999988887777", "source": "{source}"}}"#);
            check(&event, Ok(&format!("events:999988887777:{source}")));
        }
    }

    #[test]
    fn what_is_missing_and_what_cannot_be_used_are_told_apart() {
        let with = |account: &str, source: &str| format!(r#"{{"account": {account}, "source": {source}}}"#);
        check("{}", Err("the event has no `account`"));
        check(&with("null", r#""x""#), Err("the event has no `account`"));
        check(&with("999988887777", r#""x""#), Err("the event's `account` is a number"));
        check(
            &with(r#""1""#, r#""x""#),
            Err("the event's `account`: `1` is not an account id: twelve digits, without hyphens"),
        );
        let account = r#""999988887777""#;
        check(r#"{"account": "999988887777"}"#, Err("the event has no `source`"));
        check(&with(account, "7"), Err("the event's `source` is a number"));
        check(&with(account, r#""""#), Err("the event's `source` is empty"));
        check(&with(account, r#""a\u200bb""#), Err("the event's `source` holds U+200B, which can't be seen"));
        check(&with(account, r#""a\nb""#), Err("the event's `source` holds U+000A, which can't be seen"));
        check(
            &with(account, &format!("{:?}", "s".repeat(257))),
            Err("the event's `source` is longer than 256 characters"),
        );
    }
}
