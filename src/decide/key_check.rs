//! Owns the check of the keys behind an image: a row per key and target, the grants a share needs, and the refusals
//! that follow.

use std::collections::BTreeSet;

use super::{ImageDecision, NeededGrant, Question, covering_rule, refusals};
use crate::{
    allowlist::{Keys, Rule},
    domain::{ImageId, KeyArn, ServiceLinkedRole, Target},
    facts::{Facts, Image, Key},
    key_access::{self, Grant, KeyAccess, KeyUse, Verdict},
    outcome::{Code, ErrorCode, ErrorRow, KeyRow, Refusal, RoleRow},
    plan::GranteeKind,
    request::{Access, Action, AskedTarget},
};

/// Judges every key for every covered target.
pub(super) fn check(question: &Question<'_>, facts: &Facts, image: &Image, decision: &mut ImageDecision<'_>) {
    let covered: Vec<_> = decision.targets.iter().filter_map(|(asked, rule)| rule.map(|rule| (*asked, rule))).collect();
    if covered.is_empty() {
        return;
    }
    for arn in image.keys() {
        let key = facts.keys.get(arn);
        if let Some((code, message, remedy)) = unusable(arn, key) {
            decision.refusals.push(refusals::image(code, decision.image_id, message).remedy(remedy));
            continue;
        }
        if let Some(end) = key.and_then(|key| key.metadata.as_ref().ok()?.ends_at.as_ref()) {
            decision
                .warnings
                .push(format!("{arn} can't be used after {end}: its material expires or it is deleted then"));
        }
        for (asked, rule) in &covered {
            check_pair(question, arn, key, asked, rule, decision);
        }
    }
}

/// Judges one key for one target, and plans the grants that the rule allows.
fn check_pair(
    question: &Question<'_>,
    arn: &KeyArn,
    key: Option<&Key>,
    asked: &AskedTarget,
    rule: &Rule,
    decision: &mut ImageDecision<'_>,
) {
    let target = &asked.target;
    let key_use = match question.request.access {
        Access::Launch => KeyUse::Launch,
        Access::Copy => KeyUse::Copy,
    };
    let judge = |grants: &[Grant]| judge(question, arn, key, grants, target, &key_use);

    let access = match (rule.keys, target.account()) {
        (Keys::Grant, Some(account)) => {
            let needed = NeededGrant::new(arn, decision.image_id, account, GranteeKind::Account);
            let by_policy = judge(&[]);
            let with_grant = judge(&[needed.as_made(question.account)]);
            match (by_policy.verdict, with_grant.verdict) {
                // The image's own grant, whatever others there are: those may go without notice.
                (Verdict::Missing | Verdict::Conditional, Verdict::Allowed) => {
                    let is_made = needed.is_among(known_grants(key), question.account);
                    let story = if is_made { "is there" } else { "a share makes" };
                    let mut access = with_grant;
                    access.notes.insert(0, format!("by the image's own grant `{}`, which {story}", needed.name));
                    if !is_made {
                        decision.grants.push(needed);
                    }
                    access
                }
                // No grant goes around a Deny.
                (Verdict::Missing | Verdict::Conditional, _) => with_grant,
                (Verdict::Allowed | Verdict::Denied | Verdict::Unknown, _) => by_policy,
            }
        }
        (Keys::Grant | Keys::Verify | Keys::Unchecked, _) => judge_by_all(question, arn, key, target, &key_use),
    };
    let row = KeyRow {
        key_arn: arn.clone(),
        target: target.clone(),
        access,
        roles: check_roles(question, arn, key, asked, rule, decision),
    };
    if row.access.verdict != Verdict::Allowed {
        match rule.keys {
            Keys::Unchecked => decision.warnings.push(unchecked_warning(&row)),
            Keys::Verify | Keys::Grant => {
                let unread = unread(question, arn, key);
                decision.refusals.push(refusal(decision.image_id, asked, &row, unread));
            }
        }
    }
    decision.keys.push(row);
}

/// Judges the service-linked roles asked for (a check always asks for Auto Scaling's), and plans their grants.
fn check_roles(
    question: &Question<'_>,
    arn: &KeyArn,
    key: Option<&Key>,
    asked: &AskedTarget,
    rule: &Rule,
    decision: &mut ImageDecision<'_>,
) -> Vec<RoleRow> {
    let roles = roles(question);
    let Some(account) = asked.target.account() else {
        if let Some(role) = question.request.service_linked_roles.first() {
            decision.warnings.push(format!(
                "`{role}` was not given a grant for {}: a grant names a role in one account; ask for its accounts one by one",
                asked.target
            ));
        }
        return Vec::new();
    };
    let mut rows = Vec::new();
    for role in roles {
        let needed = NeededGrant::new(arn, decision.image_id, account, GranteeKind::Role(role.clone()));
        let key_use = KeyUse::ServiceLinkedRole(role.clone());
        let is_asked_for = rule.keys == Keys::Grant && question.request.service_linked_roles.contains(&role);
        let mut verdict = judge_by_all(question, arn, key, &asked.target, &key_use).verdict;
        if is_asked_for && !needed.is_among(known_grants(key), question.account) {
            let as_made = [needed.as_made(question.account)];
            let with_grant = judge(question, arn, key, &as_made, &asked.target, &key_use).verdict;
            if with_grant == Verdict::Allowed {
                verdict = with_grant;
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
    rows
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
pub fn grantees_to_look_up(question: &Question<'_>, facts: &Facts) -> Vec<(KeyArn, String)> {
    let mut pairs = BTreeSet::new();
    for image in facts.images.values().filter(|image| image.owner == question.account) {
        let targets = question.request.targets.iter().map(|asked| &asked.target);
        let covered = targets.filter(|target| covering_rule(question, image, target).is_ok());
        for account in covered.filter_map(Target::account) {
            let own = image.keys().into_iter().filter(|arn| arn.account() == question.account);
            pairs.extend(own.map(|arn| (arn, account)));
        }
    }
    let mut wanted = Vec::new();
    for (arn, account) in pairs {
        let key = facts.keys.get(arn);
        let is_usable = key.and_then(|key| key.metadata.as_ref().ok()).is_some_and(|metadata| !metadata.is_aws_managed);
        if !is_usable {
            continue;
        }
        let by_policy = judge(question, arn, key, &[], &Target::Account(account), &KeyUse::Launch).verdict;
        if matches!(by_policy, Verdict::Missing | Verdict::Conditional) {
            wanted.push((arn.clone(), GranteeKind::Account.arn(arn, account)));
        }
        let roles = roles(question).into_iter();
        wanted.extend(roles.map(|role| (arn.clone(), GranteeKind::Role(role).arn(arn, account))));
    }
    wanted
}

/// Why no target at all can be let in by this key, and what to do about it.
pub(super) fn unusable(arn: &KeyArn, key: Option<&Key>) -> Option<(Code, String, &'static str)> {
    let metadata = key?.metadata.as_ref().ok()?;
    if metadata.is_aws_managed {
        return Some((
            Code::DefaultKey,
            format!("a snapshot is encrypted with {arn}, a key that AWS manages; such an image can't be shared"),
            "copy the image with a customer managed key (`aws ec2 copy-image --encrypted --kms-key-id …`) and share the copy",
        ));
    }
    if let Some(state) = &metadata.unusable_state {
        return Some((
            Code::KeyNotUsable,
            format!("{arn} is in the state {state}, in which nobody can use it"),
            "enable the key, or cancel its deletion, and send the request again",
        ));
    }
    if !metadata.is_symmetric {
        return Some((
            Code::KeyNotUsable,
            format!("{arn} is not a symmetric encryption key; EBS can't use it"),
            "copy the image with another key",
        ));
    }
    None
}

/// The grants that were read.
fn known_grants(key: Option<&Key>) -> &[Grant] {
    key.and_then(|key| key.grants.as_deref().ok()).unwrap_or_default()
}

/// Judges by the policy and every grant. Where the grants can't be read, one of them may let in whom the policy does
/// not: an account, because a grant can't name an organization.
fn judge_by_all(
    question: &Question<'_>,
    arn: &KeyArn,
    key: Option<&Key>,
    target: &Target,
    key_use: &KeyUse,
) -> KeyAccess {
    let access = judge(question, arn, key, known_grants(key), target, key_use);
    let is_open = matches!(access.verdict, Verdict::Missing | Verdict::Conditional);
    match key.map(|key| &key.grants) {
        Some(Err(error)) if is_open && target.account().is_some() => KeyAccess::unknown(format!(
            "the key policy alone does not let {target} in, and the grants can't be read: {}",
            error.message
        )),
        _ => access,
    }
}

/// What of our own key could not be read; nobody but its owner may read another account's.
fn unread<'a>(question: &Question<'_>, arn: &KeyArn, key: Option<&'a Key>) -> Option<&'a ErrorRow> {
    let key = key.filter(|_| arn.account() == question.account)?;
    key.metadata.as_ref().err().or(key.policy.as_ref().err()).or(key.grants.as_ref().err())
}

pub(super) fn judge(
    question: &Question<'_>,
    arn: &KeyArn,
    key: Option<&Key>,
    grants: &[Grant],
    target: &Target,
    key_use: &KeyUse,
) -> KeyAccess {
    let Some(key) = key else {
        return KeyAccess::unknown(format!("{arn} was not read"));
    };
    if arn.account() != question.account {
        return KeyAccess::unknown(format!(
            "{arn} belongs to account {}, and only the owner of a key may read its policy",
            arn.account()
        ));
    }
    if let Err(error) = &key.metadata {
        return KeyAccess::unknown(format!("what kind of key {arn} is can't be read: {}", error.message));
    }
    let policy = match &key.policy {
        Ok(policy) => policy,
        Err(error) => return KeyAccess::unknown(format!("the key policy of {arn} can't be read: {}", error.message)),
    };
    let organization = question.allowlist.organization_facts(target);
    key_access::judge(&key_access::Question { key: arn, policy, grants, target, organization: &organization, key_use })
}

fn refusal(image_id: &ImageId, asked: &AskedTarget, row: &KeyRow, unread: Option<&ErrorRow>) -> Refusal {
    let KeyRow { key_arn, target, access, roles: _ } = row;
    let (code, message) = match access.verdict {
        Verdict::Allowed | Verdict::Unknown => {
            (Code::KeyAccessUnknown, format!("whether {key_arn} lets {target} in is not known"))
        }
        Verdict::Missing => (
            Code::KeyAccessMissing,
            format!(
                "{key_arn} does not let {target} in: {} missing; its instances would die at launch",
                access.missing.join(", ")
            ),
        ),
        Verdict::Conditional => (
            Code::KeyAccessConditional,
            format!("whether {key_arn} lets {target} in hangs on {}", access.depends_on.join(", ")),
        ),
        Verdict::Denied => (Code::KeyAccessDenied, format!("the key policy of {key_arn} denies {target}")),
    };
    // The whole story is in the key's own row; the part that decides is told here too.
    let story = match access.verdict {
        Verdict::Unknown | Verdict::Denied => access.notes.first(),
        Verdict::Conditional => access.likely_to_fail.first(),
        Verdict::Allowed | Verdict::Missing => None,
    };
    let message = story.map_or_else(|| message.clone(), |story| format!("{message}: {story}"));
    let refusal = refusals::pair(code, image_id, asked, message);
    match &access.remedy {
        Some(statements) => refusal.remedy(format!("add to the key policy of {key_arn}: {statements}")),
        None => refusal.remedy(match (access.verdict, unread) {
            (Verdict::Denied, _) => {
                "change the Deny statement named in `keys`; no grant and no Allow goes around it".to_owned()
            }
            (Verdict::Unknown, Some(ErrorRow { code: ErrorCode::Denied, call: Some(call), .. })) => format!(
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
