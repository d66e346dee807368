//! Owns what must hold of copies, and of the records of shares that wait for them.

use std::rc::Rc;

use sharing::{domain::CopyName, outcome::Status, records::Record};

use super::{Broken, End, Taken, has_expiry, image::OTHER_REMOVED};
use crate::{
    kept::Kept,
    kinds::{Actor, Kind},
    requests::FIRST,
    scenes::{Before, Scene},
    script::{Call, Ended, Pools, Stands, Told},
    world::{ONE, SLOTS, TWO},
};

/// The bit that stands for a share that does not wait.
pub const MADE: u8 = 1 << 7;

/// What is wrong if two copies are made.
pub const TWO_COPIES: &str = "there are two copies";

/// What is wrong if something is left of what a revoke has taken, or is given again.
pub const GIVEN: &str = "a revoke is complete, and something is given or left";

/// What is wrong if something is missing of a share that has waited.
pub const UNDONE: &str = "a share is undone, and nobody has taken it back";

/// What is wrong if nobody learns what became of a share that has waited.
pub const UNTOLD: &str = "a share that waited was not made, and no outcome says so";

/// The same of the other target.
pub const OTHER_UNTOLD: &str = "the share of the other target has gone";

/// What is wrong if a copy is there that is not shared.
pub const NOBODY_WAITS: &str = "a copy is there, and nobody has waited for it";

/// What is wrong if a copy is begun without a record of the share.
pub(super) const NOTHING_WAITS: &str = "a copy was begun, and nothing waits for it";

/// What is wrong if a target gets something that is not in a request.
pub(super) const NOT_ASKED_FOR: &str = "something was given that nobody asked for";

/// What is wrong if the record of a share stays.
pub(super) const RECORD_LEFT: &str = "a record is left, and nothing waits";

impl Broken {
    /// There is at most one copy, and it is begun only by an invocation that has its record. Returns whether a copy is begun by
    /// this call, and whether the invocation has the record.
    pub(super) fn check_copies(
        &mut self,
        taken: Taken<'_>,
        (before, after): (&Kept, &Kept),
        pools: &Pools,
    ) -> (bool, bool) {
        self.rule(after.live_copies() <= before.live_copies().max(1), TWO_COPIES);
        let is_begun = matches!(taken.call, Call::CopyImage { .. }) && after.live_copies() > before.live_copies();
        let has_record = taken.answers.have_record(pools, |record| matches!(record, Record::Copy(_)));
        self.rule(!is_begun || has_record, NOTHING_WAITS);
        (is_begun, has_record)
    }
}

impl Scene {
    /// What must hold of copies at every step.
    pub(super) fn check_step_of_copies(
        &self,
        taken: Taken<'_>,
        (before, after): (&Kept, &Kept),
        pools: &Pools,
        broken: &mut Broken,
    ) {
        let (is_begun, _) = broken.check_copies(taken, (before, after), pools);
        // A request that finds a record whose time is over deletes it and writes its own. One to which AWS refuses the copy
        // deletes its record. The other one looks at its record again, and writes it anew.
        let may_be_deleted = after.clock > 0 || after.killed.refused != 0 || self.has(|kind| !kind.gives());
        broken.rule(!is_begun || may_be_deleted || has_waiting(after, pools), NOTHING_WAITS);
        let other = after.images.iter().any(|image| (image.launch.now | image.copy.now) & TWO != 0);
        broken.rule(matches!(self.before, Before::BothWait | Before::OtherGiven) || !other, NOT_ASKED_FOR);
        let is_reset = self.actors[taken.actor].kind == Kind::ResetCopy;
        let is_kept = self.before != Before::OtherGiven || is_reset || !before.has_all(1, TWO) || after.has_all(1, TWO);
        broken.rule(is_kept, OTHER_REMOVED);
    }

    /// What must hold of copies when everything has ended and the hints have come.
    pub(super) fn check_end_of_copies(&self, end: &End<'_>, pools: &Pools, broken: &mut Broken) {
        let (ended, kept) = (end.ended, &end.aftermath.kept);
        broken.rule(!has_waiting(kept, pools), RECORD_LEFT);
        let taken = self.complete(ended, Kind::takes_away);
        let is_complete = !taken.is_empty() && !self.has(Kind::gives) && taken.iter().all(|it| *it);
        broken.rule(!is_complete || (1..SLOTS).all(|slot| kept.has_nothing(slot, ONE)), GIVEN);
        let is_expired = self.is_alone() && self.complete(ended, |kind| kind == Kind::ExpireCopy) == [true];
        let is_ended = is_expired && matches!(self.before, Before::GivenUntil | Before::CopyUntil);
        let has_nothing = kept.has_nothing(1, ONE) && !has_expiry(1, kept, pools);
        broken.rule(!is_ended || has_nothing, "an expiry is complete, and something is left");
        let waits = self.is_made(ended) || self.waiting(end) != 0;
        self.check_end_of_waiting(end, (waits, self.untold(end)), broken);
        if self.before == Before::BothWait && !self.has(|kind| kind == Kind::ResetCopy) {
            let told = end.told_of(self);
            let is_gone = kept.images.iter().any(|image| image.stands.now == Stands::Gone);
            let may_be_missing = is_gone || self.bit_of(FIRST) & (told.bad | told.undone) != 0;
            let is_given = (1..SLOTS).any(|slot| kept.has_all(slot, TWO));
            broken.rule(is_given || may_be_missing, OTHER_UNTOLD);
        }
    }

    /// What must hold when everything has ended of shares that wait for a copy: whether there are some, and those that were not
    /// made and of which nothing was told.
    pub(super) fn check_end_of_waiting(&self, end: &End<'_>, (waits, untold): (bool, u8), broken: &mut Broken) {
        let kept = &end.aftermath.kept;
        let is_undone = end.is_undone();
        let is_given = (1..SLOTS).any(|slot| kept.has_all(slot, ONE));
        let is_gone = kept.images.iter().any(|image| image.stands.now == Stands::Gone);
        let is_due = waits && !self.may_end(end) && !is_given;
        broken.rule(!is_due || !is_undone, UNDONE);
        broken.rule(!is_due || is_undone || is_gone || untold == 0, UNTOLD);
        let is_live = kept.images.iter().any(|image| image.stands.now.is_live());
        let is_late = end.kept.clock > 0;
        let may_be_given_up = kept.is_withdrawn || is_gone || is_late || self.has(Kind::takes_away);
        let is_known = is_given || may_be_given_up || is_due && is_undone;
        broken.rule(!is_live || is_known, NOBODY_WAITS);
    }
}

impl Scene {
    /// The requests whose share with the target that requests are about waits for a copy.
    pub fn waiting(&self, end: &End<'_>) -> u8 {
        if self.before.is_about_both() {
            return self.approved_waiting(end);
        }
        let first = if matches!(self.before, Before::NoCopy | Before::CopyUntil) { 0 } else { self.bit_of(FIRST) };
        first | self.accepted(end.ended, |kind| kind.gives() && kind != Kind::AvailableCopy)
    }

    /// The requests that have waited, and of which nothing was told that says why they were not made. A share that was there, or
    /// was made at once, has none of these bits.
    pub fn untold(&self, end: &End<'_>) -> u8 {
        let told = end.told_of(self);
        if self.is_made(end.ended) { MADE } else { self.waiting(end) & !told.bad & !told.undone }
    }

    /// Whether a share of a copy with that target is there, or is made at once.
    pub(super) fn is_made(&self, ended: &[Rc<Ended>]) -> bool {
        let is_complete = |(actor, ended): (&Actor, &Rc<Ended>)| {
            actor.kind.gives() && actor.kind != Kind::AvailableCopy && ended.result == Status::Completed
        };
        self.was(Before::CopyUntil) || self.actors.iter().zip(ended).any(is_complete)
    }
}

impl End<'_> {
    /// Whether somebody was told that a share is incomplete.
    fn is_undone(&self) -> bool {
        let was_undone = self.kept.told_undone != 0 && self.kept.undone.iter().any(Option::is_some);
        was_undone || self.told().any(Told::is_undone)
    }
}

/// Whether there is a record of a share that waits for a copy.
pub(super) fn has_waiting(kept: &Kept, pools: &Pools) -> bool {
    kept.schedules.keys().any(|name| CopyName::is_meant(&pools.names.get(*name)))
}
