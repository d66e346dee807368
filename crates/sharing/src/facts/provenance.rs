//! Owns [`Provenance`]: what EC2 says about an image besides its name and its tags. Anybody who may create or tag
//! images can choose its name and tags, but not its watermarks, scan and creation time.

use time::OffsetDateTime;

use super::{Fact, Failure};
use crate::domain::{ImageId, Region, Severity};

/// The source, the watermarks, the scan and the age of an image.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Image.html>
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Provenance {
    /// The image itself; `None` if it is deregistered.
    pub itself: Option<RegionalImage>,
    /// Its watermarks: those that were attached to it and those that it inherited.
    pub watermarks: Vec<Watermark>,
    /// The latest scan of Amazon Inspector, if there was one.
    pub scan: Option<Scan>,
    /// When it was created.
    pub created: Option<OffsetDateTime>,
    /// Its source.
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

/// The source of an image.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Lineage {
    /// It is not a copy: it was registered, or created from an instance, whose data may have been changed.
    #[default]
    New,
    /// It is a copy: EC2 names a source image and no source instance.
    CopyOf {
        /// The source.
        source: RegionalImage,
        /// What EC2 says about the source; `Known(None)` if it does not exist. Read only if a rule needs it.
        said: Box<Fact<Option<Provenance>>>,
    },
    /// This version can't read the source that EC2 names.
    Unclear,
}

/// A watermark of an image.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImageWatermark.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// The account that attached it, `:`, and its name.
    pub key: String,
    /// The image it was attached to; `None` if EC2 does not say.
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
    /// A severity that this version does not know, as EC2 names it.
    Unknown(String),
}

impl Highest {
    /// EC2's name of it; `None` if there are no findings.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::NoFindings => None,
            Self::Known(severity) => Some(severity.as_str()),
            Self::Unknown(word) => Some(word),
        }
    }
}

impl Provenance {
    /// Whether a watermark counts: it was attached to this image, or to the image of which this is a direct copy. An
    /// image that CreateImage made, and its copies, also inherit watermarks, but their data may have been changed.
    pub fn counts(&self, watermark: &Watermark) -> bool {
        let Some(attached_to) = &watermark.attached_to else { return false };
        self.itself.as_ref() == Some(attached_to) || self.source() == Some(attached_to)
    }

    /// The keys of all its watermarks, sorted: EC2's order may change, and callers compare answers.
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

    /// When the first image with this data was created: for a copy, this is its source's time. None if it is not known,
    /// or if the source is itself a copy, because the source's own time says nothing.
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
