//! Owns [`Fields`]: taking the fields of one object, once each, and collecting every fault.

use std::{collections::HashSet, fmt::Display, hash::Hash, str::FromStr};

use crate::json::{Fault, Json, field_pointer};

/// The fields of an object that is being read.
pub(super) struct Fields<'a> {
    fields: &'a [(String, Json)],
    known: Vec<&'static str>,
    pub(super) faults: Vec<Fault>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(fields: &'a [(String, Json)]) -> Self {
        Self { fields, known: Vec::new(), faults: Vec::new() }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == name)
    }

    pub(super) fn fault(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.faults.push(Fault::new(pointer, message));
    }

    /// A string that `parse` turns into what it stands for.
    pub(super) fn choice<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let value = self.take(name)?;
        let Some(text) = value.as_str() else {
            self.fault(field_pointer(name), format!("{} where a string belongs", value.kind()));
            return None;
        };
        parse(text).map_err(|message| self.fault(field_pointer(name), message)).ok()
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, name: &'static str) -> Option<bool> {
        match self.take(name)? {
            Json::Bool(value) => Some(*value),
            other @ (Json::Null | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_)) => {
                self.fault(field_pointer(name), format!("{} where `true` or `false` belongs", other.kind()));
                None
            }
        }
    }

    /// A non-empty array of different ids, each with its index.
    pub(super) fn ids<T>(&mut self, name: &'static str) -> Vec<(usize, T)>
    where
        T: FromStr<Err: Display> + Hash + Eq + Clone,
    {
        let Some(value) = self.take(name) else { return Vec::new() };
        let pointer = field_pointer(name);
        let Some(items) = value.as_array() else {
            self.fault(pointer, format!("{} where an array of strings belongs", value.kind()));
            return Vec::new();
        };
        if items.is_empty() {
            self.fault(pointer.clone(), "an empty array");
        }
        let mut seen = HashSet::new();
        let mut ids = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match id::<T>(item) {
                Ok(id) if seen.insert(id.clone()) => ids.push((index, id)),
                Ok(_) => self.fault(format!("{pointer}/{index}"), "stands here for the second time"),
                Err(message) => self.fault(format!("{pointer}/{index}"), message),
            }
        }
        ids
    }

    /// Refuses every field that nothing has asked for.
    pub(super) fn refuse_the_rest(&mut self) {
        let mut unknown: Vec<&str> =
            self.fields.iter().map(|(name, _)| name.as_str()).filter(|name| !self.known.contains(name)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        for name in unknown {
            let near = self.known.iter().find(|known| known.eq_ignore_ascii_case(name));
            let advice = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            self.fault(field_pointer(name), format!("unknown field{advice}"));
        }
    }

    fn take(&mut self, name: &'static str) -> Option<&'a Json> {
        self.known.push(name);
        let mut values = self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value);
        let first = values.next()?;
        if values.next().is_some() {
            self.fault(field_pointer(name), "stands here more than once");
        }
        Some(first)
    }
}

fn id<T: FromStr<Err: Display>>(item: &Json) -> Result<T, String> {
    match item {
        Json::String(text) => text.parse().map_err(|error: T::Err| error.to_string()),
        Json::Number(number) => {
            Err(format!("the number {number} where a string belongs: put it in quotes, numbers lose leading zeros"))
        }
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => {
            Err(format!("{} where a string belongs", item.kind()))
        }
    }
}
