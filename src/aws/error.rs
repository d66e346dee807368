//! Owns [`CallError`]: a failed AWS call, sorted by what can be done about it.
//!
//! EC2 models no exceptions, and KMS leaves some out, so errors are told apart by their code:
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>,
//! <https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html>

use std::fmt::Debug;

use aws_smithy_types::error::{display::DisplayErrorContext, metadata::ProvideErrorMetadata};

use crate::outcome::{ErrorCode, ErrorRow};

type SdkError<E> = aws_sdk_ec2::error::SdkError<E>;

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// What the caller may know.
    pub row: ErrorRow,
    /// Whether a write may have happened although no answer arrived.
    pub is_uncertain: bool,
}

impl CallError {
    /// Sorts the SDK's error, and logs what only the operator may see.
    pub(super) fn new<E>(call: &'static str, resource: impl Into<String>, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Debug + 'static,
    {
        let resource = resource.into();
        let service_error = error.as_service_error();
        let aws_code = service_error.and_then(ProvideErrorMetadata::code);
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = match (aws_code, status) {
            (Some(aws_code), status) => classify(aws_code, status),
            (None, Some(500..)) | (None, None) => ErrorCode::Unavailable,
            (None, Some(_)) => ErrorCode::Unexpected,
        };
        tracing::warn!(
            aws.call = call,
            aws.resource = resource,
            aws.error.code = aws_code,
            aws.status = status,
            error = %DisplayErrorContext(error),
            "{call} failed"
        );
        let message = match code {
            // The AWS message may hold an encoded authorization blob; it stays in the log.
            ErrorCode::Denied => format!("the function's role may not call {call} on {resource}"),
            ErrorCode::AllowlistUnavailable
            | ErrorCode::NotFound
            | ErrorCode::LimitExceeded
            | ErrorCode::Throttled
            | ErrorCode::Unavailable
            | ErrorCode::OutOfTime
            | ErrorCode::Unexpected => match (aws_code, service_error.and_then(ProvideErrorMetadata::message)) {
                (Some(aws_code), Some(message)) => {
                    format!("{call} on {resource} failed: {aws_code}: {}", shorten(message))
                }
                (Some(aws_code), None) => format!("{call} on {resource} failed: {aws_code}"),
                (None, _) => format!("{call} on {resource} failed: no usable answer from AWS"),
            },
        };
        Self {
            row: ErrorRow { code, call: Some(call), resource: Some(resource), message, retryable: is_retryable(code) },
            is_uncertain: status.is_none() && !never_sent(error),
        }
    }

    /// AWS answered something that its documentation rules out.
    pub(super) fn unexpected(call: &'static str, resource: impl Into<String>, what: &str) -> Self {
        let resource = resource.into();
        let message = format!("{call} on {resource}: {what}");
        Self {
            row: ErrorRow {
                code: ErrorCode::Unexpected,
                call: Some(call),
                resource: Some(resource),
                message,
                retryable: false,
            },
            is_uncertain: false,
        }
    }
}

/// A request that was never sent has changed nothing.
fn never_sent<E>(error: &SdkError<E>) -> bool {
    matches!(error, SdkError::ConstructionFailure(_))
}

fn is_retryable(code: ErrorCode) -> bool {
    match code {
        ErrorCode::Throttled | ErrorCode::Unavailable | ErrorCode::OutOfTime | ErrorCode::AllowlistUnavailable => true,
        ErrorCode::Denied | ErrorCode::NotFound | ErrorCode::LimitExceeded | ErrorCode::Unexpected => false,
    }
}

fn classify(aws_code: &str, status: Option<u16>) -> ErrorCode {
    match aws_code {
        "UnauthorizedOperation"
        | "AuthFailure"
        | "AccessDenied"
        | "AccessDeniedException"
        | "OptInRequired"
        | "Blocked"
        | "PendingVerification"
        | "AccountDisabled"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken" => ErrorCode::Denied,
        "InvalidAMIID.NotFound" | "InvalidSnapshot.NotFound" | "NotFoundException" => ErrorCode::NotFound,
        "ResourceLimitExceeded" | "ResourceCountExceeded" | "LimitExceededException" => ErrorCode::LimitExceeded,
        "RequestLimitExceeded"
        | "EC2ThrottledException"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "SlowDown" => ErrorCode::Throttled,
        "InternalError"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "Unavailable"
        | "IncorrectState"
        | "InvalidState"
        | "ConcurrentTagAccess"
        | "RequestExpired"
        | "DependencyTimeoutException"
        | "KMSInternalException"
        | "KeyUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException" => ErrorCode::Unavailable,
        _ if status.is_some_and(|status| status >= 500) => ErrorCode::Unavailable,
        _ => ErrorCode::Unexpected,
    }
}

/// AWS's message as one line of bounded length, without what an encoded authorization message may follow.
fn shorten(message: &str) -> String {
    let readable = message.split("Encoded authorization").next().unwrap_or_default();
    readable.chars().filter(|character| !character.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_can_be_done() {
        for (aws_code, status, expect) in [
            ("UnauthorizedOperation", 403, ErrorCode::Denied),
            ("AuthFailure", 401, ErrorCode::Denied),
            ("InvalidAMIID.NotFound", 400, ErrorCode::NotFound),
            ("RequestLimitExceeded", 503, ErrorCode::Throttled),
            ("ResourceLimitExceeded", 400, ErrorCode::LimitExceeded),
            ("LimitExceededException", 400, ErrorCode::LimitExceeded),
            ("Unavailable", 503, ErrorCode::Unavailable),
            ("SomethingNew", 500, ErrorCode::Unavailable),
            ("InvalidAMIAttributeItemValue", 400, ErrorCode::Unexpected),
        ] {
            assert_eq!(classify(aws_code, Some(status)), expect, "{aws_code}");
        }
    }

    #[test]
    fn no_authorization_blob_and_no_line_break_reaches_a_caller() {
        assert_eq!(
            shorten("You are not\nauthorized. Encoded authorization failure message: AbC123"),
            "You are notauthorized. "
        );
        assert_eq!(shorten(&"x".repeat(1000)).len(), 300);
    }
}
