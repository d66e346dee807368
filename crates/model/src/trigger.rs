//! Owns [`Trigger`]: what begins an invocation.

use sharing::{domain::Requester, records::RecordName, request::Request};

/// What begins an invocation.
#[derive(Debug, Clone)]
pub enum Trigger {
    /// A request of this requester.
    Request(Box<Request>, Requester),
    /// The image in this slot became available.
    Available(usize),
    /// The hint of a record.
    Due(RecordName),
    /// EC2's event of the copy in this slot.
    Copied(usize),
}

impl Trigger {
    /// Whether somebody asks for a share to be taken back.
    pub fn takes_away(&self) -> bool {
        matches!(self, Self::Request(request, _) if request.action.takes_away())
    }
}
