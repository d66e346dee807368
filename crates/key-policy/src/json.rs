//! Owns [`Json`], a JSON value that keeps repeated fields.
//!
//! `serde_json::Value` keeps only the last of two fields with one name. But a request with `"dryRun": true` and then
//! `"dryRun": false` must be refused.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The most values of one document that are kept. A batch of SQS has fewer (6 MB of records with ten attributes each
/// are about 280,000), and they take at most 30 MB of memory, whatever the document is.
pub const MAX_VALUES: usize = 1 << 19;
/// The deepest nesting of arrays and objects that is kept. No event of AWS comes near it.
const MAX_DEPTH: usize = 64;

/// A JSON value as the document has it, repeated fields included.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Any number.
    Number(serde_json::Number),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// The fields in the order they were written.
    Object(Vec<(String, Json)>),
    /// The number of items or fields that were not kept, because they are too many or nested too deep. It is the last
    /// item of its array or object. No field accepts it, so a document that lost something is refused.
    Unread(usize),
}

impl Json {
    /// Reads JSON text; the error names line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read_text(text).map_err(|not_json| not_json.error)
    }

    /// The first field of that name, if this is an object that has one.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    /// The value at a path of field names.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |value, name| value.get(name))
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The items, if this is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The fields, if this is an object.
    pub fn as_object(&self) -> Option<&[(String, Self)]> {
        if let Self::Object(fields) = self { Some(fields) } else { None }
    }

    /// A string, number or boolean as text: IAM reads `true` and `"true"` in the same way.
    pub fn as_scalar(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::String(text) => Some(text.into()),
            Self::Number(number) => Some(number.to_string().into()),
            Self::Bool(value) => Some(value.to_string().into()),
            Self::Null | Self::Array(_) | Self::Object(_) | Self::Unread(_) => None,
        }
    }

    /// The items of an array; any other value counts as an array of one, as in IAM.
    pub fn items(&self) -> &[Self] {
        self.as_array().unwrap_or(std::slice::from_ref(self))
    }

    /// The kind of value, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
            Self::Unread(_) => "more than is read",
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        JsonReader { state: &State::new(), depth: 0 }.deserialize(deserializer)
    }
}

/// The fields that were read from a document before an error in its JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct NotJson {
    /// The complete fields, if the document is an object.
    pub read: Json,
    /// What is wrong, with line and column.
    pub error: String,
}

impl Json {
    /// Reads a document, or as many of its fields as can be read.
    pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, NotJson> {
        let state = State::new();
        JsonReader { state: &state, depth: 0 }
            .deserialize(deserializer)
            .map_err(|error| NotJson { read: Self::Object(state.read.take()), error: error.to_string() })
    }

    /// Reads JSON text, or as many of its fields as can be read.
    pub fn read_text(text: &str) -> Result<Self, NotJson> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = Self::read(&mut reader)?;
        match reader.end() {
            Ok(()) => Ok(read),
            Err(error) => Err(NotJson { read, error: error.to_string() }),
        }
    }
}

/// What the readers of one document share.
struct State {
    /// How many more values may be kept.
    left: Cell<usize>,
    /// The fields of the whole document that were read before an error.
    read: RefCell<Vec<(String, Json)>>,
}

impl State {
    fn new() -> Self {
        Self { left: Cell::new(MAX_VALUES), read: RefCell::default() }
    }

    /// Whether one more value may be kept.
    fn take(&self) -> bool {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.unwrap_or_default());
        left.is_some()
    }

    /// Undoes [`take`](Self::take): there was no value.
    fn give_back(&self) {
        self.left.set(self.left.get().saturating_add(1));
    }
}

/// Reads one value at some depth.
struct JsonReader<'a> {
    state: &'a State,
    depth: usize,
}

impl<'a> JsonReader<'a> {
    fn inner(&self) -> JsonReader<'a> {
        JsonReader { state: self.state, depth: self.depth.saturating_add(1) }
    }
}

impl<'de> DeserializeSeed<'de> for JsonReader<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonReader<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while self.depth < MAX_DEPTH && self.state.take() {
            match items.next_element_seed(self.inner())? {
                Some(item) => array.push(item),
                None => {
                    self.state.give_back();
                    array.shrink_to_fit();
                    return Ok(Json::Array(array));
                }
            }
        }
        let mut unread: usize = 0;
        while items.next_element::<IgnoredAny>()?.is_some() {
            unread = unread.saturating_add(1);
        }
        if unread > 0 {
            array.push(Json::Unread(unread));
        }
        array.shrink_to_fit();
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        let whole = self.fields(&mut fields, &mut object);
        object.shrink_to_fit();
        match whole {
            Ok(()) => Ok(Json::Object(object)),
            Err(error) => {
                if self.depth == 0 {
                    self.state.read.replace(object);
                }
                Err(error)
            }
        }
    }
}

impl JsonReader<'_> {
    fn fields<'de, A: MapAccess<'de>>(&self, fields: &mut A, object: &mut Vec<(String, Json)>) -> Result<(), A::Error> {
        while self.depth < MAX_DEPTH && self.state.take() {
            let Some(name) = fields.next_key()? else {
                self.state.give_back();
                return Ok(());
            };
            object.push((name, fields.next_value_seed(self.inner())?));
        }
        let Some((name, IgnoredAny)) = fields.next_entry()? else { return Ok(()) };
        let mut unread: usize = 1;
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            unread = unread.saturating_add(1);
        }
        object.push((name, Json::Unread(unread)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_fields_are_kept_and_the_first_is_found() {
        let json = Json::parse(r#"{"a": 1, "b": {"c": [null, true, -1, 1.5, "x"]}, "a": 2}"#).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 3);
        assert_eq!(json.get("a"), Some(&Json::Number(1.into())));
        assert_eq!(json.at(&["b", "c"]).and_then(Json::as_array).map(<[_]>::len), Some(5));
        assert_eq!(json.at(&["a", "c"]), None);
    }

    #[test]
    fn a_message_names_the_kind_of_a_value() {
        let kinds = ["null", "true", "-1.5", r#""x""#, "[]", "{}"].map(|text| Json::parse(text).unwrap().kind());
        assert_eq!(kinds, ["null", "a boolean", "a number", "a string", "an array", "an object"]);
    }

    #[test]
    fn what_is_nested_too_deep_is_read_over() {
        let deep = |depth: usize| format!("{}0{}", "[".repeat(depth), "]".repeat(depth));
        let innermost = |text: &str| {
            let mut json = Json::parse(text).unwrap();
            while let Json::Array(mut items) = json {
                json = items.pop().unwrap();
            }
            json
        };
        assert_eq!(innermost(&deep(64)), Json::Number(0.into()));
        for (depth, expect) in [(64, Json::Number(0.into())), (65, Json::Unread(1))] {
            let mut json = Json::parse(&format!("{}0{}", r#"{"a":"#.repeat(depth), "}".repeat(depth))).unwrap();
            while let Json::Object(mut fields) = json {
                json = fields.pop().unwrap().1;
            }
            assert_eq!(json, expect, "{depth}");
        }
        for depth in [65, 66, 127, 128, 129, 1_000_000] {
            assert_eq!(innermost(&deep(depth)), Json::Unread(1), "{depth}");
        }
        assert!(Json::parse(&"[".repeat(1_000_000)).unwrap_err().contains("EOF"));
        assert!(Json::parse(&r#"{"a":"#.repeat(1_000_000)).unwrap_err().contains("EOF"));
    }

    #[test]
    fn values_beyond_the_most_that_are_kept_are_counted() {
        let zeros = |n: usize| format!("[{}0]", "0,".repeat(n - 1));
        let array = |text: &str| Json::parse(text).unwrap().as_array().unwrap().to_vec();
        assert_eq!(array(&zeros(MAX_VALUES)).last(), Some(&Json::Number(0.into())));
        let cut = array(&zeros(MAX_VALUES + 7));
        assert_eq!((cut.len(), cut.last()), (MAX_VALUES + 1, Some(&Json::Unread(7))));
        let object = format!(r#"{{{}"b":0,"c":0}}"#, r#""a":0,"#.repeat(MAX_VALUES));
        let Json::Object(fields) = Json::parse(&object).unwrap() else { panic!() };
        assert_eq!(fields.last(), Some(&("b".to_owned(), Json::Unread(2))));
        let nested = array(&format!("[{}[]]", "[0],".repeat(MAX_VALUES)));
        assert_eq!(nested.len(), MAX_VALUES / 2 + 1);
        assert_eq!(nested.last(), Some(&Json::Unread(MAX_VALUES / 2 + 1)));
    }

    #[test]
    fn the_fields_before_an_error_are_kept() {
        let read = |text: &str| Json::read(&mut serde_json::Deserializer::from_str(text));
        for (text, expect) in [
            (r#"{"a": 1, "b": {"c": "\ud800"}, "d": 2}"#, r#"{"a": 1}"#),
            (r#"{"a": 1, "b": [1e999]}"#, r#"{"a": 1}"#),
            (r#"{"a": {"b": 2}, "c": "#, r#"{"a": {"b": 2}}"#),
            (r#"["a", nonsense]"#, "{}"),
            ("", "{}"),
        ] {
            assert_eq!(read(text).unwrap_err().read, Json::parse(expect).unwrap(), "{text}");
        }
        assert_eq!(read(r#"{"a": 1}"#), Ok(Json::parse(r#"{"a": 1}"#).unwrap()));
    }
}
