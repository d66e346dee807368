//! Owns [`KeyArn`].

use std::{fmt, str::FromStr, sync::Arc};

use super::{AccountId, ParseError, Partition, arn::Arn, quoted, serde_as_string};

/// The ARN of a KMS key, `arn:aws:kms:eu-west-1:111122223333:key/…`; never an alias.
///
/// <https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id-key-ARN>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyArn {
    /// Shared: answers have a row for each key and target.
    text: Arc<str>,
    account: AccountId,
}

/// A key's ID has 36 characters today.
const LONGEST_NAME: usize = 128;

impl KeyArn {
    /// The ARN as AWS writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The account that owns the key.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The Region of the key.
    pub fn region(&self) -> &str {
        self.text.split(':').nth(3).unwrap_or_default()
    }

    /// The partition of the key.
    pub fn partition(&self) -> &str {
        self.text.split(':').nth(1).unwrap_or_default()
    }
}

impl FromStr for KeyArn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let account = Arn::split(text)
            .filter(|arn| {
                Partition::parse(arn.partition).is_some()
                    && arn.service == "kms"
                    && is_name(arn.region)
                    && arn.resource.strip_prefix("key/").is_some_and(is_name)
            })
            .and_then(|arn| arn.account.parse().ok())
            .ok_or_else(|| ParseError::new(format!("{} is not the ARN of a KMS key", quoted(text))))?;
        Ok(Self { text: text.into(), account })
    }
}

/// Whether this can be the name of a Region or the ID of one key: a pattern is neither.
fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

serde_as_string!(KeyArn);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_arn_knows_its_account_region_and_partition() {
        let key: KeyArn = "arn:aws-cn:kms:cn-north-1:000022223333:key/mrk-1234".parse().unwrap();
        assert_eq!(
            (key.account().to_string().as_str(), key.region(), key.partition()),
            ("000022223333", "cn-north-1", "aws-cn")
        );
        assert_eq!(key.to_string(), "arn:aws-cn:kms:cn-north-1:000022223333:key/mrk-1234");
        let longest = format!("arn:aws:kms:eu-west-1:111122223333:key/{}", "1".repeat(128));
        assert_eq!(longest.parse::<KeyArn>().unwrap().as_str(), longest);
        for wrong in [
            "",
            "1234abcd",
            "alias/aws/ebs",
            "arn:aws:kms:eu-west-1:111122223333:alias/x",
            "arn:aws:kms:eu-west-1:111122223333:key/",
            "arn:aws:kms:eu-west-1:111122223333:key/*",
            "arn:aws:kms:eu-west-1:111122223333:key/1/2",
            "arn:aws:kms:eu-west-1:111122223333:key/1:2",
            "arn:aws:kms:eu-west-1:111122223333:key/1 ",
            "arn:aws:kms:eu-*:111122223333:key/1",
            "arn:aws:kms::111122223333:key/1",
            "arn:gcp:kms:eu-west-1:111122223333:key/1",
            &format!("arn:aws:kms:eu-west-1:111122223333:key/{}", "1".repeat(129)),
        ] {
            assert!(wrong.parse::<KeyArn>().is_err(), "{wrong:?}");
        }
    }
}
