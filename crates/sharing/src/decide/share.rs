//! Owns the decision about a share: every reason against it, and what it needs. A check asks the same questions.

use super::{
    approval,
    case::Case,
    copies,
    decision::{Await, Covered, Decision, ImageDecision, Look, Next, Prerequisites, Share, Verdict},
    expiry,
    judgements::Judgements,
    key_check,
    met::Met,
    notes,
    permit::Permit,
    publish, refusals,
};
use crate::{
    domain::{ImageId, Target},
    facts::{Fact, Facts, Failure, Image, ImageState, LaunchPermission, Reading},
    outcome::{ErrorCode, Refusal},
    request::{Access, Action, AskedTarget},
};

/// Decides about a share; for a check, reports what a share would get. Fails if time runs out before every key is
/// judged.
pub(super) fn decide<'a>(
    case: &Case<'a>,
    facts: &Facts,
    judgements: &Judgements<'_>,
    image: &Image,
    permit: Permit<'a>,
) -> Reading<ImageDecision<'a>> {
    let may_expire = permit.may_expire();
    if let Some(decision) = given_up(case, image, &permit) {
        return Ok(decision);
    }
    let Permit { image_id, rule, targets, unshareable, checked, withdrawn: _, refusals, gaps, unsettled: _ } = permit;
    let (left_as_they_are, targets) = targets.into_iter().partition(|it| expiry::is_left(case, image, it));
    let targets: Vec<Covered<'a>> = targets;
    // A check judges the keys whatever is allowed.
    let judged = targets.iter().filter_map(|(asked, rule)| rule.map(|rule| (*asked, rule)));
    let judged: Vec<_> = judged.chain(unshareable.iter().copied()).collect();
    let mut met = Met {
        refusals,
        gaps,
        warnings: expiry::existing_share_warnings(image_id, image, &left_as_they_are),
        ..Met::default()
    };
    met.add(of_image(case, image, image_id, &targets));
    met.add(copies::check(case, facts, image, image_id, &targets));
    met.add(approval::check(case, image_id, &targets));
    met.add(key_check::check(case, facts, judgements, image, image_id, &judged)?);
    let part = expiry::check(case, image, image_id, &targets, &met.grants);
    met.add(part);
    let decided: Vec<_> = targets.iter().chain(&left_as_they_are).copied().collect();
    met.add(publish::check(case, facts, image, image_id, &decided));
    let makes_grants = !met.grants.is_empty() && met.refusals.is_empty();
    let is_about_targets = case.request.group.is_some() || !targets.is_empty() || may_expire;
    if case.request.action == Action::Check || is_about_targets {
        let others = unshareable.iter().map(|(asked, _)| *asked);
        let asked: Vec<_> = targets.iter().map(|(asked, _)| *asked).chain(others).collect();
        met.warnings.extend(notes::notes(case, facts, image, image_id, &asked, makes_grants));
    }
    if case.request.action == Action::Share {
        met.gaps.extend(not_read(image, image_id));
    }
    let Met { keys, has_unusable_key, grants, expiries, publications, refusals, gaps, warnings } = met;
    let decision = if case.request.action == Action::Check {
        Decision::Look(Look { unshareable, checked, keys, has_unusable_key, refusals, gaps })
    } else {
        let verdict = match (refusals.is_empty(), gaps.is_empty()) {
            (false, _) => Verdict::No(refusals),
            (true, false) => Verdict::Unknown(gaps),
            (true, true) => Verdict::Yes(Prerequisites { grants, expiries, publications }),
        };
        let share = Share { keys, has_unusable_key, left_as_they_are, verdict };
        await_copy(case, image, &targets, share)
    };
    Ok(ImageDecision { image_id, rule, targets, decision, warnings })
}

/// The share that waits no longer, because EC2 could not make its copy.
fn given_up<'a>(case: &Case<'a>, image: &Image, permit: &Permit<'a>) -> Option<ImageDecision<'a>> {
    let failure = copies::failed(case, image.as_awaited()?).filter(|_| permit.refusals.is_empty())?;
    let record = Box::new(case.hint?.clone());
    let next = Next::GiveUp(failure);
    Some(ImageDecision {
        image_id: permit.image_id,
        rule: permit.rule,
        targets: permit.targets.clone(),
        decision: Decision::Await(Await { keys: Vec::new(), has_unusable_key: false, record, next }),
        warnings: Vec::new(),
    })
}

/// A share that is allowed waits if its copy does not exist yet.
fn await_copy<'a>(case: &Case<'_>, image: &Image, targets: &[Covered<'_>], share: Share<'a>) -> Decision<'a> {
    let Some(awaited) = image.as_awaited().filter(|_| matches!(share.verdict, Verdict::Yes(_))) else {
        return Decision::Share(share);
    };
    let terms = targets.iter().find_map(|(_, rule)| Some(((*rule)?, (*rule)?.copies.as_ref()?)));
    let waits = terms.and_then(|(rule, terms)| copies::wait(case, image, awaited, targets, (rule, terms)));
    let Share { keys, has_unusable_key, left_as_they_are, verdict: _ } = share;
    match waits {
        Some((record, next)) => Decision::Await(Await { keys, has_unusable_key, record: Box::new(record), next }),
        // No rule that makes copies covers the targets, which was refused before.
        None => Decision::Share(Share {
            keys,
            has_unusable_key,
            left_as_they_are,
            verdict: Verdict::Unknown(vec![copies::not_decided(awaited)]),
        }),
    }
}

/// The failure if a required fact about the image was not read: access is never given without it.
fn not_read(image: &Image, image_id: &ImageId) -> Option<Failure> {
    let is_read = !matches!(image.launch_permissions, Fact::NotRead)
        && image.snapshots.iter().all(|backing| !matches!(backing.snapshot, Fact::NotRead));
    (!is_read).then(|| Failure {
        code: ErrorCode::Unexpected,
        call: None,
        resource: Some(image_id.to_string()),
        message: format!("the launch permissions or the snapshots of {image_id} were not read"),
        retryable: false,
    })
}

/// The refusals because of the image itself.
fn of_image(case: &Case<'_>, image: &Image, image_id: &ImageId, targets: &[Covered<'_>]) -> Met {
    let mut refusals = Vec::new();
    if image.state != ImageState::Available && image.as_awaited().is_none() {
        refusals.push(refusals::image_not_available(case, image_id, &image.state));
    }
    let owner = Target::Account(image.owner);
    let owners = targets.iter().filter(|(asked, _)| asked.target == owner);
    refusals.extend(owners.map(|(asked, _)| refusals::target_is_owner(case, image_id, asked)));
    if case.request.access == Access::Copy {
        refusals.extend(copy_refusals(case, image, image_id, targets));
        let lacking = targets.iter().filter(|(asked, _)| !case.setup.copy_access && lacks_copy_access(image, asked));
        refusals.extend(lacking.map(|(asked, _)| refusals::copy_access_off(image_id, asked)));
    }
    let entries = image.launch_permissions.iter().flatten().filter(|entry| **entry != LaunchPermission::Public).count();
    let new = targets.iter().filter(|(asked, _)| !image.is_shared_with(&asked.target)).count();
    let total = entries.saturating_add(new);
    if new > 0 && total > case.entity_quota {
        refusals.push(refusals::quota_exceeded(image_id, entries, new, case.entity_quota));
    }
    Met { refusals, ..Met::default() }
}

/// Snapshots can be shared with accounts only, and only by the account that owns them.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySnapshotAttribute.html>
fn copy_refusals(case: &Case<'_>, image: &Image, image_id: &ImageId, targets: &[Covered<'_>]) -> Vec<Refusal> {
    let groups = targets.iter().filter(|(asked, _)| asked.target.account().is_none());
    // With `copyFrom`, no copy can be made of it at all.
    let is_bundle = image.is_instance_store && image.as_awaited().is_none();
    let foreign = image.known_snapshots().filter(|snapshot| snapshot.owner != case.account);
    groups
        .map(|(asked, _)| refusals::copy_for_group(image_id, asked))
        .chain(is_bundle.then(|| refusals::copy_of_instance_store(image_id)))
        .chain(foreign.map(|snapshot| refusals::copy_of_foreign_snapshot(image_id, snapshot)))
        .collect()
}

/// Whether a share for copying must certainly add create volume permissions for the target.
fn lacks_copy_access(image: &Image, asked: &AskedTarget) -> bool {
    let Some(account) = asked.target.account() else { return false };
    // A copy that does not exist yet is shared with nobody.
    if image.as_awaited().is_some() {
        return true;
    }
    let mut known = image.known_snapshots().filter_map(|snapshot| snapshot.create_volume_permissions.known());
    known.any(|permissions| !permissions.accounts.contains(&account))
}
