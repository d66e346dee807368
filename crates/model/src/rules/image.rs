//! Owns what must hold of the image, and of the records of its expiries.

use std::rc::Rc;

use sharing::{outcome::Status, plan::Step};

use super::{Broken, End, Taken, has_expiry};
use crate::{
    kept::Kept,
    kinds::{Actor, EXPIRING, Kind, LAST_HINT, LAST_TICK},
    scenes::{Before, Scene},
    script::{Answer, Answers, Call, Ended, Pools, Stands},
    world::{ONE, TWO},
};

/// What is wrong if something that must expire has no record.
pub const UNRECORDED: [&str; 3] = [
    "a launch permission must expire, and no record is left",
    "a create volume permission must expire, and no record is left",
    "a grant must expire, and no record is left",
];

/// What is wrong if a request takes something from a target that it does not name.
pub(super) const OTHER_REMOVED: &str = "another target was removed";

/// What is wrong if a share lacks something.
pub const MISSING: &str = "a share is complete, and something is missing";

/// What is wrong if something is removed before the launch permission.
pub const REMOVED_FIRST: &str = "something was removed before the launch permission";

impl Scene {
    /// What must hold of the image at every step.
    pub(super) fn check_step_of_the_image(
        &self,
        taken: Taken<'_>,
        (before, after): (&Kept, &Kept),
        broken: &mut Broken,
    ) {
        let (before, after) = (&before.images[0], &after.images[0]);
        broken.rule(after.copy.now & TWO != 0, "a create volume permission was removed that another image needs");
        let is_reset = self.actors[taken.actor].kind == Kind::Reset;
        let is_gone = after.stands.now == Stands::Gone;
        let is_kept = after.launch.now & TWO == before.launch.now & TWO;
        broken.rule(is_reset || is_gone || is_kept, OTHER_REMOVED);
    }

    /// What must hold of the image when everything has ended.
    pub(super) fn check_end_of_the_image(&self, end: &End<'_>, pools: &Pools, broken: &mut Broken) {
        let End { kept, ended, .. } = end;
        let is_gone = kept.images[0].stands.now == Stands::Gone;
        let has_nothing = kept.has_nothing(0, ONE) && !has_expiry(0, kept, pools);
        let taken = self.complete(ended, Kind::takes_away);
        let is_taken =
            !taken.is_empty() && taken.iter().all(|it| *it) && !self.has(Kind::gives) && !self.may_be_approved();
        broken.rule(!is_taken || has_nothing, "a revoke is complete, and something is left");
        let is_expired = self.complete(ended, |kind| kind == Kind::Expire) == [true];
        let is_ended = self.is_alone() && is_expired && !is_gone && self.before == Before::SharedUntil;
        broken.rule(!is_ended || has_nothing, "an expiry is complete, and something is left");
        // It knows nothing of an image that EC2's search lacks.
        let is_lacking =
            |answers: &Answers| answers.to(|call| *call == Call::Image).any(|it| *it.1 == Answer::Is(false));
        let is_repaired = self.actors.iter().zip(*ended).zip(end.answers).any(|((actor, ended), answers)| {
            let is_complete = ended.result == Status::Completed && !ended.is_warning;
            actor.kind == Kind::Repair && is_complete && !is_lacking(answers)
        });
        let may_be_given = self.has(Kind::gives) || self.may_be_approved();
        let is_repaired = is_repaired && self.before == Before::SharedUntil && !may_be_given && !is_gone;
        broken.rule(!is_repaired || has_nothing, "a repair is complete, and something is left that was due");
        let given = self.complete(ended, Kind::gives).contains(&true);
        let may_be_taken = is_gone || self.may_end(end);
        broken.rule(!given || may_be_taken || kept.has_all(0, ONE), MISSING);
    }
}

impl Scene {
    /// Whether a share is made that was approved, also by a hint while time passes.
    fn may_be_approved(&self) -> bool {
        self.has(Kind::approves) || self.is_about(Before::is_approved) && self.last_time > LAST_HINT
    }

    /// Whether a share is taken away, or ends. One that was renewed in time outlives its first expiry, and the repair that
    /// finds that overdue. After some hours every share is over that expires.
    pub(super) fn may_end(&self, end: &End<'_>) -> bool {
        let in_time = |(actor, ended): (&Actor, &Rc<Ended>)| {
            matches!(actor.kind, Kind::Renew | Kind::RenewCopy)
                && ended.result == Status::Completed
                && ended.began < EXPIRING
        };
        let is_renewed = self.actors.iter().zip(end.ended).any(in_time);
        let is_over = end.kept.clock > LAST_TICK && self.has_expiries();
        is_over || self.has(|kind| kind.takes_away() || kind.ends_overdue() && !is_renewed)
    }
}

impl Broken {
    /// Everything that must expire has a record when everything has ended.
    pub(super) fn check_records(&mut self, kept: &Kept, pools: &Pools) {
        for (slot, image) in kept.images.iter().enumerate() {
            for (what, marked) in UNRECORDED.into_iter().zip(image.must_expire) {
                self.rule(marked & ONE == 0 || has_expiry(slot, kept, pools), what);
            }
        }
    }

    /// What must hold of one image at every step of an invocation that nothing disturbs.
    pub(super) fn check_order(&mut self, step: &Step, slot: usize, (before, after): (&Kept, &Kept), pools: &Pools) {
        let has_grant = after.grants.now[slot][0] != 0;
        let has_record = has_expiry(slot, after, pools);
        let (before, after) = (&before.images[slot], &after.images[slot]);
        let (can_launch, can_copy) = (after.launch.now & ONE != 0, after.copy.now & ONE != 0);
        let is_added = can_launch && before.launch.now & ONE == 0;
        self.rule(!is_added || has_grant, "a launch permission was added before the grant");
        self.rule(!is_added || can_copy, "a launch permission was added before the create volume permission");
        let must_expire = after.must_expire.iter().any(|marked| marked & ONE != 0);
        self.rule(!must_expire || has_record, "something is given that must expire, and there is no record");
        let takes = matches!(step, Step::RemoveCreateVolumePermissions { .. } | Step::RevokeGrant { .. });
        self.rule(!takes || !can_launch, REMOVED_FIRST);
    }
}
