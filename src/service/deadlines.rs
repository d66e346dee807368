//! Owns how the time of an invocation is divided: reading, writing, publishing, answering.

use std::time::Duration;

use sharing::request::Action;
use tokio::time::Instant;
use triggers::Trigger;

/// So much of the invocation's time is kept back for answering.
pub(super) const ANSWER_TIME: Duration = Duration::from_millis(1_000);

/// And of that so much for the way to Lambda, when the outcome was published.
const LAST_MOMENT: Duration = Duration::from_millis(250);

/// API Gateway gives up after 29 seconds: <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>
const HTTP_BUDGET: Duration = Duration::from_secs(25);

/// By then an HTTP answer is on its way, published or not.
const HTTP_END: Duration = Duration::from_secs(27);

/// A repair's writing needs no more than this: what it comes upon is little, and reading at leisure takes its time.
const REPAIR_TIME: Duration = Duration::from_secs(4);

/// A share that expires is looked at again after it was given: at most so long,
const SECOND_LOOK: Duration = Duration::from_secs(6);

/// of which so much is kept for taking it back.
const TAKING_BACK: Duration = Duration::from_secs(2);

/// Lambda lets no function run longer.
const LONGEST: Duration = Duration::from_secs(900);

/// When reading and writing must be over.
pub(super) fn deadline(trigger: Trigger, time_left: Duration) -> Instant {
    after(budget(trigger, time_left))
}

/// When the answer must be on its way.
pub(super) fn end(trigger: Trigger, time_left: Duration) -> Instant {
    after(until_answered(trigger, time_left))
}

/// When reading must be over.
pub(super) fn reading_deadline(action: Action, deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline.checked_sub(for_writing(action, left)).unwrap_or(deadline)
}

/// When the steps of a share must be over that is looked at again.
pub(super) fn giving_deadline(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    let kept = left.checked_div(3).unwrap_or_default().min(SECOND_LOOK);
    deadline.checked_sub(kept).unwrap_or(deadline)
}

/// When the second look must be over.
pub(super) fn looking_deadline(deadline: Instant) -> Instant {
    deadline.checked_sub(TAKING_BACK).unwrap_or(deadline)
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

/// How much of the time left is kept from reading. Where something is written it is a third: what can be done without a
/// fact (taking access away) must still be done.
fn for_writing(action: Action, left: Duration) -> Duration {
    let third = left.checked_div(3).unwrap_or_default();
    match action {
        Action::Share | Action::Revoke | Action::Reset => third,
        Action::Repair => third.min(REPAIR_TIME),
        Action::List | Action::Check | Action::Audit => Duration::ZERO,
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

    #[test]
    fn reading_leaves_time_for_the_writes() {
        for (action, left, expect) in
            [(Action::Revoke, 24, 8), (Action::Repair, 24, 4), (Action::Repair, 6, 2), (Action::Audit, 24, 0)]
        {
            let kept = for_writing(action, Duration::from_secs(left));
            assert_eq!(kept.as_millis(), Duration::from_secs(expect).as_millis(), "{action:?} with {left} s");
        }
    }
}
