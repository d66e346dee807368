//! Owns [`Parameters`]: which fields of a request a URL said, so that what is wrong is told where the caller wrote it.

/// The fields of the document that the parameters of a URL say. What the route itself says has no place that a caller could
/// mend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(&'static str, Option<&'static str>)>);

impl Parameters {
    /// A field that this parameter says, or that the route does.
    pub fn say(&mut self, field: &'static str, parameter: Option<&'static str>) {
        self.0.push((field, parameter));
    }

    /// The parameter that says what a pointer names, where one does.
    pub fn of(&self, pointer: &str) -> Option<&'static str> {
        self.said(pointer)?
    }

    /// Whether the URL or its route said what a pointer names, and the parameter where one did.
    pub fn said(&self, pointer: &str) -> Option<Option<&'static str>> {
        let field = pointer.split('/').nth(1)?;
        self.0.iter().find(|(name, _)| *name == field).map(|(_, parameter)| *parameter)
    }
}
