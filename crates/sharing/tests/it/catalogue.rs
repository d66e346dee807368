//! The catalogue: which images of a page a requester sees, what it learns of each, and that it fits into an answer. Rows of
//! facts, without AWS.

use ami_share_testing::worlds::{NOW, ONE, World, account, decide};
use key_policy::json::Json;
use serde_json::{Value, json};
use sharing::{
    allowlist::Allowlist,
    decide::{Authority, Case, admit, resolve, unknown_page},
    domain::Requester,
    facts::{Facts, ImageState, Provenance},
    outcome::{Outcome, RefusalCode, Status},
    progress::ImageResult,
    read_plan::{Described, ReadPlan, first, further},
    report::report,
    request::Request,
};
use time::Duration;

const PORTAL: &str = "arn:aws:iam::999988887777:role/portal";
const AUTOMATION: &str = "events:999988887777:aws.ec2";

fn request(more: Value) -> Request {
    let mut document = json!({"action": "images"});
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Request::parse(&Json::parse(&document.to_string()).unwrap(), NOW).unwrap()
}

fn reported(case: &Case<'_>, facts: &Facts) -> Outcome {
    assert_eq!(admit(case), []);
    assert_eq!(further(case, facts), ReadPlan::default());
    let request = resolve(case, facts).unwrap();
    let case = Case { request: request.as_ref(), ..*case };
    let results =
        decide(&case, facts).into_iter().map(|decision| ImageResult { decision, steps: Vec::new(), lost: Vec::new() });
    let results = results.collect();
    let mut outcome = Outcome::new("id", Status::Refused);
    report(&mut outcome, &case, facts, results, "eu-west-1");
    assert_eq!((outcome.result, &outcome.warnings), (Status::Completed, &Vec::new()));
    outcome
}

/// The rows that a requester gets of this world, whose description alone is known.
fn rows(requester: &str, world: &World, more: Value) -> Vec<Value> {
    let requester = Requester::new(requester.to_owned());
    let outcome = world.put_as(Authority::Requester(&requester), &request(more), reported);
    outcome.images.iter().map(|row| json!(row)).collect()
}

#[test]
fn a_row_says_what_the_image_is_and_what_each_covering_rule_allows() {
    let world = World::encrypted("trial-1", &[]).with(|world| {
        world.image.architecture = Some("arm64".to_owned());
        world.image.state = ImageState::Disabled;
        world.image.provenance = Provenance { created: Some(NOW - Duration::days(1)), ..Provenance::default() };
    });
    let [row] = &rows(PORTAL, &world, json!({}))[..] else { panic!() };
    for (field, expect) in [
        ("imageId", json!("ami-1a2b3c4d")),
        ("name", json!("trial-1")),
        ("tags", json!({})),
        ("created", json!("2026-11-21T12:00:00Z")),
        ("architecture", json!("arm64")),
        ("encrypted", json!(true)),
        ("state", json!("disabled")),
        (
            "may",
            json!([
                {"rule": "somebody-elses", "actions": ["revoke"], "access": "launch", "maxDuration": null, "approval": false,
                    "targets": [{"id": "333344445555", "name": null}]},
                {"rule": "trial", "actions": ["share", "check"], "access": "launch", "maxDuration": "30d", "approval": false,
                    "targets": [{"id": ONE, "name": "prod-web"}]},
            ]),
        ),
    ] {
        assert_eq!(row[field], expect, "{field}");
    }
    assert!(row.get("permissions").is_none() && row["targets"] == json!([]), "{row}");
    let open = &rows(PORTAL, &World::open("nameless"), json!({}))[0];
    assert_eq!((&open["encrypted"], &open["created"]), (&json!(false), &json!(null)));
}

#[test]
fn only_own_images_that_a_rule_of_the_requester_covers_are_shown() {
    let seen = |requester: &str, world: &World, more: Value| rows(requester, world, more).len();
    let new = World::open("golden-new-1");
    assert_eq!(seen(AUTOMATION, &new, json!({})), 1);
    assert_eq!(seen(AUTOMATION, &World::open("golden-1"), json!({})), 0);
    let foreign = new.clone().with(|world| world.image.owner = account(ONE));
    assert_eq!(seen(AUTOMATION, &foreign, json!({})), 0);
    // Rules with more criteria go by name and tags here.
    assert_eq!(seen(AUTOMATION, &World::open("marked-new-1"), json!({})), 1);
    // What EC2's filter lets through is held against the name once more.
    for (name, is_seen) in
        [("golden-*", true), ("golden-new-?", true), ("Golden-*", false), ("new", false), ("*", true)]
    {
        assert_eq!(seen(AUTOMATION, &new, json!({"name": name})) == 1, is_seen, "{name}");
    }
}

#[test]
fn a_stranger_is_refused_before_anything_is_read_and_no_rule_needs_an_entry() {
    let requester = Requester::new("events:999988887777:com.example".to_owned());
    let codes: Vec<_> = World::open("golden-1")
        .put_as(Authority::Requester(&requester), &request(json!({})), |case, _| admit(case))
        .iter()
        .map(|refusal| refusal.code.as_str())
        .collect();
    assert_eq!(codes, ["RequesterNotAllowed"]);
}

/// The size of a page where the requester's rules name so many targets each.
#[track_caller]
fn page_size(targets: &[usize], expect: usize) {
    let rule = |(number, targets): (usize, &usize)| {
        let targets: Vec<_> = (0..*targets).map(|target| format!("{target:012}")).collect();
        json!({"name": format!("r{number}"), "requesters": ["lambda:invoke"], "actions": ["share"], "images": "all", "targets": targets})
    };
    let mut rules: Vec<_> = targets.iter().enumerate().map(rule).collect();
    rules.push(json!({"name": "looks", "requesters": ["lambda:invoke"], "actions": ["list"], "images": "all"}));
    let others: Vec<_> = (0..5_000).map(|target| format!("{target:012}")).collect();
    rules.push(
        json!({"name": "others", "requesters": [PORTAL], "actions": ["share"], "images": "all", "targets": others}),
    );
    let allowlist = Allowlist::parse(&json!({"version": 1, "rules": rules}).to_string()).unwrap();
    let request = request(json!({"name": "web-*", "nextToken": "eyJ2IjoiMSJ9"}));
    let token = "eyJ2IjoiMSJ9".parse().unwrap();
    let requester = Requester::new("lambda:invoke".to_owned());
    World::open("golden-1").put_as(Authority::Requester(&requester), &request, |case, _| {
        let expect = Described::Owned { name: Some("web-*"), page: Some(&token), size: expect };
        assert_eq!(first(&Case { allowlist: &allowlist, ..*case }).images, expect, "{targets:?}");
    });
}

#[test]
fn a_page_is_smaller_where_rules_name_many_targets() {
    page_size(&[], 50);
    page_size(&[1], 50);
    page_size(&[200], 50);
    page_size(&[500, 500], 10);
    page_size(&[2_000], 5);
    page_size(&[4_000, 4_000], 5);
}

#[test]
fn a_page_with_long_rules_is_cut_and_says_so() {
    let many: Vec<_> = (0..4_000).map(|target| format!("{target:012}")).collect();
    let rules: Vec<_> = (0..20)
        .map(|number| json!({"name": format!("r{number}"), "requesters": ["lambda:invoke"], "actions": ["share"], "images": "all", "targets": many}))
        .collect();
    let allowlist = Allowlist::parse(&json!({"version": 1, "rules": rules}).to_string()).unwrap();
    let mut outcome = World::open("golden-1").put(&json!({"action": "images"}), |case, facts| {
        let mut facts = facts.clone();
        let image = facts.images.values().next().unwrap().clone();
        facts.images = (1..=5).map(|number| (format!("ami-{number:08x}").parse().unwrap(), image.clone())).collect();
        reported(&Case { allowlist: &allowlist, ..*case }, &facts)
    });
    assert!(outcome.to_text().len() > 1_000_000);
    let written = outcome.write_within(900_000);
    assert!(written.as_str().len() < 900_000 && outcome.warnings[0].starts_with("shortened"), "{:?}", outcome.warnings);
    assert_eq!(written.as_str(), outcome.to_text());
    let rows: Vec<_> = outcome.images.iter().map(|row| row.catalogue.as_ref().unwrap()).collect();
    assert_eq!(rows.iter().map(|row| row.may.len()).collect::<Vec<_>>(), [20; 5]);
}

#[test]
fn a_page_that_ec2_does_not_know_is_refused_by_its_field() {
    let page = |is_page_unknown| unknown_page(&Facts { is_page_unknown, ..Facts::default() });
    assert_eq!(page(false), None);
    let refusal = page(true).unwrap();
    assert_eq!((refusal.code, refusal.pointer.as_deref()), (RefusalCode::MalformedRequest, Some("/nextToken")));
}
