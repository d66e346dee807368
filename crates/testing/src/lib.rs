//! What the tests of all crates share. Nothing that is deployed depends on it.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a test fails by panicking"
)]

pub mod key_policies;
pub mod schemas;
pub mod worlds;
