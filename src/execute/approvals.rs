//! Owns what happens to shares that wait for approval: they are listed, approved or rejected, carried out and given up.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use sharing::{
    allowlist::{Allowlist, Loaded},
    decide::{self, Approval, Authority, Case},
    domain::{AskName, DecisionName, ImageId, Requester},
    facts::Failure,
    outcome::{Announcement, ApprovalRow, Finding, Outcome, Refusal, RefusalCode, Status, StepState},
    plan::Step,
    records::{ApprovalDecision, Ask, Record, RecordName, Recorded},
    report::failed,
    request::{Action, Asked, FaultKind, Request},
};
use time::Duration;

use super::{
    ask::{Stopped, refused},
    plan_log::log_plan,
    pursue::pursue,
};
use crate::{
    aws::CallError,
    carry_out::{Writer, carry_out_steps},
    deployment::{Deployment, Run},
    records::RecordStore,
};

/// The maximum number of rows in an answer to `approvals`.
const A_PAGE: usize = 20;

/// How long after its time an audit reports a record: its hint may come late.
const LATE: Duration = Duration::hours(1);

/// How early a hint may come.
const EARLY: Duration = Duration::minutes(1);

/// Answers `approvals`, `approve` and `reject`.
pub(super) async fn answer(deployment: &Deployment, case: Case<'_>, run: &Run<'_>, outcome: Outcome) -> Outcome {
    let refusal = match case.approval {
        Approval::Asked => decide::no_approvals(&case),
        Approval::NotPossible | Approval::By(_) => Some(decide::wrong_trigger()),
    };
    if let Some(refusal) = refusal {
        return refused(outcome, refusal);
    }
    let (Some(store), Authority::Requester(requester)) = (deployment.record_store(), case.authority) else {
        return outcome;
    };
    let desk = Desk { deployment, store, allowlist: case.allowlist, run };
    if case.request.action == Action::Approvals {
        return desk.list(case.request, requester, outcome).await;
    }
    match desk.find(case.request, requester).await {
        Ok(ask) => desk.decide(ask, case.request, requester, outcome).await,
        Err(stopped) => stopped.told(outcome),
    }
}

/// The records that an audit finds after their time, for images that the requester may see.
pub(super) async fn left(
    deployment: &Deployment,
    images: &BTreeSet<ImageId>,
    run: &Run<'_>,
) -> Result<Vec<Finding>, Failure> {
    let store = deployment.record_store().filter(|store| store.record_key.is_some());
    let Some(store) = store else { return Ok(Vec::new()) };
    let aws = &deployment.aws.rate_limited().until(run.deadline);
    let names = store.names(aws, Some(AskName::PREFIX)).await.map_err(|error| error.failure)?;
    let mut findings = Vec::new();
    for name in names {
        let Recorded::Record(Record::Ask(ask)) = store.read(aws, &name).await.map_err(|error| error.failure)? else {
            continue;
        };
        let image_id = ask.request.image_ids.iter().find(|image_id| images.contains(*image_id)).cloned();
        let is_left = ask.is_lapsed(run.now.saturating_sub(LATE));
        findings.extend(image_id.filter(|_| is_left).map(|image_id| decide::approval_left(&ask, image_id)));
    }
    Ok(findings)
}

/// Continues a decision that was interrupted. The event is only a hint.
pub(crate) async fn carry_on(name: &DecisionName, request_id: &str, deployment: &Deployment, run: &Run<'_>) -> Outcome {
    let outcome = nothing(request_id);
    let Some(store) = deployment.record_store() else { return outcome };
    let aws = deployment.aws.until(run.deadline);
    let decision = match store.read(&aws, &RecordName::Decision(name.clone())).await {
        Ok(Recorded::Record(Record::Decision(decision))) => decision,
        other => return Stopped::from((RecordName::Decision(name.clone()), other)).hinted(outcome),
    };
    let loaded = deployment.allowlist.load_for(Action::Share, &deployment.aws, run.now, run.deadline).await;
    let allowlist = match loaded {
        Ok(Loaded { allowlist, .. }) => allowlist,
        Err(error) => return Outcome { announcement: Announcement::Never, ..failed(outcome, error) },
    };
    let desk = Desk { deployment, store, allowlist: &allowlist, run };
    let named = RecordName::Ask(name.ask());
    match store.read(&aws, &named).await {
        Ok(Recorded::Record(Record::Ask(ask))) => desk.conclude(&ask, &decision).await,
        Ok(Recorded::Nothing | Recorded::Record(_)) => {
            desk.write(vec![Step::DeleteApproval(RecordName::Decision(name.clone()))]).await;
            outcome
        }
        other => Stopped::from((named, other)).hinted(outcome),
    }
}

/// Gives up a share that nobody has approved in time. The event is only a hint.
pub(crate) async fn lapse(name: &AskName, request_id: &str, deployment: &Deployment, run: &Run<'_>) -> Outcome {
    let outcome = nothing(request_id);
    let Some(store) = deployment.record_store() else { return outcome };
    let aws = deployment.aws.until(run.deadline);
    let named = RecordName::Ask(name.clone());
    let ask = match store.read(&aws, &named).await {
        Ok(Recorded::Record(Record::Ask(ask))) => ask,
        other => return Stopped::from((named, other)).hinted(outcome),
    };
    if !ask.is_lapsed(run.now.saturating_add(EARLY)) {
        return Outcome { warnings: vec![format!("{name} waits until {}", ask.until)], ..outcome };
    }
    // If somebody decided in time, the hints of the decision carry it out.
    match store.read(&aws, &RecordName::Decision(name.decision())).await {
        Ok(Recorded::Nothing | Recorded::Nobodys { .. }) => {}
        Ok(Recorded::Record(_)) => return outcome,
        Err(error) => return Outcome { announcement: Announcement::Never, ..failed(outcome, error.failure) },
    }
    let allowlist = Allowlist { accounts: BTreeMap::new(), rules: Vec::new() };
    let desk = Desk { deployment, store, allowlist: &allowlist, run };
    match desk.write(vec![Step::DeleteApproval(named)]).await {
        None => refused(of_ask(&ask), decide::lapsed(&ask)),
        Some(error) => Outcome { announcement: Announcement::Never, ..failed(outcome, error) },
    }
}

/// What decisions about shares that wait need.
struct Desk<'a> {
    deployment: &'a Deployment,
    store: &'a RecordStore,
    allowlist: &'a Allowlist,
    run: &'a Run<'a>,
}

impl Desk<'_> {
    /// The asks that the requester may see, a page at a time.
    async fn list(&self, request: &Request, requester: &Requester, outcome: Outcome) -> Outcome {
        let aws = &self.deployment.aws.until(self.run.deadline);
        let after = match request.page.as_ref().map(|page| AskName::of_id(page.as_str())) {
            Some(None) => return refused(outcome, no_page()),
            after => after.flatten(),
        };
        let names = match self.store.names(aws, Some(AskName::PREFIX)).await {
            Ok(names) => names,
            Err(error) => return failed(outcome, error.failure),
        };
        let mut names: Vec<_> = names
            .into_iter()
            .filter_map(|name| match name {
                RecordName::Ask(name) if after.as_ref().is_none_or(|after| name > *after) => Some(name),
                RecordName::Ask(_) | RecordName::Expiry(_) | RecordName::Copy(_) | RecordName::Decision(_) => None,
            })
            .collect();
        let is_more = names.len() > A_PAGE;
        names.truncate(A_PAGE);
        let next_page = names.last().filter(|_| is_more).and_then(|last| last.id().parse().ok());
        let read = names.into_iter().map(async |name| {
            let name = RecordName::Ask(name);
            let recorded = self.store.read(aws, &name).await?;
            Ok::<_, CallError>((name, recorded))
        });
        let read = match try_join_all(read).await {
            Ok(read) => read,
            Err(error) => return failed(outcome, error.failure),
        };
        let (mut rows, mut nobodys_records) = (Vec::new(), BTreeMap::new());
        for (name, recorded) in read {
            match recorded {
                Recorded::Record(Record::Ask(ask)) => {
                    let is_shown = !ask.is_lapsed(self.run.now) && decide::may_see(self.allowlist, &ask, requester);
                    rows.extend(is_shown.then(|| ApprovalRow::from(&*ask)));
                }
                Recorded::Nobodys { why } => drop(nobodys_records.insert(name, why)),
                Recorded::Record(_) | Recorded::Nothing => {}
            }
        }
        Outcome { result: Status::Completed, approvals: Some(rows), next_page, nobodys_records, ..outcome }
    }

    /// The ask that the request is about, if the requester may decide it now.
    async fn find(&self, request: &Request, requester: &Requester) -> Result<Ask, Stopped> {
        let aws = &self.deployment.aws.until(self.run.deadline);
        let name = decide::approval_asked_for(request).map_err(Stopped::Refused)?;
        let named = RecordName::Ask(name.clone());
        let ask = match self.store.read(aws, &named).await {
            Ok(Recorded::Record(Record::Ask(ask))) => *ask,
            Ok(Recorded::Nothing) => return Err(self.gone(&name).await),
            other => return Err(Stopped::from((named, other))),
        };
        if ask.is_lapsed(self.run.now) {
            return Err(decide::lapsed(&ask).into());
        }
        match decide::may_decide(self.allowlist, &ask, requester, request.action == Action::Reject) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(ask),
        }
    }

    /// Why there is no such record: it never existed, or somebody is deciding about it.
    async fn gone(&self, name: &AskName) -> Stopped {
        let aws = &self.deployment.aws.until(self.run.deadline);
        match self.store.read(aws, &RecordName::Decision(name.decision())).await {
            Ok(Recorded::Record(Record::Decision(decision))) => decide::decided_already(&decision).into(),
            Ok(_) => decide::approval_not_found(name.id()).into(),
            Err(error) => Stopped::Failed(error.failure),
        }
    }

    /// Records the decision, and then carries it out.
    async fn decide(&self, ask: Ask, request: &Request, requester: &Requester, outcome: Outcome) -> Outcome {
        let is_approved = request.action == Action::Approve;
        let decision = ApprovalDecision::new(&ask.name, is_approved, requester, request.reason.clone(), self.run.now);
        if request.dry_run {
            return match is_approved {
                true => self.share(&ask, &decision, true).await,
                false => Outcome { result: Status::Planned, ..outcome },
            };
        }
        let aws = &self.deployment.aws.until(self.run.deadline);
        let named = RecordName::Decision(decision.name.clone());
        let record = Record::Decision(Box::new(decision.clone()));
        if let Some(error) = self.write(vec![Step::CreateApproval(Box::new(record))]).await {
            return match self.store.read(aws, &named).await {
                Ok(Recorded::Record(Record::Decision(first))) if !first.is_same(&decision) => {
                    refused(outcome, decide::decided_already(&first))
                }
                Ok(Recorded::Nobodys { why }) => {
                    Outcome { nobodys_records: BTreeMap::from([(named, why)]), ..failed(outcome, error) }
                }
                Ok(_) | Err(_) => failed(outcome, error),
            };
        }
        // Another decision may have been carried out and deleted in between.
        match self.store.read(aws, &RecordName::Ask(ask.name.clone())).await {
            Ok(Recorded::Record(_)) => {}
            Ok(Recorded::Nothing | Recorded::Nobodys { .. }) => {
                self.write(vec![Step::DeleteApproval(named)]).await;
                return refused(outcome, decide::approval_not_found(ask.name.id()));
            }
            Err(error) => return failed(outcome, error.failure),
        }
        let concluded = self.conclude(&ask, &decision).await;
        if is_approved {
            return concluded;
        }
        if concluded.result == Status::Failed {
            return Outcome { result: Status::Failed, retryable: true, errors: concluded.errors, ..outcome };
        }
        Outcome { result: Status::Completed, decided: Some(Box::new(concluded)), ..outcome }
    }

    /// Carries out a decision: makes the share or not, and deletes the ask before the decision. It returns the outcome of
    /// the request that had asked.
    async fn conclude(&self, ask: &Ask, decision: &ApprovalDecision) -> Outcome {
        let (ask_name, decision_name) =
            (RecordName::Ask(ask.name.clone()), RecordName::Decision(decision.name.clone()));
        if !decision.is_approved {
            return match self.write(vec![Step::DeleteApproval(ask_name), Step::DeleteApproval(decision_name)]).await {
                None => refused(of_ask(ask), decide::rejected(decision)),
                Some(error) => Outcome { announcement: Announcement::Never, ..failed(of_ask(ask), error) },
            };
        }
        let outcome = self.share(ask, decision, false).await;
        let is_over = outcome.is_approval_over();
        // If other rules with other approvers decide now, the share continues to wait.
        let waits_on = outcome.refusals.iter().any(|refusal| refusal.code == RefusalCode::ApprovalNotAllowed);
        let ended = match (is_over, waits_on) {
            (false, _) => return Outcome { announcement: Announcement::Never, ..outcome },
            (true, true) => vec![Step::DeleteApproval(decision_name)],
            (true, false) => vec![Step::DeleteApproval(ask_name), Step::DeleteApproval(decision_name)],
        };
        let mut outcome = outcome;
        if let Some(error) = self.write(ended).await {
            outcome.warnings.push(format!("the approval is ended later: {}", error.message));
        }
        outcome
    }

    /// Decides everything again, with the requester and the approver, and makes the share.
    async fn share(&self, ask: &Ask, decision: &ApprovalDecision, dry_run: bool) -> Outcome {
        let request = &Request { dry_run, ..ask.request.clone() };
        let run = &Run { request_id: &ask.request_id, ..*self.run };
        let case = self.deployment.case(request, Authority::Requester(&ask.requester), self.allowlist, run);
        let case = Case { approval: Approval::By(&decision.by), ..case };
        let outcome = Outcome { approved_by: Some(decision.by.clone()), dry_run, ..of_ask(ask) };
        let refusals = decide::admit(&case);
        if !refusals.is_empty() {
            return Outcome { result: Status::Refused, refusals, ..outcome };
        }
        Box::pin(pursue(self.deployment, case, run, outcome)).await
    }

    /// Carries out these steps, and returns why one was not done.
    async fn write(&self, steps: Vec<Step>) -> Option<Failure> {
        log_plan(self.run.request_id, &steps, false);
        let writer = Writer { aws: &self.deployment.aws, records: Some(self.store), now: self.run.now };
        let results = carry_out_steps(writer, steps, self.run.deadline).await;
        results.into_iter().find(|result| result.state != StepState::Done).and_then(|result| result.error)
    }
}

/// The outcome of a hint that changes nothing.
fn nothing(request_id: &str) -> Outcome {
    Outcome { action: Some(Action::Share), ..Outcome::new(request_id, Status::Completed) }
}

/// The outcome of the request for the share, which is always published.
fn of_ask(ask: &Ask) -> Outcome {
    Outcome {
        action: Some(Action::Share),
        requester: Some(ask.requester.clone()),
        reason: ask.request.reason.clone(),
        asked: Asked::from(&ask.request),
        announcement: Announcement::Always,
        ..Outcome::new(ask.request_id.clone(), Status::Refused)
    }
}

fn no_page() -> Refusal {
    let refusal = Refusal::new(RefusalCode::MalformedRequest, "`nextToken` is not the place of a page of `approvals`");
    Refusal { fault: Some(FaultKind::BadFormat), ..refusal.at("/nextToken") }
}
