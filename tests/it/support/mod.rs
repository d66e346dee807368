//! What the integration tests stand on: a tiny HTTP server, the real binary, the local AWS.

pub mod fault_kinds;
pub mod function;
pub mod http;
pub mod invariants;
pub mod local_aws;
pub mod proxy;
pub mod scenes;
pub mod world;

/// A file of `events/`, about this image and sent now.
pub fn event(name: &str, image: &str) -> serde_json::Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(format!("{name}.json"));
    let text = std::fs::read_to_string(path).unwrap();
    let milliseconds = time::OffsetDateTime::from(std::time::SystemTime::now()).unix_timestamp_nanos() / 1_000_000;
    let text = text
        .replace("ami-0123456789abcdef0", image)
        .replace("2026-11-22T12:00:00Z", &now())
        .replace("1795348800000", &milliseconds.to_string());
    serde_json::from_str(&text).unwrap()
}

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
