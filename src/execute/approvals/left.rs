//! Owns which asks and decisions an audit finds past their time.

use std::collections::BTreeSet;

use sharing::{
    decide::{self, Case},
    domain::{AskName, DecisionName, ImageId},
    facts::Failure,
    outcome::Finding,
    records::{Record, Recorded},
};

use crate::deployment::{Deployment, Run};

/// The asks and decisions past their time, about images that the requester may see.
pub(in crate::execute) async fn left(
    deployment: &Deployment,
    case: &Case<'_>,
    images: &BTreeSet<ImageId>,
    run: &Run<'_>,
) -> Result<Vec<Finding>, Failure> {
    let store = deployment.record_store().filter(|store| store.record_key.is_some());
    let Some(store) = store else { return Ok(Vec::new()) };
    let aws = &deployment.aws.rate_limited().until(run.deadline);
    let mut findings = Vec::new();
    for prefix in [AskName::PREFIX, DecisionName::PREFIX] {
        for name in store.names(aws, Some(prefix)).await.map_err(|error| error.failure)? {
            let recorded = store.read(aws, &name).await.map_err(|error| error.failure)?;
            findings.extend(match recorded {
                Recorded::Record(Record::Ask(ask)) => decide::ask_left(case, images, &ask),
                Recorded::Record(Record::Decision(decision)) => decide::approval_left(case, images, &decision),
                Recorded::Record(Record::Copy(_) | Record::Expiry(_))
                | Recorded::Nobodys { .. }
                | Recorded::Nothing => None,
            });
        }
    }
    Ok(findings)
}
