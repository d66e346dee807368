//! Owns the log: lines on standard output in the form Lambda's own log settings ask for.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html>

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

/// Installs the subscriber. Lines carry no colour: escape sequences would reach CloudWatch as text.
pub fn install(level: tracing::Level, json: bool) {
    // Half of the clients' own chatter is on INFO; theirs starts at WARN, ours at the level asked for.
    let builder = fmt().with_max_level(LevelFilter::from_level(level)).with_target(false).with_ansi(false);
    if json {
        builder.json().flatten_event(true).with_current_span(false).init();
    } else {
        builder.without_time().init();
    }
}
