//! Owns [`NamedImages`]: the images that our grants name and that may be deregistered.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    decide::{self, Case},
    domain::{GrantName, ImageId, KeyArn},
    facts::{Facts, Image},
    request::Action,
};

/// The maximum number of images that a repair looks up together, one by one, before it revokes their grants.
const AT_ONCE: usize = 20;

/// The images that grants name, each with the keys of these grants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamedImages {
    /// The images.
    pub images: BTreeMap<ImageId, Vec<KeyArn>>,
    /// Whether EC2 must confirm for each ID that the image does not exist. If a search doesn't find an image, that is
    /// not enough to remove anything.
    pub must_be_confirmed: bool,
}

impl NamedImages {
    /// The images that EC2's search did not find, up to the maximum, and the keys whose grants name more such images.
    pub fn not_found(mut self, found: &BTreeMap<ImageId, Image>) -> (Self, BTreeSet<KeyArn>) {
        self.images.retain(|id, _| !found.contains_key(id));
        let last = self.images.keys().nth(AT_ONCE).filter(|_| self.must_be_confirmed).cloned();
        let later = last.map(|first| self.images.split_off(&first)).unwrap_or_default();
        (self, later.into_values().flatten().collect())
    }
}

/// The images that our grants on these keys name and that were not described.
///
/// Each key is searched once. A repair looks up each image in EC2 and revokes its grants, so it handles only some at a
/// time. The others are found again with the next images on the key, or by the next repair.
pub fn named_by_grants(case: &Case<'_>, facts: &Facts) -> NamedImages {
    let must_be_confirmed = match case.request.action {
        Action::Audit => false,
        Action::Repair => true,
        Action::Share
        | Action::Revoke
        | Action::Reset
        | Action::List
        | Action::Check
        | Action::Usage
        | Action::Images
        | Action::Approvals
        | Action::Approve
        | Action::Reject => {
            return NamedImages::default();
        }
    };
    // The name of a deregistered image is not known, so only a rule about every image covers it.
    if !decide::is_covered(case, &Image::deregistered(case.account, Vec::new())) {
        return NamedImages::default();
    }
    let is_done = |arn: &KeyArn| case.request.next_token.as_ref().is_some_and(|token| token.knows(arn));
    let mut images: BTreeMap<ImageId, Vec<KeyArn>> = BTreeMap::new();
    for (arn, key) in facts.keys.iter().filter(|(arn, _)| !is_done(arn)) {
        let ours = key.grants.iter().flatten().filter(|grant| grant.is_issued_by(case.account));
        let named: BTreeSet<_> = ours.filter_map(|grant| GrantName::image_of(grant.name.as_deref()?)).collect();
        for id in named.into_iter().filter(|id| !facts.images.contains_key(id)) {
            images.entry(id).or_default().push(arn.clone());
        }
    }
    NamedImages { images, must_be_confirmed }
}
