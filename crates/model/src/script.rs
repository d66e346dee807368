//! Owns [`Script`]: the answers that an invocation has got so far. An invocation is a function of its answers, so it is
//! run again from the beginning with one more answer each time, and two invocations with the same answers are in the
//! same state, in whatever order these arrived. So are two that differ only in answers that they have forgotten.

use std::{
    cell::RefCell,
    fmt::{self, Write as _},
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

use sharing::{
    facts::{Failure, Reading},
    outcome::{ErrorCode, Outcome, RefusalCode, Status},
    plan::Step,
    records::{Record, RecordName, Schedule},
};

use crate::{
    hashing::QuickMap,
    pool::{Pool, Word},
    world::{BUS, Grants, ONE, SLOTS},
};

/// A call to the model. The invocation goes on with its answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// The invocation begins, looks at the clock, and gets the allowlist.
    Begin,
    /// DescribeImages, of the image, where it may be deregistered.
    Image,
    /// DescribeImages, of the copies.
    Copies,
    /// DescribeImages, of one image by its ID: of a copy that CopyImage has just answered with until EC2's reads have caught
    /// up, or of an image that a search did not find.
    IsThere(u8),
    /// DescribeImages in the other Region, of the image that is copied.
    Source,
    /// DescribeImageAttribute: who may launch the image in this slot.
    Launch(u8),
    /// DescribeSnapshotAttribute: who may create volumes from its snapshot.
    Copy(u8),
    /// ListGrants on the key.
    Grants,
    /// ListSchedules: the names of the records that begin with this prefix.
    Names(Word),
    /// GetSchedule of this name.
    Schedule(Word),
    /// GetSchedule of this name, in the second look.
    LookAgain(Word),
    /// CopyImage.
    CopyImage {
        /// The name of the copy.
        name: Word,
        /// The client token.
        token: Word,
    },
    /// A write. `expires` says whether what it gives has a record.
    Write {
        /// The step.
        step: Word,
        /// Whether what it gives must expire.
        expires: bool,
    },
}

impl Call {
    /// Whether it may change something.
    pub fn is_write(&self) -> bool {
        matches!(self, Self::CopyImage { .. } | Self::Write { .. })
    }

    /// The service and operation, if it is a call of AWS.
    pub fn operation(&self, pools: &Pools) -> Option<&'static str> {
        Some(match self {
            Self::Begin => return None,
            Self::Image | Self::Copies | Self::IsThere(_) | Self::Source => "ec2:DescribeImages",
            Self::Launch(_) => "ec2:DescribeImageAttribute",
            Self::Copy(_) => "ec2:DescribeSnapshotAttribute",
            Self::Grants => "kms:ListGrants",
            Self::Names(_) => "scheduler:ListSchedules",
            Self::Schedule(_) | Self::LookAgain(_) => "scheduler:GetSchedule",
            Self::CopyImage { .. } => "ec2:CopyImage",
            Self::Write { step, .. } => pools.steps.get(*step).call(),
        })
    }

    /// Whether it reads something on which it depends whether the image in this slot is shared.
    fn is_about_facts_of(&self, slot: usize) -> bool {
        // A share by a grant makes its own if it may not list them: with the same Name, KMS answers with the one that is there.
        matches!(self, Self::Image | Self::Copies | Self::Source)
            || matches!(self, Self::Launch(it) | Self::Copy(it) if usize::from(*it) == slot)
    }
}

/// How an image stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Stands {
    /// There has been no such image.
    #[default]
    Nowhere,
    /// EC2 makes it.
    Pending,
    /// It is available.
    Available,
    /// EC2 could not make it.
    Failed,
    /// It was deregistered.
    Gone,
}

impl Stands {
    /// Whether it is pending or available.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Available)
    }
}

/// The model's answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The place of the clock, whether nobody may have copies any more, and whether the image may be deregistered.
    Began(u8, bool, bool),
    /// The copies: how each stands, and its name.
    Copies([(Stands, Word); SLOTS]),
    /// Whether it is there, or, of a copy, whether it is pending or available.
    Is(bool),
    /// Targets, as bits.
    Targets(u8),
    /// The grants.
    Grants(Grants),
    /// The names of the schedules.
    Names(Vec<Word>),
    /// The schedule of that name.
    Schedule(Option<Word>),
    /// The write is done; of a grant with its number.
    Done(u8),
    /// The copy in this slot is begun, or was.
    Begun(u8),
    /// Another image has that name.
    NameTaken,
    /// There is a schedule of that name already.
    Conflict,
    /// The write is not done, and never will be. Of a read: it has failed, and will again.
    Refused,
    /// The write is not done, because the copy is pending.
    NotYet,
    /// The write is not done, or the read has failed: throttled until the time was over.
    Failed,
    /// No answer arrived. The write may be done.
    Lost,
}

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The result of the outcome.
    pub result: Status,
    /// Its refusals.
    pub refusals: Vec<RefusalCode>,
    /// The place of the clock at which it began.
    pub began: u8,
    /// The slot of the image of a share for good that is complete: what there is now needs no record.
    pub for_good: Option<usize>,
    /// Whether it warns of something.
    pub is_warning: bool,
    /// What could not be done or read.
    pub failures: Vec<Failure>,
    /// What it tells of earlier requests: those of records.
    pub told: Vec<Told>,
    /// The ID of the request of the last record that it has read of a share that waits or an ask, unless it has written one itself.
    pub relies_on: Option<String>,
}

/// The outcome that is published about an earlier request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The ID of the request.
    pub request_id: String,
    /// Its result.
    pub result: Status,
    /// Its refusals.
    pub refusals: Vec<RefusalCode>,
}

impl Told {
    /// Whether it tells that a share is incomplete.
    pub fn is_undone(&self) -> bool {
        self.result == Status::Incomplete
    }

    /// Whether it tells that a share was refused or has failed.
    pub fn is_bad(&self) -> bool {
        matches!(self.result, Status::Refused | Status::Failed)
    }

    /// What this outcome tells.
    pub fn of(outcome: &Outcome) -> Self {
        let refusals = outcome.refusals.iter().map(|refusal| refusal.code).collect();
        Self { request_id: outcome.request_id.clone(), result: outcome.result, refusals }
    }
}

/// What is kept once.
#[derive(Debug, Default)]
pub struct Pools {
    /// The names of schedules.
    pub names: Pool<String>,
    /// The schedules.
    pub schedules: Pool<Schedule>,
    /// The steps.
    pub steps: Pool<Step>,
    /// The names and the client tokens of copies, and prefixes of names of schedules.
    pub words: Pool<String>,
    /// What the schedules say, by their names and contents: reading a record costs more than everything else about a state.
    records: RefCell<QuickMap<(Word, Word), Rc<Record>>>,
    /// The names of the records of copies that steps delete.
    deleted: RefCell<QuickMap<Word, Option<Word>>>,
}

impl Pools {
    /// These names in the order in which Scheduler lists them.
    pub fn listed<'n>(&self, names: impl Iterator<Item = &'n Word>) -> Vec<Word> {
        let mut names: Vec<_> = names.copied().collect();
        names.sort_by_key(|name| self.names.get(*name));
        names
    }

    /// Whether this is the name of the record of an expiry.
    pub fn is_of_expiry(&self, name: Word) -> bool {
        matches!(self.names.get(name).parse(), Ok(RecordName::Expiry(_)))
    }

    /// The name of the record of a copy that this call deletes.
    pub fn deletes_copy_record(&self, call: &Call) -> Option<Word> {
        let Call::Write { step, .. } = call else { return None };
        *self.deleted.borrow_mut().entry(*step).or_insert_with(|| match &*self.steps.get(*step) {
            Step::DeleteCopyRecord { name, .. } => Some(self.names.put(&name.to_string())),
            _ => None,
        })
    }

    /// The record that this schedule of this name is.
    pub fn record(&self, name: Word, schedule: Word) -> Rc<Record> {
        let mut records = self.records.borrow_mut();
        let record = records.entry((name, schedule)).or_insert_with(|| {
            let name = self.names.get(name).parse().unwrap();
            let record = Record::read(&name, &self.schedules.get(schedule), BUS);
            Rc::new(record.expect("the model has no foreign schedule"))
        });
        record.clone()
    }
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq)]
pub enum Halt {
    /// These calls have no answer yet. They are under way at the same time.
    Calls(Vec<Call>),
    /// A read failed.
    Failed(Box<Failure>),
}

/// The result of calls.
pub type Asked<T> = Result<T, Halt>;

/// The result of reads, also if one of them failed.
pub fn read<T>(asked: Asked<T>) -> Asked<Reading<T>> {
    match asked {
        Ok(result) => Ok(Ok(result)),
        Err(Halt::Failed(failure)) => Ok(Err(*failure)),
        Err(Halt::Calls(calls)) => Err(Halt::Calls(calls)),
    }
}

/// Both, which the function asks for at the same time.
pub fn both<A, B>(one: Asked<A>, other: Asked<B>) -> Asked<(A, B)> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(Halt::Calls(calls)), Err(Halt::Calls(more))) => Err(Halt::Calls([calls, more].concat())),
        (_, Err(halt @ Halt::Calls(_))) | (Err(halt), _) | (_, Err(halt)) => Err(halt),
    }
}

/// All of them, which the function asks for at the same time.
pub fn at_once<T>(all: impl Iterator<Item = Asked<T>>) -> Asked<Vec<T>> {
    let mut results = Ok(Vec::new());
    for result in all {
        results = both(results, result).map(|(mut results, result)| {
            results.push(result);
            results
        });
    }
    results
}

/// The answers so far, each with its call. They are in the order of the calls, and those to the same call in their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Answers(Vec<(Call, Answer)>);

impl Answers {
    /// The same with one more.
    pub fn and(&self, call: Call, answer: Answer) -> Self {
        let mut answers = self.0.clone();
        let place = answers.partition_point(|(known, _)| *known <= call);
        answers.insert(place, (call, answer));
        Self(answers)
    }

    /// Those that tell what an invocation did which has ended: to its writes, to reads that failed or did not find something, and
    /// when it began. What else it has read makes no difference any more.
    pub fn of_ended(&self) -> Self {
        Self(self.0.iter().filter(|it| tells(it)).cloned().collect())
    }

    /// Those that an invocation still has which has forgotten what it read until its last plan. Of these reads it has only those
    /// that tell what it did, and those that a note, a rule or an exception asks for: the records of shares, asks and decisions,
    /// whether the target that requests are about may launch the images, which copies it last saw, and whether a copy was there.
    /// Of what takes back, nothing asks which records it did not find, or who may launch the images.
    fn but_for(&self, forgotten: &[&(Call, Answer)], (takes_away, pools): (bool, &Pools)) -> Self {
        let last_look = self.0.iter().rposition(|(_, answer)| matches!(answer, Answer::Copies(_)));
        let is_forgotten = |it: &(Call, Answer)| forgotten.iter().any(|forgotten| std::ptr::eq(*forgotten, it));
        let mut left: Vec<(Call, Answer)> = Vec::new();
        for (place, it) in self.0.iter().enumerate() {
            if tells(it) || !is_forgotten(it) {
                left.push(it.clone());
                continue;
            }
            let (call, answer) = it;
            let short = match (call, answer) {
                (Call::Schedule(name), _) if pools.is_of_expiry(*name) => continue,
                (Call::Schedule(_), Answer::Schedule(None)) | (Call::Launch(_), _) if takes_away => continue,
                (Call::Schedule(_) | Call::LookAgain(_) | Call::IsThere(_), answer) => answer.clone(),
                (Call::Launch(_), Answer::Targets(seen)) => Answer::Targets(seen & ONE),
                (Call::Copies, Answer::Copies(seen)) if Some(place) == last_look => {
                    Answer::Copies(seen.map(|(stands, _)| (if stands.is_live() { stands } else { Stands::Nowhere }, 0)))
                }
                _ => continue,
            };
            let short = (call.clone(), short);
            if !left.contains(&short) {
                left.push(short);
            }
        }
        Self(left)
    }

    /// The answers to these calls.
    pub fn to<'s>(&'s self, is_it: impl Fn(&Call) -> bool + 's) -> impl Iterator<Item = (&'s Call, &'s Answer)> + 's {
        self.0.iter().filter(move |(call, _)| is_it(call)).map(|(call, answer)| (call, answer))
    }

    /// The steps of writes that are done, as far as is known.
    pub fn steps_done<'s>(&'s self, pools: &'s Pools) -> impl Iterator<Item = Rc<Step>> + 's {
        self.0.iter().filter_map(|(call, answer)| match (call, answer) {
            (Call::Write { step, .. }, Answer::Done(_)) => Some(pools.steps.get(*step)),
            _ => None,
        })
    }

    /// The steps of writes that AWS refused.
    pub fn steps_refused<'s>(&'s self, pools: &'s Pools) -> impl Iterator<Item = Rc<Step>> + 's {
        self.0.iter().filter_map(|(call, answer)| match (call, answer) {
            (Call::Write { step, .. }, Answer::Refused) => Some(pools.steps.get(*step)),
            _ => None,
        })
    }

    /// The copies as it last saw them.
    pub fn last_seen(&self) -> Option<&[(Stands, Word); SLOTS]> {
        let seen = self.to(|call| *call == Call::Copies).filter_map(|(_, answer)| match answer {
            Answer::Copies(seen) => Some(seen),
            _ => None,
        });
        seen.last()
    }

    /// The records that it has read.
    pub fn records<'s>(&'s self, pools: &'s Pools) -> impl Iterator<Item = Rc<Record>> + 's {
        self.0.iter().filter_map(|(call, answer)| match (call, answer) {
            (Call::Schedule(name), Answer::Schedule(Some(schedule))) => Some(pools.record(*name, *schedule)),
            _ => None,
        })
    }

    /// Whether it has written the record of a share that waits, or an ask.
    pub fn has_written_record(&self, pools: &Pools) -> bool {
        self.steps_done(pools).any(|step| {
            matches!(*step, Step::CreateCopyRecord(_))
                || matches!(&*step, Step::CreateApproval(record) if matches!(**record, Record::Ask(_)))
        })
    }

    /// Whether such a record was there, or was written.
    pub fn have_record(&self, pools: &Pools, is_it: fn(&Record) -> bool) -> bool {
        let mut read = self.records(pools);
        let is_written = |step: &Step| match step {
            Step::CreateApproval(record) => is_it(record),
            Step::CreateCopyRecord(record) => is_it(&Record::Copy(record.clone())),
            _ => false,
        };
        read.any(|record| is_it(&record)) || self.steps_done(pools).any(|step| is_written(&step))
    }

    /// Whether nobody might have copies any more at the beginning.
    pub fn began_withdrawn(&self) -> bool {
        self.0.iter().any(|(_, answer)| matches!(answer, Answer::Began(_, true, _)))
    }

    /// The place of the clock at the beginning.
    pub fn began(&self) -> Option<u8> {
        self.0.iter().find_map(|(_, answer)| if let Answer::Began(place, ..) = answer { Some(*place) } else { None })
    }
}

/// Whether this tells what an invocation did.
fn tells((call, answer): &(Call, Answer)) -> bool {
    let is_missing = matches!(answer, Answer::Failed | Answer::Refused | Answer::Is(false));
    call.is_write() || *call == Call::Begin || is_missing
}

/// The reads that failed of the request that an invocation is about. An event of a copy is about several, one after the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unread(Vec<Call>);

impl Unread {
    /// Whether something could not be read about the image in this slot.
    pub fn lacks_a_fact_of(&self, slot: usize) -> bool {
        self.0.iter().any(|call| call.is_about_facts_of(slot))
    }

    /// Whether something could not be read.
    pub fn lacks_something(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether a record could not be read.
    pub fn lacks_a_record(&self) -> bool {
        self.0.iter().any(|call| matches!(call, Call::Names(_) | Call::Schedule(_) | Call::LookAgain(_)))
    }

    /// Whether a record could not be read again.
    pub fn lacks_a_second_look(&self) -> bool {
        self.0.iter().any(|call| matches!(call, Call::LookAgain(_)))
    }

    /// Whether the grants could not be listed.
    pub fn lacks_grants(&self) -> bool {
        self.0.contains(&Call::Grants)
    }
}

/// The answers for an invocation that is run.
#[derive(Debug)]
pub struct Script<'s> {
    answers: &'s Answers,
    left: RefCell<Vec<&'s (Call, Answer)>>,
    unread: RefCell<Vec<Call>>,
    /// The last record of a share that waits or an ask that it has read.
    last_record: RefCell<Option<Rc<Record>>>,
    /// What it has forgotten, and what it goes on with instead.
    memory: RefCell<Memory<'s>>,
    /// What is kept once.
    pub pools: &'s Pools,
}

/// What an invocation remembers at its last plan: what it had read before is of no use any more.
#[derive(Debug, Default)]
struct Memory<'s> {
    forgotten: Vec<&'s (Call, Answer)>,
    /// A hash of what it goes on with.
    hash: u64,
}

/// Something that is written is hashed.
struct Hashed(DefaultHasher);

impl fmt::Write for Hashed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl<'s> Script<'s> {
    /// From the beginning, with these answers.
    pub fn new(answers: &'s Answers, pools: &'s Pools) -> Self {
        let (unread, last_record, memory) = Default::default();
        Self { answers, left: RefCell::new(answers.0.iter().collect()), unread, last_record, memory, pools }
    }

    /// The invocation goes on with this, and with nothing that it has read before.
    pub fn remember(&self, what: &impl fmt::Debug) {
        let mut memory = self.memory.borrow_mut();
        let mut hasher = Hashed(DefaultHasher::new());
        memory.hash.hash(&mut hasher.0);
        write!(hasher, "{what:?}").expect("a hash takes everything");
        memory.hash = hasher.0.finish();
        let left = self.left.borrow();
        let is_forgotten = |it: &&(Call, Answer)| !left.iter().any(|left| std::ptr::eq(*left, *it));
        memory.forgotten = self.answers.0.iter().filter(is_forgotten).collect();
    }

    /// What the invocation still has of its answers, and a hash of what it remembers besides.
    pub fn remembered(&self, takes_away: bool) -> (Answers, u64) {
        let memory = self.memory.borrow();
        (self.answers.but_for(&memory.forgotten, (takes_away, self.pools)), memory.hash)
    }

    /// The next request of the invocation begins: what could not be read for the one before says nothing of it.
    pub fn next_request(&self) {
        self.unread.borrow_mut().clear();
    }

    /// The reads that failed.
    pub fn unread(self) -> Unread {
        Unread(self.unread.into_inner())
    }

    /// The ID of the request of the last record of a share that waits or an ask.
    pub fn last_request(&self) -> Option<String> {
        self.last_record.borrow().as_ref().and_then(|record| match &**record {
            Record::Copy(record) => Some(record.request_id.clone()),
            Record::Ask(ask) => Some(ask.request_id.clone()),
            Record::Expiry(_) | Record::Decision(_) => None,
        })
    }

    /// The answer to the call; or the call, if it has no answer yet.
    pub fn ask(&self, call: Call) -> Asked<Answer> {
        let mut left = self.left.borrow_mut();
        let Some(place) = left.iter().position(|(known, _)| *known == call) else {
            return Err(Halt::Calls(vec![call]));
        };
        let (_, answer) = left.remove(place);
        if let (Call::Schedule(name), Answer::Schedule(Some(schedule))) = (&call, answer) {
            let record = self.pools.record(*name, *schedule);
            if matches!(*record, Record::Copy(_) | Record::Ask(_)) {
                self.last_record.replace(Some(record));
            }
        }
        Ok(answer.clone())
    }

    /// The answer to a read, if it has not failed.
    pub fn read(&self, call: Call) -> Asked<Answer> {
        let (code, retryable, message) = match self.ask(call.clone())? {
            Answer::Failed => (ErrorCode::Throttled, true, "throttled"),
            Answer::Refused => (ErrorCode::Denied, false, "the role may not read it"),
            answer => return Ok(answer),
        };
        let message = message.to_owned();
        self.unread.borrow_mut().push(call);
        Err(Halt::Failed(Box::new(Failure { code, call: None, resource: None, message, retryable })))
    }
}
