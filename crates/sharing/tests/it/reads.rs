//! What is read before anything is decided: the read plan of each action, without AWS.

use Need::{No, Optional, Required, Settled};
use ami_share_testing::worlds::*;
use key_policy::Grant;
use serde_json::{Value, json};
use sharing::{
    decide::Authority,
    domain::{ExpiryName, KeyArn},
    facts::{Fact, Facts, Failure, Image, ImageState, Key},
    read_plan::{Described, GrantReads, IfNotFound, Need, ReadPlan, first, further, named_by_grants},
};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

fn ask(action: &str, more: Value) -> Value {
    let mut request = json!({"action": action, "imageIds": [IMAGE]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn with_one(action: &str) -> Value {
    ask(action, json!({"accountIds": [ONE]}))
}

fn until(at: OffsetDateTime) -> Value {
    ask("share", json!({"accountIds": [ONE], "expiresAt": at.format(&Rfc3339).unwrap()}))
}

/// The image as it is before it is read further.
fn described(world: World) -> World {
    world.with(|world| {
        world.image.launch_permissions = Fact::NotRead;
        world.image.expiries = Fact::NotRead;
        world.image.snapshots[0].snapshot = Fact::NotRead;
    })
}

fn plan_of(world: &World, request: &Value) -> ReadPlan {
    described(world.clone()).put(request, further)
}

/// Checks what is read of the image: launch permissions, snapshots, each of them, create volume permissions.
#[track_caller]
fn reads(world: &World, request: &Value, expect: [Need; 4]) -> ReadPlan {
    let plan = plan_of(world, request);
    let [it] = plan.images.values().collect::<Vec<_>>()[..] else { panic!("{plan:#?}") };
    let found = [it.launch_permissions, it.snapshots, it.each_snapshot, it.create_volume_permissions];
    assert_eq!(found, expect, "{request}");
    plan
}

fn grants(plan: &ReadPlan) -> &'static str {
    match &plan.keys.grants {
        GrantReads::No => "no",
        GrantReads::OfGrantees(Settled) => "of grantees",
        GrantReads::Every { need: Optional, .. } => "every",
        GrantReads::Own(_) => "own",
        GrantReads::OfGrantees(_) | GrantReads::Every { .. } => panic!("{plan:#?}"),
    }
}

#[test]
fn each_action_reads_what_it_must_know() {
    let world = World::encrypted("golden-1", &[ONE]);
    let copy = ask("share", json!({"accountIds": [ONE], "access": "copy"}));
    let all = Required;
    for (request, of_image, needed_by, keys, of_grants, region) in [
        (with_one("share"), [all, all, all, No], No, Settled, "of grantees", No),
        (copy, [all, all, all, all], No, Settled, "of grantees", No),
        (with_one("check"), [all, all, all, Optional], No, Settled, "of grantees", Optional),
        (ask("list", json!({})), [all, all, Optional, Optional], No, No, "no", No),
        (with_one("revoke"), [Optional; 4], Optional, No, "own", No),
        (ask("reset", json!({})), [Optional; 4], Optional, No, "own", No),
        (json!({"action": "repair"}), [Optional, all, Optional, Optional], Optional, Optional, "every", No),
    ] {
        let plan = reads(&world, &request, of_image);
        assert_eq!((plan.needed_by, plan.keys.metadata, plan.keys.policy), (needed_by, keys, keys), "{request}");
        assert_eq!((grants(&plan), plan.blocks_public_images), (of_grants, region), "{request}");
        assert_eq!((plan.records.len(), plan.is_records_first), (1, false), "{request}");
    }
}

#[test]
fn a_list_by_account_reads_a_page_of_its_images_and_then_what_a_list_reads() {
    let by_account = |more: Value| {
        let mut request = json!({"action": "list", "accountIds": [ONE]});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let world = World::encrypted("golden-1", &[ONE]);
    for page in [None, Some("eyJ2IjoiMSJ9")] {
        let request = by_account(page.map_or(json!({}), |page| json!({"nextToken": page})));
        world.put(&request, |case, _| {
            let first = first(case);
            let token = page.map(|page| page.parse().unwrap());
            assert_eq!(first.images, Described::SharedWith { account: account(ONE), page: token.as_ref() });
            assert_eq!((first.records.len(), first.if_not_found), (0, IfNotFound::Leave));
        });
    }
    let list = ask("list", json!({}));
    assert_eq!(plan_of(&world, &by_account(json!({}))), plan_of(&world, &list));
    // Nothing more is read of what no rule covers, or of another account's.
    let foreign = World::open("golden-1").with(|world| world.image.owner = account(TWO));
    for world in [World::open("silver-1"), foreign] {
        assert_eq!(plan_of(&world, &by_account(json!({}))).images.len(), 0);
    }
}

#[test]
fn of_an_image_that_the_requester_may_not_ask_about_nothing_is_read() {
    for request in [with_one("share"), with_one("check"), with_one("revoke"), ask("list", json!({}))] {
        let plan = plan_of(&World::open("silver-1"), &request);
        assert_eq!((plan.images.len(), plan.records.len()), (0, 0), "{request}");
        assert_eq!(plan.blocks_public_images, No, "{request}");
        let foreign = World::open("golden-1").with(|world| world.image.owner = account(TWO));
        assert_eq!(plan_of(&foreign, &request).images.len(), 0, "{request}");
    }
}

#[test]
fn what_cannot_be_shared_needs_no_keys() {
    let pending = World::open("golden-1").with(|world| world.image.state = ImageState::Pending);
    reads(&pending, &with_one("share"), [Required, No, No, No]);
    reads(&pending, &with_one("check"), [Required, Required, Optional, Optional]);
    reads(&pending, &with_one("revoke"), [Optional; 4]);
}

#[test]
fn an_expiry_time_that_is_too_near_is_looked_up_in_the_records_first() {
    let near = NOW + Duration::minutes(4);
    let world = World::open("kept-1");
    let plan = reads(&world, &until(near), [Required, Required, Required, No]);
    assert!(plan.is_records_first);
    assert_eq!(plan.records.values().map(|reads| reads.need).collect::<Vec<_>>(), [Required]);
    // The records are known now, and lack the very one.
    let known = |world: World| {
        let expiries = world.image.expiries.clone();
        described(world).with(|world| world.image.expiries = expiries).put(&until(near), further)
    };
    let refused = known(world.clone());
    assert!(refused.records.is_empty() && !refused.is_records_first);
    assert!(refused.images.values().all(|reads| !reads.snapshots.is_read()));
    let again = known(world.with_expiry(ONE, near));
    assert!(again.images.values().all(|reads| reads.snapshots.is_read()));
}

/// Which of the grants on a key a request is about that takes away, and by which grantees they are found: those that a share
/// can have made, by their Name and issuer.
#[test]
fn the_grants_that_a_revoke_is_about_are_found_by_the_grantees_of_its_accounts() {
    let world = World::encrypted("golden-1", &[ONE]);
    let own = |world: &World, request: &Value| {
        let plan = plan_of(world, request);
        let GrantReads::Own(own) = plan.keys.grants else { panic!("{plan:#?}") };
        own
    };
    let revoke = own(&world, &with_one("revoke"));
    for (name, issuer, expect) in [
        (format!("ami-share/{IMAGE}/{ONE}"), "999988887777", true),
        (format!("ami-share/{IMAGE}/{ONE}/spot"), "999988887777", true),
        (format!("ami-share/{IMAGE}/{ONE}"), TWO, false),
        (format!("ami-share/ami-00000bad/{ONE}"), "999988887777", false),
        ("by-hand".to_owned(), "999988887777", false),
    ] {
        assert_eq!(revoke.include(&grant(&name, &root(ONE), issuer)), expect, "{name} {issuer}");
    }
    assert!(!revoke.include(&Grant { name: None, ..grant("", &root(ONE), "999988887777") }));
    let role = |path: &str| format!("arn:aws:iam::{ONE}:role/aws-service-role/{path}");
    let grantees = [
        root(ONE),
        role("autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"),
        role("spot.amazonaws.com/AWSServiceRoleForEC2Spot"),
        role("spotfleet.amazonaws.com/AWSServiceRoleForEC2SpotFleet"),
        role("ec2fleet.amazonaws.com/AWSServiceRoleForEC2Fleet"),
    ];
    assert_eq!(revoke.grantees(&key()), grantees);
    // A reset, an expiry, and a role with a suffix: there may be others.
    let suffixed = world.clone().with(|world| {
        world.allowlist =
            world.allowlist.replace("serviceLinkedRoles: [autoscaling]", "serviceLinkedRoles: [\"autoscaling:web\"]");
    });
    assert!(revoke.are_of_grantees);
    assert!(!own(&suffixed, &with_one("revoke")).are_of_grantees);
    assert!(!own(&world, &ask("reset", json!({}))).are_of_grantees);
    let (record, request) = (expiry(ONE, in_days(2)), world.put(&with_one("revoke"), |case, _| case.request.clone()));
    described(world).put_as(Authority::Expiry(&record), &request, |case, facts| {
        assert!(matches!(further(case, facts).keys.grants, GrantReads::Own(own) if !own.are_of_grantees));
    });
}

/// Checks which of the records of ONE at these days, and of one of TWO, are read.
#[track_caller]
fn records(request: &Value, days: &[i64], expect: &[&[(&str, i64)]]) {
    let name = |of: &str, days: i64| expiry(of, in_days(days)).name;
    let mut names: Vec<ExpiryName> = days.iter().map(|days| name(ONE, *days)).chain([name(TWO, 1)]).collect();
    names.sort_unstable();
    let plan = plan_of(&World::open("golden-1"), request);
    let mut lists = plan.records.values().next().unwrap().lists(names);
    let mut expect: Vec<Vec<_>> =
        expect.iter().map(|list| list.iter().map(|(of, days)| name(of, *days)).collect()).collect();
    lists.sort_unstable();
    expect.sort_unstable();
    assert_eq!(lists, expect, "{request}");
}

#[test]
fn of_the_records_as_many_are_read_as_matter() {
    // The latest that is a record gives the expiry time.
    records(&with_one("share"), &[1, 2, 3], &[&[(ONE, 3), (ONE, 2), (ONE, 1)]]);
    records(&with_one("check"), &[1], &[&[(ONE, 1)]]);
    records(&ask("list", json!({})), &[1, 2], &[&[(ONE, 2), (ONE, 1)], &[(TWO, 1)]]);
    // A share must know of the very record that it asks for.
    records(&until(in_days(2)), &[1, 2, 3], &[&[(ONE, 3), (ONE, 2), (ONE, 1)], &[(ONE, 2)]]);
    records(&until(in_days(4)), &[1], &[&[(ONE, 1)]]);
    // What is taken away has all.
    records(&with_one("revoke"), &[1, 2], &[&[(ONE, 1)], &[(ONE, 2)]]);
    records(&ask("reset", json!({})), &[1, 2], &[&[(ONE, 1)], &[(ONE, 2)], &[(TWO, 1)]]);
}

#[test]
fn an_expiry_reads_its_own_record_and_whether_there_is_a_later_one() {
    let own = expiry(ONE, in_days(2));
    let request = World::open("golden-1").put(&with_one("revoke"), |case, _| case.request.clone());
    described(World::open("golden-1")).put_as(Authority::Expiry(&own), &request, |case, facts| {
        assert_eq!(first(case).if_not_found, IfNotFound::OfExpiry(&own));
        let plan = further(case, facts);
        let reads = plan.records.values().next().unwrap();
        let name = |days| expiry(ONE, in_days(days)).name;
        assert_eq!(reads.need, Required);
        assert_eq!(
            reads.lists((1..=4).map(name).collect()),
            [vec![name(4), name(3)], vec![name(2)]],
            "of earlier ones nothing follows"
        );
        assert_eq!(grants(&plan), "own");
    });
    let own = sharing::facts::Expiry { snapshot_ids: vec!["snap-1a2b3c4d".parse().unwrap()], ..own };
    let gone = World::open("golden-1").with(|world| world.image = Image::of_expiry(owner(), &own));
    // The record says what the image was on.
    let on = gone.image.snapshots.iter().map(|backing| backing.id.to_string()).collect::<Vec<_>>();
    assert_eq!(on, ["snap-1a2b3c4d"]);
    gone.put_as(Authority::Expiry(&own), &request, |case, facts| {
        let plan = further(case, facts);
        let it = plan.images.values().next().unwrap();
        assert_eq!((it.launch_permissions, it.snapshots, it.each_snapshot), (No, Optional, No));
    });
}

#[test]
fn a_survey_reads_the_records_before_the_images() {
    let images = |request: &Value| World::open("golden-1").put(request, |case, _| first(case).records.len());
    assert_eq!((images(&json!({"action": "repair"})), images(&with_one("revoke"))), (0, 0), "it has no images yet");
    World::open("golden-1").put(&json!({"action": "repair"}), |case, _| {
        let request = sharing::request::Request { image_ids: vec![IMAGE.parse().unwrap()], ..case.request.clone() };
        let case = sharing::decide::Case { request: &request, ..*case };
        let first = first(&case);
        assert_eq!((first.records.len(), first.if_not_found), (1, IfNotFound::OfRecords));
    });
}

#[test]
fn a_failure_ends_the_request_where_nothing_may_be_decided_without() {
    let lasting = || denied("kms:DescribeKey");
    let passing = || Failure { retryable: true, ..lasting() };
    let settled = |need: Need, failure: Failure| need.settle::<()>(Err(failure)).is_ok();
    assert_eq!([Optional, Settled, Required].map(|need| settled(need, lasting())), [true, true, false]);
    assert_eq!([Optional, Settled, Required].map(|need| settled(need, passing())), [true, false, false]);
    assert_eq!(Required.settle(Ok(1)), Ok(Fact::Known(1)));
}

fn on_key(names: &[&str]) -> World {
    let made = |name: &&str| grant(&format!("ami-share/{name}/{ONE}"), &root(ONE), "999988887777");
    let grants: Vec<Grant> = names.iter().map(made).collect();
    World::encrypted("golden-1", &[]).with(|world| world.key().grants = Fact::Known(grants))
}

#[test]
fn the_images_that_grants_name_are_looked_for_in_a_survey_only() {
    let named = |request: &Value| on_key(&[IMAGE, "ami-00000bad"]).put(request, named_by_grants);
    assert_eq!(named(&with_one("revoke")).images.len(), 0);
    let repair = named(&json!({"action": "repair"}));
    assert_eq!(repair.images.keys().map(ToString::to_string).collect::<Vec<_>>(), ["ami-00000bad"]);
    assert!(repair.must_be_confirmed);
    // What EC2's search finds is there.
    let found = [("ami-00000bad".parse().unwrap(), World::open("golden-2").image)].into();
    assert_eq!(repair.not_found(&found).0.images.len(), 0);
    // A repair confirms twenty at a time, and says on which keys there are more.
    let many: Vec<_> = (0..25).map(|number| format!("ami-{number:08x}")).collect();
    let many = on_key(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let (now, unfinished) = many.put(&json!({"action": "repair"}), named_by_grants).not_found(&[].into());
    assert_eq!((now.images.len(), unfinished.into_iter().collect::<Vec<KeyArn>>()), (20, vec![key()]));
}

#[test]
fn a_key_of_which_nothing_was_read_is_unknown_and_not_empty() {
    let world = World::encrypted("golden-1", &[ONE]).with(|world| *world.key() = Key::default());
    let unread = |world: &World| {
        world.put(&with_one("share"), |case, facts: &Facts| {
            decide(case, facts).remove(0).refusals().iter().map(|refusal| refusal.code.to_string()).collect::<Vec<_>>()
        })
    };
    assert_eq!(unread(&world), ["KeyAccessUnknown"]);
    // The policy leaves it open, and nobody asked for grants.
    let no_grants = World::encrypted("golden-1", &[]).with(|world| world.key().grants = Fact::NotRead);
    assert_eq!(unread(&no_grants), ["KeyAccessUnknown"]);
}
