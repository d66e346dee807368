//! What the integration tests stand on: a tiny HTTP server, the real binary, the local AWS.

pub mod fault_kinds;
pub mod function;
pub mod http;
pub mod invariants;
pub mod local_aws;
pub mod proxy;
pub mod scenes;

/// Now, as EventBridge writes it: the function's clock is the real one.
pub fn now() -> String {
    time::OffsetDateTime::from(std::time::SystemTime::now())
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap()
}

/// The account and Region of everything here.
pub const ACCOUNT: &str = "999988887777";
/// See [`ACCOUNT`].
pub const REGION: &str = "eu-west-1";
