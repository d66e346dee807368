//! Owns how the `accounts` and `groups` of an allowlist are read, and the names that they give to targets.

use std::collections::BTreeMap;

use super::{
    super::{AccountFacts, Targets},
    fault::Part,
    reader::{Field, Reader},
    values::parse,
};
use crate::domain::{AccountId, Target, is_organization_id, is_organization_path, quoted};

/// The names that `targets` may use, with their targets.
#[derive(Default)]
pub(super) struct Names(BTreeMap<String, Vec<Target>>);

impl Reader {
    pub(super) fn accounts(&mut self, field: Field<'_>, names: &mut Names) -> BTreeMap<AccountId, AccountFacts> {
        let mut accounts = BTreeMap::new();
        for (key, entry) in self.entries("accounts", field) {
            let Some(text) = self.text("accounts", (key.line, key)) else { continue };
            self.part = Part::Account(text.to_owned());
            let id = text.parse::<AccountId>();
            if let Err(error) = &id {
                self.fault(key.line, "", error.to_string());
            }
            if let (Some(facts), Ok(id)) = (self.account((key.line, entry), id.as_ref().ok().copied(), names), id)
                && accounts.insert(id, facts).is_some()
            {
                self.fault(key.line, "", "repeated key");
            }
            self.part = Part::Document;
        }
        accounts
    }

    fn account(&mut self, entry: Field<'_>, id: Option<AccountId>, names: &mut Names) -> Option<AccountFacts> {
        let mut fields = self.fields("", entry, &["name", "organizationId", "organizationPath"])?;
        let name = fields.take("name").and_then(|field| {
            let name = self.checked(
                "name",
                field,
                is_name,
                "is not a name: up to 64 letters, digits, `.`, `_`, `-`, and not like an ID",
            )?;
            // The name is known even if the ID is wrong. Otherwise, each use of the name would be another fault.
            self.name(field.0, "name", &name, id.map(Target::Account).into_iter().collect(), names);
            Some(name)
        });
        let organization = fields.take("organizationId");
        let organization_id = organization.and_then(|field| {
            self.checked("organizationId", field, is_organization_id, "is not the ID of an organization (`o-…`)")
        });
        let organization_path = fields.take("organizationPath").and_then(|field| {
            let what = "is not a place in an organization (`o-…/r-…/ou-…/`, with a slash at the end)";
            self.checked("organizationPath", field, is_organization_path, what)
        });
        let of_path = organization_path.as_ref().and_then(|path| path.split('/').next()).map(str::to_owned);
        if let (Some((line, _)), Some(said), Some(of_path)) = (organization, &organization_id, &of_path)
            && said != of_path
        {
            self.fault(line, "organizationId", format!("organizationPath is in {of_path}, organizationId says {said}"));
        }
        Some(AccountFacts { name, organization_id: organization_id.or(of_path), organization_path })
    }

    pub(super) fn groups(&mut self, field: Field<'_>, names: &mut Names) {
        let mut groups = Vec::new();
        for (key, entry) in self.entries("groups", field) {
            let Some(name) = self.text("groups", (key.line, key)) else { continue };
            self.part = Part::Group(name.to_owned());
            if !is_name(name) {
                let what = "is not a name: up to 64 letters, digits, `.`, `_`, `-`, and not like an ID";
                self.fault(key.line, "", format!("{} {what}", quoted(name)));
            }
            // Only the directory's names are known now, so a group can't contain a group.
            let targets = self.targets("", (key.line, entry), names);
            groups.push((key.line, name, targets.to_vec()));
            self.part = Part::Document;
        }
        for (line, name, targets) in groups {
            self.part = Part::Group(name.to_owned());
            self.name(line, "", name, targets, names);
            self.part = Part::Document;
        }
    }

    /// Gives targets a name. It must be unique.
    fn name(&mut self, line: usize, field: &str, name: &str, targets: Vec<Target>, names: &mut Names) {
        if names.0.contains_key(name) {
            self.fault(line, field, format!("{} names another account or group too", quoted(name)));
        } else {
            names.0.insert(name.to_owned(), targets);
        }
    }

    /// Reads targets: accounts, the ARNs of organizations and units, and names for them.
    pub(super) fn targets(&mut self, name: &str, field: Field<'_>, names: &Names) -> Targets {
        let found = self.list(name, field, false, |text| {
            if !is_name(text) {
                return parse::<Target>(text).map(|target| vec![target]);
            }
            names.0.get(text).cloned().ok_or_else(|| {
                format!("{} is not a target and not the name of an entry of `accounts` or `groups`", quoted(text))
            })
        });
        found.into_iter().flatten().collect()
    }
}

/// Whether a text can name an account or a group: it must not look like an ID or an ARN.
fn is_name(text: &str) -> bool {
    let looks_like_an_id =
        text.bytes().all(|byte| byte.is_ascii_digit()) || text.starts_with("o-") || text.starts_with("ou-");
    !looks_like_an_id
        && (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
