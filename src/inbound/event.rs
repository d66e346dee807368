//! Owns [`Event`]: the bytes of an invocation, whatever they are.

use serde::{Deserialize, Deserializer};

use crate::json::Json;

/// The payload of an invocation, or why it is not JSON.
///
/// Reading it never fails: a payload that can't be read is answered like any other malformed request.
#[derive(Debug, Clone, PartialEq)]
pub struct Event(Result<Json, String>);

impl Event {
    /// The payload, or why there is none.
    pub fn json(&self) -> Result<&Json, &str> {
        self.0.as_ref().map_err(String::as_str)
    }
}

impl From<Json> for Event {
    fn from(json: Json) -> Self {
        Self(Ok(json))
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Json::deserialize(deserializer).map_err(|error| error.to_string())))
    }
}
