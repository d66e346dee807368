//! Owns [`EvaluationRequest`]: the call that a key policy is asked about.

use super::{caller::Caller, context::RequestContext};

/// One call: who makes it, the action, the key, and what else is known about it.
#[derive(Debug, Clone, Copy)]
pub struct EvaluationRequest<'a> {
    /// The caller.
    pub caller: &'a Caller,
    /// The action, `kms:Decrypt`; compared without case.
    pub action: &'a str,
    /// The ARN of the key.
    pub resource: &'a str,
    /// What is known of the condition keys.
    pub context: &'a RequestContext,
}
