//! Owns where asks and decisions are kept, and how a share begins to wait for approval: the order of calls of `execute::ask`
//! and `execute::desk`, which is written here again. `tests/it/approvals_disturbed.rs` counts the real calls.

use sharing::{
    decide::{self, Case, ImageDecision},
    domain::{AskName, DecisionName},
    facts::{Facts, Failure},
    outcome::{Announcement, ErrorCode, Outcome, Refusal, Status, Waiting},
    plan::Step,
    progress::why_not_done,
    records::{ApprovalAnswer, ApprovalDecision, Ask, Record, RecordName},
    report::{self, failed, refused},
    request::Action,
};

use crate::{
    invocation::{Invocation, Pursued},
    planted::Planted,
    reading::read_record,
    script::{Asked, read},
    writer::Writer,
};

/// Why nothing is asked or decided.
pub enum Stopped {
    /// It is refused.
    Refused(Box<Refusal>),
    /// Something could not be read or written.
    Failed(Failure),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl Stopped {
    /// The outcome for somebody who asked or decided.
    pub fn reported(self, outcome: Outcome) -> Outcome {
        match self {
            Self::Refused(refusal) => refused(outcome, vec![*refusal]),
            Self::Failed(error) => failed(outcome, error),
        }
    }

    /// The outcome of a hint.
    pub fn hinted(self, outcome: Outcome) -> Outcome {
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
pub type Came<T> = Asked<Result<T, Stopped>>;

/// What came of something, also if a read failed.
pub fn caught<T>(came: Came<T>) -> Came<T> {
    Ok(read(came)?.unwrap_or_else(|failure| Err(Stopped::Failed(failure))))
}

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
    let WrittenDown { ask, step, lapsed } = match caught(desk.written_down(ask))? {
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

/// Where asks and decisions are kept.
pub struct Desk<'d, 'i, 's> {
    /// The invocation.
    pub invocation: &'d Invocation<'i, 's>,
}

impl<'s> Desk<'_, '_, 's> {
    fn writer(&self) -> Writer<'_, 's> {
        Writer { script: self.invocation.script, expires: false, planted: self.invocation.planted }
    }

    /// Reads an ask.
    pub fn read_ask(&self, name: &AskName) -> Asked<Option<Ask>> {
        let record = read_record(self.invocation.script, &RecordName::Ask(name.clone()))?;
        Ok(if let Some(Record::Ask(ask)) = record { Some(*ask) } else { None })
    }

    /// Reads a decision.
    pub fn read_decision(&self, name: &DecisionName) -> Asked<Option<ApprovalDecision>> {
        let record = read_record(self.invocation.script, &RecordName::Decision(name.clone()))?;
        Ok(if let Some(Record::Decision(decision)) = record { Some(*decision) } else { None })
    }

    /// Whether the decision is about this ask.
    pub fn is_about(&self, decision: &ApprovalDecision, ask: &Ask) -> bool {
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

    /// Writes a decision down, if it is the first about this ask, and the ask is still there.
    pub fn write_down(&self, ask: &Ask, decision: &ApprovalDecision) -> Came<()> {
        if self.invocation.planted == Planted::NoDecision {
            return Ok(Ok(()));
        }
        let record = Record::Decision(Box::new(decision.clone()));
        if let Some(error) = self.write(vec![Step::CreateApproval(Box::new(record))])? {
            return Ok(Err(match read(self.read_decision(&decision.name))? {
                Ok(Some(first)) if !first.is_same(decision) && first.is_about(ask) => {
                    decide::decided_already(&first).into()
                }
                Ok(Some(first)) if !first.is_same(decision) => Stopped::Failed(decide::decided_before(&first)),
                Ok(_) | Err(_) => Stopped::Failed(error),
            }));
        }
        match read(self.read_ask(&ask.name))? {
            Ok(Some(there)) if self.is_about(decision, &there) => return Ok(Ok(())),
            Ok(None) if self.invocation.planted == Planted::AnyAsk => return Ok(Ok(())),
            Ok(_) => {}
            // It is not known whether the ask is there: the hints of the decision find out.
            Err(failure) => return Ok(Err(Stopped::Failed(failure))),
        }
        self.write(vec![end(decision)])?;
        Ok(Err(decide::approval_not_found(ask.name.id()).into()))
    }

    /// Gives up an ask that nobody has answered in time.
    pub fn give_up(&self, ask: &Ask) -> Came<Result<Outcome, Failure>> {
        let Invocation { id, now, .. } = self.invocation;
        let decision = ApprovalDecision::new(ask, ApprovalAnswer::Lapsed, id, None, *now);
        go_on!(self.write_down(ask, &decision));
        Ok(Ok(self.end(ask, &decision, decide::lapsed(ask.until))?))
    }

    /// Ends what waits with this refusal: deletes the ask, and then the decision about it.
    pub fn end(&self, ask: &Ask, decision: &ApprovalDecision, refusal: Refusal) -> Asked<Result<Outcome, Failure>> {
        Ok(match self.write(vec![end_ask(decision)])? {
            None => {
                self.write(vec![end(decision)])?;
                Ok(refused(of_ask(ask), vec![refusal]))
            }
            Some(error) => Err(error),
        })
    }

    /// Carries out these steps, and returns why one was not done.
    pub fn write(&self, steps: Vec<Step>) -> Asked<Option<Failure>> {
        Ok(why_not_done(self.writer().run(&steps)?))
    }
}

/// The outcome of the request that had asked, for a hint.
pub fn hinted(ask: &Ask, ended: Result<Outcome, Failure>) -> Outcome {
    ended.unwrap_or_else(|error| Outcome { announcement: Announcement::Never, ..failed(of_ask(ask), error) })
}

/// The outcome of the request that had asked, which is published whatever it is.
pub fn of_ask(ask: &Ask) -> Outcome {
    Outcome {
        action: Some(Action::Share),
        announcement: Announcement::Always,
        ..Outcome::new(ask.request_id.clone(), Status::Refused)
    }
}

/// Deletes a decision.
pub fn end(decision: &ApprovalDecision) -> Step {
    Step::DeleteApproval(RecordName::Decision(decision.name.clone()))
}

/// Deletes the ask.
fn end_ask(decision: &ApprovalDecision) -> Step {
    Step::DeleteApproval(RecordName::Ask(decision.name.ask()))
}

/// Deletes the ask, and then the decision about it.
pub fn end_both(decision: &ApprovalDecision) -> Vec<Step> {
    vec![end_ask(decision), end(decision)]
}
