//! Owns the evaluation of key policies and grants: who may use a key.
//!
#![doc = include_str!("../README.md")]

mod because;
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
mod judge_of_key;
mod key_use;
mod operand;
mod pattern;
mod place;
mod principal;
mod remark;
mod remedy;
mod request;
mod several;
mod statement;
mod template;
mod truth;
#[cfg(test)]
mod work;

pub use because::{Because, BecauseEffect};
pub use caller::{Caller, Known, OrganizationFacts};
pub use context::{ContextFact, ContextValue, Form, RequestContext};
pub use document::{Policy, PolicyError};
pub use evaluate::{ActionVerdict, Decision, evaluate};
pub use explain::{Explanation, explain};
pub use grants::{Grant, GrantConstraints};
pub use judge::{Judgement, KeyAccess, KeyQuestion, Limit, Verdict, judge};
pub use judge_of_key::JudgeOfKey;
pub use key_use::{KeyUse, NEEDED, NEEDED_UNDER_THE_SAME_KEY, ROLE_OPERATIONS, launch_operations};
pub use pattern::Pattern;
pub use remark::Remark;
pub use request::EvaluationRequest;
