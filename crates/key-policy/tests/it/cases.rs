//! The worked cases: each policy and question with the verdict that follows from AWS's documentation.

use key_policy::{Explanation, explain};
use serde_json::Value;

fn cases() -> Vec<Value> {
    let lists: Value = serde_json::from_str(include_str!("../data/key-policy-cases.json")).unwrap();
    lists.as_object().unwrap().values().flat_map(|list| list.as_array().unwrap().clone()).collect()
}

fn answer(case: &Value) -> Explanation {
    explain(&case.to_string()).unwrap_or_else(|error| panic!("{}: {error}", case["name"]))
}

fn as_json(answer: &Explanation) -> Value {
    serde_json::to_value(answer).unwrap()
}

#[test]
fn every_case_gets_its_verdict() {
    let mut wrong = Vec::new();
    let mut scored = 0;
    for case in cases().iter().filter(|case| case["ambiguous"] != true) {
        let answer = as_json(&answer(case));
        let right = answer["verdict"] == case["expected"] || (case.get("kleene") == Some(&answer["verdict"]));
        let parts = ["per_action", "missing", "depends_on"];
        let parts_right = parts.iter().all(|part| case.get(part).is_none_or(|expected| &answer[part] == expected));
        scored += 1;
        if !right || !parts_right {
            wrong.push(format!("{}: {answer}\n  expected {}", case["name"], case["expected"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {scored} cases are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(scored, 212);
}

#[test]
fn an_allowed_case_names_what_allows_it_and_a_missing_one_nothing() {
    for case in cases() {
        let answer = answer(&case);
        let verdict = as_json(&answer)["verdict"].clone();
        assert_eq!(answer.because.is_empty(), verdict == "implicit-deny", "{}", case["name"]);
        assert_eq!(
            answer.depends_on.is_empty(),
            answer.per_action.values().all(|verdict| verdict.as_str() != "conditional"),
            "{}",
            case["name"]
        );
        assert!(!answer.in_words().is_empty());
    }
}
