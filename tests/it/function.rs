//! The whole function, as Lambda runs it, against the local AWS: what a caller sees and what AWS is asked.

use ami_share_testing::key_policies::{Statement as _, deny, open_to, with};
use serde_json::{Value, json};

use crate::support::world::{World, ask, codes};

const ALLOWLIST: &str = r#"
version: 1
accounts:
  "111122223333": {name: web, organizationId: o-a1b2c3d4e5}
rules:
  - name: everything
    requesters: ["lambda:invoke", "arn:aws:iam::999988887777:role/portal"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["golden-*"]}
    targets: [web, "444455556666", "999988887777", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]
  - name: unchecked
    requesters: ["events:999988887777:com.example.pipeline"]
    actions: [share]
    images: {names: ["golden-*"]}
    targets: [web]
    keys: unchecked
"#;

fn golden(name: &str) -> Value {
    json!({"name": format!("golden-{name}"), "tags": {"Tier": "gold"}, "mappings": [{"device": "/dev/xvda", "snapshot": {}}]})
}

fn encrypted(name: &str, key: Value) -> Value {
    json!({"name": format!("golden-{name}"), "mappings": [
        {"device": "/dev/xvda", "snapshot": {"key": key}},
        {"device": "/dev/sdb", "virtualName": "ephemeral0"},
        {"device": "/dev/sdc", "size": 20},
    ]})
}

impl World {
    /// Checks that a share is refused with exactly these codes, and that nothing was written.
    #[track_caller]
    fn refuses_share(&self, image: &str, targets: &[&str], expect: &[&str]) -> Value {
        let outcome = self.refused(&ask("share", image, json!({"accountIds": targets})));
        assert_eq!(codes(&outcome), expect, "{outcome:#}");
        outcome
    }
}

#[test]
fn a_share_its_repeat_and_its_revoke() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(golden("plain"));
    let request = ask("share", &image, json!({"accountIds": ["111122223333", "444455556666"], "reason": "spring"}));

    let outcome = world.outcome(&request);
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert_eq!((&outcome["requester"], &outcome["reason"]), (&json!("lambda:invoke"), &json!("spring")));
    let row = &outcome["images"][0];
    assert_eq!(
        (&row["changed"], &row["rule"], &row["region"]),
        (&json!(true), &json!("everything"), &json!("eu-west-1"))
    );
    assert_eq!(
        row["steps"],
        json!([{"call": "ec2:ModifyImageAttribute", "resource": image, "add": ["111122223333", "444455556666"], "state": "done"}])
    );
    assert_eq!(row["targets"][0]["state"], "shared");
    assert_eq!(world.aws.writes(), ["ec2:ModifyImageAttribute"]);

    let again = world.outcome(&request);
    assert_eq!((&again["images"][0]["changed"], &again["images"][0]["steps"]), (&json!(false), &json!([])));
    assert_eq!(again["images"][0]["targets"][1]["state"], "already-shared");
    assert_eq!(world.aws.writes(), [""; 0]);
    assert_eq!(world.launch(&image), ["111122223333", "444455556666"]);

    let revoked = world.outcome(&ask("revoke", &image, json!({"accountIds": ["111122223333"]})));
    assert_eq!(revoked["images"][0]["targets"][0]["state"], "revoked", "{revoked:#}");
    assert_eq!(world.launch(&image), ["444455556666"]);
    let repeated = world.outcome(&ask("revoke", &image, json!({"accountIds": ["111122223333"]})));
    assert_eq!(repeated["images"][0]["targets"][0]["state"], "not-shared");
    let sent = ["ec2:ModifyImageAttribute", "ec2:ModifySnapshotAttribute"];
    assert_eq!(world.aws.writes(), sent, "a revoke is sent whatever was read");

    let reset = world.outcome(&ask("reset", &image, json!({})));
    assert_eq!(reset["images"][0]["changed"], true, "{reset:#}");
    assert_eq!(world.launch(&image), [""; 0]);
}

#[test]
fn a_dry_run_plans_and_writes_nothing() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(golden("dry"));
    for action in ["share", "revoke"] {
        let outcome = world.outcome(&ask(action, &image, json!({"accountIds": ["111122223333"], "dryRun": true})));
        assert_eq!(outcome["result"], "planned", "{outcome:#}");
        assert_eq!(outcome["images"][0]["steps"][0]["state"], "planned");
    }
    assert_eq!(world.outcome(&ask("reset", &image, json!({"dryRun": true})))["result"], "planned");
    assert_eq!(world.aws.writes(), [""; 0]);
    assert_eq!(world.launch(&image), [""; 0]);
}

#[test]
fn a_share_is_refused_as_a_whole_with_every_reason() {
    let world = World::start(ALLOWLIST, &[]);
    let good = world.aws.image(golden("good"));
    let pending = world.aws.image(json!({"name": "golden-pending", "state": "pending"}));
    let silver = world.aws.image(json!({"name": "silver-1"}));
    let foreign =
        world.aws.image(json!({"name": "golden-foreign", "account": "444455556666", "launchPermissions": ["all"]}));
    let missing = "ami-00000000000000000";
    let request = json!({
        "action": "share",
        "imageIds": [good, pending, silver, foreign, missing],
        "accountIds": ["111122223333", "777788889999", "999988887777"],
    });
    let outcome = world.outcome(&request);
    assert_eq!(outcome["result"], "refused", "{outcome:#}");
    assert_eq!(
        codes(&outcome),
        [
            "TargetNotAllowed",
            "TargetIsOwner",
            "TargetNotAllowed",
            "ImageNotAvailable",
            "TargetIsOwner",
            "ImageNotAllowed",
            "ImageNotOwned",
            "ImageNotFound"
        ],
        "{outcome:#}"
    );
    assert_eq!(outcome["refusals"][0]["pointer"], "/accountIds/1");
    assert_eq!(outcome["refusals"][0]["imageId"], json!(good));
    assert_eq!(world.aws.writes(), [""; 0]);
    assert_eq!(world.launch(&good), [""; 0]);
}

#[test]
fn a_stranger_costs_no_call_and_learns_nothing() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(golden("secret"));
    let mut event: Value = serde_json::from_str(include_str!("../../events/rest-request-share.json")).unwrap();
    event["body"] = json!(ask("share", &image, json!({"accountIds": ["111122223333"]})).to_string());
    event["requestContext"]["identity"]["userArn"] = json!("arn:aws:sts::444455556666:assumed-role/portal/x");
    world.aws.forget_calls();
    let (status, headers, problem) = world.function.http(&event);
    assert_eq!((status, &headers["content-type"]), (403, &json!("application/problem+json")));
    assert_eq!(codes(&problem), ["RequesterNotAllowed"]);
    assert_eq!(problem["images"], json!([]));
    event["requestContext"]["identity"]["userArn"] = Value::Null;
    assert_eq!(world.function.http(&event).0, 401);
    assert_eq!(world.aws.calls(), [""; 0]);
}

#[test]
fn the_key_decides_who_can_launch() {
    let world = World::start(ALLOWLIST, &[]);
    let open = world.aws.image(encrypted("open", json!({"policy": open_to(&["111122223333"])})));
    let outcome = world.outcome(&ask("share", &open, json!({"accountIds": ["111122223333"]})));
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    let key = &outcome["images"][0]["keys"][0];
    assert_eq!((&key["verdict"], &key["target"]), (&json!("allowed"), &json!("111122223333")));
    assert_eq!(key["because"][0]["sid"], "Use");

    let closed = world.aws.image(encrypted("closed", json!({"policy": open_to(&[])})));
    let outcome = world.refuses_share(&closed, &["111122223333"], &["KeyAccessMissing"]);
    let key = &outcome["images"][0]["keys"][0];
    assert_eq!(key["verdict"], "missing");
    assert!(key["missing"].as_array().unwrap().contains(&json!("kms:CreateGrant")), "{key:#}");
    // The remedy is a statement that the same function then finds sufficient.
    let mut mended = open_to(&[]);
    mended["Statement"].as_array_mut().unwrap().extend(key["remedy"].as_array().unwrap().clone());
    let mended = world.aws.image(encrypted("mended", json!({"policy": mended})));
    let outcome = world.outcome(&ask("share", &mended, json!({"accountIds": ["111122223333"]})));
    assert_eq!(outcome["result"], "completed", "{outcome:#}");

    let denying = with(open_to(&["111122223333"]), deny("111122223333", "kms:Decrypt").sid("NotThem"));
    let denied = world.aws.image(encrypted("denied", json!({"policy": denying})));
    world.refuses_share(&denied, &["111122223333"], &["KeyAccessDenied"]);
}

#[test]
fn a_key_that_cannot_be_shared_or_used_is_refused_before_any_write() {
    let world = World::start(ALLOWLIST, &[]);
    let managed = world.aws.image(encrypted("managed", json!({"manager": "AWS", "alias": "alias/aws/ebs"})));
    world.refuses_share(&managed, &["111122223333"], &["DefaultKey"]);
    let disabled =
        world.aws.image(encrypted("disabled", json!({"state": "Disabled", "policy": open_to(&["111122223333"])})));
    world.refuses_share(&disabled, &["111122223333"], &["KeyNotUsable"]);
    let foreign =
        world.aws.image(encrypted("central", json!({"account": "444455556666", "policy": open_to(&["111122223333"])})));
    let outcome = world.refuses_share(&foreign, &["111122223333"], &["KeyAccessUnknown"]);
    assert!(outcome["refusals"][0]["message"].as_str().unwrap().contains("444455556666"), "{outcome:#}");
}

#[test]
fn an_unchecked_rule_shares_and_warns() {
    let world = World::start(ALLOWLIST, &[]);
    let closed = world.aws.image(encrypted("unchecked", json!({"policy": open_to(&[])})));
    let mut event: Value = serde_json::from_str(include_str!("../../events/eventbridge-share.json")).unwrap();
    event["time"] = json!(crate::support::now());
    event["detail"]["imageIds"] = json!([closed]);
    let outcome = world.outcome(&event);
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert_eq!(outcome["images"][0]["rule"], "unchecked");
    assert!(outcome["warnings"][0].as_str().unwrap().contains("without the key check"), "{outcome:#}");
    // The AWS managed key can't be shared whatever a rule says.
    let managed = world.aws.image(encrypted("unchecked-managed", json!({"manager": "AWS"})));
    event["detail"]["imageIds"] = json!([managed]);
    assert_eq!(codes(&world.outcome(&event)), ["DefaultKey"]);
}

#[test]
fn a_check_lists_what_a_share_would_meet_and_succeeds() {
    let world = World::start(ALLOWLIST, &[]);
    let closed = world.aws.image(encrypted("check", json!({"policy": open_to(&[])})));
    let mut event: Value = serde_json::from_str(include_str!("../../events/rest-check.json")).unwrap();
    event["pathParameters"]["imageId"] = json!(closed);
    let (status, _, outcome) = world.function.http(&event);
    assert_eq!((status, &outcome["result"]), (200, &json!("completed")), "{outcome:#}");
    assert_eq!(codes(&outcome), ["KeyAccessMissing"]);
    assert_eq!(outcome["images"][0]["targets"][0]["state"], "not-shared");
    assert_eq!(outcome["images"][0]["permissions"]["launch"], json!([]));

    event["pathParameters"]["target"] = json!("777788889999");
    let (status, _, outcome) = world.function.http(&event);
    assert_eq!((status, codes(&outcome)), (200, vec!["TargetNotAllowed"]));
    assert_eq!(outcome["images"][0]["keys"], json!([]), "no rule covers the target, so nothing is said of the key");
}

#[test]
fn revoking_goes_image_by_image_and_says_what_is_left() {
    let world = World::start(ALLOWLIST, &[]);
    let organization = "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5";
    let disabled = world.aws.image(json!({"name": "golden-disabled", "state": "disabled"}));
    let shared = world.aws.image(json!({"name": "golden-org", "launchPermissions": ["111122223333", "444455556666", "777788889999", organization]}));
    // A target that no rule of anybody names any more can always be taken away.
    let request = json!({"action": "revoke", "imageIds": [disabled, shared], "accountIds": ["111122223333", "444455556666", "777788889999"]});
    let outcome = world.outcome(&request);
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert_eq!(outcome["images"][0]["steps"], json!([]), "disabling has removed every launch permission");
    let states: Vec<_> = outcome["images"][1]["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| target["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["still-reachable", "maybe-reachable", "maybe-reachable"]);
    assert_eq!(world.launch(&shared), [organization]);

    // One refused image does not hold up the other.
    let more =
        json!({"action": "revoke", "imageIds": ["ami-00000000000000000", shared], "organizationArns": [organization]});
    let error = world.function.invoke(&more).unwrap_err();
    assert_eq!(error["errorType"], "ImageNotFound");
    let outcome: Value = serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!(outcome["result"], "incomplete", "{outcome:#}");
    assert_eq!(world.launch(&shared), [""; 0]);
}

#[test]
fn the_quota_is_forecast() {
    let World { aws, function } = World::start(ALLOWLIST, &[("AMI_SHARE_ENTITY_QUOTA", "2")]);
    let world = World { aws, function };
    let image = world.aws.image(json!({"name": "golden-quota", "launchPermissions": ["000011112222"]}));
    world.refuses_share(&image, &["111122223333", "444455556666"], &["QuotaExceeded"]);
    let outcome = world.outcome(&ask("share", &image, json!({"accountIds": ["111122223333"]})));
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
}

#[test]
fn aws_failing_is_told_apart_by_what_helps() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(golden("faults"));
    let mut event: Value = serde_json::from_str(include_str!("../../events/rest-share.json")).unwrap();
    event["pathParameters"]["imageId"] = json!(image);
    event["body"] = json!(r#"{"accountIds": ["111122223333"]}"#);
    for (call, code, http, expect, status, retryable) in [
        ("ec2:ModifyImageAttribute", "RequestLimitExceeded", 503, "Throttled", 503, true),
        ("ec2:ModifyImageAttribute", "UnauthorizedOperation", 403, "Denied", 502, false),
        ("ec2:ModifyImageAttribute", "InternalError", 500, "Unavailable", 502, true),
        ("ec2:ModifyImageAttribute", "ResourceLimitExceeded", 400, "LimitExceeded", 502, false),
        ("ec2:DescribeImages", "RequestLimitExceeded", 503, "Throttled", 503, true),
    ] {
        let message = "no. Encoded authorization failure message: c2VjcmV0";
        world.aws.seed(&json!({"faults": [{"call": call, "code": code, "status": http, "message": message, "after": 0, "times": 1000}]}));
        // A throttle is ridden out as long as the invocation lasts.
        let (seen, headers, problem) = world.function.http_within(&event, std::time::Duration::from_secs(9));
        assert_eq!((seen, &problem["result"]), (status, &json!("failed")), "{problem:#}");
        assert_eq!(problem["errors"][0]["code"], expect);
        assert_eq!(problem["retryable"], retryable);
        assert_eq!(headers.get("retry-after").is_some(), status == 503);
        assert!(!problem.to_string().contains("c2VjcmV0"), "{problem:#}");
    }
    world.aws.fault("ec2:ModifyImageAttribute", "RequestLimitExceeded", 503, 2);
    assert_eq!(world.function.http(&event).0, 200, "a passing throttle is ridden out");
    world.aws.no_faults();
}

#[test]
fn an_allowlist_out_of_order_allows_nobody_anything() {
    let World { aws, function } = World::start("version: 1\nrules:\n  - name: r\n    targets: [111122223333]\n", &[]);
    let mut event: Value = serde_json::from_str(include_str!("../../events/rest-list.json")).unwrap();
    let (status, headers, problem) = function.http(&event);
    assert_eq!((status, &problem["errors"][0]["code"]), (503, &json!("AllowlistUnavailable")));
    assert!(headers.get("retry-after").is_some());
    assert!(!problem.to_string().contains("line"), "where the allowlist is wrong is the operator's to know: {problem}");
    let log = function.log();
    assert!(log.contains("line 4"), "{log}");
    event = serde_json::from_str(include_str!("../../events/direct-list.json")).unwrap();
    assert_eq!(function.invoke(&event).unwrap_err()["errorType"], "AllowlistUnavailable");
    assert_eq!(aws.calls(), [""; 0]);
}

#[test]
fn garbage_is_answered_and_the_function_lives_on() {
    let world = World::start(ALLOWLIST, &[]);
    let minute = std::time::Duration::from_secs(60);
    for garbage in ["", "{", "null", "[]", "\"share\"", "{\"action\": 1}", &"[".repeat(100_000)] {
        let outcome = world.function.invoke_bytes(garbage, minute).unwrap();
        assert_eq!(outcome["result"], "refused", "{garbage}: {outcome:#}");
        assert_eq!(codes(&outcome)[0], "MalformedRequest");
    }
    assert_eq!(world.aws.calls(), [""; 0]);
}

#[test]
fn every_plan_and_every_answer_is_logged_on_one_line() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(golden("log"));
    world.outcome(&ask("share", &image, json!({"accountIds": ["111122223333"], "reason": "because"})));
    let log = world.function.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let plan = lines.iter().find(|line| line["plan.call"] == "ec2:ModifyImageAttribute").expect("the plan is logged");
    assert_eq!(plan["plan.resource"], json!(image));
    let answer = lines.iter().find(|line| line["outcome.result"] == "completed").expect("the answer is logged");
    assert_eq!((&answer["request.requester"], &answer["request.reason"]), (&json!("lambda:invoke"), &json!("because")));
    assert_eq!(answer["request.id"], plan["request.id"]);
}
