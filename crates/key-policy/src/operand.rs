//! Owns the values that are not compared as text (numbers, dates, IP ranges) and how they are read.

use std::{cmp::Ordering, net::IpAddr};

use base64::{
    Engine as _, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};
use ipnet::IpNet;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::truth::Truth;

/// A number of a numeric operator: integers are compared exactly, others as floating point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Integer(i128),
    Decimal(f64),
}

impl Number {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(integer) = text.parse() {
            return Some(Self::Integer(integer));
        }
        // Rust also accepts `inf` and `nan`.
        let is_decimal =
            text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
        let decimal: f64 = is_decimal.then(|| text.parse().ok()).flatten()?;
        decimal.is_finite().then_some(Self::Decimal(decimal))
    }

    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(one), Self::Integer(other)) => Some(one.cmp(&other)),
            _ => self.as_decimal().partial_cmp(&other.as_decimal()),
        }
    }

    fn as_decimal(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "mixed with a decimal there is nothing more exact")]
            Self::Integer(integer) => integer as f64,
            Self::Decimal(decimal) => decimal,
        }
    }
}

/// Reads a date of a date operator: one of W3C's ISO 8601 profiles, or seconds since 1970.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_Date>
pub(super) fn parse_date(text: &str) -> Option<OffsetDateTime> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.len() {
        // It may be a year, or seconds in the first hours of 1970.
        4 => None,
        _ if is_digits => text.parse().ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()),
        7 => OffsetDateTime::parse(&format!("{text}-01T00:00:00Z"), &Rfc3339).ok(),
        10 => OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339).ok(),
        _ => OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| {
            // Hours and minutes without seconds.
            let (date, time) = text.split_once('T')?;
            let zone = time.find(['Z', '+', '-'])?;
            let (time, zone) = time.split_at_checked(zone)?;
            (time.len() == 5)
                .then(|| OffsetDateTime::parse(&format!("{date}T{time}:00{zone}"), &Rfc3339).ok())
                .flatten()
        }),
    }
}

/// A range of addresses in CIDR notation; a bare address is a range of one.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_IPAddress>
#[derive(Debug, Clone, Copy)]
pub(super) struct Range(IpNet);

impl Range {
    pub(super) fn parse(text: &str) -> Option<Self> {
        // `IpNet` would also accept addresses with leading zeros, which some programs read as octal.
        let address = |text: &str| text.parse::<IpAddr>().ok();
        let Some((text, prefix)) = text.split_once('/') else {
            return address(text).map(|address| Self(address.into()));
        };
        // `u8` would also accept `+8`.
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit()).then_some(prefix)?;
        IpNet::new(address(text)?, digits.parse().ok()?).ok().map(Self)
    }

    pub(super) fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

/// Base64 as a binary operator requires it: padded. The unused bits of the last character may have any value.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Whether a text is Base64 as a binary operator requires it.
pub(super) fn is_base64(text: &str) -> bool {
    BASE64.decode(text).is_ok()
}

/// A boolean of a request, which AWS spells `true` or `false`.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A boolean of a policy. AWS does not say how KMS reads `True` and `False`. But `False` is never true: KMS either
/// reads it as false, or nothing is equal to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    Is(bool),
    /// `True`.
    OddTrue,
    /// `False`.
    OddFalse,
}

impl Flag {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            _ if parse_bool(text).is_some() => parse_bool(text).map(Self::Is),
            _ if text.eq_ignore_ascii_case("true") => Some(Self::OddTrue),
            _ if text.eq_ignore_ascii_case("false") => Some(Self::OddFalse),
            _ => None,
        }
    }

    /// Whether it equals a value.
    pub(super) fn equals(self, value: bool) -> Truth {
        match self {
            Self::Is(own) => (own == value).into(),
            Self::OddFalse if value => Truth::False,
            Self::OddTrue | Self::OddFalse => Truth::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        let compare = |one, other| Number::parse(one)?.compare(Number::parse(other)?);
        assert_eq!(compare("60", "60.0"), Some(Ordering::Equal));
        assert_eq!(compare("-1", "0"), Some(Ordering::Less));
        assert_eq!(compare("1e2", "99.5"), Some(Ordering::Greater));
        assert_eq!(compare("9007199254740993", "9007199254740992"), Some(Ordering::Greater));
        for wrong in ["", "abc", "inf", "NaN", "1e999", "1,5", "0x10", " 1"] {
            assert!(Number::parse(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn dates_are_read_in_all_the_documented_forms() {
        let same = parse_date("2026-01-01T00:00:00Z");
        assert!(same.is_some());
        for text in [
            "2026-01-01",
            "2026-01",
            "2026-01-01T00:00Z",
            "2026-01-01T01:00:00+01:00",
            "2025-12-31T19:00-05:00",
            "2026-01-01T00:00:00.000Z",
            "1767225600",
        ] {
            assert_eq!(parse_date(text), same, "{text}");
        }
        for wrong in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-30",
            "tomorrow",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00",
            "99999999999999",
        ] {
            assert_eq!(parse_date(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn ranges_hold_the_addresses_of_their_own_family() {
        let holds = |range, address: &str| Range::parse(range).map(|range| range.contains(address.parse().unwrap()));
        assert_eq!(holds("203.0.113.0/24", "203.0.113.255"), Some(true));
        assert_eq!(holds("203.0.113.0/24", "203.0.114.0"), Some(false));
        assert_eq!(holds("203.0.113.9/24", "203.0.113.7"), Some(true));
        assert_eq!(holds("203.0.113.7", "203.0.113.7"), Some(true));
        assert_eq!(holds("203.0.113.7", "203.0.113.6"), Some(false));
        assert_eq!(holds("0.0.0.0/0", "255.1.2.3"), Some(true));
        assert_eq!(holds("0.0.0.0/0", "2001:db8::1"), Some(false));
        assert_eq!(holds("2001:db8::/32", "2001:db8:ffff::"), Some(true));
        assert_eq!(holds("2001:db8::/32", "2001:db9::"), Some(false));
        assert_eq!(holds("::/0", "2001:db9::"), Some(true));
        for wrong in [
            "",
            "203.0.113.0/33",
            "203.0.113.0/-1",
            "203.0.113.0/+8",
            "203.0.113.0/",
            "::/129",
            "203.0.113",
            "host/8",
            "010.0.0.0/8",
        ] {
            assert!(Range::parse(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn base64_and_booleans_are_read_strictly() {
        assert!(["", "QmluYXJ5", "aGk=", "aGl=", "aA==", "+/+/"].into_iter().all(is_base64));
        assert!(!["a", "a===", "aGk", "a*==", "aG=k", "====", "aGk=\n", "_-_-"].into_iter().any(is_base64));
        assert_eq!(["true", "false", "True", "1", ""].map(parse_bool), [Some(true), Some(false), None, None, None]);
        let equals = |text: &str| Flag::parse(text).map(|flag| [flag.equals(true), flag.equals(false)]);
        assert_eq!(equals("true"), Some([Truth::True, Truth::False]));
        assert_eq!(equals("false"), Some([Truth::False, Truth::True]));
        assert_eq!(equals("TRUE"), Some([Truth::Unknown, Truth::Unknown]));
        assert_eq!(equals("False"), Some([Truth::False, Truth::Unknown]));
        assert_eq!(["1", "0", "yes", ""].map(equals), [None; 4]);
    }
}
