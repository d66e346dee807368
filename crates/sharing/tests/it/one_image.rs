//! What an event about one image of several says: its own part, and of the others only how many there are.

use ami_share_testing::schemas::check_outcome;
use serde_json::json;
use sharing::{
    outcome::{
        ByImage, CopyState, ErrorCode, ErrorRow, ImageRow, Outcome, Refusal, RefusalCode, Source, Status, StepRow,
        StepState,
    },
    request::{Action, Asked},
};

const IMAGES: [&str; 3] = ["ami-00000001", "ami-00000002", "ami-00000003"];
const KEYS: [&str; 2] = [
    "arn:aws:kms:eu-west-1:999988887777:key/00000000-0000-0000-0000-000000000001",
    "arn:aws:kms:eu-west-1:999988887777:key/00000000-0000-0000-0000-000000000002",
];

pub fn row(image: &str, snapshot: &str, keys: &[&str]) -> ImageRow {
    let step = StepRow {
        call: "ec2:ModifySnapshotAttribute",
        resource: snapshot.to_owned(),
        grant_name: None,
        add: Vec::new(),
        remove: vec!["111122223333".parse().unwrap()],
        state: StepState::Done,
        detail: None,
    };
    ImageRow {
        image_id: Some(image.parse().unwrap()),
        copy_of: None,
        copy: None,
        name: None,
        region: "eu-west-1".to_owned(),
        tags: [].into(),
        changed: true,
        key_arns: keys.iter().map(|key| key.parse().unwrap()).collect(),
        rule: None,
        steps: vec![step],
        targets: Vec::new(),
        keys: Vec::new(),
        permissions: None,
        catalogue: None,
        usage: None,
        shared_tags: Vec::new(),
        watermarks: Vec::new(),
        scan: None,
    }
}

fn refusal(code: RefusalCode, image: Option<&str>) -> Refusal {
    Refusal {
        image_id: image.map(|image| image.parse().unwrap()),
        target: Some("111122223333".parse().unwrap()),
        ..Refusal::new(code, "no")
    }
}

fn outcome(status: Status, refusals: Vec<Refusal>) -> Outcome {
    let asked = Asked { image_ids: IMAGES.map(|image| image.parse().unwrap()).into(), ..Asked::default() };
    Outcome {
        action: Some(Action::Share),
        images: vec![row(IMAGES[0], "snap-00000001", &KEYS[..1]), row(IMAGES[1], "snap-00000002", &KEYS)],
        refusals,
        asked,
        ..Outcome::new("id", status)
    }
}

/// The outcome about an image, as the schema has it.
fn about(outcome: &Outcome, image: &str) -> serde_json::Value {
    let event = json!(ByImage::new(outcome).about(&image.parse().unwrap()));
    check_outcome(&event);
    event
}

#[test]
fn the_other_images_of_a_request_are_a_number() {
    let event = about(&outcome(Status::Completed, Vec::new()), IMAGES[0]);
    assert_eq!(event["imageCount"], 3);
    for other in &IMAGES[1..] {
        assert!(!event.to_string().contains(other), "{event:#}");
    }
    assert_eq!((event["images"].as_array().unwrap().len(), &event["images"][0]["imageId"]), (1, &json!(IMAGES[0])));
    // One image alone needs no number.
    let mut one = outcome(Status::Completed, Vec::new());
    one.images.truncate(1);
    one.asked.image_ids.truncate(1);
    assert_eq!(about(&one, IMAGES[0]).get("imageCount"), None);
}

#[test]
fn an_image_has_its_own_refusals_in_its_event_and_those_of_the_whole_request() {
    use RefusalCode::{DefaultKey, ImageNotFound, StaleRequest};
    let refusals = [(DefaultKey, Some(IMAGES[0])), (ImageNotFound, Some(IMAGES[1])), (StaleRequest, None)];
    let outcome = outcome(Status::Refused, refusals.map(|(code, image)| refusal(code, image)).into());
    for (image, codes) in
        [(IMAGES[0], vec!["DefaultKey", "StaleRequest"]), (IMAGES[1], vec!["ImageNotFound", "StaleRequest"])]
    {
        let event = about(&outcome, image);
        let found = event["refusals"].as_array().unwrap().iter().map(|refusal| refusal["code"].as_str().unwrap());
        assert_eq!(found.collect::<Vec<_>>(), codes);
    }
}

#[test]
fn a_copy_is_named_by_its_source_until_it_is_there() {
    let (made, source) = (IMAGES[1], IMAGES[2]);
    for (image_id, state, subject) in [
        (None, Some("none"), source),
        (Some(made), Some("pending"), source),
        (Some(made), Some("available"), made),
        (Some(made), Some("failed"), made),
        (Some(made), None, made),
        (None, None, source),
    ] {
        let row = ImageRow {
            image_id: image_id.map(|id| id.parse().unwrap()),
            copy_of: Some(Source { region: "eu-central-1".parse().unwrap(), image_id: source.parse().unwrap() }),
            copy: state.map(|state| CopyState { state: state.to_owned(), key_arn: None, until: None }),
            ..row(made, "snap-00000002", &[])
        };
        assert_eq!(row.subject().map(|id| id.as_str()), Some(subject), "{image_id:?} {state:?}");
    }
    assert_eq!(row(made, "snap-00000002", &[]).subject().map(|id| id.as_str()), Some(made));
}

/// What stopped the request, by the event about an image.
#[track_caller]
fn stopped(status: Status, refusals: &[(RefusalCode, Option<&str>)], image: &str, expect: &[&str]) {
    let refusals = refusals.iter().map(|(code, image)| refusal(*code, *image)).collect();
    let event = about(&outcome(status, refusals), image);
    let codes = expect.iter().map(|code| json!({"code": code})).collect::<Vec<_>>();
    assert_eq!(event.get("stoppedBy"), (!codes.is_empty()).then(|| json!(codes)).as_ref(), "{event:#}");
    if !codes.is_empty() {
        assert_eq!(event["refusals"], json!([]));
    }
}

#[test]
fn the_event_of_an_image_that_was_fine_says_what_stopped_the_request() {
    use RefusalCode::{DefaultKey, ImageNotFound, StaleRequest, TargetNotAllowed};
    let [one, two, three] = IMAGES.map(Some);
    let several = [(TargetNotAllowed, two), (DefaultKey, three), (TargetNotAllowed, three)];
    stopped(Status::Refused, &several, IMAGES[0], &["TargetNotAllowed", "DefaultKey"]);
    // Its own refusals say it themselves, and so do those of the request.
    stopped(Status::Refused, &several, IMAGES[1], &[]);
    stopped(Status::Refused, &[(DefaultKey, one)], IMAGES[0], &[]);
    stopped(Status::Refused, &[(StaleRequest, None)], IMAGES[0], &[]);
    // Nothing stopped what was carried out.
    stopped(Status::Incomplete, &[(ImageNotFound, two)], IMAGES[0], &[]);
    stopped(Status::Completed, &[], IMAGES[0], &[]);
}

/// Whether the event about the first image has an error or a warning with these words.
#[track_caller]
fn is_in_event(text: &str, expect: bool) {
    let error = |resource: Option<&str>, message: &str| ErrorRow {
        code: ErrorCode::Denied,
        call: Some("ec2:DescribeSnapshots"),
        resource: resource.map(str::to_owned),
        message: message.to_owned(),
        retryable: false,
    };
    for (errors, warnings) in [
        (vec![error(Some(text), "no")], Vec::new()),
        (vec![error(None, text)], Vec::new()),
        (Vec::new(), vec![text.to_owned()]),
    ] {
        let count = errors.len() + warnings.len();
        let outcome = Outcome { errors, warnings, ..outcome(Status::Incomplete, Vec::new()) };
        let about = ByImage::new(&outcome).about(&IMAGES[0].parse().unwrap());
        assert_eq!(about.errors.len() + about.warnings.len() == count, expect, "{text}");
    }
}

#[test]
fn errors_and_warnings_about_other_images_are_not_in_its_event() {
    is_in_event("slow down", true);
    is_in_event("ami-00000001 is PUBLIC", true);
    is_in_event("ami-00000002 is PUBLIC", false);
    // It has no row, and was asked for.
    is_in_event("something about ami-00000003.", false);
    // Another ID that begins like one of them.
    is_in_event("ami-00000002000000000 is not of this request", true);
    is_in_event("snap-00000001 is denied", true);
    is_in_event("snap-00000002 is denied", false);
    // The first key is behind both, the second one behind the other image alone.
    is_in_event(&format!("{}: too many grants", KEYS[0]), true);
    is_in_event(&format!("{}: too many grants", KEYS[1]), false);
    is_in_event("snap-00000001 and snap-00000002", false);
    // The name of a record begins with its image.
    is_in_event("ami-00000003-0123456789abcdef0123456789abcdef-6b49d200", false);
}
