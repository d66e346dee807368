//! How a target stands with an image in the answer: what exists, what sharing would make, and whether it can launch.

use ami_share_testing::{
    key_policies::{open_to, parsed},
    worlds::*,
};
use key_policy::{Grant, Policy};
use serde_json::{Value, json};
use sharing::{
    decide::Case,
    domain::KeyArn,
    facts::{Backing, Fact, Facts, ImageState, Snapshot},
    outcome::{Outcome, Status, StepState},
    plan::{Step, plan},
    progress::{ImageResult, StepResult},
    read_plan,
    report::report,
};

/// The answer where each step of the plan gets this far.
fn answer(world: &World, request: &Value, reach: impl Fn(&Step) -> (StepState, bool)) -> Value {
    answer_after(world, request, reach, &[])
}

/// The answer where these steps came after those of the plan.
fn answer_after(
    world: &World,
    request: &Value,
    reach: impl Fn(&Step) -> (StepState, bool),
    further: &[StepResult],
) -> Value {
    world.put(request, |case, facts| {
        let decisions = decide(case, facts);
        let is_stopped = decisions.iter().any(|decision| decision.stops_whole(case.request.action));
        let results = decisions.into_iter().map(|decision| {
            let image = facts.images.get(decision.image_id).filter(|_| !is_stopped);
            let steps = image.map(|image| plan(case, &decision, image, facts)).unwrap_or_default();
            let steps = steps.into_iter().map(|step| {
                let reached = reach(&step);
                result(step, reached)
            });
            let steps = steps.chain(further.iter().cloned());
            ImageResult { steps: steps.collect(), decision, lost: Vec::new() }
        });
        let results = results.collect();
        let mut outcome = Outcome::new("id", Status::Refused);
        report(&mut outcome, case, facts, results, "eu-west-1");
        serde_json::from_str(&outcome.to_text()).unwrap()
    })
}

fn result(step: Step, (state, is_uncertain): (StepState, bool)) -> StepResult {
    StepResult { is_uncertain, ..StepResult::new(step, state) }
}

fn done(_: &Step) -> (StepState, bool) {
    (StepState::Done, false)
}

/// The first target and the first key for it, as one line: `state launch accepted; verdict grant`. A dash is
/// what is left out.
fn summary(outcome: &Value) -> String {
    let image = &outcome["images"][0];
    let (target, key) = (&image["targets"][0], &image["keys"][0]);
    let word = |value: &Value| if value.is_null() { "-".to_owned() } else { value.to_string().replace('"', "") };
    for because in key["because"].as_array().into_iter().flatten() {
        assert!(because.get("grantId").is_none_or(|id| id != ""), "{outcome:#}");
    }
    let of_target = ["state", "launch", "accepted"].map(|name| word(&target[name]));
    format!("{}; {}", of_target.join(" "), ["verdict", "grant"].map(|name| word(&key[name])).join(" "))
}

fn ask(action: &str, more: &Value) -> Value {
    let mut request = json!({"action": action, "imageIds": [IMAGE], "accountIds": [ONE]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

/// What a check says.
#[track_caller]
fn checked(world: &World, more: &Value, refusals: &[&str], expect: &str) -> Value {
    let outcome = answer(world, &ask("check", more), done);
    let codes: Vec<_> =
        outcome["refusals"].as_array().unwrap().iter().map(|refusal| refusal["code"].as_str().unwrap()).collect();
    assert_eq!((summary(&outcome).as_str(), codes.as_slice()), (expect, refusals), "{outcome:#}");
    outcome
}

/// What a share says where its steps get this far.
#[track_caller]
fn shared(world: &World, more: &Value, reach: impl Fn(&Step) -> (StepState, bool), expect: &str) -> Value {
    let outcome = answer(world, &ask("share", more), reach);
    assert_eq!(summary(&outcome), expect, "{outcome:#}");
    outcome
}

fn own() -> Grant {
    grant(&format!("ami-share/{IMAGE}/{ONE}"), &root(ONE), "999988887777")
}

fn granted(world: World, grants: Vec<Grant>) -> World {
    world.with(|world| world.key().grants = Fact::Known(grants))
}

fn nothing() -> Value {
    json!({})
}

#[test]
fn a_check_of_a_share_judges_what_is_there_and_of_no_share_what_would_be_made() {
    let world = World::encrypted("granted-1", &[]);
    let by_hand = || grant("by-hand", &root(ONE), "999988887777");
    checked(&world, &nothing(), &[], "not-shared not true; allowed planned");
    checked(&granted(world.clone(), vec![own()]), &nothing(), &[], "not-shared not true; allowed present");
    let share = world.shared_with(&[ONE]);
    let outcome = checked(&share, &nothing(), &[], "shared not true; missing planned");
    assert!(
        outcome["images"][0]["keys"][0]["notes"][0]
            .as_str()
            .unwrap()
            .starts_with("sharing again makes the image's own grant `ami-share/")
    );
    let healthy = granted(share.clone(), vec![own()]);
    let outcome = checked(&healthy, &nothing(), &[], "shared really true; allowed present");
    let because = json!([{"grantId": "abc", "grantName": format!("ami-share/{IMAGE}/{ONE}")}]);
    assert_eq!(outcome["images"][0]["keys"][0]["because"], because);
    // One that somebody made by hand is there too, and sharing again makes the image's own.
    checked(&granted(share.clone(), vec![by_hand()]), &nothing(), &[], "shared really true; allowed planned");
    // Whether a grant is there can't be read; sharing again makes one.
    let unread = share.clone().with(|world| world.key().grants = Fact::Failed(denied("kms:ListGrants")));
    checked(&unread, &nothing(), &[], "shared unknown true; unknown planned");
    // The policy lets it in: no grant plays a part.
    let by_policy = granted(World::encrypted("granted-1", &[ONE]), vec![own()]);
    checked(&by_policy.shared_with(&[ONE]), &nothing(), &[], "shared really true; allowed -");
    // Of a rule that makes no grants those that are there count as well.
    let verify = World::encrypted("golden-1", &[]).shared_with(&[ONE]);
    checked(&granted(verify.clone(), vec![by_hand()]), &nothing(), &[], "shared really true; allowed present");
    checked(&verify, &nothing(), &["KeyAccessMissing"], "shared not false; missing -");
    // A share without the key check is judged too.
    let loose = World::encrypted("loose-1", &[]);
    checked(&loose.clone().shared_with(&[ONE]), &nothing(), &[], "shared not true; missing -");
    checked(&loose, &nothing(), &[], "not-shared not true; missing -");
}

#[test]
fn what_is_refused_plans_nothing() {
    let is_managed = |world: &mut World| known(&mut world.key().metadata).is_aws_managed = true;
    let two_keys = World::encrypted("granted-1", &[]).with(|world| {
        let other = Snapshot {
            id: "snap-2a2b3c4d".parse().unwrap(),
            key: Some(OTHER_KEY.parse().unwrap()),
            ..world.snapshot().clone()
        };
        let other = Backing { id: other.id.clone(), snapshot: Fact::Known(other) };
        world.image.snapshots.push(other);
        let key = world.key().clone();
        world.keys.insert(OTHER_KEY.parse().unwrap(), key);
        is_managed(world);
    });
    for world in [two_keys.clone(), two_keys.shared_with(&[ONE])] {
        let state = if world.image.is_shared_with(&target(ONE)) { "shared" } else { "not-shared" };
        checked(&world, &nothing(), &["DefaultKey"], &format!("{state} not false; missing -"));
        shared(&world, &nothing(), done, &format!("{state} not -; missing -"));
    }
    // A target that refuses the whole share leaves the others no plan.
    let world = World::encrypted("granted-1", &[]);
    let with_owner = json!({"accountIds": [ONE, "777788889999"]});
    shared(&world, &with_owner, done, "not-shared not -; missing -");
    // A check says it of each pair.
    checked(&world, &with_owner, &["TargetNotAllowed"], "not-shared not true; allowed planned");
    let expiring = json!({"expiresAt": "2026-11-22T12:01:00Z"});
    checked(&world, &expiring, &["MalformedRequest"], "not-shared not false; missing -");
    // The deployment makes no grants.
    let off = world.with(|world| world.setup.key_grants = false);
    checked(&off, &nothing(), &["NotSetUp"], "not-shared not false; missing -");
    checked(&off.shared_with(&[ONE]), &nothing(), &["NotSetUp"], "shared not false; missing -");
}

const OTHER_KEY: &str = "arn:aws:kms:eu-west-1:999988887777:key/2234abcd-12ab-34cd-56ef-1234567890ab";

#[test]
fn a_share_says_what_is_so_when_it_is_done() {
    let world = World::encrypted("granted-1", &[]);
    let outcome = shared(&world, &nothing(), done, "shared really -; allowed present");
    assert_eq!(outcome["images"][0]["keys"][0]["because"], json!([]), "its ID is not known here");
    let is_grant = |step: &Step| matches!(step, Step::CreateGrant { .. });
    let planned = |_: &Step| (StepState::Planned, false);
    shared(&world, &json!({"dryRun": true}), planned, "shared - -; allowed planned");
    let fails = |step: &Step| (if is_grant(step) { StepState::Failed } else { StepState::Skipped }, false);
    shared(&world, &nothing(), fails, "failed not -; missing planned");
    // Whether a grant was made that got no answer is not known.
    let unanswered = |step: &Step| (if is_grant(step) { StepState::Failed } else { StepState::Skipped }, true);
    shared(&world.clone().shared_with(&[ONE]), &nothing(), unanswered, "failed unknown -; missing planned");
    // It was shared already, and what was missing is made.
    shared(&world.clone().shared_with(&[ONE]), &nothing(), done, "shared really -; allowed present");
    let no_launch = |step: &Step| (if is_grant(step) { StepState::Done } else { StepState::Failed }, false);
    shared(&world, &nothing(), no_launch, "failed not -; allowed present");
    let maybe_launch = |step: &Step| (if is_grant(step) { StepState::Done } else { StepState::Failed }, true);
    shared(&World::open("golden-1"), &nothing(), maybe_launch, "failed unknown -; - -");
    shared(&World::open("golden-1"), &nothing(), done, "shared really -; - -");
    shared(&World::encrypted("loose-1", &[]), &nothing(), done, "shared not -; missing -");
}

#[test]
fn a_share_that_is_taken_back_says_what_is_so_after_that() {
    let world = World::encrypted("granted-1", &[]);
    let own = format!("ami-share/{IMAGE}/{ONE}");
    let revoke = Step::RevokeGrant { key: key(), grant_id: "abc".to_owned(), name: own, account: account(ONE) };
    let image_id = IMAGE.parse().unwrap();
    let remove = Step::RemoveLaunchPermissions { image_id, targets: vec![target(ONE)] };
    let (yes, no, maybe) = ((StepState::Done, false), (StepState::Failed, false), (StepState::Failed, true));
    let check = |of_launch, of_grant, expect: &str| {
        let further = [result(remove.clone(), of_launch), result(revoke.clone(), of_grant)];
        let outcome = answer_after(&world, &ask("share", &nothing()), done, &further);
        assert_eq!(summary(&outcome), expect, "{outcome:#}");
    };
    check(yes, yes, "failed not -; missing planned");
    // What could not be taken back is still there.
    check(no, no, "failed really -; allowed present");
    check(no, yes, "failed not -; missing planned");
    check(yes, no, "failed not -; allowed present");
    check(maybe, no, "failed unknown -; allowed present");
    check(no, maybe, "failed unknown -; missing planned");
}

#[test]
fn the_grant_of_each_key_and_target_counts_for_itself() {
    let other_key: KeyArn = OTHER_KEY.parse().unwrap();
    let world = World::encrypted("granted-1", &[]).with(|world| {
        let other =
            Snapshot { id: "snap-2a2b3c4d".parse().unwrap(), key: Some(other_key.clone()), ..world.snapshot().clone() };
        world.image.snapshots.push(Backing { id: other.id.clone(), snapshot: Fact::Known(other) });
        let key = world.key().clone();
        world.keys.insert(other_key.clone(), key);
    });
    let both = ask("share", &json!({"accountIds": [ONE, TWO]}));
    let pairs = [(key(), ONE), (key(), TWO), (other_key.clone(), ONE), (other_key, TWO)];
    let check = |lacking: &(KeyArn, &str), outcome: &Value| {
        let rows = outcome["images"][0]["keys"].as_array().unwrap();
        assert_eq!(rows.len(), pairs.len(), "{outcome:#}");
        for row in rows {
            let is_it = row["keyArn"] == json!(lacking.0) && row["target"] == json!(lacking.1);
            let expect = if is_it { ("missing", "planned") } else { ("allowed", "present") };
            assert_eq!((row["verdict"].as_str().unwrap(), row["grant"].as_str().unwrap()), expect, "{row:#}");
        }
    };
    for pair @ (of, who) in &pairs {
        let is_it = |step: &Step| matches!(step, Step::CreateGrant { key, account: to, .. } if key == of && *to == account(who));
        let fails = |step: &Step| (if is_it(step) { StepState::Failed } else { StepState::Done }, false);
        check(pair, &answer(&world, &both, fails));
        let name = format!("ami-share/{IMAGE}/{who}");
        let back = Step::RevokeGrant { key: of.clone(), grant_id: "abc".to_owned(), name, account: account(who) };
        check(pair, &answer_after(&world, &both, done, &[result(back, (StepState::Done, false))]));
    }
}

#[test]
fn whoever_can_launch_has_permission_and_every_key_as_things_are_now() {
    let open = World::open("golden-1");
    let check = |world: &World, expect: &str| checked(world, &nothing(), &[], expect);
    check(&open, "not-shared not true; - -");
    check(&open.clone().shared_with(&[ONE]), "shared really true; - -");
    // Through everybody's entry, or an organization's of which it may be a member.
    let outcome = check(&open.clone().shared_with(&["all"]), "not-shared really true; - -");
    assert!(outcome["warnings"].to_string().contains("the public launch permission still gives it access"));
    let outcome = check(&open.clone().shared_with(&[ORGANIZATION]), "not-shared unknown true; - -");
    assert!(outcome["warnings"].to_string().contains(&format!("{ORGANIZATION} may still give it access")));
    let lets_in = |accounts: &[&str]| World::encrypted("golden-1", accounts).shared_with(&[ONE]);
    check(&lets_in(&[ONE]), "shared really true; allowed -");
    // A limit is no obstacle.
    let mut document = open_to(&[ONE]);
    document["Statement"][1]["Action"] =
        json!(["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncryptFrom"]);
    let limited = lets_in(&[]).with(|world| world.key().policy = Fact::Known(parsed(&document)));
    let outcome = check(&limited, "shared really true; allowed -");
    assert_eq!(outcome["images"][0]["keys"][0]["limits"], json!(["default-key-only"]));
    document["Statement"][1]["Condition"] = json!({"StringEquals": {"aws:PrincipalTag/team": "web"}});
    let with = |policy: Policy| lets_in(&[]).with(|world| world.key().policy = Fact::Known(policy));
    checked(&with(parsed(&document)), &nothing(), &["KeyAccessConditional"], "shared unknown false; conditional -");
    let unread = lets_in(&[]).with(|world| world.key().policy = Fact::Failed(denied("kms:GetKeyPolicy")));
    checked(&unread, &nothing(), &["KeyAccessUnknown"], "shared unknown false; unknown -");
    let disabled =
        lets_in(&[ONE]).with(|world| known(&mut world.key().metadata).unusable_state = Some("Disabled".into()));
    checked(&disabled, &nothing(), &["KeyNotUsable"], "shared not false; - -");
    let pending = lets_in(&[ONE]).with(|world| world.image.state = ImageState::Pending);
    checked(&pending, &nothing(), &["ImageNotAvailable"], "shared not false; allowed -");
    let owner = json!({"accountIds": ["999988887777"]});
    checked(&open, &owner, &["TargetIsOwner"], "not-shared really false; - -");
    // Who is there already takes no room.
    let full = open.shared_with(&[ONE]).with(|world| world.entity_quota = 1);
    let two = json!({"accountIds": [ONE, TWO]});
    let outcome = checked(&full, &two, &["QuotaExceeded"], "shared really true; - -");
    assert_eq!(outcome["images"][0]["targets"][1]["accepted"], false);
}

#[test]
fn a_share_with_an_expiry_that_satisfies_its_rule_is_accepted_and_keys_are_judged_whatever_else_is_refused() {
    let world = World::encrypted("trial-1", &[ONE]);
    let tight = World::encrypted("trial-1", &[]);
    let expires = json!({"expiresAt": "2026-12-01T12:00:00Z"});
    let too_late = json!({"expiresAt": "2027-02-01T12:00:00Z"});
    checked(&world, &nothing(), &["ExpiryRequired"], "not-shared not false; allowed -");
    checked(&tight, &nothing(), &["ExpiryRequired", "KeyAccessMissing"], "not-shared not false; missing -");
    checked(&world, &too_late, &["ExpiryNotAllowed"], "not-shared not false; allowed -");
    checked(&world, &expires, &[], "not-shared not true; allowed -");
    // A healthy share, and one whose expiry the rule no longer allows or that has none.
    let share = world.shared_with(&[ONE]);
    let healthy = share.clone().with_expiry(ONE, in_days(10));
    let outcome = checked(&healthy, &nothing(), &[], "shared really true; allowed -");
    assert_eq!(outcome["images"][0]["targets"][0]["expiresAt"], "2026-12-02T12:00:00Z");
    checked(
        &share.clone().with_expiry(ONE, in_days(31)),
        &nothing(),
        &["ExpiryRequired"],
        "shared really false; allowed -",
    );
    checked(&share, &nothing(), &["ExpiryRequired"], "shared really false; allowed -");
    // What a check accepts a share does.
    let outcome = shared(&healthy, &nothing(), done, "already-shared really -; allowed -");
    assert_eq!((&outcome["result"], &outcome["images"][0]["steps"]), (&json!("completed"), &json!([])));
    assert!(outcome["warnings"].to_string().contains("which this request does not change"), "{outcome:#}");
    // So it is with what else the rule does not go as far as.
    let copy = json!({"access": "copy", "expiresAt": "2026-12-01T12:00:00Z"});
    checked(&tight, &copy, &["AccessNotAllowed", "KeyAccessMissing"], "not-shared not false; missing -");
    let role = json!({"serviceLinkedRoles": ["spot"]});
    checked(&World::encrypted("granted-1", &[]), &role, &["RoleNotAllowed"], "not-shared not false; missing -");
    // Whom no rule covers has no row.
    let outcome = answer(&healthy, &json!({"action": "check", "imageIds": [IMAGE], "accountIds": [TWO]}), done);
    assert_eq!((outcome["images"][0]["targets"].clone(), outcome["images"][0]["keys"].clone()), (json!([]), json!([])));
}

#[test]
fn a_check_accepts_what_a_share_would_be_allowed_and_not_what_may_be_checked() {
    let viewed = |name: &str, allowed: &[&str]| World::encrypted(name, allowed);
    let rule = |outcome: &Value| outcome["images"][0]["targets"][0]["rule"].clone();
    // No rule lets the requester share: the row is shown, and the share refused.
    let outcome =
        checked(&viewed("viewed-1", &[ONE]), &nothing(), &["ActionNotAllowed"], "not-shared not false; allowed -");
    let refusal = &outcome["refusals"][0];
    assert_eq!((&refusal["target"], &refusal["values"]["action"]), (&json!(ONE), &json!("share")));
    assert!(refusal["message"].as_str().unwrap().contains("to `share` this image"), "{outcome:#}");
    assert_eq!((outcome["result"].as_str(), rule(&outcome)), (Some("completed"), json!("checker")));
    checked(
        &viewed("viewed-1", &[ONE]).shared_with(&[ONE]),
        &nothing(),
        &["ActionNotAllowed"],
        "shared really false; allowed -",
    );
    // Another rule lets it share: its terms and its key check are those of the share.
    let ended = viewed("viewed-ended-1", &[]);
    checked(&ended, &nothing(), &["ExpiryRequired"], "not-shared not false; missing -");
    let expires = json!({"expiresAt": "2026-12-01T12:00:00Z", "access": "copy"});
    let outcome = checked(&ended, &expires, &[], "not-shared not true; allowed planned");
    assert_eq!(rule(&outcome), Value::Null, "no rule lets it check for copying");
    let both = json!({"accountIds": [ONE, TWO], "expiresAt": "2026-12-01T12:00:00Z"});
    let outcome =
        checked(&ended, &both, &["TargetNotAllowed", "KeyAccessMissing"], "not-shared not true; allowed planned");
    assert_eq!(outcome["images"][0]["targets"][1]["accepted"], false);
    assert_eq!(rule(&outcome), json!("checker"));
    // The image lacks what that rule asks for.
    let outcome = checked(
        &viewed("viewed-marked-1", &[ONE]),
        &nothing(),
        &["ImageNotAllowed"],
        "not-shared not false; allowed -",
    );
    assert!(outcome["refusals"][0]["message"].as_str().unwrap().contains("999988887777:approved"), "{outcome:#}");
}

#[test]
fn a_check_says_that_it_could_not_be_found_out_where_records_could_not_be_read() {
    let share = World::open("trial-1").shared_with(&[ONE]);
    let passing = |retryable| sharing::facts::Failure { retryable, ..denied("scheduler:ListSchedules") };
    for retryable in [false, true] {
        let unread = share.clone().with(|world| world.image.expiries = Fact::Failed(passing(retryable)));
        let outcome = checked(&unread, &nothing(), &[], "shared really false; - -");
        assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("failed"), &json!(retryable)), "{outcome:#}");
        let outcome = answer(&unread, &ask("share", &nothing()), done);
        assert_eq!((&outcome["result"], &outcome["refusals"]), (&json!("failed"), &json!([])), "{outcome:#}");
    }
}

#[test]
fn an_image_of_somebody_else_has_no_row_although_a_rule_covers_its_name() {
    let foreign = World::open("golden-1").with(|world| world.image.owner = account(TWO));
    for action in ["check", "list", "share"] {
        let mut request = ask(action, &nothing());
        if action == "list" {
            request.as_object_mut().unwrap().remove("accountIds");
        }
        let outcome = answer(&foreign, &request, done);
        let codes: Vec<_> = outcome["refusals"].as_array().unwrap().iter().map(|refusal| &refusal["code"]).collect();
        assert_eq!((codes, &outcome["images"]), (vec![&json!("ImageNotOwned")], &json!([])), "{action}");
    }
}

#[test]
fn a_target_has_its_name_in_the_directory() {
    let world = World::open("golden-1").shared_with(&[ONE, TWO]);
    let both = json!({"accountIds": [ONE, TWO]});
    for (action, more) in [("check", &both), ("share", &both), ("revoke", &both), ("list", &nothing())] {
        let mut request = ask(action, more);
        if action == "list" {
            request.as_object_mut().unwrap().remove("accountIds");
        }
        let outcome = answer(&world, &request, done);
        let targets = outcome["images"][0]["targets"].as_array().unwrap();
        let names: Vec<_> = targets.iter().map(|row| (row["target"].as_str().unwrap(), &row["name"])).collect();
        assert_eq!(names, [(ONE, &json!("prod-web")), (TWO, &Value::Null)], "{action}");
    }
}

/// The facts as the read plan leaves them: what it does not name was not read.
fn as_read(case: &Case<'_>, facts: &Facts) -> Facts {
    let (mut read, reads) = (facts.clone(), read_plan::further(case, facts));
    for (id, image) in &mut read.images {
        let reads = reads.images.get(id).copied().unwrap_or_default();
        if !reads.launch_permissions.is_read() {
            image.launch_permissions = Fact::NotRead;
        }
        if !reads.snapshots.is_read() {
            image.snapshots.iter_mut().for_each(|backing| backing.snapshot = Fact::NotRead);
        }
    }
    read
}

#[test]
fn a_share_that_a_rule_makes_by_itself_judges_the_keys_whichever_targets_it_leaves_out() {
    let near = NOW + time::Duration::minutes(4);
    let world = World::encrypted("golden-1", &[]).shared_with(&[TWO]).with_expiry(ONE, near);
    let world = world.with(|world| world.is_automatic = true);
    let request = ask("share", &json!({"accountIds": [ONE, TWO], "expiresAt": "2026-11-22T12:04:00Z"}));
    world.put(&request, |case, facts| {
        let read = as_read(case, facts);
        let [decision] = &decide(case, &read)[..] else { panic!("one image, one decision") };
        assert!(!decision.refusals().is_empty(), "{decision:#?}");
        assert_eq!(plan(case, decision, &read.images[decision.image_id], &read), []);
    });
}

#[test]
fn nothing_is_given_where_what_is_behind_an_image_was_not_read() {
    let unread = World::open("golden-1")
        .with(|world| world.image.snapshots.iter_mut().for_each(|backing| backing.snapshot = Fact::NotRead));
    let unknown = World::open("golden-1").with(|world| world.image.launch_permissions = Fact::NotRead);
    for world in [unread, unknown] {
        let outcome = answer(&world, &ask("share", &nothing()), done);
        assert_eq!((&outcome["result"], &outcome["images"][0]["steps"]), (&json!("failed"), &json!([])), "{outcome:#}");
        assert_eq!(outcome["images"][0]["targets"][0]["state"], "not-shared", "{outcome:#}");
    }
}

#[test]
fn a_share_that_is_refused_for_another_image_gave_nothing_to_this_one() {
    let world = World::open("golden-1");
    let until = json!({"imageIds": [IMAGE, "ami-0aaaaaaaaaaaaaaaa"], "expiresAt": "2026-12-01T00:00:00Z"});
    let outcome = answer(&world, &ask("share", &until), done);
    assert_eq!(outcome["result"], "refused", "{outcome:#}");
    let target = &outcome["images"][0]["targets"][0];
    assert_eq!((&target["state"], target.get("expiresAt")), (&json!("not-shared"), None), "{outcome:#}");
}

#[test]
fn a_check_judges_the_keys_however_near_the_expiry_time_is() {
    let world = World::encrypted("golden-1", &[]).shared_with(&[ONE]);
    world.put(&ask("check", &json!({"expiresAt": "2026-11-22T12:01:00Z"})), |case, facts| {
        let read = as_read(case, facts);
        assert!(read.images.values().all(|image| image.known_snapshots().count() == image.snapshots.len()));
    });
}

#[test]
fn a_target_that_can_still_launch_is_told_by_what() {
    let revoked = |entries: &[&str]| {
        let outcome = answer(&World::open("golden-1").shared_with(entries), &ask("revoke", &nothing()), done);
        let row = &outcome["images"][0]["targets"][0];
        (row["state"].clone(), row["detail"].as_str().map(str::to_owned))
    };
    assert_eq!(revoked(&[ONE]), (json!("revoked"), None));
    assert_eq!(revoked(&[]), (json!("not-shared"), None));
    let (state, detail) = revoked(&[ONE, "all"]);
    let detail = detail.unwrap();
    assert_eq!(state, "still-reachable");
    assert!(detail.contains("no launch permission of its own now") && detail.contains("public"), "{detail}");
    let (state, detail) = revoked(&[ONE, ORGANIZATION]);
    let detail = detail.unwrap();
    assert_eq!(state, "maybe-reachable");
    assert!(detail.contains("o-a1b2c3d4e5"), "{detail}");
}
