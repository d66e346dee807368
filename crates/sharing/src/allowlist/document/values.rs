//! Owns how the texts of an allowlist become values, where the type itself has no grammar.

use std::{fmt, str::FromStr};

use time::Duration;

use super::super::{KeyCheck, Pattern, parse_duration};
use crate::{
    domain::{AccountId, quoted},
    request::Action,
};

pub(super) fn parse<T: FromStr<Err: fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

pub(super) fn action(text: &str) -> Result<Action, String> {
    match text.parse::<Action>() {
        Ok(action) if action.needs_entry() => Ok(action),
        Ok(action) => Err(format!("`{action}` needs no entry: whoever a rule names may ask for it")),
        Err(_) => {
            let known = Action::ALL.iter().filter(|action| action.needs_entry());
            let known: Vec<_> = known.map(|action| format!("`{action}`")).collect();
            Err(format!("{} is not an action: {}", quoted(text), known.join(", ")))
        }
    }
}

pub(super) fn pattern(text: &str) -> Result<Pattern, String> {
    if text.is_empty() { Err("an empty pattern matches nothing".to_owned()) } else { Ok(Pattern::new(text)) }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .ok_or_else(|| format!("{} is not a duration from `5m` to `3650d`: a number and m, h or d", quoted(text)))
}

/// Reads a watermark's key: the account that attached it, and its name.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachImageWatermark.html>
pub(super) fn watermark_key(text: &str) -> Result<String, String> {
    let is_name = |name: &str| {
        (3..=128).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"()[] ./-'@_".contains(&byte))
    };
    let key = text.split_once(':').filter(|(account, name)| account.parse::<AccountId>().is_ok() && is_name(name));
    key.map(|_| text.to_owned()).ok_or_else(|| {
        format!(
            "{} is not a watermark: the account that attaches it, `:` and its name of 3 to 128 characters, without wildcards",
            quoted(text)
        )
    })
}

pub(super) fn keys(text: &str) -> Result<KeyCheck, String> {
    match text {
        "verify" => Ok(KeyCheck::Verify),
        "grant" => Ok(KeyCheck::Grant),
        "unchecked" => Ok(KeyCheck::Unchecked),
        _ => Err(format!("{} is not `verify`, `grant` or `unchecked`", quoted(text))),
    }
}
