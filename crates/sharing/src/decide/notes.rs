//! Owns the warnings about an image that don't depend on the decision.

use super::{case::Case, permit, remaining, usage};
use crate::{
    domain::{ImageId, SnapshotId, quoted},
    facts::{Fact, Facts, Image, LaunchPermission},
    request::{Access, Action, AskedTarget},
};

/// All such warnings about an image that was read.
pub(super) fn notes(
    case: &Case<'_>,
    facts: &Facts,
    image: &Image,
    image_id: &ImageId,
    targets: &[&AskedTarget],
    makes_grants: bool,
) -> Vec<String> {
    let action = case.request.action;
    let mut notes = Vec::new();
    if matches!(action, Action::List | Action::Check) {
        notes.extend(of_what_is_not_known(case, image, image_id));
    }
    notes.extend(of_open_access(image, image_id));
    if matches!(action, Action::Revoke | Action::Check) {
        notes.extend(remaining::warnings(case, image, image_id, targets));
    }
    if action == Action::Revoke {
        notes.extend(usage::unread(facts, image_id));
        notes.extend(of_sharing_again(case, image, image_id, targets));
    }
    if facts.blocks_public_images == Fact::Known(false) {
        notes.push(
            "block public access for AMIs is off in this Region: anybody with ec2:ModifyImageAttribute can make an image public"
                .to_owned(),
        );
    }
    if action == Action::Share && makes_grants {
        notes.push("grants take up to 5 minutes to take effect everywhere; a launch before that can fail".to_owned());
    }
    if action.is_about_sharing() {
        notes.extend(of_using_it(case, image, image_id));
    }
    notes
}

fn of_what_is_not_known(case: &Case<'_>, image: &Image, image_id: &ImageId) -> Vec<String> {
    let unread = image.unread().into_iter();
    let unread = unread.map(|failure| format!("not everything about {image_id} could be read: {}", failure.message));
    let foreign = image.known_snapshots().filter(|snapshot| snapshot.owner != case.account);
    let foreign = foreign.map(|snapshot| {
        format!(
            "who may copy {} of {image_id} is not known: account {} owns the snapshot, and EC2 reports this only to the owner",
            snapshot.id, snapshot.owner
        )
    });
    unread.chain(foreign).collect()
}

/// Access that does not depend on shares, such as public access.
fn of_open_access(image: &Image, image_id: &ImageId) -> Vec<String> {
    let mut notes: Vec<_> = image
        .launch_permissions
        .iter()
        .flatten()
        .filter_map(|entry| match entry {
            LaunchPermission::Unknown(text) => Some(format!(
                "{image_id} has a launch permission of a kind that this version does not know: {}; whom it lets launch the \
                 image is not known",
                quoted(text)
            )),
            LaunchPermission::Public | LaunchPermission::To(_) => None,
        })
        .collect();
    notes.extend(unknown_copy_permissions(image).map(|(snapshot_id, text)| {
        format!(
            "{snapshot_id} behind {image_id} has a create volume permission of a kind that this version does not know: {}; \
             whom it lets copy the image is not known",
            quoted(text)
        )
    }));
    if image.is_public() {
        notes.push(format!(
            "{image_id} is PUBLIC: every AWS account can launch it, whatever is shared or revoked here; \
             `reset` ends that, and block public access for AMIs keeps it from coming back"
        ));
    }
    notes.extend(image.public_snapshots().map(|snapshot| {
        format!(
            "{} behind {image_id} is PUBLIC: every AWS account can copy it, whatever is shared or revoked here; {}",
            snapshot.id,
            take_back_from_all(&snapshot.id)
        )
    }));
    notes
}

/// The create volume permissions of a kind that this version does not know.
pub(super) fn unknown_copy_permissions(image: &Image) -> impl Iterator<Item = (&SnapshotId, &String)> {
    image.known_snapshots().flat_map(|snapshot| {
        let known = snapshot.create_volume_permissions.iter();
        known.flat_map(|permissions| &permissions.unknown).map(|text| (&snapshot.id, text))
    })
}

/// The rules with `onAvailable` that will share the image again.
fn of_sharing_again(case: &Case<'_>, image: &Image, image_id: &ImageId, targets: &[&AskedTarget]) -> Vec<String> {
    let again = targets.iter().filter_map(|asked| {
        let rules = permit::rules_by_name(case, image, |rule, name, tags| {
            rule.on_available && rule.images.include(name, tags) && rule.targets.contains(&asked.target)
        });
        let rule = rules.first()?;
        let named = match permit::is_about_pair(case, image, &asked.target) {
            true => format!("rule `{}`", rule.name),
            false => "a rule".to_owned(),
        };
        Some(format!(
            "{named} shares {image_id} with {} again when the image next becomes available; change the rule to end that",
            asked.target
        ))
    });
    again.collect()
}

/// What keeps targets from finding, launching or copying the image.
fn of_using_it(case: &Case<'_>, image: &Image, image_id: &ImageId) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(time) = &image.deprecation_time {
        notes
            .push(format!("{image_id} is or will be deprecated ({time}): targets then no longer find it by searching"));
    }
    if image.has_product_codes {
        notes.push(format!("{image_id} has AWS Marketplace product codes: targets need the subscription"));
        if case.request.access == Access::Copy {
            // "You can't copy an AMI with a product code": https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html
            notes.push(format!(
                "AWS lets no other account copy {image_id}, because of its AWS Marketplace product codes; \
                 `access: copy` gives the targets its snapshots all the same"
            ));
        }
    }
    notes
}

/// What to do about a snapshot that is public.
pub(super) fn take_back_from_all(snapshot_id: &SnapshotId) -> String {
    format!(
        "take it back with `aws ec2 modify-snapshot-attribute --snapshot-id {snapshot_id} --attribute \
         createVolumePermission --operation-type remove --group-names all`"
    )
}
