//! Owns the decision of a revoke, a reset or an expiry: what is removed, and what stays, because a read failed, another
//! image needs it, or it is not ours.

use std::collections::BTreeSet;

use key_policy::Grant;

use super::{
    case::{Authority, Case},
    copies,
    decision::{Covered, Decision, ImageDecision, LaunchPermissions, Records, TakeAway, Withdrawal},
    expiry, notes,
    permit::{Permit, is_covered},
    publish,
};
use crate::{
    domain::{AccountId, GrantName, ImageId, KeyArn, Target, some_of},
    facts::{CopyRecord, Expiry, Fact, Facts, Failure, GrantScan, Image, Snapshot},
    request::Action,
};

/// The number of an account's grants that are named.
const EXAMPLES: usize = 3;

/// Whether the permission of a target is removed once more, after its share that waited for a copy was taken back. Who may
/// only take back what it asked for itself leaves alone what was shared before.
pub fn may_take(case: &Case<'_>, facts: &Facts, decision: &ImageDecision<'_>, id: &ImageId, target: &Target) -> bool {
    let is_covered = decision.targets.iter().any(|(asked, rule)| asked.target == *target && rule.is_some());
    let was_shared = facts.images.get(id).is_some_and(|image| image.is_shared_with(target));
    is_covered || case.request.action == Action::Reset || !was_shared
}

/// Decides what a revoke, a reset or the expiry of a share removes.
pub(super) fn decide<'a>(case: &Case<'a>, facts: &'a Facts, image: &'a Image, permit: Permit<'a>) -> ImageDecision<'a> {
    let is_reset = case.request.action == Action::Reset;
    let reset = if is_reset { targets_to_clear(case, facts, permit.image_id, image) } else { Vec::new() };
    let waiting = withdrawals(case, facts, image, &permit);
    let Permit { image_id, rule, mut targets, withdrawn, gaps: unknown, .. } = permit;
    if let Some(own) = expiry::superseded(case, image) {
        let warnings = expiry::renewal_warnings(image_id, image, &targets);
        return ImageDecision { image_id, rule, targets, decision: Decision::Superseded(own), warnings };
    }
    let (from, launch_permissions) = match case.request.action {
        Action::Reset => (reset, LaunchPermissions::All),
        Action::Share
        | Action::Revoke
        | Action::List
        | Action::Check
        | Action::Usage
        | Action::Audit
        | Action::Repair
        | Action::Images
        | Action::Approvals
        | Action::Approve
        | Action::Reject => {
            (targets.iter().map(|(asked, _)| asked.target.clone()).collect(), LaunchPermissions::Theirs)
        }
    };
    let accounts: Vec<AccountId> = from.iter().filter_map(Target::account).collect();
    let mut residue = of_image(case, image);
    for snapshot in image.known_snapshots() {
        residue.add(of_snapshot(case, facts, image_id, snapshot, &accounts));
    }
    for arn in image.keys() {
        residue.add(of_key(case, facts, image_id, arn, &accounts));
    }
    let Residue { mut gaps, mut warnings } = residue;
    gaps.extend(unknown);
    gaps.dedup();
    warnings.extend(records_that_stay(image, &targets, &gaps));
    warnings.extend(publish::still_named(case, facts, image, image_id));
    let asked: Vec<_> = targets.iter().map(|(asked, _)| *asked).collect();
    warnings.extend(notes::notes(case, facts, image, image_id, &asked, false));
    let needed_by = image.known_snapshots().filter_map(|snapshot| {
        let needed_by = snapshot.needed_by.known()?;
        Some((snapshot.id.clone(), needed_by.clone()))
    });
    let decision = Decision::TakeAway(TakeAway {
        launch_permissions,
        needed_by: needed_by.collect(),
        records: records(case, image, &from, &gaps),
        from: from.iter().map(|target| image.as_shown(target).clone()).collect(),
        waiting,
        gaps,
    });
    targets.extend(withdrawn.into_iter().map(|asked| (asked, None)));
    ImageDecision { image_id, rule, targets, decision, warnings }
}

/// The records of shares that wait for a copy, and those that their shares have left for a while, that the request is
/// about: a reset about all, a revoke about those of the covered targets, whoever asked for them, and of the other targets
/// those that the requester asked for.
fn withdrawals<'a>(case: &Case<'a>, facts: &Facts, image: &'a Image, permit: &Permit<'a>) -> Vec<Withdrawal<'a>> {
    let is_reset = case.request.action == Action::Reset;
    let waits = image.waiting.iter().any(|records| !records.is_empty());
    if !waits {
        return Vec::new();
    }
    let is_lead = copies::is_lead(case, facts, permit.image_id, image);
    // The request may name the image also as one that is copied.
    let is_here = |record: &CopyRecord| is_lead || record.request.image_ids.contains(permit.image_id);
    let is_covered = |target: &Target| is_reset || permit.targets.iter().any(|(asked, _)| asked.target == *target);
    let is_withdrawn = |target: &Target, record: &CopyRecord| {
        let is_own = matches!(case.authority, Authority::Requester(requester) if *requester == record.requester);
        is_own && permit.withdrawn.iter().any(|asked| asked.target == *target)
    };
    let withdrawal = |record: &'a CopyRecord| {
        let taken = record.targets().filter(|target| is_covered(target) || is_withdrawn(target, record));
        let targets: Vec<_> = taken.cloned().collect();
        (!targets.is_empty()).then(|| Withdrawal { left: record.without(&targets), record, targets })
    };
    image.waiting.iter().flatten().filter(|record| is_here(record)).filter_map(withdrawal).collect()
}

/// The warning about records that are kept because of failures that a retry does not resolve.
fn records_that_stay(image: &Image, targets: &[Covered<'_>], gaps: &[Failure]) -> Option<String> {
    let lasting = gaps.iter().filter(|failure| !failure.retryable);
    let mut why: Vec<_> = lasting.map(|failure| failure.message.as_str()).collect();
    why.dedup();
    let is_asked =
        |expiry: &Expiry| targets.is_empty() || targets.iter().any(|(asked, _)| asked.target == expiry.target);
    let names: Vec<_> =
        image.expiries.iter().flatten().filter(|(_, expiry)| is_asked(expiry)).map(|(name, _)| name).collect();
    (!why.is_empty() && !names.is_empty()).then(|| {
        format!(
            "the record {} of a share is kept until this is resolved; from its expiry time on, sharing the image with its \
             target again is refused: {}",
            some_of(names),
            some_of(why)
        )
    })
}

/// The targets that a reset removes: those with a launch permission, and those that our grants and records for the
/// image name. The grants and records are still there if an earlier reset was interrupted.
///
/// Create volume permissions may be left, too, but they don't name an image. If the image is shared with nobody, those
/// that no other image needs count as left, so that a repeated reset finishes the job.
fn targets_to_clear(case: &Case<'_>, facts: &Facts, image_id: &ImageId, image: &Image) -> Vec<Target> {
    let keys = image.keys().into_iter().filter_map(|key| facts.keys.get(key));
    let ours = keys.flat_map(|key| key.grants.iter().flatten()).filter(|grant| grant.is_issued_by(case.account));
    let granted = ours.filter_map(|grant| GrantName::account_of(grant.name.as_deref()?, image_id));
    let is_unshared = image.launch_permissions.known().is_some_and(Vec::is_empty);
    let remains = image.known_snapshots().filter(|_| is_unshared).flat_map(Snapshot::may_create_volumes);
    let recorded = image.expiries.iter().flatten().map(|(_, expiry)| expiry.target.clone());
    let mut targets = image.shared_targets();
    targets.extend(granted.chain(remains).map(Target::Account).chain(recorded));
    let mut seen = BTreeSet::new();
    targets.retain(|target| seen.insert(target.clone()));
    targets
}

/// The records that are deleted. If something could not be read, they are all kept: they are the only way in which the
/// remaining access is removed without a further request.
fn records<'a>(case: &Case<'a>, image: &'a Image, from: &[Target], gaps: &[Failure]) -> Records<'a> {
    if !gaps.is_empty() {
        return Records::Keep;
    }
    match case.authority {
        Authority::Expiry(own) => Records::Own(own),
        Authority::Requester(_) => {
            let recorded = image.expiries.iter().flatten().map(|(_, expiry)| expiry);
            Records::AllOf(recorded.filter(|expiry| from.contains(&expiry.target)).collect())
        }
    }
}

/// The residue: what could not be read or removed, and warnings about what stays on purpose.
#[derive(Debug, Default)]
struct Residue {
    gaps: Vec<Failure>,
    warnings: Vec<String>,
}

impl Residue {
    fn add(&mut self, Self { gaps, warnings }: Self) {
        self.gaps.extend(gaps);
        self.warnings.extend(warnings);
    }
}

fn of_image(case: &Case<'_>, image: &Image) -> Residue {
    // Without the launch permissions, a reset doesn't know for which accounts to remove permissions and grants. An
    // expiry doesn't know the ARN under which EC2 has an organization, and after its record is deleted, there is no
    // further try. A revoke only doesn't know what still gives access, so it is incomplete only if a retry may help.
    let is_needed = case.request.action == Action::Reset || matches!(case.authority, Authority::Expiry(_));
    let unread = image.launch_permissions.failed().filter(|failure| is_needed || failure.retryable);
    let snapshots = image.unread_snapshots().map(|(_, failure)| failure);
    let gaps = unread.into_iter().chain(snapshots).chain(image.expiries.failed()).chain(image.waiting.failed());
    Residue { gaps: gaps.cloned().collect(), warnings: Vec::new() }
}

fn of_snapshot(
    case: &Case<'_>,
    facts: &Facts,
    image_id: &ImageId,
    snapshot: &Snapshot,
    accounts: &[AccountId],
) -> Residue {
    // If it is not known whether another image needs its create volume permissions, they stay.
    let mut gaps: Vec<_> = snapshot.needed_by.failed().cloned().into_iter().collect();
    let needed_by = snapshot.needed_by.iter().flatten().filter(|(account, _)| accounts.contains(account));
    let mut warnings: Vec<_> = needed_by
        .map(|(account, other)| {
            format!(
                "{account} keeps its create volume permission on {}, if it has one: {} is on that snapshot too and shared with it",
                snapshot.id,
                name_of(case, facts, other)
            )
        })
        .collect();
    if case.request.action == Action::Reset {
        // If the image is shared with nobody, only these show what an earlier reset left.
        gaps.extend(snapshot.create_volume_permissions.failed().cloned());
        let others = snapshot.may_create_volumes().filter(|account| !accounts.contains(account));
        let others: Vec<_> = others.map(|account| account.to_string()).collect();
        if !others.is_empty() {
            warnings.push(format!(
                "{} can still be copied by {}, with whom {image_id} was not shared",
                snapshot.id,
                others.join(", "),
            ));
        }
    }
    Residue { gaps, warnings }
}

fn of_key(case: &Case<'_>, facts: &Facts, image_id: &ImageId, arn: &KeyArn, accounts: &[AccountId]) -> Residue {
    let scan = facts.grant_scans.get(arn);
    let mut residue = match facts.keys.get(arn).map(|key| &key.grants) {
        None | Some(Fact::NotRead) => Residue::default(),
        Some(Fact::Failed(failure)) => Residue { gaps: vec![failure.clone()], warnings: Vec::new() },
        Some(Fact::Known(grants)) => {
            let warnings = passed_on(arn, grants, scan, accounts).chain(orphans(case, arn, grants, image_id, accounts));
            Residue { gaps: Vec::new(), warnings: warnings.collect() }
        }
    };
    if let Some((scan, unseen)) = scan.and_then(|scan| Some((scan, scan.unseen.as_ref()?))) {
        residue.gaps.extend(scan.may_hide_ours.then(|| unseen.clone()));
        residue.warnings.push(format!(
            "not every grant on {arn} was read, so the targets may have passed their access on by more grants: {}",
            unseen.message
        ));
    }
    residue
}

/// The ID of another image, if a rule of the requester covers it.
fn name_of(case: &Case<'_>, facts: &Facts, other: &ImageId) -> String {
    let may_be_named = facts.neighbours.get(other).is_some_and(|image| is_covered(case, image));
    if may_be_named { other.to_string() } else { "another image of this account".to_owned() }
}

/// The warnings about grants that the accounts created for others: one for each account.
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

/// The warning about our grants for the image that a reset does not revoke, because their Names have no account.
fn orphans(
    case: &Case<'_>,
    arn: &KeyArn,
    grants: &[Grant],
    image_id: &ImageId,
    accounts: &[AccountId],
) -> Option<String> {
    let is_orphan = |grant: &&Grant| {
        let name = grant.name.as_deref().unwrap_or_default();
        case.request.action == Action::Reset
            && grant.is_issued_by(case.account)
            && GrantName::is_for_image(name, image_id)
            && !accounts.iter().any(|account| GrantName::is_for(name, image_id, *account))
    };
    let orphans: Vec<_> = grants.iter().filter(is_orphan).collect();
    let names =
        orphans.iter().map(|grant| format!("{} (`{}`)", grant.grant_id, grant.name.as_deref().unwrap_or_default()));
    (!orphans.is_empty()).then(|| {
        format!(
            "{arn}: orphaned grants of earlier shares, whose Names have no account: {}; remove them with `aws kms revoke-grant`",
            some_of(names)
        )
    })
}
