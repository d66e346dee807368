//! Owns the second look of a share: a revoke that crosses a share deletes the record last, so a share that has given
//! something looks at its record again.

use super::decision::ImageDecision;
use crate::{
    domain::{ImageId, Target},
    facts::{CopyRecord, Failure, Image, Reading},
    outcome::ErrorCode,
    records::RecordName,
};

/// A target to which a share has given something, and whose record is read again after that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecondLook {
    /// The image.
    pub image_id: ImageId,
    /// The target.
    pub target: Target,
    /// The record by which the share expires, or by which a hint made it.
    pub record: RecordName,
}

/// What a second look finds out: whether the share still has a record, this one or any other.
pub type Seen = Reading<bool>;

/// What a share looks at again that has given something to these targets: the records of the expiries of their shares, and
/// the record of the share itself if it had waited for a copy.
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

/// Why what the share gave is taken away again, if it is: without a record nothing would end the share, and what can't
/// be found out is not given.
pub fn lost(look: &SecondLook, seen: &Seen) -> Option<Failure> {
    match seen {
        Ok(true) => None,
        Ok(false) => Some(Failure {
            code: ErrorCode::ExpiryLost,
            call: None,
            resource: Some(look.record.to_string()),
            message: format!(
                "the record of the share of {} with {} was deleted while the share was under way, so what it gave is \
                 taken away again; send the request again if the share is still wanted",
                look.image_id, look.target
            ),
            retryable: true,
        }),
        Err(error) => Some(error.clone()),
    }
}
