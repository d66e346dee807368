//! Owns [`Json`], a JSON value that remembers repeated fields, and [`Fault`], what is wrong at one place of it.
//!
//! `serde_json::Value` keeps the last of two fields of one name and says nothing; a request that
//! says `"dryRun": true` and then `"dryRun": false` must be refused, not guessed at.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, Visitor},
};

/// A JSON value as it was written, repeated fields included.
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
}

impl Json {
    /// Reads JSON text; the error names line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// The first field of that name, where this is an object that has one.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    /// The value at a path of field names.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |value, name| value.get(name))
    }

    /// The text, where this is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The items, where this is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The fields, where this is an object.
    pub fn as_object(&self) -> Option<&[(String, Self)]> {
        if let Self::Object(fields) = self { Some(fields) } else { None }
    }

    /// A string, number or boolean as text: IAM reads `true` and `"true"` alike.
    pub fn as_scalar(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::String(text) => Some(text.into()),
            Self::Number(number) => Some(number.to_string().into()),
            Self::Bool(value) => Some(value.to_string().into()),
            Self::Null | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// An array's items, or the one value that IAM takes for an array of one.
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
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
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
                while let Some(item) = items.next_element()? {
                    array.push(item);
                }
                Ok(Json::Array(array))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json, A::Error> {
                let mut object = Vec::new();
                while let Some(field) = fields.next_entry()? {
                    object.push(field);
                }
                Ok(Json::Object(object))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// What is wrong at one place of a document; the caller can act on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where: an RFC 6901 JSON Pointer, empty for the document as a whole.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl Fault {
    /// A fault at a pointer that is already escaped.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

/// The JSON Pointer of a top-level field, its name escaped (RFC 6901 §3) and shortened.
pub fn field_pointer(name: &str) -> String {
    let name: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
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
    fn bottomless_nesting_is_an_error_not_a_stack_overflow() {
        assert!(Json::parse(&"[".repeat(1_000_000)).unwrap_err().contains("recursion limit"));
    }

    #[test]
    fn a_pointer_escapes_tilde_slash_and_control_characters() {
        assert_eq!(field_pointer("a/b~c\n"), "/a~1b~0c\\n");
    }
}
