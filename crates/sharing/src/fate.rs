//! Owns what becomes of a share that waits after an attempt to make it: [`CopyFate`] for one that waits for its copy, and
//! [`ApprovalFate`] for one that was approved. Pure; `execute::copies` and `execute::approvals` write what follows.

use time::OffsetDateTime;

use crate::{
    attempt::Attempt,
    facts::{CopyRecord, Failure},
    outcome::{ErrorCode, RefusalCode, Status},
    records::{ApprovalDecision, Ask},
};

/// What becomes of a share that waits for its copy, after the attempt of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFate {
    /// It is given up: its record is deleted, and who asked learns why.
    GiveUp,
    /// Nothing has changed, and nothing is said.
    SayNothing,
    /// The next hint tries again, and nobody learns of this attempt.
    TryAgain,
    /// Who asked learns how it went.
    Tell,
}

/// What becomes of a share that waits for its copy, after the attempt of a hint. One that has waited for as long as it may
/// is given up whatever is in its way, so that nobody waits for it in vain. What passes is waited for as long as the record
/// sends hints.
pub fn of_copy(attempt: &Attempt, record: &CopyRecord, now: OffsetDateTime) -> CopyFate {
    let is_overdue = record.is_overdue(now);
    let is_last = !attempt.may_succeed_later() || record.is_looked_at_last(now);
    let is_over = attempt.is_done() || ends_waiting(attempt, record, is_overdue);
    match attempt.result {
        _ if is_overdue && is_last && !is_over => CopyFate::GiveUp,
        Status::Completed | Status::Accepted | Status::Planned if !attempt.is_changed => CopyFate::SayNothing,
        Status::Refused | Status::Failed if !is_over => CopyFate::TryAgain,
        Status::Completed
        | Status::Accepted
        | Status::Planned
        | Status::Refused
        | Status::Failed
        | Status::Incomplete => CopyFate::Tell,
    }
}

/// Whether the share waits no longer although it was not made. If its record was gone when it was looked at again, nothing is
/// left to give up: a record of that name that is there now is that of a later request for the same share.
fn ends_waiting(attempt: &Attempt, record: &CopyRecord, is_overdue: bool) -> bool {
    let is_lost = |failure: &Failure| {
        failure.code == ErrorCode::ExpiryLost && failure.resource.as_deref() == Some(record.name.as_str())
    };
    attempt.refusals.iter().any(|refusal| refusal.ends_waiting(is_overdue))
        || attempt.failures.iter().any(|failure| failure.code.ends_waiting() || is_lost(failure))
        || attempt.deleted.contains(&record.name)
}

/// What becomes of the records of a share that was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalFate {
    /// The decision is deleted, because the present rules require other approvers. The ask goes on waiting.
    AskAgain,
    /// Both stay, and the next hint tries again.
    TryAgain {
        /// Whether who asked learns of this attempt, because it has changed something.
        is_told: bool,
    },
    /// The decision is deleted, because its time is over. The ask goes on waiting.
    EndDecision,
    /// Both are deleted.
    EndBoth,
}

/// What becomes of the records of a share that was approved, after an attempt to make it.
pub fn of_approval(attempt: &Attempt, ask: &Ask, decision: &ApprovalDecision, now: OffsetDateTime) -> ApprovalFate {
    if attempt.refusals.iter().any(|refusal| refusal.code == RefusalCode::ApprovalNotAllowed) {
        return ApprovalFate::AskAgain;
    }
    match attempt.may_succeed_later() {
        false => ApprovalFate::EndBoth,
        true if !decision.is_ending(now) => ApprovalFate::TryAgain { is_told: attempt.is_changed },
        // No further hint would say that it was tried until the end. The ask goes on waiting while it has time left.
        true if ask.is_lapsed(now) => ApprovalFate::EndBoth,
        true => ApprovalFate::EndDecision,
    }
}
