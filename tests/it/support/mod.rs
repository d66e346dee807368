//! What the integration tests stand on: a tiny HTTP server, the real binary, the local AWS.

pub mod function;
pub mod http;
pub mod local_aws;

/// The account and Region of everything here.
pub const ACCOUNT: &str = "999988887777";
/// See [`ACCOUNT`].
pub const REGION: &str = "eu-west-1";
