//! Images share themselves, shares expire, outcomes are events: what happens without anybody at a trigger.

use std::sync::{Mutex, mpsc};

use ami_share_testing::key_policies::open_to;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::support::{
    function::{Answer, Function},
    local_aws::LocalAws,
    proxy::{Proxy, Reply},
    scenes::{VARIABLES, record},
    world::{World, ask, codes},
};

const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: all-golden
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {tags: {Tier: [gold]}}
    targets: ["111122223333"]
    access: copy
    maxDuration: 30d
    onAvailable: true
  - name: portal
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["golden-*"]}
    targets: ["111122223333", "222233334444"]
  - name: extender
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [share]
    images: {names: ["golden-*"]}
    targets: ["111122223333", "222233334444"]
"#;

const UNDELIVERED: &str = "arn:aws:sqs:eu-west-1:999988887777:undelivered";

/// A function that can record expiries and tells of outcomes.
fn world() -> World {
    World::with_records(ALLOWLIST, &[("AMI_SHARE_OUTCOME_BUS", "default"), ("AMI_SHARE_SCHEDULE_DLQ_ARN", UNDELIVERED)])
}

impl World {
    /// The records there are: their names, expressions and inputs.
    fn records(&self) -> Vec<(String, String, Value)> {
        let state = self.aws.state();
        let schedules = state["schedules"].as_object().unwrap().iter();
        let plain = |(name, schedule): (&String, &Value)| {
            let input = serde_json::from_str(schedule["input"].as_str().unwrap()).unwrap();
            let name = name.split_once('/').unwrap().1.to_owned();
            (name, schedule["expression"].as_str().unwrap().to_owned(), input)
        };
        schedules.map(plain).collect()
    }

    /// Puts the record of an expiry there, with what is different about its schedule; gives its name.
    fn record(&self, image: &str, target: &str, at: OffsetDateTime, different: &Value) -> String {
        let mut record = record(image, target, at, &[], &[]);
        for (field, value) in different.as_object().into_iter().flatten() {
            match field.as_str() {
                "input" => record["input"].as_object_mut().unwrap().extend(value.as_object().unwrap().clone()),
                _ => record[field] = value.clone(),
            }
        }
        self.aws.seed(&json!({"schedules": [record]}));
        record["name"].as_str().unwrap().to_owned()
    }

    /// What `events/rest-request-share.json`'s portal is told when it asks that.
    fn portal(&self, request: &Value) -> (u64, Value) {
        let mut event: Value = serde_json::from_str(include_str!("../../events/rest-request-share.json")).unwrap();
        event["body"] = json!(request.to_string());
        let (status, _, outcome) = self.function.http(&event);
        (status, outcome)
    }
}

/// A time so far ahead, in whole seconds.
fn ahead(duration: Duration) -> OffsetDateTime {
    (OffsetDateTime::now_utc() + duration).replace_nanosecond(0).unwrap()
}

fn text(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap()
}

fn expire(record: &str) -> Value {
    json!({"action": "expire", "schedule": record})
}

fn plain(name: &str) -> Value {
    json!({"name": name, "tags": {"Tier": "gold"}, "mappings": [{"device": "/dev/xvda", "snapshot": {}}]})
}

fn in_hours(hours: i64) -> String {
    text(ahead(Duration::hours(hours)))
}

fn available(image: &str) -> Value {
    let mut event: Value = serde_json::from_str(include_str!("../../events/eventbridge-image-available.json")).unwrap();
    event["time"] = json!(in_hours(0));
    event["detail"]["ImageId"] = json!(image);
    event
}

#[test]
fn a_matching_image_is_shared_as_soon_as_it_becomes_available() {
    let world = world();
    let image = world.aws.image(plain("golden-new"));
    let outcome = world.outcome(&available(&image));
    assert_eq!(
        (&outcome["result"], &outcome["requester"]),
        (&json!("completed"), &json!("events:999988887777:aws.ec2")),
        "{outcome:#}"
    );
    assert_eq!(outcome["images"][0]["rule"], "all-golden");
    assert_eq!(world.launch(&image), ["111122223333"]);
    assert_eq!(world.records().len(), 1, "the share expires after the rule's longest duration");
    let again = world.outcome(&available(&image));
    assert_eq!(again["result"], "completed", "{again:#}");
    assert_eq!(world.launch(&image), ["111122223333"]);

    let other = world.aws.image(json!({"name": "golden-silver", "tags": {"Tier": "silver"}}));
    let outcome = world.outcome(&available(&other));
    assert_eq!((&outcome["result"], &outcome["images"]), (&json!("completed"), &json!([])));
    assert_eq!(world.launch(&other), [""; 0]);
    assert_eq!(world.aws.events(), [""; 0], "an image that no rule is about is nobody's news");
}

#[test]
fn what_two_rules_meet_is_told_once_each() {
    let rule = |name: &str| {
        format!(
            "  - {{name: {name}, requesters: [\"events:999988887777:aws.ec2\"], actions: [share], onAvailable: true, \
             images: {{names: [\"golden-*\"]}}, targets: [\"111122223333\"]}}\n"
        )
    };
    let world = World::with_records(&format!("version: 1\nrules:\n{}{}", rule("one"), rule("two")), &[]);
    let key = json!({"policy": open_to(&[])});
    let image = world
        .aws
        .image(json!({"name": "golden-closed", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": key}}]}));
    let outcome = world.outcome(&available(&image));
    assert_eq!(codes(&outcome), ["KeyAccessMissing", "KeyAccessMissing"], "one for each rule: {outcome:#}");
}

#[test]
fn of_two_rules_the_one_for_longer_counts_and_the_owner_is_no_target() {
    let rule = |name: &str, targets: &str, days: u8| {
        format!(
            "  - {{name: {name}, requesters: [\"events:999988887777:aws.ec2\"], actions: [share], onAvailable: true, \
             images: {{names: [\"golden-*\"]}}, targets: [{targets}], maxDuration: {days}d}}\n"
        )
    };
    let long = rule("long", "\"111122223333\", \"999988887777\"", 30);
    let short = rule("short", "\"111122223333\", \"222233334444\"", 14);
    let variables = [("AMI_SHARE_OUTCOME_BUS", "default")];
    let world = World::with_records(&format!("version: 1\nrules:\n{long}{short}"), &variables);
    let image = world.aws.image(plain("golden-both"));
    let event = available(&image);
    let outcome = world.outcome(&event);
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert_eq!(world.launch(&image), ["111122223333", "222233334444"]);
    let [row] = outcome["images"].as_array().unwrap().as_slice() else { panic!("{outcome:#}") };
    assert_eq!(row["targets"].as_array().unwrap().len(), 2, "{outcome:#}");
    assert_eq!(world.aws.events().len(), 1, "one for the image, whatever rules it met");
    let sent = OffsetDateTime::parse(event["time"].as_str().unwrap(), &Rfc3339).unwrap();
    let at = |days| format!("at({})", text(sent + Duration::days(days)).get(..19).unwrap());
    let mut recorded: Vec<_> = world.records().into_iter().map(|(_, expression, _)| expression).collect();
    recorded.sort();
    assert_eq!(recorded, [at(14), at(30)]);
    // The event again is the event once.
    world.aws.forget_calls();
    assert_eq!(world.outcome(&event)["result"], "completed");
    let writes: Vec<_> = world.aws.writes().into_iter().filter(|call| !call.starts_with("events:")).collect();
    assert_eq!(writes, [""; 0]);
}

#[test]
fn only_fresh_events_of_this_account_about_available_images_share() {
    let world = world();
    let image = world.aws.image(plain("golden-ignored"));
    let mut foreign = available(&image);
    foreign["account"] = json!("111122223333");
    let mut disabled = available(&image);
    disabled["detail"]["State"] = json!("disabled");
    let mut old = available(&image);
    old["time"] = json!(in_hours(-2));
    let mut replayed = available(&image);
    replayed["replay-name"] = json!("yesterday");
    let mut other_source = available(&image);
    other_source["source"] = json!("com.example");
    let mut elsewhere = available(&image);
    elsewhere["region"] = json!("eu-central-1");
    let told = world.outcome(&elsewhere);
    assert_eq!((&told["result"], world.aws.calls().len()), (&json!("completed"), 0), "{told:#}");
    assert!(told["warnings"].to_string().contains("eu-central-1"), "{told:#}");
    for event in [foreign, disabled, old, replayed, other_source, elsewhere] {
        world.outcome(&event);
        assert_eq!(world.launch(&image), [""; 0], "{event}");
    }
    // A revoke says that the rule will do it again.
    world.outcome(&available(&image));
    let outcome = world.outcome(&ask("revoke", &image, json!({"accountIds": ["111122223333"]})));
    assert!(outcome["warnings"].to_string().contains("rule `all-golden` shares"), "{outcome:#}");
}

#[test]
fn an_image_that_ec2_does_not_show_as_available_yet_comes_again() {
    let world = world();
    let unknown = available("ami-0123456789abcdef0");
    let pending = world.aws.image(json!({"name": "golden-pending", "state": "pending", "tags": {"Tier": "gold"}}));
    for event in [unknown, available(&pending)] {
        let error = world.function.invoke(&event).unwrap_err();
        let outcome: Value = serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap();
        assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("failed"), &json!(true)), "{outcome:#}");
    }
    assert_eq!(world.launch(&pending), [""; 0]);
}

#[test]
fn an_existing_share_is_left_as_it_is_by_a_rule_and_holds_up_no_other() {
    let rule = r#"
version: 1
rules:
  - name: by-itself
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["golden-*"]}
    targets: ["111122223333", "222233334444", "333344445555"]
    maxDuration: 30d
    onAvailable: true
"#;
    let world = World::with_records(rule, &[]);
    let image = world.aws.image(json!({"name": "golden-known", "launchPermissions": ["111122223333", "222233334444"],
        "mappings": [{"device": "/dev/xvda", "snapshot": {}}]}));
    let later = ahead(Duration::days(60));
    world.record(&image, "222233334444", later, &json!({}));
    let event = available(&image);
    for _ in 0..2 {
        let outcome = world.completed(&event);
        let rows = outcome["images"][0]["targets"].as_array().unwrap();
        let row =
            |target: &str| rows.iter().find(|row| row["target"] == target).unwrap_or_else(|| panic!("{outcome:#}"));
        assert_eq!(
            (&row("111122223333")["state"], &row("111122223333")["expiresAt"]),
            (&json!("already-shared"), &Value::Null)
        );
        assert_eq!(
            (&row("222233334444")["state"], &row("222233334444")["expiresAt"]),
            (&json!("already-shared"), &json!(text(later)))
        );
        assert_ne!(row("333344445555")["expiresAt"], Value::Null);
        assert_eq!(world.launch(&image), ["111122223333", "222233334444", "333344445555"]);
        assert_eq!(world.records().len(), 2, "no record for the first, none but its own for the second");
    }
}

#[test]
fn a_rule_shares_nothing_that_would_expire_within_five_minutes() {
    let rule = "version: 1\nrules:\n  - {name: short, requesters: [\"events:999988887777:aws.ec2\"], actions: [share], onAvailable: true, \
                images: {names: [\"golden-*\"]}, targets: [\"111122223333\"], maxDuration: 30m}\n";
    let world = World::with_records(rule, &[("AMI_SHARE_MAX_EVENT_AGE", "7200")]);
    let image = world.aws.image(plain("golden-late"));
    for (minutes, is_shared) in [(40, false), (29, false), (26, false), (20, true)] {
        let mut event = available(&image);
        event["time"] = json!(text(ahead(Duration::minutes(-minutes))));
        let outcome = world.outcome(&event);
        if is_shared {
            assert_eq!((&outcome["result"], world.launch(&image).len()), (&json!("completed"), 1), "{outcome:#}");
        } else {
            assert_eq!(codes(&outcome), ["MalformedRequest"], "{minutes}: {outcome:#}");
            assert_eq!((world.records().len(), world.launch(&image).len()), (0, 0), "{minutes}");
        }
    }
}

#[test]
fn a_share_that_expires_is_recorded_first_and_taken_back_when_due() {
    let world = world();
    let image = world.aws.image(plain("golden-expiring"));
    let at = in_hours(5);
    let outcome = world.completed(&ask("share", &image, json!({"accountIds": ["111122223333"], "expiresAt": at})));
    assert_eq!(outcome["images"][0]["targets"][0]["expiresAt"], json!(at));
    let calls = world.aws.calls().into_iter().filter(|call| !call.starts_with("events:")).collect::<Vec<_>>();
    let writes: Vec<_> = world.aws.writes().into_iter().filter(|call| !call.starts_with("events:")).collect();
    assert!(writes[0].starts_with("scheduler:"), "{writes:?}");
    assert_eq!(writes[1..], ["ec2:ModifyImageAttribute"]);
    assert!(calls.last().unwrap().starts_with("scheduler:"), "it looks at the record again: {calls:?}");
    let (name, expression, input) = world.records().pop().unwrap();
    let target: sharing::domain::Target = "111122223333".parse().unwrap();
    let time = OffsetDateTime::parse(&at, &Rfc3339).unwrap();
    let expected = sharing::domain::ExpiryName::new(&image.parse().unwrap(), &target, time).unwrap();
    assert_eq!((name.as_str(), expression), (expected.as_str(), format!("at({})", at.get(..19).unwrap())));
    assert_eq!(
        (&input["imageId"], &input["target"], &input["expiresAt"]),
        (&json!(image), &json!("111122223333"), &json!(at))
    );
    assert_eq!((&input["action"], &input["schedule"]), (&json!("expire"), &json!(name)));
    // The hint goes to our own bus, whatever version or alias was invoked.
    let schedule = world.aws.state()["schedules"][format!("default/{name}")].clone();
    assert_eq!(schedule["target"], "arn:aws:events:eu-west-1:999988887777:event-bus/ami-share");
    assert_eq!(schedule["parameters"], json!({"DetailType": "AMI Share Record Due", "Source": "ami-share.ends"}));
    // A hint that Scheduler can't deliver is kept in the queue.
    assert_eq!(schedule["deadLetters"], UNDELIVERED);
    let listed = world.outcome(&ask("list", &image, json!({})));
    assert_eq!(listed["images"][0]["targets"][0]["expiresAt"], json!(at), "{listed:#}");

    // A record that is not there, and the right one before its time, do nothing: not even as Scheduler itself puts it.
    let [hint] = world.aws.hints(&name).try_into().unwrap();
    assert_eq!((&hint["source"], &hint["detail"]), (&json!("ami-share.ends"), &input));
    let forged = expire(name.replace(&image, "ami-0123456789abcdef0").as_str());
    for hint in [&forged, &expire(&name), &hint] {
        let outcome = world.outcome(hint);
        assert_eq!((&outcome["result"], &outcome["images"]), (&json!("completed"), &json!([])), "{outcome:#}");
        assert_eq!(world.launch(&image), ["111122223333"]);
    }
    assert_eq!(codes(&world.outcome(&expire("*"))), ["MalformedRequest"]);

    // As an event of Scheduler on the bus; of what is in it only the record's name counts.
    let other = world.aws.image(json!({"name": "golden-due", "launchPermissions": ["111122223333"]}));
    let due = world.record(&other, "111122223333", ahead(Duration::seconds(50)), &json!({}));
    let [mut event] = world.aws.hints(&due).try_into().unwrap();
    event["detail"]["imageId"] = json!(image);
    let outcome = world.completed(&event);
    assert_eq!((&outcome["action"], &outcome["requestId"]), (&json!("revoke"), &event["id"]), "{outcome:#}");
    let last = outcome["images"][0]["steps"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["call"], &last["resource"]), (&json!("scheduler:DeleteSchedule"), &json!(due)), "{outcome:#}");
    assert_eq!((world.launch(&other).len(), world.launch(&image).len()), (0, 1));
    assert_eq!(world.records().len(), 1);
    assert_eq!(world.outcome(&event)["images"], json!([]), "the second hint finds nothing");
}

#[test]
fn an_expiry_that_finds_a_later_record_deletes_its_own_and_does_nothing_else() {
    let world = world();
    let image = world.aws.image(json!({"name": "golden-renewed", "launchPermissions": ["111122223333"]}));
    let due = world.record(&image, "111122223333", ahead(Duration::minutes(-3)), &json!({}));
    let later = ahead(Duration::hours(2));
    let kept = world.record(&image, "111122223333", later, &json!({}));
    let outcome = world.completed(&expire(&due));
    let steps = outcome["images"][0]["steps"].as_array().unwrap();
    assert_eq!((steps.len(), &steps[0]["resource"]), (1, &json!(due)), "{outcome:#}");
    let row = &outcome["images"][0]["targets"][0];
    assert_eq!((&row["state"], &row["expiresAt"]), (&json!("shared"), &json!(text(later))), "{outcome:#}");
    assert_eq!(world.launch(&image), ["111122223333"]);
    assert_eq!(world.records().into_iter().map(|(name, ..)| name).collect::<Vec<_>>(), [kept]);
}

#[test]
fn a_schedule_that_is_not_a_record_is_nobodys() {
    let world = world();
    let image = world.aws.image(json!({"name": "golden-forged", "launchPermissions": ["111122223333"]}));
    let at = ahead(Duration::minutes(-3));
    let rows = [
        json!({"input": {"target": "222233334444"}}),
        json!({"input": {"imageId": "ami-0123456789abcdef0"}}),
        json!({"input": {"expiresAt": text(at - Duration::seconds(1))}}),
        json!({"input": {"schedule": "ami-0123456789abcdef0-aeb221660ff09134bb3a46b295554820-6b5f2240"}}),
        json!({"input": {"action": "revoke"}}),
        json!({"expression": "at(2026-01-01T00:00:00)"}),
        json!({"expression": "rate(1 minute)"}),
        json!({"timezone": "Europe/Berlin"}),
        json!({"state": "DISABLED"}),
        json!({"bus": "another"}),
        json!({"source": "com.example"}),
    ];
    for different in rows {
        let name = world.record(&image, "111122223333", at, &different);
        let outcome = world.completed(&expire(&name));
        assert!(outcome["warnings"].to_string().contains("nobody's record"), "{different}: {outcome:#}");
        assert_eq!((world.launch(&image).len(), world.records().len()), (1, 1), "{different}");
        let log = world.function.log();
        assert!(log.lines().any(|line| line.contains("\"record.name\"") && line.contains(&name)), "{different}");
        assert!(log.lines().any(|line| line.contains("\"NobodysRecords\":1")), "{different}");
        // Neither does it give a share its expiry time, nor is it deleted with one.
        let listed = world.completed(&ask("list", &image, json!({})));
        assert_eq!(listed["images"][0]["targets"][0].get("expiresAt"), None, "{different}: {listed:#}");
        let shared = world.completed(&ask("share", &image, json!({"accountIds": ["111122223333"]})));
        assert!(!shared["warnings"].to_string().contains("expires at"), "{different}: {shared:#}");
        world.completed(&ask("revoke", &image, json!({"accountIds": ["111122223333"]})));
        assert_eq!(world.records().len(), 1, "{different}");
        world.completed(&ask("share", &image, json!({"accountIds": ["111122223333"]})));
        world.aws.clear_part(&json!({"ids": [name]}));
    }
    // A record under its name can't be made, and no access is given.
    let (image, at) = (world.aws.image(plain("golden-taken")), ahead(Duration::hours(9)));
    let taken = world.record(&image, "111122223333", at, &json!({"state": "DISABLED"}));
    let share = ask("share", &image, json!({"accountIds": ["111122223333"], "expiresAt": text(at)}));
    let error = world.function.invoke(&share).unwrap_err();
    let outcome: Value = serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("failed"), &json!(false)), "{outcome:#}");
    let message = outcome["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("delete-schedule") && message.contains(&taken), "{message}");
    assert_eq!(world.launch(&image), [""; 0]);
}

#[test]
fn an_expiry_outlives_its_image() {
    let world = world();
    let key = json!({"policy": open_to(&["111122223333"])});
    let image = world
        .aws
        .image(json!({"name": "golden-there", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": key}}]}));
    world.completed(&ask("share", &image, json!({"accountIds": ["111122223333"], "expiresAt": in_hours(1)})));
    // The record of an image that was deregistered since: nothing is left to take away but the record.
    let due = world.record("ami-0fffffffffffffff0", "111122223333", ahead(Duration::hours(-1)), &json!({}));
    world.completed(&expire(&due));
    assert_eq!(world.records().len(), 1, "its record is deleted, the other image's is not");
    assert_eq!(world.launch(&image), ["111122223333"]);
}

#[test]
fn an_expiry_time_is_only_moved_later() {
    let world = world();
    let image = world.aws.image(plain("golden-later"));
    let until = |image: &str, at: &str| ask("share", image, json!({"accountIds": ["111122223333"], "expiresAt": at}));
    let (five, eight) = (in_hours(5), in_hours(8));
    assert_eq!(world.portal(&until(&image, &five)).0, 200);
    let (status, outcome) = world.portal(&until(&image, &eight));
    assert_eq!((status, &outcome["images"][0]["targets"][0]["expiresAt"]), (200, &json!(eight)), "{outcome:#}");
    assert_eq!(world.records().len(), 2, "the earlier record is deleted when it is due");
    for event in ["list", "check"] {
        let more = if event == "check" { json!({"accountIds": ["111122223333"]}) } else { json!({}) };
        let outcome = world.completed(&ask(event, &image, more));
        assert_eq!(outcome["images"][0]["targets"][0]["expiresAt"], json!(eight), "{outcome:#}");
    }
    let (status, problem) = world.portal(&until(&image, &in_hours(3)));
    assert_eq!((status, codes(&problem)), (403, vec!["ExpiryNotAllowed"]), "{problem:#}");
    assert!(problem["refusals"][0]["remedy"].as_str().unwrap().contains("revoke"), "{problem:#}");
    // Nor does who may revoke move it earlier but by a revoke.
    let earlier = in_hours(2);
    assert_eq!(codes(&world.outcome(&until(&image, &earlier))), ["ExpiryNotAllowed"]);
    world.completed(&ask("revoke", &image, json!({"accountIds": ["111122223333"]})));
    assert_eq!(world.records(), []);
    let outcome = world.completed(&until(&image, &earlier));
    assert_eq!(outcome["images"][0]["targets"][0]["expiresAt"], json!(earlier), "{outcome:#}");
    // A share without an expiry time leaves the one that is there, and says so.
    let outcome = world.completed(&ask("share", &image, json!({"accountIds": ["111122223333"]})));
    assert!(outcome["warnings"].to_string().contains("does not change"), "{outcome:#}");
    assert_eq!(outcome["images"][0]["targets"][0]["expiresAt"], json!(earlier));

    // To give an expiry to a share that has none is to take access away.
    let endless = world.aws.image(json!({"name": "golden-endless", "launchPermissions": ["111122223333"]}));
    let (status, problem) = world.portal(&until(&endless, &five));
    assert_eq!((status, codes(&problem)), (403, vec!["ExpiryNotAllowed"]), "{problem:#}");
    world.completed(&until(&endless, &five));
}

#[test]
fn a_share_sent_again_close_to_its_expiry_is_finished_or_refused_for_it() {
    let world = World::with_records(ALLOWLIST, &[]);
    let (near, nearer) = (ahead(Duration::minutes(4)), ahead(Duration::seconds(90)));
    let until = |image: &str, at| ask("share", image, json!({"accountIds": ["111122223333"], "expiresAt": text(at)}));
    // An earlier try recorded the expiry and was cut short.
    let begun = world.aws.image(plain("golden-begun"));
    world.record(&begun, "111122223333", near, &json!({"input": {"snapshotIds": []}}));
    let outcome = world.completed(&until(&begun, near));
    assert_eq!(outcome["images"][0]["targets"][0]["expiresAt"], json!(text(near)), "{outcome:#}");
    assert_eq!(world.launch(&begun), ["111122223333"]);
    // Without its record there is no such share to finish, and nothing more than the records is read.
    let fresh = world.aws.image(plain("golden-fresh"));
    for at in [near, nearer, ahead(Duration::minutes(-9))] {
        let outcome = world.refused(&until(&fresh, at));
        assert_eq!(
            (codes(&outcome), &outcome["refusals"][0]["pointer"]),
            (vec!["MalformedRequest"], &json!("/expiresAt"))
        );
        let calls = world.aws.calls();
        assert!(!calls.iter().any(|call| call.contains("Snapshot") || call.starts_with("kms:")), "{calls:?}");
        assert_eq!(world.portal(&until(&fresh, at)).0, 400);
    }
    let long_ago = world.refused(&until(&fresh, ahead(Duration::days(-2))));
    assert_eq!((codes(&long_ago), world.aws.calls()), (vec!["MalformedRequest"], vec![]), "nothing is asked of AWS");
    // About to expire, overdue: neither is shared again, by whatever request.
    for at in [nearer, ahead(Duration::minutes(-9))] {
        for is_shared in [false, true] {
            let launch: &[&str] = if is_shared { &["111122223333"] } else { &[] };
            let ending = world.aws.image(json!({"name": "golden-ending", "launchPermissions": launch}));
            world.record(&ending, "111122223333", at, &json!({}));
            for request in [
                until(&ending, at),
                until(&ending, ahead(Duration::hours(2))),
                ask("share", &ending, json!({"accountIds": ["111122223333"]})),
            ] {
                let outcome = world.refused(&request);
                assert_eq!(
                    (codes(&outcome), &outcome["retryable"]),
                    (vec!["ShareEnding"], &json!(true)),
                    "{outcome:#}"
                );
            }
            assert_eq!(world.launch(&ending), launch);
        }
    }
}

#[test]
fn no_launch_permission_is_added_by_an_invocation_that_may_outlast_the_expiry() {
    let world = world();
    let image = world.aws.image(plain("golden-slow"));
    let share =
        ask("share", &image, json!({"accountIds": ["111122223333"], "expiresAt": text(ahead(Duration::minutes(10)))}));
    let within = |minutes: u64| {
        world.function.invoke_bytes(&share.to_string(), std::time::Duration::from_secs(60 * minutes)).unwrap()
    };
    let outcome = within(9);
    assert_eq!((codes(&outcome), &outcome["retryable"]), (vec!["ShareEnding"], &json!(false)), "{outcome:#}");
    assert_eq!((world.launch(&image).len(), world.records().len()), (0, 0));
    assert_eq!(within(7)["result"], "completed");
    assert_eq!(world.launch(&image), ["111122223333"]);
}

#[test]
fn a_revoke_and_a_reset_take_the_records_along_and_the_permission_once_more() {
    let world = world();
    let image = world.aws.image(plain("golden-revoked"));
    let both = json!({"accountIds": ["111122223333", "222233334444"], "expiresAt": in_hours(5)});
    world.completed(&ask("share", &image, both));
    world.completed(&ask("share", &image, json!({"accountIds": ["111122223333"], "expiresAt": in_hours(6)})));
    assert_eq!(world.records().len(), 3);
    let steps = |outcome: &Value| -> Vec<String> {
        let steps = outcome["images"][0]["steps"].as_array().unwrap().iter();
        steps.map(|step| step["call"].as_str().unwrap().to_owned()).collect()
    };
    let outcome = world.completed(&ask("revoke", &image, json!({"accountIds": ["111122223333"]})));
    let delete = "scheduler:DeleteSchedule";
    let (launch, copy) = ("ec2:ModifyImageAttribute", "ec2:ModifySnapshotAttribute");
    assert_eq!(steps(&outcome), [launch, copy, delete, delete, launch, copy], "{outcome:#}");
    let left = world.records();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].2["target"], "222233334444");
    let outcome = world.completed(&ask("reset", &image, json!({})));
    assert_eq!(steps(&outcome), ["ec2:ResetImageAttribute", copy, delete, launch, copy], "{outcome:#}");
    assert_eq!(world.records(), []);
    // Where there was no record, there is no once more.
    let outcome = world.completed(&ask("revoke", &image, json!({"accountIds": ["111122223333"]})));
    assert_eq!(steps(&outcome), [launch, copy], "{outcome:#}");
}

/// What happens between the steps of a request: the call of that name is held, once, while `meanwhile` happens. Gives the
/// answer, whom the image is shared with and how many records it has.
fn crossed(
    name: &'static str,
    one: &Value,
    seed: impl Fn(&World),
    meanwhile: impl Fn(&World),
) -> (Answer, usize, usize) {
    let world = world();
    let proxy = Proxy::start(world.aws.address);
    let slow = Function::start(&proxy.endpoint, ALLOWLIST, &VARIABLES);
    seed(&world);
    let (arrives, arrived) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let held = Mutex::new(Some((arrives, may_go_on)));
    proxy.rule(move |call, aws| {
        let hold = if call.name == name { held.lock().unwrap().take() } else { None };
        if let Some((arrives, may_go_on)) = hold {
            arrives.send(()).unwrap();
            // It also goes on where the test gave up.
            let _ = may_go_on.recv();
        }
        Reply::Answer(aws())
    });
    let answer = std::thread::scope(|scope| {
        let slow = scope.spawn(|| slow.invoke(one));
        arrived.recv_timeout(std::time::Duration::from_secs(30)).expect("the call is made");
        meanwhile(&world);
        go_on.send(()).unwrap();
        slow.join().unwrap()
    });
    (answer, world.launch(RACING).len(), world.records().len())
}

const RACING: &str = "ami-0aaaaaaaaaaaaaaa1";

/// An image on a key by which it is shared with the account through a grant.
fn racing(launch: &[&str]) -> Value {
    json!({"id": RACING, "name": "golden-racing", "launchPermissions": launch, "mappings": [{"device": "/dev/xvda", "snapshot": {}}]})
}

#[test]
fn a_renewal_while_the_expiry_is_under_way_never_loses_its_record() {
    let due = ahead(Duration::minutes(-1));
    let name = record(RACING, "111122223333", due, &[], &[])["name"].as_str().unwrap().to_owned();
    let renew = ask("share", RACING, json!({"accountIds": ["111122223333"], "expiresAt": in_hours(5)}));
    for held in ["ec2:ModifyImageAttribute", "ec2:ModifySnapshotAttribute", "scheduler:DeleteSchedule"] {
        let seed = |world: &World| {
            world.aws.seed(&json!({"images": [racing(&["111122223333"])]}));
            world.record(RACING, "111122223333", due, &json!({}));
        };
        let renewal = |world: &World| assert_eq!(codes(&world.outcome(&renew)), ["ShareEnding"], "{held}");
        let (expired, launch, records) = crossed(held, &expire(&name), seed, renewal);
        assert_eq!(expired.unwrap()["result"], "completed", "{held}");
        assert_eq!((launch, records), (0, 0), "{held}");
    }
}

#[test]
fn a_share_whose_record_a_revoke_deletes_takes_itself_back() {
    let at = in_hours(5);
    let share = ask("share", RACING, json!({"accountIds": ["111122223333"], "expiresAt": at}));
    let seed = |world: &World| drop(world.aws.seed(&json!({"images": [racing(&[])]})));
    let revoke = |world: &World| drop(world.completed(&ask("revoke", RACING, json!({"accountIds": ["111122223333"]}))));
    let (shared, launch, records) = crossed("ec2:ModifyImageAttribute", &share, seed, revoke);
    let error = shared.unwrap_err();
    assert_eq!(error["errorType"], "ExpiryLost", "{error:#}");
    let outcome: Value = serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("incomplete"), &json!(true)), "{outcome:#}");
    let steps = outcome["images"][0]["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["remove"], json!(["111122223333"]), "{outcome:#}");
    assert_eq!((launch, records), (0, 0));
    // So does one that said nothing of an expiry and found a record.
    let plain = ask("share", RACING, json!({"accountIds": ["111122223333"]}));
    let seed = |world: &World| {
        world.aws.seed(&json!({"images": [racing(&[])]}));
        world.record(RACING, "111122223333", ahead(Duration::hours(5)), &json!({}));
    };
    let (shared, launch, records) = crossed("ec2:ModifyImageAttribute", &plain, seed, revoke);
    assert_eq!(shared.unwrap_err()["errorType"], "ExpiryLost");
    assert_eq!((launch, records), (0, 0));
    // Where another record took its place meanwhile, the share stays.
    let seed = |world: &World| drop(world.aws.seed(&json!({"images": [racing(&[])]})));
    let replace = |world: &World| {
        revoke(world);
        world.record(RACING, "111122223333", ahead(Duration::hours(7)), &json!({}));
    };
    let (shared, launch, records) = crossed("ec2:ModifyImageAttribute", &share, seed, replace);
    assert_eq!(shared.unwrap()["result"], "completed");
    assert_eq!((launch, records), (1, 1));
}

#[test]
fn what_a_deployment_lacks_to_record_an_expiry_is_named() {
    for missing in 0..VARIABLES.len() {
        let aws = LocalAws::turn();
        let mut variables = VARIABLES.to_vec();
        let (name, _) = variables.remove(missing);
        let function = Function::start(aws.endpoint, ALLOWLIST, &variables);
        let image = aws.image(plain("golden-no-group"));
        let outcome = function
            .invoke(&ask("share", &image, json!({"accountIds": ["111122223333"], "expiresAt": in_hours(5)})))
            .unwrap();
        assert_eq!(codes(&outcome), ["ExpiryNotPossible"], "{outcome:#}");
        let refusal = &outcome["refusals"][0];
        assert_eq!(refusal["pointer"], "/expiresAt");
        assert!(refusal["remedy"].as_str().unwrap().contains(name), "{outcome:#}");
        // Everything else works without.
        let outcome = function.invoke(&ask("share", &image, json!({"accountIds": ["111122223333"]}))).unwrap();
        assert_eq!(outcome["result"], "completed", "{outcome:#}");
    }
}

#[test]
fn every_outcome_is_an_event_for_each_image() {
    let world = world();
    let one = world.aws.image(plain("golden-event-1"));
    let two = world.aws.image(plain("golden-event-2"));
    world.outcome(&json!({"action": "share", "imageIds": [one, two], "accountIds": ["111122223333"]}));
    assert_eq!(world.aws.calls().iter().filter(|call| *call == "events:PutEvents").count(), 1);
    let events = world.aws.events();
    for (event, image) in events.iter().zip([&one, &two]) {
        assert_eq!(
            (&event["Source"], &event["DetailType"]),
            (&json!("ami-share"), &json!("AMI Share Request Completed"))
        );
        let outcome: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
        ami_share_testing::schemas::check_outcome(&outcome);
        let [row] = outcome["images"].as_array().unwrap().as_slice() else { panic!("{outcome:#}") };
        assert_eq!((&row["imageId"], &row["tags"]), (&json!(image), &json!({"Tier": "gold"})));
    }
    assert_eq!(events.len(), 2);

    // Of an image that nothing may be said of, an event says why.
    world.aws.forget_calls();
    let gone = "ami-0123456789abcdef0";
    let revoke = json!({"action": "revoke", "imageIds": [one, gone], "accountIds": ["111122223333"]});
    assert_eq!(world.function.invoke(&revoke).unwrap_err()["errorType"], "ImageNotFound");
    let events = world.aws.events();
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            let outcome: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
            ami_share_testing::schemas::check_outcome(&outcome);
            (
                outcome["images"].as_array().unwrap().len(),
                codes(&outcome).join(" "),
                outcome["refusals"][0]["imageId"].clone(),
            )
        })
        .collect();
    assert_eq!(told, [(1, String::new(), Value::Null), (0, "ImageNotFound".to_owned(), json!(gone))]);
    world.aws.fault("events:PutEvents", "InternalException", 500, 50);
    let outcome = world.outcome(&ask("list", &one, json!({})));
    world.aws.no_faults();
    assert_eq!(outcome["result"], "completed", "what was done stays done");
    assert!(outcome["warnings"].to_string().contains("could not be published"), "{outcome:#}");
}
