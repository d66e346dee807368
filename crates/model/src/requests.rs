//! Owns which request something is about: the one that was sent before, or one of the scene's. What is noted of several requests
//! is noted as their bits.

use std::rc::Rc;

use sharing::{
    outcome::Status,
    plan::Step,
    records::{Record, RecordName},
};

use crate::{
    kept::Kept,
    kinds::Kind,
    scenes::Scene,
    script::{Answers, Ended, Pools, Told},
};

/// The ID of the request that was sent before.
pub const FIRST: &str = "first";

impl Scene {
    /// The bit of the request with this ID.
    pub fn bit_of(&self, id: &str) -> u8 {
        let place = self.actors.iter().position(|actor| actor.id == id);
        place.map_or(u8::from(id == FIRST), |place| 2 << place)
    }

    /// The bit of the request that this record is of. That of an expiry is of none.
    pub fn bit_of_record(&self, record: &Record) -> u8 {
        match record {
            Record::Copy(record) => self.bit_of(&record.request_id),
            Record::Ask(ask) => self.bit_of(&ask.request_id),
            Record::Expiry(_) | Record::Decision(_) => 0,
        }
    }

    /// The requests whose records this invocation has read.
    pub fn requests_of(&self, answers: &Answers, pools: &Pools) -> u8 {
        answers.records(pools).fold(0, |bits, record| bits | self.bit_of_record(&record))
    }

    /// Notes what was told of earlier requests by an invocation that is sent again, or by a hint meanwhile.
    pub fn note_told(&self, kept: &mut Kept, told: &[Told]) {
        for told in told {
            let bit = self.bit_of(&told.request_id);
            kept.told |= bit;
            kept.told_bad |= if told.is_bad() { bit } else { 0 };
            kept.told_undone |= if told.is_undone() { bit } else { 0 };
        }
    }

    /// The requests of this kind that are accepted, each by the one whose record it relies on: its own, or the one that was there.
    pub fn accepted(&self, ended: &[Rc<Ended>], is_it: fn(Kind) -> bool) -> u8 {
        let all = self.actors.iter().zip(ended).enumerate();
        let accepted = all.filter(|(_, (actor, ended))| is_it(actor.kind) && ended.result == Status::Accepted);
        accepted.fold(0, |bits, (place, (_, ended))| {
            bits | ended.relies_on.as_ref().map_or(2 << place, |id| self.bit_of(id))
        })
    }
}

/// The record of a share or an ask that this step deletes.
pub fn ended(step: &Step) -> Option<RecordName> {
    match step {
        Step::DeleteCopyRecord { name, .. } => Some(RecordName::Copy(name.clone())),
        Step::DeleteApproval(name) => Some(name.clone()),
        _ => None,
    }
}
