//! Any bytes as an event, and any text as what a trigger carries: nothing panics, nobody becomes a requester by what a
//! body says, no message could forge a log line, and every answer stays small.
//!
//! The first byte says what the rest is, so that each input is one event and a mutation changes one thing. An event of
//! `events/` begins with `{` and is taken as it is.

#![no_main]

use ami_share_fuzz::checks::{self, Vouched};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const SESSION: &str = "arn:aws:sts::999988887777:assumed-role/portal/session";
const ROLE: &str = "arn:aws:iam::999988887777:role/portal";
const QUEUE: &str = "arn:aws:sqs:eu-west-1:999988887777:requests";
/// So long is what a text is repeated to.
const MAX_REPEATED: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    if *kind == b'{' {
        return arrive(data, None);
    }
    let Ok(text) = std::str::from_utf8(rest) else { return arrive(rest, None) };
    let rest = |method: &str, resource: &str, identity: Option<&str>| {
        json!({"httpMethod": method, "resource": resource, "path": text, "body": text,
            "pathParameters": {"imageId": text, "target": text, "proxy": text},
            "multiValueQueryStringParameters": {"dryRun": [text]}, "headers": {"x-user": text},
            "requestContext": {"requestId": text, "identity": {"userArn": identity}}})
    };
    let http_api = |method: &str, path: &str, query: &str, body: &str, is_base64: bool| {
        json!({"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "body": body,
            "isBase64Encoded": is_base64, "requestContext": {"stage": "$default",
            "http": {"method": method, "path": path}, "authorizer": {"iam": {"userArn": SESSION}}}})
    };
    let message = |body: &str| {
        json!({"Records": [{"messageId": "m", "eventSource": "aws:sqs", "eventSourceARN": QUEUE, "body": body,
            "attributes": {"SentTimestamp": "1795348800000"}}]})
    };
    let repeated = |open: &str, close: &str| {
        let times = MAX_REPEATED.checked_div(text.len()).unwrap_or_default();
        format!("{open}{}{close}", text.repeat(times))
    };
    let queue = format!("sqs:{QUEUE}");
    let share = "/images/ami-0123456789abcdef0/shares";
    match kind % 24 {
        0 => through(&rest("POST", "/requests", Some(SESSION)), Some(ROLE)),
        1 => through(&rest("POST", "/requests", None), None),
        2 => through(&rest("GET", "/images/{imageId}/shares", Some(SESSION)), Some(ROLE)),
        3 => through(&rest("POST", "/images/{imageId}/shares", Some(SESSION)), Some(ROLE)),
        4 => through(&rest("GET", "/images/{imageId}/shares/{target}", Some(SESSION)), Some(ROLE)),
        5 => through(&rest("DELETE", "/{proxy+}", Some(SESSION)), Some(ROLE)),
        6 => through(&rest("GET", "/requests", Some(text)), None),
        7 => through(&http_api("POST", text, text, text, false), Some(ROLE)),
        8 => through(&http_api("POST", "/requests", "", text, true), Some(ROLE)),
        9 => through(&http_api("GET", &format!("{share}/111122223333"), text, "", false), Some(ROLE)),
        10 => through(&http_api("POST", share, text, "{}", false), Some(ROLE)),
        11..=14 => through(&http_api("POST", "/requests", "", text, false), Some(ROLE)),
        15..=18 => through(&message(text), Some(&queue)),
        19 | 20 => {
            let event = format!(
                r#"{{"detail-type":"AMI Share Request","source":"com.example","account":"999988887777","detail":{text}}}"#
            );
            // A detail is one value, though not always one that can be read; other text could be more fields of the envelope.
            let is_value = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            arrive(event.as_bytes(), is_value.then_some("events:999988887777:com.example"));
        }
        21 => arrive(
            json!({"detail-type": "AMI Share Request", "source": text, "account": "999988887777", "id": text,
                "time": text, "detail": {}})
            .to_string()
            .as_bytes(),
            None,
        ),
        // What repeats is the cheapest to send; one input of ninety, for each costs as much as many others.
        22 if kind / 24 == 0 => through(&message(&repeated(r#"{"action":"list","imageIds":["#, "0]}")), Some(&queue)),
        22 if kind / 24 == 1 => through(&message(&repeated("{", r#""action":"list"}"#)), Some(&queue)),
        22 if kind / 24 == 2 => {
            let query = repeated("", "");
            through(&http_api("GET", &format!("{share}/111122223333"), &query, "", false), Some(ROLE));
        }
        22 | 23.. => arrive(text.as_bytes(), None),
    }
});

fn through(event: &Value, requester: Option<&str>) {
    arrive(event.to_string().as_bytes(), requester);
}

fn arrive(bytes: &[u8], requester: Option<&str>) {
    checks::arrive(bytes, requester.map_or(Vouched::Unknown, Vouched::For));
}
