//! Owns what is noted of approvals: by which the share was made, and whether it was taken back since.

use sharing::{outcome::Status, plan::Step};

use crate::{
    kept::{Kept, had_by_target},
    rules::Taken,
    scenes::{Before, Scene},
    script::{Ended, Pools},
};

/// Notes what this call means. `ended` is how the invocation has ended with it, and `is_alone` whether nothing else runs.
pub fn note_giving(
    scene: &Scene,
    taken: &Taken<'_>,
    (before, after): (&Kept, &mut Kept),
    (ended, is_alone): (Option<&Ended>, bool),
    pools: &Pools,
) {
    if !scene.is_about(Before::is_about_approvals) && !scene.is_about(Before::is_about_both) {
        return;
    }
    let kind = scene.actors[taken.actor].kind;
    let asks = || if kind.approves() { scene.requests_of(taken.answers, pools) } else { 0 };
    if gives(before, after) {
        after.given |= asks();
        after.is_taken = false;
    }
    // A share that undoes itself was not made.
    let undoes = |step: &Step| matches!(step, Step::RemoveLaunchPermissions { .. });
    if kind.shares() && taken.step(pools).is_some_and(|step| undoes(&step)) {
        after.given &= !asks();
    }
    after.is_taken |= is_alone && kind.takes_away() && ended.is_some_and(|ended| ended.result == Status::Completed);
}

/// Whether the target that requests are about is given a launch permission.
pub fn gives(before: &Kept, after: &Kept) -> bool {
    had_by_target(after)[0] && !had_by_target(before)[0]
}
