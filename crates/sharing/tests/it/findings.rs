//! What an audit finds at one image, and what of it a repair mends: rows of facts, without AWS.

use ami_share_testing::{
    key_policies::{Statement as _, allow, deny, open_to, parsed, with},
    worlds::{
        FOREIGN_KEY, IMAGE, KEY, NOW, ONE, ORGANIZATION, TWO, World, account, copied_by, decide, denied, grant,
        in_days, known, root,
    },
};
use serde_json::json;
use sharing::{
    decide::{Case, Surveyed},
    facts::{Fact, Failure, ImageState, LaunchPermission, Lineage},
    outcome::{ErrorCode, Finding, Outcome, Status, StepState},
    plan::plan,
    progress::{ImageResult, StepResult},
    report::report,
    request::{Action, Request},
};
use time::Duration;

const STRAY: &str = "333344445555";

/// What is found, as `RefusalCode target`; what a repair would do, as `service:Call`; gaps and warnings.
#[derive(Debug, PartialEq)]
struct Judged {
    found: Vec<String>,
    mended: Vec<&'static str>,
    gaps: usize,
    warnings: usize,
}

fn judge(world: &World) -> Judged {
    world.put(&json!({"action": "repair"}), |case, facts| {
        let [decision] = &decide(case, facts)[..] else { panic!("one image, one decision") };
        let summary = |finding: &Finding| {
            assert!(finding.message.contains(decision.image_id.as_str()), "{finding:?}");
            let target = finding.target.as_ref().map_or("-".to_owned(), ToString::to_string);
            format!("{} {target}", finding.code.as_str())
        };
        let steps = plan(case, decision, &facts.images[decision.image_id], facts);
        Judged {
            found: decision.survey().unwrap().findings.iter().map(summary).collect(),
            mended: steps.iter().map(sharing::plan::Step::call).collect(),
            gaps: decision.gaps().len(),
            warnings: decision.warnings.len(),
        }
    })
}

/// How many records a repair works off.
fn overdue_records(world: &World) -> usize {
    world.put(&json!({"action": "repair"}), |case, facts| decide(case, facts).remove(0).survey().unwrap().overdue.len())
}

#[track_caller]
fn finds(world: &World, expect: &[&str]) {
    let judged = judge(world);
    assert_eq!(judged.found, expect, "{judged:?}");
    let orphaned_grants = expect.iter().filter(|code| code.starts_with("GrantLeft")).count();
    assert_eq!(
        judged.mended,
        vec!["kms:RevokeGrant"; orphaned_grants],
        "a repair revokes the grants that are left, no more"
    );
    assert_eq!((judged.gaps, judged.warnings), (0, 0), "{judged:?}");
}

fn may_copy(world: World, who: &str) -> World {
    world.with(|world| world.snapshot().create_volume_permissions = copied_by(&[who]))
}

fn granted(world: World, name: &str, grantee: &str, issuer: &str) -> World {
    let made = grant(name, &root(grantee), issuer);
    world.with(|world| world.key().grants = Fact::Known(vec![made]))
}

#[test]
fn what_the_rules_allow_is_no_finding() {
    finds(&World::open("golden-a"), &[]);
    finds(&World::open("golden-a").shared_with(&[ONE, ORGANIZATION]), &[]);
    finds(&may_copy(World::open("golden-a").shared_with(&[ONE]), ONE), &[]);
    finds(&World::encrypted("golden-a", &[ONE]).shared_with(&[ONE]), &[]);
    let by_grant = World::encrypted("granted-a", &[]).shared_with(&[ONE]);
    finds(&granted(by_grant, "ami-share/ami-1a2b3c4d/111122223333", ONE, "999988887777"), &[]);
    finds(&World::open("trial-a").shared_with(&[ONE]).with_expiry(ONE, in_days(3)), &[]);
    finds(&World::open("golden-new-a").shared_with(&[ONE]), &[]);
    finds(&World::open("nobodys"), &[]);
}

#[test]
fn a_share_that_no_rule_covers_is_outside_the_allowlist() {
    finds(&World::open("golden-a").shared_with(&[ONE, STRAY]), &["SharedOutsideAllowlist 333344445555"]);
    finds(&World::open("nobodys").shared_with(&[ONE]), &["SharedOutsideAllowlist 111122223333"]);
    // A rule for the organization does not cover its members, nor the other way round.
    let organization = format!("SharedOutsideAllowlist {ORGANIZATION}");
    finds(&World::open("loose-a").shared_with(&[ORGANIZATION]), &[&organization]);
}

#[test]
fn a_share_that_every_rule_bounds_and_no_record_ends_misses_its_expiry() {
    let endless = World::open("trial-a").shared_with(&[ONE]);
    finds(&endless, &["ExpiryMissing 111122223333"]);
    finds(&endless.clone().with_expiry(TWO, in_days(3)), &["ExpiryMissing 111122223333"]);
    // Where no expiry can be recorded any more no share has one.
    let unset = endless.clone().with(|world| world.unset_for_expiry = vec!["AMI_SHARE_SCHEDULE_GROUP"]);
    finds(&unset, &["ExpiryMissing 111122223333"]);
    // Whether there is a record is not known.
    let unread = endless.with(|world| world.image.expiries = Fact::Failed(denied("scheduler:ListSchedules")));
    assert_eq!((judge(&unread).found, judge(&unread).warnings), (vec![], 1));
    // One rule without a longest duration is enough, and whom no rule covers is found for that.
    finds(&World::open("golden-a").shared_with(&[ONE]), &[]);
    finds(&World::open("trial-a").shared_with(&[STRAY]), &["SharedOutsideAllowlist 333344445555"]);
}

#[test]
fn copying_what_may_be_launched_only_is_outside_the_allowlist() {
    let copied = may_copy(World::open("loose-a").shared_with(&[ONE]), ONE);
    finds(&copied, &["SharedOutsideAllowlist 111122223333"]);
    let needed = copied.with(|world| {
        world.snapshot().needed_by = Fact::Known([(account(ONE), "ami-00000001".parse().unwrap())].into());
    });
    finds(&needed, &[]);
}

#[test]
fn an_entry_on_a_snapshot_is_left_where_no_image_on_it_needs_it() {
    let left = may_copy(World::open("golden-a").shared_with(&[TWO]), ONE);
    finds(&left, &["SnapshotPermissionLeft 111122223333"]);
    finds(&may_copy(World::open("golden-a"), ONE), &["SnapshotPermissionLeft 111122223333"]);
    let needed = left.clone().with(|world| {
        world.snapshot().needed_by = Fact::Known([(account(ONE), "ami-00000001".parse().unwrap())].into());
    });
    finds(&needed, &[]);
    finds(&left.with(|world| world.snapshot().owner = account(STRAY)), &[]);
}

#[test]
fn a_public_image_is_found_whatever_else_is_so() {
    finds(&World::open("golden-a").shared_with(&["all", ONE]), &["PublicImage -"]);
    finds(&World::open("nobodys").shared_with(&["all"]), &["PublicImage -"]);
    finds(
        &World::open("golden-a").with(|world| known(&mut world.snapshot().create_volume_permissions).is_public = true),
        &["PublicImage -"],
    );
}

#[test]
fn a_permission_of_a_kind_that_is_not_known_is_found_and_told() {
    let group = |world: &mut World| known(&mut world.snapshot().create_volume_permissions).add_group(Some("partners"));
    finds(&World::open("golden-a").with(group), &["SharedOutsideAllowlist -"]);
    finds(
        &World::open("golden-a").with(|world| {
            world.image.launch_permissions = Fact::Known(vec![LaunchPermission::unknown("partners")]);
        }),
        &["SharedOutsideAllowlist -"],
    );
    let nameless = |world: &mut World| known(&mut world.snapshot().create_volume_permissions).add_group(None);
    finds(&World::open("golden-a").with(nameless), &["SharedOutsideAllowlist -"]);
    World::open("golden-a").with(group).put(&json!({"action": "list", "imageIds": [IMAGE]}), |case, facts| {
        let warnings = &decide(case, facts).remove(0).warnings;
        assert!(warnings[0].contains("`partners`") && warnings[0].contains("is not known"), "{warnings:?}");
    });
    // The group of everybody is no such kind.
    let all = |world: &mut World| known(&mut world.snapshot().create_volume_permissions).add_group(Some("all"));
    finds(&World::open("golden-a").with(all), &["PublicImage -"]);
}

#[test]
fn a_grant_is_left_where_its_share_is_not_there() {
    let world = World::encrypted("granted-a", &[]);
    let ours = "ami-share/ami-1a2b3c4d/111122223333";
    finds(&granted(world.clone(), ours, ONE, "999988887777"), &["GrantLeft 111122223333"]);
    let role = format!("{ours}/autoscaling");
    finds(&granted(world.clone(), &role, ONE, "999988887777"), &["GrantLeft 111122223333"]);
    finds(
        &granted(world.clone().shared_with(&["all"]), ours, ONE, "999988887777"),
        &["PublicImage -", "GrantLeft 111122223333"],
    );
    // Made by somebody else, by hand, for another image, or for nobody that can be named.
    finds(&granted(world.clone(), ours, ONE, ONE), &[]);
    finds(&granted(world.clone(), "by-hand", ONE, "999988887777"), &[]);
    finds(&granted(world.clone(), "ami-share/ami-1a2b3c4e/111122223333", ONE, "999988887777"), &[]);
    finds(&granted(world.clone(), "ami-share/ami-1a2b3c4d/somebody", ONE, "999988887777"), &[]);
    // Of an image that is gone all are left.
    let gone = world.with(|world| {
        world.image.state = ImageState::Deregistered;
        world.image.snapshots = Vec::new();
        world.image.remembered_keys = vec![KEY.parse().unwrap()];
    });
    finds(&granted(gone, ours, ONE, "999988887777"), &["GrantLeft 111122223333"]);
}

#[test]
fn key_access_is_lost_where_the_key_surely_lets_a_target_in_no_more() {
    let lost = World::encrypted("golden-a", &[TWO]).shared_with(&[ONE]);
    finds(&lost, &["KeyAccessLost 111122223333"]);
    let policy = |statement| parsed(&with(open_to(&[]), statement));
    let tagged = json!({"StringEquals": {"aws:PrincipalTag/team": "web"}});
    let everybody = allow("*", "kms:*").when(tagged);
    finds(&lost.clone().with(|world| world.key().policy = Fact::Known(policy(everybody))), &[]);
    let nobody = deny("*", "kms:*");
    finds(
        &lost.clone().with(|world| world.key().policy = Fact::Known(policy(nobody))),
        &["KeyAccessLost 111122223333"],
    );
    let disabled = |world: &mut World| known(&mut world.key().metadata).unusable_state = Some("Disabled".to_owned());
    finds(&World::encrypted("golden-a", &[ONE]).shared_with(&[ONE]).with(disabled), &["KeyAccessLost -"]);
    finds(&World::encrypted("golden-a", &[ONE]).with(disabled), &[]);
    // Whoever shares without the key check knows that.
    finds(&World::encrypted("loose-a", &[]).shared_with(&[ONE]), &[]);
    // Another account's key can't be judged.
    let foreign = lost.clone().with(|world| {
        world.snapshot().key = Some(FOREIGN_KEY.parse().unwrap());
        let key = world.keys.remove(&KEY.parse().unwrap()).unwrap();
        world.keys.insert(FOREIGN_KEY.parse().unwrap(), key);
    });
    finds(&foreign, &[]);
    // A public image's entry is one finding, the lost key another.
    finds(&lost.shared_with(&["all", ONE]), &["PublicImage -", "KeyAccessLost 111122223333"]);
}

#[test]
fn lost_access_is_mended_by_sharing_again_where_a_rule_makes_the_grant() {
    let remedy = |world: &World| {
        world.put(&json!({"action": "repair"}), |case, facts| {
            decide(case, facts).remove(0).survey().unwrap().findings[0].clone()
        })
    };
    let lost = World::encrypted("granted-a", &[]).shared_with(&[ONE]);
    let finding = remedy(&lost);
    assert_eq!(finding.code.as_str(), "KeyAccessLost");
    assert!(finding.remedy.starts_with("`share` ami-1a2b3c4d with"), "{finding:?}");
    assert!(finding.remedy.contains("again: rule `grants` creates the missing grant"), "{finding:?}");
    let others = json!({"StringNotEquals": {"aws:PrincipalAccount": "999988887777"}});
    let denied = parsed(&with(open_to(&[]), deny("*", "kms:Decrypt").when(others)));
    for world in [
        // No rule makes grants, the deployment makes none, no grant goes around a Deny, or names an organization.
        World::encrypted("golden-a", &[]).shared_with(&[ONE]),
        lost.clone().with(|world| world.setup.key_grants = false),
        lost.clone().with(|world| world.key().policy = Fact::Known(denied)),
        World::encrypted("granted-a", &[]).shared_with(&[ORGANIZATION]),
    ] {
        let finding = remedy(&world);
        assert_eq!(finding.code.as_str(), "KeyAccessLost");
        assert!(!finding.remedy.starts_with("`share`"), "{finding:?}");
    }
}

#[test]
fn a_finding_names_no_rule_and_no_criterion_where_no_rule_of_the_requester_is_about_image_and_target() {
    let texts = |world: &World, code: &str| {
        world.put(&json!({"action": "repair"}), |case, facts| {
            let finding = decide(case, facts).remove(0).survey().unwrap().findings[0].clone();
            assert_eq!(finding.code.as_str(), code);
            format!("{} {}", finding.message, finding.remedy)
        })
    };
    let others = ["portals", "secret"];
    let outside = texts(&World::open("portals-a").shared_with(&[ONE]), "SharedOutsideAllowlist");
    let lost = texts(&World::encrypted("portals-open-a", &[]).shared_with(&[ONE]), "KeyAccessLost");
    let not_applied = texts(&World::open("portals-new-a"), "RuleNotApplied");
    for text in [&outside, &lost, &not_applied] {
        let text = text.replace("role/portal", "");
        assert!(others.iter().all(|secret| !text.contains(secret)), "{text}");
    }
    assert!(lost.contains("shared with 111122223333 again by somebody whose rule has `keys: grant`"), "{lost}");
    // Where one is, they are named.
    let own = texts(&World::open("marked-a").shared_with(&[ONE]), "SharedOutsideAllowlist");
    assert!(!own.contains("`marked`"), "its tags are not those of the rule: {own}");
    assert!(
        texts(&World::open("viewed-marked-a").shared_with(&[ONE]), "SharedOutsideAllowlist")
            .contains("`viewed-marked`")
    );
    assert!(texts(&World::open("golden-new-a"), "RuleNotApplied").contains("`by-itself`"));
}

#[test]
fn a_rule_is_not_applied_where_an_available_image_is_not_shared_by_itself() {
    let new = World::open("golden-new-a");
    finds(&new.clone().shared_with(&[TWO]), &["RuleNotApplied 111122223333"]);
    finds(&new.with(|world| world.image.state = ImageState::Disabled), &[]);
    finds(&World::open("nightly-a"), &[]);
}

#[test]
fn a_share_is_overdue_five_minutes_after_its_expiry_time() {
    let shared = World::open("trial-a").shared_with(&[ONE]);
    finds(&shared.clone().with_expiry(ONE, NOW - Duration::minutes(5)), &[]);
    let overdue = shared.with_expiry(ONE, NOW - Duration::seconds(301));
    finds(&overdue, &["ShareOverdue 111122223333"]);
    assert_eq!(overdue_records(&overdue), 1);
    // An earlier record of a renewed share is overdue, and the share is not.
    let renewed = overdue.with_expiry(ONE, in_days(1));
    finds(&renewed, &[]);
    assert_eq!(overdue_records(&renewed), 1);
}

#[test]
fn what_cannot_be_read_is_told_and_not_judged() {
    let world = World::encrypted("granted-a", &[TWO]).shared_with(&[STRAY, "all"]).with_expiry(ONE, in_days(-1));
    let passing = || Failure { retryable: true, ..denied("ec2:DescribeImageAttribute") };
    let unread =
        world.clone().with(|world| world.image.launch_permissions = Fact::Failed(denied("ec2:DescribeImageAttribute")));
    assert_eq!(
        judge(&unread),
        Judged { found: vec!["ShareOverdue 111122223333".to_owned()], mended: vec![], gaps: 0, warnings: 1 }
    );
    let later = unread.with(|world| world.image.launch_permissions = Fact::Failed(passing()));
    assert_eq!(judge(&later).gaps, 1);
    let shared = World::encrypted("golden-a", &[]).shared_with(&[ONE]);
    for unread in [
        shared.clone().with(|world| world.key().grants = Fact::Failed(denied("kms:ListGrants"))),
        shared.clone().with(|world| world.key().policy = Fact::Failed(denied("kms:GetKeyPolicy"))),
        may_copy(shared.clone(), STRAY).with(|world| {
            world.key().policy = Fact::Failed(denied("kms:GetKeyPolicy"));
            world.snapshot().create_volume_permissions = Fact::Failed(denied("ec2:DescribeSnapshotAttribute"));
        }),
        may_copy(shared, STRAY).with(|world| {
            world.key().policy = Fact::Failed(denied("kms:GetKeyPolicy"));
            world.snapshot().needed_by = Fact::Failed(denied("ec2:DescribeImages"));
        }),
    ] {
        let judged = judge(&unread);
        assert_eq!((judged.found, judged.gaps), (vec![], 0));
        assert!(judged.warnings > 0);
    }
}

/// What follows for a survey of the image: whether everything about it was read, and whether the survey stops before it if
/// the time is over, as one of the first images of a request and as one of the others.
fn surveyed(world: &World, action: Action) -> (bool, bool, bool) {
    world.put(&json!({"action": "repair"}), |case, facts| {
        let request = Request { action, image_ids: vec![IMAGE.parse().unwrap()], ..case.request.clone() };
        let mut decisions = decide(case, facts);
        let expect = decisions[0].survey().unwrap().clone();
        let surveyed = Surveyed::new(&Case { request: &request, ..*case }, facts, &mut decisions);
        assert_eq!(surveyed.unread, expect.gaps);
        assert_eq!(surveyed.findings, expect.findings.len());
        let overdue = if action == Action::Repair { expect.overdue.len() } else { 0 };
        assert_eq!(surveyed.overdue.len(), overdue, "only a repair expires shares");
        assert_eq!(surveyed.next.as_ref().map(|next| next.after.as_str()), Some(IMAGE));
        assert!(decisions[0].gaps().is_empty(), "the survey decides what follows from a gap");
        (surveyed.is_any_read, surveyed.needs_more_time(true), surveyed.needs_more_time(false))
    })
}

#[test]
fn a_survey_stops_for_what_more_time_may_read_and_passes_a_lasting_fault() {
    let world = World::encrypted("granted-a", &[TWO]).shared_with(&[STRAY]);
    let failed = |code: ErrorCode, retryable: bool| {
        let failure = Failure { code, retryable, ..denied("kms:GetKeyPolicy") };
        world.clone().with(|world| world.key().policy = Fact::Failed(failure))
    };
    let throttled = failed(ErrorCode::Throttled, true);
    let late = failed(ErrorCode::OutOfTime, true);
    for action in [Action::Audit, Action::Repair] {
        assert_eq!(surveyed(&world, action), (true, false, false));
        assert_eq!(surveyed(&failed(ErrorCode::Denied, false), action), (true, false, false));
        assert_eq!(surveyed(&throttled, action), (false, false, true));
        assert_eq!(surveyed(&late, action), (false, true, true));
    }
    // A repair does first what it can.
    let overdue = late.clone().with_expiry(ONE, in_days(-1));
    let orphaned = granted(late, "ami-share/ami-1a2b3c4d/111122223333", ONE, "999988887777");
    for (world, action, expect) in [
        (&overdue, Action::Repair, (false, false, false)),
        (&overdue, Action::Audit, (false, true, true)),
        (&orphaned, Action::Repair, (false, false, false)),
        (&orphaned, Action::Audit, (false, true, true)),
    ] {
        assert_eq!(surveyed(world, action), expect, "{action:?}");
    }
}

#[test]
fn of_a_copy_that_a_rule_may_cover_by_its_source_nothing_is_found_and_it_is_tried_again() {
    let judged = |retryable: bool, owner: &str| {
        let failure = Failure { retryable, ..denied("ec2:DescribeImages") };
        let lineage =
            Lineage::CopyOf { source: super::copies::regional("eu-north-1"), said: Box::new(Fact::Failed(failure)) };
        let world = World::open("x-1").shared_with(&[STRAY]).with(|world| {
            world.image.provenance.lineage = lineage;
            world.image.owner = account(owner);
            // The requester may not see every image.
            let every = "actions: [repair]\n    images: all";
            let some = "actions: [repair]\n    images: {names: [\"mended-*\"]}";
            assert!(world.allowlist.contains(every));
            world.allowlist = world.allowlist.replace(every, some);
        });
        world.put(&json!({"action": "repair"}), |case, facts| {
            let decision = decide(case, facts).remove(0);
            assert_eq!((decision.survey().unwrap().findings.len(), decision.warnings.len()), (0, 0));
            decision.gaps().iter().map(|gap| gap.resource.clone().unwrap()).collect::<Vec<_>>()
        })
    };
    assert_eq!(judged(true, "999988887777"), [IMAGE]);
    assert_eq!(judged(true, TWO), [""; 0]);
    // If it can't be read for good, the names of sources don't count.
    assert_eq!(judged(false, "999988887777"), [""; 0]);
}

#[test]
fn what_could_not_be_read_for_now_names_the_image_that_it_concerns() {
    let failure = Failure { retryable: true, resource: Some(KEY.to_owned()), ..denied("kms:GetKeyPolicy") };
    let unread = World::encrypted("golden-a", &[]).with(|world| world.key().policy = Fact::Failed(failure));
    unread.put(&json!({"action": "repair"}), |case, facts| {
        let gaps = decide(case, facts).remove(0).gaps().to_vec();
        let [gap] = &gaps[..] else { panic!("{gaps:?}") };
        assert_eq!(gap.resource.as_deref(), Some(IMAGE));
        assert!(gap.message.contains(IMAGE) && gap.message.contains("kms:GetKeyPolicy"), "{gap:?}");
    });
}

/// An audit or repair, and what is reported of its two results: of the same image, or of two that share a parameter.
#[test]
fn what_is_found_is_reported_once_and_an_audit_writes_nothing() {
    let named = format!("ami-share/{IMAGE}/{TWO}");
    let world = granted(World::encrypted("golden-a", &[ONE]).shared_with(&[ONE]), &named, TWO, "999988887777");
    let world = world.with(|world| {
        let only = "actions: [repair]";
        assert!(world.allowlist.contains(only));
        world.allowlist = world.allowlist.replace(only, "actions: [audit, repair]");
    });
    for (action, is_mended) in [("audit", false), ("repair", true)] {
        world.put(&json!({"action": action}), |case, facts| {
            let decision = decide(case, facts).remove(0);
            let steps = plan(case, &decision, &facts.images[decision.image_id], facts);
            assert_eq!(!steps.is_empty(), is_mended, "{action}");
            let done = |step| StepResult::new(step, StepState::Done);
            let steps: Vec<_> = steps.into_iter().map(done).collect();
            let result = || ImageResult { decision: decision.clone(), steps: steps.clone(), lost: Vec::new() };
            let mut outcome = Outcome { findings: Some(Vec::new()), ..Outcome::new("id", Status::Refused) };
            report(&mut outcome, case, facts, vec![result(), result()], "eu-west-1");
            let found: Vec<_> = outcome.findings.iter().flatten().map(|finding| finding.code.as_str()).collect();
            assert_eq!((outcome.result, found), (Status::Completed, vec!["GrantLeft"]), "{action}");
            // It shows only an image for which something was done.
            assert_eq!(!outcome.images.is_empty(), is_mended, "{action}");
        });
    }
}
