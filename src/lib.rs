//! Shares Amazon Machine Images safely: the library behind the `bootstrap` Lambda function.

pub mod allowlist;
pub mod domain;
pub mod json;
pub mod outcome;
pub mod key_access {
    #[derive(Debug, Clone, PartialEq, serde::Serialize)]
    pub struct KeyAccess {}
}
pub mod request;
