//! Owns what must hold: at every step, and when everything has ended. Each family of requests has its own.

pub mod approvals;
pub mod approved_copies;
pub mod copies;
pub mod image;

use std::rc::Rc;

use sharing::{domain::ExpiryName, outcome::Status, plan::Step};

use crate::{
    kept::{Kept, Undone, had_by_target},
    kinds::Kind,
    scenes::{Before, Scene},
    script::{Answers, Call, Ended, Pools, Told, Unread},
    world::{self, ONE, SLOTS},
};

/// A call that was answered.
#[derive(Debug, Clone, Copy)]
pub struct Taken<'t> {
    /// The place of the invocation in the scene.
    pub actor: usize,
    /// The call.
    pub call: &'t Call,
    /// What the invocation could not read for its request.
    pub unread: &'t Unread,
    /// The answers that it got before.
    pub answers: &'t Answers,
}

impl Taken<'_> {
    /// The step, if it is a write.
    pub fn step(&self, pools: &Pools) -> Option<Rc<Step>> {
        if let Call::Write { step, .. } = self.call { Some(pools.steps.get(*step)) } else { None }
    }
}

/// The state after each record that is left has sent its hint, one after the other.
#[derive(Debug, Clone)]
pub struct Aftermath {
    /// What AWS keeps then.
    pub kept: Kept,
    /// What the hints told of earlier requests.
    pub told: Vec<Told>,
}

/// How everything has ended.
#[derive(Debug)]
pub struct End<'e> {
    /// What AWS keeps.
    pub kept: &'e Kept,
    /// How each invocation has ended.
    pub ended: &'e [Rc<Ended>],
    /// The answers that it got.
    pub answers: &'e [&'e Answers],
    /// How it ends after the hints.
    pub aftermath: &'e Aftermath,
    /// What is kept once.
    pub pools: &'e Pools,
}

/// The requests of which something was told, as bits.
#[derive(Debug, Clone, Copy)]
pub struct ToldOf {
    /// All of them.
    pub any: u8,
    /// Those that were refused or have failed.
    pub bad: u8,
    /// Those that are incomplete.
    pub undone: u8,
}

impl End<'_> {
    /// The requests of which something was told, also before an invocation was sent again.
    pub fn told_of(&self, scene: &Scene) -> ToldOf {
        let of = |is_it: fn(&Told) -> bool| {
            self.told().filter(|told| is_it(told)).fold(0, |bits, told| bits | scene.bit_of(&told.request_id))
        };
        let Kept { told, told_bad, told_undone, .. } = *self.kept;
        ToldOf { any: told | of(|_| true), bad: told_bad | of(Told::is_bad), undone: told_undone | of(Told::is_undone) }
    }

    /// Whether something is missing, and all of it was undone for such a reason, if at all.
    pub fn is_lost_by(&self, is_it: impl Fn(Option<Undone>) -> bool) -> bool {
        self.is_lost_in(&self.aftermath.kept, is_it)
    }

    /// The same of what is missing in this, which AWS keeps at the end or after the hints.
    pub fn is_lost_in(&self, kept: &Kept, is_it: impl Fn(Option<Undone>) -> bool) -> bool {
        let has = had_by_target(kept);
        let missing: Vec<_> = has.into_iter().zip(self.kept.undone).filter(|(has, _)| !has).collect();
        !missing.is_empty() && missing.into_iter().all(|(_, why)| is_it(why))
    }

    /// What was told of earlier requests, also by the hints.
    pub fn told(&self) -> impl Iterator<Item = &Told> {
        self.ended.iter().flat_map(|ended| &ended.told).chain(&self.aftermath.told)
    }
}

/// The rules that do not hold, by what is wrong.
#[derive(Debug, Default)]
struct Broken(Vec<&'static str>);

impl Broken {
    /// What must hold, and what is wrong if it doesn't.
    fn rule(&mut self, holds: bool, what: &'static str) {
        if !holds && !self.0.contains(&what) {
            self.0.push(what);
        }
    }
}

impl Scene {
    /// What is wrong after this step.
    pub fn check_step(&self, taken: Taken<'_>, before: &Kept, after: &Kept, pools: &Pools) -> Vec<&'static str> {
        let mut broken = Broken::default();
        let is_given_unread = before.images.iter().zip(&after.images).enumerate().any(|(slot, (before, after))| {
            after.launch.now & !before.launch.now & ONE != 0 && taken.unread.lacks_a_fact_of(slot)
        });
        broken.rule(!is_given_unread, "access is given, and something was not read that it depends on");
        broken.rule(!after.is_harmed, "a grant was revoked that is another image's or nobody's");
        let is_more = given(after) > given(before) || after.live_copies() > before.live_copies();
        let may_be_withdrawn = !Kind::ALL.contains(&self.actors[taken.actor].kind);
        broken.rule(!is_more || !may_be_withdrawn || !taken.answers.began_withdrawn(), WITHDRAWN);
        if self.before.is_about_both() {
            self.check_step_of_approved_copies(taken, (before, after), pools, &mut broken);
        } else if self.before.is_about_copies() {
            self.check_step_of_copies(taken, (before, after), pools, &mut broken);
        } else {
            self.check_step_of_the_image(taken, (before, after), &mut broken);
        }
        let Some(step) = taken.step(pools) else { return broken.0 };
        let is_due = taken.answers.began().is_some_and(|began| began >= self.actors[taken.actor].kind.due());
        broken.rule(is_due, "a hint has changed something before its time");
        if self.is_about(Before::is_about_approvals) {
            self.check_step_of_approvals(taken, &step, (before, after), pools, &mut broken);
        }
        if self.is_alone() {
            (0..SLOTS).for_each(|slot| broken.check_order(&step, slot, (before, after), pools));
        }
        broken.0
    }

    /// What is wrong when everything has ended.
    pub fn check_end(&self, end: &End<'_>) -> Vec<&'static str> {
        let (mut broken, pools) = (Broken::default(), end.pools);
        let is_more = given(&end.aftermath.kept) > given(end.kept);
        broken.rule(!is_more || !end.kept.is_withdrawn, WITHDRAWN);
        broken.check_records(end.kept, pools);
        broken.check_records(&end.aftermath.kept, pools);
        if self.before.is_about_both() {
            self.check_end_of_approved_copies(end, pools, &mut broken);
        } else if self.before.is_about_copies() {
            self.check_end_of_copies(end, pools, &mut broken);
        }
        if self.is_about(Before::is_about_approvals) {
            self.check_end_of_approvals(end, pools, &mut broken);
        }
        if self.is_about(Before::is_about_the_image) {
            self.check_end_of_the_image(end, pools, &mut broken);
        }
        broken.0
    }

    /// For each invocation of these kinds, whether it is complete.
    pub fn complete(&self, ended: &[Rc<Ended>], is_it: fn(Kind) -> bool) -> Vec<bool> {
        let all = self.actors.iter().zip(ended).filter(|(actor, _)| is_it(actor.kind));
        all.map(|(_, ended)| ended.result == Status::Completed).collect()
    }
}

/// What is wrong if the allowlist does not allow what a request, a hint or an event gives.
const WITHDRAWN: &str = "something is given or begun, and its rule was withdrawn before";

/// The number of launch permissions, create volume permissions and grants.
fn given(kept: &Kept) -> u32 {
    let permissions = kept.images.iter().map(|image| image.launch.now.count_ones() + image.copy.now.count_ones());
    permissions.sum::<u32>() + kept.grants.now.iter().flatten().map(|number| u32::from(*number > 0)).sum::<u32>()
}

/// Whether there is a record of an expiry of the image in this slot.
pub fn has_expiry(slot: usize, kept: &Kept, pools: &Pools) -> bool {
    let prefix = ExpiryName::image_prefix(&world::id_of(slot));
    kept.schedules.keys().any(|name| pools.names.get(*name).starts_with(&prefix))
}
