//! Owns the second look of a share. An overlapping revoke deletes the record last, so a share reads its record again
//! after it has added something.

use super::decision::ImageDecision;
use crate::{
    domain::{ImageId, Target},
    facts::{CopyRecord, Failure, Image, Reading},
    outcome::ErrorCode,
    records::RecordName,
};

/// A target for which a share added something, and whose record is read again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecondLook {
    /// The image.
    pub image_id: ImageId,
    /// The target.
    pub target: Target,
    /// The record by which the share expires, or by which a hint made it.
    pub record: RecordName,
}

/// The result of a second look: whether the share still has a record, this one or any other.
pub type Seen = Reading<bool>;

/// The records that a share reads again after it has given access to these targets: those of their expiries, and its
/// own record if it waited for a copy.
pub fn second_looks(
    decision: &ImageDecision<'_>,
    image: &Image,
    given: &[Target],
    hint: Option<&CopyRecord>,
) -> Vec<SecondLook> {
    let expiry = |target: &Target| {
        let new =
            decision.prerequisites().and_then(|first| first.expiries.iter().find(|expiry| expiry.target == *target));
        new.or_else(|| image.expiry_of(target)).map(|expiry| RecordName::Expiry(expiry.name.clone()))
    };
    let records = |target: &Target| {
        let waited = hint.map(|record| RecordName::Copy(record.name.clone()));
        expiry(target).into_iter().chain(waited).collect::<Vec<_>>()
    };
    let look = |target: &Target| {
        let new = |record| SecondLook { image_id: decision.image_id.clone(), target: target.clone(), record };
        records(target).into_iter().map(new).collect::<Vec<_>>()
    };
    given.iter().flat_map(look).collect()
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
