//! Owns reading the snapshots behind images, and what depends on them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future;
use sharing::{
    decide::Case,
    domain::{ImageId, KeyArn, SnapshotId},
    facts::{CreateVolumePermissions, Fact, Facts, Failure, GrantScan, Image, Key, Reading, Snapshot},
    read_plan::{Need, ReadPlan},
};

use super::{
    answers::concurrently,
    keys::read_keys,
    neighbours::{NeededBy, ReadBehind, read_neighbours},
};
use crate::aws::Aws;

/// The snapshots behind images, and what depends on them.
pub(super) struct Behind {
    pub(super) snapshots: Reading<BTreeMap<SnapshotId, Snapshot>>,
    pub(super) keys: BTreeMap<KeyArn, Key>,
    pub(super) grant_scans: BTreeMap<KeyArn, GrantScan>,
    pub(super) neighbours: BTreeMap<ImageId, Image>,
}

impl Behind {
    fn only(snapshots: Reading<BTreeMap<SnapshotId, Snapshot>>) -> Self {
        let (keys, grant_scans, neighbours) = Default::default();
        Self { snapshots, keys, grant_scans, neighbours }
    }
}

/// Reads the snapshots of the images, and what the plan asks for about them. The keys that they are probably on are read at
/// the same time; that counts only if they are on exactly these.
pub(super) async fn read_behind(
    aws: &Aws,
    case: &Case<'_>,
    plan: &ReadPlan,
    facts: &Facts,
    likely: BTreeSet<KeyArn>,
) -> Reading<Behind> {
    let images: Vec<_> = images_read_behind(plan, facts).collect();
    let need = images.iter().map(|(_, reads, _)| reads.snapshots).max().unwrap_or_default();
    let wanted: BTreeSet<_> = images.iter().flat_map(|(_, _, image)| backing_ids(image)).collect();
    let wanted: Vec<_> = wanted.into_iter().cloned().collect();
    let remembered = images.iter().flat_map(|(_, _, image)| image.remembered_keys.iter().cloned());
    let remembered: Vec<_> = remembered.collect();
    if wanted.is_empty() && remembered.is_empty() {
        return Ok(Behind::only(Ok(BTreeMap::new())));
    }
    let others =
        async { if plan.needed_by.is_read() { Some(aws.describe_own_images_on(&wanted).await) } else { None } };
    let (snapshots, others, of_likely) = future::join3(
        aws.describe_snapshots(&wanted),
        others,
        read_keys(aws, case, &plan.keys, likely.iter().cloned().collect()),
    )
    .await;
    let mut snapshots = match need.settle(snapshots.map_err(Failure::from))? {
        Fact::Known(snapshots) => snapshots,
        Fact::Failed(failure) => return Ok(Behind::only(Err(failure))),
        Fact::NotRead => BTreeMap::new(),
    };
    let keys: BTreeSet<KeyArn> =
        snapshots.values().filter_map(|snapshot| snapshot.key.clone()).chain(remembered).collect();
    let mut neighbours = BTreeMap::new();
    let (permissions, keys, needed_by) = future::join3(
        read_create_volume_permissions(aws, case, &images, &snapshots),
        async {
            // Without any keys there is nothing to read, expected or not.
            if keys == likely { of_likely } else { read_keys(aws, case, &plan.keys, keys.into_iter().collect()).await }
        },
        read_neighbours(aws, case, &images, others, &mut neighbours),
    )
    .await;
    for (id, permissions) in permissions? {
        if let Some(snapshot) = snapshots.get_mut(&id) {
            snapshot.create_volume_permissions = permissions;
        }
    }
    let needed_by = match needed_by {
        Some(needed_by) => plan.needed_by.settle(needed_by)?,
        None => Fact::NotRead,
    };
    learn_neighbours(&mut snapshots, &needed_by);
    let (keys, grant_scans) = keys?;
    Ok(Behind { snapshots: Ok(snapshots), keys, grant_scans, neighbours })
}

/// Lets the snapshots know which other images need them.
fn learn_neighbours(snapshots: &mut BTreeMap<SnapshotId, Snapshot>, needed_by: &Fact<NeededBy>) {
    for snapshot in snapshots.values_mut() {
        snapshot.needed_by = match needed_by {
            Fact::NotRead => Fact::NotRead,
            Fact::Failed(failure) => Fact::Failed(failure.clone()),
            Fact::Known(all) => Fact::Known(all.get(&snapshot.id).cloned().unwrap_or_default()),
        };
    }
}

/// The images whose snapshots are read.
fn images_read_behind<'a>(plan: &'a ReadPlan, facts: &'a Facts) -> impl Iterator<Item = ReadBehind<'a>> {
    let read = plan.images.iter().filter(|(_, reads)| reads.snapshots.is_read());
    read.filter_map(|(id, reads)| Some((id, reads, facts.images.get(id)?)))
}

fn backing_ids(image: &Image) -> impl Iterator<Item = &SnapshotId> {
    image.snapshots.iter().map(|backing| &backing.id)
}

type Permissions = Vec<(SnapshotId, Fact<CreateVolumePermissions>)>;

/// Reads who may create volumes from the snapshots. EC2 returns this only to their owner.
async fn read_create_volume_permissions(
    aws: &Aws,
    case: &Case<'_>,
    images: &[ReadBehind<'_>],
    snapshots: &BTreeMap<SnapshotId, Snapshot>,
) -> Reading<Permissions> {
    let need = |id: &SnapshotId| -> Need {
        let of_snapshot = images.iter().filter(|(_, _, image)| backing_ids(image).any(|backing| backing == id));
        of_snapshot.map(|(_, reads, _)| reads.create_volume_permissions).max().unwrap_or_default()
    };
    let owned = snapshots.values().filter(|snapshot| snapshot.owner == case.account);
    let wanted: Vec<_> = owned.map(|snapshot| (snapshot.id.clone(), need(&snapshot.id))).collect();
    let wanted = wanted.into_iter().filter(|(_, need)| need.is_read()).collect();
    let read = concurrently(wanted, async |(id, _)| aws.create_volume_permissions(id).await).await;
    let facts = read.into_iter().map(|((id, need), read)| Ok((id, need.settle(read.map_err(Failure::from))?)));
    facts.collect()
}
