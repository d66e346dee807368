//! Owns what a target does with a key, and which actions this needs.

use super::caller::OrganizationFacts;
use crate::domain::{KeyArn, ServiceLinkedRole, Target};

/// What the target does with the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyUse {
    /// Launch instances from what is encrypted with the key.
    Launch,
    /// Copy what is encrypted with the key. It needs the same actions.
    Copy,
    /// Launch through this role of the target account.
    ServiceLinkedRole(ServiceLinkedRole),
}

/// The actions that every launch and copy needs. They are enough if the new volumes are encrypted with another key.
///
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html>
pub const NEEDED: [&str; 4] = ["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncryptFrom"];

/// The further actions that it needs if the new volumes are encrypted with the same key.
pub const NEEDED_UNDER_THE_SAME_KEY: [&str; 2] = ["kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptTo"];

/// The operations of a grant that allows every launch and copy: the same actions as grants name them, in alphabetical order.
pub fn launch_operations() -> Vec<&'static str> {
    let actions = NEEDED.into_iter().chain(NEEDED_UNDER_THE_SAME_KEY);
    let mut operations: Vec<_> = actions.filter_map(|action| action.strip_prefix("kms:")).collect();
    operations.sort_unstable();
    operations
}

/// The operations that AWS's guides give a service-linked role that launches instances.
///
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html>
pub const ROLE_OPERATIONS: &[&str] = &[
    "CreateGrant",
    "Decrypt",
    "DescribeKey",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
];

/// A use of a key by a target, which a policy is evaluated for.
#[derive(Debug, Clone)]
pub(super) struct AskedUse {
    pub key: KeyArn,
    pub target: Target,
    pub organization: OrganizationFacts,
    pub key_use: KeyUse,
}
