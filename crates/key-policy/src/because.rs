//! Owns [`Because`]: how answers name a statement or grant that decided.

use serde::{Serialize, Serializer};

/// How answers name a statement or grant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Because {
    /// A statement of the key policy.
    Statement {
        /// Its `Sid`, if it has one.
        sid: Option<String>,
        /// Its index in the document, from 0.
        index: usize,
        /// `Allow` or `Deny`; `Unreadable` where the statement does not say.
        #[serde(serialize_with = "effect_name")]
        effect: BecauseEffect,
    },
    /// A grant on the key; grants only allow.
    Grant {
        /// Its id.
        #[serde(rename = "grantId")]
        grant_id: String,
        /// Its name, if it has one.
        #[serde(rename = "grantName", skip_serializing_if = "Option::is_none")]
        grant_name: Option<String>,
    },
}

/// The effect of a deciding statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BecauseEffect {
    /// It allows.
    Allow,
    /// It denies.
    Deny,
    /// It may do either.
    Unreadable,
}

// `serialize_with` hands over a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn effect_name<S: Serializer>(effect: &BecauseEffect, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match effect {
        BecauseEffect::Allow => "Allow",
        BecauseEffect::Deny => "Deny",
        BecauseEffect::Unreadable => "Unreadable",
    })
}
