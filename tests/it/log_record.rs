//! The log record of a request, as the function writes it: who asked for what, also where it was refused.

use serde_json::{Value, json};

use crate::support::{
    event,
    world::{World, ask},
};

const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: sharer
    requesters: ["arn:aws:iam::999988887777:role/portal", "lambda:invoke"]
    actions: [share, check, list, revoke]
    images: {names: ["golden-*"]}
    targets: ["111122223333", "222233334444"]
"#;
const BUS: [(&str, &str); 1] = [("AMI_SHARE_OUTCOME_BUS", "outcomes")];

/// The last record, whole.
#[track_caller]
fn last(world: &World) -> Value {
    let record = world.function.records().pop().expect("a record");
    assert_eq!((&record["part"], &record["parts"]), (&json!(1), &json!(1)), "{record:#}");
    record
}

#[test]
fn it_says_who_shared_what_with_whom_and_why() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(json!({"name": "golden-1"}));
    let mut share = event("rest-share", &image);
    share["body"] = json!(json!({"accountIds": ["111122223333"], "reason": "release 1.4"}).to_string());
    share["requestContext"]["identity"]["userArn"] =
        json!("arn:aws:sts::999988887777:assumed-role/portal/ada@example.com");
    let (status, _, outcome) = world.function.http(&share);
    assert_eq!((status, &outcome["requesterSession"]), (200, &json!("ada@example.com")), "{outcome:#}");
    let record = last(&world);
    for (field, value) in [
        ("requestId", &outcome["requestId"]),
        ("trigger", &json!("http")),
        ("action", &json!("share")),
        ("requester", &json!("arn:aws:iam::999988887777:role/portal")),
        ("requesterSession", &json!("ada@example.com")),
        ("reason", &json!("release 1.4")),
        ("result", &json!("completed")),
        ("rules", &json!(["sharer"])),
        ("asked", &json!({"imageIds": [image], "targets": ["111122223333"], "access": "launch"})),
        (
            "images",
            &json!([{"imageId": image, "name": "golden-1", "rule": "sharer", "changed": true,
                "targets": [{"target": "111122223333", "state": "shared", "rule": "sharer"}]}]),
        ),
    ] {
        assert_eq!(record[field], *value, "{field}: {record:#}");
    }
}

#[test]
fn what_was_refused_is_there_with_what_was_asked_also_of_a_stranger_and_of_what_is_malformed() {
    let world = World::start(ALLOWLIST, &[]);
    let image = world.aws.image(json!({"name": "golden-1"}));
    let secret = world.aws.image(json!({"name": "silver-1"}));
    world.refused(&ask("share", &image, json!({"accountIds": ["111122223333", "777788889999"], "reason": "why not"})));
    let record = last(&world);
    assert_eq!(record["asked"]["targets"], json!(["111122223333", "777788889999"]));
    let refusal = &record["refusals"][0];
    let row = (&refusal["code"], &refusal["imageId"], &refusal["target"], &refusal["pointer"]);
    assert_eq!(row, (&json!("TargetNotAllowed"), &json!(image), &json!("777788889999"), &json!("/accountIds/1")));

    // A requester that no rule names: in order, not in order, and with a target in the URL.
    let as_stranger = |mut event: Value| {
        event["requestContext"]["identity"]["userArn"] = json!("arn:aws:sts::444455556666:assumed-role/Ops/mallory");
        event
    };
    let mut share = as_stranger(event("rest-share", &secret));
    share["body"] = json!(
        json!({"accountIds": ["777788889999"], "expiresAt": "2030-01-01T00:00:00Z", "reason": "mine"}).to_string()
    );
    let mut malformed = as_stranger(event("rest-share", &secret));
    malformed["body"] =
        json!(json!({"accountIds": ["777788889999", "x"], "reason": "mine", "nonsense": 1}).to_string());
    let mut in_url = as_stranger(event("rest-revoke-unit", &secret));
    in_url["pathParameters"]["target"] = json!("o-a1b2c3d4e5");
    for (event, action, target, reason) in [
        (share, "share", "777788889999", json!("mine")),
        (malformed, "share", "777788889999", json!("mine")),
        (in_url, "revoke", "o-a1b2c3d4e5", Value::Null),
    ] {
        let (status, _, problem) = world.function.http(&event);
        assert_eq!(status, 403);
        assert!(!problem.to_string().contains(target), "a stranger learns nothing: {problem:#}");
        let record = last(&world);
        assert_eq!((&record["action"], &record["reason"]), (&json!(action), &reason), "{record:#}");
        assert_eq!(record["requester"], "arn:aws:iam::444455556666:role/Ops");
        assert_eq!(record["requesterSession"], "mallory");
        assert_eq!((&record["asked"]["imageIds"], &record["asked"]["targets"]), (&json!([secret]), &json!([target])));
        assert_eq!(record["refusals"][0]["code"], "RequesterNotAllowed");
    }

    // Of a malformed request what could be read, faults with their places.
    world.refused(&json!({"action": "share", "imageIds": [image], "accountIds": ["777788889999"], "reason": "typo", "acces": "copy"}));
    let record = last(&world);
    assert_eq!((&record["reason"], &record["asked"]["targets"]), (&json!("typo"), &json!(["777788889999"])));
    assert_eq!(
        (&record["refusals"][0]["code"], &record["refusals"][0]["pointer"]),
        (&json!("MalformedRequest"), &json!("/acces"))
    );
}

#[test]
fn a_large_request_is_several_parts_and_every_pair_is_in_one_of_them() {
    let world = World::start(ALLOWLIST, &[]);
    let images: Vec<_> =
        (0..50).map(|n| json!({"id": format!("ami-{n:017x}"), "name": format!("golden-{n}")})).collect();
    world.aws.seed(&json!({"images": images}));
    let ids: Vec<_> = images.iter().map(|image| image["id"].clone()).collect();
    let accounts: Vec<_> = (0..20).map(|n| format!("{n:012}")).collect();
    world.refused(&json!({"action": "share", "imageIds": ids, "accountIds": accounts}));
    let parts = world.function.records();
    assert!(parts.len() > 2, "{}", parts.len());
    let refusals = parts.iter().flat_map(|part| part["refusals"].as_array().unwrap());
    let pairs: std::collections::BTreeSet<_> =
        refusals.map(|row| format!("{} {}", row["imageId"], row["target"])).collect();
    assert_eq!(pairs.len(), 1_000);
    for (index, part) in parts.iter().enumerate() {
        assert_eq!((&part["part"], &part["parts"]), (&json!(index + 1), &json!(parts.len())));
        assert_eq!(part["requester"], "lambda:invoke");
    }
}

#[test]
fn an_event_about_one_image_of_several_tells_of_the_others_by_number_and_code() {
    let world = World::start(ALLOWLIST, &BUS);
    let image = |name: &str| world.aws.image(json!({"name": name}));
    let (one, two, secret) = (image("golden-1"), image("golden-2"), image("silver-1"));
    let detail = |events: &[Value], image: &str| -> Value {
        let details =
            events.iter().map(|event| serde_json::from_str::<Value>(event["Detail"].as_str().unwrap()).unwrap());
        let about = |detail: &Value| {
            let rows = [&detail["images"], &detail["refusals"]].map(|list| list.as_array().unwrap().clone()).concat();
            rows.iter().any(|row| row["imageId"] == image)
        };
        details.into_iter().find(about).unwrap_or_else(|| panic!("no event about {image}: {events:#?}"))
    };
    let share = json!({"action": "share", "imageIds": [one, two, secret], "accountIds": ["111122223333"]});
    assert_eq!(world.outcome(&share)["result"], "refused");
    let events = world.aws.events();
    assert_eq!(events.len(), 3);
    for (fine, others) in [(&one, [&two, &secret]), (&two, [&one, &secret])] {
        let told = detail(&events, fine);
        ami_share_testing::schemas::check_outcome(&told);
        assert_eq!((&told["imageCount"], &told["stoppedBy"]), (&json!(3), &json!([{"code": "ImageNotAllowed"}])));
        assert_eq!(told["refusals"], json!([]));
        assert!(others.iter().all(|other| !told.to_string().contains(*other)), "{told:#}");
    }
    let told = detail(&events, &secret);
    assert_eq!((&told["imageCount"], told.get("stoppedBy")), (&json!(3), None), "{told:#}");
    assert!(!told.to_string().contains(&*one), "{told:#}");

    world.completed(&json!({"action": "share", "imageIds": [one], "accountIds": ["111122223333"]}));
    let events = world.aws.events();
    assert_eq!((events.len(), detail(&events, &one).get("imageCount")), (1, None));
}

#[test]
fn an_expiry_is_recorded_with_its_image_and_target() {
    use crate::support::scenes::{EXPIRES, rfc3339};
    let world = World::with_records(ALLOWLIST, &[]);
    let image = world.aws.image(json!({"name": "golden-1"}));
    let share = ask("share", &image, json!({"accountIds": ["111122223333"], "expiresAt": rfc3339(*EXPIRES)}));
    world.completed(&share);
    assert_eq!(last(&world)["images"][0]["targets"][0]["expiresAt"], json!(rfc3339(*EXPIRES)));
    let names = world.aws.state()["schedules"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let name = names[0].rsplit('/').next().unwrap();
    // It is not due, so nothing is done, and nobody asked.
    world.completed(&json!({"action": "expire", "schedule": name}));
    let record = last(&world);
    assert_eq!((record.get("requester"), &record["images"]), (None, &json!([])), "{record:#}");
}
