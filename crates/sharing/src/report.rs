//! Owns the report: it makes the [`Outcome`] from the decisions, the results of their steps, and the facts. Pure.

mod catalogue;
mod copies;
mod standing;
mod survey;
mod usage;

use std::collections::BTreeMap;

use standing::Standing;
pub use survey::{add_images, surveyed};
use time::OffsetDateTime;

use crate::{
    attempt::{Attempt, is_changed},
    decide::{Case, Decision, Prerequisites, Remaining, Survey, next_token, remaining},
    domain::Target,
    facts::{CopyRecord, Facts, Failure, Image, Scan},
    needs::{GranteeKind, Publication},
    outcome::{
        CopyRow, ErrorRow, ImageRow, LaunchRow, Outcome, Permissions, Refusal, ScanRow, Status, StepRow, StepState,
        TargetRow, TargetState, Waiting, shared_tags,
    },
    plan::Step,
    progress::{ImageResult, StepResult},
    request::Action,
};

/// The outcome of a request that failed before it was decided.
pub fn failed(outcome: Outcome, failure: Failure) -> Outcome {
    failed_by(outcome, vec![failure])
}

/// The outcome of a request that failed because of these.
pub fn failed_by(outcome: Outcome, failures: Vec<Failure>) -> Outcome {
    let retryable = failures.iter().any(|failure| failure.retryable);
    let errors = failures.into_iter().map(error_row).collect();
    Outcome { result: Status::Failed, retryable, errors, ..outcome }
}

/// The outcome of a request that is refused for these reasons.
pub fn refused(outcome: Outcome, refusals: Vec<Refusal>) -> Outcome {
    Outcome { result: Status::Refused, refusals, ..outcome }
}

/// Adds a failure that happened after the request was carried out.
pub fn fail_late(outcome: &mut Outcome, failure: Failure) {
    outcome.result = Status::Failed;
    outcome.retryable = true;
    outcome.errors.push(error_row(failure));
}

/// Says why a share that waited is given up, whatever else was in its way.
pub fn give_up_waiting(outcome: &mut Outcome, failure: Failure) {
    if outcome.result != Status::Incomplete {
        outcome.result = Status::Failed;
    }
    outcome.retryable = failure.retryable;
    outcome.errors.insert(0, error_row(failure));
}

/// The only function that makes a row from a failure.
fn error_row(failure: Failure) -> ErrorRow {
    let Failure { code, call, resource, message, retryable } = failure;
    ErrorRow { code, call, resource, message, retryable }
}

/// Fills the rows of the outcome and sets its result.
pub fn report(outcome: &mut Outcome, case: &Case<'_>, facts: &Facts, results: Vec<ImageResult<'_>>, region: &str) {
    let request = case.request;
    let attempt = Attempt::new(case, facts, &results);
    outcome.result = attempt.result;
    outcome.retryable = attempt.may_succeed_later();
    outcome.errors.extend(attempt.failures.into_iter().map(error_row));
    outcome.refusals.extend(attempt.refusals);
    if let Some(next) = next_token(case, facts) {
        outcome.findings.get_or_insert_default();
        outcome.next_token = Some(next);
        for key in &facts.unfinished_keys {
            let later = "there are more grants for deregistered images than one repair handles: send `repair` again";
            outcome.warnings.push(format!("{key}: {later}"));
        }
    }
    outcome.nobodys_records.clone_from(&facts.nobodys_records);
    outcome.next_page.clone_from(&facts.next_page);
    if let Some(account) = request.shared_with {
        outcome.warnings.push(format!(
            "images that are shared with {account} only through its organization, an organizational unit or publicly are not \
             listed here: EC2 doesn't say which those are"
        ));
    }
    let is_stopped = results.iter().any(|result| result.decision.stops_whole(request.action));
    for result in results {
        if let Some(image) = facts.images.get(result.decision.image_id)
            && shows_image(request.action, &result)
        {
            let row = image_row(&Standing { case, image, result: &result, is_stopped }, region);
            let usage = usage::usage(case, facts, result.decision.image_id, image);
            outcome.images.push(ImageRow { usage, ..row });
        }
        if let Some(survey) = result.decision.survey() {
            add_survey(outcome, request.rows, survey);
        }
        for taken in result.steps.iter().filter(|taken| taken.is_passed_over()) {
            outcome.warnings.extend(taken.error.as_ref().and_then(|error| passed_over_warning(&taken.step, error)));
        }
        for warning in result.decision.warnings {
            if !outcome.warnings.contains(&warning) {
                outcome.warnings.push(warning);
            }
        }
    }
}

/// Adds what an audit found out about an image.
fn add_survey(outcome: &mut Outcome, has_rows: bool, survey: &Survey) {
    if has_rows {
        outcome.rows.get_or_insert_default().extend(survey.rows.iter().cloned());
    }
    let Some(findings) = &mut outcome.findings else { return };
    for finding in &survey.findings {
        // Images share parameters: a finding about a parameter is reported once.
        if !findings.contains(finding) {
            findings.push(finding.clone());
        }
    }
}

/// Reports that a share waits for approval, which was recorded now or before.
pub fn await_approval(outcome: &mut Outcome, approval: Waiting) {
    match outcome.result {
        Status::Completed | Status::Accepted => outcome.result = Status::Accepted,
        Status::Planned => {}
        Status::Refused | Status::Incomplete | Status::Failed => return,
    }
    for row in outcome.images.iter_mut().flat_map(|image| &mut image.targets) {
        if row.state != TargetState::AlreadyShared {
            (row.state, row.expires_at) = (TargetState::Waiting, None);
        }
    }
    outcome.approval = Some(approval);
}

/// What the caller should know about a step that was not carried out although the request continues.
fn passed_over_warning(step: &Step, error: &Failure) -> Option<String> {
    let Step::CopyImage(order) = step else { return role_warning(step, error) };
    Some(format!(
        "EC2 has not started the copy of {} yet, and the function will try again: {}",
        order.source, error.message
    ))
}

/// The warning about a service-linked role for which no grant could be created.
fn role_warning(step: &Step, error: &Failure) -> Option<String> {
    let Step::CreateGrant { kind: GranteeKind::Role(role), key, account, grantee, .. } = step else { return None };
    let operations = GranteeKind::Role(role.clone()).operations().join(" ");
    Some(format!(
        "`{role}` in {account} was not given a grant on {key} ({}); if the role does not exist there yet, create it and send the request again, \
         or run there: aws kms create-grant --region {} --key-id {key} --grantee-principal {grantee} --operations {operations}",
        error.message,
        key.region(),
    ))
}

/// Whether the image has a row: not if the requester may not ask about it, or if that is not known.
fn shows_image(action: Action, ImageResult { decision, steps, lost: _ }: &ImageResult<'_>) -> bool {
    if matches!(decision.decision, Decision::Unsettled(_)) {
        return false;
    }
    match action {
        Action::Check | Action::List | Action::Usage | Action::Share => {
            decision.rule.is_some() && !decision.blocks_reading()
        }
        Action::Revoke | Action::Reset => decision.refusals().is_empty(),
        // A repair shows only the images for which it had something to do.
        Action::Audit | Action::Repair => !steps.is_empty(),
        Action::Images | Action::Approvals | Action::Approve | Action::Reject => decision.rule.is_some(),
    }
}

fn image_row(standing: &Standing<'_>, region: &str) -> ImageRow {
    let Standing { case, image, result: ImageResult { decision, steps, lost: _ }, .. } = *standing;
    let action = case.request.action;
    let permissions = match action {
        Action::List | Action::Check => Some(permissions(image)),
        Action::Share
        | Action::Revoke
        | Action::Reset
        | Action::Usage
        | Action::Audit
        | Action::Repair
        | Action::Images
        | Action::Approvals
        | Action::Approve
        | Action::Reject => None,
    };
    let first_rule = decision.targets.first().and_then(|covered| decision.rule_for(*covered)).or(decision.rule);
    ImageRow {
        image_id: copies::image_id(image, standing.result),
        copy_of: copies::source(case, image),
        copy: copies::state(case, image, standing.result),
        name: image.name.clone(),
        region: region.to_owned(),
        tags: image.tags.clone(),
        shared_tags: shared_tags(&image.tags),
        watermarks: image.provenance.watermark_keys(),
        scan: image.provenance.scan.as_ref().map(scan_row),
        key_arns: image.keys().into_iter().cloned().collect(),
        changed: is_changed(action, image, steps),
        rule: first_rule.map(|rule| rule.name.clone()),
        steps: steps.iter().map(step_row).collect(),
        targets: target_rows(standing),
        keys: standing.keys(),
        permissions,
        catalogue: (action == Action::Images).then(|| catalogue::row(case, image)),
        usage: None,
    }
}

/// The rows of the requested targets; for a `list`, of everybody with whom the image is shared.
fn target_rows(standing: &Standing<'_>) -> Vec<TargetRow> {
    let Standing { case, image, result: ImageResult { decision, steps, lost: _ }, is_stopped, .. } = *standing;
    // If one image stops a share, nothing is done for any image.
    let is_refused = decision.prerequisites().is_none() || is_stopped;
    let is_check = case.request.action == Action::Check;
    let touched = touched(steps);
    let unshareable = decision.unshareable().iter().map(|(asked, _)| (*asked, None));
    let mut targets: Vec<_> = decision
        .targets
        .iter()
        .copied()
        .chain(unshareable)
        .map(|covered @ (asked, _)| {
            let state = match &decision.decision {
                Decision::Superseded(_) => as_read(image, &asked.target),
                Decision::Await(awaiting) if !is_stopped => copies::target_state(awaiting, steps),
                Decision::Await(_)
                | Decision::Share(_)
                | Decision::Refused(_)
                | Decision::Unsettled(_)
                | Decision::TakeAway(_)
                | Decision::Look(_)
                | Decision::Usage(_)
                | Decision::Survey(_) => target_state(case, image, steps, &touched, &asked.target, is_refused),
            };
            TargetRow {
                target: asked.target.clone(),
                name: name(case, &asked.target),
                state,
                launch: standing.launch(&asked.target),
                accepted: is_check.then(|| decision.accepts(image, &asked.target)),
                expires_at: expires_at(image, decision.prerequisites().filter(|_| !is_refused), &asked.target, state),
                rule: decision.rule_for(covered).map(|rule| rule.name.clone()),
                detail: detail(case, state, image, &asked.target),
            }
        })
        .collect();
    targets.extend(decision.left_as_they_are().iter().map(|(asked, rule)| TargetRow {
        target: asked.target.clone(),
        name: name(case, &asked.target),
        state: TargetState::AlreadyShared,
        launch: None,
        accepted: None,
        expires_at: expiry_time(image, &asked.target),
        rule: rule.map(|rule| rule.name.clone()),
        detail: None,
    }));
    if case.request.action == Action::List {
        targets.extend(listed(case, image));
    }
    targets
}

fn scan_row(scan: &Scan) -> ScanRow {
    ScanRow { severity: scan.highest.as_str().map(str::to_owned), at: scan.at }
}

/// When the share with a target expires, if there is a share.
fn expires_at(
    image: &Image,
    prerequisites: Option<&Prerequisites>,
    target: &Target,
    state: TargetState,
) -> Option<OffsetDateTime> {
    let is_shared = matches!(state, TargetState::Shared | TargetState::AlreadyShared);
    let new = prerequisites.and_then(|first| first.expiries.iter().find(|expiry| expiry.target == *target));
    let new = new.map(|expiry| expiry.at);
    new.or_else(|| expiry_time(image, target)).filter(|_| is_shared)
}

fn expiry_time(image: &Image, target: &Target) -> Option<OffsetDateTime> {
    image.expiry_of(target).map(|expiry| expiry.at)
}

fn as_read(image: &Image, target: &Target) -> TargetState {
    match (image.is_shared_with(target), copies::is_waiting(image, target)) {
        (true, _) => TargetState::Shared,
        (false, true) => TargetState::Waiting,
        (false, false) => TargetState::NotShared,
    }
}

/// The name of an account in the directory.
fn name(case: &Case<'_>, target: &Target) -> Option<String> {
    case.allowlist.name_of(target).map(str::to_owned)
}

/// A row for each target that the image is shared with, or whose share waits for it.
fn listed(case: &Case<'_>, image: &Image) -> Vec<TargetRow> {
    let mut targets = image.shared_targets();
    let mut waiting: Vec<_> = image.waiting.iter().flatten().flat_map(CopyRecord::targets).cloned().collect();
    waiting.sort_unstable();
    waiting.dedup();
    waiting.retain(|target| copies::is_waiting(image, target));
    targets.extend(waiting);
    let row = |target: Target| TargetRow {
        name: name(case, &target),
        state: as_read(image, &target),
        launch: None,
        accepted: None,
        expires_at: expiry_time(image, &target),
        rule: None,
        detail: None,
        target,
    };
    targets.into_iter().map(row).collect()
}

fn step_row(result: &StepResult) -> StepRow {
    StepRow {
        call: result.step.call(),
        resource: result.step.resource(),
        grant_name: result.step.grant_name().map(str::to_owned),
        add: result.step.adds(),
        remove: result.step.removes(),
        state: result.state,
        detail: step_detail(result),
    }
}

/// What AWS's acceptance of a step does not mean yet.
fn step_detail(result: &StepResult) -> Option<String> {
    let Step::PutParameter(Publication { image_id, .. }) = &result.step else { return None };
    (result.state == StepState::Done).then(|| {
        format!("{image_id} was sent; Parameter Store validates it afterwards, and keeps the value before if it is not valid")
    })
}

/// What the steps of a request did about a target.
#[derive(Debug, Clone, Copy, Default)]
struct Touch {
    has_failed: bool,
    is_taken_from: bool,
}

/// What the steps did about each target that they name. Steps without which a request counts as completed are left out.
fn touched(steps: &[StepResult]) -> BTreeMap<Target, Touch> {
    let mut touched = BTreeMap::<_, Touch>::new();
    for StepResult { step, state, .. } in steps.iter().filter(|result| !result.step.is_best_effort()) {
        let has_failed = matches!(state, StepState::Failed | StepState::Skipped);
        let given = step.adds().into_iter().map(|target| (target, false));
        let taken = step.removes().into_iter().map(|target| (target, true));
        for (target, is_taken) in given.chain(taken) {
            let touch = touched.entry(target).or_default();
            touch.has_failed |= has_failed;
            touch.is_taken_from |= is_taken;
        }
    }
    touched
}

fn target_state(
    case: &Case<'_>,
    image: &Image,
    steps: &[StepResult],
    touched: &BTreeMap<Target, Touch>,
    target: &Target,
    is_refused: bool,
) -> TargetState {
    let was_shared = image.is_shared_with(target);
    let touch = touched.get(target);
    let has_failed = touch.is_some_and(|touch| touch.has_failed);
    // If a share removes something, it undoes itself.
    let is_taken_back = touch.is_some_and(|touch| touch.is_taken_from);
    match case.request.action {
        Action::Share if is_refused => as_read(image, target),
        Action::Share if is_taken_back => TargetState::Failed,
        Action::Share | Action::Revoke if has_failed => TargetState::Failed,
        Action::Share if was_shared && touch.is_none() => TargetState::AlreadyShared,
        Action::Share => TargetState::Shared,
        Action::Revoke => match (remaining(case.allowlist, image, target), was_shared) {
            (Remaining::Surely(_), _) => TargetState::StillReachable,
            (Remaining::Maybe(_) | Remaining::Unread(_), _) => TargetState::MaybeReachable,
            (Remaining::Nothing, true) => TargetState::Revoked,
            (Remaining::Nothing, false) if copies::is_withdrawn(steps, target) => TargetState::Revoked,
            (Remaining::Nothing, false) => TargetState::NotShared,
        },
        Action::Check
        | Action::List
        | Action::Usage
        | Action::Reset
        | Action::Audit
        | Action::Repair
        | Action::Images
        | Action::Approvals
        | Action::Approve
        | Action::Reject => as_read(image, target),
    }
}

fn detail(case: &Case<'_>, state: TargetState, image: &Image, target: &Target) -> Option<String> {
    match state {
        TargetState::StillReachable | TargetState::MaybeReachable => {
            let why = remaining(case.allowlist, image, target).why()?;
            Some(format!("it has no launch permission of its own now; {why}"))
        }
        TargetState::Shared
        | TargetState::AlreadyShared
        | TargetState::Revoked
        | TargetState::NotShared
        | TargetState::Waiting
        | TargetState::Failed => None,
    }
}

/// Who has access, sorted: EC2's order is not stable, and callers compare answers.
fn permissions(image: &Image) -> Permissions {
    let mut launch: Vec<_> = image
        .launch_permissions
        .iter()
        .flatten()
        .map(|entry| LaunchRow { kind: entry.kind(), id: entry.id() })
        .collect();
    launch.sort_by(|one, other| (one.kind, &one.id).cmp(&(other.kind, &other.id)));
    let copy = image.known_snapshots().map(|snapshot| {
        let mut account_ids = snapshot.create_volume_permissions.known().map(|known| known.accounts.clone());
        if let Some(account_ids) = &mut account_ids {
            account_ids.sort_unstable();
        }
        CopyRow { snapshot_id: snapshot.id.clone(), account_ids }
    });
    let unread = image.unread_snapshots().map(|(id, _)| CopyRow { snapshot_id: id.clone(), account_ids: None });
    let copy = copy.chain(unread).collect();
    Permissions { launch, copy }
}
