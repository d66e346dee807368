//! Owns request documents made of parts.

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use serde::Serialize;

use crate::{
    fields::{Field, Needed, Odd, Optional, PLANTED, Several},
    texts,
};

texts! {
    Version: ["1"];
    ActionName: ["share", "revoke", "check", "list", "reset", "audit", "repair", "images", "usage", "approvals", "approve", "reject"];
    Image: ["ami-0123456789abcdef0", "ami-1a2b3c4d", "ami-0fedcba9876543210", "ami-00000000"];
    Account: ["111122223333", "222233334444", "444455556666", "999988887777"];
    Organization: [
        "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5",
        "arn:aws-cn:organizations::111122223333:organization/o-a1b2c3d4e5",
        "o-a1b2c3d4e5",
    ];
    Unit: [
        "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111",
        "arn:aws-us-gov:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-22222222",
        "ou-ab12-11111111",
    ];
    AccessName: ["launch", "copy"];
    Role: ["autoscaling", "spot", "spotfleet", "ec2fleet", "autoscaling:my_suffix"];
    Time: [
        "2026-12-24T12:00:00Z",
        "2027-01-31T12:00:00+01:00",
        "2026-11-22T12:06:00.5Z",
        "2030-02-28t23:59:60Z",
        "2026-11-22T12:00:00Z",
        "2036-11-19T12:00:00-23:59",
    ];
    RegionName: ["eu-west-2", "us-gov-west-1", "cn-north-1", "eu-west-1"];
    NamePattern: ["golden-*", "golden-web-?", "*"];
    ApprovalId: ["ask-aeb221660ff09134bb3a46b295554820", "aeb221660ff09134bb3a46b295554820"];
    Token: ["ami-1a2b3c4d", "ami-1a2b3c4d.0123456789ab", "ami-0123456789abcdef0.0123456789ab.ba9876543210", "eyJ2IjoiMSJ9+/="];
    Reason: ["release 1.4", "für ☂", "a, b; c"];
    /// What a field might be called that no request has.
    Unknown: ["requester", "userArn", "account", "expire", "dryrun", "$schema"];
}

/// A request document.
#[derive(Debug, Clone, Arbitrary, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub version: Optional<Version>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub action: Needed<ActionName>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub image_ids: Needed<Several<Image>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub account_ids: Needed<Several<Account>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub organization_arns: Optional<Several<Organization>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub organizational_unit_arns: Optional<Several<Unit>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub access: Optional<AccessName>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub service_linked_roles: Optional<Several<Role>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub expires_at: Optional<Time>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub copy_from: Optional<RegionName>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub approval_id: Optional<ApprovalId>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub name: Optional<NamePattern>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub rows: Optional<bool>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub next_token: Optional<Token>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub dry_run: Optional<bool>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub reason: Optional<Reason>,
    #[serde(flatten)]
    pub more: More,
}

/// A field that no request has; seldom. It may name a requester.
#[derive(Debug, Clone)]
pub struct More(Option<(Unknown, Value)>);

#[derive(Debug, Clone, Arbitrary)]
enum Value {
    Planted,
    Odd(Odd),
}

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Planted => PLANTED.serialize(serializer),
            Self::Odd(value) => value.serialize(serializer),
        }
    }
}

impl<'a> Arbitrary<'a> for More {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let is_there = u.ratio(1, 16)?;
        Ok(Self(if is_there { Some(u.arbitrary()?) } else { None }))
    }
}

impl Serialize for More {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.as_ref().map(|(name, value)| (&name.0, value)))
    }
}
