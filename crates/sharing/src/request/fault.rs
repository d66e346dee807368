//! Owns [`Fault`]: what is wrong at one place of a request document.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::excerpt;

/// The maximum number of faults that are named. The others are counted.
pub const MAX_FAULTS: usize = 50;

/// A fault of a request document, at one place. The caller can fix it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// Its place: an RFC 6901 JSON Pointer; empty for the document as a whole.
    pub pointer: String,
    /// The query parameter at fault, if it is not a field of the document.
    pub parameter: Option<String>,
    /// What is wrong.
    pub message: String,
    /// The values in the message, as data.
    pub values: Values,
}

/// The values in a message, each with a name.
pub type Values = BTreeMap<&'static str, serde_json::Value>;

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// There is no such field or parameter.
    UnknownField,
    /// A required value is missing.
    Missing,
    /// The value has the wrong type.
    WrongType,
    /// The value has the wrong form, or is not one of the allowed words.
    BadFormat,
    /// There are more values than are allowed.
    TooMany,
    /// The value or field is repeated.
    Duplicate,
    /// The value is too small or too large.
    OutOfRange,
    /// The field has no meaning for this request.
    NoMeaning,
}

impl FaultKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::UnknownField,
        Self::Missing,
        Self::WrongType,
        Self::BadFormat,
        Self::TooMany,
        Self::Duplicate,
        Self::OutOfRange,
        Self::NoMeaning,
    ];
}

impl Fault {
    /// A fault at a pointer that is already escaped.
    pub fn new(kind: FaultKind, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let (pointer, message) = (pointer.into(), message.into());
        Self { kind, pointer, parameter: None, message, values: Values::new() }
    }

    /// A fault of a query parameter.
    pub fn of_parameter(kind: FaultKind, parameter: &str, message: impl Into<String>) -> Self {
        let parameter = excerpt(parameter);
        Self { parameter: Some(parameter.clone()), ..Self::new(kind, field_pointer(&parameter), message) }
    }

    /// The same fault, with a value of its message.
    #[must_use]
    pub fn value(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.values.insert(name, value.into());
        self
    }
}

/// The first faults of a document, and the number of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// The first [`MAX_FAULTS`].
    pub named: Vec<Fault>,
    /// The number of the other faults.
    pub left_out: usize,
}

impl Faults {
    /// A single fault.
    pub fn one(fault: Fault) -> Self {
        Self { named: vec![fault], left_out: 0 }
    }

    /// Whether there is no fault.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Adds a fault. Its message is made only if the fault will be named.
    pub fn add(&mut self, fault: impl FnOnce() -> Fault) {
        if self.named.len() < MAX_FAULTS {
            self.named.push(fault());
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// Adds this number of faults without naming them.
    pub fn leave_out(&mut self, faults: usize) {
        self.left_out = self.left_out.saturating_add(faults);
    }

    /// Adds the faults of another part of the same document.
    pub fn extend(&mut self, others: Self) {
        for fault in others.named {
            self.add(|| fault);
        }
        self.leave_out(others.left_out);
    }
}

/// The JSON Pointer of a top-level field, its name escaped (RFC 6901 §3) and shortened.
pub fn field_pointer(name: &str) -> String {
    format!("/{}", excerpt(name).replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_beyond_the_fiftieth_are_counted() {
        let mut faults = Faults::default();
        for number in 0..MAX_FAULTS {
            faults.add(|| Fault::new(FaultKind::Missing, format!("/{number}"), "wrong"));
        }
        assert_eq!(faults.left_out, 0);
        faults.add(|| panic!("nobody reads it"));
        faults.extend(Faults { named: vec![Fault::new(FaultKind::Missing, "", "x"); 2], left_out: 3 });
        assert_eq!((faults.named.len(), faults.left_out), (50, 6));
    }

    #[test]
    fn a_pointer_is_short() {
        assert!(field_pointer(&"\u{e0001}".repeat(100_000)).len() < 1_000);
        assert!(field_pointer(&"x".repeat(81)).ends_with("x…"));
    }

    #[test]
    fn a_pointer_escapes_tilde_slash_and_control_characters() {
        assert_eq!(field_pointer("a/b~c\n"), "/a~1b~0c\\n");
    }
}
