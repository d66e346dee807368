//! Shares Amazon Machine Images safely: the library behind the `bootstrap` Lambda function.

pub mod domain;
pub mod json;
pub mod request;
