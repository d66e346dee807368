//! Owns the EC2 calls: images, their launch permissions, their snapshots.

use std::{collections::BTreeMap, str::FromStr};

use aws_sdk_ec2::types::{self, LaunchPermissionModifications, PermissionGroup, SnapshotAttributeName};

use super::{Aws, CallError};
use crate::{
    domain::{AccountId, ImageId, KeyArn, SnapshotId, Target},
    facts::{Image, ImageState, LaunchPermission, Snapshot},
};

/// At most so many values go into one filter of a Describe call.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>
const MAX_FILTER_VALUES: usize = 200;

/// An image as DescribeImages knows it: without its launch permissions, and with bare snapshot ids.
#[derive(Debug, Clone)]
pub struct DescribedImage {
    /// The image, its permissions and snapshots still empty.
    pub image: Image,
    /// The snapshots in its block device mapping.
    pub snapshot_ids: Vec<SnapshotId>,
}

impl Aws {
    /// Describes the images that exist among `ids`, disabled ones included.
    ///
    /// Asked by filter and not by id, so that one unknown id doesn't fail the others.
    pub async fn describe_images(&self, ids: &[ImageId]) -> Result<BTreeMap<ImageId, DescribedImage>, CallError> {
        const CALL: &str = "ec2:DescribeImages";
        let mut pages = self
            .ec2
            .describe_images()
            .filters(filter("image-id", ids.iter().map(ImageId::to_string)))
            .include_disabled(true)
            .into_paginator()
            .page_size(100)
            .send();
        let mut images = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| CallError::new(CALL, "images", &error))?;
            for image in page.images() {
                let id: ImageId = parse(CALL, "image id", image.image_id())?;
                if ids.contains(&id) {
                    let described = described(&id, image)?;
                    images.insert(id, described);
                }
            }
        }
        Ok(images)
    }

    /// Reads who may launch an image.
    pub async fn launch_permissions(&self, id: &ImageId) -> Result<Vec<LaunchPermission>, CallError> {
        const CALL: &str = "ec2:DescribeImageAttribute";
        let attribute = self
            .ec2
            .describe_image_attribute()
            .image_id(id.as_str())
            .attribute(types::ImageAttributeName::LaunchPermission)
            .send()
            .await
            .map_err(|error| CallError::new(CALL, id.as_str(), &error))?;
        attribute.launch_permissions().iter().map(|entry| launch_permission(CALL, id, entry)).collect()
    }

    /// Describes snapshots; one that EC2 doesn't answer for is an error, because nothing could be said of its key.
    pub async fn describe_snapshots(&self, ids: &[SnapshotId]) -> Result<BTreeMap<SnapshotId, Snapshot>, CallError> {
        const CALL: &str = "ec2:DescribeSnapshots";
        let mut snapshots = BTreeMap::new();
        for ids in ids.chunks(MAX_FILTER_VALUES) {
            let mut pages = self
                .ec2
                .describe_snapshots()
                .filters(filter("snapshot-id", ids.iter().map(SnapshotId::to_string)))
                .into_paginator()
                .page_size(1000)
                .send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| CallError::new(CALL, "snapshots", &error))?;
                for snapshot in page.snapshots() {
                    let id: SnapshotId = parse(CALL, "snapshot id", snapshot.snapshot_id())?;
                    let key = snapshot_key(CALL, &id, snapshot)?;
                    snapshots.insert(id.clone(), Snapshot { id, key });
                }
            }
        }
        match ids.iter().find(|id| !snapshots.contains_key(*id)) {
            Some(missing) => {
                Err(CallError::unexpected(CALL, missing.as_str(), "EC2 does not know this snapshot of the image"))
            }
            None => Ok(snapshots),
        }
    }

    /// Reads which accounts may create volumes from a snapshot.
    pub async fn create_volume_permissions(&self, id: &SnapshotId) -> Result<Vec<AccountId>, CallError> {
        const CALL: &str = "ec2:DescribeSnapshotAttribute";
        let attribute = self
            .ec2
            .describe_snapshot_attribute()
            .snapshot_id(id.as_str())
            .attribute(SnapshotAttributeName::CreateVolumePermission)
            .send()
            .await
            .map_err(|error| CallError::new(CALL, id.as_str(), &error))?;
        let accounts = attribute.create_volume_permissions().iter().filter_map(types::CreateVolumePermission::user_id);
        accounts.map(|account| parse(CALL, "account id", Some(account))).collect()
    }

    /// Adds launch permissions in one call.
    pub async fn add_launch_permissions(&self, id: &ImageId, targets: &[Target]) -> Result<(), CallError> {
        let add = LaunchPermissionModifications::builder().set_add(Some(targets.iter().map(entry).collect())).build();
        self.modify_launch_permissions(id, add).await
    }

    /// Removes launch permissions in one call.
    pub async fn remove_launch_permissions(&self, id: &ImageId, targets: &[Target]) -> Result<(), CallError> {
        let remove =
            LaunchPermissionModifications::builder().set_remove(Some(targets.iter().map(entry).collect())).build();
        self.modify_launch_permissions(id, remove).await
    }

    async fn modify_launch_permissions(
        &self,
        id: &ImageId,
        change: LaunchPermissionModifications,
    ) -> Result<(), CallError> {
        let call = self.ec2.modify_image_attribute().image_id(id.as_str()).launch_permission(change);
        call.send().await.map(|_| ()).map_err(|error| CallError::new("ec2:ModifyImageAttribute", id.as_str(), &error))
    }

    /// Removes every launch permission.
    pub async fn reset_launch_permissions(&self, id: &ImageId) -> Result<(), CallError> {
        let attribute = types::ResetImageAttributeName::LaunchPermission;
        let call = self.ec2.reset_image_attribute().image_id(id.as_str()).attribute(attribute);
        call.send().await.map(|_| ()).map_err(|error| CallError::new("ec2:ResetImageAttribute", id.as_str(), &error))
    }
}

fn filter(name: &str, values: impl Iterator<Item = String>) -> types::Filter {
    types::Filter::builder().name(name).set_values(Some(values.collect())).build()
}

fn parse<T: FromStr>(call: &'static str, what: &str, text: Option<&str>) -> Result<T, CallError> {
    let parsed = text.and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| {
        let shown = crate::domain::quoted(text.unwrap_or_default());
        CallError::unexpected(call, shown, &format!("the answer's {what} can't be understood"))
    })
}

fn described(id: &ImageId, image: &types::Image) -> Result<DescribedImage, CallError> {
    const CALL: &str = "ec2:DescribeImages";
    let state = match image.state() {
        Some(types::ImageState::Available) => ImageState::Available,
        Some(types::ImageState::Pending) => ImageState::Pending,
        Some(types::ImageState::Disabled) => ImageState::Disabled,
        Some(other) => ImageState::Other(other.as_str().to_owned()),
        None => return Err(CallError::unexpected(CALL, id.as_str(), "the image has no state")),
    };
    let tags = image.tags().iter();
    let tags = tags.map(|tag| (tag.key().unwrap_or_default().to_owned(), tag.value().unwrap_or_default().to_owned()));
    // Ephemeral disks have no EBS part, and an empty volume has no snapshot: neither holds data of the image.
    let snapshot_ids = image.block_device_mappings().iter().filter_map(|mapping| mapping.ebs()?.snapshot_id());
    let snapshot_ids = snapshot_ids.map(|id| parse(CALL, "snapshot id", Some(id))).collect::<Result<Vec<_>, _>>()?;
    Ok(DescribedImage {
        image: Image {
            owner: parse(CALL, "owner", image.owner_id())?,
            state,
            name: image.name().map(str::to_owned),
            tags: tags.collect(),
            deprecation_time: image.deprecation_time().map(str::to_owned),
            has_product_codes: !image.product_codes().is_empty(),
            launch_permissions: Ok(Vec::new()),
            snapshots: Ok(Vec::new()),
            create_volume_permissions: Vec::new(),
        },
        snapshot_ids,
    })
}

fn snapshot_key(call: &'static str, id: &SnapshotId, snapshot: &types::Snapshot) -> Result<Option<KeyArn>, CallError> {
    if snapshot.encrypted() != Some(true) && snapshot.kms_key_id().is_none() {
        return Ok(None);
    }
    parse(call, "key of an encrypted snapshot", snapshot.kms_key_id())
        .map(Some)
        .map_err(|error| CallError::unexpected(call, id.as_str(), &error.row.message))
}

fn launch_permission(
    call: &'static str,
    id: &ImageId,
    entry: &types::LaunchPermission,
) -> Result<LaunchPermission, CallError> {
    if entry.group() == Some(&PermissionGroup::All) {
        return Ok(LaunchPermission::Public);
    }
    let text = entry.user_id().or(entry.organization_arn()).or(entry.organizational_unit_arn());
    parse(call, "launch permission", text)
        .map(LaunchPermission::To)
        .map_err(|error| CallError::unexpected(call, id.as_str(), &error.row.message))
}

fn entry(target: &Target) -> types::LaunchPermission {
    let entry = types::LaunchPermission::builder();
    match target {
        Target::Account(account) => entry.user_id(account.to_string()),
        Target::Organization(arn) => entry.organization_arn(arn.as_str()),
        Target::OrganizationalUnit(arn) => entry.organizational_unit_arn(arn.as_str()),
    }
    .build()
}
