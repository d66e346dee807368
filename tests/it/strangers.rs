//! Who learns what: a stranger nothing, and a requester what its rules cover.

use serde_json::{Value, json};

use crate::support::{
    event,
    scenes::{EXPIRES, rfc3339},
    world::{World, ask, codes},
};

const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: sharer
    requesters: ["arn:aws:iam::999988887777:role/portal", "lambda:invoke", "sqs:arn:aws:sqs:eu-west-1:999988887777:requests"]
    actions: [share, check, list, revoke, audit, repair]
    images: {names: ["golden-*"]}
    targets: ["111122223333"]
  - name: pipeline
    requesters: ["events:999988887777:com.example.pipeline"]
    actions: [audit]
    images: all
  - name: others
    requesters: ["arn:aws:iam::999988887777:role/others"]
    actions: [share]
    images: all
    targets: ["222233334444"]
    keys: grant
"#;
const BUS: [(&str, &str); 1] =
    [("AMI_SHARE_OUTCOME_BUS", "arn:aws:events:eu-west-1:999988887777:event-bus/secret-bus")];
const ONE: &str = "111122223333";

fn as_stranger(mut event: Value) -> Value {
    event["requestContext"]["identity"]["userArn"] = json!("arn:aws:sts::444455556666:assumed-role/portal/x");
    event
}

#[test]
fn whoever_no_rule_names_gets_the_one_refusal_costs_no_call_and_is_no_event() {
    let world = World::start(ALLOWLIST, &BUS);
    let image = world.aws.image(json!({"name": "golden-1"}));
    let share = event("rest-request-share", &image);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut event = share.clone();
        change(&mut event);
        as_stranger(event)
    };
    world.aws.forget_calls();
    for event in [
        as_stranger(share.clone()),
        with(&|event| event["body"] = json!("{\"action\": \"share\", \"nonsense\": 1}")),
        with(&|event| event["body"] = json!("not JSON")),
        with(&|event| event["resource"] = json!("/nowhere")),
        with(&|event| event["httpMethod"] = json!("PATCH")),
    ] {
        let (status, headers, problem) = world.function.http(&event);
        assert_eq!((status, codes(&problem)), (403, vec!["RequesterNotAllowed"]), "{problem:#}");
        assert!(headers.get("allow").is_none(), "{headers}");
    }
    let mut nobody = share.clone();
    nobody["requestContext"]["identity"]["userArn"] = Value::Null;
    assert_eq!(world.function.http(&nobody).0, 401);
    let mut bus = event("eventbridge-share", &image);
    bus["source"] = json!("com.example.stranger");
    bus["detail"] = json!({"action": 7});
    assert_eq!(codes(&world.function.invoke(&bus).unwrap()), ["RequesterNotAllowed"]);
    let mut batch = event("sqs-batch", &image);
    let mut record = batch["Records"][0].clone();
    record["eventSourceARN"] = json!("arn:aws:sqs:eu-west-1:999988887777:strange");
    record["body"] = json!("{");
    batch["Records"] = json!([record]);
    world.function.invoke(&batch).unwrap();
    assert_eq!(world.aws.calls(), [""; 0]);

    // To those whom a rule names the faults are shown, and the outcome is published.
    let mut known = share;
    known["body"] = json!("{\"action\": \"share\", \"nonsense\": 1}");
    assert_eq!(world.function.http(&known).0, 400);
    assert_eq!(world.aws.events().len(), 1);
}

#[test]
fn that_an_outcome_could_not_be_published_tells_of_no_bus_and_is_counted() {
    let world = World::start(ALLOWLIST, &BUS);
    let image = world.aws.image(json!({"name": "golden-1"}));
    for (code, status) in [("ResourceNotFoundException", 400), ("AccessDeniedException", 400)] {
        let message = "Event bus arn:aws:events:eu-west-1:999988887777:event-bus/secret-bus does not exist.";
        world.aws.seed(&json!({"faults": [{"call": "events:PutEvents", "code": code, "status": status, "message": message, "times": 100}]}));
        let mut list = event("rest-request-list", &image);
        list["body"] = json!(ask("list", &image, json!({})).to_string());
        let (status, _, outcome) = world.function.http(&list);
        world.aws.no_faults();
        assert_eq!(status, 200);
        let text = outcome.to_string();
        assert!(text.contains("could not be published") && !text.contains("secret-bus"), "{outcome:#}");
    }
    let log = world.function.log();
    assert!(log.contains("\"PublishFailed\":1") && log.contains("secret-bus"), "{log}");
}

#[test]
fn of_a_target_that_no_rule_covers_there_is_a_refusal_and_nothing_else() {
    let world = World::with_records(ALLOWLIST, &[]);
    let image =
        world.aws.image(json!({"name": "golden-1", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": {}}}]}));
    let name = world.aws.image(json!({"name": "golden-2"}));
    world.completed(&ask("share", &name, json!({"accountIds": [ONE], "expiresAt": rfc3339(*EXPIRES)})));
    let secret = "222233334444";
    world.aws.seed(&json!({"images": [{"id": image, "name": "golden-1", "launchPermissions": [ONE, secret]}]}));
    for action in ["share", "revoke"] {
        for more in [json!({}), json!({"dryRun": true})] {
            let mut request = ask(action, &image, json!({"accountIds": [ONE, secret]}));
            request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let outcome = world.refused(&request);
            assert_eq!(codes(&outcome), ["TargetNotAllowed"], "{outcome:#}");
            let rest = json!([outcome["images"], outcome["warnings"], outcome["errors"]]).to_string();
            assert!(!rest.contains(secret), "{outcome:#}");
        }
    }
    let outcome = world.completed(&ask("check", &image, json!({"accountIds": [ONE, secret]})));
    assert_eq!(codes(&outcome), ["TargetNotAllowed"], "{outcome:#}");
    assert_eq!(outcome["images"][0]["targets"].as_array().unwrap().len(), 1, "{outcome:#}");
    assert!(outcome["images"][0]["keys"].as_array().unwrap().iter().all(|row| row["target"] == ONE), "{outcome:#}");
}

#[test]
fn of_an_image_that_no_rule_covers_nothing_is_read_but_its_description() {
    let world = World::with_records(ALLOWLIST, &[]);
    let image = |n: usize| json!({"name": format!("silver-{n}"), "mappings": [{"device": "/dev/xvda", "snapshot": {"key": {}}}], "launchPermissions": [ONE]});
    let seeded = world.aws.seed(&json!({"images": (0..50).map(image).collect::<Vec<_>>()}));
    let ids: Vec<_> = seeded["images"].as_array().unwrap().iter().map(|image| image["imageId"].clone()).collect();
    // Reading any of them would fail, and tell of snapshots and keys.
    let fault = |call: &str| json!({"call": call, "code": "UnauthorizedOperation", "status": 403, "message": "no", "times": 1000});
    world.aws.seed(&json!({"faults": [fault("ec2:DescribeImageAttribute"), fault("ec2:DescribeSnapshots"), fault("kms:DescribeKey")]}));
    for action in ["share", "check", "list", "revoke"] {
        let mut request = json!({"action": action, "imageIds": ids});
        if action != "list" {
            request["accountIds"] = json!([ONE]);
        }
        let outcome = world.outcome(&request);
        assert_eq!((&outcome["result"], codes(&outcome)), (&json!("refused"), vec!["ImageNotAllowed"; 50]), "{action}");
        assert_eq!(world.aws.calls(), ["ec2:DescribeImages"], "{action}");
        assert_eq!(
            (&outcome["images"], &outcome["errors"], &outcome["warnings"]),
            (&json!([]), &json!([]), &json!([]))
        );
    }
    world.aws.no_faults();
}

#[test]
fn an_audit_tells_of_covered_images_only_in_its_token_and_its_warnings_too() {
    let world = World::with_records(ALLOWLIST, &[]);
    let (secret_key, golden_key) = (json!({"ref": "secret", "policy": "not a policy"}), json!({"ref": "golden"}));
    let image = |id: usize, name: &str, key: &str| {
        json!({"id": format!("ami-{id:017x}"), "name": name, "launchPermissions": [ONE],
        "mappings": [{"device": "/dev/xvda", "snapshot": {"key": key}}]})
    };
    let mut images: Vec<_> = (0..30).map(|n| image(n, "silver", "secret")).collect();
    images.push(image(30, "golden-1", "golden"));
    images.extend((31..60).map(|n| image(n, "silver", "secret")));
    let seeded = world.aws.seed(&json!({"keys": [secret_key, golden_key], "images": images}));
    let secret = seeded["keys"][0]["arn"].as_str().unwrap();
    for action in ["audit", "repair"] {
        let outcome = world.outcome(&json!({"action": action}));
        assert_eq!(outcome["result"], "completed", "{outcome:#}");
        assert!(outcome.get("nextToken").is_none(), "there is one page of covered images: {outcome:#}");
        let text = outcome.to_string();
        assert!(!text.contains(secret) && !text.contains(&format!("ami-{:017x}", 1)), "{outcome:#}");
        let attributes = world.aws.calls().iter().filter(|call| *call == "ec2:DescribeImageAttribute").count();
        assert_eq!(attributes, 1, "{action}");
    }
}

const GROUPS: &str = r#"
version: 1
rules:
  - name: web-team
    requesters: ["jwt-group:https://login.example.com/00000000-0000-4000-8000-000000000001/v2.0#00000000-0000-4000-8000-00000000000a"]
    actions: [share]
    images: {names: ["golden-*"]}
    targets: ["111122223333"]
  - name: image-owners
    requesters: ["jwt-group:https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Example#image-*"]
    actions: [share]
    images: {names: ["golden-*"]}
    targets: ["111122223333"]
"#;

#[test]
fn a_rule_names_the_groups_of_a_token_and_the_requester_stays_its_subject() {
    let worlds = |claim| World::start(GROUPS, &[("AMI_SHARE_GROUPS_CLAIM", claim)]);
    for (name, world, claims, right, others) in [
        (
            "http-api-jwt-groups",
            worlds(""),
            "/requestContext/authorizer/jwt/claims/groups",
            json!(["00000000-0000-4000-8000-00000000000a"]),
            ["[web]", "00000000-0000-4000-8000-00000000000a,x", "x 00000000-0000-4000-8000-00000000000a", "[]"],
        ),
        (
            "rest-cognito-groups",
            worlds("cognito:groups"),
            "/requestContext/authorizer/claims/cognito:groups",
            json!("web,image-owners"),
            ["[web image-owners]", "web image-owners", "web", ""],
        ),
    ] {
        let image = world.aws.image(json!({"name": "golden-1"}));
        let share = event(name, &image);
        world.aws.forget_calls();
        for groups in others.map(Value::from).into_iter().chain([json!(["a group, image-owners"]), Value::Null]) {
            let mut event = share.clone();
            *event.pointer_mut(claims).unwrap() = groups.clone();
            let (status, _, problem) = world.function.http(&event);
            assert_eq!((status, codes(&problem)), (403, vec!["RequesterNotAllowed"]), "{groups} {problem:#}");
        }
        assert_eq!(world.aws.calls(), [""; 0]);
        let mut event = share.clone();
        *event.pointer_mut(claims).unwrap() = json!({"image-owners": true});
        assert_eq!(world.function.http(&event).0, 401);
        *event.pointer_mut(claims).unwrap() = right;
        for event in [share, event] {
            let (status, _, outcome) = world.function.http(&event);
            assert_eq!(status, 200, "{outcome:#}");
            let requester = outcome["requester"].as_str().unwrap();
            assert!(requester.starts_with("jwt:https://") && requester.ends_with("-555555555555"), "{requester}");
        }
        let logged = world.function.records();
        assert!(logged.last().unwrap()["requesterGroups"].is_array(), "{logged:#?}");
    }
}
