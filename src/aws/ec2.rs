//! Owns the EC2 calls: images, their launch permissions, their snapshots.

use std::{collections::BTreeMap, str::FromStr};

use aws_sdk_ec2::{
    operation::describe_images::builders::DescribeImagesFluentBuilder,
    types::{self, LaunchPermissionModifications, PermissionGroup, SnapshotAttributeName},
};
use futures_util::future;
use sharing::{
    domain::{AccountId, ImageId, KeyArn, Region, SnapshotId, Target},
    facts::{Backing, CreateVolumePermissions, Fact, Image, ImageState, LaunchPermission, Snapshot},
    outcome::ErrorCode,
    request::{MAX_IMAGES, PageToken},
};

use super::{Aws, CallError, provenance::provenance};

/// The most values in one filter of a Describe call.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>
const MAX_FILTER_VALUES: usize = 200;

/// The most characters of the reason for an image's state that are shown.
const MAX_REASON: usize = 300;

/// A page of images, and the token of the next one.
pub(crate) type Page = (BTreeMap<ImageId, Image>, Option<PageToken>);

impl Aws {
    /// Describes a page of this account's images that are shared with another account by its own ID; nothing if EC2
    /// doesn't take the token of the page.
    ///
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html> (`ExecutableBy`)
    pub async fn images_shared_with(
        &self,
        account: AccountId,
        page: Option<&PageToken>,
    ) -> Result<Option<Page>, CallError> {
        let call = self.ec2.describe_images().owners("self").executable_users(account.to_string());
        self.page(call, page, MAX_IMAGES).await
    }

    /// Describes a page of this account's images, disabled ones included; nothing if EC2 doesn't take the token of the
    /// page.
    ///
    /// EC2's filter has the wildcards of IAM, and a backslash escapes a wildcard:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>
    pub async fn page_of_images(
        &self,
        name: Option<&str>,
        page: Option<&PageToken>,
        size: usize,
    ) -> Result<Option<Page>, CallError> {
        let by_name = name.map(|name| vec![filter("name", std::iter::once(name.replace('\\', "\\\\")))]);
        let call = self.ec2.describe_images().owners("self").include_disabled(true).set_filters(by_name);
        self.page(call, page, size).await
    }

    async fn page(
        &self,
        call: DescribeImagesFluentBuilder,
        page: Option<&PageToken>,
        size: usize,
    ) -> Result<Option<Page>, CallError> {
        const CALL: &str = "ec2:DescribeImages";
        let call = call.max_results(i32::try_from(size).unwrap_or(i32::MAX));
        let call = call.set_next_token(page.map(|page| page.as_str().to_owned()));
        let answer = match self.patience.ask(CALL, "images", || call.clone().send()).await {
            Ok(answer) => answer,
            // Everything else in the call is the same for the first page.
            Err(error) if page.is_some() && error.failure.code == ErrorCode::Unexpected => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut images = BTreeMap::new();
        for image in answer.images() {
            let id: ImageId = parse(CALL, "image id", image.image_id())?;
            let described = described(&id, image, &self.region)?;
            images.insert(id, described);
        }
        let next = answer.next_token().filter(|token| !token.is_empty());
        let next = next.map(|token| parse(CALL, "next token", Some(token))).transpose()?;
        Ok(Some((images, next)))
    }

    /// Describes the images that exist among `ids`, disabled ones included.
    ///
    /// It uses a filter and not `ImageIds`, because one unknown ID would fail the whole call.
    pub async fn describe_images(&self, ids: &[ImageId]) -> Result<BTreeMap<ImageId, Image>, CallError> {
        let mut images = BTreeMap::new();
        for ids in ids.chunks(MAX_FILTER_VALUES) {
            let by_id = filter("image-id", ids.iter().map(ImageId::to_string));
            images.extend(self.all_images(self.ec2.describe_images().filters(by_id)).await?);
        }
        images.retain(|id, _| ids.contains(id));
        Ok(images)
    }

    /// Whether there is such an image. It uses `ImageIds`, so that EC2 answers with an error if there is none.
    pub async fn image_exists(&self, id: &ImageId) -> Result<bool, CallError> {
        let call = self.ec2.describe_images().image_ids(id.as_str()).include_disabled(true);
        match self.patience.ask("ec2:DescribeImages", id.as_str(), || call.clone().send()).await {
            Ok(_) => Ok(true),
            Err(error) if error.failure.code == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// This account's images, disabled ones included.
    pub async fn own_images(&self) -> Result<BTreeMap<ImageId, Image>, CallError> {
        let call = self.ec2.describe_images().owners("self").max_results(1000);
        self.all_images(call).await
    }

    /// Describes this account's images that were made from any of these images of that Region, disabled ones included:
    /// copies, and images that CreateImage made from an instance of one.
    pub async fn images_made_from(
        &self,
        region: &Region,
        ids: &[ImageId],
    ) -> Result<BTreeMap<ImageId, Image>, CallError> {
        let parts = ids.chunks(MAX_FILTER_VALUES).map(|ids| {
            let by_source = filter("source-image-id", ids.iter().map(ImageId::to_string));
            let by_region = filter("source-image-region", [region.to_string()].into_iter());
            self.all_images(self.ec2.describe_images().owners("self").filters(by_source).filters(by_region))
        });
        Ok(future::try_join_all(parts).await?.into_iter().flatten().collect())
    }

    /// Describes this account's images that are backed by any of these snapshots, disabled ones included.
    pub async fn describe_own_images_on(
        &self,
        snapshots: &[SnapshotId],
    ) -> Result<BTreeMap<ImageId, Image>, CallError> {
        let parts = snapshots.chunks(MAX_FILTER_VALUES).map(|snapshots| {
            let by_snapshot = filter("block-device-mapping.snapshot-id", snapshots.iter().map(SnapshotId::to_string));
            self.all_images(self.ec2.describe_images().owners("self").filters(by_snapshot))
        });
        Ok(future::try_join_all(parts).await?.into_iter().flatten().collect())
    }

    /// Reads who may launch an image.
    pub async fn launch_permissions(&self, id: &ImageId) -> Result<Vec<LaunchPermission>, CallError> {
        const CALL: &str = "ec2:DescribeImageAttribute";
        let attribute = types::ImageAttributeName::LaunchPermission;
        let call = self.ec2.describe_image_attribute().image_id(id.as_str()).attribute(attribute);
        let attribute = self.patience.ask(CALL, id.as_str(), || call.clone().send()).await?;
        Ok(attribute.launch_permissions().iter().map(launch_permission).collect())
    }

    /// Describes the snapshots that exist among `ids`.
    pub async fn describe_snapshots(&self, ids: &[SnapshotId]) -> Result<BTreeMap<SnapshotId, Snapshot>, CallError> {
        let parts = ids.chunks(MAX_FILTER_VALUES).map(|ids| self.describe_filtered_snapshots(ids));
        Ok(future::try_join_all(parts).await?.into_iter().flatten().collect())
    }

    /// Describes as many snapshots as go into one filter.
    async fn describe_filtered_snapshots(
        &self,
        ids: &[SnapshotId],
    ) -> Result<BTreeMap<SnapshotId, Snapshot>, CallError> {
        const CALL: &str = "ec2:DescribeSnapshots";
        let wanted = filter("snapshot-id", ids.iter().map(SnapshotId::to_string));
        let call = self.ec2.describe_snapshots().filters(wanted).max_results(1000);
        let mut snapshots = BTreeMap::new();
        let mut next = None;
        loop {
            let page =
                self.patience.ask(CALL, "snapshots", || call.clone().set_next_token(next.clone()).send()).await?;
            for snapshot in page.snapshots() {
                let id: SnapshotId = parse(CALL, "snapshot id", snapshot.snapshot_id())?;
                let snapshot = Snapshot {
                    id: id.clone(),
                    owner: parse(CALL, "snapshot's owner", snapshot.owner_id())?,
                    key: snapshot_key(CALL, &id, snapshot)?,
                    create_volume_permissions: Fact::NotRead,
                    needed_by: Fact::NotRead,
                };
                snapshots.insert(id, snapshot);
            }
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(snapshots);
            }
        }
    }

    /// Reads who may create volumes from a snapshot.
    pub async fn create_volume_permissions(&self, id: &SnapshotId) -> Result<CreateVolumePermissions, CallError> {
        const CALL: &str = "ec2:DescribeSnapshotAttribute";
        let attribute = SnapshotAttributeName::CreateVolumePermission;
        let call = self.ec2.describe_snapshot_attribute().snapshot_id(id.as_str()).attribute(attribute);
        let attribute = self.patience.ask(CALL, id.as_str(), || call.clone().send()).await?;
        let entries = attribute.create_volume_permissions();
        let mut permissions = CreateVolumePermissions::default();
        for entry in entries {
            match entry.user_id() {
                Some(account) => permissions.accounts.push(parse(CALL, "account id", Some(account))?),
                None => permissions.add_group(entry.group().map(PermissionGroup::as_str)),
            }
        }
        Ok(permissions)
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
        self.patience.ask("ec2:ModifyImageAttribute", id.as_str(), || call.clone().send()).await.map(|_| ())
    }

    /// Adds create volume permissions in one call.
    pub async fn add_create_volume_permissions(
        &self,
        id: &SnapshotId,
        accounts: &[AccountId],
    ) -> Result<(), CallError> {
        self.modify_create_volume_permissions(id, types::OperationType::Add, accounts).await
    }

    /// Removes create volume permissions in one call.
    pub async fn remove_create_volume_permissions(
        &self,
        id: &SnapshotId,
        accounts: &[AccountId],
    ) -> Result<(), CallError> {
        self.modify_create_volume_permissions(id, types::OperationType::Remove, accounts).await
    }

    async fn modify_create_volume_permissions(
        &self,
        id: &SnapshotId,
        operation: types::OperationType,
        accounts: &[AccountId],
    ) -> Result<(), CallError> {
        let call = self
            .ec2
            .modify_snapshot_attribute()
            .snapshot_id(id.as_str())
            .attribute(SnapshotAttributeName::CreateVolumePermission)
            .operation_type(operation)
            .set_user_ids(Some(accounts.iter().map(AccountId::to_string).collect()));
        self.patience.ask("ec2:ModifySnapshotAttribute", id.as_str(), || call.clone().send()).await.map(|_| ())
    }

    /// Whether block public access for AMIs is on, so that nobody can make an image public.
    ///
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/block-public-access-to-amis.html>
    pub async fn blocks_public_images(&self) -> Result<bool, CallError> {
        const CALL: &str = "ec2:GetImageBlockPublicAccessState";
        let call = self.ec2.get_image_block_public_access_state();
        let answer = self.patience.ask(CALL, "this Region", || call.clone().send()).await?;
        Ok(answer.image_block_public_access_state() == Some("block-new-sharing"))
    }

    /// Removes every launch permission.
    pub async fn reset_launch_permissions(&self, id: &ImageId) -> Result<(), CallError> {
        let attribute = types::ResetImageAttributeName::LaunchPermission;
        let call = self.ec2.reset_image_attribute().image_id(id.as_str()).attribute(attribute);
        self.patience.ask("ec2:ResetImageAttribute", id.as_str(), || call.clone().send()).await.map(|_| ())
    }

    async fn all_images(&self, call: DescribeImagesFluentBuilder) -> Result<BTreeMap<ImageId, Image>, CallError> {
        const CALL: &str = "ec2:DescribeImages";
        let page_size = call.get_max_results().unwrap_or(100);
        let call = call.include_disabled(true).max_results(page_size);
        let mut images = BTreeMap::new();
        let mut next = None;
        loop {
            let page = self.patience.ask(CALL, "images", || call.clone().set_next_token(next.clone()).send()).await?;
            for image in page.images() {
                let id: ImageId = parse(CALL, "image id", image.image_id())?;
                let described = described(&id, image, &self.region)?;
                images.insert(id, described);
            }
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(images);
            }
        }
    }
}

fn filter(name: &str, values: impl Iterator<Item = String>) -> types::Filter {
    types::Filter::builder().name(name).set_values(Some(values.collect())).build()
}

pub(super) fn parse<T: FromStr>(call: &'static str, what: &str, text: Option<&str>) -> Result<T, CallError> {
    let parsed = text.and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| {
        let shown = sharing::domain::quoted(text.unwrap_or_default());
        CallError::unexpected(call, shown, &format!("the answer's {what} can't be read"))
    })
}

/// An image as DescribeImages knows it: without its launch permissions, and with bare snapshot ids.
fn described(id: &ImageId, image: &types::Image, region: &str) -> Result<Image, CallError> {
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
    let volumes = image.block_device_mappings().iter().filter_map(types::BlockDeviceMapping::ebs);
    // Ephemeral disks have no EBS part, and an empty volume has no snapshot: neither holds data of the image.
    let snapshot_ids = image.block_device_mappings().iter().filter_map(|mapping| mapping.ebs()?.snapshot_id());
    let snapshots = snapshot_ids
        .map(|id| parse(CALL, "snapshot id", Some(id)).map(|id: SnapshotId| Backing { id, snapshot: Fact::NotRead }));
    Ok(Image {
        owner: parse(CALL, "owner", image.owner_id())?,
        state,
        state_reason: image.state_reason().and_then(state_reason),
        name: image.name().map(str::to_owned),
        tags: tags.collect(),
        provenance: provenance(id, image, region),
        architecture: image.architecture().map(|architecture| architecture.as_str().to_owned()),
        volume_sizes: volumes.clone().map(types::EbsBlockDevice::volume_size).collect(),
        deprecation_time: image.deprecation_time().map(str::to_owned),
        has_product_codes: !image.product_codes().is_empty(),
        launch_permissions: Fact::NotRead,
        expiries: Fact::NotRead,
        remembered_keys: Vec::new(),
        is_encrypted: volumes.clone().any(|volume| volume.encrypted() == Some(true)),
        source_naming: None,
        waiting: Fact::NotRead,
        is_instance_store: image.root_device_type() == Some(&types::DeviceType::InstanceStore),
        snapshots: snapshots.collect::<Result<_, _>>()?,
    })
}

/// "The reason for the state change": <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html>
fn state_reason(reason: &types::StateReason) -> Option<String> {
    let text = match (reason.code(), reason.message()) {
        (Some(code), Some(message)) if code != message => format!("{code}: {message}"),
        (code, message) => message.or(code)?.to_owned(),
    };
    Some(text.chars().filter(|character| !character.is_control()).take(MAX_REASON).collect())
}

fn snapshot_key(call: &'static str, id: &SnapshotId, snapshot: &types::Snapshot) -> Result<Option<KeyArn>, CallError> {
    // A snapshot that doesn't say whether it is encrypted does not count as unencrypted.
    if snapshot.encrypted() == Some(false) && snapshot.kms_key_id().is_none() {
        return Ok(None);
    }
    parse(call, "key of an encrypted snapshot", snapshot.kms_key_id())
        .map(Some)
        .map_err(|error| CallError::unexpected(call, id.as_str(), &error.failure.message))
}

/// An entry of a kind that this version does not know is shown as EC2 writes it, so that it does not hide the others.
fn launch_permission(entry: &types::LaunchPermission) -> LaunchPermission {
    let group = entry.group().map(PermissionGroup::as_str);
    let named = entry.user_id().or(entry.organization_arn()).or(entry.organizational_unit_arn());
    match (group, named) {
        (Some("all"), _) => LaunchPermission::Public,
        (None, Some(text)) => text.parse().map_or_else(|_| LaunchPermission::unknown(text), LaunchPermission::To),
        (Some(group), _) => LaunchPermission::unknown(group),
        (None, None) => LaunchPermission::unknown("(an entry without a name)"),
    }
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
