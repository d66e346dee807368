//! How it went to make a share that waits, and what becomes of it then, without AWS.

use ami_share_testing::worlds::*;
use serde_json::json;
use sharing::{
    attempt::Attempt,
    facts::{Failure, ImageState},
    fate::{self, ApprovalFate, CopyFate},
    outcome::{ErrorCode, Lasts, Refusal, RefusalCode, Status, StepState},
    plan::{Step, end, plan},
    progress::{ImageResult, StepResult},
    records::{ApprovalAnswer, ApprovalDecision, Ask},
};
use time::Duration;

use super::{
    approvals::{ask, person},
    copies::{COPY, Change as _, copy, recorded, share, world as copied},
};

fn done(result: Status, is_changed: bool) -> Attempt {
    Attempt { result, is_changed, ..Attempt::refused(Vec::new()) }
}

fn failure(code: ErrorCode) -> Failure {
    Failure { code, call: None, resource: None, message: String::new(), retryable: code.may_pass() }
}

fn failed(code: ErrorCode) -> Attempt {
    Attempt::failed(failure(code))
}

fn refused(code: RefusalCode, lasts: Lasts) -> Attempt {
    Attempt::refused(vec![Refusal { lasts, ..Refusal::new(code, "") }])
}

#[test]
fn a_share_that_waits_for_its_copy_is_told_given_up_or_tried_again() {
    use CopyFate::{GiveUp, SayNothing, Tell, TryAgain};
    use ErrorCode::{CopyFailed, CopyOverdue, Denied, ExpiryLost, Throttled};
    let late = NOW + Duration::hours(1);
    let record = recorded(&[ONE], "lambda:invoke", 0, late);
    let incomplete = |code| Attempt { result: Status::Incomplete, ..failed(code) };
    let denied = |lasts| refused(RefusalCode::KeyAccessMissing, lasts);
    let deleted = |attempt| Attempt { deleted: vec![record.name.clone()], ..attempt };
    let lost = |name: &str| {
        let failure = Failure { resource: Some(name.to_owned()), ..failure(ExpiryLost) };
        Attempt { result: Status::Incomplete, ..Attempt::failed(failure) }
    };
    let others = |attempt| Attempt { deleted: vec![recorded(&[TWO], "lambda:invoke", 0, late).name], ..attempt };
    // In time; after that; and when the record may send no further hint.
    for (attempt, in_time, overdue, at_last) in [
        (done(Status::Completed, true), Tell, Tell, Tell),
        (done(Status::Completed, false), SayNothing, SayNothing, SayNothing),
        (done(Status::Accepted, true), Tell, Tell, Tell),
        (done(Status::Accepted, false), SayNothing, SayNothing, SayNothing),
        // What passes is waited for as long as there are hints.
        (failed(Throttled), TryAgain, TryAgain, GiveUp),
        (failed(Denied), TryAgain, GiveUp, GiveUp),
        (incomplete(Throttled), Tell, Tell, GiveUp),
        (incomplete(Denied), Tell, GiveUp, GiveUp),
        (denied(Lasts::ForAWhile), TryAgain, TryAgain, GiveUp),
        (denied(Lasts::UntilRead), TryAgain, Tell, Tell),
        (denied(Lasts::UntilChanged), Tell, Tell, Tell),
        // What ends the waiting by itself.
        (failed(CopyFailed), Tell, Tell, Tell),
        (failed(CopyOverdue), Tell, Tell, Tell),
        (deleted(failed(Denied)), Tell, Tell, Tell),
        (deleted(incomplete(Throttled)), Tell, Tell, Tell),
        (others(failed(Denied)), TryAgain, GiveUp, GiveUp),
        // Its record was gone at the second look, so one of its name may be a later request's; or that of its expiry was.
        (lost(record.name.as_str()), Tell, Tell, Tell),
        (lost("ami-0000000a-1"), Tell, Tell, GiveUp),
    ] {
        let after = |time| fate::of_copy(&attempt, &record, late + time);
        let fates = (after(Duration::ZERO), after(Duration::SECOND), after(Duration::minutes(45)));
        assert_eq!(fates, (in_time, overdue, at_last), "{attempt:?}");
        assert_eq!(after(Duration::minutes(44)), overdue, "{attempt:?} before the last hint");
    }
}

#[test]
fn the_records_of_an_approved_share_are_kept_while_an_attempt_may_help() {
    use ApprovalFate::{AskAgain, EndBoth, EndDecision, TryAgain};
    // Its last hint comes fifteen minutes before its time is over, at the latest.
    let (early, late) = (Duration::DAY - Duration::minutes(16), Duration::DAY - Duration::minutes(15));
    let not_enough = || refused(RefusalCode::ApprovalNotAllowed, Lasts::UntilChanged);
    let may_pass = || failed(ErrorCode::Throttled);
    let is_told = |attempt: Attempt| Attempt { is_changed: true, ..attempt };
    // How the attempt went; how long after the decision; whether the ask's time is over then.
    for (attempt, after, is_lapsed, fate) in [
        (not_enough(), early, false, AskAgain),
        (not_enough(), late, true, AskAgain),
        (done(Status::Completed, true), early, false, EndBoth),
        (done(Status::Accepted, false), late, true, EndBoth),
        (failed(ErrorCode::Denied), early, false, EndBoth),
        (refused(RefusalCode::KeyAccessMissing, Lasts::UntilChanged), early, false, EndBoth),
        (refused(RefusalCode::StaleRequest, Lasts::ForAWhile), early, false, TryAgain { is_told: false }),
        (may_pass(), early, false, TryAgain { is_told: false }),
        (is_told(may_pass()), early, true, TryAgain { is_told: true }),
        (may_pass(), late, false, EndDecision),
        (may_pass(), late, true, EndBoth),
    ] {
        let by = person("ada", &["owners"]);
        let decision = ApprovalDecision::new(&ask(&["one"]), ApprovalAnswer::Approved { by }, "second", None, NOW);
        let until = if is_lapsed { NOW } else { NOW + Duration::DAY };
        let ask = Ask { until, ..ask(&["one"]) };
        let found = fate::of_approval(&attempt, &ask, &decision, NOW + after);
        assert_eq!(found, fate, "{attempt:?} after {after}, {is_lapsed}");
    }
}

/// How a share of an image that is there with two accounts went, by how its steps ended.
fn attempted(world: &World, step: impl Fn(Step) -> StepResult, lost: &[Failure]) -> Attempt {
    world.put(&json!({"action": "share", "imageIds": [IMAGE], "accountIds": [ONE, TWO]}), |case, facts| {
        let decision = decide(case, facts).remove(0);
        let steps = plan(case, &decision, &world.image, facts).into_iter().map(step).collect();
        Attempt::new(case, facts, &[ImageResult { decision, steps, lost: lost.to_vec() }])
    })
}

#[test]
fn how_it_went_is_known_from_what_was_decided_and_done() {
    let world = World::open("golden-1");
    let taken = |state, error: Option<ErrorCode>, is_uncertain| {
        move |step| StepResult { error: error.map(failure), is_uncertain, ..StepResult::new(step, state) }
    };
    let (ok, throttled) = (taken(StepState::Done, None, false), Some(ErrorCode::Throttled));
    let of = |attempt: Attempt| {
        let (is_done, may_later) = (attempt.is_done(), attempt.may_succeed_later());
        (attempt.result, attempt.is_changed, attempt.failures.len(), is_done, may_later)
    };
    let check = |attempt, expect| assert_eq!(of(attempt), expect);
    check(attempted(&world, ok, &[]), (Status::Completed, true, 0, true, false));
    check(attempted(&world.clone().shared_with(&[ONE, TWO]), ok, &[]), (Status::Completed, false, 0, true, false));
    let failed = taken(StepState::Failed, throttled, false);
    check(attempted(&world, failed, &[]), (Status::Failed, false, 1, false, true));
    let for_good = taken(StepState::Failed, Some(ErrorCode::Denied), false);
    check(attempted(&world, for_good, &[]), (Status::Failed, false, 1, false, false));
    // AWS may have done what it did not answer.
    check(
        attempted(&world, taken(StepState::Failed, throttled, true), &[]),
        (Status::Incomplete, false, 1, false, true),
    );
    check(attempted(&world, ok, &[failure(ErrorCode::ExpiryLost)]), (Status::Incomplete, true, 1, false, true));
    let gone = world.clone().with(|world| world.image.state = ImageState::Disabled);
    let attempt = attempted(&gone, ok, &[]);
    assert_eq!((attempt.refusals.len(), attempt.refusals[0].code), (1, RefusalCode::ImageNotAvailable));
    check(attempt, (Status::Refused, false, 0, false, false));
    let pending = gone.with(|world| world.image.state = ImageState::Pending);
    check(attempted(&pending, ok, &[]), (Status::Refused, false, 0, false, true));
}

#[test]
fn a_record_that_is_deleted_is_no_change_and_ends_the_waiting() {
    let record = recorded(&[ONE], "lambda:invoke", 0, NOW + Duration::hours(1));
    let world = copied("copied-1", &[ONE]).made(COPY, copy(KEY, ImageState::Available));
    for (state, is_deleted) in [(StepState::Done, true), (StepState::Failed, false), (StepState::Skipped, false)] {
        world.put(&share(&[ONE]), |case, facts| {
            let decision = decide(case, facts).remove(0);
            let steps = vec![StepResult::new(end(&record), state)];
            let attempt = Attempt::new(case, facts, &[ImageResult { decision, steps, lost: Vec::new() }]);
            assert_eq!(
                (attempt.deleted == [record.name.clone()], attempt.is_changed),
                (is_deleted, false),
                "{state:?}"
            );
        });
    }
}
