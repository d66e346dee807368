//! Owns the verdict on several actions together, as a use of the key needs them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    because::Because,
    call::Call,
    document::Policy,
    evaluate::{ActionVerdict, Decision},
    request::EvaluationRequest,
    statement::{Effect, Statement},
    truth::Truth,
};

/// The verdicts on several actions, and the verdict on all of them together.
#[derive(Debug, Clone)]
pub(super) struct Several {
    /// The worst verdict.
    pub verdict: ActionVerdict,
    pub per_action: BTreeMap<String, ActionVerdict>,
    /// The actions that nothing allows, in the order they were asked for.
    pub missing: Vec<String>,
    pub depends_on: Vec<String>,
    /// The statements and grants that decided about the actions with this verdict.
    pub because: Vec<Because>,
}

impl Several {
    pub(super) fn of(decisions: &[(&str, Decision<'_>)]) -> Self {
        let all = || decisions.iter();
        let verdict = worst(decisions);
        let depends_on: BTreeSet<&str> =
            all().flat_map(|(_, decision)| decision.depends_on.iter().map(AsRef::as_ref)).collect();
        let because: BTreeSet<Because> = all()
            .filter(|(_, decision)| decision.verdict == verdict)
            .flat_map(|(_, decision)| decision.because())
            .collect();
        Self {
            verdict,
            per_action: all().map(|(action, decision)| ((*action).to_owned(), decision.verdict)).collect(),
            missing: all()
                .filter(|(_, decision)| decision.verdict == ActionVerdict::ImplicitDeny)
                .map(|(action, _)| (*action).to_owned())
                .collect(),
            depends_on: depends_on.into_iter().map(ToOwned::to_owned).collect(),
            because: because.into_iter().collect(),
        }
    }
}

/// The verdict on all of the actions together.
pub(super) fn worst(decisions: &[(&str, Decision<'_>)]) -> ActionVerdict {
    decisions.iter().map(|(_, decision)| decision.verdict).max().unwrap_or(ActionVerdict::ImplicitDeny)
}

/// The statement that nearly allowed a request, and the one part of it that did not match, in words.
pub(super) fn nearest_miss(policy: &Policy, request: &EvaluationRequest<'_>) -> Option<String> {
    let call = Call::new(request);
    let misses = policy.statements().iter().filter(|statement| statement.effect == Effect::Allow);
    misses
        .filter_map(|statement| Miss::of(&call, statement, request.action))
        .min_by_key(|miss| miss.rank)
        .map(|miss| miss.words)
}

/// A statement in which exactly one part did not match.
struct Miss {
    /// A statement that fails only by its condition is nearest, then one with another action, then one with another
    /// resource or principal.
    rank: u8,
    words: String,
}

impl Miss {
    fn of(call: &Call<'_>, statement: &Statement, action: &str) -> Option<Self> {
        let name = statement.in_words();
        let ignored = &mut Vec::new();
        let mut misses = Vec::new();
        if call.principal_applies(statement, ignored) == Truth::False {
            misses.push(Self { rank: 3, words: format!("{name} allows {action}, but not for this principal") });
        }
        if call.action_applies(statement, ignored) == Truth::False {
            misses.push(Self { rank: 1, words: format!("{name} covers the principal, but does not allow {action}") });
        }
        if call.resource_applies(statement, ignored) == Truth::False {
            misses.push(Self { rank: 2, words: format!("{name} allows {action}, but on another resource") });
        }
        for condition in &statement.conditions {
            if call.condition_holds(condition, ignored) == Truth::False {
                let (operator, key, shown) = (&condition.operator, &condition.key.name, &condition.shown);
                let words = format!("{name} would allow {action}, but its condition fails: {operator} {key} [{shown}]");
                misses.push(Self { rank: 0, words });
            }
        }
        let only = misses.pop();
        if misses.is_empty() { only } else { None }
    }
}
