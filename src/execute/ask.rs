//! Owns recording a share that waits for approval, and the reasons why its record can't be written, read or decided.

use std::collections::BTreeMap;

use sharing::{
    decide,
    facts::Failure,
    outcome::{Announcement, Outcome, Refusal, Status},
    plan::Step,
    records::{Ask, Record, RecordName, Recorded},
    report::failed,
};

use crate::{
    aws::CallError,
    deployment::{Deployment, Run},
};

/// The record under which a share waits, which may already exist, and the steps that create it.
pub(super) async fn written_down(
    deployment: &Deployment,
    run: &Run<'_>,
    ask: Ask,
) -> Result<(Ask, Vec<Step>), Stopped> {
    let store = deployment.record_store().ok_or(Stopped::Nothing)?;
    let named = RecordName::Ask(ask.name.clone());
    let create = Step::CreateApproval(Box::new(Record::Ask(Box::new(ask.clone()))));
    match store.read(&deployment.aws.until(run.deadline), &named).await {
        Ok(Recorded::Record(Record::Ask(there))) if !there.is_lapsed(run.now) => Ok((*there, Vec::new())),
        Ok(Recorded::Record(_)) => Ok((ask, vec![Step::DeleteApproval(named), create])),
        Ok(Recorded::Nothing) => Ok((ask, vec![create])),
        Ok(Recorded::Nobodys { why }) => Err(Stopped::Taken(store.taken(&named, &why).failure, named, why)),
        Err(error) => Err(Stopped::Failed(error.failure)),
    }
}

/// Why nothing is decided.
pub(super) enum Stopped {
    Refused(Box<Refusal>),
    /// A schedule of somebody else has this name.
    Taken(Failure, RecordName, String),
    Nobodys(RecordName, String),
    Failed(Failure),
    Nothing,
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<(RecordName, Result<Recorded, CallError>)> for Stopped {
    fn from((name, read): (RecordName, Result<Recorded, CallError>)) -> Self {
        match read {
            Ok(Recorded::Nothing | Recorded::Record(_)) => Self::Nothing,
            Ok(Recorded::Nobodys { why }) => Self::Nobodys(name, why),
            Err(error) => Self::Failed(error.failure),
        }
    }
}

impl Stopped {
    /// The outcome for a caller.
    pub(super) fn told(self, outcome: Outcome) -> Outcome {
        let id = |name: &RecordName| name.as_str().split_once('-').map_or(String::new(), |(_, id)| id.to_owned());
        match self {
            Self::Refused(refusal) => refused(outcome, *refusal),
            Self::Failed(error) => failed(outcome, error),
            Self::Taken(error, name, why) => {
                Outcome { nobodys_records: BTreeMap::from([(name, why)]), ..failed(outcome, error) }
            }
            Self::Nobodys(name, why) => {
                let outcome = refused(outcome, decide::approval_not_found(&id(&name)));
                Outcome { nobodys_records: BTreeMap::from([(name, why)]), ..outcome }
            }
            Self::Nothing => refused(outcome, decide::approval_not_found("")),
        }
    }

    /// The outcome of a hint.
    pub(super) fn hinted(self, outcome: Outcome) -> Outcome {
        match self {
            Self::Nobodys(name, why) => {
                let warnings = vec![format!("{name} is nobody's record ({why}); nothing is done because of it")];
                Outcome { warnings, nobodys_records: BTreeMap::from([(name, why)]), ..outcome }
            }
            Self::Failed(error) => Outcome { announcement: Announcement::Never, ..failed(outcome, error) },
            Self::Refused(_) | Self::Taken(..) | Self::Nothing => outcome,
        }
    }
}

/// The outcome with this refusal alone.
pub(super) fn refused(outcome: Outcome, refusal: Refusal) -> Outcome {
    Outcome { result: Status::Refused, refusals: vec![refusal], ..outcome }
}
