//! Owns the last step of a share: it sets the parameters after everything else is done. If another writer changed one
//! between our read and our write, it sets the parameter to the newest of the images.

use std::collections::BTreeSet;

use sharing::{
    decide::Case,
    domain::ParameterName,
    progress::ImageResult,
    publishing::{self, crossed, last_steps},
};
use tokio::time::Instant;

use super::{further::take_further, plan_log::log_plan, time_limits::looking_deadline};
use crate::{
    carry_out::{Writer, planned, skipped},
    observe::versions_between,
};

/// How often parameters are read again at most, because other writers changed them at the same time.
const ROUNDS: usize = 4;

/// Sets the parameters of the shares that are complete. A dry run only adds the steps.
pub(super) async fn take<'a>(
    writer: Writer<'_>,
    case: &Case<'_>,
    mut results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let mut now = Vec::with_capacity(results.len());
    let steps = last_steps(&results);
    for (result, steps) in results.iter_mut().zip(steps) {
        result.steps.extend(steps.skipped.into_iter().map(|step| skipped(step, None)));
        now.push(steps.now);
    }
    if case.request.dry_run {
        for (result, steps) in results.iter_mut().zip(now) {
            log_plan(case.request_id, &steps, true);
            result.steps.extend(planned(steps));
        }
        return results;
    }
    if now.iter().all(Vec::is_empty) {
        return results;
    }
    let results = take_further(writer, case.request_id, results.into_iter().zip(now).collect(), deadline).await;
    settle(writer, case, results, deadline).await
}

/// Reads the parameters of which another version than the one that was read was replaced, and sets them to the newest
/// image.
async fn settle<'a>(
    writer: Writer<'_>,
    case: &Case<'_>,
    mut results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let looking = looking_deadline(deadline);
    let reading = writer.aws.until(looking);
    let mut settled: BTreeSet<(ParameterName, u64)> = BTreeSet::new();
    for round in 1..=ROUNDS {
        let mut further = Vec::with_capacity(results.len());
        for result in results {
            let mut between = Vec::new();
            for crossed in crossed(&result) {
                if settled.insert((crossed.put.parameter.clone(), crossed.version)) {
                    let versions = versions_between(&reading, case.account, &crossed, looking).await;
                    between.push((crossed, versions));
                }
            }
            further.push(publishing::settle(result, &between, round == ROUNDS));
        }
        let is_settled = further.iter().all(|(_, steps)| steps.is_empty());
        results = take_further(writer, case.request_id, further, deadline).await;
        if is_settled {
            break;
        }
    }
    results
}
