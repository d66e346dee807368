//! Owns what happens if AWS refuses a copy, or a write of a hint, and no retry can help: the record of the share that
//! waits is deleted.

use sharing::{
    facts::CopyRecord,
    outcome::StepState,
    plan::{Step, end},
    report::{ImageResult, StepResult},
};
use tokio::time::Instant;

use super::plan_log::log_plan;
use crate::carry_out::{Writer, carry_on};

/// Deletes the records of shares whose copies or writes AWS refuses permanently.
pub(super) async fn take<'a>(
    writer: Writer<'_>,
    (request_id, hint): (&str, Option<&CopyRecord>),
    results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let is_final = |result: &StepResult| is_refused(result) && (hint.is_some() || orders_copy(&result.step));
    if !results.iter().any(|result| result.steps.iter().any(is_final)) {
        return results;
    }
    let further = results.into_iter().map(|result| {
        let is_given_up = result.steps.iter().any(is_final);
        let record = hint.or_else(|| result.decision.awaiting().map(|awaiting| &*awaiting.record));
        let steps: Vec<_> = record.filter(|_| is_given_up).map(end).into_iter().collect();
        log_plan(request_id, &steps, false);
        (result, steps)
    });
    carry_on(writer, further.collect(), deadline).await
}

/// Whether AWS refused the step, on which the share depends, and would again.
fn is_refused(result: &StepResult) -> bool {
    let is_final = result.error.as_ref().is_some_and(|error| !error.retryable);
    result.state == StepState::Failed && is_final && !result.step.is_best_effort()
}

fn orders_copy(step: &Step) -> bool {
    matches!(step, Step::CopyImage(_))
}
