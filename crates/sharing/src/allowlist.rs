//! Owns the allowlist: who may share which images with whom.
//!
//! [`Allowlist::parse`] reads and validates the document, [`Allowlist::cover`] decides by it, and [`Memory`] knows how
//! long a copy may be used. All of that is pure; `source`, behind the feature `aws`, fetches the text.

mod criteria;
mod directory;
mod document;
mod duration;
mod location;
mod memory;
mod requester_pattern;
mod review;
mod rules;
mod yaml;

use std::collections::BTreeMap;

pub use criteria::{ImageCriteria, Shortfall};
pub use document::{DocumentFault, InvalidAllowlist, Part};
pub use duration::{parse_duration, written};
pub use key_policy::Pattern;
pub use location::{Location, Profile};
pub use memory::{Loaded, Memory};
pub use requester_pattern::RequesterPattern;
pub use rules::{Ask, Criterion, Terms};
use time::Duration;

use crate::{
    domain::{AccountId, KeyArn, Region, ServiceLinkedRole, Target},
    request::{Access, Action},
};

/// A document that is in order. What no rule covers is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Allowlist {
    /// The directory: facts about accounts that the key check may use. It never widens a rule.
    pub accounts: BTreeMap<AccountId, AccountFacts>,
    /// The rules in document order: the first that covers decides.
    pub rules: Vec<Rule>,
}

/// What the directory knows of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountFacts {
    /// A name that rules may use for the id.
    pub name: Option<String>,
    /// The organization it is a member of, `o-…`.
    pub organization_id: Option<String>,
    /// Its place there, `o-…/r-…/ou-…/`, as `aws:PrincipalOrgPaths` has it.
    pub organization_path: Option<String>,
}

/// One permission.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name, unique in the document and shown in outcomes.
    pub name: String,
    /// Who may ask.
    pub requesters: Vec<RequesterPattern>,
    /// What they may ask.
    pub actions: Vec<Action>,
    /// About which images.
    pub images: Images,
    /// For whom: exactly these, never the members of an organization named here.
    pub targets: Vec<Target>,
    /// The most it may ask for.
    pub access: Access,
    /// How the keys of encrypted snapshots are dealt with.
    pub keys: KeyCheck,
    /// The service-linked roles it may ask grants for.
    pub service_linked_roles: Vec<ServiceLinkedRole>,
    /// Where set, shares must end, and no later than this from now.
    pub max_duration: Option<Duration>,
    /// Whether matching images are shared as soon as they become available.
    pub on_available: bool,
    /// Which copies it makes, if any.
    pub copies: Option<Copies>,
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

/// Which images a rule is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Images {
    /// Every image this account owns.
    All,
    /// Those that meet all criteria; an empty criterion is met by all.
    Matching {
        /// One of these matches the image's name.
        names: Vec<Pattern>,
        /// For every key here, one of the patterns matches the value of the image's tag.
        tags: BTreeMap<String, Vec<Pattern>>,
        /// What else EC2 must say of the image where access is given.
        criteria: ImageCriteria,
    },
}

/// How the keys of encrypted snapshots are dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyCheck {
    /// Refuse unless the key policy or a grant lets the target in.
    #[default]
    Verify,
    /// Create a grant where nothing lets the target in.
    Grant,
    /// Share and warn.
    Unchecked,
}
