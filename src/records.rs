//! Owns [`RecordStore`], which creates, reads, lists and deletes records. `sharing::records` defines what a record
//! says.
//!
//! A record is created and deleted, but never updated. Scheduler doesn't delete it after it has fired, so a missed
//! expiry can still be found.

use sharing::{
    domain::KeyArn,
    records::{ApprovalDecision, Record, RecordName, Recorded},
};
use time::OffsetDateTime;

use crate::aws::{Aws, CallError};

/// The schedule group of the records, and the settings for their hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordStore {
    /// The schedule group, which holds nothing but records.
    pub group: String,
    /// The role with which Scheduler puts events on the bus.
    pub role_arn: String,
    /// The ARN of the bus for requests.
    pub bus_arn: String,
    /// The ARN of the queue for the hints that Scheduler can't deliver, if there is one.
    pub dead_letter_arn: Option<String>,
    /// The HMAC key of records that give a right, if there is one.
    pub record_key: Option<KeyArn>,
}

impl RecordStore {
    /// The names of the records that begin with `prefix`, sorted.
    pub async fn names(&self, aws: &Aws, prefix: Option<&str>) -> Result<Vec<RecordName>, CallError> {
        let names = aws.schedule_names(&self.group, prefix).await?;
        // A schedule with a name of another form is no record.
        let mut names: Vec<RecordName> = names.iter().filter_map(|name| name.parse().ok()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Reads the schedule that has the name of a record.
    pub async fn read(&self, aws: &Aws, name: &RecordName) -> Result<Recorded, CallError> {
        let Some(schedule) = aws.schedule(&self.group, name.as_str()).await? else { return Ok(Recorded::Nothing) };
        match Record::read(name, &schedule, &self.bus_arn) {
            Ok(record) => self.checked(aws, record).await,
            Err(why) => Ok(Recorded::Nobodys { why: why.to_owned() }),
        }
    }

    /// Checks the message authentication code of a record that gives a right. Anyone who may write schedules could have
    /// written the rest.
    async fn checked(&self, aws: &Aws, record: Record) -> Result<Recorded, CallError> {
        let Some(digest) = record.digest() else { return Ok(Recorded::Record(record)) };
        let Some(key) = &self.record_key else {
            return Ok(Recorded::Nobodys { why: "this deployment has no key for its code".to_owned() });
        };
        let is_right = match record.mac() {
            Some(mac) => *mac == aws.generate_mac(key, &digest).await?,
            None => false,
        };
        if is_right {
            return Ok(Recorded::Record(record));
        }
        Ok(Recorded::Nobodys { why: "its message authentication code is missing or wrong".to_owned() })
    }

    /// The record with the message authentication code that it needs.
    async fn sealed(&self, aws: &Aws, record: &Record) -> Result<Record, CallError> {
        let Some(digest) = record.digest() else { return Ok(record.clone()) };
        let Some(key) = &self.record_key else { return Err(CallError::not_set_up("kms:GenerateMac")) };
        Ok(record.clone().with_mac(aws.generate_mac(key, &digest).await?))
    }

    /// Creates a record. If the same record exists already, that is a success: an earlier attempt or another request
    /// created it. A share that waits for a copy already goes on waiting as it began.
    pub async fn create(&self, aws: &Aws, record: &Record, now: OffsetDateTime) -> Result<(), CallError> {
        const CALL: &str = "scheduler:CreateSchedule";
        let name = record.name();
        let record = &self.sealed(aws, record).await?;
        let (schedule, dead_letter_arn) = (record.schedule(&self.bus_arn, now), self.dead_letter_arn.as_deref());
        if aws.create_schedule(&self.group, name.as_str(), &schedule, &self.role_arn, dead_letter_arn).await? {
            return Ok(());
        }
        match self.read(aws, &name).await? {
            Recorded::Record(Record::Copy(_) | Record::Ask(_)) => Ok(()),
            Recorded::Record(Record::Decision(there)) if is_same_decision(&there, record) => Ok(()),
            Recorded::Record(there) if there == *record => Ok(()),
            Recorded::Record(_) => Err(self.taken(&name, "it is another record")),
            Recorded::Nobodys { why } => Err(self.taken(&name, &why)),
            Recorded::Nothing => Err(CallError::passing(CALL, name.as_str(), "the record was deleted meanwhile")),
        }
    }

    /// Deletes a record. A record that does not exist counts as deleted.
    pub async fn delete(&self, aws: &Aws, name: &RecordName) -> Result<(), CallError> {
        aws.delete_schedule(&self.group, name.as_str()).await
    }

    /// The failure if another schedule has the name of this record.
    pub(crate) fn taken(&self, name: &RecordName, why: &str) -> CallError {
        let group = &self.group;
        CallError::unexpected(
            "scheduler:CreateSchedule",
            name.as_str(),
            &format!(
                "another schedule has the name of this record: {why}. Find out who created it, delete it with \
                 `aws scheduler delete-schedule --group-name {group} --name {name}`, and send the request again"
            ),
        )
    }
}

/// Whether the record is the same decision of the same person.
fn is_same_decision(there: &ApprovalDecision, record: &Record) -> bool {
    matches!(record, Record::Decision(decision) if decision.is_same(there))
}
