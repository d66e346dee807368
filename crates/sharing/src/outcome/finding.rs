//! Owns [`Finding`]: what an audit found, and what to do about it.

use serde::Serialize;

use crate::domain::{ImageId, Target};

/// A difference between the access in AWS, and the allowlist and the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The kind of drift.
    pub code: FindingCode,
    /// The image, which may be deregistered.
    pub image_id: ImageId,
    /// The target, if the finding concerns one.
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
    /// One of our grants belongs to a share that does not exist.
    GrantLeft,
    /// An image is shared with a target that can't use a key any more: its instances would fail at launch.
    KeyAccessLost,
    /// A rule has `onAvailable`, and a matching image is not shared.
    RuleNotApplied,
    /// The expiry time of a share has passed, and its record still exists.
    ShareOverdue,
    /// A share that only rules with `maxDuration` allow has no record of its expiry.
    ExpiryMissing,
    /// A copy whose source was deregistered, or that is shared with nobody.
    CopyOrphaned,
    /// An image in the state `failed`, because EC2 could not make the copy.
    CopyFailedLeft,
    /// A parameter names an image that its readers can't launch.
    ParameterStale,
    /// The record of a share that waited for approval still exists after its time.
    ApprovalLeft,
}

impl FindingCode {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 12] = [
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
        Self::ParameterStale,
        Self::ApprovalLeft,
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
            Self::ParameterStale => "ParameterStale",
            Self::ApprovalLeft => "ApprovalLeft",
        }
    }
}
