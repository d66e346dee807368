//! Owns what is noted of shares that are undone after their second look: why, and how the record went that they had. With
//! this it is said exactly what is known not to hold.

use sharing::{plan::Step, records::RecordName};

use crate::{
    kept::Kept,
    kinds::Kind,
    scenes::Taken,
    script::{Answer, Answers, Call, Pools},
    world::{ONE, SLOTS},
};

/// How the record of a share that waited for a copy was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// By a hint that saw that its target may launch the copy.
    FoundNothing,
    /// By a hint that did not see that.
    GivenUp,
    /// By a request for the same share.
    Replaced,
    /// By a request that takes the share back.
    Taken,
}

/// Why something was undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Undone {
    /// A record could not be read again.
    Unread,
    /// There was no record any more. Of a share that waited for a copy, how it was deleted.
    Lost(Option<Ending>),
    /// The same of a grant that was perhaps there before, because the share could not list the grants.
    LostUnlisted(Option<Ending>),
}

/// Notes what this call undoes, or which record it deletes.
pub fn note_undoing(
    kind: Kind,
    (taken, answers): (&Taken<'_>, &Answers),
    (before, after): (&Kept, &mut Kept),
    pools: &Pools,
) {
    let Call::Write { step, .. } = taken.call else { return };
    let step = pools.steps.get(*step);
    if let Step::DeleteCopyRecord { name, .. } = &*step {
        let name = pools.names.put(&RecordName::Copy(name.clone()).to_string());
        if before.schedules.contains_key(&name) {
            after.endings.insert(name, ending(kind, answers));
        }
    }
    let is_undoing = kind.shares() && !step.removes().is_empty();
    let why = is_undoing.then(|| why(&step, taken, answers, before));
    let (had, has) = (had_by_target(before), had_by_target(after));
    for place in (0..3).filter(|place| had[*place] != has[*place]) {
        after.undone[place] = why.filter(|_| had[place]);
        after.by_rule[place] = has[place] && kind == Kind::Available;
    }
}

/// Whether the target that requests are about has a launch permission, a create volume permission and a grant of any image.
pub fn had_by_target(kept: &Kept) -> [bool; 3] {
    let has = |is_it: fn(&Kept, usize) -> bool| (0..SLOTS).any(|slot| is_it(kept, slot));
    [
        has(|kept, slot| kept.images[slot].launch.now & ONE != 0),
        has(|kept, slot| kept.images[slot].copy.now & ONE != 0),
        has(|kept, slot| kept.grants.now[slot][0] != 0),
    ]
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
fn why(step: &Step, taken: &Taken<'_>, answers: &Answers, before: &Kept) -> Undone {
    let looks = answers.to(|call| matches!(call, Call::LookAgain(_)));
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
