//! Owns the outcome of what failed before anything was decided.

use sharing::outcome::{ErrorCode, ErrorRow, Outcome, Status};

pub(crate) fn error(code: ErrorCode, message: &str, retryable: bool) -> ErrorRow {
    ErrorRow { code, call: None, resource: None, message: message.to_owned(), retryable }
}

pub(crate) fn failed(outcome: Outcome, error: ErrorRow) -> Outcome {
    Outcome { result: Status::Failed, retryable: error.retryable, errors: vec![error], ..outcome }
}
