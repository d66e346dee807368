//! Rules that go by watermarks, scans and age, with the real function: what EC2 says is read from the local AWS, also of
//! sources in other Regions.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::support::{
    event,
    local_aws::LocalAws,
    world::{World, ask, codes},
};

const ONE: &str = "111122223333";
const APPROVED: &str = "999988887777:approved";
const THERE: &str = "eu-central-1";
const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: marked
    requesters: ["lambda:invoke"]
    actions: [share, revoke, list, check]
    images: {names: ["marked-*"], tags: {Tier: [gold]}, watermarks: ["999988887777:approved"]}
    targets: ["111122223333"]
  - name: scanned
    requesters: ["lambda:invoke"]
    actions: [share, revoke, list, check]
    images: {names: ["scanned-*"], maxSeverity: medium, scannedWithin: 30d, maxAge: 180d}
    targets: ["111122223333"]
  - name: plain
    requesters: ["lambda:invoke"]
    actions: [share, revoke, list, check]
    images: {names: ["plain-*"]}
    targets: ["111122223333"]
  - name: by-itself
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["nightly-*"], watermarks: ["999988887777:approved"], maxAge: 180d}
    targets: ["111122223333"]
    onAvailable: true
  - name: auditor
    requesters: ["lambda:invoke"]
    actions: [audit]
    images: all
"#;

fn ago(days: i64) -> String {
    let at = OffsetDateTime::from(std::time::SystemTime::now()) - Duration::days(days);
    at.replace_nanosecond(0).unwrap().format(&Rfc3339).unwrap()
}

fn world() -> World {
    World::start(ALLOWLIST, &[])
}

/// An image of the Region, with what is different about it.
fn image(aws: &LocalAws, name: &str, different: Value) -> String {
    let mut image =
        json!({"name": name, "tags": {"Tier": "gold"}, "mappings": [{"device": "/dev/xvda", "snapshot": {}}]});
    image.as_object_mut().unwrap().extend(different.as_object().unwrap().clone());
    aws.image(image)
}

/// A copy of it in the function's Region.
fn copy(aws: &LocalAws, name: &str, source: &str, mut different: Value) -> String {
    different["sourceImageId"] = json!(source);
    different["sourceImageRegion"] = json!(THERE);
    image(aws, name, different)
}

fn share(image: &str) -> Value {
    ask("share", image, json!({"accountIds": [ONE]}))
}

fn describes(world: &World) -> usize {
    world.aws.calls().iter().filter(|call| *call == "ec2:DescribeImages").count()
}

/// The refusal of a share, which one call or, with the source of a copy, two calls lead to; and a share that is there
/// already is listed and revoked all the same.
#[track_caller]
fn refused(world: &World, image: &str, calls: usize, words: &str) {
    let outcome = world.refused(&share(image));
    assert_eq!(codes(&outcome), ["ImageNotAllowed"], "{outcome:#}");
    assert!(outcome["refusals"][0]["message"].as_str().unwrap().contains(words), "{outcome:#}");
    assert_eq!((&outcome["images"], &outcome["retryable"]), (&json!([]), &json!(false)));
    assert_eq!(world.aws.calls(), vec!["ec2:DescribeImages"; calls]);
    assert_eq!(codes(&world.refused(&ask("check", image, json!({"accountIds": [ONE]})))), ["ImageNotAllowed"]);
    let listed = world.completed(&ask("list", image, json!({})));
    assert_eq!(describes(world), 1, "nothing but names and tags is asked about");
    assert_eq!(listed["images"][0]["targets"][0]["state"], "shared", "{listed:#}");
    let revoked = world.completed(&ask("revoke", image, json!({"accountIds": [ONE]})));
    assert_eq!(revoked["images"][0]["targets"][0]["state"], "revoked", "{revoked:#}");
    assert_eq!(world.launch(image), [""; 0]);
}

#[test]
fn the_right_tags_do_not_replace_the_rules_watermark() {
    let world = world();
    let shared = |mut different: Value| {
        different["launchPermissions"] = json!([ONE]);
        different
    };
    let lacks = "the image lacks the watermark `999988887777:approved`";
    refused(&world, &image(&world.aws, "marked-none", shared(json!({}))), 1, lacks);
    let others = shared(json!({"watermarks": ["111122223333:approved"]}));
    refused(&world, &image(&world.aws, "marked-by-another", others), 1, lacks);
    let source = image(&world.aws, "source", json!({"region": THERE, "watermarks": [APPROVED]}));
    let inherited = json!([{"key": APPROVED, "sourceImageId": source, "sourceImageRegion": THERE}]);
    let made = shared(json!({"watermarks": inherited, "sourceInstanceId": "i-0123456789abcdef0"}));
    refused(&world, &copy(&world.aws, "marked-made-of-an-instance", &source, made), 1, "without being a direct copy");

    let marked = image(&world.aws, "marked-itself", json!({"watermarks": [APPROVED, "111122223333:other"]}));
    let outcome = world.completed(&share(&marked));
    assert_eq!(outcome["images"][0]["watermarks"], json!(["111122223333:other", APPROVED]));
    let copied = copy(&world.aws, "marked-copy", &source, json!({"watermarks": inherited}));
    world.completed(&share(&copied));
    assert_eq!(describes(&world), 1, "a watermark needs no other image");
    assert_eq!(world.launch(&copied), [ONE]);
}

#[test]
fn an_image_is_refused_with_its_severity_and_a_copy_with_that_of_its_source() {
    let world = world();
    let scanned = |severity: Value, days: i64| json!({"scan": {"severity": severity, "at": ago(days)}, "launchPermissions": [ONE]});
    let critical = image(&world.aws, "scanned-critical", scanned(json!("critical"), 1));
    refused(&world, &critical, 1, "the highest severity among the image's findings is `critical`, and `medium` is");
    refused(&world, &image(&world.aws, "scanned-long-ago", scanned(json!("low"), 31)), 1, "was scanned last at");
    let unscanned = image(&world.aws, "scanned-never", json!({"launchPermissions": [ONE]}));
    refused(&world, &unscanned, 1, "has not scanned");
    let mut old = scanned(json!("low"), 1);
    old["creationDate"] = json!(ago(181));
    refused(&world, &image(&world.aws, "scanned-old", old.clone()), 1, "was created at");

    let there = |mut different: Value| {
        different["region"] = json!(THERE);
        image(&world.aws, "source", different)
    };
    let clean = || scanned(Value::Null, 0);
    let of_old = copy(&world.aws, "scanned-copy-of-old", &there(old), clean());
    refused(&world, &of_old, 2, "was created at");
    let of_critical = copy(&world.aws, "scanned-copy-of-critical", &there(scanned(json!("critical"), 1)), clean());
    refused(&world, &of_critical, 2, "`critical`");
    let of_gone = copy(&world.aws, "scanned-copy-of-gone", "ami-0123456789abcdef0", clean());
    refused(&world, &of_gone, 2, "ami-0123456789abcdef0 in eu-central-1 does not exist any more");

    let fine =
        copy(&world.aws, "scanned-copy", &there(scanned(json!("medium"), 29)), json!({"launchPermissions": [ONE]}));
    let outcome = world.completed(&share(&fine));
    assert_eq!((describes(&world), outcome["images"][0].get("scan")), (2, None), "{outcome:#}");
    let outcome = world.completed(&share(&image(&world.aws, "scanned-fine", clean())));
    assert_eq!(outcome["images"][0]["scan"]["severity"], Value::Null);
    assert_eq!(describes(&world), 1);
    // Rules without such criteria read nothing of a source.
    let plain = copy(&world.aws, "plain-copy", "ami-0123456789abcdef0", json!({}));
    world.completed(&share(&plain));
    assert_eq!(describes(&world), 1);
}

#[test]
fn a_source_that_cannot_be_read_is_refused_and_one_that_can_later_is_tried_again() {
    let world = world();
    let source = image(&world.aws, "source", json!({"region": THERE, "scan": {"severity": "low", "at": ago(1)}}));
    let copied = copy(&world.aws, "scanned-copy", &source, json!({}));
    let fault = |code: &str, status: u16| {
        let fault =
            json!({"call": "ec2:DescribeImages", "code": code, "status": status, "times": 100, "holding": source});
        world.aws.seed(&json!({"faults": [fault]}));
    };
    fault("UnauthorizedOperation", 403);
    let outcome = world.refused(&share(&copied));
    assert!(
        outcome["refusals"][0]["message"].as_str().unwrap().contains("in eu-central-1 could not be read"),
        "{outcome:#}"
    );
    fault("InternalError", 500);
    world.aws.forget_calls();
    let error = world.function.invoke(&share(&copied)).unwrap_err();
    assert_eq!(error["errorType"], "Unavailable", "{error:#}");
    assert_eq!(world.aws.writes(), [""; 0]);
    world.aws.no_faults();
    world.completed(&share(&copied));
}

#[test]
fn an_image_that_becomes_available_is_shared_where_it_has_the_watermark() {
    let world = world();
    let available = |image: &str| world.completed(&event("eventbridge-image-available", image));
    let without = image(&world.aws, "nightly-1", json!({"watermarks": ["111122223333:approved"]}));
    assert_eq!(available(&without)["images"], json!([]), "no image of the rule");
    assert_eq!(world.aws.calls(), ["ec2:DescribeImages"]);
    let source =
        image(&world.aws, "source", json!({"region": THERE, "watermarks": [APPROVED], "creationDate": ago(1)}));
    let inherited = json!([{"key": APPROVED, "sourceImageId": source, "sourceImageRegion": THERE}]);
    let copied = copy(&world.aws, "nightly-copy", &source, json!({"watermarks": inherited}));
    let outcome = available(&copied);
    assert_eq!(outcome["images"][0]["targets"][0]["state"], "shared", "{outcome:#}");
    assert_eq!(world.launch(&copied), [ONE]);
    assert_eq!(world.launch(&without), [""; 0]);
}

#[test]
fn an_audit_finds_what_is_shared_and_has_become_critical() {
    let world = world();
    let critical = json!({"scan": {"severity": "critical", "at": ago(1)}, "launchPermissions": [ONE]});
    let image_id = image(&world.aws, "scanned-critical", critical.clone());
    let mut source = critical;
    source["region"] = json!(THERE);
    source["launchPermissions"] = json!([]);
    let source = image(&world.aws, "source", source);
    let copied = copy(&world.aws, "scanned-copy", &source, json!({"launchPermissions": [ONE]}));
    image(&world.aws, "scanned-fine", json!({"scan": {"at": ago(1)}, "launchPermissions": [ONE]}));
    let outcome = world.completed(&json!({"action": "audit"}));
    let mut found: Vec<_> =
        outcome["findings"].as_array().unwrap().iter().map(|finding| finding["imageId"].as_str().unwrap()).collect();
    found.sort_unstable();
    let mut expect = [image_id.as_str(), copied.as_str()];
    expect.sort_unstable();
    assert_eq!(found, expect, "{outcome:#}");
    assert!(outcome["findings"][0]["message"].as_str().unwrap().contains("`critical`"), "{outcome:#}");
}
