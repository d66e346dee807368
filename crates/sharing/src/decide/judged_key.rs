//! Owns [`JudgedKey`]: whether a target can use a key now, and whether it can after a share. Pure.

use std::sync::Arc;

use key_policy::{Because, KeyAccess, Verdict};

use crate::{
    domain::{GrantName, ServiceLinkedRole},
    outcome::{GrantState, KeyRow},
};

/// The judgement of one key for one target.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedKey {
    /// The judgement of the current policy and grants.
    pub now: KeyRow,
    /// The image's own grant, if it does not exist and a share creates it; and the judgement with it.
    pub with_grant: Option<(GrantName, Arc<KeyAccess>)>,
    /// The service-linked roles for which a share creates grants.
    pub granted_roles: Vec<ServiceLinkedRole>,
}

/// How a row shows a grant that did not exist before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantPlan {
    /// Not at all, because nothing is shared.
    Nothing,
    /// As one that sharing again would create. The judgement is that without it.
    Left,
    /// As planned. The judgement is that with it.
    Counted,
    /// As created. The judgement is that with it.
    Made,
}

impl JudgedKey {
    /// The judgement of the policy and the grants that were read.
    pub(super) fn new(mut now: KeyRow) -> Self {
        now.grant = has_grant(&now.access).then_some(GrantState::Present);
        Self { now, with_grant: None, granted_roles: Vec::new() }
    }

    /// The row, given how the grants of the target and of its roles are shown.
    pub fn row(&self, of_account: GrantPlan, of_role: impl Fn(&ServiceLinkedRole) -> GrantPlan) -> KeyRow {
        let mut row = self.now.clone();
        if let Some((name, access)) = &self.with_grant {
            let own = format!("the image's own grant `{name}`");
            let (grant, note) = match of_account {
                GrantPlan::Nothing => (row.grant, None),
                GrantPlan::Left => {
                    (Some(GrantState::Planned), Some(format!("sharing again makes {own}, which lets the target in")))
                }
                GrantPlan::Counted => (Some(GrantState::Planned), Some(format!("by {own}, which a share makes"))),
                GrantPlan::Made => (Some(GrantState::Present), Some(format!("by {own}, which the share made"))),
            };
            if matches!(of_account, GrantPlan::Counted | GrantPlan::Made) {
                row.access = Arc::clone(access);
            }
            row.grant = grant;
            if let Some(note) = note {
                Arc::make_mut(&mut row.access).notes.insert(0, note);
            }
        }
        for role in row.roles.iter_mut().filter(|row| self.granted_roles.contains(&row.role)) {
            if matches!(of_role(&role.role), GrantPlan::Counted | GrantPlan::Made) {
                role.verdict = Verdict::Allowed;
                role.remedy = None;
            }
        }
        row
    }
}

fn has_grant(access: &KeyAccess) -> bool {
    access.because.iter().any(|because| matches!(because, Because::Grant { .. }))
}
