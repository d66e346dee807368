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

use crate::{
    invocation::{Invocation, Planted, Pursued, pursue},
    reading::read_record,
    script::Asked,
    world,
    writer::Writer,
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
