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

/// The sources of these images that are described, if a rule depends on them. For actions that remove access there are
/// none, except for copies that no rule covers by their own name.
pub fn sources_of_copies(case: &Case<'_>, images: &BTreeMap<ImageId, Image>) -> Sources {
    let goes_by =
        |image: &Image| case.allowlist.rules.iter().any(|rule| may_decide(case, rule) && asks_for_source(rule, image));
    let need = match case.request.action {
        // If an image can't be read, the others must still be audited.
        Action::Audit | Action::Repair => Need::Optional,
        Action::Share
        | Action::Check
        | Action::List
        | Action::Usage
        | Action::Revoke
        | Action::Reset
        | Action::Images
        | Action::Approvals
        | Action::Approve
        | Action::Reject => Need::Settled,
    };
    let own = images.values().filter(|image| image.owner == case.account);
    // An audit also says which copies have lost their source.
    let may_be_left = |image: &Image| case.request.action.surveys() && decide::may_be_made(case, image);
    Sources::of(own.filter(|image| is_uncovered(case, image) || goes_by(image) || may_be_left(image)), need)
}

/// The sources of the images that no rule covers by their own names and tags, and that a rule may cover by those of their
/// sources.
pub fn sources_of_uncovered(case: &Case<'_>, images: &BTreeMap<ImageId, Image>) -> Sources {
    let own = images.values().filter(|image| image.owner == case.account);
    Sources::of(own.filter(|image| is_uncovered(case, image)), Need::Optional)
}

/// Whether a rule may cover a copy by the name and tags of its source alone. This is checked only for the Regions from
/// which rules make copies.
fn is_uncovered(case: &Case<'_>, image: &Image) -> bool {
    let Some(source) = image.provenance.source() else { return false };
    let makes_copies = case.allowlist.rules.iter().any(|rule| rule.copies_from(&source.region));
    makes_copies && matches!(case.authority, Authority::Requester(_)) && !decide::is_covered(case, image)
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
