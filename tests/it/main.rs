//! The integration tests: one binary, a module per subject.
mod key_access_cases;
mod key_access_judge;
mod key_access_laws;
mod key_access_rules;
