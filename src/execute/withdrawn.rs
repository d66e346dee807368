//! Owns the last step where shares are taken back that waited for a copy: after their records are deleted, their
//! permissions are removed once more, from every image that is made from the same one.
//!
//! A hint that crosses this may have read such a record before, and a copy that was pending then may be available now.
//! What the hint gives after this step it takes away itself, in its second look.

use std::collections::{BTreeMap, BTreeSet};

use sharing::{
    decide::{self, Case, Decision, ImageDecision, Withdrawal},
    domain::{AccountId, CopyName, ImageId, SnapshotId, Target},
    facts::{Facts, Failure, Image, RegionalImage},
    plan::{Step, remove_again, revoke_grants},
    progress::ImageResult,
    request::{Access, AskedTarget, Request},
};
use tokio::time::Instant;

use super::plan_log::log_plan;
use crate::{
    aws::Aws,
    carry_out::{Writer, carry_on},
    observe::{copies_again, grants_again, needed_elsewhere},
};

/// Whose shares waited for the copies of an image and were taken back.
#[derive(Debug, Clone, Default)]
struct Withdrawn {
    targets: BTreeSet<Target>,
    /// Those of them that could have copied the image.
    copiers: BTreeSet<AccountId>,
}

/// What is removed once more, and what could not be read.
type Removal = (Vec<Step>, Vec<Failure>);

/// Removes the permissions once more of the shares whose records were deleted.
pub(super) async fn take<'a>(
    writer: Writer<'_>,
    case: &Case<'_>,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    if results.iter().all(|result| withdrawn(result).is_empty()) {
        return results;
    }
    let aws = &writer.aws.until(deadline);
    let mut further = Vec::with_capacity(results.len());
    for mut result in results {
        let mut steps = Vec::new();
        for (source, of_source) in withdrawn(&result) {
            let (taken, gaps) = remove(aws, case, (facts, &result.decision), &source, &of_source).await;
            steps.extend(taken);
            result.lost.extend(gaps);
        }
        // KMS may still list a grant that was just revoked.
        let is_taken = |step: &Step| result.steps.iter().any(|taken| taken.step == *step && taken.may_be_done());
        steps.retain(|step| !matches!(step, Step::RevokeGrant { .. }) || !is_taken(step));
        log_plan(case.request_id, &steps, false);
        further.push((result, steps));
    }
    carry_on(writer, further, deadline).await
}

/// The shares whose records were deleted, or may have been, by the images for whose copies they waited.
fn withdrawn(result: &ImageResult<'_>) -> BTreeMap<RegionalImage, Withdrawn> {
    let mut by_source: BTreeMap<RegionalImage, Withdrawn> = BTreeMap::new();
    let Decision::TakeAway(taken) = &result.decision.decision else { return by_source };
    let is_deleted = |name: &CopyName| {
        let mut taken = result.steps.iter().filter(|taken| taken.may_be_done());
        taken.any(|taken| matches!(&taken.step, Step::DeleteCopyRecord { name: deleted, .. } if deleted == name))
    };
    for Withdrawal { record, targets, left: _ } in &taken.waiting {
        let Some(source) = record.source().filter(|_| is_deleted(&record.name)) else { continue };
        let of_source = by_source.entry(source).or_default();
        of_source.targets.extend(targets.iter().cloned());
        if record.request.access == Access::Copy {
            of_source.copiers.extend(targets.iter().filter_map(Target::account));
        }
    }
    by_source
}

async fn remove(
    aws: &Aws,
    case: &Case<'_>,
    (facts, decision): (&Facts, &ImageDecision<'_>),
    source: &RegionalImage,
    withdrawn: &Withdrawn,
) -> Removal {
    let (images, mut gaps) = match copies_again(aws, source).await {
        Ok(images) => (images, Vec::new()),
        Err(error) => (known_copies(facts, source), vec![error]),
    };
    let Withdrawn { targets, copiers } = withdrawn;
    let accounts: BTreeSet<AccountId> = targets.iter().filter_map(Target::account).collect();
    let pairs = images.keys().flat_map(|id| accounts.iter().map(|account| (id.clone(), *account))).collect();
    let snapshots: BTreeSet<SnapshotId> =
        images.values().flat_map(Image::known_snapshots).map(|snapshot| snapshot.id.clone()).collect();
    let needed = match copiers.is_empty() || snapshots.is_empty() {
        true => Ok(BTreeSet::new()),
        false => needed_elsewhere(aws, &snapshots.into_iter().collect::<Vec<_>>(), &pairs).await,
    };
    // If it is not known who needs an entry, the entry stays, and the outcome says so.
    let is_needed =
        |id: &SnapshotId, account| needed.as_ref().map_or(true, |needed| needed.contains(&(id.clone(), account)));
    gaps.extend(needed.as_ref().err().cloned());
    gaps.extend(images.values().flat_map(Image::unread_snapshots).map(|(_, failure)| failure.clone()));
    let mut steps = Vec::new();
    for (id, image) in &images {
        let from: Vec<_> =
            targets.iter().filter(|target| decide::may_take(case, facts, decision, id, target)).cloned().collect();
        let copiers: Vec<_> =
            from.iter().filter_map(Target::account).filter(|account| copiers.contains(account)).collect();
        steps.extend(remove_again(id, image, &from, &copiers, is_needed));
    }
    let (revokes, unseen) = revokes(aws, case, &images, targets).await;
    gaps.extend(unseen);
    steps.extend(revokes);
    steps.sort_by_key(|step| std::cmp::Reverse(step.phase()));
    (steps, gaps)
}

/// The copies that were known before.
fn known_copies(facts: &Facts, source: &RegionalImage) -> BTreeMap<ImageId, Image> {
    let is_it = |image: &Image| image.is_available_copy_of(source);
    facts.images.iter().filter(|(_, image)| is_it(image)).map(|(id, image)| (id.clone(), image.clone())).collect()
}

/// The revocations of the grants that shares of these images created for the targets, and what could not be read.
async fn revokes(aws: &Aws, case: &Case<'_>, images: &BTreeMap<ImageId, Image>, targets: &BTreeSet<Target>) -> Removal {
    let keys: BTreeSet<_> = images.values().flat_map(Image::keys).collect();
    let keys = keys.into_iter().filter(|key| key.account() == case.account).cloned().collect::<Vec<_>>();
    let asked = |target: &Target| AskedTarget { target: target.clone(), pointer: String::new() };
    let request = Request {
        image_ids: images.keys().cloned().collect(),
        targets: targets.iter().map(asked).collect(),
        ..case.request.clone()
    };
    let case = &Case { request: &request, ..*case };
    let (mut steps, mut gaps) = (Vec::new(), Vec::new());
    let accounts: Vec<_> = targets.iter().filter_map(Target::account).collect();
    for (key, seen) in grants_again(aws, case, keys).await {
        match seen {
            Ok((grants, scan)) => {
                let of_image = |id| revoke_grants(id, &key, grants.iter(), case.account, &accounts);
                steps.extend(images.keys().flat_map(of_image));
                gaps.extend(scan.unseen.filter(|_| scan.may_hide_ours));
            }
            Err(error) => gaps.push(error),
        }
    }
    (steps, gaps)
}
