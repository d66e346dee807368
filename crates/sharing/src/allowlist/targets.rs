//! Owns [`Targets`]: the targets of a rule, each once, in the order of the document.

use std::{collections::BTreeSet, ops::Deref};

use crate::domain::Target;

/// The targets of a rule, each once, in the order of the document. A rule may have thousands of them, and is asked about each
/// target of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    listed: Vec<Target>,
    all: BTreeSet<Target>,
}

impl Targets {
    /// Whether the target is one of them.
    pub fn contains(&self, target: &Target) -> bool {
        self.all.contains(target)
    }
}

impl FromIterator<Target> for Targets {
    fn from_iter<I: IntoIterator<Item = Target>>(targets: I) -> Self {
        let mut made = Self::default();
        for target in targets {
            if made.all.insert(target.clone()) {
                made.listed.push(target);
            }
        }
        made
    }
}

impl Deref for Targets {
    type Target = [Target];

    fn deref(&self) -> &[Target] {
        &self.listed
    }
}

impl<'a> IntoIterator for &'a Targets {
    type Item = &'a Target;
    type IntoIter = std::slice::Iter<'a, Target>;

    fn into_iter(self) -> Self::IntoIter {
        self.listed.iter()
    }
}
