//! The calls to AWS that copies need, made by the function's own clients.

use ami_share::aws::{Aws, CallError, CopyAnswer, CopyOrder};
use serde_json::json;
use sharing::{
    domain::{ImageId, KeyArn, Region},
    facts::{ImageState, RegionalImage},
    outcome::ErrorCode,
    records::{Mac, Schedule},
};
use time::macros::datetime;

use crate::support::{ACCOUNT, REGION, http, local_aws::LocalAws};

const THERE: &str = "eu-central-1";

struct Calls {
    local: LocalAws,
    aws: Aws,
    runtime: tokio::runtime::Runtime,
    source: RegionalImage,
    key: KeyArn,
}

impl Calls {
    /// An image with two volumes in another Region, and a key in this one.
    fn new() -> Self {
        let local = LocalAws::turn();
        let endpoint = local.endpoint;
        let variable = move |name: &str| {
            let value = match name {
                "AWS_REGION" => REGION,
                "AWS_ACCESS_KEY_ID" => ACCOUNT,
                "AWS_SECRET_ACCESS_KEY" => "test",
                "AWS_ENDPOINT_URL" => endpoint,
                _ => return None,
            };
            Some(value.to_owned())
        };
        let seeded = local.seed(&json!({
            "keys": [{"ref": "here"}],
            "images": [{
                "name": "golden-1",
                "region": THERE,
                "tags": {"Tier": "gold"},
                "architecture": "arm64",
                "mappings": [
                    {"device": "/dev/xvda", "snapshot": {"key": {"region": THERE}, "size": 20}},
                    {"device": "/dev/xvdb", "size": 5},
                    {"device": "/dev/xvdc", "virtualName": "ephemeral0"},
                ],
            }],
        }));
        let id = seeded["images"][0]["imageId"].as_str().unwrap().parse().unwrap();
        Self {
            source: RegionalImage { region: THERE.parse().unwrap(), id },
            key: seeded["keys"][0]["arn"].as_str().unwrap().parse().unwrap(),
            aws: Aws::connect(variable).unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            local,
        }
    }

    fn copy(&self, name: &str, client_token: &str) -> Result<CopyAnswer, CallError> {
        let order = CopyOrder { source: &self.source, name, key: &self.key, client_token };
        self.runtime.block_on(self.aws.copy_image(&order))
    }

    #[track_caller]
    fn begun(&self, name: &str, client_token: &str) -> ImageId {
        match self.copy(name, client_token).unwrap() {
            CopyAnswer::Begun(id) => id,
            CopyAnswer::NameTaken => panic!("{name} is taken"),
        }
    }

    fn end(&self, state: &str) {
        let (status, body) =
            http::send(self.local.address, "POST", "/_local/copies", &json!({"state": state}).to_string());
        assert_eq!(status, 200, "{body}");
    }
}

#[test]
fn a_copy_is_begun_once_for_a_client_token_and_is_found_by_its_source() {
    let calls = Calls::new();
    let made_from = |region: &str, ids: &[ImageId]| {
        let region: Region = region.parse().unwrap();
        calls.runtime.block_on(calls.aws.images_made_from(&region, ids)).unwrap()
    };
    let there = calls.aws.in_region(&calls.source.region);
    let source = calls.runtime.block_on(there.describe_images(std::slice::from_ref(&calls.source.id))).unwrap();
    let source = &source[&calls.source.id];
    assert_eq!(
        (source.architecture.as_deref(), source.volume_sizes.as_slice()),
        (Some("arm64"), &[Some(20), Some(5)][..])
    );

    let id = calls.begun("golden-1", "one");
    assert_eq!(calls.begun("golden-1", "one"), id, "the same call again is the same copy");
    assert_eq!(calls.copy("golden-1", "two"), Ok(CopyAnswer::NameTaken));
    let second = calls.begun("golden-1-2", "two");
    assert_ne!(id, second);

    let pending = made_from(THERE, std::slice::from_ref(&calls.source.id));
    assert_eq!(pending.keys().collect::<Vec<_>>(), if id < second { [&id, &second] } else { [&second, &id] });
    assert_eq!(pending[&id].state, ImageState::Pending);
    calls.end("available");
    let copies = made_from(THERE, &[calls.source.id.clone(), "ami-0000000f".parse().unwrap()]);
    let copy = &copies[&id];
    assert_eq!(copy.provenance.source(), Some(&calls.source));
    assert_eq!((copy.state.as_str(), copy.name.as_deref()), ("available", Some("golden-1")));
    assert_eq!((copy.tags.get("Tier").map(String::as_str), &copy.architecture), (Some("gold"), &source.architecture));
    assert_eq!(copy.volume_sizes, source.volume_sizes);
    let snapshots: Vec<_> = copy.snapshots.iter().map(|backing| backing.id.clone()).collect();
    let snapshots = calls.runtime.block_on(calls.aws.describe_snapshots(&snapshots)).unwrap();
    assert!(!snapshots.is_empty() && snapshots.values().all(|snapshot| snapshot.key.as_ref() == Some(&calls.key)));

    assert!(
        made_from(REGION, std::slice::from_ref(&calls.source.id)).is_empty(),
        "another Region's image of that ID is another one"
    );
    assert!(made_from(THERE, &[id]).is_empty());
}

#[test]
fn a_copy_that_failed_says_why() {
    let calls = Calls::new();
    let id = calls.begun("golden-1", "one");
    calls.end("failed");
    let images = calls.runtime.block_on(calls.aws.describe_images(std::slice::from_ref(&id))).unwrap();
    assert_eq!(images[&id].state, ImageState::Other("failed".to_owned()));
    let reason = images[&id].state_reason.as_deref();
    assert_eq!(reason, Some("Client.InternalError: Copy image failed with an internal error."));
}

#[test]
fn a_failure_of_a_copy_says_whether_it_is_final() {
    let calls = Calls::new();
    for (code, status, expect) in [
        ("InvalidAMIID.NotFound", 400, (ErrorCode::NotFound, false)),
        ("UnauthorizedOperation", 403, (ErrorCode::Denied, false)),
        ("InvalidRequest", 400, (ErrorCode::Unexpected, false)),
        ("IdempotentParameterMismatch", 400, (ErrorCode::Unexpected, false)),
        // "Destination Regions are limited to 300 concurrent AMI copies".
        ("ResourceLimitExceeded", 400, (ErrorCode::LimitExceeded, true)),
        ("InternalError", 500, (ErrorCode::Unavailable, true)),
    ] {
        calls.local.fault("ec2:CopyImage", code, status, 100);
        let failure = calls.copy("golden-1", "one").unwrap_err().failure;
        assert_eq!((failure.code, failure.retryable), expect, "{code}: {}", failure.message);
    }
}

#[test]
fn a_code_is_made_with_the_key_alone_and_says_whether_name_and_text_are_the_same() {
    let calls = Calls::new();
    let seeded = calls.local.seed(&json!({"keys": [
        {"spec": "HMAC_256", "usage": "GENERATE_VERIFY_MAC"},
        {"spec": "HMAC_256", "usage": "GENERATE_VERIFY_MAC"},
    ]}));
    let key = |place: usize| seeded["keys"][place]["arn"].as_str().unwrap().parse::<KeyArn>().unwrap();
    let mac =
        |key: &KeyArn, text: &str| calls.runtime.block_on(calls.aws.generate_mac(key, &Mac::digest("copy-1", text)));
    let made = mac(&key(0), "{}").unwrap();
    assert_eq!(mac(&key(0), "{}").unwrap(), made);
    assert_eq!(made.to_string().parse(), Ok(made.clone()));
    assert_ne!(mac(&key(0), "{ }").unwrap(), made);
    assert_ne!(mac(&key(1), "{}").unwrap(), made);
    assert!(mac(&calls.key, "{}").is_err(), "a key for encryption makes no codes");
}

#[test]
fn a_schedule_that_repeats_is_read_as_it_was_written() {
    const BUS: &str = "arn:aws:events:eu-west-1:999988887777:event-bus/ami-share";
    let calls = Calls::new();
    let schedule = Schedule {
        expression: "rate(10 minutes)".to_owned(),
        timezone: Some("UTC".to_owned()),
        is_enabled: true,
        starts_at: Some(datetime!(2036-01-01 12:10 UTC)),
        ends_at: Some(datetime!(2036-01-02 13:00 UTC)),
        is_deleted_after: true,
        bus_arn: BUS.to_owned(),
        source: sharing::records::SOURCE.to_owned(),
        detail_type: sharing::records::DETAIL_TYPE.to_owned(),
        input: "{}".to_owned(),
    };
    let once = Schedule {
        expression: "at(2036-01-01T12:00:00)".to_owned(),
        starts_at: None,
        ends_at: None,
        is_deleted_after: false,
        ..schedule.clone()
    };
    for (name, schedule) in [("repeats", &schedule), ("once", &once)] {
        let written =
            calls.aws.create_schedule("default", name, schedule, "arn:aws:iam::999988887777:role/hints", None);
        assert_eq!(calls.runtime.block_on(written), Ok(true));
        let read = calls.runtime.block_on(calls.aws.schedule("default", name)).unwrap();
        assert_eq!(read.as_ref(), Some(schedule));
    }
}
