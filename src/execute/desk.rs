//! Owns [`Desk`]: what waits for approval and what was decided about it are read, and written down. Whoever writes a decision
//! down first decides.

use sharing::{
    decide,
    domain::AskName,
    facts::Failure,
    outcome::{Announcement, Outcome, Refusal, Status, StepState},
    plan::Step,
    records::{ApprovalAnswer, ApprovalDecision, Ask, Record, RecordName, Recorded},
    report::failed,
    request::{Action, Asked},
};

use super::{
    plan_log::log_plan,
    stopped::{Stopped, refused},
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

    pub(super) async fn read_ask(&self, name: &AskName) -> Result<Ask, Stopped> {
        let named = RecordName::Ask(name.clone());
        match self.store.read(&self.aws(), &named).await {
            Ok(Recorded::Record(Record::Ask(ask))) => Ok(*ask),
            other => Err(Stopped::by(self.store, &named, other)),
        }
    }

    pub(super) async fn read_decision(&self, named: &RecordName) -> Result<ApprovalDecision, Stopped> {
        match self.store.read(&self.aws(), named).await {
            Ok(Recorded::Record(Record::Decision(decision))) => Ok(*decision),
            other => Err(Stopped::by(self.store, named, other)),
        }
    }

    /// Writes a decision down, if it is the first about this ask, and the ask is still there.
    pub(super) async fn write_down(&self, ask: &Ask, decision: &ApprovalDecision) -> Result<(), Stopped> {
        let named = RecordName::Decision(decision.name.clone());
        let record = Record::Decision(Box::new(decision.clone()));
        if let Some(error) = self.write(vec![Step::CreateApproval(Box::new(record))]).await {
            return Err(match self.read_decision(&named).await {
                Ok(first) if !first.is_same(decision) => self.overtaken(ask, &first),
                Err(stopped @ Stopped::Taken(..)) => stopped,
                Ok(_) | Err(_) => Stopped::Failed(error),
            });
        }
        // Another decision may have been carried out and deleted in between, and the same share asked for again.
        let stopped = match self.read_ask(&ask.name).await {
            Ok(there) if decision.is_about(&there) => return Ok(()),
            Ok(_) | Err(Stopped::Missing) => Stopped::from(decide::approval_not_found(ask.name.id())),
            // It is not known whether the ask is there: the hints of the decision find out.
            Err(stopped @ Stopped::Failed(_)) => return Err(stopped),
            Err(stopped) => stopped,
        };
        self.write(vec![Step::DeleteApproval(named)]).await;
        Err(stopped)
    }

    /// What somebody learns whose decision came too late: another one was written down first.
    pub(super) fn overtaken(&self, ask: &Ask, first: &ApprovalDecision) -> Stopped {
        match first.is_about(ask) {
            true => decide::decided_already(first).into(),
            false => Stopped::Failed(decide::decided_before(first)),
        }
    }

    /// Gives up an ask that nobody has answered in time, and returns the outcome of the request that had asked.
    pub(super) async fn give_up(&self, ask: &Ask) -> Result<Outcome, Stopped> {
        let decision = ApprovalDecision::new(ask, ApprovalAnswer::Lapsed, self.run.request_id, None, self.run.now);
        self.write_down(ask, &decision).await?;
        Ok(self.end(ask, &decision, decide::lapsed(ask.until)).await)
    }

    /// Ends what waits with this refusal: deletes the ask before the decision. It returns the outcome of the request that had
    /// asked.
    pub(super) async fn end(&self, ask: &Ask, decision: &ApprovalDecision, refusal: Refusal) -> Outcome {
        match self.write(both(decision)).await {
            None => refused(of_ask(ask), refusal),
            Some(error) => Outcome { announcement: Announcement::Never, ..failed(of_ask(ask), error) },
        }
    }

    /// Carries out these steps, and returns why one was not done.
    pub(super) async fn write(&self, steps: Vec<Step>) -> Option<Failure> {
        log_plan(self.run.request_id, &steps, false);
        let writer = Writer { aws: &self.deployment.aws, records: Some(self.store), now: self.run.now };
        let results = carry_out_steps(writer, steps, self.run.deadline).await;
        results.into_iter().find(|result| result.state != StepState::Done).and_then(|result| result.error)
    }
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

/// Deletes the ask, and then the decision about it.
pub(super) fn both(decision: &ApprovalDecision) -> Vec<Step> {
    let names = [RecordName::Ask(decision.name.ask()), RecordName::Decision(decision.name.clone())];
    names.map(Step::DeleteApproval).into()
}
