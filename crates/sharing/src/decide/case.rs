//! Owns [`Case`]: everything a decision rests on besides the facts.

use time::OffsetDateTime;

use crate::{
    allowlist::Allowlist,
    domain::{AccountId, Requester},
    facts::{CopyRecord, Expiry},
    request::Request,
};

/// Everything a decision rests on besides the facts.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What is asked.
    pub request: &'a Request,
    /// By what right.
    pub authority: Authority<'a>,
    /// What is allowed.
    pub allowlist: &'a Allowlist,
    /// The account the function runs in.
    pub account: AccountId,
    /// The Region the function runs in.
    pub region: &'a str,
    /// The ID of the request.
    pub request_id: &'a str,
    /// How many entities one image may be shared with:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-quotas.html>
    pub entity_quota: usize,
    /// The variables that this deployment lacks to record when a share expires; none where it can.
    pub unset_for_expiry: &'a [&'static str],
    /// The variables that this deployment lacks for shares that wait for copies; none where it can have them.
    pub unset_for_copies: &'a [&'static str],
    /// The record by which the request is made again, if nobody asks now.
    pub hint: Option<&'a CopyRecord>,
    /// Whether a rule shares by itself and nobody asks.
    pub is_automatic: bool,
    /// What else this deployment may do.
    pub setup: Setup,
    /// Now.
    pub now: OffsetDateTime,
    /// When the invocation ends at the latest: what it sends arrives before that.
    pub deadline: OffsetDateTime,
}

/// What this deployment may do beside launch permissions; its role is made to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Whether it may make grants.
    pub key_grants: bool,
    /// Whether it may give create volume permissions.
    pub copy_access: bool,
}

/// By what right something is done.
#[derive(Debug, Clone, Copy)]
pub enum Authority<'a> {
    /// Somebody asks, and the allowlist decides.
    Requester(&'a Requester),
    /// The recorded expiry of a share is due: nobody asks, and nobody is asked.
    Expiry(&'a Expiry),
}
