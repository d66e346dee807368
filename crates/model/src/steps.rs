//! Owns [`State`], [`Move`], a step from one to another, and [`Answered`] and [`Happened`], from which the steps of one call or
//! event are made.

use std::rc::Rc;

use crate::{
    kept::Event,
    killed::MOST,
    known::Exception,
    script::{Answer, Call},
    shown::Shown,
};

/// A state: what AWS keeps, how far each invocation is, and what may still go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) kept: u32,
    pub(crate) at: [u32; MOST],
    pub(crate) crashes: u8,
    pub(crate) faults: u8,
    pub(crate) reads: u8,
    pub(crate) events: u8,
    /// The invocations that were killed and are not yet sent again, as bits, where that is not long in coming.
    pub(crate) owed: u8,
}

/// An invocation that makes one of its calls, and what the answers depend on besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Asking {
    pub(crate) kept: u32,
    pub(crate) at: u32,
    pub(crate) actor: u8,
    /// The place of the call.
    pub(crate) call: u8,
    /// Whether nothing else runs.
    pub(crate) is_alone: bool,
    pub(crate) is_overtaking: bool,
    pub(crate) may_fail: bool,
    pub(crate) may_be_killed: bool,
}

/// An answer, and what comes after it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    /// Whether it is one of those that are counted, because they fail.
    pub(crate) is_failure: bool,
    pub(crate) kept: u32,
    pub(crate) at: u32,
    /// What is kept if the invocation is killed before it says that it has ended.
    pub(crate) killed: Option<u32>,
    /// What reads show differently after this answer, if the call is a write and the exploration is reduced.
    pub(crate) changed: Rc<[Shown]>,
    pub(crate) wrong: Vec<Wrong>,
}

/// Something that happens without an invocation, and what comes after it.
#[derive(Debug)]
pub(crate) struct Happened {
    pub(crate) event: Event,
    pub(crate) kept: u32,
    /// What reads show differently after it.
    pub(crate) changed: Rc<[Shown]>,
}

/// One more step of a run.
pub(crate) struct Move {
    /// What led to it since the state before, and the step itself.
    pub(crate) path: Path,
    pub(crate) to: State,
    pub(crate) wrong: Vec<Wrong>,
}

/// What is wrong after a step, and the exception that explains it.
pub(crate) type Wrong = (&'static str, Option<&'static Exception>);

impl Move {
    pub(crate) fn new(to: State, path: Path) -> Self {
        Self { path, to, wrong: Vec::new() }
    }

    /// The same after this path.
    pub(crate) fn after(self, path: &Path) -> Self {
        Self { path: joined(path, &self.path), ..self }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Label {
    Calls(usize, Call, Answer),
    Crashes(usize),
    IsSentAgain(usize),
    TimePasses,
    Happens(Event),
}

/// What led to a state. None if nothing did, or if the run is not traced.
pub(crate) type Path = Option<Rc<Link>>;

/// A path that is not empty.
#[derive(Debug)]
pub(crate) enum Link {
    Label(Label),
    Both(Rc<Self>, Rc<Self>),
}

impl Link {
    /// Every label, in its order.
    pub(crate) fn labels(&self) -> Vec<Label> {
        match self {
            Self::Label(label) => vec![label.clone()],
            Self::Both(before, after) => [before.labels(), after.labels()].concat(),
        }
    }
}

/// The first path, and then the second.
pub(crate) fn joined(before: &Path, after: &Path) -> Path {
    match (before, after) {
        (Some(before), Some(after)) => Some(Rc::new(Link::Both(before.clone(), after.clone()))),
        (path, None) | (None, path) => path.clone(),
    }
}
