//! Approvals: a share by a rule with approvers, from the question to the launch permission, or to the refusal.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use sharing::records::{ApprovalAnswer, ApprovalDecision, Record};
use time::{Duration as Days, OffsetDateTime};

use crate::support::{
    desk::{
        ADA, BOB, Desk, EVE, ISSUER, NOBODY, OWNER, RULES, WEB, answer, asked_by, code, decides, event, refused,
        requester, start,
    },
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
fn a_schedule_that_somebody_else_wrote_under_the_name_of_a_record_fails_with_an_alarm() {
    let desk = Desk::new();
    let forge = |name: &str, expression: &str, input: &Value| {
        let schedule = json!({"group": "default", "name": name, "expression": expression, "input": input.to_string()});
        desk.world.aws.seed(&json!({"schedules": [schedule]}));
    };
    let alarms = || desk.world.function.log().matches("\"NobodysRecords\":1").count();
    let id = desk.waiting();
    let mut input = desk.input(&format!("ask-{id}"));
    input["rules"] = json!(["others"]);
    let until = input["until"].as_str().unwrap().trim_end_matches('Z').to_owned();
    forge(&format!("ask-{id}"), &format!("at({until})"), &input);
    for (number, told) in [desk.approve(EVE, &id), desk.reject(EVE, &id), desk.ask()].into_iter().enumerate() {
        let (status, outcome) = told;
        assert!(status >= 500 && outcome["result"] == "failed", "{outcome:#}");
        assert!(outcome.to_string().contains("has the name of this record"), "{outcome:#}");
        assert!(alarms() > number, "{number}");
    }
    assert!(desk.approvals(ADA).is_empty());
    desk.tick("ask-");
    assert_eq!((desk.shared(), desk.writes()), (Vec::new(), Vec::new()));
    desk.world.aws.clear_part(&json!({"ids": [format!("ask-{id}")]}));
    // A decision that nobody made.
    let id = desk.waiting();
    let decision =
        json!({"action": "expire", "schedule": format!("did-{id}"), "answer": "approved", "by": "jwt:x#ada"});
    forge(&format!("did-{id}"), "rate(10 minutes)", &decision);
    desk.tick("did-");
    let (status, outcome) = desk.approve(ADA, &id);
    assert!(status >= 500 && outcome.to_string().contains("has the name of this record"), "{outcome:#}");
    assert_eq!(desk.shared(), [""; 0]);
}

#[test]
fn what_waits_is_published_when_it_is_approved_and_not_before() {
    let publishing =
        RULES.replacen("    approvers:", "    publish: {parameter: \"/golden/latest\"}\n    approvers:", 1);
    let desk = Desk::with(&publishing);
    let latest = || desk.world.aws.state()["parameters"]["/golden/latest"]["value"].clone();
    let calls_of_systems_manager = || desk.world.aws.writes().iter().filter(|call| call.starts_with("ssm:")).count();
    let id = desk.waiting();
    assert_eq!((latest(), calls_of_systems_manager()), (Value::Null, 0));
    let (status, planned) = desk.send(ADA, "POST", &format!("/approvals/{id}"), "dryRun=true", &Value::Null);
    assert_eq!((status, &planned["result"], latest()), (200, &json!("planned"), Value::Null), "{planned:#}");
    let (status, done) = desk.approve(ADA, &id);
    assert_eq!((status, latest()), (200, json!(desk.image)), "{done:#}");
    let step = done["images"][0]["steps"].as_array().unwrap().last().unwrap();
    assert_eq!((&step["call"], &step["state"]), (&json!("ssm:PutParameter"), &json!("done")), "{done:#}");
    // What was rejected is not published.
    let desk = Desk::with(&publishing);
    let id = desk.waiting();
    assert_eq!(desk.reject(ADA, &id).0, 200);
    assert_eq!(desk.world.aws.state()["parameters"]["/golden/latest"]["value"], Value::Null);
    assert!(desk.shared().is_empty());
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
            // Nothing was decided: it goes on waiting.
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
            // The second decision is refused: one was made.
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

#[test]
fn an_ask_takes_the_place_of_a_lapsed_one_whose_end_is_told_once() {
    let desk = Desk::new();
    let lapsed = desk.asked_at(OffsetDateTime::now_utc() - Days::days(8));
    let id = desk.waiting();
    assert_eq!(id, lapsed, "it is the same share");
    let mut published = desk.published();
    published.sort();
    assert_eq!(published, ["Accepted share POST-bob", "Refused share long-ago ApprovalLapsed"]);
    assert_eq!(desk.records(), [format!("ask-{id}")]);
    assert_ne!(desk.input(&format!("ask-{id}"))["requestId"], "long-ago");
    // The hint of the old one comes late.
    desk.tick_once("ask-");
    assert_eq!((desk.published().len(), desk.records().len()), (0, 1));
    assert_eq!(desk.approve(ADA, &id).0, 200);
    // A dry run takes nobody's place.
    desk.take_back();
    desk.asked_at(OffsetDateTime::now_utc() - Days::days(8));
    let dry = answer(&desk.world.outcome(&desk.asks(BOB, &json!({"dryRun": true}))));
    assert_eq!((dry.0, &dry.1["result"], desk.writes()), (200, &json!("planned"), vec![]), "{dry:#?}");
}

#[test]
fn a_decision_counts_for_the_ask_that_it_was_about_and_for_no_later_one() {
    let desk = Desk::new();
    for (is_approved, second) in [(true, false), (false, true)] {
        let id = desk.waiting();
        let ask = desk.input(&format!("ask-{id}"));
        // The function stopped when it had deleted the ask, and not yet the decision.
        desk.world.aws.fault("scheduler:DeleteSchedule", "InternalServerException", 500, 100);
        if is_approved {
            desk.approve(ADA, &id)
        } else {
            desk.reject(ADA, &id)
        };
        desk.world.aws.no_faults();
        desk.world.aws.clear_part(&json!({"ids": [format!("ask-{id}")]}));
        desk.take_back();
        // The same share is asked for again. Nobody has approved that.
        let now = OffsetDateTime::now_utc() + Days::seconds(5);
        assert_eq!(desk.asked_at(now), id, "{ask:#}");
        let (status, told) = desk.approve(OWNER, &id);
        assert!(status >= 500 && told["retryable"] == true, "{told:#}");
        desk.tick("did-");
        assert_eq!((desk.shared(), desk.records()), (Vec::new(), vec![format!("ask-{id}")]));
        assert_eq!(desk.published(), [""; 0]);
        let told = if second { desk.approve(OWNER, &id) } else { desk.reject(OWNER, &id) };
        assert_eq!(told.0, 200, "{told:#?}");
        assert_eq!(desk.shared().is_empty(), !second);
        desk.take_back();
    }
}

#[test]
fn what_is_told_of_an_approval_names_who_asked_who_approved_and_why() {
    let desk = Desk::new();
    let id = desk.waiting();
    let asked: Value = serde_json::from_str(desk.world.aws.events()[0]["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(asked["approval"]["id"], json!(id), "{asked:#}");
    let (status, told) = desk.send(OWNER, "POST", &format!("/approvals/{id}"), "", &json!({"reason": "it is fine"}));
    assert_eq!(status, 200, "{told:#}");
    let event: Value = serde_json::from_str(desk.world.aws.events()[0]["Detail"].as_str().unwrap()).unwrap();
    for told in [told, event] {
        assert_eq!(told["requester"], format!("jwt:{ISSUER}#bob"));
        assert_eq!(told["approvedBy"], format!("jwt:{ISSUER}#olga"));
        assert_eq!((&told["reason"], &told["approvalReason"]), (&json!("for the shop"), &json!("it is fine")));
    }
    let log = desk.world.function.log();
    assert!(log.contains("\"approvalReason\":\"it is fine\""), "{log}");
}

#[test]
fn a_revoke_leaves_what_waits_and_what_has_no_answer_yet_is_shown_as_it_is_now() {
    let desk = Desk::new();
    let id = desk.waiting();
    desk.take_back();
    assert_eq!(desk.records(), [format!("ask-{id}")]);
    assert_eq!(desk.approve(ADA, &id).0, 200);
    assert_eq!(desk.shared(), [WEB]);
}

#[test]
fn what_passes_keeps_the_records_and_what_does_not_ends_them() {
    let desk = Desk::new();
    let id = desk.waiting();
    desk.world.aws.fault("kms:GetKeyPolicy", "KMSInternalException", 500, 100);
    let (status, told) = desk.approve(ADA, &id);
    assert!(status >= 400 && told["retryable"] == true, "{told:#}");
    assert_eq!(desk.records(), [format!("ask-{id}"), format!("did-{id}")]);
    assert_eq!(desk.published(), [""; 0], "nothing changed yet");
    desk.tick("did-");
    assert_eq!(desk.records().len(), 2);
    desk.world.aws.no_faults();
    assert_eq!(desk.tick_once("did-")["result"], "completed");
    assert!(desk.records().is_empty());
    assert_eq!(desk.shared(), [WEB]);
    desk.take_back();
    // The image is gone: that does not pass.
    let id = desk.waiting();
    desk.world.aws.clear_part(&json!({"ids": [desk.image]}));
    refused(desk.approve(ADA, &id), (404, "ImageNotFound"));
    assert_eq!(desk.published(), ["Refused share POST-bob ImageNotFound"]);
    assert!(desk.records().is_empty());
}

#[test]
fn by_rules_that_have_other_approvers_now_the_share_waits_on() {
    let mut desk = Desk::new();
    let id = desk.waiting();
    desk.restart(&RULES.replace("#owners\", \"jwt:https://login.example.com/v2.0#ada", "#owners"));
    refused(desk.approve(ADA, &id), (403, "RequesterNotAllowed"));
    assert_eq!(desk.approve(OWNER, &id).0, 200);
    desk.take_back();
    // Another rule decides now, which the approver of the first is no approver of.
    desk.restart(RULES);
    let id = desk.waiting();
    let other = RULES.replace(
        "rules:\n",
        r#"rules:
  - name: before
    requesters: ["jwt-group:https://login.example.com/v2.0#web"]
    actions: [share]
    images: {names: ["golden-*"]}
    targets: ["111122223333"]
    approvers: ["jwt:https://login.example.com/v2.0#eve"]
"#,
    );
    desk.restart(&other);
    refused(desk.approve(ADA, &id), (403, "ApprovalNotAllowed"));
    assert_eq!((desk.records(), desk.published()), (vec![format!("ask-{id}")], vec![]));
    assert_eq!(desk.shared(), [""; 0]);
}

#[test]
fn an_approval_is_carried_on_for_a_day_and_no_longer() {
    let desk = Desk::new();
    let now = OffsetDateTime::now_utc();
    let decided = |asked: OffsetDateTime, at: OffsetDateTime| {
        let id = desk.asked_at(asked);
        let request = ask("share", &desk.image, json!({"accountIds": [WEB], "reason": "for the shop"}));
        let of = asked_by(BOB, &request, "long-ago", &["asked"], asked);
        let decision = ApprovalDecision::new(&of, ApprovalAnswer::Approved { by: requester(ADA) }, "r", None, at);
        desk.put(Record::Decision(Box::new(decision)), at);
        id
    };
    // It gives no right when its time is over, and the ask goes on waiting.
    let id = decided(now - Days::days(3), now - Days::hours(25));
    desk.tick_once("did-");
    assert_eq!((desk.shared(), desk.records()), (Vec::new(), vec![format!("ask-{id}")]));
    // Nor does the ask, where its time is over too.
    decided(now - Days::days(8), now - Days::hours(25));
    desk.tick_once("did-");
    assert_eq!(desk.published(), ["Refused share long-ago ApprovalLapsed"]);
    assert!(desk.records().is_empty() && desk.shared().is_empty());
    // What fails until its last hint is told then.
    desk.world.aws.fault("ec2:DescribeImages", "InternalError", 500, 100);
    for (asked, left) in [(now - Days::days(3), 1), (now - Days::days(8), 0)] {
        decided(asked, now - Days::hours(24) + Days::minutes(5));
        desk.tick_once("did-");
        assert_eq!(desk.published(), ["Failed share long-ago"]);
        assert_eq!(desk.records().len(), left);
        desk.world.aws.clear_part(&json!({"ids": ["ask-"]}));
    }
    desk.world.aws.no_faults();
    // In time it is carried on, also where the ask has lapsed meanwhile.
    decided(now - Days::days(8), now - Days::hours(1));
    assert_eq!(desk.tick_once("did-")["approvedBy"], format!("jwt:{ISSUER}#ada"));
    assert!(desk.records().is_empty());
    assert_eq!(desk.shared(), [WEB]);
}

#[test]
fn an_audit_finds_asks_and_decisions_past_their_time() {
    let rules =
        format!("{RULES}  - {{name: auditor, requesters: [\"lambda:invoke\"], actions: [audit], images: all}}\n");
    let desk = Desk::with(&rules);
    let now = OffsetDateTime::now_utc();
    let found = || {
        let audit = desk.world.completed(&json!({"action": "audit"}));
        let findings = audit["findings"].as_array().unwrap().iter();
        let left = findings.filter(|finding| finding["code"] == "ApprovalLeft");
        left.map(|finding| finding["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let asked = now - Days::days(7) - Days::minutes(50);
    let id = desk.asked_at(asked);
    assert_eq!(found(), [""; 0], "its hint may come late");
    desk.asked_at(asked - Days::minutes(20));
    let [ask_left] = &found()[..] else { panic!("one finding") };
    assert!(ask_left.contains(&format!("ask-{id}")), "{ask_left}");
    let request = ask("share", &desk.image, json!({"accountIds": [WEB], "reason": "for the shop"}));
    let of = asked_by(BOB, &request, "long-ago", &["asked"], now);
    let decision = ApprovalDecision::new(&of, ApprovalAnswer::Lapsed, "r", None, now - Days::hours(26));
    // Its time is over, so Scheduler may delete it at any moment: then it is put again.
    let found_both = || {
        let mut tries = (0..5).map(|_| {
            desk.put(Record::Decision(Box::new(decision.clone())), now);
            found()
        });
        tries.find(|left| left.len() == 2).expect("two findings")
    };
    let left = found_both();
    assert!(left.iter().any(|message| message.contains(&format!("did-{id}"))), "{left:?}");
    // What waits for a copy, or whose image is gone, is found too.
    desk.world.aws.clear_part(&json!({"ids": [desk.image]}));
    found_both();
}

#[test]
fn at_most_twenty_are_told_at_a_time() {
    let desk = Desk::new();
    let now = OffsetDateTime::now_utc();
    for number in 0..23 {
        let request = ask("share", &desk.image, json!({"accountIds": [WEB], "reason": format!("reason {number}")}));
        desk.put(Record::Ask(Box::new(asked_by(BOB, &request, "r", &["asked"], now))), now);
    }
    let mut seen = Vec::new();
    let mut query = String::new();
    loop {
        let (_, page) = desk.send(ADA, "GET", "/approvals", &query, &Value::Null);
        let rows = page["approvals"].as_array().unwrap();
        assert!(rows.len() <= 20, "{}", rows.len());
        seen.extend(rows.iter().map(|row| row["reason"].to_string()));
        let Some(next) = page["nextToken"].as_str() else { break };
        query = format!("nextToken={next}");
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 23);
    refused(desk.send(ADA, "GET", "/approvals", "nextToken=x", &Value::Null), (400, "MalformedRequest"));
}

/// The event of REST API when a session of this role sends it.
fn of_role(session: &str, method: &str, resource: &str, parameters: &Value, body: &Value) -> Value {
    json!({
        "resource": resource, "path": resource, "httpMethod": method, "pathParameters": parameters,
        "requestContext": {
            "requestId": format!("{method}-{session}"), "httpMethod": method, "resourcePath": resource,
            "identity": {"userArn": format!("arn:aws:sts::999988887777:assumed-role/portal/{session}"), "accountId": "999988887777"},
        },
        "isBase64Encoded": false,
        "body": if body.is_null() { Value::Null } else { json!(body.to_string()) },
    })
}

#[test]
fn sessions_of_one_role_are_one_requester() {
    let role = |name: &str| format!("\"arn:aws:iam::999988887777:role/{name}\"");
    let rules = format!(
        "version: 1\nrules:\n  - name: asked\n    requesters: [{}]\n    actions: [share]\n    images: {{names: [\"golden-*\"]}}\n    \
         targets: [\"{WEB}\"]\n    approvers: [{}, {}]\n",
        role("portal"),
        role("portal"),
        role("boss")
    );
    let desk = Desk::with(&rules);
    let shares = "/images/{imageId}/shares";
    let asked = of_role("ada", "POST", shares, &json!({"imageId": desk.image}), &json!({"accountIds": [WEB]}));
    let (status, outcome) = answer(&desk.world.outcome(&asked));
    assert_eq!(status, 202, "{outcome:#}");
    let id = &outcome["approval"]["id"];
    let decides = |session: &str| of_role(session, "POST", "/approvals/{id}", &json!({"id": id}), &Value::Null);
    refused(answer(&desk.world.outcome(&decides("bob"))), (403, "ApprovalNotAllowed"));
    let text = decides("eve").to_string().replace("role/portal", "role/boss");
    let (status, outcome) = answer(&desk.world.outcome(&serde_json::from_str(&text).unwrap()));
    assert_eq!((status, &outcome["approvedBy"]), (200, &json!("arn:aws:iam::999988887777:role/boss")), "{outcome:#}");
    assert_eq!(outcome.get("requesterSession"), None, "the session is that of who approved");
}

#[test]
fn strangers_learn_nothing_of_approvals_and_cost_no_call() {
    let desk = Desk::new();
    let id = desk.waiting();
    let routes = [
        ("GET", "/approvals".to_owned()),
        ("POST", format!("/approvals/{id}")),
        ("DELETE", format!("/approvals/{id}")),
    ];
    for (method, path) in routes {
        let (status, outcome) = desk.send(NOBODY, method, &path, "", &Value::Null);
        assert_eq!((status, code(&outcome)), (403, "RequesterNotAllowed"), "{outcome:#}");
        assert!(!outcome.to_string().contains("bob"), "{outcome:#}");
        assert_eq!(desk.world.aws.calls(), [""; 0], "{method} {path}");
        let mut anonymous = event(NOBODY, method, &path, "", &Value::Null);
        anonymous["requestContext"].as_object_mut().unwrap().remove("authorizer");
        assert_eq!(answer(&desk.world.outcome(&anonymous)).0, 401);
        assert_eq!(desk.world.aws.calls(), [""; 0], "{method} {path}");
    }
    assert_eq!(desk.records().len(), 1);
}

#[test]
fn a_rehearsal_says_what_an_answer_would_do_and_who_has_answered() {
    let desk = Desk::new();
    let id = desk.waiting();
    let dry = |who, method: &str| desk.send(who, method, &format!("/approvals/{id}"), "dryRun=true", &Value::Null);
    let (status, planned) = dry(ADA, "POST");
    assert_eq!((status, &planned["result"]), (200, &json!("planned")), "{planned:#}");
    assert_eq!(planned["images"][0]["steps"][0]["state"], "planned");
    assert_eq!(dry(ADA, "DELETE").1["result"], "planned");
    refused(dry(EVE, "POST"), (403, "ApprovalNotAllowed"));
    assert_eq!(desk.records(), [format!("ask-{id}")]);
    desk.world.aws.fault("ec2:DescribeImages", "InternalError", 500, 100);
    desk.approve(ADA, &id);
    desk.world.aws.no_faults();
    refused(dry(OWNER, "POST"), (403, "ApprovalNotAllowed"));
    // Also who has answered: one request is one answer.
    let again = desk.send(ADA, "DELETE", &format!("/approvals/{id}"), "dryRun=true", &Value::Null);
    refused(again, (403, "ApprovalNotAllowed"));
}
