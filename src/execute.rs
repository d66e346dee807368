//! Owns [`execute`]: it carries out a request, from the request to the outcome. It knows neither triggers nor Lambda.

mod approvals;
mod ask;
mod automation;
mod closing_look;
mod copies;
mod copy_records;
mod desk;
mod further;
mod plan_log;
mod publishing;
mod pursue;
mod second_look;
mod stopped;
mod survey;
mod time_limits;
mod withdrawn;

use std::sync::Arc;

pub(crate) use approvals::{carry_on, lapse};
pub(crate) use automation::{expire, share_available};
pub(crate) use copies::{records_of_copy, share_copied};
use sharing::{
    allowlist::{Allowlist, Loaded},
    decide::{self, Authority},
    domain::Requester,
    outcome::{Outcome, Refusal, Status},
    report::{failed, refused},
    request::Request,
};

use self::{pursue::pursue, survey::survey};
use crate::deployment::{Deployment, Run};

/// Carries out a request: asks the allowlist, reads AWS, decides, writes to AWS and reports.
pub async fn execute(request: &Request, requester: &Requester, deployment: &Deployment, run: &Run<'_>) -> Outcome {
    match admit(request, requester, deployment, run).await {
        Err(outcome) => *outcome,
        Ok((outcome, allowlist)) => {
            let case = deployment.case(request, Authority::Requester(requester), &allowlist, run);
            if request.action.is_about_approval() {
                approvals::answer(deployment, case, run, outcome).await
            } else if request.action.surveys() {
                survey(deployment, case, run, outcome).await
            } else {
                pursue(deployment, case, run, outcome).await.outcome
            }
        }
    }
}

/// Answers a request that is refused without reading AWS, such as one that arrived too late. A requester that no rule
/// covers learns only that.
pub async fn refuse(
    request: &Request,
    requester: &Requester,
    deployment: &Deployment,
    run: &Run<'_>,
    refusal: Refusal,
) -> Outcome {
    match admit(request, requester, deployment, run).await {
        Err(outcome) => *outcome,
        Ok((outcome, _)) => refused(outcome, vec![refusal]),
    }
}

/// Returns the first version of the outcome, with the allowlist; or the final outcome, if the request ends before any
/// image is read.
async fn admit(
    request: &Request,
    requester: &Requester,
    deployment: &Deployment,
    run: &Run<'_>,
) -> Result<(Outcome, Arc<Allowlist>), Box<Outcome>> {
    let mut outcome = Outcome {
        action: Some(request.action),
        requester: Some(requester.clone()),
        dry_run: request.dry_run,
        reason: request.reason.clone(),
        asked: request.into(),
        ..Outcome::new(run.request_id, Status::Refused)
    };
    let loaded = deployment.allowlist.load_for(request.action, &deployment.aws, run.now, run.deadline).await;
    let Loaded { allowlist, warning } = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return Err(Box::new(failed(outcome, error))),
    };
    outcome.warnings.extend(warning);
    let refusals = decide::admit(&deployment.case(request, Authority::Requester(requester), &allowlist, run));
    if refusals.is_empty() {
        Ok((outcome, allowlist))
    } else {
        // A refused requester does not learn how the allowlist was read.
        Err(Box::new(Outcome { warnings: Vec::new(), ..refused(outcome, refusals) }))
    }
}
