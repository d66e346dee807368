//! Owns the log: lines on standard output in the format of Lambda's log settings, and the metric events.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html>

use std::io::Write;

use serde_json::Value;
use tracing::{Level, Metadata, level_filters::LevelFilter};
use tracing_subscriber::fmt::{self, writer::MakeWriterExt};

/// The library and the binary.
const OURS: [&str; 2] = ["ami_share", "bootstrap"];

/// Installs the subscriber. Lines carry no colour: escape sequences would reach CloudWatch as text.
pub fn install(level: Level, json: bool) {
    let builder = fmt::fmt().with_max_level(LevelFilter::from_level(level)).with_target(false).with_ansi(false);
    let builder = builder.with_writer(std::io::stdout.with_filter(is_logged));
    if json {
        builder.json().flatten_event(true).with_span_list(false).init();
    } else {
        builder.init();
    }
}

/// Below WARN, the runtime and the SDK log whole events and answers, which may have secrets. So their lines start at
/// WARN, and ours at the configured level.
fn is_logged(record: &Metadata<'_>) -> bool {
    *record.level() <= Level::WARN || OURS.iter().any(|name| record.target().starts_with(name))
}

/// Writes metric events, one line for each. CloudWatch extracts them from the log, whatever the log's format.
pub fn emit(events: &[Value]) {
    // JSON text has no line break of its own: whatever a value holds, it stays in its line.
    write(&events.iter().map(Value::to_string).collect::<Vec<_>>());
}

/// Writes lines as they are, whatever the log's level is: who did what belongs in the log at every level.
pub fn write(lines: &[String]) {
    let mut output = std::io::stdout().lock();
    for line in lines {
        if writeln!(output, "{line}").is_err() {
            tracing::warn!("a line of the log could not be written");
        }
    }
}
