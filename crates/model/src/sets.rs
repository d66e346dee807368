//! Owns which scenes there are: every set of kinds, with each state before.

use crate::{
    kinds::Kind,
    scenes::{Before, Scene},
};

/// Every scene in which the given number of invocations run at the same time. The same kind may run more than once.
pub fn scenes(size: usize) -> impl Iterator<Item = Scene> {
    all(size, &Kind::ALL, &Before::ALL)
}

/// The same, where the image may be deregistered.
pub fn deregistrations(size: usize) -> impl Iterator<Item = Scene> {
    scenes(size).map(|scene| Scene { may_go: true, ..scene })
}

/// The same about approvals of an image that may be deregistered.
pub fn approvals_of_one_that_may_go(size: usize) -> impl Iterator<Item = Scene> {
    approvals(size).map(|scene| Scene { may_go: true, ..scene })
}

/// The same about copies.
pub fn copies(size: usize) -> impl Iterator<Item = Scene> {
    all(size, &Kind::COPIES, &Before::COPIES)
}

/// The same about copies whose shares may expire.
pub fn copies_until(size: usize) -> impl Iterator<Item = Scene> {
    all(size, &Kind::COPIES_UNTIL, &Before::COPIES_UNTIL)
}

/// The same about approvals.
pub fn approvals(size: usize) -> impl Iterator<Item = Scene> {
    all(size, &Kind::APPROVALS, &Before::APPROVALS)
}

/// The hint of an expiry or of an ask, which may come too early, with each other kind.
pub fn early() -> impl Iterator<Item = Scene> {
    let pairs = |kinds: &'static [Kind], early, before: &'static [Before]| {
        kinds.iter().flat_map(move |kind| before.iter().map(move |before| Scene::new(&[*kind, early], *before)))
    };
    let of_the_image = pairs(&Kind::ALL, Kind::EarlyExpire, &Before::ALL);
    of_the_image.chain(pairs(&Kind::APPROVALS, Kind::EarlyLapse, &Before::APPROVALS))
}

/// The same about copies that need an approval.
pub fn approved_copies(size: usize) -> impl Iterator<Item = Scene> {
    all(size, &Kind::APPROVED_COPIES, &Before::APPROVED_COPIES)
}

/// The same about copies that need an approval, where a share of the same copy that needs none crosses it, or is there before.
pub fn copies_and_approvals(size: usize) -> impl Iterator<Item = Scene> {
    let others = &Kind::UNAPPROVED_COPIES;
    let has_approval = |kinds: &[Kind]| kinds.iter().any(|kind| kind.needs_approval());
    let has_other = |kinds: &[Kind]| kinds.iter().any(|kind| others.contains(kind));
    let sets = sets(size, &[&Kind::APPROVED_COPIES[..], others].concat()).into_iter();
    sets.flat_map(move |kinds| {
        let is_crossed = |before: &Before| {
            // Of three without an approval there would be too many states.
            let is_about_both = has_approval(&kinds) || size < 3 && before.is_approved_and_waits();
            has_other(&kinds) && is_about_both
        };
        let crossed = Before::APPROVED_COPIES.into_iter().filter(is_crossed).map(|before| Scene::new(&kinds, before));
        let asks = if has_approval(&kinds) { &Before::ASKS_FOR_COPIES[..] } else { &[] };
        let beside = asks.iter().map(|before| Scene::new(&kinds, *before).beside(Before::CopyUntil));
        crossed.chain(beside).collect::<Vec<_>>()
    })
}

/// Where at least one is about an approval of a share that expires, and the others about that or about the image.
pub fn approvals_until(size: usize) -> impl Iterator<Item = Scene> {
    let kinds = [&Kind::ALL[..], &Kind::APPROVALS_UNTIL].concat();
    let mut sets = sets(size, &kinds);
    sets.retain(|set| set.iter().any(|kind| Kind::APPROVALS_UNTIL.contains(kind)));
    from_both(sets, [&Before::ALL, &Before::APPROVALS_UNTIL])
}

/// The same where some are about the image and some about approvals, from every state of both.
pub fn image_and_approvals(size: usize) -> impl Iterator<Item = Scene> {
    crossed(size, [&Kind::ALL, &Kind::APPROVALS], [&Before::ALL, &Before::APPROVALS])
}

/// The scenes of two families: of several kinds some are of the first, and some are of the other alone.
fn crossed(
    size: usize,
    [one, other]: [&[Kind]; 2],
    [before, beside]: [&'static [Before]; 2],
) -> impl Iterator<Item = Scene> {
    let further = other.iter().filter(|kind| !one.contains(kind));
    let kinds: Vec<_> = one.iter().chain(further).copied().collect();
    let mut sets = sets(size, &kinds);
    let is_of_one = |kind: &Kind| one.contains(kind);
    sets.retain(|set| size == 1 || set.iter().any(is_of_one) && !set.iter().all(is_of_one));
    from_both(sets, [before, beside])
}

/// The scenes of these sets, from every state of two families.
fn from_both(sets: Vec<Vec<Kind>>, [before, beside]: [&'static [Before]; 2]) -> impl Iterator<Item = Scene> {
    let states = before.iter().flat_map(|before| beside.iter().map(move |beside| (*before, *beside)));
    let scene = |kinds: &[Kind], (before, beside)| Scene::new(kinds, before).beside(beside);
    sets.into_iter().flat_map(move |kinds| states.clone().map(move |states| scene(&kinds, states)))
}

fn all(size: usize, kinds: &'static [Kind], before: &'static [Before]) -> impl Iterator<Item = Scene> {
    sets(size, kinds).into_iter().flat_map(|kinds| before.iter().map(move |before| Scene::new(&kinds, *before)))
}

fn sets(size: usize, kinds: &[Kind]) -> Vec<Vec<Kind>> {
    let further = |set: Vec<Kind>| {
        let first = set.last().map_or(0, |last| kinds.iter().position(|kind| kind == last).unwrap_or_default());
        kinds[first..].iter().map(move |kind| [set.clone(), vec![*kind]].concat())
    };
    (0..size).fold(vec![Vec::new()], |sets, _| sets.into_iter().flat_map(further).collect())
}
