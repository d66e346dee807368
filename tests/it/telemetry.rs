//! What the function writes to its log: metrics that tell the truth, and lines that belong together.

use serde_json::{Value, json};

use crate::support::{function::Function, local_aws::LocalAws};

const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: golden
    requesters: ["lambda:invoke"]
    actions: [share, list]
    images: {names: ["golden-*"]}
    targets: ["111122223333"]
"#;

/// Lambda's id of every invocation, as the Runtime API of the tests gives it.
const INVOCATION: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

/// The log as JSON, a value a line: whatever is no JSON fails here.
#[track_caller]
fn lines(function: &Function) -> Vec<Value> {
    let log = function.log();
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn metrics(function: &Function) -> Vec<Value> {
    lines(function).into_iter().filter(|line| line.get("_aws").is_some()).collect()
}

#[test]
fn the_metrics_are_what_happened() {
    let aws = LocalAws::turn();
    let function = Function::start(aws.endpoint, ALLOWLIST, &[]);
    let image = aws.image(json!({"name": "golden-web", "mappings": [{"device": "/dev/xvda", "snapshot": {}}]}));
    let share = json!({"action": "share", "imageIds": [image], "accountIds": ["111122223333"]});
    aws.fault("ec2:DescribeImages", "RequestLimitExceeded", 503, 2);
    aws.forget_calls();
    assert_eq!(function.invoke(&share).unwrap()["result"], "completed");
    let asked = aws.calls().len();
    assert!(asked > 4);

    let told = metrics(&function);
    assert_eq!(told.len(), 1, "{told:#?}");
    for (name, value) in [
        ("FunctionName", json!("ami-share")),
        ("Action", json!("share")),
        ("Result", json!("completed")),
        ("AwsCalls", json!(asked)),
        ("AwsRetries", json!(2)),
        ("ColdStarts", json!(1)),
        ("Refused", json!(0)),
        ("outcome.images", json!([image])),
        ("request.requester", json!("lambda:invoke")),
        ("lambda.request_id", json!(INVOCATION)),
    ] {
        assert_eq!(told[0][name], value, "{name}");
    }
    assert!(told[0]["Duration"].as_u64().unwrap() >= 400, "two pauses were taken: {}", told[0]["Duration"]);

    // Refused for two targets with one code, and then somebody whom the function does not know.
    let refused = json!({"action": "share", "imageIds": [image], "accountIds": ["444455556666", "777788889999"]});
    assert_eq!(function.invoke(&refused).unwrap()["result"], "refused");
    let told = metrics(&function);
    assert_eq!(told.len(), 3, "{told:#?}");
    assert_eq!((&told[1]["Refused"], &told[1]["ColdStarts"]), (&json!(1), &json!(0)));
    assert_eq!((&told[2]["Code"], &told[2]["Refusals"]), (&json!("TargetNotAllowed"), &json!(2)));
}

#[test]
fn every_line_says_to_which_request_it_belongs() {
    let aws = LocalAws::turn();
    let function = Function::start(aws.endpoint, ALLOWLIST, &[]);
    let image = aws.image(json!({"name": "golden-web", "mappings": [{"device": "/dev/xvda", "snapshot": {}}]}));
    aws.fault("ec2:ModifyImageAttribute", "Unavailable", 503, 1);
    let share =
        json!({"action": "share", "imageIds": [image], "accountIds": ["111122223333"], "reason": "{\"_aws\":{}}"});
    let _ = function.invoke(&share);
    let lines = lines(&function);
    let messages: Vec<_> = lines.iter().filter(|line| line.get("message").is_some()).collect();
    assert!(messages.len() >= 3, "a plan, a failed call and the outcome: {messages:#?}");
    for line in &lines {
        let of = |names: [&str; 2]| names.iter().find_map(|name| line.get(name).or_else(|| line["span"].get(name)));
        assert_eq!(of(["request.id", "requestId"]), Some(&json!(INVOCATION)), "{line}");
        assert_eq!(of(["lambda.request_id", "lambdaRequestId"]), Some(&json!(INVOCATION)), "{line}");
    }
    assert_eq!(metrics(&function).len(), 1, "words of a caller are no metrics");
}

#[test]
fn no_level_brings_the_callers_tokens_into_the_log() {
    let aws = LocalAws::turn();
    let function = Function::start(
        aws.endpoint,
        ALLOWLIST,
        &[("AWS_LAMBDA_LOG_LEVEL", "TRACE"), ("AWS_SESSION_TOKEN", "session-t0ken")],
    );
    let mut event: Value = serde_json::from_str(include_str!("../../events/rest-share.json")).unwrap();
    event["headers"]["authorization"] = json!("Bearer c2VjcmV0");
    function.http(&event);
    let log = function.log();
    assert!(log.contains("\"requester\""), "{log}");
    for secret in ["c2VjcmV0", "session-t0ken", "Credential="] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
