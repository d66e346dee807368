//! Owns the last reads and writes about the records of shares that wait for a copy: after the steps of a request were taken, a
//! record is deleted if no retry can help, and written again if a hint has deleted it meanwhile.
//! `sharing::copy_records` decides which.

use std::collections::BTreeMap;

use sharing::{
    copy_records::{deletions, ended, names_to_read, write_again},
    decide::Case,
    facts::CopyRecord,
    outcome::{Announcement, Outcome, Status},
    progress::ImageResult,
    records::RecordName,
    report::failed,
    request::{Action, Asked},
};
use tokio::time::Instant;

use super::further::take_further;
use crate::carry_out::Writer;

/// Deletes the records of shares that wait in vain, and writes those again that have to be there and are gone.
pub(super) async fn take<'a>(
    writer: Writer<'_>,
    case: &Case<'_>,
    results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let results = take_further(writer, case.request_id, deletions(case.hint, results), deadline).await;
    let (names, Some(records)) = (names_to_read(&results), writer.records) else { return results };
    if names.is_empty() {
        return results;
    }
    let aws = &writer.aws.until(deadline);
    let mut seen = BTreeMap::new();
    for name in names {
        let read = records.read(aws, &RecordName::Copy(name.clone())).await;
        seen.insert(name, read.map_err(|error| error.failure));
    }
    take_further(writer, case.request_id, write_again(results, &seen), deadline).await
}

/// The outcomes of earlier requests whose records a later one deleted: nobody else tells them.
pub(super) fn of_ended(case: &Case<'_>, results: &[ImageResult<'_>]) -> Vec<Outcome> {
    let ended = ended(case, results).into_iter();
    ended.map(|(record, failure)| failed(of_record(record), failure.clone())).collect()
}

/// The outcome of the request that was the first to ask for a share that waits. It is published whatever it is.
pub(super) fn of_record(record: &CopyRecord) -> Outcome {
    Outcome {
        action: Some(Action::Share),
        requester: Some(record.requester.clone()),
        approved_by: record.approved_by.clone(),
        reason: record.request.reason.clone(),
        asked: Asked::from(&record.request),
        announcement: Announcement::Always,
        ..Outcome::new(record.request_id.clone(), Status::Completed)
    }
}
