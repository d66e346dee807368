//! Owns processing a batch of queue messages: one after the other, each with its share of the time.

use std::time::Duration;

use sharing::{domain::shortened, outcome::Outcome};
use tokio::time::Instant;
use triggers::{
    Envelope,
    sqs::{self, Batch, Message},
};

use super::{deadlines::ANSWER_TIME, invocation::InvocationContext};

/// No message is started with less remaining time than this: it would probably not be finished. It stays in the queue,
/// and SQS delivers it again.
const SHORTEST_MESSAGE: Duration = ANSWER_TIME.saturating_add(Duration::from_secs(2));

/// Processes the messages in the queue's order. Reports those as failed for which a retry can help: SQS delivers them
/// again.
///
/// One at a time: two messages of a batch may be about the same image, and the account's request rates are the limit
/// anyway. To keep the order of a FIFO queue, nothing after a failed message is processed.
///
/// `answer` carries out one request and returns its outcome.
pub(super) async fn process_batch(
    batch: Batch<'_>,
    invocation: &InvocationContext<'_>,
    answer: impl AsyncFn(Envelope, &InvocationContext<'_>) -> Outcome,
) -> serde_json::Value {
    let begun = Instant::now();
    let mut again = Vec::new();
    let mut is_stopped = false;
    let messages = batch.len();
    for (place, Message { id, envelope }) in batch.messages().enumerate() {
        let elapsed = begun.elapsed();
        let time_left = invocation.time_left.saturating_sub(elapsed);
        let share = fair_share(time_left, messages.saturating_sub(place)).filter(|_| !is_stopped);
        let Some(time_left) = share else {
            tracing::info!(
                lambda.request_id = invocation.request_id,
                request.id = envelope.request_id,
                "left in the queue for another try"
            );
            again.extend(id);
            continue;
        };
        let now = invocation.now.saturating_add(elapsed.try_into().unwrap_or_default());
        let outcome = answer(envelope, &InvocationContext { now, time_left, ..*invocation }).await;
        if sqs::must_come_again(&outcome) {
            again.extend(id);
            is_stopped = batch.is_fifo;
        } else if sqs::is_lost(&outcome) {
            tracing::error!(
                lambda.request_id = invocation.request_id,
                request.id = outcome.request_id,
                outcome.errors = ?errors_of(&outcome),
                "this message could not be carried out, and sending it again would not help"
            );
        }
    }
    sqs::reply(&again)
}

/// The first errors. The request's own log entry has the codes of all.
fn errors_of(outcome: &Outcome) -> Vec<String> {
    let errors = outcome.errors.iter().take(10);
    errors.map(|error| format!("{}: {}", error.code.as_str(), shortened(&error.message, 500))).collect()
}

/// The time for the next message, or `None` if it is not started. `messages` is the number of messages that are not yet
/// processed.
///
/// Each message gets an equal share, so that a message that AWS throttles doesn't use up the time of the others. Time
/// that a message doesn't use is for the others. If the shares would be too short to finish anything, the first
/// messages get enough.
fn fair_share(time_left: Duration, messages: usize) -> Option<Duration> {
    let messages = u32::try_from(messages).unwrap_or(u32::MAX).max(1);
    let share = time_left.checked_div(messages).unwrap_or(time_left);
    (time_left >= SHORTEST_MESSAGE).then(|| share.max(SHORTEST_MESSAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the time for each of `messages` messages, if each uses all its time.
    fn check(time: u64, messages: usize, expect: &[u64]) {
        let mut left = Duration::from_secs(time);
        let shares = (1..=messages).rev().map_while(|messages| {
            let share = fair_share(left, messages)?;
            left = left.saturating_sub(share);
            Some(share.as_secs())
        });
        assert_eq!(shares.collect::<Vec<_>>(), expect, "{time} seconds for {messages}");
    }

    #[test]
    fn every_message_gets_its_share_of_the_time() {
        check(60, 1, &[60]);
        check(60, 10, &[6; 10]);
        check(15, 5, &[3; 5]);
        // There is too little time for all, and at the end for any.
        check(14, 5, &[3; 4]);
        check(3, 10, &[3]);
        check(2, 1, &[]);
        check(0, 3, &[]);
    }

    #[test]
    fn what_a_message_leaves_over_is_for_the_others() {
        let left = Duration::from_secs(60);
        assert_eq!(fair_share(left, 10), Some(Duration::from_secs(6)));
        // The first message took almost no time.
        assert_eq!(fair_share(left, 9).map(|share| share.as_millis()), Some(6_666));
    }
}
