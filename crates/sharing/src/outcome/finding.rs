//! Owns [`Finding`]: what an audit came upon, with what to do about it.

use serde::Serialize;

use crate::domain::{ImageId, Target};

/// One thing that is not as the allowlist and the records say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The kind of drift.
    pub code: FindingCode,
    /// The image it is about, which may be gone.
    pub image_id: ImageId,
    /// The target it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// The kinds of drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum FindingCode {
    /// An image, or a snapshot behind it, is shared in a way that no rule covers.
    SharedOutsideAllowlist,
    /// An image, or a snapshot behind it, is public.
    PublicImage,
    /// An account may create volumes from a snapshot although no image on it is shared with the account.
    SnapshotPermissionLeft,
    /// A grant of ours is there for a share that is not.
    GrantLeft,
    /// An image is shared with a target that a key does not let in any more: its instances die at launch.
    KeyAccessLost,
    /// A rule shares matching images by itself, and this one is not shared.
    RuleNotApplied,
    /// The expiry time of a share has passed and its record is still there.
    ShareOverdue,
    /// A share that may only be for a time has no record of its expiry.
    ExpiryMissing,
    /// A copy is left whose source is deregistered, or that nobody has access to.
    CopyOrphaned,
    /// A copy that failed is left.
    CopyFailedLeft,
}

impl FindingCode {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::SharedOutsideAllowlist,
        Self::PublicImage,
        Self::SnapshotPermissionLeft,
        Self::GrantLeft,
        Self::KeyAccessLost,
        Self::RuleNotApplied,
        Self::ShareOverdue,
        Self::ExpiryMissing,
        Self::CopyOrphaned,
        Self::CopyFailedLeft,
    ];

    /// The code as documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SharedOutsideAllowlist => "SharedOutsideAllowlist",
            Self::PublicImage => "PublicImage",
            Self::SnapshotPermissionLeft => "SnapshotPermissionLeft",
            Self::GrantLeft => "GrantLeft",
            Self::KeyAccessLost => "KeyAccessLost",
            Self::RuleNotApplied => "RuleNotApplied",
            Self::ShareOverdue => "ShareOverdue",
            Self::ExpiryMissing => "ExpiryMissing",
            Self::CopyOrphaned => "CopyOrphaned",
            Self::CopyFailedLeft => "CopyFailedLeft",
        }
    }
}
