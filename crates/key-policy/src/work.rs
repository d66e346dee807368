//! Owns counters that tests use to show that the work is bounded. It exists only in tests.

use std::cell::Cell;

thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
    static STATEMENTS: Cell<usize> = const { Cell::new(0) };
}

/// Counts one step of the matcher.
pub(super) fn count_step() {
    STEPS.set(STEPS.get().saturating_add(1));
}

/// Counts one statement evaluated for one call.
pub(super) fn count_statement() {
    STATEMENTS.set(STATEMENTS.get().saturating_add(1));
}

/// The steps that the matcher takes during `work`.
pub(super) fn steps_of<T>(work: impl FnOnce() -> T) -> usize {
    let before = STEPS.get();
    work();
    STEPS.get().saturating_sub(before)
}

/// The statements that are evaluated for calls during `work`.
pub(super) fn statements_of<T>(work: impl FnOnce() -> T) -> usize {
    let before = STATEMENTS.get();
    work();
    STATEMENTS.get().saturating_sub(before)
}
