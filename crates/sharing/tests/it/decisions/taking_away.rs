//! What a revoke, a reset and an expiry take away, in which order, and what still gives access afterwards.

use super::*;

#[test]
fn what_bounds_a_share_does_not_bound_its_revoke() {
    let world = World::open("temporary-1").shared_with(&[ONE]);
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
fn everything_that_a_share_gave_is_taken_back_in_the_order_of_a_revoke() {
    let share = ask("share", json!({"accountIds": [ONE, TWO], "access": "copy", "expiresAt": text(in_days(3))}));
    let given = World::encrypted("granted-1", &[TWO]).put(&share, |question, facts| {
        let decision = decide(question, facts).remove(0);
        let steps = plan(question, &decision, &facts.images[decision.image_id], facts);
        assert_eq!(steps.iter().filter(|step| step.gives()).count(), 3, "{steps:#?}");
        // Of the grant the ID is known once it is made.
        let id = |step: &Step| matches!(step, Step::CreateGrant { .. }).then(|| "abc".to_owned());
        steps.into_iter().map(|step| (step.clone(), id(&step))).collect::<Vec<_>>()
    });
    let back = |is_needed: fn(&str) -> bool| -> Vec<String> {
        let steps = take_back(&given, |_, account| is_needed(&account.to_string()));
        steps.iter().map(in_words).collect()
    };
    let both = |remove: &str| format!("{remove} -{TWO}");
    assert_eq!(back(|_| false), [both(REMOVE_LAUNCH), both(REMOVE_COPY), revoke_grant()]);
    // Another image on the snapshot needs what the share gave.
    assert_eq!(back(|account| account == TWO), [both(REMOVE_LAUNCH), REMOVE_COPY.to_owned(), revoke_grant()]);
    assert_eq!(back(|_| true), [both(REMOVE_LAUNCH), revoke_grant()]);
    assert_eq!(take_back(&[], |_, _| false), []);
}

#[test]
fn a_revoke_takes_away_what_a_share_gave_in_its_order() {
    let revoke = ask("revoke", accounts(&[ONE]));
    let own = grant(&format!("ami-share/{IMAGE}/{ONE}"), &root(ONE), "999988887777");
    let world = World::encrypted("golden-1", &[])
        .shared_with(&[ONE, TWO])
        .with_expiry(ONE, in_days(5))
        .with_expiry(TWO, in_days(5));
    let world = world.with(|world| world.key().grants = Fact::Known(vec![own.clone()]));
    let delete = delete(ONE, in_days(5));
    // Once more in the end: a share that found the record may have come between.
    let again = [REMOVE_LAUNCH, REMOVE_COPY];
    let whole = [REMOVE_LAUNCH, REMOVE_COPY, &revoke_grant(), &delete, REMOVE_LAUNCH, REMOVE_COPY];
    warned(&steps(&world, &revoke, &whole), &[]);
    // Whatever was read: EC2's reads lag its writes.
    steps(&world.clone().shared_with(&[]), &revoke, &whole);
    for state in [ImageState::Disabled, ImageState::Deregistered] {
        let world = world.clone().with(|world| world.image.state = state);
        steps(&world, &revoke, &[REMOVE_COPY, &revoke_grant(), &delete, REMOVE_COPY]);
    }
    let with = |grant: Grant| world.clone().with(|world| world.key().grants = Fact::Known(vec![grant]));
    // Not ours: made by hand, for another image or account, made by another account.
    for name in ["by-hand", "ami-share/ami-99999999/111122223333", &format!("ami-share/{IMAGE}/{TWO}")] {
        let other = grant(name, &root(ONE), "999988887777");
        warned(&steps(&with(other), &revoke, &[&again[..], &[&delete], &again].concat()), &[]);
    }
    let passed_on = grant(&format!("ami-share/{IMAGE}/{ONE}"), &root(TWO), ONE);
    let decided = steps(&with(passed_on), &revoke, &[&again[..], &[&delete], &again].concat());
    warned(&decided, &["passed its access on by grant abc, which stays"]);
    // Another image on the snapshot is shared with the account, or another account's snapshot is behind the image.
    let needed = |other: &str| [(account(other), "ami-99999999".parse().unwrap())].into();
    let shared = world.clone().with(|world| world.snapshot().needed_by = Fact::Known(needed(ONE)));
    let decided = steps(&shared, &revoke, &[REMOVE_LAUNCH, &revoke_grant(), &delete, REMOVE_LAUNCH]);
    warned(&decided, &["keeps its create volume permission"]);
    let shared = world.clone().with(|world| world.snapshot().needed_by = Fact::Known(needed(TWO)));
    warned(&steps(&shared, &revoke, &whole), &[]);
    let elsewhere = world.with(|world| world.snapshot().owner = account(TWO));
    steps(&elsewhere, &revoke, &[REMOVE_LAUNCH, &revoke_grant(), &delete, REMOVE_LAUNCH]);
}

#[test]
fn an_image_that_was_pending_is_revoked_again_where_a_record_shows_that_it_became_available() {
    let pending = |world: World| world.with(|world| world.image.state = ImageState::Pending);
    let open = World::open("golden-1");
    steps(&pending(open.clone()), &ask("revoke", accounts(&[ONE])), &[REMOVE_COPY]);
    let recorded = pending(open.with_expiry(ONE, in_days(5)));
    let again = [REMOVE_COPY, &delete(ONE, in_days(5)), REMOVE_LAUNCH, REMOVE_COPY];
    steps(&recorded, &ask("revoke", accounts(&[ONE])), &again);
    steps(&recorded, &ask("reset", json!({})), &again);
}

#[test]
fn a_record_stays_while_something_of_its_share_may_be_left() {
    let revoke = ask("revoke", accounts(&[ONE]));
    let reset = ask("reset", json!({}));
    let world = World::encrypted("golden-1", &[]).shared_with(&[ONE]).with_expiry(ONE, in_days(5));
    let delete = delete(ONE, in_days(5));
    let again = [REMOVE_LAUNCH, REMOVE_COPY];
    steps(&world, &revoke, &[&again[..], &[&delete], &again].concat());
    steps(&world, &reset, &[&["ec2:ResetImageAttribute ami-1a2b3c4d", REMOVE_COPY, &delete], &again[..]].concat());
    let no_grants = world.clone().with(|world| world.key().grants = Fact::Failed(denied("kms:ListGrants")));
    let no_needs = world.clone().with(|world| world.snapshot().needed_by = Fact::Failed(denied("ec2:DescribeImages")));
    let no_snapshots =
        world.with(|world| world.image.snapshots[0].snapshot = Fact::Failed(denied("ec2:DescribeSnapshots")));
    for (world, left) in [(no_grants, &[REMOVE_COPY][..]), (no_needs, &[]), (no_snapshots, &[])] {
        let decided = steps(&world, &revoke, &[&[REMOVE_LAUNCH], left].concat());
        assert_eq!(decided.gaps, 1);
        warned(&decided, &["of a share is kept until this is resolved"]);
        assert_eq!(steps(&world, &reset, &[&["ec2:ResetImageAttribute ami-1a2b3c4d"], left].concat()).gaps, 1);
    }
}

#[test]
fn a_reset_clears_what_belongs_to_the_targets_it_removes() {
    let reset = ask("reset", json!({}));
    let launch = "ec2:ResetImageAttribute ami-1a2b3c4d";
    let world = World::encrypted("golden-1", &[]).shared_with(&[ONE, "all"]);
    warned(&steps(&world, &reset, &[launch, REMOVE_COPY]), &["PUBLIC"]);
    // Of an image that is shared with nobody, what is left of an earlier reset is cleared; otherwise it is reported.
    let left = |world: World| world.with(|world| world.snapshot().create_volume_permissions = copied_by(&[TWO]));
    let world = World::encrypted("golden-1", &[]);
    steps(&left(world.clone()), &reset, &[launch, "ec2:ModifySnapshotAttribute snap-1a2b3c4d -222233334444"]);
    let decided = steps(&left(world.clone().shared_with(&[ONE])), &reset, &[launch, REMOVE_COPY]);
    warned(&decided, &["can still be copied by 222233334444"]);
    // Grants and records of ours name their account.
    let own = grant(&format!("ami-share/{IMAGE}/{ONE}"), &root(ONE), "999988887777");
    let granted = world.clone().with(|world| world.key().grants = Fact::Known(vec![own.clone()]));
    steps(&granted, &reset, &[launch, REMOVE_COPY, &revoke_grant()]);
    // One that names no account can't be attributed, and is reported.
    let nobodys = grant(&format!("ami-share/{IMAGE}/nobody"), &root(ONE), "999988887777");
    let left = world.clone().with(|world| world.key().grants = Fact::Known(vec![nobodys]));
    warned(&steps(&left, &reset, &[launch]), &["orphaned grants"]);
    let recorded = world.clone().with_expiry(ONE, in_days(1)).with_expiry(ONE, in_days(2));
    let (one, other) = (delete(ONE, in_days(1)), delete(ONE, in_days(2)));
    steps(&recorded, &reset, &[launch, REMOVE_COPY, &one, &other, REMOVE_LAUNCH, REMOVE_COPY]);
    let unread =
        world.with(|world| world.image.launch_permissions = Fact::Failed(denied("ec2:DescribeImageAttribute")));
    assert_eq!(steps(&unread, &reset, &[launch]).gaps, 1);
    let disabled = granted.with(|world| world.image.state = ImageState::Disabled);
    steps(&disabled, &reset, &[REMOVE_COPY, &revoke_grant()]);
}

/// What is taken back from two targets of which one has other entries, and what the warnings say.
#[test]
fn what_still_gives_access_is_named_once_for_each_story() {
    let revoke = ask("revoke", accounts(&[ONE, TWO]));
    let remove = "ec2:ModifyImageAttribute ami-1a2b3c4d -111122223333 -222233334444";
    let remove_copy = "ec2:ModifySnapshotAttribute snap-1a2b3c4d -111122223333 -222233334444";
    let world = World::open("golden-1");
    let warned_of = |world: &World, words: &[&str]| warned(&steps(world, &revoke, &[remove, remove_copy]), words);
    warned_of(&world.clone().shared_with(&[ONE, TWO]), &[]);
    let both = "revoked from 111122223333, 222233334444";
    let of_organization = format!("{both}: {ORGANIZATION} may still give it access");
    warned_of(&world.clone().shared_with(&[ONE, ORGANIZATION]), &[&of_organization]);
    warned_of(
        &world.clone().shared_with(&["all"]),
        &["is PUBLIC", "the public launch permission still gives it access"],
    );
    let unknown = world.clone().with(|world| {
        world.image.launch_permissions = Fact::Known(vec![LaunchPermission::unknown("part\nners")]);
    });
    warned_of(
        &unknown,
        &["a kind that this version does not know: `partners`", "an unknown kind (`partners`) may still"],
    );
    // What can't be read at all is reported; what may be read later is a gap, too.
    let unread = |error: Failure| world.clone().with(|world| world.image.launch_permissions = Fact::Failed(error));
    warned_of(&unread(denied("ec2:DescribeImageAttribute")), &["is not known: the function's role may not call"]);
    assert_eq!(unread(denied("x")).decide(&revoke).gaps, 0);
    let later = Failure { retryable: true, ..denied("ec2:DescribeImageAttribute") };
    assert_eq!(unread(later).decide(&revoke).gaps, 1);
}

#[test]
fn the_other_images_on_a_snapshot_are_named_to_those_who_may_ask_about_them() {
    let revoke = ask("revoke", accounts(&[ONE]));
    let other = "ami-99999999";
    let world = World::open("golden-1")
        .with(|world| world.snapshot().needed_by = Fact::Known([(account(ONE), other.parse().unwrap())].into()));
    for (name, words) in [("golden-2", other), ("silver-2", "another image of this account")] {
        let warnings = world.put(&revoke, |case, facts| {
            let neighbour = Image { name: Some(name.to_owned()), ..world.image.clone() };
            let neighbours = [(other.parse().unwrap(), neighbour)].into();
            let facts = Facts { neighbours, ..facts.clone() };
            let decision = decide(case, &facts).remove(0);
            decision.warnings.concat()
        });
        assert!(warnings.contains(words) && (words == other || !warnings.contains(other)), "{name}: {warnings}");
    }
}
