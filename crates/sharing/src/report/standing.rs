//! Owns what a target can do with an image after the request: whether it can use each key, and whether it can launch.
//! Pure.

use key_policy::Verdict;

use crate::{
    decide::{Case, GrantPlan, JudgedKey, Remaining, remaining},
    domain::{KeyArn, ServiceLinkedRole, Target},
    facts::{Image, ImageState},
    outcome::{KeyRow, Launch, StepState},
    plan::Step,
    progress::{ImageResult, StepResult},
    request::Action,
};

/// One image, and the result of the request.
#[derive(Clone, Copy)]
pub(super) struct Standing<'r> {
    pub case: &'r Case<'r>,
    pub image: &'r Image,
    pub result: &'r ImageResult<'r>,
    /// Whether one image prevents that the request is carried out for any image.
    pub is_stopped: bool,
}

impl Standing<'_> {
    /// The rows of the keys.
    pub(super) fn keys(&self) -> Vec<KeyRow> {
        self.result.decision.keys().iter().map(|key| self.key(key)).collect()
    }

    fn key(&self, key: &JudgedKey) -> KeyRow {
        let KeyRow { key_arn, target, .. } = &key.now;
        key.row(self.plan(key_arn, target, None), |role| self.plan(key_arn, target, Some(role)))
    }

    /// How a grant that did not exist before is shown: that of the target, or that of one of its roles.
    fn plan(&self, key: &KeyArn, target: &Target, role: Option<&ServiceLinkedRole>) -> GrantPlan {
        let Self { case, image, result, .. } = self;
        match case.request.action {
            Action::Check if !result.decision.accepts(image, target) => GrantPlan::Nothing,
            Action::Check if image.is_shared_with(target) => GrantPlan::Left,
            Action::Check => GrantPlan::Counted,
            Action::Share => match self.grant_step(key, target, role).map(|step| self.made(step)) {
                Some(Made::Yes) => GrantPlan::Made,
                Some(Made::Planned) => GrantPlan::Counted,
                Some(Made::Maybe | Made::Not) => GrantPlan::Left,
                None => GrantPlan::Nothing,
            },
            Action::Revoke
            | Action::Reset
            | Action::List
            | Action::Usage
            | Action::Audit
            | Action::Repair
            | Action::Images
            | Action::Approvals
            | Action::Approve
            | Action::Reject => GrantPlan::Nothing,
        }
    }

    fn grant_step(&self, of_key: &KeyArn, target: &Target, role: Option<&ServiceLinkedRole>) -> Option<&StepResult> {
        self.result.steps.iter().find(|result| {
            let Step::CreateGrant { key, account, kind, .. } = &result.step else { return false };
            key == of_key && target.account() == Some(*account) && kind.role() == role
        })
    }

    /// The result of a step that creates a grant.
    fn made(&self, step: &StepResult) -> Made {
        let Step::CreateGrant { key: of_key, name: made, .. } = &step.step else { return Made::Not };
        let taken_back = self.result.steps.iter().find(|result| {
            let Step::RevokeGrant { key, name, .. } = &result.step else { return false };
            key == of_key && name == made.as_str()
        });
        let was_made = Made::by(step);
        match (was_made, taken_back.map(Made::by)) {
            (_, None | Some(Made::Not | Made::Planned)) => was_made,
            (_, Some(Made::Yes)) => Made::Not,
            (_, Some(Made::Maybe)) => Made::Maybe,
        }
    }

    /// Whether the target can launch the image now; `None` if the request does not ask for this, or was only planned.
    pub(super) fn launch(&self, target: &Target) -> Option<Launch> {
        let request = self.case.request;
        let is_reported = match request.action {
            Action::Check => true,
            Action::Share => !request.dry_run,
            Action::Revoke
            | Action::Reset
            | Action::List
            | Action::Usage
            | Action::Audit
            | Action::Repair
            | Action::Images
            | Action::Approvals
            | Action::Approve
            | Action::Reject => false,
        };
        is_reported.then(|| self.permission(target).max(self.by_keys(target)))
    }

    fn permission(&self, target: &Target) -> Launch {
        if self.image.state != ImageState::Available {
            return Launch::Not;
        }
        if *target == Target::Account(self.image.owner) {
            return Launch::Really;
        }
        match self.has_own_entry(target) {
            Some(true) => Launch::Really,
            None => Launch::Unknown,
            Some(false) => match remaining(self.case.allowlist, self.image, target) {
                Remaining::Surely(_) => Launch::Really,
                Remaining::Maybe(_) | Remaining::Unread(_) => Launch::Unknown,
                Remaining::Nothing => Launch::Not,
            },
        }
    }

    /// Whether the target has a launch permission of its own after all steps. A write that failed changes nothing;
    /// `None` if a write got no answer.
    fn has_own_entry(&self, target: &Target) -> Option<bool> {
        let gives =
            |step: &Step| matches!(step, Step::AddLaunchPermissions { targets, .. } if targets.contains(target));
        let takes =
            |step: &Step| matches!(step, Step::RemoveLaunchPermissions { targets, .. } if targets.contains(target));
        let may_be_made = |result: &StepResult| matches!(Made::by(result), Made::Yes | Made::Maybe);
        let is_write = |result: &&StepResult| (gives(&result.step) || takes(&result.step)) && may_be_made(result);
        match self.result.steps.iter().rfind(is_write) {
            None => Some(self.image.is_shared_with(target)),
            Some(last) => (Made::by(last) == Made::Yes).then(|| gives(&last.step)),
        }
    }

    fn by_keys(&self, target: &Target) -> Launch {
        let decision = &self.result.decision;
        if decision.has_unusable_key() {
            return Launch::Not;
        }
        let of_target = decision.keys().iter().filter(|key| key.now.target == *target);
        let verdicts =
            of_target.map(|key| match self.grant_step(&key.now.key_arn, target, None).map(|step| self.made(step)) {
                Some(Made::Maybe) => Verdict::Unknown,
                Some(Made::Yes) => self.key(key).access.verdict,
                Some(Made::Planned | Made::Not) | None => key.now.access.verdict,
            });
        let is_unread = self.image.snapshots.iter().any(|backing| !backing.snapshot.is_known());
        let unread = is_unread.then_some(Launch::Unknown);
        verdicts.map(Launch::from).chain(unread).max().unwrap_or(Launch::Really)
    }
}

/// Whether a write was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// It was carried out.
    Yes,
    /// It is only planned.
    Planned,
    /// No answer arrived.
    Maybe,
    /// It was not carried out.
    Not,
}

impl Made {
    fn by(result: &StepResult) -> Self {
        match result.state {
            StepState::Done => Self::Yes,
            StepState::Planned => Self::Planned,
            StepState::Failed | StepState::Skipped if result.is_uncertain => Self::Maybe,
            StepState::Failed | StepState::Skipped => Self::Not,
        }
    }
}
