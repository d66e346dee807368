//! Owns the verdict on one action: every statement and grant in three-valued logic, and why.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use crate::domain::{AccountId, Arn};

use super::{
    caller::{Caller, Identity},
    condition::Condition,
    context::{Context, Fact, Key},
    document::{ActionPattern, Effect, Element, Policy, Statement},
    grants::Grant,
    pattern::{matches, matches_arn},
    template::{Resolved, Template},
    truth::Truth,
};

/// One call: who makes it, what it does, to which key, and what else is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The action, `kms:Decrypt`; compared without case.
    pub action: &'a str,
    /// The ARN of the key.
    pub resource: &'a str,
    /// What is known of the condition keys.
    pub context: &'a Context,
}

/// What the key policy and the grants say of one action.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionVerdict {
    /// A statement or grant surely allows it, and none may deny it.
    Allowed,
    /// It hangs on something that is not known.
    Conditional,
    /// Nothing allows it.
    ImplicitDeny,
    /// A statement surely denies it.
    Denied,
}

impl ActionVerdict {
    /// The verdict as answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Conditional => "conditional",
            Self::ImplicitDeny => "implicit-deny",
            Self::Denied => "denied",
        }
    }
}

/// A verdict and what it rests on.
#[derive(Debug, Clone)]
pub struct Decision<'a> {
    /// What was found.
    pub verdict: ActionVerdict,
    /// What decided: the statements and grants that surely apply, or for
    /// [`Conditional`](ActionVerdict::Conditional) those that may.
    pub(super) reasons: Vec<Reason<'a>>,
    /// For [`Conditional`](ActionVerdict::Conditional): the condition keys it hangs on.
    pub depends_on: BTreeSet<&'a str>,
}

/// A statement or grant that decided.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reason<'a> {
    Statement(&'a Statement),
    Grant(&'a Grant),
}

/// A statement or grant as answers name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Because {
    /// A statement of the key policy.
    Statement {
        /// Its `Sid`, where it has one.
        sid: Option<String>,
        /// Its place in the document, from 0.
        index: usize,
        /// `Allow` or `Deny`; `Unreadable` where the statement does not say.
        #[serde(serialize_with = "effect_name")]
        effect: BecauseEffect,
    },
    /// A grant on the key; grants only allow.
    Grant {
        /// Its id.
        #[serde(rename = "grantId")]
        grant_id: String,
        /// Its name, where it has one.
        #[serde(rename = "grantName", skip_serializing_if = "Option::is_none")]
        grant_name: Option<String>,
    },
}

/// The effect of a deciding statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BecauseEffect {
    /// It allows.
    Allow,
    /// It denies.
    Deny,
    /// It may do either.
    Unreadable,
}

// `serialize_with` hands over a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn effect_name<S: Serializer>(effect: &BecauseEffect, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match effect {
        BecauseEffect::Allow => "Allow",
        BecauseEffect::Deny => "Deny",
        BecauseEffect::Unreadable => "Unreadable",
    })
}

/// Whether `Allow` statements count, or only grants (see [`judge`](super::judge) on service-linked roles).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowing {
    PolicyAndGrants,
    GrantsOnly,
}

/// Says what the policy and the grants make of the request.
pub fn evaluate<'a>(policy: &'a Policy, grants: &'a [Grant], request: &Request<'a>) -> Decision<'a> {
    evaluate_by(policy, grants, request, Allowing::PolicyAndGrants)
}

pub(super) fn evaluate_by<'a>(
    policy: &'a Policy,
    grants: &'a [Grant],
    request: &Request<'a>,
    allowing: Allowing,
) -> Decision<'a> {
    let call = Call::new(request);
    if !call.is_possible() {
        return Decision { verdict: ActionVerdict::ImplicitDeny, reasons: Vec::new(), depends_on: BTreeSet::new() };
    }
    let mut allows = Side::default();
    let mut denies = Side::default();
    for statement in policy.statements() {
        if statement.effect == Effect::Allow && allowing == Allowing::GrantsOnly {
            continue;
        }
        let mut unknown = Vec::new();
        let truth = call.applies(statement, &mut unknown);
        let reason = Reason::Statement(statement);
        match statement.effect {
            Effect::Allow => allows.add(truth, reason, unknown),
            Effect::Deny => denies.add(truth, reason, unknown),
            Effect::Unreadable => {
                let maybe = truth.and(Truth::Unknown);
                if allowing == Allowing::PolicyAndGrants {
                    allows.add(maybe, reason, unknown.clone());
                }
                denies.add(maybe, reason, unknown);
            }
        }
    }
    for grant in grants {
        let mut unknown = Vec::new();
        let truth = grant.allows(&call, &mut unknown);
        allows.add(truth, Reason::Grant(grant), unknown);
    }
    conclude(allows, denies)
}

/// What surely and what possibly applies, of one effect.
#[derive(Default)]
struct Side<'a> {
    sure: Vec<Reason<'a>>,
    maybe: Vec<Reason<'a>>,
    depends_on: Vec<&'a str>,
}

impl<'a> Side<'a> {
    fn add(&mut self, truth: Truth, reason: Reason<'a>, unknown: Vec<&'a str>) {
        match truth {
            Truth::True => self.sure.push(reason),
            Truth::Unknown => {
                self.maybe.push(reason);
                self.depends_on.extend(unknown);
            }
            Truth::False => {}
        }
    }
}

fn conclude<'a>(allows: Side<'a>, denies: Side<'a>) -> Decision<'a> {
    let no_keys = BTreeSet::new;
    if !denies.sure.is_empty() {
        return Decision { verdict: ActionVerdict::Denied, reasons: denies.sure, depends_on: no_keys() };
    }
    if allows.sure.is_empty() && allows.maybe.is_empty() {
        return Decision { verdict: ActionVerdict::ImplicitDeny, reasons: Vec::new(), depends_on: no_keys() };
    }
    if denies.maybe.is_empty() && !allows.sure.is_empty() {
        return Decision { verdict: ActionVerdict::Allowed, reasons: allows.sure, depends_on: no_keys() };
    }
    // Where something surely allows, only the denials keep the matter open.
    let open = if allows.sure.is_empty() { allows.depends_on } else { Vec::new() };
    let allowing = if allows.sure.is_empty() { allows.maybe } else { Vec::new() };
    Decision {
        verdict: ActionVerdict::Conditional,
        reasons: allowing.into_iter().chain(denies.maybe).collect(),
        depends_on: open.into_iter().chain(denies.depends_on).collect(),
    }
}

impl Decision<'_> {
    /// What decided, for an answer.
    pub fn because(&self) -> Vec<Because> {
        self.reasons.iter().map(Reason::because).collect()
    }
}

impl Reason<'_> {
    fn because(&self) -> Because {
        match self {
            Self::Statement(statement) => statement.because(),
            Self::Grant(grant) => Because::Grant { grant_id: grant.grant_id.clone(), grant_name: grant.name.clone() },
        }
    }
}

impl Statement {
    pub(super) fn because(&self) -> Because {
        let effect = match self.effect {
            Effect::Allow => BecauseEffect::Allow,
            Effect::Deny => BecauseEffect::Deny,
            Effect::Unreadable => BecauseEffect::Unreadable,
        };
        Because::Statement { sid: self.sid.clone(), index: self.index, effect }
    }
}

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
    fn is_possible(&self) -> bool {
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
    pub(super) fn applies(&self, statement: &'a Statement, unknown: &mut Vec<&'a str>) -> Truth {
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
            unknown.push(&statement.label);
        }
        so_far
    }

    pub(super) fn principal_applies(&self, statement: &'a Statement, unknown: &mut Vec<&'a str>) -> Truth {
        match &statement.principal {
            Element::Missing => Truth::False,
            Element::Is(principals) => principals.cover(self.caller, unknown),
            Element::IsNot(principals) => {
                let covered = principals.cover(self.caller, unknown);
                // A name of no known form may be one that KMS understands and we do not.
                let unsure = covered == Truth::False && principals.has_unknown_forms();
                // IAM itself calls these unreliable.
                let unreliable = statement.effect == Effect::Deny
                    && covered == Truth::True
                    && principals.lists_member_without_account(self.caller);
                if unsure || unreliable {
                    unknown.push("aws:PrincipalArn");
                    return Truth::Unknown;
                }
                covered.not()
            }
            Element::Unreadable => Truth::Unknown,
        }
    }

    pub(super) fn action_applies(&self, statement: &'a Statement, _: &mut Vec<&'a str>) -> Truth {
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

    pub(super) fn resource_applies(&self, statement: &'a Statement, unknown: &mut Vec<&'a str>) -> Truth {
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

    pub(super) fn condition_holds(&self, condition: &'a Condition, unknown: &mut Vec<&'a str>) -> Truth {
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
