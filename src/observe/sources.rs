//! Owns reading the sources of copies, by which rules with `maxSeverity`, `scannedWithin` or `maxAge` judge them.

use std::collections::BTreeMap;

use sharing::{
    decide::{self, Question},
    domain::ImageId,
    facts::{Fact, Image, Lineage, Reading},
};

use super::{concurrently, row};
use crate::aws::Aws;

/// Reads them, with one call for each of their Regions. A source that can't be read is a gap of its copies; what another try
/// may tell is asked again before anything is given.
pub(super) async fn read(aws: &Aws, question: &Question<'_>, images: &mut BTreeMap<ImageId, Image>) -> Reading<()> {
    let wanted = decide::sources_to_read(question, images);
    let described = concurrently(wanted.keys().cloned().collect(), async |region| {
        let ids: Vec<_> = wanted.get(region).into_iter().flatten().cloned().collect();
        aws.in_region(region).describe_images(&ids).await.map_err(row)
    })
    .await;
    let is_looked_over = question.request.action.surveys();
    if let Some(Err(error)) = described.values().find(|read| read.as_ref().is_err_and(|error| error.retryable))
        && !is_looked_over
    {
        return Err(error.clone());
    }
    for image in images.values_mut() {
        let Lineage::CopyOf { source, said } = &mut image.provenance.lineage else { continue };
        if !wanted.get(&source.region).is_some_and(|ids| ids.contains(&source.id)) {
            continue;
        }
        **said = match described.get(&source.region) {
            None => Fact::NotRead,
            Some(Err(error)) => Fact::Failed(error.clone()),
            Some(Ok(sources)) => Fact::Known(sources.get(&source.id).map(|source| source.image.provenance.clone())),
        };
    }
    Ok(())
}
