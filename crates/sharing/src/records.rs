//! Owns records: what outlives an invocation. A record is a schedule whose name and input have its content, and whose
//! events are hints to read it. A record never changes: a new state is a new record.
//!
//! This module has the names and the text of records, and decides which schedules are not records. The function's
//! `RecordStore` creates, reads, lists and deletes them.

mod approval;
mod copy;
mod expiry;
mod mac;

use std::{fmt, str::FromStr};

pub use approval::{ApprovalAnswer, ApprovalDecision, Ask, DecidedAsk};
pub use copy::{CopyRecord, name_of_waiting, waiting_request};
pub use expiry::Expiry;
pub use mac::Mac;
use time::OffsetDateTime;

use crate::domain::{AskName, CopyName, DecisionName, ExpiryName, ParseError};

/// The source of the hints that schedules put on the function's own bus. Only Scheduler may use this source there.
pub const SOURCE: &str = "ami-share.ends";

/// The detail-type of the hints.
pub const DETAIL_TYPE: &str = "AMI Share Record Due";

/// The time zone of every expression.
const TIMEZONE: &str = "UTC";

/// A record. The kinds of records are the variants; each has a name of its own form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// When a share expires.
    Expiry(Expiry),
    /// A share that waits for a copy.
    Copy(Box<CopyRecord>),
    /// A share that waits for approval.
    Ask(Box<Ask>),
    /// What was decided about that.
    Decision(Box<ApprovalDecision>),
}

impl Record {
    /// The name of its schedule.
    pub fn name(&self) -> RecordName {
        match self {
            Self::Expiry(expiry) => RecordName::Expiry(expiry.name.clone()),
            Self::Copy(record) => RecordName::Copy(record.name.clone()),
            Self::Ask(ask) => RecordName::Ask(ask.name.clone()),
            Self::Decision(decision) => RecordName::Decision(decision.name.clone()),
        }
    }

    /// Its schedule, made now. `bus_arn` is the bus for requests.
    pub fn schedule(&self, bus_arn: &str, now: OffsetDateTime) -> Schedule {
        match self {
            Self::Expiry(expiry) => expiry.schedule(bus_arn),
            Self::Copy(record) => record.schedule(bus_arn, now),
            Self::Ask(ask) => ask.schedule(bus_arn),
            Self::Decision(decision) => decision.schedule(bus_arn, now),
        }
    }

    /// The message of its message authentication code, if it gives a right and therefore must have one.
    pub fn digest(&self) -> Option<[u8; 32]> {
        match self {
            Self::Expiry(_) => None,
            Self::Copy(record) => Some(record.digest()),
            Self::Ask(ask) => Some(ask.digest()),
            Self::Decision(decision) => Some(decision.digest()),
        }
    }

    /// Its message authentication code, which is not known to be right.
    pub fn mac(&self) -> Option<&Mac> {
        match self {
            Self::Expiry(_) => None,
            Self::Copy(record) => record.mac.as_ref(),
            Self::Ask(ask) => ask.mac.as_ref(),
            Self::Decision(decision) => decision.mac.as_ref(),
        }
    }

    /// The same record with its message authentication code.
    #[must_use]
    pub fn with_mac(self, mac: Mac) -> Self {
        match self {
            Self::Expiry(_) => self,
            Self::Copy(record) => Self::Copy(Box::new(CopyRecord { mac: Some(mac), ..*record })),
            Self::Ask(ask) => Self::Ask(Box::new(Ask { mac: Some(mac), ..*ask })),
            Self::Decision(decision) => Self::Decision(Box::new(ApprovalDecision { mac: Some(mac), ..*decision })),
        }
    }

    /// Reads the schedule that has the name of a record. If its content does not belong to this name, it is nobody's
    /// record, and the error says what is wrong. Whether its message authentication code is right is not checked here.
    ///
    /// Its role and its dead-letter queue are not compared. A record whose role was replaced sends no hint, but a
    /// repair must still find it.
    pub fn read(name: &RecordName, schedule: &Schedule, bus_arn: &str) -> Result<Self, &'static str> {
        match name {
            RecordName::Expiry(name) => Expiry::read(name, schedule, bus_arn).map(Self::Expiry),
            RecordName::Copy(name) => CopyRecord::read(name, schedule, bus_arn).map(|it| Self::Copy(Box::new(it))),
            RecordName::Ask(name) => Ask::read(name, schedule, bus_arn).map(|it| Self::Ask(Box::new(it))),
            RecordName::Decision(name) => {
                ApprovalDecision::read(name, schedule, bus_arn).map(|it| Self::Decision(Box::new(it)))
            }
        }
    }
}

/// The name of a record. Its form determines the kind of record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordName {
    /// The record of an expiry.
    Expiry(ExpiryName),
    /// The record of a share that waits for a copy.
    Copy(CopyName),
    /// The record of a share that waits for approval.
    Ask(AskName),
    /// The record of what was decided about that.
    Decision(DecisionName),
}

impl RecordName {
    /// The name of the schedule.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Expiry(name) => name.as_str(),
            Self::Copy(name) => name.as_str(),
            Self::Ask(name) => name.as_str(),
            Self::Decision(name) => name.as_str(),
        }
    }
}

impl FromStr for RecordName {
    type Err = ParseError;

    /// A schedule with a name of another form is not a record.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            _ if CopyName::is_meant(text) => text.parse().map(Self::Copy),
            _ if AskName::is_meant(text) => text.parse().map(Self::Ask),
            _ if DecisionName::is_meant(text) => text.parse().map(Self::Decision),
            _ => text.parse().map(Self::Expiry),
        }
    }
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The schedule with the name of a record, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// There is no such schedule.
    Nothing,
    /// A record.
    Record(Record),
    /// A schedule that this function did not write in this form. It is nobody's record: the function does nothing
    /// because of it.
    Nobodys {
        /// What is wrong with it.
        why: String,
    },
}

/// The parts of a schedule that a record depends on. No record has a flexible time window.
///
/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_GetSchedule.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// When it fires, such as `at(2027-01-31T12:00:00)`.
    pub expression: String,
    /// The time zone of the expression; `None` means UTC.
    pub timezone: Option<String>,
    /// Whether it is enabled.
    pub is_enabled: bool,
    /// The time before which it does not fire.
    pub starts_at: Option<OffsetDateTime>,
    /// The time after which it does not fire.
    pub ends_at: Option<OffsetDateTime>,
    /// Whether Scheduler deletes it when it has fired for the last time.
    pub is_deleted_after: bool,
    /// The ARN of its target.
    pub bus_arn: String,
    /// The source of its events.
    pub source: String,
    /// The detail-type of its events.
    pub detail_type: String,
    /// The detail of its events, which is the text of the record.
    pub input: String,
}

impl Schedule {
    /// A schedule that puts hints on the bus.
    fn new(expression: String, input: String, bus_arn: &str) -> Self {
        Self {
            expression,
            timezone: Some(TIMEZONE.to_owned()),
            is_enabled: true,
            starts_at: None,
            ends_at: None,
            is_deleted_after: false,
            bus_arn: bus_arn.to_owned(),
            source: SOURCE.to_owned(),
            detail_type: DETAIL_TYPE.to_owned(),
            input,
        }
    }

    /// Checks that it puts hints on the bus at its time; otherwise says why not.
    fn check(&self, bus_arn: &str) -> Result<(), &'static str> {
        if self.timezone.as_ref().is_some_and(|timezone| timezone != TIMEZONE) {
            return Err("its expression is not in UTC");
        }
        if !self.is_enabled {
            return Err("it is not enabled");
        }
        if self.bus_arn != bus_arn || self.source != SOURCE || self.detail_type != DETAIL_TYPE {
            return Err("its target is not the bus of this function");
        }
        Ok(())
    }
}
