//! `audit` with `rows`: who can really launch what, held against a check of every image and account.

use std::collections::BTreeSet;

use ami_share_testing::key_policies::{Statement as _, allow, deny, open_to, root, with};
use serde_json::{Value, json};

use crate::support::world::{World, ask};

const ACCOUNTS: [&str; 5] = ["111122223333", "222233334444", "333344445555", "444455556666", "555566667777"];
const STRAY: &str = "666677778888";
const OTHERS: &str = "777788889999";
const ORGANIZATION: &str = "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5";
const ALLOWLIST: &str = r#"
version: 1
accounts:
  "111122223333": {organizationId: o-a1b2c3d4e5}
  "222233334444": {organizationId: o-zzzzzzzzzz}
rules:
  - name: all
    requesters: ["lambda:invoke"]
    actions: [share, check, audit]
    images: {names: ["golden-*"]}
    targets: ["111122223333", "222233334444", "333344445555", "444455556666", "555566667777", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]
    keys: unchecked
    access: copy
  - name: others
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [share]
    images: all
    targets: ["777788889999"]
"#;

/// Of each image its keys.
fn keys() -> [Vec<Value>; 12] {
    let [one, two, three, four, five] = ACCOUNTS;
    let key = |policy: Value| json!({"policy": policy});
    let office = json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}});
    let member = json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}});
    let uses = json!(["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"]);
    let by_grant = json!({"grantee": root(four), "issuingAccount": root("999988887777"), "operations": [
        "CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
        "ReEncryptFrom", "ReEncryptTo",
    ]});
    [
        vec![],
        vec![key(open_to(&ACCOUNTS))],
        vec![key(open_to(&[]))],
        vec![key(open_to(&[one, two]))],
        vec![key(with(open_to(&ACCOUNTS), deny(root(three), "kms:Decrypt")))],
        vec![key(with(open_to(&[one]), allow(root(five), uses.clone()).when(office)))],
        vec![key(with(open_to(&[three]), allow("*", uses).when(member)))],
        vec![json!({"policy": open_to(&[]), "grants": [by_grant]})],
        vec![json!({"policy": open_to(&ACCOUNTS), "state": "Disabled"})],
        vec![json!({"policy": open_to(&ACCOUNTS), "account": two})],
        vec![key(open_to(&[one, four])), key(open_to(&[one, five]))],
        vec![key(with(
            open_to(&[one, four]),
            deny("*", "kms:CreateGrant").when(json!({"Bool": {"aws:MultiFactorAuthPresent": "false"}})),
        ))],
    ]
}

fn seeded() -> World {
    let world = World::with_records(ALLOWLIST, &[]);
    let image = |(number, keys): (usize, Vec<Value>)| {
        let mut shared: Vec<&str> = ACCOUNTS.to_vec();
        if number == 3 {
            shared.extend([STRAY, OTHERS, ORGANIZATION]);
        }
        let copies = if number == 1 { vec![ACCOUNTS[0]] } else { Vec::new() };
        let snapshot = |(place, key)| json!({"device": format!("/dev/sd{place}"), "snapshot": {"key": key, "createVolumePermissions": copies}});
        let mappings: Vec<_> = keys.into_iter().enumerate().map(snapshot).collect();
        let mappings = if mappings.is_empty() { vec![json!({"device": "/dev/sda", "snapshot": {}})] } else { mappings };
        json!({"id": id(number), "name": format!("golden-{number}"), "launchPermissions": shared, "mappings": mappings})
    };
    let mut images: Vec<_> = keys().into_iter().enumerate().map(image).collect();
    images.push(json!({"id": id(99), "name": "silver-1", "launchPermissions": [STRAY]}));
    world.aws.seed(&json!({"images": images}));
    world
}

fn id(number: usize) -> String {
    format!("ami-{number:017x}")
}

/// All pages of the audit.
fn rows(world: &World) -> Vec<Value> {
    let (mut rows, mut next) = (Vec::new(), Value::Null);
    loop {
        let mut request = json!({"action": "audit", "rows": true});
        if next.is_string() {
            request["nextToken"] = next;
        }
        let outcome = world.outcome(&request);
        assert_eq!(outcome["result"], "completed", "{outcome:#}");
        rows.extend(outcome["rows"].as_array().unwrap().iter().cloned());
        next = outcome["nextToken"].clone();
        if next.is_null() {
            return rows;
        }
    }
}

#[test]
fn every_cell_is_what_a_check_of_the_image_and_the_account_says() {
    let world = seeded();
    let rows = rows(&world);
    let mut verdicts = BTreeSet::new();
    let mut cells = 0;
    for number in 0..12 {
        let check = world.outcome(&ask("check", &id(number), json!({"accountIds": ACCOUNTS})));
        let image = &check["images"][0];
        for (target, account) in image["targets"].as_array().unwrap().iter().zip(ACCOUNTS) {
            let is_it = |row: &&Value| row["imageId"] == id(number) && row["target"] == account;
            let [row] = rows.iter().filter(is_it).collect::<Vec<_>>()[..] else {
                panic!("{number} {account}: {rows:#?}")
            };
            let keys = image["keys"].as_array().unwrap().iter().filter(|key| key["target"] == account);
            let found: Vec<_> = keys.map(|key| key["verdict"].as_str().unwrap().to_owned()).collect();
            assert_eq!(row["launch"], target["launch"], "{row:#} {found:?}");
            let copy = number == 1 && account == ACCOUNTS[0];
            assert_eq!(
                (&row["how"], &row["rule"], &row["copy"]),
                (&json!("account"), &json!("all"), &json!(copy)),
                "{row:#}"
            );
            verdicts.extend(found);
            cells += 1;
        }
    }
    assert_eq!(cells, 60);
    assert_eq!(verdicts.iter().collect::<Vec<_>>(), ["allowed", "conditional", "denied", "missing", "unknown"]);
    let launches: BTreeSet<_> = rows.iter().map(|row| row["launch"].as_str().unwrap()).collect();
    assert_eq!(launches.into_iter().collect::<Vec<_>>(), ["not", "really", "unknown"]);
}

#[test]
fn a_share_by_hand_is_marked_and_what_only_rules_of_others_cover_is_not_shown() {
    let world = seeded();
    let rows = rows(&world);
    let told = |target: &str| rows.iter().find(|row| row["target"] == target);
    let stray = told(STRAY).unwrap();
    assert_eq!(
        (&stray["imageId"], &stray["rule"], &stray["launch"]),
        (&json!(id(3)), &json!(null), &json!("not")),
        "{stray:#}"
    );
    assert_eq!(told(OTHERS), None);
    // An organization is a row, and its members are none.
    let organization = told(ORGANIZATION).unwrap();
    assert_eq!((&organization["how"], &organization["rule"]), (&json!("organization"), &json!("all")));
    assert_eq!(rows.len(), 62, "{rows:#?}");
    // Nothing is told of an image that no rule of the requester covers, or where nobody asked for rows.
    assert!(!rows.iter().any(|row| row["name"] == "silver-1"));
    assert_eq!(world.outcome(&json!({"action": "audit"})).get("rows"), None);
}
