//! Owns the automatic triggers: EC2's events about images, and the hints to look at a record.

use key_policy::json::Json;
use sharing::{
    decide::SentAt,
    domain::{AccountId, ImageId, Requester, quoted},
    records::{self, RecordName},
    request::{FaultKind, Malformed},
};

use super::{
    envelope::{Invocation, request_id},
    eventbridge,
};

/// The detail-type of EC2's own events about images.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitor-ami-events.html>
pub(super) const IMAGE_STATE: &str = "EC2 AMI State Change";

/// An image whose state changed.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageEvent {
    /// The ID of the event.
    pub request_id: String,
    /// The account that the event is about. Events about other accounts are ignored.
    pub account: AccountId,
    /// The Region that the event is about. Events about other Regions are ignored.
    pub region: Option<String>,
    /// The requester, which rules with `onAvailable` name.
    pub requester: Requester,
    /// When EC2 sent it.
    pub sent: SentAt,
    /// The image.
    pub image_id: ImageId,
    /// Its state.
    pub state: StateInEvent,
}

/// The state of an image, as far as an event about it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateInEvent {
    /// It was created, copied, registered, restored or enabled again.
    Available,
    /// EC2 could not make it.
    Failed,
    /// Another state.
    Other,
}

/// A hint to look at a record. Nothing in it is trusted except the name of the record.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordHint {
    /// The ID of the event, or Lambda's ID of the invocation.
    pub request_id: String,
    /// The record.
    pub record: RecordName,
}

pub(super) fn image_event(event: &Json, invocation: &Invocation<'_>) -> Result<ImageEvent, Malformed> {
    let text = |path: &[&str]| event.at(path).and_then(Json::as_str);
    if text(&["source"]) != Some("aws.ec2") {
        return Err(Malformed::document(
            FaultKind::BadFormat,
            format!("`{IMAGE_STATE}` from another source than aws.ec2"),
        ));
    }
    let account: AccountId = text(&["account"])
        .and_then(|account| account.parse().ok())
        .ok_or_else(|| Malformed::document(FaultKind::Missing, "the event has no `account` of twelve digits"))?;
    let state = match text(&["detail", "State"]) {
        Some("available") => StateInEvent::Available,
        Some("failed") => StateInEvent::Failed,
        Some(_) | None => StateInEvent::Other,
    };
    let image_id = text(&["detail", "ImageId"]).unwrap_or_default();
    let image_id: ImageId =
        image_id.parse().map_err(|error| Malformed::document(FaultKind::BadFormat, format!("{error}")))?;
    Ok(ImageEvent {
        request_id: request_id(event.get("id")).unwrap_or(invocation.request_id).to_owned(),
        account,
        region: text(&["region"]).map(str::to_owned),
        requester: Requester::new(format!("events:{account}:aws.ec2")),
        sent: eventbridge::sent(event),
        image_id,
        state,
    })
}

/// The hint in an event of Scheduler on the bus.
pub(super) fn record_event(event: &Json, invocation: &Invocation<'_>) -> Result<RecordHint, Malformed> {
    if event.get("source").and_then(Json::as_str) != Some(records::SOURCE) {
        return Err(Malformed::document(
            FaultKind::BadFormat,
            format!("`{}` from another source than {}", records::DETAIL_TYPE, records::SOURCE),
        ));
    }
    let detail =
        event.get("detail").ok_or_else(|| Malformed::document(FaultKind::Missing, "the event has no `detail`"))?;
    if !is_expire(detail) {
        return Err(Malformed::document(
            FaultKind::BadFormat,
            "the event's `detail` has another `action` than `expire`",
        ));
    }
    let request_id = request_id(event.get("id")).unwrap_or(invocation.request_id);
    Ok(RecordHint { request_id: request_id.to_owned(), ..record_hint(detail, invocation)? })
}

/// The hint in a document that names a record.
pub(super) fn record_hint(document: &Json, invocation: &Invocation<'_>) -> Result<RecordHint, Malformed> {
    let name = document.get("schedule").and_then(Json::as_str).unwrap_or_default();
    let record = name.parse().map_err(|_| {
        Malformed::document(FaultKind::BadFormat, format!("`schedule` is {}, not the name of a record", quoted(name)))
    })?;
    Ok(RecordHint { request_id: invocation.request_id.to_owned(), record })
}

/// Whether a document is such a hint.
pub(super) fn is_expire(document: &Json) -> bool {
    document.get("action").and_then(Json::as_str) == Some("expire")
}
