//! Owns the decision about an image's usage report: whether the newest one is fresh enough, a pending one is awaited or
//! a new one is started; and for which accounts the requester may see the numbers.

use std::collections::BTreeSet;

use time::Duration;

use super::{
    case::{Authority, Case},
    decision::{Decision, ImageDecision, NextReport},
    permit::{Permit, is_about_pair},
};
use crate::{
    domain::{AccountId, ImageId, Target, digest, quoted, rfc3339},
    facts::{Fact, Facts, Image, ReportState, UsageReport, UsageReports},
};

/// A report that is no older than this is fresh enough.
const FRESH: Duration = Duration::hours(24);

/// Decides what a request for the usage of an image does.
pub(super) fn decide<'a>(case: &Case<'_>, facts: &Facts, permit: Permit<'a>) -> ImageDecision<'a> {
    let Permit { image_id, rule, targets, .. } = permit;
    let newest = newest_usage_report(&facts.usage_reports, image_id);
    let is_fresh = newest.is_some_and(|report| case.now - report.created <= FRESH);
    let pending = || of_image(&facts.usage_reports, image_id).find(|report| report.state == ReportState::Pending);
    let mut warnings = Vec::new();
    let next = if is_fresh {
        NextReport::NotNeeded
    } else if let Some(pending) = pending() {
        warnings.extend((!pending.is_about_everything()).then(|| {
            format!(
                "EC2 is making a report on {image_id} that covers only some accounts or types of resources. EC2 makes one \
                 report on an image at a time, so the report on everything is started after that"
            )
        }));
        NextReport::Awaited
    } else {
        warnings.extend(of_failed_report(facts, image_id));
        NextReport::Started { client_token: client_token(case, facts, image_id) }
    };
    ImageDecision { image_id, rule, targets, decision: Decision::Usage(next), warnings }
}

/// The newest report that is available and covers everything.
pub fn newest_usage_report<'f>(reports: &'f UsageReports, image_id: &ImageId) -> Option<&'f UsageReport> {
    let available = of_image(reports, image_id)
        .filter(|report| report.state == ReportState::Available && report.is_about_everything());
    available.max_by_key(|report| report.created)
}

fn of_image<'f>(reports: &'f UsageReports, image_id: &ImageId) -> impl Iterator<Item = &'f UsageReport> {
    reports.iter().flatten().filter(move |report| report.image_id == *image_id)
}

/// Why EC2 could not make the latest report.
fn of_failed_report(facts: &Facts, image_id: &ImageId) -> Option<String> {
    let last = of_image(&facts.usage_reports, image_id).max_by_key(|report| report.created)?;
    let ReportState::Error(reason) = &last.state else { return None };
    let at = rfc3339(last.created);
    Some(format!("EC2 could not make the report on {image_id} that was requested at {at}: {}", quoted(reason)))
}

/// It depends on the hour, because EC2 remembers the token of a report even after the report was deleted.
fn client_token(case: &Case<'_>, facts: &Facts, image_id: &ImageId) -> String {
    let mut reports: Vec<_> = of_image(&facts.usage_reports, image_id).map(|report| report.id.as_str()).collect();
    reports.sort_unstable();
    let hour = case.now.unix_timestamp().div_euclid(3_600);
    digest(&format!("{image_id} {hour} {}", reports.join(" ")), 16)
}

/// The accounts that the requester's rules about this image name as targets, for any action. The numbers of all others
/// are shown as a sum. A rule may be about a copy by the name and tags of its source.
pub fn named_accounts(case: &Case<'_>, image: &Image) -> BTreeSet<AccountId> {
    let Authority::Requester(requester) = case.authority else { return BTreeSet::new() };
    let own = case.allowlist.rules.iter().filter(|rule| rule.names(requester));
    let named: BTreeSet<_> = own.flat_map(|rule| &rule.targets).collect();
    named.into_iter().filter(|target| is_about_pair(case, image, target)).filter_map(Target::account).collect()
}

/// Why the dry run of a revoke does not show who uses the image, if that could not be read.
pub(super) fn unread(facts: &Facts, image_id: &ImageId) -> Option<String> {
    let entries =
        || newest_usage_report(&facts.usage_reports, image_id).map(|report| &report.entries).and_then(Fact::failed);
    let failure = facts.usage_reports.failed().or_else(entries)?;
    Some(format!("who uses {image_id} could not be read: {}", failure.message))
}
