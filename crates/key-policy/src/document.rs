//! Owns [`Policy`]: a key policy document, read so that an unreadable statement does not affect the others.

use std::{fmt, sync::Arc};

use super::{
    remark::{Remark, clip},
    statement::{Statement, Version},
};
use crate::json::Json;

/// A key policy, ready to be evaluated. Clones share it.
///
/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html>
#[derive(Debug, Clone)]
pub struct Policy {
    statements: Arc<[Statement]>,
    remarks: Arc<[Remark]>,
    bytes: usize,
}

/// Why a text is not a policy at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError(String);

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PolicyError {}

impl Policy {
    /// Reads a key policy document.
    ///
    /// # Errors
    /// The text is not a policy: it is not JSON, not an object, has no `Statement`, or has an element twice.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let node =
            serde_json::from_str(text).map_err(|error| PolicyError(format!("the key policy is not JSON: {error}")))?;
        let mut policy = Self::from_node(&node)?;
        policy.bytes = text.len();
        Ok(policy)
    }

    /// Reads a policy that is part of a larger document. Its length in bytes is then not known.
    pub(super) fn from_node(node: &Json) -> Result<Self, PolicyError> {
        let Json::Object(elements) = node else {
            return Err(PolicyError("the key policy is not a JSON object".to_owned()));
        };
        let (mut version, mut statements) = (None, None);
        let mut remarks = Vec::new();
        for (name, value) in elements {
            let slot = match name.as_str() {
                "Version" => &mut version,
                "Statement" => &mut statements,
                "Id" => continue,
                _ => {
                    remarks.push(Remark::on_document(format!("`{}` is not an element of a policy", clip(name))));
                    continue;
                }
            };
            if slot.replace(value).is_some() {
                return Err(PolicyError(format!("the key policy has `{name}` twice")));
            }
        }
        // Without a version the older language applies, which has no variables:
        // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html>
        let version = match version.map(Json::as_str) {
            None | Some(Some("2008-10-17")) => Version::WithoutVariables,
            Some(Some("2012-10-17")) => Version::WithVariables,
            Some(_) => {
                remarks.push(Remark::on_document(
                    "the policy's `Version` is neither 2012-10-17 nor 2008-10-17".to_owned(),
                ));
                Version::Unreadable
            }
        };
        let statements = match statements {
            Some(Json::Array(statements)) => statements.as_slice(),
            Some(statement @ Json::Object(_)) => std::slice::from_ref(statement),
            Some(_) => return Err(PolicyError("the key policy's `Statement` is not a list of statements".to_owned())),
            None => return Err(PolicyError("the key policy has no `Statement`".to_owned())),
        };
        let statements = statements
            .iter()
            .enumerate()
            .map(|(index, node)| Statement::read(index, node, version, &mut remarks))
            .collect();
        Ok(Self { statements, remarks: remarks.into(), bytes: 0 })
    }

    /// What the author of the policy should know: statements that could not be read, names that match nobody.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// The length of the document in bytes. KMS accepts 32 KB.
    pub fn len_in_bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn statements(&self) -> &[Statement] {
        &self.statements
    }
}
