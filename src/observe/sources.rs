//! Owns reading the sources of copies, by which rules with `maxSeverity`, `scannedWithin` or `maxAge` judge them.

use std::collections::BTreeMap;

use sharing::{
    domain::{AccountId, ImageId},
    facts::{Fact, Failure, Image, Lineage, Reading},
    read_plan::{Need, Sources},
};

use super::answers::concurrently;
use crate::aws::Aws;

/// Describes the sources, with one call for each of their Regions.
pub async fn read_sources(
    aws: &Aws,
    owner: AccountId,
    sources: &Sources,
    images: &mut BTreeMap<ImageId, Image>,
) -> Reading<()> {
    // A Region that does not answer holds nothing up that can be done without it.
    let third = aws.for_a_third();
    let aws = if sources.need == Need::Optional { &third } else { aws };
    let of_regions = sources.by_region.iter().map(|(region, ids)| (region, ids.iter().cloned().collect::<Vec<_>>()));
    let read =
        concurrently(of_regions.collect(), async |(region, ids)| aws.in_region(region).describe_images(ids).await);
    let mut described = BTreeMap::new();
    for ((region, _), read) in read.await {
        described.insert(region, sources.need.settle(read.map_err(Failure::from))?);
    }
    for image in images.values_mut() {
        let Lineage::CopyOf { source, said } = &mut image.provenance.lineage else { continue };
        if !sources.include(source) {
            continue;
        }
        if let Some(Fact::Known(described)) = described.get(&source.region) {
            let own = described.get(&source.id).filter(|source| source.owner == owner);
            image.source_naming = own.map(Image::naming);
        }
        **said = match described.get(&source.region) {
            Some(Fact::Known(described)) => Fact::Known(described.get(&source.id).map(|it| it.provenance.clone())),
            Some(Fact::Failed(failure)) => Fact::Failed(failure.clone()),
            Some(Fact::NotRead) | None => Fact::NotRead,
        };
    }
    Ok(())
}
