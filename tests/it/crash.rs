//! Crashes: the function is killed before and after every single AWS call and when it answers. In whatever state that
//! leaves, every invariant holds, and the same request to a new process ends where an undisturbed one does.
//!
//! A new kind of step or action needs at most a row in [`scenes`]: the calls are counted, not named.

use std::time::Duration;

use serde_json::Value;

use crate::support::{
    function::{Answer, Function},
    invariants::{Change, violations},
    local_aws::LocalAws,
    proxy::{Call, Proxy, Reply},
    scenes::{self, Scene, Stage},
};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Crash {
    Never,
    /// Before the call reaches AWS.
    Before(usize),
    /// When AWS has answered the call, before the function sees it.
    After(usize),
    /// When the function answers, before Lambda has the answer.
    Answering,
}

/// What one run showed.
struct Run {
    answer: Option<Answer>,
    calls: Vec<Call>,
    after: Value,
    log: String,
}

fn run(aws: &LocalAws, scene: &Scene, crash: Crash) -> Run {
    run_by(aws, scene, Process::New, crash)
}

/// What the process did before.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Process {
    New,
    /// It remembers the images, so it reads in another order.
    Remembers,
}

fn run_by(aws: &LocalAws, scene: &Scene, process: Process, crash: Crash) -> Run {
    let proxy = Proxy::start(aws.address);
    let function = Function::start(&proxy.endpoint, scenes::ALLOWLIST, &scenes::VARIABLES);
    if process == Process::Remembers {
        function.invoke(&scene.question()).unwrap();
        proxy.let_pass();
    }
    let lambda = function.lambda();
    match crash {
        Crash::Never => {}
        Crash::Answering => function.die_answering(),
        Crash::Before(index) => proxy.rule(move |call, aws| {
            if call.index >= index {
                lambda.kill();
                return Reply::Hangup;
            }
            Reply::Answer(aws())
        }),
        Crash::After(index) => proxy.rule(move |call, aws| {
            if call.index > index {
                return Reply::Hangup;
            }
            let answer = aws();
            if call.index == index {
                lambda.kill();
            }
            Reply::Answer(answer)
        }),
    }
    let answer = function.send(&scene.event().to_string(), MINUTE);
    proxy.settle();
    Run { answer, calls: proxy.calls(), after: aws.state(), log: function.log() }
}

/// Every write was a step of a plan that was logged before.
fn unplanned(run: &Run) -> Vec<String> {
    let lines = run.log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let plans: Vec<_> = lines.filter(|line| line["plan.call"].is_string()).collect();
    let is_planned = |call: &&Call| {
        plans
            .iter()
            .any(|plan| plan["plan.call"] == *call.name && call.body.contains(plan["plan.resource"].as_str().unwrap()))
    };
    let writes = run.calls.iter().filter(|call| call.is_write());
    writes.filter(|call| !is_planned(call)).map(|call| format!("unplanned: {} {}", call.name, call.body)).collect()
}

/// Crashes a scene everywhere.
#[track_caller]
fn crash_everywhere(name: &str, process: Process) {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let scene = stage.place(&scenes::scene(name));
    let keys = stage.seed(&scene);
    let plain = |state: &Value| scenes::without_ids(state, &keys);
    let check = |crash: Crash, before: &Value, run: &Run| {
        let change = Change { request: &scene.request, is_unchecked: scene.is_unchecked, before, after: &run.after };
        let mut found = violations(&change);
        found.extend(unplanned(run));
        assert_eq!(found, [""; 0], "{name}, {crash:?}");
    };

    let before = aws.state();
    let undisturbed = run_by(&aws, &scene, process, Crash::Never);
    let answer = undisturbed.answer.as_ref().unwrap().as_ref().unwrap();
    assert_eq!(answer["result"], scene.result(), "{answer:#}");
    assert_ne!(plain(&undisturbed.after), plain(&before), "{name} changes nothing, so it shows nothing");
    check(Crash::Never, &before, &undisturbed);

    let calls = undisturbed.calls.len();
    let points = (0..calls).flat_map(|index| [Crash::Before(index), Crash::After(index)]).chain([Crash::Answering]);
    let (mut crashes, mut states) = (0, std::collections::BTreeSet::new());
    for crash in points {
        aws.clear();
        let keys = stage.seed(&scene);
        let before = aws.state();
        let crashed = run_by(&aws, &scene, process, crash);
        assert!(crashed.answer.is_none(), "{name}, {crash:?}: it answered {:?}", crashed.answer);
        check(crash, &before, &crashed);
        states.insert(scenes::without_ids(&crashed.after, &keys).to_string());

        let repeated = run(&aws, &scene, Crash::Never);
        let answer = repeated.answer.as_ref().unwrap().as_ref().unwrap();
        assert_eq!(answer["result"], scene.result(), "{name}, {crash:?}: {answer:#}");
        check(crash, &before, &repeated);
        let ended = scenes::without_ids(&repeated.after, &keys);
        assert_eq!(ended, plain(&undisturbed.after), "{name}, {crash:?}");
        crashes += 1;
    }
    let writes = undisturbed.calls.iter().filter(|call| call.is_write()).count();
    // Crashes are shown to happen in between: before the first write, after the last, and where there are two, between.
    assert!(states.len() > writes.min(2), "{name}: {} states", states.len());
    println!(
        "crash suite: {name}, {process:?}: {calls} calls ({writes} writes), {crashes} crash points, {} runs, {} states left behind",
        1 + 2 * crashes,
        states.len()
    );
}

macro_rules! crash {
    ($($test:ident: $scene:literal,)*) => {
        $(#[test] fn $test() { crash_everywhere($scene, Process::New); })*

        #[test]
        fn every_scene_is_crashed() {
            let mut names: Vec<_> = scenes::scenes().into_iter().map(|scene| scene.name).collect();
            let mut crashed = vec![$($scene),*];
            names.sort_unstable();
            crashed.sort_unstable();
            assert_eq!(crashed, names);
        }
    };
}

crash! {
    a_share_that_is_published_survives_crashes: "share, published over an older image",
    a_share_of_an_open_image_survives_crashes: "share, not encrypted, every kind of target",
    a_share_of_encrypted_images_survives_crashes: "share, two encrypted images with three keys and a grant",
    a_share_with_an_organization_survives_crashes: "share, encrypted, with an organization",
    a_share_through_a_grant_survives_crashes: "share, encrypted, let in by a grant",
    a_share_with_an_expiry_survives_crashes: "share, with an expiry, a copy and a grant",
    a_share_of_one_copy_survives_crashes: "share, one copy and its grant",
    a_revoke_of_one_copy_survives_crashes: "revoke, one copy and its grant",
    a_share_with_copies_and_grants_survives_crashes: "share, copies and grants",
    a_revoke_of_copies_and_grants_survives_crashes: "revoke, copies and grants, a snapshot of two images",
    a_reset_of_copies_and_grants_survives_crashes: "reset, copies and grants",
    an_unchecked_share_survives_crashes: "share, key not checked",
    a_revoke_survives_crashes: "revoke, three images, one disabled",
    a_revoke_of_organizations_survives_crashes: "revoke, organization and unit",
    a_reset_survives_crashes: "reset, two images, one public",
    a_share_without_an_expiry_time_where_a_record_is_survives_crashes: "share, without an expiry time where a record is",
    a_renewal_survives_crashes: "share, a renewal and a new one",
    a_revoke_of_a_share_with_an_expiry_survives_crashes: "revoke, with an expiry, a copy and a grant",
    a_reset_of_a_share_with_two_records_survives_crashes: "reset, with two records of a share",
    usage_survives_crashes: "usage, an old report and none",
    an_expiry_survives_crashes: "expire, a copy and a grant",
    an_expiry_of_a_renewed_share_survives_crashes: "expire, the share was renewed",
    an_expiry_of_an_image_that_is_gone_survives_crashes: "expire, the image is gone",
}

#[test]
fn shares_by_a_process_that_remembers_the_images_survive_crashes() {
    for name in ["share, two encrypted images with three keys and a grant", "share, with an expiry, a copy and a grant"]
    {
        crash_everywhere(name, Process::Remembers);
    }
}

#[test]
fn a_crash_point_really_is_one() {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let scene = stage.place(&scenes::scene("share, not encrypted, every kind of target"));
    stage.seed(&scene);
    let before = aws.state();
    let write = run(&aws, &scene, Crash::Never).calls.iter().position(Call::is_write).unwrap();
    for (crash, is_changed) in [(Crash::Before(write), false), (Crash::After(write), true), (Crash::Answering, true)] {
        aws.clear();
        stage.seed(&scene);
        let crashed = run(&aws, &scene, crash);
        assert_eq!(crashed.after != before, is_changed, "{crash:?}");
        assert!(!crashed.log.contains("outcome.result") || crash == Crash::Answering, "{}", crashed.log);
    }
}
