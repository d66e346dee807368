//! What is decided and planned, from facts to steps, refusals and findings.

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

mod afterwards;
mod allowlist_document;
mod allowlist_size;
mod approvals;
mod audit_rows;
mod automation;
mod catalogue;
mod copies;
mod copy_records;
mod coverage;
mod cut;
mod decisions;
mod fates;
mod findings;
mod log_record;
mod one_image;
mod provenance;
mod publish;
mod reads;
mod record_names;
mod refusals;
mod remembered;
mod request;
mod standing;
mod surveys;
mod usage;
mod withdrawn;
mod written;
