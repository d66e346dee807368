//! Owns audits and repairs: every owned image in turn, ten at a time, as long as the invocation has time.

use std::{collections::BTreeSet, ops::Bound, time::Duration};

use sharing::{
    decide::{self, Case, Judgements, Surveyed},
    domain::ImageId,
    facts::{Failure, Image, Reading},
    outcome::{Outcome, Status},
    read_plan::{Need, sources_of_uncovered},
    records::RecordName,
    report::{add_images, failed, failed_by, surveyed},
    request::Request,
};
use tokio::time::Instant;

use super::{approvals, automation::expire, pursue::act, time_limits::reading_deadline};
use crate::{
    deployment::{Deployment, Run},
    observe::{observe, read_sources},
};

/// The number of images that are read together. Their findings are kept if time runs out later.
const IMAGES_AT_ONCE: usize = 10;

/// Audits the owned images after the request's `nextToken`. A repair also fixes what this function itself created.
pub(super) async fn survey(deployment: &Deployment, case: Case<'_>, run: &Run<'_>, outcome: Outcome) -> Outcome {
    let asked = case.request;
    let (images, unsettled) = match images_to_survey(deployment, &case, run.deadline).await {
        Ok(images) => images,
        Err(error) => return failed(outcome, error),
    };
    let is_plan = asked.dry_run && asked.action.writes();
    let result = if is_plan { Status::Planned } else { Status::Completed };
    let mut total = Outcome { result, findings: Some(Vec::new()), rows: asked.rows.then(Vec::new), ..outcome.clone() };
    total.warnings.extend(unsettled);
    if asked.next_token.is_none() {
        match approvals::left(deployment, &case, &images, run).await {
            Ok(left) => total.findings = Some(left),
            Err(error) => return failed(outcome, error),
        }
    }
    let mut so_far = Surveyed::from(asked.next_token.clone());
    let mut longest = Duration::ZERO;
    loop {
        let after = so_far.next.as_ref().map_or(Bound::Unbounded, |place| Bound::Excluded(&place.after));
        let image_ids: Vec<_> = images.range((after, Bound::Unbounded)).take(IMAGES_AT_ONCE).cloned().collect();
        if image_ids.is_empty() {
            return surveyed(total, Surveyed { next: None, ..so_far });
        }
        if so_far.is_full() || run.deadline.saturating_duration_since(Instant::now()) < longest {
            return surveyed(total, so_far);
        }
        let begun = Instant::now();
        let is_first = so_far.next == asked.next_token;
        let request = Request { image_ids, next_token: so_far.next.clone(), ..asked.clone() };
        match survey_some(deployment, Case { request: &request, ..case }, run, &outcome, is_first).await {
            Ok((part, more)) => {
                add_images(&mut total, part);
                so_far.add(more);
            }
            Err(failures) if is_first => return failed_by(outcome, failures),
            // The findings so far are kept. The next request begins with the images that failed.
            Err(_) => return surveyed(total, so_far),
        }
        longest = longest.max(begun.elapsed());
    }
}

/// The images in the order of their IDs: those that exist, and deregistered ones that have records. Only images that a
/// rule of the requester covers, because a `nextToken` shows the ID of an image. And a warning about images of which that is
/// not known.
async fn images_to_survey(
    deployment: &Deployment,
    case: &Case<'_>,
    deadline: Instant,
) -> Reading<(BTreeSet<ImageId>, Option<String>)> {
    let aws = deployment.aws.rate_limited().until(deadline);
    let mut images = aws.own_images().await.map_err(|error| error.failure)?;
    read_sources(&aws, case.account, &sources_of_uncovered(case, &images, Need::Optional), &mut images).await?;
    let mut covered: BTreeSet<_> =
        images.iter().filter(|(_, image)| decide::is_covered(case, image)).map(|(id, _)| id.clone()).collect();
    let unsettled: Vec<_> = images.iter().filter(|(id, _)| !covered.contains(*id)).collect();
    let unsettled = decide::unsettled(case, unsettled.into_iter().map(|(_, image)| image));
    // The name and tags of a deregistered image are not known, so only a rule about every image covers it.
    let is_deregistered_covered = decide::is_covered(case, &Image::deregistered(case.account, Vec::new()));
    if let Some(records) = deployment.record_store().filter(|_| is_deregistered_covered) {
        let names = records.names(&aws, None).await.map_err(|error| error.failure)?;
        let image_ids = names.iter().filter_map(|name| match name {
            RecordName::Expiry(name) => name.image_id(),
            // Its subject is in another Region, or may be.
            RecordName::Copy(_) | RecordName::Ask(_) | RecordName::Decision(_) => None,
        });
        covered.extend(image_ids.filter(|id| !images.contains_key(id)));
    }
    Ok((covered, unsettled))
}

/// Surveys some images. Fails if nothing could be read, or if reading these images takes more time.
async fn survey_some(
    deployment: &Deployment,
    case: Case<'_>,
    run: &Run<'_>,
    outcome: &Outcome,
    is_first: bool,
) -> Result<(Outcome, Surveyed), Vec<Failure>> {
    let aws = deployment.aws.rate_limited();
    let reading_deadline = reading_deadline(case.request.action, run.deadline);
    let is_over = || Instant::now() >= reading_deadline;
    let judgements = Judgements::until(&is_over);
    let reading = aws.until(reading_deadline);
    let read = observe(&reading, deployment.record_store(), &case, &judgements, &deployment.memory).await;
    let facts = read.map_err(|failure| vec![failure])?;
    let mut decisions = decide::decide(&case, &facts, &judgements).map_err(|failure| vec![failure])?;
    let surveyed = Surveyed::new(&case, &facts, &mut decisions);
    if is_nearly_over(reading_deadline) && surveyed.needs_more_time(is_first) {
        return Err(surveyed.unread);
    }
    let mut part = Box::pin(act(deployment, &aws, &case, (&facts, decisions), run, outcome.clone())).await.outcome;
    // Each expiry reads AWS again and has a plan of its own: the facts of the survey are old by now.
    for record in &surveyed.overdue {
        part.absorb(Box::pin(expire(record, run.request_id, case.request.dry_run, deployment, run)).await);
    }
    Ok((part, surveyed))
}

/// Whether so little time is left that no call is retried.
fn is_nearly_over(deadline: Instant) -> bool {
    deadline.saturating_duration_since(Instant::now()) < Duration::from_secs(1)
}
