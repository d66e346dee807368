//! Owns reading the images that a request names by `copyFrom`: they themselves in their Region, the images of this Region
//! that are made from them, and the records of shares that wait for copies.

use std::collections::BTreeMap;

use futures_util::future;
use sharing::{
    decide::{self, Case},
    domain::{ImageId, KeyArn, SnapshotId},
    facts::{Copies, CopyRecord, Fact, Facts, Failure, Image, KeyMetadata, Reading, Snapshot},
    read_plan::{self, CopyReads, Need, WaitingReads},
    records::{Record, RecordName, Recorded},
};

use super::answers::{concurrently, left_out};
use crate::{aws::Aws, records::RecordStore};

/// Reads the images that the request names by `copyFrom`, and which images of this Region it is about.
pub(super) async fn read_copies(
    aws: &Aws,
    store: Option<&RecordStore>,
    case: &Case<'_>,
    reads: CopyReads<'_>,
) -> Reading<Facts> {
    let mut facts = Facts { copies: read_first(aws, case, reads).await?, ..Facts::default() };
    let snapshot_ids = read_plan::snapshots_of_copies(case, &facts);
    let waiting = read_plan::waiting(case, &facts);
    let (snapshots, waiting) =
        future::join(read_snapshots(aws, &snapshot_ids), read_waiting(aws, store, waiting)).await;
    learn_snapshots(&mut facts, &snapshots?);
    for (source_id, (read, nobodys)) in waiting {
        facts.nobodys_records.extend(nobodys);
        if let Some(copies) = facts.copies.get_mut(&source_id) {
            copies.waiting = reads.waiting.settle(read)?;
        }
    }
    let source_keys = read_source_keys(&region(aws, case, reads), case, &facts).await?;
    for (source_id, keys) in source_keys {
        if let Some(copies) = facts.copies.get_mut(&source_id) {
            copies.source_keys = keys;
        }
    }
    facts.images = decide::as_facts(decide::images_meant(case, &facts));
    Ok(facts)
}

/// The clients for the Region of the images.
fn region(aws: &Aws, case: &Case<'_>, CopyReads { region, .. }: CopyReads<'_>) -> Aws {
    if region.to_string() == case.region { aws.clone() } else { aws.in_region(region) }
}

async fn read_first(aws: &Aws, case: &Case<'_>, reads: CopyReads<'_>) -> Reading<BTreeMap<ImageId, Copies>> {
    let CopyReads { region: from, source_ids, source: need, waiting: _ } = reads;
    let there = region(aws, case, reads);
    let (sources, made) = future::join(
        async { if need.is_read() { Some(there.describe_images(source_ids).await) } else { None } },
        aws.images_made_from(from, source_ids),
    )
    .await;
    let sources = match sources {
        Some(read) => need.settle(read.map_err(Failure::from))?,
        None => Fact::NotRead,
    };
    let mut copies: BTreeMap<ImageId, Copies> = BTreeMap::new();
    for source_id in source_ids {
        let source = match &sources {
            Fact::Known(described) => Fact::Known(described.get(source_id).cloned()),
            Fact::Failed(failure) => Fact::Failed(failure.clone()),
            Fact::NotRead => Fact::NotRead,
        };
        copies.insert(source_id.clone(), Copies { source, ..Copies::default() });
    }
    for (id, image) in made? {
        // An image that CreateImage made from an instance names the image of the instance, and is no copy of it.
        let source = image.provenance.source().filter(|source| source.region == *from).map(|source| source.id.clone());
        if let Some(copies) = source.and_then(|source_id| copies.get_mut(&source_id)) {
            copies.images.insert(id, image);
        }
    }
    copies.values_mut().for_each(|copies| copies.learn_source(case.account));
    Ok(copies)
}

async fn read_snapshots(aws: &Aws, ids: &[SnapshotId]) -> Reading<BTreeMap<SnapshotId, Snapshot>> {
    if ids.is_empty() { Ok(BTreeMap::new()) } else { Ok(aws.describe_snapshots(ids).await?) }
}

/// Adds the keys of the snapshots to the images. A snapshot that EC2 does not list has no key.
fn learn_snapshots(facts: &mut Facts, snapshots: &BTreeMap<SnapshotId, Snapshot>) {
    for image in facts.copies.values_mut().flat_map(|copies| copies.images.values_mut()) {
        for backing in &mut image.snapshots {
            if let Some(snapshot) = snapshots.get(&backing.id) {
                backing.snapshot = Fact::Known(snapshot.clone());
            }
        }
    }
}

/// The kinds of the keys of the images that must be copied.
async fn read_source_keys(
    there: &Aws,
    case: &Case<'_>,
    facts: &Facts,
) -> Reading<BTreeMap<ImageId, BTreeMap<KeyArn, Fact<KeyMetadata>>>> {
    let sources = read_plan::to_be_copied(case, facts);
    let ids_of = |image: &Image| image.snapshots.iter().map(|backing| backing.id.clone()).collect::<Vec<_>>();
    let mut ids: Vec<_> = sources.iter().flat_map(|(_, image)| ids_of(image)).collect();
    ids.sort_unstable();
    ids.dedup();
    let snapshots = read_snapshots(there, &ids).await?;
    if let Some(id) = ids.iter().find(|id| !snapshots.contains_key(id)) {
        let message = format!("EC2 reports nothing about {id}, a snapshot of the image that is to be copied");
        return Err(left_out("ec2:DescribeSnapshots", id, message));
    }
    let mut keys: Vec<_> = snapshots.values().filter_map(|snapshot| snapshot.key.clone()).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut described = BTreeMap::new();
    for (key, read) in concurrently(keys, async |key| there.describe_key(key).await).await {
        described.insert(key, Need::Settled.settle(read.map_err(Failure::from))?);
    }
    let keys_of = |image: &Image| {
        let keys = ids_of(image).into_iter().filter_map(|id| snapshots.get(&id)?.key.clone());
        keys.filter_map(|key| Some((key.clone(), described.get(&key)?.clone()))).collect()
    };
    Ok(sources.into_iter().map(|(id, image)| (id.clone(), keys_of(image))).collect())
}

/// The records of shares that wait, and the schedules that are nobody's record, with what is wrong.
type Waiting = (Reading<Vec<CopyRecord>>, BTreeMap<RecordName, String>);

/// Reads the records of shares that wait for copies. A deployment without a record store has none.
async fn read_waiting(
    aws: &Aws,
    store: Option<&RecordStore>,
    wanted: BTreeMap<ImageId, WaitingReads>,
) -> BTreeMap<ImageId, Waiting> {
    let Some(store) = store.filter(|store| store.record_key.is_some()) else {
        return wanted.into_keys().map(|id| (id, (Ok(Vec::new()), BTreeMap::new()))).collect();
    };
    let read = concurrently(wanted.keys().collect(), async |id| {
        let mut nobodys = BTreeMap::new();
        let records = match wanted.get(*id) {
            Some(reads) => read_records(aws, store, reads, &mut nobodys).await,
            None => Ok(Vec::new()),
        };
        (records, nobodys)
    });
    read.await.into_iter().map(|(id, waiting)| (id.clone(), waiting)).collect()
}

async fn read_records(
    aws: &Aws,
    store: &RecordStore,
    reads: &WaitingReads,
    nobodys: &mut BTreeMap<RecordName, String>,
) -> Reading<Vec<CopyRecord>> {
    let names = match reads {
        WaitingReads::This(name) => vec![RecordName::Copy(name.clone())],
        WaitingReads::All(prefix) => store.names(aws, Some(prefix)).await?,
    };
    let mut records = Vec::new();
    for (name, read) in concurrently(names, async |name| store.read(aws, name).await).await {
        match read? {
            Recorded::Record(Record::Copy(record)) => records.push(*record),
            Recorded::Nobodys { why } => drop(nobodys.insert(name, why)),
            Recorded::Record(Record::Expiry(_) | Record::Ask(_) | Record::Decision(_)) | Recorded::Nothing => {}
        }
    }
    Ok(records)
}

/// Reads the records of shares that wait for copies of the same images as these copies, as far as the action needs them.
pub(super) async fn read_waiting_beside(
    aws: &Aws,
    store: Option<&RecordStore>,
    case: &Case<'_>,
    facts: &mut Facts,
) -> Reading<()> {
    let wanted = read_plan::waiting_beside(case, &facts.images);
    for (id, (read, nobodys)) in read_waiting(aws, store, wanted).await {
        facts.nobodys_records.extend(nobodys);
        let Some(image) = facts.images.get_mut(&id) else { continue };
        let region = image.provenance.source().map(|source| source.region.clone());
        let of_region = |records: Vec<CopyRecord>| {
            records.into_iter().filter(|record| region.as_ref().is_some_and(|region| record.is_from(region))).collect()
        };
        image.waiting = Need::Optional.settle(read.map(of_region))?;
    }
    Ok(())
}
