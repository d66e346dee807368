//! Owns the check of the keys of an image's snapshots: a row for each key and target, the grants that a share needs,
//! and the refusals.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use key_policy::{KeyAccess, KeyUse, Verdict};
use serde_json::{Value, json};

use super::{
    backing_key::BackingKey,
    case::Case,
    judged_key::JudgedKey,
    judgements::{By, Judgements},
    met::Met,
    permit::{Permit, covering_rule, permit},
    refusals,
};
use crate::{
    allowlist::{KeyCheck, Rule},
    domain::{AccountId, ImageId, KeyArn, Region, ServiceLinkedRole, Target},
    facts::{Facts, Failure, Image, Reading},
    needs::{GranteeKind, NeededGrant},
    outcome::{ErrorCode, KeyRow, Lasts, Refusal, RefusalCode, RoleRow},
    request::{Access, Action, AskedTarget, Request},
};

/// Judges every key for every target, by the rule that covers the target.
pub(super) fn check(
    case: &Case<'_>,
    facts: &Facts,
    judgements: &Judgements<'_>,
    image: &Image,
    image_id: &ImageId,
    targets: &[(&AskedTarget, &Rule)],
) -> Reading<Met> {
    let mut met = Met::default();
    for arn in image.keys().into_iter().filter(|_| !targets.is_empty()) {
        let key = BackingKey::new(case, facts, arn);
        if let Some(refusal) = unusable(case, &key, image, image_id, targets) {
            met.add(Met { has_unusable_key: true, ..Met::refused(refusal) });
            continue;
        }
        // A copy is made with it, so it must be known that it can be used.
        if let (Some(failure), true) = (key.unknown(), image.as_awaited().is_some()) {
            met.refusals.push(refusals::copy_key_unread(image_id, arn, failure));
        }
        if let Some(end) = key.metadata().and_then(|metadata| metadata.ends_at.as_ref()) {
            met.warnings.push(format!("{arn} can't be used after {end}: its material expires or it is deleted then"));
        }
        for (asked, rule) in targets {
            met.add(check_pair(judgements, &key, image_id, asked, rule)?);
        }
    }
    Ok(met)
}

/// Why this key can let no target in.
fn unusable(
    case: &Case<'_>,
    key: &BackingKey<'_>,
    image: &Image,
    image_id: &ImageId,
    targets: &[(&AskedTarget, &Rule)],
) -> Option<Refusal> {
    let (code, message, remedy) = key.unusable()?;
    let refusal = if image.as_awaited().is_some() {
        refusals::image(RefusalCode::CopyKeyNotUsable, image_id, refusals::of_copy_key(key.arn, code, &message))
            .remedy("change the rule's `copies.key` to a customer managed key that can be used")
    } else {
        let by_copy = (code == RefusalCode::DefaultKey).then(|| rule_with_copies(case, image, targets)).flatten();
        let refusal = refusals::image(code, image_id, message);
        match by_copy {
            Some(rule) => refusals::with_remedy_by_copy(refusal, rule, case.region),
            None => refusal.remedy(remedy),
        }
    };
    let state = key.metadata().and_then(|metadata| metadata.unusable_state.as_deref());
    let refusal = match (refusal.code, state) {
        (RefusalCode::KeyNotUsable | RefusalCode::CopyKeyNotUsable, Some(state)) => refusal.value("state", state),
        (_, _) => refusal,
    };
    Some(refusal.key(key.arn))
}

/// The rule that would copy the image within this Region for one of the targets.
fn rule_with_copies<'a>(case: &Case<'a>, image: &Image, targets: &[(&AskedTarget, &Rule)]) -> Option<&'a Rule> {
    let region: Region = case.region.parse().ok()?;
    let allowlist = case.allowlist;
    let request = Request { copy_from: Some(region), ..case.request.clone() };
    let case = Case { request: &request, ..*case };
    let named = targets.iter().find_map(|(asked, _)| {
        let rule = covering_rule(Action::Share, &case, image, &asked.target).ok()??;
        Some(rule.name.clone())
    })?;
    allowlist.rules.iter().find(|rule| rule.name == named)
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
    let Judged { now, deciding, own } = match (rule.keys, target.account()) {
        (KeyCheck::Grant, Some(account)) => {
            let needed = NeededGrant::new(arn, image_id, account, GranteeKind::Account);
            judge_with_grant(judgements, key, target, needed)?
        }
        (KeyCheck::Grant | KeyCheck::Verify | KeyCheck::Unchecked, _) => {
            Judged::by(judgements.of(key, target, &key_use(key.case), By::All)?)
        }
    };
    let (roles, of_roles) = check_roles(judgements, key, image_id, asked, rule)?;
    let granted_roles = of_roles.grants.iter().filter_map(|grant| grant.kind.role().cloned()).collect();
    let mut met = Met::default();
    let (with_grant, lacking) = match own {
        Own::NotNeeded => (None, None),
        Own::Made(grant) => {
            let with_grant = (grant.name.clone(), Arc::clone(&deciding));
            met.grants.push(grant);
            (Some(with_grant), None)
        }
        Own::Lacking(grant) => (None, Some(grant)),
    };
    met.add(of_roles);
    if deciding.verdict != Verdict::Allowed {
        met.add(match (rule.keys, lacking) {
            (KeyCheck::Unchecked, _) => Met::warned(unchecked_warning(arn, target)),
            (KeyCheck::Verify | KeyCheck::Grant, Some(grant)) => {
                Met::refused(refusals::key_grants_off(image_id, asked, &grant))
            }
            (KeyCheck::Verify | KeyCheck::Grant, None) => Met::refused(refusal(image_id, asked, key, &deciding)),
        });
    }
    let row = KeyRow { key_arn: arn.clone(), target: target.clone(), grant: None, access: now, roles };
    met.keys.push(JudgedKey { with_grant, granted_roles, ..JudgedKey::new(row) });
    Ok(met)
}

/// The judgement of a key for a target.
struct Judged {
    /// The current judgement.
    now: Arc<KeyAccess>,
    /// The judgement that decides about a share.
    deciding: Arc<KeyAccess>,
    /// What a share does with a grant of its own.
    own: Own,
}

impl Judged {
    /// The current judgement decides about a share.
    fn by(access: Arc<KeyAccess>) -> Self {
        Self { now: Arc::clone(&access), deciding: access, own: Own::NotNeeded }
    }
}

/// What a share does with a grant of its own.
enum Own {
    /// Nothing: no grant is needed or would help, or the grant exists.
    NotNeeded,
    /// It creates this grant.
    Made(NeededGrant),
    /// It needs this grant, but the deployment can't create grants.
    Lacking(NeededGrant),
}

/// Judges one key for an account, which a grant for the image may let use the key.
fn judge_with_grant(
    judgements: &Judgements<'_>,
    key: &BackingKey<'_>,
    target: &Target,
    needed: NeededGrant,
) -> Reading<Judged> {
    let (case, key_use) = (key.case, key_use(key.case));
    let by_policy = judgements.of(key, target, &key_use, By::Policy)?;
    if matches!(by_policy.verdict, Verdict::Allowed | Verdict::Denied | Verdict::Unknown) {
        return Ok(Judged::by(by_policy));
    }
    let mut with_grant = judgements.of(key, target, &key_use, By::Made(&needed))?;
    let is_there = needed.is_among(key.known_grants(), case.account);
    let (deciding, own) = match with_grant.verdict {
        // The image gets its own grant even if others let the account use the key, because those may be revoked at any
        // time.
        Verdict::Allowed if is_there => {
            Arc::make_mut(&mut with_grant)
                .notes
                .insert(0, format!("by the image's own grant `{}`, which is there", needed.name));
            return Ok(Judged::by(with_grant));
        }
        Verdict::Allowed if case.setup.key_grants => (with_grant, Own::Made(needed)),
        Verdict::Allowed => (by_policy, Own::Lacking(needed)),
        // A grant does not override a Deny.
        Verdict::Missing | Verdict::Conditional | Verdict::Denied | Verdict::Unknown => (with_grant, Own::NotNeeded),
    };
    Ok(Judged { now: judgements.of(key, target, &key_use, By::All)?, deciding, own })
}

/// Judges the requested service-linked roles, with the grants that they need. A check always judges the role of Auto
/// Scaling. A row has the current judgement.
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
                "`{role}` was not given a grant for {}: a grant names a role in one account; send a request for each account",
                asked.target
            ));
        }
        return Ok((Vec::new(), met));
    };
    let mut rows = Vec::new();
    for role in roles(case) {
        let needed = NeededGrant::new(arn, image_id, account, GranteeKind::Role(role.clone()));
        let key_use = KeyUse::ServiceLinkedRole(role.clone());
        let is_asked_for = rule.allows_roles(std::slice::from_ref(&role))
            && rule.keys == KeyCheck::Grant
            && case.request.service_linked_roles.contains(&role);
        let verdict = judgements.of(key, &asked.target, &key_use, By::All)?.verdict;
        if is_asked_for && !needed.is_among(key.known_grants(), case.account) {
            let with_grant = judgements.of(key, &asked.target, &key_use, By::Made(&needed))?.verdict;
            if with_grant == Verdict::Allowed && !case.setup.key_grants {
                met.refusals.push(refusals::key_grants_off(image_id, asked, &needed));
            } else if with_grant == Verdict::Allowed {
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

/// The grantees whose grants matter: the accounts that the key policy alone neither allows nor denies, and the roles.
pub fn grantees_to_look_up(
    case: &Case<'_>,
    facts: &Facts,
    judgements: &Judgements<'_>,
) -> Reading<BTreeSet<(KeyArn, String)>> {
    let mut pairs = BTreeSet::new();
    for image_id in &case.request.image_ids {
        let Some(image) = facts.images.get(image_id) else { continue };
        for account in accounts(case, &facts.images, image_id) {
            let own = image.keys().into_iter().filter(|arn| arn.account() == case.account);
            pairs.extend(own.map(|arn| (arn, account)));
        }
    }
    let mut wanted = BTreeSet::new();
    for (arn, account) in pairs {
        let key = BackingKey::new(case, facts, arn);
        if key.metadata().is_none_or(|metadata| metadata.is_aws_managed) {
            continue;
        }
        let by_policy = judgements.of(&key, &Target::Account(account), &key_use(case), By::Policy)?.verdict;
        if matches!(by_policy, Verdict::Missing | Verdict::Conditional) {
            wanted.insert((arn.clone(), GranteeKind::Account.arn(arn, account)));
        }
        let roles = roles(case).into_iter();
        wanted.extend(roles.map(|role| (arn.clone(), GranteeKind::Role(role).arn(arn, account))));
    }
    Ok(wanted)
}

/// Those of the grantees on a key whose grants may matter to this case: they are accounts that it is about, or roles in these.
pub fn concerned(
    case: &Case<'_>,
    images: &BTreeMap<ImageId, Image>,
    image_id: &ImageId,
    arn: &KeyArn,
    grantees: &BTreeSet<String>,
) -> Vec<String> {
    if grantees.is_empty() {
        return Vec::new();
    }
    let kinds: Vec<_> = roles(case).into_iter().map(GranteeKind::Role).chain([GranteeKind::Account]).collect();
    let of_account = |account| kinds.iter().map(move |kind| kind.arn(arn, account));
    let possible = accounts(case, images, image_id).into_iter().flat_map(of_account);
    possible.filter(|grantee| grantees.contains(grantee)).collect()
}

/// The accounts whose use of the image's keys matters: those that are covered.
fn accounts(case: &Case<'_>, images: &BTreeMap<ImageId, Image>, image_id: &ImageId) -> Vec<AccountId> {
    let Permit { targets, unshareable, .. } = permit(case, images, image_id);
    let covered = targets.iter().map(|(asked, _)| asked).chain(unshareable.iter().map(|(asked, _)| asked));
    covered.filter_map(|asked| asked.target.account()).collect()
}

fn key_use(case: &Case<'_>) -> KeyUse {
    match case.request.access {
        Access::Launch => KeyUse::Launch,
        Access::Copy => KeyUse::Copy,
    }
}

fn refusal(image_id: &ImageId, asked: &AskedTarget, key: &BackingKey<'_>, access: &KeyAccess) -> Refusal {
    let BackingKey { case, arn, .. } = *key;
    let (target, unread) = (case.allowlist.called(&asked.target), key.unread());
    let with_value = |code, message: String, name: &'static str, value: Value| (code, message, Some((name, value)));
    let (code, message, value) = match access.verdict {
        Verdict::Allowed | Verdict::Unknown => {
            let call = unread.and_then(|error| error.call).map(|call| ("call", json!(call)));
            (RefusalCode::KeyAccessUnknown, format!("whether {arn} lets {target} in is not known"), call)
        }
        Verdict::Missing => {
            let missing = access.missing.join(", ");
            let message =
                format!("{arn} does not let {target} in: {missing} missing; its instances would die at launch");
            with_value(RefusalCode::KeyAccessMissing, message, "missing", json!(access.missing))
        }
        Verdict::Conditional => {
            let message = format!("whether {arn} lets {target} in depends on {}", access.depends_on.join(", "));
            with_value(RefusalCode::KeyAccessConditional, message, "dependsOn", json!(access.depends_on))
        }
        Verdict::Denied => {
            let message = format!("the key policy of {arn} denies {target}");
            with_value(RefusalCode::KeyAccessDenied, message, "because", json!(access.because))
        }
    };
    // The key's row has every reason. The refusal has the one that decides.
    let reason = match access.verdict {
        Verdict::Unknown | Verdict::Denied => access.notes.first(),
        Verdict::Conditional => access.likely_to_fail.first(),
        Verdict::Allowed | Verdict::Missing => None,
    };
    let message = reason.map_or_else(|| message.clone(), |reason| format!("{message}: {reason}"));
    // A failed read may succeed the next time.
    let failed_read = unread.filter(|_| access.verdict == Verdict::Unknown);
    let refusal = Refusal {
        lasts: match failed_read {
            Some(error) if error.retryable => Lasts::ForAWhile,
            Some(_) => Lasts::UntilRead,
            None => Lasts::UntilChanged,
        },
        statements: access.remedy.clone(),
        values: value.into_iter().collect(),
        ..refusals::pair(code, image_id, asked, message).key(arn)
    };
    match (&access.remedy, &access.advice) {
        (Some(statements), _) => refusal.remedy(format!("add to the key policy of {arn}: {statements}")),
        (None, Some(advice)) => refusal.remedy(advice.clone()),
        (None, None) => refusal.remedy(match (access.verdict, unread) {
            (Verdict::Denied, _) => {
                "change the Deny statement named in `keys`; no grant and no Allow can override it".to_owned()
            }
            (Verdict::Unknown, Some(Failure { code: ErrorCode::Denied, call: Some(call), .. })) => format!(
                "let the function's role call {call} on {arn}, in the role's IAM policy and by the key policy, and \
                 send the request again"
            ),
            (Verdict::Allowed | Verdict::Missing | Verdict::Conditional | Verdict::Unknown, _) => {
                "ask the key's owner to check that its policy lets the target in, and use a rule with `keys: unchecked`"
                    .to_owned()
            }
        }),
    }
}

fn unchecked_warning(arn: &KeyArn, target: &Target) -> String {
    format!("shared without the key check: {arn} may not let {target} in, and its instances would then die at launch")
}
