//! Owns [`AccountId`].

use std::{fmt, str::FromStr};

use super::{ParseError, quoted, serde_as_string};

/// An AWS account id: exactly twelve ASCII digits, leading zeros included.
///
/// <https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-identifiers.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId([u8; 12]);

impl AccountId {
    /// The account with this ID; `None` if the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 12] = text.as_bytes().try_into().ok()?;
        digits.iter().all(u8::is_ascii_digit).then_some(Self(digits))
    }

    /// The twelve digits.
    pub fn as_str(&self) -> &str {
        // Digits are always text.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for AccountId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text).ok_or_else(|| {
            ParseError::new(format!("{} is not an account id: twelve digits, without hyphens", quoted(text)))
        })
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

serde_as_string!(AccountId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_is_twelve_ascii_digits_and_keeps_its_zeros() {
        assert_eq!("000011112222".parse::<AccountId>().unwrap().to_string(), "000011112222");
        for wrong in [
            "",
            "11112222333",
            "1111222233334",
            "1111-2222-3333",
            "١١١١٢٢٢٢٣٣٣٣",
            "+11112222333",
            " 11112222333",
            "11112222333\n",
            "all",
        ] {
            assert!(wrong.parse::<AccountId>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_json_number_is_refused_with_advice() {
        let error = serde_json::from_str::<AccountId>("111122223333").unwrap_err().to_string();
        assert!(error.contains("put it in quotes"), "{error}");
    }
}
