//! Owns the direct trigger: a bare request document, by anybody who may invoke the function.

use key_policy::json::Json;
use sharing::{domain::Requester, request::Request};

use super::{Envelope, Invocation, SentAt, Trigger};

pub(super) fn open(document: &Json, invocation: &Invocation<'_>) -> Envelope {
    Envelope {
        trigger: Trigger::Direct,
        request_id: invocation.request_id.to_owned(),
        requester: Some(Requester::new("lambda:invoke".to_owned())),
        requester_session: None,
        sent: SentAt::Now,
        asked: Request::parse(document, invocation.now).map_err(Into::into),
    }
}
