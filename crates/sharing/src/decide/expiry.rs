//! Owns when shares expire: what a share does to a recorded expiry, which expiry times are too near, and whether an
//! expiry is due.
//!
//! A record never changes, and the latest of an image and target gives the expiry time. So an expiry time is only moved
//! later. Giving one to a share that had none takes access away, and so needs the right to revoke.

use std::collections::BTreeMap;

use key_policy::json::FaultKind;
use time::{Duration, OffsetDateTime};

use super::{Authority, ImageDecision, Question, covering_rule_for, refusals};
use crate::{
    allowlist::Rule,
    domain::{ExpiryName, ImageId, Target, rfc3339},
    facts::{Expiry, Image, Reading},
    outcome::{ErrorCode, ErrorRow, Refusal, RefusalCode},
    request::{Action, AskedTarget, Request, SHORTEST_EXPIRY},
};

/// Schedules run to the minute, and clocks differ a little: an expiry is due this much before its time.
const EARLIEST: Duration = Duration::minutes(1);

/// So near to its expiry a share is left alone. It is more than an expiry can come early, so that no launch permission
/// that a share adds arrives after the expiry has begun.
const ENDING: Duration = Duration::minutes(2);

/// Whether the time of a recorded expiry has come.
pub fn is_due(expiry: &Expiry, now: OffsetDateTime) -> bool {
    expiry.at - now <= EARLIEST
}

/// Whether a later record of the same image and target has taken the place of an expiry that is due.
pub(super) fn is_superseded(question: &Question<'_>, image: &Image) -> bool {
    let Authority::Expiry(own) = question.authority else { return false };
    image.expiry_of(&own.target).is_some_and(|latest| latest.at > own.at)
}

/// Whether a request wants an expiry time that is too near, but for a share that has this very record: who sends it again
/// finishes what it began.
pub fn is_near(request: &Request, now: OffsetDateTime) -> bool {
    request.expires_at.is_some_and(|at| at - now < SHORTEST_EXPIRY)
}

/// Whether the records of an image alone refuse to share it because the expiry time is too near; then nothing else of it
/// needs to be read.
pub fn is_refused_by_time(
    question: &Question<'_>,
    image_id: &ImageId,
    expiries: Option<&BTreeMap<ExpiryName, Expiry>>,
) -> bool {
    let lacks_record = |expiries: &BTreeMap<ExpiryName, Expiry>| {
        question.request.targets.iter().any(|asked| !has_record(question, image_id, &asked.target, expiries))
    };
    is_near(question.request, question.now) && expiries.is_some_and(lacks_record)
}

/// Whether the share has the record of exactly the expiry that is asked for.
fn has_record(
    question: &Question<'_>,
    image_id: &ImageId,
    target: &Target,
    expiries: &BTreeMap<ExpiryName, Expiry>,
) -> bool {
    let name = wanted(question).and_then(|at| ExpiryName::new(image_id, target, at));
    name.is_some_and(|name| expiries.contains_key(&name))
}

/// The expiry time that is asked for, as Scheduler takes it: in whole seconds.
fn wanted(question: &Question<'_>) -> Option<OffsetDateTime> {
    let at = question.request.expires_at?;
    Some(at.replace_nanosecond(0).unwrap_or(at))
}

/// Takes the targets out of a share that a rule makes by itself with which the image is shared already, without an expiry
/// or until later: those shares are left as they are.
pub(super) fn leave_existing<'a>(question: &Question<'a>, image: &Image, decision: &mut ImageDecision<'a>) {
    if !question.is_automatic || image.expiries.is_err() {
        return;
    }
    let outlasts = |target: &Target| match (image.expiry_of(target), wanted(question)) {
        (None, _) => true,
        (Some(there), Some(at)) => there.at > at,
        (Some(_), None) => false,
    };
    let is_left =
        |(asked, _): &(&AskedTarget, Option<&Rule>)| image.is_shared_with(&asked.target) && outlasts(&asked.target);
    let (left, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut decision.targets).into_iter().partition(is_left);
    decision.targets = rest;
    for (asked, rule) in left {
        let until = match image.expiry_of(&asked.target) {
            Some(there) => format!("until {}", rfc3339(there.at)),
            None => "without an expiry".to_owned(),
        };
        decision.warnings.push(format!(
            "{} is shared with {} already, {until}; that share is left as it is",
            decision.image_id, asked.target
        ));
        decision.left_as_they_are.push((asked, rule));
    }
}

/// Decides about the expiries of the covered targets.
pub(super) fn check(question: &Question<'_>, image: &Image, decision: &mut ImageDecision<'_>) {
    let wanted = wanted(question);
    if wanted.is_some() && !question.unset_for_expiry.is_empty() {
        return decision.refusals.push(not_possible(question, decision.image_id));
    }
    let expiries = match (&image.expiries, wanted) {
        (Ok(expiries), _) => expiries,
        // `observe` fails before this; nothing is given without knowing.
        (Err(error), Some(_)) => return decision.gaps.push(error.clone()),
        (Err(_), None) if question.request.action == Action::Share => {
            return decision.warnings.push(format!(
                "whether the shares of {} expire could not be read; an expiry that is there stays",
                decision.image_id
            ));
        }
        (Err(_), None) => return,
    };
    let covered: Vec<_> = decision.targets.iter().filter(|(_, rule)| rule.is_some()).map(|(asked, _)| *asked).collect();
    for asked in covered {
        let latest = image.expiry_of(&asked.target);
        if let Some(there) = latest.filter(|there| there.at - question.now <= ENDING) {
            decision.refusals.push(ending(question, decision.image_id, asked, there));
            continue;
        }
        let refused = decision.refusals.len();
        match wanted {
            None => decision.warnings.extend(stays(question, decision.image_id, asked, latest)),
            Some(at) => move_to(question, image, expiries, asked, (at, latest), decision),
        }
        let expires = wanted.max(latest.map(|there| there.at));
        if let Some(at) = expires.filter(|at| *at - question.deadline <= ENDING)
            && !image.is_shared_with(&asked.target)
            && decision.refusals.len() == refused
        {
            decision.refusals.push(too_late(question, decision.image_id, asked, at, latest));
        }
    }
}

/// What a share with an expiry time does to the records of one target: nothing, a new record, or it is refused.
fn move_to(
    question: &Question<'_>,
    image: &Image,
    expiries: &BTreeMap<ExpiryName, Expiry>,
    asked: &AskedTarget,
    (at, latest): (OffsetDateTime, Option<&Expiry>),
    decision: &mut ImageDecision<'_>,
) {
    let image_id = decision.image_id;
    if !has_record(question, image_id, &asked.target, expiries) && is_near(question.request, question.now) {
        let refusal = near(question, image_id);
        if !decision.refusals.contains(&refusal) {
            decision.refusals.push(refusal);
        }
        return;
    }
    match latest {
        Some(there) if there.at == at => return,
        Some(there) if there.at > at => return decision.refusals.push(earlier(question, image_id, asked, there)),
        None if image.is_shared_with(&asked.target) && !may_revoke(question, image, &asked.target) => {
            return decision.refusals.push(takes_away(question, image_id, asked));
        }
        Some(_) | None => {}
    }
    // Eight digits hold every time that a request can have.
    let Some(name) = ExpiryName::new(image_id, &asked.target, at) else { return };
    let snapshots = image.snapshots.iter().flatten();
    decision.new_expiries.push(Expiry {
        name,
        at,
        image_id: image_id.clone(),
        target: asked.target.clone(),
        snapshot_ids: snapshots.map(|snapshot| snapshot.id.clone()).collect(),
        key_arns: image.keys().into_iter().cloned().collect(),
    });
}

/// A share without an expiry time leaves an existing expiry as it is, and says so.
fn stays(question: &Question<'_>, image_id: &ImageId, asked: &AskedTarget, latest: Option<&Expiry>) -> Option<String> {
    let there = latest.filter(|_| question.request.action == Action::Share)?;
    let (target, at) = (&asked.target, rfc3339(there.at));
    Some(format!("the share of {image_id} with {target} expires at {at}, which this request does not change"))
}

fn may_revoke(question: &Question<'_>, image: &Image, target: &Target) -> bool {
    covering_rule_for(Action::Revoke, question, image, target).is_ok()
}

fn not_possible(question: &Question<'_>, image_id: &ImageId) -> Refusal {
    let unset = question.unset_for_expiry.join(", ");
    let message = format!("this deployment can't record when a share expires: it has no {unset}");
    refusals::image(RefusalCode::ExpiryNotPossible, image_id, message)
        .at(POINTER)
        .value("variables", question.unset_for_expiry)
        .remedy(format!("set {unset}, or leave `expiresAt` out"))
}

/// Where a request names its expiry time.
const POINTER: &str = "/expiresAt";

fn near(question: &Question<'_>, image_id: &ImageId) -> Refusal {
    let at = question.request.expires_at.map(rfc3339).unwrap_or_default();
    let message = format!("{at} is less than 5 minutes ahead");
    let refusal = refusals::image(RefusalCode::MalformedRequest, image_id, message)
        .at(POINTER)
        .value("given", at)
        .value("earliest", question.now.checked_add(SHORTEST_EXPIRY).map(rfc3339).unwrap_or_default())
        .remedy("give an expiry time that is at least 5 minutes ahead");
    Refusal { fault: Some(FaultKind::OutOfRange), ..refusal }
}

fn ending(question: &Question<'_>, image_id: &ImageId, asked: &AskedTarget, there: &Expiry) -> Refusal {
    let (target, at) = (question.allowlist.called(&asked.target), rfc3339(there.at));
    let message = format!("the share with {target} expires at {at}; until that is over nothing is shared anew");
    let refusal = refusals::pair(RefusalCode::ShareEnding, image_id, asked, message).value("expiresAt", at).remedy(
        "send the request again in a few minutes; where the expiry does not come, `revoke` deletes its record and \
         `repair` makes up for it",
    );
    Refusal { may_pass: true, ..refusal }
}

/// The invocation may last until shortly before the expiry, and a launch permission that arrives late would stay.
fn too_late(
    question: &Question<'_>,
    image_id: &ImageId,
    asked: &AskedTarget,
    at: OffsetDateTime,
    latest: Option<&Expiry>,
) -> Refusal {
    let (at, deadline) = (rfc3339(at), rfc3339(question.deadline));
    let target = question.allowlist.called(&asked.target);
    let message = format!(
        "the share with {target} would expire at {at}, and this invocation may last until {deadline}: a launch \
         permission is added only where that is more than 2 minutes before"
    );
    let refusal = refusals::pair(RefusalCode::ShareEnding, image_id, asked, message)
        .value("expiresAt", at)
        .value("deadline", deadline);
    // What is recorded passes; a time that is only asked for comes nearer with each try.
    match latest {
        Some(_) => Refusal { may_pass: true, ..refusal.remedy("send the request again when the share has expired") },
        None => refusal.at(POINTER).remedy("give a later `expiresAt`"),
    }
}

fn earlier(question: &Question<'_>, image_id: &ImageId, asked: &AskedTarget, there: &Expiry) -> Refusal {
    let (target, at) = (question.allowlist.called(&asked.target), rfc3339(there.at));
    let message = format!("the share with {target} expires at {at}; an expiry time is only moved later");
    let given = question.request.expires_at.map(rfc3339).unwrap_or_default();
    refusals::pair(RefusalCode::ExpiryNotAllowed, image_id, asked, message)
        .at(POINTER)
        .value("given", given)
        .value("expiresAt", at)
        .remedy("give a later `expiresAt`; for an earlier one `revoke`, then share again")
}

fn takes_away(question: &Question<'_>, image_id: &ImageId, asked: &AskedTarget) -> Refusal {
    let (target, action) = (question.allowlist.called(&asked.target), question.request.action);
    let message = format!("the share with {target} has no expiry; giving it one takes access away");
    refusals::pair(RefusalCode::ExpiryNotAllowed, image_id, asked, message)
        .at(POINTER)
        .remedy(format!("ask for a rule that allows `revoke` beside `{action}`"))
}

/// A target to which a share has added a launch permission, and whose record is read again after that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecondLook {
    /// The image.
    pub image_id: ImageId,
    /// The target.
    pub target: Target,
    /// The record by which the share expires.
    pub record: ExpiryName,
}

/// What a second look finds out: whether the share still has a record, this one or any other.
pub type Seen = Reading<bool>;

/// What a share looks at again that has added these launch permissions: those whose share expires.
pub fn second_looks(decision: &ImageDecision<'_>, image: &Image, added: &[Target]) -> Vec<SecondLook> {
    let record = |target: &Target| {
        let new = decision.new_expiries.iter().find(|expiry| expiry.target == *target);
        new.or_else(|| image.expiry_of(target)).map(|expiry| expiry.name.clone())
    };
    let look = |target: &Target| {
        let (image_id, target) = (decision.image_id.clone(), target.clone());
        Some(SecondLook { record: record(&target)?, image_id, target })
    };
    added.iter().filter_map(look).collect()
}

/// Why the launch permission is taken away again, if it is: without a record nothing would end the share, and what can't
/// be found out is not given.
pub fn lost(look: &SecondLook, seen: &Seen) -> Option<ErrorRow> {
    match seen {
        Ok(true) => None,
        Ok(false) => Some(ErrorRow {
            code: ErrorCode::ExpiryLost,
            call: None,
            resource: Some(look.record.to_string()),
            message: format!(
                "the record of the share of {} with {} was deleted while the share was under way, so its launch \
                 permission is taken away again; send the request again if the share is still wanted",
                look.image_id, look.target
            ),
            retryable: true,
        }),
        Err(error) => Some(error.clone()),
    }
}
