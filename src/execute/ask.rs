//! Owns writing down a share that waits for approval.

use sharing::{
    decide::{self, Case},
    outcome::Outcome,
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
    match desk.read_ask(&ask.name).await? {
        Some(there) if !there.is_lapsed(run.now) => Ok(WrittenDown { ask: there, step: None, lapsed: None }),
        Some(there) if !case.request.dry_run => {
            let lapsed = Some(desk.make_way(&there).await?);
            Ok(WrittenDown { ask, step, lapsed })
        }
        Some(_) | None => Ok(WrittenDown { ask, step, lapsed: None }),
    }
}

impl Desk<'_> {
    /// Gives up an ask that has lapsed, so that the same share can be asked for again.
    async fn make_way(&self, ask: &Ask) -> Result<Outcome, Stopped> {
        let busy = |what: &str| {
            let name = ask.name.decision();
            Stopped::Failed(CallError::passing("scheduler:CreateSchedule", name.as_str(), what).failure)
        };
        match self.give_up(ask).await {
            Ok(ended) => ended.map_err(|error| busy(&error.message)),
            Err(Stopped::Refused(_)) => Err(busy("what was decided about the same share is being carried out")),
            Err(stopped) => Err(stopped),
        }
    }
}
