//! Owns whether a statement applies to a call: its principal, action, resource and conditions.

use std::borrow::Cow;

use super::{
    caller::{Caller, Identity},
    condition::Condition,
    context::{ConditionKey, ContextFact, RequestContext, UnknownKeys},
    pattern::{matches, matches_resource},
    request::EvaluationRequest,
    statement::{ActionPattern, Element, Statement},
    template::{Resolved, Template},
    truth::Truth,
};
use crate::domain::{AccountId, Arn};

/// A request prepared for comparison: names in lower case.
pub(super) struct Call<'c> {
    pub caller: &'c Caller,
    pub action: String,
    pub resource: &'c str,
    pub context: &'c RequestContext,
}

impl<'c> Call<'c> {
    pub(super) fn new(request: &EvaluationRequest<'c>) -> Self {
        let EvaluationRequest { caller, action, resource, context } = *request;
        Self { caller, action: action.to_ascii_lowercase(), resource, context }
    }

    /// Whether KMS accepts the call from the caller's account: other accounts may use a key, but not manage it.
    pub(super) fn is_possible(&self) -> Truth {
        if CROSS_ACCOUNT.contains(&self.action.as_str()) {
            return Truth::True;
        }
        let owner: Option<AccountId> = Arn::split(self.resource).and_then(|arn| arn.account.parse().ok());
        match (self.caller.identity(), owner, self.caller.account()) {
            (Identity::Service(_), _, _) | (_, None, _) => Truth::True,
            (_, Some(owner), Some(own)) => (owner == own).into(),
            (_, Some(_), None) => Truth::Unknown,
        }
    }

    /// What is known of a condition key.
    pub(super) fn fact(&self, key: &ConditionKey) -> &ContextFact {
        self.caller.fact(key.source).unwrap_or_else(|| self.context.fact(&key.folded, &self.action))
    }

    /// Whether the statement applies: every part of it must.
    pub(super) fn applies<'p>(&self, statement: &'p Statement, unknown: &mut UnknownKeys<'p>) -> Truth {
        let mut so_far = if statement.is_unreadable { Truth::Unknown } else { Truth::True };
        // The first part that does not match decides; most often it is the principal.
        for part in [Self::principal_applies, Self::action_applies, Self::resource_applies] {
            so_far = so_far.and(part(self, statement, unknown));
            if so_far == Truth::False {
                return Truth::False;
            }
        }
        for condition in &statement.conditions {
            so_far = so_far.and(self.condition_holds(condition, unknown));
            if so_far == Truth::False {
                return Truth::False;
            }
        }
        if so_far == Truth::Unknown && unknown.is_empty() {
            unknown.push(statement.label.as_str().into());
        }
        so_far
    }

    pub(super) fn principal_applies<'p>(&self, statement: &'p Statement, unknown: &mut UnknownKeys<'p>) -> Truth {
        #[cfg(test)]
        super::work::count_statement();
        let (truth, key) = statement.is_for(self.caller.whom());
        unknown.extend(key.map(Cow::Borrowed));
        truth
    }

    pub(super) fn action_applies<'p>(&self, statement: &'p Statement, _: &mut UnknownKeys<'p>) -> Truth {
        let named = |patterns: &[ActionPattern]| {
            patterns.iter().fold(Truth::False, |so_far, pattern| {
                so_far.or(match pattern {
                    ActionPattern::Named(pattern) => matches(pattern, &self.action).into(),
                    ActionPattern::Unreadable => Truth::Unknown,
                })
            })
        };
        match &statement.action {
            Element::Missing => Truth::False,
            Element::Is(patterns) => named(patterns),
            Element::IsNot(patterns) => named(patterns).not(),
            Element::Unreadable => Truth::Unknown,
        }
    }

    pub(super) fn resource_applies<'p>(&self, statement: &'p Statement, unknown: &mut UnknownKeys<'p>) -> Truth {
        let mut named = |templates: &'p [Template]| {
            let mut depends = Vec::new();
            let truth = templates.iter().fold(Truth::False, |so_far, template| {
                so_far.or(match template.resolve(|key| self.fact(key)) {
                    Ok(value) => self.resource_matches(&value),
                    Err(unresolved) => unresolved.matched(&mut depends),
                })
            });
            if truth == Truth::Unknown {
                unknown.append(&mut depends);
            }
            truth
        };
        match &statement.resource {
            Element::Missing => Truth::False,
            Element::Is(templates) => named(templates),
            Element::IsNot(templates) => named(templates).not(),
            Element::Unreadable => Truth::Unknown,
        }
    }

    fn resource_matches(&self, value: &Resolved<'_>) -> Truth {
        if value.from_variables.wildcard || value.from_variables.colon {
            return Truth::Unknown;
        }
        matches_resource(&value.pattern, self.resource)
    }

    pub(super) fn condition_holds<'p>(&self, condition: &'p Condition, unknown: &mut UnknownKeys<'p>) -> Truth {
        condition.holds(&|key: &ConditionKey| self.fact(key), unknown)
    }
}

/// The operations that KMS allows on a key of another account. All others fail, whatever the policy says.
///
/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html>
const CROSS_ACCOUNT: &[&str] = &[
    "kms:creategrant",
    "kms:decapsulate",
    "kms:decrypt",
    "kms:derivesharedsecret",
    "kms:describekey",
    "kms:encapsulate",
    "kms:encrypt",
    "kms:generatedatakey",
    "kms:generatedatakeypair",
    "kms:generatedatakeypairwithoutplaintext",
    "kms:generatedatakeywithoutplaintext",
    "kms:generatemac",
    "kms:getkeyrotationstatus",
    "kms:getpublickey",
    "kms:listgrants",
    "kms:reencryptfrom",
    "kms:reencryptto",
    "kms:retiregrant",
    "kms:revokegrant",
    "kms:sign",
    "kms:verify",
    "kms:verifymac",
];
