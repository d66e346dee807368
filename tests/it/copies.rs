//! Copies: a share of an image in another Region, or under another key, from the request to the launch permission.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    ACCOUNT, REGION,
    copies::{Copies, DATA, OTHER, THERE, WEB, rules, start},
    function::Function,
    now,
    proxy::{self, Proxy, Reply},
    scenes::{EXPIRES, VARIABLES, rfc3339},
    world::{World, codes},
};

/// The outcomes that were published in the last invocation, as `detail-type requestId`.
fn published(world: &World) -> Vec<String> {
    let events = world.aws.events();
    let detail = |event: &Value| serde_json::from_str::<Value>(event["Detail"].as_str().unwrap()).unwrap();
    events
        .iter()
        .map(|event| {
            let kind = event["DetailType"].as_str().unwrap().trim_start_matches("AMI Share Request ").to_owned();
            format!("{kind} {}", detail(event)["requestId"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn a_share_without_a_copy_is_recorded_and_one_copy_is_made() {
    let copies = Copies::new();
    let outcome = copies.accepted(&[WEB, DATA]);
    let copy = copies.copy_in(&outcome);
    let row = copies.row(&outcome);
    assert_eq!(row["copyOf"], json!({"region": THERE, "imageId": copies.source}));
    assert_eq!((&row["copy"]["state"], &row["copy"]["keyArn"]), (&json!("pending"), &json!(copies.key)));
    assert_eq!(row["targets"][0]["state"], "waiting");
    let calls: Vec<_> = row["steps"].as_array().unwrap().iter().map(|step| step["call"].as_str().unwrap()).collect();
    assert_eq!(calls, ["scheduler:CreateSchedule", "ec2:CopyImage"]);
    assert_eq!(copies.copies_made(), 1);
    let [(name, record)] = &copies.records()[..] else { panic!("one record") };
    assert!(name.starts_with(&format!("copy-{}-", copies.source)), "{name}");
    assert_eq!((&record["requester"], &record["rule"]), (&json!("lambda:invoke"), &json!("copied")));
    assert_eq!(copies.world.launch(&copy), [""; 0]);
    // The copy has the key and the tags when it is there.
    copies.end("available", None);
    let state = copies.world.aws.state();
    let snapshot = state["images"][&copy]["snapshots"][0].as_str().unwrap().to_owned();
    assert_eq!(state["snapshots"][&snapshot]["key"], json!(copies.key));
}

#[test]
fn without_an_event_the_next_tick_shares_and_the_tick_after_deletes_the_record() {
    let copies = Copies::new();
    let first = copies.accepted(&[WEB]);
    let copy = copies.copy_in(&first);
    // Nothing changes while it is pending, and nobody is told.
    let tick = copies.tick_once();
    assert_eq!((&tick["result"], tick["images"].as_array().unwrap().len()), (&json!("completed"), 0));
    assert_eq!(copies.writes(), [""; 0]);
    copies.end("available", None);
    let tick = copies.tick_once();
    assert_eq!((&tick["result"], &tick["requestId"]), (&json!("completed"), &first["requestId"]), "{tick:#}");
    assert_eq!(tick["requester"], "lambda:invoke");
    assert_eq!(copies.world.launch(&copy), [WEB]);
    assert_eq!(published(&copies.world), [format!("Completed {}", first["requestId"].as_str().unwrap())]);
    assert_eq!(copies.records().len(), 1);
    copies.tick_once();
    assert_eq!(copies.writes(), ["scheduler:DeleteSchedule"]);
    assert!(copies.records().is_empty());
    assert_eq!(copies.world.launch(&copy), [WEB]);
}

#[test]
fn an_event_of_the_copy_shares_at_once_and_before_rules_that_share_by_themselves() {
    let copies = Copies::new();
    let copy = copies.copy_in(&copies.accepted(&[WEB]));
    copies.end("available", None);
    copies.world.outcome(&Copies::event(&copy, "available"));
    let writes: Vec<_> = copies.writes().into_iter().filter(|call| call == "ec2:ModifyImageAttribute").collect();
    assert_eq!(writes.len(), 2, "the share that waited, and that of the rule");
    assert_eq!(copies.world.launch(&copy), [WEB, DATA]);
    // Event and tick one after the other are one write.
    copies.tick_once();
    assert_eq!(copies.writes(), ["scheduler:DeleteSchedule"]);
    assert!(copies.records().is_empty());
    // Other events find nothing to do.
    copies.world.outcome(&Copies::event(&copy, "pending"));
    assert_eq!(copies.world.aws.calls(), [""; 0]);
}

#[test]
fn the_same_request_makes_one_copy_however_often_it_is_sent() {
    let copies = Copies::new();
    let first = copies.accepted(&[WEB]);
    assert_eq!(copies.copies_made(), 1);
    for _ in 0..2 {
        let again = copies.accepted(&[WEB]);
        assert_eq!(copies.writes(), [""; 0]);
        assert_eq!(copies.row(&again)["copy"], copies.row(&first)["copy"]);
        assert_eq!(copies.copy_in(&again), copies.copy_in(&first));
    }
    // Another request waits for the same copy.
    copies.accepted(&[DATA]);
    assert_eq!((copies.copies_made(), copies.records().len()), (0, 2));
    copies.end("available", None);
    let shared = copies.share(&[WEB]);
    assert_eq!((&shared["result"], copies.copies_made()), (&json!("completed"), 0), "{shared:#}");
    let copy = copies.copy_in(&shared);
    assert_eq!(copies.row(&shared)["copyOf"]["imageId"], json!(copies.source));
    copies.tick();
    assert_eq!(copies.world.launch(&copy), [WEB, DATA]);
    copies.tick();
    assert!(copies.records().is_empty());
}

/// Seeds an image that is made from the source.
fn made(copies: &Copies, key: &str, more: Value) -> String {
    let mut image = json!({
        "name": "by-hand", "architecture": "arm64", "sourceImageId": copies.source, "sourceImageRegion": THERE,
        "mappings": [{"device": "/dev/xvda", "snapshot": {"key": key, "size": 20}}, {"device": "/dev/xvdb", "size": 5}],
    });
    image.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    copies.world.aws.image(image)
}

#[test]
fn a_copy_that_another_tool_made_is_used_and_what_is_none_is_not() {
    let copies = Copies::new();
    let copy = made(&copies, &copies.key, json!({}));
    let shared = copies.share(&[WEB]);
    assert_eq!((&shared["result"], copies.copy_in(&shared)), (&json!("completed"), copy.clone()), "{shared:#}");
    assert_eq!(copies.world.launch(&copy), [WEB]);
    drop(copies);
    for (is_other_key, more) in [
        (true, json!({})),
        (false, json!({"sourceInstanceId": "i-0123456789abcdef0"})),
        (false, json!({"sourceImageRegion": "eu-west-3"})),
        (false, json!({"architecture": "x86_64"})),
    ] {
        let copies = Copies::new();
        let key = if is_other_key { &copies.other_key } else { &copies.key };
        let other = made(&copies, key, more.clone());
        let outcome = copies.accepted(&[WEB]);
        assert_ne!(copies.copy_in(&outcome), other, "{more}");
        assert_eq!(copies.copies_made(), 1);
    }
}

#[test]
fn everything_is_decided_before_a_copy_is_made() {
    let refused = |copies: &Copies, request: &Value, expect: &str| {
        let outcome = copies.world.outcome(request);
        assert_eq!((codes(&outcome), copies.writes().len()), (vec![expect], 0), "{outcome:#}");
        assert_eq!((copies.copies_made(), copies.records().len()), (0, 0));
    };
    let copies = Copies::new();
    refused(&copies, &copies.ask("share", &[OTHER], &json!({})), "TargetNotAllowed");
    refused(&copies, &copies.ask("share", &[WEB], &json!({"copyFrom": "eu-west-3"})), "ImageNotFound");
    refused(&copies, &copies.ask("share", &[WEB], &json!({"copyFrom": "us-gov-west-1"})), "CopyNotPossible");
    drop(copies);
    let copies = Copies::of("granted-1", THERE, &json!({}));
    let elsewhere = json!({"imageIds": [copies.source], "copyFrom": REGION});
    refused(&copies, &copies.ask("share", &[WEB], &elsewhere), "ImageNotFound");
    drop(copies);
    let key = json!({"key": {"region": THERE, "state": "Disabled"}, "size": 20});
    let disabled = Copies::of("golden-1", THERE, &json!({"mappings": [{"device": "/dev/xvda", "snapshot": key}]}));
    refused(&disabled, &disabled.ask("share", &[WEB], &json!({})), "KeyNotUsable");
    drop(disabled);
    // The key of the rule does not let the account in.
    let mut copies = Copies::new();
    let closed = rules(&copies.other_key, &copies.key);
    copies.restart(&closed);
    refused(&copies, &copies.ask("share", &[WEB], &json!({})), "KeyAccessMissing");
    // A rule that makes no copies, and a deployment that can't record what waits.
    let none = closed.lines().filter(|line| !line.contains("copies:")).collect::<Vec<_>>().join("\n");
    copies.restart(&none);
    refused(&copies, &copies.ask("share", &[WEB], &json!({})), "CopyNotAllowed");
    let open = rules(&copies.key, &copies.other_key);
    copies.world.function = Function::start(copies.world.aws.endpoint, &open, &VARIABLES);
    refused(&copies, &copies.ask("share", &[WEB], &json!({})), "CopyNotPossible");
}

#[test]
fn a_grant_on_the_key_is_made_when_the_copy_is_there() {
    let copies = Copies::of("granted-1", THERE, &json!({}));
    let copy = copies.copy_in(&copies.accepted(&[WEB]));
    assert!(copies.world.grants(&copy).is_empty());
    copies.end("available", None);
    copies.tick_once();
    assert_eq!(copies.writes(), ["kms:CreateGrant", "ec2:ModifyImageAttribute"]);
    assert_eq!(copies.world.grants(&copy).len(), 1);
    assert_eq!(copies.world.launch(&copy), [WEB]);
}

#[test]
fn a_copy_that_fails_says_why_and_the_next_request_makes_another() {
    let copies = Copies::new();
    let first = copies.accepted(&[WEB]);
    let copy = copies.copy_in(&first);
    copies.end("failed", Some("Client.InternalError: the key is not accessible"));
    let told = copies.world.outcome(&Copies::event(&copy, "failed"));
    assert_eq!(told["result"], "completed");
    assert_eq!(published(&copies.world), [format!("Failed {}", first["requestId"].as_str().unwrap())]);
    let event = copies.world.aws.events().remove(0);
    let outcome: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(outcome["errors"][0]["code"], "CopyFailed", "{outcome:#}");
    assert!(outcome["errors"][0]["message"].as_str().unwrap().contains("the key is not accessible"));
    assert!(copies.records().is_empty());
    // Another copy, with another name and token.
    let next = copies.accepted(&[WEB]);
    assert_eq!(copies.copies_made(), 1);
    assert_ne!(copies.copy_in(&next), copy);
    assert_eq!(copies.records()[0].1["failedCopies"], 1);
    copies.end("available", None);
    copies.tick_once();
    assert_eq!(copies.world.launch(&copies.copy_in(&next)), [WEB]);
}

#[test]
fn a_tick_finds_a_copy_that_failed() {
    let copies = Copies::new();
    copies.accepted(&[WEB]);
    copies.end("failed", Some("no such key"));
    let tick = copies.tick_once();
    assert_eq!((&tick["result"], &tick["errors"][0]["code"]), (&json!("failed"), &json!("CopyFailed")), "{tick:#}");
    assert!(copies.records().is_empty());
}

#[test]
fn what_is_not_allowed_any_more_is_refused_and_not_waited_for() {
    for is_there in [false, true] {
        let mut copies = Copies::new();
        let first = copies.accepted(&[WEB]);
        if is_there {
            copies.end("available", None);
        }
        let withdrawn = rules(&copies.key, &copies.other_key).replace(&format!("\"{WEB}\", "), "");
        copies.restart(&withdrawn);
        let tick = copies.tick_once();
        assert_eq!((&tick["result"], codes(&tick)), (&json!("refused"), vec!["TargetNotAllowed"]), "{tick:#}");
        assert_eq!(published(&copies.world), [format!("Refused {}", first["requestId"].as_str().unwrap())]);
        assert!(copies.records().is_empty());
    }
    // Nor if no rule names the requester at all.
    let mut copies = Copies::new();
    copies.accepted(&[WEB]);
    let nobody = rules(&copies.key, &copies.other_key).replace("lambda:invoke", "events:999988887777:nobody");
    copies.restart(&nobody);
    let tick = copies.tick_once();
    assert_eq!(codes(&tick), ["RequesterNotAllowed"], "{tick:#}");
    assert_eq!(published(&copies.world).len(), 1);
    assert!(copies.records().is_empty());
}

/// Lets AWS deny the call, or not answer it well, and looks at the record.
fn tick_without(copies: &Copies, call: &str, (code, status): (&str, u16)) -> Value {
    copies.world.aws.forget_calls();
    copies.world.aws.fault(call, code, status, 1000);
    let [hint] = &copies.world.aws.hints("copy-")[..] else { panic!("one record") };
    let answer = copies.world.function.send(&hint.to_string(), Duration::from_secs(8)).unwrap();
    copies.world.aws.no_faults();
    answer.expect("a hint succeeds")
}

#[test]
fn a_share_whose_time_is_over_is_given_up_and_told() {
    let (denied, broken) = (("UnauthorizedOperation", 403), ("InternalError", 500));
    let describe = "ec2:DescribeImages";
    // How long its time is over, what of the copy, which call fails, and whether it is given up.
    for (minutes, end, fault, is_given_up) in [
        (1, "pending", None, true),
        (1, "available", Some((describe, denied)), true),
        (1, "available", Some((describe, broken)), false),
        (55, "available", Some((describe, broken)), true),
        (1, "available", Some(("ec2:ModifyImageAttribute", denied)), true),
        (-30, "available", Some((describe, denied)), false),
        (1, "available", None, false),
    ] {
        let what = format!("{minutes} {end} {fault:?}");
        let copies = Copies::new();
        let first = copies.accepted(&[WEB]);
        if end == "available" {
            copies.end(end, None);
        }
        copies.let_pass(minutes);
        let tick = match fault {
            Some((call, how)) => tick_without(&copies, call, how),
            None => copies.tick_once(),
        };
        let codes: Vec<_> =
            tick["errors"].as_array().unwrap().iter().map(|error| error["code"].as_str().unwrap()).collect();
        assert_eq!(codes.first() == Some(&"CopyOverdue"), is_given_up, "{what}: {tick:#}");
        assert_eq!(copies.records().is_empty(), is_given_up, "{what}");
        let told =
            if is_given_up { vec![format!("Failed {}", first["requestId"].as_str().unwrap())] } else { Vec::new() };
        let mut published = published(&copies.world);
        published.retain(|outcome| outcome.starts_with("Failed"));
        assert_eq!(published, told, "{what}");
    }
}

#[test]
fn who_asks_again_when_the_time_is_over_waits_anew_and_the_first_is_told() {
    let copies = Copies::new();
    let first = copies.accepted(&[WEB]);
    copies.let_pass(5);
    let again = copies.share(&[WEB]);
    assert_eq!((&again["result"], copies.copies_made()), (&json!("accepted"), 0), "{again:#}");
    let until = &copies.row(&again)["copy"]["until"];
    assert!(until.as_str().unwrap() > now().as_str(), "{again:#}");
    let [(_, record)] = &copies.records()[..] else { panic!("one record") };
    assert_eq!(&record["until"], until);
    let first = format!("Failed {}", first["requestId"].as_str().unwrap());
    let mut told = published(&copies.world);
    told.sort();
    assert!(told.len() == 2 && told[0].starts_with("Accepted ") && told[1].starts_with("Failed "), "{told:?}, {first}");
    copies.end("available", None);
    copies.tick_once();
    copies.tick_once();
    assert!(copies.records().is_empty());
}

#[test]
fn a_copy_that_is_throttled_for_an_hour_is_begun_after_that() {
    let copies = Copies::new();
    copies.world.aws.fault("ec2:CopyImage", "RequestLimitExceeded", 503, 1000);
    let event = copies.ask("share", &[WEB], &json!({})).to_string();
    let asked = copies.world.function.send(&event, Duration::from_secs(8)).unwrap().unwrap();
    assert_eq!(asked["result"], "accepted", "{asked:#}");
    // A tick every ten minutes.
    for _ in 0..6 {
        let tick = tick_without(&copies, "ec2:CopyImage", ("RequestLimitExceeded", 503));
        assert_eq!(tick["result"], "completed", "{tick:#}");
        assert_eq!((published(&copies.world).len(), copies.records().len()), (0, 1));
    }
    copies.tick_once();
    copies.end("available", None);
    copies.tick_once();
    let state = copies.world.aws.state();
    let shared: Vec<_> = state["images"]
        .as_object()
        .unwrap()
        .values()
        .filter(|image| image["launchPermissions"] == json!([WEB]))
        .collect();
    assert_eq!(shared.len(), 1);
}

#[test]
fn a_reset_of_a_copy_takes_back_what_waits_for_it() {
    let copies = Copies::new();
    let copy = copies.copy_in(&copies.accepted(&[WEB, DATA]));
    copies.end("available", None);
    copies.world.completed(&json!({"action": "reset", "imageIds": [copy]}));
    assert!(copies.records().is_empty());
    assert_eq!(copies.world.launch(&copy), [""; 0]);
}

#[test]
fn a_copy_that_ec2_lists_late_is_not_made_again() {
    let copies = Copies::new();
    let proxy = Proxy::start(copies.world.aws.address);
    let slow = start(&proxy.endpoint, &rules(&copies.key, &copies.other_key), &copies.record_key);
    let unlisted = AtomicUsize::new(0);
    proxy.rule(move |call, aws| {
        let is_of_copy = call.name == "ec2:DescribeImages" && call.body.contains("ImageId.1=") && unlisted.load(Ordering::SeqCst) < 4;
        let answer = aws();
        if is_of_copy && answer.body.contains("<imageState>pending</imageState>") {
            unlisted.fetch_add(1, Ordering::SeqCst);
            let body = "<Response><Errors><Error><Code>InvalidAMIID.NotFound</Code><Message>not there</Message></Error></Errors></Response>".to_owned();
            return Reply::Answer(proxy::Answer { status: 400, body, ..answer });
        }
        Reply::Answer(answer)
    });
    let asked = slow.invoke(&copies.ask("share", &[WEB], &json!({}))).unwrap();
    assert_eq!(asked["result"], "accepted", "{asked:#}");
    assert_eq!(proxy.calls().iter().filter(|call| call.name == "ec2:CopyImage").count(), 1);
}

#[test]
fn a_revoke_takes_back_what_waits() {
    let copies = Copies::new();
    let copy = copies.copy_in(&copies.accepted(&[WEB, DATA]));
    let revoked = copies.world.completed(&copies.ask("revoke", &[WEB], &json!({})));
    assert_eq!(copies.row(&revoked)["targets"][0]["state"], "revoked", "{revoked:#}");
    assert_eq!(copies.writes(), ["scheduler:CreateSchedule", "scheduler:DeleteSchedule"]);
    let [(_, left)] = &copies.records()[..] else { panic!("one record") };
    assert_eq!(left["request"]["accountIds"], json!([DATA]));
    copies.end("available", None);
    copies.tick_once();
    assert_eq!(copies.world.launch(&copy), [DATA]);
    copies.tick_once();
    assert!(copies.records().is_empty());
}

#[test]
fn a_revoke_of_a_copy_by_its_own_id_takes_back_what_waits_for_it() {
    let copies = Copies::new();
    let copy = copies.copy_in(&copies.accepted(&[WEB]));
    let revoke = json!({"action": "revoke", "imageIds": [copy], "accountIds": [WEB]});
    for is_there in [false, true] {
        copies.accepted(&[WEB]);
        if is_there {
            copies.end("available", None);
        }
        let revoked = copies.world.completed(&revoke);
        assert_eq!(copies.row(&revoked)["targets"][0]["state"], "revoked", "{revoked:#}");
        // Of an image that is pending no launch permission is removed: EC2 refuses that.
        let removes = copies.writes().iter().filter(|call| *call == "ec2:ModifyImageAttribute").count();
        assert_eq!(removes, if is_there { 2 } else { 0 });
        assert!(copies.records().is_empty());
    }
    assert!(copies.tick().is_empty());
    assert_eq!(copies.world.launch(&copy), [""; 0]);
}

#[test]
fn who_asked_may_take_back_what_waits_and_nothing_else() {
    let copies = Copies::new();
    let as_asker = |detail: Value| {
        json!({
            "version": "0", "id": "asked", "detail-type": "AMI Share Request", "source": "com.example", "account": ACCOUNT,
            "time": now(), "region": REGION, "resources": [], "detail": detail,
        })
    };
    let asked = copies.world.outcome(&as_asker(copies.ask("share", &[WEB], &json!({}))));
    assert_eq!(asked["result"], "accepted", "{asked:#}");
    let others = as_asker(copies.ask("revoke", &[DATA], &json!({})));
    assert_eq!(codes(&copies.world.outcome(&others)), ["ActionNotAllowed"]);
    let own = copies.world.completed(&as_asker(copies.ask("revoke", &[WEB], &json!({}))));
    assert_eq!(copies.row(&own)["targets"][0]["state"], "revoked");
    assert!(copies.records().is_empty());
    let again = as_asker(copies.ask("revoke", &[WEB], &json!({})));
    assert_eq!(codes(&copies.world.outcome(&again)), ["ActionNotAllowed"]);
    // The same by the ID of the copy.
    let asked = copies.world.outcome(&as_asker(copies.ask("share", &[WEB], &json!({}))));
    let revoke =
        |target: &str| json!({"action": "revoke", "imageIds": [copies.copy_in(&asked)], "accountIds": [target]});
    assert_eq!(codes(&copies.world.outcome(&as_asker(revoke(DATA)))), ["ActionNotAllowed"]);
    copies.world.completed(&as_asker(revoke(WEB)));
    assert!(copies.records().is_empty());
    assert_eq!(codes(&copies.world.outcome(&as_asker(revoke(WEB)))), ["ActionNotAllowed"]);
}

#[test]
fn a_check_and_a_list_say_what_waits() {
    let copies = Copies::new();
    let check = || copies.world.completed(&copies.ask("check", &[WEB], &json!({})));
    let list = || copies.world.completed(&copies.ask("list", &[], &json!({})));
    let states = |outcome: &Value| {
        let targets = copies.row(outcome)["targets"].as_array().unwrap().iter();
        targets.map(|target| target["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = check();
    assert_eq!(states(&before), ["not-shared"]);
    assert_eq!(copies.row(&before)["imageId"], Value::Null);
    assert_eq!(copies.row(&before)["targets"][0]["accepted"], true);
    copies.accepted(&[WEB]);
    assert_eq!((states(&check()), states(&list())), (vec!["waiting".to_owned()], vec!["waiting".to_owned()]));
    copies.end("available", None);
    assert_eq!((states(&check()), states(&list())), (vec!["waiting".to_owned()], vec!["waiting".to_owned()]));
    copies.tick_once();
    assert_eq!((states(&check()), states(&list())), (vec!["shared".to_owned()], vec!["shared".to_owned()]));
    assert_eq!(copies.row(&check())["targets"][0]["launch"], "really");
}

#[test]
fn an_audit_names_copies_that_nobody_uses_and_copies_that_could_not_be_made() {
    let copies = Copies::new();
    let found = || {
        let audit = copies.world.completed(&json!({"action": "audit"}));
        let findings = audit["findings"].as_array().unwrap().clone().into_iter();
        let of_copies = findings.filter(|finding| finding["code"].as_str().unwrap().starts_with("Copy"));
        of_copies
            .map(|it| format!("{} {}", it["code"].as_str().unwrap(), it["imageId"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let failed = copies.copy_in(&copies.accepted(&[WEB]));
    copies.end("failed", Some("no such key"));
    copies.tick_once();
    let copy = copies.copy_in(&copies.accepted(&[WEB]));
    let left = format!("CopyFailedLeft {failed}");
    assert_eq!(found(), std::slice::from_ref(&left));
    copies.end("available", None);
    assert_eq!(found(), std::slice::from_ref(&left), "a share waits for it");
    copies.tick_once();
    copies.tick_once();
    assert_eq!(found(), std::slice::from_ref(&left), "it is shared");
    copies.world.completed(&copies.ask("revoke", &[WEB], &json!({})));
    let mut both = found();
    both.sort();
    assert_eq!(both, [left, format!("CopyOrphaned {copy}")]);
}

#[test]
fn a_copy_that_is_deregistered_while_a_share_waits_is_made_again() {
    let copies = Copies::new();
    let copy = copies.copy_in(&copies.accepted(&[WEB]));
    copies.world.aws.clear_part(&json!({"ids": [copy]}));
    let tick = copies.tick_once();
    assert_eq!(copies.copies_made(), 1, "{tick:#}");
    copies.end("available", None);
    copies.tick_once();
    let next = copies.share(&[WEB]);
    assert_eq!((&next["result"], copies.copies_made()), (&json!("completed"), 0));
}

#[test]
fn a_copy_that_can_not_be_begun_yet_is_tried_again() {
    let copies = Copies::new();
    copies.world.aws.seed(&json!({"settings": {"copyQuota": 0}}));
    let outcome = copies.accepted(&[WEB]);
    assert_eq!(copies.row(&outcome)["imageId"], Value::Null);
    assert_eq!(copies.row(&outcome)["copy"]["state"], "none");
    assert!(outcome["warnings"][0].as_str().unwrap().contains("the function will try again"), "{outcome:#}");
    assert_eq!(copies.records().len(), 1);
    copies.world.aws.seed(&json!({"settings": {"copyQuota": 300}}));
    copies.tick_once();
    assert_eq!(copies.copies_made(), 1);
    copies.end("available", None);
    copies.tick_once();
    assert!(copies.records().len() == 1);
}

#[test]
fn what_no_retry_mends_leaves_no_record() {
    let copies = Copies::new();
    copies.world.aws.fault("ec2:CopyImage", "UnauthorizedOperation", 403, 1);
    let outcome = copies.world.function.invoke(&copies.ask("share", &[WEB], &json!({}))).unwrap_err();
    let outcome: Value = serde_json::from_str(outcome["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&outcome["result"], &outcome["errors"][0]["code"]),
        (&json!("failed"), &json!("Denied")),
        "{outcome:#}"
    );
    assert!(copies.records().is_empty());
}

#[test]
fn a_tick_that_learns_that_no_copy_can_be_made_ends_the_waiting() {
    let copies = Copies::new();
    copies.world.aws.seed(&json!({"settings": {"copyQuota": 0}}));
    let first = copies.accepted(&[WEB]);
    copies.world.aws.fault("ec2:CopyImage", "UnauthorizedOperation", 403, 1);
    let tick = copies.tick_once();
    assert_eq!((&tick["result"], &tick["errors"][0]["code"]), (&json!("failed"), &json!("Denied")), "{tick:#}");
    assert_eq!(published(&copies.world), [format!("Failed {}", first["requestId"].as_str().unwrap())]);
    assert!(copies.records().is_empty());
}

#[test]
fn a_share_whose_expiry_time_comes_while_it_waits_is_refused_and_told() {
    for is_there in [false, true] {
        // The function takes no time that is less than five minutes ahead.
        for (minutes, is_over) in [(60, false), (4, true), (-1, true)] {
            let what = format!("{is_there} {minutes}");
            let copies = Copies::new();
            let expires = json!({"expiresAt": rfc3339(*EXPIRES)});
            let first = copies.world.outcome(&copies.ask("share", &[WEB], &expires));
            assert_eq!(first["result"], "accepted", "{what}: {first:#}");
            if is_there {
                copies.end("available", None);
            }
            let name = copies.let_expire_in(minutes);
            let hints = copies.world.aws.hints("copy-");
            let hint = hints.iter().find(|hint| hint.to_string().contains(&name)).unwrap();
            let tick = copies.world.outcome(hint);
            assert_eq!(codes(&tick) == ["ExpiryNotAllowed"], is_over, "{what}: {tick:#}");
            assert_eq!(copies.records().iter().all(|(there, _)| *there != name), is_over, "{what}");
            let told = if is_over {
                vec!["Refused"]
            } else if is_there {
                vec!["Completed"]
            } else {
                Vec::new()
            };
            let told: Vec<_> =
                told.iter().map(|kind| format!("{kind} {}", first["requestId"].as_str().unwrap())).collect();
            assert_eq!(published(&copies.world), told, "{what}");
            let shared = if is_there && !is_over { vec![WEB] } else { Vec::new() };
            assert_eq!(copies.world.launch(&copies.copy_in(&first)), shared, "{what}");
        }
    }
}

/// A record whose code can't be made may be anybody's: nothing is done and published because of it, and it stays. So that it does
/// not end unseen, each of its hints is an error in the log and one of the requests that the alarm counts.
#[test]
fn a_record_whose_code_can_not_be_made_is_logged_and_counted_at_every_tick() {
    for minutes in [-30, 5, 55] {
        let copies = Copies::new();
        copies.accepted(&[WEB]);
        copies.let_pass(minutes);
        copies.world.aws.forget_calls();
        copies.world.aws.fault("kms:GenerateMac", "AccessDeniedException", 400, 100);
        let tick = copies.tick_once();
        copies.world.aws.no_faults();
        let told = (&tick["result"], &tick["errors"][0]["code"]);
        assert_eq!(told, (&json!("failed"), &json!("Denied")), "{minutes}: {tick:#}");
        assert!(copies.world.function.log().contains("\"Unfinished\":1"), "{minutes}");
        assert_eq!((published(&copies.world).len(), copies.records().len()), (0, 1), "{minutes}");
    }
}

#[test]
fn a_share_without_copy_from_asks_aws_as_often_where_copies_can_be_made() {
    let calls = |can_copy: bool, copy_rules: bool| {
        let copies = Copies::new();
        let mapping = json!([{"device": "/dev/xvda", "snapshot": {"key": copies.key, "size": 20}}]);
        let image =
            json!({"id": "ami-0000000000000beef", "name": "golden-2", "tags": {"Tier": "gold"}, "mappings": mapping});
        let image = copies.world.aws.image(image);
        let mut allowlist = rules(&copies.key, &copies.other_key);
        if !copy_rules {
            allowlist = allowlist.lines().filter(|line| !line.contains("copies:")).collect::<Vec<_>>().join("\n");
        }
        let proxy = Proxy::start(copies.world.aws.address);
        let function = match can_copy {
            true => start(&proxy.endpoint, &allowlist, &copies.record_key),
            false => Function::start(
                &proxy.endpoint,
                &allowlist,
                &[&VARIABLES[..], &[("AMI_SHARE_OUTCOME_BUS", "outcomes")]].concat(),
            ),
        };
        let mut made = Vec::new();
        for action in ["check", "share", "share", "list", "revoke"] {
            let mut request = json!({"action": action, "imageIds": [image]});
            if action != "list" {
                request["accountIds"] = json!([WEB]);
            }
            proxy.let_pass();
            let outcome = function.invoke(&request).unwrap();
            assert_eq!(outcome["result"], "completed", "{outcome:#}");
            let calls = proxy.calls().into_iter().filter(|call| call.name != "events:PutEvents");
            let mut calls: Vec<_> = calls.map(|call| (call.name, call.body.len())).collect();
            calls.sort();
            made.push((action, calls));
        }
        made
    };
    let without = calls(false, false);
    assert_eq!(calls(true, false), without);
    assert_eq!(calls(true, true), without);
}

#[test]
fn the_first_to_ask_is_told_where_another_request_learns_that_no_copy_can_be_made() {
    let copies = Copies::new();
    copies.world.aws.seed(&json!({"settings": {"copyQuota": 0}}));
    let by = |id: &str| {
        json!({
            "version": "0", "id": id, "detail-type": "AMI Share Request", "source": "com.example", "account": ACCOUNT,
            "time": now(), "region": REGION, "resources": [], "detail": copies.ask("share", &[WEB], &json!({})),
        })
    };
    assert_eq!(copies.world.outcome(&by("first"))["result"], "accepted");
    copies.world.aws.fault("ec2:CopyImage", "UnauthorizedOperation", 403, 1);
    assert!(copies.world.function.invoke(&by("second")).is_err());
    assert!(copies.records().is_empty());
    let mut told = published(&copies.world);
    told.retain(|outcome| outcome.starts_with("Failed"));
    told.sort();
    assert_eq!(told, ["Failed first", "Failed second"]);
}

#[test]
fn a_name_that_is_taken_gets_a_suffix() {
    let copies = Copies::new();
    copies.world.aws.image(json!({"name": "golden-1"}));
    let copy = copies.copy_in(&copies.accepted(&[WEB]));
    assert_eq!(copies.copies_made(), 2, "one with the name, which is refused");
    copies.end("available", None);
    copies.tick_once();
    assert_eq!(copies.world.launch(&copy), [WEB]);
    // The copy is covered by the name of its source.
    let list = copies.world.completed(&json!({"action": "list", "imageIds": [copy]}));
    assert!(copies.row(&list)["name"].as_str().unwrap().starts_with("golden-1-"));
}

#[test]
fn an_image_of_this_region_is_copied_under_the_key_of_the_rule() {
    let key = json!({"key": {"manager": "AWS", "alias": "alias/aws/ebs"}, "size": 20});
    let mappings = json!({"mappings": [{"device": "/dev/xvda", "snapshot": key}]});
    let copies = Copies::of("golden-1", REGION, &mappings);
    let plain = json!({"action": "share", "imageIds": [copies.source], "accountIds": [WEB]});
    let refused = copies.world.outcome(&plain);
    assert_eq!(codes(&refused), ["DefaultKey"]);
    let remedy = refused["refusals"][0]["remedy"].as_str().unwrap();
    assert!(remedy.contains(&format!("`copyFrom: {REGION}`")) && remedy.contains("`copied`"), "{remedy}");
    let outcome = copies.world.outcome(&copies.ask("share", &[WEB], &json!({"copyFrom": REGION})));
    assert_eq!(outcome["result"], "accepted", "{outcome:#}");
    let copy = copies.copy_in(&outcome);
    copies.end("available", None);
    copies.tick_once();
    assert_eq!((copies.world.launch(&copy), copies.world.launch(&copies.source)), (vec![WEB.to_owned()], vec![]));
}

#[test]
fn a_record_that_somebody_else_wrote_does_nothing_but_an_alarm() {
    type Forge = fn(&mut Value);
    let forge: [Forge; 6] = [
        |input| drop(input.as_object_mut().unwrap().remove("mac")),
        |input| input["requester"] = json!("events:999988887777:com.example"),
        |input| input["request"]["accountIds"] = json!([DATA]),
        |input| input["until"] = json!("2099-01-01T00:00:00Z"),
        |input| input["requestId"] = json!("another"),
        |input| input["failedCopies"] = json!(7),
    ];
    for change in forge {
        let copies = Copies::new();
        copies.accepted(&[WEB]);
        copies.end("available", None);
        let state = copies.world.aws.state();
        let (name, schedule) = state["schedules"].as_object().unwrap().iter().next().unwrap();
        let mut input: Value = serde_json::from_str(schedule["input"].as_str().unwrap()).unwrap();
        change(&mut input);
        copies.rewrite(name, &input);
        let before = copies.world.aws.state();
        let tick = copies.tick_once();
        assert!(tick["warnings"][0].as_str().unwrap().contains("nobody's record"), "{tick:#}");
        assert_eq!(copies.writes(), [""; 0]);
        assert_eq!(copies.world.aws.state(), before);
        assert!(copies.world.function.log().contains("\"NobodysRecords\":1"));
    }
}
