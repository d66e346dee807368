//! Owns what an invocation does after the writes of its plan: the second look, the last look at grants and copies, and the
//! records of shares that wait. The order of calls of `execute::second_look`, `execute::closing_look`, `execute::withdrawn` and
//! `execute::copy_records`, which is written here again.

use std::collections::BTreeMap;

use key_policy::Grant;
use sharing::{
    closing_look, copy_records,
    decide::Case,
    domain::{ImageId, KeyArn},
    facts::{Fact, Facts, Failure, GrantScan, Image, RegionalImage},
    outcome::ErrorCode,
    progress::ImageResult,
    records::{RecordName, Recorded},
    taking_back::{Lost, Needed, looks_after},
    withdrawn::{Removal, withdrawn},
};

use crate::{
    planted::Planted,
    reading::{describe, look_again, needed_elsewhere, read_grants, read_record},
    script::{Asked, Script, read},
    world::{self, slot_of},
    writer::Writer,
};

/// Reads the records of the share again, and undoes the share if there is none any more.
pub fn second_look<'a>(
    writer: &Writer<'_, '_>,
    case: &Case<'_>,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
) -> Asked<Vec<ImageResult<'a>>> {
    let wanted = looks_after(case, &results, facts);
    if wanted.is_empty() {
        return Ok(results);
    }
    let mut seen = look_again(writer.script, wanted)?;
    if writer.planted == Planted::BlindSecondLook {
        seen.values_mut().filter(|seen| seen.is_err()).for_each(|seen| *seen = Ok(true));
    }
    if is_undone(writer.planted, facts) {
        seen.values_mut().for_each(|seen| *seen = Err(unreadable()));
    }
    let lost = Lost::new(&seen);
    if lost.is_empty() {
        return Ok(results);
    }
    let (snapshots, _) = lost.entries(&results);
    let needed: Needed = needed_elsewhere(snapshots);
    let mut grant_ids = Vec::new();
    for step in lost.grants_without_id(&results) {
        let grants = read(read_grants(writer.script).map(world::grants))?;
        let is_it = |grant: &&Grant| grant.name.as_deref() == step.grant_name();
        let id = grants.map(|grants| grants.iter().find(is_it).map(|grant| grant.grant_id.clone()));
        grant_ids.push((step, id));
    }
    writer.carry_on(lost.undo(results, &Ok(needed), &grant_ids))
}

fn unreadable() -> Failure {
    let message = "it is planted".to_owned();
    Failure { code: ErrorCode::Denied, call: None, resource: None, message, retryable: false }
}

/// Whether the planted fault undoes the share although it has its record.
fn is_undone(planted: Planted, facts: &Facts) -> bool {
    let grants = facts.keys.values().map(|key| &key.grants);
    match planted {
        Planted::UndoesHalf => grants.flat_map(Fact::iter).flatten().any(|grant| grant.grant_id.ends_with("-0-1")),
        Planted::UndoesUnlisted => grants.filter_map(Fact::failed).next().is_some(),
        _ => false,
    }
}

/// Lists the grants again after records were deleted.
pub fn closing_look<'a>(
    writer: &Writer<'_, '_>,
    case: &Case<'_>,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
) -> Asked<Vec<ImageResult<'a>>> {
    let keys = closing_look::keys_to_list(case, facts, &results);
    if keys.is_empty() || writer.planted == Planted::NoClosingLook || writer.planted.keeps_half(facts) {
        return Ok(results);
    }
    let listed = list(writer.script, keys)?;
    writer.carry_on(closing_look::revokes(case, facts, results, &listed))
}

fn list(script: &Script<'_>, keys: Vec<KeyArn>) -> Asked<closing_look::Listed> {
    let mut listed = closing_look::Listed::new();
    for key in keys {
        let grants = read(read_grants(script))?;
        listed.insert(key, grants.map(|grants| (world::grants(grants), GrantScan::default())));
    }
    Ok(listed)
}

/// The order of `execute::withdrawn`.
pub fn withdrawn_look<'a>(
    writer: &Writer<'_, '_>,
    case: &Case<'_>,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
) -> Asked<Vec<ImageResult<'a>>> {
    let is_left_out = writer.planted == Planted::NoWithdrawnLook || writer.planted.keeps_half(facts);
    if results.iter().all(|result| withdrawn(result).is_empty()) || is_left_out {
        return Ok(results);
    }
    let mut further = Vec::new();
    for mut result in results {
        let mut steps = Vec::new();
        for (source, of_source) in withdrawn(&result) {
            let removal = Removal::new(of_source, &source, read(copies_again(writer.script, &source))?, facts);
            let (snapshots, _) = removal.entries();
            let listed = list(writer.script, removal.keys(case))?;
            steps.extend(removal.steps(case, facts, &mut result, (&Ok(needed_elsewhere(snapshots)), &listed)));
        }
        further.push((result, steps));
    }
    writer.carry_on(further)
}

/// The copies that are available now, with their snapshots.
fn copies_again(script: &Script<'_>, source: &RegionalImage) -> Asked<BTreeMap<ImageId, Image>> {
    let mut images = describe(script)?;
    images.retain(|_, image| image.is_available_copy_of(source));
    for (id, image) in &mut images {
        image.snapshots[0].snapshot = Fact::Known(world::snapshot(slot_of(id).unwrap()));
    }
    Ok(images)
}

/// The order of `execute::copy_records`.
pub fn copy_records<'a>(
    writer: &Writer<'_, '_>,
    case: &Case<'_>,
    results: Vec<ImageResult<'a>>,
) -> Asked<Vec<ImageResult<'a>>> {
    let results = writer.carry_on(copy_records::deletions(case.hint, results))?;
    let names = copy_records::names_to_read(&results);
    if names.is_empty() || writer.planted == Planted::NoRecordAgain {
        return Ok(results);
    }
    let mut seen = BTreeMap::new();
    for name in names {
        let record = read(read_record(writer.script, &RecordName::Copy(name.clone())))?;
        seen.insert(name, record.map(|record| record.map_or(Recorded::Nothing, Recorded::Record)));
    }
    writer.carry_on(copy_records::write_again(results, &seen))
}
