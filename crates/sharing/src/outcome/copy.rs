//! Owns what a row says of a copy: [`Source`], what it is a copy of, and [`CopyState`], how far it is.

use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    domain::{ImageId, KeyArn, Region},
    facts::RegionalImage,
};

/// The image that a copy is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Its Region.
    pub region: Region,
    /// The image.
    pub image_id: ImageId,
}

impl From<RegionalImage> for Source {
    fn from(RegionalImage { region, id: image_id }: RegionalImage) -> Self {
        Self { region, image_id }
    }
}

/// How a copy is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyState {
    /// EC2's word for the state of the copy; `none` where there is no copy yet.
    pub state: String,
    /// The key that it is encrypted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_arn: Option<KeyArn>,
    /// How long a share waits for it, where one does.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
}

impl CopyState {
    /// Whether shares wait for the copy: EC2 is making it, or has not begun.
    pub fn is_awaited(&self) -> bool {
        matches!(self.state.as_str(), "none" | "pending")
    }
}
