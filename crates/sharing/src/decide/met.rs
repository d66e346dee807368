//! Owns [`Met`]: what the checks of a share found, put together from parts.

use super::judged_key::JudgedKey;
use crate::{
    facts::{Expiry, Failure},
    needs::{NeededGrant, Publication},
    outcome::Refusal,
};

/// What one or more checks of a share found.
#[derive(Debug, Default)]
pub(super) struct Met {
    pub(super) keys: Vec<JudgedKey>,
    pub(super) has_unusable_key: bool,
    pub(super) grants: Vec<NeededGrant>,
    pub(super) expiries: Vec<Expiry>,
    pub(super) publications: Vec<Publication>,
    pub(super) refusals: Vec<Refusal>,
    pub(super) gaps: Vec<Failure>,
    pub(super) warnings: Vec<String>,
}

impl Met {
    /// Adds what another check found.
    pub(super) fn add(&mut self, part: Self) {
        let Self { keys, has_unusable_key, grants, expiries, publications, refusals, gaps, warnings } = part;
        self.keys.extend(keys);
        self.has_unusable_key |= has_unusable_key;
        self.grants.extend(grants);
        self.expiries.extend(expiries);
        self.publications.extend(publications);
        self.refusals.extend(refusals);
        self.gaps.extend(gaps);
        self.warnings.extend(warnings);
    }

    /// A refusal alone.
    pub(super) fn refused(refusal: Refusal) -> Self {
        Self { refusals: vec![refusal], ..Self::default() }
    }

    /// A warning alone.
    pub(super) fn warned(warning: String) -> Self {
        Self { warnings: vec![warning], ..Self::default() }
    }
}
