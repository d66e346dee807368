//! Owns the read plan: what must be read before anything is decided. Pure: it follows from the case and from what is
//! known so far. It says what to read, so that `observe` need not know why.
//!
//! First the images are described ([`first`]), and the sources of copies, if a rule depends on them
//! ([`sources_of_copies`]). Then more is read about the images that the requester may ask about, and about no others
//! ([`further`]).

mod catalogue;
mod copies;
mod named_images;
mod own_grants;
mod parameters;
mod records;
mod remembered;
mod sources;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

pub use copies::{CopyReads, WaitingReads, copies, snapshots_of_copies, to_be_copied, waiting, waiting_beside};
pub use named_images::{NamedImages, named_by_grants};
pub use own_grants::OwnGrants;
pub use parameters::{NamedReads, ParameterReads};
pub use records::RecordReads;
pub use remembered::{Expectation, Remembered};
pub use sources::{Sources, sources_of_copies, sources_of_uncovered};
pub use usage::{UsageReads, reports_to_open};

use crate::{
    collected::into_map,
    decide::{self, Authority, Case, Judgements},
    domain::{AccountId, ImageId, KeyArn},
    facts::{Expiry, Fact, Facts, Image, ImageState, Reading},
    request::{Access, Action, PageToken},
};

/// The number of pages of grants that an audit reads for the images that it handles together. At five calls a second, that
/// takes half a minute. The keys share it equally: a key that has more pages is not judged, and the others are.
const SURVEYED_PAGES: usize = 150;

/// The number of pages that an audit may read for each key, however many keys there are.
const FEWEST_PAGES: usize = 3;

/// Whether something is read, and what happens if it can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Need {
    /// It is not read.
    #[default]
    No,
    /// It is read. A failure is a fact, and the decision is made without the answer.
    Optional,
    /// It is read. A failure ends the request if a retry may succeed; otherwise it is a fact.
    Settled,
    /// It is read. A failure ends the request, because nothing can be decided without the answer.
    Required,
}

impl Need {
    /// Whether it is read.
    pub fn is_read(self) -> bool {
        self != Self::No
    }

    /// The fact that was read, or the failure that ends the request.
    pub fn settle<T>(self, read: Reading<T>) -> Reading<Fact<T>> {
        match (self, read) {
            (Self::Required, Err(failure)) => Err(failure),
            (Self::Settled, Err(failure)) if failure.retryable => Err(failure),
            (Self::No | Self::Optional | Self::Settled | Self::Required, read) => Ok(read.into()),
        }
    }
}

/// What is read first.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstReads<'a> {
    /// The images that are described. If this fails, nothing is decided.
    pub images: Described<'a>,
    /// The records that are read before the images are described.
    pub records: BTreeMap<ImageId, RecordReads>,
    /// What is done about an image that EC2's search does not find.
    pub if_not_found: IfNotFound<'a>,
}

/// Which images are described.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Described<'a> {
    /// Those that the request names.
    Named(&'a [ImageId]),
    /// A page of this account's images.
    Owned {
        /// What their name must match, with IAM's wildcards.
        name: Option<&'a str>,
        /// The page; `None` for the first page.
        page: Option<&'a PageToken>,
        /// The number of images on it.
        size: usize,
    },
    /// A page of this account's images that are shared with an account.
    SharedWith {
        /// That account.
        account: AccountId,
        /// The page; `None` for the first page.
        page: Option<&'a PageToken>,
    },
}

impl<'a> Described<'a> {
    /// The images that the request names.
    pub fn named(self) -> &'a [ImageId] {
        match self {
            Self::Named(image_ids) => image_ids,
            Self::Owned { .. } | Self::SharedWith { .. } => &[],
        }
    }
}

/// What is done about an image that EC2's search does not find.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IfNotFound<'a> {
    /// Nothing more is read.
    Leave,
    /// EC2 is asked for the image by its ID. If it does not exist, this record names its snapshots and keys; if it does
    /// exist, the request fails.
    OfExpiry(&'a Expiry),
    /// EC2 is asked for the image by its ID. If it does not exist, its records name its keys; if it does exist, the
    /// image is left out.
    OfRecords,
}

/// What is read after the images are described.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadPlan {
    /// What is read about each image. Nothing more is read about other images.
    pub images: BTreeMap<ImageId, ImageReads>,
    /// The records of their shares.
    pub records: BTreeMap<ImageId, RecordReads>,
    /// Whether the records are read before anything else, because they may make the rest unnecessary.
    pub is_records_first: bool,
    /// Whether to find the account's other images on these snapshots, and to read who may launch them.
    pub needed_by: Need,
    /// What is read about the keys of the snapshots.
    pub keys: KeyReads,
    /// Whether block public access for AMIs is on in this Region.
    pub blocks_public_images: Need,
    /// The parameters to which rules publish the images.
    pub parameters: ParameterReads,
    /// The reports on the accounts that use them.
    pub usage: UsageReads,
}

/// What is read about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImageReads {
    /// Who may launch it.
    pub launch_permissions: Need,
    /// Its snapshots, and the keys of those.
    pub snapshots: Need,
    /// What happens if EC2 does not describe one of them.
    pub each_snapshot: Need,
    /// Who may create volumes from the snapshots that this account owns.
    pub create_volume_permissions: Need,
}

/// What is read about a key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeyReads {
    /// The kind and the state of the key.
    pub metadata: Need,
    /// The policy of a key of this account. Other accounts' key policies can't be read.
    pub policy: Need,
    /// The grants on a key of this account.
    pub grants: GrantReads,
}

/// Which grants on a key are read.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum GrantReads {
    /// None.
    #[default]
    No,
    /// The grants of some grantees, which are known after the key is read: see [`grantees`].
    OfGrantees(Need),
    /// Every grant.
    Every {
        /// The number of pages for all keys together.
        pages: usize,
        /// The minimum number of pages for each key.
        fewest: usize,
        /// What happens if a key has more pages.
        need: Need,
    },
    /// The grants that this function made for the images. A failure is a fact.
    Own(OwnGrants),
}

/// What is read first.
pub fn first<'a>(case: &Case<'a>) -> FirstReads<'a> {
    let request = case.request;
    let page = request.page.as_ref();
    let images = match request.shared_with {
        Some(account) => Described::SharedWith { account, page },
        None if request.action == Action::Images => {
            Described::Owned { name: request.name.as_deref(), page, size: catalogue::page_size(case) }
        }
        None => Described::Named(&request.image_ids),
    };
    let (is_survey, if_not_found) = match case.authority {
        Authority::Expiry(expiry) => (false, IfNotFound::OfExpiry(expiry)),
        Authority::Requester(_) if request.action.surveys() => (true, IfNotFound::OfRecords),
        Authority::Requester(_) => (false, IfNotFound::Leave),
    };
    // Images that are named only by a record are audited, too: the record may have outlived its image.
    let remembering = images.named().iter().filter(|_| is_survey);
    let records = into_map(remembering.map(|id| (id.clone(), RecordReads::new(case, id))));
    FirstReads { images, records, if_not_found }
}

/// What is read about the described images: what the action needs, for the images that the requester may ask about.
pub fn further(case: &Case<'_>, facts: &Facts) -> ReadPlan {
    let action = case.request.action;
    let permitted = decide::permitted(case, &facts.images);
    let ids: Vec<_> = permitted.iter().collect();
    let parameters = ParameterReads::new(case, &facts.images, &ids);
    let permitted = || permitted.iter().filter_map(|id| facts.images.get_key_value(id));
    let usage = UsageReads::new(case, permitted());
    if action == Action::Usage {
        return ReadPlan { usage, ..ReadPlan::default() };
    }
    let unread_records = permitted().filter(|(_, image)| !image.expiries.is_read());
    let records = into_map(unread_records.map(|(id, _)| (id.clone(), RecordReads::new(case, id))));
    let is_check = action == Action::Check && permitted().next().is_some();
    ReadPlan {
        images: into_map(permitted().map(|(id, image)| (id.clone(), image_reads(case, id, image)))),
        // If the expiry time is too near, the records alone may decide.
        is_records_first: decide::is_near(case.request, case.now) && !records.is_empty(),
        records,
        needed_by: if action.takes_away() || action.surveys() { Need::Optional } else { Need::No },
        keys: key_reads(case),
        blocks_public_images: if is_check { Need::Optional } else { Need::No },
        parameters,
        usage,
    }
}

/// What is read about one image. A failed read never prevents that access is removed.
fn image_reads(case: &Case<'_>, image_id: &ImageId, image: &Image) -> ImageReads {
    let action = case.request.action;
    let is_available = image.state == ImageState::Available;
    let (launch_permissions, snapshots, create_volume_permissions) = match action {
        Action::Share if case.request.access == Access::Copy => (Need::Required, Need::Required, Need::Required),
        Action::Share => (Need::Required, Need::Required, Need::No),
        Action::List | Action::Check => (Need::Required, Need::Required, Need::Optional),
        Action::Revoke | Action::Reset => (Need::Optional, Need::Optional, Need::Optional),
        Action::Audit | Action::Repair => (Need::Optional, Need::Required, Need::Optional),
        Action::Usage | Action::Images | Action::Approvals | Action::Approve | Action::Reject => {
            (Need::No, Need::No, Need::No)
        }
    };
    let reads = ImageReads {
        launch_permissions,
        snapshots,
        each_snapshot: if action.is_about_sharing() && is_available { Need::Required } else { Need::Optional },
        create_volume_permissions,
    };
    // If the image can't be shared, only its launch permissions are read.
    let is_refused = action == Action::Share
        && (!is_available || decide::is_refused_by_time(case, image_id, image.expiries.known()));
    match image.state {
        // The snapshots of a deregistered image may have been deleted too.
        ImageState::Deregistered | ImageState::Awaited(_) => {
            ImageReads { launch_permissions: Need::No, each_snapshot: Need::No, ..reads }
        }
        ImageState::Available | ImageState::Pending | ImageState::Disabled | ImageState::Other(_) if is_refused => {
            ImageReads { launch_permissions, ..ImageReads::default() }
        }
        ImageState::Available | ImageState::Pending | ImageState::Disabled | ImageState::Other(_) => reads,
    }
}

fn key_reads(case: &Case<'_>) -> KeyReads {
    let judged = |need, grants| KeyReads { metadata: need, policy: need, grants };
    match case.request.action {
        Action::Share | Action::Check => judged(Need::Settled, GrantReads::OfGrantees(Need::Settled)),
        Action::Audit | Action::Repair => {
            let (pages, fewest, need) = (SURVEYED_PAGES, FEWEST_PAGES, Need::Optional);
            judged(need, GrantReads::Every { pages, fewest, need })
        }
        Action::Revoke | Action::Reset => {
            KeyReads { grants: GrantReads::Own(OwnGrants::new(case)), ..KeyReads::default() }
        }
        Action::List | Action::Usage | Action::Images | Action::Approvals | Action::Approve | Action::Reject => {
            KeyReads::default()
        }
    }
}

/// The grantees whose grants are read when the keys are known. Fails if time runs out before every key is judged.
pub fn grantees(case: &Case<'_>, facts: &Facts, judgements: &Judgements<'_>) -> Reading<BTreeSet<(KeyArn, String)>> {
    decide::grantees_to_look_up(case, facts, judgements)
}
