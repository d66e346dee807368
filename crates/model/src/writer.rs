//! Owns the writes of an invocation: it carries out plans with the model's calls, as `carry_out` and the function's `RecordStore`
//! do: phase by phase, and the steps of a phase and several images at the same time.

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
    planted::Planted,
    reading::read_record,
    script::{Answer, Asked, Call, Script, at_once, read},
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
        self.script.remember(&plans);
        let run =
            |(decision, steps): (_, Vec<_>)| Ok(ImageResult { decision, steps: self.run(&steps)?, lost: Vec::new() });
        at_once(plans.into_iter().map(run))
    }

    /// Carries out more steps, after those in the results.
    pub fn carry_on<'a>(&self, further: Vec<(ImageResult<'a>, Vec<Step>)>) -> Asked<Vec<ImageResult<'a>>> {
        self.script.remember(&further);
        let run = |(mut result, steps): (ImageResult<'a>, Vec<_>)| {
            result.steps.extend(self.run(&steps)?);
            Ok(result)
        };
        at_once(further.into_iter().map(run))
    }

    /// Carries out steps.
    pub fn run(&self, steps: &[Step]) -> Asked<Vec<StepResult>> {
        let mut progress = Progress::new(&self.planted.spoil(steps));
        let mut results = Vec::new();
        while let Some(phase) = progress.next_phase() {
            let taken = at_once(phase.into_iter().map(|turn| match turn {
                Turn::Skip(step) if self.planted != Planted::GoesOn => Ok(StepResult::new(step, StepState::Skipped)),
                Turn::Skip(step) | Turn::Take(step) => self.take(step),
            }))?;
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
                let grant_id = if let Step::CreateGrant { account, .. } = &step { Some(id(*account)) } else { None };
                StepResult { grant_id, ..StepResult::new(step, StepState::Done) }
            }
            (Answer::Conflict, Some(wanted)) => match read(read_record(self.script, &wanted.name()))? {
                Ok(Some(there)) if is_as_good(&there, &wanted) => StepResult::new(step, StepState::Done),
                Ok(Some(_)) => failed(step, &Answer::Refused),
                // "the record was deleted meanwhile"
                Ok(None) => failed(step, &Answer::NotYet),
                Err(failure) => StepResult { error: Some(failure), ..StepResult::new(step, StepState::Failed) },
            },
            (answer, _) => failed(step, &answer),
        })
    }

    /// Begins a copy, with another client token while EC2 answers with one that is neither pending nor available.
    fn copy(&self, order: &CopyOrder) -> Asked<Result<ImageId, Answer>> {
        for number in 0..MOST_TOKENS {
            match self.begin(order, number)? {
                Ok(Some(slot)) if self.is_there(slot)? && self.planted != Planted::NeverThere => {
                    return Ok(Ok(world::id_of(usize::from(slot))));
                }
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
            // "If this can't be read, the copy counts as existing."
            Answer::Failed | Answer::Refused => Ok(true),
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
