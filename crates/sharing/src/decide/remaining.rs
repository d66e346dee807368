//! Owns what still gives a target access after its own launch permission was removed: the launch permission of an
//! organization or unit, or a public one. EC2 reports success in this case, too. Pure.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/share-amis-org-ou-manage.html>

use std::collections::BTreeMap;

use super::case::Case;
use crate::{
    allowlist::Allowlist,
    domain::{ImageId, Target, quoted, some_of},
    facts::{Fact, Failure, Image, LaunchPermission},
    request::{Action, AskedTarget},
};

/// The remaining access of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remaining<'a> {
    /// No other launch permission covers it.
    Nothing,
    /// These launch permissions certainly cover it.
    Surely(Vec<&'a LaunchPermission>),
    /// These launch permissions cover it if it is a member, which is not known.
    Maybe(Vec<&'a LaunchPermission>),
    /// The launch permissions could not be read.
    Unread(&'a Failure),
}

impl Remaining<'_> {
    /// What still gives access, in words; `None` if nothing does.
    pub fn why(&self) -> Option<String> {
        let entries = |entries: &[&LaunchPermission]| some_of(entries.iter().map(|entry| name(entry)));
        match self {
            Self::Nothing => None,
            Self::Surely(covering) => Some(format!("{} still gives it access", entries(covering))),
            Self::Maybe(covering) => Some(format!("{} may still give it access", entries(covering))),
            Self::Unread(error) => {
                Some(format!("whether another launch permission still gives it access is not known: {}", error.message))
            }
        }
    }
}

/// The access that the image's other launch permissions give the target.
pub fn remaining<'a>(allowlist: &Allowlist, image: &'a Image, target: &Target) -> Remaining<'a> {
    let entries = match &image.launch_permissions {
        Fact::Known(entries) => entries,
        Fact::Failed(error) => return Remaining::Unread(error),
        Fact::NotRead => return Remaining::Nothing,
    };
    let (mut sure, mut unsure) = (Vec::new(), Vec::new());
    for entry in entries {
        match covers(allowlist, entry, target) {
            Some(true) => sure.push(entry),
            Some(false) => {}
            None => unsure.push(entry),
        }
    }
    match (sure.is_empty(), unsure.is_empty()) {
        (false, _) => Remaining::Surely(sure),
        (true, false) => Remaining::Maybe(unsure),
        (true, true) => Remaining::Nothing,
    }
}

/// Whether a launch permission that is not the target's own covers it; `None` if that is not known.
fn covers(allowlist: &Allowlist, entry: &LaunchPermission, target: &Target) -> Option<bool> {
    match entry {
        LaunchPermission::Public => Some(true),
        LaunchPermission::Unknown(_) => None,
        LaunchPermission::To(other) if other == target => Some(false),
        LaunchPermission::To(other) => allowlist.is_member(target, other),
    }
}

fn name(entry: &LaunchPermission) -> String {
    match entry {
        LaunchPermission::Public => "the public launch permission".to_owned(),
        LaunchPermission::To(target) => target.to_string(),
        LaunchPermission::Unknown(text) => format!("a launch permission of an unknown kind ({})", quoted(text)),
    }
}

/// One warning for each reason, with its targets: those that lose their own launch permission, or have none.
pub(super) fn warnings(case: &Case<'_>, image: &Image, image_id: &ImageId, targets: &[&AskedTarget]) -> Vec<String> {
    let is_check = case.request.action == Action::Check;
    let mut reasons = BTreeMap::<String, Vec<&Target>>::new();
    for asked in targets.iter().filter(|asked| !(is_check && image.is_shared_with(&asked.target))) {
        if let Some(why) = remaining(case.allowlist, image, &asked.target).why() {
            reasons.entry(why).or_default().push(&asked.target);
        }
    }
    let from = if is_check { "not shared by itself with" } else { "revoked from" };
    let warning =
        |(why, targets): (String, Vec<&Target>)| format!("{image_id}, {from} {}: {why}", some_of(targets.iter()));
    reasons.into_iter().map(warning).collect()
}
