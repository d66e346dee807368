//! Owns the images of a page, of `images` or of a `list` by account, and the refusal if there is no such page.

use super::{case::Case, permit::covered};
use crate::{
    allowlist::Pattern,
    domain::ImageId,
    facts::Facts,
    outcome::{Refusal, RefusalCode},
};

/// The images of the page that a rule of the requester covers, and whose name is the requested one. The requester learns
/// nothing about the others.
pub(super) fn images(case: &Case<'_>, facts: &Facts) -> Vec<ImageId> {
    let pattern = case.request.name.as_deref().map(Pattern::new);
    let name = |id: &ImageId| facts.images.get(id).and_then(|image| image.name.as_deref()).unwrap_or_default();
    let mut images = covered(case, &facts.images);
    images.retain(|id| pattern.as_ref().is_none_or(|pattern| pattern.matches(name(id))));
    images.into_iter().collect()
}

/// The refusal of a `nextToken` that EC2 does not know.
pub fn unknown_page(facts: &Facts) -> Option<Refusal> {
    let message =
        "EC2 doesn't know this page: it is not the `nextToken` of an answer to the same question, or it is too old";
    let refusal = Refusal {
        pointer: Some("/nextToken".to_owned()),
        ..Refusal::new(RefusalCode::MalformedRequest, message).remedy("start again without `nextToken`")
    };
    facts.is_page_unknown.then_some(refusal)
}
