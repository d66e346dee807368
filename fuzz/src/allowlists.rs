//! Owns allowlists made of parts: rules, criteria, groups and a directory, as JSON, which is YAML.

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    fields::{Damage, Few, Field, Needed, Odd, Optional, Several, put},
    texts,
};

texts! {
    RuleName: ["portal", "operators", "nightly builds", "licensed", "trial", "queue"];
    Requester: [
        "arn:aws:iam::999988887777:role/portal",
        "arn:aws:iam::999988887777:role/*",
        "arn:aws:iam::999988887777:user/ada",
        "events:999988887777:com.example.pipeline",
        "events:999988887777:aws.ec2",
        "sqs:arn:aws:sqs:eu-west-1:999988887777:ami-share-requests.fifo",
        "jwt:https://issuer.example#ada",
        "jwt:https://issuer.example#a*",
        "jwt-group:https://issuer.example#web",
        "lambda:invoke",
    ];
    ActionName: ["share", "revoke", "check", "list", "reset", "usage", "audit", "repair"];
    Pattern: ["golden-*", "nightly-*", "*", "a?b", "licensed"];
    TagName: ["Tier", "Family", "Owner"];
    Watermark: ["999988887777:golden image", "111122223333:(a) [b]"];
    Severity: ["informational", "low", "medium", "high", "critical"];
    Duration: ["30d", "12h", "5m", "30m", "3650d", "72h"];
    TargetName: [
        "111122223333",
        "prod-web",
        "staging-web",
        "web-tier",
        "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5",
        "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111",
        "444455556666",
    ];
    AccessName: ["launch", "copy"];
    Keys: ["verify", "grant", "unchecked"];
    Role: ["autoscaling", "spot", "spotfleet", "ec2fleet", "autoscaling:my_suffix"];
    Parameter: ["/golden/nightly/latest", "/golden/{tag:Family}/{architecture}/latest", "/a/{tag:Tier}"];
    RegionName: ["eu-west-1", "eu-central-1", "us-gov-west-1"];
    Key: [
        "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-west-1:999988887777:key/mrk-1234abcd12ab34cd56ef1234567890ab",
    ];
    AccountId: ["111122223333", "444455556666", "222233334444"];
    AccountName: ["prod-web", "staging-web", "batch"];
    OrganizationId: ["o-a1b2c3d4e5"];
    OrganizationPath: ["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/", "o-a1b2c3d4e5/r-ab12/"];
    GroupName: ["web-tier", "prod", "ops"];
    All: ["all"];
}

/// An allowlist.
#[derive(Debug, Arbitrary)]
pub struct Document {
    version: Needed<VersionNumber>,
    accounts: Optional<Few<(AccountId, Needed<Account>)>>,
    groups: Optional<Few<(GroupName, Needed<Several<TargetName>>)>>,
    rules: Needed<Several<Rule>>,
    more: Optional<Odd>,
    damage: Damage,
}

#[derive(Debug, Clone, Arbitrary)]
enum VersionNumber {
    One,
    StillOne,
    Other(u8),
}

impl Serialize for VersionNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(if let Self::Other(number) = self { *number } else { 1 })
    }
}

#[derive(Debug, Clone, Arbitrary, Serialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    #[serde(skip_serializing_if = "Field::is_absent")]
    name: Needed<AccountName>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    organization_id: Optional<OrganizationId>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    organization_path: Optional<OrganizationPath>,
}

#[derive(Debug, Clone, Arbitrary, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(skip_serializing_if = "Field::is_absent")]
    name: Needed<RuleName>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    requesters: Needed<Several<Requester>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    actions: Needed<Several<ActionName>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    images: Needed<Images>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    targets: Needed<Several<TargetName>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    access: Optional<AccessName>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    keys: Optional<Keys>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    service_linked_roles: Optional<Several<Role>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    max_duration: Optional<Duration>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    on_available: Optional<bool>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    publish: Optional<Publish>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    copies: Optional<Copies>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    approvers: Optional<Several<Requester>>,
}

#[derive(Debug, Clone, Arbitrary, Serialize)]
#[serde(untagged)]
enum Images {
    Criteria(Box<Criteria>),
    All(All),
}

#[derive(Debug, Clone, Arbitrary, Serialize)]
#[serde(rename_all = "camelCase")]
struct Criteria {
    #[serde(skip_serializing_if = "Field::is_absent")]
    names: Needed<Several<Pattern>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    tags: Optional<Tags>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    watermarks: Optional<Several<Watermark>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    max_severity: Optional<Severity>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    scanned_within: Optional<Duration>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    max_age: Optional<Duration>,
}

#[derive(Debug, Clone, Arbitrary)]
struct Tags(Several<(TagName, Needed<Several<Pattern>>)>);

impl Serialize for Tags {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.0.iter().map(|(name, patterns)| (&name.0, patterns)))
    }
}

#[derive(Debug, Clone, Arbitrary, Serialize)]
struct Publish {
    #[serde(skip_serializing_if = "Field::is_absent")]
    parameter: Needed<Parameter>,
}

#[derive(Debug, Clone, Arbitrary, Serialize)]
struct Copies {
    #[serde(skip_serializing_if = "Field::is_absent")]
    from: Needed<Several<RegionName>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    key: Needed<Key>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    within: Optional<Duration>,
}

impl Document {
    /// Its text.
    pub fn text(&self) -> String {
        let mut document = Map::new();
        put(&mut document, "version", &self.version);
        entries(&mut document, "accounts", &self.accounts, |(id, account)| (id.0.clone(), json!(account)));
        entries(&mut document, "groups", &self.groups, |(name, targets)| (name.0.clone(), json!(targets)));
        put(&mut document, "rules", &self.rules);
        put(&mut document, "x", &self.more);
        self.damage.done_to(Value::Object(document).to_string())
    }
}

fn entries<T>(
    object: &mut Map<String, Value>,
    name: &str,
    field: &Optional<Few<T>>,
    entry: impl FnMut(&T) -> (String, Value),
) {
    match field {
        Field::Absent => {}
        Field::Is(items) => {
            drop(object.insert(name.to_owned(), items.0.iter().map(entry).collect::<Map<_, _>>().into()))
        }
        Field::Odd(odd) => drop(object.insert(name.to_owned(), json!(odd))),
    }
}
