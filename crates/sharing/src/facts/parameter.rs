//! Owns [`Parameter`]: what Parameter Store says about a parameter to which a rule publishes images.

use super::{Fact, Provenance};
use crate::domain::ImageId;

/// A version of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The number of the version. A new value has the next one.
    pub version: u64,
    /// Whether it accepts only image IDs (type `String`, data type `aws:ec2:image`). Neither type can be changed:
    /// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-data-types.html>
    pub is_for_images: bool,
    /// The image that it names; `None` if the value is not an image ID.
    pub image_id: Option<ImageId>,
    /// What EC2 says about that image; `None` if this account has no such image.
    pub named: Fact<Option<Provenance>>,
}

/// What a parameter has before it is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// There is no such parameter.
    Nothing,
    /// This version of a parameter for images.
    Version(u64),
    /// A value of another type, which can't be changed.
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
