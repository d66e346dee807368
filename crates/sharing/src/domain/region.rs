//! Owns [`Region`].

use std::{fmt, str::FromStr};

use super::{ParseError, quoted, serde_as_string};

/// The name of a Region, such as `eu-west-1` or `us-gov-east-1`. Only its form is checked, not whether it exists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(String);

impl FromStr for Region {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut parts = text.rsplit('-');
        let number = parts
            .next()
            .is_some_and(|part| !part.is_empty() && part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit()));
        let words: Vec<_> = parts.collect();
        let named = words.len() >= 2
            && words.iter().all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()));
        if number && named && text.len() <= 32 {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(format!("{} is not the name of a Region, such as `eu-west-1`", quoted(text))))
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_string!(Region);

/// The partition of a Region, by the beginning of its name. Partitions are separate.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
pub fn partition_of(region: &str) -> &'static str {
    const OTHERS: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    OTHERS.into_iter().find(|(start, _)| region.starts_with(start)).map_or("aws", |(_, partition)| partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_in_a_partition() {
        for (region, partition) in [
            ("eu-west-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-east-1", "aws-us-gov"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(partition_of(region), partition);
        }
    }

    #[test]
    fn a_region_is_words_and_a_number() {
        for right in ["eu-west-1", "us-gov-east-1", "ap-southeast-12", "us-iso-b-east-1"] {
            assert!(right.parse::<Region>().is_ok(), "{right}");
        }
        for wrong in ["", "eu", "eu-west", "eu-west-1a", "EU-WEST-1", "eu--1", "*"] {
            assert!(wrong.parse::<Region>().is_err(), "{wrong}");
        }
    }
}
