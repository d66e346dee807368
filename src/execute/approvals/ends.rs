//! Owns how a share ends to wait for approval: somebody approves or rejects it, or nobody does in time. Each of these is
//! written down as a decision first; whoever writes one first decides.

use sharing::{
    allowlist::{Allowlist, Loaded},
    decide::{self, Attempt, Fate},
    domain::{AskName, DecisionName},
    outcome::{Announcement, Outcome, RefusalCode, Status},
    plan::Step,
    records::{ApprovalAnswer, ApprovalDecision, Ask, RecordName},
    report::failed,
    request::Action,
};

use super::super::{
    desk::{Desk, both},
    stopped::Stopped,
};
use crate::deployment::{Deployment, Run};

/// Gives up a share that nobody has approved in time. The event is only a hint.
pub(crate) async fn lapse(name: &AskName, request_id: &str, deployment: &Deployment, run: &Run<'_>) -> Outcome {
    let outcome = nothing(request_id);
    let Some(store) = deployment.record_store() else { return outcome };
    let desk = Desk { deployment, store, run };
    let ask = match desk.read_ask(name).await {
        Ok(ask) => ask,
        Err(stopped) => return stopped.hinted(outcome),
    };
    if !decide::may_lapse(&ask, run.now) {
        return Outcome { warnings: vec![format!("{name} waits until {}", ask.until)], ..outcome };
    }
    // What was decided in time is carried out by the hints of the decision.
    desk.give_up(&ask).await.unwrap_or_else(|stopped| stopped.hinted(outcome))
}

/// Carries on what was decided and interrupted. The event is only a hint.
pub(crate) async fn carry_on(name: &DecisionName, request_id: &str, deployment: &Deployment, run: &Run<'_>) -> Outcome {
    let outcome = nothing(request_id);
    let Some(store) = deployment.record_store() else { return outcome };
    let desk = Desk { deployment, store, run };
    let named = RecordName::Decision(name.clone());
    let decision = match desk.read_decision(&named).await {
        Ok(decision) => decision,
        Err(stopped) => return stopped.hinted(outcome),
    };
    let ask = match desk.read_ask(&name.ask()).await {
        Ok(ask) if decision.is_about(&ask) => ask,
        Ok(_) | Err(Stopped::Missing) => {
            desk.write(vec![Step::DeleteApproval(named)]).await;
            return outcome;
        }
        Err(stopped) => return stopped.hinted(outcome),
    };
    if decision.is_over(run.now) {
        desk.write(vec![Step::DeleteApproval(named)]).await;
        return match ask.is_lapsed(run.now) {
            true => desk.give_up(&ask).await.unwrap_or_else(|stopped| stopped.hinted(outcome)),
            false => outcome,
        };
    }
    if !matches!(decision.answer, ApprovalAnswer::Approved { .. }) {
        return desk.conclude(None, &ask, &decision).await;
    }
    match deployment.allowlist.load_for(Action::Share, &deployment.aws, run.now, run.deadline).await {
        Ok(Loaded { allowlist, .. }) => desk.conclude(Some(&allowlist), &ask, &decision).await,
        Err(error) => Outcome { announcement: Announcement::Never, ..failed(outcome, error) },
    }
}

/// The outcome of a hint that changes nothing.
fn nothing(request_id: &str) -> Outcome {
    Outcome { action: Some(Action::Share), ..Outcome::new(request_id, Status::Completed) }
}

impl Desk<'_> {
    /// Carries out a decision: makes the share or not, and deletes the ask before the decision. It returns the outcome of
    /// the request that had asked. Only to make a share the allowlist is needed.
    pub(super) async fn conclude(
        &self,
        allowlist: Option<&Allowlist>,
        ask: &Ask,
        decision: &ApprovalDecision,
    ) -> Outcome {
        let refusal = match (&decision.answer, allowlist) {
            (ApprovalAnswer::Approved { by }, Some(allowlist)) => {
                let outcome = self.share(allowlist, ask, (by, decision), false).await;
                return self.end_share(ask, decision, outcome).await;
            }
            (ApprovalAnswer::Approved { .. }, None) => return nothing(&ask.request_id),
            (ApprovalAnswer::Rejected { by }, _) => decide::rejected(by, decision.reason.as_deref()),
            (ApprovalAnswer::Lapsed, _) => decide::lapsed(ask.until),
        };
        self.end(ask, decision, refusal).await
    }

    /// Deletes the records of a share that was approved, as far as it is over.
    async fn end_share(&self, ask: &Ask, decision: &ApprovalDecision, mut outcome: Outcome) -> Outcome {
        let ended = match decide::fate(attempt(&outcome), ask, decision, self.run.now) {
            Fate::AskAgain => {
                self.write(vec![Step::DeleteApproval(RecordName::Decision(decision.name.clone()))]).await;
                return Outcome { approved_by: None, announcement: Announcement::Never, ..outcome };
            }
            Fate::TryAgain => {
                let is_changed = outcome.images.iter().any(|row| row.changed);
                let announcement = if is_changed { Announcement::Always } else { Announcement::Never };
                return Outcome { announcement, ..outcome };
            }
            Fate::EndDecision => vec![Step::DeleteApproval(RecordName::Decision(decision.name.clone()))],
            Fate::EndBoth => both(decision),
        };
        if let Some(error) = self.write(ended).await {
            outcome.warnings.push(format!("the approval is ended later: {}", error.message));
        }
        outcome
    }
}

/// How the attempt to make an approved share went.
fn attempt(outcome: &Outcome) -> Attempt {
    if outcome.refusals.iter().any(|refusal| refusal.code == RefusalCode::ApprovalNotAllowed) {
        Attempt::NotEnough
    } else if outcome.is_approval_over() {
        Attempt::Over
    } else {
        Attempt::MayPass
    }
}
