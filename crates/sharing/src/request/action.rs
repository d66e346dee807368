//! Owns [`Action`] and [`Access`]: what can be asked for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::domain::quoted;

/// The actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Add launch permissions.
    Share,
    /// Remove what a share added: launch permissions, create volume permissions, grants and records.
    Revoke,
    /// Remove every launch permission.
    Reset,
    /// Say who has access.
    List,
    /// Say whether a target has access, and whether a share would be accepted.
    Check,
    /// Say which accounts use an image.
    Usage,
    /// Look for drift in every owned image.
    Audit,
    /// Clean up what an audit finds and this function made: orphaned grants and overdue shares.
    Repair,
    /// Say which owned images the requester's rules cover, and what they let the requester do with them.
    Images,
    /// Say which shares wait for approval: those that the requester may decide, and the requester's own.
    Approvals,
    /// Approve a share that waits for approval, and make it.
    Approve,
    /// Reject a share that waits for approval.
    Reject,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 12] = [
        Self::Share,
        Self::Revoke,
        Self::Reset,
        Self::List,
        Self::Check,
        Self::Usage,
        Self::Audit,
        Self::Repair,
        Self::Images,
        Self::Approvals,
        Self::Approve,
        Self::Reject,
    ];

    /// The name of the action in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Revoke => "revoke",
            Self::Reset => "reset",
            Self::List => "list",
            Self::Check => "check",
            Self::Usage => "usage",
            Self::Audit => "audit",
            Self::Repair => "repair",
            Self::Images => "images",
            Self::Approvals => "approvals",
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }

    /// Whether a rule must list the action. The other actions are open to every requester that a rule names.
    pub fn needs_entry(self) -> bool {
        match self {
            Self::Share
            | Self::Revoke
            | Self::Reset
            | Self::List
            | Self::Check
            | Self::Usage
            | Self::Audit
            | Self::Repair => true,
            Self::Images | Self::Approvals | Self::Approve | Self::Reject => false,
        }
    }

    /// Whether the request names images.
    pub fn takes_images(self) -> bool {
        match self {
            Self::Share | Self::Revoke | Self::Reset | Self::List | Self::Check | Self::Usage => true,
            Self::Audit | Self::Repair | Self::Images | Self::Approvals | Self::Approve | Self::Reject => false,
        }
    }

    /// Whether the request names targets.
    pub fn takes_targets(self) -> bool {
        match self {
            Self::Share | Self::Revoke | Self::Check => true,
            Self::Reset
            | Self::List
            | Self::Usage
            | Self::Audit
            | Self::Repair
            | Self::Images
            | Self::Approvals
            | Self::Approve
            | Self::Reject => false,
        }
    }

    /// Whether the action may change anything.
    pub fn writes(self) -> bool {
        match self {
            // `usage` may start a report.
            Self::Share | Self::Revoke | Self::Reset | Self::Usage | Self::Repair | Self::Approve | Self::Reject => {
                true
            }
            Self::List | Self::Check | Self::Audit | Self::Images | Self::Approvals => false,
        }
    }

    /// Whether the action only removes access. Nothing may prevent that.
    pub fn takes_away(self) -> bool {
        match self {
            Self::Revoke | Self::Reset => true,
            Self::Share
            | Self::List
            | Self::Check
            | Self::Usage
            | Self::Audit
            | Self::Repair
            | Self::Images
            | Self::Approvals
            | Self::Approve
            | Self::Reject => false,
        }
    }

    /// Whether the action is about shares that wait for approval.
    pub fn is_about_approval(self) -> bool {
        matches!(self, Self::Approvals | Self::Approve | Self::Reject)
    }

    /// Whether the action looks at every owned image.
    pub fn surveys(self) -> bool {
        match self {
            Self::Audit | Self::Repair => true,
            Self::Share
            | Self::Revoke
            | Self::Reset
            | Self::List
            | Self::Check
            | Self::Usage
            | Self::Images
            | Self::Approvals
            | Self::Approve
            | Self::Reject => false,
        }
    }

    /// Whether the action is a share, or a check of whether one would be accepted.
    pub fn is_about_sharing(self) -> bool {
        match self {
            Self::Share | Self::Check => true,
            Self::Revoke
            | Self::Reset
            | Self::List
            | Self::Usage
            | Self::Audit
            | Self::Repair
            | Self::Images
            | Self::Approvals
            | Self::Approve
            | Self::Reject => false,
        }
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|action| action.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(|action| format!("`{action}`")).join(", ");
            format!("{} is not an action: {known}", quoted(text))
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The access to an image that a share gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Launch instances: the launch permission alone.
    #[default]
    Launch,
    /// Also copy the image: create volume permission on every backing snapshot.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html>
    Copy,
}

impl FromStr for Access {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "launch" => Ok(Self::Launch),
            "copy" => Ok(Self::Copy),
            _ => Err(format!("{} is not `launch` or `copy`", quoted(text))),
        }
    }
}
