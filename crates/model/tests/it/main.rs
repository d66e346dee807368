//! Owns the bounded part of the exploration, and the proof that the explorer finds faults.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod faults;
mod reduced;

use std::collections::BTreeSet;

use model::{
    explore::{Explorer, Limits},
    kept::Lag,
    kinds::Kind,
    known::EXCEPTIONS,
    planted::Planted,
    scenes::{Before, Scene},
    sets::{approvals, copies_and_approvals, deregistrations, scenes},
};

const LAG: Lag = Lag::EC2;
const QUIET: Limits = Limits::NONE;

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
    assert_eq!(explore(scenes, QUIET, 5_000), BTreeSet::from([5]));
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
    assert_eq!(explore(approvals(2), QUIET, 10_000), BTreeSet::from([26]));
}

#[test]
fn an_approval_that_crosses_a_request_for_its_image_is_decided_once_and_leaves_what_must_expire_with_its_record() {
    let pairs = [Kind::ShareUntil, Kind::Revoke, Kind::Expire, Kind::Available].map(|kind| [kind, Kind::Approve]);
    let from = |before| move |kinds: [Kind; 2]| Scene::new(&kinds, before).beside(Before::Asked);
    let scenes = Before::ALL.into_iter().flat_map(|before| pairs.into_iter().map(from(before)));
    assert_eq!(explore(scenes, QUIET, 1_000), BTreeSet::new());
}

#[test]
fn a_copy_whose_share_expires_leaves_nothing_without_a_record_whatever_crosses_its_hints() {
    let others = [Kind::RevokeCopy, Kind::ExpireCopy, Kind::AvailableCopy].map(|kind| [Kind::TickUntil, kind]);
    let pairs = others.into_iter().chain([[Kind::RenewCopy, Kind::ExpireCopy]]);
    let scenes = pairs.flat_map(|kinds| Before::COPIES_UNTIL.map(|before| Scene::new(&kinds, before)));
    assert_eq!(explore(scenes, QUIET, 5_000), BTreeSet::new());
}

#[test]
fn one_request_goes_on_without_what_it_cannot_read_or_ends() {
    assert_eq!(explore(scenes(1), Limits { reads: 1, ..QUIET }, 100), BTreeSet::new());
    assert_eq!(explore(deregistrations(1), Limits { events: 1, lag: LAG, ..QUIET }, 100), BTreeSet::new());
}

#[test]
fn an_approved_share_that_expires_leaves_nothing_without_a_record_unless_it_is_killed_while_it_is_revoked() {
    let pairs = [Kind::Revoke, Kind::Expire, Kind::Available].map(|kind| [kind, Kind::ApproveUntil]);
    let from = |before| move |kinds: [Kind; 2]| Scene::new(&kinds, before).beside(Before::AskedUntil);
    let scenes = Before::ALL.into_iter().flat_map(|before| pairs.into_iter().map(from(before)));
    assert_eq!(explore(scenes, QUIET, 1_000), BTreeSet::new());
    let with_crash = Limits { crashes: 1, ..QUIET };
    let killed = Scene::new(&[Kind::Revoke, Kind::CarryOnUntil], Before::SharedUntil).beside(Before::ApprovedUntil);
    assert_eq!(explore([killed], with_crash, 1_000), BTreeSet::from([8, 9, 20, 29]));
}

#[test]
fn an_ask_for_a_copy_ends_in_one_way_and_its_share_waits_or_is_made_once() {
    let pairs = [
        [Kind::ApproveCopyToo, Kind::ApproveCopy],
        [Kind::ApproveCopy, Kind::LapseOfCopy],
        [Kind::LateAskForCopy, Kind::CarryOnCopy],
        [Kind::LastTickOfApproved, Kind::ResetCopy],
    ];
    let scenes = pairs.iter().flat_map(|kinds| Before::APPROVED_COPIES.map(|before| Scene::new(kinds, before)));
    assert_eq!(explore(scenes, QUIET, 2_000), BTreeSet::from([26]));
}

#[test]
fn a_copy_that_is_shared_with_an_approval_and_without_keeps_what_is_promised_of_both() {
    let reduced = Limits { is_reduced: true, ..QUIET };
    assert_eq!(explore(copies_and_approvals(2), reduced, 50_000), BTreeSet::new());
}

#[test]
fn a_copy_that_is_refused_to_a_hint_and_begun_for_its_request_is_what_docs_reliability_says() {
    let scene = Scene::new(&[Kind::ShareCopy, Kind::Tick], Before::NoCopy);
    assert_eq!(explore([scene], Limits { faults: 1, ..QUIET }, 100), BTreeSet::from([28]));
}

#[test]
fn what_docs_reliability_says_of_a_share_that_is_killed_while_it_is_revoked_is_found() {
    let with_crash = Limits { crashes: 1, ..QUIET };
    let by_rule = Scene::new(&[Kind::Revoke, Kind::Available], Before::Unshared);
    assert_eq!(explore([by_rule], with_crash, 100), BTreeSet::from([1, 20]));
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
