//! Owns [`Remark`]: something about a statement that its author should know.

use serde::Serialize;

/// Something about a statement that its author should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The statement's `Sid`.
    pub sid: Option<String>,
    /// The statement's index in the document, from 0; `None` if the remark is about the whole document.
    pub index: Option<usize>,
    /// The remark itself.
    pub message: String,
}

impl Remark {
    /// The remark with the name of its statement.
    pub fn in_words(&self) -> String {
        match (&self.sid, self.index) {
            (Some(sid), _) => format!("statement `{sid}`: {}", self.message),
            (None, Some(index)) => format!("the statement at index {index}: {}", self.message),
            (None, None) => self.message.clone(),
        }
    }

    pub(super) fn on_document(message: String) -> Self {
        Self { sid: None, index: None, message }
    }
}

/// Shortens a text from the policy for a message.
pub(super) fn clip(text: &str) -> String {
    let mut short: String = text.chars().take(100).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
