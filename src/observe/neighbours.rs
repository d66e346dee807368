//! Owns reading the other images of the account on the snapshots of those that access is taken away from: what is shared of
//! them needs the entries there.

use std::collections::BTreeMap;

use sharing::{
    decide::{self, Case},
    domain::{AccountId, ImageId, SnapshotId},
    facts::{Fact, Failure, Image, ImageState, Reading},
    read_plan::ImageReads,
};

use super::answers::{concurrently, left_out};
use crate::aws::{Aws, CallError};

/// An image that is read further than its description.
pub(super) type ReadBehind<'a> = (&'a ImageId, &'a ImageReads, &'a Image);

/// For each snapshot the accounts with which images are shared that this request does not change.
pub(super) type NeededBy = BTreeMap<SnapshotId, BTreeMap<AccountId, ImageId>>;

/// Reads who may launch the images of this account on the snapshots, and adds those images to `neighbours`.
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
    // A list without the images asked about is not the whole list.
    let is_there = |image: &Image| image.state != ImageState::Deregistered && !image.snapshots.is_empty();
    let mut asked = images.iter().filter(|(_, _, image)| is_there(image));
    if let Some((id, _, _)) = asked.find(|(id, _, _)| !others.contains_key(*id)) {
        let message = format!(
            "EC2's list of the images on the snapshots of {id} lacks {id} itself, so it may lack others that need them"
        );
        return Some(Err(left_out("ec2:DescribeImages", id, message)));
    }
    // An image that is asked about and refused keeps what it needs like any other.
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

/// The same failure without the name of an image that the requester may not know.
pub(super) fn of_another_image(failure: Failure) -> Failure {
    let call = failure.call.unwrap_or("the call");
    let message =
        format!("{call} failed for another image of this account on the same snapshots ({})", failure.code.as_str());
    Failure { resource: None, message, ..failure }
}
