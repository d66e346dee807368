//! Owns how the images of a rule are read: patterns of names and tags, and the criteria of provenance.

use std::collections::BTreeMap;

use super::{
    super::{ImageCriteria, Images, yaml::Value},
    reader::{Field, Fields, Reader},
    values::{duration, parse, pattern, watermark_key},
};
use crate::domain::Severity;

const IMAGE_FIELDS: [&str; 6] = ["names", "tags", "watermarks", "maxSeverity", "scannedWithin", "maxAge"];

impl Reader {
    pub(super) fn images(&mut self, (line, node): Field<'_>) -> Option<Images> {
        match &node.value {
            Value::Text(text) if text == "all" && node.oddity.is_none() => return Some(Images::All),
            Value::Map(_) => {}
            Value::Text(_) | Value::Number(_) | Value::Bool(_) | Value::Null | Value::List(_) => {
                if !self.is_unreadable("images", (line, node)) {
                    self.fault(line, "images", "say `all`, or give a map of criteria such as `names` and `tags`");
                }
                return None;
            }
        }
        let mut fields = self.fields("images", (line, node), &IMAGE_FIELDS)?;
        if fields.is_empty() {
            self.fault(line, "images", "an empty map: give `names`, `tags` or other criteria, or say `all`");
        }
        let given = (fields.take("names"), fields.take("tags"));
        let criteria = self.criteria(&mut fields);
        let names = given.0.map(|field| self.list("images.names", field, false, pattern)).unwrap_or_default();
        let mut tags = BTreeMap::new();
        for (key, values) in given.1.map(|field| self.entries("images.tags", field)).unwrap_or_default() {
            let Some(name) = self.text("images.tags", (key.line, key)) else { continue };
            let values = self.list("images.tags", (key.line, values), false, pattern);
            if tags.insert(name.to_owned(), values).is_some() {
                self.fault(key.line, "images.tags", "repeated key");
            }
        }
        Some(Images::Matching { names, tags, criteria })
    }

    /// Reads what EC2 must say about an image besides its name and tags.
    fn criteria(&mut self, fields: &mut Fields<'_>) -> ImageCriteria {
        let mut within = |name: &str, place: &str, reader: &mut Self| {
            fields.take(name).and_then(|field| reader.parsed(place, field, duration))
        };
        let scanned_within = within("scannedWithin", "images.scannedWithin", self);
        let max_age = within("maxAge", "images.maxAge", self);
        let watermarks = fields.take("watermarks");
        let watermarks = watermarks.map(|field| self.list("images.watermarks", field, false, watermark_key));
        let max_severity = fields.take("maxSeverity");
        let max_severity = max_severity.and_then(|field| self.parsed("images.maxSeverity", field, parse::<Severity>));
        ImageCriteria { watermarks: watermarks.unwrap_or_default(), max_severity, scanned_within, max_age }
    }
}
