//! Owns [`Deployment`], the clients and settings that carry out requests, and [`Run`], the time limits of one request.

use sharing::{
    allowlist::Allowlist,
    decide::{Approval, Authority, Case, Setup},
    domain::AccountId,
    request::Request,
};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{allowlist_source::Source, aws::Aws, observe::Memory, records::RecordStore};

/// The clients and settings that carry out requests. They live as long as the process.
#[derive(Debug)]
pub struct Deployment {
    /// The AWS clients, with their credentials.
    pub aws: Aws,
    /// The account of the function, which owns the images.
    pub account: AccountId,
    /// The source of the allowlist.
    pub allowlist: Source,
    /// How many entities one image may be shared with.
    pub entity_quota: usize,
    /// The record store, or the names of the variables that are not set.
    pub records: Result<RecordStore, Vec<&'static str>>,
    /// The optional permissions of the function's role.
    pub setup: Setup,
    /// What is remembered of images, so that the next share of one takes fewer waves. No answer depends on it.
    pub memory: Memory,
}

/// One run of a request: its ID, the current time and the time limits.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The request's ID, which the outcome and the log have too.
    pub request_id: &'a str,
    /// Now.
    pub now: OffsetDateTime,
    /// No call to AWS runs after this.
    pub deadline: Instant,
    /// The time at which Lambda ends the invocation; not before the deadline.
    pub ends_at: OffsetDateTime,
    /// Whether it came through a trigger through which approvals can be requested and given.
    pub may_ask: bool,
}

impl Deployment {
    /// The record store, if the deployment has one.
    pub fn record_store(&self) -> Option<&RecordStore> {
        self.records.as_ref().ok()
    }

    /// The names of the variables that records which give a right need and that are not set.
    pub fn unset_for_rights(&self) -> &[&'static str] {
        match &self.records {
            Ok(RecordStore { record_key: None, .. }) => &["AMI_SHARE_RECORD_KEY"],
            Ok(_) => &[],
            Err(unset) => unset,
        }
    }

    /// The case: everything except the facts that a decision about a request depends on.
    pub(crate) fn case<'a>(
        &'a self,
        request: &'a Request,
        authority: Authority<'a>,
        allowlist: &'a Allowlist,
        run: &Run<'a>,
    ) -> Case<'a> {
        Case {
            request,
            named: &request.image_ids,
            authority,
            allowlist,
            account: self.account,
            region: self.aws.region(),
            request_id: run.request_id,
            entity_quota: self.entity_quota,
            unset_for_expiry: self.records.as_ref().err().map(Vec::as_slice).unwrap_or_default(),
            unset_for_copies: self.unset_for_rights(),
            hint: None,
            approval: if run.may_ask { Approval::Asked } else { Approval::NotPossible },
            setup: self.setup,
            is_automatic: false,
            now: run.now,
            deadline: run.ends_at,
        }
    }
}
