//! Owns the options that stand for what EC2 says about an image besides its name and tags.

use sharing::{
    allowlist::{Images, Rule, Shortfall, parse_duration, written},
    domain::Severity,
    facts::{Highest, Provenance, RegionalImage, Scan, Watermark},
};
use time::{Duration, OffsetDateTime};

// Without any of these options, the criteria are not checked. With one of them, the image lacks what the others would
// say.
#[derive(clap::Args)]
pub(super) struct Given {
    /// A watermark of the image that counts: it was attached to this very image, or to the image of which it is a direct
    /// copy; repeat for more
    #[arg(long = "watermark", value_name = "ACCOUNT:NAME")]
    watermarks: Vec<String>,
    /// The highest severity that Amazon Inspector found in the image, or in its source if it is a copy: `informational`,
    /// `low`, `medium`, `high`, `critical`, or `none` for a scan without findings. Without it, the image was not scanned
    #[arg(long, value_name = "SEVERITY", value_parser = highest)]
    severity: Option<Highest>,
    /// How long ago that scan was, such as `12h` or `30d`
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "severity")]
    scanned: Option<Duration>,
    /// How long ago the image was created, or its source if it is a copy
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    age: Option<Duration>,
}

/// Reads a duration as rules write it.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text).ok_or("write a number and m, h or d, from `5m` to `3650d`")
}

fn highest(text: &str) -> Result<Highest, String> {
    match text {
        "none" => Ok(Highest::NoFindings),
        text => text.parse::<Severity>().map(Highest::Known).map_err(|error| format!("{error}, nor `none`")),
    }
}

impl Given {
    /// The options, and whether they are given.
    pub(super) fn options(&self) -> [(&'static str, bool); 4] {
        [
            ("--watermark", !self.watermarks.is_empty()),
            ("--severity", self.severity.is_some()),
            ("--scanned", self.scanned.is_some()),
            ("--age", self.age.is_some()),
        ]
    }

    /// What EC2 would say of such an image.
    pub(super) fn read(&self, now: OffsetDateTime) -> Option<Provenance> {
        if !self.options().iter().any(|(_, given)| *given) {
            return None;
        }
        // Any image will do.
        let itself = RegionalImage { region: "eu-west-1".parse().ok()?, id: "ami-00000000".parse().ok()? };
        let watermark = |key: &String| Watermark { key: key.clone(), attached_to: Some(itself.clone()) };
        let before = |long: Duration| now.checked_sub(long);
        let scan = |highest: &Highest| Scan { highest: highest.clone(), at: self.scanned.and_then(before) };
        Some(Provenance {
            watermarks: self.watermarks.iter().map(watermark).collect(),
            scan: self.severity.as_ref().map(scan),
            created: self.age.and_then(before),
            itself: Some(itself),
            ..Provenance::default()
        })
    }
}

/// Whether the rule asks for any of this.
pub(super) fn goes_by_provenance(rule: &Rule) -> bool {
    matches!(&rule.images, Images::Matching { criteria, .. } if !criteria.is_empty())
}

/// What the image lacks for the rule.
pub(super) fn what_it_lacks(images: &Images, provenance: &Provenance, now: OffsetDateTime) -> String {
    let lacking = images.shortfalls(provenance, now);
    lacking.iter().map(in_words).collect::<Vec<_>>().join(", and ")
}

/// The same without times: nobody knows when the question is about.
fn in_words(shortfall: &Shortfall<'_>) -> String {
    match shortfall {
        Shortfall::NoWatermark { any_of, .. } => {
            let any_of: Vec<_> = any_of.iter().map(|key| format!("`{key}`")).collect();
            format!(
                "its `images` want the watermark {}, and the image has no such one (--watermark)",
                any_of.join(" or ")
            )
        }
        Shortfall::NotScanned => "its `images` want a scan, and the image was not scanned (--severity)".to_owned(),
        Shortfall::TooSevere { highest, most } => {
            format!("its `images` have the `maxSeverity` `{most}`, and the image has findings up to `{highest}`")
        }
        Shortfall::UndatedScan => {
            "its `images` have `scannedWithin`, and when the image was scanned is not given (--scanned)".to_owned()
        }
        Shortfall::OldScan { within, .. } => {
            format!("the image was scanned longer ago than the `scannedWithin` of its `images`, {}", written(*within))
        }
        Shortfall::UnknownAge => "its `images` have `maxAge`, and the image's age is not given (--age)".to_owned(),
        Shortfall::TooOld { most, .. } => {
            format!("the image is older than the `maxAge` of its `images`, {}", written(*most))
        }
        // An option can't say so.
        Shortfall::UnknownSeverity(_) | Shortfall::UnknownSource { .. } => shortfall.to_string(),
    }
}
