//! Owns the answer about a use: whether the key lets this target launch from, or copy, what is encrypted with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Serialize;
use serde_json::Value;

use super::{
    because::Because,
    caller::{INFRASTRUCTURE_ROLE, OrganizationFacts},
    calls::{Calls, Carried, decide},
    document::Policy,
    evaluate::{ActionVerdict, Decision, Reason, Sides},
    grants::Grant,
    key_use::{AskedUse, KeyUse, NEEDED, NEEDED_UNDER_THE_SAME_KEY},
    remark::Remark,
    remedy::{Remedy, RemedySearch, account_to_list},
    several::{Several, worst},
    statement::Effect,
};
use crate::domain::{KeyArn, Target};

/// The question that [`judge`] answers.
#[derive(Debug, Clone, Copy)]
pub struct KeyQuestion<'a> {
    /// The key.
    pub key: &'a KeyArn,
    /// Its key policy.
    pub policy: &'a Policy,
    /// Its grants, if they were read.
    pub grants: &'a [Grant],
    /// The target that uses it.
    pub target: &'a Target,
    /// Where the target is in AWS Organizations: its own path, or the paths of accounts below it.
    pub organization: &'a OrganizationFacts,
    /// What the target does with it.
    pub key_use: &'a KeyUse,
}

/// Whether the key lets the target in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every needed action is certainly allowed.
    Allowed,
    /// It depends on something that is not known in advance.
    Conditional,
    /// At least one needed action is not allowed by anything.
    Missing,
    /// A statement certainly denies at least one needed action.
    Denied,
    /// The key policy could not be read.
    Unknown,
}

/// What a target can't do although the key lets it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// New volumes must be encrypted under a key of the target's own, which is EBS's default:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/AMIEncryption.html>
    DefaultKeyOnly,
}

/// Whether a key lets a target in, why, and what is missing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyAccess {
    /// The verdict on the use.
    pub verdict: Verdict,
    /// The statements and grants that decided it.
    pub because: Vec<Because>,
    /// The verdict on each action of the use.
    pub per_action: BTreeMap<String, ActionVerdict>,
    /// The needed actions that nothing allows.
    pub missing: Vec<String>,
    /// The condition keys that a conditional verdict depends on.
    pub depends_on: Vec<String>,
    /// What the target can't do although the verdict is `allowed`.
    pub limits: Vec<Limit>,
    /// Statements that depend on where a call comes from, and so will probably deny EC2's calls, in words.
    pub likely_to_fail: Vec<String>,
    /// In words: the statement that nearly allowed an action, remarks on the statements that decided, and what the
    /// remedy needs.
    pub notes: Vec<String>,
    /// The statements to add to the key policy, as an array to paste. None if a `Deny` must be changed first (the
    /// notes name it), and none for a service-linked role.
    pub remedy: Option<Value>,
    /// For a service-linked role: the parameters of the `CreateGrant` that lets it in.
    #[serde(skip)]
    pub grant_remedy: Option<Value>,
    /// What to do instead of changing the key policy, if that is enough. The notes contain it too.
    #[serde(skip)]
    pub advice: Option<String>,
}

/// Says whether the key lets the target in. The target's own IAM policies are not evaluated.
///
/// A service-linked role's own IAM policy holds no KMS permission and nobody can change it, so in
/// another account than the key's only a grant helps the role, whatever the key policy allows:
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html>
pub fn judge(question: &KeyQuestion<'_>) -> KeyAccess {
    let KeyQuestion { key, policy, grants, target, organization, key_use } = *question;
    Judgement::new(key, policy, target, organization, key_use).access(grants)
}

/// What a key policy allows one target for one use.
///
/// [`new`](Self::new) evaluates every statement about the target for every call. [`access`](Self::access) does not
/// evaluate them again. So each target costs one evaluation, for any number of sets of grants.
#[derive(Debug, Clone)]
pub struct Judgement<'p> {
    asked: AskedUse,
    policy: &'p Policy,
    /// `None` if no caller exists: a service-linked role of a whole organization.
    found: Option<PolicyVerdicts<'p>>,
}

/// What the statements of the policy say.
#[derive(Debug, Clone)]
struct PolicyVerdicts<'p> {
    calls: Calls,
    /// The four calls of [`NEEDED`], then those of [`NEEDED_UNDER_THE_SAME_KEY`].
    sides: Vec<(&'static str, Sides<'p>)>,
    /// For each action that no statement allows, the statement that nearly allowed it, in words.
    misses: BTreeMap<&'static str, String>,
    /// What would make a conditional verdict certain.
    advice: Option<String>,
}

impl<'p> Judgement<'p> {
    /// Evaluates the policy, without any grants.
    pub fn new(
        key: &KeyArn,
        policy: &'p Policy,
        target: &Target,
        organization: &OrganizationFacts,
        key_use: &KeyUse,
    ) -> Self {
        Self::by_calls(Arc::new(Carried::by_calls_on(key)), key, policy, target, organization, key_use)
    }

    /// The same by calls that carry these condition keys.
    pub(super) fn by_calls(
        carried: Arc<Carried>,
        key: &KeyArn,
        policy: &'p Policy,
        target: &Target,
        organization: &OrganizationFacts,
        key_use: &KeyUse,
    ) -> Self {
        let (key, target) = (key.clone(), target.clone());
        let (organization, key_use) = (organization.clone(), key_use.clone());
        let asked = AskedUse { key, target, organization, key_use };
        let found = Calls::of(&asked, carried).map(|calls| {
            let sides = calls.ask(policy);
            let unallowed = sides.iter().filter(|(_, sides)| sides.allows.is_empty()).map(|(action, _)| *action);
            let misses = unallowed.filter_map(|action| Some((action, calls.nearest_miss(policy, action)?))).collect();
            let decisions = decide(&sides, calls.granted(&[]));
            let needed = decisions.get(..NEEDED.len()).unwrap_or(&decisions);
            let is_open = worst(needed) == ActionVerdict::Conditional;
            let advice = is_open.then(|| account_to_list(&asked, policy, &calls)).flatten();
            PolicyVerdicts { calls, sides, misses, advice }
        });
        Self { asked, policy, found }
    }

    /// The answer, with these grants.
    pub fn access(&self, grants: &[Grant]) -> KeyAccess {
        let Some(PolicyVerdicts { calls, sides, misses, advice }) = &self.found else {
            return KeyAccess::unknown("a service-linked role belongs to one account: an organization has none");
        };
        let decisions = decide(sides, calls.granted(grants));
        let (needed, rest) = decisions.split_at_checked(NEEDED.len()).unwrap_or((&decisions, &[]));
        let (needed_all, rest_all) = (Several::of(needed), Several::of(rest));
        let verdict = Verdict::of(needed_all.verdict);

        let mut notes = infrastructure_denied(needed);
        let mut limits = Vec::new();
        let is_open = matches!(verdict, Verdict::Allowed | Verdict::Conditional);
        if is_open && rest_all.verdict > needed_all.verdict {
            limits.push(Limit::DefaultKeyOnly);
            notes.push(format!(
                "new volumes must be encrypted with a key of the target's own; to encrypt them with this key, the target also needs \
                 {}",
                NEEDED_UNDER_THE_SAME_KEY.join(" and ")
            ));
        }
        notes.extend(needed_all.missing.iter().filter_map(|action| misses.get(action.as_str()).cloned()));
        if calls.needs_grant() && verdict != Verdict::Allowed {
            notes.push(
                "a service-linked role has no KMS permission of its own: \
                 only a grant on the key lets it in, whatever the key policy allows"
                    .to_owned(),
            );
        }
        if verdict == Verdict::Allowed {
            notes.push(
                "the key lets the target in; the target's own IAM policies and its organization's policies must also allow the \
                 calls"
                    .to_owned(),
            );
        }
        notes.extend(remarks_on(self.policy, &decisions));
        let remedy = if verdict == Verdict::Allowed {
            Remedy::default()
        } else {
            let advice = advice.as_ref().filter(|_| verdict == Verdict::Conditional);
            let search = RemedySearch { asked: &self.asked, policy: self.policy, calls, sides, grants, advice };
            Remedy::find(&search, &decisions)
        };
        notes.extend(remedy.notes);
        notes.extend(remedy.advice.clone());
        KeyAccess {
            verdict,
            because: needed_all.because,
            per_action: needed_all.per_action.into_iter().chain(rest_all.per_action).collect(),
            missing: needed_all.missing,
            depends_on: needed_all.depends_on,
            limits,
            likely_to_fail: likely_to_fail(needed),
            notes,
            remedy: remedy.statements,
            grant_remedy: remedy.grant,
            advice: remedy.advice,
        }
    }
}

impl KeyAccess {
    /// The answer for a key whose policy could not be read; the message says why.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Unknown,
            because: Vec::new(),
            per_action: BTreeMap::new(),
            missing: Vec::new(),
            depends_on: Vec::new(),
            limits: Vec::new(),
            likely_to_fail: Vec::new(),
            notes: vec![message.into()],
            remedy: None,
            grant_remedy: None,
            advice: None,
        }
    }
}

impl Verdict {
    fn of(verdict: ActionVerdict) -> Self {
        match verdict {
            ActionVerdict::Allowed => Self::Allowed,
            ActionVerdict::Conditional => Self::Conditional,
            ActionVerdict::ImplicitDeny => Self::Missing,
            ActionVerdict::Denied => Self::Denied,
        }
    }
}

/// The condition keys that say where a call comes from. EBS's calls come from EC2's own infrastructure, so a `Deny`
/// that depends on them usually applies.
///
/// <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-aws.html>
const INFRASTRUCTURE_KEYS: [&str; 8] = [
    "aws:sourceip",
    "aws:sourcevpc",
    "aws:sourcevpcarn",
    "aws:sourcevpce",
    "aws:vpcsourceip",
    "aws:vpceaccount",
    "aws:vpceorgid",
    "aws:vpceorgpaths",
];

fn likely_to_fail(decisions: &[(&str, Decision<'_>)]) -> Vec<String> {
    let mut found = BTreeMap::new();
    let reasons = decisions
        .iter()
        .flat_map(|(_, decision)| decision.reasons.iter().map(move |reason| (reason, &decision.depends_on)));
    for (reason, depends_on) in reasons {
        let (Reason::Statement(statement) | Reason::OnInfrastructure(statement)) = reason else { continue };
        for condition in &statement.conditions {
            let name = condition.key.name.as_str();
            // A condition whose result is known does not depend on where the call comes from.
            if INFRASTRUCTURE_KEYS.contains(&condition.key.folded.as_str()) && depends_on.contains(name) {
                let does = match statement.effect {
                    Effect::Allow => "allows only",
                    Effect::Deny | Effect::Unreadable => "denies",
                };
                let message = format!(
                    "{} {does} certain values of `{name}`, but EBS calls KMS from EC2's own infrastructure: launches are \
                     likely to fail",
                    statement.in_words(),
                );
                found.entry((statement.index, condition.key.folded.clone())).or_insert(message);
            }
        }
    }
    found.into_values().collect()
}

/// The statements that deny EC2 the decryption when a volume is attached, in words.
///
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html#ebs-encryption-instance-permissions>
fn infrastructure_denied(decisions: &[(&str, Decision<'_>)]) -> Vec<String> {
    let reasons = decisions
        .iter()
        .flat_map(|(action, decision)| decision.reasons.iter().map(move |reason| (action, reason, decision.verdict)));
    let words = reasons.filter_map(|(action, reason, verdict)| match reason {
        Reason::OnInfrastructure(statement) => {
            let (denies, so) = if verdict == ActionVerdict::Denied {
                ("denies", "the target's instances can't start")
            } else {
                ("may deny", "the target's instances may fail to start unless the statement exempts that role")
            };
            Some(format!(
                "{} {denies} {action} to `role/{INFRASTRUCTURE_ROLE}`, EC2's own role in the target's account, \
                 which decrypts the volumes of an instance: {so}",
                statement.in_words()
            ))
        }
        Reason::Statement(_) | Reason::Grant(_) => None,
    });
    words.collect()
}

/// The remarks on the statements that decided, and on those that could not be read.
fn remarks_on(policy: &Policy, decisions: &[(&str, Decision<'_>)]) -> Vec<String> {
    let deciding = decisions.iter().flat_map(|(_, decision)| &decision.reasons).filter_map(|reason| match reason {
        Reason::Statement(statement) | Reason::OnInfrastructure(statement) => Some(statement.index),
        Reason::Grant(_) => None,
    });
    let unreadable =
        policy.statements().iter().filter(|statement| statement.is_unreadable).map(|statement| statement.index);
    let about: BTreeSet<usize> = deciding.chain(unreadable).collect();
    let remarks = policy.remarks().iter().filter(|remark| remark.index.is_none_or(|index| about.contains(&index)));
    // A policy may have hundreds of deleted principals.
    remarks.take(20).map(Remark::in_words).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::work, *};

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    /// The longest key policy that KMS accepts, full of patterns that nearly match the caller.
    fn hostile() -> Policy {
        let near = format!("arn:aws:iam::{}*b", "4*".repeat(295));
        let path = format!("o-a1b2c3d4e5/{}*x", "*a".repeat(300));
        let statement = |effect: &str| {
            json!({
                "Effect": effect, "Principal": "*", "Action": "kms:*", "Resource": "*",
                "Condition": {
                    "StringLike": {"aws:PrincipalArn": near, "kms:EncryptionContext:aws:ebs:id": near},
                    "ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": path},
                },
            })
        };
        let statements: Vec<_> =
            (0..16).map(|number| statement(if number % 2 == 0 { "Allow" } else { "Deny" })).collect();
        let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        assert!((30_000..=32_768).contains(&text.len()), "{}", text.len());
        Policy::parse(&text).unwrap()
    }

    #[test]
    fn a_policy_is_read_once_for_each_target_and_never_again_for_its_grants() {
        let (policy, key): (_, KeyArn) = (hostile(), KEY.parse().unwrap());
        let statements = policy.statements().len();
        for target in [
            "444455556666",
            "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5",
            "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111",
        ] {
            let (target, place): (Target, _) = (target.parse().unwrap(), OrganizationFacts::UNKNOWN);
            let new = || Judgement::new(&key, &policy, &target, &place, &KeyUse::Launch);
            // Each statement is evaluated for six calls, for the decryption at attachment, and again for each of the
            // six, to find the statement that nearly allowed it.
            let asked = work::statements_of(new);
            assert!(asked <= statements * (6 + 1 + 6), "{asked} for {statements} statements");
            // The cost of a pattern depends on the length of the compared value, not on its own length: for all calls
            // together, there are fewer steps than the policy has characters.
            let steps = work::steps_of(new);
            assert!(steps <= 32_768, "{steps} steps");

            let judgement = new();
            let grants = |number: usize| vec![Grant { grant_id: number.to_string(), ..Grant::default() }];
            // Only the statements of the remedy are evaluated again.
            let again =
                work::statements_of(|| (0..50).map(|image| judgement.access(&grants(image))).collect::<Vec<_>>());
            assert!(again <= 50 * 2 * 7, "{again} for 50 images");
        }
    }
}
