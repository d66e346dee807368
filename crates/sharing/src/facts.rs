//! Owns [`Facts`]: what AWS said before anything is decided. Gathered by `observe`, judged by `decide`.

mod fact;
mod provenance;

use std::collections::{BTreeMap, BTreeSet};

pub use fact::{Fact, Failure, Reading};
use key_policy::{Grant, Policy};
pub use provenance::{Highest, Lineage, Provenance, RegionalImage, Scan, Watermark};

pub use crate::records::Expiry;
use crate::{
    domain::{AccountId, ExpiryName, ImageId, KeyArn, SnapshotId, Target},
    request::PageToken,
};

/// What AWS said.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The images, whoever owns them; and deregistered ones that a record or a grant still names.
    pub images: BTreeMap<ImageId, Image>,
    /// The keys behind them, as far as the action needs them.
    pub keys: BTreeMap<KeyArn, Key>,
    /// Those of the keys on which the grants for some deregistered images were not looked at.
    pub unfinished_keys: BTreeSet<KeyArn>,
    /// What a look through the grants of a key came upon beside those it has in full.
    pub grant_scans: BTreeMap<KeyArn, GrantScan>,
    /// Other images of this account on the snapshots of those that access is taken away from: they say whether the
    /// requester may learn of one that needs an entry.
    pub neighbours: BTreeMap<ImageId, Image>,
    /// The schedules that bear the name of a record and are none, and why.
    pub nobodys_records: BTreeMap<ExpiryName, String>,
    /// The next page of a list by account, where there is one.
    pub next_page: Option<PageToken>,
    /// Whether EC2 doesn't know the page that a list by account asks for.
    pub is_page_unknown: bool,
    /// Whether block public access for AMIs is on in this Region.
    pub blocks_public_images: Fact<bool>,
}

/// What a look through the grants of a key says beside the grants it keeps. A key has up to 50,000, and a target may make
/// nearly all of them: those that a target made are counted, and a few are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantScan {
    /// How many grants each other account made.
    pub made_by: BTreeMap<AccountId, usize>,
    /// Why some of them were not seen, if so.
    pub unseen: Option<Failure>,
    /// Whether a grant of ours may be among the unseen ones.
    pub may_hide_ours: bool,
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
    /// Its tags, as the owner attached them.
    pub tags: BTreeMap<String, String>,
    /// What else EC2 says of it.
    pub provenance: Provenance,
    /// When it becomes deprecated, as EC2 writes it.
    pub deprecation_time: Option<String>,
    /// Whether it carries AWS Marketplace product codes.
    pub has_product_codes: bool,
    /// Who may launch it.
    pub launch_permissions: Fact<Vec<LaunchPermission>>,
    /// The recorded expiries of its shares by their names, as far as the action needs them. A share can have several: the
    /// latest gives its expiry time.
    pub expiries: Fact<BTreeMap<ExpiryName, Expiry>>,
    /// The keys that a record or a grant remembers of a deregistered image.
    pub remembered_keys: Vec<KeyArn>,
    /// Whether its root is an instance store: then there are no snapshots, and its data is in a bundle in S3.
    pub is_instance_store: bool,
    /// The snapshots behind it, in the order of its block device mapping.
    pub snapshots: Vec<Backing>,
}

/// A snapshot that an image names as its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backing {
    /// The snapshot's id.
    pub id: SnapshotId,
    /// What EC2 says of it.
    pub snapshot: Fact<Snapshot>,
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
    /// It is deregistered; a record or a grant still names it.
    Deregistered,
    /// Anything else, in EC2's word.
    Other(String),
}

impl ImageState {
    /// EC2's word for it, or `deregistered`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Available => "available",
            Self::Pending => "pending",
            Self::Disabled => "disabled",
            Self::Deregistered => "deregistered",
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
    /// Somebody that this version does not know how to name, in EC2's words.
    Unknown(String),
}

impl LaunchPermission {
    /// An entry in EC2's words, as far as they fit a line.
    pub fn unknown(text: &str) -> Self {
        Self::Unknown(in_a_line(text))
    }
}

/// EC2's words for something unknown, as far as they fit a line.
fn in_a_line(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(200).collect()
}

/// One snapshot behind an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// The account that owns it.
    pub owner: AccountId,
    /// The key it is encrypted with; none for an unencrypted one.
    pub key: Option<KeyArn>,
    /// Who may create volumes from it; EC2 tells its owner only.
    pub create_volume_permissions: Fact<CreateVolumePermissions>,
    /// The accounts with which owned images on this snapshot are shared that this request does not change. Read only
    /// where access is taken away or looked over.
    pub needed_by: Fact<BTreeMap<AccountId, ImageId>>,
}

/// Who may create volumes from a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateVolumePermissions {
    /// These accounts.
    pub accounts: Vec<AccountId>,
    /// Everybody.
    pub is_public: bool,
    /// Somebody that this version does not know how to name, in EC2's words.
    pub unknown: Vec<String>,
}

/// One KMS key.
#[derive(Debug, Clone, Default)]
pub struct Key {
    /// What kind of key it is and how it is.
    pub metadata: Fact<KeyMetadata>,
    /// Its key policy; KMS tells its own account only.
    pub policy: Fact<Policy>,
    /// Its grants: to those for whom the policy alone did not settle whether it lets them in, or where access is taken away
    /// or looked over, all.
    pub grants: Fact<Vec<Grant>>,
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
    /// An image of which only these keys are known any more.
    pub fn deregistered(owner: AccountId, remembered_keys: Vec<KeyArn>) -> Self {
        Self {
            owner,
            state: ImageState::Deregistered,
            name: None,
            tags: BTreeMap::new(),
            provenance: Provenance::default(),
            deprecation_time: None,
            has_product_codes: false,
            launch_permissions: Fact::Known(Vec::new()),
            expiries: Fact::NotRead,
            remembered_keys,
            is_instance_store: false,
            snapshots: Vec::new(),
        }
    }

    /// A deregistered image, with what this record says was behind it.
    pub fn of_expiry(owner: AccountId, expiry: &Expiry) -> Self {
        let backing = |id: &SnapshotId| Backing { id: id.clone(), snapshot: Fact::NotRead };
        let snapshots = expiry.snapshot_ids.iter().map(backing).collect();
        Self { snapshots, ..Self::deregistered(owner, expiry.key_arns.clone()) }
    }

    /// The snapshots behind it of which EC2 said something.
    pub fn known_snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        self.snapshots.iter().filter_map(|backing| backing.snapshot.known())
    }

    /// The snapshots behind it of which EC2 was asked in vain, and why.
    pub fn unread_snapshots(&self) -> impl Iterator<Item = (&SnapshotId, &Failure)> {
        self.snapshots.iter().filter_map(|backing| Some((&backing.id, backing.snapshot.failed()?)))
    }

    /// Everything that could not be read of the image and its snapshots.
    pub fn unread(&self) -> Vec<&Failure> {
        let mut failures: Vec<_> = self.launch_permissions.failed().into_iter().collect();
        failures.extend(self.expiries.failed());
        failures.extend(self.unread_snapshots().map(|(_, failure)| failure));
        for snapshot in self.known_snapshots() {
            failures.extend(snapshot.create_volume_permissions.failed());
            failures.extend(snapshot.needed_by.failed());
        }
        failures.dedup();
        failures
    }

    /// The distinct keys behind the image, in the order of its snapshots.
    pub fn keys(&self) -> Vec<&KeyArn> {
        let mut keys: Vec<_> = self.remembered_keys.iter().collect();
        for key in self.known_snapshots().filter_map(|snapshot| snapshot.key.as_ref()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// The expiry of the share with this target: its latest record. None where there is none, or none could be read.
    pub fn expiry_of(&self, target: &Target) -> Option<&Expiry> {
        let of_target = self.expiries.iter().flatten().map(|(_, expiry)| expiry).filter(|it| it.target == *target);
        of_target.max_by_key(|expiry| expiry.at)
    }

    /// Whether EC2 reported a launch permission for exactly this target; `false` where that could not be read.
    pub fn is_shared_with(&self, target: &Target) -> bool {
        self.launch_permissions
            .iter()
            .flatten()
            .any(|entry| matches!(entry, LaunchPermission::To(other) if other == target))
    }

    /// The target as EC2 reported it, whose ARN may name another management account than ours, or else as it is.
    pub fn as_shown<'a>(&'a self, target: &'a Target) -> &'a Target {
        let shown = self.launch_permissions.iter().flatten().find_map(|entry| match entry {
            LaunchPermission::To(other) if other == target => Some(other),
            LaunchPermission::To(_) | LaunchPermission::Public | LaunchPermission::Unknown(_) => None,
        });
        shown.unwrap_or(target)
    }

    /// The targets with launch permissions of their own, as EC2 reported them.
    pub fn shared_targets(&self) -> Vec<Target> {
        let targets = self.launch_permissions.iter().flatten().filter_map(|entry| match entry {
            LaunchPermission::Public | LaunchPermission::Unknown(_) => None,
            LaunchPermission::To(target) => Some(target.clone()),
        });
        targets.collect()
    }

    /// The accounts among them.
    pub fn shared_accounts(&self) -> Vec<AccountId> {
        self.shared_targets().iter().filter_map(Target::account).collect()
    }

    /// The snapshots behind it that EC2 reported as public.
    pub fn public_snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        self.known_snapshots().filter(|snapshot| snapshot.is_public())
    }

    /// Whether EC2 reported it as public.
    pub fn is_public(&self) -> bool {
        self.launch_permissions.iter().flatten().any(|entry| *entry == LaunchPermission::Public)
    }
}

impl CreateVolumePermissions {
    /// Adds an entry that names no account: a group, in EC2's word.
    pub fn add_group(&mut self, group: Option<&str>) {
        match group {
            Some("all") => self.is_public = true,
            Some(other) => self.unknown.push(in_a_line(other)),
            None => self.unknown.push("(an entry without a name)".to_owned()),
        }
    }
}

impl Snapshot {
    /// The accounts of which EC2 said that they may create volumes from it.
    pub fn may_create_volumes(&self) -> impl Iterator<Item = AccountId> {
        self.create_volume_permissions.iter().flat_map(|permissions| &permissions.accounts).copied()
    }

    /// Whether EC2 said that everybody may.
    pub fn is_public(&self) -> bool {
        self.create_volume_permissions.known().is_some_and(|permissions| permissions.is_public)
    }
}

impl Key {
    /// Everything that could not be read of it.
    pub fn unread(&self) -> impl Iterator<Item = &Failure> {
        self.metadata.failed().into_iter().chain(self.policy.failed()).chain(self.grants.failed())
    }
}
