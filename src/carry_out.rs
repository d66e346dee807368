//! Owns carrying out a plan, up to the deadline: the phases of an image run one after the other; the steps of a phase,
//! and several images, run at the same time. `sharing::progress` decides which steps are skipped because others failed.

mod copy;

use std::time::Duration;

use futures_util::{StreamExt, future, stream};
use sharing::{
    decide::ImageDecision,
    domain::ImageId,
    facts::{Before, Failure},
    needs::Publication,
    outcome::StepState,
    plan::Step,
    progress::{ImageResult, Progress, StepResult, Turn},
    publishing::other_type,
    records::{Record, RecordName},
};
use time::OffsetDateTime;
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    aws::{Aws, CONCURRENCY, CallError},
    records::RecordStore,
};

/// No write is started with less remaining time than this: its answer might not arrive.
const SHORTEST_STEP: Duration = Duration::from_millis(1_500);

/// The most splits of a step. They are enough for a few closed accounts among 200 that must be found by halves, or for
/// many that AWS names. The remaining part then fails as a whole.
const MOST_SPLITS: usize = 64;

/// The clients and the record store that steps use.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// The clients.
    pub aws: &'a Aws,
    /// The record store, if the deployment has one.
    pub records: Option<&'a RecordStore>,
    /// Now.
    pub now: OffsetDateTime,
}

/// Carries out the plans, in the order of the images; with `dry_run` it only reports the steps. No call runs after the
/// deadline, which `aws` also keeps.
pub async fn carry_out<'a>(
    writer: Writer<'_>,
    plans: Vec<(ImageDecision<'a>, Vec<Step>)>,
    dry_run: bool,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let taken = if dry_run {
        plans.into_iter().map(|(decision, steps)| (decision, planned(steps))).collect()
    } else {
        run_each(writer, plans, deadline).await
    };
    taken.into_iter().map(|(decision, steps)| ImageResult { decision, steps, lost: Vec::new() }).collect()
}

/// Carries out steps that belong to no image.
pub async fn carry_out_steps(writer: Writer<'_>, steps: Vec<Step>, deadline: Instant) -> Vec<StepResult> {
    run_each(writer, vec![((), steps)], deadline).await.into_iter().flat_map(|((), taken)| taken).collect()
}

/// Carries out more steps, after those in the results.
pub async fn carry_on<'a>(
    writer: Writer<'_>,
    further: Vec<(ImageResult<'a>, Vec<Step>)>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    let add = |(mut result, taken): (ImageResult<'a>, Vec<StepResult>)| {
        result.steps.extend(taken);
        result
    };
    run_each(writer, further, deadline).await.into_iter().map(add).collect()
}

/// Carries out the steps of each image, and returns what became of them beside it.
async fn run_each<T>(writer: Writer<'_>, plans: Vec<(T, Vec<Step>)>, deadline: Instant) -> Vec<(T, Vec<StepResult>)> {
    let aws = &writer.aws.until(deadline);
    let writer = Writer { aws, ..writer };
    // A step waits for its turn here and not in the client, so that it checks the time when it really starts. If AWS throttles
    // one of them, the others wait in the client.
    let turns = &Semaphore::new(aws.calls_at_once());
    stream::iter(plans)
        .map(async |(of, steps)| (of, run(writer, steps, turns, deadline).await))
        .buffered(CONCURRENCY)
        .collect()
        .await
}

/// The steps as a dry run reports them.
pub(crate) fn planned(steps: Vec<Step>) -> Vec<StepResult> {
    steps.into_iter().map(|step| StepResult::new(step, StepState::Planned)).collect()
}

async fn run(writer: Writer<'_>, steps: Vec<Step>, turns: &Semaphore, deadline: Instant) -> Vec<StepResult> {
    let mut results = Vec::with_capacity(steps.len());
    let mut progress = Progress::new(&steps);
    while let Some(phase) = progress.next_phase() {
        let taken = phase.into_iter().map(async |turn| match turn {
            Turn::Skip(step) => vec![skipped(step, None)],
            Turn::Take(step) => take_or_split(writer, step, turns, deadline).await,
        });
        let taken: Vec<_> = future::join_all(taken).await.into_iter().flatten().collect();
        progress.learn(&taken);
        results.extend(taken);
    }
    results
}

/// Carries out a step. If AWS does not know one of its targets, the step is split until it has succeeded for the
/// others: by the target that AWS's message names, or by halves. Each part is a step of the plan like any other.
async fn take_or_split(writer: Writer<'_>, step: Step, turns: &Semaphore, deadline: Instant) -> Vec<StepResult> {
    let mut results = Vec::new();
    let mut waiting = vec![step];
    let mut splits: usize = 0;
    while let Some(step) = waiting.pop() {
        let taken = take(writer, step, turns, deadline).await;
        let Some((unknown, parts)) = taken.split().filter(|_| splits < MOST_SPLITS) else {
            results.push(taken);
            continue;
        };
        splits = splits.saturating_add(1);
        results.extend(unknown);
        for part in &parts {
            log_step(part);
        }
        waiting.extend(parts.into_iter().rev());
    }
    results
}

/// Logs a step before it is carried out.
fn log_step(step: &Step) {
    tracing::info!(
        plan.call = step.call(),
        plan.resource = step.resource(),
        plan.add = ?step.adds().iter().map(ToString::to_string).collect::<Vec<_>>(),
        plan.remove = ?step.removes().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "planned {} on {} without a target that AWS does not know",
        step.call(),
        step.resource()
    );
}

async fn take(writer: Writer<'_>, step: Step, turns: &Semaphore, deadline: Instant) -> StepResult {
    let _turn = turns.acquire().await;
    if deadline.saturating_duration_since(Instant::now()) < SHORTEST_STEP {
        let error = CallError::not_begun(step.call(), &step.resource());
        return skipped(step, Some(error.failure));
    }
    match write(writer, &step, deadline).await {
        Ok(Made { grant_id, copy_id, version }) => {
            StepResult { grant_id, copy_id, version, ..StepResult::new(step, StepState::Done) }
        }
        Err(CallError { failure, is_uncertain }) => {
            StepResult { error: Some(failure), is_uncertain, ..StepResult::new(step, StepState::Failed) }
        }
    }
}

/// A step that is not carried out.
pub(crate) fn skipped(step: Step, error: Option<Failure>) -> StepResult {
    StepResult { error, ..StepResult::new(step, StepState::Skipped) }
}

/// What AWS names in its answer to a step.
#[derive(Debug, Default)]
struct Made {
    /// The ID of a grant.
    grant_id: Option<String>,
    /// The ID of a copy.
    copy_id: Option<ImageId>,
    /// The version of a parameter.
    version: Option<u64>,
}

/// The only place that changes permissions, grants, records and parameters, and makes copies.
async fn write(Writer { aws, records, now }: Writer<'_>, step: &Step, deadline: Instant) -> Result<Made, CallError> {
    let done = match step {
        Step::CreateGrant { key, name, grantee, kind, account: _ } => {
            let grant_id = aws.create_grant(key, name, grantee, &kind.operations()).await?;
            return Ok(Made { grant_id, ..Made::default() });
        }
        Step::PutParameter(Publication { parameter, image_id, before, created: _ }) => {
            // AWS would refuse it.
            if *before == Before::OtherType {
                return Err(CallError { failure: other_type(parameter), is_uncertain: false });
            }
            let version = aws.put_image_parameter(parameter, image_id).await?;
            return Ok(Made { version: Some(version), ..Made::default() });
        }
        Step::CreateExpiry(expiry) => match records {
            Some(records) => records.create(aws, &Record::Expiry(expiry.clone()), now).await,
            None => Err(CallError::not_set_up(step.call())),
        },
        Step::DeleteExpiry { name, target: _ } => match records {
            Some(records) => records.delete(aws, &RecordName::Expiry(name.clone())).await,
            None => Err(CallError::not_set_up(step.call())),
        },
        Step::CreateCopyRecord(record) => match records {
            Some(records) => records.create(aws, &Record::Copy(record.clone()), now).await,
            None => Err(CallError::not_set_up(step.call())),
        },
        Step::DeleteCopyRecord { name, targets: _ } => match records {
            Some(records) => records.delete(aws, &RecordName::Copy(name.clone())).await,
            None => Err(CallError::not_set_up(step.call())),
        },
        Step::CreateApproval(record) => match records {
            Some(records) => records.create(aws, record, now).await,
            None => Err(CallError::not_set_up(step.call())),
        },
        Step::DeleteApproval(name) => match records {
            Some(records) => records.delete(aws, name).await,
            None => Err(CallError::not_set_up(step.call())),
        },
        Step::CopyImage(order) => {
            let copy_id = Some(copy::make(aws, order, deadline).await?);
            return Ok(Made { copy_id, ..Made::default() });
        }
        Step::RevokeGrant { key, grant_id, name: _, account: _ } => aws.revoke_grant(key, grant_id).await,
        Step::AddCreateVolumePermissions { snapshot_id, accounts } => {
            aws.add_create_volume_permissions(snapshot_id, accounts).await
        }
        Step::RemoveCreateVolumePermissions { snapshot_id, accounts } => {
            aws.remove_create_volume_permissions(snapshot_id, accounts).await
        }
        Step::AddLaunchPermissions { image_id, targets } => aws.add_launch_permissions(image_id, targets).await,
        Step::RemoveLaunchPermissions { image_id, targets } => aws.remove_launch_permissions(image_id, targets).await,
        Step::ResetLaunchPermissions { image_id } => aws.reset_launch_permissions(image_id).await,
        Step::CreateUsageReport { image_id, client_token } => aws.create_usage_report(image_id, client_token).await,
    };
    done.map(|()| Made::default())
}
