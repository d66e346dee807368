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
    decision::{Covered, Next},
    met::Met,
    permit::{covering_rule, may_withdraw, nearest_rule, permit},
    refusals,
};
use crate::{
    allowlist::{Copies as CopyTerms, Criterion, Rule},
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
        let there = if case.request.action.is_about_sharing() {
            copy_meant(case, copies).into_iter().collect()
        } else {
            made_from(copies)
        };
        let awaited = || awaited_copy(case, source_id, copies).map(|image| (source_id.clone(), image));
        let there = if there.is_empty() { awaited().into_iter().collect() } else { there };
        let lead = lead(there.iter()).cloned();
        let is_told = |id: &ImageId| case.request.action != Action::List || Some(id) == lead.as_ref();
        let waiting = |id: &ImageId| if is_told(id) { copies.waiting.clone() } else { Fact::NotRead };
        (
            source_id.clone(),
            there.into_iter().map(|(id, it)| (id.clone(), Image { waiting: waiting(&id), ..it })).collect(),
        )
    });
    meant.collect()
}

/// Of several copies of the same image, the one that the shares wait for.
fn lead<'i>(images: impl Iterator<Item = (&'i ImageId, &'i Image)>) -> Option<&'i ImageId> {
    images.min_by_key(|(id, image)| (image.state != ImageState::Pending, *id)).map(|(id, _)| id)
}

/// Whether the records of shares that wait for a copy are taken back together with this image: with one of the images that
/// are made from the same one.
pub(super) fn is_lead(case: &Case<'_>, facts: &Facts, image_id: &ImageId, image: &Image) -> bool {
    let images = case.request.image_ids.iter().filter_map(|id| facts.images.get_key_value(id));
    lead(images.filter(|(_, other)| other.provenance.source() == image.provenance.source())) == Some(image_id)
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
    Cow::Owned(Request { image_ids: case.request.image_ids.iter().flat_map(ids).collect(), ..case.request.clone() })
}

/// The copy that a share or check is about, if it is available: on the key of the rule that decides, the newest one.
fn copy_meant(case: &Case<'_>, copies: &Copies) -> Option<(ImageId, Image)> {
    let is_it = |image: &Image| matches!(keys_of_rules(case, image).as_slice(), [key] if copies.counts(image, key));
    let mut available = copies.available().into_iter();
    available.find(|(_, image)| is_it(image)).map(|(id, image)| (id.clone(), image.clone()))
}

/// The images that a list or revoke is about: all that are made from it, whatever their keys.
fn made_from(copies: &Copies) -> BTreeMap<ImageId, Image> {
    copies
        .images
        .iter()
        .filter(|(_, image)| !image.state.is_failed())
        .map(|(id, it)| (id.clone(), it.clone()))
        .collect()
}

/// The image that stands for a copy that does not exist yet. None if the image to copy doesn't exist either: then only
/// a record may still name it.
fn awaited_copy(case: &Case<'_>, source_id: &ImageId, copies: &Copies) -> Option<Image> {
    let waits = copies.waiting.iter().any(|records| !records.is_empty());
    if copies.known_source().is_none() && (case.request.action.is_about_sharing() || !waits) {
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
    if case.request.action.is_about_sharing() {
        case.request.targets.iter().filter_map(rule).collect()
    } else {
        Vec::new()
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
        (is_permitted || may_withdraw(case.request)).then(|| source_id.clone())
    };
    images_meant(case, facts).iter().filter_map(may_ask).collect()
}

/// Whether the source and its keys must be checked: only if a copy must be made.
pub fn must_be_made(image: &Image) -> bool {
    image.as_awaited().is_some_and(|awaited| awaited.pending.is_none())
}

/// The reasons why the copy that a share or check is about can't be made.
pub(super) fn check(case: &Case<'_>, image: &Image, image_id: &ImageId, targets: &[Covered<'_>]) -> Met {
    let Some(awaited) = image.as_awaited() else { return Met::default() };
    let mut refusals = Vec::new();
    if !case.unset_for_copies.is_empty() {
        refusals.push(refusals::copies_not_set_up(case, image_id));
    }
    if image.is_instance_store {
        refusals.push(refusals::copy_of_bundle(case, image_id));
    }
    let keys = distinct_keys(targets.iter().filter_map(|(_, rule)| *rule));
    if keys.len() > 1 {
        refusals.push(refusals::copies_under_several_keys(image_id, &keys));
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

/// Why a share that waits is given up before the allowlist is evaluated: EC2 could not make the copy.
pub(super) fn failed(case: &Case<'_>, awaited: &Awaited) -> Option<Failure> {
    let hint = case.hint.filter(|hint| awaited.failed.len() > hint.failed_copies)?;
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
    let recorded = recorded(case, image, awaited, targets).cloned();
    let is_recorded = recorded.is_some();
    let record = recorded.or_else(|| new_record(case, awaited, rule, terms))?;
    if case.hint.is_some() && case.now > record.until {
        let failure = overdue(awaited, &record);
        return Some((record, Next::GiveUp(failure)));
    }
    let order = awaited.pending.is_none().then(|| CopyOrder {
        source: awaited.source.clone(),
        source_name: image.name.clone().unwrap_or_else(|| awaited.source.id.to_string()),
        key: terms.key.clone(),
        failed_copies: awaited.failed.len(),
        is_from_here: awaited.source.region.to_string() == case.region,
    });
    Some((record, Next::Wait { is_recorded, order }))
}

/// The record that is there and by which the same share waits, with its first request and its time. Without the approval
/// that a rule wants now it doesn't count.
fn recorded<'i>(
    case: &Case<'i>,
    image: &'i Image,
    awaited: &Awaited,
    targets: &[Covered<'_>],
) -> Option<&'i CopyRecord> {
    if case.hint.is_some() {
        return case.hint;
    }
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
