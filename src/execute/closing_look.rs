//! Owns the closing look of a revoke or reset: after it has deleted records, it lists the grants again, and revokes
//! those that a share created meanwhile.
//!
//! An overlapping share may have found such a record before it was deleted; then nothing would end those grants. The
//! plan removes the share's other permissions once more without reading them, but a grant can only be revoked by its
//! ID.

use sharing::{
    decide::Case,
    domain::{AccountId, KeyArn},
    facts::Facts,
    plan::{Step, revoke_grants},
    report::ImageResult,
};
use tokio::time::Instant;

use super::plan_log::log_plan;
use crate::{
    carry_out::{Writer, carry_on},
    observe::grants_again,
};

/// Takes the closing look at the keys of the images whose records were deleted.
pub(super) async fn take<'a>(
    writer: Writer<'_>,
    request_id: &str,
    case: &Case<'_>,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let keys_of = |result: &ImageResult<'_>| -> Vec<KeyArn> {
        let image = facts.images.get(result.decision.image_id).filter(|_| !unrecorded(result).is_empty());
        let keys = image.into_iter().flat_map(|image| image.keys());
        keys.filter(|arn| arn.account() == case.account).cloned().collect()
    };
    let mut keys: Vec<_> = results.iter().flat_map(keys_of).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return results;
    }
    let seen = grants_again(&writer.aws.until(deadline), case, keys).await;
    let mut further = Vec::with_capacity(results.len());
    for mut result in results {
        let mut steps = Vec::new();
        for arn in keys_of(&result) {
            let accounts = unrecorded(&result);
            match seen.get(&arn) {
                Some(Ok((grants, scan))) => {
                    let grants = grants.iter();
                    steps.extend(revoke_grants(result.decision.image_id, &arn, grants, case.account, &accounts));
                    result.lost.extend(scan.unseen.iter().filter(|_| scan.may_hide_ours).cloned());
                }
                Some(Err(error)) => result.lost.push(error.clone()),
                None => {}
            }
        }
        // KMS may still list a grant that was just revoked.
        steps.retain(|step| !result.steps.iter().any(|taken| taken.step == *step && taken.may_be_done()));
        log_plan(request_id, &steps, false);
        further.push((result, steps));
    }
    carry_on(writer, further, deadline).await
}

/// The accounts whose records were deleted, or may have been.
fn unrecorded(result: &ImageResult<'_>) -> Vec<AccountId> {
    let account = |step: &Step| if let Step::DeleteExpiry { target, .. } = step { target.account() } else { None };
    result.steps.iter().filter(|taken| taken.may_be_done()).filter_map(|taken| account(&taken.step)).collect()
}
