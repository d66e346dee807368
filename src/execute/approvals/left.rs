//! Owns which asks and decisions an audit finds past their time.

use std::collections::BTreeSet;

use sharing::{
    decide::{self, Case},
    domain::{AskName, DecisionName, ImageId},
    facts::{Failure, Image},
    outcome::Finding,
    records::{Record, Recorded},
};
use time::Duration;

use crate::deployment::{Deployment, Run};

/// So long after its time a record counts as left: its hint may come late.
const LATE: Duration = Duration::hours(1);

/// The asks and decisions past their time, about images that the requester may see. What they are about may be in another
/// Region, or gone: that is told to whoever may see every image.
pub(in crate::execute) async fn left(
    deployment: &Deployment,
    case: &Case<'_>,
    images: &BTreeSet<ImageId>,
    run: &Run<'_>,
) -> Result<Vec<Finding>, Failure> {
    let store = deployment.record_store().filter(|store| store.record_key.is_some());
    let Some(store) = store else { return Ok(Vec::new()) };
    let aws = &deployment.aws.rate_limited().until(run.deadline);
    let sees_all = decide::is_covered(case, &Image::deregistered(case.account, Vec::new()));
    let seen = |image_ids: &[ImageId]| {
        let known = image_ids.iter().find(|image_id| images.contains(*image_id));
        known.or_else(|| image_ids.first().filter(|_| sees_all)).cloned()
    };
    let then = run.now.saturating_sub(LATE);
    let mut findings = Vec::new();
    for prefix in [AskName::PREFIX, DecisionName::PREFIX] {
        for name in store.names(aws, Some(prefix)).await.map_err(|error| error.failure)? {
            let recorded = store.read(aws, &name).await.map_err(|error| error.failure)?;
            findings.extend(match recorded {
                Recorded::Record(Record::Ask(ask)) if ask.is_lapsed(then) => {
                    seen(&ask.request.image_ids).map(|image_id| decide::ask_left(&ask, image_id))
                }
                Recorded::Record(Record::Decision(decision)) if decision.is_over(then) => {
                    seen(&decision.ask.image_ids).map(|image_id| decide::approval_left(&decision, image_id))
                }
                Recorded::Record(_) | Recorded::Nobodys { .. } | Recorded::Nothing => None,
            });
        }
    }
    Ok(findings)
}
