//! Owns carrying out what was decided: the order of calls of `execute::pursue::act`, which is written here again.

use sharing::{
    copy_records,
    decide::{Approval, Authority, Case, ImageDecision},
    facts::{CopyRecord, Facts},
    outcome::{Announcement, Outcome, Status},
    plan::{Step, end, plans},
    request::Action,
    taking_back::is_planned,
};

use crate::{
    invocation::{Invocation, Pursued},
    kinds::AGAIN,
    looks,
    planted::Planted,
    script::Asked,
    world::slot_of,
    writer::Writer,
};

/// Plans, carries out, looks again and reports: the order of `execute::pursue::act`.
pub fn act<'a>(
    invocation: &Invocation<'_, '_>,
    case: &Case<'_>,
    facts: &Facts,
    decisions: Vec<ImageDecision<'a>>,
    mut outcome: Outcome,
) -> Asked<Pursued> {
    let planted = invocation.planted;
    let is_again = invocation.id.ends_with(&format!("-{AGAIN}"));
    let of_image = |(decision, steps): (ImageDecision<'a>, Vec<Step>)| {
        let at_once = case.hint.filter(|_| planted == Planted::EndsAtOnce && !steps.is_empty()).map(end);
        let steps = if planted == Planted::NothingAgain && is_again { Vec::new() } else { steps };
        let gives = |is_it: fn(&Step) -> bool| steps.iter().any(is_it);
        let is_half = gives(|step| matches!(step, Step::AddLaunchPermissions { .. }))
            && !gives(|step| matches!(step, Step::CreateGrant { .. }));
        let steps = match case.hint.filter(|_| planted == Planted::EndsHalf && is_half) {
            Some(record) => vec![end(record)],
            None => steps,
        };
        (decision, steps.into_iter().chain(at_once).collect())
    };
    let plans: Vec<_> = plans(case, facts, decisions).into_iter().map(of_image).collect();
    let is_looked_at_again = is_planned(case, &plans, facts);
    let expires = plans.iter().any(|(decision, _)| must_expire(decision, facts));
    let for_good = plans.first().and_then(|(decision, _)| slot_of(decision.image_id)).filter(|_| !expires);
    let writer = Writer { script: invocation.script, expires, planted };
    let mut results = writer.carry_out(plans)?;
    let is_approved = matches!(case.approval, Approval::By(_));
    let may_look = planted != Planted::NoSecondLook && !(planted == Planted::NoSecondLookIfApproved && is_approved);
    if is_looked_at_again && may_look {
        results = looks::second_look(&writer, case, facts, results)?;
    }
    if case.request.action.takes_away() && matches!(case.authority, Authority::Requester(_)) {
        results = looks::closing_look(&writer, case, facts, results)?;
        results = looks::withdrawn_look(&writer, case, facts, results)?;
    }
    results = looks::copy_records(&writer, case, results)?;
    outcome.decided.extend(
        copy_records::ended(case, &results)
            .into_iter()
            .map(|(record, failure)| sharing::report::failed(of_record(record), failure.clone())),
    );
    let done = Pursued::reported(outcome, case, facts, results);
    let is_share = case.request.action == Action::Share && done.outcome.result == Status::Completed;
    Ok(Pursued { for_good: for_good.filter(|_| is_share), ..done })
}

/// Whether what a share gives must expire: it has a record of that, or finds one.
fn must_expire(decision: &ImageDecision<'_>, facts: &Facts) -> bool {
    let image = facts.images.get(decision.image_id);
    let has_record = |target| image.is_some_and(|image| image.expiry_of(target).is_some());
    decision.prerequisites().is_some_and(|first| {
        !first.expiries.is_empty() || decision.targets.iter().any(|(asked, _)| has_record(&asked.target))
    })
}

/// The outcome of the request that was the first to ask for a share that waits. It is published whatever it is.
pub fn of_record(record: &CopyRecord) -> Outcome {
    Outcome {
        action: Some(Action::Share),
        announcement: Announcement::Always,
        ..Outcome::new(record.request_id.clone(), Status::Completed)
    }
}
