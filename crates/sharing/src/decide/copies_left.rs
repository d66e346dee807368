//! Owns what an audit finds out about copies that rules caused: copies that nobody uses any more, and copies that EC2
//! could not make.

use super::case::Case;
use crate::{
    allowlist::Rule,
    facts::{Image, ImageState, Lineage},
    outcome::FindingCode,
};

/// A finding about a copy; `{image}` stands for its ID.
pub(super) struct Left {
    pub(super) code: FindingCode,
    pub(super) message: String,
    pub(super) remedy: String,
}

/// What is wrong with an image, if it is a copy that a rule made.
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
    let why = orphaned(image).filter(|_| is_judged)?;
    Some(Left {
        code: FindingCode::CopyOrphaned,
        message: format!("{{image}} is a copy that a rule made, and {why}; it costs storage"),
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

/// Why nobody needs the copy any more.
fn orphaned(image: &Image) -> Option<String> {
    let Lineage::CopyOf { source, said } = &image.provenance.lineage else { return None };
    if matches!(said.known(), Some(None)) {
        return Some(format!("its source {} is no longer there", source.id));
    }
    let is_shared_with_nobody = image.launch_permissions.known().is_some_and(Vec::is_empty);
    let nothing_waits = image.waiting.known().is_some_and(Vec::is_empty);
    (is_shared_with_nobody && nothing_waits)
        .then(|| "it is shared with nobody, and no share waits for a copy of its source".to_owned())
}

fn failed(case: &Case<'_>, image: &Image) -> Left {
    let reason = image.state_reason.as_deref().unwrap_or("EC2 gives no reason");
    Left {
        code: FindingCode::CopyFailedLeft,
        message: format!("{{image}} is a copy that EC2 could not make: {reason}"),
        remedy: format!("deregister it with `{}`", deregister(case)),
    }
}

fn deregister(case: &Case<'_>) -> String {
    format!("aws ec2 deregister-image --region {} --image-id {{image}}", case.region)
}
