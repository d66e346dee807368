//! Owns what follows if EC2 refuses to make a copy and no retry can help: the record of the share that waits for it is
//! deleted.

use sharing::{
    outcome::StepState,
    plan::{Step, end},
    report::{ImageResult, StepResult},
};
use tokio::time::Instant;

use super::plan_log::log_plan;
use crate::carry_out::{Writer, carry_on};

/// Deletes the records of shares whose copies are refused for good.
pub(super) async fn take<'a>(
    writer: Writer<'_>,
    request_id: &str,
    results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    if !results.iter().any(|result| result.steps.iter().any(is_final)) {
        return results;
    }
    let further = results.into_iter().map(|result| {
        let is_given_up = result.steps.iter().any(is_final);
        let record = result.decision.awaiting().filter(|_| is_given_up).map(|awaiting| end(&awaiting.record));
        let steps: Vec<_> = record.into_iter().collect();
        log_plan(request_id, &steps, false);
        (result, steps)
    });
    carry_on(writer, further.collect(), deadline).await
}

/// Whether EC2 refused to make a copy, and would again.
fn is_final(result: &StepResult) -> bool {
    let is_refused = result.state == StepState::Failed && result.error.as_ref().is_some_and(|error| !error.retryable);
    matches!(result.step, Step::CopyImage(_)) && is_refused
}
