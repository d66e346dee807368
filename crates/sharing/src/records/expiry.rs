//! Owns [`Expiry`]: the record of when a share expires, and its text.

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset, macros::format_description};

use super::Schedule;
use crate::domain::{ExpiryName, ImageId, KeyArn, SnapshotId, Target};

/// The version of the text. As in a request it is optional, and it is not written.
const VERSION: &str = "1";

/// When a share expires, and what to remove then: the content of a record, which never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// The record's name.
    pub name: ExpiryName,
    /// The expiry time, in whole seconds.
    pub at: OffsetDateTime,
    /// The image.
    pub image_id: ImageId,
    /// The target.
    pub target: Target,
    /// The snapshots of the image when it was shared.
    pub snapshot_ids: Vec<SnapshotId>,
    /// The keys of these snapshots at that time.
    pub key_arns: Vec<KeyArn>,
}

/// The text of the record, which is also the detail of its hints.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    action: String,
    schedule: ExpiryName,
    image_id: ImageId,
    target: Target,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    snapshot_ids: Vec<SnapshotId>,
    key_arns: Vec<KeyArn>,
}

impl Expiry {
    pub(super) fn schedule(&self, bus_arn: &str) -> Schedule {
        let Self { name: schedule, at: expires_at, image_id, target, snapshot_ids, key_arns } = self.clone();
        let (version, action) = (None, "expire".to_owned());
        let input = Input { version, action, schedule, image_id, target, expires_at, snapshot_ids, key_arns };
        Schedule::new(at(self.at), serde_json::json!(input).to_string(), bus_arn)
    }

    pub(super) fn read(name: &ExpiryName, schedule: &Schedule, bus_arn: &str) -> Result<Self, &'static str> {
        let input: Input = serde_json::from_str(&schedule.input).map_err(|_| "its input is not that of a record")?;
        let at = parse_at(&schedule.expression).ok_or("its expression is not a time")?;
        let Input { version, action, schedule: named, image_id, target, expires_at, snapshot_ids, key_arns } = input;
        if version.is_some_and(|version| version != VERSION) {
            return Err("its input has another version than this function reads");
        }
        if action != "expire" || named != *name {
            return Err("its input is that of another record");
        }
        if expires_at != at || ExpiryName::new(&image_id, &target, at).as_ref() != Some(name) {
            return Err("its name, expression and input disagree");
        }
        schedule.check(bus_arn)?;
        Ok(Self { name: name.clone(), at, image_id, target, snapshot_ids, key_arns })
    }
}

/// `at(yyyy-mm-ddThh:mm:ss)`: <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#one-time>
pub(super) fn at(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let time = time.to_offset(UtcOffset::UTC).format(&format).unwrap_or_default();
    format!("at({time})")
}

pub(super) fn parse_at(expression: &str) -> Option<OffsetDateTime> {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let text = expression.strip_prefix("at(")?.strip_suffix(')')?;
    PrimitiveDateTime::parse(text, &format).ok().map(PrimitiveDateTime::assume_utc)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;
    use crate::records::{Record, RecordName};

    const BUS: &str = "arn:aws:events:eu-west-1:999988887777:event-bus/ami-share";
    const AT: OffsetDateTime = datetime!(2027-01-31 12:00 UTC);

    fn expiry() -> Record {
        let image_id: ImageId = "ami-0123456789abcdef0".parse().unwrap();
        let target: Target = "111122223333".parse().unwrap();
        let name = ExpiryName::new(&image_id, &target, AT).unwrap();
        let snapshot_ids = vec!["snap-0123456789abcdef0".parse().unwrap()];
        let key_arns =
            vec!["arn:aws:kms:eu-west-1:999988887777:key/00000000-0000-0000-0000-000000000001".parse().unwrap()];
        Record::Expiry(Expiry { name, at: AT, image_id, target, snapshot_ids, key_arns })
    }

    #[test]
    fn a_time_is_written_in_utc_and_read_back() {
        let time = datetime!(2027-01-31 13:00:05 +01:00);
        assert_eq!(at(time), "at(2027-01-31T12:00:05)");
        assert_eq!(parse_at(&at(time)), Some(time));
        assert_eq!(parse_at("rate(1 minute)"), None);
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = expiry();
        let schedule = record.schedule(BUS, AT);
        assert_eq!(schedule.expression, "at(2027-01-31T12:00:00)");
        assert_eq!(
            serde_json::from_str::<Value>(&schedule.input).unwrap(),
            json!({
                "action": "expire",
                "schedule": "ami-0123456789abcdef0-aeb221660ff09134bb3a46b295554820-6b5f2240",
                "imageId": "ami-0123456789abcdef0",
                "target": "111122223333",
                "expiresAt": "2027-01-31T12:00:00Z",
                "snapshotIds": ["snap-0123456789abcdef0"],
                "keyArns": ["arn:aws:kms:eu-west-1:999988887777:key/00000000-0000-0000-0000-000000000001"],
            })
        );
        assert_eq!(Record::read(&record.name(), &schedule, BUS), Ok(record.clone()));
        assert_eq!(record.name().as_str().parse(), Ok(record.name()));
        // Scheduler leaves the time zone out where it is UTC.
        let schedule = Schedule { timezone: None, ..schedule };
        assert_eq!(Record::read(&record.name(), &schedule, BUS), Ok(record));
    }

    /// Checks that a schedule with this change is nobody's record, and why.
    #[track_caller]
    fn nobodys(change: impl FnOnce(&mut Schedule), why: &str) {
        let mut schedule = expiry().schedule(BUS, AT);
        change(&mut schedule);
        let error = Record::read(&expiry().name(), &schedule, BUS).unwrap_err();
        assert!(error.contains(why), "{error} should say {why}");
    }

    /// The same for a change of one field of the input.
    #[track_caller]
    fn nobodys_input(field: &str, value: Value, why: &str) {
        nobodys(
            |schedule| {
                let mut input: Value = serde_json::from_str(&schedule.input).unwrap();
                input[field] = value;
                schedule.input = input.to_string();
            },
            why,
        );
    }

    #[test]
    fn a_schedule_that_says_anything_else_is_nobodys_record() {
        nobodys(|it| it.input.clear(), "input is not that of a record");
        nobodys(|it| it.input.insert(0, '['), "input is not that of a record");
        nobodys(|it| it.expression = "rate(1 minute)".to_owned(), "not a time");
        nobodys(|it| it.expression = "at(2027-01-31T12:00:01)".to_owned(), "disagree");
        nobodys(|it| it.timezone = Some("Europe/Berlin".to_owned()), "not in UTC");
        nobodys(|it| it.is_enabled = false, "not enabled");
        nobodys(|it| it.bus_arn.push('2'), "not the bus");
        nobodys(|it| it.source = "ami-share".to_owned(), "not the bus");
        nobodys(|it| it.detail_type.clear(), "not the bus");

        nobodys_input("version", json!("2"), "another version");
        nobodys_input("version", json!(2), "input is not that of a record");
        nobodys_input("action", json!("share"), "another record");
        let other = "ami-0123456789abcdef0-aeb221660ff09134bb3a46b295554820-6b5f2241";
        nobodys_input("schedule", json!(other), "another record");
        nobodys_input("schedule", json!("mine"), "input is not that of a record");
        nobodys_input("imageId", json!("ami-0123456789abcdef1"), "disagree");
        nobodys_input("target", json!("222233334444"), "disagree");
        nobodys_input("expiresAt", json!("2027-01-31T12:00:01Z"), "disagree");
        nobodys_input("snapshotIds", json!(["all"]), "input is not that of a record");
        nobodys_input("keyArns", json!(null), "input is not that of a record");
    }

    #[test]
    fn the_version_may_be_left_out_or_said() {
        let mut schedule = expiry().schedule(BUS, AT);
        schedule.input = schedule.input.replacen('{', r#"{"version":"1","#, 1);
        assert_eq!(Record::read(&expiry().name(), &schedule, BUS), Ok(expiry()));
    }

    #[test]
    fn another_form_of_name_is_no_record() {
        for text in ["", "mine", "ami-0123456789abcdef0", "copy-ami-0123456789abcdef0"] {
            assert!(text.parse::<RecordName>().is_err(), "{text}");
        }
    }
}
