//! Owns [`ImageResult`] and [`StepResult`]: what became of a decision and of each step of its plan.

use crate::{
    decide::ImageDecision,
    facts::Failure,
    outcome::{ErrorCode, StepState},
    plan::Step,
};

/// One step and how far it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepResult {
    /// The step.
    pub step: Step,
    /// How far it got.
    pub state: StepState,
    /// Why it failed.
    pub error: Option<Failure>,
    /// Whether AWS may have done it although no answer arrived.
    pub is_uncertain: bool,
    /// The ID of the grant that it made.
    pub grant_id: Option<String>,
}

impl StepResult {
    /// Whether AWS has done it, or may have.
    pub fn may_be_done(&self) -> bool {
        self.state == StepState::Done || self.is_uncertain
    }

    /// Whether it failed because AWS does not know a target. A grant for a role is best effort, and the role's account may
    /// be known well enough.
    pub fn is_target_unknown(&self) -> bool {
        let is_unknown = |error: &Failure| error.code == ErrorCode::TargetNotKnown;
        self.error.as_ref().is_some_and(is_unknown) && !self.step.is_best_effort()
    }
}

/// What was decided and done for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageResult<'a> {
    /// The decision.
    pub decision: ImageDecision<'a>,
    /// The steps, in order.
    pub steps: Vec<StepResult>,
    /// The shares that were taken back because their records were gone when they were made, and why.
    pub lost: Vec<Failure>,
}

impl ImageResult<'_> {
    /// Whether something continues by itself that was begun now or before.
    pub fn continues_by_itself(&self) -> bool {
        let is_begun = |taken: &StepResult| taken.step.continues_by_itself() && taken.state == StepState::Done;
        self.decision.is_awaited() || self.steps.iter().any(is_begun)
    }
}
