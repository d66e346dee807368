//! Owns what the catalogue says about an image: what it is, and what the requester's rules allow.

use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    domain::Target,
    request::{Access, Action},
};

/// What the catalogue says about an image besides what every row has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CatalogueRow {
    /// When it was created; `null` if EC2 does not say so.
    #[serde(with = "time::serde::rfc3339::option")]
    pub created: Option<OffsetDateTime>,
    /// The kind of machine it is for, as EC2 names it, such as `arm64`; `null` if EC2 does not say so.
    pub architecture: Option<String>,
    /// Whether a snapshot behind it is encrypted, so that a target needs its key.
    pub encrypted: bool,
    /// EC2's name of its state, such as `available`.
    pub state: String,
    /// The rules of the requester that cover it, in the order of the allowlist.
    pub may: Vec<MayRow>,
}

/// What one rule lets the requester do with an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MayRow {
    /// The name of the rule.
    pub rule: String,
    /// The actions that it allows.
    pub actions: Vec<Action>,
    /// The targets that it names.
    pub targets: Vec<MayTarget>,
    /// The highest access that a share may give.
    pub access: Access,
    /// How long a share lasts at most, such as `30d`; `null` if it may last forever.
    pub max_duration: Option<String>,
    /// Whether a share by this rule waits for an approval.
    pub approval: bool,
}

/// A target that a rule names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MayTarget {
    /// The account ID, or the ARN of the organization or unit.
    pub id: Target,
    /// The account's name in the directory; `null` if it has none there.
    pub name: Option<String>,
}
