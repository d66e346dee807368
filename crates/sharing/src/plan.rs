//! Owns the plan: the writes that carry out a decision, in order. Pure. If there is nothing to do, the plan is empty.

mod step;

use key_policy::Grant;
pub use step::{Phase, Step};

use crate::{
    decide::{
        Await, Case, Decision, ImageDecision, LaunchPermissions, Next, NextReport, OrphanedGrant, Prerequisites,
        Records, Share, Survey, TakeAway, Verdict, Wait, Withdrawal,
    },
    domain::{AccountId, GrantName, ImageId, KeyArn, SnapshotId, Target},
    facts::{CopyRecord, Expiry, Facts, Image, ImageState},
    needs::GranteeKind,
    request::{Access, Action},
};

/// The maximum number of entries in one ModifyImageAttribute or ModifySnapshotAttribute call. EC2 documents 10,000
/// account IDs for the first and 500 modifications for the second. A request has no more targets than this.
const MAX_ENTRIES: usize = crate::request::MAX_TARGETS;

/// The writes for each image, beside its decision. If one image stops a share, nothing is written for any, except that a
/// share which waits is given up if it is refused for good.
pub fn plans<'a>(
    case: &Case<'_>,
    facts: &Facts,
    decisions: Vec<ImageDecision<'a>>,
) -> Vec<(ImageDecision<'a>, Vec<Step>)> {
    let ended = give_up(case, &decisions);
    let is_stopped = decisions.iter().any(|decision| decision.stops_whole(case.request.action));
    let of_image = |decision: ImageDecision<'a>| {
        let image = facts.images.get(decision.image_id).filter(|_| !is_stopped);
        let steps = image.map(|image| plan(case, &decision, image, facts)).unwrap_or_default();
        (decision, steps.into_iter().chain(ended.clone()).collect())
    };
    decisions.into_iter().map(of_image).collect()
}

/// The writes for one image. A refused image has none.
///
/// A share writes record, grants, snapshots and launch permission in this order, so that nobody can launch before
/// everything that a launch needs exists. Actions that remove access use the reverse order.
pub fn plan(case: &Case<'_>, decision: &ImageDecision<'_>, image: &Image, facts: &Facts) -> Vec<Step> {
    match &decision.decision {
        // Access is never given without the facts.
        Decision::Share(Share { verdict: Verdict::No(_) | Verdict::Unknown(_), .. }) => Vec::new(),
        Decision::Share(Share { verdict: Verdict::Yes(first), .. }) => share(case, decision, first, image),
        Decision::Await(awaiting) => await_copy(case, awaiting),
        Decision::TakeAway(taken) => take_away(case, decision.image_id, taken, image, facts),
        Decision::Superseded(own) => vec![delete_expiry(own)],
        Decision::Survey(survey) if case.request.action == Action::Repair => repair(survey),
        Decision::Usage(NextReport::Started { client_token }) => {
            let (image_id, client_token) = (decision.image_id.clone(), client_token.clone());
            vec![Step::CreateUsageReport { image_id, client_token }]
        }
        Decision::Refused(_)
        | Decision::Unsettled(_)
        | Decision::Look(_)
        | Decision::Usage(_)
        | Decision::Survey(_) => Vec::new(),
    }
}

/// Disabling an image removes its launch permissions, and EC2 refuses to change those of an image that isn't available. One that
/// was read as pending, and then as shared, has become available between these reads.
fn may_change_launch_permissions(image: &Image) -> bool {
    image.state == ImageState::Available || image.state == ImageState::Pending && image.is_shared()
}

/// A share writes only what is missing.
fn share(case: &Case<'_>, decision: &ImageDecision<'_>, first: &Prerequisites, image: &Image) -> Vec<Step> {
    let request = case.request;
    let targets: Vec<_> = decision.targets.iter().map(|(asked, _)| asked.target.clone()).collect();
    // The record comes first, so that the share expires whatever happens after that.
    let mut steps: Vec<_> = first.expiries.iter().cloned().map(Step::CreateExpiry).collect();
    let mut grants = first.grants.clone();
    // The grants on which the share depends come before those that are best effort.
    grants.sort_by_key(|grant| grant.kind != GranteeKind::Account);
    steps.extend(grants.into_iter().map(Step::from));
    if request.access == Access::Copy {
        for snapshot in image.known_snapshots() {
            let may: Vec<_> = snapshot.may_create_volumes().collect();
            let missing: Vec<_> = accounts(&targets).into_iter().filter(|account| !may.contains(account)).collect();
            let add = chunks(&missing)
                .map(|accounts| Step::AddCreateVolumePermissions { snapshot_id: snapshot.id.clone(), accounts });
            steps.extend(add);
        }
    }
    let missing: Vec<_> = targets.iter().filter(|target| !image.is_shared_with(target)).cloned().collect();
    let image_id = || decision.image_id.clone();
    steps.extend(chunks(&missing).map(|targets| Step::AddLaunchPermissions { image_id: image_id(), targets }));
    match case.hint {
        // A hint that writes keeps the record, because an overlapping hint would undo a share whose record it doesn't
        // find. Best-effort steps don't keep it: every hint tries them again.
        Some(record) if steps.iter().all(Step::is_best_effort) => steps.into_iter().chain([end(record)]).collect(),
        Some(_) | None => steps,
    }
}

/// A share that waits for a copy: first the record, then the copy. Whatever happens after that, a hint finds the
/// record, and the share is made or given up.
fn await_copy(case: &Case<'_>, Await { record, next, .. }: &Await) -> Vec<Step> {
    match next {
        Next::Wait(Wait { is_recorded, outlived, order, .. }) => {
            let outlived = outlived.as_ref().map(|(record, _)| end(record));
            let record = (!is_recorded).then(|| Step::CreateCopyRecord(record.clone()));
            outlived.into_iter().chain(record).chain(order.clone().map(Step::CopyImage)).collect()
        }
        Next::GiveUp(_) => case.hint.map(end).into_iter().collect(),
    }
}

/// Whether there is anything to write. An existing share needs no approval.
pub fn writes(case: &Case<'_>, facts: &Facts, decisions: &[ImageDecision<'_>]) -> bool {
    decisions.iter().any(|decision| {
        let image = facts.images.get(decision.image_id);
        let publishes = decision.prerequisites().is_some_and(|first| !first.publications.is_empty());
        publishes || image.is_some_and(|image| !plan(case, decision, image, facts).is_empty())
    })
}

/// The step that ends the waiting of a share that is refused permanently.
pub fn give_up(case: &Case<'_>, decisions: &[ImageDecision<'_>]) -> Option<Step> {
    let mut refusals = decisions.iter().flat_map(ImageDecision::refusals);
    let record = case.hint?;
    refusals.any(|refusal| refusal.ends_waiting(record.is_overdue(case.now))).then(|| end(record))
}

/// Deletes the record of a share that no longer waits.
pub fn end(record: &CopyRecord) -> Step {
    Step::DeleteCopyRecord { name: record.name.clone(), targets: Vec::new() }
}

/// A step that a share has carried out; for a grant, with its ID.
pub type Given = (Step, Option<String>);

/// Undoes a share, in the order of a revoke. An account keeps a create volume permission that another image needs.
pub fn take_back(given: &[Given], is_needed: impl Fn(&SnapshotId, AccountId) -> bool) -> Vec<Step> {
    let mut steps: Vec<_> =
        given.iter().filter_map(|(step, grant_id)| undo(step, grant_id.as_deref(), &is_needed)).collect();
    steps.sort_by_key(|step| std::cmp::Reverse(step.phase()));
    steps
}

fn undo(step: &Step, grant_id: Option<&str>, is_needed: impl Fn(&SnapshotId, AccountId) -> bool) -> Option<Step> {
    match step {
        Step::AddLaunchPermissions { image_id, targets } => {
            Some(Step::RemoveLaunchPermissions { image_id: image_id.clone(), targets: targets.clone() })
        }
        Step::AddCreateVolumePermissions { snapshot_id, accounts } => {
            let accounts: Vec<_> =
                accounts.iter().filter(|account| !is_needed(snapshot_id, **account)).copied().collect();
            let snapshot_id = snapshot_id.clone();
            (!accounts.is_empty()).then_some(Step::RemoveCreateVolumePermissions { snapshot_id, accounts })
        }
        Step::CreateGrant { key, name, account, .. } => Some(revoke_grant(key, grant_id?, name.as_str(), *account)),
        Step::CreateExpiry(_)
        | Step::DeleteExpiry { .. }
        | Step::CreateCopyRecord(_)
        | Step::DeleteCopyRecord { .. }
        | Step::CopyImage(_)
        | Step::CreateApproval(_)
        | Step::DeleteApproval(_)
        | Step::RemoveLaunchPermissions { .. }
        | Step::ResetLaunchPermissions { .. }
        | Step::RemoveCreateVolumePermissions { .. }
        | Step::RevokeGrant { .. }
        | Step::PutParameter(_)
        | Step::CreateUsageReport { .. } => None,
    }
}

/// Removes launch permissions first, then what else a share added, and the records last. It removes all that the
/// request asks for, whatever was read, because EC2's reads lag its writes (by minutes for create volume permissions).
/// What another shared image needs stays.
fn take_away(case: &Case<'_>, image_id: &ImageId, taken: &TakeAway<'_>, image: &Image, facts: &Facts) -> Vec<Step> {
    let mut steps = Vec::new();
    if may_change_launch_permissions(image) {
        match taken.launch_permissions {
            LaunchPermissions::Theirs => steps.extend(remove_launch_permissions(image_id, &taken.from)),
            LaunchPermissions::All => steps.push(Step::ResetLaunchPermissions { image_id: image_id.clone() }),
        }
    }
    let accounts = accounts(&taken.from);
    steps.extend(remove_create_volume_permissions(case, taken, image, &accounts));
    for key in image.keys() {
        let grants = facts.keys.get(key).into_iter().flat_map(|key| key.grants.iter().flatten());
        steps.extend(revoke_grants(image_id, key, grants, case.account, &accounts));
    }
    steps.extend(delete_expiries(case, image_id, taken, image));
    steps.extend(withdraw(taken));
    steps
}

/// Takes shares back that wait for a copy: first the record of the targets that go on waiting, then the deletion of the
/// record. What a hint may have given that crosses this is only known later ([`remove_again`]).
fn withdraw(taken: &TakeAway<'_>) -> impl Iterator<Item = Step> {
    let left = taken.waiting.iter().filter_map(|withdrawal| withdrawal.left.clone());
    let left = left.map(|record| Step::CreateCopyRecord(Box::new(record)));
    left.chain(taken.waiting.iter().map(|Withdrawal { record, targets, left: _ }| Step::DeleteCopyRecord {
        name: record.name.clone(),
        targets: targets.clone(),
    }))
}

/// Removes once more what a hint may have given of a copy to these targets, and of its snapshots to those that could have
/// copied it: after the record of their share was deleted.
pub fn remove_again(
    image_id: &ImageId,
    image: &Image,
    targets: &[Target],
    copiers: &[AccountId],
    is_needed: impl Fn(&SnapshotId, AccountId) -> bool,
) -> Vec<Step> {
    let mut steps: Vec<_> = remove_launch_permissions(image_id, targets).collect();
    for snapshot in image.known_snapshots() {
        let free: Vec<_> = copiers.iter().filter(|account| !is_needed(&snapshot.id, **account)).copied().collect();
        let remove = chunks(&free)
            .map(|accounts| Step::RemoveCreateVolumePermissions { snapshot_id: snapshot.id.clone(), accounts });
        steps.extend(remove);
    }
    steps
}

fn remove_create_volume_permissions(
    case: &Case<'_>,
    taken: &TakeAway<'_>,
    image: &Image,
    accounts: &[AccountId],
) -> Vec<Step> {
    let mut steps = Vec::new();
    for snapshot in image.known_snapshots().filter(|snapshot| snapshot.owner == case.account) {
        let Some(needed_by) = taken.needed_by.get(&snapshot.id) else { continue };
        let free: Vec<_> = accounts.iter().filter(|account| !needed_by.contains_key(account)).copied().collect();
        let remove = chunks(&free)
            .map(|accounts| Step::RemoveCreateVolumePermissions { snapshot_id: snapshot.id.clone(), accounts });
        steps.extend(remove);
    }
    steps
}

/// Revokes the grants on a key that shares of the image created for these accounts.
pub fn revoke_grants<'g>(
    image_id: &ImageId,
    key: &KeyArn,
    grants: impl Iterator<Item = &'g Grant>,
    owner: AccountId,
    accounts: &[AccountId],
) -> Vec<Step> {
    let ours = grants.filter(|grant| grant.is_issued_by(owner)).filter_map(|grant| {
        let name = grant.name.as_deref()?;
        let account = accounts.iter().find(|account| GrantName::is_for(name, image_id, **account))?;
        Some(revoke_grant(key, &grant.grant_id, name, *account))
    });
    ours.collect()
}

/// Deletes the records as the last step, and then removes the permissions once more, because an overlapping share may
/// have added them again. The grants of such a share are only known later ([`revoke_grants`]).
fn delete_expiries(case: &Case<'_>, image_id: &ImageId, taken: &TakeAway<'_>, image: &Image) -> Vec<Step> {
    match &taken.records {
        Records::Keep => Vec::new(),
        Records::Own(own) => vec![delete_expiry(own)],
        Records::AllOf(recorded) => {
            let mut steps: Vec<_> = recorded.iter().map(|expiry| delete_expiry(expiry)).collect();
            let has_record = |target: &&Target| recorded.iter().any(|expiry| expiry.target == **target);
            let again: Vec<_> = taken.from.iter().filter(has_record).cloned().collect();
            // An image with a record has been available. If it was read as pending, that has changed meanwhile.
            if matches!(image.state, ImageState::Available | ImageState::Pending) {
                steps.extend(remove_launch_permissions(image_id, &again));
            }
            steps.extend(remove_create_volume_permissions(case, taken, image, &accounts(&again)));
            steps
        }
    }
}

fn delete_expiry(expiry: &Expiry) -> Step {
    Step::DeleteExpiry { name: expiry.name.clone(), target: expiry.target.clone() }
}

fn remove_launch_permissions(image_id: &ImageId, targets: &[Target]) -> impl Iterator<Item = Step> {
    chunks(targets).map(|targets| Step::RemoveLaunchPermissions { image_id: image_id.clone(), targets })
}

/// Revokes the orphaned grants. Overdue expiries have plans of their own.
fn repair(survey: &Survey<'_>) -> Vec<Step> {
    let revoke = |OrphanedGrant { key, grant, name, account }: &OrphanedGrant<'_>| {
        revoke_grant(key, &grant.grant_id, name, *account)
    };
    survey.orphaned.iter().map(revoke).collect()
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
