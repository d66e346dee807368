//! Owns what taking access away can't finish or leaves on purpose: reads that failed, entries that another image
//! needs, grants that are not ours.

use std::collections::BTreeMap;

use super::{ImageDecision, Question};
use crate::{
    domain::{AccountId, GrantName, ImageId, Target},
    facts::{Facts, Image, Reading, Snapshot},
    key_access::Grant,
    request::Action,
};

/// Fills the gaps and warnings of a revoke or reset, and which entries stay because another image needs them; of the
/// images asked about, one that is refused keeps what it needs.
pub(super) fn find(
    question: &Question<'_>,
    facts: &Facts,
    image: &Image,
    refused: &[&ImageId],
    decision: &mut ImageDecision<'_>,
) {
    let accounts: Vec<AccountId> = match question.request.action {
        Action::Reset => {
            let targets = facts.targets_to_clear(decision.image_id, image, question.account);
            targets.iter().filter_map(Target::account).collect()
        }
        Action::Share | Action::Revoke | Action::List | Action::Check | Action::Audit | Action::Repair => {
            decision.targets.iter().filter_map(|(asked, _)| asked.target.account()).collect()
        }
    };
    // Without the list of launch permissions a reset doesn't know whose snapshots and grants to clear.
    if question.request.action == Action::Reset {
        decision.gaps.extend(image.launch_permissions.as_ref().err().cloned());
    }
    decision.gaps.extend(image.snapshots.as_ref().err().cloned());
    decision.gaps.extend(image.unread_snapshots.iter().cloned());
    decision.gaps.extend(image.expiries.as_ref().err().cloned());
    for snapshot in image.snapshots.iter().flatten() {
        match needed_by(facts, snapshot, refused) {
            Err(error) => decision.gaps.push(error),
            Ok(needed_by) => {
                for (account, other) in needed_by.iter().filter(|(account, _)| accounts.contains(account)) {
                    decision.warnings.push(format!(
                        "{account} keeps its create volume permission on {}, if it has one: {other} is on that snapshot too and shared with it",
                        snapshot.id
                    ));
                }
                decision.needed_by.insert(snapshot.id.clone(), needed_by);
            }
        }
        // Of an image that is shared with nobody these are all that tells what an earlier reset left.
        if question.request.action == Action::Reset {
            decision.gaps.extend(snapshot.create_volume_permissions.as_ref().err().cloned());
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
                let told = grants.iter().filter_map(|grant| about(question, grant, decision, &accounts));
                let told: Vec<_> = told.map(|what| format!("{arn}: {what}")).collect();
                decision.warnings.extend(told);
            }
        }
    }
    decision.gaps.dedup();
}

/// The accounts whose entries on a snapshot stay, with the image that needs each.
fn needed_by(facts: &Facts, snapshot: &Snapshot, refused: &[&ImageId]) -> Reading<BTreeMap<AccountId, ImageId>> {
    let mut needed_by = snapshot.needed_by.clone()?;
    for (id, image) in refused.iter().filter_map(|id| Some((*id, facts.images.get(*id)?))) {
        if image.snapshots.iter().flatten().any(|other| other.id == snapshot.id) {
            image.launch_permissions.as_ref().map_err(Clone::clone)?;
            needed_by.extend(image.shared_accounts().into_iter().map(|account| (account, id.clone())));
        }
    }
    Ok(needed_by)
}

/// What is to be said of a grant that stays.
fn about(
    question: &Question<'_>,
    grant: &Grant,
    decision: &ImageDecision<'_>,
    accounts: &[AccountId],
) -> Option<String> {
    let id = &grant.grant_id;
    if let Some(account) = accounts.iter().find(|account| grant.is_issued_by(**account)) {
        return Some(format!("{account} passed its access on by grant {id}, which stays; it can retire or revoke it"));
    }
    let name = grant.name.as_deref()?;
    let is_orphan = question.request.action == Action::Reset
        && grant.is_issued_by(question.account)
        && GrantName::is_for_image(name, decision.image_id)
        && !accounts.iter().any(|account| GrantName::is_for(name, decision.image_id, *account));
    is_orphan.then(|| {
        format!(
            "grant {id} (`{name}`) is left from a share that was not there any more; revoke that target to remove it"
        )
    })
}
