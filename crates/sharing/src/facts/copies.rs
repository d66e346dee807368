//! Owns [`Copies`]: an image that a request names by `copyFrom`, and the images of this Region that are made from it;
//! what counts as its copy; and [`Awaited`], the copy that does not exist yet.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{Fact, Image, ImageState, KeyMetadata, RegionalImage};
use crate::{
    domain::{AccountId, ImageId, KeyArn},
    records::CopyRecord,
};

/// What is known of an image that a request names by `copyFrom`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Copies {
    /// The image, in its own Region; none if there is no such image.
    pub source: Fact<Option<Image>>,
    /// The images of this account and Region that EC2 says are made from it, and not from an instance of it.
    pub images: BTreeMap<ImageId, Image>,
    /// The records of shares that wait for a copy of it, as far as the action needs them.
    pub waiting: Fact<Vec<CopyRecord>>,
    /// The keys of the image, in its own Region. Read only if a copy must be made.
    pub source_keys: BTreeMap<KeyArn, Fact<KeyMetadata>>,
}

/// A copy that does not exist yet. It stands for the image that it will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The image that is copied.
    pub source: RegionalImage,
    /// The state of that image.
    pub source_state: ImageState,
    /// Its keys. Read only if a copy must be made.
    pub source_keys: BTreeMap<KeyArn, Fact<KeyMetadata>>,
    /// The copy that EC2 is making.
    pub pending: Option<ImageId>,
    /// The copies that EC2 could not make, with its reasons, the latest first.
    pub failed: Vec<(ImageId, Option<String>)>,
}

/// The name and the tags of an image, by which rules cover it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// Its name.
    pub name: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Copies {
    /// Lets the copies know what is known of their source, by which rules may cover them.
    pub fn learn_source(&mut self, owner: AccountId) {
        let said_of_source = self.said_of_source();
        let naming = self.known_source().filter(|source| source.owner == owner).map(Image::naming);
        for image in self.images.values_mut() {
            image.source_naming.clone_from(&naming);
            if let super::Lineage::CopyOf { said, .. } = &mut image.provenance.lineage {
                (**said).clone_from(&said_of_source);
            }
        }
    }

    fn said_of_source(&self) -> Fact<Option<super::Provenance>> {
        match &self.source {
            Fact::NotRead => Fact::NotRead,
            Fact::Failed(failure) => Fact::Failed(failure.clone()),
            Fact::Known(source) => Fact::Known(source.as_ref().map(|source| source.provenance.clone())),
        }
    }

    /// The image itself, if it is known to exist.
    pub fn known_source(&self) -> Option<&Image> {
        self.source.known().and_then(Option::as_ref)
    }

    /// The copies that are available, the newest first, whatever their keys.
    pub fn available(&self) -> Vec<(&ImageId, &Image)> {
        self.in_state(|state| *state == ImageState::Available)
    }

    /// The copy that EC2 is making, the newest one. Only its source counts, because EC2 returns no more about it.
    pub fn pending(&self) -> Option<&ImageId> {
        self.in_state(|state| *state == ImageState::Pending).first().map(|(id, _)| *id)
    }

    /// The copies that EC2 could not make, with its reasons, the latest first.
    pub fn failed(&self) -> Vec<(ImageId, Option<String>)> {
        let failed = self.in_state(ImageState::is_failed).into_iter();
        failed.map(|(id, image)| (id.clone(), image.state_reason.clone())).collect()
    }

    fn in_state(&self, is_in: impl Fn(&ImageState) -> bool) -> Vec<(&ImageId, &Image)> {
        let mut found: Vec<_> = self.images.iter().filter(|(_, image)| is_in(&image.state)).collect();
        found.sort_by_key(|(id, image)| (Reverse(image.provenance.created), *id));
        found
    }

    /// Whether an image that is made from it counts as its copy under this key: it is for the same machines, has volumes of
    /// the same sizes, and every snapshot is encrypted with the key.
    ///
    /// If the source is deregistered, only the source's ID and the key can be compared.
    pub fn counts(&self, image: &Image, key: &KeyArn) -> bool {
        let is_alike = self.known_source().is_none_or(|source| is_alike(source, image));
        let snapshots = &image.snapshots;
        let is_on_key = |backing: &super::Backing| {
            backing.snapshot.known().is_some_and(|snapshot| snapshot.key.as_ref() == Some(key))
        };
        image.state == ImageState::Available && is_alike && !snapshots.is_empty() && snapshots.iter().all(is_on_key)
    }
}

fn is_alike(source: &Image, image: &Image) -> bool {
    let sizes = |image: &Image| {
        let mut sizes = image.volume_sizes.clone();
        sizes.sort_unstable();
        sizes
    };
    source.architecture == image.architecture && sizes(source) == sizes(image)
}

impl Awaited {
    /// EC2's name of the state of the copy, or `none`.
    pub fn state(&self) -> &'static str {
        if self.pending.is_some() { "pending" } else { "none" }
    }
}

impl Image {
    /// A copy that does not exist yet and will be encrypted with these keys. It will have the name, the tags and the
    /// owner of its source, and be shared with nobody:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/how-ami-copy-works.html>
    pub fn awaited(owner: AccountId, copies: &Copies, source: RegionalImage, keys: Vec<KeyArn>) -> Self {
        let known = copies.known_source();
        let awaited = Awaited {
            source_state: known.map_or(ImageState::Deregistered, |source| source.state.clone()),
            source_keys: copies.source_keys.clone(),
            pending: copies.pending().cloned(),
            failed: copies.failed(),
            source: source.clone(),
        };
        Self {
            state: ImageState::Awaited(Box::new(awaited)),
            name: known.and_then(|source| source.name.clone()),
            tags: known.map(|source| source.tags.clone()).unwrap_or_default(),
            provenance: super::Provenance {
                watermarks: known.map(|source| source.provenance.watermarks.clone()).unwrap_or_default(),
                lineage: super::Lineage::CopyOf { source, said: Box::new(copies.said_of_source()) },
                ..super::Provenance::default()
            },
            has_product_codes: known.is_some_and(|source| source.has_product_codes),
            is_instance_store: known.is_some_and(|source| source.is_instance_store),
            expiries: Fact::Known(BTreeMap::new()),
            waiting: copies.waiting.clone(),
            source_naming: None,
            ..Self::deregistered(known.map_or(owner, |source| source.owner), keys)
        }
    }

    /// Its name and its tags.
    pub fn naming(&self) -> Naming {
        Naming { name: self.name.clone(), tags: self.tags.clone() }
    }

    /// Whether it is made from that image, and available.
    pub fn is_available_copy_of(&self, source: &RegionalImage) -> bool {
        self.state == ImageState::Available && self.provenance.source() == Some(source)
    }

    /// The copy that it stands for and that is not there yet, if so.
    pub fn as_awaited(&self) -> Option<&Awaited> {
        match &self.state {
            ImageState::Awaited(awaited) => Some(awaited),
            ImageState::Available
            | ImageState::Pending
            | ImageState::Disabled
            | ImageState::Deregistered
            | ImageState::Other(_) => None,
        }
    }

    /// The records of shares with these targets that wait for a copy.
    pub fn waiting_for<'i>(
        &'i self,
        is_asked: impl Fn(&crate::domain::Target) -> bool + 'i,
    ) -> impl Iterator<Item = &'i CopyRecord> {
        self.waiting.iter().flatten().filter(move |record| record.targets().any(&is_asked))
    }
}
