//! Owns what an audit finds of copies that rules may have made: those that nobody uses or waits for, and those that EC2
//! could not make.

use std::collections::BTreeMap;

use super::case::Case;
use crate::{
    allowlist::Rule,
    facts::{CreateVolumePermissions, Image, ImageState, Lineage, Snapshot},
    outcome::FindingCode,
};

/// A finding about a copy; `{image}` stands for its ID.
pub(super) struct Left {
    pub(super) code: FindingCode,
    pub(super) message: String,
    pub(super) remedy: String,
}

/// What is wrong with an image, if it is a copy that a rule may have made.
///
/// A failed copy has no key that shows which rule caused it. A copy that may still be needed is not reported: findings
/// are certain.
pub(super) fn find(case: &Case<'_>, image: &Image) -> Option<Left> {
    if !may_be_made(case, image) {
        return None;
    }
    if image.state.is_failed() {
        return Some(failed(case, image));
    }
    let is_judged = image.state == ImageState::Available && is_on_key_of_rule(case, image);
    (is_judged && is_orphaned(case, image)).then(|| Left {
        code: FindingCode::CopyOrphaned,
        message: format!(
            "{{image}} is a copy under the key of a rule with `copies`. It is shared with nobody, no share waits for it, and no \
             record is about it{}. It costs storage",
            if is_source_gone(image) { "; its source no longer exists" } else { "" }
        ),
        remedy: format!("if nobody needs it, deregister it with `{} --delete-associated-snapshots`", deregister(case)),
    })
}

/// Whether the image may be a copy that a rule made: there is a rule that makes copies of images of its source's Region.
pub fn may_be_made(case: &Case<'_>, image: &Image) -> bool {
    image.owner == case.account && making_rules(case, image).next().is_some()
}

fn making_rules<'a>(case: &Case<'a>, image: &Image) -> impl Iterator<Item = &'a Rule> {
    let region = image.provenance.source().map(|source| source.region.clone());
    case.allowlist.rules.iter().filter(move |rule| region.as_ref().is_some_and(|region| rule.copies_from(region)))
}

fn is_on_key_of_rule(case: &Case<'_>, image: &Image) -> bool {
    let keys = image.snapshots.iter().map(|backing| backing.snapshot.known()?.key.as_ref());
    let keys: Option<Vec<_>> = keys.collect();
    let is_of = |rule: &Rule| {
        let key = rule.copies.as_ref().map(|copies| &copies.key);
        keys.iter().any(|keys| !keys.is_empty() && keys.iter().all(|other| Some(*other) == key))
    };
    making_rules(case, image).any(is_of)
}

/// Whether nobody uses the copy or waits for it, as far as all of this is known.
fn is_orphaned(case: &Case<'_>, image: &Image) -> bool {
    let may_nobody_copy = |snapshot: &Snapshot| {
        snapshot.owner == case.account
            && snapshot.create_volume_permissions.known() == Some(&CreateVolumePermissions::default())
    };
    image.launch_permissions.known().is_some_and(Vec::is_empty)
        && image.known_snapshots().all(may_nobody_copy)
        && image.expiries.known().is_some_and(BTreeMap::is_empty)
        && is_awaited_by_nobody(image)
}

fn is_awaited_by_nobody(image: &Image) -> bool {
    image.waiting.known().is_some_and(Vec::is_empty)
}

fn is_source_gone(image: &Image) -> bool {
    matches!(&image.provenance.lineage, Lineage::CopyOf { said, .. } if matches!(said.known(), Some(None)))
}

fn failed(case: &Case<'_>, image: &Image) -> Left {
    let reason = image.state_reason.as_deref().unwrap_or("EC2 gives no reason");
    Left {
        code: FindingCode::CopyFailedLeft,
        message: format!("{{image}} is a copy that EC2 could not make: {reason}"),
        // The record of a share that waits counts the copies that failed.
        remedy: if is_awaited_by_nobody(image) {
            format!("deregister it with `{}`", deregister(case))
        } else {
            format!("when no share waits for a copy of its source, deregister it with `{}`", deregister(case))
        },
    }
}

fn deregister(case: &Case<'_>) -> String {
    format!("aws ec2 deregister-image --region {} --image-id {{image}}", case.region)
}
