//! Owns what a row tells of an image beside its name and its tags.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;

/// Tags whose keys begin so are visible to the accounts that an image is shared with.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#sharing-tags>
const SHARED: &str = "ec2:SharedTag/";

/// The latest scan of Amazon Inspector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScanRow {
    /// The highest severity among its findings, in EC2's word; `null` where there are none.
    pub severity: Option<String>,
    /// When it was; `null` where EC2 does not say so.
    #[serde(with = "time::serde::rfc3339::option")]
    pub at: Option<OffsetDateTime>,
}

/// The keys of the tags that EC2 shows to the accounts an image is shared with.
pub fn shared_tags(tags: &BTreeMap<String, String>) -> Vec<String> {
    tags.keys().filter(|key| key.starts_with(SHARED)).cloned().collect()
}
