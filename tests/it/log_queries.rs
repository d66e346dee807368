//! The queries of the runbook, each tried on the log of a function that was asked for all sorts of things.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use ami_share_testing::insights::{Row, ask};
use serde_json::{Value, json};

use crate::support::{event, function::Function, world::World};

const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: portal
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [share, revoke, check, list]
    images: {names: ["golden-*"]}
    targets: ["111122223333", "222233334444", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]
  - name: many
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [share]
    images: {names: ["golden-*"]}
    targets: MANY
  - name: pipeline
    requesters: ["events:999988887777:com.example.pipeline"]
    actions: [share]
    images: {names: ["golden-*"]}
    targets: ["111122223333"]
"#;
const ONE: &str = "111122223333";
const TWO: &str = "222233334444";

/// The query that follows a bold sentence in the runbook.
#[track_caller]
fn query(title: &str) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md")).unwrap();
    let (_, rest) = page.split_once(title).unwrap_or_else(|| panic!("the runbook has no {title}"));
    let (_, block) = rest.split_once("```insights\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// Sends a request document over the REST API, as a person in a role's session.
fn send(function: &Function, id: &str, (role, person): (&str, &str), document: &Value) {
    let mut event = event("rest-request-share", "ami-0123456789abcdef0");
    event["requestContext"]["requestId"] = json!(id);
    event["requestContext"]["identity"]["userArn"] =
        json!(format!("arn:aws:sts::999988887777:assumed-role/{role}/{person}"));
    event["body"] = json!(document.to_string());
    function.http(&event);
}

/// The values of a field in all rows.
fn column<'a>(rows: &'a [Row], name: &str) -> Vec<&'a str> {
    rows.iter().map(|row| row.get(name).map_or("-", String::as_str)).collect()
}

fn set<'a>(values: &[&'a str]) -> BTreeSet<&'a str> {
    values.iter().copied().collect()
}

#[test]
fn each_query_of_the_runbook_finds_what_it_says_and_nothing_else() {
    // So many that the record of a share with all of them has several parts.
    let mut accounts: Vec<_> = (0..19).map(|n| format!("{n:012}")).collect();
    let allowlist = ALLOWLIST.replace("MANY", &json!(accounts).to_string());
    accounts.push(ONE.to_owned());
    let world = World::start(&allowlist, &[("AMI_SHARE_OUTCOME_BUS", "outcomes")]);
    let owner = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999988887777:root"}, "Action": "kms:*", "Resource": "*"});
    let key = json!({"policy": {"Version": "2012-10-17", "Statement": [owner]}});
    let closed = json!({"name": "golden-closed", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": key}}]});
    let many: Vec<_> = (0..50).map(|n| json!({"id": format!("ami-{n:017x}"), "name": format!("golden-{n}")})).collect();
    let ids: Vec<_> = many.iter().map(|image| image["id"].clone()).collect();
    world.aws.seed(&json!({"images": many}));
    let [closed, secret] = [closed, json!({"name": "silver-1"})].map(|image| world.aws.image(image));
    let (ada, bob, mallory) = (("portal", "ada@example.com"), ("portal", "bob@example.com"), ("ops", "mallory"));
    let about = |action: &str, images: &[Value], account: &str| json!({"action": action, "imageIds": images, "accountIds": [account]});
    let with = |mut document: Value, more: Value| {
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        document
    };
    let function = &world.function;
    let organization = json!({"action": "share", "imageIds": ids[..1], "organizationArns": ["arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]});
    for (id, who, document) in [
        ("ada-shares", ada, with(about("share", &ids[..2], ONE), json!({"reason": "spring release"}))),
        ("ada-plans", ada, with(about("share", &ids[..1], ONE), json!({"dryRun": true}))),
        ("ada-checks", ada, about("check", &ids[..1], ONE)),
        ("ada-lists", ada, json!({"action": "list", "accountIds": [ONE]})),
        ("bob-shares-many", bob, json!({"action": "share", "imageIds": ids, "accountIds": accounts})),
        (
            "bob-shares-with-another",
            bob,
            with(about("share", &ids[2..3], TWO), json!({"reason": "not \"111122223333\""})),
        ),
        ("bob-shares-with-all", bob, organization),
        ("ada-meets-a-key", ada, about("share", &[json!(closed)], ONE)),
        ("ada-tries-an-image", ada, about("share", &[json!(secret)], ONE)),
        ("ada-tries-partly", ada, about("revoke", &[ids[0].clone(), json!(secret)], TWO)),
        ("ada-checks-what-she-may-not", ada, about("check", &[json!(secret)], ONE)),
        ("ada-mistypes", ada, with(about("share", &ids[..1], ONE), json!({"acces": "copy"}))),
        ("mallory-tries", mallory, with(about("share", &[json!(secret)], "777788889999"), json!({"reason": "mine"}))),
        ("mallory-tries-again", mallory, about("revoke", &ids[..1], ONE)),
        ("bob-revokes", bob, about("revoke", &ids[..2], ONE)),
    ] {
        send(function, id, who, &document);
    }
    let mut pipeline = event("eventbridge-share", ids[3].as_str().unwrap());
    (pipeline["id"], pipeline["source"]) = (json!("pipeline-shares"), json!("com.example.pipeline"));
    pipeline["detail"] = about("share", &ids[3..4], ONE);
    function.invoke(&pipeline).unwrap();
    world.aws.fault("events:PutEvents", "AccessDeniedException", 400, 100);
    send(
        function,
        "ada-is-not-heard",
        ada,
        &about("list", &ids[..1], ONE)
            .as_object()
            .map(|fields| json!({"action": "list", "imageIds": fields["imageIds"]}))
            .unwrap(),
    );
    world.aws.no_faults();
    let log = function.log();
    assert!(function.records().iter().any(|record| record["parts"] != 1), "no record has several parts");

    // Who shared what with an account: its rows name people, reasons and images.
    let who_shared = query("**Who shared what with an account?**");
    let rows = ask(&who_shared, &log);
    assert_eq!(set(&column(&rows, "requestId")), set(&["ada-shares", "bob-shares-many", "pipeline-shares"]));
    let adas = rows.iter().find(|row| row["requestId"] == "ada-shares").unwrap();
    let told = ["requester", "requesterSession", "reason", "images.0.imageId"].map(|name| adas[name].as_str());
    assert_eq!(told, ["arn:aws:iam::999988887777:role/portal", ada.1, "spring release", ids[0].as_str().unwrap()]);
    let times = column(&rows, "@timestamp");
    assert!(times.is_sorted_by(|one, other| one >= other), "the newest first: {times:?}");
    let rows = ask(&who_shared.replace("\"111122223333\"", "o-a1b2c3d4e5"), &log);
    assert_eq!(column(&rows, "requestId"), ["bob-shares-with-all"]);
    assert!(ask(&who_shared.replace(ONE, "999900001111"), &log).is_empty());

    let image = query("**What happened to an image?**").replace("ami-0123456789abcdef0", ids[3].as_str().unwrap());
    assert_eq!(set(&column(&ask(&image, &log), "requestId")), set(&["bob-shares-many", "pipeline-shares"]));

    let rows = ask(&query("**Who tried something that isn't allowed?**"), &log);
    let tried = ["ada-tries-an-image", "ada-tries-partly", "mallory-tries", "mallory-tries-again"];
    assert_eq!(set(&column(&rows, "requestId")), set(&tried));
    let mallorys = rows.iter().find(|row| row["requestId"] == "mallory-tries").unwrap();
    let told = ["requesterSession", "refusals.0.code", "asked.imageIds.0", "asked.targets.0", "reason"];
    assert_eq!(
        told.map(|name| mallorys[name].as_str()),
        ["mallory", "RequesterNotAllowed", &secret, "777788889999", "mine"]
    );

    let rows = ask(&query("Who tried, and how often:"), &log);
    let mallorys = rows.iter().find(|row| row["requesterSession"] == "mallory").unwrap();
    assert_eq!((mallorys["attempts"].as_str(), mallorys["refusals.0.code"].as_str()), ("2", "RequesterNotAllowed"));

    // Plans, calls, the record and the metrics of one request, in order.
    let all = query("**Everything about one request.**").replace("c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "bob-revokes");
    let rows = ask(&all, &log);
    let lines = column(&rows, "@message");
    for part in ["planned ec2:ModifyImageAttribute", "\"type\":\"request\"", "\"_aws\""] {
        assert!(lines.iter().any(|line| line.contains(part)), "{part}: {lines:#?}");
    }
    assert_eq!(lines.len(), log.lines().filter(|line| line.contains("bob-revokes")).count());

    let rows = ask(&query("**Which outcomes could not be published?**"), &log);
    assert_eq!(column(&rows, "request.id"), ["ada-is-not-heard"]);
}

#[test]
fn every_query_of_the_pages_is_tried() {
    let pages = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap();
    let count = |path: &Path| std::fs::read_to_string(path).unwrap().matches("```insights").count();
    let with_queries: BTreeMap<_, _> = pages
        .map(|page| page.unwrap().path())
        .filter(|path| path.is_file() && count(path) > 0)
        .map(|path| (path.file_name().unwrap().display().to_string(), count(&path)))
        .collect();
    // Those of the runbook above, those of the other page with its commands.
    assert_eq!(with_queries, BTreeMap::from([("runbook.md".to_owned(), 6), ("incidents.md".to_owned(), 2)]));
}

#[test]
fn the_trial_of_queries_knows_what_it_does_not_cover() {
    let log = "{\"a\":\"x\",\"b\":[{\"c\":7}]}\nplain x";
    let count = |query: &str| ask(query, log).len();
    for (query, rows) in [
        ("filter a = \"x\"", 1),
        ("filter a = \"y\"", 0),
        ("filter @message like /x/", 2),
        ("filter @message like \"plain\"", 1),
        ("filter b.0.c = 7 and (a = \"y\" or ispresent(a))", 1),
        ("filter a in [\"y\", \"x\"] | limit 5", 1),
        ("filter nothing = \"x\"", 0),
    ] {
        assert_eq!(count(query), rows, "{query}");
    }
    for query in [
        "filter a != \"x\"",
        "filter a like /x.*/",
        "parse @message \"*\" as b",
        "filter a =~ /x/",
        "fields a as b",
        "filter not a = \"x\"",
    ] {
        assert!(std::panic::catch_unwind(|| count(query)).is_err(), "{query} is not covered");
    }
}
