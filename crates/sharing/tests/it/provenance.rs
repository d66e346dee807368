//! Rules that go by what EC2 says of an image beside its name and its tags: they count where access is given, and never
//! where it is taken away. Rows of facts, without AWS.

use ami_share_testing::worlds::{IMAGE, NOW, ONE, World, decide, denied};
use serde_json::{Value, json};
use sharing::{
    decide::{Case, ImageDecision, permitted},
    domain::Severity,
    facts::{Fact, Facts, Highest, Lineage, Provenance, RegionalImage, Scan, Watermark},
    outcome::{Outcome, Status, to_text},
    plan::plan,
    progress::ImageResult,
    read_plan::{Need, Sources, sources_of_copies},
    report::report,
};
use time::{Duration, OffsetDateTime};

const APPROVED: &str = "999988887777:approved";
const SOURCE: &str = "ami-0000000b";

fn regional(id: &str, region: &str) -> RegionalImage {
    RegionalImage { region: region.parse().unwrap(), id: id.parse().unwrap() }
}

fn itself() -> RegionalImage {
    regional(IMAGE, "eu-west-1")
}

fn source() -> RegionalImage {
    regional(SOURCE, "eu-central-1")
}

fn ago(days: i64) -> OffsetDateTime {
    NOW - Duration::days(days)
}

/// What EC2 says of an image that was created ten days ago.
fn new() -> Provenance {
    Provenance { itself: Some(itself()), created: Some(ago(10)), ..Provenance::default() }
}

fn marked(mut provenance: Provenance, key: &str, attached_to: &RegionalImage) -> Provenance {
    provenance.watermarks.push(Watermark { key: key.to_owned(), attached_to: Some(attached_to.clone()) });
    provenance
}

fn scanned(provenance: Provenance, highest: Highest, days_ago: i64) -> Provenance {
    Provenance { scan: Some(Scan { highest, at: Some(ago(days_ago)) }), ..provenance }
}

/// The same as a copy, of whose source EC2 says this.
fn copy(provenance: Provenance, said: Fact<Option<Provenance>>) -> Provenance {
    Provenance { lineage: Lineage::CopyOf { source: source(), said: Box::new(said) }, ..provenance }
}

fn world(name: &str, provenance: Provenance) -> World {
    World::open(name).with(|world| {
        world.image.tags = [("Tier".to_owned(), "gold".to_owned())].into();
        world.image.provenance = provenance;
    })
}

fn ask(action: &str) -> Value {
    match action {
        "list" | "reset" => json!({"action": action, "imageIds": [IMAGE]}),
        _ => json!({"action": action, "imageIds": [IMAGE], "accountIds": [ONE]}),
    }
}

fn refusals(decision: &ImageDecision<'_>) -> Vec<(String, String)> {
    decision.refusals().iter().map(|refusal| (refusal.code.to_string(), refusal.message.clone())).collect()
}

/// Access to such an image is given.
#[track_caller]
fn allowed(name: &str, provenance: Provenance) {
    for action in ["share", "check"] {
        world(name, provenance.clone()).put(&ask(action), |case, facts| {
            assert_eq!(refusals(&decide(case, facts)[0]), [], "{action}");
        });
    }
}

/// Access is refused, saying why, after DescribeImages alone; and can be seen and taken away all the same.
#[track_caller]
fn refused(name: &str, provenance: Provenance, words: &[&str]) {
    let world = world(name, provenance).shared_with(&[ONE]);
    for action in ["share", "check"] {
        world.put(&ask(action), |case, facts| {
            assert_eq!(permitted(case, &facts.images), Default::default(), "{action}: nothing more is read");
            let decision = &decide(case, facts)[0];
            let refusals = refusals(decision);
            assert_eq!(refusals.len(), 1, "{refusals:?}");
            assert_eq!(refusals[0].0, "ImageNotAllowed");
            for words in words {
                assert!(refusals[0].1.contains(words), "{action}: {}\nshould say {words}", refusals[0].1);
            }
            assert!(decision.refusals()[0].remedy.is_some());
            assert_eq!(plan(case, decision, &world.image, facts), []);
        });
    }
    for action in ["revoke", "reset", "list"] {
        world.put(&ask(action), |case, facts| {
            assert_eq!(sources_of_copies(case, &facts.images), Sources::default(), "{action} reads no source");
            let decision = &decide(case, facts)[0];
            assert_eq!(refusals(decision), [], "{action}");
            let writes = plan(case, decision, &world.image, facts).len();
            assert_eq!(writes > 0, action != "list", "{action}");
        });
    }
}

#[test]
fn a_watermark_is_that_of_the_rules_account() {
    allowed("marked-1", marked(new(), APPROVED, &itself()));
    // Any one of the rule's will do.
    allowed("marked-1", marked(new(), "999988887777:tested", &itself()));
    let lacks = "for rule `marked`, the image lacks the watermark `999988887777:approved` or `999988887777:tested`";
    refused("marked-1", new(), &[lacks]);
    refused("marked-1", marked(new(), "111122223333:approved", &itself()), &[lacks]);
    refused("marked-1", marked(new(), "999988887777:Approved", &itself()), &[lacks]);
    refused("marked-1", marked(new(), "999988887777:approved-not", &itself()), &[lacks]);
}

#[test]
fn a_watermark_is_inherited_by_a_direct_copy_and_by_nothing_else() {
    let unread = || Fact::NotRead;
    allowed("marked-1", copy(marked(new(), APPROVED, &source()), unread()));
    let inherited = "it inherited `999988887777:approved` without being a direct copy";
    // What CreateImage made of an instance has no source whose data it has.
    refused("marked-1", marked(new(), APPROVED, &source()), &[inherited]);
    // A copy of such an image, a copy of a copy, and an image of that id in another Region.
    refused(
        "marked-1",
        copy(marked(new(), APPROVED, &regional("ami-0000000c", "eu-central-1")), unread()),
        &[inherited],
    );
    refused("marked-1", copy(marked(new(), APPROVED, &regional(SOURCE, "eu-west-1")), unread()), &[inherited]);
    let unclear = Provenance { lineage: Lineage::Unclear, ..marked(new(), APPROVED, &source()) };
    refused("marked-1", unclear, &[inherited]);
    let nowhere = Watermark { key: APPROVED.to_owned(), attached_to: None };
    refused("marked-1", Provenance { watermarks: vec![nowhere], ..new() }, &[inherited]);
    // One that counts is enough beside others that don't.
    allowed("marked-1", marked(marked(new(), APPROVED, &source()), APPROVED, &itself()));
}

#[test]
fn an_image_is_scanned_and_has_no_finding_that_is_too_severe() {
    let known = Highest::Known;
    for highest in [Highest::NoFindings, known(Severity::Informational), known(Severity::Low), known(Severity::Medium)]
    {
        allowed("scanned-1", scanned(new(), highest, 30));
    }
    refused("scanned-1", new(), &["for rule `scanned`, Amazon Inspector has not scanned the image"]);
    refused("scanned-1", scanned(new(), known(Severity::High), 1), &["is `high`, and `medium` is the most allowed"]);
    refused("scanned-1", scanned(new(), known(Severity::Critical), 1), &["is `critical`"]);
    refused(
        "scanned-1",
        scanned(new(), Highest::Unknown("untriaged".to_owned()), 1),
        &["`untriaged`, which is not known"],
    );
    refused("scanned-1", scanned(new(), Highest::NoFindings, 31), &["scanned last at 2026-10-22T12:00:00Z"]);
    refused(
        "scanned-1",
        scanned(new(), known(Severity::Critical), 31),
        &["is `critical`", ", and the image was scanned last"],
    );
}

#[test]
fn a_copy_has_the_scan_and_the_age_of_its_source() {
    let clean = || scanned(new(), Highest::NoFindings, 1);
    let critical = || scanned(new(), Highest::Known(Severity::Critical), 1);
    let old = || Provenance { created: Some(ago(181)), ..new() };
    let gone = "ami-0000000b in eu-central-1 does not exist any more, or this account can't see it";
    let unread = "ami-0000000b in eu-central-1 could not be read";
    allowed("scanned-1", copy(new(), Fact::Known(Some(clean()))));
    refused("scanned-1", copy(clean(), Fact::Known(Some(critical()))), &["`critical`"]);
    refused("scanned-1", copy(clean(), Fact::Known(Some(new()))), &["has not scanned"]);
    refused("scanned-1", copy(clean(), Fact::Known(None)), &[gone]);
    refused("scanned-1", copy(clean(), Fact::Failed(denied("ec2:DescribeImages"))), &[unread]);
    allowed("recent-1", new());
    allowed("recent-1", copy(new(), Fact::Known(Some(new()))));
    refused(
        "recent-1",
        old(),
        &["for rule `recent`, the image was created at 2026-05-25T12:00:00Z, and no more than 180d ago"],
    );
    refused("recent-1", copy(new(), Fact::Known(Some(old()))), &["created at 2026-05-25T12:00:00Z"]);
    refused("recent-1", copy(new(), Fact::Known(None)), &[gone]);
    // Copied twice, old data is no younger.
    refused("recent-1", copy(new(), Fact::Known(Some(copy(new(), Fact::NotRead)))), &["is itself a copy"]);
    refused("recent-1", Provenance { created: None, ..new() }, &["when the image was created is not known"]);
}

#[test]
fn a_source_is_read_only_where_a_rule_goes_by_scan_or_age() {
    #[track_caller]
    fn reads(name: &str, action: &str, expect: bool) {
        world(name, copy(new(), Fact::NotRead)).put(&ask(action), |case: &Case<'_>, facts: &Facts| {
            let by_region = [(source().region, [source().id].into())].into();
            let expected = if expect { Sources { by_region, need: Need::Settled } } else { Sources::default() };
            assert_eq!(sources_of_copies(case, &facts.images), expected, "{name} {action}");
        });
    }
    for action in ["share", "check"] {
        reads("scanned-1", action, true);
        reads("recent-1", action, true);
        reads("golden-1", action, false);
        reads("marked-1", action, false);
        reads("nobodys", action, false);
    }
    for action in ["list", "revoke", "reset"] {
        reads("scanned-1", action, false);
    }
    world("recent-1", new()).put(&ask("share"), |case, facts| {
        assert_eq!(sources_of_copies(case, &facts.images), Sources::default(), "no copy, no source");
    });
}

/// The findings of an audit, and how many warnings there are.
fn audited(world: &World) -> (Vec<String>, usize) {
    world.put(&json!({"action": "repair"}), |case, facts| {
        let decision = decide(case, facts).remove(0);
        let reasons = decision
            .survey()
            .unwrap()
            .findings
            .iter()
            .map(|finding| format!("{}: {}", finding.code.as_str(), finding.message));
        (reasons.collect(), decision.warnings.len())
    })
}

#[test]
fn an_audit_judges_what_is_shared_by_what_ec2_says_now() {
    let shared = |name: &str, provenance| audited(&world(name, provenance).shared_with(&[ONE]));
    assert_eq!(shared("scanned-1", scanned(new(), Highest::NoFindings, 1)), (vec![], 0));
    let (found, _) = shared("scanned-1", scanned(new(), Highest::Known(Severity::Critical), 1));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("SharedOutsideAllowlist: ami-1a2b3c4d is shared with 111122223333"), "{found:?}");
    assert!(
        found[0].contains("for rule `scanned`, the highest severity among the image's findings is `critical`"),
        "{found:?}"
    );
    assert_eq!(shared("marked-1", marked(new(), APPROVED, &itself())), (vec![], 0));
    assert_eq!(shared("marked-1", new()).0.len(), 1);
    assert_eq!(shared("recent-1", copy(new(), Fact::Known(None))).0.len(), 1, "a source that is gone is sure");
    // What could not be read is reported and not judged.
    let failed = copy(new(), Fact::Failed(denied("ec2:DescribeImages")));
    assert_eq!(shared("recent-1", failed), (vec![], 1));
    // The sources that an audit needs are those of whatever rule lets anybody share.
    world("recent-1", copy(new(), Fact::NotRead)).put(&json!({"action": "audit"}), |case, facts| {
        let Sources { by_region, need } = sources_of_copies(case, &facts.images);
        assert_eq!((by_region.len(), need), (1, Need::Optional), "what can't be read doesn't end an audit");
    });
}

#[test]
fn a_rule_shares_by_itself_only_what_has_its_watermark() {
    let unshared = |provenance| audited(&world("marked-new-1", provenance)).0;
    let found = unshared(marked(new(), APPROVED, &itself()));
    assert!(found.len() == 1 && found[0].starts_with("RuleNotApplied"), "{found:?}");
    assert_eq!(unshared(marked(new(), "111122223333:approved", &itself())), [""; 0]);
    assert_eq!(unshared(new()), [""; 0]);
}

/// The row of the image in the answer to a list.
fn row(world: &World) -> Value {
    world.put(&ask("list"), |case, facts| {
        let decision = decide(case, facts).remove(0);
        let mut outcome = Outcome::new("id", Status::Completed);
        report(
            &mut outcome,
            case,
            facts,
            vec![ImageResult { decision, steps: Vec::new(), lost: Vec::new() }],
            "eu-west-1",
        );
        serde_json::from_str(&to_text(&outcome.images[0])).unwrap()
    })
}

#[test]
fn a_row_tells_watermarks_scan_and_shared_tags_where_there_are_any() {
    let plain = row(&world("golden-1", new()));
    for field in ["watermarks", "scan", "sharedTags"] {
        assert_eq!(plain.get(field), None, "{plain:#}");
    }
    let inherited = marked(marked(new(), "999988887777:tested", &itself()), APPROVED, &source());
    let everything = world("golden-1", scanned(inherited, Highest::Known(Severity::High), 3)).with(|world| {
        let shared =
            [("ec2:SharedTag/Team", "web"), ("ec2:sharedtag/x", "y"), ("ec2:SharedTag/", "z"), ("SharedTag", "a")];
        world.image.tags.extend(shared.map(|(key, value)| (key.to_owned(), value.to_owned())));
    });
    let row_of = row(&everything);
    assert_eq!(row_of["watermarks"], json!([APPROVED, "999988887777:tested"]));
    assert_eq!(row_of["scan"], json!({"severity": "high", "at": "2026-11-19T12:00:00Z"}));
    assert_eq!(row_of["sharedTags"], json!(["ec2:SharedTag/", "ec2:SharedTag/Team"]));
    let clean = row(&world("golden-1", scanned(new(), Highest::NoFindings, 3)));
    assert_eq!(clean["scan"], json!({"severity": null, "at": "2026-11-19T12:00:00Z"}));
}
