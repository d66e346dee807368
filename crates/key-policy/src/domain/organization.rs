//! Owns the ARNs of AWS Organizations that EC2 accepts: [`OrganizationArn`] and [`OrganizationalUnitArn`].

use std::{fmt, str::FromStr};

use super::{ParseError, Partition, arn::Arn, quoted, serde_as_string};

/// `o-` and 10 to 32 lower-case letters or digits:
/// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_Organization.html>
pub fn is_organization_id(text: &str) -> bool {
    text.strip_prefix("o-").is_some_and(|id| is_lower_alphanumeric(id, 10..=32))
}

/// `ou-`, the root's 4 to 32 and the unit's 8 to 32 lower-case letters or digits:
/// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_OrganizationalUnit.html>
pub fn is_organizational_unit_id(text: &str) -> bool {
    text.strip_prefix("ou-")
        .and_then(|id| id.split_once('-'))
        .is_some_and(|(root, unit)| is_lower_alphanumeric(root, 4..=32) && is_lower_alphanumeric(unit, 8..=32))
}

/// Whether the text is a path in an organization as `aws:PrincipalOrgPaths` has it: `o-…/r-…/ou-…/…/`, with a slash at
/// the end.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalorgpaths>
pub fn is_organization_path(text: &str) -> bool {
    let Some(path) = text.strip_suffix('/') else { return false };
    let mut parts = path.split('/');
    let is_root = |part: &str| part.strip_prefix("r-").is_some_and(|id| is_lower_alphanumeric(id, 4..=32));
    parts.next().is_some_and(is_organization_id)
        && parts.next().is_some_and(is_root)
        && parts.all(is_organizational_unit_id)
}

fn is_lower_alphanumeric(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn is_organizations_arn(arn: &Arn<'_>) -> bool {
    Partition::parse(arn.partition).is_some()
        && arn.service == "organizations"
        && arn.region.is_empty()
        && arn.account.parse::<super::AccountId>().is_ok()
}

macro_rules! organizations_arn {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $bare:literal, $what:literal, $is_resource:expr) => {
        $(#[$doc])*
        ///
        /// Two ARNs with the same ID are equal, whatever management account and partition they name.
        #[derive(Debug, Clone)]
        pub struct $name(String);

        impl $name {
            /// The ARN as AWS writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// What identifies it: the resource of the ARN.
            pub(crate) fn id(&self) -> &str {
                self.0.split_once(concat!(":", $prefix)).map_or("", |(_, resource)| resource)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.id() == other.id()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.id().cmp(other.id())
            }
        }

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.id().hash(state);
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                let is_resource: fn(&str) -> bool = $is_resource;
                let right = Arn::split(text).is_some_and(|arn| {
                    is_organizations_arn(&arn) && arn.resource.strip_prefix($prefix).is_some_and(is_resource)
                });
                if right {
                    return Ok(Self(text.to_owned()));
                }
                let advice = if text.starts_with($bare) { "; EC2 wants the whole ARN, not the bare id" } else { "" };
                Err(ParseError::new(format!(concat!("{} is not the ARN of ", $what, "{}"), quoted(text), advice)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        serde_as_string!($name);
    };
}

organizations_arn!(
    /// `arn:aws:organizations::<management account>:organization/o-…`
    OrganizationArn,
    "organization/",
    "o-",
    "an organization (`arn:aws:organizations::<management account>:organization/o-…`)",
    is_organization_id
);

organizations_arn!(
    /// `arn:aws:organizations::<management account>:ou/o-…/ou-…`
    OrganizationalUnitArn,
    "ou/",
    "ou-",
    "an organizational unit (`arn:aws:organizations::<management account>:ou/o-…/ou-…`)",
    |resource| resource.split_once('/').is_some_and(|(organization, unit)| is_organization_id(organization) && is_organizational_unit_id(unit))
);

impl OrganizationArn {
    /// The organization's id, `o-…`.
    pub fn organization_id(&self) -> &str {
        self.id()
    }
}

impl OrganizationalUnitArn {
    /// The id of the organization the unit belongs to, `o-…`.
    pub fn organization_id(&self) -> &str {
        self.id().split_once('/').map_or("", |(organization, _)| organization)
    }

    /// The unit's own id, `ou-…`.
    pub fn unit_id(&self) -> &str {
        self.id().split_once('/').map_or("", |(_, unit)| unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organization_and_unit_arns_know_their_ids() {
        let organization: OrganizationArn =
            "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5".parse().unwrap();
        assert_eq!(organization.organization_id(), "o-a1b2c3d4e5");
        let unit: OrganizationalUnitArn =
            "arn:aws-us-gov:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111".parse().unwrap();
        assert_eq!((unit.organization_id(), unit.unit_id()), ("o-a1b2c3d4e5", "ou-ab12-11111111"));
    }

    #[test]
    fn a_bare_id_is_refused_with_advice() {
        assert!("o-a1b2c3d4e5".parse::<OrganizationArn>().unwrap_err().to_string().contains("whole ARN"));
        assert!("ou-ab12-11111111".parse::<OrganizationalUnitArn>().unwrap_err().to_string().contains("whole ARN"));
    }

    #[test]
    fn each_part_of_an_arn_is_checked() {
        for wrong in [
            "arn:gcp:organizations::111122223333:organization/o-a1b2c3d4e5",
            "arn:aws:iam::111122223333:organization/o-a1b2c3d4e5",
            "arn:aws:organizations:us-east-1:111122223333:organization/o-a1b2c3d4e5",
            "arn:aws:organizations::o-a1b2c3d4e5:organization/o-a1b2c3d4e5",
            "arn:aws:organizations:::organization/o-a1b2c3d4e5",
            "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e",
            "arn:aws:organizations::111122223333:organization/o-A1b2c3d4e5",
        ] {
            assert!(wrong.parse::<OrganizationArn>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_path_leads_from_the_organization_through_its_root_to_units() {
        for (path, expect) in [
            ("o-a1b2c3d4e5/r-ab12/", true),
            ("o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/", true),
            ("o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/ou-ab12-22222222/", true),
            ("o-a1b2c3d4e5/r-ab12/ou-ab12-11111111", false),
            ("o-a1b2c3d4e5/", false),
            ("r-ab12/ou-ab12-11111111/", false),
            ("o-a1b2c3d4e5/ou-ab12-11111111/", false),
            ("o-a1b2c3d4e5/r-ab1/ou-ab12-11111111/", false),
            ("o-1/r-ab12/ou-ab12-11111111/", false),
            ("o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*/", false),
            ("o-a1b2c3d4e5/r-ab12/r-ab12/", false),
            ("", false),
        ] {
            assert_eq!(is_organization_path(path), expect, "{path:?}");
        }
    }

    #[test]
    fn the_root_of_an_organization_is_no_target() {
        assert!("arn:aws:organizations::111122223333:root/o-a1b2c3d4e5/r-ab12".parse::<OrganizationArn>().is_err());
        assert!("arn:aws:organizations::111122223333:organization/o-*".parse::<OrganizationArn>().is_err());
        assert!(
            "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111/"
                .parse::<OrganizationalUnitArn>()
                .is_err()
        );
    }
}
