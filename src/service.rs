//! Owns an invocation: opens the event, has the request carried out, publishes, logs, counts and answers.

mod batch;
mod continuation;
mod deadlines;
mod invocation;
mod meter;
mod publish;

use std::{sync::OnceLock, time::Duration};

pub use invocation::InvocationContext;
use meter::Meter;
pub use meter::Sink;
use sharing::{
    allowlist::Loaded,
    decide,
    domain::{CopyName, FunctionArn, Requester, shortened},
    facts::Failure,
    log_record::LogRecord,
    outcome::{ErrorCode, Outcome, Status},
    records::RecordName,
    report::failed,
    request::{Action, Request},
};
use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::Instrument;
use triggers::{
    Envelope, Event, ImageEvent, Incoming, Invocation, InvocationError, Page, PageSettings, RecordHint, Reply, SentAt,
    Trigger,
};

use self::deadlines::{deadline, end, share_of_record};
use crate::{
    allowlist_source::Source,
    aws::Aws,
    config::{Config, RecordSettings},
    deployment::{Deployment, Run},
    execute::{carry_on, execute, expire, lapse, records_of_copy, refuse, share_available, share_copied},
    log_lines,
    observe::Memory,
    records::RecordStore,
    telemetry,
};

/// The Lambda function, as long as the process lives.
#[derive(Debug)]
pub struct Service {
    /// The clients and settings that carry out requests.
    deployment: Deployment,
    /// The maximum age of an event that asks for a share.
    max_event_age: Duration,
    /// The bus on which outcomes are published, if any.
    outcome_bus: Option<String>,
    /// The bus for requests, if the function may put the request that continues an audit there.
    request_bus: Option<String>,
    /// What is put into the page, if this deployment has one.
    page_settings: Option<PageSettings>,
    /// The page, after it was requested for the first time.
    page: OnceLock<Page>,
    /// The claim of a token that holds its groups.
    groups_claim: String,
    /// Writes the metrics.
    meter: Meter,
}

impl Service {
    /// The function with this ARN, these settings and clients. Metric events go to `sink`.
    pub fn new(config: Config, aws: Aws, function: &FunctionArn, sink: Sink) -> Self {
        let records = config.records.map(|settings| {
            let RecordSettings { group, role_arn, bus, dead_letter_arn, record_key } = settings;
            let bus_arn = function.bus_arn(&bus);
            RecordStore { group, role_arn, bus_arn, dead_letter_arn, record_key }
        });
        let deployment = Deployment {
            aws,
            account: function.account(),
            allowlist: Source::new(config.allowlist, config.allowlist_ttl),
            entity_quota: config.entity_quota,
            records,
            setup: config.setup,
            memory: Memory::default(),
        };
        Self {
            deployment,
            max_event_age: config.max_event_age,
            outcome_bus: config.outcome_bus,
            request_bus: config.request_bus,
            page_settings: config.page,
            page: OnceLock::new(),
            groups_claim: config.groups_claim,
            meter: Meter::new(config.function_name, sink),
        }
    }

    /// Answers one event.
    pub async fn handle(&self, event: &Event, invocation: &InvocationContext<'_>) -> Result<Reply, InvocationError> {
        let InvocationContext { request_id, now, .. } = *invocation;
        match triggers::open(event, &Invocation { request_id, now, groups_claim: &self.groups_claim }) {
            // Neither a request nor an outcome: nothing is logged, counted or published.
            Incoming::Page(visit) => match &self.page_settings {
                Some(settings) => Ok(self.page.get_or_init(|| Page::new(settings)).reply(visit.reads_gzip)),
                None => {
                    let trigger = visit.no_page.trigger;
                    triggers::reply(trigger, self.settle(visit.no_page, invocation).await)
                }
            },
            Incoming::One(envelope) => {
                let trigger = envelope.trigger;
                triggers::reply(trigger, self.settle(*envelope, invocation).await)
            }
            Incoming::Image(event) => {
                let outcome = self.image_changed(&event, invocation).await;
                triggers::reply(Trigger::EventBridge, outcome)
            }
            Incoming::Record(RecordHint { request_id, record: RecordName::Expiry(name) }) => {
                let run = run(Trigger::EventBridge, &request_id, invocation);
                let expire = expire(&name, &request_id, false, &self.deployment, &run);
                let outcome = self.conclude(Trigger::EventBridge, &request_id, expire, invocation).await;
                triggers::reply(Trigger::EventBridge, outcome)
            }
            Incoming::Record(RecordHint { request_id, record: RecordName::Copy(name) }) => {
                // The record sends more hints, so a retry of this one is not needed.
                Ok(Reply::Outcome(Box::new(self.share_copied(&name, &request_id, invocation).await)))
            }
            Incoming::Record(RecordHint { request_id, record: RecordName::Ask(name) }) => {
                let run = run(Trigger::EventBridge, &request_id, invocation);
                let lapse = lapse(&name, &request_id, &self.deployment, &run);
                let outcome = self.conclude(Trigger::EventBridge, &request_id, lapse, invocation).await;
                Ok(Reply::Outcome(Box::new(outcome)))
            }
            Incoming::Record(RecordHint { request_id, record: RecordName::Decision(name) }) => {
                let run = run(Trigger::EventBridge, &request_id, invocation);
                let carry_on = carry_on(&name, &request_id, &self.deployment, &run);
                let outcome = self.conclude(Trigger::EventBridge, &request_id, carry_on, invocation).await;
                Ok(Reply::Outcome(Box::new(outcome)))
            }
            Incoming::Batch(batch) => {
                let settle =
                    async |envelope: Envelope, message: &InvocationContext<'_>| self.settle(envelope, message).await;
                Ok(Reply::Document(batch::process_batch(batch, invocation, settle).await))
            }
        }
    }

    /// Looks at the records of shares that wait for the image, and then shares it by the rules that do so by themselves.
    async fn image_changed(&self, event: &ImageEvent, invocation: &InvocationContext<'_>) -> Outcome {
        let begun = Instant::now();
        let request_id = &event.request_id;
        let names = records_of_copy(event, &self.deployment, &run(Trigger::EventBridge, request_id, invocation)).await;
        for (place, name) in names.iter().enumerate() {
            let later = invocation.later(begun.elapsed());
            let Some(time_left) = share_of_record(later.time_left, names.len().saturating_sub(place)) else {
                tracing::info!(request.id = request_id, record.name = name.as_str(), "left to the record's own hints");
                continue;
            };
            drop(self.share_copied(name, request_id, &InvocationContext { time_left, ..later }).await);
        }
        let later = &invocation.later(begun.elapsed());
        let run = run(Trigger::EventBridge, request_id, later);
        let share = share_available(event, &self.deployment, self.max_event_age, &run);
        self.conclude(Trigger::EventBridge, request_id, share, later).await
    }

    /// Looks at the record of a share that waits for a copy.
    async fn share_copied(&self, name: &CopyName, request_id: &str, invocation: &InvocationContext<'_>) -> Outcome {
        let run = run(Trigger::EventBridge, request_id, invocation);
        let share = share_copied(name, request_id, &self.deployment, &run);
        self.conclude(Trigger::EventBridge, request_id, share, invocation).await
    }

    /// Carries out the request in an envelope and returns the outcome.
    async fn settle(&self, envelope: Envelope, invocation: &InvocationContext<'_>) -> Outcome {
        let Envelope { trigger, request_id, requester, requester_session, sent, asked } = envelope;
        let run = run(trigger, &request_id, invocation);
        let answer = async {
            let outcome = Outcome { requester: requester.clone(), ..Outcome::new(&request_id, Status::Refused) };
            let outcome = match (asked, requester) {
                (Ok(request), Some(requester)) => {
                    let outcome = self.answer(&request, &requester, (trigger, sent), &run, invocation).await;
                    outcome.placed(&request.parameters)
                }
                (Ok(_), None) => failed(outcome, nobody_asked()),
                (Err(turned_away), Some(requester)) => {
                    self.turn_away(turned_away.into_outcome(outcome), &requester, &run).await
                }
                (Err(turned_away), None) => turned_away.into_outcome(outcome),
            };
            // If somebody approved the share of another requester, the session is not that of the requester.
            let requester_session = requester_session.filter(|_| outcome.approved_by.is_none());
            Outcome { requester_session, ..outcome }
        };
        self.conclude(trigger, &request_id, answer, invocation).await
    }

    /// Waits for an outcome, publishes it, logs it and writes its metrics.
    async fn conclude(
        &self,
        trigger: Trigger,
        request_id: &str,
        answer: impl Future<Output = Outcome>,
        invocation: &InvocationContext<'_>,
    ) -> Outcome {
        let end = end(trigger, invocation.time_left);
        let aws = &self.deployment.aws;
        let (begun, started) = (self.meter.begin(aws), Instant::now());
        // Every line that is logged in the meantime names the invocation and the request.
        let span = tracing::info_span!("request", lambda.request_id = invocation.request_id, request.id = request_id);
        // On the heap: the futures below nest too deep for the compiler.
        let mut outcome = Box::pin(answer.instrument(span.clone())).await;
        let is_about_something = !outcome.is_no_op();
        if let Some(bus) = self.outcome_bus.as_deref().filter(|_| is_about_something)
            && publish::is_published(&outcome)
        {
            publish::publish(aws, bus, &mut outcome, end).instrument(span.clone()).await;
        }
        for mut decided in std::mem::take(&mut outcome.decided) {
            if let Some(bus) = self.outcome_bus.as_deref() {
                publish::publish(aws, bus, &mut decided, end).instrument(span.clone()).await;
            }
            outcome.is_unpublished |= decided.is_unpublished;
            log(&decided, trigger, invocation, invocation.now);
        }
        let elapsed = started.elapsed().try_into().unwrap_or_default();
        log(&outcome, trigger, invocation, invocation.now.saturating_add(elapsed));
        if is_about_something || !outcome.nobodys_records.is_empty() {
            self.meter.record(aws, begun, &outcome, trigger, invocation);
        }
        // Log, metrics and events have the whole outcome; the answer may be shortened.
        outcome.cut_to(triggers::LONGEST_ANSWER);
        outcome
    }

    /// Returns what is wrong with a request, if a rule names the requester. Any other requester learns only that no
    /// rule does.
    async fn turn_away(&self, outcome: Outcome, requester: &Requester, run: &Run<'_>) -> Outcome {
        let Deployment { aws, allowlist, .. } = &self.deployment;
        // The allowlist must be as fresh as for a list, because the requester's rule may have been removed.
        match allowlist.load_for(Action::List, aws, run.now, run.deadline).await {
            Err(error) => failed(Outcome { refusals: Vec::new(), warnings: Vec::new(), ..outcome }, error),
            Ok(Loaded { allowlist, .. }) => match decide::stranger(&allowlist, requester) {
                Some(refusal) => Outcome { refusals: vec![refusal], warnings: Vec::new(), ..outcome },
                None => outcome,
            },
        }
    }

    /// Carries out a request, unless it arrived too late.
    async fn answer(
        &self,
        request: &Request,
        requester: &Requester,
        (trigger, sent): (Trigger, SentAt),
        run: &Run<'_>,
        invocation: &InvocationContext<'_>,
    ) -> Outcome {
        let deployment = &self.deployment;
        if let Some(stale) = sent.refusal(request.action, run.now, self.max_event_age) {
            return refuse(request, requester, deployment, run, stale).await;
        }
        let end = end(trigger, invocation.time_left);
        let mut outcome = execute(request, requester, deployment, run).await;
        if request.action.surveys() && continuation::continues_by_itself(trigger, &outcome) {
            let bus = self.request_bus.as_deref();
            let own = (bus, deployment.account);
            continuation::continue_survey(&deployment.aws, own, (request, requester), &mut outcome, end).await;
        }
        outcome
    }
}

fn nobody_asked() -> Failure {
    let (code, message) = (ErrorCode::Unexpected, "nobody asked".to_owned());
    Failure { code, call: None, resource: None, message, retryable: false }
}

/// The time limits of a request that came through this trigger.
fn run<'a>(trigger: Trigger, request_id: &'a str, invocation: &InvocationContext<'_>) -> Run<'a> {
    let deadline = deadline(trigger, invocation.time_left);
    let may_ask = matches!(trigger, Trigger::Http { .. });
    Run { request_id, now: invocation.now, deadline, ends_at: invocation.ends_at, may_ask }
}

/// Logs a record of the request (who requested what, why, and the outcome), in as many lines as it needs, and a line
/// for each finding.
fn log(outcome: &Outcome, trigger: Trigger, invocation: &InvocationContext<'_>, at: OffsetDateTime) {
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
    let record = LogRecord { outcome, trigger: trigger.as_str(), lambda_request_id: invocation.request_id, at };
    telemetry::write(&record.lines());
}
