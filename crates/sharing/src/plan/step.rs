//! Owns [`Step`]: one write to AWS. There are no other writes.

use crate::{
    domain::{AccountId, CopyName, ExpiryName, GrantName, ImageId, KeyArn, SnapshotId, Target},
    facts::{CopyRecord, Expiry},
    needs::{CopyOrder, GranteeKind, NeededGrant, Publication},
    records::{Record, RecordName},
};

/// One write to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// CreateSchedule: records when a share expires.
    CreateExpiry(Expiry),
    /// DeleteSchedule: the record is no longer needed.
    DeleteExpiry {
        /// The record.
        name: ExpiryName,
        /// The target with which the image is or was shared.
        target: Target,
    },
    /// CreateSchedule: records a share that waits for a copy.
    CreateCopyRecord(Box<CopyRecord>),
    /// DeleteSchedule: the share does not wait any more.
    DeleteCopyRecord {
        /// The record.
        name: CopyName,
        /// The targets whose shares are taken back by that.
        targets: Vec<Target>,
    },
    /// CreateSchedule: records a share that waits for approval, or what was decided about it.
    CreateApproval(Box<Record>),
    /// DeleteSchedule: nothing waits any more, or the decision is carried out.
    DeleteApproval(RecordName),
    /// CopyImage in this Region.
    CopyImage(CopyOrder),
    /// CreateGrant on a key, for the target account or a service-linked role in it.
    CreateGrant {
        /// The key.
        key: KeyArn,
        /// The grant's Name, which makes the call idempotent.
        name: GrantName,
        /// The account it is for.
        account: AccountId,
        /// Whom it lets in, by ARN.
        grantee: String,
        /// What kind of principal that is.
        kind: GranteeKind,
    },
    /// ModifySnapshotAttribute, adding create volume permissions.
    AddCreateVolumePermissions {
        /// The snapshot.
        snapshot_id: SnapshotId,
        /// Whom to add.
        accounts: Vec<AccountId>,
    },
    /// ModifyImageAttribute, adding launch permissions.
    AddLaunchPermissions {
        /// The image.
        image_id: ImageId,
        /// Whom to add.
        targets: Vec<Target>,
    },
    /// ModifyImageAttribute, removing launch permissions.
    RemoveLaunchPermissions {
        /// The image.
        image_id: ImageId,
        /// Whom to remove.
        targets: Vec<Target>,
    },
    /// ResetImageAttribute: removes every launch permission, the public one included.
    ResetLaunchPermissions {
        /// The image.
        image_id: ImageId,
    },
    /// ModifySnapshotAttribute, removing create volume permissions.
    RemoveCreateVolumePermissions {
        /// The snapshot.
        snapshot_id: SnapshotId,
        /// Whom to remove.
        accounts: Vec<AccountId>,
    },
    /// RevokeGrant on a key, for a grant that this function made.
    RevokeGrant {
        /// The key.
        key: KeyArn,
        /// The grant.
        grant_id: String,
        /// Its Name.
        name: String,
        /// The account it was for.
        account: AccountId,
    },
    /// PutParameter: a parameter names the image from now on.
    PutParameter(Publication),
    /// CreateImageUsageReport: has EC2 find out which accounts use an image.
    CreateUsageReport {
        /// The image.
        image_id: ImageId,
        /// The client token, which makes the call idempotent.
        client_token: String,
    },
}

/// Steps of one phase don't depend on each other; a phase begins when the one before it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Grants on keys.
    Grants,
    /// Create volume permissions on snapshots.
    Snapshots,
    /// Launch permissions.
    Launch,
    /// The records of expiries.
    Expiries,
    /// New records of shares that wait for a copy.
    Waiting,
    /// Copies.
    Copies,
    /// The records of shares that wait no longer.
    Withdrawals,
    /// Parameters that name the image.
    Parameters,
    /// Asks that wait no longer.
    Asks,
    /// Decisions that are carried out.
    Decisions,
    /// New asks and decisions.
    Approvals,
    /// Reports, which change nothing that is shared.
    Reports,
}

impl Step {
    /// The targets among which the step can be split.
    fn parts(&self) -> Vec<Target> {
        match self {
            Self::AddLaunchPermissions { targets, .. } | Self::RemoveLaunchPermissions { targets, .. } => {
                targets.clone()
            }
            Self::AddCreateVolumePermissions { accounts, .. }
            | Self::RemoveCreateVolumePermissions { accounts, .. } => {
                accounts.iter().copied().map(Target::Account).collect()
            }
            Self::CreateGrant { account, .. } => vec![Target::Account(*account)],
            Self::CreateExpiry { .. }
            | Self::DeleteExpiry { .. }
            | Self::CreateCopyRecord(_)
            | Self::DeleteCopyRecord { .. }
            | Self::CopyImage(_)
            | Self::CreateApproval(_)
            | Self::DeleteApproval(_)
            | Self::ResetLaunchPermissions { .. }
            | Self::RevokeGrant { .. }
            | Self::PutParameter(_)
            | Self::CreateUsageReport { .. } => Vec::new(),
        }
    }

    /// The step for those of its targets that are among these, and the step for the others; `None` if there are none.
    pub fn split(&self, among: impl Fn(&Target) -> bool) -> (Option<Self>, Option<Self>) {
        let (these, others): (Vec<_>, Vec<_>) = self.parts().into_iter().partition(among);
        (self.narrowed(these), self.narrowed(others))
    }

    fn narrowed(&self, to: Vec<Target>) -> Option<Self> {
        if to.is_empty() {
            return None;
        }
        let mut step = self.clone();
        match &mut step {
            Self::AddLaunchPermissions { targets, .. } | Self::RemoveLaunchPermissions { targets, .. } => *targets = to,
            Self::AddCreateVolumePermissions { accounts, .. }
            | Self::RemoveCreateVolumePermissions { accounts, .. } => {
                *accounts = to.iter().filter_map(Target::account).collect();
            }
            Self::CreateGrant { .. }
            | Self::CreateExpiry { .. }
            | Self::DeleteExpiry { .. }
            | Self::CreateCopyRecord(_)
            | Self::DeleteCopyRecord { .. }
            | Self::CopyImage(_)
            | Self::CreateApproval(_)
            | Self::DeleteApproval(_)
            | Self::ResetLaunchPermissions { .. }
            | Self::RevokeGrant { .. }
            | Self::PutParameter(_)
            | Self::CreateUsageReport { .. } => {}
        }
        Some(step)
    }

    /// How to continue if AWS did not know a target of this step: the step for the targets that AWS's message names,
    /// which is not retried, and the steps for the others. If the message names none, these are the two halves; a
    /// single target is the unknown one.
    pub fn without_unknown(&self, words: &str) -> (Option<Self>, Vec<Self>) {
        let named = self.split(|target| is_named(words, &target.to_string()));
        let targets = self.parts();
        match named {
            (Some(unknown), rest) => (Some(unknown), rest.into_iter().collect()),
            (None, _) if targets.len() < 2 => (Some(self.clone()), Vec::new()),
            (None, _) => {
                let middle = targets.len().div_ceil(2);
                let (first, second) = targets.split_at_checked(middle).unwrap_or((&targets, &[]));
                let halves = [first, second].map(|half| self.narrowed(half.to_vec()));
                (None, halves.into_iter().flatten().collect())
            }
        }
    }

    /// The service and operation.
    pub fn call(&self) -> &'static str {
        match self {
            Self::CreateExpiry(_) | Self::CreateCopyRecord(_) | Self::CreateApproval(_) => "scheduler:CreateSchedule",
            Self::DeleteExpiry { .. } | Self::DeleteCopyRecord { .. } | Self::DeleteApproval(_) => {
                "scheduler:DeleteSchedule"
            }
            Self::CopyImage(_) => "ec2:CopyImage",
            Self::CreateGrant { .. } => "kms:CreateGrant",
            Self::RevokeGrant { .. } => "kms:RevokeGrant",
            Self::AddCreateVolumePermissions { .. } | Self::RemoveCreateVolumePermissions { .. } => {
                "ec2:ModifySnapshotAttribute"
            }
            Self::AddLaunchPermissions { .. } | Self::RemoveLaunchPermissions { .. } => "ec2:ModifyImageAttribute",
            Self::ResetLaunchPermissions { .. } => "ec2:ResetImageAttribute",
            Self::PutParameter(_) => "ssm:PutParameter",
            Self::CreateUsageReport { .. } => "ec2:CreateImageUsageReport",
        }
    }

    /// Whether it adds something for a target.
    pub fn gives(&self) -> bool {
        match self {
            Self::CreateGrant { .. } | Self::AddCreateVolumePermissions { .. } | Self::AddLaunchPermissions { .. } => {
                true
            }
            Self::CreateExpiry(_)
            | Self::DeleteExpiry { .. }
            | Self::CreateCopyRecord(_)
            | Self::DeleteCopyRecord { .. }
            | Self::CopyImage(_)
            | Self::CreateApproval(_)
            | Self::DeleteApproval(_)
            | Self::RemoveLaunchPermissions { .. }
            | Self::ResetLaunchPermissions { .. }
            | Self::RemoveCreateVolumePermissions { .. }
            | Self::RevokeGrant { .. }
            | Self::PutParameter(_)
            | Self::CreateUsageReport { .. } => false,
        }
    }

    /// Whether it only starts something, which continues by itself.
    pub fn continues_by_itself(&self) -> bool {
        matches!(self, Self::CreateUsageReport { .. } | Self::CreateApproval(_))
    }

    /// The phase it belongs to.
    pub fn phase(&self) -> Phase {
        match self {
            Self::CreateExpiry(_) | Self::DeleteExpiry { .. } => Phase::Expiries,
            Self::CreateCopyRecord(_) => Phase::Waiting,
            Self::CopyImage(_) => Phase::Copies,
            Self::CreateApproval(_) => Phase::Approvals,
            Self::DeleteApproval(RecordName::Decision(_)) => Phase::Decisions,
            Self::DeleteApproval(_) => Phase::Asks,
            Self::DeleteCopyRecord { .. } => Phase::Withdrawals,
            Self::CreateGrant { .. } | Self::RevokeGrant { .. } => Phase::Grants,
            Self::AddCreateVolumePermissions { .. } | Self::RemoveCreateVolumePermissions { .. } => Phase::Snapshots,
            Self::AddLaunchPermissions { .. }
            | Self::RemoveLaunchPermissions { .. }
            | Self::ResetLaunchPermissions { .. } => Phase::Launch,
            Self::PutParameter(_) => Phase::Parameters,
            Self::CreateUsageReport { .. } => Phase::Reports,
        }
    }

    /// Whether it is skipped if a step of that phase before it failed. A grant is revoked even if its account keeps
    /// create volume permissions, so that as little access as possible remains. Removing permissions once more does not
    /// depend on the deletion of records: if one record can't be deleted, the access of the others must still be removed.
    pub fn waits_for(&self, phase: Phase) -> bool {
        match self {
            // The right to share must not remain, whatever else fails, and the record of the other targets comes first.
            Self::DeleteCopyRecord { .. } => phase == Phase::Waiting,
            Self::RevokeGrant { .. } => phase != Phase::Snapshots,
            Self::RemoveLaunchPermissions { .. } | Self::RemoveCreateVolumePermissions { .. } => {
                !matches!(phase, Phase::Expiries | Phase::Waiting | Phase::Withdrawals)
            }
            Self::CreateExpiry(_)
            | Self::DeleteExpiry { .. }
            | Self::CreateCopyRecord(_)
            | Self::CopyImage(_)
            | Self::CreateApproval(_)
            | Self::DeleteApproval(_)
            | Self::CreateGrant { .. }
            | Self::AddCreateVolumePermissions { .. }
            | Self::AddLaunchPermissions { .. }
            | Self::ResetLaunchPermissions { .. }
            | Self::CreateUsageReport { .. }
            | Self::PutParameter(_) => true,
        }
    }

    /// Whether the request continues, and counts as completed, if this step fails.
    pub fn is_best_effort(&self) -> bool {
        matches!(self, Self::CreateGrant { kind: GranteeKind::Role(_), .. })
    }

    /// What it changes.
    pub fn resource(&self) -> String {
        match self {
            Self::CreateExpiry(Expiry { name, .. }) | Self::DeleteExpiry { name, .. } => name.to_string(),
            Self::CreateCopyRecord(record) => record.name.to_string(),
            Self::DeleteCopyRecord { name, .. } => name.to_string(),
            Self::CopyImage(order) => order.source.id.to_string(),
            Self::CreateApproval(record) => record.name().to_string(),
            Self::DeleteApproval(name) => name.to_string(),
            Self::CreateGrant { key, .. } | Self::RevokeGrant { key, .. } => key.to_string(),
            Self::AddCreateVolumePermissions { snapshot_id, .. }
            | Self::RemoveCreateVolumePermissions { snapshot_id, .. } => snapshot_id.to_string(),
            Self::AddLaunchPermissions { image_id, .. }
            | Self::RemoveLaunchPermissions { image_id, .. }
            | Self::ResetLaunchPermissions { image_id }
            | Self::CreateUsageReport { image_id, .. } => image_id.to_string(),
            Self::PutParameter(Publication { parameter, .. }) => parameter.to_string(),
        }
    }

    /// The Name of the grant that it creates or revokes.
    pub fn grant_name(&self) -> Option<&str> {
        match self {
            Self::CreateGrant { name, .. } => Some(name.as_str()),
            Self::RevokeGrant { name, .. } => Some(name),
            Self::CreateExpiry(_)
            | Self::DeleteExpiry { .. }
            | Self::CreateCopyRecord(_)
            | Self::DeleteCopyRecord { .. }
            | Self::CopyImage(_)
            | Self::CreateApproval(_)
            | Self::DeleteApproval(_)
            | Self::AddCreateVolumePermissions { .. }
            | Self::AddLaunchPermissions { .. }
            | Self::RemoveLaunchPermissions { .. }
            | Self::ResetLaunchPermissions { .. }
            | Self::RemoveCreateVolumePermissions { .. }
            | Self::PutParameter(_)
            | Self::CreateUsageReport { .. } => None,
        }
    }

    /// The targets it adds.
    pub fn adds(&self) -> Vec<Target> {
        match self {
            Self::CreateExpiry(expiry) => vec![expiry.target.clone()],
            Self::CreateCopyRecord(record) => record.targets().cloned().collect(),
            Self::CreateGrant { account, .. } => vec![Target::Account(*account)],
            Self::AddCreateVolumePermissions { accounts, .. } => {
                accounts.iter().copied().map(Target::Account).collect()
            }
            Self::AddLaunchPermissions { targets, .. } => targets.clone(),
            Self::RemoveLaunchPermissions { .. }
            | Self::ResetLaunchPermissions { .. }
            | Self::RemoveCreateVolumePermissions { .. }
            | Self::DeleteExpiry { .. }
            | Self::DeleteCopyRecord { .. }
            | Self::CopyImage(_)
            | Self::CreateApproval(_)
            | Self::DeleteApproval(_)
            | Self::RevokeGrant { .. }
            | Self::PutParameter(_)
            | Self::CreateUsageReport { .. } => Vec::new(),
        }
    }

    /// The targets it removes.
    pub fn removes(&self) -> Vec<Target> {
        match self {
            Self::DeleteExpiry { target, .. } => vec![target.clone()],
            Self::DeleteCopyRecord { targets, .. } => targets.clone(),
            Self::RevokeGrant { account, .. } => vec![Target::Account(*account)],
            Self::RemoveCreateVolumePermissions { accounts, .. } => {
                accounts.iter().copied().map(Target::Account).collect()
            }
            Self::RemoveLaunchPermissions { targets, .. } => targets.clone(),
            Self::CreateExpiry(_)
            | Self::CreateCopyRecord(_)
            | Self::CopyImage(_)
            | Self::CreateApproval(_)
            | Self::DeleteApproval(_)
            | Self::CreateGrant { .. }
            | Self::AddCreateVolumePermissions { .. }
            | Self::AddLaunchPermissions { .. }
            | Self::ResetLaunchPermissions { .. }
            | Self::PutParameter(_)
            | Self::CreateUsageReport { .. } => Vec::new(),
        }
    }
}

/// Whether the message names a target: as a word of its own, not as a part of another number or ARN.
fn is_named(words: &str, target: &str) -> bool {
    words
        .split(|character: char| !character.is_ascii_alphanumeric() && !":/-".contains(character))
        .any(|word| word == target)
}

impl From<NeededGrant> for Step {
    fn from(grant: NeededGrant) -> Self {
        let NeededGrant { key, name, account, grantee, kind } = grant;
        Self::CreateGrant { key, name, account, grantee, kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str = "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5";

    fn add(targets: &[&str]) -> Step {
        let targets = targets.iter().map(|target| target.parse().unwrap()).collect();
        Step::AddLaunchPermissions { image_id: "ami-1a2b3c4d".parse().unwrap(), targets }
    }

    /// Checks whom AWS does not know by its words, and what is tried next.
    #[track_caller]
    fn check(targets: &[&str], words: &str, unknown: &[&str], next: &[&[&str]]) {
        let expect = ((!unknown.is_empty()).then(|| add(unknown)), next.iter().map(|targets| add(targets)).collect());
        assert_eq!(add(targets).without_unknown(words), expect);
    }

    #[test]
    fn a_target_that_aws_does_not_know_is_taken_out_by_its_name_or_found_by_halves() {
        let (one, two, three) = ("111122223333", "222233334444", "333344445555");
        let named = |target: &str| format!("Invalid attribute item value \"{target}\" for userId item type.");
        check(&[one, two, three], &named(two), &[two], &[&[one, three]]);
        check(&[one, OTHER, three], &named(OTHER), &[OTHER], &[&[one, three]]);
        check(&[two], &named(two), &[two], &[]);
        check(&[one, two, three], "no name", &[], &[&[one, two], &[three]]);
        check(&[two], "no name", &[two], &[]);
        // A part of another number or ARN is no name.
        check(&[one, two], &named("2222333344445"), &[], &[&[one], &[two]]);
        check(&[one, OTHER], &named(&format!("{OTHER}6")), &[], &[&[one], &[OTHER]]);
        check(&[one, "999988887777"], &named(OTHER), &[], &[&[one], &["999988887777"]]);
    }

    #[test]
    fn what_is_for_nobody_in_particular_is_not_split() {
        let reset = Step::ResetLaunchPermissions { image_id: "ami-1a2b3c4d".parse().unwrap() };
        assert_eq!(reset.split(|_| true), (None, None));
        assert_eq!(reset.without_unknown("111122223333"), (Some(reset.clone()), Vec::new()));
    }
}
