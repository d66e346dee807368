//! Owns [`ImageDecision`]: what is decided for one image, by the kind of what is asked.

use std::collections::BTreeMap;

use key_policy::Grant;

use super::judged_key::JudgedKey;
use crate::{
    allowlist::Rule,
    domain::{AccountId, ExpiryName, ImageId, KeyArn, SnapshotId, Target},
    facts::{CopyRecord, Expiry, Failure, Image},
    needs::{CopyOrder, NeededGrant},
    outcome::{Finding, Refusal, RefusalCode},
    request::{Action, AskedTarget},
};

/// A target that a rule covers, with that rule; none is needed where a share expires.
pub type Covered<'a> = (&'a AskedTarget, Option<&'a Rule>);

/// A target that this rule covers but for access, roles or duration.
pub type ShortOfTerms<'a> = (&'a AskedTarget, &'a Rule);

/// What is decided for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDecision<'a> {
    /// The image.
    pub image_id: &'a ImageId,
    /// The rule that covers the image, for actions without targets.
    pub rule: Option<&'a Rule>,
    /// The covered targets. Of a target that no rule covers there is a refusal and nothing else.
    pub targets: Vec<Covered<'a>>,
    /// What is decided.
    pub decision: Decision<'a>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// What is decided, one for each kind of action.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision<'a> {
    /// Nothing is done and nothing more is looked at, for these reasons.
    Refused(Vec<Refusal>),
    /// A share.
    Share(Share<'a>),
    /// A share that waits for a copy.
    Await(Await),
    /// Access is taken away, as far as what a share gave is known.
    TakeAway(TakeAway<'a>),
    /// A later record has taken the place of this expiry, which is due: only its own record is deleted.
    Superseded(&'a Expiry),
    /// A list or check changes nothing.
    Look(Look<'a>),
    /// An audit or repair.
    Survey(Survey<'a>),
}

/// The decision about a share.
#[derive(Debug, Clone, PartialEq)]
pub struct Share<'a> {
    /// What the keys say, for the covered targets.
    pub keys: Vec<JudgedKey>,
    /// Whether a key is in a state in which it lets no target in.
    pub has_unusable_key: bool,
    /// Of a share that a rule makes by itself: the targets whose existing shares are left as they are.
    pub left_as_they_are: Vec<Covered<'a>>,
    /// Whether it is made.
    pub verdict: Verdict,
}

/// Whether a share is made.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is, and needs these first.
    Yes(Prerequisites),
    /// It is not, for these reasons.
    No(Vec<Refusal>),
    /// It is not, because this could not be found out.
    Unknown(Vec<Failure>),
}

/// What a share has to make before its launch permissions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prerequisites {
    /// The grants.
    pub grants: Vec<NeededGrant>,
    /// The records of expiries, before anything else.
    pub expiries: Vec<Expiry>,
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
    Wait {
        /// Whether its record is there.
        is_recorded: bool,
        /// The copy to be made, if EC2 is making none.
        order: Option<CopyOrder>,
    },
    /// It waits no longer, for this reason.
    GiveUp(Failure),
}

/// What is taken away.
#[derive(Debug, Clone, PartialEq)]
pub struct TakeAway<'a> {
    /// From whom, as EC2 shows them.
    pub from: Vec<Target>,
    /// Which launch permissions.
    pub launch_permissions: LaunchPermissions,
    /// Of each snapshot the accounts whose entries stay, with the image that needs each. A snapshot that is missing here is
    /// left as it is: what needs its entries could not be found out.
    pub needed_by: BTreeMap<SnapshotId, BTreeMap<AccountId, ImageId>>,
    /// Which records are deleted when the rest is done.
    pub records: Records<'a>,
    /// The shares that wait for a copy and are taken away with it.
    pub waiting: Vec<Withdrawal<'a>>,
    /// What could not be found out and was gone on without, because taking access away is never held up.
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

/// Which launch permissions are taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaunchPermissions {
    /// Theirs.
    Theirs,
    /// All, the public one included.
    All,
}

/// Which records are deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records<'a> {
    /// None: something may remain, and only the records say so.
    Keep,
    /// That of the expiry which is due; the others have a time of their own.
    Own(&'a Expiry),
    /// These, and then everything is taken away once more: a share that crosses this may have found such a record and given
    /// it again, and nothing would end that share any more.
    AllOf(Vec<&'a Expiry>),
}

/// What a list or check comes upon.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Look<'a> {
    /// The targets that a rule covers but for its terms. Their keys are judged by it all the same; the refusal stands beside.
    pub short_of_terms: Vec<ShortOfTerms<'a>>,
    /// What the keys say, for the covered targets and those.
    pub keys: Vec<JudgedKey>,
    /// Whether a key is in a state in which it lets no target in.
    pub has_unusable_key: bool,
    /// What a share would be refused for, and the targets that no rule covers.
    pub refusals: Vec<Refusal>,
    /// What could not be found out.
    pub gaps: Vec<Failure>,
}

/// What an audit or repair comes upon.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Survey<'a> {
    /// Everything that is not as it should be,
    pub findings: Vec<Finding>,
    /// of that the grants for shares that aren't there,
    pub orphaned: Vec<OrphanedGrant<'a>>,
    /// and the records that are overdue: also those of renewed shares, which are only deleted.
    pub overdue: Vec<ExpiryName>,
    /// What another try may tell.
    pub gaps: Vec<Failure>,
}

/// A grant of ours for a share that isn't there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanedGrant<'a> {
    /// The key.
    pub key: &'a KeyArn,
    /// The grant.
    pub grant: &'a Grant,
    /// Its Name.
    pub name: &'a str,
    /// The account it was made for.
    pub account: AccountId,
}

impl<'a> ImageDecision<'a> {
    /// Every reason why not.
    pub fn refusals(&self) -> &[Refusal] {
        match &self.decision {
            Decision::Refused(refusals)
            | Decision::Share(Share { verdict: Verdict::No(refusals), .. })
            | Decision::Look(Look { refusals, .. }) => refusals,
            Decision::Share(_)
            | Decision::Await(_)
            | Decision::TakeAway(_)
            | Decision::Superseded(_)
            | Decision::Survey(_) => &[],
        }
    }

    /// What could not be found out.
    pub fn gaps(&self) -> &[Failure] {
        match &self.decision {
            Decision::Share(Share { verdict: Verdict::Unknown(gaps), .. })
            | Decision::TakeAway(TakeAway { gaps, .. })
            | Decision::Look(Look { gaps, .. })
            | Decision::Survey(Survey { gaps, .. }) => gaps,
            Decision::Await(Await { next: Next::GiveUp(failure), .. }) => std::slice::from_ref(failure),
            Decision::Share(_) | Decision::Await(_) | Decision::Refused(_) | Decision::Superseded(_) => &[],
        }
    }

    /// What the keys say, for the covered targets.
    pub fn keys(&self) -> &[JudgedKey] {
        match &self.decision {
            Decision::Share(Share { keys, .. })
            | Decision::Await(Await { keys, .. })
            | Decision::Look(Look { keys, .. }) => keys,
            Decision::Refused(_) | Decision::TakeAway(_) | Decision::Superseded(_) | Decision::Survey(_) => &[],
        }
    }

    /// Whether a key is in a state in which it lets no target in.
    pub fn has_unusable_key(&self) -> bool {
        match &self.decision {
            Decision::Share(Share { has_unusable_key, .. })
            | Decision::Await(Await { has_unusable_key, .. })
            | Decision::Look(Look { has_unusable_key, .. }) => *has_unusable_key,
            Decision::Refused(_) | Decision::TakeAway(_) | Decision::Superseded(_) | Decision::Survey(_) => false,
        }
    }

    /// The share that waits for a copy.
    pub fn awaiting(&self) -> Option<&Await> {
        match &self.decision {
            Decision::Await(awaiting) => Some(awaiting),
            Decision::Share(_)
            | Decision::Refused(_)
            | Decision::TakeAway(_)
            | Decision::Superseded(_)
            | Decision::Look(_)
            | Decision::Survey(_) => None,
        }
    }

    /// The targets of a check that a rule covers but for its terms.
    pub fn short_of_terms(&self) -> &[ShortOfTerms<'a>] {
        match &self.decision {
            Decision::Look(look) => &look.short_of_terms,
            Decision::Refused(_)
            | Decision::Share(_)
            | Decision::Await(_)
            | Decision::TakeAway(_)
            | Decision::Superseded(_)
            | Decision::Survey(_) => &[],
        }
    }

    /// Whether a share of the image with this target would be accepted as asked.
    pub fn accepts(&self, image: &Image, target: &Target) -> bool {
        let is_about_it = |refusal: &Refusal| match &refusal.target {
            Some(other) => other == target,
            // Who is there already takes no room.
            None => refusal.code != RefusalCode::QuotaExceeded || !image.is_shared_with(target),
        };
        !self.refusals().iter().any(is_about_it)
    }

    /// What is made before launch permissions, of a share that is made.
    pub fn prerequisites(&self) -> Option<&Prerequisites> {
        match &self.decision {
            Decision::Share(Share { verdict: Verdict::Yes(prerequisites), .. }) => Some(prerequisites),
            Decision::Share(_)
            | Decision::Refused(_)
            | Decision::Await(_)
            | Decision::TakeAway(_)
            | Decision::Superseded(_)
            | Decision::Look(_)
            | Decision::Survey(_) => None,
        }
    }

    /// The targets whose existing shares are left as they are.
    pub fn left_as_they_are(&self) -> &[Covered<'a>] {
        match &self.decision {
            Decision::Share(share) => &share.left_as_they_are,
            Decision::Refused(_)
            | Decision::Await(_)
            | Decision::TakeAway(_)
            | Decision::Superseded(_)
            | Decision::Look(_)
            | Decision::Survey(_) => &[],
        }
    }

    /// The result of an audit or repair.
    pub fn survey(&self) -> Option<&Survey<'a>> {
        match &self.decision {
            Decision::Survey(survey) => Some(survey),
            Decision::Refused(_)
            | Decision::Share(_)
            | Decision::Await(_)
            | Decision::TakeAway(_)
            | Decision::Superseded(_)
            | Decision::Look(_) => None,
        }
    }

    /// Whether a refusal keeps the requester from learning anything of the image.
    pub fn blocks_reading(&self) -> bool {
        blocks_reading(self.refusals())
    }

    /// Whether a refusal of this image refuses the request: a share is decided as a whole. Looking and taking access
    /// away go image by image.
    pub fn refuses_whole(&self, action: Action) -> bool {
        match action {
            Action::Share => !self.refusals().is_empty(),
            // A check lists what a share would meet, but for what no share can ask.
            Action::List | Action::Check => {
                self.refusals().iter().any(|refusal| refusal.code == RefusalCode::MalformedRequest)
            }
            Action::Revoke | Action::Reset | Action::Audit | Action::Repair => false,
        }
    }
}

/// Whether one of these keeps the requester from learning anything of the image.
pub(super) fn blocks_reading(refusals: &[Refusal]) -> bool {
    refusals.iter().any(|refusal| {
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
