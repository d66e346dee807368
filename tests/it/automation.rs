//! Images share themselves, shares end, outcomes are events: what happens without anybody at a door.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::support::{
    function::Function,
    local_aws::LocalAws,
    scenes::VARIABLES,
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

/// A function that can end shares and tells of outcomes.
fn world() -> World {
    World::ending(ALLOWLIST, &[("AMI_SHARE_OUTCOME_BUS", "default")])
}

impl World {
    /// The schedules there are: name to expression.
    fn schedules(&self) -> Vec<(String, String, Value)> {
        let state = self.aws.state();
        let schedules = state["schedules"].as_object().unwrap().iter();
        let plain = |(name, schedule): (&String, &Value)| {
            let input = serde_json::from_str(schedule["input"].as_str().unwrap()).unwrap();
            (name.clone(), schedule["expression"].as_str().unwrap().to_owned(), input)
        };
        schedules.map(plain).collect()
    }

    /// Moves the only schedule to another time, as if that had come.
    fn move_schedule(&self, at: OffsetDateTime) {
        let (name, _, input) = self.schedules().pop().unwrap();
        let name = name.split_once('/').unwrap().1.to_owned();
        let expression = format!("at({})", at.format(&Rfc3339).unwrap().get(..19).unwrap());
        self.aws.seed(&json!({"schedules": [{"group": VARIABLES[0].1, "name": name, "expression": expression, "input": input.to_string()}]}));
    }
}

fn plain(name: &str) -> Value {
    json!({"name": name, "tags": {"Tier": "gold"}, "mappings": [{"device": "/dev/xvda", "snapshot": {}}]})
}

fn in_hours(hours: i64) -> String {
    (OffsetDateTime::now_utc() + Duration::hours(hours)).replace_nanosecond(0).unwrap().format(&Rfc3339).unwrap()
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
    assert_eq!(world.schedules().len(), 1, "the rule's longest duration is its end");
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
    let world = World::ending(&format!("version: 1\nrules:\n{}{}", rule("one"), rule("two")), &[]);
    let key = json!({"policy": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "999988887777"}, "Action": "kms:*", "Resource": "*"}]}});
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
    let world = World::ending(&format!("version: 1\nrules:\n{long}{short}"), &variables);
    let image = world.aws.image(plain("golden-both"));
    let event = available(&image);
    let outcome = world.outcome(&event);
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert_eq!(world.launch(&image), ["111122223333", "222233334444"]);
    let [row] = outcome["images"].as_array().unwrap().as_slice() else { panic!("{outcome:#}") };
    assert_eq!(row["targets"].as_array().unwrap().len(), 2, "{outcome:#}");
    assert_eq!(world.aws.events().len(), 1, "one for the image, whatever rules it met");
    let sent = OffsetDateTime::parse(event["time"].as_str().unwrap(), &Rfc3339).unwrap();
    let end = |days| format!("at({})", (sent + Duration::days(days)).format(&Rfc3339).unwrap().get(..19).unwrap());
    let mut ends: Vec<_> = world.schedules().into_iter().map(|(_, expression, _)| expression).collect();
    ends.sort();
    assert_eq!(ends, [end(14), end(30)]);
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
    for event in [foreign, disabled, old, replayed, other_source] {
        world.outcome(&event);
        assert_eq!(world.launch(&image), [""; 0], "{event}");
    }
    // A revoke says that the rule will do it again.
    world.outcome(&available(&image));
    let outcome = world.outcome(&ask("revoke", &image, json!({"accountIds": ["111122223333"]})));
    assert!(outcome["warnings"].to_string().contains("rule `all-golden` shares"), "{outcome:#}");
}

#[test]
fn a_share_with_an_end_is_written_down_first_and_taken_back_when_due() {
    let world = world();
    let image = world.aws.image(plain("golden-end"));
    let end = in_hours(5);
    let outcome = world.outcome(&ask(
        "share",
        &image,
        json!({"accountIds": ["111122223333"], "access": "launch", "expiresAt": end}),
    ));
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert_eq!(outcome["images"][0]["targets"][0]["expiresAt"], json!(end));
    let writes: Vec<_> = world.aws.writes().into_iter().filter(|call| !call.starts_with("events:")).collect();
    assert!(writes[0].starts_with("scheduler:"), "{writes:?}");
    assert_eq!(writes[1..], ["ec2:ModifyImageAttribute"]);
    let (name, expression, input) = world.schedules().pop().unwrap();
    assert_eq!(expression, format!("at({})", end.get(..19).unwrap()));
    assert_eq!((&input["imageId"], &input["target"]), (&json!(image), &json!("111122223333")));
    // Whatever version or alias was invoked, the role that wakes the function may wake the function itself.
    let function = world.aws.state()["schedules"][&name]["function"].clone();
    assert_eq!(function, "arn:aws:lambda:eu-west-1:999988887777:function:ami-share");
    let listed = world.outcome(&ask("list", &image, json!({})));
    assert_eq!(listed["images"][0]["targets"][0]["expiresAt"], json!(end), "{listed:#}");

    // A forged name, and the right one before its time, do nothing.
    let schedule = name.split_once('/').unwrap().1;
    let expire = json!({"action": "expire", "schedule": schedule, "target": "111122223333"});
    let forged =
        json!({"action": "expire", "schedule": format!("{image}-{}", "0".repeat(32)), "target": "111122223333"});
    for hint in [&forged, &expire] {
        let outcome = world.outcome(hint);
        assert_eq!((&outcome["result"], &outcome["images"]), (&json!("completed"), &json!([])), "{outcome:#}");
        assert_eq!(world.launch(&image), ["111122223333"]);
    }
    assert_eq!(codes(&world.outcome(&json!({"action": "expire", "schedule": "*"}))), ["MalformedRequest"]);

    world.move_schedule(OffsetDateTime::now_utc() - Duration::minutes(1));
    let outcome = world.outcome(&expire);
    assert_eq!((&outcome["result"], &outcome["action"]), (&json!("completed"), &json!("revoke")), "{outcome:#}");
    let last = outcome["images"][0]["steps"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["call"], "scheduler:DeleteSchedule", "{outcome:#}");
    assert_eq!(world.launch(&image), [""; 0]);
    assert_eq!(world.schedules(), []);
    assert_eq!(world.outcome(&expire)["images"], json!([]), "the second hint finds nothing");
}

#[test]
fn an_end_outlives_its_image() {
    let world = world();
    let key = json!({"policy": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ["999988887777", "111122223333"]}, "Action": "kms:*", "Resource": "*"}]}});
    let image = world
        .aws
        .image(json!({"name": "golden-gone", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": key}}]}));
    world.outcome(&ask("share", &image, json!({"accountIds": ["111122223333"], "expiresAt": in_hours(1)})));
    let (name, _, input) = world.schedules().pop().unwrap();
    // The same record for an image that was deregistered since: nothing is left to take away but the record.
    let gone = "ami-0fffffffffffffff0";
    let target: ami_share::domain::Target = "111122223333".parse().unwrap();
    let gone_name = ami_share::domain::ScheduleName::new(&gone.parse().unwrap(), &target).to_string();
    let input = input.to_string().replace(&image, gone).replace(name.split_once('/').unwrap().1, &gone_name);
    world
        .aws
        .seed(&json!({"schedules": [{"group": VARIABLES[0].1, "name": gone_name, "expression": "at(2020-01-01T00:00:00)", "input": input}]}));
    let outcome = world.outcome(&json!({"action": "expire", "schedule": gone_name}));
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert_eq!(world.schedules().len(), 1, "its record is gone, the other image's is not");
    assert_eq!(world.launch(&image), ["111122223333"]);
}

#[test]
fn an_end_is_only_moved_later_by_who_may_not_revoke() {
    let world = world();
    let image = world.aws.image(plain("golden-later"));
    let extend = |end: &str| {
        let mut event: Value = serde_json::from_str(include_str!("../../events/rest-request-share.json")).unwrap();
        event["body"] =
            json!(ask("share", &image, json!({"accountIds": ["111122223333"], "expiresAt": end})).to_string());
        world.function.http(&event)
    };
    let end = |hours| in_hours(hours);
    let (status, _, outcome) = extend(&end(5));
    assert_eq!(status, 200, "{outcome:#}");
    assert_eq!(extend(&end(8)).0, 200);
    let (status, _, problem) = extend(&end(3));
    assert_eq!((status, codes(&problem)), (403, vec!["ExpiryNotAllowed"]), "{problem:#}");
    // Who may revoke may also end it earlier.
    let earlier = end(2);
    let outcome = world.outcome(&ask("share", &image, json!({"accountIds": ["111122223333"], "expiresAt": earlier})));
    assert_eq!(outcome["images"][0]["targets"][0]["expiresAt"], json!(earlier), "{outcome:#}");
    assert_eq!(world.schedules().len(), 1);
    // A share without an end leaves it, and says so.
    let outcome = world.outcome(&ask("share", &image, json!({"accountIds": ["111122223333"]})));
    assert!(outcome["warnings"].to_string().contains("does not change"), "{outcome:#}");
    assert_eq!(outcome["images"][0]["targets"][0]["expiresAt"], json!(earlier));

    // To give an end to a share that has none is to take access away.
    let endless = world.aws.image(json!({"name": "golden-endless", "launchPermissions": ["111122223333"]}));
    let mut event: Value = serde_json::from_str(include_str!("../../events/rest-request-share.json")).unwrap();
    event["body"] =
        json!(ask("share", &endless, json!({"accountIds": ["111122223333"], "expiresAt": end(5)})).to_string());
    let (status, _, problem) = world.function.http(&event);
    assert_eq!((status, codes(&problem)), (403, vec!["ExpiryNotAllowed"]), "{problem:#}");
}

#[test]
fn a_revoke_and_a_reset_take_the_ends_along() {
    let world = world();
    let image = world.aws.image(plain("golden-revoked"));
    world.outcome(&ask(
        "share",
        &image,
        json!({"accountIds": ["111122223333", "222233334444"], "expiresAt": in_hours(5)}),
    ));
    assert_eq!(world.schedules().len(), 2);
    world.outcome(&ask("revoke", &image, json!({"accountIds": ["111122223333"]})));
    let left = world.schedules();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].2["target"], "222233334444");
    world.outcome(&ask("reset", &image, json!({})));
    assert_eq!(world.schedules(), []);
}

#[test]
fn without_a_schedule_group_no_share_can_end() {
    let aws = LocalAws::turn();
    let function = Function::start(aws.endpoint, ALLOWLIST, &[]);
    let image = aws.image(plain("golden-no-group"));
    let outcome = function
        .invoke(&ask("share", &image, json!({"accountIds": ["111122223333"], "expiresAt": in_hours(5)})))
        .unwrap();
    assert_eq!(codes(&outcome), ["ExpiryNotPossible"], "{outcome:#}");
    assert_eq!(outcome["refusals"][0]["pointer"], "/expiresAt");
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
        crate::schemas::check_outcome(&outcome);
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
            crate::schemas::check_outcome(&outcome);
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
