//! Owns reading the account's other images on the snapshots of the images that lose access. If such an image is shared,
//! it needs the create volume permissions there.

use std::collections::BTreeMap;

use sharing::{
    decide::{self, Case},
    domain::{AccountId, ImageId, SnapshotId},
    facts::{Fact, Failure, Image, ImageState, Reading},
    read_plan::ImageReads,
};

use super::answers::{concurrently, left_out};
use crate::aws::{Aws, CallError};

/// An image about which more than its description is read.
pub(super) type ReadBehind<'a> = (&'a ImageId, &'a ImageReads, &'a Image);

/// For each snapshot, the accounts with which images that this request does not change are shared.
pub(super) type NeededBy = BTreeMap<SnapshotId, BTreeMap<AccountId, ImageId>>;

/// Reads who may launch this account's other images on the snapshots, and adds those images to `neighbours`.
pub(super) async fn read_neighbours(
    aws: &Aws,
    case: &Case<'_>,
    images: &[ReadBehind<'_>],
    found: Option<Result<BTreeMap<ImageId, Image>, CallError>>,
    neighbours: &mut BTreeMap<ImageId, Image>,
) -> Option<Reading<NeededBy>> {
    let mut others = match found? {
        Ok(others) => others,
        Err(error) => return Some(Err(error.failure)),
    };
    // A list that lacks the images of the request is not complete.
    let is_there = |image: &Image| image.state != ImageState::Deregistered && !image.snapshots.is_empty();
    let mut asked = images.iter().filter(|(_, _, image)| is_there(image));
    if let Some((id, _, _)) = asked.find(|(id, _, _)| !others.contains_key(*id)) {
        let message = format!(
            "EC2's list of the images on the snapshots of {id} lacks {id} itself, so it may lack others that need them"
        );
        return Some(Err(left_out("ec2:DescribeImages", id, message)));
    }
    // An image of the request that is refused keeps what it needs, like any other image.
    others.retain(|other, _| !images.iter().any(|(id, _, _)| *id == other));
    let permissions = concurrently(others.keys().cloned().collect(), async |id| aws.launch_permissions(id).await).await;
    let mut needed_by = NeededBy::new();
    for (id, launch_permissions) in permissions {
        let Some(image) = others.remove(&id) else { continue };
        let launch_permissions = match launch_permissions {
            Ok(launch_permissions) => launch_permissions,
            Err(error) if decide::is_covered(case, &image) => return Some(Err(error.failure)),
            Err(error) => return Some(Err(of_another_image(error.failure))),
        };
        let image = Image { launch_permissions: Fact::Known(launch_permissions), ..image };
        for backing in &image.snapshots {
            let accounts = image.shared_accounts().into_iter().map(|account| (account, id.clone()));
            needed_by.entry(backing.id.clone()).or_default().extend(accounts);
        }
        neighbours.insert(id, image);
    }
    Some(Ok(needed_by))
}

/// The same failure without the ID of an image that the requester may not know.
pub(super) fn of_another_image(failure: Failure) -> Failure {
    let call = failure.call.unwrap_or("the call");
    let message =
        format!("{call} failed for another image of this account on the same snapshots ({})", failure.code.as_str());
    Failure { resource: None, message, ..failure }
}
