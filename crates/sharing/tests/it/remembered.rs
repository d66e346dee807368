//! What is remembered of images from one request to the next: which requests expect something, and of which images.

use std::collections::BTreeMap;

use ami_share_testing::worlds::*;
use serde_json::{Value, json};
use sharing::{
    decide::{Authority, Case, Judgements},
    domain::{ImageId, Requester},
    facts::{Fact, Facts, Image, ImageState, Lineage, RegionalImage},
    read_plan::{Expectation, Remembered, grantees},
    request::Request,
};

fn about(action: &str, image_ids: &[&str], more: Value) -> Value {
    let mut request = json!({"action": action, "imageIds": image_ids});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn share_of(image_ids: &[&str]) -> Value {
    about("share", image_ids, json!({"accountIds": [ONE]}))
}

/// The image as EC2 describes it.
fn described(world: &World) -> Image {
    let mut image = world.image.clone();
    (image.launch_permissions, image.expiries) = (Fact::NotRead, Fact::NotRead);
    image.snapshots.iter_mut().for_each(|backing| backing.snapshot = Fact::NotRead);
    image
}

/// Lets it learn of an image with this ID.
fn learn(remembered: &mut Remembered, id: &str, world: &World) {
    let id: ImageId = id.parse().unwrap();
    let facts = Facts { images: BTreeMap::from([(id.clone(), world.image.clone())]), ..Facts::default() };
    remembered.learn(BTreeMap::from([(id, described(world))]), &facts);
}

fn expects(remembered: &Remembered, request: &Value) -> Option<Expectation> {
    World::open("golden-1").put(request, |case, _| remembered.expect(case))
}

#[test]
fn a_share_and_a_check_expect_the_descriptions_and_the_keys_of_all_their_images() {
    const OTHER: &str = "ami-2b3c4d5e";
    let mut remembered = Remembered::default();
    let world = World::encrypted("golden-1", &[ONE]);
    learn(&mut remembered, IMAGE, &world);
    for request in [share_of(&[IMAGE]), about("check", &[IMAGE], json!({"accountIds": [ONE]}))] {
        let expected = expects(&remembered, &request).expect("the image is remembered");
        assert_eq!(expected.images, BTreeMap::from([(IMAGE.parse().unwrap(), described(&world))]), "{request}");
        assert_eq!(expected.keys, [(key(), [].into())].into(), "{request}");
    }
    assert!(expects(&remembered, &share_of(&[IMAGE, OTHER])).is_none(), "nothing is known of one of them");
    learn(&mut remembered, OTHER, &World::open("golden-2"));
    assert_eq!(expects(&remembered, &share_of(&[IMAGE, OTHER])).unwrap().images.len(), 2);
    learn(&mut remembered, OTHER, &World::open("silver-2"));
    assert!(expects(&remembered, &share_of(&[IMAGE, OTHER])).is_none(), "no rule covers one of them any more");
}

#[test]
fn nothing_else_is_expected() {
    let mut remembered = Remembered::default();
    learn(&mut remembered, IMAGE, &World::encrypted("golden-1", &[ONE]));
    for request in [
        about("list", &[IMAGE], json!({})),
        about("revoke", &[IMAGE], json!({"accountIds": [ONE]})),
        about("reset", &[IMAGE], json!({})),
        about("share", &[IMAGE], json!({"accountIds": [ONE], "copyFrom": "eu-north-1"})),
        json!({"action": "repair"}),
    ] {
        assert!(expects(&remembered, &request).is_none(), "{request}");
    }
    // A requester without a rule for the image learns nothing from others' requests.
    let as_other = |name: &str, look: fn(&Remembered, &Case<'_>) -> bool| {
        let requester = Requester::new(name.to_owned());
        World::open("golden-1").put(&share_of(&[IMAGE]), |case, _| {
            look(&remembered, &Case { authority: Authority::Requester(&requester), ..*case })
        })
    };
    let is_expected = |remembered: &Remembered, case: &Case<'_>| remembered.expect(case).is_some();
    assert!(as_other("lambda:invoke", is_expected));
    assert!(!as_other("arn:aws:iam::999988887777:role/stranger", is_expected));
    // The expiry of a share is nobody's request.
    let record = expiry(ONE, NOW);
    let revoke = Request::bare(sharing::request::Action::Revoke, IMAGE.parse().unwrap());
    let world = World::open("golden-1");
    assert!(world.put_as(Authority::Expiry(&record), &revoke, |case, _| remembered.expect(case).is_none()));
}

#[test]
fn only_an_available_image_of_which_everything_is_known_is_remembered() {
    type Change = fn(&mut World);
    let copy: Change = |world| {
        let source = RegionalImage { region: "eu-north-1".parse().unwrap(), id: "ami-5e4d3c2b".parse().unwrap() };
        world.image.provenance.lineage = Lineage::CopyOf { source, said: Box::new(Fact::NotRead) };
    };
    let unreadable: Change = |world| world.image.snapshots[0].snapshot = Fact::Failed(denied("ec2:DescribeSnapshots"));
    for (what, change) in [
        ("a pending image", (|world| world.image.state = ImageState::Pending) as Change),
        ("a disabled image", |world| world.image.state = ImageState::Disabled),
        ("a copy", copy),
        ("a snapshot that was not read", |world| world.image.snapshots[0].snapshot = Fact::NotRead),
        ("a snapshot that could not be read", unreadable),
    ] {
        let mut remembered = Remembered::default();
        learn(&mut remembered, IMAGE, &World::encrypted("golden-1", &[ONE]).with(change));
        assert!(expects(&remembered, &share_of(&[IMAGE])).is_none(), "{what}");
    }
}

#[test]
fn what_differs_is_forgotten_and_what_is_said_last_counts() {
    let mut remembered = Remembered::default();
    learn(&mut remembered, IMAGE, &World::encrypted("golden-1", &[ONE]));
    learn(&mut remembered, IMAGE, &World::open("golden-2"));
    let expected = expects(&remembered, &share_of(&[IMAGE])).unwrap();
    let names: Vec<_> = expected.images.values().map(|image| image.name.as_deref()).collect();
    assert_eq!((names, expected.keys.len()), (vec![Some("golden-2")], 0));
    remembered.forget(&[IMAGE.parse().unwrap()]);
    assert!(expects(&remembered, &share_of(&[IMAGE])).is_none());
}

/// Remembers that the grants of these were needed.
fn learn_grantees(remembered: &mut Remembered, grantees: &[&str]) {
    let image = (IMAGE.parse().unwrap(), World::encrypted("golden-1", &[]).image);
    let grantees = grantees.iter().map(|grantee| (*grantee).to_owned()).collect();
    let facts = Facts { images: [image].into(), grantees: [(key(), grantees)].into(), ..Facts::default() };
    remembered.learn_grantees(&facts);
}

/// The grantees whose grants are asked for ahead.
fn asked_ahead(remembered: &Remembered, request: &Value) -> Vec<String> {
    let keys = expects(remembered, request).expect("the image is remembered").keys;
    assert_eq!(keys.keys().collect::<Vec<_>>(), [&key()]);
    keys.into_values().flatten().collect()
}

fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

#[test]
fn grants_are_expected_to_be_needed_that_were_needed_last_and_are_of_grantees_of_the_request() {
    let role = |account: &str| {
        let service = "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling";
        format!("arn:aws:iam::{account}:role/aws-service-role/{service}")
    };
    let all = [&*root(ONE), &*role(ONE), &*root(TWO), &*role(TWO)];
    let (one, both) = (json!({"accountIds": [ONE]}), json!({"accountIds": [ONE, TWO]}));
    let with_role = json!({"accountIds": [ONE], "serviceLinkedRoles": ["autoscaling"]});
    let share = |more: &Value| about("share", &[IMAGE], more.clone());
    let mut remembered = Remembered::default();
    learn(&mut remembered, IMAGE, &World::encrypted("granted-1", &[]));
    for (needed, request, expect) in [
        (&all[..], share(&one), vec![root(ONE)]),
        (&all, share(&both), vec![root(ONE), root(TWO)]),
        (&all, share(&with_role), vec![role(ONE), root(ONE)]),
        (&all, about("check", &[IMAGE], one.clone()), vec![role(ONE), root(ONE)]),
        (&all[2..], share(&both), vec![root(TWO)]),
        (&all[2..], share(&one), vec![]),
        (&[], share(&both), vec![]),
    ] {
        learn_grantees(&mut remembered, needed);
        assert_eq!(asked_ahead(&remembered, &request), expect, "{needed:?} {request}");
    }
    // No rule covers this account, and nothing is asked about it.
    learn_grantees(&mut remembered, &[&root(ONE), &root("555566667777")]);
    let request = share(&json!({"accountIds": [ONE, "555566667777"]}));
    assert_eq!(asked_ahead(&remembered, &request), [root(ONE)]);
    // What is learned of the image anew forgets them.
    learn(&mut remembered, IMAGE, &World::encrypted("granted-1", &[]));
    assert_eq!(asked_ahead(&remembered, &share(&one)), Vec::<String>::new());
}

#[test]
fn at_most_two_hundred_grantees_of_an_image_are_remembered_and_of_more_none() {
    let mut remembered = Remembered::default();
    learn(&mut remembered, IMAGE, &World::encrypted("golden-1", &[]));
    let others: Vec<_> = (0..200).map(|number| root(&format!("{number:012}"))).collect();
    let mut grantees: Vec<_> = others[1..].iter().map(String::as_str).collect();
    let one = root(ONE);
    grantees.push(&one);
    for (more, expect) in [(None, vec![root(ONE)]), (Some(&*others[0]), vec![])] {
        grantees.extend(more);
        learn_grantees(&mut remembered, &grantees);
        assert_eq!(asked_ahead(&remembered, &share_of(&[IMAGE])), expect, "{}", grantees.len());
    }
}

/// What was judged by a policy that was read ahead says nothing about the one that is read then.
#[test]
fn judgements_that_are_forgotten_are_made_anew() {
    let judgements = Judgements::until(&|| false);
    let looked_up = |allowed: &[&str]| {
        let world = World::encrypted("golden-1", allowed);
        world.put(&share_of(&[IMAGE]), |case, facts| grantees(case, facts, &judgements).unwrap().len())
    };
    assert_eq!(looked_up(&[ONE]), 0);
    judgements.forget();
    assert_eq!(looked_up(&[]), 1);
}

#[test]
fn at_most_a_hundred_images_are_remembered_and_the_oldest_is_forgotten_first() {
    let mut remembered = Remembered::default();
    let id = |number: usize| format!("ami-{number:08x}");
    let world = World::encrypted("golden-1", &[ONE]);
    let is_known = |remembered: &Remembered, number| expects(remembered, &share_of(&[&id(number)])).is_some();
    for number in 0..100 {
        learn(&mut remembered, &id(number), &world);
    }
    // Learning of the same again, or forgetting it, takes no place.
    learn(&mut remembered, &id(50), &world);
    assert!((0..100).all(|number| is_known(&remembered, number)));
    remembered.forget(&[id(50).parse().unwrap()]);
    learn(&mut remembered, &id(100), &world);
    assert!(is_known(&remembered, 0) && is_known(&remembered, 100) && !is_known(&remembered, 50));
    for number in 101..250 {
        learn(&mut remembered, &id(number), &world);
    }
    let known: Vec<_> = (0..250).filter(|number| is_known(&remembered, *number)).collect();
    assert_eq!(known, (150..250).collect::<Vec<_>>());
}

#[test]
fn only_what_may_help_a_share_or_check_is_kept() {
    let world = World::encrypted("golden-1", &[ONE]);
    let kept = |request: &Value| world.put(request, |case, facts| Remembered::worth_keeping(case, facts).len());
    assert_eq!(kept(&share_of(&[IMAGE])), 1);
    assert_eq!(kept(&about("check", &[IMAGE], json!({"accountIds": [ONE]}))), 1);
    assert_eq!(kept(&about("revoke", &[IMAGE], json!({"accountIds": [ONE]}))), 0);
    assert_eq!(kept(&about("list", &[IMAGE], json!({}))), 0);
}
