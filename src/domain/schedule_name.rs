//! Owns [`ScheduleName`]: how the schedule that ends a share is found again.

use std::{fmt, str::FromStr};

use super::{ImageId, ParseError, Target, digest, is_digest, quoted, serde_as_string};

/// Half of a SHA-256: no two targets of an image have the same.
const DIGEST_BYTES: usize = 16;

/// The name of the schedule that ends one share: `<imageId>-<first 32 hexadecimal digits of SHA-256(target)>`.
///
/// Scheduler takes up to 64 of `[0-9a-zA-Z-_.]`, too few for the ARN of a unit:
/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScheduleName(String);

impl ScheduleName {
    /// The name for a share of this image with this target.
    pub fn new(image_id: &ImageId, target: &Target) -> Self {
        Self(format!("{}{}", Self::prefix(image_id), digest(&target.to_string(), DIGEST_BYTES)))
    }

    /// What the names of all of an image's schedules begin with.
    pub fn prefix(image_id: &ImageId) -> String {
        format!("{image_id}-")
    }

    /// The image whose share it ends, where the name is one.
    pub fn image_id(&self) -> Option<ImageId> {
        self.0.rsplit_once('-')?.0.parse().ok()
    }

    /// The name as Scheduler takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ScheduleName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_name =
            |(image, digits): (&str, &str)| image.parse::<ImageId>().is_ok() && is_digest(digits, DIGEST_BYTES);
        text.rsplit_once('-')
            .is_some_and(is_name)
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| ParseError::new(format!("{} is not the name of a share's schedule", quoted(text))))
    }
}

impl fmt::Display for ScheduleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_string!(ScheduleName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_image_and_a_digest_of_the_target() {
        let image: ImageId = "ami-0123456789abcdef0".parse().unwrap();
        let name = ScheduleName::new(&image, &"111122223333".parse().unwrap());
        assert_eq!(name.image_id(), Some(image));
        // printf 111122223333 | sha256sum
        assert_eq!(name.as_str(), "ami-0123456789abcdef0-aeb221660ff09134bb3a46b295554820");
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        for wrong in [
            "",
            "ami-0123456789abcdef0",
            "ami-0123456789abcdef0-",
            "x-df1309284bcca98e6a58dbc1702cf5d0",
            "ami-0123456789abcdef0-DF1309284BCCA98E6A58DBC1702CF5D0",
            "../ami-0123456789abcdef0-df1309284bcca98e6a58dbc1702cf5d0",
        ] {
            assert!(wrong.parse::<ScheduleName>().is_err(), "{wrong}");
        }
    }
}
