//! What is read before a request about copies is decided.

use super::*;

#[test]
fn the_source_and_its_keys_are_read_only_if_a_copy_must_be_made() {
    let open = || world("copied-1", &[ONE]);
    let there = |key, state| open().made(COPY, copy(key, state));
    for (world, request, is_read) in [
        (open(), share(&[ONE]), true),
        (open(), ask("check", &[ONE], json!({})), true),
        (there(OTHER_KEY, ImageState::Available), share(&[ONE]), true),
        (there(KEY, ImageState::Available), share(&[ONE]), false),
        (there(KEY, ImageState::Pending), share(&[ONE]), false),
        (world("lent-1", &[ONE]), revoke(&[ONE]), false),
        // No rule covers it.
        (world("other-1", &[ONE]), share(&[ONE]), false),
    ] {
        let read = world.put(&request, |case, facts| {
            let read = read_plan::to_be_copied(case, facts);
            read.into_iter().map(|(id, _)| id.clone()).collect::<Vec<_>>()
        });
        assert_eq!(read, if is_read { vec![id(SOURCE)] } else { vec![] }, "{request}");
    }
}

#[test]
fn the_snapshots_of_copies_are_read_also_if_the_source_is_gone() {
    let unread = |name: &str| {
        let copied = copy(KEY, ImageState::Available);
        let snapshots =
            copied.snapshots.iter().map(|it| Backing { id: it.id.clone(), snapshot: Fact::NotRead }).collect();
        let world = world("copied-1", &[ONE]).made(COPY, Image { name: Some(name.to_owned()), snapshots, ..copied });
        world.with(|world| world.copies().source = Fact::Known(None)).with(|world| {
            world.copies().learn_source(owner());
        })
    };
    let read = |world: &World| world.put(&share(&[ONE]), read_plan::snapshots_of_copies);
    assert_eq!(read(&unread("copied-1")), ["snap-0000000c".parse().unwrap()]);
    // No rule covers this one, so nothing is read about it.
    assert_eq!(read(&unread("other-1")), []);
}

#[test]
fn before_aws_is_asked_only_the_partition_is_in_the_way() {
    let codes = |request: &Value| {
        World::open("golden-1").put(request, |case, _| {
            admit(case).into_iter().map(|refusal| (refusal.code.to_string(), refusal.pointer)).collect::<Vec<_>>()
        })
    };
    for action in ["share", "check", "revoke"] {
        assert_eq!(codes(&ask(action, &[ONE], json!({}))), [], "{action}");
    }
    for action in ["share", "check"] {
        let expect = [("CopyNotPossible".to_owned(), Some("/copyFrom".to_owned()))];
        assert_eq!(codes(&ask(action, &[ONE], json!({"copyFrom": "us-gov-west-1"}))), expect, "{action}");
    }
    assert_eq!(codes(&ask("revoke", &[ONE], json!({"copyFrom": "us-gov-west-1"}))), []);
}

#[test]
fn of_the_images_that_a_request_copies_from_as_much_is_read_as_the_action_needs() {
    let gov = "us-gov-west-1";
    for (action, region, source, waiting) in [
        ("share", REGION, Need::Required, Need::Required),
        ("check", REGION, Need::Required, Need::Required),
        // Access is taken away and shown whatever another Region answers, or if it can't be asked at all.
        ("revoke", REGION, Need::Optional, Need::Optional),
        ("list", REGION, Need::Optional, Need::Optional),
        ("revoke", gov, Need::No, Need::Optional),
    ] {
        let mut request = ask(action, &[ONE], json!({"copyFrom": region}));
        if action == "list" {
            request.as_object_mut().unwrap().remove("accountIds");
        }
        let request = Request::parse(&key_policy::json::Json::parse(&request.to_string()).unwrap(), NOW).unwrap();
        World::open("x").put_as(Authority::Requester(&by("lambda:invoke")), &request, |case, _| {
            let reads = read_plan::copies(case).unwrap();
            assert_eq!((reads.region.to_string().as_str(), reads.source_ids), (region, &[id(SOURCE)][..]));
            assert_eq!((reads.source, reads.waiting), (source, waiting), "{action} {region}");
        });
    }
    let here = json!({"action": "list", "imageIds": [IMAGE]});
    assert!(World::open("x").put(&here, |case, _| read_plan::copies(case).is_none()));
    // What a hint is about has been read.
    let hinted = hinted(world("copied-1", &[ONE]), 0, in_days(1));
    assert_eq!(hinted.put(&share(&[ONE]), |case, facts| read_plan::waiting(case, facts).len()), 0);
}

#[test]
fn what_waits_beside_an_image_is_read_for_who_may_know_of_it_or_may_have_asked_for_it() {
    let owned_by = |owner, name: &str| itself(name, Fact::NotRead).with(|world| world.image.owner = account(owner));
    for (action, owner, name, is_read) in [
        ("list", "999988887777", "copied-1", true),
        ("revoke", "999988887777", "lent-1", true),
        // No rule covers it. Who may have asked for what waits may take that back.
        ("list", "999988887777", "x", false),
        ("revoke", "999988887777", "x", true),
        ("revoke", TWO, "x", false),
    ] {
        let request = json!({"action": action, "imageIds": [IMAGE]});
        let request = if action == "list" {
            request
        } else {
            json!({"action": action, "imageIds": [IMAGE], "accountIds": [ONE]})
        };
        let reads = owned_by(owner, name).put(&request, |case, facts| read_plan::waiting_beside(case, &facts.images));
        assert_eq!(!reads.is_empty(), is_read, "{action} {owner} {name}");
    }
}

#[test]
fn the_sources_that_are_read_are_those_of_copies_whose_rule_depends_on_them() {
    let list = json!({"action": "list", "imageIds": [IMAGE]});
    let by_account = json!({"action": "list", "accountIds": [ONE]});
    // If one of several that are named can't be read, that concerns no other image; on a page, nobody misses it.
    for (request, need) in [(&list, Need::Optional), (&by_account, Need::Settled)] {
        let sources =
            itself("x", Fact::NotRead).put(request, |case, facts| read_plan::sources_of_copies(case, &facts.images));
        assert_eq!((sources.by_region.len(), sources.need), (1, need), "{request}");
        let elsewhere = RegionalImage { region: "eu-south-1".parse().unwrap(), id: id(SOURCE) };
        let other = RegionalImage { id: id(COPY), ..regional(REGION) };
        let read = [regional(REGION), elsewhere, other].map(|image| sources.include(&image));
        assert_eq!(read, [true, false, false]);
    }
    for (owner, is_read) in [("999988887777", true), (TWO, false)] {
        let world = itself("x", Fact::NotRead).with(|world| world.image.owner = account(owner));
        let sources =
            world.put(&list, |case, facts| read_plan::sources_of_uncovered(case, &facts.images, Need::Optional));
        assert_eq!(sources != Sources::default(), is_read, "{owner}");
    }
    // A check has the refusals of a share, so it goes by the rules about shares.
    let check = json!({"action": "check", "imageIds": [IMAGE], "accountIds": [ONE]});
    let aged = itself("viewed-1", Fact::NotRead).with(|world| {
        // No rule copies from there: only the age says that the source matters.
        let lineage = Lineage::CopyOf { source: regional("us-east-1"), said: Box::new(Fact::NotRead) };
        world.image.provenance.lineage = lineage;
        world.allowlist.push_str(
            r#"
  - {name: aged, requesters: ["lambda:invoke"], actions: [share], images: {names: ["viewed-*"], maxAge: 180d}, targets: ["111122223333"]}
"#,
        );
    });
    let sources = aged.put(&check, |case, facts| read_plan::sources_of_copies(case, &facts.images));
    assert_eq!((sources.by_region.len(), sources.need), (1, Need::Settled));
}
