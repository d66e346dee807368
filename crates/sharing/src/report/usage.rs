//! Owns the report's part about usage: the numbers of the accounts that the requester's rules name, and the sums of all
//! others.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use crate::{
    decide::{Case, named_accounts, newest_usage_report},
    domain::{ImageId, rfc3339},
    facts::{Facts, Image},
    outcome::{UsageEntryRow, UsageRow},
};

/// The newest usage report on the image, if one was read.
pub(super) fn usage(case: &Case<'_>, facts: &Facts, image_id: &ImageId, image: &Image) -> Option<UsageRow> {
    let report = newest_usage_report(&facts.usage_reports, image_id)?;
    let named = named_accounts(case, image);
    let (mut of_accounts, mut of_others) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
    for entry in report.entries.known()? {
        let resource_type = entry.resource_type.clone();
        let count = match entry.account.filter(|account| named.contains(account)) {
            Some(account) => of_accounts.entry((account, resource_type)).or_default(),
            None => of_others.entry(resource_type).or_default(),
        };
        *count = count.saturating_add(entry.count);
    }
    let of_accounts = of_accounts.into_iter().map(|((account, resource_type), count)| UsageEntryRow {
        account_id: Some(account),
        resource_type,
        count,
    });
    let of_others =
        of_others.into_iter().map(|(resource_type, count)| UsageEntryRow { account_id: None, resource_type, count });
    Some(UsageRow {
        as_of: report.created,
        entries: of_accounts.chain(of_others).collect(),
        missing: missing(report.created),
    })
}

/// "Instance activity from the past 24 hours and launch template activity from the past few days might not appear in the
/// report": <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-usage.html>
fn missing(created: OffsetDateTime) -> Vec<String> {
    let day_before = created.checked_sub(Duration::hours(24)).unwrap_or(created);
    vec![
        format!("ec2:Instance: activity after {} may not be counted", rfc3339(day_before)),
        format!("ec2:LaunchTemplate: activity in the few days before {} may not be counted", rfc3339(created)),
    ]
}
