//! Owns how the rest of an audit or repair that nobody waits for is sent on its way.

use serde_json::json;
use sharing::{
    domain::{AccountId, Requester},
    outcome::Outcome,
    report,
};
use tokio::time::Instant;
use triggers::{REQUEST_DETAIL_TYPE, Trigger};

use crate::aws::{Aws, BusEvent};

/// Sends the rest of a survey that nobody waits for on its way: the same request, with where it goes on, from the
/// same source on the bus that this function listens to.
///
/// By the bus and not by a queue of its own, because Lambda stops a function that sends itself messages through
/// SQS after about sixteen rounds: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
pub(super) async fn go_on(
    aws: &Aws,
    request_bus: Option<&str>,
    account: AccountId,
    outcome: &mut Outcome,
    until: Instant,
) {
    let Some(place) = &outcome.next_token else { return };
    let by_hand = format!(
        "images after {} were not looked at: send the request again with this `nextToken`; it goes on by itself where \
         AMI_SHARE_REQUEST_BUS is set and an event of this account asked, from a source by which the function's role \
         may put events there",
        place.after
    );
    let source = outcome.requester.as_ref().and_then(|requester| own_source(requester, account));
    let (Some(bus), Some(source)) = (request_bus, source) else {
        outcome.warnings.push(by_hand);
        return;
    };
    let mut rest = json!({"action": outcome.action, "nextToken": place, "dryRun": outcome.dry_run});
    if let (Some(reason), Some(rest)) = (&outcome.reason, rest.as_object_mut()) {
        rest.insert("reason".to_owned(), json!(reason));
    }
    let event = BusEvent { source: source.to_owned(), detail_type: REQUEST_DETAIL_TYPE, detail: rest.to_string() };
    match aws.until(until).put_events(bus, &[event]).await {
        Ok(()) => outcome.continues = true,
        Err(error) if error.failure.retryable => {
            // Then Lambda's retry looks at these images again, and tries to go on again.
            report::fail_late(outcome, error.failure);
        }
        Err(error) => outcome.warnings.extend([by_hand, error.failure.message]),
    }
}

/// The source of an event of this account, by which the rest of its request can be told to come from it too.
fn own_source(requester: &Requester, account: AccountId) -> Option<&str> {
    requester.as_str().strip_prefix(&format!("events:{account}:"))
}

/// Whether nobody waits for the answer who could ask for the rest. What another try may mend comes again as it was, and
/// must not go on twice.
pub(super) fn continues_by_itself(trigger: Trigger, outcome: &Outcome) -> bool {
    !trigger.is_synchronous() && !outcome.retryable
}
