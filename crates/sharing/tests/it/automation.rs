//! What happens without anybody asking, as far as it is decided: which rules share an image that became available, with whom
//! and until when.

use ami_share_testing::worlds::*;
use sharing::{
    allowlist::Allowlist,
    decide::{SentAt, automatic_rules, automatic_shares, not_ours},
    domain::Requester,
    facts::{Fact, Image, ImageState, Lineage, Provenance, RegionalImage, Watermark},
    outcome::ErrorCode,
    request::Access,
};
use time::{Duration, OffsetDateTime};

const RULES: &str = r#"
version: 1
rules:
  - name: for-ever
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["golden-*"]}
    targets: ["111122223333", "999988887777"]
    onAvailable: true
  - name: for-a-month
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["golden-*", "nightly-*"]}
    targets: ["111122223333", "222233334444", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]
    access: copy
    maxDuration: 30d
    onAvailable: true
  - name: for-a-day
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["nightly-*"]}
    targets: ["222233334444"]
    maxDuration: 1d
    onAvailable: true
  - name: asked-for
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: all
    targets: ["333344445555"]
  - name: somebody-elses
    requesters: ["events:111122223333:aws.ec2"]
    actions: [share]
    images: {names: ["golden-*"]}
    targets: ["333344445555"]
    onAvailable: true
"#;

fn image(name: &str) -> Image {
    World::open(name).image
}

/// Checks what is shared of an image that became available just now: with whom, how, and for how many days.
#[track_caller]
fn shares(name: &str, expect: &[(&[&str], Access, Option<i64>)]) {
    let allowlist = Allowlist::parse(RULES).unwrap();
    let rules = automatic_rules(&allowlist, &Requester::new("events:999988887777:aws.ec2".to_owned()));
    let requests = automatic_shares(&rules, &IMAGE.parse().unwrap(), Some(&image(name)), NOW, NOW).unwrap();
    let days = |at: OffsetDateTime| (at - NOW).whole_days();
    let found: Vec<_> = requests
        .iter()
        .map(|request| {
            let targets: Vec<_> = request.targets.iter().map(|asked| asked.target.to_string()).collect();
            (targets, request.access, request.expires_at.map(days))
        })
        .collect();
    let expect: Vec<_> = expect
        .iter()
        .map(|(targets, access, days)| (targets.iter().map(ToString::to_string).collect(), *access, *days))
        .collect();
    assert_eq!(found, expect, "{name}");
}

/// Checks with how many requests an image of this provenance is shared by a rule that asks for a watermark and an age.
#[track_caller]
fn shares_of_provenance(provenance: Provenance, expect: usize) {
    let rules = RULES.replace(r#"{names: ["golden-*"]}"#, r#"{watermarks: ["999988887777:approved"], maxAge: 1d}"#);
    let allowlist = Allowlist::parse(&rules).unwrap();
    let rules = automatic_rules(&allowlist, &Requester::new("events:999988887777:aws.ec2".to_owned()));
    let image = Image { provenance, ..image("any-1") };
    let requests = automatic_shares(&rules, &IMAGE.parse().unwrap(), Some(&image), NOW, NOW).unwrap();
    assert_eq!(requests.len(), expect, "{:?}", image.provenance);
}

#[test]
fn an_image_shares_itself_unless_it_surely_lacks_what_the_rule_asks_for() {
    let itself = RegionalImage { region: "eu-west-1".parse().unwrap(), id: IMAGE.parse().unwrap() };
    let source = RegionalImage { region: "eu-central-1".parse().unwrap(), ..itself.clone() };
    let mark = |attached_to: &RegionalImage| Watermark {
        key: "999988887777:approved".to_owned(),
        attached_to: Some(attached_to.clone()),
    };
    let marked = Provenance {
        itself: Some(itself.clone()),
        watermarks: vec![mark(&itself)],
        created: Some(NOW),
        ..Provenance::default()
    };
    shares_of_provenance(marked.clone(), 1);
    shares_of_provenance(Provenance { created: Some(NOW - Duration::days(2)), ..marked.clone() }, 0);
    shares_of_provenance(Provenance { watermarks: vec![mark(&source)], ..marked.clone() }, 0);
    // The age of a copy's source is read, and judged, with the rest.
    let copy = |said| Provenance {
        lineage: Lineage::CopyOf { source: source.clone(), said: Box::new(said) },
        ..marked.clone()
    };
    shares_of_provenance(copy(Fact::NotRead), 1);
    shares_of_provenance(copy(Fact::Known(None)), 0);
}

#[test]
fn a_target_has_the_image_for_the_longest_time_that_a_rule_gives() {
    // For ever beats a month, the owner needs no share, and an organization can't be given copy access.
    shares(
        "golden-1",
        &[
            (&[ONE], Access::Launch, None),
            (&[TWO], Access::Copy, Some(30)),
            (&[ORGANIZATION], Access::Launch, Some(30)),
        ],
    );
    // A month beats a day.
    shares("nightly-1", &[(&[ONE, TWO], Access::Copy, Some(30)), (&[ORGANIZATION], Access::Launch, Some(30))]);
    shares("silver-1", &[]);
}

#[test]
fn a_rule_that_may_not_be_about_the_image_neither_displaces_nor_outlasts_one_that_surely_is() {
    let rules = RULES.replace(
        r#"images: {names: ["golden-*"]}
    targets: ["111122223333", "999988887777"]"#,
        r#"images: {names: ["golden-*", "nightly-*"], maxAge: 1d}
    targets: ["111122223333", "333344445555"]"#,
    );
    let allowlist = Allowlist::parse(&rules).unwrap();
    let rules = automatic_rules(&allowlist, &Requester::new("events:999988887777:aws.ec2".to_owned()));
    let source = RegionalImage { region: "eu-central-1".parse().unwrap(), id: IMAGE.parse().unwrap() };
    let lineage = |said| Lineage::CopyOf { source: source.clone(), said: Box::new(said) };
    let shares = |lineage: Lineage| {
        let provenance = Provenance { lineage, created: Some(NOW), ..Provenance::default() };
        let image = Image { provenance, ..image("nightly-1") };
        let requests = automatic_shares(&rules, &IMAGE.parse().unwrap(), Some(&image), NOW, NOW).unwrap();
        let of = |account: &str| {
            let about = |request: &&sharing::request::Request| {
                request.targets.iter().any(|asked| asked.target == target(account))
            };
            let about: Vec<_> = requests.iter().filter(about).collect();
            about.iter().map(|request| request.expires_at.map(|at| (at - NOW).whole_days())).collect::<Vec<_>>()
        };
        (of(ONE), of("333344445555"))
    };
    let young = Provenance { created: Some(NOW), ..Provenance::default() };
    // It surely is: for ever beats a month.
    assert_eq!(shares(Lineage::New), (vec![None], vec![None]));
    assert_eq!(shares(lineage(Fact::Known(Some(young)))), (vec![None], vec![None]));
    // It may be: whom no other rule gives the image to is shared with when the source is read.
    assert_eq!(shares(lineage(Fact::NotRead)), (vec![Some(30)], vec![None]));
    // It surely is not.
    assert_eq!(shares(lineage(Fact::Known(None))), (vec![Some(30)], vec![]));
}

#[test]
fn only_the_rules_for_images_of_this_account_share_by_themselves() {
    let allowlist = Allowlist::parse(RULES).unwrap();
    let rules = |requester: &str| automatic_rules(&allowlist, &Requester::new(requester.to_owned())).len();
    assert_eq!(rules("events:999988887777:aws.ec2"), 3);
    assert_eq!(rules("lambda:invoke"), 0);
    let own = (owner(), "eu-west-1");
    let warning = |account: &str, region| not_ours((ami_share_testing::worlds::account(account), region), own);
    assert_eq!(warning("999988887777", Some("eu-west-1")), None);
    assert_eq!(warning("999988887777", None), None);
    assert!(warning("999988887777", Some("eu-west-2")).unwrap().contains("an image in eu-west-2"));
    assert!(warning(ONE, Some("eu-west-1")).unwrap().contains("an image of account 111122223333"));
}

#[test]
fn an_event_that_is_there_before_the_image_comes_again() {
    let code = |image: Option<&Image>| {
        let failure = automatic_shares(&[], &IMAGE.parse().unwrap(), image, NOW, NOW).unwrap_err();
        assert!(failure.retryable, "{failure:?}");
        failure.code
    };
    assert_eq!(code(None), ErrorCode::NotFound);
    assert_eq!(code(Some(&Image { state: ImageState::Pending, ..image("golden-1") })), ErrorCode::Unavailable);
}

#[test]
fn the_same_event_again_asks_for_the_same_expiry_time() {
    let earlier = NOW - Duration::minutes(10);
    assert_eq!(SentAt::At(earlier).since(NOW), earlier);
    assert_eq!(SentAt::At(NOW + Duration::minutes(1)).since(NOW), NOW, "no clock makes a share longer");
    assert_eq!(SentAt::Unknown.since(NOW), NOW);
}

#[test]
fn a_share_that_a_rule_makes_has_the_roles_of_the_rule_and_says_why_it_was_made() {
    let rules = RULES.replace(
        "    onAvailable: true\n  - name: for-a-month",
        "    keys: grant\n    serviceLinkedRoles: [autoscaling]\n    onAvailable: true\n  - name: for-a-month",
    );
    let allowlist = Allowlist::parse(&rules).unwrap();
    let rules = automatic_rules(&allowlist, &Requester::new("events:999988887777:aws.ec2".to_owned()));
    let requests = automatic_shares(&rules, &IMAGE.parse().unwrap(), Some(&image("golden-1")), NOW, NOW).unwrap();
    let roles: Vec<Vec<String>> =
        requests.iter().map(|it| it.service_linked_roles.iter().map(ToString::to_string).collect()).collect();
    // Of the other rule, first its accounts and then its organization.
    assert_eq!(roles, [vec!["autoscaling".to_owned()], vec![], vec![]]);
    assert!(requests.iter().all(|it| it.reason.as_deref() == Some("the image became available")));
}
