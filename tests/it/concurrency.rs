//! Two requests on one image at once: the one is stopped before each of its calls in turn, the other runs from
//! beginning to end, and then the first goes on. Where the image ends up is written down for every pair.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use serde_json::{Value, json};
use time::{Duration as Ahead, OffsetDateTime};

use crate::support::{
    function::{Answer, Function},
    invariants::shares_that_never_expire,
    local_aws::LocalAws,
    proxy::{Call, Proxy, Reply},
    scenes::{self, Stage, launch_permissions},
    steady::steadily,
};

const WEB: &str = "111122223333";
const DATA: &str = "222233334444";
const OTHER: &str = "777788889999";

/// A request on the image of the scene.
type Ask = (&'static str, &'static [&'static str]);

/// Whom the image is shared with before, the request that is stopped, the one that overtakes it, and whom the image is
/// shared with in the end. Where there are two ends, which of them depends on what came first at EC2.
type Pair = (&'static [&'static str], Ask, Ask, &'static [&'static [&'static str]]);

const PAIRS: [Pair; 14] = [
    // Different targets don't touch each other.
    (&[OTHER], ("share", &[WEB]), ("share", &[DATA]), &[&[WEB, DATA, OTHER]]),
    (&[DATA, OTHER], ("share", &[WEB]), ("revoke", &[DATA]), &[&[WEB, OTHER]]),
    (&[DATA, OTHER], ("revoke", &[DATA]), ("share", &[WEB]), &[&[WEB, OTHER]]),
    (&[WEB, DATA, OTHER], ("revoke", &[WEB]), ("revoke", &[DATA]), &[&[OTHER]]),
    (&[OTHER], ("share", &[WEB, DATA]), ("share", &[DATA]), &[&[WEB, DATA, OTHER]]),
    // The same request twice is the request once.
    (&[OTHER], ("share", &[WEB]), ("share", &[WEB]), &[&[WEB, OTHER]]),
    (&[WEB, OTHER], ("revoke", &[WEB]), ("revoke", &[WEB]), &[&[OTHER]]),
    (&[WEB, OTHER], ("reset", &[]), ("reset", &[]), &[&[]]),
    (&[WEB, OTHER], ("reset", &[]), ("revoke", &[WEB]), &[&[]]),
    // What contradicts: whose write of the launch permission came last. A request that takes away has more to write
    // after it, so it can be overtaken there too.
    (&[OTHER], ("share", &[WEB]), ("revoke", &[WEB]), &[&[WEB, OTHER]]),
    (&[WEB, OTHER], ("share", &[WEB]), ("revoke", &[WEB]), &[&[WEB, OTHER], &[OTHER]]),
    (&[OTHER], ("revoke", &[WEB]), ("share", &[WEB]), &[&[OTHER], &[WEB, OTHER]]),
    (&[OTHER], ("share", &[WEB]), ("reset", &[]), &[&[WEB]]),
    (&[OTHER], ("reset", &[]), ("share", &[WEB]), &[&[], &[WEB]]),
];

fn request(image: &str, (action, targets): Ask) -> Value {
    let mut request = json!({"action": action, "imageIds": [image]});
    if !targets.is_empty() {
        request["accountIds"] = json!(targets);
    }
    request
}

fn sorted(targets: &[&str]) -> Vec<String> {
    let mut targets: Vec<_> = targets.iter().map(|target| (*target).to_owned()).collect();
    targets.sort();
    targets
}

/// The calls of an invocation by their names, each with how many of its name came before it. Calls that are made together
/// arrive in any order, so the how manieth of all it is says nothing.
pub fn told_apart(calls: Vec<Call>) -> Vec<(String, usize)> {
    let mut counts = BTreeMap::<_, usize>::new();
    let apart = calls.into_iter().map(|call| {
        let count = counts.entry(call.name.clone()).or_default();
        *count += 1;
        (call.name, *count - 1)
    });
    apart.collect()
}

/// Whether the process that is stopped remembers the image: then it makes its calls in another order. Only shares do.
const REMEMBERS: [bool; 2] = [false, true];

/// A process that is to be stopped. A new one each time, because in the world of each case the image has another key, and
/// that never happens to an image in AWS.
fn to_be_stopped(proxy: &Proxy, variables: &[(&str, &str)], remembers: bool) -> Function {
    proxy.let_pass();
    let function = Function::start(&proxy.endpoint, scenes::ALLOWLIST, variables);
    if remembers {
        function.invoke(&request(&scenes::image(1), ("check", &[WEB]))).unwrap();
    }
    proxy.let_pass();
    function
}

#[test]
fn two_requests_on_one_image_end_as_written_down() {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let proxy = Proxy::start(aws.address);
    let overtaking = Function::start(aws.endpoint, scenes::ALLOWLIST, &[]);
    let image = scenes::image(1);
    let mut interleavings = 0;
    let cases = PAIRS.into_iter().flat_map(|pair| REMEMBERS.map(|remembers| (pair, remembers)));
    for ((before, one, other, ends), remembers) in cases.filter(|((_, one, ..), it)| !it || one.0 == "share") {
        let scene = stage.place(&scenes::shared_with(before));
        let (one, other) = (request(&image, one), request(&image, other));
        stage.seed(&scene);
        to_be_stopped(&proxy, &[], remembers).invoke(&one).unwrap();
        let seen = RefCell::new(BTreeSet::new());
        for (name, number) in told_apart(proxy.calls()) {
            let what = format!(
                "{one} stopped before {name} number {number}, overtaken by {other}, remembering the image: {remembers}"
            );
            // A call that is held for too long is made again.
            steadily(|| {
                let keys = stage.seed(&scene);
                let stopped = to_be_stopped(&proxy, &[], remembers);
                let (slow, quick) =
                    overtaken(&proxy, (&name, number), || stopped.invoke(&one), || overtaking.invoke(&other));
                for answer in [slow, quick] {
                    assert_eq!(answer.unwrap()["result"], "completed", "{what}");
                }
                let state = stage.state(&keys);
                let end = launch_permissions(&state, &image);
                assert!(ends.iter().any(|expect| sorted(expect) == end), "{what}: {end:?}");
                assert_eq!(launch_permissions(&state, &scenes::image(99)), [WEB, OTHER], "{what}");
                seen.borrow_mut().insert(end);

                // Whoever asks again gets what was asked for.
                overtaking.invoke(&other).unwrap();
                let end = launch_permissions(&stage.state(&keys), &image);
                let targets = other["accountIds"].as_array().into_iter().flatten();
                for target in targets.map(|target| target.as_str().unwrap().to_owned()) {
                    assert_eq!(end.contains(&target), other["action"] == "share", "{what}, asked again: {end:?}");
                }
            });
            interleavings += 1;
        }
        let seen = seen.into_inner();
        assert_eq!(seen.len(), ends.len(), "{one}, {other}: an end that is written down never came: {seen:?}");
    }
    println!("concurrency: {} pairs of requests, {interleavings} interleavings", PAIRS.len());
}

#[test]
fn two_requests_for_the_usage_of_an_image_start_one_report() {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let proxy = Proxy::start(aws.address);
    let stopped = Function::start(&proxy.endpoint, scenes::ALLOWLIST, &[]);
    let overtaking = Function::start(aws.endpoint, scenes::ALLOWLIST, &[]);
    let scene = stage.place(&scenes::scene("usage, an old report and none"));
    let request = &scene.request;
    stage.seed(&scene);
    stopped.invoke(request).unwrap();
    for (name, number) in told_apart(proxy.calls()) {
        steadily(|| {
            let keys = stage.seed(&scene);
            let (slow, quick) =
                overtaken(&proxy, (&name, number), || stopped.invoke(request), || overtaking.invoke(request));
            for answer in [slow, quick] {
                assert_eq!(answer.unwrap()["result"], "accepted", "stopped before {name} number {number}");
            }
            let reports = scenes::without_ids(&stage.state(&keys), &keys)["usageReports"].clone();
            let of = |image: usize, state: &str| json!({"imageId": scenes::image(image), "state": state});
            let expect = [of(1, "available"), of(1, "pending"), of(2, "pending")];
            assert_eq!(reports, json!(expect), "stopped before {name} number {number}");
        });
    }
}

/// Begins the one, holds that call of it until the other is over, and lets it go on. Gives both answers.
pub fn overtaken(
    proxy: &Proxy,
    (name, number): (&str, usize),
    one: impl FnOnce() -> Answer + Send,
    other: impl FnOnce() -> Answer,
) -> (Answer, Answer) {
    let (arrives, arrived) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let name = name.to_owned();
    let met = AtomicUsize::new(0);
    proxy.rule(move |call, aws| {
        if call.name == name && met.fetch_add(1, Ordering::SeqCst) == number {
            arrives.send(()).unwrap();
            // It also goes on where the test gave up.
            let _ = may_go_on.lock().unwrap().recv();
        }
        Reply::Answer(aws())
    });
    std::thread::scope(move |scope| {
        let slow = scope.spawn(one);
        arrived.recv_timeout(Duration::from_secs(30)).expect("the call is made again");
        let quick = other();
        go_on.send(()).unwrap();
        (slow.join().unwrap(), quick)
    })
}

/// What is asked about the expiring share of the scene, and by when it is to have expired: in so many days.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expiring {
    /// A share until then.
    ShareUntil(i64),
    /// A share that says nothing of an expiry.
    Share,
    Revoke,
    Reset,
    /// The hint of the record of that day.
    Expire(i64),
}

/// Today: its record is due.
const TODAY: i64 = 0;

/// Whether the image is shared before, the days of its records, the request that is stopped and the one that overtakes it.
type Crossing = (bool, &'static [i64], Expiring, Expiring);

/// What shares give.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Giving {
    /// Launch permissions: a statement of the key policy lets the target in.
    Launch,
    /// Create volume permissions on every snapshot and grants on the key beside them.
    Copies,
    /// The same, where the image is shared for launching before.
    CopiesOfLaunchable,
}

const CROSSINGS: [Crossing; 22] = {
    use Expiring::{Expire, Reset, Revoke, Share, ShareUntil};
    [
        // A share with an expiry and a revoke: of nothing yet, of what was begun, of what is there.
        (false, &[], ShareUntil(3), Revoke),
        (false, &[3], ShareUntil(3), Revoke),
        (true, &[3], ShareUntil(3), Revoke),
        (false, &[], Revoke, ShareUntil(3)),
        (false, &[3], Revoke, ShareUntil(3)),
        (true, &[3], Revoke, ShareUntil(3)),
        (false, &[3], Share, Revoke),
        (true, &[3], Revoke, Share),
        // A renewal and the expiry of the earlier record, or of the one that is renewed.
        (true, &[TODAY, 3], ShareUntil(5), Expire(TODAY)),
        (true, &[TODAY, 3], Expire(TODAY), ShareUntil(5)),
        (true, &[TODAY], Expire(TODAY), ShareUntil(5)),
        // A renewal and a revoke.
        (true, &[3], ShareUntil(5), Revoke),
        (true, &[3], Revoke, ShareUntil(5)),
        (true, &[3, 4], Revoke, ShareUntil(5)),
        // A share and an expiry.
        (false, &[TODAY], Expire(TODAY), Share),
        (false, &[TODAY], Share, Expire(TODAY)),
        (true, &[TODAY], Expire(TODAY), Expire(TODAY)),
        // A share with an expiry and a reset.
        (false, &[3], ShareUntil(3), Reset),
        (true, &[3], ShareUntil(5), Reset),
        (true, &[3], Reset, ShareUntil(5)),
        (true, &[3], Reset, ShareUntil(3)),
        // Two renewals.
        (true, &[3], ShareUntil(5), ShareUntil(7)),
    ]
};

const COPY_CROSSINGS: [Crossing; 13] = {
    use Expiring::{Expire, Reset, Revoke, ShareUntil};
    [
        (false, &[], ShareUntil(3), Revoke),
        (false, &[3], ShareUntil(3), Revoke),
        (true, &[3], ShareUntil(3), Revoke),
        (true, &[3], ShareUntil(5), Revoke),
        (false, &[], Revoke, ShareUntil(3)),
        (false, &[3], Revoke, ShareUntil(3)),
        (true, &[3], Revoke, ShareUntil(3)),
        (true, &[3, 4], Revoke, ShareUntil(5)),
        (false, &[3], ShareUntil(3), Reset),
        (true, &[3], Reset, ShareUntil(3)),
        (true, &[3], Reset, ShareUntil(5)),
        (true, &[TODAY, 3], Expire(TODAY), ShareUntil(5)),
        (true, &[TODAY], Expire(TODAY), ShareUntil(5)),
    ]
};

const LAUNCHABLE_CROSSINGS: [Crossing; 4] = {
    use Expiring::{Reset, Revoke, ShareUntil};
    [
        (true, &[3], ShareUntil(3), Revoke),
        (true, &[3], Revoke, ShareUntil(3)),
        (true, &[3], ShareUntil(5), Reset),
        (true, &[3], Reset, ShareUntil(3)),
    ]
};

#[test]
fn no_share_that_must_expire_is_without_a_record_however_requests_cross() {
    cross(Giving::Launch, &CROSSINGS);
}

#[test]
fn nothing_that_a_share_for_copying_gave_is_without_a_record_however_requests_cross() {
    cross(Giving::Copies, &COPY_CROSSINGS);
}

#[test]
fn nothing_that_a_launchable_image_was_given_for_copying_is_without_a_record_however_requests_cross() {
    cross(Giving::CopiesOfLaunchable, &LAUNCHABLE_CROSSINGS);
}

fn cross(giving: Giving, crossings: &[Crossing]) {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let proxy = Proxy::start(aws.address);
    let overtaking = Function::start(aws.endpoint, scenes::ALLOWLIST, &scenes::VARIABLES);
    let image = scenes::image(1);
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let day = |days: i64| now + Ahead::days(days);
    let record = |days: i64| scenes::record(&image, WEB, day(days), &[], &["key-1"]);
    let event = |asked: Expiring| match asked {
        Expiring::ShareUntil(days) => {
            let mut share = request(&image, ("share", &[WEB]));
            share["expiresAt"] = json!(scenes::rfc3339(day(days)));
            if giving != Giving::Launch {
                share["access"] = json!("copy");
                share["serviceLinkedRoles"] = json!(["autoscaling"]);
            }
            share
        }
        Expiring::Share => request(&image, ("share", &[WEB])),
        Expiring::Revoke => request(&image, ("revoke", &[WEB])),
        Expiring::Reset => request(&image, ("reset", &[])),
        Expiring::Expire(days) => json!({"action": "expire", "schedule": record(days)["name"]}),
    };
    let (mut interleavings, taken_back) = (0, AtomicUsize::new(0));
    let cases = crossings.iter().copied().flat_map(|crossing| REMEMBERS.map(|remembers| (crossing, remembers)));
    let is_share = |asked: Expiring| matches!(asked, Expiring::Share | Expiring::ShareUntil(_));
    for ((is_shared, days, one, other), remembers) in cases.filter(|((_, _, one, _), it)| !it || is_share(*one)) {
        let targets: &[_] = if is_shared { &[WEB, OTHER] } else { &[OTHER] };
        let mut scene = match giving {
            Giving::Launch => scenes::shared_with(targets),
            Giving::Copies if is_shared => scenes::copied_to(targets, &[WEB]),
            Giving::Copies | Giving::CopiesOfLaunchable => scenes::copied_to(targets, &[]),
        };
        scene.seed["schedules"] = days.iter().map(|days| record(*days)).collect();
        let scene = stage.place(&scene);
        let (first, second) = (event(one), event(other));
        stage.seed(&scene);
        let _ = to_be_stopped(&proxy, &scenes::VARIABLES, remembers).invoke(&first);
        for (name, number) in told_apart(proxy.calls()) {
            let what = format!(
                "{giving:?} {is_shared} {days:?}: {one:?} stopped before {name} number {number}, overtaken by {other:?}, \
                 remembering the image: {remembers}"
            );
            steadily(|| {
                let keys = stage.seed(&scene);
                let stopped = to_be_stopped(&proxy, &scenes::VARIABLES, remembers);
                let before = stage.state(&keys);
                let (slow, quick) =
                    overtaken(&proxy, (&name, number), || stopped.invoke(&first), || overtaking.invoke(&second));
                // A share that demands no expiry has none to lose, unless it says that it has one.
                let mut known = before.clone();
                if [one, other].contains(&Expiring::Share) && ![&slow, &quick].into_iter().any(says_when_it_expires) {
                    known["schedules"] = json!({});
                }
                let check = |known: &Value, what: &str| {
                    let after = stage.state(&keys);
                    assert_eq!(shares_that_never_expire(known, &[&first, &second], &after), [""; 0], "{what}");
                    let is_reset = [one, other].contains(&Expiring::Reset);
                    assert!(is_reset || launch_permissions(&after, &image).contains(&OTHER.to_owned()), "{what}");
                };
                check(&known, &what);
                for (asked, answer) in [(one, &slow), (other, &quick)] {
                    taken_back.fetch_add(usize::from(is_as_expected(asked, answer, &what)), Ordering::SeqCst);
                }
                // Nor does either of them sent again lose it.
                for (event, function) in [(&first, &stopped), (&second, &overtaking)] {
                    proxy.let_pass();
                    let answer = function.invoke(event);
                    if [one, other].contains(&Expiring::Share) && !says_when_it_expires(&answer) {
                        known["schedules"] = json!({});
                    }
                    check(&known, &format!("{what}; then {event}"));
                }
            });
            interleavings += 1;
        }
    }
    let taken_back = taken_back.into_inner();
    assert!(taken_back > 0, "no share was ever taken back by its second look");
    println!(
        "concurrency: {giving:?}: {} crossings of shares that expire, {interleavings} interleavings, {taken_back} taken back",
        crossings.len()
    );
}

#[test]
fn an_account_keeps_the_entry_that_another_image_needs_when_a_share_is_taken_back() {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let proxy = Proxy::start(aws.address);
    let stopped = Function::start(&proxy.endpoint, scenes::ALLOWLIST, &scenes::VARIABLES);
    let overtaking = Function::start(aws.endpoint, scenes::ALLOWLIST, &scenes::VARIABLES);
    let (image, other) = (scenes::image(1), scenes::image(2));
    let mut scene = scenes::copied_to(&[OTHER], &[]);
    // On one of the image's two snapshots there is another image, and that is shared with the account too.
    let mappings = json!([{"device": "/dev/sda", "snapshot": scenes::snapshot(10)}]);
    scene.seed["images"]
        .as_array_mut()
        .unwrap()
        .push(json!({"id": other, "name": "granted-2", "launchPermissions": [WEB], "mappings": mappings}));
    let scene = stage.place(&scene);
    let mut share = request(&image, ("share", &[WEB]));
    share["access"] = json!("copy");
    share["expiresAt"] = json!(scenes::rfc3339(*scenes::EXPIRES));
    let revoke = request(&image, ("revoke", &[WEB]));
    steadily(|| {
        let keys = stage.seed(&scene);
        let (shared, revoked) =
            overtaken(&proxy, ("scheduler:GetSchedule", 0), || stopped.invoke(&share), || overtaking.invoke(&revoke));
        assert_eq!(revoked.unwrap()["result"], "completed");
        assert_eq!(shared.unwrap_err()["errorType"], "ExpiryLost");
        let state = stage.state(&keys);
        let may_copy = |snapshot: usize| {
            let entries = &state["snapshots"][scenes::snapshot(snapshot)]["createVolumePermissions"];
            entries.as_array().unwrap().contains(&json!(WEB))
        };
        assert_eq!((may_copy(10), may_copy(11)), (true, false));
        assert_eq!(launch_permissions(&state, &image), [OTHER]);
        assert_eq!(launch_permissions(&state, &other), [WEB]);
        assert_eq!(state["grants"].as_array().unwrap().len(), 0, "{state:#}");
    });
}

/// Whether a share answers with an expiry time.
fn says_when_it_expires(answer: &Answer) -> bool {
    answer.as_ref().is_ok_and(|outcome| {
        outcome["action"] == "share" && outcome["images"][0]["targets"][0]["expiresAt"].is_string()
    })
}

/// Holds an answer against what is promised of crossing requests; says whether a share took itself back.
fn is_as_expected(asked: Expiring, answer: &Answer, what: &str) -> bool {
    match answer {
        Ok(outcome) if outcome["result"] == "completed" => false,
        Ok(outcome) => {
            let codes: Vec<_> =
                outcome["refusals"].as_array().unwrap().iter().map(|refusal| &refusal["code"]).collect();
            assert!(matches!(asked, Expiring::Share | Expiring::ShareUntil(_)), "{what}: {outcome:#}");
            // A renewal that finds a later one is refused for that.
            let [code] = codes.as_slice() else { panic!("{what}: {outcome:#}") };
            assert!(["ShareEnding", "ExpiryNotAllowed"].contains(&code.as_str().unwrap()), "{what}: {outcome:#}");
            false
        }
        Err(error) => {
            let outcome: Value = serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap();
            assert_eq!(
                (
                    &outcome["result"],
                    &outcome["retryable"],
                    &error["errorType"],
                    &outcome["images"][0]["targets"][0]["state"]
                ),
                (&json!("incomplete"), &json!(true), &json!("ExpiryLost"), &json!("failed")),
                "{what}: {outcome:#}"
            );
            true
        }
    }
}

#[test]
fn many_copies_of_a_request_at_once_are_one() {
    const COPIES: usize = 8;
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let functions: Vec<_> = (0..COPIES).map(|_| Function::start(aws.endpoint, scenes::ALLOWLIST, &[])).collect();
    let image = scenes::image(1);
    let scene = stage.place(&scenes::shared_with(&[OTHER]));
    let keys = stage.seed(&scene);
    for (ask, expect) in [(("share", &[WEB, DATA][..]), &[WEB, DATA, OTHER][..]), (("revoke", &[WEB]), &[DATA, OTHER])]
    {
        let request = request(&image, ask);
        std::thread::scope(|scope| {
            for function in &functions {
                scope.spawn(|| assert_eq!(function.invoke(&request).unwrap()["result"], "completed"));
            }
        });
        assert_eq!(launch_permissions(&stage.state(&keys), &image), sorted(expect), "{request}");
    }
    println!("concurrency: 2 requests, {COPIES} copies of each at once");
}

#[test]
fn what_arrives_late_is_done_late() {
    // Nothing orders a standard queue or a bus: a revoke that overtakes its share is undone by it.
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let function = Function::start(aws.endpoint, scenes::ALLOWLIST, &[]);
    let image = scenes::image(1);
    let keys = stage.seed(&stage.place(&scenes::shared_with(&[OTHER])));
    for (ask, expect) in [("revoke", &[OTHER][..]), ("share", &[WEB, OTHER]), ("revoke", &[OTHER])] {
        function.invoke(&request(&image, (ask, &[WEB]))).unwrap();
        assert_eq!(launch_permissions(&stage.state(&keys), &image), sorted(expect));
    }
}
