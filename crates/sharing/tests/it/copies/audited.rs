//! What an audit finds of copies.

use super::*;

#[test]
fn an_audit_finds_copies_that_nobody_uses_and_copies_that_could_not_be_made() {
    let known_source = || Fact::Known(Some(Provenance::default()));
    let made = |region: &str, said: Fact<Option<Provenance>>, change: &dyn Fn(&mut World)| {
        let image = Image {
            provenance: Provenance {
                lineage: Lineage::CopyOf { source: regional(region), said: Box::new(said) },
                ..Provenance::default()
            },
            waiting: Fact::Known(Vec::new()),
            ..copy(KEY, ImageState::Available)
        };
        let world = World::encrypted("copied-1", &[ONE]).with(|world| world.image = image).with(change);
        world.put(&json!({"action": "repair"}), |case, facts| {
            let [decision] = &decide(case, facts)[..] else { panic!("one image, one decision") };
            assert_eq!(plan(case, decision, &world.image, facts), [], "copies are never deregistered");
            let findings = &decision.survey().unwrap().findings;
            let of_copies = findings.iter().filter(|it| it.code.as_str().starts_with("Copy"));
            let told = |remedy: &str| remedy.contains("deregister-image --region eu-west-1 --image-id ami-1a2b");
            assert!(of_copies.clone().all(|it| told(&it.remedy)));
            // While a share waits, its record counts the copies that failed.
            let waits = world.image.waiting.known().is_some_and(|waiting| !waiting.is_empty());
            assert!(of_copies.clone().all(|it| it.remedy.starts_with("when no share waits") == waits));
            findings.iter().map(|it| (it.code.as_str(), it.message.clone())).collect::<Vec<_>>()
        })
    };
    let shared = |world: &mut World| {
        world.image.launch_permissions = Fact::Known(vec![LaunchPermission::To(target(ONE))]);
    };
    let on_key = |key: Option<&str>| {
        let key = key.map(|key| key.parse().unwrap());
        move |world: &mut World| world.snapshot().key.clone_from(&key)
    };
    let awaits =
        |world: &mut World| known(&mut world.image.waiting).push(recorded(&[ONE], "lambda:invoke", 0, in_days(1)));
    let unread = |world: &mut World| world.image.waiting = Fact::NotRead;
    let recorded_expiry = |world: &mut World| {
        let expiry = expiry(ONE, in_days(1));
        known(&mut world.image.expiries).insert(expiry.name.clone(), expiry);
    };
    let copied = |world: &mut World| world.snapshot().create_volume_permissions = copied_by(&[ONE]);
    let fails = |world: &mut World| {
        world.image.snapshots.clear();
        world.image.state = ImageState::Other("failed".to_owned());
        world.image.state_reason = Some("the key is disabled".to_owned());
    };
    let nothing = |_: &mut World| {};
    type Row<'a> = (&'a str, Fact<Option<Provenance>>, &'a dyn Fn(&mut World), &'a [(&'a str, &'a str)]);
    let rows: [Row<'_>; 16] = [
        (REGION, known_source(), &nothing, &[("CopyOrphaned", "no record is about it. It costs")]),
        (REGION, Fact::Known(None), &nothing, &[("CopyOrphaned", "its source no longer exists")]),
        (REGION, Fact::Known(None), &shared, &[]),
        (REGION, Fact::Known(None), &awaits, &[]),
        (REGION, known_source(), &recorded_expiry, &[]),
        (REGION, known_source(), &copied, &[("SnapshotPermissionLeft", "may create volumes")]),
        (REGION, known_source(), &shared, &[]),
        (REGION, known_source(), &awaits, &[]),
        (REGION, known_source(), &unread, &[]),
        (REGION, Fact::NotRead, &shared, &[]),
        // Somebody else's copies: of another Region, under another key, under none.
        ("us-east-1", Fact::Known(None), &nothing, &[]),
        (REGION, Fact::Known(None), &on_key(Some(OTHER_KEY)), &[]),
        (REGION, Fact::Known(None), &on_key(None), &[]),
        (REGION, known_source(), &fails, &[("CopyFailedLeft", "the key is disabled")]),
        (
            REGION,
            known_source(),
            &|world| (fails(world), awaits(world)).1,
            &[("CopyFailedLeft", "the key is disabled")],
        ),
        ("us-east-1", known_source(), &fails, &[]),
    ];
    for (region, said, change, expect) in rows {
        let found = made(region, said, change);
        assert_eq!(
            found.iter().map(|(code, _)| *code).collect::<Vec<_>>(),
            expect.iter().map(|it| it.0).collect::<Vec<_>>()
        );
        for ((_, message), (_, words)) in found.iter().zip(expect) {
            assert!(message.contains(words) && message.contains(IMAGE), "{message}");
        }
    }
}

#[test]
fn an_audit_reads_the_sources_and_what_waits_where_a_rule_makes_copies() {
    let reads = |region: &str| {
        let image = |world: &mut World| {
            world.image = copy(KEY, ImageState::Available);
            let lineage = Lineage::CopyOf { source: regional(region), said: Box::new(Fact::NotRead) };
            world.image.provenance.lineage = lineage;
        };
        World::encrypted("copied-1", &[]).with(image).put(&json!({"action": "repair"}), |case, facts| {
            let sources = read_plan::sources_of_copies(case, &facts.images);
            (sources.by_region.len(), sources.need, read_plan::waiting_beside(case, &facts.images).len())
        })
    };
    assert_eq!(reads(REGION), (1, Need::Optional, 1));
    assert_eq!(reads("us-east-1"), (0, Need::No, 0));
}
