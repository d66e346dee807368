//! Owns audits and repairs: every owned image in turn, some at a time, as far as the invocation's time goes.

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

/// So many images are read together; what was found at them is kept when time runs out.
const IMAGES_AT_ONCE: usize = 10;

/// With so many findings an answer is full: the rest is the next one's.
const FULL: usize = 500;

/// Looks over the owned images after the request's `nextToken`, and in a repair mends what is this function's own.
pub(super) async fn survey(deployment: &Deployment, case: Case<'_>, run: &Run<'_>, outcome: Outcome) -> Outcome {
    let asked = case.request;
    let images = match images_to_survey(deployment, &case, run.deadline).await {
        Ok(images) => images,
        Err(error) => return failed(outcome, error),
    };
    let is_plan = asked.dry_run && asked.action.writes();
    let result = if is_plan { Status::Planned } else { Status::Completed };
    let mut total = Outcome { result, findings: Some(Vec::new()), ..outcome.clone() };
    let mut place = asked.next_token.clone();
    let mut longest = Duration::ZERO;
    loop {
        let after = place.as_ref().map_or(Bound::Unbounded, |place| Bound::Excluded(&place.after));
        let image_ids: Vec<_> = images.range((after, Bound::Unbounded)).take(IMAGES_AT_ONCE).cloned().collect();
        if image_ids.is_empty() {
            return Outcome { next_token: None, ..total };
        }
        let is_full = total.findings.as_ref().is_some_and(|findings| findings.len() >= FULL);
        if is_full || run.deadline.saturating_duration_since(Instant::now()) < longest {
            return Outcome { next_token: place, ..total };
        }
        let begun = Instant::now();
        let request = Request { image_ids, next_token: place.clone(), ..asked.clone() };
        let part = survey_some(deployment, Case { request: &request, ..case }, run, &outcome).await;
        let is_first = place == asked.next_token;
        // What another try may mend is left for it, and what was found before is not lost: who goes on from here
        // begins with what failed. What no other try mends must not keep the images after it from being looked at.
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

/// The images in the order of their ids: those there are, and those that have records although they are gone. Only
/// those that a rule of the requester covers, so that the place where a survey goes on tells of no other.
async fn images_to_survey(deployment: &Deployment, case: &Case<'_>, deadline: Instant) -> Reading<BTreeSet<ImageId>> {
    let aws = deployment.aws.rate_limited().until(deadline);
    let images = aws.own_images().await.map_err(|error| error.failure)?;
    let mut covered: BTreeSet<_> =
        images.iter().filter(|(_, image)| decide::is_covered(case, image)).map(|(id, _)| id.clone()).collect();
    // What a gone image was called nobody knows: only a rule about every image covers it.
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
    // Each has a plan of its own, made of what is so now: the rest was read long before.
    for record in overdue {
        let hint = ExpiryHint { request_id: outcome.request_id.clone(), record };
        part.absorb(Box::pin(expire(&hint, case.request.dry_run, deployment, run)).await);
    }
    part
}

/// Adds what was found at some more images. Those that are gone belong to no image in particular and are come upon with
/// every one on their key, as long as they are not mended.
fn add(total: &mut Outcome, mut part: Outcome) {
    part.images.retain(|row| !total.images.iter().any(|told| told.image_id == row.image_id));
    if let (Some(found), Some(told)) = (&mut part.findings, &total.findings) {
        found.retain(|finding| !told.contains(finding));
    }
    part.warnings.retain(|warning| !total.warnings.contains(warning));
    total.absorb(part);
}
