//! Owns the plan: the writes that make what was decided true, in order. Pure; an empty plan means there is nothing to do.

mod step;

pub use step::{GranteeKind, Phase, Step};

use crate::{
    decide::{Authority, ImageDecision, Question},
    domain::{AccountId, GrantName, ImageId, KeyArn, Target},
    facts::{Expiry, Facts, Image, ImageState},
    request::{Access, Action, Request},
};

/// At most so many entries go into one ModifyImageAttribute or ModifySnapshotAttribute. EC2 documents 10,000 account
/// ids for the first and 500 modifications for the second; a request has no more targets than this.
const MAX_ENTRIES: usize = crate::request::MAX_TARGETS;

/// The writes for one image. A refused image has none.
///
/// Sharing: record, grants, snapshots, launch permission, so that nobody can launch before everything a launch needs is there.
/// Taking away: the other way round.
pub fn plan(question: &Question<'_>, decision: &ImageDecision<'_>, image: &Image, facts: &Facts) -> Vec<Step> {
    if !decision.refusals.is_empty() {
        return Vec::new();
    }
    if let (Authority::Expiry(own), true) = (question.authority, decision.is_superseded) {
        return vec![delete_expiry(own)];
    }
    let Question { request, account: owner, .. } = *question;
    let targets: Vec<_> = decision.targets.iter().map(|(asked, _)| asked.target.clone()).collect();
    match request.action {
        // Nothing is given without knowing.
        Action::Share if !decision.gaps.is_empty() => Vec::new(),
        Action::Share => share(request, decision, image, &targets),
        Action::Revoke => {
            let mut steps = Vec::new();
            if may_change_launch_permissions(image) {
                let shown: Vec<_> = targets.iter().map(|target| image.as_shown(target).clone()).collect();
                steps.extend(remove_launch_permissions(decision.image_id, &shown));
            }
            steps.extend(take_away(decision, image, facts, owner, &accounts(&targets)));
            steps.extend(delete_expiries(question, decision, image, &targets));
            steps
        }
        Action::Reset => {
            let mut steps = Vec::new();
            if may_change_launch_permissions(image) {
                steps.push(Step::ResetLaunchPermissions { image_id: decision.image_id.clone() });
            }
            let targets = facts.targets_to_clear(decision.image_id, image, owner);
            steps.extend(take_away(decision, image, facts, owner, &accounts(&targets)));
            steps.extend(delete_expiries(question, decision, image, &targets));
            steps
        }
        // Overdue shares expire like due ones, by their records.
        Action::Repair => {
            let left = decision.orphaned.iter();
            left.map(|left| revoke_grant(left.key, &left.grant.grant_id, left.name, left.account)).collect()
        }
        Action::List | Action::Check | Action::Audit => Vec::new(),
    }
}

/// Disabling an image removed its launch permissions, and EC2 refuses to change them until it is enabled.
fn may_change_launch_permissions(image: &Image) -> bool {
    !matches!(image.state, ImageState::Disabled | ImageState::Deregistered)
}

/// Deletes the records of shares that were taken away, as the last step. A record stays where something could not be found
/// out: it is the only one of what is left to take away when nobody asks, and an `expire` finds its work by it.
///
/// An expiry deletes its own record and ends with that; earlier ones have a time of their own. A revoke or reset deletes all
/// of them, and then takes the launch permissions away once more: a share that crossed it may have found such a record and
/// given the permission again, and nothing would end that share any more.
fn delete_expiries(
    question: &Question<'_>,
    decision: &ImageDecision<'_>,
    image: &Image,
    targets: &[Target],
) -> Vec<Step> {
    if !decision.gaps.is_empty() {
        return Vec::new();
    }
    if let Authority::Expiry(own) = question.authority {
        return vec![delete_expiry(own)];
    }
    let recorded = image.expiries.iter().flatten().map(|(_, expiry)| expiry);
    let recorded: Vec<_> = recorded.filter(|expiry| targets.contains(&expiry.target)).collect();
    let mut steps: Vec<_> = recorded.iter().map(|expiry| delete_expiry(expiry)).collect();
    if may_change_launch_permissions(image) {
        let has_record = |target: &&Target| recorded.iter().any(|expiry| expiry.target == **target);
        let again: Vec<_> = targets.iter().filter(has_record).map(|target| image.as_shown(target).clone()).collect();
        steps.extend(remove_launch_permissions(decision.image_id, &again));
    }
    steps
}

fn delete_expiry(expiry: &Expiry) -> Step {
    Step::DeleteExpiry { name: expiry.name.clone(), target: expiry.target.clone() }
}

fn remove_launch_permissions(image_id: &ImageId, targets: &[Target]) -> impl Iterator<Item = Step> {
    chunks(targets).map(|targets| Step::RemoveLaunchPermissions { image_id: image_id.clone(), targets })
}

/// A share writes only what is missing.
fn share(request: &Request, decision: &ImageDecision<'_>, image: &Image, targets: &[Target]) -> Vec<Step> {
    // The record comes first: whatever happens after that, the share expires.
    let mut steps: Vec<_> = decision.new_expiries.iter().cloned().map(Step::CreateExpiry).collect();
    let mut grants = decision.grants.clone();
    // What the share depends on comes before what is best effort.
    grants.sort_by_key(|grant| grant.kind != GranteeKind::Account);
    steps.extend(grants.into_iter().map(Step::from));
    if request.access == Access::Copy {
        for snapshot in image.snapshots.iter().flatten() {
            let may = snapshot.create_volume_permissions.known().map(Vec::as_slice).unwrap_or_default();
            let missing: Vec<_> = accounts(targets).into_iter().filter(|account| !may.contains(account)).collect();
            let add = chunks(&missing)
                .map(|accounts| Step::AddCreateVolumePermissions { snapshot_id: snapshot.id.clone(), accounts });
            steps.extend(add);
        }
    }
    let missing: Vec<_> = targets.iter().filter(|target| !image.is_shared_with(target)).cloned().collect();
    let image_id = || decision.image_id.clone();
    steps.extend(chunks(&missing).map(|targets| Step::AddLaunchPermissions { image_id: image_id(), targets }));
    steps
}

/// Takes launch permissions back that a share has just added.
pub fn take_back(image_id: &ImageId, targets: &[Target]) -> Vec<Step> {
    remove_launch_permissions(image_id, targets).collect()
}

/// What else a share gave these accounts. Everything asked for is removed whatever was read, because EC2's reads lag
/// its writes (create volume permissions by minutes); what another shared image needs is kept.
fn take_away(
    decision: &ImageDecision<'_>,
    image: &Image,
    facts: &Facts,
    owner: AccountId,
    accounts: &[AccountId],
) -> Vec<Step> {
    let mut steps = Vec::new();
    for snapshot in image.snapshots.iter().flatten().filter(|snapshot| snapshot.owner == owner) {
        let Some(needed_by) = decision.needed_by.get(&snapshot.id) else { continue };
        let free: Vec<_> = accounts.iter().filter(|account| !needed_by.contains_key(account)).copied().collect();
        let remove = chunks(&free)
            .map(|accounts| Step::RemoveCreateVolumePermissions { snapshot_id: snapshot.id.clone(), accounts });
        steps.extend(remove);
    }
    for key in image.keys() {
        let grants = facts.keys.get(key).into_iter().flat_map(|key| key.grants.iter().flatten());
        let ours = grants.filter(|grant| grant.is_issued_by(owner)).filter_map(|grant| {
            let name = grant.name.as_deref()?;
            let account = accounts.iter().find(|account| GrantName::is_for(name, decision.image_id, **account))?;
            Some(revoke_grant(key, &grant.grant_id, name, *account))
        });
        steps.extend(ours);
    }
    steps
}

fn revoke_grant(key: &KeyArn, grant_id: &str, name: &str, account: AccountId) -> Step {
    Step::RevokeGrant { key: key.clone(), grant_id: grant_id.to_owned(), name: name.to_owned(), account }
}

fn accounts(targets: &[Target]) -> Vec<AccountId> {
    targets.iter().filter_map(Target::account).collect()
}

fn chunks<T: Clone>(items: &[T]) -> impl Iterator<Item = Vec<T>> {
    let chunks: Vec<_> = items.chunks(MAX_ENTRIES).map(<[T]>::to_vec).collect();
    chunks.into_iter()
}
