//! Owns [`ParameterReads`]: the parameters to which rules publish images, and what is read about the images that they
//! name.

use std::collections::{BTreeMap, BTreeSet};

use super::Need;
use crate::{
    decide::{self, Case},
    domain::{ImageId, ParameterName},
    facts::Image,
    request::Action,
};

/// The parameters to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParameterReads {
    /// Their names.
    pub names: BTreeSet<ParameterName>,
    /// What follows if one can't be read, or something that is needed to judge it.
    pub need: Need,
    /// What is read about the images that they name.
    pub named: NamedReads,
    /// The images that may be published. If one is a copy, the age of its source is read.
    pub published: BTreeSet<ImageId>,
}

/// What is read about the images that parameters name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum NamedReads {
    /// Nothing.
    #[default]
    Nothing,
    /// Whether they exist.
    Themselves,
    /// Whether they exist, and their ages. The age of a copy is that of its source.
    Ages,
}

impl ParameterReads {
    /// The parameters of the permitted images.
    pub(super) fn new(case: &Case<'_>, images: &BTreeMap<ImageId, Image>, permitted: &[&ImageId]) -> Self {
        let names = decide::parameters_to_read(case, images, permitted);
        if names.is_empty() {
            return Self::default();
        }
        let (need, named) = match case.request.action {
            Action::Share
            | Action::Check
            | Action::List
            | Action::Usage
            | Action::Images
            | Action::Approvals
            | Action::Approve
            | Action::Reject => (Need::Settled, NamedReads::Ages),
            Action::Revoke | Action::Reset => (Need::Optional, NamedReads::Nothing),
            Action::Audit | Action::Repair => (Need::Optional, NamedReads::Themselves),
        };
        let published = permitted.iter().filter(|_| named == NamedReads::Ages).map(|id| (*id).clone()).collect();
        Self { names, need, named, published }
    }
}
