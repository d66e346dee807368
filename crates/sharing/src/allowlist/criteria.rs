//! Owns [`ImageCriteria`]: what EC2 must say about an image, besides its name and tags, before a rule gives access to
//! it; and [`Shortfall`], what an image lacks.

use std::fmt;

use time::{Duration, OffsetDateTime};

use super::written;
use crate::{
    domain::{Severity, quoted, rfc3339},
    facts::{Fact, Highest, Lineage, Provenance, RegionalImage, Scan},
};

/// What EC2 must say about an image. The criteria apply when access is given, never when it is removed.
///
/// The names are those of the criteria of Allowed AMIs:
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-allowed-amis.html>
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImageCriteria {
    /// The image has one of these watermarks. An empty list is no criterion.
    pub watermarks: Vec<String>,
    /// The image was scanned, and no finding is more severe than this.
    pub max_severity: Option<Severity>,
    /// It was scanned within this time.
    pub scanned_within: Option<Duration>,
    /// It was created within this time.
    pub max_age: Option<Duration>,
}

/// A criterion that an image does not meet.
#[derive(Debug, Clone, PartialEq)]
pub enum Shortfall<'a> {
    /// It has none of these watermarks.
    NoWatermark {
        /// The watermarks that meet the criterion.
        any_of: &'a [String],
        /// A watermark of these that the image has, but that does not count.
        inherited: Option<&'a str>,
    },
    /// Amazon Inspector has not scanned it.
    NotScanned,
    /// This version does not know its highest severity.
    UnknownSeverity(&'a str),
    /// A finding is too severe.
    TooSevere {
        /// The highest severity among the findings.
        highest: Severity,
        /// The highest severity that is allowed.
        most: Severity,
    },
    /// EC2 does not say when it was scanned.
    UndatedScan,
    /// Its latest scan is too old.
    OldScan {
        /// When it was scanned.
        at: OffsetDateTime,
        /// The maximum age of the scan.
        within: Duration,
    },
    /// EC2 does not say when it was created.
    UnknownAge,
    /// It is too old.
    TooOld {
        /// When the image was created.
        created: OffsetDateTime,
        /// The maximum age of the image.
        most: Duration,
    },
    /// It is a copy, and nothing is known about its source, whose scan and age count.
    UnknownSource {
        /// The source; `None` if EC2 does not name it.
        source: Option<&'a RegionalImage>,
        /// Why nothing is known about it.
        why: Unknown,
    },
}

/// Why nothing is known about the source of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// It no longer exists, or this account can't see it.
    NotFound,
    /// It could not be read.
    Unread,
    /// This version can't read the name that EC2 gives.
    Unclear,
    /// It is a copy too, so its own source's age counts.
    IsCopy,
}

impl ImageCriteria {
    /// Whether there are no criteria.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The fields that are given.
    pub(super) fn fields(&self) -> Vec<&'static str> {
        let given = [
            ("watermarks", !self.watermarks.is_empty()),
            ("maxSeverity", self.max_severity.is_some()),
            ("scannedWithin", self.scanned_within.is_some()),
            ("maxAge", self.max_age.is_some()),
        ];
        given.into_iter().filter(|(_, is_given)| *is_given).map(|(field, _)| field).collect()
    }

    /// Whether they need the scan or the age, which a copy takes from its source.
    pub fn ask_for_source(&self) -> bool {
        self.max_severity.is_some() || self.scanned_within.is_some() || self.max_age.is_some()
    }

    /// Every criterion that an image does not meet.
    pub fn shortfalls<'a>(&'a self, provenance: &'a Provenance, now: OffsetDateTime) -> Vec<Shortfall<'a>> {
        let mut lacking: Vec<_> = self.lacking_watermark(provenance).into_iter().collect();
        if !self.ask_for_source() {
            return lacking;
        }
        let origin = match origin(provenance) {
            Ok(origin) => origin,
            Err(shortfall) => {
                lacking.push(shortfall);
                return lacking;
            }
        };
        if self.max_severity.is_some() || self.scanned_within.is_some() {
            match &origin.scan {
                None => lacking.push(Shortfall::NotScanned),
                Some(scan) => {
                    lacking.extend(self.max_severity.and_then(|most| too_severe(scan, most)));
                    lacking.extend(self.scanned_within.and_then(|within| old_scan(scan, within, now)));
                }
            }
        }
        lacking.extend(self.max_age.and_then(|most| too_old(origin, most, now)));
        lacking
    }

    fn lacking_watermark<'a>(&'a self, provenance: &'a Provenance) -> Option<Shortfall<'a>> {
        let wanted = || provenance.watermarks.iter().filter(|mark| self.watermarks.contains(&mark.key));
        if self.watermarks.is_empty() || wanted().any(|mark| provenance.counts(mark)) {
            return None;
        }
        let inherited = wanted().next().map(|mark| mark.key.as_str());
        Some(Shortfall::NoWatermark { any_of: &self.watermarks, inherited })
    }

    /// Whether every image that meets the other criteria certainly meets these too.
    pub(super) fn cover(&self, others: &Self) -> bool {
        fn bounds<T: PartialOrd>(most: Option<T>, other: Option<T>) -> bool {
            most.is_none_or(|most| other.is_some_and(|other| other <= most))
        }
        let marked = self.watermarks.is_empty()
            || !others.watermarks.is_empty() && others.watermarks.iter().all(|key| self.watermarks.contains(key));
        marked
            && bounds(self.max_severity, others.max_severity)
            && bounds(self.scanned_within, others.scanned_within)
            && bounds(self.max_age, others.max_age)
    }
}

/// The image whose scan and age count. For a copy it is the source, whose data the copy has.
fn origin(provenance: &Provenance) -> Result<&Provenance, Shortfall<'_>> {
    let unknown = |source, why| Err(Shortfall::UnknownSource { source, why });
    match &provenance.lineage {
        Lineage::New => Ok(provenance),
        Lineage::Unclear => unknown(None, Unknown::Unclear),
        Lineage::CopyOf { source, said } => match said.as_ref() {
            Fact::Known(Some(said)) => Ok(said),
            Fact::Known(None) => unknown(Some(source), Unknown::NotFound),
            Fact::Failed(_) | Fact::NotRead => unknown(Some(source), Unknown::Unread),
        },
    }
}

fn too_severe(scan: &Scan, most: Severity) -> Option<Shortfall<'_>> {
    match &scan.highest {
        Highest::Known(highest) if *highest > most => Some(Shortfall::TooSevere { highest: *highest, most }),
        Highest::Unknown(word) => Some(Shortfall::UnknownSeverity(word)),
        Highest::Known(_) | Highest::NoFindings => None,
    }
}

fn old_scan(scan: &Scan, within: Duration, now: OffsetDateTime) -> Option<Shortfall<'_>> {
    match scan.at {
        None => Some(Shortfall::UndatedScan),
        Some(at) => (now - at > within).then_some(Shortfall::OldScan { at, within }),
    }
}

fn too_old(origin: &Provenance, most: Duration, now: OffsetDateTime) -> Option<Shortfall<'_>> {
    // Otherwise, copying a copy would make old data look new.
    if origin.lineage != Lineage::New {
        return Some(Shortfall::UnknownSource { source: origin.source(), why: Unknown::IsCopy });
    }
    match origin.created {
        None => Some(Shortfall::UnknownAge),
        Some(created) => (now - created > most).then_some(Shortfall::TooOld { created, most }),
    }
}

impl Shortfall<'_> {
    /// Whether the image certainly lacks it; otherwise it could not be read.
    pub fn is_certain(&self) -> bool {
        !matches!(self, Self::UnknownSource { why: Unknown::Unread, .. })
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoWatermark { .. } => "share an image that has the watermark, or have it attached to this one",
            Self::NotScanned | Self::UndatedScan | Self::OldScan { .. } => "have Amazon Inspector scan the image",
            Self::TooSevere { .. } | Self::UnknownSeverity(_) => "share an image without such findings",
            Self::TooOld { .. } | Self::UnknownAge => "share a newer image",
            Self::UnknownSource { why: Unknown::Unread, .. } => {
                "let the function's role call ec2:DescribeImages in the source's Region, and share the source with this account"
            }
            Self::UnknownSource { .. } => "share an image that is no copy, or a copy whose source this account can see",
        }
    }
}

impl fmt::Display for Shortfall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWatermark { any_of, inherited } => {
                let any_of: Vec<_> = any_of.iter().map(|key| quoted(key)).collect();
                write!(f, "the image lacks the watermark {}", any_of.join(" or "))?;
                match inherited {
                    Some(key) => {
                        write!(
                            f,
                            " (it inherited {} without being a direct copy of the image that has it)",
                            quoted(key)
                        )
                    }
                    None => Ok(()),
                }
            }
            Self::NotScanned => f.write_str("Amazon Inspector has not scanned the image"),
            Self::UnknownSeverity(word) => {
                write!(f, "the highest severity among the image's findings is {}, which is not known", quoted(word))
            }
            Self::TooSevere { highest, most } => write!(
                f,
                "the highest severity among the image's findings is `{highest}`, and `{most}` is the most allowed"
            ),
            Self::UndatedScan => f.write_str("when the image was scanned is not known"),
            Self::OldScan { at, within } => {
                write!(
                    f,
                    "the image was scanned last at {}, and no more than {} ago is allowed",
                    rfc3339(*at),
                    written(*within)
                )
            }
            Self::UnknownAge => f.write_str("when the image was created is not known"),
            Self::TooOld { created, most } => {
                write!(
                    f,
                    "the image was created at {}, and no more than {} ago is allowed",
                    rfc3339(*created),
                    written(*most)
                )
            }
            Self::UnknownSource { source, why } => {
                let what = "the image is a copy, for which scan and age of its source count, and";
                match (source, why) {
                    (Some(source), Unknown::NotFound) => {
                        write!(f, "{what} {source} does not exist any more, or this account can't see it")
                    }
                    (Some(source), Unknown::Unread) => write!(f, "{what} {source} could not be read"),
                    (Some(source), _) => write!(f, "{what} its source is itself a copy, of {source}"),
                    (None, _) => write!(f, "{what} EC2 does not say clearly which image that is"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn ago(long: Duration) -> OffsetDateTime {
        NOW.saturating_sub(long)
    }

    fn scan(highest: Highest, days_ago: i64) -> Option<Scan> {
        Some(Scan { highest, at: Some(ago(Duration::days(days_ago))) })
    }

    fn scanned(scan: Option<Scan>) -> Provenance {
        Provenance { scan, created: Some(ago(Duration::days(10))), ..Provenance::default() }
    }

    fn copy_of(said: Fact<Option<Provenance>>) -> Provenance {
        let source = RegionalImage { region: "eu-central-1".parse().unwrap(), id: "ami-0000000a".parse().unwrap() };
        // A copy's own scan and age say nothing.
        let own = scanned(scan(Highest::NoFindings, 0));
        Provenance { lineage: Lineage::CopyOf { source, said: Box::new(said) }, ..own }
    }

    #[track_caller]
    fn check(criteria: &ImageCriteria, provenance: &Provenance, expect: &[&str]) {
        let lacking = criteria.shortfalls(provenance, NOW);
        assert_eq!(lacking.len(), expect.len(), "{lacking:#?}");
        for (shortfall, words) in lacking.iter().zip(expect) {
            assert!(shortfall.to_string().contains(words), "{shortfall}\nshould say {words}");
        }
    }

    #[test]
    fn an_image_without_a_scan_or_with_an_unknown_severity_matches_no_limit() {
        for most in Severity::ALL {
            let criteria = ImageCriteria { max_severity: Some(most), ..ImageCriteria::default() };
            check(&criteria, &scanned(None), &["has not scanned"]);
            check(&criteria, &scanned(scan(Highest::Unknown("dreadful".to_owned()), 1)), &["`dreadful`"]);
            check(&criteria, &scanned(scan(Highest::NoFindings, 1)), &[]);
            for highest in Severity::ALL {
                let expect: &[&str] = if highest > most { &[highest.as_str()] } else { &[] };
                check(&criteria, &scanned(scan(Highest::Known(highest), 1)), expect);
            }
        }
    }

    #[test]
    fn a_scan_and_an_image_are_as_old_as_they_may_be_to_the_second() {
        let within = ImageCriteria { scanned_within: Some(Duration::days(30)), ..ImageCriteria::default() };
        check(&within, &scanned(scan(Highest::Known(Severity::Critical), 30)), &[]);
        check(
            &within,
            &scanned(scan(Highest::NoFindings, 31)),
            &["scanned last at 2026-10-22T12:00:00Z, and no more than 30d"],
        );
        check(&within, &scanned(Some(Scan { highest: Highest::NoFindings, at: None })), &["is not known"]);
        check(&within, &scanned(None), &["has not scanned"]);
        let created = |created| Provenance { created, ..Provenance::default() };
        let age = ImageCriteria { max_age: Some(Duration::hours(36)), ..ImageCriteria::default() };
        check(&age, &created(Some(ago(Duration::hours(36)))), &[]);
        check(
            &age,
            &created(Some(ago(Duration::hours(36).saturating_add(Duration::SECOND)))),
            &["no more than 36h ago"],
        );
        check(&age, &created(None), &["is not known"]);
    }

    #[test]
    fn all_that_is_lacking_is_told() {
        let criteria = ImageCriteria {
            watermarks: vec!["999988887777:approved".to_owned()],
            max_severity: Some(Severity::Low),
            scanned_within: Some(Duration::days(1)),
            max_age: Some(Duration::days(1)),
        };
        check(
            &criteria,
            &scanned(scan(Highest::Known(Severity::High), 2)),
            &["`999988887777:approved`", "`high`", "scanned last", "created at"],
        );
        check(&criteria, &scanned(None), &["`999988887777:approved`", "has not scanned", "created at"]);
    }

    #[test]
    fn each_shortfall_has_its_remedy() {
        let image = RegionalImage { region: "eu-central-1".parse().unwrap(), id: "ami-0000000a".parse().unwrap() };
        let unknown = |why| Shortfall::UnknownSource { source: Some(&image), why };
        for (shortfall, words) in [
            (Shortfall::NoWatermark { any_of: &[], inherited: None }, "watermark"),
            (Shortfall::NotScanned, "Amazon Inspector scan"),
            (Shortfall::UndatedScan, "Amazon Inspector scan"),
            (Shortfall::OldScan { at: NOW, within: Duration::DAY }, "Amazon Inspector scan"),
            (Shortfall::TooSevere { highest: Severity::High, most: Severity::Low }, "without such findings"),
            (Shortfall::UnknownSeverity("dreadful"), "without such findings"),
            (Shortfall::TooOld { created: NOW, most: Duration::DAY }, "newer"),
            (Shortfall::UnknownAge, "newer"),
            // The permission that is missing, and who must share the source.
            (unknown(Unknown::Unread), "ec2:DescribeImages in the source's Region"),
            (unknown(Unknown::NotFound), "no copy"),
            (unknown(Unknown::IsCopy), "no copy"),
            (Shortfall::UnknownSource { source: None, why: Unknown::Unclear }, "no copy"),
        ] {
            assert!(shortfall.remedy().contains(words), "{shortfall}: {}", shortfall.remedy());
        }
    }

    #[test]
    fn a_copy_is_judged_by_its_source() {
        let criteria = ImageCriteria {
            max_severity: Some(Severity::Medium),
            scanned_within: Some(Duration::days(30)),
            max_age: Some(Duration::days(180)),
            ..ImageCriteria::default()
        };
        let known = |said| copy_of(Fact::Known(Some(said)));
        check(&criteria, &known(scanned(scan(Highest::Known(Severity::Low), 3))), &[]);
        check(&criteria, &known(scanned(scan(Highest::Known(Severity::Critical), 3))), &["`critical`"]);
        check(&criteria, &known(scanned(None)), &["has not scanned"]);
        let old = Provenance { created: Some(ago(Duration::days(181))), ..scanned(scan(Highest::NoFindings, 3)) };
        check(&criteria, &known(old), &["created at"]);
        check(&criteria, &copy_of(Fact::Known(None)), &["ami-0000000a in eu-central-1 does not exist"]);
        check(&criteria, &copy_of(Fact::NotRead), &["could not be read"]);
        check(&criteria, &Provenance { lineage: Lineage::Unclear, ..Provenance::default() }, &["does not say clearly"]);
        // A copy of a copy has its direct source's scan; how old its data is nobody has said.
        let twice = Provenance { scan: scan(Highest::NoFindings, 3), ..copy_of(Fact::NotRead) };
        check(&criteria, &known(twice.clone()), &["is itself a copy"]);
        check(&ImageCriteria { max_age: None, ..criteria.clone() }, &known(twice), &[]);
        // What asks for neither needs no source.
        check(&ImageCriteria::default(), &copy_of(Fact::NotRead), &[]);
        assert!(!criteria.shortfalls(&copy_of(Fact::NotRead), NOW)[0].is_certain());
        assert!(criteria.shortfalls(&copy_of(Fact::Known(None)), NOW)[0].is_certain());
    }
}
