//! Owns reading the parameters to which rules publish images, and the images that they name.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sharing::{
    domain::{AccountId, ImageId, ParameterName},
    facts::{Fact, Facts, Failure, Image, Parameter, Reading},
    publishing::{Crossed, unsettled},
    read_plan::{NamedReads, Need, ParameterReads, Sources},
};
use tokio::time::{Instant, sleep};

use super::{answers::concurrently, sources::read_sources};
use crate::aws::Aws;

/// The number of reads of the versions in between: Parameter Store validates a value after it has answered.
const VALIDATION_ATTEMPTS: usize = 8;
/// The pause between two of these reads.
const VALIDATION_PAUSE: Duration = Duration::from_secs(1);

/// Images, with what was read about them.
type Images = BTreeMap<ImageId, Image>;

/// The parameters, and the images with what was read about their sources.
pub(super) struct ReadParameters {
    parameters: BTreeMap<ParameterName, Fact<Option<Parameter>>>,
    images: Images,
}

/// The images of the request that may be published.
pub(super) fn images_to_read(plan: &ParameterReads, facts: &Facts) -> Images {
    let images = plan.published.iter().filter_map(|id| facts.images.get_key_value(id));
    images.map(|(id, image)| (id.clone(), image.clone())).collect()
}

/// Reads the parameters, and what the plan needs to know about the images that they name and the images that may be
/// published.
pub(super) async fn read_parameters(
    aws: &Aws,
    account: AccountId,
    plan: &ParameterReads,
    published: Images,
) -> Reading<ReadParameters> {
    let names = plan.names.iter().cloned().collect();
    let read = concurrently(names, async |name| aws.image_parameter(name, None).await).await;
    let mut parameters = BTreeMap::new();
    for (name, read) in read {
        parameters.insert(name, plan.need.settle(read.map_err(Failure::from))?);
    }
    let held =
        parameters.values_mut().filter_map(|fact| if let Fact::Known(Some(it)) = fact { Some(it) } else { None });
    let images = read_named(aws, account, (plan.need, plan.named), held.collect(), published).await?;
    Ok(ReadParameters { parameters, images })
}

/// Reads the images that parameters name. If one of these or of `images` is a copy, reads its source.
async fn read_named(
    aws: &Aws,
    account: AccountId,
    (need, reads): (Need, NamedReads),
    parameters: Vec<&mut Parameter>,
    mut images: Images,
) -> Reading<Images> {
    if reads == NamedReads::Nothing {
        return Ok(images);
    }
    let named = parameters.iter().filter(|it| it.is_for_images).filter_map(|it| it.image_id.clone());
    let missing: BTreeSet<_> = named.filter(|id| !images.contains_key(id)).collect();
    let missing: Vec<_> = missing.into_iter().collect();
    let described = match missing.as_slice() {
        [] => Fact::Known(BTreeMap::new()),
        missing => need.settle(aws.describe_images(missing).await.map_err(Failure::from))?,
    };
    images.extend(described.iter().flatten().map(|(id, image)| (id.clone(), image.clone())));
    images.retain(|_, image| image.owner == account);
    if reads == NamedReads::Ages {
        read_sources(aws, account, &Sources::of(images.values(), need), &mut images).await?;
    }
    for parameter in parameters.into_iter().filter(|it| it.is_for_images) {
        let Some(id) = &parameter.image_id else { continue };
        parameter.named = match (images.get(id), described.failed()) {
            (Some(image), _) => Fact::Known(Some(image.provenance.clone())),
            (None, Some(failure)) => Fact::Failed(failure.clone()),
            (None, None) => Fact::Known(None),
        };
    }
    Ok(images)
}

/// Adds what was read to the facts.
pub(super) fn learn_parameters(facts: &mut Facts, read: ReadParameters) {
    for (id, image) in read.images {
        if let Some(known) = facts.images.get_mut(&id) {
            known.provenance = image.provenance;
        }
    }
    facts.parameters = read.parameters;
}

/// Reads the versions of a parameter between our read and our write, and the images that they name. A missing version
/// is either invalid or not yet validated. It is invalid if there is a later version.
pub async fn versions_between(
    aws: &Aws,
    account: AccountId,
    crossed: &Crossed,
    deadline: Instant,
) -> Reading<Vec<Parameter>> {
    let name = &crossed.put.parameter;
    let mut attempts = VALIDATION_ATTEMPTS;
    let mut versions = loop {
        let (read, is_whole) = read_versions(aws, crossed).await?;
        if is_whole || is_validated(aws, crossed).await? {
            break read;
        }
        attempts = attempts.saturating_sub(1);
        if attempts == 0 || deadline.saturating_duration_since(Instant::now()) < VALIDATION_PAUSE.saturating_mul(2) {
            return Err(unsettled(name, "Parameter Store has not validated it yet"));
        }
        sleep(VALIDATION_PAUSE).await;
    };
    let reads = (Need::Settled, NamedReads::Ages);
    let read = read_named(aws, account, reads, versions.iter_mut().collect(), Images::new()).await;
    let unread = versions.iter().find_map(|version| version.named.failed());
    match read.as_ref().err().or(unread) {
        Some(failure) => Err(unsettled(name, &failure.message)),
        None => Ok(versions),
    }
}

/// The existing versions in between, and whether none is missing.
async fn read_versions(aws: &Aws, crossed: &Crossed) -> Reading<(Vec<Parameter>, bool)> {
    let name = &crossed.put.parameter;
    let between = crossed.between.clone().collect();
    let read = concurrently(between, async |version| aws.image_parameter(name, Some(*version)).await).await;
    let read =
        read.into_values().collect::<Result<Vec<_>, _>>().map_err(|error| unsettled(name, &error.failure.message))?;
    let is_whole = read.iter().all(Option::is_some);
    Ok((read.into_iter().flatten().collect(), is_whole))
}

/// Whether our version or a later one exists.
async fn is_validated(aws: &Aws, crossed: &Crossed) -> Reading<bool> {
    let name = &crossed.put.parameter;
    let current = aws.image_parameter(name, None).await.map_err(|error| unsettled(name, &error.failure.message))?;
    Ok(current.is_some_and(|current| current.version >= crossed.version))
}
