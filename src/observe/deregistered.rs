//! Owns what has outlived its image: records and grants of ours that name images of which EC2 knows nothing any more.
//!
//! That a search doesn't find an image is not enough to take anything for a left-over of it: EC2's reads lag its writes.
//! What is taken away or no longer remembered for that reason, EC2 has said of the id that there is no such image.

use std::collections::{BTreeMap, BTreeSet};

use sharing::{
    decide::{self, Question},
    domain::{GrantName, ImageId, KeyArn},
    facts::{Facts, Image, Reading},
    outcome::{ErrorCode, ErrorRow},
    request::Action,
};

use super::{Expiries, concurrently, row};
use crate::aws::Aws;

/// So many images at once are asked about, one by one, before their grants are revoked.
const AT_ONCE: usize = 20;

/// Fails unless EC2 says of an image that a search didn't find that there is none.
pub(super) async fn ensure_deregistered(aws: &Aws, image_id: &ImageId) -> Reading<()> {
    match aws.image_exists(image_id).await {
        Ok(false) => Ok(()),
        Err(error) => Err(error.row),
        Ok(true) => Err(ErrorRow {
            code: ErrorCode::Unavailable,
            call: Some("ec2:DescribeImages"),
            resource: Some(image_id.to_string()),
            message: format!("EC2 knows {image_id} and its search does not find it; send the request again"),
            retryable: true,
        }),
    }
}

/// Adds the images asked about that are gone, with the keys that the records of their shares remember.
pub(super) async fn of_expiries(
    aws: &Aws,
    question: &Question<'_>,
    expiries: &Expiries,
    facts: &mut Facts,
) -> Reading<()> {
    let unknown = question.request.image_ids.iter().filter(|id| !facts.images.contains_key(id)).cloned().collect();
    for id in confirmed(aws, unknown).await? {
        let recorded = expiries.get(&id).into_iter().flatten().flat_map(|records| records.expiries.values());
        let keys: BTreeSet<_> = recorded.flat_map(|expiry| expiry.key_arns.iter().cloned()).collect();
        facts.images.insert(id, Image::deregistered(question.account, keys.into_iter().collect()));
    }
    Ok(())
}

/// Adds the images that are gone and that grants of ours on these keys name.
///
/// A key is looked through once. A repair asks EC2 about each of the images and revokes their grants, and so looks at
/// some at a time: the rest is come upon again with the next images on the key, or the next repair.
pub(super) async fn of_grants(aws: &Aws, question: &Question<'_>, facts: &mut Facts) -> Reading<()> {
    let is_done = |arn: &KeyArn| question.request.next_token.as_ref().is_some_and(|token| token.knows(arn));
    let mut named: BTreeMap<ImageId, Vec<KeyArn>> = BTreeMap::new();
    for (arn, key) in facts.keys.iter().filter(|(arn, _)| !is_done(arn)) {
        let ours = key.grants.iter().flatten().filter(|grant| grant.is_issued_by(question.account));
        let images: BTreeSet<_> = ours.filter_map(|grant| GrantName::image_of(grant.name.as_deref()?)).collect();
        for id in images.into_iter().filter(|id| !facts.images.contains_key(id)) {
            named.entry(id).or_default().push(arn.clone());
        }
    }
    // What an image was called that is gone nobody knows: only a rule about every image covers it.
    if !decide::is_covered(question, &Image::deregistered(question.account, Vec::new())) {
        return Ok(());
    }
    let known = aws.describe_images(&named.keys().cloned().collect::<Vec<_>>()).await.map_err(row)?;
    named.retain(|id, _| !known.contains_key(id));
    if question.request.action != Action::Audit {
        let later = named.keys().nth(AT_ONCE).cloned().map(|first| named.split_off(&first)).unwrap_or_default();
        facts.unfinished_keys.extend(later.into_values().flatten());
        let confirmed = confirmed(aws, named.keys().cloned().collect()).await?;
        named.retain(|id, _| confirmed.contains(id));
    }
    facts.images.extend(named.into_iter().map(|(id, keys)| (id, Image::deregistered(question.account, keys))));
    Ok(())
}

/// Those of the images of which EC2 says that there is no such image.
async fn confirmed(aws: &Aws, ids: Vec<ImageId>) -> Reading<BTreeSet<ImageId>> {
    let asked = concurrently(ids, async |id| aws.image_exists(id).await).await;
    let asked = asked.into_iter().map(|(id, exists)| exists.map(|exists| (!exists).then_some(id)).map_err(row));
    let deregistered: Reading<Vec<_>> = asked.collect();
    Ok(deregistered?.into_iter().flatten().collect())
}
