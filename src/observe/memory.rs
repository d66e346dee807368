//! Owns [`Memory`]: what the process remembers of images from one request to the next.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sharing::{
    decide::Case,
    domain::ImageId,
    facts::{Facts, Image},
    read_plan::{Expectation, Remembered},
};

/// What the process remembers of images.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Remembered>);

impl Memory {
    /// What is expected of the images of a request.
    pub(super) fn expect(&self, case: &Case<'_>) -> Option<Expectation> {
        self.remembered().expect(case)
    }

    /// Remembers what EC2 said.
    pub fn learn(&self, described: BTreeMap<ImageId, Image>, facts: &Facts) {
        self.remembered().learn(described, facts);
    }

    /// Remembers whose grants were needed.
    pub(super) fn learn_grantees(&self, facts: &Facts) {
        self.remembered().learn_grantees(facts);
    }

    /// Forgets these images.
    pub(super) fn forget(&self, ids: &[ImageId]) {
        self.remembered().forget(ids);
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
