//! Owns the second look of a share: after its writes, it reads the record of its expiry again, and undoes its writes if
//! there is no record any more. `sharing::taking_back` decides what that means.
//!
//! An overlapping revoke deletes the record last. If a share writes something after that, only the share can notice it.

use sharing::{
    decide::Case,
    facts::{Facts, Reading},
    progress::ImageResult,
    taking_back::{Lost, Needed, looks_after},
};
use tokio::time::Instant;

use super::{further::take_further, time_limits::looking_deadline};
use crate::{
    aws::Aws,
    carry_out::Writer,
    observe::{grant_id, look_again, needed_elsewhere},
};

/// Takes the second look, and undoes the writes of shares without a record.
pub(super) async fn take<'a>(
    writer: Writer<'_>,
    case: &Case<'_>,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let wanted = looks_after(case, &results, facts);
    if wanted.is_empty() {
        return results;
    }
    let reading = writer.aws.until(looking_deadline(deadline));
    let lost = Lost::new(&look_again(&reading, writer.records, wanted).await);
    if lost.is_empty() {
        return results;
    }
    let needed = entries_to_leave(&reading, &results, &lost).await;
    let mut grant_ids = Vec::new();
    for step in lost.grants_without_id(&results) {
        let id = grant_id(&reading, case.account, &step).await;
        grant_ids.push((step, id));
    }
    take_further(writer, case.request_id, lost.undo(results, &needed, &grant_ids), deadline).await
}

/// The create volume permissions that stay when shares are undone, because other shares need them.
async fn entries_to_leave(aws: &Aws, results: &[ImageResult<'_>], lost: &Lost) -> Reading<Needed> {
    let (snapshots, pairs) = lost.entries(results);
    if snapshots.is_empty() {
        return Ok(Needed::new());
    }
    needed_elsewhere(aws, &snapshots.into_iter().collect::<Vec<_>>(), &pairs).await
}
