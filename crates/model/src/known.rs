//! Owns [`Exception`]: what is known not to hold. docs/reliability.md has a sentence about each, under the same number.

use sharing::{
    outcome::{RefusalCode, Status},
    plan::Step,
};

use crate::{
    kept::{Ending, Kept, Shared, Undone, had_by_target},
    kinds::{Actor, Kind},
    rules::{
        End, Taken,
        approvals::{ASK_LOST, DECIDED_TWICE, GIVEN_AGAIN, GIVEN_THOUGH_REJECTED, MISSING_OF_APPROVED},
        copies::{GIVEN, NOBODY_WAITS, OTHER_UNTOLD, TWO_COPIES, UNDONE, UNTOLD},
        image::{MISSING, REMOVED_FIRST, UNRECORDED},
    },
    scenes::Scene,
    script::{Answer, Call, Ended, Pools, Stands},
    world::{ONE, SLOTS},
};

/// Something that is known not to hold.
#[derive(Debug)]
pub struct Exception {
    /// Its number in docs/reliability.md.
    pub number: u8,
    /// Its heading there.
    pub heading: &'static str,
    /// What mends it.
    pub mend: Mend,
    at_step: Option<(&'static [&'static str], OfStep)>,
    at_end: Option<(&'static [&'static str], OfEnd)>,
}

/// What mends something that does not hold, as docs/reliability.md says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// Nothing by itself: the audit reports it, or nobody needs it.
    Nothing,
    /// The same share, sent again, gives everything, if it is still allowed.
    Share,
    /// The same revoke or reset, sent again, leaves nothing.
    TakeBack,
}

/// What is wrong if it does not.
pub const NOT_MENDED: &str = "the same request, sent again, does not mend what is known not to hold";

impl Mend {
    /// The requests of which one is sent again.
    pub fn requests(self, scene: &Scene) -> Vec<Kind> {
        let such =
            |is_it: fn(Kind) -> bool| scene.actors.iter().map(|actor| actor.kind).filter(move |kind| is_it(*kind));
        match self {
            Self::Nothing => Vec::new(),
            Self::TakeBack => such(Kind::takes_away).collect(),
            // Of a share that had waited before, the request is not among those that run. One that needs an approval waits for
            // that again.
            Self::Share if !scene.has(Kind::gives) && scene.before.is_about_copies() => vec![Kind::ShareCopy],
            Self::Share => such(Kind::gives).collect(),
        }
    }

    /// Whether it is mended when the request has ended so.
    pub fn is_done(self, ended: &Ended, kept: &Kept) -> bool {
        let is_over = matches!(ended.result, Status::Refused | Status::Failed);
        let is_gone = kept.images.iter().any(|image| image.stands.now == Stands::Gone);
        match self {
            Self::Nothing => true,
            Self::TakeBack => ended.result == Status::Completed && (0..SLOTS).all(|slot| kept.has_nothing(slot, ONE)),
            // It is not allowed any more, or can't be made.
            Self::Share if is_over => kept.is_withdrawn || kept.is_source_gone || is_gone || is_too_late(ended),
            Self::Share => (0..SLOTS).any(|slot| kept.has_all(slot, ONE)),
        }
    }
}

/// Whether a rule that a step breaks is broken as docs/reliability.md says.
type OfStep = fn(&BrokenByStep<'_>) -> bool;

/// Whether a rule that does not hold at the end is broken as docs/reliability.md says.
type OfEnd = fn(&BrokenAtEnd<'_>) -> bool;

/// A step that breaks a rule.
#[derive(Debug, Clone, Copy)]
pub struct BrokenByStep<'b> {
    /// The scene.
    pub scene: &'b Scene,
    /// The step.
    pub taken: Taken<'b>,
    /// What AWS keeps after it.
    pub after: &'b Kept,
    /// What is kept once.
    pub pools: &'b Pools,
}

/// An end at which a rule does not hold.
#[derive(Debug, Clone, Copy)]
struct BrokenAtEnd<'b> {
    scene: &'b Scene,
    end: &'b End<'b>,
    what: &'static str,
}

impl Exception {
    const fn at_step(number: u8, heading: &'static str, rules: &'static [&'static str], is_it: OfStep) -> Self {
        Self { number, heading, mend: Mend::Nothing, at_step: Some((rules, is_it)), at_end: None }
    }

    const fn at_end(number: u8, heading: &'static str, rules: &'static [&'static str], is_it: OfEnd) -> Self {
        Self { number, heading, mend: Mend::Nothing, at_step: None, at_end: Some((rules, is_it)) }
    }

    const fn or_at_end(self, rules: &'static [&'static str], is_it: OfEnd) -> Self {
        Self { at_end: Some((rules, is_it)), ..self }
    }

    const fn mended_by(self, mend: Mend) -> Self {
        Self { mend, ..self }
    }

    /// The one that explains why a step breaks this rule.
    pub fn of_step(what: &'static str, broken: &BrokenByStep<'_>) -> Option<&'static Self> {
        let is_it = |it: &&Self| it.at_step.is_some_and(|(rules, is_it)| rules.contains(&what) && is_it(broken));
        EXCEPTIONS.iter().find(is_it)
    }

    /// The one that explains why this rule does not hold at the end.
    pub fn of_end(what: &'static str, scene: &Scene, end: &End<'_>) -> Option<&'static Self> {
        let broken = BrokenAtEnd { scene, end, what };
        let is_it = |it: &&Self| it.at_end.is_some_and(|(rules, is_it)| rules.contains(&what) && is_it(&broken));
        EXCEPTIONS.iter().find(is_it)
    }
}

/// What is known not to hold. If several explain the same, the first counts.
pub static EXCEPTIONS: [Exception; 25] = [
    Exception::at_end(
        1,
        "A rule with `onAvailable` whose invocation is killed after its launch permission, while a revoke or a reset deletes \
         its record.",
        &UNRECORDED,
        |broken| broken.scene.has(Kind::takes_away) && broken.gave_it(|actor, _| actor.kind.is_rule()),
    ),
    Exception::at_end(
        2,
        "A reset that is killed after it has deleted a record, while a share adds a create volume permission.",
        &[UNRECORDED[1]],
        |broken| broken.end.kept.killed.is_missed,
    )
    .mended_by(Mend::TakeBack),
    Exception::at_end(3, "Two hints that cross, at one call.", &[UNDONE], |broken| broken.is_overtaken())
        .mended_by(Mend::Share),
    Exception::at_step(4, "Two copies, if a copy fails at once.", &[TWO_COPIES], |broken| {
        broken.after.killed.is_failed_at_once
    }),
    Exception::at_end(5, "A copy for which nobody waits any more.", &[UNDONE, NOBODY_WAITS], |broken| {
        broken.is_given_up_late()
    })
    .mended_by(Mend::Share),
    Exception::at_end(
        6,
        "A hint that is killed before its second look, while a revoke deletes its record.",
        &[GIVEN, UNRECORDED[0], UNRECORDED[1], UNRECORDED[2]],
        |broken| {
            if broken.what != GIVEN {
                return broken.scene.has(Kind::takes_away) && broken.gave_it(|actor, _| actor.kind.is_hint());
            }
            let has = had_by_target(broken.after());
            let by_hint = |actor: u8| broken.scene.actors[usize::from(actor)].kind.is_hint();
            has.into_iter().zip(broken.end.kept.killed.gave).all(|(has, gave)| !has || gave.is_some_and(by_hint))
        },
    )
    .mended_by(Mend::TakeBack),
    Exception::at_end(7, "A revoke at whose last look EC2 still describes the copy as pending.", &[GIVEN], |broken| {
        broken.end.kept.killed.is_seen_late
    })
    .mended_by(Mend::TakeBack),
    Exception::at_end(8, "A share whose outcome is not published.", &[UNTOLD, OTHER_UNTOLD, ASK_LOST], |broken| {
        broken.end.kept.killed.is_unheard
    }),
    Exception::at_step(9, "An approved share that is made again after a revoke.", &[GIVEN_AGAIN], |broken| {
        broken.after.killed.is_approved
    })
    .or_at_end(&[GIVEN_AGAIN], |broken| broken.end.kept.killed.is_approved),
    Exception::at_end(
        10,
        "A hint that gives a share up, while another finds that the copy has just become available.",
        &[UNDONE],
        |broken| broken.is_given_up_meanwhile(),
    )
    .mended_by(Mend::Share),
    Exception::at_end(11, "A copy whose source is deregistered while it is pending.", &[NOBODY_WAITS], |broken| {
        let Kept { is_source_gone, killed, .. } = broken.end.kept;
        *is_source_gone && (broken.is_refused(RefusalCode::ImageNotFound) || killed.is_unheard)
    }),
    Exception::at_end(12, "A copy that somebody deregisters while a hint shares it.", &[UNDONE], |broken| {
        broken.is_left_of_a_copy_that_is_gone()
    }),
    Exception::at_end(13, "A revoke of a copy that somebody has deregistered.", &[GIVEN], |broken| {
        broken.is_left_of_a_copy_that_is_gone()
    }),
    Exception::at_end(
        14,
        "An image that is deregistered while a revoke and a share of it overlap.",
        &UNRECORDED,
        |broken| broken.is_gone() && !broken.scene.is_alone() && broken.is_removal_refused(),
    ),
    Exception::at_end(15, "Two hints of which one is sent again.", &[UNDONE], |broken| {
        let is_ended = broken.is_lost(Ending::FoundNothing) || broken.is_lost(Ending::GivenUp);
        broken.end.kept.killed.is_made && (broken.cannot_launch() || broken.is_made_meanwhile()) && is_ended
    })
    .mended_by(Mend::Share),
    Exception::at_end(16, "A late share and the last hint, after a crash.", &[UNDONE], |broken| {
        let killed = broken.end.kept.killed;
        let is_given_up = killed.is_begun && broken.is_made_meanwhile() && broken.is_lost(Ending::GivenUp);
        killed.is_replaced && broken.is_lost(Ending::Replaced) || is_given_up
    })
    .mended_by(Mend::Share),
    Exception::at_step(17, "A share that can't read its record again.", &[REMOVED_FIRST], |broken| {
        let is_grant = broken.taken.step(broken.pools).is_some_and(|step| matches!(*step, Step::RevokeGrant { .. }));
        let (kind, unread) = (broken.scene.actors[broken.taken.actor].kind, broken.taken.unread);
        is_grant && kind.shares() && unread.lacks_a_record() && unread.lacks_grants()
    })
    .or_at_end(&[MISSING, MISSING_OF_APPROVED, UNDONE, UNTOLD, NOBODY_WAITS], |broken| broken.is_undone_unread())
    .mended_by(Mend::Share),
    Exception::at_end(18, "A revoke that can't list the grants again.", &[UNRECORDED[2]], |broken| {
        broken.took(|call, answer| *call == Call::Grants && matches!(answer, Answer::Failed | Answer::Refused))
    }),
    Exception::at_end(
        19,
        "A hint that can't list the grants, while another one ends the waiting.",
        &[UNDONE],
        |broken| {
            let is_it = |why| matches!(why, Some(Undone::LostUnlisted(Some(Ending::FoundNothing))));
            broken.end.is_lost_by(is_it)
        },
    )
    .mended_by(Mend::Share),
    Exception::at_end(20, "A share that is killed, and sent again only when it would end.", &UNRECORDED, |broken| {
        broken.scene.has(Kind::takes_away) && broken.gave_it(|actor, ended| actor.kind.gives() && is_too_late(ended))
    }),
    Exception::at_end(
        21,
        "A hint that is killed while it undoes a share.",
        &[UNTOLD, OTHER_UNTOLD, NOBODY_WAITS],
        |broken| broken.end.kept.killed.is_undoing,
    )
    .mended_by(Mend::Share),
    Exception::at_end(
        22,
        "A request that is killed after it has begun a copy, and refused when it is sent again.",
        &[NOBODY_WAITS],
        |broken| {
            let mut copies =
                broken.end.answers.iter().flat_map(|answers| answers.to(|call| matches!(call, Call::CopyImage { .. })));
            broken.end.kept.killed.is_begun && copies.any(|(_, answer)| *answer == Answer::Refused)
        },
    ),
    Exception::at_end(
        23,
        "A decision whose last hint meets a failure.",
        &[DECIDED_TWICE, GIVEN_THOUGH_REJECTED],
        |broken| broken.end.kept.is_last_hint_failed,
    ),
    Exception::at_end(
        24,
        "A revoke and a share at whose second look Scheduler still shows the record.",
        &[GIVEN, UNRECORDED[0], UNRECORDED[1], UNRECORDED[2]],
        |broken| broken.end.kept.killed.is_shown_late,
    )
    .mended_by(Mend::TakeBack),
    Exception::at_end(
        25,
        "A share at whose second look Scheduler shows what is not so.",
        &[MISSING, MISSING_OF_APPROVED, UNDONE, UNTOLD, NOBODY_WAITS],
        |broken| {
            let killed = broken.end.kept.killed;
            killed.is_hidden_late || broken.what == NOBODY_WAITS && killed.is_shown_late
        },
    )
    .mended_by(Mend::Share),
];

impl BrokenAtEnd<'_> {
    /// What AWS keeps after the hints.
    fn after(&self) -> &Kept {
        &self.end.aftermath.kept
    }

    /// Whether what has no record was given by such an invocation, which was killed.
    fn gave_it(&self, is_it: impl Fn(&Actor, &Ended) -> bool) -> bool {
        let place = UNRECORDED.iter().position(|what| *what == self.what);
        let gave = place.and_then(|place| self.end.kept.killed.gave[place]).map(usize::from);
        gave.is_some_and(|actor| is_it(&self.scene.actors[actor], &self.end.ended[actor]))
    }

    /// Whether something that takes back is incomplete, and got such an answer.
    fn took(&self, is_it: fn(&Call, &Answer) -> bool) -> bool {
        let kinds = self.scene.actors.iter().map(|actor| actor.kind);
        let mut each = kinds.zip(self.end.ended).zip(self.end.answers);
        each.any(|((kind, ended), answers)| {
            let is_incomplete = kind.takes_away() && ended.result == Status::Incomplete;
            is_incomplete && answers.to(|_| true).any(|(call, answer)| is_it(call, answer))
        })
    }

    /// Whether EC2 has refused to remove a launch permission.
    fn is_removal_refused(&self) -> bool {
        let is_removal = |call: &Call| {
            let Call::Write { step, .. } = call else { return false };
            let step = self.end.pools.steps.get(*step);
            matches!(*step, Step::RemoveLaunchPermissions { .. } | Step::ResetLaunchPermissions { .. })
        };
        let mut each = self.end.answers.iter().flat_map(|answers| answers.to(is_removal));
        each.any(|(_, answer)| *answer == Answer::Refused)
    }

    /// Whether something without a record is left, and its image is deregistered.
    fn is_gone(&self) -> bool {
        let place = UNRECORDED.iter().position(|what| *what == self.what);
        let has = |image: &&Shared| place.is_some_and(|place| image.must_expire[place] & ONE != 0);
        self.end.kept.images.iter().filter(has).all(|image| image.stands.now == Stands::Gone)
    }

    /// Whether something is missing, and a hint that did not find its record any more has undone all of it. The record was
    /// deleted like this.
    fn is_lost(&self, ending: Ending) -> bool {
        self.end.is_lost_by(|why| why.is_some_and(|why| is_by(why, ending)))
    }

    fn cannot_launch(&self) -> bool {
        self.after().images.iter().all(|image| image.launch.now & ONE == 0)
    }

    fn is_told(&self, result: Status) -> bool {
        self.end.told().any(|told| told.result == result)
    }

    fn is_refused(&self, code: RefusalCode) -> bool {
        self.end.told().any(|told| told.refusals.contains(&code))
    }

    /// Whether another hint has found nothing to write just before the second look of one; or has found what a request has
    /// made, so that it need not delete the record just before that look.
    fn is_overtaken(&self) -> bool {
        let is_by_two = self.is_made_meanwhile() && self.cannot_launch();
        (self.end.kept.is_overtaken || is_by_two) && self.is_lost(Ending::FoundNothing)
    }

    /// Whether a request may make the share between the calls of two hints.
    fn is_made_meanwhile(&self) -> bool {
        self.scene.actors.len() > 2 && self.scene.has(Kind::gives)
    }

    fn is_given_up_late(&self) -> bool {
        let kept = self.end.kept;
        if self.what == UNDONE {
            return kept.is_given_up_late && self.is_lost(Ending::GivenUp);
        }
        // A copy failed while its request still looked whether it was there, and its hint was told so.
        kept.is_given_up_late || !kept.killed.is_begun && kept.killed.is_failed_at_once && self.is_told(Status::Failed)
    }

    /// Whether nobody has access, and who asked knows that the share was given up, or refused by what has changed meanwhile.
    fn is_given_up_meanwhile(&self) -> bool {
        let is_ended = self.end.kept.clock > 0 && (self.is_told(Status::Failed) || self.end.kept.was_told);
        let has_nothing = (1..SLOTS).all(|slot| self.after().has_nothing(slot, ONE));
        let is_given_up = has_nothing && (is_ended || self.is_told(Status::Refused));
        let may_be_given_up = self.end.is_lost_by(|why| why.is_none_or(|why| is_by(why, Ending::GivenUp)))
            || self.is_told(Status::Refused) && self.is_lost(Ending::Replaced);
        !self.scene.is_alone() && is_given_up && may_be_given_up
    }

    /// Whether a copy is deregistered, and everything that is left belongs to it.
    fn is_left_of_a_copy_that_is_gone(&self) -> bool {
        let is_gone = |slot: usize| self.after().images[slot].stands.now == Stands::Gone;
        (1..SLOTS).any(is_gone) && (1..SLOTS).all(|slot| is_gone(slot) || self.after().has_nothing(slot, ONE))
    }

    fn is_undone_unread(&self) -> bool {
        let is_unread = |why: Option<_>| why.is_some_and(|why| why == Undone::Unread || is_by(why, Ending::GivenUp));
        let is_undone = self.end.is_lost_by(|why| why == Some(Undone::Unread));
        // Another hint made a part of it, until the one that has undone the rest gave it up.
        let is_partly = || self.end.is_lost_by(is_unread) && !self.is_lost(Ending::GivenUp);
        let is_given_up = || self.is_lost(Ending::GivenUp) && self.is_given_up_unread();
        is_undone || self.what == UNDONE && self.cannot_launch() && (is_partly() || is_given_up())
    }

    /// Whether a hint could not read its record again, and has deleted it after that, because its time is over.
    fn is_given_up_unread(&self) -> bool {
        let is_unread = |(call, answer): (&Call, &Answer)| {
            matches!(call, Call::LookAgain(_)) && matches!(answer, Answer::Failed | Answer::Refused)
        };
        let is_deletion = |step: &Step| matches!(step, Step::DeleteCopyRecord { .. });
        self.end.answers.iter().any(|answers| {
            let mut done = answers.steps_done(self.end.pools);
            answers.to(|_| true).any(is_unread) && done.any(|step| is_deletion(&step))
        })
    }
}

/// Whether it was refused because its expiry time was too near.
fn is_too_late(ended: &Ended) -> bool {
    // "less than 5 minutes ahead" is what a malformed request says.
    let codes = [RefusalCode::ShareEnding, RefusalCode::MalformedRequest];
    ended.refusals.iter().any(|code| codes.contains(code))
}

/// Whether something was undone for such a reason.
fn is_by(why: Undone, ending: Ending) -> bool {
    [Undone::Lost(Some(ending)), Undone::LostUnlisted(Some(ending))].contains(&why)
}
