//! What is decided about shares that wait for approval, without AWS.

use ami_share_testing::{schemas::check_values, worlds::*};
use serde_json::{Value, json};
use sharing::{
    allowlist::Allowlist,
    decide::{self, Approval, Authority, Case},
    domain::Requester,
    outcome::Refusal,
    records::{ApprovalAnswer, ApprovalDecision, Ask},
    request::Request,
};
use time::Duration;

const RULES: &str = r#"
version: 1
rules:
  - {name: one, requesters: ["jwt-group:https://i#web", "arn:aws:iam::999988887777:role/portal", "lambda:invoke"], actions: [share, check],
     images: {names: ["golden-*"]}, targets: ["111122223333"], approvers: ["jwt:https://i#ada", "jwt-group:https://i#owners"]}
  - {name: two, requesters: ["jwt-group:https://i#web", "lambda:invoke"], actions: [share, check], images: {names: ["golden-*"]},
     targets: ["222233334444"], approvers: ["jwt-group:https://i#owners", "arn:aws:iam::999988887777:role/portal"]}
  - {name: free, requesters: ["jwt-group:https://i#web", "lambda:invoke"], actions: [share, check], images: {names: ["free-*"]}, targets: ["111122223333"]}
"#;

pub fn person(name: &str, groups: &[&str]) -> Requester {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    Requester::new(format!("jwt:https://i#{name}")).with_groups(groups)
}

fn bob() -> Requester {
    person("bob", &["web"])
}

fn portal() -> Requester {
    Requester::new("arn:aws:iam::999988887777:role/portal".to_owned())
}

fn world(image: &str) -> World {
    World::open(image).with(|world| world.allowlist = RULES.to_owned())
}

fn share(targets: &[&str]) -> Request {
    let document = json!({"action": "share", "imageIds": [IMAGE], "accountIds": targets});
    Request::parse(&key_policy::json::Json::parse(&document.to_string()).unwrap(), NOW).unwrap()
}

pub fn ask(rules: &[&str]) -> Ask {
    let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
    Ask::new(&share(&[ONE, TWO]), &bob(), "first", rules, NOW)
}

/// What is decided about such a share: its refusals as `Code`, and the rules of the ask that is written down.
fn decided(
    world: &World,
    targets: &[&str],
    approval: Approval<'_>,
    unset: &[&'static str],
) -> (Vec<String>, Option<Vec<String>>) {
    let (asker, request) = (bob(), share(targets));
    world.put_as(Authority::Requester(&asker), &request, |case, facts| {
        let case = &Case { approval, unset_for_copies: unset, ..*case };
        let decisions = decide(case, facts);
        let refusals: Vec<&Refusal> = decisions.iter().flat_map(|decision| decision.refusals()).collect();
        refusals.iter().copied().for_each(check_values);
        let asked = decide::ask(case, &request, &decisions).map(|ask| ask.rules);
        (refusals.iter().map(|refusal| refusal.code.to_string()).collect(), asked)
    })
}

#[test]
fn a_share_by_a_rule_with_approvers_waits_and_any_other_does_not() {
    let asked = |targets: &[&str]| decided(&world("golden-1"), targets, Approval::Asked, &[]);
    let rules = |rules: &[&str]| Some(rules.iter().map(|rule| (*rule).to_owned()).collect::<Vec<_>>());
    assert_eq!(asked(&[ONE]), (vec![], rules(&["one"])));
    assert_eq!(asked(&[TWO, ONE]), (vec![], rules(&["one", "two"])));
    assert_eq!(decided(&world("free-1"), &[ONE], Approval::Asked, &[]), (vec![], None));
    // Everything is decided before it waits.
    assert_eq!(asked(&["333344445555"]), (vec!["TargetNotAllowed".to_owned()], None));
    let gone = world("golden-1").with(|world| world.image.state = sharing::facts::ImageState::Disabled);
    assert_eq!(decided(&gone, &[ONE], Approval::Asked, &[]), (vec!["ImageNotAvailable".to_owned()], None));
}

#[test]
fn where_no_approval_can_be_asked_for_or_kept_the_share_is_refused() {
    let of = |image: &str, approval, unset: &[&'static str]| decided(&world(image), &[ONE], approval, unset);
    let code = |code: &str| (vec![code.to_owned()], None);
    assert_eq!(of("golden-1", Approval::NotPossible, &[]), code("ApprovalNotAllowed"));
    assert_eq!(of("golden-1", Approval::Asked, &["AMI_SHARE_RECORD_KEY"]), code("NotSetUp"));
    assert_eq!(of("free-1", Approval::NotPossible, &["AMI_SHARE_RECORD_KEY"]), (vec![], None));
}

#[test]
fn it_is_said_of_which_image_no_approval_can_be_asked_for_and_why() {
    let said = |approvals: bool, unset: &[&'static str], approval: Approval<'_>| {
        let (asker, request) = (bob(), share(&[ONE]));
        let world = world("golden-1").with(|world| world.setup.approvals = approvals);
        world.put_as(Authority::Requester(&asker), &request, |case, facts| {
            let case = &Case { approval, unset_for_copies: unset, ..*case };
            let refusal = decide(case, facts)[0].refusals()[0].clone();
            assert_eq!(refusal.image_id, Some(IMAGE.parse().unwrap()));
            format!("{}; {}", refusal.message, refusal.remedy.unwrap())
        })
    };
    for (said, words) in [
        (said(true, &["AMI_SHARE_RECORD_KEY"], Approval::Asked), "it has no AMI_SHARE_RECORD_KEY"),
        (said(false, &[], Approval::Asked), "its parameter EnableApprovals is off"),
        (said(true, &[], Approval::NotPossible), "send the request to the API or the function URL"),
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn each_deciding_rule_must_name_who_approves_and_nobody_approves_their_own() {
    let by = |who: &Requester, targets: &[&str]| decided(&world("golden-1"), targets, Approval::By(who), &[]).0;
    let refused = || vec!["ApprovalNotAllowed".to_owned()];
    let (ada, owner) = (person("ada", &[]), person("olga", &["owners"]));
    assert_eq!((by(&ada, &[ONE]), by(&ada, &[TWO]), by(&ada, &[ONE, TWO])), (vec![], refused(), refused()));
    assert_eq!((by(&owner, &[ONE, TWO]), by(&portal(), &[TWO]), by(&portal(), &[ONE])), (vec![], vec![], refused()));
    // What is approved is not asked for again.
    assert_eq!(decided(&world("golden-1"), &[ONE], Approval::By(&ada), &[]), (vec![], None));
    // The groups of the token that approves count, and the asker stays who they are in whatever group.
    assert_eq!(by(&person("olga", &[]), &[ONE]), refused());
    assert_eq!(by(&person("bob", &["owners"]), &[ONE, TWO]), refused());
}

#[test]
fn who_may_decide_is_said_by_the_rules_as_they_are_now() {
    let may = |rules: &str, asked: &[&str], who: &Requester, is_rejection: bool| {
        let allowlist = Allowlist::parse(rules).unwrap();
        let refusal = decide::may_decide(&allowlist, &ask(asked), who, is_rejection);
        refusal.iter().for_each(check_values);
        let sees = decide::may_see(&allowlist, &ask(asked), who);
        assert_eq!(sees, refusal.is_none() || *who == bob());
        refusal.is_none()
    };
    let (ada, owner, stranger) = (person("ada", &[]), person("olga", &["owners"]), person("eve", &["web"]));
    for is_rejection in [false, true] {
        assert!(may(RULES, &["one"], &ada, is_rejection) && may(RULES, &["one", "two"], &owner, is_rejection));
        assert!(!may(RULES, &["one", "two"], &ada, is_rejection), "each rule must name who decides");
        assert!(!may(RULES, &["one"], &stranger, is_rejection));
        // Who asked may reject it and never approve it.
        assert_eq!(may(RULES, &["one"], &person("bob", &["owners"]), is_rejection), is_rejection);
        // An approver that the rule gained meanwhile decides, and one that it lost does not.
        let changed = RULES.replace("\"jwt:https://i#ada\", ", "\"jwt:https://i#eve\", ");
        assert!(!may(&changed, &["one"], &ada, is_rejection) && may(&changed, &["one"], &stranger, is_rejection));
        // Where the rules are gone, or want nothing any more, an approver of any other rule ends it.
        assert!(may(RULES, &["gone"], &ada, is_rejection) && !may(RULES, &["gone"], &stranger, is_rejection));
        assert!(may(RULES, &["gone", "one"], &ada, is_rejection));
    }
}

#[test]
fn what_was_decided_is_told_with_who_decided() {
    let decision = |answer| ApprovalDecision::new(&ask(&["one"]), answer, "second", Some("not now".to_owned()), NOW);
    let by = || person("ada", &["owners"]);
    for (answer, code) in [
        (ApprovalAnswer::Approved { by: by() }, "ApprovalNotAllowed"),
        (ApprovalAnswer::Rejected { by: by() }, "ApprovalRejected"),
        (ApprovalAnswer::Lapsed, "ApprovalLapsed"),
    ] {
        let refusal = decide::decided_already(&decision(answer.clone()));
        check_values(&refusal);
        assert_eq!(refusal.code.to_string(), code);
        let names = refusal.values.get("decidedBy").cloned();
        assert_eq!(names, (answer != ApprovalAnswer::Lapsed).then(|| json!("jwt:https://i#ada")));
        assert!(!refusal.message.contains("owners"), "{}", refusal.message);
    }
    assert_eq!(decide::approved_by(&decision(ApprovalAnswer::Approved { by: by() })), Ok(&by()));
    let ended = |answer| *decide::approved_by(&decision(answer)).unwrap_err();
    assert_eq!(ended(ApprovalAnswer::Rejected { by: by() }), decide::rejected(&by(), Some("not now")));
    assert_eq!(ended(ApprovalAnswer::Lapsed), decide::lapsed(ask(&["one"]).until));
    let refusal = decide::rejected(&by(), Some("not now"));
    assert!(refusal.message.contains("not now") && refusal.message.contains("ada"), "{}", refusal.message);
    let until: Value = json!("2026-11-29T12:00:00Z");
    assert_eq!(decide::lapsed(ask(&["one"]).until).values.get("until"), Some(&until));
}

#[test]
fn an_ask_is_given_up_a_minute_before_its_time_is_over_at_the_earliest() {
    let ask = ask(&["one"]);
    for (before, may) in [(61, false), (60, true), (0, true), (-3600, true)] {
        assert_eq!(decide::may_lapse(&ask, ask.until - Duration::seconds(before)), may, "{before} s before");
    }
}

#[test]
fn who_only_approves_is_named_and_may_ask_for_nothing_else() {
    let codes = |who: &Requester, action: &str| {
        let mut request = share(&[ONE]);
        request.action = serde_json::from_value(json!(action)).unwrap();
        let refusals = world("golden-1").put_as(Authority::Requester(who), &request, |case, _| decide::admit(case));
        refusals.iter().map(|refusal| refusal.code.to_string()).collect::<Vec<_>>()
    };
    let (ada, eve) = (person("ada", &[]), person("eve", &[]));
    for (who, action, expect) in [
        (&ada, "share", vec!["ActionNotAllowed"]),
        (&ada, "reset", vec!["ActionNotAllowed"]),
        (&ada, "approvals", vec![]),
        (&ada, "approve", vec![]),
        (&eve, "share", vec!["RequesterNotAllowed"]),
        (&eve, "approvals", vec!["RequesterNotAllowed"]),
        (&bob(), "share", vec![]),
        (&bob(), "reset", vec!["ActionNotAllowed"]),
    ] {
        assert_eq!(codes(who, action), expect, "{} {action}", who.as_str());
    }
    let allowlist = Allowlist::parse(RULES).unwrap();
    let is_stranger = |who: &Requester| decide::stranger(&allowlist, who).is_some();
    assert_eq!([&ada, &bob(), &portal(), &eve].map(is_stranger), [false, false, false, true]);
}

#[test]
fn what_is_left_an_hour_past_its_time_is_found_by_who_may_see_an_image() {
    const EVERYTHING: &str = r#"  - {name: all, requesters: ["jwt:https://i#amy"], actions: [audit], images: all}"#;
    let ask = ask(&["one"]);
    let by = person("ada", &[]);
    let decision = ApprovalDecision::new(&ask, ApprovalAnswer::Approved { by }, "second", None, NOW);
    let audit = Request::parse(&key_policy::json::Json::parse(r#"{"action": "audit"}"#).unwrap(), NOW).unwrap();
    let seen = [IMAGE.parse().unwrap()].into();
    let rules = format!("{RULES}{EVERYTHING}\n");
    let (amy, none) = (person("amy", &[]), Default::default());
    for (who, seen, late, is_found) in [
        (&bob(), &seen, Duration::HOUR, true),
        (&bob(), &seen, Duration::minutes(59), false),
        (&bob(), &none, Duration::HOUR, false),
        // Who may see every image learns of those that are gone.
        (&amy, &none, Duration::HOUR, true),
        (&amy, &none, Duration::minutes(59), false),
    ] {
        let world = world("golden-1").with(|world| world.allowlist.clone_from(&rules));
        world.put_as(Authority::Requester(who), &audit, |case, _| {
            let ask_left = decide::ask_left(&Case { now: ask.until + late, ..*case }, seen, &ask);
            let left = decide::approval_left(&Case { now: decision.until + late, ..*case }, seen, &decision);
            assert_eq!((ask_left.is_some(), left.is_some()), (is_found, is_found), "{} {late}", who.as_str());
            for (finding, name) in [(ask_left, ask.name.as_str()), (left, decision.name.as_str())] {
                let Some(finding) = finding else { continue };
                assert_eq!((finding.code.as_str(), finding.image_id.as_str()), ("ApprovalLeft", IMAGE));
                assert!(finding.message.contains(name) && finding.remedy.contains(name), "{finding:?}");
            }
        });
    }
}

#[test]
fn a_deployment_says_what_it_lacks_for_approvals() {
    let refusal = |change: &dyn Fn(&mut World)| {
        let request = share(&[ONE]);
        world("golden-1").with(change).put_as(Authority::Requester(&bob()), &request, |case, _| {
            decide::no_approvals(case).map(|refusal| {
                check_values(&refusal);
                (refusal.code.to_string(), refusal.message)
            })
        })
    };
    assert_eq!(refusal(&|_| {}), None);
    let (code, message) = refusal(&|world| world.unset_for_copies = vec!["AMI_SHARE_RECORD_KEY"]).unwrap();
    assert_eq!(code, "NotSetUp");
    assert!(message.contains("AMI_SHARE_RECORD_KEY"), "{message}");
    let (code, message) = refusal(&|world| world.setup.approvals = false).unwrap();
    assert_eq!(code, "NotSetUp");
    assert!(!message.contains("AMI_SHARE_RECORD_KEY"), "{message}");
}
