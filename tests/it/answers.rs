//! No answer is false: what could not be read is not told as nothing, what passes by itself is not told as an answer, and
//! one target or image that is wrong costs no other.

use ami_share_testing::key_policies::open_to;
use serde_json::{Value, json};

use crate::support::{
    event,
    function::Function,
    local_aws::LocalAws,
    proxy::{Proxy, Reply},
    scenes::{EXPIRES, VARIABLES, rfc3339},
    world::{World, ask, codes},
};

const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: golden
    requesters: ["lambda:invoke", "arn:aws:iam::999988887777:role/portal", "events:999988887777:com.example.pipeline", "sqs:arn:aws:sqs:eu-west-1:999988887777:requests", "sqs:arn:aws:sqs:eu-west-1:999988887777:requests.fifo"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["golden-*"]}
    targets: ["111122223333", "222233334444", "333344445555", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]
    access: copy
    keys: grant
"#;
const ONE: &str = "111122223333";
const TWO: &str = "222233334444";
const THREE: &str = "333344445555";
const DESCRIBE_ATTRIBUTE: &str = "ec2:DescribeImageAttribute";

fn owner_only() -> Value {
    open_to(&[])
}

/// The outcome in an invocation error.
#[track_caller]
fn failure(answer: Result<Value, Value>) -> Value {
    let error = answer.expect_err("an invocation error");
    serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap()
}

fn states(outcome: &Value) -> Vec<&str> {
    let rows = outcome["images"].as_array().unwrap().iter().flat_map(|image| image["targets"].as_array().unwrap());
    rows.map(|row| row["state"].as_str().unwrap()).collect()
}

#[test]
fn a_revoke_that_could_not_read_what_still_gives_access_says_so_and_keeps_the_record_where_it_may_be_read_later() {
    let world = World::with_records(ALLOWLIST, &[]);
    let image = |name: &str| {
        let id = world.aws.image(json!({"name": name, "mappings": [{"device": "/dev/xvda", "snapshot": {}}]}));
        world.completed(&ask("share", &id, json!({"accountIds": [ONE], "expiresAt": rfc3339(*EXPIRES)})));
        world.aws.seed(&json!({"images": [{"id": id, "name": name, "launchPermissions": [ONE, "all"]}]}));
        id
    };
    let schedules = |id: &str| world.aws.part_of_state(&json!({"ids": [id]}))["schedules"].as_object().unwrap().len();
    let revoke = |id: &str| ask("revoke", id, json!({"accountIds": [ONE]}));

    let throttled = image("golden-throttled");
    world.aws.seed(&json!({"faults": [{"call": DESCRIBE_ATTRIBUTE, "code": "RequestLimitExceeded", "status": 503, "message": "no", "times": 1000}]}));
    let outcome =
        failure(world.function.invoke_bytes(&revoke(&throttled).to_string(), std::time::Duration::from_secs(12)));
    world.aws.no_faults();
    assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("incomplete"), &json!(true)), "{outcome:#}");
    assert_eq!(states(&outcome), ["maybe-reachable"]);
    assert!(outcome["warnings"].to_string().contains("is not known: ec2:DescribeImageAttribute"), "{outcome:#}");
    assert_eq!(schedules(&throttled), 1, "whoever does it again finds the record");

    let denied = image("golden-denied");
    world.aws.seed(&json!({"faults": [{"call": DESCRIBE_ATTRIBUTE, "code": "UnauthorizedOperation", "status": 403, "message": "no", "times": 1000}]}));
    let outcome = world.function.invoke(&revoke(&denied)).unwrap();
    world.aws.no_faults();
    assert_eq!((&outcome["result"], states(&outcome)), (&json!("completed"), vec!["maybe-reachable"]), "{outcome:#}");
    assert!(outcome["warnings"].to_string().contains("is not known"), "{outcome:#}");

    let public = image("golden-public");
    let outcome = world.completed(&revoke(&public));
    assert_eq!((states(&outcome), schedules(&public)), (vec!["still-reachable"], 0));
    assert!(
        outcome["warnings"].to_string().contains("the public launch permission still gives it access"),
        "{outcome:#}"
    );
}

#[test]
fn an_organizations_entry_that_may_cover_the_target_is_named_in_a_warning() {
    let world = World::start(ALLOWLIST, &[]);
    let organization = "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5";
    let image = world.aws.image(json!({"name": "golden-1", "launchPermissions": [ONE, organization, THREE]}));
    let outcome = world.completed(&ask("revoke", &image, json!({"accountIds": [ONE]})));
    assert_eq!(states(&outcome), ["maybe-reachable"]);
    let warnings = outcome["warnings"].to_string();
    assert!(
        warnings.contains(&format!("{organization} may still give it access")) && !warnings.contains(THREE),
        "{warnings}"
    );
}

#[test]
fn who_may_copy_anothers_snapshot_is_not_known_rather_than_nobody() {
    let world = World::start(ALLOWLIST, &[]);
    // One that EC2 shows to this account, and one that it does not.
    for (shown, words) in [(json!(["999988887777"]), "owns the snapshot"), (json!([]), "EC2 does not describe")] {
        let image = world.aws.image(json!({"name": "golden-1", "mappings": [
            {"device": "/dev/xvda", "snapshot": {"account": TWO, "createVolumePermissions": shown}},
            {"device": "/dev/sdb", "snapshot": {}},
        ]}));
        let outcome = world.completed(&ask("list", &image, json!({})));
        let copy = outcome["images"][0]["permissions"]["copy"].as_array().unwrap();
        assert_eq!(copy.iter().filter(|row| row["accountIds"].is_null()).count(), 1, "{outcome:#}");
        assert_eq!(copy.iter().filter(|row| row["accountIds"] == json!([])).count(), 1, "{outcome:#}");
        assert!(outcome["warnings"].to_string().contains(words), "{outcome:#}");
    }
    let image = world.aws.image(json!({"name": "golden-1", "mappings": [{"device": "/dev/xvda", "snapshot": {}}]}));
    world.aws.fault("ec2:DescribeSnapshotAttribute", "UnauthorizedOperation", 403, 1);
    let outcome = world.completed(&ask("list", &image, json!({})));
    assert_eq!(outcome["images"][0]["permissions"]["copy"][0]["accountIds"], Value::Null, "{outcome:#}");
}

#[test]
fn a_launch_permission_of_an_unknown_kind_is_shown_and_hides_no_other() {
    let aws = LocalAws::turn();
    let proxy = Proxy::start(aws.address);
    let function = Function::start(&proxy.endpoint, ALLOWLIST, &[]);
    let image = aws.image(json!({"name": "golden-1", "launchPermissions": [ONE, "all"]}));
    proxy.rule(|_, aws| {
        let mut answer = aws();
        answer.body = answer.body.replace("<group>all</group>", "<group>partners</group>");
        Reply::Answer(answer)
    });
    let outcome = function.invoke(&ask("list", &image, json!({}))).unwrap();
    let launch = &outcome["images"][0]["permissions"]["launch"];
    assert_eq!(*launch, json!([{"type": "account", "id": ONE}, {"type": "unknown", "id": "partners"}]), "{outcome:#}");
    assert!(outcome["warnings"].to_string().contains("`partners`"), "{outcome:#}");
    let outcome = function.invoke(&ask("revoke", &image, json!({"accountIds": [ONE]}))).unwrap();
    assert_eq!((&outcome["result"], states(&outcome)), (&json!("completed"), vec!["maybe-reachable"]), "{outcome:#}");
}

#[test]
fn of_several_images_those_that_may_be_looked_at_are_and_the_others_are_refused_beside_them() {
    let world = World::start(ALLOWLIST, &[]);
    let golden = world.aws.image(json!({"name": "golden-1"}));
    let foreign = world.aws.image(json!({"name": "golden-2", "account": TWO, "launchPermissions": ["all"]}));
    let silver = world.aws.image(json!({"name": "silver-1"}));
    let missing = "ami-00000000000000000";
    for (images, status, expect) in [
        (vec![&*golden, missing], 200, vec!["ImageNotFound"]),
        (vec![&golden, &foreign, &silver], 200, vec!["ImageNotOwned", "ImageNotAllowed"]),
        (vec![missing, &foreign], 404, vec!["ImageNotFound", "ImageNotOwned"]),
        (vec![&foreign, missing, &silver], 403, vec!["ImageNotOwned", "ImageNotFound", "ImageNotAllowed"]),
    ] {
        for action in [json!({"action": "list"}), json!({"action": "check", "accountIds": [ONE]})] {
            let mut request = action.clone();
            request["imageIds"] = json!(images);
            let mut event = event("rest-request-list", &golden);
            event["body"] = json!(request.to_string());
            let (told, _, outcome) = world.function.http(&event);
            assert_eq!((told, codes(&outcome)), (status, expect.clone()), "{request}: {outcome:#}");
            assert_eq!(outcome["images"].as_array().unwrap().len(), usize::from(status == 200), "{outcome:#}");
        }
    }
}

#[test]
fn a_share_of_a_pending_image_comes_again_from_a_queue_or_a_bus_and_is_told_to_others() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(json!({"name": "golden-1", "state": "pending"}));
    let share = ask("share", &image, json!({"accountIds": [ONE]}));
    let outcome = world.function.invoke(&share).unwrap();
    assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("refused"), &json!(true)), "{outcome:#}");

    let mut http = event("rest-request-share", &image);
    http["body"] = json!(share.to_string());
    let (status, headers, _) = world.function.http(&http);
    assert_eq!((status, headers["retry-after"].is_string()), (409, true), "{headers}");

    let mut bus = event("eventbridge-share", &image);
    bus["detail"] = share.clone();
    assert_eq!(world.function.invoke(&bus).unwrap_err()["errorType"], "ImageNotAvailable");

    let mut batch = event("sqs-fifo", &image);
    let record = batch["Records"][0].clone();
    let message = |id: &str, body: &Value| {
        let mut record = record.clone();
        record["messageId"] = json!(id);
        record["body"] = json!(body.to_string());
        record
    };
    let list = ask("list", &image, json!({}));
    batch["Records"] = json!([message("a", &list), message("b", &share), message("c", &list)]);
    let again = json!({"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "c"}]});
    assert_eq!(world.function.invoke(&batch).unwrap(), again, "a FIFO queue stops at it");

    // A refusal for good beside it: asking again would not help.
    let mixed = ask("share", &image, json!({"accountIds": [ONE, "777788889999"]}));
    bus["detail"] = mixed;
    assert_eq!(world.function.invoke(&bus).unwrap()["retryable"], false);
}

#[test]
fn an_image_that_is_pending_when_it_is_written_to_comes_again() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(json!({"name": "golden-1"}));
    let pending = json!({"call": "ec2:ModifyImageAttribute", "code": "InvalidAMIID.Unavailable", "status": 400,
        "message": "The image ID 'ami-1' is currently pending", "times": 1000});
    world.aws.seed(&json!({"faults": [pending]}));
    let outcome = failure(world.function.invoke(&ask("share", &image, json!({"accountIds": [ONE]}))));
    world.aws.no_faults();
    assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("failed"), &json!(true)), "{outcome:#}");
}

#[test]
fn an_account_that_ec2_does_not_know_is_named_and_keeps_the_others_from_nothing() {
    let world = World::with_records(ALLOWLIST, &[]);
    for names in [true, false] {
        world.aws.seed(&json!({"settings": {"unknownAccounts": [TWO], "namesUnknown": names}}));
        for access in ["launch", "copy"] {
            let image =
                world.aws.image(json!({"name": "golden-1", "mappings": [{"device": "/dev/xvda", "snapshot": {}}]}));
            let more = json!({"accountIds": [ONE, TWO, THREE], "access": access});
            let outcome = failure(world.function.invoke(&ask("share", &image, more)));
            assert_eq!(world.launch(&image), [ONE, THREE], "{outcome:#}");
            let copied = if access == "copy" { vec![vec![ONE, THREE]] } else { vec![vec![]] };
            assert_eq!(world.copy(&image), copied);
            assert_eq!(
                (&outcome["result"], &outcome["retryable"]),
                (&json!("incomplete"), &json!(false)),
                "{outcome:#}"
            );
            assert_eq!(states(&outcome), ["shared", "failed", "shared"], "{outcome:#}");
            let errors = outcome["errors"].as_array().unwrap();
            assert_eq!((errors.len(), &errors[0]["code"]), (1, &json!("TargetNotKnown")), "{outcome:#}");
            assert!(errors[0]["message"].to_string().contains(TWO), "{outcome:#}");
            let failed =
                outcome["images"][0]["steps"].as_array().unwrap().iter().find(|step| step["state"] == "failed");
            assert_eq!(failed.unwrap()["add"], json!([TWO]));
        }
    }
    // Alone it is a failure, and nothing was changed.
    let image = world.aws.image(json!({"name": "golden-1"}));
    let outcome = failure(world.function.invoke(&ask("share", &image, json!({"accountIds": [TWO]}))));
    assert_eq!(outcome["result"], "failed", "{outcome:#}");
    // It does not keep access from being taken away from others.
    let image = world.aws.image(json!({"name": "golden-1", "launchPermissions": [ONE, THREE]}));
    failure(world.function.invoke(&ask("revoke", &image, json!({"accountIds": [ONE, TWO, THREE]}))));
    assert_eq!(world.launch(&image), [""; 0]);
}

#[test]
fn an_instance_store_image_can_be_launched_from_and_not_be_copied() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(json!({"name": "golden-1", "rootDeviceType": "instance-store"}));
    let share = |access: &str| ask("share", &image, json!({"accountIds": [ONE], "access": access}));
    assert_eq!(codes(&world.refused(&share("copy"))), ["CopyNotPossible"]);
    world.completed(&share("launch"));
}

#[test]
fn an_empty_configuration_is_not_taken_for_an_unchanged_one() {
    let aws = LocalAws::turn();
    let place = json!({"application": "ami-share", "environment": "prod", "profile": "allowlist", "content": ""});
    aws.seed(&json!({"configurations": [place]}));
    let location = [("AMI_SHARE_ALLOWLIST", "appconfig:ami-share/prod/allowlist")];
    let function = Function::start(aws.endpoint, ALLOWLIST, &location);
    let error = function.invoke(&ask("list", "ami-00000000000000000", json!({}))).unwrap_err();
    assert_eq!(error["errorType"], "AllowlistUnavailable");
    assert!(function.log().contains("the configuration that is deployed there is empty"), "{}", function.log());
}

#[test]
fn however_many_grants_a_target_made_a_revoke_finds_ours_and_sums_the_others_up() {
    let world = World::start(ALLOWLIST, &VARIABLES);
    let made = |number: usize| json!({"grantee": format!("arn:aws:iam::{ONE}:role/r{number}"), "name": "passed-on", "operations": ["Decrypt"], "issuingAccount": ONE});
    let key = json!({"ref": "key", "policy": owner_only(), "grants": (0..350).map(made).collect::<Vec<_>>()});
    let image = json!({"name": "golden-1", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": "key"}}]});
    let seeded = world.aws.seed(&json!({"keys": [key], "images": [image]}));
    let image = seeded["images"][0]["imageId"].as_str().unwrap();
    world.completed(&ask("share", image, json!({"accountIds": [ONE]})));
    assert_eq!(world.grants(image).len(), 1);
    let outcome = world.completed(&ask("revoke", image, json!({"accountIds": [ONE]})));
    assert_eq!((world.grants(image).len(), world.grants("passed-on").len()), (0, 350));
    let warnings = outcome["warnings"].as_array().unwrap();
    let told: Vec<_> =
        warnings.iter().filter(|warning| warning.as_str().unwrap().contains("passed its access on")).collect();
    assert_eq!(told.len(), 1, "{outcome:#}");
    assert!(told[0].as_str().unwrap().contains("350 grants"), "{}", told[0]);

    // Where the pages after the first can't be read, ours are found by whom they are for.
    world.completed(&ask("share", image, json!({"accountIds": [ONE]})));
    let fault = json!({"call": "kms:ListGrants", "code": "AccessDeniedException", "status": 400, "message": "no", "holding": "\"Marker\"", "times": 1000});
    world.aws.seed(&json!({"faults": [fault]}));
    let answer = world.function.invoke(&ask("revoke", image, json!({"accountIds": [ONE]})));
    world.aws.no_faults();
    let outcome = answer.unwrap();
    assert_eq!(outcome["result"], "completed", "no rule makes grants that these could hide: {outcome:#}");
    assert!(outcome["warnings"].to_string().contains("not every grant on"), "{outcome:#}");
    assert_eq!(world.grants(image).len(), 0);
}

#[test]
fn a_key_with_more_grants_than_there_is_time_for_keeps_no_revoke_from_its_answer() {
    let aws = LocalAws::turn();
    let proxy = Proxy::start(aws.address);
    let function = Function::start(&proxy.endpoint, ALLOWLIST, &[]);
    let image = aws.image(json!({"name": "golden-1", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": {"policy": owner_only()}}}]}));
    assert_eq!(function.invoke(&ask("share", &image, json!({"accountIds": [ONE]}))).unwrap()["result"], "completed");
    // Page after page of what the target made; the list of a grantee is as it is.
    proxy.rule(|call, aws| {
        let mut answer = aws();
        if call.name == "kms:ListGrants" && !call.body.contains("GranteePrincipal") {
            std::thread::sleep(std::time::Duration::from_millis(100));
            let made = |n: usize| {
                json!({"GrantId": format!("g{n}"), "IssuingAccount": format!("arn:aws:iam::{ONE}:root"),
                "GranteePrincipal": format!("arn:aws:iam::{ONE}:role/r"), "Operations": ["Decrypt"]})
            };
            let grants: Vec<_> = (0..100).map(made).collect();
            answer.body = json!({"Grants": grants, "Truncated": true, "NextMarker": "more"}).to_string();
        }
        Reply::Answer(answer)
    });
    let mut http = event("rest-request-revoke", &image);
    http["body"] = json!(ask("revoke", &image, json!({"accountIds": [ONE]})).to_string());
    let (status, _, outcome) = function.http_within(&http, std::time::Duration::from_secs(10));
    assert_eq!((status, &outcome["result"]), (200, &json!("completed")), "{outcome:#}");
    assert_eq!(aws.state()["images"][&image]["launchPermissions"], json!([]));
    let grants = aws.state()["grants"].to_string();
    assert!(!grants.contains(&format!("ami-share/{image}")), "{grants}");
    assert!(outcome["warnings"].as_array().unwrap().len() <= 3, "{outcome:#}");
    assert!(outcome["warnings"].to_string().contains("not every grant on"), "{outcome:#}");
}

#[test]
fn a_check_of_a_share_whose_grants_were_revoked_by_hand_says_so_and_sharing_again_mends_it() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(json!({"name": "golden-1", "mappings": [
        {"device": "/dev/xvda", "snapshot": {"key": {"policy": owner_only()}}},
    ]}));
    let share = ask("share", &image, json!({"accountIds": [ONE]}));
    let told = |outcome: &Value| {
        let (target, key) = (&outcome["images"][0]["targets"][0], &outcome["images"][0]["keys"][0]);
        json!([target["state"], target["launch"], target["accepted"], key["verdict"], key["grant"]])
    };
    let check = || told(&world.completed(&ask("check", &image, json!({"accountIds": [ONE]}))));
    assert_eq!(check(), json!(["not-shared", "not", true, "allowed", "planned"]));
    assert_eq!(told(&world.completed(&share)), json!(["shared", "really", null, "allowed", "present"]));
    assert_eq!(check(), json!(["shared", "really", true, "allowed", "present"]));

    world.aws.seed(&json!({"images": [{"id": image, "name": "golden-1", "launchPermissions": [ONE], "mappings": [
        {"device": "/dev/xvda", "snapshot": {"key": {"policy": owner_only()}}},
    ]}]}));
    assert_eq!(check(), json!(["shared", "not", true, "missing", "planned"]));
    let outcome = world.completed(&share);
    assert_eq!(told(&outcome), json!(["shared", "really", null, "allowed", "present"]), "{outcome:#}");
    assert_eq!(world.aws.writes(), ["kms:CreateGrant"]);
    assert_eq!(check(), json!(["shared", "really", true, "allowed", "present"]));
}

#[test]
fn what_is_wrong_is_told_where_the_caller_wrote_it() {
    const TRIAL: &str = r#"
version: 1
rules:
  - name: trial
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [share, check]
    images: {names: ["golden-*"]}
    targets: ["111122223333"]
    maxDuration: 30d
"#;
    let world = World::with_records(TRIAL, &[]);
    let image = world.aws.image(json!({"name": "golden-1"}));
    let place = |event: &Value| {
        let outcome = world.function.http(event).2;
        let refusal = &outcome["refusals"][0];
        json!([refusal["code"], refusal["pointer"], refusal["parameter"]])
    };
    let check = |target: &str, query: Value| {
        let mut event = event("rest-check", &image);
        event["pathParameters"]["target"] = json!(target);
        event["queryStringParameters"] = query;
        place(&event)
    };
    assert_eq!(check(ONE, Value::Null), json!(["ExpiryRequired", null, "expiresAt"]));
    assert_eq!(check(TWO, Value::Null), json!(["TargetNotAllowed", null, "target"]));
    assert_eq!(check("o-a1b2c3d4e5", Value::Null), json!(["TargetNotFound", null, "target"]));
    assert_eq!(check("1", Value::Null), json!(["MalformedRequest", null, "target"]));
    let query = json!({"access": "copy", "expiresAt": rfc3339(*EXPIRES)});
    assert_eq!(check(ONE, query), json!(["AccessNotAllowed", null, "access"]));
    assert_eq!(check(ONE, json!({"force": "true"})), json!(["MalformedRequest", null, "force"]));
    let share = |body: Value| {
        let mut event = event("rest-share", &image);
        event["body"] = json!(body.to_string());
        place(&event)
    };
    assert_eq!(share(json!({"accountIds": [ONE]})), json!(["ExpiryRequired", "/expiresAt", null]));
    assert_eq!(share(json!({"accountIds": [TWO]})), json!(["TargetNotAllowed", "/accountIds/0", null]));
    let missing = event("rest-check", "ami-00000000000000000");
    assert_eq!(place(&missing), json!(["ImageNotFound", null, "imageId"]));
    let list = event("rest-list", &image);
    assert_eq!(place(&list), json!(["ActionNotAllowed", null, null]), "the route says the action");
}
