//! Owns [`JudgedKey`]: what is so now of one key and one target, and what a share would make so. Pure.

use key_policy::{Because, KeyAccess, Verdict};

use crate::{
    domain::{GrantName, ServiceLinkedRole},
    outcome::{GrantState, KeyRow},
};

/// One key, judged for one target.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedKey {
    /// What is so now.
    pub now: KeyRow,
    /// The image's own grant, which is not there and which a share makes, and what is so with it.
    pub with_grant: Option<(GrantName, KeyAccess)>,
    /// The service-linked roles to which a share gives the grants that they lack.
    pub granted_roles: Vec<ServiceLinkedRole>,
}

/// What a row may say of a grant that was not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantPlan {
    /// Nothing: nothing is shared.
    Nothing,
    /// That sharing again would make it. What is there now counts.
    Left,
    /// That it is planned. It counts.
    Counted,
    /// That it is there now.
    Made,
}

impl JudgedKey {
    /// What is so now, by the policy and the grants that were read.
    pub(super) fn new(mut now: KeyRow) -> Self {
        now.grant = has_grant(&now.access).then_some(GrantState::Present);
        Self { now, with_grant: None, granted_roles: Vec::new() }
    }

    /// The row to show, where this became of the target's grant and of those of its roles.
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
                row.access = access.clone();
            }
            row.grant = grant;
            row.access.notes.splice(0..0, note);
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
