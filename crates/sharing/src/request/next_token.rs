//! Owns [`NextToken`]: where an audit or repair continues.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::domain::{ImageId, KeyArn, ParseError, digest, is_digest, quoted, serde_as_string};

/// Enough bytes of a digest to distinguish the keys of one account and Region.
const DIGEST_BYTES: usize = 6;

/// The maximum number of keys in a token. The grants of further keys are reported again.
const MAX_KEYS: usize = 1_000;

/// Where an audit or repair continues: after this image. The token also names the keys whose grants for deregistered
/// images were reported, so that they are reported once and not with every image on the key.
///
/// Images are audited in the order of their IDs, so a token stays valid if images are created or deregistered between
/// two requests. Callers send it back unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextToken {
    /// The last image that was audited.
    pub after: ImageId,
    keys: BTreeSet<String>,
}

impl NextToken {
    /// The token after this image and these keys. `before` is the token with which the request began.
    pub fn new<'a>(before: Option<&Self>, after: ImageId, keys: impl IntoIterator<Item = &'a KeyArn>) -> Self {
        let earlier = before.into_iter().flat_map(|before| before.keys.iter().cloned());
        Self { after, keys: keys.into_iter().map(of_key).chain(earlier).take(MAX_KEYS).collect() }
    }

    /// Whether the grants of this key for deregistered images were reported.
    pub fn knows(&self, key: &KeyArn) -> bool {
        self.keys.contains(&of_key(key))
    }
}

fn of_key(key: &KeyArn) -> String {
    digest(key.as_str(), DIGEST_BYTES)
}

impl FromStr for NextToken {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let too_many = text.split('.').nth(MAX_KEYS.saturating_add(1)).is_some();
        let mut parts = text.split('.').take_while(|_| !too_many);
        let after = parts.next().and_then(|image| image.parse().ok());
        let keys: Option<_> = parts.map(|part| is_digest(part, DIGEST_BYTES).then(|| part.to_owned())).collect();
        match (after, keys) {
            (Some(after), Some(keys)) => Ok(Self { after, keys }),
            _ => Err(ParseError::new(format!("{} is not the `nextToken` of an audit", quoted(text)))),
        }
    }
}

impl fmt::Display for NextToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.after.fmt(f)?;
        self.keys.iter().try_for_each(|key| write!(f, ".{key}"))
    }
}

serde_as_string!(NextToken);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_remembers_no_more_keys_than_fit_a_log_line() {
        let token = |keys: usize| (0..keys).fold("ami-00000001".to_owned(), |text, key| format!("{text}.{key:012x}"));
        let full: NextToken = token(MAX_KEYS).parse().unwrap();
        assert!(token(MAX_KEYS + 1).parse::<NextToken>().is_err());
        let key: KeyArn =
            "arn:aws:kms:eu-west-1:999988887777:key/00000000-0000-0000-0000-000000000001".parse().unwrap();
        let next = NextToken::new(Some(&full), "ami-00000002".parse().unwrap(), [&key]);
        assert!(next.knows(&key));
        assert_eq!(next.to_string().len(), token(MAX_KEYS).len());
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let key = |digit: char| -> KeyArn {
            let id = "00000000-0000-0000-0000-00000000000".to_owned();
            format!("arn:aws:kms:eu-west-1:999988887777:key/{id}{digit}").parse().unwrap()
        };
        let first = NextToken::new(None, "ami-00000001".parse().unwrap(), [&key('1')]);
        let second = NextToken::new(Some(&first), "ami-00000002".parse().unwrap(), [&key('2'), &key('1')]);
        assert_eq!(second.to_string().parse(), Ok(second.clone()));
        assert_eq!((second.knows(&key('1')), second.knows(&key('2')), second.knows(&key('3'))), (true, true, false));
        assert_eq!(second.to_string().len(), "ami-00000002".len() + 2 * 13);
        assert_eq!("ami-00000002".parse::<NextToken>().unwrap().after, second.after);
    }

    #[test]
    fn anything_else_is_no_token() {
        for wrong in ["", "ami-", "ami-1a2b3c4d.", "ami-1a2b3c4d.x", "ami-1a2b3c4d.0123456789ag", "AAMA=="] {
            assert!(wrong.parse::<NextToken>().is_err(), "{wrong}");
        }
    }
}
