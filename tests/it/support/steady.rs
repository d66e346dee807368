//! Owns what a busy machine means for a case with a deadline: one that failed while others kept the processors from it
//! shows nothing, and is played again.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How often it is looked whether the machine goes on.
const TICK: Duration = Duration::from_millis(20);

/// What lost so much time says nothing by failing.
const TOO_MUCH: Duration = Duration::from_millis(300);

/// So often a case is played before its failure counts in any case.
const PLAYS: usize = 5;

/// Plays a case. Where it fails on a steady machine, or every time, it failed.
#[track_caller]
pub fn steadily(case: impl Fn()) {
    for play in 1..=PLAYS {
        let (lost, end) = watched(|| catch_unwind(AssertUnwindSafe(&case)));
        let Err(panic) = end else { return };
        if lost < TOO_MUCH || play == PLAYS {
            resume_unwind(panic);
        }
        println!("the machine stood still for {lost:?}: played again");
    }
}

/// How much later than they wanted a sleeper's awakenings came, together, while something was done.
fn watched<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut lost = Duration::ZERO;
            while !is_over.load(Ordering::SeqCst) {
                let begun = Instant::now();
                thread::sleep(TICK);
                // Some of it is how exactly a sleep ends.
                lost += begun.elapsed().saturating_sub(2 * TICK);
            }
            lost
        });
        let done = work();
        is_over.store(true, Ordering::SeqCst);
        (watch.join().unwrap(), done)
    })
}

#[test]
fn a_failure_on_a_steady_machine_is_one_and_a_pass_is_final() {
    let plays = std::cell::Cell::new(0);
    steadily(|| plays.set(plays.get() + 1));
    assert_eq!(plays.get(), 1);
    // However busy the machine is, a case that always fails fails.
    let failure = catch_unwind(|| steadily(|| panic!("as ever")));
    assert_eq!(failure.unwrap_err().downcast_ref(), Some(&"as ever"));
}
