//! Owns what EC2 says about an image besides its name and its tags: watermarks, scan, age and source.

use aws_sdk_ec2::types::{self, SeverityLabel};
use sharing::{
    domain::{ImageId, Severity},
    facts::{Fact, Highest, Lineage, Provenance, RegionalImage, Scan, Watermark},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What can't be understood is as if EC2 had not said it: a rule that asks for it doesn't match.
pub(super) fn provenance(id: &ImageId, image: &types::Image, region: &str) -> Provenance {
    Provenance {
        itself: regional(Some(id.as_str()), Some(region)),
        watermarks: image.image_watermarks().iter().filter_map(watermark).collect(),
        scan: image.scan_results().and_then(scan),
        created: image.creation_date().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok()),
        lineage: lineage(image),
    }
}

fn regional(id: Option<&str>, region: Option<&str>) -> Option<RegionalImage> {
    Some(RegionalImage { region: region?.parse().ok()?, id: id?.parse().ok()? })
}

fn watermark(watermark: &types::ImageWatermark) -> Option<Watermark> {
    let key = watermark.watermark_key()?.to_owned();
    Some(Watermark { key, attached_to: regional(watermark.source_image_id(), watermark.source_image_region()) })
}

/// "This information is present only for AMIs that Amazon Inspector has scanned", and the severity "only if the AMI has at
/// least one finding": <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ScanResults.html>
fn scan(results: &types::ScanResults) -> Option<Scan> {
    let at = results.finding_scan_date().and_then(|at| OffsetDateTime::from_unix_timestamp_nanos(at.as_nanos()).ok());
    let highest = match results.highest_finding_severity_label() {
        // Nothing at all is no scan.
        None => return at.map(|at| Scan { highest: Highest::NoFindings, at: Some(at) }),
        Some(label) => highest(label),
    };
    Some(Scan { highest, at })
}

fn highest(label: &SeverityLabel) -> Highest {
    let word = label.as_str();
    word.parse::<Severity>().map_or_else(
        |_| Highest::Unknown(word.chars().filter(|character| !character.is_control()).take(50).collect()),
        Highest::Known,
    )
}

/// CopyImage, CreateImage and CreateRestoreImageTask set the source image; CreateImage alone sets the instance, too.
fn lineage(image: &types::Image) -> Lineage {
    match (image.source_instance_id(), image.source_image_id(), image.source_image_region()) {
        (Some(_), _, _) | (None, None, None) => Lineage::New,
        (None, id, region) => regional(id, region)
            .map_or(Lineage::Unclear, |source| Lineage::CopyOf { source, said: Box::new(Fact::NotRead) }),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::primitives::DateTime;

    use super::*;

    const ID: &str = "ami-0000000a";

    fn read(image: types::builders::ImageBuilder) -> Provenance {
        provenance(&ID.parse().unwrap(), &image.build(), "eu-west-1")
    }

    fn image() -> types::builders::ImageBuilder {
        types::Image::builder()
    }

    #[test]
    fn an_image_is_a_copy_where_ec2_names_a_source_image_and_no_instance() {
        let source = || image().source_image_id("ami-0000000b").source_image_region("eu-central-1");
        assert_eq!(read(image()).lineage, Lineage::New);
        assert_eq!(read(source().source_instance_id("i-0000000a")).lineage, Lineage::New);
        assert_eq!(read(image().source_instance_id("i-0000000a")).lineage, Lineage::New);
        let copy = read(source());
        assert_eq!(copy.source().map(ToString::to_string).as_deref(), Some("ami-0000000b in eu-central-1"));
        for unclear in [
            image().source_image_id("ami-0000000b"),
            image().source_image_region("eu-central-1"),
            source().source_image_id("ami-x"),
            source().source_image_region("nowhere"),
        ] {
            assert_eq!(read(unclear).lineage, Lineage::Unclear);
        }
    }

    #[test]
    fn a_scan_is_known_by_its_date_or_its_severity() {
        let results = |label: Option<&str>, at: Option<i64>| {
            let results = types::ScanResults::builder()
                .set_highest_finding_severity_label(label.map(SeverityLabel::from))
                .set_finding_scan_date(at.map(DateTime::from_secs));
            read(image().scan_results(results.build())).scan
        };
        let at = OffsetDateTime::from_unix_timestamp(1_800_000_000).ok();
        assert_eq!(read(image()).scan, None);
        assert_eq!(results(None, None), None);
        assert_eq!(results(None, Some(1_800_000_000)), Some(Scan { highest: Highest::NoFindings, at }));
        assert_eq!(results(Some("high"), None), Some(Scan { highest: Highest::Known(Severity::High), at: None }));
        let unknown = Some(Scan { highest: Highest::Unknown("dread\u{fffd}ful".to_owned()), at });
        assert_eq!(results(Some("dread\u{fffd}\nful"), Some(1_800_000_000)), unknown);
    }

    #[test]
    fn a_watermark_counts_by_the_image_it_was_attached_to() {
        let mark = |id: Option<&str>, region: Option<&str>| {
            let mark = types::ImageWatermark::builder().watermark_key("999988887777:approved");
            let mark =
                mark.set_source_image_id(id.map(str::to_owned)).set_source_image_region(region.map(str::to_owned));
            let provenance = read(image().image_watermarks(mark.build()));
            provenance.counts(&provenance.watermarks[0])
        };
        assert!(mark(Some(ID), Some("eu-west-1")));
        assert!(!mark(Some(ID), Some("eu-central-1")));
        assert!(!mark(Some("ami-0000000b"), Some("eu-west-1")));
        assert!(!mark(Some(ID), None) && !mark(None, Some("eu-west-1")) && !mark(None, None));
    }

    #[test]
    fn a_creation_date_is_read_as_ec2_writes_it() {
        let created = |text: &str| read(image().creation_date(text)).created;
        assert_eq!(created("2026-01-01T00:00:00.000Z"), Some(time::macros::datetime!(2026-01-01 0:00 UTC)));
        assert_eq!(created("yesterday"), None);
    }
}
