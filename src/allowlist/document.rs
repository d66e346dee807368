//! Owns the allowlist document: its grammar, and the checks that make an [`Allowlist`] of it.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    marker::PhantomData,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_saphyr::budget::BudgetBreach;
use time::Duration;

use super::{AccountFacts, Allowlist, Images, Keys, Pattern, RequesterPattern, Rule, place};
use crate::{
    domain::{AccountId, ServiceLinkedRole, StrictString, Target, quoted},
    request::{Access, Action},
};

/// Why an allowlist can't be used, with the line and field; meant for the log, not for callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidAllowlist(String);

impl fmt::Display for InvalidAllowlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidAllowlist {}

impl InvalidAllowlist {
    /// The parser names line and column, and we the field.
    fn at(place: Option<(usize, usize)>, text: &str, error: &dyn fmt::Display) -> Self {
        let field = place.and_then(|(line, column)| place::field(text, line, column));
        Self(field.map_or_else(|| error.to_string(), |field| format!("{error}, in the field `{field}`")))
    }
}

impl Allowlist {
    /// Reads JSON (a document that begins with `{`) or YAML, without anchors, aliases, merge keys and
    /// repeated keys, and validates it.
    pub fn parse(text: &str) -> Result<Self, InvalidAllowlist> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let document: Document = if text.trim_start().starts_with('{') {
            serde_json::from_str(text)
                .map_err(|error| InvalidAllowlist::at(Some((error.line(), error.column())), text, &error))?
        } else {
            serde_saphyr::from_str_with_options(text, yaml_options()).map_err(|error| {
                let number = |number: u64| usize::try_from(number).unwrap_or_default();
                let place = error.location().map(|place| (number(place.line()), number(place.column())));
                match (error.without_snippet(), place) {
                    (
                        serde_saphyr::Error::Budget {
                            breach: BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. },
                            ..
                        },
                        Some((line, column)),
                    ) => {
                        let what = "an anchor or alias (`&`, `*`): write out what it stands for";
                        InvalidAllowlist::at(place, text, &format!("{what} at line {line}, column {column}"))
                    }
                    (error, _) => InvalidAllowlist::at(place, text, error),
                }
            })?
        };
        document.validate().map_err(InvalidAllowlist)
    }
}

fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_anchors: 0, max_aliases: 0, max_documents: 1 },
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: false,
        with_snippet: false,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    version: Version,
    #[serde(default)]
    accounts: UniqueMap<AccountId, AccountEntry>,
    rules: Vec<RuleEntry>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AccountEntry {
    #[serde(default, deserialize_with = "account_name")]
    name: Option<String>,
    #[serde(default, deserialize_with = "organization_id")]
    organization_id: Option<String>,
    #[serde(default, deserialize_with = "organization_path")]
    organization_path: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleEntry {
    #[serde(deserialize_with = "rule_name")]
    name: String,
    requesters: Several<RequesterPattern>,
    actions: Several<Action>,
    images: ImagesEntry,
    #[serde(default, deserialize_with = "given")]
    targets: Option<Several<TargetEntry>>,
    #[serde(default)]
    access: Access,
    #[serde(default)]
    keys: Keys,
    #[serde(default)]
    service_linked_roles: Vec<ServiceLinkedRole>,
    #[serde(default, deserialize_with = "max_duration")]
    max_duration: Option<Duration>,
    #[serde(default)]
    on_available: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Criteria {
    #[serde(default, deserialize_with = "given")]
    names: Option<Several<Pattern>>,
    #[serde(default, deserialize_with = "given")]
    tags: Option<UniqueMap<Text, Several<Pattern>>>,
}

enum ImagesEntry {
    All,
    Criteria(Criteria),
}

/// A target as the document writes it: a target, or a name from the directory.
enum TargetEntry {
    Target(Target),
    Name(String),
}

impl Document {
    fn validate(self) -> Result<Allowlist, String> {
        let Version = self.version;
        let mut accounts = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (id, entry) in self.accounts.0 {
            if let Some(name) = &entry.name
                && names.insert(name.clone(), id).is_some()
            {
                return Err(format!("accounts.{id}.name: {} names another account too", quoted(name)));
            }
            let path_organization = entry.organization_path.as_ref().and_then(|path| path.split('/').next());
            if let (Some(organization), Some(of_path)) = (entry.organization_id.as_deref(), path_organization)
                && organization != of_path
            {
                return Err(format!(
                    "accounts.{id}: organizationPath is in {of_path}, organizationId says {organization}"
                ));
            }
            let organization_id = entry.organization_id.clone().or(path_organization.map(str::to_owned));
            accounts.insert(
                id,
                AccountFacts { name: entry.name, organization_id, organization_path: entry.organization_path },
            );
        }

        if self.rules.is_empty() {
            return Err("rules: an empty list; nothing would be allowed to anybody".to_owned());
        }
        let mut seen = HashSet::new();
        let mut rules = Vec::new();
        for (index, entry) in self.rules.into_iter().enumerate() {
            let place = format!("rules[{index}] ({})", entry.name);
            if !seen.insert(entry.name.clone()) {
                return Err(format!("{place}.name: stands here for the second time"));
            }
            rules.push(entry.validate(&names).map_err(|problem| format!("{place}.{problem}"))?);
        }
        Ok(Allowlist { accounts, rules })
    }
}

impl RuleEntry {
    fn validate(self, names: &BTreeMap<String, AccountId>) -> Result<Rule, String> {
        let images = match self.images {
            ImagesEntry::All if self.on_available => {
                return Err("onAvailable: not together with `images: all`; every new image would be shared".to_owned());
            }
            ImagesEntry::All => Images::All,
            ImagesEntry::Criteria(Criteria { names: None, tags: None }) => {
                return Err("images: give `names`, `tags` or both, or say `all`".to_owned());
            }
            ImagesEntry::Criteria(Criteria { names, tags }) => Images::Matching {
                names: names.map(|names| names.0).unwrap_or_default(),
                tags: tags
                    .map(|tags| tags.0.into_iter().map(|(key, values)| (key.0, values.0)).collect())
                    .unwrap_or_default(),
            },
        };
        let mut targets = Vec::new();
        for entry in self.targets.map(|targets| targets.0).unwrap_or_default() {
            targets.push(match entry {
                TargetEntry::Target(target) => target,
                TargetEntry::Name(name) => {
                    let account = names.get(&name);
                    Target::Account(*account.ok_or_else(|| {
                        format!("targets: {} is not a target and not the name of an entry of `accounts`", quoted(&name))
                    })?)
                }
            });
        }
        if targets.is_empty() && self.actions.0.iter().any(|action| action.takes_targets()) {
            return Err("targets: missing; `share`, `revoke` and `check` are about targets".to_owned());
        }
        if !self.service_linked_roles.is_empty() && self.keys != Keys::Grant {
            return Err("serviceLinkedRoles: needs `keys: grant`; a role is let in by a grant".to_owned());
        }
        if self.on_available {
            if !self.actions.0.contains(&Action::Share) {
                return Err("onAvailable: needs `share` among the actions".to_owned());
            }
            let is_automation = |pattern: &RequesterPattern| {
                pattern.as_str().starts_with("events:") && pattern.as_str().ends_with(":aws.ec2")
            };
            if !self.requesters.0.iter().any(is_automation) {
                return Err("onAvailable: needs the requester `events:<this account>:aws.ec2`".to_owned());
            }
        }
        Ok(Rule {
            name: self.name,
            requesters: self.requesters.0,
            actions: self.actions.0,
            images,
            targets,
            access: self.access,
            keys: self.keys,
            service_linked_roles: self.service_linked_roles,
            max_duration: self.max_duration,
            on_available: self.on_available,
        })
    }
}

struct Version;

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(D::Error::custom(format_args!("version {other}; this function reads version 1"))),
        }
    }
}

/// A list with something in it: an empty one looks like a rule and would mean nothing.
struct Several<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::deserialize(deserializer)?;
        if items.is_empty() {
            return Err(D::Error::custom("an empty list; leave the field out or fill it"));
        }
        Ok(Self(items))
    }
}

/// A map with something in it and no key twice.
struct UniqueMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for UniqueMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, K: Deserialize<'de> + Ord + Clone, V: Deserialize<'de>> Deserialize<'de> for UniqueMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);

        impl<'de, K: Deserialize<'de> + Ord + Clone, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
            type Value = UniqueMap<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut seen = std::collections::BTreeSet::new();
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<K>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom("a key that stands here for the second time"));
                    }
                    entries.push((key, map.next_value()?));
                }
                if entries.is_empty() {
                    return Err(A::Error::custom("an empty map; leave the field out or fill it"));
                }
                Ok(UniqueMap(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StrictString::deserialize(deserializer).map(|text| Self(text.0))
    }
}

impl<'de> Deserialize<'de> for ImagesEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;

        impl<'de> Visitor<'de> for Entry {
            type Value = ImagesEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`all`, or a map of `names` and `tags`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ImagesEntry, E> {
                if text == "all" {
                    Ok(ImagesEntry::All)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ImagesEntry, A::Error> {
                Criteria::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(ImagesEntry::Criteria)
            }
        }

        deserializer.deserialize_any(Entry)
    }
}

impl<'de> Deserialize<'de> for TargetEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StrictString(text) = StrictString::deserialize(deserializer)?;
        if is_account_name(&text) {
            return Ok(Self::Name(text));
        }
        text.parse().map(Self::Target).map_err(D::Error::custom)
    }
}

/// A name of the directory can't be taken for an id or an ARN.
fn is_account_name(text: &str) -> bool {
    let looks_like_an_id =
        text.bytes().all(|byte| byte.is_ascii_digit()) || text.starts_with("o-") || text.starts_with("ou-");
    !looks_like_an_id
        && (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// What may be left out, but not be there and empty: `targets:` with nothing after it is more likely an accident.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = Option::<T>::deserialize(deserializer)?;
    value.map(Some).ok_or_else(|| D::Error::custom("there is nothing here: give a value, or leave the field out"))
}

fn account_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let StrictString(text) = StrictString::deserialize(deserializer)?;
    if !is_account_name(&text) {
        return Err(D::Error::custom(format_args!(
            "{} is not a name for an account: up to 64 letters, digits, `.`, `_`, `-`, and not like an id",
            quoted(&text)
        )));
    }
    Ok(Some(text))
}

fn rule_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let StrictString(text) = StrictString::deserialize(deserializer)?;
    if text.is_empty() || text.chars().count() > 128 || text.chars().any(char::is_control) {
        return Err(D::Error::custom(format_args!(
            "{} is not a rule's name: 1 to 128 printable characters",
            quoted(&text)
        )));
    }
    Ok(text)
}

fn organization_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let StrictString(text) = StrictString::deserialize(deserializer)?;
    if !crate::domain::is_organization_id(&text) {
        return Err(D::Error::custom(format_args!("{} is not the id of an organization (`o-…`)", quoted(&text))));
    }
    Ok(Some(text))
}

fn organization_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let StrictString(text) = StrictString::deserialize(deserializer)?;
    if !crate::domain::is_organization_path(&text) {
        return Err(D::Error::custom(format_args!(
            "{} is not a place in an organization (`o-…/r-…/ou-…/`, with a slash at the end)",
            quoted(&text)
        )));
    }
    Ok(Some(text))
}

fn max_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let StrictString(text) = StrictString::deserialize(deserializer)?;
    parse_duration(&text).map(Some).ok_or_else(|| {
        D::Error::custom(format_args!(
            "{} is not a duration from `5m` to `3650d`: a number and m, h or d",
            quoted(&text)
        ))
    })
}

/// Reads a duration as `maxDuration` has it: a number and m, h or d, from `5m` to `3650d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let number = text.strip_suffix(unit)?;
    let number: i64 = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok()).flatten()?;
    let minutes = number.checked_mul(match unit {
        'm' => 1,
        'h' => 60,
        'd' => 24 * 60,
        _ => return None,
    })?;
    (5..=3650 * 24 * 60).contains(&minutes).then(|| Duration::minutes(minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = r#"{"name": "r", "requesters": ["lambda:invoke"], "actions": ["share"], "images": {"names": ["golden-*"]}, "targets": ["111122223333"]}"#;

    /// The smallest document with one rule, whose fields `change` may replace, add or (with `null`) remove.
    fn with(change: serde_json::Value) -> String {
        let mut rule: serde_json::Value = serde_json::from_str(RULE).unwrap();
        for (field, value) in change.as_object().unwrap() {
            if value.is_null() {
                rule.as_object_mut().unwrap().remove(field);
            } else {
                rule[field] = value.clone();
            }
        }
        serde_json::json!({"version": 1, "accounts": {"444455556666": {"name": "staging"}}, "rules": [rule]})
            .to_string()
    }

    #[track_caller]
    fn refused(text: &str, words: &str) {
        match Allowlist::parse(text) {
            Ok(allowlist) => panic!("should be refused ({words}): {text}\n{allowlist:#?}"),
            Err(error) => assert!(error.to_string().contains(words), "{error}\nshould say {words:?}"),
        }
    }

    #[test]
    fn the_example_parses_and_resolves_names() {
        let allowlist = Allowlist::parse(include_str!("../../examples/allowlist.yaml")).unwrap();
        assert_eq!(allowlist.rules.len(), 4);
        assert_eq!(allowlist.rules[0].targets[1].to_string(), "444455556666");
        assert_eq!(allowlist.accounts.len(), 2);
    }

    #[test]
    fn the_contract_sample_parses() {
        let allowlist = Allowlist::parse(
            r#"
version: 1
accounts:
  "111122223333": {name: prod-web, organizationId: o-a1b2c3d4e5, organizationPath: o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/}
rules:
  - name: portal-golden
    requesters: ["arn:aws:iam::999988887777:role/portal", "events:999988887777:com.example.pipeline"]
    actions: [share, revoke, list, check]
    images: {names: ["golden-*"], tags: {Tier: [gold, silver]}}
    targets: ["111122223333", "prod-web", "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111"]
    access: copy
    keys: verify
    serviceLinkedRoles: []
    maxDuration: 30d
    onAvailable: false
"#,
        )
        .unwrap();
        assert_eq!(allowlist.rules[0].max_duration, Some(Duration::days(30)));
        assert_eq!(allowlist.rules[0].access, Access::Copy);
        assert_eq!(allowlist.accounts.values().next().unwrap().organization_id.as_deref(), Some("o-a1b2c3d4e5"));
    }

    #[test]
    fn json_and_yaml_say_the_same() {
        let json = with(serde_json::json!({}));
        let yaml = format!(" {json}"); // JSON is YAML's flow style
        assert_eq!(Allowlist::parse(&json), Allowlist::parse(&yaml));
        assert!(Allowlist::parse(&json).is_ok());
    }

    #[test]
    fn a_mistake_is_refused_and_named() {
        for (change, words) in [
            (serde_json::json!({"requesters": []}), "empty list"),
            (serde_json::json!({"requesters": ["*"]}), "is not a requester"),
            (serde_json::json!({"requesters": null}), "requesters"),
            (serde_json::json!({"requesters": "lambda:invoke"}), "sequence"),
            (serde_json::json!({"actions": []}), "empty list"),
            (serde_json::json!({"actions": ["publish"]}), "publish"),
            (serde_json::json!({"images": {}}), "give `names`"),
            (serde_json::json!({"images": "every"}), "`all`"),
            (serde_json::json!({"images": []}), "`all`"),
            (serde_json::json!({"images": null}), "images"),
            (serde_json::json!({"images": {"names": []}}), "empty list"),
            (serde_json::json!({"images": {"names": [""]}}), "empty pattern"),
            (serde_json::json!({"images": {"tags": {}}}), "empty map"),
            (serde_json::json!({"images": {"tags": {"Tier": []}}}), "empty list"),
            (serde_json::json!({"images": {"tags": {"Tier": [1]}}}), "put it in quotes"),
            (serde_json::json!({"images": {"ids": ["ami-1a2b3c4d"]}}), "ids"),
            (serde_json::json!({"targets": []}), "empty list"),
            (serde_json::json!({"targets": ["*"]}), "is not a target"),
            (serde_json::json!({"targets": ["all"]}), "not the name of an entry"),
            (serde_json::json!({"targets": ["11112222*"]}), "is not a target"),
            (serde_json::json!({"targets": [111122223333u64]}), "put it in quotes"),
            (serde_json::json!({"targets": ["o-a1b2c3d4e5"]}), "is not a target"),
            (serde_json::json!({"targets": null}), "about targets"),
            (serde_json::json!({"access": "write"}), "write"),
            (serde_json::json!({"keys": "trust"}), "trust"),
            (serde_json::json!({"serviceLinkedRoles": ["autoscaling"]}), "needs `keys: grant`"),
            (serde_json::json!({"keys": "grant", "serviceLinkedRoles": ["eks"]}), "is not one of"),
            (serde_json::json!({"maxDuration": "30"}), "not a duration"),
            (serde_json::json!({"maxDuration": "0d"}), "not a duration"),
            (serde_json::json!({"maxDuration": "1w"}), "not a duration"),
            (serde_json::json!({"maxDuration": "99999999999999999999d"}), "not a duration"),
            (serde_json::json!({"maxDuration": 30}), "put it in quotes"),
            (serde_json::json!({"onAvailable": "yes"}), "boolean"),
            (serde_json::json!({"onAvailable": true}), "needs the requester"),
            (
                serde_json::json!({"onAvailable": true, "requesters": ["events:999988887777:com.example"]}),
                "needs the requester",
            ),
            (serde_json::json!({"images": {"tags": ["gold"]}}), "a map"),
            (serde_json::json!({"onAvailable": true, "images": "all"}), "not together"),
            (serde_json::json!({"name": ""}), "rule's name"),
            (serde_json::json!({"name": "n".repeat(129)}), "rule's name"),
            (serde_json::json!({"effect": "Deny"}), "effect"),
        ] {
            refused(&with(change), words);
        }
        assert!(Allowlist::parse(&with(serde_json::json!({"name": "n".repeat(128)}))).is_ok());
    }

    #[test]
    fn the_document_as_a_whole_is_checked() {
        refused("", "");
        refused("{}", "version");
        refused(r#"{"version": 2, "rules": []}"#, "version 2");
        refused(r#"{"version": 1, "rules": []}"#, "empty list");
        refused(&format!(r#"{{"version": 1, "rules": [{RULE}, {RULE}]}}"#), "second time");
        refused(&format!(r#"{{"version": 1, "version": 1, "rules": [{RULE}]}}"#), "duplicate field");
        refused(&format!(r#"{{"version": 1, "rules": [{RULE}]}} x"#), "trailing");
        refused(
            &format!(
                r#"{{"version": 1, "accounts": {{"111122223333": {{}}, "111122223333": {{}}}}, "rules": [{RULE}]}}"#
            ),
            "second time",
        );
        refused(&format!(r#"{{"version": 1, "accounts": {{"1111": {{}}}}, "rules": [{RULE}]}}"#), "twelve digits");
        refused(
            &format!(
                r#"{{"version": 1, "accounts": {{"111122223333": {{"name": "a"}}, "444455556666": {{"name": "a"}}}}, "rules": [{RULE}]}}"#
            ),
            "another account",
        );
        refused(
            &format!(
                r#"{{"version": 1, "accounts": {{"111122223333": {{"name": "123456789012"}}}}, "rules": [{RULE}]}}"#
            ),
            "not a name",
        );
        refused(
            &format!(
                r#"{{"version": 1, "accounts": {{"111122223333": {{"organizationId": "o-1"}}}}, "rules": [{RULE}]}}"#
            ),
            "id of an organization",
        );
        refused(
            &format!(
                r#"{{"version": 1, "accounts": {{"111122223333": {{"organizationPath": "o-a1b2c3d4e5/r-ab12"}}}}, "rules": [{RULE}]}}"#
            ),
            "slash at the end",
        );
        refused(
            &format!(
                r#"{{"version": 1, "accounts": {{"111122223333": {{"organizationId": "o-zzzzzzzzzz", "organizationPath": "o-a1b2c3d4e5/r-ab12/"}}}}, "rules": [{RULE}]}}"#
            ),
            "says o-zzzzzzzzzz",
        );
    }

    #[test]
    fn yaml_traps_are_refused_with_their_line() {
        let document = |targets: &str| {
            format!(
                "version: 1\nrules:\n  - name: r\n    requesters: [\"lambda:invoke\"]\n    actions: [share]\n    images: all\n    targets: {targets}\n"
            )
        };
        assert!(Allowlist::parse(&document("[\"111122223333\"]")).is_ok());
        refused(&document("[111122223333]"), "line 7");
        refused(&document("[111122223333]"), "put it in quotes");
        refused(&document("[011122223333]"), "put it in quotes");
        refused(&document("&t [\"111122223333\"]"), "anchor");
        refused(&document("*t"), "");
        refused(&document("[\"111122223333\"]\n    targets: [\"444455556666\"]"), "targets");
        refused(&document("[\"111122223333\"]\n    <<: {keys: unchecked}"), "");
        refused(&document("[\"111122223333\"]\n    onAvailable: yes"), "");
        refused(&document("[\"111122223333\"]\n---\nversion: 1"), "");
        refused("version: 1\naccounts:\n  111122223333: {name: a}\nrules: []", "put it in quotes");
        refused("version: 1\n\trules: []", "");
    }

    #[test]
    fn what_is_left_empty_is_an_accident() {
        let document = |images: &str, targets: &str| {
            format!(
                "version: 1\nrules:\n  - name: r\n    requesters: [\"lambda:invoke\"]\n    actions: [list]\n    images: {images}\n{targets}"
            )
        };
        assert!(Allowlist::parse(&document("all", "")).is_ok());
        for (images, targets, field) in [
            ("all", "    targets:\n", "targets"),
            ("all", "    targets: null\n", "targets"),
            ("all", "    targets: ~\n", "targets"),
            ("{names: null, tags: {Tier: [gold]}}", "", "names"),
            ("{names: [\"golden-*\"], tags: null}", "", "tags"),
        ] {
            refused(&document(images, targets), "nothing here");
            refused(&document(images, targets), &format!("in the field `{field}`"));
        }
        refused(
            r#"{"version": 1, "rules": [{"name": "r", "requesters": ["lambda:invoke"], "actions": ["list"], "images": "all", "targets": null}]}"#,
            "nothing here",
        );
    }
}
