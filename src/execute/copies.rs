//! Owns what happens after a hint about a share that waits for a copy: the request of its record is made again, with
//! the present allowlist.

use std::collections::BTreeMap;

use sharing::{
    allowlist::{Allowlist, Loaded},
    decide::{self, Authority, Decision, ImageDecision},
    domain::CopyName,
    facts::{CopyRecord, Facts},
    outcome::{Announcement, Outcome, Status, StepState},
    records::{Record, RecordName, Recorded},
    report::failed,
    request::{Action, Asked},
};
use triggers::{ImageEvent, StateInEvent};

use super::pursue::{act, pursue};
use crate::deployment::{Deployment, Run};

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
    let outcome = Outcome {
        requester: Some(record.requester.clone()),
        approved_by: record.approved_by.clone(),
        reason: record.request.reason.clone(),
        asked: Asked::from(&record.request),
        ..Outcome { request_id: record.request_id.clone(), ..outcome }
    };
    let loaded = deployment.allowlist.load_for(Action::Share, &deployment.aws, run.now, run.deadline).await;
    match loaded {
        Ok(Loaded { allowlist, .. }) => told(repeat(&record, &allowlist, deployment, run, outcome).await),
        Err(error) => Outcome { announcement: Announcement::Never, ..failed(outcome, error) },
    }
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

/// The outcome that is published. If a hint changed nothing and did not end the waiting, nothing is published.
fn told(outcome: Outcome) -> Outcome {
    let is_changed = outcome.images.iter().any(|row| row.changed);
    let is_ended = outcome.errors.iter().any(|error| error.code.ends_waiting())
        || outcome.images.iter().flat_map(|row| &row.steps).any(|step| step.state == StepState::Done);
    match outcome.result {
        Status::Completed | Status::Accepted | Status::Planned if !is_changed => {
            let nothing = Outcome::new(outcome.request_id.clone(), Status::Completed);
            Outcome { action: outcome.action, nobodys_records: outcome.nobodys_records, ..nothing }
        }
        Status::Refused if outcome.retryable => Outcome { announcement: Announcement::Never, ..outcome },
        Status::Failed if !is_ended => Outcome { announcement: Announcement::Never, ..outcome },
        Status::Completed
        | Status::Accepted
        | Status::Planned
        | Status::Refused
        | Status::Failed
        | Status::Incomplete => Outcome { announcement: Announcement::Always, ..outcome },
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
