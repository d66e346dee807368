//! Owns what happens after a hint about a share that waits for a copy: the request of its record is made again, with
//! the present allowlist.

use sharing::{
    allowlist::{Allowlist, Loaded},
    decide::{self, Authority, ImageDecision},
    domain::CopyName,
    facts::{CopyRecord, Facts},
    fate::{self, CopyFate},
    outcome::{Announcement, Outcome, Status},
    plan::end,
    progress::why_not_done,
    records::{Record, RecordName},
    report::give_up_waiting,
    request::Action,
};
use triggers::{ImageEvent, StateInEvent};

use super::{
    copy_records::of_record,
    plan_log::log_plan,
    pursue::{Pursued, act, pursue},
    stopped::read_named,
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
    let record = match read_named(deployment, records, run, &RecordName::Copy(name.clone())).await {
        Ok(Some(Record::Copy(record))) => record,
        Ok(Some(Record::Expiry(_) | Record::Ask(_) | Record::Decision(_)) | None) => {
            return nothing(outcome, format!("there is no record {name}; nothing waits"));
        }
        Err(stopped) => return stopped.hinted(outcome),
    };
    let loaded = deployment.allowlist.load_for(Action::Share, &deployment.aws, run.now, run.deadline).await;
    let Pursued { outcome, attempt } = match loaded {
        Ok(Loaded { allowlist, .. }) => repeat(&record, &allowlist, deployment, run, of_record(&record)).await,
        Err(error) => Pursued::failed(of_record(&record), error),
    };
    match fate::of_copy(&attempt, &record, run.now) {
        CopyFate::GiveUp => give_up(&record, deployment, run, outcome).await,
        CopyFate::SayNothing => {
            let nothing = Outcome::new(outcome.request_id, Status::Completed);
            Outcome { action: outcome.action, nobodys_records: outcome.nobodys_records, ..nothing }
        }
        CopyFate::TryAgain => Outcome { announcement: Announcement::Never, ..outcome },
        CopyFate::Tell => outcome,
    }
}

/// Gives up a share that has waited for as long as it may.
async fn give_up(record: &CopyRecord, deployment: &Deployment, run: &Run<'_>, mut outcome: Outcome) -> Outcome {
    let steps = vec![end(record)];
    log_plan(&record.request_id, &steps, false);
    let writer = Writer { aws: &deployment.aws, records: deployment.record_store(), now: run.now };
    let error = why_not_done(carry_out_steps(writer, steps, run.deadline).await);
    give_up_waiting(&mut outcome, decide::not_made_in_time(record));
    outcome.warnings.extend(error.map(|error| error.message));
    outcome
}

/// Makes the request of the record again.
async fn repeat(
    record: &CopyRecord,
    allowlist: &Allowlist,
    deployment: &Deployment,
    run: &Run<'_>,
    outcome: Outcome,
) -> Pursued {
    let run = &Run { request_id: &record.request_id, ..*run };
    let case = deployment.case(&record.request, Authority::Requester(&record.requester), allowlist, run);
    let case = case.repeated(record);
    let refusals = decide::admit(&case);
    let (Some(image_id), false) = (record.request.image_ids.first(), refusals.is_empty()) else {
        return Box::pin(pursue(deployment, case, run, outcome)).await;
    };
    // No rule allows the requester this action any more.
    let refused = ImageDecision::refused(image_id, refusals);
    act(deployment, &deployment.aws, &case, (&Facts::default(), vec![refused]), run, outcome).await
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
