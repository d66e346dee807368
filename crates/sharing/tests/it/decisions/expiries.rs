//! How the expiry time of a share is recorded and moved, and what follows when it is due.

use super::*;

/// A share with one account until then.
fn until(at: OffsetDateTime) -> Value {
    ask("share", json!({"accountIds": [ONE], "expiresAt": text(at)}))
}

#[test]
fn an_expiry_is_recorded_first_and_only_moved_later() {
    let world = World::encrypted("kept-1", &[ONE]);
    steps(&world, &until(in_days(10)), &[&create(ONE, in_days(10)), ADD_LAUNCH]);
    let new = world.put(&until(in_days(10)), |case, facts| {
        decide(case, facts).remove(0).prerequisites().unwrap().expiries[0].clone()
    });
    assert_eq!((new.at, new.target), (in_days(10), target(ONE)));
    assert_eq!((new.snapshot_ids.len(), new.key_arns), (1, vec![key()]));
    // Scheduler knows seconds and no parts of them.
    steps(&world, &until(in_days(10) + Duration::milliseconds(999)), &[&create(ONE, in_days(10)), ADD_LAUNCH]);

    let kept = |days| World::encrypted("kept-1", &[ONE]).shared_with(&[ONE]).with_expiry(ONE, in_days(days));
    // The record that is there stays, and another is made.
    steps(&kept(10), &until(in_days(11)), &[&create(ONE, in_days(11))]);
    steps(&kept(10), &until(in_days(10)), &[]);
    steps(&kept(10), &until(in_days(10) + Duration::milliseconds(1)), &[]);
    steps(&kept(9).with_expiry(ONE, in_days(12)), &until(in_days(13)), &[&create(ONE, in_days(13))]);
    // Of several records the latest gives the expiry time.
    for world in [kept(10), kept(10).with_expiry(ONE, in_days(8)), kept(8).with_expiry(ONE, in_days(10))] {
        let decided = refused(&world, &until(in_days(9)), &["ExpiryNotAllowed 111122223333"]);
        assert!(decided.remedies[0].contains("`revoke`, then share again"), "{decided:#?}");
        // Nor does the right to revoke move it earlier.
        let golden = world.with(|world| world.image.name = Some("golden-1".to_owned()));
        refused(&golden, &until(in_days(9)), &["ExpiryNotAllowed 111122223333"]);
    }
    // To give an expiry to a share that has none is to take access away.
    let endless = World::encrypted("kept-1", &[ONE]).shared_with(&[ONE]);
    let decided = refused(&endless, &until(in_days(10)), &["ExpiryNotAllowed 111122223333"]);
    assert!(decided.remedies[0].contains("`revoke` and `share`"), "{decided:#?}");
    let golden = endless.with(|world| world.image.name = Some("golden-1".to_owned()));
    steps(&golden, &until(in_days(10)), &[&create(ONE, in_days(10))]);
    // Where the record of an earlier share is left, the next share may not end before the time in that record.
    let stale = World::encrypted("kept-1", &[ONE]).with_expiry(ONE, in_days(10));
    refused(&stale, &until(in_days(9)), &["ExpiryNotAllowed 111122223333"]);
    steps(&stale, &until(in_days(10)), &[ADD_LAUNCH]);
    steps(&stale, &until(in_days(11)), &[&create(ONE, in_days(11)), ADD_LAUNCH]);
}

#[test]
fn a_share_without_an_expiry_time_leaves_the_recorded_one_and_says_so() {
    let plain = ask("share", accounts(&[ONE]));
    let kept = World::encrypted("kept-1", &[ONE]).shared_with(&[ONE]).with_expiry(ONE, in_days(10));
    warned(&steps(&kept, &plain, &[]), &["which this request does not change"]);
    warned(&steps(&World::encrypted("kept-1", &[ONE]), &plain, &[ADD_LAUNCH]), &[]);
    let unread = kept.with(|world| world.image.expiries = Fact::Failed(denied("scheduler:ListSchedules")));
    warned(&steps(&unread, &plain, &[]), &["could not be read"]);
    let decided = steps(&unread, &until(in_days(10)), &[]);
    assert_eq!(decided.gaps, 1, "nothing is given without knowing");
    let golden = unread.with(|world| world.image.name = Some("golden-1".to_owned()));
    warned(&golden.decide(&ask("check", accounts(&[ONE]))), &["not everything about ami-1a2b3c4d could be read"]);
}

#[test]
fn records_that_cannot_be_read_are_not_taken_for_no_records() {
    let unread =
        |world: World| world.with(|world| world.image.expiries = Fact::Failed(denied("scheduler:ListSchedules")));
    for action in ["share", "check"] {
        let plain = ask(action, accounts(&[ONE]));
        // Whether the share that is there ends in time for its rule is not known.
        let bounded = steps(&unread(World::open("trial-1").shared_with(&[ONE])), &plain, &[]);
        assert_eq!(bounded.gaps, 1, "{bounded:#?}");
        // A rule without a longest duration asks for no record.
        let endless = steps(&unread(World::open("golden-1").shared_with(&[ONE])), &plain, &[]);
        assert_eq!(endless.gaps, 0, "{endless:#?}");
        // If they were not even asked for, nothing is given that expires.
        let unasked = World::open("golden-1").with(|world| world.image.expiries = Fact::NotRead);
        let decided = unasked.decide(&until(in_days(10)));
        assert_eq!((decided.steps.len(), decided.gaps), (0, 1), "{decided:#?}");
        // A share that is not there has no expiry, whatever the records are.
        refused(&unread(World::open("trial-1")), &plain, &["ExpiryRequired 111122223333"]);
    }
}

#[test]
fn what_a_deployment_lacks_for_an_expiry_is_named() {
    let with = |unset: &[&'static str]| {
        World::encrypted("kept-1", &[ONE]).with(|world| world.unset_for_expiry = unset.to_vec())
    };
    for unset in [
        &["AMI_SHARE_REQUEST_BUS"][..],
        &["AMI_SHARE_SCHEDULE_GROUP", "AMI_SHARE_SCHEDULE_ROLE_ARN", "AMI_SHARE_REQUEST_BUS"],
    ] {
        let decided = refused(&with(unset), &until(in_days(10)), &["ExpiryNotPossible"]);
        assert!(unset.iter().all(|name| decided.remedies[0].contains(name)), "{decided:#?}");
        steps(&with(unset), &ask("share", accounts(&[ONE])), &[ADD_LAUNCH]);
    }
    let pointer = with(&["AMI_SHARE_REQUEST_BUS"])
        .put(&until(in_days(10)), |case, facts| decide(case, facts).remove(0).refusals()[0].clone().pointer);
    assert_eq!(pointer.as_deref(), Some("/expiresAt"));
}

#[test]
fn an_expiry_time_is_five_minutes_ahead_unless_its_very_record_is_there() {
    let world = World::encrypted("kept-1", &[ONE]);
    let minutes = |minutes: i64| NOW + Duration::minutes(minutes);
    steps(&world, &until(minutes(5)), &[&create(ONE, minutes(5)), ADD_LAUNCH]);
    for at in [minutes(5) - Duration::milliseconds(1), minutes(0), minutes(-5), minutes(-24 * 60)] {
        refused(&world, &until(at), &["MalformedRequest"]);
        // So is that of a share which has another record.
        refused(&world.clone().with_expiry(ONE, in_days(3)), &until(at), &["MalformedRequest"]);
    }
    let pointer =
        world.put(&until(minutes(4)), |case, facts| decide(case, facts).remove(0).refusals()[0].clone().pointer);
    assert_eq!(pointer.as_deref(), Some("/expiresAt"));
    // One for the image, however many targets.
    let two = ask("share", json!({"accountIds": [ONE, TWO], "expiresAt": text(minutes(4))}));
    refused(&World::open("golden-1"), &two, &["MalformedRequest"]);
    refused(&World::open("golden-1").with_expiry(ONE, minutes(4)), &two, &["MalformedRequest"]);
    // A share that is sent again finishes what it began.
    steps(&world.clone().with_expiry(ONE, minutes(4)), &until(minutes(4)), &[ADD_LAUNCH]);
    let shared = world.with_expiry(ONE, minutes(4)).shared_with(&[ONE]);
    steps(&shared, &until(minutes(4)), &[]);
    // A check says what a share would meet, and nothing but that the time is no good.
    World::open("golden-1").put(
        &ask("check", json!({"accountIds": [ONE], "expiresAt": text(minutes(4))})),
        |case, facts| {
            let decision = decide(case, facts).remove(0);
            assert!(decision.refuses_whole(case.request.action), "{decision:#?}");
        },
    );
}

#[test]
fn the_records_alone_refuse_a_time_that_is_too_near() {
    let minutes = |minutes: i64| NOW + Duration::minutes(minutes);
    let is_refused = |world: &World, at| {
        world.put(&until(at), |case, facts| {
            let (image_id, image) = facts.images.iter().next().unwrap();
            is_refused_by_time(case, image_id, image.expiries.known())
        })
    };
    let world = World::open("kept-1");
    assert!(is_refused(&world, minutes(4)));
    assert!(!is_refused(&world, minutes(5)));
    assert!(!is_refused(&world.clone().with_expiry(ONE, minutes(4)), minutes(4)));
    assert!(is_refused(&world.clone().with_expiry(TWO, minutes(4)), minutes(4)));
    let unread = world.with(|world| world.image.expiries = Fact::Failed(denied("scheduler:ListSchedules")));
    assert!(!is_refused(&unread, minutes(4)), "what is not known refuses nothing");
}

#[test]
fn a_share_that_is_about_to_expire_is_left_alone() {
    let minutes = |minutes: i64| NOW + Duration::minutes(minutes);
    let plain = ask("share", accounts(&[ONE]));
    let world = World::encrypted("kept-1", &[ONE]);
    for at in [minutes(2), minutes(1), minutes(0), in_days(-2)] {
        for world in [world.clone().with_expiry(ONE, at), world.clone().with_expiry(ONE, at).shared_with(&[ONE])] {
            for request in [&plain, &until(in_days(3))] {
                refused(&world, request, &["ShareEnding 111122223333"]);
                let may_pass = world.put(request, |case, facts| decide(case, facts).remove(0).refusals()[0].may_pass());
                assert!(may_pass);
            }
        }
    }
    refused(&world.clone().with_expiry(ONE, in_days(-1)), &until(in_days(-1)), &["ShareEnding 111122223333"]);
    // An earlier record of a renewed share says nothing.
    steps(&world.clone().with_expiry(ONE, minutes(1)).with_expiry(ONE, in_days(1)), &plain, &[ADD_LAUNCH]);
    steps(&world.with_expiry(TWO, minutes(1)), &plain, &[ADD_LAUNCH]);
}

#[test]
fn a_launch_permission_is_added_only_where_the_invocation_ends_two_minutes_before_the_expiry() {
    let minutes = |minutes: i64| NOW + Duration::minutes(minutes);
    let plain = ask("share", accounts(&[ONE]));
    let lasts = |minutes_left| World::encrypted("kept-1", &[ONE]).with(|world| world.deadline = minutes(minutes_left));
    steps(&lasts(14), &until(minutes(17)), &[&create(ONE, minutes(17)), ADD_LAUNCH]);
    refused(&lasts(15), &until(minutes(17)), &["ShareEnding 111122223333"]);
    let passes = |world: &World, request: &Value| {
        world.put(request, |case, facts| decide(case, facts).remove(0).refusals()[0].may_pass())
    };
    assert!(!passes(&lasts(15), &until(minutes(17))), "another try has less time still");
    // The recorded expiry counts as much, and passes.
    let recorded = lasts(15).with_expiry(ONE, minutes(17));
    refused(&recorded, &plain, &["ShareEnding 111122223333"]);
    assert!(passes(&recorded, &plain));
    refused(&recorded, &until(minutes(17)), &["ShareEnding 111122223333"]);
    steps(&recorded, &until(minutes(18)), &[&create(ONE, minutes(18)), ADD_LAUNCH]);
    // So it is with an organization.
    let group = |world: World| {
        let at = text(minutes(17));
        let request = ask("share", json!({"organizationArns": [ORGANIZATION], "expiresAt": at}));
        let world = world.with(|world| world.deadline = minutes(15));
        world.decide(&request).refusals
    };
    assert_eq!(group(World::open("golden-1")), [format!("ShareEnding {ORGANIZATION}")]);
    let shared = World::open("golden-1").shared_with(&[ORGANIZATION]).with_expiry(ORGANIZATION, minutes(17));
    assert_eq!(group(shared), [""; 0]);
    // What is shared already needs no launch permission.
    steps(&recorded.clone().shared_with(&[ONE]), &plain, &[]);
    steps(&recorded.shared_with(&[ONE]), &until(minutes(17)), &[]);
}

#[test]
fn nor_is_anything_else_given_that_late() {
    let minutes = |minutes: i64| NOW + Duration::minutes(minutes);
    let copy = ask("share", json!({"accountIds": [ONE], "access": "copy"}));
    let lasts = |name: &str, allowed: &[&str], left| {
        let world = World::encrypted(name, allowed).shared_with(&[ONE]).with_expiry(ONE, minutes(17));
        world.with(|world| world.deadline = minutes(left))
    };
    // A create volume permission, and a grant.
    steps(&lasts("golden-1", &[ONE], 14), &copy, &[ADD_COPY]);
    refused(&lasts("golden-1", &[ONE], 15), &copy, &["ShareEnding 111122223333"]);
    let share = ask("share", accounts(&[ONE]));
    steps(&lasts("granted-1", &[], 14), &share, &[&create_grant()]);
    refused(&lasts("granted-1", &[], 15), &share, &["ShareEnding 111122223333"]);
    // What is there already is not given.
    let whole = lasts("golden-1", &[ONE], 15);
    let whole = whole.with(|world| {
        world.snapshot().create_volume_permissions =
            Fact::Known(CreateVolumePermissions { accounts: vec![account(ONE)], ..CreateVolumePermissions::default() })
    });
    steps(&whole, &copy, &[]);
}

#[test]
fn who_shares_anew_learns_how_an_overdue_expiry_is_finished() {
    let share = ask("share", accounts(&[ONE]));
    let remedy = |at| {
        let world = World::encrypted("kept-1", &[ONE]).with_expiry(ONE, at);
        refused(&world, &share, &["ShareEnding 111122223333"]).remedies.remove(0)
    };
    for at in [NOW + Duration::minutes(1), NOW - Duration::minutes(5)] {
        assert!(remedy(at).contains("again in a few minutes"));
    }
    for at in [NOW - Duration::seconds(301), in_days(-30)] {
        assert!(remedy(at).contains("`errors` name the cause"));
    }
    // And who revokes it what that is.
    let revoke = ask("revoke", accounts(&[ONE]));
    let world = World::encrypted("golden-1", &[]).shared_with(&[ONE]).with_expiry(ONE, in_days(-30));
    let blocked = world.with(|world| world.key().grants = Fact::Failed(denied("kms:ListGrants")));
    let decided = steps(&blocked, &revoke, &[REMOVE_LAUNCH, REMOVE_COPY]);
    let name = expiry(ONE, in_days(-30)).name;
    warned(&decided, &[&format!("{name} of a share is kept until this is resolved")]);
    assert!(decided.warnings[0].contains("may not call kms:ListGrants"), "{decided:#?}");
}

#[test]
fn a_share_that_a_rule_makes_leaves_existing_ones_as_they_are() {
    let both = |at: OffsetDateTime| ask("share", json!({"accountIds": [ONE, TWO], "expiresAt": text(at)}));
    let add_two = "ec2:ModifyImageAttribute ami-1a2b3c4d +222233334444";
    let world = World::open("golden-1").shared_with(&[ONE]).with(|world| world.is_automatic = true);
    let later = world.clone().with_expiry(ONE, in_days(9));
    for (world, words) in [(&world, "without an expiry"), (&later, "until 2026-12-01")] {
        let decided = steps(world, &both(in_days(3)), &[&create(TWO, in_days(3)), add_two]);
        warned(&decided, &[words]);
        let left = world.put(&both(in_days(3)), |case, facts| decide(case, facts).remove(0).left_as_they_are().len());
        assert_eq!(left, 1);
    }
    // Its key may not let the existing target in; that does not hold up the others.
    let closed = World::encrypted("golden-1", &[TWO]).shared_with(&[ONE]).with(|world| world.is_automatic = true);
    steps(&closed, &both(in_days(3)), &[&create(TWO, in_days(3)), add_two]);
    steps(&closed, &ask("share", accounts(&[ONE, TWO])), &[add_two]);
    // One that expires earlier is renewed, and the event again changes nothing.
    let earlier = world.clone().with_expiry(ONE, in_days(2));
    steps(&earlier, &both(in_days(3)), &[&create(ONE, in_days(3)), &create(TWO, in_days(3)), add_two]);
    let done = world.clone().shared_with(&[ONE, TWO]).with_expiry(ONE, in_days(3)).with_expiry(TWO, in_days(3));
    steps(&done, &both(in_days(3)), &[]);
    // One until that very time is none that lasts longer.
    let same = world.clone().with_expiry(ONE, in_days(3));
    warned(&steps(&same, &both(in_days(3)), &[&create(TWO, in_days(3)), add_two]), &[]);
    // Who asks is not a rule.
    let asked = later.with(|world| world.is_automatic = false);
    refused(&asked, &both(in_days(3)), &["ExpiryNotAllowed 111122223333"]);
}

#[test]
fn an_expiry_is_due_a_minute_before_its_time() {
    let at = |at| due(&expiry(ONE, at), NOW, true);
    assert_eq!(
        at(NOW + Duration::seconds(61)).unwrap_err(),
        "the share expires at 2026-11-22T12:01:01Z; nothing is due yet"
    );
    for time in [NOW + Duration::minutes(1), in_days(-9)] {
        let request = at(time).unwrap();
        let (images, targets) = (&request.image_ids[..], request.targets.iter().map(|asked| asked.target.clone()));
        assert_eq!((images, targets.collect()), (&[IMAGE.parse().unwrap()][..], vec![target(ONE)]));
        assert_eq!((request.action, request.dry_run), (Action::Revoke, true));
    }
}

#[test]
fn an_expiry_deletes_its_own_record_last_and_no_other() {
    let (own, earlier, later) = (expiry(ONE, NOW), in_days(-1), in_days(1));
    let request = World::open("golden-1").put(&ask("revoke", accounts(&[ONE])), |case, _| case.request.clone());
    let planned = |world: &World| {
        let authority = Authority::Expiry(&own);
        world.put_as(authority, &request, |case, facts| summary(case, facts, &decide(case, facts).remove(0)))
    };
    let grants = vec![grant(&format!("ami-share/{IMAGE}/{ONE}"), &root(ONE), "999988887777")];
    let world = World::encrypted("golden-1", &[]).shared_with(&[ONE, TWO]).with_expiry(ONE, NOW).with_expiry(TWO, NOW);
    let world = world.with(|world| world.key().grants = Fact::Known(grants)).with_expiry(ONE, earlier);
    let whole = [REMOVE_LAUNCH, REMOVE_COPY, &revoke_grant(), &delete(ONE, NOW)];
    assert_eq!(planned(&world).steps, whole);
    // A later record of the share takes its place; that of another target does not.
    assert_eq!(planned(&world.clone().with_expiry(TWO, later)).steps, whole);
    let renewed = planned(&world.clone().with_expiry(ONE, later));
    assert_eq!(renewed.steps, [delete(ONE, NOW)]);
    warned(&renewed, &["was renewed and expires at"]);
    // Whatever else could not be read.
    let unread =
        world.clone().with(|world| world.image.launch_permissions = Fact::Failed(denied("ec2:DescribeImageAttribute")));
    let decided = planned(&unread);
    assert_eq!(decided.steps, whole[..3], "a record is all that tells of a share which may be there still");
    assert_eq!(decided.gaps, 1);
    let unread = world.with(|world| world.key().grants = Fact::Failed(denied("kms:ListGrants")));
    assert_eq!(planned(&unread.clone().with_expiry(ONE, later)).steps, [delete(ONE, NOW)]);
    assert_eq!(planned(&unread).steps, [REMOVE_LAUNCH, REMOVE_COPY]);
}

#[test]
fn a_share_that_expires_is_looked_at_again_and_taken_back_without_a_record() {
    let looks = |world: &World, request: &Value| {
        world.put(request, |case, facts| {
            let decision = decide(case, facts).remove(0);
            second_looks(&decision, &facts.images[decision.image_id], &[target(ONE)], case.hint)
        })
    };
    let world = World::open("golden-1");
    let plain = ask("share", accounts(&[ONE]));
    assert_eq!(looks(&world, &plain), [], "a share without an expiry costs no look");
    let [look] = looks(&world, &until(in_days(3))).try_into().unwrap();
    let record = |at| RecordName::Expiry(expiry(ONE, at).name);
    assert_eq!((&look.record, &look.target), (&record(in_days(3)), &target(ONE)));
    let recorded = world.with_expiry(ONE, in_days(2));
    assert_eq!(looks(&recorded, &plain)[0].record, record(in_days(2)));
    assert_eq!(looks(&recorded, &until(in_days(3)))[0].record, record(in_days(3)));

    assert_eq!(lost(&look, &Ok(true)), None);
    let gone = lost(&look, &Ok(false)).unwrap();
    assert_eq!((gone.code, gone.retryable), (ErrorCode::ExpiryLost, true));
    let unread = denied("scheduler:GetSchedule");
    assert_eq!(lost(&look, &Err(unread.clone())), Some(unread));
}
