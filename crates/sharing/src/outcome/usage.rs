//! Owns [`UsageRow`]: the part of a row about the accounts that use an image.

use serde::Serialize;
use time::OffsetDateTime;

use crate::domain::AccountId;

/// Which accounts use an image, according to the newest report on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageRow {
    /// When the report was requested.
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
    /// The accounts that the requester's rules name, and for each type of resource the sum of all others.
    pub entries: Vec<UsageEntryRow>,
    /// What the report may not count yet.
    pub missing: Vec<String>,
}

/// How often an account uses an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageEntryRow {
    /// The account; `null` for all accounts that the requester's rules don't name.
    pub account_id: Option<AccountId>,
    /// The type of the resources that use the image, in EC2's word.
    pub resource_type: String,
    /// The number of these resources.
    pub count: u64,
}
