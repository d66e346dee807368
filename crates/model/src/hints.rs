//! Owns what a hint of a record of a share that waits for a copy does: the order of calls of `execute::copies`, which is
//! written here again. `tests/it/copies_disturbed.rs` counts the real calls.

use sharing::{
    decide::{self, Authority, Decision, ImageDecision},
    domain::CopyName,
    facts::{CopyRecord, Facts},
    fate::{self, CopyFate},
    outcome::{Announcement, Outcome, Status},
    plan::end,
    records::{Record, RecordName},
    report::give_up_waiting,
    request::Action,
};

use crate::{
    act::{act, of_record},
    invocation::{Invocation, Pursued},
    pursue::pursue,
    reading::{describe, names, read_record},
    script::{Asked, read},
    world,
    writer::Writer,
};

/// Makes a share that waits for a copy, if the copy is available.
pub fn share_copied(invocation: &Invocation<'_, '_>, name: &CopyName) -> Asked<Pursued> {
    invocation.script.next_request();
    let nothing = Outcome { action: Some(Action::Share), ..Outcome::new(invocation.id, Status::Completed) };
    let record = match read(read_record(invocation.script, &RecordName::Copy(name.clone())))? {
        Ok(Some(Record::Copy(record))) => record,
        Ok(_) => return Ok(Pursued::refused(nothing, Vec::new())),
        Err(failure) => return Ok(Pursued::failed(nothing, failure)),
    };
    let mut done = repeat(invocation, &record)?;
    match fate::of_copy(&done.attempt, &record, invocation.now) {
        CopyFate::GiveUp => {
            let writer = Writer { script: invocation.script, expires: false, planted: invocation.planted };
            writer.run(&[end(&record)])?;
            give_up_waiting(&mut done.outcome, decide::not_made_in_time(&record));
        }
        CopyFate::SayNothing => {
            done.outcome = Outcome { action: done.outcome.action, ..Outcome::new(invocation.id, Status::Completed) };
        }
        CopyFate::TryAgain => done.outcome.announcement = Announcement::Never,
        CopyFate::Tell => {}
    }
    Ok(done)
}

/// Makes the request of the record again.
fn repeat(invocation: &Invocation<'_, '_>, record: &CopyRecord) -> Asked<Pursued> {
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

/// What EC2's event of the copy in this slot does: it finds the records of the shares that wait for copies of the same
/// image.
pub fn of_copy(invocation: &Invocation<'_, '_>, slot: usize) -> Asked<Vec<Pursued>> {
    let found = |script| {
        let described = describe(script)?;
        let source = described.get(&world::id_of(slot)).and_then(|image| image.provenance.source());
        source.map_or(Ok(Vec::new()), |source| names(script, &CopyName::source_prefix(&source.id)))
    };
    // If the records can't be found, their own hints come later.
    let names = read(found(invocation.script))?.unwrap_or_default();
    invocation.script.remember(&names);
    let mut done = Vec::new();
    for name in names {
        let RecordName::Copy(name) = name else { continue };
        done.push(share_copied(invocation, &name)?);
    }
    Ok(done)
}
