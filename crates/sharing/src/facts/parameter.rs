//! Owns [`Parameter`]: what Parameter Store says of a parameter to which a rule publishes images.

use super::{Fact, Provenance};
use crate::domain::ImageId;

/// A version of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The number of the version. A new value has the next one.
    pub version: u64,
    /// Whether it takes image IDs and nothing else (type `String`, data type `aws:ec2:image`). Neither can be changed:
    /// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-data-types.html>
    pub is_for_images: bool,
    /// The image that it names; none where the value is no image ID.
    pub image_id: Option<ImageId>,
    /// What EC2 says of that image; nothing where it is no image of this account.
    pub named: Fact<Option<Provenance>>,
}

/// What a parameter holds before it is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// There is no such parameter.
    Nothing,
    /// This version of a parameter for images.
    Version(u64),
    /// Something else than an image ID, for good.
    OtherType,
}

impl From<Option<&Parameter>> for Before {
    fn from(parameter: Option<&Parameter>) -> Self {
        match parameter {
            None => Self::Nothing,
            Some(parameter) if parameter.is_for_images => Self::Version(parameter.version),
            Some(_) => Self::OtherType,
        }
    }
}
