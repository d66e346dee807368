//! Shares Amazon Machine Images safely: the library behind the `bootstrap` Lambda function.
//!
//! A request is parsed once, decided once, carried out once and answered once:
//!
//! ```text
//! bytes ─▶ inbound ─▶ Request ─▶ service: observe ─▶ decide ─▶ plan ─▶ carry out ─▶ Outcome ─▶ inbound ─▶ bytes
//!          (doors)              (reads AWS)  (pure)   (pure)  (writes AWS)
//! ```
//!
//! The modules in reading order: [`request`] and [`outcome`] are what goes in and comes out, [`inbound`] the doors
//! between them and Lambda, [`domain`] the nouns; [`allowlist`] and [`key_access`] judge, [`facts`] are what they
//! judge by, [`decide`], [`plan`] and [`report`] make a decision, writes and an answer of it. All of that is pure and
//! builds without the AWS SDK. What is behind the feature `aws` is not: `observe` reads, `carry_out` writes,
//! `service` tells the whole story.

pub mod allowlist;
pub mod config;
pub mod decide;
pub mod domain;
pub mod facts;
pub mod inbound;
pub mod json;
pub mod key_access;
pub mod metrics;
pub mod outcome;
pub mod plan;
pub mod record;
pub mod report;
pub mod request;

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "aws")]
pub mod carry_out;
#[cfg(feature = "aws")]
pub mod observe;
#[cfg(feature = "aws")]
pub mod service;
#[cfg(feature = "aws")]
pub mod telemetry;
