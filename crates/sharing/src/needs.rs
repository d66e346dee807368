//! Owns what a share needs besides its permissions. Before them: the grants on keys, for the target account and for
//! service-linked roles in it, and the record of its expiry. After them: the parameters that then name the image.
//!
//! A grant only allows, an explicit Deny overrides it, and it can't name an organization:
//! <https://docs.aws.amazon.com/kms/latest/developerguide/grants.html>

mod copy_order;

pub use copy_order::CopyOrder;
use key_policy::{Grant, ROLE_OPERATIONS, launch_operations};
use time::OffsetDateTime;

use crate::{
    domain::{AccountId, ExpiryName, GrantName, ImageId, KeyArn, ParameterName, Partition, ServiceLinkedRole, Target},
    facts::{Before, Expiry, Image},
};

/// The kind of grantee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GranteeKind {
    /// The account. The share depends on this grant.
    Account,
    /// A service-linked role, which may not exist yet, so this grant is best effort.
    Role(ServiceLinkedRole),
}

impl GranteeKind {
    /// The operations that its grant allows.
    pub fn operations(&self) -> Vec<&'static str> {
        match self {
            Self::Account => launch_operations(),
            Self::Role(_) => ROLE_OPERATIONS.to_vec(),
        }
    }

    /// The grantee's ARN in an account.
    pub fn arn(&self, key: &KeyArn, account: AccountId) -> String {
        match (self, Partition::parse(key.partition())) {
            (Self::Role(role), Some(partition)) => role.arn(&partition, account),
            (Self::Account, _) | (Self::Role(_), None) => format!("arn:{}:iam::{account}:root", key.partition()),
        }
    }

    /// The role, if the grantee is one.
    pub fn role(&self) -> Option<&ServiceLinkedRole> {
        match self {
            Self::Account => None,
            Self::Role(role) => Some(role),
        }
    }
}

/// A grant that a share needs, and creates if it does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededGrant {
    /// The key.
    pub key: KeyArn,
    /// The grant's Name.
    pub name: GrantName,
    /// The account it is for.
    pub account: AccountId,
    /// The grantee's ARN.
    pub grantee: String,
    /// The kind of grantee.
    pub kind: GranteeKind,
}

impl NeededGrant {
    /// The grant that a share of this image with this account needs on the key.
    pub fn new(key: &KeyArn, image_id: &ImageId, account: AccountId, kind: GranteeKind) -> Self {
        Self {
            key: key.clone(),
            name: GrantName::new(image_id, account, kind.role()),
            account,
            grantee: kind.arn(key, account),
            kind,
        }
    }

    /// The grant as KMS would list it, for the evaluator.
    pub fn as_made(&self, owner: AccountId) -> Grant {
        Grant {
            name: Some(self.name.to_string()),
            grantee_principal: Some(self.grantee.clone()),
            issuing_account: Some(owner.to_string()),
            operations: self.kind.operations().into_iter().map(str::to_owned).collect(),
            ..Grant::default()
        }
    }

    /// Whether this grant is among those that were read.
    pub fn is_among(&self, grants: &[Grant], owner: AccountId) -> bool {
        self.among(grants, owner).is_some()
    }

    /// This grant, as it was read.
    pub fn among<'g>(&self, grants: &'g [Grant], owner: AccountId) -> Option<&'g Grant> {
        let operations = self.kind.operations();
        grants.iter().find(|grant| {
            grant.name.as_deref() == Some(self.name.as_str())
                && grant.is_issued_by(owner)
                && grant.grantee_principal.as_deref() == Some(self.grantee.as_str())
                && grant.constraints.is_none()
                && operations.iter().all(|operation| grant.operations.iter().any(|own| own == operation))
        })
    }

    /// The command that creates the grant from the target account, if this function can't create it.
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

/// An image that a parameter names when its share is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The parameter.
    pub parameter: ParameterName,
    /// The image.
    pub image_id: ImageId,
    /// When its data was first an image: the newest is published.
    pub created: OffsetDateTime,
    /// What the parameter held when it was read.
    pub before: Before,
}

/// The record that a share of the image with the target needs, if it is to expire at this time. `None` if the time has
/// more than eight hexadecimal digits, which is after every time that a request can have.
pub fn needed_expiry(image_id: &ImageId, image: &Image, target: &Target, at: OffsetDateTime) -> Option<Expiry> {
    Some(Expiry {
        name: ExpiryName::new(image_id, target, at)?,
        at,
        image_id: image_id.clone(),
        target: target.clone(),
        snapshot_ids: image.snapshots.iter().map(|backing| backing.id.clone()).collect(),
        key_arns: image.keys().into_iter().cloned().collect(),
    })
}
