//! Owns the log: lines on standard output in the form Lambda's own log settings ask for, and metrics among them.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html>

use std::io::Write;

use serde_json::Value;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

/// Installs the subscriber. Lines carry no colour: escape sequences would reach CloudWatch as text.
pub fn install(level: tracing::Level, json: bool) {
    // Half of the clients' own chatter is on INFO; theirs starts at WARN, ours at the level asked for.
    let builder = fmt().with_max_level(LevelFilter::from_level(level)).with_target(false).with_ansi(false);
    if json {
        builder.json().flatten_event(true).with_span_list(false).init();
    } else {
        builder.without_time().init();
    }
}

/// Writes metric events, a line each. CloudWatch takes them out of the log whatever the log's format is.
pub fn emit(events: &[Value]) {
    let mut output = std::io::stdout().lock();
    for event in events {
        // JSON text has no line break of its own: whatever a value holds, it stays in its line.
        if writeln!(output, "{event}").is_err() {
            tracing::warn!("a metric event could not be written");
        }
    }
}
