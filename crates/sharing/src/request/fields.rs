//! Owns [`RequestFields`]: taking the fields of one object, once each, and collecting the faults.

use std::{borrow::Cow, collections::HashSet, fmt::Display, hash::Hash, str::FromStr};

use key_policy::json::Json;

use super::fault::{Fault, Faults, field_pointer};

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
    /// How many different items there are, right or wrong.
    pub(super) different: usize,
}

impl<T> Ids<T> {
    const NONE: Self = Self { ids: Vec::new(), different: 0 };

    /// The IDs, without where they stand.
    pub(super) fn into_ids(self) -> impl Iterator<Item = T> {
        self.ids.into_iter().map(|(_, id)| id)
    }
}

impl<'a> RequestFields<'a> {
    pub(super) fn new(fields: &'a [(String, Json)]) -> Self {
        let mut faults = Faults::default();
        // What is behind it was not read, so it is not known what this object says.
        let fields = match fields.split_last() {
            Some(((_, Json::Unread(unread)), read)) => {
                faults.add(|| Fault::new("", format!("too many fields: {unread} more were not read")));
                read
            }
            Some(_) | None => fields,
        };
        Self { fields, known: Vec::new(), faults }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == name)
    }

    pub(super) fn fault(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.faults.add(|| Fault::new(pointer, message));
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
        let value = self.take(name)?;
        if let Json::Bool(value) = value {
            return Some(*value);
        }
        self.fault(field_pointer(name), format!("{} where `true` or `false` belongs", value.kind()));
        None
    }

    /// A non-empty array of at most `most` different IDs.
    ///
    /// The items are counted before they are read: of too many none is.
    pub(super) fn ids<T>(&mut self, name: &'static str, what: &str, most: usize) -> Ids<T>
    where
        T: FromStr<Err: Display> + Hash + Eq + Clone,
    {
        let Some(value) = self.take(name) else { return Ids::NONE };
        let pointer = field_pointer(name);
        let Some(items) = value.as_array() else {
            self.fault(pointer, format!("{} where an array of strings belongs", value.kind()));
            return Ids::NONE;
        };
        if items.is_empty() {
            self.fault(pointer, "an empty array");
            return Ids::NONE;
        }
        let different = different(items);
        if different > most {
            self.fault(pointer, format!("{different} {what}; at most {most} go into one request"));
            return Ids { ids: Vec::new(), different };
        }
        let (mut texts, mut seen, mut ids) = (HashSet::new(), HashSet::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            let is_new = item.as_str().is_none_or(|text| texts.insert(text));
            let message = match is_new.then(|| id::<T>(item)) {
                // Two texts may name the same: the ARNs of an organization under two management accounts.
                Some(Ok(id)) if seen.insert(id.clone()) => {
                    ids.push((index, id));
                    continue;
                }
                Some(Ok(_)) | None => Cow::from("duplicate value"),
                Some(Err(message)) => message.into(),
            };
            self.faults.add(|| Fault::new(format!("{pointer}/{index}"), message));
        }
        Ids { ids, different }
    }

    /// Refuses every field that nothing has asked for.
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
            self.faults.add(|| Fault::new(field_pointer(name), format!("unknown field{}", advice())));
        }
    }

    fn take(&mut self, name: &'static str) -> Option<&'a Json> {
        self.known.push(name);
        let mut values = self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value);
        let first = values.next()?;
        if values.next().is_some() {
            self.fault(field_pointer(name), "repeated field");
        }
        Some(first)
    }
}

/// How many different items an array has. What is no string is wrong, whatever it equals.
fn different(items: &[Json]) -> usize {
    let texts: HashSet<&str> = items.iter().filter_map(Json::as_str).collect();
    let others = items.iter().map(|item| match item {
        Json::String(_) => 0,
        Json::Unread(unread) => *unread,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => 1,
    });
    others.fold(texts.len(), usize::saturating_add)
}

fn id<T: FromStr<Err: Display>>(item: &Json) -> Result<T, String> {
    match item {
        Json::String(text) => text.parse().map_err(|error: T::Err| error.to_string()),
        Json::Number(number) => {
            Err(format!("the number {number} where a string belongs: put it in quotes, numbers lose leading zeros"))
        }
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) | Json::Unread(_) => {
            Err(format!("{} where a string belongs", item.kind()))
        }
    }
}
