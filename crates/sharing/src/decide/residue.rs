//! Owns what taking access away can't finish or leaves on purpose: reads that failed, entries that another image
//! needs, grants that are not ours.

use key_policy::Grant;

use super::{ImageDecision, Question, is_covered};
use crate::{
    domain::{AccountId, GrantName, ImageId, KeyArn, Target, some_of},
    facts::{Fact, Facts, GrantScan, Image},
    request::Action,
};

/// So many of an account's grants are named.
const EXAMPLES: usize = 3;

/// Fills the gaps and warnings of a revoke or reset, and which entries stay because another image needs them.
pub(super) fn find(question: &Question<'_>, facts: &Facts, image: &Image, decision: &mut ImageDecision<'_>) {
    let accounts: Vec<AccountId> = match question.request.action {
        Action::Reset => {
            let targets = facts.targets_to_clear(decision.image_id, image, question.account);
            targets.iter().filter_map(Target::account).collect()
        }
        Action::Share | Action::Revoke | Action::List | Action::Check | Action::Audit | Action::Repair => {
            decision.targets.iter().filter_map(|(asked, _)| asked.target.account()).collect()
        }
    };
    // Without the list of launch permissions a reset doesn't know whose snapshots and grants to clear. A revoke doesn't
    // know what still gives access, and asks again where that may help.
    let unread = image.launch_permissions.failed().into_iter();
    decision.gaps.extend(unread.filter(|error| question.request.action == Action::Reset || error.retryable).cloned());
    decision.gaps.extend(image.snapshots.failed().cloned());
    decision.gaps.extend(image.unread_snapshots.iter().cloned());
    decision.gaps.extend(image.expiries.as_ref().err().cloned());
    for snapshot in image.snapshots.iter().flatten() {
        match &snapshot.needed_by {
            // Its entries stay as they are, because another image may need them.
            Fact::NotRead => {}
            Fact::Failed(error) => decision.gaps.push(error.clone()),
            Fact::Known(needed_by) => {
                for (account, other) in needed_by.iter().filter(|(account, _)| accounts.contains(account)) {
                    decision.warnings.push(format!(
                        "{account} keeps its create volume permission on {}, if it has one: {} is on that snapshot too and shared with it",
                        snapshot.id,
                        name_of(question, facts, other)
                    ));
                }
                decision.needed_by.insert(snapshot.id.clone(), needed_by.clone());
            }
        }
        // Of an image that is shared with nobody these are all that tells what an earlier reset left.
        if question.request.action == Action::Reset {
            decision.gaps.extend(snapshot.create_volume_permissions.failed().cloned());
        }
        let others = snapshot.create_volume_permissions.iter().flatten().filter(|account| !accounts.contains(account));
        let others: Vec<_> = others.map(ToString::to_string).collect();
        if question.request.action == Action::Reset && !others.is_empty() {
            decision.warnings.push(format!(
                "{} can still be copied by {}, with whom {} was not shared",
                snapshot.id,
                others.join(", "),
                decision.image_id
            ));
        }
    }
    for arn in image.keys() {
        match facts.keys.get(arn).map(|key| &key.grants) {
            None => {}
            Some(Err(error)) => decision.gaps.push(error.clone()),
            Some(Ok(grants)) => {
                let scan = facts.grant_scans.get(arn);
                let told =
                    passed_on(arn, grants, scan, &accounts).chain(orphans(question, arn, grants, decision, &accounts));
                let told: Vec<_> = told.collect();
                decision.warnings.extend(told);
            }
        }
        let Some(scan) = facts.grant_scans.get(arn) else { continue };
        if let Some(error) = &scan.unseen {
            if scan.may_hide_ours {
                decision.gaps.push(error.clone());
            }
            decision.warnings.push(format!(
                "not every grant on {arn} was looked at, so there may be more that the targets passed on: {}",
                error.message
            ));
        }
    }
    decision.gaps.dedup();
}

/// Another image, named only to a requester that a rule lets ask about it.
fn name_of(question: &Question<'_>, facts: &Facts, other: &ImageId) -> String {
    let is_told = facts.neighbours.get(other).is_some_and(|image| is_covered(question, image));
    if is_told { other.to_string() } else { "another image of this account".to_owned() }
}

/// The grants by which the accounts passed their access on: one line for each account, however many there are.
fn passed_on(
    arn: &KeyArn,
    grants: &[Grant],
    scan: Option<&GrantScan>,
    accounts: &[AccountId],
) -> impl Iterator<Item = String> {
    accounts.iter().filter_map(move |account| {
        let made: Vec<_> = grants.iter().filter(|grant| grant.is_issued_by(*account)).collect();
        let counted = scan.and_then(|scan| scan.made_by.get(account)).copied().unwrap_or_default().max(made.len());
        let examples = made.iter().take(EXAMPLES).map(|grant| grant.grant_id.as_str()).collect::<Vec<_>>().join(", ");
        match counted {
            0 => None,
            1 => Some(format!(
                "{arn}: {account} passed its access on by grant {examples}, which stays; it can retire or revoke it"
            )),
            _ => Some(format!(
                "{arn}: {account} passed its access on by {counted} grants, such as {examples}, which stay; it can \
                 retire or revoke them"
            )),
        }
    })
}

/// The grants for the image that a reset leaves, because their Names name no account that it knows.
fn orphans(
    question: &Question<'_>,
    arn: &KeyArn,
    grants: &[Grant],
    decision: &ImageDecision<'_>,
    accounts: &[AccountId],
) -> Option<String> {
    let is_orphan = |grant: &&Grant| {
        let name = grant.name.as_deref().unwrap_or_default();
        question.request.action == Action::Reset
            && grant.is_issued_by(question.account)
            && GrantName::is_for_image(name, decision.image_id)
            && !accounts.iter().any(|account| GrantName::is_for(name, decision.image_id, *account))
    };
    let orphans: Vec<_> = grants.iter().filter(is_orphan).collect();
    let names =
        orphans.iter().map(|grant| format!("{} (`{}`)", grant.grant_id, grant.name.as_deref().unwrap_or_default()));
    (!orphans.is_empty()).then(|| {
        format!(
            "{arn}: grants left from shares that were not there any more: {}; revoke those targets to remove them",
            some_of(names)
        )
    })
}
