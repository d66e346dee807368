//! Owns [`BackingKey`]: one key of an image's snapshots, as far as it could be read.

use key_policy::{Grant, Policy};

use super::case::Case;
use crate::{
    domain::KeyArn,
    facts::{Fact, Facts, Failure, Key, KeyMetadata},
    outcome::RefusalCode,
};

/// A key of an image's snapshots, for one case.
#[derive(Debug, Clone, Copy)]
pub(super) struct BackingKey<'a> {
    pub(super) case: &'a Case<'a>,
    pub(super) arn: &'a KeyArn,
    key: Option<&'a Key>,
}

impl<'a> BackingKey<'a> {
    pub(super) fn new(case: &'a Case<'a>, facts: &'a Facts, arn: &'a KeyArn) -> Self {
        Self { case, arn, key: facts.keys.get(arn) }
    }

    /// The kind and the state of the key, if they were read.
    pub(super) fn metadata(&self) -> Option<&'a KeyMetadata> {
        self.key?.metadata.known()
    }

    /// The grants that were read.
    pub(super) fn known_grants(&self) -> &'a [Grant] {
        self.key.and_then(|key| key.grants.known()).map(Vec::as_slice).unwrap_or_default()
    }

    /// Why it is not known what kind of key it is.
    pub(super) fn unknown(&self) -> Option<&'a Failure> {
        self.key?.metadata.failed()
    }

    /// Why no target can use this key, and what to do about it.
    pub(super) fn unusable(&self) -> Option<(RefusalCode, String, &'static str)> {
        let (arn, metadata) = (self.arn, self.metadata()?);
        if metadata.is_aws_managed {
            return Some((
                RefusalCode::DefaultKey,
                format!("a snapshot is encrypted with {arn}, a key that AWS manages; such an image can't be shared"),
                "copy the image with a customer managed key (`aws ec2 copy-image --encrypted --kms-key-id …`) and share the copy",
            ));
        }
        if let Some(state) = &metadata.unusable_state {
            return Some((
                RefusalCode::KeyNotUsable,
                format!("{arn} is in the state {state}, in which nobody can use it"),
                remedy_of_key_state(state),
            ));
        }
        if !metadata.is_symmetric {
            return Some((
                RefusalCode::KeyNotUsable,
                format!("{arn} is not a symmetric encryption key; EBS can't use it"),
                "copy the image with another key",
            ));
        }
        None
    }

    /// What could not be read about a key of this account. The keys of other accounts are never read.
    pub(super) fn unread(&self) -> Option<&'a Failure> {
        let key = self.key.filter(|_| self.arn.account() == self.case.account)?;
        key.unread().next()
    }

    /// Why the grants are not known, as the end of a sentence.
    pub(super) fn why_grants_are_unknown(&self) -> Option<String> {
        match &self.key?.grants {
            Fact::Known(_) => None,
            Fact::Failed(failure) => Some(format!("can't be read: {}", failure.message)),
            Fact::NotRead => Some("were not read".to_owned()),
        }
    }

    /// The key policy; or why nobody can be judged by it.
    pub(super) fn policy(&self) -> Result<&'a Policy, String> {
        let Self { case, arn, key } = *self;
        let key = key.ok_or_else(|| format!("{arn} was not read"))?;
        if arn.account() != case.account {
            return Err(format!(
                "{arn} belongs to account {}, and only the owner of a key may read its policy",
                arn.account()
            ));
        }
        match &key.metadata {
            Fact::Known(_) => {}
            Fact::Failed(failure) => {
                return Err(format!("what kind of key {arn} is can't be read: {}", failure.message));
            }
            Fact::NotRead => return Err(format!("what kind of key {arn} is was not read")),
        }
        match &key.policy {
            Fact::Known(policy) => Ok(policy),
            Fact::Failed(failure) => Err(format!("the key policy of {arn} can't be read: {}", failure.message)),
            Fact::NotRead => Err(format!("the key policy of {arn} was not read")),
        }
    }
}

/// What to do about a key in a state in which nobody can use it.
///
/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html>
pub(super) fn remedy_of_key_state(state: &str) -> &'static str {
    match state {
        "Disabled" => "enable the key (`aws kms enable-key`) and send the request again",
        "PendingDeletion" => {
            "cancel the key's deletion (`aws kms cancel-key-deletion`), enable it (`aws kms enable-key`), and send the \
             request again"
        }
        "PendingReplicaDeletion" => {
            "cancel the deletion of the multi-Region primary key (`aws kms cancel-key-deletion`), which waits for its \
             replicas to be deleted, enable it (`aws kms enable-key`), and send the request again"
        }
        "PendingImport" => {
            "import the key material (`aws kms import-key-material`), which is missing, deleted or expired, and send the \
             request again"
        }
        "Unavailable" => {
            "connect the key's custom key store (`aws kms connect-custom-key-store`) and send the request again"
        }
        "Creating" => "wait until the multi-Region replica key is created and send the request again",
        _ => "use `aws kms describe-key` to see the state of the key, and send the request again when it is `Enabled`",
    }
}
