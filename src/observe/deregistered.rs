//! Owns what has outlived its image: records and grants of ours that name images of which EC2 knows nothing any more.
//!
//! That a search doesn't find an image is not enough to take anything for a left-over of it: EC2's reads lag its writes.
//! What is taken away or no longer remembered for that reason, EC2 has said of the id that there is no such image.

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

/// Adds the deregistered images among those asked about, with what the records of their shares say was behind them.
pub(super) async fn of_records(
    aws: &Aws,
    owner: AccountId,
    first: &FirstReads<'_>,
    records: &Read,
    facts: &mut Facts,
) -> Reading<()> {
    let unknown: Vec<_> = first.image_ids.iter().filter(|id| !facts.images.contains_key(id)).cloned().collect();
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

/// Adds the deregistered images that grants of ours on these keys name.
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

/// Fails unless EC2 says of an image that a search didn't find that there is none.
async fn ensure_deregistered(aws: &Aws, image_id: &ImageId) -> Reading<()> {
    if !aws.image_exists(image_id).await? {
        return Ok(());
    }
    Err(Failure {
        code: ErrorCode::Unavailable,
        call: Some("ec2:DescribeImages"),
        resource: Some(image_id.to_string()),
        message: format!("EC2 knows {image_id} and its search does not find it; send the request again"),
        retryable: true,
    })
}

/// Those of the images of which EC2 says that there is no such image.
async fn confirmed(aws: &Aws, ids: Vec<ImageId>) -> Reading<BTreeSet<ImageId>> {
    let asked = concurrently(ids, async |id| aws.image_exists(id).await).await;
    let deregistered = asked.into_iter().map(|(id, exists)| Ok((!exists?).then_some(id)));
    let deregistered: Reading<Vec<_>> = deregistered.collect();
    Ok(deregistered?.into_iter().flatten().collect())
}
