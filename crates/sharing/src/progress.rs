//! Owns [`Progress`]: how far a plan is carried out, and which of its steps are taken or skipped next; and [`ImageResult`],
//! what was done in the end. Pure; `carry_out` asks it before each phase.
//!
//! A failed step doesn't stop the other steps of its phase. Steps of later phases that depend on it are skipped. So a
//! share never adds a launch permission if its grant failed, and a revoke removes as much as it can, in order.

mod result;

use std::collections::{BTreeSet, VecDeque};

pub use result::{ImageResult, StepResult, why_not_done};

use crate::{
    domain::Target,
    outcome::StepState,
    plan::{Phase, Step},
};

/// A step whose turn has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It is carried out.
    Take(Step),
    /// It is skipped, because something that it depends on failed.
    Skip(Step),
}

/// How far a plan is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The phases that have not begun.
    phases: VecDeque<Vec<Step>>,
    /// The phases in which a step failed.
    failed: Vec<Phase>,
    /// The targets that AWS did not know, each with the phase in which AWS said so. They do not stop the other targets:
    /// later phases continue without them.
    unknown: BTreeSet<(Phase, Target)>,
}

impl Progress {
    /// Before the first step.
    pub fn new(steps: &[Step]) -> Self {
        let phases = steps.chunk_by(|step, next| step.phase() == next.phase()).map(<[Step]>::to_vec).collect();
        Self { phases, failed: Vec::new(), unknown: BTreeSet::new() }
    }

    /// The steps of the next phase, which don't depend on each other; `None` if the plan is carried out.
    pub fn next_phase(&mut self) -> Option<Vec<Turn>> {
        let phase = self.phases.pop_front()?;
        let turns = phase.into_iter().flat_map(|step| {
            if self.failed.iter().any(|phase| step.waits_for(*phase)) {
                return vec![Turn::Skip(step)];
            }
            let (without, rest) = self.of_known(&step);
            without.map(Turn::Skip).into_iter().chain(rest.map(Turn::Take)).collect()
        });
        Some(turns.collect())
    }

    /// Takes note of the results of a phase.
    pub fn learn(&mut self, taken: &[StepResult]) {
        for result in taken.iter().filter(|result| result.is_target_unknown()) {
            let targets = result.step.adds().into_iter().chain(result.step.removes());
            self.unknown.extend(targets.map(|target| (result.step.phase(), target)));
        }
        let is_for_nobody = |step: &Step| matches!(self.of_known(step), (Some(_), None));
        let is_missed = |result: &&StepResult| {
            result.state != StepState::Done && !result.step.is_best_effort() && !is_for_nobody(&result.step)
        };
        let missed = taken.iter().find(is_missed).map(|result| result.step.phase());
        self.failed.extend(missed);
    }

    /// Divides a step into the part that must be skipped and the part that can be carried out. A target that AWS did not
    /// know in an earlier phase is skipped in the phases that depend on that phase. So no target has a launch permission
    /// without its grant.
    fn of_known(&self, step: &Step) -> (Option<Step>, Option<Step>) {
        let is_held_up =
            |target: &Target| self.unknown.iter().any(|(phase, other)| other == target && step.waits_for(*phase));
        match step.split(is_held_up) {
            // A step that can't be split, such as that of a grant, has one target.
            (None, None) => {
                let about = [step.adds(), step.removes()].concat();
                let is_held_up = !about.is_empty() && about.iter().all(is_held_up);
                if is_held_up { (Some(step.clone()), None) } else { (None, Some(step.clone())) }
            }
            parts => parts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{facts::Failure, outcome::ErrorCode};

    const ONE: &str = "111122223333";
    const TWO: &str = "222233334444";

    fn add_copy() -> Step {
        let accounts = [ONE, TWO].map(|account| account.parse().unwrap()).to_vec();
        Step::AddCreateVolumePermissions { snapshot_id: "snap-1a2b3c4d".parse().unwrap(), accounts }
    }

    fn add_launch(targets: &[&str]) -> Step {
        let targets = targets.iter().map(|target| target.parse().unwrap()).collect();
        Step::AddLaunchPermissions { image_id: "ami-1a2b3c4d".parse().unwrap(), targets }
    }

    fn failed(step: Step, code: ErrorCode) -> StepResult {
        let error = Failure { code, call: None, resource: None, message: String::new(), retryable: false };
        StepResult { error: Some(error), ..StepResult::new(step, StepState::Failed) }
    }

    /// The turns after the first phase, the copies, ended like this.
    #[track_caller]
    fn check(first: &[StepResult], expect: &[Turn]) {
        let mut progress = Progress::new(&[add_copy(), add_launch(&[ONE, TWO])]);
        assert_eq!(progress.next_phase(), Some(vec![Turn::Take(add_copy())]));
        progress.learn(first);
        assert_eq!(progress.next_phase(), Some(expect.to_vec()));
        assert_eq!(progress.next_phase(), None);
    }

    #[test]
    fn what_depends_on_a_failed_step_is_skipped() {
        let both = add_launch(&[ONE, TWO]);
        check(&[StepResult::new(add_copy(), StepState::Done)], &[Turn::Take(both.clone())]);
        check(&[failed(add_copy(), ErrorCode::Throttled)], &[Turn::Skip(both)]);
    }

    #[test]
    fn a_step_is_split_only_if_aws_does_not_know_a_target() {
        let split = |code, words: &str| {
            let mut result = failed(add_copy(), code);
            result.error.as_mut().unwrap().message = words.to_owned();
            result.split()
        };
        assert_eq!(StepResult::new(add_copy(), StepState::Done).split(), None);
        assert_eq!(split(ErrorCode::Denied, ONE), None);
        let (one, two) = add_copy().split(|target| target.to_string() == ONE);
        let (unknown, parts) = split(ErrorCode::TargetNotKnown, &format!("{ONE} is no account")).unwrap();
        let unknown = unknown.unwrap();
        assert_eq!(
            (Some(&unknown.step), unknown.state, parts),
            (one.as_ref(), StepState::Failed, vec![two.clone().unwrap()])
        );
        assert_eq!(unknown.error.unwrap().message, format!("AWS does not know {ONE}: {ONE} is no account"));
        // If the words name none, each half is tried.
        let halves = [one, two].into_iter().flatten().collect();
        assert_eq!(split(ErrorCode::TargetNotKnown, "an account is unknown"), Some((None, halves)));
    }

    #[test]
    fn a_target_that_aws_does_not_know_stops_only_itself() {
        let (one, two) = add_copy().split(|target| target.to_string() == ONE);
        let first = [failed(one.unwrap(), ErrorCode::TargetNotKnown), StepResult::new(two.unwrap(), StepState::Done)];
        check(&first, &[Turn::Skip(add_launch(&[ONE])), Turn::Take(add_launch(&[TWO]))]);
    }

    /// A grant on a key can't be divided: it is of one account.
    #[test]
    fn the_grant_of_a_target_that_aws_does_not_know_stays_and_others_are_revoked() {
        let key: crate::domain::KeyArn = "arn:aws:kms:eu-west-1:999988887777:key/1234abcd".parse().unwrap();
        let revoke = |account: &str| Step::RevokeGrant {
            key: key.clone(),
            grant_id: account.to_owned(),
            name: format!("ami-share/ami-1a2b3c4d/{account}"),
            account: account.parse().unwrap(),
        };
        let remove = Step::RemoveLaunchPermissions {
            image_id: "ami-1a2b3c4d".parse().unwrap(),
            targets: vec![ONE.parse().unwrap()],
        };
        let mut progress = Progress::new(&[remove.clone(), revoke(ONE), revoke(TWO)]);
        assert_eq!(progress.next_phase(), Some(vec![Turn::Take(remove.clone())]));
        progress.learn(&[failed(remove, ErrorCode::TargetNotKnown)]);
        assert_eq!(progress.next_phase(), Some(vec![Turn::Skip(revoke(ONE)), Turn::Take(revoke(TWO))]));
    }
}
