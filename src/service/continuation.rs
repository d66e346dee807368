//! Owns how an audit or repair continues by itself if no caller waits for it.

use serde_json::json;
use sharing::{
    domain::{AccountId, Requester},
    outcome::Outcome,
    report,
    request::Request,
};
use tokio::time::Instant;
use triggers::{REQUEST_DETAIL_TYPE, Trigger};

use crate::aws::{Aws, BusEvent};

/// Continues a survey that no caller waits for: puts the same request with the `nextToken` on the bus for requests,
/// from the same source.
///
/// It uses the bus and not a queue, because Lambda stops a function that sends itself messages through SQS after about
/// sixteen rounds: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
pub(super) async fn continue_survey(
    aws: &Aws,
    (request_bus, account): (Option<&str>, AccountId),
    (request, requester): (&Request, &Requester),
    outcome: &mut Outcome,
    until: Instant,
) {
    let Some(place) = &outcome.next_token else { return };
    let by_hand = format!(
        "images after {} were not audited: send the request again with this `nextToken`. It continues by itself if \
         AMI_SHARE_REQUEST_BUS is set and the request is an event of this account, from a source that the function's \
         role may use on that bus",
        place.after
    );
    let (Some(bus), Some(source)) = (request_bus, own_source(requester, account)) else {
        outcome.warnings.push(by_hand);
        return;
    };
    let mut rest = json!({"action": request.action, "nextToken": place, "dryRun": request.dry_run});
    if let Some(rest) = rest.as_object_mut() {
        rest.extend(request.reason.as_ref().map(|reason| ("reason".to_owned(), json!(reason))));
        rest.extend(request.rows.then(|| ("rows".to_owned(), json!(true))));
    }
    let event = BusEvent { source: source.to_owned(), detail_type: REQUEST_DETAIL_TYPE, detail: rest.to_string() };
    match aws.until(until).put_events(bus, &[event]).await {
        Ok(()) => outcome.continues = true,
        Err(error) if error.failure.retryable => {
            // Then Lambda's retry audits these images again, and tries again to continue.
            report::fail_late(outcome, error.failure);
        }
        Err(error) => outcome.warnings.extend([by_hand, error.failure.message]),
    }
}

/// The source of an event of this account. The event that continues the request gets the same source.
fn own_source(requester: &Requester, account: AccountId) -> Option<&str> {
    requester.as_str().strip_prefix(&format!("events:{account}:"))
}

/// Whether the survey continues by itself: no caller waits who could send the `nextToken`. A retryable outcome does
/// not: Lambda or the queue sends the whole request again, and it must not continue twice.
pub(super) fn continues_by_itself(trigger: Trigger, outcome: &Outcome) -> bool {
    !trigger.is_synchronous() && !outcome.retryable
}
