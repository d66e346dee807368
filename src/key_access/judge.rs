//! Owns the answer for a use: does the key let this target launch from, or copy, an encrypted image?

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::domain::{KeyArn, ServiceLinkedRole, Target};

use super::{
    caller::OrganizationFacts,
    calls::Calls,
    document::{Policy, Remark},
    evaluate::{ActionVerdict, Because, Decision, Reason},
    grants::Grant,
    remedy::Remedy,
    several::Several,
    statement::Effect,
};

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
    let Some(calls) = Calls::of(question) else {
        return KeyAccess::unknown("a service-linked role belongs to one account: an organization has none");
    };
    let decisions = calls.decide(question.policy, question.grants);
    let (needed, rest) = decisions.split_at_checked(NEEDED.len()).unwrap_or((&decisions, &[]));
    let (needed_all, rest_all) = (Several::of(needed), Several::of(rest));
    let verdict = Verdict::of(needed_all.verdict);

    let mut notes = Vec::new();
    let mut limits = Vec::new();
    let is_open = matches!(verdict, Verdict::Allowed | Verdict::Conditional);
    if is_open && rest_all.verdict > needed_all.verdict {
        limits.push(Limit::DefaultKeyOnly);
        notes.push(format!(
            "new volumes must use a key of the target's own; to keep them under this key, {} are needed too",
            NEEDED_UNDER_THE_SAME_KEY.join(" and ")
        ));
    }
    notes.extend(calls.nearest_misses(question.policy, &needed_all.missing));
    if calls.needs_grant() && verdict != Verdict::Allowed {
        notes.push(
            "a service-linked role has no KMS permission of its own: \
             only a grant on the key lets it in, whatever the key policy allows"
                .to_owned(),
        );
    }
    if is_open {
        notes.push(
            "the key lets the target in; the target's own IAM and organization policies also have their say".to_owned(),
        );
    }
    notes.extend(remarks_on(question.policy, &decisions));
    let remedy =
        if verdict == Verdict::Allowed { Remedy::default() } else { Remedy::find(question, &calls, &decisions) };
    notes.extend(remedy.notes);
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
    }
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

/// Keys that say where a call comes from. EBS's calls come from EC2's own infrastructure, so a
/// `Deny` that hangs on them usually hits.
///
/// <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-aws.html>
const INFRASTRUCTURE_KEYS: [&str; 5] =
    ["aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip", "aws:principalisawsservice"];

fn likely_to_fail(decisions: &[(&str, Decision<'_>)]) -> Vec<String> {
    let mut found = BTreeMap::new();
    for reason in decisions.iter().flat_map(|(_, decision)| &decision.reasons) {
        let Reason::Statement(statement) = reason else { continue };
        for condition in &statement.conditions {
            if INFRASTRUCTURE_KEYS.contains(&condition.key.folded.as_str()) {
                let does = match statement.effect {
                    Effect::Allow => "allows only",
                    Effect::Deny | Effect::Unreadable => "denies",
                };
                let message = format!(
                    "{} {does} by `{}`, but EBS calls KMS from EC2's own infrastructure: launching is likely to fail",
                    statement.in_words(),
                    condition.key.name
                );
                found.entry((statement.index, condition.key.folded.clone())).or_insert(message);
            }
        }
    }
    found.into_values().collect()
}

/// The remarks on the statements that decided, and on those that may be anything.
fn remarks_on(policy: &Policy, decisions: &[(&str, Decision<'_>)]) -> Vec<String> {
    let deciding = decisions.iter().flat_map(|(_, decision)| &decision.reasons).filter_map(|reason| match reason {
        Reason::Statement(statement) => Some(statement.index),
        Reason::Grant(_) => None,
    });
    let odd = policy.statements().iter().filter(|statement| statement.is_odd).map(|statement| statement.index);
    let about: BTreeSet<usize> = deciding.chain(odd).collect();
    let remarks = policy.remarks().iter().filter(|remark| remark.index.is_none_or(|index| about.contains(&index)));
    // A policy full of deleted principals must not drown the answer.
    remarks.take(20).map(Remark::in_words).collect()
}
