//! Owns audits and repairs: every owned image in turn, some at a time, as far as the invocation's time goes, and how
//! the rest is sent on its way.

use std::{collections::BTreeSet, ops::Bound, time::Duration};

use serde_json::json;
use sharing::{
    decide::{self, Question},
    domain::{AccountId, ExpiryName, ImageId, Requester},
    facts::{Image, Reading},
    outcome::{Outcome, Status},
    request::{Action, Request},
};
use tokio::time::Instant;
use triggers::{ExpiryHint, REQUEST_DETAIL_TYPE, Trigger};

use super::{Context, Service, failed};
use crate::aws::BusEvent;

/// So many images are read together; what was found at them is kept when time runs out.
const IMAGES_AT_ONCE: usize = 10;

/// With so many findings an answer is full: the rest is the next one's.
const FULL: usize = 500;

impl Service {
    /// Looks over the owned images after the request's `nextToken`, and in a repair mends what is this function's own.
    pub(super) async fn survey(
        &self,
        question: Question<'_>,
        context: &Context<'_>,
        deadline: Instant,
        outcome: Outcome,
    ) -> Outcome {
        let asked = question.request;
        let images = match self.images_to_survey(&question, context, deadline).await {
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
            if is_full || deadline.saturating_duration_since(Instant::now()) < longest {
                return Outcome { next_token: place, ..total };
            }
            let begun = Instant::now();
            let request = Request { image_ids, next_token: place.clone(), ..asked.clone() };
            let part = self.survey_some(Question { request: &request, ..question }, context, deadline, &outcome).await;
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
    async fn images_to_survey(
        &self,
        question: &Question<'_>,
        context: &Context<'_>,
        deadline: Instant,
    ) -> Reading<BTreeSet<ImageId>> {
        let aws = self.aws.rate_limited().until(deadline);
        let images = aws.own_images().await.map_err(|error| error.row)?;
        let mut covered: BTreeSet<_> =
            images.iter().filter(|(_, image)| decide::is_covered(question, image)).map(|(id, _)| id.clone()).collect();
        // What a gone image was called nobody knows: only a rule about every image covers it.
        let is_deregistered_covered = decide::is_covered(question, &Image::deregistered(question.account, Vec::new()));
        if let Some(schedules) = self.schedules(context).filter(|_| is_deregistered_covered) {
            let names = aws.expiry_names(&schedules, None).await.map_err(|error| error.row)?;
            covered.extend(names.iter().filter_map(ExpiryName::image_id).filter(|id| !images.contains_key(id)));
        }
        Ok(covered)
    }

    async fn survey_some(
        &self,
        question: Question<'_>,
        context: &Context<'_>,
        deadline: Instant,
        outcome: &Outcome,
    ) -> Outcome {
        let mut part = Box::pin(self.pursue(question, context, deadline, outcome.clone())).await;
        if question.request.action == Action::Repair {
            for record in std::mem::take(&mut part.overdue) {
                let hint = ExpiryHint { request_id: outcome.request_id.clone(), record };
                part.absorb(Box::pin(self.expire(&hint, question.request.dry_run, context, deadline)).await);
            }
        }
        part
    }

    /// Sends the rest of a survey that nobody waits for on its way: the same request, with where it goes on, from the
    /// same source on the bus that this function listens to.
    ///
    /// By the bus and not by a queue of its own, because Lambda stops a function that sends itself messages through
    /// SQS after about sixteen rounds: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
    pub(super) async fn go_on(&self, account: AccountId, outcome: &mut Outcome, until: Instant) {
        let Some(place) = &outcome.next_token else { return };
        let by_hand = format!(
            "images after {} were not looked at: send the request again with this `nextToken`; it goes on by itself where \
             AMI_SHARE_REQUEST_BUS is set and an event of this account asked, from a source by which the function's role \
             may put events there",
            place.after
        );
        let source = outcome.requester.as_ref().and_then(|requester| own_source(requester, account));
        let (Some(bus), Some(source)) = (&self.request_bus, source) else {
            outcome.warnings.push(by_hand);
            return;
        };
        let mut rest = json!({"action": outcome.action, "nextToken": place, "dryRun": outcome.dry_run});
        if let (Some(reason), Some(rest)) = (&outcome.reason, rest.as_object_mut()) {
            rest.insert("reason".to_owned(), json!(reason));
        }
        let event = BusEvent { source: source.to_owned(), detail_type: REQUEST_DETAIL_TYPE, detail: rest.to_string() };
        match self.aws.until(until).put_events(bus, &[event]).await {
            Ok(()) => outcome.continues = true,
            Err(error) if error.row.retryable => {
                // Then Lambda's retry looks at these images again, and tries to go on again.
                outcome.result = Status::Failed;
                outcome.retryable = true;
                outcome.errors.push(error.row);
            }
            Err(error) => outcome.warnings.extend([by_hand, error.row.message]),
        }
    }
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

/// The source of an event of this account, by which the rest of its request can be told to come from it too.
fn own_source(requester: &Requester, account: AccountId) -> Option<&str> {
    requester.as_str().strip_prefix(&format!("events:{account}:"))
}

/// Whether nobody waits for the answer who could ask for the rest. What another try may mend comes again as it was, and
/// must not go on twice.
pub(super) fn continues_by_itself(trigger: Trigger, outcome: &Outcome) -> bool {
    !trigger.is_synchronous() && !outcome.retryable
}
