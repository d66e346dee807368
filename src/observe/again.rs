//! Owns the reads after a write: if requests overlap, only these show what remains.

use std::collections::{BTreeMap, BTreeSet};

use key_policy::Grant;
use sharing::{
    decide::Case,
    domain::{AccountId, ImageId, KeyArn, SnapshotId},
    facts::{Fact, GrantScan, Image, Reading, RegionalImage},
    plan::Step,
    read_plan::OwnGrants,
};

use super::{
    answers::{concurrently, left_out},
    neighbours::of_another_image,
    own_grants::{GRANTEE_PAGES, scan},
};
use crate::aws::Aws;

/// After records were deleted: reads again the grants on these keys that may belong to this request.
pub async fn grants_again(
    aws: &Aws,
    case: &Case<'_>,
    keys: Vec<KeyArn>,
) -> BTreeMap<KeyArn, Reading<(Vec<Grant>, GrantScan)>> {
    let wanted = &OwnGrants::new(case);
    concurrently(keys, async |arn| scan(aws, wanted, arn).await).await
}

/// After records of shares were deleted that waited for a copy of this image: the copies that are available now, with their
/// snapshots.
pub async fn copies_again(aws: &Aws, source: &RegionalImage) -> Reading<BTreeMap<ImageId, Image>> {
    let mut images = aws.images_made_from(&source.region, std::slice::from_ref(&source.id)).await?;
    images.retain(|_, image| image.is_available_copy_of(source));
    let ids: BTreeSet<_> =
        images.values().flat_map(|image| &image.snapshots).map(|backing| backing.id.clone()).collect();
    if ids.is_empty() {
        return Ok(images);
    }
    let snapshots = aws.describe_snapshots(&ids.into_iter().collect::<Vec<_>>()).await;
    for backing in images.values_mut().flat_map(|image| &mut image.snapshots) {
        backing.snapshot = match &snapshots {
            Ok(snapshots) => snapshots.get(&backing.id).cloned().map_or(Fact::NotRead, Fact::Known),
            Err(error) => Fact::Failed(error.failure.clone()),
        };
    }
    Ok(images)
}

/// Reads the ID of a grant that a share may have created although KMS did not answer.
pub async fn grant_id(aws: &Aws, owner: AccountId, step: &Step) -> Reading<Option<String>> {
    let Step::CreateGrant { key, name, grantee, .. } = step else { return Ok(None) };
    let grants = aws.grants(key, Some(grantee), GRANTEE_PAGES).await?;
    let is_it = |grant: &&Grant| grant.name.as_deref() == Some(name.as_str()) && grant.is_issued_by(owner);
    Ok(grants.iter().find(is_it).map(|grant| grant.grant_id.clone()))
}

/// For each snapshot, reads the accounts that need their create volume permission for a share other than those that are
/// undone: an image on the snapshot is shared with them.
pub async fn needed_elsewhere(
    aws: &Aws,
    snapshots: &[SnapshotId],
    taken_back: &BTreeSet<(ImageId, AccountId)>,
) -> Reading<BTreeSet<(SnapshotId, AccountId)>> {
    let images = aws.describe_own_images_on(snapshots).await?;
    // A list that lacks images that are known to exist is not complete.
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
