//! Owns the second look of a share: after it has added a launch permission, it reads the record of the share's expiry
//! again, and takes the permission away where there is none any more.
//!
//! A revoke that crosses a share deletes the record last. Where the share's launch permission comes after that, only the
//! share can know.

use sharing::{
    decide::{self, ImageDecision, SecondLook},
    facts::Facts,
    outcome::StepState,
    plan::{Step, take_back},
    report::{ImageResult, StepResult},
};
use tokio::time::Instant;

use super::{deadlines::looking_deadline, log_plan};
use crate::{
    carry_out::{Writer, carry_out},
    observe::look_again,
};

/// Whether a plan gives something that is looked at again.
pub(super) fn is_planned(plans: &[(ImageDecision<'_>, Vec<Step>)], facts: &Facts) -> bool {
    plans.iter().any(|(decision, steps)| !looks(decision, steps.iter(), facts).is_empty())
}

/// Looks again at what was given, and takes back what nothing would end.
pub(super) async fn take<'a>(
    writer: Writer<'_>,
    request_id: &str,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let is_given = |result: &&StepResult| result.state == StepState::Done || result.is_uncertain;
    let given = |result: &ImageResult<'_>| {
        let steps = result.steps.iter().filter(is_given).map(|result| &result.step);
        looks(&result.decision, steps, facts)
    };
    let wanted: Vec<_> = results.iter().flat_map(given).collect();
    if wanted.is_empty() {
        return results;
    }
    let seen = look_again(&writer.aws.until(looking_deadline(deadline)), writer.schedules, wanted).await;
    let lost: Vec<_> = seen.iter().filter_map(|(look, seen)| Some((look, decide::lost(look, seen)?))).collect();
    if lost.is_empty() {
        return results;
    }
    let back = |ImageResult { mut decision, steps }: ImageResult<'a>| {
        let of_image = || lost.iter().filter(|(look, _)| look.image_id == *decision.image_id);
        let targets: Vec<_> = of_image().map(|(look, _)| look.target.clone()).collect();
        let errors: Vec<_> = of_image().map(|(_, error)| error.clone()).collect();
        let again = take_back(decision.image_id, &targets);
        log_plan(request_id, &again, false);
        decision.gaps.extend(errors);
        ((decision, again), steps)
    };
    let (plans, done): (Vec<_>, Vec<_>) = results.into_iter().map(back).unzip();
    let taken = carry_out(writer, plans, false, deadline).await;
    let whole = |(ImageResult { decision, steps: again }, steps): (ImageResult<'a>, Vec<StepResult>)| ImageResult {
        decision,
        steps: steps.into_iter().chain(again).collect(),
    };
    taken.into_iter().zip(done).map(whole).collect()
}

/// What is looked at again after these steps.
fn looks<'s>(decision: &ImageDecision<'_>, steps: impl Iterator<Item = &'s Step>, facts: &Facts) -> Vec<SecondLook> {
    let added = steps
        .filter_map(|step| if let Step::AddLaunchPermissions { targets, .. } = step { Some(targets) } else { None });
    let added: Vec<_> = added.flatten().cloned().collect();
    let image = facts.images.get(decision.image_id);
    image.map(|image| decide::second_looks(decision, image, &added)).unwrap_or_default()
}
