//! The rows of an audit: which launch permissions a requester sees of an image, and what each says. Rows of facts, without
//! AWS.

use ami_share_testing::{
    key_policies::{Statement as _, allow, deny, document, parsed, root},
    worlds::{FOREIGN_KEY, KEY, NOW, ONE, ORGANIZATION, TWO, World, copied_by, decide, denied, in_days, known},
};
use key_policy::json::Json;
use serde_json::{Value, json};
use sharing::{
    allowlist::Allowlist,
    decide::{Authority, Case},
    domain::Requester,
    facts::{Fact, ImageState, LaunchPermission},
    request::Request,
};

const STRAY: &str = "333344445555";
const RULES: &str = r#"
version: 1
rules:
  - name: auditor
    requesters: ["jwt-group:https://issuer.example#ops"]
    actions: [audit]
    images: all
  - name: looks
    requesters: ["jwt-group:https://issuer.example#ops"]
    actions: [list]
    images: {names: ["golden-*"]}
    targets: ["222233334444"]
  - name: shares
    requesters: ["jwt-group:https://issuer.example#ops"]
    actions: [share, revoke]
    images: {names: ["golden-*"]}
    targets: ["111122223333", "222233334444"]
  - name: others
    requesters: ["lambda:invoke"]
    actions: [share]
    images: {names: ["golden-*", "base-*"]}
    targets: ["111122223333", "444455556666", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]
"#;

/// The rows that a member of `ops` gets.
fn rows(world: &World) -> Vec<Value> {
    let allowlist = Allowlist::parse(RULES).unwrap();
    let request = Json::parse(r#"{"action": "audit", "rows": true}"#).unwrap();
    let request = Request::parse(&request, NOW).unwrap();
    let requester = Requester::new("jwt:https://issuer.example#ada".to_owned()).with_groups(vec!["ops".to_owned()]);
    world.put_as(Authority::Requester(&requester), &request, |case, facts| {
        let case = Case { allowlist: &allowlist, ..*case };
        decide(&case, facts).remove(0).survey().unwrap().rows.iter().map(|row| json!(row)).collect()
    })
}

#[track_caller]
fn targets(world: &World, expect: &[(&str, &str, Option<&str>)]) {
    let rows = rows(world);
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row["target"].as_str().unwrap(), row["how"].as_str().unwrap(), row["rule"].as_str()))
        .collect();
    assert_eq!(told, expect);
}

#[test]
fn a_target_is_shown_with_the_requesters_own_rule_or_as_shared_by_hand() {
    let entries = [ONE, TWO, STRAY, "444455556666", ORGANIZATION, "all"];
    targets(
        &World::open("golden-1").shared_with(&entries),
        &[
            (ONE, "account", Some("shares")),
            (TWO, "account", Some("shares")),
            (STRAY, "account", None),
            ("all", "public", None),
        ],
    );
    // Only rules of others cover this image.
    targets(
        &World::open("base-1").shared_with(&entries),
        &[(TWO, "account", None), (STRAY, "account", None), ("all", "public", None)],
    );
    let unit = "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111";
    let odd = World::open("golden-1").shared_with(&[unit]).with(|world| {
        known(&mut world.image.launch_permissions).push(LaunchPermission::unknown("planet"));
    });
    targets(&odd, &[(unit, "organizational-unit", None), ("planet", "unknown", None)]);
    targets(&World::open("golden-1"), &[]);
}

#[test]
fn a_copy_that_no_rule_covers_by_its_own_name_is_covered_by_its_source() {
    let copy = |name: &str, source: &str| {
        World::open(name).shared_with(&[ONE, TWO, STRAY]).with(|world| {
            let source = World::open(source).image;
            world.image.source_naming = Some(source.naming());
        })
    };
    let by_hand = (STRAY, "account", None);
    targets(
        &copy("nobodys", "golden-1"),
        &[(ONE, "account", Some("shares")), (TWO, "account", Some("shares")), by_hand],
    );
    // Only a rule of others covers the source.
    targets(&copy("nobodys", "base-1"), &[(TWO, "account", None), by_hand]);
    targets(
        &copy("golden-1", "nobodys"),
        &[(ONE, "account", Some("shares")), (TWO, "account", Some("shares")), by_hand],
    );
}

/// What the only row says of launching.
#[track_caller]
fn launches(world: World, expect: &str, words: &str) {
    let rows = rows(&world.shared_with(&[ONE]));
    let [row] = &rows[..] else { panic!("{rows:#?}") };
    let why = row["why"].as_str().unwrap();
    assert_eq!(row["launch"], expect, "{why}");
    assert!(why.contains(words), "{why} should say {words:?}");
    assert_eq!(why.contains("own only"), words.contains("own only"), "{why}");
}

#[test]
fn a_row_says_whether_and_why_by_state_and_keys() {
    let by = |statements: &[Value]| {
        let policy = parsed(&document(statements.iter().cloned()));
        World::encrypted("golden-1", &[]).with(|world| world.key().policy = Fact::Known(policy))
    };
    launches(World::open("golden-1"), "really", "no snapshot of the image is encrypted");
    launches(World::encrypted("golden-1", &[ONE]), "really", &format!("{KEY} lets it in"));
    launches(World::encrypted("golden-1", &[TWO]), "not", "does not let it in: kms:");
    let few = ["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncryptFrom"];
    launches(by(&[allow(root(ONE), json!(few))]), "really", "lets it in, for volumes under a key of its own only");
    launches(by(&[allow(root(ONE), "kms:*"), deny(root(ONE), "kms:*")]), "not", "denies it");
    let somewhere = json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}});
    launches(by(&[allow(root(ONE), "kms:*").when(somewhere)]), "unknown", "depends on aws:SourceIp");
    let policy = Fact::Failed(denied("kms:GetKeyPolicy"));
    launches(by(&[]).with(|world| world.key().policy = policy), "unknown", "is not known: the key policy");
    let foreign = World::encrypted("golden-1", &[ONE]).with(|world| {
        world.snapshot().key = Some(FOREIGN_KEY.parse().unwrap());
        let key = world.keys.values().next().unwrap().clone();
        world.keys.insert(FOREIGN_KEY.parse().unwrap(), key);
    });
    launches(foreign, "unknown", "belongs to account 444455556666");
    let disabled = |world: &mut World| known(&mut world.key().metadata).unusable_state = Some("Disabled".to_owned());
    launches(World::encrypted("golden-1", &[ONE]).with(disabled), "not", "in the state Disabled");
    let pending = World::open("golden-1").with(|world| world.image.state = ImageState::Pending);
    launches(pending, "not", "the image is pending");
    let unread = World::open("golden-1")
        .with(|world| world.image.snapshots[0].snapshot = Fact::Failed(denied("ec2:DescribeSnapshots")));
    launches(unread, "unknown", "which keys encrypt snap-1a2b3c4d");
}

#[test]
fn a_row_says_whether_the_target_may_copy_and_until_when_it_is_shared() {
    let said = |world: World| {
        let row = rows(&world).remove(0);
        (row["copy"].clone(), row["until"].clone())
    };
    let shared = World::open("golden-1").shared_with(&[ONE]);
    assert_eq!(said(shared.clone()), (json!(false), json!(null)));
    let copied = shared.clone().with(|world| world.snapshot().create_volume_permissions = copied_by(&[ONE]));
    assert_eq!(
        said(copied.with_expiry(ONE, in_days(3)).with_expiry(ONE, in_days(9))),
        (json!(true), json!("2026-12-01T12:00:00Z"))
    );
    // An entry of a kind that this version does not know may let it in, too.
    for (accounts, expect) in [(&[ONE][..], json!(true)), (&[TWO], json!(null))] {
        let odd = shared.clone().with(|world| {
            world.snapshot().create_volume_permissions = copied_by(accounts);
            known(&mut world.snapshot().create_volume_permissions).unknown = vec!["planet".to_owned()];
        });
        assert_eq!(said(odd), (expect, json!(null)));
    }
    let other = shared.clone().with(|world| world.snapshot().create_volume_permissions = copied_by(&[TWO]));
    assert_eq!(said(other.with_expiry(TWO, in_days(3))), (json!(false), json!(null)));
    // It is in S3: there is nothing that could be copied.
    let stored = shared.clone().with(|world| world.image.snapshots.clear());
    assert_eq!(said(stored), (json!(false), json!(null)));
    let unread = shared.with(|world| {
        world.snapshot().create_volume_permissions = Fact::Failed(denied("ec2:DescribeSnapshotAttribute"));
    });
    assert_eq!(said(unread), (json!(null), json!(null)));
}

#[test]
fn without_rows_an_audit_has_none() {
    World::open("golden-1").shared_with(&[ONE]).put(&json!({"action": "repair"}), |case, facts| {
        assert_eq!(decide(case, facts)[0].survey().unwrap().rows, []);
    });
}
