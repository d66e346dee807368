//! Owns [`Planted`]: the faults that are planted in an invocation, to show that the explorer finds them.

use sharing::{
    facts::{Facts, LaunchPermission},
    plan::Step,
    records::{Record, RecordName},
};

use crate::{
    kinds::approved_and_waiting,
    world::{self, ONE, TWO},
};

/// A kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Those that add launch permissions.
    Launch,
    /// Those that add create volume permissions.
    CreateVolume,
    /// Those that create grants.
    Grant,
    /// Those that remove launch permissions.
    LaunchRemoved,
    /// Those that remove create volume permissions.
    CreateVolumeRemoved,
    /// Those that revoke grants.
    GrantRevoked,
    /// Those that delete the record of an expiry.
    ExpiryDeleted,
    /// Those that create the record of a share that waits for a copy.
    Waiting,
    /// Those that delete it.
    WaitingDeleted,
    /// Those that begin copies.
    Copy,
    /// Those that delete the record of an ask.
    AskDeleted,
    /// Those that delete the record of a decision.
    DecisionDeleted,
}

impl Of {
    fn has(self, step: &Step) -> bool {
        match self {
            Self::Launch => matches!(step, Step::AddLaunchPermissions { .. }),
            Self::CreateVolume => matches!(step, Step::AddCreateVolumePermissions { .. }),
            Self::Grant => matches!(step, Step::CreateGrant { .. }),
            Self::LaunchRemoved => matches!(step, Step::RemoveLaunchPermissions { .. }),
            Self::CreateVolumeRemoved => matches!(step, Step::RemoveCreateVolumePermissions { .. }),
            Self::GrantRevoked => matches!(step, Step::RevokeGrant { .. }),
            Self::ExpiryDeleted => matches!(step, Step::DeleteExpiry { .. }),
            Self::Waiting => matches!(step, Step::CreateCopyRecord(_)),
            Self::WaitingDeleted => matches!(step, Step::DeleteCopyRecord { .. }),
            Self::Copy => matches!(step, Step::CopyImage(_)),
            Self::AskDeleted => matches!(step, Step::DeleteApproval(RecordName::Ask(_))),
            Self::DecisionDeleted => matches!(step, Step::DeleteApproval(RecordName::Decision(_))),
        }
    }
}

/// A fault that is planted in an invocation, to show that the explorer finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Planted {
    /// None.
    #[default]
    Nothing,
    /// These steps come before all others.
    First(Of),
    /// These steps are left out.
    LeavesOut(Of),
    /// These steps are also made for the other target.
    ForBoth(Of),
    /// A share does not read its record again.
    NoSecondLook,
    /// A share that somebody has approved does not.
    NoSecondLookIfApproved,
    /// A revoke does not remove the permissions once more after it has deleted records.
    NoClosingRemove,
    /// A revoke does not list the grants again.
    NoClosingLook,
    /// A share goes on if its grant failed.
    GoesOn,
    /// An expiry that finds a later record revokes all the same.
    NeverSuperseded,
    /// A hint that makes a share deletes its record at once.
    EndsAtOnce,
    /// A revoke of a share that waited for a copy does not look at the copies again.
    NoWithdrawnLook,
    /// A decision counts for any ask of its name, and for none.
    AnyAsk,
    /// A decision is carried out without a record of it.
    NoDecision,
    /// A share that can't read its record again counts it as there.
    BlindSecondLook,
    /// A share that was half made before undoes itself.
    UndoesHalf,
    /// A share that has its record undoes itself if it could not list the grants.
    UndoesUnlisted,
    /// Grants that can't be read count as there.
    SeesGrants,
    /// Launch permissions that can't be read count as none.
    BlindFacts,
    /// Grants that can't be read count as not there.
    BlindGrants,
    /// An image that a search does not find counts as deregistered.
    SearchedOnly,
    /// A share that relied on another's record does not look whether it is still there.
    NoRecordAgain,
    /// A hint is carried out a day before its time.
    Early,
    /// A repair carries out no expiry that is overdue.
    NothingOverdue,
    /// A hint of a share that waits for a copy goes by the allowlist of before.
    OldAllowlist,
    /// A revoke keeps the grant if the launch permission is already gone.
    KeepsHalf,
    /// A hint that finds a share half made ends its waiting.
    EndsHalf,
    /// A request that is sent again after everything has ended changes nothing.
    NothingAgain,
    /// An approval that is carried out keeps its records. The hints of the decision delete them.
    KeepsDecision,
    /// An approval that is carried out deletes only its decision, and tells nobody.
    KeepsAsk,
    /// A share that needs an approval is made without one.
    AsksNobody,
    /// A share that needs an approval and a copy is written down as if it were approved.
    WaitsAtOnce,
    /// Nobody is told what became of an earlier request.
    TellsNothing,
    /// What became of an earlier request is told under the ID of the invocation.
    TellsOfItself,
    /// A copy that was just begun counts as gone.
    NeverThere,
}

impl Planted {
    /// Whether it keeps the grants, because these facts have no launch permission.
    pub fn keeps_half(self, facts: &Facts) -> bool {
        let mut launch = facts.images.values().flat_map(|image| image.launch_permissions.iter().flatten());
        self == Self::KeepsHalf && !launch.any(|it| *it == LaunchPermission::To(world::targets(ONE).remove(0)))
    }

    /// The steps with the fault.
    pub fn spoil(self, steps: &[Step]) -> Vec<Step> {
        let mut steps = steps.to_vec();
        match self {
            Self::First(of) => steps.sort_by_key(|step| !of.has(step)),
            Self::LeavesOut(of) => steps.retain(|step| !of.has(step)),
            Self::ForBoth(of) => {
                return steps
                    .into_iter()
                    .flat_map(|step| if of.has(&step) { for_both(step) } else { vec![step] })
                    .collect();
            }
            Self::WaitsAtOnce => steps.iter_mut().for_each(|step| {
                let is_ask = matches!(step, Step::CreateApproval(record) if matches!(**record, Record::Ask(_)));
                if is_ask {
                    *step = Step::CreateCopyRecord(Box::new(approved_and_waiting()));
                }
            }),
            Self::NoClosingRemove => {
                let last = steps.iter().rposition(|step| Of::ExpiryDeleted.has(step));
                steps.truncate(last.map_or(usize::MAX, |last| last + 1));
            }
            _ => {}
        }
        steps
    }
}

/// The step for both targets. Of grants, one is revoked that was made by hand for the other.
fn for_both(step: Step) -> Vec<Step> {
    let accounts = || world::targets(ONE | TWO).iter().filter_map(sharing::domain::Target::account).collect();
    vec![match step {
        Step::AddLaunchPermissions { image_id, .. } => {
            Step::AddLaunchPermissions { image_id, targets: world::targets(ONE | TWO) }
        }
        Step::RemoveLaunchPermissions { image_id, .. } => {
            Step::RemoveLaunchPermissions { image_id, targets: world::targets(ONE | TWO) }
        }
        Step::AddCreateVolumePermissions { snapshot_id, .. } => {
            Step::AddCreateVolumePermissions { snapshot_id, accounts: accounts() }
        }
        Step::RemoveCreateVolumePermissions { snapshot_id, .. } => {
            Step::RemoveCreateVolumePermissions { snapshot_id, accounts: accounts() }
        }
        Step::RevokeGrant { ref key, ref name, account, .. } => {
            let by_hand = Step::RevokeGrant {
                key: key.clone(),
                grant_id: world::BY_HAND.to_owned(),
                name: name.clone(),
                account,
            };
            return vec![step, by_hand];
        }
        step => panic!("it is not for a target: {step:?}"),
    }]
}
