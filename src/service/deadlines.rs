//! Owns how the time of an invocation is divided: carrying out, publishing, answering.

use std::time::Duration;

use tokio::time::Instant;
use triggers::Trigger;

/// The part of the invocation's time that is kept for publishing and answering.
pub(super) const ANSWER_TIME: Duration = Duration::from_millis(1_000);

/// The part of it that is kept for the answer itself, after the outcome was published.
const LAST_MOMENT: Duration = Duration::from_millis(250);

/// The time for reading and writing over HTTP. API Gateway times out after 29 seconds:
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>
const HTTP_BUDGET: Duration = Duration::from_secs(25);

/// The time by which an HTTP answer is sent, even if the outcome could not be published.
const HTTP_END: Duration = Duration::from_secs(27);

/// The longest time that Lambda lets a function run.
const LONGEST: Duration = Duration::from_secs(900);

/// When reading and writing must be over.
pub(super) fn deadline(trigger: Trigger, time_left: Duration) -> Instant {
    after(budget(trigger, time_left))
}

/// When the answer must be sent.
pub(super) fn end(trigger: Trigger, time_left: Duration) -> Instant {
    after(until_answered(trigger, time_left))
}

fn after(time: Duration) -> Instant {
    Instant::now().checked_add(time).unwrap_or_else(Instant::now)
}

fn budget(trigger: Trigger, time_left: Duration) -> Duration {
    at_most(trigger, time_left.saturating_sub(ANSWER_TIME), HTTP_BUDGET)
}

fn until_answered(trigger: Trigger, time_left: Duration) -> Duration {
    at_most(trigger, time_left.saturating_sub(LAST_MOMENT), HTTP_END)
}

fn at_most(trigger: Trigger, time: Duration, over_http: Duration) -> Duration {
    match trigger {
        Trigger::Http { .. } => time.min(over_http),
        Trigger::Direct | Trigger::EventBridge | Trigger::Queue => time.min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: Trigger = Trigger::Http { allow: None };

    #[test]
    fn an_api_gateway_that_gives_up_is_never_what_ends_a_request() {
        let milliseconds = Duration::from_millis;
        let minute = milliseconds(60_000);
        for (time, expect) in [
            (budget(HTTP, minute), 25_000),
            (until_answered(HTTP, minute), 27_000),
            (budget(Trigger::Queue, minute), 59_000),
            (until_answered(Trigger::EventBridge, minute), 59_750),
            (until_answered(HTTP, milliseconds(10_000)), 9_750),
            (budget(HTTP, milliseconds(500)), 0),
            (budget(Trigger::Direct, Duration::MAX), 900_000),
        ] {
            assert_eq!(time, milliseconds(expect));
        }
    }
}
