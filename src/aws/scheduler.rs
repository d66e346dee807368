//! Owns the EventBridge Scheduler calls. `sharing::records` defines what the schedules mean.

use aws_sdk_scheduler::{
    operation::{
        create_schedule::CreateScheduleError,
        delete_schedule::DeleteScheduleError,
        get_schedule::{GetScheduleError, GetScheduleOutput},
    },
    primitives::DateTime,
    types::{
        ActionAfterCompletion, DeadLetterConfig, EventBridgeParameters, FlexibleTimeWindow, FlexibleTimeWindowMode,
        ScheduleState, Target,
    },
};
use sharing::records::Schedule;
use time::OffsetDateTime;

use super::{Aws, CallError, error::SdkError};

/// The most pages of 100 names that are read. An account may have a million schedules, and reading more pages than this
/// would take too long. <https://docs.aws.amazon.com/scheduler/latest/UserGuide/scheduler-quotas.html>
const MAX_PAGES: usize = 1_000;

impl Aws {
    /// The names of the schedules in a group that begin with `prefix`.
    pub async fn schedule_names(&self, group: &str, prefix: Option<&str>) -> Result<Vec<String>, CallError> {
        const CALL: &str = "scheduler:ListSchedules";
        let call = self.scheduler.list_schedules().group_name(group);
        let call = call.set_name_prefix(prefix.map(str::to_owned)).max_results(100);
        let about = prefix.unwrap_or(group);
        let mut names = Vec::new();
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let page = self.patience.ask(CALL, about, || call.clone().set_next_token(next.clone()).send()).await?;
            names.extend(page.schedules().iter().filter_map(|schedule| schedule.name().map(str::to_owned)));
            next = page.next_token;
            if next.is_none() {
                return Ok(names);
            }
        }
        Err(CallError::unexpected(CALL, about, "the list of schedules has no end"))
    }

    /// The schedule of that name, if there is one.
    pub async fn schedule(&self, group: &str, name: &str) -> Result<Option<Schedule>, CallError> {
        let call = self.scheduler.get_schedule().group_name(group).name(name);
        let asked = self.patience.ask("scheduler:GetSchedule", name, || {
            let call = call.clone();
            async move {
                match call.send().await {
                    Ok(schedule) => Ok(Some(schedule)),
                    Err(error) if is(&error, GetScheduleError::is_resource_not_found_exception) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        });
        Ok(asked.await?.as_ref().map(schedule))
    }

    /// Creates a schedule. Returns `false` if a schedule of that name exists.
    pub async fn create_schedule(
        &self,
        group: &str,
        name: &str,
        schedule: &Schedule,
        role_arn: &str,
        dead_letter_arn: Option<&str>,
    ) -> Result<bool, CallError> {
        const CALL: &str = "scheduler:CreateSchedule";
        let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build();
        let parameters = EventBridgeParameters::builder().detail_type(&schedule.detail_type).source(&schedule.source);
        // https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html
        let dead_letters = dead_letter_arn.map(|arn| DeadLetterConfig::builder().arn(arn).build());
        let target = parameters.build().and_then(|parameters| {
            let target = Target::builder().arn(&schedule.bus_arn).role_arn(role_arn);
            let target = target.set_dead_letter_config(dead_letters);
            target.event_bridge_parameters(parameters).input(&schedule.input).build()
        });
        let (Ok(window), Ok(target)) = (window, target) else {
            return Err(CallError::unexpected(CALL, name, "a required part is missing"));
        };
        let state = if schedule.is_enabled { ScheduleState::Enabled } else { ScheduleState::Disabled };
        let after = if schedule.is_deleted_after { ActionAfterCompletion::Delete } else { ActionAfterCompletion::None };
        let call = self
            .scheduler
            .create_schedule()
            .group_name(group)
            .name(name)
            .schedule_expression(&schedule.expression)
            .set_schedule_expression_timezone(schedule.timezone.clone())
            .flexible_time_window(window)
            .state(state)
            .set_start_date(schedule.starts_at.map(to_aws))
            .set_end_date(schedule.ends_at.map(to_aws))
            .action_after_completion(after)
            .target(target);
        let asked = self.patience.ask(CALL, name, || {
            let call = call.clone();
            async move {
                match call.send().await {
                    Ok(_) => Ok(true),
                    Err(error) if is(&error, CreateScheduleError::is_conflict_exception) => Ok(false),
                    Err(error) => Err(error),
                }
            }
        });
        asked.await
    }

    /// Deletes a schedule. A schedule that does not exist counts as deleted.
    pub async fn delete_schedule(&self, group: &str, name: &str) -> Result<(), CallError> {
        let call = self.scheduler.delete_schedule().group_name(group).name(name);
        let asked = self.patience.ask("scheduler:DeleteSchedule", name, || {
            let call = call.clone();
            async move {
                match call.send().await {
                    Err(error) if !is(&error, DeleteScheduleError::is_resource_not_found_exception) => Err(error),
                    Ok(_) | Err(_) => Ok(()),
                }
            }
        });
        asked.await
    }
}

/// Whether the service answered with that error.
fn is<E>(error: &SdkError<E>, kind: impl Fn(&E) -> bool) -> bool {
    error.as_service_error().is_some_and(kind)
}

/// In whole seconds, as Scheduler keeps them.
fn to_aws(time: OffsetDateTime) -> DateTime {
    DateTime::from_secs(time.unix_timestamp())
}

fn from_aws(time: &DateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(time.secs()).ok()
}

fn schedule(answer: &GetScheduleOutput) -> Schedule {
    let target = answer.target();
    let parameters = target.and_then(Target::event_bridge_parameters);
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Schedule {
        expression: text(answer.schedule_expression()),
        timezone: answer.schedule_expression_timezone().map(str::to_owned),
        is_enabled: answer.state() == Some(&ScheduleState::Enabled),
        starts_at: answer.start_date().and_then(from_aws),
        ends_at: answer.end_date().and_then(from_aws),
        is_deleted_after: answer.action_after_completion() == Some(&ActionAfterCompletion::Delete),
        bus_arn: text(target.map(Target::arn)),
        source: text(parameters.map(EventBridgeParameters::source)),
        detail_type: text(parameters.map(EventBridgeParameters::detail_type)),
        input: text(target.and_then(Target::input)),
    }
}
