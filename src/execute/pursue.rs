//! Owns carrying out a request after it is clear that somebody may ask: observe, decide, plan, carry out, report.

use sharing::{
    decide::{self, Authority, Judgements, Question},
    outcome::Outcome,
    plan::plan,
    report,
};
use tokio::time::Instant;

use super::{
    closing_look,
    failed::failed,
    plan_log::log_plan,
    second_look,
    time_limits::{giving_deadline, reading_deadline},
};
use crate::{
    carry_out::{Writer, carry_out},
    deployment::{Deployment, Run},
    observe::observe,
};

/// Everything after it is clear that somebody may ask: observe, decide, plan, carry out, report.
pub(super) async fn pursue(
    deployment: &Deployment,
    question: Question<'_>,
    run: &Run<'_>,
    mut outcome: Outcome,
) -> Outcome {
    let deadline = run.deadline;
    let aws = if question.request.action.surveys() { deployment.aws.rate_limited() } else { deployment.aws.clone() };
    let reading_deadline = reading_deadline(question.request.action, deadline);
    let reading = aws.until(reading_deadline);
    let is_over = || Instant::now() >= reading_deadline;
    let judgements = Judgements::until(&is_over);
    let records = deployment.record_store();
    let facts = match observe(&reading, records, &question, &judgements).await {
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
        log_plan(run.request_id, steps, request.dry_run);
    }
    let writer = Writer { aws: &aws, records };
    let is_looked_at_again = !request.dry_run && second_look::is_planned(&plans, &facts);
    let giving = if is_looked_at_again { giving_deadline(deadline) } else { deadline };
    let mut results = carry_out(writer, plans, request.dry_run, giving).await;
    if is_looked_at_again {
        results = second_look::take(writer, (run.request_id, question.account), &facts, results, deadline).await;
    }
    if request.action.takes_away() && !request.dry_run && matches!(question.authority, Authority::Requester(_)) {
        results = closing_look::take(writer, run.request_id, &question, &facts, results, deadline).await;
    }
    report::report(&mut outcome, &question, &facts, results, deployment.aws.region());
    outcome
}
