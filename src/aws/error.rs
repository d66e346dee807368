//! Owns [`CallError`]: a failed AWS call, classified by what can be done about it.
//!
//! The SDK has no error types for EC2 and not all for KMS, so errors are distinguished by their code:
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>,
//! <https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html>

use std::fmt::{Debug, Display};

use aws_smithy_types::error::{display::DisplayErrorContext, metadata::ProvideErrorMetadata};
use sharing::{domain::shortened, facts::Failure, outcome::ErrorCode};

pub(super) type SdkError<E> = aws_sdk_ec2::error::SdkError<E>;

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// The part that the caller may see.
    pub failure: Failure,
    /// Whether a write may have happened although no answer arrived.
    pub is_uncertain: bool,
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        error.failure
    }
}

/// The parts of an SDK error that are the same for every call, so that the binary has the code for them once.
struct SdkErrorParts<'a> {
    aws_code: Option<&'a str>,
    aws_message: Option<&'a str>,
    status: Option<u16>,
    is_unreadable: bool,
    is_sent: bool,
    all: &'a dyn Display,
}

impl CallError {
    /// Classifies the SDK's error, and logs what only the operator may see.
    pub(super) fn new<E>(call: &'static str, resource: impl Into<String>, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Debug + 'static,
    {
        let service_error = error.as_service_error();
        Self::of(
            call,
            resource.into(),
            &SdkErrorParts {
                aws_code: service_error.and_then(ProvideErrorMetadata::code),
                aws_message: service_error.and_then(ProvideErrorMetadata::message),
                status: error.raw_response().map(|response| response.status().as_u16()),
                is_unreadable: matches!(error, SdkError::ResponseError(_)),
                // A request that was not sent has changed nothing.
                is_sent: !matches!(error, SdkError::ConstructionFailure(_)),
                all: &DisplayErrorContext(error),
            },
        )
    }

    fn of(call: &'static str, resource: String, parts: &SdkErrorParts<'_>) -> Self {
        let SdkErrorParts { aws_code, aws_message, status, is_unreadable, is_sent, all } = *parts;
        let (code, is_answered) = match (aws_code, status) {
            (Some(aws_code), status) => (classify(call, aws_code, aws_message, status), true),
            // An answer from a gateway in between, or a document that is cut off, doesn't show whether AWS has carried
            // out the call.
            (None, Some(200..300 | 500..) | None) => (ErrorCode::Unavailable, false),
            (None, Some(_)) if is_unreadable => (ErrorCode::Unavailable, false),
            (None, Some(_)) => (ErrorCode::Unexpected, true),
        };
        tracing::warn!(
            aws.call = call,
            aws.resource = resource,
            aws.error.code = aws_code,
            aws.status = status,
            error = &*shortened(&all.to_string(), 8_000),
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
            | ErrorCode::TargetNotKnown
            | ErrorCode::ExpiryLost
            | ErrorCode::NotPublished
            | ErrorCode::CopyFailed
            | ErrorCode::CopyOverdue
            | ErrorCode::Unexpected => match (aws_code, aws_message) {
                (Some(aws_code), Some(message)) => {
                    format!("{call} on {resource} failed: {aws_code}: {}", shorten(message))
                }
                (Some(aws_code), None) => format!("{call} on {resource} failed: {aws_code}"),
                (None, _) => format!("{call} on {resource} failed: no usable answer from AWS"),
            },
        };
        Self {
            failure: Failure { code, call: Some(call), resource: Some(resource), message, retryable: code.may_pass() },
            is_uncertain: !is_answered && is_sent,
        }
    }

    /// AWS answered that a part of the call failed.
    pub(super) fn partly_failed(call: &'static str, resource: &str, aws_code: &str, what: &str) -> Self {
        let code = classify(call, aws_code, None, None);
        tracing::warn!(aws.call = call, aws.resource = resource, aws.error.code = aws_code, "{call}: {what}");
        let message = format!("{call} on {resource}: {what}: {aws_code}");
        let (call, resource) = (Some(call), Some(resource.to_owned()));
        Self { failure: Failure { code, call, resource, message, retryable: code.may_pass() }, is_uncertain: false }
    }

    /// An attempt was still running when its time ended.
    pub(super) fn not_answered(call: &'static str, resource: &str) -> Self {
        tracing::warn!(aws.call = call, aws.resource = resource, "{call} was not answered in time");
        Self { is_uncertain: true, ..Self::out_of_time(call, resource, "was sent and not answered") }
    }

    /// There is not enough time to start.
    pub(crate) fn not_begun(call: &'static str, resource: &str) -> Self {
        Self::out_of_time(call, resource, "was not begun")
    }

    fn out_of_time(call: &'static str, resource: &str, what: &str) -> Self {
        let message =
            format!("{call} on {resource} {what} before the invocation's time ran out; send the request again");
        let (call, resource) = (Some(call), Some(resource.to_owned()));
        Self {
            failure: Failure { code: ErrorCode::OutOfTime, call, resource, message, retryable: true },
            is_uncertain: false,
        }
    }

    /// The deployment lacks what the call is for.
    pub fn not_set_up(call: &'static str) -> Self {
        let message = format!("{call}: this deployment has no schedule group");
        let failure =
            Failure { code: ErrorCode::Unexpected, call: Some(call), resource: None, message, retryable: false };
        Self { failure, is_uncertain: false }
    }

    /// A temporary conflict: the same request, sent again, can succeed.
    pub(crate) fn passing(call: &'static str, resource: &str, what: &str) -> Self {
        let message = format!("{call} on {resource}: {what}; send the request again");
        let (call, resource) = (Some(call), Some(resource.to_owned()));
        let failure = Failure { code: ErrorCode::Unavailable, call, resource, message, retryable: true };
        Self { failure, is_uncertain: false }
    }

    /// AWS answered something that its documentation rules out.
    pub(crate) fn unexpected(call: &'static str, resource: impl Into<String>, what: &str) -> Self {
        let resource = resource.into();
        let message = format!("{call} on {resource}: {what}");
        Self {
            failure: Failure {
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

/// Classifies an error by what can be done about it. [`super::ask`] uses the same table for retries.
fn classify(call: &str, aws_code: &str, aws_message: Option<&str>, status: Option<u16>) -> ErrorCode {
    let is_pending = || aws_message.is_some_and(|message| message.contains("pending"));
    match aws_code {
        // Every account and ARN that is sent has the right form, so this code means that the account or ARN does not
        // exist.
        "InvalidAMIAttributeItemValue" => ErrorCode::TargetNotKnown,
        // In CreateGrant the invalid ARN is the grantee's: the key's own ARN was read before.
        "InvalidArnException" if call == "kms:CreateGrant" => ErrorCode::TargetNotKnown,
        // "The image ID '…' is currently pending": EC2's reads were ahead of its writes.
        "InvalidAMIID.Unavailable" if is_pending() => ErrorCode::Unavailable,
        _ => match by_code(aws_code) {
            Some(code) => code,
            None if status.is_some_and(|status| status >= 500) => ErrorCode::Unavailable,
            // EC2 names a quota in the code, such as `ConcurrentSnapshotLimitExceeded`, and lists not all of them.
            None if aws_code.ends_with("LimitExceeded") || aws_code.ends_with("QuotaExceeded") => {
                ErrorCode::LimitExceeded
            }
            None => ErrorCode::Unexpected,
        },
    }
}

/// Classifies AWS's codes that have one meaning whatever the call.
fn by_code(aws_code: &str) -> Option<ErrorCode> {
    Some(match aws_code {
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
        // `Unavailable`: "deregistered and is no longer available, or is not in a state from which you can launch an
        // instance or modify attributes"; it was `available` when the decision was made.
        "InvalidAMIID.NotFound"
        | "InvalidAMIID.Unavailable"
        | "InvalidSnapshot.NotFound"
        | "NotFoundException"
        | "ResourceNotFoundException"
        | "ParameterNotFound"
        | "ParameterVersionNotFound"
        | "InvalidGrantIdException" => ErrorCode::NotFound,
        // KMS's LimitExceededException is a quota, though the SDK lists it among the throttles.
        "ResourceLimitExceeded"
        | "ResourceCountExceeded"
        | "LimitExceededException"
        | "ParameterLimitExceeded"
        | "ParameterMaxVersionLimitExceeded"
        | "ServiceQuotaExceededException" => ErrorCode::LimitExceeded,
        "RequestLimitExceeded"
        | "EC2ThrottledException"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete"
        // Parameter Store's: "There are concurrent updates for a resource that supports one update at a time".
        | "TooManyUpdates"
        | "SlowDown" => ErrorCode::Throttled,
        "InternalError"
        | "InternalFailure"
        | "InternalException"
        | "ServiceUnavailable"
        | "Unavailable"
        | "IncorrectState"
        | "InvalidState"
        | "ConcurrentTagAccess"
        // Scheduler answers this while another change of the same schedule is in progress, and to a CreateSchedule if
        // the schedule exists.
        | "ConflictException"
        | "RequestExpired"
        | "DependencyTimeoutException"
        | "KMSInternalException"
        | "KeyUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException" => ErrorCode::Unavailable,
        _ => return None,
    })
}

/// AWS's message as one line of bounded length, cut before an encoded authorization message.
fn shorten(message: &str) -> String {
    let readable = message.split("Encoded authorization").next().unwrap_or_default();
    readable.chars().filter(|character| !character.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error codes that EC2 and KMS document for our calls, by what can be done about them.
    const CODES: [(ErrorCode, &[(&str, u16)]); 7] = [
        (ErrorCode::TargetNotKnown, &[("InvalidAMIAttributeItemValue", 400)]),
        (
            ErrorCode::Denied,
            &[
                ("UnauthorizedOperation", 403),
                ("AuthFailure", 401),
                ("OptInRequired", 401),
                ("PendingVerification", 401),
                ("Blocked", 403),
                ("AccountDisabled", 403),
                ("AccessDeniedException", 400),
            ],
        ),
        (
            ErrorCode::NotFound,
            &[
                ("InvalidAMIID.NotFound", 400),
                ("InvalidAMIID.Unavailable", 400),
                ("InvalidSnapshot.NotFound", 400),
                ("NotFoundException", 400),
                ("InvalidGrantIdException", 400),
                ("ResourceNotFoundException", 404),
            ],
        ),
        (
            ErrorCode::LimitExceeded,
            &[
                ("ResourceLimitExceeded", 400),
                ("ResourceCountExceeded", 400),
                ("LimitExceededException", 400),
                ("ServiceQuotaExceededException", 402),
                ("ConcurrentSnapshotLimitExceeded", 400),
                ("PendingSnapshotLimitExceeded", 400),
                ("SomethingNewLimitExceeded", 400),
                ("SomethingNewQuotaExceeded", 400),
            ],
        ),
        (
            ErrorCode::Throttled,
            &[("RequestLimitExceeded", 503), ("EC2ThrottledException", 503), ("ThrottlingException", 400)],
        ),
        (
            ErrorCode::Unavailable,
            &[
                ("IncorrectState", 400),
                ("InvalidState", 400),
                ("ConcurrentTagAccess", 400),
                ("ConflictException", 409),
                ("RequestExpired", 400),
                ("InternalError", 500),
                ("InternalFailure", 500),
                ("ServiceUnavailable", 503),
                ("Unavailable", 503),
                ("DependencyTimeoutException", 503),
                ("KMSInternalException", 500),
                ("KeyUnavailableException", 500),
                ("InternalServerException", 500),
                ("SomethingNew", 500),
            ],
        ),
        (
            ErrorCode::Unexpected,
            &[
                // Only a call with DryRun gets these two, and we make none.
                ("DryRunOperation", 412),
                ("DryRunOperationException", 412),
                ("InvalidAMIID.Malformed", 400),
                ("InvalidParameterValue", 400),
                ("InvalidParameter", 400),
                ("InvalidParameterCombination", 400),
                ("MissingParameter", 400),
                ("UnknownParameter", 400),
                ("ValidationError", 400),
                ("OperationNotPermitted", 400),
                ("UnsupportedOperation", 400),
                ("InvalidRequest", 400),
                ("InvalidSnapshotID.Malformed", 400),
                ("InvalidUserID.Malformed", 400),
                ("CustomerKeyHasBeenRevoked", 400),
                ("IdempotentParameterMismatch", 400),
                ("DisabledException", 400),
                ("KMSInvalidStateException", 400),
                ("InvalidArnException", 400),
                ("ValidationException", 400),
                ("MalformedPolicyDocumentException", 400),
                ("UnsupportedOperationException", 400),
                ("InvalidGrantTokenException", 400),
                ("InvalidMarkerException", 400),
                ("SomethingNew", 400),
            ],
        ),
    ];

    #[test]
    fn every_documented_code_is_sorted_by_what_can_be_done() {
        for (expect, codes) in CODES {
            for (aws_code, status) in codes {
                assert_eq!(classify("ec2:DescribeImages", aws_code, None, Some(*status)), expect, "{aws_code}");
            }
        }
    }

    #[test]
    fn a_code_means_what_its_call_and_message_say() {
        let pending = Some("The image ID 'ami-1a2b3c4d' is currently pending and may not be modified");
        for (call, aws_code, message, expect) in [
            ("ec2:ModifyImageAttribute", "InvalidAMIID.Unavailable", pending, ErrorCode::Unavailable),
            (
                "ec2:ModifyImageAttribute",
                "InvalidAMIID.Unavailable",
                Some("is no longer available"),
                ErrorCode::NotFound,
            ),
            ("kms:CreateGrant", "InvalidArnException", None, ErrorCode::TargetNotKnown),
            ("kms:DescribeKey", "InvalidArnException", None, ErrorCode::Unexpected),
        ] {
            assert_eq!(classify(call, aws_code, message, Some(400)), expect, "{call} {aws_code} {message:?}");
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
