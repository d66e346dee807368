//! What the process remembers of images: the next share takes fewer waves (`waves.rs`), and no answer depends on it.

use std::{collections::BTreeMap, time::Duration};

use ami_share::deployment::Deployment;
use serde_json::{Value, json};
use sharing::{
    domain::{ImageId, KeyArn, SnapshotId},
    facts::{CreateVolumePermissions, Fact, Facts, Image, Snapshot},
    outcome::to_text,
};

use crate::{
    execute::{carry_out, deployment},
    support::{
        ACCOUNT, REGION,
        local_aws::LocalAws,
        scenes::{self, Scene, Stage},
    },
};

const BOTH: [&str; 2] = ["111122223333", "222233334444"];

/// What is asked about the images of a scene without changing anything.
fn questions(scene: &Scene) -> Vec<Value> {
    let Some(image_ids) = scene.request.get("imageIds").filter(|ids| !ids.as_array().unwrap().is_empty()) else {
        return Vec::new();
    };
    let ask = |action: &str, more: Value| {
        let mut request = json!({"action": action, "imageIds": image_ids, "accountIds": BOTH});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    vec![ask("share", json!({"dryRun": true})), ask("check", json!({})), ask("check", json!({"access": "copy"}))]
}

fn answer(deployment: &Deployment, request: &Value) -> String {
    to_text(&carry_out(deployment, "lambda:invoke", request, Duration::from_secs(60)))
}

/// The scenes have images with the same IDs, and other names, snapshots, keys and states.
#[test]
fn an_answer_is_the_same_to_the_byte_whatever_is_remembered_of_other_worlds() {
    let aws = LocalAws::turn();
    let (stage, remembers) = (Stage::new(&aws, 0), deployment(aws.endpoint));
    let mut asked = 0;
    for scene in scenes::scenes() {
        let scene = stage.place(&scene);
        stage.seed(&scene);
        for request in questions(&scene) {
            let anew = answer(&deployment(aws.endpoint), &request);
            for time in ["of other worlds", "of this world"] {
                assert_eq!(answer(&remembers, &request), anew, "{}, remembering images {time}: {request}", scene.name);
                asked += 1;
            }
        }
    }
    assert!(asked > 60, "{asked}");
}

#[test]
fn a_wrong_memory_changes_no_answer() {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let scene = scenes::scenes().into_iter().find(|scene| scene.name.contains("three keys and a grant")).unwrap();
    let scene = stage.place(&scene);
    stage.seed(&scene);
    let described = described(aws.endpoint, &scene);
    for (name, remembered, key) in wrong(&described) {
        for request in questions(&scene) {
            let anew = answer(&deployment(aws.endpoint), &request);
            let remembers = deployment(aws.endpoint);
            plant(&remembers, &remembered, key.as_ref());
            for time in ["first", "second"] {
                assert_eq!(answer(&remembers, &request), anew, "{name}, the {time} time: {request}");
            }
        }
    }
}

/// An image that a rule covered and covers no longer: nothing that was read ahead is told.
#[test]
fn an_image_whose_name_or_tags_have_changed_is_refused_as_if_it_were_not_remembered() {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let remembers = deployment(aws.endpoint);
    let covered = stage.place(&scenes::shared_with(&[BOTH[0]]));
    let request = json!({"action": "check", "imageIds": [covered.seed["images"][0]["id"]], "accountIds": BOTH});
    for (field, value) in [("name", json!("other-1")), ("tags", json!({"Environment": "test"}))] {
        stage.seed(&covered);
        answer(&remembers, &request);
        let mut changed = covered.clone();
        changed.seed["images"][0][field] = value;
        stage.seed(&changed);
        let anew = answer(&deployment(aws.endpoint), &request);
        assert_eq!(anew.contains("ImageNotAllowed"), field == "name", "{anew}");
        assert_eq!(answer(&remembers, &request), anew);
    }
}

type Described = BTreeMap<ImageId, Image>;

fn described(endpoint: &'static str, scene: &Scene) -> Described {
    let ids: Vec<ImageId> = scene.images().iter().map(|id| id.parse().unwrap()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(deployment(endpoint).aws.describe_images(&ids)).unwrap()
}

/// What is remembered wrongly: descriptions, and the key of all their snapshots.
fn wrong(described: &Described) -> Vec<(&'static str, Described, Option<KeyArn>)> {
    let changed = |change: fn(&mut Image)| {
        let mut changed = described.clone();
        changed.values_mut().for_each(change);
        changed
    };
    let other = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000").parse().ok();
    let foreign = format!("arn:aws:kms:{REGION}:111122223333:key/00000000-0000-0000-0000-000000000000").parse().ok();
    vec![
        ("no keys", described.clone(), None),
        ("a key that does not exist", described.clone(), other),
        ("a key of another account", described.clone(), foreign),
        ("another name", changed(|image| image.name = Some("golden-other".to_owned())), None),
        ("other tags", changed(|image| drop(image.tags.insert("Tier".to_owned(), "gold".to_owned()))), None),
        ("no snapshots", changed(|image| image.snapshots.clear()), None),
        ("fewer snapshots", changed(|image| image.snapshots.truncate(1)), None),
        ("another owner", changed(|image| image.owner = "111122223333".parse().unwrap()), None),
    ]
}

fn plant(deployment: &Deployment, described: &Described, key: Option<&KeyArn>) {
    let snapshot = |id: &SnapshotId| Snapshot {
        id: id.clone(),
        owner: ACCOUNT.parse().unwrap(),
        key: key.cloned(),
        create_volume_permissions: Fact::Known(CreateVolumePermissions::default()),
        needed_by: Fact::NotRead,
    };
    let mut facts = Facts { images: described.clone(), ..Facts::default() };
    for backing in facts.images.values_mut().flat_map(|image| &mut image.snapshots) {
        backing.snapshot = Fact::Known(snapshot(&backing.id));
    }
    deployment.memory.learn(described.clone(), &facts);
}
