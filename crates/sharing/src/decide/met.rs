//! Owns [`Met`]: what a share meets, put together of parts.

use crate::{
    facts::{Expiry, Failure},
    needs::NeededGrant,
    outcome::{KeyRow, Refusal},
};

/// What a share meets, or a part of it.
#[derive(Debug, Default)]
pub(super) struct Met {
    pub(super) keys: Vec<KeyRow>,
    pub(super) grants: Vec<NeededGrant>,
    pub(super) expiries: Vec<Expiry>,
    pub(super) refusals: Vec<Refusal>,
    pub(super) gaps: Vec<Failure>,
    pub(super) warnings: Vec<String>,
}

impl Met {
    /// Adds another part.
    pub(super) fn add(&mut self, part: Self) {
        let Self { keys, grants, expiries, refusals, gaps, warnings } = part;
        self.keys.extend(keys);
        self.grants.extend(grants);
        self.expiries.extend(expiries);
        self.refusals.extend(refusals);
        self.gaps.extend(gaps);
        self.warnings.extend(warnings);
    }

    /// One refusal.
    pub(super) fn refused(refusal: Refusal) -> Self {
        Self { refusals: vec![refusal], ..Self::default() }
    }

    /// One thing that the caller should know.
    pub(super) fn warned(warning: String) -> Self {
        Self { warnings: vec![warning], ..Self::default() }
    }
}
