//! What a revoke takes away of copies and of what waits, and who may take it back.

use super::*;

#[test]
fn a_revoke_reaches_every_copy_and_what_waits() {
    let later = NOW + Duration::hours(1);
    let open = || {
        let shared = || Fact::Known(vec![LaunchPermission::To(target(ONE)), LaunchPermission::To(target(TWO))]);
        let image = |key| Image { launch_permissions: shared(), ..copy(key, ImageState::Available) };
        world("lent-1", &[])
            .made(COPY, image(KEY))
            .made(OTHER_COPY, image(OTHER_KEY))
            .made("ami-0000000e", copy(KEY, ImageState::Pending))
            .with(|world| {
                // Both copies are on snapshots of their own.
                let other = world.copies().images.get_mut(&id(OTHER_COPY)).unwrap();
                other.snapshots.clear();
                world.copies().images.get_mut(&id(COPY)).unwrap().snapshots.clear();
            })
    };
    let remove = |copy_id: &str| format!("ec2:ModifyImageAttribute {copy_id} -{ONE}");
    let both = recorded(&[ONE, TWO], "somebody", 0, later);
    let followed = follow(&open().waiting(both.clone()), &revoke(&[ONE]));
    let left = both.without(&[target(ONE)]).unwrap();
    let mut steps = followed.steps.clone();
    steps.sort();
    let mut expect = vec![
        remove(COPY),
        remove(OTHER_COPY),
        format!("scheduler:CreateSchedule {} +{TWO}", left.name),
        format!("scheduler:DeleteSchedule {} -{ONE}", both.name),
    ];
    expect.sort();
    // What only waits has no launch permission to remove.
    let without_snapshots: Vec<_> = steps.into_iter().filter(|step| !step.contains("ModifySnapshot")).collect();
    assert_eq!(without_snapshots, expect);
    assert_eq!(followed.outcome.result, Status::Completed);
    assert!(followed.targets().contains(&format!("{ONE} revoked")), "{:?}", followed.targets());
}

#[test]
fn what_waits_is_taken_back_with_an_image_that_the_request_may_be_about() {
    let later = NOW + Duration::hours(1);
    // Who asked for it takes nothing else back either.
    for requester in ["somebody", "lambda:invoke"] {
        // The first of them is none of ours.
        let foreign = Image { owner: account(THREE), ..copy(KEY, ImageState::Pending) };
        let open = world("lent-1", &[]).made(COPY, foreign).made(OTHER_COPY, copy(KEY, ImageState::Pending));
        let followed = follow(&open.waiting(recorded(&[ONE], requester, 0, later)), &revoke(&[ONE]));
        assert_eq!(followed.refusals, ["ImageNotOwned"], "{requester}");
        assert_eq!(followed.steps.last(), Some(&format!("{} -{ONE}", delete(&[ONE], requester))));
    }
}

#[test]
fn a_revoke_of_what_only_waits_deletes_its_record() {
    let later = NOW + Duration::hours(1);
    let open = world("lent-1", &[]).waiting(recorded(&[ONE], "somebody", 0, later));
    let followed = follow(&open, &revoke(&[ONE]));
    assert_eq!(followed.steps, [format!("{} -{ONE}", delete(&[ONE], "somebody"))]);
    assert_eq!((followed.outcome.result, followed.targets()), (Status::Completed, vec![format!("{ONE} revoked")]));
    // Nothing will be made, so it is about no key.
    assert_eq!(followed.outcome.images[0].key_arns, []);
    let nothing = follow(&world("lent-1", &[]), &revoke(&[ONE]));
    assert_eq!((nothing.steps.len(), nothing.targets()), (0, vec![format!("{ONE} not-shared")]));
    // It needs nothing of the Region of the image, whose name a rule about every image does not ask for.
    refused(&open.with(|it| it.copies().source = Fact::Known(None)), &revoke(&[ONE]), &["ActionNotAllowed"]);
}

#[test]
fn who_asked_may_take_back_what_waits_without_the_right_to_revoke() {
    let later = NOW + Duration::hours(1);
    let own = || recorded(&[ONE, TWO], "lambda:invoke", 0, later);
    let open = || world("copied-1", &[]).waiting(own());
    let followed = follow(&open(), &revoke(&[TWO]));
    assert_eq!(followed.refusals, [""; 0]);
    let left = own().without(&[target(TWO)]).unwrap();
    let create = format!("scheduler:CreateSchedule {} +{ONE}", left.name);
    assert_eq!(followed.steps, [create, format!("{} -{TWO}", delete(&[ONE, TWO], "lambda:invoke"))]);
    assert_eq!(followed.targets(), [format!("{TWO} revoked")]);
    // Nothing of what is there is taken away, and nothing of others.
    let there = open().made(COPY, copy(KEY, ImageState::Available));
    assert_eq!(
        follow(&there, &revoke(&[ONE, TWO])).steps,
        [format!("{} -{ONE} -{TWO}", delete(&[ONE, TWO], "lambda:invoke"))]
    );
    let others = world("copied-1", &[]).waiting(recorded(&[ONE], "somebody", 0, later));
    refused(&others, &revoke(&[ONE]), &["ActionNotAllowed"]);
    refused(&open(), &revoke(&[ONE, THREE]), &["ActionNotAllowed"]);
    // It is no right to anything else.
    let stranger = "444455556666";
    let asked = world("copied-1", &[]).waiting(recorded(&[stranger], "lambda:invoke", 0, later));
    let check = ask("check", &[stranger], json!({}));
    assert_eq!(follow(&asked, &check).refusals, [format!("TargetNotAllowed {stranger}")]);
}

#[test]
fn who_may_have_asked_for_what_waits_is_let_in_to_take_it_back_and_for_nothing_else() {
    const RULES: &str = r#"
version: 1
rules:
  - {name: plain, requesters: ["jwt:https://i#bob"], actions: [share], images: {names: ["a-*"]}, targets: ["111122223333"]}
  - name: copies
    requesters: ["jwt:https://i#cay"]
    actions: [share]
    images: {names: ["b-*"]}
    targets: ["111122223333"]
    copies: {from: [eu-north-1], key: "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
"#;
    let (bob, cay, eve) = ("jwt:https://i#bob", "jwt:https://i#cay", "jwt:https://i#eve");
    for (who, action, copy_from, expect) in [
        (bob, Action::Revoke, Some(REGION), None),
        (cay, Action::Revoke, Some(REGION), None),
        (eve, Action::Revoke, Some(REGION), Some("RequesterNotAllowed")),
        // What it names may be a copy only if a rule of the requester has made one.
        (bob, Action::Revoke, None, Some("ActionNotAllowed")),
        (cay, Action::Revoke, None, None),
        (eve, Action::Revoke, None, Some("RequesterNotAllowed")),
        (cay, Action::Reset, None, Some("ActionNotAllowed")),
        (cay, Action::List, Some(REGION), Some("ActionNotAllowed")),
        (bob, Action::List, Some(REGION), Some("ActionNotAllowed")),
        (bob, Action::Share, None, None),
    ] {
        let copy_from = copy_from.map(|region| region.parse().unwrap());
        let request = Request { copy_from, ..Request::bare(action, id(SOURCE)) };
        let world = World::open("a-1").with(|world| world.allowlist = RULES.to_owned());
        let refusals = world.put_as(Authority::Requester(&by(who)), &request, |case, _| admit(case));
        let code = refusals.first().map(|refusal| refusal.code.to_string());
        assert_eq!(code.as_deref(), expect, "{who} {action}");
    }
}

#[test]
fn a_revoke_takes_what_a_rule_allows_and_of_the_rest_what_the_requester_asked_for() {
    let world = world("copied-1", &[]).with(|world| {
        world.allowlist.push_str(
            r#"
  - {name: partly, requesters: ["lambda:invoke"], actions: [revoke], images: {names: ["copied-*"]}, targets: ["111122223333"]}
"#,
        );
    });
    let own = world.waiting(recorded(&[ONE, TWO], "lambda:invoke", 0, NOW + Duration::hours(1)));
    let followed = follow(&own, &revoke(&[ONE, TWO]));
    assert_eq!(followed.refusals, [""; 0]);
    assert_eq!(followed.steps, [format!("{} -{ONE} -{TWO}", delete(&[ONE, TWO], "lambda:invoke"))]);
    assert_eq!(followed.targets(), [format!("{ONE} revoked"), format!("{TWO} revoked")]);
    refused(&own, &revoke(&[ONE, THREE]), &[&format!("TargetNotAllowed {THREE}")]);
}
