//! Owns the read plan: what must be known before anything is decided. Pure: it follows from the case and from what is known
//! so far, and says it in a way that can be carried out without knowing what it is for.
//!
//! First the images are described ([`first`]), and the sources of those that are copies where a rule goes by these
//! ([`sources_of_copies`]). A requester may ask about some of them; of those, and of no others, more is
//! read ([`further`]).

mod named_images;
mod own_grants;
mod records;
mod sources;

use std::collections::BTreeMap;

pub use named_images::{NamedImages, named_by_grants};
pub use own_grants::OwnGrants;
pub use records::RecordReads;
pub use sources::{Sources, sources_of_copies};

use crate::{
    decide::{self, Authority, Case, Judgements},
    domain::{AccountId, ImageId, KeyArn},
    facts::{Expiry, Fact, Facts, Image, ImageState, Reading},
    request::{Access, Action, PageToken},
};

/// An audit looks through so many pages of grants for the images that it reads together: half a minute's worth at five
/// calls a second. A key with more than its share is not judged, and does not keep the rest from being looked at,
const SURVEYED_PAGES: usize = 150;
/// however many keys there are.
const FEWEST_PAGES: usize = 3;

/// Whether something is read, and what follows where it can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Need {
    /// It is not read.
    #[default]
    No,
    /// It is read. A failure is a fact, and the decision is made without.
    Optional,
    /// It is read. A failure that another try may mend ends the request; any other is a fact.
    Settled,
    /// It is read. A failure ends the request: nothing is decided without.
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

/// What is read before anything is known.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstReads<'a> {
    /// The images that are described; without them nothing is decided.
    pub images: Described<'a>,
    /// The records that are read before the images are.
    pub records: BTreeMap<ImageId, RecordReads>,
    /// What is done about an image that EC2's search does not find.
    pub if_not_found: IfNotFound<'a>,
}

/// Which images are described.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Described<'a> {
    /// Those that the request names.
    Named(&'a [ImageId]),
    /// A page of this account's images that are shared with an account.
    SharedWith {
        /// That account.
        account: AccountId,
        /// The page; none for the first one.
        page: Option<&'a PageToken>,
    },
}

impl<'a> Described<'a> {
    /// The images that the request names.
    pub fn named(self) -> &'a [ImageId] {
        match self {
            Self::Named(image_ids) => image_ids,
            Self::SharedWith { .. } => &[],
        }
    }
}

/// What is done about an image that EC2's search does not find.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IfNotFound<'a> {
    /// Nothing more is read.
    Leave,
    /// EC2 is asked for it by its id. If there is no such image, this record says what was behind it; if there is one after
    /// all, nothing is decided.
    OfExpiry(&'a Expiry),
    /// EC2 is asked for it by its id. If there is no such image, its records say which keys were behind it; if there is one
    /// after all, it is left out.
    OfRecords,
}

/// What is read once the images are described.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadPlan {
    /// What is read of each image. Of one that is not among them nothing is.
    pub images: BTreeMap<ImageId, ImageReads>,
    /// The records of their shares.
    pub records: BTreeMap<ImageId, RecordReads>,
    /// Whether the records are read before anything else, which may not be needed then.
    pub is_records_first: bool,
    /// Whether the other images of the account on their snapshots are searched for, and who may launch those.
    pub needed_by: Need,
    /// What is read of the keys behind them.
    pub keys: KeyReads,
    /// Whether block public access for AMIs is on in this Region.
    pub blocks_public_images: Need,
}

/// What is read of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImageReads {
    /// Who may launch it.
    pub launch_permissions: Need,
    /// The snapshots behind it, and what is behind those.
    pub snapshots: Need,
    /// That EC2 says something of each of them.
    pub each_snapshot: Need,
    /// Who may create volumes from those that this account owns.
    pub create_volume_permissions: Need,
}

/// What is read of a key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeyReads {
    /// What kind of key it is and how it is.
    pub metadata: Need,
    /// The policy of a key of this account; nobody else may read it.
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
    /// When the key is known, those of some grantees: see [`grantees`].
    OfGrantees(Need),
    /// Every one.
    Every {
        /// So many pages are read of all keys together,
        pages: usize,
        /// and so many of each at least.
        fewest: usize,
        /// What follows where a key has more.
        need: Need,
    },
    /// Those that were made for the images; a failure is a fact.
    Own(OwnGrants),
}

/// What is read first.
pub fn first<'a>(case: &Case<'a>) -> FirstReads<'a> {
    let request = case.request;
    let images = match request.shared_with {
        None => Described::Named(&request.image_ids),
        Some(account) => Described::SharedWith { account, page: request.page.as_ref() },
    };
    let (is_survey, if_not_found) = match case.authority {
        Authority::Expiry(expiry) => (false, IfNotFound::OfExpiry(expiry)),
        Authority::Requester(_) if request.action.surveys() => (true, IfNotFound::OfRecords),
        Authority::Requester(_) => (false, IfNotFound::Leave),
    };
    // What a record that has outlived its image remembers is looked at too.
    let remembering = images.named().iter().filter(|_| is_survey);
    let records = remembering.map(|id| (id.clone(), RecordReads::new(case, id))).collect();
    FirstReads { images, records, if_not_found }
}

/// What is read of the described images: of those that the requester may ask about, what the action needs to know.
pub fn further(case: &Case<'_>, facts: &Facts) -> ReadPlan {
    let action = case.request.action;
    let permitted = decide::permitted(case, &facts.images);
    let permitted = || permitted.iter().filter_map(|id| facts.images.get_key_value(id));
    let unread_records = permitted().filter(|(_, image)| !image.expiries.is_read());
    let records: BTreeMap<_, _> = unread_records.map(|(id, _)| (id.clone(), RecordReads::new(case, id))).collect();
    let is_check = action == Action::Check && permitted().next().is_some();
    ReadPlan {
        images: permitted().map(|(id, image)| (id.clone(), image_reads(case, id, image))).collect(),
        // An expiry time that is too near needs no more reading than that of the records.
        is_records_first: decide::is_near(case.request, case.now) && !records.is_empty(),
        records,
        needed_by: if action.takes_away() || action.surveys() { Need::Optional } else { Need::No },
        keys: key_reads(case),
        blocks_public_images: if is_check { Need::Optional } else { Need::No },
    }
}

/// What is read of one image. Taking access away is never held up by what can't be read.
fn image_reads(case: &Case<'_>, image_id: &ImageId, image: &Image) -> ImageReads {
    let action = case.request.action;
    let is_available = image.state == ImageState::Available;
    let (launch_permissions, snapshots, create_volume_permissions) = match action {
        Action::Share if case.request.access == Access::Copy => (Need::Required, Need::Required, Need::Required),
        Action::Share => (Need::Required, Need::Required, Need::No),
        Action::List | Action::Check => (Need::Required, Need::Required, Need::Optional),
        Action::Revoke | Action::Reset => (Need::Optional, Need::Optional, Need::Optional),
        Action::Audit | Action::Repair => (Need::Optional, Need::Required, Need::Optional),
    };
    let reads = ImageReads {
        launch_permissions,
        snapshots,
        each_snapshot: if action.is_about_sharing() && is_available { Need::Required } else { Need::Optional },
        create_volume_permissions,
    };
    // What can't be shared needs no keys.
    let is_refused = action == Action::Share
        && (!is_available || decide::is_refused_by_time(case, image_id, image.expiries.known()));
    match image.state {
        // The snapshots of a deregistered image may have been deleted too.
        ImageState::Deregistered => ImageReads { launch_permissions: Need::No, each_snapshot: Need::No, ..reads },
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
        Action::List => KeyReads::default(),
    }
}

/// The grantees whose grants are read when the keys are known. Fails where time runs out before every key is judged.
pub fn grantees(case: &Case<'_>, facts: &Facts, judgements: &Judgements<'_>) -> Reading<Vec<(KeyArn, String)>> {
    decide::grantees_to_look_up(case, facts, judgements)
}
