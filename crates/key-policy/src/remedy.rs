//! Owns the remedy: the statements or the grant that let a target in.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    caller::{Known, OrganizationFacts},
    calls::{Calls, decide},
    condition::Condition,
    context::KeySource,
    document::Policy,
    evaluate::{ActionVerdict, Decision, Reason, Sides},
    grants::Grant,
    key_use::{AskedUse, KeyUse, NEEDED, ROLE_OPERATIONS},
    place::{may_be_path_of, unit_path},
    statement::{Effect, Statement},
};
use crate::domain::{OrganizationalUnitArn, Partition, ServiceLinkedRole, Target};

/// What lets the target in, if anything does. A remedy is given only if the evaluator then finds that the target is let
/// in; otherwise the notes name the statements to change.
#[derive(Debug, Default)]
pub(super) struct Remedy {
    /// Statements to add to the key policy.
    pub statements: Option<Value>,
    /// Parameters of `CreateGrant`.
    pub grant: Option<Value>,
    /// What to do instead.
    pub advice: Option<String>,
    pub notes: Vec<String>,
}

/// The question for which a remedy is searched.
pub(super) struct RemedySearch<'a> {
    pub asked: &'a AskedUse,
    pub policy: &'a Policy,
    pub calls: &'a Calls,
    pub sides: &'a [(&'static str, Sides<'a>)],
    pub grants: &'a [Grant],
    /// What to do instead, where that is already known.
    pub advice: Option<&'a String>,
}

/// <https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html>
const LONGEST_POLICY: usize = 32 * 1024;

impl Remedy {
    /// Looks for what lets the target in.
    pub(super) fn find(search: &RemedySearch<'_>, decisions: &[(&str, Decision<'_>)]) -> Self {
        match &search.asked.key_use {
            KeyUse::ServiceLinkedRole(role) => Self::grant(search, role),
            KeyUse::Launch | KeyUse::Copy => match search.advice {
                Some(advice) => Self { advice: Some(advice.clone()), ..Self::default() },
                None => Self::statements(search, decisions),
            },
        }
    }

    fn statements(search: &RemedySearch<'_>, decisions: &[(&str, Decision<'_>)]) -> Self {
        let RemedySearch { asked, policy, calls, sides, grants, .. } = *search;
        let lacking = decisions.iter().filter(|(_, decision)| decision.verdict != ActionVerdict::Allowed);
        let statements = write(asked, policy, &lacking.map(|(action, _)| *action).collect::<Vec<_>>());
        let Some(added) = Policy::of_statements(&statements) else { return Self::default() };
        // Added `Allow` statements do not change the results of the existing statements.
        let allowed = calls.ask(&added).into_iter().zip(calls.granted(grants));
        let after = decide(sides, allowed.map(|((_, added), granted)| added.allows.and(granted)));
        let mut notes = obstacles(&after);
        if !lets_in(&after) {
            return Self { notes, ..Self::default() };
        }
        let statements = Value::from(statements);
        let length = policy.len_in_bytes().saturating_add(statements.to_string().len());
        if length > LONGEST_POLICY {
            notes.push(format!(
                "with these statements the key policy would have about {length} bytes, and KMS accepts {LONGEST_POLICY}: \
                 allow an organization instead of single accounts, or use grants"
            ));
        }
        Self { statements: Some(statements), notes, ..Self::default() }
    }

    fn grant(search: &RemedySearch<'_>, role: &ServiceLinkedRole) -> Self {
        let RemedySearch { asked, calls, sides, grants, .. } = *search;
        let (Some(account), Some(partition)) = (asked.target.account(), Partition::parse(asked.key.partition())) else {
            return Self::default();
        };
        let grantee = role.arn(&partition, account);
        let made = [grant_to(&grantee)];
        let granted = calls.granted(grants).into_iter().zip(calls.granted(&made));
        let after = decide(sides, granted.map(|(granted, made)| granted.and(made)));
        let parameters = json!({
            "KeyId": asked.key.as_str(),
            "GranteePrincipal": grantee,
            "Operations": ROLE_OPERATIONS,
        });
        Self { grant: lets_in(&after).then_some(parameters), notes: obstacles(&after), ..Self::default() }
    }
}

/// What to add to the allowlist if the policy allows a path and it is not known whether it is the unit's path. A remedy
/// would only repeat the policy.
pub(super) fn account_to_list(asked: &AskedUse, policy: &Policy, calls: &Calls) -> Option<String> {
    let Target::OrganizationalUnit(unit) = &asked.target else { return None };
    if unit_path(unit, &asked.organization.paths).is_some() {
        return None;
    }
    let paths: BTreeSet<_> = policy.statements().iter().flat_map(|statement| paths_in(statement, unit)).collect();
    let lets_in_by = |path: &String| {
        let organization = OrganizationFacts { paths: Known::Is(vec![path.clone()]), ..asked.organization.clone() };
        calls.if_asked(&AskedUse { organization, ..asked.clone() }).is_some_and(|calls| {
            let (sides, none) = (calls.ask(policy), calls.granted(&[]));
            lets_in(&decide(&sides, none))
        })
    };
    paths.iter().take(MOST_PATHS).any(lets_in_by).then(|| {
        format!(
            "list one account of {}, or of a unit below it, with its `organizationPath` in the allowlist's directory: \
             whether the key policy allows the unit depends on the unit's path, which is not known",
            unit.unit_id()
        )
    })
}

/// The most paths that are tried, so that the cost is bounded.
const MOST_PATHS: usize = 8;

/// The paths of the unit for which the statement would apply to the unit and everything below it.
fn paths_in(statement: &Statement, unit: &OrganizationalUnitArn) -> Vec<String> {
    let named = statement.conditions.iter().filter(|condition| condition.key.source == KeySource::CallerPaths);
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
        operations: ROLE_OPERATIONS.iter().map(|operation| (*operation).to_owned()).collect(),
        ..Grant::default()
    }
}

fn lets_in(decisions: &[(&str, Decision<'_>)]) -> bool {
    let needed = decisions.iter().filter(|(action, _)| NEEDED.contains(action));
    needed.fold(true, |so_far, (_, decision)| so_far && decision.verdict == ActionVerdict::Allowed)
}

/// The statements that no added statement can override, in words.
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
            let hits = if verdict == ActionVerdict::Denied { "applies" } else { "may apply" };
            let words = match statement.effect {
                Effect::Allow => return None,
                Effect::Deny => {
                    format!("change {name}, a Deny that {hits} to {whom}: no added statement can override it")
                }
                Effect::Unreadable => format!("fix {name}: it cannot be read, so it may deny"),
            };
            Some((statement.index, words))
        })
        .collect();
    words.into_iter().map(|(_, words)| words).collect()
}

/// The statements that AWS documents for sharing an encrypted snapshot, with only the actions that are missing.
///
/// <https://docs.aws.amazon.com/ebs/latest/userguide/share-kms-key.html>
fn write(asked: &AskedUse, policy: &Policy, lacking: &[&str]) -> Vec<Value> {
    // EC2 creates grants only for its own resources.
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

/// The principal for the target, and the conditions that limit `*` to an organization.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/share-amis-org-ou-manage.html#allow-org-ou-to-use-key>
fn who(asked: &AskedUse) -> (Value, Vec<(&'static str, Value)>) {
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
            // The ID of a unit is unique in its organization, so the path above it may be a wildcard.
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

/// A `Sid` that says what the statement is for, and that no other statement has.
fn free_sid(asked: &AskedUse, policy: &Policy, purpose: &str) -> String {
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
