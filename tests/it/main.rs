//! The integration tests: one binary, a module per subject.
mod events;
mod house;
mod key_access_cases;

#[cfg(feature = "aws")]
mod function;
#[cfg(feature = "aws")]
mod replay;
#[cfg(feature = "aws")]
mod support;
