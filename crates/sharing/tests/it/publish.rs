//! Rules that publish: which image a parameter names after a share, and what is said where it names one that its readers
//! can't launch. Rows of facts, without AWS.

use ami_share_testing::worlds::{IMAGE, NOW, ONE, TWO, World, decide, denied};
use serde_json::{Value, json};
use sharing::{
    decide::{Decision, ImageDecision, newest},
    domain::{ImageId, ParameterName},
    facts::{Before, Fact, Failure, ImageState, Lineage, Parameter, Provenance, RegionalImage},
    needs::Publication,
    outcome::{Outcome, Refusal, RefusalCode, Status, StepState},
    plan::{Step, plan},
    progress::{ImageResult, StepResult},
    publishing::{Crossed, LastSteps, crossed, last_steps, settle},
    read_plan::{NamedReads, Need, further},
    report::report,
};
use time::{Duration, OffsetDateTime};

const OTHER: &str = "ami-0000000b";
const THREE: &str = "333344445555";
const PARAMETER: &str = "/golden/web/x86_64/latest";

fn name(text: &str) -> ParameterName {
    text.parse().unwrap()
}

fn image(text: &str) -> ImageId {
    text.parse().unwrap()
}

fn ago(days: i64) -> OffsetDateTime {
    NOW - Duration::days(days)
}

/// What EC2 says of an image that was created so many days ago.
fn made(days: i64) -> Provenance {
    Provenance { created: Some(ago(days)), ..Provenance::default() }
}

/// The same as a copy, of whose source EC2 says this.
fn copy(provenance: Provenance, said: Fact<Option<Provenance>>) -> Provenance {
    let source = RegionalImage { region: "eu-central-1".parse().unwrap(), id: image("ami-0000000c") };
    Provenance { lineage: Lineage::CopyOf { source, said: Box::new(said) }, ..provenance }
}

/// An image that was created ten days ago and that the rule publishes.
fn web() -> World {
    World::open("published-1").with(|world| {
        world.image.tags = [("Family".to_owned(), "web".to_owned())].into();
        world.image.provenance = made(10);
        world.parameters = [(name(PARAMETER), Fact::Known(None))].into();
    })
}

fn of_age(provenance: Provenance) -> World {
    web().with(|world| world.image.provenance = provenance)
}

/// Version 7 of a parameter that names this.
fn naming(value: &str, named: Fact<Option<Provenance>>) -> Parameter {
    Parameter { version: 7, is_for_images: true, image_id: value.parse().ok(), named }
}

fn where_it_is(world: World, parameter: Parameter) -> World {
    world.with(|world| world.parameters = [(name(PARAMETER), Fact::Known(Some(parameter)))].into())
}

fn ask(action: &str, accounts: &[&str]) -> Value {
    match action {
        "audit" | "repair" => json!({"action": action}),
        "reset" | "list" => json!({"action": action, "imageIds": [IMAGE]}),
        _ => json!({"action": action, "imageIds": [IMAGE], "accountIds": accounts}),
    }
}

fn publications(decision: &ImageDecision<'_>) -> Vec<Publication> {
    decision.prerequisites().map(|needs| needs.publications.clone()).unwrap_or_default()
}

/// Asks for a share with these accounts, and says over what the image is published, why not, and what could not be
/// read.
fn shared(world: &World, accounts: &[&str]) -> (Vec<Before>, Vec<String>, Vec<Failure>) {
    world.put(&ask("share", accounts), |case, facts| {
        let decision = decide(case, facts).remove(0);
        assert_eq!(decision.refusals(), []);
        let published = publications(&decision);
        for it in &published {
            assert_eq!((it.parameter.as_str(), &it.image_id), (PARAMETER, &image(IMAGE)));
        }
        let warnings = decision.warnings.iter().filter(|warning| warning.contains(PARAMETER)).cloned();
        (published.iter().map(|it| it.before).collect(), warnings.collect(), decision.gaps().to_vec())
    })
}

#[track_caller]
fn published(world: &World, accounts: &[&str], over: Before) {
    assert_eq!(shared(world, accounts), (vec![over], vec![], vec![]));
}

/// The share is made, and the image not published, saying so.
#[track_caller]
fn not_published(world: &World, words: &str) {
    let (before, warnings, gaps) = shared(world, &[ONE, TWO]);
    assert_eq!((before, gaps), (vec![], vec![]));
    assert!(warnings.len() == 1 && warnings[0].contains(words), "{warnings:?}");
}

#[test]
fn an_image_is_published_when_every_target_of_the_rule_has_it() {
    published(&web(), &[ONE, TWO], Before::Nothing);
    // Who has it already counts, and so does the owner, who can launch it anyway.
    published(&web().shared_with(&[TWO]), &[ONE], Before::Nothing);
    published(&web().shared_with(&[ONE, TWO]), &[ONE], Before::Nothing);
    let nothing = (vec![], vec![], vec![]);
    assert_eq!(shared(&web(), &[ONE]), nothing);
    assert_eq!(shared(&web().shared_with(&[THREE, "all"]), &[ONE]), nothing, "public is not shared with a target");
    // Another rule decides about this target.
    assert_eq!(shared(&web().shared_with(&[ONE, TWO]), &["444455556666"]), nothing);
}

#[test]
fn rules_with_the_same_parameter_publish_once() {
    let twice = web().with(|world| world.image.name = Some("published-twice-1".to_owned()));
    published(&twice, &[ONE, TWO, THREE], Before::Nothing);
    // One of the two is complete.
    published(&twice, &[ONE, THREE], Before::Nothing);
}

#[test]
fn only_a_newer_image_replaces_the_value() {
    let over = |named: Provenance| where_it_is(web(), naming(OTHER, Fact::Known(Some(named))));
    published(&over(made(11)), &[ONE, TWO], Before::Version(7));
    let keeps = "which names ami-0000000b: only a newer image replaces it";
    not_published(&over(made(9)), keeps);
    not_published(&over(made(10)), keeps);
    // What is no image of this account counts as older.
    published(&where_it_is(web(), naming(OTHER, Fact::Known(None))), &[ONE, TWO], Before::Version(7));
    published(&where_it_is(web(), naming("none", Fact::NotRead)), &[ONE, TWO], Before::Version(7));
    // It is there already.
    let there = where_it_is(web(), naming(IMAGE, Fact::Known(Some(made(10)))));
    assert_eq!(shared(&there, &[ONE, TWO]), (vec![], vec![], vec![]));
}

#[test]
fn a_copy_counts_by_its_source() {
    let source = |days| Fact::Known(Some(made(days)));
    let old = || naming(OTHER, source(20));
    published(&where_it_is(of_age(copy(made(0), source(19))), old()), &[ONE, TWO], Before::Version(7));
    not_published(&where_it_is(of_age(copy(made(0), source(21))), old()), "only a newer image");
    // It is not published where that can't be read, whatever the parameter names.
    let unread = "is a copy, and when its source ami-0000000c in eu-central-1 was created could not be read";
    for said in
        [Fact::Known(None), Fact::Failed(denied("ec2:DescribeImages")), Fact::Known(Some(copy(made(1), source(2))))]
    {
        let late = of_age(copy(made(0), said));
        not_published(&late, unread);
        not_published(&where_it_is(late, naming(OTHER, Fact::Known(None))), unread);
    }
    not_published(&of_age(Provenance { lineage: Lineage::Unclear, ..made(0) }), "is not known");
    not_published(&of_age(Provenance { created: None, ..made(0) }), "is not known");
    // So does the image that the parameter names. Where its source is not known, it is older than itself at least.
    let names = |named| where_it_is(web(), naming(OTHER, Fact::Known(Some(named))));
    published(&names(copy(made(1), source(11))), &[ONE, TWO], Before::Version(7));
    not_published(&names(copy(made(1), source(9))), "only a newer image");
    published(&names(copy(made(11), Fact::Known(None))), &[ONE, TWO], Before::Version(7));
    not_published(&names(copy(made(9), Fact::Known(None))), "only a newer image");
    not_published(&names(Provenance { created: None, ..made(0) }), "only a newer image");
}

#[test]
fn what_cannot_be_found_out_gives_nothing() {
    let failed = || Fact::Failed(denied("ssm:GetParameter"));
    let unread = web().with(|world| world.parameters = [(name(PARAMETER), failed())].into());
    let named = where_it_is(web(), naming(OTHER, Fact::Failed(denied("ec2:DescribeImages"))));
    for world in [unread.clone(), named, web().with(|world| world.parameters.clear())] {
        let (before, _, gaps) = shared(&world, &[ONE, TWO]);
        assert_eq!((before.len(), gaps.len()), (0, 1));
        world.put(&ask("share", &[ONE, TWO]), |case, facts| {
            assert_eq!(plan(case, &decide(case, facts)[0], &world.image, facts), []);
        });
    }
    // Where it would not be published anyway, it does not matter.
    assert_eq!(shared(&unread, &[ONE]), (vec![], vec![], vec![]));
}

#[test]
fn a_tag_that_is_no_part_of_a_name_refuses_a_share_and_nothing_else() {
    for (tag, words) in [("web/db", "the tag `Family` is `web/db`"), ("", "the tag `Family`"), ("..", "has `..`")] {
        let world = web().with(|world| drop(world.image.tags.insert("Family".to_owned(), tag.to_owned())));
        for action in ["share", "check", "revoke", "reset", "list"] {
            world.put(&ask(action, &[ONE]), |case, facts| {
                let decision = &decide(case, facts)[0];
                let refusals: Vec<_> =
                    decision.refusals().iter().map(|it| (it.code.as_str(), it.message.clone())).collect();
                if ["share", "check"].contains(&action) {
                    assert!(refusals.len() == 1 && refusals[0].0 == "PublishNotPossible", "{action}: {refusals:?}");
                    assert!(
                        refusals[0].1.contains("rule `published` publishes") && refusals[0].1.contains(words),
                        "{refusals:?}"
                    );
                } else {
                    assert_eq!(refusals, [], "{action}");
                }
                let is_writing = !plan(case, decision, &world.image, facts).is_empty();
                assert_eq!(is_writing, ["revoke", "reset"].contains(&action), "{action}");
            });
        }
    }
    let nowhere = web().with(|world| world.image.architecture = None);
    nowhere.put(&ask("share", &[ONE]), |case, facts| assert_eq!(decide(case, facts)[0].refusals().len(), 1));
}

#[test]
fn parameters_are_read_only_where_a_rule_publishes() {
    let reads = |world: &World, request: &Value| {
        let world = world.clone().with(|world| world.image.launch_permissions = Fact::NotRead);
        let plan = world.put(request, further).parameters;
        let names: Vec<_> = plan.names.iter().map(ToString::to_string).collect();
        (names, plan.need, plan.named)
    };
    let nothing = (vec![], Need::No, NamedReads::Nothing);
    let read = |need, named| (vec![PARAMETER.to_owned()], need, named);
    assert_eq!(reads(&web(), &ask("share", &[ONE])), read(Need::Settled, NamedReads::Ages));
    assert_eq!(reads(&web(), &ask("revoke", &[ONE])), read(Need::Optional, NamedReads::Nothing));
    assert_eq!(reads(&web(), &ask("reset", &[])), read(Need::Optional, NamedReads::Nothing));
    assert_eq!(reads(&web(), &ask("repair", &[])), read(Need::Optional, NamedReads::Themselves));
    for action in ["check", "list"] {
        assert_eq!(reads(&web(), &ask(action, &[ONE])), nothing, "{action}");
    }
    // Another rule decides.
    assert_eq!(reads(&web(), &ask("share", &["444455556666"])), nothing);
    let plain = World::open("golden-1").with(|world| world.image.tags = web().image.tags);
    for action in ["share", "revoke", "reset", "repair"] {
        assert_eq!(reads(&plain, &ask(action, &[ONE])), nothing, "{action}");
    }
    // What is refused anyway is not read.
    let pending = web().with(|world| world.image.state = ImageState::Pending);
    assert_eq!(reads(&pending, &ask("share", &[ONE])), nothing);
}

#[test]
fn a_revoke_warns_where_the_parameter_still_names_the_image() {
    #[track_caller]
    fn warns(world: &World, words: Option<&str>) {
        for action in ["revoke", "reset"] {
            world.put(&ask(action, &[ONE]), |case, facts| {
                let decision = decide(case, facts).remove(0);
                let warnings: Vec<_> = decision.warnings.iter().filter(|it| it.contains(PARAMETER)).collect();
                assert_eq!(warnings.len(), usize::from(words.is_some()), "{warnings:?}");
                assert!(warnings.iter().all(|warning| warning.contains(words.unwrap())), "{warnings:?}");
                assert_eq!((decision.refusals(), decision.gaps()), (&[][..], &[][..]), "{action} is not held up");
                assert!(!plan(case, &decision, &world.image, facts).is_empty());
            });
        }
    }
    let there = web().shared_with(&[ONE, TWO]);
    warns(
        &where_it_is(there.clone(), naming(IMAGE, Fact::NotRead)),
        Some("still names ami-1a2b3c4d; share a newer image"),
    );
    warns(&where_it_is(there.clone(), naming(OTHER, Fact::NotRead)), None);
    warns(&there, None);
    let failed = there.with(|world| {
        world.parameters = [(name(PARAMETER), Fact::Failed(denied("ssm:GetParameter")))].into();
    });
    warns(&failed, Some("could not be read"));
}

#[test]
fn an_audit_finds_a_parameter_that_names_what_its_readers_cannot_launch() {
    #[track_caller]
    fn finds(world: &World, expect: &[(&str, &str)]) {
        world.put(&ask("repair", &[]), |case, facts| {
            let decision = decide(case, facts).remove(0);
            let found = &decision.survey().unwrap().findings;
            let found: Vec<_> = found.iter().filter(|it| it.code.as_str() == "ParameterStale").collect();
            assert_eq!(found.len(), expect.len(), "{found:?}");
            for (found, (image_id, words)) in found.iter().zip(expect) {
                assert_eq!(found.image_id.as_str(), *image_id);
                assert!(found.message.starts_with(PARAMETER) && found.message.contains(words), "{found:?}");
                assert!(found.remedy.contains("aws ssm put-parameter --name /golden/web/x86_64/latest"), "{found:?}");
            }
            assert_eq!(plan(case, &decision, &world.image, facts), [], "a repair puts nothing");
        });
    }
    let itself = || naming(IMAGE, Fact::Known(Some(made(10))));
    finds(&where_it_is(web().shared_with(&[ONE, TWO]), itself()), &[]);
    finds(&where_it_is(web().shared_with(&[TWO]), itself()), &[(IMAGE, "which is not shared with 111122223333; rule")]);
    finds(&where_it_is(web(), itself()), &[(IMAGE, "111122223333, 222233334444; rule `published` publishes to it")]);
    // A rule of somebody else is not named, nor whom it is for.
    let others = web().with(|world| world.image.name = Some("portals-published-1".to_owned()));
    let words = "which is not shared with every target; somebody else's rule publishes to it";
    finds(&where_it_is(others, itself()), &[(IMAGE, words)]);
    let disabled = web().shared_with(&[ONE, TWO]).with(|world| world.image.state = ImageState::Disabled);
    finds(&where_it_is(disabled, itself()), &[(IMAGE, "which is `disabled`")]);
    // What is not shared and not named is none.
    finds(&web(), &[]);
    finds(&where_it_is(web(), naming(OTHER, Fact::Known(Some(made(1))))), &[]);
    finds(&where_it_is(web(), naming("none", Fact::NotRead)), &[]);
    finds(&where_it_is(web(), naming(OTHER, Fact::Known(None))), &[(OTHER, "which is not an image of this account")]);
    finds(&where_it_is(web(), naming(OTHER, Fact::Failed(denied("ec2:DescribeImages")))), &[]);
}

/// What became of a share with both accounts: each of its steps in this state.
fn result<'a>(decision: ImageDecision<'a>, steps: Vec<Step>, state: StepState) -> ImageResult<'a> {
    let steps = steps.into_iter().map(|step| taken(step, state, None)).collect();
    ImageResult { decision, steps, lost: Vec::new() }
}

fn taken(step: Step, state: StepState, version: Option<u64>) -> StepResult {
    StepResult { version, ..StepResult::new(step, state) }
}

#[test]
fn a_parameter_is_put_after_everything_else_and_only_where_that_is_done() {
    let world = web();
    world.put(&ask("share", &[ONE, TWO]), |case, facts| {
        let decide = || decide(case, facts).remove(0);
        let steps = plan(case, &decide(), &world.image, facts);
        assert!(!steps.is_empty() && !steps.iter().any(|step| matches!(step, Step::PutParameter(_))), "{steps:?}");
        let put = Step::PutParameter(publications(&decide()).remove(0));
        assert_eq!((put.call(), put.resource().as_str()), ("ssm:PutParameter", PARAMETER));
        for (state, is_put) in [
            (StepState::Done, true),
            (StepState::Planned, true),
            (StepState::Failed, false),
            (StepState::Skipped, false),
        ] {
            let last = last_steps(&[result(decide(), steps.clone(), state)]).remove(0);
            let expect = if is_put { (vec![put.clone()], vec![]) } else { (vec![], vec![put.clone()]) };
            assert_eq!((last.now, last.skipped), expect, "{state:?}");
        }
        // What was taken back is not published.
        let lost =
            ImageResult { lost: vec![denied("scheduler:GetSchedule")], ..result(decide(), steps, StepState::Done) };
        assert_eq!(last_steps(&[lost]).remove(0).now, []);
        // Nothing was missing: an earlier share was cut short before its last step.
        assert_eq!(last_steps(&[result(decide(), vec![], StepState::Done)]).remove(0).now, [put]);
    });
}

/// A share that publishes an image of this age.
fn sharing<'a>(id: &'static str, days: i64, template: &ImageDecision<'a>, ids: &'a [ImageId]) -> ImageDecision<'a> {
    let mut decision = template.clone();
    decision.image_id = ids.iter().find(|it| it.as_str() == id).unwrap();
    if let Decision::Share(share) = &mut decision.decision
        && let sharing::decide::Verdict::Yes(needs) = &mut share.verdict
    {
        needs.publications[0].image_id = image(id);
        needs.publications[0].created = ago(days);
    }
    decision
}

#[test]
fn of_the_images_of_a_request_the_newest_complete_one_is_published() {
    let ids = [image("ami-0000000a"), image("ami-0000000b")];
    web().put(&ask("share", &[ONE, TWO]), |case, facts| {
        let template = decide(case, facts).remove(0);
        let add = || Step::AddLaunchPermissions { image_id: image(IMAGE), targets: vec![ONE.parse().unwrap()] };
        let both = |newer, older| {
            [
                result(sharing("ami-0000000a", 1, &template, &ids), vec![add()], newer),
                result(sharing("ami-0000000b", 2, &template, &ids), vec![add()], older),
            ]
        };
        let counts = |newer, older| {
            let last = last_steps(&both(newer, older));
            last.iter().map(|LastSteps { now, skipped }| (now.len(), skipped.len())).collect::<Vec<_>>()
        };
        assert_eq!(counts(StepState::Done, StepState::Done), [(1, 0), (0, 0)]);
        assert_eq!(counts(StepState::Done, StepState::Failed), [(1, 0), (0, 0)]);
        assert_eq!(counts(StepState::Failed, StepState::Done), [(0, 1), (1, 0)]);
        assert_eq!(counts(StepState::Failed, StepState::Failed), [(0, 1), (0, 0)]);
        // If one image is refused, the whole share is.
        let [mut refused, other] = both(StepState::Done, StepState::Done);
        refused.decision.decision = Decision::Refused(vec![Refusal::new(RefusalCode::ImageNotFound, "")]);
        assert_eq!(last_steps(&[refused, other]), [LastSteps::default(), LastSteps::default()]);
    });
}

#[test]
fn shares_cross_where_the_version_is_not_the_next_one() {
    let put = |before, version| {
        web().put(&ask("share", &[ONE, TWO]), |case, facts| {
            let decision = decide(case, facts).remove(0);
            let put = Publication { before, ..publications(&decision).remove(0) };
            let step = taken(Step::PutParameter(put), StepState::Done, Some(version));
            let crossed = crossed(&ImageResult { decision, steps: vec![step], lost: Vec::new() });
            crossed.iter().map(|it| (it.between.clone(), it.put.before)).collect::<Vec<_>>()
        })
    };
    assert_eq!(put(Before::Nothing, 1), []);
    assert_eq!(put(Before::Version(7), 8), []);
    assert_eq!(put(Before::Version(7), 10), [(8..10, Before::Version(10))]);
    assert_eq!(put(Before::Nothing, 3), [(1..3, Before::Version(3))]);
    // It was deleted meanwhile, and begins again.
    assert_eq!(put(Before::Version(7), 1), []);
    assert_eq!(put(Before::Version(7), 2), [(1..2, Before::Version(2))]);
    // Parameter Store keeps the latest versions only.
    assert_eq!(put(Before::Version(7), 1007), [(957..1007, Before::Version(1007))]);
}

#[test]
fn of_the_versions_between_the_newest_is_put() {
    let put = Publication {
        parameter: name(PARAMETER),
        image_id: image(IMAGE),
        created: ago(10),
        before: Before::Version(9),
    };
    let version = |id: &str, named| naming(id, Fact::Known(named));
    let found = |versions: &[Parameter]| newest(&put, versions).map(|it| (it.image_id.to_string(), it.before));
    assert_eq!(found(&[]), None);
    assert_eq!(found(&[version(OTHER, Some(made(11)))]), None);
    assert_eq!(found(&[version(OTHER, Some(made(10)))]), None);
    assert_eq!(found(&[version(OTHER, None), naming("none", Fact::NotRead)]), None);
    assert_eq!(found(&[version(IMAGE, Some(made(10)))]), None, "an answer was lost, and the call made again");
    let newer = Some((OTHER.to_owned(), Before::Version(9)));
    assert_eq!(found(&[version(OTHER, Some(made(9)))]), newer);
    assert_eq!(
        found(&[
            version("ami-0000000d", Some(made(9))),
            version(OTHER, Some(made(8))),
            version("ami-0000000e", Some(made(9)))
        ]),
        newer
    );
    assert_eq!(found(&[version(OTHER, Some(copy(made(0), Fact::Known(Some(made(9))))))]), newer);
    assert_eq!(found(&[version(OTHER, Some(copy(made(0), Fact::Known(Some(made(11))))))]), None);
    assert_eq!(found(&[version(OTHER, Some(copy(made(0), Fact::Known(None))))]), None);
}

#[test]
fn shares_that_crossed_put_the_newest_image_until_the_last_round() {
    let settled = |versions, is_last| {
        web().put(&ask("share", &[ONE, TWO]), |case, facts| {
            let decision = decide(case, facts).remove(0);
            let put = Publication { created: ago(10), ..publications(&decision).remove(0) };
            let result = ImageResult { decision, steps: Vec::new(), lost: Vec::new() };
            let between = vec![(Crossed { put, version: 10, between: 8..10 }, versions)];
            let (result, steps) = settle(result, &between, is_last);
            (steps.len(), result.lost.first().map(|failure| failure.message.clone()))
        })
    };
    let newer = || Ok(vec![naming(OTHER, Fact::Known(Some(made(9))))]);
    let older = || Ok(vec![naming(OTHER, Fact::Known(Some(made(11))))]);
    let unread = || Err(denied("ssm:GetParameterHistory"));
    assert_eq!((settled(newer(), false), settled(older(), false)), ((1, None), (0, None)));
    assert_eq!((settled(older(), true), settled(unread(), false).0), ((0, None), 0));
    assert!(settled(unread(), false).1.unwrap().contains("ssm:GetParameterHistory"));
    let (steps, why) = settled(newer(), true);
    assert!(steps == 0 && why.unwrap().contains("other images were published repeatedly"));
}

#[test]
fn the_outcome_says_that_the_image_was_sent() {
    let world = web().shared_with(&[ONE, TWO]);
    world.put(&ask("share", &[ONE, TWO]), |case, facts| {
        let decision = decide(case, facts).remove(0);
        let put = Step::PutParameter(publications(&decision).remove(0));
        let mut outcome = Outcome::new("id", Status::Completed);
        let steps = vec![taken(put, StepState::Done, Some(1))];
        report(&mut outcome, case, facts, vec![ImageResult { decision, steps, lost: Vec::new() }], "eu-west-1");
        let row = &outcome.images[0];
        assert_eq!((outcome.result, row.changed, row.steps.len()), (Status::Completed, true, 1));
        assert!(row.steps[0].detail.as_ref().unwrap().starts_with("ami-1a2b3c4d was sent; "), "{row:?}");
    });
}

#[test]
fn a_parameter_of_another_type_has_no_version_to_put_over() {
    let text = Parameter { is_for_images: false, ..naming("ami-0000000b", Fact::NotRead) };
    let images = naming("ami-0000000b", Fact::NotRead);
    let before = [None, Some(&images), Some(&text)].map(Before::from);
    assert_eq!(before, [Before::Nothing, Before::Version(7), Before::OtherType]);
}

#[test]
fn of_several_times_that_a_parameter_was_put_the_last_one_may_have_crossed_another_writer() {
    let put = |parameter: &str, before, version| StepResult {
        version: Some(version),
        ..StepResult::new(
            Step::PutParameter(Publication {
                parameter: name(parameter),
                image_id: image(IMAGE),
                created: ago(10),
                before,
            }),
            StepState::Done,
        )
    };
    let steps = vec![
        put("/golden/db/x86_64/latest", Before::Version(1), 3),
        // The first time another writer came in between; the second time none.
        put(PARAMETER, Before::Version(7), 9),
        put(PARAMETER, Before::Version(9), 10),
    ];
    web().put(&ask("share", &[ONE, TWO]), |case, facts| {
        let decision = decide(case, facts).remove(0);
        let crossed = crossed(&ImageResult { decision, steps: steps.clone(), lost: Vec::new() });
        let found: Vec<_> = crossed.iter().map(|it| (it.put.parameter.as_str(), it.between.clone())).collect();
        assert_eq!(found, [("/golden/db/x86_64/latest", 2..3)]);
    });
}
