//! Owns what happens without a requester: images that became available are shared, and shares expire.

use std::{collections::BTreeMap, time::Duration};

use sharing::{
    allowlist::{Allowlist, Loaded},
    decide::{self, Authority, Case},
    domain::ExpiryName,
    facts::{Image, Reading},
    outcome::{Outcome, Status},
    read_plan::{Need, sources_of_uncovered},
    records::{Record, RecordName},
    report::{failed, refused},
    request::{Action, Asked, Request},
};
use triggers::{ImageEvent, StateInEvent};

use super::{
    pursue::pursue,
    stopped::{Stopped, read_named},
};
use crate::{
    deployment::{Deployment, Run},
    observe::read_sources,
};

/// Shares an image that became available, by the rules with `onAvailable`.
pub(crate) async fn share_available(
    event: &ImageEvent,
    deployment: &Deployment,
    max_event_age: Duration,
    run: &Run<'_>,
) -> Outcome {
    let outcome = Outcome {
        action: Some(Action::Share),
        requester: Some(event.requester.clone()),
        ..Outcome::new(&event.request_id, Status::Completed)
    };
    if event.state != StateInEvent::Available {
        return outcome;
    }
    let image_id = &event.image_id;
    let outcome = Outcome { asked: Asked { image_ids: vec![image_id.clone()], ..Asked::default() }, ..outcome };
    let own = (deployment.account, deployment.aws.region());
    if let Some(warning) = decide::not_ours((event.account, event.region.as_deref()), own) {
        return Outcome { warnings: vec![warning], ..outcome };
    }
    let usable = deployment.allowlist.load_for(Action::Share, &deployment.aws, run.now, run.deadline).await;
    let Loaded { allowlist, .. } = match usable {
        Ok(usable) => usable,
        Err(error) => return failed(outcome, error),
    };
    let rules = decide::automatic_rules(&allowlist, &event.requester);
    if rules.is_empty() {
        return outcome;
    }
    if let Some(stale) = event.sent.refusal(Action::Share, run.now, max_event_age) {
        return refused(outcome, vec![stale]);
    }
    let image = match read_image(event, deployment, &allowlist, run).await {
        Ok(image) => image,
        Err(failure) => return failed(outcome, failure),
    };
    let since = event.sent.since(run.now);
    let requests = match decide::automatic_shares(&rules, image_id, image.as_ref(), since, run.now) {
        Ok(requests) => requests,
        Err(failure) => return failed(outcome, failure),
    };
    let mut total = outcome.clone();
    for request in requests {
        let authority = Authority::Requester(&event.requester);
        let case = deployment.case(&request, authority, &allowlist, run);
        let case = Case { is_automatic: true, ..case };
        total.absorb(Box::pin(pursue(deployment, case, run, outcome.clone())).await.outcome);
    }
    total
}

/// What EC2 says about the image of the event. If no rule covers it by its own name and tags, those of its source count.
async fn read_image(
    event: &ImageEvent,
    deployment: &Deployment,
    allowlist: &Allowlist,
    run: &Run<'_>,
) -> Reading<Option<Image>> {
    let aws = deployment.aws.until(run.deadline);
    let mut images = aws.describe_images(std::slice::from_ref(&event.image_id)).await?;
    let request = Request::bare(Action::Share, event.image_id.clone());
    let case = deployment.case(&request, Authority::Requester(&event.requester), allowlist, run);
    let sources = sources_of_uncovered(&case, &images, Need::Settled);
    read_sources(&aws, deployment.account, &sources, &mut images).await?;
    Ok(images.remove(&event.image_id))
}

/// Revokes a share whose recorded expiry time has come. The event is only a hint.
pub(crate) async fn expire(
    name: &ExpiryName,
    request_id: &str,
    dry_run: bool,
    deployment: &Deployment,
    run: &Run<'_>,
) -> Outcome {
    let outcome = Outcome { action: Some(Action::Revoke), dry_run, ..Outcome::new(request_id, Status::Completed) };
    let nothing = |outcome: Outcome, why: String| Outcome { warnings: vec![why], ..outcome };
    let Some(records) = deployment.record_store() else {
        return nothing(outcome, "this deployment has no records, so no share expires here".to_owned());
    };
    let expiry = match read_named(deployment, records, run, &RecordName::Expiry(name.clone())).await {
        Ok(Some(Record::Expiry(expiry))) => expiry,
        Ok(Some(Record::Copy(_) | Record::Ask(_) | Record::Decision(_)) | None) => {
            return nothing(outcome, format!("there is no record {name}; nothing is due"));
        }
        // This failure is published, unlike those of other hints: somebody has access for longer than was decided.
        Err(Stopped::Failed(error)) => return failed(outcome, error),
        Err(stopped) => return stopped.hinted(outcome),
    };
    let request = match decide::due(&expiry, run.now, dry_run) {
        Ok(request) => request,
        Err(why) => return nothing(outcome, why),
    };
    let outcome = Outcome { asked: Asked::from(&request), ..outcome };
    let nobody = Allowlist { accounts: BTreeMap::new(), rules: Vec::new() };
    let case = deployment.case(&request, Authority::Expiry(&expiry), &nobody, run);
    Box::pin(pursue(deployment, case, run, outcome)).await.outcome
}
