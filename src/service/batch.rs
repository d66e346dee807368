//! Owns working off a batch of queue messages: one after the other, as long as there is time.

use std::time::Duration;

use tokio::time::Instant;

use super::{ANSWER_TIME, Context, Service};
use crate::inbound::sqs::{self, Batch, Message};

/// With less time than this left no message is begun: it would more likely be cut off than finished, and comes again
/// whole when it is left alone.
const SHORTEST_MESSAGE: Duration = ANSWER_TIME.saturating_add(Duration::from_secs(2));

impl Service {
    /// Carries out the messages in the queue's order and asks for those again that another try can mend.
    ///
    /// One at a time: two messages of a batch may be about one image, and the account's request rate is shared with
    /// everybody else anyway. A FIFO queue's order is kept by leaving everything behind a failed message alone.
    pub(super) async fn work_off(&self, batch: Batch, context: &Context<'_>) -> serde_json::Value {
        let begun = Instant::now();
        let mut again = Vec::new();
        let mut is_stopped = false;
        for Message { id, opened } in batch.messages {
            let elapsed = begun.elapsed();
            let time_left = context.time_left.saturating_sub(elapsed);
            is_stopped = is_stopped || time_left < SHORTEST_MESSAGE;
            if is_stopped {
                tracing::info!(
                    lambda.request_id = context.request_id,
                    request.id = opened.request_id,
                    "left in the queue for another try"
                );
                again.extend(id);
                continue;
            }
            let now = context.now.saturating_add(elapsed.try_into().unwrap_or_default());
            let outcome = self.settle(opened, &Context { now, time_left, ..*context }).await;
            if sqs::must_come_again(&outcome) {
                again.extend(id);
                is_stopped = batch.is_fifo;
            } else if sqs::is_lost(&outcome) {
                tracing::error!(
                    lambda.request_id = context.request_id,
                    request.id = outcome.request_id,
                    outcome = outcome.to_text(),
                    "this message could not be carried out, and sending it again would not help"
                );
            }
        }
        sqs::reply(&again)
    }
}
