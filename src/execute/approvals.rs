//! Owns what happens to shares that wait for approval: they are listed, approved or rejected, carried out and given up.

mod ends;
mod left;
mod list;

use sharing::{
    allowlist::Allowlist,
    decide::{self, Approval, Authority, Case},
    domain::{AskName, Requester},
    outcome::{Outcome, Status},
    records::{ApprovalAnswer, ApprovalDecision, Ask},
    report::{failed, refused},
    request::{Action, Request},
};

pub(crate) use self::ends::{carry_on, lapse};
pub(super) use self::left::left;
use super::{
    desk::{Desk, of_ask},
    pursue::{Pursued, pursue},
    stopped::Stopped,
};
use crate::deployment::{Deployment, Run};

/// Answers `approvals`, `approve` and `reject`.
pub(super) async fn answer(deployment: &Deployment, case: Case<'_>, run: &Run<'_>, outcome: Outcome) -> Outcome {
    let refusal = match case.approval {
        Approval::Asked => decide::no_approvals(&case),
        Approval::NotPossible | Approval::By(_) => Some(decide::wrong_trigger()),
    };
    if let Some(refusal) = refusal {
        return refused(outcome, vec![refusal]);
    }
    let (Some(store), Authority::Requester(requester)) = (deployment.record_store(), case.authority) else {
        return outcome;
    };
    let desk = Desk { deployment, store, run };
    if case.request.action == Action::Approvals {
        return desk.list(case.allowlist, case.request, requester, outcome).await;
    }
    match desk.find(case.allowlist, case.request, requester).await {
        Ok(ask) => desk.decide(case.allowlist, ask, case.request, requester, outcome).await,
        Err(stopped) => stopped.reported(outcome),
    }
}

impl Desk<'_> {
    /// The ask that the request is about, if the requester may decide it now.
    async fn find(&self, allowlist: &Allowlist, request: &Request, requester: &Requester) -> Result<Ask, Stopped> {
        let name = decide::approval_asked_for(request).map_err(Stopped::Refused)?;
        let Some(ask) = self.read_ask(&name).await? else { return Err(self.missing(&name).await) };
        if ask.is_lapsed(self.run.now) {
            return Err(decide::lapsed(ask.until).into());
        }
        match decide::may_decide(allowlist, &ask, requester, request.action == Action::Reject) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(ask),
        }
    }

    /// Why there is no such ask: it was never there, or what was decided about it is being ended.
    async fn missing(&self, name: &AskName) -> Stopped {
        match self.read_decision(&name.decision()).await {
            Ok(Some(decision)) => decide::decided_already(&decision).into(),
            Ok(None) => decide::approval_not_found(name.id()).into(),
            Err(stopped) => stopped,
        }
    }

    /// Writes the decision down, and then carries it out.
    async fn decide(
        &self,
        allowlist: &Allowlist,
        ask: Ask,
        request: &Request,
        requester: &Requester,
        outcome: Outcome,
    ) -> Outcome {
        let (is_approved, by) = (request.action == Action::Approve, requester.clone());
        let answer = if is_approved { ApprovalAnswer::Approved { by } } else { ApprovalAnswer::Rejected { by } };
        let decision = ApprovalDecision::new(&ask, answer, self.run.request_id, request.reason.clone(), self.run.now);
        if request.dry_run {
            return self.rehearse(allowlist, &ask, &decision, outcome).await;
        }
        if let Err(stopped) = self.write_down(&ask, &decision).await {
            return stopped.reported(outcome);
        }
        let refusal = match decide::approved_by(&decision) {
            Ok(by) => return self.conclude(allowlist, &ask, (by, &decision)).await,
            Err(refusal) => *refusal,
        };
        match self.end(&ask, &decision, refusal).await {
            Ok(asked) => Outcome { result: Status::Completed, decided: vec![asked], ..outcome },
            // The hints of the decision carry on, whatever the error.
            Err(error) => Outcome { retryable: true, ..failed(outcome, error) },
        }
    }

    /// What a decision would do.
    async fn rehearse(
        &self,
        allowlist: &Allowlist,
        ask: &Ask,
        decision: &ApprovalDecision,
        outcome: Outcome,
    ) -> Outcome {
        match self.read_decision(&decision.name).await {
            Ok(Some(first)) if !first.is_same(decision) => return self.overtaken(ask, &first).reported(outcome),
            Err(stopped) => return stopped.reported(outcome),
            Ok(_) => {}
        }
        match decide::approved_by(decision) {
            Ok(by) => self.share(allowlist, ask, (by, decision), true).await.outcome,
            Err(_) => Outcome { result: Status::Planned, ..outcome },
        }
    }

    /// Decides everything again, with both authorities, and makes the share.
    async fn share(
        &self,
        allowlist: &Allowlist,
        ask: &Ask,
        (by, decision): (&Requester, &ApprovalDecision),
        dry_run: bool,
    ) -> Pursued {
        let request = &Request { dry_run, ..ask.request.clone() };
        let run = &Run { request_id: &ask.request_id, ..*self.run };
        let case = self.deployment.case(request, Authority::Requester(&ask.requester), allowlist, run);
        let case = Case { approval: Approval::By(by), ..case };
        let outcome =
            Outcome { approved_by: Some(by.clone()), approval_reason: decision.reason.clone(), dry_run, ..of_ask(ask) };
        let refusals = decide::admit(&case);
        if !refusals.is_empty() {
            return Pursued::refused(outcome, refusals);
        }
        Box::pin(pursue(self.deployment, case, run, outcome)).await
    }
}
