//! Owns how the time of a request is divided: reading, writing, and the second look.

use std::time::Duration;

use sharing::request::Action;
use tokio::time::Instant;

/// The time for the writes of an action that has few: a repair, whose rate-limited reads take long, and `usage`.
const FEW_WRITES: Duration = Duration::from_secs(4);

/// The longest time of the second look, which includes undoing the share.
const SECOND_LOOK: Duration = Duration::from_secs(6);

/// The part of that time that is kept for undoing the share.
const TAKING_BACK: Duration = Duration::from_secs(2);

/// When reading must be over.
pub(super) fn reading_deadline(action: Action, deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline.checked_sub(for_writing(action, left)).unwrap_or(deadline)
}

/// When the writes of a share must be over if it needs a second look.
pub(super) fn giving_deadline(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    let kept = left.checked_div(3).unwrap_or_default().min(SECOND_LOOK);
    deadline.checked_sub(kept).unwrap_or(deadline)
}

/// When the reads of the second look must be over.
pub(super) fn looking_deadline(deadline: Instant) -> Instant {
    deadline.checked_sub(TAKING_BACK).unwrap_or(deadline)
}

/// The part of the remaining time that is kept for writes. It is a third if the action writes: a revoke must be able to
/// write even if its reads take too long.
fn for_writing(action: Action, left: Duration) -> Duration {
    let third = left.checked_div(3).unwrap_or_default();
    match action {
        Action::Share | Action::Revoke | Action::Reset => third,
        Action::Usage | Action::Repair => third.min(FEW_WRITES),
        Action::List
        | Action::Check
        | Action::Audit
        | Action::Images
        | Action::Approvals
        | Action::Approve
        | Action::Reject => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_leaves_time_for_the_writes() {
        for (action, left, expect) in
            [(Action::Revoke, 24, 8), (Action::Repair, 24, 4), (Action::Repair, 6, 2), (Action::Audit, 24, 0)]
        {
            let kept = for_writing(action, Duration::from_secs(left));
            assert_eq!(kept.as_millis(), Duration::from_secs(expect).as_millis(), "{action:?} with {left} s");
        }
    }
}
