//! Owns what a row says about an image besides its name and its tags.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;

/// Tags whose keys have this prefix are visible to the accounts with which an image is shared.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#sharing-tags>
const SHARED: &str = "ec2:SharedTag/";

/// The latest scan of Amazon Inspector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScanRow {
    /// The highest severity among its findings, as EC2 names it; `null` if there are none.
    pub severity: Option<String>,
    /// When the image was scanned; `null` if EC2 does not say.
    #[serde(with = "time::serde::rfc3339::option")]
    pub at: Option<OffsetDateTime>,
}

/// The keys of the tags that EC2 shows to the accounts with which an image is shared.
pub fn shared_tags(tags: &BTreeMap<String, String>) -> Vec<String> {
    tags.keys().filter(|key| key.starts_with(SHARED)).cloned().collect()
}
