//! `list` by account: what is shared with an account by its own ID, as far as the requester's rules go, page by page.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{
    event,
    scenes::{EXPIRES, rfc3339},
    world::{World, ask, codes},
};

const ACCOUNT: &str = "111122223333";
const ORGANIZATION: &str = "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5";
/// The account is no target of the viewer's rule, and need not be.
const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: viewer
    requesters: ["lambda:invoke", "arn:aws:iam::999988887777:role/portal"]
    actions: [list, share]
    images: {names: ["golden-*"]}
    targets: ["444455556666"]
  - name: others
    requesters: ["events:999988887777:com.example.pipeline"]
    actions: [list, share]
    images: all
    targets: ["111122223333"]
  - name: sharer
    requesters: ["sqs:arn:aws:sqs:eu-west-1:999988887777:requests"]
    actions: [share]
    images: all
    targets: ["111122223333"]
"#;

fn list(more: Value) -> Value {
    let mut request = json!({"action": "list", "accountIds": [ACCOUNT]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn id(number: usize) -> String {
    format!("ami-{number:017x}")
}

fn image(number: usize, name: &str, targets: &[&str]) -> Value {
    json!({"id": id(number), "name": format!("{name}-{number}"), "launchPermissions": targets,
        "mappings": [{"device": "/dev/xvda", "snapshot": {"createVolumePermissions": targets.iter().filter(|target| target.len() == 12).collect::<Vec<_>>()}}]})
}

fn listed(outcome: &Value) -> Vec<&str> {
    outcome["images"].as_array().unwrap().iter().map(|row| row["imageId"].as_str().unwrap()).collect()
}

#[test]
fn it_lists_the_covered_images_that_the_account_has_by_its_own_id() {
    let world = World::with_records(ALLOWLIST, &[]);
    let foreign = json!({"id": id(9), "name": "golden-9", "account": "444455556666", "launchPermissions": [ACCOUNT, "999988887777"]});
    world.aws.seed(&json!({"images": [
        image(1, "golden", &[ACCOUNT, "222233334444"]),
        image(2, "golden", &["222233334444"]),
        image(3, "golden", &[ORGANIZATION]),
        image(4, "golden", &["all"]),
        image(5, "silver", &[ACCOUNT]),
        image(6, "golden", &[ACCOUNT, ORGANIZATION]),
        foreign,
    ]}));
    let outcome = world.completed(&list(json!({})));
    assert_eq!(listed(&outcome), [id(1), id(6)], "{outcome:#}");
    assert!(outcome.get("nextToken").is_none(), "{outcome:#}");
    let warning = outcome["warnings"][0].as_str().unwrap();
    assert!(warning.contains("organization") && warning.contains("publicly"), "{outcome:#}");
    // A row is that of any list.
    let row = &outcome["images"][0];
    assert_eq!((&row["rule"], &row["permissions"]["launch"][1]["id"]), (&json!("viewer"), &json!("222233334444")));
    assert_eq!(row["permissions"]["copy"][0]["accountIds"], json!([ACCOUNT, "222233334444"]));
    assert_eq!(row["targets"].as_array().unwrap().len(), 2, "{row:#}");
    // One call finds them; of what no rule covers nothing more is read and nothing is told.
    let calls = world.aws.calls();
    let count = |name: &str| calls.iter().filter(|call| *call == name).count();
    assert_eq!((count("ec2:DescribeImages"), count("ec2:DescribeImageAttribute")), (1, 2), "{calls:?}");
    assert_eq!(world.aws.writes(), [""; 0]);
    for hidden in [id(5), id(9)] {
        assert!(!outcome.to_string().contains(&hidden), "{outcome:#}");
    }
}

#[test]
fn a_share_that_expires_is_listed_with_its_time() {
    let world = World::with_records(ALLOWLIST, &[]);
    let image = world.aws.image(json!({"name": "golden-1"}));
    let share = json!({"accountIds": ["444455556666"], "expiresAt": rfc3339(*EXPIRES)});
    world.completed(&ask("share", &image, share));
    let outcome = world.completed(&json!({"action": "list", "accountIds": ["444455556666"]}));
    assert_eq!(outcome["images"][0]["targets"][0]["expiresAt"], json!(rfc3339(*EXPIRES)), "{outcome:#}");
}

#[test]
fn page_after_page_gives_every_image_once_and_a_page_may_be_empty() {
    let world = World::start(ALLOWLIST, &[]);
    // What is covered stands in the second and the fourth page.
    let names = ["silver", "silver", "golden", "silver", "silver", "silver", "golden", "golden", "silver"];
    let images: Vec<_> = names.iter().zip(1..).map(|(name, number)| image(number, name, &[ACCOUNT])).collect();
    world.aws.seed(&json!({"settings": {"pageSize": 2}, "images": images}));
    let (mut pages, mut next) = (Vec::new(), json!({}));
    while pages.len() < 20 {
        let outcome = world.completed(&list(next.clone()));
        assert_eq!(world.aws.calls().iter().filter(|call| *call == "ec2:DescribeImages").count(), 1);
        pages.push(listed(&outcome).into_iter().map(str::to_owned).collect::<Vec<_>>());
        let Some(token) = outcome.get("nextToken") else { break };
        next = json!({"nextToken": token});
    }
    assert_eq!(pages, [vec![], vec![id(3)], vec![], vec![id(7), id(8)], vec![]]);
}

#[test]
fn a_page_is_as_large_as_a_request_about_images_may_be() {
    let world = World::start(ALLOWLIST, &[]);
    let images: Vec<_> = (1..=120).map(|number| image(number, "golden", &[ACCOUNT])).collect();
    world.aws.seed(&json!({"images": images}));
    let (mut seen, mut sizes, mut next) = (BTreeSet::new(), Vec::new(), json!({}));
    loop {
        let outcome = world.completed(&list(next));
        assert!(outcome.to_string().len() < 1_000_000);
        sizes.push(listed(&outcome).len());
        seen.extend(listed(&outcome).into_iter().map(str::to_owned));
        let Some(token) = outcome.get("nextToken") else { break };
        next = json!({"nextToken": token});
    }
    assert_eq!((seen.len(), sizes), (120, vec![50, 50, 20]));
}

#[test]
fn an_account_that_has_nothing_is_an_answer_that_is_logged_and_published() {
    let bus = ("AMI_SHARE_OUTCOME_BUS", "outcomes");
    let world = World::start(ALLOWLIST, &[bus]);
    let outcome = world.completed(&list(json!({})));
    assert_eq!(outcome["images"], json!([]));
    assert_eq!(world.aws.events().len(), 1);
    let records = world.function.records();
    assert_eq!((records.len(), &records[0]["asked"]["targets"]), (1, &json!([ACCOUNT])), "{records:#?}");
    assert!(world.function.log().contains("\"Requests\":1"));
}

#[test]
fn a_token_that_ec2_does_not_know_is_a_fault_of_the_request() {
    let world = World::start(ALLOWLIST, &[]);
    world.aws.seed(&json!({"images": [image(1, "golden", &[ACCOUNT])]}));
    let outcome = world.refused(&list(json!({"nextToken": "nonsense!"})));
    assert_eq!(codes(&outcome), ["MalformedRequest"], "{outcome:#}");
    assert_eq!(outcome["refusals"][0]["pointer"], "/nextToken");
    // What has nothing to do with the token is not its fault.
    world.aws.fault("ec2:DescribeImages", "UnauthorizedOperation", 403, 5);
    let error = world.function.invoke(&list(json!({"nextToken": "MQ=="}))).unwrap_err();
    assert_eq!(error["errorType"], "Denied");
    world.aws.fault("ec2:DescribeImages", "InvalidParameterValue", 400, 5);
    let error = world.function.invoke(&list(json!({}))).unwrap_err();
    assert_eq!(error["errorType"], "Unexpected");
}

#[test]
fn who_may_not_list_learns_nothing_and_costs_no_call() {
    let world = World::start(ALLOWLIST, &[]);
    world.aws.seed(&json!({"images": [image(1, "golden", &[ACCOUNT])]}));
    let mut batch = event("sqs-batch", &id(1));
    let mut record = batch["Records"][0].clone();
    record["body"] = json!(list(json!({})).to_string());
    record["eventSourceARN"] = json!("arn:aws:sqs:eu-west-1:999988887777:requests");
    batch["Records"] = json!([record]);
    world.aws.forget_calls();
    world.function.invoke(&batch).unwrap();
    let mut stranger = event("rest-list-by-account", &id(1));
    stranger["requestContext"]["identity"]["userArn"] = json!("arn:aws:sts::999988887777:assumed-role/stranger/x");
    assert_eq!(world.function.http(&stranger).0, 403);
    assert_eq!(world.aws.calls(), [""; 0]);
    let codes: Vec<_> = world.function.records().iter().map(|record| record["refusals"][0]["code"].clone()).collect();
    assert_eq!(codes, ["ActionNotAllowed", "RequesterNotAllowed"]);
}

#[test]
fn by_http_it_is_a_route_of_the_target() {
    let world = World::start(ALLOWLIST, &[]);
    world.aws.seed(&json!({"settings": {"pageSize": 1}, "images": [image(1, "golden", &[ACCOUNT]), image(2, "golden", &[ACCOUNT])]}));
    let (status, _, first) = world.function.http(&event("rest-list-by-account", &id(1)));
    assert_eq!((status, listed(&first)), (200, vec![&*id(1)]), "{first:#}");
    let token = first["nextToken"].as_str().unwrap();
    let mut next = event("rest-list-by-account-next-page", &id(1));
    next["multiValueQueryStringParameters"]["nextToken"] = json!([token]);
    let (status, _, second) = world.function.http(&next);
    assert_eq!((status, listed(&second)), (200, vec![&*id(2)]), "{second:#}");
    let mut next = event("http-api-list-by-account", &id(1));
    next["rawQueryString"] = json!(format!("nextToken={}", token.replace('=', "%3D")));
    let (status, _, second) = world.function.http(&next);
    assert_eq!((status, listed(&second)), (200, vec![&*id(2)]), "{second:#}");
    let (status, _, url) = world.function.http(&event("function-url-list-by-account", &id(1)));
    assert_eq!((status, listed(&url)), (200, vec![&*id(1)]), "{url:#}");
    let (status, _, problem) = world.function.http(&event("rest-list-by-organization", &id(1)));
    assert_eq!((status, codes(&problem)), (400, vec!["MalformedRequest"]), "{problem:#}");
}
