//! Owns what must hold of copies that need an approval.

use sharing::{outcome::Status, plan::Step};

use super::{
    Broken, End, Taken,
    approvals::{ASK_LOST, DECISION_LEFT, GIVEN_THOUGH_REJECTED, UNDECIDED, has_decision, is_approval, is_given_up},
    copies::{GIVEN, MADE, NOT_ASKED_FOR, RECORD_LEFT, UNTOLD, has_waiting},
};
use crate::{
    kept::Kept,
    kinds::Kind,
    requests::FIRST,
    scenes::{Before, Scene},
    script::{Pools, Stands},
    world::{self, ADA, ONE, SLOTS, TWO},
};

/// What is wrong if a share waits that needs an approval and has none.
const WAITS_UNAPPROVED: &str = "a share waits for its copy, and nobody has approved it";

/// What is wrong if a copy is begun without a decision.
pub const NOBODY_SAYS_SO: &str = "a copy was begun, and no decision says so";

impl Scene {
    /// What must hold at every step of copies that need an approval.
    pub(super) fn check_step_of_approved_copies(
        &self,
        taken: Taken<'_>,
        (before, after): (&Kept, &Kept),
        pools: &Pools,
        broken: &mut Broken,
    ) {
        self.check_given_once(taken, (before, after), pools, broken);
        let (is_begun, has_record) = broken.check_copies(taken, (before, after), pools);
        // Only the shares of this requester need an approval.
        let is_unapproved = |step: &Step| {
            matches!(step, Step::CreateCopyRecord(record)
                if record.approved_by.is_none() && record.requester == world::requester(ADA))
        };
        broken.rule(!taken.step(pools).is_some_and(|step| is_unapproved(&step)), WAITS_UNAPPROVED);
        // A hint goes by the record of the share. If that share needs an approval, somebody who had the decision wrote the record.
        let kind = self.actors[taken.actor].kind;
        let is_hint = kind.is_hint() && has_record;
        // A share that needs no approval needs no decision.
        let is_decided = is_hint || kind.gives() || taken.answers.have_record(pools, is_approval);
        broken.rule(!is_begun || is_decided, NOBODY_SAYS_SO);
        let is_given = after
            .images
            .iter()
            .zip(&before.images)
            .any(|(after, before)| after.launch.now & !before.launch.now & ONE != 0);
        broken.rule(!is_given || is_decided, UNDECIDED);
        let other = after.images.iter().any(|image| (image.launch.now | image.copy.now) & TWO != 0);
        broken.rule(!other, NOT_ASKED_FOR);
    }

    /// What must hold of copies that need an approval when everything has ended and the hints have come.
    pub(super) fn check_end_of_approved_copies(&self, end: &End<'_>, pools: &Pools, broken: &mut Broken) {
        let kept = &end.aftermath.kept;
        broken.rule(!has_waiting(kept, pools), RECORD_LEFT);
        broken.rule(!has_decision(kept, pools), DECISION_LEFT);
        let is_given = (1..SLOTS).any(|slot| kept.images[slot].launch.now & ONE != 0);
        let told: Vec<_> = end.told().collect();
        let is_rejected = told.iter().any(|told| is_given_up(told));
        let was_approved = self.before.is_approved() || self.before.is_approved_and_waits();
        let is_given_otherwise = self.was(Before::CopyUntil) || self.has(Kind::gives);
        let may_be_given = is_given_otherwise || was_approved || self.has(|kind| kind.approves() && !kind.carries_on());
        broken.rule(!is_given || may_be_given, "something is given, and nobody has approved it");
        broken.rule(!is_rejected || !is_given || is_given_otherwise || self.has(Kind::asks), GIVEN_THOUGH_REJECTED);
        let taken = self.complete(end.ended, Kind::takes_away);
        let is_crossed = self.has(|kind| kind.asks() || kind.approves() || kind.gives());
        let is_complete = !taken.is_empty() && taken.iter().all(|it| *it);
        let is_taken = is_complete && !is_crossed && !self.before.is_approved();
        broken.rule(!is_taken || (1..SLOTS).all(|slot| kept.has_nothing(slot, ONE)), GIVEN);
        self.check_decided_once(end, pools, broken);
        let untold = self.approved_untold(end);
        let has_waited = has_waiting(end.kept, pools) || !end.kept.endings.is_empty();
        let waits = self.before.is_approved_and_waits() || self.is_made(end.ended) || has_waited;
        self.check_end_of_waiting(end, (waits, untold), broken);
        broken.rule(untold == 0, UNTOLD);
        broken.rule(self.asks_lost(end) == 0, ASK_LOST);
    }

    /// The requests that wait no longer for an approval, or wait for a copy.
    pub fn approved_waiting(&self, end: &End<'_>) -> u8 {
        let first = if self.before == Before::NoCopyAsked { 0 } else { self.bit_of(FIRST) };
        let waits = |kind: Kind| kind.asks() || kind.gives() && kind != Kind::AvailableCopy;
        let mut waiting = first | self.accepted(end.ended, waits);
        // A share that is approved may rely on the record of another one.
        let approvals = self.actors.iter().zip(end.ended).filter(|(actor, _)| actor.kind.approves());
        for (ended, other) in approvals.filter_map(|(_, ended)| Some((ended, ended.relies_on.as_ref()?))) {
            let accepted = ended.told.iter().filter(|told| told.result == Status::Accepted);
            for told in accepted {
                waiting = waiting & !self.bit_of(&told.request_id) | self.bit_of(other);
            }
        }
        waiting & !self.asking(&end.aftermath.kept, end.pools)
    }

    /// The requests that wait no longer for an approval or a copy, that were not made, and of which nothing was told. [`MADE`]
    /// stands for a share without an approval that was there or was made at once.
    pub fn approved_untold(&self, end: &End<'_>) -> u8 {
        let kept = &end.aftermath.kept;
        let is_made = (1..SLOTS).any(|slot| kept.has_all(slot, ONE));
        let is_gone = kept.images.iter().any(|image| image.stands.now == Stands::Gone);
        if is_made || is_gone || self.may_end(end) {
            return 0;
        }
        if self.is_made(end.ended) {
            return MADE;
        }
        let told = end.told_of(self);
        self.approved_waiting(end) & !told.bad & !told.undone
    }
}
