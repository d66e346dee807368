//! Owns [`Kept`]: what AWS keeps, what a call changes in it, and what it may answer.

use std::collections::{BTreeMap, BTreeSet};

use sharing::{
    domain::{AccountId, ImageId},
    plan::Step,
    records::{Record, RecordName},
};

use crate::{
    killed::Killed,
    pool::Word,
    script::{Answer, Call, Pools, Stands},
    world::{
        BUS, BY_HAND, Grants, ONE, SLOTS, bits, grant_id, place_of, slot_of, slot_of_grant, slot_of_snapshot, time_at,
    },
};

/// Something whose reads may lag its writes by one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Lagging<T> {
    /// What it is.
    pub now: T,
    before: T,
}

impl<T: Copy + PartialEq> Lagging<T> {
    /// Something that has been like this for a while.
    pub fn new(now: T) -> Self {
        Self { now, before: now }
    }

    /// A write that changes nothing makes no read catch up.
    fn write(&mut self, now: T) {
        if now != self.now {
            *self = Self { now, before: self.now };
        }
    }

    fn settle(&mut self) {
        self.before = self.now;
    }

    fn seen(self, may_lag: bool) -> Vec<T> {
        if may_lag && self.before != self.now { vec![self.now, self.before] } else { vec![self.now] }
    }
}

/// What AWS keeps about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Shared {
    /// How it stands.
    pub stands: Lagging<Stands>,
    /// The targets that may launch it.
    pub launch: Lagging<u8>,
    /// The targets that may create volumes from its snapshot.
    pub copy: Lagging<u8>,
    /// Of a copy, its name and the client token with which it was begun.
    pub order: Option<(Word, Word)>,
    /// Whose launch permissions, create volume permissions and grants came from a share that must expire. AWS doesn't keep
    /// this; what must hold is said with it.
    pub must_expire: [u8; 3],
}

impl Shared {
    /// An image that these targets may launch and copy.
    pub fn with(targets: u8) -> Self {
        let stands = Lagging::new(Stands::Available);
        Self { stands, launch: Lagging::new(targets), copy: Lagging::new(targets), ..Self::default() }
    }

    fn settle(&mut self) {
        self.stands.settle();
        self.launch.settle();
        self.copy.settle();
    }
}

/// How the record of a share that waited for a copy was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// By a hint that saw that its target may launch the copy.
    FoundNothing,
    /// By a hint that did not see a copy that was there, or had read another record.
    Overlooked,
    /// By a hint that could not read it again.
    Unread,
    /// By a hint that saw no copy that is available, or could not read something else, or not write something.
    GivenUp,
    /// By a hint that saw one, read and wrote everything, and saw that its target may not launch it.
    Refused,
    /// By a request for the same share.
    Replaced,
    /// By a request that takes the share back.
    Taken,
}

/// Why something was undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Undone {
    /// A record could not be read again.
    Unread,
    /// Scheduler did not show the record that was there.
    Hidden,
    /// There was no record any more. Of a share that waited for a copy, how it was deleted.
    Lost(Option<Ending>),
    /// The same of a grant that was perhaps there before, because the share could not list the grants.
    LostUnlisted(Option<Ending>),
}

/// What AWS keeps.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Kept {
    /// The place of the clock.
    pub clock: u8,
    /// Whether nobody may have copies any more, by the allowlist.
    pub is_withdrawn: bool,
    /// Whether the image may be deregistered.
    pub may_go: bool,
    /// Whether the image that is copied was deregistered.
    pub is_source_gone: bool,
    /// The images, by their slots.
    pub images: [Shared; SLOTS],
    /// The grants of our shares.
    pub grants: Lagging<Grants>,
    /// How many grants each target has had.
    pub(crate) made: Grants,
    /// The schedules by their names.
    pub schedules: BTreeMap<Word, Word>,
    /// The name of the schedule that was created or deleted last, and what it was before.
    pub(crate) schedules_before: Option<(Word, Option<Word>)>,
    /// Whether a hint has deleted the record of a share between the writes and the second look of another hint. AWS doesn't
    /// keep this.
    pub is_overtaken: bool,
    /// The copies that were there, and that a hint did not see, when it deleted the record of a share, as bits of their slots; or
    /// every one, if the record was another than it had read. AWS doesn't keep this.
    pub given_up_late: u8,
    /// How the record of each share that waited for a copy was last deleted, by its name. AWS doesn't keep this.
    pub endings: BTreeMap<Word, Ending>,
    /// Why what the target of the requests had was last undone by a share: its launch permission, create volume permission and
    /// grant. AWS doesn't keep this.
    pub undone: [Option<Undone>; 3],
    /// What is noted of invocations that were disturbed. AWS doesn't keep this.
    pub killed: Killed,
    /// The earlier requests of which an invocation told something before it was sent again, or a hint meanwhile, as bits. AWS
    /// doesn't keep this.
    pub told: u8,
    /// Those of them of which it told that they were refused or have failed.
    pub told_bad: u8,
    /// Those of them of which it told that they are incomplete.
    pub told_undone: u8,
    /// Whether the last hint of a decision met a failure. AWS doesn't keep this.
    pub is_last_hint_failed: bool,
    /// The asks by whose approval the target that requests are about was given the launch permission, as bits of their requests.
    /// AWS doesn't keep this.
    pub given: u8,
    /// Whether a revoke ended when nothing else ran, and nothing was given since. AWS doesn't keep this either.
    pub is_taken: bool,
    /// Whether something was revoked that isn't ours or not this image's.
    pub is_harmed: bool,
}

/// The names of these schedules that begin with a prefix.
pub(crate) fn listed(schedules: &BTreeMap<Word, Word>, prefix: Word, pools: &Pools) -> Vec<Word> {
    let prefix = pools.words.get(prefix);
    pools.listed(schedules.keys().filter(|name| pools.names.get(**name).starts_with(&*prefix)))
}

/// What changes without an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A pending copy becomes available.
    Available(usize),
    /// EC2 can't make a pending copy.
    Fails(usize),
    /// An image is deregistered.
    Deregistered(usize),
    /// The image that is copied is deregistered.
    SourceGone,
    /// The rule of copies is taken away from those who ask.
    Withdrawn,
}

impl Event {
    /// Whether it must come to pass once a copy was begun. The others may.
    pub fn is_expected(self) -> bool {
        matches!(self, Self::Available(_))
    }
}

/// Which reads may lag the writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// EC2's.
    pub ec2: bool,
    /// KMS's list of grants.
    pub kms: bool,
    /// Scheduler's.
    pub scheduler: bool,
}

impl Lag {
    /// None.
    pub const NONE: Self = Self { ec2: false, kms: false, scheduler: false };

    /// Only those of EC2.
    pub const EC2: Self = Self { ec2: true, ..Self::NONE };

    /// Those of EC2 and KMS.
    pub const EC2_AND_KMS: Self = Self { kms: true, ..Self::EC2 };
}

impl Kept {
    /// What the call may answer, with what is kept afterwards.
    pub fn answers(&self, call: &Call, pools: &Pools, lag: Lag) -> Vec<(Self, Answer)> {
        let same = |answer| (self.clone(), answer);
        let image = |slot: u8| &self.images[usize::from(slot)];
        match call {
            Call::Begin => vec![same(Answer::Began(self.clock, self.is_withdrawn, self.may_go))],
            Call::Image => {
                // A search may also lack an image that is there.
                let seen = self.images[0].stands.seen(lag.ec2).into_iter().map(Stands::is_live);
                let seen: BTreeSet<_> = seen.chain(lag.ec2.then_some(false)).collect();
                seen.into_iter().map(|is_seen| same(Answer::Is(is_seen))).collect()
            }
            Call::Copies => self.copies(lag.ec2).into_iter().map(|seen| same(Answer::Copies(seen))).collect(),
            Call::IsThere(slot) => vec![same(Answer::Is(image(*slot).stands.now.is_live()))],
            Call::Source => vec![same(Answer::Is(!self.is_source_gone))],
            // "InvalidAMIID.NotFound"
            Call::Launch(slot) if image(*slot).stands.now == Stands::Gone => vec![same(Answer::Refused)],
            Call::Launch(slot) => {
                image(*slot).launch.seen(lag.ec2).into_iter().map(|seen| same(Answer::Targets(seen))).collect()
            }
            Call::Copy(slot) => {
                image(*slot).copy.seen(lag.ec2).into_iter().map(|seen| same(Answer::Targets(seen))).collect()
            }
            Call::Grants => self.grants.seen(lag.kms).into_iter().map(|seen| same(Answer::Grants(seen))).collect(),
            Call::Names(prefix) => {
                let names = |schedules| same(Answer::Names(listed(&schedules, *prefix, pools)));
                let mut all: Vec<_> = self.seen_schedules(lag).into_iter().map(names).collect();
                all.dedup();
                all
            }
            Call::Schedule(name) | Call::LookAgain(name) => {
                let seen = self.seen_schedules(lag);
                let seen: BTreeSet<_> = seen.iter().map(|schedules| schedules.get(name).copied()).collect();
                seen.into_iter().map(|seen| same(Answer::Schedule(seen))).collect()
            }
            Call::CopyImage { name, token } => {
                let mut after = self.clone();
                let answer = after.copy_image(*name, *token);
                vec![(after, answer)]
            }
            Call::Write { step, expires } => {
                let mut after = self.clone();
                let answer = after.write(&pools.steps.get(*step), *expires, pools);
                vec![(after, answer)]
            }
        }
    }

    /// The schedules as they are, and as Scheduler may show them.
    fn seen_schedules(&self, lag: Lag) -> Vec<BTreeMap<Word, Word>> {
        let late = self.schedules_before.filter(|_| lag.scheduler).map(|(name, before)| {
            let mut schedules = self.schedules.clone();
            match before {
                Some(schedule) => schedules.insert(name, schedule),
                None => schedules.remove(&name),
            };
            schedules
        });
        [self.schedules.clone()].into_iter().chain(late).collect()
    }

    /// The copies as DescribeImages shows them. One of them may lag at a time.
    fn copies(&self, may_lag: bool) -> Vec<[(Stands, Word); SLOTS]> {
        let name = |image: &Shared| image.order.map_or(Word::MAX, |(name, _)| name);
        let now = self.images.map(|image| (image.stands.now, name(&image)));
        let late = (1..SLOTS).flat_map(|slot| {
            let before = self.images[slot].stands.seen(may_lag).into_iter().skip(1);
            before.map(move |stands| {
                let mut seen = now;
                seen[slot].0 = stands;
                seen
            })
        });
        std::iter::once(now).chain(late).collect()
    }

    /// The same at this place of the clock, when every read has caught up.
    pub fn later(&self, place: u8) -> Self {
        Self { clock: place, ..self.caught_up() }
    }

    /// The same when every read has caught up.
    pub fn caught_up(&self) -> Self {
        self.clone().seen_with(Lag::NONE)
    }

    /// The same when the reads have caught up that may not lag.
    pub fn seen_with(mut self, lag: Lag) -> Self {
        if !lag.ec2 {
            self.images.iter_mut().for_each(Shared::settle);
        }
        if !lag.kms {
            self.grants.settle();
        }
        if !lag.scheduler {
            self.schedules_before = None;
        }
        self
    }

    /// The same if nothing of the target that requests are about must expire any more.
    pub fn for_good(mut self, slot: usize) -> Self {
        let image = &mut self.images[slot];
        image.must_expire = image.must_expire.map(|marked| marked & !ONE);
        self
    }

    /// Only what AWS keeps and what was told and given, without what is noted to explain what does not hold. Whether a revoke ended
    /// alone is not compared either: a reduced exploration may find more of them, which makes rules stricter.
    pub fn as_rules_see_it(&self) -> Self {
        let Self { clock, is_withdrawn, may_go, is_source_gone, images, grants, made, schedules, .. } = self.clone();
        let Self { told, told_bad, told_undone, given, is_harmed, .. } = *self;
        let kept =
            Self { clock, is_withdrawn, may_go, is_source_gone, images, grants, made, schedules, ..Self::default() };
        Self { told, told_bad, told_undone, given, is_harmed, ..kept }
    }

    /// The same in words, without the numbers that one explorer gives to schedules and names.
    pub fn in_full(mut self, pools: &Pools) -> String {
        let schedules = std::mem::take(&mut self.schedules);
        let schedules: BTreeMap<_, _> =
            schedules.iter().map(|(name, schedule)| (pools.names.get(*name), pools.schedules.get(*schedule))).collect();
        let orders = self.images.each_mut().map(|image| {
            let order = image.order.take();
            order.map(|(name, token)| (pools.words.get(name), pools.words.get(token)))
        });
        format!("{self:?} {schedules:?} {orders:?}")
    }

    /// What may happen now without an invocation.
    pub fn events(&self) -> Vec<Event> {
        let standing = |stands: Stands| {
            let images = self.images.iter().enumerate().skip(1);
            images.filter(move |(_, image)| image.stands.now == stands).map(|(slot, _)| slot).collect::<Vec<_>>()
        };
        let pending = standing(Stands::Pending);
        if self.may_go {
            let is_there = self.images[0].stands.now == Stands::Available;
            return is_there.then_some(Event::Deregistered(0)).into_iter().collect();
        }
        let live = pending.iter().copied().chain(standing(Stands::Available)).map(Event::Deregistered);
        let mut events: Vec<_> =
            pending.iter().flat_map(|slot| [Event::Available(*slot), Event::Fails(*slot)]).chain(live).collect();
        events.extend((!self.is_source_gone).then_some(Event::SourceGone));
        events.extend((!self.is_withdrawn).then_some(Event::Withdrawn));
        events
    }

    /// The same after an event.
    pub fn after(&self, event: Event) -> Self {
        let mut after = self.clone();
        match event {
            Event::Available(slot) => after.images[slot].stands.write(Stands::Available),
            Event::Fails(slot) => after.images[slot].stands.write(Stands::Failed),
            Event::Deregistered(slot) => {
                let image = &mut after.images[slot];
                image.stands.write(Stands::Gone);
                image.launch = Lagging::default();
                image.must_expire[0] = 0;
            }
            Event::SourceGone => after.is_source_gone = true,
            Event::Withdrawn => after.is_withdrawn = true,
        }
        after
    }

    fn write(&mut self, step: &Step, expires: bool, pools: &Pools) -> Answer {
        match step {
            Step::CreateExpiry(expiry) => return self.create(&Record::Expiry(expiry.clone()), pools),
            Step::CreateCopyRecord(record) => return self.create(&Record::Copy(record.clone()), pools),
            Step::DeleteExpiry { name, .. } => self.delete(&RecordName::Expiry(name.clone()), pools),
            Step::DeleteCopyRecord { name, .. } => self.delete(&RecordName::Copy(name.clone()), pools),
            Step::CreateGrant { account, .. } => {
                return self.grant(slot_of_grant(step), place_of(*account), expires);
            }
            Step::RevokeGrant { grant_id, .. } => self.revoke(grant_id),
            Step::AddCreateVolumePermissions { snapshot_id, accounts } => {
                let (slot, added) = (slot_of_snapshot(snapshot_id), bits_of(accounts));
                let image = &mut self.images[slot];
                image.copy.write(image.copy.now | added);
                self.mark(slot, 1, added, expires);
            }
            Step::RemoveCreateVolumePermissions { snapshot_id, accounts } => {
                let (slot, removed) = (slot_of_snapshot(snapshot_id), bits_of(accounts));
                let image = &mut self.images[slot];
                image.copy.write(image.copy.now & !removed);
                self.mark(slot, 1, removed, false);
            }
            Step::AddLaunchPermissions { image_id, targets } => {
                let added = bits(targets);
                return self.launch(image_id, expires.then_some(added), |now| now | added, added);
            }
            Step::RemoveLaunchPermissions { image_id, targets } => {
                let removed = bits(targets);
                return self.launch(image_id, None, |now| now & !removed, removed);
            }
            Step::ResetLaunchPermissions { image_id } => return self.launch(image_id, None, |_| 0, u8::MAX),
            Step::CreateApproval(record) => return self.create(record, pools),
            Step::DeleteApproval(name) => self.delete(name, pools),
            Step::CopyImage(_) | Step::PutParameter(_) | Step::CreateUsageReport { .. } => {
                panic!("no scene has this step: {step:?}")
            }
        }
        Answer::Done(0)
    }

    /// EC2 changes launch permissions of an available image only. "InvalidAMIID.Unavailable", "InvalidAMIID.NotFound".
    fn launch(&mut self, id: &ImageId, expires: Option<u8>, change: impl Fn(u8) -> u8, about: u8) -> Answer {
        let slot = slot_of(id).expect("an image of this Region");
        let image = &mut self.images[slot];
        match image.stands.now {
            Stands::Available => image.launch.write(change(image.launch.now)),
            Stands::Pending => return Answer::NotYet,
            Stands::Nowhere | Stands::Failed | Stands::Gone => return Answer::Refused,
        }
        self.mark(slot, 0, about, expires.is_some());
        Answer::Done(0)
    }

    /// CopyImage with a client token that EC2 knows answers with the copy that it began first. Names are unique as long as
    /// their images are there.
    fn copy_image(&mut self, name: Word, token: Word) -> Answer {
        let known = self.images.iter().position(|image| image.order.is_some_and(|(_, known)| known == token));
        if let Some(slot) = known {
            return Answer::Begun(u8::try_from(slot).unwrap());
        }
        if self.is_source_gone {
            return Answer::Refused;
        }
        let is_there = |image: &&Shared| !matches!(image.stands.now, Stands::Nowhere | Stands::Gone);
        let is_taken = |image: &Shared| image.order.is_some_and(|(taken, _)| taken == name);
        if self.images.iter().filter(is_there).any(is_taken) {
            return Answer::NameTaken;
        }
        let slot = (1..SLOTS).find(|slot| self.images[*slot].order.is_none()).expect("few copies are made");
        let image = &mut self.images[slot];
        image.order = Some((name, token));
        image.stands.write(Stands::Pending);
        Answer::Begun(u8::try_from(slot).unwrap())
    }

    /// "ConflictException": a schedule of this name is there.
    fn create(&mut self, record: &Record, pools: &Pools) -> Answer {
        let name = pools.names.put(&record.name().to_string());
        if self.schedules.contains_key(&name) {
            return Answer::Conflict;
        }
        let schedule = record.schedule(BUS, time_at(self.clock));
        self.schedules.insert(name, pools.schedules.put(&schedule));
        self.schedules_before = Some((name, None));
        Answer::Done(0)
    }

    fn delete(&mut self, name: &RecordName, pools: &Pools) {
        let name = pools.names.put(&name.to_string());
        if let Some(schedule) = self.schedules.remove(&name) {
            self.schedules_before = Some((name, Some(schedule)));
        }
    }

    /// CreateGrant with the same Name and the same parameters answers with the grant that is there.
    fn grant(&mut self, slot: usize, place: usize, expires: bool) -> Answer {
        let mut now = self.grants.now;
        if now[slot][place] == 0 {
            self.made[slot][place] += 1;
            now[slot][place] = self.made[slot][place];
            self.grants.write(now);
        }
        self.mark(slot, 2, 1 << place, expires);
        Answer::Done(now[slot][place])
    }

    fn revoke(&mut self, id: &str) {
        let mut now = self.grants.now;
        let places = (0..SLOTS).flat_map(|slot| [(slot, 0), (slot, 1)]);
        let is_it = |(slot, place): &(usize, usize)| {
            now[*slot][*place] > 0 && grant_id(*slot, *place, now[*slot][*place]) == id
        };
        if let Some((slot, place)) = places.into_iter().find(is_it) {
            now[slot][place] = 0;
            self.grants.write(now);
            self.mark(slot, 2, 1 << place, false);
        }
        self.is_harmed |= matches!(id, "other" | BY_HAND);
    }

    /// Whether the target has nothing of the image in this slot.
    pub fn has_nothing(&self, slot: usize, target: u8) -> bool {
        let image = &self.images[slot];
        let place = usize::try_from(target.trailing_zeros()).unwrap();
        (image.launch.now | image.copy.now) & target == 0 && self.grants.now[slot][place] == 0
    }

    /// Whether the target has everything of the image in this slot.
    pub fn has_all(&self, slot: usize, target: u8) -> bool {
        let image = &self.images[slot];
        let place = usize::try_from(target.trailing_zeros()).unwrap();
        image.launch.now & image.copy.now & target != 0 && self.grants.now[slot][place] != 0
    }

    /// The number of images that are pending or available. Of copies, the image itself is not there.
    pub fn live_copies(&self) -> usize {
        self.images.iter().filter(|image| image.stands.now.is_live()).count()
    }

    fn mark(&mut self, slot: usize, kind: usize, targets: u8, expires: bool) {
        let marked = &mut self.images[slot].must_expire[kind];
        *marked = if expires { *marked | targets } else { *marked & !targets };
    }
}

/// Whether the target that requests are about has a launch permission, a create volume permission and a grant of any image.
pub fn had_by_target(kept: &Kept) -> [bool; 3] {
    let has = |is_it: fn(&Kept, usize) -> bool| (0..SLOTS).any(|slot| is_it(kept, slot));
    [
        has(|kept, slot| kept.images[slot].launch.now & ONE != 0),
        has(|kept, slot| kept.images[slot].copy.now & ONE != 0),
        has(|kept, slot| kept.grants.now[slot][0] != 0),
    ]
}

fn bits_of(accounts: &[AccountId]) -> u8 {
    accounts.iter().fold(0, |bits, account| bits | 1 << place_of(*account))
}
