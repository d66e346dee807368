//! Owns how the waiting for an approval ends: somebody approves or rejects the share, or nobody does in time. The order of
//! calls of `execute::approvals`, which is written here again. `tests/it/approvals_disturbed.rs` counts the real calls.

use sharing::{
    decide::{self, Approval, Authority, Case},
    domain::{AskName, DecisionName, Requester},
    fate::{self, ApprovalFate},
    outcome::{Announcement, Outcome, Status},
    records::{ApprovalAnswer, ApprovalDecision, Ask},
    report::{failed, refused},
    request::{Action, Request},
};

use crate::{
    desk::{Came, Desk, Stopped, caught, end, end_both, hinted, of_ask},
    invocation::{Invocation, Pursued},
    planted::Planted,
    pursue::pursue,
    script::{Asked, read},
    world,
};

/// Answers `approve` and `reject`.
pub fn answer(invocation: &Invocation<'_, '_>, case: &Case<'_>, outcome: Outcome) -> Asked<Pursued> {
    let Authority::Requester(requester) = case.authority else { panic!("somebody decides") };
    let desk = Desk { invocation };
    match caught(desk.find(case.request, requester))? {
        Ok(ask) => desk.decide(&ask, case.request, requester, outcome),
        Err(stopped) => Ok(told(stopped.reported(outcome))),
    }
}

/// Gives up a share that nobody has approved in time.
pub fn lapse(invocation: &Invocation<'_, '_>, name: &AskName) -> Asked<Pursued> {
    let desk = Desk { invocation };
    let outcome = nothing(invocation);
    Ok(told(match read(desk.read_ask(name))? {
        Ok(Some(ask)) if decide::may_lapse(&ask, invocation.now) || invocation.planted == Planted::Early => {
            desk.let_lapse(&ask, outcome)?
        }
        Ok(_) => outcome,
        Err(failure) => Stopped::Failed(failure).hinted(outcome),
    }))
}

/// Carries on what was decided and interrupted.
pub fn carry_on(invocation: &Invocation<'_, '_>, name: &DecisionName) -> Asked<Pursued> {
    let desk = Desk { invocation };
    let outcome = nothing(invocation);
    let decision = match read(desk.read_decision(name))? {
        Ok(Some(decision)) => decision,
        Ok(None) => return Ok(told(outcome)),
        Err(failure) => return Ok(told(Stopped::Failed(failure).hinted(outcome))),
    };
    let ask = match read(desk.read_ask(&name.ask()))? {
        Ok(Some(ask)) if desk.is_about(&decision, &ask) => ask,
        Ok(_) => {
            desk.write(vec![end(&decision)])?;
            return Ok(told(outcome));
        }
        Err(failure) => return Ok(told(Stopped::Failed(failure).hinted(outcome))),
    };
    if decision.is_over(invocation.now) {
        desk.write(vec![end(&decision)])?;
        return Ok(told(if ask.is_lapsed(invocation.now) { desk.let_lapse(&ask, outcome)? } else { outcome }));
    }
    match decide::approved_by(&decision) {
        Ok(by) => desk.conclude(&ask, (by, &decision)),
        Err(refusal) => Ok(told(hinted(&ask, desk.end(&ask, &decision, *refusal)?))),
    }
}

/// The outcome that says that no share was made.
fn told(outcome: Outcome) -> Pursued {
    Pursued::refused(outcome, Vec::new())
}

fn untold(outcome: Outcome) -> Outcome {
    Outcome { announcement: Announcement::Never, ..outcome }
}

fn nothing(invocation: &Invocation<'_, '_>) -> Outcome {
    Outcome { action: Some(Action::Share), ..Outcome::new(invocation.id, Status::Completed) }
}

impl Desk<'_, '_, '_> {
    /// The ask that the request is about, if the requester may decide it now.
    fn find(&self, request: &Request, requester: &Requester) -> Came<Ask> {
        let name = decide::approval_asked_for(request).expect("the ID is well-formed");
        let Some(ask) = self.read_ask(&name)? else {
            return Ok(Err(match self.read_decision(&name.decision())? {
                Some(decision) => decide::decided_already(&decision).into(),
                None => decide::approval_not_found(name.id()).into(),
            }));
        };
        if ask.is_lapsed(self.invocation.now) {
            return Ok(Err(decide::lapsed(ask.until).into()));
        }
        let is_rejection = request.action == Action::Reject;
        Ok(match decide::may_decide(self.invocation.allowlist, &ask, requester, is_rejection) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(ask),
        })
    }

    /// Writes the decision down, and then carries it out.
    fn decide(&self, ask: &Ask, request: &Request, requester: &Requester, outcome: Outcome) -> Asked<Pursued> {
        let (is_approved, by) = (request.action == Action::Approve, requester.clone());
        let answer = if is_approved { ApprovalAnswer::Approved { by } } else { ApprovalAnswer::Rejected { by } };
        let decision = ApprovalDecision::new(ask, answer, self.invocation.id, None, self.invocation.now);
        if let Err(stopped) = caught(self.write_down(ask, &decision))? {
            return Ok(told(stopped.reported(outcome)));
        }
        let refusal = match decide::approved_by(&decision) {
            Ok(by) => return self.conclude(ask, (by, &decision)),
            Err(refusal) => *refusal,
        };
        Ok(told(match self.end(ask, &decision, refusal)? {
            Ok(asked) => Outcome { result: Status::Completed, decided: vec![asked], ..outcome },
            Err(error) => Outcome { retryable: true, ..failed(outcome, error) },
        }))
    }

    fn let_lapse(&self, ask: &Ask, outcome: Outcome) -> Asked<Outcome> {
        Ok(match caught(self.give_up(ask))? {
            Ok(ended) => hinted(ask, ended),
            Err(stopped) => stopped.hinted(outcome),
        })
    }

    /// Makes the share that was approved, and deletes its records, as far as it is over.
    fn conclude(&self, ask: &Ask, (by, decision): (&Requester, &ApprovalDecision)) -> Asked<Pursued> {
        let Pursued { outcome, attempt, for_good, .. } = self.share(ask, by)?;
        let (ended, outcome) = match fate::of_approval(&attempt, ask, decision, self.invocation.now) {
            ApprovalFate::AskAgain => (vec![end(decision)], untold(outcome)),
            ApprovalFate::TryAgain { is_told: true } => (Vec::new(), outcome),
            ApprovalFate::TryAgain { is_told: false } => (Vec::new(), untold(outcome)),
            ApprovalFate::EndDecision => (vec![end(decision)], outcome),
            ApprovalFate::EndBoth if self.invocation.planted == Planted::KeepsAsk => {
                (vec![end(decision)], untold(outcome))
            }
            ApprovalFate::EndBoth if self.keeps_decision() => (Vec::new(), outcome),
            ApprovalFate::EndBoth => (end_both(decision), outcome),
        };
        self.write(ended)?;
        Ok(Pursued { for_good, ..told(outcome) })
    }

    /// Whether the planted fault is that somebody approves, and the hints carry it out again.
    fn keeps_decision(&self) -> bool {
        self.invocation.planted == Planted::KeepsDecision && self.invocation.id != "hint"
    }

    /// Decides everything again, with both authorities, and makes the share.
    fn share(&self, ask: &Ask, by: &Requester) -> Asked<Pursued> {
        let Invocation { allowlist, now, .. } = self.invocation;
        let authority = Authority::Requester(&ask.requester);
        let case = world::case(&ask.request, authority, allowlist, &ask.request_id, *now);
        let case = Case { approval: Approval::By(by), ..case };
        let refusals = decide::admit(&case);
        if !refusals.is_empty() {
            return Ok(Pursued::refused(refused(of_ask(ask), refusals.clone()), refusals));
        }
        pursue(self.invocation, &case, of_ask(ask))
    }
}
