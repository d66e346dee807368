//! Owns the shares of an image that became available: by which rules, with whom and until when.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::{
    allowlist::{Allowlist, Rule},
    domain::{AccountId, ImageId, Requester, Target},
    facts::{Failure, Image, ImageState, Reading},
    outcome::ErrorCode,
    request::{Access, Action, AskedTarget, Request},
};

/// Why the image of the event is not one of ours, if so.
pub fn not_ours(event: (AccountId, Option<&str>), own: (AccountId, &str)) -> Option<String> {
    let (account, region) = event;
    match region.filter(|region| *region != own.1) {
        Some(region) => Some(format!("the event is about an image in {region}; only images of this Region are shared")),
        None if account != own.0 => {
            Some(format!("the event is about an image of account {account}; only this account's own images are shared"))
        }
        None => None,
    }
}

/// The rules with `onAvailable` that name this requester.
pub fn automatic_rules<'a>(allowlist: &'a Allowlist, requester: &Requester) -> Vec<&'a Rule> {
    let names = |rule: &&Rule| rule.names(requester);
    allowlist.rules.iter().filter(|rule| rule.on_available).filter(names).collect()
}

/// The shares that these rules make of an image that became available at this time. If several rules name a target, the
/// one with the longest duration counts. The owner is left out. If the image certainly meets the criteria of one of
/// them, the rules whose criteria it may meet do not count: the expiry of a share must not depend on what is not known.
///
/// The event may arrive before EC2 reports the image. Then this fails, and Lambda sends the event again.
pub fn automatic_shares(
    rules: &[&Rule],
    image_id: &ImageId,
    image: Option<&Image>,
    since: OffsetDateTime,
    now: OffsetDateTime,
) -> Reading<Vec<Request>> {
    let image = match image {
        None => return Err(not_yet(ErrorCode::NotFound, "EC2 does not know the image, or not yet")),
        Some(image) if image.state == ImageState::Pending => {
            return Err(not_yet(ErrorCode::Unavailable, "EC2 still reports the image as pending"));
        }
        Some(image) => image,
    };
    let rules = rules_about(rules, image, now);
    let is_sure = |rule: &Rule| rule.images.shortfalls(&image.provenance, now).is_empty();
    let displaces = |other: &Rule, rule: &Rule| match (is_sure(other), is_sure(rule)) {
        (true, false) => true,
        (false, true) => false,
        (_, _) => is_for_longer(other, rule),
    };
    let is_displaced = |rule: &Rule, target: &Target| {
        rules.iter().any(|other| other.targets.contains(target) && displaces(other, rule))
    };
    let of_rule = |rule: &&Rule| {
        let targets = rule
            .targets
            .iter()
            .filter(|target| **target != Target::Account(image.owner) && !is_displaced(rule, target));
        requests_of(rule, targets.cloned().collect(), image_id, since)
    };
    Ok(rules.iter().flat_map(of_rule).collect())
}

/// The rules about the image by its own name and tags, or if there is none, by those of the source of a copy.
fn rules_about<'r>(rules: &[&'r Rule], image: &Image, now: OffsetDateTime) -> Vec<&'r Rule> {
    // A copy that a rule judges by its source is included here, and judged after the source is read.
    let by = |name: Option<&str>, tags: &BTreeMap<String, String>| -> Vec<&'r Rule> {
        let is_about_it = |rule: &&&Rule| rule.images.may_include(name, tags, &image.provenance, now);
        rules.iter().filter(is_about_it).copied().collect()
    };
    let own = by(image.name.as_deref(), &image.tags);
    match &image.source_naming {
        Some(source) if own.is_empty() => by(source.name.as_deref(), &source.tags),
        Some(_) | None => own,
    }
}

fn not_yet(code: ErrorCode, message: &str) -> Failure {
    Failure { code, call: None, resource: None, message: message.to_owned(), retryable: true }
}

fn is_for_longer(one: &Rule, other: &Rule) -> bool {
    match (one.max_duration, other.max_duration) {
        (None, Some(_)) => true,
        (Some(one), Some(other)) => one > other,
        (_, None) => false,
    }
}

/// The shares of a rule with these targets. Organizations and units get launch access, because only accounts can have
/// copy access.
fn requests_of(rule: &Rule, targets: Vec<Target>, image_id: &ImageId, since: OffsetDateTime) -> Vec<Request> {
    let (accounts, groups): (Vec<_>, Vec<_>) = targets.into_iter().partition(|target| target.account().is_some());
    let expires_at = rule.max_duration.and_then(|longest| since.checked_add(longest));
    let share = |targets: Vec<Target>, access, roles| Request {
        targets: targets.into_iter().map(|target| AskedTarget { target, pointer: String::new() }).collect(),
        access,
        service_linked_roles: roles,
        expires_at,
        reason: Some("the image became available".to_owned()),
        ..Request::bare(Action::Share, image_id.clone())
    };
    let parts =
        [share(accounts, rule.access, rule.service_linked_roles.clone()), share(groups, Access::Launch, Vec::new())];
    parts.into_iter().filter(|request| !request.targets.is_empty()).collect()
}
