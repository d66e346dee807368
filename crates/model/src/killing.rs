//! Owns how [`Killed`](crate::killed::Killed) is noted.

use sharing::{plan::Step, records::RecordName};

use crate::{
    kept::{Kept, had_by_target},
    kinds::Kind,
    rules::Taken,
    script::{Answer, Answers, Call, Pools, Stands},
    world::ONE,
};

/// Notes that this invocation is killed, which has got these answers.
pub fn note_killing(kept: &mut Kept, actor: usize, kind: Kind, answers: &Answers, pools: &Pools) {
    let done: Vec<_> = answers.steps_done(pools).collect();
    let gave = |place| done.iter().any(|step| gives(step, place));
    note_gifts(kept, actor, gave);
    let bit = 1 << actor;
    let killed = &mut kept.killed;
    killed.is_made |= kind.is_hint() && (0..3).any(gave);
    killed.is_undoing |= kind.is_hint() && done.iter().any(|step| !step.removes().is_empty() && !is_ending(step));
    let is_decision = |step: &Step| matches!(step, Step::DeleteApproval(RecordName::Decision(_)));
    killed.is_approved |= kind.approves() && gave(0) && !done.iter().any(|step| is_decision(step));
    killed.is_begun |= answers.to(|_| true).any(|(_, answer)| matches!(answer, Answer::Begun(_)));
    killed.is_unheard |= killed.ending & bit != 0;
    killed.is_replaced |= killed.ending & bit != 0 && kind.gives();
    killed.ending &= !bit;
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
pub fn note_again(kept: &mut Kept, actor: usize, kind: Kind, answers: &Answers, pools: &Pools) {
    note_gifts(kept, actor, |place| answers.steps_done(pools).any(|step| gives(&step, place)));
    let is_ask = |step: &Step| matches!(step, Step::DeleteApproval(RecordName::Ask(_)));
    kept.killed.is_unheard |= answers.steps_done(pools).any(|step| is_ask(&step));
    let was_undone = kept.undone.iter().any(Option::is_some);
    kept.killed.is_made |= kind.is_hint() && was_undone;
}

/// Notes what this call means, and whether the invocation has ended with it.
pub fn note_call(
    kind: Kind,
    (taken, answer): (&Taken<'_>, &Answer),
    (before, after): (&Kept, &mut Kept),
    (pools, has_ended): (&Pools, bool),
) {
    let bit = 1 << taken.actor;
    let (had, has) = (had_by_target(before), had_by_target(after));
    for place in (0..3).filter(|place| had[*place] && !has[*place]) {
        after.killed.gave[place] = None;
    }
    let (images, killed) = (&after.images, &mut after.killed);
    let step = taken.step(pools);
    let is_made = || taken.answers.steps_done(pools).any(|step| gives(&step, 0));
    killed.is_approved |= kind.approves()
        && step.as_deref().is_some_and(|step| match answer {
            Answer::Failed => matches!(step, Step::DeleteApproval(_)) && is_made(),
            Answer::Lost => gives(step, 0),
            _ => false,
        });
    let is_deleted = before.schedules.len() > after.schedules.len();
    if is_deleted && step.is_some_and(|step| is_ending(&step)) {
        killed.is_unheard |= *answer == Answer::Lost;
        killed.ending |= bit;
    }
    match (taken.call, answer) {
        (Call::IsThere(slot), Answer::Is(false)) if *slot > 0 => killed.is_failed_at_once = true,
        (Call::Copy(slot), Answer::Targets(seen)) if kind == Kind::Reset && killed.deleted & bit != 0 => {
            killed.is_missed |= images[usize::from(*slot)].copy.now & !seen & ONE != 0;
        }
        (Call::Copies, Answer::Copies(seen)) if kind.takes_away() => {
            let is_late = |(image, (stands, _)): (&crate::kept::Shared, &(Stands, _))| {
                image.stands.now == Stands::Available && *stands == Stands::Pending
            };
            let has_deleted = taken.answers.steps_done(pools).any(|step| is_ending(&step));
            killed.is_seen_late |= has_deleted && images.iter().zip(seen).any(is_late);
        }
        _ => {}
    }
    note_late_look(taken, answer, (before, after));
    let killed = &mut after.killed;
    if has_ended {
        killed.ending &= !bit;
    }
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

/// Whether this step ends the waiting of a share or an ask.
fn is_ending(step: &Step) -> bool {
    matches!(step, Step::DeleteCopyRecord { .. } | Step::DeleteApproval(_))
}

/// Notes if Scheduler shows something else than there is to an invocation that has written something.
fn note_late_look(taken: &Taken<'_>, answer: &Answer, (before, after): (&Kept, &mut Kept)) {
    let (is_shown, is_hidden) = match (taken.call, answer) {
        (Call::Names, Answer::Names(seen)) => (
            seen.iter().any(|name| !before.schedules.contains_key(name)),
            before.schedules.keys().any(|name| !seen.contains(name)),
        ),
        (Call::Schedule(name) | Call::LookAgain(name), Answer::Schedule(seen)) => {
            let is_there = before.schedules.contains_key(name);
            (seen.is_some() && !is_there, seen.is_none() && is_there)
        }
        _ => return,
    };
    if taken.answers.to(Call::is_write).next().is_some() {
        after.killed.is_shown_late |= is_shown;
        after.killed.is_hidden_late |= is_hidden;
    }
}
