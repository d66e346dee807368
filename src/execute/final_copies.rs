//! Owns what becomes of the records of shares that wait for a copy when the steps of a request were taken: a record is
//! deleted if no retry can help, and written again if a hint deleted it meanwhile. And whom else that concerns.

use sharing::{
    decide::{Await, Case, Decision, Next, Wait},
    domain::CopyName,
    facts::{CopyRecord, Failure},
    outcome::{Announcement, Outcome, Status, StepState},
    plan::{Step, end},
    progress::{ImageResult, StepResult},
    records::{Record, RecordName, Recorded},
    report::failed,
    request::{Action, Asked},
};
use tokio::time::Instant;

use super::plan_log::log_plan;
use crate::carry_out::{Writer, carry_on};

/// Deletes the records of shares whose copies are refused for good, or whose own target AWS doesn't know. Any other write of
/// a hint is tried again by the next one.
pub(super) async fn take<'a>(
    writer: Writer<'_>,
    (request_id, hint): (&str, Option<&CopyRecord>),
    results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let is_over = |result: &ImageResult<'_>| is_given_up(result, hint.is_some());
    if !results.iter().any(is_over) {
        return results;
    }
    let further = results.into_iter().map(|result| {
        let record = hint.or_else(|| result.decision.awaiting().map(|awaiting| &*awaiting.record));
        let steps: Vec<_> = record.filter(|_| is_over(&result)).map(end).into_iter().collect();
        log_plan(request_id, &steps, false);
        (result, steps)
    });
    carry_on(writer, further.collect(), deadline).await
}

fn is_given_up(result: &ImageResult<'_>, is_hint: bool) -> bool {
    let may_help = |taken: &StepResult| taken.error.as_ref().is_some_and(|error| error.retryable);
    let is_unknown = is_hint && result.steps.iter().any(StepResult::is_target_unknown);
    is_unknown && !result.steps.iter().any(may_help) || refused_copy(result).is_some()
}

/// Why AWS refused to make a copy, and would again.
fn refused_copy<'r>(result: &'r ImageResult<'_>) -> Option<&'r Failure> {
    let copy = result.steps.iter().find(|taken| matches!(taken.step, Step::CopyImage(_)))?;
    copy.error.as_ref().filter(|error| !error.retryable && copy.state == StepState::Failed)
}

/// Looks again at the records by which shares wait that were there before a copy was begun: a hint that gave one up may have
/// deleted it meanwhile, and nobody would wait for the copy. Then it is written again, as if it had not been there.
pub(super) async fn record_again<'a>(
    writer: Writer<'_>,
    request_id: &str,
    results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    if !results.iter().any(|result| again(result).is_some()) {
        return results;
    }
    let aws = &writer.aws.until(deadline);
    let mut further = Vec::with_capacity(results.len());
    for mut result in results {
        let mut steps = Vec::new();
        if let (Some(new), Some(records)) = (again(&result).cloned(), writer.records) {
            let read = records.read(aws, &RecordName::Copy(new.name.clone())).await;
            // If it can't be read, it is written: where it is there, that changes nothing.
            if !matches!(read, Ok(Recorded::Record(Record::Copy(_)))) {
                steps.push(Step::CreateCopyRecord(Box::new(new.clone())));
            }
            if let (Ok(Recorded::Nothing), Decision::Await(awaiting)) = (read, &mut result.decision.decision) {
                *awaiting.record = new;
            }
        }
        log_plan(request_id, &steps, false);
        further.push((result, steps));
    }
    carry_on(writer, further, deadline).await
}

/// The record that must be there now, if another one was there before.
fn again<'r>(result: &'r ImageResult<'_>) -> Option<&'r CopyRecord> {
    let wait = wait(result)?;
    let is_relied_on = wait.order.is_some() || wait.outlived.is_some();
    wait.again.as_deref().filter(|_| is_relied_on && refused_copy(result).is_none())
}

fn wait<'r>(result: &'r ImageResult<'_>) -> Option<&'r Wait> {
    match &result.decision.awaiting()?.next {
        Next::Wait(wait) => Some(wait),
        Next::GiveUp(_) => None,
    }
}

/// The outcomes of earlier requests whose records a later one deleted: nobody else tells them.
pub(super) fn ended(case: &Case<'_>, results: &[ImageResult<'_>]) -> Vec<Outcome> {
    let of_image = |result: &ImageResult<'_>| {
        let Await { record, .. } = result.decision.awaiting()?;
        let is_anothers = case.hint.is_none() && record.request_id != case.request_id;
        let (ended, failure) = match (&wait(result)?.outlived, refused_copy(result)) {
            (Some((outlived, overdue)), _) => (outlived, overdue),
            (None, Some(refused)) if is_anothers => (record, refused),
            (None, _) => return None,
        };
        is_deleted(&ended.name, result).then(|| failed(of_record(ended), failure.clone()))
    };
    results.iter().filter_map(of_image).collect()
}

fn is_deleted(name: &CopyName, result: &ImageResult<'_>) -> bool {
    result.steps.iter().any(|taken| {
        let is_it = matches!(&taken.step, Step::DeleteCopyRecord { name: deleted, .. } if deleted == name);
        is_it && taken.state == StepState::Done
    })
}

/// The outcome of the request that was the first to ask for a share that waits. It is published whatever it is.
pub(super) fn of_record(record: &CopyRecord) -> Outcome {
    Outcome {
        action: Some(Action::Share),
        requester: Some(record.requester.clone()),
        approved_by: record.approved_by.clone(),
        reason: record.request.reason.clone(),
        asked: Asked::from(&record.request),
        announcement: Announcement::Always,
        ..Outcome::new(record.request_id.clone(), Status::Completed)
    }
}
