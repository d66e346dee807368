//! What is removed once more when a share that waited for a copy was taken back, without AWS.

use std::collections::BTreeMap;

use ami_share_testing::worlds::*;
use serde_json::json;
use sharing::{
    closing_look::Listed,
    decide::{Case, may_take},
    domain::{GrantName, ImageId},
    facts::{CopyRecord, Fact, Facts, GrantScan, Image, ImageState, LaunchPermission, Reading},
    outcome::StepState,
    plan::{Step, plan},
    progress::{ImageResult, StepResult},
    records::{name_of_waiting, waiting_request},
    request::Access,
    taking_back::Needed,
    withdrawn::{Removal, withdrawn},
};
use time::Duration;

use super::copies::{
    COPY, Change as _, OTHER_COPY, REGION, SOURCE, ask, copy, id, in_words, recorded, regional, world,
};

/// The record of a share with both accounts, with this access.
fn waiting(access: Access) -> CopyRecord {
    let record = recorded(&[ONE, TWO], "somebody", 0, NOW + Duration::hours(1));
    let request = waiting_request(&sharing::request::Request { access, ..record.request.clone() }, &id(SOURCE));
    CopyRecord { name: name_of_waiting(&request, &record.requester, None).unwrap(), request, ..record }
}

/// An available copy that became so after the facts were read.
fn made() -> BTreeMap<ImageId, Image> {
    [(id(COPY), copy(KEY, ImageState::Available))].into()
}

/// Calls `look` with the result of a revoke of both accounts, all of whose steps ended so.
fn revoked<T>(
    world: &World,
    state: (StepState, bool),
    look: impl FnOnce(&Case<'_>, &Facts, ImageResult<'_>) -> T,
) -> T {
    world.put(&ask("revoke", &[ONE, TWO], json!({})), |case, facts| {
        let decision = decide(case, facts).remove(0);
        let steps = plan(case, &decision, &facts.images[decision.image_id], facts);
        let taken = |step| StepResult { is_uncertain: state.1, ..StepResult::new(step, state.0) };
        let steps: Vec<_> = steps.into_iter().map(taken).collect();
        assert!(!steps.is_empty());
        look(case, facts, ImageResult { decision, steps, lost: Vec::new() })
    })
}

const DONE: (StepState, bool) = (StepState::Done, false);

#[test]
fn only_a_record_that_may_be_deleted_is_followed_by_a_removal() {
    let world = world("lent-1", &[]).waiting(waiting(Access::Launch));
    for (state, is_followed) in [
        (DONE, true),
        ((StepState::Failed, true), true),
        ((StepState::Failed, false), false),
        ((StepState::Skipped, false), false),
    ] {
        revoked(&world, state, |_, _, result| {
            let sources: Vec<_> = withdrawn(&result).into_keys().collect();
            assert_eq!(sources, is_followed.then(|| regional(REGION)).into_iter().collect::<Vec<_>>(), "{state:?}");
        });
    }
}

/// What is removed once more after a revoke, and the number of gaps.
fn removed(
    world: &World,
    copies: Reading<BTreeMap<ImageId, Image>>,
    needed: &Reading<Needed>,
    listed: &Listed,
) -> (Vec<String>, usize) {
    revoked(world, DONE, |case, facts, mut result| {
        let (source, of_source) = withdrawn(&result).pop_first().unwrap();
        let removal = Removal::new(of_source, &source, copies, facts);
        let steps = removal.steps(case, facts, &mut result, (needed, listed));
        (steps.iter().map(in_words).collect(), result.lost.len())
    })
}

#[test]
fn the_create_volume_permissions_of_those_who_could_have_copied_are_removed_unless_others_need_them() {
    let snapshot = "snap-0000000c";
    let launch = || format!("ec2:ModifyImageAttribute {COPY} -{ONE} -{TWO}");
    let volumes = |accounts: &str| format!("ec2:ModifySnapshotAttribute {snapshot} {accounts}");
    let needed = Needed::from([(snapshot.parse().unwrap(), account(ONE))]);
    for (access, needed, expect, gaps) in [
        (Access::Launch, Ok(Needed::new()), vec![launch()], 0),
        (Access::Copy, Ok(Needed::new()), vec![launch(), volumes(&format!("-{ONE} -{TWO}"))], 0),
        (Access::Copy, Ok(needed), vec![launch(), volumes(&format!("-{TWO}"))], 0),
        (Access::Copy, Err(denied("ec2:DescribeImages")), vec![launch()], 1),
    ] {
        let world = world("lent-1", &[]).waiting(waiting(access));
        assert_eq!(removed(&world, Ok(made()), &needed, &Listed::new()), (expect, gaps), "{access:?}");
        revoked(&world, DONE, |_, facts, result| {
            let (source, of_source) = withdrawn(&result).pop_first().unwrap();
            let (snapshots, pairs) = Removal::new(of_source, &source, Ok(made()), facts).entries();
            let is_read = access == Access::Copy;
            assert_eq!((snapshots.len(), pairs.len()), if is_read { (1, 2) } else { (0, 0) });
        });
    }
}

#[test]
fn where_the_copies_cannot_be_read_again_those_that_were_known_count() {
    let world = world("lent-1", &[]).waiting(waiting(Access::Launch));
    let failed = || Err(denied("ec2:DescribeImages"));
    let nothing = || (Ok(Needed::new()), Listed::new());
    let (needed, listed) = nothing();
    assert_eq!(removed(&world, failed(), &needed, &listed), (vec![], 1));
    let known = world.made(OTHER_COPY, copy(KEY, ImageState::Available));
    let expect = format!("ec2:ModifyImageAttribute {OTHER_COPY} -{ONE} -{TWO}");
    assert_eq!(removed(&known, failed(), &needed, &listed), (vec![expect], 1));
}

#[test]
fn who_takes_back_only_what_it_asked_for_leaves_alone_what_was_shared_before() {
    // No rule lets it revoke; one share waits that it asked for.
    let own = recorded(&[ONE, TWO], "lambda:invoke", 0, NOW + Duration::hours(1));
    let shared = Image {
        launch_permissions: Fact::Known(vec![LaunchPermission::To(target(ONE))]),
        ..copy(KEY, ImageState::Available)
    };
    let world = world("copied-1", &[]).waiting(own).made(COPY, copy(KEY, ImageState::Available));
    let world = world.made(OTHER_COPY, shared.clone());
    let read: BTreeMap<_, _> = made().into_iter().chain([(id(OTHER_COPY), shared)]).collect();
    let remove = |copy_id: &str, targets: &str| format!("ec2:ModifyImageAttribute {copy_id} {targets}");
    let expect = vec![remove(COPY, &format!("-{ONE} -{TWO}")), remove(OTHER_COPY, &format!("-{TWO}"))];
    assert_eq!(removed(&world, Ok(read), &Ok(Needed::new()), &Listed::new()), (expect, 0));
}

#[test]
fn the_grants_that_a_share_of_a_copy_created_are_revoked_by_what_is_listed_now() {
    let world = world("lent-1", &[]).waiting(waiting(Access::Launch));
    let launch = || format!("ec2:ModifyImageAttribute {COPY} -{ONE} -{TWO}");
    let named = |image_id: &str, who: &str| {
        let name = GrantName::new(&id(image_id), account(who), None);
        grant(name.as_str(), &root(who), "999988887777")
    };
    let hidden =
        |may_hide_ours| GrantScan { unseen: Some(denied("kms:ListGrants")), may_hide_ours, ..GrantScan::default() };
    let revoke = || format!("kms:RevokeGrant {KEY} -{ONE}");
    for (seen, is_revoked, gaps) in [
        (Ok((vec![named(COPY, ONE)], GrantScan::default())), true, 0),
        // That of another image.
        (Ok((vec![named(OTHER_COPY, ONE)], GrantScan::default())), false, 0),
        (Ok((vec![named(COPY, ONE)], hidden(true))), true, 1),
        (Ok((Vec::new(), hidden(false))), false, 0),
        (Err(denied("kms:ListGrants")), false, 1),
    ] {
        let listed = Listed::from([(key(), seen)]);
        let expect: Vec<_> = [launch()].into_iter().chain(is_revoked.then(revoke)).collect();
        assert_eq!(removed(&world, Ok(made()), &Ok(Needed::new()), &listed), (expect, gaps), "{listed:?}");
    }
    revoked(&world, DONE, |case, facts, mut result| {
        let (source, of_source) = withdrawn(&result).pop_first().unwrap();
        let removal = Removal::new(of_source, &source, Ok(made()), facts);
        assert_eq!(removal.keys(case), [key()]);
        let about = removal.request(case);
        assert_eq!((about.image_ids, about.targets.len()), (vec![id(COPY)], 2));
        // What was just revoked may still be listed.
        let listed = Listed::from([(key(), Ok((vec![named(COPY, ONE)], GrantScan::default())))]);
        let gone = removal.clone().steps(case, facts, &mut result, (&Ok(Needed::new()), &listed));
        let is_revoke = |step: &&Step| matches!(step, Step::RevokeGrant { .. });
        result.steps.extend(gone.iter().filter(is_revoke).cloned().map(|step| StepResult::new(step, StepState::Done)));
        let again = removal.steps(case, facts, &mut result, (&Ok(Needed::new()), &listed));
        assert_eq!((gone.iter().filter(is_revoke).count(), again.iter().filter(is_revoke).count()), (1, 0));
    });
}

#[test]
fn grants_are_looked_for_only_of_those_who_waited() {
    let one = recorded(&[ONE], "somebody", 0, NOW + Duration::hours(1));
    revoked(&world("lent-1", &[]).waiting(one), DONE, |case, facts, result| {
        let (source, of_source) = withdrawn(&result).pop_first().unwrap();
        let about = Removal::new(of_source, &source, Ok(made()), facts).request(case);
        assert_eq!(about.targets.iter().map(|asked| asked.target.clone()).collect::<Vec<_>>(), [target(ONE)]);
    });
}

#[test]
fn who_may_only_take_back_its_own_may_not_remove_what_was_shared_before() {
    let may = |name: &str, action: &str, was_shared: bool| {
        let accounts: &[&str] = if was_shared { &[ONE] } else { &[] };
        let mut request = json!({"action": action, "imageIds": [IMAGE], "accountIds": [ONE, TWO]});
        if action == "reset" {
            request.as_object_mut().unwrap().remove("accountIds");
        }
        World::open(name).shared_with(accounts).put(&request, |case, facts| {
            let decision = decide(case, facts).remove(0);
            let id = decision.image_id.clone();
            may_take(case, facts, &decision, &id, &target(ONE))
        })
    };
    for (name, action, was_shared, expect) in [
        ("golden-1", "revoke", true, true),
        ("golden-1", "revoke", false, true),
        ("golden-1", "reset", true, true),
        // No rule lets it revoke.
        ("kept-1", "revoke", true, false),
        ("kept-1", "revoke", false, true),
    ] {
        assert_eq!(may(name, action, was_shared), expect, "{name} {action} {was_shared}");
    }
    // A rule for another target does not count.
    let only_two = json!({"action": "revoke", "imageIds": [IMAGE], "accountIds": [TWO]});
    let may_take_one = World::open("golden-1").shared_with(&[ONE]).put(&only_two, |case, facts| {
        let decision = decide(case, facts).remove(0);
        may_take(case, facts, &decision, &decision.image_id.clone(), &target(ONE))
    });
    assert!(!may_take_one);
}
