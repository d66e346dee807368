//! Owns the HTTP status of an outcome and its form as an RFC 9457 problem. Nothing else knows the HTTP statuses of
//! results.

use std::borrow::Cow;

use serde::Serialize;
use sharing::{
    domain::shortened,
    outcome::{ErrorCode, Outcome, RefusalCode, RefusalKind, Status},
};

/// When a throttled caller may try again: EC2's token buckets refill within seconds.
const RETRY_AFTER_SECONDS: &str = "5";

/// When a caller may ask again about something that continues by itself, in seconds. EC2 needs minutes for it.
const ASK_AGAIN_SECONDS: &str = "60";

/// The HTTP status of an outcome.
pub(super) fn status(outcome: &Outcome) -> u16 {
    let refused = || outcome.deciding_refusal().map(|refusal| refusal_status(refusal.code));
    match outcome.result {
        Status::Completed | Status::Planned => 200,
        Status::Accepted => 202,
        Status::Refused => refused().unwrap_or(500),
        Status::Incomplete | Status::Failed => match outcome.errors.first() {
            Some(error) => error_status(error.code),
            None => refused().unwrap_or(500),
        },
    }
}

/// When the caller may send the request again, in seconds; nothing if that does not help.
pub(super) fn retry_after(outcome: &Outcome, status: u16) -> Option<&'static str> {
    match status {
        202 => Some(ASK_AGAIN_SECONDS),
        503 => Some(RETRY_AFTER_SECONDS),
        409 if outcome.retryable => Some(RETRY_AFTER_SECONDS),
        _ => None,
    }
}

/// The HTTP status of an answer that has this refusal alone.
pub fn refusal_status(code: RefusalCode) -> u16 {
    match code.kind() {
        RefusalKind::Malformed => 400,
        RefusalKind::Unauthenticated => 401,
        RefusalKind::NotAllowed => 403,
        RefusalKind::NotFound => 404,
        RefusalKind::MethodNotAllowed => 405,
        RefusalKind::Conflict => 409,
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
        | ErrorCode::NotPublished
        | ErrorCode::CopyFailed
        | ErrorCode::CopyOverdue
        | ErrorCode::Unexpected => 502,
    }
}

/// An outcome as a problem. The fields of the outcome are extension members.
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

/// The code that best says why the request was not carried out.
pub(super) fn leading_code(outcome: &Outcome) -> &'static str {
    let error = outcome.errors.first().map(|error| error.code.as_str());
    error
        .or_else(|| outcome.deciding_refusal().map(|refusal| refusal.code.as_str()))
        .unwrap_or(ErrorCode::Unexpected.as_str())
}

/// The outcome as a problem.
pub(super) fn document(outcome: &Outcome, status: u16) -> Problem<'_> {
    let code = leading_code(outcome);
    let error = outcome.errors.first().map(|error| error.message.as_str());
    let refusal = outcome.deciding_refusal();
    let title = match (error, refusal) {
        (None, Some(refusal)) => refusal.code.title(),
        (Some(_), _) | (None, None) => "The request could not be carried out",
    };
    let detail = error.or(refusal.map(|refusal| refusal.message.as_str())).unwrap_or_default();
    let detail = shortened(detail, 2_000);
    Problem { kind: format!("urn:ami-share:problem:{code}"), title, status, detail, outcome }
}

#[cfg(test)]
mod tests {
    use sharing::outcome::{ErrorRow, Lasts, Refusal};

    use super::*;

    #[test]
    fn every_refusal_is_the_callers_and_the_kind_that_decides_first_has_the_lowest_status() {
        let mut refusals: Vec<_> = RefusalCode::ALL.iter().map(|code| (code.kind(), refusal_status(*code))).collect();
        assert!(refusals.iter().all(|(_, status)| (400..500).contains(status)), "{refusals:?}");
        refusals.sort_unstable();
        assert!(refusals.is_sorted_by_key(|(_, status)| *status), "{refusals:?}");
    }

    /// As openapi.yaml says.
    #[test]
    fn a_failure_says_by_its_status_whose_it_is_and_when_to_ask_again() {
        let failed = |code, retryable| {
            let errors = vec![ErrorRow { code, call: None, resource: None, message: "no".to_owned(), retryable }];
            Outcome { errors, retryable, ..Outcome::new("id", Status::Failed) }
        };
        for (code, expect, again) in [
            (ErrorCode::AllowlistUnavailable, 503, true),
            (ErrorCode::Throttled, 503, true),
            (ErrorCode::ExpiryLost, 503, true),
            (ErrorCode::OutOfTime, 504, false),
            (ErrorCode::Denied, 502, false),
            (ErrorCode::Unavailable, 502, false),
            (ErrorCode::Unexpected, 502, false),
        ] {
            let outcome = failed(code, true);
            let status = status(&outcome);
            assert_eq!((status, retry_after(&outcome, status).is_some()), (expect, again), "{code:?}");
            assert_eq!(leading_code(&outcome), code.as_str());
        }
        let conflict = |lasts| {
            let refusal = Refusal { lasts, ..Refusal::new(RefusalCode::ImageNotAvailable, "pending") };
            Outcome { retryable: lasts == Lasts::ForAWhile, ..Outcome::refused("id", vec![refusal]) }
        };
        for (lasts, again) in [(Lasts::ForAWhile, true), (Lasts::UntilChanged, false)] {
            let outcome = conflict(lasts);
            assert_eq!((status(&outcome), retry_after(&outcome, 409).is_some()), (409, again));
            assert_eq!(leading_code(&outcome), "ImageNotAvailable");
        }
        assert_eq!(leading_code(&Outcome::new("id", Status::Failed)), "Unexpected");
    }
}
