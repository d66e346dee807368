//! Owns [`Stopped`]: why nothing is asked or decided, such as that the record that was named is nobody's; and how that is
//! reported.

use std::collections::BTreeMap;

use sharing::{
    attempt::Attempt,
    facts::Failure,
    outcome::{Announcement, Outcome, Refusal},
    records::{Record, RecordName, Recorded},
    report::{failed, refused},
};

use crate::{
    deployment::{Deployment, Run},
    records::RecordStore,
};

/// Reads the record of this name, if there is one.
pub(super) async fn read_named(
    deployment: &Deployment,
    store: &RecordStore,
    run: &Run<'_>,
    name: &RecordName,
) -> Result<Option<Record>, Stopped> {
    match store.read(&deployment.aws.until(run.deadline), name).await {
        Ok(Recorded::Record(record)) => Ok(Some(record)),
        Ok(Recorded::Nothing) => Ok(None),
        Ok(Recorded::Nobodys { why }) => {
            let failure = store.taken(name, &why).failure;
            Err(Stopped::Taken(name.clone(), why, failure))
        }
        Err(error) => Err(Stopped::Failed(error.failure)),
    }
}

/// Why nothing is asked or decided.
pub(super) enum Stopped {
    Refused(Box<Refusal>),
    Failed(Failure),
    /// A schedule that is nobody's record has the name: why it is none, and the failure that is reported.
    Taken(RecordName, String, Failure),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl Stopped {
    /// How the request went.
    pub(super) fn attempt(&self) -> Attempt {
        match self {
            Self::Refused(refusal) => Attempt::refused(vec![(**refusal).clone()]),
            Self::Failed(error) | Self::Taken(_, _, error) => Attempt::failed(error.clone()),
        }
    }

    /// The outcome for somebody who asked or decided.
    pub(super) fn reported(self, outcome: Outcome) -> Outcome {
        match self {
            Self::Refused(refusal) => refused(outcome, vec![*refusal]),
            Self::Failed(error) => failed(outcome, error),
            Self::Taken(name, why, error) => {
                Outcome { nobodys_records: BTreeMap::from([(name, why)]), ..failed(outcome, error) }
            }
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
            Self::Refused(_) => outcome,
        }
    }
}
