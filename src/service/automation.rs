//! Owns what happens without anybody asking: images share themselves when they become available, shares expire.

use std::collections::BTreeMap;

use sharing::{
    allowlist::{Allowlist, Loaded, Rule},
    decide::{self, Authority, Question},
    domain::{AccountId, ImageId, Target, rfc3339},
    facts::{ImageState, Recorded},
    outcome::{ErrorCode, Outcome, Status},
    request::{Access, Action, AskedTarget, Parameters, Request},
};
use time::OffsetDateTime;
use tokio::time::Instant;
use triggers::{Available, ExpiryHint, SentAt};

use super::{Context, Service, error, failed};

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
        if let Some(region) = available.region.as_deref().filter(|region| *region != context.function.region()) {
            let warning = format!("the event is about an image in {region}; only those of this Region count");
            return Outcome { warnings: vec![warning], ..outcome };
        }
        if available.account != context.function.account() {
            let warning =
                format!("the event is about an image of account {}; only this account's own count", available.account);
            return Outcome { warnings: vec![warning], ..outcome };
        }
        let usable = self.allowlist.load_for(Action::Share, &self.aws, context.now, deadline).await;
        let Loaded { allowlist, .. } = match usable {
            Ok(usable) => usable,
            Err(error) => return failed(outcome, error),
        };
        let rules: Vec<_> = allowlist
            .rules
            .iter()
            .filter(|rule| {
                rule.on_available && rule.requesters.iter().any(|pattern| pattern.matches(&available.requester))
            })
            .collect();
        if rules.is_empty() {
            return outcome;
        }
        if let Some(stale) = available.sent.refusal(Action::Share, context.now, self.max_event_age) {
            return Outcome { result: Status::Refused, refusals: vec![stale], ..outcome };
        }
        let aws = self.aws.until(deadline);
        let image = match aws.describe_images(std::slice::from_ref(image_id)).await {
            Ok(mut described) => described.remove(image_id).map(|described| described.image),
            Err(error) => return failed(outcome, error.row),
        };
        // An event can be there before what EC2 says of the image: it comes again.
        let image = match image {
            None => {
                return failed(
                    outcome,
                    error(ErrorCode::NotFound, "EC2 does not know the image yet, or no more", true),
                );
            }
            Some(image) if image.state == ImageState::Pending => {
                return failed(
                    outcome,
                    error(ErrorCode::Unavailable, "EC2 says that the image is pending still", true),
                );
            }
            Some(image) => image,
        };
        // By the event's time, so that the same event again has the same expiry time.
        let since = match available.sent {
            SentAt::At(sent) => sent.min(context.now),
            SentAt::Now | SentAt::Again | SentAt::Unknown => context.now,
        };
        let rules: Vec<_> =
            rules.into_iter().filter(|rule| rule.images.include(image.name.as_deref(), &image.tags)).collect();
        let mut total = outcome.clone();
        for request in requests(&rules, image_id, image.owner, since) {
            let authority = Authority::Requester(&available.requester);
            let question = self.question(&request, authority, &allowlist, context);
            let question = Question { is_automatic: true, ..question };
            total.absorb(Box::pin(self.pursue(question, context, deadline, outcome.clone())).await);
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
            Err(error) => return failed(outcome, error.row),
        };
        if !decide::is_due(&expiry, context.now) {
            return nothing(outcome, format!("the share expires at {}; nothing is due yet", rfc3339(expiry.at)));
        }
        let request = Request {
            targets: vec![AskedTarget { target: expiry.target.clone(), pointer: String::new() }],
            dry_run,
            ..bare(Action::Revoke, expiry.image_id.clone())
        };
        let nobody = Allowlist { accounts: BTreeMap::new(), rules: Vec::new() };
        let question = self.question(&request, Authority::Expiry(&expiry), &nobody, context);
        Box::pin(self.pursue(question, context, deadline, outcome)).await
    }
}

/// What the rules about an image share by themselves. A target that several give the image to has it for the longest of
/// their times; the owner has it anyway.
fn requests(rules: &[&Rule], image_id: &ImageId, owner: AccountId, since: OffsetDateTime) -> Vec<Request> {
    let is_for_longer = |one: &Rule, other: &Rule| match (one.max_duration, other.max_duration) {
        (None, Some(_)) => true,
        (Some(one), Some(other)) => one > other,
        (_, None) => false,
    };
    let outlasts = |rule: &Rule, target: &Target| {
        rules.iter().any(|other| is_for_longer(other, rule) && other.targets.contains(target))
    };
    let of_rule = |rule: &&Rule| {
        let targets =
            rule.targets.iter().filter(|target| **target != Target::Account(owner) && !outlasts(rule, target));
        requests_of(rule, targets.cloned().collect(), image_id, since)
    };
    rules.iter().flat_map(of_rule).collect()
}

/// What a rule shares with these by itself. Only accounts can be let copy, so organizations get what EC2 can give them.
fn requests_of(rule: &Rule, targets: Vec<Target>, image_id: &ImageId, since: OffsetDateTime) -> Vec<Request> {
    let (accounts, groups): (Vec<_>, Vec<_>) = targets.into_iter().partition(|target| target.account().is_some());
    let expires_at = rule.max_duration.and_then(|longest| since.checked_add(longest));
    let asked = |targets: Vec<Target>| -> Vec<AskedTarget> {
        targets.into_iter().map(|target| AskedTarget { target, pointer: String::new() }).collect()
    };
    let share = |targets: Vec<Target>, access, roles| Request {
        targets: asked(targets),
        access,
        service_linked_roles: roles,
        expires_at,
        reason: Some("the image became available".to_owned()),
        ..bare(Action::Share, image_id.clone())
    };
    let parts =
        [share(accounts, rule.access, rule.service_linked_roles.clone()), share(groups, Access::Launch, Vec::new())];
    parts.into_iter().filter(|request| !request.targets.is_empty()).collect()
}

fn bare(action: Action, image_id: ImageId) -> Request {
    Request {
        action,
        image_ids: vec![image_id],
        targets: Vec::new(),
        group: None,
        access: Access::Launch,
        service_linked_roles: Vec::new(),
        expires_at: None,
        copy_from: None,
        next_token: None,
        dry_run: false,
        reason: None,
        parameters: Parameters::default(),
    }
}
