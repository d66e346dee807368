//! Owns the direct door: a bare request document, by anybody who may invoke the function.

use key_policy::json::Json;
use sharing::{domain::Requester, request::Request};

use super::{Door, Invocation, Opened, Sent};

pub(super) fn open(document: &Json, invocation: &Invocation<'_>) -> Opened {
    Opened {
        door: Door::Direct,
        request_id: invocation.request_id.to_owned(),
        requester: Some(Requester::new("lambda:invoke".to_owned())),
        sent: Sent::Now,
        asked: Request::parse(document, invocation.now).map_err(Into::into),
    }
}
