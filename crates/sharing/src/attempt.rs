//! Owns [`Attempt`]: how it went to carry out a request, by what was decided and done. What happens next is decided from
//! it, and the report makes the outcome of it. Pure.

use crate::{
    decide::Case,
    domain::CopyName,
    facts::{Facts, Failure, Image},
    outcome::{Refusal, Status, StepState},
    plan::Step,
    progress::{ImageResult, StepResult},
    request::Action,
};

/// How it went to carry out a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The result as a whole.
    pub result: Status,
    /// Why it was refused.
    pub refusals: Vec<Refusal>,
    /// What could not be read or done.
    pub failures: Vec<Failure>,
    /// Whether anything differs now from what was read before.
    pub is_changed: bool,
    /// The records of shares that waited for a copy, as far as they were deleted.
    pub deleted: Vec<CopyName>,
}

impl Attempt {
    /// How it went, by the results of the decisions about each image.
    pub fn new(case: &Case<'_>, facts: &Facts, results: &[ImageResult<'_>]) -> Self {
        let mut refusals: Vec<Refusal> = Vec::new();
        for refusal in results.iter().flat_map(|result| result.decision.refusals()) {
            // Several copies of an image may be refused as one.
            if !refusals.contains(refusal) {
                refusals.push(refusal.clone());
            }
        }
        let is_changed = |result: &ImageResult<'_>| {
            let image = facts.images.get(result.decision.image_id);
            image.is_some_and(|image| is_changed(case.request.action, image, &result.steps))
        };
        Self {
            result: result(case, results),
            refusals,
            failures: results.iter().flat_map(ImageResult::failures).cloned().collect(),
            is_changed: results.iter().any(is_changed),
            deleted: results.iter().flat_map(ImageResult::deleted_copy_records).cloned().collect(),
        }
    }

    /// One that failed before it was decided.
    pub fn failed(failure: Failure) -> Self {
        Self { failures: vec![failure], ..Self::ended(Status::Failed) }
    }

    /// One that was refused before anything was read about the images.
    pub fn refused(refusals: Vec<Refusal>) -> Self {
        Self { refusals, ..Self::ended(Status::Refused) }
    }

    fn ended(result: Status) -> Self {
        Self { result, refusals: Vec::new(), failures: Vec::new(), is_changed: false, deleted: Vec::new() }
    }

    /// Whether it was carried out, or something continues by itself.
    pub fn is_done(&self) -> bool {
        match self.result {
            Status::Completed | Status::Planned | Status::Accepted => true,
            Status::Refused | Status::Failed | Status::Incomplete => false,
        }
    }

    /// Whether the same request may succeed later although it did not now.
    pub fn may_succeed_later(&self) -> bool {
        match self.result {
            Status::Completed | Status::Planned | Status::Accepted => false,
            Status::Refused => !self.refusals.is_empty() && self.refusals.iter().all(Refusal::may_pass),
            Status::Failed | Status::Incomplete => self.failures.iter().any(|failure| failure.retryable),
        }
    }
}

/// The result of the request as a whole.
fn result(case: &Case<'_>, results: &[ImageResult<'_>]) -> Status {
    let request = case.request;
    // A check lists the refusals that a share would get. The check itself is refused only for an image that may not be
    // read.
    let is_refused = |result: &ImageResult<'_>| match request.action {
        Action::List
        | Action::Check
        | Action::Usage
        | Action::Images
        | Action::Approvals
        | Action::Approve
        | Action::Reject => result.decision.blocks_reading(),
        Action::Share | Action::Revoke | Action::Reset | Action::Audit | Action::Repair => {
            !result.decision.refusals().is_empty()
        }
    };
    let refused = results.iter().filter(|result| is_refused(result)).count();
    if refused > 0 && refused == results.len()
        || results.iter().any(|result| result.decision.refuses_whole(request.action))
    {
        return Status::Refused;
    }
    let steps = || results.iter().flat_map(|result| &result.steps);
    // If a request only reads, it is answered with what is known about the other images.
    let is_partly_refused = refused > 0 && request.action.writes() && request.action != Action::Usage;
    let has_gaps = results.iter().any(|result| !result.decision.gaps().is_empty() || !result.lost.is_empty());
    let is_left_undone = |step: &StepResult| matches!(step.state, StepState::Failed | StepState::Skipped);
    let is_short = is_partly_refused || has_gaps || steps().any(|step| is_left_undone(step) && !step.is_passed_over());
    let is_change =
        |result: &ImageResult<'_>, step: &StepResult| step.may_be_done() && !is_mere_record(&step.step, &result.steps);
    let is_changed = results.iter().any(|result| result.steps.iter().any(|step| is_change(result, step)));
    match (is_short, is_changed) {
        (true, false) if !is_partly_refused => Status::Failed,
        (true, _) => Status::Incomplete,
        (false, _) if request.dry_run && request.action.writes() => Status::Planned,
        (false, _) if results.iter().any(ImageResult::continues_by_itself) => Status::Accepted,
        (false, _) => Status::Completed,
    }
}

/// Whether the steps changed (or in a plan, would change) what was read before.
pub(crate) fn is_changed(action: Action, image: &Image, steps: &[StepResult]) -> bool {
    let is_real = |result: &&StepResult| matches!(result.state, StepState::Done | StepState::Planned);
    let changes = |step: &Step| !is_mere_record(step, steps) && changes(step, image);
    action.writes() && steps.iter().filter(is_real).any(|result| changes(&result.step))
}

/// Whether the step changes what was read; `true` if that is not known.
fn changes(step: &Step, image: &Image) -> bool {
    let was_unknown = !image.launch_permissions.is_known();
    match step {
        Step::AddLaunchPermissions { targets, .. } => targets.iter().any(|target| !image.is_shared_with(target)),
        Step::RemoveLaunchPermissions { targets, .. } => {
            was_unknown || targets.iter().any(|target| image.is_shared_with(target))
        }
        Step::ResetLaunchPermissions { .. } => was_unknown || image.is_shared(),
        Step::RemoveCreateVolumePermissions { snapshot_id, accounts } => {
            let snapshot = image.known_snapshots().find(|snapshot| snapshot.id == *snapshot_id);
            let before = snapshot.and_then(|snapshot| snapshot.create_volume_permissions.known());
            before.is_none_or(|before| accounts.iter().any(|account| before.accounts.contains(account)))
        }
        Step::CreateGrant { .. }
        | Step::RevokeGrant { .. }
        | Step::AddCreateVolumePermissions { .. }
        | Step::CreateExpiry(_)
        | Step::CreateCopyRecord(_)
        | Step::DeleteCopyRecord { .. }
        | Step::CopyImage(_)
        | Step::CreateApproval(_)
        | Step::DeleteApproval(_)
        | Step::DeleteExpiry { .. }
        | Step::PutParameter(_)
        | Step::CreateUsageReport { .. } => true,
    }
}

/// Whether a step of an image writes or deletes a record without a change of access: the end of a share that was made
/// or given up, or a record that was deleted again.
fn is_mere_record(step: &Step, steps: &[StepResult]) -> bool {
    let is_deleted = |name: &str| {
        steps.iter().skip_while(|result| result.step != *step).any(|result| {
            matches!(&result.step, Step::DeleteCopyRecord { name: deleted, .. } if deleted.as_str() == name)
                && result.state == StepState::Done
        })
    };
    match step {
        Step::DeleteCopyRecord { targets, .. } => targets.is_empty(),
        Step::CreateCopyRecord(record) => is_deleted(record.name.as_str()),
        Step::CreateApproval(_) | Step::DeleteApproval(_) => true,
        Step::CreateExpiry(_)
        | Step::DeleteExpiry { .. }
        | Step::CopyImage(_)
        | Step::CreateGrant { .. }
        | Step::RevokeGrant { .. }
        | Step::AddCreateVolumePermissions { .. }
        | Step::RemoveCreateVolumePermissions { .. }
        | Step::AddLaunchPermissions { .. }
        | Step::RemoveLaunchPermissions { .. }
        | Step::ResetLaunchPermissions { .. }
        | Step::CreateUsageReport { .. }
        | Step::PutParameter(_) => false,
    }
}
