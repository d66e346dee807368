//! Owns how the parameter that a rule publishes to is read.

use super::{
    super::{Images, Publish},
    reader::{Field, Reader},
};
use crate::domain::quoted;

const PARAMETER: &str = "publish.parameter";

impl Reader {
    /// Reads the parameter. It may name the tags that every image of the rule has, and no others.
    pub(super) fn publish(&mut self, (line, node): Field<'_>, images: Option<&Images>) -> Option<Publish> {
        let mut fields = self.fields("publish", (line, node), &["parameter"])?;
        let Some(field) = fields.take("parameter") else {
            self.fault(line, PARAMETER, "missing");
            return None;
        };
        let publish = self.parsed(PARAMETER, field, Publish::parse)?;
        let is_named = |key: &str| matches!(images, Some(Images::Matching { tags, .. }) if tags.contains_key(key));
        for key in publish.tags().filter(|key| images.is_some() && !is_named(key)) {
            let message = format!("`images.tags` does not name {}; an image may be without that tag", quoted(key));
            self.fault(field.0, PARAMETER, message);
        }
        Some(publish)
    }
}
