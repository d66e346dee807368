//! Owns [`Facts`]: what AWS said before anything is decided. Gathered by `observe`, judged by `decide`.

mod provenance;

use std::collections::{BTreeMap, BTreeSet};

use key_policy::{Grant, Policy};
pub use provenance::{Highest, Lineage, Provenance, RegionalImage, Scan, Watermark};
use time::OffsetDateTime;

use crate::{
    domain::{AccountId, ExpiryName, GrantName, ImageId, KeyArn, SnapshotId, Target},
    outcome::ErrorRow,
};

/// What was read, or why it could not be found out.
pub type Reading<T> = Result<T, ErrorRow>;

/// One thing that AWS can be asked. An empty list is an answer; that nobody asked is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<T> {
    /// Nobody asked: the action does not need it, or AWS tells it to somebody else only.
    NotRead,
    /// It was asked, and this went wrong.
    Failed(ErrorRow),
    /// AWS said so.
    Known(T),
}

impl<T> Fact<T> {
    /// What AWS said.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::NotRead | Self::Failed(_) => None,
        }
    }

    /// Why it could not be found out.
    pub fn failed(&self) -> Option<&ErrorRow> {
        match self {
            Self::Failed(error) => Some(error),
            Self::NotRead | Self::Known(_) => None,
        }
    }

    /// Whether AWS said anything.
    pub fn is_known(&self) -> bool {
        self.known().is_some()
    }

    /// What AWS said, once or not at all.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.known().into_iter()
    }
}

impl<T> From<Reading<T>> for Fact<T> {
    fn from(read: Reading<T>) -> Self {
        read.map_or_else(Self::Failed, Self::Known)
    }
}

/// What AWS said.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The images, whoever owns them; those that are gone too where a record or a grant has outlived them.
    pub images: BTreeMap<ImageId, Image>,
    /// The keys behind them, as far as the action needs them.
    pub keys: BTreeMap<KeyArn, Key>,
    /// Those of the keys on which grants for more images that are gone were not looked at.
    pub unfinished_keys: BTreeSet<KeyArn>,
    /// What a look through the grants of a key came upon beside those it has in full.
    pub grant_scans: BTreeMap<KeyArn, GrantScan>,
    /// Other images of this account on the snapshots of those that access is taken away from: they say whether the
    /// requester may learn of one that needs an entry.
    pub neighbours: BTreeMap<ImageId, Image>,
    /// The schedules that bear the name of a record and are none, and why.
    pub nobodys_records: BTreeMap<ExpiryName, String>,
    /// Whether block public access for AMIs is on in this Region; read for a check, where it may be read.
    pub blocks_public_images: Option<bool>,
}

/// What a look through the grants of a key says beside the grants it keeps. A key has up to 50,000, and a target may make
/// nearly all of them: those that a target made are counted, and a few are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantScan {
    /// How many grants each other account made.
    pub made_by: BTreeMap<AccountId, usize>,
    /// Why some of them were not seen, if so.
    pub unseen: Option<ErrorRow>,
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
    pub expiries: Reading<BTreeMap<ExpiryName, Expiry>>,
    /// The keys that a record or a grant remembers of an image which is gone.
    pub remembered_keys: Vec<KeyArn>,
    /// Whether its root is an instance store: then there are no snapshots, and its data is in a bundle in S3.
    pub is_instance_store: bool,
    /// The snapshots behind it.
    pub snapshots: Fact<Vec<Snapshot>>,
    /// Why there is nothing to say of some of them: EC2 named them as the image's and told nothing of them.
    pub unread_snapshots: Vec<ErrorRow>,
}

/// When a share expires, and what is to be taken away then: the content of a record, which never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// The record's name.
    pub name: ExpiryName,
    /// The expiry time, in whole seconds.
    pub at: OffsetDateTime,
    /// The image.
    pub image_id: ImageId,
    /// With whom it is shared.
    pub target: Target,
    /// The snapshots behind the image when it was shared.
    pub snapshot_ids: Vec<SnapshotId>,
    /// The keys behind it then.
    pub key_arns: Vec<KeyArn>,
}

/// What Scheduler has under the name of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// Nothing.
    Nothing,
    /// A record.
    Expiry(Expiry),
    /// A schedule that this function did not write so. It is nobody's record: nothing is done because of it.
    Nobodys {
        /// What is wrong with it.
        why: String,
    },
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
    /// It is gone; a record or a grant has outlived it.
    Deregistered,
    /// Anything else, in EC2's word.
    Other(String),
}

impl ImageState {
    /// EC2's word for it, or `gone`.
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
        Self::Unknown(text.chars().filter(|character| !character.is_control()).take(200).collect())
    }
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
    /// The accounts that may create volumes from it; EC2 tells its owner only.
    pub create_volume_permissions: Fact<Vec<AccountId>>,
    /// Whether everybody may; read with the accounts.
    pub is_public: bool,
    /// The accounts with which owned images on this snapshot are shared that this request does not change. Read only
    /// where access is taken away or looked over.
    pub needed_by: Fact<BTreeMap<AccountId, ImageId>>,
}

/// One KMS key.
#[derive(Debug, Clone)]
pub struct Key {
    /// What kind of key it is and how it is.
    pub metadata: Reading<KeyMetadata>,
    /// Its key policy.
    pub policy: Reading<Policy>,
    /// Its grants: to those for whom the policy alone did not settle the question, or where access is taken away or looked
    /// over, all.
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

impl Facts {
    /// The targets that a reset clears away: those with a launch permission, and those that a grant or a record of ours
    /// for the image names, which outlive the launch permission where an earlier reset was cut short.
    ///
    /// So do create volume permissions, which name no image. Of an image that is shared with nobody those that no other
    /// image needs are taken for such remains, so that the same reset again finishes the job.
    pub fn targets_to_clear(&self, image_id: &ImageId, image: &Image, owner: AccountId) -> Vec<Target> {
        let keys = image.keys().into_iter().filter_map(|key| self.keys.get(key));
        let ours = keys.flat_map(|key| key.grants.iter().flatten()).filter(|grant| grant.is_issued_by(owner));
        let granted = ours.filter_map(|grant| GrantName::account_of(grant.name.as_deref()?, image_id));
        let is_unshared = image.launch_permissions.known().is_some_and(Vec::is_empty);
        let snapshots = image.snapshots.iter().flatten().filter(|_| is_unshared);
        let remains = snapshots.flat_map(|snapshot| snapshot.create_volume_permissions.iter().flatten()).copied();
        let recorded = image.expiries.iter().flatten().map(|(_, expiry)| expiry.target.clone());
        let mut targets = image.shared_targets();
        targets.extend(granted.chain(remains).map(Target::Account).chain(recorded));
        let mut seen = BTreeSet::new();
        targets.retain(|target| seen.insert(target.clone()));
        targets
    }
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
            expiries: Ok(BTreeMap::new()),
            remembered_keys,
            is_instance_store: false,
            snapshots: Fact::Known(Vec::new()),
            unread_snapshots: Vec::new(),
        }
    }

    /// Everything that could not be read of the image and its snapshots.
    pub fn unread(&self) -> Vec<&ErrorRow> {
        let mut errors: Vec<_> = self.launch_permissions.failed().into_iter().collect();
        errors.extend(self.expiries.as_ref().err());
        errors.extend(self.snapshots.failed());
        errors.extend(&self.unread_snapshots);
        for snapshot in self.snapshots.iter().flatten() {
            errors.extend(snapshot.create_volume_permissions.failed());
            errors.extend(snapshot.needed_by.failed());
        }
        errors.dedup();
        errors
    }

    /// The distinct keys behind the image, in the order of its snapshots.
    pub fn keys(&self) -> Vec<&KeyArn> {
        let mut keys: Vec<_> = self.remembered_keys.iter().collect();
        for key in self.snapshots.iter().flatten().filter_map(|snapshot| snapshot.key.as_ref()) {
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
        self.snapshots.iter().flatten().filter(|snapshot| snapshot.is_public)
    }

    /// Whether EC2 reported it as public.
    pub fn is_public(&self) -> bool {
        self.launch_permissions.iter().flatten().any(|entry| *entry == LaunchPermission::Public)
    }
}
