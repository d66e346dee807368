//! Owns [`Stopped`]: why nothing is asked or decided, and how that is reported.

use std::collections::BTreeMap;

use sharing::{
    decide,
    facts::Failure,
    outcome::{Announcement, Outcome, Refusal, Status},
    records::{RecordName, Recorded},
    report::failed,
};

use crate::{aws::CallError, records::RecordStore};

/// Why nothing is asked or decided.
pub(super) enum Stopped {
    Refused(Box<Refusal>),
    Failed(Failure),
    /// A schedule that is nobody's record has the name: why it is none, and the failure that is reported.
    Taken(RecordName, String, Failure),
    /// There is no such record.
    Missing,
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl Stopped {
    /// What stops where this was read under the name, instead of the record that belongs there.
    pub(super) fn by(store: &RecordStore, name: &RecordName, read: Result<Recorded, CallError>) -> Self {
        match read {
            Ok(Recorded::Nothing | Recorded::Record(_)) => Self::Missing,
            Ok(Recorded::Nobodys { why }) => {
                let failure = store.taken(name, &why).failure;
                Self::Taken(name.clone(), why, failure)
            }
            Err(error) => Self::Failed(error.failure),
        }
    }

    /// The outcome for somebody who asked or decided.
    pub(super) fn reported(self, outcome: Outcome) -> Outcome {
        match self {
            Self::Refused(refusal) => refused(outcome, *refusal),
            Self::Failed(error) => failed(outcome, error),
            Self::Taken(name, why, error) => {
                Outcome { nobodys_records: BTreeMap::from([(name, why)]), ..failed(outcome, error) }
            }
            Self::Missing => refused(outcome, decide::approval_not_found("")),
        }
    }

    /// The outcome of a hint.
    pub(super) fn hinted(self, outcome: Outcome) -> Outcome {
        match self {
            Self::Taken(name, why, _) => {
                let warnings = vec![format!("{name} is nobody's record ({why}); nothing is done because of it")];
                Outcome { warnings, nobodys_records: BTreeMap::from([(name, why)]), ..outcome }
            }
            Self::Failed(error) => Outcome { announcement: Announcement::Never, ..failed(outcome, error) },
            Self::Refused(_) | Self::Missing => outcome,
        }
    }
}

/// The outcome with this refusal alone.
pub(super) fn refused(outcome: Outcome, refusal: Refusal) -> Outcome {
    Outcome { result: Status::Refused, refusals: vec![refusal], ..outcome }
}
