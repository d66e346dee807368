//! The page about incidents against the local AWS: its commands, one after the other, with the function itself, and its queries
//! on what the function logged meanwhile.

use std::{path::Path, process::Command};

use ami_share_testing::{insights::ask, schemas::check_log};
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// `python/ami_share_tools/incidents.py` says what stands in for what isn't here, and who shared what with the wrong account.
#[test]
fn the_commands_and_queries_for_incidents_do_what_the_page_says() {
    let python = std::env::var("AMI_SHARE_LOCAL_PYTHON").expect("`make test` sets AMI_SHARE_LOCAL_PYTHON");
    let binary = std::env::var("AMI_SHARE_BOOTSTRAP").unwrap_or_else(|_| env!("CARGO_BIN_EXE_bootstrap").to_owned());
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("incidents.log");
    let answer = Command::new(python)
        .args(["-m", "ami_share_tools.incidents"])
        .args([Path::new(&binary), &log])
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/python"))
        .output()
        .expect("the script starts");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));

    let log = std::fs::read_to_string(log).unwrap();
    let records = check_log(&log);
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/incidents.md")).unwrap();
    let queries: Vec<_> = page.split("```insights\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    let [who, everything] = &queries[..] else { panic!("two queries: {queries:#?}") };

    // Of the six images that the wrong account had, the log knows five, in three requests; one was shared by console.
    let rows = ask(who, &log);
    let mut reasons: Vec<_> = rows.iter().map(|row| row["reason"].as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["for the web team", "spring release", "they copy it"]);
    let images = |request: &str| {
        let of = records.iter().filter(|record| record["requestId"] == request);
        of.flat_map(|record| record["images"].as_array().unwrap().clone()).collect::<Vec<Value>>()
    };
    assert_eq!(rows.iter().flat_map(|row| images(&row["requestId"])).count(), 5);
    assert!(rows.iter().all(|row| row["requester"] == "events:999988887777:com.example.portal"));

    let request = &rows[0]["requestId"];
    let lines = ask(&everything.replace("c6af9ac6-7b61-11e6-9a41-93e8deadbeef", request), &log);
    assert!(lines.iter().any(|line| line["@message"].contains("planned ")), "{lines:#?}");

    // Who took it back is a person, with the incident's number.
    let revokes: Vec<_> = records.iter().filter(|record| record["action"] == "revoke").collect();
    let [revoke] = revokes[..] else { panic!("one revoke: {revokes:#?}") };
    assert_eq!(
        (&revoke["requesterSession"], &revoke["reason"]),
        (&"ada".into(), &"incident 4711, wrong account".into())
    );
    assert_eq!(revoke["images"].as_array().unwrap().len(), 6);
}
