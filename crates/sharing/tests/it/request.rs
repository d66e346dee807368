//! What a request document may say, and the fault of everything else, with its place.

use key_policy::json::Json;
use sharing::request::{Access, Action, Asked, Malformed, Request};
use time::OffsetDateTime;

const NOW: OffsetDateTime = time::macros::datetime!(2026-11-22 12:00 UTC);

fn parse(text: &str) -> Result<Request, Malformed> {
    Request::parse(&Json::parse(text).unwrap(), NOW)
}

/// Checks which places are faulty, and that each message holds the words beside it.
#[track_caller]
fn faults(text: &str, expect: &[(&str, &str)]) {
    let faults = parse(text).unwrap_err().faults.named;
    let places: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(places, expect.iter().map(|(place, _)| *place).collect::<Vec<_>>(), "{faults:#?}");
    for (fault, (_, words)) in faults.iter().zip(expect) {
        assert!(fault.message.contains(words), "{fault:?} should say {words:?}");
    }
}

#[test]
fn the_smallest_share_has_launch_access_and_is_no_dry_run() {
    let request = parse(r#"{"action":"share","imageIds":["ami-1a2b3c4d"],"accountIds":["000011112222"]}"#).unwrap();
    assert_eq!(request.action, Action::Share);
    assert_eq!(request.access, Access::Launch);
    assert!(!request.dry_run);
    assert_eq!(request.targets.len(), 1);
    assert_eq!(request.targets[0].pointer, "/accountIds/0");
    assert_eq!(request.targets[0].target.to_string(), "000011112222");
}

#[test]
fn every_field_is_read() {
    let request = parse(
        r#"{"version":"1","action":"share","imageIds":["ami-1a2b3c4d"],"accountIds":["111122223333"],
                "organizationArns":["arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5"],
                "organizationalUnitArns":["arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111"],
                "access":"copy","serviceLinkedRoles":["autoscaling","autoscaling:blue","spot"],
                "expiresAt":"2026-11-22T14:00:00+01:00","copyFrom":"us-east-1","dryRun":true,"reason":"for the launch ☂"}"#,
    )
    .unwrap();
    assert_eq!(request.targets.len(), 3);
    assert_eq!(request.access, Access::Copy);
    assert_eq!(request.service_linked_roles.len(), 3);
    assert_eq!(request.copy_from.unwrap().to_string(), "us-east-1");
    assert_eq!(request.expires_at, Some(time::macros::datetime!(2026-11-22 13:00 UTC)));
    assert!(request.dry_run);
}

#[test]
fn every_fault_is_named_with_its_place() {
    faults(
        r#"{"version":1,"action":"publish","imageIds":["ami-1A2B3C4D",7],"accountIds":[111122223333,"all"],"dryrun":true,"dryRun":"yes","reason":3}"#,
        &[
            ("/version", "a number where a string"),
            ("/action", "is not an action"),
            ("/imageIds/0", "lower-case"),
            ("/imageIds/1", "quotes"),
            ("/accountIds/0", "leading zeros"),
            ("/accountIds/1", "twelve digits"),
            ("/dryRun", "`true` or `false`"),
            ("/reason", "a string belongs"),
            ("/dryrun", "did you mean `dryRun`"),
        ],
    );
}

/// The only fault of a document: its place, its kind and what its message says as data.
#[track_caller]
fn says(text: &str, pointer: &str, kind: &str, values: serde_json::Value) {
    let faults = parse(text).unwrap_err().faults.named;
    let [fault] = &faults[..] else { panic!("{faults:#?}") };
    let reported = (fault.pointer.as_str(), serde_json::json!(fault.kind), serde_json::json!(fault.values));
    assert_eq!(reported, (pointer, serde_json::json!(kind), values), "{fault:?}");
}

#[test]
fn every_fault_is_told_in_one_word_and_with_what_its_message_says() {
    use serde_json::json;
    let actions = json!([
        "share",
        "revoke",
        "reset",
        "list",
        "check",
        "usage",
        "audit",
        "repair",
        "images",
        "approvals",
        "approve",
        "reject"
    ]);
    let list = |more: &str| format!(r#"{{"action":"list","imageIds":["ami-1a2b3c4d"]{more}}}"#);
    let share =
        |more: &str| format!(r#"{{"action":"share","imageIds":["ami-1a2b3c4d"],"accountIds":["111122223333"]{more}}}"#);
    says(&list(r#","dryrun":true"#), "/dryrun", "unknown-field", json!({"suggestion": "dryRun"}));
    says(&list(r#","regions":[]"#), "/regions", "unknown-field", json!({}));
    says("{}", "/action", "missing", json!({}));
    says(r#"{"action":"list"}"#, "/imageIds", "missing", json!({"action": "list"}));
    let targets = r#"{"action":"share","imageIds":["ami-1a2b3c4d"]}"#;
    says(targets, "/accountIds", "missing", json!({"action": "share"}));
    says(r#"{"action":"list","imageIds":[]}"#, "/imageIds", "missing", json!({}));
    says("[]", "", "wrong-type", json!({}));
    says(&list(r#","reason":3"#), "/reason", "wrong-type", json!({"expected": "string"}));
    says(&list(r#","dryRun":"yes""#), "/dryRun", "wrong-type", json!({"expected": "boolean"}));
    says(r#"{"action":"list","imageIds":"all"}"#, "/imageIds", "wrong-type", json!({"expected": "array"}));
    let number = r#"{"action":"share","imageIds":["ami-1a2b3c4d"],"accountIds":[111122223333]}"#;
    let values = json!({"expected": "string", "given": "111122223333"});
    says(number, "/accountIds/0", "wrong-type", values);
    let wrong = r#"{"action":"list","imageIds":["ami-1"]}"#;
    says(wrong, "/imageIds/0", "bad-format", json!({"given": "ami-1"}));
    let values = json!({"given": "publish", "allowed": actions});
    says(r#"{"action":"publish"}"#, "/action", "bad-format", values);
    let values = json!({"given": "write", "allowed": ["launch", "copy"]});
    says(&share(r#","access":"write""#), "/access", "bad-format", values);
    says(&list(r#","version":"2""#), "/version", "bad-format", json!({"allowed": ["1"]}));
    says(&share(r#","expiresAt":"soon""#), "/expiresAt", "bad-format", json!({"given": "soon"}));
    let hidden = list(",\"reason\":\"a\u{202e}b\"");
    says(&hidden, "/reason", "bad-format", json!({"given": "U+202E"}));
    let values = json!({"count": 501, "most": 500});
    says(&list(&format!(r#","reason":"{}""#, "x".repeat(501))), "/reason", "too-many", values);
    says(&many(51, 1), "/imageIds", "too-many", json!({"count": 51, "most": 50}));
    says(&many(50, 21), "", "too-many", json!({"count": 1050, "most": 1000}));
    let twice = r#"{"action":"list","imageIds":["ami-1a2b3c4d","ami-1a2b3c4d"]}"#;
    says(twice, "/imageIds/1", "duplicate", json!({}));
    says(&list(r#","dryRun":true,"dryRun":true"#), "/dryRun", "duplicate", json!({}));
    let values = json!({
        "given": "2037-01-01T00:00:00Z", "earliest": "2026-11-22T12:05:00Z", "latest": "2036-11-22T12:00:00Z",
    });
    says(&share(r#","expiresAt":"2037-01-01T00:00:00Z""#), "/expiresAt", "out-of-range", values);
    says(&list(r#","accountIds":["111122223333"]"#), "/accountIds", "no-meaning", json!({"action": "list"}));
    says(&list(r#","access":"copy""#), "/access", "no-meaning", json!({"action": "list"}));
    let audit = r#"{"action":"audit","imageIds":["ami-1a2b3c4d"]}"#;
    says(audit, "/imageIds", "no-meaning", json!({"action": "audit"}));
}

#[test]
fn a_request_is_an_object() {
    for text in ["null", "[]", "\"share\"", "1"] {
        faults(text, &[("", "a JSON object")]);
    }
    faults("{}", &[("/action", "missing")]);
}

#[test]
fn repeated_fields_and_items_are_faults() {
    faults(
        r#"{"action":"list","imageIds":["ami-1a2b3c4d","ami-1a2b3c4d"],"dryRun":true,"dryRun":false}"#,
        &[("/imageIds/1", "duplicate"), ("/dryRun", "repeated")],
    );
}

#[test]
fn what_an_action_needs_and_does_not_take() {
    faults(r#"{"action":"share","imageIds":["ami-1a2b3c4d"]}"#, &[("/accountIds", "needs")]);
    faults(r#"{"action":"share","accountIds":["111122223333"]}"#, &[("/imageIds", "missing")]);
    faults(
        r#"{"action":"reset","imageIds":["ami-1a2b3c4d"],"accountIds":["111122223333"]}"#,
        &[("/accountIds", "takes no targets")],
    );
    faults(r#"{"action":"audit","imageIds":["ami-1a2b3c4d"]}"#, &[("/imageIds", "takes no images")]);
    faults(r#"{"action":"reset","imageIds":["ami-1a2b3c4d"],"copyFrom":"eu-west-1"}"#, &[("/copyFrom", "no meaning")]);
    faults(
        r#"{"action":"audit","copyFrom":"eu"}"#,
        &[("/copyFrom", "not the name of a Region"), ("/copyFrom", "no meaning")],
    );
    faults(
        r#"{"action":"revoke","imageIds":["ami-1a2b3c4d"],"accountIds":["111122223333"],"expiresAt":"2027-01-01T00:00:00Z"}"#,
        &[("/expiresAt", "no meaning")],
    );
    faults(r#"{"action":"share","imageIds":[],"accountIds":[]}"#, &[("/imageIds", "empty"), ("/accountIds", "empty")]);
    faults(
        r#"{"action":"list","imageIds":["ami-1a2b3c4d"],"nextToken":"ami-1a2b3c4d"}"#,
        &[("/nextToken", "no meaning")],
    );
    faults(r#"{"action":"audit","nextToken":"eyJ"}"#, &[("/nextToken", "not the `nextToken`")]);
    faults(r#"{"action":"images","imageIds":["ami-1a2b3c4d"]}"#, &[("/imageIds", "takes no images")]);
    faults(r#"{"action":"images","accountIds":["111122223333"]}"#, &[("/accountIds", "takes no targets")]);
    faults(
        r#"{"action":"images","access":"copy","name":""}"#,
        &[("/name", "matches no image"), ("/access", "no meaning")],
    );
    faults(&format!(r#"{{"action":"images","name":"{}"}}"#, "x".repeat(129)), &[("/name", "longer than 128")]);
    faults(r#"{"action":"images","name":"a\u200bb"}"#, &[("/name", "can't be seen")]);
    faults(r#"{"action":"images","name":["web-*"]}"#, &[("/name", "a string belongs")]);
    faults(r#"{"action":"images","nextToken":"a b"}"#, &[("/nextToken", "not the `nextToken`")]);
    faults(r#"{"action":"list","imageIds":["ami-1a2b3c4d"],"name":"web-*"}"#, &[("/name", "no meaning")]);
    faults(r#"{"action":"audit","name":"web-*"}"#, &[("/name", "no meaning")]);
    faults(r#"{"action":"audit","rows":"yes"}"#, &[("/rows", "`true` or `false`")]);
    faults(r#"{"action":"repair","rows":true}"#, &[("/rows", "no meaning")]);
    faults(r#"{"action":"images","rows":false}"#, &[("/rows", "no meaning")]);
    assert!(parse(r#"{"action":"audit","rows":true,"nextToken":"ami-1a2b3c4d"}"#).unwrap().rows);
    assert!(parse(r#"{"action":"images"}"#).is_ok());
    let page = parse(r#"{"action":"images","name":"web-*","nextToken":"eyJ2IjoiMSJ9","reason":"a look"}"#).unwrap();
    assert_eq!(
        (page.name.as_deref(), page.page.unwrap().as_str(), page.next_token),
        (Some("web-*"), "eyJ2IjoiMSJ9", None)
    );
    assert!(parse(r#"{"action":"audit"}"#).is_ok());
    assert!(parse(r#"{"action":"repair","nextToken":"ami-1a2b3c4d.0123456789ab","dryRun":true}"#).is_ok());
}

#[test]
fn bare_organization_ids_are_refused_with_advice() {
    faults(
        r#"{"action":"share","imageIds":["ami-1a2b3c4d"],"organizationArns":["o-a1b2c3d4e5"],"organizationalUnitArns":["ou-ab12-11111111"]}"#,
        &[("/organizationArns/0", "whole ARN"), ("/organizationalUnitArns/0", "whole ARN")],
    );
}

fn many(images: usize, accounts: usize) -> String {
    let images: Vec<_> = (0..images).map(|n| format!("ami-{n:08x}")).collect();
    let accounts: Vec<_> = (0..accounts).map(|n| format!("{n:012}")).collect();
    serde_json::json!({"action": "share", "imageIds": images, "accountIds": accounts}).to_string()
}

#[test]
fn sizes_are_bounded() {
    assert!(parse(&many(50, 20)).is_ok());
    assert!(parse(&many(5, 200)).is_ok());
    faults(&many(51, 1), &[("/imageIds", "51 images")]);
    faults(&many(1, 201), &[("/accountIds", "201 targets")]);
    faults(&many(50, 21), &[("", "1050 image × target pairs")]);
    faults(&many(51, 201), &[("/imageIds", "51 images"), ("/accountIds", "201 targets")]);
    let units: Vec<_> =
        (0..101).map(|n| format!("arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-{n:08}")).collect();
    let mut document: serde_json::Value = serde_json::from_str(&many(1, 100)).unwrap();
    document["organizationalUnitArns"] = units.into();
    faults(&document.to_string(), &[("", "201 targets")]);
}

#[test]
fn limits_count_what_differs() {
    let repeated = |items: &[String]| [items, items].concat();
    let images: Vec<_> = (0..50).map(|n| format!("ami-{n:08x}")).collect();
    let document = serde_json::json!({"action": "list", "imageIds": repeated(&images)}).to_string();
    let named = parse(&document).unwrap_err().faults.named;
    assert_eq!(named.len(), 50);
    assert!(named.iter().all(|fault| fault.message == "duplicate value"), "{named:#?}");
    let accounts: Vec<_> = (0..20).map(|n| format!("{n:012}")).collect();
    let document = serde_json::json!({"action": "share", "imageIds": images, "accountIds": repeated(&accounts)});
    let named = parse(&document.to_string()).unwrap_err().faults.named;
    assert_eq!(named.len(), 20);
    assert!(named.iter().all(|fault| fault.message == "duplicate value"), "{named:#?}");
}

#[test]
fn two_arns_of_one_organization_are_one_target() {
    faults(
        r#"{"action":"share","imageIds":["ami-1a2b3c4d"],"organizationArns":[
                "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5",
                "arn:aws:organizations::444455556666:organization/o-a1b2c3d4e5"]}"#,
        &[("/organizationArns/1", "duplicate value")],
    );
}

#[test]
fn faults_beyond_the_fiftieth_are_only_counted() {
    let unknown: String = (0..100_000).map(|n| format!(r#""{n}":0,"#)).collect();
    let faults = parse(&format!(r#"{{{unknown}"action":"audit"}}"#)).unwrap_err().faults;
    assert_eq!((faults.named.len(), faults.left_out), (50, 99_950));
    let same = r#""ami-1a2b3c4d","#.repeat(100_000);
    let faults = parse(&format!(r#"{{"action":"list","imageIds":[{same}"ami-1a2b3c4d"]}}"#)).unwrap_err().faults;
    assert_eq!((faults.named.len(), faults.left_out), (50, 99_950));
}

#[test]
fn too_many_items_are_not_looked_at() {
    let zeros = "0,".repeat(1_000_000);
    faults(&format!(r#"{{"action":"list","imageIds":[{zeros}0]}}"#), &[("/imageIds", "1000001 images; at most 50")]);
    let roles: String = (0..51).map(|n| format!(r#""autoscaling:{n}","#)).collect();
    faults(
        &format!(
            r#"{{"action":"check","imageIds":["ami-1a2b3c4d"],"accountIds":["111122223333"],"serviceLinkedRoles":[{roles}7]}}"#
        ),
        &[("/serviceLinkedRoles", "52 roles; at most 50")],
    );
}

#[test]
fn a_document_with_too_many_fields_is_refused_whatever_the_others_say() {
    let fields = r#""dryRun":true,"#.repeat(key_policy::json::MAX_VALUES);
    let faults = parse(&format!(r#"{{{fields}"action":"audit","dryRun":false}}"#)).unwrap_err().faults;
    assert!(faults.named[0].message.contains("2 more were not read"), "{faults:#?}");
}

#[test]
fn what_could_be_understood_of_a_malformed_request_is_kept() {
    let Malformed { action, dry_run, reason, .. } =
        parse(r#"{"action":"share","dryRun":true,"reason":"spring release","typo":1}"#).unwrap_err();
    assert_eq!((action, dry_run, reason.as_deref()), (Some(Action::Share), true, Some("spring release")));
}

/// Also of a malformed request the log says what it asked for, as far as it parses.
#[test]
fn a_malformed_request_keeps_what_it_asked_for() {
    let asked = |text: &str| parse(text).unwrap_err().asked;
    let share = asked(r#"{"action":"share","imageIds":["ami-1a2b3c4d"],"accountIds":["111122223333", 7],"typo":1}"#);
    assert_eq!(share.targets, ["111122223333"]);
    assert_eq!(share.image_ids.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ami-1a2b3c4d"]);
}

#[test]
fn what_a_request_asked_for_is_kept_as_it_was_read() {
    let request = parse(
        r#"{"action":"share","imageIds":["ami-1a2b3c4d"],"accountIds":["111122223333"],"access":"copy",
            "serviceLinkedRoles":["spot"],"expiresAt":"2026-11-23T12:00:00Z","copyFrom":"us-east-1"}"#,
    );
    let asked = serde_json::json!(Asked::from(&request.unwrap()));
    let expect = serde_json::json!({"imageIds": ["ami-1a2b3c4d"], "targets": ["111122223333"], "access": "copy",
        "serviceLinkedRoles": ["spot"], "copyFrom": "us-east-1", "expiresAt": "2026-11-23T12:00:00Z"});
    assert_eq!(asked, expect);
}

#[test]
fn an_approval_is_named_by_any_short_text_without_spaces() {
    let approve = |id: &str| serde_json::json!({"action": "approve", "approvalId": id}).to_string();
    for right in ["0123456789abcdef0123456789abcdef", "x", &"x".repeat(100)] {
        assert_eq!(parse(&approve(right)).unwrap().approval_id.as_deref(), Some(right));
    }
    for wrong in ["", "a b", "é", &"x".repeat(101)] {
        faults(&approve(wrong), &[("/approvalId", "is not the ID of an approval")]);
    }
}

#[test]
fn a_list_is_about_images_or_one_account() {
    for (text, place, words) in [
        (r#"{"action":"list"}"#, "/imageIds", "at least one image, or `accountIds` with one account"),
        (r#"{"action":"reset"}"#, "/imageIds", "is about at least one image"),
        (
            r#"{"action":"list","accountIds":["111122223333","222233334444"]}"#,
            "/accountIds",
            "2 accounts; `list` takes one",
        ),
        (
            r#"{"action":"list","accountIds":["111122223333"],"organizationArns":["arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5"]}"#,
            "/organizationArns",
            "takes no targets",
        ),
    ] {
        faults(text, &[(place, words)]);
    }
    let reset = parse(r#"{"action":"reset"}"#).unwrap_err().faults.named.remove(0);
    assert!(!reset.message.contains("accountIds"), "{reset:?}");
}

#[test]
fn three_actions_are_about_approvals() {
    let found: Vec<_> = Action::ALL.into_iter().filter(|action| action.is_about_approval()).collect();
    assert_eq!(found, [Action::Approvals, Action::Approve, Action::Reject]);
}

#[test]
fn regions_are_refused_with_the_way_out() {
    faults(
        r#"{"action":"share","imageIds":["ami-1a2b3c4d"],"accountIds":["111122223333"],"regions":["eu-west-1"]}"#,
        &[("/regions", "send the request with `copyFrom` to the deployment of the other Region")],
    );
}

fn with(field: &str, value: serde_json::Value) -> String {
    let mut document =
        serde_json::json!({"action": "share", "imageIds": ["ami-1a2b3c4d"], "accountIds": ["111122223333"]});
    document[field] = value;
    document.to_string()
}

#[test]
fn an_expiry_time_is_no_longer_over_than_a_request_is_sent_again_and_at_most_ten_years_ahead() {
    // Whether the near ones have a record is for `decide` to say.
    for right in ["2026-11-21T12:00:00Z", "2026-11-22T12:04:59Z", "2026-11-22T12:05:00Z", "2036-11-21T12:00:00Z"] {
        assert!(parse(&with("expiresAt", right.into())).is_ok(), "{right}");
    }
    for wrong in [
        "2026-11-21T11:59:59Z",
        "2020-01-01T00:00:00Z",
        "2037-01-01T00:00:00Z",
        "tomorrow",
        "2027-01-01",
        "2027-01-01T00:00:00",
        "",
    ] {
        faults(&with("expiresAt", wrong.into()), &[("/expiresAt", "")]);
    }
}

#[test]
fn a_reason_is_short_and_cannot_forge_a_log_line() {
    assert!(parse(&with("reason", "é".repeat(500).into())).is_ok());
    faults(&with("reason", "x".repeat(501).into()), &[("/reason", "longer than 500")]);
    for (wrong, words) in [
        ("a\nb", "character 2 is U+000A"),
        ("a\u{7f}b", "U+007F"),
        ("a\u{2028}b", "U+2028"),
        ("\u{1F469}\u{200d}\u{1F4BB}", "character 2 is U+200D"),
    ] {
        faults(&with("reason", wrong.into()), &[("/reason", words)]);
    }
}
