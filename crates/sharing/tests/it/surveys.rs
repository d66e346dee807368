//! How the outcome of an audit is put together from those of some images at a time, without AWS.

use ami_share_testing::worlds::{World, denied, key};
use serde_json::json;
use sharing::{
    decide::{Case, Surveyed, next_token},
    facts::{Facts, Failure},
    outcome::{Finding, FindingCode, Outcome, Status},
    report::{add_images, surveyed},
    request::{NextToken, Request},
};

fn finding(image_id: &str) -> Finding {
    let image_id = image_id.parse().unwrap();
    let (message, remedy) = ("found".to_owned(), "do".to_owned());
    Finding { code: FindingCode::ApprovalLeft, image_id, target: None, message, remedy }
}

fn part(findings: &[&str], warning: &str) -> Outcome {
    let findings = Some(findings.iter().copied().map(finding).collect());
    Outcome { findings, warnings: vec![warning.to_owned()], ..Outcome::new("id", Status::Completed) }
}

#[test]
fn what_several_parts_of_an_audit_say_is_said_once() {
    let image = |id: &str| super::one_image::row(id, "snap-0000000a", &[]);
    let with = |images: &[&str], part: Outcome| {
        let images = images.iter().map(|id| image(id)).collect();
        Outcome { images, ..part }
    };
    let mut total = with(&["ami-0000000a"], part(&["ami-0000000a"], "one"));
    add_images(&mut total, with(&["ami-0000000a", "ami-0000000b"], part(&["ami-0000000a", "ami-0000000b"], "one")));
    assert_eq!(total.images, [image("ami-0000000a"), image("ami-0000000b")]);
    add_images(&mut total, part(&[], "two"));
    let found: Vec<_> = total.findings.iter().flatten().map(|finding| finding.image_id.as_str()).collect();
    assert_eq!(
        (found, total.warnings),
        (vec!["ami-0000000a", "ami-0000000b"], vec!["one".to_owned(), "two".to_owned()])
    );
}

#[test]
fn a_key_whose_grants_were_not_all_handled_is_looked_at_again_by_the_next_request() {
    World::encrypted("golden-1", &[]).put(&json!({"action": "repair"}), |case, facts| {
        let request = Request { image_ids: vec!["ami-0000000a".parse().unwrap()], ..case.request.clone() };
        let case = Case { request: &request, ..*case };
        let knows = |facts: &Facts| next_token(&case, facts).unwrap().knows(&key());
        assert!(knows(facts));
        assert!(!knows(&Facts { unfinished_keys: [key()].into(), ..facts.clone() }));
    });
}

#[test]
fn an_answer_is_full_by_its_findings_or_rows_in_all() {
    for (findings, rows, is_full) in
        [(0, 0, false), (249, 499, false), (250, 0, true), (0, 500, true), (usize::MAX, usize::MAX, true)]
    {
        let mut so_far = Surveyed::from(None);
        for _ in 0..2 {
            so_far.add(Surveyed { findings, rows, ..Surveyed::default() });
        }
        assert_eq!(so_far.is_full(), is_full, "twice {findings} and {rows}");
    }
}

#[test]
fn an_audit_fails_only_if_no_image_could_be_read() {
    let unread = || -> Vec<Failure> { vec![denied("ec2:DescribeImages"), denied("ec2:DescribeImages")] };
    let next = || Some(NextToken::new(None, "ami-0000000a".parse().unwrap(), std::iter::empty()));
    for (unread, is_any_read, next, result, warnings, retryable) in [
        (Vec::new(), false, None, Status::Completed, 1, true),
        (unread(), true, None, Status::Completed, 2, true),
        // To continue is of more use than to begin again.
        (Vec::new(), true, next(), Status::Completed, 1, false),
        (unread(), false, next(), Status::Failed, 1, false),
    ] {
        let mut so_far = Surveyed::from(None);
        let is_continued = next.is_some() && result == Status::Completed;
        so_far.add(Surveyed { unread, is_any_read, next, ..Surveyed::default() });
        let outcome = surveyed(Outcome { retryable: true, ..part(&[], "one") }, so_far);
        let found = (outcome.result, outcome.warnings.len(), outcome.retryable);
        assert_eq!(found, (result, warnings, retryable), "{outcome:?}");
        assert_eq!(outcome.next_token.is_some(), is_continued, "{outcome:?}");
    }
}

#[test]
fn what_is_known_of_all_images_is_added_up() {
    let mut so_far = Surveyed::from(None);
    so_far.add(Surveyed { is_any_read: true, ..Surveyed::default() });
    so_far.add(Surveyed { unread: vec![denied("kms:ListGrants")], ..Surveyed::default() });
    assert_eq!((so_far.is_any_read, so_far.unread.len(), so_far.next), (true, 1, None));
}

#[test]
fn a_survey_goes_on_from_its_place_and_knows_whether_anything_was_read() {
    let place: NextToken = "ami-0000000a".parse().unwrap();
    let mut so_far = Surveyed::from(Some(place.clone()));
    assert_eq!((so_far.next.as_ref(), so_far.is_any_read, so_far.has_repairs), (Some(&place), false, false));
    for (is_any_read, has_repairs, expect) in [
        (false, false, (false, false)),
        (true, false, (true, false)),
        (false, true, (true, true)),
        (false, false, (true, true)),
    ] {
        so_far.add(Surveyed { is_any_read, has_repairs, ..Surveyed::from(None) });
        assert_eq!((so_far.is_any_read, so_far.has_repairs), expect);
        assert_eq!(so_far.next, None);
    }
}
