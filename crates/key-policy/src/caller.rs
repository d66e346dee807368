//! Owns [`Caller`]: who calls KMS, and the condition keys that follow from it.

use super::context::{ContextFact, ContextValue, Form, KeySource};
use crate::domain::{AccountId, Arn, ParseError, quoted};

/// Who calls: an account as a whole, one identity in it, EC2's own role there, any member of an organization, or a
/// service.
#[derive(Debug, Clone)]
pub struct Caller {
    account: Option<AccountId>,
    partition: Option<String>,
    identity: Identity,
    account_fact: ContextFact,
    arn: ContextFact,
    organization: ContextFact,
    paths: ContextFact,
}

/// The part of a caller that is compared with principals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    /// Anybody of the account.
    Whole,
    /// Anybody of an account that is not known, other than this one.
    Member {
        other_than: Option<AccountId>,
    },
    Root,
    /// A user or federated user, by ARN.
    User(String),
    /// A role, by ARN.
    Role(String),
    /// A session of a role, with the role's own ARN if it is known: the session's ARN does not have the role's path.
    Session {
        arn: String,
        role: String,
        role_arn: Option<String>,
    },
    /// EC2's [`INFRASTRUCTURE_ROLE`] of the account, or of any account other than this one.
    Infrastructure {
        other_than: Option<AccountId>,
    },
    Service(String),
}

/// Who calls, as far as principals tell callers apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whom<'c> {
    pub account: Option<AccountId>,
    pub partition: Option<&'c str>,
    pub identity: &'c Identity,
}

impl<'c> Whom<'c> {
    /// Anybody of an account.
    pub(super) fn whole(account: AccountId, partition: &'c str) -> Self {
        Self { account: Some(account), partition: Some(partition), identity: &Identity::Whole }
    }

    /// EC2's [`INFRASTRUCTURE_ROLE`] of an account.
    pub(super) fn infrastructure(account: AccountId, partition: &'c str) -> Self {
        let identity = &Identity::Infrastructure { other_than: None };
        Self { account: Some(account), partition: Some(partition), identity }
    }
}

/// The identity-only role by which EC2 decrypts the data keys of an instance's volumes. Every account has it, and each
/// of its sessions is named after an instance.
///
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html#ebs-encryption-instance-permissions>
pub(super) const INFRASTRUCTURE_ROLE: &str = "aws:ec2-infrastructure";

/// The form of an account that is not known.
const ANY_ACCOUNT: &str = "????????????";

/// A fact that may not be known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known<T> {
    /// It is known.
    Is(T),
    /// It is not known.
    Unknown,
}

/// Where an account is in AWS Organizations.
///
/// If the target is an organization or an organizational unit, these are paths of any accounts below it. They give the
/// path of the target itself, and say nothing about its other members.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrganizationFacts {
    /// The ID of the organization, `o-…`; `None` for an account that is in no organization.
    pub organization_id: Known<Option<String>>,
    /// The paths as `aws:PrincipalOrgPaths` has them, `o-…/r-…/ou-…/`. An account has one, which ends with the unit
    /// that it is in.
    pub paths: Known<Vec<String>>,
}

impl OrganizationFacts {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { organization_id: Known::Unknown, paths: Known::Unknown };
}

impl Caller {
    /// An account as a whole: anybody whom the account lets use the key.
    pub fn account_as_a_whole(account: AccountId) -> Self {
        Self::new(Some(account), None, Identity::Whole, ContextFact::is(account.to_string()), ContextFact::Unknown)
    }

    /// The identity with this ARN: a user, a role, a role's session, a federated user or the root user.
    /// `role_arn` is the ARN of a session's role, if it is known.
    ///
    /// # Errors
    /// The ARN is not that of an identity.
    pub fn identity_in_account(arn: &str, role_arn: Option<&str>) -> Result<Self, ParseError> {
        let wrong = || ParseError::new(format!("{} is not the ARN of a user, role, session or root", quoted(arn)));
        let parts = Arn::split(arn).ok_or_else(wrong)?;
        let account: AccountId = parts.account.parse().map_err(|_| wrong())?;
        let text = arn.to_owned();
        // What aws:PrincipalArn holds: for a session the ARN of its role, whose path the session's ARN does not say.
        // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn>
        let (identity, principal_arn) = match (parts.service, parts.resource.split_once('/')) {
            ("iam", None) if parts.resource == "root" => (Identity::Root, ContextFact::is(text)),
            ("iam", Some(("user", _))) | ("sts", Some(("federated-user", _))) => {
                (Identity::User(text.clone()), ContextFact::is(text))
            }
            ("iam", Some(("role", _))) => (Identity::Role(text.clone()), ContextFact::is(text)),
            ("sts", Some(("assumed-role", session))) => {
                let (role, _) = session.split_once('/').ok_or_else(wrong)?;
                let session =
                    Identity::Session { arn: text, role: role.to_owned(), role_arn: role_arn.map(ToOwned::to_owned) };
                let top = format!("arn:{}:iam::{account}:role/", parts.partition);
                let below = [format!("{top}{role}"), format!("{top}*/{role}")];
                let arn = role_arn.map_or_else(|| ContextFact::like(below.iter().map(String::as_str)), ContextFact::is);
                (session, arn)
            }
            _ => return Err(wrong()),
        };
        let partition = Some(parts.partition.to_owned());
        Ok(Self::new(Some(account), partition, identity, ContextFact::is(account.to_string()), principal_arn))
    }

    /// An AWS service calling for itself, by its principal (`ec2.amazonaws.com`).
    pub fn service(name: &str) -> Self {
        let mut caller =
            Self::new(None, None, Identity::Service(name.to_owned()), ContextFact::Absent, ContextFact::Absent);
        (caller.organization, caller.paths) = (ContextFact::Absent, ContextFact::Absent);
        caller
    }

    /// Any account of an organization, other than the one that owns the key: only its place in the organization is
    /// known.
    pub fn any_member(other_than: Option<AccountId>) -> Self {
        Self::new(None, None, Identity::Member { other_than }, ContextFact::like([ANY_ACCOUNT]), ContextFact::Unknown)
    }

    /// EC2's [`INFRASTRUCTURE_ROLE`] in the account of `asking`, with the same place in its organization.
    pub(super) fn infrastructure_of(asking: &Self, partition: &str) -> Self {
        let other_than = if let Identity::Member { other_than } = asking.identity { other_than } else { None };
        let account = asking.account.map_or_else(|| ANY_ACCOUNT.to_owned(), |account| account.to_string());
        let role = format!("arn:{partition}:iam::{account}:role/{INFRASTRUCTURE_ROLE}");
        // CloudTrail and AWS's data perimeter policies name the role alone, the EBS guide also the instance:
        // <https://docs.aws.amazon.com/kms/latest/developerguide/ct-ec2two.html>
        let arn = ContextValue::TwoForms { usual: Form::new(&role), other: Form::new(&format!("{role}/i-*")) };
        Self {
            identity: Identity::Infrastructure { other_than },
            arn: ContextFact::Present(vec![arn]),
            ..asking.clone()
        }
    }

    /// States where the caller is in AWS Organizations.
    #[must_use]
    pub fn in_organization(mut self, facts: &OrganizationFacts) -> Self {
        self.organization = match &facts.organization_id {
            Known::Is(Some(id)) => ContextFact::is(id),
            Known::Is(None) => ContextFact::Absent,
            Known::Unknown => ContextFact::Unknown,
        };
        self.paths = match &facts.paths {
            Known::Is(paths) if paths.is_empty() => ContextFact::Absent,
            Known::Is(paths) => ContextFact::Present(paths.iter().cloned().map(ContextValue::Exactly).collect()),
            Known::Unknown => ContextFact::Unknown,
        };
        self
    }

    /// States the forms that the caller's path in its organization may have.
    #[must_use]
    pub fn with_path_forms(mut self, forms: Vec<Form>) -> Self {
        self.paths = ContextFact::Present(vec![ContextValue::OneOf(forms)]);
        self
    }

    /// States the partition, for a caller without an ARN.
    #[must_use]
    pub fn in_partition(mut self, partition: &str) -> Self {
        self.partition.get_or_insert_with(|| partition.to_owned());
        self
    }

    /// States how the ARN of every identity in the account begins, for a caller of which only the account is known.
    #[must_use]
    pub fn with_arn_forms(mut self) -> Self {
        let Some(partition) = self.partition.as_deref() else { return self };
        if matches!(self.identity, Identity::Whole | Identity::Member { .. }) {
            let account = self.account.map_or_else(|| ANY_ACCOUNT.to_owned(), |account| account.to_string());
            let iam = format!("arn:{partition}:iam::{account}:*");
            let sts = format!("arn:{partition}:sts::{account}:*");
            self.arn = ContextFact::like([iam.as_str(), sts.as_str()]);
        }
        self
    }

    fn new(
        account: Option<AccountId>,
        partition: Option<String>,
        identity: Identity,
        account_fact: ContextFact,
        arn: ContextFact,
    ) -> Self {
        let (organization, paths) = (ContextFact::Unknown, ContextFact::Unknown);
        Self { account, partition, identity, account_fact, arn, organization, paths }
    }

    /// The account, if it is known.
    pub fn account(&self) -> Option<AccountId> {
        self.account
    }

    pub(super) fn whom(&self) -> Whom<'_> {
        Whom { account: self.account, partition: self.partition.as_deref(), identity: &self.identity }
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What follows from the caller for a condition key; `None` if the request has the key.
    pub(super) fn fact(&self, source: KeySource) -> Option<&ContextFact> {
        match source {
            KeySource::CallerAccount => Some(&self.account_fact),
            KeySource::CallerArn => Some(&self.arn),
            KeySource::CallerOrganization => Some(&self.organization),
            KeySource::CallerPaths => Some(&self.paths),
            KeySource::Request => None,
        }
    }
}
