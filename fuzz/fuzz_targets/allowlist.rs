//! Any text as an allowlist: reading it never panics, and what is accepted names nobody and nothing by accident.

#![no_main]

use std::collections::BTreeMap;

use sharing::allowlist::{Allowlist, Ask, Criterion, Terms};
use triggers::{Incoming, Event, Invocation, open};
use sharing::request::{Access, Action};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;

const NOW: time::OffsetDateTime = time::macros::datetime!(2026-11-22 12:00 UTC);

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(allowlist) = Allowlist::parse(text) else { return };
    assert!(!allowlist.rules.is_empty());
    for rule in &allowlist.rules {
        assert!(!rule.requesters.is_empty() && !rule.actions.is_empty());
        assert!(rule.requesters.iter().all(|pattern| !pattern.as_str().starts_with(['*', '?'])));
        assert!(!rule.targets.is_empty() || !rule.actions.iter().any(|action| action.takes_targets()));
    }
    // An account that no document spells out is nobody to it.
    let stranger = r#"{"detail-type":"AMI Share Request","source":"x","account":"918273645546","detail":{}}"#;
    if text.contains("918273645546") {
        return;
    }
    let event = Event::deserialize(&mut serde_json::Deserializer::from_str(stranger)).expect("an event");
    let Incoming::One(envelope) = open(&event, &Invocation { request_id: "id", now: NOW, groups_claim: "groups" }) else { return };
    let requester = envelope.requester.expect("a requester");
    let target = "918273645546".parse().expect("a target");
    let tags = BTreeMap::new();
    for action in [Action::Share, Action::Revoke, Action::List] {
        let terms = Terms { access: Access::Launch, service_linked_roles: &[], expires_at: None, copy_from: None, now: NOW };
        let image = Some((Some("golden-1"), &tags));
        let (target_asked, terms) = (Some(&target), Some(terms));
        let ask = Ask { requester: &requester, action, image, provenance: None, target: target_asked, terms };
        assert_eq!(allowlist.cover(&ask).err(), Some(Criterion::Requester));
        assert!(!allowlist.names_target(&target));
    }
});
