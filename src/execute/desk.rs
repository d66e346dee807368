//! Owns [`Desk`]: what waits for approval and what was decided about it are read, and written down. Whoever writes a decision
//! down first decides.

use sharing::{
    decide,
    domain::{AskName, DecisionName},
    facts::Failure,
    outcome::{Announcement, Outcome, Refusal, Status},
    plan::Step,
    progress::why_not_done,
    records::{ApprovalAnswer, ApprovalDecision, Ask, Record, RecordName},
    report::{failed, refused},
    request::{Action, Asked},
};

use super::{
    plan_log::log_plan,
    stopped::{Stopped, read_named},
};
use crate::{
    aws::Aws,
    carry_out::{Writer, carry_out_steps},
    deployment::{Deployment, Run},
    records::RecordStore,
};

/// Where asks and decisions are kept.
pub(super) struct Desk<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) store: &'a RecordStore,
    pub(super) run: &'a Run<'a>,
}

impl Desk<'_> {
    pub(super) fn aws(&self) -> Aws {
        self.deployment.aws.until(self.run.deadline)
    }

    async fn read(&self, name: RecordName) -> Result<Option<Record>, Stopped> {
        read_named(self.deployment, self.store, self.run, &name).await
    }

    pub(super) async fn read_ask(&self, name: &AskName) -> Result<Option<Ask>, Stopped> {
        let record = self.read(RecordName::Ask(name.clone())).await?;
        Ok(if let Some(Record::Ask(ask)) = record { Some(*ask) } else { None })
    }

    pub(super) async fn read_decision(&self, name: &DecisionName) -> Result<Option<ApprovalDecision>, Stopped> {
        let record = self.read(RecordName::Decision(name.clone())).await?;
        Ok(if let Some(Record::Decision(decision)) = record { Some(*decision) } else { None })
    }

    /// Writes a decision down, if it is the first about this ask, and the ask is still there.
    pub(super) async fn write_down(&self, ask: &Ask, decision: &ApprovalDecision) -> Result<(), Stopped> {
        let record = Record::Decision(Box::new(decision.clone()));
        if let Some(error) = self.write(vec![Step::CreateApproval(Box::new(record))]).await {
            return Err(match self.read_decision(&decision.name).await {
                Ok(Some(first)) if !first.is_same(decision) => self.overtaken(ask, &first),
                Err(stopped @ Stopped::Taken(..)) => stopped,
                Ok(_) | Err(_) => Stopped::Failed(error),
            });
        }
        // Another decision may have been carried out and deleted in between, and the same share asked for again.
        let stopped = match self.read_ask(&ask.name).await {
            Ok(Some(there)) if decision.is_about(&there) => return Ok(()),
            Ok(_) => Stopped::from(decide::approval_not_found(ask.name.id())),
            // It is not known whether the ask is there: the hints of the decision find out.
            Err(stopped @ Stopped::Failed(_)) => return Err(stopped),
            Err(stopped) => stopped,
        };
        self.write(vec![end(decision)]).await;
        Err(stopped)
    }

    /// What somebody learns whose decision came too late: another one was written down first.
    pub(super) fn overtaken(&self, ask: &Ask, first: &ApprovalDecision) -> Stopped {
        match first.is_about(ask) {
            true => decide::decided_already(first).into(),
            false => Stopped::Failed(decide::decided_before(first)),
        }
    }

    /// Gives up an ask that nobody has answered in time.
    pub(super) async fn give_up(&self, ask: &Ask) -> Result<Ended, Stopped> {
        let decision = ApprovalDecision::new(ask, ApprovalAnswer::Lapsed, self.run.request_id, None, self.run.now);
        self.write_down(ask, &decision).await?;
        Ok(self.end(ask, &decision, decide::lapsed(ask.until)).await)
    }

    /// Ends what waits with this refusal: deletes the ask, and then the decision about it.
    pub(super) async fn end(&self, ask: &Ask, decision: &ApprovalDecision, refusal: Refusal) -> Ended {
        match self.write(vec![end_ask(decision)]).await {
            // Once the ask is gone, its requester is told. If the decision can't be deleted, its hints do that, and they don't know
            // any more who asked.
            None => {
                self.write(vec![end(decision)]).await;
                Ok(refused(of_ask(ask), vec![refusal]))
            }
            Some(error) => Err(error),
        }
    }

    /// Carries out these steps, and returns why one was not done.
    pub(super) async fn write(&self, steps: Vec<Step>) -> Option<Failure> {
        log_plan(self.run.request_id, &steps, false);
        let writer = Writer { aws: &self.deployment.aws, records: Some(self.store), now: self.run.now };
        why_not_done(carry_out_steps(writer, steps, self.run.deadline).await)
    }
}

/// The outcome of the request that had asked, whose share waits no longer; or why a record of it could not be deleted. Then
/// the hints of the decision do that.
pub(super) type Ended = Result<Outcome, Failure>;

/// The outcome of the request that had asked, for a hint.
pub(super) fn hinted(ask: &Ask, ended: Ended) -> Outcome {
    ended.unwrap_or_else(|error| Outcome { announcement: Announcement::Never, ..failed(of_ask(ask), error) })
}

/// The outcome of the request that had asked, which is published whatever it is.
pub(super) fn of_ask(ask: &Ask) -> Outcome {
    Outcome {
        action: Some(Action::Share),
        requester: Some(ask.requester.clone()),
        reason: ask.request.reason.clone(),
        asked: Asked::from(&ask.request),
        announcement: Announcement::Always,
        ..Outcome::new(ask.request_id.clone(), Status::Refused)
    }
}

/// Deletes a decision.
pub(super) fn end(decision: &ApprovalDecision) -> Step {
    Step::DeleteApproval(RecordName::Decision(decision.name.clone()))
}

/// Deletes the ask.
fn end_ask(decision: &ApprovalDecision) -> Step {
    Step::DeleteApproval(RecordName::Ask(decision.name.ask()))
}

/// Deletes the ask, and then the decision about it.
pub(super) fn end_both(decision: &ApprovalDecision) -> Vec<Step> {
    vec![end_ask(decision), end(decision)]
}
