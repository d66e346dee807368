//! Owns [`GroupId`].

use std::fmt;

use super::{Target, is_organization_id, is_organizational_unit_id};

/// The ID of an organization or an organizational unit, without the management account that its ARN names.
///
/// A URL can have it in place of an ARN. EC2 accepts only ARNs, so the ARN with this ID must be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupId(String);

impl GroupId {
    /// The ID, if the text is one.
    pub fn parse(text: &str) -> Option<Self> {
        (is_organization_id(text) || is_organizational_unit_id(text)).then(|| Self(text.to_owned()))
    }

    /// Whether it is the ID of this target.
    pub fn is_of(&self, target: &Target) -> bool {
        match target {
            Target::Account(_) => false,
            Target::Organization(arn) => arn.organization_id() == self.0,
            Target::OrganizationalUnit(arn) => arn.unit_id() == self.0,
        }
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_of_the_arn_that_ends_in_it_whatever_the_management_account() {
        let target = |text: &str| text.parse::<Target>().unwrap();
        let organization = target("arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5");
        let unit = target("arn:aws:organizations::444455556666:ou/o-a1b2c3d4e5/ou-ab12-11111111");
        let id = |text: &str| GroupId::parse(text).unwrap();
        assert!(id("o-a1b2c3d4e5").is_of(&organization) && !id("o-a1b2c3d4e5").is_of(&unit));
        assert!(id("ou-ab12-11111111").is_of(&unit) && !id("ou-ab12-11111111").is_of(&organization));
        assert!(!id("o-a1b2c3d4e6").is_of(&organization) && !id("o-a1b2c3d4e5").is_of(&target("111122223333")));
        for wrong in ["", "o-", "o-a1b2", "O-A1B2C3D4E5", "o-a1b2c3d4e5/", "o-*", "ou-ab12", "r-ab12", "111122223333"] {
            assert_eq!(GroupId::parse(wrong), None, "{wrong}");
        }
    }
}
