//! Rules that publish, with the real function and the local AWS: the parameter is put last, and only over an older image,
//! however shares cross.

use std::sync::{Mutex, mpsc};

use serde_json::{Value, json};

use crate::support::{
    event,
    function::Function,
    local_aws::LocalAws,
    proxy::{Proxy, Reply},
    world::{World, ask, codes},
};

const WEB: &str = "111122223333";
const DATA: &str = "222233334444";
const PARAMETER: &str = "/golden/web/x86_64/latest";
const THERE: &str = "eu-central-1";
const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: web
    requesters: ["lambda:invoke"]
    actions: [share, revoke, list, check, reset]
    images: {names: ["web-*"], tags: {Family: ["*"]}}
    targets: ["111122223333", "222233334444"]
    publish: {parameter: "/golden/{tag:Family}/{architecture}/latest"}
  - name: plain
    requesters: ["lambda:invoke"]
    actions: [share, revoke]
    images: {names: ["plain-*"]}
    targets: ["111122223333"]
  - name: by-itself
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["nightly-*"]}
    targets: ["111122223333", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]
    onAvailable: true
    publish: {parameter: "/golden/nightly"}
  - name: auditor
    requesters: ["lambda:invoke"]
    actions: [audit]
    images: all
"#;

/// An image that was created on that day of the year.
fn image(aws: &LocalAws, name: &str, day: u8, different: Value) -> String {
    let mut image = json!({"name": name, "tags": {"Family": "web"}, "creationDate": format!("2026-01-{day:02}T00:00:00.000Z"),
        "mappings": [{"device": "/dev/xvda", "snapshot": {}}]});
    image.as_object_mut().unwrap().extend(different.as_object().unwrap().clone());
    aws.image(image)
}

fn share(image: &str, accounts: &[&str]) -> Value {
    ask("share", image, json!({"accountIds": accounts}))
}

/// What a parameter names, and its version.
fn named(aws: &LocalAws, parameter: &str) -> (Value, Value) {
    let mut state = aws.state();
    let parameter = &mut state["parameters"][parameter];
    (parameter["value"].take(), parameter["version"].take())
}

fn put(aws: &LocalAws, value: &str, data_type: &str) {
    let parameter = json!({"name": PARAMETER, "value": value, "type": "String", "dataType": data_type});
    aws.seed(&json!({"parameters": [parameter]}));
}

fn count(aws: &LocalAws, name: &str) -> usize {
    aws.calls().iter().filter(|call| *call == name).count()
}

fn step(outcome: &Value) -> &Value {
    outcome["images"][0]["steps"].as_array().unwrap().last().unwrap_or(&Value::Null)
}

#[test]
fn a_parameter_is_put_once_after_the_last_launch_permission_when_every_target_has_the_image() {
    let world = World::start(ALLOWLIST, &[]);
    let first = image(&world.aws, "web-1", 1, json!({}));
    let outcome = world.completed(&share(&first, &[WEB]));
    assert_eq!(world.aws.writes(), ["ec2:ModifyImageAttribute"]);
    assert_eq!((named(&world.aws, PARAMETER).0, step(&outcome).get("detail")), (Value::Null, None));

    let outcome = world.completed(&share(&first, &[DATA]));
    assert_eq!(world.aws.writes(), ["ec2:ModifyImageAttribute", "ssm:PutParameter"]);
    assert_eq!(named(&world.aws, PARAMETER), (json!(first), json!(1)));
    let step = step(&outcome);
    assert_eq!(
        (&step["call"], &step["resource"], &step["state"]),
        (&json!("ssm:PutParameter"), &json!(PARAMETER), &json!("done"))
    );
    assert!(step["detail"].as_str().unwrap().contains("sent"), "{step}");
    assert_eq!(outcome["images"][0]["changed"], true);
    // What is so makes no write.
    let outcome = world.completed(&share(&first, &[WEB, DATA]));
    assert_eq!((world.aws.writes().len(), &outcome["images"][0]["changed"]), (0, &json!(false)));

    let second = image(&world.aws, "web-2", 2, json!({}));
    let mut dry = share(&second, &[WEB, DATA]);
    dry["dryRun"] = json!(true);
    let outcome = world.outcome(&dry);
    assert_eq!(
        (&outcome["result"], &self::step(&outcome)["state"]),
        (&json!("planned"), &json!("planned")),
        "{outcome:#}"
    );
    assert_eq!(named(&world.aws, PARAMETER), (json!(first), json!(1)));
    world.completed(&share(&second, &[WEB, DATA]));
    assert_eq!(named(&world.aws, PARAMETER), (json!(second), json!(2)));
}

#[test]
fn nothing_is_read_or_put_where_the_rule_does_not_publish() {
    let world = World::start(ALLOWLIST, &[]);
    let plain = image(&world.aws, "plain-1", 1, json!({}));
    for action in ["share", "revoke"] {
        world.completed(&ask(action, &plain, json!({"accountIds": [WEB]})));
        assert_eq!(world.aws.calls().iter().filter(|call| call.starts_with("ssm:")).count(), 0, "{action}");
    }
    let web = image(&world.aws, "web-1", 1, json!({}));
    for action in ["list", "check"] {
        world.completed(&ask(action, &web, if action == "list" { json!({}) } else { json!({"accountIds": [WEB]}) }));
        assert_eq!(count(&world.aws, "ssm:GetParameter"), 0, "{action}");
    }
}

#[test]
fn nothing_is_put_after_a_refusal_or_an_incomplete_share() {
    let world = World::start(ALLOWLIST, &[]);
    let pending = image(&world.aws, "web-1", 1, json!({"state": "pending"}));
    assert_eq!(codes(&world.refused(&share(&pending, &[WEB, DATA]))), ["ImageNotAvailable"]);
    let odd = image(&world.aws, "web-2", 2, json!({"tags": {"Family": "web/db"}}));
    let outcome = world.refused(&share(&odd, &[WEB, DATA]));
    assert_eq!(codes(&outcome), ["PublishNotPossible"], "{outcome:#}");
    assert_eq!(outcome["refusals"][0]["values"]["tag"], "Family");
    let outcome = world.completed(&ask("check", &odd, json!({"accountIds": [WEB]})));
    assert_eq!(codes(&outcome), ["PublishNotPossible"]);

    // One of two images could not be shared: the one that could be is published.
    let (older, newer) = (image(&world.aws, "web-3", 3, json!({})), image(&world.aws, "web-4", 4, json!({})));
    let fault = json!({"call": "ec2:ModifyImageAttribute", "code": "OperationNotPermitted", "status": 400, "times": 9, "holding": newer});
    world.aws.seed(&json!({"faults": [fault]}));
    world.aws.forget_calls();
    let mut both = share(&older, &[WEB, DATA]);
    both["imageIds"] = json!([older, newer]);
    let error = world.function.invoke(&both).unwrap_err();
    let outcome: Value = serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!(outcome["result"], "incomplete", "{outcome:#}");
    assert_eq!(named(&world.aws, PARAMETER), (json!(older), json!(1)));
    let skipped = outcome["images"][1]["steps"].as_array().unwrap().last().unwrap();
    assert_eq!((&skipped["call"], &skipped["state"]), (&json!("ssm:PutParameter"), &json!("skipped")), "{outcome:#}");
    world.aws.no_faults();
    world.completed(&both);
    assert_eq!(named(&world.aws, PARAMETER), (json!(newer), json!(2)));
}

#[test]
fn an_older_image_and_a_late_copy_of_an_old_one_do_not_win() {
    let world = World::start(ALLOWLIST, &[]);
    let new = image(&world.aws, "web-5", 5, json!({}));
    world.completed(&share(&new, &[WEB, DATA]));
    let old = image(&world.aws, "web-4", 4, json!({}));
    let outcome = world.completed(&share(&old, &[WEB, DATA]));
    assert_eq!(count(&world.aws, "ssm:PutParameter"), 0);
    assert!(outcome["warnings"].to_string().contains("only a newer image replaces it"), "{outcome:#}");

    let copy_of = |source: &str, day| {
        let lineage = json!({"sourceImageId": source, "sourceImageRegion": THERE});
        image(&world.aws, &format!("web-copy-{day}"), day, lineage)
    };
    let source = |day| image(&world.aws, "source", day, json!({"region": THERE}));
    let late = copy_of(&source(1), 20);
    world.completed(&share(&late, &[WEB, DATA]));
    assert_eq!(count(&world.aws, "ssm:PutParameter"), 0);
    let orphan = copy_of("ami-0123456789abcdef0", 21);
    let outcome = world.completed(&share(&orphan, &[WEB, DATA]));
    assert!(outcome["warnings"].to_string().contains("could not be read"), "{outcome:#}");
    assert_eq!(named(&world.aws, PARAMETER), (json!(new), json!(1)));
    // A copy of a newer one wins, and is then no older than its source.
    let copy = copy_of(&source(6), 22);
    world.completed(&share(&copy, &[WEB, DATA]));
    assert_eq!(named(&world.aws, PARAMETER), (json!(copy), json!(2)));
    world.completed(&share(&image(&world.aws, "web-21", 21, json!({})), &[WEB, DATA]));
    assert_eq!(named(&world.aws, PARAMETER).1, json!(3));
}

#[test]
fn what_is_no_image_of_ours_counts_as_older() {
    let world = World::start(ALLOWLIST, &[]);
    let foreign = image(&world.aws, "web-9", 9, json!({"account": "444455556666", "launchPermissions": ["all"]}));
    for value in [foreign.as_str(), "ami-0123456789abcdef0"] {
        world.aws.clear_part(&json!({"ids": [PARAMETER]}));
        put(&world.aws, value, "aws:ec2:image");
        let web = image(&world.aws, "web-1", 1, json!({}));
        world.completed(&share(&web, &[WEB, DATA]));
        assert_eq!(named(&world.aws, PARAMETER), (json!(web), json!(2)), "{value}");
    }
}

#[test]
fn a_parameter_that_is_text_is_left_as_it_is_and_told() {
    let world = World::start(ALLOWLIST, &[]);
    put(&world.aws, "ami-0123456789abcdef0", "text");
    let web = image(&world.aws, "web-1", 1, json!({}));
    world.aws.forget_calls();
    let error = world.function.invoke(&share(&web, &[WEB, DATA])).unwrap_err();
    let outcome: Value = serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("incomplete"), &json!(false)), "{outcome:#}");
    let told = outcome["errors"][0]["message"].as_str().unwrap();
    assert!(told.contains("aws ssm delete-parameter --name /golden/web/x86_64/latest"), "{told}");
    assert_eq!(world.aws.writes(), ["ec2:ModifyImageAttribute"]);
    assert_eq!(world.launch(&web), [WEB, DATA]);
    assert_eq!(named(&world.aws, PARAMETER).0, "ami-0123456789abcdef0");
    // Once that is mended, the same request publishes.
    world.aws.clear_part(&json!({"ids": [PARAMETER]}));
    world.completed(&share(&web, &[WEB, DATA]));
    assert_eq!(named(&world.aws, PARAMETER).0, json!(web));
}

#[test]
fn a_parameter_that_cannot_be_read_gives_nothing_to_anybody() {
    let world = World::start(ALLOWLIST, &[]);
    let web = image(&world.aws, "web-1", 1, json!({}));
    world.aws.fault("ssm:GetParameter", "AccessDeniedException", 400, 100);
    world.aws.forget_calls();
    let error = world.function.invoke(&share(&web, &[WEB, DATA])).unwrap_err();
    assert_eq!(error["errorType"], "Denied", "{error:#}");
    assert_eq!(world.aws.writes(), [""; 0]);
    // Where the share is not complete, the parameter doesn't matter; and a revoke is not held up.
    world.completed(&share(&web, &[WEB]));
    let outcome = world.completed(&ask("revoke", &web, json!({"accountIds": [WEB]})));
    assert!(outcome["warnings"].to_string().contains("could not be read"), "{outcome:#}");
}

/// Begins a share of the older image, holds its PutParameter until the newer one is published, and lets it go on. What is
/// said of the older one.
fn crossed(
    aws: &LocalAws,
    before_it_goes_on: impl Fn() + Send + Sync + 'static,
) -> (Result<Value, Value>, String, String) {
    let (older, newer) = (image(aws, "web-1", 1, json!({})), image(aws, "web-2", 2, json!({})));
    let proxy = Proxy::start(aws.address);
    let slow = Function::start(&proxy.endpoint, ALLOWLIST, &[]);
    let quick = Function::start(aws.endpoint, ALLOWLIST, &[]);
    let (arrives, arrived) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    proxy.rule(move |call, aws| {
        if call.name == "ssm:PutParameter" {
            let _ = arrives.send(());
            let _ = may_go_on.lock().unwrap().recv();
            let answer = aws();
            before_it_goes_on();
            return Reply::Answer(answer);
        }
        Reply::Answer(aws())
    });
    let answer = std::thread::scope(|scope| {
        let slow = scope.spawn(|| slow.invoke(&share(&older, &[WEB, DATA])));
        arrived.recv().unwrap();
        let outcome = quick.invoke(&share(&newer, &[WEB, DATA])).unwrap();
        assert_eq!(outcome["result"], "completed", "{outcome:#}");
        drop(go_on);
        slow.join().unwrap()
    });
    (answer, older, newer)
}

#[test]
fn two_shares_that_cross_end_with_the_newer_image() {
    let aws = LocalAws::turn();
    let (answer, older, newer) = crossed(&aws, || {});
    let outcome = answer.unwrap();
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert_eq!(named(&aws, PARAMETER), (json!(newer), json!(3)));
    let steps = outcome["images"][0]["steps"].as_array().unwrap();
    let puts: Vec<_> = steps.iter().filter(|step| step["call"] == "ssm:PutParameter").collect();
    assert_eq!(puts.len(), 2, "{outcome:#}");
    assert!(
        puts[0]["detail"].as_str().unwrap().starts_with(&older)
            && puts[1]["detail"].as_str().unwrap().starts_with(&newer)
    );
}

#[test]
fn two_shares_that_cross_before_they_are_validated_end_with_the_newer_image() {
    let aws = LocalAws::turn();
    aws.seed(&json!({"settings": {"parametersWait": true}}));
    let address = aws.address.to_owned();
    let (answer, _, newer) = crossed(&aws, move || {
        let address = address.clone();
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(1_500));
            crate::support::http::send(&address, "POST", "/_local/parameters", "{}");
        });
    });
    let outcome = answer.unwrap();
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    crate::support::http::send(aws.address, "POST", "/_local/parameters", "{}");
    assert_eq!(named(&aws, PARAMETER), (json!(newer), json!(3)));
}

#[test]
fn a_crossing_that_is_never_settled_is_told() {
    let aws = LocalAws::turn();
    aws.seed(&json!({"settings": {"parametersWait": true}}));
    let (answer, ..) = crossed(&aws, || {});
    let error = answer.unwrap_err();
    let outcome: Value = serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("incomplete"), &json!(false)), "{outcome:#}");
    assert!(outcome["errors"][0]["message"].as_str().unwrap().contains("share the newest image again"), "{outcome:#}");
}

#[test]
fn a_version_that_was_not_valid_is_no_version() {
    let world = World::start(ALLOWLIST, &[]);
    let first = image(&world.aws, "web-1", 1, json!({}));
    world.completed(&share(&first, &[WEB, DATA]));
    // Version 2 never comes to be: it is validated when the image is not available any more.
    world.aws.seed(&json!({"settings": {"parametersWait": true}}));
    let second = image(&world.aws, "web-2", 2, json!({}));
    world.completed(&share(&second, &[WEB, DATA]));
    world.aws.clear_part(&json!({"ids": [second]}));
    world.aws.seed(&json!({"settings": {"parametersWait": false}}));
    let third = image(&world.aws, "web-3", 3, json!({}));
    world.completed(&share(&third, &[WEB, DATA]));
    assert_eq!(named(&world.aws, PARAMETER), (json!(third), json!(3)));
}

#[test]
fn a_crash_before_the_parameter_is_mended_by_the_same_request() {
    let aws = LocalAws::turn();
    let web = image(&aws, "web-1", 1, json!({}));
    let proxy = Proxy::start(aws.address);
    let function = Function::start(&proxy.endpoint, ALLOWLIST, &[]);
    let lambda = function.lambda();
    proxy.rule(move |call, aws| {
        if call.name == "ssm:PutParameter" {
            lambda.kill();
            return Reply::Hangup;
        }
        Reply::Answer(aws())
    });
    assert!(function.send(&share(&web, &[WEB, DATA]).to_string(), std::time::Duration::from_secs(60)).is_none());
    assert_eq!(named(&aws, PARAMETER).0, Value::Null);
    let again = Function::start(aws.endpoint, ALLOWLIST, &[]);
    let outcome = again.invoke(&share(&web, &[WEB, DATA])).unwrap();
    assert_eq!(outcome["images"][0]["targets"][0]["state"], "already-shared", "{outcome:#}");
    assert_eq!(named(&aws, PARAMETER), (json!(web), json!(1)));
}

#[test]
fn an_image_that_becomes_available_is_published_when_accounts_and_organizations_have_it() {
    let world = World::start(ALLOWLIST, &[]);
    let nightly = image(&world.aws, "nightly-1", 1, json!({}));
    let outcome = world.completed(&event("eventbridge-image-available", &nightly));
    assert_eq!(world.aws.writes(), ["ec2:ModifyImageAttribute", "ec2:ModifyImageAttribute", "ssm:PutParameter"]);
    assert_eq!(named(&world.aws, "/golden/nightly").0, json!(nightly), "{outcome:#}");
}

#[test]
fn a_revoke_warns_and_an_audit_finds_the_parameter_that_still_names_the_image() {
    let world = World::start(ALLOWLIST, &[]);
    let web = image(&world.aws, "web-1", 1, json!({}));
    world.completed(&share(&web, &[WEB, DATA]));
    let stale = || {
        let outcome = world.completed(&json!({"action": "audit"}));
        let found = outcome["findings"].as_array().unwrap().clone();
        found.into_iter().filter(|finding| finding["code"] == "ParameterStale").collect::<Vec<_>>()
    };
    assert_eq!(stale(), Vec::<Value>::new());
    let outcome = world.completed(&ask("revoke", &web, json!({"accountIds": [WEB]})));
    assert!(outcome["warnings"].to_string().contains("/golden/web/x86_64/latest still names"), "{outcome:#}");
    assert_eq!(count(&world.aws, "ssm:GetParameter"), 1);
    assert_eq!(named(&world.aws, PARAMETER), (json!(web), json!(1)));
    let found = stale();
    assert_eq!((found.len(), &found[0]["imageId"]), (1, &json!(web)), "{found:#?}");
    // One that is gone is told once, however many images have that parameter.
    world.aws.clear_part(&json!({"ids": [PARAMETER]}));
    put(&world.aws, "ami-0123456789abcdef0", "aws:ec2:image");
    image(&world.aws, "web-2", 2, json!({}));
    let found = stale();
    assert_eq!((found.len(), &found[0]["imageId"]), (1, &json!("ami-0123456789abcdef0")), "{found:#?}");
}
