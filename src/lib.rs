//! Shares Amazon Machine Images safely: the library behind the `bootstrap` Lambda function.
//!
//! A request is parsed once, decided once, carried out once and answered once:
//!
//! ```text
//! bytes ─▶ triggers ─▶ Request ─▶ execute: observe ─▶ decide ─▶ plan ─▶ carry out ─▶ report ─▶ triggers ─▶ bytes
//!                                 (reads AWS)  (pure)   (pure)  (writes AWS) (pure)
//! ```
//!
//! What decides is in the crates `sharing` and `key_policy`, what an event means and how it is answered in `triggers`;
//! they build without the AWS SDK. Here are the effects: [`observe`] reads AWS, [`carry_out`] writes to it, [`aws`] holds
//! the clients, [`records`] what outlives an invocation; [`execute`] tells the whole story of a request, [`service`] that of
//! an invocation.

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
