//! Owns what the ARNs of several services have in common.

use std::fmt;

use super::AccountId;

/// The first five parts of an ARN and the rest: `arn:partition:service:region:account:resource`.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov` …
    pub partition: &'a str,
    /// The service's namespace, such as `kms`.
    pub service: &'a str,
    /// The Region; empty if the resource is global.
    pub region: &'a str,
    /// The account's ID; empty if the resource belongs to no account.
    pub account: &'a str,
    /// The resource, which may have colons.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Splits an ARN without looking into its parts.
    pub fn split(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
        Some(Self {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next()?,
            account: parts.next()?,
            resource: parts.next()?,
        })
    }
}

/// A partition: `aws`, `aws-cn`, `aws-us-gov`, `aws-iso-b` …
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(String);

impl Partition {
    /// The partition of that name, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let known = text == "aws"
            || text.strip_prefix("aws-").is_some_and(|rest| {
                !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            });
        known.then(|| Self(text.to_owned()))
    }

    /// The partition as ARNs write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The ARN of a role of this name, with its path if the name has one.
pub fn iam_role_arn(partition: &Partition, account: AccountId, role: &str) -> String {
    format!("arn:{partition}:iam::{account}:role/{role}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_aws_with_or_without_a_suffix() {
        for partition in ["aws", "aws-cn", "aws-us-gov", "aws-iso-b", "aws-eusc"] {
            assert_eq!(Partition::parse(partition).unwrap().as_str(), partition);
        }
        for wrong in ["", "aws-", "aws-CN", "aws-c1", "aws cn", "awscn", "gcp", "AWS"] {
            assert_eq!(Partition::parse(wrong), None, "{wrong:?}");
        }
    }
}
