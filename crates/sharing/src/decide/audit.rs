//! Owns the audit of one image: what it finds, and what of that a repair may fix.
//!
//! It compares the current allowlist with EC2, KMS and the records of expiries. What can't be read is reported and not
//! judged.

use key_policy::{KeyUse, Verdict};

use super::{
    audit_rows,
    backing_key::BackingKey,
    case::Case,
    copies_left,
    decision::{Decision, ImageDecision, OrphanedGrant, Survey},
    expiry::OVERDUE,
    judgements::{By, Judgements},
    notes::{take_back_from_all, unknown_copy_permissions},
    permit::{covering_rule_of_image, is_about_pair, rules_by_name, sharing_rules, unread_source},
    publish, refusals,
};
use crate::{
    allowlist::{KeyCheck, Rule},
    domain::{AccountId, ExpiryName, GrantName, ImageId, Requester, SnapshotId, Target, quoted, rfc3339},
    facts::{Facts, Failure, Image, ImageState, LaunchPermission, Reading},
    needs::{GranteeKind, NeededGrant},
    outcome::{Finding, FindingCode},
    request::{Access, Action},
};

/// Audits one image. An image that no rule of the requester covers is skipped.
pub(super) fn decide<'a>(
    case: &Case<'a>,
    facts: &'a Facts,
    judgements: &Judgements<'_>,
    image_id: &'a ImageId,
    image: &'a Image,
) -> Reading<ImageDecision<'a>> {
    let covered = covering_rule_of_image(case, image).ok().filter(|_| image.owner == case.account);
    let (survey, warnings) = match covered {
        Some(_) => survey(case, facts, judgements, image_id, image)?,
        None => unsettled(case, image_id, image),
    };
    let decision = Decision::Survey(survey);
    Ok(ImageDecision { image_id, rule: covered.flatten(), targets: Vec::new(), decision, warnings })
}

/// What is said about an image of which it is not known whether a rule of the requester covers it.
fn unsettled<'a>(case: &Case<'_>, image_id: &ImageId, image: &Image) -> (Survey<'a>, Vec<String>) {
    let unread = unread_source(case, image_id, image).filter(|_| image.owner == case.account);
    (Survey { gaps: unread.into_iter().collect(), ..Survey::default() }, Vec::new())
}

/// The findings of an image, and the warnings about it.
fn survey<'a>(
    case: &Case<'a>,
    facts: &'a Facts,
    judgements: &Judgements<'_>,
    image_id: &'a ImageId,
    image: &'a Image,
) -> Reading<(Survey<'a>, Vec<String>)> {
    // If a retry may help, the failure is a gap, and the request is sent again. Otherwise it is a warning, so that the
    // rest is still judged.
    let (gaps, unread): (Vec<_>, Vec<_>) = unread(case, facts, image).into_iter().partition(|it| it.retryable);
    let message = |failure: &Failure| format!("not everything about {image_id} could be audited: {}", failure.message);
    let warnings = unread.into_iter().map(message).collect();
    // The failure may be about a key or a snapshot. The caller must learn which image it concerns.
    let gap = |failure: &Failure| Failure {
        message: message(failure),
        resource: Some(image_id.to_string()),
        ..failure.clone()
    };
    let orphaned = orphaned_grants(case, facts, image_id, image);
    let mut found = overdue(case, image);
    found.extend(exposed(image));
    found.extend(of_unknown_kind(image));
    if image.launch_permissions.is_known() {
        found.extend(outside_allowlist(case, facts, image_id, image));
        found.extend(expiries_missing(case, image));
        found.extend(permissions_left(case, facts, image_id, image));
        found.extend(orphaned.iter().map(orphaned_grant));
        found.extend(key_access_lost(case, facts, judgements, image_id, image)?);
        found.extend(rules_not_applied(case, image));
    }
    found.extend(copies_left::find(case, image).map(Found::from));
    let finding = |Found { code, target, message, remedy }| Finding {
        code,
        image_id: image_id.clone(),
        target,
        message: message.replace("{image}", image_id.as_str()),
        remedy: remedy.replace("{image}", image_id.as_str()),
    };
    let mut findings: Vec<_> = found.into_iter().map(finding).collect();
    if image.launch_permissions.is_known() {
        findings.extend(publish::stale(case, facts, image, image_id).into_iter().map(stale));
    }
    let rows = if audit_rows::are_requested(case) {
        audit_rows::rows(case, facts, judgements, image_id, image)?
    } else {
        Vec::new()
    };
    let gaps = gaps.into_iter().map(gap).collect();
    let survey = Survey { findings, rows, orphaned, overdue: overdue_records(case, image), gaps };
    Ok((survey, warnings))
}

fn stale(publish::Stale { image_id, message, remedy }: publish::Stale) -> Finding {
    Finding { code: FindingCode::ParameterStale, image_id, target: None, message, remedy }
}

/// A finding; `{image}` stands for the image's ID.
struct Found {
    code: FindingCode,
    target: Option<Target>,
    message: String,
    remedy: String,
}

impl From<copies_left::Left> for Found {
    fn from(copies_left::Left { code, message, remedy }: copies_left::Left) -> Self {
        Self { code, target: None, message, remedy }
    }
}

/// Everything that could not be read about an image and its keys.
fn unread<'a>(case: &Case<'_>, facts: &'a Facts, image: &'a Image) -> Vec<&'a Failure> {
    let mut errors = image.unread();
    errors.extend(image.provenance.unread());
    let own = image.keys().into_iter().filter(|arn| arn.account() == case.account);
    for key in own.filter_map(|arn| facts.keys.get(arn)) {
        errors.extend(key.unread());
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

/// Permissions of a kind that this version does not know. No rule covers them, and it is not known whom they let in.
fn of_unknown_kind(image: &Image) -> Vec<Found> {
    let found = |message: String, remedy: &str| {
        let message = format!("{message} of a kind that this version does not know, and no rule is about it");
        Found { code: FindingCode::SharedOutsideAllowlist, target: None, message, remedy: remedy.to_owned() }
    };
    let launch = image.launch_permissions.iter().flatten().filter_map(|entry| match entry {
        LaunchPermission::Unknown(text) => Some(text),
        LaunchPermission::Public | LaunchPermission::To(_) => None,
    });
    let launch = launch.map(|text| {
        let message = format!("{{image}} has the launch permission {}", quoted(text));
        found(message, "see `aws ec2 describe-image-attribute --image-id {image} --attribute launchPermission`; `reset` takes it back")
    });
    let copy = unknown_copy_permissions(image).map(|(id, text)| {
        let message = format!("{id} of {{image}} has the create volume permission {}", quoted(text));
        let remedy = format!(
            "see `aws ec2 describe-snapshot-attribute --snapshot-id {id} --attribute createVolumePermission`, and take it \
             back with `aws ec2 reset-snapshot-attribute` if nobody needs the snapshot's other entries"
        );
        found(message, &remedy)
    });
    launch.chain(copy).collect()
}

fn outside_allowlist(case: &Case<'_>, facts: &Facts, image_id: &ImageId, image: &Image) -> Vec<Found> {
    let mut found = Vec::new();
    let mut outside = |target: Target, message: String, remedy: &str| {
        let code = FindingCode::SharedOutsideAllowlist;
        found.push(Found { code, target: Some(target), message, remedy: remedy.to_owned() });
    };
    for target in image.shared_targets() {
        let rules = sharing_rules(case, image, &target);
        // By the name of its source, a rule may allow it.
        if rules.is_empty() && unread_source(case, image_id, image).is_some() {
            continue;
        }
        if rules.is_empty() {
            let message = format!("{{image}} is shared with {target}, and no rule allows that");
            let lacking = lacking(case, image, &target);
            outside(target, message + &lacking, "`revoke` it, or cover it with a rule of the allowlist");
            continue;
        }
        let Some(account) = target.account().filter(|_| rules.iter().all(|rule| rule.access < Access::Copy)) else {
            continue;
        };
        for snapshot in image.known_snapshots().filter(|snapshot| snapshot.needed_by.is_known()) {
            let may_copy = snapshot.may_create_volumes().any(|other| other == account);
            if may_copy && !is_needed_elsewhere(facts, image_id, &snapshot.id, account) {
                let message = format!(
                    "{account} may also copy {{image}} ({}), and every rule allows only launch access",
                    snapshot.id
                );
                outside(target.clone(), message, "`revoke` it and `share` it again, or allow `access: copy` in a rule");
            }
        }
    }
    found
}

/// What the image lacks for the rules that otherwise allow some requester to share it with the target.
fn lacking(case: &Case<'_>, image: &Image, target: &Target) -> String {
    let rules = rules_by_name(case, image, |rule, name, tags| {
        rule.actions.contains(&Action::Share) && rule.images.include(name, tags) && rule.targets.contains(target)
    });
    if rules.is_empty() || !is_about_pair(case, image, target) {
        String::new()
    } else {
        refusals::lacking(&rules, image, case.now)
    }
}

/// The shares that only rules with a `maxDuration` cover and that have no record of an expiry.
fn expiries_missing(case: &Case<'_>, image: &Image) -> Vec<Found> {
    if image.expiries.failed().is_some() {
        return Vec::new();
    }
    let is_missing = |target: &Target| {
        let rules = sharing_rules(case, image, target);
        let is_bounded = !rules.is_empty() && rules.iter().all(|rule| rule.max_duration.is_some());
        is_bounded && image.expiry_of(target).is_none()
    };
    let missing = image.shared_targets().into_iter().filter(is_missing);
    missing
        .map(|target| Found {
            code: FindingCode::ExpiryMissing,
            message: format!(
                "{{image}} is shared with {target}, every rule that allows this has a `maxDuration`, and there is no record of an expiry"
            ),
            target: Some(target),
            remedy: "`revoke` it, and `share` it again with an `expiresAt` if it is still wanted".to_owned(),
        })
        .collect()
}

/// Whether another image on the snapshot is shared with the account.
fn is_needed_elsewhere(facts: &Facts, image_id: &ImageId, snapshot_id: &SnapshotId, account: AccountId) -> bool {
    facts.images.iter().any(|(id, image)| {
        image.known_snapshots().filter(|snapshot| snapshot.id == *snapshot_id).any(|snapshot| {
            let is_other_and_shared = id != image_id && image.shared_accounts().contains(&account);
            is_other_and_shared || snapshot.needed_by.iter().flatten().any(|(needs, _)| *needs == account)
        })
    })
}

fn permissions_left(case: &Case<'_>, facts: &Facts, image_id: &ImageId, image: &Image) -> Vec<Found> {
    let shared = image.shared_accounts();
    let own = image.known_snapshots().filter(|snapshot| snapshot.owner == case.account);
    let mut found = Vec::new();
    for snapshot in own.filter(|snapshot| snapshot.needed_by.is_known()) {
        let accounts = snapshot.may_create_volumes().filter(|account| !shared.contains(account));
        let left = accounts.filter(|account| !is_needed_elsewhere(facts, image_id, &snapshot.id, *account));
        found.extend(left.map(|account| Found {
            code: FindingCode::SnapshotPermissionLeft,
            target: Some(Target::Account(account)),
            message: format!(
                "{account} may create volumes from {} of {{image}}, which is not shared with it",
                snapshot.id
            ),
            remedy: format!(
                "`revoke` {{image}} for {account}; that also removes the account's create volume permissions"
            ),
        }));
    }
    found
}

/// Our grants whose Name has this image and an account with which it is not shared. Only these are certainly orphaned: the
/// Name says whom they are for, and the issuer that they are ours.
fn orphaned_grants<'a>(
    case: &Case<'_>,
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
        .filter(|(_, grant)| grant.is_issued_by(case.account))
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
        message: format!("grant {} (`{name}`) on {key} is for a share that does not exist", grant.grant_id),
        remedy: format!(
            "`repair` revokes it; by hand: `aws kms revoke-grant --region {} --key-id {key} --grant-id {}`",
            key.region(),
            grant.grant_id
        ),
    }
}

fn key_access_lost(
    case: &Case<'_>,
    facts: &Facts,
    judgements: &Judgements<'_>,
    image_id: &ImageId,
    image: &Image,
) -> Reading<Vec<Found>> {
    let targets: Vec<_> = image.shared_targets().into_iter().filter(|target| wants_keys(case, image, target)).collect();
    let lost = |target: Option<Target>, message: String, remedy: String| {
        let code = FindingCode::KeyAccessLost;
        Found { code, target, message, remedy }
    };
    let mut found = Vec::new();
    for arn in image.keys().into_iter().filter(|arn| arn.account() == case.account && !targets.is_empty()) {
        let key = BackingKey::new(case, facts, arn);
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
            let again = rule_that_grants(case, judgements, &key, image_id, image, target)?;
            let remedy = match (again, &access.remedy) {
                (Some(rule), _) if is_about_pair(case, image, target) => format!(
                    "`share` {{image}} with {target} again: rule {} creates the missing grant",
                    quoted(&rule.name)
                ),
                (Some(_), _) => format!(
                    "have {{image}} shared with {target} again by somebody whose rule has `keys: grant`: that creates the \
                     missing grant"
                ),
                (None, Some(statements)) => format!("add to the key policy of {arn}: {statements}"),
                (None, None) => format!("use `check` to see which statement of the key policy of {arn} denies it"),
            };
            found.push(lost(Some(target.clone()), message, remedy));
        }
    }
    Ok(found)
}

/// The rule because of which sharing again creates a grant, if that grant lets the target use the key.
fn rule_that_grants<'a>(
    case: &Case<'a>,
    judgements: &Judgements<'_>,
    key: &BackingKey<'_>,
    image_id: &ImageId,
    image: &Image,
    target: &Target,
) -> Reading<Option<&'a Rule>> {
    let is_possible = case.setup.key_grants && image.state == ImageState::Available;
    let Some(account) = target.account().filter(|_| is_possible) else { return Ok(None) };
    let rules = sharing_rules(case, image, target);
    let Some(rule) = rules.into_iter().find(|rule| rule.keys == KeyCheck::Grant) else { return Ok(None) };
    let needed = NeededGrant::new(key.arn, image_id, account, GranteeKind::Account);
    let with_grant = judgements.of(key, target, &KeyUse::Launch, By::Made(&needed))?;
    Ok((with_grant.verdict == Verdict::Allowed).then_some(rule))
}

/// Whether every rule that allows this share checks the keys.
fn wants_keys(case: &Case<'_>, image: &Image, target: &Target) -> bool {
    let rules = sharing_rules(case, image, target);
    !rules.is_empty() && rules.iter().all(|rule| rule.keys != KeyCheck::Unchecked)
}

/// The missing shares of rules with `onAvailable`. A rule with a `maxDuration` is skipped, because its share may have
/// expired.
fn rules_not_applied(case: &Case<'_>, image: &Image) -> Vec<Found> {
    let automation = Requester::new(format!("events:{}:aws.ec2", case.account));
    let rules = rules_by_name(case, image, |rule, name, tags| {
        rule.on_available
            && rule.names(&automation)
            && rule.images.include(name, tags)
            && rule.images.shortfalls(&image.provenance, case.now).is_empty()
    });
    let is_available = image.state == ImageState::Available;
    let lasting = rules.into_iter().filter(|rule| is_available && rule.max_duration.is_none());
    let pairs = lasting.flat_map(|rule| rule.targets.iter().map(move |target| (rule, target)));
    let missing = pairs.filter(|(_, target)| **target != Target::Account(image.owner) && !image.is_shared_with(target));
    missing
        .map(|(rule, target)| Found {
            code: FindingCode::RuleNotApplied,
            target: Some(target.clone()),
            message: if is_about_pair(case, image, target) {
                format!(
                    "rule `{}` has `onAvailable` and the target {target}, but {{image}} is not shared with it",
                    rule.name
                )
            } else {
                format!("a rule has `onAvailable` and the target {target}, but {{image}} is not shared with it")
            },
            remedy: "use `check` to see what prevents it, and `share` it, or change the rule".to_owned(),
        })
        .collect()
}

/// The overdue records, with those of renewed shares, which are only deleted.
fn overdue_records(case: &Case<'_>, image: &Image) -> Vec<ExpiryName> {
    let overdue = image.expiries.iter().flatten().filter(|(_, expiry)| case.now - expiry.at > OVERDUE);
    overdue.map(|(name, _)| name.clone()).collect()
}

fn overdue(case: &Case<'_>, image: &Image) -> Vec<Found> {
    let recorded = image.expiries.iter().flatten().map(|(_, expiry)| expiry);
    // The earlier record of a renewed share does not expire it.
    let latest = recorded.filter(|expiry| image.expiry_of(&expiry.target) == Some(*expiry));
    let overdue = latest.filter(|expiry| case.now - expiry.at > OVERDUE);
    overdue
        .map(|expiry| Found {
            code: FindingCode::ShareOverdue,
            target: Some(expiry.target.clone()),
            message: format!(
                "the share of {{image}} with {} should have expired at {}",
                expiry.target,
                rfc3339(expiry.at)
            ),
            remedy: format!(
                "`repair` removes its access; if that fails too, see the log for the schedule `{}`",
                expiry.name
            ),
        })
        .collect()
}
