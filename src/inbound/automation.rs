//! Owns the doors that no person stands at: an image that became available, and a share whose end has come.

use super::{Invocation, Sent, eventbridge, request_id};
use crate::{
    domain::{AccountId, ImageId, Requester, ScheduleName, quoted},
    json::Json,
    request::Malformed,
};

/// The detail-type of EC2's own events about images.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitor-ami-events.html>
pub(super) const IMAGE_STATE: &str = "EC2 AMI State Change";

/// An image that became available: created, copied, registered, restored or enabled again.
#[derive(Debug, Clone, PartialEq)]
pub struct Available {
    /// The event's id.
    pub request_id: String,
    /// The account the event is of; only this function's own counts.
    pub account: AccountId,
    /// The requester that rules with `onAvailable` name.
    pub requester: Requester,
    /// When EC2 sent it.
    pub sent: Sent,
    /// The image; none where the event is about another state.
    pub image_id: Option<ImageId>,
}

/// A hint that a share may have reached its end. It carries nothing that is believed but the name of its record.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// Lambda's id of the invocation.
    pub request_id: String,
    /// The schedule.
    pub schedule: ScheduleName,
}

pub(super) fn available(envelope: &Json, invocation: &Invocation<'_>) -> Result<Available, Malformed> {
    let text = |path: &[&str]| envelope.at(path).and_then(Json::as_str);
    if text(&["source"]) != Some("aws.ec2") {
        return Err(Malformed::document(format!("`{IMAGE_STATE}` from another source than aws.ec2")));
    }
    let account: AccountId = text(&["account"])
        .and_then(|account| account.parse().ok())
        .ok_or_else(|| Malformed::document("the event has no `account` of twelve digits"))?;
    let is_available = text(&["detail", "State"]) == Some("available");
    let image_id = text(&["detail", "ImageId"]).unwrap_or_default();
    let image_id: ImageId = image_id.parse().map_err(|error| Malformed::document(format!("{error}")))?;
    Ok(Available {
        request_id: request_id(envelope.get("id")).unwrap_or(invocation.request_id).to_owned(),
        account,
        requester: Requester::new(format!("events:{account}:aws.ec2")),
        sent: eventbridge::sent(envelope),
        image_id: is_available.then_some(image_id),
    })
}

pub(super) fn due(document: &Json, invocation: &Invocation<'_>) -> Result<Due, Malformed> {
    let name = document.get("schedule").and_then(Json::as_str).unwrap_or_default();
    let schedule = name.parse().map_err(|_| {
        Malformed::document(format!("`schedule` is {}, not the name of a share's schedule", quoted(name)))
    })?;
    Ok(Due { request_id: invocation.request_id.to_owned(), schedule })
}
