//! Owns the HTTP status of an outcome and its form as an RFC 9457 problem; nothing else knows HTTP statuses of results.

use std::borrow::Cow;

use serde::Serialize;
use sharing::{
    domain::shortened,
    outcome::{ErrorCode, Outcome, Status},
};

use super::{deciding_refusal, leading_code};

/// When a throttled caller may try again: the buckets of the EC2 API refill within seconds.
pub(super) const RETRY_AFTER_SECONDS: &str = "5";

/// The HTTP status of an outcome.
pub(super) fn status(outcome: &Outcome) -> u16 {
    let refused = || deciding_refusal(outcome).map(|refusal| refusal.code.status());
    match outcome.result {
        Status::Completed | Status::Planned => 200,
        Status::Refused => refused().unwrap_or(500),
        Status::Incomplete | Status::Failed => match outcome.errors.first() {
            Some(error) => error_status(error.code),
            None => refused().unwrap_or(500),
        },
    }
}

fn error_status(code: ErrorCode) -> u16 {
    match code {
        ErrorCode::AllowlistUnavailable | ErrorCode::Throttled | ErrorCode::ExpiryLost => 503,
        ErrorCode::OutOfTime => 504,
        ErrorCode::Denied
        | ErrorCode::NotFound
        | ErrorCode::LimitExceeded
        | ErrorCode::Unavailable
        | ErrorCode::TargetNotKnown
        | ErrorCode::Unexpected => 502,
    }
}

/// An outcome as a problem: its fields are the extension members.
#[derive(Debug, Serialize)]
pub(super) struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: Cow<'a, str>,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

/// Makes a problem of an outcome.
pub(super) fn document(outcome: &Outcome, status: u16) -> Problem<'_> {
    let code = leading_code(outcome);
    let error = outcome.errors.first().map(|error| error.message.as_str());
    let refusal = deciding_refusal(outcome);
    let title = match (error, refusal) {
        (None, Some(refusal)) => refusal.code.title(),
        (Some(_), _) | (None, None) => "The request could not be carried out",
    };
    let detail = error.or(refusal.map(|refusal| refusal.message.as_str())).unwrap_or_default();
    let detail = shortened(detail, 2_000);
    Problem { kind: format!("urn:ami-share:problem:{code}"), title, status, detail, outcome }
}
