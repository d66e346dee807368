//! Owns [`CopyRecord`]: the record of a share that waits for a copy, and its text. It gives the right to make the share
//! when the copy is available, so it counts only with its message authentication code.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{Mac, Schedule};
use crate::{
    domain::{CopyName, ImageId, Region, Requester, Target},
    facts::RegionalImage,
    request::{AskedTarget, Parameters, Request},
};

/// The version of the text. The text leaves it out, as a request may.
const VERSION: &str = "1";

/// How often the function checks whether the copy exists, and when it does so first.
const EXPRESSION: &str = "rate(10 minutes)";
const FIRST: Duration = Duration::minutes(10);

/// How long after its time a record still sends hints. The first of them deletes the record, and otherwise Scheduler
/// does.
const GRACE: Duration = Duration::hours(1);

/// Schedules are exact to the minute, and Lambda's queue takes time, too.
const LATE: Duration = Duration::minutes(5);

/// A schedule begins so long before it ends. Scheduler refuses one that ends before it begins.
const SHORTEST: Duration = Duration::minutes(1);

/// A share that waits for a copy: the content of a record, which never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRecord {
    /// The record's name.
    pub name: CopyName,
    /// What was asked: a share of the copy of one image.
    pub request: Request,
    /// Who asked, with the groups that the token had.
    pub requester: Requester,
    /// The ID of the request that was the first to ask.
    pub request_id: String,
    /// Who approved the share before it began to wait, with the groups that the token had; nobody, if no rule required an approval.
    pub approved_by: Option<Requester>,
    /// The allowlist rule that decided then.
    pub rule: String,
    /// How long the share waits, in whole seconds.
    pub until: OffsetDateTime,
    /// How many failed copies of the image there were.
    pub failed_copies: usize,
    /// Its message authentication code; none if nobody has made it yet.
    pub mac: Option<Mac>,
}

/// The text of the record, which is also the detail of its hints.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    action: String,
    schedule: CopyName,
    request: Request,
    requester: Requester,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approved_by: Option<Requester>,
    request_id: String,
    rule: String,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    failed_copies: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<Mac>,
}

/// The part of a request that is about a copy of this image and waits for it.
pub fn waiting_request(request: &Request, source_id: &ImageId) -> Request {
    let mut targets: Vec<Target> = request.targets.iter().map(|asked| asked.target.clone()).collect();
    targets.sort_unstable();
    Request {
        image_ids: vec![source_id.clone()],
        targets: targets.into_iter().map(|target| AskedTarget { target, pointer: String::new() }).collect(),
        group: None,
        dry_run: false,
        parameters: Parameters::default(),
        ..request.clone()
    }
}

/// The name of the record of a request as [`waiting_request`] makes it; none if it is about no copy. A share that somebody
/// approved has a record of its own: the record of the same share without that approval can't become it.
pub fn name_of_waiting(request: &Request, requester: &Requester, approved_by: Option<&Requester>) -> Option<CopyName> {
    let (source_id, region) = (request.image_ids.first()?, request.copy_from.as_ref()?);
    let asked = json!([region, requester.as_str(), request]);
    let document = match approved_by {
        Some(approver) => json!([asked, approver.as_str()]),
        None => asked,
    };
    Some(CopyName::new(source_id, &document.to_string()))
}

impl CopyRecord {
    /// The image that is copied.
    pub fn source(&self) -> Option<RegionalImage> {
        let (id, region) = (self.request.image_ids.first()?, self.request.copy_from.as_ref()?);
        Some(RegionalImage { region: region.clone(), id: id.clone() })
    }

    /// Whether the share has waited for as long as it may.
    pub fn is_overdue(&self, now: OffsetDateTime) -> bool {
        now > self.until
    }

    /// Whether its schedule may end before it sends another hint.
    pub fn is_looked_at_last(&self, now: OffsetDateTime) -> bool {
        self.until.saturating_add(GRACE) - now <= FIRST.saturating_add(LATE)
    }

    /// Whether it is about copies of the image in that Region.
    pub fn is_from(&self, region: &Region) -> bool {
        self.request.copy_from.as_ref() == Some(region)
    }

    /// The targets that wait.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.request.targets.iter().map(|asked| &asked.target)
    }

    /// The record without these targets: a new one, because a record never changes. None if no target would be left.
    #[must_use]
    pub fn without(&self, targets: &[Target]) -> Option<Self> {
        let mut request = self.request.clone();
        request.targets.retain(|asked| !targets.contains(&asked.target));
        let name = name_of_waiting(&request, &self.requester, self.approved_by.as_ref());
        let name = name.filter(|_| !request.targets.is_empty())?;
        Some(Self { name, request, mac: None, ..self.clone() })
    }

    /// What its message authentication code is made of.
    pub(super) fn digest(&self) -> [u8; 32] {
        Mac::digest(self.name.as_str(), &self.text(None))
    }

    /// The text of the record, with this code.
    fn text(&self, mac: Option<Mac>) -> String {
        let Self { name, request, requester, approved_by, request_id, rule, until, failed_copies, mac: _ } =
            self.clone();
        let input = Input {
            version: None,
            action: "expire".to_owned(),
            schedule: name,
            request,
            requester,
            approved_by,
            request_id,
            rule,
            until,
            failed_copies,
            mac,
        };
        json!(input).to_string()
    }

    /// The schedule that is written for it now.
    pub(super) fn schedule(&self, bus_arn: &str, now: OffsetDateTime) -> Schedule {
        let (now, ends_at) = (now.replace_nanosecond(0).unwrap_or(now), self.until.checked_add(GRACE));
        // What is left of a record that a revoke took targets from may be about to end.
        let latest = ends_at.and_then(|end| end.checked_sub(SHORTEST));
        Schedule {
            starts_at: now.checked_add(FIRST).min(latest),
            ends_at,
            is_deleted_after: true,
            ..Schedule::new(EXPRESSION.to_owned(), self.text(self.mac.clone()), bus_arn)
        }
    }

    pub(super) fn read(name: &CopyName, schedule: &Schedule, bus_arn: &str) -> Result<Self, &'static str> {
        let input: Input = serde_json::from_str(&schedule.input).map_err(|_| "its input is not that of a record")?;
        if input.version.is_some_and(|version| version != VERSION) {
            return Err("its input has another version than this function reads");
        }
        if input.action != "expire" || input.schedule != *name {
            return Err("its input is that of another record");
        }
        let record = Self {
            name: name.clone(),
            request: input.request,
            requester: input.requester,
            approved_by: input.approved_by,
            request_id: input.request_id,
            rule: input.rule,
            until: input.until,
            failed_copies: input.failed_copies,
            mac: input.mac,
        };
        let [source_id] = record.request.image_ids.as_slice() else { return Err("it is not about one image") };
        let asked = waiting_request(&record.request, source_id);
        if name_of_waiting(&asked, &record.requester, record.approved_by.as_ref()).as_ref() != Some(name) {
            return Err("its name and input disagree");
        }
        if schedule.expression != EXPRESSION || schedule.ends_at != record.until.checked_add(GRACE) {
            return Err("its times and input disagree");
        }
        schedule.check(bus_arn)?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use key_policy::json::Json;
    use serde_json::Value;
    use time::macros::datetime;

    use super::*;
    use crate::records::{Record, RecordName};

    const BUS: &str = "arn:aws:events:us-east-1:999988887777:event-bus/ami-share";
    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00:00.5 UTC);
    const MAC: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

    fn request(text: &str) -> Request {
        Request::parse(&Json::parse(text).unwrap(), NOW).unwrap()
    }

    fn asked(targets: &str) -> Request {
        let whole = request(&format!(
            r#"{{"action": "share", "imageIds": ["ami-0000000a", "ami-0000000b"], "accountIds": {targets}, "copyFrom": "eu-west-1"}}"#
        ));
        waiting_request(&whole, &"ami-0000000b".parse().unwrap())
    }

    fn record() -> CopyRecord {
        let request = asked(r#"["222233334444", "111122223333"]"#);
        let requester = Requester::new("jwt:https://issuer.example#ada".to_owned()).with_groups(vec!["web".to_owned()]);
        CopyRecord {
            name: name_of_waiting(&request, &requester, None).unwrap(),
            request,
            requester,
            approved_by: None,
            request_id: "r-1".to_owned(),
            rule: "portal".to_owned(),
            until: datetime!(2026-11-23 12:00 UTC),
            failed_copies: 2,
            mac: Some(MAC.parse().unwrap()),
        }
    }

    /// The same share, approved by somebody with a group.
    fn approved() -> CopyRecord {
        let approver =
            Requester::new("jwt:https://issuer.example#olga".to_owned()).with_groups(vec!["owners".to_owned()]);
        let name = name_of_waiting(&record().request, &record().requester, Some(&approver)).unwrap();
        CopyRecord { name, approved_by: Some(approver), ..record() }
    }

    fn read(schedule: &Schedule) -> Result<Record, &'static str> {
        Record::read(&RecordName::Copy(record().name), schedule, BUS)
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let schedule = record().schedule(BUS, NOW);
        assert_eq!(schedule.expression, "rate(10 minutes)");
        assert_eq!(schedule.starts_at, Some(datetime!(2026-11-22 12:10 UTC)));
        assert_eq!(schedule.ends_at, Some(datetime!(2026-11-23 13:00 UTC)));
        assert!(schedule.is_deleted_after);
        let Record::Copy(read) = read(&schedule).unwrap() else { panic!("another kind") };
        assert_eq!(read.digest(), record().digest());
        assert_eq!((read.mac, read.request_id.as_str(), read.failed_copies), (record().mac, "r-1", 2));
        assert_eq!(read.requester.groups(), ["web"]);
        assert_eq!(read.name.as_str().parse(), Ok(RecordName::Copy(read.name)));
        let input: Value = serde_json::from_str(&schedule.input).unwrap();
        assert_eq!((&input["action"], &input["mac"]), (&json!("expire"), &json!(MAC)));
    }

    #[test]
    fn the_same_request_for_an_image_has_the_same_record() {
        let name = |request: &Request| name_of_waiting(request, &record().requester, None).unwrap();
        let one = asked(r#"["222233334444", "111122223333"]"#);
        assert_eq!(name(&one), record().name);
        assert_eq!(name(&asked(r#"["111122223333", "222233334444"]"#)), record().name);
        let dry = Request { dry_run: true, ..one.clone() };
        assert_eq!(name(&waiting_request(&dry, &one.image_ids[0])), record().name);
        assert_ne!(name(&asked(r#"["111122223333"]"#)), record().name);
        assert_ne!(name(&Request { reason: Some("why".to_owned()), ..one.clone() }), record().name);
        assert_ne!(name(&Request { copy_from: "eu-west-2".parse().ok(), ..one.clone() }), record().name);
        assert_ne!(name_of_waiting(&one, &Requester::new("lambda:invoke".to_owned()), None), Some(record().name));
        assert_eq!(name_of_waiting(&Request { copy_from: None, ..one }, &record().requester, None), None);
    }

    #[test]
    fn an_approved_share_has_a_record_of_its_own_that_says_by_whom() {
        assert_ne!(approved().name, record().name);
        let schedule = approved().schedule(BUS, NOW);
        let named = RecordName::Copy(approved().name);
        let Ok(Record::Copy(read)) = Record::read(&named, &schedule, BUS) else { panic!("not a record of a copy") };
        assert_eq!(read.digest(), approved().digest());
        assert_eq!(read.approved_by.unwrap().groups(), ["owners"]);
        // Whoever may write schedules can't add an approval, take it away or name somebody else.
        for approver in [Value::Null, json!("jwt:https://issuer.example#eve")] {
            let mut input: Value = serde_json::from_str(&schedule.input).unwrap();
            input["approvedBy"] = approver;
            let forged = Schedule { input: input.to_string(), ..schedule.clone() };
            assert_eq!(Record::read(&named, &forged, BUS), Err("its name and input disagree"));
        }
        nobodys_input("approvedBy", json!("jwt:https://issuer.example#olga"), "name and input disagree");
        // The part that other targets go on waiting by is approved as the whole was.
        let left = approved().without(&["222233334444".parse().unwrap()]).unwrap();
        assert_eq!(left.approved_by, approved().approved_by);
        assert_eq!(Some(left.name), name_of_waiting(&left.request, &left.requester, left.approved_by.as_ref()));
    }

    #[test]
    fn a_record_without_a_target_is_another_or_none() {
        let (one, two) = ("111122223333".parse().unwrap(), "222233334444".parse().unwrap());
        let left = record().without(&[two]).unwrap();
        assert_eq!(left.targets().collect::<Vec<_>>(), [&one]);
        assert_ne!(left.name, record().name);
        assert_eq!((left.request_id, left.until, left.mac), ("r-1".to_owned(), record().until, None));
        assert_eq!(record().without(&[one, "222233334444".parse().unwrap()]), None);
    }

    /// Checks that a schedule with this change is nobody's record, and why.
    #[track_caller]
    fn nobodys(change: impl FnOnce(&mut Schedule), why: &str) {
        let mut schedule = record().schedule(BUS, NOW);
        change(&mut schedule);
        let error = read(&schedule).unwrap_err();
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
        nobodys(|it| it.expression = "rate(1 minute)".to_owned(), "times and input disagree");
        nobodys(|it| it.ends_at = None, "times and input disagree");
        nobodys(|it| it.is_enabled = false, "not enabled");
        nobodys(|it| it.bus_arn.push('2'), "not the bus");
        nobodys_input("version", json!("2"), "another version");
        nobodys_input("action", json!("share"), "another record");
        nobodys_input("schedule", json!("copy-ami-0000000b-aeb221660ff09134bb3a46b295554820"), "another record");
        nobodys_input("requester", json!("lambda:invoke"), "name and input disagree");
        nobodys_input("until", json!("2026-11-24T12:00:00Z"), "times and input disagree");
        nobodys_input("mac", json!("00"), "input is not that of a record");
        for (field, value) in [
            ("accountIds", json!(["111122223333", "222233334444", "333344445555"])),
            ("copyFrom", json!("eu-west-2")),
            ("imageIds", json!(["ami-0000000a"])),
            ("dryRun", json!(true)),
        ] {
            let mut request = json!(record().request);
            request[field] = value;
            let why = if field == "dryRun" { None } else { Some("name and input disagree") };
            match why {
                Some(why) => nobodys_input("request", request, why),
                // It is not part of the name; the authentication code is over it.
                None => {
                    let mut schedule = record().schedule(BUS, NOW);
                    let mut input: Value = serde_json::from_str(&schedule.input).unwrap();
                    input["request"] = request;
                    schedule.input = input.to_string();
                    assert_ne!(read(&schedule).unwrap().digest(), Some(record().digest()));
                }
            }
        }
    }

    #[test]
    fn a_record_that_is_written_late_begins_before_it_ends() {
        let until = record().until;
        for (before_end, begins) in [(60 * 25, 60 * 25 - 10), (11, 1), (10, 1), (2, 1)] {
            let end = until + Duration::hours(1);
            let schedule = record().schedule(BUS, end - Duration::minutes(before_end));
            assert_eq!(schedule.ends_at, Some(end));
            assert_eq!(
                schedule.starts_at,
                Some(end - Duration::minutes(begins)),
                "{before_end} minutes before the end"
            );
        }
    }

    #[test]
    fn the_last_look_is_one_after_which_there_may_be_none() {
        let last_look = |after| record().is_looked_at_last(record().until + Duration::minutes(after));
        assert_eq!([-5, 1, 40, 50, 59, 90].map(last_look), [false, false, false, true, true, true]);
    }

    #[test]
    fn the_authentication_code_is_over_everything() {
        let digest = record().digest();
        for other in [
            CopyRecord { request_id: "r-2".to_owned(), ..record() },
            CopyRecord { rule: "other".to_owned(), ..record() },
            CopyRecord { until: datetime!(2026-11-24 12:00 UTC), ..record() },
            CopyRecord { failed_copies: 3, ..record() },
            CopyRecord { requester: Requester::new(record().requester.as_str().to_owned()), ..record() },
            CopyRecord { name: "copy-ami-0000000b-aeb221660ff09134bb3a46b295554820".parse().unwrap(), ..record() },
        ] {
            assert_ne!(other.digest(), digest, "{other:?}");
        }
        assert_eq!(CopyRecord { mac: None, ..record() }.digest(), digest);
        let without_groups = Requester::new(approved().approved_by.unwrap().as_str().to_owned());
        let other = CopyRecord { approved_by: Some(without_groups), ..approved() };
        assert_ne!(other.digest(), approved().digest());
    }
}
