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

use self::writer::Writer;
use crate::{
    reading::{describe, look_again, needed_elsewhere, observe, read_grants, read_record},
    script::{Answer, Asked, Call, Ended, Script, Told},
    world::{self, Allowlists, slot_of},
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

pub mod desk {
    //! Owns what happens to shares that wait for approval: the order of calls of `execute::ask`, `execute::desk` and
    //! `execute::approvals`, which is written here again. `tests/it/approvals_disturbed.rs` counts the real calls.

    use sharing::{
        decide::{self, Approval, Authority, Case, ImageDecision},
        domain::{AskName, DecisionName, Requester},
        facts::{Facts, Failure},
        fate::{self, ApprovalFate},
        outcome::{Announcement, ErrorCode, Outcome, Refusal, Status, Waiting},
        plan::Step,
        progress::why_not_done,
        records::{ApprovalAnswer, ApprovalDecision, Ask, Record, RecordName},
        report::{self, failed, refused},
        request::{Action, Request},
    };

    use super::writer::Writer;
    use crate::{
        invocation::{Invocation, Planted, Pursued, pursue},
        reading::read_record,
        script::Asked,
        world,
    };

    /// Why nothing is asked or decided.
    enum Stopped {
        Refused(Box<Refusal>),
        Failed(Failure),
    }

    impl From<Refusal> for Stopped {
        fn from(refusal: Refusal) -> Self {
            Self::Refused(Box::new(refusal))
        }
    }

    impl Stopped {
        fn reported(self, outcome: Outcome) -> Outcome {
            match self {
                Self::Refused(refusal) => refused(outcome, vec![*refusal]),
                Self::Failed(error) => failed(outcome, error),
            }
        }

        fn hinted(self, outcome: Outcome) -> Outcome {
            match self {
                Self::Failed(error) => Outcome { announcement: Announcement::Never, ..failed(outcome, error) },
                Self::Refused(_) => outcome,
            }
        }
    }

    /// The ask under which a share waits, what writes it down, and the outcome of an earlier one that has lapsed.
    struct WrittenDown {
        ask: Ask,
        step: Option<Step>,
        lapsed: Option<Outcome>,
    }

    /// What came of something, if nothing stopped it.
    type Came<T> = Asked<Result<T, Stopped>>;

    /// Goes on with what came of something, or returns why not.
    macro_rules! go_on {
        ($came:expr) => {
            match $came? {
                Ok(came) => came,
                Err(stopped) => return Ok(Err(stopped)),
            }
        };
    }

    /// Records a share that waits for approval, and reports it.
    pub fn wait(
        invocation: &Invocation<'_, '_>,
        case: &Case<'_>,
        (facts, decisions): (&Facts, Vec<ImageDecision<'_>>),
        ask: Ask,
        mut outcome: Outcome,
    ) -> Asked<Pursued> {
        let desk = Desk { invocation };
        let WrittenDown { ask, step, lapsed } = match desk.written_down(ask)? {
            Ok(written) => written,
            Err(stopped) => return Ok(Pursued::refused(stopped.reported(outcome), Vec::new())),
        };
        let mut steps = Some(step.into_iter().collect::<Vec<_>>());
        let plans = decisions.into_iter().map(|decision| (decision, steps.take().unwrap_or_default())).collect();
        let results = desk.writer().carry_out(plans)?;
        outcome.decided.extend(lapsed);
        let mut done = Pursued::reported(outcome, case, facts, results);
        report::await_approval(&mut done.outcome, Waiting::from(&ask));
        Ok(done)
    }

    /// Answers `approve` and `reject`.
    pub fn answer(invocation: &Invocation<'_, '_>, case: &Case<'_>, outcome: Outcome) -> Asked<Outcome> {
        let Authority::Requester(requester) = case.authority else { panic!("somebody decides") };
        let desk = Desk { invocation };
        match desk.find(case.request, requester)? {
            Ok(ask) => desk.decide(&ask, case.request, requester, outcome),
            Err(stopped) => Ok(stopped.reported(outcome)),
        }
    }

    /// Gives up a share that nobody has approved in time.
    pub fn lapse(invocation: &Invocation<'_, '_>, name: &AskName) -> Asked<Outcome> {
        let desk = Desk { invocation };
        let outcome = nothing(invocation);
        match desk.read_ask(name)? {
            Some(ask) if decide::may_lapse(&ask, invocation.now) => desk.let_lapse(&ask, outcome),
            Some(_) | None => Ok(outcome),
        }
    }

    /// Carries on what was decided and interrupted.
    pub fn carry_on(invocation: &Invocation<'_, '_>, name: &DecisionName) -> Asked<Outcome> {
        let desk = Desk { invocation };
        let outcome = nothing(invocation);
        let Some(decision) = desk.read_decision(name)? else { return Ok(outcome) };
        let ask = match desk.read_ask(&name.ask())? {
            Some(ask) if desk.is_about(&decision, &ask) => ask,
            _ => {
                desk.write(vec![end(&decision)])?;
                return Ok(outcome);
            }
        };
        if decision.is_over(invocation.now) {
            desk.write(vec![end(&decision)])?;
            return if ask.is_lapsed(invocation.now) { desk.let_lapse(&ask, outcome) } else { Ok(outcome) };
        }
        match decide::approved_by(&decision) {
            Ok(by) => desk.conclude(&ask, (by, &decision)),
            Err(refusal) => Ok(hinted(&ask, desk.end(&ask, &decision, *refusal)?)),
        }
    }

    fn nothing(invocation: &Invocation<'_, '_>) -> Outcome {
        Outcome { action: Some(Action::Share), ..Outcome::new(invocation.id, Status::Completed) }
    }

    /// Where asks and decisions are kept.
    struct Desk<'d, 'i, 's> {
        invocation: &'d Invocation<'i, 's>,
    }

    impl<'s> Desk<'_, '_, 's> {
        fn writer(&self) -> Writer<'_, 's> {
            Writer { script: self.invocation.script, expires: false, planted: self.invocation.planted }
        }

        fn read_ask(&self, name: &AskName) -> Asked<Option<Ask>> {
            let record = read_record(self.invocation.script, &RecordName::Ask(name.clone()))?;
            Ok(if let Some(Record::Ask(ask)) = record { Some(*ask) } else { None })
        }

        fn read_decision(&self, name: &DecisionName) -> Asked<Option<ApprovalDecision>> {
            let record = read_record(self.invocation.script, &RecordName::Decision(name.clone()))?;
            Ok(if let Some(Record::Decision(decision)) = record { Some(*decision) } else { None })
        }

        /// Whether the decision is about this ask.
        fn is_about(&self, decision: &ApprovalDecision, ask: &Ask) -> bool {
            self.invocation.planted == Planted::AnyAsk || decision.is_about(ask)
        }

        /// Finds the ask of the same share, or says how to write it down. One that has lapsed makes way.
        fn written_down(&self, ask: Ask) -> Came<WrittenDown> {
            let step = Some(Step::CreateApproval(Box::new(Record::Ask(Box::new(ask.clone())))));
            Ok(Ok(match self.read_ask(&ask.name)? {
                Some(there) if !there.is_lapsed(self.invocation.now) => {
                    WrittenDown { ask: there, step: None, lapsed: None }
                }
                Some(there) => {
                    let lapsed = Some(go_on!(self.make_way(&there)));
                    WrittenDown { ask, step, lapsed }
                }
                None => WrittenDown { ask, step, lapsed: None },
            }))
        }

        fn make_way(&self, ask: &Ask) -> Came<Outcome> {
            let busy = || {
                let message = "what was decided about the same share is being carried out".to_owned();
                Stopped::Failed(Failure {
                    code: ErrorCode::Unavailable,
                    call: None,
                    resource: None,
                    message,
                    retryable: true,
                })
            };
            Ok(match self.give_up(ask)? {
                Ok(ended) => ended.map_err(|_| busy()),
                Err(Stopped::Refused(_)) => Err(busy()),
                Err(stopped) => Err(stopped),
            })
        }

        /// The ask that the request is about, if the requester may decide it now.
        fn find(&self, request: &Request, requester: &Requester) -> Came<Ask> {
            let name = decide::approval_asked_for(request).expect("the ID is well-formed");
            let Some(ask) = self.read_ask(&name)? else {
                return Ok(Err(match self.read_decision(&name.decision())? {
                    Some(decision) => decide::decided_already(&decision).into(),
                    None => decide::approval_not_found(name.id()).into(),
                }));
            };
            if ask.is_lapsed(self.invocation.now) {
                return Ok(Err(decide::lapsed(ask.until).into()));
            }
            let is_rejection = request.action == Action::Reject;
            Ok(match decide::may_decide(self.invocation.allowlist, &ask, requester, is_rejection) {
                Some(refusal) => Err(refusal.into()),
                None => Ok(ask),
            })
        }

        /// Writes the decision down, and then carries it out.
        fn decide(&self, ask: &Ask, request: &Request, requester: &Requester, outcome: Outcome) -> Asked<Outcome> {
            let (is_approved, by) = (request.action == Action::Approve, requester.clone());
            let answer = if is_approved { ApprovalAnswer::Approved { by } } else { ApprovalAnswer::Rejected { by } };
            let decision = ApprovalDecision::new(ask, answer, self.invocation.id, None, self.invocation.now);
            if let Err(stopped) = self.write_down(ask, &decision)? {
                return Ok(stopped.reported(outcome));
            }
            let refusal = match decide::approved_by(&decision) {
                Ok(by) => return self.conclude(ask, (by, &decision)),
                Err(refusal) => *refusal,
            };
            Ok(match self.end(ask, &decision, refusal)? {
                Ok(asked) => Outcome { result: Status::Completed, decided: vec![asked], ..outcome },
                Err(error) => Outcome { retryable: true, ..failed(outcome, error) },
            })
        }

        /// Writes a decision down, if it is the first about this ask, and the ask is still there.
        fn write_down(&self, ask: &Ask, decision: &ApprovalDecision) -> Came<()> {
            if self.invocation.planted == Planted::NoDecision {
                return Ok(Ok(()));
            }
            let record = Record::Decision(Box::new(decision.clone()));
            if let Some(error) = self.write(vec![Step::CreateApproval(Box::new(record))])? {
                return Ok(Err(match self.read_decision(&decision.name)? {
                    Some(first) if !first.is_same(decision) && first.is_about(ask) => {
                        decide::decided_already(&first).into()
                    }
                    Some(first) if !first.is_same(decision) => Stopped::Failed(decide::decided_before(&first)),
                    Some(_) | None => Stopped::Failed(error),
                }));
            }
            match self.read_ask(&ask.name)? {
                Some(there) if self.is_about(decision, &there) => return Ok(Ok(())),
                None if self.invocation.planted == Planted::AnyAsk => return Ok(Ok(())),
                _ => {}
            }
            self.write(vec![end(decision)])?;
            Ok(Err(decide::approval_not_found(ask.name.id()).into()))
        }

        fn give_up(&self, ask: &Ask) -> Came<Result<Outcome, Failure>> {
            let Invocation { id, now, .. } = self.invocation;
            let decision = ApprovalDecision::new(ask, ApprovalAnswer::Lapsed, id, None, *now);
            go_on!(self.write_down(ask, &decision));
            Ok(Ok(self.end(ask, &decision, decide::lapsed(ask.until))?))
        }

        fn let_lapse(&self, ask: &Ask, outcome: Outcome) -> Asked<Outcome> {
            Ok(match self.give_up(ask)? {
                Ok(ended) => hinted(ask, ended),
                Err(stopped) => stopped.hinted(outcome),
            })
        }

        /// Makes the share that was approved, and deletes its records, as far as it is over.
        fn conclude(&self, ask: &Ask, (by, decision): (&Requester, &ApprovalDecision)) -> Asked<Outcome> {
            let Pursued { outcome, attempt, .. } = self.share(ask, by)?;
            let ended = match fate::of_approval(&attempt, ask, decision, self.invocation.now) {
                ApprovalFate::AskAgain => {
                    self.write(vec![end(decision)])?;
                    return Ok(Outcome { announcement: Announcement::Never, ..outcome });
                }
                ApprovalFate::TryAgain { is_told: true } => return Ok(outcome),
                ApprovalFate::TryAgain { is_told: false } => {
                    return Ok(Outcome { announcement: Announcement::Never, ..outcome });
                }
                ApprovalFate::EndDecision => vec![end(decision)],
                ApprovalFate::EndBoth => end_both(decision),
            };
            self.write(ended)?;
            Ok(outcome)
        }

        /// Decides everything again, with both authorities, and makes the share.
        fn share(&self, ask: &Ask, by: &Requester) -> Asked<Pursued> {
            let Invocation { allowlist, now, .. } = self.invocation;
            let authority = Authority::Requester(&ask.requester);
            let case = world::case(&ask.request, authority, allowlist, &ask.request_id, *now);
            let case = Case { approval: Approval::By(by), ..case };
            let refusals = decide::admit(&case);
            if !refusals.is_empty() {
                return Ok(Pursued::refused(refused(of_ask(ask), refusals.clone()), refusals));
            }
            pursue(self.invocation, &case, of_ask(ask))
        }

        /// Ends what waits with this refusal: deletes the ask before the decision.
        fn end(&self, ask: &Ask, decision: &ApprovalDecision, refusal: Refusal) -> Asked<Result<Outcome, Failure>> {
            Ok(match self.write(end_both(decision))? {
                None => Ok(refused(of_ask(ask), vec![refusal])),
                Some(error) => Err(error),
            })
        }

        /// Carries out these steps, and returns why one was not done.
        fn write(&self, steps: Vec<Step>) -> Asked<Option<Failure>> {
            Ok(why_not_done(self.writer().run(&steps)?))
        }
    }

    fn hinted(ask: &Ask, ended: Result<Outcome, Failure>) -> Outcome {
        ended.unwrap_or_else(|error| Outcome { announcement: Announcement::Never, ..failed(of_ask(ask), error) })
    }

    fn of_ask(ask: &Ask) -> Outcome {
        Outcome {
            action: Some(Action::Share),
            announcement: Announcement::Always,
            ..Outcome::new(ask.request_id.clone(), Status::Refused)
        }
    }

    fn end(decision: &ApprovalDecision) -> Step {
        Step::DeleteApproval(RecordName::Decision(decision.name.clone()))
    }

    fn end_both(decision: &ApprovalDecision) -> Vec<Step> {
        vec![Step::DeleteApproval(RecordName::Ask(decision.name.ask())), end(decision)]
    }
}

pub mod hints {
    //! Owns what a hint of a record of a share that waits for a copy does: the order of calls of `execute::copies`, which is
    //! written here again. `tests/it/copies_disturbed.rs` counts the real calls.

    use sharing::{
        decide::{self, Authority, Decision, ImageDecision},
        domain::CopyName,
        facts::{CopyRecord, Facts},
        fate::{self, CopyFate},
        outcome::{Announcement, Outcome, Status},
        plan::end,
        records::{Record, RecordName},
        report::give_up_waiting,
        request::Action,
    };

    use super::writer::Writer;
    use crate::{
        invocation::{Invocation, Pursued, act, pursue},
        reading::{describe, names, read_record},
        script::Asked,
        world,
    };

    /// Makes a share that waits for a copy, if the copy is available.
    pub fn share_copied(invocation: &Invocation<'_, '_>, name: &CopyName) -> Asked<Pursued> {
        let nothing = Outcome { action: Some(Action::Share), ..Outcome::new(invocation.id, Status::Completed) };
        let Some(Record::Copy(record)) = read_record(invocation.script, &RecordName::Copy(name.clone()))? else {
            return Ok(Pursued::refused(nothing, Vec::new()));
        };
        let mut done = repeat(invocation, &record)?;
        match fate::of_copy(&done.attempt, &record, invocation.now) {
            CopyFate::GiveUp => {
                let writer = Writer { script: invocation.script, expires: false, planted: invocation.planted };
                writer.run(&[end(&record)])?;
                give_up_waiting(&mut done.outcome, decide::not_made_in_time(&record));
            }
            CopyFate::SayNothing => {
                done.outcome =
                    Outcome { action: done.outcome.action, ..Outcome::new(invocation.id, Status::Completed) };
            }
            CopyFate::TryAgain => done.outcome.announcement = Announcement::Never,
            CopyFate::Tell => {}
        }
        Ok(done)
    }

    /// Makes the request of the record again.
    fn repeat(invocation: &Invocation<'_, '_>, record: &CopyRecord) -> Asked<Pursued> {
        let outcome = of_record(record);
        let authority = Authority::Requester(&record.requester);
        let case = world::case(&record.request, authority, invocation.allowlist, &record.request_id, invocation.now);
        let case = case.repeated(record);
        let refusals = decide::admit(&case);
        if refusals.is_empty() {
            return pursue(invocation, &case, outcome);
        }
        let image_id = &record.request.image_ids[0];
        let decision = Decision::Refused(refusals);
        let decision = ImageDecision { image_id, rule: None, targets: Vec::new(), decision, warnings: Vec::new() };
        act(invocation, &case, &Facts::default(), vec![decision], outcome)
    }

    /// The outcome of the request that was the first to ask. It is published whatever it is.
    pub fn of_record(record: &CopyRecord) -> Outcome {
        Outcome {
            action: Some(Action::Share),
            announcement: Announcement::Always,
            ..Outcome::new(record.request_id.clone(), Status::Completed)
        }
    }

    /// What EC2's event of the copy in this slot does: it finds the records of the shares that wait for copies of the same
    /// image.
    pub fn of_copy(invocation: &Invocation<'_, '_>, slot: usize) -> Asked<Vec<Pursued>> {
        let described = describe(invocation.script)?;
        let Some(source) = described.get(&world::id_of(slot)).and_then(|image| image.provenance.source()) else {
            return Ok(Vec::new());
        };
        let mut done = Vec::new();
        for name in names(invocation.script, &CopyName::source_prefix(&source.id))? {
            let RecordName::Copy(name) = name else { continue };
            done.push(share_copied(invocation, &name)?);
        }
        Ok(done)
    }
}

pub mod writer {
    //! Owns the writes of an invocation: it carries out plans step by step with the model's calls, as `carry_out` and the
    //! function's `RecordStore` do.

    use sharing::{
        decide::ImageDecision,
        domain::ImageId,
        facts::Failure,
        needs::CopyOrder,
        outcome::{ErrorCode, StepState},
        plan::Step,
        progress::{ImageResult, Progress, StepResult, Turn},
        records::{ApprovalDecision, Record},
    };

    use crate::{
        invocation::Planted,
        reading::read_record,
        script::{Answer, Asked, Call, Script},
        world,
    };

    /// The number of client tokens that are tried for a copy.
    const MOST_TOKENS: usize = 6;

    /// Carries out plans.
    pub struct Writer<'w, 's> {
        /// The answers so far.
        pub script: &'w Script<'s>,
        /// Whether what is given must expire.
        pub expires: bool,
        /// The planted fault.
        pub planted: Planted,
    }

    impl Writer<'_, '_> {
        /// Carries out plans.
        pub fn carry_out<'a>(&self, plans: Vec<(ImageDecision<'a>, Vec<Step>)>) -> Asked<Vec<ImageResult<'a>>> {
            let mut results = Vec::new();
            for (decision, steps) in plans {
                results.push(ImageResult { decision, steps: self.run(&steps)?, lost: Vec::new() });
            }
            Ok(results)
        }

        /// Carries out more steps, after those in the results.
        pub fn carry_on<'a>(&self, further: Vec<(ImageResult<'a>, Vec<Step>)>) -> Asked<Vec<ImageResult<'a>>> {
            let mut results = Vec::new();
            for (mut result, steps) in further {
                result.steps.extend(self.run(&steps)?);
                results.push(result);
            }
            Ok(results)
        }

        /// Carries out steps.
        pub fn run(&self, steps: &[Step]) -> Asked<Vec<StepResult>> {
            let mut progress = Progress::new(steps);
            let mut results = Vec::new();
            while let Some(phase) = progress.next_phase() {
                let mut taken = Vec::new();
                for turn in phase {
                    taken.push(match turn {
                        Turn::Skip(step) if self.planted != Planted::GoesOn => {
                            StepResult::new(step, StepState::Skipped)
                        }
                        Turn::Skip(step) | Turn::Take(step) => self.take(step)?,
                    });
                }
                progress.learn(&taken);
                results.extend(taken);
            }
            Ok(results)
        }

        fn take(&self, step: Step) -> Asked<StepResult> {
            if let Step::CopyImage(order) = &step {
                return Ok(match self.copy(order)? {
                    Ok(copy_id) => StepResult { copy_id: Some(copy_id), ..StepResult::new(step, StepState::Done) },
                    Err(answer) => failed(step, &answer),
                });
            }
            let call = Call::Write { step: self.script.pools.steps.put(&step), expires: self.expires };
            let record = match &step {
                Step::CreateExpiry(expiry) => Some(Record::Expiry(expiry.clone())),
                Step::CreateCopyRecord(record) => Some(Record::Copy(record.clone())),
                Step::CreateApproval(record) => Some((**record).clone()),
                _ => None,
            };
            Ok(match (self.script.ask(call)?, record) {
                (Answer::Done(number), _) => {
                    let id = |account| world::grant_id(world::slot_of_grant(&step), world::place_of(account), number);
                    let grant_id =
                        if let Step::CreateGrant { account, .. } = &step { Some(id(*account)) } else { None };
                    StepResult { grant_id, ..StepResult::new(step, StepState::Done) }
                }
                (Answer::Conflict, Some(wanted)) => match read_record(self.script, &wanted.name())? {
                    Some(there) if is_as_good(&there, &wanted) => StepResult::new(step, StepState::Done),
                    Some(_) => failed(step, &Answer::Refused),
                    // "the record was deleted meanwhile"
                    None => failed(step, &Answer::NotYet),
                },
                (answer, _) => failed(step, &answer),
            })
        }

        /// Begins a copy, with another client token while EC2 answers with one that is neither pending nor available.
        fn copy(&self, order: &CopyOrder) -> Asked<Result<ImageId, Answer>> {
            for number in 0..MOST_TOKENS {
                match self.begin(order, number)? {
                    Ok(Some(slot)) if self.is_there(slot)? => return Ok(Ok(world::id_of(usize::from(slot)))),
                    Ok(_) => {}
                    Err(answer) => return Ok(Err(answer)),
                }
            }
            Ok(Err(Answer::Refused))
        }

        /// None if the name is taken, and the other one too.
        fn begin(&self, order: &CopyOrder, number: usize) -> Asked<Result<Option<u8>, Answer>> {
            for is_taken in [false, true] {
                let name = order.name(number, is_taken);
                let words = &self.script.pools.words;
                let token = words.put(&order.client_token(&name, number));
                match self.script.ask(Call::CopyImage { name: words.put(&name), token })? {
                    Answer::Begun(slot) => return Ok(Ok(Some(slot))),
                    Answer::NameTaken if order.name(number, true) == name => return Ok(Ok(None)),
                    Answer::NameTaken => {}
                    answer => return Ok(Err(answer)),
                }
            }
            Ok(Ok(None))
        }

        fn is_there(&self, slot: u8) -> Asked<bool> {
            match self.script.ask(Call::IsThere(slot))? {
                Answer::Is(is_there) => Ok(is_there),
                answer => panic!("not an answer to that: {answer:?}"),
            }
        }
    }

    /// Whether what is there counts as the record that was to be created.
    fn is_as_good(there: &Record, wanted: &Record) -> bool {
        let is_same = |there: &ApprovalDecision| matches!(wanted, Record::Decision(wanted) if wanted.is_same(there));
        match there {
            Record::Copy(_) | Record::Ask(_) => true,
            Record::Decision(decision) => is_same(decision),
            Record::Expiry(_) => there == wanted,
        }
    }

    fn failed(step: Step, answer: &Answer) -> StepResult {
        let (code, retryable, is_uncertain, message) = match answer {
            Answer::Failed => (ErrorCode::Throttled, true, false, "throttled"),
            Answer::Lost => (ErrorCode::OutOfTime, true, true, "no answer"),
            Answer::NotYet => (ErrorCode::Unavailable, true, false, "not now"),
            Answer::Refused => (ErrorCode::NotFound, false, false, "there is none"),
            answer => panic!("not an answer to {step:?}: {answer:?}"),
        };
        let error = Failure { code, call: None, resource: None, message: message.to_owned(), retryable };
        StepResult { error: Some(error), is_uncertain, ..StepResult::new(step, StepState::Failed) }
    }
}
