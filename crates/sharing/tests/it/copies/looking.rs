//! What a check and a list say of copies and of what waits.

use super::*;

#[test]
fn a_check_says_what_waits_and_what_a_share_would_meet() {
    #[track_caller]
    fn check(world: &World, targets: &[&str], expect: &[&str]) {
        let followed = follow(world, &ask("check", targets, json!({})));
        assert_eq!(followed.outcome.result, Status::Completed);
        let rows = followed.outcome.images[0].targets.iter();
        let rows: Vec<_> = rows
            .map(|row| format!("{} {} {}", row.target, json!(row.state).as_str().unwrap(), row.accepted.unwrap()))
            .collect();
        assert_eq!(rows, expect, "{followed:#?}");
    }
    let open = world("copied-1", &[ONE]).waiting(recorded(&[ONE], "somebody", 0, NOW));
    check(&open, &[ONE, TWO], &[&format!("{ONE} waiting true"), &format!("{TWO} not-shared false")]);
    let there = open.made(COPY, copy(KEY, ImageState::Available));
    check(&there, &[ONE], &[&format!("{ONE} waiting true")]);
    let row = json!(follow(&there, &ask("check", &[ONE], json!({}))).outcome.images[0]);
    assert_eq!((&row["imageId"], &row["targets"][0]["launch"]), (&json!(COPY), &json!("not")));
}

#[test]
fn a_list_shows_every_copy_and_what_waits() {
    let list = json!({"action": "list", "imageIds": [SOURCE], "copyFrom": REGION});
    let open = world("copied-1", &[ONE]).waiting(recorded(&[TWO, ONE], "somebody", 0, NOW));
    let followed = follow(&open, &list);
    let row = json!(followed.outcome.images[0]);
    assert_eq!((&row["imageId"], &row["copy"]["state"]), (&Value::Null, &json!("none")));
    assert_eq!(followed.targets(), [format!("{ONE} waiting"), format!("{TWO} waiting")]);
    // It is shown with the copy that it waits for.
    let making = open
        .clone()
        .made(COPY, copy(OTHER_KEY, ImageState::Available))
        .made(OTHER_COPY, copy(KEY, ImageState::Pending));
    let rows = follow(&making, &list).outcome.images;
    assert_eq!(rows.iter().map(|row| row.targets.len()).collect::<Vec<_>>(), [0, 2]);
    let shared = Fact::Known(vec![LaunchPermission::To(target(ONE))]);
    let there = open
        .made(COPY, Image { launch_permissions: shared, ..copy(OTHER_KEY, ImageState::Available) })
        .made(OTHER_COPY, copy(KEY, ImageState::Available))
        .made("ami-0000000e", failed("no"));
    let followed = follow(&there, &list);
    let ids: Vec<_> = followed.outcome.images.iter().map(|row| json!(row)["imageId"].clone()).collect();
    assert_eq!(ids, [json!(COPY), json!(OTHER_COPY)]);
    assert_eq!(followed.targets(), [format!("{ONE} shared"), format!("{TWO} waiting")]);
}

#[test]
fn where_the_source_cannot_be_read_it_is_not_said_that_it_is_not_there() {
    let list = json!({"action": "list", "imageIds": [SOURCE], "copyFrom": REGION});
    let unread = |name: &str, retryable: bool| {
        let failure = Failure { retryable, ..denied("ec2:DescribeImages") };
        world(name, &[]).with(|world| {
            world.copies().source = Fact::Failed(failure);
            world.copies().learn_source(owner());
        })
    };
    let failed = |world: &World, request: &Value| {
        let Followed { refusals, steps, outcome } = follow(world, request);
        assert_eq!((refusals.len(), steps.len(), outcome.images.len()), (0, 0, 0), "{outcome:#?}");
        assert_eq!((outcome.result, outcome.errors.len()), (Status::Failed, 1), "{outcome:#?}");
        outcome.retryable
    };
    for retryable in [true, false] {
        for request in [&list, &revoke(&[ONE])] {
            assert_eq!(failed(&unread("lent-1", retryable), request), retryable);
            // Nor whether a rule covers the copy that is there.
            let there =
                unread("lent-1", retryable).made(COPY, Image { name: None, ..copy(KEY, ImageState::Available) });
            assert_eq!(failed(&there, request), retryable);
        }
        // What a rule covers by its own name, and what waits, is shown and taken away all the same.
        let own = Image { name: Some("lent-2".to_owned()), ..copy(KEY, ImageState::Available) };
        let there = unread("lent-1", retryable).made(COPY, own);
        assert_eq!(follow(&there, &list).outcome.result, Status::Completed);
        assert_eq!(follow(&there, &revoke(&[ONE])).outcome.result, Status::Completed);
        let asked = recorded(&[ONE], "lambda:invoke", 0, NOW + Duration::hours(1));
        let withdrawn = follow(&unread("lent-1", retryable).waiting(asked), &revoke(&[ONE]));
        assert_eq!(withdrawn.steps, [format!("{} -{ONE}", delete(&[ONE], "lambda:invoke"))]);
    }
    // Not even who may see every image learns of one that only the request names.
    for request in [&list, &revoke(&[ONE])] {
        let every = unread("x", true).with(|world| {
            world.allowlist.push_str(
                r#"
  - {name: every, requesters: ["lambda:invoke"], actions: [list, revoke], images: all, targets: ["111122223333"]}
"#,
            );
        });
        assert!(failed(&every, request));
        assert_eq!(follow(&every, request).outcome.errors[0].resource.as_deref(), Some(SOURCE));
    }
    // There is no such image where the Region says so.
    let gone = world("lent-1", &[]).with(|world| world.copies().source = Fact::Known(None));
    refused(&gone, &revoke(&[ONE]), &["ImageNotFound"]);
}

#[test]
fn a_check_for_a_group_by_its_bare_id_judges_the_key_of_its_rule() {
    #[track_caller]
    fn check(world: &World, group: &str, image_id: Option<&str>, verdict: &str, is_accepted: bool) {
        let (request, requester) = by_id("check", group);
        world.put_as(Authority::Requester(&requester), &request, |case, facts| {
            let request = resolve(case, facts).unwrap();
            let case = Case { request: &request, ..*case };
            let results = decide(&case, facts).into_iter().map(|decision| ImageResult {
                decision,
                steps: Vec::new(),
                lost: Vec::new(),
            });
            let mut outcome = Outcome::new("id", Status::Completed);
            report(&mut outcome, &case, facts, results.collect(), "eu-west-1");
            let [row] = &outcome.images[..] else { panic!("{outcome:#?}") };
            assert_eq!(row.image_id.as_ref().map(ImageId::as_str), image_id, "{outcome:#?}");
            assert_eq!(row.keys.len(), 1, "{outcome:#?}");
            assert_eq!(
                (row.keys[0].key_arn.to_string().as_str(), json!(row.keys[0])["verdict"].as_str()),
                (KEY, Some(verdict))
            );
            assert_eq!(row.targets[0].accepted, Some(is_accepted), "{outcome:#?}");
        });
    }
    let open = parsed(&with(
        open_to(&[]),
        allow("*", "kms:*").when(json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}})),
    ));
    for group in ["o-a1b2c3d4e5", "ou-ab12-11111111"] {
        let closed = world("grouped-1", &[]);
        check(&closed, group, None, "missing", false);
        // One under another key is not the copy of the rule.
        let grouped = |key| Image { name: Some("grouped-1".to_owned()), ..copy(key, ImageState::Available) };
        check(&closed.clone().made(COPY, grouped(OTHER_KEY)), group, None, "missing", false);
        let there = closed.made(COPY, grouped(KEY));
        check(&there, group, Some(COPY), "missing", false);
        if group.starts_with("o-") {
            let open = there.with(|world| world.key().policy = Fact::Known(open.clone()));
            check(&open, group, Some(COPY), "allowed", true);
        }
    }
}

#[test]
fn a_group_by_its_bare_id_is_also_known_by_what_waits() {
    let stranger = "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-zzzz-99999999";
    let mut record = recorded(&[ONE], "somebody", 0, in_days(1));
    record.request.targets[0].target = target(stranger);
    let world = world("grouped-1", &[]).waiting(record);
    let (request, requester) = by_id("revoke", "ou-zzzz-99999999");
    world.put_as(Authority::Requester(&requester), &request, |case, facts| {
        let request = resolve(case, facts).unwrap();
        assert_eq!(request.targets[0].target, target(stranger));
        let case = Case { request: &request, ..*case };
        let decisions = decide(&case, facts);
        let steps = plan(&case, &decisions[0], &facts.images[decisions[0].image_id], facts);
        assert!(steps.iter().any(|step| step.call() == "scheduler:DeleteSchedule"), "{steps:?}");
    });
    // A check is about the copy that is there, if only that can say whether it is shared.
    let shared = Fact::Known(vec![LaunchPermission::To(target(stranger))]);
    let copied = Image { launch_permissions: shared, ..copy(OTHER_KEY, ImageState::Available) };
    let (request, requester) = by_id("check", "ou-zzzz-99999999");
    world.made(COPY, copied).put_as(Authority::Requester(&requester), &request, |case, facts| {
        let request = resolve(case, facts).unwrap();
        let case = Case { request: &request, ..*case };
        let codes: Vec<_> = decide(&case, facts)[0].refusals().iter().map(|refusal| refusal.code.to_string()).collect();
        assert_eq!(codes, ["TargetNotAllowed"]);
    });
}

#[test]
fn a_check_under_several_keys_is_about_the_copy_under_each() {
    let other = "arn:aws:kms:eu-west-1:999988887777:key/11111111-12ab-34cd-56ef-1234567890ab";
    let both = world("copied-1", &[ONE, THREE]).with(|world| {
        let key = world.key().clone();
        world.keys.insert(other.parse().unwrap(), key);
    });
    let shared = Fact::Known(vec![LaunchPermission::To(target(ONE))]);
    let there = both
        .made(COPY, Image { launch_permissions: shared, ..copy(KEY, ImageState::Available) })
        .made(OTHER_COPY, copy(other, ImageState::Available));
    let check = follow(&there, &ask("check", &[ONE, THREE], json!({}))).outcome;
    let rows = check.images.iter().flat_map(|row| {
        row.targets.iter().map(|it| format!("{} {} {}", row.image_id.as_ref().unwrap(), it.target, json!(it.state)))
    });
    let expect = [
        format!("{COPY} {ONE} \"shared\""),
        format!("{COPY} {THREE} \"not-shared\""),
        format!("{OTHER_COPY} {ONE} \"not-shared\""),
        format!("{OTHER_COPY} {THREE} \"not-shared\""),
    ];
    assert_eq!(rows.collect::<Vec<_>>(), expect);
    assert!(check.images.iter().flat_map(|row| &row.targets).all(|it| it.accepted == Some(false)));
    assert!(check.refusals.iter().all(|refusal| refusal.code.to_string() == "CopyNotPossible"), "{check:#?}");
    // Whom no rule covers has no say in it.
    let stranger = follow(&there, &ask("check", &[THREE, "444455556666"], json!({}))).outcome;
    let ids: Vec<_> = stranger.images.iter().map(|row| row.image_id.clone()).collect();
    assert_eq!(ids, [Some(id(OTHER_COPY))], "{stranger:#?}");
    // A share is refused also where both copies are there.
    refused(&there, &share(&[ONE, THREE]), &["CopyNotPossible"]);
}

#[test]
fn a_refusal_names_the_field_of_the_request_and_what_it_names() {
    // Two images. The first has two copies, and no rule covers either of them. The second has none.
    let second: ImageId = id("ami-0000000b");
    let request = json!({"action": "revoke", "imageIds": [SOURCE, second], "accountIds": [ONE], "copyFrom": REGION});
    let world = world("other-1", &[])
        .made(COPY, Image { name: None, ..copy(KEY, ImageState::Available) })
        .made(OTHER_COPY, Image { name: None, ..copy(KEY, ImageState::Available) })
        .with(|world| {
            let gone = Copies { source: Fact::Known(None), waiting: Fact::Known(Vec::new()), ..Copies::default() };
            world.copies.insert(second.clone(), gone);
        });
    let refusals = follow(&world, &request).outcome.refusals;
    let told: Vec<_> = refusals
        .iter()
        .map(|it| (it.code.to_string(), it.image_id.as_ref().unwrap().to_string(), it.pointer.clone().unwrap()))
        .collect();
    let expect = [("ActionNotAllowed", SOURCE, "/action"), ("ImageNotFound", second.as_str(), "/imageIds/1")];
    assert_eq!(told, expect.map(|(code, id, at)| (code.to_owned(), id.to_owned(), at.to_owned())));
    // The place is that of the image that it is a copy of, whatever is wrong with the copy.
    let foreign = Image { owner: account(TWO), name: Some("lent-1".to_owned()), ..copy(KEY, ImageState::Available) };
    let later = json!({"action": "revoke", "imageIds": [second, SOURCE], "accountIds": [ONE], "copyFrom": REGION});
    let refusals = follow(&world.clone().made(COPY, foreign), &later).outcome.refusals;
    let place = refusals.iter().find(|it| it.code.to_string() == "ImageNotOwned").map(|it| it.pointer.as_deref());
    assert_eq!(place, Some(Some("/imageIds/1")), "{refusals:#?}");
    // What is said of a copy that the requester may see is said of the copy.
    let disabled = Image { name: Some("lent-1".to_owned()), ..copy(OTHER_KEY, ImageState::Available) };
    let request = json!({"action": "revoke", "imageIds": [second, SOURCE], "accountIds": [THREE], "copyFrom": REGION});
    let refusals = follow(&world.made(COPY, disabled), &request).outcome.refusals;
    assert!(refusals.iter().any(|it| it.pointer.as_deref() == Some("/imageIds/0")), "{refusals:#?}");
}

#[test]
fn a_check_is_about_the_copy_also_where_a_term_of_the_rule_is_not_met() {
    let world = world("lent-1", &[ONE]).made(COPY, copy(KEY, ImageState::Available));
    let until = json!({"expiresAt": "2026-12-01T12:00:00Z"});
    for more in [until.clone(), json!({}), json!({"access": "copy", "expiresAt": "2026-12-01T12:00:00Z"})] {
        let followed = follow(&world, &ask("check", &[ONE], more.clone()));
        let rows = &followed.outcome.images;
        assert_eq!(rows.iter().map(|row| row.image_id.clone()).collect::<Vec<_>>(), [Some(id(COPY))], "{more}");
        assert_eq!(followed.refusals.is_empty(), more == until, "{more}: {:?}", followed.refusals);
    }
}
