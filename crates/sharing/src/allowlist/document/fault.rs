//! Owns the faults of an allowlist: what is wrong, and where.

use std::fmt;

use crate::domain::quoted;

/// Why an allowlist can't be used: all that is wrong with it. Meant for the log and whoever writes it, not for callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidAllowlist {
    /// What is wrong, in the order of the document; never empty.
    pub faults: Vec<DocumentFault>,
}

/// What is wrong at one place of an allowlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFault {
    /// The line of the field's name or of the item, counted from 1.
    pub line: usize,
    /// The part of the document.
    pub part: Part,
    /// The field, such as `images.names`; empty for the part as a whole.
    pub field: String,
    /// What is wrong there.
    pub message: String,
}

/// A part of an allowlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The document as a whole.
    Document,
    /// The rule of that name, or where it has none `#` and its number.
    Rule(String),
    /// The entry of the directory with that key.
    Account(String),
    /// The group of that name.
    Group(String),
}

impl fmt::Display for InvalidAllowlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
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
