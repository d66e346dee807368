//! The integration tests: one binary, a module per subject.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::too_many_lines,
    unreachable_pub,
    missing_docs,
    reason = "a test fails by panicking, and nobody builds on its helpers"
)]

mod access;
mod allowlists;
mod answers;
mod approvals;
mod approvals_disturbed;
mod approved_copies;
mod audit;
mod audit_rows;
mod automation;
mod catalogue;
mod concurrency;
mod copies;
mod copies_disturbed;
mod copy_calls;
mod copy_coverage;
mod crash;
mod docs;
mod execute;
mod faults;
mod first_hour;
mod function;
mod house;
mod incidents;
mod list_by_account;
mod log_queries;
mod log_record;
mod model_order;
mod provenance;
mod publish;
mod real_role;
mod remembered;
mod replay;
mod strangers;
mod support;
mod telemetry;
mod triggers;
mod usage;
mod waves;
