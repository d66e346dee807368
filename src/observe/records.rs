//! Owns reading the records of shares.

use std::collections::BTreeMap;

use futures_util::future;
use sharing::{
    decide::{SecondLook, Seen},
    domain::{ExpiryName, ImageId},
    facts::{Expiry, Facts, Reading},
    read_plan::{Need, RecordReads},
    records::{Record, RecordName, Recorded},
};

use super::answers::concurrently;
use crate::{aws::Aws, records::RecordStore};

/// The records of each image, and what happens if they could not be read.
pub(super) type Read = BTreeMap<ImageId, (Need, Reading<Records>)>;

/// The records of an image's shares.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    /// The valid records.
    pub(super) expiries: BTreeMap<ExpiryName, Expiry>,
    /// The schedules that are nobody's record, with what is wrong.
    nobodys: BTreeMap<RecordName, String>,
}

impl Records {
    fn insert(&mut self, name: ExpiryName, recorded: Recorded) {
        match recorded {
            Recorded::Nothing | Recorded::Record(Record::Copy(_) | Record::Ask(_) | Record::Decision(_)) => {}
            Recorded::Record(Record::Expiry(expiry)) => drop(self.expiries.insert(name, expiry)),
            Recorded::Nobodys { why } => drop(self.nobodys.insert(RecordName::Expiry(name), why)),
        }
    }
}

/// Reads these records. A deployment without a record store has none.
pub(super) async fn read_records(
    aws: &Aws,
    store: Option<&RecordStore>,
    wanted: &BTreeMap<ImageId, RecordReads>,
) -> Read {
    let read = concurrently(wanted.keys().collect(), async |id| match (store, wanted.get(*id)) {
        (Some(store), Some(reads)) => read_of_image(aws, store, reads).await,
        (None, _) | (_, None) => Ok(Records::default()),
    });
    let need = |id: &ImageId| wanted.get(id).map(|reads| reads.need).unwrap_or_default();
    read.await.into_iter().map(|(id, read)| (id.clone(), (need(id), read))).collect()
}

/// Adds the records to the facts. Fails if the decision requires them and they could not be read.
pub(super) fn learn_records(facts: &mut Facts, read: Read) -> Reading<()> {
    for (id, (need, read)) in read {
        let Some(image) = facts.images.get_mut(&id) else { continue };
        image.expiries = need.settle(read.map(|Records { expiries, nobodys }| {
            facts.nobodys_records.extend(nobodys);
            expiries
        }))?;
    }
    Ok(())
}

async fn read_of_image(aws: &Aws, store: &RecordStore, reads: &RecordReads) -> Reading<Records> {
    let names = expiry_names(aws, store, &reads.prefix).await?;
    let read = concurrently(reads.lists(names), async |names| read_latest(aws, store, names).await).await;
    let mut records = Records::default();
    for (_, read) in read {
        for (name, recorded) in read? {
            records.insert(name, recorded);
        }
    }
    Ok(records)
}

/// The names of the expiries' records that begin with `prefix`.
async fn expiry_names(aws: &Aws, store: &RecordStore, prefix: &str) -> Reading<Vec<ExpiryName>> {
    let names = store.names(aws, Some(prefix)).await?;
    let expiry = |name| match name {
        RecordName::Expiry(name) => Some(name),
        RecordName::Copy(_) | RecordName::Ask(_) | RecordName::Decision(_) => None,
    };
    Ok(names.into_iter().filter_map(expiry).collect())
}

async fn read_record(aws: &Aws, store: &RecordStore, name: &ExpiryName) -> Reading<Recorded> {
    Ok(store.read(aws, &RecordName::Expiry(name.clone())).await?)
}

/// Reads these records, the latest first, until one is valid.
async fn read_latest(aws: &Aws, store: &RecordStore, names: &[ExpiryName]) -> Reading<Vec<(ExpiryName, Recorded)>> {
    let mut read = Vec::new();
    for name in names {
        let recorded = read_record(aws, store, name).await?;
        let is_found = matches!(recorded, Recorded::Record(_));
        read.push((name.clone(), recorded));
        if is_found {
            break;
        }
    }
    Ok(read)
}

/// After the writes of a share: reads whether each share still has a record: of its expiry the one it had or any other, and
/// if it had waited for a copy, that one.
pub async fn look_again(aws: &Aws, store: Option<&RecordStore>, looks: Vec<SecondLook>) -> BTreeMap<SecondLook, Seen> {
    // Several targets have waited by one record.
    let mut waited: Vec<_> = looks.iter().map(|look| look.record.clone()).filter(is_of_copy).collect();
    waited.sort_unstable();
    waited.dedup();
    let (of_copies, of_expiries): (Vec<_>, Vec<_>) = looks.into_iter().partition(|look| is_of_copy(&look.record));
    let (waited, mut seen) = future::join(
        concurrently(waited, async |record| match store {
            Some(store) => Ok(matches!(store.read(aws, record).await?, Recorded::Record(_))),
            None => Ok(false),
        }),
        concurrently(of_expiries, async |look| look_at_expiry(aws, store, look).await),
    )
    .await;
    seen.extend(of_copies.into_iter().filter_map(|look| {
        let seen: &Seen = waited.get(&look.record)?;
        Some((look, seen.clone()))
    }));
    seen
}

fn is_of_copy(record: &RecordName) -> bool {
    matches!(record, RecordName::Copy(_))
}

async fn look_at_expiry(aws: &Aws, store: Option<&RecordStore>, look: &SecondLook) -> Seen {
    let SecondLook { image_id, target, record } = look;
    let Some(store) = store else { return Ok(false) };
    if let Recorded::Record(_) = store.read(aws, record).await? {
        return Ok(true);
    }
    let prefix = ExpiryName::pair_prefix(image_id, target);
    let mut names = expiry_names(aws, store, &prefix).await?;
    names.retain(|name| name.as_str() != record.as_str());
    names.reverse();
    let read = read_latest(aws, store, &names).await?;
    Ok(read.iter().any(|(_, recorded)| matches!(recorded, Recorded::Record(_))))
}
