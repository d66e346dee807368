//! Owns [`Killed`]: what is noted of invocations that are killed, whose answers are lost, or that read what is not so any more.
//! With this it is said exactly what is known not to hold.

/// What is noted of invocations that were disturbed. AWS doesn't keep this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Killed {
    /// Of the launch permission, the create volume permission and the grant of the target that requests are about: the place
    /// of the invocation that was killed or failed after it had given it, while it is there.
    pub gave: [Option<u8>; 3],
    /// Whether a hint was sent again that had given something, or had undone it because it could not read its record.
    pub is_made: bool,
    /// Whether a hint was killed after it had begun to undo its share.
    pub is_undoing: bool,
    /// Whether an approval was killed after it had made the share, and before it deleted the decision; or could not delete it, or
    /// did not get the answer to the launch permission.
    pub is_approved: bool,
    /// Whether an invocation was killed after it had begun a copy.
    pub is_begun: bool,
    /// Whether a request for a share was killed after it had deleted the record of an earlier one.
    pub is_replaced: bool,
    /// Whether the record of a share or an ask was deleted by an invocation that was killed after that, did not get the answer,
    /// or could not delete the decision.
    pub is_unheard: bool,
    /// Whether a reset that was killed after it had deleted a record did not see the last create volume permission.
    pub is_missed: bool,
    /// Whether the last look of something that takes back showed a copy as pending that was available.
    pub is_seen_late: bool,
    /// Whether a second look showed a record that was gone.
    pub is_shown_late: bool,
    /// Whether a second look did not show a record that was there.
    pub is_hidden_late: bool,
    /// Whether a copy failed before its request looked whether it was there.
    pub is_failed_at_once: bool,
    /// The invocations that were killed after they had deleted the record of an expiry, as bits.
    pub deleted: u8,
    /// The invocations under way that have deleted the record of a share or an ask, as bits.
    pub ending: u8,
}
