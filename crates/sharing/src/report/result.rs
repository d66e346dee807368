//! Owns [`ImageResult`] and [`StepResult`]: what became of a decision and of each step of its plan.

use crate::{
    decide::ImageDecision,
    domain::ImageId,
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
    /// The ID of the copy that it began.
    pub copy_id: Option<ImageId>,
}

impl StepResult {
    /// A step of which no more is known than how far it got.
    pub fn new(step: Step, state: StepState) -> Self {
        Self { step, state, error: None, is_uncertain: false, grant_id: None, copy_id: None }
    }

    /// Whether the request goes on, and counts as done as far as it can be now, although this step was not: it is best
    /// effort, or it is tried again when the record of the share that waits for it is looked at.
    pub fn is_passed_over(&self) -> bool {
        let is_tried_again =
            matches!(self.step, Step::CopyImage(_)) && self.error.as_ref().is_some_and(|error| error.retryable);
        is_tried_again || self.step.is_best_effort()
    }

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
