//! Owns the rows of an audit: with whom each image is shared, how, by which rule, and whether the target can launch it. Pure.

use key_policy::{KeyUse, Verdict};

use super::{
    backing_key::BackingKey,
    case::{Authority, Case},
    judgements::{By, Judgements},
    permit::{rules_about_pair, sharing_rules},
};
use crate::{
    allowlist::Rule,
    domain::{ImageId, KeyArn, Target, some_of},
    facts::{Facts, Image, ImageState, LaunchPermission, Reading, Snapshot},
    outcome::{AuditRow, Launch},
    request::Action,
};

/// The rows of an image that a rule of the requester covers: one for each launch permission. Fails if time runs out before
/// every key is judged.
pub(super) fn rows(
    case: &Case<'_>,
    facts: &Facts,
    judgements: &Judgements<'_>,
    image_id: &ImageId,
    image: &Image,
) -> Reading<Vec<AuditRow>> {
    let mut rows = Vec::new();
    for entry in image.launch_permissions.iter().flatten() {
        let target = match entry {
            LaunchPermission::To(target) => Some(target),
            LaunchPermission::Public | LaunchPermission::Unknown(_) => None,
        };
        let Some(rule) = rule(case, image, target) else { continue };
        let (launch, why) = launch(case, facts, judgements, image, target)?;
        rows.push(AuditRow {
            image_id: image_id.clone(),
            name: image.name.clone(),
            target: entry.id(),
            how: entry.kind(),
            launch,
            why,
            copy: copy(image, entry),
            until: target.and_then(|target| image.expiry_of(target)).map(|expiry| expiry.at),
            rule: rule.map(|rule| rule.name.clone()),
        });
    }
    Ok(rows)
}

/// The rule of the requester that covers the target of a launch permission: one by which it can be shared, or else any.
/// `Some(None)` if no rule lets anybody share it so; `None` if only rules of others do, because these are not shown.
fn rule<'a>(case: &Case<'a>, image: &Image, target: Option<&Target>) -> Option<Option<&'a Rule>> {
    let Some(target) = target else { return Some(None) };
    let sharing = sharing_rules(case, image, target);
    if sharing.is_empty() {
        return Some(None);
    }
    let Authority::Requester(requester) = case.authority else { return None };
    let own = sharing.into_iter().find(|rule| rule.names(requester));
    own.or_else(|| rules_about_pair(case, image, target).first().copied()).map(Some)
}

/// Whether the target of a launch permission can launch the image, by what the keys of its snapshots say, and why.
fn launch(
    case: &Case<'_>,
    facts: &Facts,
    judgements: &Judgements<'_>,
    image: &Image,
    target: Option<&Target>,
) -> Reading<(Launch, String)> {
    if image.state != ImageState::Available {
        return Ok((Launch::Not, format!("the image is {}", image.state.as_str())));
    }
    let unread = image.snapshots.iter().filter(|backing| !backing.snapshot.is_known()).map(|backing| &backing.id);
    let unread: Vec<_> = unread.collect();
    let mut reasons = Vec::new();
    if !unread.is_empty() {
        reasons.push((Launch::Unknown, format!("it is not known which keys encrypt {}", some_of(unread))));
    }
    for arn in image.keys() {
        reasons.push(by_key(case, facts, judgements, arn, target)?);
    }
    let Some(launch) = reasons.iter().map(|(launch, _)| *launch).max() else {
        return Ok((Launch::Really, "no snapshot of the image is encrypted".to_owned()));
    };
    let deciding = reasons.into_iter().filter(|(each, _)| *each == launch);
    Ok((launch, some_of(deciding.map(|(_, why)| why))))
}

fn by_key(
    case: &Case<'_>,
    facts: &Facts,
    judgements: &Judgements<'_>,
    arn: &KeyArn,
    target: Option<&Target>,
) -> Reading<(Launch, String)> {
    let key = BackingKey::new(case, facts, arn);
    if let Some((_, message, _)) = key.unusable() {
        return Ok((Launch::Not, message));
    }
    let Some(target) = target else {
        return Ok((Launch::Unknown, format!("whom {arn} lets in depends on who launches the image")));
    };
    let access = judgements.of(&key, target, &KeyUse::Launch, By::All)?;
    let why = match access.verdict {
        Verdict::Allowed if access.limits.is_empty() => format!("{arn} lets it in"),
        Verdict::Allowed => format!("{arn} lets it in, for volumes under a key of its own only"),
        Verdict::Missing => format!("{arn} does not let it in: {} missing", access.missing.join(", ")),
        Verdict::Denied => format!("{arn} denies it"),
        Verdict::Conditional => format!("whether {arn} lets it in depends on {}", access.depends_on.join(", ")),
        Verdict::Unknown => {
            let notes = access.notes.first().map(|note| format!(": {note}")).unwrap_or_default();
            format!("whether {arn} lets it in is not known{notes}")
        }
    };
    Ok((Launch::from(access.verdict), why))
}

/// Whether the target may also copy the image; `None` if that is not known.
fn copy(image: &Image, entry: &LaunchPermission) -> Option<bool> {
    let may_create = |snapshot: &Snapshot| match entry {
        // EC2 has no such permission for organizations.
        LaunchPermission::To(target) => {
            target.account().is_some_and(|account| snapshot.may_create_volumes().any(|other| other == account))
                || snapshot.is_public()
        }
        LaunchPermission::Public | LaunchPermission::Unknown(_) => snapshot.is_public(),
    };
    let mut may_copy = !image.snapshots.is_empty();
    for backing in &image.snapshots {
        let snapshot = backing.snapshot.known()?;
        let permissions = snapshot.create_volume_permissions.known()?;
        may_copy &= may_create(snapshot);
        // Whom an entry of a kind that this version does not know lets in is not known.
        if !may_copy && !permissions.unknown.is_empty() {
            return None;
        }
    }
    Some(may_copy)
}

/// Whether the rows of an audit are requested.
pub(super) fn are_requested(case: &Case<'_>) -> bool {
    case.request.action == Action::Audit && case.request.rows
}
