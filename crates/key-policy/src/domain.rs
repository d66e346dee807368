//! Owns the names that AWS gives accounts, organizations, keys and roles. A value of these types is always well-formed.
//!
//! Every type parses with [`FromStr`](std::str::FromStr), shows itself in AWS's own spelling with `Display`, and goes
//! through serde as that string.

mod account_id;
mod arn;
mod key_arn;
mod organization;
mod service_linked_role;
mod target;

pub use account_id::AccountId;
pub use arn::{Arn, Partition, iam_role_arn};
pub use key_arn::KeyArn;
pub use organization::{
    OrganizationArn, OrganizationalUnitArn, is_organization_id, is_organization_path, is_organizational_unit_id,
};
pub use service_linked_role::ServiceLinkedRole;
pub use target::Target;

/// Why a text can't be parsed, in a sentence for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError(String);

impl ParseError {
    /// An error with this sentence.
    pub fn new(message: impl Into<String>) -> Self {
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
pub fn quoted(text: &str) -> String {
    format!("`{}`", excerpt(text))
}

/// The beginning of a caller's text, control characters escaped.
pub fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

/// Serialises and deserialises a domain type as the string it displays.
#[macro_export]
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
pub use serde_as_string;

/// A string that was written as a string. YAML's unquoted `111122223333` is a number, which would lose leading zeros,
/// so it is refused.
#[derive(Debug)]
pub struct StrictString(pub String);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_text_is_shown_short_and_on_one_line() {
        for (text, shown) in [
            ("golden", "golden".to_owned()),
            ("", String::new()),
            ("a\nb\u{1b}[0m", "a\\nb\\u{1b}[0m".to_owned()),
            (&"é".repeat(80), "é".repeat(80)),
            (&"é".repeat(81), format!("{}…", "é".repeat(80))),
        ] {
            assert_eq!(excerpt(text), shown, "{text:?}");
            assert_eq!(quoted(text), format!("`{shown}`"), "{text:?}");
        }
    }

    #[test]
    fn an_id_that_is_not_written_as_text_is_refused_with_a_reason() {
        for (json, reason) in [
            ("111122223333", "`111122223333` is a number here: put it in quotes"),
            ("-1", "`-1` is a number here"),
            ("1.5", "`1.5` is a number here"),
            ("null", "expected a string"),
            ("[]", "expected a string"),
        ] {
            let error = serde_json::from_str::<StrictString>(json).unwrap_err().to_string();
            assert!(error.contains(reason), "{json}: {error}");
        }
        assert_eq!(serde_json::from_str::<AccountId>(r#""011122223333""#).unwrap().to_string(), "011122223333");
    }
}
