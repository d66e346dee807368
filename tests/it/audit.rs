//! What is not as the allowlist says shows up in an audit, what is legitimate doesn't, and a repair mends no more than
//! this function's own: grants for shares that aren't there, and shares that are overdue.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ami_share_testing::key_policies::open_to;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::support::{
    fault_kinds::fault_of_aws,
    function::Function,
    local_aws::LocalAws,
    proxy::{Proxy, Reply},
    scenes::{VARIABLES, record},
    world::{World, ask},
};

const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: auditor
    requesters: ["lambda:invoke", "events:999988887777:ami-share.audit", "arn:aws:iam::999988887777:role/portal"]
    actions: [audit, repair]
    images: all
  - name: golden
    requesters: ["lambda:invoke"]
    actions: [share, revoke]
    images: {names: ["golden-*"]}
    targets: ["111122223333"]
    keys: grant
    access: copy
  - name: golden-launch
    requesters: ["lambda:invoke"]
    actions: [share, revoke]
    images: {names: ["golden-*"]}
    targets: ["222233334444"]
  - name: trial
    requesters: ["lambda:invoke"]
    actions: [share, revoke]
    images: {names: ["trial-*"]}
    targets: ["111122223333"]
    maxDuration: 30d
  - name: by-itself
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["auto-*"]}
    targets: ["111122223333", "999988887777"]
    onAvailable: true
  - name: portal-audits-golden-only
    requesters: ["sqs:arn:aws:sqs:eu-west-1:999988887777:requests.fifo"]
    actions: [audit]
    images: {names: ["golden-*"]}
"#;

/// The bus on which the rest of an audit is put, and the hints of records.
const BUS: &str = "default";

/// A function that can record expiries and send the rest of an audit on its way.
fn world() -> World {
    World::with_records(ALLOWLIST, &[("AMI_SHARE_REQUEST_BUS", BUS)])
}

impl World {
    /// What an audit finds, as `code image target`, sorted.
    #[track_caller]
    fn audit(&self) -> Vec<String> {
        let outcome = self.outcome(&json!({"action": "audit"}));
        assert_eq!((&outcome["result"], &outcome["images"]), (&json!("completed"), &json!([])), "{outcome:#}");
        assert_eq!(self.aws.writes(), [""; 0], "an audit writes nothing");
        found(&outcome)
    }

    #[track_caller]
    fn share(&self, image: &str, more: Value) {
        let mut request = ask("share", image, more);
        request["accountIds"] = json!(["111122223333"]);
        self.completed(&request);
    }

    /// Puts the record of an expiry there, so long ago or ahead.
    fn seed_record(&self, image: &str, target: &str, ahead: Duration, key: Option<&str>) -> String {
        let at = (OffsetDateTime::now_utc() + ahead).replace_nanosecond(0).unwrap();
        let keys: Vec<_> = key.into_iter().collect();
        let mut record = record(image, target, at, &[], &keys);
        record["bus"] = json!(BUS);
        self.aws.seed(&json!({"schedules": [record]}));
        record["name"].as_str().unwrap().to_owned()
    }
}

/// The Names of all grants, sorted.
fn names(world: &World) -> Vec<String> {
    world.grants("").iter().map(|grant| grant.split(' ').next().unwrap().to_owned()).collect()
}

fn found(outcome: &Value) -> Vec<String> {
    let findings = outcome["findings"].as_array().unwrap_or_else(|| panic!("no findings: {outcome:#}"));
    let mut found: Vec<_> = findings
        .iter()
        .map(|finding| {
            let text = |field: &str| finding[field].as_str().unwrap_or("-").to_owned();
            assert!(!text("remedy").is_empty() && text("message").contains(&text("imageId")), "{finding:#}");
            [text("code"), text("imageId"), text("target")].join(" ")
        })
        .collect();
    found.sort();
    found
}

/// A key that only its own account may use, with grants on it.
fn key(grants: Value) -> Value {
    json!({"ref": "key", "policy": open_to(&[]), "grants": grants})
}

fn grant(image: &str, account: &str) -> Value {
    json!({"name": format!("ami-share/{image}/{account}"), "grantee": format!("arn:aws:iam::{account}:root"),
        "operations": ["Decrypt"]})
}

fn plain(name: &str, launch: &[&str]) -> Value {
    json!({"name": name, "mappings": [{"device": "/dev/xvda", "snapshot": {}}], "launchPermissions": launch})
}

#[test]
fn what_was_shared_through_this_function_is_no_finding() {
    let world = world();
    let made = world.aws.seed(&json!({"keys": [key(json!([]))], "images": [
        {"name": "golden-encrypted", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": "key"}}]},
        plain("golden-plain", &[]), plain("trial-plain", &[]), plain("nobodys", &[]), plain("golden-by-hand", &["222233334444"])]}));
    let image = |index: usize| made["images"][index]["imageId"].as_str().unwrap().to_owned();
    world.share(&image(0), json!({"access": "copy"}));
    world.share(&image(1), json!({"access": "copy"}));
    let later = (OffsetDateTime::now_utc() + Duration::days(2)).format(&Rfc3339).unwrap();
    world.share(&image(2), json!({"expiresAt": later}));
    assert_eq!(world.audit(), [""; 0]);
}

#[test]
fn each_kind_of_drift_is_found_and_named() {
    let world = world();
    let gone = "ami-00000000000000bad";
    let made = world.aws.seed(&json!({"keys": [key(json!([grant(gone, "111122223333"), {"name": "by-hand", "grantee": "arn:aws:iam::111122223333:root", "operations": ["Decrypt"]}]))],
        "images": [
            plain("golden-stray", &["111122223333", "333344445555"]),
            plain("other-public", &["all"]),
            {"name": "golden-left", "mappings": [{"device": "/dev/xvda", "snapshot": {"createVolumePermissions": ["333344445555"]}}]},
            {"name": "golden-lost", "launchPermissions": ["111122223333"], "mappings": [{"device": "/dev/xvda", "snapshot": {"key": "key"}}]},
            plain("auto-new", &[]),
            plain("trial-for-good", &["111122223333"]),
            {"name": "golden-copied", "launchPermissions": ["222233334444"],
                "mappings": [{"device": "/dev/xvda", "snapshot": {"createVolumePermissions": ["222233334444"]}}]},
            plain("golden-late", &["111122223333"]),
            {"name": "other-open", "mappings": [{"device": "/dev/xvda", "snapshot": {"createVolumePermissions": ["all"]}}]},
            {"name": "auto-disabled", "state": "disabled", "mappings": [{"device": "/dev/xvda", "snapshot": {}}]},
        ]}));
    let image = |index: usize| made["images"][index]["imageId"].as_str().unwrap().to_owned();
    world.seed_record(&image(7), "111122223333", Duration::hours(-1), None);
    world.seed_record(&image(0), "111122223333", Duration::hours(1), None);
    let mut expect = [
        format!("SharedOutsideAllowlist {} 333344445555", image(0)),
        format!("PublicImage {} -", image(1)),
        format!("SnapshotPermissionLeft {} 333344445555", image(2)),
        format!("KeyAccessLost {} 111122223333", image(3)),
        format!("RuleNotApplied {} 111122223333", image(4)),
        format!("ExpiryMissing {} 111122223333", image(5)),
        format!("SharedOutsideAllowlist {} 222233334444", image(6)),
        format!("ShareOverdue {} 111122223333", image(7)),
        format!("PublicImage {} -", image(8)),
        format!("GrantLeft {gone} 111122223333"),
    ];
    expect.sort();
    assert_eq!(world.audit(), expect);
    let log = world.function.log();
    assert_eq!(log.lines().filter(|line| line.contains("\"finding.code\"")).count(), expect.len(), "one line each");
}

#[test]
fn what_another_image_on_the_snapshot_needs_is_not_left() {
    let world = world();
    let made = world.aws.seed(&json!({
        "snapshots": [{"ref": "both", "createVolumePermissions": ["111122223333", "333344445555"]}],
        "images": [
            {"name": "golden-one", "launchPermissions": ["111122223333"], "mappings": [{"device": "/dev/xvda", "snapshot": "both"}]},
            {"name": "golden-two", "mappings": [{"device": "/dev/xvda", "snapshot": "both"}]}]}));
    let mut expect: Vec<_> = [0, 1]
        .map(|index| {
            format!("SnapshotPermissionLeft {} 333344445555", made["images"][index]["imageId"].as_str().unwrap())
        })
        .to_vec();
    expect.sort();
    assert_eq!(world.audit(), expect);
}

#[test]
fn a_repair_revokes_our_own_orphans_and_ends_what_is_overdue() {
    let world = world();
    let gone = "ami-00000000000000bad";
    let made = world.aws.seed(&json!({"keys": [key(json!([]))], "images": [
        {"name": "golden-shared", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": "key"}}]},
        {"name": "golden-unshared", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": "key", "createVolumePermissions": ["333344445555"]}}]},
        plain("golden-late", &["111122223333", "222233334444"]),
        plain("other-public", &["all"])]}));
    let image = |index: usize| made["images"][index]["imageId"].as_str().unwrap().to_owned();
    let arn = made["keys"][0]["arn"].as_str().unwrap().to_owned();
    world.share(&image(0), json!({}));
    let foreign = "111122223333";
    let on_key = |name: &str, issuer: Option<&str>| {
        let mut grant = json!({"name": name, "grantee": "arn:aws:iam::111122223333:root", "operations": ["Decrypt"]});
        if let Some(issuer) = issuer {
            grant["issuingAccount"] = json!(issuer);
        }
        grant
    };
    // A second key behind the unshared image, with what may and what may not be touched.
    let second = world.aws.seed(&json!({"keys": [{"ref": "second", "policy": key(json!([]))["policy"], "grants": [
            on_key(&format!("ami-share/{}/333344445555/autoscaling", image(1)), None),
            on_key(&format!("ami-share/{gone}/111122223333"), None),
            on_key("by-hand", None),
            on_key(&format!("ami-share/{}/not-an-account", image(1)), None),
            on_key(&format!("ami-share/{}/444455556666", image(1)), Some(foreign)),
        ]}],
        "images": [{"name": "golden-second", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": "second"}},
                                                          {"device": "/dev/xvdb", "snapshot": {"key": arn}}]}]}));
    let second_image = second["images"][0]["imageId"].as_str().unwrap().to_owned();
    let schedule = world.seed_record(&image(2), "111122223333", Duration::hours(-1), None);
    let not_due = world.seed_record(&image(2), "222233334444", Duration::hours(1), None);
    let before = names(&world);

    let plan = world.outcome(&json!({"action": "repair", "dryRun": true}));
    assert_eq!(plan["result"], "planned", "{plan:#}");
    assert_eq!(world.aws.writes(), [""; 0]);
    assert_eq!(names(&world), before);

    let outcome = world.outcome(&json!({"action": "repair"}));
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    let left = names(&world);
    let taken: Vec<_> = before.iter().filter(|name| !left.contains(name)).cloned().collect();
    // The grant named after the unshared image stands on a key that isn't behind it: the image is there, and its own
    // keys are asked about it.
    assert_eq!(taken, [format!("ami-share/{gone}/111122223333")], "{second_image} {left:?}");
    let state = world.aws.state();
    assert_eq!(state["images"][image(2)]["launchPermissions"], json!(["222233334444"]));
    let schedules: Vec<_> = state["schedules"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(schedules, [format!("default/{not_due}")], "{schedule} is gone with its share");
    assert_eq!(state["images"][image(3)]["launchPermissions"], json!(["all"]), "what is not ours is only reported");
    assert_eq!(state["images"][image(0)]["launchPermissions"], json!(["111122223333"]));

    let again = world.outcome(&json!({"action": "repair"}));
    assert_eq!((&again["result"], world.aws.writes().len()), (&json!("completed"), 0), "{again:#}");

    // The earlier record of a renewed share is overdue, and the share is not.
    let earlier = world.seed_record(&image(2), "222233334444", Duration::hours(-1), None);
    let outcome = world.completed(&json!({"action": "repair"}));
    assert!(!found(&outcome).iter().any(|finding| finding.starts_with("ShareOverdue")), "{outcome:#}");
    let state = world.aws.state();
    let records: Vec<_> = state["schedules"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(records, [format!("default/{not_due}")], "{earlier} is deleted");
    assert_eq!(state["images"][image(2)]["launchPermissions"], json!(["222233334444"]));
}

#[test]
fn an_orphaned_grant_of_an_image_that_is_there_is_revoked() {
    let world = world();
    let made = world.aws.seed(&json!({"images": [{"id": "ami-00000000000000abc", "name": "golden-orphan",
        "mappings": [{"device": "/dev/xvda", "snapshot": {"key": key(json!([
            grant("ami-00000000000000abc", "111122223333"), grant("ami-00000000000000abc", "222233334444")]))}}],
        "launchPermissions": ["222233334444"]}]}));
    let image = made["images"][0]["imageId"].as_str().unwrap();
    assert!(world.audit().contains(&format!("GrantLeft {image} 111122223333")));
    let outcome = world.outcome(&json!({"action": "repair"}));
    assert_eq!(outcome["images"][0]["steps"][0]["call"], "kms:RevokeGrant", "{outcome:#}");
    assert_eq!(names(&world), ["ami-share/ami-00000000000000abc/222233334444"]);
}

#[test]
fn records_that_outlived_their_images_are_worked_off() {
    let world = world();
    let gone = "ami-00000000000000bad";
    let made = world.aws.seed(&json!({"keys": [key(json!([grant(gone, "111122223333")]))]}));
    world.seed_record(gone, "111122223333", Duration::hours(-1), made["keys"][0]["arn"].as_str());
    assert_eq!(world.audit(), [format!("GrantLeft {gone} 111122223333"), format!("ShareOverdue {gone} 111122223333")]);
    let outcome = world.outcome(&json!({"action": "repair"}));
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert_eq!((names(&world), &world.aws.state()["schedules"]), (vec![], &json!({})));
}

#[test]
fn an_audit_looks_at_what_its_rule_is_about() {
    let world = world();
    world.aws.seed(&json!({"images": [plain("other-public", &["all"])]}));
    let golden = world.aws.image(plain("golden-public", &["all"]));
    let mut batch: Value = serde_json::from_str(include_str!("../../events/sqs-fifo.json")).unwrap();
    batch["Records"].as_array_mut().unwrap().truncate(1);
    batch["Records"][0]["body"] = json!(json!({"action": "audit"}).to_string());
    batch["Records"][0]["eventSourceARN"] = json!("arn:aws:sqs:eu-west-1:999988887777:requests.fifo");
    batch["Records"][0]["attributes"]["SentTimestamp"] =
        json!((OffsetDateTime::now_utc().unix_timestamp() * 1000).to_string());
    assert_eq!(world.outcome(&batch), json!({"batchItemFailures": []}));
    let log = world.function.log();
    let findings: Vec<_> = log.lines().filter(|line| line.contains("\"finding.code\"")).collect();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(findings[0].contains(&golden), "{findings:#?}");
}

/// So many images take two reads of EC2 each, and five a second are made at most: never is an audit of all of them over
/// within [`TOO_SHORT`]. The first ten take a quarter of it.
const MANY: usize = 45;

/// See [`MANY`].
const TOO_SHORT: std::time::Duration = std::time::Duration::from_secs(19);

impl World {
    fn in_too_short_a_time(&self, request: &Value) -> Result<Value, Value> {
        self.aws.forget_calls();
        self.function.invoke_bytes(&request.to_string(), TOO_SHORT)
    }
}

#[test]
fn an_audit_goes_on_where_its_time_ran_out() {
    let world = world();
    let public = (2..MANY).map(|index| plain(&format!("other-{index}"), &["all"]));
    let gone = grant("ami-00000000000000bad", "111122223333");
    let on_key =
        |id: &str| json!({"id": id, "name": id, "mappings": [{"device": "/dev/xvda", "snapshot": {"key": "key"}}]});
    let images: Vec<_> =
        [on_key("ami-00000000000000001")].into_iter().chain(public).chain([on_key("ami-fffffffffffffffff")]).collect();
    let made = world.aws.seed(&json!({"keys": [key(json!([gone]))], "images": images}));

    let mut part = world.in_too_short_a_time(&json!({"action": "audit"})).unwrap();
    assert!(part["nextToken"].is_string(), "the audit was over: {part:#}");
    let mut all = found(&part);
    while let Some(token) = part["nextToken"].as_str() {
        part = world.outcome(&json!({"action": "audit", "nextToken": token}));
        all.append(&mut found(&part));
    }
    all.sort();
    let public = &made["images"].as_array().unwrap()[1..MANY - 1];
    let mut expect: Vec<_> =
        public.iter().map(|image| format!("PublicImage {} -", image["imageId"].as_str().unwrap())).collect();
    expect.push("GrantLeft ami-00000000000000bad 111122223333".to_owned());
    expect.sort();
    assert_eq!(all, expect, "nothing twice, the grant that two images' key tells of included, and nothing left out");
}

#[test]
fn an_audit_by_event_sends_its_own_rest_on_its_way() {
    let world = world();
    let images: Vec<_> = (0..MANY).map(|index| plain(&format!("other-{index}"), &[])).collect();
    world.aws.seed(&json!({"images": images}));
    let mut event: Value = serde_json::from_str(include_str!("../../events/eventbridge-share.json")).unwrap();
    event["source"] = json!("ami-share.audit");
    event["detail"] = json!({"action": "audit", "reason": "nightly", "rows": true});
    let part = world.in_too_short_a_time(&event).unwrap();
    let token = part["nextToken"].as_str().unwrap_or_else(|| panic!("the audit was over: {part:#}"));
    let put = world.aws.events();
    assert_eq!(put.len(), 1);
    let entry = &put[0];
    assert_eq!(
        (&entry["Source"], &entry["DetailType"], &entry["EventBusName"]),
        (&json!("ami-share.audit"), &json!("AMI Share Request"), &json!("default"))
    );
    let rest: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(
        rest,
        json!({"action": "audit", "nextToken": token, "dryRun": false, "reason": "nightly", "rows": true})
    );

    event["detail"] = rest;
    let end = world.outcome(&event);
    assert_eq!((&end["result"], &end["nextToken"]), (&json!("completed"), &Value::Null), "{end:#}");
    assert!(!world.aws.calls().contains(&"events:PutEvents".to_owned()));

    event["account"] = json!("111122223333");
    let foreign = world.outcome(&event);
    assert_eq!(foreign["refusals"][0]["code"], "RequesterNotAllowed");

    // Where the bus can't be reached Lambda is to try again; where the role may not, that would be in vain.
    event["account"] = json!("999988887777");
    event["detail"] = json!({"action": "audit"});
    world.aws.fault("events:PutEvents", "InternalException", 500, 100);
    let error = world.in_too_short_a_time(&event).unwrap_err();
    assert!(error["errorMessage"].as_str().unwrap().contains("events:PutEvents"), "{error:#}");
    world.aws.fault("events:PutEvents", "AccessDeniedException", 400, 100);
    let part = world.in_too_short_a_time(&event).unwrap();
    assert_eq!((&part["result"], part["nextToken"].is_string()), (&json!("completed"), true), "{part:#}");
    assert!(part["warnings"][0].as_str().unwrap().contains("were not audited"), "{part:#}");
    let log = world.function.log();
    let line = world.function.records().pop().unwrap().to_string();
    assert!(log.lines().rfind(|line| line.contains("_aws")).unwrap().contains("\"Unfinished\":1"), "{log}");
    assert!(line.contains("were not audited") && line.contains(part["nextToken"].as_str().unwrap()), "{line}");
}

#[test]
fn what_a_repair_cannot_mend_does_not_keep_it_from_the_rest() {
    let world = world();
    let [first, last] = ["ami-00000000000000001", "ami-fffffffffffffffff"];
    let with_grant =
        |id: &str| json!({"id": id, "name": id, "mappings": [{"device": "/dev/xvda", "snapshot": {"key": "key"}}]});
    let late = json!({"id": first, "name": first, "launchPermissions": ["111122223333"]});
    let between = (0..10).map(|index| plain(&format!("other-{index}"), &[]));
    let images: Vec<_> = [late].into_iter().chain(between).chain([with_grant(last)]).collect();
    world.aws.seed(&json!({"keys": [key(json!([grant(last, "111122223333")]))], "images": images}));
    world.seed_record(first, "111122223333", Duration::hours(-1), None);
    world.aws.fault("ec2:ModifyImageAttribute", "UnauthorizedOperation", 403, 100);
    let mut event: Value = serde_json::from_str(include_str!("../../events/eventbridge-share.json")).unwrap();
    event["source"] = json!("ami-share.audit");
    event["detail"] = json!({"action": "repair"});
    let error = world.function.invoke(&event).unwrap_err();
    let outcome: Value = serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("incomplete"), &json!(false)), "{outcome:#}");
    assert_eq!(outcome["errors"][0]["code"], "Denied", "{outcome:#}");
    assert_eq!(names(&world), [""; 0], "the last image's grant is revoked");
    assert_eq!(world.launch(first), ["111122223333"]);
    assert_eq!(
        world.aws.state()["schedules"].as_object().unwrap().len(),
        1,
        "what is left to do is still written down"
    );
}

/// More images that are gone than a repair asks EC2 about together, on a key that twelve images have.
#[test]
fn every_grant_of_a_gone_image_is_told_once_and_revoked_in_the_end() {
    let world = world();
    let grants: Vec<_> = (0..25).map(|n| grant(&format!("ami-00000000000000{n:03x}"), "111122223333")).collect();
    let image = |n: usize| json!({"id": format!("ami-{n:017}"), "name": "golden", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": "key"}}]});
    world.aws.seed(&json!({"keys": [key(json!(grants))], "images": (1_000..1_012).map(image).collect::<Vec<_>>()}));
    assert_eq!(world.audit().len(), 25);
    let plan = world.outcome(&json!({"action": "repair", "dryRun": true}));
    let found = found(&plan);
    assert_eq!((found.len(), plan["images"].as_array().unwrap().len()), (20, 20), "{plan:#}");
    assert!(plan["warnings"][0].as_str().unwrap().contains("send `repair` again"), "{plan:#}");
    let repaired = world.outcome(&json!({"action": "repair"}));
    assert_eq!(repaired["result"], "completed", "{repaired:#}");
    assert_eq!(names(&world), [""; 0], "the second ten images come upon the rest");
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_judged() {
    let world = world();
    let public = world.aws.image(plain("other-public", &["all"]));
    world.aws.seed(&json!({"images": [{"name": "golden-encrypted", "launchPermissions": ["111122223333"],
        "mappings": [{"device": "/dev/xvda", "snapshot": {"key": key(json!([]))}}]}]}));
    world.aws.fault("kms:ListGrants", "AccessDeniedException", 400, 50);
    let outcome = world.outcome(&json!({"action": "audit"}));
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert_eq!(found(&outcome), [format!("PublicImage {public} -")], "what depends on the grants is not guessed");
    assert!(outcome["warnings"][0].as_str().unwrap().contains("kms:ListGrants"), "{outcome:#}");
}

/// A fault that lasts, and that another try might have mended.
#[test]
fn what_cannot_be_read_of_one_image_keeps_no_other_from_being_looked_at() {
    let aws = LocalAws::turn();
    let proxy = Proxy::start(aws.address);
    let function = Function::start(&proxy.endpoint, ALLOWLIST, &VARIABLES);
    let [first, last] = ["ami-00000000000000001", "ami-fffffffffffffffff"];
    let with_id = |id: &str| json!({"id": id, "name": "other", "launchPermissions": ["all"]});
    let between = (0..12).map(|index| plain(&format!("other-{index}"), &[]));
    let on_key = json!({"id": "ami-00000000000000002", "name": "golden-1", "launchPermissions": ["111122223333"],
        "mappings": [{"device": "/dev/xvda", "snapshot": {"key": key(json!([]))}}]});
    let images: Vec<_> = [with_id(first), on_key].into_iter().chain(between).chain([with_id(last)]).collect();
    aws.seed(&json!({"schedules": [{"group": VARIABLES[0].1}], "images": images}));
    let fails = |what: &'static str| {
        proxy.rule(move |call, aws| {
            let body = &call.body;
            let is_it = call.name == what && (what.starts_with("kms:") || body.contains(first));
            if is_it { fault_of_aws(call, aws) } else { Reply::Answer(aws()) }
        });
    };
    for (call, image, expect) in [
        (
            "ec2:DescribeImageAttribute",
            first,
            vec!["KeyAccessLost ami-00000000000000002 111122223333".to_owned(), format!("PublicImage {last} -")],
        ),
        (
            "kms:GetKeyPolicy",
            "ami-00000000000000002",
            vec![format!("PublicImage {first} -"), format!("PublicImage {last} -")],
        ),
    ] {
        fails(call);
        let outcome = function.invoke(&json!({"action": "audit"})).unwrap();
        assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("completed"), &json!(false)), "{outcome:#}");
        assert_eq!((found(&outcome), &outcome["nextToken"]), (expect, &Value::Null), "{outcome:#}");
        let [warning] = outcome["warnings"].as_array().unwrap().as_slice() else { panic!("{outcome:#}") };
        let warning = warning.as_str().unwrap();
        assert!(
            warning.contains(&format!("not everything about {image} could be audited")) && warning.contains(call),
            "{warning}"
        );
    }
    // Where nothing can be read that is no fault of one image.
    proxy.rule(|call, aws| match call.name == "ec2:DescribeImageAttribute" {
        true => fault_of_aws(call, aws),
        false => Reply::Answer(aws()),
    });
    let error = function.invoke(&json!({"action": "audit"}));
    let text = format!("{error:?}");
    assert!(text.contains("failed") && text.contains("could be audited"), "{text}");
}

#[test]
fn a_key_with_too_many_grants_is_told_and_keeps_no_image_from_being_judged() {
    const KEYS: usize = 15;
    let aws = LocalAws::turn();
    let proxy = Proxy::start(aws.address);
    let function = Function::start(&proxy.endpoint, ALLOWLIST, &VARIABLES);
    let keys: Vec<_> =
        (0..KEYS).map(|n| json!({"ref": format!("key-{n}"), "policy": key(json!([]))["policy"]})).collect();
    let mappings: Vec<_> =
        (0..KEYS).map(|n| json!({"device": format!("/dev/sd{n}"), "snapshot": {"key": format!("key-{n}")}})).collect();
    let made = aws.seed(&json!({"schedules": [{"group": VARIABLES[0].1}], "keys": keys, "images": [
        {"name": "other-on-keys", "mappings": mappings}, plain("other-public", &["all"])]}));
    let (crowded, public) = (made["keys"][0]["arn"].clone(), made["images"][1]["imageId"].as_str().unwrap());
    let (of_rule, pages) = (crowded.as_str().unwrap().to_owned(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&pages);
    proxy.rule(move |call, aws| {
        let mut answer = aws();
        if call.name == "kms:ListGrants" && call.body.contains(&of_rule) {
            let page = counted.fetch_add(1, Ordering::SeqCst);
            answer.body = format!(r#"{{"Grants":[],"Truncated":true,"NextMarker":"page-{page}"}}"#);
            // That marker means nothing to the local AWS.
            answer.status = 200;
        }
        Reply::Answer(answer)
    });
    let outcome = function.invoke(&json!({"action": "audit"})).unwrap();
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert_eq!(found(&outcome), [format!("PublicImage {public} -")]);
    let [warning] = outcome["warnings"].as_array().unwrap().as_slice() else { panic!("{outcome:#}") };
    assert!(warning.as_str().unwrap().contains(crowded.as_str().unwrap()), "{warning}");
    assert_eq!(pages.load(Ordering::SeqCst), 150 / KEYS, "each key has its share of half a minute's pages");
}

#[test]
fn an_audit_asks_ec2_and_kms_five_times_a_second_at_most() {
    let world = world();
    world.aws.seed(&json!({"images": [plain("one", &[]), plain("two", &[])]}));
    let begun = std::time::Instant::now();
    world.audit();
    let elapsed = begun.elapsed();
    let reads = world.aws.calls().iter().filter(|call| !call.starts_with("scheduler:")).count();
    assert!(reads > 5, "{reads}");
    let at_least = std::time::Duration::from_millis(200) * u32::try_from(reads - 1).unwrap();
    assert!(elapsed >= at_least, "{reads} reads in {elapsed:?}");
}

#[test]
fn a_portal_audits_over_http() {
    let world = world();
    let public = world.aws.image(plain("other-public", &["all"]));
    let mut event: Value = serde_json::from_str(include_str!("../../events/rest-request-share.json")).unwrap();
    event["body"] = json!(json!({"action": "audit"}).to_string());
    let (status, _, body) = world.function.http(&event);
    assert_eq!((status, found(&body)), (200, vec![format!("PublicImage {public} -")]), "{body:#}");
}
