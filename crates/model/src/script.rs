//! Owns [`Script`]: the answers that an invocation has got so far. An invocation is a function of its answers, so it is
//! run again from the beginning with one more answer each time, and two invocations with the same answers are in the
//! same state, in whatever order these arrived.

use std::cell::RefCell;

use sharing::{
    facts::Failure,
    outcome::{RefusalCode, Status},
    plan::Step,
    records::Schedule,
};

use crate::pool::{Pool, Word};

/// A call to the model. The invocation goes on with its answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// The invocation begins, and looks at the clock.
    Begin,
    /// DescribeImageAttribute: who may launch the image.
    Launch,
    /// DescribeSnapshotAttribute: who may create volumes from its snapshot.
    Copy,
    /// ListGrants on its key.
    Grants,
    /// ListSchedules: the names of the records.
    Names,
    /// GetSchedule of this name.
    Schedule(Word),
    /// A write. `expires` says whether what it gives has a record.
    Write {
        /// The step.
        step: Word,
        /// Whether what it gives must expire.
        expires: bool,
    },
}

/// The model's answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The place of the clock.
    Time(u8),
    /// Targets, as bits.
    Targets(u8),
    /// For each target the number of its grant, 0 for none.
    Grants([u8; 2]),
    /// The names of the schedules.
    Names(Vec<Word>),
    /// The schedule of that name.
    Schedule(Option<Word>),
    /// The write is done; of a grant with its number.
    Done(u8),
    /// There is a schedule of that name already.
    Conflict,
    /// The write is not done: throttled until the time was over.
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
    /// Whether it is a share for good, and complete: what there is now needs no record.
    pub is_for_good: bool,
    /// What could not be done or read.
    pub failures: Vec<Failure>,
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
}

/// The result of calls, or those of them that have no answer yet. They are under way at the same time.
pub type Asked<T> = Result<T, Vec<Call>>;

/// Both, which the function asks for at the same time.
pub fn both<A, B>(one: Asked<A>, other: Asked<B>) -> Asked<(A, B)> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(calls), Ok(_)) | (Ok(_), Err(calls)) => Err(calls),
        (Err(calls), Err(more)) => Err([calls, more].concat()),
    }
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

    /// The place of the clock at the beginning.
    pub fn began(&self) -> Option<u8> {
        self.0.iter().find_map(|(_, answer)| if let Answer::Time(place) = answer { Some(*place) } else { None })
    }
}

/// The answers for an invocation that is run.
#[derive(Debug)]
pub struct Script<'s> {
    left: RefCell<Vec<&'s (Call, Answer)>>,
    /// What is kept once.
    pub pools: &'s Pools,
}

impl<'s> Script<'s> {
    /// From the beginning, with these answers.
    pub fn new(answers: &'s Answers, pools: &'s Pools) -> Self {
        Self { left: RefCell::new(answers.0.iter().collect()), pools }
    }

    /// The answer to the call; or the call, if it has no answer yet.
    pub fn ask(&self, call: Call) -> Asked<Answer> {
        let mut left = self.left.borrow_mut();
        let Some(place) = left.iter().position(|(known, _)| *known == call) else { return Err(vec![call]) };
        let (_, answer) = left.remove(place);
        Ok(answer.clone())
    }
}
