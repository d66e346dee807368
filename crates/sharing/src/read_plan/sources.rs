//! Owns [`Sources`]: the sources of copies that must be described before it is decided which rules cover the copies. A
//! rule with a criterion for scan or age judges a copy by its source.

use std::collections::{BTreeMap, BTreeSet};

use super::Need;
use crate::{
    allowlist::{Images, Rule},
    decide::{self, Authority, Case},
    domain::{ImageId, Region},
    facts::{Image, Lineage, RegionalImage},
    request::Action,
};

/// The sources of copies that are described.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// The sources, by Region.
    pub by_region: BTreeMap<Region, BTreeSet<ImageId>>,
    /// What happens if they can't be read.
    pub need: Need,
}

impl Sources {
    /// The sources of those of these images that are copies, as far as they were not read.
    pub fn of<'i>(images: impl Iterator<Item = &'i Image>, need: Need) -> Self {
        let mut by_region: BTreeMap<Region, BTreeSet<ImageId>> = BTreeMap::new();
        for image in images {
            if let Lineage::CopyOf { source, said } = &image.provenance.lineage
                && !said.is_read()
            {
                by_region.entry(source.region.clone()).or_default().insert(source.id.clone());
            }
        }
        let need = if by_region.is_empty() { Need::No } else { need };
        Self { by_region, need }
    }

    /// Whether this source is described.
    pub fn include(&self, source: &RegionalImage) -> bool {
        self.by_region.get(&source.region).is_some_and(|ids| ids.contains(&source.id))
    }
}

/// The sources of these images that are described: where a rule goes by them, or may cover the copy by their names and tags.
pub fn sources_of_copies(case: &Case<'_>, images: &BTreeMap<ImageId, Image>) -> Sources {
    let goes_by =
        |image: &Image| case.allowlist.rules.iter().any(|rule| may_decide(case, rule) && asks_for_source(rule, image));
    let need = match case.request.action {
        // If the source of one image can't be read, that concerns no other image.
        Action::Audit | Action::Repair | Action::Revoke | Action::Reset | Action::Usage => Need::Optional,
        Action::List if case.request.shared_with.is_none() => Need::Optional,
        // On a page, an image that is left out is missed by nobody.
        Action::List
        | Action::Images
        | Action::Share
        | Action::Check
        | Action::Approvals
        | Action::Approve
        | Action::Reject => Need::Settled,
    };
    let own = images.values().filter(|image| image.owner == case.account);
    Sources::of(own.filter(|image| may_be_covered_by_source(case, image) || goes_by(image)), need)
}

/// The sources of these images by whose names and tags a rule may cover them.
pub fn sources_of_uncovered(case: &Case<'_>, images: &BTreeMap<ImageId, Image>, need: Need) -> Sources {
    let own = images.values().filter(|image| image.owner == case.account);
    Sources::of(own.filter(|image| may_be_covered_by_source(case, image)), need)
}

/// Whether a rule may cover a copy by the name and tags of its source. To give access, that is looked at only in the Regions
/// from which rules make copies. A share may outlast the rule that made its copy.
fn may_be_covered_by_source(case: &Case<'_>, image: &Image) -> bool {
    let (Some(source), Authority::Requester(_)) = (image.provenance.source(), case.authority) else { return false };
    let makes_copies = case.allowlist.rules.iter().any(|rule| rule.copies_from(&source.region));
    let may_have_made = !case.request.action.is_about_sharing() && case.unset_for_copies.is_empty();
    match case.request.action {
        // What they tell depends on every rule about the image.
        Action::Audit | Action::Repair | Action::Usage | Action::Images if makes_copies => true,
        Action::Audit
        | Action::Repair
        | Action::Usage
        | Action::Images
        | Action::Share
        | Action::Check
        | Action::List
        | Action::Revoke
        | Action::Reset
        | Action::Approvals
        | Action::Approve
        | Action::Reject => (makes_copies || may_have_made) && !decide::is_covered_by_own_name(case, image),
    }
}

/// Whether the rule may give the requested access, or the access that an audit checks.
fn may_decide(case: &Case<'_>, rule: &Rule) -> bool {
    let action = case.request.action;
    if action.surveys() {
        return rule.actions.contains(&Action::Share);
    }
    let is_named = match case.authority {
        Authority::Requester(requester) => rule.names(requester),
        Authority::Expiry(_) => false,
    };
    // A check has the refusals of a share.
    let gives = rule.actions.contains(&action) || rule.actions.contains(&Action::Share);
    action.is_about_sharing() && gives && is_named
}

fn asks_for_source(rule: &Rule, image: &Image) -> bool {
    let Images::Matching { criteria, .. } = &rule.images else { return false };
    criteria.ask_for_source() && rule.images.include(image.name.as_deref(), &image.tags)
}
