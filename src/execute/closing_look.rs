//! Owns the closing look of a revoke or reset: after it has deleted records, it lists the grants again, and revokes
//! those that a share created meanwhile. `sharing::closing_look` decides which.

use sharing::{
    closing_look::{keys_to_list, revokes},
    decide::Case,
    facts::Facts,
    progress::ImageResult,
};
use tokio::time::Instant;

use super::further::take_further;
use crate::{carry_out::Writer, observe::grants_again};

/// Takes the closing look at the keys of the images whose records were deleted.
pub(super) async fn take<'a>(
    writer: Writer<'_>,
    case: &Case<'_>,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let keys = keys_to_list(case, facts, &results);
    if keys.is_empty() {
        return results;
    }
    let listed = grants_again(&writer.aws.until(deadline), case, keys).await;
    take_further(writer, case.request_id, revokes(case, facts, results, &listed), deadline).await
}
