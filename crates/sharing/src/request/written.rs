//! Owns how a [`Request`] is written into a record, which outlives the invocation, and read back.
//!
//! It is written as a request document with all defaults, and read by the same parser. There are two differences: a
//! target that is a bare ID has a field, `group`; and the expiry time is not compared with the current time, because
//! that was done when the request arrived.

use key_policy::json::Json;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::{Map, Value, json};

use super::{Faults, Request, read::Origin, shape::meaningless};
use crate::domain::{Target, rfc3339};

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        document(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Request {
    /// Reads a request from a record. The place of each target is its place in this document.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Json::deserialize(deserializer)?;
        Self::read(Origin::Record, &document).map_err(|malformed| D::Error::custom(words(&malformed.faults)))
    }
}

fn document(request: &Request) -> Map<String, Value> {
    let Request {
        action,
        image_ids,
        targets,
        shared_with,
        group,
        access,
        service_linked_roles,
        expires_at,
        copy_from,
        approval_id,
        name,
        rows,
        next_token,
        page,
        dry_run,
        reason,
        // A record has no URL.
        parameters: _,
    } = request;
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| drop(document.insert(name.to_owned(), value));
    put("version", json!("1"));
    put("action", json!(action));
    put("dryRun", json!(dry_run));
    if !meaningless(*action, shared_with.is_some()).contains(&"access") {
        put("access", json!(access));
    }
    if *rows {
        put("rows", json!(rows));
    }
    let targets: Vec<_> = targets.iter().map(|asked| &asked.target).cloned().collect();
    let lists = [("imageIds", json!(image_ids)), ("serviceLinkedRoles", json!(service_linked_roles))];
    let lists = lists.into_iter().chain(targets_by_field(targets, shared_with.map(Target::Account)));
    for (name, list) in lists {
        if list.as_array().is_some_and(|items| !items.is_empty()) {
            put(name, list);
        }
    }
    let page = page.as_ref().map(|page| page.as_str().to_owned());
    let next_token = next_token.as_ref().map(ToString::to_string).or(page);
    let others = [
        ("group", group.as_ref().map(ToString::to_string)),
        ("expiresAt", expires_at.map(rfc3339)),
        ("copyFrom", copy_from.as_ref().map(ToString::to_string)),
        ("approvalId", approval_id.clone()),
        ("name", name.clone()),
        ("nextToken", next_token),
        ("reason", reason.clone()),
    ];
    for (name, value) in others {
        if let Some(value) = value {
            put(name, json!(value));
        }
    }
    document
}

/// The targets and the account of a `list`, in the field of each kind of target.
fn targets_by_field(mut targets: Vec<Target>, account: Option<Target>) -> [(&'static str, Value); 3] {
    targets.extend(account);
    let of_kind =
        |is_kind: fn(&Target) -> bool| json!(targets.iter().filter(|target| is_kind(target)).collect::<Vec<_>>());
    [
        ("accountIds", of_kind(|target| matches!(target, Target::Account(_)))),
        ("organizationArns", of_kind(|target| matches!(target, Target::Organization(_)))),
        ("organizationalUnitArns", of_kind(|target| matches!(target, Target::OrganizationalUnit(_)))),
    ]
}

fn words(faults: &Faults) -> String {
    let named: Vec<_> = faults.named.iter().map(|fault| format!("{}: {}", fault.pointer, fault.message)).collect();
    named.join("; ")
}
