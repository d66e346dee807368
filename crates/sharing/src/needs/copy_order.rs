//! Owns [`CopyOrder`]: the copy that a share needs, the name of that copy, and the client token with which EC2 makes it once.

use serde_json::json;

use crate::{
    domain::{KeyArn, digest},
    facts::RegionalImage,
};

/// "Constraints: 3-128": <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html>
const MAX_NAME: usize = 128;

/// The number of bytes of a digest that make a name unique.
const SUFFIX_BYTES: usize = 4;

/// A client token has at most 64 characters:
/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>
const TOKEN_BYTES: usize = 32;

/// A copy that must be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOrder {
    /// The image to copy.
    pub source: RegionalImage,
    /// The name of that image.
    pub source_name: String,
    /// The key of the copy.
    pub key: KeyArn,
    /// How many copies of the image failed before.
    pub failed_copies: usize,
    /// Whether the image is in the Region of the copy, and so has its name there.
    pub is_from_here: bool,
}

impl CopyOrder {
    /// The name of the copy on the `number`th try, from 0: that of the source, if it is free as far as is known. Names are
    /// unique in an account and Region.
    pub fn name(&self, number: usize, is_taken: bool) -> String {
        if !is_taken && !self.is_from_here && self.failed_copies == 0 {
            return self.source_name.clone();
        }
        let suffix = digest(&self.in_words(None, number), SUFFIX_BYTES);
        let room = MAX_NAME.saturating_sub(suffix.len()).saturating_sub(1);
        let kept: String = self.source_name.chars().take(room).collect();
        format!("{kept}-{suffix}")
    }

    /// The client token for a copy of that name. With the same token EC2 answers with the same copy.
    pub fn client_token(&self, name: &str, number: usize) -> String {
        digest(&self.in_words(Some(name), number), TOKEN_BYTES)
    }

    /// Everything that distinguishes this copy from others.
    fn in_words(&self, name: Option<&str>, number: usize) -> String {
        let Self { source, key, failed_copies, .. } = self;
        json!([source.region, source.id, key, name, failed_copies, number]).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn order() -> CopyOrder {
        CopyOrder {
            source: RegionalImage { region: "eu-west-1".parse().unwrap(), id: "ami-0000000a".parse().unwrap() },
            source_name: "golden-1".to_owned(),
            key: "arn:aws:kms:us-east-1:999988887777:key/1234abcd".parse().unwrap(),
            failed_copies: 0,
            is_from_here: false,
        }
    }

    #[test]
    fn a_copy_is_named_like_its_source_where_that_name_is_free() {
        assert_eq!(order().name(0, false), "golden-1");
        assert_eq!(order().name(3, false), "golden-1");
        for other in [order().name(0, true), CopyOrder { is_from_here: true, ..order() }.name(0, false)] {
            assert!(other.starts_with("golden-1-") && other.len() == "golden-1-".len() + 8, "{other}");
        }
        let failed = |failed_copies| CopyOrder { failed_copies, ..order() };
        let names =
            [failed(1).name(0, false), failed(2).name(0, false), failed(1).name(1, false), order().name(0, true)];
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }

    #[test]
    fn a_name_is_not_too_long() {
        let long = CopyOrder { source_name: "x".repeat(128), ..order() };
        assert_eq!(long.name(0, true).len(), 128);
        assert_eq!(long.name(0, false).len(), 128);
    }

    #[test]
    fn the_same_copy_has_the_same_token_and_every_other_copy_another() {
        let token = |order: &CopyOrder, number| order.client_token(&order.name(number, false), number);
        assert_eq!(token(&order(), 0), token(&order(), 0));
        assert_eq!(token(&order(), 0).len(), 64);
        let others = [
            CopyOrder { failed_copies: 1, ..order() },
            CopyOrder { key: "arn:aws:kms:us-east-1:999988887777:key/other".parse().unwrap(), ..order() },
            CopyOrder { source_name: "golden-2".to_owned(), ..order() },
            CopyOrder { source: RegionalImage { region: "eu-west-2".parse().unwrap(), ..order().source }, ..order() },
        ];
        let mut tokens: BTreeSet<_> = others.iter().map(|other| token(other, 0)).collect();
        tokens.extend([token(&order(), 0), token(&order(), 1), order().client_token(&order().name(0, true), 0)]);
        assert_eq!(tokens.len(), others.len() + 3);
    }
}
