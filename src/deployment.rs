//! Owns [`Deployment`]: what requests are carried out with, and by when.

use sharing::{
    allowlist::Allowlist,
    decide::{Authority, Case, Setup},
    domain::AccountId,
    request::Request,
};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{allowlist_source::Source, aws::Aws, records::RecordStore};

/// What requests are carried out with. It lives as long as the process.
#[derive(Debug)]
pub struct Deployment {
    /// The AWS clients, with their credentials.
    pub aws: Aws,
    /// The account that they work in, whose images are shared.
    pub account: AccountId,
    /// Where the allowlist comes from.
    pub allowlist: Source,
    /// How many entities one image may be shared with.
    pub entity_quota: usize,
    /// Where records are, or the variables that are not set.
    pub records: Result<RecordStore, Vec<&'static str>>,
    /// What the role may do.
    pub setup: Setup,
}

/// One run of a request: its ID, when it is, and by when it must be over.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The ID that outcome, log and caller share.
    pub request_id: &'a str,
    /// Now.
    pub now: OffsetDateTime,
    /// No call to AWS is under way after this.
    pub deadline: Instant,
    /// When the invocation ends at the latest; not before the deadline.
    pub ends_at: OffsetDateTime,
}

impl Deployment {
    /// Where records are, if anywhere.
    pub fn record_store(&self) -> Option<&RecordStore> {
        self.records.as_ref().ok()
    }

    /// Everything that the decision about a request rests on besides the facts.
    pub(crate) fn case<'a>(
        &'a self,
        request: &'a Request,
        authority: Authority<'a>,
        allowlist: &'a Allowlist,
        run: &Run<'_>,
    ) -> Case<'a> {
        Case {
            request,
            authority,
            allowlist,
            account: self.account,
            entity_quota: self.entity_quota,
            unset_for_expiry: self.records.as_ref().err().map(Vec::as_slice).unwrap_or_default(),
            setup: self.setup,
            is_automatic: false,
            now: run.now,
            deadline: run.ends_at,
        }
    }
}
