//! Owns what becomes of the records of shares that wait for a copy after the steps of a request were taken: which are
//! deleted, which are written again, and who else learns of it. Pure; `execute::copy_records` reads and writes.

use std::collections::BTreeMap;

use crate::{
    decide::{Case, Decision, Next, Wait},
    domain::CopyName,
    facts::{CopyRecord, Failure, Reading},
    outcome::StepState,
    plan::{Step, end},
    progress::{ImageResult, StepResult},
    records::{Record, Recorded},
};

/// What is found under the names of records.
pub type Seen = BTreeMap<CopyName, Reading<Recorded>>;

/// The steps that delete the records of shares whose copies AWS refuses for good, or whose own target AWS doesn't know,
/// beside the results of each image. The next hint tries any other write again.
pub fn deletions<'a>(hint: Option<&CopyRecord>, results: Vec<ImageResult<'a>>) -> Vec<(ImageResult<'a>, Vec<Step>)> {
    let of_image = |result: ImageResult<'a>| {
        let record = hint.or_else(|| result.decision.awaiting().map(|awaiting| &*awaiting.record));
        let deletion = record.filter(|_| is_given_up(&result, hint.is_some())).map(end);
        (result, deletion.into_iter().collect())
    };
    results.into_iter().map(of_image).collect()
}

fn is_given_up(result: &ImageResult<'_>, is_hint: bool) -> bool {
    let may_help = |taken: &StepResult| taken.error.as_ref().is_some_and(|error| error.retryable);
    let is_unknown = is_hint && result.steps.iter().any(StepResult::is_target_unknown);
    is_unknown && !result.steps.iter().any(may_help) || refused_copy(result).is_some()
}

/// Why AWS refused to make a copy, and would again.
fn refused_copy<'r>(result: &'r ImageResult<'_>) -> Option<&'r Failure> {
    let copy = result.steps.iter().find(|taken| matches!(taken.step, Step::CopyImage(_)))?;
    copy.error.as_ref().filter(|error| !error.retryable && copy.state == StepState::Failed)
}

/// The records that are looked for again: those by which shares wait and that were there before a copy was begun. A hint
/// that gave one up may have deleted it meanwhile, and nobody would wait for the copy.
pub fn names_to_read(results: &[ImageResult<'_>]) -> Vec<CopyName> {
    let mut names: Vec<_> = results.iter().filter_map(again).map(|record| record.name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The steps that write these records again where they are gone, as if they had not been there, beside the results of
/// each image.
pub fn write_again<'a>(results: Vec<ImageResult<'a>>, seen: &Seen) -> Vec<(ImageResult<'a>, Vec<Step>)> {
    let of_image = |mut result: ImageResult<'a>| {
        let found = again(&result).and_then(|new| Some((new.clone(), seen.get(&new.name)?)));
        let Some((new, seen)) = found else { return (result, Vec::new()) };
        // If it can't be read, it is written: where it is there, that changes nothing.
        let is_there = matches!(seen, Ok(Recorded::Record(Record::Copy(_))));
        let step = (!is_there).then(|| Step::CreateCopyRecord(Box::new(new.clone())));
        if let (Ok(Recorded::Nothing), Decision::Await(awaiting)) = (seen, &mut result.decision.decision) {
            *awaiting.record = new;
        }
        (result, step.into_iter().collect())
    };
    results.into_iter().map(of_image).collect()
}

/// The record that must be there now, if another one was there before.
fn again<'r>(result: &'r ImageResult<'_>) -> Option<&'r CopyRecord> {
    let wait = wait(result)?;
    let is_relied_on = wait.order.is_some() || wait.outlived.is_some();
    wait.again.as_deref().filter(|_| is_relied_on && refused_copy(result).is_none())
}

fn wait<'r>(result: &'r ImageResult<'_>) -> Option<&'r Wait> {
    match &result.decision.awaiting()?.next {
        Next::Wait(wait) => Some(wait),
        Next::GiveUp(_) => None,
    }
}

/// The records of earlier requests that this one has deleted, and why their shares wait no longer: nobody else tells those
/// who asked.
pub fn ended<'r>(case: &Case<'_>, results: &'r [ImageResult<'_>]) -> Vec<(&'r CopyRecord, &'r Failure)> {
    let of_image = |result: &'r ImageResult<'_>| {
        let record = &*result.decision.awaiting()?.record;
        let is_anothers = case.hint.is_none() && record.request_id != case.request_id;
        let (ended, failure) = match (&wait(result)?.outlived, refused_copy(result)) {
            (Some((outlived, overdue)), _) => (&**outlived, overdue),
            (None, Some(refused)) if is_anothers => (record, refused),
            (None, _) => return None,
        };
        result.deleted_copy_records().any(|name| *name == ended.name).then_some((ended, failure))
    };
    results.iter().filter_map(of_image).collect()
}
