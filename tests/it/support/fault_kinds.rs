//! Owns the faults of the fault suite: how each looks on the wire, and what is expected of a function that meets it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::proxy::{Answer, Call, Reply, Rule};

/// What one call meets.
pub struct Fault {
    pub name: String,
    /// So many calls meet it.
    pub times: usize,
    /// Only calls of this service meet it (`ec2:`), or of any.
    pub service: Option<&'static str>,
    pub then: Then,
    pub reply: Arc<Rule>,
    /// So much time the invocation has.
    pub time: Duration,
}

/// What is expected.
pub enum Then {
    /// Nothing is noticed.
    Completes,
    /// The call fails for good.
    Fails {
        /// The outcome's code for it.
        code: &'static str,
        is_retryable: bool,
        /// Whether a write may have happened.
        is_uncertain: bool,
        /// Whether a second try would be of no use.
        is_tried_once: bool,
    },
}

type Make = fn(&Call, &dyn Fn() -> Answer) -> Reply;

const ALWAYS: usize = 100_000;

/// So much time has an invocation whose tries are used up before: plenty, so that a busy machine fails no test.
const PLENTY: Duration = Duration::from_secs(30);

/// A rule that lets the first few calls of a name meet a fault.
pub fn first(
    times: usize,
    name: &'static str,
    make: Make,
) -> impl Fn(&Call, &dyn Fn() -> Answer) -> Reply + Send + Sync {
    let met = AtomicUsize::new(0);
    move |call, aws| {
        let is_met = call.name == name && met.fetch_add(1, Ordering::SeqCst) < times;
        if is_met { make(call, aws) } else { Reply::Answer(aws()) }
    }
}

/// An error as the service of the call writes it: EC2 in XML, Scheduler in JSON with the code in a header, KMS in JSON.
fn refused(call: &Call, code: &str, status: u16) -> Reply {
    let message = "made up; Encoded authorization failure message: c2VjcmV0";
    let mut headers = Vec::new();
    let (kind, body) = if call.service() == "ec2" {
        let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        let document = format!("<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>");
        ("text/xml", document)
    } else if call.service() == "scheduler" {
        headers.push(("x-amzn-errortype".to_owned(), code.to_owned()));
        ("application/json", format!(r#"{{"Message": "{message}"}}"#))
    } else {
        ("application/x-amz-json-1.1", format!(r#"{{"__type": "{code}", "message": "{message}"}}"#))
    };
    headers.push(("content-type".to_owned(), kind.to_owned()));
    Reply::Answer(Answer { status, headers, body })
}

pub fn throttle(call: &Call, _: &dyn Fn() -> Answer) -> Reply {
    match call.service() {
        "ec2" => refused(call, "RequestLimitExceeded", 503),
        "scheduler" => refused(call, "ThrottlingException", 429),
        _ => refused(call, "ThrottlingException", 400),
    }
}

pub fn denied(call: &Call, _: &dyn Fn() -> Answer) -> Reply {
    let is_ec2 = call.service() == "ec2";
    if is_ec2 { refused(call, "UnauthorizedOperation", 403) } else { refused(call, "AccessDeniedException", 400) }
}

pub fn fault_of_aws(call: &Call, _: &dyn Fn() -> Answer) -> Reply {
    match call.service() {
        "ec2" => refused(call, "InternalError", 500),
        "scheduler" => refused(call, "InternalServerException", 500),
        _ => refused(call, "KMSInternalException", 500),
    }
}

/// What something between function and AWS says, which knows nothing of AWS.
fn gateway(_: &Call, _: &dyn Fn() -> Answer) -> Reply {
    let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
    Reply::Answer(Answer { status: 503, headers, body: "<html><body>no healthy upstream</body></html>".to_owned() })
}

fn reset_before(_: &Call, _: &dyn Fn() -> Answer) -> Reply {
    Reply::Hangup
}

fn reset_after(_: &Call, aws: &dyn Fn() -> Answer) -> Reply {
    aws();
    Reply::Hangup
}

/// The connection ends in the middle of the answer.
fn cut_off(_: &Call, aws: &dyn Fn() -> Answer) -> Reply {
    let answer = aws();
    let bytes = answer.bytes();
    Reply::Bytes(bytes[..bytes.len() - answer.body.len() / 2 - 1].to_vec(), Duration::ZERO)
}

/// The body of a success is half of what it should be, and says that this is all.
fn half(_: &Call, aws: &dyn Fn() -> Answer) -> Reply {
    let answer = aws();
    let body = answer.body.chars().take(answer.body.len() / 2).collect();
    Reply::Answer(if answer.status == 200 { Answer { body, ..answer } } else { answer })
}

fn nonsense(_: &Call, aws: &dyn Fn() -> Answer) -> Reply {
    let answer = aws();
    let body = "<<{\"not\": [a, document".to_owned();
    Reply::Answer(if answer.status == 200 { Answer { body, ..answer } } else { answer })
}

fn no_http(_: &Call, _: &dyn Fn() -> Answer) -> Reply {
    Reply::Bytes(b"220 mail.example.com ESMTP\r\n".to_vec(), Duration::ZERO)
}

fn silence(_: &Call, _: &dyn Fn() -> Answer) -> Reply {
    Reply::Silence(Duration::from_secs(15))
}

fn dribble(_: &Call, aws: &dyn Fn() -> Answer) -> Reply {
    Reply::Bytes(aws().bytes(), Duration::from_millis(40))
}

/// What goes wrong once or a few times.
pub fn passing() -> Vec<Fault> {
    let rows: [(&str, usize, Make); 10] = [
        ("three throttles", 3, throttle),
        ("two faults of AWS", 2, fault_of_aws),
        ("a gateway's 503", 1, gateway),
        ("a reset before the request arrived", 1, reset_before),
        ("a reset after the request arrived", 1, reset_after),
        ("an answer cut off", 1, cut_off),
        ("half an answer", 1, half),
        ("an answer that is no document", 1, nonsense),
        ("an answer that is not HTTP", 1, no_http),
        ("no answer", 1, silence),
    ];
    let fault = |(name, times, reply): (&str, usize, Make)| Fault {
        name: name.to_owned(),
        times,
        service: None,
        then: Then::Completes,
        reply: Arc::new(reply),
        // A first attempt takes a third of this, which is less than the silence lasts.
        time: if name == "no answer" { Duration::from_secs(24) } else { PLENTY },
    };
    rows.into_iter().map(fault).collect()
}

/// What goes wrong every time.
pub fn lasting() -> Vec<Fault> {
    let rows: [(&str, &str, bool, Make); 10] = [
        ("throttles", "Throttled", false, throttle),
        ("faults of AWS", "Unavailable", false, fault_of_aws),
        ("a gateway's 503", "Unavailable", true, gateway),
        ("resets before the request arrived", "Unavailable", true, reset_before),
        ("resets after the request arrived", "Unavailable", true, reset_after),
        ("answers cut off", "Unavailable", true, cut_off),
        ("half answers", "Unavailable", true, half),
        ("answers that are no document", "Unavailable", true, nonsense),
        ("no answers", "OutOfTime", true, silence),
        ("a byte every 40 milliseconds", "OutOfTime", true, dribble),
    ];
    let fault = |(name, code, is_uncertain, reply): (&str, &'static str, bool, Make)| Fault {
        name: name.to_owned(),
        times: ALWAYS,
        service: None,
        then: Then::Fails { code, is_retryable: true, is_uncertain, is_tried_once: false },
        reply: Arc::new(reply),
        // What ends with the time and not with the tries.
        time: if ["Throttled", "OutOfTime"].contains(&code) { Duration::from_secs(12) } else { PLENTY },
    };
    rows.into_iter().map(fault).collect()
}

/// The documented codes: HTTP status, and what the outcome calls it.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>,
/// <https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html>
const EC2_CODES: &[(&str, u16, &str)] = &[
    ("UnauthorizedOperation", 403, "Denied"),
    ("AuthFailure", 401, "Denied"),
    ("OptInRequired", 401, "Denied"),
    ("PendingVerification", 401, "Denied"),
    ("Blocked", 403, "Denied"),
    ("AccountDisabled", 403, "Denied"),
    ("InvalidAMIID.NotFound", 400, "NotFound"),
    ("InvalidAMIID.Unavailable", 400, "NotFound"),
    ("InvalidSnapshot.NotFound", 400, "NotFound"),
    ("ResourceLimitExceeded", 400, "LimitExceeded"),
    ("ResourceCountExceeded", 400, "LimitExceeded"),
    ("InvalidAMIID.Malformed", 400, "Unexpected"),
    ("InvalidAMIAttributeItemValue", 400, "TargetNotKnown"),
    ("InvalidParameterValue", 400, "Unexpected"),
    ("InvalidParameter", 400, "Unexpected"),
    ("InvalidParameterCombination", 400, "Unexpected"),
    ("MissingParameter", 400, "Unexpected"),
    ("UnknownParameter", 400, "Unexpected"),
    ("ValidationError", 400, "Unexpected"),
    ("OperationNotPermitted", 400, "Unexpected"),
    ("UnsupportedOperation", 400, "Unexpected"),
    ("InvalidRequest", 400, "Unexpected"),
    ("InvalidSnapshotID.Malformed", 400, "Unexpected"),
    ("InvalidUserID.Malformed", 400, "Unexpected"),
    ("CustomerKeyHasBeenRevoked", 400, "Unexpected"),
    ("IdempotentParameterMismatch", 400, "Unexpected"),
    ("DryRunOperation", 412, "Unexpected"),
    ("EC2ThrottledException", 503, "Throttled"),
    ("IncorrectState", 400, "Unavailable"),
    ("InvalidState", 400, "Unavailable"),
    ("ConcurrentTagAccess", 400, "Unavailable"),
    ("RequestExpired", 400, "Unavailable"),
    ("InternalFailure", 500, "Unavailable"),
    ("ServiceUnavailable", 503, "Unavailable"),
    ("Unavailable", 503, "Unavailable"),
];

const KMS_CODES: &[(&str, u16, &str)] = &[
    ("AccessDeniedException", 400, "Denied"),
    ("NotFoundException", 400, "NotFound"),
    ("InvalidGrantIdException", 400, "NotFound"),
    ("LimitExceededException", 400, "LimitExceeded"),
    ("DisabledException", 400, "Unexpected"),
    ("KMSInvalidStateException", 400, "Unexpected"),
    ("InvalidArnException", 400, "Unexpected"),
    ("ValidationException", 400, "Unexpected"),
    ("MalformedPolicyDocumentException", 400, "Unexpected"),
    ("UnsupportedOperationException", 400, "Unexpected"),
    ("InvalidGrantTokenException", 400, "Unexpected"),
    ("InvalidMarkerException", 400, "Unexpected"),
    ("DryRunOperationException", 412, "Unexpected"),
    ("DependencyTimeoutException", 503, "Unavailable"),
    ("KMSInternalException", 500, "Unavailable"),
    ("KeyUnavailableException", 500, "Unavailable"),
];

/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_DeleteSchedule.html#API_DeleteSchedule_Errors>,
/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/CommonErrors.html>
const SCHEDULER_CODES: &[(&str, u16, &str)] = &[
    ("AccessDeniedException", 400, "Denied"),
    ("OptInRequired", 403, "Denied"),
    ("ExpiredTokenException", 403, "Denied"),
    ("ResourceNotFoundException", 404, "NotFound"),
    ("ServiceQuotaExceededException", 402, "LimitExceeded"),
    ("ValidationException", 400, "Unexpected"),
    ("ValidationError", 400, "Unexpected"),
    ("ConflictException", 409, "Unavailable"),
    ("InternalServerException", 500, "Unavailable"),
    ("InternalFailure", 500, "Unavailable"),
    ("ServiceUnavailable", 503, "Unavailable"),
    ("RequestExpired", 400, "Unavailable"),
];

/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html#API_PutParameter_Errors>,
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html#API_GetParameter_Errors>
const PARAMETER_CODES: &[(&str, u16, &str)] = &[
    ("AccessDeniedException", 400, "Denied"),
    ("ParameterNotFound", 400, "NotFound"),
    ("ParameterVersionNotFound", 400, "NotFound"),
    ("ParameterLimitExceeded", 400, "LimitExceeded"),
    ("ParameterMaxVersionLimitExceeded", 400, "LimitExceeded"),
    ("HierarchyTypeMismatchException", 400, "Unexpected"),
    ("HierarchyLevelLimitExceededException", 400, "Unexpected"),
    ("ParameterPatternMismatchException", 400, "Unexpected"),
    ("UnsupportedParameterType", 400, "Unexpected"),
    ("ValidationException", 400, "Unexpected"),
    ("TooManyUpdates", 400, "Throttled"),
    ("ThrottlingException", 400, "Throttled"),
    ("InternalServerError", 500, "Unavailable"),
];

/// Every documented code of a service, each time.
pub fn codes(service: &'static str) -> Vec<Fault> {
    let codes = match service {
        "ec2:" => EC2_CODES,
        "scheduler:" => SCHEDULER_CODES,
        "ssm:" => PARAMETER_CODES,
        _ => KMS_CODES,
    };
    let fault = |(aws_code, status, code): &(&'static str, u16, &'static str)| {
        let (aws_code, status, code) = (*aws_code, *status, *code);
        let is_retryable = ["Throttled", "Unavailable"].contains(&code);
        Fault {
            name: aws_code.to_owned(),
            times: ALWAYS,
            service: Some(service),
            then: Then::Fails { code, is_retryable, is_uncertain: false, is_tried_once: !is_retryable },
            reply: Arc::new(move |call, aws| {
                // What is said not to be found any more really is gone.
                if code == "NotFound" && ["kms:RevokeGrant", "scheduler:DeleteSchedule"].contains(&call.name.as_str()) {
                    aws();
                }
                refused(call, aws_code, status)
            }),
            time: PLENTY,
        }
    };
    codes.iter().map(fault).collect()
}
