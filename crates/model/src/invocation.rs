//! Owns what an invocation does, from the request to the outcome: the order of `execute`, with the model's calls. Every
//! decision in it is the real one.

use std::collections::BTreeMap;

use sharing::{
    allowlist::Allowlist,
    closing_look,
    decide::{self, Authority, Case, ImageDecision, Judgements, Surveyed},
    domain::{ExpiryName, Requester},
    facts::{Facts, Failure},
    outcome::{ErrorCode, Outcome, Status, StepState},
    plan::{Step, give_up, plan},
    progress::{ImageResult, Progress, StepResult, Turn},
    records::{Record, RecordName},
    report::report,
    request::{Action, Request},
    taking_back::{Lost, Needed, is_planned, looks_after},
};

use time::OffsetDateTime;

use crate::{
    reading::{look_again, needed_elsewhere, observe, read_grants, read_record},
    script::{Answer, Asked, Call, Ended, Script},
    world,
};

/// A fault that is planted in an invocation, to show that the explorer finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Planted {
    /// None.
    #[default]
    Nothing,
    /// A share adds the launch permission before everything else.
    LaunchFirst,
    /// A revoke deletes the records before everything else.
    RecordsFirst,
    /// A share does not read its record again.
    NoSecondLook,
    /// A revoke does not remove the permissions once more after it has deleted records.
    NoClosingRemove,
    /// A revoke does not list the grants again.
    NoClosingLook,
    /// A share goes on if its grant failed.
    GoesOn,
    /// An expiry that finds a later record revokes all the same.
    NeverSuperseded,
}

/// What begins an invocation.
#[derive(Debug, Clone)]
pub enum Trigger {
    /// A request.
    Request(Box<Request>),
    /// An image became available.
    Available,
    /// The hint of a record.
    Due(ExpiryName),
}

/// Carries out an invocation as far as its calls have answers.
pub fn invoke(script: &Script<'_>, trigger: &Trigger, allowlist: &Allowlist, planted: Planted) -> Asked<Ended> {
    let began = match script.ask(Call::Begin)? {
        Answer::Time(place) => place,
        answer => panic!("not an answer to that: {answer:?}"),
    };
    let ended = begin(script, trigger, allowlist, world::time_at(began), planted)?;
    Ok(Ended { began, ..ended })
}

fn begin(
    script: &Script<'_>,
    trigger: &Trigger,
    allowlist: &Allowlist,
    now: OffsetDateTime,
    planted: Planted,
) -> Asked<Ended> {
    match trigger {
        Trigger::Request(request) => {
            let requester = Requester::new("lambda:invoke".to_owned());
            let case = world::case(request, Authority::Requester(&requester), allowlist, now);
            if request.action.surveys() { repair(script, &case, planted) } else { pursue(script, &case, planted) }
        }
        Trigger::Available => {
            let requester = Requester::new("events:999988887777:aws.ec2".to_owned());
            let rules = decide::automatic_rules(allowlist, &requester);
            let image = world::image();
            let shares = decide::automatic_shares(&rules, &world::image_id(), Some(&image), world::time_at(0), now);
            let mut total = nothing();
            for request in shares.unwrap() {
                let case = world::case(&request, Authority::Requester(&requester), allowlist, now);
                let case = Case { is_automatic: true, ..case };
                absorb(&mut total, pursue(script, &case, planted)?);
            }
            Ok(total)
        }
        Trigger::Due(name) => expire(script, name, now, planted),
    }
}

fn nothing() -> Ended {
    Ended { result: Status::Completed, refusals: Vec::new(), began: 0, is_for_good: false, failures: Vec::new() }
}

fn absorb(total: &mut Ended, part: Ended) {
    total.result = total.result.max(part.result);
    total.refusals.extend(part.refusals);
    total.failures.extend(part.failures);
}

/// Carries out the expiry that a hint names.
fn expire(script: &Script<'_>, name: &ExpiryName, now: OffsetDateTime, planted: Planted) -> Asked<Ended> {
    let Some(Record::Expiry(expiry)) = read_record(script, &RecordName::Expiry(name.clone()))? else {
        return Ok(nothing());
    };
    let Ok(request) = decide::due(&expiry, now, false) else { return Ok(nothing()) };
    let nobody = Allowlist { accounts: BTreeMap::new(), rules: Vec::new() };
    let case = world::case(&request, Authority::Expiry(&expiry), &nobody, now);
    pursue(script, &case, planted)
}

fn pursue(script: &Script<'_>, case: &Case<'_>, planted: Planted) -> Asked<Ended> {
    let judgements = Judgements::until(&|| false);
    let mut facts = observe(script, case, &judgements)?;
    if let (Planted::NeverSuperseded, Authority::Expiry(own)) = (planted, case.authority) {
        facts.images.values_mut().for_each(|image| {
            if let sharing::facts::Fact::Known(expiries) = &mut image.expiries {
                expiries.retain(|name, _| *name == own.name);
            }
        });
    }
    let request = decide::resolve(case, &facts).expect("no group is named").into_owned();
    let case = Case { request: &request, ..*case };
    let decisions = decide::decide(&case, &facts, &judgements).expect("there is time");
    act(script, &case, &facts, decisions, planted)
}

/// Repairs the image, and then expires what is overdue.
fn repair(script: &Script<'_>, case: &Case<'_>, planted: Planted) -> Asked<Ended> {
    let request = Request { image_ids: vec![world::image_id()], ..case.request.clone() };
    let case = &Case { request: &request, ..*case };
    let judgements = Judgements::until(&|| false);
    let facts = observe(script, case, &judgements)?;
    let mut decisions = decide::decide(case, &facts, &judgements).expect("there is time");
    let surveyed = Surveyed::new(case, &facts, &mut decisions);
    let mut total = act(script, case, &facts, decisions, planted)?;
    for name in &surveyed.overdue {
        absorb(&mut total, expire(script, name, case.now, planted)?);
    }
    Ok(total)
}

fn act<'a>(
    script: &Script<'_>,
    case: &Case<'_>,
    facts: &Facts,
    decisions: Vec<ImageDecision<'a>>,
    planted: Planted,
) -> Asked<Ended> {
    let ended = give_up(case, &decisions);
    let is_stopped = decisions.iter().any(|decision| decision.stops_whole(case.request.action));
    let plans: Vec<_> = decisions
        .into_iter()
        .map(|decision| {
            let image = facts.images.get(decision.image_id).filter(|_| !is_stopped);
            let steps = image.map(|image| plan(case, &decision, image, facts)).unwrap_or_default();
            (decision, planted.spoil(steps.into_iter().chain(ended.clone()).collect()))
        })
        .collect();
    let is_looked_at_again = is_planned(case, &plans, facts);
    // What a share gives must expire if it looks at a record again.
    let writer = Writer { script, expires: is_looked_at_again, planted };
    let mut results = writer.carry_out(plans)?;
    if is_looked_at_again && planted != Planted::NoSecondLook {
        results = second_look(&writer, case, facts, results)?;
    }
    if case.request.action.takes_away() && matches!(case.authority, Authority::Requester(_)) {
        results = last_look(&writer, case, facts, results)?;
    }
    let mut outcome = Outcome { action: Some(case.request.action), ..Outcome::new("request", Status::Completed) };
    let failures = results.iter().flat_map(|result| {
        result.lost.iter().chain(result.steps.iter().filter_map(|taken| taken.error.as_ref())).cloned()
    });
    let failures = failures.collect();
    report(&mut outcome, case, facts, results, case.region);
    let refusals = outcome.refusals.iter().map(|refusal| refusal.code).collect();
    let has_expiry = case.request.expires_at.is_some()
        || facts.images.values().any(|image| image.expiries.iter().any(|expiries| !expiries.is_empty()));
    let is_share = case.request.action == Action::Share && outcome.result == Status::Completed;
    Ok(Ended { result: outcome.result, refusals, began: 0, is_for_good: is_share && !has_expiry, failures })
}

fn second_look<'a>(
    writer: &Writer<'_, '_>,
    case: &Case<'_>,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
) -> Asked<Vec<ImageResult<'a>>> {
    let wanted = looks_after(case, &results, facts);
    if wanted.is_empty() {
        return Ok(results);
    }
    let lost = Lost::new(&look_again(writer.script, wanted)?);
    if lost.is_empty() {
        return Ok(results);
    }
    let (snapshots, _) = lost.entries(&results);
    let needed: Needed = needed_elsewhere(snapshots);
    let mut grant_ids = Vec::new();
    for step in lost.grants_without_id(&results) {
        let grants = world::grants(read_grants(writer.script)?);
        let found = grants.iter().find(|grant| grant.name.as_deref() == step.grant_name());
        grant_ids.push((step, Ok(found.map(|grant| grant.grant_id.clone()))));
    }
    writer.carry_on(lost.undo(results, &Ok(needed), &grant_ids))
}

fn last_look<'a>(
    writer: &Writer<'_, '_>,
    case: &Case<'_>,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
) -> Asked<Vec<ImageResult<'a>>> {
    let keys = closing_look::keys_to_list(case, facts, &results);
    if keys.is_empty() || writer.planted == Planted::NoClosingLook {
        return Ok(results);
    }
    let mut listed = closing_look::Listed::new();
    for key in keys {
        listed.insert(key, Ok((world::grants(read_grants(writer.script)?), Default::default())));
    }
    writer.carry_on(closing_look::revokes(case, facts, results, &listed))
}

/// Carries out plans.
struct Writer<'w, 's> {
    script: &'w Script<'s>,
    expires: bool,
    planted: Planted,
}

impl Writer<'_, '_> {
    fn carry_out<'a>(&self, plans: Vec<(ImageDecision<'a>, Vec<Step>)>) -> Asked<Vec<ImageResult<'a>>> {
        let mut results = Vec::new();
        for (decision, steps) in plans {
            results.push(ImageResult { decision, steps: self.run(&steps)?, lost: Vec::new() });
        }
        Ok(results)
    }

    fn carry_on<'a>(&self, further: Vec<(ImageResult<'a>, Vec<Step>)>) -> Asked<Vec<ImageResult<'a>>> {
        let mut results = Vec::new();
        for (mut result, steps) in further {
            result.steps.extend(self.run(&steps)?);
            results.push(result);
        }
        Ok(results)
    }

    fn run(&self, steps: &[Step]) -> Asked<Vec<StepResult>> {
        let mut progress = Progress::new(steps);
        let mut results = Vec::new();
        while let Some(phase) = progress.next_phase() {
            let mut taken = Vec::new();
            for turn in phase {
                taken.push(match turn {
                    Turn::Skip(step) if self.planted != Planted::GoesOn => StepResult::new(step, StepState::Skipped),
                    Turn::Skip(step) | Turn::Take(step) => self.take(step)?,
                });
            }
            progress.learn(&taken);
            results.extend(taken);
        }
        Ok(results)
    }

    fn take(&self, step: Step) -> Asked<StepResult> {
        let call = Call::Write { step: self.script.pools.steps.put(&step), expires: self.expires };
        let failed = |step, code, is_uncertain| {
            let message = "throttled, or no answer".to_owned();
            let error = Failure { code, call: None, resource: None, message, retryable: true };
            StepResult { error: Some(error), is_uncertain, ..StepResult::new(step, StepState::Failed) }
        };
        Ok(match (self.script.ask(call)?, step) {
            (Answer::Done(number), Step::CreateGrant { account, key, name, grantee, kind }) => {
                let place = usize::try_from(world::bits([&sharing::domain::Target::Account(account)]).trailing_zeros())
                    .unwrap();
                let step = Step::CreateGrant { account, key, name, grantee, kind };
                let grant_id = Some(world::grant_id(place, number));
                StepResult { grant_id, ..StepResult::new(step, StepState::Done) }
            }
            (Answer::Done(_), step) => StepResult::new(step, StepState::Done),
            (Answer::Conflict, Step::CreateExpiry(expiry)) => {
                let wanted = Record::Expiry(expiry.clone());
                let there = read_record(self.script, &wanted.name())?;
                let step = Step::CreateExpiry(expiry);
                match there {
                    Some(there) if there == wanted => StepResult::new(step, StepState::Done),
                    Some(_) | None => failed(step, ErrorCode::Unavailable, false),
                }
            }
            (Answer::Failed, step) => failed(step, ErrorCode::Throttled, false),
            (Answer::Lost, step) => failed(step, ErrorCode::OutOfTime, true),
            (answer, step) => panic!("not an answer to {step:?}: {answer:?}"),
        })
    }
}

impl Planted {
    /// The plan with the fault.
    fn spoil(self, steps: Vec<Step>) -> Vec<Step> {
        let first = |is_first: fn(&Step) -> bool| {
            let (mut steps, rest): (Vec<_>, Vec<_>) = steps.clone().into_iter().partition(is_first);
            steps.extend(rest);
            steps
        };
        match self {
            Self::LaunchFirst => first(|step| matches!(step, Step::AddLaunchPermissions { .. })),
            Self::RecordsFirst => first(|step| matches!(step, Step::DeleteExpiry { .. })),
            Self::NoClosingRemove => {
                let last = steps.iter().rposition(|step| matches!(step, Step::DeleteExpiry { .. }));
                steps.into_iter().take(last.map_or(usize::MAX, |last| last + 1)).collect()
            }
            Self::Nothing | Self::NoSecondLook | Self::NoClosingLook | Self::GoesOn | Self::NeverSuperseded => steps,
        }
    }
}

/// The request of this action for the target that requests are about.
pub fn request(action: Action, more: impl FnOnce(&mut Request)) -> Box<Request> {
    let mut request = Request::bare(action, world::image_id());
    if action.takes_targets() {
        let target = world::targets(world::ONE).remove(0);
        request.targets = vec![sharing::request::AskedTarget { target, pointer: "/accountIds/0".to_owned() }];
    }
    more(&mut request);
    Box::new(request)
}
