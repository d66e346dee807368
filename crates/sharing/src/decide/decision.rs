//! Owns [`ImageDecision`]: the decision about one image, in a type for each kind of action.

use std::collections::BTreeMap;

use key_policy::Grant;

use super::judged_key::JudgedKey;
use crate::{
    allowlist::Rule,
    domain::{AccountId, ExpiryName, ImageId, KeyArn, SnapshotId, Target},
    facts::{CopyRecord, Expiry, Failure, Image},
    needs::{CopyOrder, NeededGrant, Publication},
    outcome::{AuditRow, Finding, Refusal, RefusalCode},
    request::{Action, AskedTarget},
};

/// A target that a rule covers, with that rule; `None` for an expiry, which needs no rule.
pub type Covered<'a> = (&'a AskedTarget, Option<&'a Rule>);

/// A target of a check that no rule certainly lets the requester share with. The rule is the one by which its keys are judged.
pub type Unshareable<'a> = (&'a AskedTarget, &'a Rule);

/// The decision about one image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDecision<'a> {
    /// The image.
    pub image_id: &'a ImageId,
    /// The rule that covers the image, if the action has no targets.
    pub rule: Option<&'a Rule>,
    /// The covered targets. For a target that no rule covers there is only a refusal.
    pub targets: Vec<Covered<'a>>,
    /// The decision.
    pub decision: Decision<'a>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// A decision, for each kind of action.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision<'a> {
    /// Nothing is done and nothing more is read, for these reasons.
    Refused(Vec<Refusal>),
    /// Nothing is done and nothing more is read: whether a rule covers the image depends on this, which could not be read.
    Unsettled(Failure),
    /// A share.
    Share(Share<'a>),
    /// A share that waits for a copy.
    Await(Await),
    /// A revoke, a reset or an expiry.
    TakeAway(TakeAway<'a>),
    /// This expiry is due, but there is a later record for the share: only its own record is deleted.
    Superseded(&'a Expiry),
    /// A list or check, which changes nothing.
    Look(Look<'a>),
    /// A request for the accounts that use the image.
    Usage(NextReport),
    /// An audit or repair.
    Survey(Survey<'a>),
}

/// The decision about a share.
#[derive(Debug, Clone, PartialEq)]
pub struct Share<'a> {
    /// The judged keys, for the covered targets.
    pub keys: Vec<JudgedKey>,
    /// Whether a key is in a state in which no target can use it.
    pub has_unusable_key: bool,
    /// For a share by a rule with `onAvailable`: the targets whose existing shares do not change.
    pub left_as_they_are: Vec<Covered<'a>>,
    /// Whether the share is made.
    pub verdict: Verdict,
}

/// Whether a share is made.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is made, after these prerequisites.
    Yes(Prerequisites),
    /// It is refused, for these reasons.
    No(Vec<Refusal>),
    /// It is not made, because these facts could not be read.
    Unknown(Vec<Failure>),
}

/// What a share needs besides its permissions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prerequisites {
    /// The grants.
    pub grants: Vec<NeededGrant>,
    /// The records of expiries, which come before everything else.
    pub expiries: Vec<Expiry>,
    /// The parameters that name the image after everything else is done.
    pub publications: Vec<Publication>,
}

/// A share that waits for a copy.
#[derive(Debug, Clone, PartialEq)]
pub struct Await {
    /// What the keys say, for the covered targets.
    pub keys: Vec<JudgedKey>,
    /// Whether a key is in a state in which it lets no target in.
    pub has_unusable_key: bool,
    /// The record by which it waits.
    pub record: Box<CopyRecord>,
    /// What is done now.
    pub next: Next,
}

/// What is done about a share that waits for a copy.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// It waits.
    Wait(Wait),
    /// It waits no longer, for this reason.
    GiveUp(Failure),
}

/// How a share waits for a copy.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wait {
    /// Whether its record is there.
    pub is_recorded: bool,
    /// The record of the same share that has waited for as long as it may, and why it waits no longer: the new one takes its
    /// place.
    pub outlived: Option<(Box<CopyRecord>, Failure)>,
    /// The copy to be made, if EC2 is making none.
    pub order: Option<CopyOrder>,
    /// Where a record of the share was there: the one that is written if a hint deletes that before the copy is begun.
    pub again: Option<Box<CopyRecord>>,
}

/// The access that is removed.
#[derive(Debug, Clone, PartialEq)]
pub struct TakeAway<'a> {
    /// The targets that lose access, as EC2 reports them.
    pub from: Vec<Target>,
    /// Which launch permissions are removed.
    pub launch_permissions: LaunchPermissions,
    /// For each snapshot, the accounts whose create volume permissions stay, with the image that needs each. A snapshot
    /// that is not in this map does not change, because the images that need it could not be read.
    pub needed_by: BTreeMap<SnapshotId, BTreeMap<AccountId, ImageId>>,
    /// Which records are deleted after the rest is done.
    pub records: Records<'a>,
    /// The shares that wait for a copy and are taken away with it.
    pub waiting: Vec<Withdrawal<'a>>,
    /// What could not be read. Access is removed without it, because nothing may prevent that.
    pub gaps: Vec<Failure>,
}

/// A record of a share that waits for a copy, some of whose targets are taken away.
#[derive(Debug, Clone, PartialEq)]
pub struct Withdrawal<'a> {
    /// The record.
    pub record: &'a CopyRecord,
    /// The targets that are taken away.
    pub targets: Vec<Target>,
    /// The record of the other targets, if there are any.
    pub left: Option<CopyRecord>,
}

/// Which launch permissions are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaunchPermissions {
    /// Those of the targets.
    Theirs,
    /// All of them, the public one included.
    All,
}

/// Which records are deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records<'a> {
    /// None: some access may remain, and the records are needed to remove it.
    Keep,
    /// The record of the expiry that is due. Other records have their own times.
    Own(&'a Expiry),
    /// These records. Afterwards, all permissions are removed once more: an overlapping share may have found such a
    /// record and added them again, and that share would never expire.
    AllOf(Vec<&'a Expiry>),
}

/// What a list or check finds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Look<'a> {
    /// The targets that a share would not be allowed for, or for which this is not known. There is a refusal or a gap for each.
    pub unshareable: Vec<Unshareable<'a>>,
    /// The targets of a check, with the rule that covers the check.
    pub checked: Vec<Covered<'a>>,
    /// The judged keys, for the covered targets and those.
    pub keys: Vec<JudgedKey>,
    /// Whether a key is in a state in which no target can use it.
    pub has_unusable_key: bool,
    /// The refusals that a share would get, and those of targets that no rule covers.
    pub refusals: Vec<Refusal>,
    /// What could not be read.
    pub gaps: Vec<Failure>,
}

/// What is done about the next report on an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextReport {
    /// Nothing: the newest report is fresh.
    NotNeeded,
    /// EC2 is making one. It makes one report on an image at a time.
    Awaited,
    /// One is started, with this client token.
    Started {
        /// The same for every request that comes upon the same reports, so that EC2 makes one report for all of them.
        client_token: String,
    },
}

/// What an audit or repair finds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Survey<'a> {
    /// Everything that differs from the allowlist and the records.
    pub findings: Vec<Finding>,
    /// The launch permissions, if they are requested.
    pub rows: Vec<AuditRow>,
    /// Our grants whose shares do not exist.
    pub orphaned: Vec<OrphanedGrant<'a>>,
    /// The overdue records, with those of renewed shares, which are only deleted.
    pub overdue: Vec<ExpiryName>,
    /// What could not be read, but may be read by a retry.
    pub gaps: Vec<Failure>,
}

/// One of our grants, whose share does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanedGrant<'a> {
    /// The key.
    pub key: &'a KeyArn,
    /// The grant.
    pub grant: &'a Grant,
    /// Its Name.
    pub name: &'a str,
    /// The account it was created for.
    pub account: AccountId,
}

/// The refusals of a decision, or `$none`.
macro_rules! refusals_of {
    ($decision:expr, $none:expr) => {
        match $decision {
            Decision::Refused(refusals)
            | Decision::Share(Share { verdict: Verdict::No(refusals), .. })
            | Decision::Look(Look { refusals, .. }) => refusals,
            Decision::Share(_)
            | Decision::Unsettled(_)
            | Decision::Await(_)
            | Decision::TakeAway(_)
            | Decision::Superseded(_)
            | Decision::Usage(_)
            | Decision::Survey(_) => $none,
        }
    };
}

impl<'a> ImageDecision<'a> {
    /// The refusal of an image about which nothing is read.
    pub fn refused(image_id: &'a ImageId, refusals: Vec<Refusal>) -> Self {
        let decision = Decision::Refused(refusals);
        Self { image_id, rule: None, targets: Vec::new(), decision, warnings: Vec::new() }
    }

    /// All refusals.
    pub fn refusals(&self) -> &[Refusal] {
        refusals_of!(&self.decision, &[])
    }

    /// The same, to change them.
    pub(super) fn refusals_mut(&mut self) -> &mut [Refusal] {
        refusals_of!(&mut self.decision, &mut [])
    }

    /// What could not be read.
    pub fn gaps(&self) -> &[Failure] {
        match &self.decision {
            Decision::Share(Share { verdict: Verdict::Unknown(gaps), .. })
            | Decision::TakeAway(TakeAway { gaps, .. })
            | Decision::Look(Look { gaps, .. })
            | Decision::Survey(Survey { gaps, .. }) => gaps,
            Decision::Unsettled(failure) | Decision::Await(Await { next: Next::GiveUp(failure), .. }) => {
                std::slice::from_ref(failure)
            }
            Decision::Share(_)
            | Decision::Await(_)
            | Decision::Refused(_)
            | Decision::Superseded(_)
            | Decision::Usage(_) => &[],
        }
    }

    /// The judged keys, for the covered targets.
    pub fn keys(&self) -> &[JudgedKey] {
        match &self.decision {
            Decision::Share(Share { keys, .. })
            | Decision::Await(Await { keys, .. })
            | Decision::Look(Look { keys, .. }) => keys,
            Decision::Refused(_)
            | Decision::Unsettled(_)
            | Decision::TakeAway(_)
            | Decision::Superseded(_)
            | Decision::Usage(_)
            | Decision::Survey(_) => &[],
        }
    }

    /// Whether a key is in a state in which no target can use it.
    pub fn has_unusable_key(&self) -> bool {
        match &self.decision {
            Decision::Share(Share { has_unusable_key, .. })
            | Decision::Await(Await { has_unusable_key, .. })
            | Decision::Look(Look { has_unusable_key, .. }) => *has_unusable_key,
            Decision::Refused(_)
            | Decision::Unsettled(_)
            | Decision::TakeAway(_)
            | Decision::Superseded(_)
            | Decision::Usage(_)
            | Decision::Survey(_) => false,
        }
    }

    /// The share that waits for a copy.
    pub fn awaiting(&self) -> Option<&Await> {
        match &self.decision {
            Decision::Await(awaiting) => Some(awaiting),
            Decision::Share(_)
            | Decision::Refused(_)
            | Decision::Unsettled(_)
            | Decision::TakeAway(_)
            | Decision::Superseded(_)
            | Decision::Look(_)
            | Decision::Usage(_)
            | Decision::Survey(_) => None,
        }
    }

    /// The targets of a check that a share would not be allowed for, or for which this is not known.
    pub fn unshareable(&self) -> &[Unshareable<'a>] {
        self.look().map_or(&[], |look| &look.unshareable)
    }

    /// The rule that covers the request for a target. Of a check, it is the rule that covers the check, not the share.
    pub fn rule_for(&self, (asked, rule): Covered<'a>) -> Option<&'a Rule> {
        match self.look().map(|look| look.checked.as_slice()) {
            None | Some([]) => rule,
            Some(checked) => checked.iter().find(|(other, _)| *other == asked).and_then(|(_, rule)| *rule),
        }
    }

    fn look(&self) -> Option<&Look<'a>> {
        match &self.decision {
            Decision::Look(look) => Some(look),
            Decision::Refused(_)
            | Decision::Unsettled(_)
            | Decision::Share(_)
            | Decision::Await(_)
            | Decision::TakeAway(_)
            | Decision::Superseded(_)
            | Decision::Usage(_)
            | Decision::Survey(_) => None,
        }
    }

    /// Whether the requested share of the image with this target would be accepted.
    pub fn accepts(&self, image: &Image, target: &Target) -> bool {
        if self.unshareable().iter().any(|(asked, _)| asked.target == *target) {
            return false;
        }
        let is_about_it = |refusal: &Refusal| match &refusal.target {
            Some(other) => other == target,
            // A target that has a launch permission already does not count toward the quota again.
            None => refusal.code != RefusalCode::QuotaExceeded || !image.is_shared_with(target),
        };
        !self.refusals().iter().any(is_about_it)
    }

    /// The prerequisites of a share that is made.
    pub fn prerequisites(&self) -> Option<&Prerequisites> {
        match &self.decision {
            Decision::Share(Share { verdict: Verdict::Yes(prerequisites), .. }) => Some(prerequisites),
            Decision::Share(_)
            | Decision::Refused(_)
            | Decision::Unsettled(_)
            | Decision::Await(_)
            | Decision::TakeAway(_)
            | Decision::Superseded(_)
            | Decision::Look(_)
            | Decision::Usage(_)
            | Decision::Survey(_) => None,
        }
    }

    /// The targets whose existing shares do not change.
    pub fn left_as_they_are(&self) -> &[Covered<'a>] {
        match &self.decision {
            Decision::Share(share) => &share.left_as_they_are,
            Decision::Refused(_)
            | Decision::Unsettled(_)
            | Decision::Await(_)
            | Decision::TakeAway(_)
            | Decision::Superseded(_)
            | Decision::Look(_)
            | Decision::Usage(_)
            | Decision::Survey(_) => &[],
        }
    }

    /// The result of an audit or repair.
    pub fn survey(&self) -> Option<&Survey<'a>> {
        match &self.decision {
            Decision::Survey(survey) => Some(survey),
            Decision::Refused(_)
            | Decision::Unsettled(_)
            | Decision::Share(_)
            | Decision::Await(_)
            | Decision::TakeAway(_)
            | Decision::Superseded(_)
            | Decision::Look(_)
            | Decision::Usage(_) => None,
        }
    }

    /// Whether the request waits for something that continues by itself.
    pub fn is_awaited(&self) -> bool {
        matches!(
            self.decision,
            Decision::Usage(NextReport::Awaited) | Decision::Await(Await { next: Next::Wait(_), .. })
        )
    }

    /// Whether a refusal means that the requester may learn nothing about the image.
    pub fn blocks_reading(&self) -> bool {
        blocks_reading(self.refusals())
    }

    /// Whether the refusal of this image refuses the whole request. This is true for a share. Other actions treat each
    /// image separately.
    pub fn refuses_whole(&self, action: Action) -> bool {
        match action {
            Action::Share => !self.refusals().is_empty(),
            // A check reports the refusals of a share and completes, except if the request itself is wrong.
            Action::List | Action::Check => {
                self.refusals().iter().any(|refusal| refusal.code == RefusalCode::MalformedRequest)
            }
            Action::Revoke
            | Action::Reset
            | Action::Usage
            | Action::Audit
            | Action::Repair
            | Action::Images
            | Action::Approvals
            | Action::Approve
            | Action::Reject => false,
        }
    }

    /// Whether nothing of the request is carried out because of this image: it is refused, or a share lacks a fact.
    pub fn stops_whole(&self, action: Action) -> bool {
        let lacks_fact = matches!(self.decision, Decision::Share(Share { verdict: Verdict::Unknown(_), .. }));
        self.refuses_whole(action) || lacks_fact
    }
}

/// Whether one of these means that the requester may learn nothing about the image. A refusal of
/// a share with one target does not mean that.
pub(super) fn blocks_reading(refusals: &[Refusal]) -> bool {
    refusals.iter().filter(|refusal| refusal.target.is_none()).any(|refusal| {
        matches!(
            refusal.code,
            RefusalCode::RequesterNotAllowed
                | RefusalCode::ActionNotAllowed
                | RefusalCode::ImageNotAllowed
                | RefusalCode::ImageNotFound
                | RefusalCode::ImageNotOwned
                | RefusalCode::TargetNotFound
        )
    })
}
