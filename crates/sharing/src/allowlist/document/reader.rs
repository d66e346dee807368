//! Owns [`Reader`]: it reads texts, lists and maps from the tree of an allowlist, and collects the faults. It knows no field
//! of an allowlist.

use std::{cmp::Ordering, collections::BTreeMap};

use super::{
    super::yaml::{Node, Value},
    fault::{DocumentFault, Part},
};
use crate::domain::quoted;

/// A field of a map: the line of its name, and its value.
pub(super) type Field<'n> = (usize, &'n Node);

/// The fields of a map. Each is taken once.
pub(super) struct Fields<'n> {
    pub(super) line: usize,
    fields: BTreeMap<&'n str, Field<'n>>,
}

impl<'n> Fields<'n> {
    pub(super) fn take(&mut self, name: &str) -> Option<Field<'n>> {
        self.fields.remove(name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// Reads the tree of a document and collects its faults.
pub(super) struct Reader {
    pub(super) faults: Vec<DocumentFault>,
    /// The part that is being read.
    pub(super) part: Part,
}

impl Default for Reader {
    fn default() -> Self {
        Self { faults: Vec::new(), part: Part::Document }
    }
}

impl Reader {
    pub(super) fn fault(&mut self, line: usize, field: &str, message: impl Into<String>) {
        let (part, field, message) = (self.part.clone(), field.to_owned(), message.into());
        self.faults.push(DocumentFault { line, part, field, message });
    }

    /// Whether a node has a tag, an anchor or an alias, which an allowlist can't have. If so, that is reported as its
    /// fault.
    pub(super) fn is_unreadable(&mut self, field: &str, (line, node): Field<'_>) -> bool {
        if let Some(oddity) = node.oddity {
            self.fault(line, field, oddity);
        }
        node.oddity.is_some()
    }

    pub(super) fn wrong_kind(&mut self, field: &str, (line, node): Field<'_>, wanted: &str) {
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

    /// The entries of a map, which must not be empty.
    pub(super) fn entries<'n>(&mut self, field: &str, (line, node): Field<'n>) -> &'n [(Node, Node)] {
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

    /// The fields of a map. An unknown field is a fault.
    pub(super) fn fields<'n>(&mut self, place: &str, (line, node): Field<'n>, known: &[&str]) -> Option<Fields<'n>> {
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

    pub(super) fn required<'n>(&mut self, name: &str, fields: &mut Fields<'n>) -> Option<Field<'n>> {
        let field = fields.take(name);
        if field.is_none() {
            self.fault(fields.line, name, "missing");
        }
        field
    }

    /// The items of a list.
    pub(super) fn items<'n>(&mut self, field: &str, (line, node): Field<'n>, may_be_empty: bool) -> Option<&'n [Node]> {
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

    /// A list of texts. `parse` makes a value of each.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        field: Field<'_>,
        may_be_empty: bool,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let items = self.items(name, field, may_be_empty).unwrap_or_default();
        items.iter().filter_map(|item| self.parsed(name, (item.line, item), &parse)).collect()
    }

    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        field: Field<'_>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(name, field)?;
        parse(text).map_err(|message| self.fault(field.0, name, message)).ok()
    }

    pub(super) fn checked(
        &mut self,
        name: &str,
        field: Field<'_>,
        is_right: fn(&str) -> bool,
        otherwise: &str,
    ) -> Option<String> {
        let check = |text: &str| {
            if is_right(text) { Ok(text.to_owned()) } else { Err(format!("{} {otherwise}", quoted(text))) }
        };
        self.parsed(name, field, check)
    }

    pub(super) fn text<'n>(&mut self, field: &str, (line, node): Field<'n>) -> Option<&'n str> {
        match &node.value {
            _ if self.is_unreadable(field, (line, node)) => None,
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Bool(_) | Value::Null | Value::List(_) | Value::Map(_) => {
                self.wrong_kind(field, (line, node), "text");
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, field: &str, (line, node): Field<'_>) -> bool {
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

/// The name of a field for a message, without characters that a log can't show. The message adds the backticks.
fn quoted_field(name: &str) -> String {
    quoted(name).trim_matches('`').to_owned()
}

/// A number with so many digits is probably an ID without its quotes.
const SHORTEST_ID: usize = 8;

/// Whether a name is probably this one, misspelled: in another case, or with one letter more, less or different.
fn is_near(known: &str, name: &str) -> bool {
    if name.len() > known.len().saturating_add(1) {
        return false;
    }
    let (known, name) = (known.to_ascii_lowercase(), name.to_ascii_lowercase());
    let (known, name): (Vec<_>, Vec<_>) = (known.chars().collect(), name.chars().collect());
    let first = known.iter().zip(&name).take_while(|(one, other)| one == other).count();
    let rest = |name: &[char], skip: usize| name.get(first.saturating_add(skip)..).map(<[char]>::to_vec);
    match known.len().cmp(&name.len()) {
        Ordering::Equal => known == name || rest(&known, 1) == rest(&name, 1),
        Ordering::Greater => rest(&known, 1) == rest(&name, 0),
        Ordering::Less => rest(&known, 0) == rest(&name, 1),
    }
}
