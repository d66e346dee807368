//! However much was read or sent, an answer stays under 1 MB and a judgement within its time: hostile worlds, without AWS.

use std::cell::Cell;

use ami_share_testing::worlds::{ONE, TWO, World};
use key_policy::KeyAccess;
use serde_json::json;
use sharing::{
    decide::{Judgements, decide},
    domain::Target,
    outcome::{
        CopyRow, ErrorCode, ErrorRow, Finding, FindingCode, ImageRow, KeyRow, LaunchRow, Outcome, Permissions, Refusal,
        RefusalCode, Status, StepRow, StepState, TargetRow, TargetState, UsageEntryRow, UsageRow,
    },
};
use triggers::{LONGEST_ANSWER, Reply, Trigger, reply};

const MOST: usize = 1_000_000;

fn target(number: usize) -> Target {
    format!("{number:012}").parse().unwrap()
}

fn image(number: usize) -> ImageRow {
    ImageRow {
        image_id: Some(format!("ami-{number:017x}").parse().unwrap()),
        copy_of: None,
        copy: None,
        name: Some("golden".to_owned()),
        region: "eu-west-1".to_owned(),
        tags: Default::default(),
        shared_tags: Vec::new(),
        watermarks: Vec::new(),
        scan: None,
        key_arns: Vec::new(),
        changed: false,
        rule: Some("portal".to_owned()),
        steps: Vec::new(),
        targets: Vec::new(),
        keys: Vec::new(),
        permissions: None,
        catalogue: None,
        usage: None,
    }
}

/// Checks that no trigger's answer to this outcome is too long, and that it says what was left out.
#[track_caller]
fn check(what: &str, outcome: &Outcome) {
    assert!(outcome.to_text().len() > MOST, "{what} is too small to show anything");
    for trigger in [Trigger::Http { allow: None }, Trigger::Direct, Trigger::EventBridge] {
        let answer = match reply(trigger, outcome.clone()) {
            Ok(Reply::Outcome(written)) => written.into_text(),
            Ok(Reply::Document(document)) => document.to_string(),
            Err(error) => json!(error.error_message).to_string(),
        };
        assert!(answer.len() < MOST, "{what}: {} bytes at {trigger:?}", answer.len());
        assert_eq!(answer.matches("shortened: the outcome was too long").count(), 1, "{what}");
    }
}

#[test]
fn an_answer_has_less_than_a_megabyte_whatever_was_read_or_sent() {
    let statement = json!([{"Sid": "\"\\".repeat(50), "Condition": {"StringEquals": {"aws:PrincipalOrgPaths": vec!["o-a1b2c3d4e5/*"; 1_500]}}}]);
    let key = |number: usize, of: usize| KeyRow {
        key_arn: format!("arn:aws:kms:eu-west-1:999988887777:key/{number:08}-1111-2222-3333-444444444444")
            .parse()
            .unwrap(),
        target: target(of),
        grant: None,
        access: KeyAccess { remedy: Some(statement.clone()), ..KeyAccess::unknown("note ".repeat(200)) }.into(),
        roles: Vec::new(),
    };
    let outcome = |images, result| Outcome { images, ..Outcome::new("id", result) };
    let keys = (0..20).flat_map(|number| (0..4).map(move |of| (number, of))).map(|(number, of)| key(number, of));
    check("remedies", &outcome(vec![ImageRow { keys: keys.collect(), ..image(1) }], Status::Completed));

    let launch = |number| LaunchRow { kind: "account", id: target(number).to_string() };
    let permissions = Permissions {
        launch: (0..1_000).map(launch).collect(),
        copy: (0..2)
            .map(|number| CopyRow {
                snapshot_id: format!("snap-{number:017x}").parse().unwrap(),
                account_ids: Some((0..1_000).map(|number| target(number).account().unwrap()).collect()),
            })
            .collect(),
    };
    let row = |number| TargetRow {
        target: target(number),
        name: None,
        state: TargetState::Shared,
        launch: None,
        accepted: None,
        expires_at: None,
        rule: Some("portal".to_owned()),
        detail: None,
    };
    let targets: Vec<_> = (0..1_000).map(row).collect();
    let listed =
        |number| ImageRow { permissions: Some(permissions.clone()), targets: targets.clone(), ..image(number) };
    check("a list", &outcome((0..10).map(listed).collect(), Status::Completed));

    let entry = |number: usize| UsageEntryRow {
        account_id: (number > 3).then(|| target(number).account()).flatten(),
        resource_type: "ec2:LaunchTemplate".to_owned(),
        count: u64::MAX,
    };
    let usage = UsageRow {
        as_of: time::OffsetDateTime::UNIX_EPOCH,
        entries: (0..1_000).rev().map(entry).collect(),
        missing: Vec::new(),
    };
    let used = |number| ImageRow { usage: Some(usage.clone()), ..image(number) };
    let mut outcome_of_usage = outcome((0..50).map(used).collect(), Status::Completed);
    check("usage", &outcome_of_usage);
    // The sums of the accounts that are not named stay.
    outcome_of_usage.write_within(LONGEST_ANSWER);
    let entries = &outcome_of_usage.images[49].usage.as_ref().unwrap().entries;
    assert!((5..1_000).contains(&entries.len()), "{}", entries.len());
    assert_eq!(entries.iter().filter(|entry| entry.account_id.is_none()).count(), 4);

    let tags: std::collections::BTreeMap<_, _> =
        (0..50).map(|number| (format!("{number:03}{}", "\"".repeat(125)), "☂".repeat(256))).collect();
    let tags: std::collections::BTreeMap<_, _> = tags;
    let tagged = |number| ImageRow { tags: tags.clone(), ..image(number) };
    check("tags", &outcome((0..50).map(tagged).collect(), Status::Completed));

    let step = |number| StepRow {
        call: "kms:CreateGrant",
        resource: "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab".to_owned(),
        grant_name: Some("ami-share/ami-0123456789abcdef0/111122223333".to_owned()),
        add: vec![target(number)],
        remove: Vec::new(),
        state: StepState::Done,
        detail: None,
    };
    let steps = ImageRow { steps: (0..5_000).map(step).collect(), ..image(1) };
    check("steps", &outcome(vec![steps], Status::Incomplete));

    let refusals =
        (0..100).map(|_| Refusal::new(RefusalCode::KeyAccessMissing, "x").remedy("statement ".repeat(3_000)));
    check("refusals", &Outcome::refused("id", refusals.collect()));
    let error = |_| ErrorRow {
        code: ErrorCode::Throttled,
        call: Some("kms:ListGrants"),
        resource: Some("x".repeat(2_000)),
        message: "y".repeat(2_000),
        retryable: true,
    };
    check("errors", &Outcome { errors: (0..400).map(error).collect(), ..Outcome::new("id", Status::Failed) });
    check("a warning", &Outcome { warnings: vec!["w".repeat(2 * MOST)], ..Outcome::new("id", Status::Completed) });
    check(
        "a message",
        &Outcome::refused("id", vec![Refusal::new(RefusalCode::MalformedRequest, "\"".repeat(2 * MOST))]),
    );
    let finding = |number| Finding {
        code: FindingCode::KeyAccessLost,
        image_id: format!("ami-{number:017x}").parse().unwrap(),
        target: None,
        message: String::new(),
        remedy: "statement ".repeat(3_000),
    };
    check(
        "findings",
        &Outcome { findings: Some((0..60).map(finding).collect()), ..Outcome::new("id", Status::Completed) },
    );
}

#[test]
fn the_refusal_that_decides_the_status_is_never_cut_away() {
    let mut refusals: Vec<_> =
        (0..2_500).map(|_| Refusal::new(RefusalCode::KeyAccessMissing, "x").remedy("statement ".repeat(60))).collect();
    refusals.push(Refusal::new(RefusalCode::TargetNotAllowed, "no"));
    let mut outcome = Outcome::refused("id", refusals);
    outcome.write_within(LONGEST_ANSWER);
    assert_eq!(outcome.deciding_refusal().map(|refusal| refusal.code), Some(RefusalCode::TargetNotAllowed));
}

#[test]
fn a_key_is_judged_once_for_each_target_however_many_images_are_on_it() {
    let images: Vec<_> = (0..50).map(|number| format!("ami-{number:08x}")).collect();
    for (name, judged) in [("golden-1", 2), ("granted-1", 4)] {
        let request = json!({"action": "share", "imageIds": images, "accountIds": [ONE, TWO]});
        World::encrypted(name, &[]).put(&request, |question, facts| {
            let mut facts = facts.clone();
            let image = facts.images.values().next().unwrap().clone();
            facts.images = question.request.image_ids.iter().map(|id| (id.clone(), image.clone())).collect();
            let judgements = Judgements::until(&|| false);
            let decisions = decide(question, &facts, &judgements).unwrap();
            assert_eq!((decisions.len(), judgements.count()), (50, judged), "{name}");
            // Each image has its own grant, and says so.
            for decision in &decisions {
                let named = |text: String| text.contains(decision.image_id.as_str());
                let mut grants = decision.prerequisites().into_iter().flat_map(|first| &first.grants);
                assert!(grants.all(|grant| named(grant.name.to_string())));
                let mut names = decision.keys().iter().filter_map(|key| Some(key.with_grant.as_ref()?.0.to_string()));
                assert!(names.all(named));
            }
        });
    }
}

#[test]
fn where_time_runs_out_between_two_judgements_nothing_is_decided() {
    let share = json!({"action": "share", "imageIds": ["ami-1a2b3c4d"], "accountIds": [ONE, TWO]});
    World::encrypted("golden-1", &[ONE, TWO]).put(&share, |question, facts| {
        let asked = Cell::new(0);
        let is_over = || {
            asked.set(asked.get() + 1);
            asked.get() > 1
        };
        let error = decide(question, facts, &Judgements::until(&is_over)).unwrap_err();
        assert_eq!((error.code, error.retryable, asked.get()), (ErrorCode::OutOfTime, true, 2));
    });
}
