//! Owns what a request with `copyFrom` is about: which image of this Region is the copy, what prevents making one, and
//! how a share waits for it. Pure.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use time::OffsetDateTime;

use super::{
    approval,
    case::{Authority, Case},
    decision::{Covered, Next, Wait},
    group::targets_by_rules,
    met::Met,
    permit::{covering_rule, may_withdraw, nearest_rule, permit},
    refusals,
};
use crate::{
    allowlist::{Copies as CopyTerms, Criterion, Rule},
    collected::into_map,
    domain::{ImageId, KeyArn},
    facts::{Awaited, Copies, CopyRecord, Fact, Facts, Failure, Image, ImageState, KeyMetadata, RegionalImage},
    needs::CopyOrder,
    outcome::{ErrorCode, Refusal},
    records::{name_of_waiting, waiting_request},
    request::{Action, AskedTarget, Request},
};

/// The images of this Region that a request with `copyFrom` is about, by the image that it names. If the copy does not
/// exist yet, an image with the ID of its source stands for it.
pub fn images_meant(case: &Case<'_>, facts: &Facts) -> BTreeMap<ImageId, BTreeMap<ImageId, Image>> {
    let meant = facts.copies.iter().map(|(source_id, copies)| {
        let there = if case.request.action.is_about_sharing() { copies_meant(case, copies) } else { made_from(copies) };
        let awaited = || awaited_copy(case, source_id, copies).map(|image| (source_id.clone(), image));
        let there = if there.is_empty() { into_map(awaited()) } else { there };
        let lead = lead(there.iter()).cloned();
        let is_told = |id: &ImageId| case.request.action != Action::List || Some(id) == lead.as_ref();
        let waiting = |id: &ImageId| if is_told(id) { copies.waiting.clone() } else { Fact::NotRead };
        (
            source_id.clone(),
            into_map(there.into_iter().map(|(id, it)| (id.clone(), Image { waiting: waiting(&id), ..it }))),
        )
    });
    into_map(meant)
}

/// The images of this Region that a request is about. An image that is there comes before a copy of it that is not there yet:
/// the request names the image, and also another one of which it is a copy.
pub fn as_facts(meant: BTreeMap<ImageId, BTreeMap<ImageId, Image>>) -> BTreeMap<ImageId, Image> {
    let mut images: BTreeMap<ImageId, Image> = BTreeMap::new();
    for (id, image) in meant.into_values().flatten() {
        let image = match images.remove(&id) {
            Some(other) if image.as_awaited().is_some() => {
                Image { waiting: both(&other.waiting, &image.waiting), ..other }
            }
            Some(other) => Image { waiting: both(&image.waiting, &other.waiting), ..image },
            None => image,
        };
        images.insert(id, image);
    }
    images
}

fn both(one: &Fact<Vec<CopyRecord>>, other: &Fact<Vec<CopyRecord>>) -> Fact<Vec<CopyRecord>> {
    match (one, other) {
        (Fact::Known(one), Fact::Known(other)) => Fact::Known(one.iter().chain(other).cloned().collect()),
        (Fact::NotRead, other) | (_, other @ Fact::Failed(_)) => other.clone(),
        (one, _) => one.clone(),
    }
}

/// Whether the image is there as the copy of one image that the request names, and would be copied as another.
fn is_copied_too(case: &Case<'_>, facts: &Facts, image_id: &ImageId, image: &Image) -> bool {
    let is_source = facts.copies.contains_key(image_id) && image.as_awaited().is_none();
    is_source && images_meant(case, facts).get(image_id).is_some_and(|meant| meant.contains_key(image_id))
}

/// The place at which a request with `copyFrom` names the image that this one is made from, or stands for.
pub(super) fn place_of_source(case: &Case<'_>, facts: &Facts, image_id: &ImageId) -> Option<(ImageId, usize)> {
    let made_from = facts.copies.iter().find(|(_, copies)| copies.images.contains_key(image_id)).map(|(id, _)| id);
    let source_id = made_from.unwrap_or(image_id);
    Some((source_id.clone(), case.named.iter().position(|named| named == source_id)?))
}

/// Of several copies of the same image, the one that the shares wait for.
fn lead<'i>(images: impl Iterator<Item = (&'i ImageId, &'i Image)>) -> Option<&'i ImageId> {
    images.min_by_key(|(id, image)| (image.state != ImageState::Pending, *id)).map(|(id, _)| id)
}

/// Whether the records of shares that wait for a copy are taken back together with this image: with one of the images that
/// are made from the same one and that the request may be about.
pub(super) fn is_lead(case: &Case<'_>, facts: &Facts, image_id: &ImageId, image: &Image) -> bool {
    let images = case.request.image_ids.iter().filter(|id| {
        let is_alike = |other: &Image| other.provenance.source() == image.provenance.source();
        facts.images.get(*id).is_some_and(is_alike) && permit(case, &facts.images, id).needs_reading(case)
    });
    lead(images.filter_map(|id| facts.images.get_key_value(id))) == Some(image_id)
}

/// The request with the images of this Region that it is about, in the order of the images that it names.
pub fn resolve_copies<'a>(case: &Case<'a>, facts: &Facts) -> Cow<'a, Request> {
    if case.request.copy_from.is_none() {
        return Cow::Borrowed(case.request);
    }
    let meant = images_meant(case, facts);
    let ids = |id: &ImageId| match meant.get(id) {
        Some(images) if !images.is_empty() => images.keys().cloned().collect(),
        // There is no such image, and the decision says so.
        Some(_) | None => vec![id.clone()],
    };
    let mut seen = BTreeSet::new();
    let image_ids = case.request.image_ids.iter().flat_map(ids).filter(|id| seen.insert(id.clone()));
    Cow::Owned(Request { image_ids: image_ids.collect(), ..case.request.clone() })
}

/// The copy that a share or check is about, if it is available: on the key of the rule that decides, the newest one. If the
/// targets are under rules with different keys, a share is refused, and a check is about the copy under each key.
fn copies_meant(case: &Case<'_>, copies: &Copies) -> BTreeMap<ImageId, Image> {
    let mut found: BTreeMap<KeyArn, (ImageId, Image)> = BTreeMap::new();
    for (id, image) in copies.available() {
        let keys = keys_of_rules(case, image);
        if keys.is_empty() && case.request.group.is_some() && case.request.targets.is_empty() {
            // No rule names the target. Whether it is shared with, only the image says.
            return [(id.clone(), image.clone())].into();
        }
        let is_asked = keys.len() == 1 || case.request.action == Action::Check;
        for key in keys.into_iter().filter(|key| is_asked && copies.counts(image, key)) {
            found.entry(key).or_insert_with(|| (id.clone(), image.clone()));
        }
    }
    into_map(found.into_values())
}

/// The images that a list or revoke is about: all that are made from it, whatever their keys.
fn made_from(copies: &Copies) -> BTreeMap<ImageId, Image> {
    let made = copies.images.iter().filter(|(_, image)| !image.state.is_failed());
    into_map(made.map(|(id, image)| (id.clone(), image.clone())))
}

/// The image that stands for a copy that does not exist yet. None if the image to copy doesn't exist either: then only
/// a record may still name it. If that could not be read, the
/// decision says so.
fn awaited_copy(case: &Case<'_>, source_id: &ImageId, copies: &Copies) -> Option<Image> {
    let waits = copies.waiting.iter().any(|records| !records.is_empty());
    let may_be_there = waits || copies.source.failed().is_some();
    if copies.known_source().is_none() && (case.request.action.is_about_sharing() || !may_be_there) {
        return None;
    }
    let source = RegionalImage { region: case.request.copy_from.clone()?, id: source_id.clone() };
    let image = |keys| Image::awaited(case.account, copies, source.clone(), keys);
    let keys = keys_of_rules(case, &image(Vec::new()));
    Some(image(keys.into_iter().filter(|key| key.region() == case.region).collect()))
}

/// The rules that decide about the targets of a share or check, also those that a target falls short of.
fn rules<'a>(case: &Case<'a>, image: &Image) -> Vec<&'a Rule> {
    let action = Action::Share;
    let rule = |asked: &AskedTarget| match covering_rule(action, case, image, &asked.target) {
        Ok(rule) => rule,
        Err(criterion) if criterion > Criterion::Target => {
            nearest_rule(action, case, image, Some(&asked.target), criterion)
        }
        Err(_) => None,
    };
    match &case.request.group {
        _ if !case.request.action.is_about_sharing() => Vec::new(),
        // Which targets have the ID can't be read of the copies: which of these are meant depends on it.
        Some(group) if case.request.targets.is_empty() => {
            targets_by_rules(case, group).iter().filter_map(rule).collect()
        }
        Some(_) | None => case.request.targets.iter().filter_map(rule).collect(),
    }
}

/// The keys of the copies of these rules, each once.
fn keys_of_rules(case: &Case<'_>, image: &Image) -> Vec<KeyArn> {
    distinct_keys(rules(case, image).into_iter())
}

fn distinct_keys<'r>(rules: impl Iterator<Item = &'r Rule>) -> Vec<KeyArn> {
    let mut keys: Vec<KeyArn> =
        rules.filter_map(|rule| rule.copies.as_ref()).map(|copies| copies.key.clone()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The images that a request names by `copyFrom` about which the requester may ask: by what they are named, or by what
/// the images are named that are made from them. A requester may always take back a share that it asked for and that
/// waits.
pub fn permitted_sources(case: &Case<'_>, facts: &Facts) -> BTreeSet<ImageId> {
    let may_ask = |(source_id, meant): (&ImageId, &BTreeMap<ImageId, Image>)| {
        let is_permitted = meant.keys().any(|id| permit(case, meant, id).needs_reading(case));
        // A deregistered source has no copy that is meant yet: which of its copies counts depends on their snapshots, so they
        // are read.
        let may_count = |copies: &Copies| {
            let mut available = copies.available().into_iter();
            available.any(|(id, _)| permit(case, &copies.images, id).needs_reading(case))
        };
        let is_permitted = is_permitted || meant.is_empty() && facts.copies.get(source_id).is_some_and(may_count);
        (is_permitted || may_withdraw(case)).then(|| source_id.clone())
    };
    images_meant(case, facts).iter().filter_map(may_ask).collect()
}

/// Whether the source and its keys must be checked: only if a copy must be made.
pub fn must_be_made(image: &Image) -> bool {
    image.as_awaited().is_some_and(|awaited| awaited.pending.is_none())
}

/// The reasons why the copy that a share or check is about can't be made.
pub(super) fn check(case: &Case<'_>, facts: &Facts, image: &Image, image_id: &ImageId, targets: &[Covered<'_>]) -> Met {
    if case.request.copy_from.is_none() {
        return Met::default();
    }
    let mut refusals = Vec::new();
    let keys = distinct_keys(targets.iter().filter_map(|(_, rule)| *rule));
    if keys.len() > 1 {
        refusals.push(refusals::copies_under_several_keys(image_id, &keys));
    }
    if is_copied_too(case, facts, image_id, image) {
        refusals.push(refusals::copied_too(image_id));
    }
    let Some(awaited) = image.as_awaited() else { return Met { refusals, ..Met::default() } };
    if !case.unset_for_copies.is_empty() || !case.setup.copies {
        refusals.push(refusals::copies_not_set_up(case, image_id));
    }
    if image.is_instance_store {
        refusals.push(refusals::copy_of_bundle(case, image_id));
    }
    let elsewhere = keys.iter().filter(|key| key.region() != case.region);
    refusals.extend(elsewhere.map(|key| refusals::copy_key_elsewhere(image_id, key, case.region)));
    if awaited.pending.is_none() {
        refusals.extend(of_source(case, image_id, awaited));
    }
    Met { refusals, ..Met::default() }
}

/// The reasons in the source why it can't be copied.
fn of_source(case: &Case<'_>, image_id: &ImageId, awaited: &Awaited) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if awaited.source_state != ImageState::Available {
        refusals.push(refusals::image_not_available(case, image_id, &awaited.source_state));
    }
    refusals.extend(awaited.source_keys.iter().filter_map(|(key, metadata)| of_source_key(image_id, key, metadata)));
    refusals
}

/// EC2 decrypts the snapshots of the source with their keys. If it can't, it reports this late, when the copy fails.
fn of_source_key(image_id: &ImageId, key: &KeyArn, metadata: &Fact<KeyMetadata>) -> Option<Refusal> {
    match metadata {
        Fact::Known(metadata) => {
            let state = metadata.unusable_state.as_deref()?;
            Some(refusals::source_key_not_usable(image_id, key, state))
        }
        Fact::Failed(failure) => Some(refusals::source_key_unread(image_id, key, failure)),
        Fact::NotRead => None,
    }
}

/// Why a share that waits is given up although nothing is asked of the allowlist yet: EC2 could not make the copy. If
/// somebody has asked for another copy meanwhile, the share waits for that one.
pub(super) fn failed(case: &Case<'_>, awaited: &Awaited) -> Option<Failure> {
    let hint = case.hint.filter(|hint| awaited.pending.is_none() && awaited.failed.len() > hint.failed_copies)?;
    let (copy_id, reason) = awaited.failed.first()?;
    let reason = reason.as_deref().unwrap_or("EC2 gives no reason");
    Some(Failure {
        code: ErrorCode::CopyFailed,
        call: Some("ec2:CopyImage"),
        resource: Some(copy_id.to_string()),
        message: format!("{copy_id}, the copy of {}, failed: {reason} (record {})", awaited.source, hint.name),
        retryable: false,
    })
}

/// How a share that is allowed waits for its copy.
pub(super) fn wait(
    case: &Case<'_>,
    image: &Image,
    awaited: &Awaited,
    targets: &[Covered<'_>],
    (rule, terms): (&Rule, &CopyTerms),
) -> Option<(CopyRecord, Next)> {
    if let Some(hint) = case.hint.filter(|hint| hint.is_overdue(case.now)) {
        return Some((hint.clone(), Next::GiveUp(overdue(awaited, hint))));
    }
    let order = awaited.pending.is_none().then(|| CopyOrder {
        source: awaited.source.clone(),
        source_name: image.name.clone().unwrap_or_else(|| awaited.source.id.to_string()),
        key: terms.key.clone(),
        failed_copies: awaited.failed.len(),
        is_from_here: awaited.source.region.to_string() == case.region,
    });
    let wait = Wait { order, ..Wait::default() };
    if let Some(hint) = case.hint {
        return Some((hint.clone(), Next::Wait(Wait { is_recorded: true, ..wait })));
    }
    let new = new_record(case, awaited, rule, terms)?;
    match recorded(case, image, awaited, targets) {
        None => Some((new, Next::Wait(wait))),
        // It goes on waiting with its first request and its time.
        Some(there) if !there.is_overdue(case.now) => {
            let again = Some(Box::new(new));
            Some((there.clone(), Next::Wait(Wait { is_recorded: true, again, ..wait })))
        }
        // Nobody waits by it any more; its next hint would only say so.
        Some(there) => {
            let outlived = Some((Box::new(there.clone()), overdue(awaited, there)));
            let again = Some(Box::new(new.clone()));
            Some((new, Next::Wait(Wait { outlived, again, ..wait })))
        }
    }
}

/// The record that is there and by which the same share waits, with its first request and its time. Without the approval
/// that a rule wants now it doesn't count.
fn recorded<'i>(
    case: &Case<'_>,
    image: &'i Image,
    awaited: &Awaited,
    targets: &[Covered<'_>],
) -> Option<&'i CopyRecord> {
    let Authority::Requester(requester) = case.authority else { return None };
    let request = waiting_request(case.request, &awaited.source.id);
    let is_it = |there: &&CopyRecord| {
        let approver = there.approved_by.as_ref();
        let is_same = name_of_waiting(&request, requester, approver).as_ref() == Some(&there.name);
        is_same && approval::is_enough(approver, targets)
    };
    image.waiting.iter().flatten().find(is_it)
}

fn new_record(case: &Case<'_>, awaited: &Awaited, rule: &Rule, terms: &CopyTerms) -> Option<CopyRecord> {
    let Authority::Requester(requester) = case.authority else { return None };
    let request = waiting_request(case.request, &awaited.source.id);
    let approver = case.approval.by();
    Some(CopyRecord {
        name: name_of_waiting(&request, requester, approver)?,
        request,
        requester: requester.clone(),
        approved_by: approver.cloned(),
        request_id: case.request_id.to_owned(),
        rule: rule.name.clone(),
        until: whole_seconds(case.now.checked_add(terms.within)?),
        failed_copies: awaited.failed.len(),
        mac: None,
    })
}

/// Nothing is done without a rule that says so.
pub(super) fn not_decided(awaited: &Awaited) -> Failure {
    Failure {
        code: ErrorCode::Unexpected,
        call: None,
        resource: Some(awaited.source.to_string()),
        message: format!("no rule says how {} is copied", awaited.source),
        retryable: false,
    }
}

fn whole_seconds(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(0).unwrap_or(time)
}

/// Why a share is given up that has waited for as long as it may, and that something else stood in the way of.
pub fn not_made_in_time(record: &CopyRecord) -> Failure {
    let (until, name) = (crate::domain::rfc3339(record.until), &record.name);
    Failure {
        code: ErrorCode::CopyOverdue,
        call: None,
        resource: record.source().map(|source| source.to_string()),
        message: format!("the share waited for a copy until {until} and could not be made since (record {name})"),
        retryable: true,
    }
}

fn overdue(awaited: &Awaited, record: &CopyRecord) -> Failure {
    let until = crate::domain::rfc3339(record.until);
    let (source, state) = (
        &awaited.source,
        match &awaited.pending {
            Some(copy_id) => format!("{copy_id} is pending"),
            None => "there is none".to_owned(),
        },
    );
    Failure {
        code: ErrorCode::CopyOverdue,
        call: Some("ec2:CopyImage"),
        resource: awaited.pending.as_ref().map(ToString::to_string),
        message: format!("the copy of {source} was not available until {until}: {state} (record {})", record.name),
        retryable: true,
    }
}
