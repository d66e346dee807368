//! Owns [`Stop`], where the reads of an invocation may stop, and [`Place`], what a call reads or may change.

use sharing::plan::Step;

use crate::{
    kept::Event,
    script::{Call, Pools},
    steps::Path,
    world::{slot_of, slot_of_snapshot},
};

/// An invocation that is about to read: its place in the scene, what AWS keeps, how far it is, how many reads may fail, and
/// whether nothing else runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Reader {
    pub(crate) actor: u8,
    pub(crate) kept: u32,
    pub(crate) at: u32,
    pub(crate) reads: u8,
    pub(crate) is_alone: bool,
}

/// Where the reads of an invocation may stop.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) kept: u32,
    pub(crate) at: u32,
    pub(crate) reads: u8,
    /// What the last read is about.
    pub(crate) last: Place,
    pub(crate) path: Path,
}

/// What a call is about: what it reads, or may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The clock, and the allowlist.
    Beginning,
    /// Which images there are, how they stand, and the launch permissions of the one in this slot.
    Image(usize),
    /// Which copies there are, and how they stand.
    Copies,
    /// The image that is copied.
    Source,
    /// The create volume permissions of the image in this slot.
    Snapshot(usize),
    Grants,
    Schedules,
}

impl Place {
    pub(crate) fn of_read(call: &Call) -> Self {
        match call {
            Call::Begin => Self::Beginning,
            Call::Image => Self::Image(0),
            Call::Launch(slot) => Self::Image(usize::from(*slot)),
            Call::Copies | Call::IsThere(_) => Self::Copies,
            Call::Source => Self::Source,
            Call::Copy(slot) => Self::Snapshot(usize::from(*slot)),
            Call::Grants => Self::Grants,
            Call::Names(_) | Call::Schedule(_) | Call::LookAgain(_) => Self::Schedules,
            Call::CopyImage { .. } | Call::Write { .. } => panic!("this is no read: {call:?}"),
        }
    }

    /// What may be read differently after this write.
    pub(crate) fn changed_by(call: &Call, pools: &Pools) -> Vec<Self> {
        let Call::Write { step, .. } = call else { return vec![Self::Copies] };
        match &*pools.steps.get(*step) {
            Step::AddLaunchPermissions { image_id, .. }
            | Step::RemoveLaunchPermissions { image_id, .. }
            | Step::ResetLaunchPermissions { image_id } => slot_of(image_id).map(Self::Image).into_iter().collect(),
            Step::AddCreateVolumePermissions { snapshot_id, .. }
            | Step::RemoveCreateVolumePermissions { snapshot_id, .. } => {
                vec![Self::Snapshot(slot_of_snapshot(snapshot_id))]
            }
            Step::CreateGrant { .. } | Step::RevokeGrant { .. } => vec![Self::Grants],
            Step::CreateExpiry(_)
            | Step::DeleteExpiry { .. }
            | Step::CreateCopyRecord(_)
            | Step::DeleteCopyRecord { .. }
            | Step::CreateApproval(_)
            | Step::DeleteApproval(_) => vec![Self::Schedules],
            step @ (Step::CopyImage(_) | Step::PutParameter(_) | Step::CreateUsageReport { .. }) => {
                panic!("no scene has this step: {step:?}")
            }
        }
    }

    /// What may be read differently after this event.
    pub(crate) fn changed_by_event(event: Event) -> Vec<Self> {
        match event {
            Event::Available(slot) | Event::Fails(slot) | Event::Deregistered(slot) => {
                vec![Self::Copies, Self::Image(slot), Self::Snapshot(slot)]
            }
            Event::SourceGone => vec![Self::Source],
            Event::Withdrawn => vec![Self::Beginning],
        }
    }
}
