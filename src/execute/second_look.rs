//! Owns the second look of a share: after its writes, it reads the record of its expiry again, and undoes its writes if
//! there is no record any more.
//!
//! An overlapping revoke deletes the record last. If a share writes something after that, only the share can notice it.

use std::collections::{BTreeMap, BTreeSet};

use sharing::{
    decide::{self, Case, ImageDecision, SecondLook},
    domain::{AccountId, ImageId, SnapshotId, Target},
    facts::{Facts, Failure, Reading},
    plan::{Given, Step, take_back},
    report::{ImageResult, StepResult},
};
use tokio::time::Instant;

use super::{plan_log::log_plan, time_limits::looking_deadline};
use crate::{
    aws::Aws,
    carry_out::{Writer, carry_on},
    observe::{grant_id, look_again, needed_elsewhere},
};

/// Whether a plan needs a second look.
pub(super) fn is_planned(case: &Case<'_>, plans: &[(ImageDecision<'_>, Vec<Step>)], facts: &Facts) -> bool {
    plans.iter().any(|(decision, steps)| !looks(case, decision, steps.iter(), facts).is_empty())
}

/// Takes the second look, and undoes the writes of shares without a record.
pub(super) async fn take<'a>(
    writer: Writer<'_>,
    case: &Case<'_>,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let given = |result: &ImageResult<'_>| {
        let steps = result.steps.iter().filter(|result| result.may_be_done()).map(|result| &result.step);
        looks(case, &result.decision, steps, facts)
    };
    let wanted: Vec<_> = results.iter().flat_map(given).collect();
    if wanted.is_empty() {
        return results;
    }
    let reading = writer.aws.until(looking_deadline(deadline));
    let seen = look_again(&reading, writer.records, wanted).await;
    let lost: BTreeMap<_, _> = seen
        .iter()
        .filter_map(|(look, seen)| Some(((&look.image_id, &look.target), decide::lost(look, seen)?)))
        .collect();
    if lost.is_empty() {
        return results;
    }
    let needed = snapshots_to_leave(&reading, &results, &lost).await;
    let mut further = Vec::with_capacity(results.len());
    for mut result in results {
        let is_lost = |target: &Target| lost.contains_key(&(result.decision.image_id, target));
        let of_image = lost.iter().filter(|((id, _), _)| *id == result.decision.image_id);
        let mut gaps: Vec<_> = of_image.map(|(_, error)| error.clone()).collect();
        let (given, unread) = given_to(&reading, case.account, &result.steps, is_lost).await;
        gaps.extend(unread);
        if given.iter().any(|(step, _)| matches!(step, Step::AddCreateVolumePermissions { .. })) {
            gaps.extend(needed.as_ref().err().cloned());
        }
        // If it is not known who needs an entry, the entry stays, and the outcome says so.
        let is_needed =
            |id: &SnapshotId, account| needed.as_ref().map_or(true, |needed| needed.contains(&(id.clone(), account)));
        let steps = take_back(&given, is_needed);
        log_plan(case.request_id, &steps, false);
        result.lost.extend(gaps);
        further.push((result, steps));
    }
    carry_on(writer, further, deadline).await
}

/// The shares without a record, each with the failure that is reported.
type Lost<'l> = BTreeMap<(&'l ImageId, &'l Target), Failure>;

/// The writes for these targets; and for grants that may exist but whose ID is not known, the failures.
async fn given_to(
    aws: &Aws,
    owner: AccountId,
    results: &[StepResult],
    is_lost: impl Fn(&Target) -> bool,
) -> (Vec<Given>, Vec<Failure>) {
    let (mut given, mut unread) = (Vec::new(), Vec::new());
    for result in results.iter().filter(|result| result.step.gives() && result.may_be_done()) {
        let (Some(step), _) = result.step.split(&is_lost) else { continue };
        let id = match &result.grant_id {
            Some(id) => Some(id.clone()),
            None => grant_id(aws, owner, &step).await.unwrap_or_else(|error| {
                unread.push(error);
                None
            }),
        };
        given.push((step, id));
    }
    (given, unread)
}

/// The create volume permissions that stay when a share is undone, because another share needs them.
async fn snapshots_to_leave(
    aws: &Aws,
    results: &[ImageResult<'_>],
    lost: &Lost<'_>,
) -> Reading<BTreeSet<(SnapshotId, AccountId)>> {
    let (mut snapshots, mut pairs) = (BTreeSet::new(), BTreeSet::new());
    for result in results {
        let image_id = result.decision.image_id;
        for taken in result.steps.iter().filter(|taken| taken.may_be_done()) {
            let Step::AddCreateVolumePermissions { snapshot_id, accounts } = &taken.step else { continue };
            let accounts =
                accounts.iter().filter(|account| lost.contains_key(&(image_id, &Target::Account(**account))));
            for account in accounts {
                snapshots.insert(snapshot_id.clone());
                pairs.insert((image_id.clone(), *account));
            }
        }
    }
    if snapshots.is_empty() {
        return Ok(BTreeSet::new());
    }
    needed_elsewhere(aws, &snapshots.into_iter().collect::<Vec<_>>(), &pairs).await
}

/// The second looks that these steps need.
fn looks<'s>(
    case: &Case<'_>,
    decision: &ImageDecision<'_>,
    steps: impl Iterator<Item = &'s Step>,
    facts: &Facts,
) -> Vec<SecondLook> {
    let given: BTreeSet<_> = steps.filter(|step| step.gives()).flat_map(Step::adds).collect();
    let image = facts.images.get(decision.image_id);
    let given: Vec<_> = given.into_iter().collect();
    image.map(|image| decide::second_looks(decision, image, &given, case.hint)).unwrap_or_default()
}
