//! Owns [`Shown`]: what reads may show, and what of it is different after something.

use std::{collections::BTreeSet, rc::Rc};

use crate::{
    kept::{Kept, Shared},
    pool::Word,
    script::{Call, Pools},
};

/// Something that reads may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The clock, the allowlist, and whether the image may be deregistered.
    Beginning,
    /// Which images there are, and how they stand.
    Images,
    /// The image that is copied.
    Source,
    /// Who may launch the image in this slot.
    Launch(u8),
    /// Who may create volumes from its snapshot.
    Copy(u8),
    Grants,
    /// The schedule of this name.
    Schedule(Word),
}

impl Shown {
    /// What reads show differently after something.
    pub(crate) fn changed(before: &Kept, after: &Kept) -> Rc<[Self]> {
        let beginning = |kept: &Kept| (kept.clock, kept.is_withdrawn, kept.may_go);
        let images = |kept: &Kept| kept.images.map(|image| (image.stands, image.order));
        let mut changed = Vec::new();
        changed.extend((beginning(before) != beginning(after)).then_some(Self::Beginning));
        changed.extend((images(before) != images(after)).then_some(Self::Images));
        changed.extend((before.is_source_gone != after.is_source_gone).then_some(Self::Source));
        changed.extend((before.grants != after.grants).then_some(Self::Grants));
        for (slot, (before, after)) in (0..).zip(before.images.iter().zip(&after.images)) {
            let launch = |image: &Shared| (image.stands, image.launch);
            changed.extend((launch(before) != launch(after)).then_some(Self::Launch(slot)));
            changed.extend((before.copy != after.copy).then_some(Self::Copy(slot)));
        }
        let is_same = |name: &Word| before.schedules.get(name) == after.schedules.get(name);
        let names = before.schedules.keys().chain(after.schedules.keys()).filter(|name| !is_same(name));
        let mut names: BTreeSet<_> = names.copied().collect();
        // What reads that lag show.
        let late = [before.schedules_before, after.schedules_before];
        if late[0] != late[1] {
            names.extend(late.iter().flatten().map(|(name, _)| *name));
        }
        changed.extend(names.into_iter().map(Self::Schedule));
        changed.into()
    }

    /// Whether this read shows it.
    pub(crate) fn is_read_by(self, call: &Call, pools: &Pools) -> bool {
        match call {
            Call::Begin => self == Self::Beginning,
            Call::Image | Call::Copies | Call::IsThere(_) => self == Self::Images,
            Call::Source => self == Self::Source,
            Call::Launch(slot) => self == Self::Launch(*slot),
            Call::Copy(slot) => self == Self::Copy(*slot),
            Call::Grants => self == Self::Grants,
            Call::Schedule(name) | Call::LookAgain(name) => self == Self::Schedule(*name),
            Call::Names(prefix) => {
                let prefix = pools.words.get(*prefix);
                matches!(self, Self::Schedule(name) if pools.names.get(name).starts_with(&*prefix))
            }
            Call::CopyImage { .. } | Call::Write { .. } => panic!("this is no read: {call:?}"),
        }
    }
}
