//! Owns short digests, which replace a text if AWS accepts fewer characters than it has.

use sha2::{Digest, Sha256};

/// The first `bytes` bytes of the text's SHA-256, as hexadecimal digits.
pub fn digest(text: &str, bytes: usize) -> String {
    let halves = Sha256::digest(text).into_iter().take(bytes).flat_map(|byte| [byte >> 4, byte & 0xf]);
    halves.filter_map(|half| char::from_digit(half.into(), 16)).collect()
}

/// Whether a text has the form of such a digest.
pub fn is_digest(text: &str, bytes: usize) -> bool {
    text.len() == bytes.saturating_mul(2) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
