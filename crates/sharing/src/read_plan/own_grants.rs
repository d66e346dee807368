//! Owns [`OwnGrants`]: which grants on a key were made for the images that lose access.

use key_policy::Grant;

use crate::{
    decide::{Authority, Case},
    domain::{AccountId, GrantName, ImageId, KeyArn, ServiceLinkedRole},
    needs::GranteeKind,
    request::Action,
};

/// The grants that this account made for shares of these images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnGrants {
    /// The account that made them.
    pub owner: AccountId,
    /// The images of these shares.
    image_ids: Vec<ImageId>,
    /// The accounts of these shares.
    accounts: Vec<AccountId>,
    /// Whether a search by grantee finds all of them.
    pub are_of_grantees: bool,
}

impl OwnGrants {
    /// The grants that this request concerns.
    pub fn new(case: &Case<'_>) -> Self {
        let request = case.request;
        Self {
            owner: case.account,
            image_ids: request.image_ids.clone(),
            accounts: request.targets.iter().filter_map(|asked| asked.target.account()).collect(),
            // A reset learns its targets only from all grants.
            are_of_grantees: request.action == Action::Revoke && !may_be_for_others(case),
        }
    }

    /// Whether the grant is one of them.
    pub fn include(&self, grant: &Grant) -> bool {
        let image = grant.name.as_deref().and_then(GrantName::image_of);
        image.is_some_and(|image| self.image_ids.contains(&image)) && grant.is_issued_by(self.owner)
    }

    /// The grantees of shares on a key, by ARN.
    pub fn grantees(&self, key: &KeyArn) -> Vec<String> {
        let roles = ["autoscaling", "spot", "spotfleet", "ec2fleet"].map(str::parse::<ServiceLinkedRole>);
        let roles = roles.into_iter().flatten().map(GranteeKind::Role);
        let kinds: Vec<_> = [GranteeKind::Account].into_iter().chain(roles).collect();
        self.accounts.iter().flat_map(|account| kinds.iter().map(|kind| kind.arn(key, *account))).collect()
    }
}

/// Whether there may be other grantees than those: roles with suffixes of their own.
fn may_be_for_others(case: &Case<'_>) -> bool {
    let has_suffix = |role: &ServiceLinkedRole| matches!(role, ServiceLinkedRole::AutoScaling { suffix: Some(_) });
    match case.authority {
        // An expiry does not ask the allowlist, so the roles are not known.
        Authority::Expiry(_) => true,
        Authority::Requester(_) => {
            case.allowlist.rules.iter().any(|rule| rule.service_linked_roles.iter().any(has_suffix))
        }
    }
}
