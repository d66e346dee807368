//! Owns [`Event`]: the payload of an invocation.

use key_policy::json::{Json, NotJson};
use serde::{Deserialize, Deserializer};

/// The payload of an invocation, or as much of it as could be read.
///
/// Reading it never fails: a payload that can't be read is answered like any other malformed request.
#[derive(Debug, Clone, PartialEq)]
pub struct Event(Result<Json, NotJson>);

impl Event {
    /// The payload, or as much of it as could be read.
    pub fn json(&self) -> Result<&Json, &NotJson> {
        self.0.as_ref()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Json::read(deserializer)))
    }
}
