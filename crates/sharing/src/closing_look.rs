//! Owns what a revoke or reset looks at after it has deleted records, and what it revokes then: the grants that a share
//! created meanwhile. Pure; `execute::closing_look` reads and writes.
//!
//! An overlapping share may have found such a record before it was deleted; then nothing would end those grants. The
//! plan removes the share's other permissions once more without reading them, but a grant can only be revoked by its
//! ID.

use std::collections::BTreeMap;

use key_policy::Grant;

use crate::{
    decide::Case,
    domain::{AccountId, KeyArn},
    facts::{Facts, GrantScan, Reading},
    plan::{Step, revoke_grants},
    progress::ImageResult,
};

/// What the second list of a key's grants says.
pub type Listed = BTreeMap<KeyArn, Reading<(Vec<Grant>, GrantScan)>>;

/// The keys whose grants are listed again: those of the images whose records were deleted.
pub fn keys_to_list(case: &Case<'_>, facts: &Facts, results: &[ImageResult<'_>]) -> Vec<KeyArn> {
    let mut keys: Vec<_> = results.iter().flat_map(|result| keys_of(case, facts, result)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The steps that revoke what was created meanwhile, beside the results of each image.
pub fn revokes<'a>(
    case: &Case<'_>,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
    listed: &Listed,
) -> Vec<(ImageResult<'a>, Vec<Step>)> {
    let of_image = |mut result: ImageResult<'a>| {
        let mut steps = Vec::new();
        for arn in keys_of(case, facts, &result) {
            let accounts = unrecorded(&result);
            match listed.get(&arn) {
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
        steps.retain(|step| !result.may_have_done(step));
        (result, steps)
    };
    results.into_iter().map(of_image).collect()
}

/// The keys of an image whose records were deleted, as far as their grants are ours to list.
fn keys_of(case: &Case<'_>, facts: &Facts, result: &ImageResult<'_>) -> Vec<KeyArn> {
    let image = facts.images.get(result.decision.image_id).filter(|_| !unrecorded(result).is_empty());
    let keys = image.into_iter().flat_map(|image| image.keys());
    keys.filter(|arn| arn.account() == case.account).cloned().collect()
}

/// The accounts whose records were deleted, or may have been.
fn unrecorded(result: &ImageResult<'_>) -> Vec<AccountId> {
    let account = |step: &Step| if let Step::DeleteExpiry { target, .. } = step { target.account() } else { None };
    result.steps.iter().filter(|taken| taken.may_be_done()).filter_map(|taken| account(&taken.step)).collect()
}
