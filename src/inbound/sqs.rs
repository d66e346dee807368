//! Owns the queue door: batches of SQS messages, each a request of its own, and which of them must come again.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use serde_json::json;
use time::OffsetDateTime;

use super::{Door, Opened, Sent, TurnedAway, eventbridge, request_id};
use crate::{
    domain::{AccountId, Arn, Partition, Region, Requester},
    json::Json,
    outcome::{Code, Outcome, ResultKind},
    request::{Malformed, Request},
};

/// What the event source mapping handed over in one invocation.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Whether the queue keeps an order: then nothing may overtake a message that must come again.
    pub is_fifo: bool,
    /// The messages, in the queue's order.
    pub messages: Vec<Message>,
}

/// One message of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// SQS's id of it, by which it is asked for again. A record without one is never carried out, because it could
    /// not be.
    pub id: Option<String>,
    /// What it says.
    pub opened: Opened,
}

/// Whether any of the records is a message; then the others are broken ones.
pub(super) fn is_batch(records: &Json) -> bool {
    records.as_array().unwrap_or_default().iter().any(is_message)
}

fn is_message(record: &Json) -> bool {
    record.get("eventSource").and_then(Json::as_str) == Some("aws:sqs")
}

/// Opens every record by itself, so that a broken one costs no other.
pub(super) fn open(records: &Json, invocation: &super::Invocation<'_>) -> Batch {
    let records = records.as_array().unwrap_or_default();
    let is_fifo = |record: &Json| queue(record).is_some_and(|arn| arn.ends_with(".fifo"));
    Batch {
        is_fifo: records.iter().any(is_fifo),
        messages: records.iter().map(|record| message(record, invocation)).collect(),
    }
}

fn message(record: &Json, invocation: &super::Invocation<'_>) -> Message {
    let id = request_id(record.get("messageId"));
    // Whatever the body says of its own origin, the queue is all that SQS vouches for.
    let requester = queue(record).map(|arn| Requester::new(format!("sqs:{arn}")));
    let (sent, asked) = match (id, &requester) {
        _ if !is_message(record) => (Sent::Unknown, Err(Malformed::document("the record is no SQS message").into())),
        (None, _) => {
            let message = "the message has no `messageId`, so it could not be asked for again";
            (Sent::Unknown, Err(Malformed::document(message).into()))
        }
        (Some(_), None) => {
            let message = "the message's `eventSourceARN` is not the ARN of a queue, so nobody asked";
            (Sent::Unknown, Err(TurnedAway::new(Code::Unauthenticated, message)))
        }
        (Some(_), Some(_)) => asked(record, invocation.now),
    };
    let opened = Opened {
        door: Door::Queue,
        request_id: id.unwrap_or(invocation.request_id).to_owned(),
        requester,
        sent,
        asked,
    };
    Message { id: id.map(str::to_owned), opened }
}

/// The ARN of the queue, where it is one: `arn:aws:sqs:<region>:<account>:<name>`.
fn queue(record: &Json) -> Option<&str> {
    let text = record.get("eventSourceARN")?.as_str()?;
    let arn = Arn::split(text)?;
    let name = arn.resource.strip_suffix(".fifo").unwrap_or(arn.resource);
    let is_queue = is_message(record)
        && arn.service == "sqs"
        && Partition::parse(arn.partition).is_some()
        && arn.region.parse::<Region>().is_ok()
        && arn.account.parse::<AccountId>().is_ok()
        && !name.is_empty()
        && arn.resource.len() <= 80
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_queue.then_some(text)
}

/// The request in a message's body: a document, or an EventBridge envelope around one.
///
/// The message's own time counts and not the envelope's, which whoever may send to the queue can choose.
fn asked(record: &Json, now: OffsetDateTime) -> (Sent, Result<Request, TurnedAway>) {
    let time = record.at(&["attributes", "SentTimestamp"]).and_then(Json::as_str);
    let sent = Sent::at_milliseconds(time);
    let Some(body) = record.get("body").and_then(Json::as_str) else {
        return (sent, Err(Malformed::document("the message has no body").into()));
    };
    let body = match Json::parse(body) {
        Ok(body) => body,
        Err(error) => {
            return (sent, Err(Malformed::document(format!("the message's body is not JSON: {error}")).into()));
        }
    };
    match body.get("detail-type") {
        None => (sent, Request::parse(&body, now).map_err(Into::into)),
        Some(detail_type) if detail_type.as_str() == Some(eventbridge::DETAIL_TYPE) => {
            let sent = if eventbridge::is_replay(&body) { Sent::Again } else { sent };
            (sent, eventbridge::asked(&body, now))
        }
        Some(other) => (sent, Err(eventbridge::other(other).into())),
    }
}

/// Whether a message must come again: it was not carried out, and sending it again helps.
///
/// A refusal is an answer, a malformed message included, unless it passes by itself: then the message comes again until
/// it is too old. So is a failure that no repetition mends, such as a permission
/// the function's role lacks: in a queue it would only come back until it is thrown away, and in a FIFO queue hold up
/// every message behind it.
pub fn must_come_again(outcome: &Outcome) -> bool {
    match outcome.result {
        ResultKind::Completed | ResultKind::Planned => false,
        ResultKind::Refused | ResultKind::Incomplete | ResultKind::Failed => outcome.retryable,
    }
}

/// Whether a message was not carried out and is not asked for again: nobody but the log and the outcome's event tell.
pub fn is_lost(outcome: &Outcome) -> bool {
    match outcome.result {
        ResultKind::Completed | ResultKind::Planned | ResultKind::Refused => false,
        ResultKind::Incomplete | ResultKind::Failed => !outcome.retryable,
    }
}

/// The answer to a batch: SQS deletes every message but these.
pub fn reply(again: &[String]) -> serde_json::Value {
    let failures: Vec<_> = again.iter().map(|id| json!({"itemIdentifier": id})).collect();
    json!({"batchItemFailures": failures})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inbound::Invocation,
        outcome::{ErrorCode, ErrorRow},
    };

    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-22 12:00 UTC);
    const QUEUE: &str = "arn:aws:sqs:eu-west-1:999988887777:requests";
    const LIST: &str = r#"{"action": "list", "imageIds": ["ami-1a2b3c4d"]}"#;

    fn record(more: serde_json::Value) -> serde_json::Value {
        let mut record = json!({
            "messageId": "m-1", "body": LIST, "attributes": {"SentTimestamp": "1795348800000"},
            "eventSource": "aws:sqs", "eventSourceARN": QUEUE,
        });
        for (name, value) in more.as_object().unwrap() {
            record[name] = value.clone();
        }
        record
    }

    fn batch(records: &[serde_json::Value]) -> Batch {
        let records = Json::parse(&json!(records).to_string()).unwrap();
        open(&records, &Invocation { request_id: "lambda-id", now: NOW })
    }

    fn one(more: serde_json::Value) -> Message {
        batch(&[record(more)]).messages.remove(0)
    }

    /// The words of the first refusal.
    fn refusal(message: &Message) -> String {
        let refusal = &message.opened.asked.as_ref().unwrap_err().refusals[0];
        format!("{}: {}", refusal.code, refusal.message)
    }

    #[test]
    fn the_queue_asks_whatever_the_body_says_of_its_own_origin() {
        let envelope = json!({
            "detail-type": "AMI Share Request", "source": "com.example.pipeline", "account": "111122223333",
            "time": "1999-01-01T00:00:00Z", "id": "e-1", "detail": {"action": "list", "imageIds": ["ami-1a2b3c4d"]},
            "requestContext": {"identity": {"userArn": "arn:aws:iam::999988887777:user/ada"}},
        });
        for body in [LIST.to_owned(), envelope.to_string()] {
            let Message { id, opened } = one(json!({"body": body}));
            assert_eq!(id.as_deref(), Some("m-1"));
            assert_eq!(opened.request_id, "m-1");
            assert_eq!(opened.requester.unwrap().as_str(), format!("sqs:{QUEUE}"));
            assert_eq!(opened.sent, Sent::At(NOW));
            assert!(opened.asked.is_ok(), "{body}");
        }
    }

    #[test]
    fn a_replayed_envelope_is_a_replay_in_a_queue_too() {
        let envelope = json!({"detail-type": "AMI Share Request", "replay-name": "again", "detail": {"action": "list", "imageIds": ["ami-1a2b3c4d"]}});
        assert_eq!(one(json!({"body": envelope.to_string()})).opened.sent, Sent::Again);
    }

    #[test]
    fn what_is_not_a_queue_asks_nothing() {
        for arn in [
            json!(null),
            json!(7),
            json!(""),
            json!("requests"),
            json!("arn:aws:sns:eu-west-1:999988887777:requests"),
            json!("arn:aws:sqs:eu-west-1:9999:requests"),
            json!("arn:aws:sqs:*:999988887777:requests"),
            json!("arn:aws:sqs:eu-west-1:999988887777:"),
            json!("arn:aws:sqs:eu-west-1:999988887777:.fifo"),
            json!("arn:aws:sqs:eu-west-1:999988887777:a/b"),
            json!("arn:aws:sqs:eu-west-1:999988887777:a\nb"),
            json!("arn:evil:sqs:eu-west-1:999988887777:requests"),
            json!(format!("arn:aws:sqs:eu-west-1:999988887777:{}", "x".repeat(81))),
        ] {
            let message = one(json!({"eventSourceARN": arn}));
            assert_eq!(message.opened.requester, None, "{arn}");
            assert!(refusal(&message).starts_with("Unauthenticated"), "{arn}");
        }
    }

    #[test]
    fn a_broken_record_costs_no_other() {
        let broken = [
            json!(null),
            json!([]),
            json!({}),
            record(json!({"messageId": null})),
            record(json!({"messageId": ""})),
            record(json!({"messageId": "m\n1"})),
            record(json!({"eventSource": "aws:s3"})),
            record(json!({"body": null})),
            record(json!({"body": "{"})),
            record(json!({"body": "[]"})),
            record(json!({"body": "[".repeat(100_000)})),
            record(json!({"body": "{\"detail-type\": \"AMI Share Request\"}"})),
            record(json!({"body": "{\"detail-type\": 7}"})),
            record(json!({"body": "{\"action\": \"expire\", \"schedule\": \"x\"}"})),
        ];
        let mut records = broken.to_vec();
        records.insert(0, record(json!({"messageId": "first"})));
        records.push(record(json!({"messageId": "last"})));
        let messages = batch(&records).messages;
        assert_eq!(messages.len(), records.len());
        for message in messages.iter().skip(1).take(broken.len()) {
            assert!(refusal(message).starts_with("MalformedRequest"), "{message:?}");
        }
        for (message, id) in [(messages.first(), "first"), (messages.last(), "last")] {
            let message = message.unwrap();
            assert_eq!((message.id.as_deref(), message.opened.asked.is_ok()), (Some(id), true));
        }
    }

    #[test]
    fn a_queue_keeps_an_order_where_its_name_says_so() {
        assert!(!batch(&[record(json!({}))]).is_fifo);
        assert!(batch(&[json!(null), record(json!({"eventSourceARN": format!("{QUEUE}.fifo")}))]).is_fifo);
        assert!(is_batch(&Json::parse(&json!([null, record(json!({}))]).to_string()).unwrap()));
        for other in ["[]", "{}", "null", r#"[{"eventSource": "aws:s3"}]"#] {
            assert!(!is_batch(&Json::parse(other).unwrap()), "{other}");
        }
    }

    #[test]
    fn only_what_another_try_can_mend_comes_again() {
        let outcome = |result, retryable| Outcome {
            retryable,
            errors: vec![ErrorRow {
                code: ErrorCode::Throttled,
                call: None,
                resource: None,
                message: String::new(),
                retryable,
            }],
            ..Outcome::new("m-1", result)
        };
        for (result, retryable, expect) in [
            (ResultKind::Completed, false, false),
            (ResultKind::Planned, false, false),
            (ResultKind::Refused, false, false),
            (ResultKind::Refused, true, true),
            (ResultKind::Incomplete, true, true),
            (ResultKind::Incomplete, false, false),
            (ResultKind::Failed, true, true),
            (ResultKind::Failed, false, false),
        ] {
            let outcome = outcome(result, retryable);
            assert_eq!(must_come_again(&outcome), expect, "{result:?} {retryable}");
            let is_failure = matches!(result, ResultKind::Incomplete | ResultKind::Failed);
            assert_eq!(is_lost(&outcome), is_failure && !expect, "{result:?} {retryable}");
        }
        assert_eq!(reply(&["a".to_owned()]), json!({"batchItemFailures": [{"itemIdentifier": "a"}]}));
        assert_eq!(reply(&[]), json!({"batchItemFailures": []}));
    }
}
