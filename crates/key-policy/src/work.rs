//! Owns the count of the work done, by which tests show that it stays bounded. It exists in tests only.

use std::cell::Cell;

thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
    static STATEMENTS: Cell<usize> = const { Cell::new(0) };
}

/// Counts one step of the matcher.
pub(super) fn count_step() {
    STEPS.set(STEPS.get().saturating_add(1));
}

/// Counts one statement put to one call.
pub(super) fn count_statement() {
    STATEMENTS.set(STATEMENTS.get().saturating_add(1));
}

/// How many steps the matcher takes meanwhile.
pub(super) fn steps_of<T>(work: impl FnOnce() -> T) -> usize {
    let before = STEPS.get();
    work();
    STEPS.get().saturating_sub(before)
}

/// How many statements are put to calls meanwhile.
pub(super) fn statements_of<T>(work: impl FnOnce() -> T) -> usize {
    let before = STATEMENTS.get();
    work();
    STATEMENTS.get().saturating_sub(before)
}
