//! Owns the whole story of a request: open the event, admit, observe, decide, plan, carry out, answer.

mod automation;
mod batch;
mod deadlines;
mod meter;
mod publish;
mod second_look;
mod survey;

use std::time::Duration;

pub use meter::Meter;
use sharing::{
    allowlist::{Allowlist, Loaded},
    decide::{self, Authority, Judgements, Question, Setup},
    domain::{FunctionArn, Requester, shortened},
    outcome::{ErrorCode, ErrorRow, Outcome, Status},
    plan::{Step, plan},
    report,
    request::{Action, Request},
};
use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::Instrument;
use triggers::{Envelope, Event, Incoming, Invocation, InvocationError, Reply, SentAt, Trigger};

use self::deadlines::{deadline, end, giving_deadline, reading_deadline};
use crate::{
    allowlist_source::Source,
    aws::{Aws, Schedules},
    carry_out::{Writer, carry_out},
    config::RecordSettings,
    log_lines,
    observe::observe,
};

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
    /// Where the records of expiries are, or the variables that are not set.
    pub records: Result<RecordSettings, Vec<&'static str>>,
    /// What the function's role may do.
    pub setup: Setup,
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
    /// Which function this is.
    pub function: &'a FunctionArn,
    /// How much time the invocation has left, or of a batch the message.
    pub time_left: Duration,
    /// When Lambda ends the invocation.
    pub deadline: OffsetDateTime,
    /// Now.
    pub now: OffsetDateTime,
}

impl Service {
    /// Answers one event.
    pub async fn handle(&self, event: &Event, context: &Context<'_>) -> Result<Reply, InvocationError> {
        let deadline = deadline(Trigger::EventBridge, context.time_left);
        match triggers::open(event, &Invocation { request_id: context.request_id, now: context.now }) {
            Incoming::One(envelope) => {
                let trigger = envelope.trigger;
                triggers::reply(trigger, self.settle(*envelope, context).await)
            }
            Incoming::Available(available) => {
                let share = self.share_available(&available, context, deadline);
                let outcome = self.conclude(Trigger::EventBridge, &available.request_id, share, context).await;
                triggers::reply(Trigger::EventBridge, outcome)
            }
            Incoming::Expiry(hint) => {
                let expire = self.expire(&hint, false, context, deadline);
                let outcome = self.conclude(Trigger::EventBridge, &hint.request_id, expire, context).await;
                triggers::reply(Trigger::EventBridge, outcome)
            }
            Incoming::Batch(batch) => Ok(Reply::Document(self.process_batch(batch, context).await)),
        }
    }

    /// Makes an outcome of a request.
    async fn settle(&self, envelope: Envelope, context: &Context<'_>) -> Outcome {
        let Envelope { trigger, request_id, requester, sent, asked } = envelope;
        let outcome = Outcome { requester: requester.clone(), ..Outcome::new(&request_id, Status::Refused) };
        let answer = async {
            match (asked, requester) {
                (Ok(request), Some(requester)) => {
                    let mut outcome = self.answer(&request, &requester, (trigger, sent), context, outcome).await;
                    outcome.refusals.iter_mut().for_each(|refusal| request.parameters.place(refusal));
                    outcome
                }
                (Ok(_), None) => failed(outcome, error(ErrorCode::Unexpected, "nobody asked", false)),
                (Err(turned_away), requester) => {
                    let outcome = turned_away.into_outcome(outcome);
                    match requester {
                        Some(requester) => self.turn_away(outcome, &requester, trigger, context).await,
                        None => outcome,
                    }
                }
            }
        };
        self.conclude(trigger, &request_id, answer, context).await
    }

    /// Waits for an outcome, publishes, logs and counts it.
    async fn conclude(
        &self,
        trigger: Trigger,
        request_id: &str,
        answer: impl Future<Output = Outcome>,
        context: &Context<'_>,
    ) -> Outcome {
        let end = end(trigger, context.time_left);
        let begun = self.meter.begin(&self.aws);
        // What every line of the log says that is written on the way: which invocation, and which request of it.
        let span = tracing::info_span!("request", lambda.request_id = context.request_id, request.id = request_id);
        // On the heap: the states of everything below would nest deeper than the compiler follows.
        let mut outcome = Box::pin(answer.instrument(span.clone())).await;
        let is_about_something = !outcome.is_no_op();
        if is_about_something && !publish::is_for_nobody(&outcome) {
            self.publish(&mut outcome, end).instrument(span).await;
        }
        log(&outcome, trigger, context);
        if is_about_something || !outcome.nobodys_records.is_empty() {
            self.meter.tell(&self.aws, begun, &outcome, trigger, context);
        }
        // Log, metrics and events have told what the answer may be too short for.
        outcome.cut_to(triggers::LONGEST_ANSWER);
        outcome
    }

    /// Says what is wrong with a request, to those whom a rule names: a stranger learns nothing.
    async fn turn_away(
        &self,
        outcome: Outcome,
        requester: &Requester,
        trigger: Trigger,
        context: &Context<'_>,
    ) -> Outcome {
        // By an allowlist that is young enough to give by: what a withdrawn rule named is a stranger.
        let usable =
            self.allowlist.load_for(Action::List, &self.aws, context.now, deadline(trigger, context.time_left));
        match usable.await {
            Err(error) => failed(Outcome { refusals: Vec::new(), warnings: Vec::new(), ..outcome }, error),
            Ok(Loaded { allowlist, .. }) => match decide::stranger(&allowlist, requester) {
                Some(refusal) => Outcome { refusals: vec![refusal], warnings: Vec::new(), ..outcome },
                None => outcome,
            },
        }
    }

    async fn answer(
        &self,
        request: &Request,
        requester: &Requester,
        (trigger, sent): (Trigger, SentAt),
        context: &Context<'_>,
        outcome: Outcome,
    ) -> Outcome {
        let mut outcome = Outcome {
            action: Some(request.action),
            dry_run: request.dry_run,
            reason: request.reason.clone(),
            ..outcome
        };
        let (deadline, end) = (deadline(trigger, context.time_left), end(trigger, context.time_left));
        let usable = self.allowlist.load_for(request.action, &self.aws, context.now, deadline).await;
        let Loaded { allowlist, warning } = match usable {
            Ok(usable) => usable,
            Err(error) => return failed(outcome, error),
        };
        outcome.warnings.extend(warning);
        let question = self.question(request, Authority::Requester(requester), &allowlist, context);

        let strangers = decide::admit(&question);
        if !strangers.is_empty() {
            return Outcome { result: Status::Refused, refusals: strangers, ..outcome };
        }
        if let Some(stale) = sent.refusal(request.action, context.now, self.max_event_age) {
            return Outcome { result: Status::Refused, refusals: vec![stale], ..outcome };
        }
        if !request.action.surveys() {
            return self.pursue(question, context, deadline, outcome).await;
        }
        let mut outcome = self.survey(question, context, deadline, outcome).await;
        if survey::continues_by_itself(trigger, &outcome) {
            self.go_on(question.account, &mut outcome, end).await;
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
        let aws = if question.request.action.surveys() { self.aws.rate_limited() } else { self.aws.clone() };
        let reading_deadline = reading_deadline(question.request.action, deadline);
        let reading = aws.until(reading_deadline);
        let is_over = || Instant::now() >= reading_deadline;
        let judgements = Judgements::until(&is_over);
        let schedules = self.schedules(context);
        let facts = match observe(&reading, schedules.as_ref(), &question, &judgements).await {
            Ok(facts) => facts,
            Err(error) => return failed(outcome, error),
        };
        let request = match decide::resolve(&question, &facts) {
            Ok(request) => request,
            Err(error) => return failed(outcome, error),
        };
        let request = request.as_ref();
        let question = Question { request, ..question };
        let plans = match decide::decide(&question, &facts, &judgements) {
            Ok(plans) => plans,
            Err(error) => return failed(outcome, error),
        };
        let is_refused_whole = plans.iter().any(|decision| decision.refuses_whole(request.action));
        let plans: Vec<_> = plans
            .into_iter()
            .map(|decision| {
                let image = facts.images.get(decision.image_id).filter(|_| !is_refused_whole);
                let steps = image.map(|image| plan(&question, &decision, image, &facts)).unwrap_or_default();
                (decision, steps)
            })
            .collect();
        for (_, steps) in &plans {
            log_plan(&outcome.request_id, steps, request.dry_run);
        }
        let writer = Writer { aws: &aws, schedules: schedules.as_ref() };
        let is_looked_at_again = !request.dry_run && second_look::is_planned(&plans, &facts);
        let giving = if is_looked_at_again { giving_deadline(deadline) } else { deadline };
        let mut results = carry_out(writer, plans, request.dry_run, giving).await;
        if is_looked_at_again {
            results = second_look::take(writer, &outcome.request_id, &facts, results, deadline).await;
        }
        report::report(&mut outcome, &question, &facts, results, self.aws.region());
        outcome
    }

    fn question<'a>(
        &'a self,
        request: &'a Request,
        authority: Authority<'a>,
        allowlist: &'a Allowlist,
        context: &Context<'_>,
    ) -> Question<'a> {
        let unset_for_expiry = self.records.as_ref().err().map(Vec::as_slice).unwrap_or_default();
        Question {
            request,
            authority,
            allowlist,
            account: context.function.account(),
            entity_quota: self.entity_quota,
            unset_for_expiry,
            setup: self.setup,
            is_automatic: false,
            now: context.now,
            deadline: context.deadline,
        }
    }

    /// Where the records of expiries are, if anywhere.
    fn schedules(&self, context: &Context<'_>) -> Option<Schedules> {
        let RecordSettings { group, role_arn, bus } = self.records.as_ref().ok()?;
        let bus_arn = context.function.bus_arn(bus);
        Some(Schedules { group: group.clone(), role_arn: role_arn.clone(), bus_arn })
    }
}

/// Every step is in the log before it is taken.
fn log_plan(request_id: &str, steps: &[Step], dry_run: bool) {
    for step in steps {
        tracing::info!(
            request.id = request_id,
            plan.call = step.call(),
            plan.resource = step.resource(),
            plan.grant = step.grant_name().unwrap_or_default(),
            plan.add = ?step.adds().iter().map(ToString::to_string).collect::<Vec<_>>(),
            plan.remove = ?step.removes().iter().map(ToString::to_string).collect::<Vec<_>>(),
            dry_run,
            "planned {} on {}",
            step.call(),
            step.resource()
        );
    }
}

fn error(code: ErrorCode, message: &str, retryable: bool) -> ErrorRow {
    ErrorRow { code, call: None, resource: None, message: message.to_owned(), retryable }
}

fn failed(outcome: Outcome, error: ErrorRow) -> Outcome {
    Outcome { result: Status::Failed, retryable: error.retryable, errors: vec![error], ..outcome }
}

/// A record per request: who asked what, why, and what became of it, in as many lines as it takes; and a line per finding.
fn log(outcome: &Outcome, trigger: Trigger, context: &Context<'_>) {
    for finding in outcome.findings.iter().flatten() {
        tracing::warn!(
            request.id = outcome.request_id,
            finding.code = finding.code.as_str(),
            finding.image = finding.image_id.as_str(),
            finding.target = finding.target.as_ref().map(ToString::to_string).unwrap_or_default(),
            finding.remedy = &*shortened(&finding.remedy, log_lines::LONGEST_TEXT),
            "{}",
            shortened(&finding.message, log_lines::LONGEST_TEXT)
        );
    }
    for (name, why) in &outcome.nobodys_records {
        tracing::warn!(
            request.id = outcome.request_id,
            record.name = name.as_str(),
            "{name} is nobody's record: {why}"
        );
    }
    let action = outcome.action.map_or("", |action| action.as_str());
    let requester = shortened(outcome.requester.as_ref().map_or("", Requester::as_str), 1_000);
    let lists = [
        outcome.images.iter().map(|image| image.image_id.to_string()).collect(),
        outcome.refusals.iter().map(|refusal| refusal.code.to_string()).collect(),
        outcome.errors.iter().map(|error| error.code.as_str().to_owned()).collect(),
        outcome.warnings.clone(),
    ];
    let parts = log_lines::parts(lists);
    for (index, [images, refusals, errors, warnings]) in parts.iter().enumerate() {
        tracing::info!(
            lambda.request_id = context.request_id,
            request.id = outcome.request_id,
            request.trigger = trigger.as_str(),
            request.action = action,
            request.requester = &*requester,
            request.reason = outcome.reason.as_deref().unwrap_or_default(),
            request.dry_run = outcome.dry_run,
            outcome.result = outcome.result.as_str(),
            outcome.images = ?images,
            outcome.refusals = ?refusals,
            outcome.errors = ?errors,
            outcome.warnings = ?warnings,
            outcome.next_token = outcome.next_token.as_ref().map(ToString::to_string).unwrap_or_default(),
            part = index.saturating_add(1),
            parts = parts.len(),
            "{action} by {requester}: {}",
            outcome.result.as_str()
        );
    }
}
