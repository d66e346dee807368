//! Owns [`UsageReads`]: the images whose usage reports are read, and [`reports_to_open`]: the reports whose entries are
//! read.

use super::Need;
use crate::{
    decide::{self, Authority, Case},
    domain::ImageId,
    facts::{Image, UsageReports},
    request::Action,
};

/// The usage reports to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageReads {
    /// The images whose reports are read.
    pub images: Vec<ImageId>,
    /// What follows if they can't be read.
    pub need: Need,
}

impl UsageReads {
    /// `usage` needs them. The dry run of a revoke shows them, and continues without them.
    pub(super) fn new<'i>(case: &Case<'_>, permitted: impl Iterator<Item = (&'i ImageId, &'i Image)>) -> Self {
        let need = match case.request.action {
            Action::Usage => Need::Required,
            Action::Revoke if case.request.dry_run && matches!(case.authority, Authority::Requester(_)) => {
                Need::Optional
            }
            Action::Share
            | Action::Revoke
            | Action::Reset
            | Action::List
            | Action::Check
            | Action::Audit
            | Action::Repair
            | Action::Images
            | Action::Approvals
            | Action::Approve
            | Action::Reject => return Self::default(),
        };
        let images: Vec<_> = permitted.map(|(id, _)| id.clone()).collect();
        Self { need: if images.is_empty() { Need::No } else { need }, images }
    }
}

/// The IDs of the reports that are shown: the newest one of each image.
pub fn reports_to_open(reads: &UsageReads, reports: &UsageReports) -> Vec<String> {
    let newest = reads.images.iter().filter_map(|image_id| decide::newest_usage_report(reports, image_id));
    newest.map(|report| report.id.clone()).collect()
}
