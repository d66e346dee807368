//! Owns what to add so that a target is let in: key policy statements, or a grant for a role.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::domain::{Partition, Target};

use super::{
    calls::{Calls, unit_path},
    document::Policy,
    evaluate::{ActionVerdict, Decision, Reason},
    grants::Grant,
    judge::{KeyUse, NEEDED, Question},
    statement::Effect,
};

/// What helps, if anything does. A remedy is offered only if the evaluator, given it, finds that
/// the target is let in; else the notes name what stands in the way.
#[derive(Debug, Default)]
pub(super) struct Remedy {
    /// Statements to add to the key policy.
    pub statements: Option<Value>,
    /// Parameters of `CreateGrant`.
    pub grant: Option<Value>,
    pub notes: Vec<String>,
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
    pub(super) fn find(question: &Question<'_>, calls: &Calls<'_>, decisions: &[(&str, Decision<'_>)]) -> Self {
        match question.key_use {
            KeyUse::ServiceLinkedRole(_) => Self::grant(question, calls),
            KeyUse::Launch | KeyUse::Copy => Self::statements(question, calls, decisions),
        }
    }

    fn statements(question: &Question<'_>, calls: &Calls<'_>, decisions: &[(&str, Decision<'_>)]) -> Self {
        let lacking = decisions.iter().filter(|(_, decision)| decision.verdict != ActionVerdict::Allowed);
        let statements = Value::from(write(question, &lacking.map(|(action, _)| *action).collect::<Vec<_>>()));
        let Some(mended) = question.policy.with_statements(&statements) else { return Self::default() };
        let mut notes = obstacles(&calls.decide(&mended, question.grants));
        if !lets_in(&calls.decide(&mended, question.grants)) {
            return Self { notes, ..Self::default() };
        }
        let length = question.policy.len_in_bytes().saturating_add(statements.to_string().len());
        if length > LONGEST_POLICY {
            notes.push(format!(
                "with the statements to add the key policy would have about {length} bytes, and KMS takes {LONGEST_POLICY}: \
                 let an organization in instead of single accounts, or use grants"
            ));
        }
        Self { statements: Some(statements), grant: None, notes }
    }

    fn grant(question: &Question<'_>, calls: &Calls<'_>) -> Self {
        let (KeyUse::ServiceLinkedRole(role), Some(account)) = (question.key_use, question.target.account()) else {
            return Self::default();
        };
        let Some(partition) = Partition::parse(question.key.partition()) else { return Self::default() };
        let grantee = role.arn(&partition, account);
        let grants: Vec<Grant> = question.grants.iter().cloned().chain([grant_to(&grantee)]).collect();
        let decisions = calls.decide(question.policy, &grants);
        let notes = obstacles(&decisions);
        let parameters = json!({
            "KeyId": question.key.as_str(),
            "GranteePrincipal": grantee,
            "Operations": ROLE_OPERATIONS,
        });
        Self { statements: None, grant: lets_in(&decisions).then_some(parameters), notes }
    }
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
        .filter_map(|(reason, verdict)| match reason {
            Reason::Statement(statement) => {
                let name = statement.in_words();
                let words = match (statement.effect, verdict) {
                    (Effect::Allow, _) => return None,
                    (Effect::Deny, ActionVerdict::Denied) => {
                        format!("change {name}, a Deny that hits the target: no statement added can outweigh it")
                    }
                    (Effect::Deny, _) => {
                        format!("change {name}, a Deny that may hit the target: no statement added can outweigh it")
                    }
                    (Effect::Unreadable, _) => format!("mend {name}: nobody can say whether it denies"),
                };
                Some((statement.index, words))
            }
            Reason::Grant(_) => None,
        })
        .collect();
    words.into_iter().map(|(_, words)| words).collect()
}

/// The statements AWS documents for sharing an encrypted image, cut down to the actions lacking.
///
/// <https://docs.aws.amazon.com/ebs/latest/userguide/share-kms-key.html>
fn write(question: &Question<'_>, lacking: &[&str]) -> Vec<Value> {
    // What EC2 makes grants for is a resource; nobody else needs to make any.
    let (grants, uses): (Vec<&str>, Vec<&str>) = lacking.iter().partition(|action| **action == "kms:CreateGrant");
    let (principal, conditions) = who(question);
    let statement = |purpose: &str, actions: Vec<&str>, grant: bool| {
        let mut conditions = conditions.clone();
        if grant {
            conditions.push(("Bool", json!({"kms:GrantIsForAWSResource": "true"})));
        }
        let mut statement = json!({
            "Sid": free_sid(question, purpose),
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
fn who(question: &Question<'_>) -> (Value, Vec<(&'static str, Value)>) {
    let everyone = || json!({"AWS": "*"});
    match question.target {
        Target::Account(account) => {
            (json!({"AWS": format!("arn:{}:iam::{account}:root", question.key.partition())}), Vec::new())
        }
        Target::Organization(organization) => {
            (everyone(), vec![("StringEquals", json!({"aws:PrincipalOrgID": organization.organization_id()}))])
        }
        Target::OrganizationalUnit(unit) => {
            let organization = unit.organization_id();
            // A unit's id is its own in the organization, so the path above it may stay open.
            let path = unit_path(unit, &question.organization.paths)
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
fn free_sid(question: &Question<'_>, purpose: &str) -> String {
    let id = match question.target {
        Target::Account(account) => account.to_string(),
        Target::Organization(organization) => organization.organization_id().to_owned(),
        Target::OrganizationalUnit(unit) => unit.unit_id().to_owned(),
    };
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let taken: BTreeSet<&str> =
        question.policy.statements().iter().filter_map(|statement| statement.sid.as_deref()).collect();
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
    /// The policy with an array of statements added.
    fn with_statements(&self, statements: &Value) -> Option<Self> {
        let added = Self::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string()).ok()?;
        Some(self.joined(added))
    }
}
