//! What is written down is read back as the same: requests and requesters, for records that outlive the invocation.

use std::collections::BTreeSet;

use key_policy::json::Json;
use proptest::{collection::btree_set, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};
use sharing::{
    domain::{GroupId, Requester, rfc3339},
    request::{Action, Request},
};
use time::{Duration, OffsetDateTime, UtcOffset, macros::datetime};

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

/// Whether a request for the action may have the field.
fn is_taken(action: Action, field: &str) -> bool {
    match field {
        "imageIds" => action.takes_images(),
        "accountIds" | "organizationArns" | "organizationalUnitArns" => {
            matches!(action, Action::Share | Action::Revoke | Action::Check)
        }
        "access" | "serviceLinkedRoles" => matches!(action, Action::Share | Action::Revoke | Action::Check),
        "expiresAt" => matches!(action, Action::Share | Action::Check),
        "copyFrom" => matches!(action, Action::Share | Action::Revoke | Action::Check | Action::List),
        "nextToken" => action.surveys() || action == Action::Images,
        "name" => action == Action::Images,
        "rows" => action == Action::Audit,
        _ => true,
    }
}

const ACTIONS: [Action; 8] = [
    Action::Share,
    Action::Revoke,
    Action::Reset,
    Action::List,
    Action::Check,
    Action::Audit,
    Action::Repair,
    Action::Images,
];

/// So many different items, in any order.
fn list(item: &'static str, most: usize) -> impl Strategy<Value = Value> {
    let items = btree_set(item, 1..=most).prop_map(|items| items.into_iter().collect::<Vec<_>>());
    items.prop_shuffle().prop_map(|items| json!(items))
}

fn time() -> impl Strategy<Value = OffsetDateTime> {
    let offset = (-23..=23_i8, 0..60_i8)
        .prop_map(|(hours, minutes)| UtcOffset::from_hms(hours, minutes * hours.signum(), 0).unwrap());
    let ahead = (-86_400..=315_000_000_i64, prop_oneof![Just(0), 0..1_000_000_000_i64]);
    (ahead, offset).prop_map(|((seconds, nanoseconds), offset)| {
        (NOW + Duration::seconds(seconds) + Duration::nanoseconds(nanoseconds)).to_offset(offset)
    })
}

/// A document with any of the fields, and perhaps a group in the URL; those that the action doesn't take are left out.
fn documents() -> impl Strategy<Value = (Action, Map<String, Value>, Option<String>)> {
    let lists = (
        list("ami-([0-9a-f]{8}|[0-9a-f]{17})", 5),
        option::of(list("[0-9]{12}", 100)),
        option::of(list("arn:aws(-cn|-us-gov)?:organizations::[0-9]{12}:organization/o-[a-z0-9]{10,32}", 3)),
        option::of(list("arn:aws:organizations::[0-9]{12}:ou/o-[a-z0-9]{10}/ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}", 3)),
        option::of(list("autoscaling|spot|spotfleet|ec2fleet|autoscaling:[A-Za-z0-9_+=,.@-]{1,35}", 9)),
    );
    let rest = (
        option::of(select(vec!["launch", "copy"])),
        option::of(time()),
        option::of("[a-z]{2}(-gov)?-[a-z]{4,9}-[0-9]{1,2}"),
        (option::of("[a-z*?]{1,128}"), option::of(any::<bool>())),
        option::of("ami-[0-9a-f]{8}([.][0-9a-f]{12}){0,5}"),
        option::of(any::<bool>()),
        option::of("[ -~äöü日本☂]{0,500}"),
        option::of("o-[a-z0-9]{10}|ou-[a-z0-9]{4}-[a-z0-9]{8}"),
        any::<bool>(),
    );
    (select(ACTIONS.to_vec()), lists, rest).prop_map(|(action, lists, rest)| {
        let (images, accounts, organizations, units, roles) = lists;
        let (access, expires_at, copy_from, (name, rows), next_token, dry_run, reason, group, has_version) = rest;
        let fields = [
            ("version", has_version.then(|| json!("1"))),
            ("action", Some(json!(action))),
            ("imageIds", Some(images)),
            ("accountIds", accounts),
            ("organizationArns", organizations),
            ("organizationalUnitArns", units),
            ("access", access.map(|access| json!(access))),
            ("serviceLinkedRoles", roles),
            ("expiresAt", expires_at.map(|at| json!(rfc3339(at)))),
            ("copyFrom", copy_from.map(|region| json!(region))),
            ("name", name.map(|name| json!(name))),
            ("rows", rows.map(|rows| json!(rows))),
            ("nextToken", next_token.map(|token| json!(token))),
            ("dryRun", dry_run.map(|dry_run| json!(dry_run))),
            ("reason", reason.map(|reason| json!(reason))),
        ];
        let fields = fields.into_iter().filter(|(name, _)| is_taken(action, name));
        let document = fields.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        (action, document, group.filter(|_| is_taken(action, "accountIds")))
    })
}

fn parse(group: Option<&str>, document: &Map<String, Value>) -> Option<Request> {
    let group = group.map(|group| GroupId::parse(group).unwrap());
    Request::parse_for(group, &Json::parse(&json!(document).to_string()).unwrap(), NOW).ok()
}

proptest! {
    #[test]
    fn a_request_is_read_back_as_it_was_written((action, document, group) in documents()) {
        // Without a target there is no request.
        let Some(request) = parse(group.as_deref(), &document) else { return Err(TestCaseError::reject("no request")) };
        prop_assert_eq!(request.action, action);
        let written = serde_json::to_string(&request).unwrap();
        let read: Request = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(&read, &request, "{}", &written);
        // What was read back is written in the same words: a digest of it stays the same.
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), written.clone());
        // Unless the group came from a URL, it is a request document that anybody may send.
        if group.is_none() {
            let sent = Request::parse(&Json::parse(&written).unwrap(), NOW);
            prop_assert_eq!(sent.unwrap(), request);
        }
    }

    #[test]
    fn a_requester_is_read_back_as_it_was_written(text in any::<String>()) {
        let requester = Requester::new(text);
        let written = serde_json::to_string(&requester).unwrap();
        prop_assert_eq!(serde_json::from_str::<Requester>(&written).unwrap(), requester);
    }
}

#[test]
fn every_action_and_field_is_among_what_is_written() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..500 {
        let (action, document, group) = documents().new_tree(&mut runner).unwrap().current();
        if let Some(request) = parse(group.as_deref(), &document) {
            let written = serde_json::to_value(&request).unwrap();
            seen.extend(written.as_object().unwrap().keys().map(|field| (action.as_str(), field.clone())));
        }
    }
    for action in ACTIONS {
        let fields = ["version", "action", "imageIds", "accountIds", "organizationArns", "organizationalUnitArns"];
        let others =
            ["access", "serviceLinkedRoles", "expiresAt", "copyFrom", "name", "rows", "nextToken", "dryRun", "reason"];
        for field in fields.into_iter().chain(others) {
            let is_seen = seen.contains(&(action.as_str(), field.to_owned()));
            assert_eq!(is_seen, is_taken(action, field), "{action} {field}");
        }
        assert_eq!(seen.contains(&(action.as_str(), "group".to_owned())), is_taken(action, "accountIds"), "{action}");
    }
}

#[test]
fn a_list_by_account_is_read_back_with_its_page() {
    for more in [json!({}), json!({"nextToken": "eyJ2IjoiMSJ9+/="}), json!({"dryRun": true, "reason": "a review"})] {
        let mut document = json!({"action": "list", "accountIds": ["111122223333"]});
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = parse(None, document.as_object().unwrap()).unwrap();
        let written = serde_json::to_value(&request).unwrap();
        for (field, value) in document.as_object().unwrap() {
            assert_eq!(written[field], *value, "{written}");
        }
        assert_eq!(serde_json::from_value::<Request>(written.clone()).unwrap(), request, "{written}");
        assert_eq!(Request::parse(&Json::parse(&written.to_string()).unwrap(), NOW).unwrap(), request, "{written}");
    }
}

#[test]
fn only_a_record_names_a_group_and_a_time_that_has_passed() {
    let share = json!({"action": "share", "imageIds": ["ami-1a2b3c4d"], "accountIds": ["111122223333"]});
    for (field, value) in [("group", json!("o-a1b2c3d4e5")), ("expiresAt", json!("2020-01-01T00:00:00Z"))] {
        let mut document = share.clone();
        document[field] = value;
        let text = document.to_string();
        assert!(serde_json::from_str::<Request>(&text).is_ok(), "{field}");
        let faults = Request::parse(&Json::parse(&text).unwrap(), NOW).unwrap_err().faults.named;
        assert_eq!(faults[0].pointer, format!("/{field}"));
    }
}

#[test]
fn a_record_is_read_as_strictly_as_a_request() {
    for (field, value) in [
        ("action", json!("publish")),
        ("group", json!("111122223333")),
        ("expiresAt", json!("tomorrow")),
        ("accountIds", json!([111_122_223_333_u64])),
        ("imageIds", json!(["ami-1a2b3c4d", "ami-1a2b3c4d"])),
        ("nextToken", json!("ami-1a2b3c4d")),
        ("reason", json!("a\nb")),
        ("typo", json!(1)),
    ] {
        let mut document = json!({"action": "share", "imageIds": ["ami-1a2b3c4d"], "accountIds": ["111122223333"]});
        document[field] = value;
        let error = serde_json::from_str::<Request>(&document.to_string()).unwrap_err().to_string();
        assert!(error.contains(&format!("/{field}")), "{error}");
    }
    let twice = r#"{"action": "list", "imageIds": ["ami-1a2b3c4d"], "dryRun": true, "dryRun": false}"#;
    assert!(serde_json::from_str::<Request>(twice).is_err());
}
