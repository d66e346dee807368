//! Owns [`Judgements`]: what was judged of a key and a target in one request, and that time may run out meanwhile.
//!
//! Images share keys, and a key policy has up to 32 KB: each policy is judged for each target once, however many images
//! are behind it.

use std::{cell::RefCell, collections::BTreeMap, fmt};

use key_policy::{Because, KeyAccess, KeyUse};

use super::backing_key::BackingKey;
use crate::{
    domain::{KeyArn, Target},
    facts::{Failure, Reading},
    needs::NeededGrant,
    outcome::ErrorCode,
};

/// By which grants a key is judged, beside its policy.
#[derive(Debug, Clone, Copy)]
pub(super) enum By<'a> {
    /// By none.
    Policy,
    /// By those that were read.
    All,
    /// By this one, as if it were there.
    Made(&'a NeededGrant),
}

/// Key, target, use and grants.
type Subject = (KeyArn, Target, String, &'static str);

/// What was judged so far.
pub struct Judgements<'a> {
    is_over: &'a dyn Fn() -> bool,
    made: RefCell<BTreeMap<Subject, KeyAccess>>,
}

impl fmt::Debug for Judgements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judgements").field("made", &self.count()).finish_non_exhaustive()
    }
}

impl<'a> Judgements<'a> {
    /// None yet; `is_over` says when no more may be made.
    pub fn until(is_over: &'a dyn Fn() -> bool) -> Self {
        Self { is_over, made: RefCell::default() }
    }

    /// How many were made.
    pub fn count(&self) -> usize {
        self.made.borrow().len()
    }

    /// Judges a key for a target, or says what was judged before.
    pub(super) fn of(&self, key: &BackingKey<'_>, target: &Target, key_use: &KeyUse, by: By<'_>) -> Reading<KeyAccess> {
        let by = if matches!(by, By::All) && key.has_no_grants() { By::Policy } else { by };
        let subject = (key.arn.clone(), target.clone(), name(key_use), by.name());
        let known = self.made.borrow().get(&subject).cloned();
        if let Some(access) = known {
            return Ok(by.named(access, key));
        }
        if (self.is_over)() {
            return Err(out_of_time(key.arn));
        }
        let access = match by {
            By::Policy => key.judge(&[], target, key_use),
            By::All => key.judge_by_all(target, key_use),
            By::Made(grant) => key.judge(&[grant.as_made(key.case.account)], target, key_use),
        };
        self.made.borrow_mut().insert(subject, access.clone());
        Ok(by.named(access, key))
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

    /// The answer with the grant by which it was judged, as KMS knows it. Grants of one kind for different images differ by
    /// their Names and IDs only, which change no verdict; one that is not there has no ID and is not among the reasons.
    fn named(self, mut access: KeyAccess, key: &BackingKey<'_>) -> KeyAccess {
        let Self::Made(needed) = self else { return access };
        let there = needed.among(key.known_grants(), key.case.account);
        access.because.retain_mut(|because| match (because, there) {
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

fn name(key_use: &KeyUse) -> String {
    match key_use {
        KeyUse::Launch => "launch".to_owned(),
        KeyUse::Copy => "copy".to_owned(),
        KeyUse::ServiceLinkedRole(role) => format!("role {role}"),
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
