//! What is decided and planned where a share may need a copy that is not there yet.

use super::*;

#[test]
fn where_there_is_no_copy_the_share_is_recorded_and_one_is_made() {
    let world = world("copied-1", &[ONE, TWO]);
    let followed = accepted(&world, &share(&[TWO, ONE]), &[create(&[ONE, TWO]), make()]);
    let [row] = &followed.outcome.images[..] else { panic!("{followed:#?}") };
    assert_eq!(
        json!(row)["copy"],
        json!({"state": "pending", "keyArn": KEY, "until": "2026-11-23T00:00:00Z"}),
        "the rule waits 12 hours"
    );
    assert_eq!(json!(row)["copyOf"], json!({"region": REGION, "imageId": SOURCE}));
    assert_eq!((json!(row)["imageId"].as_str(), row.name.as_deref()), (Some(COPY), Some("copied-1")));
    assert_eq!(followed.targets(), [format!("{TWO} waiting"), format!("{ONE} waiting")]);
    assert!(row.changed);
    // In this Region it is the same, but for the name, which is taken.
    let here = ask("share", &[ONE], json!({"copyFrom": "eu-west-1"}));
    assert_eq!(follow(&world, &here).refusals, [""; 0]);
    let name = |request: &Value| {
        world.put(request, |case, facts| {
            let steps = plans(case, facts, decide(case, facts)).remove(0).1;
            let order =
                steps.into_iter().find_map(|step| if let Step::CopyImage(order) = step { Some(order) } else { None });
            order.unwrap().name(0, false)
        })
    };
    assert_eq!(name(&share(&[ONE])), "copied-1");
    assert!(name(&here).starts_with("copied-1-"), "{}", name(&here));
}

#[test]
fn a_share_waits_only_if_its_record_exists_and_a_copy_may_still_be_made() {
    use sharing::outcome::{
        StepState::{Done, Failed, Skipped},
        TargetState,
    };
    let lasting = denied("ec2:CopyImage");
    let passing = Failure { retryable: true, ..lasting.clone() };
    for (record, copied, error, expect) in [
        (Done, Done, None, TargetState::Waiting),
        (Failed, Skipped, None, TargetState::Failed),
        (Done, Failed, Some(lasting), TargetState::Failed),
        // For example throttled, or the quota of copies that are made at a time is full: the next hint tries again.
        (Done, Failed, Some(passing), TargetState::Waiting),
    ] {
        let step = |step: Step| {
            if matches!(step, Step::CopyImage(_)) {
                StepResult { error: error.clone(), ..StepResult::new(step, copied) }
            } else {
                StepResult::new(step, record)
            }
        };
        world("copied-1", &[ONE]).put(&share(&[ONE]), |case, facts| {
            let results = plans(case, facts, decide(case, facts)).into_iter().map(|(decision, plan)| ImageResult {
                decision,
                steps: plan.into_iter().map(step).collect(),
                lost: Vec::new(),
            });
            let mut outcome = Outcome::new("id", Status::Completed);
            report(&mut outcome, case, facts, results.collect(), "eu-west-1");
            assert_eq!(outcome.images[0].targets[0].state, expect, "{record:?} {copied:?} {error:?}");
        });
    }
}

#[test]
fn a_share_that_is_refused_for_another_image_waits_for_no_copy() {
    let gone = Copies { source: Fact::Known(None), waiting: Fact::Known(Vec::new()), ..Copies::default() };
    let world = world("copied-1", &[ONE]).with(|world| drop(world.copies.insert(id("ami-0000000b"), gone)));
    let both = json!({"imageIds": [SOURCE, "ami-0000000b"]});
    let followed = refused(&world, &ask("share", &[ONE], both), &["ImageNotFound"]);
    assert_eq!(followed.targets(), [format!("{ONE} not-shared")]);
}

#[test]
fn a_dry_run_plans_the_record_and_the_copy() {
    let followed = follow(&world("copied-1", &[ONE]), &ask("share", &[ONE], json!({"dryRun": true})));
    assert_eq!((followed.outcome.result, followed.steps), (Status::Planned, vec![create(&[ONE]), make()]));
}

#[test]
fn a_copy_that_is_there_is_shared_like_any_other_image() {
    let add = |targets: &str| format!("ec2:ModifyImageAttribute {COPY} +{targets}");
    let world = world("copied-1", &[ONE]).made(COPY, copy(KEY, ImageState::Available));
    let followed = follow(&world, &share(&[ONE]));
    assert_eq!((followed.outcome.result, &followed.steps), (Status::Completed, &vec![add(ONE)]), "{followed:#?}");
    let row = json!(followed.outcome.images[0]);
    assert_eq!((&row["imageId"], &row["copy"]["state"]), (&json!(COPY), &json!("available")));
    assert_eq!(row["copyOf"], json!({"region": REGION, "imageId": SOURCE}));
    // The key check is that of the copy.
    refused(&world, &share(&[TWO]), &[&format!("KeyAccessMissing {TWO}")]);
    // Its own name counts for nothing here.
    let renamed = world.with(|world| {
        let made = world.copies().images.get_mut(&id(COPY)).unwrap();
        (made.name, made.tags) = (Some("x".to_owned()), BTreeMap::new());
    });
    assert_eq!(follow(&renamed, &share(&[ONE])).steps, [add(ONE)]);
}

#[test]
fn everything_is_decided_before_a_copy_is_made() {
    let open = || world("copied-1", &[ONE, TWO]);
    let everyone = share(&[ONE]);
    refused(&world("other-1", &[ONE]), &everyone, &["ActionNotAllowed"]);
    refused(&open(), &share(&["444455556666"]), &["TargetNotAllowed 444455556666"]);
    refused(&open(), &share(&["999988887777"]), &["TargetIsOwner 999988887777"]);
    refused(&world("copied-1", &[]), &everyone, &[&format!("KeyAccessMissing {ONE}")]);
    let elsewhere = ask("share", &[ONE], json!({"copyFrom": "eu-south-1"}));
    let refusal = &refused(&open(), &elsewhere, &[&format!("CopyNotAllowed {ONE}")]).outcome.refusals[0];
    assert_eq!(refusal.pointer.as_deref(), Some("/copyFrom"));
    refused(&world("golden-1", &[ONE]), &everyone, &[&format!("CopyNotAllowed {ONE}")]);

    let source_is = |change: fn(&mut Copies)| open().with(|world| change(world.copies()));
    let image = |copies: &mut Copies, change: fn(&mut Image)| change(known(&mut copies.source).as_mut().unwrap());
    refused(&source_is(|it| it.source = Fact::Known(None)), &everyone, &["ImageNotFound"]);
    let foreign = open().with(|world| image(world.copies(), |it| it.owner = account(ONE)));
    refused(&foreign, &everyone, &["ImageNotOwned"]);
    for state in [ImageState::Pending, ImageState::Disabled] {
        let mut world = open();
        known(&mut world.copies().source).as_mut().unwrap().state = state;
        refused(&world, &everyone, &["ImageNotAvailable"]);
        // Where the copy is made already, the source is not asked any more.
        accepted(&world.made(COPY, copy(KEY, ImageState::Pending)), &everyone, &[create(&[ONE])]);
    }
    let bundle = open().with(|world| image(world.copies(), |it| it.is_instance_store = true));
    refused(&bundle, &everyone, &["CopyNotPossible"]);
    refused(&bundle, &ask("share", &[ONE], json!({"access": "copy"})), &["CopyNotPossible"]);
    let key: KeyArn = OTHER_KEY.parse().unwrap();
    for metadata in [
        Fact::Known(KeyMetadata { unusable_state: Some("Disabled".to_owned()), ..usable() }),
        Fact::Failed(denied("kms:DescribeKey")),
    ] {
        let world = open().with(|world| drop(world.copies().source_keys.insert(key.clone(), metadata)));
        let refusal = &refused(&world, &everyone, &["KeyNotUsable"]).outcome.refusals[0];
        assert_eq!(refusal.key_arn, Some(key.clone()));
    }
    // A key that AWS manages is what copies get rid of.
    let managed = Fact::Known(KeyMetadata { is_aws_managed: true, ..usable() });
    let world = open().with(|world| drop(world.copies().source_keys.insert(key.clone(), managed)));
    accepted(&world, &everyone, &[create(&[ONE]), make()]);
}

#[test]
fn the_key_of_the_rule_must_be_usable() {
    let with_key = |change: fn(&mut Key)| world("copied-1", &[ONE]).with(|world| change(world.key()));
    let metadata =
        |change: fn(&mut KeyMetadata)| world("copied-1", &[ONE]).with(|world| change(known(&mut world.key().metadata)));
    for (world, why) in [
        (metadata(|it| it.unusable_state = Some("PendingDeletion".to_owned())), "PendingDeletion"),
        (metadata(|it| it.is_aws_managed = true), "AWS manages it"),
        (metadata(|it| it.is_symmetric = false), "not a symmetric"),
    ] {
        let refusal = &refused(&world, &share(&[ONE]), &["CopyKeyNotUsable"]).outcome.refusals[0];
        assert!(refusal.key_arn.is_some() && refusal.remedy.is_some());
        assert!(refusal.message.contains(KEY) && refusal.message.contains(why), "{}", refusal.message);
    }
    let unread = with_key(|it| it.metadata = Fact::Failed(denied("kms:DescribeKey")));
    refused(&unread, &share(&[ONE]), &["CopyKeyNotUsable", &format!("KeyAccessUnknown {ONE}")]);
    refused(&world("astray-1", &[ONE]), &share(&[ONE]), &["CopyKeyNotUsable"]);
}

#[test]
fn targets_under_rules_with_different_keys_are_not_copied_for_together() {
    let both = world("copied-1", &[ONE, THREE]).with(|world| {
        let key = world.key().clone();
        world.keys.insert(
            "arn:aws:kms:eu-west-1:999988887777:key/11111111-12ab-34cd-56ef-1234567890ab".parse().unwrap(),
            key,
        );
    });
    let followed = refused(&both, &share(&[ONE, THREE]), &["CopyNotPossible"]);
    let message = &followed.outcome.refusals[0].message;
    assert!(message.contains(KEY) && message.contains("key/11111111"), "{message}");
    accepted(&both, &share(&[THREE]), &[create(&[THREE]), make()]);
}

#[test]
fn a_grant_on_the_key_is_made_for_the_copy_and_not_before() {
    let name = "arn:aws:kms:eu-west-1:999988887777:key/11111111-12ab-34cd-56ef-1234567890ab";
    let closed = world("copied-1", &[]).with(|world| {
        let key = world.key().clone();
        world.keys.insert(name.parse().unwrap(), key);
    });
    accepted(&closed, &share(&[THREE]), &[create(&[THREE]), make()]);
    let there = closed.made(COPY, copy(name, ImageState::Available));
    let followed = follow(&there, &share(&[THREE]));
    let expect = [format!("kms:CreateGrant {name} +{THREE}"), format!("ec2:ModifyImageAttribute {COPY} +{THREE}")];
    assert_eq!(followed.steps, expect);
}

#[test]
fn a_deployment_that_can_record_nothing_makes_no_copies_and_shares_those_there_are() {
    let bare = || world("copied-1", &[ONE]).with(|world| world.unset_for_copies = vec!["AMI_SHARE_RECORD_KEY"]);
    let refusal = &refused(&bare(), &share(&[ONE]), &["CopyNotPossible"]).outcome.refusals[0];
    assert_eq!(json!(refusal.values["variables"]), json!(["AMI_SHARE_RECORD_KEY"]));
    assert!(refusal.message.ends_with("it has no AMI_SHARE_RECORD_KEY"), "{}", refusal.message);
    let there = bare().made(COPY, copy(KEY, ImageState::Available));
    assert_eq!(follow(&there, &share(&[ONE])).outcome.result, Status::Completed);
    // Also where it could, because it has approvals, and its role may not copy.
    let off = || world("copied-1", &[ONE]).with(|world| world.setup.copies = false);
    let refusal = &refused(&off(), &share(&[ONE]), &["CopyNotPossible"]).outcome.refusals[0];
    assert_eq!(json!(refusal.values["parameter"]), json!("EnableCopies"));
    assert!(refusal.message.ends_with("EnableCopies is off"), "{}", refusal.message);
    let there = off().made(COPY, copy(KEY, ImageState::Available));
    assert_eq!(follow(&there, &share(&[ONE])).outcome.result, Status::Completed);
}

#[test]
fn copy_access_is_given_to_a_copy_like_to_any_image() {
    let request = ask("share", &[ONE], json!({"access": "copy"}));
    let open = world("copied-1", &[ONE]);
    let followed = follow(&open, &request);
    assert_eq!(followed.outcome.result, Status::Accepted, "{followed:#?}");
    let there = open.clone().made(COPY, copy(KEY, ImageState::Available));
    let add = format!("ec2:ModifySnapshotAttribute snap-0000000c +{ONE}");
    assert_eq!(follow(&there, &request).steps, [add, format!("ec2:ModifyImageAttribute {COPY} +{ONE}")]);
    let off = open.with(|world| world.setup.copy_access = false);
    assert!(follow(&off, &request).refusals.iter().any(|refusal| refusal.starts_with("NotSetUp")));
}

#[test]
fn the_expiry_of_a_share_that_waits_is_checked_like_any() {
    let share = |expires_at: Option<&str>| {
        let more = expires_at.map_or(json!({}), |at| json!({"expiresAt": at}));
        ask("share", &[ONE], more)
    };
    let lent = || world("lent-1", &[ONE]);
    refused(&lent(), &share(None), &[&format!("ExpiryRequired {ONE}")]);
    refused(&lent(), &share(Some("2027-11-22T12:00:00Z")), &[&format!("ExpiryNotAllowed {ONE}")]);
    refused(&lent(), &share(Some("2026-11-22T12:04:00Z")), &["MalformedRequest"]);
    let followed = follow(&lent(), &share(Some("2026-11-25T12:00:00Z")));
    assert_eq!((followed.outcome.result, followed.steps.len()), (Status::Accepted, 2));
    // By a record, nobody can be told what is wrong with the request: the time has passed.
    let mut record = recorded(&[ONE], "lambda:invoke", 0, NOW + Duration::hours(9));
    record.request.expires_at = Some(NOW + Duration::minutes(4));
    for world in [lent(), lent().made(COPY, copy(KEY, ImageState::Available))] {
        let hinted = world.with(|world| world.hint = Some(record.clone()));
        let followed = refused(&hinted, &share(None), &["ExpiryNotAllowed"]);
        assert_eq!(followed.steps, [format!("scheduler:DeleteSchedule {}", record.name)]);
    }
}

#[test]
fn who_asks_again_finds_the_record_unless_its_time_is_over() {
    let (later, before) = (NOW + Duration::hours(1), NOW - Duration::minutes(1));
    let own = |until| world("copied-1", &[ONE]).waiting(recorded(&[ONE], "lambda:invoke", 0, until));
    let until = |followed: &Followed| json!(followed.outcome.images[0])["copy"]["until"].clone();
    let pending = |world: World| world.made(COPY, copy(KEY, ImageState::Pending));
    accepted(&pending(own(later)), &share(&[ONE]), &[]);
    // Its copy has failed, and no hint has said so yet: another one is made.
    let again = accepted(&own(later).made(OTHER_COPY, failed("why")), &share(&[ONE]), &[make()]);
    assert_eq!(until(&again), "2026-11-22T13:00:00Z");
    // Its time is over, and no hint has said so yet: it begins to wait again.
    let begun = [delete(&[ONE], "lambda:invoke"), create(&[ONE])];
    let again = accepted(&pending(own(before)), &share(&[ONE]), &begun);
    assert_eq!(until(&again), "2026-11-23T00:00:00Z");
    assert!(again.outcome.images[0].changed);
    accepted(&own(before), &share(&[ONE]), &[&begun[..], &[make()]].concat());
}

#[test]
fn the_way_out_of_a_default_key_names_the_rule_that_would_copy() {
    let share = |name: &str| {
        let world = World::encrypted(name, &[ONE]).with(|world| {
            world.image.tags = source(name).tags;
            known(&mut world.key().metadata).is_aws_managed = true;
        });
        let request = json!({"action": "share", "imageIds": [IMAGE], "accountIds": [ONE]});
        let followed = refused(&world, &request, &["DefaultKey"]);
        let refusal = &followed.outcome.refusals[0];
        (refusal.remedy.clone().unwrap(), json!(refusal.values))
    };
    let (remedy, values) = share("copied-1");
    assert!(remedy.contains("`copyFrom: eu-west-1`") && remedy.contains("`copied`"), "{remedy}");
    assert_eq!(values, json!({"rule": "copied", "copyFrom": "eu-west-1"}));
    let (remedy, values) = share("golden-1");
    assert!(!remedy.contains("copyFrom"), "{remedy}");
    assert_eq!(values, json!({}));
}

#[test]
fn a_record_is_about_copies_from_one_region() {
    let record = recorded(&[ONE], "lambda:invoke", 0, NOW);
    assert!(record.is_from(&REGION.parse().unwrap()));
    assert!(!record.is_from(&"eu-south-1".parse().unwrap()));
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html>
#[test]
fn a_copy_of_what_is_sold_comes_with_a_warning() {
    let sold = world("copied-1", &[ONE])
        .with(|world| known(&mut world.copies().source).as_mut().unwrap().has_product_codes = true);
    let warnings = follow(&sold, &share(&[ONE])).outcome.warnings;
    assert!(warnings.iter().any(|warning| warning.contains("Marketplace")), "{warnings:?}");
    assert_eq!(follow(&world("copied-1", &[ONE]), &share(&[ONE])).outcome.warnings, [""; 0]);
}
