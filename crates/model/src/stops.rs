//! Owns [`Stop`]: where the reads of an invocation may stop.

use crate::{script::Call, steps::Path};

/// An invocation that is about to read: its place in the scene, what AWS keeps, how far it is, how many reads may fail, and
/// whether nothing else runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Reader {
    pub(crate) actor: u8,
    pub(crate) kept: u32,
    pub(crate) at: u32,
    pub(crate) reads: u8,
    pub(crate) is_alone: bool,
}

/// Where the reads of an invocation may stop.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) kept: u32,
    pub(crate) at: u32,
    pub(crate) reads: u8,
    /// Each read that may be the last one.
    pub(crate) lasts: Vec<Call>,
    pub(crate) path: Path,
}
