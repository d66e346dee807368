//! Owns [`RefusalCode`]: every refusal with its kind, its title and the names of its values. Tests compare it with the
//! tables in the docs.

use serde::Serialize;

/// The kinds of refusals, the most important one first: that a caller may not ask comes before that something is
/// missing, and this before the state of the image. Each trigger decides what they mean for its callers, such as an
/// HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalKind {
    /// The request can't be understood.
    Malformed,
    /// The caller is not known.
    Unauthenticated,
    /// The allowlist does not allow it.
    NotAllowed,
    /// What the request names does not exist.
    NotFound,
    /// The route does not take the method.
    MethodNotAllowed,
    /// The state of the image, its keys or this deployment does not allow it.
    Conflict,
}

macro_rules! codes {
    ($($(#[doc = $title:literal])+ $name:ident = $kind:ident [$($value:literal)*];)+) => {
        /// The code of a refusal.
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

            /// The kind of refusal.
            pub fn kind(self) -> RefusalKind {
                match self { $(Self::$name => RefusalKind::$kind,)+ }
            }

            /// The names of the values that its message can have.
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
    MalformedRequest = Malformed ["given" "allowed" "suggestion" "expected" "count" "most" "earliest" "latest" "action"];
    /// The caller could not be identified
    Unauthenticated = Unauthenticated [];
    /// No rule of the allowlist names the requester
    RequesterNotAllowed = NotAllowed ["requester"];
    /// No rule allows the requester this action
    ActionNotAllowed = NotAllowed ["requester" "action" "rule"];
    /// No rule allows the requester this action on this image
    ImageNotAllowed = NotAllowed ["requester" "action"];
    /// No rule allows the requester to share this image with this target
    TargetNotAllowed = NotAllowed ["requester" "action"];
    /// No rule allows more than launch access here
    AccessNotAllowed = NotAllowed ["requester" "rule" "access"];
    /// No rule allows a grant for this service-linked role
    RoleNotAllowed = NotAllowed ["requester" "rule" "roles" "allowed"];
    /// The rule only allows shares that expire
    ExpiryRequired = NotAllowed ["requester" "rule" "maxDuration"];
    /// The rule does not allow a share to last that long
    ExpiryNotAllowed = NotAllowed ["requester" "rule" "maxDuration" "given" "expiresAt"];
    /// The requester may not approve this, or not through this trigger
    ApprovalNotAllowed = NotAllowed ["requester" "rule" "decidedBy"];
    /// No rule makes copies of images in that Region
    CopyNotAllowed = NotAllowed ["requester" "rule" "copyFrom"];
    /// There is no such route
    RouteNotFound = NotFound ["path"];
    /// There is no such image in this account and Region
    ImageNotFound = NotFound [];
    /// Nothing that is known has the organization's or organizational unit's id
    TargetNotFound = NotFound ["id"];
    /// Nothing waits for approval under this ID
    ApprovalNotFound = NotFound [];
    /// The route does not take this method
    MethodNotAllowed = MethodNotAllowed ["method" "allowed"];
    /// Another account owns the image
    ImageNotOwned = Conflict [];
    /// The image is not in the state `available`
    ImageNotAvailable = Conflict ["state"];
    /// The target owns the image
    TargetIsOwner = Conflict [];
    /// The image cannot be copied, or not by this target
    CopyNotPossible = Conflict ["snapshotId" "owner" "variables" "parameter" "keys"];
    /// Shares that expire are not set up
    ExpiryNotPossible = Conflict ["variables"];
    /// This deployment lacks what the request needs, or has it switched off
    NotSetUp = Conflict ["parameter" "role"];
    /// The image can't be published where the rule says
    PublishNotPossible = Conflict ["rule" "parameter" "tag" "given"];
    /// The share is about to expire
    ShareEnding = Conflict ["expiresAt" "deadline"];
    /// Nobody approved the share in time
    ApprovalLapsed = Conflict ["until"];
    /// The share was rejected
    ApprovalRejected = Conflict ["decidedBy"];
    /// The image would be shared with more entities than the quota allows
    QuotaExceeded = Conflict ["count" "new" "quota"];
    /// The event is too old, too new or a replay
    StaleRequest = Conflict ["age" "maxAge"];
    /// A snapshot is encrypted with an AWS managed key, which can't be shared
    DefaultKey = Conflict ["rule" "copyFrom"];
    /// A key is disabled, pending deletion or not a symmetric encryption key
    KeyNotUsable = Conflict ["state"];
    /// The key of the rule can't encrypt a copy
    CopyKeyNotUsable = Conflict ["state"];
    /// A key does not let the target in
    KeyAccessMissing = Conflict ["missing"];
    /// Whether a key lets the target in depends on conditions that are not known
    KeyAccessConditional = Conflict ["dependsOn"];
    /// A key's policy denies the target
    KeyAccessDenied = Conflict ["because"];
    /// Whether a key lets the target in could not be found out
    KeyAccessUnknown = Conflict ["call"];
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
    fn every_code_has_a_title() {
        for code in RefusalCode::ALL {
            assert!(!code.title().is_empty() && !code.title().starts_with(' '), "{code}");
        }
    }
}
