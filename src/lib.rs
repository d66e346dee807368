//! Shares Amazon Machine Images safely: the library behind the `bootstrap` Lambda function.
//!
//! A request is parsed once, decided once, carried out once and answered once:
//!
//! ```text
//! bytes ─▶ triggers ─▶ Request ─▶ execute: observe ─▶ decide ─▶ plan ─▶ carry out ─▶ report ─▶ triggers ─▶ bytes
//!                                 (reads AWS)  (pure)   (pure)  (writes AWS) (pure)
//! ```
//!
//! The crates `sharing` and `key_policy` make the decisions, and `triggers` reads events and makes answers; they build
//! without the AWS SDK. This crate has the effects: [`observe`] reads AWS, [`carry_out`] writes to it, [`aws`] has the
//! clients, and [`records`] stores what outlives an invocation. [`execute`] carries out a request, and [`service`]
//! handles an invocation.

pub mod allowlist_source;
pub mod aws;
pub mod carry_out;
pub mod config;
pub mod deployment;
pub mod execute;
pub mod log_lines;
pub mod metrics;
pub mod observe;
pub mod records;
pub mod service;
pub mod telemetry;
