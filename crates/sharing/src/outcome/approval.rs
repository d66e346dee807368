//! Owns the rows about shares that wait for approval.

use serde::Serialize;
use time::OffsetDateTime;

use crate::{records::Ask, request::Request};

/// The approval that a share waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Its ID, with which it is approved or rejected.
    pub id: String,
    /// How long it waits.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
    /// The rules that require it.
    pub rules: Vec<String>,
}

/// A share that waits for approval, in the answer to `approvals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApprovalRow {
    /// Its ID, with which it is approved or rejected.
    pub id: String,
    /// Who asked.
    pub requester: String,
    /// How long it waits.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
    /// The rules that require the approval.
    pub rules: Vec<String>,
    /// The request document of the share.
    pub request: Request,
    /// The reason, in the words of who asked.
    pub reason: Option<String>,
}

impl From<&Ask> for Waiting {
    fn from(ask: &Ask) -> Self {
        Self { id: ask.name.id().to_owned(), until: ask.until, rules: ask.rules.clone() }
    }
}

impl From<&Ask> for ApprovalRow {
    fn from(ask: &Ask) -> Self {
        let Waiting { id, until, rules } = ask.into();
        let (requester, request) = (ask.requester.as_str().to_owned(), ask.request.clone());
        Self { id, requester, until, rules, reason: request.reason.clone(), request }
    }
}
