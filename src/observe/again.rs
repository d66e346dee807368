//! Owns what is read once more after something was written: where requests cross, only that tells what is left.

use std::collections::{BTreeMap, BTreeSet};

use key_policy::Grant;
use sharing::{
    decide::Case,
    domain::{AccountId, ImageId, KeyArn, SnapshotId},
    facts::{Fact, GrantScan, Image, Reading},
    plan::Step,
    read_plan::OwnGrants,
};

use super::{
    answers::{concurrently, left_out},
    neighbours::of_another_image,
    own_grants::{GRANTEE_PAGES, scan},
};
use crate::aws::Aws;

/// Reads again, after records were deleted, the grants of these keys as far as they may be of this request.
pub async fn grants_again(
    aws: &Aws,
    case: &Case<'_>,
    keys: Vec<KeyArn>,
) -> BTreeMap<KeyArn, Reading<(Vec<Grant>, GrantScan)>> {
    let wanted = &OwnGrants::new(case);
    concurrently(keys, async |arn| scan(aws, wanted, arn).await).await
}

/// Reads the ID of a grant that a share may have made, where KMS has given no answer.
pub async fn grant_id(aws: &Aws, owner: AccountId, step: &Step) -> Reading<Option<String>> {
    let Step::CreateGrant { key, name, grantee, .. } = step else { return Ok(None) };
    let grants = aws.grants(key, Some(grantee), GRANTEE_PAGES).await?;
    let is_it = |grant: &&Grant| grant.name.as_deref() == Some(name.as_str()) && grant.is_issued_by(owner);
    Ok(grants.iter().find(is_it).map(|grant| grant.grant_id.clone()))
}

/// Reads which accounts need their entries on these snapshots for other shares than the ones that are taken back: for each
/// snapshot the accounts with which an image on it is shared.
pub async fn needed_elsewhere(
    aws: &Aws,
    snapshots: &[SnapshotId],
    taken_back: &BTreeSet<(ImageId, AccountId)>,
) -> Reading<BTreeSet<(SnapshotId, AccountId)>> {
    let images = aws.describe_own_images_on(snapshots).await?;
    // A list without the images that are known to be there is not the whole list.
    if let Some((id, _)) = taken_back.iter().find(|(id, _)| !images.contains_key(id)) {
        let message =
            format!("EC2's list of the images on the snapshots of {id} lacks {id} itself, so it may lack others");
        return Err(left_out("ec2:DescribeImages", id, message));
    }
    let shared = concurrently(images.keys().cloned().collect(), async |id| aws.launch_permissions(id).await).await;
    let mut needed = BTreeSet::new();
    for (id, launch_permissions) in shared {
        let Some(image) = images.get(&id) else { continue };
        let launch_permissions = launch_permissions.map_err(|error| of_another_image(error.failure))?;
        let image = Image { launch_permissions: Fact::Known(launch_permissions), ..image.clone() };
        for account in image.shared_accounts() {
            if !taken_back.contains(&(id.clone(), account)) {
                needed.extend(image.snapshots.iter().map(|backing| (backing.id.clone(), account)));
            }
        }
    }
    Ok(needed)
}
