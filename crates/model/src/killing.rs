//! Owns how [`Killed`](crate::killed::Killed) is noted.

use sharing::{
    domain::ExpiryName,
    outcome::Status,
    plan::Step,
    records::{Record, RecordName},
};

use crate::{
    kept::{Kept, Shared, had_by_target, listed},
    kinds::{Kind, LAST_HINT},
    requests::ended,
    rules::Taken,
    scenes::Scene,
    script::{Answer, Answers, Call, Pools, Stands},
    world::{self, ONE, SLOTS},
};

/// Notes that this invocation is killed, which has got these answers.
pub fn note_killing(kept: &mut Kept, scene: &Scene, actor: usize, answers: &Answers, pools: &Pools) {
    let kind = scene.actors[actor].kind;
    let done: Vec<_> = answers.steps_done(pools).collect();
    let gave = |place| done.iter().any(|step| gives(step, place));
    note_gifts(kept, actor, gave);
    let bit = 1 << actor;
    let requests = scene.requests_of(answers, pools);
    let killed = &mut kept.killed;
    killed.is_made |= kind.is_hint() && (0..3).any(gave);
    if kind.is_hint() && done.iter().any(|step| !step.removes().is_empty() && ended(step).is_none()) {
        killed.undoing |= requests;
    }
    let is_decision = |step: &Step| matches!(step, Step::DeleteApproval(RecordName::Decision(_)));
    if kind.approves() && gave(0) && !done.iter().any(|step| is_decision(step)) {
        killed.approved |= requests;
    }
    if answers.to(|_| true).any(|(_, answer)| matches!(answer, Answer::Begun(_))) {
        killed.begun |= bit;
    }
    let is_ask = |step: &Step| matches!(step, Step::CreateApproval(record) if matches!(**record, Record::Ask(_)));
    if done.iter().any(|step| is_ask(step)) {
        killed.asked |= 2 << actor;
    }
    let ending = std::mem::take(&mut killed.ending[actor]);
    killed.unheard |= ending;
    killed.is_replaced |= ending != 0 && kind.gives();
    if done.iter().any(|step| matches!(**step, Step::DeleteExpiry { .. })) {
        killed.deleted |= bit;
    }
}

/// Notes what was given by this invocation, which is sent again.
fn note_gifts(kept: &mut Kept, actor: usize, gave: impl Fn(usize) -> bool) {
    let has = had_by_target(kept);
    for place in (0..3).filter(|place| has[*place] && gave(*place)) {
        kept.killed.gave[place] = Some(u8::try_from(actor).unwrap());
    }
}

/// Notes that this invocation is sent again after AWS had failed it.
pub fn note_again(kept: &mut Kept, scene: &Scene, actor: usize, answers: &Answers, pools: &Pools) {
    let done: Vec<_> = answers.steps_done(pools).collect();
    note_gifts(kept, actor, |place| done.iter().any(|step| gives(step, place)));
    let ending = std::mem::take(&mut kept.killed.ending[actor]);
    if done.iter().any(|step| matches!(**step, Step::DeleteApproval(RecordName::Ask(_)))) {
        kept.killed.unheard |= ending;
    }
    let was_undone = kept.undone.iter().any(Option::is_some);
    let may_have_given = |(call, answer): (&Call, &Answer)| {
        let Call::Write { step, .. } = call else { return false };
        let step = pools.steps.get(*step);
        matches!(answer, Answer::Done(_) | Answer::Lost) && (0..3).any(|place| gives(&step, place))
    };
    kept.killed.is_made |=
        scene.actors[actor].kind.is_hint() && (was_undone || answers.to(|_| true).any(may_have_given));
}

/// Notes what this call means, and how the invocation has ended with it, unless it is sent again.
pub fn note_call(
    scene: &Scene,
    (taken, answer): (&Taken<'_>, &Answer),
    (before, after): (&Kept, &mut Kept),
    (pools, ended_as): (&Pools, Option<Status>),
) {
    let kind = scene.actors[taken.actor].kind;
    note_removal(before, after);
    let can_copy = |kept: &Kept| kept.images[0].copy.now & ONE;
    after.killed.is_missed &= can_copy(before) == can_copy(after);
    if let Some(step) = taken.step(pools) {
        note_step(scene, (taken, answer, &step), (before, after), pools);
    }
    note_answer(kind, (taken, answer), (before, after), pools);
    note_late_look(taken, answer, (before, after), pools);
    let Some(result) = ended_as else { return };
    after.killed.ending[taken.actor] = 0;
    if kind.takes_away() && result == Status::Completed {
        let seen = match (taken.call, answer) {
            (Call::Copies, Answer::Copies(seen)) => Some(seen),
            _ => taken.answers.last_seen(),
        };
        let is_live = |slot: &usize| seen.is_some_and(|seen| seen[*slot].0.is_live());
        after.killed.seen |= bits((0..SLOTS).filter(is_live));
    }
}

/// Notes what is not there any more.
pub fn note_removal(before: &Kept, after: &mut Kept) {
    let (had, has) = (had_by_target(before), had_by_target(after));
    for place in (0..3).filter(|place| had[*place] && !has[*place]) {
        after.killed.gave[place] = None;
        after.killed.shown_late[place] = false;
    }
}

/// Notes what this step means.
fn note_step(
    scene: &Scene,
    (taken, answer, step): (&Taken<'_>, &Answer, &Step),
    (before, after): (&Kept, &mut Kept),
    pools: &Pools,
) {
    let (kind, killed) = (scene.actors[taken.actor].kind, &mut after.killed);
    let is_made = || taken.answers.steps_done(pools).any(|step| gives(&step, 0));
    let (is_approved, is_unfinished) = match answer {
        Answer::Failed => (
            matches!(step, Step::DeleteApproval(_)) && is_made(),
            matches!(step, Step::DeleteApproval(RecordName::Ask(_))),
        ),
        Answer::Lost => (gives(step, 0), gives(step, 0) || matches!(step, Step::CreateCopyRecord(_))),
        _ => (false, false),
    };
    if kind.approves() && is_approved {
        killed.approved |= scene.requests_of(taken.answers, pools);
    }
    let is_last = taken.answers.began() == Some(LAST_HINT) && scene.carries_on(taken.actor);
    killed.is_last_unfinished |= is_last && is_unfinished;
    let is_deleted = before.schedules.len() > after.schedules.len();
    if let Some(name) = ended(step).filter(|_| is_deleted) {
        let word = pools.names.put(&name.to_string());
        let there = before.schedules[&word];
        let request = scene.bit_of_record(&pools.record(word, there));
        let mut read = taken.answers.to(|call| *call == Call::Schedule(word)).map(|(_, answer)| answer);
        if !read.any(|answer| *answer == Answer::Schedule(Some(there))) {
            killed.replaced |= request & !(2 << taken.actor);
        }
        if *answer == Answer::Lost {
            killed.unheard |= request;
        }
        killed.ending[taken.actor] |= request;
        let is_refused =
            |(call, answer): (&Call, &Answer)| matches!(call, Call::CopyImage { .. }) && *answer == Answer::Refused;
        if !before.is_source_gone && taken.answers.to(|_| true).any(is_refused) {
            killed.refused |= 1 << taken.actor;
        }
    }
    match step {
        Step::CreateCopyRecord(record) if *answer != Answer::Failed => {
            let name = pools.names.put(&RecordName::Copy(record.name.clone()).to_string());
            killed.is_written_anew |= before.endings.contains_key(&name);
        }
        Step::CreateExpiry(expiry) => killed.taken &= !slot_of_record(&expiry.name),
        Step::DeleteExpiry { name, .. } if is_deleted => {
            let slot = slot_of_record(name);
            killed.taken = if kind.takes_away() { killed.taken | slot } else { killed.taken & !slot };
        }
        _ => {}
    }
}

/// Notes what this answer means: that a copy was begun, or what a read showed.
fn note_answer(kind: Kind, (taken, answer): (&Taken<'_>, &Answer), (before, after): (&Kept, &mut Kept), pools: &Pools) {
    let (images, killed) = (&after.images, &mut after.killed);
    match (taken.call, answer) {
        (Call::CopyImage { .. }, _) if taken.answers.to(is_look).any(|(_, answer)| *answer == Answer::Is(false)) => {
            let is_new = |slot: &usize| images[*slot].order != before.images[*slot].order;
            killed.begun_again |= bits((1..SLOTS).filter(is_new));
        }
        (Call::Copy(slot), Answer::Targets(seen)) if kind == Kind::Reset && killed.deleted & 1 << taken.actor != 0 => {
            killed.is_missed |= images[usize::from(*slot)].copy.now & !seen & ONE != 0;
        }
        (Call::Copies, Answer::Copies(seen)) if kind.takes_away() => {
            let is_late = |(image, (stands, _)): (&Shared, &(Stands, _))| {
                image.stands.now == Stands::Available && *stands == Stands::Pending
            };
            let has_deleted = taken.answers.steps_done(pools).any(|step| ended(&step).is_some());
            let late = images.iter().zip(seen).enumerate().filter(|(_, seen)| has_deleted && is_late(*seen));
            killed.seen_late |= bits(late.map(|(slot, _)| slot));
        }
        _ => {}
    }
}

/// The bits of these slots.
fn bits(slots: impl Iterator<Item = usize>) -> u8 {
    slots.fold(0, |bits, slot| bits | 1 << slot)
}

/// The bit of the slot of the image that this record of an expiry is about.
fn slot_of_record(name: &ExpiryName) -> u8 {
    let is_of = |slot: &usize| name.as_str().starts_with(&ExpiryName::image_prefix(&world::id_of(*slot)));
    bits((0..SLOTS).filter(is_of))
}

/// Whether it is the look after CopyImage.
fn is_look(call: &Call) -> bool {
    matches!(call, Call::IsThere(slot) if *slot > 0)
}

/// Whether this step gives the launch permission, the create volume permission or the grant.
fn gives(step: &Step, place: usize) -> bool {
    match step {
        Step::AddLaunchPermissions { .. } => place == 0,
        Step::AddCreateVolumePermissions { .. } => place == 1,
        Step::CreateGrant { .. } => place == 2,
        _ => false,
    }
}

/// Notes if Scheduler shows something else than there is to an invocation that has written something.
fn note_late_look(taken: &Taken<'_>, answer: &Answer, (before, after): (&Kept, &mut Kept), pools: &Pools) {
    let (is_shown, is_hidden) = match (taken.call, answer) {
        (Call::Names(prefix), Answer::Names(seen)) => {
            let there = listed(&before.schedules, *prefix, pools);
            (seen.iter().any(|name| !there.contains(name)), there.iter().any(|name| !seen.contains(name)))
        }
        (Call::Schedule(name) | Call::LookAgain(name), Answer::Schedule(seen)) => {
            let is_there = before.schedules.contains_key(name);
            (seen.is_some() && !is_there, seen.is_none() && is_there)
        }
        _ => return,
    };
    if taken.answers.to(Call::is_write).next().is_none() {
        return;
    }
    if is_hidden {
        after.killed.hidden_late |= 1 << taken.actor;
    }
    if is_shown {
        let has = had_by_target(before);
        let gave = |place| has[place] && taken.answers.steps_done(pools).any(|step| gives(&step, place));
        let has_begun = taken.answers.to(|_| true).any(|(_, answer)| matches!(answer, Answer::Begun(_)));
        let shown = [gave(0), gave(1), gave(2), has_begun];
        for (shown_late, shown) in after.killed.shown_late.iter_mut().zip(shown) {
            *shown_late |= shown;
        }
    }
}
