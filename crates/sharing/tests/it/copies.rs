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

#[test]
fn where_there_is_no_copy_the_share_is_recorded_and_one_is_made() {
    let world = world("copied-1", &[ONE, TWO]);
    let followed = accepted(&world, &share(&[TWO, ONE]), &[create(&[ONE, TWO]), make()]);
    let [row] = &followed.outcome.images[..] else { panic!("{followed:#?}") };
    assert_eq!(
        json!(row)["copy"],
        json!({"state": "pending", "keyArn": KEY, "until": "2026-11-23T00:00:00Z"}),
        "the rule waits 12 hours"
    );
    assert_eq!(json!(row)["copyOf"], json!({"region": REGION, "imageId": SOURCE}));
    assert_eq!((json!(row)["imageId"].as_str(), row.name.as_deref()), (Some(COPY), Some("copied-1")));
    assert_eq!(followed.targets(), [format!("{TWO} waiting"), format!("{ONE} waiting")]);
    assert!(row.changed);
    // In this Region it is the same, but for the name, which is taken.
    let here = ask("share", &[ONE], json!({"copyFrom": "eu-west-1"}));
    assert_eq!(follow(&world, &here).refusals, [""; 0]);
    let name = |request: &Value| {
        world.put(request, |case, facts| {
            let steps = plans(case, facts, decide(case, facts)).remove(0).1;
            let order =
                steps.into_iter().find_map(|step| if let Step::CopyImage(order) = step { Some(order) } else { None });
            order.unwrap().name(0, false)
        })
    };
    assert_eq!(name(&share(&[ONE])), "copied-1");
    assert!(name(&here).starts_with("copied-1-"), "{}", name(&here));
}

#[test]
fn a_share_waits_only_if_its_record_exists_and_a_copy_may_still_be_made() {
    use sharing::outcome::{
        StepState::{Done, Failed, Skipped},
        TargetState,
    };
    let lasting = denied("ec2:CopyImage");
    let passing = Failure { retryable: true, ..lasting.clone() };
    for (record, copied, error, expect) in [
        (Done, Done, None, TargetState::Waiting),
        (Failed, Skipped, None, TargetState::Failed),
        (Done, Failed, Some(lasting), TargetState::Failed),
        // For example throttled, or the quota of copies that are made at a time is full: the next hint tries again.
        (Done, Failed, Some(passing), TargetState::Waiting),
    ] {
        let step = |step: Step| {
            if matches!(step, Step::CopyImage(_)) {
                StepResult { error: error.clone(), ..StepResult::new(step, copied) }
            } else {
                StepResult::new(step, record)
            }
        };
        world("copied-1", &[ONE]).put(&share(&[ONE]), |case, facts| {
            let results = plans(case, facts, decide(case, facts)).into_iter().map(|(decision, plan)| ImageResult {
                decision,
                steps: plan.into_iter().map(step).collect(),
                lost: Vec::new(),
            });
            let mut outcome = Outcome::new("id", Status::Completed);
            report(&mut outcome, case, facts, results.collect(), "eu-west-1");
            assert_eq!(outcome.images[0].targets[0].state, expect, "{record:?} {copied:?} {error:?}");
        });
    }
}

#[test]
fn the_source_and_its_keys_are_read_only_if_a_copy_must_be_made() {
    let open = || world("copied-1", &[ONE]);
    let there = |key, state| open().made(COPY, copy(key, state));
    for (world, request, is_read) in [
        (open(), share(&[ONE]), true),
        (open(), ask("check", &[ONE], json!({})), true),
        (there(OTHER_KEY, ImageState::Available), share(&[ONE]), true),
        (there(KEY, ImageState::Available), share(&[ONE]), false),
        (there(KEY, ImageState::Pending), share(&[ONE]), false),
        (world("lent-1", &[ONE]), revoke(&[ONE]), false),
        // No rule covers it.
        (world("other-1", &[ONE]), share(&[ONE]), false),
    ] {
        let read = world.put(&request, |case, facts| {
            let read = read_plan::to_be_copied(case, facts);
            read.into_iter().map(|(id, _)| id.clone()).collect::<Vec<_>>()
        });
        assert_eq!(read, if is_read { vec![id(SOURCE)] } else { vec![] }, "{request}");
    }
}

#[test]
fn a_share_that_is_refused_for_another_image_waits_for_no_copy() {
    let gone = Copies { source: Fact::Known(None), waiting: Fact::Known(Vec::new()), ..Copies::default() };
    let world = world("copied-1", &[ONE]).with(|world| drop(world.copies.insert(id("ami-0000000b"), gone)));
    let both = json!({"imageIds": [SOURCE, "ami-0000000b"]});
    let followed = refused(&world, &ask("share", &[ONE], both), &["ImageNotFound"]);
    assert_eq!(followed.targets(), [format!("{ONE} not-shared")]);
}

#[test]
fn a_dry_run_plans_the_record_and_the_copy() {
    let followed = follow(&world("copied-1", &[ONE]), &ask("share", &[ONE], json!({"dryRun": true})));
    assert_eq!((followed.outcome.result, followed.steps), (Status::Planned, vec![create(&[ONE]), make()]));
}

#[test]
fn a_copy_that_is_there_is_shared_like_any_other_image() {
    let add = |targets: &str| format!("ec2:ModifyImageAttribute {COPY} +{targets}");
    let world = world("copied-1", &[ONE]).made(COPY, copy(KEY, ImageState::Available));
    let followed = follow(&world, &share(&[ONE]));
    assert_eq!((followed.outcome.result, &followed.steps), (Status::Completed, &vec![add(ONE)]), "{followed:#?}");
    let row = json!(followed.outcome.images[0]);
    assert_eq!((&row["imageId"], &row["copy"]["state"]), (&json!(COPY), &json!("available")));
    assert_eq!(row["copyOf"], json!({"region": REGION, "imageId": SOURCE}));
    // The key check is that of the copy.
    refused(&world, &share(&[TWO]), &[&format!("KeyAccessMissing {TWO}")]);
    // Its own name counts for nothing here.
    let renamed = world.with(|world| {
        let made = world.copies().images.get_mut(&id(COPY)).unwrap();
        (made.name, made.tags) = (Some("x".to_owned()), BTreeMap::new());
    });
    assert_eq!(follow(&renamed, &share(&[ONE])).steps, [add(ONE)]);
}

#[test]
fn what_counts_as_a_copy() {
    let is_used = |change: fn(&mut Image)| {
        let mut image = copy(KEY, ImageState::Available);
        change(&mut image);
        let followed = follow(&world("copied-1", &[ONE]).made(COPY, image), &share(&[ONE]));
        followed.outcome.result == Status::Completed
    };
    assert!(is_used(|_| {}));
    assert!(!is_used(|it| known(&mut it.snapshots[0].snapshot).key = Some(OTHER_KEY.parse().unwrap())));
    assert!(!is_used(|it| known(&mut it.snapshots[0].snapshot).key = None));
    assert!(!is_used(|it| it.snapshots[0].snapshot = Fact::Failed(denied("ec2:DescribeSnapshots"))));
    assert!(!is_used(|it| it.snapshots.clear()));
    assert!(!is_used(|it| it.architecture = Some("x86_64".to_owned())));
    assert!(!is_used(|it| it.volume_sizes = vec![Some(8)]));
    assert!(!is_used(|it| it.volume_sizes = vec![Some(8), Some(21)]));
    assert!(!is_used(|it| it.state = ImageState::Disabled));
}

#[test]
fn an_available_copy_comes_before_a_pending_one_and_the_newest_first() {
    let old = Image {
        provenance: Provenance {
            created: Some(NOW - Duration::days(1)),
            ..copy(KEY, ImageState::Available).provenance
        },
        ..copy(KEY, ImageState::Available)
    };
    let world = world("copied-1", &[ONE]).made(COPY, copy(KEY, ImageState::Available)).made(OTHER_COPY, old);
    assert_eq!(follow(&world, &share(&[ONE])).steps, [format!("ec2:ModifyImageAttribute {COPY} +{ONE}")]);
    let world = world.made(COPY, copy(OTHER_KEY, ImageState::Pending));
    assert_eq!(follow(&world, &share(&[ONE])).steps, [format!("ec2:ModifyImageAttribute {OTHER_COPY} +{ONE}")]);
}

#[test]
fn the_snapshots_of_copies_are_read_also_if_the_source_is_gone() {
    let unread = |name: &str| {
        let copied = copy(KEY, ImageState::Available);
        let snapshots =
            copied.snapshots.iter().map(|it| Backing { id: it.id.clone(), snapshot: Fact::NotRead }).collect();
        let world = world("copied-1", &[ONE]).made(COPY, Image { name: Some(name.to_owned()), snapshots, ..copied });
        world.with(|world| world.copies().source = Fact::Known(None)).with(|world| {
            world.copies().learn_source(owner());
        })
    };
    let read = |world: &World| world.put(&share(&[ONE]), read_plan::snapshots_of_copies);
    assert_eq!(read(&unread("copied-1")), ["snap-0000000c".parse().unwrap()]);
    // No rule covers this one, so nothing is read about it.
    assert_eq!(read(&unread("other-1")), []);
}

#[test]
fn a_pending_copy_is_waited_for_whatever_its_key() {
    let world = world("copied-1", &[ONE]).made(COPY, copy(OTHER_KEY, ImageState::Pending));
    let followed = accepted(&world, &share(&[ONE]), &[create(&[ONE])]);
    let row = json!(followed.outcome.images[0]);
    assert_eq!((&row["imageId"], &row["copy"]["state"]), (&json!(COPY), &json!("pending")));
    // The same request again finds its record, with its first time.
    let until = NOW + Duration::hours(3);
    let again = world.waiting(recorded(&[ONE], "lambda:invoke", 0, until));
    let followed = accepted(&again, &share(&[ONE]), &[]);
    assert_eq!(followed.outcome.images[0].copy.as_ref().unwrap().until, Some(until));
    assert!(!followed.outcome.images[0].changed);
}

#[test]
fn everything_is_decided_before_a_copy_is_made() {
    let open = || world("copied-1", &[ONE, TWO]);
    let everyone = share(&[ONE]);
    refused(&world("other-1", &[ONE]), &everyone, &["ActionNotAllowed"]);
    refused(&open(), &share(&["444455556666"]), &["TargetNotAllowed 444455556666"]);
    refused(&open(), &share(&["999988887777"]), &["TargetIsOwner 999988887777"]);
    refused(&world("copied-1", &[]), &everyone, &[&format!("KeyAccessMissing {ONE}")]);
    let elsewhere = ask("share", &[ONE], json!({"copyFrom": "eu-south-1"}));
    let refusal = &refused(&open(), &elsewhere, &[&format!("CopyNotAllowed {ONE}")]).outcome.refusals[0];
    assert_eq!(refusal.pointer.as_deref(), Some("/copyFrom"));
    refused(&world("golden-1", &[ONE]), &everyone, &[&format!("CopyNotAllowed {ONE}")]);

    let source_is = |change: fn(&mut Copies)| open().with(|world| change(world.copies()));
    let image = |copies: &mut Copies, change: fn(&mut Image)| change(known(&mut copies.source).as_mut().unwrap());
    refused(&source_is(|it| it.source = Fact::Known(None)), &everyone, &["ImageNotFound"]);
    let foreign = open().with(|world| image(world.copies(), |it| it.owner = account(ONE)));
    refused(&foreign, &everyone, &["ImageNotOwned"]);
    for state in [ImageState::Pending, ImageState::Disabled] {
        let mut world = open();
        known(&mut world.copies().source).as_mut().unwrap().state = state;
        refused(&world, &everyone, &["ImageNotAvailable"]);
        // Where the copy is made already, the source is not asked any more.
        accepted(&world.made(COPY, copy(KEY, ImageState::Pending)), &everyone, &[create(&[ONE])]);
    }
    let bundle = open().with(|world| image(world.copies(), |it| it.is_instance_store = true));
    refused(&bundle, &everyone, &["CopyNotPossible"]);
    refused(&bundle, &ask("share", &[ONE], json!({"access": "copy"})), &["CopyNotPossible"]);
    let key: KeyArn = OTHER_KEY.parse().unwrap();
    for metadata in [
        Fact::Known(KeyMetadata { unusable_state: Some("Disabled".to_owned()), ..usable() }),
        Fact::Failed(denied("kms:DescribeKey")),
    ] {
        let world = open().with(|world| drop(world.copies().source_keys.insert(key.clone(), metadata)));
        let refusal = &refused(&world, &everyone, &["KeyNotUsable"]).outcome.refusals[0];
        assert_eq!(refusal.key_arn, Some(key.clone()));
    }
    // A key that AWS manages is what copies get rid of.
    let managed = Fact::Known(KeyMetadata { is_aws_managed: true, ..usable() });
    let world = open().with(|world| drop(world.copies().source_keys.insert(key.clone(), managed)));
    accepted(&world, &everyone, &[create(&[ONE]), make()]);
}

#[test]
fn the_key_of_the_rule_must_be_usable() {
    let with_key = |change: fn(&mut Key)| world("copied-1", &[ONE]).with(|world| change(world.key()));
    let metadata =
        |change: fn(&mut KeyMetadata)| world("copied-1", &[ONE]).with(|world| change(known(&mut world.key().metadata)));
    for (world, why) in [
        (metadata(|it| it.unusable_state = Some("PendingDeletion".to_owned())), "PendingDeletion"),
        (metadata(|it| it.is_aws_managed = true), "AWS manages it"),
        (metadata(|it| it.is_symmetric = false), "not a symmetric"),
    ] {
        let refusal = &refused(&world, &share(&[ONE]), &["CopyKeyNotUsable"]).outcome.refusals[0];
        assert!(refusal.key_arn.is_some() && refusal.remedy.is_some());
        assert!(refusal.message.contains(KEY) && refusal.message.contains(why), "{}", refusal.message);
    }
    let unread = with_key(|it| it.metadata = Fact::Failed(denied("kms:DescribeKey")));
    refused(&unread, &share(&[ONE]), &["CopyKeyNotUsable", &format!("KeyAccessUnknown {ONE}")]);
    refused(&world("astray-1", &[ONE]), &share(&[ONE]), &["CopyKeyNotUsable"]);
}

#[test]
fn targets_under_rules_with_different_keys_are_not_copied_for_together() {
    let both = world("copied-1", &[ONE, THREE]).with(|world| {
        let key = world.key().clone();
        world.keys.insert(
            "arn:aws:kms:eu-west-1:999988887777:key/11111111-12ab-34cd-56ef-1234567890ab".parse().unwrap(),
            key,
        );
    });
    let followed = refused(&both, &share(&[ONE, THREE]), &["CopyNotPossible"]);
    let message = &followed.outcome.refusals[0].message;
    assert!(message.contains(KEY) && message.contains("key/11111111"), "{message}");
    accepted(&both, &share(&[THREE]), &[create(&[THREE]), make()]);
}

#[test]
fn a_grant_on_the_key_is_made_for_the_copy_and_not_before() {
    let name = "arn:aws:kms:eu-west-1:999988887777:key/11111111-12ab-34cd-56ef-1234567890ab";
    let closed = world("copied-1", &[]).with(|world| {
        let key = world.key().clone();
        world.keys.insert(name.parse().unwrap(), key);
    });
    accepted(&closed, &share(&[THREE]), &[create(&[THREE]), make()]);
    let there = closed.made(COPY, copy(name, ImageState::Available));
    let followed = follow(&there, &share(&[THREE]));
    let expect = [format!("kms:CreateGrant {name} +{THREE}"), format!("ec2:ModifyImageAttribute {COPY} +{THREE}")];
    assert_eq!(followed.steps, expect);
}

#[test]
fn a_deployment_that_can_record_nothing_makes_no_copies_and_shares_those_there_are() {
    let bare = || world("copied-1", &[ONE]).with(|world| world.unset_for_copies = vec!["AMI_SHARE_RECORD_KEY"]);
    let refusal = &refused(&bare(), &share(&[ONE]), &["CopyNotPossible"]).outcome.refusals[0];
    assert_eq!(json!(refusal.values["variables"]), json!(["AMI_SHARE_RECORD_KEY"]));
    assert!(refusal.message.ends_with("it has no AMI_SHARE_RECORD_KEY"), "{}", refusal.message);
    let there = bare().made(COPY, copy(KEY, ImageState::Available));
    assert_eq!(follow(&there, &share(&[ONE])).outcome.result, Status::Completed);
    // Also where it could, because it has approvals, and its role may not copy.
    let off = || world("copied-1", &[ONE]).with(|world| world.setup.copies = false);
    let refusal = &refused(&off(), &share(&[ONE]), &["CopyNotPossible"]).outcome.refusals[0];
    assert_eq!(json!(refusal.values["parameter"]), json!("EnableCopies"));
    assert!(refusal.message.ends_with("EnableCopies is off"), "{}", refusal.message);
    let there = off().made(COPY, copy(KEY, ImageState::Available));
    assert_eq!(follow(&there, &share(&[ONE])).outcome.result, Status::Completed);
}

#[test]
fn copy_access_is_given_to_a_copy_like_to_any_image() {
    let request = ask("share", &[ONE], json!({"access": "copy"}));
    let open = world("copied-1", &[ONE]);
    let followed = follow(&open, &request);
    assert_eq!(followed.outcome.result, Status::Accepted, "{followed:#?}");
    let there = open.clone().made(COPY, copy(KEY, ImageState::Available));
    let add = format!("ec2:ModifySnapshotAttribute snap-0000000c +{ONE}");
    assert_eq!(follow(&there, &request).steps, [add, format!("ec2:ModifyImageAttribute {COPY} +{ONE}")]);
    let off = open.with(|world| world.setup.copy_access = false);
    assert!(follow(&off, &request).refusals.iter().any(|refusal| refusal.starts_with("NotSetUp")));
}

#[test]
fn the_expiry_of_a_share_that_waits_is_checked_like_any() {
    let share = |expires_at: Option<&str>| {
        let more = expires_at.map_or(json!({}), |at| json!({"expiresAt": at}));
        ask("share", &[ONE], more)
    };
    let lent = || world("lent-1", &[ONE]);
    refused(&lent(), &share(None), &[&format!("ExpiryRequired {ONE}")]);
    refused(&lent(), &share(Some("2027-11-22T12:00:00Z")), &[&format!("ExpiryNotAllowed {ONE}")]);
    refused(&lent(), &share(Some("2026-11-22T12:04:00Z")), &["MalformedRequest"]);
    let followed = follow(&lent(), &share(Some("2026-11-25T12:00:00Z")));
    assert_eq!((followed.outcome.result, followed.steps.len()), (Status::Accepted, 2));
    // By a record, nobody can be told what is wrong with the request: the time has passed.
    let mut record = recorded(&[ONE], "lambda:invoke", 0, NOW + Duration::hours(9));
    record.request.expires_at = Some(NOW + Duration::minutes(4));
    for world in [lent(), lent().made(COPY, copy(KEY, ImageState::Available))] {
        let hinted = world.with(|world| world.hint = Some(record.clone()));
        let followed = refused(&hinted, &share(None), &["ExpiryNotAllowed"]);
        assert_eq!(followed.steps, [format!("scheduler:DeleteSchedule {}", record.name)]);
    }
}

/// A world in which the record of a share of [`ONE`] is looked at.
fn hinted(world: World, failed_copies: usize, until: OffsetDateTime) -> World {
    world.with(|world| world.hint = Some(recorded(&[ONE], "lambda:invoke", failed_copies, until)))
}

#[test]
fn a_hint_shares_and_the_next_one_deletes_the_record() {
    let later = NOW + Duration::hours(1);
    let pending = || world("copied-1", &[ONE]).made(COPY, copy(KEY, ImageState::Pending));
    accepted(&hinted(pending(), 0, later), &share(&[ONE]), &[]);
    let there = || world("copied-1", &[ONE]).made(COPY, copy(KEY, ImageState::Available));
    for until in [later, NOW - Duration::hours(1)] {
        let followed = follow(&hinted(there(), 0, until), &share(&[ONE]));
        assert_eq!(followed.steps, [format!("ec2:ModifyImageAttribute {COPY} +{ONE}")]);
        assert_eq!(followed.outcome.result, Status::Completed);
    }
    let shared = there().with(|world| {
        let made = world.copies().images.get_mut(&id(COPY)).unwrap();
        made.launch_permissions = Fact::Known(vec![LaunchPermission::To(target(ONE))]);
    });
    let followed = follow(&hinted(shared.clone(), 0, later), &share(&[ONE]));
    assert_eq!(followed.steps, [delete(&[ONE], "lambda:invoke")]);
    assert!(!followed.outcome.images[0].changed);
    // Who asks finds it shared, and deletes nothing.
    assert_eq!(follow(&shared, &share(&[ONE])).steps, [""; 0]);
}

#[test]
fn a_hint_gives_up_what_failed_or_came_too_late() {
    let (later, before) = (NOW + Duration::hours(1), NOW - Duration::minutes(1));
    #[track_caller]
    fn check(world: World, code: &str, words: &str) {
        let followed = follow(&world, &share(&[ONE]));
        let codes: Vec<_> = followed.outcome.errors.iter().map(|error| error.code.as_str()).collect();
        assert_eq!((followed.outcome.result, &codes[..]), (Status::Failed, &[code][..]), "{followed:#?}");
        assert_eq!(followed.steps, [delete(&[ONE], "lambda:invoke")]);
        let message = &followed.outcome.errors[0].message;
        assert!(message.contains(words), "{message}");
    }
    let open = || world("copied-1", &[ONE]).made(OTHER_COPY, failed("Client.InternalError: no such key"));
    check(hinted(open(), 0, later), "CopyFailed", "no such key");
    // Whatever is in the way of another copy: EC2's reason is what is wanted.
    let disabled = open().with(|it| known(&mut it.key().metadata).unusable_state = Some("Disabled".to_owned()));
    check(hinted(disabled, 0, later), "CopyFailed", "no such key");
    // One that was there before is none of its own.
    accepted(&hinted(open(), 1, later), &share(&[ONE]), &[make()]);
    // Somebody has asked for another copy meanwhile: it is waited for.
    accepted(&hinted(open().made(COPY, copy(KEY, ImageState::Pending)), 0, later), &share(&[ONE]), &[]);
    check(hinted(open(), 1, before), "CopyOverdue", "2026-11-22T11:59:00Z");
    let pending = open().made(COPY, copy(KEY, ImageState::Pending));
    check(hinted(pending.clone(), 1, before), "CopyOverdue", "is pending");
    accepted(&hinted(pending, 1, later), &share(&[ONE]), &[]);
    let there = open().made(COPY, copy(KEY, ImageState::Available));
    assert_eq!(follow(&hinted(there, 0, before), &share(&[ONE])).outcome.result, Status::Completed);
}

#[test]
fn who_asks_again_finds_the_record_unless_its_time_is_over() {
    let (later, before) = (NOW + Duration::hours(1), NOW - Duration::minutes(1));
    let own = |until| world("copied-1", &[ONE]).waiting(recorded(&[ONE], "lambda:invoke", 0, until));
    let until = |followed: &Followed| json!(followed.outcome.images[0])["copy"]["until"].clone();
    let pending = |world: World| world.made(COPY, copy(KEY, ImageState::Pending));
    accepted(&pending(own(later)), &share(&[ONE]), &[]);
    // Its copy has failed, and no hint has said so yet: another one is made.
    let again = accepted(&own(later).made(OTHER_COPY, failed("why")), &share(&[ONE]), &[make()]);
    assert_eq!(until(&again), "2026-11-22T13:00:00Z");
    // Its time is over, and no hint has said so yet: it begins to wait again.
    let begun = [delete(&[ONE], "lambda:invoke"), create(&[ONE])];
    let again = accepted(&pending(own(before)), &share(&[ONE]), &begun);
    assert_eq!(until(&again), "2026-11-23T00:00:00Z");
    assert!(again.outcome.images[0].changed);
    accepted(&own(before), &share(&[ONE]), &[&begun[..], &[make()]].concat());
}

#[test]
fn a_late_hint_of_a_share_that_was_made_says_nothing_about_its_expiry() {
    let minutes = |number| NOW + Duration::minutes(number);
    let check = |asked: OffsetDateTime, there: &[OffsetDateTime], is_shared: bool, expect: &[&str]| {
        let mut made = copy(KEY, ImageState::Available);
        made.name = Some("lent-1".to_owned());
        let expiries = there.iter().map(|at| {
            let expiry = Expiry { image_id: id(COPY), ..expiry(ONE, *at) };
            let name = ExpiryName::new(&expiry.image_id, &expiry.target, expiry.at).unwrap();
            (name.clone(), Expiry { name, ..expiry })
        });
        made.expiries = Fact::Known(expiries.collect());
        if is_shared {
            made.launch_permissions = Fact::Known(vec![LaunchPermission::To(target(ONE))]);
        }
        let mut record = recorded(&[ONE], "lambda:invoke", 0, minutes(60));
        record.request.expires_at = Some(asked);
        let world = world("lent-1", &[ONE]).made(COPY, made).with(|world| world.hint = Some(record.clone()));
        let followed = follow(&world, &share(&[ONE]));
        assert_eq!(followed.refusals, expect, "{asked}, {there:?}");
        assert_eq!(followed.steps, [format!("scheduler:DeleteSchedule {}", record.name)]);
    };
    // Near, at hand, renewed, and renewed long ago.
    check(minutes(4), &[minutes(4)], true, &[]);
    check(minutes(1), &[minutes(1)], true, &[]);
    check(minutes(30), &[minutes(30), minutes(90)], true, &[]);
    check(minutes(-5), &[minutes(90)], true, &[]);
    // What was not made is too late.
    check(minutes(4), &[], false, &["ExpiryNotAllowed"]);
    check(minutes(30), &[minutes(90)], false, &[&format!("ExpiryNotAllowed {ONE}")]);
}

#[test]
fn a_hint_gives_up_what_is_not_allowed_any_more() {
    let later = NOW + Duration::hours(1);
    let gone = |world: World| hinted(world, 0, later);
    for (world, code) in [
        (world("other-1", &[ONE]), "ActionNotAllowed".to_owned()),
        (world("copied-1", &[]), format!("KeyAccessMissing {ONE}")),
        (world("copied-1", &[]).made(COPY, copy(KEY, ImageState::Available)), format!("KeyAccessMissing {ONE}")),
        (world("copied-1", &[ONE]).with(|it| it.copies().source = Fact::Known(None)), "ImageNotFound".to_owned()),
    ] {
        let followed = refused(&gone(world), &share(&[ONE]), &[&code]);
        assert_eq!(followed.steps, [delete(&[ONE], "lambda:invoke")]);
    }
    // What may pass is asked again.
    let mut world = world("copied-1", &[ONE]);
    known(&mut world.copies().source).as_mut().unwrap().state = ImageState::Pending;
    assert_eq!(refused(&gone(world), &share(&[ONE]), &["ImageNotAvailable"]).steps, [""; 0]);
}

#[test]
fn a_copy_outlives_its_source() {
    let orphan = world("copied-1", &[ONE])
        .made(COPY, copy(KEY, ImageState::Available))
        .with(|world| world.copies().source = Fact::Known(None))
        .with(|world| world.copies().learn_source(owner()));
    // It is covered by its own name then.
    assert_eq!(follow(&orphan, &share(&[ONE])).steps, [format!("ec2:ModifyImageAttribute {COPY} +{ONE}")]);
    let renamed = orphan.with(|world| world.copies().images.get_mut(&id(COPY)).unwrap().name = Some("x".to_owned()));
    refused(&renamed, &share(&[ONE]), &["ImageNotFound"]);
}

#[test]
fn a_check_says_what_waits_and_what_a_share_would_meet() {
    #[track_caller]
    fn check(world: &World, targets: &[&str], expect: &[&str]) {
        let followed = follow(world, &ask("check", targets, json!({})));
        assert_eq!(followed.outcome.result, Status::Completed);
        let rows = followed.outcome.images[0].targets.iter();
        let rows: Vec<_> = rows
            .map(|row| format!("{} {} {}", row.target, json!(row.state).as_str().unwrap(), row.accepted.unwrap()))
            .collect();
        assert_eq!(rows, expect, "{followed:#?}");
    }
    let open = world("copied-1", &[ONE]).waiting(recorded(&[ONE], "somebody", 0, NOW));
    check(&open, &[ONE, TWO], &[&format!("{ONE} waiting true"), &format!("{TWO} not-shared false")]);
    let there = open.made(COPY, copy(KEY, ImageState::Available));
    check(&there, &[ONE], &[&format!("{ONE} waiting true")]);
    let row = json!(follow(&there, &ask("check", &[ONE], json!({}))).outcome.images[0]);
    assert_eq!((&row["imageId"], &row["targets"][0]["launch"]), (&json!(COPY), &json!("not")));
}

#[test]
fn a_list_shows_every_copy_and_what_waits() {
    let list = json!({"action": "list", "imageIds": [SOURCE], "copyFrom": REGION});
    let open = world("copied-1", &[ONE]).waiting(recorded(&[TWO, ONE], "somebody", 0, NOW));
    let followed = follow(&open, &list);
    let row = json!(followed.outcome.images[0]);
    assert_eq!((&row["imageId"], &row["copy"]["state"]), (&Value::Null, &json!("none")));
    assert_eq!(followed.targets(), [format!("{ONE} waiting"), format!("{TWO} waiting")]);
    // It is shown with the copy that it waits for.
    let making = open
        .clone()
        .made(COPY, copy(OTHER_KEY, ImageState::Available))
        .made(OTHER_COPY, copy(KEY, ImageState::Pending));
    let rows = follow(&making, &list).outcome.images;
    assert_eq!(rows.iter().map(|row| row.targets.len()).collect::<Vec<_>>(), [0, 2]);
    let shared = Fact::Known(vec![LaunchPermission::To(target(ONE))]);
    let there = open
        .made(COPY, Image { launch_permissions: shared, ..copy(OTHER_KEY, ImageState::Available) })
        .made(OTHER_COPY, copy(KEY, ImageState::Available))
        .made("ami-0000000e", failed("no"));
    let followed = follow(&there, &list);
    let ids: Vec<_> = followed.outcome.images.iter().map(|row| json!(row)["imageId"].clone()).collect();
    assert_eq!(ids, [json!(COPY), json!(OTHER_COPY)]);
    assert_eq!(followed.targets(), [format!("{ONE} shared"), format!("{TWO} waiting")]);
}

fn revoke(targets: &[&str]) -> Value {
    ask("revoke", targets, json!({}))
}

#[test]
fn a_revoke_reaches_every_copy_and_what_waits() {
    let later = NOW + Duration::hours(1);
    let open = || {
        let shared = || Fact::Known(vec![LaunchPermission::To(target(ONE)), LaunchPermission::To(target(TWO))]);
        let image = |key| Image { launch_permissions: shared(), ..copy(key, ImageState::Available) };
        world("lent-1", &[])
            .made(COPY, image(KEY))
            .made(OTHER_COPY, image(OTHER_KEY))
            .made("ami-0000000e", copy(KEY, ImageState::Pending))
            .with(|world| {
                // Both copies are on snapshots of their own.
                let other = world.copies().images.get_mut(&id(OTHER_COPY)).unwrap();
                other.snapshots.clear();
                world.copies().images.get_mut(&id(COPY)).unwrap().snapshots.clear();
            })
    };
    let remove = |copy_id: &str| format!("ec2:ModifyImageAttribute {copy_id} -{ONE}");
    let both = recorded(&[ONE, TWO], "somebody", 0, later);
    let followed = follow(&open().waiting(both.clone()), &revoke(&[ONE]));
    let left = both.without(&[target(ONE)]).unwrap();
    let mut steps = followed.steps.clone();
    steps.sort();
    let mut expect = vec![
        remove(COPY),
        remove(OTHER_COPY),
        format!("scheduler:CreateSchedule {} +{TWO}", left.name),
        format!("scheduler:DeleteSchedule {} -{ONE}", both.name),
    ];
    expect.sort();
    // What only waits has no launch permission to remove.
    let without_snapshots: Vec<_> = steps.into_iter().filter(|step| !step.contains("ModifySnapshot")).collect();
    assert_eq!(without_snapshots, expect);
    assert_eq!(followed.outcome.result, Status::Completed);
    assert!(followed.targets().contains(&format!("{ONE} revoked")), "{:?}", followed.targets());
}

#[test]
fn what_waits_is_taken_back_with_an_image_that_the_request_may_be_about() {
    let later = NOW + Duration::hours(1);
    // Who asked for it takes nothing else back either.
    for requester in ["somebody", "lambda:invoke"] {
        // The first of them is none of ours.
        let foreign = Image { owner: account(THREE), ..copy(KEY, ImageState::Pending) };
        let open = world("lent-1", &[]).made(COPY, foreign).made(OTHER_COPY, copy(KEY, ImageState::Pending));
        let followed = follow(&open.waiting(recorded(&[ONE], requester, 0, later)), &revoke(&[ONE]));
        assert_eq!(followed.refusals, ["ImageNotOwned"], "{requester}");
        assert_eq!(followed.steps.last(), Some(&format!("{} -{ONE}", delete(&[ONE], requester))));
    }
}

#[test]
fn a_revoke_of_what_only_waits_deletes_its_record() {
    let later = NOW + Duration::hours(1);
    let open = world("lent-1", &[]).waiting(recorded(&[ONE], "somebody", 0, later));
    let followed = follow(&open, &revoke(&[ONE]));
    assert_eq!(followed.steps, [format!("{} -{ONE}", delete(&[ONE], "somebody"))]);
    assert_eq!((followed.outcome.result, followed.targets()), (Status::Completed, vec![format!("{ONE} revoked")]));
    // Nothing will be made, so it is about no key.
    assert_eq!(followed.outcome.images[0].key_arns, []);
    let nothing = follow(&world("lent-1", &[]), &revoke(&[ONE]));
    assert_eq!((nothing.steps.len(), nothing.targets()), (0, vec![format!("{ONE} not-shared")]));
    // It needs nothing of the Region of the image, whose name a rule about every image does not ask for.
    refused(&open.with(|it| it.copies().source = Fact::Known(None)), &revoke(&[ONE]), &["ActionNotAllowed"]);
}

#[test]
fn where_the_source_cannot_be_read_it_is_not_said_that_it_is_not_there() {
    let list = json!({"action": "list", "imageIds": [SOURCE], "copyFrom": REGION});
    let unread = |name: &str, retryable: bool| {
        let failure = Failure { retryable, ..denied("ec2:DescribeImages") };
        world(name, &[]).with(|world| {
            world.copies().source = Fact::Failed(failure);
            world.copies().learn_source(owner());
        })
    };
    let failed = |world: &World, request: &Value| {
        let Followed { refusals, steps, outcome } = follow(world, request);
        assert_eq!((refusals.len(), steps.len(), outcome.images.len()), (0, 0, 0), "{outcome:#?}");
        assert_eq!((outcome.result, outcome.errors.len()), (Status::Failed, 1), "{outcome:#?}");
        outcome.retryable
    };
    for retryable in [true, false] {
        for request in [&list, &revoke(&[ONE])] {
            assert_eq!(failed(&unread("lent-1", retryable), request), retryable);
            // Nor whether a rule covers the copy that is there.
            let there =
                unread("lent-1", retryable).made(COPY, Image { name: None, ..copy(KEY, ImageState::Available) });
            assert_eq!(failed(&there, request), retryable);
        }
        // What a rule covers by its own name, and what waits, is shown and taken away all the same.
        let own = Image { name: Some("lent-2".to_owned()), ..copy(KEY, ImageState::Available) };
        let there = unread("lent-1", retryable).made(COPY, own);
        assert_eq!(follow(&there, &list).outcome.result, Status::Completed);
        assert_eq!(follow(&there, &revoke(&[ONE])).outcome.result, Status::Completed);
        let asked = recorded(&[ONE], "lambda:invoke", 0, NOW + Duration::hours(1));
        let withdrawn = follow(&unread("lent-1", retryable).waiting(asked), &revoke(&[ONE]));
        assert_eq!(withdrawn.steps, [format!("{} -{ONE}", delete(&[ONE], "lambda:invoke"))]);
    }
    // Not even who may see every image learns of one that only the request names.
    for request in [&list, &revoke(&[ONE])] {
        let every = unread("x", true).with(|world| {
            world.allowlist.push_str(
                r#"
  - {name: every, requesters: ["lambda:invoke"], actions: [list, revoke], images: all, targets: ["111122223333"]}
"#,
            );
        });
        assert!(failed(&every, request));
        assert_eq!(follow(&every, request).outcome.errors[0].resource.as_deref(), Some(SOURCE));
    }
    // There is no such image where the Region says so.
    let gone = world("lent-1", &[]).with(|world| world.copies().source = Fact::Known(None));
    refused(&gone, &revoke(&[ONE]), &["ImageNotFound"]);
}

#[test]
fn who_asked_may_take_back_what_waits_without_the_right_to_revoke() {
    let later = NOW + Duration::hours(1);
    let own = || recorded(&[ONE, TWO], "lambda:invoke", 0, later);
    let open = || world("copied-1", &[]).waiting(own());
    let followed = follow(&open(), &revoke(&[TWO]));
    assert_eq!(followed.refusals, [""; 0]);
    let left = own().without(&[target(TWO)]).unwrap();
    let create = format!("scheduler:CreateSchedule {} +{ONE}", left.name);
    assert_eq!(followed.steps, [create, format!("{} -{TWO}", delete(&[ONE, TWO], "lambda:invoke"))]);
    assert_eq!(followed.targets(), [format!("{TWO} revoked")]);
    // Nothing of what is there is taken away, and nothing of others.
    let there = open().made(COPY, copy(KEY, ImageState::Available));
    assert_eq!(
        follow(&there, &revoke(&[ONE, TWO])).steps,
        [format!("{} -{ONE} -{TWO}", delete(&[ONE, TWO], "lambda:invoke"))]
    );
    let others = world("copied-1", &[]).waiting(recorded(&[ONE], "somebody", 0, later));
    refused(&others, &revoke(&[ONE]), &["ActionNotAllowed"]);
    refused(&open(), &revoke(&[ONE, THREE]), &["ActionNotAllowed"]);
    // It is no right to anything else.
    let stranger = "444455556666";
    let asked = world("copied-1", &[]).waiting(recorded(&[stranger], "lambda:invoke", 0, later));
    let check = ask("check", &[stranger], json!({}));
    assert_eq!(follow(&asked, &check).refusals, [format!("TargetNotAllowed {stranger}")]);
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

#[test]
fn what_waits_for_a_copy_is_shared_only_with_the_approval_that_the_rules_want_then() {
    let group = "jwt-group:https://i#owners";
    let in_group = || by(OLGA).with_groups(vec!["owners".to_owned()]);
    let not_allowed: &[&str] = &["ApprovalNotAllowed"];
    let plain = || recorded(&[ONE], "lambda:invoke", 0, in_days(1));
    let rows: [(&[&str], CopyRecord, &[&str]); 8] = [
        (&[], plain(), &[]),
        // The rule has approvers now, and nobody approved.
        (&[OLGA], plain(), not_allowed),
        (&[OLGA], approved(&[ONE], &by(OLGA)), &[]),
        // Who approved is no approver any more, or the rule wants none any more.
        (&["jwt:https://i#ada"], approved(&[ONE], &by(OLGA)), not_allowed),
        (&[], approved(&[ONE], &by(OLGA)), &[]),
        // The groups are those of the token that approved.
        (&[group], approved(&[ONE], &in_group()), &[]),
        (&[group], approved(&[ONE], &by(OLGA)), not_allowed),
        // Whatever a record says: nobody approves what they asked for.
        (&["arn:aws:iam::999988887777:role/portal"], approved(&[ONE], &by("lambda:invoke")), not_allowed),
    ];
    for (approvers, record, refusals) in rows {
        for state in [ImageState::Pending, ImageState::Available] {
            let world = asked(approvers).made(COPY, copy(KEY, state.clone())).with(|it| it.hint = Some(record.clone()));
            let followed = follow(&world, &share(&[ONE]));
            assert_eq!(followed.refusals, refusals, "{approvers:?} {record:?}");
            let end = format!("scheduler:DeleteSchedule {}", record.name);
            let expect = match (refusals, state) {
                ([], ImageState::Pending) => vec![],
                ([], _) => vec![format!("ec2:ModifyImageAttribute {COPY} +{ONE}")],
                // A refusal ends the waiting.
                _ => vec![end],
            };
            assert_eq!(followed.steps, expect, "{approvers:?} {record:?}");
        }
    }
}

#[test]
fn a_share_that_waits_since_no_rule_wanted_an_approval_says_that_one_does_now() {
    let waits = asked(&[OLGA]).with(|it| it.hint = Some(recorded(&[ONE], "lambda:invoke", 0, in_days(1))));
    let refusal = &refused(&waits, &share(&[ONE]), &["ApprovalNotAllowed"]).outcome.refusals[0];
    assert!(refusal.message.contains("nobody has approved this share"), "{refusal:?}");
    assert!(refusal.remedy.as_ref().unwrap().contains("send the request again"), "{refusal:?}");
}

#[test]
fn an_approved_share_waits_by_a_record_that_says_by_whom() {
    let world = asked(&[OLGA]).with(|world| world.approver = Some(by(OLGA)));
    let record = approved(&[ONE], &by(OLGA));
    let create = |record: &CopyRecord| format!("scheduler:CreateSchedule {} +{ONE}", record.name);
    accepted(&world, &share(&[ONE]), &[create(&record), make()]);
    // The record of the same share without the approval does not become it.
    let unapproved = recorded(&[ONE], "lambda:invoke", 0, in_days(1));
    let pending = |world: World| world.made(COPY, copy(KEY, ImageState::Pending));
    accepted(&pending(world.clone().waiting(unapproved.clone())), &share(&[ONE]), &[create(&record)]);
    accepted(&pending(world.waiting(record.clone())), &share(&[ONE]), &[]);
    // Who asks again finds what was approved, and else waits again, for an approval.
    let asks = |record: &CopyRecord, approvers: &[&str]| pending(asked(approvers).waiting(record.clone()));
    accepted(&asks(&record, &[OLGA]), &share(&[ONE]), &[]);
    accepted(&asks(&record, &[]), &share(&[ONE]), &[]);
    accepted(&asks(&record, &["jwt:https://i#ada"]), &share(&[ONE]), &[create(&unapproved)]);
    accepted(&asks(&unapproved, &[OLGA]), &share(&[ONE]), &[create(&unapproved)]);
    accepted(&asks(&unapproved, &[]), &share(&[ONE]), &[]);
}

#[test]
fn the_record_of_an_approved_share_is_looked_for_where_a_rule_has_approvers() {
    let reads = |approvers: &[&str], approver: Option<&str>| {
        let world = asked(approvers).with(|world| world.approver = approver.map(by));
        world.put(&share(&[ONE]), |case, facts| read_plan::waiting(case, facts).remove(&id(SOURCE)).unwrap())
    };
    let this = |record: CopyRecord| WaitingReads::This(record.name);
    assert_eq!(reads(&[], None), this(recorded(&[ONE], "lambda:invoke", 0, NOW)));
    assert_eq!(reads(&[OLGA], None), WaitingReads::All(format!("copy-{SOURCE}-")));
    assert_eq!(reads(&[OLGA], Some(OLGA)), this(approved(&[ONE], &by(OLGA))));
}

#[test]
fn before_aws_is_asked_only_the_partition_is_in_the_way() {
    let codes = |request: &Value| {
        World::open("golden-1").put(request, |case, _| {
            admit(case).into_iter().map(|refusal| (refusal.code.to_string(), refusal.pointer)).collect::<Vec<_>>()
        })
    };
    for action in ["share", "check", "revoke"] {
        assert_eq!(codes(&ask(action, &[ONE], json!({}))), [], "{action}");
    }
    for action in ["share", "check"] {
        let expect = [("CopyNotPossible".to_owned(), Some("/copyFrom".to_owned()))];
        assert_eq!(codes(&ask(action, &[ONE], json!({"copyFrom": "us-gov-west-1"}))), expect, "{action}");
    }
    assert_eq!(codes(&ask("revoke", &[ONE], json!({"copyFrom": "us-gov-west-1"}))), []);
}

#[test]
fn a_copy_is_covered_by_its_own_name_and_else_by_that_of_its_source() {
    let covered = |name: &str, source_name: Option<&str>| {
        let list = json!({"action": "list", "imageIds": [IMAGE]});
        let image = Image {
            name: Some(name.to_owned()),
            source_naming: source_name.map(|name| source(name).naming()),
            ..copy(KEY, ImageState::Available)
        };
        World::open("x").with(|world| world.image = image).put(&list, |case, facts| {
            let sources = read_plan::sources_of_copies(case, &facts.images);
            (is_covered(case, &facts.images[&id(IMAGE)]), sources != Sources::default())
        })
    };
    // The source is read where no rule covers the copy by its own name.
    assert_eq!(covered("copied-1", None), (true, false));
    assert_eq!(covered("x", None), (false, true));
    assert_eq!(covered("x", Some("copied-1")), (true, true));
    assert_eq!(covered("x", Some("y")), (false, true));
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

#[test]
fn a_target_is_covered_by_the_name_of_the_copy_and_else_for_a_revoke_or_check_by_that_of_its_source() {
    let ask = |action: &str, who: &str| json!({"action": action, "imageIds": [IMAGE], "accountIds": [who]});
    let stranger = "444455556666";
    for (name, action, who, is_read) in [
        ("lent-1", "revoke", ONE, false),
        ("lent-1", "revoke", stranger, true),
        ("copied-1", "check", ONE, false),
        ("copied-1", "check", stranger, true),
    ] {
        let sources = itself(name, Fact::NotRead)
            .put(&ask(action, who), |case, facts| read_plan::sources_of_copies(case, &facts.images));
        assert_eq!(sources != Sources::default(), is_read, "{action} {who}");
    }
    // What could not be read may cover it for a revoke; a share of the copy itself goes by its own name.
    let unread = || Fact::Failed(Failure { retryable: true, ..denied("ec2:DescribeImages") });
    let decided = |action: &str| {
        itself("lent-1", unread()).put(&ask(action, stranger), |case, facts| {
            let decision = decide(case, facts).remove(0);
            (decision.refusals().iter().map(|it| it.code.to_string()).collect::<Vec<_>>(), decision.gaps().len())
        })
    };
    assert_eq!(decided("revoke"), (vec![], 1));
    assert_eq!(decided("share"), (vec!["TargetNotAllowed".to_owned()], 0));
}

#[test]
fn the_way_out_of_a_default_key_names_the_rule_that_would_copy() {
    let share = |name: &str| {
        let world = World::encrypted(name, &[ONE]).with(|world| {
            world.image.tags = source(name).tags;
            known(&mut world.key().metadata).is_aws_managed = true;
        });
        let request = json!({"action": "share", "imageIds": [IMAGE], "accountIds": [ONE]});
        let followed = refused(&world, &request, &["DefaultKey"]);
        let refusal = &followed.outcome.refusals[0];
        (refusal.remedy.clone().unwrap(), json!(refusal.values))
    };
    let (remedy, values) = share("copied-1");
    assert!(remedy.contains("`copyFrom: eu-west-1`") && remedy.contains("`copied`"), "{remedy}");
    assert_eq!(values, json!({"rule": "copied", "copyFrom": "eu-west-1"}));
    let (remedy, values) = share("golden-1");
    assert!(!remedy.contains("copyFrom"), "{remedy}");
    assert_eq!(values, json!({}));
}

#[test]
fn an_audit_finds_copies_that_nobody_uses_and_copies_that_could_not_be_made() {
    let known_source = || Fact::Known(Some(Provenance::default()));
    let made = |region: &str, said: Fact<Option<Provenance>>, change: &dyn Fn(&mut World)| {
        let image = Image {
            provenance: Provenance {
                lineage: Lineage::CopyOf { source: regional(region), said: Box::new(said) },
                ..Provenance::default()
            },
            waiting: Fact::Known(Vec::new()),
            ..copy(KEY, ImageState::Available)
        };
        let world = World::encrypted("copied-1", &[ONE]).with(|world| world.image = image).with(change);
        world.put(&json!({"action": "repair"}), |case, facts| {
            let [decision] = &decide(case, facts)[..] else { panic!("one image, one decision") };
            assert_eq!(plan(case, decision, &world.image, facts), [], "copies are never deregistered");
            let findings = &decision.survey().unwrap().findings;
            let of_copies = findings.iter().filter(|it| it.code.as_str().starts_with("Copy"));
            let told = |remedy: &str| remedy.contains("deregister-image --region eu-west-1 --image-id ami-1a2b");
            assert!(of_copies.clone().all(|it| told(&it.remedy)));
            // While a share waits, its record counts the copies that failed.
            let waits = world.image.waiting.known().is_some_and(|waiting| !waiting.is_empty());
            assert!(of_copies.clone().all(|it| it.remedy.starts_with("when no share waits") == waits));
            findings.iter().map(|it| (it.code.as_str(), it.message.clone())).collect::<Vec<_>>()
        })
    };
    let shared = |world: &mut World| {
        world.image.launch_permissions = Fact::Known(vec![LaunchPermission::To(target(ONE))]);
    };
    let on_key = |key: Option<&str>| {
        let key = key.map(|key| key.parse().unwrap());
        move |world: &mut World| world.snapshot().key.clone_from(&key)
    };
    let awaits =
        |world: &mut World| known(&mut world.image.waiting).push(recorded(&[ONE], "lambda:invoke", 0, in_days(1)));
    let unread = |world: &mut World| world.image.waiting = Fact::NotRead;
    let recorded_expiry = |world: &mut World| {
        let expiry = expiry(ONE, in_days(1));
        known(&mut world.image.expiries).insert(expiry.name.clone(), expiry);
    };
    let copied = |world: &mut World| world.snapshot().create_volume_permissions = copied_by(&[ONE]);
    let fails = |world: &mut World| {
        world.image.snapshots.clear();
        world.image.state = ImageState::Other("failed".to_owned());
        world.image.state_reason = Some("the key is disabled".to_owned());
    };
    let nothing = |_: &mut World| {};
    type Row<'a> = (&'a str, Fact<Option<Provenance>>, &'a dyn Fn(&mut World), &'a [(&'a str, &'a str)]);
    let rows: [Row<'_>; 16] = [
        (REGION, known_source(), &nothing, &[("CopyOrphaned", "no record is about it. It costs")]),
        (REGION, Fact::Known(None), &nothing, &[("CopyOrphaned", "its source no longer exists")]),
        (REGION, Fact::Known(None), &shared, &[]),
        (REGION, Fact::Known(None), &awaits, &[]),
        (REGION, known_source(), &recorded_expiry, &[]),
        (REGION, known_source(), &copied, &[("SnapshotPermissionLeft", "may create volumes")]),
        (REGION, known_source(), &shared, &[]),
        (REGION, known_source(), &awaits, &[]),
        (REGION, known_source(), &unread, &[]),
        (REGION, Fact::NotRead, &shared, &[]),
        // Somebody else's copies: of another Region, under another key, under none.
        ("us-east-1", Fact::Known(None), &nothing, &[]),
        (REGION, Fact::Known(None), &on_key(Some(OTHER_KEY)), &[]),
        (REGION, Fact::Known(None), &on_key(None), &[]),
        (REGION, known_source(), &fails, &[("CopyFailedLeft", "the key is disabled")]),
        (
            REGION,
            known_source(),
            &|world| (fails(world), awaits(world)).1,
            &[("CopyFailedLeft", "the key is disabled")],
        ),
        ("us-east-1", known_source(), &fails, &[]),
    ];
    for (region, said, change, expect) in rows {
        let found = made(region, said, change);
        assert_eq!(
            found.iter().map(|(code, _)| *code).collect::<Vec<_>>(),
            expect.iter().map(|it| it.0).collect::<Vec<_>>()
        );
        for ((_, message), (_, words)) in found.iter().zip(expect) {
            assert!(message.contains(words) && message.contains(IMAGE), "{message}");
        }
    }
}

#[test]
fn an_audit_reads_the_sources_and_what_waits_where_a_rule_makes_copies() {
    let reads = |region: &str| {
        let image = |world: &mut World| {
            world.image = copy(KEY, ImageState::Available);
            let lineage = Lineage::CopyOf { source: regional(region), said: Box::new(Fact::NotRead) };
            world.image.provenance.lineage = lineage;
        };
        World::encrypted("copied-1", &[]).with(image).put(&json!({"action": "repair"}), |case, facts| {
            let sources = read_plan::sources_of_copies(case, &facts.images);
            (sources.by_region.len(), sources.need, read_plan::waiting_beside(case, &facts.images).len())
        })
    };
    assert_eq!(reads(REGION), (1, Need::Optional, 1));
    assert_eq!(reads("us-east-1"), (0, Need::No, 0));
}

#[test]
fn what_could_not_be_found_out_ends_no_waiting_before_its_time() {
    let ends = |until: OffsetDateTime, change: &dyn Fn(&mut World)| {
        let there = world("copied-1", &[ONE]).made(COPY, copy(KEY, ImageState::Available));
        let followed = follow(&hinted(there, 0, until).with(change), &share(&[ONE]));
        assert_eq!(followed.refusals.len(), 1, "{followed:?}");
        !followed.steps.is_empty()
    };
    let unread = |world: &mut World| world.key().policy = Fact::Failed(denied("kms:GetKeyPolicy"));
    let shut = |world: &mut World| world.key().policy = Fact::Known(policy(&[]));
    assert!(!ends(in_days(1), &unread));
    assert!(ends(in_days(-1), &unread));
    assert!(ends(in_days(1), &shut));
    // Nor if it is the key of the rule or that of the source, before there is a copy.
    let waits = |change: &dyn Fn(&mut World)| {
        let followed = follow(&hinted(world("copied-1", &[ONE]), 0, in_days(1)).with(change), &share(&[ONE]));
        assert!(!followed.refusals.is_empty(), "{followed:?}");
        followed.steps.is_empty()
    };
    let no_metadata = || Fact::Failed(denied("kms:DescribeKey"));
    assert!(waits(&|world| world.key().metadata = no_metadata()));
    assert!(waits(&|world| drop(world.copies().source_keys.insert(OTHER_KEY.parse().unwrap(), no_metadata()))));
}

/// A check or revoke in whose URL a target is named by this bare ID.
fn by_id(action: &str, group: &str) -> (Request, Requester) {
    let document = json!({"action": action, "imageIds": [SOURCE], "copyFrom": REGION}).to_string();
    let document = key_policy::json::Json::parse(&document).unwrap();
    let request = Request::parse_for(GroupId::parse(group), &document, NOW).unwrap();
    (request, Requester::new("lambda:invoke".to_owned()))
}

#[test]
fn a_check_for_a_group_by_its_bare_id_judges_the_key_of_its_rule() {
    #[track_caller]
    fn check(world: &World, group: &str, image_id: Option<&str>, verdict: &str, is_accepted: bool) {
        let (request, requester) = by_id("check", group);
        world.put_as(Authority::Requester(&requester), &request, |case, facts| {
            let request = resolve(case, facts).unwrap();
            let case = Case { request: &request, ..*case };
            let results = decide(&case, facts).into_iter().map(|decision| ImageResult {
                decision,
                steps: Vec::new(),
                lost: Vec::new(),
            });
            let mut outcome = Outcome::new("id", Status::Completed);
            report(&mut outcome, &case, facts, results.collect(), "eu-west-1");
            let [row] = &outcome.images[..] else { panic!("{outcome:#?}") };
            assert_eq!(row.image_id.as_ref().map(ImageId::as_str), image_id, "{outcome:#?}");
            assert_eq!(row.keys.len(), 1, "{outcome:#?}");
            assert_eq!(
                (row.keys[0].key_arn.to_string().as_str(), json!(row.keys[0])["verdict"].as_str()),
                (KEY, Some(verdict))
            );
            assert_eq!(row.targets[0].accepted, Some(is_accepted), "{outcome:#?}");
        });
    }
    let open = parsed(&with(
        open_to(&[]),
        allow("*", "kms:*").when(json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}})),
    ));
    for group in ["o-a1b2c3d4e5", "ou-ab12-11111111"] {
        let closed = world("grouped-1", &[]);
        check(&closed, group, None, "missing", false);
        // One under another key is not the copy of the rule.
        let grouped = |key| Image { name: Some("grouped-1".to_owned()), ..copy(key, ImageState::Available) };
        check(&closed.clone().made(COPY, grouped(OTHER_KEY)), group, None, "missing", false);
        let there = closed.made(COPY, grouped(KEY));
        check(&there, group, Some(COPY), "missing", false);
        if group.starts_with("o-") {
            let open = there.with(|world| world.key().policy = Fact::Known(open.clone()));
            check(&open, group, Some(COPY), "allowed", true);
        }
    }
}

#[test]
fn a_group_by_its_bare_id_is_also_known_by_what_waits() {
    let stranger = "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-zzzz-99999999";
    let mut record = recorded(&[ONE], "somebody", 0, in_days(1));
    record.request.targets[0].target = target(stranger);
    let world = world("grouped-1", &[]).waiting(record);
    let (request, requester) = by_id("revoke", "ou-zzzz-99999999");
    world.put_as(Authority::Requester(&requester), &request, |case, facts| {
        let request = resolve(case, facts).unwrap();
        assert_eq!(request.targets[0].target, target(stranger));
        let case = Case { request: &request, ..*case };
        let decisions = decide(&case, facts);
        let steps = plan(&case, &decisions[0], &facts.images[decisions[0].image_id], facts);
        assert!(steps.iter().any(|step| step.call() == "scheduler:DeleteSchedule"), "{steps:?}");
    });
    // A check is about the copy that is there, if only that can say whether it is shared.
    let shared = Fact::Known(vec![LaunchPermission::To(target(stranger))]);
    let copied = Image { launch_permissions: shared, ..copy(OTHER_KEY, ImageState::Available) };
    let (request, requester) = by_id("check", "ou-zzzz-99999999");
    world.made(COPY, copied).put_as(Authority::Requester(&requester), &request, |case, facts| {
        let request = resolve(case, facts).unwrap();
        let case = Case { request: &request, ..*case };
        let codes: Vec<_> = decide(&case, facts)[0].refusals().iter().map(|refusal| refusal.code.to_string()).collect();
        assert_eq!(codes, ["TargetNotAllowed"]);
    });
}

#[test]
fn a_check_under_several_keys_is_about_the_copy_under_each() {
    let other = "arn:aws:kms:eu-west-1:999988887777:key/11111111-12ab-34cd-56ef-1234567890ab";
    let both = world("copied-1", &[ONE, THREE]).with(|world| {
        let key = world.key().clone();
        world.keys.insert(other.parse().unwrap(), key);
    });
    let shared = Fact::Known(vec![LaunchPermission::To(target(ONE))]);
    let there = both
        .made(COPY, Image { launch_permissions: shared, ..copy(KEY, ImageState::Available) })
        .made(OTHER_COPY, copy(other, ImageState::Available));
    let check = follow(&there, &ask("check", &[ONE, THREE], json!({}))).outcome;
    let rows = check.images.iter().flat_map(|row| {
        row.targets.iter().map(|it| format!("{} {} {}", row.image_id.as_ref().unwrap(), it.target, json!(it.state)))
    });
    let expect = [
        format!("{COPY} {ONE} \"shared\""),
        format!("{COPY} {THREE} \"not-shared\""),
        format!("{OTHER_COPY} {ONE} \"not-shared\""),
        format!("{OTHER_COPY} {THREE} \"not-shared\""),
    ];
    assert_eq!(rows.collect::<Vec<_>>(), expect);
    assert!(check.images.iter().flat_map(|row| &row.targets).all(|it| it.accepted == Some(false)));
    assert!(check.refusals.iter().all(|refusal| refusal.code.to_string() == "CopyNotPossible"), "{check:#?}");
    // Whom no rule covers has no say in it.
    let stranger = follow(&there, &ask("check", &[THREE, "444455556666"], json!({}))).outcome;
    let ids: Vec<_> = stranger.images.iter().map(|row| row.image_id.clone()).collect();
    assert_eq!(ids, [Some(id(OTHER_COPY))], "{stranger:#?}");
    // A share is refused also where both copies are there.
    refused(&there, &share(&[ONE, THREE]), &["CopyNotPossible"]);
}

#[test]
fn a_refusal_names_the_field_of_the_request_and_what_it_names() {
    // Two images. The first has two copies, and no rule covers either of them. The second has none.
    let second: ImageId = id("ami-0000000b");
    let request = json!({"action": "revoke", "imageIds": [SOURCE, second], "accountIds": [ONE], "copyFrom": REGION});
    let world = world("other-1", &[])
        .made(COPY, Image { name: None, ..copy(KEY, ImageState::Available) })
        .made(OTHER_COPY, Image { name: None, ..copy(KEY, ImageState::Available) })
        .with(|world| {
            let gone = Copies { source: Fact::Known(None), waiting: Fact::Known(Vec::new()), ..Copies::default() };
            world.copies.insert(second.clone(), gone);
        });
    let refusals = follow(&world, &request).outcome.refusals;
    let told: Vec<_> = refusals
        .iter()
        .map(|it| (it.code.to_string(), it.image_id.as_ref().unwrap().to_string(), it.pointer.clone().unwrap()))
        .collect();
    let expect = [("ActionNotAllowed", SOURCE, "/action"), ("ImageNotFound", second.as_str(), "/imageIds/1")];
    assert_eq!(told, expect.map(|(code, id, at)| (code.to_owned(), id.to_owned(), at.to_owned())));
    // The place is that of the image that it is a copy of, whatever is wrong with the copy.
    let foreign = Image { owner: account(TWO), name: Some("lent-1".to_owned()), ..copy(KEY, ImageState::Available) };
    let later = json!({"action": "revoke", "imageIds": [second, SOURCE], "accountIds": [ONE], "copyFrom": REGION});
    let refusals = follow(&world.clone().made(COPY, foreign), &later).outcome.refusals;
    let place = refusals.iter().find(|it| it.code.to_string() == "ImageNotOwned").map(|it| it.pointer.as_deref());
    assert_eq!(place, Some(Some("/imageIds/1")), "{refusals:#?}");
    // What is said of a copy that the requester may see is said of the copy.
    let disabled = Image { name: Some("lent-1".to_owned()), ..copy(OTHER_KEY, ImageState::Available) };
    let request = json!({"action": "revoke", "imageIds": [second, SOURCE], "accountIds": [THREE], "copyFrom": REGION});
    let refusals = follow(&world.made(COPY, disabled), &request).outcome.refusals;
    assert!(refusals.iter().any(|it| it.pointer.as_deref() == Some("/imageIds/0")), "{refusals:#?}");
}

#[test]
fn an_image_and_its_copy_in_one_request_are_told_apart() {
    // Whichever of the two comes first.
    for copy_id in [COPY, "ami-00000001"] {
        tells_apart(copy_id);
    }
}

fn tells_apart(copy_id: &str) {
    let here = |action: &str| json!({"action": action, "imageIds": [SOURCE, copy_id], "accountIds": [ONE], "copyFrom": "eu-west-1"});
    let lineage = || Lineage::CopyOf { source: regional("eu-west-1"), said: Box::new(Fact::NotRead) };
    let shared = || Fact::Known(vec![LaunchPermission::To(target(ONE))]);
    let image = || Image {
        provenance: Provenance { lineage: lineage(), created: Some(NOW), ..Provenance::default() },
        launch_permissions: shared(),
        ..copy(KEY, ImageState::Available)
    };
    let asked = recorded(&[ONE], "somebody", 0, in_days(1));
    let world = world("lent-1", &[ONE]).made(copy_id, image()).with(|world| {
        // The copy is copied too: not yet, but a share waits for it.
        let mut record = asked.clone();
        record.request.image_ids = vec![id(copy_id)];
        let source = Image { name: Some("lent-1".to_owned()), ..image() };
        let copies =
            Copies { source: Fact::Known(Some(source)), waiting: Fact::Known(vec![record]), ..Copies::default() };
        world.copies.insert(id(copy_id), copies);
    });
    // Its access is taken away, and what waits is taken back.
    let followed = follow(&world, &here("revoke"));
    assert!(followed.steps.contains(&format!("ec2:ModifyImageAttribute {copy_id} -{ONE}")), "{followed:#?}");
    assert!(followed.steps.iter().any(|step| step.starts_with("scheduler:DeleteSchedule")), "{followed:#?}");
    assert_eq!(followed.outcome.images.len(), 1);
    // It is not shared as the one and copied as the other.
    let open = world.with(|world| {
        let both = world.copies.values_mut();
        both.for_each(|copies| known(&mut copies.source).as_mut().unwrap().name = Some("copied-1".to_owned()));
        world.copies().learn_source(owner());
    });
    refused(&open, &here("share"), &["CopyNotPossible"]);
}

#[test]
fn the_copies_of_the_images_count_for_the_number_of_pairs() {
    let targets: Vec<_> = (0..200).map(|number| format!("{number:012}")).collect();
    let pairs = |copies: usize, targets: &[String]| {
        let mut world = world("lent-1", &[]);
        for number in 0..copies {
            world = world.made(&format!("ami-{number:08x}"), copy(OTHER_KEY, ImageState::Available));
        }
        let targets: Vec<_> = targets.iter().map(String::as_str).collect();
        world.put(&revoke(&targets), |case, facts| {
            let refusal = too_many_pairs(case);
            assert_eq!(refusal.is_some(), permitted(case, &facts.images).is_empty(), "nothing more is read then");
            refusal.map(|refusal| (refusal.code.to_string(), json!(refusal)["fault"].clone()))
        })
    };
    let expect = Some(("MalformedRequest".to_owned(), json!("too-many")));
    assert_eq!(pairs(5, &targets), None);
    assert_eq!(pairs(6, &targets), expect);
    assert_eq!(pairs(20, &targets[..1]), None);
}

#[test]
fn a_request_is_refused_for_its_pairs_only_if_copies_make_them_and_it_can_be_divided() {
    let ids: Vec<ImageId> = (0..1_001).map(|number| id(&format!("ami-{number:08x}"))).collect();
    let target = |number: u32| sharing::request::AskedTarget {
        target: target(&format!("{number:012}")),
        pointer: String::new(),
    };
    for (images, named, targets, is_refused) in [
        (6, 1, 200, true),
        (5, 1, 200, false),
        // It names them itself.
        (6, 6, 200, false),
        (6, 5, 200, true),
        // About one image and one target.
        (1_001, 1, 1, false),
        (1_001, 2, 1, true),
        (501, 1, 2, true),
        (500, 1, 2, false),
        (0, 0, 0, false),
    ] {
        let targets = (0..targets).map(target).collect();
        let request =
            Request { image_ids: ids[..images].to_vec(), targets, ..Request::bare(Action::Revoke, id(SOURCE)) };
        let requester = by("lambda:invoke");
        World::open("golden-1").put_as(Authority::Requester(&requester), &request, |case, _| {
            let refusal = too_many_pairs(&Case { named: &ids[..named], ..*case });
            assert_eq!(refusal.is_some(), is_refused, "{images} {named} {}", request.targets.len());
        });
    }
}

#[test]
fn who_may_have_asked_for_what_waits_is_let_in_to_take_it_back_and_for_nothing_else() {
    const RULES: &str = r#"
version: 1
rules:
  - {name: plain, requesters: ["jwt:https://i#bob"], actions: [share], images: {names: ["a-*"]}, targets: ["111122223333"]}
  - name: copies
    requesters: ["jwt:https://i#cay"]
    actions: [share]
    images: {names: ["b-*"]}
    targets: ["111122223333"]
    copies: {from: [eu-north-1], key: "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
"#;
    let (bob, cay, eve) = ("jwt:https://i#bob", "jwt:https://i#cay", "jwt:https://i#eve");
    for (who, action, copy_from, expect) in [
        (bob, Action::Revoke, Some(REGION), None),
        (cay, Action::Revoke, Some(REGION), None),
        (eve, Action::Revoke, Some(REGION), Some("RequesterNotAllowed")),
        // What it names may be a copy only if a rule of the requester has made one.
        (bob, Action::Revoke, None, Some("ActionNotAllowed")),
        (cay, Action::Revoke, None, None),
        (eve, Action::Revoke, None, Some("RequesterNotAllowed")),
        (cay, Action::Reset, None, Some("ActionNotAllowed")),
        (cay, Action::List, Some(REGION), Some("ActionNotAllowed")),
        (bob, Action::List, Some(REGION), Some("ActionNotAllowed")),
        (bob, Action::Share, None, None),
    ] {
        let copy_from = copy_from.map(|region| region.parse().unwrap());
        let request = Request { copy_from, ..Request::bare(action, id(SOURCE)) };
        let world = World::open("a-1").with(|world| world.allowlist = RULES.to_owned());
        let refusals = world.put_as(Authority::Requester(&by(who)), &request, |case, _| admit(case));
        let code = refusals.first().map(|refusal| refusal.code.to_string());
        assert_eq!(code.as_deref(), expect, "{who} {action}");
    }
}

#[test]
fn a_revoke_takes_what_a_rule_allows_and_of_the_rest_what_the_requester_asked_for() {
    let world = world("copied-1", &[]).with(|world| {
        world.allowlist.push_str(
            r#"
  - {name: partly, requesters: ["lambda:invoke"], actions: [revoke], images: {names: ["copied-*"]}, targets: ["111122223333"]}
"#,
        );
    });
    let own = world.waiting(recorded(&[ONE, TWO], "lambda:invoke", 0, NOW + Duration::hours(1)));
    let followed = follow(&own, &revoke(&[ONE, TWO]));
    assert_eq!(followed.refusals, [""; 0]);
    assert_eq!(followed.steps, [format!("{} -{ONE} -{TWO}", delete(&[ONE, TWO], "lambda:invoke"))]);
    assert_eq!(followed.targets(), [format!("{ONE} revoked"), format!("{TWO} revoked")]);
    refused(&own, &revoke(&[ONE, THREE]), &[&format!("TargetNotAllowed {THREE}")]);
}

#[test]
fn a_check_is_about_the_copy_also_where_a_term_of_the_rule_is_not_met() {
    let world = world("lent-1", &[ONE]).made(COPY, copy(KEY, ImageState::Available));
    let until = json!({"expiresAt": "2026-12-01T12:00:00Z"});
    for more in [until.clone(), json!({}), json!({"access": "copy", "expiresAt": "2026-12-01T12:00:00Z"})] {
        let followed = follow(&world, &ask("check", &[ONE], more.clone()));
        let rows = &followed.outcome.images;
        assert_eq!(rows.iter().map(|row| row.image_id.clone()).collect::<Vec<_>>(), [Some(id(COPY))], "{more}");
        assert_eq!(followed.refusals.is_empty(), more == until, "{more}: {:?}", followed.refusals);
    }
}

#[test]
fn of_the_images_that_a_request_copies_from_as_much_is_read_as_the_action_needs() {
    let gov = "us-gov-west-1";
    for (action, region, source, waiting) in [
        ("share", REGION, Need::Required, Need::Required),
        ("check", REGION, Need::Required, Need::Required),
        // Access is taken away and shown whatever another Region answers, or if it can't be asked at all.
        ("revoke", REGION, Need::Optional, Need::Optional),
        ("list", REGION, Need::Optional, Need::Optional),
        ("revoke", gov, Need::No, Need::Optional),
    ] {
        let mut request = ask(action, &[ONE], json!({"copyFrom": region}));
        if action == "list" {
            request.as_object_mut().unwrap().remove("accountIds");
        }
        let request = Request::parse(&key_policy::json::Json::parse(&request.to_string()).unwrap(), NOW).unwrap();
        World::open("x").put_as(Authority::Requester(&by("lambda:invoke")), &request, |case, _| {
            let reads = read_plan::copies(case).unwrap();
            assert_eq!((reads.region.to_string().as_str(), reads.source_ids), (region, &[id(SOURCE)][..]));
            assert_eq!((reads.source, reads.waiting), (source, waiting), "{action} {region}");
        });
    }
    let here = json!({"action": "list", "imageIds": [IMAGE]});
    assert!(World::open("x").put(&here, |case, _| read_plan::copies(case).is_none()));
    // What a hint is about has been read.
    let hinted = hinted(world("copied-1", &[ONE]), 0, in_days(1));
    assert_eq!(hinted.put(&share(&[ONE]), |case, facts| read_plan::waiting(case, facts).len()), 0);
}

#[test]
fn what_waits_beside_an_image_is_read_for_who_may_know_of_it_or_may_have_asked_for_it() {
    let owned_by = |owner, name: &str| itself(name, Fact::NotRead).with(|world| world.image.owner = account(owner));
    for (action, owner, name, is_read) in [
        ("list", "999988887777", "copied-1", true),
        ("revoke", "999988887777", "lent-1", true),
        // No rule covers it. Who may have asked for what waits may take that back.
        ("list", "999988887777", "x", false),
        ("revoke", "999988887777", "x", true),
        ("revoke", TWO, "x", false),
    ] {
        let request = json!({"action": action, "imageIds": [IMAGE]});
        let request = if action == "list" {
            request
        } else {
            json!({"action": action, "imageIds": [IMAGE], "accountIds": [ONE]})
        };
        let reads = owned_by(owner, name).put(&request, |case, facts| read_plan::waiting_beside(case, &facts.images));
        assert_eq!(!reads.is_empty(), is_read, "{action} {owner} {name}");
    }
}

#[test]
fn the_sources_that_are_read_are_those_of_copies_whose_rule_depends_on_them() {
    let list = json!({"action": "list", "imageIds": [IMAGE]});
    let by_account = json!({"action": "list", "accountIds": [ONE]});
    // If one of several that are named can't be read, that concerns no other image; on a page, nobody misses it.
    for (request, need) in [(&list, Need::Optional), (&by_account, Need::Settled)] {
        let sources =
            itself("x", Fact::NotRead).put(request, |case, facts| read_plan::sources_of_copies(case, &facts.images));
        assert_eq!((sources.by_region.len(), sources.need), (1, need), "{request}");
        let elsewhere = RegionalImage { region: "eu-south-1".parse().unwrap(), id: id(SOURCE) };
        let other = RegionalImage { id: id(COPY), ..regional(REGION) };
        let read = [regional(REGION), elsewhere, other].map(|image| sources.include(&image));
        assert_eq!(read, [true, false, false]);
    }
    for (owner, is_read) in [("999988887777", true), (TWO, false)] {
        let world = itself("x", Fact::NotRead).with(|world| world.image.owner = account(owner));
        let sources =
            world.put(&list, |case, facts| read_plan::sources_of_uncovered(case, &facts.images, Need::Optional));
        assert_eq!(sources != Sources::default(), is_read, "{owner}");
    }
    // A check has the refusals of a share, so it goes by the rules about shares.
    let check = json!({"action": "check", "imageIds": [IMAGE], "accountIds": [ONE]});
    let aged = itself("viewed-1", Fact::NotRead).with(|world| {
        // No rule copies from there: only the age says that the source matters.
        let lineage = Lineage::CopyOf { source: regional("us-east-1"), said: Box::new(Fact::NotRead) };
        world.image.provenance.lineage = lineage;
        world.allowlist.push_str(
            r#"
  - {name: aged, requesters: ["lambda:invoke"], actions: [share], images: {names: ["viewed-*"], maxAge: 180d}, targets: ["111122223333"]}
"#,
        );
    });
    let sources = aged.put(&check, |case, facts| read_plan::sources_of_copies(case, &facts.images));
    assert_eq!((sources.by_region.len(), sources.need), (1, Need::Settled));
}

#[test]
fn a_record_is_about_copies_from_one_region() {
    let record = recorded(&[ONE], "lambda:invoke", 0, NOW);
    assert!(record.is_from(&REGION.parse().unwrap()));
    assert!(!record.is_from(&"eu-south-1".parse().unwrap()));
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html>
#[test]
fn a_copy_of_what_is_sold_comes_with_a_warning() {
    let sold = world("copied-1", &[ONE])
        .with(|world| known(&mut world.copies().source).as_mut().unwrap().has_product_codes = true);
    let warnings = follow(&sold, &share(&[ONE])).outcome.warnings;
    assert!(warnings.iter().any(|warning| warning.contains("Marketplace")), "{warnings:?}");
    assert_eq!(follow(&world("copied-1", &[ONE]), &share(&[ONE])).outcome.warnings, [""; 0]);
}

#[test]
fn a_copy_that_is_not_there_yet_is_judged_by_the_watermarks_of_its_source() {
    let marked = |key: &str| {
        let attached_to = Some(regional(REGION));
        let watermark = Watermark { key: key.to_owned(), attached_to };
        world("copied-1", &[ONE]).with(|world| {
            let rule = "images: {names: [\"copied-*\"], tags: {Tier: [gold]}}\n    targets: [\"111122223333\"";
            assert!(world.allowlist.contains(rule));
            let asks = rule.replace("}}", "}, watermarks: [\"999988887777:approved\"]}");
            world.allowlist = world.allowlist.replace(rule, &asks);
            let source = known(&mut world.copies().source).as_mut().unwrap();
            source.provenance.watermarks.push(watermark);
        })
    };
    accepted(&marked("999988887777:approved"), &share(&[ONE]), &[create(&[ONE]), make()]);
    // Only the other rule about it is left, and that one is not for this target.
    refused(&marked("999988887777:other"), &share(&[ONE]), &[&format!("TargetNotAllowed {ONE}")]);
}
