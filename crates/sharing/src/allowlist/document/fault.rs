//! Owns the faults of an allowlist: what is wrong, and where.

use std::fmt;

use crate::{domain::quoted, request::MAX_FAULTS};

/// Why an allowlist can't be used: all its faults, of which its text names the first [`MAX_FAULTS`]. They are for the log and
/// for the authors of the allowlist, not for callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidAllowlist {
    /// The faults, in the order of the document; never empty.
    pub faults: Vec<DocumentFault>,
}

/// A fault of an allowlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFault {
    /// The line of the field's name or of the item; the first line is 1.
    pub line: usize,
    /// The part of the document.
    pub part: Part,
    /// The field, such as `images.names`; empty if the fault concerns the part as a whole.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// A part of an allowlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The document as a whole.
    Document,
    /// The rule with this name; for a rule without a name, `#` and its number.
    Rule(String),
    /// The entry of the directory with this key.
    Account(String),
    /// The group with this name.
    Group(String),
}

impl fmt::Display for InvalidAllowlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It becomes a line of the log, and a document may have more faults than a line has room for.
        for (index, fault) in self.faults.iter().take(MAX_FAULTS).enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { "; " })?;
        }
        match self.faults.len().saturating_sub(MAX_FAULTS) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for InvalidAllowlist {}

impl fmt::Display for DocumentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        match &self.part {
            Part::Document => {}
            Part::Rule(name) => write!(f, ", rule {}", quoted(name))?,
            Part::Account(key) => write!(f, ", account {}", quoted(key))?,
            Part::Group(name) => write!(f, ", group {}", quoted(name))?,
        }
        if !self.field.is_empty() {
            write!(f, ", field `{}`", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}
