//! Owns the proof that record names don't collide: every pair of different shares has different names, every name reads
//! back as its own kind, and no text reads as two kinds. And that each record has a code of its own.

use std::collections::BTreeMap;

use ami_share_testing::worlds::{self, NOW, ONE};
use sharing::{
    domain::{AskName, CopyName, ExpiryName, GroupId, ImageId, Target},
    records::{ApprovalAnswer, ApprovalDecision, Ask, Mac, Record, RecordName, waiting_request},
    request::{Parameters, Request},
};
use time::OffsetDateTime;

use super::{
    approvals::{ask, person},
    copies::recorded,
};

/// IDs that begin alike, in both lengths.
fn images() -> Vec<ImageId> {
    let ids =
        ["ami-00000000", "ami-0000000a", "ami-00000000000000000", "ami-0000000000000000a", "ami-000000000000000a0"];
    ids.map(|id| id.parse().unwrap()).to_vec()
}

fn targets() -> Vec<Target> {
    let accounts = (0..200).map(|number| format!("{number:012}"));
    let organizations =
        (0..20).map(|number| format!("arn:aws:organizations::999988887777:organization/o-a1b2c3d4{number:02}"));
    let units =
        (0..20).map(|number| format!("arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-111111{number:02}"));
    accounts.chain(organizations).chain(units).map(|text| text.parse().unwrap()).collect()
}

/// Times that differ by a second, a minute, and in the highest digit.
fn times() -> Vec<OffsetDateTime> {
    let seconds = [0, 1, 15, 16, 60, 255, 256, 0x6b5f_2240, 0x6b5f_2241, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
    seconds.iter().map(|seconds| OffsetDateTime::from_unix_timestamp(*seconds).unwrap()).collect()
}

#[test]
fn different_shares_have_different_names_that_read_back() {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut add = |name: RecordName, of: String| {
        assert_eq!(name.to_string().parse(), Ok(name.clone()), "{of}");
        assert!(name.as_str().len() <= 64, "{name}");
        let other = names.insert(name.to_string(), of);
        assert_eq!(other, None, "{name} is the name of two records");
    };
    for image in images() {
        for target in targets() {
            for at in times() {
                let name = ExpiryName::new(&image, &target, at).unwrap();
                assert_eq!((name.image_id(), name.is_of(&image, &target)), (Some(image.clone()), true));
                add(RecordName::Expiry(name), format!("{image} {target} {at}"));
            }
        }
        for number in 0..500 {
            add(RecordName::Copy(CopyName::new(&image, &number.to_string())), format!("copy of {image}, {number}"));
        }
    }
    for number in 0..500 {
        let ask = AskName::new(&number.to_string());
        add(RecordName::Decision(ask.decision()), format!("decision {number}"));
        add(RecordName::Ask(ask), format!("ask {number}"));
    }
    assert_eq!(names.len(), 5 * (240 * 12 + 500) + 1_000);
}

#[test]
fn a_name_with_one_character_changed_is_no_name_or_another_of_the_same_kind() {
    let (image, target) = (&images()[2], &targets()[1]);
    let names = [
        RecordName::Expiry(ExpiryName::new(image, target, times()[7]).unwrap()),
        RecordName::Copy(CopyName::new(image, "asked")),
        RecordName::Ask(AskName::new("asked")),
        RecordName::Decision(AskName::new("asked").decision()),
    ];
    for name in names {
        for place in 0..name.as_str().len() {
            for character in (0_u8..128).map(char::from) {
                let mut changed = name.to_string();
                changed.replace_range(place..=place, &character.to_string());
                let Ok(read) = changed.parse::<RecordName>() else { continue };
                assert_eq!(read.to_string(), changed);
                assert_eq!(std::mem::discriminant(&read), std::mem::discriminant(&name), "{changed}");
            }
        }
    }
}

/// The record of an expiry gives no right. The others must have a code, which only the function can make.
#[test]
fn a_record_that_gives_a_right_has_a_code_of_its_own_name_and_text() {
    const BUS: &str = "arn:aws:events:eu-west-1:999988887777:event-bus/requests";
    let mac = || "5a".repeat(32).parse::<Mac>().unwrap();
    let expiry = Record::Expiry(worlds::expiry(ONE, worlds::in_days(1)));
    assert_eq!((expiry.digest(), expiry.mac()), (None, None));
    assert_eq!(expiry.clone().with_mac(mac()), expiry);
    let asked = ask(&["one"]);
    let by = person("ada", &["owners"]);
    let decision = ApprovalDecision::new(&asked, ApprovalAnswer::Approved { by }, "second", None, NOW);
    let records = [
        Record::Copy(Box::new(recorded(&[ONE], "lambda:invoke", 0, worlds::in_days(1)))),
        Record::Copy(Box::new(recorded(&[ONE], "lambda:invoke", 1, worlds::in_days(1)))),
        Record::Ask(Box::new(asked)),
        Record::Decision(Box::new(decision)),
    ];
    let digests: std::collections::BTreeSet<_> = records.iter().map(|record| record.digest().unwrap()).collect();
    assert_eq!(digests.len(), records.len());
    for record in records {
        assert_eq!(record.mac(), None);
        let with = record.clone().with_mac(mac());
        assert_eq!((with.mac(), with.digest(), with.name()), (Some(&mac()), record.digest(), record.name()));
        let read = Record::read(&with.name(), &with.schedule(BUS, NOW), BUS).unwrap();
        assert_eq!((read.mac(), read.digest()), (with.mac(), with.digest()));
    }
}

#[test]
fn a_code_is_right_only_if_every_byte_is() {
    let mac = |bytes: [u8; 32]| Mac::from_bytes(&bytes).unwrap();
    let right = [0x5a; 32];
    assert_eq!(mac(right), mac(right));
    for (one, other) in [(0, 1), (0, 31), (15, 16), (31, 31)] {
        // Two bytes that differ in the same bits.
        let mut wrong = right;
        wrong[one] ^= 1;
        if one != other {
            wrong[other] ^= 1;
        }
        assert_ne!(mac(right), mac(wrong), "bytes {one} and {other}");
    }
    assert_eq!(Mac::from_bytes(&[0; 31]), None);
}

/// The order of the roles, a dry run and where a field came from make no other share.
#[test]
fn the_same_share_has_the_same_record_however_it_is_asked_for() {
    let asked = ask(&["one"]);
    let roles = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>();
    let mut parameters = Parameters::default();
    parameters.say("imageIds", Some("imageId"));
    let request = Request { service_linked_roles: roles(&["spot", "autoscaling"]), ..asked.request.clone() };
    let same = Request {
        service_linked_roles: roles(&["autoscaling", "spot"]),
        dry_run: true,
        group: GroupId::parse("o-a1b2c3d4e5"),
        parameters,
        ..request.clone()
    };
    let name = |request: &Request| {
        let ask = Ask::new(request, &person("bob", &["web"]), "first", vec!["one".to_owned()], NOW);
        (ask.name, ask.request)
    };
    assert_eq!(name(&request), name(&same));
    let source = "ami-0000000a".parse().unwrap();
    let waits = |request: &Request| waiting_request(request, &source);
    assert_eq!(waits(&request), waits(&Request { service_linked_roles: request.service_linked_roles.clone(), ..same }));
}
