//! Owns [`InvocationContext`]: what the Lambda runtime and the clock say of an invocation.

use std::time::Duration;

use time::OffsetDateTime;

/// What the Lambda runtime and the clock say of one invocation, or of one message of its batch.
#[derive(Debug, Clone, Copy)]
pub struct InvocationContext<'a> {
    /// Lambda's ID of the invocation.
    pub request_id: &'a str,
    /// How much time the invocation has left, or the message.
    pub time_left: Duration,
    /// When Lambda ends the invocation.
    pub ends_at: OffsetDateTime,
    /// Now.
    pub now: OffsetDateTime,
}
