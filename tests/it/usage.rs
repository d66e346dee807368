//! Which accounts use an image, with the real function: reports are started, awaited and shown.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::support::{
    event,
    function::Function,
    world::{World, ask, codes},
};

const ONE: &str = "111122223333";
const TWO: &str = "222233334444";
/// Accounts that no rule of the requesters names.
const OTHERS: [&str; 2] = ["333344445555", "777788889999"];
const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: viewer
    requesters: ["lambda:invoke", "arn:aws:iam::999988887777:role/portal"]
    actions: [usage]
    images: {names: ["golden-*"]}
    targets: ["111122223333"]
  - name: sharer
    requesters: ["lambda:invoke"]
    actions: [share, revoke, list]
    images: {names: ["golden-*", "silver-*"]}
    targets: ["222233334444"]
  - name: somebody-else
    requesters: ["arn:aws:iam::999988887777:role/other"]
    actions: [usage]
    images: all
    targets: ["333344445555"]
"#;
const READ: [&str; 3] = ["ec2:DescribeImages", "ec2:DescribeImageUsageReports", "ec2:DescribeImageUsageReportEntries"];
const CREATE: &str = "ec2:CreateImageUsageReport";

fn hours_ago(hours: i64) -> OffsetDateTime {
    (OffsetDateTime::from(std::time::SystemTime::now()) - Duration::hours(hours)).replace_nanosecond(0).unwrap()
}

fn text(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap()
}

fn image(world: &World, name: &str) -> String {
    let used = |account: &str, resource_type: &str, count: u64| json!({"account": account, "resourceType": resource_type, "count": count});
    world.aws.image(json!({
        "name": name,
        "launchPermissions": [ONE, TWO],
        "mappings": [{"device": "/dev/xvda", "snapshot": {}}],
        "usage": [
            used(ONE, "ec2:Instance", 3),
            used(TWO, "ec2:LaunchTemplate", 2),
            used(OTHERS[0], "ec2:Instance", 5),
            used(OTHERS[1], "ec2:Instance", 7),
            used(OTHERS[1], "imagebuilder:ImageRecipe", 1),
        ],
    }))
}

/// A report on an image that is there already; `more` says what is different about it.
fn report(world: &World, image: &str, more: Value) {
    let mut report = json!({"imageId": image});
    report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.aws.seed(&json!({"usageReports": [report]}));
}

fn usage(image: &str) -> Value {
    ask("usage", image, json!({}))
}

/// The outcome of a request that was accepted, which made these calls.
#[track_caller]
fn accepted(world: &World, request: &Value, calls: &[&str]) -> Value {
    let outcome = world.outcome(request);
    assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("accepted"), &json!(false)), "{outcome:#}");
    assert_eq!(world.aws.calls(), calls);
    outcome
}

#[test]
fn a_report_is_started_once_awaited_and_then_shown() {
    let world = World::start(ALLOWLIST, &[]);
    let image = image(&world, "golden-1");
    let outcome = accepted(&world, &usage(&image), &[READ[0], READ[1], CREATE]);
    let row = &outcome["images"][0];
    assert_eq!(row["steps"], json!([{"call": CREATE, "resource": image, "state": "done"}]));
    assert_eq!((row.get("usage"), &row["rule"], &row["changed"]), (None, &json!("viewer"), &json!(true)));
    for _ in 0..2 {
        let outcome = accepted(&world, &usage(&image), &READ[..2]);
        assert_eq!((&outcome["images"][0]["steps"], outcome["images"][0].get("usage")), (&json!([]), None));
    }
    world.aws.end_usage_report(&image, "available", "");
    let outcome = world.completed(&usage(&image));
    assert_eq!(world.aws.calls(), READ);
    let row = |account: Option<&str>, resource_type: &str, count: u64| json!({"accountId": account, "resourceType": resource_type, "count": count});
    let shown = &outcome["images"][0]["usage"];
    let expect = [
        row(Some(ONE), "ec2:Instance", 3),
        row(Some(TWO), "ec2:LaunchTemplate", 2),
        row(None, "ec2:Instance", 12),
        row(None, "imagebuilder:ImageRecipe", 1),
    ];
    assert_eq!(shown["entries"], json!(expect), "{shown:#}");
    assert_eq!(shown["missing"].as_array().map(Vec::len), Some(2), "{shown:#}");
    let as_of = OffsetDateTime::parse(shown["asOf"].as_str().unwrap(), &Rfc3339).unwrap();
    assert!(as_of > hours_ago(1), "{shown:#}");
    assert_eq!((&outcome["images"][0]["targets"], outcome["images"][0].get("permissions")), (&json!([]), None));
}

#[test]
fn an_old_report_is_shown_while_another_is_made() {
    let world = World::start(ALLOWLIST, &[]);
    let image = image(&world, "golden-1");
    let then = text(hours_ago(25));
    report(&world, &image, json!({"createdAt": then}));
    for calls in [&[READ[0], READ[1], READ[2], CREATE][..], &READ] {
        let outcome = accepted(&world, &usage(&image), calls);
        let shown = &outcome["images"][0]["usage"];
        assert_eq!((&shown["asOf"], &shown["entries"][0]["count"]), (&json!(then), &json!(3)));
    }
    world.aws.end_usage_report(&image, "error", "Internal error");
    let outcome = accepted(&world, &usage(&image), &[READ[0], READ[1], READ[2], CREATE]);
    assert!(outcome["warnings"][0].as_str().unwrap().contains("Internal error"), "{outcome:#}");
    world.aws.end_usage_report(&image, "available", "");
    assert_ne!(world.completed(&usage(&image))["images"][0]["usage"]["asOf"], then);
}

#[test]
fn a_report_that_does_not_tell_everything_is_awaited_and_not_used() {
    let world = World::start(ALLOWLIST, &[]);
    for partial in [json!({"accountIds": [ONE]}), json!({"resourceTypes": ["ec2:Instance"]})] {
        let image = image(&world, "golden-1");
        let mut pending = partial.clone();
        pending["state"] = json!("pending");
        report(&world, &image, pending);
        let outcome = accepted(&world, &usage(&image), &READ[..2]);
        assert!(outcome["warnings"][0].as_str().unwrap().contains("that covers only some"), "{outcome:#}");
        world.aws.end_usage_report(&image, "available", "");
        let outcome = accepted(&world, &usage(&image), &[READ[0], READ[1], CREATE]);
        assert_eq!(outcome["images"][0].get("usage"), None);
    }
}

#[test]
fn a_requester_gets_counts_only_as_far_as_its_rules_go() {
    let world = World::start(ALLOWLIST, &[]);
    let silver = image(&world, "silver-1");
    report(&world, &silver, json!({}));
    let outcome = world.refused(&usage(&silver));
    assert_eq!(codes(&outcome), ["ActionNotAllowed"], "{outcome:#}");
    assert_eq!((&outcome["images"], world.aws.calls()), (&json!([]), vec![READ[0].to_owned()]));
    let dry = world.outcome(&ask("revoke", &silver, json!({"accountIds": [TWO], "dryRun": true})));
    let shown = |entry: &Value| (entry["accountId"].clone(), entry["count"].clone());
    let entries: Vec<_> = dry["images"][0]["usage"]["entries"].as_array().unwrap().iter().map(shown).collect();
    assert_eq!(entries, [(json!(TWO), json!(2)), (Value::Null, json!(15)), (Value::Null, json!(1))], "{dry:#}");

    let nobody = World::start(&ALLOWLIST.replace("lambda:invoke", "arn:aws:iam::999988887777:role/else"), &[]);
    let outcome = nobody.refused(&usage(&silver));
    assert_eq!(codes(&outcome), ["RequesterNotAllowed"]);
    assert_eq!(nobody.aws.calls(), [""; 0]);
}

#[test]
fn a_revoke_shows_the_newest_report_in_its_dry_run_and_itself_makes_not_one_call_more() {
    let world = World::start(ALLOWLIST, &[]);
    let revoke = |image: &str, dry_run: bool| ask("revoke", image, json!({"accountIds": [TWO], "dryRun": dry_run}));
    let (used, unused) = (image(&world, "golden-1"), image(&world, "silver-1"));
    let newest = text(hours_ago(200));
    report(&world, &used, json!({"createdAt": newest}));
    report(&world, &used, json!({"createdAt": text(hours_ago(300))}));
    let planned = |image: &str| {
        let outcome = world.outcome(&revoke(image, true));
        assert_eq!(outcome["result"], "planned", "{outcome:#}");
        (outcome, world.aws.calls().len())
    };
    let (outcome, calls) = planned(&used);
    let shown = &outcome["images"][0]["usage"];
    assert_eq!((&shown["asOf"], &shown["entries"][0]["accountId"]), (&json!(newest), &json!(ONE)));
    let (outcome, without) = planned(&unused);
    assert_eq!(outcome["images"][0].get("usage"), None, "there is no report");
    assert_eq!(calls, without + 1, "the entries of the report");
    // No report is made for it.
    assert_eq!(world.aws.writes(), [""; 0]);
    // What can't be read holds nothing up.
    world.aws.fault(READ[1], "UnauthorizedOperation", 403, 1);
    let (outcome, _) = planned(&used);
    assert!(outcome["warnings"].to_string().contains("could not be read"), "{outcome:#}");
    world.aws.no_faults();

    let revoked = |image: &str| {
        let outcome = world.completed(&revoke(image, false));
        assert_eq!(outcome["images"][0].get("usage"), None);
        world.aws.calls()
    };
    let (one, other) = (revoked(&used), revoked(&unused));
    let sorted = |mut calls: Vec<String>| {
        calls.sort();
        calls
    };
    assert_eq!(sorted(one), sorted(other));
}

#[test]
fn many_images_are_asked_about_together_and_each_is_answered() {
    let world = World::start(ALLOWLIST, &[]);
    world.aws.seed(&json!({"settings": {"pageSize": 2}}));
    let newest = text(hours_ago(1));
    let images: Vec<_> = (0..5).map(|number| image(&world, &format!("golden-{number}"))).collect();
    let silver = image(&world, "silver-1");
    for image in &images {
        report(&world, image, json!({"createdAt": newest}));
        report(&world, image, json!({"createdAt": text(hours_ago(100))}));
    }
    let missing = "ami-00000000000000000".to_owned();
    let all = [&images[..], &[silver.clone(), missing]].concat();
    let outcome = world.completed(&json!({"action": "usage", "imageIds": all}));
    assert_eq!(codes(&outcome), ["ActionNotAllowed", "ImageNotFound"]);
    let rows = outcome["images"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    for row in rows {
        assert_eq!((&row["usage"]["asOf"], &row["usage"]["entries"][2]["count"]), (&json!(newest), &json!(12)));
    }
    let fresh = image(&world, "golden-new");
    let outcome = world.outcome(&json!({"action": "usage", "imageIds": [images[0], fresh]}));
    assert_eq!((&outcome["result"], world.aws.writes()), (&json!("accepted"), vec![CREATE.to_owned()]), "{outcome:#}");
    assert!(outcome["images"][0]["usage"].is_object() && outcome["images"][1].get("usage").is_none(), "{outcome:#}");
}

#[test]
fn a_dry_run_starts_no_report() {
    let world = World::start(ALLOWLIST, &[]);
    let image = image(&world, "golden-1");
    let outcome = world.outcome(&ask("usage", &image, json!({"dryRun": true})));
    assert_eq!(
        (&outcome["result"], &outcome["images"][0]["steps"][0]["state"]),
        (&json!("planned"), &json!("planned"))
    );
    assert_eq!(world.aws.writes(), [""; 0]);
}

#[test]
fn a_report_that_cannot_be_started_or_read_is_a_failure() {
    let world = World::start(ALLOWLIST, &[]);
    let image = image(&world, "golden-1");
    for (call, code, status, expect, retryable) in [
        (READ[1], "UnauthorizedOperation", 403, "Denied", false),
        (CREATE, "UnauthorizedOperation", 403, "Denied", false),
        // EC2 makes some reports at a time.
        (CREATE, "ResourceLimitExceeded", 400, "LimitExceeded", true),
        (CREATE, "InternalError", 500, "Unavailable", true),
    ] {
        world.aws.fault(call, code, status, 100);
        let error = world.function.invoke(&usage(&image)).unwrap_err();
        assert_eq!(error["errorType"], expect, "{error:#}");
        let outcome: Value = serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap();
        assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("failed"), &json!(retryable)), "{outcome:#}");
    }
    world.aws.no_faults();
    accepted(&world, &usage(&image), &[READ[0], READ[1], CREATE]);
    world.aws.end_usage_report(&image, "available", "");
    world.aws.fault(READ[2], "UnauthorizedOperation", 403, 1);
    assert_eq!(world.function.invoke(&usage(&image)).unwrap_err()["errorType"], "Denied");
}

#[test]
fn over_http_what_continues_is_202_with_the_time_to_ask_again() {
    let world = World::start(ALLOWLIST, &[("AMI_SHARE_OUTCOME_BUS", "outcomes")]);
    let image = image(&world, "golden-1");
    let get = |function: &Function, name: &str| {
        let answer = function.invoke(&event(name, &image)).unwrap();
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer, body)
    };
    for name in ["rest-usage", "http-api-usage"] {
        let (answer, body) = get(&world.function, name);
        assert_eq!(
            (&answer["statusCode"], &answer["headers"]["retry-after"]),
            (&json!(202), &json!("60")),
            "{answer:#}"
        );
        assert_eq!((&body["action"], &body["result"]), (&json!("usage"), &json!("accepted")));
    }
    let events = world.aws.events();
    assert_eq!(events.len(), 2, "{events:#?}");
    assert!(events.iter().all(|event| event["DetailType"] == "AMI Share Request Accepted"), "{events:#?}");
    world.aws.end_usage_report(&image, "available", "");
    let (answer, body) = get(&world.function, "rest-usage");
    assert_eq!((&answer["statusCode"], answer["headers"].get("retry-after")), (&json!(200), None));
    // The portal's rule names the first account alone.
    let accounts: Vec<_> =
        body["images"][0]["usage"]["entries"].as_array().unwrap().iter().map(|entry| &entry["accountId"]).collect();
    assert_eq!(accounts, [&json!(ONE), &Value::Null, &Value::Null, &Value::Null], "{body:#}");
}
