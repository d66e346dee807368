//! Owns carrying out an admitted request: observe, decide, plan, carry out, report.

use sharing::{
    decide::{self, Authority, Case, Judgements},
    domain::ExpiryName,
    outcome::{Outcome, Status, Waiting},
    plan::{give_up, plan},
    report::{self, failed},
    request::Action,
};
use tokio::time::Instant;

use super::{
    approvals::written_down,
    closing_look, final_copies,
    plan_log::log_plan,
    publishing, second_look,
    time_limits::{giving_deadline, reading_deadline},
};
use crate::{
    carry_out::{Writer, carry_out},
    deployment::{Deployment, Run},
    observe::observe,
};

/// Carries out an admitted request. It returns the outcome and, for a repair, the overdue records.
pub(super) async fn pursue(
    deployment: &Deployment,
    case: Case<'_>,
    run: &Run<'_>,
    mut outcome: Outcome,
) -> (Outcome, Vec<ExpiryName>) {
    let deadline = run.deadline;
    let aws = if case.request.action.surveys() { deployment.aws.rate_limited() } else { deployment.aws.clone() };
    let reading_deadline = reading_deadline(case.request.action, deadline);
    let reading = aws.until(reading_deadline);
    let is_over = || Instant::now() >= reading_deadline;
    let judgements = Judgements::until(&is_over);
    let records = deployment.record_store();
    let facts = match observe(&reading, records, &case, &judgements).await {
        Ok(facts) => facts,
        Err(error) => return (failed(outcome, error), Vec::new()),
    };
    if let Some(refusal) = decide::unknown_page(&facts) {
        return (Outcome { result: Status::Refused, refusals: vec![refusal], ..outcome }, Vec::new());
    }
    let sent = case.request;
    let copied = decide::resolve_copies(&case, &facts);
    let case = Case { request: &copied, ..case };
    let request = match decide::resolve(&case, &facts) {
        Ok(request) => request,
        Err(error) => return (failed(outcome, error), Vec::new()),
    };
    let request = request.as_ref();
    let case = Case { request, ..case };
    let plans = match decide::decide(&case, &facts, &judgements) {
        Ok(plans) => plans,
        Err(error) => return (failed(outcome, error), Vec::new()),
    };
    let overdue = decide::overdue(&case, &plans);
    let ended = give_up(&case, &plans);
    let is_refused_whole = plans.iter().any(|decision| decision.refuses_whole(request.action));
    let ask = decide::ask(&case, sent, &plans);
    let mut plans: Vec<_> = plans
        .into_iter()
        .map(|decision| {
            let image = facts.images.get(decision.image_id).filter(|_| !is_refused_whole);
            let steps = image.map(|image| plan(&case, &decision, image, &facts)).unwrap_or_default();
            (decision, steps.into_iter().chain(ended.clone()).collect::<Vec<_>>())
        })
        .collect();
    let waiting = match ask.filter(|_| plans.iter().any(|(_, steps)| !steps.is_empty())) {
        None => None,
        Some(ask) => match written_down(deployment, run, ask).await {
            Ok((ask, steps)) => {
                plans.iter_mut().for_each(|(_, steps)| steps.clear());
                plans.iter_mut().take(1).for_each(|(_, first)| first.clone_from(&steps));
                Some(ask)
            }
            Err(stopped) => return (stopped.told(outcome), Vec::new()),
        },
    };
    for (_, steps) in &plans {
        log_plan(run.request_id, steps, request.dry_run);
    }
    let writer = Writer { aws: &aws, records, now: run.now };
    let is_looked_at_again = !request.dry_run && waiting.is_none() && second_look::is_planned(&case, &plans, &facts);
    let giving = if is_looked_at_again { giving_deadline(deadline) } else { deadline };
    let mut results = carry_out(writer, plans, request.dry_run, giving).await;
    if is_looked_at_again {
        results = second_look::take(writer, &case, &facts, results, deadline).await;
    }
    if request.action == Action::Share && !is_refused_whole && waiting.is_none() {
        results = publishing::take(writer, (run.request_id, case.account), results, request.dry_run, deadline).await;
    }
    if request.action.takes_away() && !request.dry_run && matches!(case.authority, Authority::Requester(_)) {
        results = closing_look::take(writer, run.request_id, &case, &facts, results, deadline).await;
    }
    results = final_copies::take(writer, run.request_id, results, deadline).await;
    report::report(&mut outcome, &case, &facts, results, deployment.aws.region());
    if let Some(ask) = &waiting {
        report::await_approval(&mut outcome, Waiting::from(ask));
    }
    (outcome, overdue)
}
