//! What is left of an outcome that is too long, and what an outcome without its lists still says.

use std::sync::Arc;

use ami_share_testing::worlds::*;
use key_policy::{Because, KeyAccess, Verdict};
use serde_json::{Value, json};
use sharing::{
    domain::Requester,
    outcome::{ErrorCode, ErrorRow, KeyRow, Outcome, Refusal, RefusalCode, RoleRow, Status, TargetRow, Waiting},
    plan::plan,
    progress::{ImageResult, StepResult},
    report::report,
    request::{Action, Parameters},
};

#[test]
fn an_outcome_without_its_lists_still_says_who_asked_for_what_and_how_it_ended() {
    let who = |name: &str| Some(Requester::new(name.to_owned()));
    let waiting = Waiting { id: "0".repeat(32), until: in_days(1), rules: vec!["golden".to_owned()] };
    let whole = Outcome {
        action: Some(Action::Share),
        requester: who("lambda:invoke"),
        approved_by: who("jwt:https://i#ada"),
        approval_reason: Some("it is needed".to_owned()),
        approval: Some(waiting),
        requester_session: Some("session".to_owned()),
        dry_run: true,
        reason: Some("release 7".to_owned()),
        retryable: true,
        next_token: Some("ami-0000000a".parse().unwrap()),
        next_page: Some("eyJ2IjoiMiIsInMiOiIxIn0".parse().unwrap()),
        continues: true,
        is_unpublished: true,
        ..Outcome::new("id", Status::Incomplete)
    };
    let lists = Outcome {
        refusals: vec![Refusal::new(RefusalCode::NotSetUp, "")],
        warnings: vec!["a warning".to_owned()],
        findings: Some(Vec::new()),
        ..whole.clone()
    };
    assert_eq!(lists.without_rows(), whole);
}

/// The answer to a check. Each text has this length, and each list this many items.
fn long(items: usize, text: usize) -> Outcome {
    let words = || "x".repeat(text);
    let list = || vec![words(); items];
    let statements = || Some(json!([{"Sid": words()}]));
    let world = World::encrypted("golden-1", &[ONE]);
    let share = json!({"action": "check", "imageIds": [IMAGE], "accountIds": [ONE]});
    let mut outcome = world.put(&share, |case, facts| {
        let decision = decide(case, facts).remove(0);
        let steps = plan(case, &decision, &facts.images[decision.image_id], facts);
        let steps = steps.into_iter().map(|step| StepResult::new(step, sharing::outcome::StepState::Done)).collect();
        let mut outcome = Outcome::new("id", Status::Refused);
        report(&mut outcome, case, facts, vec![ImageResult { decision, steps, lost: Vec::new() }], "eu-west-1");
        outcome
    });
    let access = KeyAccess {
        notes: list(),
        missing: list(),
        depends_on: list(),
        likely_to_fail: list(),
        remedy: statements(),
        ..KeyAccess::unknown("x")
    };
    let roles = vec![RoleRow { role: "spot".parse().unwrap(), verdict: Verdict::Missing, remedy: Some(words()) }];
    let key = KeyRow { key_arn: key(), target: target(ONE), grant: None, access: Arc::new(access), roles };
    outcome.images[0].keys = vec![key];
    outcome.images[0].tags = (0..items).map(|number| (format!("key-{number}"), "value".to_owned())).collect();
    let refusal = Refusal {
        remedy: Some(words()),
        statements: statements(),
        values: [("accounts", json!(list())), ("reason", json!(words())), ("of", json!({"it": words()}))].into(),
        ..Refusal::new(RefusalCode::KeyAccessMissing, words())
    };
    outcome.refusals = vec![refusal; items];
    let error =
        ErrorRow { code: ErrorCode::Denied, call: None, resource: Some(words()), message: words(), retryable: false };
    outcome.errors = vec![error; items];
    outcome.warnings = list();
    outcome
}

fn lengths(outcome: &Value) -> Vec<usize> {
    let of = |value: &Value| value.as_str().map_or_else(|| value.as_array().map_or(0, Vec::len), str::len);
    let (key, refusal) = (&outcome["images"][0]["keys"][0], &outcome["refusals"][0]);
    let texts = [
        &key["notes"][0],
        &key["missing"][0],
        &key["roles"][0]["remedy"],
        &refusal["message"],
        &refusal["remedy"],
        &refusal["values"]["reason"],
        &refusal["values"]["of"]["it"],
        &outcome["errors"][0]["message"],
        &outcome["errors"][0]["resource"],
        &outcome["warnings"][1],
    ];
    let lists =
        [&key["notes"], &key["missing"], &refusal["values"]["accounts"], &outcome["refusals"], &outcome["errors"]];
    texts.into_iter().chain(lists).map(of).collect()
}

#[test]
fn what_is_too_long_is_cut_everywhere_until_it_fits() {
    let (items, text) = (12, 1_500);
    let written = |most: usize| {
        let mut outcome = long(items, text);
        let written = outcome.write_within(most);
        let escaped = written.as_str().bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        assert!(written.as_str().len() + escaped <= most, "{} + {escaped} for {most}", written.as_str().len());
        let json: Value = serde_json::from_str(written.as_str()).unwrap();
        assert_eq!(written.clone().into_text(), written.as_str());
        json
    };
    let whole = written(10_000_000);
    assert_eq!(whole["warnings"][0].as_str().map(str::len), Some(text));
    assert_eq!(lengths(&whole), [vec![text; 10], vec![items; 5]].concat());
    assert!(whole["images"][0]["keys"][0]["remedy"].is_array() && whole["refusals"][0]["statements"].is_array());
    let mut before = lengths(&whole);
    for most in [300_000, 100_000, 40_000, 12_000] {
        let cut = written(most);
        assert!(cut["warnings"][0].as_str().unwrap().starts_with("shortened"), "{most}");
        let warnings = cut["warnings"].as_array().unwrap();
        assert!(warnings.iter().skip(1).all(|warning| !warning.as_str().unwrap().starts_with("shortened")), "{most}");
        let now = lengths(&cut);
        assert!(now.iter().zip(&before).all(|(now, before)| 0 < *now && now <= before), "{most}: {now:?} {before:?}");
        before = now;
        // A part of a key policy would mean something else.
        for statements in [&cut["images"][0]["keys"][0]["remedy"], &cut["refusals"][0]["statements"]] {
            assert!(statements.is_null() || statements.to_string().len() > text, "{most}");
        }
    }
    assert!(before.iter().all(|length| *length < 400), "{before:?}");
    // What is short already is left alone.
    let mut short = long(1, 10);
    let untouched = short.clone();
    assert_eq!(short.write_within(1_000_000).as_str(), untouched.to_text());
    assert_eq!(short, untouched);
}

#[test]
fn an_outcome_is_cut_only_if_it_is_longer_than_it_may_be_as_a_json_string() {
    let whole = long(3, 100);
    let text = whole.to_text();
    let escaped = json!(text).to_string().len() - "\"\"".len();
    assert!(text.len() < escaped);
    for (most, is_cut) in
        [(2 * text.len(), false), (escaped, false), (escaped - 1, true), (text.len(), true), (text.len() - 1, true)]
    {
        let written = whole.clone().write_within(most);
        assert_eq!(written.as_str() != text, is_cut, "{most} of {} and {escaped}", text.len());
    }
}

#[test]
fn the_targets_of_a_request_are_kept_as_long_as_anything_else_can_be_cut() {
    let mut outcome = long(300, 200);
    let row = outcome.images[0].targets.remove(0);
    let targets = (0..200).map(|number| format!("{number:012}").parse().unwrap());
    outcome.images[0].targets = targets.map(|target| TargetRow { target, ..row.clone() }).collect();
    let written = |most: usize| -> Value { serde_json::from_str(outcome.clone().write_within(most).as_str()).unwrap() };
    let rows = |outcome: &Value| outcome["images"][0]["targets"].as_array().unwrap().len();
    let length = |list: &Value| list.as_array().unwrap().len();
    for most in [1_000_000, 300_000, 100_000] {
        let cut = written(most);
        assert!(length(&cut["errors"]) < 300, "{most}");
        assert_eq!(rows(&cut), 200, "{most}: {} errors", length(&cut["errors"]));
    }
    let shortest = written(10_000);
    assert!((1..200).contains(&rows(&shortest)) && length(&shortest["errors"]) > 0, "{}", rows(&shortest));
}

#[test]
fn statements_of_a_key_policy_are_whole_or_left_out() {
    let cut = |statement: usize| {
        let mut outcome = long(1, statement);
        outcome.warnings = vec!["x".repeat(100_000)];
        let outcome: Value = serde_json::from_str(outcome.write_within(60_000).as_str()).unwrap();
        assert!(outcome["warnings"][1].as_str().unwrap().ends_with("(shortened)"));
        [outcome["images"][0]["keys"][0]["remedy"].clone(), outcome["refusals"][0]["statements"].clone()]
    };
    let whole = json!([{"Sid": "x".repeat(1_500)}]);
    assert_eq!(cut(1_500), [whole.clone(), whole]);
    for left in cut(9_000) {
        assert!(left.is_null(), "{left}");
    }
}

#[test]
fn every_list_of_a_judgement_is_cut_and_rows_share_what_is_left() {
    let words = || vec!["x".repeat(100); 50];
    let none = || KeyAccess::unknown("x");
    let grant = |number: usize| Because::Grant { grant_id: format!("{number:064}"), grant_name: None };
    for (access, is_cut) in [
        (KeyAccess { because: (0..50).map(grant).collect(), ..none() }, true),
        (KeyAccess { missing: words(), ..none() }, true),
        (KeyAccess { depends_on: words(), ..none() }, true),
        (KeyAccess { likely_to_fail: words(), ..none() }, true),
        (KeyAccess { notes: words(), ..none() }, true),
        (KeyAccess { notes: vec!["x".repeat(5_000)], ..none() }, true),
        (KeyAccess { remedy: Some(json!([{"Sid": "x".repeat(5_000)}])), ..none() }, true),
        (none(), false),
    ] {
        let (mut outcome, access) = (long(1, 1), Arc::new(access));
        let row = KeyRow { access: Arc::clone(&access), ..outcome.images[0].keys.remove(0) };
        outcome.images[0].keys = vec![row; 2];
        let whole = outcome.to_text().len();
        // Something else is too long, too.
        outcome.errors = vec![outcome.errors.remove(0); 5_000];
        assert!(outcome.write_within(15_000).as_str().len() < 15_000);
        let [one, other] = &outcome.images[0].keys[..] else { panic!("two rows of keys") };
        assert!(Arc::ptr_eq(&one.access, &other.access), "{access:?}");
        assert_eq!(one.access == access, !is_cut, "{access:?}");
        outcome.errors.clear();
        assert!(!is_cut || outcome.to_text().len() + 2_000 < whole, "{one:?}");
    }
}

#[test]
fn a_cut_keeps_the_refusal_that_determines_the_status() {
    let refusal = |code, message: &str| Refusal::new(code, message);
    let mut outcome = Outcome::new("id", Status::Refused);
    outcome.refusals = vec![refusal(RefusalCode::ImageNotAvailable, &"x".repeat(90)); 300];
    outcome.refusals.push(refusal(RefusalCode::MalformedRequest, "this one"));
    assert_eq!(outcome.deciding_refusal().map(|refusal| refusal.code), Some(RefusalCode::MalformedRequest));
    let written = outcome.write_within(15_000);
    assert!(written.as_str().contains("this one"));
    assert_eq!(outcome.deciding_refusal().map(|refusal| refusal.code), Some(RefusalCode::MalformedRequest));
    assert_eq!(Outcome::new("id", Status::Completed).deciding_refusal(), None);
}

#[test]
fn a_field_that_came_from_a_url_is_named_by_its_parameter() {
    let mut parameters = Parameters::default();
    parameters.say("imageIds", Some("imageId"));
    parameters.say("action", None);
    assert_eq!(
        (parameters.of("/imageIds/0"), parameters.of("/action"), parameters.of("/reason")),
        (Some("imageId"), None, None)
    );
    assert_eq!(parameters.said("/imageIds"), Some(Some("imageId")));
    assert_eq!((parameters.said("/action"), parameters.said("/reason"), parameters.said("")), (Some(None), None, None));
    let at = |pointer: &str| Refusal::new(RefusalCode::MalformedRequest, "").at(pointer);
    let refusals = vec![at("/imageIds/0"), at("/action"), at("/reason")];
    let placed = Outcome::refused("id", refusals).placed(&parameters).refusals;
    let places: Vec<_> = placed.iter().map(|it| (it.pointer.as_deref(), it.parameter.as_deref())).collect();
    assert_eq!(places, [(None, Some("imageId")), (None, None), (Some("/reason"), None)]);
}
