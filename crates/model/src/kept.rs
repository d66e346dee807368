//! Owns [`Kept`]: what AWS keeps, what a call changes in it, and what it may answer.

use std::collections::BTreeMap;

use sharing::{
    plan::Step,
    records::{Record, RecordName},
};

use crate::{
    pool::Word,
    script::{Answer, Call, Pools},
    world::{BUS, ONE, bits, grant_id, time_at},
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

    fn write(&mut self, now: T) {
        *self = Self { now, before: self.now };
    }

    fn settle(&mut self) {
        self.before = self.now;
    }

    fn seen(self, may_lag: bool) -> Vec<T> {
        if may_lag && self.before != self.now { vec![self.now, self.before] } else { vec![self.now] }
    }
}

/// What AWS keeps about the image.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Kept {
    /// The place of the clock.
    pub clock: u8,
    /// The targets that may launch it.
    pub launch: Lagging<u8>,
    /// The targets that may create volumes from its snapshot.
    pub copy: Lagging<u8>,
    /// The number of each target's grant on its key, 0 for none.
    pub grants: Lagging<[u8; 2]>,
    /// How many grants each target has had.
    pub(crate) made: [u8; 2],
    /// The schedules by their names.
    pub schedules: BTreeMap<Word, Word>,
    /// Whose launch permissions, create volume permissions and grants came from a share that must expire. AWS doesn't keep
    /// this; what must hold is said with it.
    pub must_expire: [u8; 3],
    /// Whether something was revoked that isn't ours or not this image's.
    pub is_harmed: bool,
}

/// Which reads may lag the writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// EC2's.
    pub ec2: bool,
    /// KMS's list of grants.
    pub kms: bool,
}

impl Kept {
    /// What the call may answer, with what is kept afterwards.
    pub fn answers(&self, call: &Call, pools: &Pools, lag: Lag) -> Vec<(Self, Answer)> {
        let same = |answer| (self.clone(), answer);
        match call {
            Call::Begin => vec![same(Answer::Time(self.clock))],
            Call::Launch => self.launch.seen(lag.ec2).into_iter().map(|seen| same(Answer::Targets(seen))).collect(),
            Call::Copy => self.copy.seen(lag.ec2).into_iter().map(|seen| same(Answer::Targets(seen))).collect(),
            Call::Grants => self.grants.seen(lag.kms).into_iter().map(|seen| same(Answer::Grants(seen))).collect(),
            Call::Names => vec![same(Answer::Names(self.schedules.keys().copied().collect()))],
            Call::Schedule(name) => vec![same(Answer::Schedule(self.schedules.get(name).copied()))],
            Call::Write { step, expires } => {
                let mut after = self.clone();
                let answer = after.write(&pools.steps.get(*step), *expires, pools);
                vec![(after, answer)]
            }
        }
    }

    /// The same some time later, when every read has caught up.
    pub fn later(&self) -> Self {
        let mut later = Self { clock: self.clock + 1, ..self.clone() };
        later.launch.settle();
        later.copy.settle();
        later.grants.settle();
        later
    }

    /// The same if nothing of the target that requests are about must expire any more.
    pub fn for_good(self) -> Self {
        Self { must_expire: self.must_expire.map(|marked| marked & !ONE), ..self }
    }

    fn write(&mut self, step: &Step, expires: bool, pools: &Pools) -> Answer {
        match step {
            Step::CreateExpiry(expiry) => return self.create(&Record::Expiry(expiry.clone()), pools),
            Step::DeleteExpiry { name, .. } => {
                let name = RecordName::Expiry(name.clone());
                self.schedules.remove(&pools.names.put(&name.to_string()));
            }
            Step::CreateGrant { account, .. } => {
                return self.grant(bits(&[sharing::domain::Target::Account(*account)]), expires);
            }
            Step::RevokeGrant { grant_id, .. } => self.revoke(grant_id),
            Step::AddCreateVolumePermissions { accounts, .. } => {
                let added = bits(
                    &accounts.iter().map(|account| sharing::domain::Target::Account(*account)).collect::<Vec<_>>(),
                );
                self.copy.write(self.copy.now | added);
                self.mark(1, added, expires);
            }
            Step::RemoveCreateVolumePermissions { accounts, .. } => {
                let removed = bits(
                    &accounts.iter().map(|account| sharing::domain::Target::Account(*account)).collect::<Vec<_>>(),
                );
                self.copy.write(self.copy.now & !removed);
                self.mark(1, removed, false);
            }
            Step::AddLaunchPermissions { targets, .. } => {
                let added = bits(targets);
                self.launch.write(self.launch.now | added);
                self.mark(0, added, expires);
            }
            Step::RemoveLaunchPermissions { targets, .. } => {
                let removed = bits(targets);
                self.launch.write(self.launch.now & !removed);
                self.mark(0, removed, false);
            }
            Step::ResetLaunchPermissions { .. } => {
                self.mark(0, self.launch.now, false);
                self.launch.write(0);
            }
            Step::CreateCopyRecord(_)
            | Step::DeleteCopyRecord { .. }
            | Step::CreateApproval(_)
            | Step::DeleteApproval(_)
            | Step::CopyImage(_)
            | Step::PutParameter(_)
            | Step::CreateUsageReport { .. } => panic!("no scene has this step: {step:?}"),
        }
        Answer::Done(0)
    }

    /// "ConflictException": a schedule of this name is there.
    fn create(&mut self, record: &Record, pools: &Pools) -> Answer {
        let name = pools.names.put(&record.name().to_string());
        if self.schedules.contains_key(&name) {
            return Answer::Conflict;
        }
        let schedule = record.schedule(BUS, time_at(self.clock));
        self.schedules.insert(name, pools.schedules.put(&schedule));
        Answer::Done(0)
    }

    /// CreateGrant with the same Name and the same parameters answers with the grant that is there.
    fn grant(&mut self, target: u8, expires: bool) -> Answer {
        let place = usize::try_from(target.trailing_zeros()).unwrap();
        let mut now = self.grants.now;
        if now[place] == 0 {
            self.made[place] += 1;
            now[place] = self.made[place];
            self.grants.write(now);
        }
        self.mark(2, target, expires);
        Answer::Done(now[place])
    }

    fn revoke(&mut self, id: &str) {
        let mut now = self.grants.now;
        if let Some(place) = (0..2).find(|place| now[*place] > 0 && grant_id(*place, now[*place]) == id) {
            now[place] = 0;
            self.grants.write(now);
            self.mark(2, 1 << place, false);
        }
        self.is_harmed |= matches!(id, "other" | "by-hand");
    }

    fn mark(&mut self, kind: usize, targets: u8, expires: bool) {
        let marked = &mut self.must_expire[kind];
        *marked = if expires { *marked | targets } else { *marked & !targets };
    }
}
