//! Owns records made of parts: schedules as the function writes them, and as somebody else may change them.

use key_policy::json::Json;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use serde::Serialize;
use serde_json::{Value, json};
use sharing::{
    domain::{ExpiryName, Requester},
    records::{
        ApprovalAnswer, ApprovalDecision, Ask, CopyRecord, Expiry, Record, RecordName, Schedule, name_of_waiting,
        waiting_request,
    },
    request::Request,
};
use time::{Duration, OffsetDateTime};

use crate::{
    checks::NOW,
    fields::{Damage, Few, Field, Needed, Odd, Plain},
    texts,
};

/// The bus for requests.
pub const BUS: &str = "arn:aws:events:eu-west-1:999988887777:event-bus/ami-share";

texts! {
    Name: [
        "ami-0123456789abcdef0-aeb221660ff09134bb3a46b295554820-6b5f2240",
        "copy-ami-0123456789abcdef0-aeb221660ff09134bb3a46b295554820",
        "ask-aeb221660ff09134bb3a46b295554820",
        "did-aeb221660ff09134bb3a46b295554820",
    ];
    ActionOfHint: ["expire"];
    Expression: ["at(2027-01-31T12:00:00)", "at(2026-11-29T12:00:00)", "rate(10 minutes)", "cron(0 12 * * ? *)"];
    TimeZone: ["UTC", "Europe/Berlin"];
    FieldName: [
        "version", "action", "schedule", "request", "requester", "requestId", "rules", "rule", "until", "mac", "ask", "answer",
        "by", "reason", "imageId", "target", "expiresAt", "snapshotIds", "keyArns", "approvedBy", "failedCopies",
    ];
    FieldText: [
        "1",
        "approved",
        "lapsed",
        "lambda:invoke",
        "2026-11-29T12:00:00Z",
        "2026-11-29T13:00:00+01:00",
        "ami-0123456789abcdef0",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff",
    ];
}

/// The detail of a hint.
#[derive(Debug, Clone, Arbitrary, Serialize)]
pub struct Hint {
    #[serde(skip_serializing_if = "Field::is_absent")]
    action: Needed<ActionOfHint>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    schedule: Needed<Name>,
}

/// A schedule: a record as it is written, and what somebody changes of it.
#[derive(Debug, Arbitrary)]
pub struct Kept {
    made: Made,
    changes: Few<Change>,
}

#[derive(Debug, Arbitrary)]
enum Made {
    Expiry {
        image: u8,
        target: u8,
        at: u32,
        snapshots: Vec<u8>,
        keys: Vec<u8>,
    },
    Copy {
        share: Share,
        requester: Person,
        approver: Option<Person>,
        id: Plain,
        rule: Plain,
        hours: u8,
        failed: u16,
        has_mac: bool,
    },
    Ask {
        share: Share,
        requester: Person,
        id: Plain,
        rules: Vec<Plain>,
        has_mac: bool,
    },
    Decision {
        share: Share,
        requester: Person,
        answer: Answer,
        id: Plain,
        reason: Option<Plain>,
        has_mac: bool,
    },
    Nothing {
        name: Name,
        input: Odd,
    },
}

#[derive(Debug, Arbitrary)]
enum Answer {
    Approved(Person),
    Rejected(Person),
    Lapsed,
}

#[derive(Debug, Arbitrary)]
struct Person {
    name: Plain,
    groups: Vec<Plain>,
}

/// A share, all of whose texts are valid.
#[derive(Debug, Arbitrary)]
struct Share {
    images: [u8; 2],
    accounts: Vec<u8>,
    organization: Option<u8>,
    unit: Option<u8>,
    roles: [bool; 2],
    is_copy: bool,
    expires_in: Option<u32>,
    region: Option<u8>,
    reason: Option<Plain>,
    is_dry: bool,
}

#[derive(Debug, Arbitrary)]
enum Change {
    Name(Name),
    Expression(Expression),
    TimeZone(Option<TimeZone>),
    Disabled,
    EndsAt(Option<i32>),
    StartsAt(Option<i32>),
    Bus(Plain),
    Source(Plain),
    DetailType(Plain),
    Input(FieldName, FieldText),
    OddInput(FieldName, Odd),
    Without(FieldName),
    InRequest(crate::requests::Document),
    Damaged(Damage),
}

impl Person {
    fn requester(&self) -> Requester {
        let groups = self.groups.iter().take(4).map(|group| group.0.clone()).collect();
        Requester::new(self.name.0.clone()).with_groups(groups)
    }
}

impl Share {
    fn request(&self) -> Option<Request> {
        let account = |number: &u8| format!("1111222233{:02}", number % 100);
        let mut accounts: Vec<String> = self.accounts.iter().take(8).map(account).collect();
        accounts.sort();
        accounts.dedup();
        accounts.reverse();
        let mut document = json!({
            "action": "share",
            "imageIds": self.images.iter().map(|image| image_id(*image)).collect::<std::collections::BTreeSet<_>>(),
            "accountIds": accounts,
            "access": if self.is_copy { "copy" } else { "launch" },
            "dryRun": self.is_dry,
        });
        if accounts.is_empty() {
            document["accountIds"] = json!([account(&0)]);
        }
        if let Some(number) = self.organization {
            document["organizationArns"] =
                json!([format!("arn:aws:organizations::999988887777:organization/o-a1b2c3d4{number:02x}")]);
        }
        if let Some(number) = self.unit {
            document["organizationalUnitArns"] =
                json!([format!("arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-111111{number:02x}")]);
        }
        let roles: Vec<_> =
            ["spot", "autoscaling:x"].iter().zip(self.roles).filter_map(|(role, is)| is.then_some(role)).collect();
        if !roles.is_empty() {
            document["serviceLinkedRoles"] = json!(roles);
        }
        if let Some(seconds) = self.expires_in {
            let at = NOW + Duration::minutes(6) + Duration::seconds(i64::from(seconds % 300_000_000));
            document["expiresAt"] = json!(sharing::domain::rfc3339(at));
        }
        if let Some(number) = self.region {
            document["copyFrom"] = json!(format!("eu-west-{}", number % 4 + 2));
        }
        if let Some(reason) = &self.reason {
            document["reason"] = json!(reason);
        }
        Request::parse(&Json::parse(&document.to_string()).expect("it is JSON"), NOW).ok()
    }
}

fn image_id(number: u8) -> String {
    format!("ami-0123456789abcde{number:02x}")
}

fn mac(has_mac: bool) -> Option<sharing::records::Mac> {
    has_mac.then(|| "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff".parse().expect("a code"))
}

impl Made {
    fn record(&self) -> Option<Record> {
        Some(match self {
            Self::Nothing { .. } => return None,
            Self::Expiry { image, target, at, snapshots, keys } => {
                let at = OffsetDateTime::from_unix_timestamp(i64::from(*at)).expect("a time");
                let image_id = image_id(*image).parse().expect("an image");
                let target = format!("1111222233{:02}", target % 100).parse().expect("a target");
                let name = ExpiryName::new(&image_id, &target, at)?;
                let snapshot = |number: &u8| format!("snap-0123456789abcde{number:02x}").parse().expect("a snapshot");
                let key = |number: &u8| {
                    format!("arn:aws:kms:eu-west-1:999988887777:key/00000000-0000-0000-0000-0000000000{number:02x}")
                        .parse()
                        .expect("a key")
                };
                let snapshot_ids = snapshots.iter().take(4).map(snapshot).collect();
                let key_arns = keys.iter().take(4).map(key).collect();
                Record::Expiry(Expiry { name, at, image_id, target, snapshot_ids, key_arns })
            }
            Self::Copy { share, requester, approver, id, rule, hours, failed, has_mac } => {
                let request = share.request()?;
                let request = waiting_request(&request, request.image_ids.first()?);
                let (requester, approved_by) = (requester.requester(), approver.as_ref().map(Person::requester));
                Record::Copy(Box::new(CopyRecord {
                    name: name_of_waiting(&request, &requester, approved_by.as_ref())?,
                    request,
                    requester,
                    request_id: id.0.clone(),
                    approved_by,
                    rule: rule.0.clone(),
                    until: NOW + Duration::hours(i64::from(*hours)),
                    failed_copies: usize::from(*failed),
                    mac: mac(*has_mac),
                }))
            }
            Self::Ask { share, requester, id, rules, has_mac } => {
                let rules = rules.iter().take(4).map(|rule| rule.0.clone()).collect();
                let ask = Ask::new(&share.request()?, &requester.requester(), &id.0, rules, NOW);
                Record::Ask(Box::new(Ask { mac: mac(*has_mac), ..ask }))
            }
            Self::Decision { share, requester, answer, id, reason, has_mac } => {
                let ask = Ask::new(&share.request()?, &requester.requester(), "r-1", Vec::new(), NOW);
                let answer = match answer {
                    Answer::Approved(by) => ApprovalAnswer::Approved { by: by.requester() },
                    Answer::Rejected(by) => ApprovalAnswer::Rejected { by: by.requester() },
                    Answer::Lapsed => ApprovalAnswer::Lapsed,
                };
                let decision =
                    ApprovalDecision::new(&ask, answer, &id.0, reason.as_ref().map(|reason| reason.0.clone()), NOW);
                Record::Decision(Box::new(ApprovalDecision { mac: mac(*has_mac), ..decision }))
            }
        })
    }
}

impl Kept {
    /// The record as it was written, and the schedule that is found under a name.
    pub fn found(&self) -> Option<(Option<Record>, RecordName, Schedule)> {
        let written = self.made.record();
        let (mut name, mut schedule) = match (&written, &self.made) {
            (Some(record), _) => (record.name(), record.schedule(BUS, NOW)),
            (None, Made::Nothing { name, input }) => {
                let name: RecordName = name.0.parse().ok()?;
                let expiry = "ami-0123456789abcdef0".parse().ok()?;
                let target = "111122223333".parse().ok()?;
                let at = OffsetDateTime::from_unix_timestamp(0x6b5f_2240).ok()?;
                let expiry = Expiry {
                    name: ExpiryName::new(&expiry, &target, at)?,
                    at,
                    image_id: expiry,
                    target,
                    snapshot_ids: Vec::new(),
                    key_arns: Vec::new(),
                };
                (name, Schedule { input: json!(input).to_string(), ..Record::Expiry(expiry).schedule(BUS, NOW) })
            }
            (None, _) => return None,
        };
        for change in &self.changes.0 {
            change.make(&mut name, &mut schedule);
        }
        Some((written, name, schedule))
    }

    /// Whether somebody changed it.
    pub fn is_changed(&self) -> bool {
        !self.changes.0.is_empty()
    }
}

impl Change {
    fn make(&self, name: &mut RecordName, schedule: &mut Schedule) {
        let time = |seconds: &Option<i32>| seconds.map(|seconds| NOW + Duration::seconds(i64::from(seconds)));
        match self {
            Self::Name(other) => {
                if let Ok(other) = other.0.parse() {
                    *name = other;
                }
            }
            Self::Expression(other) => schedule.expression.clone_from(&other.0),
            Self::TimeZone(zone) => schedule.timezone = zone.as_ref().map(|zone| zone.0.clone()),
            Self::Disabled => schedule.is_enabled = false,
            Self::EndsAt(at) => schedule.ends_at = time(at),
            Self::StartsAt(at) => schedule.starts_at = time(at),
            Self::Bus(other) => schedule.bus_arn.clone_from(&other.0),
            Self::Source(other) => schedule.source.clone_from(&other.0),
            Self::DetailType(other) => schedule.detail_type.clone_from(&other.0),
            Self::Input(field, value) => {
                in_object(&mut schedule.input, |input| drop(input.insert(field.0.clone(), json!(value))))
            }
            Self::OddInput(field, value) => {
                in_object(&mut schedule.input, |input| drop(input.insert(field.0.clone(), json!(value))))
            }
            Self::Without(field) => in_object(&mut schedule.input, |input| drop(input.remove(&field.0))),
            Self::InRequest(document) => {
                in_object(&mut schedule.input, |input| drop(input.insert("request".to_owned(), json!(document))))
            }
            Self::Damaged(damage) => schedule.input = damage.done_to(std::mem::take(&mut schedule.input)),
        }
    }
}

fn in_object(text: &mut String, change: impl FnOnce(&mut serde_json::Map<String, Value>)) {
    if let Ok(Value::Object(mut object)) = serde_json::from_str(text) {
        change(&mut object);
        *text = Value::Object(object).to_string();
    }
}
