//! Owns [`AuditRow`]: one launch permission of an image, and whether its target can launch it.

use serde::Serialize;
use time::OffsetDateTime;

use super::Launch;
use crate::domain::ImageId;

/// One launch permission of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// The image.
    pub image_id: ImageId,
    /// Its name.
    pub name: Option<String>,
    /// An account ID, the ARN of an organization or unit, or `all` for a public image.
    pub target: String,
    /// The kind of launch permission, as `permissions.launch` has it.
    pub how: &'static str,
    /// Whether the target can launch the image.
    pub launch: Launch,
    /// Why, in a sentence.
    pub why: String,
    /// Whether the target may also copy the image; `null` if that is not known.
    pub copy: Option<bool>,
    /// When the share expires; `null` if it does not.
    #[serde(with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    /// The rule of the requester that covers it; `null` if no rule lets anybody share it so.
    pub rule: Option<String>,
}
