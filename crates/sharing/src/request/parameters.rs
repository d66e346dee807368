//! Owns [`Parameters`]: which fields of a request came from a URL, so that a fault names the parameter that the caller
//! wrote.

/// The fields of the request document that come from a URL, each with its parameter. A field that the route determines
/// has no parameter that a caller could correct.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(&'static str, Option<&'static str>)>);

impl Parameters {
    /// Adds a field that comes from this parameter, or from the route.
    pub fn say(&mut self, field: &'static str, parameter: Option<&'static str>) {
        self.0.push((field, parameter));
    }

    /// The parameter from which the field of a pointer comes, if there is one.
    pub fn of(&self, pointer: &str) -> Option<&'static str> {
        self.said(pointer)?
    }

    /// Whether the field of a pointer comes from the URL, and from which parameter; `Some(None)` if it comes from the
    /// route.
    pub fn said(&self, pointer: &str) -> Option<Option<&'static str>> {
        let field = pointer.split('/').nth(1)?;
        self.0.iter().find(|(name, _)| *name == field).map(|(_, parameter)| *parameter)
    }
}
