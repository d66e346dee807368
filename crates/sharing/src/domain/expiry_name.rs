//! Owns [`ExpiryName`]: the name of the record of an expiry.

use std::{fmt, str::FromStr};

use time::OffsetDateTime;

use super::{ImageId, ParseError, Target, digest, is_digest, quoted, serde_as_string};

/// Half of a SHA-256, so that two targets of an image don't have the same digest.
const DIGEST_BYTES: usize = 16;

/// The number of hexadecimal digits of the time in Unix seconds: enough until the year 2106.
const TIME_DIGITS: usize = 8;

/// The name of the schedule that records one expiry: `<imageId>-<first 32 hexadecimal digits of
/// SHA-256(target)>-<expiry time as 8 hexadecimal digits of Unix seconds>`. The target is named by its ID, because the
/// ARN of an organization can name different management accounts.
///
/// Image, target and time are in the name, so another time is another record. Names sort by time.
///
/// Scheduler accepts up to 64 of `[0-9a-zA-Z-_.]`, too few for the ARN of a unit:
/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExpiryName(String);

impl ExpiryName {
    /// The name for a share of this image with this target until this time. `None` if the time has more than eight
    /// digits.
    pub fn new(image_id: &ImageId, target: &Target, at: OffsetDateTime) -> Option<Self> {
        let seconds = u32::try_from(at.unix_timestamp()).ok()?;
        Some(Self(format!("{}{seconds:08x}", Self::pair_prefix(image_id, target))))
    }

    /// The prefix of the names of all records of an image.
    pub fn image_prefix(image_id: &ImageId) -> String {
        format!("{image_id}-")
    }

    /// The prefix of the names of all records of an image and a target.
    pub fn pair_prefix(image_id: &ImageId, target: &Target) -> String {
        format!("{}{}-", Self::image_prefix(image_id), digest(&target.id(), DIGEST_BYTES))
    }

    /// The part of the name that all records of the same image and target have.
    pub fn pair(&self) -> &str {
        self.0.rsplit_once('-').map_or(self.0.as_str(), |(pair, _)| pair)
    }

    /// Whether it is a record of this image and this target.
    pub fn is_of(&self, image_id: &ImageId, target: &Target) -> bool {
        self.0.starts_with(&Self::pair_prefix(image_id, target))
    }

    /// The image whose share expires.
    pub fn image_id(&self) -> Option<ImageId> {
        self.pair().rsplit_once('-')?.0.parse().ok()
    }

    /// The name for Scheduler.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExpiryName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_name = || {
            let (pair, time) = text.rsplit_once('-')?;
            let (image, target) = pair.rsplit_once('-')?;
            let is_time =
                time.len() == TIME_DIGITS && time.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            Some(is_time && is_digest(target, DIGEST_BYTES) && image.parse::<ImageId>().is_ok())
        };
        match is_name() {
            Some(true) => Ok(Self(text.to_owned())),
            Some(false) | None => {
                Err(ParseError::new(format!("{} is not the name of an expiry's record", quoted(text))))
            }
        }
    }
}

impl fmt::Display for ExpiryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_string!(ExpiryName);

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn image() -> ImageId {
        "ami-0123456789abcdef0".parse().unwrap()
    }

    fn name(target: &str, at: OffsetDateTime) -> ExpiryName {
        ExpiryName::new(&image(), &target.parse().unwrap(), at).unwrap()
    }

    #[test]
    fn a_name_is_the_image_a_digest_of_the_target_and_the_time() {
        let made = name("111122223333", datetime!(2027-01-31 12:00 UTC));
        // printf 111122223333 | sha256sum; printf %08x $(date -ud 2027-01-31T12:00 +%s)
        assert_eq!(made.as_str(), "ami-0123456789abcdef0-aeb221660ff09134bb3a46b295554820-6b5f2240");
        assert!(made.as_str().len() <= 64);
        assert_eq!(made.as_str().parse(), Ok(made.clone()));
        assert_eq!(made.image_id(), Some(image()));
        assert!(made.is_of(&image(), &"111122223333".parse().unwrap()));
        assert!(!made.is_of(&image(), &"222233334444".parse().unwrap()));
        assert!(!made.is_of(&"ami-0123456789abcdef1".parse().unwrap(), &"111122223333".parse().unwrap()));
    }

    #[test]
    fn an_organization_or_unit_has_the_same_records_whatever_management_account_its_arn_names() {
        let at = datetime!(2027-01-31 12:00 UTC);
        for (kind, id) in [("organization", "o-a1b2c3d4e5"), ("ou", "o-a1b2c3d4e5/ou-ab12-11111111")] {
            let named = |partition, account| name(&format!("arn:{partition}:organizations::{account}:{kind}/{id}"), at);
            assert_eq!(named("aws", "999988887777"), named("aws-cn", "111122223333"));
        }
    }

    #[test]
    fn names_of_one_share_sort_by_their_time_and_parts_of_a_second_make_no_other_record() {
        let times = [
            datetime!(1970-01-01 0:00 UTC),
            datetime!(2027-01-31 12:00 UTC),
            datetime!(2027-01-31 12:00:01 UTC),
            datetime!(2036-11-22 0:00 UTC),
            datetime!(2106-02-07 6:28:15 UTC),
        ];
        let names = times.map(|at| name("111122223333", at));
        assert!(names.is_sorted());
        assert!(names.iter().all(|other| other.pair() == names[0].pair()));
        let parts = name("111122223333", datetime!(2027-01-31 13:00:00.999 +01:00));
        assert_eq!(parts, names[1]);
        for at in [datetime!(2106-02-07 6:28:16 UTC), datetime!(1969-12-31 23:59:59 UTC)] {
            assert_eq!(ExpiryName::new(&image(), &"111122223333".parse().unwrap(), at), None);
        }
    }

    #[test]
    fn nothing_else_is_a_name() {
        for wrong in [
            "",
            "ami-0123456789abcdef0",
            "ami-0123456789abcdef0-",
            "ami-0123456789abcdef0-df1309284bcca98e6a58dbc1702cf5d0",
            "ami-0123456789abcdef0-df1309284bcca98e6a58dbc1702cf5d0-",
            "ami-0123456789abcdef0-df1309284bcca98e6a58dbc1702cf5d0-6b9dd4c",
            "ami-0123456789abcdef0-df1309284bcca98e6a58dbc1702cf5d0-6b9dd4c00",
            "ami-0123456789abcdef0-df1309284bcca98e6a58dbc1702cf5d0-6B9DD4C0",
            "ami-0123456789abcdef0-df1309284bcca98e6a58dbc1702cf5d0-+b9dd4c0",
            "ami-0123456789abcdef0-DF1309284BCCA98E6A58DBC1702CF5D0-6b9dd4c0",
            "x-df1309284bcca98e6a58dbc1702cf5d0-6b9dd4c0",
            "copy-ami-0123456789abcdef0-df1309284bcca98e6a58dbc1702cf5d0",
            "../ami-0123456789abcdef0-df1309284bcca98e6a58dbc1702cf5d0-6b9dd4c0",
        ] {
            assert!(wrong.parse::<ExpiryName>().is_err(), "{wrong}");
        }
    }
}
