//! Owns [`Caller`]: who asks to use the key, and the condition keys that follow from it.

use super::context::{Fact, Form, Source, Value};
use crate::domain::{AccountId, Arn, ParseError, quoted};

/// Who asks: an account as a whole, one identity in it, EC2's own role there, any member of an organization, or a service.
#[derive(Debug, Clone)]
pub struct Caller {
    account: Option<AccountId>,
    partition: Option<String>,
    identity: Identity,
    account_fact: Fact,
    arn: Fact,
    organization: Fact,
    paths: Fact,
}

/// The part of a caller that principals are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    /// Somebody of the account; who is not known.
    Whole,
    /// Somebody of an account that is not known either, but for one that it is not.
    Member {
        other_than: Option<AccountId>,
    },
    Root,
    /// A user or federated user, by ARN.
    User(String),
    /// A role, by ARN.
    Role(String),
    /// A session of a role; the role's own ARN where it is known, because the session's has lost its path.
    Session {
        arn: String,
        role: String,
        role_arn: Option<String>,
    },
    /// EC2's [`INFRASTRUCTURE_ROLE`]: of an account that is known, or else of any but one.
    Infrastructure {
        other_than: Option<AccountId>,
    },
    Service(String),
}

/// The identity-only role by which EC2 decrypts the data keys of an instance's volumes. Every account has it, and each of
/// its sessions is named after an instance.
///
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html#ebs-encryption-instance-permissions>
pub(super) const INFRASTRUCTURE_ROLE: &str = "aws:ec2-infrastructure";

/// The form of an account that is not known.
const ANY_ACCOUNT: &str = "????????????";

/// A fact that may not be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known<T> {
    /// It is known.
    Is(T),
    /// Nobody could say.
    Unknown,
}

/// Where an account stands in AWS Organizations.
///
/// For an organization or organizational unit as target: the paths of any accounts below it, off
/// which its own path is read; they say nothing of its other members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationFacts {
    /// The organization's id, `o-…`; known to be `None` for an account in no organization.
    pub organization_id: Known<Option<String>>,
    /// The paths as `aws:PrincipalOrgPaths` writes them, `o-…/r-…/ou-…/`; an account has one, up to the
    /// unit it is in.
    pub paths: Known<Vec<String>>,
}

impl OrganizationFacts {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { organization_id: Known::Unknown, paths: Known::Unknown };
}

impl Caller {
    /// An account as a whole: whoever the account lets use the key.
    pub fn account_as_a_whole(account: AccountId) -> Self {
        Self::new(Some(account), None, Identity::Whole, Fact::is(account.to_string()), Fact::Unknown)
    }

    /// The identity with this ARN: a user, a role, a role's session, a federated user or the root user.
    /// `role_arn` is the ARN of a session's role, where it is known.
    ///
    /// # Errors
    /// The ARN is not one of an identity.
    pub fn identity_in_account(arn: &str, role_arn: Option<&str>) -> Result<Self, ParseError> {
        let wrong = || ParseError::new(format!("{} is not the ARN of a user, role, session or root", quoted(arn)));
        let parts = Arn::split(arn).ok_or_else(wrong)?;
        let account: AccountId = parts.account.parse().map_err(|_| wrong())?;
        let text = arn.to_owned();
        // What aws:PrincipalArn holds: for a session the ARN of its role, whose path the session's ARN does not say.
        // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn>
        let (identity, principal_arn) = match (parts.service, parts.resource.split_once('/')) {
            ("iam", None) if parts.resource == "root" => (Identity::Root, Fact::is(text)),
            ("iam", Some(("user", _))) | ("sts", Some(("federated-user", _))) => {
                (Identity::User(text.clone()), Fact::is(text))
            }
            ("iam", Some(("role", _))) => (Identity::Role(text.clone()), Fact::is(text)),
            ("sts", Some(("assumed-role", session))) => {
                let (role, _) = session.split_once('/').ok_or_else(wrong)?;
                let session =
                    Identity::Session { arn: text, role: role.to_owned(), role_arn: role_arn.map(ToOwned::to_owned) };
                let top = format!("arn:{}:iam::{account}:role/", parts.partition);
                let below = [format!("{top}{role}"), format!("{top}*/{role}")];
                let arn = role_arn.map_or_else(|| Fact::like(below.iter().map(String::as_str)), Fact::is);
                (session, arn)
            }
            _ => return Err(wrong()),
        };
        let partition = Some(parts.partition.to_owned());
        Ok(Self::new(Some(account), partition, identity, Fact::is(account.to_string()), principal_arn))
    }

    /// An AWS service calling for itself, by its principal (`ec2.amazonaws.com`).
    pub fn service(name: &str) -> Self {
        let mut caller = Self::new(None, None, Identity::Service(name.to_owned()), Fact::Absent, Fact::Absent);
        (caller.organization, caller.paths) = (Fact::Absent, Fact::Absent);
        caller
    }

    /// Any account of an organization, but for one that needs no letting in: of the caller only its place in the
    /// organization is known.
    pub fn any_member(other_than: Option<AccountId>) -> Self {
        Self::new(None, None, Identity::Member { other_than }, Fact::like([ANY_ACCOUNT]), Fact::Unknown)
    }

    /// EC2's [`INFRASTRUCTURE_ROLE`] of the accounts that `asking` stands for, in the same place in its organization.
    pub(super) fn infrastructure_of(asking: &Self, partition: &str) -> Self {
        let other_than = if let Identity::Member { other_than } = asking.identity { other_than } else { None };
        let account = asking.account.map_or_else(|| ANY_ACCOUNT.to_owned(), |account| account.to_string());
        let role = format!("arn:{partition}:iam::{account}:role/{INFRASTRUCTURE_ROLE}");
        // CloudTrail and AWS's data perimeter policies name the role alone, the EBS guide also the instance:
        // <https://docs.aws.amazon.com/kms/latest/developerguide/ct-ec2two.html>
        let arn = Value::TwoForms { usual: Form::new(&role), other: Form::new(&format!("{role}/i-*")) };
        Self {
            partition: Some(partition.to_owned()),
            identity: Identity::Infrastructure { other_than },
            arn: Fact::Present(vec![arn]),
            ..asking.clone()
        }
    }

    /// States where the caller stands in AWS Organizations.
    #[must_use]
    pub fn in_organization(mut self, facts: &OrganizationFacts) -> Self {
        self.organization = match &facts.organization_id {
            Known::Is(Some(id)) => Fact::is(id),
            Known::Is(None) => Fact::Absent,
            Known::Unknown => Fact::Unknown,
        };
        self.paths = match &facts.paths {
            Known::Is(paths) if paths.is_empty() => Fact::Absent,
            Known::Is(paths) => Fact::Present(paths.iter().cloned().map(Value::Exactly).collect()),
            Known::Unknown => Fact::Unknown,
        };
        self
    }

    /// States the forms that the caller's path in its organization may have.
    #[must_use]
    pub fn with_path_forms(mut self, forms: Vec<Form>) -> Self {
        self.paths = Fact::Present(vec![Value::OneOf(forms)]);
        self
    }

    /// States the partition, for a caller whose ARN does not say it.
    #[must_use]
    pub fn in_partition(mut self, partition: &str) -> Self {
        self.partition.get_or_insert_with(|| partition.to_owned());
        self
    }

    /// States what the ARN of anybody in the account begins with, for a caller of whom no more is known.
    #[must_use]
    pub fn with_arn_forms(mut self) -> Self {
        let Some(partition) = self.partition.as_deref() else { return self };
        if matches!(self.identity, Identity::Whole | Identity::Member { .. }) {
            let account = self.account.map_or_else(|| ANY_ACCOUNT.to_owned(), |account| account.to_string());
            let iam = format!("arn:{partition}:iam::{account}:*");
            let sts = format!("arn:{partition}:sts::{account}:*");
            self.arn = Fact::like([iam.as_str(), sts.as_str()]);
        }
        self
    }

    fn new(
        account: Option<AccountId>,
        partition: Option<String>,
        identity: Identity,
        account_fact: Fact,
        arn: Fact,
    ) -> Self {
        let (organization, paths) = (Fact::Unknown, Fact::Unknown);
        Self { account, partition, identity, account_fact, arn, organization, paths }
    }

    /// The account, where the caller belongs to one that is known.
    pub fn account(&self) -> Option<AccountId> {
        self.account
    }

    pub(super) fn partition(&self) -> Option<&str> {
        self.partition.as_deref()
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the caller says of a key; `None` where the key belongs to the request.
    pub(super) fn fact(&self, source: Source) -> Option<&Fact> {
        match source {
            Source::CallerAccount => Some(&self.account_fact),
            Source::CallerArn => Some(&self.arn),
            Source::CallerOrganization => Some(&self.organization),
            Source::CallerPaths => Some(&self.paths),
            Source::Request => None,
        }
    }
}
