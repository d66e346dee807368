//! Owns processing a batch of queue messages: one after the other, each with its share of the time.

use sharing::{domain::shortened, outcome::Outcome};
use tokio::time::Instant;
use triggers::{
    Envelope,
    sqs::{self, Batch, Message},
};

use super::{deadlines::fair_share, invocation::InvocationContext};

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
        let message = invocation.later(begun.elapsed());
        let share = fair_share(message.time_left, messages.saturating_sub(place)).filter(|_| !is_stopped);
        let Some(time_left) = share else {
            tracing::info!(
                lambda.request_id = invocation.request_id,
                request.id = envelope.request_id,
                "left in the queue for another try"
            );
            again.extend(id);
            continue;
        };
        let outcome = answer(envelope, &InvocationContext { time_left, ..message }).await;
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
