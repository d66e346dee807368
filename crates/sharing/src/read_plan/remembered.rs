//! Owns [`Remembered`]: what EC2 said about images before. The next share reads all about them at once, and compares. No answer
//! depends on it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    collected::into_map,
    decide::{self, Authority, Case},
    domain::{ImageId, KeyArn},
    facts::{Facts, Image, ImageState},
};

/// The most images that are remembered. The oldest is forgotten first.
const MOST_IMAGES: usize = 100;

/// The most grantees of an image that are remembered. To look up more takes several waves of calls anyway.
const MOST_GRANTEES: usize = 200;

/// What EC2 said about images before: in memory only, and bounded.
#[derive(Debug, Default)]
pub struct Remembered {
    images: BTreeMap<ImageId, Expected>,
    /// The images, the oldest first.
    by_age: VecDeque<ImageId>,
}

/// What is expected of an image. Which snapshots it has, and which keys these are on, never changes. Whose grants are needed
/// does: those are only a guess.
#[derive(Debug, Clone)]
struct Expected {
    described: Image,
    keys: Grantees,
}

/// Keys, each with the grantees whose grants were needed when it was last looked at.
type Grantees = BTreeMap<KeyArn, BTreeSet<String>>;

/// What is expected of the images of a request.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    /// Their descriptions. If EC2 now says anything else, nothing that was read because of this counts.
    pub images: BTreeMap<ImageId, Image>,
    /// The keys of their snapshots, each with the grantees of this request whose grants are probably needed.
    pub keys: BTreeMap<KeyArn, BTreeSet<String>>,
}

impl Remembered {
    /// What is expected of the images, if all of them are remembered and a rule of the requester covers each as it was. Only
    /// then may anything be read about an image before it is described.
    pub fn expect(&self, case: &Case<'_>) -> Option<Expectation> {
        if !is_remembered_of(case) {
            return None;
        }
        let known: Option<Vec<_>> = case.request.image_ids.iter().map(|id| Some((id, self.images.get(id)?))).collect();
        let known = known?;
        let images = into_map(known.iter().map(|(id, it)| ((*id).clone(), it.described.clone())));
        let permitted = decide::permitted(case, &images);
        if !images.keys().all(|id| permitted.contains(id)) {
            return None;
        }
        let mut keys = Grantees::new();
        for (id, Expected { keys: of_image, .. }) in known {
            for (arn, grantees) in of_image {
                let concerned = decide::concerned(case, &images, id, arn, grantees);
                keys.entry(arn.clone()).or_default().extend(concerned);
            }
        }
        Some(Expectation { images, keys })
    }

    /// The descriptions that may help a later request.
    pub fn worth_keeping(case: &Case<'_>, facts: &Facts) -> BTreeMap<ImageId, Image> {
        if is_remembered_of(case) { facts.images.clone() } else { BTreeMap::new() }
    }

    /// Remembers what EC2 said about the images of a request, and what was read about their snapshots. A copy is not
    /// remembered, because more than the image itself is read before it is decided which rule covers it.
    pub fn learn(&mut self, described: BTreeMap<ImageId, Image>, facts: &Facts) {
        for (id, described) in described {
            let snapshots = facts.images.get(&id).map(|image| image.snapshots.as_slice()).unwrap_or_default();
            let is_whole = snapshots.len() == described.snapshots.len()
                && snapshots.iter().all(|backing| backing.snapshot.is_known());
            let is_plain = described.state == ImageState::Available && described.provenance.source().is_none();
            if !is_whole || !is_plain {
                continue;
            }
            let keys = snapshots.iter().filter_map(|backing| backing.snapshot.known()?.key.clone());
            let keys = needed_on(keys.collect(), facts);
            if self.images.insert(id.clone(), Expected { described, keys }).is_none() {
                self.by_age.push_back(id);
            }
            if self.by_age.len() > MOST_IMAGES
                && let Some(oldest) = self.by_age.pop_front()
            {
                self.images.remove(&oldest);
            }
        }
    }

    /// Remembers whose grants were needed for images that were expected.
    pub fn learn_grantees(&mut self, facts: &Facts) {
        for id in facts.images.keys() {
            let Some(Expected { keys, .. }) = self.images.get_mut(id) else { continue };
            *keys = needed_on(keys.keys().cloned().collect(), facts);
        }
    }

    /// Forgets images that EC2 describes otherwise now: perhaps no rule covers them any more.
    pub fn forget(&mut self, ids: &[ImageId]) {
        for id in ids {
            self.images.remove(id);
        }
        self.by_age.retain(|id| self.images.contains_key(id));
    }
}

/// The keys, each with the grantees whose grants were needed.
fn needed_on(keys: Vec<KeyArn>, facts: &Facts) -> Grantees {
    let needed = |arn: &KeyArn| facts.grantees.get(arn).cloned().unwrap_or_default();
    let mut keys = into_map(keys.into_iter().map(|arn| (arn.clone(), needed(&arn))));
    if keys.values().map(BTreeSet::len).sum::<usize>() > MOST_GRANTEES {
        keys.values_mut().for_each(BTreeSet::clear);
    }
    keys
}

/// Whether images of this request are remembered, and expected: those of a share or check that a requester asks for and that
/// are in this Region.
fn is_remembered_of(case: &Case<'_>) -> bool {
    let is_by_requester = matches!(case.authority, Authority::Requester(_)) && case.hint.is_none();
    is_by_requester && case.request.action.is_about_sharing() && case.request.copy_from.is_none()
}
