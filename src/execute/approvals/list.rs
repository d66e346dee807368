//! Owns the answer to `approvals`.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use sharing::{
    allowlist::Allowlist,
    decide,
    domain::{AskName, Requester},
    outcome::{ApprovalRow, Outcome, Refusal, RefusalCode, Status},
    records::{Record, RecordName, Recorded},
    report::{failed, refused},
    request::{FaultKind, Request},
};

use super::super::desk::Desk;
use crate::aws::CallError;

/// An answer has no more asks than this.
const A_PAGE: usize = 20;

impl Desk<'_> {
    /// The asks that the requester may see, a page at a time.
    pub(super) async fn list(
        &self,
        allowlist: &Allowlist,
        request: &Request,
        requester: &Requester,
        outcome: Outcome,
    ) -> Outcome {
        let aws = &self.aws();
        let after = match request.page.as_ref().map(|page| AskName::of_id(page.as_str())) {
            Some(None) => return refused(outcome, vec![no_page()]),
            after => after.flatten(),
        };
        let names = match self.store.names(aws, Some(AskName::PREFIX)).await {
            Ok(names) => names,
            Err(error) => return failed(outcome, error.failure),
        };
        let asks = names.into_iter().filter_map(|name| match name {
            RecordName::Ask(name) if after.as_ref().is_none_or(|after| name > *after) => Some(name),
            RecordName::Ask(_) | RecordName::Expiry(_) | RecordName::Copy(_) | RecordName::Decision(_) => None,
        });
        let mut names: Vec<_> = asks.collect();
        let is_more = names.len() > A_PAGE;
        names.truncate(A_PAGE);
        let next_page = names.last().filter(|_| is_more).and_then(|last| last.id().parse().ok());
        let read = names.into_iter().map(async |name| {
            let name = RecordName::Ask(name);
            let recorded = self.store.read(aws, &name).await?;
            Ok::<_, CallError>((name, recorded))
        });
        let read = match try_join_all(read).await {
            Ok(read) => read,
            Err(error) => return failed(outcome, error.failure),
        };
        let (mut rows, mut nobodys_records) = (Vec::new(), BTreeMap::new());
        for (name, recorded) in read {
            match recorded {
                Recorded::Record(Record::Ask(ask)) => {
                    let is_shown = !ask.is_lapsed(self.run.now) && decide::may_see(allowlist, &ask, requester);
                    rows.extend(is_shown.then(|| ApprovalRow::from(&*ask)));
                }
                Recorded::Nobodys { why } => drop(nobodys_records.insert(name, why)),
                Recorded::Record(_) | Recorded::Nothing => {}
            }
        }
        Outcome { result: Status::Completed, approvals: Some(rows), next_page, nobodys_records, ..outcome }
    }
}

fn no_page() -> Refusal {
    let refusal = Refusal::new(RefusalCode::MalformedRequest, "`nextToken` is not the place of a page of `approvals`");
    Refusal { fault: Some(FaultKind::BadFormat), ..refusal.at("/nextToken") }
}
