//! Owns [`InvocationContext`]: the ID and the times of an invocation.

use std::time::Duration;

use time::OffsetDateTime;

/// The ID and the times of an invocation, or of one message of its batch.
#[derive(Debug, Clone, Copy)]
pub struct InvocationContext<'a> {
    /// Lambda's ID of the invocation.
    pub request_id: &'a str,
    /// The remaining time of the invocation, or of the message.
    pub time_left: Duration,
    /// When Lambda ends the invocation.
    pub ends_at: OffsetDateTime,
    /// Now.
    pub now: OffsetDateTime,
}

impl InvocationContext<'_> {
    /// The same so much later.
    pub(super) fn later(&self, elapsed: Duration) -> Self {
        let now = self.now.saturating_add(elapsed.try_into().unwrap_or_default());
        Self { now, time_left: self.time_left.saturating_sub(elapsed), ..*self }
    }
}
