//! Owns the proof that the reduced exploration finds as much as every interleaving of invocations that forget nothing.

use std::collections::BTreeSet;

use model::{
    explore::{Explorer, Limits},
    kinds::Kind,
    planted::Planted,
    scenes::{Before, Scene},
    search::Explored,
};

use crate::{LAG, QUIET};

/// What runs at once, what there is before, and what may go wrong.
const SETS: [(&[Kind], &[Before], Limits); 18] = [
    (&[Kind::ShareUntil, Kind::Revoke], &Before::ALL, Limits { crashes: 1, lag: LAG, ..QUIET }),
    (&[Kind::Available, Kind::Reset], &Before::ALL, Limits { reads: 1, ..QUIET }),
    (&[Kind::Renew, Kind::Expire], &Before::ALL, Limits { faults: 1, ..QUIET }),
    (&[Kind::ShareCopy, Kind::Tick], &Before::COPIES, Limits { events: 1, ..QUIET }),
    (&[Kind::Tick, Kind::RevokeCopy], &Before::COPIES, Limits { crashes: 1, ..QUIET }),
    (&[Kind::Copied, Kind::LateTick], &Before::COPIES, Limits { lag: LAG, ..QUIET }),
    (&[Kind::Approve, Kind::Reject], &Before::APPROVALS, Limits { crashes: 1, faults: 1, ..QUIET }),
    (&[Kind::CarryOn, Kind::Revoke], &Before::APPROVALS, Limits { crashes: 1, reads: 1, ..QUIET }),
    (&[Kind::Tick, Kind::LateTick], &[Before::Copied], Limits { crashes: 1, ..QUIET }),
    (&[Kind::ShareCopy, Kind::LastTick], &[Before::Waits, Before::Failed], Limits { faults: 1, ..QUIET }),
    (&[Kind::ShareUntil, Kind::Revoke, Kind::Available], &[Before::SharedUntil], QUIET),
    (&[Kind::Approve, Kind::CarryOn, Kind::Reject], &[Before::Asked], Limits { crashes: 1, ..QUIET }),
    (&[Kind::Tick, Kind::RevokeCopy], &[Before::Copied], Limits { reads: 1, ..QUIET }),
    (&[Kind::TickUntil, Kind::RevokeCopy], &[Before::CopiedUntil], Limits { reads: 1, ..QUIET }),
    (&[Kind::ApproveCopy, Kind::CarryOnCopy], &[Before::CopyApproved], Limits { faults: 1, ..QUIET }),
    (&[Kind::ApproveUntil, Kind::RejectUntil], &[Before::AskedUntil], Limits { crashes: 1, ..QUIET }),
    (&[Kind::ShareCopyUntil, Kind::TickOfApproved], &[Before::ApprovedCopied], Limits { crashes: 1, ..QUIET }),
    (&[Kind::Copied, Kind::Tick, Kind::RevokeCopy], &[Before::Copied], QUIET),
];

/// The same where the image and an approval cross.
const CROSSING: [([Kind; 2], [Before; 2], Limits); 3] = [
    ([Kind::Revoke, Kind::Approve], [Before::SharedUntil, Before::Asked], Limits { crashes: 1, ..QUIET }),
    ([Kind::ShareUntil, Kind::CarryOn], [Before::Unshared, Before::Approved], Limits { reads: 1, ..QUIET }),
    ([Kind::ApproveCopy, Kind::RevokeCopy], [Before::CopyAsked, Before::CopyUntil], Limits { crashes: 1, ..QUIET }),
];

#[test]
fn it_comes_to_every_end_to_which_all_orders_of_calls_come() {
    let sets = SETS.map(|(kinds, before, limits)| {
        (before.iter().map(|before| Scene::new(kinds, *before)).collect::<Vec<_>>(), limits)
    });
    let crossing =
        CROSSING.map(|(kinds, [before, beside], limits)| (vec![Scene::new(&kinds, before).beside(beside)], limits));
    for (scenes, limits) in sets.into_iter().chain(crossing) {
        let mut ends = 0;
        for scene in &scenes {
            let explored = |is_reduced| {
                let new = if is_reduced { Explorer::new } else { Explorer::that_forgets_nothing };
                let limits = Limits { is_reduced, ..limits };
                let (Explored { found, known, .. }, ends) = new(Planted::Nothing).ends(scene, limits);
                assert_eq!(found, None, "{}, {limits:?}", scene.name());
                (ends, known.into_keys().collect::<BTreeSet<_>>())
            };
            let all = explored(false);
            assert!(explored(true) == all, "{}, {limits:?}", scene.name());
            ends += all.0.len();
        }
        assert!(ends > 20, "{}: {ends} ends", scenes[0].name());
    }
}
