//! Owns [`Killed`]: what is noted of invocations that are killed, whose answers are lost, or that read what is not so any more.
//! With this it is said exactly what is known not to hold.

/// The number of invocations that run at the same time, at most.
pub const MOST: usize = 3;

/// What is noted of invocations that were disturbed. AWS doesn't keep this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Killed {
    /// Of the launch permission, the create volume permission and the grant of the target that requests are about: the place
    /// of the invocation that was killed or failed after it had given it, while it is there.
    pub gave: [Option<u8>; 3],
    /// Whether a hint was sent again, after a crash or a failed call, that had given something, or had undone it.
    pub is_made: bool,
    /// The requests whose share a hint had begun to undo when it was killed, as bits.
    pub undoing: u8,
    /// The requests whose approval was killed after it had made the share, and before it deleted the decision; or could not delete
    /// it, or did not get the answer to the launch permission; as bits.
    pub approved: u8,
    /// The invocations that were killed after they had begun a copy, as bits.
    pub begun: u8,
    /// The invocations to which AWS has refused to begin a copy of an image that is there, and that have deleted the record of the
    /// share because of that, as bits.
    pub refused: u8,
    /// The requests that were killed after they had asked for an approval, as bits. Sent again, they may ask anew.
    pub asked: u8,
    /// Whether a request for a share was killed after it had deleted the record of an earlier one.
    pub is_replaced: bool,
    /// The requests whose record was deleted by an invocation that was killed after that, did not get the answer, or could not
    /// delete the decision, as bits.
    pub unheard: u8,
    /// The requests whose record was deleted by an invocation that had read an earlier one of the same name, as bits.
    pub replaced: u8,
    /// Whether a request has written a record under a name that another invocation had deleted.
    pub is_written_anew: bool,
    /// Whether a reset that was killed after it had deleted a record did not see the create volume permission that is there.
    pub is_missed: bool,
    /// The copies that the last look of something that takes back showed as pending when they were available, as bits of their
    /// slots.
    pub seen_late: u8,
    /// Of the launch permission, the create volume permission and the grant of the target that requests are about: whether an
    /// invocation had given it to which a second look then showed a record that was gone, while it is there; and of a copy that it
    /// had begun.
    pub shown_late: [bool; 4],
    /// The invocations to which a second look did not show a record that was there, as bits.
    pub hidden_late: u8,
    /// The copies that were begun because another one had failed before its request looked whether it was there, as bits of their
    /// slots.
    pub begun_again: u8,
    /// Whether the last hint of a decision got no answer to its launch permission, or could not delete the ask.
    pub is_last_unfinished: bool,
    /// The images, as bits of their slots, whose last record of an expiry was deleted by a request that takes back.
    pub taken: u8,
    /// The invocations that were killed after they had deleted the record of an expiry, as bits.
    pub deleted: u8,
    /// Of each invocation under way, the requests whose record it has deleted, as bits.
    pub ending: [u8; MOST],
    /// The copies that a complete request that takes back has last seen, as bits of their slots.
    pub seen: u8,
}
