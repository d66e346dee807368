//! Owns the automatic triggers: an image that became available, and the expiry of a share.

use key_policy::json::Json;
use sharing::{
    decide::SentAt,
    domain::{AccountId, ExpiryName, ImageId, Requester, quoted},
    records,
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

/// An image that became available: created, copied, registered, restored or enabled again.
#[derive(Debug, Clone, PartialEq)]
pub struct Available {
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
    /// The image; `None` where the event is about another state.
    pub image_id: Option<ImageId>,
}

/// A hint that the expiry of a share may be due. Nothing in it is trusted except the name of the record.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpiryHint {
    /// The ID of the event, or Lambda's ID of the invocation.
    pub request_id: String,
    /// The record.
    pub record: ExpiryName,
}

pub(super) fn available(event: &Json, invocation: &Invocation<'_>) -> Result<Available, Malformed> {
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
    let is_available = text(&["detail", "State"]) == Some("available");
    let image_id = text(&["detail", "ImageId"]).unwrap_or_default();
    let image_id: ImageId =
        image_id.parse().map_err(|error| Malformed::document(FaultKind::BadFormat, format!("{error}")))?;
    Ok(Available {
        request_id: request_id(event.get("id")).unwrap_or(invocation.request_id).to_owned(),
        account,
        region: text(&["region"]).map(str::to_owned),
        requester: Requester::new(format!("events:{account}:aws.ec2")),
        sent: eventbridge::sent(event),
        image_id: is_available.then_some(image_id),
    })
}

/// The hint in an event of Scheduler on the bus.
pub(super) fn expiry_event(event: &Json, invocation: &Invocation<'_>) -> Result<ExpiryHint, Malformed> {
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
    Ok(ExpiryHint { request_id: request_id.to_owned(), ..expiry(detail, invocation)? })
}

/// The hint in a document that names a record.
pub(super) fn expiry(document: &Json, invocation: &Invocation<'_>) -> Result<ExpiryHint, Malformed> {
    let name = document.get("schedule").and_then(Json::as_str).unwrap_or_default();
    let record = name.parse().map_err(|_| {
        Malformed::document(
            FaultKind::BadFormat,
            format!("`schedule` is {}, not the name of an expiry's record", quoted(name)),
        )
    })?;
    Ok(ExpiryHint { request_id: invocation.request_id.to_owned(), record })
}

/// Whether a document is such a hint.
pub(super) fn is_expire(document: &Json) -> bool {
    document.get("action").and_then(Json::as_str) == Some("expire")
}
