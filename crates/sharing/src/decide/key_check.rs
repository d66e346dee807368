//! Owns the check of the keys behind an image: a row per key and target, the grants a share needs, and the refusals
//! that follow.

use std::collections::BTreeSet;

use key_policy::{KeyAccess, KeyUse, Verdict};

use super::{
    backing_key::BackingKey,
    case::Case,
    decision::Covered,
    judgements::{By, Judgements},
    met::Met,
    permit::permit,
    refusals,
};
use crate::{
    allowlist::{KeyCheck, Rule},
    domain::{ImageId, KeyArn, ServiceLinkedRole, Target},
    facts::{Facts, Failure, Image, Reading},
    needs::{GranteeKind, NeededGrant},
    outcome::{ErrorCode, KeyRow, Refusal, RefusalCode, RoleRow},
    request::{Access, Action, AskedTarget},
};

/// Judges every key for every covered target.
pub(super) fn check(
    case: &Case<'_>,
    facts: &Facts,
    judgements: &Judgements<'_>,
    image: &Image,
    image_id: &ImageId,
    targets: &[Covered<'_>],
) -> Reading<Met> {
    let mut met = Met::default();
    let covered: Vec<_> = targets.iter().filter_map(|(asked, rule)| rule.map(|rule| (*asked, rule))).collect();
    for arn in image.keys().into_iter().filter(|_| !covered.is_empty()) {
        let key = BackingKey::new(case, facts, arn);
        if let Some((code, message, remedy)) = key.unusable() {
            met.refusals.push(refusals::image(code, image_id, message).remedy(remedy));
            continue;
        }
        if let Some(end) = key.metadata().and_then(|metadata| metadata.ends_at.as_ref()) {
            met.warnings.push(format!("{arn} can't be used after {end}: its material expires or it is deleted then"));
        }
        for (asked, rule) in &covered {
            met.add(check_pair(judgements, &key, image_id, asked, rule)?);
        }
    }
    Ok(met)
}

/// Judges one key for one target, with the grants that it needs and the rule allows.
fn check_pair(
    judgements: &Judgements<'_>,
    key: &BackingKey<'_>,
    image_id: &ImageId,
    asked: &AskedTarget,
    rule: &Rule,
) -> Reading<Met> {
    let (arn, target) = (key.arn, &asked.target);
    let (access, grant) = match (rule.keys, target.account()) {
        (KeyCheck::Grant, Some(account)) => {
            let needed = NeededGrant::new(arn, image_id, account, GranteeKind::Account);
            judge_with_grant(judgements, key, target, needed)?
        }
        (KeyCheck::Grant | KeyCheck::Verify | KeyCheck::Unchecked, _) => {
            (judgements.of(key, target, &key_use(key.case), By::All)?, Own::NotNeeded)
        }
    };
    let (lacking, made) = match grant {
        Own::NotNeeded => (None, None),
        Own::Made(grant) => (None, Some(grant)),
        Own::Lacking(grant) => (Some(grant), None),
    };
    let mut met = Met { grants: made.into_iter().collect(), ..Met::default() };
    let (roles, of_roles) = check_roles(judgements, key, image_id, asked, rule)?;
    met.add(of_roles);
    let row = KeyRow { key_arn: arn.clone(), target: target.clone(), access, roles };
    if row.access.verdict != Verdict::Allowed {
        met.add(match (rule.keys, lacking) {
            (KeyCheck::Unchecked, _) => Met::warned(unchecked_warning(&row)),
            (KeyCheck::Verify | KeyCheck::Grant, Some(grant)) => {
                Met::refused(refusals::key_grants_off(image_id, asked, &grant))
            }
            (KeyCheck::Verify | KeyCheck::Grant, None) => Met::refused(refusal(image_id, asked, &row, key.unread())),
        });
    }
    met.keys.push(row);
    Ok(met)
}

/// What a share does with a grant of its own.
enum Own {
    /// None is needed, none would help, or it is there.
    NotNeeded,
    /// It makes this one.
    Made(NeededGrant),
    /// It would need this one, and the deployment makes none.
    Lacking(NeededGrant),
}

/// Judges one key for an account that may be let in by a grant of the image's own.
fn judge_with_grant(
    judgements: &Judgements<'_>,
    key: &BackingKey<'_>,
    target: &Target,
    needed: NeededGrant,
) -> Reading<(KeyAccess, Own)> {
    let (case, key_use) = (key.case, key_use(key.case));
    let by_policy = judgements.of(key, target, &key_use, By::Policy)?;
    let with_grant = judgements.of(key, target, &key_use, By::Made(&needed))?;
    let is_made = needed.is_among(key.known_grants(), case.account);
    Ok(match (by_policy.verdict, with_grant.verdict) {
        (Verdict::Missing | Verdict::Conditional, Verdict::Allowed) if !case.setup.key_grants && !is_made => {
            (by_policy, Own::Lacking(needed))
        }
        // The image's own grant, whatever others there are: those may go without notice.
        (Verdict::Missing | Verdict::Conditional, Verdict::Allowed) => {
            let story = if is_made { "is there" } else { "a share makes" };
            let mut access = with_grant;
            access.notes.insert(0, format!("by the image's own grant `{}`, which {story}", needed.name));
            (access, if is_made { Own::NotNeeded } else { Own::Made(needed) })
        }
        // No grant goes around a Deny.
        (Verdict::Missing | Verdict::Conditional, _) => (with_grant, Own::NotNeeded),
        (Verdict::Allowed | Verdict::Denied | Verdict::Unknown, _) => (by_policy, Own::NotNeeded),
    })
}

/// Judges the service-linked roles asked for (a check always asks for Auto Scaling's), with the grants that they need.
fn check_roles(
    judgements: &Judgements<'_>,
    key: &BackingKey<'_>,
    image_id: &ImageId,
    asked: &AskedTarget,
    rule: &Rule,
) -> Reading<(Vec<RoleRow>, Met)> {
    let mut met = Met::default();
    let BackingKey { case, arn, .. } = *key;
    let Some(account) = asked.target.account() else {
        if let Some(role) = case.request.service_linked_roles.first() {
            met.warnings.push(format!(
                "`{role}` was not given a grant for {}: a grant names a role in one account; ask for its accounts one by one",
                asked.target
            ));
        }
        return Ok((Vec::new(), met));
    };
    let mut rows = Vec::new();
    for role in roles(case) {
        let needed = NeededGrant::new(arn, image_id, account, GranteeKind::Role(role.clone()));
        let key_use = KeyUse::ServiceLinkedRole(role.clone());
        let is_asked_for = rule.keys == KeyCheck::Grant && case.request.service_linked_roles.contains(&role);
        let mut verdict = judgements.of(key, &asked.target, &key_use, By::All)?.verdict;
        if is_asked_for && !needed.is_among(key.known_grants(), case.account) {
            let with_grant = judgements.of(key, &asked.target, &key_use, By::Made(&needed))?.verdict;
            if with_grant == Verdict::Allowed && !case.setup.key_grants {
                met.refusals.push(refusals::key_grants_off(image_id, asked, &needed));
            } else if with_grant == Verdict::Allowed {
                verdict = with_grant;
                met.grants.push(needed.clone());
            } else {
                met.warnings.push(format!(
                    "`{role}` in {account} was not given a grant on {arn}: the key policy denies it, or may; Auto Scaling or Spot launches there can fail"
                ));
            }
        }
        let remedy = (verdict != Verdict::Allowed).then(|| needed.command());
        rows.push(RoleRow { role, verdict, remedy });
    }
    Ok((rows, met))
}

fn roles(case: &Case<'_>) -> Vec<ServiceLinkedRole> {
    let mut roles = case.request.service_linked_roles.clone();
    let auto_scaling = ServiceLinkedRole::AutoScaling { suffix: None };
    if case.request.action == Action::Check && !roles.contains(&auto_scaling) {
        roles.push(auto_scaling);
    }
    roles
}

/// The grantees whose grants matter: accounts that a key's policy alone neither lets in nor denies, and the roles.
pub fn grantees_to_look_up(
    case: &Case<'_>,
    facts: &Facts,
    judgements: &Judgements<'_>,
) -> Reading<Vec<(KeyArn, String)>> {
    let mut pairs = BTreeSet::new();
    for image_id in &case.request.image_ids {
        let Some(image) = facts.images.get(image_id) else { continue };
        let covered = permit(case, &facts.images, image_id).targets.into_iter().map(|(asked, _)| &asked.target);
        for account in covered.filter_map(Target::account) {
            let own = image.keys().into_iter().filter(|arn| arn.account() == case.account);
            pairs.extend(own.map(|arn| (arn, account)));
        }
    }
    let mut wanted = Vec::new();
    for (arn, account) in pairs {
        let key = BackingKey::new(case, facts, arn);
        if key.metadata().is_none_or(|metadata| metadata.is_aws_managed) {
            continue;
        }
        let by_policy = judgements.of(&key, &Target::Account(account), &key_use(case), By::Policy)?.verdict;
        if matches!(by_policy, Verdict::Missing | Verdict::Conditional) {
            wanted.push((arn.clone(), GranteeKind::Account.arn(arn, account)));
        }
        let roles = roles(case).into_iter();
        wanted.extend(roles.map(|role| (arn.clone(), GranteeKind::Role(role).arn(arn, account))));
    }
    Ok(wanted)
}

fn key_use(case: &Case<'_>) -> KeyUse {
    match case.request.access {
        Access::Launch => KeyUse::Launch,
        Access::Copy => KeyUse::Copy,
    }
}

fn refusal(image_id: &ImageId, asked: &AskedTarget, row: &KeyRow, unread: Option<&Failure>) -> Refusal {
    let KeyRow { key_arn, target, access, roles: _ } = row;
    let (code, message) = match access.verdict {
        Verdict::Allowed | Verdict::Unknown => {
            (RefusalCode::KeyAccessUnknown, format!("whether {key_arn} lets {target} in is not known"))
        }
        Verdict::Missing => (
            RefusalCode::KeyAccessMissing,
            format!(
                "{key_arn} does not let {target} in: {} missing; its instances would die at launch",
                access.missing.join(", ")
            ),
        ),
        Verdict::Conditional => (
            RefusalCode::KeyAccessConditional,
            format!("whether {key_arn} lets {target} in hangs on {}", access.depends_on.join(", ")),
        ),
        Verdict::Denied => (RefusalCode::KeyAccessDenied, format!("the key policy of {key_arn} denies {target}")),
    };
    // The whole story is in the key's own row; the part that decides is told here too.
    let story = match access.verdict {
        Verdict::Unknown | Verdict::Denied => access.notes.first(),
        Verdict::Conditional => access.likely_to_fail.first(),
        Verdict::Allowed | Verdict::Missing => None,
    };
    let message = story.map_or_else(|| message.clone(), |story| format!("{message}: {story}"));
    // What AWS could not answer now may be answered the next time.
    let may_pass = access.verdict == Verdict::Unknown && unread.is_some_and(|error| error.retryable);
    let refusal = Refusal { may_pass, ..refusals::pair(code, image_id, asked, message) };
    match (&access.remedy, &access.advice) {
        (Some(statements), _) => refusal.remedy(format!("add to the key policy of {key_arn}: {statements}")),
        (None, Some(advice)) => refusal.remedy(advice.clone()),
        (None, None) => refusal.remedy(match (access.verdict, unread) {
            (Verdict::Denied, _) => {
                "change the Deny statement named in `keys`; no grant and no Allow goes around it".to_owned()
            }
            (Verdict::Unknown, Some(Failure { code: ErrorCode::Denied, call: Some(call), .. })) => format!(
                "let the function's role call {call} on {key_arn}, in the role's IAM policy and by the key policy, and \
                 send the request again"
            ),
            (Verdict::Allowed | Verdict::Missing | Verdict::Conditional | Verdict::Unknown, _) => {
                "have the key's owner check that its policy lets the target in, and use a rule with `keys: unchecked`"
                    .to_owned()
            }
        }),
    }
}

fn unchecked_warning(row: &KeyRow) -> String {
    format!(
        "shared without the key check: {} may not let {} in, and its instances would then die at launch",
        row.key_arn, row.target
    )
}
