//! How often AWS is asked, and in how many waves: calls that wait for no other's answer are one wave. Every call is
//! held until all of its wave have arrived, which they do only where none waits for another's answer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use ami_share::aws::CONCURRENCY;
use ami_share_testing::key_policies::open_to;
use serde_json::{Value, json};

use crate::support::{
    function::Function,
    local_aws::LocalAws,
    proxy::{Proxy, Reply},
    scenes::{EXPIRES, VARIABLES, rfc3339},
};

/// So many calls of a name.
type Calls = (&'static str, usize);

/// A wave that isn't whole by then has calls that wait for another's answer.
const LONGEST: Duration = Duration::from_secs(30);

/// So many accounts are shared with, and there are keys that let them in and keys that don't.
const ACCOUNTS: usize = 100;

fn accounts(number: usize) -> Vec<String> {
    (1..=number).map(|n| format!("{n:012}")).collect()
}

fn allowlist() -> String {
    let rule = |name: &str, keys: &str| {
        json!({
            "name": name, "requesters": ["lambda:invoke"], "actions": ["share", "revoke", "reset", "check", "list", "usage"],
            "images": {"names": [format!("{name}-*")]}, "targets": accounts(ACCOUNTS), "access": "copy", "keys": keys,
        })
    };
    json!({"version": 1, "rules": [rule("open", "verify"), rule("closed", "grant")]}).to_string()
}

/// Images of the rule `name` with so many snapshots each, on two keys; each is shared with these.
fn images(name: &str, number: usize, snapshots: usize, shared: &[String]) -> Value {
    let accounts = accounts(ACCOUNTS);
    let accounts: Vec<_> = accounts.iter().map(String::as_str).collect();
    let policy = open_to(if name == "open" { &accounts } else { &[] });
    let mapping = |place: usize| json!({"device": format!("/dev/sd{place}"), "snapshot": {"key": format!("key-{}", place % 2), "createVolumePermissions": shared}});
    let mappings = || (0..snapshots).map(mapping).collect::<Vec<_>>();
    let image = |n: usize| json!({"id": id(n), "name": format!("{name}-{n}"), "mappings": mappings(), "launchPermissions": shared});
    json!({
        "schedules": [{"group": VARIABLES[0].1}],
        "keys": [{"ref": "key-0", "policy": policy}, {"ref": "key-1", "policy": policy}],
        "images": (0..number).map(image).collect::<Vec<_>>(),
    })
}

fn id(n: usize) -> String {
    format!("ami-{n:017x}")
}

fn ask(action: &str, images: usize, accounts: &[String], more: Value) -> Value {
    let ids: Vec<_> = (0..images).map(id).collect();
    let mut request = json!({"action": action, "imageIds": ids, "accountIds": accounts});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

/// Holds calls until their wave is whole.
struct Tide {
    sizes: Vec<usize>,
    /// The calls of each wave so far.
    waves: Mutex<Vec<BTreeMap<String, usize>>>,
    turned: Condvar,
}

impl Tide {
    fn hold(&self, call: &str) {
        let mut waves = self.waves.lock().unwrap();
        let size = |wave: &BTreeMap<_, usize>| wave.values().sum::<usize>();
        let is_whole = |waves: &[BTreeMap<_, usize>]| {
            let wave = waves.last().unwrap();
            size(wave) >= self.sizes.get(waves.len() - 1).copied().unwrap_or_default()
        };
        if is_whole(&waves) {
            waves.push(BTreeMap::new());
        }
        *waves.last_mut().unwrap().entry(call.to_owned()).or_default() += 1;
        if is_whole(&waves) {
            self.turned.notify_all();
            return;
        }
        let wave = waves.len();
        drop(self.turned.wait_timeout_while(waves, LONGEST, |waves| waves.len() == wave && !is_whole(waves)).unwrap());
    }
}

struct World {
    aws: LocalAws,
    proxy: Proxy,
    function: Function,
}

impl World {
    fn new(variables: &[(&str, &str)]) -> Self {
        let aws = LocalAws::turn();
        let proxy = Proxy::start(aws.address);
        let function = Function::start(&proxy.endpoint, &allowlist(), variables);
        Self { aws, proxy, function }
    }

    /// Checks in which waves a request is worked off.
    #[track_caller]
    fn check(&self, request: &Value, expect: &[&[Calls]]) {
        let sizes: Vec<_> = expect.iter().map(|wave| wave.iter().map(|(_, count)| count).sum()).collect();
        let wave = |calls: &&[Calls]| calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        assert_eq!(self.calls_in_waves(request, sizes), expect.iter().map(wave).collect::<Vec<BTreeMap<_, _>>>());
    }

    /// How many calls there are in each wave of a request, if waves of these sizes are waited for.
    #[track_caller]
    fn waves(&self, request: &Value, sizes: &[usize]) -> Vec<usize> {
        self.calls_in_waves(request, sizes.to_vec()).iter().map(|wave| wave.values().sum()).collect()
    }

    #[track_caller]
    fn calls_in_waves(&self, request: &Value, sizes: Vec<usize>) -> Vec<BTreeMap<String, usize>> {
        let tide = Arc::new(Tide { sizes, waves: Mutex::new(vec![BTreeMap::new()]), turned: Condvar::new() });
        let of_rule = Arc::clone(&tide);
        self.proxy.rule(move |call, aws| {
            of_rule.hold(&call.name);
            Reply::Answer(aws())
        });
        let outcome = self.function.invoke(request).unwrap();
        assert!(["completed", "accepted", "planned"].iter().any(|result| outcome["result"] == *result), "{outcome:#}");
        tide.waves.lock().unwrap().clone()
    }
}

impl World {
    /// Checks how often a request asks AWS, in however many waves.
    #[track_caller]
    fn check_counts(&self, request: &Value, expect: &[Calls]) {
        self.proxy.let_pass();
        let outcome = self.function.invoke(request).unwrap();
        assert_eq!(outcome["result"], "completed", "{outcome:#}");
        let mut counts = BTreeMap::<String, usize>::new();
        for call in self.proxy.calls() {
            *counts.entry(call.name).or_default() += 1;
        }
        assert_eq!(counts, expect.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect());
    }
}

const IMAGES: [Calls; 1] = [("ec2:DescribeImages", 1)];
/// What an image that a rule covers is read for.
const BEHIND: [Calls; 3] =
    [("ec2:DescribeImageAttribute", 1), ("ec2:DescribeSnapshots", 1), ("scheduler:ListSchedules", 1)];
const KEYS: [Calls; 2] = [("kms:DescribeKey", 2), ("kms:GetKeyPolicy", 2)];
const LAUNCH: [Calls; 1] = [("ec2:ModifyImageAttribute", 1)];

#[test]
fn a_share_takes_three_waves_of_reading_and_one_of_writing() {
    let world = World::new(&VARIABLES);
    let all = accounts(ACCOUNTS);
    world.aws.seed(&images("open", 1, 2, &[]));
    world.check(&ask("share", 1, &all, json!({})), &[&IMAGES, &BEHIND, &KEYS, &LAUNCH]);

    // What is there to read about the expiries of shares is read beside the rest. A share that expires looks at its records
    // again when it has given something.
    let (two, expiry) = (accounts(2), json!({"expiresAt": rfc3339(*EXPIRES), "access": "copy"}));
    let keys_and_copies = [KEYS[0], KEYS[1], ("ec2:DescribeSnapshotAttribute", 2)];
    let looked_at = [("scheduler:GetSchedule", 2)];
    let and_records = [KEYS[0], KEYS[1], keys_and_copies[2], looked_at[0]];
    let (records, copies) = ([("scheduler:CreateSchedule", 2)], [("ec2:ModifySnapshotAttribute", 2)]);
    let mut world = World::new(&VARIABLES);
    world.aws.seed(&images("open", 1, 2, &[]));
    world.check(
        &ask("share", 1, &two, expiry.clone()),
        &[&IMAGES, &BEHIND, &keys_and_copies, &records, &copies, &LAUNCH, &looked_at],
    );
    world.function = Function::start(&world.proxy.endpoint, &allowlist(), &VARIABLES);
    world.check(&ask("share", 1, &two, expiry), &[&IMAGES, &BEHIND, &and_records]);
}

/// The process remembers which snapshots an image has and on which keys these are. So it asks everything at once, and the
/// answers say whether that was right.
#[test]
fn a_share_of_a_remembered_image_takes_one_wave_of_reading_and_one_of_writing() {
    let at_once = [IMAGES[0], BEHIND[0], BEHIND[1], BEHIND[2], KEYS[0], KEYS[1]];
    let share = |accounts: &[String]| ask("share", 1, accounts, json!({}));
    let world = World::new(&VARIABLES);
    world.aws.seed(&images("open", 1, 2, &[]));
    world.check(&share(&accounts(1)), &[&IMAGES, &BEHIND, &KEYS, &LAUNCH]);
    world.check(&share(&accounts(ACCOUNTS)), &[&at_once, &LAUNCH]);
    world.check(&share(&accounts(ACCOUNTS)), &[&at_once]);
    // A revoke is read as ever.
    world.check(
        &ask("revoke", 1, &accounts(1), json!({})),
        &[
            &IMAGES,
            &[BEHIND[0], BEHIND[1], BEHIND[2], IMAGES[0]],
            &[("ec2:DescribeSnapshotAttribute", 2), ("kms:ListGrants", 2)],
            &LAUNCH,
            &[("ec2:ModifySnapshotAttribute", 2)],
        ],
    );

    // It has other snapshots now, on other keys: it is read as on the first time, and what was asked ahead is lost.
    world.aws.clear();
    world.aws.seed(&images("open", 1, 2, &[]));
    world.check(&share(&accounts(1)), &[&at_once, &BEHIND, &KEYS, &LAUNCH]);
    world.check(&share(&accounts(2)), &[&at_once, &LAUNCH]);

    // No rule covers its new name. That is known after it was described once, and then nothing is asked ahead.
    world.aws.clear();
    world.aws.seed(&images("renamed", 1, 2, &[]));
    for _ in 0..2 {
        world.proxy.let_pass();
        let outcome = world.function.invoke(&share(&accounts(1))).unwrap();
        assert_eq!(outcome["refusals"][0]["code"], "ImageNotAllowed", "{outcome:#}");
    }
    let calls: Vec<_> = world.proxy.calls().into_iter().map(|call| call.name).collect();
    assert_eq!(calls, ["ec2:DescribeImages"]);
}

/// The process remembers whose grants were needed, and asks for those of the request's accounts at once.
#[test]
fn a_share_by_a_grant_takes_one_wave_of_reading_and_one_of_writing_if_the_image_is_remembered() {
    let by_grant = |accounts: &[String]| {
        let grantees = accounts.iter().map(|account| json!({"grantee": format!("arn:aws:iam::{account}:root"), "operations": ["CreateGrant", "DescribeKey", "Decrypt", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"]}));
        let grants: Vec<_> = grantees.collect();
        let mut seed = images("open", 1, 2, &[]);
        for key in seed["keys"].as_array_mut().unwrap() {
            (key["policy"], key["grants"]) = (open_to(&[]), json!(grants));
        }
        seed
    };
    let at_once = [IMAGES[0], BEHIND[0], BEHIND[1], BEHIND[2], KEYS[0], KEYS[1]];
    let and_grants = |count: usize| [&at_once[..], &[("kms:ListGrants", count)]].concat();
    let all = accounts(3);
    let share = |accounts: &[String]| ask("share", 1, accounts, json!({}));
    let try_out = |accounts: &[String]| ask("share", 1, accounts, json!({"dryRun": true}));
    let world = World::new(&VARIABLES);
    world.aws.seed(&by_grant(&all));
    world.check(&try_out(&all[..2]), &[&IMAGES, &BEHIND, &KEYS, &[("kms:ListGrants", 4)]]);
    world.check(&share(&all[..2]), &[&and_grants(4), &LAUNCH]);
    world.check(&share(&all[..2]), &[&and_grants(4)]);
    // Those of an account whose grants weren't needed the last time are asked for when they are known to be needed.
    world.check(&try_out(&all), &[&and_grants(4), &[("kms:ListGrants", 2)]]);
    world.check(&share(&all), &[&and_grants(6), &LAUNCH]);
    // Nobody waits for what was asked for other accounts.
    world.check(&share(&all[2..]), &[&and_grants(2)]);
    world.check(&share(&all[..1]), &[&at_once, &[("kms:ListGrants", 2)]]);

    // The snapshots are on other keys now, whose policies let everybody in: what was asked ahead is lost once.
    world.aws.clear();
    world.aws.seed(&images("open", 1, 2, &[]));
    world.check(&share(&all[..1]), &[&and_grants(2), &BEHIND, &KEYS, &LAUNCH]);
    world.check(&share(&all[..1]), &[&at_once]);
}

#[test]
fn a_share_without_a_copy_takes_no_wave_more_where_copies_can_be_made() {
    let record_key = "arn:aws:kms:eu-west-1:999988887777:key/00000000-0000-4000-8000-000000000000";
    let world = World::new(&[&VARIABLES[..], &[("AMI_SHARE_RECORD_KEY", record_key)]].concat());
    let all = accounts(ACCOUNTS);
    world.aws.seed(&images("open", 1, 2, &[]));
    world.check(&ask("share", 1, &all, json!({})), &[&IMAGES, &BEHIND, &KEYS, &LAUNCH]);
}

#[test]
fn images_share_their_reads() {
    const TURN: usize = CONCURRENCY;
    let world = World::new(&[]);
    let one = accounts(1);
    world.aws.seed(&images("open", TURN - 1, 4, &[]));
    world.check(
        &ask("share", TURN - 1, &one, json!({})),
        &[
            &IMAGES,
            &[("ec2:DescribeImageAttribute", TURN - 1), ("ec2:DescribeSnapshots", 1)],
            &KEYS,
            &[("ec2:ModifyImageAttribute", TURN - 1)],
        ],
    );

    // More snapshots than a filter takes are asked for at once, and fifty images wait for nothing but their turns.
    world.aws.clear();
    world.aws.seed(&images("open", 50, 5, &[]));
    world.check_counts(
        &ask("share", 50, &one, json!({})),
        &[
            ("ec2:DescribeImages", 1),
            ("ec2:DescribeImageAttribute", 50),
            ("ec2:DescribeSnapshots", 2),
            ("kms:DescribeKey", 2),
            ("kms:GetKeyPolicy", 2),
            ("ec2:ModifyImageAttribute", 50),
        ],
    );
}

/// As many calls run at once as a third of a full request bucket of EC2. The keys are read after the snapshots, beside what
/// is left to read.
#[test]
fn fifty_images_take_seven_waves() {
    let world = World::new(&VARIABLES);
    world.aws.seed(&images("open", 50, 2, &[]));
    let reads = 50 + 1 + 50 + 4;
    let sizes = [1, CONCURRENCY, CONCURRENCY, CONCURRENCY, reads - 3 * CONCURRENCY, CONCURRENCY, 50 - CONCURRENCY];
    assert_eq!(world.waves(&ask("share", 50, &accounts(1), json!({})), &sizes), sizes);
}

#[test]
fn grants_are_made_and_revoked_together() {
    let world = World::new(&VARIABLES);
    world.aws.seed(&images("closed", 1, 2, &[]));
    let two = accounts(2);
    let (grants, made) = ([("kms:ListGrants", 4)], [("kms:CreateGrant", 4)]);
    world.check(&ask("share", 1, &two, json!({})), &[&IMAGES, &BEHIND, &KEYS, &grants, &made, &LAUNCH]);
    world.check(
        &ask("revoke", 1, &two, json!({})),
        &[
            &IMAGES,
            &[BEHIND[0], BEHIND[1], BEHIND[2], IMAGES[0]],
            &[("ec2:DescribeSnapshotAttribute", 2), ("kms:ListGrants", 2)],
            &LAUNCH,
            &[("ec2:ModifySnapshotAttribute", 2)],
            &[("kms:RevokeGrant", 4)],
        ],
    );
}

#[test]
fn usage_takes_one_call_for_the_reports_on_all_images_and_one_for_what_they_say() {
    let world = World::new(&VARIABLES);
    world.aws.seed(&images("open", 3, 2, &[]));
    let usage = json!({"action": "usage", "imageIds": [id(0), id(1), id(2)]});
    let reports = [("ec2:DescribeImageUsageReports", 1)];
    world.check(&usage, &[&IMAGES, &reports, &[("ec2:CreateImageUsageReport", 3)]]);
    world.check(&usage, &[&IMAGES, &reports]);
    for image in 0..3 {
        world.aws.end_usage_report(&id(image), "available", "");
    }
    world.check(&usage, &[&IMAGES, &reports, &[("ec2:DescribeImageUsageReportEntries", 1)]]);
}

#[test]
fn a_list_by_account_takes_one_call_to_find_the_images_and_two_waves_to_read_them() {
    let world = World::new(&VARIABLES);
    let one = accounts(1);
    world.aws.seed(&images("open", 3, 2, &one));
    let list = json!({"action": "list", "accountIds": one});
    let behind = [("ec2:DescribeImageAttribute", 3), ("ec2:DescribeSnapshots", 1), ("scheduler:ListSchedules", 3)];
    world.check(&list, &[&IMAGES, &behind, &[("ec2:DescribeSnapshotAttribute", 6)]]);
}
