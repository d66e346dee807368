//! Owns what a row says about a copy: [`Source`], its source image, and [`CopyState`], its state.

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

/// The state of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyState {
    /// The state as EC2 names it; `none` if there is no copy yet.
    pub state: String,
    /// The key that it is encrypted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_arn: Option<KeyArn>,
    /// How long a share waits for it, if one does.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
}

impl CopyState {
    /// Whether shares wait for the copy: EC2 is making it, or has not begun.
    pub fn is_awaited(&self) -> bool {
        matches!(self.state.as_str(), "none" | "pending")
    }
}
