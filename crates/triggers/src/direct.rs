//! Owns the direct trigger: a request document without an envelope, from anybody who may invoke the function.

use key_policy::json::Json;
use sharing::{decide::SentAt, domain::Requester, request::Request};

use super::envelope::{Envelope, Invocation, Trigger};

pub(super) fn open(document: &Json, invocation: &Invocation<'_>) -> Envelope {
    Envelope {
        trigger: Trigger::Direct,
        request_id: invocation.request_id.to_owned(),
        requester: Some(Requester::new("lambda:invoke".to_owned())),
        sent: SentAt::Now,
        asked: Request::parse(document, invocation.now).map_err(Into::into),
    }
}
