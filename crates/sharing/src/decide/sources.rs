//! Owns which source images must be known before a decision: those of copies, where a rule goes by scan or age.

use std::collections::{BTreeMap, BTreeSet};

use super::{Authority, Question};
use crate::{
    allowlist::{Images, Rule},
    domain::{ImageId, Region},
    facts::Image,
    request::Action,
};

/// The sources of these images that must be described, by their Regions. None where access is taken away.
pub fn sources_to_read(
    question: &Question<'_>,
    images: &BTreeMap<ImageId, Image>,
) -> BTreeMap<Region, BTreeSet<ImageId>> {
    let mut sources: BTreeMap<Region, BTreeSet<ImageId>> = BTreeMap::new();
    for image in images.values().filter(|image| image.owner == question.account) {
        let Some(source) = image.provenance.source() else { continue };
        if question.allowlist.rules.iter().any(|rule| may_decide(question, rule) && asks_for_source(rule, image)) {
            sources.entry(source.region.clone()).or_default().insert(source.id.clone());
        }
    }
    sources
}

/// Whether the rule may give the access that is asked for, or that an audit looks at.
fn may_decide(question: &Question<'_>, rule: &Rule) -> bool {
    let action = question.request.action;
    if action.surveys() {
        return rule.actions.contains(&Action::Share);
    }
    let is_named = match question.authority {
        Authority::Requester(requester) => rule.requesters.iter().any(|pattern| pattern.matches(requester)),
        Authority::Expiry(_) => false,
    };
    action.is_about_sharing() && rule.actions.contains(&action) && is_named
}

fn asks_for_source(rule: &Rule, image: &Image) -> bool {
    let Images::Matching { criteria, .. } = &rule.images else { return false };
    criteria.ask_for_source() && rule.images.include(image.name.as_deref(), &image.tags)
}
