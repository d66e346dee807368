//! Owns [`Withdrawn`]: whose shares that waited for a copy were taken back, and what is removed once more from the images
//! that are made from the same one. Pure; `execute::withdrawn` reads and writes.
//!
//! A hint that crosses this may have read such a record before, and a copy that was pending then may be available now.
//! What the hint gives after this step it takes away itself, in its second look.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    closing_look::Listed,
    collected::into_map,
    decide::{Case, Decision, Withdrawal, may_take},
    domain::{AccountId, CopyName, ImageId, KeyArn, SnapshotId, Target},
    facts::{Facts, Failure, Image, Reading, RegionalImage},
    plan::{Step, remove_again, revoke_grants},
    progress::ImageResult,
    request::{Access, AskedTarget, Request},
    taking_back::Needed,
};

/// Whose shares waited for the copies of an image and were taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Withdrawn {
    /// The targets of the shares.
    targets: BTreeSet<Target>,
    /// Those of them that could have copied the image.
    copiers: BTreeSet<AccountId>,
}

/// The shares whose records were deleted, or may have been, by the images for whose copies they waited.
pub fn withdrawn(result: &ImageResult<'_>) -> BTreeMap<RegionalImage, Withdrawn> {
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

/// The images from which permissions are removed once more, for these shares.
#[derive(Debug, Clone, PartialEq)]
pub struct Removal {
    of: Withdrawn,
    images: BTreeMap<ImageId, Image>,
    /// What could not be read.
    gaps: Vec<Failure>,
}

impl Removal {
    /// The removal from the images that were read again, or if that failed, from those that were known before.
    pub fn new(of: Withdrawn, source: &RegionalImage, read: Reading<BTreeMap<ImageId, Image>>, facts: &Facts) -> Self {
        match read {
            Ok(images) => Self { of, images, gaps: Vec::new() },
            Err(error) => Self { of, images: known_copies(facts, source), gaps: vec![error] },
        }
    }

    /// The create volume permissions that may be removed: their snapshots, and the images and accounts they were for. Who else
    /// needs them must be read.
    pub fn entries(&self) -> (BTreeSet<SnapshotId>, BTreeSet<(ImageId, AccountId)>) {
        if self.of.copiers.is_empty() {
            return Default::default();
        }
        let accounts: BTreeSet<_> = self.of.targets.iter().filter_map(Target::account).collect();
        let pairs = self.images.keys().flat_map(|id| accounts.iter().map(|account| (id.clone(), *account)));
        let snapshots = self.images.values().flat_map(Image::known_snapshots).map(|snapshot| snapshot.id.clone());
        (snapshots.collect(), pairs.collect())
    }

    /// The keys whose grants must be listed.
    pub fn keys(&self, case: &Case<'_>) -> Vec<KeyArn> {
        let keys: BTreeSet<_> = self.images.values().flat_map(Image::keys).collect();
        keys.into_iter().filter(|key| key.account() == case.account).cloned().collect()
    }

    /// The request about these images and targets: it determines which grants are looked for.
    pub fn request(&self, case: &Case<'_>) -> Request {
        let asked = |target: &Target| AskedTarget { target: target.clone(), pointer: String::new() };
        Request {
            image_ids: self.images.keys().cloned().collect(),
            targets: self.of.targets.iter().map(asked).collect(),
            ..case.request.clone()
        }
    }

    /// The steps that remove the permissions and revoke the grants once more. If it is not known who needs an entry, the
    /// entry stays, and the outcome of `result` says so.
    pub fn steps(
        self,
        case: &Case<'_>,
        facts: &Facts,
        result: &mut ImageResult<'_>,
        (needed, listed): (&Reading<Needed>, &Listed),
    ) -> Vec<Step> {
        let Self { of: Withdrawn { targets, copiers }, images, gaps } = self;
        let is_needed =
            |id: &SnapshotId, account| needed.as_ref().map_or(true, |needed| needed.contains(&(id.clone(), account)));
        result.lost.extend(gaps);
        result.lost.extend(needed.as_ref().err().cloned());
        result.lost.extend(images.values().flat_map(Image::unread_snapshots).map(|(_, failure)| failure.clone()));
        let mut steps = Vec::new();
        for (id, image) in &images {
            let may_take = |target: &&Target| may_take(case, facts, &result.decision, id, target);
            let from: Vec<_> = targets.iter().filter(may_take).cloned().collect();
            let accounts = from.iter().filter_map(Target::account);
            let copiers: Vec<_> = accounts.filter(|account| copiers.contains(account)).collect();
            steps.extend(remove_again(id, image, &from, &copiers, is_needed));
        }
        let accounts: Vec<_> = targets.iter().filter_map(Target::account).collect();
        for (key, seen) in listed {
            match seen {
                Ok((grants, scan)) => {
                    let of_image = |id| revoke_grants(id, key, grants.iter(), case.account, &accounts);
                    let revokes = images.keys().flat_map(of_image);
                    // KMS may still list a grant that was just revoked.
                    steps.extend(revokes.filter(|step| !result.may_have_done(step)));
                    result.lost.extend(scan.unseen.iter().filter(|_| scan.may_hide_ours).cloned());
                }
                Err(error) => result.lost.push(error.clone()),
            }
        }
        steps.sort_by_key(|step| std::cmp::Reverse(step.phase()));
        steps
    }
}

/// The copies that were known before.
fn known_copies(facts: &Facts, source: &RegionalImage) -> BTreeMap<ImageId, Image> {
    let is_it = |image: &Image| image.is_available_copy_of(source);
    let copies = facts.images.iter().filter(|(_, image)| is_it(image));
    into_map(copies.map(|(id, image)| (id.clone(), image.clone())))
}
