//! Owns how the waiting for an approval ends: somebody approves or rejects the share, or nobody does in time. Each of these is
//! written down as a decision first; whoever writes one first decides.

use sharing::{
    allowlist::{Allowlist, Loaded},
    decide,
    domain::{AskName, DecisionName, Requester},
    fate::{self, ApprovalFate},
    outcome::{Announcement, Outcome, Status},
    records::{ApprovalDecision, Ask},
    report::failed,
    request::Action,
};

use super::super::{
    desk::{Desk, end, end_both, hinted},
    pursue::Pursued,
};
use crate::deployment::{Deployment, Run};

/// Gives up a share that nobody has approved in time. The event is only a hint.
pub(crate) async fn lapse(name: &AskName, request_id: &str, deployment: &Deployment, run: &Run<'_>) -> Outcome {
    let outcome = nothing(request_id);
    let Some(store) = deployment.record_store() else { return outcome };
    let desk = Desk { deployment, store, run };
    let ask = match desk.read_ask(name).await {
        Ok(Some(ask)) => ask,
        Ok(None) => return outcome,
        Err(stopped) => return stopped.hinted(outcome),
    };
    if !decide::may_lapse(&ask, run.now) {
        return Outcome { warnings: vec![format!("{name} waits until {}", ask.until)], ..outcome };
    }
    // What was decided in time is carried out by the hints of the decision.
    desk.let_lapse(&ask, outcome).await
}

/// Carries on what was decided and interrupted. The event is only a hint.
pub(crate) async fn carry_on(name: &DecisionName, request_id: &str, deployment: &Deployment, run: &Run<'_>) -> Outcome {
    let outcome = nothing(request_id);
    let Some(store) = deployment.record_store() else { return outcome };
    let desk = Desk { deployment, store, run };
    let decision = match desk.read_decision(name).await {
        Ok(Some(decision)) => decision,
        Ok(None) => return outcome,
        Err(stopped) => return stopped.hinted(outcome),
    };
    let ask = match desk.read_ask(&name.ask()).await {
        Ok(Some(ask)) if decision.is_about(&ask) => ask,
        Ok(_) => {
            desk.write(vec![end(&decision)]).await;
            return outcome;
        }
        Err(stopped) => return stopped.hinted(outcome),
    };
    if decision.is_over(run.now) {
        desk.write(vec![end(&decision)]).await;
        return if ask.is_lapsed(run.now) { desk.let_lapse(&ask, outcome).await } else { outcome };
    }
    let by = match decide::approved_by(&decision) {
        Ok(by) => by,
        Err(refusal) => return hinted(&ask, desk.end(&ask, &decision, *refusal).await),
    };
    match deployment.allowlist.load_for(Action::Share, &deployment.aws, run.now, run.deadline).await {
        Ok(Loaded { allowlist, .. }) => desk.conclude(&allowlist, &ask, (by, &decision)).await,
        Err(error) => Outcome { announcement: Announcement::Never, ..failed(outcome, error) },
    }
}

/// The outcome of a hint that changes nothing.
fn nothing(request_id: &str) -> Outcome {
    Outcome { action: Some(Action::Share), ..Outcome::new(request_id, Status::Completed) }
}

impl Desk<'_> {
    /// Gives up an ask for a hint, whose outcome says what was in the way.
    async fn let_lapse(&self, ask: &Ask, outcome: Outcome) -> Outcome {
        match self.give_up(ask).await {
            Ok(ended) => hinted(ask, ended),
            Err(stopped) => stopped.hinted(outcome),
        }
    }

    /// Makes the share that was approved, and deletes its records, as far as it is over. It returns the outcome of the request
    /// that had asked.
    pub(super) async fn conclude(
        &self,
        allowlist: &Allowlist,
        ask: &Ask,
        (by, decision): (&Requester, &ApprovalDecision),
    ) -> Outcome {
        let Pursued { mut outcome, attempt } = self.share(allowlist, ask, (by, decision), false).await;
        let ended = match fate::of_approval(&attempt, ask, decision, self.run.now) {
            ApprovalFate::AskAgain => {
                self.write(vec![end(decision)]).await;
                return Outcome { approved_by: None, announcement: Announcement::Never, ..outcome };
            }
            ApprovalFate::TryAgain { is_told: true } => return outcome,
            ApprovalFate::TryAgain { is_told: false } => {
                return Outcome { announcement: Announcement::Never, ..outcome };
            }
            ApprovalFate::EndDecision => vec![end(decision)],
            ApprovalFate::EndBoth => end_both(decision),
        };
        if let Some(error) = self.write(ended).await {
            outcome.warnings.push(format!("the approval is ended later: {}", error.message));
        }
        outcome
    }
}
