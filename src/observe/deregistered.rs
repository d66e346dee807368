//! Owns what has outlived its image: records and grants of ours that name images that were deregistered.
//!
//! EC2's reads lag its writes, so an image that a search doesn't find may exist. Before anything is removed because an
//! image was deregistered, EC2 must have answered for its ID that there is no such image.

use std::collections::BTreeSet;

use sharing::{
    decide::Case,
    domain::{AccountId, ImageId},
    facts::{Facts, Failure, Image, Reading},
    outcome::ErrorCode,
    read_plan::{self, FirstReads, IfNotFound},
};

use super::{answers::concurrently, records::Read};
use crate::aws::Aws;

/// Adds the deregistered images of the request, with the snapshots and keys that their records name.
pub(super) async fn of_records(
    aws: &Aws,
    owner: AccountId,
    first: &FirstReads<'_>,
    records: &Read,
    facts: &mut Facts,
) -> Reading<()> {
    let unknown: Vec<_> = first.images.named().iter().filter(|id| !facts.images.contains_key(id)).cloned().collect();
    match first.if_not_found {
        IfNotFound::Leave => {}
        IfNotFound::OfExpiry(expiry) => {
            for id in unknown {
                ensure_deregistered(aws, &id).await?;
                facts.images.insert(id, Image::of_expiry(owner, expiry));
            }
        }
        IfNotFound::OfRecords => {
            for id in confirmed(aws, unknown).await? {
                let read = records.get(&id).and_then(|(_, read)| read.as_ref().ok());
                let recorded = read.into_iter().flat_map(|records| records.expiries.values());
                let keys: BTreeSet<_> = recorded.flat_map(|expiry| expiry.key_arns.iter().cloned()).collect();
                facts.images.insert(id, Image::deregistered(owner, keys.into_iter().collect()));
            }
        }
    }
    Ok(())
}

/// Adds the deregistered images that our grants on these keys name.
pub(super) async fn of_grants(aws: &Aws, case: &Case<'_>, facts: &mut Facts) -> Reading<()> {
    let named = read_plan::named_by_grants(case, facts);
    let found = aws.describe_images(&named.images.keys().cloned().collect::<Vec<_>>()).await?;
    let (mut named, unfinished) = named.not_found(&found);
    facts.unfinished_keys.extend(unfinished);
    if named.must_be_confirmed {
        let confirmed = confirmed(aws, named.images.keys().cloned().collect()).await?;
        named.images.retain(|id, _| confirmed.contains(id));
    }
    facts.images.extend(named.images.into_iter().map(|(id, keys)| (id, Image::deregistered(case.account, keys))));
    Ok(())
}

/// Fails unless EC2 says that an image that a search didn't find does not exist.
async fn ensure_deregistered(aws: &Aws, image_id: &ImageId) -> Reading<()> {
    if !aws.image_exists(image_id).await? {
        return Ok(());
    }
    Err(Failure {
        code: ErrorCode::Unavailable,
        call: Some("ec2:DescribeImages"),
        resource: Some(image_id.to_string()),
        message: format!("EC2 describes {image_id} by its ID, but a search does not return it; send the request again"),
        retryable: true,
    })
}

/// The images that do not exist, as EC2 says for each ID.
async fn confirmed(aws: &Aws, ids: Vec<ImageId>) -> Reading<BTreeSet<ImageId>> {
    let asked = concurrently(ids, async |id| aws.image_exists(id).await).await;
    let deregistered = asked.into_iter().map(|(id, exists)| Ok((!exists?).then_some(id)));
    let deregistered: Reading<Vec<_>> = deregistered.collect();
    Ok(deregistered?.into_iter().flatten().collect())
}
