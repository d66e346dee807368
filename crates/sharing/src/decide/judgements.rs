//! Owns [`Judgements`]: the judgements of a request, each made once, and the time limit for them.
//!
//! Images share keys, and a key policy has up to 32 KB. So each key is judged once for each target, however many images
//! have it.

use std::{cell::RefCell, collections::BTreeMap, fmt, sync::Arc};

use key_policy::{Because, Grant, JudgeOfKey, KeyAccess, KeyUse, Verdict};

use super::backing_key::BackingKey;
use crate::{
    domain::{KeyArn, Target},
    facts::{Failure, Reading},
    needs::NeededGrant,
    outcome::ErrorCode,
};

/// The grants by which a key is judged, besides its policy.
#[derive(Debug, Clone, Copy)]
pub(super) enum By<'a> {
    /// No grants.
    Policy,
    /// The grants that were read.
    All,
    /// This grant, as if it existed.
    Made(&'a NeededGrant),
}

/// The target, the use and the grants by which a key is judged.
type Subject = (Target, KeyUse, &'static str);

/// The judgements so far.
pub struct Judgements<'a> {
    is_over: &'a dyn Fn() -> bool,
    made: RefCell<BTreeMap<KeyArn, BTreeMap<Subject, Arc<KeyAccess>>>>,
    judges: RefCell<BTreeMap<KeyArn, JudgeOfKey>>,
}

impl fmt::Debug for Judgements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judgements").field("made", &self.count()).finish_non_exhaustive()
    }
}

impl<'a> Judgements<'a> {
    /// No judgements; `is_over` says whether the time for more is over.
    pub fn until(is_over: &'a dyn Fn() -> bool) -> Self {
        Self { is_over, made: RefCell::default(), judges: RefCell::default() }
    }

    /// Forgets every judgement: what they were made from is read anew.
    pub fn forget(&self) {
        self.made.borrow_mut().clear();
        self.judges.borrow_mut().clear();
    }

    /// The number of judgements.
    pub fn count(&self) -> usize {
        self.made.borrow().values().map(BTreeMap::len).sum()
    }

    /// Judges a key for a target, or returns an earlier judgement.
    pub(super) fn of(
        &self,
        key: &BackingKey<'_>,
        target: &Target,
        key_use: &KeyUse,
        by: By<'_>,
    ) -> Reading<Arc<KeyAccess>> {
        if matches!(by, By::All) && key.known_grants().is_empty() {
            return self.without_grants(key, target, key_use);
        }
        let subject = (target.clone(), key_use.clone(), by.name());
        let known = self.made.borrow().get(key.arn).and_then(|made| made.get(&subject)).cloned();
        if let Some(access) = known {
            return Ok(by.named(access, key));
        }
        if (self.is_over)() {
            return Err(out_of_time(key.arn));
        }
        let access = match by {
            By::Policy => self.judge(key, &[], target, key_use),
            By::All => self.judge(key, key.known_grants(), target, key_use),
            By::Made(grant) => self.judge(key, &[grant.as_made(key.case.account)], target, key_use),
        };
        self.made.borrow_mut().entry(key.arn.clone()).or_default().insert(subject, Arc::clone(&access));
        Ok(by.named(access, key))
    }

    /// Judges by the policy, because no grants are known. If they can't be read, the answer for an account that the policy
    /// does not let in is unknown. An organization is judged by the policy alone, because a grant can't name it.
    fn without_grants(&self, key: &BackingKey<'_>, target: &Target, key_use: &KeyUse) -> Reading<Arc<KeyAccess>> {
        let access = self.of(key, target, key_use, By::Policy)?;
        let is_open = matches!(access.verdict, Verdict::Missing | Verdict::Conditional);
        if !is_open || target.account().is_none() {
            return Ok(access);
        }
        let why = |unread| format!("the key policy alone does not let {target} in, and the grants {unread}");
        Ok(key.why_grants_are_unknown().map_or(access, |unread| Arc::new(KeyAccess::unknown(why(unread)))))
    }

    /// Judges by the policy and these grants.
    fn judge(&self, key: &BackingKey<'_>, grants: &[Grant], target: &Target, key_use: &KeyUse) -> Arc<KeyAccess> {
        let policy = match key.policy() {
            Ok(policy) => policy,
            Err(why) => return Arc::new(KeyAccess::unknown(why)),
        };
        let mut judges = self.judges.borrow_mut();
        let judge = judges.entry(key.arn.clone()).or_insert_with(|| JudgeOfKey::new(key.arn, policy));
        judge.access(target, &key.case.allowlist.organization_facts(target), key_use, grants)
    }
}

impl By<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::All => "all",
            Self::Made(_) => "made",
        }
    }

    /// The judgement, with the Name and ID of this grant. Grants of one kind for different images differ only in these,
    /// which do not change the verdict. A grant that does not exist has no ID and is not among the reasons.
    fn named(self, mut access: Arc<KeyAccess>, key: &BackingKey<'_>) -> Arc<KeyAccess> {
        let Self::Made(needed) = self else { return access };
        let there = needed.among(key.known_grants(), key.case.account);
        Arc::make_mut(&mut access).because.retain_mut(|because| match (because, there) {
            (Because::Statement { .. }, _) => true,
            (Because::Grant { .. }, None) => false,
            (Because::Grant { grant_id, grant_name }, Some(there)) => {
                grant_id.clone_from(&there.grant_id);
                grant_name.clone_from(&there.name);
                true
            }
        });
        access
    }
}

fn out_of_time(arn: &KeyArn) -> Failure {
    Failure {
        code: ErrorCode::OutOfTime,
        call: None,
        resource: Some(arn.to_string()),
        message: format!(
            "time ran out before {arn} was judged for every target; ask for fewer images or targets at a time"
        ),
        retryable: true,
    }
}
