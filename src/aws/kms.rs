//! Owns the KMS calls: describing keys, reading key policies, and listing, creating and revoking grants.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_kms::{
    primitives::Blob,
    types::{GrantListEntry, GrantOperation, KeyManagerType, KeySpec, KeyState, KeyUsageType, MacAlgorithmSpec},
};
use key_policy::{Grant, GrantConstraints};
use sharing::{
    domain::{GrantName, KeyArn},
    facts::KeyMetadata,
    outcome::ErrorCode,
    records::Mac,
};

use super::{Aws, CallError};

/// The pages of 100 grants that are enough for every key: a key has at most 50,000 grants.
/// <https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html>
pub const ALL_GRANT_PAGES: usize = 510;

const LIST: &str = "kms:ListGrants";

/// Some of a key's grants.
#[derive(Debug)]
pub struct GrantPage {
    /// The grants.
    pub grants: Vec<Grant>,
    /// The marker of the next page, if there is one.
    pub marker: Option<String>,
}

impl Aws {
    /// Describes a key.
    pub async fn describe_key(&self, key: &KeyArn) -> Result<KeyMetadata, CallError> {
        const CALL: &str = "kms:DescribeKey";
        let call = self.kms.describe_key().key_id(key.as_str());
        let answer = self.patience.ask(CALL, key.as_str(), || call.clone().send()).await?;
        let metadata = answer
            .key_metadata()
            .ok_or_else(|| CallError::unexpected(CALL, key.as_str(), "the answer has no metadata"))?;
        // Cryptographic operations work in these two: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
        let unusable_state = match metadata.key_state() {
            Some(KeyState::Enabled | KeyState::Updating) => None,
            Some(other) => Some(other.as_str().to_owned()),
            None => Some("unknown".to_owned()),
        };
        Ok(KeyMetadata {
            is_aws_managed: metadata.key_manager() == Some(&KeyManagerType::Aws),
            unusable_state,
            is_symmetric: metadata.key_spec() == Some(&KeySpec::SymmetricDefault)
                && metadata.key_usage() == Some(&KeyUsageType::EncryptDecrypt),
            ends_at: metadata
                .deletion_date()
                .or(metadata.valid_to())
                .and_then(|time| time.fmt(aws_smithy_types::date_time::Format::DateTime).ok()),
        })
    }

    /// Reads the key policy's text. Only the key's own account may call this.
    pub async fn key_policy(&self, key: &KeyArn) -> Result<String, CallError> {
        const CALL: &str = "kms:GetKeyPolicy";
        let call = self.kms.get_key_policy().key_id(key.as_str());
        let answer = self.patience.ask(CALL, key.as_str(), || call.clone().send()).await?;
        let policy = answer.policy().map(str::to_owned);
        policy.ok_or_else(|| CallError::unexpected(CALL, key.as_str(), "the answer has no policy"))
    }

    /// Lists the grants of a key, or those of one grantee. Fails if there are more than `pages` pages.
    pub async fn grants(&self, key: &KeyArn, grantee: Option<&str>, pages: usize) -> Result<Vec<Grant>, CallError> {
        let mut grants = Vec::new();
        let mut marker = None;
        for _ in 0..pages {
            let page = self.page_of_grants(key, grantee, marker).await?;
            grants.extend(page.grants);
            marker = page.marker;
            if marker.is_none() {
                return Ok(grants);
            }
        }
        Err(CallError::unexpected(LIST, key.as_str(), &format!("there are more grants than {pages} pages hold")))
    }

    /// Lists one page of the grants of a key, or of those of one grantee. `marker` comes from the page before.
    pub async fn page_of_grants(
        &self,
        key: &KeyArn,
        grantee: Option<&str>,
        marker: Option<String>,
    ) -> Result<GrantPage, CallError> {
        let call = self.kms.list_grants().key_id(key.as_str()).set_grantee_principal(grantee.map(str::to_owned));
        let call = call.set_marker(marker).limit(100);
        let page = self.patience.ask(LIST, key.as_str(), || call.clone().send()).await?;
        let grants = page.grants().iter().map(grant).collect();
        let marker = page.next_marker.filter(|_| page.truncated);
        if page.truncated && marker.is_none() {
            return Err(CallError::unexpected(LIST, key.as_str(), "there are more grants and no way to read them"));
        }
        Ok(GrantPage { grants, marker })
    }

    /// Creates a grant and returns its ID. The Name makes the call idempotent: the same call again returns the same
    /// grant.
    pub async fn create_grant(
        &self,
        key: &KeyArn,
        name: &GrantName,
        grantee: &str,
        operations: &[&str],
    ) -> Result<Option<String>, CallError> {
        let operations = operations.iter().map(|operation| GrantOperation::from(*operation)).collect();
        let call = self.kms.create_grant().key_id(key.as_str()).name(name.as_str()).grantee_principal(grantee);
        let call = call.set_operations(Some(operations));
        let answer = self.patience.ask("kms:CreateGrant", key.as_str(), || call.clone().send()).await?;
        Ok(answer.grant_id)
    }

    /// Makes the message authentication code of a record, whose digest is given, with an HMAC key.
    ///
    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html>
    pub async fn generate_mac(&self, key: &KeyArn, digest: &[u8; 32]) -> Result<Mac, CallError> {
        const CALL: &str = "kms:GenerateMac";
        let call = self.kms.generate_mac().key_id(key.as_str()).mac_algorithm(MacAlgorithmSpec::HmacSha256);
        let call = call.message(Blob::new(digest.as_slice()));
        let answer = self.patience.ask(CALL, key.as_str(), || call.clone().send()).await?;
        let mac = answer.mac().and_then(|mac| Mac::from_bytes(mac.as_ref()));
        mac.ok_or_else(|| CallError::unexpected(CALL, key.as_str(), "the answer has no code of HMAC_SHA_256"))
    }

    /// Revokes a grant. A grant that does not exist counts as revoked.
    pub async fn revoke_grant(&self, key: &KeyArn, grant_id: &str) -> Result<(), CallError> {
        let call = self.kms.revoke_grant().key_id(key.as_str()).grant_id(grant_id);
        match self.patience.ask("kms:RevokeGrant", key.as_str(), || call.clone().send()).await {
            Ok(_) => Ok(()),
            Err(error) if error.failure.code == ErrorCode::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn grant(entry: &GrantListEntry) -> Grant {
    let pairs = |pairs: &HashMap<String, String>| pairs.clone().into_iter().collect::<BTreeMap<_, _>>();
    Grant {
        grant_id: entry.grant_id().unwrap_or_default().to_owned(),
        key_id: entry.key_id().map(str::to_owned),
        name: entry.name().map(str::to_owned),
        grantee_principal: entry.grantee_principal().map(str::to_owned),
        grantee_service_principal: entry.grantee_service_principal().map(str::to_owned),
        issuing_account: entry.issuing_account().map(str::to_owned),
        operations: entry.operations().iter().map(|operation| operation.as_str().to_owned()).collect(),
        constraints: entry.constraints().map(|constraints| GrantConstraints {
            encryption_context_equals: constraints.encryption_context_equals().map(pairs),
            encryption_context_subset: constraints.encryption_context_subset().map(pairs),
            source_arn: constraints.source_arn().map(str::to_owned),
        }),
    }
}
