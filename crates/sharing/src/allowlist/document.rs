//! Owns the allowlist document: its grammar, and the checks that make an [`Allowlist`] of it.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use time::Duration;

use super::{
    AccountFacts, Allowlist, ImageCriteria, Images, KeyCheck, Pattern, RequesterPattern, Rule, parse_duration,
    yaml::{Node, Unreadable, Value},
};
use crate::{
    domain::{AccountId, ServiceLinkedRole, Severity, Target, is_organization_id, is_organization_path, quoted},
    request::{Access, Action},
};

/// Why an allowlist can't be used: all that is wrong with it. Meant for the log and whoever writes it, not for callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidAllowlist {
    /// What is wrong, in the order of the document; never empty.
    pub faults: Vec<DocumentFault>,
}

/// What is wrong at one place of an allowlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFault {
    /// The line of the field's name or of the item, counted from 1.
    pub line: usize,
    /// The part of the document.
    pub part: Part,
    /// The field, such as `images.names`; empty for the part as a whole.
    pub field: String,
    /// What is wrong there.
    pub message: String,
}

/// A part of an allowlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The document as a whole.
    Document,
    /// The rule of that name, or where it has none `#` and its number.
    Rule(String),
    /// The entry of the directory with that key.
    Account(String),
    /// The group of that name.
    Group(String),
}

impl fmt::Display for InvalidAllowlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidAllowlist {}

impl fmt::Display for DocumentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        match &self.part {
            Part::Document => {}
            Part::Rule(name) => write!(f, ", rule {}", quoted(name))?,
            Part::Account(key) => write!(f, ", account {}", quoted(key))?,
            Part::Group(name) => write!(f, ", group {}", quoted(name))?,
        }
        if !self.field.is_empty() {
            write!(f, ", field `{}`", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl Allowlist {
    /// Reads JSON (a document that begins with `{`) or YAML, without tags, anchors, aliases and repeated keys, and
    /// names every fault.
    pub fn parse(text: &str) -> Result<Self, InvalidAllowlist> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Reader::default();
        let allowlist = match Node::parse(text) {
            Ok(root) => reader.document(&root),
            Err(Unreadable { line, message, rule }) => {
                reader.part = rule.map_or(Part::Document, Part::Rule);
                reader.fault(line, "", message);
                None
            }
        };
        let mut faults = reader.faults;
        faults.sort_by_key(|fault| fault.line);
        match allowlist {
            Some(allowlist) if faults.is_empty() => Ok(allowlist),
            Some(_) | None => Err(InvalidAllowlist { faults }),
        }
    }
}

/// A field of a map: its name's line, and its value.
type Field<'n> = (usize, &'n Node);

/// The fields of one map, each once.
struct Fields<'n> {
    line: usize,
    fields: BTreeMap<&'n str, Field<'n>>,
}

impl<'n> Fields<'n> {
    fn take(&mut self, name: &str) -> Option<Field<'n>> {
        self.fields.remove(name)
    }
}

/// Reads the tree of a document and collects what is wrong with it.
struct Reader {
    faults: Vec<DocumentFault>,
    /// The part that is being read.
    part: Part,
}

impl Default for Reader {
    fn default() -> Self {
        Self { faults: Vec::new(), part: Part::Document }
    }
}

/// Names that `targets` may use.
#[derive(Default)]
struct Names(BTreeMap<String, Vec<Target>>);

impl Reader {
    fn document(&mut self, root: &Node) -> Option<Allowlist> {
        let mut fields = self.fields("", (root.line, root), &["version", "accounts", "groups", "rules"])?;
        match fields.take("version") {
            Some(field) if self.is_unreadable("version", field) => {}
            Some((_, Node { value: Value::Number(number), .. })) if number == "1" => {}
            Some((line, Node { value: Value::Number(number), .. })) => {
                self.fault(line, "version", format!("version {number}; this function reads version 1"));
            }
            Some(field) => self.wrong_kind("version", field, "the number 1"),
            None => self.fault(fields.line, "version", "missing; this function reads version 1"),
        }
        let mut names = Names::default();
        let accounts = fields.take("accounts").map(|field| self.accounts(field, &mut names)).unwrap_or_default();
        if let Some(field) = fields.take("groups") {
            self.groups(field, &mut names);
        }
        let rules = match fields.take("rules") {
            Some(field) => self.rules(field, &names),
            None => {
                self.fault(fields.line, "rules", "missing; nothing would be allowed to anybody");
                Vec::new()
            }
        };
        Some(Allowlist { accounts, rules })
    }

    fn accounts(&mut self, field: Field<'_>, names: &mut Names) -> BTreeMap<AccountId, AccountFacts> {
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
            // A name for what can't be read is a name all the same: one fault is enough.
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

    fn groups(&mut self, field: Field<'_>, names: &mut Names) {
        let mut groups = Vec::new();
        for (key, entry) in self.entries("groups", field) {
            let Some(name) = self.text("groups", (key.line, key)) else { continue };
            self.part = Part::Group(name.to_owned());
            if !is_name(name) {
                let what = "is not a name: up to 64 letters, digits, `.`, `_`, `-`, and not like an ID";
                self.fault(key.line, "", format!("{} {what}", quoted(name)));
            }
            // Only the directory's names are known by now: there is no group in a group.
            let targets = self.targets("", (key.line, entry), names);
            groups.push((key.line, name, targets));
            self.part = Part::Document;
        }
        for (line, name, targets) in groups {
            self.part = Part::Group(name.to_owned());
            self.name(line, "", name, targets, names);
            self.part = Part::Document;
        }
    }

    /// Gives targets a name that nothing else has.
    fn name(&mut self, line: usize, field: &str, name: &str, targets: Vec<Target>, names: &mut Names) {
        if names.0.contains_key(name) {
            self.fault(line, field, format!("{} names another account or group too", quoted(name)));
        } else {
            names.0.insert(name.to_owned(), targets);
        }
    }

    fn rules(&mut self, field: Field<'_>, names: &Names) -> Vec<Rule> {
        let items = self.items("rules", field, true);
        if items.is_some_and(<[Node]>::is_empty) {
            self.fault(field.0, "rules", "an empty list; nothing would be allowed to anybody");
        }
        let mut rules = Vec::new();
        let mut seen = BTreeSet::new();
        for (number, entry) in (1..).zip(items.unwrap_or_default()) {
            self.part = Part::Rule(entry.text_of("name").map_or_else(|| format!("#{number}"), str::to_owned));
            rules.extend(self.rule(entry, &mut seen, names));
            self.part = Part::Document;
        }
        rules
    }

    fn rule<'n>(&mut self, entry: &'n Node, seen: &mut BTreeSet<&'n str>, names: &Names) -> Option<Rule> {
        let mut fields = self.fields("", (entry.line, entry), &RULE_FIELDS)?;
        let name = self.required("name", &mut fields).and_then(|field| {
            let name =
                self.checked("name", field, is_rule_name, "is not a rule's name: 1 to 128 printable characters")?;
            if !entry.text_of("name").is_some_and(|name| seen.insert(name)) {
                self.fault(field.0, "name", "another rule has this name");
            }
            Some(name)
        });
        let requesters = self
            .required("requesters", &mut fields)
            .map(|field| self.list("requesters", field, false, RequesterPattern::parse));
        let actions =
            self.required("actions", &mut fields).map(|field| self.list("actions", field, false, str::parse::<Action>));
        let images = self.required("images", &mut fields).and_then(|field| self.images(field));
        let given_targets = fields.take("targets");
        let targets = given_targets.map(|field| self.targets("targets", field, names)).unwrap_or_default();
        let access = fields.take("access").and_then(|field| self.parsed("access", field, str::parse::<Access>));
        let keys = fields.take("keys").and_then(|field| self.parsed("keys", field, keys));
        let given_roles = fields.take("serviceLinkedRoles");
        let service_linked_roles = given_roles
            .map(|field| self.list("serviceLinkedRoles", field, true, parse::<ServiceLinkedRole>))
            .unwrap_or_default();
        let given_duration = fields.take("maxDuration");
        let max_duration = given_duration.and_then(|field| self.parsed("maxDuration", field, max_duration));
        let given_on_available = fields.take("onAvailable");
        let on_available = given_on_available.is_some_and(|field| self.boolean("onAvailable", field));

        if given_targets.is_none() && actions.iter().flatten().any(|action| action.takes_targets()) {
            self.fault(fields.line, "targets", "missing; `share`, `revoke` and `check` are about targets");
        }
        if let (Some((line, _)), false) = (given_roles, service_linked_roles.is_empty())
            && keys != Some(KeyCheck::Grant)
        {
            self.fault(line, "serviceLinkedRoles", "needs `keys: grant`; a role is let in by a grant");
        }
        if let (Some((line, _)), true) = (given_on_available, on_available) {
            let requesters = requesters.as_deref().unwrap_or_default();
            self.on_available(line, requesters, actions.as_deref().unwrap_or_default(), images.as_ref());
            if let (Some((line, _)), true) =
                (given_duration, max_duration.is_some_and(|longest| longest < SHORTEST_BY_ITSELF))
            {
                self.fault(line, "maxDuration", "with `onAvailable` at least `30m`: EC2's event may be late");
            }
        }
        Some(Rule {
            name: name?,
            requesters: requesters?,
            actions: actions?,
            images: images?,
            targets,
            access: access.unwrap_or_default(),
            keys: keys.unwrap_or_default(),
            service_linked_roles,
            max_duration,
            on_available,
        })
    }

    /// What a rule must be that shares by itself.
    fn on_available(
        &mut self,
        line: usize,
        requesters: &[RequesterPattern],
        actions: &[Action],
        images: Option<&Images>,
    ) {
        let is_automation = |pattern: &RequesterPattern| {
            pattern.as_str().starts_with("events:") && pattern.as_str().ends_with(":aws.ec2")
        };
        if !actions.contains(&Action::Share) {
            self.fault(line, "onAvailable", "needs `share` among the actions");
        }
        if !requesters.iter().any(is_automation) {
            self.fault(line, "onAvailable", "needs the requester `events:<this account>:aws.ec2`");
        }
        match images {
            Some(Images::All) => {
                self.fault(line, "onAvailable", "not together with `images: all`; every new image would be shared");
            }
            Some(Images::Matching { names, tags, criteria }) => {
                let is_chosen = !names.is_empty() || !tags.is_empty() || !criteria.watermarks.is_empty();
                if match_every_name(names) {
                    self.fault(line, "onAvailable", "not together with `names` that match every image's name");
                } else if !is_chosen && !criteria.is_empty() {
                    self.fault(
                        line,
                        "onAvailable",
                        "needs `names`, `tags` or `watermarks`; every new image would be shared",
                    );
                }
                if criteria.max_severity.is_some() || criteria.scanned_within.is_some() {
                    self.fault(
                        line,
                        "onAvailable",
                        "not together with `maxSeverity` or `scannedWithin`: a new image is not scanned yet",
                    );
                }
            }
            None => {}
        }
    }

    fn images(&mut self, (line, node): Field<'_>) -> Option<Images> {
        match &node.value {
            Value::Text(text) if text == "all" && node.oddity.is_none() => return Some(Images::All),
            Value::Map(_) => {}
            Value::Text(_) | Value::Number(_) | Value::Bool(_) | Value::Null | Value::List(_) => {
                if !self.is_unreadable("images", (line, node)) {
                    self.fault(line, "images", "say `all`, or give a map of criteria such as `names` and `tags`");
                }
                return None;
            }
        }
        let mut fields = self.fields("images", (line, node), &IMAGE_FIELDS)?;
        if fields.fields.is_empty() {
            self.fault(line, "images", "an empty map: give `names`, `tags` or other criteria, or say `all`");
        }
        let given = (fields.take("names"), fields.take("tags"));
        let criteria = self.criteria(&mut fields);
        let names = given.0.map(|field| self.list("images.names", field, false, pattern)).unwrap_or_default();
        let mut tags = BTreeMap::new();
        for (key, values) in given.1.map(|field| self.entries("images.tags", field)).unwrap_or_default() {
            let Some(name) = self.text("images.tags", (key.line, key)) else { continue };
            let values = self.list("images.tags", (key.line, values), false, pattern);
            if tags.insert(name.to_owned(), values).is_some() {
                self.fault(key.line, "images.tags", "repeated key");
            }
        }
        Some(Images::Matching { names, tags, criteria })
    }

    /// What EC2 must say of an image beside its name and tags.
    fn criteria(&mut self, fields: &mut Fields<'_>) -> ImageCriteria {
        let mut within = |name: &str, place: &str, reader: &mut Self| {
            fields.take(name).and_then(|field| reader.parsed(place, field, max_duration))
        };
        let scanned_within = within("scannedWithin", "images.scannedWithin", self);
        let max_age = within("maxAge", "images.maxAge", self);
        let watermarks = fields.take("watermarks");
        let watermarks = watermarks.map(|field| self.list("images.watermarks", field, false, watermark_key));
        let max_severity = fields.take("maxSeverity");
        let max_severity = max_severity.and_then(|field| self.parsed("images.maxSeverity", field, parse::<Severity>));
        ImageCriteria { watermarks: watermarks.unwrap_or_default(), max_severity, scanned_within, max_age }
    }

    /// Targets: accounts, the ARNs of organizations and units, and names for them.
    fn targets(&mut self, name: &str, field: Field<'_>, names: &Names) -> Vec<Target> {
        let found = self.list(name, field, false, |text| {
            if !is_name(text) {
                return parse::<Target>(text).map(|target| vec![target]);
            }
            names.0.get(text).cloned().ok_or_else(|| {
                format!("{} is not a target and not the name of an entry of `accounts` or `groups`", quoted(text))
            })
        });
        let mut targets = Vec::new();
        for target in found.into_iter().flatten() {
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        targets
    }

    // What follows knows nothing of allowlists.

    fn fault(&mut self, line: usize, field: &str, message: impl Into<String>) {
        let (part, field, message) = (self.part.clone(), field.to_owned(), message.into());
        self.faults.push(DocumentFault { line, part, field, message });
    }

    /// Whether a node has what an allowlist may not have; that is then its fault.
    fn is_unreadable(&mut self, field: &str, (line, node): Field<'_>) -> bool {
        if let Some(oddity) = node.oddity {
            self.fault(line, field, oddity);
        }
        node.oddity.is_some()
    }

    fn wrong_kind(&mut self, field: &str, (line, node): Field<'_>, wanted: &str) {
        let message = match &node.value {
            Value::Null => "there is nothing here: give a value, or leave the field out".to_owned(),
            Value::Number(number) if wanted == "text" => {
                let why = if number.len() < SHORTEST_ID { "" } else { " (an ID is text and may begin with zeros)" };
                format!("{} is a number here: put it in quotes{why}", quoted(number))
            }
            Value::Bool(value) if wanted == "text" => format!("`{value}` is a boolean here: put it in quotes"),
            Value::Text(_) | Value::Number(_) | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                format!("{} where {wanted} belongs", node.kind())
            }
        };
        self.fault(line, field, message);
    }

    /// The entries of a map with something in it.
    fn entries<'n>(&mut self, field: &str, (line, node): Field<'n>) -> &'n [(Node, Node)] {
        match &node.value {
            _ if self.is_unreadable(field, (line, node)) => &[],
            Value::Map(entries) => {
                if entries.is_empty() {
                    self.fault(line, field, "an empty map; leave the field out or fill it");
                }
                entries
            }
            Value::Text(_) | Value::Number(_) | Value::Bool(_) | Value::Null | Value::List(_) => {
                self.wrong_kind(field, (line, node), "a map");
                &[]
            }
        }
    }

    /// The fields of a map, all of which are known.
    fn fields<'n>(&mut self, place: &str, (line, node): Field<'n>, known: &[&str]) -> Option<Fields<'n>> {
        if self.is_unreadable(place, (line, node)) {
            return None;
        }
        let Value::Map(entries) = &node.value else {
            self.wrong_kind(place, (line, node), "a map");
            return None;
        };
        let mut fields = BTreeMap::new();
        for (key, value) in entries {
            let Some(name) = self.text(place, (key.line, key)) else { continue };
            let field = if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
            if !known.contains(&name) {
                let near = known.iter().find(|known| is_near(known, name));
                let advice = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                self.fault(key.line, &quoted_field(&field), format!("unknown field{advice}"));
            } else if fields.insert(name, (key.line, value)).is_some() {
                self.fault(key.line, &field, "repeated field");
            }
        }
        Some(Fields { line, fields })
    }

    fn required<'n>(&mut self, name: &str, fields: &mut Fields<'n>) -> Option<Field<'n>> {
        let field = fields.take(name);
        if field.is_none() {
            self.fault(fields.line, name, "missing");
        }
        field
    }

    /// The items of a list.
    fn items<'n>(&mut self, field: &str, (line, node): Field<'n>, may_be_empty: bool) -> Option<&'n [Node]> {
        if self.is_unreadable(field, (line, node)) {
            return None;
        }
        let Value::List(items) = &node.value else {
            self.wrong_kind(field, (line, node), "a list");
            return None;
        };
        if items.is_empty() && !may_be_empty {
            self.fault(line, field, "an empty list; leave the field out or fill it");
        }
        Some(items)
    }

    /// A list of texts, each of which `parse` turns into what it stands for.
    fn list<T>(
        &mut self,
        name: &str,
        field: Field<'_>,
        may_be_empty: bool,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let items = self.items(name, field, may_be_empty).unwrap_or_default();
        items.iter().filter_map(|item| self.parsed(name, (item.line, item), &parse)).collect()
    }

    fn parsed<T>(&mut self, name: &str, field: Field<'_>, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name, field)?;
        parse(text).map_err(|message| self.fault(field.0, name, message)).ok()
    }

    fn checked(&mut self, name: &str, field: Field<'_>, is_right: fn(&str) -> bool, otherwise: &str) -> Option<String> {
        let check = |text: &str| {
            if is_right(text) { Ok(text.to_owned()) } else { Err(format!("{} {otherwise}", quoted(text))) }
        };
        self.parsed(name, field, check)
    }

    fn text<'n>(&mut self, field: &str, (line, node): Field<'n>) -> Option<&'n str> {
        match &node.value {
            _ if self.is_unreadable(field, (line, node)) => None,
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Bool(_) | Value::Null | Value::List(_) | Value::Map(_) => {
                self.wrong_kind(field, (line, node), "text");
                None
            }
        }
    }

    fn boolean(&mut self, field: &str, (line, node): Field<'_>) -> bool {
        match node.value {
            _ if self.is_unreadable(field, (line, node)) => false,
            Value::Bool(value) => value,
            Value::Text(_) | Value::Number(_) | Value::Null | Value::List(_) | Value::Map(_) => {
                self.wrong_kind(field, (line, node), "a boolean (`true` or `false`)");
                false
            }
        }
    }
}

const RULE_FIELDS: [&str; 10] = [
    "name",
    "requesters",
    "actions",
    "images",
    "targets",
    "access",
    "keys",
    "serviceLinkedRoles",
    "maxDuration",
    "onAvailable",
];

const IMAGE_FIELDS: [&str; 6] = ["names", "tags", "watermarks", "maxSeverity", "scannedWithin", "maxAge"];

/// EC2's event may be minutes late, and a share that would be over by then is none.
const SHORTEST_BY_ITSELF: Duration = Duration::minutes(30);

/// The name of a field that is shown in backticks: without what would be none in a log.
fn quoted_field(name: &str) -> String {
    quoted(name).trim_matches('`').to_owned()
}

/// The name of a rule, where it can be told.
/// A number with so many digits is an ID that lost its quotes, perhaps with a digit or two.
const SHORTEST_ID: usize = 8;

/// Whether a name is another one that somebody misspelled: in another case, or with one letter more, less or different.
fn is_near(known: &str, name: &str) -> bool {
    let (known, name) = (known.to_ascii_lowercase(), name.to_ascii_lowercase());
    let (known, name): (Vec<_>, Vec<_>) = (known.chars().collect(), name.chars().collect());
    let first = known.iter().zip(&name).take_while(|(one, other)| one == other).count();
    let rest = |name: &[char], skip: usize| name.get(first.saturating_add(skip)..).map(<[char]>::to_vec);
    match known.len().cmp(&name.len()) {
        Ordering::Equal => rest(&known, 1) == rest(&name, 1) || known == name,
        Ordering::Greater => rest(&known, 1) == rest(&name, 0),
        Ordering::Less => rest(&known, 0) == rest(&name, 1),
    }
}

fn parse<T: FromStr<Err: fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn pattern(text: &str) -> Result<Pattern, String> {
    if text.is_empty() { Err("an empty pattern matches nothing".to_owned()) } else { Ok(Pattern::new(text)) }
}

/// Reads a watermark's key: the account that attached it, and its name.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachImageWatermark.html>
fn watermark_key(text: &str) -> Result<String, String> {
    let is_name = |name: &str| {
        (3..=128).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"()[] ./-'@_".contains(&byte))
    };
    let key = text.split_once(':').filter(|(account, name)| account.parse::<AccountId>().is_ok() && is_name(name));
    key.map(|_| text.to_owned()).ok_or_else(|| {
        format!(
            "{} is not a watermark: the account that attaches it, `:` and its name of 3 to 128 characters, without wildcards",
            quoted(text)
        )
    })
}

fn keys(text: &str) -> Result<KeyCheck, String> {
    match text {
        "verify" => Ok(KeyCheck::Verify),
        "grant" => Ok(KeyCheck::Grant),
        "unchecked" => Ok(KeyCheck::Unchecked),
        _ => Err(format!("{} is not `verify`, `grant` or `unchecked`", quoted(text))),
    }
}

/// Whether one or the other of these patterns matches whatever name an image has.
///
/// Names have 3 to 128 characters: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html>
fn match_every_name(names: &[Pattern]) -> bool {
    let wild: Vec<_> = names.iter().filter(|pattern| pattern.is_only_wildcards()).collect();
    (3..=128).all(|length| wild.iter().any(|pattern| pattern.matches(&"x".repeat(length))))
}

/// A name of the directory or of a group can't be taken for an ID or an ARN.
fn is_name(text: &str) -> bool {
    let looks_like_an_id =
        text.bytes().all(|byte| byte.is_ascii_digit()) || text.starts_with("o-") || text.starts_with("ou-");
    !looks_like_an_id
        && (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn is_rule_name(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= 128 && !text.chars().any(char::is_control)
}

fn max_duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .ok_or_else(|| format!("{} is not a duration from `5m` to `3650d`: a number and m, h or d", quoted(text)))
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
        let allowlist = Allowlist::parse(include_str!("../../../../examples/allowlist.yaml")).unwrap();
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
    fn images_can_be_chosen_by_what_else_ec2_says_of_them() {
        let images = serde_json::json!({"watermarks": ["999988887777:approved", "111122223333:approved"],
            "maxSeverity": "medium", "scannedWithin": "30d", "maxAge": "36h"});
        let allowlist = Allowlist::parse(&with(serde_json::json!({"images": images}))).unwrap();
        let criteria = ImageCriteria {
            watermarks: vec!["999988887777:approved".to_owned(), "111122223333:approved".to_owned()],
            max_severity: Some(Severity::Medium),
            scanned_within: Some(Duration::days(30)),
            max_age: Some(Duration::hours(36)),
        };
        assert_eq!(allowlist.rules[0].images, Images::Matching { names: Vec::new(), tags: BTreeMap::new(), criteria });
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
            (serde_json::json!({"requesters": "lambda:invoke"}), "a list belongs"),
            (serde_json::json!({"actions": []}), "empty list"),
            (serde_json::json!({"actions": ["publish"]}), "publish"),
            (serde_json::json!({"images": {}}), "give `names`"),
            (serde_json::json!({"images": {"watermarks": []}}), "empty list"),
            (serde_json::json!({"images": {"watermarks": "999988887777:approved"}}), "a list belongs"),
            (serde_json::json!({"images": {"watermarks": ["approved"]}}), "is not a watermark"),
            (serde_json::json!({"images": {"watermarks": ["999988887777:*"]}}), "is not a watermark"),
            (serde_json::json!({"images": {"watermarks": ["9999:approved"]}}), "is not a watermark"),
            (serde_json::json!({"images": {"watermarks": ["999988887777:ok"]}}), "is not a watermark"),
            (serde_json::json!({"images": {"maxSeverity": "MEDIUM"}}), "is not `informational`"),
            (serde_json::json!({"images": {"maxSeverity": null}}), "there is nothing here"),
            (serde_json::json!({"images": {"scannedWithin": "30"}}), "not a duration"),
            (serde_json::json!({"images": {"maxAge": 180}}), "put it in quotes"),
            (serde_json::json!({"images": {"maxage": "180d"}}), "did you mean `maxAge`?"),
            (serde_json::json!({"images": {"name": ["golden-*"]}}), "did you mean `names`?"),
            (serde_json::json!({"target": ["111122223333"]}), "did you mean `targets`?"),
            (serde_json::json!({"requestors": ["lambda:invoke"]}), "did you mean `requesters`?"),
            (serde_json::json!({"owner": "ada"}), "field `owner`: unknown field"),
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
            (serde_json::json!({"onAvailable": true, "images": {"maxAge": "1d"}}), "needs `names`"),
            (
                serde_json::json!({"onAvailable": true, "images": {"names": ["a"], "maxSeverity": "low"}}),
                "not scanned yet",
            ),
            (
                serde_json::json!({"onAvailable": true, "images": {"names": ["a"], "scannedWithin": "1d"}}),
                "not scanned yet",
            ),
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
        refused(&format!(r#"{{"version": 1, "rules": [{RULE}, {RULE}]}}"#), "another rule has this name");
        refused(&format!(r#"{{"version": 1, "version": 1, "rules": [{RULE}]}}"#), "repeated field");
        refused(&format!(r#"{{"version": 1, "rules": [{RULE}]}} x"#), "trailing");
        refused(
            &format!(
                r#"{{"version": 1, "accounts": {{"111122223333": {{}}, "111122223333": {{}}}}, "rules": [{RULE}]}}"#
            ),
            "repeated key",
        );
        refused(&format!(r#"{{"version": 1, "accounts": {{"1111": {{}}}}, "rules": [{RULE}]}}"#), "twelve digits");
        refused(
            &format!(
                r#"{{"version": 1, "accounts": {{"111122223333": {{"name": "a"}}, "444455556666": {{"name": "a"}}}}, "rules": [{RULE}]}}"#
            ),
            "another account or group",
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
            "ID of an organization",
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
        refused("version: 1\n\trules: []", "line 2: the line begins with a tab: indent with spaces");
        refused(
            "version: 1\nrules:\n  - name: r\n    requesters: [\"lambda:invoke\"]\n   actions: [list]",
            "line 5, rule `r`: the text is not YAML: this line, or one before it, is indented by too many or too few spaces",
        );
        refused(&document("[*]"), "rule `r`: the text is not YAML: text that begins with `*` or `&` must be in quotes");
        refused(&document("x").replace("images: all", "images:all"), "a `:` with a space after it is missing");
        refused(
            &document("[\"111122223333\""),
            "rule `r`: the text is not YAML: look at the indentation, quotes and brackets",
        );
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
            ("{names: null, tags: {Tier: [gold]}}", "", "images.names"),
            ("{names: [\"golden-*\"], tags: null}", "", "images.tags"),
        ] {
            refused(&document(images, targets), "nothing here");
            refused(&document(images, targets), &format!("field `{field}`"));
        }
        refused(
            r#"{"version": 1, "rules": [{"name": "r", "requesters": ["lambda:invoke"], "actions": ["list"], "images": "all", "targets": null}]}"#,
            "nothing here",
        );
    }

    /// All faults as they are shown, without what is the same in all.
    fn faults(text: &str) -> Vec<String> {
        Allowlist::parse(text).unwrap_err().faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_fault_is_reported_with_its_line_part_and_field() {
        let document = r#"version: 2
accounts:
  "1111": {name: a}
  "111122223333":
    name: o-x
    owner: ada
  "444455556666": {organizationId: o-a1b2c3d4e5, organizationPath: o-zzzzzzzzzz/r-ab12/}
  777788889999: {}
groups:
  web: [nowhere, "444455556666"]
  db: []
rules:
  - name: first
    requesters:
      - "*"
      - lambda:invoke
      - arn:aws:iam::*:role/portal
      - arn:aws:iam::999988887777:role/team/portal
    actions: [share, publish]
    images: {}
    targets:
      - "*"
      - 111122223333
      - "111122223333"
      - !!str x
    maxduration: 1d
    maxDuration:
      1w
  - name: first
    requesters: []
    actions: [list]
    images: {names: [], tags: {Tier: [1]}}
    onAvailable: yes
  - requesters: [lambda:invoke]
    actions: [share]
    images: every
  - all
owner: ada
"#;
        let expect = [
            "line 1, field `version`: version 2; this function reads version 1",
            "line 3, account `1111`: `1111` is not an account id: twelve digits, without hyphens",
            "line 5, account `111122223333`, field `name`: `o-x` is not a name: up to 64 letters, digits, `.`, `_`, `-`, and not like an ID",
            "line 6, account `111122223333`, field `owner`: unknown field",
            "line 7, account `444455556666`, field `organizationId`: organizationPath is in o-zzzzzzzzzz, organizationId says o-a1b2c3d4e5",
            "line 8, field `accounts`: `777788889999` is a number here: put it in quotes (an ID is text and may begin with zeros)",
            "line 10, group `web`: `nowhere` is not a target and not the name of an entry of `accounts` or `groups`",
            "line 11, group `db`: an empty list; leave the field out or fill it",
            "line 15, rule `first`, field `requesters`: `*` is not a requester: `arn:aws:iam::<account>:role/<name>`, `arn:aws:iam::<account>:user/<name>`, `jwt:<issuer>#<subject>`, `events:<account>:<source>`, `sqs:<queue ARN>` or `lambda:invoke`",
            "line 17, rule `first`, field `requesters`: `*` is not an account id: twelve digits, without hyphens",
            "line 18, rule `first`, field `requesters`: `arn:aws:iam::999988887777:role/team/portal` has a path; a role's sessions lose it, so write `role/portal`",
            "line 19, rule `first`, field `actions`: `publish` is not an action: `share`, `revoke`, `reset`, `list`, `check`, `audit`, `repair`",
            "line 20, rule `first`, field `images`: an empty map: give `names`, `tags` or other criteria, or say `all`",
            "line 22, rule `first`, field `targets`: `*` is not a target: an account id of twelve digits, or the ARN of an organization or organizational unit",
            "line 23, rule `first`, field `targets`: `111122223333` is a number here: put it in quotes (an ID is text and may begin with zeros)",
            "line 25, rule `first`, field `targets`: a tag (`!`): write out what it stands for",
            "line 26, rule `first`, field `maxduration`: unknown field; did you mean `maxDuration`?",
            "line 27, rule `first`, field `maxDuration`: `1w` is not a duration from `5m` to `3650d`: a number and m, h or d",
            "line 29, rule `first`, field `name`: another rule has this name",
            "line 30, rule `first`, field `requesters`: an empty list; leave the field out or fill it",
            "line 32, rule `first`, field `images.names`: an empty list; leave the field out or fill it",
            "line 32, rule `first`, field `images.tags`: `1` is a number here: put it in quotes",
            "line 33, rule `first`, field `onAvailable`: text where a boolean (`true` or `false`) belongs",
            "line 34, rule `#3`, field `name`: missing",
            "line 34, rule `#3`, field `targets`: missing; `share`, `revoke` and `check` are about targets",
            "line 36, rule `#3`, field `images`: say `all`, or give a map of criteria such as `names` and `tags`",
            "line 37, rule `#4`: text where a map belongs",
            "line 38, field `owner`: unknown field",
        ];
        let found = faults(document);
        for (index, expect) in expect.iter().enumerate() {
            assert_eq!(found.get(index).map(String::as_str), Some(*expect), "{found:#?}");
        }
        assert_eq!(found.len(), expect.len(), "{found:#?}");
    }

    #[test]
    fn tags_anchors_and_aliases_are_refused_wherever_they_stand() {
        let document = |rule: &str| {
            format!(
                "version: 1\nrules:\n  - name: r\n    requesters: [\"lambda:invoke\"]\n    actions: [list]\n    {rule}\n"
            )
        };
        assert!(Allowlist::parse(&document("images: all")).is_ok());
        for (rule, words) in [
            ("images: !!str all", "a tag"),
            ("images: !foo all", "a tag"),
            ("images: !foo {names: [a]}", "a tag"),
            ("images: {names: !!seq [a]}", "a tag"),
            ("images: {names: [!!binary aGk=]}", "a tag"),
            ("images: {tags: {!!str Tier: [a]}}", "a tag"),
            ("images: all\n    maxDuration: !!str 1d", "a tag"),
            ("images: all\n    onAvailable: !!bool false", "a tag"),
            ("images: &a all", "an anchor or alias"),
            ("images: &a {names: [a]}", "an anchor or alias"),
            ("images: all\n    access: *a", "an anchor or alias"),
            ("images: all\n    <<: {access: copy}", "unknown field"),
        ] {
            let faults = faults(&document(rule));
            assert!(faults.len() == 1 && faults[0].contains(words), "{rule}: {faults:?}");
        }
        refused("!!map {version: 1}", "a tag");
        refused(
            "version: !!int 1\nrules: [{name: r, requesters: [\"lambda:invoke\"], actions: [list], images: all}]",
            "a tag",
        );
    }

    #[test]
    fn a_group_is_a_name_for_several_targets() {
        let document = |groups: &str, targets: &str| {
            format!(
                "version: 1\naccounts:\n  \"111122223333\": {{name: prod}}\ngroups: {groups}\nrules:\n  - {{name: r, requesters: [\"lambda:invoke\"], actions: [share], images: all, targets: {targets}}}\n"
            )
        };
        let unit = "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111";
        let groups = format!(r#"{{web: [prod, "444455556666"], all: ["{unit}"]}}"#);
        let allowlist = Allowlist::parse(&document(&groups, r#"[web, "111122223333", all]"#)).unwrap();
        let targets: Vec<_> = allowlist.rules[0].targets.iter().map(ToString::to_string).collect();
        assert_eq!(targets, ["111122223333", "444455556666", unit]);
        for (groups, words) in [
            (r#"{web: ["444455556666"], db: [web]}"#, "group `db`: `web` is not a target"),
            (r#"{prod: ["444455556666"]}"#, "another account or group"),
            (r#"{web: ["444455556666"], web: ["444455556666"]}"#, "another account or group"),
            (r#"{web: []}"#, "an empty list"),
            (r#"{}"#, "an empty map"),
            (r#"{"*": ["444455556666"]}"#, "is not a name"),
            (r#"{"111122223333": ["444455556666"]}"#, "is not a name"),
            (r#"{web: ["*"]}"#, "is not a target"),
            (r#"{web: [444455556666]}"#, "put it in quotes"),
        ] {
            refused(&document(groups, "[prod]"), words);
        }
    }

    #[test]
    fn a_rule_shares_by_itself_only_chosen_images_and_for_a_while() {
        let by_itself = |change: serde_json::Value| {
            let mut rule = serde_json::json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"]});
            for (field, value) in change.as_object().unwrap() {
                rule[field] = value.clone();
            }
            with(rule)
        };
        for right in [
            serde_json::json!({}),
            serde_json::json!({"images": {"tags": {"Tier": ["*"]}}}),
            serde_json::json!({"images": {"names": ["????*"]}}),
            serde_json::json!({"images": {"names": ["???", "*a*"]}}),
            serde_json::json!({"maxDuration": "30m"}),
            serde_json::json!({"images": {"watermarks": ["999988887777:approved by (web) it's [v1]/a@b_c-d."]}}),
            serde_json::json!({"images": {"names": ["golden-*"], "maxAge": "1d"}}),
        ] {
            assert!(Allowlist::parse(&by_itself(right.clone())).is_ok(), "{right}");
        }
        for names in [
            serde_json::json!(["*"]),
            serde_json::json!(["**"]),
            serde_json::json!(["golden-*", "*?*"]),
            serde_json::json!(["???*"]),
            serde_json::json!(["?*?*?"]),
            serde_json::json!(["???", "????*"]),
        ] {
            refused(&by_itself(serde_json::json!({"images": {"names": names}})), "match every image's name");
        }
        refused(&by_itself(serde_json::json!({"maxDuration": "29m"})), "at least `30m`");
        refused(
            &by_itself(serde_json::json!({"images": "all", "maxDuration": "5m"})),
            "not together with `images: all`",
        );
        refused(&by_itself(serde_json::json!({"images": "all", "maxDuration": "5m"})), "at least `30m`");
        refused(&by_itself(serde_json::json!({"images": "all", "name": ""})), "not together with `images: all`");
    }
}
