//! Owns carrying out an admitted request: observe, decide, plan, carry out, report.

use sharing::{
    attempt::Attempt,
    decide::{self, Authority, Case, ImageDecision, Judgements},
    facts::{Facts, Failure},
    outcome::{Outcome, Refusal, Waiting},
    plan::{plans, writes},
    records::Ask,
    report::{self, failed, refused},
    request::Action,
    taking_back::is_planned,
};
use tokio::time::Instant;

use super::{
    ask::{WrittenDown, written_down},
    closing_look, copy_records,
    plan_log::log_plan,
    publishing, second_look,
    time_limits::{giving_deadline, reading_deadline},
    withdrawn,
};
use crate::{
    aws::Aws,
    carry_out::{Writer, carry_out},
    deployment::{Deployment, Run},
    observe::observe,
};

/// What came of a request. What happens next is decided by how it went; the outcome is only reported.
pub(super) struct Pursued {
    pub(super) outcome: Outcome,
    pub(super) attempt: Attempt,
}

impl Pursued {
    /// It failed before it was decided.
    pub(super) fn failed(outcome: Outcome, failure: Failure) -> Self {
        Self { attempt: Attempt::failed(failure.clone()), outcome: failed(outcome, failure) }
    }

    /// It was refused before it was decided.
    pub(super) fn refused(outcome: Outcome, refusals: Vec<Refusal>) -> Self {
        Self { attempt: Attempt::refused(refusals.clone()), outcome: refused(outcome, refusals) }
    }
}

/// Carries out an admitted request.
pub(super) async fn pursue(deployment: &Deployment, case: Case<'_>, run: &Run<'_>, outcome: Outcome) -> Pursued {
    let reading_deadline = reading_deadline(case.request.action, run.deadline);
    let is_over = || Instant::now() >= reading_deadline;
    let judgements = Judgements::until(&is_over);
    let reading = deployment.aws.until(reading_deadline);
    let facts = match observe(&reading, deployment.record_store(), &case, &judgements, &deployment.memory).await {
        Ok(facts) => facts,
        Err(error) => return Pursued::failed(outcome, error),
    };
    let sent = case.request;
    let copied = decide::resolve_copies(&case, &facts);
    let case = Case { request: &copied, ..case };
    if let Some(refusal) = decide::unknown_page(&facts).or_else(|| decide::too_many_pairs(&case)) {
        return Pursued::refused(outcome, vec![refusal]);
    }
    let request = match decide::resolve(&case, &facts) {
        Ok(request) => request,
        Err(error) => return Pursued::failed(outcome, error),
    };
    let case = Case { request: request.as_ref(), ..case };
    match decide::decide(&case, &facts, &judgements) {
        Ok(decisions) => match decide::ask(&case, sent, &decisions).filter(|_| writes(&case, &facts, &decisions)) {
            Some(ask) => wait(deployment, &case, (&facts, decisions), ask, run, outcome).await,
            None => act(deployment, &deployment.aws, &case, (&facts, decisions), run, outcome).await,
        },
        Err(error) => Pursued::failed(outcome, error),
    }
}

/// Records a share that waits for approval, and reports it.
async fn wait(
    deployment: &Deployment,
    case: &Case<'_>,
    (facts, decisions): (&Facts, Vec<ImageDecision<'_>>),
    ask: Ask,
    run: &Run<'_>,
    mut outcome: Outcome,
) -> Pursued {
    let dry_run = case.request.dry_run;
    let WrittenDown { ask, step, lapsed } = match written_down(deployment, run, case, ask).await {
        Ok(written) => written,
        Err(stopped) => return Pursued { attempt: stopped.attempt(), outcome: stopped.reported(outcome) },
    };
    let steps: Vec<_> = step.into_iter().collect();
    log_plan(run.request_id, &steps, dry_run);
    // One record is about all images; the first has its steps.
    let mut steps = Some(steps);
    let plans = decisions.into_iter().map(|decision| (decision, steps.take().unwrap_or_default())).collect();
    let writer = Writer { aws: &deployment.aws, records: deployment.record_store(), now: run.now };
    let results = carry_out(writer, plans, dry_run, run.deadline).await;
    let attempt = Attempt::new(case, facts, &results);
    report::report(&mut outcome, case, facts, results, deployment.aws.region());
    report::await_approval(&mut outcome, Waiting::from(&ask));
    outcome.decided.extend(lapsed);
    Pursued { outcome, attempt }
}

/// Carries out what was decided, and reports it.
pub(super) async fn act(
    deployment: &Deployment,
    aws: &Aws,
    case: &Case<'_>,
    (facts, decisions): (&Facts, Vec<ImageDecision<'_>>),
    run: &Run<'_>,
    mut outcome: Outcome,
) -> Pursued {
    let (request, deadline) = (case.request, run.deadline);
    let plans = plans(case, facts, decisions);
    for (_, steps) in &plans {
        log_plan(run.request_id, steps, request.dry_run);
    }
    let writer = Writer { aws, records: deployment.record_store(), now: run.now };
    let is_looked_at_again = !request.dry_run && is_planned(case, &plans, facts);
    let giving = if is_looked_at_again { giving_deadline(deadline) } else { deadline };
    let mut results = carry_out(writer, plans, request.dry_run, giving).await;
    if is_looked_at_again {
        results = second_look::take(writer, case, facts, results, deadline).await;
    }
    if request.action == Action::Share {
        results = publishing::take(writer, case, results, deadline).await;
    }
    if request.action.takes_away() && !request.dry_run && matches!(case.authority, Authority::Requester(_)) {
        results = closing_look::take(writer, case, facts, results, deadline).await;
        results = withdrawn::take(writer, case, facts, results, deadline).await;
    }
    if !request.dry_run {
        results = copy_records::take(writer, case, results, deadline).await;
        outcome.decided.extend(copy_records::of_ended(case, &results));
    }
    let attempt = Attempt::new(case, facts, &results);
    report::report(&mut outcome, case, facts, results, deployment.aws.region());
    Pursued { outcome, attempt }
}
