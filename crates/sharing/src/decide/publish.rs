//! Owns the decision whether an image is published, and to which parameters: only if it is shared with every target of
//! the rule, and only if it replaces an older image.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::{
    case::{Authority, Case},
    decision::Covered,
    met::Met,
    permit::{is_about_pair, permit, rules_by_name},
    refusals,
};
use crate::{
    allowlist::{Publish, Rule},
    domain::{ImageId, ParameterName, Target},
    facts::{Fact, Facts, Failure, Image, ImageState, Parameter, Provenance},
    needs::Publication,
    outcome::ErrorCode,
    request::Action,
};

/// The parameters that must be read: for a share, those of the rules that decide; for a revoke, a reset, an audit and a
/// repair, those of every rule that allows sharing the image.
pub fn parameters_to_read(
    case: &Case<'_>,
    images: &BTreeMap<ImageId, Image>,
    ids: &[&ImageId],
) -> BTreeSet<ParameterName> {
    let of_image = |id: &&ImageId| {
        let Some(image) = images.get(*id) else { return Vec::new() };
        let rules = match case.request.action {
            Action::Share if image.state == ImageState::Available => deciding_rules(&permit(case, images, id).targets),
            Action::Revoke | Action::Reset | Action::Audit | Action::Repair => rules_about(case, image),
            Action::Share
            | Action::List
            | Action::Check
            | Action::Usage
            | Action::Images
            | Action::Approvals
            | Action::Approve
            | Action::Reject => Vec::new(),
        };
        rules.into_iter().filter_map(|(_, publish)| parameter(publish, image)).collect()
    };
    ids.iter().flat_map(of_image).collect()
}

/// A rule with the parameter that it publishes to.
type Publishing<'a> = (&'a Rule, &'a Publish);

/// The rules among those that decide that publish, each once.
fn deciding_rules<'a>(targets: &[Covered<'a>]) -> Vec<Publishing<'a>> {
    let mut rules: Vec<Publishing<'a>> = Vec::new();
    for rule in targets.iter().filter_map(|(_, rule)| *rule) {
        if let Some(publish) = rule.publish.as_ref().filter(|_| !rules.iter().any(|(other, _)| other.name == rule.name))
        {
            rules.push((rule, publish));
        }
    }
    rules
}

/// The rules that allow sharing the image and publish it, going by its name and tags. An expiry asks no rule.
fn rules_about<'a>(case: &Case<'a>, image: &Image) -> Vec<Publishing<'a>> {
    if matches!(case.authority, Authority::Expiry(_)) {
        return Vec::new();
    }
    let rules = rules_by_name(case, image, |rule, name, tags| {
        rule.publish.is_some() && rule.actions.contains(&Action::Share) && rule.images.include(name, tags)
    });
    rules.into_iter().filter_map(|rule| Some((rule, rule.publish.as_ref()?))).collect()
}

fn parameter(publish: &Publish, image: &Image) -> Option<ParameterName> {
    publish.parameter(&image.tags, image.architecture.as_deref()).ok()
}

/// What a share publishes, and what prevents it. A check has the same refusals.
pub(super) fn check(case: &Case<'_>, facts: &Facts, image: &Image, image_id: &ImageId, targets: &[Covered<'_>]) -> Met {
    let mut met = Met::default();
    for (rule, publish) in deciding_rules(targets) {
        let name = match publish.parameter(&image.tags, image.architecture.as_deref()) {
            Ok(name) => name,
            Err(why) => {
                met.refusals.push(refusals::publish_not_possible(case, image_id, rule, publish, why));
                continue;
            }
        };
        let gets_it = |target: &Target| targets.iter().any(|(asked, _)| asked.target == *target);
        // Two rules may publish to the same parameter.
        let is_published = met.publications.iter().any(|other| other.parameter == name);
        if case.request.action == Action::Share && !is_published && left_out(rule, image, gets_it).next().is_none() {
            met.add(publication(facts, image, image_id, name));
        }
    }
    met
}

/// The targets of a rule that an image is not shared with. Its owner can launch it anyway.
fn left_out<'a>(rule: &'a Rule, image: &Image, gets_it: impl Fn(&Target) -> bool) -> impl Iterator<Item = &'a Target> {
    let has_it = move |target: &Target| {
        *target == Target::Account(image.owner) || image.is_shared_with(target) || gets_it(target)
    };
    rule.targets.iter().filter(move |target| !has_it(target))
}

/// Whether a complete share is published.
fn publication(facts: &Facts, image: &Image, image_id: &ImageId, parameter: ParameterName) -> Met {
    let gap = |failure: Failure| Met { gaps: vec![failure], ..Met::default() };
    let before = match facts.parameters.get(&parameter) {
        None | Some(Fact::NotRead) => return gap(not_read(&parameter)),
        Some(Fact::Failed(failure)) => return gap(failure.clone()),
        Some(Fact::Known(before)) => before.as_ref(),
    };
    if before.is_some_and(|before| before.image_id.as_ref() == Some(image_id) && before.is_for_images) {
        return Met::default();
    }
    let Some(created) = image.provenance.data_created() else {
        return Met::warned(format!("{image_id} is not published to {parameter}: {}", age_unknown(&image.provenance)));
    };
    if let Some(named) = before.and_then(|before| before.image_id.as_ref().filter(|_| before.is_for_images)) {
        let is_newer = match before.map(|before| &before.named) {
            None | Some(Fact::NotRead) => return gap(not_read(&parameter)),
            Some(Fact::Failed(failure)) => return gap(failure.clone()),
            // An image that this account does not have counts as older.
            Some(Fact::Known(None)) => true,
            Some(Fact::Known(Some(theirs))) => is_newer(created, theirs),
        };
        if !is_newer {
            return Met::warned(format!(
                "{image_id} is not published to {parameter}, which names {named}: only a newer image replaces it"
            ));
        }
    }
    let publication = Publication { before: before.into(), parameter, image_id: image_id.clone(), created };
    Met { publications: vec![publication], ..Met::default() }
}

/// Whether data created at that time is certainly newer than the data of an image. A copy is made after its source, so
/// if the source is not known, its data is no newer than the copy itself.
fn is_newer(created: OffsetDateTime, than: &Provenance) -> bool {
    than.data_created().or(than.created).is_some_and(|theirs| created > theirs)
}

fn age_unknown(provenance: &Provenance) -> String {
    match provenance.source() {
        Some(source) => format!("it is a copy, and when its source {source} was created could not be read"),
        None => "when it was created is not known".to_owned(),
    }
}

fn not_read(parameter: &ParameterName) -> Failure {
    Failure {
        code: ErrorCode::Unexpected,
        call: None,
        resource: Some(parameter.to_string()),
        message: format!("{parameter}, or the image that it names, was not read"),
        retryable: false,
    }
}

/// The newest of the images that these versions of a parameter name, if it is newer than the one that was put last.
pub fn newest(put: &Publication, versions: &[Parameter]) -> Option<Publication> {
    let mut newest = put.clone();
    for version in versions {
        let (Some(image_id), Some(Some(named))) = (&version.image_id, version.named.known()) else { continue };
        // If the source of a copy is not known, it is not known whether the copy is newer.
        if let Some(created) = named.data_created().filter(|created| *created > newest.created) {
            newest = Publication { image_id: image_id.clone(), created, ..newest };
        }
    }
    (newest.image_id != put.image_id).then_some(newest)
}

/// The parameters that name an image from which access is taken away.
pub(super) fn still_named(case: &Case<'_>, facts: &Facts, image: &Image, image_id: &ImageId) -> Vec<String> {
    let mut warnings = Vec::new();
    for (rule, publish) in rules_about(case, image) {
        let Some(name) = parameter(publish, image) else { continue };
        let warning = match facts.parameters.get(&name) {
            Some(Fact::Known(Some(it))) if it.image_id.as_ref() == Some(image_id) => {
                format!("{name} still names {image_id}; {}", remedy(&name, &called(case, image, rule)))
            }
            Some(Fact::Failed(failure)) => {
                format!("whether {name} still names {image_id} could not be read: {}", failure.message)
            }
            None | Some(Fact::NotRead | Fact::Known(_)) => continue,
        };
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    warnings
}

/// The remedy for a parameter that names an image which its readers can't launch.
fn remedy(parameter: &ParameterName, rule: &str) -> String {
    format!(
        "share a newer image with every target of {rule}, or put another image ID: `aws ssm put-parameter --name {parameter} \
         --type String --data-type aws:ec2:image --overwrite --value <image ID>`"
    )
}

/// The rule by its name, if the requester may learn it: a rule of the requester is about the image and a target of the rule.
fn called(case: &Case<'_>, image: &Image, rule: &Rule) -> String {
    let may_learn = rule.targets.iter().any(|target| is_about_pair(case, image, target));
    if may_learn { format!("rule `{}`", rule.name) } else { "somebody else's rule".to_owned() }
}

/// A parameter that names an image which its readers can't launch.
pub(super) struct Stale {
    pub(super) image_id: ImageId,
    pub(super) message: String,
    pub(super) remedy: String,
}

/// The parameters of an image that name it although it is not shared with every target of their rule, or that name an
/// image which this account does not have.
pub(super) fn stale(case: &Case<'_>, facts: &Facts, image: &Image, image_id: &ImageId) -> Vec<Stale> {
    let mut found = Vec::new();
    for (rule, publish) in rules_about(case, image) {
        let Some(name) = parameter(publish, image) else { continue };
        let Some(Fact::Known(Some(it))) = facts.parameters.get(&name) else { continue };
        let Some(named) = &it.image_id else { continue };
        let why = if named != image_id || image.state == ImageState::Deregistered {
            let is_unknown = matches!(it.named, Fact::Known(None));
            is_unknown.then(|| "which is not an image of this account, or no longer exists".to_owned())
        } else if image.state == ImageState::Available {
            let left_out: Vec<_> = left_out(rule, image, |_| false).collect();
            let may_learn = |target: &&Target| is_about_pair(case, image, target);
            let (visible, hidden): (Vec<_>, Vec<_>) = left_out.into_iter().partition(may_learn);
            match (visible.is_empty(), hidden.is_empty()) {
                (true, true) => None,
                (true, false) => Some("which is not shared with every target".to_owned()),
                (false, _) => Some(format!("which is not shared with {}", crate::domain::some_of(visible))),
            }
        } else {
            Some(format!("which is `{}`", image.state.as_str()))
        };
        found.extend(why.map(|why| Stale {
            image_id: named.clone(),
            message: format!("{name} names {named}, {why}; {} publishes to it", called(case, image, rule)),
            remedy: remedy(&name, &called(case, image, rule)),
        }));
    }
    found
}
