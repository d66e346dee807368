//! Owns the decision: which rule covers a request, and every reason against it. Pure; a decision is a value.

mod approval;
mod audit;
mod audit_rows;
mod available;
mod backing_key;
mod case;
mod copies;
mod copies_left;
mod decision;
mod expiry;
mod group;
mod judged_key;
mod judgements;
mod key_check;
mod met;
mod notes;
mod page;
mod permit;
mod publish;
mod refusals;
mod remaining;
mod second_look;
mod share;
mod staleness;
mod survey;
mod take_away;
mod usage;

use std::borrow::Cow;

pub use approval::{
    approval_asked_for, approval_left, approval_not_found, approvals_not_set_up, approved_by, ask, ask_left,
    decided_already, decided_before, lapsed, may_decide, may_lapse, may_see, no_approvals, rejected, wrong_trigger,
};
pub use available::{automatic_rules, automatic_shares, not_ours};
pub use case::{Approval, Authority, Case, Setup};
pub use copies::{as_facts, images_meant, must_be_made, not_made_in_time, permitted_sources, resolve_copies};
pub use copies_left::may_be_made;
pub use decision::{
    Await, Covered, Decision, ImageDecision, LaunchPermissions, Look, Next, NextReport, OrphanedGrant, Prerequisites,
    Records, Share, Survey, TakeAway, Unshareable, Verdict, Wait, Withdrawal,
};
pub use expiry::{due, is_near, is_refused_by_time};
pub use judged_key::{GrantPlan, JudgedKey};
pub use judgements::Judgements;
pub use key_check::{concerned, grantees_to_look_up};
pub use page::unknown_page;
pub use permit::{
    admit, covering_rules, is_covered, is_covered_by_own_name, is_reachable, may_withdraw, permitted, stranger,
    too_many_pairs,
};
pub use publish::{newest, parameters_to_read};
pub use remaining::{Remaining, remaining};
pub use second_look::{SecondLook, Seen, lost, second_looks};
pub use staleness::SentAt;
pub use survey::{Surveyed, next_token, unsettled};
pub use take_away::may_take;
pub use usage::{named_accounts, newest_usage_report};

use self::permit::{Permit, permit};
use crate::{
    domain::ImageId,
    facts::{Facts, Image, Reading},
    request::{Action, Request},
};

/// The request with all its images and targets: a page of images gets its images, and a bare ID its targets.
pub fn resolve<'a>(case: &Case<'a>, facts: &Facts) -> Reading<Cow<'a, Request>> {
    let request = case.request;
    Ok(match &request.group {
        _ if request.shared_with.is_some() || request.action == Action::Images => {
            Cow::Owned(Request { image_ids: page::images(case, facts), ..request.clone() })
        }
        Some(group) => Cow::Owned(Request { targets: group::targets_of_group(case, facts, group)?, ..request.clone() }),
        None => Cow::Borrowed(request),
    })
}

/// Decides for every image, in the order of the request. An audit also decides for deregistered images that records or
/// grants still name. Fails if time runs out before every key is judged.
pub fn decide<'a>(case: &Case<'a>, facts: &'a Facts, judgements: &Judgements<'_>) -> Reading<Vec<ImageDecision<'a>>> {
    if case.request.action.surveys() {
        let images = facts.images.iter();
        return images.map(|(image_id, image)| audit::decide(case, facts, judgements, image_id, image)).collect();
    }
    let decided = |image_id| Ok(named(case, facts, decide_image(case, facts, judgements, image_id)?));
    case.request.image_ids.iter().map(decided).collect()
}

/// The decision, with refusals that name what a request with `copyFrom` names.
fn named<'a>(case: &Case<'_>, facts: &Facts, mut decision: ImageDecision<'a>) -> ImageDecision<'a> {
    if case.request.copy_from.is_some()
        && let Some((source_id, index)) = copies::place_of_source(case, facts, decision.image_id)
    {
        let is_shown = !matches!(decision.decision, Decision::Refused(_));
        for refusal in decision.refusals_mut() {
            *refusal = refusals::of_copy(refusal.clone(), (&source_id, index), is_shown);
        }
    }
    decision
}

fn decide_image<'a>(
    case: &Case<'a>,
    facts: &'a Facts,
    judgements: &Judgements<'_>,
    image_id: &'a ImageId,
) -> Reading<ImageDecision<'a>> {
    let mut permit = permit(case, &facts.images, image_id);
    let Some(image) = facts.images.get(image_id).filter(|_| !permit.blocks_reading()) else {
        return Ok(permit.refused());
    };
    if let (Some(group), true) = (&case.request.group, case.request.targets.is_empty() && permit.refusals.is_empty()) {
        permit.refusals.push(refusals::target_not_found(image_id, group));
        return Ok(permit.refused());
    }
    match case.request.action {
        Action::Share | Action::Check => share::decide(case, facts, judgements, image, permit),
        Action::Revoke | Action::Reset if !permit.refusals.is_empty() => Ok(permit.refused()),
        Action::Revoke | Action::Reset => Ok(take_away::decide(case, facts, image, permit)),
        Action::List => Ok(look(case, facts, image, permit)),
        // What is about approvals names no images.
        Action::Images | Action::Approvals | Action::Approve | Action::Reject => {
            let decision = Decision::Look(Look::default());
            Ok(ImageDecision { image_id, rule: permit.rule, targets: Vec::new(), decision, warnings: Vec::new() })
        }
        Action::Usage => Ok(usage::decide(case, facts, permit)),
        Action::Audit | Action::Repair => audit::decide(case, facts, judgements, image_id, image),
    }
}

fn look<'a>(case: &Case<'_>, facts: &Facts, image: &Image, permit: Permit<'a>) -> ImageDecision<'a> {
    let Permit { image_id, rule, targets, refusals, .. } = permit;
    let asked: Vec<_> = targets.iter().map(|(asked, _)| *asked).collect();
    let warnings = notes::notes(case, facts, image, image_id, &asked, false);
    ImageDecision { image_id, rule, targets, decision: Decision::Look(Look { refusals, ..Look::default() }), warnings }
}
