//! Owns the verdict on one action: every statement and grant in three-valued logic, and why.

use std::{borrow::Cow, collections::BTreeSet};

use serde::{Serialize, Serializer};

use super::{
    call::Call,
    caller::Caller,
    context::{Context, Unknown},
    document::Policy,
    grants::Grant,
    statement::{Effect, Statement},
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
    pub depends_on: BTreeSet<Cow<'a, str>>,
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
    // What an account was granted it passes on by IAM policies, and nobody but AWS writes those of a service-linked role.
    let counts = |grant: &&Grant| allowing == Allowing::PolicyAndGrants || !grant.is_to_account();
    for grant in grants.iter().filter(counts) {
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
    depends_on: Unknown<'a>,
}

impl<'a> Side<'a> {
    fn add(&mut self, truth: Truth, reason: Reason<'a>, unknown: Unknown<'a>) {
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
