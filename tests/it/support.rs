//! What the integration tests stand on: a tiny HTTP server, the real binary, the local AWS.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub mod copies;
pub mod desk;
pub mod disturbed;
pub mod fault_kinds;
pub mod function;
pub mod http;
pub mod invariants;
pub mod local_aws;
pub mod proxy;
pub mod scenes;
pub mod steady;
pub mod world;

/// A file of `events/`, about this image; what it has of times is as far from now as it is from noon of its day.
pub fn event(name: &str, image: &str) -> serde_json::Value {
    const NOON: OffsetDateTime = time::macros::datetime!(2026-11-22 12:00 UTC);
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(format!("{name}.json"));
    let mut text = std::fs::read_to_string(path).unwrap().replace("ami-0123456789abcdef0", image);
    let now = OffsetDateTime::from(std::time::SystemTime::now());
    let milliseconds = |time: OffsetDateTime| (time.unix_timestamp_nanos() / 1_000_000).to_string();
    for distance in [0, -20 * 60].map(time::Duration::seconds) {
        let (then, there) = (NOON + distance, now + distance);
        text = text.replace(&then.format(&Rfc3339).unwrap(), &there.format(&Rfc3339).unwrap());
        text = text.replace(&milliseconds(then), &milliseconds(there));
    }
    serde_json::from_str(&text).unwrap()
}

/// Now, as EventBridge writes it: the function's clock is the real one.
pub fn now() -> String {
    OffsetDateTime::from(std::time::SystemTime::now()).format(&Rfc3339).unwrap()
}

/// The account and Region of everything here.
pub const ACCOUNT: &str = "999988887777";
/// See [`ACCOUNT`].
pub const REGION: &str = "eu-west-1";
