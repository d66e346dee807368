//! Owns the reduced exploration: of the orders of calls that don't affect each other, only one is tried.
//!
//! A read can come later, past the calls of others, unless one of these changes what it reads; and an invocation that is killed
//! after a read could as well be killed before it. So every interleaving comes to the same as one in which
//!
//! - each write comes at once after the reads of its own invocation that precede it;
//! - the others read just before it, and only if their last read is of something that the write changes;
//! - an invocation is killed only at once after a write of its own.
//!
//! Time passes only while nothing runs, so it is between such steps.
//!
//! A step of this exploration is such a write, or something that happens by itself, with the reads before it. What reads and what
//! writes are about is [`Place`]. A test compares the ends with those of every interleaving.

use std::rc::Rc;

use crate::{
    explore::Run,
    steps::{Move, Path, State, joined},
    stops::{Place, Reader, Stop},
};

impl Run<'_> {
    /// The steps of the reduced exploration from this state.
    pub(crate) fn reduced_moves(&mut self, state: &State) -> Vec<Move> {
        let mut moves = Vec::new();
        for actor in 0..self.scene.actors.len() {
            self.write(&(*state, None), actor, &mut moves);
            for (to, path) in self.read_on(&(*state, None), actor, |_| true) {
                if self.tree(actor).node(to.at[actor]).next.is_ok() {
                    moves.push(Move::new(to, path));
                } else {
                    self.write(&(to, path), actor, &mut moves);
                }
            }
            moves.extend(self.sent_again(state, actor));
        }
        for (event, _) in &*self.events(state) {
            let changed = Place::changed_by_event(*event);
            for (from, path) in self.others_read((*state, None), None, &changed) {
                let next = self.events(&from).iter().copied().find(|(next, _)| next == event);
                let step = next.and_then(|next| self.happens(&from, next));
                moves.extend(step.map(|step| step.after(&path)));
            }
        }
        moves.extend(self.time_passes(state));
        moves
    }

    /// The writes of this invocation that are next, each after what others may read just before it.
    fn write(&mut self, from: &(State, Path), actor: usize, moves: &mut Vec<Move>) {
        for call in self.calls(&from.0, actor).into_iter().filter(|(_, call)| call.is_write()) {
            let changed = Place::changed_by(&call.1, &self.explorer.pools);
            for (from, path) in self.others_read(from.clone(), Some(actor), &changed) {
                let mut steps = Vec::new();
                self.answers(&from, actor, &call, &mut steps);
                for step in steps {
                    let step = step.after(&path);
                    let crash = self.crash(&step.to, actor).map(|crash| crash.after(&step.path));
                    moves.push(step);
                    moves.extend(crash);
                }
            }
        }
    }

    /// What the others, apart from this one, may have read if the last read of each is of what is changed next.
    fn others_read(&mut self, from: (State, Path), but: Option<usize>, changed: &[Place]) -> Vec<(State, Path)> {
        let mut all = vec![from];
        for actor in (0..self.scene.actors.len()).filter(|actor| Some(*actor) != but) {
            for place in 0..all.len() {
                let more = self.read_on(&all[place].clone(), actor, |last| changed.contains(&last));
                all.extend(more);
            }
        }
        all
    }

    /// Where this invocation may stop after reads, if the last one is about such a place.
    fn read_on(
        &mut self,
        (state, path): &(State, Path),
        actor: usize,
        is_it: impl Fn(Place) -> bool,
    ) -> Vec<(State, Path)> {
        let stops = self.stops(state, actor);
        let stop = |stop: &Stop| {
            let owed = state.owed & !(1 << actor);
            let mut to = State { kept: stop.kept, reads: stop.reads, owed, ..*state };
            to.at[actor] = stop.at;
            (to, joined(path, &stop.path))
        };
        stops.iter().filter(|it| is_it(it.last)).map(stop).collect()
    }

    fn stops(&mut self, state: &State, actor: usize) -> Rc<[Stop]> {
        let is_alone = self.is_alone(state, actor);
        let reader = Reader {
            actor: u8::try_from(actor).unwrap(),
            kept: state.kept,
            at: state.at[actor],
            reads: state.reads,
            is_alone,
        };
        if let Some(known) = self.stops.get(&reader) {
            return known.clone();
        }
        let mut stops: Vec<Stop> = Vec::new();
        let mut waiting = vec![(*state, None)];
        let mut next = 0;
        while let Some((from, path)) = waiting.get(next).cloned() {
            next += 1;
            for call in self.calls(&from, actor).into_iter().filter(|(_, call)| !call.is_write()) {
                let mut steps = Vec::new();
                self.answers(&from, actor, &call, &mut steps);
                for step in steps {
                    let (to, last) = (step.to, Place::of_read(&call.1));
                    let step = step.after(&path);
                    let stop = Stop { kept: to.kept, at: to.at[actor], reads: to.reads, last, path: step.path };
                    let is_same =
                        |other: &Stop| (other.kept, other.at, other.reads) == (stop.kept, stop.at, stop.reads);
                    let is_new = !stops.iter().any(is_same);
                    if is_new {
                        waiting.push((to, stop.path.clone()));
                    }
                    if is_new || !stops.iter().any(|other| is_same(other) && other.last == last) {
                        stops.push(stop);
                    }
                }
            }
        }
        let stops: Rc<[Stop]> = stops.into();
        self.stops.insert(reader, stops.clone());
        stops
    }
}
