//! Owns the number of images on a page of the catalogue: the answer must have room for what each rule says about each
//! image.

use crate::{
    decide::{Authority, Case},
    request::MAX_IMAGES,
};

/// The number of targets, of all images and rules together, that fit into one answer.
const MOST_TARGETS: usize = 10_000;

/// EC2 accepts no smaller page: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html>
const SMALLEST_PAGE: usize = 5;

/// The number of images on a page, if every rule of the requester covers each of them.
pub(super) fn page_size(case: &Case<'_>) -> usize {
    let Authority::Requester(requester) = case.authority else { return SMALLEST_PAGE };
    let rules = case.allowlist.rules.iter().filter(|rule| rule.names(requester));
    let targets: usize = rules.map(|rule| rule.targets.len()).sum();
    MOST_TARGETS.checked_div(targets).map_or(MAX_IMAGES, |images| images.clamp(SMALLEST_PAGE, MAX_IMAGES))
}
