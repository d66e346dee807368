//! Who may use a key, why, and what is missing: key policies and grants, evaluated without AWS.
//!
//! The question is always whether the *key* lets somebody in: the key policy with the grants. What
//! the IAM policies of the other account say is that account's business, so an answer of
//! "allowed" means that the key lets the account in, never that an instance will start.
//!
//! Everything is computed in three-valued logic over what is known of a call, known to be absent,
//! or not known. Where AWS documents no answer, ours is "not known" as well: a policy is never
//! called permissive on a guess.
//!
//! [`judge`] answers for a use (launching, copying, a service-linked role), [`evaluate`] for one
//! action, [`explain`] for a question written down as JSON, and [`json_lines`] for one on each line.

mod call;
mod caller;
mod calls;
mod condition;
mod context;
mod document;
pub mod domain;
mod evaluate;
mod explain;
mod grants;
pub mod json;
pub mod json_lines;
mod judge;
mod operand;
mod pattern;
mod principal;
mod remedy;
mod several;
mod statement;
mod template;
mod truth;
#[cfg(test)]
mod work;

pub use caller::{Caller, Known, OrganizationFacts};
pub use context::{Context, Fact, Form, Value};
pub use document::{Policy, PolicyError, Remark};
pub use evaluate::{ActionVerdict, Because, BecauseEffect, Decision, Request, evaluate};
pub use explain::{Explanation, explain};
pub use grants::{Grant, GrantConstraints};
pub use judge::{Judgement, KeyAccess, KeyUse, Limit, NEEDED, NEEDED_UNDER_THE_SAME_KEY, Question, Verdict, judge};
