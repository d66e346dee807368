//! What a request costs in memory: a wrong one, with the length of its answer, and a share, in allocations.
//!
//! A binary of its own, because the counters are those of the whole process.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a test fails by panicking, and nobody builds on its helpers"
)]

mod world;

use std::{
    alloc::System,
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use key_policy::{KeyAccess, Policy};
use serde_json::{Value, json};
use sharing::allowlist::Allowlist;
use sharing::{
    domain::KeyArn,
    outcome::{ImageRow, KeyRow, Outcome, Status},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use triggers::{Envelope, Event, Incoming, Invocation, Trigger, open, reply};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: time::OffsetDateTime = time::macros::datetime!(2026-11-22 12:00 UTC);
const MEGABYTE: usize = 1 << 20;
/// All that is allocated on the way to the answer to a megabyte, freed or not; what is there at one time is less. A list
/// that grows is counted at each of its lengths.
const MOST: usize = 48 * MEGABYTE;
const LONGEST_ANSWER: usize = 100_000;

/// How much an event cost in memory, and how long the answer is: of a batch, the most that one message cost beside the
/// event itself, and the longest.
fn answer(payload: &str, messages: usize) -> (usize, usize) {
    let region = Region::new(ALLOCATOR);
    let event: Event = serde_json::from_str(payload).unwrap();
    let of = |envelope: Envelope| {
        let outcome = Outcome { requester: envelope.requester, ..Outcome::new(&envelope.request_id, Status::Refused) };
        let Err(turned_away) = envelope.asked else { panic!("a request of this size is refused") };
        let reply = reply(envelope.trigger, turned_away.into_outcome(outcome)).unwrap();
        serde_json::to_string(&reply).unwrap().len()
    };
    match open(&event, &Invocation { request_id: "lambda-id", now: NOW, groups_claim: "groups" }) {
        Incoming::One(envelope) => {
            assert_eq!(messages, 1);
            let length = of(*envelope);
            (region.change().bytes_allocated, length)
        }
        Incoming::Batch(batch) => {
            assert_eq!(messages, batch.len());
            let (mut longest, mut most, before) = (0, 0, region.change().bytes_allocated);
            let mut messages = batch.messages();
            loop {
                let region = Region::new(ALLOCATOR);
                let Some(message) = messages.next() else { return (before + most, longest) };
                longest = longest.max(of(message.envelope));
                most = most.max(region.change().bytes_allocated);
            }
        }
        Incoming::Image(_) | Incoming::Record(_) | Incoming::Page(_) => panic!("nobody asked for that"),
    }
}

#[track_caller]
fn check(name: &str, payload: &str, messages: usize) {
    let (allocated, longest) = answer(payload, messages);
    println!("{name}: {} bytes sent, {allocated} allocated, answer of {longest}", payload.len());
    assert!(longest < LONGEST_ANSWER, "{name}: an answer of {longest} bytes");
    assert!(allocated < MOST, "{name}: {allocated} bytes allocated");
}

/// The text between two others, as often as it fits.
fn filled(open: &str, repeated: &str, close: &str, length: usize) -> String {
    let times = (length - open.len() - close.len()) / repeated.len();
    format!("{open}{}{close}", repeated.repeat(times))
}

fn http(method: &str, path: &str, query: &str, body: &str, is_base64: bool) -> Value {
    json!({"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "body": body,
        "isBase64Encoded": is_base64, "requestContext": {"stage": "$default", "requestId": "r",
        "http": {"method": method, "path": path},
        "authorizer": {"iam": {"userArn": "arn:aws:sts::999988887777:assumed-role/portal/x"}}}})
}

fn message(body: &str) -> Value {
    json!({"messageId": "m", "eventSource": "aws:sqs", "body": body, "attributes": {"SentTimestamp": "1795348800000"},
        "eventSourceARN": "arn:aws:sqs:eu-west-1:999988887777:requests"})
}

/// The tests run one after the other, for the counters are those of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// Judging a key again for every account, and building rows, answers and lines of the log more than once, shows here first.
#[test]
fn a_share_is_decided_and_answered_with_few_allocations() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (images, accounts, allowlist, policy, decision, answer) in
        [(1, 1, 60, 120, 780, 850), (1, 100, 300, 1_200, 1_300, 1_900), (50, 20, 115, 320, 4_500, 9_500)]
    {
        let world = world::World::new(images, accounts).unwrap();
        let name = format!("{images} x {accounts}");
        check_allocations(&name, "reading the allowlist", allowlist, || {
            Allowlist::parse(&world.allowlist_text).unwrap();
        });
        check_allocations(&name, "reading a key policy", policy, || {
            Policy::parse(&world.policy_text).unwrap();
        });
        world.decided(|decide| check_allocations(&name, "deciding and planning", decision, decide)).unwrap();
        check_allocations(&name, "deciding and answering", answer, || {
            assert!(world.answer().unwrap().contains("\"verdict\":\"allowed\""));
        });
    }
}

#[track_caller]
fn check_allocations(name: &str, what: &str, most: usize, work: impl Fn()) {
    let once = || {
        let region = Region::new(ALLOCATOR);
        work();
        region.change()
    };
    // The first call also fills what the process keeps, and the test runner may allocate meanwhile.
    let counts = [once(), once(), once()].map(|stats| (stats.allocations + stats.reallocations, stats.bytes_allocated));
    let (allocations, bytes) = counts.into_iter().min().unwrap();
    println!("{name}, {what}: {allocations} allocations, {bytes} bytes");
    assert!(allocations <= most, "{name}, {what}: {allocations} allocations");
}

#[test]
fn an_outcome_that_is_far_too_long_is_never_written_whole() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let access = Arc::new(KeyAccess::unknown("note ".repeat(100)));
    let key_arn: KeyArn =
        "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse().unwrap();
    let row = |number: usize| KeyRow {
        key_arn: key_arn.clone(),
        target: format!("{number:012}").parse().unwrap(),
        grant: None,
        access: Arc::clone(&access),
        roles: Vec::new(),
    };
    let image = ImageRow {
        image_id: "ami-0123456789abcdef0".parse().ok(),
        copy_of: None,
        copy: None,
        name: Some("golden".to_owned()),
        region: "eu-west-1".to_owned(),
        tags: BTreeMap::new(),
        shared_tags: Vec::new(),
        watermarks: Vec::new(),
        scan: None,
        key_arns: vec![key_arn.clone()],
        changed: false,
        rule: None,
        steps: Vec::new(),
        targets: Vec::new(),
        keys: (0..20_000).map(row).collect(),
        permissions: None,
        catalogue: None,
        usage: None,
    };
    let outcome = Outcome { images: vec![image], ..Outcome::new("id", Status::Completed) };
    assert!(outcome.to_text().len() > 10 * MEGABYTE);
    for trigger in [Trigger::Http { allow: None }, Trigger::Direct, Trigger::EventBridge] {
        let outcome = outcome.clone();
        let region = Region::new(ALLOCATOR);
        let answer = serde_json::to_string(&reply(trigger, outcome).unwrap()).unwrap();
        let allocated = region.change().bytes_allocated;
        println!("an answer of {} bytes: {allocated} allocated", answer.len());
        assert!(answer.len() < MEGABYTE && allocated < 10 * MEGABYTE, "{allocated} bytes allocated");
    }
}

#[test]
fn a_wrong_request_costs_little_whatever_is_in_it() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    documents();
    queries_and_batches();
}

fn documents() {
    let request = r#"{"action":"list","imageIds":["#;
    for (name, document) in [
        ("zeros for images", filled(request, "0,", "0]}", MEGABYTE)),
        ("empty texts", filled(request, "\"\",", "\"\"]}", MEGABYTE)),
        ("lists in a list", filled(request, "[0],", "0]}", MEGABYTE)),
        ("maps in a list", filled(request, "{\"\":0},", "0]}", MEGABYTE)),
        ("empty maps", filled(request, "{},", "0]}", MEGABYTE)),
        ("nothing but brackets", "[".repeat(MEGABYTE)),
        ("deep maps", "{\"a\":".repeat(MEGABYTE / 5)),
        ("repeated fields", filled("{", "\"action\":\"list\",", "\"action\":0}", MEGABYTE)),
        ("the shortest fields", filled("{", "\"\":0,", "\"action\":0}", MEGABYTE)),
        ("a long name", filled("{\"", "x", "\":0}", MEGABYTE)),
        ("a long name that is escaped", filled("{\"", "\u{e0041}", "\":0}", MEGABYTE)),
        ("a number of many digits", filled(request, "1", "]}", MEGABYTE)),
        ("a long image", filled(&format!("{request}\""), "\u{202e}", "\"]}", MEGABYTE)),
        ("a long action", filled("{\"action\":\"", "x", "\"}", MEGABYTE)),
        ("a long reason", filled("{\"action\":\"audit\",\"reason\":\"", "x", "\"}", MEGABYTE)),
        ("a long token", filled("{\"action\":\"audit\",\"nextToken\":\"", "x.", "\"}", MEGABYTE)),
    ] {
        check(name, &document, 1);
    }
    let fields = filled("{", "\"\":0,", "\"action\":0}", MEGABYTE);
    check("the shortest fields, in a body", &http("POST", "/requests", "", &fields, false).to_string(), 1);
    check("the shortest fields, in a queue", &json!({"Records": [message(&fields)]}).to_string(), 1);
}

fn queries_and_batches() {
    let check_path = "/images/ami-0123456789abcdef0/shares/111122223333";
    for (name, query) in [
        ("the shortest parameters", filled("", "a&", "", MEGABYTE)),
        ("roles in one parameter", filled("serviceLinkedRoles=", ",", "", MEGABYTE)),
        ("roles in many parameters", filled("", "serviceLinkedRoles=spot&", "", MEGABYTE)),
        ("repeated parameters", filled("", "access=copy&", "", MEGABYTE)),
        ("a long value", filled("access=", "%41", "", MEGABYTE)),
        ("a long name", filled("", "%F3%A0%81%81", "", MEGABYTE)),
    ] {
        check(name, &http("GET", check_path, &query, "", false).to_string(), 1);
    }
    check("a long path", &http("GET", &filled("", "/x", "", MEGABYTE), "", "", false).to_string(), 1);
    check("a long body in base64", &http("POST", "/requests", "", &"WzAs".repeat(MEGABYTE / 4), true).to_string(), 1);
    let zeros = filled("{\"Records\":[", "0,", "0]}", MEGABYTE);
    check("records that are none", &zeros, 1);
    let record = message("0").to_string();
    // SQS sends 10,000 at most, which needs more than a megabyte.
    let ten_thousand = "0,".repeat(10_000);
    check("too many records", &format!("{{\"Records\":[{ten_thousand}{record}]}}"), 1);
    let wrong = message(&filled(r#"{"action":"list","imageIds":["#, "0,", "0]}", 300)).to_string();
    let many = MEGABYTE / (wrong.len() + 1);
    let records = vec![wrong; many].join(",");
    check("many wrong messages", &format!("{{\"Records\":[{records}]}}"), many);
}
