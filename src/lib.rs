//! Shares Amazon Machine Images safely: the library behind the `bootstrap` Lambda function.

pub mod domain;
pub mod key_access;
