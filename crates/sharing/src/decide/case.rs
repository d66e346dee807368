//! Owns [`Case`]: everything except the facts that a decision depends on.

use time::OffsetDateTime;

use crate::{
    allowlist::Allowlist,
    domain::{AccountId, ImageId, Requester},
    facts::{CopyRecord, Expiry},
    request::Request,
};

/// Everything except the facts that a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The request, about images of this Region.
    pub request: &'a Request,
    /// The images as the request named them. With `copyFrom`, these are images of another Region, or the sources of copies.
    pub named: &'a [ImageId],
    /// By whose authority it is carried out.
    pub authority: Authority<'a>,
    /// The allowlist.
    pub allowlist: &'a Allowlist,
    /// The account the function runs in.
    pub account: AccountId,
    /// The Region the function runs in.
    pub region: &'a str,
    /// The ID of the request.
    pub request_id: &'a str,
    /// The number of entities with which an image can be shared:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-quotas.html>
    pub entity_quota: usize,
    /// The unset variables because of which this deployment can't record an expiry; empty if it can.
    pub unset_for_expiry: &'a [&'static str],
    /// The variables that this deployment lacks for shares that wait for copies; none if it can have them.
    pub unset_for_copies: &'a [&'static str],
    /// The record whose request is made again, if the request comes from a record.
    pub hint: Option<&'a CopyRecord>,
    /// Whether an approval can be requested, or who gives it.
    pub approval: Approval<'a>,
    /// Whether a rule with `onAvailable` makes this share, without a request.
    pub is_automatic: bool,
    /// The optional permissions of the function's role.
    pub setup: Setup,
    /// Now.
    pub now: OffsetDateTime,
    /// The latest time at which the invocation ends. Its calls to AWS arrive before that.
    pub deadline: OffsetDateTime,
}

/// How a share gets the approval that a rule requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval<'a> {
    /// It can't be requested through this trigger.
    NotPossible,
    /// It is requested.
    Asked,
    /// This requester gives it.
    By(&'a Requester),
}

impl<'a> Case<'a> {
    /// The case where the request of this record is made again. It was approved, if at all, before it began to wait; whether
    /// that is enough is for the rules as they are now.
    #[must_use]
    pub fn repeated(self, record: &'a CopyRecord) -> Self {
        let approval = record.approved_by.as_ref().map_or(Approval::NotPossible, Approval::By);
        Self { hint: Some(record), approval, ..self }
    }
}

impl<'a> Approval<'a> {
    /// Who gives it.
    pub fn by(self) -> Option<&'a Requester> {
        match self {
            Self::By(approver) => Some(approver),
            Self::Asked | Self::NotPossible => None,
        }
    }
}

/// The optional permissions of the function's role. The settings and the role come from the same template parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Whether it may create grants.
    pub key_grants: bool,
    /// Whether it may add create volume permissions.
    pub copy_access: bool,
    /// Whether it may copy images.
    pub copies: bool,
    /// Whether shares may wait for approvals.
    pub approvals: bool,
}

/// By whose authority a request is carried out.
#[derive(Debug, Clone, Copy)]
pub enum Authority<'a> {
    /// A requester sent it, and the allowlist decides.
    Requester(&'a Requester),
    /// The recorded expiry of a share is due. There is no requester, and the allowlist does not matter.
    Expiry(&'a Expiry),
}
