//! The core of ami-share: what a request for sharing Amazon Machine Images means, whether it is allowed, and what has to be
//! written for it. Synchronous, without I/O and without the AWS SDK.
//!
//! The modules in reading order: [`request`] and [`outcome`] are what goes in and comes out, [`domain`] the nouns,
//! [`allowlist`] what is allowed, [`records`] what outlives an invocation, [`facts`] what AWS said; [`read_plan`] says what
//! must be known, [`decide`], [`plan`] and [`report`] make a decision, writes and an answer of it, and [`log_record`] what
//! the log keeps.

pub mod allowlist;
pub mod decide;
pub mod domain;
pub mod facts;
pub mod log_record;
pub mod needs;
pub mod outcome;
pub mod plan;
pub mod publishing;
pub mod read_plan;
pub mod records;
pub mod report;
pub mod request;
