//! Owns [`JudgeOfKey`]: it judges one key for many targets, and once for those that the key policy treats alike.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use super::{
    caller::{OrganizationFacts, Whom},
    calls::Carried,
    document::Policy,
    grants::Grant,
    judge::{Judgement, KeyAccess, Verdict},
    key_use::KeyUse,
    truth::Truth,
};
use crate::domain::{KeyArn, Target};

/// Judges one key for many targets.
#[derive(Debug)]
pub struct JudgeOfKey {
    key: KeyArn,
    policy: Policy,
    carried: Arc<Carried>,
    /// The answers for accounts that the policy alone certainly lets in. Nothing in such an answer names the account.
    let_in: RefCell<BTreeMap<Treatment, Arc<KeyAccess>>>,
}

impl JudgeOfKey {
    /// Judges nothing yet.
    pub fn new(key: &KeyArn, policy: &Policy) -> Self {
        let carried = Arc::new(Carried::by_calls_on(key));
        Self { key: key.clone(), policy: policy.clone(), carried, let_in: RefCell::default() }
    }

    /// The same answer as [`judge`](super::judge) gives.
    pub fn access(
        &self,
        target: &Target,
        organization: &OrganizationFacts,
        key_use: &KeyUse,
        grants: &[Grant],
    ) -> Arc<KeyAccess> {
        let treatment = self.treatment(target, organization, key_use).filter(|_| grants.is_empty());
        let known = treatment.as_ref().and_then(|treatment| self.let_in.borrow().get(treatment).cloned());
        if let Some(known) = known {
            return known;
        }
        let Self { key, policy, carried, .. } = self;
        let judgement = Judgement::by_calls(Arc::clone(carried), key, policy, target, organization, key_use);
        let access = Arc::new(judgement.access(grants));
        if let Some(treatment) = treatment.filter(|_| access.verdict == Verdict::Allowed) {
            self.let_in.borrow_mut().insert(treatment, Arc::clone(&access));
        }
        access
    }

    /// How the policy treats an account; `None` where it may treat every target differently.
    fn treatment(&self, target: &Target, organization: &OrganizationFacts, key_use: &KeyUse) -> Option<Treatment> {
        let (Target::Account(account), KeyUse::Launch | KeyUse::Copy) = (target, key_use) else { return None };
        let partition = self.key.partition();
        let (whole, attaching) = (Whom::whole(*account, partition), Whom::infrastructure(*account, partition));
        let mut about = Vec::new();
        for statement in self.policy.statements() {
            let (for_account, for_attaching) = (statement.is_for(whole), statement.is_for(attaching));
            if (for_account.0, for_attaching.0) == (Truth::False, Truth::False) {
                continue;
            }
            if statement.tells_accounts_apart {
                return None;
            }
            about.push((statement.index, for_account, for_attaching));
        }
        let is_owner = self.key.account() == *account;
        Some(Treatment { is_owner, organization: organization.clone(), about })
    }
}

/// Whether a principal covers a caller, and the condition key that this depends on.
type IsFor = (Truth, Option<&'static str>);

/// Everything by which a policy can tell accounts apart. The statements that name neither the account nor EC2's role in it
/// are left out: they don't apply to any call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Treatment {
    is_owner: bool,
    organization: OrganizationFacts,
    /// The statements about the account: their indexes, and whether they are for the account and for the role.
    about: Vec<(usize, IsFor, IsFor)>,
}
