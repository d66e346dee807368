//! Owns [`Facts`]: what AWS said before anything is decided. Gathered by `observe`, judged by `decide`.

use std::collections::BTreeMap;

use crate::{
    domain::{AccountId, ImageId, KeyArn, SnapshotId, Target},
    key_access::Grant,
    outcome::ErrorRow,
};

/// A fact, or why it could not be found out.
pub type Reading<T> = Result<T, ErrorRow>;

/// What AWS said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// The images that exist, whoever owns them.
    pub images: BTreeMap<ImageId, Image>,
    /// The keys behind them, as far as the action needs them.
    pub keys: BTreeMap<KeyArn, Key>,
}

/// One image.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// The account that owns it.
    pub owner: AccountId,
    /// `available`, `pending`, `disabled` …
    pub state: ImageState,
    /// Its name.
    pub name: Option<String>,
    /// Its tags; EC2 shows the owner's only.
    pub tags: BTreeMap<String, String>,
    /// When it becomes deprecated, as EC2 writes it.
    pub deprecation_time: Option<String>,
    /// Whether it carries AWS Marketplace product codes.
    pub has_product_codes: bool,
    /// Who may launch it.
    pub launch_permissions: Reading<Vec<LaunchPermission>>,
    /// The snapshots behind it; empty for instance-store images. Read only where the action needs them.
    pub snapshots: Reading<Vec<Snapshot>>,
    /// The accounts that may create volumes from each snapshot. Read only where the action needs them.
    pub create_volume_permissions: Vec<(SnapshotId, Reading<Vec<AccountId>>)>,
}

/// The state of an image.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Image.html> (`imageState`)
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageState {
    /// It can be launched and shared.
    Available,
    /// It is being made.
    Pending,
    /// It was disabled, which removed its launch permissions:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/disable-an-ami.html>
    Disabled,
    /// Anything else, in EC2's word.
    Other(String),
}

impl ImageState {
    /// EC2's word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Available => "available",
            Self::Pending => "pending",
            Self::Disabled => "disabled",
            Self::Other(state) => state,
        }
    }
}

/// One entry of an image's launch permissions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LaunchPermission {
    /// Everybody.
    Public,
    /// One target.
    To(Target),
}

/// One snapshot behind an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// The key it is encrypted with; none for an unencrypted one.
    pub key: Option<KeyArn>,
}

/// One KMS key.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// What kind of key it is and how it is.
    pub metadata: Reading<KeyMetadata>,
    /// Its key policy, as text.
    pub policy: Reading<String>,
    /// Its grants, where the policy alone did not settle the question.
    pub grants: Reading<Vec<Grant>>,
}

/// What DescribeKey says.
///
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_KeyMetadata.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMetadata {
    /// Whether AWS manages it (`KeyManager: AWS`), as it does `aws/ebs`.
    pub is_aws_managed: bool,
    /// Whether it is `Enabled` or `Updating`, in which cryptographic operations work; else KMS's word for its state.
    pub unusable_state: Option<String>,
    /// Whether it is a symmetric encryption key (`SYMMETRIC_DEFAULT`, `ENCRYPT_DECRYPT`).
    pub is_symmetric: bool,
    /// When it will be deleted or its imported material expires, as RFC 3339.
    pub ends_at: Option<String>,
}

impl Image {
    /// The distinct keys behind the image, in the order of its snapshots.
    pub fn keys(&self) -> Vec<&KeyArn> {
        let mut keys = Vec::new();
        for key in self.snapshots.iter().flatten().filter_map(|snapshot| snapshot.key.as_ref()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// Whether EC2 reported a launch permission for exactly this target; `false` where that could not be read.
    pub fn is_shared_with(&self, target: &Target) -> bool {
        self.launch_permissions
            .iter()
            .flatten()
            .any(|entry| matches!(entry, LaunchPermission::To(other) if other == target))
    }

    /// Whether EC2 reported it as public.
    pub fn is_public(&self) -> bool {
        self.launch_permissions.iter().flatten().any(|entry| *entry == LaunchPermission::Public)
    }
}
