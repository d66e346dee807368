//! Owns the scenes: which invocations run at the same time, what there is before, and what must hold.

use sharing::{
    domain::{CopyName, ExpiryName},
    needs::CopyOrder,
    outcome::Status,
    plan::Step,
    records::Record,
};

use crate::{
    explore::Aftermath,
    kept::{Kept, Lagging, Shared, Stands},
    kinds::{Actor, EXPIRING, Kind, waiting},
    script::{Call, Ended, Pools},
    world::{self, BUS, ONE, SLOTS, TWO},
};

/// The scenes in which something doesn't hold if an invocation is killed. docs/reliability.md says why: a rule with
/// `onAvailable` leaves a share that it finds without an expiry as it is, also if its own first attempt made it; and a
/// reset that is sent again may not yet see a create volume permission that was added last.
pub const KNOWN: [&str; 8] = [
    "Unshared: revoke + available",
    "SharedUntil: revoke + available",
    "Unshared: reset + available",
    "SharedUntil: reset + available",
    "SharedUntil: share + reset",
    "Unshared: share until 1 + reset",
    "SharedUntil: share until 1 + reset",
    "Unshared: share until 2 + reset",
];

/// What is wrong if something that must expire has no record.
const UNRECORDED: [&str; 3] = [
    "a launch permission must expire, and no record is left",
    "a create volume permission must expire, and no record is left",
    "a grant must expire, and no record is left",
];

/// What is known not to hold of copies. docs/reliability.md says why.
const KNOWN_OF_COPIES: [&str; 0] = [];

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
}

impl Before {
    /// Every one of the image.
    pub const ALL: [Self; 3] = [Self::Unshared, Self::Shared, Self::SharedUntil];

    /// Every one of a copy.
    pub const COPIES: [Self; 6] = [Self::NoCopy, Self::Waits, Self::BothWait, Self::Copied, Self::Given, Self::Failed];

    fn is_about_copies(self) -> bool {
        Self::COPIES.contains(&self)
    }
}

/// A scene.
#[derive(Debug)]
pub struct Scene {
    /// What runs.
    pub actors: Vec<Actor>,
    before: Before,
    /// The last place of the clock.
    pub last_time: u8,
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
        Self { actors, before, last_time }
    }

    /// Its name.
    pub fn name(&self) -> String {
        let names: Vec<_> = self.actors.iter().map(|actor| actor.name).collect();
        format!("{:?}: {}", self.before, names.join(" + "))
    }

    /// What is known not to hold, wherever it is found.
    pub fn known(&self) -> &'static [&'static str] {
        if self.before.is_about_copies() { &KNOWN_OF_COPIES } else { &[] }
    }

    /// What AWS keeps before. The image is shared with the other target for good.
    pub fn before(&self, pools: &Pools) -> Kept {
        if self.before.is_about_copies() {
            return self.copies_before(pools);
        }
        let mut kept = Kept::default();
        kept.images[0] = Shared::with(TWO);
        if self.before != Before::Unshared {
            kept.images[0] = Shared::with(ONE | TWO);
            kept = kept.with_grant(0);
        }
        if self.before == Before::SharedUntil {
            kept = kept.with_record(&Record::Expiry(world::first_record()), pools);
            kept.images[0].must_expire = [ONE; 3];
        }
        kept
    }

    fn copies_before(&self, pools: &Pools) -> Kept {
        let mut kept = Kept::default();
        let (targets, stands) = match self.before {
            Before::Waits => (ONE, Stands::Pending),
            Before::BothWait => (ONE | TWO, Stands::Pending),
            Before::Copied | Before::Given => (ONE, Stands::Available),
            Before::Failed => (ONE, Stands::Failed),
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
        kept.with_record(&Record::Copy(Box::new(waiting(targets))), pools)
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
        actor: usize,
        call: &Call,
        before: &Kept,
        after: &Kept,
        pools: &Pools,
    ) -> Result<(), &'static str> {
        rule(!after.is_harmed, "a grant was revoked that is another image's or nobody's")?;
        if self.before.is_about_copies() {
            self.check_copies(call, before, after, pools)?;
        } else {
            let (before, after) = (&before.images[0], &after.images[0]);
            rule(after.copy.now & TWO != 0, "a create volume permission was removed that another image needs")?;
            let is_reset = self.actors[actor].kind == Kind::Reset;
            rule(is_reset || after.launch.now & TWO == before.launch.now & TWO, "another target was removed")?;
        }
        let Call::Write { step, .. } = call else { return Ok(()) };
        if !self.is_alone() {
            return Ok(());
        }
        let step = pools.steps.get(*step);
        (0..SLOTS).try_for_each(|slot| check_order(&step, slot, before, after, pools))
    }

    /// What must hold of copies at every step.
    fn check_copies(&self, call: &Call, before: &Kept, after: &Kept, pools: &Pools) -> Result<(), &'static str> {
        let live = |kept: &Kept| kept.images.iter().filter(|image| image.stands.now.is_live()).count();
        rule(live(after) <= 1, "there are two copies")?;
        let is_begun = matches!(call, Call::CopyImage { .. }) && live(after) > live(before);
        let may_be_deleted = self.has(|kind| !kind.gives());
        rule(!is_begun || may_be_deleted || has_waiting(after, pools), "a copy was begun, and nothing waits for it")?;
        let other = after.images.iter().any(|image| (image.launch.now | image.copy.now) & TWO != 0);
        rule(self.before == Before::BothWait || !other, "something was given that nobody asked for")
    }

    /// What must hold when everything has ended.
    pub fn check_end(
        &self,
        kept: &Kept,
        ended: &[Ended],
        aftermath: &Aftermath,
        pools: &Pools,
    ) -> Result<(), &'static str> {
        for (slot, image) in kept.images.iter().enumerate() {
            let must_expire = image.must_expire.map(|marked| marked & ONE != 0);
            for (what, _) in UNRECORDED.iter().zip(must_expire).filter(|(_, must)| *must) {
                rule(has_expiry(slot, kept, pools), what)?;
            }
        }
        if self.before.is_about_copies() {
            return self.check_end_of_copies(ended, aftermath, pools);
        }
        let taken = self.complete(ended, Kind::takes_away);
        if !taken.is_empty() && !self.has(Kind::gives) && taken.iter().all(|it| *it) {
            let is_gone = kept.has_nothing(0, ONE) && kept.schedules.is_empty();
            rule(is_gone, "a revoke is complete, and something is left")?;
        }
        let given = self.complete(ended, Kind::gives).contains(&true);
        // A share that was renewed in time outlives its first expiry, and the repair that finds that overdue.
        let in_time = |(actor, ended): (&Actor, &Ended)| {
            actor.kind == Kind::Renew && ended.result == Status::Completed && ended.began < EXPIRING
        };
        let is_renewed = self.actors.iter().zip(ended).any(in_time);
        let ends_it = |kind| matches!(kind, Kind::Expire | Kind::Repair) && !is_renewed;
        if given && !self.has(|kind| kind.takes_away() || ends_it(kind)) {
            rule(kept.has_all(0, ONE), "a share is complete, and something is missing")?;
        }
        Ok(())
    }

    /// For each invocation of these kinds, whether it is complete.
    fn complete(&self, ended: &[Ended], is_it: fn(Kind) -> bool) -> Vec<bool> {
        let all = self.actors.iter().zip(ended).filter(|(actor, _)| is_it(actor.kind));
        all.map(|(_, ended)| ended.result == Status::Completed).collect()
    }

    /// What must hold of copies when everything has ended and the hints have come.
    fn check_end_of_copies(&self, ended: &[Ended], aftermath: &Aftermath, pools: &Pools) -> Result<(), &'static str> {
        let Aftermath { kept, told } = aftermath;
        rule(!has_waiting(kept, pools), "a record is left, and nothing waits")?;
        let taken = self.complete(ended, Kind::takes_away);
        let has_nothing = |target| (1..SLOTS).all(|slot| kept.has_nothing(slot, target));
        if !taken.is_empty() && !self.has(Kind::gives) && taken.iter().all(|it| *it) {
            rule(has_nothing(ONE), "a revoke is complete, and something is given or left")?;
        }
        let told: Vec<_> = ended.iter().flat_map(|ended| &ended.told).chain(told).collect();
        let is_told = told.iter().any(|told| told.result != Status::Completed);
        let is_given = |target| (1..SLOTS).any(|slot| kept.has_all(slot, target));
        let is_gone = kept.images.iter().any(|image| image.stands.now == Stands::Gone);
        let waited = |(actor, ended): (&Actor, &Ended)| {
            actor.kind.gives() && matches!(ended.result, Status::Accepted | Status::Completed)
        };
        let waited = self.before != Before::NoCopy || self.actors.iter().zip(ended).any(waited);
        if waited && !self.has(Kind::takes_away) {
            rule(is_given(ONE) || is_told || is_gone, "a share has waited, it is not there, and nobody is told")?;
        }
        if self.before == Before::BothWait && !self.has(|kind| kind == Kind::ResetCopy) {
            rule(is_given(TWO) || is_told || is_gone, "the share of the other target has gone")?;
        }
        Ok(())
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
        "something was removed before the launch permission",
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
