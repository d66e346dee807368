//! What follows from the results of a plan, without AWS: what is looked at again, removed once more or undone, and how the
//! outcomes of the parts of a request are put together.

use std::collections::BTreeMap;

use ami_share_testing::worlds::*;
use serde_json::{Value, json};
use sharing::{
    attempt::Attempt,
    closing_look::{Listed, keys_to_list, revokes},
    decide::{Case, SecondLook},
    domain::{ImageId, KeyArn},
    facts::{Fact, Facts, Failure, GrantScan},
    outcome::{ErrorCode, Lasts, Outcome, Refusal, RefusalCode, Status, StepState, TargetState},
    plan::{Step, plan, writes},
    progress::{ImageResult, StepResult},
    report::{self, report},
    taking_back::{Lost, Needed, is_planned, looks_after},
};

use super::copies::in_words;

const DONE: (StepState, bool) = (StepState::Done, false);
const UNCERTAIN: (StepState, bool) = (StepState::Failed, true);
const FAILED: (StepState, bool) = (StepState::Failed, false);

fn request(action: &str, accounts: &[&str], more: Value) -> Value {
    let mut request = json!({"action": action, "imageIds": [IMAGE], "accountIds": accounts});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

/// Calls `look` with the result of a request, each of whose steps ended so.
fn after<T>(
    world: &World,
    request: &Value,
    (state, is_uncertain): (StepState, bool),
    look: impl FnOnce(&Case<'_>, &Facts, ImageResult<'_>) -> T,
) -> T {
    world.put(request, |case, facts| {
        let decision = decide(case, facts).remove(0);
        let steps = plan(case, &decision, &facts.images[decision.image_id], facts);
        let taken = |step| StepResult { is_uncertain, ..StepResult::new(step, state) };
        look(case, facts, ImageResult { steps: steps.into_iter().map(taken).collect(), decision, lost: Vec::new() })
    })
}

fn own_grant(who: &str) -> key_policy::Grant {
    grant(&format!("ami-share/{IMAGE}/{who}"), &root(who), "999988887777")
}

/// An encrypted image that is shared until a time.
fn shared_until() -> World {
    World::encrypted("granted-1", &[]).shared_with(&[ONE]).with_expiry(ONE, in_days(5))
}

#[test]
fn the_keys_of_an_image_are_listed_again_if_a_record_of_it_may_be_deleted() {
    let revoke = request("revoke", &[ONE], json!({}));
    let listed = |world: &World, state| {
        after(world, &revoke, state, |case, facts, result| keys_to_list(case, facts, &[result.clone(), result]))
    };
    let foreign = shared_until().with(|world| world.snapshot().key = Some(FOREIGN_KEY.parse().unwrap()));
    let without_record = shared_until().with(|world| world.image.expiries = Fact::Known(BTreeMap::new()));
    for (world, state, expect) in [
        (shared_until(), DONE, vec![key()]),
        (shared_until(), UNCERTAIN, vec![key()]),
        (shared_until(), FAILED, vec![]),
        (without_record, DONE, vec![]),
        // Only its own account lists the grants of a key.
        (foreign, DONE, vec![]),
    ] {
        assert_eq!(listed(&world, state), expect, "{state:?}");
    }
}

#[test]
fn what_an_overlapping_share_created_is_revoked_once() {
    let revoke = request("revoke", &[ONE], json!({}));
    let hidden =
        |may_hide_ours| GrantScan { unseen: Some(denied("kms:ListGrants")), may_hide_ours, ..GrantScan::default() };
    let both = || vec![own_grant(ONE), own_grant(TWO)];
    // The record of this account was deleted, and not that of another.
    for (seen, is_revoked, gaps) in [
        (Ok((both(), GrantScan::default())), true, 0),
        (Ok((vec![own_grant(TWO)], GrantScan::default())), false, 0),
        (Ok((both(), hidden(true))), true, 1),
        (Ok((both(), hidden(false))), true, 0),
        (Err(denied("kms:ListGrants")), false, 1),
    ] {
        let listed = Listed::from([(key(), seen)]);
        after(&shared_until(), &revoke, DONE, |case, facts, result| {
            let [(result, steps)] = revokes(case, facts, vec![result], &listed).try_into().unwrap();
            let expect: Vec<_> = is_revoked.then(|| format!("kms:RevokeGrant {KEY} -{ONE}")).into_iter().collect();
            assert_eq!((steps.iter().map(in_words).collect(), result.lost.len()), (expect, gaps), "{listed:?}");
        });
    }
    // KMS still lists what was just revoked.
    let known = shared_until().with(|world| world.key().grants = Fact::Known(vec![own_grant(ONE)]));
    let listed = Listed::from([(key(), Ok((both(), GrantScan::default())))]);
    after(&known, &revoke, DONE, |case, facts, result| {
        assert!(result.steps.iter().any(|taken| matches!(taken.step, Step::RevokeGrant { .. })));
        assert_eq!(revokes(case, facts, vec![result], &listed).remove(0).1, []);
    });
}

fn share_for_a_while() -> Value {
    let until = in_days(3).format(&time::format_description::well_known::Rfc3339).unwrap();
    request("share", &[ONE, TWO], json!({"access": "copy", "expiresAt": until}))
}

/// The looks of a share, of which this account has no record any more.
fn lost(looks: &[SecondLook], account: &str) -> Lost {
    let seen = looks.iter().map(|look| (look.clone(), Ok(look.target != target(account))));
    Lost::new(&seen.collect())
}

#[test]
fn only_a_share_that_expires_and_may_have_given_something_is_looked_at_again() {
    let world = World::encrypted("granted-1", &[]);
    for (request, is_looked_at) in [(share_for_a_while(), true), (request("share", &[ONE, TWO], json!({})), false)] {
        for (state, may_have_given) in [(DONE, true), (UNCERTAIN, true), (FAILED, false)] {
            after(&world, &request, state, |case, facts, result| {
                let steps = result.steps.iter().map(|taken| taken.step.clone()).collect();
                assert_eq!(is_planned(case, &[(result.decision.clone(), steps)], facts), is_looked_at, "{request}");
                let looks = looks_after(case, &[result], facts);
                let accounts: Vec<_> = looks.iter().map(|look| look.target.to_string()).collect();
                let expect: &[&str] = if is_looked_at && may_have_given { &[ONE, TWO] } else { &[] };
                assert_eq!(accounts, expect, "{request} {state:?}");
                assert!(lost(&looks, "333344445555").is_empty());
                assert_eq!(lost(&looks, ONE).is_empty(), expect.is_empty());
            });
        }
    }
}

#[test]
fn what_the_share_gave_without_a_record_is_undone_and_the_rest_stays() {
    let world = World::encrypted("granted-1", &[]);
    let remove = [
        format!("ec2:ModifyImageAttribute {IMAGE} -{ONE}"),
        format!("ec2:ModifySnapshotAttribute snap-1a2b3c4d -{ONE}"),
        format!("kms:RevokeGrant {KEY} -{ONE}"),
    ];
    let [launch, volumes, revoke] = remove.each_ref();
    let needed = || Needed::from([("snap-1a2b3c4d".parse().unwrap(), account(ONE))]);
    let unread = || denied("ec2:DescribeImages");
    for (needed, grant_id, expect, gaps) in [
        (Ok(Needed::new()), Ok(Some("abc".to_owned())), vec![launch, volumes, revoke], 1),
        (Ok(needed()), Ok(Some("abc".to_owned())), vec![launch, revoke], 1),
        // Nobody knows who needs the entry, or what the grant's ID is: both stay, and the answer says so.
        (Err(unread()), Ok(Some("abc".to_owned())), vec![launch, revoke], 2),
        (Ok(Needed::new()), Err(denied("kms:ListGrants")), vec![launch, volumes], 2),
        (Ok(Needed::new()), Ok(None), vec![launch, volumes], 1),
    ] {
        after(&world, &share_for_a_while(), DONE, |case, facts, result| {
            let looks = looks_after(case, std::slice::from_ref(&result), facts);
            let lost = lost(&looks, ONE);
            let (snapshots, pairs) = lost.entries(std::slice::from_ref(&result));
            assert_eq!(snapshots, ["snap-1a2b3c4d".parse().unwrap()].into());
            assert_eq!(pairs, [(IMAGE.parse().unwrap(), account(ONE))].into());
            let grants = lost.grants_without_id(std::slice::from_ref(&result));
            assert_eq!(grants.iter().map(in_words).collect::<Vec<_>>(), [format!("kms:CreateGrant {KEY} +{ONE}")]);
            let ids = [(grants[0].clone(), grant_id.clone())];
            let [(result, steps)] = lost.undo(vec![result], &needed, &ids).try_into().unwrap();
            assert_eq!(steps.iter().map(in_words).collect::<Vec<_>>().iter().collect::<Vec<_>>(), expect);
            assert_eq!(result.lost.len(), gaps, "{:?}", result.lost);
        });
    }
    // What KMS answered is not asked for, and what certainly was not given is not undone.
    after(&world, &share_for_a_while(), DONE, |case, facts, mut result| {
        let looks = looks_after(case, std::slice::from_ref(&result), facts);
        for taken in &mut result.steps {
            taken.grant_id = matches!(taken.step, Step::CreateGrant { .. }).then(|| "abc".to_owned());
        }
        assert_eq!(lost(&looks, ONE).grants_without_id(std::slice::from_ref(&result)), []);
        for taken in &mut result.steps {
            (taken.state, taken.is_uncertain) = FAILED;
        }
        let [(_, steps)] = lost(&looks, ONE).undo(vec![result], &Ok(Needed::new()), &[]).try_into().unwrap();
        assert_eq!(steps, []);
    });
    // The lost shares are those of one image.
    after(&world, &share_for_a_while(), DONE, |case, facts, result| {
        let looks = looks_after(case, std::slice::from_ref(&result), facts);
        let other: ImageId = "ami-99999999".parse().unwrap();
        let elsewhere = looks.into_iter().map(|look| (SecondLook { image_id: other.clone(), ..look }, Ok(false)));
        let lost = Lost::new(&elsewhere.collect());
        let [(result, steps)] = lost.undo(vec![result], &Ok(Needed::new()), &[]).try_into().unwrap();
        assert_eq!((steps, result.lost), (vec![], vec![]));
    });
}

/// Undoing is a write as any other: it may fail, or its answer may be lost.
#[test]
fn a_share_that_can_not_undo_what_it_gave_says_so() {
    let world = World::open("golden-1");
    for (state, is_uncertain) in [DONE, UNCERTAIN, FAILED] {
        after(&world, &share_for_a_while(), DONE, |case, facts, result| {
            let looks = looks_after(case, std::slice::from_ref(&result), facts);
            let undone = lost(&looks, ONE).undo(vec![result], &Ok(Needed::new()), &[]);
            let [(mut result, steps)] = undone.try_into().unwrap();
            assert_eq!(in_words(&steps[0]), format!("ec2:ModifyImageAttribute {IMAGE} -{ONE}"));
            let error = (state == StepState::Failed).then(|| denied("ec2:ModifyImageAttribute"));
            let taken = |step| StepResult { is_uncertain, error: error.clone(), ..StepResult::new(step, state) };
            let steps_undone = steps.len();
            result.steps.extend(steps.into_iter().map(taken));
            let mut outcome = Outcome::new("id", Status::Completed);
            report(&mut outcome, case, facts, vec![result], "eu-west-1");
            assert_eq!(outcome.result, Status::Incomplete);
            let codes: Vec<_> = outcome.errors.iter().map(|error| error.code).collect();
            let of_steps = if state == StepState::Failed { vec![ErrorCode::Denied; steps_undone] } else { Vec::new() };
            assert_eq!(codes, [vec![ErrorCode::ExpiryLost], of_steps].concat());
            let undoing = outcome.images[0].steps.last().unwrap();
            assert_eq!((undoing.remove.len(), undoing.state), (1, state));
        });
    }
}

#[test]
fn a_share_that_exists_writes_nothing() {
    let share = request("share", &[ONE], json!({}));
    let writes = |world: &World| world.put(&share, |case, facts| writes(case, facts, &decide(case, facts)));
    let world = World::open("golden-1");
    assert_eq!((writes(&world), writes(&world.shared_with(&[ONE]))), (true, false));
}

/// Whether an answer says that something changed, where every step of the plan was done.
fn is_changed(world: &World, request: &Value) -> bool {
    after(world, request, DONE, |case, facts, result| {
        let is_changed = Attempt::new(case, facts, std::slice::from_ref(&result)).is_changed;
        let mut outcome = Outcome::new("id", Status::Refused);
        report(&mut outcome, case, facts, vec![result], "eu-west-1");
        assert_eq!(outcome.images.iter().any(|row| row.changed), is_changed);
        is_changed
    })
}

#[test]
fn a_write_that_changes_nothing_is_no_change_and_one_whose_effect_is_not_known_is() {
    let (revoke, reset) = (request("revoke", &[ONE], json!({})), json!({"action": "reset", "imageIds": [IMAGE]}));
    let open = World::open("golden-1");
    let unread = open.clone().with(|world| world.image.launch_permissions = Fact::Failed(denied("ec2:x")));
    let copied = open.clone().with(|world| world.snapshot().create_volume_permissions = copied_by(&[ONE]));
    let copied_by_other = open.clone().with(|world| world.snapshot().create_volume_permissions = copied_by(&[TWO]));
    for (world, by_revoke, by_reset) in [
        (&open, false, false),
        (&open.clone().shared_with(&[ONE]), true, true),
        (&open.clone().shared_with(&[TWO]), false, true),
        (&open.clone().shared_with(&["all"]), false, true),
        (&unread, true, true),
        (&copied, true, true),
        (&copied_by_other, false, true),
    ] {
        assert_eq!(is_changed(world, &revoke), by_revoke, "revoke {:?}", world.image);
        assert_eq!(is_changed(world, &reset), by_reset, "reset {:?}", world.image);
    }
    assert!(!is_changed(&open.shared_with(&[ONE]), &request("share", &[ONE], json!({}))));
}

#[test]
fn of_several_targets_some_may_be_refused() {
    let result = |world: &World, request: &Value, state| {
        after(world, request, state, |case, facts, result| {
            let attempt = Attempt::new(case, facts, &[result]);
            (attempt.result, attempt.refusals.len())
        })
    };
    let stranger = "444455556666";
    let world = World::open("golden-1");
    assert_eq!(result(&world, &request("revoke", &[stranger], json!({})), DONE), (Status::Refused, 1));
    assert_eq!(result(&world, &request("share", &[ONE, stranger], json!({})), DONE), (Status::Refused, 1));
    assert_eq!(result(&world, &json!({"action": "list", "imageIds": [IMAGE]}), DONE), (Status::Completed, 0));
    let nothing_done = result(&world, &request("revoke", &[ONE, TWO], json!({})), FAILED);
    assert_eq!(nothing_done, (Status::Failed, 0));
}

#[test]
fn the_worse_result_of_two_parts_counts_and_is_incomplete_if_one_has_changed_something() {
    use Status::{Accepted, Completed, Failed, Incomplete, Refused};
    let part = |result, is_changed: bool| {
        after(&World::open("golden-1"), &request("share", &[ONE], json!({})), DONE, |case, facts, done| {
            let mut outcome = Outcome::new("id", Completed);
            report(&mut outcome, case, facts, vec![done], "eu-west-1");
            outcome.images[0].changed = is_changed;
            outcome.result = result;
            outcome
        })
    };
    for (one, other, expect) in [
        ((Completed, true), (Completed, true), Completed),
        ((Completed, true), (Accepted, false), Accepted),
        ((Completed, true), (Failed, false), Incomplete),
        ((Completed, false), (Failed, false), Failed),
        ((Accepted, true), (Refused, false), Incomplete),
        ((Refused, false), (Completed, true), Incomplete),
        ((Failed, false), (Completed, true), Incomplete),
        ((Refused, false), (Completed, false), Refused),
        ((Failed, true), (Refused, true), Failed),
        ((Incomplete, true), (Completed, true), Incomplete),
    ] {
        let mut whole = part(one.0, one.1);
        whole.absorb(part(other.0, other.1));
        assert_eq!(whole.result, expect, "{one:?} then {other:?}");
    }
}

#[test]
fn parts_about_one_image_and_target_become_one_row() {
    let until = in_days(3);
    let part = |accounts: &[&str], image: &str, state, expires_at| {
        let world = World::encrypted("golden-1", &[ONE, TWO]);
        after(&world, &request("share", accounts, json!({})), DONE, |case, facts, done| {
            let mut outcome = Outcome::new("id", Status::Completed);
            report(&mut outcome, case, facts, vec![done], "eu-west-1");
            outcome.images[0].image_id = Some(image.parse().unwrap());
            for row in &mut outcome.images[0].targets {
                (row.state, row.expires_at) = (state, expires_at);
            }
            outcome
        })
    };
    use TargetState::{AlreadyShared, Failed, Shared};
    let put_together = |one: Outcome, other: Outcome| {
        let mut whole = one;
        whole.absorb(other);
        let rows = whole.images.iter().map(|image| {
            let targets = image.targets.iter().map(|row| (row.target.to_string(), row.state, row.expires_at));
            (image.key_arns.len(), image.keys.len(), image.steps.len(), image.changed, targets.collect::<Vec<_>>())
        });
        rows.collect::<Vec<_>>()
    };
    let one = |state, at| (ONE.to_owned(), state, at);
    let two = |state, at| (TWO.to_owned(), state, at);
    for (first, second, expect) in [
        // The same target again: what failed before counts no more, and a known time stays.
        (
            part(&[ONE], IMAGE, Shared, Some(until)),
            part(&[ONE], IMAGE, AlreadyShared, None),
            vec![(1, 1, 2, true, vec![one(Shared, Some(until))])],
        ),
        (
            part(&[ONE], IMAGE, Failed, None),
            part(&[ONE], IMAGE, Shared, Some(until)),
            vec![(1, 1, 2, true, vec![one(Shared, Some(until))])],
        ),
        (
            part(&[ONE], IMAGE, Shared, None),
            part(&[ONE], IMAGE, Failed, Some(until)),
            vec![(1, 1, 2, true, vec![one(Shared, Some(until))])],
        ),
        (
            part(&[ONE], IMAGE, Shared, None),
            part(&[TWO], IMAGE, Shared, None),
            vec![(1, 2, 2, true, vec![one(Shared, None), two(Shared, None)])],
        ),
        (
            part(&[ONE], IMAGE, Shared, None),
            part(&[ONE], "ami-99999999", Shared, None),
            vec![(1, 1, 1, true, vec![one(Shared, None)]), (1, 1, 1, true, vec![one(Shared, None)])],
        ),
    ] {
        assert_eq!(put_together(first, second), expect);
    }
    // What the first part lacks is taken from the second, also whether something changed.
    let mut unchanged = part(&[ONE], IMAGE, Shared, None);
    let row = &mut unchanged.images[0];
    (row.changed, row.key_arns, row.keys) = (false, Vec::<KeyArn>::new(), Vec::new());
    assert!(put_together(unchanged, part(&[ONE], IMAGE, Shared, None))[0].3);
    let mut unchanged = part(&[ONE], IMAGE, Shared, None);
    (unchanged.images[0].changed, unchanged.images[0].key_arns) = (false, Vec::new());
    let later = unchanged.clone();
    assert_eq!(put_together(unchanged, later)[0], (0, 1, 2, false, vec![one(Shared, None)]));
}

#[test]
fn a_whole_that_is_refused_may_be_sent_again_only_if_every_refusal_passes() {
    let refused = |lasts| Outcome::refused("id", vec![Refusal { lasts, ..Refusal::new(RefusalCode::NotSetUp, "") }]);
    let (passing, lasting) = (|| refused(Lasts::ForAWhile), || refused(Lasts::UntilChanged));
    for (one, other, expect) in
        [(passing(), passing(), true), (passing(), lasting(), false), (lasting(), lasting(), false)]
    {
        let mut whole = one;
        whole.absorb(other);
        assert_eq!((whole.result, whole.refusals.len(), whole.retryable), (Status::Refused, 2, expect));
    }
    let mut empty = Outcome::refused("id", Vec::new());
    empty.absorb(Outcome::refused("id", Vec::new()));
    assert!(!empty.retryable);
    for (one, other) in [(true, false), (false, true), (true, true), (false, false)] {
        let failed = |retryable| Outcome { retryable, ..Outcome::new("id", Status::Failed) };
        let mut whole = failed(one);
        whole.absorb(failed(other));
        assert_eq!(whole.retryable, one || other);
    }
}

#[test]
fn an_event_that_nobody_acts_on_is_no_operation() {
    use sharing::request::Action;
    let outcome = |action, result| Outcome { action: Some(action), ..Outcome::new("id", result) };
    for (outcome, expect) in [
        (outcome(Action::Share, Status::Completed), true),
        (outcome(Action::Revoke, Status::Completed), true),
        (Outcome::new("id", Status::Completed), true),
        (outcome(Action::Share, Status::Refused), false),
        (outcome(Action::List, Status::Completed), false),
        (outcome(Action::Images, Status::Completed), false),
        (outcome(Action::Approvals, Status::Completed), false),
        (outcome(Action::Reject, Status::Completed), false),
        (Outcome { findings: Some(Vec::new()), ..outcome(Action::Audit, Status::Completed) }, false),
    ] {
        assert_eq!(outcome.is_no_op(), expect, "{outcome:?}");
    }
}

#[test]
fn a_failure_at_the_end_makes_a_request_failed() {
    let throttled = |retryable| Failure { retryable, code: ErrorCode::Throttled, ..denied("events:PutEvents") };
    let new = |result| Outcome { errors: Vec::new(), ..Outcome::new("id", result) };
    let failed = report::failed_by(new(Status::Completed), vec![denied("a"), throttled(true)]);
    let codes: Vec<_> = failed.errors.iter().map(|error| error.code).collect();
    assert_eq!((failed.result, failed.retryable), (Status::Failed, true));
    assert_eq!(codes, [ErrorCode::Denied, ErrorCode::Throttled]);
    assert!(!report::failed(new(Status::Completed), denied("a")).retryable);
    let refusals = vec![Refusal::new(RefusalCode::NotSetUp, "")];
    let refused = report::refused(new(Status::Completed), refusals.clone());
    assert_eq!((refused.result, refused.refusals), (Status::Refused, refusals));
    let mut late = new(Status::Completed);
    report::fail_late(&mut late, throttled(false));
    assert_eq!((late.result, late.retryable, late.errors.len()), (Status::Failed, true, 1));
    // Why a share that waited is given up comes first; what was done stays done.
    for (result, expect) in
        [(Status::Incomplete, Status::Incomplete), (Status::Failed, Status::Failed), (Status::Refused, Status::Failed)]
    {
        let mut given_up = report::failed(new(Status::Failed), denied("a"));
        given_up.result = result;
        report::give_up_waiting(&mut given_up, throttled(true));
        assert_eq!((given_up.result, given_up.retryable), (expect, true));
        assert_eq!(given_up.errors[0].code, ErrorCode::Throttled);
    }
}

#[test]
fn of_several_images_a_request_that_only_reads_answers_for_those_it_knows() {
    let result = |action: &str, accounts: &[&str]| {
        let mut request = json!({"action": action, "imageIds": [IMAGE, "ami-99999999"]});
        if !accounts.is_empty() {
            request["accountIds"] = json!(accounts);
        }
        World::open("golden-1").put(&request, |case, facts| {
            let results = decide(case, facts).into_iter().map(|decision| {
                let image = facts.images.get(decision.image_id);
                let steps = image.map(|image| plan(case, &decision, image, facts)).unwrap_or_default();
                let steps = steps.into_iter().map(|step| StepResult::new(step, StepState::Failed)).collect();
                ImageResult { decision, steps, lost: Vec::new() }
            });
            let attempt = Attempt::new(case, facts, &results.collect::<Vec<_>>());
            (attempt.result, attempt.refusals.len())
        })
    };
    assert_eq!(result("list", &[]), (Status::Completed, 1));
    assert_eq!(result("check", &[ONE]), (Status::Completed, 1));
    // Something is done, even if it fails: the request is neither refused nor failed as a whole.
    assert_eq!(result("revoke", &[ONE]), (Status::Incomplete, 1));
    assert_eq!(result("share", &[ONE]), (Status::Refused, 1));
}

#[test]
fn the_request_goes_on_without_what_is_best_effort_or_tried_again() {
    use sharing::{
        needs::{CopyOrder, GranteeKind},
        progress::why_not_done,
    };
    let grant = |kind: GranteeKind| Step::CreateGrant {
        key: key(),
        name: sharing::domain::GrantName::new(&IMAGE.parse().unwrap(), account(ONE), None),
        grantee: root(ONE),
        account: account(ONE),
        kind,
    };
    let order = CopyOrder {
        source: super::copies::regional("eu-north-1"),
        source_name: "golden-1".to_owned(),
        key: key(),
        failed_copies: 0,
        is_from_here: false,
    };
    let failed = |step: Step, retryable| StepResult {
        error: Some(Failure { retryable, ..denied("x") }),
        ..StepResult::new(step, StepState::Failed)
    };
    let copy = || Step::CopyImage(order.clone());
    let role = || grant(GranteeKind::Role("spot".parse().unwrap()));
    for (step, retryable, expect) in [
        (copy(), true, true),
        (copy(), false, false),
        (role(), true, true),
        (role(), false, true),
        (grant(GranteeKind::Account), true, false),
        (grant(GranteeKind::Account), false, false),
    ] {
        assert_eq!(failed(step.clone(), retryable).is_passed_over(), expect, "{step:?} {retryable}");
    }
    assert!(!StepResult::new(copy(), StepState::Failed).is_passed_over());
    let done = || StepResult::new(copy(), StepState::Done);
    assert_eq!(why_not_done(vec![done(), done()]), None);
    let why = why_not_done(vec![done(), failed(copy(), false), failed(role(), true)]).unwrap();
    assert_eq!((why.code, why.retryable), (ErrorCode::Denied, false));
}

/// A grant is revoked and permissions are removed whatever else failed, as far as possible; a record that gives a right is
/// deleted in any case, after the new record of the other targets.
#[test]
fn a_step_waits_for_the_phases_whose_failure_would_make_it_unsafe() {
    use sharing::plan::Phase::{Copies, Expiries, Grants, Launch, Snapshots, Waiting, Withdrawals};
    let world = World::encrypted("granted-1", &[]).shared_with(&[ONE]).with_expiry(ONE, in_days(5));
    let world = world.with(|world| {
        world.key().grants = Fact::Known(vec![own_grant(ONE)]);
        world.snapshot().create_volume_permissions = copied_by(&[ONE]);
    });
    let of = |request: &Value, world: &World| after(world, request, DONE, |_, _, result| result.steps);
    let revoke = of(&request("revoke", &[ONE], json!({})), &world);
    let share = of(&share_for_a_while(), &World::encrypted("granted-1", &[]));
    let all = [Grants, Snapshots, Launch, Expiries, Waiting, Copies, Withdrawals];
    for taken in revoke.iter().chain(&share) {
        let is_removal =
            matches!(taken.step, Step::RemoveLaunchPermissions { .. } | Step::RemoveCreateVolumePermissions { .. });
        let expect = if matches!(taken.step, Step::RevokeGrant { .. }) {
            vec![Grants, Launch, Expiries, Waiting, Copies, Withdrawals]
        } else if is_removal {
            vec![Grants, Snapshots, Launch, Copies]
        } else {
            all.to_vec()
        };
        let waits: Vec<_> = all.into_iter().filter(|phase| taken.step.waits_for(*phase)).collect();
        assert_eq!(waits, expect, "{:?}", taken.step);
    }
    let record = super::copies::recorded(&[ONE], "lambda:invoke", 0, in_days(1));
    let end = sharing::plan::end(&record);
    assert_eq!(all.into_iter().filter(|phase| end.waits_for(*phase)).collect::<Vec<_>>(), [Waiting]);
}

#[test]
fn what_waits_for_approval_is_accepted_and_not_shared_yet() {
    use sharing::outcome::Waiting;
    let waiting = || Waiting { id: "0".repeat(32), until: in_days(7), rules: vec!["golden".to_owned()] };
    let outcome = |world: &World, result| {
        after(world, &share_for_a_while(), DONE, |case, facts, done| {
            let mut outcome = Outcome::new("id", result);
            report(&mut outcome, case, facts, vec![done], "eu-west-1");
            outcome.result = result;
            report::await_approval(&mut outcome, waiting());
            let rows = outcome.images[0].targets.iter().map(|row| (row.state, row.expires_at.is_some()));
            (outcome.result, outcome.approval.is_some(), rows.collect::<Vec<_>>())
        })
    };
    let world = World::encrypted("granted-1", &[]);
    let (waits, shared) = ((TargetState::Waiting, false), (TargetState::Shared, true));
    for (result, expect, is_waiting) in [
        (Status::Completed, Status::Accepted, true),
        (Status::Accepted, Status::Accepted, true),
        (Status::Planned, Status::Planned, true),
        (Status::Refused, Status::Refused, false),
        (Status::Incomplete, Status::Incomplete, false),
        (Status::Failed, Status::Failed, false),
    ] {
        let row = if is_waiting { waits } else { shared };
        assert_eq!(outcome(&world, result), (expect, is_waiting, vec![row, row]), "{result:?}");
    }
}

/// A warning names what may be left out: the copy that is tried again, and the role that may not exist yet, with the command
/// that its account runs once it does.
#[test]
fn what_was_not_done_although_the_request_goes_on_is_a_warning() {
    let warnings = |world: &World, request: &Value, is_left: fn(&Step) -> bool, state: Status| {
        after(world, request, DONE, |case, facts, mut result| {
            for taken in result.steps.iter_mut().filter(|taken| is_left(&taken.step)) {
                taken.state = StepState::Failed;
                taken.error = Some(Failure { retryable: true, ..denied("x:Throttled") });
            }
            let mut outcome = Outcome::new("id", Status::Refused);
            report(&mut outcome, case, facts, vec![result], "eu-west-1");
            assert_eq!(outcome.result, state);
            let told = outcome.warnings.into_iter().filter(|warning| warning.contains("x:Throttled"));
            told.collect::<Vec<_>>()
        })
    };
    let is_of_role = |step: &Step| matches!(step, Step::CreateGrant { kind, .. } if kind.role().is_some());
    let share = request("share", &[ONE], json!({"serviceLinkedRoles": ["autoscaling"]}));
    let [warning] = &warnings(&World::encrypted("granted-1", &[]), &share, is_of_role, Status::Completed)[..] else {
        panic!("one warning")
    };
    let role =
        format!("arn:aws:iam::{ONE}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling");
    let command =
        format!("aws kms create-grant --region eu-west-1 --key-id {KEY} --grantee-principal {role} --operations ");
    assert!(warning.contains(&command), "{warning}");
    let is_copy = |step: &Step| matches!(step, Step::CopyImage(_));
    let (world, share) = (super::copies::world("copied-1", &[ONE]), super::copies::share(&[ONE]));
    let [warning] = &warnings(&world, &share, is_copy, Status::Accepted)[..] else { panic!("one warning") };
    assert!(warning.contains(super::copies::SOURCE) && warning.contains("try again"), "{warning}");
    // What is done needs no word.
    assert_eq!(warnings(&world, &share, |_| false, Status::Accepted), [""; 0]);
}

#[test]
fn a_target_has_the_expiry_time_of_its_own_share() {
    let until = in_days(3).format(&time::format_description::well_known::Rfc3339).unwrap();
    let share = request("share", &[ONE], json!({"expiresAt": until}));
    after(&World::open("golden-1"), &share, DONE, |case, facts, result| {
        let mut outcome = Outcome::new("id", Status::Refused);
        report(&mut outcome, case, facts, vec![result], "eu-west-1");
        let rows = outcome.images[0].targets.iter().map(|row| (row.state, row.expires_at));
        assert_eq!(rows.collect::<Vec<_>>(), [(TargetState::Shared, Some(in_days(3)))]);
    });
}

/// A record that is written and deleted again, because something else came in between, is no change.
#[test]
fn a_record_that_was_deleted_again_is_nothing_that_changed() {
    let record = || super::copies::recorded(&[ONE], "lambda:invoke", 0, in_days(1));
    let written = || StepResult::new(Step::CreateCopyRecord(Box::new(record())), StepState::Done);
    let deleted = |name, state| StepResult::new(Step::DeleteCopyRecord { name, targets: Vec::new() }, state);
    let other = || super::copies::recorded(&[TWO], "lambda:invoke", 0, in_days(1)).name;
    for (steps, is_changed) in [
        (vec![written(), deleted(record().name, StepState::Done)], false),
        (vec![written()], true),
        (vec![written(), deleted(record().name, StepState::Failed)], true),
        (vec![written(), deleted(other(), StepState::Done)], true),
    ] {
        after(&World::open("golden-1"), &request("share", &[ONE], json!({})), DONE, |case, facts, result| {
            let result = ImageResult { steps: steps.clone(), ..result };
            assert_eq!(Attempt::new(case, facts, &[result]).is_changed, is_changed, "{steps:?}");
        });
    }
}
