//! Owns the EventBridge call: it puts outcomes, and requests to continue an audit, on a bus.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>

use std::time::Duration;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use sharing::facts::Failure;

use super::{Aws, CallError};

/// The most entries in one PutEvents call.
const MAX_ENTRIES: usize = 10;
/// The most bytes in the details of one PutEvents call. PutEvents accepts more; the rest is for the other fields.
const MAX_BYTES: usize = 900_000;
const CALL: &str = "events:PutEvents";

/// The number of attempts for entries that EventBridge could not accept.
const TRIES: u32 = 3;

/// An event to put on a bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusEvent {
    /// The `source`.
    pub source: String,
    /// The `detail-type`.
    pub detail_type: &'static str,
    /// The `detail`, as JSON text.
    pub detail: String,
}

impl Aws {
    /// Puts events on a bus, in as few calls as their sizes allow. Entries that fail are sent again.
    pub async fn put_events(&self, bus: &str, events: &[BusEvent]) -> Result<(), CallError> {
        let mut batch = Vec::new();
        let mut bytes = 0_usize;
        for event in events {
            if batch.len() == MAX_ENTRIES || bytes.saturating_add(event.detail.len()) > MAX_BYTES {
                self.put_batch(bus, std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes = bytes.saturating_add(event.detail.len());
            let entry = PutEventsRequestEntry::builder().event_bus_name(bus).source(&event.source);
            batch.push(entry.detail_type(event.detail_type).detail(&event.detail).build());
        }
        if batch.is_empty() { Ok(()) } else { self.put_batch(bus, batch).await }
    }

    /// The name of the bus and AWS's message go only to the log: the requester of a share may not see them.
    async fn put_batch(&self, bus: &str, batch: Vec<PutEventsRequestEntry>) -> Result<(), CallError> {
        self.try_batch(bus, batch).await.map_err(|error| {
            let message = format!("{CALL} failed: {}; the function's log says why", error.failure.code.as_str());
            CallError { failure: Failure { resource: None, message, ..error.failure }, ..error }
        })
    }

    async fn try_batch(&self, bus: &str, mut batch: Vec<PutEventsRequestEntry>) -> Result<(), CallError> {
        let mut reason = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(200).saturating_mul(attempt)).await;
            }
            let call = self.eventbridge.put_events().set_entries(Some(batch.clone()));
            let answer = self.patience.ask(CALL, bus, || call.clone().send()).await?;
            // An HTTP 200 may contain failures. The results are in the order of the entries.
            let failed = answer.entries().iter().zip(batch).filter(|(result, _)| result.error_code().is_some());
            let failed: Vec<_> =
                failed.map(|(result, entry)| (result.error_code().unwrap_or_default().to_owned(), entry)).collect();
            let Some((code, _)) = failed.first() else { return Ok(()) };
            reason.clone_from(code);
            batch = failed.into_iter().map(|(_, entry)| entry).collect();
        }
        Err(CallError::partly_failed(CALL, bus, &reason, &format!("{} events were not accepted", batch.len())))
    }
}
