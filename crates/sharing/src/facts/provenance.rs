//! Owns [`Provenance`]: what EC2 says of an image beside its name and its tags. Whoever may create or tag images chooses
//! those; a watermark, a scan and a creation time they can't choose.

use time::OffsetDateTime;

use super::{Fact, Failure};
use crate::domain::{ImageId, Region, Severity};

/// Where an image comes from, what it was marked with and what was found in it.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Image.html>
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Provenance {
    /// The image itself; none for one that is gone.
    pub itself: Option<RegionalImage>,
    /// Its watermarks: those attached to it, and those it inherited.
    pub watermarks: Vec<Watermark>,
    /// The latest scan of Amazon Inspector, where there was one.
    pub scan: Option<Scan>,
    /// When it was created.
    pub created: Option<OffsetDateTime>,
    /// What it was made from.
    pub lineage: Lineage,
}

/// An image of a Region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegionalImage {
    /// The Region.
    pub region: Region,
    /// The image.
    pub id: ImageId,
}

impl std::fmt::Display for RegionalImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in {}", self.id, self.region)
    }
}

/// What an image was made from.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Lineage {
    /// It is no copy: it was registered, or CreateImage made it from an instance, whose data is somebody's work.
    #[default]
    New,
    /// It is a copy: EC2 names a source image and no source instance.
    CopyOf {
        /// The source.
        source: RegionalImage,
        /// What EC2 says of the source, or that it knows none such. Read only where a rule asks for it.
        said: Box<Fact<Option<Provenance>>>,
    },
    /// EC2 names a source that can't be understood.
    Unclear,
}

/// A watermark of an image.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImageWatermark.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// The account that attached it, `:`, and its name.
    pub key: String,
    /// The image it was attached to; none where EC2 does not say so.
    pub attached_to: Option<RegionalImage>,
}

/// A scan of Amazon Inspector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// What was found.
    pub highest: Highest,
    /// When.
    pub at: Option<OffsetDateTime>,
}

/// The highest severity among the findings of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Highest {
    /// There are no findings.
    NoFindings,
    /// This one.
    Known(Severity),
    /// One that this version does not know, in EC2's word.
    Unknown(String),
}

impl Highest {
    /// EC2's word for it; none where there are no findings.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::NoFindings => None,
            Self::Known(severity) => Some(severity.as_str()),
            Self::Unknown(word) => Some(word),
        }
    }
}

impl Provenance {
    /// Whether a watermark counts: it was attached to this very image, or the image is a direct copy of the one it was
    /// attached to. CreateImage and copies of what it made pass watermarks on too, whatever was done to the data.
    pub fn counts(&self, watermark: &Watermark) -> bool {
        let Some(attached_to) = &watermark.attached_to else { return false };
        self.itself.as_ref() == Some(attached_to) || self.source() == Some(attached_to)
    }

    /// The keys of all its watermarks, in an order of our own: EC2's may change, and answers are compared.
    pub fn watermark_keys(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.watermarks.iter().map(|watermark| watermark.key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Why the image that this is a copy of could not be read, if so.
    pub fn unread(&self) -> Option<&Failure> {
        match &self.lineage {
            Lineage::CopyOf { said, .. } => said.failed(),
            Lineage::New | Lineage::Unclear => None,
        }
    }

    /// When the data of the image was first an image: a copy has its source's time. None where that is not known, and
    /// where the source is itself a copy, whose own time says nothing.
    pub fn data_created(&self) -> Option<OffsetDateTime> {
        match &self.lineage {
            Lineage::New => self.created,
            Lineage::CopyOf { said, .. } => {
                said.known()?.as_ref().filter(|source| source.lineage == Lineage::New)?.created
            }
            Lineage::Unclear => None,
        }
    }

    /// The image that this is a copy of.
    pub fn source(&self) -> Option<&RegionalImage> {
        match &self.lineage {
            Lineage::CopyOf { source, .. } => Some(source),
            Lineage::New | Lineage::Unclear => None,
        }
    }
}
