//! Owns what a share needs before its launch permission: the grants on keys, for the target account and for service-linked
//! roles in it, and the record of its expiry.
//!
//! A grant only adds, an explicit Deny wins over it, and it can't name an organization:
//! <https://docs.aws.amazon.com/kms/latest/developerguide/grants.html>

mod copy_order;

pub use copy_order::CopyOrder;
use key_policy::{Grant, ROLE_OPERATIONS, launch_operations};
use time::OffsetDateTime;

use crate::{
    domain::{AccountId, ExpiryName, GrantName, ImageId, KeyArn, Partition, ServiceLinkedRole, Target},
    facts::{Expiry, Image},
};

/// Whom a grant lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GranteeKind {
    /// The account; the share depends on it.
    Account,
    /// A service-linked role, which may not exist yet: best effort.
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

    /// The role, where it is one.
    pub fn role(&self) -> Option<&ServiceLinkedRole> {
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

    /// The grant as it would be listed once made, for asking the evaluator what it would do.
    pub fn as_made(&self, owner: AccountId) -> Grant {
        Grant {
            name: Some(self.name.to_string()),
            grantee_principal: Some(self.grantee.clone()),
            issuing_account: Some(owner.to_string()),
            operations: self.kind.operations().into_iter().map(str::to_owned).collect(),
            ..Grant::default()
        }
    }

    /// Whether this very grant is among those that were read.
    pub fn is_among(&self, grants: &[Grant], owner: AccountId) -> bool {
        self.among(grants, owner).is_some()
    }

    /// This very grant, as it was read.
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

/// The record that a share of the image with the target needs, if it shall expire then. None where eight digits don't hold
/// the time; they hold every time that a request can have.
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
