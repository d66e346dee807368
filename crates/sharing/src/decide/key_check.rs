//! Owns the check of the keys behind an image: a row per key and target, the grants a share needs, and the refusals
//! that follow.

use std::collections::BTreeSet;

use key_policy::{KeyAccess, KeyUse, Verdict};
use serde_json::{Value, json};

use super::{
    ImageDecision, JudgedKey, Judgements, NeededGrant, Question, backing_key::BackingKey, judgements::By, permit,
    refusals,
};
use crate::{
    allowlist::{KeyCheck, Rule},
    domain::{ImageId, KeyArn, ServiceLinkedRole, Target},
    facts::{Facts, Image, Reading},
    outcome::{ErrorCode, ErrorRow, KeyRow, Refusal, RefusalCode, RoleRow},
    plan::GranteeKind,
    request::{Access, Action, AskedTarget},
};

/// Judges every key for every covered target.
pub(super) fn check(
    question: &Question<'_>,
    facts: &Facts,
    judgements: &Judgements<'_>,
    image: &Image,
    decision: &mut ImageDecision<'_>,
) -> Reading<()> {
    let covered = decision.targets.iter().filter_map(|(asked, rule)| rule.map(|rule| (*asked, rule)));
    let covered: Vec<_> = covered.chain(decision.short_of_terms.iter().copied()).collect();
    if covered.is_empty() {
        return Ok(());
    }
    for arn in image.keys() {
        let key = BackingKey::new(question, facts, arn);
        if let Some((code, message, remedy)) = key.unusable() {
            let state = key.metadata().and_then(|metadata| metadata.unusable_state.as_deref());
            let mut refusal = refusals::image(code, decision.image_id, message).key(arn).remedy(remedy);
            if let (RefusalCode::KeyNotUsable, Some(state)) = (code, state) {
                refusal = refusal.value("state", state);
            }
            decision.refusals.push(refusal);
            decision.has_unusable_key = true;
            continue;
        }
        if let Some(end) = key.metadata().and_then(|metadata| metadata.ends_at.as_ref()) {
            decision
                .warnings
                .push(format!("{arn} can't be used after {end}: its material expires or it is deleted then"));
        }
        for (asked, rule) in &covered {
            check_pair(judgements, &key, asked, rule, decision)?;
        }
    }
    Ok(())
}

/// Judges one key for one target, and plans the grants that the rule allows.
fn check_pair(
    judgements: &Judgements<'_>,
    key: &BackingKey<'_>,
    asked: &AskedTarget,
    rule: &Rule,
    decision: &mut ImageDecision<'_>,
) -> Reading<()> {
    let BackingKey { question, arn, .. } = *key;
    let target = &asked.target;
    let key_use = key_use(question);

    // What is so now, what a share is judged by where that is something else, and the grant that it makes or can't make.
    let as_read = || judgements.of(key, target, &key_use, By::All);
    let (mut deciding, mut planned, mut lacking) = (None, None, None);
    let now = match (rule.keys, target.account()) {
        (KeyCheck::Grant, Some(account)) => {
            let needed = NeededGrant::new(arn, decision.image_id, account, GranteeKind::Account);
            let by_policy = judgements.of(key, target, &key_use, By::Policy)?;
            let mut with_grant = judgements.of(key, target, &key_use, By::Made(&needed))?;
            let is_there = needed.is_among(key.known_grants(), question.account);
            match (by_policy.verdict, with_grant.verdict) {
                // The image's own grant, whatever others there are: those may go without notice.
                (Verdict::Missing | Verdict::Conditional, Verdict::Allowed) if is_there => {
                    with_grant.notes.insert(0, format!("by the image's own grant `{}`, which is there", needed.name));
                    with_grant
                }
                (Verdict::Missing | Verdict::Conditional, Verdict::Allowed) if question.setup.key_grants => {
                    deciding = Some(with_grant.clone());
                    planned = Some((needed.name.clone(), with_grant));
                    decision.grants.push(needed);
                    as_read()?
                }
                (Verdict::Missing | Verdict::Conditional, Verdict::Allowed) => {
                    deciding = Some(by_policy);
                    lacking = Some(needed);
                    as_read()?
                }
                // No grant goes around a Deny.
                (Verdict::Missing | Verdict::Conditional, _) => {
                    deciding = Some(with_grant);
                    as_read()?
                }
                (Verdict::Allowed | Verdict::Denied | Verdict::Unknown, _) => by_policy,
            }
        }
        (KeyCheck::Grant | KeyCheck::Verify | KeyCheck::Unchecked, _) => as_read()?,
    };
    let deciding = deciding.unwrap_or_else(|| now.clone());
    let (roles, granted_roles) = check_roles(judgements, key, asked, rule, decision)?;
    let row = KeyRow { key_arn: arn.clone(), target: target.clone(), grant: None, access: now, roles };
    if deciding.verdict != Verdict::Allowed {
        match (rule.keys, lacking) {
            (KeyCheck::Unchecked, _) => decision.warnings.push(unchecked_warning(&row)),
            (KeyCheck::Verify | KeyCheck::Grant, Some(grant)) => {
                decision.refusals.push(refusals::key_grants_off(decision.image_id, asked, &grant));
            }
            (KeyCheck::Verify | KeyCheck::Grant, None) => {
                decision.refusals.push(refusal(decision.image_id, asked, key, &deciding));
            }
        }
    }
    decision.keys.push(JudgedKey { with_grant: planned, granted_roles, ..JudgedKey::new(row) });
    Ok(())
}

/// Judges the service-linked roles asked for (a check always asks for Auto Scaling's), and plans their grants. Says of
/// each what is so now, and to which a share gives a grant.
fn check_roles(
    judgements: &Judgements<'_>,
    key: &BackingKey<'_>,
    asked: &AskedTarget,
    rule: &Rule,
    decision: &mut ImageDecision<'_>,
) -> Reading<(Vec<RoleRow>, Vec<ServiceLinkedRole>)> {
    let BackingKey { question, arn, .. } = *key;
    let Some(account) = asked.target.account() else {
        if let Some(role) = question.request.service_linked_roles.first() {
            decision.warnings.push(format!(
                "`{role}` was not given a grant for {}: a grant names a role in one account; ask for its accounts one by one",
                asked.target
            ));
        }
        return Ok((Vec::new(), Vec::new()));
    };
    let (mut rows, mut granted) = (Vec::new(), Vec::new());
    for role in roles(question) {
        let needed = NeededGrant::new(arn, decision.image_id, account, GranteeKind::Role(role.clone()));
        let key_use = KeyUse::ServiceLinkedRole(role.clone());
        let is_asked_for = rule.allows_roles(std::slice::from_ref(&role))
            && rule.keys == KeyCheck::Grant
            && question.request.service_linked_roles.contains(&role);
        let verdict = judgements.of(key, &asked.target, &key_use, By::All)?.verdict;
        if is_asked_for && !needed.is_among(key.known_grants(), question.account) {
            let with_grant = judgements.of(key, &asked.target, &key_use, By::Made(&needed))?.verdict;
            if with_grant == Verdict::Allowed && !question.setup.key_grants {
                decision.refusals.push(refusals::key_grants_off(decision.image_id, asked, &needed));
            } else if with_grant == Verdict::Allowed {
                granted.push(role.clone());
                decision.grants.push(needed.clone());
            } else {
                decision.warnings.push(format!(
                    "`{role}` in {account} was not given a grant on {arn}: the key policy denies it, or may; Auto Scaling or Spot launches there can fail"
                ));
            }
        }
        let remedy = (verdict != Verdict::Allowed).then(|| needed.command());
        rows.push(RoleRow { role, verdict, remedy });
    }
    Ok((rows, granted))
}

fn roles(question: &Question<'_>) -> Vec<ServiceLinkedRole> {
    let mut roles = question.request.service_linked_roles.clone();
    let auto_scaling = ServiceLinkedRole::AutoScaling { suffix: None };
    if question.request.action == Action::Check && !roles.contains(&auto_scaling) {
        roles.push(auto_scaling);
    }
    roles
}

/// The grantees whose grants matter: accounts that a key's policy alone neither lets in nor denies, and the roles.
pub fn grantees_to_look_up(
    question: &Question<'_>,
    facts: &Facts,
    judgements: &Judgements<'_>,
) -> Reading<Vec<(KeyArn, String)>> {
    let mut pairs = BTreeSet::new();
    for image_id in &question.request.image_ids {
        let Some(image) = facts.images.get(image_id) else { continue };
        let ImageDecision { targets, short_of_terms, .. } = permit(question, &facts.images, image_id);
        let covered = targets.iter().map(|(asked, _)| asked).chain(short_of_terms.iter().map(|(asked, _)| asked));
        for account in covered.filter_map(|asked| asked.target.account()) {
            let own = image.keys().into_iter().filter(|arn| arn.account() == question.account);
            pairs.extend(own.map(|arn| (arn, account)));
        }
    }
    let mut wanted = Vec::new();
    for (arn, account) in pairs {
        let key = BackingKey::new(question, facts, arn);
        if key.metadata().is_none_or(|metadata| metadata.is_aws_managed) {
            continue;
        }
        let by_policy = judgements.of(&key, &Target::Account(account), &key_use(question), By::Policy)?.verdict;
        if matches!(by_policy, Verdict::Missing | Verdict::Conditional) {
            wanted.push((arn.clone(), GranteeKind::Account.arn(arn, account)));
        }
        let roles = roles(question).into_iter();
        wanted.extend(roles.map(|role| (arn.clone(), GranteeKind::Role(role).arn(arn, account))));
    }
    Ok(wanted)
}

fn key_use(question: &Question<'_>) -> KeyUse {
    match question.request.access {
        Access::Launch => KeyUse::Launch,
        Access::Copy => KeyUse::Copy,
    }
}

fn refusal(image_id: &ImageId, asked: &AskedTarget, key: &BackingKey<'_>, access: &KeyAccess) -> Refusal {
    let BackingKey { question, arn, .. } = *key;
    let (target, unread) = (question.allowlist.called(&asked.target), key.unread());
    let told = |code, message: String, name: &'static str, value: Value| (code, message, Some((name, value)));
    let (code, message, value) = match access.verdict {
        Verdict::Allowed | Verdict::Unknown => {
            let call = unread.and_then(|error| error.call).map(|call| ("call", json!(call)));
            (RefusalCode::KeyAccessUnknown, format!("whether {arn} lets {target} in is not known"), call)
        }
        Verdict::Missing => {
            let missing = access.missing.join(", ");
            let message =
                format!("{arn} does not let {target} in: {missing} missing; its instances would die at launch");
            told(RefusalCode::KeyAccessMissing, message, "missing", json!(access.missing))
        }
        Verdict::Conditional => {
            let message = format!("whether {arn} lets {target} in hangs on {}", access.depends_on.join(", "));
            told(RefusalCode::KeyAccessConditional, message, "dependsOn", json!(access.depends_on))
        }
        Verdict::Denied => {
            let message = format!("the key policy of {arn} denies {target}");
            told(RefusalCode::KeyAccessDenied, message, "because", json!(access.because))
        }
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
    let refusal = refusals::pair(code, image_id, asked, message).key(arn);
    let refusal =
        Refusal { may_pass, statements: access.remedy.clone(), values: value.into_iter().collect(), ..refusal };
    match (&access.remedy, &access.advice) {
        (Some(statements), _) => refusal.remedy(format!("add to the key policy of {arn}: {statements}")),
        (None, Some(advice)) => refusal.remedy(advice.clone()),
        (None, None) => refusal.remedy(match (access.verdict, unread) {
            (Verdict::Denied, _) => {
                "change the Deny statement named in `keys`; no grant and no Allow goes around it".to_owned()
            }
            (Verdict::Unknown, Some(ErrorRow { code: ErrorCode::Denied, call: Some(call), .. })) => format!(
                "let the function's role call {call} on {arn}, in the role's IAM policy and by the key policy, and \
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
