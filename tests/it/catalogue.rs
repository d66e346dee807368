//! `images`: which owned images a requester's rules cover, and what they allow, page by page.

use serde_json::{Value, json};

use crate::support::{
    event,
    world::{World, codes},
};

const ALLOWLIST: &str = r#"
version: 1
accounts:
  "111122223333": {name: prod-web}
rules:
  - name: web
    requesters: ["lambda:invoke", "arn:aws:iam::999988887777:role/portal"]
    actions: [share, revoke]
    images: {names: ["golden-*"], tags: {Tier: [gold]}}
    targets: [prod-web, "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]
    access: copy
    maxDuration: 30d
  - name: looks
    requesters: ["lambda:invoke"]
    actions: [list]
    images: {names: ["golden-*", "base-*"]}
  - name: others
    requesters: ["arn:aws:iam::999988887777:role/others"]
    actions: [share]
    images: all
    targets: ["222233334444"]
"#;

fn id(number: usize) -> String {
    format!("ami-{number:017x}")
}

fn image(number: usize, name: &str) -> Value {
    json!({"id": id(number), "name": format!("{name}-{number}"), "tags": {"Tier": "gold"}})
}

fn images(more: Value) -> Value {
    let mut request = json!({"action": "images"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn named(outcome: &Value) -> Vec<&str> {
    outcome["images"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn it_shows_the_covered_images_with_what_the_rules_allow_after_one_call() {
    let world = World::start(ALLOWLIST, &[]);
    let mut disabled = image(2, "golden");
    disabled["state"] = json!("disabled");
    disabled["tags"] = json!({});
    let foreign =
        json!({"id": id(4), "name": "golden-4", "account": "444455556666", "launchPermissions": ["999988887777"]});
    let mut encrypted = image(1, "golden");
    encrypted["mappings"] = json!([{"device": "/dev/xvda", "snapshot": {"key": {}}}]);
    world.aws.seed(&json!({
        "images": [encrypted, disabled, image(3, "silver"), foreign, image(5, "base")],
    }));
    let outcome = world.completed(&images(json!({})));
    assert_eq!(named(&outcome), ["golden-1", "golden-2", "base-5"], "{outcome:#}");
    assert_eq!(world.aws.calls(), ["ec2:DescribeImages"]);
    assert!(outcome.get("nextToken").is_none() && outcome["warnings"] == json!([]), "{outcome:#}");
    let web = json!({"rule": "web", "actions": ["share", "revoke"], "access": "copy", "maxDuration": "30d", "approval": false, "targets": [
        {"id": "111122223333", "name": "prod-web"},
        {"id": "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5", "name": null},
    ]});
    let looks = json!({"rule": "looks", "actions": ["list"], "access": "launch", "maxDuration": null, "approval": false, "targets": []});
    let [one, two, five] = &outcome["images"].as_array().unwrap()[..] else { panic!("{outcome:#}") };
    assert_eq!((&one["may"], &two["may"], &five["may"]), (&json!([web, looks]), &json!([looks]), &json!([looks])));
    assert_eq!(
        (&one["encrypted"], &one["state"], &one["tags"]),
        (&json!(true), &json!("available"), &json!({"Tier": "gold"}))
    );
    assert_eq!((&two["encrypted"], &two["state"]), (&json!(false), &json!("disabled")));
    assert!(one["created"].is_string() && one["architecture"].is_string(), "{one:#}");
}

#[test]
fn a_name_chooses_with_the_wildcards_of_iam() {
    let world = World::start(ALLOWLIST, &[]);
    world.aws.seed(&json!({"images": [image(1, "golden-web"), image(2, "golden-db"), image(3, "silver-web")]}));
    for (name, expect) in [
        ("golden-web-*", vec!["golden-web-1"]),
        ("*-web-?", vec!["golden-web-1"]),
        ("golden-?b-2", vec!["golden-db-2"]),
        ("Golden-*", vec![]),
        ("golden-web", vec![]),
        ("golden-\\*", vec![]),
    ] {
        assert_eq!(named(&world.completed(&images(json!({"name": name})))), expect, "{name}");
    }
}

#[test]
fn page_after_page_gives_every_image_once_and_a_page_may_be_empty() {
    let bus = ("AMI_SHARE_OUTCOME_BUS", "outcomes");
    let world = World::start(ALLOWLIST, &[bus]);
    let names = ["silver", "silver", "golden", "silver", "base"];
    let seeded: Vec<_> = names.iter().zip(1..).map(|(name, number)| image(number, name)).collect();
    world.aws.seed(&json!({"settings": {"pageSize": 2}, "images": seeded}));
    let (mut pages, mut next) = (Vec::new(), json!({}));
    while pages.len() < 9 {
        let outcome = world.completed(&images(next.clone()));
        // A page is published like any answer, an empty one too.
        assert_eq!(world.aws.events().len(), 1);
        pages.push(named(&outcome).into_iter().map(str::to_owned).collect::<Vec<_>>());
        let Some(token) = outcome.get("nextToken") else { break };
        next = json!({"nextToken": token});
    }
    assert_eq!(pages, [vec![], vec!["golden-3"], vec!["base-5"]]);
    assert_eq!(world.function.records().len(), 3);
    let refused = World::start(ALLOWLIST, &[]).refused(&images(json!({"nextToken": "nonsense!"})));
    let told = (codes(&refused), &refused["refusals"][0]["pointer"]);
    assert_eq!(told, (vec!["MalformedRequest"], &json!("/nextToken")));
}

#[test]
fn by_http_it_is_the_route_of_the_images_and_a_stranger_costs_no_call() {
    let world = World::start(ALLOWLIST, &[]);
    world.aws.seed(
        &json!({"settings": {"pageSize": 1}, "images": [image(1, "golden"), image(2, "golden"), image(3, "silver")]}),
    );
    let (status, _, first) = world.function.http(&event("rest-images", &id(1)));
    assert_eq!((status, named(&first)), (200, vec!["golden-1"]), "{first:#}");
    let mut next = event("http-api-images", &id(1));
    let token = first["nextToken"].as_str().unwrap().replace('=', "%3D");
    next["rawQueryString"] = json!(format!("name=golden%2D%2A&nextToken={token}"));
    let (status, _, second) = world.function.http(&next);
    assert_eq!((status, named(&second)), (200, vec!["golden-2"]), "{second:#}");
    assert_eq!(world.function.http(&event("function-url-images", &id(1))).0, 200);
    world.aws.forget_calls();
    let malformed = json!("name=&nextToken=a%20b");
    for (query, user, status, places) in [
        (malformed.clone(), "portal", 400, vec!["name", "nextToken"]),
        (malformed, "stranger", 403, vec![]),
        (json!("image=x"), "portal", 400, vec!["image"]),
        (json!(""), "stranger", 403, vec![]),
    ] {
        let mut event = event("http-api-images", &id(1));
        event["rawQueryString"] = query.clone();
        event["queryStringParameters"] = Value::Null;
        event["requestContext"]["authorizer"]["iam"]["userArn"] =
            json!(format!("arn:aws:sts::999988887777:assumed-role/{user}/x"));
        let (found, _, problem) = world.function.http(&event);
        let refusals = problem["refusals"].as_array().unwrap().iter();
        let parameters: Vec<_> = refusals.filter_map(|refusal| refusal["parameter"].as_str()).collect();
        assert_eq!((found, parameters), (status, places), "{query} {user}: {problem:#}");
    }
    assert_eq!(world.aws.calls(), [""; 0]);
}
