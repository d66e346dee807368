//! What follows of a hint: a share that waited is made, waits on, or is given up.

use super::*;

#[test]
fn a_hint_shares_and_the_next_one_deletes_the_record() {
    let later = NOW + Duration::hours(1);
    let pending = || world("copied-1", &[ONE]).made(COPY, copy(KEY, ImageState::Pending));
    accepted(&hinted(pending(), 0, later), &share(&[ONE]), &[]);
    let there = || world("copied-1", &[ONE]).made(COPY, copy(KEY, ImageState::Available));
    for until in [later, NOW - Duration::hours(1)] {
        let followed = follow(&hinted(there(), 0, until), &share(&[ONE]));
        assert_eq!(followed.steps, [format!("ec2:ModifyImageAttribute {COPY} +{ONE}")]);
        assert_eq!(followed.outcome.result, Status::Completed);
    }
    let shared = there().with(|world| {
        let made = world.copies().images.get_mut(&id(COPY)).unwrap();
        made.launch_permissions = Fact::Known(vec![LaunchPermission::To(target(ONE))]);
    });
    let followed = follow(&hinted(shared.clone(), 0, later), &share(&[ONE]));
    assert_eq!(followed.steps, [delete(&[ONE], "lambda:invoke")]);
    assert!(!followed.outcome.images[0].changed);
    // Who asks finds it shared, and deletes nothing.
    assert_eq!(follow(&shared, &share(&[ONE])).steps, [""; 0]);
}

#[test]
fn a_hint_gives_up_what_failed_or_came_too_late() {
    let (later, before) = (NOW + Duration::hours(1), NOW - Duration::minutes(1));
    #[track_caller]
    fn check(world: World, code: &str, words: &str) {
        let followed = follow(&world, &share(&[ONE]));
        let codes: Vec<_> = followed.outcome.errors.iter().map(|error| error.code.as_str()).collect();
        assert_eq!((followed.outcome.result, &codes[..]), (Status::Failed, &[code][..]), "{followed:#?}");
        assert_eq!(followed.steps, [delete(&[ONE], "lambda:invoke")]);
        let message = &followed.outcome.errors[0].message;
        assert!(message.contains(words), "{message}");
    }
    let open = || world("copied-1", &[ONE]).made(OTHER_COPY, failed("Client.InternalError: no such key"));
    check(hinted(open(), 0, later), "CopyFailed", "no such key");
    // Whatever is in the way of another copy: EC2's reason is what is wanted.
    let disabled = open().with(|it| known(&mut it.key().metadata).unusable_state = Some("Disabled".to_owned()));
    check(hinted(disabled, 0, later), "CopyFailed", "no such key");
    // One that was there before is none of its own.
    accepted(&hinted(open(), 1, later), &share(&[ONE]), &[make()]);
    // Somebody has asked for another copy meanwhile: it is waited for.
    accepted(&hinted(open().made(COPY, copy(KEY, ImageState::Pending)), 0, later), &share(&[ONE]), &[]);
    check(hinted(open(), 1, before), "CopyOverdue", "2026-11-22T11:59:00Z");
    let pending = open().made(COPY, copy(KEY, ImageState::Pending));
    check(hinted(pending.clone(), 1, before), "CopyOverdue", "is pending");
    accepted(&hinted(pending, 1, later), &share(&[ONE]), &[]);
    let there = open().made(COPY, copy(KEY, ImageState::Available));
    assert_eq!(follow(&hinted(there, 0, before), &share(&[ONE])).outcome.result, Status::Completed);
}

#[test]
fn a_late_hint_of_a_share_that_was_made_says_nothing_about_its_expiry() {
    let minutes = |number| NOW + Duration::minutes(number);
    let check = |asked: OffsetDateTime, there: &[OffsetDateTime], is_shared: bool, expect: &[&str]| {
        let mut made = copy(KEY, ImageState::Available);
        made.name = Some("lent-1".to_owned());
        let expiries = there.iter().map(|at| {
            let expiry = Expiry { image_id: id(COPY), ..expiry(ONE, *at) };
            let name = ExpiryName::new(&expiry.image_id, &expiry.target, expiry.at).unwrap();
            (name.clone(), Expiry { name, ..expiry })
        });
        made.expiries = Fact::Known(expiries.collect());
        if is_shared {
            made.launch_permissions = Fact::Known(vec![LaunchPermission::To(target(ONE))]);
        }
        let mut record = recorded(&[ONE], "lambda:invoke", 0, minutes(60));
        record.request.expires_at = Some(asked);
        let world = world("lent-1", &[ONE]).made(COPY, made).with(|world| world.hint = Some(record.clone()));
        let followed = follow(&world, &share(&[ONE]));
        assert_eq!(followed.refusals, expect, "{asked}, {there:?}");
        assert_eq!(followed.steps, [format!("scheduler:DeleteSchedule {}", record.name)]);
    };
    // Near, at hand, renewed, and renewed long ago.
    check(minutes(4), &[minutes(4)], true, &[]);
    check(minutes(1), &[minutes(1)], true, &[]);
    check(minutes(30), &[minutes(30), minutes(90)], true, &[]);
    check(minutes(-5), &[minutes(90)], true, &[]);
    // What was not made is too late.
    check(minutes(4), &[], false, &["ExpiryNotAllowed"]);
    check(minutes(30), &[minutes(90)], false, &[&format!("ExpiryNotAllowed {ONE}")]);
}

#[test]
fn a_hint_gives_up_what_is_not_allowed_any_more() {
    let later = NOW + Duration::hours(1);
    let gone = |world: World| hinted(world, 0, later);
    for (world, code) in [
        (world("other-1", &[ONE]), "ActionNotAllowed".to_owned()),
        (world("copied-1", &[]), format!("KeyAccessMissing {ONE}")),
        (world("copied-1", &[]).made(COPY, copy(KEY, ImageState::Available)), format!("KeyAccessMissing {ONE}")),
        (world("copied-1", &[ONE]).with(|it| it.copies().source = Fact::Known(None)), "ImageNotFound".to_owned()),
    ] {
        let followed = refused(&gone(world), &share(&[ONE]), &[&code]);
        assert_eq!(followed.steps, [delete(&[ONE], "lambda:invoke")]);
    }
    // What may pass is asked again.
    let mut world = world("copied-1", &[ONE]);
    known(&mut world.copies().source).as_mut().unwrap().state = ImageState::Pending;
    assert_eq!(refused(&gone(world), &share(&[ONE]), &["ImageNotAvailable"]).steps, [""; 0]);
}

#[test]
fn what_could_not_be_found_out_ends_no_waiting_before_its_time() {
    let ends = |until: OffsetDateTime, change: &dyn Fn(&mut World)| {
        let there = world("copied-1", &[ONE]).made(COPY, copy(KEY, ImageState::Available));
        let followed = follow(&hinted(there, 0, until).with(change), &share(&[ONE]));
        assert_eq!(followed.refusals.len(), 1, "{followed:?}");
        !followed.steps.is_empty()
    };
    let unread = |world: &mut World| world.key().policy = Fact::Failed(denied("kms:GetKeyPolicy"));
    let shut = |world: &mut World| world.key().policy = Fact::Known(policy(&[]));
    assert!(!ends(in_days(1), &unread));
    assert!(ends(in_days(-1), &unread));
    assert!(ends(in_days(1), &shut));
    // Nor if it is the key of the rule or that of the source, before there is a copy.
    let waits = |change: &dyn Fn(&mut World)| {
        let followed = follow(&hinted(world("copied-1", &[ONE]), 0, in_days(1)).with(change), &share(&[ONE]));
        assert!(!followed.refusals.is_empty(), "{followed:?}");
        followed.steps.is_empty()
    };
    let no_metadata = || Fact::Failed(denied("kms:DescribeKey"));
    assert!(waits(&|world| world.key().metadata = no_metadata()));
    assert!(waits(&|world| drop(world.copies().source_keys.insert(OTHER_KEY.parse().unwrap(), no_metadata()))));
}
