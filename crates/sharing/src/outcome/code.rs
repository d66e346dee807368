//! Owns [`RefusalCode`]: the name of every refusal, its HTTP status, its title and what it says as data. The tables of the docs are
//! made from it.

use serde::Serialize;

macro_rules! codes {
    ($($(#[doc = $title:literal])+ $name:ident = $status:literal [$($value:literal)*];)+) => {
        /// Why a request, or a part of it, is refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        pub enum RefusalCode {
            $($(#[doc = $title])+ $name,)+
        }

        impl RefusalCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code as documents write it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// The HTTP status of an answer that has this refusal alone.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// The names of what its message says as data, each where it applies.
            pub fn values(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($value),*],)+ }
            }

            /// The code in a few words (RFC 9457 `title`).
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => concat!($($title),+).trim_ascii(),)+ }
            }
        }
    };
}

codes! {
    /// The request is not in order
    MalformedRequest = 400 ["given" "allowed" "suggestion" "expected" "count" "most" "earliest" "latest" "action"];
    /// The caller could not be identified
    Unauthenticated = 401 [];
    /// No rule of the allowlist names the requester
    RequesterNotAllowed = 403 ["requester"];
    /// No rule allows the requester this action
    ActionNotAllowed = 403 ["requester" "action" "rule"];
    /// No rule allows the requester this action on this image
    ImageNotAllowed = 403 ["requester" "action"];
    /// No rule allows the requester to share this image with this target
    TargetNotAllowed = 403 ["requester" "action"];
    /// No rule allows more than launch access here
    AccessNotAllowed = 403 ["requester" "rule" "access"];
    /// No rule allows a grant for this service-linked role
    RoleNotAllowed = 403 ["requester" "rule" "roles" "allowed"];
    /// The rule only allows shares that expire
    ExpiryRequired = 403 ["requester" "rule" "maxDuration"];
    /// The rule does not allow a share to last that long
    ExpiryNotAllowed = 403 ["requester" "rule" "maxDuration" "given" "expiresAt"];
    /// There is no such route
    RouteNotFound = 404 ["path"];
    /// There is no such image in this account and Region
    ImageNotFound = 404 [];
    /// Nothing that is known has the organization's or organizational unit's id
    TargetNotFound = 404 ["id"];
    /// The route does not take this method
    MethodNotAllowed = 405 ["method" "allowed"];
    /// Another account owns the image
    ImageNotOwned = 409 [];
    /// The image is not in the state `available`
    ImageNotAvailable = 409 ["state"];
    /// The target owns the image
    TargetIsOwner = 409 [];
    /// The image cannot be copied, or not by this target
    CopyNotPossible = 409 ["snapshotId" "owner"];
    /// Shares that expire are not set up
    ExpiryNotPossible = 409 ["variables"];
    /// This deployment lacks what the request needs, or has it switched off
    NotSetUp = 409 ["parameter" "role"];
    /// The share is about to expire
    ShareEnding = 409 ["expiresAt" "deadline"];
    /// The image would be shared with more entities than the quota allows
    QuotaExceeded = 409 ["count" "new" "quota"];
    /// The event is too old, too new or a replay
    StaleRequest = 409 ["age" "maxAge"];
    /// A snapshot is encrypted with an AWS managed key, which can't be shared
    DefaultKey = 409 [];
    /// A key is disabled, pending deletion or not a symmetric encryption key
    KeyNotUsable = 409 ["state"];
    /// A key does not let the target in
    KeyAccessMissing = 409 ["missing"];
    /// Whether a key lets the target in hangs on conditions that are not known
    KeyAccessConditional = 409 ["dependsOn"];
    /// A key's policy denies the target
    KeyAccessDenied = 409 ["because"];
    /// Whether a key lets the target in could not be found out
    KeyAccessUnknown = 409 ["call"];
}

impl std::fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_title_and_a_client_error_status() {
        for code in RefusalCode::ALL {
            assert!(!code.title().is_empty() && !code.title().starts_with(' '), "{code}");
            assert!((400..500).contains(&code.status()), "{code}");
        }
    }
}
