//! Approval before a copy: what waits for its copy is shared only if it was approved by somebody whom the rules name then.

use serde_json::{Value, json};

use crate::support::{
    desk::{ADA, Desk, ISSUER, OWNER, THERE, WEB, refused},
    world::codes,
};

/// Rules that make copies, and that want these approvals.
fn rules(approvers: &str) -> String {
    let approvers = if approvers.is_empty() { String::new() } else { format!("approvers: [{approvers}]") };
    format!(
        r#"
version: 1
rules:
  - name: asked
    requesters: ["jwt-group:{ISSUER}#web", "lambda:invoke"]
    actions: [share, revoke, check, list]
    images: {{names: ["golden-*"]}}
    targets: ["{WEB}"]
    copies: {{from: [{THERE}], key: "KEY"}}
    {approvers}
  - name: others
    requesters: ["jwt:{ISSUER}#ada", "jwt-group:{ISSUER}#owners"]
    actions: [list]
    images: {{names: ["golden-*"]}}
"#
    )
}

fn owners() -> String {
    rules(&format!(r#""jwt-group:{ISSUER}#owners""#))
}

fn ada() -> String {
    rules(&format!(r#""jwt:{ISSUER}#ada""#))
}

/// The copies of the image: whom they are shared with.
fn copies(desk: &Desk) -> Vec<Value> {
    let state = desk.world.aws.state();
    let source = json!(format!("{THERE}/{}", desk.image));
    let images = state["images"].as_object().unwrap().values().filter(|image| image["source"] == source);
    images.map(|image| image["launchPermissions"].clone()).collect()
}

/// The records, by the beginnings of their names.
fn kinds(desk: &Desk) -> Vec<String> {
    desk.records().iter().map(|name| name.split('-').next().unwrap().to_owned()).collect()
}

fn end_copy(desk: &Desk) {
    assert_eq!(desk.world.aws.end_copies(&desk.image, "available", None).len(), 1);
}

/// A share without an approval, for which a copy is made.
#[track_caller]
fn waits_without_approval(desk: &Desk) {
    let (status, outcome) = desk.ask();
    assert_eq!((status, &outcome["approval"]), (202, &Value::Null), "{outcome:#}");
    assert_eq!(kinds(desk), ["copy"]);
}

#[test]
fn a_share_is_approved_then_copied_then_made() {
    let desk = Desk::copying(&owners());
    let id = desk.waiting();
    // Nothing is copied before somebody approves.
    assert_eq!((kinds(&desk), copies(&desk).len()), (vec!["ask".to_owned()], 0));
    let (status, outcome) = desk.approve(OWNER, &id);
    assert_eq!((status, &outcome["result"]), (202, &json!("accepted")), "{outcome:#}");
    assert_eq!(outcome["approvedBy"], format!("jwt:{ISSUER}#olga"));
    assert_eq!((&outcome["images"][0]["targets"][0]["state"], &outcome["approval"]), (&json!("waiting"), &Value::Null));
    assert_eq!((kinds(&desk), copies(&desk)), (vec!["copy".to_owned()], vec![json!([])]));
    // Who asks again finds what was approved.
    let (status, again) = desk.ask();
    assert_eq!((status, &again["approval"], desk.writes()), (202, &Value::Null, vec![]), "{again:#}");
    end_copy(&desk);
    let shared = desk.tick_once("copy-");
    assert_eq!((&shared["result"], &shared["requestId"]), (&json!("completed"), &json!("POST-bob")), "{shared:#}");
    assert_eq!(shared["requester"], format!("jwt:{ISSUER}#bob"));
    assert_eq!(shared["approvedBy"], format!("jwt:{ISSUER}#olga"));
    assert_eq!(desk.published(), ["Completed share POST-bob"]);
    assert_eq!(copies(&desk), [json!([WEB])]);
    desk.tick_once("copy-");
    assert!(desk.records().is_empty());
    // What is shared is not asked for again.
    assert_eq!(desk.ask().1["result"], "completed");
}

#[test]
fn a_rule_that_gains_approvers_while_a_copy_is_made_is_asked_about() {
    let mut desk = Desk::copying(&rules(""));
    waits_without_approval(&desk);
    desk.restart(&owners());
    end_copy(&desk);
    let refused = desk.tick_once("copy-");
    assert_eq!((&refused["result"], codes(&refused)), (&json!("refused"), vec!["ApprovalNotAllowed"]), "{refused:#}");
    assert_eq!(desk.published(), ["Refused share POST-bob ApprovalNotAllowed"]);
    assert!(desk.records().is_empty());
    assert_eq!(copies(&desk), [json!([])]);
}

#[test]
fn what_waits_without_an_approval_that_a_rule_wants_now_may_be_approved_meanwhile() {
    let mut desk = Desk::copying(&rules(""));
    waits_without_approval(&desk);
    desk.restart(&owners());
    let id = desk.waiting();
    assert_eq!(desk.approve(OWNER, &id).0, 202);
    // The one that nobody approved ends; the approved one is shared.
    assert_eq!(kinds(&desk), ["copy", "copy"]);
    end_copy(&desk);
    let mut results: Vec<_> = desk.tick("copy-").iter().map(|outcome| outcome["result"].to_string()).collect();
    results.sort();
    assert_eq!(results, ["\"completed\"", "\"refused\""]);
    assert_eq!((copies(&desk), kinds(&desk)), (vec![json!([WEB])], vec!["copy".to_owned()]));
    desk.tick_once("copy-");
    assert_eq!((copies(&desk), desk.records().len()), (vec![json!([WEB])], 0));
}

#[test]
fn an_approver_who_is_removed_from_the_rule_while_a_copy_is_made_has_approved_nothing() {
    for is_there in [false, true] {
        let mut desk = Desk::copying(&owners());
        let id = desk.waiting();
        assert_eq!(desk.approve(OWNER, &id).0, 202);
        if is_there {
            end_copy(&desk);
        }
        desk.restart(&ada());
        let refused = desk.tick_once("copy-");
        assert_eq!((&refused["result"], codes(&refused)), (&json!("refused"), vec!["ApprovalNotAllowed"]));
        assert_eq!(refused["refusals"][0]["values"]["rule"], "asked", "{refused:#}");
        assert_eq!(refused["approvedBy"], format!("jwt:{ISSUER}#olga"));
        assert_eq!(desk.published(), ["Refused share POST-bob ApprovalNotAllowed"]);
        assert_eq!((copies(&desk), desk.records().len()), (vec![json!([])], 0));
        // The asker may ask again, and somebody else approve.
        let id = desk.waiting();
        assert_eq!(desk.approve(ADA, &id).0 / 100, 2);
    }
}

#[test]
fn a_rule_that_wants_no_approval_any_more_shares_what_was_approved() {
    let mut desk = Desk::copying(&owners());
    let id = desk.waiting();
    desk.approve(OWNER, &id);
    desk.restart(&rules(""));
    end_copy(&desk);
    assert_eq!(desk.tick_once("copy-")["result"], "completed");
    assert_eq!(copies(&desk), [json!([WEB])]);
}

#[test]
fn an_approval_can_not_be_written_into_a_record() {
    let mut desk = Desk::copying(&rules(""));
    waits_without_approval(&desk);
    let [name] = &desk.records()[..] else { panic!("one record") };
    let mut input = desk.input(name);
    input["approvedBy"] = json!({"name": format!("jwt:{ISSUER}#olga"), "groups": ["owners"]});
    let end = desk.world.aws.state()["schedules"][format!("default/{name}")]["end"].clone();
    let schedule = json!({"group": "default", "name": name, "expression": "rate(10 minutes)", "input": input.to_string(), "end": end});
    desk.world.aws.seed(&json!({"schedules": [schedule]}));
    desk.restart(&owners());
    end_copy(&desk);
    let tick = desk.tick_once("copy-");
    assert!(tick["warnings"][0].as_str().unwrap().contains("nobody's record"), "{tick:#}");
    assert_eq!(copies(&desk), [json!([])]);
}

#[test]
fn a_copy_that_is_there_is_shared_when_it_is_approved() {
    let desk = Desk::copying(&owners());
    let id = desk.waiting();
    desk.approve(OWNER, &id);
    end_copy(&desk);
    desk.tick("copy-");
    desk.take_back();
    assert!(desk.records().is_empty(), "{:?}", desk.records());
    // It is asked for once more, and there is nothing to wait for but the approval.
    let id = desk.waiting();
    let (status, outcome) = desk.approve(OWNER, &id);
    assert_eq!((status, &outcome["result"]), (200, &json!("completed")), "{outcome:#}");
    assert_eq!(copies(&desk), [json!([WEB])]);
    assert!(desk.records().is_empty());
}

#[test]
fn who_asked_takes_back_what_was_approved_and_waits_for_its_copy() {
    let desk = Desk::copying(&owners());
    let id = desk.waiting();
    desk.approve(OWNER, &id);
    desk.take_back();
    assert!(desk.records().is_empty(), "{:?}", desk.records());
    end_copy(&desk);
    assert_eq!(copies(&desk), [json!([])]);
    refused(desk.approve(OWNER, &id), (404, "ApprovalNotFound"));
}
