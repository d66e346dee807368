//! Owns what an audit comes upon at one image, and which of it this function may mend by itself.
//!
//! It judges by the allowlist as it is now, by what EC2 and KMS say and by the records of expiries. What can't be read is
//! not judged, and said so.

use key_policy::{Grant, KeyUse, Verdict};
use time::Duration;

use super::{
    ImageDecision, Judgements, NeededGrant, Question, backing_key::BackingKey, covering_rule_of_image, judgements::By,
    take_back_from_all,
};
use crate::{
    allowlist::{KeyCheck, Rule},
    domain::{AccountId, ExpiryName, GrantName, ImageId, KeyArn, Requester, SnapshotId, Target, quoted, rfc3339},
    facts::{Facts, Image, ImageState, Reading},
    outcome::{ErrorRow, Finding, FindingCode},
    plan::GranteeKind,
    request::{Access, Action},
};

/// Schedules run to the minute, then Lambda's queue and its retries take their time; what has not expired by then
/// is overdue. <https://docs.aws.amazon.com/scheduler/latest/UserGuide/getting-started.html>
const OVERDUE: Duration = Duration::minutes(5);

/// A grant of ours for a share that isn't there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanedGrant<'a> {
    /// The key.
    pub key: &'a KeyArn,
    /// The grant.
    pub grant: &'a Grant,
    /// Its Name.
    pub name: &'a str,
    /// The account it was made for.
    pub account: AccountId,
}

/// Judges one image. One that the requester has no rule for is passed over: an audit is of what its rules are about.
pub(super) fn decide<'a>(
    question: &Question<'a>,
    facts: &'a Facts,
    judgements: &Judgements<'_>,
    image_id: &'a ImageId,
    image: &'a Image,
) -> Reading<ImageDecision<'a>> {
    let mut decision = ImageDecision::new(image_id);
    let Ok(rule) = covering_rule_of_image(question, image) else { return Ok(decision) };
    if image.owner != question.account {
        return Ok(decision);
    }
    decision.rule = rule;
    for error in unread(question, facts, image) {
        // What another try may tell is asked again; what can't be read at all must not keep the rest from being judged.
        if error.retryable {
            decision.gaps.push(error.clone());
        } else {
            decision.warnings.push(format!("{image_id} was not judged in every respect: {}", error.message));
        }
    }
    decision.orphaned = orphaned_grants(question, facts, image_id, image);
    decision.overdue = overdue_records(question, image);
    let mut found = overdue(question, image);
    found.extend(exposed(image));
    if image.launch_permissions.is_known() {
        found.extend(outside_allowlist(question, facts, image_id, image));
        found.extend(expiries_missing(question, image));
        found.extend(permissions_left(question, facts, image_id, image));
        found.extend(decision.orphaned.iter().map(orphaned_grant));
        found.extend(key_access_lost(question, facts, judgements, image_id, image)?);
        found.extend(rules_not_applied(question, image));
    }
    decision.findings = found
        .into_iter()
        .map(|Found { code, target, message, remedy }| Finding {
            code,
            image_id: image_id.clone(),
            target,
            message: message.replace("{image}", image_id.as_str()),
            remedy: remedy.replace("{image}", image_id.as_str()),
        })
        .collect();
    Ok(decision)
}

/// A finding, with `{image}` where its image is named.
struct Found {
    code: FindingCode,
    target: Option<Target>,
    message: String,
    remedy: String,
}

/// Everything that could not be read of an image and its keys.
fn unread<'a>(question: &Question<'_>, facts: &'a Facts, image: &'a Image) -> Vec<&'a ErrorRow> {
    let mut errors = image.unread();
    let own = image.keys().into_iter().filter(|arn| arn.account() == question.account);
    for key in own.filter_map(|arn| facts.keys.get(arn)) {
        errors.extend(key.metadata.as_ref().err());
        errors.extend(key.policy.as_ref().err());
        errors.extend(key.grants.as_ref().err());
    }
    errors.dedup();
    errors
}

fn exposed(image: &Image) -> Vec<Found> {
    let snapshots = image.public_snapshots().map(|snapshot| Found {
        code: FindingCode::PublicImage,
        target: None,
        message: format!("{} of {{image}} is public: every AWS account can copy it", snapshot.id),
        remedy: format!(
            "{}; block public access for EBS snapshots keeps it from coming back",
            take_back_from_all(&snapshot.id)
        ),
    });
    let itself = image.is_public().then(|| Found {
        code: FindingCode::PublicImage,
        target: None,
        message: "{image} is public: every AWS account can launch it".to_owned(),
        remedy: "take it back with `aws ec2 modify-image-attribute --image-id {image} --launch-permission \
                 'Remove=[{Group=all}]'`, or with all its shares by `reset`; block public access for AMIs keeps it \
                 from coming back"
            .to_owned(),
    });
    itself.into_iter().chain(snapshots).collect()
}

/// The rules by which somebody may share the image with the target.
fn sharing_rules<'a>(question: &Question<'a>, image: &Image, target: &Target) -> Vec<&'a Rule> {
    let rules = question.allowlist.rules.iter();
    let covers = |rule: &&Rule| {
        rule.actions.contains(&Action::Share)
            && rule.images.include(image.name.as_deref(), &image.tags)
            && rule.targets.contains(target)
    };
    rules.filter(covers).collect()
}

fn outside_allowlist(question: &Question<'_>, facts: &Facts, image_id: &ImageId, image: &Image) -> Vec<Found> {
    let mut found = Vec::new();
    let mut outside = |target: Target, message: String, remedy: &str| {
        let code = FindingCode::SharedOutsideAllowlist;
        found.push(Found { code, target: Some(target), message, remedy: remedy.to_owned() });
    };
    for target in image.shared_targets() {
        let rules = sharing_rules(question, image, &target);
        if rules.is_empty() {
            let message = format!("{{image}} is shared with {target}, and no rule lets anybody share it so");
            outside(target, message, "`revoke` it, or cover it with a rule of the allowlist");
            continue;
        }
        let Some(account) = target.account().filter(|_| rules.iter().all(|rule| rule.access < Access::Copy)) else {
            continue;
        };
        for snapshot in image.snapshots.iter().flatten().filter(|snapshot| snapshot.needed_by.is_known()) {
            let may_copy = snapshot.create_volume_permissions.iter().flatten().any(|other| *other == account);
            if may_copy && !is_needed_elsewhere(facts, image_id, &snapshot.id, account) {
                let message =
                    format!("{account} may also copy {{image}} ({}), and every rule lets it launch only", snapshot.id);
                outside(target.clone(), message, "`revoke` it and `share` it again, or allow `access: copy` in a rule");
            }
        }
    }
    found
}

/// The shares that only rules with a longest duration cover and that nothing ends.
fn expiries_missing(question: &Question<'_>, image: &Image) -> Vec<Found> {
    if image.expiries.is_err() {
        return Vec::new();
    }
    let is_missing = |target: &Target| {
        let rules = sharing_rules(question, image, target);
        let is_bounded = !rules.is_empty() && rules.iter().all(|rule| rule.max_duration.is_some());
        is_bounded && image.expiry_of(target).is_none()
    };
    let missing = image.shared_targets().into_iter().filter(is_missing);
    missing
        .map(|target| Found {
            code: FindingCode::ExpiryMissing,
            message: format!(
                "{{image}} is shared with {target}, every rule for that has a `maxDuration`, and no record ends it"
            ),
            target: Some(target),
            remedy: "`revoke` it, and `share` it again with an `expiresAt` if it is still wanted".to_owned(),
        })
        .collect()
}

/// Whether another image on the snapshot is shared with the account.
fn is_needed_elsewhere(facts: &Facts, image_id: &ImageId, snapshot_id: &SnapshotId, account: AccountId) -> bool {
    facts.images.iter().any(|(id, image)| {
        image.snapshots.iter().flatten().filter(|snapshot| snapshot.id == *snapshot_id).any(|snapshot| {
            let is_other_and_shared = id != image_id && image.shared_accounts().contains(&account);
            is_other_and_shared || snapshot.needed_by.iter().flatten().any(|(needs, _)| *needs == account)
        })
    })
}

fn permissions_left(question: &Question<'_>, facts: &Facts, image_id: &ImageId, image: &Image) -> Vec<Found> {
    let shared = image.shared_accounts();
    let own = image.snapshots.iter().flatten().filter(|snapshot| snapshot.owner == question.account);
    let mut found = Vec::new();
    for snapshot in own.filter(|snapshot| snapshot.needed_by.is_known()) {
        let accounts = snapshot.create_volume_permissions.iter().flatten().filter(|account| !shared.contains(account));
        let left = accounts.filter(|account| !is_needed_elsewhere(facts, image_id, &snapshot.id, **account));
        found.extend(left.map(|account| Found {
            code: FindingCode::SnapshotPermissionLeft,
            target: Some(Target::Account(*account)),
            message: format!(
                "{account} may create volumes from {} of {{image}}, which is not shared with it",
                snapshot.id
            ),
            remedy: format!("`revoke` {{image}} for {account}; that also takes away what is left on its snapshots"),
        }));
    }
    found
}

/// The grants of ours that are named after the image and an account with which it is not shared. Only these may be
/// taken for left-overs: the Name says whom they are for, and the issuer that they are ours.
fn orphaned_grants<'a>(
    question: &Question<'_>,
    facts: &'a Facts,
    image_id: &ImageId,
    image: &'a Image,
) -> Vec<OrphanedGrant<'a>> {
    let shared = image.shared_accounts();
    if !image.launch_permissions.is_known() {
        return Vec::new();
    }
    let keys = image.keys().into_iter().filter_map(|arn| facts.keys.get_key_value(arn));
    let grants = keys.flat_map(|(arn, key)| key.grants.iter().flatten().map(move |grant| (arn, grant)));
    grants
        .filter(|(_, grant)| grant.is_issued_by(question.account))
        .filter_map(|(key, grant)| {
            let name = grant.name.as_deref()?;
            let account = GrantName::account_of(name, image_id)?;
            (!shared.contains(&account)).then_some(OrphanedGrant { key, grant, name, account })
        })
        .collect()
}

fn orphaned_grant(left: &OrphanedGrant<'_>) -> Found {
    let OrphanedGrant { key, grant, name, account } = left;
    Found {
        code: FindingCode::GrantLeft,
        target: Some(Target::Account(*account)),
        message: format!("grant {} (`{name}`) on {key} is for a share that is not there", grant.grant_id),
        remedy: format!(
            "`repair` revokes it; by hand: `aws kms revoke-grant --region {} --key-id {key} --grant-id {}`",
            key.region(),
            grant.grant_id
        ),
    }
}

fn key_access_lost(
    question: &Question<'_>,
    facts: &Facts,
    judgements: &Judgements<'_>,
    image_id: &ImageId,
    image: &Image,
) -> Reading<Vec<Found>> {
    let targets: Vec<_> =
        image.shared_targets().into_iter().filter(|target| wants_keys(question, image, target)).collect();
    let lost = |target: Option<Target>, message: String, remedy: String| {
        let code = FindingCode::KeyAccessLost;
        Found { code, target, message, remedy }
    };
    let mut found = Vec::new();
    for arn in image.keys().into_iter().filter(|arn| arn.account() == question.account && !targets.is_empty()) {
        let key = BackingKey::new(question, facts, arn);
        if let Some((_, message, remedy)) = key.unusable() {
            found.push(lost(None, format!("{{image}} is shared, and {message}"), remedy.to_owned()));
            continue;
        }
        for target in &targets {
            let access = judgements.of(&key, target, &KeyUse::Launch, By::All)?;
            let why = match access.verdict {
                Verdict::Missing => format!("does not let it in any more: {} missing", access.missing.join(", ")),
                Verdict::Denied => "denies it".to_owned(),
                // Only what is sure is drift.
                Verdict::Allowed | Verdict::Conditional | Verdict::Unknown => continue,
            };
            let message = format!("{{image}} is shared with {target}, and {arn} {why}; its instances die at launch");
            let again = rule_that_grants(question, judgements, &key, image_id, image, target)?;
            let remedy = match (again, access.remedy) {
                (Some(rule), _) => format!(
                    "`share` {{image}} with {target} again: rule {} makes the grant that is missing",
                    quoted(&rule.name)
                ),
                (None, Some(statements)) => format!("add to the key policy of {arn}: {statements}"),
                (None, None) => format!("see with `check` which statement of the key policy of {arn} denies it"),
            };
            found.push(lost(Some(target.clone()), message, remedy));
        }
    }
    Ok(found)
}

/// The rule by which sharing again makes the grant that lets the target in, where that would do.
fn rule_that_grants<'a>(
    question: &Question<'a>,
    judgements: &Judgements<'_>,
    key: &BackingKey<'_>,
    image_id: &ImageId,
    image: &Image,
    target: &Target,
) -> Reading<Option<&'a Rule>> {
    let is_possible = question.setup.key_grants && image.state == ImageState::Available;
    let Some(account) = target.account().filter(|_| is_possible) else { return Ok(None) };
    let rules = sharing_rules(question, image, target);
    let Some(rule) = rules.into_iter().find(|rule| rule.keys == KeyCheck::Grant) else { return Ok(None) };
    let needed = NeededGrant::new(key.arn, image_id, account, GranteeKind::Account);
    let with_grant = judgements.of(key, target, &KeyUse::Launch, By::Made(&needed))?;
    Ok((with_grant.verdict == Verdict::Allowed).then_some(rule))
}

/// Whether anybody would be refused to share the image with the target because of its keys.
fn wants_keys(question: &Question<'_>, image: &Image, target: &Target) -> bool {
    let rules = sharing_rules(question, image, target);
    !rules.is_empty() && rules.iter().all(|rule| rule.keys != KeyCheck::Unchecked)
}

/// Shares that a rule makes by itself and that are not there. A rule with a longest duration is passed over: whether
/// its share expired or never began can't be told.
fn rules_not_applied(question: &Question<'_>, image: &Image) -> Vec<Found> {
    let automation = Requester::new(format!("events:{}:aws.ec2", question.account));
    let applies = |rule: &&Rule| {
        rule.on_available
            && rule.max_duration.is_none()
            && rule.requesters.iter().any(|pattern| pattern.matches(&automation))
            && rule.images.include(image.name.as_deref(), &image.tags)
    };
    let rules = question.allowlist.rules.iter().filter(|_| image.state == ImageState::Available).filter(applies);
    let pairs = rules.flat_map(|rule| rule.targets.iter().map(move |target| (rule, target)));
    let missing = pairs.filter(|(_, target)| **target != Target::Account(image.owner) && !image.is_shared_with(target));
    missing
        .map(|(rule, target)| Found {
            code: FindingCode::RuleNotApplied,
            target: Some(target.clone()),
            message: format!("rule `{}` shares {{image}} with {target} by itself, and it is not shared", rule.name),
            remedy: "see with `check` what is in the way and `share` it, or change the rule".to_owned(),
        })
        .collect()
}

/// The records whose time has passed: also those of renewed shares, which are only deleted.
fn overdue_records(question: &Question<'_>, image: &Image) -> Vec<ExpiryName> {
    let overdue = image.expiries.iter().flatten().filter(|(_, expiry)| question.now - expiry.at > OVERDUE);
    overdue.map(|(name, _)| name.clone()).collect()
}

fn overdue(question: &Question<'_>, image: &Image) -> Vec<Found> {
    let recorded = image.expiries.iter().flatten().map(|(_, expiry)| expiry);
    // An earlier record of a renewed share ends nothing.
    let latest = recorded.filter(|expiry| image.expiry_of(&expiry.target) == Some(*expiry));
    let overdue = latest.filter(|expiry| question.now - expiry.at > OVERDUE);
    overdue
        .map(|expiry| Found {
            code: FindingCode::ShareOverdue,
            target: Some(expiry.target.clone()),
            message: format!(
                "the share of {{image}} with {} should have expired at {}",
                expiry.target,
                rfc3339(expiry.at)
            ),
            remedy: format!("`repair` ends it; if that fails too, see the log for the schedule `{}`", expiry.name),
        })
        .collect()
}
