//! What the fuzz targets share: inputs that are made of parts, and the checks of what comes out.
//!
//! Bytes alone seldom become a document that says anything. So each structured target reads the fuzzer's bytes as choices
//! (`arbitrary`): mostly a valid text of its kind, sometimes one that is nearly valid, now and then anything.

pub mod allowlists;
pub mod checks;
pub mod events;
pub mod fields;
pub mod policies;
pub mod records;
pub mod requests;
