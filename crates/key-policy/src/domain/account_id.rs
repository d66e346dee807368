//! Owns [`AccountId`].

use std::{fmt, str::FromStr};

use super::{ParseError, quoted, serde_as_string};

const DIGITS: usize = 12;

/// An AWS account id: exactly twelve ASCII digits, leading zeros included.
///
/// <https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-identifiers.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u64);

impl AccountId {
    /// The account with this ID; `None` if the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_one = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        is_one.then(|| text.parse().ok().map(Self)).flatten()
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
        // Digit by digit: an answer has thousands of them, and formatting a number with its width is slower.
        let (mut digits, mut rest) = ([b'0'; DIGITS], self.0);
        for digit in digits.iter_mut().rev() {
            *digit = digit.saturating_add(u8::try_from(rest % 10).unwrap_or_default());
            rest /= 10;
        }
        f.write_str(str::from_utf8(&digits).unwrap_or_default())
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
