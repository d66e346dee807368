//! Owns the search: every interleaving of a scene's invocations, with every answer, breadth first, so that the trace to a state is
//! the shortest.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use crate::{
    explore::{Explorer, Limits, Run},
    kept::Kept,
    killed::MOST,
    known::{Exception, NOT_MENDED},
    rules::End,
    scenes::Scene,
    script::{Call, Ended},
    steps::{Label, Move, State},
};

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
    /// What is known not to hold, by its number in docs/reliability.md, each with how often it was found and the shortest trace.
    pub known: BTreeMap<u8, (usize, Vec<String>)>,
}

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub what: &'static str,
    /// How it comes to that.
    pub trace: Vec<String>,
}

impl Explorer {
    /// Explores a scene. Ends with the first thing that does not hold, unless it is known not to.
    pub fn explore(&mut self, scene: &Scene, limits: Limits) -> Explored {
        self.run(scene, limits).explore()
    }

    /// Explores a scene, and returns also every way in which it may end: what AWS keeps then, and how each invocation has ended.
    pub fn ends(&mut self, scene: &Scene, limits: Limits) -> (Explored, BTreeSet<String>) {
        let mut run = self.run(scene, limits);
        let explored = run.explore();
        let mut texts = BTreeMap::new();
        let mut end = |state: &State| {
            let ended = run.ended(state)?;
            let text = || run.kept(state).as_rules_see_it().in_full(&run.explorer.pools);
            Some(format!("{} {ended:?}", texts.entry(state.kept).or_insert_with(text)))
        };
        (explored, run.known.keys().filter_map(&mut end).collect())
    }
}

impl Run<'_> {
    fn explore(&mut self) -> Explored {
        let kept = self.scene.before(&self.explorer.pools);
        let kept = self.keep(kept);
        let Limits { crashes, faults, reads, events, .. } = self.limits;
        let first = State { kept, at: [0; MOST], crashes, faults, reads, events, owed: 0 };
        self.known.insert(first, 0);
        let mut explored = Explored { states: 0, steps: 0, ends: 0, found: None, known: BTreeMap::new() };
        while let Some((state, _)) = self.known.get_index(explored.states) {
            let (state, place) = (*state, explored.states);
            self.forget();
            explored.states += 1;
            if let Some(ended) = self.ended(&state) {
                explored.ends += 1;
                let aftermath = self.explorer.aftermath(state.kept);
                let kept = self.kept(&state);
                let actors = 0..self.scene.actors.len();
                let answers: Vec<_> = actors.map(|actor| &self.tree(actor).node(state.at[actor]).answers).collect();
                let (ended, answers, aftermath) = (&*ended, &*answers, &*aftermath);
                let pools = &self.explorer.pools;
                let end = End { kept, ended, answers, aftermath, pools };
                let broken = self.scene.check_end(&end).into_iter();
                let broken: Vec<_> = broken.map(|what| (what, Exception::of_end(what, self.scene, &end))).collect();
                let after = Kept { clock: kept.clock, ..aftermath.kept.clone() };
                for (what, exception) in broken {
                    let mended = exception.map_or(Ok(()), |exception| self.is_mended(exception, &after));
                    let found = if mended.is_ok() { (what, exception) } else { (NOT_MENDED, None) };
                    if !self.is_known(found, place, None, &mut explored) {
                        let told = aftermath.told.iter().map(|told| format!("then a hint tells: {told:?}"));
                        let told: Vec<_> = told.chain(mended.err()).collect();
                        explored.found.iter_mut().for_each(|found| found.trace.extend(told.clone()));
                        return explored;
                    }
                }
            }
            for (number, step) in self.moves(&state).into_iter().enumerate() {
                explored.steps += 1;
                for wrong in step.wrong {
                    if !self.is_known(wrong, place, Some(number), &mut explored) {
                        return explored;
                    }
                }
                self.known.entry(step.to).or_insert(place);
            }
        }
        explored
    }

    /// Sends the requests again of which one mends this. If none does, returns how they ended.
    fn is_mended(&mut self, exception: &Exception, kept: &Kept) -> Result<(), String> {
        let Exception { number, mend, .. } = exception;
        let mut how = format!("exception {number}");
        let requests = mend.requests(self.scene);
        for kinds in &requests {
            let (ended, after) = self.explorer.send_again(kinds, kept);
            if mend.is_done(&ended, &after.kept) {
                return Ok(());
            }
            let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            let (names, result) = (names.join(" and "), ended.result);
            how += &format!("; {names}, sent again, is {result:?}, and hints tell {:?}", after.told);
        }
        if requests.is_empty() { Ok(()) } else { Err(how) }
    }

    /// Takes note of what does not hold, and says whether that is known.
    fn is_known(
        &mut self,
        (what, exception): (&'static str, Option<&Exception>),
        place: usize,
        last: Option<usize>,
        explored: &mut Explored,
    ) -> bool {
        let Some(exception) = exception else {
            explored.found = Some(Found { what, trace: self.trace(place, last) });
            return false;
        };
        let known = explored.known.entry(exception.number).or_insert_with(|| (0, self.trace(place, last)));
        known.0 += 1;
        true
    }

    /// How every invocation ended, if all have, and none is sent again.
    fn ended(&self, state: &State) -> Option<Vec<Rc<Ended>>> {
        let actors = 0..self.scene.actors.len();
        let end = |actor| {
            let (tree, at) = (self.tree(actor), state.at[actor]);
            tree.node(at).next.clone().ok().filter(|_| !tree.failed(at))
        };
        actors.map(end).collect()
    }

    fn moves(&mut self, state: &State) -> Vec<Move> {
        if self.limits.is_reduced {
            return self.reduced_moves(state);
        }
        let mut moves = Vec::new();
        for actor in 0..self.scene.actors.len() {
            for call in self.calls(state, actor) {
                self.answers(state, actor, &call, &mut moves);
            }
            moves.extend(self.sent_again(state, actor));
            moves.extend(self.crash(state, actor));
        }
        for event in &*self.events(state) {
            moves.extend(self.happens(state, event));
        }
        moves.extend(self.time_passes(state));
        moves
    }

    /// The shortest way to the state in this place, and then the one of its moves with this number.
    fn trace(&mut self, mut place: usize, last: Option<usize>) -> Vec<String> {
        // These have no paths.
        let untraced = std::mem::take(&mut self.stops);
        self.is_traced = true;
        let mut paths = Vec::new();
        if let Some(number) = last {
            let (from, _) = self.state(place);
            paths.push(self.moves(&from).swap_remove(number).path);
        }
        while place > 0 {
            let (to, before) = self.state(place);
            let (from, _) = self.state(before);
            let step = self.moves(&from).into_iter().find(|step| step.to == to).expect("it led here");
            paths.push(step.path);
            place = before;
        }
        (self.is_traced, self.stops) = (false, untraced);
        let labels = paths.iter().rev().flatten().flat_map(|path| path.labels());
        labels.map(|label| self.in_words(&label)).collect()
    }

    /// The state in this place, and the place of the one before it.
    fn state(&self, place: usize) -> (State, usize) {
        self.known.get_index(place).map(|(state, before)| (*state, *before)).expect("it is known")
    }

    fn in_words(&self, label: &Label) -> String {
        match label {
            Label::TimePasses => "time passes".to_owned(),
            Label::Happens(event) => format!("it happens: {event:?}"),
            Label::IsSentAgain(actor) => format!("{}: is sent again", self.scene.actors[*actor].name),
            Label::Crashes(actor) => format!("{}: is killed, and sent again", self.scene.actors[*actor].name),
            Label::Calls(actor, call, answer) => {
                let called = match call {
                    Call::Write { step, .. } => {
                        let step = self.explorer.pools.steps.get(*step);
                        format!("{} +{:?} -{:?}", step.call(), step.adds().len(), step.removes().len())
                    }
                    Call::Schedule(name) => format!("GetSchedule {}", self.explorer.pools.names.get(*name)),
                    Call::LookAgain(name) => format!("GetSchedule again {}", self.explorer.pools.names.get(*name)),
                    call => format!("{call:?}"),
                };
                format!("{}: {called} → {answer:?}", self.scene.actors[*actor].name)
            }
        }
    }
}
