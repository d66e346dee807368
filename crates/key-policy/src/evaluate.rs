//! Owns the verdict on one action: every statement and grant in three-valued logic, and why.

use std::{borrow::Cow, collections::BTreeSet};

use serde::Serialize;

use super::{
    because::Because,
    call::Call,
    context::UnknownKeys,
    document::Policy,
    grants::Grant,
    request::EvaluationRequest,
    statement::{Effect, Statement},
    truth::Truth,
};

/// What the key policy and the grants say about one action.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionVerdict {
    /// A statement or grant certainly allows it, and none may deny it.
    Allowed,
    /// It depends on something that is not known.
    Conditional,
    /// Nothing allows it.
    ImplicitDeny,
    /// A statement certainly denies it.
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

/// A verdict and its reasons.
#[derive(Debug, Clone)]
pub struct Decision<'a> {
    /// The verdict.
    pub verdict: ActionVerdict,
    /// The statements and grants that decided: those that certainly apply or, for
    /// [`Conditional`](ActionVerdict::Conditional), those that may apply.
    pub(super) reasons: Vec<Reason<'a>>,
    /// For [`Conditional`](ActionVerdict::Conditional): the condition keys that it depends on.
    pub depends_on: BTreeSet<Cow<'a, str>>,
}

/// A statement or grant that decided.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reason<'a> {
    Statement(&'a Statement),
    /// A `Deny` that applies to EC2's own role in the target's account.
    OnInfrastructure(&'a Statement),
    Grant(&'a Grant),
}

/// Whether `Allow` statements count, or only grants (see [`judge`](super::judge) on service-linked roles).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowing {
    PolicyAndGrants,
    GrantsOnly,
}

/// Evaluates a request against a key policy and grants.
pub fn evaluate<'a>(policy: &'a Policy, grants: &'a [Grant], request: &EvaluationRequest<'_>) -> Decision<'a> {
    let (call, allowing) = (Call::new(request), Allowing::PolicyAndGrants);
    Sides::of(policy.statements(), &call, None, allowing).decide(Side::of_grants(grants, &call, allowing))
}

/// What the statements of a policy say about one call. Grants do not change it, so it is evaluated once.
#[derive(Debug, Clone)]
pub(super) struct Sides<'a> {
    is_possible: Truth,
    pub allows: Side<'a>,
    denies: Side<'a>,
}

/// The statements and grants of one effect that certainly apply, and those that may apply.
#[derive(Debug, Clone, Default)]
pub(super) struct Side<'a> {
    sure: Vec<Reason<'a>>,
    maybe: Vec<Reason<'a>>,
    depends_on: UnknownKeys<'a>,
}

impl<'a> Sides<'a> {
    /// Evaluates each statement for the call. A `Deny` is also evaluated for `infrastructure`, the same action called
    /// by EC2's own role.
    pub(super) fn of(
        statements: impl IntoIterator<Item = &'a Statement>,
        call: &Call<'_>,
        infrastructure: Option<&Call<'_>>,
        allowing: Allowing,
    ) -> Self {
        let mut sides = Self { is_possible: call.is_possible(), allows: Side::default(), denies: Side::default() };
        for statement in statements.into_iter().filter(|_| sides.is_possible != Truth::False) {
            let counts_as_allow = statement.effect != Effect::Deny && allowing == Allowing::PolicyAndGrants;
            if statement.effect == Effect::Allow && !counts_as_allow {
                continue;
            }
            let mut unknown = Vec::new();
            let mut truth = call.applies(statement, &mut unknown);
            if statement.effect == Effect::Unreadable {
                truth = truth.and(Truth::Unknown);
            }
            let reason = Reason::Statement(statement);
            if counts_as_allow {
                sides.allows.add(truth, reason, unknown.clone());
            }
            if statement.effect == Effect::Allow {
                continue;
            }
            sides.denies.add(truth, reason, unknown);
            if let (Some(call), true) = (infrastructure, truth != Truth::True && statement.effect == Effect::Deny) {
                let mut unknown = Vec::new();
                let truth = call.applies(statement, &mut unknown);
                sides.denies.add(truth, Reason::OnInfrastructure(statement), unknown);
            }
        }
        sides
    }

    /// The verdict, with the grants that allow the call.
    pub(super) fn decide(&self, more: Side<'a>) -> Decision<'a> {
        let (allows, denies) = (&self.allows, &self.denies);
        let mut sure: Vec<_> = allows.sure.iter().copied().chain(more.sure).collect();
        let mut maybe: Vec<_> = allows.maybe.iter().copied().chain(more.maybe).collect();
        if self.is_possible == Truth::Unknown {
            maybe.append(&mut sure);
        }
        let certain = |verdict, reasons| Decision { verdict, reasons, depends_on: BTreeSet::new() };
        if !denies.sure.is_empty() {
            return certain(ActionVerdict::Denied, denies.sure.clone());
        }
        if self.is_possible == Truth::False || (sure.is_empty() && maybe.is_empty()) {
            return certain(ActionVerdict::ImplicitDeny, Vec::new());
        }
        if denies.maybe.is_empty() && !sure.is_empty() {
            return certain(ActionVerdict::Allowed, sure);
        }
        let mut depends_on: BTreeSet<_> = denies.depends_on.iter().cloned().collect();
        let mut reasons = Vec::new();
        // If something certainly allows the call, the verdict depends only on the denials.
        if sure.is_empty() {
            depends_on.extend((self.is_possible == Truth::Unknown).then_some("aws:PrincipalAccount".into()));
            depends_on.extend(allows.depends_on.iter().cloned().chain(more.depends_on));
            reasons = maybe;
        }
        reasons.extend(&denies.maybe);
        Decision { verdict: ActionVerdict::Conditional, reasons, depends_on }
    }
}

impl<'a> Side<'a> {
    /// The grants that allow the call.
    pub(super) fn of_grants(grants: &'a [Grant], call: &Call<'_>, allowing: Allowing) -> Self {
        // An account delegates what it was granted with IAM policies, but only AWS can write the policy of a
        // service-linked role.
        let counts = |grant: &&Grant| allowing == Allowing::PolicyAndGrants || !grant.is_to_account();
        let mut side = Self::default();
        for grant in grants.iter().filter(counts) {
            let mut unknown = Vec::new();
            let truth = grant.allows(call, &mut unknown);
            side.add(truth, Reason::Grant(grant), unknown);
        }
        side
    }

    /// Whether nothing can apply.
    pub(super) fn is_empty(&self) -> bool {
        self.sure.is_empty() && self.maybe.is_empty()
    }

    /// Combines two sides.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.sure.extend(other.sure);
        self.maybe.extend(other.maybe);
        self.depends_on.extend(other.depends_on);
        self
    }

    fn add(&mut self, truth: Truth, reason: Reason<'a>, unknown: UnknownKeys<'a>) {
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

impl Decision<'_> {
    /// What decided, for an answer.
    pub fn because(&self) -> Vec<Because> {
        self.reasons.iter().map(Reason::because).collect()
    }
}

impl Reason<'_> {
    fn because(&self) -> Because {
        match self {
            Self::Statement(statement) | Self::OnInfrastructure(statement) => statement.because(),
            Self::Grant(grant) => grant.because(),
        }
    }
}
