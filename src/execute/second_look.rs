//! Owns the second look of a share: after it has given something, it reads the record of the share's expiry again, and takes
//! all of it back where there is none any more.
//!
//! A revoke that crosses a share deletes the record last. Where a share gives something after that, only the share can know.

use std::collections::{BTreeMap, BTreeSet};

use sharing::{
    decide::{self, ImageDecision, SecondLook},
    domain::{AccountId, ImageId, SnapshotId, Target},
    facts::{Facts, Failure, Reading},
    plan::{Given, Step, take_back},
    report::{ImageResult, StepResult},
};
use tokio::time::Instant;

use super::{plan_log::log_plan, time_limits::looking_deadline};
use crate::{
    aws::Aws,
    carry_out::{Writer, carry_out},
    observe::{grant_id, look_again, needed_elsewhere},
};

/// Whether a plan gives something that is looked at again.
pub(super) fn is_planned(plans: &[(ImageDecision<'_>, Vec<Step>)], facts: &Facts) -> bool {
    plans.iter().any(|(decision, steps)| !looks(decision, steps.iter(), facts).is_empty())
}

/// Looks again at what was given, and takes back what nothing would end.
pub(super) async fn take<'a>(
    writer: Writer<'_>,
    (request_id, account): (&str, AccountId),
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let given = |result: &ImageResult<'_>| {
        let steps = result.steps.iter().filter(|result| result.may_be_done()).map(|result| &result.step);
        looks(&result.decision, steps, facts)
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
    let mut plans = Vec::with_capacity(results.len());
    let mut done = Vec::with_capacity(results.len());
    let snapshots = snapshots_to_leave(&reading, &results, &lost).await;
    for ImageResult { decision, steps, lost: mut untold } in results {
        let is_lost = |target: &Target| lost.contains_key(&(decision.image_id, target));
        let errors: Vec<_> = of_image(&lost, decision.image_id).map(|(_, error)| error.clone()).collect();
        let (given, unread) = given_to(&reading, account, &steps, is_lost).await;
        // What could not be found out stays, and is told.
        let is_needed = |id: &SnapshotId, account: AccountId| match &snapshots {
            Ok(needed) => needed.contains(&(id.clone(), account)),
            Err(_) => true,
        };
        let again = take_back(&given, is_needed);
        log_plan(request_id, &again, false);
        untold.extend(errors);
        untold.extend(unread);
        let gives_copies = given.iter().any(|(step, _)| matches!(step, Step::AddCreateVolumePermissions { .. }));
        untold.extend(snapshots.as_ref().err().filter(|_| gives_copies).cloned());
        plans.push((decision, again));
        done.push((steps, untold));
    }
    let taken = carry_out(writer, plans, false, deadline).await;
    let whole = |(taken, (steps, lost)): (ImageResult<'a>, (Vec<StepResult>, Vec<Failure>))| ImageResult {
        steps: steps.into_iter().chain(taken.steps).collect(),
        lost,
        ..taken
    };
    taken.into_iter().zip(done).map(whole).collect()
}

/// The shares whose records are gone, with what is told of each.
type Lost<'l> = BTreeMap<(&'l ImageId, &'l Target), Failure>;

fn of_image<'l>(lost: &'l Lost<'_>, image_id: &'l ImageId) -> impl Iterator<Item = (&'l Target, &'l Failure)> {
    lost.iter().filter(move |((id, _), _)| *id == image_id).map(|((_, target), error)| (*target, error))
}

/// What was given to these targets, and why of some grants that may be there the ID is not known.
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

/// The entries on snapshots that stay although a share that gave them is taken back, because another needs them.
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

/// What is looked at again after these steps.
fn looks<'s>(decision: &ImageDecision<'_>, steps: impl Iterator<Item = &'s Step>, facts: &Facts) -> Vec<SecondLook> {
    let given: BTreeSet<_> = steps.filter(|step| step.gives()).flat_map(Step::adds).collect();
    let image = facts.images.get(decision.image_id);
    image.map(|image| decide::second_looks(decision, image, &given.into_iter().collect::<Vec<_>>())).unwrap_or_default()
}
