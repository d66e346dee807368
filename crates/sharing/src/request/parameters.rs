//! Owns [`Parameters`]: which fields of a request a URL said, so that what is wrong is told where the caller wrote it.

use crate::outcome::Refusal;

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

    /// Names the parameter in place of the field of a document that nobody wrote.
    pub fn place(&self, refusal: &mut Refusal) {
        if let Some(parameter) = refusal.pointer.as_ref().and_then(|pointer| self.said(pointer)) {
            refusal.pointer = None;
            refusal.parameter = parameter.map(str::to_owned);
        }
    }

    fn said(&self, pointer: &str) -> Option<Option<&'static str>> {
        let field = pointer.split('/').nth(1)?;
        self.0.iter().find(|(name, _)| *name == field).map(|(_, parameter)| *parameter)
    }
}
