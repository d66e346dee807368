//! Owns what the directory says about organizations: which account is a member of which organization and unit. It never
//! widens a rule.

use key_policy::{Known, OrganizationFacts};

use super::Allowlist;
use crate::domain::{AccountId, OrganizationalUnitArn, Target};

impl Allowlist {
    /// Whether every account of `target` is a member of `group`; `None` if the directory doesn't say.
    pub fn is_member(&self, target: &Target, group: &Target) -> Option<bool> {
        let organization = match target {
            Target::Account(account) => self.organization_of(*account),
            Target::Organization(arn) => Some(arn.organization_id()),
            Target::OrganizationalUnit(arn) => Some(arn.organization_id()),
        };
        match group {
            Target::Account(_) => Some(target == group),
            Target::Organization(group) => organization.map(|organization| organization == group.organization_id()),
            Target::OrganizationalUnit(unit) => {
                if organization? != unit.organization_id() {
                    return Some(false);
                }
                let path = match target {
                    Target::Account(account) => self.accounts.get(account)?.organization_path.as_deref()?,
                    Target::OrganizationalUnit(arn) => self.path_of(arn)?,
                    // A part of the organization is in the unit, and the directory may not say which part.
                    Target::Organization(_) => return None,
                };
                Some(path.split('/').any(|part| part == unit.unit_id()))
            }
        }
    }

    /// The target's place in AWS Organizations, as far as the key check may rely on it.
    pub fn organization_facts(&self, target: &Target) -> OrganizationFacts {
        let (organization, path) = match target {
            Target::Account(account) => {
                let path = self.accounts.get(account).and_then(|facts| facts.organization_path.as_deref());
                (self.organization_of(*account), path)
            }
            Target::Organization(arn) => (Some(arn.organization_id()), None),
            Target::OrganizationalUnit(arn) => (Some(arn.organization_id()), self.path_of(arn)),
        };
        OrganizationFacts {
            organization_id: organization.map_or(Known::Unknown, |id| Known::Is(Some(id.to_owned()))),
            paths: path.map_or(Known::Unknown, |path| Known::Is(vec![path.to_owned()])),
        }
    }

    /// A target in a message: an account by its name and ID if the directory has a name. Only requesters whom a rule
    /// allows the target may see this.
    pub fn called(&self, target: &Target) -> String {
        self.name_of(target).map_or_else(|| target.to_string(), |name| format!("{name} ({target})"))
    }

    /// The name of an account.
    pub fn name_of(&self, target: &Target) -> Option<&str> {
        self.accounts.get(&target.account()?)?.name.as_deref()
    }

    /// The ID of an account's organization, `o-…`.
    pub fn organization_of(&self, account: AccountId) -> Option<&str> {
        self.accounts.get(&account)?.organization_id.as_deref()
    }

    /// The path of a unit, `o-…/r-…/ou-…/`, taken from the paths of the accounts in it or below it.
    pub fn path_of(&self, unit: &OrganizationalUnitArn) -> Option<&str> {
        let paths = self.accounts.values().filter_map(|account| account.organization_path.as_deref());
        let marker = format!("/{}/", unit.unit_id());
        let organization = format!("{}/", unit.organization_id());
        paths.filter(|path| path.starts_with(&organization)).find_map(|path| {
            let end = path.find(&marker)?.checked_add(marker.len())?;
            path.get(..end)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWLIST: &str = r#"
version: 1
accounts:
  "111122223333": {organizationPath: o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/ou-ab12-22222222/}
  "444455556666": {organizationId: o-a1b2c3d4e5}
rules:
  - {name: r, requesters: ["lambda:invoke"], actions: [list], images: all}
"#;

    #[track_caller]
    fn check(target: &str, group: &str, expect: Option<bool>) {
        let allowlist = Allowlist::parse(ALLOWLIST).unwrap();
        let short = |text: &str| match text.get(..2) {
            Some("o-") => format!("arn:aws:organizations::999988887777:organization/{text}"),
            Some("ou") => format!("arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/{text}"),
            _ => text.to_owned(),
        };
        let (target, group) = (short(target).parse().unwrap(), short(group).parse().unwrap());
        assert_eq!(allowlist.is_member(&target, &group), expect, "{target} in {group}");
    }

    #[test]
    fn membership_is_what_the_directory_says_and_else_unknown() {
        check("111122223333", "o-a1b2c3d4e5", Some(true));
        check("111122223333", "o-zzzzzzzzzz", Some(false));
        check("111122223333", "ou-ab12-11111111", Some(true));
        check("111122223333", "ou-ab12-22222222", Some(true));
        check("111122223333", "ou-ab12-33333333", Some(false));
        check("444455556666", "o-a1b2c3d4e5", Some(true));
        check("444455556666", "ou-ab12-11111111", None);
        check("777788889999", "o-a1b2c3d4e5", None);
        check("777788889999", "111122223333", Some(false));
        check("ou-ab12-22222222", "o-a1b2c3d4e5", Some(true));
        check("ou-ab12-22222222", "ou-ab12-11111111", Some(true));
        check("ou-ab12-11111111", "ou-ab12-22222222", Some(false));
        check("ou-ab12-33333333", "ou-ab12-11111111", None);
        check("o-a1b2c3d4e5", "ou-ab12-11111111", None);
        check("o-a1b2c3d4e5", "o-zzzzzzzzzz", Some(false));
    }

    #[test]
    fn a_units_path_is_read_off_the_accounts_below_it() {
        let allowlist = Allowlist::parse(ALLOWLIST).unwrap();
        let unit = "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111".parse().unwrap();
        assert_eq!(allowlist.path_of(&unit), Some("o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"));
    }
}
