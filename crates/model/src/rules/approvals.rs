//! Owns what must hold of approvals.

use sharing::{
    domain::DecisionName,
    outcome::{RefusalCode, Status},
    plan::Step,
    records::{ApprovalAnswer, Ask, Record},
};

use super::{Broken, End, Taken};
use crate::{
    giving::gives,
    kept::Kept,
    kinds::Kind,
    requests::FIRST,
    scenes::{Before, Scene},
    script::{Pools, Stands, Told},
    world::ONE,
};

/// What is wrong if what was approved is given again.
pub const GIVEN_AGAIN: &str = "what was approved is given again after a revoke";

/// What is wrong if an ask ends in two ways.
pub const DECIDED_TWICE: &str = "one ask was decided in two ways";

/// What is wrong if a share is made, and its ask has ended otherwise.
pub const GIVEN_THOUGH_REJECTED: &str = "something is given that was rejected or has lapsed";

/// What is wrong if an approved share lacks something.
pub const MISSING_OF_APPROVED: &str = "an approved share is complete, and something is missing";

/// What is wrong if nobody learns what became of an ask.
pub const ASK_LOST: &str = "the record of an ask was deleted, and no outcome says how it ended";

/// What is wrong if something is given without a decision.
pub(super) const UNDECIDED: &str = "something is given, and no decision says so";

/// What is wrong if a decision stays.
pub(super) const DECISION_LEFT: &str = "a decision is left";

impl Scene {
    /// What must hold of approvals at every step.
    pub(super) fn check_step_of_approvals(
        &self,
        taken: Taken<'_>,
        step: &Step,
        (before, after): (&Kept, &Kept),
        pools: &Pools,
        broken: &mut Broken,
    ) {
        self.check_given_once(taken, (before, after), pools, broken);
        let is_gift = matches!(step, Step::AddLaunchPermissions { .. } | Step::CreateGrant { .. });
        if self.is_alone() && is_gift && !self.has(Kind::gives) {
            broken.rule(has_decision(after, pools), UNDECIDED);
        }
        // The decision may have been carried out, and deleted, by another one meanwhile.
        let has_decided = taken.answers.have_record(pools, is_approval);
        broken.rule(!is_gift || has_decided || self.actors[taken.actor].kind.gives(), UNDECIDED);
    }

    /// What was approved once is given once.
    pub(super) fn check_given_once(
        &self,
        taken: Taken<'_>,
        (before, after): (&Kept, &Kept),
        pools: &Pools,
        broken: &mut Broken,
    ) {
        if self.actors[taken.actor].kind.approves() {
            let was_given = before.is_taken && before.given & self.requests_of(taken.answers, pools) != 0;
            broken.rule(!was_given || !gives(before, after), GIVEN_AGAIN);
        }
    }

    /// What must hold of approvals when everything has ended and the hints have come.
    pub(super) fn check_end_of_approvals(&self, end: &End<'_>, pools: &Pools, broken: &mut Broken) {
        let kept = &end.aftermath.kept;
        broken.rule(!has_decision(kept, pools), DECISION_LEFT);
        self.check_decided_once(end, pools, broken);
        let told: Vec<_> = end.told().collect();
        let is_given = kept.images[0].launch.now & ONE != 0;
        let has_one_ask = !self.has(Kind::asks) && !self.was(Before::Decided);
        let is_given_otherwise = self.was(Before::Shared) || self.was(Before::SharedUntil) || self.has(Kind::gives);
        let ended = told.iter().filter(|told| is_given_up(told));
        let ended = ended.fold(0, |bits, told| bits | self.bit_of(&told.request_id));
        let is_rejected = if has_one_ask { ended != 0 } else { ended & end.kept.given != 0 };
        broken.rule(is_given_otherwise || !is_rejected || !is_given, GIVEN_THOUGH_REJECTED);
        let is_gone = kept.images[0].stands.now == Stands::Gone;
        let is_made = |told: &&Told| told.result == Status::Completed;
        if !is_gone && !self.may_end(end) && told.iter().any(is_made) {
            broken.rule(kept.has_all(0, ONE), MISSING_OF_APPROVED);
        }
        broken.rule(self.asks_lost(end) == 0, ASK_LOST);
    }

    /// Each ask was decided once, and carried out once, when everything has ended.
    pub(super) fn check_decided_once(&self, end: &End<'_>, pools: &Pools, broken: &mut Broken) {
        let is_made = |told: &Told| matches!(told.result, Status::Accepted | Status::Completed);
        let is_same = |one: &Told, other: &Told| one.request_id == other.request_id && one.refusals == other.refusals;
        let decided: Vec<_> = end.told().filter(|told| is_made(told) || is_given_up(told)).collect();
        let is_one = decided
            .iter()
            .all(|one| decided.iter().all(|other| one.request_id != other.request_id || is_same(one, other)));
        broken.rule(is_one, DECIDED_TWICE);
        let is_again = end.kept.is_taken && end.kept.given & self.asking(end.kept, pools) != 0;
        broken.rule(!is_again || !gives(end.kept, &end.aftermath.kept), GIVEN_AGAIN);
    }
}

impl Scene {
    /// The requests whose asks are there.
    pub fn asking(&self, kept: &Kept, pools: &Pools) -> u8 {
        asks_left(kept, pools).iter().fold(0, |bits, ask| bits | self.bit_of(&ask.request_id))
    }

    /// The requests that wait for an approval no longer, and of which nothing was told.
    pub fn asks_lost(&self, end: &End<'_>) -> u8 {
        let first = if self.is_about(Before::has_ask) { self.bit_of(FIRST) } else { 0 };
        // One that asks for a copy may also be accepted because the share waits for that already.
        let is_about_both = self.is_about(Before::is_about_both);
        let asked = first | if is_about_both { 0 } else { self.accepted(end.ended, Kind::asks) };
        asked & !self.asking(&end.aftermath.kept, end.pools) & !end.told_of(self).any
    }
}

/// Whether it tells that an ask was rejected or has lapsed.
pub(super) fn is_given_up(told: &Told) -> bool {
    let codes = [RefusalCode::ApprovalRejected, RefusalCode::ApprovalLapsed];
    told.refusals.iter().any(|code| codes.contains(code))
}

/// Whether there is a decision about an ask.
pub(super) fn has_decision(kept: &Kept, pools: &Pools) -> bool {
    kept.schedules.keys().any(|name| DecisionName::is_meant(&pools.names.get(*name)))
}

/// Whether it is the record of an approval.
pub(super) fn is_approval(record: &Record) -> bool {
    matches!(record, Record::Decision(decision) if matches!(decision.answer, ApprovalAnswer::Approved { .. }))
}

/// The asks that are there.
pub(super) fn asks_left(kept: &Kept, pools: &Pools) -> Vec<Ask> {
    let asks = kept.schedules.iter().filter_map(|(name, schedule)| match &*pools.record(*name, *schedule) {
        Record::Ask(ask) => Some((**ask).clone()),
        _ => None,
    });
    asks.collect()
}
