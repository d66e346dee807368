//! `key explain`.

use std::{fmt::Display, io::Write as _, process::Stdio};

use ami_share_testing::key_policies::{Statement as _, USE, allow, deny, document, root};
use serde_json::{Value, json};

use crate::{check, command, finish, run};

const KEY: &str = "--key arn:aws:kms:eu-west-1:999988887777:key/1";
const ACCOUNT: &str = "--target 111122223333";

/// The statement that lets [`ACCOUNT`] use the key.
fn allowed() -> Value {
    allow(root("111122223333"), USE).sid("AllowUse")
}

#[track_caller]
fn asked(arguments: &str, policy: impl Display, code: i32, verdict: &str) -> Value {
    let policy = policy.to_string();
    check(&run(&format!("key explain - {KEY} {arguments}"), &policy), code, &[&format!("{verdict}: ")]);
    let answer = run(&format!("key explain - {KEY} {arguments} --format json"), &policy);
    check(&answer, code, &[]);
    assert_eq!(answer.json()["verdict"], verdict, "{answer}");
    answer.json()
}

#[test]
fn the_exit_code_is_0_only_where_the_key_surely_lets_the_target_in() {
    let tagged = json!({"StringEquals": {"aws:PrincipalTag/Team": "web"}});
    let organization = "--target arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5";
    let members = allow("*", USE).when(json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}));
    asked(ACCOUNT, document([allowed()]), 0, "allowed");
    asked("--target 444455556666", document([allowed()]), 1, "missing");
    asked(ACCOUNT, document([allowed().when(tagged)]), 1, "conditional");
    asked(ACCOUNT, document([deny(root("111122223333"), USE)]), 1, "denied");
    asked(organization, document([members.clone()]), 0, "allowed");
    asked(&format!("{ACCOUNT} --use copy"), document([allowed()]), 0, "allowed");
    // Whatever the key policy says, only a grant lets a service-linked role of another account in.
    let role = asked(&format!("{ACCOUNT} --use autoscaling:web"), document([allowed()]), 1, "missing");
    assert_eq!((&role["use"], &role["remedy"]), (&"autoscaling:web".into(), &Value::Null));
    assert!(role["grantRemedy"]["GranteePrincipal"].as_str().unwrap().ends_with("AWSServiceRoleForAutoScaling_web"));
    // The directory of this allowlist says that the account is in the organization.
    asked(ACCOUNT, document([members.clone()]), 1, "conditional");
    asked(&format!("{ACCOUNT} --allowlist examples/allowlist.yaml"), document([members]), 0, "allowed");
}

#[test]
fn a_policy_is_read_as_the_aws_cli_prints_it() {
    let document = document([allowed()]).to_string();
    asked(ACCOUNT, json!({"Policy": document, "PolicyName": "default"}), 0, "allowed");
    asked(ACCOUNT, json!({"Policy": document}), 0, "allowed");
    asked(ACCOUNT, format!("{document}\n"), 0, "allowed");
}

#[test]
fn grants_are_read_as_the_aws_cli_prints_them() {
    let operations = ["DescribeKey", "CreateGrant", "Decrypt", "ReEncryptFrom"];
    let grant = json!({"KeyId": "arn:aws:kms:eu-west-1:999988887777:key/1", "GrantId": "g-1", "Name": "ours", "GranteePrincipal": "arn:aws:iam::111122223333:root", "Operations": operations, "CreationDate": "2026-11-22T12:00:00+00:00"});
    let file = |name: &str, content: &Value| {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::File::create(&path).unwrap().write_all(content.to_string().as_bytes()).unwrap();
        path.display().to_string()
    };
    for (name, printed) in
        [("object.json", json!({"Grants": [grant], "Truncated": false})), ("array.json", json!([grant]))]
    {
        let answer = asked(&format!("{ACCOUNT} --grants {}", file(name, &printed)), document([]), 0, "allowed");
        assert_eq!(answer["because"], json!([{"grantId": "g-1", "grantName": "ours"}]));
        assert_eq!(answer["limits"], json!(["default-key-only"]));
    }
    let none = format!("{ACCOUNT} --grants {}", file("none.json", &json!({"Grants": []})));
    let without = asked(ACCOUNT, document([]), 1, "missing");
    assert!(without["notes"].to_string().contains("no grants are given"), "{without}");
    let organization = "--target arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5";
    let organization = asked(organization, document([]), 1, "missing");
    assert!(!organization["notes"].to_string().contains("no grants are given"), "{organization}");
    let with = asked(&none, document([]), 1, "missing");
    assert!(!with["notes"].to_string().contains("no grants are given"), "{with}");
}

#[test]
fn the_remedy_added_to_the_policy_lets_the_target_in() {
    let missing = asked(ACCOUNT, document([]), 1, "missing");
    let mended = document(missing["remedy"].as_array().unwrap().clone());
    asked(ACCOUNT, mended, 0, "allowed");
}

#[test]
fn json_lines_are_answered_as_by_the_example() {
    let cases =
        std::fs::read_to_string(crate::root().join("crates/key-policy/tests/data/key-policy-cases.json")).unwrap();
    let cases: Value = serde_json::from_str(&cases).unwrap();
    let cases: Vec<&Value> = cases.as_object().unwrap().values().flat_map(|list| list.as_array().unwrap()).collect();
    let questions: String = cases.iter().map(|case| format!("{case}\n")).collect();
    let answer = run("key explain --json-lines", &questions);
    check(&answer, 0, &[]);
    let answers: Vec<Value> = answer.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), cases.len());
    for (answer, case) in answers.iter().zip(cases).filter(|(_, case)| case["ambiguous"] != true) {
        assert_eq!(answer["name"], case["name"]);
        assert!(answer["verdict"] == case["expected"] || case.get("kleene") == Some(&answer["verdict"]), "{answer}");
    }
}

#[test]
fn a_line_that_is_not_a_question_does_not_stop_the_others() {
    let question = include_str!("question.json").replace('\n', "");
    let lines = format!("no question\n\n{question}\n{}\n{question}", "x".repeat(5 * 1024 * 1024));
    let answer = run("key explain --json-lines --format json", &lines);
    check(&answer, 0, &[r#""line":1,"name":null"#, r#""error":"the line is longer than"#]);
    assert_eq!(answer.stdout.lines().count(), 4);
    for words in ["--format words", "--pretty"] {
        let answer = run(&format!("key explain --json-lines {words}"), &lines);
        check(&answer, 0, &["line 1 is not a question: ", "q\n  not allowed: ", "line 4 is not a question: "]);
    }
}

#[test]
fn a_reader_of_json_lines_that_has_seen_enough_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(&["key", "explain", "--json-lines"]);
    command.stdout(Stdio::from(writer));
    check(&finish(command, include_str!("question.json").replace('\n', "")), 0, &[]);
}

#[test]
fn whole_answers_are_as_they_were_reviewed() {
    let lets_in = document([allowed()]).to_string();
    let from_vpc = document([allowed().when(json!({"StringEquals": {"aws:SourceVpc": "vpc-1"}}))]).to_string();
    let missing = document([]).to_string();
    for (name, arguments, policy) in [
        ("key_allowed", ACCOUNT.to_owned(), &lets_in),
        ("key_missing", ACCOUNT.to_owned(), &missing),
        ("key_missing_json", format!("{ACCOUNT} --format json"), &missing),
        ("key_likely_to_fail", ACCOUNT.to_owned(), &from_vpc),
        ("key_role", format!("{ACCOUNT} --use spot"), &lets_in),
    ] {
        let arguments = format!("key explain - {KEY} {arguments}");
        insta::assert_snapshot!(name, run(&arguments, policy), &arguments);
    }
}
