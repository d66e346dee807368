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

/// Of several requests of an invocation none is started with less remaining time than this: it would probably not be
/// finished. It comes again: SQS delivers a message again, and a record sends another hint.
pub(super) const SHORTEST_SHARE: Duration = ANSWER_TIME.saturating_add(Duration::from_secs(2));

/// The time for the next of several requests of an invocation, or `None` if it is not started. `requests` is the number of
/// those that are not yet carried out.
///
/// Each gets an equal share, so that a request that AWS throttles doesn't use up the time of the others. Time that a
/// request doesn't use is for the others. If the shares would be too short to finish anything, the first requests get
/// enough.
pub(super) fn fair_share(time_left: Duration, requests: usize) -> Option<Duration> {
    let requests = u32::try_from(requests).unwrap_or(u32::MAX).max(1);
    let share = time_left.checked_div(requests).unwrap_or(time_left);
    (time_left >= SHORTEST_SHARE).then(|| share.max(SHORTEST_SHARE))
}

/// The time for the next of the records that an event is about, or `None` if it is left to the record's own hints: the
/// last share is for what else the event asks for.
pub(super) fn share_of_record(time_left: Duration, records: usize) -> Option<Duration> {
    let left = time_left.checked_sub(SHORTEST_SHARE)?;
    fair_share(time_left, records.saturating_add(1)).filter(|share| *share <= left)
}

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

    /// Checks the time for each of so many requests, if each uses all its time.
    fn check(
        time: u64,
        requests: usize,
        expect: &[u64],
        share: impl Fn(Duration, usize) -> Option<Duration>,
    ) -> Duration {
        let mut left = Duration::from_secs(time);
        let shares = (1..=requests).rev().map_while(|requests| {
            let share = share(left, requests)?;
            left = left.saturating_sub(share);
            Some(share.as_secs())
        });
        assert_eq!(shares.collect::<Vec<_>>(), expect, "{time} seconds for {requests}");
        left
    }

    #[test]
    fn every_request_of_an_invocation_gets_its_share_of_the_time() {
        for (time, requests, expect) in [
            (60, 1, &[60][..]),
            (60, 10, &[6; 10]),
            (15, 5, &[3; 5]),
            // There is too little time for all, and at the end for any.
            (14, 5, &[3; 4]),
            (3, 10, &[3]),
            (2, 1, &[]),
            (0, 3, &[]),
        ] {
            check(time, requests, expect, fair_share);
        }
    }

    #[test]
    fn the_records_of_an_event_leave_time_for_what_else_it_asks_for() {
        for (time, records, expect) in [
            (60, 1, &[30][..]),
            (60, 9, &[6; 9]),
            (12, 3, &[3; 3]),
            // The others are left to their own hints.
            (12, 100, &[3; 3]),
            (5, 2, &[]),
            (0, 2, &[]),
        ] {
            let left = check(time, records, expect, share_of_record);
            assert!(left >= SHORTEST_SHARE.min(Duration::from_secs(time)), "{time} seconds for {records}");
        }
    }

    #[test]
    fn what_a_request_leaves_over_is_for_the_others() {
        let left = Duration::from_secs(60);
        assert_eq!(fair_share(left, 10), Some(Duration::from_secs(6)));
        // The first took almost no time.
        assert_eq!(fair_share(left, 9).map(|share| share.as_millis()), Some(6_666));
    }

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
