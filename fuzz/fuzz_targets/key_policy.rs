//! Any bytes as a key policy: reading and judging it must neither panic nor take long.

#![no_main]

use key_policy::{Grant, KeyQuestion, KeyUse, OrganizationFacts, Policy, explain, judge};
use libfuzzer_sys::fuzz_target;
use sharing::domain::{KeyArn, Target};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const TARGETS: [&str; 3] = [
    "444455556666",
    "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5",
    "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111",
];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = explain(text).map(|answer| answer.in_words());
    let Ok(policy) = Policy::parse(text) else { return };
    let key: KeyArn = KEY.parse().expect("a key");
    let grants = [Grant {
        grantee_principal: text.lines().next().map(str::to_owned),
        operations: vec!["Decrypt".to_owned()],
        ..Grant::default()
    }];
    let role = KeyUse::ServiceLinkedRole("autoscaling".parse().expect("a role"));
    for target in TARGETS {
        let target: Target = target.parse().expect("a target");
        for key_use in [&KeyUse::Launch, &role] {
            let question = KeyQuestion {
                key: &key,
                policy: &policy,
                grants: &grants,
                target: &target,
                organization: &OrganizationFacts::UNKNOWN,
                key_use,
            };
            let _ = judge(&question);
        }
    }
});
