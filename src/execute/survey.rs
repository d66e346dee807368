//! Owns audits and repairs: every owned image in turn, ten at a time, as long as the invocation has time.

use std::{collections::BTreeSet, ops::Bound, time::Duration};

use sharing::{
    decide::{self, Case},
    domain::ImageId,
    facts::{Image, Reading},
    outcome::{ErrorCode, Outcome, Status},
    read_plan::sources_of_uncovered,
    records::RecordName,
    report::failed,
    request::{NextToken, Request},
};
use tokio::time::Instant;

use super::{automation::expire, pursue::pursue, time_limits::reading_deadline};
use crate::{
    deployment::{Deployment, Run},
    observe::read_sources,
};

/// The number of images that are read together. Their findings are kept if time runs out later.
const IMAGES_AT_ONCE: usize = 10;

/// With this many findings an answer is full: the next answer has the others.
const FULL: usize = 500;

/// Audits the owned images after the request's `nextToken`. A repair also fixes what this function itself created.
pub(super) async fn survey(deployment: &Deployment, case: Case<'_>, run: &Run<'_>, outcome: Outcome) -> Outcome {
    let asked = case.request;
    let images = match images_to_survey(deployment, &case, run.deadline).await {
        Ok(images) => images,
        Err(error) => return failed(outcome, error),
    };
    let is_plan = asked.dry_run && asked.action.writes();
    let result = if is_plan { Status::Planned } else { Status::Completed };
    let total = Outcome { result, findings: Some(Vec::new()), ..outcome.clone() };
    let mut progress = Progress { total, place: asked.next_token.clone(), unread: None, is_any_read: false };
    let mut longest = Duration::ZERO;
    loop {
        let after = progress.place.as_ref().map_or(Bound::Unbounded, |place| Bound::Excluded(&place.after));
        let image_ids: Vec<_> = images.range((after, Bound::Unbounded)).take(IMAGES_AT_ONCE).cloned().collect();
        if image_ids.is_empty() {
            progress.place = None;
            return progress.end();
        }
        let is_full = progress.total.findings.as_ref().is_some_and(|findings| findings.len() >= FULL);
        if is_full || run.deadline.saturating_duration_since(Instant::now()) < longest {
            return progress.end();
        }
        let (begun, reading_until) = (Instant::now(), reading_deadline(asked.action, run.deadline));
        let request = Request { image_ids, next_token: progress.place.clone(), ..asked.clone() };
        let part = survey_some(deployment, Case { request: &request, ..case }, run, &outcome).await;
        let is_first = progress.place == asked.next_token;
        let needs_time = part.retryable && is_over(reading_until) && (!is_first || is_out_of_time(&part));
        // If these images need more time, or nothing at all could be read, the survey stops here and keeps the findings so
        // far: the next request begins with these images.
        if part.result == Status::Failed && (part.next_token.is_none() || needs_time) {
            return if is_first { part } else { progress.end() };
        }
        progress.add(part, &request.image_ids, result);
        if progress.place.is_none() {
            return progress.end();
        }
        longest = longest.max(begun.elapsed());
    }
}

/// How far a survey has got.
struct Progress {
    /// What was found so far.
    total: Outcome,
    /// Where it goes on.
    place: Option<NextToken>,
    /// The first part with an image that could not be read, though another try may help.
    unread: Option<Outcome>,
    /// Whether any image was read.
    is_any_read: bool,
}

impl Progress {
    /// Adds the findings of more images. A fault of one image must not keep the others from being looked at for ever: the
    /// survey goes on without it, and says so.
    fn add(&mut self, mut part: Outcome, image_ids: &[ImageId], result: Status) {
        self.place.clone_from(&part.next_token);
        if part.retryable {
            self.is_any_read |= unread(&part, image_ids) < image_ids.len();
            self.unread.get_or_insert_with(|| part.clone());
            pass_over(&mut part, result);
        } else {
            self.is_any_read = true;
        }
        add(&mut self.total, part);
    }

    /// The answer. Where nothing could be read, that is the fault of no single image: then another try is for all.
    fn end(self) -> Outcome {
        match self.unread {
            Some(part) if !self.is_any_read => part,
            _ => Outcome { next_token: self.place, ..self.total },
        }
    }
}

/// The images in the order of their IDs: those that exist, and deregistered ones that have records. Only images that a
/// rule of the requester covers, because a `nextToken` shows the ID of an image.
async fn images_to_survey(deployment: &Deployment, case: &Case<'_>, deadline: Instant) -> Reading<BTreeSet<ImageId>> {
    let aws = deployment.aws.rate_limited().until(deadline);
    let mut images = aws.own_images().await.map_err(|error| error.failure)?;
    read_sources(&aws, case.account, &sources_of_uncovered(case, &images), &mut images).await?;
    let mut covered: BTreeSet<_> =
        images.iter().filter(|(_, image)| decide::is_covered(case, image)).map(|(id, _)| id.clone()).collect();
    // The name and tags of a deregistered image are not known, so only a rule about every image covers it.
    let is_deregistered_covered = decide::is_covered(case, &Image::deregistered(case.account, Vec::new()));
    if let Some(records) = deployment.record_store().filter(|_| is_deregistered_covered) {
        let names = records.names(&aws, None).await.map_err(|error| error.failure)?;
        let image_ids = names.iter().filter_map(|name| match name {
            RecordName::Expiry(name) => name.image_id(),
            // What it is about is in another Region, or may be.
            RecordName::Copy(_) => None,
        });
        covered.extend(image_ids.filter(|id| !images.contains_key(id)));
    }
    Ok(covered)
}

async fn survey_some(deployment: &Deployment, case: Case<'_>, run: &Run<'_>, outcome: &Outcome) -> Outcome {
    let (mut part, overdue) = Box::pin(pursue(deployment, case, run, outcome.clone())).await;
    // Each expiry reads AWS again and has a plan of its own: the facts of the survey are old by now.
    for record in overdue {
        part.absorb(Box::pin(expire(&record, &outcome.request_id, case.request.dry_run, deployment, run)).await);
    }
    part
}

/// Whether so little time is left that no call is tried again.
fn is_over(deadline: Instant) -> bool {
    deadline.saturating_duration_since(Instant::now()) < Duration::from_secs(1)
}

fn is_out_of_time(part: &Outcome) -> bool {
    part.errors.iter().any(|error| error.code == ErrorCode::OutOfTime)
}

/// How many of these images another try may tell more of.
fn unread(part: &Outcome, image_ids: &[ImageId]) -> usize {
    let is_unread = |id: &&ImageId| {
        part.errors.iter().any(|error| error.retryable && error.resource.as_deref() == Some(id.as_str()))
    };
    image_ids.iter().filter(is_unread).count()
}

/// Goes on without what could not be read: it is told in warnings, like what can't be read at all. What a repair could not
/// do stays an error.
fn pass_over(part: &mut Outcome, result: Status) {
    part.retryable = false;
    if part.images.is_empty() {
        let (unread, others): (Vec<_>, Vec<_>) = part.errors.drain(..).partition(|error| error.retryable);
        part.warnings.extend(unread.into_iter().map(|error| error.message));
        part.errors = others;
        if part.errors.is_empty() {
            part.result = result;
        }
    }
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
