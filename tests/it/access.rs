//! Everything a target needs beside the launch permission, and that a revoke leaves nothing of it: create volume
//! permissions, grants, service-linked roles, organizations. The state is read from the local AWS, not from the function.

use ami_share_testing::key_policies::{Statement as _, allow, deny, open_to, with};
use serde_json::{Value, json};

use crate::support::world::{World, ask, codes};

const ORGANIZATION: &str = "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5";
const UNIT: &str = "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111";
const ALLOWLIST: &str = r#"
version: 1
accounts:
  "111122223333": {organizationPath: o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/}
rules:
  - name: grants
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["golden-*"]}
    targets: ["111122223333", "222233334444", "333344445555", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5", "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111"]
    access: copy
    keys: grant
    serviceLinkedRoles: [autoscaling, "autoscaling:blue", spot]
  - name: launch-only
    requesters: ["lambda:invoke"]
    actions: [share]
    images: {names: ["plain-*"]}
    targets: ["111122223333"]
"#;

fn owner_only() -> Value {
    open_to(&[])
}

/// An image with a root and a data volume, each on a key of its own that lets nobody else in.
fn two_keys(name: &str) -> Value {
    json!({"name": name, "mappings": [
        {"device": "/dev/xvda", "snapshot": {"key": {"policy": owner_only()}}},
        {"device": "/dev/sdb", "snapshot": {"key": {"policy": owner_only()}}},
    ]})
}

#[test]
fn two_volumes_on_two_keys_are_shared_for_copy_and_one_account_is_taken_back() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(two_keys("golden-two-keys"));
    let accounts = ["111122223333", "222233334444", "333344445555"];
    let request = ask("share", &image, json!({"accountIds": accounts, "access": "copy"}));
    let outcome = world.completed(&request);
    let calls: Vec<_> =
        outcome["images"][0]["steps"].as_array().unwrap().iter().map(|step| step["call"].as_str().unwrap()).collect();
    let expected =
        [vec!["kms:CreateGrant"; 6], vec!["ec2:ModifySnapshotAttribute"; 2], vec!["ec2:ModifyImageAttribute"]].concat();
    assert_eq!(calls, expected, "grants before snapshots before the launch permission");
    assert!(
        outcome["images"][0]["keys"].as_array().unwrap().iter().all(|key| key["verdict"] == "allowed"),
        "{outcome:#}"
    );
    assert!(outcome["warnings"].to_string().contains("5 minutes"), "{outcome:#}");
    assert_eq!(world.launch(&image), accounts);
    assert_eq!(world.copy(&image), [accounts, accounts]);
    assert_eq!(world.grants(&image).len(), 6);

    let again = world.completed(&request);
    assert_eq!((&again["images"][0]["changed"], &again["images"][0]["steps"]), (&json!(false), &json!([])));
    assert_eq!(world.aws.writes(), [""; 0]);

    let revoked = world.completed(&ask("revoke", &image, json!({"accountIds": ["222233334444"]})));
    let calls: Vec<_> =
        revoked["images"][0]["steps"].as_array().unwrap().iter().map(|step| step["call"].as_str().unwrap()).collect();
    assert_eq!(
        calls,
        [
            "ec2:ModifyImageAttribute",
            "ec2:ModifySnapshotAttribute",
            "ec2:ModifySnapshotAttribute",
            "kms:RevokeGrant",
            "kms:RevokeGrant"
        ]
    );
    let left = ["111122223333", "333344445555"];
    assert_eq!(world.launch(&image), left);
    assert_eq!(world.copy(&image), [left, left]);
    let grants = world.grants(&image);
    assert_eq!(grants.len(), 4, "{grants:?}");
    assert!(!grants.iter().any(|grant| grant.contains("222233334444")), "{grants:?}");

    world.completed(&ask("reset", &image, json!({})));
    assert_eq!(world.launch(&image), [""; 0]);
    assert_eq!(world.copy(&image), [[""; 0], [""; 0]]);
    assert_eq!(world.grants(&image), [""; 0]);
}

#[test]
fn revoke_keeps_the_other_images_grant() {
    let world = World::start(ALLOWLIST, &[]);
    let made = world.aws.seed(&json!({
        "keys": [{"ref": "shared-key", "policy": owner_only()}],
        "images": [
            {"name": "golden-a", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": "shared-key"}}]},
            {"name": "golden-b", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": "shared-key"}}]},
        ],
    }));
    let ids: Vec<_> =
        made["images"].as_array().unwrap().iter().map(|image| image["imageId"].as_str().unwrap()).collect();
    world.completed(&json!({"action": "share", "imageIds": ids, "accountIds": ["111122223333"]}));
    world.completed(&ask("revoke", ids[0], json!({"accountIds": ["111122223333"]})));
    assert_eq!(world.grants(ids[0]), [""; 0]);
    assert_eq!(world.grants(ids[1]).len(), 1, "the other image's share still needs its own");
    assert_eq!(world.launch(ids[1]), ["111122223333"]);
}

#[test]
fn an_entry_that_another_image_on_the_same_snapshot_needs_is_kept_and_told() {
    let world = World::start(ALLOWLIST, &[]);
    let made = world.aws.seed(&json!({
        "snapshots": [{"ref": "base"}],
        "images": [
            {"name": "golden-one", "mappings": [{"device": "/dev/xvda", "snapshot": "base"}]},
            {"name": "golden-other", "mappings": [{"device": "/dev/xvda", "snapshot": "base"}]},
        ],
    }));
    let ids: Vec<_> =
        made["images"].as_array().unwrap().iter().map(|image| image["imageId"].as_str().unwrap()).collect();
    let both =
        json!({"action": "share", "imageIds": ids, "accountIds": ["111122223333", "222233334444"], "access": "copy"});
    world.completed(&both);
    world.completed(&ask("revoke", ids[1], json!({"accountIds": ["222233334444"]})));
    assert_eq!(world.copy(ids[0]), [["111122223333", "222233334444"]], "the first image is shared with both");

    let outcome = world.completed(&ask("revoke", ids[0], json!({"accountIds": ["111122223333", "222233334444"]})));
    assert_eq!(world.copy(ids[0]), [["111122223333"]]);
    assert!(outcome["warnings"].to_string().contains("111122223333 keeps its create volume permission"), "{outcome:#}");
    // Revoked from both at once, nothing needs it any more.
    world.completed(&json!({"action": "revoke", "imageIds": ids, "accountIds": ["111122223333"]}));
    assert_eq!(world.copy(ids[0]), [[""; 0]]);
}

#[test]
fn an_image_that_is_refused_keeps_the_entries_it_needs() {
    let world = World::start(ALLOWLIST, &[]);
    let made = world.aws.seed(&json!({
        "snapshots": [{"ref": "base", "createVolumePermissions": ["111122223333"]}],
        "images": [
            {"name": "golden-one", "mappings": [{"device": "/dev/xvda", "snapshot": "base"}], "launchPermissions": ["111122223333"]},
            {"name": "nobodys", "mappings": [{"device": "/dev/xvda", "snapshot": "base"}], "launchPermissions": ["111122223333"]},
        ],
    }));
    let ids: Vec<_> =
        made["images"].as_array().unwrap().iter().map(|image| image["imageId"].as_str().unwrap()).collect();
    let revoke = json!({"action": "revoke", "imageIds": ids, "accountIds": ["111122223333"]});
    // The second time nothing is left of the first image: what is on its snapshot could be remains of it.
    for request in [&revoke, &json!({"action": "reset", "imageIds": ids})] {
        let error = world.function.invoke(request).unwrap_err();
        let outcome: Value = serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&outcome["result"], codes(&outcome)),
            (&json!("incomplete"), vec!["ImageNotAllowed"]),
            "{outcome:#}"
        );
        // No rule covers the other image: that something needs the entry is told, and not what.
        let warnings = outcome["warnings"].to_string();
        assert!(warnings.contains("another image of this account is on that snapshot too"), "{outcome:#}");
        assert!(!warnings.contains(ids[1]), "{outcome:#}");
        let state = world.aws.state();
        let launch = |id: &str| state["images"][id]["launchPermissions"].clone();
        assert_eq!((launch(ids[0]), launch(ids[1])), (json!([]), json!(["111122223333"])));
        assert_eq!(world.copy(ids[1]), [["111122223333"]]);
    }
    world.completed(&ask("revoke", ids[0], json!({"accountIds": ["111122223333"]})));
    assert_eq!(world.copy(ids[1]), [["111122223333"]]);
}

#[test]
fn a_grant_is_made_only_where_the_policy_does_not_let_in_and_never_around_a_deny() {
    let world = World::start(ALLOWLIST, &[]);
    let open = open_to(&["111122223333"]);
    let image = world.aws.image(
        json!({"name": "golden-open", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": {"policy": open}}}]}),
    );
    world.completed(&ask("share", &image, json!({"accountIds": ["111122223333"]})));
    assert_eq!(world.grants(&image), [""; 0]);

    let denying = with(owner_only(), deny("111122223333", "kms:Decrypt").sid("NotThem"));
    let image = world.aws.image(json!({"name": "golden-denied", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": {"policy": denying}}}]}));
    assert_eq!(
        codes(&world.refused(&ask("share", &image, json!({"accountIds": ["111122223333"]})))),
        ["KeyAccessDenied"]
    );

    // Somebody else's grant may go without notice: the image gets its own.
    let grantee = "arn:aws:iam::111122223333:root";
    let by_hand = json!({"grantee": grantee, "name": "by-hand", "operations": ["CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"]});
    let key = json!({"policy": owner_only(), "grants": [by_hand]});
    let image = world
        .aws
        .image(json!({"name": "golden-by-hand", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": key}}]}));
    world.completed(&ask("share", &image, json!({"accountIds": ["111122223333"]})));
    assert_eq!(world.grants(&image), [format!("ami-share/{image}/111122223333 {grantee}")]);
    world.completed(&ask("revoke", &image, json!({"accountIds": ["111122223333"]})));
    assert_eq!(world.grants(&image), [""; 0]);
    assert!(world.grants("by-hand").contains(&format!("by-hand {grantee}")), "not ours to take");
}

#[test]
fn a_grant_the_target_made_itself_is_reported_and_stays() {
    let world = World::start(ALLOWLIST, &[]);
    let passed_on = json!({"grantee": "arn:aws:iam::111122223333:role/app", "name": "passed-on", "operations": ["Decrypt"], "issuingAccount": "111122223333"});
    let key = json!({"policy": owner_only(), "grants": [passed_on]});
    let image = world.aws.image(json!({"name": "golden-passed-on", "launchPermissions": ["111122223333"], "mappings": [{"device": "/dev/xvda", "snapshot": {"key": key}}]}));
    let outcome = world.completed(&ask("revoke", &image, json!({"accountIds": ["111122223333"]})));
    assert!(outcome["warnings"].to_string().contains("passed its access on"), "{outcome:#}");
    assert_eq!(world.grants("passed-on").len(), 1);
}

#[test]
fn service_linked_roles_get_their_own_grants_as_far_as_they_exist() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(two_keys("golden-roles"));
    let request = ask(
        "share",
        &image,
        json!({"accountIds": ["111122223333"], "serviceLinkedRoles": ["autoscaling", "autoscaling:blue"]}),
    );
    world.completed(&request);
    let grants = world.grants(&image);
    assert_eq!(grants.len(), 6, "{grants:#?}");
    let role =
        "arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_blue";
    assert!(grants.contains(&format!("ami-share/{image}/111122223333/autoscaling:blue {role}")), "{grants:#?}");
    world.completed(&ask("revoke", &image, json!({"accountIds": ["111122223333"]})));
    assert_eq!(world.grants(&image), [""; 0], "the roles' grants go with the account's");

    // KMS refuses a grantee that does not exist; the share goes on and says what to do.
    world.aws.seed(&json!({"faults": [{"call": "kms:CreateGrant", "code": "InvalidArnException", "status": 400, "message": "no such principal", "holding": "aws-service-role", "times": 20}]}));
    let spot = world.aws.image(two_keys("golden-spot"));
    let request = ask("share", &spot, json!({"accountIds": ["111122223333"], "serviceLinkedRoles": ["spot"]}));
    let answer = world.function.invoke(&request);
    world.aws.no_faults();
    let outcome = answer.unwrap();
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    let warnings = outcome["warnings"].to_string();
    assert!(warnings.contains("aws kms create-grant") && warnings.contains("AWSServiceRoleForEC2Spot"), "{warnings}");
    assert_eq!(world.launch(&spot), ["111122223333"]);
}

#[test]
fn a_check_says_whether_the_auto_scaling_role_has_a_path() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(two_keys("golden-check-role"));
    let outcome = world.completed(&ask("check", &image, json!({"accountIds": ["111122223333"]})));
    let role = &outcome["images"][0]["keys"][0]["roles"][0];
    assert_eq!((&role["role"], &role["verdict"]), (&json!("autoscaling"), &json!("missing")), "{outcome:#}");
    assert!(role["remedy"].as_str().unwrap().starts_with("aws kms create-grant"), "{role}");
    world.completed(&ask(
        "share",
        &image,
        json!({"accountIds": ["111122223333"], "serviceLinkedRoles": ["autoscaling"]}),
    ));
    let outcome = world.completed(&ask("check", &image, json!({"accountIds": ["111122223333"]})));
    assert_eq!(outcome["images"][0]["keys"][1]["roles"][0]["verdict"], "allowed", "{outcome:#}");
}

#[test]
fn a_check_warns_where_nothing_keeps_images_from_being_made_public() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(two_keys("golden-check-public"));
    let check = ask("check", &image, json!({"accountIds": ["111122223333"]}));
    assert_eq!(world.completed(&check)["warnings"], json!([]));
    world.aws.seed(&json!({"settings": {"blockPublicAccess": false}}));
    let outcome = world.completed(&check);
    world.aws.seed(&json!({"settings": {"blockPublicAccess": true}}));
    assert!(outcome["warnings"].to_string().contains("block public access for AMIs is off"), "{outcome:#}");
}

#[test]
fn a_grant_that_fails_keeps_the_launch_permission_from_being_added() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(two_keys("golden-limit"));
    world.aws.seed(&json!({"faults": [{"call": "kms:CreateGrant", "code": "LimitExceededException", "status": 400, "message": "too many grants", "after": 1, "times": 20}]}));
    let request = ask("share", &image, json!({"accountIds": ["111122223333"], "access": "copy"}));
    let error = world.function.invoke(&request).unwrap_err();
    world.aws.no_faults();
    assert_eq!(error["errorType"], "LimitExceeded");
    let outcome: Value = serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!(outcome["result"], "incomplete", "{outcome:#}");
    let mut states: Vec<_> =
        outcome["images"][0]["steps"].as_array().unwrap().iter().map(|step| step["state"].as_str().unwrap()).collect();
    states[..2].sort_unstable(); // the two grants are made at once
    assert_eq!(states, ["done", "failed", "skipped", "skipped", "skipped"]);
    assert_eq!(outcome["images"][0]["targets"][0]["state"], "failed");
    assert_eq!(world.launch(&image), [""; 0]);
    world.completed(&request);
    assert_eq!(world.launch(&image), ["111122223333"]);
    assert_eq!(world.grants(&image).len(), 2, "the repeat makes none twice");
}

#[test]
fn organizations_and_units_are_let_in_by_the_policy_and_told_what_it_lacks() {
    let world = World::start(ALLOWLIST, &[]);
    // AWS's sample statement for an organizational unit as it was in 2023: without kms:CreateGrant.
    let uses = [
        "kms:Describe*",
        "kms:List*",
        "kms:Get*",
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:ReEncrypt*",
        "kms:GenerateDataKey*",
    ];
    let below = json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}, "ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"}});
    let mut policy = with(owner_only(), allow("*", uses).sid("AllowUnit").when(below));
    let image = |name: &str, policy: &Value| json!({"name": name, "mappings": [{"device": "/dev/xvda", "snapshot": {"key": {"policy": policy}}}]});
    let lacking = world.aws.image(image("golden-unit", &policy));
    let request = |id: &str| ask("share", id, json!({"organizationalUnitArns": [UNIT]}));
    let outcome = world.refused(&request(&lacking));
    assert_eq!(codes(&outcome), ["KeyAccessMissing"], "{outcome:#}");
    let key = &outcome["images"][0]["keys"][0];
    assert_eq!(key["missing"], json!(["kms:CreateGrant"]), "{key:#}");

    policy["Statement"].as_array_mut().unwrap().extend(key["remedy"].as_array().unwrap().clone());
    let mended = world.aws.image(image("golden-unit-mended", &policy));
    world.completed(&request(&mended));
    assert_eq!(world.launch(&mended), [UNIT]);
    assert_eq!(world.grants(&mended), [""; 0], "a grant can't name a unit");

    // Removing one account that the unit covers takes nothing away, and says so.
    world.aws.forget_calls();
    let outcome = world.completed(&ask("revoke", &mended, json!({"accountIds": ["111122223333"]})));
    assert_eq!(outcome["images"][0]["targets"][0]["state"], "still-reachable", "{outcome:#}");
    world.completed(&ask("revoke", &mended, json!({"organizationalUnitArns": [UNIT]})));
    assert_eq!(world.launch(&mended), [""; 0]);
}

#[test]
fn copying_is_for_accounts_and_for_those_a_rule_allows_it() {
    let world = World::start(ALLOWLIST, &[]);
    let image =
        world.aws.image(json!({"name": "golden-copy-org", "mappings": [{"device": "/dev/xvda", "snapshot": {}}]}));
    let outcome = world.refused(&ask("share", &image, json!({"organizationArns": [ORGANIZATION], "access": "copy"})));
    assert_eq!(codes(&outcome), ["CopyNotPossible"]);
    assert!(outcome["refusals"][0]["remedy"].as_str().unwrap().contains("access: launch"));
    let plain = world.aws.image(json!({"name": "plain-1", "mappings": [{"device": "/dev/xvda", "snapshot": {}}]}));
    let outcome = world.refused(&ask("share", &plain, json!({"accountIds": ["111122223333"], "access": "copy"})));
    assert_eq!(codes(&outcome), ["AccessNotAllowed"]);
    let outcome =
        world.refused(&ask("share", &plain, json!({"accountIds": ["111122223333"], "serviceLinkedRoles": ["spot"]})));
    assert_eq!(codes(&outcome), ["RoleNotAllowed"]);
}

#[test]
fn one_volume_on_the_aws_managed_key_refuses_all_of_it_before_any_write() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(json!({"name": "golden-mixed", "mappings": [
        {"device": "/dev/xvda", "snapshot": {"key": {"policy": owner_only()}}},
        {"device": "/dev/sdb", "snapshot": {"key": {"manager": "AWS"}}},
    ]}));
    let outcome =
        world.refused(&ask("share", &image, json!({"accountIds": ["111122223333", "222233334444"], "access": "copy"})));
    assert_eq!(codes(&outcome), ["DefaultKey"], "{outcome:#}");
}

#[test]
fn what_cannot_be_read_does_not_hold_up_a_revoke() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(two_keys("golden-gaps"));
    world.completed(&ask("share", &image, json!({"accountIds": ["111122223333"], "access": "copy"})));
    let revoke = ask("revoke", &image, json!({"accountIds": ["111122223333"]}));
    world.aws.fault("kms:ListGrants", "AccessDeniedException", 400, 20);
    let error = world.function.invoke(&revoke).unwrap_err();
    world.aws.no_faults();
    assert_eq!(error["errorType"], "Denied", "{error:#}");
    assert_eq!(world.launch(&image), [""; 0]);
    assert_eq!(world.copy(&image), [[""; 0], [""; 0]]);
    assert_eq!(world.grants(&image).len(), 2, "they could not be listed");
    world.completed(&revoke);
    assert_eq!(world.grants(&image), [""; 0]);
}
