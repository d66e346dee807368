//! Owns what an outcome says of one of its images: whoever learns of that one must not learn of the others.

use std::collections::BTreeSet;

use super::{ErrorRow, ImageRow, Outcome, RefusalCode, Status, StoppedBy};
use crate::domain::ImageId;

impl Outcome {
    /// The outcome without what it says of other images: of them there is a number, and of what stopped the request
    /// because of them the codes.
    #[must_use]
    pub fn about(&self, image_id: &ImageId) -> Self {
        let of_image = |about: Option<&ImageId>| about.is_none_or(|about| about == image_id);
        let others = self.others(image_id);
        let refusals: Vec<_> = self.refusals.iter().filter(|row| of_image(row.image_id.as_ref())).cloned().collect();
        let stopped_by = if self.result == Status::Refused && refusals.is_empty() { self.codes() } else { Vec::new() };
        Self {
            images: self.images.iter().filter(|row| row.image_id == *image_id).cloned().collect(),
            refusals,
            errors: self.errors.iter().filter(|error| !others.has_error(error)).cloned().collect(),
            warnings: self.warnings.iter().filter(|warning| !others.are_named_in(warning)).cloned().collect(),
            findings: self.findings.clone(),
            image_count: (!others.image_ids.is_empty()).then(|| others.image_ids.len().saturating_add(1)),
            stopped_by,
            ..self.without_rows()
        }
    }

    /// The codes of all refusals, each once.
    fn codes(&self) -> Vec<StoppedBy> {
        let mut codes: Vec<RefusalCode> = Vec::new();
        for refusal in &self.refusals {
            if !codes.contains(&refusal.code) {
                codes.push(refusal.code);
            }
        }
        codes.into_iter().map(|code| StoppedBy { code }).collect()
    }

    fn others(&self, image_id: &ImageId) -> Others<'_> {
        let told = self.images.iter().map(|row| &row.image_id);
        let refused = self.refusals.iter().filter_map(|refusal| refusal.image_id.as_ref());
        let image_ids = self.asked.image_ids.iter().chain(told).chain(refused).filter(|other| *other != image_id);
        let (own, others): (Vec<_>, Vec<_>) = self.images.iter().partition(|row| row.image_id == *image_id);
        let mut resources: BTreeSet<_> = others.into_iter().flat_map(behind).collect();
        for resource in own.into_iter().flat_map(behind) {
            resources.remove(resource);
        }
        Others { image_ids: image_ids.collect(), resources }
    }
}

/// The snapshots, keys, grants and schedules that a row names.
fn behind(row: &ImageRow) -> impl Iterator<Item = &str> {
    let steps = row.steps.iter().flat_map(|step| [Some(step.resource.as_str()), step.grant_name.as_deref()]);
    let copies = row.permissions.iter().flat_map(|permissions| &permissions.copy);
    let snapshots = copies.map(|copy| copy.snapshot_id.as_str());
    steps.flatten().chain(row.key_arns.iter().map(|key| key.as_str())).chain(snapshots)
}

/// The other images of a request, and what is behind them alone.
struct Others<'a> {
    image_ids: BTreeSet<&'a ImageId>,
    resources: BTreeSet<&'a str>,
}

impl Others<'_> {
    fn has_error(&self, error: &ErrorRow) -> bool {
        self.are_named_in(&error.message) || error.resource.as_deref().is_some_and(|text| self.are_named_in(text))
    }

    /// Whether a text has the name of one of them. IDs have no end of their own: that of an image may begin with all of
    /// another one's.
    fn are_named_in(&self, text: &str) -> bool {
        let names = self.image_ids.iter().map(|id| id.as_str()).chain(self.resources.iter().copied());
        let is_end = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric());
        names.into_iter().any(|name| text.split(name).skip(1).any(is_end))
    }
}
