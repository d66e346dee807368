//! Owns what comes after a call: with each answer, what AWS keeps, how far the invocation is, and what is noted of it.

use sharing::plan::Step;

use crate::{
    explore::{Node, Run},
    giving,
    kept::Kept,
    killing,
    kinds::{Actor, LAST_HINT},
    rules::Taken,
    script::{Answer, Call, Ended},
    steps::{Label, Move, State},
    undoing::note_undoing,
};

impl Run<'_> {
    /// Every answer to a call.
    pub(crate) fn answers(&mut self, state: &State, actor: usize, call: &Call, moves: &mut Vec<Move>) {
        let kept = self.explorer.kept[state.kept as usize].clone();
        if *call == Call::Begin && kept.clock < self.scene.actors[actor].not_before {
            return;
        }
        let mut answers: Vec<_> = kept
            .answers(call, &self.explorer.pools, self.limits.lag)
            .into_iter()
            .map(|(after, answer)| (after, answer, *state))
            .collect();
        let is_copy = matches!(call, Call::CopyImage { .. });
        let is_write = call.is_write();
        if is_write && state.faults > 0 {
            let to = State { faults: state.faults - 1, ..*state };
            answers.extend(answers.clone().into_iter().map(|(after, ..)| (after, Answer::Lost, to)));
            answers.extend(is_copy.then(|| ((*kept).clone(), Answer::Refused, to)));
            answers.push(((*kept).clone(), Answer::Failed, to));
        } else if !is_write && *call != Call::Begin && state.reads > 0 {
            let to = State { reads: state.reads - 1, ..*state };
            answers.extend([Answer::Failed, Answer::Refused].map(|answer| ((*kept).clone(), answer, to)));
        }
        for (after, answer, to) in answers {
            self.answered(&to, actor, (call, &answer), (&kept, after), moves);
        }
    }

    /// The steps to what AWS keeps after this answer: the invocation goes on, or has ended, or is killed before it says so.
    fn answered(
        &mut self,
        state: &State,
        actor: usize,
        (call, answer): (&Call, &Answer),
        (before, after): (&Kept, Kept),
        moves: &mut Vec<Move>,
    ) {
        let Actor { trigger, id, kind, .. } = &self.scene.actors[actor];
        let at = state.at[actor];
        let child = self.explorer.child(self.trees[actor], (trigger, id), at, &(call.clone(), answer.clone()));
        let is_overtaking = self.is_overtaking(state, actor, call);
        let mut others = (0..self.scene.actors.len()).filter(|other| *other != actor);
        let is_alone = !others.any(|other| self.tree(other).is_running(state.at[other]));
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
            killing::note_call(scene, (&taken, answer), (before, &mut after), (pools, result));
            after.is_overtaken |= is_overtaking;
            after
        };
        let ended = tree.node(child).next.as_ref().ok();
        let is_over = !tree.failed(child);
        let may_be_killed = call.is_write() && ended.is_some() && state.crashes > 0;
        let killed = may_be_killed.then(|| {
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
        let after = noted(after, ended.map(|ended| &**ended), is_over);
        let killed = killed.map(|killed| self.keep(killed));
        let mut to = State { kept: self.keep(after), owed: state.owed & !(1 << actor), ..*state };
        to.at[actor] = child;
        let step = Move::new(state, to, Label::Calls(actor, call.clone(), answer.clone()));
        if let Some(kept) = killed {
            let mut to = State { kept, crashes: state.crashes - 1, owed: self.owed_after(state, actor), ..to };
            to.at[actor] = 0;
            moves.push(Move::new(state, to, Label::Crashes(actor)).after(Some(step.path.clone())));
        }
        moves.push(step);
    }

    /// Whether this call deletes the record that another hint is about to look at again. It may look at the record of an expiry
    /// before.
    fn is_overtaking(&self, state: &State, actor: usize, call: &Call) -> bool {
        let Call::Write { step, .. } = call else { return false };
        let Step::DeleteCopyRecord { name, .. } = &*self.explorer.pools.steps.get(*step) else { return false };
        let name = self.explorer.pools.names.put(&name.to_string());
        let looks = |other| {
            let Node { answers, next, .. } = self.tree(other).node(state.at[other]);
            let has_written = answers.steps_done(&self.explorer.pools).next().is_some();
            let has_read = has_written && answers.to(|call| *call == Call::Schedule(name)).next().is_some();
            let is_look = |call: &Call| matches!(call, Call::Names | Call::Schedule(_)) && has_read;
            next.as_ref().is_err_and(|calls| calls.contains(&Call::LookAgain(name)) || calls.iter().all(is_look))
        };
        (0..self.scene.actors.len()).filter(|other| *other != actor).any(looks)
    }
}
