//! Owns the vocabulary of a use: what a target wants to do with a key, and what that needs.

use super::caller::OrganizationFacts;
use crate::domain::{KeyArn, ServiceLinkedRole, Target};

/// What the target wants to do with the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyUse {
    /// Launch instances from the image.
    Launch,
    /// Copy the image and its snapshots, which needs the same of the source key.
    Copy,
    /// Launch through this role of the target account.
    ServiceLinkedRole(ServiceLinkedRole),
}

/// What a launch or copy needs of the source key at least, with the new volumes under another key.
///
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html>
pub const NEEDED: [&str; 4] = ["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncryptFrom"];

/// What it needs beside where the new volumes stay under the source key.
pub const NEEDED_UNDER_THE_SAME_KEY: [&str; 2] = ["kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptTo"];

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

/// What is asked of a policy.
#[derive(Debug, Clone)]
pub(super) struct AskedUse {
    pub key: KeyArn,
    pub target: Target,
    pub organization: OrganizationFacts,
    pub key_use: KeyUse,
}
