//! Owns the EventBridge Scheduler calls: the schedules that record when shares expire.
//!
//! A record is created and deleted, and never updated. Scheduler doesn't delete it after it has fired
//! (`ActionAfterCompletion: NONE`), so that an expiry that was missed can still be found.

use aws_sdk_scheduler::{
    operation::{
        create_schedule::CreateScheduleError,
        delete_schedule::DeleteScheduleError,
        get_schedule::{GetScheduleError, GetScheduleOutput},
    },
    types::{
        ActionAfterCompletion, DeadLetterConfig, EventBridgeParameters, FlexibleTimeWindow, FlexibleTimeWindowMode,
        ScheduleState, Target,
    },
};
use serde::{Deserialize, Serialize};
use sharing::{
    domain::{self, ExpiryName, ImageId, KeyArn, SnapshotId},
    facts::{Expiry, Recorded},
};
use time::{OffsetDateTime, PrimitiveDateTime, macros::format_description};
use triggers::{EXPIRY_DETAIL_TYPE, EXPIRY_SOURCE};

use super::{Aws, CallError, error::SdkError};

/// Where the records of expiries are, and where Scheduler puts their hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedules {
    /// The schedule group, which holds nothing but records.
    pub group: String,
    /// The role by which Scheduler puts events on the bus.
    pub role_arn: String,
    /// The ARN of the bus that requests come by.
    pub bus_arn: String,
    /// The ARN of the queue for the hints that Scheduler can't deliver, if there is one.
    pub dead_letter_arn: Option<String>,
}

/// At most so many pages of 100 names are read: an account has a million schedules at most, and a list that goes on
/// longer than this is not one to wait for. <https://docs.aws.amazon.com/scheduler/latest/UserGuide/scheduler-quotas.html>
const MAX_PAGES: usize = 1_000;

/// In which times of expressions are.
const TIMEZONE: &str = "UTC";

/// The detail of the event that a schedule sends, which is also what it records.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    action: String,
    schedule: ExpiryName,
    image_id: ImageId,
    target: domain::Target,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    snapshot_ids: Vec<SnapshotId>,
    key_arns: Vec<KeyArn>,
}

impl Aws {
    /// The names of the records that begin so, in the order of their names.
    pub async fn expiry_names(
        &self,
        schedules: &Schedules,
        prefix: Option<&str>,
    ) -> Result<Vec<ExpiryName>, CallError> {
        const CALL: &str = "scheduler:ListSchedules";
        let call = self.scheduler.list_schedules().group_name(&schedules.group);
        let call = call.set_name_prefix(prefix.map(str::to_owned)).max_results(100);
        let about = prefix.unwrap_or(&schedules.group);
        let mut names = Vec::new();
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let page = self.ask(CALL, about, || call.clone().set_next_token(next.clone()).send()).await?;
            // A schedule with a name of another form is no record.
            names.extend(page.schedules().iter().filter_map(|schedule| schedule.name()?.parse::<ExpiryName>().ok()));
            next = page.next_token;
            if next.is_none() {
                names.sort_unstable();
                return Ok(names);
            }
        }
        Err(CallError::unexpected(CALL, about, "the list of schedules has no end"))
    }

    /// What is there under the name of a record.
    pub async fn expiry(&self, schedules: &Schedules, name: &ExpiryName) -> Result<Recorded, CallError> {
        let call = self.scheduler.get_schedule().group_name(&schedules.group).name(name.as_str());
        let asked = self.ask("scheduler:GetSchedule", name.as_str(), || {
            let call = call.clone();
            async move {
                match call.send().await {
                    Ok(schedule) => Ok(Some(schedule)),
                    Err(error) if is(&error, GetScheduleError::is_resource_not_found_exception) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        });
        let Some(schedule) = asked.await? else { return Ok(Recorded::Nothing) };
        Ok(match record(schedules, name, &schedule) {
            Ok(expiry) => Recorded::Expiry(expiry),
            Err(why) => Recorded::Nobodys { why: why.to_owned() },
        })
    }

    /// Records an expiry. The same record that is there already is as good as created: then a try before this one got so
    /// far, or another request was first.
    pub async fn create_expiry(&self, schedules: &Schedules, expiry: &Expiry) -> Result<(), CallError> {
        const CALL: &str = "scheduler:CreateSchedule";
        let name = expiry.name.as_str();
        let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build();
        let parameters = EventBridgeParameters::builder().detail_type(EXPIRY_DETAIL_TYPE).source(EXPIRY_SOURCE).build();
        // https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html
        let dead_letters = schedules.dead_letter_arn.as_ref().map(|arn| DeadLetterConfig::builder().arn(arn).build());
        let target = parameters.and_then(|parameters| {
            let target = Target::builder().arn(&schedules.bus_arn).role_arn(&schedules.role_arn);
            let target = target.set_dead_letter_config(dead_letters);
            target.event_bridge_parameters(parameters).input(input(expiry)).build()
        });
        let (Ok(window), Ok(target)) = (window, target) else {
            return Err(CallError::unexpected(CALL, name, "a required part is missing"));
        };
        let call = self
            .scheduler
            .create_schedule()
            .group_name(&schedules.group)
            .name(name)
            .schedule_expression(at(expiry.at))
            .schedule_expression_timezone(TIMEZONE)
            .flexible_time_window(window)
            .state(ScheduleState::Enabled)
            .action_after_completion(ActionAfterCompletion::None)
            .target(target);
        let asked = self.ask(CALL, name, || {
            let call = call.clone();
            async move {
                match call.send().await {
                    Ok(_) => Ok(true),
                    Err(error) if is(&error, CreateScheduleError::is_conflict_exception) => Ok(false),
                    Err(error) => Err(error),
                }
            }
        });
        if asked.await? {
            return Ok(());
        }
        match self.expiry(schedules, &expiry.name).await? {
            Recorded::Expiry(there) if there == *expiry => Ok(()),
            Recorded::Expiry(_) => Err(taken(schedules, name, "it records another expiry")),
            Recorded::Nobodys { why } => Err(taken(schedules, name, &why)),
            Recorded::Nothing => Err(CallError::passing(CALL, name, "the record was deleted meanwhile")),
        }
    }

    /// Deletes a record; one that is not there any more is as good as deleted.
    pub async fn delete_expiry(&self, schedules: &Schedules, name: &ExpiryName) -> Result<(), CallError> {
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

/// The name of a record is taken by a schedule that isn't this record.
fn taken(schedules: &Schedules, name: &str, why: &str) -> CallError {
    let group = &schedules.group;
    CallError::unexpected(
        "scheduler:CreateSchedule",
        name,
        &format!(
            "a schedule of this name is there and is not this record: {why}. Find out who wrote it, delete it with \
             `aws scheduler delete-schedule --group-name {group} --name {name}`, and send the request again"
        ),
    )
}

/// Reads a schedule as the record of that name, or says what is wrong with it.
///
/// Its role and its dead-letter queue are not compared: a record whose role was replaced sends no hint, and a repair must
/// still find it.
fn record(schedules: &Schedules, name: &ExpiryName, schedule: &GetScheduleOutput) -> Result<Expiry, &'static str> {
    let target = schedule.target().ok_or("it has no target")?;
    let input = target.input().and_then(|input| serde_json::from_str::<Input>(input).ok());
    let input = input.ok_or("its input is not that of a record")?;
    let at = schedule.schedule_expression().and_then(parse_at).ok_or("its expression is not a time")?;
    let Input { action, schedule: named, image_id, target: shared_with, expires_at, snapshot_ids, key_arns } = input;
    if action != "expire" || named != *name {
        return Err("its input is that of another record");
    }
    if expires_at != at || ExpiryName::new(&image_id, &shared_with, at).as_ref() != Some(name) {
        return Err("its name, expression and input disagree");
    }
    if schedule.schedule_expression_timezone().is_some_and(|timezone| timezone != TIMEZONE) {
        return Err("its expression is not in UTC");
    }
    if schedule.state() != Some(&ScheduleState::Enabled) {
        return Err("it is not enabled");
    }
    let parameters = target.event_bridge_parameters();
    let is_hint = |it: &EventBridgeParameters| it.detail_type() == EXPIRY_DETAIL_TYPE && it.source() == EXPIRY_SOURCE;
    if target.arn() != schedules.bus_arn || !parameters.is_some_and(is_hint) {
        return Err("its target is not the bus of this function");
    }
    Ok(Expiry { name: name.clone(), at, image_id, target: shared_with, snapshot_ids, key_arns })
}

/// Whether the service answered with that error.
fn is<E>(error: &SdkError<E>, kind: impl Fn(&E) -> bool) -> bool {
    error.as_service_error().is_some_and(kind)
}

fn input(expiry: &Expiry) -> String {
    let Expiry { name: schedule, at: expires_at, image_id, target, snapshot_ids, key_arns } = expiry.clone();
    let action = "expire".to_owned();
    let input = Input { action, schedule, image_id, target, expires_at, snapshot_ids, key_arns };
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
