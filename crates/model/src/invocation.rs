//! Owns [`Invocation`], what one has: its answers so far, its allowlist, its time; and [`Pursued`], what comes of a request.

use sharing::{
    allowlist::Allowlist,
    attempt::Attempt,
    decide::{Approval, Authority, Case},
    domain::Requester,
    facts::{Facts, Failure},
    outcome::{ErrorCode, Outcome, Refusal, Status},
    progress::ImageResult,
    report::{failed, report},
    request::Request,
};
use time::OffsetDateTime;

use crate::{planted::Planted, script::Script, world};

/// An invocation.
pub struct Invocation<'i, 's> {
    /// The answers so far.
    pub script: &'i Script<'s>,
    /// The ID of its request.
    pub id: &'i str,
    /// The allowlist.
    pub allowlist: &'i Allowlist,
    /// When it began.
    pub now: OffsetDateTime,
    /// Whether the image may be deregistered.
    pub may_go: bool,
    /// The planted fault.
    pub planted: Planted,
}

impl<'i> Invocation<'i, '_> {
    /// Everything that a decision about this request depends on but the facts.
    pub fn case<'a>(&self, request: &'a Request, requester: &'a Requester) -> Case<'a>
    where
        'i: 'a,
    {
        let case = world::case(request, Authority::Requester(requester), self.allowlist, self.id, self.now);
        let is_api = requester.as_str().starts_with("jwt:");
        Case { approval: if is_api { Approval::Asked } else { Approval::NotPossible }, ..case }
    }
}

/// What came of a request.
pub struct Pursued {
    /// The outcome.
    pub outcome: Outcome,
    /// How it went.
    pub attempt: Attempt,
    /// What failed, also of the steps that are tried again by themselves.
    pub failures: Vec<Failure>,
    /// The slot of the image of a share for good that is complete.
    pub for_good: Option<usize>,
}

impl Pursued {
    /// It was refused, or there was nothing to do.
    pub fn refused(outcome: Outcome, refusals: Vec<Refusal>) -> Self {
        Self::of(outcome, Attempt::refused(refusals))
    }

    /// It failed before it was decided.
    pub fn failed(outcome: Outcome, failure: Failure) -> Self {
        Self::of(failed(outcome, failure.clone()), Attempt::failed(failure))
    }

    fn of(outcome: Outcome, attempt: Attempt) -> Self {
        let failures = outcome.errors.iter().map(|row| Failure {
            code: row.code,
            call: row.call,
            resource: None,
            message: String::new(),
            retryable: row.retryable,
        });
        Self { failures: failures.collect(), outcome, attempt, for_good: None }
    }

    /// The outcome of these results.
    pub fn reported(mut outcome: Outcome, case: &Case<'_>, facts: &Facts, results: Vec<ImageResult<'_>>) -> Self {
        let failures = results.iter().flat_map(|result| {
            // Of the gaps, some say only why the share is given up.
            let reads = result.decision.gaps().iter().filter(|gap| gap.code == ErrorCode::Throttled);
            let steps = result.steps.iter().filter_map(|taken| taken.error.as_ref());
            reads.chain(&result.lost).chain(steps).cloned().collect::<Vec<_>>()
        });
        let failures = failures.collect();
        let attempt = Attempt::new(case, facts, &results);
        report(&mut outcome, case, facts, results, case.region);
        Self { outcome, attempt, failures, for_good: None }
    }
}

/// The outcome of a request, before anything is known.
pub fn of_request(case: &Case<'_>) -> Outcome {
    Outcome { action: Some(case.request.action), ..Outcome::new(case.request_id, Status::Completed) }
}
