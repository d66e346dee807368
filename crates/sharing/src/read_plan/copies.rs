//! Owns [`CopyReads`]: what is read about the images that a request names by `copyFrom`, before it is known which images of
//! this Region the request is about.

use std::collections::BTreeMap;

use super::Need;
use crate::{
    collected::into_map,
    decide::{self, Authority, Case},
    domain::{CopyName, ImageId, Region, SnapshotId},
    facts::{Copies, Facts, Image, ImageState},
    records::{name_of_waiting, waiting_request},
    request::Action,
};

/// What is read first: the images in their Region, and the images of this Region that are made from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyReads<'a> {
    /// The Region of the images.
    pub region: &'a Region,
    /// The images.
    pub source_ids: &'a [ImageId],
    /// Whether the images themselves are described, and what happens if they can't be.
    pub source: Need,
    /// What happens if the records of shares that wait can't be read.
    pub waiting: Need,
}

/// Which records of shares are read that wait for copies of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingReads {
    /// The one with this name: that of the very request.
    This(CopyName),
    /// Those whose names begin so: all of them.
    All(String),
}

/// What is read first, if the request names images by `copyFrom`.
pub fn copies<'a>(case: &Case<'a>) -> Option<CopyReads<'a>> {
    let region = case.request.copy_from.as_ref()?;
    let source = match case.request.action {
        Action::Share | Action::Check => Need::Required,
        // Removing and showing access must not depend on reads in another Region.
        Action::Revoke
        | Action::Reset
        | Action::List
        | Action::Usage
        | Action::Audit
        | Action::Repair
        | Action::Images
        | Action::Approvals
        | Action::Approve
        | Action::Reject => {
            if decide::is_reachable(case, region) {
                Need::Optional
            } else {
                Need::No
            }
        }
    };
    let waiting = if case.request.action.is_about_sharing() { Need::Required } else { Need::Optional };
    Some(CopyReads { region, source_ids: &case.request.image_ids, source, waiting })
}

/// The snapshots that say which of the images that are made from others count as copies.
pub fn snapshots_of_copies(case: &Case<'_>, facts: &Facts) -> Vec<SnapshotId> {
    if !case.request.action.is_about_sharing() {
        return Vec::new();
    }
    let copies = permitted(case, facts).flat_map(|(_, copies)| copies.available());
    let mut ids: Vec<_> =
        copies.flat_map(|(_, image)| image.snapshots.iter().map(|backing| backing.id.clone())).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The records of shares that wait for copies, by the images that are copied.
pub fn waiting(case: &Case<'_>, facts: &Facts) -> BTreeMap<ImageId, WaitingReads> {
    let reads = |source_id: &ImageId| match (case.request.action, case.authority) {
        // What the hint is about has been read.
        _ if case.hint.is_some() => None,
        (Action::Share, Authority::Requester(requester)) => {
            let approver = case.approval.by();
            // Somebody may have approved it, who is part of the name.
            if approver.is_none() && case.allowlist.wants_approval_of(requester) {
                return Some(WaitingReads::All(CopyName::source_prefix(source_id)));
            }
            let request = waiting_request(case.request, source_id);
            name_of_waiting(&request, requester, approver).map(WaitingReads::This)
        }
        _ => Some(WaitingReads::All(CopyName::source_prefix(source_id))),
    };
    into_map(permitted(case, facts).filter_map(|(id, _)| Some((id.clone(), reads(id)?))))
}

/// The records of shares that wait for copies of the same image as one of these. An action that removes access to a
/// copy also ends their waiting, a list or check shows them, and an audit doesn't report a copy that a share waits for.
pub fn waiting_beside(case: &Case<'_>, images: &BTreeMap<ImageId, Image>) -> BTreeMap<ImageId, WaitingReads> {
    let action = case.request.action;
    let is_asked = |image: &Image| match action {
        Action::Revoke | Action::Reset | Action::Check => true,
        // A list by account is about what is shared with it.
        Action::List => case.request.shared_with.is_none(),
        Action::Audit | Action::Repair => decide::may_be_made(case, image),
        Action::Share | Action::Usage | Action::Images | Action::Approvals | Action::Approve | Action::Reject => false,
    };
    if matches!(case.authority, Authority::Expiry(_)) {
        return BTreeMap::new();
    }
    let permitted = decide::permitted(case, images);
    let may_be = |id: &ImageId, image: &Image| {
        permitted.contains(id) || image.owner == case.account && decide::may_withdraw(case)
    };
    let asked = || images.iter().filter(|(id, image)| may_be(id, image) && is_asked(image));
    // Of several copies of an image, a list shows with one what waits: with the one that is pending.
    let place = |(id, image): (&ImageId, &Image)| (image.state != ImageState::Pending, id.clone());
    let is_shown = |id: &ImageId, image: &Image| {
        let mut beside = asked().filter(|(_, other)| other.provenance.source() == image.provenance.source());
        action != Action::List || beside.all(|other| place((id, image)) <= place(other))
    };
    let unread = asked().filter(|(id, image)| !image.waiting.is_read() && is_shown(id, image));
    let reads = |image: &Image| Some(WaitingReads::All(CopyName::source_prefix(&image.provenance.source()?.id)));
    into_map(unread.filter_map(|(id, image)| Some((id.clone(), reads(image)?))))
}

/// The images that must be copied, and whose snapshots and keys are read for this.
pub fn to_be_copied<'f>(case: &Case<'_>, facts: &'f Facts) -> Vec<(&'f ImageId, &'f Image)> {
    let meant = decide::images_meant(case, facts);
    let must_be = |id: &ImageId| meant.get(id).and_then(|images| images.get(id)).is_some_and(decide::must_be_made);
    let permitted = permitted(case, facts).filter(|(id, _)| case.request.action.is_about_sharing() && must_be(id));
    permitted.filter_map(|(id, copies)| Some((id, copies.known_source()?))).collect()
}

/// The images about which the requester may ask.
fn permitted<'f>(case: &Case<'_>, facts: &'f Facts) -> impl Iterator<Item = (&'f ImageId, &'f Copies)> {
    let permitted = decide::permitted_sources(case, facts);
    facts.copies.iter().filter(move |(id, _)| permitted.contains(id))
}
