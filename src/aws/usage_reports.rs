//! Owns the EC2 calls about usage reports: which accounts use an image.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{self, ImageUsageResourceTypeRequest};
use sharing::{
    domain::ImageId,
    facts::{Fact, RESOURCE_TYPES, ReportState, UsageEntry, UsageReport},
    outcome::ErrorCode,
};
use time::OffsetDateTime;

use super::{Aws, CallError, ec2::parse};

/// The most entries that are read: an account has one for each type of resource. Without a bound, the reports on images
/// that many thousands of accounts use would not fit in memory.
const MOST_ENTRIES: usize = 100_000;

/// The longest text of EC2's that is kept.
const LONGEST_TEXT: usize = 300;

impl Aws {
    /// Describes the reports on these images. EC2 keeps a report for 30 days.
    pub async fn usage_reports(&self, images: &[ImageId]) -> Result<Vec<UsageReport>, CallError> {
        const CALL: &str = "ec2:DescribeImageUsageReports";
        let ids = images.iter().map(ImageId::to_string).collect();
        let call = self.ec2.describe_image_usage_reports().set_image_ids(Some(ids));
        let mut reports = Vec::new();
        let mut next = None;
        loop {
            let page =
                self.patience.ask(CALL, "usage reports", || call.clone().set_next_token(next.clone()).send()).await?;
            for report in page.image_usage_reports() {
                reports.push(usage_report(CALL, report)?);
            }
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(reports);
            }
        }
    }

    /// Reads the entries of these reports, by the IDs of the reports.
    pub async fn usage_report_entries(
        &self,
        report_ids: &[String],
    ) -> Result<BTreeMap<String, Vec<UsageEntry>>, CallError> {
        const CALL: &str = "ec2:DescribeImageUsageReportEntries";
        let call = self.ec2.describe_image_usage_report_entries().set_report_ids(Some(report_ids.to_vec()));
        let mut entries = BTreeMap::<_, Vec<_>>::new();
        let mut count: usize = 0;
        let mut next = None;
        loop {
            let page =
                self.patience.ask(CALL, "usage reports", || call.clone().set_next_token(next.clone()).send()).await?;
            for entry in page.image_usage_report_entries() {
                let (report_id, entry) = usage_entry(CALL, entry)?;
                entries.entry(report_id).or_default().push(entry);
                count = count.saturating_add(1);
            }
            if count > MOST_ENTRIES {
                return Err(too_many(CALL));
            }
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(entries);
            }
        }
    }

    /// Requests a report about all accounts and all types of resources.
    pub async fn create_usage_report(&self, image_id: &ImageId, client_token: &str) -> Result<(), CallError> {
        const CALL: &str = "ec2:CreateImageUsageReport";
        let resource_types = RESOURCE_TYPES.map(|name| ImageUsageResourceTypeRequest::builder().resource_type(name));
        let resource_types = resource_types.map(|resource_type| resource_type.build()).into();
        let call = self.ec2.create_image_usage_report().image_id(image_id.as_str());
        let call = call.set_resource_types(Some(resource_types)).client_token(client_token);
        let created = self.patience.ask(CALL, image_id.as_str(), || call.clone().send()).await;
        created.map(|_| ()).map_err(|mut error| {
            // The quotas are on reports that EC2 is making, so they pass by themselves.
            error.failure.retryable |= error.failure.code == ErrorCode::LimitExceeded;
            error
        })
    }
}

fn usage_report(call: &'static str, report: &types::ImageUsageReport) -> Result<UsageReport, CallError> {
    let id: String = parse(call, "report id", report.report_id())?;
    let created = report.creation_time().map(|at| at.as_nanos());
    let created = created.and_then(|at| OffsetDateTime::from_unix_timestamp_nanos(at).ok());
    let created = created.ok_or_else(|| CallError::unexpected(call, id.as_str(), "the report has no creation time"))?;
    let resource_types = report.resource_types().iter().filter_map(types::ImageUsageResourceType::resource_type);
    Ok(UsageReport {
        image_id: parse(call, "image id", report.image_id())?,
        resource_types: resource_types.map(str::to_owned).collect(),
        is_about_some_accounts: !report.account_ids().is_empty(),
        state: match report.state() {
            Some("available") => ReportState::Available,
            Some("pending") => ReportState::Pending,
            Some("error") => ReportState::Error(visible(report.state_reason().unwrap_or("EC2 gives no reason"))),
            other => ReportState::Other(visible(other.unwrap_or_default())),
        },
        id,
        created,
        entries: Fact::NotRead,
    })
}

fn usage_entry(call: &'static str, entry: &types::ImageUsageReportEntry) -> Result<(String, UsageEntry), CallError> {
    let id: String = parse(call, "report id", entry.report_id())?;
    let count = entry.usage_count().and_then(|count| u64::try_from(count).ok());
    let count = count.ok_or_else(|| CallError::unexpected(call, id.as_str(), "an entry of the report has no count"))?;
    let account = entry.account_id().and_then(|account| account.parse().ok());
    let resource_type = visible(entry.resource_type().unwrap_or("unknown"));
    Ok((id, UsageEntry { account, resource_type, count }))
}

fn too_many(call: &'static str) -> CallError {
    let what = format!("there are more than {MOST_ENTRIES} entries; ask about fewer images at a time");
    let error = CallError::unexpected(call, "usage reports", &what);
    let failure = sharing::facts::Failure { code: ErrorCode::LimitExceeded, ..error.failure };
    CallError { failure, ..error }
}

fn visible(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(LONGEST_TEXT).collect()
}
