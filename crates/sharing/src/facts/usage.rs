//! Owns [`UsageReport`]: what EC2 says about a report on the accounts that use an image.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-usage.html>

use time::OffsetDateTime;

use super::Fact;
use crate::domain::{AccountId, ImageId};

/// The types of resources that a report can count. At first, the API had only the first two.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImageUsageResourceTypeRequest.html>
pub const RESOURCE_TYPES: [&str; 4] =
    ["ec2:Instance", "ec2:LaunchTemplate", "imagebuilder:ImageRecipe", "imagebuilder:ContainerRecipe"];

/// The reports on images, in any state.
pub type UsageReports = Fact<Vec<UsageReport>>;

/// A report on the accounts that use an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageReport {
    /// Its ID.
    pub id: String,
    /// The image.
    pub image_id: ImageId,
    /// The types of resources that it counts, in EC2's words.
    pub resource_types: Vec<String>,
    /// Whether its request named accounts, so that it covers only those.
    pub is_about_some_accounts: bool,
    /// Its state.
    pub state: ReportState,
    /// When it was requested.
    pub created: OffsetDateTime,
    /// Its entries. They are read only for reports that are shown.
    pub entries: Fact<Vec<UsageEntry>>,
}

/// The state of a report.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImageUsageReport.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportState {
    /// It can be read.
    Available,
    /// EC2 is making it.
    Pending,
    /// EC2 could not make it, for this reason.
    Error(String),
    /// Anything else, in EC2's word.
    Other(String),
}

/// How often one account uses the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageEntry {
    /// The account; `None` if EC2 names it in a form that this version can't read.
    pub account: Option<AccountId>,
    /// The type of the resources, in EC2's word.
    pub resource_type: String,
    /// The number of these resources.
    pub count: u64,
}

impl UsageReport {
    /// Whether it is about all accounts and all types of resources.
    pub fn is_about_everything(&self) -> bool {
        let counts = |name: &str| self.resource_types.iter().any(|counted| counted == name);
        !self.is_about_some_accounts && RESOURCE_TYPES.into_iter().all(counts)
    }
}
