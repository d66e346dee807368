//! Uses of a key: what a launch needs, which condition keys EC2's calls carry, and which remedy is given.

use ami_share_testing::key_policies::{Statement as _, allow, deny, policy_of};
use key_policy::{
    Grant, JudgeOfKey, KeyAccess, KeyQuestion, KeyUse, Known, Limit, OrganizationFacts, Policy, Verdict,
    domain::{KeyArn, Target},
    judge, launch_operations,
};
use serde_json::{Value, json};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ACCOUNT: &str = "444455556666";
const ORGANIZATION: &str = "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5";
const UNIT: &str = "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111";
const ROLE: &str =
    "arn:aws:iam::444455556666:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling";

fn facts(organization: Option<&str>, paths: &[&str]) -> OrganizationFacts {
    OrganizationFacts {
        organization_id: Known::Is(organization.map(str::to_owned)),
        paths: Known::Is(paths.iter().map(ToString::to_string).collect()),
    }
}

fn ask(
    statements: &Value,
    grants: &[Grant],
    target: &str,
    organization: &OrganizationFacts,
    key_use: &KeyUse,
    key: &str,
) -> KeyAccess {
    let (key, target): (KeyArn, Target) = (key.parse().unwrap(), target.parse().unwrap());
    let policy = policy_of(statements.as_array().unwrap());
    judge(&KeyQuestion { key: &key, policy: &policy, grants, target: &target, organization, key_use })
}

fn launch(statements: &Value, target: &str, organization: &OrganizationFacts) -> KeyAccess {
    ask(statements, &[], target, organization, &KeyUse::Launch, KEY)
}

fn in_account(statements: &Value) -> KeyAccess {
    launch(statements, ACCOUNT, &OrganizationFacts::UNKNOWN)
}

fn guard(condition: Value) -> Value {
    deny("*", "kms:*").sid("Guard").when(condition)
}

fn everything() -> Value {
    allow(ACCOUNT, "kms:*")
}

fn owner_only() -> Value {
    json!([allow("111122223333", "kms:*")])
}

fn grant(grantee: &str, operations: &[&str]) -> Grant {
    Grant {
        grant_id: "g-1".to_owned(),
        grantee_principal: Some(grantee.to_owned()),
        operations: operations.iter().map(ToString::to_string).collect(),
        ..Grant::default()
    }
}

/// The remedy works: the policy with it is judged `allowed`.
#[track_caller]
fn mends(statements: &Value, access: &KeyAccess, target: &str, organization: &OrganizationFacts) {
    let mut mended = statements.as_array().unwrap().clone();
    mended.extend(access.remedy.clone().unwrap().as_array().unwrap().clone());
    let after = launch(&Value::from(mended), target, organization);
    assert_eq!(after.verdict, Verdict::Allowed, "{:?} with {:?}", access.remedy, after);
    assert_eq!(after.limits, []);
}

#[test]
fn the_documented_share_lets_an_account_launch() {
    let user = json!({"AWS": ["arn:aws:iam::111122223333:user/KeyUser", "arn:aws:iam::444455556666:root"]});
    let uses = json!(["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]);
    let statements = json!([
        allow(user.clone(), uses),
        allow(user, json!(["kms:CreateGrant", "kms:ListGrants"]))
            .when(json!({"Bool": {"kms:GrantIsForAWSResource": true}})),
    ]);
    let access = in_account(&statements);
    assert_eq!(access.verdict, Verdict::Allowed);
    assert_eq!((access.limits.as_slice(), access.missing.as_slice()), ([].as_slice(), [].as_slice()));
    assert_eq!(access.remedy, None);
    let row = serde_json::to_value(&access).unwrap();
    assert_eq!(
        row["because"],
        json!([{"sid": null, "index": 0, "effect": "Allow"}, {"sid": null, "index": 1, "effect": "Allow"}])
    );
    assert_eq!(row["verdict"], "allowed");
    assert_eq!(row["perAction"]["kms:ReEncryptTo"], "allowed");
    assert_eq!(
        ask(&statements, &[], ACCOUNT, &OrganizationFacts::UNKNOWN, &KeyUse::Copy, KEY).verdict,
        Verdict::Allowed
    );
}

#[test]
fn four_actions_suffice_for_volumes_under_another_key() {
    let four = json!(["kms:DescribeKey", "kms:ReEncryptFrom", "kms:CreateGrant", "kms:Decrypt"]);
    let access = in_account(&json!([allow(ACCOUNT, four)]));
    assert_eq!((access.verdict, access.limits.as_slice()), (Verdict::Allowed, [Limit::DefaultKeyOnly].as_slice()));
    assert_eq!(serde_json::to_value(&access).unwrap()["limits"], json!(["default-key-only"]));
    let access = in_account(&json!([allow(ROLE, "kms:*")]));
    assert_eq!((access.verdict, access.limits.as_slice()), (Verdict::Conditional, [].as_slice()));
}

#[test]
fn ec2s_calls_are_known_to_carry_what_is_documented() {
    let all = || json!("kms:*");
    let own = || json!({"AWS": ACCOUNT});
    for (condition, verdict) in [
        (json!({"StringEquals": {"kms:ViaService": "ec2.us-east-1.amazonaws.com"}}), Verdict::Allowed),
        (json!({"StringLike": {"kms:ViaService": "ec2.*.amazonaws.com"}}), Verdict::Allowed),
        (json!({"StringEquals": {"kms:ViaService": "ec2.eu-west-1.amazonaws.com"}}), Verdict::Missing),
        (json!({"StringEquals": {"kms:CallerAccount": ACCOUNT}}), Verdict::Allowed),
        (json!({"StringEquals": {"aws:PrincipalAccount": "777788889999"}}), Verdict::Missing),
        (json!({"Bool": {"kms:GrantIsForAWSResource": "true"}}), Verdict::Missing),
        (json!({"BoolIfExists": {"kms:GrantIsForAWSResource": "true"}}), Verdict::Allowed),
        (json!({"StringLikeIfExists": {"kms:EncryptionContext:aws:ebs:id": ["vol-*", "snap-*"]}}), Verdict::Allowed),
        (json!({"StringLikeIfExists": {"kms:EncryptionContext:aws:ebs:id": "vol-*"}}), Verdict::Conditional),
        (json!({"StringNotLike": {"kms:EncryptionContext:aws:ebs:id": "vol-*"}}), Verdict::Missing),
        (json!({"Bool": {"aws:SecureTransport": "true"}}), Verdict::Allowed),
        (json!({"StringEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}}), Verdict::Allowed),
        (json!({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}), Verdict::Missing),
        (json!({"StringEquals": {"aws:ResourceAccount": "111122223333"}}), Verdict::Allowed),
        (json!({"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}), Verdict::Missing),
        (json!({"Bool": {"aws:ViaAWSService": "true", "aws:PrincipalIsAWSService": "false"}}), Verdict::Allowed),
        (json!({"Bool": {"aws:PrincipalIsAWSService": "true"}}), Verdict::Missing),
        (json!({"StringEquals": {"aws:PrincipalServiceName": "ec2.amazonaws.com"}}), Verdict::Missing),
        (
            json!({"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT", "kms:KeyUsage": "ENCRYPT_DECRYPT"}}),
            Verdict::Allowed,
        ),
        (json!({"Bool": {"kms:MultiRegion": "false"}}), Verdict::Allowed),
        (json!({"StringEqualsIfExists": {"kms:GrantConstraintType": "EncryptionContextSubset"}}), Verdict::Allowed),
        (json!({"StringEqualsIfExists": {"kms:GrantConstraintType": "EncryptionContextEquals"}}), Verdict::Missing),
        (json!({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["aws:ebs:id"]}}), Verdict::Allowed),
        (json!({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["aws:s3:arn"]}}), Verdict::Missing),
        (json!({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "aws:ebs:id"}}), Verdict::Missing),
        // AWS's own policy for EBS in ROSA allows no grant with more operations.
        (
            json!({"ForAllValues:StringEquals": {"kms:GrantOperations":
                ["Decrypt", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"]}}),
            Verdict::Allowed,
        ),
        (json!({"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt"]}}), Verdict::Conditional),
        (json!({"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt"]}}), Verdict::Missing),
        (json!({"StringEqualsIfExists": {"kms:EncryptionContext:aws:ebs:id": "orders"}}), Verdict::Missing),
        (json!({"StringEquals": {"kms:EncryptionContext:Department": "IT"}}), Verdict::Missing),
        (json!({"StringEquals": {"aws:SourceAccount": ACCOUNT}}), Verdict::Missing),
        (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::777788889999:*"}}), Verdict::Missing),
        (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:*::444455556666:*"}}), Verdict::Allowed),
        (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::444455556666:role/*"}}), Verdict::Conditional),
        (json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}), Verdict::Conditional),
        // A tag may have any value, also with wildcards and colons.
        (
            json!({"ArnLike": {"aws:PrincipalArn": "${aws:PrincipalTag/Arn, 'arn:aws:iam::777788889999:*'}"}}),
            Verdict::Conditional,
        ),
        (json!({"StringLike": {"kms:ViaService": "${kms:CallerAccount}*"}}), Verdict::Missing),
        (json!({"StringLike": {"aws:PrincipalArn": "${aws:PrincipalAccount}*"}}), Verdict::Missing),
        (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:*::${aws:PrincipalAccount}:*"}}), Verdict::Allowed),
        (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:*::${kms:ViaService}:*"}}), Verdict::Missing),
        (json!({"StringEqualsIgnoreCase": {"aws:PrincipalArn": "x"}}), Verdict::Conditional),
        (json!({"StringEquals": {"aws:PrincipalArn": "arn:aws:iam::777788889999:role/x"}}), Verdict::Missing),
        (json!({"StringLike": {"aws:PrincipalArn": "arn:aws:*"}}), Verdict::Allowed),
    ] {
        let access = in_account(&json!([allow(own(), all()).when(condition.clone())]));
        assert_eq!(access.verdict, verdict, "{condition}: {access:?}");
    }
    let of_a_multi_region_key = |value: &str| {
        let statements = json!([allow(own(), all()).when(json!({"Bool": {"kms:MultiRegion": value}}))]);
        let key = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
        ask(&statements, &[], ACCOUNT, &OrganizationFacts::UNKNOWN, &KeyUse::Launch, key).verdict
    };
    assert_eq!(["true", "false"].map(of_a_multi_region_key), [Verdict::Allowed, Verdict::Missing]);
    let decrypt = allow(own(), "kms:Decrypt")
        .when(json!({"StringLike": {"kms:EncryptionContext:aws:ebs:id": ["vol-*", "snap-*"]}}));
    let access = in_account(&json!([decrypt]));
    assert_eq!(serde_json::to_value(&access.per_action).unwrap()["kms:Decrypt"], "allowed");
}

/// Many write this statement so that a key can be used only for volumes. DescribeKey carries no encryption context, so
/// the condition never holds for it.
#[test]
fn describe_key_carries_no_encryption_context() {
    let volumes = json!({"StringLike": {"kms:EncryptionContext:aws:ebs:id": "vol-*"}});
    let rest = ["kms:CreateGrant", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"];
    let access = in_account(&json!([allow(ACCOUNT, json!(rest)), allow(ACCOUNT, "kms:DescribeKey").when(volumes),]));
    assert_eq!((access.verdict, access.missing), (Verdict::Missing, vec!["kms:DescribeKey".to_owned()]));
}

#[test]
fn a_variable_of_which_only_the_form_is_known_is_what_the_answer_hangs_on() {
    let volume = json!({"StringEquals": {"kms:ViaService": "${kms:EncryptionContext:aws:ebs:id}"}});
    let access = in_account(&json!([
        allow(ACCOUNT, json!(["kms:CreateGrant", "kms:DescribeKey"])),
        allow(ACCOUNT, "kms:*").when(volume),
    ]));
    let hangs_on = ["kms:EncryptionContext:aws:ebs:id".to_owned()];
    assert_eq!((access.verdict, access.depends_on.as_slice()), (Verdict::Conditional, hangs_on.as_slice()));
}

#[test]
fn denials_by_origin_are_likely_to_fail() {
    for key in ["aws:SourceVpc", "aws:SourceVpce", "AWS:sourceVpcE"] {
        let access = in_account(&json!([everything(), guard(json!({"StringNotEquals": {key: "vpce-1"}}))]));
        assert_eq!(access.verdict, Verdict::Conditional);
        assert_eq!(access.likely_to_fail.len(), 1);
        assert!(access.likely_to_fail[0].contains("`Guard`"), "{:?}", access.likely_to_fail);
        assert!(access.remedy.is_none());
        assert!(access.notes.iter().any(|note| note.contains("change statement `Guard`")), "{:?}", access.notes);
    }
    let ip = in_account(&json!([everything(), guard(json!({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))]));
    assert_eq!((ip.verdict, ip.likely_to_fail.len()), (Verdict::Conditional, 1));
    // Neither caller is a service's principal.
    let service = in_account(&json!([everything(), guard(json!({"Bool": {"aws:PrincipalIsAWSService": "false"}}))]));
    assert_eq!((service.verdict, service.likely_to_fail.len()), (Verdict::Denied, 0));
    // It depends on the organization, not where the call comes from.
    let member =
        json!({"StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}, "Null": {"aws:SourceIp": "false"}});
    let unknown = in_account(&json!([everything(), guard(member.clone())]));
    assert_eq!((unknown.verdict, unknown.likely_to_fail.len()), (Verdict::Conditional, 1));
    let outside = launch(&json!([everything(), guard(member)]), ACCOUNT, &facts(Some("o-a1b2c3d4e5"), &[]));
    assert_eq!((outside.verdict, outside.likely_to_fail.len()), (Verdict::Allowed, 0));
    let mfa = in_account(&json!([everything(), guard(json!({"Bool": {"aws:MultiFactorAuthPresent": "false"}}))]));
    assert_eq!((mfa.verdict, mfa.likely_to_fail.len()), (Verdict::Conditional, 0));
    assert_eq!(mfa.depends_on, ["aws:MultiFactorAuthPresent"]);
    let denied =
        in_account(&json!([everything(), guard(json!({"StringNotEquals": {"kms:CallerAccount": "111122223333"}}))]));
    assert_eq!((denied.verdict, denied.remedy.as_ref()), (Verdict::Denied, None));
    assert_eq!(serde_json::to_value(&denied.because).unwrap(), json!([{"sid": "Guard", "index": 1, "effect": "Deny"}]));
}

/// Which `Deny` applies to which caller: an identity in the account that calls through EC2, or EC2's own role there
/// when a volume is attached.
#[test]
fn a_deny_counts_for_both_callers_of_a_launch() {
    let role = "arn:aws:iam::444455556666:role/aws:ec2-infrastructure";
    let any = "arn:aws:iam::*:role/aws:ec2-infrastructure";
    let (allowed, conditional, denied) = (Verdict::Allowed, Verdict::Conditional, Verdict::Denied);
    let network = |more: Value| {
        let mut condition = json!({
            "NotIpAddressIfExists": {"aws:SourceIp": "203.0.113.0/24"},
            "StringNotEqualsIfExists": {"aws:SourceVpc": "vpc-1"},
        });
        condition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        condition
    };
    let not_a_service = || json!({"aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false"});
    for (condition, verdict) in [
        // Through EC2 the call is a forward access session. Whether the role's call is one is not documented.
        (json!({"Bool": {"aws:ViaAWSService": "true"}}), denied),
        (json!({"Bool": {"aws:ViaAWSService": "false"}}), conditional),
        (json!({"StringNotEquals": {"kms:ViaService": "ec2.us-east-1.amazonaws.com"}}), conditional),
        (json!({"StringNotEqualsIfExists": {"kms:ViaService": "ec2.us-east-1.amazonaws.com"}}), conditional),
        (json!({"StringNotLike": {"kms:ViaService": "rds.*"}}), denied),
        (json!({"Null": {"kms:ViaService": "true"}}), conditional),
        // For both callers the value is known, or for neither.
        (json!({"Bool": {"aws:SecureTransport": "false"}}), allowed),
        (json!({"BoolIfExists": {"aws:SecureTransport": "False"}}), allowed),
        (json!({"StringNotEquals": {"aws:RequestedRegion": ["us-east-1"]}}), allowed),
        (json!({"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1"]}}), denied),
        (json!({"StringNotEqualsIfExists": {"aws:ResourceAccount": "111122223333"}}), allowed),
        (json!({"StringNotEquals": {"aws:PrincipalAccount": [ACCOUNT, "111122223333"]}}), allowed),
        (json!({"StringNotEquals": {"kms:CallerAccount": "111122223333"}}), denied),
        (json!({"Bool": {"aws:MultiFactorAuthPresent": "false"}}), conditional),
        // AWS's protection against confused deputies is about service principals.
        (
            json!({"StringNotEqualsIfExists": {"aws:SourceOrgID": "o-a1b2c3d4e5"}, "Null": {"aws:SourceAccount": "false"},
                "Bool": {"aws:PrincipalIsAWSService": "true"}}),
            allowed,
        ),
        (json!({"Bool": {"aws:PrincipalIsAWSService": "true"}}), allowed),
        // AWS's network perimeters for KMS exempt the role by name. The EBS guide says what happens without this
        // exemption.
        (network(json!({"BoolIfExists": not_a_service(), "ArnNotLikeIfExists": {"aws:PrincipalArn": [any]}})), allowed),
        (network(json!({"BoolIfExists": not_a_service(), "ArnNotLikeIfExists": {"aws:PrincipalArn": role}})), allowed),
        (network(json!({"BoolIfExists": not_a_service()})), conditional),
        (network(json!({})), conditional),
        (
            json!({"StringNotEqualsIfExists": {"aws:VpceOrgID": "o-a1b2c3d4e5"}, "BoolIfExists": not_a_service()}),
            conditional,
        ),
        // The role by its ARN, which the EBS guide writes with the instance.
        (json!({"ArnLike": {"aws:PrincipalArn": any}}), denied),
        (json!({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/aws:ec2-*"}}), denied),
        (json!({"ArnLike": {"aws:PrincipalArn": format!("{any}*")}}), denied),
        (json!({"ArnLike": {"aws:PrincipalArn": format!("{any}/*")}}), conditional),
        (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::777788889999:role/aws:ec2-infrastructure"}}), allowed),
        (json!({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::444455556666:role/Admin"}}), denied),
        (json!({"ArnNotLike": {"aws:PrincipalArn": ["arn:aws:iam::444455556666:role/Admin", any]}}), conditional),
        (json!({"ArnNotLike": {"aws:PrincipalArn": ["arn:aws:*::444455556666:*"]}}), allowed),
    ] {
        let access = in_account(&json!([everything(), guard(condition.clone())]));
        assert_eq!(access.verdict, verdict, "{condition}: {access:#?}");
    }
    let principals = |name: &str, principals: Value| {
        let statement = json!({"Effect": "Deny", name: {"AWS": principals}, "Action": "kms:Decrypt", "Resource": "*"});
        in_account(&json!([everything(), statement])).verdict
    };
    for (listed, hit, spared) in [
        (json!(ACCOUNT), denied, conditional),
        (json!(role), denied, conditional),
        (json!([ACCOUNT, role]), denied, conditional),
        (json!("arn:aws:sts::444455556666:assumed-role/aws:ec2-infrastructure/i-1"), conditional, conditional),
        (json!([ACCOUNT, "arn:aws:iam::444455556666:role/App"]), denied, conditional),
        // The `Deny` certainly applies to the role if neither the role nor its account is listed.
        (json!("arn:aws:iam::444455556666:role/App"), conditional, denied),
        (json!("arn:aws:iam::777788889999:role/aws:ec2-infrastructure"), allowed, denied),
        (json!("777788889999"), allowed, denied),
    ] {
        assert_eq!(principals("Principal", listed.clone()), hit, "Principal {listed}");
        assert_eq!(principals("NotPrincipal", listed.clone()), spared, "NotPrincipal {listed}");
    }
    // EC2's role decrypts by EC2's own grant: no `Allow` needs to name it, and it makes no other call.
    for (action, verdict) in [("kms:Decrypt", denied), ("kms:*", denied), ("kms:Encrypt", allowed)] {
        let statement = json!({"Effect": "Deny", "Principal": {"AWS": role}, "Action": action, "Resource": "*"});
        assert_eq!(in_account(&json!([everything(), statement])).verdict, verdict, "{action}");
    }
    // An organization has more members than the account whose role is named.
    let statement = json!({"Effect": "Deny", "Principal": {"AWS": role}, "Action": "kms:Decrypt", "Resource": "*"});
    let member = allow("*", "kms:*").when(json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}));
    let access = launch(&json!([member, statement]), ORGANIZATION, &OrganizationFacts::UNKNOWN);
    assert_eq!(access.verdict, conditional);
    let in_organization = |account: &str| {
        let member = allow("*", "kms:*").when(json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}));
        let arn = format!("arn:aws:iam::{account}:role/aws:ec2-infrastructure");
        let condition = json!({"ArnLike": {"aws:PrincipalArn": arn}});
        launch(&json!([member, guard(condition)]), ORGANIZATION, &OrganizationFacts::UNKNOWN).verdict
    };
    assert_eq!(["*", ACCOUNT].map(in_organization), [denied, conditional]);
}

#[test]
fn a_statement_whose_effect_cannot_be_read_denies_nothing_for_certain() {
    let mut guard = guard(json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/aws:ec2-infrastructure"}}));
    guard["Effect"] = json!("Forbid");
    assert_eq!(in_account(&json!([everything(), guard])).verdict, Verdict::Conditional);
}

#[test]
fn an_answer_says_that_the_deny_hits_ec2s_own_role() {
    let by_arn = |operator: &str, arn: &str| {
        in_account(&json!([everything(), guard(json!({operator: {"aws:PrincipalArn": arn}}))]))
    };
    let any = "arn:aws:iam::*:role/aws:ec2-infrastructure";
    let denied = by_arn("ArnLike", any);
    assert!(
        denied.notes[0].starts_with("statement `Guard` (index 1) denies kms:Decrypt to `role/aws:ec2-infrastructure`")
    );
    assert!(
        denied.notes.iter().any(|note| note.contains("a Deny that applies to EC2's own role")),
        "{:?}",
        denied.notes
    );
    assert_eq!(denied.remedy, None);
    let row = serde_json::to_value(&denied).unwrap();
    assert_eq!(row["because"], json!([{"sid": "Guard", "index": 1, "effect": "Deny"}]));
    let open = by_arn("ArnLike", &format!("{any}/*"));
    assert!(open.notes[0].contains("may deny kms:Decrypt to `role/aws:ec2-infrastructure`"), "{:?}", open.notes);
    assert_eq!(open.depends_on, ["aws:PrincipalArn"]);
    // The same holds for a service-linked role.
    let role = KeyUse::ServiceLinkedRole("autoscaling".parse().unwrap());
    let statements = json!([guard(json!({"ArnLike": {"aws:PrincipalArn": any}}))]);
    let granted = grant(ROLE, &["Decrypt", "ReEncryptFrom", "DescribeKey", "CreateGrant"]);
    let access = ask(&statements, &[granted], ACCOUNT, &OrganizationFacts::UNKNOWN, &role, KEY);
    assert_eq!((access.verdict, access.grant_remedy), (Verdict::Denied, None));
    assert!(
        access.notes.iter().any(|note| note.contains("a Deny that applies to EC2's own role")),
        "{:?}",
        access.notes
    );
}

/// One judge is asked about many accounts, and remembers which the policy treats alike.
#[test]
fn accounts_that_a_condition_or_a_resource_tells_apart_are_judged_apart() {
    let key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-444455556666";
    let mut by_resource = allow("*", "kms:*");
    by_resource["Resource"] = json!("arn:aws:kms:us-east-1:111122223333:key/*-${aws:PrincipalAccount}");
    for statement in [
        allow("*", "kms:*").when(json!({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}})),
        allow("*", "kms:*").when(json!({"StringEquals": {"kms:CallerAccount": ACCOUNT}})),
        allow("*", "kms:*").when(json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:*::444455556666:*"}})),
        by_resource,
        everything(),
    ] {
        let key: KeyArn = key.parse().unwrap();
        let judge = JudgeOfKey::new(&key, &policy_of(std::slice::from_ref(&statement)));
        let verdict = |account: &str| {
            let organization = OrganizationFacts::UNKNOWN;
            judge.access(&account.parse().unwrap(), &organization, &KeyUse::Launch, &[]).verdict
        };
        let verdicts = [ACCOUNT, "777788889999", ACCOUNT].map(verdict);
        assert_eq!(verdicts, [Verdict::Allowed, Verdict::Missing, Verdict::Allowed], "{statement}");
    }
}

#[test]
fn a_unit_whose_path_is_not_known_needs_an_account_in_the_directory_and_no_statement() {
    let member = |condition: Value| json!([allow("*", "kms:*").when(condition)]);
    let under = |path: &str| json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": [path]}});
    let own = "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*";
    let access = launch(&member(under(own)), UNIT, &OrganizationFacts::UNKNOWN);
    assert_eq!((access.verdict, access.remedy.as_ref()), (Verdict::Conditional, None));
    let advice = access.advice.unwrap();
    assert!(
        advice.starts_with("list one account of ou-ab12-11111111") && advice.contains("`organizationPath`"),
        "{advice}"
    );
    assert!(access.notes.contains(&advice), "{:?}", access.notes);
    let listed = facts(None, &["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"]);
    let access = launch(&member(under(own)), UNIT, &listed);
    assert_eq!((access.verdict, access.advice), (Verdict::Allowed, None));
    let elsewhere = facts(None, &["o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/ou-ab12-11111111/"]);
    let access = launch(&member(under(own)), UNIT, &elsewhere);
    assert_eq!((access.verdict, access.remedy.is_some(), access.advice), (Verdict::Missing, true, None));
    // The advice is to list the unit's path, if that would make the verdict certain: also if the policy lets others or
    // a unit above in. There is no such advice if another condition is unknown, or if no account of the unit can have
    // the path in the policy.
    let both = |condition: Value| json!([allow(ACCOUNT, "kms:*"), member(condition)[0]]);
    let mut with_tag = under(own);
    with_tag["StringEquals"] = json!({"aws:PrincipalTag/team": "a"});
    for (condition, settles) in [
        (under(own), true),
        (under("o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/*"), true),
        (under("o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/ou-ab12-11111111/*"), true),
        (json!({"ForAllValues:StringLike": {"aws:PrincipalOrgPaths": [own, "o-zzzzzzzzzz/*"]}}), true),
        (under("o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"), false),
        (under("o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/ou-ab12-11111111/ou-*"), false),
        (under("o-zzzzzzzzzz/r-ab12/ou-ab12-22222222/*"), false),
        (under("o-a1b2c3d4e5/r-zzzz/ou-ab12-22222222/*"), false),
        (with_tag, false),
        (json!({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}), false),
    ] {
        let access = launch(&both(condition.clone()), UNIT, &OrganizationFacts::UNKNOWN);
        let found = (access.verdict, access.remedy.is_some(), access.advice.is_some());
        assert_eq!(found, (Verdict::Conditional, !settles, settles), "{condition}: {access:#?}");
    }
}

#[test]
fn the_remedy_for_an_account_is_what_is_missing_and_works() {
    let access = in_account(&owner_only());
    assert_eq!(access.verdict, Verdict::Missing);
    assert_eq!(access.missing, ["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncryptFrom"]);
    assert_eq!(access.because, []);
    assert_eq!(
        access.remedy,
        Some(json!([
            {
                "Sid": "AmiShareUse444455556666", "Effect": "Allow", "Resource": "*",
                "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
                "Action": ["kms:DescribeKey", "kms:Decrypt", "kms:ReEncryptFrom", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptTo"],
            },
            {
                "Sid": "AmiShareGrant444455556666", "Effect": "Allow", "Resource": "*",
                "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
                "Action": ["kms:CreateGrant"],
                "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
            },
        ]))
    );
    mends(&owner_only(), &access, ACCOUNT, &OrganizationFacts::UNKNOWN);

    let mut all_but_grant = everything();
    all_but_grant["Action"] = json!(["kms:Re*", "kms:D*", "kms:Gen*"]);
    all_but_grant["Sid"] = json!("AmiShareGrant444455556666");
    let access = in_account(&json!([all_but_grant]));
    let remedy = access.remedy.clone().unwrap();
    assert_eq!((remedy.as_array().unwrap().len(), &remedy[0]["Action"]), (1, &json!(["kms:CreateGrant"])));
    assert_eq!(remedy[0]["Sid"], "AmiShareGrant444455556666n2");
    assert!(access.notes[0].contains("does not allow kms:CreateGrant"), "{:?}", access.notes);
    mends(&json!([all_but_grant]), &access, ACCOUNT, &OrganizationFacts::UNKNOWN);

    let open = json!([allow(ACCOUNT, "kms:*").when(json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}))]);
    mends(&open, &in_account(&open), ACCOUNT, &OrganizationFacts::UNKNOWN);
}

#[test]
fn a_deny_hidden_behind_a_missing_allow_is_named() {
    let statements = json!([guard(json!({"StringNotEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}))]);
    let access = in_account(&statements);
    assert_eq!((access.verdict, access.remedy.as_ref()), (Verdict::Missing, None));
    assert!(access.notes.iter().any(|note| note.contains("`Guard`")), "{:?}", access.notes);
    // With the account's organization from the directory, the `Deny` certainly does not apply.
    let access = launch(&statements, ACCOUNT, &facts(Some("o-a1b2c3d4e5"), &["o-a1b2c3d4e5/r-ab12/"]));
    assert!(access.remedy.is_some());
    let odd = in_account(&json!([everything(), "odd"]));
    assert_eq!((odd.verdict, odd.remedy.as_ref()), (Verdict::Conditional, None));
    assert!(odd.notes.iter().any(|note| note.contains("fix the statement at index 1")), "{:?}", odd.notes);
}

#[test]
fn a_policy_that_would_grow_too_long_is_noted() {
    let filler: Vec<Value> = (0..352).map(|number| allow(format!("{number:012}"), "kms:Decrypt")).collect();
    let access = in_account(&Value::from(filler));
    assert!(access.remedy.is_some());
    assert!(access.notes.iter().any(|note| note.contains("32768")), "{:?}", access.notes);
}

#[test]
fn organizations_are_let_in_by_their_id() {
    let member = |condition: Value| json!([allow(json!({"AWS": "*"}), "kms:*").when(condition)]);
    let id = || json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}});
    let paths = |operator: &str, path: &str| json!({operator: {"aws:PrincipalOrgPaths": [path]}});
    let any = "ForAnyValue:StringLike";
    for (condition, verdict) in [
        (id(), Verdict::Allowed),
        (json!({"StringEquals": {"aws:PrincipalOrgID": "o-zzzzzzzzzz"}}), Verdict::Missing),
        (paths(any, "o-a1b2c3d4e5/*"), Verdict::Allowed),
        (paths(any, "o-a1b2c3d4e5/r-ab12/*"), Verdict::Conditional),
        (paths(any, "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"), Verdict::Conditional),
        (paths(any, "o-zzzzzzzzzz/*"), Verdict::Missing),
        (json!({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}), Verdict::Conditional),
    ] {
        let access = launch(&member(condition.clone()), ORGANIZATION, &OrganizationFacts::UNKNOWN);
        assert_eq!(access.verdict, verdict, "{condition}: {access:?}");
    }
    let root = facts(None, &["o-a1b2c3d4e5/r-ab12/"]);
    assert_eq!(launch(&member(paths(any, "o-a1b2c3d4e5/r-ab12/*")), ORGANIZATION, &root).verdict, Verdict::Allowed);
    // The path of an account below shows the root, and nothing about other members.
    let below = facts(Some("o-a1b2c3d4e5"), &["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"]);
    assert_eq!(launch(&member(paths(any, "o-a1b2c3d4e5/r-ab12/*")), ORGANIZATION, &below).verdict, Verdict::Allowed);
    let unit = launch(&member(paths(any, "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*")), ORGANIZATION, &below);
    assert_eq!(unit.verdict, Verdict::Conditional);
    let elsewhere = facts(Some("o-a1b2c3d4e5"), &["o-zzzzzzzzzz/r-zzzz/"]);
    assert_eq!(launch(&member(paths(any, "o-zzzzzzzzzz/*")), ORGANIZATION, &elsewhere).verdict, Verdict::Missing);
    // The question is not about the key's owner, nor anybody in its account. Any other named principal may be a member.
    for (principal, verdict) in [
        ("111122223333", Verdict::Missing),
        ("arn:aws:iam::111122223333:role/Admin", Verdict::Missing),
        ("arn:aws:iam::444455556666:role/Admin", Verdict::Conditional),
    ] {
        let statements = json!([allow(principal, "kms:*")]);
        let access = launch(&statements, ORGANIZATION, &OrganizationFacts::UNKNOWN);
        assert_eq!(access.verdict, verdict, "{principal}: {access:?}");
    }
    let one = launch(&json!([everything()]), ORGANIZATION, &OrganizationFacts::UNKNOWN);
    assert_eq!(
        (one.verdict, one.depends_on.as_slice()),
        (Verdict::Conditional, ["aws:PrincipalAccount".to_owned()].as_slice())
    );

    let documented = json!([allow(
        json!({"AWS": "*"}),
        json!([
            "kms:Describe*",
            "kms:List*",
            "kms:Get*",
            "kms:Encrypt",
            "kms:Decrypt",
            "kms:ReEncrypt*",
            "kms:GenerateDataKey*"
        ])
    )
    .when(id())]);
    let access = launch(&documented, ORGANIZATION, &OrganizationFacts::UNKNOWN);
    assert_eq!(
        (access.verdict, access.missing.as_slice()),
        (Verdict::Missing, ["kms:CreateGrant".to_owned()].as_slice())
    );
    mends(&documented, &access, ORGANIZATION, &OrganizationFacts::UNKNOWN);
    let access = launch(&owner_only(), ORGANIZATION, &OrganizationFacts::UNKNOWN);
    mends(&owner_only(), &access, ORGANIZATION, &OrganizationFacts::UNKNOWN);
    assert_eq!(access.remedy.unwrap()[0]["Condition"], id());
}

#[test]
fn units_are_let_in_with_everything_below_them() {
    let under = |operator: &str, path: &str| {
        json!([allow("*", "kms:*").when(json!({operator: {"aws:PrincipalOrgPaths": [path]}}))])
    };
    let any = "ForAnyValue:StringLike";
    let known = || facts(None, &["o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/ou-ab12-11111111/"]);
    for (statements, organization, verdict) in [
        (under(any, "o-a1b2c3d4e5/*/ou-ab12-11111111/*"), OrganizationFacts::UNKNOWN, Verdict::Allowed),
        (under(any, "o-a1b2c3d4e5/r-ab12/*"), OrganizationFacts::UNKNOWN, Verdict::Allowed),
        (under(any, "o-a1b2c3d4e5/r-zzzz/*"), OrganizationFacts::UNKNOWN, Verdict::Missing),
        (under(any, "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"), OrganizationFacts::UNKNOWN, Verdict::Conditional),
        (under(any, "o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/ou-ab12-11111111/*"), known(), Verdict::Allowed),
        (under(any, "o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/*"), known(), Verdict::Allowed),
        // The unit's own path reaches only the accounts directly in it.
        (under(any, "o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/ou-ab12-11111111/"), known(), Verdict::Conditional),
        (under(any, "o-a1b2c3d4e5/r-ab12/ou-ab12-33333333/*"), known(), Verdict::Missing),
        (under("ForAllValues:StringLike", "o-a1b2c3d4e5/*"), known(), Verdict::Allowed),
        (under("StringLike", "o-a1b2c3d4e5/*"), known(), Verdict::Conditional),
    ] {
        let access = launch(&statements, UNIT, &organization);
        assert_eq!(access.verdict, verdict, "{statements}: {access:?}");
    }
    let trap = launch(&under("ForAllValues:StringLike", "o-a1b2c3d4e5/*"), UNIT, &known());
    assert!(trap.notes.iter().any(|note| note.contains("lack the key")), "{:?}", trap.notes);
    let below = facts(
        None,
        &["o-zzzzzzzzzz/r-ab12/ou-ab12-11111111", "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/ou-ab12-33333333/"],
    );
    let own = under(any, "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*");
    assert_eq!(
        launch(&own, UNIT, &facts(None, &["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/ou-ab12-33333333/"])).verdict,
        Verdict::Allowed
    );
    let deeper = under(any, "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/ou-ab12-33333333/*");
    assert_eq!(launch(&deeper, UNIT, &below).verdict, Verdict::Conditional);
    for organization in [OrganizationFacts::UNKNOWN, known(), below] {
        let access = launch(&owner_only(), UNIT, &organization);
        mends(&owner_only(), &access, UNIT, &organization);
    }
    let access = launch(&owner_only(), UNIT, &known());
    assert_eq!(
        access.remedy.unwrap()[0]["Condition"]["ForAnyValue:StringLike"]["aws:PrincipalOrgPaths"],
        json!(["o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/ou-ab12-11111111/*"])
    );
}

#[test]
fn an_accounts_place_comes_from_the_directory() {
    let statements = |path: &str| {
        json!([allow("*", "kms:*").when(json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": [path]}}))])
    };
    let id = json!([allow("*", "kms:*").when(json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}))]);
    let place = facts(Some("o-a1b2c3d4e5"), &["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111"]);
    assert_eq!(launch(&statements("o-a1b2c3d4e5/*/ou-ab12-11111111/*"), ACCOUNT, &place).verdict, Verdict::Allowed);
    assert_eq!(launch(&statements("o-a1b2c3d4e5/*/ou-ab12-22222222/*"), ACCOUNT, &place).verdict, Verdict::Missing);
    let only_path = OrganizationFacts { organization_id: Known::Unknown, ..place };
    assert_eq!(launch(&id, ACCOUNT, &only_path).verdict, Verdict::Allowed);
    let only_id = facts(Some("o-a1b2c3d4e5"), &[]);
    assert_eq!(launch(&statements("o-a1b2c3d4e5/*"), ACCOUNT, &only_id).verdict, Verdict::Allowed);
    assert_eq!(launch(&statements("o-a1b2c3d4e5/r-ab12/*"), ACCOUNT, &only_id).verdict, Verdict::Conditional);
    assert_eq!(launch(&statements("*"), ACCOUNT, &facts(None, &[])).verdict, Verdict::Missing);
    assert_eq!(in_account(&id).verdict, Verdict::Conditional);
    assert_eq!(in_account(&id).depends_on, ["aws:PrincipalOrgID"]);
}

#[test]
fn grants_let_an_account_launch() {
    let all =
        ["Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant"];
    let root = "arn:aws:iam::444455556666:root";
    let with = |grant: Grant| ask(&owner_only(), &[grant], ACCOUNT, &OrganizationFacts::UNKNOWN, &KeyUse::Launch, KEY);
    let access = with(grant(root, &all));
    assert_eq!(access.verdict, Verdict::Allowed);
    assert_eq!(serde_json::to_value(&access.because).unwrap(), json!([{"grantId": "g-1"}]));
    assert_eq!(with(grant(root, &all[..2])).verdict, Verdict::Missing);
    let mut documented = all;
    documented.sort_unstable();
    assert_eq!(launch_operations(), documented);
    assert_eq!(with(grant("arn:aws:iam::777788889999:root", &all)).verdict, Verdict::Missing);
    assert_eq!(with(grant("arn:aws:iam::777788889999:role/App", &all)).verdict, Verdict::Missing);
    let on_key = |key: &str| with(Grant { key_id: Some(key.to_owned()), ..grant(root, &all) }).verdict;
    assert_eq!(on_key(KEY), Verdict::Allowed);
    assert_eq!(on_key("arn:aws:kms:us-east-1:111122223333:key/other"), Verdict::Missing);
    let constrained = |name: &str, value: &str| {
        let pairs = [(name.to_owned(), value.to_owned())].into();
        let constraints = key_policy::GrantConstraints { encryption_context_subset: Some(pairs), ..Default::default() };
        with(Grant { constraints: Some(constraints), ..grant(root, &all) }).verdict
    };
    assert_eq!(constrained("aws:ebs:id", "vol-1"), Verdict::Conditional);
    assert_eq!(constrained("aws:ebs:id", "orders"), Verdict::Missing);
    assert_eq!(constrained("Department", "IT"), Verdict::Missing);
}

#[test]
fn a_service_linked_role_needs_a_grant() {
    let role = KeyUse::ServiceLinkedRole("autoscaling".parse().unwrap());
    let ask = |statements: &Value, grants: &[Grant], target: &str| {
        ask(statements, grants, target, &OrganizationFacts::UNKNOWN, &role, KEY)
    };
    let access = ask(&json!([everything()]), &[], ACCOUNT);
    assert_eq!((access.verdict, access.remedy.as_ref()), (Verdict::Missing, None));
    assert!(access.notes.iter().any(|note| note.contains("only a grant")), "{:?}", access.notes);
    let wanted = access.grant_remedy.unwrap();
    assert_eq!((&wanted["KeyId"], &wanted["GranteePrincipal"]), (&json!(KEY), &json!(ROLE)));
    let operations: Vec<_> =
        wanted["Operations"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let granted = ask(&owner_only(), &[grant(ROLE, &operations)], ACCOUNT);
    assert_eq!((granted.verdict, granted.limits.as_slice()), (Verdict::Allowed, [].as_slice()));
    assert_eq!(granted.grant_remedy, None);
    assert!(!granted.notes.iter().any(|note| note.contains("only a grant")), "{:?}", granted.notes);
    // The account can't delegate its grant to a service-linked role: only AWS decides what such a role may do.
    let to_account = grant(&format!("arn:aws:iam::{ACCOUNT}:root"), &operations);
    assert_eq!(ask(&owner_only(), &[to_account], ACCOUNT).verdict, Verdict::Missing);
    let account = in_account(&owner_only());
    assert!(!account.notes.iter().any(|note| note.contains("only a grant")), "{:?}", account.notes);
    // In the key's own account the key policy is enough.
    let own = json!([allow(ROLE.replace(ACCOUNT, "111122223333"), "kms:*")]);
    assert_eq!(ask(&own, &[], "111122223333").verdict, Verdict::Allowed);
    let barred = ask(&json!([guard(json!({}))]), &[grant(ROLE, &operations)], ACCOUNT);
    assert_eq!((barred.verdict, barred.grant_remedy), (Verdict::Denied, None));
    assert_eq!(ask(&owner_only(), &[], ORGANIZATION).verdict, Verdict::Unknown);
}

#[test]
fn other_partitions_have_their_own_names() {
    let key = "arn:aws-cn:kms:cn-north-1:111122223333:key/1";
    let ask = |statements: &Value| ask(statements, &[], ACCOUNT, &OrganizationFacts::UNKNOWN, &KeyUse::Launch, key);
    let access = ask(&owner_only());
    assert_eq!(access.remedy.unwrap()[0]["Principal"], json!({"AWS": "arn:aws-cn:iam::444455556666:root"}));
    let via = |service: &str| {
        ask(&json!([allow("*", "kms:*").when(json!({"StringEquals": {"kms:ViaService": service}}))])).verdict
    };
    assert_eq!(via("ec2.cn-north-1.amazonaws.com"), Verdict::Allowed);
    assert_eq!(via("ec2.cn-north-1.amazonaws.com.cn"), Verdict::Missing);
    assert_eq!(via("ec2.us-east-1.amazonaws.com"), Verdict::Missing);
    assert_eq!(via("rds.cn-north-1.amazonaws.com.cn"), Verdict::Missing);
}

#[test]
fn a_policy_nobody_could_read_is_unknown() {
    let access = KeyAccess::unknown("the key is in another account");
    assert_eq!(access.verdict, Verdict::Unknown);
    assert_eq!(serde_json::to_value(&access).unwrap()["notes"], json!(["the key is in another account"]));
    for text in ["", "7", "{}", "[{}]", r#"{"Statement": null}"#] {
        assert!(!Policy::parse(text).unwrap_err().to_string().is_empty());
    }
}
