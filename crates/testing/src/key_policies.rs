//! Owns the key policies of the tests: one way to write a statement, and a document of statements.

use key_policy::Policy;
use serde_json::{Value, json};

/// The account that owns the keys.
pub const OWNER: &str = "999988887777";

/// The actions that AWS's guide lists for whoever launches from an encrypted image or copies it.
///
/// <https://docs.aws.amazon.com/ebs/latest/userguide/share-kms-key.html>
pub const USE: [&str; 5] =
    ["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"];

/// An `Allow` on the key. The principal is `*`, the name of an AWS principal, a list of such names, or the whole
/// element.
pub fn allow(principal: impl Into<Value>, actions: impl Into<Value>) -> Value {
    statement("Allow", principal.into(), actions.into())
}

/// The same as a `Deny`.
pub fn deny(principal: impl Into<Value>, actions: impl Into<Value>) -> Value {
    statement("Deny", principal.into(), actions.into())
}

fn statement(effect: &str, principal: Value, actions: Value) -> Value {
    let is_element = principal == "*" || principal.is_object();
    let principal = if is_element { principal } else { json!({"AWS": principal}) };
    json!({"Effect": effect, "Principal": principal, "Action": actions, "Resource": "*"})
}

/// More elements of a statement.
pub trait Statement {
    /// With this `Sid`.
    #[must_use]
    fn sid(self, sid: &str) -> Value;
    /// Under this `Condition`.
    #[must_use]
    fn when(self, condition: Value) -> Value;
}

impl Statement for Value {
    fn sid(mut self, sid: &str) -> Self {
        self["Sid"] = sid.into();
        self
    }

    fn when(mut self, condition: Value) -> Self {
        self["Condition"] = condition;
        self
    }
}

/// The ARN by which a policy names an account.
pub fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

/// The ARNs of several accounts.
pub fn roots(accounts: &[&str]) -> Vec<String> {
    accounts.iter().map(|account| root(account)).collect()
}

/// The statement by which the owner's account keeps control of its key.
pub fn owner() -> Value {
    allow(root(OWNER), "kms:*").sid("Owner")
}

/// A key policy of these statements.
pub fn document(statements: impl IntoIterator<Item = Value>) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements.into_iter().collect::<Vec<_>>()})
}

/// A key policy that lets its owner and these accounts use the key.
pub fn open_to(accounts: &[&str]) -> Value {
    let users = (!accounts.is_empty()).then(|| allow(roots(accounts), USE).sid("Use"));
    document([owner()].into_iter().chain(users))
}

/// The policy with one more statement.
#[must_use]
pub fn with(mut policy: Value, statement: Value) -> Value {
    policy["Statement"].as_array_mut().unwrap().push(statement);
    policy
}

/// The policy as the evaluator reads it.
pub fn parsed(document: &Value) -> Policy {
    Policy::parse(&document.to_string()).unwrap()
}

/// A key policy of these statements, as the evaluator reads it.
pub fn policy_of(statements: &[Value]) -> Policy {
    parsed(&document(statements.iter().cloned()))
}
