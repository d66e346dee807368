//! Owns the scenes: which invocations run at the same time, what there is before, and what must hold.

use std::rc::Rc;

use sharing::{
    domain::{CopyName, DecisionName, ExpiryName},
    needs::CopyOrder,
    outcome::{RefusalCode, Status},
    plan::Step,
    records::{ApprovalAnswer, ApprovalDecision, Ask, Record},
};

use crate::{
    kept::{Ending, Kept, Lagging, Shared, Undone, had_by_target},
    kinds::{Actor, EXPIRING, Kind, approved_and_waiting, asked, asked_for_copy, waiting},
    script::{Call, Ended, Pools, Stands, Told, Unread},
    world::{self, BUS, ONE, SLOTS, TWO},
};

/// What is wrong if something that must expire has no record.
const UNRECORDED: [&str; 3] = [
    "a launch permission must expire, and no record is left",
    "a create volume permission must expire, and no record is left",
    "a grant must expire, and no record is left",
];

/// What is known not to hold of copies. docs/reliability.md says why.
const KNOWN_OF_COPIES: [&str; 19] = [
    OVERTAKEN_BY_TWO,
    TOO_MUCH_UNDONE,
    UNDONE_UNREAD,
    UNDONE_UNLISTED,
    HINT_UNDONE_UNREAD,
    UNLISTED,
    LEFT_OF_AN_IMAGE_THAT_IS_GONE,
    MIXED_AFTER_CRASH,
    OVERTAKEN_AFTER_CRASH,
    LEFT_OF_A_COPY_THAT_IS_GONE,
    TWO_COPIES,
    UNTOLD_AFTER_CRASH,
    GIVEN_LATE,
    GIVEN_AFTER_CRASH,
    OVERTAKEN,
    NOBODY_WAITS,
    GIVEN_UP_MEANWHILE,
    LEFT_BY_ITS_SOURCE,
    GONE_MEANWHILE,
];

/// What is wrong if a hint gives up a share on whose record a request relied, and that request has begun another copy.
pub const NOBODY_WAITS: &str = "a copy is there, and nobody waits for it any more";

/// What is wrong if a hint undoes its share because another one has deleted the record before its second look.
pub const OVERTAKEN: &str = "a share is undone, because another hint has found nothing to write";

/// The same if what the other one has found was made by a request, so that it need not delete the record just before that look.
const OVERTAKEN_BY_TWO: &str = "a share is undone, because another hint has found that a request has made it";

/// What is wrong if a hint undoes its share because another one has given it up, which had not seen the copy available.
const GIVEN_UP_MEANWHILE: &str = "a share is undone, because another hint has given it up";

/// What is wrong if a share is given up because its source is deregistered, and its copy becomes available all the same.
pub const LEFT_BY_ITS_SOURCE: &str = "a copy is there, and its share was given up with its source";

/// What is wrong if a hint undoes its share after a request that was sent again has shared the same.
const MIXED_AFTER_CRASH: &str = "a share lacks what a hint has undone, after a crash";

/// What is wrong if a hint undoes its share because one that was killed and sent again has found nothing to write.
const OVERTAKEN_AFTER_CRASH: &str = "a share is undone, because a hint that was sent again has found nothing to write";

/// What is wrong if a copy is deregistered, and its grant or create volume permission stays.
pub const LEFT_OF_A_COPY_THAT_IS_GONE: &str =
    "a revoke is complete, and something is left of a copy that was deregistered";

/// What is wrong if a copy is deregistered while a hint shares it.
pub const GONE_MEANWHILE: &str = "a share is incomplete, because its copy was deregistered meanwhile";

/// What is wrong if a hint gives what a revoke has taken.
const GIVEN: &str = "a revoke is complete, and something is given or left";

/// The same if an invocation was killed or a write failed.
const GIVEN_AFTER_CRASH: &str = "a revoke is complete, and something is given or left after a crash or a failure";

/// The same if EC2's reads lag.
const GIVEN_LATE: &str = "a revoke is complete, and something is given or left where EC2's reads lag";

/// What is wrong if two copies are made.
const TWO_COPIES: &str = "there are two copies";

/// What is wrong if nobody learns what became of a share that has waited.
const UNTOLD: &str = "a share that waited was not made, and no outcome says so";

/// The same if an invocation was killed or a write failed.
const UNTOLD_AFTER_CRASH: &str = "a share that waited was not made, and no outcome says so after a crash or a failure";

/// What is wrong if something is removed before the launch permission.
const REMOVED_FIRST: &str = "something was removed before the launch permission";

/// The same of a share that can't list grants, makes one, is answered with the one that is there, can't read its record again,
/// and undoes what it made.
pub const TOO_MUCH_UNDONE: &str = "a share undoes a grant that was there before";

/// What is wrong if a revoke may not list the grants again after it has deleted a record.
const UNLISTED: &str = "a grant must expire that a revoke could not list, and no record is left";

/// What is wrong if a share can't read its record again, and undoes what another one has made or counts on.
const UNDONE_UNREAD: &str = "a share is complete, and one that could not read its record has undone it";

/// What is wrong if a hint can't read its record again, and undoes the share. Later hints make it, while there is time.
const HINT_UNDONE_UNREAD: &str = "a share is undone, because a hint could not read its record again";

/// What is wrong if a share that can't list grants is answered with the one that is there, and revokes it because another hint
/// has found nothing to write.
pub const UNDONE_UNLISTED: &str =
    "a share is complete, and its grant is undone by a hint that could not list the grants";

/// What is wrong if an image is deregistered while a revoke takes back what a share gives at that moment.
const LEFT_OF_AN_IMAGE_THAT_IS_GONE: &str =
    "something must expire of an image that was deregistered during its revoke or undoing, and no record is left";

/// What is wrong if a rule with `onAvailable` was killed after it had made a share whose record a revoke deleted. Sent again, it
/// leaves the share as it is.
pub const LEFT_BY_A_RULE: &str = "something must expire that a rule gave before it was killed, and no record is left";

/// What is wrong if a share was killed whose record a revoke deleted, and is sent again only when it would end, and refused.
pub const SENT_AGAIN_LATE: &str =
    "something must expire that a share gave before it was killed and sent again too late, and no record is left";

/// What is wrong if a reset that is sent again does not yet see what was added last.
const LEFT_BY_A_RESET: &str =
    "a create volume permission must expire that a reset did not see after a crash, and no record is left";

/// What is known not to hold of the image, if an invocation is killed, a read fails or it is deregistered.
const KNOWN_OF_THE_IMAGE: [&str; 7] = [
    LEFT_BY_A_RULE,
    SENT_AGAIN_LATE,
    LEFT_BY_A_RESET,
    TOO_MUCH_UNDONE,
    UNLISTED,
    UNDONE_UNREAD,
    LEFT_OF_AN_IMAGE_THAT_IS_GONE,
];

/// What is known not to hold of approvals.
const KNOWN_OF_APPROVALS: [&str; 2] = [ASK_LOST_AFTER_CRASH, GIVEN_AGAIN];

/// What is wrong if what was approved is given again.
const GIVEN_AGAIN: &str = "what was approved is given again after a revoke";

/// How things are before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// The image is not shared with the target.
    Unshared,
    /// It is shared for good.
    Shared,
    /// It is shared until the first expiry time.
    SharedUntil,
    /// There is no copy.
    NoCopy,
    /// A share waits for its copy, which is pending.
    Waits,
    /// The same with both targets.
    BothWait,
    /// A share waits for its copy, which is available.
    Copied,
    /// The same after a hint has made the share.
    Given,
    /// A share waits for its copy, which has failed.
    Failed,
    /// Nobody has asked for an approval.
    NotAsked,
    /// A share waits for approval.
    Asked,
    /// It is approved, and the approval is not carried out.
    Approved,
    /// It is rejected, and both records are there.
    Rejected,
    /// What was decided is carried out, and the decision is there.
    Decided,
    /// Nobody has asked for a copy that needs an approval.
    NoCopyAsked,
    /// Somebody has, and waits for the approval.
    CopyAsked,
    /// It is approved, and the approval is not carried out.
    CopyApproved,
    /// It is approved and waits for its copy, which is pending.
    ApprovedWaits,
    /// The same if the copy is available.
    ApprovedCopied,
}

impl Before {
    /// Every one of the image.
    pub const ALL: [Self; 3] = [Self::Unshared, Self::Shared, Self::SharedUntil];

    /// Every one of a copy.
    pub const COPIES: [Self; 6] = [Self::NoCopy, Self::Waits, Self::BothWait, Self::Copied, Self::Given, Self::Failed];

    /// Every one of an approval.
    pub const APPROVALS: [Self; 5] = [Self::NotAsked, Self::Asked, Self::Approved, Self::Rejected, Self::Decided];

    /// Every one of a copy that needs an approval.
    pub const APPROVED_COPIES: [Self; 5] =
        [Self::NoCopyAsked, Self::CopyAsked, Self::CopyApproved, Self::ApprovedWaits, Self::ApprovedCopied];

    fn is_about_both(self) -> bool {
        Self::APPROVED_COPIES.contains(&self)
    }

    fn is_about_approvals(self) -> bool {
        Self::APPROVALS.contains(&self)
    }

    fn is_about_copies(self) -> bool {
        Self::COPIES.contains(&self)
    }
}

/// A scene.
#[derive(Debug)]
pub struct Scene {
    /// What runs.
    pub actors: Vec<Actor>,
    pub(crate) before: Before,
    /// The last place of the clock.
    pub last_time: u8,
    /// Whether the image may be deregistered.
    pub may_go: bool,
}

/// A call that was answered.
#[derive(Debug, Clone, Copy)]
pub struct Taken<'t> {
    /// The place of the invocation in the scene.
    pub actor: usize,
    /// The call.
    pub call: &'t Call,
    /// What the invocation could not read for its request.
    pub unread: &'t Unread,
}

/// What must hold, and what is wrong if it doesn't.
fn rule(holds: bool, what: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(what) }
}

impl Scene {
    /// These invocations, at the same time.
    pub fn new(kinds: &[Kind], before: Before) -> Self {
        let number = |place: usize, kind| kinds[..place].iter().filter(|other| **other == kind).count();
        let actors = kinds.iter().enumerate().map(|(place, kind)| Actor::new(*kind, number(place, *kind)));
        let actors: Vec<_> = actors.collect();
        let last_time = actors.iter().map(|actor| actor.not_before).max().unwrap_or_default();
        Self { actors, before, last_time, may_go: false }
    }

    /// Whether no kind runs twice.
    pub fn is_of_different_kinds(&self) -> bool {
        self.actors.windows(2).all(|pair| pair[0].kind != pair[1].kind)
    }

    /// Its name.
    pub fn name(&self) -> String {
        let names: Vec<_> = self.actors.iter().map(|actor| actor.name).collect();
        format!("{:?}: {}", self.before, names.join(" + "))
    }

    /// What is known not to hold, wherever it is found.
    pub fn known(&self) -> &'static [&'static str] {
        match self.before {
            before if before.is_about_copies() || before.is_about_both() => &KNOWN_OF_COPIES,
            before if before.is_about_approvals() => &KNOWN_OF_APPROVALS,
            _ => &KNOWN_OF_THE_IMAGE,
        }
    }

    /// What AWS keeps before. The image is shared with the other target for good.
    pub fn before(&self, pools: &Pools) -> Kept {
        if self.before.is_about_copies() || self.before.is_about_both() {
            return self.copies_before(pools);
        }
        let mut kept = Kept { may_go: self.may_go, ..Kept::default() };
        kept.images[0] = Shared::with(TWO);
        if matches!(self.before, Before::Shared | Before::SharedUntil | Before::Decided) {
            kept.images[0] = Shared::with(ONE | TWO);
            kept = kept.with_grant(0);
        }
        if self.before == Before::SharedUntil {
            kept = kept.with_record(&Record::Expiry(world::first_record()), pools);
            kept.images[0].must_expire = [ONE; 3];
        }
        if !self.before.is_about_approvals() || self.before == Before::NotAsked {
            return kept;
        }
        if self.before != Before::Decided {
            kept = kept.with_record(&Record::Ask(Box::new(asked())), pools);
        }
        let answer = match self.before {
            Before::Rejected => ApprovalAnswer::Rejected { by: world::requester(world::BEA) },
            _ => ApprovalAnswer::Approved { by: world::requester(world::BEA) },
        };
        let decision = ApprovalDecision::new(&asked(), answer, "earlier", None, world::time_at(0));
        match self.before {
            Before::Asked => kept,
            _ => kept.with_record(&Record::Decision(Box::new(decision)), pools),
        }
    }

    fn copies_before(&self, pools: &Pools) -> Kept {
        let mut kept = Kept::default();
        let (targets, stands) = match self.before {
            Before::Waits => (ONE, Stands::Pending),
            Before::BothWait => (ONE | TWO, Stands::Pending),
            Before::Copied | Before::Given => (ONE, Stands::Available),
            Before::Failed => (ONE, Stands::Failed),
            Before::ApprovedWaits => (ONE, Stands::Pending),
            Before::ApprovedCopied => (ONE, Stands::Available),
            Before::CopyAsked => return kept.with_record(&Record::Ask(Box::new(asked_for_copy())), pools),
            Before::CopyApproved => {
                let by = ApprovalAnswer::Approved { by: world::requester(world::BEA) };
                let decision = ApprovalDecision::new(&asked_for_copy(), by, "earlier", None, world::time_at(0));
                let kept = kept.with_record(&Record::Ask(Box::new(asked_for_copy())), pools);
                return kept.with_record(&Record::Decision(Box::new(decision)), pools);
            }
            _ => return kept,
        };
        let order = CopyOrder {
            source: world::source(),
            source_name: world::source_image().name.unwrap(),
            key: ami_share_testing::worlds::key(),
            failed_copies: 0,
            is_from_here: false,
        };
        let name = order.name(0, false);
        let order = (pools.words.put(&name), pools.words.put(&order.client_token(&name, 0)));
        let shared = if self.before == Before::Given { ONE } else { 0 };
        kept.images[1] = Shared { stands: Lagging::new(stands), order: Some(order), ..Shared::with(shared) };
        if self.before == Before::Given {
            kept = kept.with_grant(1);
        }
        let record = if self.before.is_about_both() { approved_and_waiting() } else { waiting(targets) };
        kept.with_record(&Record::Copy(Box::new(record)), pools)
    }

    /// The place of the clock after this one, if the scene has one.
    pub fn place_after(&self, place: u8) -> Option<u8> {
        // Only these differ for an approval.
        let next = if self.before.is_about_approvals() && place < 4 { 5 } else { place + 1 };
        Some(next).filter(|next| *next <= self.last_time)
    }

    /// Whether an invocation that was killed is sent again before much time passes. Hints of a decision come for a day.
    pub fn is_sent_again_soon(&self) -> bool {
        self.before.is_about_approvals()
    }

    /// Notes what AWS doesn't keep. `ended` is how the invocation has ended with this call, and `is_alone` whether nothing
    /// else runs.
    pub fn note(&self, actor: usize, before: &Kept, after: &mut Kept, (ended, is_alone): (Option<&Ended>, bool)) {
        if !self.before.is_about_approvals() {
            return;
        }
        after.is_first_told |= ended.is_some_and(|ended| ended.told.iter().any(|told| told.request_id == "first"));
        let is_given = after.images[0].launch.now & ONE != 0 && before.images[0].launch.now & ONE == 0;
        if is_given {
            after.given = (after.given + 1).min(2);
            after.is_taken = false;
        }
        let takes_away = self.actors[actor].kind.takes_away();
        after.is_taken |= is_alone && takes_away && ended.is_some_and(|ended| ended.result == Status::Completed);
    }

    /// Whether no other invocation disturbs.
    fn is_alone(&self) -> bool {
        self.actors.len() == 1
    }

    fn has(&self, is_it: impl Fn(Kind) -> bool) -> bool {
        self.actors.iter().any(|actor| is_it(actor.kind))
    }

    /// What must hold at every step.
    pub fn check_step(
        &self,
        Taken { actor, call, unread }: Taken<'_>,
        before: &Kept,
        after: &Kept,
        pools: &Pools,
    ) -> Result<(), &'static str> {
        let is_given_unread = before.images.iter().zip(&after.images).enumerate().any(|(slot, (before, after))| {
            after.launch.now & !before.launch.now & ONE != 0 && unread.lacks_a_fact_of(slot)
        });
        rule(!is_given_unread, "access is given, and something was not read that it depends on")?;
        rule(!after.is_harmed, "a grant was revoked that is another image's or nobody's")?;
        if self.before.is_about_both() {
            self.check_approved_copies(call, before, after, pools)?;
        } else if self.before.is_about_copies() {
            self.check_copies(call, before, after, pools)?;
        } else {
            let (before, after) = (&before.images[0], &after.images[0]);
            rule(after.copy.now & TWO != 0, "a create volume permission was removed that another image needs")?;
            let is_reset = self.actors[actor].kind == Kind::Reset;
            let is_gone = after.stands.now == Stands::Gone;
            let is_kept = after.launch.now & TWO == before.launch.now & TWO;
            rule(is_reset || is_gone || is_kept, "another target was removed")?;
        }
        let Call::Write { step, .. } = call else { return Ok(()) };
        if self.before.is_about_approvals() && !self.has(|kind| kind.asks() || kind == Kind::Share) {
            let gave = (before.images[0].launch.now & ONE, after.images[0].launch.now & ONE) == (0, ONE);
            rule(!gave || !before.is_taken || before.given == 0, GIVEN_AGAIN)?;
        }
        if !self.is_alone() {
            return Ok(());
        }
        let step = pools.steps.get(*step);
        let gives = matches!(*step, Step::AddLaunchPermissions { .. } | Step::CreateGrant { .. });
        let is_unrecorded = self.before.is_about_approvals() && !self.has(|kind| kind == Kind::Share);
        rule(!gives || !is_unrecorded || has_decision(after, pools), "something is given, and no decision says so")?;
        let is_share = !self.actors[actor].kind.takes_away();
        let order = (0..SLOTS).try_for_each(|slot| check_order(&step, slot, before, after, pools));
        let is_undone = order == Err(REMOVED_FIRST) && is_share && unread.lacks_a_record();
        if is_undone { Err(TOO_MUCH_UNDONE) } else { order }
    }

    /// What must hold at every step of copies that need an approval.
    fn check_approved_copies(
        &self,
        call: &Call,
        before: &Kept,
        after: &Kept,
        pools: &Pools,
    ) -> Result<(), &'static str> {
        let live = |kept: &Kept| kept.images.iter().filter(|image| image.stands.now.is_live()).count();
        rule(live(after) <= 1, TWO_COPIES)?;
        let is_begun = matches!(call, Call::CopyImage { .. }) && live(after) > live(before);
        let was_decided = matches!(self.before, Before::ApprovedWaits | Before::ApprovedCopied);
        let may_be_deleted = was_decided || !self.is_alone();
        rule(!is_begun || may_be_deleted || has_waiting(after, pools), "a copy was begun, and nothing waits for it")?;
        rule(!is_begun || may_be_deleted || has_decision(after, pools), NOBODY_SAYS_SO)?;
        let other = after.images.iter().any(|image| (image.launch.now | image.copy.now) & TWO != 0);
        rule(!other, "something was given that nobody asked for")
    }

    /// What must hold of copies at every step.
    fn check_copies(&self, call: &Call, before: &Kept, after: &Kept, pools: &Pools) -> Result<(), &'static str> {
        let live = |kept: &Kept| kept.images.iter().filter(|image| image.stands.now.is_live()).count();
        rule(live(after) <= 1, TWO_COPIES)?;
        let is_begun = matches!(call, Call::CopyImage { .. }) && live(after) > live(before);
        // A request that finds a record whose time is over deletes it and writes its own.
        let may_be_deleted = self.has(|kind| !kind.gives() || kind == Kind::LateShareCopy);
        rule(!is_begun || may_be_deleted || has_waiting(after, pools), "a copy was begun, and nothing waits for it")?;
        let other = after.images.iter().any(|image| (image.launch.now | image.copy.now) & TWO != 0);
        rule(self.before == Before::BothWait || !other, "something was given that nobody asked for")
    }

    /// What must hold when everything has ended.
    pub fn check_end(&self, end: &End<'_>, pools: &Pools) -> Result<(), &'static str> {
        let End { kept, ended, .. } = end;
        for (slot, image) in kept.images.iter().enumerate() {
            let must_expire = image.must_expire.map(|marked| marked & ONE != 0);
            for (what, _) in UNRECORDED.into_iter().zip(must_expire).filter(|(_, must)| *must) {
                rule(has_expiry(slot, kept, pools), self.why_unrecorded(end, image, what))?;
            }
        }
        if self.before.is_about_both() {
            return self.check_end_of_approved_copies(end, pools);
        }
        if self.before.is_about_copies() {
            return self.check_end_of_copies(end, pools);
        }
        if self.before.is_about_approvals() {
            return self.check_end_of_approvals(end, pools);
        }
        let taken = self.complete(ended, Kind::takes_away);
        if !taken.is_empty() && !self.has(Kind::gives) && taken.iter().all(|it| *it) {
            let is_gone = kept.has_nothing(0, ONE) && kept.schedules.is_empty();
            rule(is_gone, "a revoke is complete, and something is left")?;
        }
        let is_due = |kind| matches!(kind, Kind::Expire | Kind::Repair);
        let is_gone = kept.images[0].stands.now == Stands::Gone;
        let is_expired = self.complete(ended, |kind| kind == Kind::Expire) == [true];
        let is_ended = self.is_alone() && is_expired && !is_gone;
        if is_ended && self.before == Before::SharedUntil {
            let is_taken = kept.has_nothing(0, ONE) && kept.schedules.is_empty();
            rule(is_taken, "an expiry is complete, and something is left")?;
        }
        let given = self.complete(ended, Kind::gives).contains(&true);
        // A share that was renewed in time outlives its first expiry, and the repair that finds that overdue.
        let in_time = |(actor, ended): (&Actor, &Rc<Ended>)| {
            actor.kind == Kind::Renew && ended.result == Status::Completed && ended.began < EXPIRING
        };
        let is_renewed = self.actors.iter().zip(*ended).any(in_time);
        let ends_it = |kind| is_due(kind) && !is_renewed;
        if given && !is_gone && !self.has(|kind| kind.takes_away() || ends_it(kind)) {
            let is_undone = end.is_lost_by(|why| why == Some(Undone::Unread));
            let what = if is_undone { UNDONE_UNREAD } else { "a share is complete, and something is missing" };
            rule(kept.has_all(0, ONE), what)?;
        }
        Ok(())
    }

    /// What is wrong if something must expire and has no record.
    fn why_unrecorded(&self, end: &End<'_>, image: &Shared, what: &'static str) -> &'static str {
        let is_unfinished = |ended: &Rc<Ended>| ended.result == Status::Incomplete;
        let took = |(actor, ended): (&Actor, &Rc<Ended>)| actor.kind.takes_away() && is_unfinished(ended);
        let is_gone = image.stands.now == Stands::Gone && !self.is_alone();
        let is_unlisted = end.is_unread && what == UNRECORDED[2];
        let is_crossed = end.is_crashed && self.has(Kind::takes_away);
        let is_by_rule = UNRECORDED.iter().zip(end.kept.by_rule).any(|(it, is_by_rule)| *it == what && is_by_rule);
        // "less than 5 minutes ahead" is what a malformed request says.
        let too_late = [RefusalCode::ShareEnding, RefusalCode::MalformedRequest];
        let is_late = end.ended.iter().any(|ended| ended.refusals.iter().any(|code| too_late.contains(code)));
        let is_unseen = end.may_lag && what == UNRECORDED[1] && self.has(|kind| kind == Kind::Reset);
        match () {
            () if is_crossed && is_by_rule => LEFT_BY_A_RULE,
            () if is_crossed && is_late => SENT_AGAIN_LATE,
            () if is_crossed && is_unseen => LEFT_BY_A_RESET,
            () if is_gone && end.ended.iter().any(is_unfinished) => LEFT_OF_AN_IMAGE_THAT_IS_GONE,
            () if is_unlisted && self.actors.iter().zip(end.ended).any(took) => UNLISTED,
            () => what,
        }
    }

    /// For each invocation of these kinds, whether it is complete.
    fn complete(&self, ended: &[Rc<Ended>], is_it: fn(Kind) -> bool) -> Vec<bool> {
        let all = self.actors.iter().zip(ended).filter(|(actor, _)| is_it(actor.kind));
        all.map(|(_, ended)| ended.result == Status::Completed).collect()
    }

    /// What must hold of copies when everything has ended and the hints have come.
    fn check_end_of_copies(&self, end: &End<'_>, pools: &Pools) -> Result<(), &'static str> {
        let End { ended, aftermath: Aftermath { kept, told }, .. } = end;
        rule(!has_waiting(kept, pools), "a record is left, and nothing waits")?;
        let taken = self.complete(ended, Kind::takes_away);
        let is_there = |slot: &usize| kept.images[*slot].stands.now != Stands::Gone;
        let has_nothing = |target| (1..SLOTS).all(|slot| kept.has_nothing(slot, target));
        let has_nothing_there = |target| (1..SLOTS).filter(is_there).all(|slot| kept.has_nothing(slot, target));
        if !taken.is_empty() && !self.has(Kind::gives) && taken.iter().all(|it| *it) {
            rule(
                has_nothing(ONE),
                match end {
                    _ if has_nothing_there(ONE) => LEFT_OF_A_COPY_THAT_IS_GONE,
                    End { is_crashed: true, .. } => GIVEN_AFTER_CRASH,
                    End { may_lag: true, .. } => GIVEN_LATE,
                    End { .. } => GIVEN,
                },
            )?;
        }
        let told: Vec<_> = ended.iter().flat_map(|ended| &ended.told).chain(told).collect();
        let was_undone = end.kept.was_undone && end.kept.undone.iter().any(Option::is_some);
        let is_undone = was_undone || told.iter().any(|told| told.is_undone());
        let is_told = end.kept.was_told || told.iter().any(|told| told.is_bad());
        let is_given = |target| (1..SLOTS).any(|slot| kept.has_all(slot, target));
        let is_gone = kept.images.iter().any(|image| image.stands.now == Stands::Gone);
        let waited = |(actor, ended): (&Actor, &Rc<Ended>)| {
            actor.kind.gives() && matches!(ended.result, Status::Accepted | Status::Completed)
        };
        let waited = self.before != Before::NoCopy || self.actors.iter().zip(*ended).any(waited);
        let is_taken = self.has(Kind::takes_away);
        if waited && !is_taken && !is_given(ONE) && is_undone {
            return Err(self.why_undone(end, &told));
        }
        let is_live = kept.images.iter().any(|image| image.stands.now.is_live());
        let may_be_given_up = kept.is_withdrawn || is_gone || self.actors.iter().any(|actor| actor.not_before > 0);
        rule(
            !is_live || is_given(ONE) || is_taken || may_be_given_up || !end.is_undisturbed,
            self.why_nobody_waits(end, &told),
        )?;
        if waited && !is_taken && !is_given(ONE) && end.is_lost_by(|why| why == Some(Undone::Unread)) {
            return Err(UNDONE_UNREAD);
        }
        if waited && !is_taken {
            rule(is_given(ONE) || is_told || is_gone, if end.is_crashed { UNTOLD_AFTER_CRASH } else { UNTOLD })?;
        }
        if self.before == Before::BothWait && !self.has(|kind| kind == Kind::ResetCopy) {
            rule(
                is_given(TWO) || is_told || is_undone || is_gone || !end.is_undisturbed,
                "the share of the other target has gone",
            )?;
        }
        Ok(())
    }
}

/// What is wrong if a copy is begun without a decision.
pub const NOBODY_SAYS_SO: &str = "a copy was begun, and no decision says so";

impl Scene {
    /// What must hold of copies that need an approval when everything has ended and the hints have come.
    fn check_end_of_approved_copies(&self, end: &End<'_>, pools: &Pools) -> Result<(), &'static str> {
        let End { ended, aftermath: Aftermath { kept, told }, .. } = end;
        rule(!has_waiting(kept, pools), "a record is left, and nothing waits")?;
        rule(!has_decision(kept, pools), "a decision is left")?;
        let told: Vec<_> = ended.iter().flat_map(|ended| &ended.told).chain(told).collect();
        let is_given = (1..SLOTS).any(|slot| kept.images[slot].launch.now & ONE != 0);
        let is_rejected = told.iter().any(|told| told.refusals.contains(&RefusalCode::ApprovalRejected));
        let was_approved = matches!(self.before, Before::CopyApproved | Before::ApprovedWaits | Before::ApprovedCopied);
        let may_be_given = was_approved || self.has(|kind| kind == Kind::ApproveCopy);
        rule(!is_given || may_be_given, "something is given, and nobody has approved it")?;
        rule(!is_rejected || !is_given || self.has(Kind::asks), "something is given that was rejected")?;
        let taken = self.complete(ended, Kind::takes_away);
        let is_crossed = self.has(|kind| matches!(kind, Kind::AskForCopy | Kind::ApproveCopy | Kind::CarryOnCopy));
        if !taken.is_empty() && taken.iter().all(|it| *it) && !is_crossed && self.before != Before::CopyApproved {
            let has_nothing = (1..SLOTS).all(|slot| kept.has_nothing(slot, ONE));
            rule(has_nothing, if end.is_undisturbed { GIVEN } else { GIVEN_AFTER_CRASH })?;
        }
        let is_waiting = !asks_left(kept, pools).is_empty();
        let is_made = (1..SLOTS).any(|slot| kept.has_all(slot, ONE));
        let is_known = is_waiting || is_made || !told.is_empty() || self.has(Kind::takes_away);
        let untold = if end.is_undisturbed { UNTOLD } else { UNTOLD_AFTER_CRASH };
        rule(self.before == Before::NoCopyAsked || is_known, untold)
    }

    /// What is wrong if a share is undone that nobody has taken back.
    fn why_undone(&self, end: &End<'_>, told: &[&Told]) -> &'static str {
        let kept = &end.aftermath.kept;
        let has_nothing = |slot: usize| kept.has_nothing(slot, ONE);
        let is_gone = |slot: usize| kept.images[slot].stands.now == Stands::Gone;
        // Nobody has access, and who asked knows that the share was given up, or refused by what has changed meanwhile.
        let is_told = |result| told.iter().any(|told| told.result == result);
        let cannot_launch = kept.images.iter().all(|image| image.launch.now & ONE == 0);
        let is_late = self.actors.iter().any(|actor| actor.not_before > 0);
        let is_ended = is_late && (is_told(Status::Failed) || end.kept.was_told) || is_told(Status::Refused);
        let is_given_up = (1..SLOTS).all(has_nothing) && is_ended;
        let is_by = |why, ending| [Undone::Lost(Some(ending)), Undone::LostUnlisted(Some(ending))].contains(&why);
        let is_lost = |ending| end.is_lost_by(|why| why.is_some_and(|why| is_by(why, ending)));
        let is_taken = end.is_lost_by(|why| matches!(why, Some(Undone::LostUnlisted(Some(Ending::FoundNothing)))));
        let may_be_given_up = end.is_lost_by(|why| why.is_none_or(|why| is_by(why, Ending::GivenUp)))
            || is_told(Status::Refused) && is_lost(Ending::Replaced);
        let is_unread = |why: Option<_>| why.is_some_and(|why| why == Undone::Unread || is_by(why, Ending::GivenUp));
        let is_ended_by_hint = is_lost(Ending::FoundNothing) || is_lost(Ending::GivenUp);
        match () {
            () if is_taken => UNDONE_UNLISTED,
            () if end.kept.is_overtaken && is_lost(Ending::FoundNothing) => OVERTAKEN,
            // Only what was given of that copy is left.
            () if (1..SLOTS).any(is_gone) && (1..SLOTS).all(|slot| is_gone(slot) || has_nothing(slot)) => {
                GONE_MEANWHILE
            }
            () if end.is_lost_by(|why| why == Some(Undone::Unread)) => HINT_UNDONE_UNREAD,
            // Another hint made a part of it, until the one that has undone the rest gave it up.
            () if cannot_launch && end.is_lost_by(is_unread) && !is_lost(Ending::GivenUp) => HINT_UNDONE_UNREAD,
            () if end.kept.is_given_up_late && is_lost(Ending::GivenUp) => NOBODY_WAITS,
            () if self.actors.len() > 2 && cannot_launch && is_lost(Ending::FoundNothing) => OVERTAKEN_BY_TWO,
            () if !self.is_alone() && is_given_up && may_be_given_up => GIVEN_UP_MEANWHILE,
            () if !end.is_undisturbed && cannot_launch && is_ended_by_hint => OVERTAKEN_AFTER_CRASH,
            () if end.is_crashed && is_lost(Ending::Replaced) => MIXED_AFTER_CRASH,
            () => "a share is undone, and nobody has taken it back",
        }
    }

    /// What is wrong if a copy is there that is not shared.
    fn why_nobody_waits(&self, end: &End<'_>, told: &[&Told]) -> &'static str {
        let kept = &end.aftermath.kept;
        let is_told = || told.iter().any(|told| told.refusals.contains(&RefusalCode::ImageNotFound));
        let failed = |image: &&Shared| image.stands.now == Stands::Failed;
        let failed_before = usize::from(self.before == Before::Failed);
        let has_failed = kept.images.iter().filter(failed).count() > failed_before;
        match () {
            () if end.kept.is_given_up_late => NOBODY_WAITS,
            // A copy failed while its request still looked whether it was there, and its hint was told so.
            () if has_failed && told.iter().any(|told| told.result == Status::Failed) => NOBODY_WAITS,
            () if end.kept.is_source_gone && is_told() => LEFT_BY_ITS_SOURCE,
            () => "a copy is there, and nobody has waited for it",
        }
    }

    /// What must hold of approvals when everything has ended and the hints have come.
    fn check_end_of_approvals(&self, end: &End<'_>, pools: &Pools) -> Result<(), &'static str> {
        let End { ended, aftermath: Aftermath { kept, told }, .. } = end;
        rule(!has_decision(kept, pools), "a decision is left")?;
        let told: Vec<_> = ended.iter().flat_map(|ended| &ended.told).chain(told).collect();
        let is = |told: &Told, code| told.refusals.contains(&code);
        let is_made = |told: &&&Told| told.result == Status::Completed;
        let is_ended = |told: &&&Told| is(told, RefusalCode::ApprovalRejected) || is(told, RefusalCode::ApprovalLapsed);
        let is_same = |one: &Told, other: &Told| one.request_id == other.request_id && one.refusals == other.refusals;
        let decided: Vec<_> = told.iter().filter(|told| is_made(told) || is_ended(told)).collect();
        let is_one = decided
            .iter()
            .all(|one| decided.iter().all(|other| one.request_id != other.request_id || is_same(one, other)));
        rule(is_one, "one ask was decided in two ways")?;
        let is_given = kept.images[0].launch.now & ONE != 0;
        let has_one_ask = !self.has(Kind::asks) && self.before != Before::Decided;
        let may_be_given = !has_one_ask || self.has(|kind| kind == Kind::Share) || !told.iter().any(|it| is_ended(&it));
        rule(may_be_given || !is_given, "something is given that was rejected or has lapsed")?;
        let is_gone = kept.images[0].stands.now == Stands::Gone;
        if has_one_ask && !is_gone && !self.has(|kind| kind == Kind::Revoke) && told.iter().any(|it| is_made(&it)) {
            rule(kept.has_all(0, ONE), "an approved share is complete, and something is missing")?;
        }
        if has_one_ask && !self.has(|kind| kind == Kind::Share) {
            let was_given = end.kept.images[0].launch.now & ONE != 0;
            let is_again = end.kept.is_taken && end.kept.given > 0 && is_given && !was_given;
            rule(!is_again, GIVEN_AGAIN)?;
        }
        let is_waiting = |id: &str| asks_left(kept, pools).iter().any(|ask| ask.request_id == id);
        let is_told = |id: &str| told.iter().any(|told| told.request_id == id);
        let was_asked = matches!(self.before, Before::Asked | Before::Approved | Before::Rejected);
        let lost = if end.is_undisturbed { ASK_LOST } else { ASK_LOST_AFTER_CRASH };
        rule(!was_asked || is_waiting("first") || is_told("first") || end.kept.is_first_told, lost)?;
        let accepted =
            self.actors.iter().zip(*ended).any(|(actor, ended)| actor.kind.asks() && ended.result == Status::Accepted);
        rule(!accepted || !told.is_empty() || !asks_left(kept, pools).is_empty(), lost)
    }
}

/// What is wrong if nobody learns what became of an ask.
const ASK_LOST: &str = "the record of an ask was deleted, and no outcome says how it ended";

/// The same if an invocation was killed or a write failed.
const ASK_LOST_AFTER_CRASH: &str =
    "the record of an ask was deleted, and no outcome says how it ended after a crash or a failure";

/// Whether there is a decision about an ask.
fn has_decision(kept: &Kept, pools: &Pools) -> bool {
    kept.schedules.keys().any(|name| DecisionName::is_meant(&pools.names.get(*name)))
}

/// The asks that are there.
fn asks_left(kept: &Kept, pools: &Pools) -> Vec<Ask> {
    let asks = kept.schedules.iter().filter_map(|(name, schedule)| match &*pools.record(*name, *schedule) {
        Record::Ask(ask) => Some((**ask).clone()),
        _ => None,
    });
    asks.collect()
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
    /// How it ends after the hints.
    pub aftermath: &'e Aftermath,
    /// Whether no invocation was killed and no write failed.
    pub is_undisturbed: bool,
    /// Whether an invocation was killed or a write failed.
    pub is_crashed: bool,
    /// Whether a read has failed.
    pub is_unread: bool,
    /// Whether reads of EC2 may lag.
    pub may_lag: bool,
}

impl End<'_> {
    /// Whether something is missing, and all of it was undone for such a reason, if at all.
    fn is_lost_by(&self, is_it: impl Fn(Option<Undone>) -> bool) -> bool {
        let has = had_by_target(&self.aftermath.kept);
        let missing: Vec<_> = has.into_iter().zip(self.kept.undone).filter(|(has, _)| !has).collect();
        !missing.is_empty() && missing.into_iter().all(|(_, why)| is_it(why))
    }
}

/// What must hold of one image at every step of an invocation that nothing disturbs.
fn check_order(step: &Step, slot: usize, before: &Kept, after: &Kept, pools: &Pools) -> Result<(), &'static str> {
    let has_grant = after.grants.now[slot][0] != 0;
    let has_record = has_expiry(slot, after, pools);
    let (before, after) = (&before.images[slot], &after.images[slot]);
    let (can_launch, can_copy) = (after.launch.now & ONE != 0, after.copy.now & ONE != 0);
    let is_added = can_launch && before.launch.now & ONE == 0;
    rule(!is_added || has_grant, "a launch permission was added before the grant")?;
    rule(!is_added || can_copy, "a launch permission was added before the create volume permission")?;
    let must_expire = after.must_expire.iter().any(|marked| marked & ONE != 0);
    rule(!must_expire || has_record, "something is given that must expire, and there is no record")?;
    rule(
        !matches!(step, Step::RemoveCreateVolumePermissions { .. } | Step::RevokeGrant { .. }) || !can_launch,
        REMOVED_FIRST,
    )
}

/// Whether there is a record of an expiry of the image in this slot.
fn has_expiry(slot: usize, kept: &Kept, pools: &Pools) -> bool {
    let prefix = ExpiryName::image_prefix(&world::id_of(slot));
    kept.schedules.keys().any(|name| pools.names.get(*name).starts_with(&prefix))
}

/// Whether there is a record of a share that waits for a copy.
fn has_waiting(kept: &Kept, pools: &Pools) -> bool {
    kept.schedules.keys().any(|name| CopyName::is_meant(&pools.names.get(*name)))
}

impl Kept {
    fn with_grant(mut self, slot: usize) -> Self {
        self.made[slot] = [1, 0];
        Self { grants: Lagging::new(self.made), ..self }
    }

    fn with_record(mut self, record: &Record, pools: &Pools) -> Self {
        let schedule = record.schedule(BUS, world::time_at(0));
        self.schedules.insert(pools.names.put(&record.name().to_string()), pools.schedules.put(&schedule));
        self
    }

    /// Whether the target has nothing of the image in this slot.
    fn has_nothing(&self, slot: usize, target: u8) -> bool {
        let image = &self.images[slot];
        let place = usize::try_from(target.trailing_zeros()).unwrap();
        (image.launch.now | image.copy.now) & target == 0 && self.grants.now[slot][place] == 0
    }

    /// Whether the target has everything of the image in this slot.
    fn has_all(&self, slot: usize, target: u8) -> bool {
        let image = &self.images[slot];
        let place = usize::try_from(target.trailing_zeros()).unwrap();
        image.launch.now & image.copy.now & target != 0 && self.grants.now[slot][place] != 0
    }
}
