//! Owns [`PageToken`]: the next page of `images` or of a `list` by account.

use std::str::FromStr;

use serde::Serialize;

use crate::domain::quoted;

/// Longer than any token of EC2, and short enough for a URL.
const LONGEST: usize = 2_000;

/// EC2's own token, which only EC2 can interpret. Callers send it back unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PageToken(String);

impl PageToken {
    /// The token for EC2.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PageToken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_plain {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{} is not the `nextToken` of a page", quoted(text)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_printable_ascii_of_a_bounded_length() {
        for (text, is_token) in [
            ("eyJ2IjoiMSJ9+/=", true),
            (&*"x".repeat(LONGEST), true),
            (&*"x".repeat(LONGEST + 1), false),
            ("", false),
            ("a b", false),
            ("a\n", false),
            ("é", false),
        ] {
            assert_eq!(text.parse::<PageToken>().is_ok(), is_token, "{text}");
        }
    }
}
