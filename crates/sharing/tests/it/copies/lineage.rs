//! Which images are copies of another, by what they are covered and judged, and how they count.

use super::*;

#[test]
fn what_counts_as_a_copy() {
    let is_used = |change: fn(&mut Image)| {
        let mut image = copy(KEY, ImageState::Available);
        change(&mut image);
        let followed = follow(&world("copied-1", &[ONE]).made(COPY, image), &share(&[ONE]));
        followed.outcome.result == Status::Completed
    };
    assert!(is_used(|_| {}));
    assert!(!is_used(|it| known(&mut it.snapshots[0].snapshot).key = Some(OTHER_KEY.parse().unwrap())));
    assert!(!is_used(|it| known(&mut it.snapshots[0].snapshot).key = None));
    assert!(!is_used(|it| it.snapshots[0].snapshot = Fact::Failed(denied("ec2:DescribeSnapshots"))));
    assert!(!is_used(|it| it.snapshots.clear()));
    assert!(!is_used(|it| it.architecture = Some("x86_64".to_owned())));
    assert!(!is_used(|it| it.volume_sizes = vec![Some(8)]));
    assert!(!is_used(|it| it.volume_sizes = vec![Some(8), Some(21)]));
    assert!(!is_used(|it| it.state = ImageState::Disabled));
}

#[test]
fn an_available_copy_comes_before_a_pending_one_and_the_newest_first() {
    let old = Image {
        provenance: Provenance {
            created: Some(NOW - Duration::days(1)),
            ..copy(KEY, ImageState::Available).provenance
        },
        ..copy(KEY, ImageState::Available)
    };
    let world = world("copied-1", &[ONE]).made(COPY, copy(KEY, ImageState::Available)).made(OTHER_COPY, old);
    assert_eq!(follow(&world, &share(&[ONE])).steps, [format!("ec2:ModifyImageAttribute {COPY} +{ONE}")]);
    let world = world.made(COPY, copy(OTHER_KEY, ImageState::Pending));
    assert_eq!(follow(&world, &share(&[ONE])).steps, [format!("ec2:ModifyImageAttribute {OTHER_COPY} +{ONE}")]);
}

#[test]
fn a_pending_copy_is_waited_for_whatever_its_key() {
    let world = world("copied-1", &[ONE]).made(COPY, copy(OTHER_KEY, ImageState::Pending));
    let followed = accepted(&world, &share(&[ONE]), &[create(&[ONE])]);
    let row = json!(followed.outcome.images[0]);
    assert_eq!((&row["imageId"], &row["copy"]["state"]), (&json!(COPY), &json!("pending")));
    // The same request again finds its record, with its first time.
    let until = NOW + Duration::hours(3);
    let again = world.waiting(recorded(&[ONE], "lambda:invoke", 0, until));
    let followed = accepted(&again, &share(&[ONE]), &[]);
    assert_eq!(followed.outcome.images[0].copy.as_ref().unwrap().until, Some(until));
    assert!(!followed.outcome.images[0].changed);
}

#[test]
fn a_copy_outlives_its_source() {
    let orphan = world("copied-1", &[ONE])
        .made(COPY, copy(KEY, ImageState::Available))
        .with(|world| world.copies().source = Fact::Known(None))
        .with(|world| world.copies().learn_source(owner()));
    // It is covered by its own name then.
    assert_eq!(follow(&orphan, &share(&[ONE])).steps, [format!("ec2:ModifyImageAttribute {COPY} +{ONE}")]);
    let renamed = orphan.with(|world| world.copies().images.get_mut(&id(COPY)).unwrap().name = Some("x".to_owned()));
    refused(&renamed, &share(&[ONE]), &["ImageNotFound"]);
}

#[test]
fn a_copy_is_covered_by_its_own_name_and_else_by_that_of_its_source() {
    let covered = |name: &str, source_name: Option<&str>| {
        let list = json!({"action": "list", "imageIds": [IMAGE]});
        let image = Image {
            name: Some(name.to_owned()),
            source_naming: source_name.map(|name| source(name).naming()),
            ..copy(KEY, ImageState::Available)
        };
        World::open("x").with(|world| world.image = image).put(&list, |case, facts| {
            let sources = read_plan::sources_of_copies(case, &facts.images);
            (is_covered(case, &facts.images[&id(IMAGE)]), sources != Sources::default())
        })
    };
    // The source is read where no rule covers the copy by its own name.
    assert_eq!(covered("copied-1", None), (true, false));
    assert_eq!(covered("x", None), (false, true));
    assert_eq!(covered("x", Some("copied-1")), (true, true));
    assert_eq!(covered("x", Some("y")), (false, true));
}

#[test]
fn a_target_is_covered_by_the_name_of_the_copy_and_else_for_a_revoke_or_check_by_that_of_its_source() {
    let ask = |action: &str, who: &str| json!({"action": action, "imageIds": [IMAGE], "accountIds": [who]});
    let stranger = "444455556666";
    for (name, action, who, is_read) in [
        ("lent-1", "revoke", ONE, false),
        ("lent-1", "revoke", stranger, true),
        ("copied-1", "check", ONE, false),
        ("copied-1", "check", stranger, true),
    ] {
        let sources = itself(name, Fact::NotRead)
            .put(&ask(action, who), |case, facts| read_plan::sources_of_copies(case, &facts.images));
        assert_eq!(sources != Sources::default(), is_read, "{action} {who}");
    }
    // What could not be read may cover it for a revoke; a share of the copy itself goes by its own name.
    let unread = || Fact::Failed(Failure { retryable: true, ..denied("ec2:DescribeImages") });
    let decided = |action: &str| {
        itself("lent-1", unread()).put(&ask(action, stranger), |case, facts| {
            let decision = decide(case, facts).remove(0);
            (decision.refusals().iter().map(|it| it.code.to_string()).collect::<Vec<_>>(), decision.gaps().len())
        })
    };
    assert_eq!(decided("revoke"), (vec![], 1));
    assert_eq!(decided("share"), (vec!["TargetNotAllowed".to_owned()], 0));
}

#[test]
fn an_image_and_its_copy_in_one_request_are_told_apart() {
    // Whichever of the two comes first.
    for copy_id in [COPY, "ami-00000001"] {
        tells_apart(copy_id);
    }
}

fn tells_apart(copy_id: &str) {
    let here = |action: &str| json!({"action": action, "imageIds": [SOURCE, copy_id], "accountIds": [ONE], "copyFrom": "eu-west-1"});
    let lineage = || Lineage::CopyOf { source: regional("eu-west-1"), said: Box::new(Fact::NotRead) };
    let shared = || Fact::Known(vec![LaunchPermission::To(target(ONE))]);
    let image = || Image {
        provenance: Provenance { lineage: lineage(), created: Some(NOW), ..Provenance::default() },
        launch_permissions: shared(),
        ..copy(KEY, ImageState::Available)
    };
    let asked = recorded(&[ONE], "somebody", 0, in_days(1));
    let world = world("lent-1", &[ONE]).made(copy_id, image()).with(|world| {
        // The copy is copied too: not yet, but a share waits for it.
        let mut record = asked.clone();
        record.request.image_ids = vec![id(copy_id)];
        let source = Image { name: Some("lent-1".to_owned()), ..image() };
        let copies =
            Copies { source: Fact::Known(Some(source)), waiting: Fact::Known(vec![record]), ..Copies::default() };
        world.copies.insert(id(copy_id), copies);
    });
    // Its access is taken away, and what waits is taken back.
    let followed = follow(&world, &here("revoke"));
    assert!(followed.steps.contains(&format!("ec2:ModifyImageAttribute {copy_id} -{ONE}")), "{followed:#?}");
    assert!(followed.steps.iter().any(|step| step.starts_with("scheduler:DeleteSchedule")), "{followed:#?}");
    assert_eq!(followed.outcome.images.len(), 1);
    // It is not shared as the one and copied as the other.
    let open = world.with(|world| {
        let both = world.copies.values_mut();
        both.for_each(|copies| known(&mut copies.source).as_mut().unwrap().name = Some("copied-1".to_owned()));
        world.copies().learn_source(owner());
    });
    refused(&open, &here("share"), &["CopyNotPossible"]);
}

#[test]
fn the_copies_of_the_images_count_for_the_number_of_pairs() {
    let targets: Vec<_> = (0..200).map(|number| format!("{number:012}")).collect();
    let pairs = |copies: usize, targets: &[String]| {
        let mut world = world("lent-1", &[]);
        for number in 0..copies {
            world = world.made(&format!("ami-{number:08x}"), copy(OTHER_KEY, ImageState::Available));
        }
        let targets: Vec<_> = targets.iter().map(String::as_str).collect();
        world.put(&revoke(&targets), |case, facts| {
            let refusal = too_many_pairs(case);
            assert_eq!(refusal.is_some(), permitted(case, &facts.images).is_empty(), "nothing more is read then");
            refusal.map(|refusal| (refusal.code.to_string(), json!(refusal)["fault"].clone()))
        })
    };
    let expect = Some(("MalformedRequest".to_owned(), json!("too-many")));
    assert_eq!(pairs(5, &targets), None);
    assert_eq!(pairs(6, &targets), expect);
    assert_eq!(pairs(20, &targets[..1]), None);
}

#[test]
fn a_request_is_refused_for_its_pairs_only_if_copies_make_them_and_it_can_be_divided() {
    let ids: Vec<ImageId> = (0..1_001).map(|number| id(&format!("ami-{number:08x}"))).collect();
    let target = |number: u32| sharing::request::AskedTarget {
        target: target(&format!("{number:012}")),
        pointer: String::new(),
    };
    for (images, named, targets, is_refused) in [
        (6, 1, 200, true),
        (5, 1, 200, false),
        // It names them itself.
        (6, 6, 200, false),
        (6, 5, 200, true),
        // About one image and one target.
        (1_001, 1, 1, false),
        (1_001, 2, 1, true),
        (501, 1, 2, true),
        (500, 1, 2, false),
        (0, 0, 0, false),
    ] {
        let targets = (0..targets).map(target).collect();
        let request =
            Request { image_ids: ids[..images].to_vec(), targets, ..Request::bare(Action::Revoke, id(SOURCE)) };
        let requester = by("lambda:invoke");
        World::open("golden-1").put_as(Authority::Requester(&requester), &request, |case, _| {
            let refusal = too_many_pairs(&Case { named: &ids[..named], ..*case });
            assert_eq!(refusal.is_some(), is_refused, "{images} {named} {}", request.targets.len());
        });
    }
}

#[test]
fn a_copy_that_is_not_there_yet_is_judged_by_the_watermarks_of_its_source() {
    let marked = |key: &str| {
        let attached_to = Some(regional(REGION));
        let watermark = Watermark { key: key.to_owned(), attached_to };
        world("copied-1", &[ONE]).with(|world| {
            let rule = "images: {names: [\"copied-*\"], tags: {Tier: [gold]}}\n    targets: [\"111122223333\"";
            assert!(world.allowlist.contains(rule));
            let asks = rule.replace("}}", "}, watermarks: [\"999988887777:approved\"]}");
            world.allowlist = world.allowlist.replace(rule, &asks);
            let source = known(&mut world.copies().source).as_mut().unwrap();
            source.provenance.watermarks.push(watermark);
        })
    };
    accepted(&marked("999988887777:approved"), &share(&[ONE]), &[create(&[ONE]), make()]);
    // Only the other rule about it is left, and that one is not for this target.
    refused(&marked("999988887777:other"), &share(&[ONE]), &[&format!("TargetNotAllowed {ONE}")]);
}
