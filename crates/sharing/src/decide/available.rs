//! Owns what images share by themselves when they become available: which rules say so, with whom and until when.

use time::OffsetDateTime;

use crate::{
    allowlist::{Allowlist, Rule},
    domain::{AccountId, ImageId, Requester, Target},
    facts::{Failure, Image, ImageState, Reading},
    outcome::ErrorCode,
    request::{Access, Action, AskedTarget, Request},
};

/// Why an event about an image that became available is not about one of ours, if so.
pub fn not_ours(event: (AccountId, Option<&str>), own: (AccountId, &str)) -> Option<String> {
    let (account, region) = event;
    match region.filter(|region| *region != own.1) {
        Some(region) => Some(format!("the event is about an image in {region}; only those of this Region count")),
        None if account != own.0 => {
            Some(format!("the event is about an image of account {account}; only this account's own count"))
        }
        None => None,
    }
}

/// The rules that share images by themselves for this requester.
pub fn automatic_rules<'a>(allowlist: &'a Allowlist, requester: &Requester) -> Vec<&'a Rule> {
    let names = |rule: &&Rule| rule.names(requester);
    allowlist.rules.iter().filter(|rule| rule.on_available).filter(names).collect()
}

/// What these rules share of an image that became available then. A target that several give the image to has it for the
/// longest of their times; the owner has it anyway.
///
/// An event can be there before what EC2 says of the image: then it comes again.
pub fn automatic_shares(
    rules: &[&Rule],
    image_id: &ImageId,
    image: Option<&Image>,
    since: OffsetDateTime,
    now: OffsetDateTime,
) -> Reading<Vec<Request>> {
    let image = match image {
        None => return Err(not_yet(ErrorCode::NotFound, "EC2 does not know the image yet, or no more")),
        Some(image) if image.state == ImageState::Pending => {
            return Err(not_yet(ErrorCode::Unavailable, "EC2 says that the image is pending still"));
        }
        Some(image) => image,
    };
    // A copy by whose source a rule goes is taken in here, and judged when the source is read.
    let is_about_it =
        |rule: &&&Rule| rule.images.may_include(image.name.as_deref(), &image.tags, &image.provenance, now);
    let rules: Vec<_> = rules.iter().filter(is_about_it).copied().collect();
    let outlasts = |rule: &Rule, target: &Target| {
        rules.iter().any(|other| is_for_longer(other, rule) && other.targets.contains(target))
    };
    let of_rule = |rule: &&Rule| {
        let targets =
            rule.targets.iter().filter(|target| **target != Target::Account(image.owner) && !outlasts(rule, target));
        requests_of(rule, targets.cloned().collect(), image_id, since)
    };
    Ok(rules.iter().flat_map(of_rule).collect())
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

/// What a rule shares with these by itself. Only accounts can be given copy access, so organizations get what EC2 can give
/// them.
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
