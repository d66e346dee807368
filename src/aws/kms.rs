//! Owns the KMS calls: what a key is, what its policy says, which grants it has.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_kms::types::{GrantListEntry, KeyManagerType, KeySpec, KeyState, KeyUsageType};

use super::{Aws, CallError};
use crate::{
    domain::KeyArn,
    facts::KeyMetadata,
    key_access::{Grant, GrantConstraints},
};

/// At most so many pages of grants are read for one key and grantee; 100 grants are on a page.
const MAX_GRANT_PAGES: usize = 20;

impl Aws {
    /// Describes a key.
    pub async fn describe_key(&self, key: &KeyArn) -> Result<KeyMetadata, CallError> {
        const CALL: &str = "kms:DescribeKey";
        let call = self.kms.describe_key().key_id(key.as_str());
        let answer = call.send().await.map_err(|error| CallError::new(CALL, key.as_str(), &error))?;
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

    /// Reads the key policy's text; only the key's own account may.
    pub async fn key_policy(&self, key: &KeyArn) -> Result<String, CallError> {
        const CALL: &str = "kms:GetKeyPolicy";
        let call = self.kms.get_key_policy().key_id(key.as_str());
        let answer = call.send().await.map_err(|error| CallError::new(CALL, key.as_str(), &error))?;
        let policy = answer.policy().map(str::to_owned);
        policy.ok_or_else(|| CallError::unexpected(CALL, key.as_str(), "the answer has no policy"))
    }

    /// Lists the grants of a key to one grantee.
    pub async fn grants(&self, key: &KeyArn, grantee: &str) -> Result<Vec<Grant>, CallError> {
        const CALL: &str = "kms:ListGrants";
        let mut pages = self
            .kms
            .list_grants()
            .key_id(key.as_str())
            .grantee_principal(grantee)
            .into_paginator()
            .page_size(100)
            .send();
        let mut grants = Vec::new();
        for _ in 0..MAX_GRANT_PAGES {
            let Some(page) = pages.next().await else { return Ok(grants) };
            let page = page.map_err(|error| CallError::new(CALL, key.as_str(), &error))?;
            grants.extend(page.grants().iter().map(grant));
        }
        tracing::warn!(
            kms.key = key.as_str(),
            kms.grantee = grantee,
            "only the first {} grants were read",
            grants.len()
        );
        Ok(grants)
    }
}

fn grant(entry: &GrantListEntry) -> Grant {
    let pairs = |pairs: &HashMap<String, String>| pairs.clone().into_iter().collect::<BTreeMap<_, _>>();
    Grant {
        grant_id: entry.grant_id().unwrap_or_default().to_owned(),
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
