//! Owns the last step of a share: which parameters are set after everything else is done, and what follows if another
//! writer changed the same parameter at the same time.

use std::ops::Range;

use crate::{
    decide::newest,
    domain::ParameterName,
    facts::{Before, Failure, Parameter, Reading},
    needs::Publication,
    outcome::{ErrorCode, StepState},
    plan::Step,
    progress::ImageResult,
    request::Action,
};

/// At most this many versions in between are read: the latest ones. Parameter Store keeps 100:
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-versions.html>
const MOST_VERSIONS: u64 = 50;

/// The last steps of one image's share.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LastSteps {
    /// The steps that are carried out.
    pub now: Vec<Step>,
    /// The steps that are not carried out, because the share is not complete.
    pub skipped: Vec<Step>,
}

/// The last steps of each share, in the order of the shares. If several images of a request have the same parameter,
/// only the newest one whose share is complete is published. If one image stops the whole share, none is.
pub fn last_steps(results: &[ImageResult<'_>]) -> Vec<LastSteps> {
    if results.iter().any(|result| result.decision.stops_whole(Action::Share)) {
        return vec![LastSteps::default(); results.len()];
    }
    let all: Vec<_> = results.iter().map(|result| (is_complete(result), publications(result))).collect();
    let is_newest = |one: &Publication, is_complete: bool| {
        let others = all.iter().filter(|(other, _)| *other || !is_complete).flat_map(|(_, others)| others.iter());
        let mut others = others.filter(|other| other.parameter == one.parameter && other.image_id != one.image_id);
        others.all(|other| (other.created, &other.image_id) < (one.created, &one.image_id))
    };
    let of_image = |(is_complete, publications): &(bool, &[Publication])| {
        let newest = publications.iter().filter(|one| is_newest(one, *is_complete));
        let steps = newest.cloned().map(Step::PutParameter).collect();
        let (now, skipped) = if *is_complete { (steps, Vec::new()) } else { (Vec::new(), steps) };
        LastSteps { now, skipped }
    };
    all.iter().map(of_image).collect()
}

fn publications<'r>(result: &'r ImageResult<'_>) -> &'r [Publication] {
    result.decision.prerequisites().map(|needs| needs.publications.as_slice()).unwrap_or_default()
}

/// Whether every step that the share depends on is done, or planned in a dry run.
fn is_complete(result: &ImageResult<'_>) -> bool {
    let is_done = |state| matches!(state, StepState::Done | StepState::Planned);
    result.lost.is_empty() && result.steps.iter().all(|taken| is_done(taken.state) || taken.step.is_best_effort())
}

/// A parameter that another writer put between our read and our write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossed {
    /// What we put, with the version that it now is.
    pub put: Publication,
    /// The number of that version.
    pub version: u64,
    /// The versions between the one that was read and the one that was put.
    pub between: Range<u64>,
}

/// The parameters of an image of which another version than the one that was read was replaced. Only the last step for
/// each parameter counts.
pub fn crossed(result: &ImageResult<'_>) -> Vec<Crossed> {
    let mut last: Vec<(&Publication, u64)> = Vec::new();
    for taken in &result.steps {
        if let (Step::PutParameter(put), Some(version)) = (&taken.step, taken.version) {
            last.retain(|(other, _)| other.parameter != put.parameter);
            last.push((put, version));
        }
    }
    let crossed = last.into_iter().filter_map(|(put, version)| {
        let expected = match put.before {
            Before::Version(read) => read.saturating_add(1),
            Before::Nothing | Before::OtherType => 1,
        };
        // The versions of a parameter that was deleted in the meantime begin at 1 again.
        let first = if version < expected { 1 } else { expected };
        let between = first.max(version.saturating_sub(MOST_VERSIONS))..version;
        let put = Publication { before: Before::Version(version), ..put.clone() };
        (!between.is_empty()).then_some(Crossed { put, version, between })
    });
    crossed.collect()
}

/// The versions of parameters in between that were read, or why they could not be.
pub type Between = Vec<(Crossed, Reading<Vec<Parameter>>)>;

/// The steps that set the parameters of one image again, to the newest image that was put, beside its results. In the last
/// round nothing is set any more, and the outcome says what is not known.
pub fn settle<'a>(mut result: ImageResult<'a>, between: &Between, is_last: bool) -> (ImageResult<'a>, Vec<Step>) {
    let mut again = Vec::new();
    for (crossed, versions) in between {
        match versions {
            Err(failure) => result.lost.push(failure.clone()),
            Ok(versions) => again.extend(newest(&crossed.put, versions)),
        }
    }
    if is_last {
        let unsettled = |it: &Publication| unsettled(&it.parameter, "other images were published repeatedly");
        result.lost.extend(again.iter().map(unsettled));
        again.clear();
    }
    (result, again.into_iter().map(Step::PutParameter).collect())
}

/// Why it is not known whether a parameter names the newest image.
pub fn unsettled(parameter: &ParameterName, why: &str) -> Failure {
    Failure {
        code: ErrorCode::NotPublished,
        call: Some("ssm:GetParameter"),
        resource: Some(parameter.to_string()),
        message: format!(
            "another image was published to {parameter} at the same time, and it is not known whether the parameter names \
             the newest one: {why}; share the newest image again, which publishes it if the parameter does not name it"
        ),
        // The same request would find that the parameter names its own image.
        retryable: false,
    }
}

/// Why a parameter that exists can't name an image.
pub fn other_type(parameter: &ParameterName) -> Failure {
    Failure {
        code: ErrorCode::NotPublished,
        call: Some("ssm:PutParameter"),
        resource: Some(parameter.to_string()),
        message: format!(
            "the image is shared but not published: {parameter} exists and is not of the type `String` and the data type \
             `aws:ec2:image`, which AWS can't change; delete it (`aws ssm delete-parameter --name {parameter}`) and send the \
             request again, or let the rule publish to another parameter"
        ),
        retryable: false,
    }
}
