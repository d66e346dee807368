//! Owns how a target stands with an image when all is done: what each key says of it, and whether it can launch. Pure.

use key_policy::Verdict;

use super::{ImageResult, StepResult};
use crate::{
    decide::{GrantPlan, JudgedKey, Question, Remaining, remaining},
    domain::{KeyArn, ServiceLinkedRole, Target},
    facts::{Image, ImageState},
    outcome::{KeyRow, Launch, Status, StepState, TargetState},
    plan::{GranteeKind, Step},
    request::Action,
};

/// One image, and what became of the request.
#[derive(Clone, Copy)]
pub(super) struct Standing<'r> {
    pub question: &'r Question<'r>,
    pub image: &'r Image,
    pub result: &'r ImageResult<'r>,
    pub status: Status,
}

impl Standing<'_> {
    /// The rows of the keys.
    pub(super) fn keys(&self) -> Vec<KeyRow> {
        self.result.decision.keys.iter().map(|key| self.key(key)).collect()
    }

    fn key(&self, key: &JudgedKey) -> KeyRow {
        let KeyRow { key_arn, target, .. } = &key.now;
        key.row(self.plan(key_arn, target, None), |role| self.plan(key_arn, target, Some(role)))
    }

    /// What became of a grant that was not there: the target's own, or that of one of its roles.
    fn plan(&self, key: &KeyArn, target: &Target, role: Option<&ServiceLinkedRole>) -> GrantPlan {
        let Self { question, image, result, status } = self;
        match question.request.action {
            Action::Check if !result.decision.accepts(image, target) => GrantPlan::Nothing,
            Action::Check if image.is_shared_with(target) => GrantPlan::Left,
            Action::Check => GrantPlan::Counted,
            Action::Share if *status == Status::Refused || !result.decision.gaps.is_empty() => GrantPlan::Nothing,
            Action::Share => match self.grant_step(key, target, role).map(|step| step.state) {
                Some(StepState::Done) => GrantPlan::Made,
                Some(StepState::Planned) => GrantPlan::Counted,
                Some(StepState::Failed | StepState::Skipped) => GrantPlan::Left,
                None => GrantPlan::Nothing,
            },
            Action::Revoke | Action::Reset | Action::List | Action::Audit | Action::Repair => GrantPlan::Nothing,
        }
    }

    fn grant_step(&self, of_key: &KeyArn, target: &Target, role: Option<&ServiceLinkedRole>) -> Option<&StepResult> {
        self.result.steps.iter().find(|result| {
            let Step::CreateGrant { key, account, kind, .. } = &result.step else { return false };
            let of_role = match kind {
                GranteeKind::Account => None,
                GranteeKind::Role(role) => Some(role),
            };
            key == of_key && target.account() == Some(*account) && of_role == role
        })
    }

    /// Whether the target can launch the image as things are now; nothing where that is not asked, or only planned.
    pub(super) fn launch(&self, target: &Target, state: TargetState) -> Option<Launch> {
        let request = self.question.request;
        let is_told = match request.action {
            Action::Check => true,
            Action::Share => !request.dry_run,
            Action::Revoke | Action::Reset | Action::List | Action::Audit | Action::Repair => false,
        };
        is_told.then(|| self.permission(target, state).max(self.by_keys(target)))
    }

    fn permission(&self, target: &Target, state: TargetState) -> Launch {
        let is_its_own = *target == Target::Account(self.image.owner);
        let is_shared = match state {
            TargetState::Shared | TargetState::AlreadyShared => true,
            // A write that failed leaves what was there; whether one without an answer was made is not known.
            TargetState::Failed => self.image.is_shared_with(target),
            TargetState::Revoked
            | TargetState::NotShared
            | TargetState::StillReachable
            | TargetState::MaybeReachable => false,
        };
        let is_write = |step: &Step| {
            let is_launch = matches!(step, Step::AddLaunchPermissions { .. } | Step::RemoveLaunchPermissions { .. });
            is_launch && (step.adds().contains(target) || step.removes().contains(target))
        };
        let is_uncertain =
            self.result.steps.iter().rfind(|result| is_write(&result.step)).is_some_and(|last| last.is_uncertain);
        if self.image.state != ImageState::Available {
            Launch::Not
        } else if is_its_own {
            Launch::Really
        } else if state == TargetState::Failed && is_uncertain {
            Launch::Unknown
        } else if is_shared {
            Launch::Really
        } else {
            match remaining(self.question.allowlist, self.image, target) {
                Remaining::Surely(_) => Launch::Really,
                Remaining::Maybe(_) | Remaining::Unread(_) => Launch::Unknown,
                Remaining::Nothing => Launch::Not,
            }
        }
    }

    fn by_keys(&self, target: &Target) -> Launch {
        let decision = &self.result.decision;
        if decision.has_unusable_key {
            return Launch::Not;
        }
        let is_unread = self.image.snapshots.failed().is_some() || !self.image.unread_snapshots.is_empty();
        let of_target = decision.keys.iter().filter(|key| key.now.target == *target);
        let verdicts = of_target.map(|key| {
            let step = self.grant_step(&key.now.key_arn, target, None);
            match step {
                Some(StepResult { is_uncertain: true, .. }) => Verdict::Unknown,
                Some(StepResult { state: StepState::Done, .. }) => self.key(key).access.verdict,
                _ => key.now.access.verdict,
            }
        });
        let unread = is_unread.then_some(Launch::Unknown);
        verdicts.map(of_verdict).chain(unread).max().unwrap_or(Launch::Really)
    }
}

fn of_verdict(verdict: Verdict) -> Launch {
    match verdict {
        Verdict::Allowed => Launch::Really,
        Verdict::Conditional | Verdict::Unknown => Launch::Unknown,
        Verdict::Missing | Verdict::Denied => Launch::Not,
    }
}
