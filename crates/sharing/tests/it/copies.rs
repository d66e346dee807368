//! What is decided and planned about copies, without AWS.

use std::collections::BTreeMap;

use ami_share_testing::{
    key_policies::{Statement as _, allow, open_to, parsed, with},
    schemas::check_values,
    worlds::*,
};
use serde_json::{Value, json};
use sharing::{
    decide::{Authority, Case, admit, is_covered, permitted, resolve, too_many_pairs},
    domain::{ExpiryName, GroupId, ImageId, KeyArn, Requester},
    facts::{
        Backing, Copies, CopyRecord, CreateVolumePermissions, Expiry, Fact, Failure, Image, ImageState, Key,
        KeyMetadata, LaunchPermission, Lineage, Provenance, RegionalImage, Snapshot, Watermark,
    },
    outcome::{Outcome, Status},
    plan::{Step, plan, plans},
    progress::{ImageResult, StepResult},
    read_plan::{self, Need, Sources, WaitingReads},
    records::{name_of_waiting, waiting_request},
    report::report,
    request::{Action, Request},
};
use time::{Duration, OffsetDateTime};

mod approved;
mod audited;
mod hints;
mod lineage;
mod looking;
mod making;
mod reads;
mod revoking;

pub const SOURCE: &str = "ami-0000000a";
pub const COPY: &str = "ami-0000000c";
pub const OTHER_COPY: &str = "ami-0000000d";
pub const REGION: &str = "eu-north-1";
const OTHER_KEY: &str = "arn:aws:kms:eu-west-1:999988887777:key/99999999-12ab-34cd-56ef-1234567890ab";
const THREE: &str = "333344445555";

pub fn id(text: &str) -> ImageId {
    text.parse().unwrap()
}

pub fn regional(region: &str) -> RegionalImage {
    RegionalImage { region: region.parse().unwrap(), id: id(SOURCE) }
}

fn usable() -> KeyMetadata {
    KeyMetadata { is_aws_managed: false, unusable_state: None, is_symmetric: true, ends_at: None }
}

/// The image that is copied, in its Region.
fn source(name: &str) -> Image {
    Image {
        tags: [("Tier".to_owned(), "gold".to_owned())].into(),
        architecture: Some("arm64".to_owned()),
        volume_sizes: vec![Some(8), Some(20)],
        provenance: Provenance { itself: Some(regional(REGION)), ..Provenance::default() },
        launch_permissions: Fact::NotRead,
        expiries: Fact::NotRead,
        ..World::open(name).image
    }
}

/// A copy of it in this Region, under this key.
pub fn copy(key: &str, state: ImageState) -> Image {
    let snapshot = Snapshot {
        id: "snap-0000000c".parse().unwrap(),
        owner: owner(),
        key: Some(key.parse().unwrap()),
        create_volume_permissions: Fact::Known(CreateVolumePermissions::default()),
        needed_by: Fact::Known(BTreeMap::new()),
    };
    let lineage = Lineage::CopyOf { source: regional(REGION), said: Box::new(Fact::NotRead) };
    Image {
        state,
        volume_sizes: vec![Some(20), Some(8)],
        provenance: Provenance { lineage, created: Some(NOW), ..Provenance::default() },
        launch_permissions: Fact::Known(Vec::new()),
        expiries: Fact::Known(BTreeMap::new()),
        snapshots: vec![Backing { id: snapshot.id.clone(), snapshot: Fact::Known(snapshot) }],
        ..source("copied-1")
    }
}

fn failed(reason: &str) -> Image {
    Image { state_reason: Some(reason.to_owned()), ..copy(KEY, ImageState::Other("failed".to_owned())) }
}

/// A world with this image in another Region, and a key that lets these accounts in.
pub fn world(name: &str, allowed: &[&str]) -> World {
    let named = name.to_owned();
    World::encrypted(name, allowed).with(|world| {
        world.copies.insert(
            id(SOURCE),
            Copies { source: Fact::Known(Some(source(&named))), waiting: Fact::Known(Vec::new()), ..Copies::default() },
        );
    })
}

pub trait Change {
    fn copies(&mut self) -> &mut Copies;
    fn made(self, copy_id: &str, image: Image) -> Self;
    fn waiting(self, record: CopyRecord) -> Self;
}

impl Change for World {
    fn copies(&mut self) -> &mut Copies {
        self.copies.get_mut(&id(SOURCE)).unwrap()
    }

    fn made(self, copy_id: &str, image: Image) -> Self {
        self.with(|world| {
            world.copies().images.insert(id(copy_id), image);
            world.copies().learn_source(owner());
        })
    }

    fn waiting(self, record: CopyRecord) -> Self {
        self.with(|world| known(&mut world.copies().waiting).push(record))
    }
}

pub fn ask(action: &str, targets: &[&str], more: Value) -> Value {
    let mut request = json!({"action": action, "imageIds": [SOURCE], "accountIds": targets, "copyFrom": REGION});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

pub fn share(targets: &[&str]) -> Value {
    ask("share", targets, json!({}))
}

/// The record of such a share by this requester.
pub fn recorded(targets: &[&str], requester: &str, failed_copies: usize, until: OffsetDateTime) -> CopyRecord {
    let parsed = Request::parse(&key_policy::json::Json::parse(&share(targets).to_string()).unwrap(), NOW).unwrap();
    let request = waiting_request(&parsed, &id(SOURCE));
    let requester = Requester::new(requester.to_owned());
    CopyRecord {
        name: name_of_waiting(&request, &requester, None).unwrap(),
        request,
        requester,
        approved_by: None,
        request_id: "first".to_owned(),
        rule: "copied".to_owned(),
        until,
        failed_copies,
        mac: None,
    }
}

/// What follows of a request: its refusals as `Code target`, its steps, and the outcome if every step is done.
#[derive(Debug)]
struct Followed {
    refusals: Vec<String>,
    steps: Vec<String>,
    outcome: Outcome,
}

impl Followed {
    fn targets(&self) -> Vec<String> {
        let rows = self.outcome.images.iter().flat_map(|row| &row.targets);
        rows.map(|row| format!("{} {}", row.target, json!(row.state).as_str().unwrap())).collect()
    }
}

pub fn in_words(step: &Step) -> String {
    let names = |sign: char, targets: Vec<sharing::domain::Target>| {
        targets.into_iter().map(move |target| format!(" {sign}{target}")).collect::<String>()
    };
    format!("{} {}{}{}", step.call(), step.resource(), names('+', step.adds()), names('-', step.removes()))
}

fn follow(world: &World, request: &Value) -> Followed {
    let requester = Requester::new("lambda:invoke".to_owned());
    let parsed = Request::parse(&key_policy::json::Json::parse(&request.to_string()).unwrap(), NOW).unwrap();
    let authority = Authority::Requester(world.hint.as_ref().map_or(&requester, |hint| &hint.requester));
    let parsed = world.hint.as_ref().map_or(parsed, |hint| hint.request.clone());
    world.put_as(authority, &parsed, |case, facts| {
        let decisions = decide(case, facts);
        decisions.iter().flat_map(|decision| decision.refusals()).for_each(check_values);
        let refusals = decisions.iter().flat_map(|decision| decision.refusals()).map(|refusal| {
            let target = refusal.target.as_ref().map(|target| format!(" {target}")).unwrap_or_default();
            format!("{}{target}", refusal.code)
        });
        let refusals: Vec<_> = refusals.collect();
        let plans = plans(case, facts, decisions);
        let steps = plans.iter().flat_map(|(_, steps)| steps).map(in_words).collect();
        let done = |step: Step| StepResult {
            copy_id: matches!(step, Step::CopyImage(_)).then(|| id(COPY)),
            ..StepResult::new(step, sharing::outcome::StepState::Done)
        };
        let results = plans.into_iter().map(|(decision, plan)| ImageResult {
            decision,
            steps: plan.into_iter().map(done).collect(),
            lost: Vec::new(),
        });
        let mut outcome = Outcome::new("id", Status::Completed);
        report(&mut outcome, case, facts, results.collect(), "eu-west-1");
        Followed { refusals, steps, outcome }
    })
}

#[track_caller]
fn refused(world: &World, request: &Value, expect: &[&str]) -> Followed {
    let followed = follow(world, request);
    assert_eq!(followed.refusals, expect, "{:#?}", followed.outcome.refusals);
    assert!(followed.steps.iter().all(|step| step.starts_with("scheduler:DeleteSchedule")), "{followed:#?}");
    followed
}

#[track_caller]
fn accepted(world: &World, request: &Value, steps: &[String]) -> Followed {
    let followed = follow(world, request);
    assert_eq!(followed.refusals, [""; 0], "{:#?}", followed.outcome.refusals);
    assert_eq!(followed.outcome.result, Status::Accepted, "{followed:#?}");
    assert_eq!(followed.steps, steps, "{followed:#?}");
    followed
}

fn create(targets: &[&str]) -> String {
    let added: String = targets.iter().map(|target| format!(" +{target}")).collect();
    format!("scheduler:CreateSchedule {}{added}", recorded(targets, "lambda:invoke", 0, NOW).name)
}

fn delete(targets: &[&str], requester: &str) -> String {
    format!("scheduler:DeleteSchedule {}", recorded(targets, requester, 0, NOW).name)
}

fn make() -> String {
    format!("ec2:CopyImage {SOURCE}")
}

/// A world in which the record of a share of [`ONE`] is looked at.
fn hinted(world: World, failed_copies: usize, until: OffsetDateTime) -> World {
    world.with(|world| world.hint = Some(recorded(&[ONE], "lambda:invoke", failed_copies, until)))
}

fn revoke(targets: &[&str]) -> Value {
    ask("revoke", targets, json!({}))
}

const OLGA: &str = "jwt:https://i#olga";

/// A world where the rule about copies has these approvers.
fn asked(approvers: &[&str]) -> World {
    world("copied-1", &[ONE, TWO]).with(|world| {
        let rule = "  - name: copied\n";
        if !approvers.is_empty() {
            world.allowlist = world.allowlist.replace(rule, &format!("{rule}    approvers: {}\n", json!(approvers)));
        }
    })
}

fn by(name: &str) -> Requester {
    Requester::new(name.to_owned())
}

/// The record of the share after this approval.
fn approved(targets: &[&str], approver: &Requester) -> CopyRecord {
    let record = recorded(targets, "lambda:invoke", 0, in_days(1));
    let name = name_of_waiting(&record.request, &record.requester, Some(approver)).unwrap();
    CopyRecord { name, approved_by: Some(approver.clone()), ..record }
}

/// A copy by its own ID, of whose source this is known.
fn itself(name: &str, said: Fact<Option<Provenance>>) -> World {
    let lineage = Lineage::CopyOf { source: regional(REGION), said: Box::new(said) };
    let image = Image {
        name: Some(name.to_owned()),
        provenance: Provenance { lineage, ..Provenance::default() },
        ..copy(KEY, ImageState::Available)
    };
    World::encrypted(name, &[ONE]).with(|world| world.image = image)
}

/// A check or revoke in whose URL a target is named by this bare ID.
fn by_id(action: &str, group: &str) -> (Request, Requester) {
    let document = json!({"action": action, "imageIds": [SOURCE], "copyFrom": REGION}).to_string();
    let document = key_policy::json::Json::parse(&document).unwrap();
    let request = Request::parse_for(GroupId::parse(group), &document, NOW).unwrap();
    (request, Requester::new("lambda:invoke".to_owned()))
}
