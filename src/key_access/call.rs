//! Owns whether a statement applies to a call: who asks, for what, on which key, under which conditions.

use crate::domain::{AccountId, Arn};

use super::{
    caller::{Caller, Identity},
    condition::Condition,
    context::{Context, Fact, Key, Unknown},
    evaluate::Request,
    pattern::{matches, matches_arn},
    statement::{ActionPattern, Effect, Element, Statement},
    template::{Resolved, Template},
    truth::Truth,
};

/// A request prepared for comparing: names in lower case.
pub(super) struct Call<'a> {
    pub caller: &'a Caller,
    pub action: String,
    resource: &'a str,
    pub context: &'a Context,
}

impl<'a> Call<'a> {
    pub(super) fn new(request: &Request<'a>) -> Self {
        let Request { caller, action, resource, context } = *request;
        Self { caller, action: action.to_ascii_lowercase(), resource, context }
    }

    /// Whether KMS takes such a call from there at all: other accounts may use a key, not manage it.
    pub(super) fn is_possible(&self) -> bool {
        let owner: Option<AccountId> = Arn::split(self.resource).and_then(|arn| arn.account.parse().ok());
        let foreign = match (self.caller.identity(), owner, self.caller.account()) {
            (Identity::Service(_), _, _) | (_, None, _) | (_, _, None) => false,
            (_, Some(owner), Some(own)) => owner != own,
        };
        !foreign || CROSS_ACCOUNT.contains(&self.action.as_str())
    }

    /// What is known of a key.
    pub(super) fn fact(&self, key: &Key) -> &Fact {
        self.caller.fact(key.source).unwrap_or_else(|| self.context.fact(&key.folded, &self.action))
    }

    /// Whether the statement applies: every part of it must.
    pub(super) fn applies(&self, statement: &'a Statement, unknown: &mut Unknown<'a>) -> Truth {
        let mut so_far = if statement.is_odd { Truth::Unknown } else { Truth::True };
        // The first part that fails settles it; who asks fails most often.
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

    pub(super) fn principal_applies(&self, statement: &'a Statement, unknown: &mut Unknown<'a>) -> Truth {
        match &statement.principal {
            Element::Missing => Truth::False,
            Element::Is(principals) => principals.cover(self.caller, unknown),
            Element::IsNot(principals) => {
                let covered = principals.cover(self.caller, unknown);
                // A name of no known form may be one that KMS understands and we do not.
                let unsure = covered == Truth::False && principals.has_unrecognised();
                // IAM itself calls these unreliable.
                let unreliable = statement.effect == Effect::Deny
                    && covered == Truth::True
                    && principals.lists_member_without_account(self.caller);
                if unsure || unreliable {
                    unknown.push("aws:PrincipalArn".into());
                    return Truth::Unknown;
                }
                covered.not()
            }
            Element::Unreadable => Truth::Unknown,
        }
    }

    pub(super) fn action_applies(&self, statement: &'a Statement, _: &mut Unknown<'a>) -> Truth {
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

    pub(super) fn resource_applies(&self, statement: &'a Statement, unknown: &mut Unknown<'a>) -> Truth {
        let mut named = |templates: &'a [Template]| {
            let mut depends = Vec::new();
            let truth = templates.iter().fold(Truth::False, |so_far, template| {
                so_far.or(match template.resolve(|key| self.fact_for(key)) {
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
        // Whether a `*` reaches over a colon of the ARN is not documented.
        let whole = matches(&value.pattern, self.resource);
        let in_parts = value.text == "*" || matches_arn(&value.pattern, self.resource).unwrap_or(false);
        if whole == in_parts { whole.into() } else { Truth::Unknown }
    }

    pub(super) fn condition_holds(&self, condition: &'a Condition, unknown: &mut Unknown<'a>) -> Truth {
        condition.holds(&|key: &Key| self.fact_for(key), unknown)
    }

    /// [`fact`](Self::fact), for as long as what the request borrows.
    fn fact_for(&self, key: &Key) -> &'a Fact {
        let context: &'a Context = self.context;
        let caller: &'a Caller = self.caller;
        caller.fact(key.source).unwrap_or_else(|| context.fact(&key.folded, &self.action))
    }
}

/// The operations KMS allows on a key of another account; all others fail whatever the policy says.
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
