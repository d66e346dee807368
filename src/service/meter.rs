//! Owns [`Meter`]: the duration of requests and the number of their calls to AWS, as metrics.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use sharing::outcome::Outcome;
use tokio::time::Instant;
use triggers::Trigger;

use super::invocation::InvocationContext;
use crate::{
    aws::{Attempts, Aws},
    metrics::Measured,
};

/// Writes metric events, each as one line.
pub type Sink = fn(&[Value]);

/// What is measured as long as the process lives.
#[derive(Debug)]
pub(super) struct Meter {
    function_name: String,
    sink: Sink,
    is_warm: AtomicBool,
}

/// When a request began, and how many calls there had been before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    at: Instant,
    attempts: Attempts,
}

impl Meter {
    /// A meter for the function with this name.
    pub(super) fn new(function_name: String, sink: Sink) -> Self {
        Self { function_name, sink, is_warm: AtomicBool::new(false) }
    }

    pub(super) fn begin(&self, aws: &Aws) -> Begun {
        Begun { at: Instant::now(), attempts: aws.attempts() }
    }

    /// Writes the metric events of a request that was answered. Requests are processed one after the other, so all
    /// calls since its beginning belong to it.
    pub(super) fn record(
        &self,
        aws: &Aws,
        begun: Begun,
        outcome: &Outcome,
        trigger: Trigger,
        invocation: &InvocationContext<'_>,
    ) {
        let attempts = aws.attempts().since(begun.attempts);
        let duration = begun.at.elapsed();
        let at = invocation.now.saturating_add(duration.try_into().unwrap_or_default());
        let measured = Measured {
            function_name: &self.function_name,
            lambda_request_id: invocation.request_id,
            trigger,
            outcome,
            at,
            duration,
            calls: attempts.made,
            retries: attempts.repeated,
            is_cold: !self.is_warm.swap(true, Ordering::Relaxed),
        };
        (self.sink)(&measured.events());
    }
}
