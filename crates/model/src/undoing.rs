//! Owns what is noted of shares that are undone after their second look: why, and how the record went that they had. With
//! this it is said exactly what is known not to hold.

use sharing::{plan::Step, records::RecordName};

use crate::{
    kept::{Ending, Kept, Undone, had_by_target},
    kinds::Kind,
    pool::Word,
    rules::Taken,
    scenes::{Before, Scene},
    script::{Answer, Answers, Call, Pools, Stands},
    world::{ONE, SLOTS},
};

/// Forgets why shares of copies are undone, given up or missing, where a revoke or a reset runs: no rule asks for it there. What
/// became of an ask, and of the share of another target, must still be told.
pub fn forget_why_it_is_missing(kept: &mut Kept, scene: &Scene) {
    let is_about_copies = scene.before.is_about_copies() || scene.before.is_about_both();
    if !is_about_copies || !scene.has(Kind::takes_away) {
        return;
    }
    (kept.undone, kept.is_overtaken, kept.given_up_late) = Default::default();
    let (has_asks, has_other) = (scene.before.is_about_both(), scene.before == Before::BothWait);
    let killed = &mut kept.killed;
    (killed.is_made, killed.begun, killed.refused, killed.hidden_late) = Default::default();
    (killed.is_replaced, killed.is_written_anew, killed.deleted) = Default::default();
    if !has_asks {
        killed.replaced = 0;
    }
    if !has_asks && !has_other {
        (killed.undoing, killed.unheard, killed.ending) = Default::default();
    }
}

/// Notes what this call undoes, or which record it deletes.
pub fn note_undoing(kind: Kind, taken: &Taken<'_>, (before, after): (&Kept, &mut Kept), pools: &Pools) {
    let Call::Write { step, .. } = taken.call else { return };
    let step = pools.steps.get(*step);
    if let Step::DeleteCopyRecord { name, .. } = &*step {
        let name = pools.names.put(&RecordName::Copy(name.clone()).to_string());
        if let Some(there) = before.schedules.get(&name) {
            let overlooked = if kind.is_hint() { overlooked(taken.answers, (name, *there), before) } else { 0 };
            after.given_up_late |= overlooked;
            after.endings.insert(name, ending(kind, taken, overlooked != 0));
        }
    }
    let is_undoing = kind.shares() && !step.removes().is_empty();
    let why = is_undoing.then(|| why(&step, taken, before));
    let (had, has) = (had_by_target(before), had_by_target(after));
    for place in (0..3).filter(|place| had[*place] != has[*place]) {
        after.undone[place] = why.filter(|_| had[place]);
    }
}

/// The copies that are there, and that this invocation did not see, as bits of their slots; or every one, if it deletes another
/// record than it has read.
fn overlooked(answers: &Answers, (name, there): (Word, Word), before: &Kept) -> u8 {
    let mut read = answers.to(|call| *call == Call::Schedule(name)).map(|(_, answer)| answer);
    let is_another = !read.any(|answer| *answer == Answer::Schedule(Some(there)));
    // Without a look at the copies it gave the share up for another reason.
    let is_unseen = |slot: usize| answers.last_seen().is_some_and(|seen| !seen[slot].0.is_live());
    let is_live = |slot: usize| before.images[slot].stands.now.is_live();
    let overlooked = (1..SLOTS).filter(|slot| is_another || is_live(*slot) && is_unseen(*slot));
    overlooked.fold(0, |bits, slot| bits | 1 << slot)
}

fn ending(kind: Kind, taken: &Taken<'_>, is_overlooked: bool) -> Ending {
    let seen = taken.answers.last_seen();
    let is_available = seen.is_some_and(|seen| seen.iter().any(|(stands, _)| *stands == Stands::Available));
    let mut permissions = taken.answers.to(|call| matches!(call, Call::Launch(_))).map(|(_, answer)| answer);
    let is_failed =
        |(call, answer): (&Call, &Answer)| call.is_write() && matches!(answer, Answer::Failed | Answer::Lost);
    let has_failed = taken.answers.to(|_| true).any(is_failed);
    match kind {
        kind if kind.takes_away() => Ending::Taken,
        kind if kind.gives() || kind.approves() => Ending::Replaced,
        _ if taken.unread.lacks_a_second_look() => Ending::Unread,
        _ if permissions.any(|seen| matches!(seen, Answer::Targets(seen) if seen & ONE != 0)) => Ending::FoundNothing,
        _ if is_overlooked => Ending::Overlooked,
        _ if is_available && !taken.unread.lacks_something() && !has_failed => Ending::Refused,
        _ => Ending::GivenUp,
    }
}

/// Why this step of a share undoes something.
fn why(step: &Step, taken: &Taken<'_>, before: &Kept) -> Undone {
    let looks = taken.answers.to(|call| matches!(call, Call::LookAgain(_)));
    let lost = looks.filter_map(|(call, answer)| match (call, answer) {
        (Call::LookAgain(name), Answer::Schedule(None)) => before.endings.get(name).copied(),
        _ => None,
    });
    let lost: Vec<_> = lost.collect();
    let is_unlisted = matches!(step, Step::RevokeGrant { .. }) && taken.unread.lacks_grants();
    match lost.first().copied() {
        _ if taken.unread.lacks_a_record() => Undone::Unread,
        _ if before.killed.hidden_late & 1 << taken.actor != 0 => Undone::Hidden,
        ending if is_unlisted => Undone::LostUnlisted(ending),
        ending => Undone::Lost(ending),
    }
}
