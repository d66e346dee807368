//! Owns how an image of the catalogue is reported. Pure.

use crate::{
    allowlist::{Rule, written},
    decide::{Case, covering_rules},
    facts::Image,
    outcome::{CatalogueRow, MayRow, MayTarget},
    request::Action,
};

/// What the catalogue says about an image that a rule of the requester covers.
pub(super) fn row(case: &Case<'_>, image: &Image) -> CatalogueRow {
    CatalogueRow {
        created: image.provenance.created,
        architecture: image.architecture.clone(),
        encrypted: image.is_encrypted,
        state: image.state.as_str().to_owned(),
        may: covering_rules(case, image).into_iter().map(|(rule, actions)| may(case, rule, actions)).collect(),
    }
}

fn may(case: &Case<'_>, rule: &Rule, actions: Vec<Action>) -> MayRow {
    let target =
        |target| MayTarget { id: Clone::clone(target), name: case.allowlist.name_of(target).map(str::to_owned) };
    MayRow {
        rule: rule.name.clone(),
        actions,
        targets: rule.targets.iter().map(target).collect(),
        access: rule.access,
        max_duration: rule.max_duration.map(written),
        approval: !rule.approvers.is_empty(),
    }
}
