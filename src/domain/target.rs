//! Owns [`Target`].

use std::{fmt, str::FromStr};

use super::{AccountId, OrganizationArn, OrganizationalUnitArn, ParseError, quoted, serde_as_string};

/// Whom an image may be shared with: what a launch permission can name, except everybody.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LaunchPermission.html>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// One account.
    Account(AccountId),
    /// Every account of an organization, now and later.
    Organization(OrganizationArn),
    /// Every account in an organizational unit and in those below it, now and later.
    OrganizationalUnit(OrganizationalUnitArn),
}

impl Target {
    /// The account, where the target is one.
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Account(account) => Some(*account),
            Self::Organization(_) | Self::OrganizationalUnit(_) => None,
        }
    }
}

impl FromStr for Target {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if let Ok(account) = text.parse() {
            return Ok(Self::Account(account));
        }
        if let Ok(organization) = text.parse() {
            return Ok(Self::Organization(organization));
        }
        if let Ok(unit) = text.parse() {
            return Ok(Self::OrganizationalUnit(unit));
        }
        Err(ParseError::new(format!(
            "{} is not a target: an account id of twelve digits, or the ARN of an organization or organizational unit",
            quoted(text)
        )))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => account.fmt(f),
            Self::Organization(organization) => organization.fmt(f),
            Self::OrganizationalUnit(unit) => unit.fmt(f),
        }
    }
}

serde_as_string!(Target);
