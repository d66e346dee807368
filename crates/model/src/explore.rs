//! Owns the explorer: every interleaving of a scene's invocations, with every answer, breadth first, so that the trace to
//! a state is the shortest.

use std::collections::{HashMap, VecDeque, hash_map::Entry};

use sharing::{allowlist::Allowlist, facts::Failure, outcome::ErrorCode};

use crate::{
    invocation::{Planted, invoke},
    kept::{Kept, Lag},
    scenes::{Actor, Kind, Scene},
    script::{Answer, Answers, Asked, Call, Ended, Pools, Script},
    world::{self, LONGEST, time_at},
};

/// The number of invocations that run at the same time, at most.
const MOST: usize = 3;

/// What may go wrong in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The number of invocations that are killed. Each is sent again.
    pub crashes: u8,
    /// The number of writes that fail: the write is not made, or it is made and the answer is lost.
    pub faults: u8,
    /// Which reads may lag.
    pub lag: Lag,
    /// Whether the reads that an invocation makes at the same time run one after the other, so that there are fewer states.
    pub is_one_by_one: bool,
}

/// What was explored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explored {
    /// The number of states.
    pub states: usize,
    /// The number of steps between them.
    pub steps: usize,
    /// The number of ways to end.
    pub ends: usize,
    /// What does not hold, with the shortest trace.
    pub found: Option<Found>,
}

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub what: String,
    /// How it comes to that.
    pub trace: Vec<String>,
}

/// A state: what AWS keeps, how far each invocation is, and what may still go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    kept: u32,
    at: [u32; MOST],
    crashes: u8,
    faults: u8,
}

/// The invocations of one request, by their answers.
#[derive(Debug, Default)]
struct Tree {
    nodes: Vec<Node>,
    places: HashMap<Answers, u32>,
}

#[derive(Debug)]
struct Node {
    answers: Answers,
    /// How it ended, or the calls that are under way.
    next: Asked<Ended>,
    children: HashMap<(Call, Answer), u32>,
}

impl Tree {
    fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    fn is_running(&self, at: u32) -> bool {
        at != 0 && self.node(at).next.is_err()
    }

    /// Whether it ended, and AWS failed it: then it is sent again.
    fn failed(&self, at: u32) -> bool {
        let of_aws = |failure: &Failure| failure.code != ErrorCode::ExpiryLost;
        self.node(at).next.as_ref().is_ok_and(|ended| ended.failures.iter().any(of_aws))
    }

    /// The latest time at which the invocation ends, if it runs.
    fn ends_by(&self, at: u32) -> Option<time::OffsetDateTime> {
        let began = self.node(at).answers.began().filter(|_| self.is_running(at));
        began.map(|place| time_at(place) + LONGEST)
    }
}

/// What the scenes of one explorer have in common: each invocation is run once for the same answers.
#[derive(Debug)]
pub struct Explorer {
    planted: Planted,
    allowlist: Allowlist,
    pools: Pools,
    trees: HashMap<Kind, Tree>,
    kept: Vec<Kept>,
    places: HashMap<Kept, u32>,
}

impl Explorer {
    /// An explorer of invocations with this fault.
    pub fn new(planted: Planted) -> Self {
        let (trees, places) = (HashMap::new(), HashMap::new());
        Self { planted, allowlist: world::allowlist(), pools: Pools::default(), trees, kept: Vec::new(), places }
    }

    /// Explores a scene. Ends with the first thing that does not hold.
    pub fn explore(&mut self, scene: &Scene, limits: Limits) -> Explored {
        for actor in &scene.actors {
            if self.trees.entry(actor.kind).or_default().nodes.is_empty() {
                self.add(actor, Answers::default());
            }
        }
        Run { explorer: self, scene, limits, known: HashMap::new(), order: Vec::new() }.explore()
    }

    /// Runs an invocation with these answers, if it was not run with them before.
    fn add(&mut self, actor: &Actor, answers: Answers) -> u32 {
        if let Some(place) = self.trees[&actor.kind].places.get(&answers) {
            return *place;
        }
        let script = Script::new(&answers, &self.pools);
        let next = invoke(&script, &actor.trigger, &self.allowlist, self.planted);
        let Tree { nodes, places } = self.trees.get_mut(&actor.kind).unwrap();
        let place = u32::try_from(nodes.len()).unwrap();
        places.insert(answers.clone(), place);
        nodes.push(Node { answers, next, children: HashMap::new() });
        place
    }

    fn child(&mut self, actor: &Actor, at: u32, answered: &(Call, Answer)) -> u32 {
        let node = self.trees[&actor.kind].node(at);
        if let Some(child) = node.children.get(answered) {
            return *child;
        }
        let (call, answer) = answered.clone();
        let child = self.add(actor, node.answers.and(call, answer));
        self.trees.get_mut(&actor.kind).unwrap().nodes[at as usize].children.insert(answered.clone(), child);
        child
    }

    fn place(&mut self, kept: Kept) -> u32 {
        if let Some(place) = self.places.get(&kept) {
            return *place;
        }
        let place = u32::try_from(self.kept.len()).unwrap();
        self.kept.push(kept.clone());
        self.places.insert(kept, place);
        place
    }
}

/// One more step of a run.
struct Move {
    to: State,
    label: Label,
}

#[derive(Debug, Clone)]
enum Label {
    Calls(usize, Call, Answer),
    Crashes(usize),
    IsSentAgain(usize),
    TimePasses,
}

/// The exploration of one scene.
struct Run<'e> {
    explorer: &'e mut Explorer,
    scene: &'e Scene,
    limits: Limits,
    known: HashMap<State, usize>,
    /// Every state with the one before it and what led to it.
    order: Vec<(State, usize, Option<Label>)>,
}

impl Run<'_> {
    fn explore(&mut self) -> Explored {
        let kept = self.scene.before(&self.explorer.pools);
        let kept = self.explorer.place(kept);
        let first = State { kept, at: [0; MOST], crashes: self.limits.crashes, faults: self.limits.faults };
        let mut waiting = VecDeque::from([0]);
        self.known.insert(first, 0);
        self.order.push((first, 0, None));
        let mut explored = Explored { states: 0, steps: 0, ends: 0, found: None };
        while let Some(place) = waiting.pop_front() {
            let state = self.order[place].0;
            explored.states += 1;
            if let Some(ended) = self.ended(&state) {
                explored.ends += 1;
                if let Err(what) = self.scene.check_end(self.kept(&state), &ended, &self.explorer.pools) {
                    explored.found = Some(Found { what, trace: self.trace(place, None) });
                    return explored;
                }
            }
            for Move { to, label } in self.moves(&state) {
                explored.steps += 1;
                if let Err(what) = self.check_step(&state, &to, &label) {
                    explored.found = Some(Found { what, trace: self.trace(place, Some(&label)) });
                    return explored;
                }
                let next = self.order.len();
                if let Entry::Vacant(entry) = self.known.entry(to) {
                    entry.insert(next);
                    self.order.push((to, place, Some(label)));
                    waiting.push_back(next);
                }
            }
        }
        explored
    }

    fn tree(&self, actor: usize) -> &Tree {
        &self.explorer.trees[&self.scene.actors[actor].kind]
    }

    fn kept(&self, state: &State) -> &Kept {
        &self.explorer.kept[state.kept as usize]
    }

    /// How every invocation ended, if all have, and none is sent again.
    fn ended(&self, state: &State) -> Option<Vec<Ended>> {
        let actors = 0..self.scene.actors.len();
        let end = |actor| {
            let (tree, at) = (self.tree(actor), state.at[actor]);
            tree.node(at).next.clone().ok().filter(|_| !tree.failed(at))
        };
        actors.map(end).collect()
    }

    fn check_step(&self, from: &State, to: &State, label: &Label) -> Result<(), String> {
        let Label::Calls(actor, call, _) = label else { return Ok(()) };
        let (before, after) = (self.kept(from), self.kept(to));
        self.scene.check_step(*actor, call, before, after, &self.explorer.pools)
    }

    fn moves(&mut self, state: &State) -> Vec<Move> {
        let mut moves = Vec::new();
        for actor in 0..self.scene.actors.len() {
            self.calls(state, actor, &mut moves);
            if self.tree(actor).failed(state.at[actor]) {
                let mut to = *state;
                to.at[actor] = 0;
                moves.push(Move { to, label: Label::IsSentAgain(actor) });
            }
            if state.crashes > 0 && self.tree(actor).is_running(state.at[actor]) {
                let mut to = State { crashes: state.crashes - 1, ..*state };
                to.at[actor] = 0;
                moves.push(Move { to, label: Label::Crashes(actor) });
            }
        }
        let kept = self.kept(state);
        if kept.clock < self.scene.last_time {
            let next = time_at(kept.clock + 1);
            // Lambda ends an invocation at its deadline.
            let may_run_on = |actor: usize| self.tree(actor).ends_by(state.at[actor]).is_none_or(|end| end >= next);
            if (0..self.scene.actors.len()).all(may_run_on) {
                let later = kept.later();
                let to = State { kept: self.explorer.place(later), ..*state };
                moves.push(Move { to, label: Label::TimePasses });
            }
        }
        moves
    }

    fn calls(&mut self, state: &State, actor: usize, moves: &mut Vec<Move>) {
        let at = state.at[actor];
        let Err(mut calls) = self.tree(actor).node(at).next.clone() else { return };
        if self.limits.is_one_by_one {
            calls.truncate(1);
        }
        for call in calls {
            self.answers(state, actor, call, moves);
        }
    }

    /// Every answer to a call.
    fn answers(&mut self, state: &State, actor: usize, call: Call, moves: &mut Vec<Move>) {
        let (at, kept) = (state.at[actor], self.kept(state).clone());
        if call == Call::Begin && kept.clock < self.scene.actors[actor].not_before {
            return;
        }
        let mut answers: Vec<_> = kept
            .answers(&call, &self.explorer.pools, self.limits.lag)
            .into_iter()
            .map(|(after, answer)| (after, answer, 0))
            .collect();
        if matches!(call, Call::Write { .. }) && state.faults > 0 {
            answers.extend(answers.clone().into_iter().map(|(after, _, _)| (after, Answer::Lost, 1)));
            answers.push((kept, Answer::Failed, 1));
        }
        for (after, answer, faults) in answers {
            let answered = (call.clone(), answer);
            let child = self.explorer.child(&self.scene.actors[actor], at, &answered);
            let is_for_good = self.tree(actor).node(child).next.as_ref().is_ok_and(|ended| ended.is_for_good);
            let after = if is_for_good { after.for_good() } else { after };
            let mut to = State { kept: self.explorer.place(after), faults: state.faults - faults, ..*state };
            to.at[actor] = child;
            let (call, answer) = answered;
            moves.push(Move { to, label: Label::Calls(actor, call, answer) });
        }
    }

    fn trace(&self, mut place: usize, last: Option<&Label>) -> Vec<String> {
        let mut labels: Vec<_> = last.into_iter().collect();
        while let (_, before, Some(label)) = &self.order[place] {
            labels.push(label);
            place = *before;
        }
        labels.reverse();
        labels.into_iter().map(|label| self.in_words(label)).collect()
    }

    fn in_words(&self, label: &Label) -> String {
        match label {
            Label::TimePasses => "time passes".to_owned(),
            Label::IsSentAgain(actor) => format!("{}: is sent again", self.scene.actors[*actor].name),
            Label::Crashes(actor) => format!("{}: is killed, and sent again", self.scene.actors[*actor].name),
            Label::Calls(actor, call, answer) => {
                let called = match call {
                    Call::Write { step, .. } => {
                        let step = self.explorer.pools.steps.get(*step);
                        format!("{} +{:?} -{:?}", step.call(), step.adds().len(), step.removes().len())
                    }
                    Call::Schedule(name) => format!("GetSchedule {}", self.explorer.pools.names.get(*name)),
                    call => format!("{call:?}"),
                };
                format!("{}: {called} → {answer:?}", self.scene.actors[*actor].name)
            }
        }
    }
}
