//! How often AWS is asked, and in how many waves: calls that wait for no other's answer are one wave. Every call is
//! held until the function asks nothing more, and then all are let go together; so a wave is a wave on any machine.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use ami_share::aws::CONCURRENCY;
use serde_json::{Value, json};

use crate::support::{
    ACCOUNT,
    function::Function,
    local_aws::LocalAws,
    proxy::{Proxy, Reply},
    scenes::VARIABLES,
    steady::steadily,
};

/// With nothing asked for so long, nothing more is asked before an answer.
const QUIET: Duration = Duration::from_millis(600);

const END: &str = "2030-01-01T00:00:00Z";

/// So many accounts are shared with, and there are keys that let them in and keys that don't.
const ACCOUNTS: usize = 100;

fn accounts(number: usize) -> Vec<String> {
    (1..=number).map(|n| format!("{n:012}")).collect()
}

fn allowlist() -> String {
    let rule = |name: &str, keys: &str| {
        json!({
            "name": name, "requesters": ["lambda:invoke"], "actions": ["share", "revoke", "reset", "check"],
            "images": {"names": [format!("{name}-*")]}, "targets": accounts(ACCOUNTS), "access": "copy", "keys": keys,
        })
    };
    json!({"version": 1, "rules": [rule("open", "verify"), rule("closed", "grant")]}).to_string()
}

/// Images of the rule `name` with so many snapshots each, on two keys; each is shared with these.
fn images(name: &str, number: usize, snapshots: usize, shared: &[String]) -> Value {
    let owner = json!({"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}, "Action": "kms:*", "Resource": "*"});
    let roots: Vec<_> = accounts(ACCOUNTS).iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
    let users = json!({"Effect": "Allow", "Principal": {"AWS": roots}, "Action": "kms:*", "Resource": "*"});
    let statements = if name == "open" { vec![owner, users] } else { vec![owner] };
    let policy = json!({"Version": "2012-10-17", "Statement": statements});
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

#[derive(Default)]
struct Tide {
    /// How many waves were let go, and when the last call arrived.
    state: Mutex<(usize, Option<Instant>)>,
    turned: Condvar,
}

impl Tide {
    /// Holds a call until its wave is let go.
    fn hold(&self) {
        let mut state = self.state.lock().unwrap();
        let wave = state.0;
        state.1 = Some(Instant::now());
        while state.0 == wave {
            if state.1.is_some_and(|last| last.elapsed() >= QUIET) {
                state.0 += 1;
                self.turned.notify_all();
                return;
            }
            state = self.turned.wait_timeout(state, QUIET / 8).unwrap().0;
        }
    }
}

struct World {
    aws: LocalAws,
    proxy: Proxy,
    function: Function,
}

impl World {
    fn new() -> Self {
        let aws = LocalAws::turn();
        let proxy = Proxy::start(aws.address);
        let function = Function::start(&proxy.endpoint, &allowlist(), &VARIABLES);
        Self { aws, proxy, function }
    }

    /// Checks how many waves a request takes, and how often each call is made.
    #[track_caller]
    fn check(&self, request: &Value, waves: usize, expect: &[(&str, usize)]) {
        let tide = Arc::new(Tide::default());
        let of_rule = Arc::clone(&tide);
        self.proxy.rule(move |_, aws| {
            of_rule.hold();
            Reply::Answer(aws())
        });
        let outcome = self.function.invoke(request).unwrap();
        assert_eq!(outcome["result"], "completed", "{outcome:#}");
        let mut calls = BTreeMap::new();
        for call in self.proxy.calls() {
            *calls.entry(call.name).or_insert(0) += 1;
        }
        let expect: BTreeMap<_, _> = expect.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        assert_eq!(calls, expect);
        assert_eq!(tide.state.lock().unwrap().0, waves, "{calls:?}");
    }
}

#[test]
fn a_share_takes_three_waves_of_reading_and_one_of_writing() {
    steadily(|| {
        let world = World::new();
        let all = accounts(ACCOUNTS);
        world.aws.seed(&images("open", 1, 4, &[]));
        let reads = [
            ("ec2:DescribeImages", 1),
            ("ec2:DescribeImageAttribute", 1),
            ("scheduler:ListSchedules", 1),
            ("ec2:DescribeSnapshots", 1),
            ("kms:DescribeKey", 2),
            ("kms:GetKeyPolicy", 2),
        ];
        let and = |more: &[(&'static str, usize)]| [&reads[..], more].concat();
        world.check(&ask("share", 1, &all, json!({})), 4, &and(&[("ec2:ModifyImageAttribute", 1)]));
        world.check(&ask("share", 1, &all, json!({})), 3, &reads);

        // What is there to read about the ends of shares is read beside the rest.
        let (two, end) = (accounts(2), json!({"expiresAt": END, "access": "copy"}));
        let copy = [("ec2:DescribeSnapshotAttribute", 4), ("ec2:ModifySnapshotAttribute", 4)];
        world.aws.seed(&images("open", 1, 4, &[]));
        let writes = [("scheduler:CreateSchedule", 2), ("ec2:ModifyImageAttribute", 1)];
        world.check(&ask("share", 1, &two, end.clone()), 6, &and(&[copy, writes].concat()));
        world.check(&ask("share", 1, &two, end), 3, &and(&[copy[0], ("scheduler:GetSchedule", 2)]));
    });
}

#[test]
fn images_share_their_reads() {
    steadily(|| {
        let world = World::new();
        let number = CONCURRENCY - 1;
        let one = accounts(1);
        let calls = |images: usize, snapshots: usize| {
            [
                ("ec2:DescribeImages", 1),
                ("ec2:DescribeImageAttribute", images),
                ("ec2:DescribeSnapshots", snapshots),
                ("kms:DescribeKey", 2),
                ("kms:GetKeyPolicy", 2),
                ("ec2:ModifyImageAttribute", images),
            ]
        };
        let function = Function::start(&world.proxy.endpoint, &allowlist(), &[]);
        let world = World { function, ..world };
        world.aws.seed(&images("open", number, 4, &[]));
        world.check(&ask("share", number, &one, json!({})), 4, &calls(number, 1));

        // More snapshots than a filter takes are asked for at once, and fifty images wait for nothing but their turns.
        world.aws.clear();
        world.aws.seed(&images("open", 50, 5, &[]));
        let turns = 51_usize.div_ceil(CONCURRENCY) + 50_usize.div_ceil(CONCURRENCY);
        world.check(&ask("share", 50, &one, json!({})), turns + 2, &calls(50, 2));
    });
}

#[test]
fn grants_are_made_and_revoked_together() {
    steadily(|| {
        let world = World::new();
        world.aws.seed(&images("closed", 1, 2, &[]));
        let two = accounts(2);
        let share = [
            ("ec2:DescribeImages", 1),
            ("ec2:DescribeImageAttribute", 1),
            ("scheduler:ListSchedules", 1),
            ("ec2:DescribeSnapshots", 1),
            ("kms:DescribeKey", 2),
            ("kms:GetKeyPolicy", 2),
            ("kms:ListGrants", 4),
            ("kms:CreateGrant", 4),
            ("ec2:ModifyImageAttribute", 1),
        ];
        world.check(&ask("share", 1, &two, json!({})), 6, &share);
        let revoke = [
            ("ec2:DescribeImages", 2),
            ("ec2:DescribeImageAttribute", 1),
            ("scheduler:ListSchedules", 1),
            ("ec2:DescribeSnapshots", 1),
            ("ec2:DescribeSnapshotAttribute", 2),
            ("kms:ListGrants", 2),
            ("ec2:ModifyImageAttribute", 1),
            ("ec2:ModifySnapshotAttribute", 2),
            ("kms:RevokeGrant", 4),
        ];
        world.check(&ask("revoke", 1, &two, json!({})), 6, &revoke);
    });
}
