//! Owns reading the records of shares.

use std::collections::BTreeMap;

use sharing::{
    decide::{SecondLook, Seen},
    domain::{ExpiryName, ImageId},
    facts::{Expiry, Facts, Failure, Reading, Recorded},
    read_plan::{Need, RecordReads},
};

use super::answers::concurrently;
use crate::aws::{Aws, Schedules};

/// The records that were read of each image, and what follows where they could not be.
pub(super) type Read = BTreeMap<ImageId, (Need, Reading<Records>)>;

/// The records of an image's shares.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    /// Those that are ours.
    pub(super) expiries: BTreeMap<ExpiryName, Expiry>,
    /// Those that are nobody's, with what is wrong.
    nobodys: BTreeMap<ExpiryName, String>,
}

impl Records {
    fn insert(&mut self, name: ExpiryName, recorded: Recorded) {
        match recorded {
            Recorded::Nothing => {}
            Recorded::Expiry(expiry) => drop(self.expiries.insert(name, expiry)),
            Recorded::Nobodys { why } => drop(self.nobodys.insert(name, why)),
        }
    }
}

/// Reads these records. Where nothing can be recorded there are none.
pub(super) async fn read_records(
    aws: &Aws,
    schedules: Option<&Schedules>,
    wanted: &BTreeMap<ImageId, RecordReads>,
) -> Read {
    let read = concurrently(wanted.keys().collect(), async |id| match (schedules, wanted.get(*id)) {
        (Some(schedules), Some(reads)) => read_of_image(aws, schedules, reads).await,
        (None, _) | (_, None) => Ok(Records::default()),
    });
    let need = |id: &ImageId| wanted.get(id).map(|reads| reads.need).unwrap_or_default();
    read.await.into_iter().map(|(id, read)| (id.clone(), (need(id), read))).collect()
}

/// Adds what the records say to the facts; fails where nothing may be decided without them.
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

async fn read_of_image(aws: &Aws, schedules: &Schedules, reads: &RecordReads) -> Reading<Records> {
    let names = aws.expiry_names(schedules, Some(&reads.prefix)).await?;
    let read = concurrently(reads.lists(names), async |names| read_latest(aws, schedules, names).await).await;
    let mut records = Records::default();
    for (_, read) in read {
        for (name, recorded) in read? {
            records.insert(name, recorded);
        }
    }
    Ok(records)
}

/// Reads these names until one is a record.
async fn read_latest(aws: &Aws, schedules: &Schedules, names: &[ExpiryName]) -> Reading<Vec<(ExpiryName, Recorded)>> {
    let mut read = Vec::new();
    for name in names {
        let recorded = aws.expiry(schedules, name).await?;
        let is_found = matches!(recorded, Recorded::Expiry(_));
        read.push((name.clone(), recorded));
        if is_found {
            break;
        }
    }
    Ok(read)
}

/// Looks again, after launch permissions were added, whether shares still have a record: the one they had, or any other.
pub async fn look_again(
    aws: &Aws,
    schedules: Option<&Schedules>,
    looks: Vec<SecondLook>,
) -> BTreeMap<SecondLook, Seen> {
    concurrently(looks, async |SecondLook { image_id, target, record }| {
        let Some(schedules) = schedules else { return Ok(false) };
        if let Recorded::Expiry(_) = aws.expiry(schedules, record).await.map_err(Failure::from)? {
            return Ok(true);
        }
        let prefix = ExpiryName::pair_prefix(image_id, target);
        let mut names = aws.expiry_names(schedules, Some(&prefix)).await.map_err(Failure::from)?;
        names.retain(|name| name != record);
        names.reverse();
        let read = read_latest(aws, schedules, &names).await?;
        Ok(read.iter().any(|(_, recorded)| matches!(recorded, Recorded::Expiry(_))))
    })
    .await
}
