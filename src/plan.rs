//! Owns the plan: the writes that make what was decided true, in order. Pure; an empty plan means there is nothing to do.

use crate::{
    decide::ImageDecision,
    domain::{ImageId, Target},
    facts::{Image, ImageState},
    request::{Action, Request},
};

/// At most so many entries go into one ModifyImageAttribute. EC2 documents 10,000 account ids and says nothing of
/// ARNs; a share asks for no more than this anyway.
const MAX_ENTRIES: usize = crate::request::MAX_TARGETS;

/// One write to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// ModifyImageAttribute, adding launch permissions.
    AddLaunchPermissions {
        /// The image.
        image_id: ImageId,
        /// Whom to add.
        targets: Vec<Target>,
    },
    /// ModifyImageAttribute, removing launch permissions.
    RemoveLaunchPermissions {
        /// The image.
        image_id: ImageId,
        /// Whom to remove.
        targets: Vec<Target>,
    },
    /// ResetImageAttribute: removes every launch permission, the public one included.
    ResetLaunchPermissions {
        /// The image.
        image_id: ImageId,
    },
}

impl Step {
    /// The service and operation.
    pub fn call(&self) -> &'static str {
        match self {
            Self::AddLaunchPermissions { .. } | Self::RemoveLaunchPermissions { .. } => "ec2:ModifyImageAttribute",
            Self::ResetLaunchPermissions { .. } => "ec2:ResetImageAttribute",
        }
    }

    /// What it changes.
    pub fn resource(&self) -> String {
        match self {
            Self::AddLaunchPermissions { image_id, .. }
            | Self::RemoveLaunchPermissions { image_id, .. }
            | Self::ResetLaunchPermissions { image_id } => image_id.to_string(),
        }
    }

    /// The targets it adds.
    pub fn adds(&self) -> &[Target] {
        match self {
            Self::AddLaunchPermissions { targets, .. } => targets,
            Self::RemoveLaunchPermissions { .. } | Self::ResetLaunchPermissions { .. } => &[],
        }
    }

    /// The targets it removes.
    pub fn removes(&self) -> &[Target] {
        match self {
            Self::RemoveLaunchPermissions { targets, .. } => targets,
            Self::AddLaunchPermissions { .. } | Self::ResetLaunchPermissions { .. } => &[],
        }
    }
}

/// The writes for one image. A refused image has none.
pub fn plan(request: &Request, decision: &ImageDecision<'_>, image: &Image) -> Vec<Step> {
    if !decision.refusals.is_empty() {
        return Vec::new();
    }
    let image_id = || decision.image_id.clone();
    let targets = || decision.targets.iter().map(|(asked, _)| asked.target.clone());
    match request.action {
        // A share writes only what is missing.
        Action::Share => chunks(targets().filter(|target| !image.is_shared_with(target)).collect())
            .map(|targets| Step::AddLaunchPermissions { image_id: image_id(), targets })
            .collect(),
        // Disabling an image removed its launch permissions, and EC2 refuses to change them until it is enabled.
        Action::Revoke | Action::Reset if image.state == ImageState::Disabled => Vec::new(),
        // A revoke removes whatever was asked for, whatever was read: EC2's reads lag its writes.
        Action::Revoke => chunks(targets().collect())
            .map(|targets| Step::RemoveLaunchPermissions { image_id: image_id(), targets })
            .collect(),
        Action::Reset => vec![Step::ResetLaunchPermissions { image_id: image_id() }],
        Action::List | Action::Check | Action::Audit | Action::Repair => Vec::new(),
    }
}

fn chunks(targets: Vec<Target>) -> impl Iterator<Item = Vec<Target>> {
    let chunks: Vec<_> = targets.chunks(MAX_ENTRIES).map(<[_]>::to_vec).collect();
    chunks.into_iter()
}
