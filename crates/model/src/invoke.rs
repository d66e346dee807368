//! Owns how an invocation begins: by a request, an event of EC2 or the hint of a record; and what it ends with, of all the
//! requests that it carries out.

use sharing::{
    decide::{self, Case},
    facts::Image,
    outcome::{Announcement, Outcome, Status},
    records::RecordName,
};

use crate::{
    approvals,
    expiries::{expire, repair},
    hints,
    invocation::{Invocation, Pursued, of_request},
    planted::Planted,
    pursue::pursue,
    reading::describe,
    script::{Answer, Asked, Call, Ended, Script, Told, read},
    trigger::Trigger,
    world::{self, Allowlists},
};

/// Carries out an invocation as far as its calls have answers.
pub fn invoke(
    script: &Script<'_>,
    (trigger, id): (&Trigger, &str),
    allowlists: &Allowlists,
    planted: Planted,
) -> Asked<Ended> {
    let (began, is_withdrawn, may_go) = match script.ask(Call::Begin)? {
        Answer::Began(place, is_withdrawn, may_go) => (place, is_withdrawn, may_go),
        answer => panic!("not an answer to that: {answer:?}"),
    };
    let is_old = planted == Planted::OldAllowlist && matches!(trigger, Trigger::Due(_) | Trigger::Copied(_));
    let (allowlist, now) = (allowlists.get(is_withdrawn && !is_old), world::time_at(began));
    let ended = begin(&Invocation { script, id, allowlist, now, may_go, planted }, trigger)?;
    let nothing = Ended {
        result: Status::Completed,
        refusals: Vec::new(),
        began,
        for_good: None,
        is_warning: false,
        failures: Vec::new(),
        told: Vec::new(),
        relies_on: None,
    };
    let mut ended = ended.into_iter().fold(nothing, absorb);
    match planted {
        Planted::TellsNothing => ended.told.clear(),
        Planted::TellsOfItself => ended.told.iter_mut().for_each(|told| id.clone_into(&mut told.request_id)),
        _ => {}
    }
    Ok(ended)
}

fn begin(invocation: &Invocation<'_, '_>, trigger: &Trigger) -> Asked<Vec<Pursued>> {
    match trigger {
        Trigger::Request(request, requester) => {
            let case = invocation.case(request, requester);
            if request.action.surveys() {
                return repair(invocation, &case);
            }
            let refusals = decide::admit(&case);
            if !refusals.is_empty() {
                return Ok(vec![Pursued::refused(sharing::report::refused(of_request(&case), refusals), Vec::new())]);
            }
            if request.action.is_about_approval() {
                return Ok(vec![approvals::answer(invocation, &case, of_request(&case))?]);
            }
            Ok(vec![pursue(invocation, &case, of_request(&case))?])
        }
        Trigger::Available(slot) => {
            let requester = world::requester("events:999988887777:aws.ec2");
            let rules = decide::automatic_rules(invocation.allowlist, &requester);
            let (id, image) = (world::id_of(*slot), available(invocation.script, *slot));
            let shares = read(image)?.and_then(|image| {
                decide::automatic_shares(&rules, &id, image.as_ref(), world::time_at(0), invocation.now)
            });
            let shares = match shares {
                Ok(shares) => shares,
                Err(failure) => {
                    return Ok(vec![Pursued::failed(Outcome::new(invocation.id, Status::Completed), failure)]);
                }
            };
            let mut total = Vec::new();
            for request in shares {
                let case = Case { is_automatic: true, ..invocation.case(&request, &requester) };
                // What it leaves as it is was not made for good by it.
                total.push(Pursued { for_good: None, ..pursue(invocation, &case, of_request(&case))? });
            }
            Ok(total)
        }
        Trigger::Due(RecordName::Expiry(name)) => Ok(expire(invocation, name)?.into_iter().collect()),
        Trigger::Due(RecordName::Copy(name)) => Ok(vec![hints::share_copied(invocation, name)?]),
        Trigger::Due(RecordName::Ask(name)) => Ok(vec![approvals::lapse(invocation, name)?]),
        Trigger::Due(RecordName::Decision(name)) => Ok(vec![approvals::carry_on(invocation, name)?]),
        Trigger::Copied(slot) => hints::of_copy(invocation, *slot),
    }
}

/// What EC2 says about the image that became available. What never changes costs no call.
fn available(script: &Script<'_>, slot: usize) -> Asked<Option<Image>> {
    if slot == 0 { Ok(Some(world::image())) } else { Ok(describe(script)?.remove(&world::id_of(slot))) }
}

fn absorb(mut total: Ended, Pursued { outcome, failures, for_good, .. }: Pursued) -> Ended {
    if outcome.announcement == Announcement::Always {
        total.told.push(Told::of(&outcome));
    }
    total.told.extend(outcome.decided.iter().map(Told::of));
    total.result = total.result.max(outcome.result);
    total.is_warning |= !outcome.warnings.is_empty();
    total.refusals.extend(outcome.refusals.iter().map(|refusal| refusal.code));
    total.failures.extend(failures);
    Ended { for_good, ..total }
}
