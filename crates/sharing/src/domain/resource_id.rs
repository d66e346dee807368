//! Owns the EC2 resource IDs: [`ImageId`] and [`SnapshotId`].

use std::{fmt, str::FromStr};

use super::{ParseError, quoted, serde_as_string};

/// EC2 IDs are a prefix and 8 (until 2016) or 17 lower-case hexadecimal digits:
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html>
fn is_resource_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

macro_rules! resource_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The ID as EC2 writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                if is_resource_id(text, $prefix) {
                    return Ok(Self(text.to_owned()));
                }
                Err(ParseError::new(format!(
                    concat!("{} is not ", $what, ": `", $prefix, "` and 8 or 17 lower-case hexadecimal digits"),
                    quoted(text)
                )))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        serde_as_string!($name);
    };
}

resource_id!(
    /// The ID of an Amazon Machine Image, such as `ami-0abcdef1234567890`.
    ImageId,
    "ami-",
    "an image id"
);

resource_id!(
    /// The ID of an EBS snapshot, such as `snap-0abcdef1234567890`.
    SnapshotId,
    "snap-",
    "a snapshot id"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_id_has_8_or_17_lower_case_hex_digits() {
        for right in ["ami-1a2b3c4d", "ami-0123456789abcdef0"] {
            assert_eq!(right.parse::<ImageId>().unwrap().to_string(), right);
        }
        for wrong in [
            "",
            "ami-",
            "ami-1a2b3c4",
            "ami-1A2B3C4D",
            "AMI-1a2b3c4d",
            "ami-0123456789abcdefg",
            "snap-1a2b3c4d",
            "ami-1a2b3c4d\n",
            "ami-*",
        ] {
            assert!(wrong.parse::<ImageId>().is_err(), "{wrong:?}");
        }
    }
}
