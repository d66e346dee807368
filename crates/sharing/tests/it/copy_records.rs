//! What becomes of the records of shares that wait for a copy after the steps of a request were taken, without AWS.

use ami_share_testing::worlds::*;
use serde_json::Value;
use sharing::{
    copy_records::{Seen, deletions, ended, names_to_read, write_again},
    decide::{Authority, Case},
    domain::Requester,
    facts::{CopyRecord, Failure, ImageState},
    outcome::{ErrorCode, StepState},
    plan::{Step, plan},
    progress::{ImageResult, StepResult},
    records::{Record, Recorded},
    request::Request,
};
use time::Duration;

use super::copies::{COPY, Change as _, copy, in_words, recorded, share, world};

/// Calls `look` with the results of a request whose steps ended so.
fn after<T>(
    world: &World,
    request: &Value,
    error: impl Fn(&Step) -> Option<ErrorCode>,
    look: impl FnOnce(&Case<'_>, Vec<ImageResult<'_>>) -> T,
) -> T {
    let requester = Requester::new("lambda:invoke".to_owned());
    let parsed = Request::parse(&key_policy::json::Json::parse(&request.to_string()).unwrap(), NOW).unwrap();
    let (requester, request) =
        world.hint.as_ref().map_or((&requester, &parsed), |hint| (&hint.requester, &hint.request));
    world.put_as(Authority::Requester(requester), request, |case, facts| {
        let results = decide(case, facts).into_iter().map(|decision| {
            let steps = plan(case, &decision, &facts.images[decision.image_id], facts);
            let steps = steps.into_iter().map(|step| match error(&step) {
                None => StepResult::new(step, StepState::Done),
                Some(code) => StepResult { error: Some(failure(code)), ..StepResult::new(step, StepState::Failed) },
            });
            ImageResult { steps: steps.collect(), decision, lost: Vec::new() }
        });
        look(case, results.collect())
    })
}

fn failure(code: ErrorCode) -> Failure {
    Failure { code, call: None, resource: None, message: String::new(), retryable: code.may_pass() }
}

fn hinted(world: World) -> World {
    world.with(|world| world.hint = Some(waiting("first")))
}

/// The record of the share by the request with this ID.
fn waiting(request_id: &str) -> CopyRecord {
    let request_id = request_id.to_owned();
    CopyRecord { request_id, ..recorded(&[ONE], "lambda:invoke", 0, NOW + Duration::hours(1)) }
}

fn steps(further: &[(ImageResult<'_>, Vec<Step>)]) -> Vec<String> {
    further.iter().flat_map(|(_, steps)| steps).map(in_words).collect()
}

#[test]
fn a_record_is_deleted_if_no_retry_can_help() {
    use ErrorCode::{Denied, TargetNotKnown, Throttled};
    let (none, there) = (world("copied-1", &[ONE]), world("copied-1", &[ONE]));
    let there = there.made(COPY, copy(KEY, ImageState::Available));
    let copying = |step: &Step| matches!(step, Step::CopyImage(_));
    let giving = |step: &Step| matches!(step, Step::AddLaunchPermissions { .. });
    for (world, is_it, code, is_deleted) in [
        (none.clone(), copying as fn(&Step) -> bool, Denied, true),
        (none.clone(), copying, Throttled, false),
        (hinted(none.clone()), copying, Denied, true),
        (hinted(none), copying, Throttled, false),
        (hinted(there.clone()), giving, TargetNotKnown, true),
        (hinted(there.clone()), giving, Denied, false),
        (hinted(there.clone()), giving, Throttled, false),
        // Without a hint, no record is about it.
        (there, giving, TargetNotKnown, false),
    ] {
        let error = |step: &Step| is_it(step).then_some(code);
        let found = after(&world, &share(&[ONE]), error, |case, results| {
            assert!(results[0].steps.iter().any(|taken| is_it(&taken.step)), "{:?}", results[0].steps);
            steps(&deletions(case.hint, results))
        });
        let expect: Vec<_> =
            is_deleted.then(|| format!("scheduler:DeleteSchedule {}", waiting("first").name)).into_iter().collect();
        assert_eq!(found, expect, "{code:?}, {:?}", world.hint.is_some());
    }
}

#[test]
fn a_target_that_aws_does_not_know_ends_nothing_while_another_step_may_succeed_later() {
    let world = hinted(world("copied-1", &[ONE]).made(COPY, copy(KEY, ImageState::Available)));
    for (other, is_deleted) in [(ErrorCode::Throttled, false), (ErrorCode::Denied, true)] {
        after(
            &world,
            &share(&[ONE]),
            |_| Some(ErrorCode::TargetNotKnown),
            |case, mut results| {
                let step = Step::AddLaunchPermissions { image_id: COPY.parse().unwrap(), targets: vec![target(TWO)] };
                results[0]
                    .steps
                    .push(StepResult { error: Some(failure(other)), ..StepResult::new(step, StepState::Failed) });
                assert_eq!(!steps(&deletions(case.hint, results)).is_empty(), is_deleted, "{other:?}");
            },
        );
    }
}

#[test]
fn a_record_that_was_relied_on_is_looked_for_again_and_written_where_it_is_gone() {
    let nothing = |_: &Step| None;
    let refused = |step: &Step| matches!(step, Step::CopyImage(_)).then_some(ErrorCode::Denied);
    let there = world("copied-1", &[ONE]).waiting(waiting("first"));
    let overdue = CopyRecord { until: NOW - Duration::hours(1), ..waiting("first") };
    let pending = |world: World| world.made(COPY, copy(KEY, ImageState::Pending));
    for (world, error, is_read) in [
        (there.clone(), &nothing as &dyn Fn(&Step) -> Option<ErrorCode>, true),
        // There will be no copy to wait for.
        (there.clone(), &refused, false),
        // It began no copy, so that nobody waits for one who would not have.
        (pending(there.clone()), &nothing, false),
        // The new record took the place of one that was overdue.
        (pending(world("copied-1", &[ONE]).waiting(overdue)), &nothing, true),
        // None was there before, or its own hint is what is carried out.
        (world("copied-1", &[ONE]), &nothing, false),
        (hinted(world("copied-1", &[ONE])), &nothing, false),
    ] {
        let names = after(&world, &share(&[ONE]), error, |_, results| names_to_read(&results));
        assert_eq!(names.len(), usize::from(is_read), "{names:?}");
    }
    let name = waiting("first").name;
    let unreadable = || Err(failure(ErrorCode::Denied));
    for (seen, is_written, told) in [
        (Ok(Recorded::Record(Record::Copy(Box::new(waiting("first"))))), false, "first"),
        (Ok(Recorded::Nothing), true, "request"),
        // If it is not known whose record is there, the first one is reported.
        (Ok(Recorded::Nobodys { why: "its version".to_owned() }), true, "first"),
        (unreadable(), true, "first"),
    ] {
        let seen = Seen::from([(name.clone(), seen)]);
        after(&there, &share(&[ONE]), nothing, |_, results| {
            let further = write_again(results, &seen);
            assert_eq!(
                steps(&further),
                is_written.then(|| format!("scheduler:CreateSchedule {name} +{ONE}")).into_iter().collect::<Vec<_>>()
            );
            assert_eq!(further[0].0.decision.awaiting().unwrap().record.request_id, told, "{seen:?}");
        });
    }
    after(&there, &share(&[ONE]), nothing, |_, results| {
        assert_eq!(steps(&write_again(results, &Seen::new())), [""; 0], "what was not read");
    });
}

#[test]
fn who_asked_first_learns_that_a_later_request_ended_the_waiting() {
    let refused = |step: &Step| matches!(step, Step::CopyImage(_)).then_some(ErrorCode::Denied);
    let nothing = |_: &Step| None;
    let with = |record: CopyRecord| world("copied-1", &[ONE]).waiting(record);
    let overdue = CopyRecord { until: NOW - Duration::hours(1), ..waiting("first") };
    for (world, error, is_deleted, expect) in [
        // The record of an earlier request, of which AWS refuses the copy now.
        (with(waiting("first")), &refused as &dyn Fn(&Step) -> Option<ErrorCode>, true, Some(ErrorCode::Denied)),
        (with(waiting("first")), &refused, false, None),
        (with(waiting("first")), &nothing, true, None),
        // Its own.
        (with(waiting("request")), &refused, true, None),
        (world("copied-1", &[ONE]), &refused, true, None),
        (hinted(world("copied-1", &[ONE])), &refused, true, None),
        // One that nobody ended in time is deleted by the plan itself.
        (with(overdue.clone()), &nothing, false, Some(ErrorCode::CopyOverdue)),
        (with(overdue), &refused, false, Some(ErrorCode::CopyOverdue)),
    ] {
        after(&world, &share(&[ONE]), error, |case, results| {
            let state = if is_deleted { StepState::Done } else { StepState::Failed };
            let further = deletions(case.hint, results).into_iter().map(|(mut result, steps)| {
                result.steps.extend(steps.into_iter().map(|step| StepResult::new(step, state)));
                result
            });
            let results: Vec<_> = further.collect();
            let told: Vec<_> =
                ended(case, &results).into_iter().map(|(record, why)| (&record.request_id, why.code)).collect();
            let first = "first".to_owned();
            assert_eq!(told, expect.map(|code| (&first, code)).into_iter().collect::<Vec<_>>());
        });
    }
}
