//! Owns what a hint of a record of a share that waits for a copy does: the order of `execute::copies`, with the model's
//! calls.

use sharing::{
    decide::{self, Authority, Decision, ImageDecision},
    domain::CopyName,
    facts::{CopyRecord, Facts},
    outcome::{Announcement, Outcome, Status, StepState},
    plan::end,
    records::{Record, RecordName},
    report::give_up_waiting,
    request::Action,
};
use time::OffsetDateTime;

use crate::{
    invocation::{Done, Invocation, act, pursue},
    reading::{Asked, describe, names, read_record},
    world,
    writer::Writer,
};

/// Makes a share that waits for a copy, if the copy is available.
pub fn share_copied(invocation: &Invocation<'_, '_>, name: &CopyName) -> Asked<Done> {
    let nothing = Outcome { action: Some(Action::Share), ..Outcome::new(invocation.id, Status::Completed) };
    let Some(Record::Copy(record)) = read_record(invocation.script, &RecordName::Copy(name.clone()))? else {
        return Ok(Done::of(nothing));
    };
    let mut done = repeat(invocation, &record)?;
    let is_last = !done.outcome.retryable || record.is_looked_at_last(invocation.now);
    if record.is_overdue(invocation.now) && is_last && !is_ended(&done.outcome, &record, invocation.now) {
        let writer = Writer { script: invocation.script, expires: false, planted: invocation.planted };
        writer.run(&[end(&record)])?;
        give_up_waiting(&mut done.outcome, decide::not_made_in_time(&record));
        done.outcome.announcement = Announcement::Always;
        return Ok(done);
    }
    done.outcome = published(done.outcome, &record, invocation.now);
    Ok(done)
}

/// Makes the request of the record again.
fn repeat(invocation: &Invocation<'_, '_>, record: &CopyRecord) -> Asked<Done> {
    let outcome = of_record(record);
    let authority = Authority::Requester(&record.requester);
    let case = world::case(&record.request, authority, invocation.allowlist, &record.request_id, invocation.now);
    let case = case.repeated(record);
    let refusals = decide::admit(&case);
    if refusals.is_empty() {
        return pursue(invocation, &case, outcome);
    }
    let image_id = &record.request.image_ids[0];
    let decision = Decision::Refused(refusals);
    let decision = ImageDecision { image_id, rule: None, targets: Vec::new(), decision, warnings: Vec::new() };
    act(invocation, &case, &Facts::default(), vec![decision], outcome)
}

/// The outcome of the request that was the first to ask. It is published whatever it is.
pub fn of_record(record: &CopyRecord) -> Outcome {
    Outcome {
        action: Some(Action::Share),
        announcement: Announcement::Always,
        ..Outcome::new(record.request_id.clone(), Status::Completed)
    }
}

/// The outcome as it is published. If a hint changed nothing and did not end the waiting, nothing is.
fn published(outcome: Outcome, record: &CopyRecord, now: OffsetDateTime) -> Outcome {
    let is_changed = outcome.images.iter().any(|row| row.changed);
    match outcome.result {
        Status::Completed | Status::Accepted | Status::Planned if !is_changed => {
            Outcome { action: outcome.action, ..Outcome::new(outcome.request_id.clone(), Status::Completed) }
        }
        Status::Refused | Status::Failed if !is_ended(&outcome, record, now) => {
            Outcome { announcement: Announcement::Never, ..outcome }
        }
        _ => Outcome { announcement: Announcement::Always, ..outcome },
    }
}

/// Whether the share was made or waits no longer.
fn is_ended(outcome: &Outcome, record: &CopyRecord, now: OffsetDateTime) -> bool {
    let mut steps = outcome.images.iter().flat_map(|row| &row.steps);
    match outcome.result {
        Status::Completed | Status::Accepted | Status::Planned => true,
        Status::Refused | Status::Failed | Status::Incomplete => {
            outcome.refusals.iter().any(|refusal| refusal.ends_waiting(record.is_overdue(now)))
                || outcome.errors.iter().any(|error| error.code.ends_waiting())
                || steps.any(|step| step.state == StepState::Done && step.resource == record.name.as_str())
        }
    }
}

/// What EC2's event of the copy in this slot does: it finds the records of the shares that wait for copies of the same
/// image.
pub fn of_copy(invocation: &Invocation<'_, '_>, slot: usize) -> Asked<Vec<Done>> {
    let described = describe(invocation.script)?;
    let Some(source) = described.get(&world::id_of(slot)).and_then(|image| image.provenance.source()) else {
        return Ok(Vec::new());
    };
    let mut done = Vec::new();
    for name in names(invocation.script, &CopyName::source_prefix(&source.id))? {
        let RecordName::Copy(name) = name else { continue };
        done.push(share_copied(invocation, &name)?);
    }
    Ok(done)
}
