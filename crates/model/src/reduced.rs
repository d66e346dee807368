//! Owns the reduced exploration: of the orders of calls that don't affect each other, only one is tried.
//!
//! A read can come later, past the calls of others, unless one of these changes what it reads; and an invocation that is killed
//! after a read could as well be killed before it. So every interleaving comes to the same as one in which
//!
//! - each write comes at once after the reads of its own invocation that precede it;
//! - the others read just before it, and only if each read that may be their last shows something that the write changes: of reads
//!   that are made at the same time, any may be the last;
//! - an invocation is killed only at once after a write of its own.
//!
//! Time passes only while nothing runs, so it is between such steps.
//!
//! A step of this exploration is such a write, something that happens by itself, or the end of an invocation, with the reads before
//! it. [`Shown`] is what reads show and writes change. A test compares the ends with those of every interleaving.

use std::rc::Rc;

use crate::{
    explore::Run,
    script::{Call, Pools},
    shown::Shown,
    steps::{Happened, Move, Path, State, joined},
    stops::{Reader, Stop},
};

impl Run<'_> {
    /// The steps of the reduced exploration from this state.
    pub(crate) fn reduced_moves(&mut self, state: &State) -> Vec<Move> {
        let mut moves = Vec::new();
        for actor in 0..self.scene.actors.len() {
            self.write(&(*state, None), actor, &mut moves);
            for (to, path) in self.read_on(&(*state, None), actor, |_, _| true) {
                if self.tree(actor).node(to.at[actor]).next.is_ok() {
                    moves.push(Move::new(to, path));
                } else {
                    self.write(&(to, path), actor, &mut moves);
                }
            }
            moves.extend(self.sent_again(state, actor));
        }
        for Happened { event, changed, .. } in &*self.events(state) {
            for (from, path) in self.others_read((*state, None), None, changed) {
                let events = self.events(&from);
                let next = events.iter().find(|next| next.event == *event);
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
            let answered = self.answered(&from.0, actor, &call);
            let changed: Vec<_> = answered.iter().flat_map(|answered| &*answered.changed).copied().collect();
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

    /// Where the others may be, this one apart: each has stopped where it was, or after reads of which each that may be the last
    /// shows what is changed next.
    fn others_read(&mut self, from: (State, Path), but: Option<usize>, changed: &[Shown]) -> Vec<(State, Path)> {
        let mut all = vec![from];
        for actor in (0..self.scene.actors.len()).filter(|actor| Some(*actor) != but) {
            for place in 0..all.len() {
                let more = self.read_on(&all[place], actor, |last, pools| {
                    changed.iter().any(|changed| changed.is_read_by(last, pools))
                });
                all.extend(more);
            }
        }
        all
    }

    /// Where this invocation may stop after reads, if each read that may be the last is one of these.
    fn read_on(
        &mut self,
        (state, path): &(State, Path),
        actor: usize,
        is_it: impl Fn(&Call, &Pools) -> bool,
    ) -> Vec<(State, Path)> {
        let stops = self.stops(state, actor);
        let mut all: Vec<(State, Path)> = Vec::new();
        for stop in stops.iter().filter(|stop| stop.lasts.iter().all(|last| is_it(last, &self.explorer.pools))) {
            let owed = state.owed & !(1 << actor);
            let mut to = State { kept: stop.kept, reads: stop.reads, owed, ..*state };
            to.at[actor] = stop.at;
            if !all.iter().any(|(other, _)| *other == to) {
                all.push((to, joined(path, &stop.path)));
            }
        }
        all
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
        // Each with the reads that were made: two orders of the same reads are one stop, with two reads that may be the last.
        // After other reads it is another stop, even in the same state.
        let mut stops: Vec<(Vec<Call>, Stop)> = Vec::new();
        let mut waiting = vec![(*state, None, Vec::<Call>::new())];
        let mut next = 0;
        while let Some((from, path, before)) = waiting.get(next).cloned() {
            next += 1;
            for call in self.calls(&from, actor).into_iter().filter(|(_, call)| !call.is_write()) {
                let last = &call.1;
                let mut made = before.clone();
                made.push(last.clone());
                made.sort_unstable();
                let mut steps = Vec::new();
                self.answers(&from, actor, &call, &mut steps);
                for step in steps {
                    let to = step.to;
                    let is_same = |stop: &Stop| (stop.kept, stop.at, stop.reads) == (to.kept, to.at[actor], to.reads);
                    if let Some((_, stop)) = stops.iter_mut().find(|(other, it)| is_same(it) && *other == made) {
                        if !stop.lasts.contains(last) {
                            stop.lasts.push(last.clone());
                        }
                        continue;
                    }
                    let path = step.after(&path).path;
                    waiting.push((to, path.clone(), made.clone()));
                    let lasts = vec![last.clone()];
                    stops.push((made.clone(), Stop { kept: to.kept, at: to.at[actor], reads: to.reads, lasts, path }));
                }
            }
        }
        let stops: Rc<[Stop]> = stops.into_iter().map(|(_, stop)| stop).collect();
        self.stops.insert(reader, stops.clone());
        stops
    }
}
