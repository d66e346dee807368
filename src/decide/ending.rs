//! Owns when shares end: what a share does to an end that is there, and who may bring it forward.
//!
//! An existing end is only moved later; ending a share that had no end, or ending it earlier, takes access away, and so
//! needs the right to revoke.

use time::OffsetDateTime;

use super::{ImageDecision, Question, covering_rule_for, refusals};
use crate::{
    domain::{ScheduleName, Target, shown},
    facts::{End, Image},
    outcome::{Code, Refusal},
    request::{Action, AskedTarget},
};

/// An end that a share has to write down before it gives anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededEnd {
    /// The end and everything its schedule has to remember.
    pub end: End,
    /// Whether the schedule is there already, with another time.
    pub replaces: bool,
}

/// Decides about the ends of the covered targets.
pub(super) fn check(question: &Question<'_>, image: &Image, decision: &mut ImageDecision<'_>) {
    let Some(expires_at) = question.request.expires_at else {
        return tell_existing(question, image, decision);
    };
    if !question.can_end_shares {
        let message = "this deployment has no schedule group, so a share could not be ended";
        let refusal = refusals::image(Code::ExpiryNotPossible, decision.image_id, message)
            .remedy("set AMI_SHARE_SCHEDULE_GROUP and AMI_SHARE_SCHEDULE_ROLE_ARN, or leave `expiresAt` out");
        decision.refusals.push(Refusal { pointer: Some("/expiresAt".to_owned()), ..refusal });
        return;
    }
    let ends = match &image.ends {
        Ok(ends) => ends,
        // `observe` fails before this; nothing is given without knowing.
        Err(error) => return decision.gaps.push(error.clone()),
    };
    let covered: Vec<_> = decision.targets.iter().filter(|(_, rule)| rule.is_some()).map(|(asked, _)| *asked).collect();
    for asked in covered {
        let name = ScheduleName::new(decision.image_id, &asked.target);
        let existing = ends.get(&name);
        let is_shared = image.is_shared_with(&asked.target);
        let is_earlier = match existing {
            // The record of a share that is gone binds nobody.
            _ if !is_shared => false,
            Some(end) if seconds(end.at) == seconds(expires_at) => continue,
            Some(end) => expires_at < end.at,
            None => true,
        };
        if is_earlier && !may_revoke(question, image, &asked.target) {
            decision.refusals.push(earlier(question, decision, asked, existing));
            continue;
        }
        let snapshots = image.snapshots.iter().flatten();
        decision.ends.push(NeededEnd {
            end: End {
                name,
                at: expires_at,
                image_id: decision.image_id.clone(),
                target: asked.target.clone(),
                snapshot_ids: snapshots.map(|snapshot| snapshot.id.clone()).collect(),
                key_arns: image.keys().into_iter().cloned().collect(),
            },
            replaces: existing.is_some(),
        });
    }
}

/// A share without an end leaves an existing one as it is, and says so.
fn tell_existing(question: &Question<'_>, image: &Image, decision: &mut ImageDecision<'_>) {
    if question.request.action != Action::Share {
        return;
    }
    match &image.ends {
        Err(_) => decision.warnings.push(format!(
            "whether the shares of {} end by themselves could not be read; an end that is there stays",
            decision.image_id
        )),
        Ok(ends) => {
            for (asked, _) in &decision.targets {
                if let Some(end) = ends.get(&ScheduleName::new(decision.image_id, &asked.target)) {
                    decision.warnings.push(format!(
                        "the share of {} with {} ends at {}, which this request does not change",
                        decision.image_id,
                        asked.target,
                        shown(end.at)
                    ));
                }
            }
        }
    }
}

fn may_revoke(question: &Question<'_>, image: &Image, target: &Target) -> bool {
    covering_rule_for(Action::Revoke, question, image, target).is_ok()
}

fn earlier(
    question: &Question<'_>,
    decision: &ImageDecision<'_>,
    asked: &AskedTarget,
    existing: Option<&End>,
) -> Refusal {
    let message = match existing {
        Some(end) => format!("the share with {} ends at {}; an end is only moved later", asked.target, shown(end.at)),
        None => format!("the share with {} has no end; giving it one takes access away", asked.target),
    };
    let action = question.request.action;
    refusals::pair(Code::ExpiryNotAllowed, decision.image_id, asked, message)
        .remedy(format!("ask for a rule that allows `revoke` beside `{action}`, or give a later `expiresAt`"))
}

/// Scheduler knows seconds and no parts of them.
fn seconds(time: OffsetDateTime) -> i64 {
    time.unix_timestamp()
}
