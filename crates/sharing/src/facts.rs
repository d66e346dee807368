//! Owns [`Facts`]: what AWS answered before anything is decided. `observe` collects them, and `decide` uses them.

mod copies;
mod fact;
mod parameter;
mod provenance;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

pub use copies::{Awaited, Copies, Naming};
pub use fact::{Fact, Failure, Reading};
use key_policy::{Grant, Policy};
pub use parameter::{Before, Parameter};
pub use provenance::{Highest, Lineage, Provenance, RegionalImage, Scan, Watermark};
pub use usage::{RESOURCE_TYPES, ReportState, UsageEntry, UsageReport, UsageReports};

pub use crate::records::{CopyRecord, Expiry};
use crate::{
    domain::{AccountId, ExpiryName, ImageId, KeyArn, ParameterName, SnapshotId, Target},
    records::RecordName,
    request::PageToken,
};

/// What AWS answered.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The images, whoever owns them, and deregistered images that a record or a grant still names.
    pub images: BTreeMap<ImageId, Image>,
    /// The images that the request names by `copyFrom`, and their copies.
    pub copies: BTreeMap<ImageId, Copies>,
    /// The keys of their snapshots, as far as the action needs them.
    pub keys: BTreeMap<KeyArn, Key>,
    /// The keys that have grants for deregistered images that were not checked yet.
    pub unfinished_keys: BTreeSet<KeyArn>,
    /// The grantees whose grants on a key were looked up, if not every grant was read.
    pub grantees: BTreeMap<KeyArn, BTreeSet<String>>,
    /// For each key, what the search of its grants found besides the grants that are kept.
    pub grant_scans: BTreeMap<KeyArn, GrantScan>,
    /// This account's other images on the snapshots of images that lose access. They are needed to decide whether the
    /// requester may learn which image needs a permission.
    pub neighbours: BTreeMap<ImageId, Image>,
    /// The schedules that have the name of a record but are not one, and why.
    pub nobodys_records: BTreeMap<RecordName, String>,
    /// The next page of `images` or of a `list` by account, if there is one.
    pub next_page: Option<PageToken>,
    /// Whether EC2 doesn't know the requested page.
    pub is_page_unknown: bool,
    /// Whether block public access for AMIs is on in this Region.
    pub blocks_public_images: Fact<bool>,
    /// The parameters to which rules publish the images, as far as the action needs them; none if there is no such one.
    pub parameters: BTreeMap<ParameterName, Fact<Option<Parameter>>>,
    /// The reports on the accounts that use the images.
    pub usage_reports: UsageReports,
}

/// What the search of a key's grants found besides the grants that are kept. A key has up to 50,000 grants, and a
/// target may have made nearly all of them. So the grants that targets made are counted, and only a few are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantScan {
    /// The number of grants that each other account made.
    pub made_by: BTreeMap<AccountId, usize>,
    /// Why some grants were not found, if so.
    pub unseen: Option<Failure>,
    /// Whether one of our grants may not have been found.
    pub may_hide_ours: bool,
}

/// One image.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// The account that owns it.
    pub owner: AccountId,
    /// `available`, `pending`, `disabled` …
    pub state: ImageState,
    /// The reason for its state, if EC2 returns one, such as why it failed.
    pub state_reason: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its tags, as the owner attached them.
    pub tags: BTreeMap<String, String>,
    /// What else EC2 says about it.
    pub provenance: Provenance,
    /// What kind of machine it is for, in EC2's word, such as `arm64`.
    pub architecture: Option<String>,
    /// The size in GiB of every EBS volume in its block device mapping, with or without a snapshot, in the order of the
    /// mapping; none if EC2 does not say it.
    pub volume_sizes: Vec<Option<i32>>,
    /// When it becomes deprecated, as EC2 writes it.
    pub deprecation_time: Option<String>,
    /// Whether it has AWS Marketplace product codes.
    pub has_product_codes: bool,
    /// Who may launch it.
    pub launch_permissions: Fact<Vec<LaunchPermission>>,
    /// The recorded expiries of its shares by name, as far as the action needs them. If a share has several, the latest
    /// one gives its expiry time.
    pub expiries: Fact<BTreeMap<ExpiryName, Expiry>>,
    /// The keys of a deregistered image that a record or a grant names.
    pub remembered_keys: Vec<KeyArn>,
    /// Whether it is backed by an instance store. Then it has no snapshots, and its data is in a bundle in Amazon S3.
    pub is_instance_store: bool,
    /// Whether EC2 returns that a volume in its block device mapping is encrypted.
    pub is_encrypted: bool,
    /// Its snapshots, in the order of its block device mapping.
    pub snapshots: Vec<Backing>,
    /// The name and tags of the image that it is a copy of, if this account owns the source and it was read. A rule may
    /// cover the copy by them.
    pub source_naming: Option<Naming>,
    /// The records of shares that wait for it, or for a copy of the same image, as far as the action needs them.
    pub waiting: Fact<Vec<CopyRecord>>,
}

/// A snapshot of an image's block device mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backing {
    /// The snapshot's ID.
    pub id: SnapshotId,
    /// What EC2 says about it.
    pub snapshot: Fact<Snapshot>,
}

/// The state of an image.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Image.html> (`imageState`)
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageState {
    /// It can be launched and shared.
    Available,
    /// It is being created.
    Pending,
    /// It is disabled, which removed its launch permissions:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/disable-an-ami.html>
    Disabled,
    /// It is deregistered, and a record or a grant still names it.
    Deregistered,
    /// It is a copy that does not exist yet.
    Awaited(Box<Awaited>),
    /// Another state, as EC2 names it.
    Other(String),
}

impl ImageState {
    /// Whether EC2 could not make the image.
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Other(state) if state == "failed")
    }

    /// EC2's name of the state, or `deregistered`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Available => "available",
            Self::Pending => "pending",
            Self::Disabled => "disabled",
            Self::Deregistered => "deregistered",
            Self::Awaited(awaited) => awaited.state(),
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
    /// An entry of a kind that this version does not know, as EC2 writes it.
    Unknown(String),
}

impl LaunchPermission {
    /// The kind of entry, as outcomes name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Unknown(_) => "unknown",
            Self::To(Target::Account(_)) => "account",
            Self::To(Target::Organization(_)) => "organization",
            Self::To(Target::OrganizationalUnit(_)) => "organizational-unit",
        }
    }

    /// The account ID or ARN; `all` for the public entry; EC2's words for one that this version does not know.
    pub fn id(&self) -> String {
        match self {
            Self::Public => "all".to_owned(),
            Self::Unknown(text) => text.clone(),
            Self::To(target) => target.to_string(),
        }
    }

    /// An entry of an unknown kind, shortened to fit in a line.
    pub fn unknown(text: &str) -> Self {
        Self::Unknown(in_a_line(text))
    }
}

/// EC2's words for something unknown, as far as they fit a line.
fn in_a_line(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(200).collect()
}

/// A snapshot of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its ID.
    pub id: SnapshotId,
    /// The account that owns it.
    pub owner: AccountId,
    /// The key that encrypts it; `None` if it is not encrypted.
    pub key: Option<KeyArn>,
    /// Who may create volumes from it. EC2 returns this only to its owner.
    pub create_volume_permissions: Fact<CreateVolumePermissions>,
    /// The accounts that need their create volume permission because another owned image on this snapshot is shared
    /// with them. Read only for actions that remove or audit access.
    pub needed_by: Fact<BTreeMap<AccountId, ImageId>>,
}

/// Who may create volumes from a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateVolumePermissions {
    /// These accounts.
    pub accounts: Vec<AccountId>,
    /// Everybody.
    pub is_public: bool,
    /// An entry of a kind that this version does not know, as EC2 returns it.
    pub unknown: Vec<String>,
}

/// One KMS key.
#[derive(Debug, Clone, Default)]
pub struct Key {
    /// The kind and the state of the key.
    pub metadata: Fact<KeyMetadata>,
    /// Its key policy. KMS returns it only to the key's own account.
    pub policy: Fact<Policy>,
    /// Its grants. For a share, only the grants of the grantees for whom the policy alone gave no answer; for actions
    /// that remove or audit access, all grants that concern the images.
    pub grants: Fact<Vec<Grant>>,
}

/// What DescribeKey says.
///
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_KeyMetadata.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMetadata {
    /// Whether it is an AWS managed key (`KeyManager: AWS`), such as `aws/ebs`.
    pub is_aws_managed: bool,
    /// `None` if the state is `Enabled` or `Updating`, in which cryptographic operations work; otherwise KMS's name of
    /// the state.
    pub unusable_state: Option<String>,
    /// Whether it is a symmetric encryption key (`SYMMETRIC_DEFAULT`, `ENCRYPT_DECRYPT`).
    pub is_symmetric: bool,
    /// When it will be deleted or its imported material expires, as RFC 3339.
    pub ends_at: Option<String>,
}

impl Image {
    /// A deregistered image of which only these keys are known.
    pub fn deregistered(owner: AccountId, remembered_keys: Vec<KeyArn>) -> Self {
        Self {
            owner,
            state: ImageState::Deregistered,
            state_reason: None,
            name: None,
            tags: BTreeMap::new(),
            provenance: Provenance::default(),
            architecture: None,
            volume_sizes: Vec::new(),
            deprecation_time: None,
            has_product_codes: false,
            launch_permissions: Fact::Known(Vec::new()),
            expiries: Fact::NotRead,
            remembered_keys,
            is_instance_store: false,
            is_encrypted: false,
            snapshots: Vec::new(),
            source_naming: None,
            waiting: Fact::NotRead,
        }
    }

    /// A deregistered image, with the snapshots and keys that this record names.
    pub fn of_expiry(owner: AccountId, expiry: &Expiry) -> Self {
        let backing = |id: &SnapshotId| Backing { id: id.clone(), snapshot: Fact::NotRead };
        let snapshots = expiry.snapshot_ids.iter().map(backing).collect();
        Self { snapshots, ..Self::deregistered(owner, expiry.key_arns.clone()) }
    }

    /// Its snapshots that EC2 described.
    pub fn known_snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        self.snapshots.iter().filter_map(|backing| backing.snapshot.known())
    }

    /// Its snapshots that could not be read, and why.
    pub fn unread_snapshots(&self) -> impl Iterator<Item = (&SnapshotId, &Failure)> {
        self.snapshots.iter().filter_map(|backing| Some((&backing.id, backing.snapshot.failed()?)))
    }

    /// Everything that could not be read of the image and its snapshots.
    pub fn unread(&self) -> Vec<&Failure> {
        let mut failures: Vec<_> = self.launch_permissions.failed().into_iter().collect();
        failures.extend(self.expiries.failed());
        failures.extend(self.waiting.failed());
        failures.extend(self.unread_snapshots().map(|(_, failure)| failure));
        for snapshot in self.known_snapshots() {
            failures.extend(snapshot.create_volume_permissions.failed());
            failures.extend(snapshot.needed_by.failed());
        }
        failures.dedup();
        failures
    }

    /// The keys of its snapshots, each once, in the order of the snapshots.
    pub fn keys(&self) -> Vec<&KeyArn> {
        let mut keys: Vec<_> = self.remembered_keys.iter().collect();
        for key in self.known_snapshots().filter_map(|snapshot| snapshot.key.as_ref()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// The expiry of the share with this target: its latest record. `None` if there is no record, or the records could
    /// not be read.
    pub fn expiry_of(&self, target: &Target) -> Option<&Expiry> {
        let of_target = self.expiries.iter().flatten().map(|(_, expiry)| expiry).filter(|it| it.target == *target);
        of_target.max_by_key(|expiry| expiry.at)
    }

    /// Whether it has any launch permission, as far as these were read.
    pub fn is_shared(&self) -> bool {
        self.launch_permissions.iter().flatten().next().is_some()
    }

    /// Whether EC2 reported a launch permission for exactly this target; `false` if the launch permissions could not be
    /// read.
    pub fn is_shared_with(&self, target: &Target) -> bool {
        self.launch_permissions
            .iter()
            .flatten()
            .any(|entry| matches!(entry, LaunchPermission::To(other) if other == target))
    }

    /// The target as EC2 reported it: its ARN may name another management account. If EC2 did not report it, the target
    /// as it is.
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

    /// Its snapshots that EC2 reported as public.
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
    /// The accounts that may create volumes from it, as far as EC2 reported them.
    pub fn may_create_volumes(&self) -> impl Iterator<Item = AccountId> {
        self.create_volume_permissions.iter().flat_map(|permissions| &permissions.accounts).copied()
    }

    /// Whether EC2 reported that every account may create volumes from it.
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
