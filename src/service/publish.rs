//! Owns outcomes as events: one for each image, on the bus that the deployment names.

use std::time::Duration;

use sharing::{
    domain::ImageId,
    outcome::{Announcement, ByImage, ImageRow, Outcome, Refusal, RefusalCode, Status},
};
use tokio::time::Instant;

use crate::aws::{Aws, BusEvent};

/// The source of all outcomes.
const SOURCE: &str = "ami-share";

/// The longest detail of an event: PutEvents accepts a megabyte in all, and Lambda the same for an asynchronous event.
const MAX_BYTES: usize = 800_000;

/// The longest time for publishing, so that a caller does not wait for a slow bus.
const PUBLISH_TIME: Duration = Duration::from_secs(4);

/// Publishes an outcome. If that fails, the log and a warning in the outcome say so; the request itself is still done.
/// It stops in time for the answer, because a caller learns nothing from an invocation that timed out.
pub(super) async fn publish(aws: &Aws, bus: &str, outcome: &mut Outcome, end: Instant) {
    let until = Instant::now().checked_add(PUBLISH_TIME).map_or(end, |until| until.min(end));
    if let Err(error) = aws.until(until).put_events(bus, &events(outcome)).await {
        tracing::error!(
            request.id = outcome.request_id,
            bus,
            error = error.failure.message,
            "the outcome could not be published"
        );
        outcome.is_unpublished = true;
        // The requester of a share may not see the name of the bus or AWS's message.
        outcome.warnings.push("the outcome could not be published; the function's log says why".to_owned());
    }
}

/// Whether an outcome is published.
pub(super) fn is_published(outcome: &Outcome) -> bool {
    match outcome.announcement {
        Announcement::IfKnown => !is_for_nobody(outcome),
        Announcement::Always => true,
        Announcement::Never => false,
    }
}

/// Whether the request has no requester, or no rule names the requester: such a request causes no event.
fn is_for_nobody(outcome: &Outcome) -> bool {
    let is_about_requester = |refusal: &Refusal| {
        matches!(refusal.code, RefusalCode::Unauthenticated | RefusalCode::RequesterNotAllowed)
            || refusal.code == RefusalCode::MalformedRequest && outcome.requester.is_none()
    };
    outcome.result == Status::Refused && outcome.refusals.iter().all(is_about_requester)
}

/// One event for each image that was read or refused, or that could not be read. Only one event if there is no image, and for an audit, whose
/// findings belong together.
fn events(outcome: &Outcome) -> Vec<BusEvent> {
    let refused = outcome.refusals.iter().filter_map(|refusal| refusal.image_id.as_ref());
    let mut reported: Vec<_> = outcome.images.iter().filter_map(ImageRow::subject).collect();
    for image_id in refused {
        if !reported.contains(&image_id) {
            reported.push(image_id);
        }
    }
    // If nothing was decided about any image, the errors are about the request.
    if !reported.is_empty() {
        let is_unread =
            |id: &ImageId| outcome.errors.iter().any(|error| error.resource.as_deref() == Some(id.as_str()));
        let unread = outcome.asked.image_ids.iter().filter(|id| is_unread(id));
        let unread: Vec<_> = unread.filter(|id| !reported.contains(id)).collect();
        reported.extend(unread);
    }
    let is_one = reported.is_empty() || outcome.findings.is_some();
    let details: Vec<_> = if is_one {
        vec![detail(outcome.clone())]
    } else {
        let by_image = ByImage::new(outcome);
        reported.into_iter().map(|image| detail(by_image.about(image))).collect()
    };
    let event = |detail| BusEvent { source: SOURCE.to_owned(), detail_type: detail_type(outcome.result), detail };
    details.into_iter().map(event).collect()
}

fn detail_type(result: Status) -> &'static str {
    match result {
        Status::Completed => "AMI Share Request Completed",
        Status::Planned => "AMI Share Request Planned",
        Status::Accepted => "AMI Share Request Accepted",
        Status::Refused => "AMI Share Request Refused",
        Status::Incomplete => "AMI Share Request Incomplete",
        Status::Failed => "AMI Share Request Failed",
    }
}

/// The outcome document, no longer than an event may be.
fn detail(mut outcome: Outcome) -> String {
    outcome.write_within(MAX_BYTES).into_text()
}

#[cfg(test)]
mod tests {
    use sharing::outcome::{Finding, FindingCode, Refusal, RefusalCode};

    use super::*;

    #[test]
    fn an_outcome_without_images_is_one_event() {
        let outcome = Outcome::refused("id", vec![Refusal::new(RefusalCode::RequesterNotAllowed, "no")]);
        let events = events(&outcome);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].detail_type, "AMI Share Request Refused");
        assert!(events[0].detail.contains("RequesterNotAllowed"));
    }

    #[track_caller]
    fn check(outcome: Outcome) {
        let detail = &events(&outcome)[0].detail;
        assert!(outcome.to_text().len() > MAX_BYTES && detail.len() <= MAX_BYTES, "{}", detail.len());
        assert_eq!(detail.matches("shortened: ").count(), 1, "{detail}");
    }

    #[test]
    fn an_event_is_never_too_long() {
        let refusals = (0..10_000).map(|_| Refusal::new(RefusalCode::TargetNotAllowed, "x".repeat(200))).collect();
        check(Outcome::refused("id", refusals));
        let remedy = "statement ".repeat(1_000);
        let finding = || Finding {
            code: FindingCode::KeyAccessLost,
            image_id: "ami-1a2b3c4d".parse().unwrap(),
            target: None,
            message: String::new(),
            remedy: remedy.clone(),
        };
        let findings = Some((0..500).map(|_| finding()).collect());
        check(Outcome { findings, ..Outcome::new("id", Status::Completed) });
        check(Outcome { warnings: vec![remedy.repeat(200)], ..Outcome::new("id", Status::Completed) });
    }
}
