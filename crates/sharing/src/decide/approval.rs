//! Owns the decision about approval: which shares wait for it, who may give it, and every reason against it.

use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

use super::{
    case::{Approval, Authority, Case},
    decision::{Covered, Decision, ImageDecision, Share, Verdict},
    met::Met,
    permit::is_covered,
};
use crate::{
    allowlist::{Allowlist, Rule},
    domain::{AskName, ImageId, Requester, quoted, rfc3339},
    facts::{Failure, Image},
    outcome::{ErrorCode, Finding, FindingCode, Refusal, RefusalCode},
    records::{ApprovalAnswer, ApprovalDecision, Ask},
    request::Request,
};

/// A hint may come so much early.
const EARLY: Duration = Duration::minutes(1);

/// So long after its time a record counts as left: its hint may come late.
const LATE: Duration = Duration::hours(1);

/// The reasons why a share by rules with approvers is refused, and not recorded.
pub(super) fn check(case: &Case<'_>, image_id: &ImageId, targets: &[Covered<'_>]) -> Met {
    let Authority::Requester(asker) = case.authority else { return Met::default() };
    let mut rules: Vec<_> = with_approvers(targets).collect();
    rules.dedup_by_key(|rule| &rule.name);
    let Some(rule) = rules.first() else { return Met::default() };
    let refusal = match case.approval {
        Approval::NotPossible if case.hint.is_some() => Some(not_approved(rule)),
        Approval::Asked if !is_set_up(case) => Some(approvals_not_set_up(case)),
        Approval::Asked => None,
        Approval::NotPossible => Some(
            Refusal::new(
                RefusalCode::ApprovalNotAllowed,
                format!(
                    "rule {} requires an approval, which can't be requested through this trigger",
                    quoted(&rule.name)
                ),
            )
            .remedy("send the request to the API or the function URL")
            .value("rule", rule.name.as_str()),
        ),
        Approval::By(approver) => rules.iter().find_map(|rule| not_an_approver(rule, approver, asker)),
    };
    refusal.map(|refusal| Met::refused(Refusal { image_id: Some(image_id.clone()), ..refusal })).unwrap_or_default()
}

/// The rules that decide about these targets and require an approval.
fn with_approvers<'a>(targets: &[Covered<'a>]) -> impl Iterator<Item = &'a Rule> {
    targets.iter().filter_map(|(_, rule)| *rule).filter(|rule| !rule.approvers.is_empty())
}

/// Whether every rule that requires an approval of a share with these targets names who gave it.
pub(super) fn is_enough(approver: Option<&Requester>, targets: &[Covered<'_>]) -> bool {
    with_approvers(targets).all(|rule| approver.is_some_and(|approver| rule.is_approved_by(approver)))
}

/// Nobody approved the share before it began to wait for its copy, because no rule required an approval then.
fn not_approved(rule: &Rule) -> Refusal {
    let message = format!("rule {} requires an approval now, and nobody has approved this share", quoted(&rule.name));
    Refusal::new(RefusalCode::ApprovalNotAllowed, message)
        .remedy("send the request again, so that somebody can approve it")
        .value("rule", rule.name.as_str())
}

/// Whether this deployment has records that give a right, and its parameter EnableApprovals is on: `AMI_SHARE_APPROVALS`.
fn is_set_up(case: &Case<'_>) -> bool {
    case.unset_for_copies.is_empty() && case.setup.approvals
}

/// This deployment can record no share that waits for approval.
pub fn approvals_not_set_up(case: &Case<'_>) -> Refusal {
    let why = match case.unset_for_copies.join(" and ") {
        unset if unset.is_empty() => "its parameter EnableApprovals is off".to_owned(),
        unset => format!("it has no {unset}"),
    };
    let message = format!("approvals are not set up in this deployment: {why}");
    Refusal::new(RefusalCode::NotSetUp, message)
        .remedy("deploy the template with EnableApprovals=true")
        .value("parameter", "EnableApprovals")
}

/// The refusal for somebody who may not approve a share by this rule.
fn not_an_approver(rule: &Rule, approver: &Requester, asker: &Requester) -> Option<Refusal> {
    if approver == asker {
        return Some(own(approver));
    }
    (!rule.is_approved_by(approver)).then(|| {
        let message = format!("{} is no approver of rule {}", quoted(approver.as_str()), quoted(&rule.name));
        Refusal::new(RefusalCode::ApprovalNotAllowed, message)
            .value("requester", approver.as_str())
            .value("rule", rule.name.as_str())
    })
}

fn own(asker: &Requester) -> Refusal {
    let message = format!("{} has asked for this share, so somebody else must approve it", quoted(asker.as_str()));
    Refusal::new(RefusalCode::ApprovalNotAllowed, message).value("requester", asker.as_str())
}

/// The record of a share that lacks nothing but an approval. `request` is the request as it was sent.
pub fn ask(case: &Case<'_>, request: &Request, decisions: &[ImageDecision<'_>]) -> Option<Ask> {
    let Authority::Requester(requester) = case.authority else { return None };
    let is_ready = |decision: &ImageDecision<'_>| {
        matches!(decision.decision, Decision::Share(Share { verdict: Verdict::Yes(_), .. }) | Decision::Await(_))
    };
    if case.approval != Approval::Asked || case.hint.is_some() || !decisions.iter().all(is_ready) {
        return None;
    }
    let deciding = decisions.iter().flat_map(|decision| &decision.targets).filter_map(|(_, rule)| *rule);
    let mut rules: Vec<_> = deciding.filter(|rule| !rule.approvers.is_empty()).map(|rule| rule.name.clone()).collect();
    rules.sort_unstable();
    rules.dedup();
    let request = Request { targets: case.request.targets.clone(), ..request.clone() };
    (!rules.is_empty()).then(|| Ask::new(&request, requester, case.request_id, rules, case.now))
}

/// Whether a requester may see a share that waits: its own requester, and those who may decide it.
pub fn may_see(allowlist: &Allowlist, ask: &Ask, requester: &Requester) -> bool {
    ask.requester == *requester || may_decide(allowlist, ask, requester, false).is_none()
}

/// Why a requester may not approve or reject a share that waits; none if it may. Each rule with approvers that decided
/// must name the requester in the present allowlist. Whether other rules decide now is checked when the share is made.
/// If none of the rules exists any more, an approver of any other rule may decide, because the share will be refused.
pub fn may_decide(allowlist: &Allowlist, ask: &Ask, requester: &Requester, is_rejection: bool) -> Option<Refusal> {
    if ask.requester == *requester {
        return (!is_rejection).then(|| own(requester));
    }
    let deciding: Vec<_> =
        allowlist.rules.iter().filter(|rule| ask.rules.contains(&rule.name) && !rule.approvers.is_empty()).collect();
    if deciding.is_empty() {
        let is_approver = allowlist.rules.iter().any(|rule| rule.is_approved_by(requester));
        return (!is_approver).then(|| {
            let message = format!("{} may not decide about this share", quoted(requester.as_str()));
            Refusal::new(RefusalCode::ApprovalNotAllowed, message).value("requester", requester.as_str())
        });
    }
    deciding.iter().find_map(|rule| not_an_approver(rule, requester, &ask.requester))
}

/// No share waits under this ID.
pub fn approval_not_found(id: &str) -> Refusal {
    Refusal::new(RefusalCode::ApprovalNotFound, format!("nothing waits for approval under the ID {}", quoted(id)))
        .at("/approvalId")
}

/// It is decided already.
pub fn decided_already(decision: &ApprovalDecision) -> Refusal {
    let (code, by, what) = match &decision.answer {
        ApprovalAnswer::Approved { by } => (RefusalCode::ApprovalNotAllowed, by.as_str(), "approved"),
        ApprovalAnswer::Rejected { by } => (RefusalCode::ApprovalRejected, by.as_str(), "rejected"),
        ApprovalAnswer::Lapsed => return lapsed(decision.ask.until),
    };
    Refusal::new(code, format!("{} has {what} this share already", quoted(by))).value("decidedBy", by)
}

/// What was decided about an earlier ask for the same share is not ended yet.
pub fn decided_before(decision: &ApprovalDecision) -> Failure {
    let name = &decision.name;
    Failure {
        code: ErrorCode::Unavailable,
        call: Some("scheduler:CreateSchedule"),
        resource: Some(name.to_string()),
        message: format!(
            "what was decided about an earlier ask for this share ({name}) is ended in ten minutes at most"
        ),
        retryable: true,
    }
}

/// Nobody has answered in time.
pub fn lapsed(until: OffsetDateTime) -> Refusal {
    let until = rfc3339(until);
    Refusal::new(RefusalCode::ApprovalLapsed, format!("nobody approved this share until {until}"))
        .remedy("send the request again")
        .value("until", until)
}

/// Whether a hint may give up an ask that nobody has answered.
pub fn may_lapse(ask: &Ask, now: OffsetDateTime) -> bool {
    ask.is_lapsed(now.saturating_add(EARLY))
}

/// The image under which an audit reports a record that is about these: one that the requester may see. They may be in
/// another Region, or gone: that is reported to whoever may see every image.
fn reported_under(case: &Case<'_>, seen: &BTreeSet<ImageId>, image_ids: &[ImageId]) -> Option<ImageId> {
    let sees_all = || is_covered(case, &Image::deregistered(case.account, Vec::new()));
    let known = image_ids.iter().find(|image_id| seen.contains(*image_id));
    known.or_else(|| image_ids.first().filter(|_| sees_all())).cloned()
}

/// An ask that is left past its time, about one of the images that the requester may see.
pub fn ask_left(case: &Case<'_>, seen: &BTreeSet<ImageId>, ask: &Ask) -> Option<Finding> {
    if !ask.is_lapsed(case.now.saturating_sub(LATE)) {
        return None;
    }
    let image_id = reported_under(case, seen, &ask.request.image_ids)?;
    let (name, until) = (&ask.name, rfc3339(ask.until));
    Some(Finding {
        code: FindingCode::ApprovalLeft,
        image_id,
        target: None,
        message: format!("{name} has waited for an approval until {until}, and is still there"),
        remedy: format!(
            "delete the schedule {name}, or send the request again; then find out why its hint had no effect"
        ),
    })
}

/// A decision that is left past its time, about one of the images that the requester may see.
pub fn approval_left(case: &Case<'_>, seen: &BTreeSet<ImageId>, decision: &ApprovalDecision) -> Option<Finding> {
    if !decision.is_over(case.now.saturating_sub(LATE)) {
        return None;
    }
    let image_id = reported_under(case, seen, &decision.ask.image_ids)?;
    let (name, until) = (&decision.name, rfc3339(decision.until));
    Some(Finding {
        code: FindingCode::ApprovalLeft,
        image_id,
        target: None,
        message: format!(
            "{name}, what was decided about an ask, was to be carried out until {until}, and is still there"
        ),
        remedy: format!("delete the schedule {name}; if the share is missing, send the request again"),
    })
}

/// The share was rejected.
pub fn rejected(by: &Requester, reason: Option<&str>) -> Refusal {
    let by = by.as_str();
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    Refusal::new(RefusalCode::ApprovalRejected, format!("{} has rejected this share{reason}", quoted(by)))
        .value("decidedBy", by)
}

/// Who approved the share; or the refusal by which it ends.
pub fn approved_by(decision: &ApprovalDecision) -> Result<&Requester, Box<Refusal>> {
    match &decision.answer {
        ApprovalAnswer::Approved { by } => Ok(by),
        ApprovalAnswer::Rejected { by } => Err(Box::new(rejected(by, decision.reason.as_deref()))),
        ApprovalAnswer::Lapsed => Err(Box::new(lapsed(decision.ask.until))),
    }
}

/// This deployment has no approvals.
pub fn no_approvals(case: &Case<'_>) -> Option<Refusal> {
    (!is_set_up(case)).then(|| approvals_not_set_up(case))
}

/// The trigger is not one through which approvals can be read and given.
pub fn wrong_trigger() -> Refusal {
    Refusal::new(RefusalCode::ApprovalNotAllowed, "only the API and the function URL take requests about approvals")
        .remedy("send the request to the API or the function URL")
}

/// The name of the record that a request is about.
pub fn approval_asked_for(request: &Request) -> Result<AskName, Box<Refusal>> {
    let id = request.approval_id.as_deref().unwrap_or_default();
    AskName::of_id(id).ok_or_else(|| Box::new(approval_not_found(id)))
}
