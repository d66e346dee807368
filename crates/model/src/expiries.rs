//! Owns what is not the request of a requester for an image: the hint of an expiry, and a repair, which also carries out the
//! expiries that are overdue.

use std::collections::BTreeMap;

use sharing::{
    allowlist::Allowlist,
    decide::{self, Authority, Case, Judgements, Surveyed},
    domain::ExpiryName,
    outcome::{Outcome, Status},
    records::{Record, RecordName},
    report,
    request::Request,
};

use time::Duration;

use crate::{
    act::act,
    invocation::{Invocation, Pursued, of_request},
    planted::Planted,
    pursue::pursue,
    reading::{observe, read_record},
    script::{Asked, read},
    world,
};

/// Carries out the expiry that a hint names.
pub fn expire(invocation: &Invocation<'_, '_>, name: &ExpiryName) -> Asked<Option<Pursued>> {
    let named = RecordName::Expiry(name.clone());
    let expiry = match read(read_record(invocation.script, &named))? {
        Ok(Some(Record::Expiry(expiry))) => expiry,
        Ok(_) => return Ok(None),
        Err(failure) => return Ok(Some(Pursued::failed(Outcome::new(invocation.id, Status::Completed), failure))),
    };
    let early = if invocation.planted == Planted::Early { Duration::days(1) } else { Duration::ZERO };
    let Ok(request) = decide::due(&expiry, invocation.now + early, false) else { return Ok(None) };
    let nobody = Allowlist { accounts: BTreeMap::new(), rules: Vec::new() };
    let case = world::case(&request, Authority::Expiry(&expiry), &nobody, invocation.id, invocation.now);
    Ok(Some(pursue(invocation, &case, of_request(&case))?))
}

/// Repairs the image, and then expires what is overdue.
pub fn repair(invocation: &Invocation<'_, '_>, case: &Case<'_>) -> Asked<Vec<Pursued>> {
    let named = case.request.image_ids.clone();
    let image_ids = if named.is_empty() { vec![world::image_id()] } else { named };
    let request = Request { image_ids, ..case.request.clone() };
    let case = &Case { request: &request, ..*case };
    let judgements = Judgements::until(&|| false);
    let facts = match read(observe(invocation, case, &judgements))? {
        Ok(facts) => facts,
        Err(failure) => return Ok(vec![Pursued::failed(of_request(case), failure)]),
    };
    let mut decisions = decide::decide(case, &facts, &judgements).expect("there is time");
    let surveyed = Surveyed::new(case, &facts, &mut decisions);
    invocation.script.remember(&surveyed);
    let mut done = act(invocation, case, &facts, decisions, of_request(case))?;
    let mut expired = Vec::new();
    for name in surveyed.overdue.iter().filter(|_| invocation.planted != Planted::NothingOverdue) {
        expired.extend(expire(invocation, name)?);
    }
    done.failures.extend(surveyed.unread.iter().cloned());
    done.outcome = report::surveyed(done.outcome, surveyed);
    Ok(std::iter::once(done).chain(expired).collect())
}
