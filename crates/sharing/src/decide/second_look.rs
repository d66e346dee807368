//! Owns the second look of a share. An overlapping revoke deletes the record last, so a share reads its record again
//! after it has added something.

use super::decision::ImageDecision;
use crate::{
    domain::{ExpiryName, ImageId, Target},
    facts::{Failure, Image, Reading},
    outcome::ErrorCode,
};

/// A target for which a share added something, and whose record is read again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecondLook {
    /// The image.
    pub image_id: ImageId,
    /// The target.
    pub target: Target,
    /// The record of the share's expiry.
    pub record: ExpiryName,
}

/// The result of a second look: whether the share still has a record, this one or any other.
pub type Seen = Reading<bool>;

/// The second looks of a share that added something for these targets: one for each share that expires.
pub fn second_looks(decision: &ImageDecision<'_>, image: &Image, given: &[Target]) -> Vec<SecondLook> {
    let record = |target: &Target| {
        let new =
            decision.prerequisites().and_then(|first| first.expiries.iter().find(|expiry| expiry.target == *target));
        new.or_else(|| image.expiry_of(target)).map(|expiry| expiry.name.clone())
    };
    let look = |target: &Target| {
        let (image_id, target) = (decision.image_id.clone(), target.clone());
        Some(SecondLook { record: record(&target)?, image_id, target })
    };
    given.iter().filter_map(look).collect()
}

/// Why the share is undone, if so. Without a record it would never expire; and if that can't be read, the safe side is
/// to undo it.
pub fn lost(look: &SecondLook, seen: &Seen) -> Option<Failure> {
    match seen {
        Ok(true) => None,
        Ok(false) => Some(Failure {
            code: ErrorCode::ExpiryLost,
            call: None,
            resource: Some(look.record.to_string()),
            message: format!(
                "the record of the share of {} with {} was deleted during the share, so the share is undone; send the \
                 request again if the share is still wanted",
                look.image_id, look.target
            ),
            retryable: true,
        }),
        Err(error) => Some(error.clone()),
    }
}
