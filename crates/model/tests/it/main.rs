//! Owns the bounded part of the exploration, and the proof that the explorer finds faults.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;

use model::{
    explore::{Explorer, Limits},
    kept::Lag,
    kinds::Kind,
    known::{EXCEPTIONS, NOT_MENDED},
    planted::Planted,
    rules::approved_copies::NOBODY_SAYS_SO,
    scenes::{Before, Scene},
    sets::{approvals, deregistrations, scenes},
};

const LAG: Lag = Lag { ec2: true, kms: false };
const QUIET: Limits =
    Limits { crashes: 0, faults: 0, reads: 0, events: 0, lag: Lag { ec2: false, kms: false }, is_one_by_one: false };

/// The same, and the reads that an invocation makes at the same time run one after the other.
const SIMPLE: Limits = Limits { is_one_by_one: true, ..QUIET };

/// Explores scenes, checks the least number of states that are explored, and returns what is known not to hold.
#[track_caller]
fn explore(scenes: impl IntoIterator<Item = Scene>, limits: Limits, fewest: usize) -> BTreeSet<u8> {
    let mut explorer = Explorer::new(Planted::Nothing);
    let (mut states, mut known) = (0, BTreeSet::new());
    for scene in scenes {
        let explored = explorer.explore(&scene, limits);
        assert_eq!(explored.found, None, "{}", scene.name());
        states += explored.states;
        known.extend(explored.known.into_keys());
    }
    assert!(states >= fewest, "{states} states");
    known
}

/// Explores every scene of the image with the given number of invocations.
#[track_caller]
fn check(size: usize, limits: Limits, fewest: usize) {
    assert_eq!(explore(scenes(size), limits, fewest), BTreeSet::new());
}

#[test]
fn one_request_survives_a_crash_a_lost_answer_and_late_reads() {
    check(1, Limits { crashes: 1, faults: 1, lag: LAG, ..QUIET }, 2_000);
}

#[test]
fn two_requests_leave_nothing_that_must_expire_without_a_record_whatever_their_order() {
    check(2, Limits { lag: LAG, ..QUIET }, 30_000);
}

#[test]
fn requests_for_copies_and_hints_that_cross_leave_one_copy_and_no_record() {
    let pairs = [
        [Kind::ShareCopy, Kind::ShareCopy],
        [Kind::ShareCopy, Kind::ShareCopyToo],
        [Kind::ShareCopy, Kind::Tick],
        [Kind::Tick, Kind::RevokeCopy],
        [Kind::TickOfBoth, Kind::RevokeCopy],
        [Kind::ShareCopyUntil, Kind::RevokeCopyById],
    ];
    let scenes = pairs.iter().flat_map(|kinds| Before::COPIES.map(|before| Scene::new(kinds, before)));
    assert_eq!(explore(scenes, SIMPLE, 5_000), BTreeSet::from([5]));
}

#[test]
fn of_two_hints_that_cross_one_undoes_its_share_at_one_call_alone_as_docs_reliability_says() {
    for kinds in [[Kind::Tick, Kind::Tick], [Kind::Tick, Kind::Copied], [Kind::Copied, Kind::Copied]] {
        let scene = Scene::new(&kinds, Before::Copied);
        assert_eq!(explore([scene], QUIET, 100), BTreeSet::from([3]));
    }
}

#[test]
fn one_decision_about_an_ask_wins_and_is_carried_out_once() {
    assert_eq!(explore(approvals(2), SIMPLE, 10_000), BTreeSet::new());
}

#[test]
fn an_approval_that_crosses_a_request_for_its_image_is_decided_once_and_leaves_what_must_expire_with_its_record() {
    let pairs = [Kind::ShareUntil, Kind::Revoke, Kind::Expire, Kind::Available].map(|kind| [kind, Kind::Approve]);
    let from = |before| move |kinds: [Kind; 2]| Scene::new(&kinds, before).beside(Before::Asked);
    let scenes = Before::ALL.into_iter().flat_map(|before| pairs.into_iter().map(from(before)));
    assert_eq!(explore(scenes, SIMPLE, 1_000), BTreeSet::new());
}

#[test]
fn a_copy_whose_share_expires_leaves_nothing_without_a_record_whatever_crosses_its_hints() {
    let others = [Kind::RevokeCopy, Kind::ExpireCopy, Kind::AvailableCopy].map(|kind| [Kind::TickUntil, kind]);
    let pairs = others.into_iter().chain([[Kind::RenewCopy, Kind::ExpireCopy]]);
    let scenes = pairs.flat_map(|kinds| Before::COPIES_UNTIL.map(|before| Scene::new(&kinds, before)));
    assert_eq!(explore(scenes, SIMPLE, 5_000), BTreeSet::new());
}

/// Checks what is found in a scene with this fault, and that there is a way to it.
#[track_caller]
fn finds(planted: Planted, kinds: &[Kind], before: Before, limits: Limits, what: &str) {
    finds_in(planted, &Scene::new(kinds, before), limits, what);
}

#[track_caller]
fn finds_in(planted: Planted, scene: &Scene, limits: Limits, what: &str) {
    assert_eq!(Explorer::new(Planted::Nothing).explore(scene, limits).found, None, "without the fault");
    let found = Explorer::new(planted).explore(scene, limits).found.expect("the fault is found");
    assert_eq!(found.what, what, "{:#?}", found.trace);
    assert!(found.trace.len() > 2, "{:#?}", found.trace);
}

#[test]
fn a_share_in_another_order_is_found() {
    let what = "a launch permission was added before the grant";
    finds(Planted::LaunchFirst, &[Kind::ShareUntil], Before::Unshared, QUIET, what);
    let with_fault = Limits { faults: 1, ..QUIET };
    let what = "a launch permission was added before the create volume permission";
    finds(Planted::GoesOn, &[Kind::Share], Before::Unshared, with_fault, what);
}

#[test]
fn a_revoke_that_deletes_its_records_first_is_found() {
    let what = "something is given that must expire, and there is no record";
    finds(Planted::RecordsFirst, &[Kind::Revoke], Before::SharedUntil, QUIET, what);
}

#[test]
fn a_share_without_its_second_look_is_found() {
    let what = "a launch permission must expire, and no record is left";
    finds(Planted::NoSecondLook, &[Kind::ShareUntil, Kind::Revoke], Before::Unshared, QUIET, what);
}

/// Without a share that expires, an approved share has no record to look for.
#[test]
fn an_approved_share_without_its_second_look_is_found_only_where_it_crosses_a_request_for_its_image() {
    let planted = Planted::NoSecondLookIfApproved;
    let what = "a launch permission must expire, and no record is left";
    let scene = Scene::new(&[Kind::Revoke, Kind::Approve], Before::SharedUntil).beside(Before::Asked);
    finds_in(planted, &scene, SIMPLE, what);
    let mut explorer = Explorer::new(planted);
    for scene in approvals(2) {
        assert_eq!(explorer.explore(&scene, SIMPLE).found, None, "{}", scene.name());
    }
}

#[test]
fn a_revoke_that_does_not_look_again_is_found() {
    let what = "a create volume permission must expire, and no record is left";
    finds(Planted::NoClosingRemove, &[Kind::Share, Kind::Revoke], Before::SharedUntil, QUIET, what);
    let what = "a grant must expire, and no record is left";
    finds(Planted::NoClosingLook, &[Kind::Share, Kind::Revoke], Before::SharedUntil, QUIET, what);
}

#[test]
fn an_expiry_that_ends_a_renewed_share_is_found() {
    let what = "a share is complete, and something is missing";
    finds(Planted::NeverSuperseded, &[Kind::Renew, Kind::Expire], Before::SharedUntil, QUIET, what);
    let what = "a share that waited was not made, and no outcome says so";
    finds(Planted::NeverSuperseded, &[Kind::RenewCopy, Kind::ExpireCopy], Before::CopyUntil, SIMPLE, what);
}

#[test]
fn a_copy_that_is_begun_before_its_record_is_found() {
    let what = "a copy was begun, and nothing waits for it";
    finds(Planted::CopyFirst, &[Kind::ShareCopy], Before::NoCopy, QUIET, what);
}

#[test]
fn a_hint_without_its_second_look_and_a_revoke_without_its_last_look_at_the_copies_are_found() {
    let what = "a revoke is complete, and something is given or left";
    finds(Planted::NoSecondLook, &[Kind::Tick, Kind::RevokeCopy], Before::Waits, SIMPLE, what);
    finds(Planted::NoWithdrawnLook, &[Kind::Tick, Kind::RevokeCopy], Before::Waits, SIMPLE, what);
}

#[test]
fn a_hint_that_deletes_its_record_at_once_is_found() {
    let what = "a share is undone, and nobody has taken it back";
    finds(Planted::EndsAtOnce, &[Kind::Tick, Kind::Tick], Before::Copied, SIMPLE, what);
}

#[test]
fn a_share_that_does_not_look_whether_the_record_it_relied_on_is_still_there_is_found() {
    let what = "a copy is there, and nobody has waited for it";
    finds(Planted::NoRecordAgain, &[Kind::ShareCopy, Kind::Tick], Before::Failed, SIMPLE, what);
}

#[test]
fn a_decision_without_its_record_or_about_another_ask_is_found() {
    let what = "something is given, and no decision says so";
    finds(Planted::NoDecision, &[Kind::Approve], Before::Asked, QUIET, what);
    let what = "one ask was decided in two ways";
    finds(Planted::AnyAsk, &[Kind::Approve, Kind::Reject], Before::Asked, SIMPLE, what);
}

#[test]
fn what_could_not_be_read_and_counts_as_read_is_found() {
    let with_read = Limits { reads: 1, ..SIMPLE };
    let what = "a launch permission must expire, and no record is left";
    finds(Planted::BlindSecondLook, &[Kind::ShareUntil, Kind::Revoke], Before::Unshared, with_read, what);
    let what = "something is given that must expire, and there is no record";
    finds(Planted::BlindGrants, &[Kind::Expire], Before::SharedUntil, with_read, what);
    let what = "access is given, and something was not read that it depends on";
    finds(Planted::BlindFacts, &[Kind::Share], Before::Unshared, with_read, what);
}

/// What is known not to hold after a crash or a failed read does not hide what happens there, too: each of these faults comes to
/// pass only then. The second invocation finds nothing to do.
#[test]
fn a_fault_beside_what_is_known_is_found() {
    let (with_crash, with_read) = (Limits { crashes: 1, ..SIMPLE }, Limits { reads: 1, ..SIMPLE });
    let what = "a share is undone, and nobody has taken it back";
    let late = [Kind::LateTick, Kind::TickOfBoth];
    finds(Planted::UndoesHalf, &late, Before::Copied, with_crash, what);
    finds(Planted::UndoesHalf, &[Kind::LateTick, Kind::ShareCopy], Before::Copied, with_crash, what);
    finds(Planted::UndoesUnlisted, &late, Before::Copied, with_read, what);
    finds(Planted::UndoesUnlisted, &late, Before::Given, with_read, what);
    let what = "a share is complete, and something is missing";
    let two_reads = Limits { reads: 2, ..SIMPLE };
    finds(Planted::SeesGrants, &[Kind::ShareUntil; 2], Before::Unshared, two_reads, what);
    let what = "a revoke is complete, and something is given or left";
    finds(Planted::KeepsHalf, &[Kind::RevokeCopy], Before::Given, with_crash, what);
    finds(
        Planted::NoWithdrawnLook,
        &[Kind::Tick, Kind::RevokeCopy],
        Before::Waits,
        Limits { lag: LAG, ..SIMPLE },
        what,
    );
    let what = "a share that waited was not made, and no outcome says so";
    finds(Planted::EndsHalf, &[Kind::Tick], Before::Copied, with_crash, what);
    let what = "a grant must expire, and no record is left";
    finds(Planted::KeepsHalf, &[Kind::Revoke, Kind::Available], Before::Unshared, with_crash, what);
    let what = "what was approved is given again after a revoke";
    finds(Planted::KeepsDecision, &[Kind::Approve, Kind::Revoke], Before::Asked, SIMPLE, what);
}

#[test]
fn an_expiry_that_takes_an_image_for_deregistered_because_a_search_lacks_it_is_found() {
    let lacking = Limits { reads: 0, events: 1, lag: LAG, ..SIMPLE };
    let scene = || deregistrations(1).find(|scene| scene.name() == "SharedUntil: expire 1").unwrap();
    assert_eq!(Explorer::new(Planted::Nothing).explore(&scene(), lacking).found, None, "without the fault");
    let found = Explorer::new(Planted::SearchedOnly).explore(&scene(), lacking).found.expect("the fault is found");
    assert_eq!(found.what, "something was removed before the launch permission");
}

#[test]
fn a_copy_that_is_begun_without_an_approval_is_found() {
    finds(Planted::NoDecision, &[Kind::ApproveCopy], Before::CopyAsked, SIMPLE, NOBODY_SAYS_SO);
}

#[test]
fn one_request_goes_on_without_what_it_cannot_read_or_ends() {
    assert_eq!(explore(scenes(1), Limits { reads: 1, ..SIMPLE }, 100), BTreeSet::new());
    assert_eq!(explore(deregistrations(1), Limits { events: 1, lag: LAG, ..SIMPLE }, 100), BTreeSet::new());
}

#[test]
fn what_docs_reliability_says_of_a_share_that_is_killed_while_it_is_revoked_is_found() {
    let with_crash = Limits { crashes: 1, ..QUIET };
    let by_rule = Scene::new(&[Kind::Revoke, Kind::Available], Before::Unshared);
    assert_eq!(explore([by_rule], with_crash, 100), BTreeSet::from([1]));
    let until = Scene::new(&[Kind::ShareUntil, Kind::Revoke], Before::Unshared);
    assert_eq!(explore([until], with_crash, 100), BTreeSet::from([20]));
}

#[test]
fn what_is_known_not_to_hold_is_what_docs_reliability_says() {
    let document = include_str!("../../../../docs/reliability.md");
    let (_, section) = document.split_once("### What does not hold").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let section = section.split_whitespace().collect::<Vec<_>>().join(" ");
    let headings = section.split(" **").skip(1).filter_map(|item| item.split_once("**")).map(|(heading, _)| heading);
    let known: Vec<_> = EXCEPTIONS.iter().map(|exception| exception.heading).collect();
    assert_eq!(headings.collect::<Vec<_>>(), known);
    for (place, exception) in EXCEPTIONS.iter().enumerate() {
        assert_eq!(usize::from(exception.number), place + 1, "{}", exception.heading);
        let item = format!("{}. **{}**", exception.number, exception.heading);
        assert!(section.contains(&item), "{item}");
    }
}

#[test]
fn a_hint_before_its_time_that_changes_something_is_found() {
    let what = "a hint has changed something before its time";
    finds(Planted::Early, &[Kind::EarlyExpire], Before::SharedUntil, QUIET, what);
    finds(Planted::Early, &[Kind::EarlyLapse], Before::Asked, QUIET, what);
}

#[test]
fn an_expiry_and_a_repair_that_leave_something_are_found() {
    let what = "an expiry is complete, and something is left";
    finds(Planted::KeepsRecord, &[Kind::Expire], Before::SharedUntil, QUIET, what);
    let what = "a repair is complete, and something is left that was due";
    finds(Planted::NothingOverdue, &[Kind::Repair], Before::SharedUntil, QUIET, what);
    finds(Planted::NothingOverdue, &[Kind::Repair, Kind::EarlyExpire], Before::SharedUntil, QUIET, what);
}

#[test]
fn a_hint_that_gives_what_its_rule_allows_no_longer_is_found() {
    let what = "something is given or begun, and its rule was withdrawn before";
    let withdrawn = Limits { events: 1, ..SIMPLE };
    finds(Planted::OldAllowlist, &[Kind::Tick], Before::Copied, withdrawn, what);
    finds(Planted::OldAllowlist, &[Kind::Copied, Kind::Tick], Before::Waits, withdrawn, what);
}

#[test]
fn a_request_that_does_not_mend_what_it_should_is_found() {
    finds(Planted::NothingAgain, &[Kind::Tick; 2], Before::Copied, SIMPLE, NOT_MENDED);
    let with_crash = Limits { crashes: 1, ..SIMPLE };
    finds(Planted::NothingAgain, &[Kind::Tick, Kind::RevokeCopy], Before::Waits, with_crash, NOT_MENDED);
}

#[test]
fn a_revoke_that_takes_from_another_target_is_found() {
    let what = "another target was removed";
    finds(Planted::TakesAll, &[Kind::Revoke], Before::Shared, QUIET, what);
    finds(Planted::TakesAll, &[Kind::RevokeCopy], Before::OtherGiven, SIMPLE, what);
    finds(Planted::TakesAll, &[Kind::RevokeCopyById, Kind::Tick], Before::OtherGiven, SIMPLE, what);
}

/// Also if something else runs, with which the decision or the record may be gone by then.
#[test]
fn what_two_do_without_a_decision_or_a_record_is_found() {
    let what = "something is given, and no decision says so";
    finds(Planted::NoDecision, &[Kind::Approve, Kind::Revoke], Before::Asked, SIMPLE, what);
    finds(Planted::NoDecision, &[Kind::ApproveCopy, Kind::RevokeCopy], Before::CopyAsked, SIMPLE, NOBODY_SAYS_SO);
    let what = "a copy was begun, and nothing waits for it";
    finds(Planted::CopyFirst, &[Kind::ShareCopy, Kind::RevokeCopy], Before::NoCopy, SIMPLE, what);
}
