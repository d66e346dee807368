//! Owns [`World`], for tests that need no AWS: an image in an account, as EC2 and KMS would report it. Each row of a
//! test changes something in it.

use std::collections::BTreeMap;

use key_policy::{Grant, Policy, json::Json};
use serde_json::{Value, json};
use sharing::{
    allowlist::Allowlist,
    decide::{Approval, Authority, Case, ImageDecision, Judgements, Setup, as_facts, images_meant, resolve_copies},
    domain::{AccountId, ExpiryName, ImageId, KeyArn, ParameterName, Requester, Target},
    facts::{
        Backing, Copies, CopyRecord, CreateVolumePermissions, Expiry, Fact, Facts, Failure, Image, ImageState, Key,
        KeyMetadata, LaunchPermission, Parameter, Provenance, Snapshot,
    },
    outcome::ErrorCode,
    request::Request,
};
use time::{Duration, OffsetDateTime, macros::datetime};

pub use crate::key_policies::root;
use crate::key_policies::{open_to, parsed};

pub const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
pub const IMAGE: &str = "ami-1a2b3c4d";
pub const KEY: &str = "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab";
pub const FOREIGN_KEY: &str = "arn:aws:kms:eu-west-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab";
pub const ORGANIZATION: &str = "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5";
pub const ONE: &str = "111122223333";
pub const TWO: &str = "222233334444";
pub const ALLOWLIST: &str = r#"
version: 1
accounts:
  "111122223333": {name: prod-web}
rules:
  - name: portal
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["golden-*"]}
    targets: ["111122223333", "222233334444", "999988887777", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5", "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111"]
    access: copy
  - name: grants
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["granted-*"]}
    targets: ["111122223333", "222233334444", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]
    access: copy
    keys: grant
    serviceLinkedRoles: [autoscaling]
  - name: loose
    requesters: ["lambda:invoke"]
    actions: [share, check]
    images: {names: ["loose-*"]}
    targets: ["111122223333"]
    keys: unchecked
  - name: sharer
    requesters: ["lambda:invoke"]
    actions: [share]
    images: {names: ["kept-*"]}
    targets: ["111122223333"]
  - name: temporary
    requesters: ["lambda:invoke"]
    actions: [share, revoke]
    images: {names: ["temporary-*"]}
    targets: ["111122223333"]
    maxDuration: 30d
  - name: somebody-elses
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [revoke]
    images: all
    targets: ["333344445555"]
  - name: by-itself
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["golden-new-*"]}
    targets: ["111122223333"]
    onAvailable: true
  - name: by-itself-for-a-while
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["nightly-*"]}
    targets: ["111122223333"]
    maxDuration: 30d
    onAvailable: true
  - name: trial
    requesters: ["arn:aws:iam::999988887777:role/portal", "lambda:invoke"]
    actions: [share, check]
    images: {names: ["trial-*"]}
    targets: ["111122223333"]
    maxDuration: 30d
  - name: marked
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["marked-*"], tags: {Tier: [gold]}, watermarks: ["999988887777:approved", "999988887777:tested"]}
    targets: ["111122223333"]
  - name: scanned
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["scanned-*"], maxSeverity: medium, scannedWithin: 30d}
    targets: ["111122223333"]
  - name: recent
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["recent-*"], maxAge: 180d}
    targets: ["111122223333"]
  - name: marked-by-itself
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["marked-new-*"], watermarks: ["999988887777:approved"]}
    targets: ["111122223333"]
    onAvailable: true
  - name: copied
    requesters: ["lambda:invoke"]
    actions: [share, check, list]
    images: {names: ["copied-*"], tags: {Tier: [gold]}}
    targets: ["111122223333", "222233334444", "999988887777"]
    access: copy
    copies: {from: [eu-north-1, eu-west-1], key: "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab", within: 12h}
  - name: copied-with-grants
    requesters: ["lambda:invoke"]
    actions: [share, check, list]
    images: {names: ["copied-*"], tags: {Tier: [gold]}}
    targets: ["333344445555"]
    keys: grant
    copies: {from: [eu-north-1], key: "arn:aws:kms:eu-west-1:999988887777:key/11111111-12ab-34cd-56ef-1234567890ab"}
  - name: copied-for-a-while
    requesters: ["lambda:invoke"]
    actions: [share, check, revoke, list]
    images: {names: ["lent-*"]}
    targets: ["111122223333", "222233334444"]
    maxDuration: 30d
    copies: {from: [eu-north-1, us-gov-west-1], key: "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
  - name: copied-for-groups
    requesters: ["lambda:invoke"]
    actions: [check, revoke, list]
    images: {names: ["grouped-*"]}
    targets: ["arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5", "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111"]
  - name: shared-with-groups
    requesters: ["lambda:invoke"]
    actions: [share]
    images: {names: ["grouped-*"]}
    targets: ["arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5", "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111"]
    copies: {from: [eu-north-1, eu-west-1], key: "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
  - name: copied-elsewhere
    requesters: ["lambda:invoke"]
    actions: [share, check]
    images: {names: ["astray-*"]}
    targets: ["111122223333"]
    copies: {from: [eu-north-1], key: "arn:aws:kms:us-east-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
  - name: checker
    requesters: ["lambda:invoke"]
    actions: [list, check]
    images: {names: ["viewed-*"]}
    targets: ["111122223333", "222233334444"]
  - name: viewed-sharer
    requesters: ["lambda:invoke"]
    actions: [share]
    images: {names: ["viewed-ended-*"]}
    targets: ["111122223333"]
    access: copy
    keys: grant
    maxDuration: 30d
  - name: viewed-marked
    requesters: ["lambda:invoke"]
    actions: [share]
    images: {names: ["viewed-marked-*"], watermarks: ["999988887777:approved"]}
    targets: ["111122223333"]
  - name: portals-marked
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [share]
    images: {names: ["portals-*"], watermarks: ["999988887777:secret"]}
    targets: ["111122223333"]
    keys: grant
  - name: portals-own
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [share]
    images: {names: ["portals-open-*"]}
    targets: ["111122223333"]
    keys: grant
  - name: portals-by-itself
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["portals-new-*"]}
    targets: ["111122223333"]
    onAvailable: true
  - name: portals-published
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [share]
    images: {names: ["portals-published-*"]}
    targets: ["111122223333"]
    publish: {parameter: "/golden/web/x86_64/latest"}
  - name: published
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["published-*"], tags: {Family: ["*"]}}
    targets: ["111122223333", "222233334444", "999988887777"]
    publish: {parameter: "/golden/{tag:Family}/{architecture}/latest"}
  - name: published-to-one
    requesters: ["lambda:invoke"]
    actions: [share, check]
    images: {names: ["published-twice-*"]}
    targets: ["333344445555"]
    publish: {parameter: "/golden/web/x86_64/latest"}
  - name: not-published
    requesters: ["lambda:invoke"]
    actions: [share, check]
    images: {names: ["published-*"]}
    targets: ["444455556666"]
  - name: viewer
    requesters: ["lambda:invoke"]
    actions: [usage]
    images: {names: ["used-*"]}
    targets: ["111122223333"]
  - name: used
    requesters: ["lambda:invoke"]
    actions: [share, revoke, list]
    images: {names: ["used-*"]}
    targets: ["222233334444"]
  - name: somebody-elses-used
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [usage]
    images: {names: ["used-*"]}
    targets: ["333344445555"]
  - name: mender
    requesters: ["lambda:invoke"]
    actions: [repair]
    images: all
"#;

/// One image in an account, on one snapshot. Each row of a test changes something in it.
#[derive(Clone)]
pub struct World {
    pub image: Image,
    pub keys: BTreeMap<KeyArn, Key>,
    pub blocks_public_images: Fact<bool>,
    pub unset_for_expiry: Vec<&'static str>,
    pub is_automatic: bool,
    /// The images that a request names by `copyFrom`.
    pub copies: BTreeMap<ImageId, Copies>,
    pub unset_for_copies: Vec<&'static str>,
    pub hint: Option<CopyRecord>,
    /// Who approves the share, if somebody does.
    pub approver: Option<Requester>,
    pub allowlist: String,
    pub deadline: OffsetDateTime,
    pub setup: Setup,
    pub entity_quota: usize,
    pub parameters: BTreeMap<ParameterName, Fact<Option<Parameter>>>,
}

pub fn account(text: &str) -> AccountId {
    text.parse().unwrap()
}

/// The decision if time does not run out.
pub fn decide<'a>(case: &Case<'a>, facts: &'a Facts) -> Vec<ImageDecision<'a>> {
    sharing::decide::decide(case, facts, &Judgements::until(&|| false)).unwrap()
}

pub fn owner() -> AccountId {
    account("999988887777")
}

pub fn key() -> KeyArn {
    KEY.parse().unwrap()
}

pub fn target(text: &str) -> Target {
    text.parse().unwrap()
}

/// A key policy that gives these accounts the permissions that a launch needs.
pub fn policy(accounts: &[&str]) -> Policy {
    parsed(&open_to(accounts))
}

/// A grant that gives the grantee the permissions that a launch needs.
pub fn grant(name: &str, grantee: &str, issuer: &str) -> Grant {
    serde_json::from_value(json!({
        "GrantId": "abc", "Name": name, "GranteePrincipal": grantee, "IssuingAccount": root(issuer),
        "Operations": ["CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"],
    }))
    .unwrap()
}

pub fn denied(call: &'static str) -> Failure {
    let message = format!("the function's role may not call {call}");
    Failure { code: ErrorCode::Denied, call: Some(call), resource: None, message, retryable: false }
}

pub fn in_days(days: i64) -> OffsetDateTime {
    NOW + Duration::days(days)
}

/// The record of an expiry.
pub fn expiry(of: &str, at: OffsetDateTime) -> Expiry {
    let (image_id, target) = (IMAGE.parse().unwrap(), target(of));
    let name = ExpiryName::new(&image_id, &target, at).unwrap();
    Expiry { name, at, image_id, target, snapshot_ids: Vec::new(), key_arns: Vec::new() }
}

/// The value of a known fact, for a test to change.
pub fn known<T>(fact: &mut Fact<T>) -> &mut T {
    match fact {
        Fact::Known(value) => value,
        Fact::NotRead | Fact::Failed(_) => panic!("the world knows this"),
    }
}

/// The create volume permissions of these accounts.
pub fn copied_by(accounts: &[&str]) -> Fact<CreateVolumePermissions> {
    let accounts = accounts.iter().copied().map(account).collect();
    Fact::Known(CreateVolumePermissions { accounts, ..CreateVolumePermissions::default() })
}

impl World {
    /// An available image on one open snapshot, shared with nobody.
    pub fn open(name: &str) -> Self {
        let snapshot = Snapshot {
            id: "snap-1a2b3c4d".parse().unwrap(),
            owner: owner(),
            key: None,
            create_volume_permissions: Fact::Known(CreateVolumePermissions::default()),
            needed_by: Fact::Known(BTreeMap::new()),
        };
        let image = Image {
            owner: owner(),
            state: ImageState::Available,
            state_reason: None,
            name: Some(name.to_owned()),
            tags: BTreeMap::new(),
            provenance: Provenance::default(),
            architecture: Some("x86_64".to_owned()),
            volume_sizes: vec![Some(8)],
            deprecation_time: None,
            has_product_codes: false,
            launch_permissions: Fact::Known(Vec::new()),
            expiries: Fact::Known(BTreeMap::new()),
            remembered_keys: Vec::new(),
            source_naming: None,
            waiting: Fact::NotRead,
            is_instance_store: false,
            is_encrypted: false,
            snapshots: vec![Backing { id: snapshot.id.clone(), snapshot: Fact::Known(snapshot) }],
        };
        Self {
            image,
            keys: BTreeMap::new(),
            blocks_public_images: Fact::NotRead,
            unset_for_expiry: Vec::new(),
            is_automatic: false,
            copies: BTreeMap::new(),
            unset_for_copies: Vec::new(),
            hint: None,
            approver: None,
            allowlist: ALLOWLIST.to_owned(),
            setup: Setup { key_grants: true, copy_access: true, copies: true, approvals: true },
            deadline: NOW + Duration::minutes(1),
            entity_quota: 1000,
            parameters: BTreeMap::new(),
        }
    }

    /// The same image, encrypted with a key whose policy lets these accounts in.
    pub fn encrypted(name: &str, allowed: &[&str]) -> Self {
        let metadata = KeyMetadata { is_aws_managed: false, unusable_state: None, is_symmetric: true, ends_at: None };
        let made = Key {
            metadata: Fact::Known(metadata),
            policy: Fact::Known(policy(allowed)),
            grants: Fact::Known(Vec::new()),
        };
        let mut world = Self::open(name);
        world.snapshot().key = Some(key());
        world.image.is_encrypted = true;
        world.keys.insert(key(), made);
        world
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn snapshot(&mut self) -> &mut Snapshot {
        known(&mut self.image.snapshots[0].snapshot)
    }

    pub fn key(&mut self) -> &mut Key {
        self.keys.get_mut(&key()).unwrap()
    }

    pub fn shared_with(self, targets: &[&str]) -> Self {
        let entries = targets.iter().map(|text| match *text {
            "all" => LaunchPermission::Public,
            text => LaunchPermission::To(target(text)),
        });
        let entries = entries.collect();
        self.with(|world| world.image.launch_permissions = Fact::Known(entries))
    }

    pub fn with_expiry(self, of: &str, at: OffsetDateTime) -> Self {
        let recorded = expiry(of, at);
        self.with(|world| drop(known(&mut world.image.expiries).insert(recorded.name.clone(), recorded)))
    }

    /// Calls `look` with the case of this request and the facts.
    pub fn put<T>(&self, request: &Value, look: impl FnOnce(&Case<'_>, &Facts) -> T) -> T {
        let request = Request::parse(&Json::parse(&request.to_string()).unwrap(), NOW).unwrap();
        let requester = Requester::new("lambda:invoke".to_owned());
        self.put_as(Authority::Requester(&requester), &request, look)
    }

    /// The same with another authority.
    pub fn put_as<T>(
        &self,
        authority: Authority<'_>,
        request: &Request,
        look: impl FnOnce(&Case<'_>, &Facts) -> T,
    ) -> T {
        let allowlist = Allowlist::parse(&self.allowlist).unwrap();
        let case = Case {
            request,
            named: &request.image_ids,
            authority,
            allowlist: &allowlist,
            account: owner(),
            entity_quota: self.entity_quota,
            unset_for_expiry: &self.unset_for_expiry,
            is_automatic: self.is_automatic,
            region: "eu-west-1",
            request_id: "request",
            unset_for_copies: &self.unset_for_copies,
            hint: None,
            approval: self.approver.as_ref().map_or(Approval::Asked, Approval::By),
            setup: self.setup,
            now: NOW,
            deadline: self.deadline,
        };
        let case = self.hint.as_ref().map_or(case, |record| case.repeated(record));
        let mut facts = Facts {
            keys: self.keys.clone(),
            copies: self.copies.clone(),
            blocks_public_images: self.blocks_public_images.clone(),
            parameters: self.parameters.clone(),
            ..Facts::default()
        };
        facts.images = match case.request.copy_from {
            None => [(IMAGE.parse().unwrap(), self.image.clone())].into(),
            Some(_) => as_facts(images_meant(&case, &facts)),
        };
        let request = resolve_copies(&case, &facts);
        look(&Case { request: &request, ..case }, &facts)
    }
}
