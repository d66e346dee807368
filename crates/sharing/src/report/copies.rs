//! Owns how a copy is reported: its source, its state, and the targets that wait for it. Pure.

use time::OffsetDateTime;

use crate::{
    decide::{Await, Case, Decision, Next},
    domain::{ImageId, Target},
    facts::Image,
    outcome::{CopyState, Source, StepState, TargetState},
    plan::Step,
    progress::{ImageResult, StepResult},
};

/// The ID of the image that a row is about; none if EC2 has not given the copy an ID yet.
pub(super) fn image_id(image: &Image, result: &ImageResult<'_>) -> Option<ImageId> {
    match image.as_awaited() {
        None => Some(result.decision.image_id.clone()),
        Some(awaited) => awaited.pending.clone().or_else(|| begun(result)),
    }
}

/// The copy that EC2 has begun to make.
fn begun(result: &ImageResult<'_>) -> Option<ImageId> {
    result.steps.iter().find_map(|result| result.copy_id.clone())
}

/// What the image is a copy of, if the request names that.
pub(super) fn source(case: &Case<'_>, image: &Image) -> Option<Source> {
    case.request.copy_from.as_ref()?;
    image.provenance.source().cloned().map(Source::from)
}

/// The state of the copy, if the request names its source.
pub(super) fn state(case: &Case<'_>, image: &Image, result: &ImageResult<'_>) -> Option<CopyState> {
    case.request.copy_from.as_ref()?;
    let state = match begun(result) {
        Some(_) => "pending",
        None => image.state.as_str(),
    };
    let key_arn = image.keys().first().map(|key| (*key).clone());
    Some(CopyState { state: state.to_owned(), key_arn, until: until(image, result) })
}

/// How long shares wait for the copy: the requested share, or else the one that waits longest.
fn until(image: &Image, result: &ImageResult<'_>) -> Option<OffsetDateTime> {
    match &result.decision.decision {
        Decision::Await(awaiting) => Some(awaiting.record.until),
        Decision::TakeAway(_) => None,
        Decision::Share(_)
        | Decision::Refused(_)
        | Decision::Unsettled(_)
        | Decision::Superseded(_)
        | Decision::Look(_)
        | Decision::Usage(_)
        | Decision::Survey(_) => image.waiting.iter().flatten().map(|record| record.until).max(),
    }
}

/// The state of a target whose share waits for its copy.
pub(super) fn target_state(Await { next, .. }: &Await, steps: &[StepResult]) -> TargetState {
    let has_failed = |result: &StepResult| {
        matches!(result.state, StepState::Failed | StepState::Skipped) && !result.is_passed_over()
    };
    match next {
        Next::Wait(_) if !steps.iter().any(has_failed) => TargetState::Waiting,
        Next::Wait(_) | Next::GiveUp(_) => TargetState::Failed,
    }
}

/// Whether a share with the target waits for the copy.
pub(super) fn is_waiting(image: &Image, target: &Target) -> bool {
    !image.is_shared_with(target) && image.waiting_for(|other| other == target).next().is_some()
}

/// Whether a share with the target waited and was taken back, or would be.
pub(super) fn is_withdrawn(steps: &[StepResult], target: &Target) -> bool {
    steps.iter().any(|result| {
        let is_it = matches!(&result.step, Step::DeleteCopyRecord { targets, .. } if targets.contains(target));
        is_it && matches!(result.state, StepState::Done | StepState::Planned)
    })
}
