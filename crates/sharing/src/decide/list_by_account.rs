//! Owns which images a `list` by account is about, and why a page of it can't be listed.

use super::{case::Case, permit::permitted};
use crate::{
    domain::ImageId,
    facts::Facts,
    outcome::{Refusal, RefusalCode},
};

/// The images that are shared with the account and covered by a rule of the requester. The requester learns nothing of the
/// others.
pub(super) fn shared_images(case: &Case<'_>, facts: &Facts) -> Vec<ImageId> {
    permitted(case, &facts.images).into_iter().collect()
}

/// The refusal of a `nextToken` that EC2 does not know.
pub fn unknown_page(facts: &Facts) -> Option<Refusal> {
    let message =
        "EC2 doesn't know this page: it is not the `nextToken` of an answer to the same question, or it is too old";
    let refusal = Refusal {
        pointer: Some("/nextToken".to_owned()),
        ..Refusal::new(RefusalCode::MalformedRequest, message).remedy("begin again without `nextToken`")
    };
    facts.is_page_unknown.then_some(refusal)
}
