//! Faults: every call of every action meets everything that can go wrong between a function and AWS. What is expected
//! is a table; that nothing is written after a failed read, nothing granted beyond the allowlist and nothing left half
//! done by a repeat is checked every time.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ami_share::aws::CONCURRENCY;
use serde_json::{Value, json};

use crate::support::{
    fault_kinds::{self, Fault, Then},
    function::{Answer, Function},
    invariants::{Change, violations},
    local_aws::LocalAws,
    proxy::{self, Proxy, Reply},
    scenes::{self, Scene, Stage},
    steady::steadily,
};

/// So many functions run at the same time: most of their time they wait.
const SIDE_BY_SIDE: u32 = 15;

/// A share whose key is checked and gets no grant; beside its calls of KMS nothing differs from the other share.
const KEYS_VERIFIED: &str = "share, encrypted, let in by a grant";

/// Shares that expire and a revoke of one; beside their calls of Scheduler nothing differs from the others.
const WITH_AN_EXPIRY: [&str; 5] = [
    "share, with an expiry, a copy and a grant",
    "share, a renewal and a new one",
    "share, without an expiry time where a record is",
    "revoke, with an expiry, a copy and a grant",
    "expire, the share was renewed",
];

/// The actions, on images whose sharing takes every kind of call there is.
fn flows() -> Vec<Scene> {
    let list = json!({"action": "list", "imageIds": [scenes::image(1)]});
    vec![
        scenes::scene("share, one copy and its grant"),
        scenes::scene(KEYS_VERIFIED),
        scenes::scene("revoke, one copy and its grant"),
        scenes::scene("reset, two images, one public"),
        scenes::scene("expire, a copy and a grant"),
        scenes::scene(scenes::PUBLISHED),
        Scene { request: list, ..scenes::scene("share, one copy and its grant") },
        scenes::scene("usage, an old report and none"),
    ]
    .into_iter()
    .chain(WITH_AN_EXPIRY.map(scenes::scene))
    .collect()
}

/// The share that is also disturbed in a process that remembers the image, and so reads in another order.
const REMEMBERED: &str = "share, one copy and its grant";

/// The flows, each with whether the process remembers the images.
fn flows_and_memory() -> Vec<(Scene, bool)> {
    let anew = flows().into_iter().map(|scene| (scene, false));
    anew.chain([(scenes::scene(REMEMBERED), true)]).collect()
}

fn action(scene: &Scene) -> &str {
    scene.request["action"].as_str().unwrap()
}

/// The outcome document, whether Lambda saw a success or not.
fn outcome(answer: &Answer) -> Value {
    match answer {
        Ok(outcome) => outcome.clone(),
        Err(error) => serde_json::from_str(error["errorMessage"].as_str().unwrap()).expect("an outcome in the error"),
    }
}

/// The results an outcome may have, by what was asked, what failed and how.
fn expected(scene: &Scene, call: &str, (is_write, is_changed): (bool, bool), fault: &Fault) -> &'static [&'static str] {
    let Then::Fails { code, is_retryable, is_uncertain, .. } = &fault.then else {
        return if action(scene) == "usage" { &["accepted"] } else { &["completed"] };
    };
    let is_garbled = ["half answers", "answers that are no document"].contains(&fault.name.as_str());
    match (action(scene), call) {
        // What is gone needs no revoking.
        (_, "kms:RevokeGrant") if *code == "NotFound" => &["completed"],
        // These are answered with a status and no document.
        (_, "kms:RevokeGrant" | "scheduler:DeleteSchedule") if is_garbled => &["completed"],
        // The second try is told what the first one did, and reads that it is this very record.
        (_, "scheduler:CreateSchedule") if is_garbled => &["completed"],
        // The second look: what was given is taken back where the record can't be read, and where it is said to be gone.
        ("share", "scheduler:GetSchedule") if scene.name == WITH_AN_EXPIRY[0] => &["incomplete"],
        ("share", "scheduler:GetSchedule") if scene.name == WITH_AN_EXPIRY[1] && *code == "NotFound" => &["incomplete"],
        (_, "scheduler:DeleteSchedule" | "scheduler:GetSchedule") if *code == "NotFound" => &["completed"],
        // Without its records no share is known to be due, nor whether it was renewed.
        (_, "scheduler:GetSchedule" | "scheduler:ListSchedules") if scene.hint.is_some() => &["failed"],
        // What came before is done: it is not nothing that was changed.
        _ if is_write && (*is_uncertain || is_changed) => &["incomplete"],
        _ if is_write => &["failed"],
        (_, "ec2:DescribeImages") => &["failed"],
        // Taking access away is never held up by what can't be read.
        ("revoke" | "reset", _) => &["completed", "incomplete"],
        // A grant of this image is made whatever others there are.
        ("share", "kms:ListGrants") if scene.request["access"] == "copy" && !is_retryable => &["completed"],
        // What is not known of a key refuses a share, unless asking again may tell.
        ("share", call) if call.starts_with("kms:") && !is_retryable => &["refused"],
        ("list", "ec2:DescribeSnapshotAttribute") => &["completed"],
        // These do without the records, and say so; where AWS doesn't answer no time may be left for the reads after it.
        ("list" | "share", call) if call.starts_with("scheduler:") && scene.request["expiresAt"].is_null() => {
            if is_to_the_end(fault) {
                &["completed", "failed"]
            } else {
                &["completed"]
            }
        }
        _ => &["failed"],
    }
}

/// A fault for the calls of this name, in a scene and by a process that remembers its images or doesn't.
#[derive(Clone)]
struct Disturbance<'a> {
    scene: Scene,
    remembers: bool,
    call: String,
    fault: &'a Fault,
}

/// Plays one case.
fn play(stage: &Stage<'_>, function: &Function, proxy: &Proxy, disturbance: &Disturbance<'_>) {
    let Disturbance { scene, remembers, call, fault } = disturbance;
    let call = call.as_str();
    let what = format!("{} | {call} | {} | remembers: {remembers}", scene.name, fault.name);
    let scene = &stage.place(scene);
    let keys = stage.seed(scene);
    if *remembers {
        proxy.let_pass();
        function.invoke(&scene.question()).unwrap();
    }
    let before = stage.state(&keys);
    let (wanted, reply, left) = (call.to_owned(), Arc::clone(&fault.reply), Mutex::new(fault.times));
    proxy.rule(move |call, aws| {
        let mut left = left.lock().unwrap();
        if call.name != wanted || *left == 0 {
            drop(left);
            return Reply::Answer(aws());
        }
        *left -= 1;
        drop(left);
        reply(call, aws)
    });
    let begun = Instant::now();
    let answer = function.invoke_bytes(&scene.event().to_string(), fault.time);
    assert!(begun.elapsed() < fault.time, "{what}: it outlived its deadline: {:?}", begun.elapsed());
    assert!(!answer_text(&answer).contains("c2VjcmV0"), "{what}: an authorization message in the answer");
    let outcome = outcome(&answer);
    proxy.settle();
    let calls = proxy.calls();
    let after = stage.state(&keys);
    let is_write = calls.iter().any(|made| made.name == call && made.is_write());

    let change = Change { request: &scene.request, is_unchecked: false, before: &before, after: &after };
    if action(scene) == "list" {
        assert_eq!(before, after, "{what}");
    } else {
        assert_eq!(violations(&change), [""; 0], "{what}");
    }
    let results = expected(scene, call, (is_write, before != after), fault);
    let result = outcome["result"].as_str().unwrap();
    assert!(results.contains(&result), "{what}: {outcome:#}");
    if result == "failed" {
        assert_eq!(before, after, "{what}: a failure that changed something: {outcome:#}");
    }
    // A record that is said to be gone is none that can't be read.
    let is_lost = call == "scheduler:GetSchedule" && is_not_found(fault);
    if is_lost && result == "incomplete" {
        let is_told = |error: &Value| error["code"] == "ExpiryLost";
        assert!(outcome["errors"].as_array().unwrap().iter().all(is_told), "{what}: {outcome:#}");
    } else if let (Then::Fails { code, is_retryable, .. }, "failed" | "incomplete") = (&fault.then, result) {
        // The quotas are on reports that EC2 is making, so they pass by themselves.
        let passes = call == "ec2:CreateImageUsageReport" && *code == "LimitExceeded";
        assert_eq!(outcome["retryable"], *is_retryable || passes, "{what}: {outcome:#}");
        // Where it is gone on without a fact, later reads may have had no time left.
        let may_be_later = !is_write && is_to_the_end(fault);
        let is_told = |error: &Value| {
            // The ARN that a grant is made for is its grantee's.
            let is_grantee = fault.name == "InvalidArnException" && call == "kms:CreateGrant";
            let code = if is_grantee { "TargetNotKnown" } else { code };
            let is_of_call = error["call"] == call && error["code"] == code;
            is_of_call || may_be_later && error["code"] == "OutOfTime"
        };
        assert!(outcome["errors"].as_array().unwrap().iter().any(is_told), "{what}: {outcome:#}");
    }
    // A second look reads again what was read before.
    let is_told_apart = (result != "completed" || !is_write) && !is_lost;
    if let (Then::Fails { is_tried_once, .. }, true) = (&fault.then, is_told_apart) {
        let resources: Vec<_> = calls.iter().filter(|made| made.name == call).map(|made| &made.body).collect();
        let distinct = resources.iter().collect::<BTreeSet<_>>().len();
        assert_eq!(resources.len() == distinct, *is_tried_once, "{what}: tried {} times", resources.len());
    }
    if !is_write && ["failed", "refused"].contains(&result) {
        assert!(!calls.iter().any(|made| made.is_write()), "{what}: it wrote after a failed read");
    }
    let is_due = scene.hint.is_none() || before != after;
    if ["revoke", "reset"].contains(&action(scene)) && result != "failed" && !is_write && is_due {
        for image in scene.images() {
            let left = &after["images"][&image]["launchPermissions"];
            let asked = scene.targets();
            let is_gone = |entry: &Value| action(scene) == "revoke" && !asked.contains(entry);
            assert!(left.as_array().unwrap().iter().all(is_gone), "{what}: still shared: {left}");
        }
    }

    if before == after && !is_write {
        return;
    }
    // The fault is over: the same request ends where it would have.
    proxy.let_pass();
    let repeated = function.invoke(scene.event()).unwrap_or_else(|error| panic!("{what}, repeated: {error:#}"));
    assert_eq!(repeated["result"], scene.result(), "{what}, repeated: {repeated:#}");
    let change = Change { request: &scene.request, is_unchecked: false, before: &before, after: &stage.state(&keys) };
    assert_eq!(violations(&change), [""; 0], "{what}, repeated");
    let ended = scenes::without_ids(change.after, &keys);
    assert_eq!(ended, stage.undisturbed(scene, function), "{what}, repeated");
}

fn is_not_found(fault: &Fault) -> bool {
    matches!(fault.then, Then::Fails { code: "NotFound", .. })
}

/// Whether it ends with the time and not with the tries.
fn is_to_the_end(fault: &Fault) -> bool {
    matches!(fault.then, Then::Fails { code: "Throttled" | "OutOfTime", .. })
}

fn answer_text(answer: &Answer) -> String {
    match answer {
        Ok(document) | Err(document) => document.to_string(),
    }
}

/// Plays every fault on every call of every action, side by side.
#[track_caller]
fn play_all(title: &str, faults: &[Fault]) {
    let aws = LocalAws::turn();
    let mut cases = Vec::new();
    for (scene, remembers) in flows_and_memory() {
        let stage = Stage::new(&aws, 0);
        let proxy = Proxy::start(aws.address);
        let function = Function::start(&proxy.endpoint, scenes::ALLOWLIST, &scenes::VARIABLES);
        let placed = stage.place(&scene);
        stage.seed(&placed);
        let outcome = function.invoke(placed.event()).unwrap();
        assert_eq!(outcome["result"], scene.result(), "{outcome:#}");
        let names: BTreeSet<_> = proxy.calls().into_iter().map(|call| call.name).collect();
        for fault in faults {
            let is_played = |name: &&String| {
                fault.service.is_none_or(|service| name.starts_with(service))
                    && (scene.name != KEYS_VERIFIED || name.starts_with("kms:"))
                    && (scene.name != scenes::PUBLISHED || name.starts_with("ssm:"))
                    && (!WITH_AN_EXPIRY.contains(&scene.name) || name.starts_with("scheduler:"))
                    // What is there already is read, and here there is nothing.
                    && (fault.name != "ConflictException" || *name != "scheduler:CreateSchedule")
                    // A parameter that is gone is made, and here it is there.
                    && !(is_not_found(fault) && *name == "ssm:GetParameter")
                    // A key that is gone has no grants to take away, and here it has.
                    && !(is_not_found(fault) && *name == "kms:ListGrants" && action(&scene) != "share")
            };
            let names = names.iter().filter(is_played);
            let case = |call: &String| Disturbance { scene: scene.clone(), remembers, call: call.clone(), fault };
            cases.extend(names.map(case));
        }
    }
    let number = cases.len();
    let queue = Mutex::new(cases);
    std::thread::scope(|scope| {
        for place in 1..=SIDE_BY_SIDE {
            let (aws, queue) = (&aws, &queue);
            scope.spawn(move || {
                let stage = Stage::new(aws, place);
                let proxy = Proxy::start(aws.address);
                loop {
                    let next = queue.lock().unwrap().pop();
                    let Some(case) = next else { break };
                    steadily(|| {
                        // A new one for each case: it would remember the keys of the worlds before, and read them first.
                        let function = Function::start(&proxy.endpoint, scenes::ALLOWLIST, &scenes::VARIABLES);
                        play(&stage, &function, &proxy, &case);
                        assert!(!function.log().contains("panicked"), "{}", function.log());
                    });
                }
            });
        }
    });
    println!("fault suite: {title}: {} faults, {number} cases", faults.len());
}

#[test]
fn whatever_passes_is_ridden_out() {
    play_all("passing", &fault_kinds::passing());
}

#[test]
fn whatever_lasts_is_told_and_leaves_nothing_half_done() {
    play_all("lasting", &fault_kinds::lasting());
}

#[test]
fn every_error_code_of_ec2_means_what_its_documentation_says() {
    play_all("EC2 error codes", &fault_kinds::codes("ec2:"));
}

#[test]
fn every_error_code_of_kms_means_what_its_documentation_says() {
    play_all("KMS error codes", &fault_kinds::codes("kms:"));
}

#[test]
fn every_error_code_of_scheduler_means_what_its_documentation_says() {
    play_all("Scheduler error codes", &fault_kinds::codes("scheduler:"));
}

#[test]
fn every_error_code_of_parameter_store_means_what_its_documentation_says() {
    play_all("Parameter Store error codes", &fault_kinds::codes("ssm:"));
}

/// A scene's own stage, with the calls of a function that a rule watches.
fn on_stage(scene: &Scene, then: impl FnOnce(&Stage<'_>, &Function, &Proxy)) {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let proxy = Proxy::start(aws.address);
    let function = Function::start(&proxy.endpoint, scenes::ALLOWLIST, &[]);
    let scene = stage.place(scene);
    stage.seed(&scene);
    then(&stage, &function, &proxy);
}

/// The expiry of a share of a copied image behind a grant, on a stage of its own.
fn when_a_share_expires(then: impl FnOnce(&Stage<'_>, &Function, &Proxy, &Scene)) {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let proxy = Proxy::start(aws.address);
    let function = Function::start(&proxy.endpoint, scenes::ALLOWLIST, &scenes::VARIABLES);
    then(&stage, &function, &proxy, &stage.place(&scenes::scene("expire, a copy and a grant")));
}

fn launch_permissions(stage: &Stage<'_>, image: &str) -> Vec<String> {
    scenes::launch_permissions(&stage.state(&[]), image)
}

#[test]
fn reads_that_lag_writes_keep_no_access_alive() {
    let scene = scenes::scene("share, not encrypted, every kind of target");
    on_stage(&scene, |stage, function, proxy| {
        let image = scenes::image(1);
        let first = launch_permissions(stage, &image);
        // From now on the launch permissions are reported as they were at the beginning.
        let old = Mutex::new(None);
        proxy.rule(move |call, aws| {
            if call.name != "ec2:DescribeImageAttribute" {
                return Reply::Answer(aws());
            }
            Reply::Answer(old.lock().unwrap().get_or_insert_with(aws).clone())
        });
        let shared = function.invoke(&scene.request).unwrap();
        assert_eq!(shared["result"], "completed");
        let everybody = launch_permissions(stage, &image);
        assert_eq!(everybody.len(), first.len() + 3, "{everybody:?}");
        // Sharing again adds once more what is not yet seen, and changes nothing.
        assert_eq!(function.invoke(&scene.request).unwrap()["result"], "completed");
        assert_eq!(launch_permissions(stage, &image), everybody);
        // A revoke that sees nobody takes the access away all the same.
        let mut revoke = scene.request.clone();
        revoke["action"] = json!("revoke");
        let revoked = function.invoke(&revoke).unwrap();
        assert_eq!(revoked["result"], "completed", "{revoked:#}");
        assert_eq!(launch_permissions(stage, &image), ["777788889999"]);
        // And so does a reset.
        assert_eq!(function.invoke(&scene.request).unwrap()["result"], "completed");
        let reset = function.invoke(&json!({"action": "reset", "imageIds": [image]})).unwrap();
        assert_eq!(reset["result"], "completed", "{reset:#}");
        assert_eq!(launch_permissions(stage, &image), [""; 0]);
    });
}

#[test]
fn more_throttles_than_the_sdk_would_try_are_ridden_out() {
    let scene = scenes::scene("revoke, organization and unit");
    on_stage(&scene, |stage, function, proxy| {
        proxy.rule(fault_kinds::first(6, "ec2:ModifyImageAttribute", fault_kinds::throttle));
        let outcome = function.invoke(&scene.request).unwrap();
        assert_eq!(outcome["result"], "completed", "{outcome:#}");
        assert_eq!(proxy.calls().iter().filter(|call| call.is_write()).count(), 7);
        assert_eq!(launch_permissions(stage, &scenes::image(1)), ["111122223333", "777788889999"]);
    });
}

#[test]
fn a_lost_answer_stays_uncertain_whatever_a_later_try_is_told() {
    let scene = scenes::scene("revoke, organization and unit");
    on_stage(&scene, |stage, function, proxy| {
        let writes = AtomicUsize::new(0);
        proxy.rule(move |call, aws| match (call.is_write(), writes.load(Ordering::SeqCst)) {
            (false, _) => Reply::Answer(aws()),
            // The first is carried out and its answer lost; the next is refused.
            (true, 0) => {
                writes.fetch_add(1, Ordering::SeqCst);
                aws();
                Reply::Hangup
            }
            (true, _) => fault_kinds::denied(call, aws),
        });
        let outcome = outcome(&function.invoke(&scene.request));
        assert_eq!(
            (&outcome["result"], &outcome["errors"][0]["code"]),
            (&json!("incomplete"), &json!("Denied")),
            "{outcome:#}"
        );
        assert_eq!(launch_permissions(stage, &scenes::image(1)), ["111122223333", "777788889999"]);
    });
}

#[test]
fn what_was_not_begun_in_time_is_told_step_by_step() {
    // More than can be sent at once.
    const IMAGES: usize = CONCURRENCY + 3;
    let scene = scenes::many_images(IMAGES);
    on_stage(&scene, |stage, function, proxy| {
        proxy.rule(
            |call, aws| {
                if call.is_write() { Reply::Silence(Duration::from_secs(20)) } else { Reply::Answer(aws()) }
            },
        );
        let outcome = outcome(&function.invoke_bytes(&scene.request.to_string(), Duration::from_secs(12)));
        assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("incomplete"), &json!(true)), "{outcome:#}");
        let images = outcome["images"].as_array().unwrap();
        let state = |row: &Value| row["steps"][0]["state"].as_str().unwrap().to_owned();
        let of = |wanted: &str| images.iter().filter(|row| state(row) == wanted).count();
        let sent =
            proxy.calls().iter().filter(|call| call.is_write()).map(|call| call.body.clone()).collect::<BTreeSet<_>>();
        assert_eq!((of("failed"), of("skipped")), (sent.len(), IMAGES - sent.len()), "{outcome:#}");
        assert!(of("skipped") > 0, "{outcome:#}");
        for (row, error) in images.iter().zip(outcome["errors"].as_array().unwrap()) {
            let what = if state(row) == "failed" { "was sent and not answered" } else { "was not begun" };
            assert!(error["message"].as_str().unwrap().contains(what), "{error}");
            assert_eq!((&error["resource"], &error["code"]), (&row["imageId"], &json!("OutOfTime")));
        }
        let changed =
            (1..=IMAGES).filter(|n| launch_permissions(stage, &scenes::image(*n)) != ["111122223333"]).count();
        assert_eq!(changed, 0);
    });
}

#[test]
fn a_bus_that_never_answers_does_not_keep_the_answer() {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let proxy = Proxy::start(aws.address);
    let function = Function::start(&proxy.endpoint, scenes::ALLOWLIST, &[("AMI_SHARE_OUTCOME_BUS", "outcomes")]);
    let scene = stage.place(&scenes::scene("revoke, organization and unit"));
    stage.seed(&scene);
    proxy.rule(|call, aws| {
        if call.name == "events:PutEvents" { Reply::Silence(Duration::from_secs(60)) } else { Reply::Answer(aws()) }
    });
    // An answer must come before the bus gives up; nobody waits here any longer than that.
    let outcome = function.invoke_bytes(&scene.request.to_string(), Duration::from_secs(15)).unwrap();
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert!(outcome["warnings"].to_string().contains("could not be published"), "{outcome:#}");
    assert!(proxy.calls().iter().any(|call| call.name == "events:PutEvents"));
}

#[test]
fn an_expiry_keeps_its_record_where_a_search_does_not_find_its_image() {
    when_a_share_expires(|stage, function, proxy, scene| {
        let keys = stage.seed(scene);
        let before = stage.state(&keys);
        proxy.rule(|call, aws| {
            let mut answer = aws();
            if call.name == "ec2:DescribeImages" {
                answer.body = "<DescribeImagesResponse><imagesSet/></DescribeImagesResponse>".to_owned();
            }
            Reply::Answer(answer)
        });
        let outcome = outcome(&function.invoke(scene.event()));
        assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("failed"), &json!(true)), "{outcome:#}");
        assert_eq!(stage.state(&keys), before);
        proxy.let_pass();
        assert_eq!(function.invoke(scene.event()).unwrap()["result"], "completed");
    });
}

#[test]
fn what_a_list_leaves_out_is_not_taken_for_gone() {
    when_a_share_expires(|stage, function, proxy, scene| {
        for (call, part, empty) in [
            ("ec2:DescribeSnapshots", "", "<DescribeSnapshotsResponse><snapshotSet/></DescribeSnapshotsResponse>"),
            (
                "ec2:DescribeImages",
                "block-device-mapping",
                "<DescribeImagesResponse><imagesSet/></DescribeImagesResponse>",
            ),
        ] {
            let keys = stage.seed(scene);
            let before = stage.state(&keys);
            proxy.rule(move |made, aws| {
                let answer = aws();
                let is_it = made.name == call && made.body.contains(part);
                Reply::Answer(if is_it { proxy::Answer { body: empty.to_owned(), ..answer } } else { answer })
            });
            let ended = outcome(&function.invoke(scene.event()));
            assert_eq!(
                (&ended["result"], &ended["errors"][0]["code"]),
                (&json!("incomplete"), &json!("Unexpected")),
                "{ended:#}"
            );
            let after = stage.state(&keys);
            assert_ne!(after["images"], before["images"], "the launch permission is gone");
            assert_eq!((&after["snapshots"], &after["schedules"]), (&before["snapshots"], &before["schedules"]));
            proxy.let_pass();
            assert_eq!(function.invoke(scene.event()).unwrap()["result"], "completed");
            assert_ne!(stage.state(&keys)["schedules"], before["schedules"]);
        }
        // A list says so too.
        stage.seed(scene);
        let list = json!({"action": "list", "imageIds": [scenes::image(1)]});
        for call in ["ec2:DescribeSnapshots", "ec2:DescribeSnapshotAttribute", "scheduler:ListSchedules"] {
            proxy.rule(move |made, aws| {
                let body = "<DescribeSnapshotsResponse><snapshotSet/></DescribeSnapshotsResponse>".to_owned();
                match made.name == call {
                    true if call == "ec2:DescribeSnapshots" => Reply::Answer(proxy::Answer { body, ..aws() }),
                    true => fault_kinds::denied(made, aws),
                    false => Reply::Answer(aws()),
                }
            });
            let told = function.invoke(&list).unwrap();
            assert_eq!(told["result"], "completed", "{told:#}");
            assert!(told["warnings"].to_string().contains("not everything about"), "{call}: {told:#}");
        }
    });
}

#[test]
fn a_deleted_key_keeps_no_share_from_expiring() {
    when_a_share_expires(|stage, function, proxy, scene| {
        let keys = stage.seed(scene);
        let records = stage.state(&keys)["schedules"].as_object().unwrap().len();
        proxy.rule(|call, aws| {
            if call.name != "kms:ListGrants" {
                return Reply::Answer(aws());
            }
            let body = r#"{"__type": "NotFoundException", "message": "Key 'arn' does not exist"}"#.to_owned();
            Reply::Answer(proxy::Answer { status: 400, body, ..aws() })
        });
        let ended = outcome(&function.invoke(scene.event()));
        assert_eq!((&ended["result"], &ended["errors"]), (&json!("completed"), &json!([])), "{ended:#}");
        assert_eq!(stage.state(&keys)["schedules"].as_object().unwrap().len(), records - 1);
    });
}

#[test]
fn a_snapshot_that_keeps_its_entries_does_not_keep_the_grants() {
    when_a_share_expires(|stage, function, proxy, scene| {
        let keys = stage.seed(scene);
        let before = stage.state(&keys);
        proxy.rule(|call, aws| {
            if call.name == "ec2:ModifySnapshotAttribute" {
                fault_kinds::denied(call, aws)
            } else {
                Reply::Answer(aws())
            }
        });
        let ended = outcome(&function.invoke(scene.event()));
        assert_eq!(ended["result"], "incomplete", "{ended:#}");
        let steps = ended["images"][0]["steps"].as_array().unwrap().iter();
        let steps: Vec<_> = steps
            .map(|step| format!("{} {}", step["call"].as_str().unwrap(), step["state"].as_str().unwrap()))
            .collect();
        assert_eq!(
            steps,
            [
                "ec2:ModifyImageAttribute done",
                "ec2:ModifySnapshotAttribute failed",
                "kms:RevokeGrant done",
                "kms:RevokeGrant done",
                "scheduler:DeleteSchedule skipped"
            ]
        );
        let after = stage.state(&keys);
        assert_ne!(after["grants"], before["grants"]);
        assert_eq!((&after["snapshots"], &after["schedules"]), (&before["snapshots"], &before["schedules"]));
    });
}

#[test]
fn a_lost_page_refuses_and_an_empty_list_grants_nothing() {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let scene = stage.place(&scenes::scene("share, two encrypted images with three keys and a grant"));
    let proxy = Proxy::start(aws.address);
    let function = Function::start(&proxy.endpoint, scenes::ALLOWLIST, &[]);
    aws.seed(&json!({"settings": {"pageSize": 1}}));
    let second_page = |call: &str| format!("{call} page 2");
    let of_page = |call: &proxy::Call| {
        let is_later = call.body.contains("NextToken=");
        if is_later { format!("{} page 2", call.name) } else { call.name.clone() }
    };
    type Edit = fn(&str) -> String;
    let without_token: Edit = |body| {
        let (head, tail) = body.split_once("<nextToken>").unwrap();
        format!("{head}{}", tail.split_once("</nextToken>").unwrap().1)
    };
    let without_list: Edit = |body| {
        let (start, end) = (body.find("Set>").unwrap() + 4, body.rfind("</").unwrap());
        let list_end = body[..end].rfind("Set>").unwrap();
        let close = body[..list_end].rfind("</").unwrap();
        format!("{}{}", &body[..start], &body[close..])
    };
    let no_grants: Edit = |_| r#"{"Grants":[],"Truncated":false}"#.to_owned();
    let endless_grants: Edit = |_| r#"{"Grants":[],"Truncated":true}"#.to_owned();
    let not_said: Edit = |body| {
        body.replace("<encrypted>true</encrypted>", "").replace("<kmsKeyId>", "<was>").replace("</kmsKeyId>", "</was>")
    };
    for (page, edit, result, code) in [
        ("ec2:DescribeImages".to_owned(), without_token, "refused", "ImageNotFound"),
        ("ec2:DescribeImages".to_owned(), without_list, "refused", "ImageNotFound"),
        (second_page("ec2:DescribeImages"), without_list, "refused", "ImageNotFound"),
        ("ec2:DescribeSnapshots".to_owned(), without_token, "failed", "Unexpected"),
        (second_page("ec2:DescribeSnapshots"), without_list, "failed", "Unexpected"),
        ("ec2:DescribeSnapshots".to_owned(), not_said, "failed", "Unexpected"),
        ("kms:ListGrants".to_owned(), no_grants, "refused", "KeyAccessMissing"),
        ("kms:ListGrants".to_owned(), endless_grants, "refused", "KeyAccessUnknown"),
    ] {
        let keys = stage.seed(&scene);
        let before = stage.state(&keys);
        let wanted = page.clone();
        proxy.rule(move |call, aws| {
            let mut answer = aws();
            if of_page(call) == wanted {
                answer.body = edit(&answer.body);
            }
            Reply::Answer(answer)
        });
        let outcome = outcome(&function.invoke(&scene.request));
        assert_eq!(outcome["result"], result, "{page}: {outcome:#}");
        let codes: Vec<_> =
            outcome["refusals"].as_array().unwrap().iter().chain(outcome["errors"].as_array().unwrap()).collect();
        assert!(
            codes.iter().all(|row| row["code"].as_str().unwrap().starts_with(code)) && !codes.is_empty(),
            "{page}: {outcome:#}"
        );
        assert_eq!(stage.state(&keys), before, "{page}");
        assert!(proxy.calls().iter().any(|call| of_page(call) == page), "{page} was never asked for");
    }
    // Whole pages, one item each, are put together.
    stage.seed(&scene);
    proxy.let_pass();
    assert_eq!(function.invoke(&scene.request).unwrap()["result"], "completed");
    assert!(proxy.calls().iter().any(|call| of_page(call) == second_page("ec2:DescribeSnapshots")));
}

#[test]
fn an_image_cut_off_before_its_snapshots_is_not_shared_without_the_key_check() {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let proxy = Proxy::start(aws.address);
    let function = Function::start(&proxy.endpoint, scenes::ALLOWLIST, &[]);
    // Nobody may use the key: sharing this image is only ever refused.
    let mut scene = scenes::scene("share, encrypted, let in by a grant");
    scene.seed["keys"][0]["grants"] = json!([]);
    let scene = stage.place(&scene);
    let keys = stage.seed(&scene);
    let before = stage.state(&keys);
    for cut in ["<blockDeviceMapping>", "<ebs>", "</imagesSet>", "</DescribeImagesResponse>"] {
        proxy.rule(move |call, aws| {
            let mut answer = aws();
            if call.name == "ec2:DescribeImages" {
                let place = answer.body.find(cut).unwrap_or_else(|| panic!("no {cut} in {}", answer.body));
                answer.body.truncate(place);
            }
            Reply::Answer(answer)
        });
        let outcome = outcome(&function.invoke(&scene.request));
        assert_eq!(
            (&outcome["result"], &outcome["errors"][0]["code"]),
            (&json!("failed"), &json!("Unavailable")),
            "{cut}: {outcome:#}"
        );
        assert_eq!(stage.state(&keys), before, "{cut}");
    }
}
