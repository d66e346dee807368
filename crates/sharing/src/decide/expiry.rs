//! Owns when shares expire: what a share does to a recorded expiry, which expiry times are too near, and whether an
//! expiry is due.
//!
//! A record never changes, and the latest record of an image and target gives the expiry time. So an expiry time can
//! only become later. An expiry for a share that had none removes access, so it needs a rule that allows `revoke`.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use super::{
    case::{Authority, Case},
    decision::Covered,
    met::Met,
    permit::{covering_rule, unread_expiries},
    refusals,
};
use crate::{
    domain::{ExpiryName, ImageId, Target, rfc3339},
    facts::{Expiry, Fact, Image},
    needs::{GranteeKind, NeededGrant, needed_expiry},
    outcome::{Lasts, Refusal, RefusalCode},
    request::{Access, Action, AskedTarget, FaultKind, Request, SHORTEST_EXPIRY},
};

/// Schedules are exact to the minute, and clocks differ a little, so an expiry is due this long before its time.
const EARLIEST: Duration = Duration::minutes(1);

/// A share that expires this soon is left alone. An expiry can begin [`EARLIEST`] before its time; this is longer, so that
/// no launch permission is added after the expiry has begun.
const EXPIRING_SOON: Duration = Duration::minutes(2);

/// A share that has not expired this long after its expiry time is overdue. Schedules are exact to the minute, and
/// Lambda's queue and its retries take time, too.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/getting-started.html>
pub(super) const OVERDUE: Duration = Duration::minutes(5);

/// The request that a recorded expiry carries out if it is due; otherwise, why nothing is done.
pub fn due(expiry: &Expiry, now: OffsetDateTime, dry_run: bool) -> Result<Request, String> {
    if expiry.at - now > EARLIEST {
        return Err(format!("the share expires at {}; nothing is due yet", rfc3339(expiry.at)));
    }
    Ok(Request {
        targets: vec![AskedTarget { target: expiry.target.clone(), pointer: String::new() }],
        dry_run,
        ..Request::bare(Action::Revoke, expiry.image_id.clone())
    })
}

/// The expiry that is due, if there is a later record of the same image and target.
pub(super) fn superseded<'a>(case: &Case<'a>, image: &Image) -> Option<&'a Expiry> {
    let Authority::Expiry(own) = case.authority else { return None };
    image.expiry_of(&own.target).filter(|latest| latest.at > own.at).map(|_| own)
}

/// The warnings about renewed shares, whose earlier expiry only deletes its own record.
pub(super) fn renewal_warnings(image_id: &ImageId, image: &Image, targets: &[Covered<'_>]) -> Vec<String> {
    let warnings = targets.iter().filter_map(|(asked, _)| {
        let (target, at) = (&asked.target, rfc3339(image.expiry_of(&asked.target)?.at));
        Some(format!("the share of {image_id} with {target} was renewed and expires at {at}"))
    });
    warnings.collect()
}

/// Whether the requested expiry time is too near. It is still accepted if the share has a record for exactly this time:
/// then the request is a retry that finishes what it began.
pub fn is_near(request: &Request, now: OffsetDateTime) -> bool {
    request.expires_at.is_some_and(|at| at - now < SHORTEST_EXPIRY)
}

/// Whether the share of an image is refused because the expiry time is too near. The records alone decide this, so
/// nothing else about the image needs to be read.
pub fn is_refused_by_time(
    case: &Case<'_>,
    image_id: &ImageId,
    expiries: Option<&BTreeMap<ExpiryName, Expiry>>,
) -> bool {
    let lacks_record = |expiries: &BTreeMap<ExpiryName, Expiry>| {
        case.request.targets.iter().any(|asked| !has_record(case, image_id, &asked.target, expiries))
    };
    // A share by a rule with `onAvailable` leaves some targets out, so it can't be refused because of them. A share that
    // waited for a copy may have been made, and renewed since.
    !case.is_automatic && case.hint.is_none() && is_near(case.request, case.now) && expiries.is_some_and(lacks_record)
}

/// Whether the share has a record for exactly the requested expiry time.
fn has_record(case: &Case<'_>, image_id: &ImageId, target: &Target, expiries: &BTreeMap<ExpiryName, Expiry>) -> bool {
    let name = wanted(case).and_then(|at| ExpiryName::new(image_id, target, at));
    name.is_some_and(|name| expiries.contains_key(&name))
}

/// The requested expiry time in whole seconds, because Scheduler has no fractions.
fn wanted(case: &Case<'_>) -> Option<OffsetDateTime> {
    let at = case.request.expires_at?;
    Some(at.replace_nanosecond(0).unwrap_or(at))
}

/// Whether a share by a rule with `onAvailable` leaves the target out, because the image is already shared with it
/// without an expiry or until later.
pub(super) fn is_left(case: &Case<'_>, image: &Image, (asked, _): &Covered<'_>) -> bool {
    let outlasts = || match (image.expiry_of(&asked.target), wanted(case)) {
        (None, _) => true,
        (Some(there), Some(at)) => there.at > at,
        (Some(_), None) => false,
    };
    case.is_automatic && image.expiries.is_known() && image.is_shared_with(&asked.target) && outlasts()
}

/// The warnings about existing shares that the request does not change.
pub(super) fn existing_share_warnings(image_id: &ImageId, image: &Image, left: &[Covered<'_>]) -> Vec<String> {
    let warnings = left.iter().map(|(asked, _)| {
        let until = match image.expiry_of(&asked.target) {
            Some(there) => format!("until {}", rfc3339(there.at)),
            None => "without an expiry".to_owned(),
        };
        format!("{image_id} is shared with {} already, {until}; that share is left as it is", asked.target)
    });
    warnings.collect()
}

/// Decides about the expiries of the covered targets.
pub(super) fn check(
    case: &Case<'_>,
    image: &Image,
    image_id: &ImageId,
    targets: &[Covered<'_>],
    grants: &[NeededGrant],
) -> Met {
    let wanted = wanted(case);
    if wanted.is_some() && !case.unset_for_expiry.is_empty() {
        return Met::refused(not_possible(case, image_id));
    }
    let expiries = match (&image.expiries, wanted) {
        (Fact::Known(expiries), _) => expiries,
        // The records were not read, because everything is refused already.
        (Fact::NotRead, _) if targets.iter().all(|(_, rule)| rule.is_none()) => return Met::default(),
        // `observe` fails before this. A share with an expiry is never made without the records.
        (Fact::Failed(_) | Fact::NotRead, Some(_)) => {
            return Met { gaps: unread_expiries(image, image_id).into_iter().collect(), ..Met::default() };
        }
        // A share that needs its recorded expiry to be allowed has a gap already (`permit::unknown_expiry`).
        (Fact::Failed(_) | Fact::NotRead, None) if case.request.action == Action::Share => {
            return Met::warned(format!(
                "whether the shares of {image_id} expire could not be read; an existing expiry does not change"
            ));
        }
        (Fact::Failed(_) | Fact::NotRead, None) => return Met::default(),
    };
    let mut met = Met::default();
    for (asked, _) in targets.iter().filter(|(_, rule)| rule.is_some()) {
        let mut part = check_target(case, image, image_id, expiries, asked, grants);
        // A fault of the requested time is reported once for the image.
        part.refusals.retain(|refusal| !met.refusals.contains(refusal));
        met.add(part);
    }
    met
}

/// Decides about the expiry of the share with one target.
fn check_target(
    case: &Case<'_>,
    image: &Image,
    image_id: &ImageId,
    expiries: &BTreeMap<ExpiryName, Expiry>,
    asked: &AskedTarget,
    grants: &[NeededGrant],
) -> Met {
    let latest = image.expiry_of(&asked.target);
    if stands(case, image, &asked.target, grants) {
        return Met::default();
    }
    if let Some(there) = latest.filter(|there| there.at - case.now <= EXPIRING_SOON) {
        return Met::refused(expiring(case, image_id, asked, there));
    }
    let wanted = wanted(case);
    let mut met = match wanted {
        None => Met { warnings: stays(case, image_id, asked, latest).into_iter().collect(), ..Met::default() },
        Some(at) => match move_to(case, image, image_id, expiries, asked, at) {
            Ok(new) => Met { expiries: new.into_iter().collect(), ..Met::default() },
            Err(refusal) => Met::refused(*refusal),
        },
    };
    let expires = wanted.max(latest.map(|there| there.at));
    if let Some(at) = expires.filter(|at| *at - case.deadline <= EXPIRING_SOON)
        && gives(case, image, &asked.target, grants)
        && met.refusals.is_empty()
    {
        met.refusals.push(too_late(case, image_id, asked, at, latest));
    }
    met
}

/// Whether a share that waited for a copy was made before, and lasts as long as was asked or longer: then a late hint has
/// nothing to say about its expiry, however near that is by now.
fn stands(case: &Case<'_>, image: &Image, target: &Target, grants: &[NeededGrant]) -> bool {
    let needed: Vec<_> = grants.iter().filter(|grant| matches!(grant.kind, GranteeKind::Account)).cloned().collect();
    let lasts = || image.expiry_of(target).is_some_and(|there| Some(there.at) >= wanted(case));
    case.hint.is_some() && lasts() && !gives(case, image, target, &needed)
}

/// Whether the share adds anything for the target.
fn gives(case: &Case<'_>, image: &Image, target: &Target, grants: &[NeededGrant]) -> bool {
    let Some(account) = target.account() else { return !image.is_shared_with(target) };
    let lacks_copy =
        || image.known_snapshots().any(|snapshot| !snapshot.may_create_volumes().any(|other| other == account));
    !image.is_shared_with(target)
        || case.request.access == Access::Copy && lacks_copy()
        || grants.iter().any(|grant| grant.account == account)
}

/// The new record of a share with an expiry time; `None` if it has this record already; or why the share is refused.
fn move_to(
    case: &Case<'_>,
    image: &Image,
    image_id: &ImageId,
    expiries: &BTreeMap<ExpiryName, Expiry>,
    asked: &AskedTarget,
    at: OffsetDateTime,
) -> Result<Option<Expiry>, Box<Refusal>> {
    if !has_record(case, image_id, &asked.target, expiries) && is_near(case.request, case.now) {
        return Err(Box::new(near(case, image_id)));
    }
    match image.expiry_of(&asked.target) {
        Some(there) if there.at == at => Ok(None),
        Some(there) if there.at > at => Err(Box::new(earlier(case, image_id, asked, there))),
        None if image.is_shared_with(&asked.target) && !may_revoke(case, image, &asked.target) => {
            Err(Box::new(takes_away(case, image_id, asked)))
        }
        Some(_) | None => Ok(needed_expiry(image_id, image, &asked.target, at)),
    }
}

/// The warning that a share without an expiry time does not change an existing expiry.
fn stays(case: &Case<'_>, image_id: &ImageId, asked: &AskedTarget, latest: Option<&Expiry>) -> Option<String> {
    let there = latest.filter(|_| case.request.action == Action::Share)?;
    let (target, at) = (&asked.target, rfc3339(there.at));
    Some(format!("the share of {image_id} with {target} expires at {at}, which this request does not change"))
}

fn may_revoke(case: &Case<'_>, image: &Image, target: &Target) -> bool {
    covering_rule(Action::Revoke, case, image, target).is_ok()
}

fn not_possible(case: &Case<'_>, image_id: &ImageId) -> Refusal {
    let unset = case.unset_for_expiry.join(", ");
    let message = format!("this deployment can't record when a share expires: it has no {unset}");
    refusals::image(RefusalCode::ExpiryNotPossible, image_id, message)
        .at(POINTER)
        .value("variables", case.unset_for_expiry)
        .remedy(format!("set {unset}, or leave `expiresAt` out"))
}

/// The field of the expiry time in a request.
const POINTER: &str = "/expiresAt";

fn near(case: &Case<'_>, image_id: &ImageId) -> Refusal {
    let at = case.request.expires_at.map(rfc3339).unwrap_or_default();
    let message = format!("{at} is less than 5 minutes ahead");
    // A share that has waited for a copy was requested in time.
    if case.hint.is_some() {
        let refusal = refusals::image(RefusalCode::ExpiryNotAllowed, image_id, message).at(POINTER).value("given", at);
        return refusal.remedy("send the request again with a later expiry time, if the share is still wanted");
    }
    let refusal = refusals::image(RefusalCode::MalformedRequest, image_id, message)
        .at(POINTER)
        .value("given", at)
        .value("earliest", case.now.checked_add(SHORTEST_EXPIRY).map(rfc3339).unwrap_or_default())
        .remedy("give an expiry time that is at least 5 minutes ahead");
    Refusal { fault: Some(FaultKind::OutOfRange), ..refusal }
}

/// The refusal of a share that is about to expire. If the record is overdue, some access could not be removed or read.
/// Then waiting does not help, and only the outcome of a revoke says what is wrong.
fn expiring(case: &Case<'_>, image_id: &ImageId, asked: &AskedTarget, there: &Expiry) -> Refusal {
    let (target, at) = (case.allowlist.called(&asked.target), rfc3339(there.at));
    let (message, remedy) = if case.now - there.at > OVERDUE {
        (
            format!(
                "the share with {target} should have expired at {at}, and its record still exists; nothing is shared \
                 with it again until that share's access is removed"
            ),
            format!(
                "send `revoke` for {image_id} and {}: it removes the remaining access and deletes the record; if it \
                 is `incomplete`, its `errors` name the cause, such as a call that the function's role or the key \
                 policy denies: allow it, and send `revoke` again",
                asked.target
            ),
        )
    } else {
        (
            format!("the share with {target} expires at {at}; nothing is shared with it again until then"),
            "send the request again in a few minutes".to_owned(),
        )
    };
    let refusal =
        refusals::pair(RefusalCode::ShareEnding, image_id, asked, message).value("expiresAt", at).remedy(remedy);
    Refusal { lasts: Lasts::ForAWhile, ..refusal }
}

/// The refusal if the invocation may last until shortly before the expiry: a permission that is added after the expiry
/// would stay.
fn too_late(
    case: &Case<'_>,
    image_id: &ImageId,
    asked: &AskedTarget,
    at: OffsetDateTime,
    latest: Option<&Expiry>,
) -> Refusal {
    let (at, deadline) = (rfc3339(at), rfc3339(case.deadline));
    let target = case.allowlist.called(&asked.target);
    let message = format!(
        "the share with {target} would expire at {at}, and this invocation may last until {deadline}: access is given \
         only if the invocation ends more than 2 minutes before the expiry"
    );
    let refusal = refusals::pair(RefusalCode::ShareEnding, image_id, asked, message)
        .value("expiresAt", at)
        .value("deadline", deadline);
    // A recorded expiry passes, so a later retry can succeed. A requested time only comes nearer with each retry.
    match latest {
        Some(_) => {
            Refusal { lasts: Lasts::ForAWhile, ..refusal.remedy("send the request again when the share has expired") }
        }
        None => refusal.at(POINTER).remedy("give a later `expiresAt`"),
    }
}

fn earlier(case: &Case<'_>, image_id: &ImageId, asked: &AskedTarget, there: &Expiry) -> Refusal {
    let (target, at) = (case.allowlist.called(&asked.target), rfc3339(there.at));
    let message = format!("the share with {target} expires at {at}; an expiry time is only moved later");
    let refusal =
        refusals::pair(RefusalCode::ExpiryNotAllowed, image_id, asked, message).at(POINTER).value("expiresAt", at);
    match case.request.expires_at {
        Some(given) => refusal.value("given", rfc3339(given)),
        None => refusal,
    }
    .remedy("give a later `expiresAt`; for an earlier one `revoke`, then share again")
}

fn takes_away(case: &Case<'_>, image_id: &ImageId, asked: &AskedTarget) -> Refusal {
    let (target, action) = (case.allowlist.called(&asked.target), case.request.action);
    let message = format!("the share with {target} has no expiry; giving it one takes access away");
    refusals::pair(RefusalCode::ExpiryNotAllowed, image_id, asked, message)
        .at(POINTER)
        .remedy(format!("ask the allowlist's owners for a rule that allows `revoke` and `{action}`"))
}
