//! The log record of a request: what it keeps, and that it keeps all of it in lines of bounded length.

use std::collections::BTreeSet;

use ami_share_testing::{
    schemas::{LONGEST_LINE, check_log, read},
    worlds::{KEY, NOW},
};
use serde_json::{Value, json};
use sharing::{
    domain::{Requester, Target},
    log_record::LogRecord,
    outcome::{
        ErrorCode, ErrorRow, Finding, FindingCode, ImageRow, Outcome, Refusal, RefusalCode, Source, Status, StepRow,
        StepState, TargetRow, TargetState,
    },
    request::{Access, Action, Asked, FaultKind},
};

/// The parts of the record, each held against the schema.
#[track_caller]
fn record(outcome: &Outcome) -> Vec<Value> {
    let lines = LogRecord { outcome, trigger: "http", lambda_request_id: "lambda-id", at: NOW }.lines();
    assert!(lines.iter().all(|line| !line.contains('\n')), "a line break");
    let parts = check_log(&lines.join("\n"));
    assert_eq!(parts.len(), lines.len(), "{lines:#?}");
    for (index, part) in parts.iter().enumerate() {
        assert_eq!((&part["part"], &part["parts"]), (&json!(index + 1), &json!(parts.len())));
        assert_eq!(part["asked"].is_object(), index == 0);
    }
    parts
}

fn image_id(number: usize) -> String {
    format!("ami-{number:017x}")
}

fn account(number: usize) -> Target {
    format!("{number:012}").parse().unwrap()
}

fn step(call: &'static str, resource: &str, state: StepState) -> StepRow {
    StepRow {
        call,
        resource: resource.to_owned(),
        grant_name: None,
        add: Vec::new(),
        remove: Vec::new(),
        state,
        detail: None,
    }
}

fn row(number: usize, targets: usize) -> ImageRow {
    let target = |number| TargetRow {
        target: account(number),
        state: TargetState::Shared,
        expires_at: Some(NOW),
        rule: Some(format!("rule-{}", number % 3)),
        detail: None,
        name: None,
        launch: None,
        accepted: None,
    };
    ImageRow {
        image_id: Some(image_id(number).parse().unwrap()),
        copy_of: (number == 1)
            .then(|| Source { region: "eu-central-1".parse().unwrap(), image_id: image_id(2).parse().unwrap() }),
        copy: None,
        name: Some("golden-web".to_owned()),
        region: "eu-west-1".to_owned(),
        tags: [("Secret".to_owned(), "tag".to_owned())].into(),
        changed: true,
        key_arns: Vec::new(),
        rule: Some("first".to_owned()),
        // Only what was put is a parameter of the image.
        steps: vec![
            step("ssm:PutParameter", "/golden/web/latest", StepState::Done),
            step("ssm:PutParameter", "/golden/other/latest", StepState::Failed),
            step("ec2:ModifyImageAttribute", "ami-00000001", StepState::Done),
        ],
        targets: (0..targets).map(target).collect(),
        keys: Vec::new(),
        permissions: None,
        catalogue: None,
        usage: None,
        shared_tags: Vec::new(),
        watermarks: Vec::new(),
        scan: None,
    }
}

fn full() -> Outcome {
    let refusal = Refusal {
        image_id: Some(image_id(1).parse().unwrap()),
        target: Some(account(7)),
        pointer: Some("/accountIds/0".to_owned()),
        parameter: Some("access".to_owned()),
        fault: Some(FaultKind::BadFormat),
        ..Refusal::new(RefusalCode::TargetNotAllowed, "no rule").key(&KEY.parse().unwrap())
    };
    let error = ErrorRow {
        code: ErrorCode::Throttled,
        call: Some("ec2:DescribeImages"),
        resource: Some("images".to_owned()),
        message: "slow down".to_owned(),
        retryable: true,
    };
    let finding = Finding {
        code: FindingCode::GrantLeft,
        image_id: image_id(1).parse().unwrap(),
        target: Some(account(7)),
        message: String::new(),
        remedy: String::new(),
    };
    Outcome {
        action: Some(Action::Share),
        requester: Some(
            Requester::new("arn:aws:iam::999988887777:role/portal".to_owned()).with_groups(vec!["web".to_owned()]),
        ),
        approved_by: Some(Requester::new("jwt:i#olga".to_owned())),
        approval_reason: Some("fine".to_owned()),
        requester_session: Some("ada@example.com".to_owned()),
        reason: Some("release 1.4".to_owned()),
        images: vec![row(1, 1)],
        refusals: vec![refusal],
        errors: vec![error],
        findings: Some(vec![finding]),
        warnings: vec!["mind the gap".to_owned()],
        next_token: Some("ami-1a2b3c4d".parse().unwrap()),
        asked: Asked {
            image_ids: vec![image_id(1).parse().unwrap()],
            targets: vec![account(7).to_string()],
            access: Some(Access::Copy),
            service_linked_roles: vec!["autoscaling".parse().unwrap()],
            copy_from: Some("eu-central-1".parse().unwrap()),
            expires_at: Some(NOW),
            name: Some("golden-*".to_owned()),
        },
        ..Outcome::new("request-id", Status::Incomplete)
    }
}

#[test]
fn a_record_has_everything_and_the_schema_declares_nothing_more() {
    let parts = record(&full());
    let [part] = &parts[..] else { panic!("{parts:#?}") };
    assert_eq!(
        *part,
        json!({
            "timestamp": "2026-11-22T12:00:00Z", "level": "INFO",
            "message": "share by arn:aws:iam::999988887777:role/portal: incomplete", "type": "request",
            "requestId": "request-id", "lambdaRequestId": "lambda-id", "trigger": "http", "action": "share",
            "requester": "arn:aws:iam::999988887777:role/portal", "approvedBy": "jwt:i#olga", "approvalReason": "fine", "requesterSession": "ada@example.com",
            "requesterGroups": ["web"],
            "dryRun": false, "reason": "release 1.4", "result": "incomplete", "retryable": false, "part": 1, "parts": 1,
            "nextToken": "ami-1a2b3c4d",
            "asked": {"imageIds": ["ami-00000000000000001"], "targets": ["000000000007"], "access": "copy",
                "serviceLinkedRoles": ["autoscaling"], "copyFrom": "eu-central-1", "expiresAt": "2026-11-22T12:00:00Z",
                "name": "golden-*"},
            "rules": ["first", "rule-0"],
            "images": [{"imageId": "ami-00000000000000001", "copyOf": {"region": "eu-central-1", "imageId": "ami-00000000000000002"}, "name": "golden-web", "rule": "first", "changed": true, "parameters": ["/golden/web/latest"],
                "targets": [{"target": "000000000000", "state": "shared", "expiresAt": "2026-11-22T12:00:00Z", "rule": "rule-0"}]}],
            "refusals": [{"code": "TargetNotAllowed", "imageId": "ami-00000000000000001", "target": "000000000007",
                "pointer": "/accountIds/0", "parameter": "access", "fault": "bad-format", "keyArn": KEY, "message": "no rule"}],
            "errors": [{"code": "Throttled", "call": "ec2:DescribeImages", "resource": "images", "message": "slow down"}],
            "findings": [{"code": "GrantLeft", "imageId": "ami-00000000000000001", "target": "000000000007"}],
            "warnings": ["mind the gap"],
        })
    );
    let schema = read("log-record");
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&schema["properties"]), names(part));
    for (definition, said) in [
        ("asked", &part["asked"]),
        ("image", &part["images"][0]),
        ("targetState", &part["images"][0]["targets"][0]),
        ("refusal", &part["refusals"][0]),
        ("error", &part["errors"][0]),
        ("finding", &part["findings"][0]),
    ] {
        assert_eq!(names(&schema["definitions"][definition]["properties"]), names(said), "{definition}");
    }
}

#[test]
fn what_every_part_has_stands_before_the_lists() {
    // CloudWatch Logs Insights discovers the first 200 fields of a line.
    let line =
        LogRecord { outcome: &full(), trigger: "http", lambda_request_id: "lambda-id", at: NOW }.lines().remove(0);
    let lists = line.find("\"asked\"").unwrap();
    for field in ["requestId", "requester", "requesterSession", "action", "reason", "result", "dryRun", "parts"] {
        assert!(line.find(&format!("\"{field}\":")).unwrap() < lists, "{field}: {line}");
    }
}

/// Every image × target pair, refusal code × target, error and warning of a record, in order.
fn content(parts: &[Value]) -> Vec<String> {
    let list = |name: &str| parts.iter().flat_map(|part| part[name].as_array().unwrap().clone()).collect::<Vec<_>>();
    let mut pairs = Vec::new();
    for image in list("images") {
        let targets = image["targets"].as_array().unwrap();
        pairs.extend(targets.iter().map(|row| format!("{} {} {}", image["imageId"], row["target"], row["state"])));
    }
    let refusals = list("refusals").into_iter().map(|row| format!("{} {}", row["code"], row["target"]));
    pairs.into_iter().chain(refusals).chain(list("warnings").iter().map(ToString::to_string)).collect()
}

#[test]
fn what_does_not_fit_goes_into_further_parts_and_no_pair_is_lost_or_cut() {
    for (images, targets) in [(1, 1), (50, 20), (5, 200), (1, 1_000), (50, 0)] {
        let refusals = (0..images * targets).map(|number| Refusal {
            target: Some(account(number)),
            ..Refusal::new(RefusalCode::KeyAccessMissing, "a key does not let the target in ".repeat(8))
        });
        let outcome = Outcome {
            images: (0..images).map(|number| row(number, targets)).collect(),
            refusals: refusals.collect(),
            warnings: (0..images).map(|number| format!("warning {number}")).collect(),
            ..full()
        };
        let parts = record(&outcome);
        let expect = (0..images)
            .flat_map(|image| (0..targets).map(move |target| (image, target)))
            .map(|(image, target)| format!("\"{}\" \"{}\" \"shared\"", image_id(image), account(target)))
            .chain((0..images * targets).map(|target| format!("\"KeyAccessMissing\" \"{}\"", account(target))))
            .chain((0..images).map(|number| format!("\"warning {number}\"")));
        assert_eq!(content(&parts), expect.collect::<Vec<_>>(), "{images} × {targets}");
        assert_eq!(parts.len() > 1, images * targets > 100, "{images} × {targets}: {} parts", parts.len());
        // No part is nearly empty but the last one.
        let bytes: usize = parts.iter().map(|part| part.to_string().len()).sum();
        assert!(parts.len() <= bytes / 45_000 + 1, "{bytes} bytes in {} parts", parts.len());
    }
}

#[test]
fn an_image_is_one_entry_of_a_line_with_all_its_targets_there() {
    // Two copies that EC2 has not begun to make.
    let awaited = |number| ImageRow {
        image_id: None,
        copy_of: Some(Source { region: "eu-central-1".parse().unwrap(), image_id: image_id(number).parse().unwrap() }),
        ..row(0, 2)
    };
    let parts = record(&Outcome { images: vec![row(1, 3), row(2, 4), awaited(3), awaited(4)], ..full() });
    let images = parts[0]["images"].as_array().unwrap();
    let targets: Vec<_> = images.iter().map(|image| image["targets"].as_array().unwrap().len()).collect();
    assert_eq!((targets, parts.len()), (vec![3, 4, 2, 2], 1));
}

#[test]
fn the_rules_that_a_line_names_take_room_in_it_once() {
    for is_own in [true, false] {
        let mut image = row(1, 1_000);
        for (number, target) in image.targets.iter_mut().enumerate() {
            target.rule = Some(format!("{:0>128}", if is_own { number } else { 0 }));
        }
        let outcome = Outcome { images: vec![image], ..full() };
        let lines = LogRecord { outcome: &outcome, trigger: "http", lambda_request_id: "lambda-id", at: NOW }.lines();
        let (bytes, longest) = (lines.iter().map(String::len).sum::<usize>(), lines.iter().map(String::len).max());
        assert!(longest.unwrap() < LONGEST_LINE, "{longest:?}");
        assert!(lines.len() <= bytes / 45_000 + 1, "{bytes} bytes in {} lines", lines.len());
    }
}

#[test]
fn no_line_is_too_long_whatever_was_sent_and_read() {
    for character in ["x", "\"", "\\", "\u{1f}", "é", "𝒳"] {
        let long = character.repeat(20_000);
        let unit = format!(
            "arn:aws-us-gov:organizations::999988887777:ou/o-{}/ou-{}-{}",
            "a".repeat(32),
            "b".repeat(32),
            "c".repeat(32)
        );
        let asked = Asked {
            image_ids: (0..50).map(|number| image_id(number).parse().unwrap()).collect(),
            targets: vec![unit.clone(); 200],
            service_linked_roles: vec![format!("autoscaling:{}", "x".repeat(35)).parse().unwrap(); 50],
            ..full().asked
        };
        let refusal = Refusal {
            pointer: Some(long.clone()),
            parameter: Some(long.clone()),
            target: Some(unit.parse().unwrap()),
            ..Refusal::new(RefusalCode::MalformedRequest, &long)
        };
        let error = ErrorRow { resource: Some(long.clone()), message: long.clone(), ..full().errors.remove(0) };
        let target =
            TargetRow { rule: Some(long.clone()), target: unit.parse().unwrap(), ..row(1, 1).targets.remove(0) };
        let image =
            ImageRow { name: Some(long.clone()), rule: Some(long.clone()), targets: vec![target; 3], ..row(1, 0) };
        let outcome = Outcome {
            requester: Some(Requester::new(long.clone()).with_groups(vec![character.repeat(128); 200])),
            requester_session: Some(long.clone()),
            reason: Some(character.repeat(500)),
            asked,
            images: vec![image; 3],
            refusals: vec![refusal; 30],
            errors: vec![error; 30],
            warnings: vec![long; 30],
            ..full()
        };
        let lines = LogRecord { outcome: &outcome, trigger: "http", lambda_request_id: "lambda-id", at: NOW }.lines();
        let longest = lines.iter().map(String::len).max().unwrap();
        assert!(longest < LONGEST_LINE, "{character}: {longest}");
        assert!(lines.iter().all(|line| !line.chars().any(char::is_control)), "{character}");
        let parts: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let count = |list: &str| parts.iter().map(|part| part[list].as_array().unwrap().len()).sum::<usize>();
        assert_eq!((count("refusals"), count("errors"), count("warnings")), (30, 30, 30), "{character}");
    }
}
