//! Owns [`Grant`]: what `ListGrants` reports, and whether it lets a caller in.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    because::Because,
    call::Call,
    caller::Identity,
    context::{ConditionKey, ContextFact, ContextValue, UnknownKeys},
    principal::{Cover, Named},
    truth::Truth,
};
use crate::domain::AccountId;

/// A grant on a key; its serde form is an entry of `ListGrants` as the AWS CLI prints it.
///
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantListEntry.html>
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Grant {
    /// Its id.
    pub grant_id: String,
    /// The ARN or the ID of the key that it is on, if known.
    pub key_id: Option<String>,
    /// Its Name, which makes `CreateGrant` idempotent.
    pub name: Option<String>,
    /// Whom it allows: an ARN, a service principal, or the ID of a principal that was deleted.
    pub grantee_principal: Option<String>,
    /// The service that it allows instead of a principal. Such a grant never allows an account.
    pub grantee_service_principal: Option<String>,
    /// The account that made it.
    pub issuing_account: Option<String>,
    /// The operations it allows, `Decrypt`, `CreateGrant` …
    pub operations: Vec<String>,
    /// What the calls must carry.
    pub constraints: Option<GrantConstraints>,
}

/// The constraints of a grant.
///
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantConstraints.html>
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GrantConstraints {
    /// The call's encryption context must be exactly this.
    pub encryption_context_equals: Option<BTreeMap<String, String>>,
    /// The call's encryption context must hold these pairs.
    pub encryption_context_subset: Option<BTreeMap<String, String>>,
    /// The call must be made for this resource.
    pub source_arn: Option<String>,
}

impl Grant {
    /// Whether the grant allows the call. The condition keys that the answer depends on are added to `unknown`.
    pub(super) fn allows<'g>(&'g self, call: &Call<'_>, unknown: &mut UnknownKeys<'g>) -> Truth {
        if !self.is_on(call.resource) {
            return Truth::False;
        }
        let operation = call.action.strip_prefix("kms:");
        if !self.operations.iter().any(|own| operation.is_some_and(|asked| asked.eq_ignore_ascii_case(own))) {
            return Truth::False;
        }
        let covered = self.covers(call, unknown);
        if covered == Truth::False {
            return Truth::False;
        }
        covered.and(self.constraints.as_ref().map_or(Truth::True, |constraints| constraints.met(call, unknown)))
    }

    /// Whether it is on this key. A replica of a multi-Region key has the same ID and its own grants, so whole ARNs are
    /// compared.
    fn is_on(&self, key_arn: &str) -> bool {
        self.key_id.as_deref().is_none_or(|key| {
            key == key_arn || !key.contains(':') && key_arn.rsplit_once("key/").is_some_and(|(_, id)| id == key)
        })
    }

    /// Whether it allows an account, and the identities that the account delegates to.
    pub(super) fn is_to_account(&self) -> bool {
        self.grantee_principal
            .as_deref()
            .is_some_and(|grantee| matches!(Named::from_grant(grantee), Named::Account { .. }))
    }

    /// How answers name the grant.
    pub(super) fn because(&self) -> Because {
        Because::Grant { grant_id: self.grant_id.clone(), grant_name: self.name.clone() }
    }

    /// The account that made it.
    pub fn issuer(&self) -> Option<AccountId> {
        let issuer = self.issuing_account.as_deref()?;
        issuer.parse().ok().or_else(|| issuer.strip_suffix(":root")?.split(':').nth(4)?.parse().ok())
    }

    /// Whether this account made it; ListGrants writes the issuer as an account's root ARN.
    pub fn is_issued_by(&self, account: AccountId) -> bool {
        self.issuer() == Some(account)
    }

    fn covers(&self, call: &Call<'_>, unknown: &mut UnknownKeys<'_>) -> Truth {
        let service = self
            .grantee_service_principal
            .as_ref()
            .is_some_and(|service| matches!(call.caller.identity(), Identity::Service(asks) if asks == service));
        let cover = match self.grantee_principal.as_deref() {
            _ if service => Cover::Yes,
            Some(grantee) => Named::from_grant(grantee).covers(call.caller.whom()),
            None => Cover::No,
        };
        match cover {
            Cover::Yes => Truth::True,
            Cover::No => Truth::False,
            Cover::DependsOn(key) => {
                unknown.push(key.into());
                Truth::Unknown
            }
        }
    }
}

impl GrantConstraints {
    fn met(&self, call: &Call<'_>, unknown: &mut UnknownKeys<'_>) -> Truth {
        let mut met = Truth::True;
        if let Some(wanted) = &self.source_arn {
            let key = ConditionKey::new("aws:SourceArn");
            let truth = equals(call.fact(&key), wanted);
            if truth == Truth::Unknown {
                unknown.push("aws:SourceArn".into());
            }
            met = met.and(truth);
        }
        // <https://docs.aws.amazon.com/kms/latest/developerguide/create-grant-overview.html#grant-constraints>
        if matches!(call.action.as_str(), "kms:describekey" | "kms:retiregrant") {
            return met;
        }
        let (subset, exact) = (&self.encryption_context_subset, &self.encryption_context_equals);
        for (pair, wanted) in subset.iter().chain(exact).flatten() {
            // KMS compares names case-insensitively and values case-sensitively.
            let key = ConditionKey::new(&format!("kms:EncryptionContext:{pair}"));
            let truth = equals(call.fact(&key), wanted);
            if truth == Truth::Unknown {
                unknown.push(key.name.into());
            }
            met = met.and(truth);
        }
        if let Some(exact) = exact {
            let is_wanted = |pair: &str| exact.keys().any(|wanted| wanted.eq_ignore_ascii_case(pair));
            met = met.and(match call.context.has_other_encryption_pairs(is_wanted) {
                Some(others) => (!others).into(),
                None => {
                    unknown.push("kms:EncryptionContextKeys".into());
                    Truth::Unknown
                }
            });
        }
        met
    }
}

fn equals(fact: &ContextFact, wanted: &str) -> Truth {
    match fact {
        ContextFact::Absent => Truth::False,
        ContextFact::Unknown => Truth::Unknown,
        ContextFact::Present(values) => match values.as_slice() {
            [ContextValue::Exactly(value)] => (value == wanted).into(),
            [ContextValue::OneOf(forms)] => Truth::agreed(forms.iter().map(|form| form.may_be(wanted))),
            // Constraints apply to keys that have one value, in one form.
            _ => Truth::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ListGrants writes the issuer as the root of its account:
    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_ListGrants.html#API_ListGrants_Examples>
    #[test]
    fn the_account_that_made_a_grant_is_read_of_its_issuer() {
        for (issuer, account) in [
            (Some("arn:aws:iam::111122223333:root"), Some("111122223333")),
            (Some("arn:aws-cn:iam::111122223333:root"), Some("111122223333")),
            (Some("111122223333"), Some("111122223333")),
            (Some("arn:aws:iam::111122223333:role/root"), None),
            (Some("arn:aws:iam:::root"), None),
            (None, None),
        ] {
            let grant = Grant { issuing_account: issuer.map(str::to_owned), ..Grant::default() };
            let account = account.map(|account| account.parse::<AccountId>().unwrap());
            assert_eq!(grant.issuer(), account, "{issuer:?}");
            let is_issued_by = |account: &str| grant.is_issued_by(account.parse().unwrap());
            assert_eq!([is_issued_by("111122223333"), is_issued_by("444455556666")], [account.is_some(), false]);
        }
    }
}
