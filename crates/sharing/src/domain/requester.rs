//! Owns [`Requester`].

use std::fmt;

/// Who asks, as the trigger the request came through established it; never taken from a body or a header.
///
/// One of `arn:aws:iam::<account>:role/<name>`, `arn:aws:iam::<account>:user/<path><name>`,
/// `jwt:<issuer>#<subject>`, `events:<account>:<source>`, `sqs:<queue ARN>` or `lambda:invoke`.
/// A record keeps it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Requester(String);

impl Requester {
    /// The requester in the spelling the allowlist uses.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whoever is named so; what may be a requester, the triggers decide.
    pub fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
