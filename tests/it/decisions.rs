//! What is decided and planned, without AWS: facts as EC2 and KMS would report them, a request, and what follows.

use std::collections::BTreeMap;

use ami_share::{
    allowlist::Allowlist,
    decide::{Authority, ImageDecision, Question, Setup, admit, decide, grantees_to_look_up},
    domain::{AccountId, KeyArn, ScheduleName, Target},
    facts::{End, Facts, Image, ImageState, Key, KeyMetadata, LaunchPermission, Snapshot},
    inbound::{Arrival, Event, Invocation, open},
    key_access::{Grant, Policy},
    outcome::{ErrorCode, ErrorRow},
    plan::plan,
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};

pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
const IMAGE: &str = "ami-1a2b3c4d";
pub(crate) const KEY: &str = "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab";
pub(crate) const FOREIGN_KEY: &str = "arn:aws:kms:eu-west-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab";
pub(crate) const ORGANIZATION: &str = "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5";
pub(crate) const ONE: &str = "111122223333";
pub(crate) const TWO: &str = "222233334444";
const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: portal
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["golden-*"]}
    targets: ["111122223333", "222233334444", "999988887777", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]
    access: copy
  - name: grants
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["granted-*"]}
    targets: ["111122223333", "222233334444", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]
    access: copy
    keys: grant
    serviceLinkedRoles: [autoscaling]
  - name: loose
    requesters: ["lambda:invoke"]
    actions: [share, check]
    images: {names: ["loose-*"]}
    targets: ["111122223333"]
    keys: unchecked
  - name: sharer
    requesters: ["lambda:invoke"]
    actions: [share]
    images: {names: ["kept-*"]}
    targets: ["111122223333"]
  - name: ending
    requesters: ["lambda:invoke"]
    actions: [share, revoke]
    images: {names: ["ended-*"]}
    targets: ["111122223333"]
    maxDuration: 30d
  - name: somebody-elses
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [revoke]
    images: all
    targets: ["333344445555"]
  - name: by-itself
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["golden-new-*"]}
    targets: ["111122223333"]
    onAvailable: true
  - name: by-itself-for-a-while
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["nightly-*"]}
    targets: ["111122223333"]
    maxDuration: 30d
    onAvailable: true
  - name: trial
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [share]
    images: {names: ["trial-*"]}
    targets: ["111122223333"]
    maxDuration: 30d
  - name: mender
    requesters: ["lambda:invoke"]
    actions: [repair]
    images: all
"#;

/// One image in an account, on one snapshot; rows say what is different.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) image: Image,
    pub(crate) keys: BTreeMap<KeyArn, Key>,
    pub(crate) blocks_public_images: Option<bool>,
    pub(crate) can_end_shares: bool,
    pub(crate) setup: Setup,
    pub(crate) entity_quota: usize,
}

/// What was decided, in words that a row can compare.
#[derive(Debug, Default, PartialEq)]
struct Decided {
    /// As `Code target`.
    refusals: Vec<String>,
    /// As `service:Call resource +added -removed`.
    steps: Vec<String>,
    gaps: usize,
    warnings: Vec<String>,
    /// The remedies of the refusals, and of what roles lack.
    remedies: Vec<String>,
    /// The verdicts of the keys, with those of the roles behind them.
    verdicts: Vec<String>,
}

pub(crate) fn account(text: &str) -> AccountId {
    text.parse().unwrap()
}

fn owner() -> AccountId {
    account("999988887777")
}

fn key() -> KeyArn {
    KEY.parse().unwrap()
}

fn target(text: &str) -> Target {
    text.parse().unwrap()
}

/// The key policy that lets these accounts use the key as a launch needs it.
fn policy(accounts: &[&str]) -> Policy {
    parsed(&policy_document(accounts))
}

pub(crate) fn parsed(document: &Value) -> Policy {
    Policy::parse(&document.to_string()).unwrap()
}

fn policy_document(accounts: &[&str]) -> Value {
    let use_it = ["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"];
    let owner = json!({"Sid": "Owner", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999988887777:root"}, "Action": "kms:*", "Resource": "*"});
    let mut statements = vec![owner];
    for account in accounts {
        statements.push(
            json!({"Sid": "Use", "Effect": "Allow", "Principal": {"AWS": account}, "Action": use_it, "Resource": "*"}),
        );
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A grant that lets somebody use the key as a launch needs it.
pub(crate) fn grant(name: &str, grantee: &str, issuer: &str) -> Grant {
    serde_json::from_value(json!({
        "GrantId": "abc", "Name": name, "GranteePrincipal": grantee, "IssuingAccount": format!("arn:aws:iam::{issuer}:root"),
        "Operations": ["CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"],
    }))
    .unwrap()
}

pub(crate) fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

fn auto_scaling(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling")
}

pub(crate) fn denied(call: &'static str) -> ErrorRow {
    let message = format!("the function's role may not call {call}");
    ErrorRow { code: ErrorCode::Denied, call: Some(call), resource: None, message, retryable: false }
}

pub(crate) fn in_days(days: i64) -> OffsetDateTime {
    NOW + Duration::days(days)
}

fn text(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap()
}

/// A request about the image; `more` are its other fields.
fn ask(action: &str, more: Value) -> Value {
    let mut request = json!({"action": action, "imageIds": [IMAGE]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn accounts(accounts: &[&str]) -> Value {
    json!({"accountIds": accounts})
}

impl World {
    /// An available image on one open snapshot, shared with nobody.
    pub(crate) fn open(name: &str) -> Self {
        let snapshot = Snapshot {
            id: "snap-1a2b3c4d".parse().unwrap(),
            owner: owner(),
            key: None,
            create_volume_permissions: Ok(Vec::new()),
            is_public: false,
            needed_by: Ok(BTreeMap::new()),
        };
        let image = Image {
            owner: owner(),
            state: ImageState::Available,
            name: Some(name.to_owned()),
            tags: BTreeMap::new(),
            deprecation_time: None,
            has_product_codes: false,
            launch_permissions: Ok(Vec::new()),
            ends: Ok(BTreeMap::new()),
            remembered_keys: Vec::new(),
            unread_snapshots: Vec::new(),
            snapshots: Ok(vec![snapshot]),
        };
        let setup = Setup { key_grants: true, copy_access: true };
        Self {
            image,
            keys: BTreeMap::new(),
            blocks_public_images: None,
            can_end_shares: true,
            setup,
            entity_quota: 1000,
        }
    }

    /// The same on a key whose policy lets these accounts in.
    pub(crate) fn encrypted(name: &str, allowed: &[&str]) -> Self {
        let metadata = KeyMetadata { is_aws_managed: false, unusable_state: None, is_symmetric: true, ends_at: None };
        let made = Key { metadata: Ok(metadata), policy: Ok(policy(allowed)), grants: Ok(Vec::new()) };
        let mut world = Self::open(name);
        world.snapshot().key = Some(key());
        world.keys.insert(key(), made);
        world
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn snapshot(&mut self) -> &mut Snapshot {
        &mut self.image.snapshots.as_mut().unwrap()[0]
    }

    pub(crate) fn key(&mut self) -> &mut Key {
        self.keys.get_mut(&key()).unwrap()
    }

    pub(crate) fn shared_with(self, targets: &[&str]) -> Self {
        let entries = targets.iter().map(|text| match *text {
            "all" => LaunchPermission::Public,
            text => LaunchPermission::To(target(text)),
        });
        let entries = entries.collect();
        self.with(|world| world.image.launch_permissions = Ok(entries))
    }

    pub(crate) fn with_end(self, of: &str, at: OffsetDateTime) -> Self {
        let image_id = IMAGE.parse().unwrap();
        let name = ScheduleName::new(&image_id, &target(of));
        let end = End {
            name: name.clone(),
            at,
            image_id,
            target: target(of),
            snapshot_ids: Vec::new(),
            key_arns: Vec::new(),
        };
        self.with(|world| drop(world.image.ends.as_mut().unwrap().insert(name, end)))
    }

    /// Puts the question and the facts before `look`.
    pub(crate) fn put<T>(&self, request: &Value, look: impl FnOnce(&Question<'_>, &Facts) -> T) -> T {
        let event: Event = serde_json::from_value(request.clone()).unwrap();
        let Arrival::One(opened) = open(&event, &Invocation { request_id: "id", now: NOW }) else {
            panic!("{request}")
        };
        let (request, requester) = (opened.asked.unwrap(), opened.requester.unwrap());
        let allowlist = Allowlist::parse(ALLOWLIST).unwrap();
        let question = Question {
            request: &request,
            authority: Authority::Requester(&requester),
            allowlist: &allowlist,
            account: owner(),
            entity_quota: self.entity_quota,
            can_end_shares: self.can_end_shares,
            setup: self.setup,
            now: NOW,
        };
        let images = [(IMAGE.parse().unwrap(), self.image.clone())].into();
        let facts = Facts {
            images,
            keys: self.keys.clone(),
            blocks_public_images: self.blocks_public_images,
            ..Facts::default()
        };
        look(&question, &facts)
    }

    fn decide(&self, request: &Value) -> Decided {
        self.put(request, |question, facts| told(question, facts, &decide(question, facts).remove(0)))
    }

    /// The grantees whose grants would be asked for.
    fn looked_up(&self, request: &Value) -> Vec<String> {
        self.put(request, |question, facts| {
            grantees_to_look_up(question, facts).into_iter().map(|(_, grantee)| grantee).collect()
        })
    }
}

fn told(question: &Question<'_>, facts: &Facts, decision: &ImageDecision<'_>) -> Decided {
    let step = |step: &ami_share::plan::Step| {
        let names = |sign: char, targets: Vec<Target>| {
            targets.into_iter().map(move |target| format!(" {sign}{target}")).collect::<String>()
        };
        format!("{} {}{}{}", step.call(), step.resource(), names('+', step.adds()), names('-', step.removes()))
    };
    let steps = facts.images.get(decision.image_id).map(|image| plan(question, decision, image, facts));
    Decided {
        refusals: decision
            .refusals
            .iter()
            .map(|refusal| {
                let target = refusal.target.as_ref().map(|target| format!(" {target}")).unwrap_or_default();
                format!("{}{target}", refusal.code)
            })
            .collect(),
        steps: steps.unwrap_or_default().iter().map(step).collect(),
        gaps: decision.gaps.len(),
        warnings: decision.warnings.clone(),
        remedies: (decision.refusals.iter().map(|refusal| refusal.remedy.clone()))
            .chain(decision.keys.iter().flat_map(|row| &row.roles).map(|row| row.remedy.clone()))
            .flatten()
            .collect(),
        verdicts: decision
            .keys
            .iter()
            .flat_map(|row| {
                let roles = row.roles.iter().map(|row| format!("{}: {:?}", row.role, row.verdict));
                std::iter::once(format!("{:?}", row.access.verdict)).chain(roles)
            })
            .collect(),
    }
}

/// The steps that are planned, where nothing is refused.
#[track_caller]
fn steps(world: &World, request: &Value, expect: &[&str]) -> Decided {
    let decided = world.decide(request);
    assert_eq!(decided.refusals, [""; 0], "{decided:#?}");
    assert_eq!(decided.steps, expect, "{decided:#?}");
    decided
}

/// The refusals, with which nothing is planned.
#[track_caller]
fn refused(world: &World, request: &Value, expect: &[&str]) -> Decided {
    let decided = world.decide(request);
    assert_eq!(decided.refusals, expect, "{decided:#?}");
    assert_eq!(decided.steps, [""; 0], "{decided:#?}");
    decided
}

/// That of the warnings exactly one has these words, or none where there are none.
#[track_caller]
fn warned(decided: &Decided, words: &[&str]) {
    assert_eq!(decided.warnings.len(), words.len(), "{decided:#?}");
    for (warning, words) in decided.warnings.iter().zip(words) {
        assert!(warning.contains(words), "{warning}");
    }
}

const ADD_LAUNCH: &str = "ec2:ModifyImageAttribute ami-1a2b3c4d +111122223333";
const REMOVE_LAUNCH: &str = "ec2:ModifyImageAttribute ami-1a2b3c4d -111122223333";
const ADD_COPY: &str = "ec2:ModifySnapshotAttribute snap-1a2b3c4d +111122223333";
const REMOVE_COPY: &str = "ec2:ModifySnapshotAttribute snap-1a2b3c4d -111122223333";

fn create_grant() -> String {
    format!("kms:CreateGrant {KEY} +{ONE}")
}

fn revoke_grant() -> String {
    format!("kms:RevokeGrant {KEY} -{ONE}")
}

fn schedule(of: &str) -> ScheduleName {
    ScheduleName::new(&IMAGE.parse().unwrap(), &target(of))
}

#[test]
fn a_share_writes_only_what_is_missing() {
    let share = ask("share", accounts(&[ONE]));
    let copy = ask("share", json!({"accountIds": [ONE], "access": "copy"}));
    let world = World::open("golden-1");
    steps(&world, &share, &[ADD_LAUNCH]);
    steps(&world, &copy, &[ADD_COPY, ADD_LAUNCH]);
    steps(&world.clone().shared_with(&[ONE]), &share, &[]);
    steps(&world.clone().shared_with(&[TWO]), &share, &[ADD_LAUNCH]);
    steps(&world.clone().shared_with(&[ONE]), &copy, &[ADD_COPY]);
    let copied = world.with(|world| world.snapshot().create_volume_permissions = Ok(vec![account(ONE)]));
    steps(&copied, &copy, &[ADD_LAUNCH]);
    steps(&copied.shared_with(&[ONE]), &copy, &[]);
}

#[test]
fn looking_writes_nothing() {
    let world = World::encrypted("golden-1", &[ONE]).shared_with(&[TWO]);
    steps(&world, &ask("list", json!({})), &[]);
    steps(&world, &ask("check", accounts(&[ONE])), &[]);
}

#[test]
fn a_share_is_refused_for_what_the_image_is() {
    let share = ask("share", accounts(&[ONE]));
    let copy = ask("share", json!({"accountIds": [ONE], "access": "copy"}));
    let world = World::open("golden-1");
    for (state, remedy) in [
        (ImageState::Pending, "`available`"),
        (ImageState::Disabled, "enable"),
        (ImageState::Other("failed".to_owned()), "state reason"),
    ] {
        let world = world.clone().with(|world| world.image.state = state);
        let decided = refused(&world, &share, &["ImageNotAvailable"]);
        assert!(decided.remedies[0].contains(remedy), "{decided:#?}");
    }
    let foreign = world.clone().with(|world| world.image.owner = account(TWO));
    refused(&foreign, &share, &["ImageNotOwned"]);
    refused(&world, &ask("share", accounts(&["999988887777"])), &["TargetIsOwner 999988887777"]);
    refused(&World::open("silver-1"), &share, &["ImageNotAllowed"]);
    refused(&world, &ask("share", accounts(&["777788889999"])), &["TargetNotAllowed 777788889999"]);
    let elsewhere = world.with(|world| world.snapshot().owner = account(TWO));
    refused(&elsewhere, &copy, &["CopyNotPossible"]);
    steps(&elsewhere, &share, &[ADD_LAUNCH]);
    let group = json!({"organizationArns": [ORGANIZATION], "access": "copy"});
    refused(&World::open("golden-1"), &ask("share", group), &[&format!("CopyNotPossible {ORGANIZATION}")]);
}

#[test]
fn a_refusal_says_of_what_it_is_and_whether_it_may_pass() {
    let first = |world: &World, target: &str| {
        world.put(&ask("share", accounts(&[target])), |question, facts| {
            decide(question, facts).remove(0).refusals.remove(0)
        })
    };
    let world = World::open("golden-1");
    let stranger = first(&world, "777788889999");
    assert_eq!(stranger.image_id, Some(IMAGE.parse().unwrap()));
    assert_eq!(stranger.pointer.as_deref(), Some("/accountIds/0"));
    assert!(stranger.remedy.unwrap().contains("ask the allowlist's owners to add `777788889999`"));
    assert!(!stranger.may_pass);
    let with = |state| first(&world.clone().with(|world| world.image.state = state), ONE);
    assert!(with(ImageState::Pending).may_pass);
    assert!(!with(ImageState::Disabled).may_pass);
}

#[test]
fn what_bounds_a_share_does_not_bound_its_revoke() {
    let world = World::open("ended-1").shared_with(&[ONE]);
    refused(&world, &ask("share", accounts(&[ONE])), &["ExpiryRequired 111122223333"]);
    let until = |days: i64| ask("share", json!({"accountIds": [ONE], "expiresAt": text(in_days(days))}));
    refused(&world, &until(31), &["ExpiryNotAllowed 111122223333"]);
    assert_eq!(world.decide(&until(30)).refusals, [""; 0]);
    refused(&world, &ask("share", json!({"accountIds": [ONE], "access": "copy"})), &["AccessNotAllowed 111122223333"]);
    let roles = json!({"accountIds": [ONE], "serviceLinkedRoles": ["autoscaling"]});
    refused(&world, &ask("share", roles), &["RoleNotAllowed 111122223333"]);
    steps(&world, &ask("revoke", accounts(&[ONE])), &[REMOVE_LAUNCH, REMOVE_COPY]);
}

#[test]
fn what_no_rule_names_any_more_can_always_be_taken_away() {
    let revoke = |target: &str| ask("revoke", accounts(&[target]));
    let world = World::open("golden-1");
    let expect = [
        "ec2:ModifyImageAttribute ami-1a2b3c4d -777788889999",
        "ec2:ModifySnapshotAttribute snap-1a2b3c4d -777788889999",
    ];
    steps(&world, &revoke("777788889999"), &expect);
    // Whom another's rule names is that one's to revoke.
    refused(&world, &revoke("333344445555"), &["TargetNotAllowed 333344445555"]);
    refused(&world, &ask("check", accounts(&["777788889999"])), &["TargetNotAllowed 777788889999"]);
}

#[test]
fn the_quota_counts_the_entries_there_and_the_new_ones() {
    let share = ask("share", accounts(&[ONE, TWO]));
    let full =
        |targets: &[&str], quota| World::open("golden-1").shared_with(targets).with(|world| world.entity_quota = quota);
    refused(&full(&[], 1), &share, &["QuotaExceeded"]);
    steps(&full(&[], 2), &share, &["ec2:ModifyImageAttribute ami-1a2b3c4d +111122223333 +222233334444"]);
    refused(&full(&["777788889999", ONE], 2), &share, &["QuotaExceeded"]);
    steps(&full(&["777788889999", ONE], 3), &share, &["ec2:ModifyImageAttribute ami-1a2b3c4d +222233334444"]);
    // The public entry is none of an entity, and who is there already takes no room.
    steps(&full(&["all", ONE], 2), &share, &["ec2:ModifyImageAttribute ami-1a2b3c4d +222233334444"]);
    steps(&full(&["777788889999", ONE, TWO], 1), &share, &[]);
}

#[test]
fn a_key_lets_in_by_its_policy_or_by_any_grant() {
    let share = ask("share", accounts(&[ONE]));
    steps(&World::encrypted("golden-1", &[ONE]), &share, &[ADD_LAUNCH]);
    let closed = World::encrypted("golden-1", &[]);
    refused(&closed, &share, &["KeyAccessMissing 111122223333"]);
    assert_eq!(closed.looked_up(&share), [root(ONE)]);
    let granted = closed.with(|world| world.key().grants = Ok(vec![grant("by-hand", &root(ONE), "999988887777")]));
    steps(&granted, &share, &[ADD_LAUNCH]);
    refused(&granted, &ask("share", accounts(&[ONE, TWO])), &["KeyAccessMissing 222233334444"]);
    // What the policy settles needs no grants.
    assert_eq!(World::encrypted("golden-1", &[ONE]).looked_up(&share), [""; 0]);
}

#[test]
fn what_cannot_be_read_of_a_key_is_unknown_and_refuses() {
    let share = ask("share", accounts(&[ONE]));
    let unread = |allowed: &[&str], name: &str, change: fn(&mut Key)| {
        World::encrypted(name, allowed).with(|world| change(world.key()))
    };
    let no_grants: fn(&mut Key) = |key| key.grants = Err(denied("kms:ListGrants"));
    let no_policy: fn(&mut Key) = |key| key.policy = Err(denied("kms:GetKeyPolicy"));
    let no_metadata: fn(&mut Key) = |key| key.metadata = Err(denied("kms:DescribeKey"));
    for (change, call) in
        [(no_grants, "kms:ListGrants"), (no_policy, "kms:GetKeyPolicy"), (no_metadata, "kms:DescribeKey")]
    {
        let decided = refused(&unread(&[], "golden-1", change), &share, &["KeyAccessUnknown 111122223333"]);
        assert!(decided.remedies[0].contains(&format!("let the function's role call {call} on {KEY}")), "{decided:#?}");
        assert_eq!(decided.verdicts, ["Unknown"]);
        // Nor does it depend on the grants of others whether the image's own is made, but on the rest.
        let granted = unread(&[], "granted-1", change);
        if call == "kms:ListGrants" {
            steps(&granted, &share, &[&create_grant(), ADD_LAUNCH]);
        } else {
            refused(&granted, &share, &["KeyAccessUnknown 111122223333"]);
        }
        let loose = steps(&unread(&[], "loose-1", change), &share, &[ADD_LAUNCH]);
        warned(&loose, &["without the key check"]);
    }
    // The policy alone lets the account in, or keeps it out, whatever the grants are.
    steps(&unread(&[ONE], "golden-1", no_grants), &share, &[ADD_LAUNCH]);
    let deny = |key: &mut Key| {
        let mut document = policy_document(&[ONE]);
        document["Statement"].as_array_mut().unwrap().push(
            json!({"Sid": "No", "Effect": "Deny", "Principal": {"AWS": ONE}, "Action": "kms:Decrypt", "Resource": "*"}),
        );
        key.policy = Ok(parsed(&document));
        key.grants = Err(denied("kms:ListGrants"));
    };
    let denying = World::encrypted("golden-1", &[ONE]).with(|world| deny(world.key()));
    refused(&denying, &share, &["KeyAccessDenied 111122223333"]);
    // No grant can name an organization, so there is nothing that could have been read.
    let organization = ask("share", json!({"organizationArns": [ORGANIZATION]}));
    let decided =
        refused(&unread(&[], "golden-1", no_grants), &organization, &[&format!("KeyAccessMissing {ORGANIZATION}")]);
    assert!(decided.remedies[0].contains("add to the key policy"), "{decided:#?}");
    // The owner of another account's key alone may read it.
    let foreign = World::encrypted("golden-1", &[]).with(|world| {
        let key = world.keys.remove(&key()).unwrap();
        let key = Key { metadata: Err(denied("kms:DescribeKey")), policy: Err(denied("kms:GetKeyPolicy")), ..key };
        world.snapshot().key = Some(FOREIGN_KEY.parse().unwrap());
        world.keys.insert(FOREIGN_KEY.parse().unwrap(), key);
    });
    let decided = refused(&foreign, &share, &["KeyAccessUnknown 111122223333"]);
    assert!(decided.remedies[0].contains("have the key's owner check"), "{decided:#?}");
    assert_eq!(foreign.looked_up(&share), [""; 0]);
    // A key that was not read at all is as unknown.
    let missing = World::encrypted("golden-1", &[ONE]).with(|world| world.keys.clear());
    refused(&missing, &share, &["KeyAccessUnknown 111122223333"]);
    // What AWS answered unreadably is nothing that a permission mends.
    let odd = World::encrypted("golden-1", &[])
        .with(|world| world.key().grants = Err(ErrorRow { code: ErrorCode::Unexpected, ..denied("kms:ListGrants") }));
    let decided = refused(&odd, &share, &["KeyAccessUnknown 111122223333"]);
    assert!(!decided.remedies[0].contains("let the function's role"), "{decided:#?}");
}

#[test]
fn a_key_that_nobody_can_use_refuses_once_for_all_targets() {
    let share = ask("share", accounts(&[ONE, TWO]));
    let with = |change: fn(&mut KeyMetadata)| {
        World::encrypted("golden-1", &[ONE, TWO]).with(|world| change(world.key().metadata.as_mut().unwrap()))
    };
    let managed = with(|metadata| metadata.is_aws_managed = true);
    refused(&managed, &share, &["DefaultKey"]);
    let closed = managed.with(|world| world.key().policy = Ok(policy(&[])));
    assert_eq!(closed.looked_up(&share), [""; 0], "no grant helps there");
    let disabled = with(|metadata| metadata.unusable_state = Some("Disabled".to_owned()));
    refused(&disabled, &share, &["KeyNotUsable"]);
    refused(&with(|metadata| metadata.is_symmetric = false), &share, &["KeyNotUsable"]);
    let ending = with(|metadata| metadata.ends_at = Some("2027-01-01T00:00:00Z".to_owned()));
    let added = "ec2:ModifyImageAttribute ami-1a2b3c4d +111122223333 +222233334444";
    warned(&steps(&ending, &share, &[added]), &["can't be used after 2027-01-01T00:00:00Z"]);
}

#[test]
fn a_rule_with_grants_makes_the_images_own_whatever_others_there_are() {
    let share = ask("share", accounts(&[ONE]));
    let closed = World::encrypted("granted-1", &[]);
    let decided = steps(&closed, &share, &[&create_grant(), ADD_LAUNCH]);
    warned(&decided, &["up to 5 minutes"]);
    let because = closed.put(&share, |question, facts| decide(question, facts).remove(0).keys.remove(0).access.because);
    assert_eq!(json!(because)[0]["grantName"], format!("ami-share/{IMAGE}/{ONE}"));
    warned(&closed.decide(&ask("check", accounts(&[ONE]))), &[]);
    let with = |name: &str, issuer: &str| {
        let grants = vec![grant(name, &root(ONE), issuer)];
        closed.clone().with(|world| world.key().grants = Ok(grants))
    };
    let own = format!("ami-share/{IMAGE}/{ONE}");
    steps(&with("by-hand", "999988887777"), &share, &[&create_grant(), ADD_LAUNCH]);
    steps(&with(&own, "999988887777"), &share, &[ADD_LAUNCH]);
    // One of that name that another account made, that is for another or that holds less is another grant.
    steps(&with(&own, TWO), &share, &[&create_grant(), ADD_LAUNCH]);
    for change in [
        (|grant: &mut Grant| grant.grantee_principal = Some(root(TWO))) as fn(&mut Grant),
        |grant| grant.operations.retain(|operation| operation != "ReEncryptTo"),
        |grant| grant.constraints = Some(serde_json::from_value(json!({"SourceArn": "arn:aws:s3:::x"})).unwrap()),
    ] {
        let other = with(&own, "999988887777").with(|world| change(&mut world.key().grants.as_mut().unwrap()[0]));
        steps(&other, &share, &[&create_grant(), ADD_LAUNCH]);
    }
    // The policy lets the account in: there is nothing to make.
    warned(&steps(&World::encrypted("granted-1", &[ONE]), &share, &[ADD_LAUNCH]), &[]);
    // No grant can name an organization.
    let organization = ask("share", json!({"organizationArns": [ORGANIZATION]}));
    refused(&closed, &organization, &[&format!("KeyAccessMissing {ORGANIZATION}")]);
}

#[test]
fn what_the_deployment_has_switched_off_is_refused_and_still_taken_away() {
    let off = |name: &str, allowed: &[&str]| {
        let setup = Setup { key_grants: false, copy_access: false };
        World::encrypted(name, allowed).with(|world| world.setup = setup)
    };
    let place = |world: &World, request: &Value| {
        world.put(request, |question, facts| decide(question, facts).remove(0).refusals.remove(0).pointer)
    };
    // A grant: for an account that the policy doesn't let in, and for a role.
    let share = ask("share", accounts(&[ONE]));
    let one = format!("NotSetUp {ONE}");
    refused(&off("granted-1", &[]), &share, &[&one]);
    assert_eq!(place(&off("granted-1", &[]), &share).as_deref(), Some("/accountIds/0"));
    let remedies = off("granted-1", &[]).decide(&share).remedies;
    assert!(remedies[0].contains("EnableKeyGrants"), "{remedies:?}");
    let check = off("granted-1", &[]).decide(&ask("check", accounts(&[ONE])));
    assert_eq!(
        (check.refusals, check.verdicts),
        (vec![one.clone()], vec!["Missing".into(), "autoscaling: Missing".into()])
    );
    let roles = ask("share", json!({"accountIds": [ONE], "serviceLinkedRoles": ["autoscaling"]}));
    refused(&off("granted-1", &[ONE]), &roles, &[&one]);
    // Nothing is made: the policy lets the account in, or the grant is there.
    steps(&off("granted-1", &[ONE]), &share, &[ADD_LAUNCH]);
    let own = grant(&format!("ami-share/{IMAGE}/{ONE}"), &root(ONE), "999988887777");
    let granted = off("granted-1", &[]).with(|world| world.key().grants = Ok(vec![own.clone()]));
    steps(&granted, &share, &[ADD_LAUNCH]);
    // What no grant would mend is refused as ever.
    refused(&off("golden-1", &[]), &share, &[&format!("KeyAccessMissing {ONE}")]);

    let copy = ask("share", json!({"accountIds": [ONE], "access": "copy"}));
    let open = off("golden-1", &[ONE]);
    refused(&open, &copy, &["NotSetUp"]);
    assert_eq!(place(&open, &copy).as_deref(), Some("/access"));
    assert!(open.decide(&copy).remedies[0].contains("EnableCopyAccess"));
    let may_copy = open.clone().with(|world| world.snapshot().create_volume_permissions = Ok(vec![account(ONE)]));
    steps(&may_copy, &copy, &[ADD_LAUNCH]);

    // Taking away is tried all the same.
    let revoke = ask("revoke", accounts(&[ONE]));
    let world = granted.shared_with(&[ONE]).with(|world| {
        world.snapshot().create_volume_permissions = Ok(vec![account(ONE)]);
    });
    steps(&world, &revoke, &[REMOVE_LAUNCH, REMOVE_COPY, &revoke_grant()]);
}

#[test]
fn a_service_linked_role_gets_a_grant_where_the_rule_allows_it() {
    let roles = json!({"accountIds": [ONE], "serviceLinkedRoles": ["autoscaling"]});
    let world = World::encrypted("granted-1", &[ONE]);
    let share = ask("share", roles.clone());
    assert_eq!(world.looked_up(&share), [auto_scaling(ONE)]);
    let decided = steps(&world, &share, &[&create_grant(), ADD_LAUNCH]);
    assert_eq!(decided.verdicts, ["Allowed", "autoscaling: Allowed"]);
    let own = grant(&format!("ami-share/{IMAGE}/{ONE}/autoscaling"), &auto_scaling(ONE), "999988887777");
    let granted = world.clone().with(|world| world.key().grants = Ok(vec![own]));
    steps(&granted, &share, &[ADD_LAUNCH]);
    let unread = world.clone().with(|world| world.key().grants = Err(denied("kms:ListGrants")));
    steps(&unread, &share, &[&create_grant(), ADD_LAUNCH]);
    // What the account needs comes before what is best effort.
    let closed = World::encrypted("granted-1", &[]);
    let needed = closed.put(&share, |question, facts| decide(question, facts).remove(0).grants.len());
    assert_eq!(needed, 2);
    let decided = closed.put(&share, |question, facts| {
        let decision = decide(question, facts).remove(0);
        let steps = plan(question, &decision, &facts.images[decision.image_id], facts);
        steps
            .iter()
            .map(|step| (step.grant_name().unwrap_or_default().to_owned(), step.is_best_effort()))
            .collect::<Vec<_>>()
    });
    let name = format!("ami-share/{IMAGE}/{ONE}");
    assert_eq!(decided, [(name.clone(), false), (format!("{name}/autoscaling"), true), (String::new(), false)]);
    // A check asks for Auto Scaling's by itself, and makes nothing.
    let check = ask("check", accounts(&[ONE]));
    let missing = world.decide(&check);
    assert_eq!(missing.verdicts, ["Allowed", "autoscaling: Missing"]);
    let command =
        format!("aws kms create-grant --region eu-west-1 --key-id {KEY} --grantee-principal {}", auto_scaling(ONE));
    assert!(missing.remedies[0].starts_with(&command), "{:?}", missing.remedies);
    let has_one = granted.decide(&check);
    assert_eq!((has_one.verdicts, has_one.remedies.len()), (vec!["Allowed".into(), "autoscaling: Allowed".into()], 0));
    assert_eq!(unread.decide(&check).verdicts, ["Allowed", "autoscaling: Unknown"]);
    assert_eq!(world.decide(&ask("share", accounts(&[ONE]))).verdicts, ["Allowed"]);
    // A Deny goes before any grant, and an organization has no role of its own.
    let deny = json!({"Sid": "No", "Effect": "Deny", "Principal": {"AWS": auto_scaling(ONE)}, "Action": "kms:Decrypt", "Resource": "*"});
    let mut document = policy_document(&[ONE]);
    document["Statement"].as_array_mut().unwrap().push(deny);
    let denying = world.clone().with(|world| world.key().policy = Ok(parsed(&document)));
    let decided = denying.decide(&share);
    assert!(decided.warnings.iter().any(|warning| warning.contains("was not given a grant on")), "{decided:#?}");
    assert!(!decided.steps.contains(&create_grant()), "{decided:#?}");
    let organization = ask("check", json!({"organizationArns": [ORGANIZATION], "serviceLinkedRoles": ["autoscaling"]}));
    let decided = world.decide(&organization);
    assert!(decided.warnings[0].contains("ask for its accounts one by one"), "{decided:#?}");
}

#[test]
fn an_end_is_written_down_first_and_only_moved_later() {
    let share = |days: i64| ask("share", json!({"accountIds": [ONE], "expiresAt": text(in_days(days))}));
    let create = format!("scheduler:CreateSchedule {} +{ONE}", schedule(ONE));
    let update = format!("scheduler:UpdateSchedule {} +{ONE}", schedule(ONE));
    let world = World::encrypted("kept-1", &[ONE]);
    steps(&world, &share(10), &[&create, ADD_LAUNCH]);
    let end = world.put(&share(10), |question, facts| decide(question, facts).remove(0).ends.remove(0).end);
    assert_eq!((end.at, end.target), (in_days(10), target(ONE)));
    assert_eq!((end.snapshot_ids.len(), end.key_arns), (1, vec![key()]));

    let ending = |days| World::encrypted("kept-1", &[ONE]).shared_with(&[ONE]).with_end(ONE, in_days(days));
    steps(&ending(10), &share(11), &[&update]);
    steps(&ending(10), &share(10), &[]);
    let decided = refused(&ending(10), &share(9), &["ExpiryNotAllowed 111122223333"]);
    assert!(decided.remedies[0].contains("`revoke` beside `share`"), "{decided:#?}");
    let endless = World::encrypted("kept-1", &[ONE]).shared_with(&[ONE]);
    refused(&endless, &share(10), &["ExpiryNotAllowed 111122223333"]);
    // Who may revoke may also end it earlier.
    let golden = |world: World| world.with(|world| world.image.name = Some("golden-1".to_owned()));
    steps(&golden(ending(10)), &share(9), &[&update]);
    steps(&golden(endless), &share(10), &[&create]);
    // The record of a share that is gone binds nobody, and is replaced, also by the same time.
    let stale = World::encrypted("kept-1", &[ONE]).with_end(ONE, in_days(10));
    steps(&stale, &share(9), &[&update, ADD_LAUNCH]);
    steps(&stale, &share(10), &[&update, ADD_LAUNCH]);
    // A share without an end leaves an existing one, and says so.
    let plain = ask("share", accounts(&[ONE]));
    warned(&steps(&ending(10), &plain, &[]), &["which this request does not change"]);
    warned(&steps(&World::encrypted("kept-1", &[ONE]), &plain, &[ADD_LAUNCH]), &[]);
    let unread = || ending(10).with(|world| world.image.ends = Err(denied("scheduler:ListSchedules")));
    warned(&steps(&unread(), &plain, &[]), &["could not be read"]);
    warned(&golden(unread()).decide(&ask("check", accounts(&[ONE]))), &["not everything of ami-1a2b3c4d is told"]);
    assert_eq!(unread().decide(&share(10)).gaps, 1);
    let nowhere = World::encrypted("kept-1", &[ONE]).with(|world| world.can_end_shares = false);
    refused(&nowhere, &share(10), &["ExpiryNotPossible"]);
    let place = nowhere.put(&share(10), |question, facts| decide(question, facts).remove(0).refusals.remove(0).pointer);
    assert_eq!(place.as_deref(), Some("/expiresAt"));
}

#[test]
fn a_revoke_takes_away_what_a_share_gave_in_its_order() {
    let revoke = ask("revoke", accounts(&[ONE]));
    let own = grant(&format!("ami-share/{IMAGE}/{ONE}"), &root(ONE), "999988887777");
    let world =
        World::encrypted("golden-1", &[]).shared_with(&[ONE, TWO]).with_end(ONE, in_days(5)).with_end(TWO, in_days(5));
    let world = world.with(|world| world.key().grants = Ok(vec![own.clone()]));
    let delete = format!("scheduler:DeleteSchedule {} -{ONE}", schedule(ONE));
    warned(&steps(&world, &revoke, &[REMOVE_LAUNCH, REMOVE_COPY, &revoke_grant(), &delete]), &[]);
    // Whatever was read: EC2's reads lag its writes.
    steps(&world.clone().shared_with(&[]), &revoke, &[REMOVE_LAUNCH, REMOVE_COPY, &revoke_grant(), &delete]);
    for state in [ImageState::Disabled, ImageState::Gone] {
        let world = world.clone().with(|world| world.image.state = state);
        steps(&world, &revoke, &[REMOVE_COPY, &revoke_grant(), &delete]);
    }
    let with = |grant: Grant| world.clone().with(|world| world.key().grants = Ok(vec![grant]));
    // Not ours: made by hand, for another image or account, made by another account.
    for name in ["by-hand", "ami-share/ami-99999999/111122223333", &format!("ami-share/{IMAGE}/{TWO}")] {
        let other = grant(name, &root(ONE), "999988887777");
        warned(&steps(&with(other), &revoke, &[REMOVE_LAUNCH, REMOVE_COPY, &delete]), &[]);
    }
    let passed_on = grant(&format!("ami-share/{IMAGE}/{ONE}"), &root(TWO), ONE);
    let decided = steps(&with(passed_on), &revoke, &[REMOVE_LAUNCH, REMOVE_COPY, &delete]);
    warned(&decided, &["passed its access on"]);
    // Another image on the snapshot is shared with the account, or another account's snapshot is behind the image.
    let needed = |other: &str| [(account(other), "ami-99999999".parse().unwrap())].into();
    let shared = world.clone().with(|world| world.snapshot().needed_by = Ok(needed(ONE)));
    let decided = steps(&shared, &revoke, &[REMOVE_LAUNCH, &revoke_grant(), &delete]);
    warned(&decided, &["keeps its create volume permission"]);
    let shared = world.clone().with(|world| world.snapshot().needed_by = Ok(needed(TWO)));
    warned(&steps(&shared, &revoke, &[REMOVE_LAUNCH, REMOVE_COPY, &revoke_grant(), &delete]), &[]);
    let elsewhere = world.with(|world| world.snapshot().owner = account(TWO));
    steps(&elsewhere, &revoke, &[REMOVE_LAUNCH, &revoke_grant(), &delete]);
}

#[test]
fn an_end_stays_while_something_of_its_share_may_be_left() {
    let revoke = ask("revoke", accounts(&[ONE]));
    let reset = ask("reset", json!({}));
    let world = World::encrypted("golden-1", &[]).shared_with(&[ONE]).with_end(ONE, in_days(5));
    let delete = format!("scheduler:DeleteSchedule {} -{ONE}", schedule(ONE));
    steps(&world, &revoke, &[REMOVE_LAUNCH, REMOVE_COPY, &delete]);
    steps(&world, &reset, &["ec2:ResetImageAttribute ami-1a2b3c4d", REMOVE_COPY, &delete]);
    let no_grants = world.clone().with(|world| world.key().grants = Err(denied("kms:ListGrants")));
    let no_needs = world.clone().with(|world| world.snapshot().needed_by = Err(denied("ec2:DescribeImages")));
    let no_snapshots = world.with(|world| world.image.snapshots = Err(denied("ec2:DescribeSnapshots")));
    for (world, left) in [(no_grants, &[REMOVE_COPY][..]), (no_needs, &[]), (no_snapshots, &[])] {
        assert_eq!(steps(&world, &revoke, &[&[REMOVE_LAUNCH], left].concat()).gaps, 1);
        assert_eq!(steps(&world, &reset, &[&["ec2:ResetImageAttribute ami-1a2b3c4d"], left].concat()).gaps, 1);
    }
}

#[test]
fn a_reset_clears_what_belongs_to_the_targets_it_removes() {
    let reset = ask("reset", json!({}));
    let launch = "ec2:ResetImageAttribute ami-1a2b3c4d";
    let world = World::encrypted("golden-1", &[]).shared_with(&[ONE, "all"]);
    warned(&steps(&world, &reset, &[launch, REMOVE_COPY]), &["PUBLIC"]);
    // Of an image that is shared with nobody, what is left of an earlier reset is cleared; else it is told.
    let left = |world: World| world.with(|world| world.snapshot().create_volume_permissions = Ok(vec![account(TWO)]));
    let world = World::encrypted("golden-1", &[]);
    steps(&left(world.clone()), &reset, &[launch, "ec2:ModifySnapshotAttribute snap-1a2b3c4d -222233334444"]);
    let decided = steps(&left(world.clone().shared_with(&[ONE])), &reset, &[launch, REMOVE_COPY]);
    warned(&decided, &["can still be copied by 222233334444"]);
    // Grants and ends of ours name their account.
    let own = grant(&format!("ami-share/{IMAGE}/{ONE}"), &root(ONE), "999988887777");
    let granted = world.clone().with(|world| world.key().grants = Ok(vec![own.clone()]));
    steps(&granted, &reset, &[launch, REMOVE_COPY, &revoke_grant()]);
    // One that names no account can't be attributed, and is told.
    let nobodys = grant(&format!("ami-share/{IMAGE}/nobody"), &root(ONE), "999988887777");
    let left = world.clone().with(|world| world.key().grants = Ok(vec![nobodys]));
    warned(&steps(&left, &reset, &[launch]), &["is left from a share"]);
    let ending = world.clone().with_end(ONE, in_days(1));
    let delete = format!("scheduler:DeleteSchedule {} -{ONE}", schedule(ONE));
    steps(&ending, &reset, &[launch, REMOVE_COPY, &delete]);
    let unread = world.with(|world| world.image.launch_permissions = Err(denied("ec2:DescribeImageAttribute")));
    assert_eq!(steps(&unread, &reset, &[launch]).gaps, 1);
    let disabled = granted.with(|world| world.image.state = ImageState::Disabled);
    steps(&disabled, &reset, &[REMOVE_COPY, &revoke_grant()]);
}

#[test]
fn what_a_caller_should_know_is_told() {
    let share = ask("share", accounts(&[ONE]));
    let revoke = ask("revoke", accounts(&[ONE]));
    let world = World::open("golden-1");
    let public = world.clone().shared_with(&["all"]);
    warned(&steps(&public, &share, &[ADD_LAUNCH]), &["is PUBLIC"]);
    let open_snapshot = world.clone().with(|world| world.snapshot().is_public = true);
    warned(&steps(&open_snapshot, &share, &[ADD_LAUNCH]), &["modify-snapshot-attribute --snapshot-id snap-1a2b3c4d"]);
    let told = |change: fn(&mut World)| world.clone().with(change).decide(&share);
    warned(&told(|world| world.blocks_public_images = Some(false)), &["block public access for AMIs is off"]);
    warned(&told(|world| world.blocks_public_images = Some(true)), &[]);
    warned(&told(|world| world.image.deprecation_time = Some("2027-01-01".to_owned())), &["deprecated (2027-01-01)"]);
    warned(&told(|world| world.image.has_product_codes = true), &["Marketplace"]);
    let again = World::open("golden-new-1").decide(&revoke);
    warned(&again, &["rule `by-itself` shares"]);
    warned(&World::open("golden-new-1").decide(&share), &[]);
    let sold = world.with(|world| world.image.has_product_codes = true);
    warned(&sold.decide(&revoke), &[]);
}

#[test]
fn a_refusal_of_one_image_refuses_a_share_as_a_whole_and_never_a_revoke() {
    let refuses = |world: &World, request: &Value| {
        world.put(request, |question, facts| {
            let decision = decide(question, facts).remove(0);
            (decision.blocks_reading(), decision.refuses_whole(question.request.action))
        })
    };
    let (golden, silver) = (World::open("golden-1"), World::open("silver-1"));
    let pending = golden.clone().with(|world| world.image.state = ImageState::Pending);
    for (action, by_state, by_rule) in [("share", true, true), ("check", false, true), ("revoke", false, false)] {
        let request = ask(action, accounts(&[ONE]));
        assert_eq!(refuses(&golden, &request), (false, false), "{action}");
        assert_eq!(refuses(&pending, &request), (false, by_state), "{action}");
        assert_eq!(refuses(&silver, &request), (true, by_rule), "{action}");
    }
    for (action, by_rule) in [("list", true), ("reset", false)] {
        assert_eq!(refuses(&golden, &ask(action, json!({}))), (false, false), "{action}");
        assert_eq!(refuses(&silver, &ask(action, json!({}))), (true, by_rule), "{action}");
    }
}

#[test]
fn what_is_not_built_is_said_before_aws_is_asked() {
    let codes = |request: &Value| {
        World::open("golden-1").put(request, |question, _| {
            admit(question).into_iter().map(|refusal| (refusal.code.to_string(), refusal.pointer)).collect::<Vec<_>>()
        })
    };
    assert_eq!(codes(&ask("share", accounts(&[ONE]))), []);
    let regions = json!({"accountIds": [ONE], "regions": ["eu-west-1"]});
    assert_eq!(codes(&ask("share", regions)), [("NotSupportedYet".to_owned(), Some("/regions".to_owned()))]);
    assert_eq!(codes(&json!({"action": "audit"})), [("ActionNotAllowed".to_owned(), None)]);
}
