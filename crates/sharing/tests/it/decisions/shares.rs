//! What a share writes, and what refuses it.

use super::*;

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
    let copied = world.with(|world| world.snapshot().create_volume_permissions = copied_by(&[ONE]));
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
    // A rule of the requester is about every image, and only for repairs.
    let decided = refused(&World::open("silver-1"), &share, &["ActionNotAllowed"]);
    assert!(decided.remedies[0].contains("add `share` to the actions of rule `mender`"), "{decided:#?}");
    let stray = ask("share", accounts(&["777788889999"]));
    refused(&world, &stray, &["TargetNotAllowed 777788889999"]);
    // Of an image that is refused already no records are read, and nothing is said of them.
    let unread = world.clone().with(|world| world.image.expiries = Fact::NotRead);
    warned(&refused(&unread, &stray, &["TargetNotAllowed 777788889999"]), &[]);
    let elsewhere = world.with(|world| world.snapshot().owner = account(TWO));
    refused(&elsewhere, &copy, &["CopyNotPossible"]);
    steps(&elsewhere, &share, &[ADD_LAUNCH]);
    let group = json!({"organizationArns": [ORGANIZATION], "access": "copy"});
    refused(&World::open("golden-1"), &ask("share", group), &[&format!("CopyNotPossible {ORGANIZATION}")]);
}

#[test]
fn a_refusal_says_of_what_it_is_and_whether_it_may_pass() {
    let first = |world: &World, target: &str| {
        world.put(&ask("share", accounts(&[target])), |case, facts| decide(case, facts).remove(0).refusals()[0].clone())
    };
    let world = World::open("golden-1");
    let stranger = first(&world, "777788889999");
    assert_eq!(stranger.image_id, Some(IMAGE.parse().unwrap()));
    assert_eq!(stranger.pointer.as_deref(), Some("/accountIds/0"));
    assert!(stranger.remedy.as_ref().unwrap().contains("ask the allowlist's owners to add `777788889999`"));
    assert!(!stranger.may_pass());
    let with = |state| first(&world.clone().with(|world| world.image.state = state), ONE);
    assert!(with(ImageState::Pending).may_pass());
    assert!(!with(ImageState::Disabled).may_pass());
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
fn what_the_deployment_has_switched_off_is_refused_and_still_taken_away() {
    let off = |name: &str, allowed: &[&str]| {
        let setup = Setup { key_grants: false, copy_access: false, copies: false, approvals: false };
        World::encrypted(name, allowed).with(|world| world.setup = setup)
    };
    let place = |world: &World, request: &Value| {
        world.put(request, |case, facts| decide(case, facts).remove(0).refusals()[0].clone().pointer)
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
    let granted = off("granted-1", &[]).with(|world| world.key().grants = Fact::Known(vec![own.clone()]));
    steps(&granted, &share, &[ADD_LAUNCH]);
    // What no grant would mend is refused as ever.
    refused(&off("golden-1", &[]), &share, &[&format!("KeyAccessMissing {ONE}")]);

    let copy = ask("share", json!({"accountIds": [ONE], "access": "copy"}));
    let open = off("golden-1", &[ONE]);
    refused(&open, &copy, &[&one]);
    assert_eq!(place(&open, &copy).as_deref(), Some("/access"));
    assert!(open.decide(&copy).remedies[0].contains("EnableCopyAccess"));
    let may_copy = open.clone().with(|world| world.snapshot().create_volume_permissions = copied_by(&[ONE]));
    steps(&may_copy, &copy, &[ADD_LAUNCH]);
    // Whoever may copy already is not refused beside whoever may not, and what is not known refuses nobody.
    let both = json!({"accountIds": [ONE, TWO], "access": "copy"});
    refused(&may_copy, &ask("check", both), &[&format!("NotSetUp {TWO}"), &format!("KeyAccessMissing {TWO}")]);
    let unknown = open.clone().with(|world| {
        world.snapshot().create_volume_permissions = Fact::Failed(denied("ec2:DescribeSnapshotAttribute"));
    });
    refused(&unknown, &ask("check", json!({"accountIds": [ONE], "access": "copy"})), &[]);

    // Taking away is tried all the same.
    let revoke = ask("revoke", accounts(&[ONE]));
    let world = granted.shared_with(&[ONE]).with(|world| {
        world.snapshot().create_volume_permissions = copied_by(&[ONE]);
    });
    steps(&world, &revoke, &[REMOVE_LAUNCH, REMOVE_COPY, &revoke_grant()]);
}

#[test]
fn of_images_that_are_refused_by_their_description_nothing_more_is_read() {
    let permitted = |name: &str, request: &Value| {
        World::open(name).put(request, |case, facts| sharing::decide::permitted(case, &facts.images).len())
    };
    let stranger = "333344445555"; // of a rule of somebody else
    for (action, of_both) in [("share", 1), ("check", 1), ("revoke", 0)] {
        assert_eq!(permitted("golden-1", &ask(action, accounts(&[ONE]))), 1, "{action}");
        assert_eq!(permitted("silver-1", &ask(action, accounts(&[ONE]))), 0, "{action}");
        assert_eq!(permitted("golden-1", &ask(action, accounts(&[ONE, stranger]))), of_both, "{action}");
    }
    assert_eq!(permitted("golden-1", &ask("share", accounts(&[stranger]))), 0);
    // The share may exist and have an expiry time.
    assert_eq!(permitted("temporary-1", &ask("share", accounts(&[ONE]))), 1);
    assert_eq!(
        (permitted("golden-1", &ask("list", json!({}))), permitted("silver-1", &ask("list", json!({})))),
        (1, 0)
    );
}

#[test]
fn what_a_caller_should_know_is_told() {
    let share = ask("share", accounts(&[ONE]));
    let revoke = ask("revoke", accounts(&[ONE]));
    let world = World::open("golden-1");
    let public = world.clone().shared_with(&["all"]);
    warned(&steps(&public, &share, &[ADD_LAUNCH]), &["is PUBLIC"]);
    let open_snapshot =
        world.clone().with(|world| known(&mut world.snapshot().create_volume_permissions).is_public = true);
    warned(&steps(&open_snapshot, &share, &[ADD_LAUNCH]), &["modify-snapshot-attribute --snapshot-id snap-1a2b3c4d"]);
    let decided = |change: fn(&mut World)| world.clone().with(change).decide(&share);
    warned(&decided(|world| world.blocks_public_images = Fact::Known(false)), &["block public access for AMIs is off"]);
    warned(&decided(|world| world.blocks_public_images = Fact::Known(true)), &[]);
    warned(
        &decided(|world| world.image.deprecation_time = Some("2027-01-01".to_owned())),
        &["deprecated (2027-01-01)"],
    );
    warned(&decided(|world| world.image.has_product_codes = true), &["Marketplace"]);
    // Not to whom no rule lets share with the target; a check is about the image anyway.
    let old = world.clone().with(|world| world.image.deprecation_time = Some("2027-01-01".to_owned()));
    warned(&old.decide(&ask("share", accounts(&["777788889999"]))), &[]);
    warned(&old.decide(&ask("check", accounts(&["777788889999"]))), &["deprecated (2027-01-01)"]);
    let again = World::open("golden-new-1").decide(&revoke);
    warned(&again, &["rule `by-itself` shares"]);
    warned(&World::open("golden-new-1").decide(&share), &[]);
    let sold = world.with(|world| world.image.has_product_codes = true);
    warned(&sold.decide(&revoke), &[]);
    let copy = ask("share", json!({"accountIds": [ONE], "access": "copy"}));
    warned(&sold.decide(&copy), &["Marketplace", "AWS lets no other account copy"]);
}

#[test]
fn a_refusal_of_one_image_refuses_a_share_as_a_whole_and_never_a_revoke() {
    let refuses = |world: &World, request: &Value| {
        world.put(request, |case, facts| {
            let decision = decide(case, facts).remove(0);
            (decision.blocks_reading(), decision.refuses_whole(case.request.action))
        })
    };
    let (golden, silver) = (World::open("golden-1"), World::open("silver-1"));
    let pending = golden.clone().with(|world| world.image.state = ImageState::Pending);
    for (action, by_state, by_rule) in [("share", true, true), ("check", false, false), ("revoke", false, false)] {
        let request = ask(action, accounts(&[ONE]));
        assert_eq!(refuses(&golden, &request), (false, false), "{action}");
        assert_eq!(refuses(&pending, &request), (false, by_state), "{action}");
        assert_eq!(refuses(&silver, &request), (true, by_rule), "{action}");
    }
    for (action, by_rule) in [("list", false), ("reset", false)] {
        assert_eq!(refuses(&golden, &ask(action, json!({}))), (false, false), "{action}");
        assert_eq!(refuses(&silver, &ask(action, json!({}))), (true, by_rule), "{action}");
    }
}

#[test]
fn an_organization_is_the_same_whatever_management_account_its_arn_names() {
    const ELSEWHERE: &str = "arn:aws-cn:organizations::111122223333:organization/o-a1b2c3d4e5";
    let asked = |action| ask(action, json!({"organizationArns": [ELSEWHERE]}));
    // The rule names it under one account; EC2 shows it so too, or takes it as it was asked for.
    let open = World::open("golden-1");
    steps(&open, &asked("share"), &[&format!("ec2:ModifyImageAttribute {IMAGE} +{ELSEWHERE}")]);
    let shared = open.shared_with(&[ORGANIZATION]);
    steps(&shared, &asked("share"), &[]);
    steps(&shared, &asked("revoke"), &[&format!("ec2:ModifyImageAttribute {IMAGE} -{ORGANIZATION}")]);
    steps(&World::open("golden-1"), &asked("revoke"), &[&format!("ec2:ModifyImageAttribute {IMAGE} -{ELSEWHERE}")]);
}
