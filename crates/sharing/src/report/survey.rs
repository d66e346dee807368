//! Owns the outcome of an audit or repair: it is put together from those of some images at a time. Pure.

use super::failed_by;
use crate::{decide::Surveyed, outcome::Outcome};

/// Adds the outcome of more images. A finding about a deregistered image is reported with every image on the same key, so
/// duplicates are left out.
pub fn add_images(total: &mut Outcome, mut part: Outcome) {
    part.images.retain(|row| !total.images.iter().any(|earlier| earlier.subject() == row.subject()));
    if let (Some(found), Some(earlier)) = (&mut part.findings, &total.findings) {
        found.retain(|finding| !earlier.contains(finding));
    }
    part.warnings.retain(|warning| !total.warnings.contains(warning));
    total.absorb(part);
}

/// The outcome at the end. What could not be read about some images is a warning, because a fault of one image must not
/// prevent the audit of the others. If no image could be read, the request fails, and a retry may help.
pub fn surveyed(mut total: Outcome, surveyed: Surveyed) -> Outcome {
    let Surveyed { unread, is_any_read, next, .. } = surveyed;
    if !unread.is_empty() && !is_any_read {
        return failed_by(total, unread);
    }
    for failure in unread {
        if !total.warnings.contains(&failure.message) {
            total.warnings.push(failure.message);
        }
    }
    // If there are more images, continuing with these is more useful than a retry, which begins again before the images
    // that were surveyed.
    Outcome { retryable: total.retryable && next.is_none(), next_token: next, ..total }
}
