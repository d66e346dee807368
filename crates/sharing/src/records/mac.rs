//! Owns [`Mac`]: the message authentication code of a record. Anyone who may write schedules can write a record's name
//! and text, but only the function can make its code, because it needs the stack's HMAC key.

use std::{fmt, hint::black_box, str::FromStr};

use sha2::{Digest, Sha256};

use crate::domain::{ParseError, is_digest, quoted, serde_as_string};

/// The number of bytes of an `HMAC_SHA_256`.
const BYTES: usize = 32;

/// What the digest begins with, so that nothing else that the key may be used for has the same digest.
const PURPOSE: &str = "ami-share record";

/// A message authentication code of `HMAC_SHA_256`, which is written as hexadecimal digits.
#[derive(Clone)]
pub struct Mac([u8; BYTES]);

impl Mac {
    /// The message of the code: the name of the record, and its text without the code.
    ///
    /// It is a digest, because KMS takes a message of up to 4,096 bytes and a text may be longer:
    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html>
    pub fn digest(name: &str, text: &str) -> [u8; 32] {
        // A name holds no control character, so no other name and text make the same message.
        Sha256::digest(format!("{PURPOSE}\0{name}\0{text}")).into()
    }

    /// The code in the answer of KMS; none if it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// Compares in constant time: the duration must not show how many digits of a forged code are right.
impl PartialEq for Mac {
    fn eq(&self, other: &Self) -> bool {
        let difference =
            self.0.iter().zip(&other.0).fold(0, |difference, (one, two)| difference | black_box(one ^ two));
        difference == 0
    }
}

impl Eq for Mac {}

/// A code that is right must not be in a log.
impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(…)")
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Mac {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bytes = text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        let code = is_digest(text, BYTES).then(|| bytes.collect::<Option<Vec<_>>>()).flatten();
        code.and_then(|bytes| Self::from_bytes(&bytes))
            .ok_or_else(|| ParseError::new(format!("{} is not a message authentication code", quoted(text))))
    }
}

serde_as_string!(Mac);

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

    #[test]
    fn a_code_is_read_as_it_was_written() {
        let mac: Mac = WRITTEN.parse().unwrap();
        assert_eq!(mac.to_string(), WRITTEN);
        assert_eq!(Mac::from_bytes(&mac.0), Some(mac));
        for wrong in [
            "",
            WRITTEN.trim_start_matches("00"),
            &format!("{WRITTEN}00"),
            &WRITTEN.replace('f', "F"),
            &WRITTEN.replace('f', "+"),
        ] {
            assert!(wrong.parse::<Mac>().is_err(), "{wrong}");
        }
        assert_eq!(Mac::from_bytes(&[0; 31]), None);
    }

    #[test]
    fn codes_are_equal_where_every_byte_is() {
        let mac: Mac = WRITTEN.parse().unwrap();
        for place in 0..BYTES {
            let mut other = mac.clone();
            other.0[place] ^= 1;
            assert_ne!(mac, other, "{place}");
        }
        assert_eq!(format!("{mac:?}"), "Mac(…)");
    }

    #[test]
    fn another_name_or_text_has_another_digest() {
        // printf 'ami-share record\0name\0text' | sha256sum
        let digest = Mac::digest("name", "text");
        let written: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written, "9acbc53f3e6e63a9912e6eb6cdf3ba88f1ea95080d5c954a09d9ca55f65c95ff");
        for (name, text) in [("name2", "text"), ("name", "text2"), ("namet", "ext"), ("", "name\0text")] {
            assert_ne!(Mac::digest(name, text), digest, "{name} {text}");
        }
    }
}
