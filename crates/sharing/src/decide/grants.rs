//! Owns the grants a share needs on a key: for the target account, and for service-linked roles in it.
//!
//! A grant only adds, an explicit Deny wins over it, and it can't name an organization:
//! <https://docs.aws.amazon.com/kms/latest/developerguide/grants.html>

use key_policy::Grant;

use crate::{
    domain::{AccountId, GrantName, ImageId, KeyArn, Partition, ServiceLinkedRole},
    plan::GranteeKind,
};

/// The operations a target account needs to launch from and copy an encrypted image.
///
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html>
const ACCOUNT_OPERATIONS: &[&str] =
    &["CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"];

/// The operations AWS's guides give the service-linked roles.
///
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html>
const ROLE_OPERATIONS: &[&str] = &[
    "CreateGrant",
    "Decrypt",
    "DescribeKey",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
];

impl GranteeKind {
    /// The operations such a grantee gets.
    pub fn operations(&self) -> &'static [&'static str] {
        match self {
            Self::Account => ACCOUNT_OPERATIONS,
            Self::Role(_) => ROLE_OPERATIONS,
        }
    }

    /// The grantee's ARN in an account.
    pub fn arn(&self, key: &KeyArn, account: AccountId) -> String {
        match (self, Partition::parse(key.partition())) {
            (Self::Role(role), Some(partition)) => role.arn(&partition, account),
            (Self::Account, _) | (Self::Role(_), None) => format!("arn:{}:iam::{account}:root", key.partition()),
        }
    }

    fn role(&self) -> Option<&ServiceLinkedRole> {
        match self {
            Self::Account => None,
            Self::Role(role) => Some(role),
        }
    }
}

/// A grant that a share makes, unless it is there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededGrant {
    /// The key.
    pub key: KeyArn,
    /// The grant's Name.
    pub name: GrantName,
    /// The account it is for.
    pub account: AccountId,
    /// Whom it lets in, by ARN.
    pub grantee: String,
    /// What kind of principal that is.
    pub kind: GranteeKind,
}

impl NeededGrant {
    pub(super) fn new(key: &KeyArn, image_id: &ImageId, account: AccountId, kind: GranteeKind) -> Self {
        Self {
            key: key.clone(),
            name: GrantName::new(image_id, account, kind.role()),
            account,
            grantee: kind.arn(key, account),
            kind,
        }
    }

    /// The grant as it would be listed once made, for asking the evaluator what it would do.
    pub(super) fn as_made(&self, owner: AccountId) -> Grant {
        Grant {
            name: Some(self.name.to_string()),
            grantee_principal: Some(self.grantee.clone()),
            issuing_account: Some(owner.to_string()),
            operations: self.kind.operations().iter().map(|operation| (*operation).to_owned()).collect(),
            ..Grant::default()
        }
    }

    /// Whether this very grant is among those that were read.
    pub(super) fn is_among(&self, grants: &[Grant], owner: AccountId) -> bool {
        self.among(grants, owner).is_some()
    }

    /// This very grant, as it was read.
    pub(super) fn among<'g>(&self, grants: &'g [Grant], owner: AccountId) -> Option<&'g Grant> {
        grants.iter().find(|grant| {
            grant.name.as_deref() == Some(self.name.as_str())
                && grant.is_issued_by(owner)
                && grant.grantee_principal.as_deref() == Some(self.grantee.as_str())
                && grant.constraints.is_none()
                && self.kind.operations().iter().all(|operation| grant.operations.iter().any(|own| own == operation))
        })
    }

    /// The command that makes the grant from the target account, for when it can't be made from here.
    pub fn command(&self) -> String {
        format!(
            "aws kms create-grant --region {} --key-id {} --grantee-principal {} --operations {}",
            self.key.region(),
            self.key,
            self.grantee,
            self.kind.operations().join(" ")
        )
    }
}
