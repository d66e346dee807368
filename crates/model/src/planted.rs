//! Owns [`Planted`]: the faults that are planted in an invocation, to show that the explorer finds them.

use sharing::{
    facts::{Facts, LaunchPermission},
    plan::Step,
};

use crate::world::{self, ONE, TWO};

/// A fault that is planted in an invocation, to show that the explorer finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Planted {
    /// None.
    #[default]
    Nothing,
    /// A share adds the launch permission before everything else.
    LaunchFirst,
    /// A revoke deletes the records before everything else.
    RecordsFirst,
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
    /// A share that waits for a copy begins the copy before it writes its record.
    CopyFirst,
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
    /// What takes away from one target also takes the launch permission of the other.
    TakesAll,
    /// What takes away keeps the record of an expiry.
    KeepsRecord,
    /// A revoke keeps the grant if the launch permission is already gone.
    KeepsHalf,
    /// A hint that finds a share half made ends its waiting.
    EndsHalf,
    /// A request that is sent again after everything has ended changes nothing.
    NothingAgain,
    /// An approval that is carried out keeps its records. The hints of the decision delete them.
    KeepsDecision,
}

impl Planted {
    /// Whether it keeps the grants, because these facts have no launch permission.
    pub fn keeps_half(self, facts: &Facts) -> bool {
        let mut launch = facts.images.values().flat_map(|image| image.launch_permissions.iter().flatten());
        self == Self::KeepsHalf && !launch.any(|it| *it == LaunchPermission::To(world::targets(ONE).remove(0)))
    }

    /// The plan with the fault.
    pub fn spoil(self, steps: Vec<Step>) -> Vec<Step> {
        let first = |is_first: fn(&Step) -> bool| {
            let (mut steps, rest): (Vec<_>, Vec<_>) = steps.clone().into_iter().partition(is_first);
            steps.extend(rest);
            steps
        };
        match self {
            Self::LaunchFirst => first(|step| matches!(step, Step::AddLaunchPermissions { .. })),
            Self::CopyFirst => first(|step| matches!(step, Step::CopyImage(_))),
            Self::RecordsFirst => first(|step| matches!(step, Step::DeleteExpiry { .. })),
            Self::KeepsRecord => steps.into_iter().filter(|step| !matches!(step, Step::DeleteExpiry { .. })).collect(),
            Self::TakesAll => steps.into_iter().map(from_all).collect(),
            Self::NoClosingRemove => {
                let last = steps.iter().rposition(|step| matches!(step, Step::DeleteExpiry { .. }));
                steps.into_iter().take(last.map_or(usize::MAX, |last| last + 1)).collect()
            }
            Self::Nothing
            | Self::NoSecondLook
            | Self::NoSecondLookIfApproved
            | Self::NoClosingLook
            | Self::GoesOn
            | Self::NeverSuperseded
            | Self::NoWithdrawnLook
            | Self::EndsAtOnce
            | Self::AnyAsk
            | Self::NoDecision
            | Self::BlindSecondLook
            | Self::UndoesHalf
            | Self::UndoesUnlisted
            | Self::SeesGrants
            | Self::BlindGrants
            | Self::BlindFacts
            | Self::SearchedOnly
            | Self::NoRecordAgain
            | Self::Early
            | Self::EndsHalf
            | Self::NothingAgain
            | Self::KeepsHalf
            | Self::KeepsDecision
            | Self::NothingOverdue
            | Self::OldAllowlist => steps,
        }
    }
}

fn from_all(step: Step) -> Step {
    match step {
        Step::RemoveLaunchPermissions { image_id, .. } => {
            Step::RemoveLaunchPermissions { image_id, targets: world::targets(ONE | TWO) }
        }
        step => step,
    }
}
