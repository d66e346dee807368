//! Owns the part of an outcome that concerns one image. Who may see this part may not be allowed to see the others.

use std::collections::{BTreeMap, BTreeSet};

use super::{ErrorRow, ImageRow, Outcome, RefusalCode, Status, StoppedBy};
use crate::domain::ImageId;

/// An outcome, with the images that each of its errors and warnings concerns.
#[derive(Debug)]
pub struct ByImage<'a> {
    outcome: &'a Outcome,
    /// Every image that was requested or is reported.
    image_ids: BTreeSet<&'a ImageId>,
    errors: Vec<(&'a ErrorRow, Option<Images<'a>>)>,
    warnings: Vec<(&'a String, Option<Images<'a>>)>,
}

/// The images whose part includes a text that names images, snapshots or keys.
type Images<'a> = BTreeSet<&'a ImageId>;

impl<'a> ByImage<'a> {
    /// Determines which images each error and warning concerns.
    pub fn new(outcome: &'a Outcome) -> Self {
        let reported = outcome.images.iter().filter_map(ImageRow::subject);
        let refused = outcome.refusals.iter().filter_map(|refusal| refusal.image_id.as_ref());
        // With `copyFrom`, the rows of the copies report on the images that the request names.
        let sources: BTreeSet<_> =
            outcome.images.iter().filter_map(|row| row.copy_of.as_ref()).map(|source| &source.image_id).collect();
        let asked = outcome.asked.image_ids.iter().filter(|id| !sources.contains(id));
        let image_ids: BTreeSet<_> = asked.chain(reported).chain(refused).collect();
        let mut names: BTreeMap<&str, Images<'_>> = BTreeMap::new();
        for id in &image_ids {
            names.entry(id.as_str()).or_default().insert(id);
        }
        for row in &outcome.images {
            let Some(subject) = row.subject() else { continue };
            // A copy is known by its own ID and by that of its source.
            let source = row.copy_of.as_ref().map(|source| source.image_id.as_str());
            for name in behind(row).chain(source) {
                names.entry(name).or_default().insert(subject);
            }
        }
        let of_error = |error: &ErrorRow| about(&names, [Some(error.message.as_str()), error.resource.as_deref()]);
        let errors = outcome.errors.iter().map(|error| (error, of_error(error))).collect();
        let warnings = outcome.warnings.iter().map(|text| (text, about(&names, [Some(text.as_str()), None]))).collect();
        Self { outcome, image_ids, errors, warnings }
    }

    /// The part of the outcome that concerns one image. About the others it has only their number, and the codes of
    /// their refusals if those refused the request.
    pub fn about(&self, image_id: &ImageId) -> Outcome {
        let outcome = self.outcome;
        let may_learn = |of: &Option<Images<'_>>| of.as_ref().is_none_or(|images| images.contains(image_id));
        let concerns = |about: Option<&ImageId>| about.is_none_or(|about| about == image_id);
        let refusals: Vec<_> = outcome.refusals.iter().filter(|row| concerns(row.image_id.as_ref())).cloned().collect();
        let is_stopped = outcome.result == Status::Refused && refusals.is_empty();
        let others = self.image_ids.iter().filter(|id| **id != image_id).count();
        Outcome {
            images: outcome.images.iter().filter(|row| row.subject() == Some(image_id)).cloned().collect(),
            refusals,
            errors: self.errors.iter().filter(|(_, of)| may_learn(of)).map(|(error, _)| (*error).clone()).collect(),
            warnings: self.warnings.iter().filter(|(_, of)| may_learn(of)).map(|(text, _)| (*text).clone()).collect(),
            image_count: (others > 0).then(|| others.saturating_add(1)),
            stopped_by: if is_stopped { stopped_by(outcome) } else { Vec::new() },
            ..outcome.without_rows()
        }
    }
}

/// The codes of all refusals, each once.
fn stopped_by(outcome: &Outcome) -> Vec<StoppedBy> {
    let mut codes: Vec<RefusalCode> = Vec::new();
    for refusal in &outcome.refusals {
        if !codes.contains(&refusal.code) {
            codes.push(refusal.code);
        }
    }
    codes.into_iter().map(|code| StoppedBy { code }).collect()
}

/// The keys and snapshots of an image, as far as its row names them.
fn behind(row: &ImageRow) -> impl Iterator<Item = &str> {
    let changed = row.steps.iter().map(|step| step.resource.as_str()).filter(|resource| resource.starts_with("snap-"));
    let copies = row.permissions.iter().flat_map(|permissions| &permissions.copy);
    let snapshots = copies.map(|copy| copy.snapshot_id.as_str());
    changed.chain(row.key_arns.iter().map(|key| key.as_str())).chain(snapshots)
}

/// The images whose part includes these texts: those that have everything that the texts name. `None` if they name
/// nothing.
fn about<'a>(names: &BTreeMap<&str, Images<'a>>, texts: [Option<&str>; 2]) -> Option<Images<'a>> {
    let named = names.iter().filter(|(name, _)| texts.iter().flatten().any(|text| is_named_in(name, text)));
    named.map(|(_, images)| images.clone()).reduce(|one, other| one.intersection(&other).copied().collect())
}

/// Whether a text names this. The ID of an image may begin with the whole ID of another.
fn is_named_in(name: &str, text: &str) -> bool {
    text.split(name).skip(1).any(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric()))
}
