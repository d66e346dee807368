//! Owns the bounded part of the exploration, and the proof that the explorer finds faults.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

use model::{
    explore::{Explorer, Limits},
    invocation::Planted,
    kept::Lag,
    scenes::{Before, KNOWN, Kind, Scene},
    sets::scenes,
};

const LAG: Lag = Lag { ec2: true, kms: false };
const QUIET: Limits = Limits { crashes: 0, faults: 0, lag: Lag { ec2: false, kms: false }, is_one_by_one: false };

/// Explores every scene with the given number of invocations, and checks the least number of states that are explored.
#[track_caller]
fn check(size: usize, limits: Limits, fewest: usize) {
    let mut explorer = Explorer::new(Planted::Nothing);
    let mut states = 0;
    for scene in scenes(size) {
        let explored = explorer.explore(&scene, limits);
        assert_eq!(explored.found, None, "{}", scene.name());
        states += explored.states;
    }
    assert!(states >= fewest, "{states} states");
}

#[test]
fn one_request_survives_a_crash_a_lost_answer_and_late_reads() {
    check(1, Limits { crashes: 1, faults: 1, lag: LAG, is_one_by_one: false }, 2_000);
}

#[test]
fn two_requests_leave_nothing_that_must_expire_without_a_record_whatever_their_order() {
    check(2, Limits { crashes: 0, faults: 0, lag: LAG, is_one_by_one: false }, 30_000);
}

/// Checks what is found in a scene with this fault, and that there is a way to it.
#[track_caller]
fn finds(planted: Planted, kinds: &[Kind], before: Before, limits: Limits, what: &str) {
    let scene = Scene::new(kinds, before);
    assert_eq!(Explorer::new(Planted::Nothing).explore(&scene, limits).found, None, "without the fault");
    let found = Explorer::new(planted).explore(&scene, limits).found.expect("the fault is found");
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
}

#[test]
fn a_rule_with_on_available_leaves_what_its_killed_attempt_shared_as_docs_reliability_says() {
    let mut explorer = Explorer::new(Planted::Nothing);
    let scene = Scene::new(&[Kind::Revoke, Kind::Available], Before::Unshared);
    assert!(KNOWN.contains(&scene.name().as_str()));
    let found = explorer.explore(&scene, Limits { crashes: 1, ..QUIET }).found.expect("it is known not to hold");
    assert_eq!(found.what, "a launch permission must expire, and no record is left");
}
