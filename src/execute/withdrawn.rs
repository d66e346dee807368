//! Owns the last reads and writes where shares are taken back that waited for a copy: after their records are deleted, their
//! permissions are removed once more from every image that is made from the same one. `sharing::withdrawn` decides which.

use sharing::{
    decide::Case,
    facts::{Facts, RegionalImage},
    plan::Step,
    progress::ImageResult,
    taking_back::Needed,
    withdrawn::{Removal, Withdrawn, withdrawn},
};
use tokio::time::Instant;

use super::further::take_further;
use crate::{
    aws::Aws,
    carry_out::Writer,
    observe::{copies_again, grants_again, needed_elsewhere},
};

/// Removes the permissions once more of the shares whose records were deleted.
pub(super) async fn take<'a>(
    writer: Writer<'_>,
    case: &Case<'_>,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    if results.iter().all(|result| withdrawn(result).is_empty()) {
        return results;
    }
    let aws = &writer.aws.until(deadline);
    let mut further = Vec::with_capacity(results.len());
    for mut result in results {
        let mut steps = Vec::new();
        for (source, of_source) in withdrawn(&result) {
            steps.extend(remove(aws, case, facts, &mut result, (source, of_source)).await);
        }
        further.push((result, steps));
    }
    take_further(writer, case.request_id, further, deadline).await
}

/// The steps that remove the permissions from the images that are made from this one.
async fn remove(
    aws: &Aws,
    case: &Case<'_>,
    facts: &Facts,
    result: &mut ImageResult<'_>,
    (source, of_source): (RegionalImage, Withdrawn),
) -> Vec<Step> {
    let removal = Removal::new(of_source, &source, copies_again(aws, &source).await, facts);
    let (snapshots, pairs) = removal.entries();
    let needed = match snapshots.is_empty() {
        true => Ok(Needed::new()),
        false => needed_elsewhere(aws, &snapshots.into_iter().collect::<Vec<_>>(), &pairs).await,
    };
    let about = &Case { request: &removal.request(case), ..*case };
    let listed = grants_again(aws, about, removal.keys(case)).await;
    removal.steps(case, facts, result, (&needed, &listed))
}
