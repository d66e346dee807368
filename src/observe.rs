//! Owns carrying out a read plan, in as few waves of calls as possible. The first wave reads the images. If a rule
//! depends on the sources of copies, another wave reads these. The next reads the launch permissions, the snapshots and
//! the names of records of the images that the requester may ask about. Then come keys and key policies, create volume
//! permissions, other images and records. If a key policy alone gives no answer, the last wave reads grants.
//! Of images that are remembered from earlier requests, everything is read in the first wave.
//!
//! The plan says what is read, and what happens if a read fails.

mod again;
mod answers;
mod behind;
mod copies;
mod deregistered;
mod keys;
mod memory;
mod neighbours;
mod own_grants;
mod parameters;
mod records;
mod sources;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{self, Either};
use sharing::{
    decide::{self, Case, Judgements},
    domain::{ImageId, KeyArn, SnapshotId},
    facts::{Fact, Facts, Failure, LaunchPermission, Reading, Snapshot},
    read_plan::{self, Described, Expectation, FirstReads, Need, ReadPlan, Remembered},
};

pub use self::{
    again::{copies_again, grant_id, grants_again, needed_elsewhere},
    memory::Memory,
    parameters::versions_between,
    records::look_again,
    sources::read_sources,
};
use self::{
    answers::{concurrently, left_out},
    behind::{Behind, read_behind},
    copies::{read_copies, read_waiting_beside},
    parameters::{learn_parameters, read_parameters},
    records::{Read, learn_records, read_records},
    usage::read_usage,
};
use crate::{
    aws::{Aws, Page},
    records::RecordStore,
};

/// Reads everything that the decision needs. Fails if a required fact can't be read.
///
/// If the description of an image is enough to refuse it, nothing more is read about it.
pub async fn observe(
    aws: &Aws,
    store: Option<&RecordStore>,
    case: &Case<'_>,
    judgements: &Judgements<'_>,
    memory: &Memory,
) -> Reading<Facts> {
    let described = match memory.expect(case) {
        Some(expected) => match read_at_once(aws, store, case, judgements, expected).await? {
            AtOnce::All(facts) => {
                memory.learn_grantees(&facts);
                return Ok(*facts);
            }
            AtOnce::Described(facts) => {
                memory.forget(&case.request.image_ids);
                *facts
            }
        },
        None => match read_plan::copies(case) {
            Some(reads) => read_copies(aws, store, case, reads).await?,
            None => read_named(aws, store, case).await?,
        },
    };
    let images = Remembered::worth_keeping(case, &described);
    let facts = read_beyond(aws, store, case, judgements, described, BTreeMap::new()).await?;
    memory.learn(images, &facts);
    Ok(facts)
}

/// What was read at once about images that are remembered.
enum AtOnce {
    /// Everything: EC2 describes the images as before.
    All(Box<Facts>),
    /// The descriptions. They differ, so nothing else counts that was read.
    Described(Box<Facts>),
}

/// Describes the images, and reads at the same time what will be needed if EC2 describes them as before. If it doesn't,
/// nothing else is waited for.
async fn read_at_once(
    aws: &Aws,
    store: Option<&RecordStore>,
    case: &Case<'_>,
    judgements: &Judgements<'_>,
    Expectation { images, keys }: Expectation,
) -> Reading<AtOnce> {
    let as_before = Facts { images: images.clone(), ..Facts::default() };
    let described = Box::pin(read_named(aws, store, case));
    let beyond = Box::pin(read_beyond(aws, store, case, judgements, as_before, keys));
    let (described, all) = match future::select(described, beyond).await {
        Either::Left((described, beyond)) => (described?, Either::Left(beyond)),
        Either::Right((all, described)) => (described.await?, Either::Right(future::ready(all))),
    };
    if described.images == images {
        return Ok(AtOnce::All(Box::new(all.await?)));
    }
    judgements.forget();
    Ok(AtOnce::Described(Box::new(described)))
}

/// Reads what is needed beyond the descriptions of the images. `keys` are those that their snapshots are probably on, with the
/// grantees whose grants are probably needed.
async fn read_beyond(
    aws: &Aws,
    store: Option<&RecordStore>,
    case: &Case<'_>,
    judgements: &Judgements<'_>,
    mut facts: Facts,
    keys: BTreeMap<KeyArn, BTreeSet<String>>,
) -> Reading<Facts> {
    let request = decide::resolve_copies(case, &facts);
    let case = &Case { request: &request, ..*case };
    let mut plan = read_plan::further(case, &facts);
    if plan.is_records_first {
        let records = read_records(aws, store, &plan.records).await;
        learn_records(&mut facts, records)?;
        plan = read_plan::further(case, &facts);
    }
    let published = parameters::images_to_read(&plan.parameters, &facts);
    let (read, records, blocks_public_images, parameters, usage) = future::join5(
        read_further(aws, case, judgements, &plan, &mut facts, keys),
        read_records(aws, store, &plan.records),
        blocks_public_images(aws, plan.blocks_public_images),
        read_parameters(aws, case.account, &plan.parameters, published),
        read_usage(aws, &plan.usage),
    )
    .await;
    read?;
    learn_parameters(&mut facts, parameters?);
    facts.blocks_public_images = blocks_public_images?;
    facts.usage_reports = usage?;
    learn_records(&mut facts, records)?;
    deregistered::of_grants(aws, case, &mut facts).await?;
    Ok(facts)
}

/// Describes the images that the request is about, and the sources of copies if a rule depends on them.
async fn read_named(aws: &Aws, store: Option<&RecordStore>, case: &Case<'_>) -> Reading<Facts> {
    let first = read_plan::first(case);
    let records = read_records(aws, store, &first.records).await;
    let mut facts = read_images(aws, case, &first, &records).await?;
    learn_records(&mut facts, records)?;
    let sources = read_plan::sources_of_copies(case, &facts.images);
    read_sources(aws, case.account, &sources, &mut facts.images).await?;
    read_waiting_beside(aws, store, case, &mut facts).await?;
    Ok(facts)
}

/// Describes the images. A deregistered image is described by its records.
async fn read_images(aws: &Aws, case: &Case<'_>, first: &FirstReads<'_>, records: &Read) -> Reading<Facts> {
    let mut facts = match first.images {
        Described::Named(image_ids) => Facts { images: aws.describe_images(image_ids).await?, ..Facts::default() },
        Described::Owned { name, page, size } => of_page(aws.page_of_images(name, page, size).await?),
        Described::SharedWith { account, page } => of_page(aws.images_shared_with(account, page).await?),
    };
    deregistered::of_records(aws, case.account, first, records, &mut facts).await?;
    Ok(facts)
}

/// What EC2 says on a page; nothing if it doesn't know the page.
fn of_page(page: Option<Page>) -> Facts {
    let is_page_unknown = page.is_none();
    let (images, next_page) = page.unwrap_or_default();
    Facts { images, next_page, is_page_unknown, ..Facts::default() }
}

async fn blocks_public_images(aws: &Aws, need: Need) -> Reading<Fact<bool>> {
    if !need.is_read() {
        return Ok(Fact::NotRead);
    }
    need.settle(aws.blocks_public_images().await.map_err(Failure::from))
}

/// Reads the launch permissions of the images, the snapshots behind them and what depends on those.
async fn read_further(
    aws: &Aws,
    case: &Case<'_>,
    judgements: &Judgements<'_>,
    plan: &ReadPlan,
    facts: &mut Facts,
    keys: BTreeMap<KeyArn, BTreeSet<String>>,
) -> Reading<()> {
    let mut grants = keys::read_grants_ahead(aws, plan, &keys);
    let behind = read_behind(aws, case, plan, facts, keys.into_keys().collect());
    let (permissions, behind) = grants.beside(future::join(read_launch_permissions(aws, plan), behind)).await;
    for (id, permissions) in permissions? {
        if let Some(image) = facts.images.get_mut(&id) {
            image.launch_permissions = permissions;
        }
    }
    let Behind { snapshots, keys, grant_scans, neighbours } = behind?;
    for (id, reads) in plan.images.iter().filter(|(_, reads)| reads.snapshots.is_read()) {
        let Some(image) = facts.images.get_mut(id) else { continue };
        for backing in &mut image.snapshots {
            backing.snapshot = match &snapshots {
                Ok(snapshots) => listed(reads.each_snapshot, &backing.id, snapshots.get(&backing.id))?,
                Err(failure) => Fact::Failed(failure.clone()),
            };
        }
    }
    (facts.keys, facts.grant_scans, facts.neighbours) = (keys, grant_scans, neighbours);
    keys::read_grants_of_grantees(aws, case, judgements, plan, facts, grants).await
}

type LaunchPermissions = Fact<Vec<LaunchPermission>>;

async fn read_launch_permissions(aws: &Aws, plan: &ReadPlan) -> Reading<Vec<(ImageId, LaunchPermissions)>> {
    let need = |id: &ImageId| plan.images.get(id).map(|reads| reads.launch_permissions).unwrap_or_default();
    let wanted: Vec<_> = plan.images.keys().filter(|id| need(id).is_read()).cloned().collect();
    let read = concurrently(wanted, async |id| aws.launch_permissions(id).await).await;
    let facts = read.into_iter().map(|(id, read)| {
        let fact = need(&id).settle(read.map_err(Failure::from))?;
        Ok((id, fact))
    });
    facts.collect()
}

/// What EC2's list says about a snapshot that an image names.
fn listed(need: Need, id: &SnapshotId, snapshot: Option<&Snapshot>) -> Reading<Fact<Snapshot>> {
    match snapshot {
        Some(snapshot) => Ok(Fact::Known(snapshot.clone())),
        None if !need.is_read() => Ok(Fact::NotRead),
        None => {
            let message = format!(
                "EC2 does not describe {id}, a snapshot of the image, so its key and who may copy it are not known"
            );
            need.settle(Err(left_out("ec2:DescribeSnapshots", id, message)))
        }
    }
}
