//! Key policies as people write them, each with the verdict on a launch that follows from AWS's documentation.

use key_policy::{
    KeyAccess, KeyQuestion, KeyUse, Known, OrganizationFacts, Policy, Verdict,
    domain::{KeyArn, Target},
    judge,
};
use serde_json::Value;

fn cases() -> Vec<Value> {
    let document: Value = serde_json::from_str(include_str!("../data/field-key-policies.json")).unwrap();
    document["cases"].as_array().unwrap().clone()
}

fn judged(case: &Value) -> KeyAccess {
    let text = |field: &str| case[field].as_str().map(str::to_owned);
    let key: KeyArn = text("keyArn").unwrap().parse().unwrap();
    let target: Target = text("target").unwrap().parse().unwrap();
    let policy = Policy::parse(&case["policy"].to_string()).unwrap();
    let paths = case["organizationPaths"].as_array();
    let organization = OrganizationFacts {
        organization_id: text("organizationId").map_or(Known::Unknown, |id| Known::Is(Some(id))),
        paths: paths.map_or(Known::Unknown, |paths| {
            Known::Is(paths.iter().map(|path| path.as_str().unwrap().to_owned()).collect())
        }),
    };
    judge(&KeyQuestion {
        key: &key,
        policy: &policy,
        grants: &[],
        target: &target,
        organization: &organization,
        key_use: &KeyUse::Launch,
    })
}

#[test]
fn every_policy_gets_its_verdict() {
    let wrong: Vec<_> = cases()
        .iter()
        .filter_map(|case| {
            let access = judged(case);
            let verdict = serde_json::to_value(access.verdict).unwrap();
            (verdict != case["expected"]).then(|| format!("{} is {}: {access:#?}", case["name"], case["expected"]))
        })
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_unit_of_unknown_path_is_sent_to_the_directory_and_given_no_statement() {
    let case = cases().into_iter().find(|case| case["name"] == "ec2-doc-ou-unit").unwrap();
    let access = judged(&case);
    assert_eq!(access.remedy, None);
    assert!(access.notes.iter().any(|note| note.contains("`organizationPath`")), "{access:#?}");
    let mut listed = case.clone();
    listed["organizationPaths"] = serde_json::json!(["o-a1b2c3d4e5/r-ab12/ou-ab12-33333333/"]);
    assert_eq!(judged(&listed).verdict, Verdict::Allowed);
}

#[test]
fn only_an_allowed_answer_says_that_the_key_lets_the_target_in() {
    for case in cases() {
        let access = judged(&case);
        let says = access.notes.iter().any(|note| note.contains("lets the target in"));
        assert_eq!(says, access.verdict == Verdict::Allowed, "{}: {access:#?}", case["name"]);
    }
}
