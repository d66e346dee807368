//! Owns [`Target`].

use std::{fmt, str::FromStr};

use super::{AccountId, OrganizationArn, OrganizationalUnitArn, ParseError, quoted, serde_as_string};

/// Who may be let in: an account, an organization or an organizational unit. These are what a launch permission of EC2
/// can name, except everybody.
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
    /// The account, if the target is one.
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Account(account) => Some(*account),
            Self::Organization(_) | Self::OrganizationalUnit(_) => None,
        }
    }

    /// What identifies the target, the same for equal targets: an account's ID, `o-…`, or `o-…/ou-…`. The management
    /// account and the partition in an ARN do not matter for whom it names.
    ///
    /// EC2 takes whole ARNs, so calls need the target as the caller gave it or as EC2 shows it.
    pub fn id(&self) -> String {
        match self {
            Self::Account(account) => account.to_string(),
            Self::Organization(organization) => organization.id().to_owned(),
            Self::OrganizationalUnit(unit) => unit.id().to_owned(),
        }
    }
}

impl FromStr for Target {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if let Some(account) = AccountId::parse(text) {
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    #[test]
    fn an_organization_is_the_same_whatever_management_account_and_partition_its_arn_names() {
        let target = |text: &str| text.parse::<Target>().unwrap();
        let same = [
            [
                "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5",
                "arn:aws-cn:organizations::444455556666:organization/o-a1b2c3d4e5",
            ],
            [
                "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111",
                "arn:aws-us-gov:organizations::444455556666:ou/o-a1b2c3d4e5/ou-ab12-11111111",
            ],
        ];
        for [one, other] in same.map(|pair| pair.map(target)) {
            assert_eq!(one, other);
            assert_eq!(one.id(), other.id());
            assert_ne!(one.to_string(), other.to_string(), "each is shown as it was written");
            assert_eq!(HashSet::from([one.clone(), other.clone()]).len(), 1);
            assert_eq!(BTreeSet::from([one, other]).len(), 1);
        }
        let all = [
            "111122223333",
            "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5",
            "arn:aws:organizations::111122223333:organization/o-zzzzzzzzzz",
            "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111",
            "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-22222222",
            "arn:aws:organizations::111122223333:ou/o-zzzzzzzzzz/ou-ab12-11111111",
        ];
        assert_eq!(all.map(target).into_iter().collect::<HashSet<_>>().len(), all.len());
        let ids: HashSet<_> = all.map(|text| target(text).id()).into_iter().collect();
        assert!(ids.contains("o-a1b2c3d4e5") && ids.contains("o-a1b2c3d4e5/ou-ab12-11111111"));
        assert_eq!(ids.len(), all.len());
    }
}
