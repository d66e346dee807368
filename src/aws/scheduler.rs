//! Owns the EventBridge Scheduler calls: the schedules that end shares.
//!
//! The schedule is the record of a share's end. It is never deleted by itself (`ActionAfterCompletion: NONE`), so that an
//! end that was missed can still be found.

use aws_sdk_scheduler::{
    operation::{
        create_schedule::CreateScheduleError, delete_schedule::DeleteScheduleError, get_schedule::GetScheduleError,
    },
    types::{ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, Target},
};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, PrimitiveDateTime, macros::format_description};

use super::{Aws, CallError, error::SdkError};
use crate::{
    domain::{self, FunctionArn, ImageId, KeyArn, ScheduleName, SnapshotId},
    facts::End,
};

/// Where schedules live and whom they wake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedules {
    /// The schedule group, which holds nothing else.
    pub group: String,
    /// The role by which Scheduler invokes the function.
    pub role_arn: String,
}

/// At most so many pages of 100 names are read: an account has a million schedules at most, and a list that goes on
/// longer than this is not one to wait for. <https://docs.aws.amazon.com/scheduler/latest/UserGuide/scheduler-quotas.html>
const MAX_PAGES: usize = 1_000;

/// What a schedule sends, which is also what it remembers.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    action: String,
    schedule: ScheduleName,
    image_id: ImageId,
    target: domain::Target,
    snapshot_ids: Vec<SnapshotId>,
    key_arns: Vec<KeyArn>,
}

impl Aws {
    /// The names of an image's schedules, or those of all images.
    pub async fn end_names(
        &self,
        schedules: &Schedules,
        image_id: Option<&ImageId>,
    ) -> Result<Vec<ScheduleName>, CallError> {
        const CALL: &str = "scheduler:ListSchedules";
        let prefix = image_id.map(ScheduleName::prefix);
        let call = self.scheduler.list_schedules().group_name(&schedules.group).set_name_prefix(prefix);
        let call = call.max_results(100);
        let about = image_id.map_or(schedules.group.as_str(), ImageId::as_str);
        let mut names = Vec::new();
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let page = self.ask(CALL, about, || call.clone().set_next_token(next.clone()).send()).await?;
            // A schedule of another form was put there by somebody else and is none of ours.
            names.extend(page.schedules().iter().filter_map(|schedule| schedule.name()?.parse().ok()));
            next = page.next_token;
            if next.is_none() {
                return Ok(names);
            }
        }
        Err(CallError::unexpected(CALL, about, "the list of schedules has no end"))
    }

    /// The end of a share, or nothing where there is no such schedule.
    pub async fn end(&self, schedules: &Schedules, name: &ScheduleName) -> Result<Option<End>, CallError> {
        const CALL: &str = "scheduler:GetSchedule";
        let call = self.scheduler.get_schedule().group_name(&schedules.group).name(name.as_str());
        let asked = self.ask(CALL, name.as_str(), || {
            let call = call.clone();
            async move {
                match call.send().await {
                    Ok(schedule) => Ok(Some(schedule)),
                    Err(error) if is(&error, GetScheduleError::is_resource_not_found_exception) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        });
        let Some(schedule) = asked.await? else { return Ok(None) };
        let at = schedule.schedule_expression().and_then(parse_at);
        let input = schedule.target().and_then(|target| target.input());
        let input = input.and_then(|input| serde_json::from_str::<Input>(input).ok());
        match (at, input) {
            (Some(at), Some(input))
                if input.schedule == *name && ScheduleName::new(&input.image_id, &input.target) == *name =>
            {
                let Input { image_id, target, snapshot_ids, key_arns, .. } = input;
                Ok(Some(End { name: name.clone(), at, image_id, target, snapshot_ids, key_arns }))
            }
            _ => Err(CallError::unexpected(CALL, name.as_str(), "the schedule was not written by this function")),
        }
    }

    /// Writes a share's end down.
    pub async fn put_end(
        &self,
        schedules: &Schedules,
        function_arn: &FunctionArn,
        end: &End,
        replaces: bool,
    ) -> Result<(), CallError> {
        let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build();
        let target =
            Target::builder().arn(function_arn.as_str()).role_arn(&schedules.role_arn).input(input(end)).build();
        let (Ok(window), Ok(target)) = (window, target) else {
            return Err(CallError::unexpected(
                "scheduler:CreateSchedule",
                end.name.as_str(),
                "a required part is missing",
            ));
        };
        // Create and Update take the same parts, by builders that have no trait in common.
        macro_rules! of_this_end {
            ($call:expr) => {
                $call
                    .group_name(&schedules.group)
                    .name(end.name.as_str())
                    .schedule_expression(at(end.at))
                    .schedule_expression_timezone("UTC")
                    .flexible_time_window(window.clone())
                    .action_after_completion(ActionAfterCompletion::None)
                    .target(target.clone())
            };
        }
        if !replaces {
            let call = of_this_end!(self.scheduler.create_schedule());
            let asked = self.ask("scheduler:CreateSchedule", end.name.as_str(), || {
                let call = call.clone();
                async move {
                    match call.send().await {
                        Ok(_) => Ok(true),
                        // The list lagged, or a try before this one got so far: then it is replaced.
                        Err(error) if is(&error, CreateScheduleError::is_conflict_exception) => Ok(false),
                        Err(error) => Err(error),
                    }
                }
            });
            if asked.await? {
                return Ok(());
            }
        }
        let call = of_this_end!(self.scheduler.update_schedule());
        self.ask("scheduler:UpdateSchedule", end.name.as_str(), || call.clone().send()).await.map(|_| ())
    }

    /// Deletes a share's end; one that is gone already is as good as deleted.
    pub async fn delete_end(&self, schedules: &Schedules, name: &ScheduleName) -> Result<(), CallError> {
        let call = self.scheduler.delete_schedule().group_name(&schedules.group).name(name.as_str());
        let asked = self.ask("scheduler:DeleteSchedule", name.as_str(), || {
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

fn input(end: &End) -> String {
    let End { name, at: _, image_id, target, snapshot_ids, key_arns } = end.clone();
    let input = Input { action: "expire".to_owned(), schedule: name, image_id, target, snapshot_ids, key_arns };
    serde_json::json!(input).to_string()
}

/// `at(yyyy-mm-ddThh:mm:ss)`: <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#one-time>
fn at(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let time = time.to_offset(time::UtcOffset::UTC).format(&format).unwrap_or_default();
    format!("at({time})")
}

fn parse_at(expression: &str) -> Option<OffsetDateTime> {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let text = expression.strip_prefix("at(")?.strip_suffix(')')?;
    PrimitiveDateTime::parse(text, &format).ok().map(PrimitiveDateTime::assume_utc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_utc_and_read_back() {
        let time = time::macros::datetime!(2027-01-31 13:00:05 +01:00);
        assert_eq!(at(time), "at(2027-01-31T12:00:05)");
        assert_eq!(parse_at(&at(time)), Some(time));
        assert_eq!(parse_at("rate(1 minute)"), None);
    }
}
