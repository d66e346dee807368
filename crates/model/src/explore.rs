//! Owns [`Explorer`], what it knows of invocations and of what AWS keeps; and `Run`, the steps that one scene may take next.

use std::{hash::BuildHasherDefault, rc::Rc};

use indexmap::IndexMap;
use sharing::{
    domain::CopyName,
    facts::Failure,
    outcome::{ErrorCode, Status},
    records::RecordName,
};

use crate::{
    hashing::{Quick, QuickMap},
    invoke::invoke,
    kept::{Event, Kept, Lag},
    killing,
    kinds::{AGAIN, Actor, Kind, LAST_HINT, LAST_TICK, Whose},
    planted::Planted,
    pool::Word,
    rules::Aftermath,
    scenes::Scene,
    script::{Answer, Answers, Call, Ended, Halt, Pools, Script, Unread},
    shown::Shown,
    steps::{Answered, Asking, Happened, Label, Link, Move, Path, State},
    stops::{Reader, Stop},
    trigger::Trigger,
    undoing,
    world::{self, Allowlists, LONGEST, time_at},
};

/// What may go wrong in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The number of invocations that are killed. Each is sent again.
    pub crashes: u8,
    /// The number of writes that fail: the write is not made, or it is made and the answer is lost.
    pub faults: u8,
    /// The number of reads that fail, for now or for good.
    pub reads: u8,
    /// The number of events that need not come to pass: a copy fails or is deregistered, its source is, or its rule is
    /// taken away.
    pub events: u8,
    /// Which reads may lag.
    pub lag: Lag,
    /// Whether calls that don't affect each other come in one order only (`reduced.rs`).
    pub is_reduced: bool,
}

impl Limits {
    /// Nothing goes wrong, and every order is explored.
    pub const NONE: Self = Self { crashes: 0, faults: 0, reads: 0, events: 0, lag: Lag::NONE, is_reduced: false };
}

/// The invocations of one request, by their answers.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    places: QuickMap<Answers, u32>,
    /// Those that have these answers left, and remember the same.
    alike: QuickMap<(Answers, u64), Vec<u32>>,
}

/// Invocations that go on alike.
#[derive(Debug)]
pub(crate) struct Node {
    /// The answers that they still have. Of those that have ended, the ones that tell what they did.
    pub(crate) answers: Answers,
    /// What they could not read.
    pub(crate) unread: Unread,
    /// How they ended, or the calls that are under way.
    pub(crate) next: Result<Rc<Ended>, Rc<[Call]>>,
    /// Every answer that each of them got.
    members: Vec<Answers>,
    children: QuickMap<(Call, Answer), u32>,
}

impl Tree {
    pub(crate) fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    pub(crate) fn is_running(&self, at: u32) -> bool {
        at != 0 && self.node(at).next.is_err()
    }

    /// Whether it ended, and AWS failed it: then it is sent again.
    pub(crate) fn failed(&self, at: u32) -> bool {
        let of_aws = |failure: &Failure| failure.retryable && failure.code != ErrorCode::ExpiryLost;
        self.node(at).next.as_ref().is_ok_and(|ended| ended.failures.iter().any(of_aws))
    }

    /// The latest time at which the invocation ends, if it runs.
    fn ends_by(&self, at: u32) -> Option<time::OffsetDateTime> {
        let began = self.node(at).answers.began().filter(|_| self.is_running(at));
        began.map(|place| time_at(place) + LONGEST)
    }
}

/// How much is kept of what AWS keeps, at most, before an explorer counts as large.
const MOST_KEPT: usize = 100_000;

/// How many answers, and how many places where reads may stop, a run remembers at most. Old ones are hardly ever asked for again,
/// and would take most of the memory.
const MOST_REMEMBERED: usize = 1_000_000;

/// How often the hint of each record comes until nothing is left, at most.
const MOST_HINTS: usize = 6;

/// What the scenes of one explorer have in common: each invocation is run once for the same answers.
#[derive(Debug)]
pub struct Explorer {
    planted: Planted,
    is_forgetful: bool,
    allowlists: Allowlists,
    pub(crate) pools: Pools,
    trees: Vec<Tree>,
    /// The places of the trees.
    whose: QuickMap<Whose, usize>,
    pub(crate) kept: Vec<Rc<Kept>>,
    places: QuickMap<Rc<Kept>, u32>,
    aftermaths: QuickMap<u32, Rc<Aftermath>>,
}

impl Explorer {
    /// An explorer of invocations with this fault.
    pub fn new(planted: Planted) -> Self {
        let (trees, whose, kept, places, aftermaths) = Default::default();
        let (allowlists, pools) = (world::allowlists(), Pools::default());
        Self { planted, is_forgetful: true, allowlists, pools, trees, whose, kept, places, aftermaths }
    }

    /// The same where an invocation that runs forgets nothing that it has read.
    pub fn that_forgets_nothing(planted: Planted) -> Self {
        Self { is_forgetful: false, ..Self::new(planted) }
    }

    /// Whether it knows so much that it takes a large part of a gigabyte. A new one learns what its next scenes need in a moment.
    pub fn is_large(&self) -> bool {
        self.kept.len() > MOST_KEPT
    }

    pub(crate) fn run<'e>(&'e mut self, scene: &'e Scene, limits: Limits) -> Run<'e> {
        let begin = |actor: &Actor| self.begin(actor.whose, (&actor.trigger, &actor.id));
        let trees = scene.actors.iter().map(begin).collect();
        Run {
            explorer: self,
            scene,
            trees,
            limits,
            known: IndexMap::default(),
            answered: QuickMap::default(),
            stopped: QuickMap::default(),
            happened: QuickMap::default(),
            passed: QuickMap::default(),
            stops: QuickMap::default(),
            is_traced: false,
        }
    }

    /// The place of the tree of these invocations.
    fn begin(&mut self, whose: Whose, what: (&Trigger, &str)) -> usize {
        if let Some(tree) = self.whose.get(&whose) {
            return *tree;
        }
        let tree = self.trees.len();
        self.whose.insert(whose, tree);
        self.trees.push(Tree::default());
        self.add(tree, what, Answers::default());
        tree
    }

    /// Runs an invocation with these answers, if it was not run with them before.
    fn add(&mut self, tree: usize, what: (&Trigger, &str), answers: Answers) -> u32 {
        if let Some(place) = self.trees[tree].places.get(&answers) {
            return *place;
        }
        let script = Script::new(&answers, &self.pools);
        let next = invoke(&script, what, &self.allowlists, self.planted);
        let read = script.last_request().filter(|_| !answers.has_written_record(&self.pools));
        let next = next.map(|ended| Rc::new(Ended { relies_on: read, ..ended }));
        let next = next.map_err(|halt| match halt {
            Halt::Calls(calls) => calls.into(),
            Halt::Failed(failure) => panic!("it ended with a failure that it doesn't report: {failure:?}"),
        });
        let left = match next {
            Ok(_) => (answers.of_ended(), 0),
            Err(_) if self.is_forgetful => script.remembered(what.0.takes_away()),
            Err(_) => (answers.clone(), 0),
        };
        let unread = script.unread();
        let Tree { nodes, places, alike } = &mut self.trees[tree];
        let same = alike.entry(left.clone()).or_default();
        let is_alike = |place: &u32| {
            let node = &nodes[*place as usize];
            node.next == next && node.unread == unread
        };
        let place = same.iter().copied().find(is_alike).unwrap_or_else(|| {
            let place = u32::try_from(nodes.len()).unwrap();
            let (members, children) = Default::default();
            nodes.push(Node { answers: left.0, unread, next, members, children });
            same.push(place);
            place
        });
        places.insert(answers.clone(), place);
        let node = &mut nodes[place as usize];
        if node.next.is_err() {
            node.members.push(answers.clone());
        }
        let children: Vec<_> = node.children.iter().map(|(answered, child)| (answered.clone(), *child)).collect();
        for (answered, child) in children {
            self.go_on_alike(tree, what, (&answers, &answered), child);
        }
        place
    }

    /// Fails unless an invocation with one more answer comes to where others came to, which were held to be like it.
    fn go_on_alike(
        &mut self,
        tree: usize,
        what: (&Trigger, &str),
        (answers, answered): (&Answers, &(Call, Answer)),
        others: u32,
    ) {
        let (call, answer) = answered.clone();
        let place = self.add(tree, what, answers.and(call, answer));
        let node = |place| self.trees[tree].node(place);
        let (one, other) = (node(place), node(others));
        assert!(
            place == others,
            "{what:?}, {answered:?}, goes on differently:\n{answers:?}\n{:?} {:?}\n{:?} {:?}",
            one.members,
            one.next,
            other.members,
            other.next
        );
    }

    pub(crate) fn child(&mut self, tree: usize, what: (&Trigger, &str), at: u32, answered: &(Call, Answer)) -> u32 {
        if let Some(child) = self.trees[tree].node(at).children.get(answered) {
            return *child;
        }
        let members = self.trees[tree].node(at).members.clone();
        let (first, others) = members.split_first().expect("somebody is there");
        let (call, answer) = answered.clone();
        let child = self.add(tree, what, first.and(call, answer));
        for answers in others {
            self.go_on_alike(tree, what, (answers, answered), child);
        }
        self.trees[tree].nodes[at as usize].children.insert(answered.clone(), child);
        child
    }

    pub(crate) fn place(&mut self, kept: Kept) -> u32 {
        if let Some(place) = self.places.get(&kept) {
            return *place;
        }
        let place = u32::try_from(self.kept.len()).unwrap();
        let kept = Rc::new(kept);
        self.kept.push(kept.clone());
        self.places.insert(kept, place);
        place
    }

    /// What happens after the requests: pending copies become available, reads no longer lag, and each record that is left sends
    /// its hint.
    pub(crate) fn aftermath(&mut self, place: u32) -> Rc<Aftermath> {
        if let Some(known) = self.aftermaths.get(&place) {
            return known.clone();
        }
        let mut after = Aftermath { kept: (*self.kept[place as usize]).clone(), told: Vec::new() };
        for _ in 0..MOST_HINTS {
            let expected = after.kept.events().into_iter().filter(|event| event.is_expected());
            after.kept = expected.fold(after.kept.clone(), |kept, event| kept.after(event)).caught_up();
            if !self.hint_all(&mut after) {
                break;
            }
        }
        // A share that ends refuses what waits, until its last hint. A decision that was written later sends more.
        for place in [LAST_HINT, LAST_HINT + 1] {
            if self.has_expiry(&after.kept) && after.kept.clock < place {
                after.kept = after.kept.later(place);
                self.hint_all(&mut after);
            }
        }
        let after = Rc::new(after);
        self.aftermaths.insert(place, after.clone());
        after
    }

    /// The hint of each record that sends hints until it is deleted. Returns whether there is one.
    fn hint_all(&mut self, after: &mut Aftermath) -> bool {
        let mut hints = self.pools.listed(after.kept.schedules.keys());
        hints.retain(|name| self.is_repeated(*name));
        let is_one = !hints.is_empty();
        hints.into_iter().for_each(|name| self.hint(name, after));
        is_one
    }

    fn has_expiry(&self, kept: &Kept) -> bool {
        kept.schedules.keys().any(|name| self.pools.is_of_expiry(*name))
    }

    /// The same at this later place of the clock, and what is told meanwhile. The hints of a decision come for a day: if not all of
    /// them have failed, they carry it out.
    fn later(&mut self, kept: &Kept, place: u8, has_failed: bool) -> Aftermath {
        let mut after = Aftermath { kept: kept.clone(), told: Vec::new() };
        let is_last_to_come = (kept.clock..place).contains(&LAST_HINT) && !kept.is_last_hint_failed;
        if has_failed && is_last_to_come {
            self.hint_all(&mut after);
        }
        after.kept = after.kept.later(place);
        // By then the hint of each expiry that is due has come, and the last one of each share that waits for a copy.
        if place > LAST_TICK {
            self.hint_expiries(&mut after);
            self.hint_copies(&mut after);
            after.kept = after.kept.caught_up();
        }
        after
    }

    /// The hints of the expiries.
    fn hint_expiries(&mut self, after: &mut Aftermath) {
        let mut names = self.pools.listed(after.kept.schedules.keys());
        names.retain(|name| self.pools.is_of_expiry(*name));
        names.into_iter().for_each(|name| self.hint(name, after));
    }

    /// The last hints of the shares that wait for copies.
    fn hint_copies(&mut self, after: &mut Aftermath) {
        for _ in 0..MOST_HINTS {
            let mut names = self.pools.listed(after.kept.schedules.keys()).into_iter();
            let Some(name) = names.find(|name| CopyName::is_meant(&self.pools.names.get(*name))) else { return };
            self.hint(name, after);
        }
    }

    /// Whether the record sends hints until it is deleted.
    fn is_repeated(&self, name: Word) -> bool {
        let name: RecordName = self.pools.names.get(name).parse().unwrap();
        matches!(name, RecordName::Copy(_) | RecordName::Decision(_))
    }

    /// One hint, from its beginning to its end.
    fn hint(&mut self, name: Word, after: &mut Aftermath) {
        let trigger = Trigger::Due(self.pools.names.get(name).parse().unwrap());
        let ended = self.alone(Whose::Hint(name), (&trigger, "hint"), &mut after.kept);
        after.told.extend(ended.told.iter().cloned());
    }

    /// The calls of AWS that the first invocation of a scene makes if nothing else runs and nothing goes wrong, as
    /// `service:Operation`.
    pub fn calls_alone(&mut self, scene: &Scene) -> Vec<&'static str> {
        let Actor { whose, trigger, id, not_before, .. } = &scene.actors[0];
        let mut kept = scene.before(&self.pools).later(*not_before);
        let mut calls = Vec::new();
        self.alone_with(*whose, (trigger, id), &mut kept, |call| calls.push(call.clone()));
        calls.iter().filter_map(|call| call.operation(&self.pools)).collect()
    }

    /// One invocation, from its beginning to its end, if nothing else runs and nothing goes wrong.
    fn alone(&mut self, whose: Whose, what: (&Trigger, &str), kept: &mut Kept) -> Rc<Ended> {
        self.alone_with(whose, what, kept, |_| ())
    }

    /// The same, and shows each of its calls.
    fn alone_with(
        &mut self,
        whose: Whose,
        what: (&Trigger, &str),
        kept: &mut Kept,
        mut show: impl FnMut(&Call),
    ) -> Rc<Ended> {
        let (tree, mut at) = (self.begin(whose, what), 0);
        loop {
            match self.trees[tree].node(at).next.clone() {
                Ok(ended) => {
                    *kept = ended.for_good.into_iter().fold(kept.clone(), Kept::for_good);
                    return ended;
                }
                Err(calls) => {
                    let call = calls[0].clone();
                    show(&call);
                    let (after, answer) = kept.answers(&call, &self.pools, Lag::default()).remove(0);
                    *kept = after;
                    at = self.child(tree, what, at, &(call, answer));
                }
            }
        }
    }

    /// Sends requests of these kinds after everything has ended, and returns how the first one ends that is refused, or else the
    /// last one, and what comes after it.
    pub(crate) fn send_again(&mut self, kinds: &[Kind], kept: &Kept) -> (Rc<Ended>, Rc<Aftermath>) {
        let mut kept = kept.caught_up();
        let each = kinds.iter().map(|kind| {
            let Actor { whose, trigger, id, .. } = Actor::new(*kind, AGAIN);
            self.alone(whose, (&trigger, &id), &mut kept)
        });
        let ended: Vec<_> = each.collect();
        let refused = ended.iter().find(|ended| ended.result == Status::Refused);
        let ended = refused.or(ended.last()).expect("at least one is sent").clone();
        let place = self.place(kept);
        (ended, self.aftermath(place))
    }
}

/// The exploration of one scene.
pub(crate) struct Run<'e> {
    pub(crate) explorer: &'e mut Explorer,
    pub(crate) scene: &'e Scene,
    /// The places of the trees of the scene's invocations.
    pub(crate) trees: Vec<usize>,
    pub(crate) limits: Limits,
    /// Every state with the place of the one before it.
    pub(crate) known: IndexMap<State, usize, BuildHasherDefault<Quick>>,
    /// What comes after each answer.
    pub(crate) answered: QuickMap<Asking, Rc<[Answered]>>,
    /// What is kept when an invocation is killed, or AWS has failed it, and it is sent again: by its place, what was kept, and how
    /// far it was.
    stopped: QuickMap<(usize, u32, u32), u32>,
    /// What may happen, and what comes after it.
    happened: QuickMap<u32, Rc<[Happened]>>,
    /// What is kept when time has passed, by what was, and whether a write has failed.
    passed: QuickMap<(u32, bool), u32>,
    /// Where the reads of an invocation may stop.
    pub(crate) stops: QuickMap<Reader, Rc<[Stop]>>,
    /// Whether steps get paths. Only a trace needs them; to make them always would take a quarter of the time.
    pub(crate) is_traced: bool,
}

impl Run<'_> {
    pub(crate) fn keep(&mut self, kept: Kept) -> u32 {
        let mut kept = kept.seen_with(self.limits.lag);
        undoing::forget_why_it_is_missing(&mut kept, self.scene);
        self.explorer.place(kept)
    }

    pub(crate) fn tree(&self, actor: usize) -> &Tree {
        &self.explorer.trees[self.trees[actor]]
    }

    pub(crate) fn kept(&self, state: &State) -> &Kept {
        &self.explorer.kept[state.kept as usize]
    }

    /// Forgets what it can find out again, if that is much.
    pub(crate) fn forget(&mut self) {
        if self.answered.len() > MOST_REMEMBERED {
            self.answered = QuickMap::default();
        }
        if self.stops.len() > MOST_REMEMBERED {
            self.stops = QuickMap::default();
        }
    }

    /// The path of one step, if the run is traced.
    pub(crate) fn path(&self, label: impl FnOnce() -> Label) -> Path {
        self.is_traced.then(|| Rc::new(Link::Label(label())))
    }

    /// AWS has failed this invocation, so it is sent again.
    pub(crate) fn sent_again(&mut self, state: &State, actor: usize) -> Option<Move> {
        if !self.tree(actor).failed(state.at[actor]) {
            return None;
        }
        let mut to = State { kept: self.stopped(state, actor, killing::note_again), ..*state };
        to.at[actor] = 0;
        Some(Move::new(to, self.path(|| Label::IsSentAgain(actor))))
    }

    /// This invocation is killed, and will be sent again. After its last call, `answers` does that.
    pub(crate) fn crash(&mut self, state: &State, actor: usize) -> Option<Move> {
        if state.crashes == 0 || !self.tree(actor).is_running(state.at[actor]) {
            return None;
        }
        let kept = self.stopped(state, actor, killing::note_killing);
        let mut to = State { kept, crashes: state.crashes - 1, owed: self.owed_after(state, actor), ..*state };
        to.at[actor] = 0;
        Some(Move::new(to, self.path(|| Label::Crashes(actor))))
    }

    /// What is kept when this invocation is stopped: by AWS, which has failed it, if it has ended, and otherwise by a crash. So what
    /// is noted goes by how far it is.
    fn stopped(&mut self, state: &State, actor: usize, note: fn(&mut Kept, &Scene, usize, &Answers, &Pools)) -> u32 {
        let stopped = (actor, state.kept, state.at[actor]);
        if let Some(kept) = self.stopped.get(&stopped) {
            return *kept;
        }
        let mut kept = self.kept(state).clone();
        let answers = &self.tree(actor).node(state.at[actor]).answers;
        note(&mut kept, self.scene, actor, answers, &self.explorer.pools);
        let kept = self.keep(kept);
        self.stopped.insert(stopped, kept);
        kept
    }

    /// The invocations that are to be sent again, when this one is killed too.
    pub(crate) fn owed_after(&self, state: &State, actor: usize) -> u8 {
        state.owed | u8::from(self.scene.is_sent_again_soon(actor)) << actor
    }

    /// What may happen without an invocation, and what comes after it.
    pub(crate) fn events(&mut self, state: &State) -> Rc<[Happened]> {
        if let Some(known) = self.happened.get(&state.kept) {
            return known.clone();
        }
        let kept = self.explorer.kept[state.kept as usize].clone();
        let may_happen =
            |event: &Event| (event.is_expected() || self.limits.events > 0) && self.scene.may_happen(*event);
        let events: Vec<_> = kept.events().into_iter().filter(may_happen).collect();
        let happened = |event| {
            let after = kept.after(event);
            Happened { event, changed: Shown::changed(&kept, &after), kept: self.keep(after) }
        };
        let events: Rc<[_]> = events.into_iter().map(happened).collect();
        self.happened.insert(state.kept, events.clone());
        events
    }

    /// Something happens without an invocation.
    pub(crate) fn happens(&self, state: &State, Happened { event, kept, .. }: &Happened) -> Option<Move> {
        let events = state.events.checked_sub(u8::from(!event.is_expected()))?;
        Some(Move::new(State { kept: *kept, events, ..*state }, self.path(|| Label::Happens(*event))))
    }

    pub(crate) fn time_passes(&mut self, state: &State) -> Option<Move> {
        let place = self.scene.place_after(self.kept(state).clock)?;
        let is_owed = |actor: &usize| state.owed & 1 << actor != 0;
        if !(0..self.scene.actors.len()).filter(is_owed).all(|actor| self.scene.may_wait_until(place, actor)) {
            return None;
        }
        let next = time_at(place);
        // Lambda ends an invocation at its deadline.
        let may_run_on = |actor: usize| self.tree(actor).ends_by(state.at[actor]).is_none_or(|end| end >= next);
        if !(0..self.scene.actors.len()).all(may_run_on) {
            return None;
        }
        let has_failed = state.faults < self.limits.faults;
        let kept = self.passed.get(&(state.kept, has_failed)).copied().unwrap_or_else(|| {
            let before = self.explorer.kept[state.kept as usize].clone();
            let Aftermath { mut kept, told } = self.explorer.later(&before, place, has_failed);
            killing::note_removal(&before, &mut kept);
            self.scene.note_told(&mut kept, &told);
            let kept = self.keep(kept);
            self.passed.insert((state.kept, has_failed), kept);
            kept
        });
        Some(Move::new(State { kept, ..*state }, self.path(|| Label::TimePasses)))
    }

    /// The calls of this invocation that may be answered next, with their places.
    pub(crate) fn calls(&self, state: &State, actor: usize) -> Vec<(usize, Call)> {
        let Err(calls) = &self.tree(actor).node(state.at[actor]).next else { return Vec::new() };
        calls.iter().cloned().enumerate().collect()
    }
}
