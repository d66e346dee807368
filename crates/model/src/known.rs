//! Owns [`Exception`]: what is known not to hold. docs/reliability.md has a sentence about each, under the same number.

use std::rc::Rc;

use sharing::{
    outcome::{RefusalCode, Status},
    plan::Step,
};

use crate::{
    kept::{Ending, Kept, Shared, Undone, had_by_target},
    killed::Killed,
    kinds::{Actor, Kind},
    requests::FIRST,
    rules::{
        End, Taken,
        approvals::{ASK_LOST, DECIDED_TWICE, GIVEN_AGAIN, GIVEN_THOUGH_REJECTED, MISSING_OF_APPROVED},
        copies::{GIVEN, MADE, NOBODY_WAITS, OTHER_UNTOLD, TWO_COPIES, UNDONE, UNTOLD},
        has_expiry,
        image::{MISSING, REMOVED_FIRST, UNRECORDED},
    },
    scenes::{Before, Scene},
    script::{Answer, Answers, Call, Ended, Pools, Stands, Told},
    world::{self, ONE, SLOTS},
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
    /// The same; a reset may be sent twice. While others have access, the first keeps a create volume permission whose account
    /// nothing else names, and warns of it.
    TakeBackTwice,
}

/// What is wrong if it does not.
pub const NOT_MENDED: &str = "the same request, sent again, does not mend what is known not to hold";

impl Mend {
    /// What is sent again: of these one, each one request after the other.
    pub fn requests(self, scene: &Scene) -> Vec<Vec<Kind>> {
        let such = |is_it: fn(Kind) -> bool| {
            scene.actors.iter().map(|actor| vec![actor.kind]).filter(move |kinds| is_it(kinds[0]))
        };
        match self {
            Self::Nothing => Vec::new(),
            Self::TakeBack => such(Kind::takes_away).collect(),
            Self::TakeBackTwice => {
                let twice = such(|kind| matches!(kind, Kind::Reset | Kind::ResetCopy)).map(|kinds| kinds.repeat(2));
                such(Kind::takes_away).chain(twice).collect()
            }
            // A share that needs an approval asks for it again. Where none is needed, that share may mend it as well.
            Self::Share if scene.before.is_about_both() => {
                such(Kind::gives).chain([vec![Kind::AskForCopy, Kind::ApproveCopy]]).collect()
            }
            Self::Share if scene.has(|kind| kind.gives() && !kind.is_rule()) => such(Kind::gives).collect(),
            // Of a share that had waited before, the request is not among those that run. A rule may leave as it is what it finds.
            Self::Share if scene.before.is_about_copies() => such(Kind::gives).chain([vec![Kind::ShareCopy]]).collect(),
            Self::Share if scene.has(Kind::gives) => such(Kind::gives).collect(),
            Self::Share if scene.has(|kind| Kind::APPROVALS_UNTIL.contains(&kind)) => {
                vec![vec![Kind::AskUntil, Kind::ApproveUntil]]
            }
            Self::Share if scene.is_about(Before::is_about_approvals) => vec![vec![Kind::Ask, Kind::Approve]],
            Self::Share => Vec::new(),
        }
    }

    /// Whether it is mended when the request has ended so.
    pub fn is_done(self, ended: &Ended, kept: &Kept) -> bool {
        let is_over = matches!(ended.result, Status::Refused | Status::Failed);
        let is_gone = kept.images.iter().any(|image| image.stands.now == Stands::Gone);
        match self {
            Self::Nothing => true,
            Self::TakeBack | Self::TakeBackTwice => {
                ended.result == Status::Completed && (0..SLOTS).all(|slot| kept.has_nothing(slot, ONE))
            }
            Self::Share if (0..SLOTS).any(|slot| kept.has_all(slot, ONE)) => true,
            // It is not allowed any more, or can't be made.
            Self::Share => is_over && (kept.is_withdrawn || kept.is_source_gone || is_gone || is_too_late(ended)),
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
pub static EXCEPTIONS: [Exception; 31] = [
    Exception::at_end(
        1,
        "A rule with `onAvailable` whose invocation is killed after its launch permission, while a revoke or a reset deletes \
         its record.",
        &UNRECORDED,
        |broken| broken.is_record_taken() && broken.gave_it(|actor, ended| actor.kind.is_rule() && !is_too_late(ended)),
    )
    .mended_by(Mend::TakeBack),
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
        let again = broken.after.killed.begun_again;
        let live = (1..SLOTS).filter(|slot| broken.after.images[*slot].stands.now.is_live());
        live.filter(|slot| again & 1 << slot != 0).count() == 1
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
                return broken.is_record_taken() && broken.gave_it(|actor, _| actor.kind.is_hint());
            }
            let ends = |ending: &Ending| {
                matches!(ending, Ending::Taken | Ending::FoundNothing | Ending::GivenUp | Ending::Refused)
            };
            let is_record_taken = broken.end.kept.endings.values().any(ends);
            let has = had_by_target(broken.after());
            let by_hint = |actor: u8| broken.scene.actors[usize::from(actor)].kind.is_hint();
            let mut left = has.into_iter().zip(broken.end.kept.killed.gave).filter(|(has, _)| *has);
            is_record_taken && left.all(|(_, gave)| gave.is_some_and(by_hint))
        },
    )
    .mended_by(Mend::TakeBackTwice),
    Exception::at_end(7, "A revoke at whose closing look EC2 still describes the copy as pending.", &[GIVEN], |broken| {
        let seen_late = broken.end.kept.killed.seen_late;
        (1..SLOTS).all(|slot| seen_late & 1 << slot != 0 || broken.after().has_nothing(slot, ONE))
    })
    .mended_by(Mend::TakeBack),
    Exception::at_end(8, "A share whose outcome is not published.", &[UNTOLD, OTHER_UNTOLD, ASK_LOST], |broken| {
        broken.untold() & !broken.end.kept.killed.unheard == 0
    }),
    Exception::at_step(9, "An approved share that is made again after a revoke.", &[GIVEN_AGAIN], |broken| {
        let asks = broken.scene.requests_of(broken.taken.answers, broken.pools);
        asks & !broken.after.killed.approved == 0
    })
    .or_at_end(&[GIVEN_AGAIN], |broken| {
        let kept = broken.end.kept;
        broken.scene.asking(kept, broken.end.pools) & !kept.killed.approved == 0
    })
    .mended_by(Mend::TakeBack),
    Exception::at_end(
        10,
        "A hint that gives a share up, while another finds that the copy has just become available.",
        &[UNDONE],
        |broken| broken.is_given_up_meanwhile(),
    )
    .mended_by(Mend::Share),
    Exception::at_end(11, "A copy whose source is deregistered while it is pending.", &[NOBODY_WAITS], |broken| {
        let Kept { is_source_gone, killed, .. } = broken.end.kept;
        let is_not_found = |told: &Told| told.refusals.contains(&RefusalCode::ImageNotFound);
        let is_given_up = broken.end.told().any(is_not_found) || killed.unheard != 0;
        *is_source_gone && is_given_up && broken.scene.untold(broken.end) & !killed.unheard == 0
    }),
    Exception::at_end(12, "A copy that somebody deregisters while a hint shares it.", &[UNDONE, GIVEN], |broken| {
        broken.is_left_of_a_copy_that_is_gone(|slot| broken.is_launch_refused(slot))
    }),
    Exception::at_end(13, "A revoke of a copy that somebody has deregistered.", &[GIVEN], |broken| {
        broken.is_left_of_a_copy_that_is_gone(|slot| broken.is_unseen(slot))
    }),
    Exception::at_end(
        14,
        "An image that is deregistered while a revoke and a share of it overlap.",
        &UNRECORDED,
        |broken| broken.is_record_taken() && !broken.scene.is_alone() && broken.is_gone_when_it_was_removed(),
    ),
    Exception::at_end(15, "Two hints of which one is sent again.", &[UNDONE], |broken| {
        let is_ended = broken.is_lost(Ending::FoundNothing) || broken.is_lost(Ending::GivenUp);
        let hints = broken.scene.actors.iter().filter(|actor| actor.kind.is_hint()).count();
        broken.end.kept.killed.is_made && hints > 1 && is_ended
    })
    .mended_by(Mend::Share),
    Exception::at_end(16, "A late share and the last hint, after a crash.", &[UNDONE], |broken| {
        let killed = broken.end.kept.killed;
        let is_given_up = killed.begun != 0 && broken.is_made_meanwhile() && broken.is_lost(Ending::GivenUp);
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
        broken.is_last_list_failed()
    })
    .mended_by(Mend::TakeBack),
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
        let may_give = |kind: Kind| kind.gives() || kind.approves();
        broken.is_record_taken() && broken.gave_it(|actor, ended| may_give(actor.kind) && is_too_late(ended))
    })
    .mended_by(Mend::TakeBack),
    Exception::at_end(
        21,
        "A hint that is killed while it undoes a share.",
        &[UNTOLD, OTHER_UNTOLD, NOBODY_WAITS],
        |broken| {
            let (untold, undoing) = (broken.untold(), broken.end.kept.killed.undoing);
            // A request that has found the share meanwhile is complete.
            let is_found = broken.is_made_meanwhile() && broken.end.is_lost_by(|why| why.is_some());
            let undone = if is_found { undoing | MADE } else { undoing };
            undoing != 0 && untold != 0 && untold & !undone == 0
        },
    )
    .mended_by(Mend::Share),
    Exception::at_end(
        22,
        "A request that is killed after it has begun a copy, and refused when it is sent again.",
        &[NOBODY_WAITS],
        |broken| {
            let is_refused = |answers: &Answers| {
                answers.to(|call| matches!(call, Call::CopyImage { .. })).any(|(_, answer)| *answer == Answer::Refused)
            };
            let begun = |actor: usize| broken.end.kept.killed.begun & 1 << actor != 0;
            broken.end.answers.iter().enumerate().any(|(actor, answers)| begun(actor) && is_refused(answers))
        },
    ),
    Exception::at_end(
        23,
        "A decision whose last hint meets a failure.",
        &[DECIDED_TWICE, GIVEN_THOUGH_REJECTED],
        |broken| broken.end.kept.killed.is_last_unfinished,
    ),
    Exception::at_end(
        24,
        "A revoke and a share at whose second look Scheduler still shows the record.",
        &[GIVEN, UNRECORDED[0], UNRECORDED[1], UNRECORDED[2]],
        |broken| {
            let shown = broken.end.kept.killed.shown_late;
            match UNRECORDED.iter().position(|what| *what == broken.what) {
                Some(place) => shown[place],
                None => had_by_target(broken.after()).into_iter().zip(shown).all(|(has, shown)| !has || shown),
            }
        },
    )
    .mended_by(Mend::TakeBack),
    Exception::at_end(
        25,
        "A share at whose second look Scheduler shows what is not so.",
        &[MISSING, MISSING_OF_APPROVED, UNDONE, UNTOLD, NOBODY_WAITS],
        |broken| {
            let kept = if broken.what == MISSING { broken.end.kept } else { broken.after() };
            let is_hidden = broken.end.is_lost_in(kept, |why| why == Some(Undone::Hidden));
            is_hidden || broken.what == NOBODY_WAITS && broken.end.kept.killed.shown_late[3]
        },
    )
    .mended_by(Mend::Share),
    Exception::at_end(
        26,
        "A request that replaces a record, while another invocation ends it.",
        &[UNTOLD, ASK_LOST, UNDONE],
        |broken| match broken.what {
            UNDONE => {
                let is_written_anew = broken.end.kept.killed.is_written_anew;
                is_written_anew && broken.is_made_meanwhile() && broken.is_replaced_and_ended()
            }
            _ => {
                let Killed { replaced, unheard, .. } = broken.end.kept.killed;
                broken.untold() & !(replaced | unheard) == 0
            }
        },
    )
    .mended_by(Mend::Share),
    Exception::at_end(
        27,
        "An approval that is killed while a revoke deletes the record of the expiry, and another hint ends the approval.",
        &UNRECORDED,
        |broken| {
            let is_it = |actor: &Actor, ended: &Ended| actor.kind.approves() && !may_not_expire(ended);
            broken.is_record_taken() && broken.gave_it(is_it)
        },
    )
    .mended_by(Mend::TakeBack),
    Exception::at_end(
        28,
        "A copy that AWS refuses to one and begins for another.",
        &[NOBODY_WAITS, UNTOLD],
        |broken| broken.is_begun_by_another(),
    )
    .mended_by(Mend::Share),
    Exception::at_end(
        29,
        "An approved share that is killed after its launch permission, while a revoke or a reset deletes its record.",
        &UNRECORDED,
        |broken| {
            let is_it = |actor: &Actor, ended: &Ended| actor.kind.approves() && may_not_expire(ended);
            broken.is_record_taken() && broken.gave_it(is_it)
        },
    )
    .mended_by(Mend::TakeBack),
    Exception::at_end(
        30,
        "An ask that is killed before it answers, and decided before it is sent again.",
        &[DECIDED_TWICE, GIVEN_THOUGH_REJECTED],
        |broken| broken.is_asked_again(),
    ),
    Exception::at_end(
        31,
        "A share that a third invocation finds before a hint takes it back.",
        &[UNDONE, UNTOLD, NOBODY_WAITS],
        |broken| broken.is_found_by_a_third(),
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

    /// The requests that wait no longer, and of which nothing was told.
    fn untold(&self) -> u8 {
        match self.what {
            ASK_LOST => self.scene.asks_lost(self.end),
            OTHER_UNTOLD => self.scene.bit_of(FIRST),
            _ if self.scene.before.is_about_both() => self.scene.approved_untold(self.end),
            _ => self.scene.untold(self.end),
        }
    }

    /// The images of which something is left that must expire, and has no record.
    fn unrecorded(&self) -> impl Iterator<Item = (usize, &Shared)> {
        let place = UNRECORDED.iter().position(|what| *what == self.what);
        let is_it = move |image: &Shared| place.is_some_and(|place| image.must_expire[place] & ONE != 0);
        [self.end.kept, self.after()].into_iter().flat_map(move |kept| {
            let has_record = |slot| has_expiry(slot, kept, self.end.pools);
            kept.images.iter().enumerate().filter(move |(slot, image)| is_it(image) && !has_record(*slot))
        })
    }

    /// Whether what has no record had one, and a request that takes back has deleted it.
    fn is_record_taken(&self) -> bool {
        let taken = self.end.kept.killed.taken;
        self.unrecorded().all(|(slot, _)| taken & 1 << slot != 0)
    }

    /// Whether a request that takes back has deleted a record, and then could not list the grants again. Without the first list it
    /// keeps the record.
    fn is_last_list_failed(&self) -> bool {
        let mut takers = self.scene.actors.iter().zip(self.end.answers).filter(|(actor, _)| actor.kind.takes_away());
        takers.any(|(_, answers)| {
            let failed = answers.to(|call| *call == Call::Grants);
            let failed = failed.filter(|(_, answer)| matches!(answer, Answer::Failed | Answer::Refused)).count();
            let mut done = answers.steps_done(self.end.pools);
            failed == 1 && done.any(|step| matches!(*step, Step::DeleteExpiry { .. }))
        })
    }

    /// Whether the image of which something is left was deregistered, so that EC2 has refused to remove the launch permission.
    fn is_gone_when_it_was_removed(&self) -> bool {
        let is_refused = |slot: usize| {
            self.refuses(
                |kind| kind.shares() || kind.takes_away(),
                move |step| match step {
                    Step::RemoveLaunchPermissions { image_id, .. } | Step::ResetLaunchPermissions { image_id } => {
                        *image_id == world::id_of(slot)
                    }
                    _ => false,
                },
            )
        };
        self.unrecorded().all(|(slot, image)| image.stands.now == Stands::Gone && is_refused(slot))
    }

    /// Whether EC2 has refused to add the launch permission of the image in this slot, or to remove it again, when it was shared.
    fn is_launch_refused(&self, slot: usize) -> bool {
        self.refuses(Kind::shares, |step| match step {
            Step::AddLaunchPermissions { image_id, .. } | Step::RemoveLaunchPermissions { image_id, .. } => {
                *image_id == world::id_of(slot)
            }
            _ => false,
        })
    }

    /// Whether a step like this was refused of such an invocation.
    fn refuses(&self, is_one: fn(Kind) -> bool, is_it: impl Fn(&Step) -> bool) -> bool {
        let such = self.scene.actors.iter().zip(self.end.answers).filter(|(actor, _)| is_one(actor.kind));
        let mut steps = such.flat_map(|(_, answers)| answers.steps_refused(self.end.pools));
        steps.any(|step| is_it(&step))
    }

    /// Whether no request that takes back, and is complete, has seen the copy in this slot at last.
    fn is_unseen(&self, slot: usize) -> bool {
        self.end.kept.killed.seen & 1 << slot == 0
    }

    /// Whether something is missing, and a hint that did not find its record any more has undone all of it. The record was
    /// deleted like this.
    fn is_lost(&self, ending: Ending) -> bool {
        self.end.is_lost_by(|why| why.is_some_and(|why| is_by(why, ending)))
    }

    /// The same where a request has replaced the record, and another hint has perhaps deleted the new one.
    fn is_replaced_and_ended(&self) -> bool {
        let endings = [Ending::Replaced, Ending::FoundNothing, Ending::Overlooked, Ending::GivenUp];
        self.end.is_lost_by(|why| why.is_some_and(|why| endings.iter().any(|ending| is_by(why, *ending))))
    }

    fn cannot_launch(&self) -> bool {
        self.after().images.iter().all(|image| image.launch.now & ONE == 0)
    }

    fn is_told(&self, result: Status) -> bool {
        self.end.told().any(|told| told.result == result)
    }

    /// Whether another hint has found nothing to write just before the second look of one; or has found what a request or a third
    /// hint has made, so that it need not delete the record just before that look.
    fn is_overtaken(&self) -> bool {
        let is_complete = || self.scene.complete(self.end.ended, Kind::gives).contains(&true);
        let is_by_two = self.is_made_meanwhile() && is_complete();
        (self.end.kept.is_overtaken || is_by_two || self.is_among_three_hints()) && self.is_lost(Ending::FoundNothing)
    }

    /// Whether a request or a third hint may make the share between the calls of two hints.
    fn is_made_meanwhile(&self) -> bool {
        self.scene.actors.len() > 2 && self.scene.has(Kind::gives) || self.is_among_three_hints()
    }

    fn is_among_three_hints(&self) -> bool {
        self.scene.actors.iter().filter(|actor| actor.kind.is_hint()).count() > 2
    }

    /// Whether everything that is missing was undone because a record had gone, and another one had found it there, or had made it
    /// and was refused when it was sent again.
    fn is_found_by_a_third(&self) -> bool {
        let is_gone = |why| matches!(why, Some(Undone::Lost(Some(_)) | Undone::LostUnlisted(Some(_))));
        let Kept { told, told_bad, told_undone, .. } = self.end.kept;
        let is_told = self.is_told(Status::Completed) || told & !(told_bad | told_undone) != 0;
        let is_made = |(actor, ended): (&Actor, &Rc<Ended>)| {
            let makes = actor.kind.gives() && actor.kind != Kind::AvailableCopy;
            makes && (ended.result == Status::Completed || is_too_late(ended))
        };
        let is_made = || self.scene.actors.iter().zip(self.end.ended).any(is_made);
        let is_found =
            is_told || self.end.kept.endings.values().any(|ending| *ending == Ending::FoundNothing) || is_made();
        self.scene.actors.len() > 2 && self.end.is_lost_by(is_gone) && is_found
    }

    fn is_given_up_late(&self) -> bool {
        if self.what == UNDONE {
            return self.is_lost(Ending::Overlooked);
        }
        // This is another exception.
        if self.end.kept.killed.refused != 0 {
            return false;
        }
        // A copy failed while its request still looked whether it was there, and its hint was told so.
        let Killed { begun, begun_again, .. } = self.end.kept.killed;
        let again = if begun == 0 && self.is_told(Status::Failed) { begun_again } else { 0 };
        let late = self.end.kept.given_up_late | again;
        let is_live = |slot: &usize| self.after().images[*slot].stands.now.is_live();
        (1..SLOTS).filter(is_live).all(|slot| late & 1 << slot != 0 || self.after().has_all(slot, ONE))
    }

    /// Whether each request that was told two different things was killed after it had asked.
    fn is_asked_again(&self) -> bool {
        let told: Vec<_> = self.end.told().collect();
        let is_other = |one: &Told, other: &Told| one.request_id == other.request_id && one != other;
        let twice = told.iter().filter(|one| told.iter().any(|other| is_other(one, other)));
        let twice = twice.fold(0, |bits, told| bits | self.scene.bit_of(&told.request_id));
        twice != 0 && twice & !self.end.kept.killed.asked == 0
    }

    /// Whether AWS has refused to begin a copy for one invocation, and another has begun it.
    fn is_begun_by_another(&self) -> bool {
        let is_begun = |answer: &Answer| matches!(answer, Answer::Begun(_));
        let others =
            (0..).zip(self.end.answers).filter(|(place, _)| self.end.kept.killed.refused & !(1u8 << place) != 0);
        others.into_iter().any(|(_, answers)| answers.to(|_| true).any(|(_, answer)| is_begun(answer)))
    }

    /// Whether nobody has access, and who asked knows that the share was given up, or refused by what has changed meanwhile.
    fn is_given_up_meanwhile(&self) -> bool {
        let known = self.end.told_of(self.scene).bad | self.end.kept.killed.unheard;
        let is_told = self.scene.waiting(self.end) & !known == 0;
        let has_nothing = (1..SLOTS).all(|slot| self.after().has_nothing(slot, ONE));
        let is_given_up = |why| {
            is_by(why, Ending::GivenUp)
                || self.end.kept.is_withdrawn && is_by(why, Ending::Refused)
                || self.is_told(Status::Refused) && is_by(why, Ending::Replaced)
        };
        let is_lost = self.end.is_lost_by(|why| why.is_none_or(is_given_up));
        // A request that was killed after it had begun a copy is exception 16.
        let is_lacking = self.is_made_meanwhile() && self.end.kept.killed.begun == 0;
        !self.scene.is_alone() && (has_nothing || is_lacking) && is_told && is_lost
    }

    /// Whether everything that is left belongs to such copies that are deregistered.
    fn is_left_of_a_copy_that_is_gone(&self, is_such: impl Fn(usize) -> bool) -> bool {
        let is_gone = |slot: usize| self.after().images[slot].stands.now == Stands::Gone && is_such(slot);
        (1..SLOTS).any(is_gone) && (1..SLOTS).all(|slot| is_gone(slot) || self.after().has_nothing(slot, ONE))
    }

    fn is_undone_unread(&self) -> bool {
        let is_unread = |why: Option<_>| why.is_some_and(|why| why == Undone::Unread || is_by(why, Ending::Unread));
        let is_undone = self.end.is_lost_by(|why| why == Some(Undone::Unread));
        // Another hint made it or a part of it, until the one that has undone the rest gave it up.
        let is_given_up = || self.cannot_launch() && self.end.is_lost_by(is_unread);
        is_undone || self.what == UNDONE && is_given_up()
    }
}

/// Whether it was refused because its expiry time was too near.
fn is_too_late(ended: &Ended) -> bool {
    // "less than 5 minutes ahead" is what a malformed request says.
    let codes = [RefusalCode::ShareEnding, RefusalCode::MalformedRequest];
    ended.refusals.iter().any(|code| codes.contains(code))
}

/// Whether it was refused because its rule may not give an expiry to the share that is there.
fn may_not_expire(ended: &Ended) -> bool {
    ended.refusals.contains(&RefusalCode::ExpiryNotAllowed)
}

/// Whether something was undone for such a reason.
fn is_by(why: Undone, ending: Ending) -> bool {
    [Undone::Lost(Some(ending)), Undone::LostUnlisted(Some(ending))].contains(&why)
}
