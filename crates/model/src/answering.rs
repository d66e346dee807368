//! Owns what comes after a call: with each answer, what AWS keeps, how far the invocation is, and what is noted of it.

use std::rc::Rc;

use crate::{
    explore::{Node, Run},
    giving,
    kept::Kept,
    killing,
    kinds::{Actor, LAST_HINT},
    known::{BrokenByStep, Exception},
    rules::Taken,
    script::{Answer, Call, Ended},
    shown::Shown,
    steps::{Answered, Asking, Label, Move, State},
    undoing::note_undoing,
};

impl Run<'_> {
    /// Every answer to the call in this place.
    pub(crate) fn answered(&mut self, state: &State, actor: usize, (place, call): &(usize, Call)) -> Rc<[Answered]> {
        let is_write = call.is_write();
        let asking = Asking {
            kept: state.kept,
            at: state.at[actor],
            actor: u8::try_from(actor).unwrap(),
            call: u8::try_from(*place).unwrap(),
            is_alone: self.is_alone(state, actor),
            is_overtaking: self.is_overtaking(state, actor, call),
            may_fail: *call != Call::Begin && if is_write { state.faults > 0 } else { state.reads > 0 },
            may_be_killed: is_write && state.crashes > 0,
        };
        let known = self.answered.get(&asking).cloned();
        known.unwrap_or_else(|| {
            let answered = self.ask(&asking, (actor, call));
            self.answered.insert(asking, answered.clone());
            answered
        })
    }

    /// The steps to every answer to the call in this place.
    pub(crate) fn answers(&mut self, state: &State, actor: usize, asked: &(usize, Call), moves: &mut Vec<Move>) {
        let (_, call) = asked;
        let is_write = call.is_write();
        for Answered { answer, is_failure, kept, at, killed, wrong, .. } in &*self.answered(state, actor, asked) {
            let mut to = State { kept: *kept, owed: state.owed & !(1 << actor), ..*state };
            to.at[actor] = *at;
            to.faults -= u8::from(*is_failure && is_write);
            to.reads -= u8::from(*is_failure && !is_write);
            let step = Move::new(to, self.path(|| Label::Calls(actor, call.clone(), answer.clone())));
            if let Some(kept) = *killed {
                let mut to = State { kept, crashes: state.crashes - 1, owed: self.owed_after(state, actor), ..to };
                to.at[actor] = 0;
                moves.push(Move::new(to, self.path(|| Label::Crashes(actor))).after(&step.path));
            }
            moves.push(Move { wrong: wrong.clone(), ..step });
        }
    }

    /// Whether nothing but this invocation runs.
    pub(crate) fn is_alone(&self, state: &State, actor: usize) -> bool {
        let mut others = (0..self.scene.actors.len()).filter(|other| *other != actor);
        !others.any(|other| self.tree(other).is_running(state.at[other]))
    }

    fn ask(&mut self, asking: &Asking, (actor, call): (usize, &Call)) -> Rc<[Answered]> {
        let may_fail = asking.may_fail;
        let kept = self.explorer.kept[asking.kept as usize].clone();
        if *call == Call::Begin && kept.clock < self.scene.actors[actor].not_before {
            return Rc::new([]);
        }
        let answers = kept.answers(call, &self.explorer.pools, self.limits.lag);
        let mut failures = Vec::new();
        if may_fail && call.is_write() {
            failures.extend(answers.iter().map(|(after, _)| (after.clone(), Answer::Lost)));
            let is_copy = matches!(call, Call::CopyImage { .. });
            failures.extend(is_copy.then(|| ((*kept).clone(), Answer::Refused)));
            failures.push(((*kept).clone(), Answer::Failed));
        } else if may_fail {
            failures.extend([Answer::Failed, Answer::Refused].map(|answer| ((*kept).clone(), answer)));
        }
        let answers = answers.into_iter().map(|answer| (answer, false));
        let all = answers.chain(failures.into_iter().map(|answer| (answer, true)));
        all.map(|((after, answer), is_failure)| self.after((asking, actor, call), (answer, is_failure), (&kept, after)))
            .collect()
    }

    /// What comes after this answer: the invocation goes on, or has ended, or is killed before it says so.
    fn after(
        &mut self,
        (asking, actor, call): (&Asking, usize, &Call),
        (answer, is_failure): (Answer, bool),
        (before, after): (&Kept, Kept),
    ) -> Answered {
        let Asking { at, is_alone, is_overtaking, may_be_killed, .. } = *asking;
        let Actor { trigger, id, kind, .. } = &self.scene.actors[actor];
        let child = self.explorer.child(self.trees[actor], (trigger, id), at, &(call.clone(), answer.clone()));
        let (pools, scene, tree) = (&self.explorer.pools, self.scene, self.tree(actor));
        let Node { answers, unread, .. } = tree.node(at);
        let taken = Taken { actor, call, unread, answers };
        let began = tree.node(child).answers.began();
        let is_failed = call.is_write() && matches!(answer, Answer::Failed | Answer::Lost);
        let noted = |mut after: Kept, ended: Option<&Ended>, is_over: bool| {
            after.is_last_hint_failed |= is_failed && began == Some(LAST_HINT) && scene.carries_on(actor);
            giving::note_giving(scene, &taken, (before, &mut after), (ended, is_alone), pools);
            note_undoing(*kind, &taken, (before, &mut after), pools);
            let result = ended.filter(|_| is_over).map(|ended| ended.result);
            killing::note_call(scene, (&taken, &answer), (before, &mut after), (pools, result));
            after.is_overtaken |= is_overtaking;
            after
        };
        let ended = tree.node(child).next.as_ref().ok();
        let is_over = !tree.failed(child);
        let killed = (may_be_killed && ended.is_some()).then(|| {
            let mut killed = noted(after.clone(), None, false);
            let answers = answers.and(call.clone(), answer.clone());
            killing::note_killing(&mut killed, scene, actor, &answers, pools);
            killed
        });
        let for_good = ended.and_then(|ended| ended.for_good);
        let mut after = for_good.into_iter().fold(after, Kept::for_good);
        if let Some(ended) = ended.filter(|_| !is_over) {
            scene.note_told(&mut after, &ended.told);
        }
        let after = noted(after, ended.map(|ended| &**ended), is_over).seen_with(self.limits.lag);
        let why = |what| Exception::of_step(what, &BrokenByStep { scene, taken, after: &after, pools });
        let wrong = scene.check_step(taken, before, &after, pools).into_iter().map(|what| (what, why(what))).collect();
        let killed = killed.map(|killed| self.keep(killed));
        let is_compared = call.is_write() && self.limits.is_reduced;
        let changed = if is_compared { Shown::changed(before, &after) } else { Rc::new([]) };
        Answered { answer, is_failure, kept: self.keep(after), at: child, killed, changed, wrong }
    }

    /// Whether this call deletes the record that another hint is about to look at again. It may look at the record of an expiry
    /// before.
    fn is_overtaking(&self, state: &State, actor: usize, call: &Call) -> bool {
        let Some(name) = self.explorer.pools.deletes_copy_record(call) else { return false };
        let looks = |other| {
            let Node { answers, next, .. } = self.tree(other).node(state.at[other]);
            let has_written = answers.steps_done(&self.explorer.pools).next().is_some();
            let has_read = has_written && answers.to(|call| *call == Call::Schedule(name)).next().is_some();
            let is_look = |call: &Call| matches!(call, Call::Names(_) | Call::Schedule(_)) && has_read;
            next.as_ref().is_err_and(|calls| calls.contains(&Call::LookAgain(name)) || calls.iter().all(is_look))
        };
        (0..self.scene.actors.len()).filter(|other| *other != actor).any(looks)
    }
}
