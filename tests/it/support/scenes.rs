//! Owns the scenes that the crash, fault and concurrency suites play: what is there, and what is asked of it.

use std::{cell::RefCell, collections::BTreeMap, sync::LazyLock};

use ami_share_testing::key_policies::{Statement as _, USE, allow, open_to, with};
use serde_json::{Value, json};
use sharing::domain::ExpiryName;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};

use super::{function::Function, local_aws::LocalAws};

/// Everybody who is asked for anywhere is allowed; keys are checked except behind images named `loose-…`,
/// and behind those named `granted-…` they get grants.
pub const ALLOWLIST: &str = r#"
version: 1
accounts:
  "111122223333": {name: web, organizationId: o-a1b2c3d4e5}
rules:
  - name: everything
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check, usage]
    images: {names: ["golden-*"]}
    targets: [web, "222233334444", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5", "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111"]
  - name: grants
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["granted-*"]}
    targets: [web, "222233334444"]
    access: copy
    keys: grant
    serviceLinkedRoles: [autoscaling]
  - name: published
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["published-*"], tags: {Family: ["*"]}}
    targets: [web, "222233334444"]
    publish: {parameter: "/golden/{tag:Family}/{architecture}/latest"}
  - name: unchecked
    requesters: ["lambda:invoke"]
    actions: [share]
    images: {names: ["loose-*"]}
    targets: [web, "222233334444"]
    keys: unchecked
"#;

/// A time that has come, and one that has not.
const DUE: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);
const AHEAD: OffsetDateTime = datetime!(2100-01-01 0:00 UTC);

/// What a function needs to record expiries.
pub const VARIABLES: [(&str, &str); 3] = [
    ("AMI_SHARE_SCHEDULE_GROUP", "default"),
    ("AMI_SHARE_SCHEDULE_ROLE_ARN", "arn:aws:iam::999988887777:role/ami-share-hints"),
    ("AMI_SHARE_REQUEST_BUS", "ami-share"),
];

/// When a share of the scenes expires: some time ahead, the same in one run of the tests.
pub static EXPIRES: LazyLock<OffsetDateTime> =
    LazyLock::new(|| (OffsetDateTime::now_utc() + Duration::days(100)).replace_nanosecond(0).unwrap());

/// A time as requests write it.
pub fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap()
}

const ORGANIZATION: &str = "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5";
const UNIT: &str = "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111";
/// Whom no request is about.
const STRANGER: &str = "777788889999";
const GRANTED: [&str; 6] =
    ["DescribeKey", "CreateGrant", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKeyWithoutPlaintext"];

/// What is there, and what is asked of it.
#[derive(Clone)]
pub struct Scene {
    pub name: &'static str,
    /// For `/_local/seed`; images and snapshots have ids, keys a `ref`.
    pub seed: Value,
    /// The request document.
    pub request: Value,
    /// Where nobody asks: the event that means what `request` says.
    pub hint: Option<Value>,
    pub is_unchecked: bool,
}

impl Scene {
    /// What the function is sent.
    pub fn event(&self) -> &Value {
        self.hint.as_ref().unwrap_or(&self.request)
    }

    /// What changes nothing; the process that answers it remembers the images.
    pub fn question(&self) -> Value {
        json!({"action": "check", "imageIds": self.images(), "accountIds": ["111122223333"]})
    }

    /// What its outcome says where nothing disturbs it.
    pub fn result(&self) -> &'static str {
        if self.request["action"] == "usage" { "accepted" } else { "completed" }
    }

    /// The images it is about.
    pub fn images(&self) -> Vec<String> {
        let images = self.request["imageIds"].as_array().unwrap();
        images.iter().map(|image| image.as_str().unwrap().to_owned()).collect()
    }

    /// The targets it is about.
    pub fn targets(&self) -> Vec<Value> {
        let fields = ["accountIds", "organizationArns", "organizationalUnitArns"];
        fields.iter().filter_map(|field| self.request[field].as_array()).flatten().cloned().collect()
    }
}

/// A part of a local AWS where nothing else plays: images and snapshots whose ids begin with the stage's digit.
pub struct Stage<'a> {
    aws: &'a LocalAws,
    digit: char,
    ends: RefCell<BTreeMap<String, Value>>,
}

impl<'a> Stage<'a> {
    pub fn new(aws: &'a LocalAws, number: u32) -> Self {
        Self { aws, digit: char::from_digit(number, 16).unwrap(), ends: RefCell::default() }
    }

    /// The scene as it is played here.
    pub fn place(&self, scene: &Scene) -> Scene {
        let here = |value: &Value| {
            let text = value.to_string().replace("ami-0", &format!("ami-{}", self.digit));
            serde_json::from_str(&text.replace("snap-0", &format!("snap-{}", self.digit))).unwrap()
        };
        let bystander = |place: usize| {
            json!({"id": image(place), "name": "golden-bystander", "launchPermissions": ["111122223333", STRANGER], "mappings": [
                {"device": "/dev/xvda", "snapshot": {"id": snapshot(place), "createVolumePermissions": ["111122223333", STRANGER]}},
            ]})
        };
        let mut seed = scene.seed.clone();
        seed["images"].as_array_mut().unwrap().push(bystander(99));
        let hint = scene.hint.as_ref().map(here);
        Scene { seed: here(&seed), request: here(&scene.request), hint, ..scene.clone() }
    }

    /// Puts a placed scene there, and nothing else. Gives the keys' ARNs with their handles.
    pub fn seed(&self, scene: &Scene) -> Vec<(String, String)> {
        self.aws.clear_part(&json!({"ids": self.ids()}));
        let made = self.aws.seed(&scene.seed);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        made["keys"].as_array().unwrap().iter().map(|key| (text(&key["arn"]), text(&key["ref"]))).collect()
    }

    /// Where a placed scene ends when nothing disturbs it; `function` must have an AWS without faults just now.
    pub fn undisturbed(&self, scene: &Scene, function: &Function) -> Value {
        let mut ends = self.ends.borrow_mut();
        let end = ends.entry(format!("{} {}", scene.name, scene.event())).or_insert_with(|| {
            let keys = self.seed(scene);
            let outcome = function.invoke(scene.event()).unwrap();
            assert_eq!(outcome["result"], scene.result(), "{outcome:#}");
            without_ids(&self.state(&keys), &keys)
        });
        end.clone()
    }

    /// What is there, of the keys only these.
    pub fn state(&self, keys: &[(String, String)]) -> Value {
        let keys: Vec<_> = keys.iter().map(|(arn, _)| arn).collect();
        self.aws.part_of_state(&json!({"ids": self.ids(), "keys": keys}))
    }

    /// How the ids of what is here begin.
    fn ids(&self) -> [String; 2] {
        [format!("ami-{}", self.digit), format!("snap-{}", self.digit)]
    }
}

/// A state that can be compared with that of another run: keys by their handle, lists in order, reports without IDs.
pub fn without_ids(state: &Value, keys: &[(String, String)]) -> Value {
    let mut text = state.to_string();
    for (arn, handle) in keys {
        text = text.replace(arn, handle);
    }
    let mut state: Value = serde_json::from_str(&text).unwrap();
    state["grants"].as_array_mut().unwrap().sort_by_key(Value::to_string);
    // A write whose answer was lost is made again, and counts as another version.
    for parameter in state["parameters"].as_object_mut().unwrap().values_mut() {
        parameter.as_object_mut().unwrap().remove("version");
    }
    let mut reports: Vec<_> = state["usageReports"].as_object().unwrap().values().cloned().collect();
    reports.sort_by_key(Value::to_string);
    state["usageReports"] = Value::Array(reports);
    state
}

pub fn image(number: usize) -> String {
    format!("ami-{number:017x}")
}

pub fn snapshot(number: usize) -> String {
    format!("snap-{number:017x}")
}

/// Whom an image is shared with, by the state of what is there.
pub fn launch_permissions(state: &Value, image: &str) -> Vec<String> {
    let entries = state["images"][image]["launchPermissions"].as_array().unwrap();
    entries.iter().map(|entry| entry.as_str().unwrap().to_owned()).collect()
}

/// Image number `n`: its name, the keys of its snapshots, whom it is shared with.
fn seeded(n: usize, name: &str, keys: &[Option<&str>], shared: &[&str]) -> Value {
    let mapping = |(place, key): (usize, &Option<&str>)| {
        let mut made = json!({"id": snapshot(n * 10 + place), "createVolumePermissions": [STRANGER]});
        if let Some(key) = key {
            made["key"] = json!(key);
        }
        json!({"device": format!("/dev/sd{}", char::from(b'a' + u8::try_from(place).unwrap())), "snapshot": made})
    };
    let mappings: Vec<_> = keys.iter().enumerate().map(mapping).collect();
    json!({"id": image(n), "name": format!("{name}-{n}"), "mappings": mappings, "launchPermissions": shared})
}

/// The record of the expiry of a share of this image with this target, which was on these snapshots and keys; for
/// `/_local/seed`.
pub fn record(image: &str, target: &str, at: OffsetDateTime, snapshots: &[String], keys: &[&str]) -> Value {
    let name = ExpiryName::new(&image.parse().unwrap(), &target.parse().unwrap(), at).unwrap();
    let input = json!({
        "action": "expire", "schedule": name, "imageId": image, "target": target, "expiresAt": rfc3339(at),
        "snapshotIds": snapshots, "keyArns": keys,
    });
    let expression = format!("at({})", rfc3339(at).get(..19).unwrap());
    json!({"group": VARIABLES[0].1, "name": name, "expression": expression, "input": input})
}

/// The hint that Scheduler sends when that expiry is due.
fn hint(n: usize, account: &str) -> Value {
    json!({"action": "expire", "schedule": record(&image(n), account, DUE, &[], &[])["name"]})
}

/// A key whose policy lets these accounts use it.
fn key(handle: &str, accounts: &[&str]) -> Value {
    json!({"ref": handle, "policy": open_to(accounts)})
}

fn with_grant(mut key: Value, account: &str) -> Value {
    key["grants"] =
        json!([{"grantee": format!("arn:aws:iam::{account}:root"), "operations": GRANTED, "name": "by-hand"}]);
    key
}

/// The grants that a share of image number `n` with this account made, beside one made by hand.
fn with_our_grants(mut key: Value, n: usize, account: &str) -> Value {
    let root = format!("arn:aws:iam::{account}:root");
    let role =
        format!("arn:aws:iam::{account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling");
    let name = format!("ami-share/{}/{account}", image(n));
    key["grants"] = json!([
        {"grantee": root, "operations": GRANTED, "name": name},
        {"grantee": role, "operations": GRANTED, "name": format!("{name}/autoscaling")},
        {"grantee": root, "operations": GRANTED, "name": format!("ami-share/{}/{account}", image(77))},
        {"grantee": root, "operations": GRANTED, "name": "by-hand"},
    ]);
    key
}

/// Image number `n`, which its rule publishes to the parameter of image number `family`, created on that day of the year.
pub fn published(n: usize, family: usize, day: u8, shared: &[&str]) -> Value {
    let mut image = seeded(n, "published", &[None], shared);
    image["tags"] = json!({"Family": self::image(family)});
    image["creationDate"] = json!(format!("2026-01-{day:02}T00:00:00.000Z"));
    image
}

/// The parameter of that family's images.
pub fn parameter(family: usize) -> String {
    format!("/golden/{}/x86_64/latest", image(family))
}

/// The image with these accounts among those that may copy its snapshots.
fn copied(mut image: Value, accounts: &[&str]) -> Value {
    for mapping in image["mappings"].as_array_mut().unwrap() {
        let entries = mapping["snapshot"]["createVolumePermissions"].as_array_mut().unwrap();
        entries.extend(accounts.iter().map(|account| json!(account)));
    }
    image
}

fn open_to_organization(mut key: Value) -> Value {
    let condition = json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}});
    key["policy"] = with(key["policy"].take(), allow("*", USE).sid("Org").when(condition));
    key
}

/// The share whose last step is a parameter.
pub const PUBLISHED: &str = "share, published over an older image";

/// The scene of that name.
#[track_caller]
pub fn scene(name: &str) -> Scene {
    scenes().into_iter().find(|scene| scene.name == name).expect("there is such a scene")
}

/// Every scene; each changes something, and each has what it must leave alone.
pub fn scenes() -> Vec<Scene> {
    let both = ["111122223333", "222233334444"];
    let of = |name, seed, request| Scene { name, seed, request, hint: None, is_unchecked: false };
    // A revoke of a share that expires, and its expiry when that is due, begin alike.
    let expiring = |at: OffsetDateTime| {
        json!({
            "keys": [with_our_grants(key("key-1", &[]), 1, both[0])],
            "images": [copied(seeded(1, "granted", &[Some("key-1")], &[both[0], both[1], STRANGER]), &both)],
            "schedules": both.map(|account| record(&image(1), account, at, &[snapshot(10)], &["key-1"])),
        })
    };
    vec![
        of(
            "share, not encrypted, every kind of target",
            json!({"images": [seeded(1, "golden", &[None], &[STRANGER, "222233334444"])]}),
            json!({"action": "share", "imageIds": [image(1)], "accountIds": both, "organizationArns": [ORGANIZATION], "organizationalUnitArns": [UNIT]}),
        ),
        of(
            "share, two encrypted images with three keys and a grant",
            json!({
                "keys": [key("key-1", &both), key("key-2", &both), with_grant(key("key-3", &both[..1]), both[1])],
                "images": [
                    seeded(1, "golden", &[Some("key-1"), Some("key-2"), None], &[STRANGER]),
                    seeded(2, "golden", &[Some("key-3")], &[]),
                ],
            }),
            json!({"action": "share", "imageIds": [image(1), image(2)], "accountIds": both}),
        ),
        of(
            PUBLISHED,
            json!({
                "images": [published(1, 1, 3, &[STRANGER, both[1]]), published(2, 1, 2, &both)],
                "parameters": [{"name": parameter(1), "value": image(2), "type": "String", "dataType": "aws:ec2:image"}],
            }),
            json!({"action": "share", "imageIds": [image(1)], "accountIds": both}),
        ),
        of(
            "share, encrypted, with an organization",
            json!({
                "keys": [open_to_organization(key("key-1", &both[..1]))],
                "images": [seeded(1, "golden", &[Some("key-1")], &[STRANGER])],
            }),
            json!({"action": "share", "imageIds": [image(1)], "accountIds": both[..1], "organizationArns": [ORGANIZATION]}),
        ),
        of(
            "share, encrypted, let in by a grant",
            json!({
                "keys": [with_grant(key("key-1", &both[..1]), both[1])],
                "images": [seeded(1, "golden", &[Some("key-1")], &[STRANGER])],
            }),
            json!({"action": "share", "imageIds": [image(1)], "accountIds": both}),
        ),
        of(
            "share, one copy and its grant",
            json!({
                "keys": [key("key-1", &[])],
                "images": [seeded(1, "granted", &[Some("key-1")], &[STRANGER])],
            }),
            json!({"action": "share", "imageIds": [image(1)], "accountIds": both[..1], "access": "copy"}),
        ),
        of(
            "revoke, one copy and its grant",
            json!({
                "keys": [with_our_grants(key("key-1", &[]), 1, both[0])],
                "images": [copied(seeded(1, "granted", &[Some("key-1")], &[both[0], STRANGER]), &both[..1])],
            }),
            json!({"action": "revoke", "imageIds": [image(1)], "accountIds": both[..1]}),
        ),
        of(
            "share, with an expiry, a copy and a grant",
            json!({
                "keys": [key("key-1", &[])],
                "images": [seeded(1, "granted", &[Some("key-1")], &[STRANGER])],
            }),
            json!({"action": "share", "imageIds": [image(1)], "accountIds": both, "access": "copy", "expiresAt": rfc3339(*EXPIRES)}),
        ),
        of(
            "share, copies and grants",
            json!({
                "keys": [key("key-1", &both[..1])],
                "images": [
                    seeded(1, "granted", &[Some("key-1"), None], &[STRANGER]),
                    copied(seeded(2, "granted", &[None], &[]), &both[..1]),
                ],
            }),
            json!({"action": "share", "imageIds": [image(1), image(2)], "accountIds": both, "access": "copy", "serviceLinkedRoles": ["autoscaling"]}),
        ),
        of(
            "revoke, copies and grants, a snapshot of two images",
            json!({
                "keys": [with_our_grants(key("key-1", &both), 1, both[0])],
                "images": [
                    copied(seeded(1, "granted", &[Some("key-1"), None], &[both[0], both[1], STRANGER]), &both),
                    // On the first one's second snapshot too, and still shared with the second account.
                    {"id": image(2), "name": "granted-2", "launchPermissions": [both[1]], "mappings": [{"device": "/dev/sda", "snapshot": snapshot(11)}]},
                ],
            }),
            json!({"action": "revoke", "imageIds": [image(1)], "accountIds": both}),
        ),
        of(
            "reset, copies and grants",
            json!({
                "keys": [with_our_grants(key("key-1", &both), 1, both[0]), key("key-2", &both)],
                "images": [
                    copied(seeded(1, "granted", &[Some("key-1")], &[both[0], STRANGER]), &both[..1]),
                    copied(seeded(2, "granted", &[Some("key-2")], &[both[1], STRANGER, ORGANIZATION]), &both[1..]),
                ],
            }),
            json!({"action": "reset", "imageIds": [image(1), image(2)]}),
        ),
        Scene {
            is_unchecked: true,
            ..of(
                "share, key not checked",
                json!({"keys": [key("key-1", &[])], "images": [seeded(1, "loose", &[Some("key-1")], &[STRANGER])]}),
                json!({"action": "share", "imageIds": [image(1)], "accountIds": both}),
            )
        },
        of(
            "revoke, three images, one disabled",
            json!({
                "keys": [key("key-1", &both)],
                "images": [
                    seeded(1, "golden", &[Some("key-1")], &[both[0], both[1], STRANGER, ORGANIZATION]),
                    seeded(2, "golden", &[None], &[both[1], STRANGER]),
                    {"id": image(3), "name": "golden-3", "state": "disabled"},
                ],
            }),
            json!({"action": "revoke", "imageIds": [image(1), image(2), image(3)], "accountIds": both}),
        ),
        of(
            "usage, an old report and none",
            json!({
                "images": [seeded(1, "golden", &[None], &[both[0]]), seeded(2, "golden", &[None], &[])],
                "usageReports": [{"imageId": image(1), "createdAt": rfc3339(OffsetDateTime::now_utc() - Duration::days(2))}],
            }),
            json!({"action": "usage", "imageIds": [image(1), image(2)]}),
        ),
        of(
            "revoke, organization and unit",
            json!({"images": [seeded(1, "golden", &[None], &[both[0], STRANGER, ORGANIZATION, UNIT])]}),
            json!({"action": "revoke", "imageIds": [image(1)], "organizationArns": [ORGANIZATION], "organizationalUnitArns": [UNIT]}),
        ),
        of(
            "revoke, with an expiry, a copy and a grant",
            expiring(AHEAD),
            json!({"action": "revoke", "imageIds": [image(1)], "accountIds": both[..1]}),
        ),
        Scene {
            hint: Some(hint(1, both[0])),
            ..of(
                "expire, a copy and a grant",
                expiring(DUE),
                json!({"action": "revoke", "imageIds": [image(1)], "accountIds": both[..1]}),
            )
        },
        Scene {
            hint: Some(hint(1, both[0])),
            ..of(
                "expire, the share was renewed",
                {
                    let mut seed = expiring(DUE);
                    let later = record(&image(1), both[0], AHEAD, &[snapshot(10)], &["key-1"]);
                    seed["schedules"].as_array_mut().unwrap().push(later);
                    seed
                },
                json!({"action": "expire", "imageIds": [image(1)], "accountIds": both[..1]}),
            )
        },
        of(
            "share, a renewal and a new one",
            {
                let mut seed = expiring(*EXPIRES - Duration::days(50));
                seed["images"][0]["launchPermissions"] = json!([both[0], STRANGER]);
                seed
            },
            json!({"action": "share", "imageIds": [image(1)], "accountIds": both, "access": "copy", "expiresAt": rfc3339(*EXPIRES)}),
        ),
        of(
            "share, without an expiry time where a record is",
            json!({
                "images": [seeded(1, "golden", &[None], &[STRANGER])],
                "schedules": [record(&image(1), both[0], AHEAD, &[snapshot(10)], &[])],
            }),
            json!({"action": "share", "imageIds": [image(1)], "accountIds": both}),
        ),
        of(
            "reset, with two records of a share",
            {
                let mut seed = expiring(AHEAD);
                let earlier = record(&image(1), both[0], AHEAD - Duration::days(9), &[snapshot(10)], &["key-1"]);
                seed["schedules"].as_array_mut().unwrap().push(earlier);
                seed
            },
            json!({"action": "reset", "imageIds": [image(1)]}),
        ),
        Scene {
            hint: Some(hint(1, both[0])),
            ..of(
                "expire, the image is gone",
                json!({
                    "keys": [with_our_grants(key("key-1", &[]), 1, both[0])],
                    "snapshots": [{"id": snapshot(10), "key": "key-1", "createVolumePermissions": [both[0], STRANGER]}],
                    "images": [],
                    "schedules": [record(&image(1), both[0], DUE, &[snapshot(10)], &["key-1"])],
                }),
                json!({"action": "revoke", "imageIds": [image(1)], "accountIds": both[..1]}),
            )
        },
        of(
            "reset, two images, one public",
            json!({
                "keys": [key("key-1", &both)],
                "images": [
                    seeded(1, "golden", &[Some("key-1")], &[both[0], STRANGER, ORGANIZATION]),
                    seeded(2, "golden", &[None], &["all", both[1], STRANGER]),
                ],
            }),
            json!({"action": "reset", "imageIds": [image(1), image(2)]}),
        ),
    ]
}

/// A revoke from so many images.
pub fn many_images(number: usize) -> Scene {
    let images: Vec<_> = (1..=number).map(|n| seeded(n, "golden", &[None], &["111122223333"])).collect();
    let ids: Vec<_> = (1..=number).map(image).collect();
    let request = json!({"action": "revoke", "imageIds": ids, "accountIds": ["111122223333"]});
    Scene { name: "revoke, many images", seed: json!({"images": images}), request, hint: None, is_unchecked: false }
}

/// One encrypted image, open to both accounts of the allowlist and shared with these targets.
pub fn shared_with(targets: &[&str]) -> Scene {
    let seed = json!({
        "keys": [key("key-1", &["111122223333", "222233334444"])],
        "images": [seeded(1, "golden", &[Some("key-1")], targets)],
    });
    Scene { name: "one image", seed, request: Value::Null, hint: None, is_unchecked: false }
}

/// One encrypted image that is shared with these targets for copying, through grants; `let_in` are those of them that a
/// share gave everything, and the others may only launch.
pub fn copied_to(targets: &[&str], let_in: &[&str]) -> Scene {
    let mut key = key("key-1", &[]);
    for account in let_in {
        key = with_our_grants(key, 1, account);
    }
    let seed =
        json!({"keys": [key], "images": [copied(seeded(1, "granted", &[Some("key-1"), None], targets), let_in)]});
    Scene { name: "one copied image", seed, request: Value::Null, hint: None, is_unchecked: false }
}
