//! The rules of the policy language one by one, in rows that the worked cases do not have.

use ami_share_testing::key_policies;
use key_policy::{Explanation, explain};
use serde_json::{Value, json};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const APP: &str = "arn:aws:iam::444455556666:role/App";
const SESSION: &str = "arn:aws:sts::444455556666:assumed-role/App/one";

fn ask(question: Value) -> Explanation {
    explain(&question.to_string()).unwrap_or_else(|error| panic!("{error}: {question}"))
}

/// Checks the verdict on one action of the role App, by an `Allow` for its account with these elements added.
#[track_caller]
fn check(elements: Value, action: &str, mode: &str, context: Value, expected: &str) {
    check_version("2012-10-17", elements, action, mode, context, expected);
}

#[track_caller]
fn check_version(version: &str, elements: Value, action: &str, mode: &str, context: Value, expected: &str) {
    let mut statement = key_policies::allow("444455556666", "kms:*");
    for (name, value) in elements.as_object().unwrap() {
        statement[name] = value.clone();
    }
    // A null removes an element.
    statement.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let allow_all = key_policies::allow("*", "kms:*");
    let statements = if statement["Effect"] == "Allow" { json!([statement]) } else { json!([allow_all, statement]) };
    let answer = ask(json!({
        "policy": {"Version": version, "Statement": statements},
        "principal": {"account": "444455556666", "arn": APP, "org_id": null, "org_paths": []},
        "action": action, "resource": KEY, "context_mode": mode, "context": context,
    }));
    assert_eq!(answer.verdict.as_str(), expected, "{statements} asked for {action} with {context} ({mode})");
}

#[track_caller]
fn condition(condition: Value, context: Value, expected: &str) {
    check(json!({"Condition": condition}), "kms:CreateGrant", "closed", context, expected);
}

#[track_caller]
fn asked_by(principal: Value, statements: Value, expected: &str) -> Explanation {
    let answer = ask(json!({
        "policy": {"Version": "2012-10-17", "Statement": statements},
        "principal": principal, "action": "kms:Decrypt", "resource": KEY, "context_mode": "closed",
    }));
    assert_eq!(answer.verdict.as_str(), expected, "{statements} asked by {principal}");
    answer
}

fn allow(principal: Value) -> Value {
    json!([key_policies::allow(principal, "kms:Decrypt")])
}

fn deny_all_but(principal: Value) -> Value {
    json!([
        key_policies::allow("*", "kms:Decrypt"),
        {"Effect": "Deny", "NotPrincipal": principal, "Action": "kms:Decrypt", "Resource": "*"},
    ])
}

#[test]
fn conditions_follow_the_table_for_missing_keys_and_empty_sets() {
    let none = || json!({});
    for (operator, missing) in [
        ("StringEquals", "implicit-deny"),
        ("StringNotEquals", "allowed"),
        ("StringEqualsIfExists", "allowed"),
        ("StringNotEqualsIfExists", "allowed"),
        ("StringLike", "implicit-deny"),
        ("StringNotLikeIfExists", "allowed"),
        ("StringEqualsIgnoreCase", "implicit-deny"),
        ("StringNotEqualsIgnoreCase", "allowed"),
        ("ForAllValues:StringEquals", "allowed"),
        ("ForAllValues:StringNotEquals", "allowed"),
        ("ForAllValues:StringLikeIfExists", "allowed"),
        ("ForAnyValue:StringEquals", "implicit-deny"),
        ("ForAnyValue:StringNotEquals", "implicit-deny"),
        // AWS does not say which of the two prevails.
        ("ForAnyValue:StringEqualsIfExists", "conditional"),
    ] {
        condition(json!({operator: {"kms:GrantOperations": ["Decrypt"]}}), none(), missing);
    }
    let empty = || json!({"kms:GrantOperations": []});
    condition(json!({"ForAllValues:StringEquals": {"kms:GrantOperations": "Decrypt"}}), empty(), "allowed");
    condition(json!({"ForAnyValue:StringNotEquals": {"kms:GrantOperations": "Decrypt"}}), empty(), "implicit-deny");
    // An empty text is no value for the set operators, and a value for the others.
    for (operator, expect) in [
        ("ForAllValues:StringEquals", "allowed"),
        ("ForAllValues:StringNotLike", "allowed"),
        ("ForAnyValue:StringEquals", "implicit-deny"),
        ("ForAnyValue:StringNotEquals", "implicit-deny"),
        ("ForAnyValue:StringLike", "implicit-deny"),
        ("ForAnyValue:StringNotEqualsIfExists", "implicit-deny"),
        ("StringLike", "allowed"),
        ("StringNotEquals", "allowed"),
    ] {
        let wanted = if operator.ends_with("Like") { "*" } else { "a" };
        condition(json!({operator: {"kms:x": wanted}}), json!({"kms:x": ""}), expect);
    }
    condition(json!({"Null": {"kms:GrantOperations": "true"}}), none(), "allowed");
    condition(json!({"Null": {"kms:GrantOperations": ["true", "false"]}}), none(), "allowed");
    condition(json!({"Null": {"kms:ViaService": "false"}}), json!({"kms:ViaService": "x"}), "allowed");
    condition(json!({"Null": {"kms:ViaService": "true"}}), json!({"kms:ViaService": null}), "allowed");
}

#[test]
fn negated_operators_want_none_of_the_values_to_match() {
    let via = |value: &str| json!({"kms:ViaService": value});
    for (operator, same, other) in [
        ("StringNotEquals", "implicit-deny", "allowed"),
        ("StringEquals", "allowed", "implicit-deny"),
        ("StringNotEqualsIgnoreCase", "implicit-deny", "allowed"),
        ("StringNotLike", "implicit-deny", "allowed"),
        ("StringNotEqualsIfExists", "implicit-deny", "allowed"),
    ] {
        condition(json!({operator: {"kms:ViaService": ["one", "two"]}}), via("two"), same);
        condition(json!({operator: {"kms:ViaService": ["one", "two"]}}), via("three"), other);
    }
    for (wanted, expected) in
        [("ÉTÉ-1", "allowed"), ("ÉTÉ-2", "implicit-deny"), ("été-1", "allowed"), ("ete-1", "implicit-deny")]
    {
        condition(json!({"StringEqualsIgnoreCase": {"kms:ViaService": wanted}}), via("Été-1"), expected);
    }
    let operations = || json!({"kms:GrantOperations": ["Decrypt", "Encrypt"]});
    condition(
        json!({"ForAllValues:StringNotEquals": {"kms:GrantOperations": ["Encrypt"]}}),
        operations(),
        "implicit-deny",
    );
    condition(
        json!({"ForAnyValue:StringNotEquals": {"kms:GrantOperations": ["Encrypt", "Decrypt"]}}),
        operations(),
        "implicit-deny",
    );
    condition(json!({"ForAllValues:StringLike": {"kms:GrantOperations": ["*crypt"]}}), operations(), "allowed");
    // A multivalued key without a set operator: undocumented, so never certain.
    condition(json!({"StringEquals": {"kms:GrantOperations": "Decrypt"}}), operations(), "conditional");
    condition(
        json!({"StringEquals": {"kms:GrantOperations": "Decrypt"}}),
        json!({"kms:GrantOperations": "Decrypt"}),
        "conditional",
    );
    condition(
        json!({"StringNotEquals": {"kms:ViaService": "Decrypt"}}),
        json!({"kms:ViaService": ["a", "b"]}),
        "conditional",
    );
}

#[test]
fn typed_operators_compare_by_value_and_never_guess() {
    let one = |key: &str, operator: &str, wanted: Value, value: &str, expected: &str| {
        condition(json!({operator: {key: wanted}}), json!({key: value}), expected);
    };
    let age = "aws:MultiFactorAuthAge";
    for (operator, below, same, above) in [
        ("NumericEquals", "implicit-deny", "allowed", "implicit-deny"),
        ("NumericNotEquals", "allowed", "implicit-deny", "allowed"),
        ("NumericLessThan", "allowed", "implicit-deny", "implicit-deny"),
        ("NumericLessThanEquals", "allowed", "allowed", "implicit-deny"),
        ("NumericGreaterThan", "implicit-deny", "implicit-deny", "allowed"),
        ("NumericGreaterThanEquals", "implicit-deny", "allowed", "allowed"),
    ] {
        one(age, operator, json!("60"), "59.5", below);
        one(age, operator, json!(60), "60.0", same);
        one(age, operator, json!(60.0), "60.5", above);
        one(age, operator, json!("sixty"), "60", "conditional");
        one(age, operator, json!(["60", "sixty"]), "60", "conditional");
        one(age, operator, json!("60"), "soon", "conditional");
    }
    let time = "aws:CurrentTime";
    for (operator, below, same, above) in [
        ("DateEquals", "implicit-deny", "allowed", "implicit-deny"),
        ("DateNotEquals", "allowed", "implicit-deny", "allowed"),
        ("DateLessThan", "allowed", "implicit-deny", "implicit-deny"),
        ("DateLessThanEquals", "allowed", "allowed", "implicit-deny"),
        ("DateGreaterThan", "implicit-deny", "implicit-deny", "allowed"),
        ("DateGreaterThanEquals", "implicit-deny", "allowed", "allowed"),
    ] {
        one(time, operator, json!("2026-01-01"), "2025-12-31T23:59:59Z", below);
        one(time, operator, json!("2026-01-01T00:00:00Z"), "2026-01-01T01:00:00+01:00", same);
        one(time, operator, json!(1_767_225_600), "2026-01-01T00:00:01Z", above);
        one(time, operator, json!("next year"), "2026-01-01T00:00:01Z", "conditional");
    }
    one("aws:SourceIp", "IpAddress", json!("2001:db8::/32"), "2001:db8::1", "allowed");
    one("aws:SourceIp", "IpAddress", json!("203.0.113.0/33"), "203.0.113.1", "conditional");
    one("aws:SourceIp", "NotIpAddress", json!(["10.0.0.0/8", "203.0.113.0/24"]), "203.0.113.1", "implicit-deny");
    one("aws:SourceIp", "NotIpAddress", json!("203.0.113.0/24"), "2001:db8::1", "allowed");
    one("kms:x", "BinaryEquals", json!("QmluYXJ5"), "QmluYXJ5", "allowed");
    one("kms:x", "BinaryEquals", json!("QmluYXJ5"), "QmluYXJ4", "implicit-deny");
    one("kms:x", "BinaryEquals", json!("not base64"), "QmluYXJ5", "conditional");
    one("kms:x", "Bool", json!(false), "false", "allowed");
    one("kms:x", "Bool", json!("false"), "true", "implicit-deny");
    one("kms:x", "Bool", json!("True"), "true", "conditional");
    one("kms:x", "Bool", json!("True"), "false", "conditional");
    // However KMS reads `False`, it is not true.
    one("kms:x", "Bool", json!("False"), "false", "conditional");
    one("kms:x", "Bool", json!("FALSE"), "true", "implicit-deny");
    one("kms:x", "Bool", json!(["False", "true"]), "true", "allowed");
    one("kms:x", "Bool", json!(0), "true", "conditional");
    one("kms:x", "Null", json!("False"), "x", "conditional");
    condition(json!({"Bool": {"kms:x": "True"}}), json!({}), "implicit-deny");
    condition(json!({"BoolIfExists": {"kms:x": "True"}}), json!({}), "allowed");
}

#[test]
fn what_cannot_be_read_is_never_certain_in_either_direction() {
    for odd in [
        json!({"StringMatches": {"kms:ViaService": "x"}}),
        json!({"ForSomeValues:StringEquals": {"kms:ViaService": "x"}}),
        json!({"ForAllValues:Null": {"kms:ViaService": "true"}}),
        json!({"NullIfExists": {"kms:ViaService": "true"}}),
        json!({"StringEquals": {"kms:ViaService": []}}),
        json!({"StringNotEquals": {"kms:ViaService": []}}),
        json!({"StringEquals": {"kms:ViaService": {"a": "b"}}}),
        json!({"StringEquals": {"kms:ViaService": null}}),
        json!({"StringEquals": "x"}),
        json!(["StringEquals"]),
        json!("x"),
    ] {
        let context = || json!({"kms:ViaService": "x"});
        check(json!({"Condition": odd}), "kms:Decrypt", "closed", context(), "conditional");
        check(json!({"Condition": odd, "Effect": "Deny"}), "kms:Decrypt", "closed", context(), "conditional");
        // The other parts of the statement still count.
        check(
            json!({"Condition": odd, "Effect": "Deny", "Action": "kms:Encrypt"}),
            "kms:Decrypt",
            "closed",
            context(),
            "allowed",
        );
    }
    for odd in [
        json!({"Principal": "444455556666"}),
        json!({"Principal": ["*"]}),
        json!({"Principal": {"Account": "444455556666"}}),
        json!({"Principal": {"AWS": 444_455_556_666_u64}}),
        json!({"Principal": null, "NotPrincipal": {}}),
        json!({"NotPrincipal": {"AWS": "*"}}),
        json!({"Action": 7}),
        json!({"Action": ["kms:Decrypt", null]}),
        json!({"NotAction": "kms:Encrypt"}),
        json!({"Action": null, "NotAction": []}),
        json!({"Action": "kms*"}),
        json!({"Resource": {"Arn": "*"}}),
        json!({"Resource": null, "NotResource": []}),
        json!({"Resources": "*"}),
    ] {
        check(odd.clone(), "kms:Decrypt", "closed", json!({}), "conditional");
        let mut deny = odd;
        deny["Effect"] = json!("Deny");
        check(deny, "kms:Decrypt", "closed", json!({}), "conditional");
    }
    let sure = key_policies::allow("*", "kms:*");
    let role = || json!({"account": "444455556666", "arn": APP, "org_id": null});
    for odd in [
        json!("statement"),
        json!(null),
        json!([]),
        json!({"Effect": "allow", "Principal": "*", "Action": "*", "Resource": "*"}),
    ] {
        let answer = asked_by(role(), json!([sure, odd]), "conditional");
        assert_eq!(answer.depends_on, ["Statement[1]"]);
        assert!(!answer.remarks.is_empty());
        asked_by(role(), json!([odd]), "conditional");
    }
    asked_by(role(), json!([sure, {}]), "allowed");
    asked_by(
        role(),
        json!([sure, {"Effect": "Neither", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"}]),
        "allowed",
    );
}

#[test]
fn a_name_given_twice_makes_its_statement_uncertain() {
    let question = |policy: &str| {
        let principal = json!({"account": "444455556666", "arn": APP, "org_id": null});
        let line = format!(
            r#"{{"policy": {policy}, "principal": {principal}, "action": "kms:Decrypt", "resource": "{KEY}", "context_mode": "closed"}}"#
        );
        explain(&line)
    };
    for elements in [
        r#""Action": "kms:Encrypt", "Action": "kms:Decrypt", "Principal": "*""#,
        r#""Action": "kms:Decrypt", "Action": "kms:Encrypt", "Principal": "*""#,
        r#""Action": "kms:Decrypt", "Principal": {"AWS": "777788889999", "AWS": "444455556666"}"#,
        r#""Action": "kms:Decrypt", "Principal": "*", "Sid": "A", "Sid": "B""#,
        r#""Action": "kms:Decrypt", "Principal": "*", "Effect": "Deny""#,
        r#""Action": "kms:Decrypt", "Principal": "*", "Condition": {"Bool": {"a:b": "true"}}, "Condition": {}"#,
        r#""Action": "kms:Decrypt", "Principal": "*", "Condition": {"Bool": {"a:b": "true"}, "Bool": {"c:d": "true"}}"#,
        r#""Action": "kms:Decrypt", "Principal": "*", "Condition": {"Bool": {"a:b": "true", "A:B": "false"}}"#,
    ] {
        let policy = format!(r#"{{"Statement": {{"Effect": "Allow", "Resource": "*", {elements}}}}}"#);
        let answer = question(&policy).unwrap();
        assert_eq!(answer.verdict.as_str(), "conditional", "{policy}");
        assert!(answer.remarks.iter().any(|remark| remark.message.contains("twice")), "{policy}");
    }
    for policy in [
        "[]",
        "7",
        "null",
        "{}",
        r#"{"Statement": 7}"#,
        r#"{"Statement": [], "Statement": []}"#,
        r#"{"Version": "2012-10-17", "Version": "x", "Statement": []}"#,
        r#""not json""#,
    ] {
        assert!(question(policy).is_err(), "{policy}");
    }
}

#[test]
fn principals_are_compared_as_iam_does() {
    let role = |name: &str| json!({"account": "444455556666", "arn": format!("arn:aws:iam::444455556666:role/{name}"), "org_id": null});
    let user = |name: &str| json!({"account": "444455556666", "arn": format!("arn:aws:iam::444455556666:user/{name}"), "org_id": null});
    let session = |name: &str| json!({"account": "444455556666", "arn": format!("arn:aws:sts::444455556666:assumed-role/{name}"), "org_id": null});
    let whole = || json!({"account": "444455556666", "arn": null, "org_id": null});
    let aws = |name: &str| allow(json!({"AWS": name}));
    let (app, bob) = ("arn:aws:iam::444455556666:role/App", "arn:aws:iam::444455556666:user/Bob");
    for (principal, named, expected) in [
        (user("Bob"), bob, "allowed"),
        (user("bob"), bob, "implicit-deny"),
        (role("App"), bob, "implicit-deny"),
        (role("app"), app, "implicit-deny"),
        (role("path/App"), app, "implicit-deny"),
        (session("App/one"), app, "allowed"),
        (session("Apps/one"), app, "implicit-deny"),
        (session("App/one"), "arn:aws:iam::777788889999:role/App", "implicit-deny"),
        (session("App/one"), "arn:aws-cn:iam::444455556666:role/App", "implicit-deny"),
        (session("App/one"), "arn:aws:iam::444455556666:role/path/App", "allowed"),
        (session("App/one"), "arn:aws:sts::444455556666:assumed-role/App/one", "allowed"),
        (session("App/two"), "arn:aws:sts::444455556666:assumed-role/App/one", "implicit-deny"),
        (role("App"), "arn:aws:sts::444455556666:assumed-role/App/one", "implicit-deny"),
        (role("App"), "arn:aws-cn:iam::444455556666:root", "implicit-deny"),
        (role("App"), "arn:aws:iam::444455556666:root ", "implicit-deny"),
        (role("App"), "44445555666", "implicit-deny"),
        (role("App"), "arn:aws:iam::444455556666:*", "implicit-deny"),
        (role("App"), "arn:aws:iam::*:root", "implicit-deny"),
        (role("App"), "arn:aws:iam::444455556666:role/Ap?", "implicit-deny"),
        (role("App"), "AROAJQABLZS4A3QDU576Q", "implicit-deny"),
        (role("App"), "arn:aws:iam::444455556666:group/Admins", "implicit-deny"),
        (whole(), app, "conditional"),
        (whole(), bob, "conditional"),
        (whole(), "arn:aws:sts::444455556666:assumed-role/App/one", "conditional"),
        (whole(), "arn:aws:sts::444455556666:federated-user/Bob", "conditional"),
        (whole(), "arn:aws:iam::777788889999:role/App", "implicit-deny"),
        (whole(), "arn:aws:iam::444455556666:root", "allowed"),
        (whole(), "arn:aws-us-gov:iam::444455556666:root", "implicit-deny"),
        (whole(), "AIDAJQABLZS4A3QDU576Q", "implicit-deny"),
        (json!({"account": null, "arn": "ec2.amazonaws.com"}), "444455556666", "implicit-deny"),
        (json!({"account": null, "arn": null, "org_id": "o-a1b2c3d4e5"}), "444455556666", "conditional"),
        (
            json!({"account": "444455556666", "arn": "arn:aws:sts::444455556666:federated-user/Bob", "org_id": null}),
            "arn:aws:sts::444455556666:federated-user/Bob",
            "allowed",
        ),
        (
            json!({"account": "444455556666", "arn": "arn:aws:iam::444455556666:root", "org_id": null}),
            app,
            "implicit-deny",
        ),
    ] {
        asked_by(principal, aws(named), expected);
    }
    asked_by(
        whole(),
        allow(json!({"Federated": "arn:aws:iam::444455556666:saml-provider/x", "CanonicalUser": "7"})),
        "implicit-deny",
    );
    asked_by(whole(), allow(json!({"Service": "*"})), "implicit-deny");
    asked_by(json!({"account": null, "arn": "ec2.amazonaws.com"}), allow(json!("*")), "allowed");
    asked_by(
        json!({"account": null, "arn": "ec2.amazonaws.com"}),
        allow(json!({"Service": "rds.amazonaws.com"})),
        "implicit-deny",
    );
    let remarked = asked_by(whole(), aws("AIDAJQABLZS4A3QDU576Q"), "implicit-deny");
    assert!(remarked.remarks[0].message.contains("deleted principal"));
}

#[test]
fn not_principal_is_the_negation() {
    let role = || json!({"account": "444455556666", "arn": APP, "org_id": null});
    let whole = || json!({"account": "444455556666", "arn": null, "org_id": null});
    let root = || json!({"account": "444455556666", "arn": "arn:aws:iam::444455556666:root", "org_id": null});
    let user = || json!({"account": "444455556666", "arn": "arn:aws:iam::444455556666:user/Bob", "org_id": null});
    let session = || json!({"account": "444455556666", "arn": SESSION, "org_id": null});
    // The account's ARN exempts its root user. Everybody else is exempt only if they are listed too.
    for (asking, listed, expected) in [
        (root(), json!(["444455556666"]), "allowed"),
        (root(), json!(["arn:aws:iam::777788889999:root"]), "denied"),
        (role(), json!(["444455556666"]), "conditional"),
        (role(), json!(["arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root"]), "conditional"),
        (role(), json!(["444455556666", "arn:aws:iam::444455556666:role/Other"]), "conditional"),
        (role(), json!(["444455556666", APP]), "allowed"),
        (user(), json!(["444455556666", APP]), "conditional"),
        (user(), json!(["444455556666", "arn:aws:iam::444455556666:user/Bob"]), "allowed"),
        (session(), json!(["444455556666", APP]), "conditional"),
        (session(), json!(["444455556666", SESSION]), "conditional"),
        (session(), json!(["444455556666", APP, SESSION]), "allowed"),
        (session(), json!([APP, SESSION]), "conditional"),
        (whole(), json!(["444455556666"]), "conditional"),
        (whole(), json!(["444455556666", APP]), "conditional"),
        (whole(), json!(["777788889999"]), "denied"),
        (whole(), json!("*"), "allowed"),
        (json!({"account": null, "arn": null, "org_id": "o-a1b2c3d4e5"}), json!(["444455556666"]), "conditional"),
    ] {
        let answer = asked_by(asking, deny_all_but(json!({"AWS": listed})), expected);
        assert_eq!(answer.depends_on.is_empty(), expected != "conditional", "{answer:?}");
    }
    // With `Allow`, `NotPrincipal` is not supported.
    let allow_all_but =
        |principal: Value| json!([{"Effect": "Allow", "NotPrincipal": principal, "Action": "kms:*", "Resource": "*"}]);
    asked_by(role(), allow_all_but(json!({"AWS": "777788889999"})), "conditional");
    asked_by(role(), allow_all_but(json!({"AWS": "444455556666"})), "implicit-deny");
    let service = || json!({"account": null, "arn": "ec2.amazonaws.com"});
    asked_by(service(), deny_all_but(json!({"Service": "ec2.amazonaws.com"})), "allowed");
    asked_by(service(), deny_all_but(json!({"AWS": "444455556666"})), "denied");
    asked_by(role(), deny_all_but(json!({"AWS": "*"})), "allowed");
    asked_by(role(), deny_all_but(json!({"AWS": ["arn:aws:iam::777788889999:root"]})), "denied");
    asked_by(whole(), deny_all_but(json!({"AWS": APP})), "conditional");
    // IAM calls this one unreliable.
    let answer = asked_by(role(), deny_all_but(json!({"AWS": APP})), "conditional");
    assert!(answer.remarks.iter().any(|remark| remark.message.contains("NotPrincipal")));
    asked_by(role(), deny_all_but(json!({"AWS": "arn:aws:iam::444455556666:role/*"})), "denied");
    asked_by(role(), deny_all_but(json!({"AWS": "AROAJQABLZS4A3QDU576Q"})), "denied");
    asked_by(role(), deny_all_but(json!({"AWS": "arn:aws:iam::444455556666:group/Admins"})), "denied");
    asked_by(role(), deny_all_but(json!({"Federated": "accounts.google.com"})), "denied");
    // A name without a documented form: it is unknown whether it matches anybody.
    asked_by(role(), deny_all_but(json!({"AWS": "App"})), "conditional");
}

#[test]
fn actions_and_resources_match_by_wildcard_and_negation() {
    let action = |elements: Value, asked: &str, expected: &str| check(elements, asked, "closed", json!({}), expected);
    action(json!({"Action": "KMS:d?crypt"}), "kms:Decrypt", "allowed");
    action(json!({"Action": "kms:*"}), "KMS:DECRYPT", "allowed");
    action(json!({"Action": "**"}), "kms:Decrypt", "allowed");
    action(json!({"Action": "ec2:*"}), "kms:Decrypt", "implicit-deny");
    action(json!({"Action": "Decrypt"}), "kms:Decrypt", "implicit-deny");
    action(json!({"Action": []}), "kms:Decrypt", "implicit-deny");
    action(json!({"Action": null, "NotAction": ["kms:Encrypt", "kms:Sch*"]}), "kms:Decrypt", "allowed");
    action(json!({"Action": null, "NotAction": "*"}), "kms:Decrypt", "implicit-deny");
    action(json!({"Action": null, "NotAction": "kms:Decrypt", "Effect": "Deny"}), "kms:Encrypt", "denied");
    action(json!({"Action": null}), "kms:Decrypt", "implicit-deny");
    action(json!({"Action": null, "Effect": "Deny"}), "kms:Decrypt", "allowed");

    let resource = |elements: Value, expected: &str| check(elements, "kms:Decrypt", "closed", json!({}), expected);
    resource(json!({"Resource": "arn:aws:kms:*:111122223333:key/*"}), "allowed");
    resource(json!({"Resource": ["arn:aws:kms:us-east-1:111122223333:alias/x", KEY]}), "allowed");
    resource(json!({"Resource": "arn:aws:kms:us-east-1:111122223333:alias/x"}), "implicit-deny");
    resource(json!({"Resource": KEY.to_uppercase()}), "implicit-deny");
    // A `*` that ends a segment also matches after the colon.
    resource(json!({"Resource": "arn:aws:kms:*:key/1234abcd-12ab-34cd-56ef-1234567890ab"}), "allowed");
    resource(json!({"Resource": "arn:aws:kms:*"}), "allowed");
    resource(json!({"Resource": "arn:aws:kms:*"  , "Effect": "Deny"}), "denied");
    resource(json!({"Resource": null, "NotResource": "arn:aws:kms:*"}), "implicit-deny");
    resource(json!({"Resource": "arn:aws:kms:*key/1234abcd-12ab-34cd-56ef-1234567890ab"}), "conditional");
    resource(json!({"Resource": null, "NotResource": KEY}), "implicit-deny");
    resource(json!({"Resource": null, "NotResource": "*"}), "implicit-deny");
    resource(json!({"Resource": null, "NotResource": KEY, "Effect": "Deny"}), "allowed");
    resource(json!({"Resource": null, "NotResource": "arn:aws:kms:eu-west-1:*:key/*", "Effect": "Deny"}), "denied");
}

#[test]
fn only_some_operations_work_across_accounts() {
    let all = [
        "Decrypt",
        "DescribeKey",
        "CreateGrant",
        "GetKeyRotationStatus",
        "GetPublicKey",
        "ListGrants",
        "RetireGrant",
        "RevokeGrant",
        "ReEncryptFrom",
        "ReEncryptTo",
        "GenerateDataKeyPairWithoutPlaintext",
        "Sign",
        "VerifyMac",
        "DeriveSharedSecret",
    ];
    for action in all {
        check(json!({}), &format!("kms:{action}"), "closed", json!({}), "allowed");
    }
    for action in
        ["PutKeyPolicy", "GetKeyPolicy", "ScheduleKeyDeletion", "DisableKey", "TagResource", "UpdateAlias", "ReEncrypt"]
    {
        check(json!({}), &format!("kms:{action}"), "closed", json!({}), "implicit-deny");
    }
    // Whether some member of an organization is the owner is not known.
    for (action, expected) in [("kms:PutKeyPolicy", "conditional"), ("kms:Decrypt", "allowed")] {
        let member = ask(json!({
            "policy": {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}},
            "principal": {"account": null, "arn": null, "org_id": "o-a1b2c3d4e5"}, "action": action, "resource": KEY,
        }));
        assert_eq!(member.verdict.as_str(), expected, "{action}");
        assert_eq!(member.depends_on.len(), usize::from(expected == "conditional"), "{member:?}");
    }
    let owner = json!({
        "policy": {"Statement": {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"}},
        "principal": {"account": "111122223333", "arn": null}, "action": "kms:PutKeyPolicy", "resource": KEY,
    });
    assert_eq!(ask(owner).verdict.as_str(), "allowed");
}

#[test]
fn variables_are_resolved_by_version() {
    let tag = |value: &str| json!({"aws:PrincipalTag/x": value});
    let like = |wanted: &str, value: &str, expected: &str| {
        condition(json!({"StringLike": {"aws:PrincipalTag/x": wanted}}), tag(value), expected);
    };
    let equals = |wanted: &str, value: &str, expected: &str| {
        condition(json!({"StringEquals": {"aws:PrincipalTag/x": wanted}}), tag(value), expected);
    };
    equals("a-${aws:PrincipalAccount}-b", "a-444455556666-b", "allowed");
    equals("${AWS:principalaccount}", "444455556666", "allowed");
    equals("${aws:PrincipalTag/y}", "z", "implicit-deny");
    equals("${aws:PrincipalTag/y, 'z'}", "z", "allowed");
    equals("${aws:PrincipalTag/y, 'z'}", "y", "implicit-deny");
    equals("${aws:PrincipalAccount, 'z'}", "444455556666", "allowed");
    equals("${aws:PrincipalArn}", APP, "allowed");
    equals("${*}${?}${$}", "*?$", "allowed");
    equals("${", "${", "conditional");
    equals("${}", "${}", "conditional");
    equals("${a", "${a", "conditional");
    like("${*}", "*", "allowed");
    like("${*}", "x", "implicit-deny");
    like("${$}*", "$abc", "allowed");
    like("${aws:PrincipalAccount}*", "444455556666x", "allowed");
    // It is not documented whether a wildcard in the value of a variable counts.
    like("${aws:PrincipalTag/x}", "a*", "conditional");
    equals("${aws:PrincipalTag/x}", "a*", "allowed");
    like("${aws:TagKeys}", "x", "implicit-deny");
    // A condition key with several values can't be a variable. AWS does not say whether the default then counts.
    condition(
        json!({"StringEquals": {"aws:PrincipalTag/x": "${aws:TagKeys}"}}),
        json!({"aws:PrincipalTag/x": "a", "aws:TagKeys": ["a"]}),
        "implicit-deny",
    );
    equals("${aws:TagKeys, 'z'}", "z", "conditional");
    equals("${aws:PrincipalTag/y, 'a}b'}", "a}b", "allowed");
    condition(json!({"StringNotEquals": {"aws:PrincipalTag/x": "${aws:PrincipalTag/y}"}}), tag("a"), "allowed");
    condition(
        json!({"ArnLike": {"aws:PrincipalTag/x": "arn:aws:iam::${aws:PrincipalAccount}:*"}}),
        tag(APP),
        "allowed",
    );
    condition(json!({"ArnLike": {"aws:PrincipalTag/x": "${aws:PrincipalArn}"}}), tag(APP), "conditional");
    condition(json!({"NumericEquals": {"aws:PrincipalTag/x": "${aws:PrincipalAccount}"}}), tag("7"), "conditional");
    let old = |wanted: &str, value: &str, expected: &str| {
        let elements = json!({"Condition": {"StringEquals": {"aws:PrincipalTag/x": wanted}}});
        check_version("2008-10-17", elements, "kms:Decrypt", "closed", tag(value), expected);
    };
    old("${aws:PrincipalAccount}", "${aws:PrincipalAccount}", "allowed");
    old("${*}", "${*}", "allowed");
    old("${", "${", "allowed");
    let elements = || json!({"Condition": {"StringEquals": {"aws:PrincipalTag/x": "${aws:PrincipalAccount}"}}});
    check_version("2020-01-01", elements(), "kms:Decrypt", "closed", tag("444455556666"), "conditional");
    let key = "arn:aws:kms:us-east-1:111122223333:key/${aws:PrincipalTag/x}";
    for (effect, element) in
        [("Allow", "Resource"), ("Allow", "NotResource"), ("Deny", "Resource"), ("Deny", "NotResource")]
    {
        let elements = json!({"Effect": effect, "Resource": null, element: key});
        let (context, id) = (json!({}), tag("1234abcd-12ab-34cd-56ef-1234567890ab"));
        check_version("2020-01-01", elements.clone(), "kms:Decrypt", "closed", context, "conditional");
        check_version("2020-01-01", elements, "kms:Decrypt", "closed", id, "conditional");
    }
    check(elements(), "kms:Decrypt", "open", json!({}), "conditional");
    check(
        json!({"Resource": "arn:aws:kms:us-east-1:111122223333:key/${aws:PrincipalTag/x}"}),
        "kms:Decrypt",
        "closed",
        tag("1234abcd-12ab-34cd-56ef-1234567890ab"),
        "allowed",
    );
    check(json!({"Resource": "${aws:PrincipalTag/x}"}), "kms:Decrypt", "closed", json!({}), "implicit-deny");
    check(json!({"Resource": "${aws:PrincipalTag/x}"}), "kms:Decrypt", "open", json!({}), "conditional");
    // It is not documented either whether a wildcard or a colon in a value matches.
    for value in ["*", KEY] {
        check(json!({"Resource": "${aws:PrincipalTag/x}"}), "kms:Decrypt", "closed", tag(value), "conditional");
    }
    let open = ask(json!({
        "policy": {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "arn:aws:kms:*:*:key/${aws:PrincipalTag/Key}"},
            {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
                "Condition": {"StringEquals": {"kms:ViaService": "${aws:PrincipalTag/Via}"}}},
        ]},
        "principal": {"account": "444455556666", "arn": APP}, "action": "kms:Decrypt", "resource": KEY,
        "context": {"kms:ViaService": "x"},
    }));
    assert_eq!(open.depends_on, ["aws:PrincipalTag/Key", "aws:PrincipalTag/Via"]);
}

/// A session's ARN does not have its role's path. `aws:PrincipalArn` is the role's ARN.
#[test]
fn the_path_of_a_sessions_role_is_not_known_unless_it_is_said() {
    let ask = |role_arn: Option<&str>, wanted: &str| {
        ask(json!({
            "policy": {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
                "Condition": {"ArnLike": {"aws:PrincipalArn": wanted}},
            }]},
            "principal": {"account": "444455556666", "arn": SESSION}, "principal_role_arn": role_arn,
            "action": "kms:Decrypt", "resource": KEY,
        }))
        .verdict
        .as_str()
    };
    let below = "arn:aws:iam::444455556666:role/path/App";
    for (role_arn, wanted, expected) in [
        (Some(APP), APP, "allowed"),
        (Some(below), APP, "implicit-deny"),
        (Some(below), below, "allowed"),
        (None, APP, "conditional"),
        (None, below, "conditional"),
        (None, "arn:aws:iam::444455556666:role/*", "allowed"),
        (None, "arn:aws:iam::*:role/*App", "allowed"),
        (None, "arn:aws:iam::444455556666:role/Other", "implicit-deny"),
        (None, "arn:aws:iam::444455556666:user/App", "implicit-deny"),
    ] {
        assert_eq!(ask(role_arn, wanted), expected, "{wanted} for {role_arn:?}");
    }
}

#[test]
fn arns_are_compared_part_by_part() {
    let arn = |operator: &str, wanted: &str, value: &str, expected: &str| {
        condition(json!({operator: {"aws:SourceArn": wanted}}), json!({"aws:SourceArn": value}), expected);
    };
    arn("ArnEquals", "arn:aws:s3:::b*", "arn:aws:s3:::bucket:x", "allowed");
    arn("ArnLike", "arn:aws:s3:*:b", "arn:aws:s3:::b", "conditional");
    arn("ArnLike", "arn:aws:s3:::b", "bucket", "implicit-deny");
    arn("ArnNotLike", "arn:aws:s3:::b", "bucket", "allowed");
    arn("ArnNotEquals", "arn:aws:s3:::b", "arn:aws:s3:::B", "allowed");
    arn("StringLike", "arn:aws:s3:*b", "arn:aws:s3:::b", "allowed");
    arn("StringEquals", "arn:aws:s3:::*", "arn:aws:s3:::b", "implicit-deny");
    condition(json!({"ArnLikeIfExists": {"aws:SourceArn": "arn:aws:s3:::b"}}), json!({}), "allowed");
    condition(json!({"ArnNotLike": {"aws:SourceArn": "arn:aws:s3:::b"}}), json!({}), "allowed");
}

#[test]
fn keys_that_an_action_never_carries_are_absent() {
    let open = |key: &str, action: &str, expected: &str| {
        check(json!({"Condition": {"StringNotEquals": {key: "x"}}}), action, "open", json!({}), expected);
    };
    for key in [
        "kms:GrantOperations",
        "kms:GranteePrincipal",
        "kms:RetiringPrincipal",
        "kms:GrantConstraintType",
        "kms:GranteeServicePrincipal",
        "kms:RetiringServicePrincipal",
        "kms:GrantConstraintSourceArn",
    ] {
        open(key, "kms:Decrypt", "allowed");
        open(key, "kms:ListGrants", "allowed");
        open(key, "kms:CreateGrant", "conditional");
    }
    open("kms:GrantIsForAWSResource", "kms:RevokeGrant", "conditional");
    open("kms:GrantIsForAWSResource", "kms:ReEncryptTo", "allowed");
    open("kms:ReEncryptOnSameKey", "kms:ReEncryptFrom", "conditional");
    open("kms:ReEncryptOnSameKey", "kms:Decrypt", "allowed");
    open("kms:EncryptionContext:a", "kms:GenerateDataKey", "conditional");
    open("kms:EncryptionContext:a", "kms:CreateGrant", "conditional");
    open("kms:EncryptionContext:a", "kms:RetireGrant", "conditional");
    open("kms:EncryptionContextKeys", "kms:DescribeKey", "allowed");
    open("kms:EncryptionContext:a", "kms:ListGrants", "allowed");
    open("kms:RecipientAttestation:PCR0", "kms:Decrypt", "conditional");
    open("kms:RecipientAttestation:PCR0", "kms:CreateGrant", "allowed");
    open("kms:EncryptionAlgorithm", "kms:Decrypt", "conditional");
    open("kms:EncryptionAlgorithm", "kms:CreateGrant", "allowed");
    open("kms:RequestAlias", "kms:Decrypt", "conditional");
    open("kms:RequestAlias", "kms:DescribeKey", "conditional");
    open("kms:RequestAlias", "kms:Sign", "conditional");
    open("kms:RequestAlias", "kms:CreateGrant", "allowed");
    open("aws:RequestTag/owner", "kms:Decrypt", "allowed");
    open("aws:TagKeys", "kms:CreateGrant", "allowed");
    open("kms:EncryptionContext:a", "kms:Sign", "allowed");
    for (key, carrier) in [
        ("kms:SigningAlgorithm", "kms:Sign"),
        ("kms:MessageType", "kms:Verify"),
        ("kms:MacAlgorithm", "kms:GenerateMac"),
        ("kms:KeyAgreementAlgorithm", "kms:DeriveSharedSecret"),
        ("kms:DataKeyPairSpec", "kms:GenerateDataKeyPair"),
        ("kms:ScheduleKeyDeletionPendingWindowInDays", "kms:ScheduleKeyDeletion"),
        ("kms:RotationPeriodInDays", "kms:EnableKeyRotation"),
        ("kms:PrimaryRegion", "kms:UpdatePrimaryRegion"),
        ("kms:BypassPolicyLockoutSafetyCheck", "kms:PutKeyPolicy"),
        ("kms:TrailingDaysWithoutKeyUsage", "kms:DisableKey"),
        ("kms:ReplicaRegion", "kms:ReplicateKey"),
        ("kms:WrappingAlgorithm", "kms:GetParametersForImport"),
        ("kms:WrappingKeySpec", "kms:GetParametersForImport"),
        ("kms:ExpirationModel", "kms:ImportKeyMaterial"),
        ("kms:ValidTo", "kms:ImportKeyMaterial"),
    ] {
        open(key, "kms:Decrypt", "allowed");
        let own = json!({
            "policy": {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", "Condition": {"StringNotEquals": {key: "x"}}}},
            "principal": {"account": "111122223333"}, "action": carrier, "resource": KEY,
        });
        assert_eq!(ask(own).depends_on, [key]);
    }
    open("kms:ViaService", "kms:DescribeKey", "conditional");
    open("kms:RequestAlias", "kms:Decrypt", "conditional");
    open("aws:SourceIp", "kms:Decrypt", "conditional");
}

#[test]
fn a_context_for_several_actions_gives_each_its_own_part() {
    let answer = ask(json!({
        "policy": {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
            "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}}]},
        "principal": {"account": "444455556666"},
        "needed_actions": ["kms:CreateGrant", "kms:Decrypt"], "resource": KEY,
        "context": {"kms:GrantIsForAWSResource": "true"},
    }));
    assert_eq!(answer.missing, ["kms:Decrypt"]);
    assert!(answer.nearest[0].contains("kms:GrantIsForAWSResource"), "{:?}", answer.nearest);
}

#[test]
fn organization_facts_may_be_unknown_or_absent() {
    let org = |principal: Value, condition: Value, expected: &str| {
        let statements =
            json!([{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", "Condition": condition}]);
        asked_by(principal, statements, expected);
    };
    let member = || json!({"account": "444455556666", "org_id": "o-a1b2c3d4e5", "org_paths": ["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"]});
    let nobody = || json!({"account": "444455556666", "org_id": null, "org_paths": []});
    let unknown = || json!({"account": "444455556666", "org_id": "unknown", "org_paths": "unknown"});
    let under = |path: &str| json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": [path]}});
    org(member(), under("o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"), "allowed");
    org(member(), under("o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"), "allowed");
    org(member(), under("o-a1b2c3d4e5/r-ab12/ou-ab12-11111111"), "implicit-deny");
    org(member(), under("o-a1b2c3d4e5/*/ou-ab12-11111111/*"), "allowed");
    org(member(), json!({"StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/*"}}), "conditional");
    org(nobody(), under("*"), "implicit-deny");
    org(unknown(), under("*"), "conditional");
    org(unknown(), json!({"ForAllValues:StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/*"}}), "conditional");
    org(nobody(), json!({"Null": {"aws:PrincipalOrgID": "true"}}), "allowed");
    org(member(), json!({"StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-zzzzzzzzzz"}}), "allowed");
    // A field that is left out is unknown, but an account in no organization has no path.
    let bare = || json!({"account": "444455556666"});
    let no_path = || json!({"Null": {"aws:PrincipalOrgPaths": "true"}});
    org(json!({"account": "444455556666", "org_id": null}), no_path(), "allowed");
    org(json!({"account": "444455556666", "org_id": "o-a1b2c3d4e5"}), no_path(), "conditional");
    org(json!({"account": "444455556666", "org_id": "o-a1b2c3d4e5", "org_paths": null}), no_path(), "conditional");
    org(bare(), no_path(), "conditional");
    org(bare(), json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}), "conditional");
    org(
        json!({"account": "unknown", "arn": "unknown"}),
        json!({"StringEquals": {"aws:PrincipalAccount": "4444"}}),
        "implicit-deny",
    );
    org(
        json!({"account": "unknown", "arn": "unknown"}),
        json!({"StringEquals": {"aws:PrincipalAccount": "444455556666"}}),
        "conditional",
    );
    org(unknown(), json!({"StringEquals": {"aws:PrincipalAccount": "444455556666"}}), "allowed");
    // A single path may be written without a list. An ARN alone shows its account.
    let one_path = json!({"account": "444455556666", "org_id": "o-a1b2c3d4e5", "org_paths": "o-a1b2c3d4e5/r-ab12/"});
    org(one_path, under("o-a1b2c3d4e5/*"), "allowed");
    asked_by(json!({"arn": APP}), allow(json!({"AWS": "444455556666"})), "allowed");
}

#[test]
fn grants_let_their_grantee_in_and_nobody_else() {
    let own = json!([{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"}]);
    let granted = |grant: Value, principal: Value, action: &str, mode: &str, context: Value, expected: &str| {
        let mut entry = json!({"GrantId": "g", "Operations": ["Decrypt", "DescribeKey", "RetireGrant", "CreateGrant"]});
        entry.as_object_mut().unwrap().extend(grant.as_object().unwrap().clone());
        let answer = ask(json!({
            "policy": {"Statement": own}, "grants": [entry], "principal": principal, "action": action,
            "resource": KEY, "context_mode": mode, "context": context,
        }));
        assert_eq!(answer.verdict.as_str(), expected, "{entry} for {action} by {principal} with {context}");
    };
    let role = || json!({"account": "444455556666", "arn": APP, "org_id": null});
    let whole = || json!({"account": "444455556666", "org_id": null});
    let to = |grantee: &str| json!({"GranteePrincipal": grantee});
    for (grantee, principal, expected) in [
        ("arn:aws:iam::444455556666:root", whole(), "allowed"),
        ("arn:aws:iam::777788889999:root", whole(), "implicit-deny"),
        (APP, role(), "allowed"),
        (APP, whole(), "conditional"),
        ("arn:aws:iam::444455556666:user/App", role(), "implicit-deny"),
        ("AROAJQABLZS4A3QDU576Q", whole(), "implicit-deny"),
        ("*", whole(), "implicit-deny"),
        ("ec2.amazonaws.com", whole(), "implicit-deny"),
        ("444455556666:aws:ec2-infrastructure:i-0abc", whole(), "implicit-deny"),
        ("ec2.amazonaws.com", json!({"account": null, "arn": "ec2.amazonaws.com"}), "allowed"),
        ("arn:aws:sts::444455556666:federated-user/Bob", whole(), "conditional"),
    ] {
        granted(to(grantee), principal, "kms:Decrypt", "closed", json!({}), expected);
    }
    granted(to(APP), role(), "KMS:decrypt", "closed", json!({}), "allowed");
    granted(to(APP), role(), "kms:Encrypt", "closed", json!({}), "implicit-deny");
    granted(
        json!({"GranteeServicePrincipal": "ec2.amazonaws.com"}),
        whole(),
        "kms:Decrypt",
        "open",
        json!({}),
        "implicit-deny",
    );

    let bound = |kind: &str, pairs: Value| json!({"GranteePrincipal": APP, "Constraints": {kind: pairs}});
    let pair = |value: &str| json!({"kms:EncryptionContext:Department": value});
    let subset = || bound("EncryptionContextSubset", json!({"department": "IT"}));
    let exact = || bound("EncryptionContextEquals", json!({"Department": "IT"}));
    for (grant, mode, context, expected) in [
        (subset(), "closed", pair("IT"), "allowed"),
        (subset(), "closed", pair("it"), "implicit-deny"),
        (subset(), "open", json!({}), "conditional"),
        (exact(), "closed", pair("IT"), "allowed"),
        (exact(), "open", pair("IT"), "conditional"),
        (
            exact(),
            "closed",
            json!({"kms:EncryptionContext:Department": "IT", "kms:EncryptionContext:x": "y"}),
            "implicit-deny",
        ),
        (
            exact(),
            "open",
            json!({"kms:EncryptionContext:Department": "IT", "kms:EncryptionContext:x": "y"}),
            "implicit-deny",
        ),
        (bound("EncryptionContextSubset", json!({})), "closed", json!({}), "allowed"),
    ] {
        granted(grant, role(), "kms:Decrypt", mode, context, expected);
    }
    let entry = json!({"GranteePrincipal": APP, "Operations": ["Decrypt"], "Constraints": {"EncryptionContextSubset": {"aws:ebs:id": "vol-1"}}});
    let open = ask(json!({
        "policy": {"Statement": own}, "grants": [entry], "principal": role(), "action": "kms:Decrypt", "resource": KEY,
    }));
    assert_eq!(open.depends_on, ["kms:EncryptionContext:aws:ebs:id"]);
    granted(subset(), role(), "kms:CreateGrant", "closed", json!({}), "implicit-deny");
    granted(subset(), role(), "kms:RetireGrant", "closed", json!({}), "allowed");
    // A grant is on one key. A replica of a multi-Region key shares its id, and has grants of its own.
    for (key, expected) in [
        (KEY, "allowed"),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", "allowed"),
        ("arn:aws:kms:us-east-1:111122223333:key/other", "implicit-deny"),
        ("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", "implicit-deny"),
        ("34cd-56ef-1234567890ab", "implicit-deny"),
        ("alias/x", "implicit-deny"),
    ] {
        let on_key = json!({"GranteePrincipal": APP, "KeyId": key});
        granted(on_key, role(), "kms:Decrypt", "closed", json!({}), expected);
    }
    let source =
        || json!({"GranteePrincipal": APP, "Constraints": {"SourceArn": "arn:aws:ec2:us-east-1:1:instance/i-1"}});
    granted(
        source(),
        role(),
        "kms:Decrypt",
        "closed",
        json!({"aws:SourceArn": "arn:aws:ec2:us-east-1:1:instance/i-1"}),
        "allowed",
    );
    granted(source(), role(), "kms:DescribeKey", "closed", json!({}), "implicit-deny");
    granted(source(), role(), "kms:Decrypt", "open", json!({}), "conditional");
    for (context, depends_on) in
        [(json!({}), vec!["aws:SourceArn"]), (json!({"aws:SourceArn": "arn:aws:s3:::x"}), vec![])]
    {
        let mut entry = source();
        entry["Operations"] = json!(["Decrypt"]);
        let open = ask(json!({
            "policy": {"Statement": own}, "grants": [entry], "principal": role(), "action": "kms:Decrypt", "resource": KEY,
            "context": context,
        }));
        assert_eq!(open.depends_on, depends_on);
    }
    let service = || json!({"arn": "rds.us-east-1.amazonaws.com"});
    let to_service = || json!({"GranteeServicePrincipal": "rds.us-east-1.amazonaws.com"});
    granted(to_service(), service(), "kms:Decrypt", "closed", json!({}), "allowed");
    granted(to_service(), json!({"arn": "ec2.amazonaws.com"}), "kms:Decrypt", "closed", json!({}), "implicit-deny");

    let denied = ask(json!({
        "policy": {"Statement": {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}},
        "grants": [{"GrantId": "g", "GranteePrincipal": APP, "Operations": ["Decrypt"]}],
        "principal": role(), "action": "kms:Decrypt", "resource": KEY,
    }));
    assert_eq!(denied.verdict.as_str(), "denied");
}

#[test]
fn the_nearest_miss_names_the_one_thing_that_failed() {
    let question = |elements: Value| {
        let mut statement = json!({"Sid": "Near", "Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "kms:Decrypt", "Resource": "*"});
        statement.as_object_mut().unwrap().extend(elements.as_object().unwrap().clone());
        let answer = ask(json!({
            "policy": {"Statement": [statement, {"Effect": "Allow", "Principal": {"AWS": "777788889999"}, "Action": "kms:X", "Resource": "y"}]},
            "principal": {"account": "444455556666"}, "action": "kms:Decrypt", "resource": KEY, "context_mode": "closed",
        }));
        answer.nearest.join(" ")
    };
    assert!(
        question(json!({"Action": "kms:Encrypt"}))
            .contains("`Near` (index 0) covers the principal, but does not allow kms:Decrypt")
    );
    assert!(question(json!({"Principal": {"AWS": "999999999999"}})).contains("not for this principal"));
    assert!(question(json!({"Resource": "arn:aws:kms:::key/x"})).contains("another resource"));
    let failed = question(json!({"Condition": {"StringEquals": {"KMS:viaservice": ["a", "b", "c", "d"]}}}));
    assert!(failed.contains("StringEquals kms:ViaService [a, b, c, …]"), "{failed}");
    let failed = question(json!({"Condition": {"StringEquals": {"kms:ViaService": ["a", "b", "c"]}}}));
    assert!(failed.ends_with("[a, b, c]"), "{failed}");
    assert_eq!(question(json!({"Action": "kms:Encrypt", "Resource": "x"})), "");
}

#[test]
fn remarks_say_what_is_odd_and_nothing_else() {
    let remarks = |elements: Value| {
        let mut statement = json!({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"});
        statement.as_object_mut().unwrap().extend(elements.as_object().unwrap().clone());
        statement.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let answer = ask(json!({
            "policy": {"Version": "2012-10-17", "Statement": [statement]},
            "principal": {"account": "444455556666"}, "action": "kms:Decrypt", "resource": KEY,
        }));
        answer.remarks.iter().map(|remark| remark.in_words()).collect::<Vec<_>>().join("; ")
    };
    let via = |operator: &str| json!({"Condition": {operator: {"kms:ViaService": "x"}}});
    assert_eq!(remarks(json!({})), "");
    let document = |name: &str| {
        ask(json!({
            "policy": {name: "default", "Version": "2012-10-17", "Statement": []},
            "principal": {"account": "444455556666"}, "action": "kms:Decrypt", "resource": KEY,
        }))
    };
    assert_eq!(document("Id").remarks, []);
    assert_eq!(document("Ids").remarks[0].in_words(), "`Ids` is not an element of a policy");
    assert_eq!(remarks(via("StringEquals")), "");
    assert_eq!(remarks(via("StringEqualsIfExists")), "");
    assert_eq!(remarks(via("ForAnyValue:StringEquals")), "");
    assert_eq!(remarks(via("ForAllValues:StringEqualsIfExists")), "");
    assert!(remarks(via("ForAllValues:StringEquals")).contains("lack the key"));
    let mut deny = via("ForAllValues:StringEquals");
    deny["Effect"] = json!("Deny");
    assert_eq!(remarks(deny), "");
    assert!(remarks(json!({"Sid": "S", "Action": null})).starts_with("statement `S`: the statement has no `Action`"));
    assert!(remarks(json!({"Principal": null})).contains("no `Principal`"));
    assert!(remarks(json!({"Resource": null})).contains("no `Resource`"));
    assert!(remarks(json!({"Action": "kms:reencrypt"})).contains("is not an action"));
    assert!(remarks(json!({"Action": "*:*"})).contains("wildcard"));
    assert!(
        remarks(json!({"Effect": "Deny", "Principal": null, "NotPrincipal": {"AWS": APP}})).contains("NotPrincipal")
    );
    assert!(remarks(json!({"Principal": null, "NotPrincipal": {"AWS": APP}})).contains("not supported"));
    for (name, why) in [
        ("arn:aws:iam::444455556666:nothing/x", "form of a principal"),
        ("arn:aws:sts::444455556666:nothing/x", "form of a principal"),
        ("AIDAJQABLZS4A3QDU576Q", "deleted"),
        ("AROAJQABLZS4A3QDU57-Q", "form of a principal"),
        ("AIDA", "form of a principal"),
        ("XROAJQABLZS4A3QDU576Q", "form of a principal"),
        ("arn:aws:iam::444455556666:group/Admins", "is not a principal"),
        ("arn:aws:iam::444455556666:role/*", "wildcard"),
        ("arn:aws:iam:us-east-1:444455556666:role/App", "not a principal"),
    ] {
        assert!(remarks(json!({"Principal": {"AWS": name}})).contains(why), "{name}");
    }
    let long = remarks(json!({"Principal": {"AWS": "x".repeat(5_000)}}));
    assert!(long.contains("…") && long.len() < 250, "{long}");
}

#[test]
fn an_answer_in_words_says_everything_the_json_does() {
    let question = |actions: Value| {
        ask(json!({
            "name": "a question",
            "policy": {"Version": "2012-10-17", "Statement": [
                {"Sid": "Use", "Effect": "Allow", "Principal": {"AWS": ["444455556666", "AIDAJQABLZS4A3QDU576Q"]}, "Action": "kms:Decrypt", "Resource": "*"},
                {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            ]},
            "grants": [{"GrantId": "g-1", "Name": "own", "GranteePrincipal": "arn:aws:iam::444455556666:root", "Operations": ["DescribeKey"]}],
            "principal": {"account": "444455556666"}, "needed_actions": actions, "resource": KEY,
        }))
        .in_words()
    };
    assert_eq!(
        question(json!(["kms:Decrypt"])),
        "a question\n  conditional: it depends on facts about the call that are not known\n  \
         because of statement at index 1 (Deny)\n  depends on aws:SecureTransport\n  \
         note: statement `Use`: `AIDAJQABLZS4A3QDU576Q` is the ID of a deleted principal, so it matches nobody\n"
    );
    assert_eq!(
        question(json!(["kms:DescribeKey"])),
        "a question\n  allowed: the key lets this principal in\n  because of the grant `own` g-1\n  \
         note: statement `Use`: `AIDAJQABLZS4A3QDU576Q` is the ID of a deleted principal, so it matches nobody\n"
    );
    let both = question(json!(["kms:DescribeKey", "kms:Encrypt"]));
    assert!(both.contains("    kms:DescribeKey: allowed\n    kms:Encrypt: implicit-deny\n"), "{both}");
    assert!(
        both.contains("  nearest: statement `Use` (index 0) covers the principal, but does not allow kms:Encrypt\n"),
        "{both}"
    );
}

#[test]
fn a_hostile_policy_of_the_largest_size_is_read_and_judged() {
    let fill = |piece: &str, length: usize| vec![piece; length / (piece.len() + 1)].join(",");
    let wide = 128 * 1024;
    let allow = r#""Effect":"Allow","Action":"kms:*","Resource":"*""#;
    let policies = [
        format!(r#"{{"Statement":[{}]}}"#, fill("{}", wide)),
        format!(r#"{{"Statement":[{}]}}"#, fill("1", wide)),
        format!(
            r#"{{"Statement":[{{{allow},"Principal":{{"AWS":[{}]}}}}]}}"#,
            fill(r#""AROAJQABLZS4A3QDU576Q""#, wide)
        ),
        format!(r#"{{"Statement":[{{{allow},"Principal":{{{}}}}}]}}"#, fill(r#""AWS":[]"#, wide)),
        format!(
            r#"{{"Statement":[{{{allow},"Principal":"*","Condition":{{"StringLike":{{"aws:PrincipalArn":"{}b"}}}}}}]}}"#,
            "a*".repeat(wide / 2)
        ),
        format!(
            r#"{{"Statement":[{{{allow},"Principal":"*","Condition":{{{}}}}}]}}"#,
            fill(r#""Bool":{"a":"b"}"#, wide)
        ),
        format!(r#"{{"Statement":[{{{}}}]}}"#, fill(r#""Action":"*""#, wide)),
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{{allow},"Principal":"*","Condition":{{"StringLike":{{"a":"{}"}}}}}}]}}"#,
            "${a}".repeat(wide / 4)
        ),
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{{allow},"Principal":"*","Condition":{{"StringLike":{{"a":"{}"}}}}}}]}}"#,
            "${'".repeat(wide / 3)
        ),
    ];
    for policy in policies {
        let document: Value = json!({
            "policy": policy, "principal": {"account": "444455556666", "arn": APP}, "needed_actions": ["kms:Decrypt", "kms:CreateGrant"],
            "resource": KEY, "context": {"a": "b".repeat(100)},
        });
        let answer = ask(document);
        assert!(!answer.in_words().is_empty());
    }
}

#[test]
fn a_question_that_is_none_is_refused_with_a_reason() {
    let good = json!({
        "policy": {"Statement": []}, "principal": {"account": "444455556666"}, "action": "kms:Decrypt", "resource": KEY,
    });
    assert!(explain(&good.to_string()).is_ok());
    let mut nothing = good.clone();
    nothing["action"] = json!(null);
    nothing["needed_actions"] = json!([]);
    assert!(explain(&nothing.to_string()).is_err());
    for (field, value) in [
        ("policy", json!(null)),
        ("principal", json!("444455556666")),
        ("principal", json!({"account": "4444"})),
        ("principal", json!({"account": "777788889999", "arn": APP})),
        ("principal", json!({"account": "444455556666", "arn": "arn:aws:iam::444455556666:group/x"})),
        ("principal", json!({"account": "444455556666", "arn": "arn:aws:sts::444455556666:assumed-role/x"})),
        ("principal", json!({"account": "444455556666", "arn": "arn:aws:iam::444455556666:nobody"})),
        ("principal", json!({"account": "444455556666", "arn": "arn:aws:ec2::444455556666:role/x"})),
        ("principal", json!({"account": 444_455_556_666_u64})),
        ("action", json!(null)),
        ("needed_actions", json!(["kms:Decrypt"])),
        ("resource", json!(null)),
        ("context_mode", json!("ajar")),
        ("context", json!({"a": {"b": "c"}})),
        ("context", json!(["a"])),
        ("grants", json!(["g"])),
    ] {
        let mut question = good.clone();
        question[field] = value;
        assert!(explain(&question.to_string()).is_err(), "{question}");
    }
    let twice = good.to_string().replacen('{', r#"{"action": "kms:Encrypt", "#, 1);
    for line in ["", "{", "[]", "null", "7", &twice, &"[".repeat(100_000)] {
        assert!(explain(line).is_err());
    }
}
