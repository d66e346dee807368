//! Key policies and grants against AWS's documentation: cases, rules, laws.

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

mod cases;
mod exhaustive;
mod field;
mod judge;
mod laws;
mod readme;
mod rules;
