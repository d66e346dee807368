//! Owns [`Asked`]: what a request asked for, as far as it could be read. The log keeps it, whatever the result is.

use serde::Serialize;
use time::OffsetDateTime;

use super::{Access, Request};
use crate::domain::{ImageId, Region, ServiceLinkedRole};

/// What a request asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The images.
    pub image_ids: Vec<ImageId>,
    /// The targets: account IDs, ARNs, or the bare ID that a URL has in place of an ARN.
    pub targets: Vec<String>,
    /// The access, for actions that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// The service-linked roles that need grants.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_linked_roles: Vec<ServiceLinkedRole>,
    /// The Region of the sources, if the request is about copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_from: Option<Region>,
    /// When the share is to expire.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// What the name of an image must match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl From<&Request> for Asked {
    fn from(request: &Request) -> Self {
        let targets = request.targets.iter().map(|asked| asked.target.to_string());
        let others = request.group.iter().map(ToString::to_string);
        let others = others.chain(request.shared_with.iter().map(ToString::to_string));
        Self {
            image_ids: request.image_ids.clone(),
            targets: targets.chain(others).collect(),
            access: request.action.is_about_sharing().then_some(request.access),
            service_linked_roles: request.service_linked_roles.clone(),
            copy_from: request.copy_from.clone(),
            expires_at: request.expires_at,
            name: request.name.clone(),
        }
    }
}
