//! Owns the scenes: which invocations run at the same time, what there is before, and what must hold.

use sharing::{
    outcome::Status,
    plan::Step,
    records::{Record, RecordName},
    request::{Access, Action},
};

use crate::{
    invocation::{Trigger, request},
    kept::{Kept, Lagging},
    script::{Call, Ended, Pools},
    world::{self, BUS, ONE, TWO},
};

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A share without `expiresAt`.
    Share,
    /// A share with the first expiry time.
    ShareUntil,
    /// A share with the second expiry time.
    Renew,
    /// A revoke.
    Revoke,
    /// A reset.
    Reset,
    /// The hint of the first expiry.
    Expire,
    /// A rule with `onAvailable`.
    Available,
    /// A repair.
    Repair,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Share,
        Self::ShareUntil,
        Self::Renew,
        Self::Revoke,
        Self::Reset,
        Self::Expire,
        Self::Available,
        Self::Repair,
    ];

    fn gives(self) -> bool {
        matches!(self, Self::Share | Self::ShareUntil | Self::Renew | Self::Available)
    }

    fn takes_away(self) -> bool {
        matches!(self, Self::Revoke | Self::Reset)
    }

    fn actor(self) -> Actor {
        let share = |until| {
            Trigger::Request(request(Action::Share, |request| {
                (request.access, request.expires_at) = (Access::Copy, until);
            }))
        };
        let (name, trigger) = match self {
            Self::Share => ("share", share(None)),
            Self::ShareUntil => ("share until 1", share(Some(world::first_end()))),
            Self::Renew => ("share until 2", share(Some(world::second_end()))),
            Self::Revoke => ("revoke", Trigger::Request(request(Action::Revoke, |_| {}))),
            Self::Reset => ("reset", Trigger::Request(request(Action::Reset, |_| {}))),
            Self::Expire => ("expire 1", Trigger::Due(first_record().name)),
            Self::Available => ("available", Trigger::Available),
            Self::Repair => ("repair", Trigger::Request(request(Action::Repair, |request| request.image_ids.clear()))),
        };
        // Before that an expiry is not due, and a repair finds nothing overdue.
        let not_before = match self {
            Self::Expire => EXPIRING,
            Self::Repair => 3,
            _ => 0,
        };
        Actor { kind: self, name, trigger, not_before }
    }
}

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

/// An invocation of a scene.
#[derive(Debug, Clone)]
pub struct Actor {
    /// What it is.
    pub kind: Kind,
    /// Its name in traces.
    pub name: &'static str,
    /// What begins it.
    pub trigger: Trigger,
    /// The place of the clock before which it does not begin.
    pub not_before: u8,
}

/// The place of the clock from which the first share may expire.
const EXPIRING: u8 = 2;

/// How the image is shared before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Not with the target.
    Unshared,
    /// For good.
    Shared,
    /// Until the first expiry time.
    SharedUntil,
}

impl Before {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Unshared, Self::Shared, Self::SharedUntil];
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

fn first_record() -> sharing::facts::Expiry {
    let mut image = world::image();
    image.snapshots[0].snapshot = sharing::facts::Fact::Known(world::snapshot());
    let target = world::targets(ONE).remove(0);
    sharing::needs::needed_expiry(&world::image_id(), &image, &target, world::first_end()).unwrap()
}

impl Scene {
    /// These invocations, at the same time.
    pub fn new(kinds: &[Kind], before: Before) -> Self {
        let actors: Vec<_> = kinds.iter().map(|kind| kind.actor()).collect();
        let last_time = actors.iter().map(|actor| actor.not_before).max().unwrap_or_default();
        Self { actors, before, last_time }
    }

    /// Its name.
    pub fn name(&self) -> String {
        let names: Vec<_> = self.actors.iter().map(|actor| actor.name).collect();
        format!("{:?}: {}", self.before, names.join(" + "))
    }

    /// What AWS keeps before. The image is shared with the other target for good.
    pub fn before(&self, pools: &Pools) -> Kept {
        let mut kept = Kept { launch: Lagging::new(TWO), copy: Lagging::new(TWO), ..Kept::default() };
        if self.before != Before::Unshared {
            kept.launch = Lagging::new(ONE | TWO);
            kept.copy = Lagging::new(ONE | TWO);
            kept = kept.with_grant();
        }
        if self.before == Before::SharedUntil {
            let record = Record::Expiry(first_record());
            let schedule = record.schedule(BUS, world::time_at(0));
            kept.schedules.insert(pools.names.put(&record.name().to_string()), pools.schedules.put(&schedule));
            kept.must_expire = [ONE; 3];
        }
        kept
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
    ) -> Result<(), String> {
        let rule = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        rule(!after.is_harmed, "a grant was revoked that is another image's or nobody's")?;
        rule(after.copy.now & TWO != 0, "a create volume permission was removed that another image needs")?;
        let is_reset = self.actors[actor].kind == Kind::Reset;
        rule(is_reset || after.launch.now & TWO == before.launch.now & TWO, "another target was removed")?;
        let Call::Write { step, .. } = call else { return Ok(()) };
        let step = pools.steps.get(*step);
        let has_record = !after.schedules.is_empty();
        let has_grant = after.grants.now[0] != 0;
        let (can_launch, can_copy) = (after.launch.now & ONE != 0, after.copy.now & ONE != 0);
        let is_added = can_launch && before.launch.now & ONE == 0;
        if !self.is_alone() {
            return Ok(());
        }
        rule(!is_added || has_grant, "a launch permission was added before the grant")?;
        rule(!is_added || can_copy, "a launch permission was added before the create volume permission")?;
        let must_expire = after.must_expire.iter().any(|marked| marked & ONE != 0);
        rule(!must_expire || has_record, "something is given that must expire, and there is no record")?;
        rule(
            !matches!(step, Step::RemoveCreateVolumePermissions { .. } | Step::RevokeGrant { .. }) || !can_launch,
            "something was removed before the launch permission",
        )
    }

    /// What must hold when everything has ended.
    pub fn check_end(&self, kept: &Kept, ended: &[Ended], pools: &Pools) -> Result<(), String> {
        let rule = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        let records: Vec<RecordName> =
            kept.schedules.keys().map(|name| pools.names.get(*name).parse().unwrap()).collect();
        let must_expire = kept.must_expire.map(|marked| marked & ONE != 0);
        let what = ["launch permission", "create volume permission", "grant"];
        for (what, _) in what.iter().zip(must_expire).filter(|(_, must)| *must) {
            rule(!records.is_empty(), &format!("a {what} must expire, and no record is left"))?;
        }
        let complete = |is_it: &dyn Fn(Kind) -> bool| {
            let all = self.actors.iter().zip(ended).filter(|(actor, _)| is_it(actor.kind));
            all.map(|(_, ended)| ended.result == Status::Completed).collect::<Vec<_>>()
        };
        let taken = complete(&Kind::takes_away);
        if !taken.is_empty() && !self.has(Kind::gives) && taken.iter().all(|it| *it) {
            let is_gone = kept.launch.now & ONE == 0 && kept.copy.now & ONE == 0 && kept.grants.now[0] == 0;
            rule(is_gone && records.is_empty(), "a revoke is complete, and something is left")?;
        }
        let given = complete(&Kind::gives).contains(&true);
        // A share that was renewed in time outlives its first expiry, and the repair that finds that overdue.
        let in_time = |(actor, ended): (&Actor, &Ended)| {
            actor.kind == Kind::Renew && ended.result == Status::Completed && ended.began < EXPIRING
        };
        let is_renewed = self.actors.iter().zip(ended).any(in_time);
        let ends_it = |kind| matches!(kind, Kind::Expire | Kind::Repair) && !is_renewed;
        if given && !self.has(|kind| kind.takes_away() || ends_it(kind)) {
            let is_there = kept.launch.now & ONE != 0 && kept.copy.now & ONE != 0 && kept.grants.now[0] != 0;
            rule(is_there, "a share is complete, and something is missing")?;
        }
        Ok(())
    }
}

impl Kept {
    fn with_grant(self) -> Self {
        Self { grants: Lagging::new([1, 0]), made: [1, 0], ..self }
    }
}
