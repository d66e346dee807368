//! Owns the proof that each rule finds faults: one planted fault a row, with the rule that reports it.

use std::collections::BTreeSet;

use model::{
    explore::{Explorer, Limits},
    kinds::Kind,
    known::NOT_MENDED,
    planted::{Of, Planted},
    rules::approved_copies::NOBODY_SAYS_SO,
    scenes::{Before, Scene},
    sets::approvals,
};

use crate::{LAG, QUIET};

/// A fault, where it is planted, and the rule that reports it.
struct Fault {
    planted: Planted,
    kinds: &'static [Kind],
    before: Before,
    beside: Option<Before>,
    may_go: bool,
    limits: Limits,
    rule: &'static str,
}

const fn fault(planted: Planted, kinds: &'static [Kind], before: Before, limits: Limits, rule: &'static str) -> Fault {
    Fault { planted, kinds, before, beside: None, may_go: false, limits, rule }
}

impl Fault {
    const fn beside(self, before: Before) -> Self {
        Self { beside: Some(before), ..self }
    }

    const fn of_one_that_may_go(self) -> Self {
        Self { may_go: true, ..self }
    }

    /// What is wrong, if not this: nothing is found without the fault, and with it this rule does not hold at the end of the
    /// shortest trace. Something is also found if only one order is tried of calls that don't affect each other, and its trace
    /// begins with what the invocation reads.
    fn fails(&self, faultless: &mut Explorer) -> Option<String> {
        let Self { planted, limits, rule, may_go, beside, .. } = *self;
        let mut scene = Scene::new(self.kinds, self.before);
        scene.may_go = may_go;
        let scene = beside.into_iter().fold(scene, Scene::beside);
        let without = faultless.explore(&scene, limits).found;
        // This fault depends on reads that an invocation otherwise forgets.
        let new = if planted == Planted::KeepsHalf { Explorer::that_forgets_nothing } else { Explorer::new };
        let mut explorer = new(planted);
        let mut found = |is_reduced| explorer.explore(&scene, Limits { is_reduced, ..limits }).found;
        let (found, in_few) = (found(false), found(true));
        let is_it = found.as_ref().is_some_and(|found| found.what == rule && found.trace.len() > 2);
        let has_reads = in_few.is_some_and(|found| found.trace.iter().any(|line| line.contains(": Begin")));
        let is_found = without.is_none() && is_it && has_reads;
        (!is_found).then(|| format!("{planted:?} in {}: {found:#?}; without it: {without:#?}", scene.name()))
    }
}

#[track_caller]
fn are_found(faults: &[Fault]) {
    let mut faultless = Explorer::new(Planted::Nothing);
    let fail: Vec<_> = faults.iter().filter_map(|fault| fault.fails(&mut faultless)).collect();
    assert!(fail.is_empty(), "{}", fail.join("\n"));
}

const WITH_CRASH: Limits = Limits { crashes: 1, ..QUIET };
const WITH_READ: Limits = Limits { reads: 1, ..QUIET };
const WITH_EVENT: Limits = Limits { events: 1, ..QUIET };

const LAUNCH_UNRECORDED: &str = "a launch permission must expire, and no record is left";
const CREATE_VOLUME_UNRECORDED: &str = "a create volume permission must expire, and no record is left";
const GRANT_UNRECORDED: &str = "a grant must expire, and no record is left";
const BEFORE_RECORD: &str = "something is given that must expire, and there is no record";
const MISSING: &str = "a share is complete, and something is missing";
const LEFT: &str = "a revoke is complete, and something is left";
const OTHER_REMOVED: &str = "another target was removed";
const EARLY: &str = "a hint has changed something before its time";
const EXPIRED: &str = "an expiry is complete, and something is left";
const REPAIRED: &str = "a repair is complete, and something is left that was due";

const TWO_COPIES: &str = "there are two copies";
const NOTHING_WAITS: &str = "a copy was begun, and nothing waits for it";
const NOT_ASKED_FOR: &str = "something was given that nobody asked for";
const RECORD_LEFT: &str = "a record is left, and nothing waits";
const GIVEN: &str = "a revoke is complete, and something is given or left";
const UNDONE: &str = "a share is undone, and nobody has taken it back";
const UNTOLD: &str = "a share that waited was not made, and no outcome says so";
const OTHER_UNTOLD: &str = "the share of the other target has gone";
const NOBODY_WAITS: &str = "a copy is there, and nobody has waited for it";
const WITHDRAWN: &str = "something is given or begun, and its rule was withdrawn before";

const WAITS_UNAPPROVED: &str = "a share waits for its copy, and nobody has approved it";
const UNDECIDED: &str = "something is given, and no decision says so";
const DECISION_LEFT: &str = "a decision is left";
const DECIDED_TWICE: &str = "one ask was decided in two ways";
const GIVEN_THOUGH_REJECTED: &str = "something is given that was rejected or has lapsed";
const MISSING_OF_APPROVED: &str = "an approved share is complete, and something is missing";
const GIVEN_AGAIN: &str = "what was approved is given again after a revoke";
const ASK_LOST: &str = "the record of an ask was deleted, and no outcome says how it ended";

const OF_THE_IMAGE: &[Fault] = {
    use Kind::{Available, EarlyExpire, Expire, Renew, Repair, Reset, Revoke, Share, ShareUntil};
    use Planted::*;
    const TWO_READS: Limits = Limits { reads: 2, ..QUIET };
    const WITH_FAULT: Limits = Limits { faults: 1, ..QUIET };
    const LACKING: Limits = Limits { events: 1, lag: LAG, ..QUIET };
    &[
        fault(
            First(Of::Launch),
            &[ShareUntil],
            Before::Unshared,
            QUIET,
            "a launch permission was added before the grant",
        ),
        fault(
            GoesOn,
            &[Share],
            Before::Unshared,
            WITH_FAULT,
            "a launch permission was added before the create volume permission",
        ),
        fault(First(Of::ExpiryDeleted), &[Revoke], Before::SharedUntil, QUIET, BEFORE_RECORD),
        fault(NoSecondLook, &[ShareUntil, Revoke], Before::Unshared, QUIET, LAUNCH_UNRECORDED),
        fault(NoClosingRemove, &[Share, Revoke], Before::SharedUntil, QUIET, CREATE_VOLUME_UNRECORDED),
        fault(NoClosingLook, &[Share, Revoke], Before::SharedUntil, QUIET, GRANT_UNRECORDED),
        fault(NeverSuperseded, &[Renew, Expire], Before::SharedUntil, QUIET, MISSING),
        fault(BlindSecondLook, &[ShareUntil, Revoke], Before::Unshared, WITH_READ, LAUNCH_UNRECORDED),
        fault(BlindGrants, &[Expire], Before::SharedUntil, WITH_READ, BEFORE_RECORD),
        fault(
            BlindFacts,
            &[Share],
            Before::Unshared,
            WITH_READ,
            "access is given, and something was not read that it depends on",
        ),
        fault(SeesGrants, &[ShareUntil; 2], Before::Unshared, TWO_READS, MISSING),
        fault(KeepsHalf, &[Revoke, Available], Before::Unshared, WITH_CRASH, GRANT_UNRECORDED),
        fault(
            SearchedOnly,
            &[Expire],
            Before::SharedUntil,
            LACKING,
            "something was removed before the launch permission",
        )
        .of_one_that_may_go(),
        fault(Early, &[EarlyExpire], Before::SharedUntil, QUIET, EARLY),
        fault(LeavesOut(Of::ExpiryDeleted), &[Expire], Before::SharedUntil, QUIET, EXPIRED),
        fault(NothingOverdue, &[Repair], Before::SharedUntil, QUIET, REPAIRED),
        fault(NothingOverdue, &[Repair, EarlyExpire], Before::SharedUntil, QUIET, REPAIRED),
        fault(ForBoth(Of::LaunchRemoved), &[Revoke], Before::Shared, QUIET, OTHER_REMOVED),
        fault(
            ForBoth(Of::CreateVolumeRemoved),
            &[Revoke],
            Before::Shared,
            QUIET,
            "a create volume permission was removed that another image needs",
        ),
        fault(
            ForBoth(Of::GrantRevoked),
            &[Revoke],
            Before::Shared,
            QUIET,
            "a grant was revoked that is another image's or nobody's",
        ),
        fault(LeavesOut(Of::GrantRevoked), &[Revoke], Before::Shared, QUIET, LEFT),
        fault(LeavesOut(Of::ExpiryDeleted), &[Reset], Before::SharedUntil, QUIET, LEFT),
    ]
};

const OF_COPIES: &[Fault] = {
    use Kind::{Copied, ExpireCopy, LateTick, RenewCopy, RevokeCopy, RevokeCopyById, ShareCopy, Tick, TickOfBoth};
    use Planted::*;
    const LATE: Limits = Limits { lag: LAG, ..QUIET };
    &[
        fault(NeverSuperseded, &[RenewCopy, ExpireCopy], Before::CopyUntil, QUIET, UNTOLD),
        fault(First(Of::Copy), &[ShareCopy], Before::NoCopy, QUIET, NOTHING_WAITS),
        fault(First(Of::Copy), &[ShareCopy, RevokeCopy], Before::NoCopy, QUIET, NOTHING_WAITS),
        fault(NoSecondLook, &[Tick, RevokeCopy], Before::Waits, QUIET, GIVEN),
        fault(NoWithdrawnLook, &[Tick, RevokeCopy], Before::Waits, QUIET, GIVEN),
        fault(EndsAtOnce, &[Tick; 2], Before::Copied, QUIET, UNDONE),
        fault(NoRecordAgain, &[ShareCopy, Tick], Before::Failed, QUIET, NOBODY_WAITS),
        fault(UndoesHalf, &[LateTick, TickOfBoth], Before::Copied, WITH_CRASH, UNDONE),
        fault(UndoesHalf, &[LateTick, ShareCopy], Before::Copied, WITH_CRASH, UNDONE),
        fault(UndoesUnlisted, &[LateTick, TickOfBoth], Before::Copied, WITH_READ, UNDONE),
        fault(UndoesUnlisted, &[LateTick, TickOfBoth], Before::Given, WITH_READ, UNDONE),
        fault(KeepsHalf, &[RevokeCopy], Before::Given, WITH_CRASH, GIVEN),
        fault(NoWithdrawnLook, &[Tick, RevokeCopy], Before::Waits, LATE, GIVEN),
        fault(EndsHalf, &[Tick], Before::Copied, WITH_CRASH, UNTOLD),
        fault(OldAllowlist, &[Tick], Before::Copied, WITH_EVENT, WITHDRAWN),
        fault(OldAllowlist, &[Copied, Tick], Before::Waits, WITH_EVENT, WITHDRAWN),
        fault(NothingAgain, &[Tick; 2], Before::Copied, QUIET, NOT_MENDED),
        fault(NothingAgain, &[Tick, RevokeCopy], Before::Waits, WITH_CRASH, NOT_MENDED),
        fault(ForBoth(Of::LaunchRemoved), &[RevokeCopy], Before::OtherGiven, QUIET, OTHER_REMOVED),
        fault(ForBoth(Of::LaunchRemoved), &[RevokeCopyById, Tick], Before::OtherGiven, QUIET, OTHER_REMOVED),
        fault(NeverThere, &[ShareCopy], Before::NoCopy, QUIET, TWO_COPIES),
        fault(NeverThere, &[ShareCopy; 2], Before::NoCopy, QUIET, TWO_COPIES),
        fault(ForBoth(Of::Launch), &[Tick], Before::Copied, QUIET, NOT_ASKED_FOR),
        fault(ForBoth(Of::CreateVolume), &[Tick], Before::Copied, QUIET, NOT_ASKED_FOR),
        fault(LeavesOut(Of::WaitingDeleted), &[Tick], Before::Copied, QUIET, RECORD_LEFT),
        fault(LeavesOut(Of::Waiting), &[RevokeCopy], Before::BothWait, QUIET, OTHER_UNTOLD),
        fault(LeavesOut(Of::ExpiryDeleted), &[ExpireCopy], Before::CopyUntil, QUIET, EXPIRED),
        fault(TellsNothing, &[Tick], Before::Failed, QUIET, UNTOLD),
        fault(TellsOfItself, &[Tick], Before::Failed, QUIET, UNTOLD),
        fault(TellsOfItself, &[RevokeCopy], Before::BothWait, WITH_EVENT, OTHER_UNTOLD),
    ]
};

const OF_APPROVALS: &[Fault] = {
    use Kind::{Approve, Ask, CarryOn, EarlyLapse, Lapse, LateAsk, Reject, Revoke, Share};
    use Planted::*;
    &[
        fault(NoDecision, &[Approve], Before::Asked, QUIET, UNDECIDED),
        fault(NoDecision, &[Approve, Revoke], Before::Asked, QUIET, UNDECIDED),
        fault(AnyAsk, &[Approve, Reject], Before::Asked, QUIET, DECIDED_TWICE),
        fault(KeepsDecision, &[Approve, Revoke], Before::Asked, QUIET, GIVEN_AGAIN),
        fault(KeepsDecision, &[Approve, Revoke, Share], Before::Asked, QUIET, GIVEN_AGAIN),
        fault(Early, &[EarlyLapse], Before::Asked, QUIET, EARLY),
        fault(LeavesOut(Of::DecisionDeleted), &[Approve], Before::Asked, QUIET, DECISION_LEFT),
        fault(LeavesOut(Of::DecisionDeleted), &[Reject], Before::Asked, QUIET, DECISION_LEFT),
        fault(LeavesOut(Of::Launch), &[CarryOn], Before::Approved, QUIET, MISSING_OF_APPROVED),
        fault(LeavesOut(Of::Grant), &[Approve, Reject], Before::Asked, QUIET, MISSING_OF_APPROVED),
        fault(KeepsAsk, &[Approve, Reject], Before::Asked, QUIET, GIVEN_THOUGH_REJECTED),
        fault(KeepsAsk, &[Approve, Lapse], Before::Asked, QUIET, GIVEN_THOUGH_REJECTED),
        fault(TellsNothing, &[Reject], Before::Asked, QUIET, ASK_LOST),
        fault(TellsNothing, &[Lapse], Before::Asked, QUIET, ASK_LOST),
        fault(TellsOfItself, &[Reject], Before::Asked, QUIET, ASK_LOST),
        fault(TellsNothing, &[LateAsk], Before::Asked, QUIET, ASK_LOST),
        fault(TellsNothing, &[Ask, Reject], Before::NotAsked, QUIET, ASK_LOST),
        fault(AsksNobody, &[Ask], Before::NotAsked, QUIET, UNDECIDED),
        fault(OldAllowlist, &[CarryOn], Before::Approved, WITH_EVENT, WITHDRAWN),
        fault(NothingAgain, &[LateAsk, CarryOn], Before::Asked, QUIET, NOT_MENDED),
    ]
};

const OF_BOTH_FAMILIES: &[Fault] = {
    use Kind::{Approve, ApproveUntil, Revoke};
    use Planted::NoSecondLookIfApproved;
    &[
        fault(NoSecondLookIfApproved, &[Revoke, Approve], Before::SharedUntil, QUIET, LAUNCH_UNRECORDED)
            .beside(Before::Asked),
        fault(NoSecondLookIfApproved, &[Revoke, ApproveUntil], Before::Unshared, QUIET, LAUNCH_UNRECORDED)
            .beside(Before::AskedUntil),
    ]
};

const OF_APPROVED_COPIES: &[Fault] = {
    use Kind::{ApproveCopy, AskForCopy, RejectCopy, RevokeCopy, ShareCopyUntil, TickOfApproved};
    use Planted::*;
    &[
        fault(NoDecision, &[ApproveCopy], Before::CopyAsked, QUIET, NOBODY_SAYS_SO),
        fault(NoDecision, &[ApproveCopy, RevokeCopy], Before::CopyAsked, QUIET, NOBODY_SAYS_SO),
        fault(AsksNobody, &[AskForCopy], Before::NoCopyAsked, QUIET, WAITS_UNAPPROVED),
        fault(AsksNobody, &[AskForCopy], Before::ApprovedCopied, QUIET, UNDECIDED),
        fault(WaitsAtOnce, &[AskForCopy], Before::NoCopyAsked, QUIET, "something is given, and nobody has approved it"),
        fault(First(Of::Copy), &[ApproveCopy], Before::CopyAsked, QUIET, NOTHING_WAITS),
        fault(NeverThere, &[ApproveCopy], Before::CopyAsked, QUIET, TWO_COPIES),
        fault(ForBoth(Of::Launch), &[TickOfApproved], Before::ApprovedCopied, QUIET, NOT_ASKED_FOR),
        fault(LeavesOut(Of::WaitingDeleted), &[TickOfApproved], Before::ApprovedCopied, QUIET, RECORD_LEFT),
        fault(LeavesOut(Of::DecisionDeleted), &[ApproveCopy], Before::CopyAsked, QUIET, DECISION_LEFT),
        fault(KeepsAsk, &[ApproveCopy, RejectCopy], Before::CopyAsked, QUIET, GIVEN_THOUGH_REJECTED),
        fault(NoSecondLook, &[TickOfApproved, RevokeCopy], Before::ApprovedCopied, QUIET, GIVEN),
        fault(EndsAtOnce, &[TickOfApproved; 2], Before::ApprovedCopied, QUIET, UNDONE),
        fault(TellsNothing, &[RejectCopy], Before::CopyAsked, QUIET, UNTOLD),
        fault(TellsOfItself, &[RejectCopy], Before::CopyAsked, QUIET, UNTOLD),
        fault(AsksNobody, &[AskForCopy, ShareCopyUntil], Before::NoCopyAsked, QUIET, WAITS_UNAPPROVED),
        fault(NoSecondLookIfApproved, &[ApproveCopy, RevokeCopy], Before::CopyAsked, QUIET, GRANT_UNRECORDED)
            .beside(Before::CopyUntil),
    ]
};

#[test]
fn each_fault_of_the_image_is_found_by_its_rule() {
    are_found(OF_THE_IMAGE);
}

#[test]
fn each_fault_of_copies_is_found_by_its_rule() {
    are_found(OF_COPIES);
}

#[test]
fn each_fault_of_approvals_is_found_by_its_rule() {
    are_found(OF_APPROVALS);
}

#[test]
fn each_fault_of_copies_that_need_an_approval_is_found_by_its_rule() {
    are_found(OF_APPROVED_COPIES);
}

/// Without a share that expires, an approved share has no record to look for.
#[test]
fn an_approved_share_without_its_second_look_is_found_only_where_it_crosses_a_request_for_its_image() {
    are_found(OF_BOTH_FAMILIES);
    let mut explorer = Explorer::new(Planted::NoSecondLookIfApproved);
    for scene in approvals(2) {
        assert_eq!(explorer.explore(&scene, QUIET).found, None, "{}", scene.name());
    }
}

fn all() -> impl Iterator<Item = &'static Fault> {
    [OF_THE_IMAGE, OF_COPIES, OF_APPROVALS, OF_BOTH_FAMILIES, OF_APPROVED_COPIES].into_iter().flatten()
}

/// Each text with spaces in the modules of the rules is what is wrong if one does not hold.
#[test]
fn each_rule_has_a_planted_fault() {
    let modules = [
        include_str!("../../src/rules.rs"),
        include_str!("../../src/rules/image.rs"),
        include_str!("../../src/rules/copies.rs"),
        include_str!("../../src/rules/approvals.rs"),
        include_str!("../../src/rules/approved_copies.rs"),
    ];
    let code = modules.iter().flat_map(|module| module.lines()).filter(|line| !line.trim_start().starts_with("//"));
    let texts = code.flat_map(|line| line.split('"').skip(1).step_by(2));
    let rules: BTreeSet<_> = texts.filter(|text| text.contains(' ')).chain([NOT_MENDED]).collect();
    assert_eq!(rules, all().map(|fault| fault.rule).collect());
}

#[test]
fn docs_reliability_says_how_many_faults_are_planted() {
    let document = include_str!("../../../../docs/reliability.md");
    let faults: BTreeSet<_> = all().map(|fault| format!("{:?}", fault.planted)).collect();
    let says = format!("{} faults are planted in the model, in {} scenes", faults.len(), all().count());
    assert!(document.contains(&says), "{says}");
}
