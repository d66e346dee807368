//! Approvals that are disturbed: the function is killed around every call of what asks, approves, rejects and gives up, its
//! calls fail, and two of it cross. Whatever happens, nobody gets access that nobody approved, every share is made or given
//! up once, and in the end no record is left but an ask that waits.

use std::time::Duration;

use serde_json::{Value, json};
use time::{Duration as Days, OffsetDateTime};

use crate::{
    concurrency::{overtaken, told_apart},
    support::{
        desk::{ADA, BOB, Desk, OWNER, RULES, WEB, answer, decides, start},
        disturbed::{self, Disturbed, crash_everywhere},
        function::{Answer, Function},
        local_aws::LocalAws,
        proxy::{Call, Proxy},
    },
};

/// The time of an invocation in which a call fails every time: what AWS throttles is tried until it is over.
const SHORT: Duration = Duration::from_secs(5);

/// What is disturbed. Each begins with an image that is shared with nobody.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scene {
    /// Somebody asks.
    Ask,
    /// Somebody asks again for what nobody answered in time.
    AskAgain,
    Approve,
    Reject,
    /// The hint of an ask that nobody answered.
    Lapse,
    /// The hint of an approval that was interrupted.
    CarryOn,
}

/// The calls of a scene if nothing disturbs it.
pub fn calls(scene: Scene) -> Vec<Call> {
    Stage::set(LocalAws::turn(), scene).calls()
}

/// A scene with the event that is disturbed.
struct Stage {
    desk: Desk,
    proxy: Proxy,
    scene: Scene,
    id: String,
    event: Value,
}

impl Stage {
    /// Whether somebody decided that the share is made.
    fn is_approval(&self) -> bool {
        matches!(self.scene, Scene::Approve | Scene::CarryOn)
    }
}

impl Disturbed for Stage {
    type Scene = Scene;

    fn set(aws: LocalAws, scene: Scene) -> Self {
        aws.clear();
        let desk = Desk::on(aws, RULES);
        let long_ago = OffsetDateTime::now_utc() - Days::days(8);
        let id = match scene {
            Scene::Ask => String::new(),
            Scene::AskAgain | Scene::Lapse => desk.asked_at(long_ago),
            Scene::Approve | Scene::Reject | Scene::CarryOn => desk.waiting(),
        };
        let event = match scene {
            Scene::Ask | Scene::AskAgain => desk.asks(BOB, &json!({})),
            Scene::Approve => decides(ADA, &id, true),
            Scene::Reject => decides(ADA, &id, false),
            Scene::Lapse => desk.world.aws.hints("ask-").remove(0),
            Scene::CarryOn => {
                desk.world.aws.fault("ec2:DescribeImages", "InternalError", 500, 100);
                desk.approve(ADA, &id);
                desk.world.aws.no_faults();
                desk.world.aws.hints("did-").remove(0)
            }
        };
        let proxy = Proxy::start(desk.world.aws.address);
        Self { desk, proxy, scene, id, event }
    }

    fn scene(&self) -> Scene {
        self.scene
    }

    fn aws(&self) -> &LocalAws {
        &self.desk.world.aws
    }

    fn into_aws(self) -> LocalAws {
        self.desk.world.aws
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    fn event(&self) -> &Value {
        &self.event
    }

    fn disturbed(&self) -> Function {
        start(&self.proxy.endpoint, RULES, &self.desk.record_key)
    }

    #[track_caller]
    fn check(&self, what: &str) {
        let shared = self.desk.shared();
        assert!(shared.is_empty() || self.is_approval() && shared == [WEB], "{what}: {shared:?}");
        // As long as the share is not made or given up, a record is there that goes on with it.
        let is_open = self.desk.shared().is_empty() && self.is_approval();
        assert!(!is_open || !self.desk.records().is_empty(), "{what}: nothing would go on with it");
    }

    #[track_caller]
    fn ends_well(&self, what: &str) {
        let desk = &self.desk;
        let _ = desk.world.outcome(&self.event);
        self.check(what);
        desk.tick("did-");
        self.check(what);
        if matches!(self.scene, Scene::Ask | Scene::AskAgain) {
            // The lapsed one may have been in the way, for as long as its end was interrupted.
            let id = desk.waiting();
            assert_eq!(desk.records(), [format!("ask-{id}")], "{what}");
            assert_eq!(desk.approve(OWNER, &id).0, 200, "{what}");
            assert_eq!(desk.shared(), [WEB], "{what}");
            return;
        }
        assert!(desk.records().is_empty(), "{what}: {:?}", desk.records());
        assert_eq!(desk.shared().is_empty(), !self.is_approval(), "{what}");
    }
}

/// Lets each call fail in turn, in ways that pass.
#[track_caller]
fn fail_everywhere(scene: Scene) {
    disturbed::fail_everywhere::<Stage>(scene, SHORT, passing, |what, told| {
        if let Ok(told) = told
            && told["statusCode"].is_number()
        {
            // What is not needed is done without: the records of expiries, and the deletion of what was carried out.
            let (status, document) = answer(told);
            assert!(status < 300 || document["retryable"] == true, "{what}: {document:#}");
        }
    });
}

/// What the service of a call answers with where trying again helps.
fn passing(call: &str) -> [(&'static str, u16); 2] {
    match call.split(':').next() {
        Some("ec2") => [("RequestLimitExceeded", 503), ("InternalError", 500)],
        Some("kms") => [("ThrottlingException", 400), ("KMSInternalException", 500)],
        _ => [("ThrottlingException", 429), ("InternalServerException", 500)],
    }
}

/// Stops the event before each of its calls, until another event was handled from beginning to end.
#[track_caller]
fn cross(scene: Scene, other: impl Fn(&Stage) -> Value, check: impl Fn(&Stage, &str, &Answer, &Answer)) {
    let mut stage = Stage::set(LocalAws::turn(), scene);
    let calls = told_apart(stage.calls());
    for (name, number) in &calls {
        stage = stage.again();
        let (stopped, quick) = (stage.disturbed(), &stage.desk.world.function);
        let other = other(&stage);
        let what = format!("{scene:?} stopped before {name} number {number}, overtaken by {other}");
        let (one, other) =
            overtaken(&stage.proxy, (name, *number), || stopped.invoke(&stage.event), || quick.invoke(&other));
        stage.proxy.let_pass();
        check(&stage, &what, &one, &other);
    }
    println!("concurrency: {scene:?}: {} interleavings", calls.len());
}

macro_rules! disturb {
    ($($crash:ident $fail:ident: $scene:ident,)*) => {
        $(
            #[test] fn $crash() { crash_everywhere::<Stage>(Scene::$scene); }
            #[test] fn $fail() { fail_everywhere(Scene::$scene); }
        )*
    };
}

disturb! {
    an_ask_survives_crashes an_ask_recovers_from_faults: Ask,
    an_ask_that_takes_the_place_of_a_lapsed_one_survives_crashes an_ask_that_takes_the_place_of_a_lapsed_one_recovers_from_faults: AskAgain,
    an_approval_survives_crashes an_approval_recovers_from_faults: Approve,
    a_rejection_survives_crashes a_rejection_recovers_from_faults: Reject,
    a_lapse_survives_crashes a_lapse_recovers_from_faults: Lapse,
    an_approval_that_is_carried_on_survives_crashes an_approval_that_is_carried_on_recovers_from_faults: CarryOn,
}

#[test]
fn a_lapse_that_crosses_an_ask_leaves_one_ask_or_none_and_says_so() {
    // Whoever gives the old one up first does; the other must not take the new one away.
    let waits = |stage: &Stage, what: &str, asked: &Answer| {
        let (status, told) = answer(asked.as_ref().unwrap());
        let there = stage.desk.records();
        match status {
            202 => assert_eq!(there, [format!("ask-{}", told["approval"]["id"].as_str().unwrap())], "{what}"),
            _ => assert!(status >= 500 && told["retryable"] == true, "{what}: {told:#}"),
        }
        stage.desk.tick("did-");
        let id = stage.desk.waiting();
        assert_eq!(stage.desk.approve(OWNER, &id).0, 200, "{what}");
    };
    let hint = |stage: &Stage| stage.desk.world.aws.hints("ask-").remove(0);
    cross(Scene::AskAgain, hint, |stage, what, one, _| waits(stage, what, one));
    let ask = |stage: &Stage| stage.desk.asks(BOB, &json!({}));
    cross(Scene::Lapse, ask, |stage, what, _, other| waits(stage, what, other));
}

#[test]
fn asks_that_cross_are_one() {
    let ask = |stage: &Stage| stage.desk.asks(BOB, &json!({}));
    for scene in [Scene::Ask, Scene::AskAgain] {
        cross(scene, ask, |stage, what, one, other| {
            let [one, other] = [one, other].map(|told| answer(told.as_ref().unwrap()));
            assert!(one.0 == 202 || other.0 == 202, "{what}: {one:#?} {other:#?}");
            stage.desk.tick("did-");
            let id = stage.desk.waiting();
            assert_eq!(stage.desk.records(), [format!("ask-{id}")], "{what}");
        });
    }
}

#[test]
fn an_approval_that_crosses_a_lapse_a_tick_or_a_revoke_is_made_or_not() {
    let tick = |stage: &Stage| json!({"action": "expire", "schedule": format!("did-{}", stage.id)});
    cross(Scene::Approve, tick, |stage, what, one, _| {
        // If the tick has made the share already, the approver finds nothing that waits.
        assert!([200, 404].contains(&answer(one.as_ref().unwrap()).0), "{what}");
        assert_eq!((stage.desk.shared(), stage.desk.records().len()), (vec![WEB.to_owned()], 0), "{what}");
    });
    let hint = |stage: &Stage| json!({"action": "expire", "schedule": format!("ask-{}", stage.id)});
    cross(Scene::Approve, hint, |stage, what, _, _| {
        assert_eq!((stage.desk.shared(), stage.desk.records().len()), (vec![WEB.to_owned()], 0), "{what}");
    });
    let approve = |stage: &Stage| decides(OWNER, &stage.id, true);
    cross(Scene::Lapse, approve, |stage, what, _, other| {
        let (status, told) = answer(other.as_ref().unwrap());
        assert!([404, 409].contains(&status), "{what}: {told:#}");
        assert!(stage.desk.shared().is_empty() && stage.desk.records().is_empty(), "{what}");
    });
}

#[test]
fn an_ask_that_follows_a_rejection_is_not_taken_away_with_it() {
    // The rejection is carried out, and the same share is asked for again, while the first tick still looks.
    let reject_and_ask = |stage: &Stage| decides(OWNER, &stage.id, false);
    cross(Scene::Reject, reject_and_ask, |stage, what, one, other| {
        let done = [one, other].map(|told| answer(told.as_ref().unwrap()).0 == 200);
        assert_eq!(done.iter().filter(|done| **done).count(), 1, "{what}");
        stage.desk.tick("did-");
        assert!(stage.desk.records().is_empty() && stage.desk.shared().is_empty(), "{what}");
    });
}
