//! The nouns of AMI sharing: small values that cannot be wrong once they exist.
//!
//! Every type parses with [`FromStr`](std::str::FromStr), shows itself in AWS's own spelling with
//! `Display`, and goes through serde as that string. No I/O, no SDK types.

mod account_id;
mod arn;
mod digest;
mod expiry_name;
mod function_arn;
mod grant_name;
mod key_arn;
mod organization;
mod region;
mod requester;
mod resource_id;
mod service_linked_role;
mod target;
mod visible;

pub use account_id::AccountId;
pub(crate) use arn::Arn;
pub use arn::{Partition, iam_role_arn};
pub(crate) use digest::{digest, is_digest};
pub use expiry_name::ExpiryName;
pub use function_arn::FunctionArn;
pub use grant_name::GrantName;
pub use key_arn::KeyArn;
pub use organization::{GroupId, OrganizationArn, OrganizationalUnitArn};
pub(crate) use organization::{is_organization_id, is_organization_path};
pub use region::Region;
pub use requester::Requester;
pub use resource_id::{ImageId, SnapshotId};
pub use service_linked_role::ServiceLinkedRole;
pub use target::Target;
pub(crate) use visible::{code_point, invisible};

/// Why a piece of text is not what it was taken for; the sentence is meant for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError(String);

impl ParseError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseError {}

/// Shows a caller's text inside a message: shortened, control characters escaped, in backticks.
pub(crate) fn quoted(text: &str) -> String {
    format!("`{}`", excerpt(text))
}

/// The beginning of a caller's text, control characters escaped.
pub(crate) fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

/// The text, or its beginning where it has more characters than this.
pub(crate) fn shortened(text: &str, most: usize) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => text.into(),
        Some((end, _)) => format!("{}… (shortened)", text.get(..end).unwrap_or_default()).into(),
    }
}

/// Shows the first few of a list that may be long, and how many more there are.
pub(crate) fn some_of(items: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    const SHOWN: usize = 5;
    let mut items = items.into_iter();
    let mut shown = items.by_ref().take(SHOWN).map(|item| item.to_string()).collect::<Vec<_>>().join(", ");
    let more = items.count();
    if more > 0 {
        shown.push_str(&format!(" and {more} more"));
    }
    shown
}

/// Shows a time as documents write it.
pub(crate) fn shown(time: time::OffsetDateTime) -> String {
    time.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

/// Serialises and deserialises a domain type as the string it displays.
macro_rules! serde_as_string {
    ($($type:ty),+) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = $crate::domain::StrictString::deserialize(deserializer)?;
                text.0.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
pub(crate) use serde_as_string;

/// A string that was written as a string: YAML's unquoted `111122223333` is a number, which loses
/// leading zeros, and is refused.
pub(crate) struct StrictString(pub(crate) String);

impl<'de> serde::Deserialize<'de> for StrictString {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = StrictString;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<StrictString, E> {
                Ok(StrictString(value.to_owned()))
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<StrictString, E> {
                Err(number(value))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<StrictString, E> {
                Err(number(value))
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<StrictString, E> {
                Err(number(value))
            }
        }

        fn number<E: serde::de::Error>(value: impl std::fmt::Display) -> E {
            E::custom(format_args!(
                "`{value}` is a number here: put it in quotes (an id is text and may begin with zeros)"
            ))
        }

        deserializer.deserialize_any(Visitor)
    }
}
