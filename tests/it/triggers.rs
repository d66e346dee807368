//! Every trigger but the first two, through the real binary to the local AWS: HTTP APIs, function URLs, queues; and what
//! the triggers say of a request's age.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    event, fault_kinds,
    function::Function,
    local_aws::LocalAws,
    proxy::{Proxy, Reply},
    world::{World, codes},
};

const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: everybody
    requesters:
      - "lambda:invoke"
      - "arn:aws:iam::999988887777:role/portal"
      - "events:999988887777:com.example.pipeline"
      - "jwt:https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Example#11111111-2222-4333-8444-555555555555"
      - "sqs:arn:aws:sqs:eu-west-1:999988887777:requests"
      - "sqs:arn:aws:sqs:eu-west-1:999988887777:requests.fifo"
    actions: [share, revoke, list, check]
    images: {names: ["golden-*"]}
    targets: ["111122223333", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]
  - name: somebody-else
    requesters: ["arn:aws:iam::999988887777:role/else"]
    actions: [share]
    images: all
    targets: ["arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-22222222"]
"#;
const ORGANIZATION: &str = "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5";
const UNIT: &str = "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111";
const MESSAGE: &str = "059f36b4-87a3-44ab-83d2-66197583000";

impl World {
    fn image(&self, shared: &[&str]) -> String {
        self.aws.image(json!({"name": "golden-triggers", "launchPermissions": shared}))
    }

    /// Sends a file of `events/` about the image; gives status and body.
    #[track_caller]
    fn http(&self, name: &str, image: &str) -> (u64, Value) {
        let (status, headers, body) = self.function.http(&event(name, image));
        let expect = if status == 200 { "application/json" } else { "application/problem+json" };
        assert_eq!(headers["content-type"], expect, "{name}");
        (status, body)
    }

    /// Sends a batch; gives the ids that must come again.
    #[track_caller]
    fn batch(&self, batch: &Value) -> Vec<String> {
        self.aws.forget_calls();
        again(&self.function.invoke(batch).expect("a batch is never an invocation error"))
    }

    /// The log lines of answers, newest last: result and codes.
    fn answers(&self) -> Vec<(String, String)> {
        let answer = |record: &Value| {
            let rows = ["refusals", "errors"].map(|list| record[list].as_array().unwrap().clone()).concat();
            let codes: Vec<_> = rows.iter().map(|row| row["code"].as_str().unwrap()).collect();
            (record["result"].as_str().unwrap().to_owned(), codes.join(", "))
        };
        self.function.records().iter().map(answer).collect()
    }
}

#[track_caller]
fn again(answer: &Value) -> Vec<String> {
    assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    let failures = answer["batchItemFailures"].as_array().unwrap().iter();
    failures.map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_http_door_carries_out_the_same_requests() {
    let world = World::start(ALLOWLIST, &[]);
    for (share, revoke) in [
        ("rest-share", "rest-revoke"),
        ("http-api-share", "http-api-revoke"),
        ("http-api-greedy-share", "http-api-default-route"),
        ("http-api-jwt", "http-api-revoke"),
        ("rest-cognito", "rest-revoke"),
        ("function-url-share", "http-api-revoke"),
    ] {
        let image = world.image(&[]);
        let (status, outcome) = world.http(share, &image);
        assert_eq!((status, &outcome["result"]), (200, &json!("completed")), "{share}: {outcome:#}");
        assert_eq!(outcome["requestId"], event(share, &image)["requestContext"]["requestId"], "{share}");
        assert_eq!(world.launch(&image), ["111122223333"], "{share}");
        let (status, outcome) = world.http(revoke, &image);
        assert_eq!((status, &outcome["images"][0]["targets"][0]["state"]), (200, &json!("revoked")), "{revoke}");
        assert_eq!(world.launch(&image), [""; 0], "{revoke}");
    }
    let image = world.image(&["111122223333"]);
    for list in ["http-api-list", "http-api-any-method", "http-api-default-stage", "function-url-list"] {
        let (status, outcome) = world.http(list, &image);
        assert_eq!((status, &outcome["action"]), (200, &json!("list")), "{list}");
    }
    for dry_run in ["http-api-share-dry-run", "function-url-revoke-dry-run"] {
        assert_eq!(world.http(dry_run, &image).1["dryRun"], true, "{dry_run}");
    }
    assert_eq!(world.launch(&image), ["111122223333"]);
}

#[test]
fn no_path_leads_out_of_its_route_and_no_body_is_too_long() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.image(&[]);
    world.aws.forget_calls();
    let long = json!({"accountIds": ["111122223333"], "reason": "x".repeat(5 << 20)}).to_string();
    let deep = format!("{{\"accountIds\": {}", "[".repeat(1 << 20));
    let mut cases = Vec::new();
    for id in [
        format!("{image}%2Fshares"),
        format!("{image}%2f..%2f{image}"),
        format!("{image}%00"),
        format!("%61mi{image}"),
        "..".to_owned(),
    ] {
        let mut rest = event("rest-share", &image);
        rest["pathParameters"]["imageId"] = json!(id);
        let mut greedy = event("http-api-greedy-share", &image);
        let path = greedy["requestContext"]["http"]["path"].as_str().unwrap().replace(&image, &id);
        greedy["requestContext"]["http"]["path"] = json!(path);
        cases.extend([rest, greedy]);
    }
    for (name, body) in
        [("rest-share", &long), ("http-api-share", &long), ("rest-share", &deep), ("http-api-share", &deep)]
    {
        let mut event = event(name, &image);
        event["body"] = json!(body);
        cases.push(event);
    }
    for event in cases {
        let (status, _, problem) = world.function.http(&event);
        let shown = event.to_string().chars().take(300).collect::<String>();
        assert!((400..500).contains(&status), "{shown}: {status} {problem:#}");
        assert_eq!(problem["result"], "refused", "{shown}: {problem:#}");
        assert!(problem.to_string().len() < 10_000, "{shown}: what was sent is not sent back");
    }
    assert_eq!(world.aws.calls(), [""; 0]);
}

#[test]
fn nobody_gets_401_over_every_http_door_and_costs_no_call() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.image(&[]);
    world.aws.forget_calls();
    for name in [
        "rest-guest",
        "rest-root",
        "rest-no-identity",
        "rest-identity-smuggled-in",
        "http-api-guest",
        "http-api-root",
        "http-api-federated-user",
        "rest-federated-user",
        "http-api-jwt-subject-with-a-space",
        "http-api-no-identity",
        "http-api-lambda-authorizer",
        "http-api-jwt-issuer-with-hash",
        "http-api-jwt-no-subject",
        "http-api-identity-smuggled-in",
        "function-url-without-authorization",
    ] {
        let (status, problem) = world.http(name, &image);
        assert_eq!((status, codes(&problem)), (401, vec!["Unauthenticated"]), "{name}");
    }
    for (name, expect) in [
        ("http-api-default-route-unknown", 404),
        ("http-api-trailing-slash", 404),
        ("http-api-double-slash", 404),
        ("function-url-unknown-route", 404),
        ("http-api-wrong-method", 405),
        ("http-api-repeated-dry-run", 400),
        ("http-api-unknown-query-parameter", 400),
    ] {
        assert_eq!(world.http(name, &image).0, expect, "{name}");
    }
    assert_eq!(world.aws.calls(), [""; 0]);
}

/// The page answers anybody, costs no call and is no request, so the log has nothing of it. Who has no page gets 404.
#[test]
fn the_page_answers_anybody_and_only_where_it_is_set_up() {
    let settings =
        [("AMI_SHARE_PAGE_ISSUER", "https://login.example.com/a"), ("AMI_SHARE_PAGE_CLIENT_ID", "the-client")];
    let world = World::start(ALLOWLIST, &settings);
    world.aws.forget_calls();
    for name in ["http-api-page", "http-api-page-default-route", "http-api-v1-page"] {
        let answer = world.function.invoke(&event(name, "")).unwrap();
        assert_eq!(answer["headers"]["content-encoding"], "gzip", "{name}");
    }
    let answer = world.function.invoke(&event("http-api-page-plain", "")).unwrap();
    assert_eq!(answer["statusCode"], 200);
    let body = answer["body"].as_str().unwrap();
    assert!(body.starts_with("<!doctype html>") && body.contains(r#"content="the-client""#), "{body}");
    let policy = answer["headers"]["content-security-policy"].as_str().unwrap();
    assert!(policy.ends_with("; connect-src 'self' https://login.example.com"), "{policy}");
    assert_eq!(world.aws.calls(), [""; 0]);
    assert_eq!(world.function.records().len(), 0);

    assert_eq!(world.function.http(&event("function-url-unknown-route", "")).0, 404);
    let half = World::start(ALLOWLIST, &settings[..1]);
    for name in ["http-api-page", "http-api-page-default-route", "http-api-v1-page", "http-api-page-plain"] {
        let (status, _, problem) = half.function.http(&event(name, ""));
        assert_eq!((status, codes(&problem)), (404, vec!["RouteNotFound"]), "{name}");
    }
    assert_eq!(half.aws.calls(), [""; 0]);
}

#[test]
fn a_body_is_the_same_in_base64() {
    use base64::Engine as _;
    let world = World::start(ALLOWLIST, &[]);
    let image = world.image(&[]);
    let mut share = event("http-api-share", &image);
    let body = base64::engine::general_purpose::STANDARD.encode(share["body"].as_str().unwrap());
    (share["body"], share["isBase64Encoded"]) = (json!(body), json!(true));
    let (status, _, outcome) = world.function.http(&share);
    assert_eq!((status, &outcome["images"][0]["targets"][0]["state"]), (200, &json!("shared")), "{outcome:#}");
}

#[test]
fn the_terms_of_a_check_are_those_of_its_url() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.image(&[]);
    for name in ["rest-check-terms", "http-api-check-terms"] {
        let (status, outcome) = world.http(name, &image);
        assert_eq!(status, 200, "{outcome:#}");
        // The rule lets nobody copy, and this deployment ends no shares.
        assert_eq!(codes(&outcome), ["AccessNotAllowed", "ExpiryNotPossible"], "{outcome:#}");
    }
}

#[test]
fn an_id_in_the_path_is_the_organization_or_unit_that_is_shared_or_allowed() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.image(&["111122223333", ORGANIZATION, UNIT]);
    let (status, outcome) = world.http("http-api-check-unit", &image);
    assert_eq!((status, codes(&outcome)), (200, vec!["TargetNotAllowed"]), "{outcome:#}");
    assert_eq!(outcome["images"][0]["targets"], json!([]), "whether it is shared is not this requester's to know");
    let (status, outcome) = world.http("rest-organization-in-path", &image);
    assert_eq!((status, &outcome["images"][0]["targets"][0]["state"]), (200, &json!("shared")), "{outcome:#}");
    assert_eq!(outcome["images"][0]["targets"][0]["target"], ORGANIZATION);

    // No rule of anybody names the unit, so its access can be taken away.
    let (status, outcome) = world.http("rest-revoke-unit", &image);
    assert_eq!((status, &outcome["result"]), (200, &json!("completed")), "{outcome:#}");
    assert_eq!(world.launch(&image), ["111122223333", ORGANIZATION]);
    world.aws.forget_calls();
    for name in ["rest-revoke-unit", "http-api-check-unit"] {
        let (status, problem) = world.http(name, &image);
        assert_eq!((status, codes(&problem)), (404, vec!["TargetNotFound"]), "{problem:#}");
        assert_eq!((&problem["result"], &problem["images"]), (&json!("refused"), &json!([])));
    }
    assert_eq!(world.aws.writes(), [""; 0]);

    // The requester's own rule names the organization: a repeated revoke of it is the same revoke.
    for state in ["revoked", "not-shared"] {
        let (status, outcome) = world.http("http-api-revoke-organization", &image);
        assert_eq!((status, &outcome["images"][0]["targets"][0]["state"]), (200, &json!(state)), "{outcome:#}");
    }
    assert_eq!(world.launch(&image), ["111122223333"]);

    // What only another's rule names is as unknown as anything else.
    let mut other = event("http-api-check-unit", &image);
    other["pathParameters"]["target"] = json!("ou-ab12-22222222");
    assert_eq!(world.function.http(&other).0, 404);
    // Of an image that is not theirs to ask about, a requester learns that alone.
    let silver = world.aws.image(json!({"name": "silver-1", "launchPermissions": [UNIT]}));
    assert_eq!(codes(&world.http("http-api-check-unit", &silver).1), ["ImageNotAllowed"]);
    assert_eq!(codes(&world.http("http-api-check-unit", "ami-00000000").1), ["ImageNotFound"]);
}

#[test]
fn every_message_of_a_batch_is_carried_out_and_refusals_are_answers() {
    let world = World::start(ALLOWLIST, &[]);
    for name in ["sqs-share", "sqs-envelope", "sqs-forged-envelope"] {
        let image = world.image(&[]);
        assert_eq!(world.batch(&event(name, &image)), [""; 0], "{name}");
        assert_eq!(world.launch(&image), ["111122223333"], "{name}");
    }
    let image = world.image(&[]);
    assert_eq!(world.batch(&event("sqs-broken-records", &image)), [""; 0]);
    assert_eq!(world.aws.writes(), ["ec2:ModifyImageAttribute"], "only the message that is in order is carried out");
    let answers: Vec<_> = world.answers().into_iter().rev().take(8).rev().collect();
    let expect = [
        ("completed", ""),
        ("refused", "MalformedRequest"),
        ("refused", "MalformedRequest"),
        ("refused", "Unauthenticated"),
        ("refused", "MalformedRequest"),
        ("refused", "MalformedRequest"),
        ("refused", "MalformedRequest"),
        ("completed", ""),
    ];
    assert_eq!(answers, expect.map(|(result, codes)| (result.to_owned(), codes.to_owned())));
    // In order: the second message takes back what the first gave.
    let image = world.image(&[]);
    assert_eq!(world.batch(&event("sqs-fifo", &image)), [""; 0]);
    assert_eq!(world.aws.writes(), ["ec2:ModifyImageAttribute", "ec2:ModifyImageAttribute"]);
    assert_eq!(world.launch(&image), [""; 0]);
    // Another queue is another requester, whatever stands in the message.
    let mut other = event("sqs-share", &image);
    other["Records"][0]["eventSourceARN"] = json!("arn:aws:sqs:eu-west-1:999988887777:others");
    assert_eq!(world.batch(&other), [""; 0]);
    assert_eq!(world.aws.calls(), [""; 0]);
    assert_eq!(world.answers().last().unwrap().1, "RequesterNotAllowed");
}

#[test]
fn only_messages_that_another_try_can_mend_come_again() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.image(&[]);
    let batch = event("sqs-batch", &image);
    world.aws.fault("ec2:ModifyImageAttribute", "InternalError", 500, 100);
    assert_eq!(world.batch(&batch), [format!("{MESSAGE}1"), format!("{MESSAGE}2")], "the list did not need the write");
    world.aws.fault("ec2:ModifyImageAttribute", "UnauthorizedOperation", 403, 100);
    assert_eq!(world.batch(&batch), [""; 0]);
    let log = world.function.log();
    assert_eq!(
        log.matches("sending it again would not help").count(),
        2,
        "what is not carried out is not lost silently"
    );
    world.aws.no_faults();
    assert_eq!(world.batch(&batch), [""; 0]);
}

#[test]
fn a_fifo_queue_stops_at_the_first_message_that_must_come_again() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.image(&[]);
    let mut batch = event("sqs-fifo", &image);
    let mut broken = batch["Records"][0].clone();
    (broken["messageId"], broken["body"]) = (json!("broken"), json!("{"));
    batch["Records"].as_array_mut().unwrap().insert(0, broken);
    world.aws.fault("ec2:ModifyImageAttribute", "InternalError", 500, 100);
    assert_eq!(world.batch(&batch), [format!("{MESSAGE}1"), format!("{MESSAGE}2")]);
    assert!(world.aws.calls().contains(&"ec2:ModifyImageAttribute".to_owned()));
    assert_eq!(world.answers().len(), 2, "the message behind the failed one was not touched");
    world.aws.no_faults();
    // The same batch again, without what was answered: it converges.
    batch["Records"].as_array_mut().unwrap().remove(0);
    assert_eq!(world.batch(&batch), [""; 0]);
    assert_eq!(world.launch(&image), [""; 0]);
}

#[test]
fn messages_for_which_no_time_is_left_stay_in_the_queue_untouched() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.image(&[]);
    world.aws.forget_calls();
    let batch = event("sqs-batch", &image).to_string();
    let answer = world.function.invoke_bytes(&batch, Duration::from_millis(2_500)).unwrap();
    assert_eq!(again(&answer), [1, 2, 3].map(|number| format!("{MESSAGE}{number}")));
    assert_eq!(world.aws.calls(), [""; 0]);
}

#[test]
fn one_throttled_message_leaves_the_others_their_time() {
    let aws = LocalAws::turn();
    let proxy = Proxy::start(aws.address);
    let function = Function::start(&proxy.endpoint, ALLOWLIST, &[]);
    let image = || aws.image(json!({"name": "golden-triggers"}));
    let (throttled, free) = (image(), image());
    let mut batch = event("sqs-batch", &free);
    let record = |image: &str, number: u8| {
        let mut record = event("sqs-batch", image)["Records"][0].clone();
        record["messageId"] = json!(format!("{MESSAGE}{number}"));
        record
    };
    batch["Records"] = json!([record(&throttled, 1), record(&free, 2), record(&free, 3)]);
    let of_throttled = throttled.clone();
    proxy.rule(move |call, aws| {
        let is_throttled = call.is_write() && call.body.contains(&of_throttled);
        if is_throttled { fault_kinds::throttle(call, aws) } else { Reply::Answer(aws()) }
    });
    let answer = function.invoke_bytes(&batch.to_string(), Duration::from_secs(30)).unwrap();
    assert_eq!(again(&answer), [format!("{MESSAGE}1")]);
    let state = aws.state();
    let shared = |image: &str| state["images"][image]["launchPermissions"].clone();
    assert_eq!((shared(&throttled), shared(&free)), (json!([]), json!(["111122223333"])));
}

#[test]
fn without_an_allowlist_every_message_comes_again() {
    let aws = LocalAws::turn();
    let function = Function::start(aws.endpoint, "version: 2", &[]);
    let batch = event("sqs-batch", "ami-0123456789abcdef0");
    assert_eq!(again(&function.invoke(&batch).unwrap()), [1, 2, 3].map(|number| format!("{MESSAGE}{number}")));
    assert_eq!(aws.calls(), [""; 0]);
}

#[test]
fn a_stale_share_is_refused_before_aws_is_asked_anything() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.image(&[]);
    world.aws.forget_calls();
    let mut future = event("eventbridge-share", &image);
    future["time"] = json!("2999-01-01T00:00:00Z");
    let mut old = event("eventbridge-share", &image);
    old["time"] = json!("2020-01-01T00:00:00Z");
    for stale in
        [&old, &future, &event("eventbridge-share-no-time", &image), &event("eventbridge-share-replayed", &image)]
    {
        let outcome = world.function.invoke(stale).unwrap();
        assert_eq!((&outcome["result"], codes(&outcome)), (&json!("refused"), vec!["StaleRequest"]), "{outcome:#}");
    }
    // A stranger learns that no rule names them, and nothing of ages.
    old["source"] = json!("com.example.stranger");
    assert_eq!(codes(&world.function.invoke(&old).unwrap()), ["RequesterNotAllowed"]);
    assert_eq!(world.aws.calls(), [""; 0]);
}

#[test]
fn stale_messages_are_refused_and_what_takes_access_away_has_no_age() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.image(&["111122223333"]);
    assert_eq!(world.batch(&event("sqs-stale", &image)), [""; 0]);
    let codes: Vec<_> = world.answers().into_iter().map(|(_, codes)| codes).collect();
    assert_eq!(codes, ["StaleRequest", "", "StaleRequest", "StaleRequest"]);
    assert_eq!(world.aws.writes(), ["ec2:ModifyImageAttribute"], "the revoke");
    assert_eq!(world.launch(&image), [""; 0]);

    let image = world.image(&["111122223333"]);
    let outcome = world.function.invoke(&event("eventbridge-revoke-replayed", &image)).unwrap();
    assert_eq!(outcome["images"][0]["targets"][0]["state"], "revoked", "{outcome:#}");
}

#[test]
fn the_age_limit_is_a_setting() {
    let aws = LocalAws::turn();
    let function = Function::start(aws.endpoint, ALLOWLIST, &[("AMI_SHARE_MAX_EVENT_AGE", "86400")]);
    let image = aws.image(json!({"name": "golden-age"}));
    let mut batch = event("sqs-share", &image);
    let sent = batch["Records"][0]["attributes"]["SentTimestamp"].as_str().unwrap().parse::<u64>().unwrap();
    batch["Records"][0]["attributes"]["SentTimestamp"] = json!((sent - 80_000_000).to_string());
    function.invoke(&batch).unwrap();
    assert_eq!(aws.writes(), ["ec2:ModifyImageAttribute"]);
}
