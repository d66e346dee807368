//! Which rules cover a copy: for every action and the audit by its own name and tags, and if none does, by those of its
//! source. Without AWS.

use std::collections::BTreeMap;

use ami_share_testing::worlds::*;
use serde_json::{Value, json};
use sharing::{
    allowlist::Allowlist,
    decide::{
        Case, Decision, ImageDecision, automatic_rules, automatic_shares, covering_rules, named_accounts, permitted,
        unsettled,
    },
    domain::{ImageId, ParameterName, Requester},
    facts::{
        CopyRecord, Fact, Facts, Failure, Image, ImageState, Lineage, Naming, Parameter, Provenance, RegionalImage,
    },
    outcome::{ErrorCode, Outcome, Status},
    plan::plan,
    progress::ImageResult,
    read_plan::{self, Need},
    records::{name_of_waiting, waiting_request},
    report::report,
    request::{Action, Request},
};

const REGION: &str = "eu-west-1";
const THREE: &str = "333344445555";
/// The name that a copy gets where that of its source is taken.
const NAMED_ANEW: &str = "golden-1-0a1b2c3d";
const RULES: &str = r#"
version: 1
rules:
  - name: everything
    requesters: ["lambda:invoke"]
    actions: [list, check, audit, repair, usage]
    images: all
    targets: ["222233334444"]
  - name: exact
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check, usage, audit, repair]
    images: {names: ["golden-1"]}
    targets: ["111122223333"]
    copies: {from: [eu-west-1], key: "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
    publish: {parameter: "/golden/latest"}
  - name: internal
    requesters: ["lambda:invoke"]
    actions: [share, revoke]
    images: {names: ["internal-*"]}
    targets: ["333344445555"]
  - name: by-itself
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["golden-1"]}
    targets: ["111122223333"]
    onAvailable: true
  - name: internal-by-itself
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["internal-*"]}
    targets: ["333344445555"]
    onAvailable: true
"#;

fn naming(name: &str) -> Naming {
    Naming { name: Some(name.to_owned()), tags: BTreeMap::new() }
}

fn source() -> RegionalImage {
    RegionalImage { region: REGION.parse().unwrap(), id: "ami-0000000a".parse().unwrap() }
}

/// A copy that is shared with [`ONE`], whose source is of this name if it was read.
fn copy(name: &str, said: Fact<Option<Provenance>>, source_name: Option<&str>) -> World {
    World::encrypted(name, &[ONE, TWO, THREE]).shared_with(&[ONE]).with(|world| {
        let lineage = Lineage::CopyOf { source: source(), said: Box::new(said) };
        world.image.provenance = Provenance { lineage, created: Some(NOW), ..Provenance::default() };
        world.image.source_naming = source_name.map(naming);
        world.image.waiting = Fact::Known(Vec::new());
    })
}

fn named_anew() -> World {
    copy(NAMED_ANEW, Fact::Known(Some(Provenance::default())), Some("golden-1"))
}

fn unread(retryable: bool) -> Fact<Option<Provenance>> {
    let message = "EC2 did not answer".to_owned();
    let (code, call) = (ErrorCode::Throttled, Some("ec2:DescribeImages"));
    Fact::Failed(Failure { code, call, resource: None, message, retryable })
}

fn ask(action: &str, targets: &[&str]) -> Value {
    match action {
        "audit" | "repair" => json!({"action": action}),
        "share" | "revoke" | "check" => json!({"action": action, "imageIds": [IMAGE], "accountIds": targets}),
        _ => json!({"action": action, "imageIds": [IMAGE]}),
    }
}

/// Looks at the case of this request under these rules.
fn put<T>(world: &World, request: &Value, look: impl FnOnce(&Case<'_>, &Facts) -> T) -> T {
    let allowlist = Allowlist::parse(RULES).unwrap();
    world.put(request, |case, facts| look(&Case { allowlist: &allowlist, ..*case }, facts))
}

fn codes(decision: &ImageDecision<'_>) -> Vec<String> {
    decision.refusals().iter().map(|refusal| refusal.code.to_string()).collect()
}

/// The outcome of a request of which no step is carried out.
fn outcome(world: &World, request: &Value) -> Outcome {
    put(world, request, |case, facts| {
        let results = decide(case, facts).into_iter().map(|decision| ImageResult {
            decision,
            steps: Vec::new(),
            lost: Vec::new(),
        });
        let mut outcome = Outcome::new("id", Status::Completed);
        report(&mut outcome, case, facts, results.collect(), REGION);
        outcome
    })
}

#[test]
fn a_copy_with_another_name_is_covered_for_every_action_by_the_name_of_its_source() {
    for action in ["share", "revoke", "reset", "list", "check", "usage", "audit", "repair"] {
        put(&named_anew(), &ask(action, &[ONE]), |case, facts| {
            assert!(permitted(case, &facts.images).contains(&IMAGE.parse().unwrap()), "{action}");
            let [decision] = &decide(case, facts)[..] else { panic!("one image, one decision") };
            assert_eq!(codes(decision), [""; 0], "{action}");
            let by_rule = decision.targets.iter().map(|(_, rule)| rule.unwrap().name.as_str());
            let is_about_targets = matches!(action, "share" | "revoke");
            assert_eq!(by_rule.collect::<Vec<_>>(), ["exact"][..usize::from(is_about_targets || action == "check")]);
            let steps = plan(case, decision, &facts.images[decision.image_id], facts);
            assert_eq!(!steps.is_empty(), matches!(action, "revoke" | "reset" | "usage"), "{action}: {steps:?}");
        });
    }
    // Where its source is not known, only its own name counts.
    for unknown in [Fact::Known(None), unread(false)] {
        let alone = copy(NAMED_ANEW, unknown, None);
        for (action, expect) in
            [("share", "ActionNotAllowed"), ("revoke", "ActionNotAllowed"), ("reset", "ActionNotAllowed")]
        {
            let decided = put(&alone, &ask(action, &[ONE]), |case, facts| codes(&decide(case, facts)[0]));
            assert_eq!(decided, [expect], "{action}");
        }
    }
}

#[test]
fn an_audit_finds_nothing_wrong_with_a_share_that_the_name_of_the_source_allows() {
    let found = |world: &World, request: &Value| {
        put(world, request, |case, facts| {
            let decisions = decide(case, facts);
            let survey = decisions[0].survey().unwrap();
            let codes: Vec<_> = survey.findings.iter().map(|finding| finding.code.as_str()).collect();
            (codes, survey.rows.iter().map(|row| row.rule.clone()).collect::<Vec<_>>(), survey.gaps.len())
        })
    };
    let rows = json!({"action": "audit", "rows": true});
    assert_eq!(found(&named_anew(), &rows), (vec![], vec![Some("exact".to_owned())], 0));
    assert_eq!(found(&named_anew(), &ask("repair", &[])), (vec![], vec![], 0));
    // What no rule allows by either name is outside the allowlist.
    let outside = named_anew().shared_with(&[ONE, THREE]);
    assert_eq!(found(&outside, &ask("audit", &[])), (vec!["SharedOutsideAllowlist"], vec![], 0));
    // A share with `copyFrom` goes by the name of the source, whatever rule covers the copy by its own name.
    let own = copy("internal-1", Fact::Known(Some(Provenance::default())), Some("golden-1"));
    assert_eq!(found(&own.clone().shared_with(&[ONE, THREE]), &ask("audit", &[])), (vec![], vec![], 0));
    // A rule that shares by itself also goes by the name of the source, but not where the copy has a rule of its own.
    let missing = named_anew().shared_with(&[]).with(|world| drop(known(&mut world.image.waiting).pop()));
    assert!(found(&missing, &ask("audit", &[])).0.contains(&"RuleNotApplied"));
    assert!(!found(&own.shared_with(&[THREE]), &ask("audit", &[])).0.contains(&"RuleNotApplied"));
    // Only what is sure is drift.
    let unclear = copy(NAMED_ANEW, unread(true), None);
    assert_eq!(found(&unclear, &ask("audit", &[])), (vec![], vec![], 1));
    let gone = copy(NAMED_ANEW, Fact::Known(None), None);
    assert!(found(&gone, &ask("audit", &[])).0.contains(&"SharedOutsideAllowlist"));
}

#[test]
fn a_share_by_its_own_id_goes_by_its_own_name_where_a_rule_covers_that_and_a_revoke_by_either() {
    let own = copy("internal-1", Fact::Known(Some(Provenance::default())), Some("golden-1"));
    let refused =
        |action: &str, targets: &[&str]| put(&own, &ask(action, targets), |case, facts| codes(&decide(case, facts)[0]));
    assert_eq!(refused("share", &[THREE]), [""; 0]);
    assert_eq!(refused("share", &[ONE]), ["TargetNotAllowed"]);
    assert_eq!(refused("revoke", &[ONE, THREE]), [""; 0]);
    assert_eq!(refused("revoke", &[TWO]), ["TargetNotAllowed"]);
}

#[test]
fn a_check_reads_the_source_where_a_share_would() {
    let check = outcome(&named_anew(), &ask("check", &[ONE]));
    assert_eq!(check.images[0].targets[0].accepted, Some(true), "{check:#?}");
    for (name, action, expect) in [
        // A rule covers a check by its own name, and none a share.
        (NAMED_ANEW, "check", 1),
        (NAMED_ANEW, "share", 1),
        (NAMED_ANEW, "list", 0),
        ("internal-1", "share", 0),
        ("internal-1", "revoke", 1),
        // What these say depends on every rule about the image.
        (NAMED_ANEW, "audit", 1),
        (NAMED_ANEW, "usage", 1),
    ] {
        let unread = copy(name, Fact::NotRead, None);
        let read = put(&unread, &ask(action, &[ONE]), |case, facts| {
            read_plan::sources_of_copies(case, &facts.images).by_region.len()
        });
        assert_eq!(read, expect, "{name} {action}");
    }
    let new = World::open(NAMED_ANEW);
    let read = put(&new, &ask("share", &[ONE]), |case, facts| read_plan::sources_of_copies(case, &facts.images));
    assert_eq!(read, read_plan::Sources::default(), "what has no source costs nothing");
}

#[test]
fn what_outlasted_the_rule_that_made_its_copy_can_be_taken_away() {
    let elsewhere = |action: &str, unset: &[&'static str]| {
        let world = copy(NAMED_ANEW, Fact::NotRead, None).with(|world| {
            let source = RegionalImage { region: "eu-north-1".parse().unwrap(), ..source() };
            world.image.provenance.lineage = Lineage::CopyOf { source, said: Box::new(Fact::NotRead) };
            world.unset_for_copies = unset.to_vec();
        });
        put(&world, &ask(action, &[ONE]), |case, facts| {
            read_plan::sources_of_copies(case, &facts.images).by_region.len()
        })
    };
    for action in ["revoke", "reset", "audit"] {
        assert_eq!(elsewhere(action, &[]), 1, "{action}");
        assert_eq!(elsewhere(action, &["AMI_SHARE_RECORD_KEY"]), 0, "{action}");
    }
    assert_eq!(elsewhere("share", &[]), 0);
}

#[test]
fn the_catalogue_and_the_usage_know_the_rules_that_go_by_the_source() {
    put(&named_anew(), &json!({"action": "images"}), |case, facts| {
        let rules = covering_rules(case, &facts.images[&IMAGE.parse().unwrap()]);
        let rules: Vec<_> = rules.into_iter().map(|(rule, actions)| (rule.name.as_str(), actions)).collect();
        let everything = vec![Action::List, Action::Check, Action::Audit, Action::Repair, Action::Usage];
        // For what a rule allows by its own name, others don't count.
        assert_eq!(rules, [("everything", everything), ("exact", vec![Action::Share, Action::Revoke, Action::Reset])]);
    });
    put(&named_anew(), &ask("usage", &[]), |case, facts| {
        let named = named_accounts(case, &facts.images[&IMAGE.parse().unwrap()]);
        assert_eq!(named, [account(ONE), account(TWO)].into());
    });
}

#[test]
fn what_becomes_available_is_shared_by_the_rules_for_its_source_where_it_has_none() {
    let allowlist = Allowlist::parse(RULES).unwrap();
    let rules = automatic_rules(&allowlist, &Requester::new("events:999988887777:aws.ec2".to_owned()));
    let id: ImageId = IMAGE.parse().unwrap();
    let shares = |world: &World| {
        let requests = automatic_shares(&rules, &id, Some(&world.image), NOW, NOW).unwrap();
        let targets = requests.iter().flat_map(|request| &request.targets).map(|asked| asked.target.to_string());
        targets.collect::<Vec<_>>()
    };
    assert_eq!(shares(&named_anew()), [ONE]);
    let own = copy("internal-1", Fact::Known(Some(Provenance::default())), Some("golden-1"));
    assert_eq!(shares(&own), [THREE]);
    assert_eq!(shares(&copy(NAMED_ANEW, Fact::Known(None), None)), [""; 0]);
}

#[test]
fn a_revoke_warns_of_the_rules_that_go_by_the_source() {
    let name: ParameterName = "/golden/latest".parse().unwrap();
    let id: ImageId = IMAGE.parse().unwrap();
    let world = named_anew().with(|world| {
        let held = Parameter { version: 1, is_for_images: true, image_id: Some(id.clone()), named: Fact::NotRead };
        world.parameters.insert(name.clone(), Fact::Known(Some(held)));
    });
    let warnings = outcome(&world, &ask("revoke", &[ONE])).warnings;
    let tells = |words: &str| warnings.iter().any(|warning| warning.contains(words));
    assert!(tells("again when the image next becomes available"), "{warnings:#?}");
    assert!(tells("/golden/latest still names"), "{warnings:#?}");
    let reads =
        put(&named_anew(), &ask("revoke", &[ONE]), |case, facts| read_plan::further(case, facts).parameters.names);
    assert_eq!(reads, [name].into());
    let stale = put(&world.shared_with(&[]), &ask("audit", &[]), |case, facts| {
        let codes = decide(case, facts)[0].survey().unwrap().findings.clone();
        codes.iter().any(|finding| finding.code.as_str() == "ParameterStale")
    });
    assert!(stale);
}

#[test]
fn a_source_that_cannot_be_read_now_is_a_gap_of_its_own_image_alone() {
    let unclear = copy(NAMED_ANEW, unread(true), None);
    let other: ImageId = "ami-0000000b".parse().unwrap();
    for action in ["revoke", "reset"] {
        let mut request = ask(action, &[ONE]);
        request["imageIds"] = json!([IMAGE, other]);
        put(&unclear, &request, |case, facts| {
            let mut facts = facts.clone();
            let image = World::open("golden-1").shared_with(&[ONE]).image;
            facts.images.insert(other.clone(), image);
            let sources = read_plan::sources_of_copies(case, &facts.images);
            assert_eq!((sources.need, sources.by_region.len()), (Need::No, 0), "it was read");
            let decisions = decide(case, &facts);
            let [first, second] = &decisions[..] else { panic!("two images") };
            assert!(matches!(&first.decision, Decision::Unsettled(failure) if failure.retryable), "{first:?}");
            let gap = &first.gaps()[0];
            assert!(gap.message.contains(IMAGE) && !gap.message.contains("ami-0000000a"), "{}", gap.message);
            assert_eq!(gap.resource.as_deref(), Some(IMAGE));
            assert!(plan(case, first, &facts.images[first.image_id], &facts).is_empty());
            assert!(!plan(case, second, &facts.images[second.image_id], &facts).is_empty());
            assert!(!permitted(case, &facts.images).contains(first.image_id), "nothing more is read about it");
        });
    }
    // A revoke of a target that a rule covers by the copy's own name goes on, and says what it doesn't know.
    let own = copy("internal-1", unread(true), None);
    put(&own, &ask("revoke", &[ONE, THREE]), |case, facts| {
        let decisions = decide(case, facts);
        assert_eq!(codes(&decisions[0]), [""; 0]);
        assert_eq!(decisions[0].gaps().len(), 1);
        assert!(!plan(case, &decisions[0], &facts.images[decisions[0].image_id], facts).is_empty());
    });
    let told = outcome(&unclear, &ask("reset", &[]));
    assert_eq!((told.result, told.retryable, told.images.len()), (Status::Failed, true, 0), "{told:#?}");
    assert_eq!(told.errors[0].code, ErrorCode::Throttled);
    // A survey names none of those of which it does not know whether the requester may know them.
    let warning = put(&unclear, &ask("audit", &[]), |case, facts| unsettled(case, facts.images.values())).unwrap();
    assert!(warning.contains("(1)") && !warning.contains(IMAGE), "{warning}");
}

/// The record of a share of the source with [`TWO`] that waits.
fn waiting() -> CopyRecord {
    let document = json!({"action": "share", "imageIds": ["ami-0000000a"], "accountIds": [TWO], "copyFrom": REGION});
    let parsed = Request::parse(&key_policy::json::Json::parse(&document.to_string()).unwrap(), NOW).unwrap();
    let request = waiting_request(&parsed, &"ami-0000000a".parse().unwrap());
    let requester = Requester::new("somebody".to_owned());
    CopyRecord {
        name: name_of_waiting(&request, &requester, None).unwrap(),
        request,
        requester,
        request_id: "first".to_owned(),
        rule: "exact".to_owned(),
        until: in_days(1),
        failed_copies: 0,
        approved_by: None,
        mac: None,
    }
}

#[test]
fn a_check_and_a_list_of_a_copy_by_its_own_id_say_what_waits() {
    let unread = named_anew().with(|world| world.image.waiting = Fact::NotRead);
    for (action, expect) in [("check", 1), ("list", 1), ("revoke", 1), ("reset", 1), ("share", 0), ("usage", 0)] {
        let reads = |world: &World| {
            put(world, &ask(action, &[ONE]), |case, facts| read_plan::waiting_beside(case, &facts.images).len())
        };
        assert_eq!(reads(&unread), expect, "{action}");
        assert_eq!(reads(&World::open("golden-1")), 0, "{action} of an image without a source");
    }
    let world = named_anew().with(|world| {
        world.image.waiting = Fact::Known(vec![waiting()]);
        world.image.state = ImageState::Pending;
    });
    let states = |request: &Value| {
        let outcome = outcome(&world, request);
        let rows = outcome.images[0].targets.iter();
        rows.map(|row| format!("{} {}", row.target, json!(row.state).as_str().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(states(&ask("list", &[])), [format!("{ONE} shared"), format!("{TWO} waiting")]);
    assert_eq!(states(&ask("check", &[TWO])), [format!("{TWO} waiting")]);
}

#[test]
fn a_list_shows_what_waits_with_one_of_several_copies() {
    let [one, other]: [ImageId; 2] = ["ami-0000000b", "ami-0000000c"].map(|id| id.parse().unwrap());
    let list = json!({"action": "list", "imageIds": [one, other]});
    let image = |state| Image { state, waiting: Fact::NotRead, ..named_anew().image };
    let reads = |first, second| {
        put(&named_anew(), &list, |case, _| {
            let images = [(one.clone(), image(first)), (other.clone(), image(second))].into();
            read_plan::waiting_beside(case, &images).into_keys().collect::<Vec<_>>()
        })
    };
    assert_eq!(reads(ImageState::Available, ImageState::Available), std::slice::from_ref(&one));
    assert_eq!(reads(ImageState::Available, ImageState::Pending), std::slice::from_ref(&other));
}
