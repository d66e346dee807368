//! Owns the whole story of a request: open the event, admit, observe, decide, plan, carry out, answer.

mod automation;
mod batch;
mod meter;
mod publish;
mod survey;

pub use meter::Meter;

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::Instrument;

use self::meter::Begun;
use crate::{
    allowlist::{Allowlist, Usable, source::Source},
    aws::{Aws, Schedules},
    carry_out::{Tools, carry_out},
    decide::{self, Authority, Question},
    domain::{AccountId, Requester},
    inbound::{self, Arrival, Door, Event, Invocation, InvocationError, Opened, Reply, Sent},
    observe::observe,
    outcome::{ErrorCode, ErrorRow, Outcome, ResultKind},
    plan::plan,
    report,
    request::{Action, Request},
};

/// API Gateway gives up after 29 seconds: <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>
const HTTP_BUDGET: Duration = Duration::from_secs(25);

/// So much of the invocation's time is kept back for answering.
const ANSWER_TIME: Duration = Duration::from_millis(1_000);

/// And of that so much for the way to Lambda, when the outcome was published.
const LAST_MOMENT: Duration = Duration::from_millis(250);

/// What lives as long as the process.
#[derive(Debug)]
pub struct Service {
    /// The AWS clients.
    pub aws: Aws,
    /// Where the allowlist comes from.
    pub allowlist: Source,
    /// How many entities one image may be shared with.
    pub entity_quota: usize,
    /// How old an event may be that asks for a share.
    pub max_event_age: Duration,
    /// Where the ends of shares are written down, if anywhere.
    pub schedules: Option<Schedules>,
    /// The bus on which outcomes are published, if any.
    pub outcome_bus: Option<String>,
    /// The bus on which the function gets requests, if it may put the rest of an audit there.
    pub request_bus: Option<String>,
    /// What tells how often, how long and with what result.
    pub meter: Meter,
}

/// What the Lambda runtime and the clock say of one invocation.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Lambda's id of the invocation.
    pub request_id: &'a str,
    /// The ARN the function was invoked by; its account is the function's own.
    pub function_arn: &'a str,
    /// How much time the invocation has left.
    pub time_left: Duration,
    /// Now.
    pub now: OffsetDateTime,
}

impl Service {
    /// Answers one event.
    pub async fn handle(&self, event: &Event, context: &Context<'_>) -> Result<Reply, InvocationError> {
        let end = end(context);
        let begun = self.meter.begin(&self.aws);
        match inbound::open(event, &Invocation { request_id: context.request_id, now: context.now }) {
            Arrival::One(opened) => {
                let door = opened.door;
                inbound::reply(door, self.settle(*opened, context).await)
            }
            Arrival::Available(available) => {
                let deadline = deadline(Door::EventBridge, context.time_left);
                let share = self.share_available(&available, context, deadline);
                let outcome = Box::pin(share.instrument(span(context, &available.request_id))).await;
                self.answer_nobody(outcome, context, end, begun).await
            }
            Arrival::Due(due) => {
                let deadline = deadline(Door::EventBridge, context.time_left);
                let end_share = self.end_share(&due, false, context, deadline);
                let outcome = Box::pin(end_share.instrument(span(context, &due.request_id))).await;
                self.answer_nobody(outcome, context, end, begun).await
            }
            Arrival::Batch(batch) => Ok(Reply::Document(self.work_off(batch, context).await)),
        }
    }

    /// Publishes, logs and counts what was done without a request.
    async fn answer_nobody(
        &self,
        mut outcome: Outcome,
        context: &Context<'_>,
        end: Instant,
        begun: Begun,
    ) -> Result<Reply, InvocationError> {
        let span = span(context, &outcome.request_id);
        self.publish(&mut outcome, end).instrument(span).await;
        log(&outcome, Door::EventBridge, context);
        self.meter.tell(&self.aws, begun, &outcome, Door::EventBridge, context);
        inbound::reply(Door::EventBridge, outcome)
    }

    /// Makes an outcome of a request, publishes, logs and counts it.
    async fn settle(&self, opened: Opened, context: &Context<'_>) -> Outcome {
        let end = end(context);
        let begun = self.meter.begin(&self.aws);
        let span = span(context, &opened.request_id);
        let Opened { door, request_id, requester, sent, asked } = opened;
        let outcome = Outcome { requester: requester.clone(), ..Outcome::new(request_id, ResultKind::Refused) };
        let mut outcome = match (asked, requester) {
            // On the heap: the states of everything below would nest deeper than the compiler follows.
            (Ok(request), Some(requester)) => {
                let answer = self.answer(&request, &requester, (door, sent), context, outcome);
                Box::pin(answer.instrument(span.clone())).await
            }
            (Ok(_), None) => failed(outcome, not_identified()),
            (Err(turned_away), _) => Outcome { action: turned_away.action, refusals: turned_away.refusals, ..outcome },
        };
        self.publish(&mut outcome, end).instrument(span).await;
        log(&outcome, door, context);
        self.meter.tell(&self.aws, begun, &outcome, door, context);
        outcome
    }

    async fn answer(
        &self,
        request: &Request,
        requester: &Requester,
        (door, sent): (Door, Sent),
        context: &Context<'_>,
        outcome: Outcome,
    ) -> Outcome {
        let mut outcome = Outcome {
            action: Some(request.action),
            dry_run: request.dry_run,
            reason: request.reason.clone(),
            ..outcome
        };
        let (deadline, end) = (deadline(door, context.time_left), end(context));
        let usable = self.allowlist.usable_for(request.action, &self.aws, context.now, deadline).await;
        let Usable { allowlist, warning } = match usable {
            Ok(usable) => usable,
            Err(error) => return failed(outcome, error),
        };
        outcome.warnings.extend(warning);
        let account = match own_account(context.function_arn) {
            Ok(account) => account,
            Err(error) => return failed(outcome, error),
        };
        let question = self.question(request, Authority::Requester(requester), &allowlist, account, context.now);

        let strangers = decide::admit(&question);
        if !strangers.is_empty() {
            return Outcome { result: ResultKind::Refused, refusals: strangers, ..outcome };
        }
        if let Some(stale) = sent.refusal(request.action, context.now, self.max_event_age) {
            return Outcome { result: ResultKind::Refused, refusals: vec![stale], ..outcome };
        }
        if !request.action.surveys() {
            return self.pursue(question, context, deadline, outcome).await;
        }
        let mut outcome = self.survey(question, context, deadline, outcome).await;
        if let (true, Some(place)) = (survey::goes_on_by_itself(door, &outcome), outcome.next_token.clone()) {
            self.go_on(&place, account, &mut outcome, end).await;
        }
        outcome
    }

    /// Everything after it is clear that somebody may ask: observe, decide, plan, carry out, report.
    async fn pursue(
        &self,
        question: Question<'_>,
        context: &Context<'_>,
        deadline: Instant,
        mut outcome: Outcome,
    ) -> Outcome {
        let aws = if question.request.action.surveys() { self.aws.at_leisure() } else { self.aws.clone() };
        let reading = aws.until(match question.request.action {
            // Reading at leisure takes most of the time, and what it is for is a call or two.
            Action::Repair => deadline.checked_sub(Duration::from_secs(4)).unwrap_or(deadline),
            action if action.writes() => reading_deadline(deadline),
            Action::Share | Action::Revoke | Action::Reset | Action::List | Action::Check | Action::Audit => deadline,
        });
        let facts = match observe(&reading, self.schedules.as_ref(), &question).await {
            Ok(facts) => facts,
            Err(error) => return failed(outcome, error),
        };
        let request = match decide::resolve(&question, &facts) {
            Ok(request) => request,
            Err(error) => return failed(outcome, error),
        };
        let request = request.as_ref();
        let question = Question { request, ..question };
        let plans = decide::decide(&question, &facts);
        let is_refused_whole = plans.iter().any(|decision| decision.refuses_whole(request.action));
        let plans: Vec<_> = plans
            .into_iter()
            .map(|decision| {
                let image = facts.images.get(decision.image_id).filter(|_| !is_refused_whole);
                let steps = image.map(|image| plan(&question, &decision, image, &facts)).unwrap_or_default();
                (decision, steps)
            })
            .collect();
        for step in plans.iter().flat_map(|(_, steps)| steps) {
            tracing::info!(
                request.id = outcome.request_id,
                plan.call = step.call(),
                plan.resource = step.resource(),
                plan.grant = step.grant_name().unwrap_or_default(),
                plan.add = ?step.adds().iter().map(ToString::to_string).collect::<Vec<_>>(),
                plan.remove = ?step.removes().iter().map(ToString::to_string).collect::<Vec<_>>(),
                dry_run = request.dry_run,
                "planned {} on {}",
                step.call(),
                step.resource()
            );
        }
        let tools = Tools { aws: &aws, schedules: self.schedules.as_ref(), function_arn: context.function_arn };
        let results = carry_out(tools, plans, request.dry_run, deadline).await;
        report::report(&mut outcome, &question, &facts, results, self.aws.region());
        outcome
    }

    fn question<'a>(
        &self,
        request: &'a Request,
        authority: Authority<'a>,
        allowlist: &'a Allowlist,
        account: AccountId,
        now: OffsetDateTime,
    ) -> Question<'a> {
        let can_end_shares = self.schedules.is_some();
        Question { request, authority, allowlist, account, entity_quota: self.entity_quota, can_end_shares, now }
    }
}

/// What every line of the log says that is written on the way: which invocation, and which request of it.
fn span(context: &Context<'_>, request_id: &str) -> tracing::Span {
    tracing::info_span!("request", lambda.request_id = context.request_id, request.id = request_id)
}

/// When the answer must be on its way to Lambda.
fn end(context: &Context<'_>) -> Instant {
    let left = context.time_left.saturating_sub(LAST_MOMENT);
    Instant::now().checked_add(left).unwrap_or_else(Instant::now)
}

fn deadline(door: Door, time_left: Duration) -> Instant {
    let budget = time_left.saturating_sub(ANSWER_TIME);
    let budget = match door {
        Door::Http { .. } => budget.min(HTTP_BUDGET),
        Door::Direct | Door::EventBridge | Door::Queue => budget,
    };
    // A deadline too far for the clock is as good as none.
    Instant::now().checked_add(budget.min(Duration::from_secs(900))).unwrap_or_else(Instant::now)
}

/// Where something is written, reading gets two thirds of the time: what can be done without a fact (taking access away) must still be done.
fn reading_deadline(deadline: Instant) -> Instant {
    let for_writing = deadline.saturating_duration_since(Instant::now()).mul_f64(1.0 / 3.0);
    deadline.checked_sub(for_writing).unwrap_or(deadline)
}

/// The account of `arn:aws:lambda:<region>:<account>:function:<name>`.
fn own_account(function_arn: &str) -> Result<AccountId, ErrorRow> {
    let account = function_arn.split(':').nth(4).and_then(|account| account.parse().ok());
    account.ok_or_else(|| {
        let message = "the runtime did not say which account the function runs in, so ownership can't be told";
        error(ErrorCode::Unexpected, message, false)
    })
}

fn error(code: ErrorCode, message: &str, retryable: bool) -> ErrorRow {
    ErrorRow { code, call: None, resource: None, message: message.to_owned(), retryable }
}

fn not_identified() -> ErrorRow {
    error(ErrorCode::Unexpected, "nobody asked", false)
}

fn failed(outcome: Outcome, error: ErrorRow) -> Outcome {
    Outcome { result: ResultKind::Failed, retryable: error.retryable, errors: vec![error], ..outcome }
}

/// One line per request: who asked what, why, and what became of it; and one per finding.
fn log(outcome: &Outcome, door: Door, context: &Context<'_>) {
    for finding in outcome.findings.iter().flatten() {
        tracing::warn!(
            request.id = outcome.request_id,
            finding.code = finding.code.as_str(),
            finding.image = finding.image_id.as_str(),
            finding.target = finding.target.as_ref().map(ToString::to_string).unwrap_or_default(),
            finding.remedy,
            "{}",
            finding.message
        );
    }
    let codes: Vec<_> = outcome.refusals.iter().map(|refusal| refusal.code.as_str()).collect();
    let errors: Vec<_> = outcome.errors.iter().map(|error| error.code.as_str()).collect();
    let images: Vec<_> = outcome.images.iter().map(|image| image.image_id.as_str()).collect();
    let action = outcome.action.map_or("", |action| action.as_str());
    let requester = outcome.requester.as_ref().map_or("", Requester::as_str);
    tracing::info!(
        lambda.request_id = context.request_id,
        request.id = outcome.request_id,
        request.door = door.as_str(),
        request.action = action,
        request.requester = requester,
        request.reason = outcome.reason.as_deref().unwrap_or_default(),
        request.dry_run = outcome.dry_run,
        outcome.result = outcome.result.as_str(),
        outcome.images = ?images,
        outcome.refusals = ?codes,
        outcome.errors = ?errors,
        "{action} by {requester}: {}",
        outcome.result.as_str()
    );
}
