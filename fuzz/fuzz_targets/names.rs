//! Any text as what others write in one word: IDs, ARNs, names of records, tokens, times, places. What is read is written back as
//! the same, and what is refused is told in a line of bounded length.

#![no_main]

use std::{fmt::Display, str::FromStr};

use libfuzzer_sys::fuzz_target;
use sharing::{
    allowlist::{Location, parse_duration, written},
    domain::{
        AccountId, FunctionArn, GrantName, GroupId, ImageId, KeyArn, OrganizationArn, OrganizationalUnitArn,
        ParameterName, Region, ServiceLinkedRole, Severity, SnapshotId, Target,
    },
    records::{Mac, RecordName},
    request::{Access, Action, NextToken, PageToken},
};
use triggers::{ClientId, Issuer, Origin};

/// No refusal is longer, however long the text is.
const LONGEST_REFUSAL: usize = 1_000;

fuzz_target!(|text: &str| {
    same::<AccountId>(text);
    same::<ImageId>(text);
    same::<SnapshotId>(text);
    same::<KeyArn>(text);
    same::<OrganizationArn>(text);
    same::<OrganizationalUnitArn>(text);
    same::<Target>(text);
    same::<ServiceLinkedRole>(text);
    same::<Region>(text);
    same::<RecordName>(text);
    if let Some(token) = read::<NextToken>(text) {
        // The keys of a token are a set.
        assert_eq!(token.to_string().parse(), Ok(token));
    }
    same::<Action>(text);
    read::<Access>(text);
    read::<Severity>(text);
    if let Some(mac) = read::<Mac>(text) {
        assert_eq!(serde_json::to_string(&mac).ok(), serde_json::to_string(text).ok());
    }
    if let Some(token) = read::<PageToken>(text) {
        assert_eq!(token.as_str(), text);
    }
    if let Some(name) = read::<ParameterName>(text) {
        assert_eq!(name.as_str(), text);
    }
    if let Some(arn) = read::<FunctionArn>(text) {
        assert!(text.starts_with(arn.as_str()) && text.contains(&arn.account().to_string()));
        assert!(arn.bus_arn("ami-share").starts_with("arn:"));
    }
    if let Some(id) = read::<ClientId>(text) {
        assert_eq!(id.as_str(), text);
    }
    read::<Issuer>(text);
    read::<Origin>(text);
    read::<Location>(text);
    let _ = GroupId::parse(text);
    if let Some(image_id) = GrantName::image_of(text) {
        assert!(GrantName::is_for_image(text, &image_id));
        if let Some(account) = GrantName::account_of(text, &image_id) {
            assert!(GrantName::is_for(text, &image_id, account));
        }
    }
    if let Some(duration) = parse_duration(text) {
        assert_eq!(parse_duration(&written(duration)), Some(duration));
    }
});

/// Reads a text; what is wrong with it is short and can be seen.
fn read<T: FromStr<Err: Display>>(text: &str) -> Option<T> {
    match text.parse() {
        Ok(read) => Some(read),
        Err(error) => {
            let error = T::Err::to_string(&error);
            assert!(
                !error.is_empty() && error.len() < LONGEST_REFUSAL && !error.chars().any(char::is_control),
                "{error:?}"
            );
            None
        }
    }
}

/// Reads a text that is written back in the same letters.
fn same<T: FromStr<Err: Display> + Display>(text: &str) {
    if let Some(read) = read::<T>(text) {
        assert_eq!(read.to_string(), text);
    }
}
