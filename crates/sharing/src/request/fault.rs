//! Owns [`Fault`]: what is wrong at one place of a request document.

use serde::Serialize;

use crate::domain::excerpt;

/// At most so many faults of a request are named.
pub const MAX_FAULTS: usize = 50;

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

/// The first faults of a document, and how many more there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// The first [`MAX_FAULTS`].
    pub named: Vec<Fault>,
    /// How many more there are.
    pub left_out: usize,
}

impl Faults {
    /// One fault.
    pub fn one(fault: Fault) -> Self {
        Self { named: vec![fault], left_out: 0 }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// One more fault, which is only put into words where there is room for it.
    pub fn add(&mut self, fault: impl FnOnce() -> Fault) {
        if self.named.len() < MAX_FAULTS {
            self.named.push(fault());
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// So many more faults, none of which is named.
    pub fn leave_out(&mut self, faults: usize) {
        self.left_out = self.left_out.saturating_add(faults);
    }

    /// The faults of another part of the same document.
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
            faults.add(|| Fault::new(format!("/{number}"), "wrong"));
        }
        assert_eq!(faults.left_out, 0);
        faults.add(|| panic!("nobody reads it"));
        faults.extend(Faults { named: vec![Fault::new("", "x"); 2], left_out: 3 });
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
