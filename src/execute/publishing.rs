//! Owns the last step of a share: it sets the parameters after everything else is done. If another writer changed one
//! between our read and our write, it sets the parameter to the newest of the images.

use std::collections::BTreeSet;

use sharing::{
    decide::newest,
    domain::{AccountId, ParameterName},
    plan::Step,
    progress::ImageResult,
    publishing::{crossed, last_steps, unsettled},
};
use tokio::time::Instant;

use super::{plan_log::log_plan, time_limits::looking_deadline};
use crate::{
    carry_out::{Writer, carry_on, planned, skipped},
    observe::versions_between,
};

/// How often parameters are read again at most, because other writers changed them at the same time.
const ROUNDS: usize = 4;

/// Sets the parameters of the shares that are complete. A dry run only adds the steps.
pub(super) async fn take<'a>(
    writer: Writer<'_>,
    (request_id, account): (&str, AccountId),
    mut results: Vec<ImageResult<'a>>,
    dry_run: bool,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let mut now = Vec::with_capacity(results.len());
    let steps = last_steps(&results);
    for (result, steps) in results.iter_mut().zip(steps) {
        result.steps.extend(steps.skipped.into_iter().map(|step| skipped(step, None)));
        now.push(steps.now);
    }
    if dry_run {
        for (result, steps) in results.iter_mut().zip(now) {
            log_plan(request_id, &steps, true);
            result.steps.extend(planned(steps));
        }
        return results;
    }
    if now.iter().all(Vec::is_empty) {
        return results;
    }
    let results = put(writer, request_id, results, now, deadline).await;
    settle(writer, (request_id, account), results, deadline).await
}

async fn put<'a>(
    writer: Writer<'_>,
    request_id: &str,
    results: Vec<ImageResult<'a>>,
    steps: Vec<Vec<Step>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    for steps in &steps {
        log_plan(request_id, steps, false);
    }
    carry_on(writer, results.into_iter().zip(steps).collect(), deadline).await
}

/// Reads the parameters of which another version than the one that was read was replaced, and sets them to the newest
/// image.
async fn settle<'a>(
    writer: Writer<'_>,
    (request_id, account): (&str, AccountId),
    mut results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let looking = looking_deadline(deadline);
    let reading = writer.aws.until(looking);
    let mut settled: BTreeSet<(ParameterName, u64)> = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut steps = Vec::with_capacity(results.len());
        for result in &mut results {
            let mut again = Vec::new();
            for crossed in crossed(result) {
                if !settled.insert((crossed.put.parameter.clone(), crossed.version)) {
                    continue;
                }
                match versions_between(&reading, account, &crossed, looking).await {
                    Err(failure) => result.lost.push(failure),
                    Ok(versions) => again.extend(newest(&crossed.put, &versions)),
                }
            }
            let is_last = round.saturating_add(1) == ROUNDS;
            result.lost.extend(
                again
                    .iter()
                    .filter(|_| is_last)
                    .map(|it| unsettled(&it.parameter, "other images were published repeatedly")),
            );
            steps.push(again.into_iter().filter(|_| !is_last).map(Step::PutParameter).collect::<Vec<_>>());
        }
        if steps.iter().all(Vec::is_empty) {
            break;
        }
        results = put(writer, request_id, results, steps, deadline).await;
    }
    results
}
