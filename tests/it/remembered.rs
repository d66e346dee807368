//! What the process remembers of images: the next share takes fewer waves (`waves.rs`), and no answer depends on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process,
    time::Duration,
};

use ami_share::{allowlist_source::Source, deployment::Deployment};
use serde_json::{Value, json};
use sharing::{
    domain::{GrantName, ImageId, KeyArn},
    facts::{Fact, Facts, Image, Key},
    outcome::to_text,
};

use crate::{
    execute::{carry_out, deployment},
    support::{
        ACCOUNT, REGION,
        local_aws::LocalAws,
        proxy::{Proxy, Reply},
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
    let facts = read(aws.endpoint, &scene);
    for request in questions(&scene) {
        let anew = answer(&deployment(aws.endpoint), &request);
        for (name, wrong) in wrong(&facts) {
            let remembers = deployment(aws.endpoint);
            remembers.memory.learn(described(&wrong), &wrong);
            assert_eq!(answer(&remembers, &request), anew, "{name}: {request}");
        }
    }
}

/// Whose grants are asked for at once is only a guess: what grants there are is read for each answer.
#[test]
fn a_grant_that_is_revoked_or_made_in_between_counts() {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let scene = scenes::scenes().into_iter().find(|scene| scene.name.contains("let in by a grant")).unwrap();
    let scene = stage.place(&scene);
    stage.seed(&scene);
    let request = &questions(&scene)[0];
    let (remembers, by_hand) = (deployment(aws.endpoint), deployment(aws.endpoint));
    let [key] = read(aws.endpoint, &scene).keys.into_keys().collect::<Vec<_>>().try_into().unwrap();
    let grants = || block_on(by_hand.aws.grants(&key, None, 1)).unwrap();
    let grant = grants().remove(0);
    let revoke = |id: &str| block_on(by_hand.aws.revoke_grant(&key, id)).unwrap();
    let grantee = grant.grantee_principal.unwrap();
    let operations: Vec<_> = grant.operations.iter().map(String::as_str).collect();
    let name = GrantName::new(&scene.images()[0].parse().unwrap(), BOTH[1].parse().unwrap(), None);
    for (there, change) in [
        ("it is there", None),
        ("it is revoked", Some(false)),
        ("it is still revoked", None),
        ("there is a new one", Some(true)),
        ("that is revoked", Some(false)),
    ] {
        match change {
            Some(true) => drop(block_on(by_hand.aws.create_grant(&key, &name, &grantee, &operations)).unwrap()),
            Some(false) => grants().iter().for_each(|grant| revoke(&grant.grant_id)),
            None => {}
        }
        let anew = answer(&deployment(aws.endpoint), request);
        assert_eq!(anew.contains("KeyAccessMissing"), there.contains("revoked"), "{there}: {anew}");
        assert_eq!(answer(&remembers, request), anew, "{there}");
    }
}

/// What was asked ahead and is not needed is not told, even if it would be a reason.
#[test]
fn a_grant_that_was_needed_and_is_not_any_more_is_no_reason() {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let scene = scenes::scenes().into_iter().find(|scene| scene.name.contains("three keys and a grant")).unwrap();
    let scene = stage.place(&scene);
    stage.seed(&scene);
    let mut facts = read(aws.endpoint, &scene);
    // The key policies let this account in, too.
    let grantee = format!("arn:aws:iam::{}:root", BOTH[0]);
    let name = GrantName::new(&scene.images()[0].parse().unwrap(), BOTH[0].parse().unwrap(), None);
    let by_hand = deployment(aws.endpoint).aws;
    for key in facts.keys.keys() {
        drop(block_on(by_hand.create_grant(key, &name, &grantee, &["Decrypt", "CreateGrant"])).unwrap());
    }
    facts.grantees = facts.keys.keys().map(|key| (key.clone(), [grantee.clone()].into())).collect();
    for request in questions(&scene) {
        let remembers = deployment(aws.endpoint);
        remembers.memory.learn(described(&facts), &facts);
        assert_eq!(answer(&remembers, &request), answer(&deployment(aws.endpoint), &request), "{request}");
    }
}

/// A question that doesn't matter any more is not waited for, and its failure is not told.
#[test]
fn nobody_waits_for_grants_that_are_asked_for_ahead_and_not_needed() {
    let aws = LocalAws::turn();
    let proxy = Proxy::start(aws.address);
    let stage = Stage::new(&aws, 0);
    let scene = scenes::scenes().into_iter().find(|scene| scene.name.contains("three keys and a grant")).unwrap();
    let scene = stage.place(&scene);
    stage.seed(&scene);
    let mut facts = read(aws.endpoint, &scene);
    let grantees: BTreeSet<_> = BOTH.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
    facts.grantees = facts.keys.keys().map(|key| (key.clone(), grantees.clone())).collect();
    // The key policies let this account in.
    let mut request = questions(&scene)[0].clone();
    request["accountIds"] = json!([BOTH[0]]);
    let anew = answer(&deployment(aws.endpoint), &request);
    let remembers = deployment(proxy.endpoint.clone().leak());
    remembers.memory.learn(described(&facts), &facts);
    let silence = Duration::from_secs(30);
    proxy.rule(move |call, aws| match &*call.name {
        "kms:ListGrants" => Reply::Silence(silence),
        _ => Reply::Answer(aws()),
    });
    assert_eq!(answer(&remembers, &request), anew);
    let listed = proxy.calls().iter().filter(|call| call.name == "kms:ListGrants").count();
    assert_eq!(listed, 3, "one for each key");
}

/// An image that a rule covered and covers no longer: nothing that was read ahead is told.
#[test]
fn an_image_whose_name_or_tags_have_changed_is_answered_as_if_it_were_not_remembered() {
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let new = || goes_by_name_and_tags(aws.endpoint);
    let remembers = new();
    let mut covered = stage.place(&scenes::shared_with(&[BOTH[0]]));
    (covered.seed["images"][0]["name"], covered.seed["images"][0]["tags"]) =
        (json!("golden-1"), json!({"Tier": "gold"}));
    let id = &covered.seed["images"][0]["id"];
    let share = json!({"action": "share", "imageIds": [id], "accountIds": BOTH, "dryRun": true});
    let check = json!({"action": "check", "imageIds": [id], "accountIds": BOTH});
    for (field, value) in [("name", json!("other-1")), ("tags", json!({"Tier": "test"})), ("tags", json!({}))] {
        let mut other = covered.clone();
        other.seed["images"][0][field] = value;
        for (world, is_refused) in [(&covered, false), (&other, true), (&covered, false)] {
            stage.seed(world);
            for request in [&share, &check] {
                let anew = answer(&new(), request);
                assert_eq!(anew.contains("ImageNotAllowed"), is_refused, "{field}: {anew}");
                assert_eq!(answer(&remembers, request), anew, "{field}");
            }
        }
    }
}

/// A function whose rule covers an image only by its name and a tag.
fn goes_by_name_and_tags(endpoint: &'static str) -> Deployment {
    let rule = json!({"name": "gold", "requesters": ["lambda:invoke"], "actions": ["share", "check"],
        "images": {"names": ["golden-*"], "tags": {"Tier": ["gold"]}}, "targets": BOTH});
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("allowlist-by-tags-{}.yaml", process::id()));
    std::fs::write(&path, json!({"version": 1, "rules": [rule]}).to_string()).unwrap();
    let location = format!("file:{}", path.display()).parse().unwrap();
    Deployment { allowlist: Source::new(location, Duration::from_secs(60)), ..deployment(endpoint) }
}

/// What EC2 says about the images of a scene and their snapshots, and the keys of these.
fn read(endpoint: &'static str, scene: &Scene) -> Facts {
    let aws = deployment(endpoint).aws;
    let ids: Vec<ImageId> = scene.images().iter().map(|id| id.parse().unwrap()).collect();
    let mut images = block_on(aws.describe_images(&ids)).unwrap();
    for backing in images.values_mut().flat_map(|image| &mut image.snapshots) {
        let snapshots = block_on(aws.describe_snapshots(std::slice::from_ref(&backing.id))).unwrap();
        backing.snapshot = Fact::Known(snapshots[&backing.id].clone());
    }
    let keys = images.values().flat_map(|image| image.keys().into_iter().cloned());
    let keys = keys.map(|key| (key, Key::default())).collect();
    Facts { images, keys, ..Facts::default() }
}

/// The images as EC2 describes them before anything is read about their snapshots.
fn described(facts: &Facts) -> BTreeMap<ImageId, Image> {
    let mut images = facts.images.clone();
    images.values_mut().flat_map(|image| &mut image.snapshots).for_each(|backing| backing.snapshot = Fact::NotRead);
    images
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// What is remembered wrongly.
fn wrong(facts: &Facts) -> Vec<(String, Facts)> {
    let image = |change: fn(&mut Image)| {
        let mut wrong = facts.clone();
        wrong.images.values_mut().for_each(change);
        wrong
    };
    let on_key = |key: Option<KeyArn>| {
        let mut wrong = facts.clone();
        let snapshots = wrong.images.values_mut().flat_map(|image| &mut image.snapshots);
        snapshots.for_each(|backing| {
            if let Fact::Known(snapshot) = &mut backing.snapshot {
                snapshot.key.clone_from(&key)
            }
        });
        wrong
    };
    let no_such =
        |account: &str| format!("arn:aws:kms:{REGION}:{account}:key/00000000-0000-0000-0000-000000000000").parse().ok();
    let mut all = vec![
        ("no keys".to_owned(), on_key(None)),
        ("a key that does not exist".to_owned(), on_key(no_such(ACCOUNT))),
        ("a key of another account".to_owned(), on_key(no_such(BOTH[0]))),
        ("another name".to_owned(), image(|image| image.name = Some("golden-other".to_owned()))),
        ("other tags".to_owned(), image(|image| drop(image.tags.insert("Tier".to_owned(), "gold".to_owned())))),
        ("no snapshots".to_owned(), image(|image| image.snapshots.clear())),
        ("fewer snapshots".to_owned(), image(|image| image.snapshots.truncate(1))),
        ("another owner".to_owned(), image(|image| image.owner = BOTH[0].parse().unwrap())),
        ("no grantees".to_owned(), facts.clone()),
    ];
    let root = |account: &str| format!("arn:aws:iam::{account}:root");
    let role = |account: &str| {
        format!("arn:aws:iam::{account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling")
    };
    for (who, grantees) in [
        ("the other account", vec![root(BOTH[1])]),
        ("both accounts", vec![root(BOTH[0]), root(BOTH[1])]),
        ("a role", vec![role(BOTH[1])]),
        ("somebody else", vec![root(ACCOUNT), "arn:aws:iam::111122223333:user/somebody".to_owned()]),
    ] {
        let grantees: BTreeSet<_> = grantees.into_iter().collect();
        for (of, number) in [("one key", 1), ("every key", facts.keys.len())] {
            let keys = facts.keys.keys().rev().take(number);
            let grantees = keys.map(|key| (key.clone(), grantees.clone())).collect();
            all.push((format!("grants of {who} on {of}"), Facts { grantees, ..facts.clone() }));
        }
        // They are on another key of the same account, and on none of these.
        let other = Facts {
            grantees: no_such(ACCOUNT).map(|key| (key, grantees)).into_iter().collect(),
            ..on_key(no_such(ACCOUNT))
        };
        all.push((format!("grants of {who} on a key that does not exist"), other));
    }
    all
}
