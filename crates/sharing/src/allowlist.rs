//! Owns the allowlist: who may share which images with whom.
//!
//! [`Allowlist::parse`] reads and validates the document, [`Allowlist::cover`] determines the rule that decides, and
//! [`Memory`] knows how long a copy may be used. All of this is pure. The function's `allowlist_source` fetches the
//! text.

mod criteria;
mod directory;
mod document;
mod duration;
mod location;
mod memory;
mod publish;
mod requester_pattern;
mod review;
mod rules;
mod targets;
mod yaml;

use std::collections::BTreeMap;

pub use criteria::{ImageCriteria, Shortfall};
pub use document::{DocumentFault, InvalidAllowlist, Part};
pub use duration::{parse_duration, written};
pub use key_policy::Pattern;
pub use location::{Location, Profile};
pub use memory::{Loaded, Memory};
pub use publish::{Publish, Unfillable};
pub use requester_pattern::RequesterPattern;
pub use rules::{Ask, Criterion, Terms};
pub use targets::Targets;
use time::Duration;

use crate::{
    domain::{AccountId, KeyArn, Region, ServiceLinkedRole},
    request::{Access, Action},
};

/// A valid document. A request that no rule covers is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Allowlist {
    /// The directory: facts about accounts, which the key check uses. It never widens a rule.
    pub accounts: BTreeMap<AccountId, AccountFacts>,
    /// The rules in document order: the first rule that covers a request decides.
    pub rules: Vec<Rule>,
}

/// What the directory says about an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountFacts {
    /// A name that rules may use in place of the ID.
    pub name: Option<String>,
    /// The ID of its organization, `o-…`.
    pub organization_id: Option<String>,
    /// Its path in the organization, `o-…/r-…/ou-…/`, in the form of `aws:PrincipalOrgPaths`.
    pub organization_path: Option<String>,
}

/// A rule: it allows requesters to do something.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name, which is unique in the document. Outcomes show it.
    pub name: String,
    /// The requesters that it allows.
    pub requesters: Vec<RequesterPattern>,
    /// The actions that it allows.
    pub actions: Vec<Action>,
    /// The images that it covers.
    pub images: Images,
    /// The targets that it covers: exactly these, and not the members of an organization that is named here.
    pub targets: Targets,
    /// The highest access that it allows.
    pub access: Access,
    /// How the keys of encrypted snapshots are checked.
    pub keys: KeyCheck,
    /// The service-linked roles for which a request may ask for grants.
    pub service_linked_roles: Vec<ServiceLinkedRole>,
    /// If set, a share must expire, and within this time.
    pub max_duration: Option<Duration>,
    /// Whether matching images are shared as soon as they become available.
    pub on_available: bool,
    /// The parameter that names the newest image that is shared with all its targets.
    pub publish: Option<Publish>,
    /// Which copies it makes, if any.
    pub copies: Option<Copies>,
    /// Who may approve a share by this rule. If it is empty, shares need no approval.
    pub approvers: Vec<RequesterPattern>,
}

/// The copies that a rule makes of images in other Regions, or of those of this Region under another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copies {
    /// The Regions that the source images may be in.
    pub from: Vec<Region>,
    /// The key that every copy is encrypted with.
    pub key: KeyArn,
    /// How long a share waits for its copy.
    pub within: Duration,
}

/// The images that a rule covers.
#[derive(Debug, Clone, PartialEq)]
pub enum Images {
    /// Every image this account owns.
    All,
    /// Images that meet all criteria. Every image meets an empty criterion.
    Matching {
        /// At least one of these matches the image's name.
        names: Vec<Pattern>,
        /// For each key, at least one of the patterns matches the value of the image's tag.
        tags: BTreeMap<String, Vec<Pattern>>,
        /// What else EC2 must say about the image before access is given.
        criteria: ImageCriteria,
    },
}

/// How the keys of encrypted snapshots are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyCheck {
    /// Refuse unless the key policy or a grant lets the target use the key.
    #[default]
    Verify,
    /// Create a grant if nothing lets the target use the key.
    Grant,
    /// Share and warn.
    Unchecked,
}
