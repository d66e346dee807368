//! Owns [`RefusalCode`]: the name of every refusal, its HTTP status and its title. The refusal table of the docs is made from it.

use serde::Serialize;

macro_rules! codes {
    ($($(#[doc = $title:literal])+ $name:ident = $status:literal;)+) => {
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

            /// The code in a few words (RFC 9457 `title`).
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => concat!($($title),+).trim_ascii(),)+ }
            }
        }
    };
}

codes! {
    /// The request is not in order
    MalformedRequest = 400;
    /// The caller could not be identified
    Unauthenticated = 401;
    /// No rule of the allowlist names the requester
    RequesterNotAllowed = 403;
    /// No rule allows the requester this action
    ActionNotAllowed = 403;
    /// No rule allows the requester this action on this image
    ImageNotAllowed = 403;
    /// No rule allows the requester to share this image with this target
    TargetNotAllowed = 403;
    /// No rule allows more than launch access here
    AccessNotAllowed = 403;
    /// No rule allows a grant for this service-linked role
    RoleNotAllowed = 403;
    /// The rule only allows shares that expire
    ExpiryRequired = 403;
    /// The rule does not allow a share to last that long
    ExpiryNotAllowed = 403;
    /// There is no such route
    RouteNotFound = 404;
    /// There is no such image in this account and Region
    ImageNotFound = 404;
    /// Nothing that is known has the organization's or organizational unit's id
    TargetNotFound = 404;
    /// The route does not take this method
    MethodNotAllowed = 405;
    /// Another account owns the image
    ImageNotOwned = 409;
    /// The image is not in the state `available`
    ImageNotAvailable = 409;
    /// The target owns the image
    TargetIsOwner = 409;
    /// The image cannot be copied, or not by this target
    CopyNotPossible = 409;
    /// Shares that expire are not set up
    ExpiryNotPossible = 409;
    /// This deployment lacks what the request needs, or has it switched off
    NotSetUp = 409;
    /// The share is about to expire
    ShareEnding = 409;
    /// The image would be shared with more entities than the quota allows
    QuotaExceeded = 409;
    /// The event is too old, too new or a replay
    StaleRequest = 409;
    /// A snapshot is encrypted with an AWS managed key, which can't be shared
    DefaultKey = 409;
    /// A key is disabled, pending deletion or not a symmetric encryption key
    KeyNotUsable = 409;
    /// A key does not let the target in
    KeyAccessMissing = 409;
    /// Whether a key lets the target in hangs on conditions that are not known
    KeyAccessConditional = 409;
    /// A key's policy denies the target
    KeyAccessDenied = 409;
    /// Whether a key lets the target in could not be found out
    KeyAccessUnknown = 409;
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
