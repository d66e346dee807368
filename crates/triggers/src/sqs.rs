//! Owns the queue trigger: batches of SQS messages, which are each a request, and which of them must be sent again.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use key_policy::json::{Json, NotJson};
use serde_json::json;
use sharing::{
    decide::SentAt,
    domain::{AccountId, Arn, Partition, Region, Requester, quoted},
    outcome::{Outcome, Status},
    request::{FaultKind, Malformed, Request},
};
use time::OffsetDateTime;

use super::{
    envelope::{Envelope, Invocation, Trigger, TurnedAway, request_id},
    eventbridge,
};

/// The most messages that Lambda takes from a queue at once:
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
const MAX_RECORDS: usize = 10_000;

/// The messages of one invocation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Batch<'a> {
    /// Whether the queue is a FIFO queue. Then no message may overtake one that must be sent again.
    pub is_fifo: bool,
    records: &'a [Json],
    invocation: Invocation<'a>,
}

impl<'a> Batch<'a> {
    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none. SQS sends no such batch.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The messages, in the order of the queue. Each is read when its turn comes, so that a broken message does not
    /// affect the others.
    pub fn messages(self) -> impl Iterator<Item = Message> + 'a {
        self.records.iter().map(move |record| message(record, &self.invocation))
    }
}

/// One message of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// SQS's ID of the message, with which it can be requested again. A record without an ID is never carried out,
    /// because it could not be requested again.
    pub id: Option<String>,
    /// The request in it.
    pub envelope: Envelope,
}

/// Whether any of the records is a message. The others are then broken messages.
pub(super) fn is_batch(records: &Json) -> bool {
    let records = records.as_array().unwrap_or_default();
    !is_too_long(records) && records.iter().any(is_message)
}

/// Whether there are more records than SQS sends.
fn is_too_long(records: &[Json]) -> bool {
    records.len() > MAX_RECORDS || matches!(records.last(), Some(Json::Unread(_)))
}

/// Why `Records` are not a batch of messages.
pub(super) fn other(records: &Json) -> Malformed {
    let kind =
        if records.as_array().is_some_and(<[Json]>::is_empty) { FaultKind::Missing } else { FaultKind::BadFormat };
    let message = match records.as_array() {
        None => format!("`Records` is {}, not an array", records.kind()),
        Some([]) => "`Records` is empty".to_owned(),
        Some(records) if is_too_long(records) => {
            format!("more than {MAX_RECORDS} `Records`; SQS sends no batch that large")
        }
        Some([first, ..]) => {
            let service = first.get("eventSource").or(first.get("EventSource")).and_then(Json::as_str);
            format!(
                "`Records` of {}; this function takes those of `aws:sqs`",
                service.map_or("no service".into(), quoted)
            )
        }
    };
    Malformed::document(kind, message)
}

fn is_message(record: &Json) -> bool {
    record.get("eventSource").and_then(Json::as_str) == Some("aws:sqs")
}

pub(super) fn open<'a>(records: &'a Json, invocation: &Invocation<'a>) -> Batch<'a> {
    let records = records.as_array().unwrap_or_default();
    let is_fifo = |record: &Json| queue(record).is_some_and(|arn| arn.ends_with(".fifo"));
    Batch { is_fifo: records.iter().any(is_fifo), records, invocation: *invocation }
}

fn message(record: &Json, invocation: &Invocation<'_>) -> Message {
    let id = request_id(record.get("messageId"));
    // SQS verifies only the queue. What the body says about its origin does not count.
    let requester = queue(record).map(|arn| Requester::new(format!("sqs:{arn}")));
    let unasked = |why| Asked { request_id: None, sent: SentAt::Unknown, request: Err(why) };
    let asked = match (id, &requester) {
        _ if !is_message(record) => {
            unasked(Malformed::document(FaultKind::BadFormat, "the record is not an SQS message").into())
        }
        (None, _) => {
            let (kind, what) = match record.get("messageId") {
                Some(_) => (FaultKind::BadFormat, "an unusable"),
                None => (FaultKind::Missing, "no"),
            };
            let message = format!("the message has {what} `messageId`, so SQS could not be asked to send it again");
            unasked(Malformed::document(kind, message).into())
        }
        (Some(_), None) => unasked(TurnedAway::nobody(&match record.get("eventSourceARN") {
            None | Some(Json::Null) => "the message has no `eventSourceARN`".to_owned(),
            Some(arn) => {
                let shown = arn.as_str().map_or_else(|| arn.kind().to_owned(), quoted);
                format!("the message's `eventSourceARN` is {shown}, not the ARN of a queue")
            }
        })),
        (Some(_), Some(_)) => asked(record, invocation.now),
    };
    let envelope = Envelope {
        trigger: Trigger::Queue,
        request_id: asked.request_id.unwrap_or_else(|| id.unwrap_or(invocation.request_id).to_owned()),
        requester,
        requester_session: None,
        sent: asked.sent,
        asked: asked.request,
    };
    Message { id: id.map(str::to_owned), envelope }
}

/// The ARN of the queue, if it is one: `arn:aws:sqs:<region>:<account>:<name>`.
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

/// The body of a message.
struct Asked {
    /// The ID of the EventBridge event, if there is one.
    request_id: Option<String>,
    sent: SentAt,
    request: Result<Request, TurnedAway>,
}

/// The request in a message's body: a document, or an EventBridge event around one.
///
/// A sender can choose the event's time, so it can only make a message older than SQS says.
fn asked(record: &Json, now: OffsetDateTime) -> Asked {
    let time = record.at(&["attributes", "SentTimestamp"]).and_then(Json::as_str);
    let sent = SentAt::at_milliseconds(time);
    let has_body = !matches!(record.get("body"), None | Some(Json::Null));
    let kind = if has_body { FaultKind::BadFormat } else { FaultKind::Missing };
    let malformed = |message: String| Err(Malformed::document(kind, message).into());
    let (body, error) = match record.get("body") {
        None | Some(Json::Null) => (Json::Null, Some("the message has no body".to_owned())),
        Some(Json::String(text)) => match Json::read_text(text) {
            Ok(body) => (body, None),
            Err(NotJson { read, error }) => (read, Some(format!("the message's body is not JSON: {error}"))),
        },
        Some(other) => (Json::Null, Some(format!("the message's body is {}, not text", other.kind()))),
    };
    let detail_type = body.get("detail-type");
    let request = match (error, detail_type) {
        (Some(error), _) => malformed(error),
        (None, None) if is_sns_envelope(&body) => malformed(
            "the message is an SNS envelope around a request: turn on raw message delivery for the queue's subscription"
                .to_owned(),
        ),
        (None, None) => Request::parse(&body, now).map_err(Into::into),
        (None, Some(detail_type)) if detail_type.as_str() == Some(eventbridge::DETAIL_TYPE) => {
            eventbridge::asked(&body, now)
        }
        (None, Some(other)) => Err(eventbridge::other(other).into()),
    };
    let is_dated = body.get("time").is_some() || eventbridge::is_replay(&body);
    let is_envelope = detail_type.is_some();
    Asked {
        request_id: eventbridge::id(&body).filter(|_| is_envelope).map(str::to_owned),
        sent: if is_envelope && is_dated { sent.older(eventbridge::sent(&body)) } else { sent },
        request,
    }
}

/// The form in which Amazon SNS sends a message, unless the subscription has raw message delivery:
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html>
fn is_sns_envelope(body: &Json) -> bool {
    ["Type", "TopicArn", "Message"].iter().all(|field| body.get(field).and_then(Json::as_str).is_some())
}

/// Whether a message must be sent again: it was not carried out, and another attempt may help.
///
/// A refusal is final, also that of a malformed message, unless its cause may pass: then the message is sent again
/// until it is too old. A failure that another attempt can't fix, such as a missing permission of the function's role,
/// is final too: the message would return until it is deleted, and in a FIFO queue block every message behind it.
pub fn must_come_again(outcome: &Outcome) -> bool {
    match outcome.result {
        Status::Completed | Status::Planned | Status::Accepted => false,
        Status::Refused | Status::Incomplete | Status::Failed => outcome.retryable,
    }
}

/// Whether a message was not carried out and is not sent again. Only the log and the event of the outcome say so.
pub fn is_lost(outcome: &Outcome) -> bool {
    match outcome.result {
        Status::Completed | Status::Planned | Status::Accepted | Status::Refused => false,
        Status::Incomplete | Status::Failed => !outcome.retryable,
    }
}

/// The answer to a batch. SQS deletes every message except these.
pub fn reply(again: &[String]) -> serde_json::Value {
    let failures: Vec<_> = again.iter().map(|id| json!({"itemIdentifier": id})).collect();
    json!({"batchItemFailures": failures})
}

#[cfg(test)]
mod tests {
    use sharing::outcome::{ErrorCode, ErrorRow};

    use super::*;
    use crate::Invocation;

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

    const INVOCATION: Invocation<'_> = Invocation { request_id: "lambda-id", now: NOW, groups_claim: "groups" };

    fn batch(records: &[serde_json::Value]) -> Vec<Message> {
        let records = Json::parse(&json!(records).to_string()).unwrap();
        open(&records, &INVOCATION).messages().collect()
    }

    fn one(more: serde_json::Value) -> Message {
        batch(&[record(more)]).remove(0)
    }

    /// The words of the first refusal.
    fn refusal(message: &Message) -> String {
        let refusal = &message.envelope.asked.as_ref().unwrap_err().refusals[0];
        format!("{}: {}", refusal.code, refusal.message)
    }

    #[test]
    fn a_batch_has_as_many_messages_as_records_up_to_the_most_that_sqs_sends() {
        let records = |count: usize| Json::Array(vec![Json::parse(&record(json!({})).to_string()).unwrap(); count]);
        let (one, most, more) = (records(1), records(MAX_RECORDS), records(MAX_RECORDS + 1));
        let lengths = |records| {
            let batch = open(records, &INVOCATION);
            (batch.len(), batch.is_empty())
        };
        assert_eq!((lengths(&one), lengths(&Json::Array(Vec::new()))), ((1, false), (0, true)));
        assert_eq!([&one, &most, &more].map(is_batch), [true, true, false]);
    }

    #[test]
    fn the_queue_asks_whatever_the_body_says_of_its_own_origin() {
        let event = json!({
            "detail-type": "AMI Share Request", "source": "com.example.pipeline", "account": "111122223333",
            "time": "1999-01-01T00:00:00Z", "id": "e-1", "detail": {"action": "list", "imageIds": ["ami-1a2b3c4d"]},
            "requestContext": {"identity": {"userArn": "arn:aws:iam::999988887777:user/ada"}},
        });
        for (body, request_id) in [(LIST.to_owned(), "m-1"), (event.to_string(), "e-1")] {
            let Message { id, envelope } = one(json!({"body": body}));
            assert_eq!(id.as_deref(), Some("m-1"));
            assert_eq!(envelope.request_id, request_id);
            assert_eq!(envelope.requester.unwrap().as_str(), format!("sqs:{QUEUE}"));
            assert!(envelope.asked.is_ok(), "{body}");
        }
    }

    #[test]
    fn a_message_is_as_old_as_the_older_of_its_own_time_and_its_envelopes() {
        let hour_ago = NOW - time::Duration::hours(1);
        let sent = |more: serde_json::Value| {
            let mut body = json!({"detail-type": "AMI Share Request", "detail": {}});
            for (name, value) in more.as_object().unwrap() {
                body[name] = value.clone();
            }
            one(json!({"body": body.to_string()})).envelope.sent
        };
        assert_eq!(sent(json!({"time": "2026-11-22T11:00:00Z"})), SentAt::At(hour_ago));
        assert_eq!(sent(json!({"time": "2026-11-22T13:00:00Z"})), SentAt::At(NOW));
        assert_eq!(sent(json!({})), SentAt::At(NOW));
        for odd in [json!(null), json!(""), json!("yesterday"), json!(1795348800), json!({})] {
            assert_eq!(sent(json!({"time": odd})), SentAt::Unknown, "{odd}");
        }
        // Without an event a `time` is an unknown field and nothing else.
        let plain = one(json!({"body": r#"{"time": "1999-01-01T00:00:00Z"}"#}));
        assert_eq!(plain.envelope.sent, SentAt::At(NOW));
        let undated = one(json!({"attributes": {}, "body": r#"{"detail-type": "x", "time": "2026-11-22T12:00:00Z"}"#}));
        assert_eq!(undated.envelope.sent, SentAt::Unknown);
    }

    #[test]
    fn an_sns_envelope_is_refused_with_the_way_out() {
        let event = json!({"Type": "Notification", "MessageId": "x", "TopicArn": "arn:aws:sns:eu-west-1:999988887777:t", "Message": LIST});
        let words = refusal(&one(json!({"body": event.to_string()})));
        assert!(words.contains("raw message delivery"), "{words}");
    }

    #[test]
    fn an_envelope_whose_detail_cannot_be_read_keeps_its_id() {
        let body = r#"{"id": "e-1", "detail-type": "AMI Share Request", "detail": {"reason": "\ud800"}}"#;
        let message = one(json!({"body": body}));
        assert!(refusal(&message).contains("not JSON"));
        assert_eq!(message.envelope.request_id, "e-1");
        assert_eq!(message.envelope.requester.unwrap().as_str(), format!("sqs:{QUEUE}"));
    }

    #[test]
    fn a_replayed_envelope_is_a_replay_in_a_queue_too() {
        let event = json!({"detail-type": "AMI Share Request", "replay-name": "again", "detail": {"action": "list", "imageIds": ["ami-1a2b3c4d"]}});
        assert_eq!(one(json!({"body": event.to_string()})).envelope.sent, SentAt::Again);
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
            assert_eq!(message.envelope.requester, None, "{arn}");
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
        let messages = batch(&records);
        assert_eq!(messages.len(), records.len());
        for message in messages.iter().skip(1).take(broken.len()) {
            assert!(refusal(message).starts_with("MalformedRequest"), "{message:?}");
        }
        for (message, id) in [(messages.first(), "first"), (messages.last(), "last")] {
            let message = message.unwrap();
            assert_eq!((message.id.as_deref(), message.envelope.asked.is_ok()), (Some(id), true));
        }
    }

    #[test]
    fn a_queue_keeps_an_order_where_its_name_says_so() {
        let is_fifo =
            |records: serde_json::Value| open(&Json::parse(&records.to_string()).unwrap(), &INVOCATION).is_fifo;
        assert!(!is_fifo(json!([record(json!({}))])));
        assert!(is_fifo(json!([null, record(json!({"eventSourceARN": format!("{QUEUE}.fifo")}))])));
        assert!(is_batch(&Json::parse(&json!([null, record(json!({}))]).to_string()).unwrap()));
        let message = record(json!({})).to_string();
        let too_many = format!("[{}{message}]", "0,".repeat(MAX_RECORDS));
        for (other, words) in [
            ("[]", "is empty"),
            ("{}", "an object, not an array"),
            ("null", "null, not an array"),
            (r#"[{"eventSource": "aws:s3"}]"#, "of `aws:s3`"),
            (r#"[{"EventSource": "aws:sns"}]"#, "of `aws:sns`"),
            ("[7]", "of no service"),
            (&too_many, "more than 10000"),
        ] {
            let records = Json::parse(other).unwrap();
            assert!(!is_batch(&records), "{words}");
            let why = super::other(&records).faults.named.remove(0).message;
            assert!(why.contains(words), "{why} should say {words:?}");
        }
        let cut = Json::Array(vec![Json::parse(&message).unwrap(), Json::Unread(1)]);
        assert!(!is_batch(&cut), "the messages that were not read would be lost");
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
            (Status::Completed, false, false),
            (Status::Planned, false, false),
            (Status::Accepted, false, false),
            (Status::Refused, false, false),
            (Status::Refused, true, true),
            (Status::Incomplete, true, true),
            (Status::Incomplete, false, false),
            (Status::Failed, true, true),
            (Status::Failed, false, false),
        ] {
            let outcome = outcome(result, retryable);
            assert_eq!(must_come_again(&outcome), expect, "{result:?} {retryable}");
            let is_failure = matches!(result, Status::Incomplete | Status::Failed);
            assert_eq!(is_lost(&outcome), is_failure && !expect, "{result:?} {retryable}");
        }
        assert_eq!(reply(&["a".to_owned()]), json!({"batchItemFailures": [{"itemIdentifier": "a"}]}));
        assert_eq!(reply(&[]), json!({"batchItemFailures": []}));
    }
}
