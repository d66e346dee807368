//! Owns how the time of an invocation is divided: reading, writing, publishing, answering.

use std::time::Duration;

use tokio::time::Instant;

use crate::{inbound::Door, request::Action};

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

/// Lambda lets no function run longer.
const LONGEST: Duration = Duration::from_secs(900);

/// When reading and writing must be over.
pub(super) fn deadline(door: Door, time_left: Duration) -> Instant {
    at_most(door, time_left.saturating_sub(ANSWER_TIME), HTTP_BUDGET)
}

/// When the answer must be on its way.
pub(super) fn end(door: Door, time_left: Duration) -> Instant {
    at_most(door, time_left.saturating_sub(LAST_MOMENT), HTTP_END)
}

fn at_most(door: Door, time: Duration, over_http: Duration) -> Instant {
    let time = match door {
        Door::Http { .. } => time.min(over_http),
        Door::Direct | Door::EventBridge | Door::Queue => time,
    };
    Instant::now().checked_add(time.min(LONGEST)).unwrap_or_else(Instant::now)
}

/// When reading must be over. Where something is written a third of the time is kept for that: what can be done without
/// a fact (taking access away) must still be done.
pub(super) fn reading_deadline(action: Action, deadline: Instant) -> Instant {
    let third = deadline.saturating_duration_since(Instant::now()).mul_f64(1.0 / 3.0);
    let for_writing = match action {
        Action::Share | Action::Revoke | Action::Reset => third,
        Action::Repair => third.min(REPAIR_TIME),
        Action::List | Action::Check | Action::Audit => Duration::ZERO,
    };
    deadline.checked_sub(for_writing).unwrap_or(deadline)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: Door = Door::Http { allow: None };

    /// How far ahead a time is, in seconds.
    fn ahead(time: Instant) -> f64 {
        time.saturating_duration_since(Instant::now()).as_secs_f64()
    }

    #[track_caller]
    fn check(time: Instant, expect: f64) {
        // The clock goes on, and never back.
        assert!((expect - 1.0..=expect).contains(&ahead(time)), "{} instead of {expect}", ahead(time));
    }

    #[test]
    fn an_api_gateway_that_gives_up_is_never_what_ends_a_request() {
        let minute = Duration::from_secs(60);
        check(deadline(HTTP, minute), 25.0);
        check(end(HTTP, minute), 27.0);
        check(deadline(Door::Queue, minute), 59.0);
        check(end(Door::EventBridge, minute), 59.75);
        check(end(HTTP, Duration::from_secs(10)), 9.75);
        check(deadline(HTTP, Duration::from_millis(500)), 0.0);
        check(deadline(Door::Direct, Duration::MAX), 900.0);
    }

    #[test]
    fn reading_leaves_time_for_the_writes() {
        let in_seconds = |seconds| Instant::now() + Duration::from_secs(seconds);
        check(reading_deadline(Action::Revoke, in_seconds(24)), 16.0);
        check(reading_deadline(Action::Repair, in_seconds(24)), 20.0);
        check(reading_deadline(Action::Repair, in_seconds(6)), 4.0);
        check(reading_deadline(Action::Audit, in_seconds(24)), 24.0);
    }
}
