//! Owns the log of the planned writes.

use sharing::plan::Step;

/// Logs every step before it is carried out.
pub(super) fn log_plan(request_id: &str, steps: &[Step], dry_run: bool) {
    for step in steps {
        tracing::info!(
            request.id = request_id,
            plan.call = step.call(),
            plan.resource = step.resource(),
            plan.grant = step.grant_name().unwrap_or_default(),
            plan.add = ?step.adds().iter().map(ToString::to_string).collect::<Vec<_>>(),
            plan.remove = ?step.removes().iter().map(ToString::to_string).collect::<Vec<_>>(),
            dry_run,
            "planned {} on {}",
            step.call(),
            step.resource()
        );
    }
}
