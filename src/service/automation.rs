//! Owns what happens without anybody asking: images share themselves when they become available, shares expire.

use std::collections::BTreeMap;

use sharing::{
    allowlist::{Allowlist, Loaded},
    decide::{self, Authority, Case},
    facts::Recorded,
    outcome::{Outcome, Status},
    report::failed,
    request::Action,
};
use tokio::time::Instant;
use triggers::{Available, ExpiryHint};

use super::{Context, Service};

impl Service {
    /// Shares an image that became available as the rules with `onAvailable` say.
    pub(super) async fn share_available(
        &self,
        available: &Available,
        context: &Context<'_>,
        deadline: Instant,
    ) -> Outcome {
        let outcome = Outcome {
            action: Some(Action::Share),
            requester: Some(available.requester.clone()),
            ..Outcome::new(&available.request_id, Status::Completed)
        };
        let Some(image_id) = &available.image_id else { return outcome };
        let own = (context.function.account(), context.function.region());
        if let Some(warning) = decide::not_ours((available.account, available.region.as_deref()), own) {
            return Outcome { warnings: vec![warning], ..outcome };
        }
        let usable = self.allowlist.load_for(Action::Share, &self.aws, context.now, deadline).await;
        let Loaded { allowlist, .. } = match usable {
            Ok(usable) => usable,
            Err(error) => return failed(outcome, error),
        };
        let rules = decide::automatic_rules(&allowlist, &available.requester);
        if rules.is_empty() {
            return outcome;
        }
        if let Some(stale) = available.sent.refusal(Action::Share, context.now, self.max_event_age) {
            return Outcome { result: Status::Refused, refusals: vec![stale], ..outcome };
        }
        let aws = self.aws.until(deadline);
        let image = match aws.describe_images(std::slice::from_ref(image_id)).await {
            Ok(mut described) => described.remove(image_id),
            Err(error) => return failed(outcome, error.failure),
        };
        let since = available.sent.since(context.now);
        let requests = match decide::automatic_shares(&rules, image_id, image.as_ref(), since) {
            Ok(requests) => requests,
            Err(failure) => return failed(outcome, failure),
        };
        let mut total = outcome.clone();
        for request in requests {
            let authority = Authority::Requester(&available.requester);
            let case = self.case(&request, authority, &allowlist, context);
            let case = Case { is_automatic: true, ..case };
            total.absorb(Box::pin(self.pursue(case, context, deadline, outcome.clone())).await);
        }
        total
    }

    /// Takes a share away whose recorded expiry is due. The event is only a hint.
    pub(super) async fn expire(
        &self,
        hint: &ExpiryHint,
        dry_run: bool,
        context: &Context<'_>,
        deadline: Instant,
    ) -> Outcome {
        let outcome =
            Outcome { action: Some(Action::Revoke), dry_run, ..Outcome::new(&hint.request_id, Status::Completed) };
        let nothing = |outcome: Outcome, why: String| Outcome { warnings: vec![why], ..outcome };
        let name = &hint.record;
        let Some(schedules) = self.schedules(context) else {
            return nothing(outcome, "this deployment has no records, so no share expires here".to_owned());
        };
        let expiry = match self.aws.until(deadline).expiry(&schedules, name).await {
            Ok(Recorded::Expiry(expiry)) => expiry,
            Ok(Recorded::Nothing) => return nothing(outcome, format!("there is no record {name}; nothing is due")),
            Ok(Recorded::Nobodys { why }) => {
                let warning = format!("{name} is nobody's record ({why}); nothing is done because of it");
                let nobodys_records = BTreeMap::from([(name.clone(), why)]);
                return nothing(Outcome { nobodys_records, ..outcome }, warning);
            }
            Err(error) => return failed(outcome, error.failure),
        };
        let request = match decide::due(&expiry, context.now, dry_run) {
            Ok(request) => request,
            Err(why) => return nothing(outcome, why),
        };
        let nobody = Allowlist { accounts: BTreeMap::new(), rules: Vec::new() };
        let case = self.case(&request, Authority::Expiry(&expiry), &nobody, context);
        Box::pin(self.pursue(case, context, deadline, outcome)).await
    }
}
