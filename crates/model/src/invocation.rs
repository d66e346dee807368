//! Owns what an invocation does, from the request to the outcome: the order of `execute`, with the model's calls. Every
//! decision in it is the real one.

use std::collections::BTreeMap;

use sharing::{
    allowlist::Allowlist,
    attempt::Attempt,
    closing_look, copy_records,
    decide::{self, Approval, Authority, Case, ImageDecision, Judgements, Surveyed},
    domain::{ExpiryName, ImageId, KeyArn, Requester},
    facts::{Fact, Facts, Failure, GrantScan, Image, RegionalImage},
    outcome::{Announcement, Outcome, Refusal, Status},
    plan::{Step, end, give_up, plan, writes},
    progress::ImageResult,
    records::{Record, RecordName, Recorded},
    report::report,
    request::{Action, Request},
    taking_back::{Lost, Needed, is_planned, looks_after},
    withdrawn::{Removal, withdrawn},
};
use time::OffsetDateTime;

use crate::{
    desk, hints,
    reading::{describe, look_again, needed_elsewhere, observe, read_grants, read_record},
    script::{Answer, Asked, Call, Ended, Script, Told},
    world::{self, Allowlists, slot_of},
    writer::Writer,
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
    /// A share that waits for a copy begins the copy before it writes its record.
    CopyFirst,
    /// A hint that makes a share deletes its record at once.
    EndsAtOnce,
    /// A revoke of a share that waited for a copy does not look at the copies again.
    NoWithdrawnLook,
    /// A decision counts for any ask of its name, and for none.
    AnyAsk,
    /// A decision is carried out without a record of it.
    NoDecision,
    /// A share that relied on another's record does not look whether it is still there.
    NoRecordAgain,
}

/// What begins an invocation.
#[derive(Debug, Clone)]
pub enum Trigger {
    /// A request of this requester.
    Request(Box<Request>, Requester),
    /// An image became available.
    Available,
    /// The hint of a record.
    Due(RecordName),
    /// EC2's event of the copy in this slot.
    Copied(usize),
}

/// An invocation.
pub struct Invocation<'i, 's> {
    /// The answers so far.
    pub script: &'i Script<'s>,
    /// The ID of its request.
    pub id: &'i str,
    /// The allowlist.
    pub allowlist: &'i Allowlist,
    /// When it began.
    pub now: OffsetDateTime,
    /// The planted fault.
    pub planted: Planted,
}

impl<'i> Invocation<'i, '_> {
    fn case<'a>(&self, request: &'a Request, requester: &'a Requester) -> Case<'a>
    where
        'i: 'a,
    {
        let case = world::case(request, Authority::Requester(requester), self.allowlist, self.id, self.now);
        let is_api = requester.as_str().starts_with("jwt:");
        Case { approval: if is_api { Approval::Asked } else { Approval::NotPossible }, ..case }
    }
}

/// What came of a request.
pub struct Pursued {
    /// The outcome.
    pub outcome: Outcome,
    /// How it went.
    pub attempt: Attempt,
    /// What failed, also of the steps that are tried again by themselves.
    failures: Vec<Failure>,
    for_good: Option<usize>,
}

impl Pursued {
    /// It was refused, or there was nothing to do.
    pub fn refused(outcome: Outcome, refusals: Vec<Refusal>) -> Self {
        Self::of(outcome, Attempt::refused(refusals))
    }

    fn of(outcome: Outcome, attempt: Attempt) -> Self {
        let failures = outcome.errors.iter().map(|row| Failure {
            code: row.code,
            call: row.call,
            resource: None,
            message: String::new(),
            retryable: row.retryable,
        });
        Self { failures: failures.collect(), outcome, attempt, for_good: None }
    }

    /// The outcome of these results.
    pub fn reported(mut outcome: Outcome, case: &Case<'_>, facts: &Facts, results: Vec<ImageResult<'_>>) -> Self {
        let failures = results.iter().flat_map(|result| {
            result.lost.iter().chain(result.steps.iter().filter_map(|taken| taken.error.as_ref())).cloned()
        });
        let failures = failures.collect();
        let attempt = Attempt::new(case, facts, &results);
        report(&mut outcome, case, facts, results, case.region);
        Self { outcome, attempt, failures, for_good: None }
    }
}

/// Carries out an invocation as far as its calls have answers.
pub fn invoke(
    script: &Script<'_>,
    (trigger, id): (&Trigger, &str),
    allowlists: &Allowlists,
    planted: Planted,
) -> Asked<Ended> {
    let (began, is_withdrawn) = match script.ask(Call::Begin)? {
        Answer::Began(place, is_withdrawn) => (place, is_withdrawn),
        answer => panic!("not an answer to that: {answer:?}"),
    };
    let (allowlist, now) = (allowlists.get(is_withdrawn), world::time_at(began));
    let ended = begin(&Invocation { script, id, allowlist, now, planted }, trigger)?;
    let nothing = Ended {
        result: Status::Completed,
        refusals: Vec::new(),
        began,
        for_good: None,
        failures: Vec::new(),
        told: Vec::new(),
    };
    Ok(ended.into_iter().fold(nothing, absorb))
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
                let outcome = desk::answer(invocation, &case, of_request(&case))?;
                return Ok(vec![Pursued::of(outcome, Attempt::refused(Vec::new()))]);
            }
            Ok(vec![pursue(invocation, &case, of_request(&case))?])
        }
        Trigger::Available => {
            let requester = world::requester("events:999988887777:aws.ec2");
            let rules = decide::automatic_rules(invocation.allowlist, &requester);
            let (id, image) = (world::image_id(), world::image());
            let shares = decide::automatic_shares(&rules, &id, Some(&image), world::time_at(0), invocation.now);
            let mut total = Vec::new();
            for request in shares.unwrap() {
                let case = Case { is_automatic: true, ..invocation.case(&request, &requester) };
                // What it leaves as it is was not made for good by it.
                total.push(Pursued { for_good: None, ..pursue(invocation, &case, of_request(&case))? });
            }
            Ok(total)
        }
        Trigger::Due(RecordName::Expiry(name)) => Ok(expire(invocation, name)?.into_iter().collect()),
        Trigger::Due(RecordName::Copy(name)) => Ok(vec![hints::share_copied(invocation, name)?]),
        Trigger::Due(RecordName::Ask(name)) => {
            Ok(vec![Pursued::of(desk::lapse(invocation, name)?, Attempt::refused(Vec::new()))])
        }
        Trigger::Due(RecordName::Decision(name)) => {
            Ok(vec![Pursued::of(desk::carry_on(invocation, name)?, Attempt::refused(Vec::new()))])
        }
        Trigger::Copied(slot) => hints::of_copy(invocation, *slot),
    }
}

fn of_request(case: &Case<'_>) -> Outcome {
    Outcome { action: Some(case.request.action), ..Outcome::new(case.request_id, Status::Completed) }
}

fn absorb(mut total: Ended, Pursued { outcome, failures, for_good, .. }: Pursued) -> Ended {
    if outcome.announcement == Announcement::Always {
        total.told.push(Told::of(&outcome));
    }
    total.told.extend(outcome.decided.iter().map(Told::of));
    total.result = total.result.max(outcome.result);
    total.refusals.extend(outcome.refusals.iter().map(|refusal| refusal.code));
    total.failures.extend(failures);
    Ended { for_good, ..total }
}

/// Carries out the expiry that a hint names.
fn expire(invocation: &Invocation<'_, '_>, name: &ExpiryName) -> Asked<Option<Pursued>> {
    let named = RecordName::Expiry(name.clone());
    let Some(Record::Expiry(expiry)) = read_record(invocation.script, &named)? else { return Ok(None) };
    let Ok(request) = decide::due(&expiry, invocation.now, false) else { return Ok(None) };
    let nobody = Allowlist { accounts: BTreeMap::new(), rules: Vec::new() };
    let case = world::case(&request, Authority::Expiry(&expiry), &nobody, invocation.id, invocation.now);
    Ok(Some(pursue(invocation, &case, of_request(&case))?))
}

/// Observes, decides and acts: the order of `execute::pursue`.
pub fn pursue(invocation: &Invocation<'_, '_>, case: &Case<'_>, outcome: Outcome) -> Asked<Pursued> {
    let judgements = Judgements::until(&|| false);
    let mut facts = observe(invocation.script, case, &judgements)?;
    if let (Planted::NeverSuperseded, Authority::Expiry(own)) = (invocation.planted, case.authority) {
        facts.images.values_mut().for_each(|image| {
            if let Fact::Known(expiries) = &mut image.expiries {
                expiries.retain(|name, _| *name == own.name);
            }
        });
    }
    let sent = case.request;
    let copied = decide::resolve_copies(case, &facts);
    let case = Case { request: &copied, ..*case };
    let request = decide::resolve(&case, &facts).expect("no group is named").into_owned();
    let case = Case { request: &request, ..case };
    let decisions = decide::decide(&case, &facts, &judgements).expect("there is time");
    match decide::ask(&case, sent, &decisions).filter(|_| writes(&case, &facts, &decisions)) {
        Some(ask) => desk::wait(invocation, &case, (&facts, decisions), ask, outcome),
        None => act(invocation, &case, &facts, decisions, outcome),
    }
}

/// Repairs the image, and then expires what is overdue.
fn repair(invocation: &Invocation<'_, '_>, case: &Case<'_>) -> Asked<Vec<Pursued>> {
    let request = Request { image_ids: vec![world::image_id()], ..case.request.clone() };
    let case = &Case { request: &request, ..*case };
    let judgements = Judgements::until(&|| false);
    let facts = observe(invocation.script, case, &judgements)?;
    let mut decisions = decide::decide(case, &facts, &judgements).expect("there is time");
    let surveyed = Surveyed::new(case, &facts, &mut decisions);
    let mut total = vec![act(invocation, case, &facts, decisions, of_request(case))?];
    for name in &surveyed.overdue {
        total.extend(expire(invocation, name)?);
    }
    Ok(total)
}

/// Plans, carries out, looks again and reports: the order of `execute::pursue::act`.
pub fn act<'a>(
    invocation: &Invocation<'_, '_>,
    case: &Case<'_>,
    facts: &Facts,
    decisions: Vec<ImageDecision<'a>>,
    mut outcome: Outcome,
) -> Asked<Pursued> {
    let planted = invocation.planted;
    let ended = give_up(case, &decisions);
    let is_stopped = decisions.iter().any(|decision| decision.stops_whole(case.request.action));
    let plans: Vec<_> = decisions
        .into_iter()
        .map(|decision| {
            let image = facts.images.get(decision.image_id).filter(|_| !is_stopped);
            let steps = image.map(|image| plan(case, &decision, image, facts)).unwrap_or_default();
            let at_once = case.hint.filter(|_| planted == Planted::EndsAtOnce && !steps.is_empty()).map(end);
            (decision, planted.spoil(steps.into_iter().chain(ended.clone()).chain(at_once).collect()))
        })
        .collect();
    let is_looked_at_again = is_planned(case, &plans, facts);
    let expires = plans.iter().any(|(decision, _)| must_expire(decision, facts));
    let for_good = plans.first().and_then(|(decision, _)| slot_of(decision.image_id)).filter(|_| !expires);
    let writer = Writer { script: invocation.script, expires, planted };
    let mut results = writer.carry_out(plans)?;
    if is_looked_at_again && planted != Planted::NoSecondLook {
        results = second_look(&writer, case, facts, results)?;
    }
    if case.request.action.takes_away() && matches!(case.authority, Authority::Requester(_)) {
        results = closing_look(&writer, case, facts, results)?;
        results = withdrawn_look(&writer, case, facts, results)?;
    }
    results = copy_records(&writer, case, results)?;
    outcome.decided.extend(
        copy_records::ended(case, &results)
            .into_iter()
            .map(|(record, failure)| sharing::report::failed(hints::of_record(record), failure.clone())),
    );
    let done = Pursued::reported(outcome, case, facts, results);
    let is_share = case.request.action == Action::Share && done.outcome.result == Status::Completed;
    Ok(Pursued { for_good: for_good.filter(|_| is_share), ..done })
}

/// Whether what a share gives must expire: it has a record of that, or finds one.
fn must_expire(decision: &ImageDecision<'_>, facts: &Facts) -> bool {
    let image = facts.images.get(decision.image_id);
    let has_record = |target| image.is_some_and(|image| image.expiry_of(target).is_some());
    decision.prerequisites().is_some_and(|first| {
        !first.expiries.is_empty() || decision.targets.iter().any(|(asked, _)| has_record(&asked.target))
    })
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

fn closing_look<'a>(
    writer: &Writer<'_, '_>,
    case: &Case<'_>,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
) -> Asked<Vec<ImageResult<'a>>> {
    let keys = closing_look::keys_to_list(case, facts, &results);
    if keys.is_empty() || writer.planted == Planted::NoClosingLook {
        return Ok(results);
    }
    let listed = list(writer.script, keys)?;
    writer.carry_on(closing_look::revokes(case, facts, results, &listed))
}

fn list(script: &Script<'_>, keys: Vec<KeyArn>) -> Asked<closing_look::Listed> {
    let mut listed = closing_look::Listed::new();
    for key in keys {
        listed.insert(key, Ok((world::grants(read_grants(script)?), GrantScan::default())));
    }
    Ok(listed)
}

/// The order of `execute::withdrawn`.
fn withdrawn_look<'a>(
    writer: &Writer<'_, '_>,
    case: &Case<'_>,
    facts: &Facts,
    results: Vec<ImageResult<'a>>,
) -> Asked<Vec<ImageResult<'a>>> {
    if results.iter().all(|result| withdrawn(result).is_empty()) || writer.planted == Planted::NoWithdrawnLook {
        return Ok(results);
    }
    let mut further = Vec::new();
    for mut result in results {
        let mut steps = Vec::new();
        for (source, of_source) in withdrawn(&result) {
            let removal = Removal::new(of_source, &source, Ok(copies_again(writer.script, &source)?), facts);
            let (snapshots, _) = removal.entries();
            let listed = list(writer.script, removal.keys(case))?;
            steps.extend(removal.steps(case, facts, &mut result, (&Ok(needed_elsewhere(snapshots)), &listed)));
        }
        further.push((result, steps));
    }
    writer.carry_on(further)
}

/// The copies that are available now, with their snapshots.
fn copies_again(script: &Script<'_>, source: &RegionalImage) -> Asked<BTreeMap<ImageId, Image>> {
    let mut images = describe(script)?;
    images.retain(|_, image| image.is_available_copy_of(source));
    for (id, image) in &mut images {
        image.snapshots[0].snapshot = Fact::Known(world::snapshot(slot_of(id).unwrap()));
    }
    Ok(images)
}

/// The order of `execute::copy_records`.
fn copy_records<'a>(
    writer: &Writer<'_, '_>,
    case: &Case<'_>,
    results: Vec<ImageResult<'a>>,
) -> Asked<Vec<ImageResult<'a>>> {
    let results = writer.carry_on(copy_records::deletions(case.hint, results))?;
    let names = copy_records::names_to_read(&results);
    if names.is_empty() || writer.planted == Planted::NoRecordAgain {
        return Ok(results);
    }
    let mut seen = BTreeMap::new();
    for name in names {
        let read = read_record(writer.script, &RecordName::Copy(name.clone()))?;
        seen.insert(name, Ok(read.map_or(Recorded::Nothing, Recorded::Record)));
    }
    writer.carry_on(copy_records::write_again(results, &seen))
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
            Self::CopyFirst => first(|step| matches!(step, Step::CopyImage(_))),
            Self::RecordsFirst => first(|step| matches!(step, Step::DeleteExpiry { .. })),
            Self::NoClosingRemove => {
                let last = steps.iter().rposition(|step| matches!(step, Step::DeleteExpiry { .. }));
                steps.into_iter().take(last.map_or(usize::MAX, |last| last + 1)).collect()
            }
            Self::Nothing
            | Self::NoSecondLook
            | Self::NoClosingLook
            | Self::GoesOn
            | Self::NeverSuperseded
            | Self::NoWithdrawnLook
            | Self::EndsAtOnce
            | Self::AnyAsk
            | Self::NoDecision
            | Self::NoRecordAgain => steps,
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
