//! Which accounts use an image: when a report is shown, awaited or started, and whose numbers a requester sees. Rows of
//! facts, without AWS.

use ami_share_testing::worlds::{IMAGE, NOW, ONE, TWO, World, account, decide, denied, expiry};
use serde_json::{Value, json};
use sharing::{
    decide::{Authority, Case, NextReport, admit},
    facts::{Fact, Facts, Failure, ReportState, UsageEntry, UsageReport, UsageReports},
    outcome::{Outcome, Status, StepState, to_text},
    plan::{Step, plan},
    progress::{ImageResult, StepResult},
    read_plan::{Need, ReadPlan, UsageReads, further, reports_to_open},
    report::report,
    request::Request,
};
use time::{Duration, OffsetDateTime};

/// An account that only a rule of somebody else names, and one that no rule names.
const OTHERS: [&str; 2] = ["333344445555", "777788889999"];
const INSTANCE: &str = "ec2:Instance";
const TEMPLATE: &str = "ec2:LaunchTemplate";
const TYPES: [&str; 4] = [INSTANCE, TEMPLATE, "imagebuilder:ImageRecipe", "imagebuilder:ContainerRecipe"];

fn ago(hours: i64) -> OffsetDateTime {
    NOW - Duration::hours(hours)
}

/// A report about everything that was asked for so many hours ago.
fn made(id: &str, state: ReportState, hours: i64) -> UsageReport {
    UsageReport {
        id: id.to_owned(),
        image_id: IMAGE.parse().unwrap(),
        resource_types: TYPES.map(str::to_owned).into(),
        is_about_some_accounts: false,
        state,
        created: ago(hours),
        entries: Fact::NotRead,
    }
}

fn available(id: &str, hours: i64) -> UsageReport {
    made(id, ReportState::Available, hours)
}

fn of_some_types(report: UsageReport, types: &[&str]) -> UsageReport {
    UsageReport { resource_types: types.iter().map(|name| (*name).to_owned()).collect(), ..report }
}

fn of_some_accounts(report: UsageReport) -> UsageReport {
    UsageReport { is_about_some_accounts: true, ..report }
}

fn entry(of: &str, resource_type: &str, count: u64) -> UsageEntry {
    UsageEntry { account: of.parse().ok(), resource_type: resource_type.to_owned(), count }
}

fn with_entries(report: UsageReport, entries: Vec<UsageEntry>) -> UsageReport {
    UsageReport { entries: Fact::Known(entries), ..report }
}

fn usage() -> Value {
    json!({"action": "usage", "imageIds": [IMAGE]})
}

fn revoke(dry_run: bool) -> Value {
    json!({"action": "revoke", "imageIds": [IMAGE], "accountIds": [TWO], "dryRun": dry_run})
}

/// Calls `look` with a request about an image of that name, on which there are these reports.
fn put<T>(name: &str, request: &Value, reports: UsageReports, look: impl FnOnce(&Case<'_>, &Facts) -> T) -> T {
    World::open(name).put(request, |case, facts| look(case, &Facts { usage_reports: reports, ..facts.clone() }))
}

/// What is done about the next report, with the warnings.
fn next(reports: &[UsageReport]) -> (&'static str, Vec<String>) {
    put("used-1", &usage(), Fact::Known(reports.to_vec()), |case, facts| {
        let decision = decide(case, facts).remove(0);
        let sharing::decide::Decision::Usage(next) = &decision.decision else { panic!("{decision:#?}") };
        let steps = plan(case, &decision, &facts.images[decision.image_id], facts);
        let state = match next {
            NextReport::NotNeeded => "shown",
            NextReport::Awaited => "awaited",
            NextReport::Started { client_token } => {
                let image_id = IMAGE.parse().unwrap();
                assert_eq!(steps, [Step::CreateUsageReport { image_id, client_token: client_token.clone() }]);
                return ("started", decision.warnings);
            }
        };
        assert_eq!(steps, []);
        (state, decision.warnings)
    })
}

#[test]
fn a_report_on_everything_is_shown_for_a_day_and_then_another_is_made() {
    let error = || made("r-2", ReportState::Error("Internal\nerror".to_owned()), 1);
    let partial = || of_some_accounts(available("r-2", 1));
    for (reports, expect) in [
        (vec![], "started"),
        (vec![available("r-1", 0)], "shown"),
        (vec![available("r-1", 24)], "shown"),
        (vec![available("r-1", 25)], "started"),
        (vec![made("r-1", ReportState::Pending, 0)], "awaited"),
        (vec![made("r-1", ReportState::Pending, 100)], "awaited"),
        (vec![available("r-1", 25), made("r-2", ReportState::Pending, 1)], "awaited"),
        // What is fresh answers, whatever comes after it.
        (vec![made("r-2", ReportState::Pending, 1), available("r-1", 20)], "shown"),
        (vec![error()], "started"),
        (vec![error(), available("r-1", 20)], "shown"),
        (vec![made("r-1", ReportState::Other("deleting".to_owned()), 1)], "started"),
        // What doesn't tell everything is awaited, because EC2 makes one report at a time, and then not used.
        (vec![partial()], "started"),
        (vec![of_some_types(available("r-1", 1), &TYPES[..2])], "started"),
        (vec![of_some_types(available("r-1", 1), &[])], "started"),
        (vec![of_some_accounts(made("r-1", ReportState::Pending, 1))], "awaited"),
        (vec![of_some_types(made("r-1", ReportState::Pending, 1), &[INSTANCE])], "awaited"),
        // More types than this version knows are all types.
        (vec![of_some_types(available("r-1", 1), &[&TYPES[..], &["ec2:Fleet"]].concat())], "shown"),
        // A clock that is behind makes no report old.
        (vec![available("r-1", -1)], "shown"),
    ] {
        assert_eq!(next(&reports).0, expect, "{reports:#?}");
    }
    let another = UsageReport { image_id: "ami-0000000b".parse().unwrap(), ..available("r-1", 1) };
    assert_eq!(next(&[another]).0, "started", "a report on another image does not count");
}

#[test]
fn it_is_said_why_the_last_report_came_to_nothing_and_what_is_awaited() {
    let error = made("r-2", ReportState::Error("Internal\nerror".to_owned()), 1);
    let (state, warnings) = next(std::slice::from_ref(&error));
    assert_eq!(state, "started");
    assert!(warnings[0].contains("2026-11-22T11:00:00Z") && warnings[0].contains("Internal"), "{warnings:?}");
    assert!(!warnings[0].contains('\n'));
    assert_eq!(next(&[error, made("r-3", ReportState::Pending, 0)]).1, [""; 0], "the next one is on its way");
    assert_eq!(next(&[]).1, [""; 0]);
    let (_, warnings) = next(&[of_some_accounts(made("r-1", ReportState::Pending, 1))]);
    assert!(warnings[0].contains("that covers only some accounts"), "{warnings:?}");
}

#[test]
fn requests_that_come_upon_the_same_reports_have_the_same_client_token() {
    let token = |reports: Vec<UsageReport>| {
        put("used-1", &usage(), Fact::Known(reports), |case, facts| {
            let decision = decide(case, facts).remove(0).decision;
            let sharing::decide::Decision::Usage(NextReport::Started { client_token }) = decision else { panic!() };
            client_token
        })
    };
    let (old, older) = (|| available("r-1", 30), || available("r-2", 60));
    assert_eq!(token(vec![old(), older()]), token(vec![older(), old()]));
    assert_ne!(token(vec![old(), older()]), token(vec![old()]), "a report that came since is followed by another");
    // "Maximum 64 ASCII characters": https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
    assert!(token(vec![]).len() <= 64 && token(vec![]).is_ascii());
}

/// A row's part about the image's usage.
fn usage_row(name: &str, request: &Value, reports: UsageReports) -> Option<Value> {
    put(name, request, reports, |case, facts| {
        let decision = decide(case, facts).remove(0);
        let mut outcome = Outcome::new("id", Status::Completed);
        report(
            &mut outcome,
            case,
            facts,
            vec![ImageResult { decision, steps: Vec::new(), lost: Vec::new() }],
            "eu-west-1",
        );
        let row: Value = serde_json::from_str(&to_text(&outcome.images[0])).unwrap();
        row.get("usage").cloned()
    })
}

#[test]
fn numbers_are_told_of_accounts_that_the_requesters_rules_name_and_summed_up_of_all_others() {
    let entries = vec![
        entry(TWO, INSTANCE, 3),
        entry(OTHERS[0], INSTANCE, 5),
        entry(ONE, TEMPLATE, 2),
        entry(ONE, INSTANCE, 1),
        entry(OTHERS[1], INSTANCE, 7),
        entry(OTHERS[1], TEMPLATE, 1),
        entry("no account", INSTANCE, 11),
        entry(ONE, "ec2:SomethingNew", 4),
    ];
    let row = |account: Option<&str>, resource_type: &str, count: u64| json!({"accountId": account, "resourceType": resource_type, "count": count});
    let shown =
        usage_row("used-1", &usage(), Fact::Known(vec![with_entries(available("r-1", 3), entries.clone())])).unwrap();
    assert_eq!(shown["asOf"], "2026-11-22T09:00:00Z");
    let expect = [
        row(Some(ONE), INSTANCE, 1),
        row(Some(ONE), TEMPLATE, 2),
        row(Some(ONE), "ec2:SomethingNew", 4),
        row(Some(TWO), INSTANCE, 3),
        row(None, INSTANCE, 23),
        row(None, TEMPLATE, 1),
    ];
    assert_eq!(shown["entries"], json!(expect));
    let missing: Vec<_> = shown["missing"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert!(missing[0].starts_with(INSTANCE) && missing[0].contains("2026-11-21T09:00:00Z"), "{missing:?}");
    assert!(missing[1].starts_with(TEMPLATE) && missing[1].contains("2026-11-22T09:00:00Z"), "{missing:?}");

    // The newest report on everything is shown, however old it is, and a newer one that isn't about everything is not.
    let reports = || {
        vec![
            with_entries(available("r-1", 100), vec![entry(ONE, INSTANCE, 1)]),
            with_entries(available("r-2", 50), vec![entry(ONE, INSTANCE, 2)]),
            with_entries(of_some_accounts(available("r-3", 1)), vec![entry(ONE, INSTANCE, 3)]),
            made("r-4", ReportState::Pending, 0),
        ]
    };
    for request in [usage(), revoke(true)] {
        let shown = usage_row("used-1", &request, Fact::Known(reports())).unwrap();
        assert_eq!((&shown["asOf"], &shown["entries"][0]["count"]), (&json!("2026-11-20T10:00:00Z"), &json!(2)));
    }
    // Nobody uses it.
    assert_eq!(
        usage_row("used-1", &usage(), Fact::Known(vec![with_entries(available("r-1", 3), vec![])])).unwrap()["entries"],
        json!([])
    );
    assert_eq!(usage_row("used-1", &usage(), Fact::Known(vec![made("r-4", ReportState::Pending, 0)])), None);
    assert_eq!(usage_row("used-1", &revoke(false), Fact::NotRead), None);
}

/// The result of a request if its step ended so, and whether anything changed.
fn result(request: &Value, reports: Vec<UsageReport>, state: StepState) -> (Status, bool, bool) {
    put("used-1", request, Fact::Known(reports), |case, facts| {
        let decision = decide(case, facts).remove(0);
        let steps = plan(case, &decision, &facts.images[decision.image_id], facts);
        let error = |state| (state == StepState::Failed).then(|| denied("ec2:CreateImageUsageReport"));
        let taken = |step| StepResult { error: error(state), ..StepResult::new(step, state) };
        let steps = steps.into_iter().map(taken).collect();
        let mut outcome = Outcome::new("id", Status::Completed);
        report(&mut outcome, case, facts, vec![ImageResult { decision, steps, lost: Vec::new() }], "eu-west-1");
        (outcome.result, outcome.images[0].changed, outcome.retryable)
    })
}

#[test]
fn what_is_started_or_awaited_is_accepted() {
    let pending = || vec![made("r-1", ReportState::Pending, 0)];
    let mut dry = usage();
    dry["dryRun"] = json!(true);
    for (request, reports, state, expect) in [
        (usage(), vec![], StepState::Done, (Status::Accepted, true, false)),
        (usage(), pending(), StepState::Done, (Status::Accepted, false, false)),
        (usage(), vec![available("r-1", 1)], StepState::Done, (Status::Completed, false, false)),
        (usage(), vec![], StepState::Failed, (Status::Failed, false, false)),
        (dry.clone(), vec![], StepState::Planned, (Status::Planned, true, false)),
        (dry, pending(), StepState::Planned, (Status::Planned, false, false)),
    ] {
        assert_eq!(result(&request, reports, state), expect, "{request} {state:?}");
    }
}

fn reads(name: &str, request: &Value) -> ReadPlan {
    put(name, request, Fact::NotRead, further)
}

#[test]
fn reports_are_read_where_they_are_asked_for_and_nothing_else_is() {
    let images = vec![IMAGE.parse().unwrap()];
    let required = UsageReads { images: images.clone(), need: Need::Required };
    assert_eq!(reads("used-1", &usage()), ReadPlan { usage: required, ..ReadPlan::default() });
    // Nothing is held up in the dry run of a revoke; a revoke itself does not ask.
    assert_eq!(reads("used-1", &revoke(true)).usage, UsageReads { images, need: Need::Optional });
    let share = json!({"action": "share", "imageIds": [IMAGE], "accountIds": [TWO], "dryRun": true});
    for request in [revoke(false), share, json!({"action": "list", "imageIds": [IMAGE]})] {
        assert_eq!(reads("used-1", &request).usage, UsageReads::default(), "{request}");
    }
    // Whose rules don't list `usage` may not ask for a report. Who may revoke sees in the dry run what there is.
    assert_eq!(reads("golden-1", &usage()), ReadPlan::default());
    assert_eq!(reads("golden-1", &revoke(true)).usage.need, Need::Optional);
    let foreign = World::open("used-1").with(|world| world.image.owner = account(TWO));
    assert_eq!(foreign.put(&usage(), further), ReadPlan::default());
    // Nobody looks at the dry run of an expiry.
    let own = expiry(TWO, NOW);
    let request = Request::parse(&key_policy::json::Json::parse(&revoke(true).to_string()).unwrap(), NOW).unwrap();
    let plan = World::open("used-1").put_as(Authority::Expiry(&own), &request, further);
    assert_eq!(plan.usage, UsageReads::default());
}

#[test]
fn of_each_image_the_newest_report_on_everything_is_opened() {
    let reads =
        UsageReads { images: vec![IMAGE.parse().unwrap(), "ami-0000000b".parse().unwrap()], need: Need::Required };
    let other = UsageReport { image_id: "ami-0000000b".parse().unwrap(), ..available("r-9", 90) };
    let foreign = UsageReport { image_id: "ami-0000000c".parse().unwrap(), ..available("r-0", 1) };
    let reports =
        vec![available("r-1", 30), available("r-2", 20), of_some_accounts(available("r-3", 10)), other, foreign];
    assert_eq!(reports_to_open(&reads, &Fact::Known(reports)), ["r-2", "r-9"]);
    assert_eq!(reports_to_open(&reads, &Fact::Known(vec![made("r-1", ReportState::Pending, 0)])), [""; 0]);
    assert_eq!(reports_to_open(&reads, &Fact::Failed(denied("x"))), [""; 0]);
}

#[test]
fn a_requester_without_a_rule_for_it_gets_no_numbers() {
    let codes = |name: &str| {
        put(
            name,
            &usage(),
            Fact::Known(vec![with_entries(available("r-1", 1), vec![entry(ONE, INSTANCE, 1)])]),
            |case, facts| {
                assert_eq!(admit(case), []);
                let decision = decide(case, facts).remove(0);
                let codes: Vec<_> = decision.refusals().iter().map(|refusal| refusal.code.to_string()).collect();
                let mut outcome = Outcome::new("id", Status::Completed);
                report(
                    &mut outcome,
                    case,
                    facts,
                    vec![ImageResult { decision, steps: Vec::new(), lost: Vec::new() }],
                    "eu-west-1",
                );
                assert_eq!((outcome.result, outcome.images.len()), (Status::Refused, 0));
                codes
            },
        )
    };
    assert_eq!(codes("golden-1"), ["ActionNotAllowed"]);
}

#[test]
fn a_dry_run_says_where_it_is_not_known_who_uses_the_image() {
    let warnings = |reports: UsageReports| {
        put("used-1", &revoke(true), reports, |case, facts| {
            let decision = decide(case, facts).remove(0);
            assert_eq!(decision.gaps(), [] as [Failure; 0], "a revoke is not held up");
            decision.warnings
        })
    };
    let failed = |call| warnings(Fact::Failed(denied(call)));
    assert!(failed("ec2:DescribeImageUsageReports")[0].contains("who uses ami-1a2b3c4d could not be read"));
    let entries = Fact::Failed(denied("ec2:DescribeImageUsageReportEntries"));
    let of_entries = warnings(Fact::Known(vec![UsageReport { entries, ..available("r-1", 90) }]));
    assert!(of_entries[0].contains("DescribeImageUsageReportEntries"), "{of_entries:?}");
    assert_eq!(warnings(Fact::NotRead), [""; 0]);
    assert_eq!(warnings(Fact::Known(vec![])), [""; 0]);
}
