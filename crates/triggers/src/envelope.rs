//! Owns [`Envelope`]: a request with what its trigger says about it, or why it is not a request.

use key_policy::json::Json;
use sharing::{
    decide::SentAt,
    domain::Requester,
    outcome::{Outcome, Refusal, RefusalCode},
    request::{Action, Asked, Fault, Malformed, Request},
};
use time::OffsetDateTime;

/// What is known of an invocation besides its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invocation<'a> {
    /// Lambda's ID of the invocation.
    pub request_id: &'a str,
    /// Now.
    pub now: OffsetDateTime,
    /// The claim of a token that holds its groups.
    pub groups_claim: &'a str,
}

/// A request, with what its trigger says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// How to answer.
    pub trigger: Trigger,
    /// The ID of the request in the outcome and in the log.
    pub request_id: String,
    /// The requester, if it is known.
    pub requester: Option<Requester>,
    /// The role session's name, if the requester is a role's session.
    pub requester_session: Option<String>,
    /// When it was sent.
    pub sent: SentAt,
    /// The request, or why it is not one.
    pub asked: Result<Request, TurnedAway>,
}

/// The triggers, which each have their own form of answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The caller waits for the outcome document: direct invocation.
    Direct,
    /// Nobody waits: EventBridge, through Lambda's asynchronous queue.
    EventBridge,
    /// A message of an SQS queue: the batch is answered, not the message.
    Queue,
    /// API Gateway or a function URL. The answer has a status, headers and a body.
    Http {
        /// The methods of the route, if the request has another method.
        allow: Option<&'static str>,
    },
}

impl Trigger {
    /// The trigger's name in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::EventBridge => "eventbridge",
            Self::Queue => "sqs",
            Self::Http { .. } => "http",
        }
    }

    /// Whether a caller waits for the outcome and can act on it, for example ask for the rest of an audit.
    pub fn is_synchronous(self) -> bool {
        match self {
            Self::Direct | Self::Http { .. } => true,
            Self::EventBridge | Self::Queue => false,
        }
    }
}

/// Why an event is refused before the allowlist is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnedAway {
    /// The action, where it could be read.
    pub action: Option<Action>,
    /// Whether it is a dry run.
    pub dry_run: bool,
    /// The reason for the request, where it could be read.
    pub reason: Option<String>,
    /// What else of the request could be read.
    pub asked: Box<Asked>,
    /// The refusals; never empty.
    pub refusals: Vec<Refusal>,
    /// How many more faults the request has.
    pub left_out: usize,
}

impl TurnedAway {
    pub(super) fn new(refusal: Refusal) -> Self {
        Self { action: None, dry_run: false, reason: None, asked: Box::default(), refusals: vec![refusal], left_out: 0 }
    }

    /// The caller is not identified, for this reason.
    pub(super) fn nobody(why: &str) -> Self {
        Self::new(Refusal::new(RefusalCode::Unauthenticated, format!("the caller could not be identified: {why}")))
    }

    /// The outcome of a request that ends here.
    pub fn into_outcome(self, outcome: Outcome) -> Outcome {
        let Self { action, dry_run, reason, asked, refusals, left_out } = self;
        let more = (left_out > 0).then(|| format!("the request has {left_out} more faults, which are left out here"));
        Outcome { action, dry_run, reason, asked: *asked, refusals, warnings: more.into_iter().collect(), ..outcome }
    }
}

impl From<Malformed> for TurnedAway {
    fn from(malformed: Malformed) -> Self {
        let Malformed { action, dry_run, reason, asked, faults } = malformed;
        let refusal = |fault: Fault| Refusal {
            fault: Some(fault.kind),
            pointer: fault.parameter.is_none().then_some(fault.pointer),
            parameter: fault.parameter,
            values: fault.values,
            ..Refusal::new(RefusalCode::MalformedRequest, fault.message)
        };
        let refusals = faults.named.into_iter().map(refusal).collect();
        Self { action, dry_run, reason, asked, refusals, left_out: faults.left_out }
    }
}

/// The ID that a service gave a request, if it is fit for a log line.
pub(super) fn request_id(id: Option<&Json>) -> Option<&str> {
    let is_plain = |id: &&str| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    id.and_then(Json::as_str).filter(is_plain)
}

#[cfg(test)]
mod tests {
    use sharing::{
        outcome::Status,
        request::{Fault, FaultKind, Faults, MAX_FAULTS},
    };

    use super::*;

    #[test]
    fn a_request_that_is_turned_away_is_answered_with_what_could_be_read_of_it() {
        let mut faults = Faults::default();
        for _ in 0..=MAX_FAULTS {
            faults.add(|| Fault::new(FaultKind::TooMany, "/imageIds", "too many").value("most", 50));
        }
        let asked = Asked { name: Some("golden-*".to_owned()), ..Asked::default() };
        let reason = Some("release 7".to_owned());
        let of = |faults| Malformed {
            action: Some(Action::Share),
            dry_run: true,
            reason: reason.clone(),
            asked: Box::new(asked.clone()),
            faults,
        };
        let outcome = TurnedAway::from(of(faults)).into_outcome(Outcome::new("id", Status::Refused));
        assert_eq!((outcome.action, outcome.dry_run, &outcome.reason), (Some(Action::Share), true, &reason));
        assert_eq!((outcome.asked, outcome.refusals.len()), (asked.clone(), MAX_FAULTS));
        assert_eq!(outcome.warnings, ["the request has 1 more faults, which are left out here"]);
        let refusal = outcome.refusals.first().unwrap();
        assert_eq!((refusal.code, refusal.fault), (RefusalCode::MalformedRequest, Some(FaultKind::TooMany)));
        assert_eq!((refusal.pointer.as_deref(), refusal.parameter.as_deref()), (Some("/imageIds"), None));
        assert_eq!(refusal.values.get("most"), Some(&serde_json::json!(50)));
        let few = Faults::one(Fault::of_parameter(FaultKind::NoMeaning, "colour", "no such parameter"));
        let outcome = TurnedAway::from(of(few)).into_outcome(Outcome::new("id", Status::Refused));
        assert_eq!(outcome.warnings, [""; 0]);
        let refusal = outcome.refusals.first().unwrap();
        assert_eq!((refusal.pointer.as_deref(), refusal.parameter.as_deref()), (None, Some("colour")));
    }

    #[test]
    fn only_who_waits_for_the_answer_can_act_on_it() {
        let is_synchronous = [Trigger::Direct, Trigger::Http { allow: None }, Trigger::EventBridge, Trigger::Queue]
            .map(Trigger::is_synchronous);
        assert_eq!(is_synchronous, [true, true, false, false]);
    }
}
