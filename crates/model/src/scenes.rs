//! Owns the scenes: which invocations run at the same time, and what there is before.

use std::iter;

use sharing::{
    needs::CopyOrder,
    records::{ApprovalAnswer, ApprovalDecision, Ask, Record},
};

use crate::{
    kept::{Event, Kept, Lagging, Shared},
    kinds::{
        Actor, EXPIRING, Kind, LAST_TICK, approved_and_waiting, asked, asked_for_copy, asked_until, waiting,
        waiting_until,
    },
    script::{Pools, Stands},
    world::{self, BUS, ONE, TWO},
};

/// How things are before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// The image is not shared with the target.
    Unshared,
    /// It is shared for good.
    Shared,
    /// It is shared until the first expiry time.
    SharedUntil,
    /// There is no copy.
    NoCopy,
    /// A share waits for its copy, which is pending.
    Waits,
    /// The same with both targets.
    BothWait,
    /// A share waits for its copy, which is available.
    Copied,
    /// The same after a hint has made the share.
    Given,
    /// The same if the copy is shared with the other target instead.
    OtherGiven,
    /// A share waits for its copy, which has failed.
    Failed,
    /// A share that expires waits for its copy, which is pending.
    WaitsUntil,
    /// The same if the copy is available.
    CopiedUntil,
    /// The same after a hint has made the share.
    GivenUntil,
    /// A copy is shared until the first expiry time, and nobody waits.
    CopyUntil,
    /// Nobody has asked for an approval.
    NotAsked,
    /// A share waits for approval.
    Asked,
    /// It is approved, and the approval is not carried out.
    Approved,
    /// It is rejected, and both records are there.
    Rejected,
    /// What was decided is carried out, and the decision is there.
    Decided,
    /// A share that expires waits for approval.
    AskedUntil,
    /// It is approved, and the approval is not carried out.
    ApprovedUntil,
    /// Nobody has asked for a copy that needs an approval.
    NoCopyAsked,
    /// Somebody has, and waits for the approval.
    CopyAsked,
    /// It is approved, and the approval is not carried out.
    CopyApproved,
    /// It is rejected, and both records are there.
    CopyRejected,
    /// It is approved and waits for its copy, which is pending, and the decision is there.
    CopyDecided,
    /// It is approved and waits for its copy, which is pending.
    ApprovedWaits,
    /// The same if the copy is available.
    ApprovedCopied,
    /// The same after a hint has made the share.
    ApprovedGiven,
    /// The same if the copy has failed.
    ApprovedFailed,
}

impl Before {
    /// Every one of the image.
    pub const ALL: [Self; 3] = [Self::Unshared, Self::Shared, Self::SharedUntil];

    /// Every one of a copy.
    pub const COPIES: [Self; 7] =
        [Self::NoCopy, Self::Waits, Self::BothWait, Self::Copied, Self::Given, Self::OtherGiven, Self::Failed];

    /// Every one of a copy whose share may expire.
    pub const COPIES_UNTIL: [Self; 6] =
        [Self::NoCopy, Self::Copied, Self::WaitsUntil, Self::CopiedUntil, Self::GivenUntil, Self::CopyUntil];

    /// Every one of an approval.
    pub const APPROVALS: [Self; 5] = [Self::NotAsked, Self::Asked, Self::Approved, Self::Rejected, Self::Decided];

    /// Every one of an approval of a share that expires.
    pub const APPROVALS_UNTIL: [Self; 3] = [Self::NotAsked, Self::AskedUntil, Self::ApprovedUntil];

    /// Every one of a copy that needs an approval.
    pub const APPROVED_COPIES: [Self; 9] = [
        Self::NoCopyAsked,
        Self::CopyAsked,
        Self::CopyApproved,
        Self::CopyRejected,
        Self::CopyDecided,
        Self::ApprovedWaits,
        Self::ApprovedCopied,
        Self::ApprovedGiven,
        Self::ApprovedFailed,
    ];

    /// Those of them without a copy.
    pub const ASKS_FOR_COPIES: [Self; 4] = [Self::NoCopyAsked, Self::CopyAsked, Self::CopyApproved, Self::CopyRejected];

    pub(crate) fn is_about_the_image(self) -> bool {
        Self::ALL.contains(&self)
    }

    pub(crate) fn is_about_both(self) -> bool {
        Self::APPROVED_COPIES.contains(&self)
    }

    pub(crate) fn is_about_approvals(self) -> bool {
        Self::APPROVALS.contains(&self) || Self::APPROVALS_UNTIL.contains(&self)
    }

    /// Whether an ask waits, or is decided and not carried out.
    pub(crate) fn has_ask(self) -> bool {
        let has_decision = self.is_approved() || matches!(self, Self::Rejected | Self::CopyRejected);
        has_decision || matches!(self, Self::Asked | Self::AskedUntil | Self::CopyAsked)
    }

    /// Whether an ask is approved, and the approval is not carried out.
    pub(crate) fn is_approved(self) -> bool {
        matches!(self, Self::Approved | Self::ApprovedUntil | Self::CopyApproved)
    }

    /// Whether a share that was approved waits for its copy.
    pub(crate) fn is_approved_and_waits(self) -> bool {
        use Before::{ApprovedCopied, ApprovedFailed, ApprovedGiven, ApprovedWaits, CopyDecided};
        matches!(self, ApprovedCopied | ApprovedFailed | ApprovedGiven | ApprovedWaits | CopyDecided)
    }

    /// Whether a share is there, or waits, that expires.
    pub(crate) fn is_until(self) -> bool {
        matches!(self, Self::SharedUntil | Self::WaitsUntil | Self::CopiedUntil | Self::GivenUntil | Self::CopyUntil)
    }

    pub(crate) fn is_about_copies(self) -> bool {
        Self::COPIES.contains(&self) || Self::COPIES_UNTIL.contains(&self)
    }
}

/// A scene.
#[derive(Debug, Clone)]
pub struct Scene {
    /// What runs.
    pub actors: Vec<Actor>,
    pub(crate) before: Before,
    /// How things of another family are before, if the scene crosses two.
    pub(crate) beside: Option<Before>,
    /// The last place of the clock.
    pub last_time: u8,
    /// Whether the image may be deregistered.
    pub may_go: bool,
}

impl Scene {
    /// These invocations, at the same time.
    pub fn new(kinds: &[Kind], before: Before) -> Self {
        let number = |place: usize, kind| kinds[..place].iter().filter(|other| **other == kind).count();
        let actors = kinds.iter().enumerate().map(|(place, kind)| Actor::new(*kind, number(place, *kind)));
        let actors: Vec<_> = actors.collect();
        let last_time = actors.iter().map(|actor| actor.not_before).max().unwrap_or_default();
        Self { actors, before, beside: None, last_time, may_go: false }.until_shares_end()
    }

    /// The same, with a clock that goes on until shares may expire: what is sent again may come only then.
    fn until_shares_end(self) -> Self {
        let last_time = if self.has_expiries() { self.last_time.max(EXPIRING) } else { self.last_time };
        Self { last_time, ..self }
    }

    /// The same where things of another family are like this before.
    pub fn beside(self, before: Before) -> Self {
        Self { beside: Some(before), ..self }.until_shares_end()
    }

    /// Its name.
    pub fn name(&self) -> String {
        let names: Vec<_> = self.actors.iter().map(|actor| actor.name).collect();
        let before: Vec<_> = self.families().map(|before| format!("{before:?}")).collect();
        format!("{}: {}", before.join(" and "), names.join(" + "))
    }

    /// How things are before in each family that the scene is about.
    fn families(&self) -> impl Iterator<Item = Before> {
        iter::once(self.before).chain(self.beside)
    }

    /// Whether things are like this before.
    pub(crate) fn was(&self, before: Before) -> bool {
        self.families().any(|it| it == before)
    }

    /// Whether it is about a family of this kind.
    pub(crate) fn is_about(&self, is_it: fn(Before) -> bool) -> bool {
        self.families().any(is_it)
    }

    /// What AWS keeps before. The image is shared with the other target for good.
    pub fn before(&self, pools: &Pools) -> Kept {
        if self.before.is_about_copies() || self.before.is_about_both() {
            return self.copies_before(pools);
        }
        let mut kept = Kept { may_go: self.may_go, ..Kept::default() };
        kept.images[0] = Shared::with(TWO);
        if matches!(self.before, Before::Shared | Before::SharedUntil | Before::Decided) {
            kept.images[0] = Shared::with(ONE | TWO);
            kept = kept.with_grant(0, ONE);
        }
        if self.before == Before::SharedUntil {
            kept = kept.with_record(&Record::Expiry(world::first_record(0)), pools);
            kept.images[0].must_expire = [ONE; 3];
        }
        let is_until = self.was(Before::AskedUntil) || self.was(Before::ApprovedUntil);
        self.with_asks(kept, &if is_until { asked_until() } else { asked() }, pools)
    }

    /// The same with the records of this ask and of what was decided about it.
    fn with_asks(&self, mut kept: Kept, ask: &Ask, pools: &Pools) -> Kept {
        if self.is_about(Before::has_ask) {
            kept = kept.with_record(&Record::Ask(Box::new(ask.clone())), pools);
        }
        let by = world::requester(world::BEA);
        let is_rejected = self.was(Before::Rejected) || self.was(Before::CopyRejected);
        let is_approved =
            self.is_about(Before::is_approved) || self.was(Before::Decided) || self.was(Before::CopyDecided);
        let answer = match (is_rejected, is_approved) {
            (true, _) => ApprovalAnswer::Rejected { by },
            (_, true) => ApprovalAnswer::Approved { by },
            _ => return kept,
        };
        let decision = ApprovalDecision::new(ask, answer, "earlier", None, world::time_at(0));
        kept.with_record(&Record::Decision(Box::new(decision)), pools)
    }

    fn copies_before(&self, pools: &Pools) -> Kept {
        let mut kept = self.with_asks(Kept::default(), &asked_for_copy(), pools);
        // Beside an ask there may be a copy that is shared without an approval. Then the ask has none.
        let before = self.beside.unwrap_or(self.before);
        let (targets, stands) = match before {
            Before::Waits | Before::WaitsUntil => (ONE, Stands::Pending),
            Before::BothWait => (ONE | TWO, Stands::Pending),
            Before::Copied | Before::Given | Before::OtherGiven => (ONE, Stands::Available),
            Before::CopiedUntil | Before::GivenUntil | Before::CopyUntil => (ONE, Stands::Available),
            Before::Failed => (ONE, Stands::Failed),
            Before::ApprovedWaits | Before::CopyDecided => (ONE, Stands::Pending),
            Before::ApprovedCopied | Before::ApprovedGiven => (ONE, Stands::Available),
            Before::ApprovedFailed => (ONE, Stands::Failed),
            _ => return kept,
        };
        let order = CopyOrder {
            source: world::source(),
            source_name: world::source_image().name.unwrap(),
            key: ami_share_testing::worlds::key(),
            failed_copies: 0,
            is_from_here: false,
        };
        let name = order.name(0, false);
        let order = (pools.words.put(&name), pools.words.put(&order.client_token(&name, 0)));
        let expires = matches!(before, Before::GivenUntil | Before::CopyUntil);
        let shared = match before {
            Before::OtherGiven => TWO,
            Before::Given | Before::ApprovedGiven => ONE,
            _ if expires => ONE,
            _ => 0,
        };
        kept.images[1] = Shared { stands: Lagging::new(stands), order: Some(order), ..Shared::with(shared) };
        if shared != 0 {
            kept = kept.with_grant(1, shared);
        }
        if expires {
            kept = kept.with_record(&Record::Expiry(world::first_record(1)), pools);
            kept.images[1].must_expire = [ONE; 3];
        }
        let record = match before {
            Before::CopyUntil => return kept,
            Before::WaitsUntil | Before::CopiedUntil | Before::GivenUntil => waiting_until(),
            before if before.is_about_both() => approved_and_waiting(),
            _ => waiting(targets),
        };
        kept.with_record(&Record::Copy(Box::new(record)), pools)
    }

    /// Whether a share that expires is there, is made or is ended.
    pub(crate) fn has_expiries(&self) -> bool {
        self.is_about(Before::is_until) || self.has(Kind::is_until)
    }

    /// The place of the clock after this one, if the scene has one.
    pub fn place_after(&self, place: u8) -> Option<u8> {
        // Only the last ones differ for an approval, only those before them for a copy, and only the first ones for an expiry.
        let (about_approvals, about_both) = (Before::is_about_approvals, Before::is_about_both);
        let differs = |place: &u8| match *place {
            EXPIRING | 3 if self.is_about(about_both) => self.has_expiries(),
            1..LAST_TICK if self.is_about(about_approvals) => self.has_expiries(),
            LAST_TICK => !self.is_about(about_approvals),
            _ => true,
        };
        (place + 1..=self.last_time).find(differs)
    }

    /// Whether this invocation, if it was killed, is sent again before much time passes. Hints of a decision come for a day.
    pub fn is_sent_again_soon(&self, actor: usize) -> bool {
        let kind = self.actors[actor].kind;
        if self.is_about(Before::is_about_both) {
            return kind.needs_approval() && !kind.is_hint();
        }
        let is_of_image = Kind::ALL.contains(&kind);
        self.is_about(Before::is_about_approvals) && !(is_of_image && self.is_about(Before::is_about_the_image))
    }

    /// Whether time may pass until this place of the clock while this invocation, which is sent again soon, was not yet. A
    /// share that expires may end before its next hint.
    pub fn may_wait_until(&self, place: u8, actor: usize) -> bool {
        place < LAST_TICK && self.actors[actor].kind.is_until()
    }

    /// Whether this event may come to pass.
    pub fn may_happen(&self, event: Event) -> bool {
        event != Event::SourceGone || self.is_about(Before::is_about_copies) || self.is_about(Before::is_about_both)
    }

    /// Whether this invocation carries out a decision from the first place of the clock.
    pub fn carries_on(&self, actor: usize) -> bool {
        let kind = self.actors[actor].kind;
        kind.approves() && (kind.carries_on() || self.is_about(Before::is_approved))
    }

    /// Whether no other invocation disturbs.
    pub(crate) fn is_alone(&self) -> bool {
        self.actors.len() == 1
    }

    /// Whether an invocation of such a kind runs.
    pub(crate) fn has(&self, is_it: impl Fn(Kind) -> bool) -> bool {
        self.actors.iter().any(|actor| is_it(actor.kind))
    }
}

impl Kept {
    fn with_grant(mut self, slot: usize, target: u8) -> Self {
        self.made[slot] = [u8::from(target == ONE), u8::from(target == TWO)];
        Self { grants: Lagging::new(self.made), ..self }
    }

    fn with_record(mut self, record: &Record, pools: &Pools) -> Self {
        let schedule = record.schedule(BUS, world::time_at(0));
        self.schedules.insert(pools.names.put(&record.name().to_string()), pools.schedules.put(&schedule));
        self
    }
}
