//! The core of ami-share: what a request to share Amazon Machine Images means, whether it is allowed, and which writes
//! it needs. Synchronous, without I/O and without the AWS SDK.
//!
//! The modules in reading order: [`request`] and [`outcome`] are the input and the output, and [`domain`] has the
//! nouns. [`allowlist`] says what is allowed, [`records`] what outlives an invocation, and [`facts`] what AWS answered.
//! [`read_plan`] determines what must be read. [`decide`] makes the decision, [`plan`] the writes, [`progress`] which of
//! them come next. [`taking_back`] decides what a share undoes that has lost its record, [`closing_look`] and [`withdrawn`] what a
//! revoke removes that an overlapping share has made, and [`copy_records`] what becomes of the records of shares that wait.
//! [`attempt`] says how it went, [`fate`] what becomes of a share that waits. [`report`] makes the outcome, and [`log_record`] the entry in the log.

pub mod allowlist;
pub mod attempt;
pub mod closing_look;
mod collected;
pub mod copy_records;
pub mod decide;
pub mod domain;
pub mod facts;
pub mod fate;
pub mod log_record;
pub mod needs;
pub mod outcome;
pub mod plan;
pub mod progress;
pub mod publishing;
pub mod read_plan;
pub mod records;
pub mod report;
pub mod request;
pub mod taking_back;
pub mod withdrawn;
