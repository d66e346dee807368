//! Approvals: a share by a rule with approvers, from the question to the launch permission, or to the refusal.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use time::{Duration as Days, OffsetDateTime};

use crate::support::{
    desk::{ADA, BOB, Desk, EVE, ISSUER, NOBODY, OWNER, RULES, WEB, answer, code, decides, refused, start},
    proxy::{Proxy, Reply},
    world::{ask, codes},
};

#[test]
fn a_share_waits_until_somebody_else_approves_it() {
    let desk = Desk::new();
    let (status, outcome) = desk.ask();
    assert_eq!((status, &outcome["result"]), (202, &json!("accepted")), "{outcome:#}");
    assert_eq!(outcome["images"][0]["targets"][0]["state"], "waiting");
    assert_eq!((&outcome["images"][0]["changed"], &outcome["approval"]["rules"]), (&json!(false), &json!(["asked"])));
    let id = outcome["approval"]["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.records(), [format!("ask-{id}")]);
    assert_eq!(desk.shared(), [""; 0]);
    // The same request finds the same ask.
    assert_eq!(desk.ask().1["approval"], outcome["approval"]);
    assert!(!desk.world.aws.calls().contains(&"scheduler:CreateSchedule".to_owned()));

    let listed = desk.approvals(ADA);
    let [row] = &listed[..] else { panic!("{listed:#?}") };
    assert_eq!((&row["id"], &row["reason"], &row["rules"]), (&json!(id), &json!("for the shop"), &json!(["asked"])));
    assert_eq!(row["requester"], format!("jwt:{ISSUER}#bob"));
    assert_eq!(row["request"]["imageIds"], json!([desk.image]));
    // The asker sees it, and others that may decide nothing of it don't.
    assert_eq!((desk.approvals(BOB).len(), desk.approvals(EVE).len()), (1, 0));

    let (status, planned) = desk.send(ADA, "POST", &format!("/approvals/{id}"), "dryRun=true", &Value::Null);
    assert_eq!((status, &planned["result"]), (200, &json!("planned")), "{planned:#}");
    assert_eq!(desk.world.aws.writes().iter().filter(|call| *call != "events:PutEvents").count(), 0);

    let (status, done) = desk.approve(OWNER, &id);
    assert_eq!((status, &done["result"]), (200, &json!("completed")), "{done:#}");
    assert_eq!(done["requester"], format!("jwt:{ISSUER}#bob"));
    assert_eq!(done["approvedBy"], format!("jwt:{ISSUER}#olga"));
    assert_eq!(done["requestId"], outcome["requestId"]);
    assert_eq!(desk.shared(), [WEB]);
    assert!(desk.records().is_empty(), "{:?}", desk.records());
    assert_eq!(desk.published(), ["Completed share POST-bob"]);
    refused(desk.approve(OWNER, &id), (404, "ApprovalNotFound"));
    // What is shared already is not asked for again.
    let (status, again) = desk.ask();
    assert_eq!((status, &again["result"]), (200, &json!("completed")), "{again:#}");
}

#[test]
fn only_an_approver_of_the_rule_who_is_not_the_asker_approves() {
    let desk = Desk::new();
    let id = desk.waiting();
    refused(desk.approve(BOB, &id), (403, "ApprovalNotAllowed"));
    // Also where the asker's token has the approvers' group now.
    refused(desk.approve(("bob", "[web owners]"), &id), (403, "ApprovalNotAllowed"));
    refused(desk.approve(EVE, &id), (403, "ApprovalNotAllowed"));
    refused(desk.reject(EVE, &id), (403, "ApprovalNotAllowed"));
    refused(desk.approve(NOBODY, &id), (403, "RequesterNotAllowed"));
    refused(desk.approve(ADA, &"0".repeat(32)), (404, "ApprovalNotFound"));
    refused(desk.approve(ADA, "x"), (404, "ApprovalNotFound"));
    assert_eq!((desk.shared(), desk.records()), (Vec::new(), vec![format!("ask-{id}")]));
}

#[test]
fn other_triggers_neither_ask_nor_approve() {
    let desk = Desk::new();
    let id = desk.waiting();
    for document in [
        ask("share", &desk.image, json!({"accountIds": [WEB]})),
        json!({"action": "approvals"}),
        json!({"action": "approve", "approvalId": id}),
        json!({"action": "reject", "approvalId": id}),
    ] {
        let outcome = desk.world.outcome(&document);
        assert_eq!(outcome["refusals"][0]["code"], "ApprovalNotAllowed", "{outcome:#}");
    }
}

#[test]
fn a_rejected_share_ends_with_an_event_of_its_own() {
    let desk = Desk::new();
    let id = desk.waiting();
    let (status, outcome) = desk.reject(ADA, &id);
    assert_eq!((status, &outcome["result"], &outcome["action"]), (200, &json!("completed"), &json!("reject")));
    assert_eq!(desk.published(), ["Completed reject DELETE-ada", "Refused share POST-bob ApprovalRejected"]);
    assert!(desk.records().is_empty() && desk.shared().is_empty());
    // The asker may do so too.
    let id = desk.waiting();
    assert_eq!(desk.reject(BOB, &id).0, 200);
    assert!(desk.records().is_empty());
}

#[test]
fn a_rule_that_was_withdrawn_refuses_and_ends_the_ask() {
    let mut desk = Desk::new();
    let id = desk.waiting();
    desk.restart(&RULES.replace("targets: [\"111122223333\"]", "targets: [\"222233334444\"]"));
    refused(desk.approve(ADA, &id), (403, "TargetNotAllowed"));
    assert!(desk.records().is_empty() && desk.shared().is_empty());
}

#[test]
fn what_the_first_decided_the_second_learns() {
    let desk = Desk::new();
    for (decides, expect) in [("approve", "ApprovalNotAllowed"), ("reject", "ApprovalRejected")] {
        let id = desk.waiting();
        // The first stops after its decision was written.
        let (status, _) = if decides == "approve" {
            desk.world.aws.fault("ec2:DescribeImages", "InternalError", 500, 100);
            desk.approve(ADA, &id)
        } else {
            desk.world.aws.fault("scheduler:DeleteSchedule", "InternalServerException", 500, 100);
            desk.reject(ADA, &id)
        };
        assert!(status >= 500, "{status}");
        desk.world.aws.no_faults();
        for second in [desk.approve(OWNER, &id), desk.reject(OWNER, &id)] {
            assert_eq!((code(&second.1), second.0 / 100), (expect, 4), "{second:?}");
            assert!(second.1.to_string().contains("#ada"), "{second:?}");
        }
        // A tick finishes it.
        let [outcome] = desk.tick("did-").try_into().unwrap();
        assert_eq!(outcome["requestId"], "POST-bob");
        assert!(desk.records().is_empty());
        assert_eq!(desk.shared().is_empty(), decides == "reject");
        desk.take_back();
    }
}

#[test]
fn a_decision_without_its_ask_is_only_deleted() {
    let desk = Desk::new();
    let id = desk.waiting();
    desk.world.aws.fault("ec2:DescribeImages", "InternalError", 500, 100);
    desk.approve(ADA, &id);
    desk.world.aws.no_faults();
    desk.world.aws.clear_part(&json!({"ids": [format!("ask-{id}")]}));
    assert_eq!(desk.records(), [format!("did-{id}")]);
    desk.tick("did-");
    assert!(desk.records().is_empty() && desk.shared().is_empty());
}

#[test]
fn a_forged_record_is_nobodys() {
    let desk = Desk::new();
    let id = desk.waiting();
    let mut input = desk.input(&format!("ask-{id}"));
    input["rules"] = json!(["others"]);
    let until = input["until"].as_str().unwrap().trim_end_matches('Z').to_owned();
    let schedule = json!({"group": "default", "name": format!("ask-{id}"), "expression": format!("at({until})"), "input": input.to_string()});
    desk.world.aws.seed(&json!({"schedules": [schedule]}));
    refused(desk.approve(EVE, &id), (404, "ApprovalNotFound"));
    let (status, outcome) = desk.ask();
    assert!(status >= 500 && outcome.to_string().contains("not this record"), "{outcome:#}");
    assert_eq!(desk.shared(), [""; 0]);
}

#[test]
fn a_hint_that_comes_too_early_ends_nothing() {
    let desk = Desk::new();
    let id = desk.waiting();
    desk.tick("ask-");
    assert_eq!(desk.records(), [format!("ask-{id}")]);
}

#[test]
fn whatever_call_an_approval_ends_at_the_ticks_finish_it() {
    let desk = Desk::new();
    for index in 0.. {
        let id = desk.waiting();
        let proxy = Proxy::start(desk.world.aws.address);
        let function = start(&proxy.endpoint, RULES, &desk.record_key);
        let lambda = function.lambda();
        proxy.rule(move |call, aws| {
            if call.index >= index {
                lambda.kill();
                return Reply::Hangup;
            }
            Reply::Answer(aws())
        });
        let answered = function.send(&decides(ADA, &id, true).to_string(), Duration::from_secs(60));
        proxy.settle();
        let is_decided = desk.records().contains(&format!("did-{id}"));
        if is_decided {
            desk.tick("did-");
            assert_eq!(desk.shared(), [WEB], "call {index}");
            assert!(desk.records().is_empty(), "call {index}: {:?}", desk.records());
        } else if desk.records().is_empty() {
            assert_eq!(desk.shared(), [WEB], "call {index}");
        } else {
            // Nothing was decided: it waits on.
            assert_eq!(desk.shared(), [""; 0], "call {index}");
            assert_eq!(desk.approve(OWNER, &id).0, 200, "call {index}");
        }
        desk.take_back();
        if answered.is_some() {
            assert!(index > 6, "{index}");
            return;
        }
    }
}

#[test]
fn of_two_who_decide_at_once_one_does() {
    let desk = Desk::new();
    for (is_first, is_second) in [(true, true), (true, false), (false, true)] {
        for index in 0..30 {
            let id = desk.waiting();
            let proxy = Proxy::start(desk.world.aws.address);
            let first = start(&proxy.endpoint, RULES, &desk.record_key);
            let second = Arc::new(start(desk.world.aws.endpoint, RULES, &desk.record_key));
            let overtakes = decides(OWNER, &id, is_second);
            let said = Arc::new(Mutex::new(None));
            let hears = Arc::clone(&said);
            proxy.rule(move |call, aws| {
                if call.index == index {
                    *hears.lock().unwrap() = Some(second.invoke(&overtakes).unwrap());
                }
                Reply::Answer(aws())
            });
            let one = answer(&first.invoke(&decides(ADA, &id, is_first)).unwrap());
            proxy.settle();
            let other = said.lock().unwrap().take().map(|other| answer(&other));
            let Some(other) = other else {
                desk.take_back();
                break;
            };
            desk.tick("did-");
            let seen = format!("{is_first} {is_second} {index}: {one:#?} {other:#?}");
            assert!(desk.records().is_empty(), "{seen}");
            // Who comes second is refused: one decision was made.
            let done =
                [(&one, is_first), (&other, is_second)].map(|((status, _), approves)| (*status == 200, approves));
            let won: Vec<_> = done.iter().filter(|(done, _)| *done).map(|(_, approves)| *approves).collect();
            assert_eq!(won.len(), 1, "{seen}");
            assert_eq!(!desk.shared().is_empty(), won[0], "{seen}");
            desk.take_back();
        }
    }
}

#[test]
fn what_nobody_answers_lapses_with_an_event_of_its_own() {
    let desk = Desk::new();
    let now = OffsetDateTime::now_utc();
    let id = desk.asked_at(now - Days::days(7));
    // Whether or not its hint has come.
    refused(desk.approve(ADA, &id), (409, "ApprovalLapsed"));
    refused(desk.reject(ADA, &id), (409, "ApprovalLapsed"));
    assert_eq!((desk.approvals(ADA).len(), desk.approvals(BOB).len()), (0, 0));
    let outcome = desk.tick_once("ask-");
    assert_eq!((&outcome["result"], codes(&outcome)), (&json!("refused"), vec!["ApprovalLapsed"]), "{outcome:#}");
    assert_eq!(outcome["requester"], format!("jwt:{ISSUER}#bob"));
    assert_eq!(desk.published(), ["Refused share long-ago ApprovalLapsed"]);
    assert!(desk.records().is_empty() && desk.shared().is_empty());
    refused(desk.approve(ADA, &id), (404, "ApprovalNotFound"));
    // What is not due yet lapses neither.
    let id = desk.asked_at(now - Days::days(7) + Days::minutes(5));
    desk.tick_once("ask-");
    assert_eq!(desk.approve(ADA, &id).0, 200);
}
