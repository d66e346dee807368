//! What a refusal says as data: where the fault is, which key, which statements, which values.

use ami_share_testing::{
    key_policies::{self, Statement as _, allow, deny, open_to, parsed},
    schemas::check_values,
    worlds::*,
};
use serde_json::{Value, json};
use sharing::{
    allowlist::Allowlist,
    decide::{Authority, admit},
    domain::Requester,
    facts::{Fact, Failure, ImageState},
    outcome::{Lasts, Refusal},
    request::Request,
};

fn refusals(world: &World, request: &Value) -> Vec<Refusal> {
    world.put(request, |case, facts| decide(case, facts).remove(0).refusals().to_vec())
}

/// The code, the place and the values of the first refusal.
#[track_caller]
fn check(world: &World, request: &Value, code: &str, pointer: Option<&str>, values: Value) -> Refusal {
    let refusal = refusals(world, request).remove(0);
    check_values(&refusal);
    let reported = (refusal.code.as_str(), refusal.pointer.as_deref(), json!(refusal.values));
    assert_eq!(reported, (code, pointer, values), "{refusal:#?}");
    refusal
}

fn share(more: Value) -> Value {
    let mut request = json!({"action": "share", "imageIds": [IMAGE], "accountIds": [ONE]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

const WHO: &str = "lambda:invoke";

#[test]
fn what_the_allowlist_does_not_cover_is_named_by_field_and_rule() {
    let golden = World::open("golden-1");
    let plain = share(json!({}));
    check(
        &World::open("silver-1"),
        &plain,
        "ActionNotAllowed",
        Some("/action"),
        json!({"requester": WHO, "action": "share", "rule": "mender"}),
    );
    let stray = share(json!({"accountIds": [ONE, "777788889999"]}));
    let values = json!({"requester": WHO, "action": "share"});
    check(&golden, &stray, "TargetNotAllowed", Some("/accountIds/1"), values);
    let trial = World::open("trial-1");
    let copy = share(json!({"access": "copy", "expiresAt": "2026-12-01T12:00:00Z"}));
    let values = json!({"requester": WHO, "rule": "trial", "access": "launch"});
    check(&trial, &copy, "AccessNotAllowed", Some("/access"), values);
    let roles = share(json!({"serviceLinkedRoles": ["autoscaling", "spot"]}));
    let values = json!({"requester": WHO, "rule": "grants", "roles": ["spot"], "allowed": ["autoscaling"]});
    check(&World::open("granted-1"), &roles, "RoleNotAllowed", Some("/serviceLinkedRoles/1"), values);
    // Without `keys: grant` a rule has no roles.
    let values = json!({"requester": WHO, "rule": "portal", "roles": ["autoscaling", "spot"], "allowed": []});
    check(&golden, &roles, "RoleNotAllowed", Some("/serviceLinkedRoles/0"), values);
    let values = json!({"requester": WHO, "rule": "trial", "maxDuration": "30d"});
    let refusal = check(&trial, &plain, "ExpiryRequired", Some("/expiresAt"), values);
    assert!(refusal.message.contains("prod-web (111122223333)") && refusal.message.contains("30d"), "{refusal:?}");
    let values = json!({"requester": WHO, "rule": "trial", "maxDuration": "30d", "given": "2027-02-01T12:00:00Z"});
    let late = share(json!({"expiresAt": "2027-02-01T12:00:00Z"}));
    check(&trial, &late, "ExpiryNotAllowed", Some("/expiresAt"), values);
}

#[test]
fn a_stranger_and_a_wrong_action_are_refused_before_anything_is_read() {
    let refusal = |requester: &str, action: &str| {
        let requester = Requester::new(requester.to_owned());
        let document = json!({"action": action, "imageIds": [IMAGE]}).to_string();
        let request = Request::parse(&key_policy::json::Json::parse(&document).unwrap(), NOW).unwrap();
        let world = World::open("golden-1");
        world.put_as(Authority::Requester(&requester), &request, |case, _| {
            let refusal = admit(case).remove(0);
            check_values(&refusal);
            (refusal.code.as_str(), refusal.pointer.clone(), json!(refusal.values))
        })
    };
    assert_eq!(refusal("sqs:x", "list"), ("RequesterNotAllowed", None, json!({"requester": "sqs:x"})));
    let portal = "arn:aws:iam::999988887777:role/portal";
    let values = json!({"requester": portal, "action": "reset"});
    assert_eq!(refusal(portal, "reset"), ("ActionNotAllowed", Some("/action".to_owned()), values));
}

#[test]
fn what_an_image_is_is_named_at_the_image() {
    let (open, plain) = (World::open("golden-1"), share(json!({})));
    let first = Some("/imageIds/0");
    let foreign = open.clone().with(|world| world.image.owner = account(TWO));
    check(&foreign, &plain, "ImageNotOwned", first, json!({}));
    let pending = open.clone().with(|world| world.image.state = ImageState::Pending);
    check(&pending, &plain, "ImageNotAvailable", first, json!({"state": "pending"}));
    let two = share(json!({"imageIds": ["ami-0000000f", IMAGE]}));
    check(&open, &two, "ImageNotFound", first, json!({}));
    let two = share(json!({"imageIds": ["ami-0000000f", IMAGE]}));
    let pending = pending.put(&two, |case, facts| decide(case, facts).remove(1).refusals()[0].clone());
    assert_eq!(pending.pointer.as_deref(), Some("/imageIds/1"));
    let owner = share(json!({"accountIds": ["999988887777"]}));
    check(&open, &owner, "TargetIsOwner", Some("/accountIds/0"), json!({}));
    let copy = share(json!({"access": "copy"}));
    let of_other = open.clone().with(|world| world.snapshot().owner = account(TWO));
    let values = json!({"snapshotId": "snap-1a2b3c4d", "owner": TWO});
    check(&of_other, &copy, "CopyNotPossible", Some("/access"), values);
    let full = open.clone().shared_with(&[TWO]).with(|world| world.entity_quota = 1);
    check(&full, &plain, "QuotaExceeded", None, json!({"count": 1, "new": 1, "quota": 1}));
    let off = open.with(|world| world.setup.copy_access = false);
    check(&off, &copy, "NotSetUp", Some("/access"), json!({"parameter": "EnableCopyAccess"}));
}

#[test]
fn what_a_key_says_comes_with_the_key_and_the_statements() {
    let plain = share(json!({}));
    let closed = World::encrypted("golden-1", &[]);
    let needed = ["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncryptFrom"];
    let one = Some("/accountIds/0");
    let refusal = check(&closed, &plain, "KeyAccessMissing", one, json!({"missing": needed}));
    assert_eq!(refusal.key_arn, Some(key()));
    let statements = refusal.statements.unwrap();
    assert_eq!(statements[0]["Principal"]["AWS"], root(ONE));
    assert!(refusal.remedy.unwrap().ends_with(&statements.to_string()));
    assert!(refusal.message.contains("prod-web (111122223333)"), "{}", refusal.message);

    let with = |statement: Value| {
        let policy = parsed(&key_policies::with(open_to(&[]), statement));
        closed.clone().with(|world| world.key().policy = Fact::Known(policy))
    };
    let by_tag = with(allow("*", "kms:*").when(json!({"StringEquals": {"aws:PrincipalTag/team": "web"}})));
    let values = json!({"dependsOn": ["aws:PrincipalTag/team"]});
    let refusal = check(&by_tag, &plain, "KeyAccessConditional", one, values);
    assert!(refusal.statements.is_some() && refusal.key_arn.is_some());
    let no = with(deny(ONE, "kms:*").sid("No"));
    let values = json!({"because": [{"sid": "No", "index": 1, "effect": "Deny"}]});
    let refusal = check(&no, &plain, "KeyAccessDenied", one, values);
    assert_eq!(refusal.statements, None);
    let unread = closed.clone().with(|world| world.key().policy = Fact::Failed(denied("kms:GetKeyPolicy")));
    check(&unread, &plain, "KeyAccessUnknown", one, json!({"call": "kms:GetKeyPolicy"}));
    // A temporary fault may be over when the request comes again.
    for (retryable, lasts) in [(true, Lasts::ForAWhile), (false, Lasts::UntilRead)] {
        let fault = Failure { retryable, ..denied("kms:GetKeyPolicy") };
        let unread = closed.clone().with(|world| world.key().policy = Fact::Failed(fault));
        assert_eq!(refusals(&unread, &plain)[0].lasts, lasts);
    }
    assert_eq!(refusals(&closed, &plain)[0].lasts, Lasts::UntilChanged);

    let managed = closed.clone().with(|world| known(&mut world.key().metadata).is_aws_managed = true);
    assert_eq!(check(&managed, &plain, "DefaultKey", None, json!({})).key_arn, Some(key()));
    let disabled =
        closed.clone().with(|world| known(&mut world.key().metadata).unusable_state = Some("Disabled".into()));
    let refusal = check(&disabled, &plain, "KeyNotUsable", None, json!({"state": "Disabled"}));
    assert_eq!(refusal.key_arn, Some(key()));
    let off = World::encrypted("granted-1", &[]).with(|world| world.setup.key_grants = false);
    let refusal = check(&off, &plain, "NotSetUp", one, json!({"parameter": "EnableKeyGrants"}));
    assert_eq!(refusal.key_arn, Some(key()));
    let roles = share(json!({"serviceLinkedRoles": ["autoscaling"]}));
    let off = World::encrypted("granted-1", &[ONE]).with(|world| world.setup.key_grants = false);
    check(&off, &roles, "NotSetUp", one, json!({"parameter": "EnableKeyGrants", "role": "autoscaling"}));
}

#[test]
fn what_an_expiry_time_meets_is_named_at_it() {
    let world = World::encrypted("kept-1", &[ONE]);
    let until = |at: &str| share(json!({"expiresAt": at}));
    let (place, later) = (Some("/expiresAt"), "2026-12-01T12:00:00Z");
    let near = check(
        &world,
        &until("2026-11-22T12:01:00Z"),
        "MalformedRequest",
        place,
        json!({"given": "2026-11-22T12:01:00Z", "earliest": "2026-11-22T12:05:00Z"}),
    );
    assert_eq!(json!(near.fault), "out-of-range");
    let unset = world.clone().with(|world| world.unset_for_expiry = vec!["AMI_SHARE_REQUEST_BUS"]);
    check(&unset, &until(later), "ExpiryNotPossible", place, json!({"variables": ["AMI_SHARE_REQUEST_BUS"]}));
    let kept = world.clone().shared_with(&[ONE]);
    let values = json!({"given": later, "expiresAt": "2026-12-22T12:00:00Z"});
    check(&kept.clone().with_expiry(ONE, in_days(30)), &until(later), "ExpiryNotAllowed", place, values);
    check(&kept, &until(later), "ExpiryNotAllowed", place, json!({}));
    let ending = world.clone().with_expiry(ONE, NOW);
    let values = json!({"expiresAt": "2026-11-22T12:00:00Z"});
    check(&ending, &share(json!({})), "ShareEnding", Some("/accountIds/0"), values);
    let late = world.with(|world| world.deadline = NOW + time::Duration::minutes(15));
    let values = json!({"expiresAt": "2026-11-22T12:10:00Z", "deadline": "2026-11-22T12:15:00Z"});
    check(&late, &until("2026-11-22T12:10:00Z"), "ShareEnding", place, values);
}

#[test]
fn people_read_names_only_of_targets_that_they_may_ask_about() {
    let allowlist = Allowlist::parse(ALLOWLIST).unwrap();
    assert_eq!(allowlist.called(&target(ONE)), "prod-web (111122223333)");
    assert_eq!(allowlist.called(&target(TWO)), TWO);
    // A rule of somebody else names it, and none of this requester's does.
    let revoke = json!({"action": "share", "imageIds": [IMAGE], "accountIds": [ONE]});
    let nobodys = World::open("golden-1").with(|world| world.image.name = Some("nightly-1".to_owned()));
    let text = serde_json::to_string(&refusals(&nobodys, &revoke)).unwrap();
    assert!(!text.contains("prod-web"), "{text}");
}
