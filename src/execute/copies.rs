//! Owns what happens after a hint about a share that waits for a copy: the request of its record is made again, with
//! the present allowlist.

use std::collections::BTreeMap;

use sharing::{
    allowlist::{Allowlist, Loaded},
    decide::{self, Authority, Decision, ImageDecision},
    domain::CopyName,
    facts::{CopyRecord, Facts},
    outcome::{Announcement, Outcome, Status, StepState},
    plan::end,
    records::{Record, RecordName, Recorded},
    report::{failed, give_up_waiting},
    request::Action,
};
use time::OffsetDateTime;
use triggers::{ImageEvent, StateInEvent};

use super::{
    copy_records::of_record,
    plan_log::log_plan,
    pursue::{act, pursue},
};
use crate::{
    carry_out::{Writer, carry_out_steps},
    deployment::{Deployment, Run},
};

/// Makes a share that waits for a copy, if the copy is available. The event is only a hint.
pub(crate) async fn share_copied(name: &CopyName, request_id: &str, deployment: &Deployment, run: &Run<'_>) -> Outcome {
    let outcome = Outcome { action: Some(Action::Share), ..Outcome::new(request_id, Status::Completed) };
    let nothing = |outcome: Outcome, why: String| Outcome { warnings: vec![why], ..outcome };
    let Some(records) = deployment.record_store() else {
        return nothing(outcome, "this deployment has no records, so no share waits here".to_owned());
    };
    let named = RecordName::Copy(name.clone());
    let record = match records.read(&deployment.aws.until(run.deadline), &named).await {
        Ok(Recorded::Record(Record::Copy(record))) => record,
        Ok(Recorded::Record(Record::Expiry(_) | Record::Ask(_) | Record::Decision(_)) | Recorded::Nothing) => {
            return nothing(outcome, format!("there is no record {name}; nothing waits"));
        }
        Ok(Recorded::Nobodys { why }) => {
            let warning = format!("{name} is nobody's record ({why}); nothing is done because of it");
            let nobodys_records = BTreeMap::from([(named, why)]);
            return nothing(Outcome { nobodys_records, ..outcome }, warning);
        }
        Err(error) => return Outcome { announcement: Announcement::Never, ..failed(outcome, error.failure) },
    };
    let loaded = deployment.allowlist.load_for(Action::Share, &deployment.aws, run.now, run.deadline).await;
    let outcome = match loaded {
        Ok(Loaded { allowlist, .. }) => repeat(&record, &allowlist, deployment, run, of_record(&record)).await,
        Err(error) => failed(of_record(&record), error),
    };
    let is_last = !outcome.retryable || record.is_looked_at_last(run.now);
    if record.is_overdue(run.now) && is_last && !is_ended(&outcome, &record, run.now) {
        return give_up(&record, deployment, run, outcome).await;
    }
    published(outcome, &record, run.now)
}

/// Gives a share up that has waited for as long as it may and could not be made: so that nobody waits for it in vain, whatever
/// was in the way. What passes is waited for as long as the record sends hints.
async fn give_up(record: &CopyRecord, deployment: &Deployment, run: &Run<'_>, mut outcome: Outcome) -> Outcome {
    let steps = vec![end(record)];
    log_plan(&record.request_id, &steps, false);
    let writer = Writer { aws: &deployment.aws, records: deployment.record_store(), now: run.now };
    let results = carry_out_steps(writer, steps, run.deadline).await;
    give_up_waiting(&mut outcome, decide::not_made_in_time(record));
    outcome.warnings.extend(results.into_iter().filter_map(|result| result.error).map(|error| error.message));
    Outcome { announcement: Announcement::Always, ..outcome }
}

/// Makes the request of the record again.
async fn repeat(
    record: &CopyRecord,
    allowlist: &Allowlist,
    deployment: &Deployment,
    run: &Run<'_>,
    outcome: Outcome,
) -> Outcome {
    let run = &Run { request_id: &record.request_id, ..*run };
    let case = deployment.case(&record.request, Authority::Requester(&record.requester), allowlist, run);
    let case = case.repeated(record);
    let refusals = decide::admit(&case);
    let (Some(image_id), false) = (record.request.image_ids.first(), refusals.is_empty()) else {
        return Box::pin(pursue(deployment, case, run, outcome)).await;
    };
    // No rule allows the requester this action any more.
    let decision = Decision::Refused(refusals);
    let decision = ImageDecision { image_id, rule: None, targets: Vec::new(), decision, warnings: Vec::new() };
    act(deployment, &deployment.aws, &case, (&Facts::default(), vec![decision]), run, outcome).await
}

/// The outcome as it is published. If a hint changed nothing and did not end the waiting, nothing is.
fn published(outcome: Outcome, record: &CopyRecord, now: OffsetDateTime) -> Outcome {
    let is_changed = outcome.images.iter().any(|row| row.changed);
    match outcome.result {
        Status::Completed | Status::Accepted | Status::Planned if !is_changed => {
            let nothing = Outcome::new(outcome.request_id.clone(), Status::Completed);
            Outcome { action: outcome.action, nobodys_records: outcome.nobodys_records, ..nothing }
        }
        Status::Refused | Status::Failed if !is_ended(&outcome, record, now) => {
            Outcome { announcement: Announcement::Never, ..outcome }
        }
        Status::Completed
        | Status::Accepted
        | Status::Planned
        | Status::Refused
        | Status::Failed
        | Status::Incomplete => Outcome { announcement: Announcement::Always, ..outcome },
    }
}

/// Whether the share was made or waits no longer.
fn is_ended(outcome: &Outcome, record: &CopyRecord, now: OffsetDateTime) -> bool {
    let mut steps = outcome.images.iter().flat_map(|row| &row.steps);
    match outcome.result {
        Status::Completed | Status::Accepted | Status::Planned => true,
        Status::Refused | Status::Failed | Status::Incomplete => {
            outcome.refusals.iter().any(|refusal| refusal.ends_waiting(record.is_overdue(now)))
                || outcome.errors.iter().any(|error| error.code.ends_waiting())
                || steps.any(|step| step.state == StepState::Done && step.resource == record.name.as_str())
        }
    }
}

/// The records of shares that wait for a copy whose state has changed. If they can't be found, their own hints come later.
pub(crate) async fn records_of_copy(event: &ImageEvent, deployment: &Deployment, run: &Run<'_>) -> Vec<CopyName> {
    let own = (deployment.account, deployment.aws.region());
    let is_ours = decide::not_ours((event.account, event.region.as_deref()), own).is_none();
    let store = deployment.record_store().filter(|store| store.record_key.is_some());
    let Some(store) = store.filter(|_| is_ours && event.state != StateInEvent::Other) else { return Vec::new() };
    let aws = deployment.aws.until(run.deadline);
    let found = async {
        let described = aws.describe_images(std::slice::from_ref(&event.image_id)).await?;
        let source = described.get(&event.image_id).and_then(|image| image.provenance.source());
        match source {
            Some(source) => store.names(&aws, Some(&CopyName::source_prefix(&source.id))).await,
            None => Ok(Vec::new()),
        }
    };
    let names = found.await.unwrap_or_else(|error| {
        tracing::warn!(image.id = event.image_id.as_str(), error = error.failure.message, "no record was looked for");
        Vec::new()
    });
    let of_copies = names.into_iter().filter_map(|name| match name {
        RecordName::Copy(name) => Some(name),
        RecordName::Expiry(_) | RecordName::Ask(_) | RecordName::Decision(_) => None,
    });
    of_copies.collect()
}
