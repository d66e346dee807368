//! Owns audits and repairs: every owned image in turn, ten at a time, as long as the invocation has time.

use std::{collections::BTreeSet, ops::Bound, time::Duration};

use sharing::{
    decide::{self, Case},
    domain::ImageId,
    facts::{Image, Reading},
    outcome::{Outcome, Status},
    records::RecordName,
    report::failed,
    request::Request,
};
use tokio::time::Instant;
use triggers::ExpiryHint;

use super::{automation::expire, pursue::pursue};
use crate::deployment::{Deployment, Run};

/// The number of images that are read together. Their findings are kept if time runs out later.
const IMAGES_AT_ONCE: usize = 10;

/// With this many findings an answer is full: the next answer has the others.
const FULL: usize = 500;

/// With this many rows it is full, too.
const FULL_OF_ROWS: usize = 1_000;

/// Audits the owned images after the request's `nextToken`. A repair also fixes what this function itself created.
pub(super) async fn survey(deployment: &Deployment, case: Case<'_>, run: &Run<'_>, outcome: Outcome) -> Outcome {
    let asked = case.request;
    let images = match images_to_survey(deployment, &case, run.deadline).await {
        Ok(images) => images,
        Err(error) => return failed(outcome, error),
    };
    let is_plan = asked.dry_run && asked.action.writes();
    let result = if is_plan { Status::Planned } else { Status::Completed };
    let mut total = Outcome { result, findings: Some(Vec::new()), rows: asked.rows.then(Vec::new), ..outcome.clone() };
    let mut place = asked.next_token.clone();
    let mut longest = Duration::ZERO;
    loop {
        let after = place.as_ref().map_or(Bound::Unbounded, |place| Bound::Excluded(&place.after));
        let image_ids: Vec<_> = images.range((after, Bound::Unbounded)).take(IMAGES_AT_ONCE).cloned().collect();
        if image_ids.is_empty() {
            return Outcome { next_token: None, ..total };
        }
        let is_full = total.findings.as_ref().is_some_and(|findings| findings.len() >= FULL)
            || total.rows.as_ref().is_some_and(|rows| rows.len() >= FULL_OF_ROWS);
        if is_full || run.deadline.saturating_duration_since(Instant::now()) < longest {
            return Outcome { next_token: place, ..total };
        }
        let begun = Instant::now();
        let request = Request { image_ids, next_token: place.clone(), ..asked.clone() };
        let part = survey_some(deployment, Case { request: &request, ..case }, run, &outcome).await;
        let is_first = place == asked.next_token;
        // If a retry may help, the survey stops here and keeps the findings so far: the next request begins with the
        // images that failed. If a retry can't help, the survey continues with the images after them.
        if part.result == Status::Failed && (part.retryable || part.next_token.is_none()) {
            return if is_first { part } else { Outcome { next_token: place, ..total } };
        }
        place.clone_from(&part.next_token);
        add(&mut total, part);
        if place.is_none() {
            return total;
        }
        longest = longest.max(begun.elapsed());
    }
}

/// The images in the order of their IDs: those that exist, and deregistered ones that have records. Only images that a
/// rule of the requester covers, because a `nextToken` shows the ID of an image.
async fn images_to_survey(deployment: &Deployment, case: &Case<'_>, deadline: Instant) -> Reading<BTreeSet<ImageId>> {
    let aws = deployment.aws.rate_limited().until(deadline);
    let images = aws.own_images().await.map_err(|error| error.failure)?;
    let mut covered: BTreeSet<_> =
        images.iter().filter(|(_, image)| decide::is_covered(case, image)).map(|(id, _)| id.clone()).collect();
    // The name and tags of a deregistered image are not known, so only a rule about every image covers it.
    let is_deregistered_covered = decide::is_covered(case, &Image::deregistered(case.account, Vec::new()));
    if let Some(records) = deployment.record_store().filter(|_| is_deregistered_covered) {
        let names = records.names(&aws, None).await.map_err(|error| error.failure)?;
        let image_ids = names.iter().filter_map(|RecordName::Expiry(name)| name.image_id());
        covered.extend(image_ids.filter(|id| !images.contains_key(id)));
    }
    Ok(covered)
}

async fn survey_some(deployment: &Deployment, case: Case<'_>, run: &Run<'_>, outcome: &Outcome) -> Outcome {
    let (mut part, overdue) = Box::pin(pursue(deployment, case, run, outcome.clone())).await;
    // Each expiry reads AWS again and has a plan of its own: the facts of the survey are old by now.
    for record in overdue {
        let hint = ExpiryHint { request_id: outcome.request_id.clone(), record };
        part.absorb(Box::pin(expire(&hint, case.request.dry_run, deployment, run)).await);
    }
    part
}

/// Adds the findings of more images. A finding about a deregistered image is reported with every image on the same key,
/// so duplicates are removed.
fn add(total: &mut Outcome, mut part: Outcome) {
    part.images.retain(|row| !total.images.iter().any(|earlier| earlier.subject() == row.subject()));
    if let (Some(found), Some(earlier)) = (&mut part.findings, &total.findings) {
        found.retain(|finding| !earlier.contains(finding));
    }
    part.warnings.retain(|warning| !total.warnings.contains(warning));
    total.absorb(part);
}
