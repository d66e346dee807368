//! Owns [`ImageResult`] and [`StepResult`]: the results of a decision and of each step of its plan.

use crate::{
    decide::ImageDecision,
    domain::{CopyName, ImageId, some_of},
    facts::Failure,
    outcome::{ErrorCode, StepState},
    plan::Step,
};

/// A step and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepResult {
    /// The step.
    pub step: Step,
    /// Its state.
    pub state: StepState,
    /// Why it failed.
    pub error: Option<Failure>,
    /// Whether AWS may have carried it out although no answer arrived.
    pub is_uncertain: bool,
    /// The ID of the grant that it created.
    pub grant_id: Option<String>,
    /// The ID of the copy that it began.
    pub copy_id: Option<ImageId>,
    /// The version of the parameter that it put.
    pub version: Option<u64>,
}

impl StepResult {
    /// A step of which only its state is known.
    pub fn new(step: Step, state: StepState) -> Self {
        Self { step, state, error: None, is_uncertain: false, grant_id: None, copy_id: None, version: None }
    }

    /// Whether the request continues, and counts as done as far as possible, although this step failed: the step is
    /// best effort, or it is tried again with the next hint of the share that waits.
    pub fn is_passed_over(&self) -> bool {
        let is_tried_again =
            matches!(self.step, Step::CopyImage(_)) && self.error.as_ref().is_some_and(|error| error.retryable);
        is_tried_again || self.step.is_best_effort()
    }

    /// Whether AWS has carried it out, or may have.
    pub fn may_be_done(&self) -> bool {
        self.state == StepState::Done || self.is_uncertain
    }

    /// How a step is split if AWS does not know one of its targets: what it is for the unknown ones, if they are known, and
    /// the steps for the others. None if AWS knew every target.
    pub fn split(&self) -> Option<(Option<Self>, Vec<Step>)> {
        let error = self.error.as_ref().filter(|_| self.is_target_unknown())?;
        let words = &error.message;
        let (unknown, parts) = self.step.without_unknown(words);
        let unknown = unknown.map(|step| {
            let who = some_of(step.adds().iter().chain(&step.removes()));
            let error = Failure { message: format!("AWS does not know {who}: {words}"), ..error.clone() };
            Self { step, error: Some(error), ..self.clone() }
        });
        Some((unknown, parts))
    }

    /// Whether it failed because AWS does not know a target. This does not count for the grant of a role, because AWS
    /// may know the role's account.
    pub fn is_target_unknown(&self) -> bool {
        let is_unknown = |error: &Failure| error.code == ErrorCode::TargetNotKnown;
        self.error.as_ref().is_some_and(is_unknown) && !self.step.is_best_effort()
    }
}

/// Why one of these steps was not done, if so.
pub fn why_not_done(results: Vec<StepResult>) -> Option<Failure> {
    results.into_iter().find(|result| result.state != StepState::Done).and_then(|result| result.error)
}

/// The decision about one image, and what was done.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageResult<'a> {
    /// The decision.
    pub decision: ImageDecision<'a>,
    /// The steps, in order.
    pub steps: Vec<StepResult>,
    /// Why shares were undone: their records were deleted meanwhile, or could not be read.
    pub lost: Vec<Failure>,
}

impl ImageResult<'_> {
    /// What could not be read or done, without the steps that were passed over.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        let steps = self.steps.iter().filter(|taken| !taken.is_passed_over());
        let of_steps = steps.filter_map(|taken| taken.error.as_ref());
        self.decision.gaps().iter().chain(&self.lost).chain(of_steps)
    }

    /// The records of shares that waited for a copy, as far as they were deleted.
    pub fn deleted_copy_records(&self) -> impl Iterator<Item = &CopyName> {
        let done = self.steps.iter().filter(|taken| taken.state == StepState::Done);
        done.filter_map(|taken| if let Step::DeleteCopyRecord { name, .. } = &taken.step { Some(name) } else { None })
    }

    /// Whether this step was carried out, or may have been.
    pub fn may_have_done(&self, step: &Step) -> bool {
        self.steps.iter().any(|taken| taken.step == *step && taken.may_be_done())
    }

    /// Whether something that was started now or before continues by itself.
    pub fn continues_by_itself(&self) -> bool {
        let is_begun = |taken: &StepResult| taken.step.continues_by_itself() && taken.state == StepState::Done;
        self.decision.is_awaited() || self.steps.iter().any(is_begun)
    }
}
