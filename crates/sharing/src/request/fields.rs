//! Owns [`RequestFields`]: it takes each field of an object once and collects the faults.

use std::{collections::HashSet, fmt::Display, hash::Hash, str::FromStr};

use key_policy::json::Json;

use super::fault::{Fault, FaultKind, Faults, field_pointer};
use crate::domain::excerpt;

/// The fields of an object that is being read.
pub(super) struct RequestFields<'a> {
    fields: &'a [(String, Json)],
    known: Vec<&'static str>,
    pub(super) faults: Faults,
}

/// The items of an array of IDs.
#[derive(Debug)]
pub(super) struct Ids<T> {
    /// Each ID once, with the index of its item.
    pub(super) ids: Vec<(usize, T)>,
    /// The number of different items, valid or not.
    pub(super) different: usize,
}

impl<T> Ids<T> {
    const NONE: Self = Self { ids: Vec::new(), different: 0 };

    /// The IDs without their indexes.
    pub(super) fn into_ids(self) -> impl Iterator<Item = T> {
        self.ids.into_iter().map(|(_, id)| id)
    }
}

impl<'a> RequestFields<'a> {
    pub(super) fn new(fields: &'a [(String, Json)]) -> Self {
        let mut faults = Faults::default();
        // The fields after it were not read, so what the object says is not known.
        let fields = match fields.split_last() {
            Some(((_, Json::Unread(unread)), read)) => {
                let message = format!("too many fields: {unread} more were not read");
                faults.add(|| Fault::new(FaultKind::TooMany, "", message));
                read
            }
            Some(_) | None => fields,
        };
        Self { fields, known: Vec::new(), faults }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == name)
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.faults.add(|| fault);
    }

    fn wrong_type(&mut self, pointer: String, value: &Json, wanted: Wanted) {
        self.faults.add(|| wrong_type(pointer, value, wanted));
    }

    /// A string, of which `parse` makes a value.
    pub(super) fn choice<T, E: Into<Wrong>>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.take(name)?;
        let Some(text) = value.as_str() else {
            self.wrong_type(field_pointer(name), value, STRING);
            return None;
        };
        parse(text).map_err(|wrong| self.fault(wrong.into().at(field_pointer(name)))).ok()
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, name: &'static str) -> Option<bool> {
        let value = self.take(name)?;
        if let Json::Bool(value) = value {
            return Some(*value);
        }
        self.wrong_type(field_pointer(name), value, BOOLEAN);
        None
    }

    /// A non-empty array of at most `most` different IDs.
    ///
    /// The items are counted first. If there are too many, none is read.
    pub(super) fn ids<T>(&mut self, name: &'static str, what: &str, most: usize) -> Ids<T>
    where
        T: FromStr<Err: Display> + Hash + Eq + Clone,
    {
        let Some(value) = self.take(name) else { return Ids::NONE };
        let pointer = field_pointer(name);
        let Some(items) = value.as_array() else {
            self.wrong_type(pointer, value, ARRAY);
            return Ids::NONE;
        };
        if items.is_empty() {
            self.fault(Fault::new(FaultKind::Missing, pointer, "an empty array"));
            return Ids::NONE;
        }
        let different = different(items);
        if different > most {
            self.fault(too_many(pointer, different, what, most));
            return Ids { ids: Vec::new(), different };
        }
        let (mut texts, mut seen, mut ids) = (HashSet::new(), HashSet::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            let is_new = item.as_str().is_none_or(|text| texts.insert(text));
            let place = || format!("{pointer}/{index}");
            match is_new.then(|| id::<T>(item, &place)) {
                // Two texts may have the same ID: the ARNs of an organization under two management accounts.
                Some(Ok(id)) if seen.insert(id.clone()) => ids.push((index, id)),
                Some(Ok(_)) | None => self.faults.add(|| Fault::new(FaultKind::Duplicate, place(), "duplicate value")),
                Some(Err(fault)) => self.faults.add(|| fault),
            }
        }
        Ids { ids, different }
    }

    /// Reports every field that was not taken as unknown.
    pub(super) fn refuse_the_rest(&mut self) {
        let mut unknown: Vec<&str> =
            self.fields.iter().map(|(name, _)| name.as_str()).filter(|name| !self.known.contains(name)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        for name in unknown {
            let near = || self.known.iter().find(|known| known.eq_ignore_ascii_case(name));
            let advice = || match name {
                "regions" => "; send the request with `copyFrom` to the deployment of the other Region".to_owned(),
                _ => near().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default(),
            };
            self.faults.add(|| {
                let message = format!("unknown field{}", advice());
                let fault = Fault::new(FaultKind::UnknownField, field_pointer(name), message);
                match near() {
                    Some(near) => fault.value("suggestion", *near),
                    None => fault,
                }
            });
        }
    }

    fn take(&mut self, name: &'static str) -> Option<&'a Json> {
        self.known.push(name);
        let mut values = self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value);
        let first = values.next()?;
        if values.next().is_some() {
            self.fault(Fault::new(FaultKind::Duplicate, field_pointer(name), "repeated field"));
        }
        Some(first)
    }
}

/// The number of different items of an array. Each item that is not a string counts, because each is a fault.
fn different(items: &[Json]) -> usize {
    let texts: HashSet<&str> = items.iter().filter_map(Json::as_str).collect();
    let others = items.iter().map(|item| match item {
        Json::String(_) => 0,
        Json::Unread(unread) => *unread,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => 1,
    });
    others.fold(texts.len(), usize::saturating_add)
}

fn id<T: FromStr<Err: Display>>(item: &Json, place: &impl Fn() -> String) -> Result<T, Fault> {
    match item {
        Json::String(text) => {
            text.parse().map_err(|error: T::Err| Wrong::from(error.to_string()).given(text).at(place()))
        }
        Json::Number(number) => {
            let message =
                format!("the number {number} where a string belongs: put it in quotes, numbers lose leading zeros");
            Err(Fault { message, ..wrong_type(place(), item, STRING) }.value("given", number.to_string()))
        }
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) | Json::Unread(_) => {
            Err(wrong_type(place(), item, STRING))
        }
    }
}

/// The type of value that is expected, in words and by its JSON name.
#[derive(Clone, Copy)]
struct Wanted(&'static str, &'static str);

const STRING: Wanted = Wanted("a string", "string");
const BOOLEAN: Wanted = Wanted("`true` or `false`", "boolean");
const ARRAY: Wanted = Wanted("an array of strings", "array");

fn wrong_type(pointer: String, value: &Json, Wanted(words, expected): Wanted) -> Fault {
    let message = format!("{} where {words} belongs", value.kind());
    Fault::new(FaultKind::WrongType, pointer, message).value("expected", expected)
}

/// The fault if there is more of something than one request can have.
pub(super) fn too_many(pointer: impl Into<String>, count: usize, what: &str, most: usize) -> Fault {
    let message = format!("{count} {what}; at most {most} go into one request");
    Wrong::new(FaultKind::TooMany, message).count(count, most).at(pointer.into())
}

/// A fault of a text whose place is not known yet.
#[derive(Debug)]
pub(super) struct Wrong(Fault);

impl Wrong {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self(Fault::new(kind, "", message))
    }

    /// Adds the text itself, shortened and without characters that can't be seen.
    pub(super) fn given(self, text: &str) -> Self {
        Self(self.0.value("given", excerpt(text)))
    }

    /// Adds the allowed words.
    pub(super) fn allowed(self, words: impl IntoIterator<Item = &'static str>) -> Self {
        Self(self.0.value("allowed", words.into_iter().collect::<Vec<_>>()))
    }

    /// Adds the number of items, and the maximum.
    pub(super) fn count(self, count: usize, most: usize) -> Self {
        Self(self.0.value("count", count).value("most", most))
    }

    /// Adds the earliest and the latest time that are allowed.
    pub(super) fn between(self, earliest: &str, latest: &str) -> Self {
        Self(self.0.value("earliest", earliest).value("latest", latest))
    }

    fn at(self, pointer: String) -> Fault {
        Fault { pointer, ..self.0 }
    }
}

impl From<String> for Wrong {
    fn from(message: String) -> Self {
        Self::new(FaultKind::BadFormat, message)
    }
}
