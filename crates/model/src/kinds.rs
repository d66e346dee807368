//! Owns [`Kind`]: which invocations there are, and what begins each.

use sharing::{
    domain::Requester,
    facts::CopyRecord,
    records::{Ask, RecordName, name_of_waiting, waiting_request},
    request::{Access, Action, AskedTarget, Request},
};
use time::{Duration, OffsetDateTime};

use crate::{
    pool::Word,
    trigger::Trigger,
    world::{self, ADA, BEA, CLEO, ONE, PIPELINE, PORTAL, TWO},
};

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A share without `expiresAt`.
    Share,
    /// A share with the first expiry time.
    ShareUntil,
    /// A share with the second expiry time.
    Renew,
    /// A revoke.
    Revoke,
    /// A reset.
    Reset,
    /// The hint of the first expiry.
    Expire,
    /// The same, which may come before it is due.
    EarlyExpire,
    /// A rule with `onAvailable`.
    Available,
    /// A repair.
    Repair,
    /// A share with `copyFrom`.
    ShareCopy,
    /// The same with the first expiry time.
    ShareCopyUntil,
    /// The same share of another requester.
    ShareCopyToo,
    /// The hint of the record of the share that waits for its copy.
    Tick,
    /// The hint of the record of the share with both targets.
    TickOfBoth,
    /// The hint of the record of the share with the first expiry time.
    TickUntil,
    /// A share with `copyFrom` and the second expiry time.
    RenewCopy,
    /// The hint of the first expiry of the first copy.
    ExpireCopy,
    /// A repair of the first copy.
    RepairCopy,
    /// A rule with `onAvailable`, about the first copy.
    AvailableCopy,
    /// EC2's event of the first copy.
    Copied,
    /// A revoke with `copyFrom`.
    RevokeCopy,
    /// A revoke of the first copy by its own ID.
    RevokeCopyById,
    /// A reset of the first copy.
    ResetCopy,
    /// A hint that comes after the share has waited for as long as it may.
    LateTick,
    /// The last of these hints.
    LastTick,
    /// A share with `copyFrom` after an earlier one has waited for as long as it may.
    LateShareCopy,
    /// A share that needs an approval.
    Ask,
    /// The same after an earlier one has lapsed.
    LateAsk,
    /// An approval.
    Approve,
    /// An approval by somebody else.
    ApproveToo,
    /// A rejection.
    Reject,
    /// The hint of an ask whose time is over.
    Lapse,
    /// The same, which may come before that.
    EarlyLapse,
    /// A hint of a decision.
    CarryOn,
    /// The last of these hints.
    LateCarryOn,
    /// A share with `copyFrom` that needs an approval.
    AskForCopy,
    /// An approval of that.
    ApproveCopy,
    /// A rejection of that.
    RejectCopy,
    /// A hint of the decision about that.
    CarryOnCopy,
    /// An approval of that by somebody else.
    ApproveCopyToo,
    /// The hint of the ask for that, when its time is over.
    LapseOfCopy,
    /// The last hint of the decision about that.
    LateCarryOnCopy,
    /// The same share after an earlier ask for it has lapsed.
    LateAskForCopy,
    /// The hint of the record of the share that was approved and waits for its copy.
    TickOfApproved,
    /// The same after that share has waited for as long as it may.
    LateTickOfApproved,
    /// The last of these hints.
    LastTickOfApproved,
    /// A share with the first expiry time that needs an approval.
    AskUntil,
    /// An approval of that.
    ApproveUntil,
    /// A rejection of that.
    RejectUntil,
    /// A hint of the decision about that.
    CarryOnUntil,
}

/// The place of the clock from which the first share may expire.
pub const EXPIRING: u8 = 2;

/// The place of the clock from which an ask may be given up.
const LAPSING: u8 = 6;

/// The place of the clock at which a share that waits for a copy sends its last hint.
pub const LAST_TICK: u8 = 4;

/// The place of the clock at which a decision sends its last hint.
pub const LAST_HINT: u8 = 5;

impl Kind {
    /// Every kind that is about the image.
    pub const ALL: [Self; 8] = [
        Self::Share,
        Self::ShareUntil,
        Self::Renew,
        Self::Revoke,
        Self::Reset,
        Self::Expire,
        Self::Available,
        Self::Repair,
    ];

    /// Every kind that is about copies.
    pub const COPIES: [Self; 12] = [
        Self::ShareCopy,
        Self::ShareCopyUntil,
        Self::ShareCopyToo,
        Self::Tick,
        Self::TickOfBoth,
        Self::Copied,
        Self::RevokeCopy,
        Self::RevokeCopyById,
        Self::ResetCopy,
        Self::LateTick,
        Self::LastTick,
        Self::LateShareCopy,
    ];

    /// Every kind that is about a copy whose share expires, and what may cross it.
    pub const COPIES_UNTIL: [Self; 12] = [
        Self::ShareCopy,
        Self::ShareCopyUntil,
        Self::RenewCopy,
        Self::Tick,
        Self::TickUntil,
        Self::Copied,
        Self::ExpireCopy,
        Self::RepairCopy,
        Self::AvailableCopy,
        Self::RevokeCopy,
        Self::RevokeCopyById,
        Self::ResetCopy,
    ];

    /// Every kind that is about a share that needs an approval and a copy, and what may cross it.
    pub const APPROVED_COPIES: [Self; 15] = [
        Self::AskForCopy,
        Self::LateAskForCopy,
        Self::ApproveCopy,
        Self::ApproveCopyToo,
        Self::RejectCopy,
        Self::LapseOfCopy,
        Self::CarryOnCopy,
        Self::LateCarryOnCopy,
        Self::TickOfApproved,
        Self::LateTickOfApproved,
        Self::LastTickOfApproved,
        Self::Copied,
        Self::RevokeCopy,
        Self::RevokeCopyById,
        Self::ResetCopy,
    ];

    /// What may cross a share of a copy that needs an approval: one that needs none, its hints and its end.
    pub const UNAPPROVED_COPIES: [Self; 8] = [
        Self::ShareCopy,
        Self::ShareCopyUntil,
        Self::RenewCopy,
        Self::Tick,
        Self::TickUntil,
        Self::ExpireCopy,
        Self::RepairCopy,
        Self::AvailableCopy,
    ];

    /// Every kind that is about an approval of a share that expires.
    pub const APPROVALS_UNTIL: [Self; 4] = [Self::AskUntil, Self::ApproveUntil, Self::RejectUntil, Self::CarryOnUntil];

    /// Every kind that is about approvals, and what may cross them.
    pub const APPROVALS: [Self; 10] = [
        Self::Ask,
        Self::LateAsk,
        Self::Approve,
        Self::ApproveToo,
        Self::Reject,
        Self::Lapse,
        Self::CarryOn,
        Self::LateCarryOn,
        Self::Revoke,
        Self::Share,
    ];

    /// Whether it is about a share of a copy that needs an approval.
    pub fn needs_approval(self) -> bool {
        Self::APPROVED_COPIES.contains(&self) && !Self::COPIES_UNTIL.contains(&self)
    }

    /// Whether somebody asks for an approval.
    pub fn asks(self) -> bool {
        matches!(self, Self::Ask | Self::LateAsk | Self::AskForCopy | Self::LateAskForCopy | Self::AskUntil)
    }

    /// Whether it is a hint of a decision.
    pub fn carries_on(self) -> bool {
        use Kind::{CarryOn, CarryOnCopy, CarryOnUntil, LateCarryOn, LateCarryOnCopy};
        matches!(self, CarryOn | LateCarryOn | CarryOnCopy | LateCarryOnCopy | CarryOnUntil)
    }

    /// Whether somebody asks for a share.
    pub fn gives(self) -> bool {
        matches!(
            self,
            Self::Share
                | Self::ShareUntil
                | Self::Renew
                | Self::Available
                | Self::ShareCopy
                | Self::ShareCopyUntil
                | Self::ShareCopyToo
                | Self::LateShareCopy
                | Self::RenewCopy
                | Self::AvailableCopy
        )
    }

    /// Whether it is a rule with `onAvailable`.
    pub fn is_rule(self) -> bool {
        matches!(self, Self::Available | Self::AvailableCopy)
    }

    /// Whether it takes back what is due.
    pub fn ends_overdue(self) -> bool {
        matches!(self, Self::Expire | Self::EarlyExpire | Self::Repair | Self::ExpireCopy | Self::RepairCopy)
    }

    /// Whether it is about a share that expires.
    pub fn is_until(self) -> bool {
        use Kind::{Available, AvailableCopy, Renew, RenewCopy, ShareCopyUntil, ShareUntil, TickUntil};
        let makes =
            matches!(self, ShareUntil | Renew | Available | ShareCopyUntil | RenewCopy | AvailableCopy | TickUntil);
        makes || self.ends_overdue() || matches!(self, Self::AskUntil | Self::ApproveUntil | Self::CarryOnUntil)
    }

    /// The place of the clock before which it changes nothing.
    pub fn due(self) -> u8 {
        match self {
            Self::Expire | Self::EarlyExpire | Self::ExpireCopy => EXPIRING,
            Self::Lapse | Self::EarlyLapse | Self::LapseOfCopy => LAPSING,
            _ => 0,
        }
    }

    /// Whether it makes shares: somebody asks for one, or one waits.
    pub fn shares(self) -> bool {
        !self.takes_away() && !self.ends_overdue()
    }

    /// Whether it is the hint of the record of a share that waits for a copy, or EC2's event of that copy.
    pub fn is_hint(self) -> bool {
        use Kind::{Copied, LastTick, LastTickOfApproved, LateTick, LateTickOfApproved};
        use Kind::{Tick, TickOfApproved, TickOfBoth, TickUntil};
        let is_late = matches!(self, LateTick | LastTick | LateTickOfApproved | LastTickOfApproved);
        is_late || matches!(self, Tick | TickOfBoth | TickOfApproved | TickUntil | Copied)
    }

    /// Whether it carries out an approval.
    pub fn approves(self) -> bool {
        use Kind::{Approve, ApproveCopy, ApproveCopyToo, ApproveToo, ApproveUntil};
        let is_approval = matches!(self, Approve | ApproveToo | ApproveCopy | ApproveCopyToo | ApproveUntil);
        is_approval || self.carries_on()
    }

    /// Whether somebody asks for a share to be taken back.
    pub fn takes_away(self) -> bool {
        matches!(self, Self::Revoke | Self::Reset | Self::RevokeCopy | Self::RevokeCopyById | Self::ResetCopy)
    }

    /// Its name in traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::ShareUntil => "share until 1",
            Self::Renew => "share until 2",
            Self::Revoke => "revoke",
            Self::Reset => "reset",
            Self::Expire => "expire 1",
            Self::EarlyExpire => "early expire 1",
            Self::Available => "available",
            Self::Repair => "repair",
            Self::ShareCopy => "share copy",
            Self::ShareCopyUntil => "share copy until 1",
            Self::ShareCopyToo => "share copy too",
            Self::Tick => "tick",
            Self::TickOfBoth => "tick of both",
            Self::TickUntil => "tick of share until 1",
            Self::RenewCopy => "share copy until 2",
            Self::ExpireCopy => "expire copy 1",
            Self::RepairCopy => "repair copy",
            Self::AvailableCopy => "available copy",
            Self::Copied => "copied",
            Self::RevokeCopy => "revoke copy",
            Self::RevokeCopyById => "revoke copy by ID",
            Self::ResetCopy => "reset copy",
            Self::LateTick => "late tick",
            Self::LastTick => "last tick",
            Self::LateShareCopy => "late share copy",
            Self::Ask => "ask",
            Self::LateAsk => "late ask",
            Self::Approve => "approve",
            Self::ApproveToo => "approve too",
            Self::Reject => "reject",
            Self::Lapse => "lapse",
            Self::EarlyLapse => "early lapse",
            Self::CarryOn => "carry on",
            Self::LateCarryOn => "late carry on",
            Self::AskForCopy => "ask for copy",
            Self::ApproveCopy => "approve copy",
            Self::RejectCopy => "reject copy",
            Self::CarryOnCopy => "carry on copy",
            Self::ApproveCopyToo => "approve copy too",
            Self::LapseOfCopy => "lapse of copy",
            Self::LateCarryOnCopy => "late carry on copy",
            Self::LateAskForCopy => "late ask for copy",
            Self::TickOfApproved => "tick of approved",
            Self::LateTickOfApproved => "late tick of approved",
            Self::LastTickOfApproved => "last tick of approved",
            Self::AskUntil => "ask until 1",
            Self::ApproveUntil => "approve until 1",
            Self::RejectUntil => "reject until 1",
            Self::CarryOnUntil => "carry on until 1",
        }
    }

    fn trigger(self) -> Trigger {
        let portal = |request| Trigger::Request(request, world::requester(PORTAL));
        let share = |until| {
            portal(request(Action::Share, |request| {
                (request.access, request.expires_at) = (Access::Copy, until);
            }))
        };
        let of_first = |action| portal(request(action, |request| request.image_ids = vec![world::id_of(1)]));
        match self {
            Self::Share => share(None),
            Self::ShareUntil => share(Some(world::first_end())),
            Self::Renew => share(Some(world::second_end())),
            Self::Revoke => portal(request(Action::Revoke, |_| {})),
            Self::Reset => portal(request(Action::Reset, |_| {})),
            Self::Expire | Self::EarlyExpire => Trigger::Due(RecordName::Expiry(world::first_record(0).name)),
            Self::Available => Trigger::Available(0),
            Self::AvailableCopy => Trigger::Available(1),
            Self::Repair => portal(request(Action::Repair, |request| request.image_ids.clear())),
            Self::ShareCopy | Self::LateShareCopy => portal(share_copy(ONE, None)),
            Self::ShareCopyUntil => portal(share_copy(ONE, Some(world::first_end()))),
            Self::RenewCopy => portal(share_copy(ONE, Some(world::second_end()))),
            Self::ExpireCopy => Trigger::Due(RecordName::Expiry(world::first_record(1).name)),
            Self::RepairCopy => of_first(Action::Repair),
            Self::ShareCopyToo => Trigger::Request(share_copy(ONE, None), world::requester(PIPELINE)),
            Self::Tick | Self::LateTick | Self::LastTick => Trigger::Due(RecordName::Copy(waiting(ONE).name)),
            Self::TickOfBoth => Trigger::Due(RecordName::Copy(waiting(ONE | TWO).name)),
            Self::TickUntil => Trigger::Due(RecordName::Copy(waiting_until().name)),
            Self::Copied => Trigger::Copied(1),
            Self::RevokeCopy => portal(request(Action::Revoke, about_copies)),
            Self::RevokeCopyById => of_first(Action::Revoke),
            Self::ResetCopy => of_first(Action::Reset),
            Self::Ask | Self::LateAsk => Trigger::Request(guarded(None), world::requester(ADA)),
            Self::AskUntil => Trigger::Request(guarded(Some(world::first_end())), world::requester(ADA)),
            Self::ApproveUntil => answer(&asked_until(), Action::Approve, BEA),
            Self::RejectUntil => answer(&asked_until(), Action::Reject, CLEO),
            Self::CarryOnUntil => Trigger::Due(RecordName::Decision(asked_until().name.decision())),
            Self::Approve => answer(&asked(), Action::Approve, BEA),
            Self::ApproveToo => answer(&asked(), Action::Approve, CLEO),
            Self::Reject => answer(&asked(), Action::Reject, CLEO),
            Self::AskForCopy | Self::LateAskForCopy => Trigger::Request(share_copy(ONE, None), world::requester(ADA)),
            Self::ApproveCopy => answer(&asked_for_copy(), Action::Approve, BEA),
            Self::ApproveCopyToo => answer(&asked_for_copy(), Action::Approve, CLEO),
            Self::RejectCopy => answer(&asked_for_copy(), Action::Reject, CLEO),
            Self::LapseOfCopy => Trigger::Due(RecordName::Ask(asked_for_copy().name)),
            Self::CarryOnCopy | Self::LateCarryOnCopy => {
                Trigger::Due(RecordName::Decision(asked_for_copy().name.decision()))
            }
            Self::TickOfApproved | Self::LateTickOfApproved | Self::LastTickOfApproved => {
                Trigger::Due(RecordName::Copy(approved_and_waiting().name))
            }
            Self::Lapse | Self::EarlyLapse => Trigger::Due(RecordName::Ask(asked().name)),
            Self::CarryOn | Self::LateCarryOn => Trigger::Due(RecordName::Decision(asked().name.decision())),
        }
    }

    /// The place of the clock before which it does not begin. Before that an expiry is not due, and a repair finds nothing
    /// overdue.
    fn not_before(self) -> u8 {
        match self {
            Self::LateTick | Self::LateTickOfApproved | Self::LateShareCopy => 1,
            Self::Expire | Self::ExpireCopy | Self::Lapse | Self::LapseOfCopy => self.due(),
            Self::Repair | Self::RepairCopy => 3,
            Self::LastTick | Self::LastTickOfApproved => LAST_TICK,
            Self::LateCarryOn | Self::LateCarryOnCopy => LAST_HINT,
            Self::LateAsk | Self::LateAskForCopy => 7,
            _ => 0,
        }
    }
}

/// The number of a request that is sent again at the end: no scene has as many of its kind.
pub const AGAIN: usize = 3;

/// Whose invocations they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// Those of an actor of this kind, the first, second or third of its kind in the scene.
    Actor(Kind, u8),
    /// Those of the hint of the record with this name, after everything has ended.
    Hint(Word),
}

/// An invocation of a scene.
#[derive(Debug, Clone)]
pub struct Actor {
    /// What it is.
    pub kind: Kind,
    /// Its kind and its number among those of its kind.
    pub whose: Whose,
    /// Its name in traces.
    pub name: &'static str,
    /// The ID of its request.
    pub id: String,
    /// What begins it.
    pub trigger: Trigger,
    /// The place of the clock before which it does not begin.
    pub not_before: u8,
}

impl Actor {
    /// The invocation of this kind, and its number among those of its kind.
    pub fn new(kind: Kind, number: usize) -> Self {
        Self {
            kind,
            whose: Whose::Actor(kind, u8::try_from(number).unwrap()),
            name: kind.name(),
            id: format!("{}-{number}", kind.name()),
            trigger: kind.trigger(),
            not_before: kind.not_before(),
        }
    }
}

fn about_copies(request: &mut Request) {
    let source = world::source();
    (request.image_ids, request.copy_from) = (vec![source.id], Some(source.region));
}

/// A share with `copyFrom` with these targets.
fn share_copy(targets: u8, until: Option<OffsetDateTime>) -> Box<Request> {
    request(Action::Share, |request| {
        about_copies(request);
        (request.access, request.expires_at) = (Access::Copy, until);
        let asked = |target| AskedTarget { target, pointer: "/accountIds/0".to_owned() };
        request.targets = world::targets(targets).into_iter().map(asked).collect();
    })
}

/// A share that needs an approval.
fn guarded(until: Option<OffsetDateTime>) -> Box<Request> {
    request(Action::Share, |request| (request.access, request.expires_at) = (Access::Copy, until))
}

/// The record of that, from the first place of the clock.
pub fn asked() -> Ask {
    ask(&guarded(None), "guarded")
}

/// The same of a share with the first expiry time.
pub fn asked_until() -> Ask {
    ask(&guarded(Some(world::first_end())), "guarded")
}

fn ask(request: &Request, rule: &str) -> Ask {
    Ask::new(request, &world::requester(ADA), "first", vec![rule.to_owned()], world::time_at(0))
}

/// The record of a share that needs an approval and a copy, from the first place of the clock.
pub fn asked_for_copy() -> Ask {
    ask(&share_copy(ONE, None), "guarded-copies")
}

fn answer(ask: &Ask, action: Action, who: &str) -> Trigger {
    let request = request(action, |request| {
        request.image_ids.clear();
        request.approval_id = Some(ask.name.id().to_owned());
    });
    Trigger::Request(request, world::requester(who))
}

/// The record of such a share of a copy, from the first place of the clock.
pub fn waiting(targets: u8) -> CopyRecord {
    record(&share_copy(targets, None), (PORTAL, None), "copied")
}

/// The same of a share with the first expiry time.
pub fn waiting_until() -> CopyRecord {
    record(&share_copy(ONE, Some(world::first_end())), (PORTAL, None), "copied")
}

/// The same of the share that was approved.
pub fn approved_and_waiting() -> CopyRecord {
    record(&share_copy(ONE, None), (ADA, Some(world::requester(BEA))), "guarded-copies")
}

fn record(request: &Request, (who, approved_by): (&str, Option<Requester>), rule: &str) -> CopyRecord {
    let request = waiting_request(request, &world::source().id);
    let requester = world::requester(who);
    CopyRecord {
        name: name_of_waiting(&request, &requester, approved_by.as_ref()).unwrap(),
        request,
        requester,
        request_id: "first".to_owned(),
        approved_by,
        rule: rule.to_owned(),
        until: world::time_at(0) + Duration::minutes(30),
        failed_copies: 0,
        mac: None,
    }
}

/// The request of this action for the target that requests are about.
fn request(action: Action, more: impl FnOnce(&mut Request)) -> Box<Request> {
    let mut request = Request::bare(action, world::image_id());
    if action.takes_targets() {
        let target = world::targets(ONE).remove(0);
        request.targets = vec![AskedTarget { target, pointer: "/accountIds/0".to_owned() }];
    }
    more(&mut request);
    Box::new(request)
}
