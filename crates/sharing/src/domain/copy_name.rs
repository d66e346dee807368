//! Owns [`CopyName`]: how the record of a share that waits for a copy is found again.

use std::{fmt, str::FromStr};

use super::{ImageId, ParseError, digest, is_digest, quoted, serde_as_string};

/// Half of a SHA-256: no two requests about an image have the same.
const DIGEST_BYTES: usize = 16;

/// What these names begin with. The name of an expiry begins with an image ID.
const PREFIX: &str = "copy-";

/// The name of the schedule that records a share that waits for a copy:
/// `copy-<source image ID>-<first 32 hexadecimal digits of SHA-256(source Region, who asked, what for)>`.
///
/// The same request of the same requester has the same name, so it is recorded once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CopyName(String);

impl CopyName {
    /// The name for a share of a copy of this image; `asked` distinguishes it from other shares of a copy of the image.
    pub fn new(source_id: &ImageId, asked: &str) -> Self {
        Self(format!("{}{}", Self::source_prefix(source_id), digest(asked, DIGEST_BYTES)))
    }

    /// What the names of all records about copies of an image begin with.
    pub fn source_prefix(source_id: &ImageId) -> String {
        format!("{PREFIX}{source_id}-")
    }

    /// Whether a name is meant to be one of these.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// The name of the schedule.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CopyName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once('-'));
        let is_name =
            |(source, asked): (&str, &str)| source.parse::<ImageId>().is_ok() && is_digest(asked, DIGEST_BYTES);
        if parts.is_some_and(is_name) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(format!("{} is not the name of a record about a copy", quoted(text))))
    }
}

impl fmt::Display for CopyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_string!(CopyName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_source_and_a_digest_of_what_is_asked() {
        let source = "ami-0123456789abcdef0".parse().unwrap();
        let name = CopyName::new(&source, "111122223333");
        // printf 111122223333 | sha256sum
        assert_eq!(name.as_str(), "copy-ami-0123456789abcdef0-aeb221660ff09134bb3a46b295554820");
        assert!(name.as_str().len() <= 64 && name.as_str().starts_with(&CopyName::source_prefix(&source)));
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        assert_ne!(CopyName::new(&source, "222233334444"), name);
    }

    #[test]
    fn nothing_else_is_a_name() {
        for wrong in [
            "",
            "copy-",
            "copy-ami-0123456789abcdef0",
            "copy-ami-0123456789abcdef0-",
            "copy-ami-0123456789abcdef0-aeb221660ff09134bb3a46b29555482",
            "copy-ami-0123456789abcdef0-AEB221660FF09134BB3A46B295554820",
            "copy-ami-0123456789abcdef0-aeb221660ff09134bb3a46b295554820-6b5f2240",
            "copy-x-aeb221660ff09134bb3a46b295554820",
            "ami-0123456789abcdef0-aeb221660ff09134bb3a46b295554820-6b5f2240",
            "ask-aeb221660ff09134bb3a46b295554820",
        ] {
            assert!(wrong.parse::<CopyName>().is_err(), "{wrong}");
        }
    }
}
