//! Owns what to add so that a target is let in: key policy statements, or a grant for a role.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    caller::{Known, OrganizationFacts},
    calls::{Calls, may_be_path_of, unit_path},
    condition::Condition,
    context::Source,
    document::Policy,
    evaluate::{ActionVerdict, Decision, Reason, Sides},
    grants::Grant,
    judge::{Asked, KeyUse, NEEDED, decide},
    statement::{Effect, Statement},
};
use crate::domain::{OrganizationalUnitArn, Partition, ServiceLinkedRole, Target};

/// What helps, if anything does. A remedy is offered only if the evaluator, given it, finds that
/// the target is let in; else the notes name what stands in the way.
#[derive(Debug, Default)]
pub(super) struct Remedy {
    /// Statements to add to the key policy.
    pub statements: Option<Value>,
    /// Parameters of `CreateGrant`.
    pub grant: Option<Value>,
    /// What to do instead of either.
    pub advice: Option<String>,
    pub notes: Vec<String>,
}

/// What is to be mended.
pub(super) struct Mending<'a> {
    pub asked: &'a Asked,
    pub policy: &'a Policy,
    pub calls: &'a Calls,
    pub sides: &'a [(&'static str, Sides<'a>)],
    pub grants: &'a [Grant],
    /// What is known to settle the matter.
    pub advice: Option<&'a String>,
}

/// <https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html>
const LONGEST_POLICY: usize = 32 * 1024;

/// What a role that launches instances needs:
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html>
const ROLE_OPERATIONS: [&str; 8] = [
    "Encrypt",
    "Decrypt",
    "ReEncryptFrom",
    "ReEncryptTo",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "DescribeKey",
    "CreateGrant",
];

impl Remedy {
    /// Looks for what lets the target in.
    pub(super) fn find(mending: &Mending<'_>, decisions: &[(&str, Decision<'_>)]) -> Self {
        match &mending.asked.key_use {
            KeyUse::ServiceLinkedRole(role) => Self::grant(mending, role),
            KeyUse::Launch | KeyUse::Copy => match mending.advice {
                Some(advice) => Self { advice: Some(advice.clone()), ..Self::default() },
                None => Self::statements(mending, decisions),
            },
        }
    }

    fn statements(mending: &Mending<'_>, decisions: &[(&str, Decision<'_>)]) -> Self {
        let Mending { asked, policy, calls, sides, grants, .. } = *mending;
        let lacking = decisions.iter().filter(|(_, decision)| decision.verdict != ActionVerdict::Allowed);
        let statements = write(asked, policy, &lacking.map(|(action, _)| *action).collect::<Vec<_>>());
        let Some(added) = Policy::of_statements(&statements) else { return Self::default() };
        // Statements that allow change nothing about those already judged.
        let allowed = calls.ask(&added).into_iter().zip(calls.granted(grants));
        let mended = decide(sides, allowed.map(|((_, added), granted)| added.allows.and(granted)));
        let mut notes = obstacles(&mended);
        if !lets_in(&mended) {
            return Self { notes, ..Self::default() };
        }
        let statements = Value::from(statements);
        let length = policy.len_in_bytes().saturating_add(statements.to_string().len());
        if length > LONGEST_POLICY {
            notes.push(format!(
                "with the statements to add the key policy would have about {length} bytes, and KMS takes {LONGEST_POLICY}: \
                 let an organization in instead of single accounts, or use grants"
            ));
        }
        Self { statements: Some(statements), notes, ..Self::default() }
    }

    fn grant(mending: &Mending<'_>, role: &ServiceLinkedRole) -> Self {
        let Mending { asked, calls, sides, grants, .. } = *mending;
        let (Some(account), Some(partition)) = (asked.target.account(), Partition::parse(asked.key.partition())) else {
            return Self::default();
        };
        let grantee = role.arn(&partition, account);
        let made = [grant_to(&grantee)];
        let granted = calls.granted(grants).into_iter().zip(calls.granted(&made));
        let mended = decide(sides, granted.map(|(granted, made)| granted.and(made)));
        let parameters = json!({
            "KeyId": asked.key.as_str(),
            "GranteePrincipal": grantee,
            "Operations": ROLE_OPERATIONS,
        });
        Self { grant: lets_in(&mended).then_some(parameters), notes: obstacles(&mended), ..Self::default() }
    }
}

/// What to list in the allowlist, where the policy lets a unit in by a path that nobody said is the unit's: another
/// statement would say the same thing twice.
pub(super) fn account_to_list(asked: &Asked, policy: &Policy) -> Option<String> {
    let Target::OrganizationalUnit(unit) = &asked.target else { return None };
    if unit_path(unit, &asked.organization.paths).is_some() {
        return None;
    }
    let paths: BTreeSet<_> = policy.statements().iter().flat_map(|statement| paths_in(statement, unit)).collect();
    let lets_in_by = |path: &String| {
        let organization = OrganizationFacts { paths: Known::Is(vec![path.clone()]), ..asked.organization.clone() };
        Calls::of(&Asked { organization, ..asked.clone() }).is_some_and(|calls| {
            let (sides, none) = (calls.ask(policy), calls.granted(&[]));
            lets_in(&decide(&sides, none))
        })
    };
    paths.iter().take(MOST_PATHS).any(lets_in_by).then(|| {
        format!(
            "list one account of {}, or of a unit below it, with its `organizationPath` in the allowlist's directory: \
             the unit's own path is not known, and it settles whether the key policy covers the unit",
            unit.unit_id()
        )
    })
}

/// How many paths are tried, so that a policy full of them costs no more.
const MOST_PATHS: usize = 8;

/// The paths with which the statement would cover the unit and all below it.
fn paths_in(statement: &Statement, unit: &OrganizationalUnitArn) -> Vec<String> {
    let named = statement.conditions.iter().filter(|condition| condition.key.source == Source::CallerPaths);
    let tops = named.flat_map(Condition::plain_values).filter_map(|value| value.strip_suffix('*'));
    let tops = tops.filter(|top| top.ends_with('/') && !top.contains(['*', '?']));
    let paths = tops.map(|top| {
        let own = unit_path(unit, &Known::Is(vec![top.to_owned()]));
        own.unwrap_or_else(|| format!("{top}{}/", unit.unit_id()))
    });
    paths.filter(|path| may_be_path_of(unit, path)).collect()
}

fn grant_to(grantee: &str) -> Grant {
    Grant {
        grantee_principal: Some(grantee.to_owned()),
        operations: ROLE_OPERATIONS.map(ToOwned::to_owned).to_vec(),
        ..Grant::default()
    }
}

fn lets_in(decisions: &[(&str, Decision<'_>)]) -> bool {
    let needed = decisions.iter().filter(|(action, _)| NEEDED.contains(action));
    needed.fold(true, |so_far, (_, decision)| so_far && decision.verdict == ActionVerdict::Allowed)
}

/// The statements that no addition outweighs, in words.
fn obstacles(decisions: &[(&str, Decision<'_>)]) -> Vec<String> {
    let reasons = decisions
        .iter()
        .flat_map(|(_, decision)| decision.reasons.iter().map(move |reason| (reason, decision.verdict)));
    let words: BTreeSet<(usize, String)> = reasons
        .filter_map(|(reason, verdict)| {
            let (statement, whom) = match reason {
                Reason::Statement(statement) => (statement, "the target"),
                Reason::OnInfrastructure(statement) => (statement, "EC2's own role in the target's account"),
                Reason::Grant(_) => return None,
            };
            let name = statement.in_words();
            let hits = if verdict == ActionVerdict::Denied { "hits" } else { "may hit" };
            let words = match statement.effect {
                Effect::Allow => return None,
                Effect::Deny => {
                    format!("change {name}, a Deny that {hits} {whom}: no statement added can outweigh it")
                }
                Effect::Unreadable => format!("mend {name}: nobody can say whether it denies"),
            };
            Some((statement.index, words))
        })
        .collect();
    words.into_iter().map(|(_, words)| words).collect()
}

/// The statements AWS documents for sharing an encrypted image, cut down to the actions lacking.
///
/// <https://docs.aws.amazon.com/ebs/latest/userguide/share-kms-key.html>
fn write(asked: &Asked, policy: &Policy, lacking: &[&str]) -> Vec<Value> {
    // What EC2 makes grants for is a resource; nobody else needs to make any.
    let (grants, uses): (Vec<&str>, Vec<&str>) = lacking.iter().partition(|action| **action == "kms:CreateGrant");
    let (principal, conditions) = who(asked);
    let statement = |purpose: &str, actions: Vec<&str>, grant: bool| {
        let mut conditions = conditions.clone();
        if grant {
            conditions.push(("Bool", json!({"kms:GrantIsForAWSResource": "true"})));
        }
        let mut statement = json!({
            "Sid": free_sid(asked, policy, purpose),
            "Effect": "Allow",
            "Principal": principal,
            "Action": actions,
            "Resource": "*",
        });
        if let (false, Some(fields)) = (conditions.is_empty(), statement.as_object_mut()) {
            let conditions = conditions.into_iter().map(|(operator, keys)| (operator.to_owned(), keys)).collect();
            fields.insert("Condition".to_owned(), Value::Object(conditions));
        }
        statement
    };
    let mut statements = Vec::new();
    if !uses.is_empty() {
        statements.push(statement("Use", uses, false));
    }
    if !grants.is_empty() {
        statements.push(statement("Grant", grants, true));
    }
    statements
}

/// The principal of the target, and the conditions that tie `*` to an organization.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/share-amis-org-ou-manage.html#allow-org-ou-to-use-key>
fn who(asked: &Asked) -> (Value, Vec<(&'static str, Value)>) {
    let everyone = || json!({"AWS": "*"});
    match &asked.target {
        Target::Account(account) => {
            (json!({"AWS": format!("arn:{}:iam::{account}:root", asked.key.partition())}), Vec::new())
        }
        Target::Organization(organization) => {
            (everyone(), vec![("StringEquals", json!({"aws:PrincipalOrgID": organization.organization_id()}))])
        }
        Target::OrganizationalUnit(unit) => {
            let organization = unit.organization_id();
            // A unit's id is its own in the organization, so the path above it may stay open.
            let path = unit_path(unit, &asked.organization.paths)
                .map_or_else(|| format!("{organization}/*/{}/*", unit.unit_id()), |path| format!("{path}*"));
            let conditions = vec![
                ("StringEquals", json!({"aws:PrincipalOrgID": organization})),
                ("ForAnyValue:StringLike", json!({"aws:PrincipalOrgPaths": [path]})),
            ];
            (everyone(), conditions)
        }
    }
}

/// A `Sid` that says what the statement is for and that the policy does not have yet.
fn free_sid(asked: &Asked, policy: &Policy, purpose: &str) -> String {
    let id = match &asked.target {
        Target::Account(account) => account.to_string(),
        Target::Organization(organization) => organization.organization_id().to_owned(),
        Target::OrganizationalUnit(unit) => unit.unit_id().to_owned(),
    };
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let taken: BTreeSet<&str> = policy.statements().iter().filter_map(|statement| statement.sid.as_deref()).collect();
    let plain = format!("AmiShare{purpose}{id}");
    if !taken.contains(plain.as_str()) {
        return plain;
    }
    (2_usize..)
        .take(taken.len().saturating_add(1))
        .map(|number| format!("{plain}n{number}"))
        .find(|sid| !taken.contains(sid.as_str()))
        .unwrap_or(plain)
}

impl Policy {
    /// A policy of these statements.
    fn of_statements(statements: &[Value]) -> Option<Self> {
        Self::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string()).ok()
    }
}
