//! The nouns of AMI sharing: small values that are always well-formed.
//!
//! Every type parses with [`FromStr`](std::str::FromStr), shows itself in AWS's own spelling with
//! `Display`, and goes through serde as that string. No I/O, no SDK types.

mod approval_name;
mod copy_name;
mod digest;
mod expiry_name;
mod function_arn;
mod grant_name;
mod group_id;
mod parameter_name;
mod region;
mod requester;
mod resource_id;
mod severity;
mod text;
mod visible;

pub use approval_name::{AskName, DecisionName};
pub use copy_name::CopyName;
pub use digest::{digest, is_digest};
pub use expiry_name::ExpiryName;
pub use function_arn::FunctionArn;
pub use grant_name::GrantName;
pub use group_id::GroupId;
pub use key_policy::domain::*;
pub use parameter_name::{ParameterName, is_parameter_text};
pub use region::{Region, partition_of};
pub use requester::{MAX_GROUPS, Requester, unnamable_group};
pub use resource_id::{ImageId, SnapshotId};
pub use severity::Severity;
pub use text::{shortened, some_of};
pub use visible::{code_point, invisible};

/// A time in the form of documents.
pub fn rfc3339(time: time::OffsetDateTime) -> String {
    time.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
