//! Shares Amazon Machine Images safely: the library behind the `bootstrap` Lambda function.
//!
//! A request is parsed once, decided once, carried out once and answered once:
//!
//! ```text
//! bytes ─▶ triggers ─▶ Request ─▶ service: observe ─▶ decide ─▶ plan ─▶ carry out ─▶ report ─▶ triggers ─▶ bytes
//!                                 (reads AWS)  (pure)   (pure)  (writes AWS) (pure)
//! ```
//!
//! What decides is in the crates `sharing` and `key_policy`, what an event means and how it is answered in `triggers`;
//! they build without the AWS SDK. Here are the effects: [`observe`] reads AWS, [`carry_out`] writes to it, [`aws`] holds
//! the clients, [`service`] tells the whole story of an invocation.

pub mod allowlist_source;
pub mod aws;
pub mod carry_out;
pub mod config;
pub mod log_lines;
pub mod metrics;
pub mod observe;
pub mod service;
pub mod telemetry;
