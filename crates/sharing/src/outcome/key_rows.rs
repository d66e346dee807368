//! Owns how rows of keys are written. Rows of one image share what the key evaluator said: it is written once, and copied.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use key_policy::{KeyAccess, Limit, Verdict};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeSeq},
};
use serde_json::value::{RawValue, to_raw_value};

use super::{GrantState, ImageRow, KeyRow, RoleRow, to_text};
use crate::domain::{KeyArn, Target};

/// A row, as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    key_arn: &'a KeyArn,
    target: &'a Target,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<GrantState>,
    #[serde(flatten)]
    access: &'a WrittenAccess<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [RoleRow],
}

/// What is shared: the fields of [`KeyAccess`] that are shown, in their order. Those that are long in most answers are JSON text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenAccess<'a> {
    verdict: Verdict,
    because: Box<RawValue>,
    per_action: Box<RawValue>,
    missing: &'a [String],
    depends_on: &'a [String],
    limits: &'a [Limit],
    likely_to_fail: &'a [String],
    notes: Box<RawValue>,
    remedy: Option<Box<RawValue>>,
}

impl<'a> WrittenAccess<'a> {
    fn new(access: &'a KeyAccess) -> serde_json::Result<Self> {
        let KeyAccess { verdict, because, per_action, missing, depends_on, limits, .. } = access;
        let KeyAccess { likely_to_fail, notes, remedy, .. } = access;
        let remedy = remedy.as_ref().map(to_raw_value).transpose()?;
        let [because, per_action, notes] = [to_raw_value(because)?, to_raw_value(per_action)?, to_raw_value(notes)?];
        let verdict = *verdict;
        Ok(Self { verdict, because, per_action, missing, depends_on, limits, likely_to_fail, notes, remedy })
    }
}

impl<'a> Written<'a> {
    fn new(row: &'a KeyRow, access: &'a WrittenAccess<'a>) -> Self {
        let KeyRow { key_arn, target, grant, access: _, roles } = row;
        Self { key_arn, target, grant: *grant, access, roles }
    }
}

impl Serialize for KeyRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let access = WrittenAccess::new(&self.access).map_err(S::Error::custom)?;
        Written::new(self, &access).serialize(serializer)
    }
}

/// Whether what the key evaluator said takes more bytes than this, counted for each row. It is written once for that, and no more
/// of it than needed.
pub(super) fn are_longer_than(images: &[ImageRow], most: usize) -> bool {
    let (mut lengths, mut left) = (BTreeMap::new(), most);
    let is_too_much = |row: &KeyRow| {
        let length = *lengths.entry(Arc::as_ptr(&row.access)).or_insert_with(|| to_text(&*row.access).len());
        let rest = left.checked_sub(length);
        left = rest.unwrap_or_default();
        rest.is_none()
    };
    images.iter().flat_map(|image| &image.keys).any(is_too_much)
}

/// Writes the rows of an image.
pub(super) fn write<S: Serializer>(rows: &[KeyRow], serializer: S) -> Result<S::Ok, S::Error> {
    let (mut shared, mut written) = (BTreeMap::new(), serializer.serialize_seq(Some(rows.len()))?);
    for row in rows {
        let access = match shared.entry(Arc::as_ptr(&row.access)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(WrittenAccess::new(&row.access).map_err(S::Error::custom)?),
        };
        written.serialize_element(&Written::new(row, access))?;
    }
    written.end()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A row has every field of what the evaluator says, shared or not.
    #[test]
    fn rows_that_share_an_answer_are_written_like_rows_that_do_not() {
        let key = "arn:aws:kms:eu-west-1:999988887777:key/1";
        let (key_arn, target): (KeyArn, Target) = (key.parse().unwrap(), "111122223333".parse().unwrap());
        let access = KeyAccess::unknown("nobody \"knows\"".to_owned());
        let access = KeyAccess { depends_on: vec!["aws:x".to_owned()], remedy: Some(json!([1])), ..access };
        let shared = Arc::new(access);
        let row = |access| KeyRow {
            key_arn: key_arn.clone(),
            target: target.clone(),
            grant: None,
            access,
            roles: Vec::new(),
        };
        let rows = [row(Arc::clone(&shared)), row(Arc::new(shared.as_ref().clone())), row(Arc::clone(&shared))];
        let mut expected = json!(shared.as_ref());
        expected["keyArn"] = json!(key);
        expected["target"] = json!("111122223333");
        let mut text = Vec::new();
        write(&rows, &mut serde_json::Serializer::new(&mut text)).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), json!([expected, expected, expected]));
        assert_eq!(json!(rows[0]), expected);
    }
}
