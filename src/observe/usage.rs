//! Owns reading the usage reports on images: which there are, and what the newest of each image says.

use std::collections::BTreeMap;

use sharing::{
    facts::{Fact, Failure, Reading, UsageEntry, UsageReports},
    read_plan::{UsageReads, reports_to_open},
};

use crate::aws::Aws;

/// Describes the reports on all images with one call, and reads the entries of the newest ones with another.
pub(super) async fn read_usage(aws: &Aws, reads: &UsageReads) -> Reading<UsageReports> {
    if !reads.need.is_read() {
        return Ok(Fact::NotRead);
    }
    let mut reports = reads.need.settle(aws.usage_reports(&reads.images).await.map_err(Failure::from))?;
    let newest = reports_to_open(reads, &reports);
    if newest.is_empty() {
        return Ok(reports);
    }
    let entries = reads.need.settle(aws.usage_report_entries(&newest).await.map_err(Failure::from))?;
    if let Fact::Known(reports) = &mut reports {
        for report in reports.iter_mut().filter(|report| newest.contains(&report.id)) {
            report.entries = of_report(&entries, &report.id);
        }
    }
    Ok(reports)
}

/// What EC2 returned for one report. A report without entries means that nobody uses the image.
fn of_report(entries: &Fact<BTreeMap<String, Vec<UsageEntry>>>, id: &str) -> Fact<Vec<UsageEntry>> {
    match entries {
        Fact::Known(entries) => Fact::Known(entries.get(id).cloned().unwrap_or_default()),
        Fact::Failed(failure) => Fact::Failed(failure.clone()),
        Fact::NotRead => Fact::NotRead,
    }
}
