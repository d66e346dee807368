//! Owns [`NamedImages`]: the images that grants of ours name and that may be deregistered.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    decide::{self, Case},
    domain::{GrantName, ImageId, KeyArn},
    facts::{Facts, Image},
    request::Action,
};

/// So many images at once are asked about, one by one, before their grants are revoked.
const AT_ONCE: usize = 20;

/// Images that are looked for because grants name them, with the keys on which.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamedImages {
    /// The images.
    pub images: BTreeMap<ImageId, Vec<KeyArn>>,
    /// Whether EC2 must say of each of them that there is no such image: that a search does not find one is not enough to
    /// take anything away.
    pub must_be_confirmed: bool,
}

impl NamedImages {
    /// Those that EC2's search did not find, as many as are looked at together, and the keys on which there are more.
    pub fn not_found(mut self, found: &BTreeMap<ImageId, Image>) -> (Self, BTreeSet<KeyArn>) {
        self.images.retain(|id, _| !found.contains_key(id));
        let last = self.images.keys().nth(AT_ONCE).filter(|_| self.must_be_confirmed).cloned();
        let later = last.map(|first| self.images.split_off(&first)).unwrap_or_default();
        (self, later.into_values().flatten().collect())
    }
}

/// The images that grants of ours on these keys name and that are not among those looked at.
///
/// A key is looked through once. A repair asks EC2 about each of the images and revokes their grants, and so looks at
/// some at a time: the rest is come upon again with the next images on the key, or the next repair.
pub fn named_by_grants(case: &Case<'_>, facts: &Facts) -> NamedImages {
    let must_be_confirmed = match case.request.action {
        Action::Audit => false,
        Action::Repair => true,
        Action::Share | Action::Revoke | Action::Reset | Action::List | Action::Check | Action::Usage => {
            return NamedImages::default();
        }
    };
    // Nobody knows the name of a deregistered image: only a rule about every image covers it.
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
