//! Owns which scenes there are: every set of kinds, with each state before.

use crate::scenes::{Before, Kind, Scene};

/// Every scene in which the given number of invocations run at the same time. The same kind may run more than once.
pub fn scenes(size: usize) -> impl Iterator<Item = Scene> {
    sets(size).into_iter().flat_map(|kinds| Before::ALL.map(|before| Scene::new(&kinds, before)))
}

fn sets(size: usize) -> Vec<Vec<Kind>> {
    let further = |set: Vec<Kind>| {
        let first = set.last().map_or(0, |last| Kind::ALL.iter().position(|kind| kind == last).unwrap_or_default());
        Kind::ALL[first..].iter().map(move |kind| [set.clone(), vec![*kind]].concat())
    };
    (0..size).fold(vec![Vec::new()], |sets, _| sets.into_iter().flat_map(further).collect())
}
