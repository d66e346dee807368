//! Owns the answer for a use: does the key let this target launch from, or copy, an encrypted image?

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{
    caller::{INFRASTRUCTURE_ROLE, OrganizationFacts},
    calls::Calls,
    document::{Policy, Remark},
    evaluate::{ActionVerdict, Because, Decision, Reason, Side, Sides},
    grants::Grant,
    remedy::{Mending, Remedy, account_to_list},
    several::Several,
    statement::Effect,
};
use crate::domain::{KeyArn, ServiceLinkedRole, Target};

/// What the target wants to do with the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyUse {
    /// Launch instances from the image.
    Launch,
    /// Copy the image and its snapshots, which needs the same of the source key.
    Copy,
    /// Launch through this role of the target account.
    ServiceLinkedRole(ServiceLinkedRole),
}

/// Everything a judgement takes.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The key behind the image.
    pub key: &'a KeyArn,
    /// Its key policy.
    pub policy: &'a Policy,
    /// Its grants, where they were read.
    pub grants: &'a [Grant],
    /// Who is to be let in.
    pub target: &'a Target,
    /// The target's place in AWS Organizations, or the paths of accounts below it.
    pub organization: &'a OrganizationFacts,
    /// What for.
    pub key_use: &'a KeyUse,
}

/// Whether the key lets the target in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All that is needed is surely allowed.
    Allowed,
    /// It hangs on something nobody can know beforehand.
    Conditional,
    /// Nothing allows some of what is needed.
    Missing,
    /// A statement surely denies some of what is needed.
    Denied,
    /// The key policy could not be read.
    Unknown,
}

/// What an allowed target can still not do.
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
    /// The condition keys a conditional verdict hangs on.
    pub depends_on: Vec<String>,
    /// What the target will be unable to do although the verdict is `allowed`.
    pub limits: Vec<Limit>,
    /// In words: denials that are likely to hit EC2's own calls.
    pub likely_to_fail: Vec<String>,
    /// In words: what came nearest, what is odd about the statements, what the remedy needs.
    pub notes: Vec<String>,
    /// The statements to add to the key policy, an array ready to paste; none where a `Deny`
    /// stands in the way (the notes name it), and none for a service-linked role.
    pub remedy: Option<Value>,
    /// For a service-linked role: the parameters of the `CreateGrant` that lets it in.
    #[serde(skip)]
    pub grant_remedy: Option<Value>,
    /// What to do in place of changing the key policy, where that settles the matter; it is among the notes.
    #[serde(skip)]
    pub advice: Option<String>,
}

/// What a launch or copy needs of the source key at least, with the new volumes under another key.
///
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html>
pub const NEEDED: [&str; 4] = ["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncryptFrom"];

/// What it needs beside where the new volumes stay under the source key.
pub const NEEDED_UNDER_THE_SAME_KEY: [&str; 2] = ["kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptTo"];

/// Says whether the key lets the target in. The target's own IAM policies are not looked at.
///
/// A service-linked role's own IAM policy holds no KMS permission and nobody can change it, so in
/// another account than the key's only a grant helps the role, whatever the key policy allows:
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html>
pub fn judge(question: &Question<'_>) -> KeyAccess {
    let Question { key, policy, grants, target, organization, key_use } = *question;
    Judgement::new(key, policy, target, organization, key_use).access(grants)
}

/// What a key policy says of one target and one use.
///
/// Making one asks every statement of the policy about every call. [`access`](Self::access) then asks none of them again,
/// so that a target is judged once, however many images and sets of grants there are.
#[derive(Debug, Clone)]
pub struct Judgement<'p> {
    asked: Asked,
    policy: &'p Policy,
    /// Nothing where nobody can be asking.
    found: Option<Found<'p>>,
}

/// What is asked of a policy.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub key: KeyArn,
    pub target: Target,
    pub organization: OrganizationFacts,
    pub key_use: KeyUse,
}

/// What was found in the policy.
#[derive(Debug, Clone)]
struct Found<'p> {
    calls: Calls,
    /// The four calls of [`NEEDED`], then those of [`NEEDED_UNDER_THE_SAME_KEY`].
    sides: Vec<(&'static str, Sides<'p>)>,
    /// For the actions that no statement allows, the one that came nearest.
    misses: BTreeMap<&'static str, String>,
    /// What settles a verdict that is open.
    advice: Option<String>,
}

impl<'p> Judgement<'p> {
    /// Judges a policy, without any grants.
    pub fn new(
        key: &KeyArn,
        policy: &'p Policy,
        target: &Target,
        organization: &OrganizationFacts,
        key_use: &KeyUse,
    ) -> Self {
        let (key, target) = (key.clone(), target.clone());
        let (organization, key_use) = (organization.clone(), key_use.clone());
        let asked = Asked { key, target, organization, key_use };
        let found = Calls::of(&asked).map(|calls| {
            let sides = calls.ask(policy);
            let unallowed = sides.iter().filter(|(_, sides)| sides.allows.is_empty()).map(|(action, _)| *action);
            let misses = unallowed.filter_map(|action| Some((action, calls.nearest_miss(policy, action)?))).collect();
            let decisions = decide(&sides, calls.granted(&[]));
            let is_open = Several::of(decisions.iter().take(NEEDED.len())).verdict == ActionVerdict::Conditional;
            let advice = is_open.then(|| account_to_list(&asked, policy)).flatten();
            Found { calls, sides, misses, advice }
        });
        Self { asked, policy, found }
    }

    /// The answer, with these grants.
    pub fn access(&self, grants: &[Grant]) -> KeyAccess {
        let Some(Found { calls, sides, misses, advice }) = &self.found else {
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
                "new volumes must use a key of the target's own; to keep them under this key, {} are needed too",
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
                "the key lets the target in; the target's own IAM and organization policies also have their say"
                    .to_owned(),
            );
        }
        notes.extend(remarks_on(self.policy, &decisions));
        let remedy = if verdict == Verdict::Allowed {
            Remedy::default()
        } else {
            let advice = advice.as_ref().filter(|_| verdict == Verdict::Conditional);
            let mending = Mending { asked: &self.asked, policy: self.policy, calls, sides, grants, advice };
            Remedy::find(&mending, &decisions)
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

/// The verdicts on the calls, with what else allows each.
pub(super) fn decide<'a>(
    sides: &[(&'static str, Sides<'a>)],
    more: impl IntoIterator<Item = Side<'a>>,
) -> Vec<(&'static str, Decision<'a>)> {
    sides.iter().zip(more).map(|((action, sides), more)| (*action, sides.decide(more))).collect()
}

impl KeyAccess {
    /// The row for a key whose policy could not be read; the message says why.
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

/// KeyCheck that say where a call comes from. EBS's calls come from EC2's own infrastructure, so a
/// `Deny` that hangs on them usually hits.
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
            // What holds or fails for sure is no matter of where a call comes from.
            if INFRASTRUCTURE_KEYS.contains(&condition.key.folded.as_str()) && depends_on.contains(name) {
                let does = match statement.effect {
                    Effect::Allow => "allows only",
                    Effect::Deny | Effect::Unreadable => "denies",
                };
                let message = format!(
                    "{} {does} by `{name}`, but EBS calls KMS from EC2's own infrastructure: launching is likely to fail",
                    statement.in_words(),
                );
                found.entry((statement.index, condition.key.folded.clone())).or_insert(message);
            }
        }
    }
    found.into_values().collect()
}

/// In words: what denies EC2 the decryption at attachment.
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

/// The remarks on the statements that decided, and on those that may be anything.
fn remarks_on(policy: &Policy, decisions: &[(&str, Decision<'_>)]) -> Vec<String> {
    let deciding = decisions.iter().flat_map(|(_, decision)| &decision.reasons).filter_map(|reason| match reason {
        Reason::Statement(statement) | Reason::OnInfrastructure(statement) => Some(statement.index),
        Reason::Grant(_) => None,
    });
    let odd = policy.statements().iter().filter(|statement| statement.is_unreadable).map(|statement| statement.index);
    let about: BTreeSet<usize> = deciding.chain(odd).collect();
    let remarks = policy.remarks().iter().filter(|remark| remark.index.is_none_or(|index| about.contains(&index)));
    // A policy full of deleted principals must not drown the answer.
    remarks.take(20).map(Remark::in_words).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::work, *};

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    /// The longest key policy that KMS takes, all of it patterns that nearly match who asks.
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
            // Six calls, the decryption at attachment, and once more for what came nearest to allowing each of the six.
            let asked = work::statements_of(new);
            assert!(asked <= statements * (6 + 1 + 6), "{asked} for {statements} statements");
            // A pattern costs what the value it is compared with is long, not what it is long itself: fewer steps than
            // the policy has characters, for all the calls together.
            let steps = work::steps_of(new);
            assert!(steps <= 32_768, "{steps} steps");

            let judgement = new();
            let grants = |number: usize| vec![Grant { grant_id: number.to_string(), ..Grant::default() }];
            // What is asked again are the statements offered as a remedy.
            let again =
                work::statements_of(|| (0..50).map(|image| judgement.access(&grants(image))).collect::<Vec<_>>());
            assert!(again <= 50 * 2 * 7, "{again} for 50 images");
        }
    }
}
