//! The model of `crates/model` has the order of the function's calls written again. Here an invocation of each kind runs alone, of
//! the function and of the model, and both make the same calls: the same writes in their order, and before each the same reads.

use std::collections::BTreeSet;

use model::{
    explore::Explorer,
    kinds::Kind,
    planted::Planted,
    scenes::{Before, Scene},
};
use serde_json::json;

use crate::{
    approvals_disturbed, copies_disturbed,
    support::{
        function::Function,
        local_aws::LocalAws,
        proxy::{Call, Proxy},
        scenes::{self, Stage},
    },
};

/// What costs no call in the model: what never changes there, the code of a record, and telling how it ended.
const NO_CALLS: [&str; 5] =
    ["ec2:DescribeSnapshots", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:GenerateMac", "events:PutEvents"];

/// What the model doesn't ask about an image that can't be deregistered.
const NO_IMAGE: &[&str] = &["ec2:DescribeImages"];

/// What a rule without copies of the key's grants, and with launch access only, does not need.
const NO_GRANTS: [&str; 4] =
    ["kms:ListGrants", "kms:CreateGrant", "ec2:DescribeSnapshotAttribute", "ec2:ModifySnapshotAttribute"];

/// The operations of reads, and of the writes after them. A phase may have several writes of one operation: the function's scenes
/// have more targets and keys than the model.
type Turn = (BTreeSet<String>, BTreeSet<String>);

/// The calls, as turns of reads and writes: a new one begins with the first read after a write, and with a write of another operation.
fn turns(calls: impl IntoIterator<Item = String>, left_out: &[&str]) -> Vec<Turn> {
    let mut turns: Vec<Turn> = vec![Turn::default()];
    for call in calls.into_iter().filter(|call| !left_out.contains(&call.as_str())) {
        let (_, operation) = call.split_once(':').unwrap();
        let is_read = ["Describe", "Get", "List"].iter().any(|verb| operation.starts_with(verb));
        let (_, writes) = turns.last().unwrap();
        if !writes.is_empty() && !writes.contains(&call) {
            turns.push(Turn::default());
        }
        let (reads, writes) = turns.last_mut().unwrap();
        if is_read {
            reads.insert(call)
        } else {
            writes.insert(call)
        };
    }
    turns
}

/// Compares the calls of the function with those that this kind makes in the model. What neither has in the other's scene is left out.
#[track_caller]
fn check(calls: &[Call], kind: Kind, before: Before, left_out: &[&str]) {
    let left_out = [&NO_CALLS, left_out].concat();
    let in_function = turns(calls.iter().map(|call| call.name.clone()), &left_out);
    let in_model = Explorer::new(Planted::Nothing).calls_alone(&Scene::new(&[kind], before));
    let in_model = turns(in_model.into_iter().map(str::to_owned), &left_out);
    assert_eq!(in_function, in_model, "the function's calls, and the model's: {kind:?}, {before:?}");
    assert!(in_function.iter().any(|(_, writes)| !writes.is_empty()), "{kind:?} writes nothing, so it shows little");
}

/// The calls of the function in a scene, asked for the first target alone if `is_for_one`.
fn calls_of(name: &str, is_for_one: bool) -> Vec<Call> {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let mut scene = stage.place(&scenes::scene(name));
    if is_for_one {
        let first = scene.request["accountIds"][0].clone();
        scene.request["accountIds"] = json!([first]);
    }
    stage.seed(&scene);
    let proxy = Proxy::start(aws.address);
    let function = Function::start(&proxy.endpoint, scenes::ALLOWLIST, &scenes::VARIABLES);
    proxy.let_pass();
    function.invoke(scene.event()).unwrap();
    proxy.settle();
    proxy.calls()
}

#[test]
fn requests_for_an_image_make_the_models_calls_in_its_order() {
    for (name, is_for_one, kind, before) in [
        ("share, one copy and its grant", false, Kind::Share, Before::Unshared),
        ("revoke, one copy and its grant", false, Kind::Revoke, Before::Shared),
        ("share, with an expiry, a copy and a grant", false, Kind::ShareUntil, Before::Unshared),
        ("share, a renewal and a new one", true, Kind::Renew, Before::SharedUntil),
        ("revoke, with an expiry, a copy and a grant", false, Kind::Revoke, Before::SharedUntil),
        ("reset, with two records of a share", false, Kind::Reset, Before::SharedUntil),
        ("expire, a copy and a grant", false, Kind::Expire, Before::SharedUntil),
    ] {
        check(&calls_of(name, is_for_one), kind, before, NO_IMAGE);
    }
}

#[test]
fn shares_that_wait_for_copies_make_the_models_calls_in_its_order() {
    use copies_disturbed::{ASKED_AGAIN, BEGUN, FAILED, GRANTED, TAKEN_BACK_MEANWHILE, calls};
    let no_list: &[&str] = &["kms:ListGrants"];
    let launch_only = &["ec2:DescribeSnapshotAttribute", "ec2:ModifySnapshotAttribute"];
    for (scene, kind, before, left_out) in [
        (BEGUN, Kind::ShareCopy, Before::NoCopy, no_list),
        (ASKED_AGAIN, Kind::ShareCopy, Before::Failed, no_list),
        (FAILED, Kind::Tick, Before::Failed, no_list),
        (GRANTED, Kind::Tick, Before::Copied, launch_only),
        // A pending copy has its snapshot in the model, and none in the local AWS. What EC2 says is not documented.
        (TAKEN_BACK_MEANWHILE, Kind::RevokeCopy, Before::Waits, &NO_GRANTS),
    ] {
        check(&calls(scene), kind, before, left_out);
    }
}

#[test]
fn approvals_make_the_models_calls_in_its_order() {
    use approvals_disturbed::{Scene, calls};
    for (scene, kind, before) in [
        (Scene::Ask, Kind::Ask, Before::NotAsked),
        (Scene::Approve, Kind::Approve, Before::Asked),
        (Scene::Reject, Kind::Reject, Before::Asked),
        (Scene::Lapse, Kind::Lapse, Before::Asked),
        (Scene::CarryOn, Kind::CarryOn, Before::Approved),
    ] {
        check(&calls(scene), kind, before, &[NO_IMAGE, &NO_GRANTS].concat());
    }
}
