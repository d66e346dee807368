//! Owns writing down a share that waits for approval.

use sharing::{
    decide::{self, Case},
    outcome::{Outcome, Status},
    plan::Step,
    records::{Ask, Record},
};

use super::{desk::Desk, stopped::Stopped};
use crate::{
    aws::CallError,
    deployment::{Deployment, Run},
};

/// The ask under which a share waits.
pub(super) struct WrittenDown {
    /// It may be there already.
    pub(super) ask: Ask,
    /// What writes it down.
    pub(super) step: Option<Step>,
    /// The outcome of an earlier ask for the same share, which nobody has answered in time.
    pub(super) lapsed: Option<Outcome>,
}

/// Finds the ask of the same share, or says how to write it down. One that has lapsed makes way.
pub(super) async fn written_down(
    deployment: &Deployment,
    run: &Run<'_>,
    case: &Case<'_>,
    ask: Ask,
) -> Result<WrittenDown, Stopped> {
    let store = deployment.record_store().ok_or_else(|| decide::approvals_not_set_up(case))?;
    let desk = Desk { deployment, store, run };
    let step = Some(Step::CreateApproval(Box::new(Record::Ask(Box::new(ask.clone())))));
    match desk.read_ask(&ask.name).await {
        Ok(there) if !there.is_lapsed(run.now) => Ok(WrittenDown { ask: there, step: None, lapsed: None }),
        Ok(_) if case.request.dry_run => Ok(WrittenDown { ask, step, lapsed: None }),
        Ok(there) => Ok(WrittenDown { ask, step, lapsed: Some(desk.make_way(&there).await?) }),
        Err(Stopped::Missing) => Ok(WrittenDown { ask, step, lapsed: None }),
        Err(stopped) => Err(stopped),
    }
}

impl Desk<'_> {
    /// Gives up an ask that has lapsed.
    async fn make_way(&self, ask: &Ask) -> Result<Outcome, Stopped> {
        let busy = |what: &str| {
            let name = ask.name.decision();
            Stopped::Failed(CallError::passing("scheduler:CreateSchedule", name.as_str(), what).failure)
        };
        let mut outcome = match self.give_up(ask).await {
            Err(Stopped::Refused(_)) => return Err(busy("what was decided about the same share is being carried out")),
            given_up => given_up?,
        };
        match (outcome.result, outcome.errors.pop()) {
            (Status::Refused, _) => Ok(outcome),
            (_, error) => Err(busy(&error.map_or_else(String::new, |error| error.message))),
        }
    }
}
