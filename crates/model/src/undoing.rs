//! Owns what is noted of shares that are undone after their second look: why, and how the record went that they had. With
//! this it is said exactly what is known not to hold.

use sharing::{plan::Step, records::RecordName};

use crate::{
    kept::{Ending, Kept, Undone, had_by_target},
    kinds::Kind,
    rules::Taken,
    script::{Answer, Answers, Call, Pools},
    world::ONE,
};

/// Notes what this call undoes, or which record it deletes.
pub fn note_undoing(kind: Kind, taken: &Taken<'_>, (before, after): (&Kept, &mut Kept), pools: &Pools) {
    let Call::Write { step, .. } = taken.call else { return };
    let step = pools.steps.get(*step);
    if let Step::DeleteCopyRecord { name, .. } = &*step {
        let name = pools.names.put(&RecordName::Copy(name.clone()).to_string());
        if before.schedules.contains_key(&name) {
            after.endings.insert(name, ending(kind, taken.answers));
        }
    }
    let is_undoing = kind.shares() && !step.removes().is_empty();
    let why = is_undoing.then(|| why(&step, taken, before));
    let (had, has) = (had_by_target(before), had_by_target(after));
    for place in (0..3).filter(|place| had[*place] != has[*place]) {
        after.undone[place] = why.filter(|_| had[place]);
    }
}

fn ending(kind: Kind, answers: &Answers) -> Ending {
    let mut permissions = answers.to(|call| matches!(call, Call::Launch(_))).map(|(_, answer)| answer);
    match kind {
        kind if kind.takes_away() => Ending::Taken,
        kind if kind.gives() => Ending::Replaced,
        _ if permissions.any(|seen| matches!(seen, Answer::Targets(seen) if seen & ONE != 0)) => Ending::FoundNothing,
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
        ending if is_unlisted => Undone::LostUnlisted(ending),
        ending => Undone::Lost(ending),
    }
}
