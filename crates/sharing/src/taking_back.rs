//! Owns [`Lost`]: what a share undoes if its second look finds no record any more, and what must be read for that. Pure;
//! `execute::second_look` reads and writes.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    collected::into_map,
    decide::{Case, ImageDecision, SecondLook, Seen, lost, second_looks},
    domain::{AccountId, ImageId, SnapshotId, Target},
    facts::{Facts, Failure, Reading},
    plan::{Step, take_back},
    progress::{ImageResult, StepResult},
};

/// The create volume permissions that other shares need.
pub type Needed = BTreeSet<(SnapshotId, AccountId)>;

/// Whether a plan needs a second look.
pub fn is_planned(case: &Case<'_>, plans: &[(ImageDecision<'_>, Vec<Step>)], facts: &Facts) -> bool {
    plans.iter().any(|(decision, steps)| !looks(case, decision, steps.iter(), facts).is_empty())
}

/// The second looks that are needed after these results.
pub fn looks_after(case: &Case<'_>, results: &[ImageResult<'_>], facts: &Facts) -> Vec<SecondLook> {
    let given = |result: &ImageResult<'_>| {
        let steps = result.steps.iter().filter(|result| result.may_be_done()).map(|result| &result.step);
        looks(case, &result.decision, steps, facts)
    };
    results.iter().flat_map(given).collect()
}

/// The second looks that these steps need.
fn looks<'s>(
    case: &Case<'_>,
    decision: &ImageDecision<'_>,
    steps: impl Iterator<Item = &'s Step>,
    facts: &Facts,
) -> Vec<SecondLook> {
    let given: BTreeSet<_> = steps.filter(|step| step.gives()).flat_map(Step::adds).collect();
    let image = facts.images.get(decision.image_id);
    let given: Vec<_> = given.into_iter().collect();
    image.map(|image| second_looks(decision, image, &given, case.hint)).unwrap_or_default()
}

/// The shares without a record, each with the failure that is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    shares: BTreeMap<(ImageId, Target), Failure>,
}

impl Lost {
    /// The shares that have no record any more.
    pub fn new(seen: &BTreeMap<SecondLook, Seen>) -> Self {
        let shares = seen.iter().filter_map(|(look, seen)| {
            let failure = lost(look, seen)?;
            Some(((look.image_id.clone(), look.target.clone()), failure))
        });
        Self { shares: into_map(shares) }
    }

    /// Whether every share has its record.
    pub fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// The create volume permissions that are undone: their snapshots, and the images and accounts they were for. Who else
    /// needs them must be read.
    pub fn entries(&self, results: &[ImageResult<'_>]) -> (BTreeSet<SnapshotId>, BTreeSet<(ImageId, AccountId)>) {
        let (mut snapshots, mut pairs) = (BTreeSet::new(), BTreeSet::new());
        for result in results {
            for (step, _) in self.given(result) {
                let Step::AddCreateVolumePermissions { snapshot_id, accounts } = step else { continue };
                snapshots.insert(snapshot_id);
                pairs.extend(accounts.into_iter().map(|account| (result.decision.image_id.clone(), account)));
            }
        }
        (snapshots, pairs)
    }

    /// The grants that are undone, or may exist, and whose IDs must be read.
    pub fn grants_without_id(&self, results: &[ImageResult<'_>]) -> Vec<Step> {
        let given = results.iter().flat_map(|result| self.given(result));
        let unknown = given.filter(|(step, id)| matches!(step, Step::CreateGrant { .. }) && id.is_none());
        unknown.map(|(step, _)| step).collect()
    }

    /// The steps that undo the shares, beside their results. If it is not known who needs an entry, the entry stays, and
    /// the outcome says so.
    pub fn undo<'a>(
        &self,
        results: Vec<ImageResult<'a>>,
        needed: &Reading<Needed>,
        grant_ids: &[(Step, Reading<Option<String>>)],
    ) -> Vec<(ImageResult<'a>, Vec<Step>)> {
        let is_needed =
            |id: &SnapshotId, account| needed.as_ref().map_or(true, |needed| needed.contains(&(id.clone(), account)));
        let undo = |mut result: ImageResult<'a>| {
            let of_image = self.shares.iter().filter(|((id, _), _)| id == result.decision.image_id);
            let mut gaps: Vec<_> = of_image.map(|(_, failure)| failure.clone()).collect();
            let mut given = self.given(&result);
            for (step, id) in given.iter_mut().filter(|(_, id)| id.is_none()) {
                match grant_ids.iter().find(|(grant, _)| grant == step) {
                    Some((_, Ok(found))) => id.clone_from(found),
                    Some((_, Err(failure))) => gaps.push(failure.clone()),
                    None => {}
                }
            }
            if given.iter().any(|(step, _)| matches!(step, Step::AddCreateVolumePermissions { .. })) {
                gaps.extend(needed.as_ref().err().cloned());
            }
            let steps = take_back(&given, is_needed);
            result.lost.extend(gaps);
            (result, steps)
        };
        results.into_iter().map(undo).collect()
    }

    /// The writes of one image for these shares, and the IDs of its grants as far as KMS answered.
    fn given(&self, result: &ImageResult<'_>) -> Vec<(Step, Option<String>)> {
        let is_lost = |target: &Target| self.shares.contains_key(&(result.decision.image_id.clone(), target.clone()));
        let gave = |taken: &&StepResult| taken.step.gives() && taken.may_be_done();
        let given = result.steps.iter().filter(gave).filter_map(|taken| {
            let (step, _) = taken.step.split(is_lost);
            Some((step?, taken.grant_id.clone()))
        });
        given.collect()
    }
}
