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
    unreachable_pub,
    missing_docs,
    reason = "a test fails by panicking, and nobody builds on its helpers"
)]

mod bounds;
mod decisions;
mod docs;
mod events;
mod findings;
mod house;
mod key_access_cases;
mod key_access_field;
mod key_access_judge;
mod key_access_laws;
mod key_access_rules;
mod schemas;

#[cfg(feature = "aws")]
mod access;
#[cfg(feature = "aws")]
mod allowlists;
#[cfg(feature = "aws")]
mod answers;
#[cfg(feature = "aws")]
mod audit;
#[cfg(feature = "aws")]
mod automation;
#[cfg(feature = "aws")]
mod concurrency;
#[cfg(feature = "aws")]
mod crash;
#[cfg(feature = "aws")]
mod doors;
#[cfg(feature = "aws")]
mod faults;
// It packs the binary for Lambda, which is Linux.
#[cfg(all(feature = "aws", target_os = "linux"))]
mod first_hour;
#[cfg(feature = "aws")]
mod function;
#[cfg(feature = "aws")]
mod real_role;
#[cfg(feature = "aws")]
mod replay;
#[cfg(feature = "aws")]
mod strangers;
#[cfg(feature = "aws")]
mod support;
#[cfg(feature = "aws")]
mod telemetry;
#[cfg(feature = "aws")]
mod waves;
