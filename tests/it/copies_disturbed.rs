//! Copies that are disturbed: the function is killed around every call of what begins, makes and ends a share of a copy, its
//! calls fail, and two of it cross. Whatever happens, one copy is made, nobody gets access that waits no more, and in the
//! end no record is left.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    concurrency::{overtaken, told_apart},
    support::{
        copies::{Copies, DATA, THERE, WEB, rules, start},
        disturbed::{self, Disturbed, crash_everywhere},
        function::{Answer, Function},
        local_aws::LocalAws,
        proxy::{Call, Proxy},
    },
};

const MINUTE: Duration = Duration::from_secs(60);

/// What is disturbed.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// The name of the image.
    image: &'static str,
    /// For whom the share waits already.
    waiting: &'static [&'static str],
    /// What has become of the copy before.
    copy: &'static str,
    event: Event,
    /// Whom the copy is shared with in the end.
    end: &'static [&'static str],
}

#[derive(Debug, Clone, Copy)]
pub enum Event {
    Share(&'static [&'static str]),
    Revoke(&'static [&'static str]),
    Hint,
    /// EC2's event of the copy.
    Available,
}

const GOLDEN: Scene = Scene { image: "golden-1", waiting: &[WEB], copy: "available", event: Event::Hint, end: &[WEB] };
pub const BEGUN: Scene =
    Scene { waiting: &[], copy: "", event: Event::Share(&[WEB, DATA]), end: &[WEB, DATA], ..GOLDEN };
const JOINED: Scene = Scene { copy: "", event: Event::Share(&[WEB, DATA]), end: &[WEB, DATA], ..GOLDEN };
pub const GRANTED: Scene = Scene { image: "granted-1", ..GOLDEN };
pub const FAILED: Scene = Scene { copy: "failed", end: &[], ..GOLDEN };
const TAKEN_BACK: Scene =
    Scene { waiting: &[WEB, DATA], copy: "", event: Event::Revoke(&[WEB]), end: &[DATA], ..GOLDEN };
const TAKEN_BACK_LATE: Scene = Scene { copy: "available", ..TAKEN_BACK };
/// A share of which the copy becomes available while it is taken back.
pub const TAKEN_BACK_MEANWHILE: Scene = Scene { copy: "", event: Event::Revoke(&[WEB]), end: &[], ..GOLDEN };
/// The same with a grant.
const GRANT_TAKEN_BACK_MEANWHILE: Scene = Scene { image: "granted-1", ..TAKEN_BACK_MEANWHILE };
/// A share that is asked for again when its copy has failed.
pub const ASKED_AGAIN: Scene = Scene { copy: "failed", event: Event::Share(&[WEB]), ..GOLDEN };

/// The calls of a scene if nothing disturbs it.
pub fn calls(scene: Scene) -> Vec<Call> {
    Stage::set(LocalAws::turn(), scene).calls()
}

/// A scene with the event that is disturbed.
struct Stage {
    copies: Copies,
    proxy: Proxy,
    scene: Scene,
    event: Value,
}

impl Stage {
    /// The copies: their states, and whom they are shared with.
    fn made(&self) -> Vec<(String, Vec<String>)> {
        let state = self.copies.world.aws.state();
        let images = state["images"].as_object().unwrap().values();
        let source = json!(format!("{THERE}/{}", self.copies.source));
        let copies = images.filter(|image| image["source"] == source);
        let texts = |list: &Value| list.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
        copies.map(|it| (it["state"].as_str().unwrap().to_owned(), texts(&it["launchPermissions"]))).collect()
    }
}

impl Disturbed for Stage {
    type Scene = Scene;

    fn set(aws: LocalAws, scene: Scene) -> Self {
        let copies = Copies::on(aws, scene.image, THERE, &json!({}));
        if !scene.waiting.is_empty() {
            copies.accepted(scene.waiting);
        }
        if !scene.copy.is_empty() {
            copies.end(scene.copy, Some("why"));
        }
        let event = match scene.event {
            Event::Share(targets) => copies.ask("share", targets, &json!({})),
            Event::Revoke(targets) => copies.ask("revoke", targets, &json!({})),
            Event::Hint => hint(&copies),
            Event::Available => available(&copies),
        };
        let proxy = Proxy::start(copies.world.aws.address);
        Self { copies, proxy, scene, event }
    }

    fn scene(&self) -> Scene {
        self.scene
    }

    fn aws(&self) -> &LocalAws {
        &self.copies.world.aws
    }

    fn into_aws(self) -> LocalAws {
        self.copies.world.aws
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    fn event(&self) -> &Value {
        &self.event
    }

    fn disturbed(&self) -> Function {
        start(&self.proxy.endpoint, &rules(&self.copies.key, &self.copies.other_key), &self.copies.record_key)
    }

    #[track_caller]
    fn check(&self, what: &str) {
        let is_waiting = !self.copies.records().is_empty();
        for (_, shared) in self.made() {
            assert!(shared.iter().all(|target| [WEB, DATA].contains(&target.as_str())), "{what}: {shared:?}");
        }
        let pending = self.made().iter().filter(|(state, _)| state == "pending").count();
        assert!(pending <= 1, "{what}: {:?}", self.made());
        let may_wait = matches!(self.scene.event, Event::Share(_));
        assert!(pending == 0 || is_waiting || !may_wait, "{what}: a copy is made and nobody knows for whom");
    }

    #[track_caller]
    fn ends_well(&self, what: &str) {
        let copies = &self.copies;
        copies.world.outcome(&self.event);
        self.check(what);
        for _ in 0..3 {
            copies.world.aws.end_copies(&copies.source, "available", None);
            copies.tick();
        }
        assert!(copies.records().is_empty(), "{what}: {:?}", copies.records());
        let end: Vec<_> = self.scene.end.iter().map(|target| (*target).to_owned()).collect();
        let failed = (self.scene.copy == "failed").then(|| ("failed".to_owned(), Vec::new()));
        let is_made = self.scene.copy != "failed" || matches!(self.scene.event, Event::Share(_));
        let mut made = self.made();
        made.sort();
        let expect: Vec<_> = is_made.then(|| ("available".to_owned(), end)).into_iter().chain(failed).collect();
        assert_eq!(made, expect, "{what}");
        let grants = if self.scene.image == "granted-1" { 1 } else { 0 };
        assert_eq!(copies.world.grants("ami-share/").len(), grants, "{what}");
    }
}

#[test]
fn a_share_that_begins_a_copy_survives_crashes() {
    crash_everywhere::<Stage>(BEGUN);
}

#[test]
fn a_hint_that_shares_a_copy_survives_crashes() {
    crash_everywhere::<Stage>(GOLDEN);
}

#[test]
fn a_hint_that_shares_a_copy_with_a_grant_survives_crashes() {
    crash_everywhere::<Stage>(GRANTED);
}

#[test]
fn a_hint_of_a_copy_that_failed_survives_crashes() {
    crash_everywhere::<Stage>(FAILED);
}

#[test]
fn a_revoke_of_one_of_two_that_wait_survives_crashes() {
    crash_everywhere::<Stage>(TAKEN_BACK);
}

#[test]
fn a_revoke_of_one_of_two_whose_copy_is_there_survives_crashes() {
    crash_everywhere::<Stage>(TAKEN_BACK_LATE);
}

/// Lets each call fail in turn, for good and for a while.
#[track_caller]
fn fail_everywhere(scene: Scene) {
    let errors = |_: &str| [("AccessDeniedException", 403), ("InternalServerException", 500)];
    disturbed::fail_everywhere::<Stage>(scene, MINUTE, errors, |_, _| ());
}

#[test]
fn a_share_that_begins_a_copy_recovers_from_faults() {
    fail_everywhere(BEGUN);
}

#[test]
fn a_hint_recovers_from_faults() {
    fail_everywhere(GRANTED);
    fail_everywhere(FAILED);
}

#[test]
fn a_revoke_of_what_waits_recovers_from_faults() {
    fail_everywhere(TAKEN_BACK_LATE);
}

/// Stops the event before each of its calls, until another event was handled from beginning to end; `ends` says what is
/// wrong with the answers.
#[track_caller]
fn cross(scene: Scene, other: impl Fn(&Copies) -> Value, check: impl Fn(&Stage, &str, &Answer, &Answer)) {
    let event = |copies: &Copies| -> Meanwhile {
        let event = other(copies);
        Box::new(move |_, quick| quick.invoke(&event))
    };
    cross_by(scene, event, check);
}

/// What happens while the event is stopped.
type Meanwhile = Box<dyn FnOnce(&Copies, &Function) -> Answer>;

/// The same, where more happens than one event.
#[track_caller]
fn cross_by(scene: Scene, other: impl Fn(&Copies) -> Meanwhile, check: impl Fn(&Stage, &str, &Answer, &Answer)) {
    let mut stage = Stage::set(LocalAws::turn(), scene);
    let calls = told_apart(stage.calls());
    for (name, number) in &calls {
        stage = stage.again();
        let (stopped, quick) = (stage.disturbed(), &stage.copies.world.function);
        let other = other(&stage.copies);
        let what = format!("{scene:?} stopped before {name} number {number}");
        let (one, other) =
            overtaken(&stage.proxy, (name, *number), || stopped.invoke(&stage.event), || other(&stage.copies, quick));
        stage.proxy.let_pass();
        stage.check(&what);
        check(&stage, &what, &one, &other);
    }
    println!("concurrency: {scene:?}: {} interleavings", calls.len());
}

fn hint(copies: &Copies) -> Value {
    copies.world.aws.hints("copy-").remove(0)
}

fn available(copies: &Copies) -> Value {
    let state = copies.world.aws.state();
    let source = json!(format!("{THERE}/{}", copies.source));
    let mut images = state["images"].as_object().unwrap().iter();
    let (copy, _) = images.find(|(_, image)| image["source"] == source).unwrap();
    Copies::event(copy, "available")
}

fn revoke(copies: &Copies) -> Value {
    copies.ask("revoke", &[WEB], &json!({}))
}

/// A hint that ends between the write of another one and its second look deletes the record, and the other one can't tell
/// that from a revoke. It takes the safe side, and says so.
#[test]
fn of_two_hints_that_cross_none_undoes_the_share_but_before_its_second_look_and_that_is_told() {
    let undone = AtomicUsize::new(0);
    cross(GOLDEN, hint, |stage, what, one, other| {
        assert_eq!(other.as_ref().unwrap()["result"], "completed", "{what}");
        let one = one.as_ref().unwrap();
        if one["result"] == "completed" {
            return stage.ends_well(what);
        }
        undone.fetch_add(1, Ordering::SeqCst);
        let told = (&one["result"], &one["errors"][0]["code"]);
        assert_eq!(told, (&json!("incomplete"), &json!("ExpiryLost")), "{what}: {one:#}");
        assert_eq!(stage.made(), [("available".to_owned(), Vec::new())], "{what}");
        let again = stage.copies.share(&[WEB]);
        assert_eq!(again["result"], "completed", "{what}: {again:#}");
    });
    assert_eq!(undone.into_inner(), 1, "at one call alone");
}

/// The same of EC2's event and a tick, in two processes, whichever is stopped. Where it is stopped before any write, the
/// other one has written, and both leave the record.
#[test]
fn of_an_event_and_a_tick_that_cross_none_undoes_the_share_but_before_its_second_look() {
    let other_than = |event| if matches!(event, Event::Hint) { available } else { hint };
    for event in [Event::Hint, Event::Available] {
        let undone = AtomicUsize::new(0);
        cross(Scene { event, ..GRANTED }, other_than(event), |stage, what, _, _| {
            if stage.made() == [("available".to_owned(), vec![WEB.to_owned()])] {
                return stage.ends_well(what);
            }
            undone.fetch_add(1, Ordering::SeqCst);
            assert_eq!(stage.made(), [("available".to_owned(), Vec::new())], "{what}");
            assert!(what.contains("scheduler:GetSchedule number 1"), "{what}");
            let again = stage.copies.share(&[WEB]);
            assert_eq!(again["result"], "completed", "{what}: {again:#}");
        });
        assert_eq!(undone.into_inner(), 1, "{event:?}: at one call alone");
    }
}

#[test]
fn an_event_and_a_tick_in_two_processes_one_after_the_other_write_once() {
    for event in [Event::Hint, Event::Available] {
        let stage = Stage::set(LocalAws::turn(), Scene { event, ..GRANTED });
        let second = if matches!(event, Event::Hint) { available(&stage.copies) } else { hint(&stage.copies) };
        stage.copies.world.aws.forget_calls();
        stage.disturbed().invoke(&stage.event).unwrap();
        assert_eq!(stage.copies.writes(), ["kms:CreateGrant", "ec2:ModifyImageAttribute"], "{event:?}");
        stage.copies.world.outcome(&second);
        assert_eq!(stage.copies.writes(), ["scheduler:DeleteSchedule"], "{event:?}");
        assert_eq!(stage.made(), [("available".to_owned(), vec![WEB.to_owned()])], "{event:?}");
    }
}

#[test]
fn a_revoke_that_crosses_a_hint_leaves_nothing() {
    for scene in [GOLDEN, GRANTED] {
        cross(Scene { end: &[], ..scene }, revoke, |stage, what, _, other| {
            assert_eq!(other.as_ref().unwrap()["result"], "completed", "{what}");
            assert_eq!(stage.made(), [("available".to_owned(), Vec::new())], "{what}");
            assert!(stage.copies.records().is_empty(), "{what}");
            assert_eq!(stage.copies.world.grants("ami-share/").len(), 0, "{what}");
        });
        let stopped = Scene { event: Event::Revoke(&[WEB]), end: &[], ..scene };
        cross(stopped, hint, |stage, what, one, _| {
            assert_eq!(one.as_ref().unwrap()["result"], "completed", "{what}");
            assert_eq!(stage.made(), [("available".to_owned(), Vec::new())], "{what}");
            assert!(stage.copies.records().is_empty(), "{what}");
            assert_eq!(stage.copies.world.grants("ami-share/").len(), 0, "{what}");
        });
    }
}

/// The copy becomes available, and a hint says so.
fn made_meanwhile(copies: &Copies, quick: &Function) -> Answer {
    copies.world.aws.end_copies(&copies.source, "available", None);
    match copies.world.aws.hints("copy-").first() {
        Some(hint) => quick.invoke(hint),
        None => Ok(json!({"result": "completed"})),
    }
}

#[test]
fn a_revoke_that_crosses_the_end_of_the_copy_leaves_nothing() {
    for scene in [TAKEN_BACK_MEANWHILE, GRANT_TAKEN_BACK_MEANWHILE] {
        cross_by(
            scene,
            |_| Box::new(made_meanwhile),
            |stage, what, one, _| {
                assert_eq!(one.as_ref().unwrap()["result"], "completed", "{what}");
                for (_, shared) in stage.made() {
                    assert_eq!(shared, [""; 0], "{what}");
                }
                assert!(stage.copies.records().is_empty(), "{what}");
                assert_eq!(stage.copies.world.grants("ami-share/").len(), 0, "{what}");
            },
        );
    }
}

#[test]
fn a_share_that_is_asked_for_again_when_its_copy_has_failed_is_waited_for() {
    crash_everywhere::<Stage>(ASKED_AGAIN);
    cross(ASKED_AGAIN, hint, |stage, what, one, _| {
        assert_eq!(one.as_ref().unwrap()["result"], "accepted", "{what}");
        stage.check(what);
        assert_eq!(stage.copies.records().len(), 1, "{what}: a copy is made and nobody waits for it");
        stage.ends_well(what);
    });
}

#[test]
fn shares_that_cross_make_one_copy() {
    let share = |copies: &Copies| copies.ask("share", &[WEB, DATA], &json!({}));
    cross(BEGUN, share, |stage, what, one, other| {
        for answer in [one, other] {
            assert_eq!(answer.as_ref().unwrap()["result"], "accepted", "{what}");
        }
        assert_eq!(stage.made().len(), 1, "{what}");
        stage.ends_well(what);
    });
    let other_targets = |copies: &Copies| copies.ask("share", &[DATA], &json!({}));
    cross(Scene { event: Event::Share(&[WEB]), ..BEGUN }, other_targets, |stage, what, _, _| {
        assert_eq!(stage.made().len(), 1, "{what}");
        stage.ends_well(what);
    });
    cross(JOINED, hint, |stage, what, _, _| stage.ends_well(what));
}
