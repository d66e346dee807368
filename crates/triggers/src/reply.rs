//! Owns [`Reply`]: how each trigger is answered.

use serde::Serialize;
use sharing::outcome::{Outcome, Status, WrittenOutcome};

use super::{envelope::Trigger, http, problem::leading_code};

/// An invocation that Lambda must see as failed, so that it retries it and then sends it to the on-failure destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvocationError {
    /// The code of what went wrong first.
    pub error_type: String,
    /// The outcome document, as JSON text.
    pub error_message: String,
}

/// The answer to Lambda.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// The outcome.
    Outcome(WrittenOutcome),
    /// An answer in the form of an API or a queue.
    Document(serde_json::Value),
}

/// The most bytes of an outcome in an answer. In an HTTP answer they are counted as JSON text inside JSON text. API
/// Gateway accepts 10 MB and Lambda 6 MB, but nobody can read so much.
pub const LONGEST_ANSWER: usize = 900_000;

/// The most bytes of an outcome in the error of an invocation. It is sent to an on-failure destination together with the event
/// that failed, and SNS accepts 256 KB. <https://docs.aws.amazon.com/sns/latest/dg/sns-large-message-payload.html>
const LONGEST_ERROR: usize = 100_000;

impl From<Outcome> for Reply {
    fn from(mut outcome: Outcome) -> Self {
        Self::Outcome(outcome.write_within(LONGEST_ANSWER))
    }
}

/// Writes the outcome in the form of the trigger. Log, metrics and events have the whole outcome; the answer may be shortened.
pub fn reply(trigger: Trigger, mut outcome: Outcome) -> Result<Reply, InvocationError> {
    match trigger {
        Trigger::Http { allow } => {
            let written = outcome.write_within(LONGEST_ANSWER);
            Ok(Reply::Document(http::reply(&outcome, written, allow)))
        }
        Trigger::Direct | Trigger::EventBridge | Trigger::Queue => match outcome.result {
            // The cause of the refusal may pass: Lambda sends the event again, until it is too old.
            Status::Refused if outcome.retryable && trigger == Trigger::EventBridge => Err(invocation_error(outcome)),
            Status::Completed | Status::Planned | Status::Accepted | Status::Refused => Ok(outcome.into()),
            // The rest of the audit is carried out in another invocation; a retry would repeat this part and fix
            // nothing.
            Status::Incomplete | Status::Failed if outcome.continues => Ok(outcome.into()),
            Status::Incomplete | Status::Failed => Err(invocation_error(outcome)),
        },
    }
}

fn invocation_error(mut outcome: Outcome) -> InvocationError {
    let error_message = outcome.write_within(LONGEST_ERROR).into_text();
    InvocationError { error_type: leading_code(&outcome).to_owned(), error_message }
}

#[cfg(test)]
mod tests {
    use sharing::outcome::to_text;

    use super::*;

    #[test]
    fn a_failure_is_one_for_lambda_unless_the_rest_is_on_its_way() {
        let failed = Outcome::new("id", Status::Incomplete);
        assert!(reply(Trigger::EventBridge, failed.clone()).is_err());
        assert!(reply(Trigger::EventBridge, Outcome { continues: true, ..failed }).is_ok());
    }

    #[test]
    fn what_is_refused_for_now_is_sent_again_by_eventbridge_alone() {
        let refused = |retryable| Outcome { retryable, ..Outcome::refused("id", Vec::new()) };
        for trigger in [Trigger::Direct, Trigger::EventBridge, Trigger::Queue] {
            assert_eq!(reply(trigger, refused(true)).is_err(), trigger == Trigger::EventBridge, "{trigger:?}");
            assert!(reply(trigger, refused(false)).is_ok(), "{trigger:?}");
        }
    }

    #[test]
    fn what_continues_by_itself_is_no_failure_and_over_http_says_when_to_ask_again() {
        let accepted = Outcome::new("id", Status::Accepted);
        for trigger in [Trigger::Direct, Trigger::EventBridge, Trigger::Queue] {
            let answer = reply(trigger, accepted.clone()).map(|answer| to_text(&answer));
            assert_eq!(answer, Ok(accepted.to_text()));
        }
        let Ok(Reply::Document(answer)) = reply(Trigger::Http { allow: None }, accepted.clone()) else { panic!() };
        assert_eq!(answer["statusCode"], 202);
        assert_eq!(answer["headers"]["content-type"], "application/json");
        assert_eq!(answer["headers"]["retry-after"], "60");
        assert_eq!(answer["body"], accepted.to_text());
    }
}
