//! The published schemas against the code: what the parsers take and what the function answers, both ways.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use ami_share_testing::{
    every,
    schemas::{
        ALLOWLIST, CLOSED_OUTCOME, OUTCOME, REQUEST, Schema, check_allowlist, check_answer, check_outcome,
        error_code_names, folder, names, read,
    },
};
use key_policy::{ActionVerdict, Because, BecauseEffect, KeyAccess, Limit, Verdict, json::Json};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};
use sharing::{
    allowlist::Allowlist,
    outcome::{
        ApprovalRow, AuditRow, CatalogueRow, CopyRow, CopyState, ErrorCode, ErrorRow, Finding, FindingCode, GrantState,
        ImageRow, KeyRow, Launch, LaunchRow, MayRow, MayTarget, Outcome, Permissions, Refusal, RefusalCode, RoleRow,
        ScanRow, Source, Status, StepRow, StepState, StoppedBy, TargetRow, TargetState, UsageEntryRow, UsageRow,
        Waiting,
    },
    request::{Access, Action, Fault, FaultKind, Request},
};
use triggers::{Envelope, Event, Incoming, Invocation, open, reply};

const DRAFT_4: &str = "http://json-schema.org/draft-04/schema#";
const DRAFT_2020_12: &str = "https://json-schema.org/draft/2020-12/schema";
const KEY: &str = "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const NOW: time::OffsetDateTime = time::macros::datetime!(2026-11-22 12:00 UTC);

/// What no schema can say of a request.
fn is_beyond_a_schema(fault: &Fault) -> bool {
    let message = &fault.message;
    message == "repeated field"
        || fault.pointer == "/reason" && is_beyond_the_pattern(message)
        || fault.pointer.starts_with("/organization") && message == "duplicate value"
        || fault.pointer.is_empty() && message.contains("at most")
        || message.contains("5 minutes")
}

/// Whether it is about a character beyond U+FFFF, which patterns can't name in all implementations alike.
fn is_beyond_the_pattern(message: &str) -> bool {
    let number = message.split_once("U+").and_then(|(_, rest)| rest.split_once(','));
    number.is_some_and(|(number, _)| number.len() > 4)
}

/// Checks that parser and schema agree about a request document.
#[track_caller]
fn agree(name: &str, text: &str) {
    let parsed = Request::parse(&Json::parse(text).unwrap(), NOW);
    let document: Value = serde_json::from_str(text).unwrap();
    match (parsed, REQUEST.faults(&document)) {
        (Ok(_), Some(faults)) => panic!("{name}: the parser takes it, the schema does not: {document:#}\n{faults}"),
        (Err(malformed), None) => {
            let expressible: Vec<_> =
                malformed.faults.named.iter().filter(|fault| !is_beyond_a_schema(fault)).collect();
            assert!(expressible.is_empty(), "{name}: the schema takes it: {document:#}\n{expressible:#?}");
        }
        (Ok(_), None) | (Err(_), Some(_)) => {}
    }
}

/// The request documents in an event: as they are, or made of the route and the body as the API does it.
fn requests(event: &Value) -> Vec<String> {
    let bodies = event["Records"].as_array().into_iter().flatten().filter_map(|record| record["body"].as_str());
    let documents = bodies.filter_map(|body| serde_json::from_str::<Value>(body).ok());
    let messages: Vec<_> = documents.flat_map(|document| requests(&document)).collect();
    if !messages.is_empty() {
        return messages;
    }
    let Some(method) = event["httpMethod"].as_str() else {
        let is_other = ["requestContext", "Records"].iter().any(|field| event.get(field).is_some());
        let document = event.get("detail").unwrap_or(event);
        let is_request = !is_other && document["action"] != "expire";
        let document = document.to_string();
        return is_request.then_some(document).into_iter().collect();
    };
    let body = event["body"].as_str().unwrap_or("{}");
    let Ok(Value::Object(mut document)) = serde_json::from_str(body) else { return Vec::new() };
    if event["resource"] == "/requests" {
        return vec![body.to_owned()];
    }
    let parameters = &event["pathParameters"];
    if let Some(account) = parameters.get("accountId") {
        document.insert("action".to_owned(), json!("list"));
        document.insert("accountIds".to_owned(), json!([account]));
        return vec![Value::Object(document).to_string()];
    }
    let is_usage = event["resource"].as_str().is_some_and(|resource| resource.ends_with("/usage"));
    let action = match (method, parameters.get("target")) {
        ("GET", None) if is_usage => "usage",
        ("GET", None) => "list",
        ("POST", None) => "share",
        ("GET", Some(_)) => "check",
        ("DELETE", Some(_)) => "revoke",
        _ => return Vec::new(),
    };
    document.insert("action".to_owned(), json!(action));
    document.insert("imageIds".to_owned(), json!([parameters["imageId"]]));
    if let Some(target) = parameters.get("target") {
        document.insert("accountIds".to_owned(), json!([target]));
    }
    vec![Value::Object(document).to_string()]
}

fn events() -> Vec<(String, String)> {
    let mut events: Vec<_> = std::fs::read_dir(folder("events"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().display().to_string(), std::fs::read_to_string(path).unwrap()))
        .collect();
    events.sort();
    events
}

#[test]
fn every_event_is_a_request_to_the_schema_just_where_it_is_one_to_the_parser() {
    let (mut accepted, mut refused) = (0, 0);
    for (name, text) in events() {
        // A few are not JSON on purpose.
        let Ok(event) = serde_json::from_str(&text) else { continue };
        for request in requests(&event) {
            agree(&name, &request);
            let is_valid = REQUEST.faults(&serde_json::from_str(&request).unwrap()).is_none();
            *(if is_valid { &mut accepted } else { &mut refused }) += 1;
        }
    }
    assert!(accepted > 30 && refused > 10, "{accepted} accepted, {refused} refused: the events are no longer found");
}

#[test]
fn what_the_parser_refuses_for_its_shape_the_schema_refuses() {
    for (field, values) in [
        ("version", vec![json!(1), json!("2"), Value::Null]),
        ("action", vec![json!("publish"), json!("Share"), Value::Null]),
        ("imageIds", vec![json!([]), json!(["ami-1"]), json!(["ami-1A2B3C4D"]), json!("ami-1a2b3c4d")]),
        (
            "accountIds",
            vec![json!([]), json!(["1111"]), json!([111122223333u64]), json!(["111122223333", "111122223333"])],
        ),
        (
            "organizationArns",
            vec![json!(["o-a1b2c3d4e5"]), json!(["arn:gcp:organizations::111122223333:organization/o-a1b2c3d4e5"])],
        ),
        (
            "organizationalUnitArns",
            vec![json!(["ou-ab12-11111111"]), json!(["arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12"])],
        ),
        ("access", vec![json!("write"), json!(["copy"])]),
        ("serviceLinkedRoles", vec![json!([]), json!(["eks"]), json!(["autoscaling:"]), json!(["autoscaling:a b"])]),
        ("expiresAt", vec![json!("tomorrow"), json!("2027-01-01"), json!(1_800_000_000)]),
        ("copyFrom", vec![json!("eu"), json!("eu-west-1a"), json!("eu-west-123"), json!(["eu-west-1"])]),
        ("regions", vec![json!(["eu-west-1"])]),
        ("nextToken", vec![json!("AAMA"), json!("ami-1A2B3C4D"), json!("ami-1a2b3c4d."), json!(1)]),
        ("dryRun", vec![json!("true"), json!(1), Value::Null]),
        (
            "reason",
            vec![
                json!("x".repeat(501)),
                json!("a\nb"),
                json!("a\u{202e}b"),
                json!("a\u{85}b"),
                json!("\u{ad}"),
                json!("\u{e000}"),
                json!(1),
            ],
        ),
        ("unknown", vec![json!(true)]),
    ] {
        for value in values {
            let mut document = json!({"action": "share", "imageIds": ["ami-1a2b3c4d"], "accountIds": ["111122223333"]});
            document[field] = value;
            assert!(Request::parse(&Json::parse(&document.to_string()).unwrap(), NOW).is_err(), "{document:#}");
            assert!(REQUEST.faults(&document).is_some(), "{document:#}");
        }
    }
}

#[test]
fn what_each_action_needs_and_does_not_take_is_the_same_to_parser_and_schema() {
    let fields = [
        ("imageIds", json!(["ami-1a2b3c4d"])),
        ("accountIds", json!(["111122223333"])),
        ("organizationArns", json!(["arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5"])),
        ("organizationalUnitArns", json!(["arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111"])),
        ("access", json!("launch")),
        ("serviceLinkedRoles", json!(["autoscaling", "spot"])),
        ("expiresAt", json!("2027-01-31T12:00:00Z")),
        ("copyFrom", json!("eu-west-1")),
        ("nextToken", json!("ami-1a2b3c4d.0123456789ab")),
        ("dryRun", json!(true)),
        ("reason", json!("spring release")),
    ];
    for action in ["share", "revoke", "reset", "list", "check", "usage", "audit", "repair"] {
        for chosen in 0..1_u32 << fields.len() {
            let mut document = json!({"action": action});
            for (index, (name, value)) in fields.iter().enumerate() {
                if chosen & 1 << index != 0 {
                    document[name] = value.clone();
                }
            }
            agree("every combination", &document.to_string());
        }
    }
}

fn images() -> impl Strategy<Value = Value> {
    let known = select(vec!["ami-1a2b3c4d", "ami-0123456789abcdef0", "ami-00000000"]);
    prop_oneof![20 => vec(known.prop_map(Value::from), 0..4).prop_map(Value::from), 1 => odd()]
}

fn targets(known: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop_oneof![20 => vec(select(known).prop_map(Value::from), 0..3).prop_map(Value::from), 1 => odd()]
}

fn text(known: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop_oneof![20 => select(known).prop_map(Value::from), 1 => odd()]
}

fn odd() -> impl Strategy<Value = Value> {
    select(vec![Value::Null, json!(true), json!(7), json!("x"), json!([]), json!({}), json!([null]), json!([1])])
}

const ACCOUNTS: &[&str] = &["111122223333", "000011112222", "444455556666", "11112222333"];
const ORGANIZATIONS: &[&str] = &["arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5", "o-a1b2c3d4e5"];
const UNITS: &[&str] = &["arn:aws-cn:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111", "ou-ab12-11111111"];
const ACTIONS: &[&str] = &["share", "revoke", "reset", "list", "check", "usage", "audit", "repair", "expire"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Any choice of fields and values: the parser and the schema take the same documents.
    #[test]
    fn parser_and_schema_agree_about_any_document(
        action in text(ACTIONS),
        image_ids in prop_oneof![4 => images().prop_map(Some), 1 => Just(None)],
        accounts in prop_oneof![2 => targets(ACCOUNTS).prop_map(Some), 1 => Just(None)],
        organizations in prop_oneof![1 => targets(ORGANIZATIONS).prop_map(Some), 4 => Just(None)],
        units in prop_oneof![1 => targets(UNITS).prop_map(Some), 4 => Just(None)],
        access in prop_oneof![1 => text(&["launch", "copy", "write"]).prop_map(Some), 3 => Just(None)],
        roles in prop_oneof![1 => targets(&["spot", "autoscaling:blue", "ec2fleet", "eks"]).prop_map(Some), 6 => Just(None)],
        expires_at in prop_oneof![1 => text(&["2027-01-31T12:00:00Z", "2027-01-31T12:00:00+01:00", "2027"]).prop_map(Some), 6 => Just(None)],
        copy_from in prop_oneof![1 => text(&["eu-west-1", "us-gov-east-1", "eu"]).prop_map(Some), 6 => Just(None)],
        next_token in prop_oneof![1 => text(&["ami-1a2b3c4d", "ami-1a2b3c4d.0123456789ab", "x"]).prop_map(Some), 6 => Just(None)],
        dry_run in prop_oneof![1 => any::<bool>().prop_map(|value| Some(json!(value))), 1 => odd().prop_map(Some), 6 => Just(None)],
        reason in prop_oneof![1 => "\\PC{0,40}".prop_map(|text| Some(json!(text))), 1 => any::<String>().prop_map(|text| Some(json!(text))), 6 => Just(None)],
        unknown in prop_oneof![1 => select(vec![Some("DryRun"), Some("targets")]), 12 => Just(None)],
    ) {
        let fields = [
            ("action", Some(action)), ("imageIds", image_ids), ("accountIds", accounts),
            ("organizationArns", organizations), ("organizationalUnitArns", units), ("access", access),
            ("serviceLinkedRoles", roles), ("expiresAt", expires_at), ("copyFrom", copy_from), ("dryRun", dry_run),
            ("nextToken", next_token), ("reason", reason), (unknown.unwrap_or_default(), unknown.map(|_| json!(1))),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        agree("made up", &Value::Object(fields.collect()).to_string());
    }
}

#[track_caller]
fn enumerates(schema: &Value, pointer: &str, expect: BTreeSet<String>) {
    let listed = schema.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer}"));
    let values: Vec<_> = listed.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    assert_eq!(values.iter().cloned().collect::<BTreeSet<_>>(), expect, "at {pointer}");
    assert_eq!(values.len(), expect.len(), "a name twice at {pointer}");
}

#[test]
fn the_schema_says_what_each_code_means_and_which_values_it_has() {
    let code = |code: &RefusalCode| {
        let values = code.values().join(", ");
        let values = if values.is_empty() { values } else { format!(" Values: {values}.") };
        format!("{code}: {}.{values}", code.title().replace('`', ""))
    };
    let outcome = read("outcome");
    let description = &outcome["definitions"]["refusal"]["properties"]["code"]["description"];
    assert_eq!(*description, RefusalCode::ALL.iter().map(code).collect::<Vec<_>>().join(" "));
    let declared = RefusalCode::ALL.iter().flat_map(|code| code.values()).map(|name| (*name).to_owned()).collect();
    let values = outcome["definitions"]["refusal"]["properties"]["values"]["properties"].as_object().unwrap();
    assert_eq!(values.keys().cloned().collect::<BTreeSet<_>>(), declared);
}

#[test]
fn the_names_in_the_schemas_are_the_names_in_the_code() {
    let actions =
        every!(Action: Share, Revoke, Reset, List, Check, Usage, Audit, Repair, Images, Approvals, Approve, Reject);
    let in_rules: Vec<_> = actions.iter().copied().filter(|action| action.needs_entry()).collect();
    let actions = names(&actions);
    let request = read("request");
    enumerates(&request, "/properties/action/enum", actions.clone());
    enumerates(&request, "/definitions/access/enum", names(&every!(Access: Launch, Copy)));

    let outcome = read("outcome");
    enumerates(&outcome, "/properties/action/enum", actions.clone());
    let results = every!(Status: Completed, Planned, Accepted, Refused, Incomplete, Failed);
    enumerates(&outcome, "/properties/result/enum", names(&results));
    enumerates(&outcome, "/definitions/refusal/properties/code/enum", names(RefusalCode::ALL));
    enumerates(&outcome, "/definitions/refusal/properties/fault/enum", names(&FaultKind::ALL));
    enumerates(&outcome, "/definitions/key/properties/grant/enum", names(&every!(GrantState: Present, Planned)));
    let launches = names(&every!(Launch: Really, Unknown, Not));
    enumerates(&outcome, "/definitions/targetState/properties/launch/enum", launches.clone());
    enumerates(&outcome, "/definitions/row/properties/launch/enum", launches);
    enumerates(&outcome, "/definitions/error/properties/code/enum", error_code_names());
    enumerates(&outcome, "/definitions/finding/properties/code/enum", names(&FindingCode::ALL));
    let states = every!(StepState: Done, Planned, Failed, Skipped);
    enumerates(&outcome, "/definitions/step/properties/state/enum", names(&states));
    let states =
        every!(TargetState: Shared, AlreadyShared, Revoked, NotShared, StillReachable, MaybeReachable, Waiting, Failed);
    enumerates(&outcome, "/definitions/targetState/properties/state/enum", names(&states));
    let verdicts = every!(Verdict: Allowed, Conditional, Missing, Denied, Unknown);
    enumerates(&outcome, "/definitions/verdict/enum", names(&verdicts));
    let verdicts = every!(ActionVerdict: Allowed, Conditional, ImplicitDeny, Denied);
    let per_action = "/definitions/key/properties/perAction/additionalProperties/enum";
    enumerates(&outcome, per_action, names(&verdicts));
    let limits = every!(Limit: DefaultKeyOnly);
    enumerates(&outcome, "/definitions/key/properties/limits/items/enum", names(&limits));
    enumerates(&read("allowlist"), "/definitions/rule/properties/actions/items/enum", names(&in_rules));
}

/// The requests in an event, as the triggers hand them over.
fn envelope(event: &Event) -> Vec<Envelope> {
    match open(event, &Invocation { request_id: "lambda-id", now: NOW, groups_claim: "groups" }) {
        Incoming::One(envelope) => vec![*envelope],
        Incoming::Batch(batch) => batch.messages().map(|message| message.envelope).collect(),
        Incoming::Image(_) | Incoming::Record(_) | Incoming::Page(_) => Vec::new(),
    }
}

#[test]
fn every_answer_to_an_event_without_an_allowlist_is_as_the_schema_says() {
    let mut answers = 0;
    for (name, text) in events() {
        for envelope in envelope(&serde_json::from_str(&text).unwrap()) {
            let Err(turned_away) = envelope.asked else { continue };
            let outcome = Outcome { requester: envelope.requester, ..Outcome::refused(&name, Vec::new()) };
            let outcome = turned_away.into_outcome(outcome);
            check_outcome(&json!(outcome));
            check_answer(&Ok(json!(reply(envelope.trigger, outcome).unwrap())));
            answers += 1;
        }
    }
    assert!(answers > 40, "{answers}");
}

/// An outcome with every row and every optional field there is.
fn everything() -> Outcome {
    let target = "111122223333".parse::<sharing::domain::Target>().unwrap();
    let image_id: sharing::domain::ImageId = "ami-0123456789abcdef0".parse().unwrap();
    let statement = |sid: Option<&str>, effect| Because::Statement { sid: sid.map(str::to_owned), index: 1, effect };
    let key = KeyRow {
        key_arn: "arn:aws:kms:eu-west-1:999988887777:key/1234abcd".parse().unwrap(),
        target: target.clone(),
        grant: Some(GrantState::Present),
        access: KeyAccess {
            because: vec![
                statement(Some("AllowUse"), BecauseEffect::Allow),
                statement(None, BecauseEffect::Unreadable),
                Because::Grant { grant_id: "g".to_owned(), grant_name: Some("n".to_owned()) },
                Because::Grant { grant_id: "g".to_owned(), grant_name: None },
            ],
            per_action: BTreeMap::from([("kms:Decrypt".to_owned(), ActionVerdict::ImplicitDeny)]),
            limits: vec![Limit::DefaultKeyOnly],
            remedy: Some(json!([{"Effect": "Allow"}])),
            grant_remedy: Some(json!({"GranteePrincipal": "arn"})),
            ..KeyAccess::unknown("a note")
        }
        .into(),
        roles: vec![RoleRow {
            role: "autoscaling:blue".parse().unwrap(),
            verdict: Verdict::Missing,
            remedy: Some("aws kms create-grant".to_owned()),
        }],
    };
    let image = ImageRow {
        image_id: Some(image_id.clone()),
        copy_of: Some(Source { region: "eu-central-1".parse().unwrap(), image_id: image_id.clone() }),
        copy: Some(CopyState { state: "pending".to_owned(), key_arn: Some(key.key_arn.clone()), until: Some(NOW) }),
        name: Some("golden-web".to_owned()),
        region: "eu-west-1".to_owned(),
        tags: BTreeMap::from([("Tier".to_owned(), "gold".to_owned())]),
        shared_tags: vec!["ec2:SharedTag/Team".to_owned()],
        watermarks: vec!["999988887777:approved".to_owned()],
        scan: Some(ScanRow { severity: Some("low".to_owned()), at: Some(NOW) }),
        key_arns: vec![key.key_arn.clone()],
        changed: true,
        rule: Some("portal".to_owned()),
        steps: vec![StepRow {
            call: "kms:CreateGrant",
            resource: key.key_arn.to_string(),
            grant_name: Some("ami-share/x".to_owned()),
            add: vec![target.clone()],
            remove: vec!["arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5".parse().unwrap()],
            state: StepState::Done,
            detail: Some("sent".to_owned()),
        }],
        targets: vec![TargetRow {
            target: target.clone(),
            name: Some("prod-web".to_owned()),
            state: TargetState::Shared,
            launch: Some(Launch::Really),
            accepted: Some(true),
            expires_at: Some(NOW),
            rule: Some("portal".to_owned()),
            detail: Some("detail".to_owned()),
        }],
        keys: vec![key],
        permissions: Some(Permissions {
            launch: vec![LaunchRow { kind: "public", id: "all".to_owned() }],
            copy: vec![CopyRow {
                snapshot_id: "snap-0123456789abcdef0".parse().unwrap(),
                account_ids: Some(vec!["111122223333".parse().unwrap()]),
            }],
        }),
        catalogue: Some(CatalogueRow {
            created: Some(NOW),
            architecture: Some("arm64".to_owned()),
            encrypted: true,
            state: "available".to_owned(),
            may: vec![MayRow {
                rule: "portal".to_owned(),
                actions: vec![Action::Share],
                targets: vec![MayTarget { id: target.clone(), name: Some("prod-web".to_owned()) }],
                access: Access::Copy,
                max_duration: Some("30d".to_owned()),
                approval: true,
            }],
        }),
        usage: Some(UsageRow {
            as_of: NOW,
            entries: vec![
                UsageEntryRow {
                    account_id: Some("111122223333".parse().unwrap()),
                    resource_type: "ec2:Instance".to_owned(),
                    count: 3,
                },
                UsageEntryRow { account_id: None, resource_type: "ec2:LaunchTemplate".to_owned(), count: 7 },
            ],
            missing: vec!["what happened after the report".to_owned()],
        }),
    };
    let finding = Finding {
        code: FindingCode::GrantLeft,
        image_id: image_id.clone(),
        target: Some(target.clone()),
        message: "message".to_owned(),
        remedy: "remedy".to_owned(),
    };
    let key_arn = image.key_arns[0].clone();
    let refusal = |code: &RefusalCode| {
        let values = code.values().iter().map(|name| (*name, value(name))).collect();
        Refusal {
            image_id: Some(image_id.clone()),
            target: Some(target.clone()),
            fault: (*code == RefusalCode::MalformedRequest).then_some(FaultKind::BadFormat),
            statements: Some(json!([{"Effect": "Allow"}])),
            values,
            ..Refusal::new(*code, "message").at("/accountIds/0").key(&key_arn).remedy("remedy")
        }
    };
    let in_url = Refusal {
        pointer: None,
        parameter: Some("target".to_owned()),
        ..Refusal::new(RefusalCode::TargetNotFound, "message")
    };
    let refusals = RefusalCode::ALL.iter().map(refusal).chain([in_url]).collect();
    let error = ErrorRow {
        code: ErrorCode::Throttled,
        call: Some("ec2:DescribeImages"),
        resource: Some("ami-0123456789abcdef0".to_owned()),
        message: "message".to_owned(),
        retryable: true,
    };
    Outcome {
        action: Some(Action::Share),
        requester: opened_by_anybody(),
        approved_by: opened_by_anybody(),
        approval_reason: Some("fine".to_owned()),
        approval: Some(Waiting { id: "id".to_owned(), until: NOW, rules: vec!["rule".to_owned()] }),
        approvals: Some(vec![ApprovalRow {
            id: "id".to_owned(),
            requester: "requester".to_owned(),
            until: NOW,
            rules: vec!["rule".to_owned()],
            request: Request::bare(Action::List, "ami-0123456789abcdef0".parse().unwrap()),
            reason: Some("why".to_owned()),
        }]),
        requester_session: Some("ada@example.com".to_owned()),
        image_count: Some(3),
        stopped_by: vec![StoppedBy { code: RefusalCode::TargetNotAllowed }],
        reason: Some("why".to_owned()),
        images: vec![image],
        refusals,
        errors: vec![error],
        warnings: vec!["warning".to_owned()],
        rows: Some(vec![AuditRow {
            image_id: image_id.clone(),
            name: Some("golden-web".to_owned()),
            target: target.to_string(),
            how: "account",
            launch: Launch::Unknown,
            why: "why".to_owned(),
            copy: Some(false),
            until: Some(NOW),
            rule: None,
        }]),
        findings: Some(vec![finding]),
        next_token: Some("ami-1a2b3c4d.0123456789ab".parse().unwrap()),
        ..Outcome::new("id", Status::Incomplete)
    }
}

/// Something that a refusal says under this name.
fn value(name: &str) -> Value {
    match name {
        "roles" | "allowed" | "variables" | "keys" | "missing" | "dependsOn" => json!(["one"]),
        "because" => json!([{"sid": null, "index": 0, "effect": "Deny"}]),
        "count" | "most" | "new" | "quota" | "age" | "maxAge" => json!(7),
        "access" => json!("launch"),
        "expected" => json!("string"),
        "maxDuration" => json!("30d"),
        "expiresAt" | "deadline" | "earliest" | "latest" | "until" => json!("2026-11-22T12:00:00Z"),
        "snapshotId" => json!("snap-0123456789abcdef0"),
        "owner" => json!("111122223333"),
        _ => json!("text"),
    }
}

fn opened_by_anybody() -> Option<sharing::domain::Requester> {
    let event: Event = serde_json::from_str(r#"{"action": "list"}"#).unwrap();
    envelope(&event).pop()?.requester
}

#[test]
fn an_outcome_with_everything_in_it_is_as_the_schema_says_and_the_schema_has_no_more() {
    let outcome = json!(everything());
    check_outcome(&outcome);
    // Without an optional field or row there is less; a schema that requires it would be wrong, one that
    // knows more fields than these would promise what the function never says.
    let declared = declared_fields(&read("outcome"));
    let mut said = BTreeSet::new();
    fields_of(&outcome, &mut said);
    let unsaid: BTreeSet<_> = declared.difference(&said).collect();
    assert_eq!(unsaid, BTreeSet::new());
}

/// The names of all fields that a schema declares, wherever.
fn declared_fields(schema: &Value) -> BTreeSet<String> {
    let mut declared = BTreeSet::new();
    let mut open = vec![schema];
    while let Some(next) = open.pop() {
        match next {
            Value::Object(members) => {
                if let Some(Value::Object(properties)) = members.get("properties") {
                    declared.extend(properties.keys().cloned());
                }
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    declared
}

fn fields_of(document: &Value, names: &mut BTreeSet<String>) {
    match document {
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            names.insert(name.clone());
            fields_of(value, names);
        }),
        Value::Array(items) => items.iter().for_each(|item| fields_of(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn an_outcome_that_lacks_a_field_or_says_something_else_is_not_as_the_schema_says() {
    let outcome = json!(everything());
    for required in
        ["version", "requestId", "dryRun", "result", "retryable", "images", "refusals", "errors", "warnings"]
    {
        let mut lacking = outcome.clone();
        lacking.as_object_mut().unwrap().remove(required);
        assert!(OUTCOME.faults(&lacking).is_some(), "{required}");
    }
    for (pointer, wrong) in [
        ("/result", json!("done")),
        ("/images/0/targets/0/state", json!("deregistered")),
        ("/images/0/targets/0/target", json!("all")),
        ("/images/0/steps/0/add", json!([])),
        ("/images/0/keys/0/because/0/index", json!("first")),
        ("/images/0/keys/0/remedy", json!("a sentence")),
        ("/refusals/0/code", json!("Forbidden")),
        ("/errors/0/retryable", Value::Null),
    ] {
        let mut other = outcome.clone();
        *other.pointer_mut(pointer).unwrap() = wrong;
        assert!(OUTCOME.faults(&other).is_some(), "{pointer}");
    }
    let mut more = outcome;
    more["images"][0]["colour"] = json!("red");
    assert_eq!(OUTCOME.faults(&more), None, "clients ignore fields they don't know");
    assert!(CLOSED_OUTCOME.faults(&more).is_some());
}

/// The smallest allowlist with one rule, whose fields `change` may replace, add or (with `null`) remove.
fn allowlist(change: &Value) -> Value {
    let mut rule = json!({"name": "r", "requesters": ["lambda:invoke"], "actions": ["share"], "images": {"names": ["golden-*"]}, "targets": ["111122223333"]});
    for (field, value) in change.as_object().unwrap() {
        if value.is_null() {
            rule.as_object_mut().unwrap().remove(field);
        } else {
            rule[field] = value.clone();
        }
    }
    json!({"version": 1, "accounts": {"444455556666": {"name": "staging"}}, "rules": [rule]})
}

/// Checks that parser and schema both take the allowlist, or both refuse it; the schema in draft 4 and in 2020-12.
#[track_caller]
fn both(document: &Value, expect: bool) {
    static NEWER: LazyLock<Schema> = LazyLock::new(|| {
        let mut schema = read("allowlist");
        assert_eq!(schema["$schema"], DRAFT_4);
        schema["$schema"] = json!(DRAFT_2020_12);
        Schema::new(schema)
    });
    let parsed = Allowlist::parse(&document.to_string());
    assert_eq!(parsed.is_ok(), expect, "the parser: {parsed:?}\n{document:#}");
    for (draft, schema) in [("4", &ALLOWLIST), ("2020-12", &NEWER)] {
        let faults = schema.faults(document);
        assert_eq!(faults.is_none(), expect, "draft {draft}: {faults:?}\n{document:#}");
    }
}

#[test]
fn the_allowlists_schema_takes_what_the_parser_takes() {
    for change in [
        json!({}),
        json!({"requesters": ["arn:aws:iam::999988887777:role/portal", "arn:aws-cn:iam::999988887777:user/team/ada-*", "arn:aws:iam::999988887777:user/ada"]}),
        json!({"requesters": ["events:999988887777:com.example.*", "jwt:https://issuer.example/#user-*", "sqs:arn:aws:sqs:eu-west-1:999988887777:requests.fifo"]}),
        json!({"requesters": ["jwt-group:https://issuer.example/#web-team", "jwt-group:https://issuer.example/#00000000-0000-4000-8000-00000000000a", "jwt-group:https://issuer.example/#team-*"]}),
        json!({"requesters": [format!("jwt-group:i#{}", "é".repeat(128))]}),
        json!({"actions": ["list", "reset"], "targets": null}),
        json!({"actions": ["audit", "repair"], "targets": null, "images": "all"}),
        json!({"images": {"tags": {"Tier": ["gold", "silver*"]}}}),
        json!({"images": {"watermarks": ["999988887777:approved", "111122223333:it's [v1] (web)/a@b_c-d."]}}),
        json!({"images": {"maxSeverity": "informational", "scannedWithin": "05m"}}),
        json!({"images": {"names": ["*"], "maxSeverity": "critical", "maxAge": "3650d"}}),
        json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"], "images": {"watermarks": ["999988887777:approved"], "maxAge": "1d"}}),
        json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"], "images": {"tags": {"Tier": ["*"]}, "maxAge": "1d"}}),
        json!({"targets": ["staging", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5", "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111"]}),
        json!({"access": "copy", "keys": "grant", "serviceLinkedRoles": ["autoscaling", "autoscaling:blue", "spot"]}),
        json!({"keys": "verify", "serviceLinkedRoles": []}),
        json!({"keys": "unchecked", "maxDuration": "5m"}),
        json!({"maxDuration": "3650d"}),
        json!({"maxDuration": "090m"}),
        json!({"onAvailable": false, "images": "all"}),
        json!({"copies": {"from": ["eu-west-1", "us-gov-east-1"], "key": KEY}}),
        json!({"copies": {"from": ["eu-west-1"], "key": KEY, "within": "30m"}}),
        json!({"copies": {"from": ["eu-west-1"], "key": KEY, "within": "3d"}}),
        json!({"copies": {"from": ["eu-west-1"], "key": KEY, "within": "072h"}}),
        json!({"copies": {"from": ["eu-west-1"], "key": KEY, "within": "4320m"}}),
        json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"], "maxDuration": "30d"}),
        json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"], "maxDuration": "30m"}),
        json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"], "maxDuration": "0100m", "images": {"names": ["????*", "golden-*"]}}),
        json!({"approvers": ["jwt:https://issuer.example/#ada", "jwt-group:https://issuer.example/#ops", "arn:aws:iam::999988887777:role/portal"]}),
        // What stands there twice means the same as once.
        json!({"requesters": ["lambda:invoke", "lambda:invoke"], "actions": ["share", "share"], "targets": ["staging", "staging"]}),
        json!({"images": {"names": ["*", "*"], "tags": {"Tier": ["gold", "gold"]}, "watermarks": ["999988887777:approved", "999988887777:approved"]}}),
        json!({"keys": "grant", "serviceLinkedRoles": ["spot", "spot"], "copies": {"from": ["eu-west-1", "eu-west-1"], "key": KEY}}),
        json!({"approvers": ["jwt:https://issuer.example/#ada", "jwt:https://issuer.example/#ada"]}),
    ] {
        both(&allowlist(&change), true);
    }
    let mut facts = allowlist(&json!({}));
    facts["accounts"]["111122223333"] =
        json!({"organizationId": "o-a1b2c3d4e5", "organizationPath": "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"});
    both(&facts, true);
    for name in ["web", "o", "ou", "oo", "o.x", "our", "1a", "_", "x-1"] {
        let mut groups = allowlist(&json!({"targets": [name]}));
        groups["groups"] = json!({name: ["111122223333"]});
        both(&groups, true);
    }
}

#[test]
fn the_allowlists_schema_refuses_what_the_parser_refuses() {
    for change in [
        json!({"name": ""}),
        json!({"name": null}),
        json!({"name": "a\nb"}),
        json!({"name": "x".repeat(129)}),
        json!({"requesters": null}),
        json!({"requesters": []}),
        json!({"requesters": "lambda:invoke"}),
        json!({"requesters": ["*"]}),
        json!({"requesters": ["lambda:*"]}),
        json!({"requesters": ["arn:aws:iam::*:role/portal"]}),
        json!({"requesters": ["arn:aws:iam::999988887777:role/team/portal"]}),
        json!({"requesters": ["arn:aws:iam::999988887777:user/*/ada"]}),
        json!({"requesters": ["arn:aws:iam::999988887777:root"]}),
        json!({"requesters": ["arn:aws:sts::999988887777:assumed-role/portal/session"]}),
        json!({"requesters": ["events:*:com.example"]}),
        json!({"requesters": ["events:999988887777:"]}),
        json!({"requesters": ["jwt:https://*#user"]}),
        json!({"requesters": ["jwt-group:https://issuer.example/"]}),
        json!({"requesters": ["jwt-group:https://issuer.example/#"]}),
        json!({"requesters": ["jwt-group:https://*/#web"]}),
        json!({"requesters": ["jwt-group:https://issuer.example/#web team"]}),
        json!({"requesters": ["jwt-group:https://issuer.example/#web,team"]}),
        json!({"requesters": ["jwt-group:https://issuer.example/#[web]"]}),
        json!({"requesters": [format!("jwt-group:i#{}", "g".repeat(129))]}),
        json!({"requesters": ["sqs:requests"]}),
        json!({"requesters": ["lambda:invoke\n"]}),
        json!({"requesters": ["arn:aws:iam::999988887777:role/portal\n"]}),
        json!({"requesters": ["events:999988887777:com.example\nx"]}),
        json!({"requesters": ["jwt:https://issuer.example/#ada\u{2028}"]}),
        json!({"requesters": ["jwt:https://issuer.example/#a\u{85}da"]}),
        json!({"actions": []}),
        json!({"actions": ["publish"]}),
        json!({"actions": ["list", "images"]}),
        json!({"images": {}}),
        json!({"images": "every"}),
        json!({"images": null}),
        json!({"images": {"names": []}}),
        json!({"images": {"names": [""]}}),
        json!({"images": {"tags": {}}}),
        json!({"images": {"tags": {"Tier": []}}}),
        json!({"images": {"tags": {"Tier": [1]}}}),
        json!({"images": {"ids": ["ami-1a2b3c4d"]}}),
        json!({"images": {"watermarks": []}}),
        json!({"images": {"watermarks": ["approved"]}}),
        json!({"images": {"watermarks": ["999988887777:app*"]}}),
        json!({"images": {"watermarks": ["*:approved"]}}),
        json!({"images": {"watermarks": ["999988887777:ab"]}}),
        json!({"images": {"watermarks": ["999988887777:a:b"]}}),
        json!({"images": {"watermarks": [format!("999988887777:{}", "a".repeat(129))]}}),
        json!({"images": {"watermarks": [null]}}),
        json!({"images": {"maxSeverity": "Medium"}}),
        json!({"images": {"maxSeverity": ["medium"]}}),
        json!({"images": {"scannedWithin": "30"}}),
        json!({"images": {"scannedWithin": "4m"}}),
        json!({"images": {"maxAge": 180}}),
        json!({"images": {"maxAge": null}}),
        json!({"images": {"names": ["golden-*"], "minAge": "1d"}}),
        json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"], "images": {"maxAge": "1d"}}),
        json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"], "images": {"names": ["golden-*"], "maxSeverity": "low"}}),
        json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"], "images": {"names": ["golden-*"], "scannedWithin": "1d"}}),
        json!({"targets": []}),
        json!({"targets": ["*"]}),
        json!({"targets": ["11112222*"]}),
        json!({"targets": [111122223333u64]}),
        json!({"targets": ["o-a1b2c3d4e5"]}),
        json!({"targets": null}),
        json!({"actions": ["list", "check"], "targets": null}),
        json!({"access": "write"}),
        json!({"keys": "trust"}),
        json!({"serviceLinkedRoles": ["autoscaling"]}),
        json!({"keys": "verify", "serviceLinkedRoles": ["autoscaling"]}),
        json!({"keys": "grant", "serviceLinkedRoles": ["eks"]}),
        json!({"maxDuration": "30"}),
        json!({"maxDuration": "4m"}),
        json!({"maxDuration": "0d"}),
        json!({"maxDuration": "1w"}),
        json!({"maxDuration": 30}),
        json!({"copies": {}}),
        json!({"copies": {"key": KEY}}),
        json!({"copies": {"from": ["eu-west-1"]}}),
        json!({"copies": {"from": [], "key": KEY}}),
        json!({"copies": {"from": "eu-west-1", "key": KEY}}),
        json!({"copies": {"from": ["*"], "key": KEY}}),
        json!({"copies": {"from": ["eu-west-1a"], "key": KEY}}),
        json!({"copies": {"from": ["eu-west-1"], "key": "1234abcd"}}),
        json!({"copies": {"from": ["eu-west-1"], "key": "alias/golden"}}),
        json!({"copies": {"from": ["eu-west-1"], "key": "arn:aws:kms:us-east-1:999988887777:key/*"}}),
        json!({"copies": {"from": ["eu-west-1"], "key": "arn:aws:kms:us-east-1:999988887777:key/1/2"}}),
        json!({"copies": {"from": ["eu-west-1"], "key": KEY.repeat(2)}}),
        json!({"copies": {"from": ["eu-west-1"], "key": KEY.replace("eu-west-1", "eu-*")}}),
        json!({"copies": {"from": ["eu-west-1"], "key": KEY, "within": "29m"}}),
        json!({"copies": {"from": ["eu-west-1"], "key": KEY, "within": "4d"}}),
        json!({"copies": {"from": ["eu-west-1"], "key": KEY, "within": "4321m"}}),
        json!({"copies": {"from": ["eu-west-1"], "key": KEY, "within": "73h"}}),
        json!({"copies": {"from": ["eu-west-1"], "key": KEY, "within": 12}}),
        json!({"copies": {"from": ["eu-west-1"], "key": KEY, "to": ["us-east-1"]}}),
        json!({"onAvailable": "yes"}),
        json!({"onAvailable": true}),
        json!({"onAvailable": true, "images": "all", "requesters": ["events:999988887777:aws.ec2"]}),
        json!({"onAvailable": true, "actions": ["revoke"], "requesters": ["events:999988887777:aws.ec2"]}),
        json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"], "maxDuration": "29m"}),
        json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"], "images": {"names": ["*"]}}),
        json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"], "images": {"names": ["golden-*", "*?*"]}}),
        json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"], "images": {"names": ["???*"]}}),
        json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"], "images": {"names": ["?*??"]}}),
        json!({"effect": "Deny"}),
    ] {
        both(&allowlist(&change), false);
    }
    let rules = allowlist(&json!({}))["rules"].take();
    for document in [
        json!({}),
        json!({"version": 2, "rules": rules}),
        json!({"version": "1", "rules": rules}),
        json!({"version": 1, "rules": []}),
        json!({"version": 1, "rules": rules, "deny": []}),
        json!({"version": 1, "rules": rules, "accounts": {}}),
        json!({"version": 1, "rules": rules, "accounts": {"1111": {}}}),
        json!({"version": 1, "rules": rules, "accounts": {"111122223333": {"name": "123456789012"}}}),
        json!({"version": 1, "rules": rules, "accounts": {"111122223333": {"name": "o-prod"}}}),
        json!({"version": 1, "rules": rules, "accounts": {"111122223333": {"organizationId": "o-1"}}}),
        json!({"version": 1, "rules": rules, "accounts": {"111122223333": {"organizationPath": "o-a1b2c3d4e5/r-ab12"}}}),
        json!({"version": 1, "rules": rules, "accounts": {"111122223333": {"owner": "ada"}}}),
        json!({"version": 1, "rules": rules, "groups": {}}),
        json!({"version": 1, "rules": rules, "groups": {"web": []}}),
        json!({"version": 1, "rules": rules, "groups": {"web": ["*"]}}),
        json!({"version": 1, "rules": rules, "groups": {"o-web": ["111122223333"]}}),
        json!({"version": 1, "rules": rules, "groups": {"ou-web": ["111122223333"]}}),
        json!({"version": 1, "rules": rules, "groups": {"111122223333": ["444455556666"]}}),
        json!({"version": 1, "rules": rules, "groups": {"a b": ["111122223333"]}}),
    ] {
        both(&document, false);
    }
}

#[test]
fn the_example_allowlist_is_as_the_schema_says() {
    let text = std::fs::read_to_string(folder("examples/allowlist.yaml")).unwrap();
    check_allowlist(&serde_saphyr::from_str(&text).unwrap());
}

/// What VS Code shows for JSON and YAML of the commonest mistakes: `errorMessage` where a value is wrong, and the name of a
/// field that there isn't. Where several branches could match it shows the message of one of them, so each has the same.
#[test]
fn the_allowlists_schema_tells_editors_what_belongs_there() {
    let schema = read("allowlist");
    for (place, words) in [
        ("/definitions/requester", "arn:aws:iam::<account>:role/<name>"),
        ("/definitions/target", "twelve digits in quotes"),
        ("/properties/accounts", "twelve digits in quotes"),
        ("/properties/groups", "begin with a name"),
    ] {
        let node = schema.pointer(place).unwrap();
        let branches = node.get("anyOf").and_then(Value::as_array).into_iter().flatten();
        for node in std::iter::once(node).chain(branches) {
            let message = node["errorMessage"].as_str().unwrap_or_else(|| panic!("{place} has a node without words"));
            assert!(message.contains(words) && message == schema.pointer(place).unwrap()["errorMessage"], "{message}");
        }
    }
    // A misspelled field is named by the editor itself, unless the object is one of several branches or has its own words.
    let rule = "/definitions/rule";
    let images = "/definitions/rule/properties/images";
    for place in ["", rule, images, "/definitions/account"] {
        let node = schema.pointer(place).unwrap();
        assert_eq!((&node["additionalProperties"], node.get("errorMessage")), (&json!(false), None), "{place}");
    }
    assert_eq!(schema.pointer(images).unwrap().get("anyOf"), None);
}

#[test]
fn the_allowlists_schema_fits_into_an_appconfig_validator() {
    // https://docs.aws.amazon.com/appconfig/2019-10-09/APIReference/API_Validator.html
    let size = std::fs::metadata(folder("schemas/allowlist.schema.json")).unwrap().len();
    assert!(size <= 32_768, "{size} bytes");
}
