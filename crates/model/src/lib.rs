//! Explores every interleaving of requests: what two or three of them can do to each other, and what a crash at any point
//! and a retry lead to. Nothing that is deployed depends on it.
//!
//! [`kept`] is the model of what AWS keeps. [`invoke`] is what an invocation does: the real read plan, decision, plan,
//! progress, looks and records, around the model's calls. [`search`] tries every interleaving, [`scenes`] has the
//! requests, [`rules`] what must hold, and [`known`] what is known not to.
//!
//! What is written here again is only the order of the function's calls, in a module for each of its own: [`pursue`],
//! [`act`], [`looks`], [`writer`], [`reading`], [`hints`], [`desk`], [`approvals`] and [`expiries`].

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::arithmetic_side_effects,
    reason = "nothing that is deployed depends on it: it fails by panicking"
)]

pub mod act;
mod answering;
pub mod approvals;
pub mod desk;
pub mod expiries;
pub mod explore;
pub mod giving;
pub mod hashing;
pub mod hints;
pub mod invocation;
pub mod invoke;
pub mod kept;
pub mod killed;
pub mod killing;
pub mod kinds;
pub mod known;
pub mod looks;
pub mod planted;
pub mod pool;
pub mod pursue;
pub mod reading;
mod reduced;
pub mod requests;
pub mod rules;
pub mod scenes;
pub mod script;
pub mod search;
pub mod sets;
mod shown;
mod steps;
mod stops;
pub mod trigger;
pub mod undoing;
pub mod world;
pub mod writer;
